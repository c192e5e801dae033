"""Drawing helpers that lessons share. `style` is the look; every figure is shown with its alt text."""

from gemma_edu.figures.style import COLOURS, apply, show

__all__ = ["COLOURS", "apply", "show"]
