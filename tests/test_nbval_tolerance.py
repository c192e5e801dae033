"""nbval with tolerance: what may move in an output, and what may not."""

import base64
import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from PIL import Image

from tools import nbval_tolerance
from tools.output_compare import compare_png, compare_text

CHECKOUT = Path(nbval_tolerance.__file__).resolve().parent.parent
RTOL = 1e-3


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ("loss 0.1391 after 18 steps", "loss 0.1392 after 18 steps"),  # one unit in the last place
        ("0.13909268", "0.13909267"),
        ("1234.5678", "1235.0000"),  # 0.035 %
        ("2.50e-07 off", "2.51e-07 off"),
        ("9.99e-06", "1.00e-05"),
        ("[ 0.001 -0.5  ]", "[-0.000 -0.5  ]"),  # the sign moves the blanks
        ("[1.     0.25]", "[0.9999 0.25  ]"),  # NumPy pads to the longest
        ("[-0.  1.]", "[0. 1.]"),
        ("\u22121.50 V", "-1.50 V"),
        ("1,234.56", "1,234.57"),
        ("a 12.5% rise", "a 12.6% rise"),
        ("<td>0.500</td>", "<td>0.501</td>"),
        (".25", ".26"),
        ("", ""),
    ],
)
def test_float_jitter_passes(stored, now):
    assert compare_text(stored, now, RTOL) == []


@pytest.mark.parametrize(
    ("stored", "now", "message"),
    [
        ("loss 0.1391", "loss 0.1395", "0.1391 -> 0.1395 (moved by 0.0004, 0.00024 allowed)"),
        ("0.5", "-0.5", "0.5 -> -0.5"),
        ("18 layers", "17 layers", "18 -> 17 (a number without decimals must not move)"),
        ("1,981,884,416 in all.", "1,981,884,417 in all.", "1,981,884,416 -> 1,981,884,417"),
        ("It has 1500.", "It has 1501.", "1500. -> 1501."),
        ("eps 1e-06", "eps 2e-06", "1e-06 -> 2e-06"),
        ("18 layers", "18.0 layers", "only one of them is an integer"),
        ("dtype=float32", "dtype=float16", "the text differs"),
        ("jax 0.10.2", "jax 0.10.3", "the text differs"),
        ("bits 0x3f800000", "bits 0x3f800001", "the text differs"),
        ("a 1.5 b", "a nan b", "the text differs"),
        ("True", "False", "the text differs"),
        ("a  b", "a b", "the text differs"),
        ("[1, 2]", "[1, 2, 3]", "the text differs"),
        ("one\ntwo", "one", "line 2: this line is missing\n    stored: two"),
        ("one", "one\n2", "line 2: this line is new\n    now:    2"),
        ("5-6", "5-7", "6 -> 7"),
    ],
)
def test_other_changes_fail_and_are_named(stored, now, message):
    assert message in "\n".join(compare_text(stored, now, RTOL))


def test_a_long_difference_is_cut():
    messages = compare_text("a\n" * 9, "b\n" * 9, RTOL)
    assert len(messages) == 6 and messages[-1] == "and 4 more lines"


def test_tolerance_is_relative_or_one_unit():
    assert compare_text("1000.00", "1009.00", rtol=1e-2) == []
    assert compare_text("1.10", "1.11", rtol=0) == []
    assert compare_text("1.10", "1.12", rtol=0)


def test_measured_numbers_are_ignored_but_not_the_words():
    assert compare_text("took 3 ms", "took 2,912.5 ms", RTOL, ignore_numbers=True) == []
    assert compare_text("took 3 ms", "took 3 s", RTOL, ignore_numbers=True)


def png(size=(60, 35), spot=0, shade=0):
    """A white picture with a black square of `spot` pixels, every pixel darker by `shade`."""
    pixels = np.full((size[1], size[0], 3), 255 - shade, np.uint8)
    pixels[:spot, :spot] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_figures_are_compared_by_their_pixels():
    assert compare_png(png(), png(shade=2), 2.0) == []
    assert "RMS pixel distance" in compare_png(png(), png(spot=5), 2.0)[0]
    assert "60 x 40 pixels, stored are 60 x 35" in compare_png(png(), png(size=(60, 40)), 2.0)[0]
    assert "cannot be read as PNG" in compare_png(png(), "aGVsbG8=", 2.0)[0]


@pytest.mark.parametrize("text", ["-1", "a little", "nan", "inf"])
def test_a_wrong_setting_is_named(text):
    config = SimpleNamespace(getini=lambda name: text)
    with pytest.raises(pytest.UsageError, match="nbval_rtol is"):
        nbval_tolerance._setting(config, "nbval_rtol")


def text_output(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def image_output(alt="White, 60 by 35", **picture):
    data = {"image/png": png(**picture), "text/plain": "<IPython.core.display.Image object>"}
    return nbformat.v4.new_output("display_data", data=data, metadata={"image/png": {"alt": alt}})


def error_output(message):
    return nbformat.v4.new_output("error", ename="ValueError", evalue=message, traceback=[])


PRINT = "print('loss 0.1391 in 18 layers')"
SHOW = f"""\
from base64 import b64decode
from IPython.display import Image, display
display(Image(b64decode("{png()}"), alt="White, 60 by 35"))
"""
# name: (source, stored outputs, tags, what the report says; None if the cell passes)
CELLS = {
    "same": (PRINT, [text_output("loss 0.1391 in 18 layers\n")], [], None),
    "jitter": (PRINT, [text_output("loss 0.1390 in 18 layers\n")], [], None),
    "moved": (PRINT, [text_output("loss 0.1381 in 18 layers\n")], [], "0.1381 -> 0.1391 (moved by 0.001"),
    "integer": (PRINT, [text_output("loss 0.1391 in 17 layers\n")], [], "17 -> 18 (a number without"),
    "word": (PRINT, [text_output("cost 0.1391 in 18 layers\n")], [], "stored: cost 0.1391 in 18 layers"),
    "missing": ("x = 1", [text_output("1\n")], [], "stdout: 0 outputs now, 1 stored"),
    "new": (PRINT, [], [], "stdout: 1 outputs now, 0 stored"),
    "figure": (SHOW, [image_output()], [], None),
    "other figure": (SHOW, [image_output(spot=9)], [], "RMS pixel distance"),
    "other size": (SHOW, [image_output(size=(60, 40))], [], "60 x 35 pixels, stored are 60 x 40"),
    "other alt": (SHOW, [image_output(alt="Black, 60 by 35")], [], "alt text, line 1: the text differs"),
    "no figure": (SHOW, [], [], "image/png: 1 outputs now, 0 stored"),
    "timing": (PRINT, [text_output("loss 7 in 18.5 layers\n")], ["timing"], None),
    "timing word": (PRINT, [text_output("cost 7 in 1 layers\n")], ["timing"], "the text differs"),
    "timing figure": (SHOW, [image_output(size=(9, 9))], ["timing"], None),
    "timing no figure": (SHOW, [], ["timing"], "image/png: 1 outputs now, 0 stored"),
    "semicolon": ("1 + 1;", [], [], None),
    "ignored": (PRINT, [text_output("else\n")], ["nbval-ignore-output"], None),
    "error": ("raise ValueError('0.50')", [error_output("0.51")], ["raises-exception"], None),
    "other error": ("raise ValueError('a')", [error_output("b")], ["raises-exception"], "stored: b"),
    "unrun": ("x = 1", None, [], "stored without being run"),
    "skipped": ("1 / 0", None, ["nbval-skip"], None),
}


def write_notebook(path, cells):
    notebook = nbformat.v4.new_notebook()
    for count, (source, outputs, tags, _) in enumerate(cells, 1):
        cell = nbformat.v4.new_code_cell(source, outputs=outputs or [], metadata={"tags": tags})
        cell.execution_count = None if outputs is None else count
        notebook.cells.append(cell)
    path.write_text(nbformat.writes(notebook))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The result of nbval over two notebooks: {cell: what its failure says, or None}."""
    folder = tmp_path_factory.mktemp("nbval")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    write_notebook(folder / "cells.ipynb", CELLS.values())
    write_notebook(folder / "dead.ipynb", [("import os\nos._exit(1)", [], [], None)])
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    options = "-p tools.nbval_tolerance --nbval --nbval-current-env --color=no"
    subprocess.run(
        [sys.executable, "-m", "pytest", *options.split(), "--junitxml=report.xml"],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
    )
    cases = ElementTree.parse(folder / "report.xml").iter("testcase")
    failures = {}
    for case in cases:
        failure = case.find("failure")
        failures[f"{case.get('classname')} {case.get('name')}"] = None if failure is None else failure.text
    return failures


@pytest.mark.parametrize("name", CELLS)
def test_cells_under_nbval(report, name):
    [failure] = [
        text for cell, text in report.items() if cell == f"cells.ipynb Cell {list(CELLS).index(name)}"
    ]
    wanted = CELLS[name][3]
    assert failure is None if wanted is None else wanted in failure


def test_a_dead_kernel_is_noticed(report):
    [failure] = [text for cell, text in report.items() if "dead" in cell]
    assert "the kernel died" in failure
