"""How every figure of the course looks: one set of colours, one size, and a description for each.

A lesson calls `apply()` once and then, for each figure, `show(fig, "what it shows, with the numbers")`.
"""

import io
from types import MappingProxyType

import matplotlib
from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

SHORTEST_ALT = 20
"""Fewer characters than this cannot say what a figure shows."""

_BLUE, _VERMILLION, _GREEN, _PURPLE, _BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"

# The five Okabe-Ito colours that reach a contrast of 3:1 on white, so that a label may wear its line's
# colour. A figure shows the inside of one model or several models side by side, never both: within each of
# the two families all colours differ.
COLOURS = MappingProxyType(
    {
        "queries": _BLUE,
        "keys": _VERMILLION,
        "values": _GREEN,
        "stream": _BLACK,
        "gemma": _BLUE,
        "llama2": _VERMILLION,
        "olmo": _GREEN,
        "gpt2": _PURPLE,
    }
)
"""What each colour means throughout the course; "stream" is the residual stream."""

_RC_PARAMS = {
    "figure.figsize": (6.0, 3.5),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": "figure",
    # A tight box would make the size in pixels depend on the text, and nbval compares equal sizes only.
    "savefig.bbox": None,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[_BLUE, _VERMILLION, _GREEN, _PURPLE, _BLACK]),
    "lines.linewidth": 1.8,
    "image.cmap": "cividis",
    "image.interpolation": "nearest",
}


def apply() -> None:
    """Set matplotlib's defaults to the course's: 6 x 3.5 in at 100 dpi, quiet axes, readable sizes."""
    matplotlib.rcParams.update(_RC_PARAMS)


def show(fig: Figure, alt: str) -> None:
    """Display `fig` as a PNG whose alt text is stored in the notebook, then close it.

    The same figure gives the same bytes on every run, so a rebuilt notebook differs only in pictures that do.

    Raises:
        ValueError: if `alt` is too short to say what the figure shows.
    """
    if len(alt.strip()) < SHORTEST_ALT:
        raise ValueError(
            f"alt text {alt!r} has {len(alt.strip())} characters; write at least {SHORTEST_ALT}: "
            "the figure's message and its numbers, for a reader who cannot see it"
        )
    from IPython.display import Image, display  # only notebooks need IPython

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})  # it would name matplotlib's version
    plt.close(fig)  # or Jupyter would draw it a second time, without the alt text
    display(Image(data=buffer.getvalue(), format="png", alt=alt))
