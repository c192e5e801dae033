"""The way of a text through a decoder on one page: the whole model above, one block magnified below."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemma_edu.config import Activation, ModelConfig, NormPlacement
from gemma_edu.figures.style import COLOURS

MODEL_Y, SUBLAYER_Y, STREAM_Y = 5.5, 2.9, 0.75
"""Heights of the three rows, on a canvas of 12 x 6.6 units of about half an inch."""

_SHAPE_SIZE, _LABEL_SIZE, _TITLE_SIZE = 8, 9, 11
_ROUND_BOX = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": "0.3"}
_PLUS_CIRCLE = {"boxstyle": "circle,pad=0.12", "fc": "white"}
_MAGNIFIER = {"color": "0.6", "linewidth": 0.8, "linestyle": ":"}
_GATED_NAMES = {Activation.GELU_TANH: "GeGLU", Activation.GELU_EXACT: "GeGLU", Activation.SILU: "SwiGLU"}


def data_flow(config: ModelConfig) -> Figure:
    """Tokens to logits for one config, every shape in the letters of the course.

    Raises:
        ValueError: for norms after the addition (2017), which this picture has no place for.
    """
    if config.norm_placement is NormPlacement.POST:
        raise ValueError(f"{config.name} has {config.norm_placement}: data_flow draws PRE and SANDWICH only")
    fig, ax = plt.subplots(layout=None)
    ax.set_position((0.01, 0.01, 0.98, 0.89))
    ax.set(xlim=(0, 12), ylim=(0, 6.6))
    ax.axis("off")
    title = f"{config.name}: every block reads the stream and adds to it"
    fig.suptitle(title, x=0.02, y=0.98, ha="left", fontsize=_TITLE_SIZE, weight="bold")
    _draw_model(ax, config)
    _draw_block(ax, config)
    return fig


def _draw_model(ax: Axes, config: ModelConfig) -> None:
    """The upper row: table, blocks, final norm, output matrix."""
    steps = [  # label, centre, half a width
        ("table V D\n× √D" if config.scale_embedding else "table V D", 2.3, 0.72),
        (f"block\n× {config.num_layers}", 5.2, 0.48),
        ("norm", 7.5, 0.47),
        ("table V D\nonce more" if config.tie_embedding else "output V D", 9.6, 0.84),
    ]
    starts = [1.0, *(centre + half for _, centre, half in steps)]
    ends = [*(centre - half for _, centre, half in steps), 11.0]
    for start, end in zip(starts, ends, strict=True):
        _arrow(ax, (start, MODEL_Y), (end, MODEL_Y))
    for label, centre, _ in steps:
        _text(ax, centre, MODEL_Y, label, bbox=_ROUND_BOX)
    _text(ax, 0.5, MODEL_Y, "tokens\nB T")
    _text(ax, 3.75, MODEL_Y + 0.35, "B T D", fontsize=_SHAPE_SIZE)
    _text(ax, 11.45, MODEL_Y, "logits\nB T V")
    for x, corner in ((4.4, 0.15), (6.0, 11.85)):
        ax.plot([x, corner], [MODEL_Y - 0.5, 3.75], **_MAGNIFIER)
    ax.plot([0.15, 0.15, 11.85, 11.85, 0.15], [3.75, 0.1, 0.1, 3.75, 3.75], **_MAGNIFIER)


def _draw_block(ax: Axes, config: ModelConfig) -> None:
    """The lower row: the stream runs through; each sublayer reads it and adds its answer."""
    _arrow(ax, (0.3, STREAM_Y), (11.7, STREAM_Y), linewidth=3.0)
    _text(ax, 0.8, STREAM_Y + 0.35, "x  B T D", fontsize=_SHAPE_SIZE)
    _text(ax, 11.35, STREAM_Y + 0.35, "B T D", fontsize=_SHAPE_SIZE)
    after = ["norm"] if config.norm_placement is NormPlacement.SANDWICH else []
    gated_name = _GATED_NAMES.get(config.activation, "gated")
    attention_x = _draw_sublayer(ax, 1.5, 5.6, ["norm", "attention", *after])
    feedforward_x = _draw_sublayer(
        ax, 6.6, 10.7, ["norm", gated_name if config.gated else "feed-forward", *after]
    )
    heads = [("q  B T N H", "queries"), ("k  B S K H", "keys"), ("v  B S K H", "values")]
    branches = ["gate  B T F", "up  B T F"] if config.gated else ["B T F"]
    _list_shapes(ax, attention_x, [(shape, COLOURS[meaning]) for shape, meaning in heads])
    _list_shapes(ax, feedforward_x, [(shape, COLOURS["stream"]) for shape in branches])


def _draw_sublayer(ax: Axes, start: float, end: float, steps: list[str]) -> float:
    """Up from the stream, through the steps, down into a plus; gives where the second step stands."""
    corners = [start, start, end], [STREAM_Y, SUBLAYER_Y, SUBLAYER_Y]
    ax.plot(*corners, color=COLOURS["stream"], linewidth=1.2, zorder=1)
    ax.plot(start, STREAM_Y, "o", color=COLOURS["stream"], markersize=5)
    _arrow(ax, (end, SUBLAYER_Y), (end, STREAM_Y + 0.27))
    _text(ax, end, STREAM_Y, "+", fontsize=_TITLE_SIZE, bbox=_PLUS_CIRCLE)
    width = (end - start) / len(steps)
    centres = [start + (place + 0.5) * width for place in range(len(steps))]
    for x, step in zip(centres, steps, strict=True):
        _text(ax, x, SUBLAYER_Y, step, bbox=_ROUND_BOX)
    return centres[1]


def _list_shapes(ax: Axes, x: float, lines: list[tuple[str, str]]) -> None:
    """Shapes in small print under a sublayer, each in its colour."""
    for number, (shape, colour) in enumerate(lines):
        _text(ax, x, SUBLAYER_Y - 0.45 - 0.36 * number, shape, color=colour, fontsize=_SHAPE_SIZE)


def _text(ax: Axes, x: float, y: float, text: str, fontsize: int = _LABEL_SIZE, **style) -> None:
    ax.text(x, y, text, ha="center", va="center", fontsize=fontsize, **style)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], linewidth: float = 1.2) -> None:
    arrow = {"arrowstyle": "-|>", "color": COLOURS["stream"], "lw": linewidth, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=end, xytext=start, arrowprops=arrow)
