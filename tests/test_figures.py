"""The drawing style: colours keep their meaning apart, and a shown figure carries its description."""

import base64
import io
import subprocess
import sys

import matplotlib
import pytest

matplotlib.use("Agg")

from IPython.display import Image  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

from gemma_edu import presets  # noqa: E402
from gemma_edu.figures import show_source, style  # noqa: E402
from gemma_edu.figures.data_flow import data_flow  # noqa: E402

ALT = "A straight line that rises from 1 to 2."


@pytest.fixture(autouse=True)
def default_style():
    with matplotlib.rc_context():
        style.apply()
        yield


@pytest.fixture
def shown(monkeypatch):
    """What `show` hands to the notebook, as a list of (data, metadata of the PNG)."""
    displayed = []

    def keep(image):
        assert isinstance(image, Image)
        displayed.append(image._repr_png_())

    monkeypatch.setattr("IPython.display.display", keep)
    return displayed


def draw():
    fig, ax = plt.subplots()
    ax.plot([1, 2], color=style.COLOURS["queries"])
    ax.set_title("One line rises")
    return fig


def test_show_stores_the_alt_text_with_the_png(shown):
    style.show(draw(), ALT)
    [(_, metadata)] = shown
    assert metadata == {"alt": ALT}


def test_show_is_byte_stable_and_names_no_software(shown):
    style.show(draw(), ALT)
    style.show(draw(), ALT)
    (first, _), (second, _) = shown
    assert first == second
    assert b"Software" not in base64.b64decode(first)


def test_show_closes_the_figure(shown):
    fig = draw()
    style.show(fig, ALT)
    assert not plt.fignum_exists(fig.number)


def test_figure_is_600_by_350_pixels_whatever_its_labels(shown):
    fig = draw()
    fig.axes[0].set_ylabel("a long label\nof two lines")
    style.show(fig, ALT)
    pixels = plt.imread(io.BytesIO(base64.b64decode(shown[0][0])))
    assert pixels.shape[:2] == (350, 600)


@pytest.mark.parametrize("alt", ["", "a line", " " * 40])
def test_show_refuses_an_alt_text_that_says_nothing(shown, alt):
    fig = draw()
    with pytest.raises(ValueError, match="write at least 20"):
        style.show(fig, alt)
    assert not shown
    plt.close(fig)


@pytest.mark.parametrize(
    "family", [("queries", "keys", "values", "stream"), ("gemma", "llama2", "olmo", "gpt2")]
)
def test_colours_differ_within_a_family_and_are_readable_on_white(family):
    assert len({style.COLOURS[name] for name in family}) == len(family)
    for name in family:
        channels = matplotlib.colors.to_rgb(style.COLOURS[name])
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 3, name  # WCAG's threshold for graphics


def test_colours_cannot_be_changed_by_a_lesson():
    with pytest.raises(TypeError):
        style.COLOURS["queries"] = "red"


def test_apply_sets_size_and_spines():
    assert tuple(matplotlib.rcParams["figure.figsize"]) == (6.0, 3.5)
    assert matplotlib.rcParams["figure.dpi"] == 100
    assert not matplotlib.rcParams["axes.spines.top"]
    assert not matplotlib.rcParams["axes.spines.right"]


def test_html_export_has_the_alt_text():
    nbformat = pytest.importorskip("nbformat")
    exporters = pytest.importorskip("nbconvert.exporters")
    output = nbformat.v4.new_output(
        "display_data", data={"image/png": "aGVsbG8="}, metadata={"image/png": {"alt": ALT}}
    )
    cell = nbformat.v4.new_code_cell("show()", outputs=[output], execution_count=1)
    # nbconvert's default template, "lab", writes no alt attribute at all
    exporter = exporters.HTMLExporter(template_name="classic")
    html, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert f'alt="{ALT}"' in html


def test_the_package_imports_without_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; import gemma_edu"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_data_flow_of_a_sandwich_names_every_norm_and_a_post_norm_model_is_refused():
    labels = {text.get_text() for text in data_flow(presets.GEMMA3_270M).axes[0].texts}
    assert {"block\n× 18", "attention", "GeGLU"} <= labels
    plt.close("all")
    with pytest.raises(ValueError, match="Transformer base"):
        data_flow(presets.TRANSFORMER_BASE)


def test_show_source_displays_functions_as_they_stand_in_the_package(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda markdown: displayed.append(markdown.data))
    show_source(style.show, data_flow)
    assert displayed[0].startswith("```python\ndef show(fig: Figure") and displayed[0].endswith("\n```")
    assert displayed[0].count("\ndef data_flow(") == 1
