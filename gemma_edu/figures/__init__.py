"""What lessons share for showing things: the look of figures, with their alt text, and the package's own source."""

from gemma_edu.figures.source import show_source
from gemma_edu.figures.style import COLOURS, apply, show

__all__ = ["COLOURS", "apply", "show", "show_source"]
