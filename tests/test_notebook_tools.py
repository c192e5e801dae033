"""The lessons' tools: what `build`, `run` and `check` do, and each rule in a case where it fires."""

import re

import nbformat
import pytest

from tools import notebook_format, notebook_rules, notebooks
from tools.notebook_lesson_rules import BADGE, SETUP_CELL

REPOSITORY = "https://github.com/someone/course"
ALT = "A staircase of four steps, each 10 high."
PACKAGE = '''
def mean_of_squares(numbers):
    """The package's own words."""
    total = 0.0
    for number in numbers:
        total += number * number
    return total / len(numbers)
'''
PASTE = PACKAGE.replace("mean_of_squares", "mine").replace("The package's", "My")
LESSON = f"""\
# %% [markdown]
# # A lesson
# {BADGE.format(path="someone/course", name="03_steps")}

# %%
{SETUP_CELL.format(repository=REPOSITORY)}

# %% [markdown]
# ## Steps
# ![A staircase](stairs.png) and `![](code)` are fine.

# %%
print("two\\nlines")
assert 1 + 1 == 2
0.1 + 0.2

# %% [markdown]
# Only words here.

# %% tags=["slow", "raises-exception"] unknown="dropped"
1 / 0

# %% [markdown]
# ## A figure

# %%
from matplotlib import pyplot as plt
from gemma_edu.figures import apply, show
apply()
fig, ax = plt.subplots()
ax.stairs([10, 20, 30, 40])
show(fig, "{ALT}")
assert ax is not None
"""


def write_course(root, lesson=LESSON):
    """A course of one lesson, not yet built; returns the source's path."""
    (root / "notebooks/source").mkdir(parents=True)
    (root / "gemma_edu").mkdir()
    (root / "gemma_edu/numbers.py").write_text(PACKAGE)
    (root / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{REPOSITORY}"\n')
    source = root / "notebooks/source/03_steps.py"
    source.write_text(lesson)
    return source


def store(source, edit=lambda cells: None):
    """Write the notebook of `source` as if it had run, with `edit` done to its code cells."""
    notebook = notebook_format.from_source(source)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(cells, 1):
        cell.execution_count = count
    for cell in cells:
        if "raises-exception" in cell.metadata.get("tags", []):
            cell.outputs = [output("error", ename="ZeroDivisionError", evalue="x", traceback=["x"])]
    edit(cells)
    text = notebook_format.dumps(notebook_format.canonicalise(notebook))
    notebook_format.notebook_path(source).write_text(text)


def output(kind, **fields):
    return nbformat.v4.new_output(kind, **fields)


def figure(alt):
    return output("display_data", data={"image/png": "aGk="}, metadata={"image/png": {"alt": alt}})


@pytest.fixture
def source(tmp_path):
    return write_course(tmp_path)


def problems(source):
    return "\n".join(notebook_rules.check_lesson(source, source.parent.parent.parent))


def test_a_good_lesson_breaks_no_rule(source):
    store(source, lambda cells: cells[3].outputs.append(figure(ALT)))
    assert problems(source) == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("colab-badge", "badge", r"first cell must be markdown that contains\n\[!\[Open in Colab"),
        ("03_steps.ipynb", "04_other.ipynb", "blob/main/notebooks/03_steps.ipynb"),
        ('"--quiet"', '"-q"', "the first code cell must be\n# Set-up"),
        ("1 / 0", "%time 1 / 0", "code cell 3, line 1, is not plain Python: '%time 1 / 0'"),
        ("0.1 + 0.2", "0.1 + 0.2;  # a comment", "code cell 2 ends in ';'"),
        ("1 / 0", "x = 1\n" * 41, "code cell 3 has 41 lines; split it"),
        ("assert ", "x = 1\n" * 20 + "assert ", "the median code cell has 15.5 lines"),
        ("# %% [markdown]\n# Only words here.", "# %%\nx = 1", "3 markdown cells for 5 code cells"),
        ("assert ax is not None", "", "section 'A figure' has code but asserts nothing"),
        ("![A staircase](", "![ ](", r"markdown cell 2: '!\[ \]\(stairs.png' has no alt text"),
        ("![A staircase](stairs.png)", '<img src="a.png" alt="">', "markdown cell 2: '<img"),
        ("1 / 0", PASTE, r"mine\(\) is the body of gemma_edu/numbers.py:mean_of_squares\(\)"),
    ],
)
def test_rules_about_how_a_lesson_is_written(tmp_path, old, new, message):
    assert LESSON.count(old) >= 1
    source = write_course(tmp_path, LESSON.replace(old, new))
    store(source)
    found = problems(source)
    assert re.search(message, found), found


@pytest.mark.parametrize(
    "call", ["np.testing.assert_allclose(1, 1)", "assert_equal(1, 1)", "assert 1", 'check("f", f)']
)
def test_each_way_to_assert_counts(tmp_path, call):
    source = write_course(tmp_path, LESSON.replace("assert ax is not None", call))
    store(source)
    assert problems(source) == ""


@pytest.mark.parametrize(
    ("cell", "file", "code"),
    [
        ("def double(x):\n    return 2 * x", "double.py", "def twice(x):\n    return 2 * x\n"),
        (PASTE.replace("total", "summed"), "checks/exercises/sums.py", PACKAGE.replace("total", "summed")),
    ],
    ids=["a small function", "the solution that a check knows"],
)
def test_what_may_resemble_the_package(tmp_path, cell, file, code):
    source = write_course(tmp_path, LESSON.replace("1 / 0", f"{cell}\n1 / 0"))
    (tmp_path / "gemma_edu" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "gemma_edu" / file).write_text(code)
    store(source)
    assert problems(source) == ""


def set_count(cells):
    cells[1].execution_count = None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_count, "code cell 2 has execution count None, not 2"),
        (
            lambda cells: cells[1].outputs.append(output("stream", name="stderr", text="Watch out\n")),
            "code cell 2 writes to stderr ('Watch out')",
        ),
        (
            lambda cells: cells[1].outputs.append(output("error", ename="KeyError", evalue="", traceback=[])),
            "code cell 2 raises KeyError",
        ),
        (lambda cells: cells[2].outputs.clear(), "code cell 3 is tagged raises-exception but raises nothing"),
        (lambda cells: cells[3].outputs.append(figure("")), "code cell 4: image/png has alt text ''"),
        (lambda cells: cells[3].outputs.append(figure("A figure.")), "give at least 20 characters"),
        (
            lambda cells: cells[1].outputs.append(output("stream", name="stdout", text="at 0x7f12ab34cd")),
            "code cell 2 shows 'at 0x7f12ab34cd'",
        ),
        (
            lambda cells: cells[1].outputs.append(
                output("display_data", data={"text/plain": "'/home/eve/x'"})
            ),
            "code cell 2 shows '/home/'",
        ),
        (lambda cells: cells[1].update(source="x = 1"), "cell 4 differs from the source"),
        (lambda cells: cells[1].metadata.update(tags=["new"]), "cell 4 differs from the source"),
    ],
)
def test_rules_about_what_is_stored(source, edit, message):
    store(source, edit)
    assert message in problems(source)


@pytest.mark.parametrize("text", ["0x3f800000", "see https://example.org/home/page", "~/tmp/x"])
def test_bit_patterns_and_addresses_on_the_web_are_not_private(source, text):
    store(source, lambda cells: cells[1].outputs.append(output("stream", name="stdout", text=text)))
    assert problems(source) == ""


def test_a_notebook_written_by_another_tool_is_refused(source):
    store(source)
    path = notebook_format.notebook_path(source)
    path.write_text(path.read_text().replace('\n "metadata"', '\n  "metadata"'))
    assert "not written by the build" in problems(source)


def test_missing_and_broken_notebooks_are_named(source):
    assert "not built yet; run: python tools/notebooks.py build 03_steps" in problems(source)
    notebook_format.notebook_path(source).write_text("{")
    assert "not a valid notebook" in problems(source)


def test_cells_keep_their_ids_when_another_cell_changes(tmp_path):
    source = write_course(tmp_path)
    before = [cell["id"] for cell in notebook_format.from_source(source).cells]
    source.write_text(LESSON.replace("Only words", "Other words"))
    after = [cell["id"] for cell in notebook_format.from_source(source).cells]
    assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 1
    source.write_text("# %%\nx = 1\n\n# %%\nx = 1\n")
    first, second = (cell["id"] for cell in notebook_format.from_source(source).cells)
    assert first != second


def test_only_tags_and_slideshow_of_a_cells_metadata_are_kept(source):
    cells = notebook_format.from_source(source).cells
    assert {key for cell in cells for key in cell.metadata} == {"tags"}


def test_lessons_are_picked_by_number(source):
    root = source.parent.parent.parent
    assert notebook_format.select_sources(root, ["03", "notebooks/03_steps.ipynb"]) == [source]
    (source.parent / "03_more.py").write_text("")
    with pytest.raises(notebook_format.NotebookError, match="'03' picks 2 lessons; choose one of: 03_more"):
        notebook_format.select_sources(root, ["03"])


def test_an_unknown_lesson_is_a_bad_request(source, capsys):
    assert notebooks.main(["check", "99"], source.parent.parent.parent) == 2
    assert "'99' picks 0 lessons; choose one of: 03_steps" in capsys.readouterr().err


def test_check_reports_a_notebook_without_source(source, capsys):
    store(source)
    root = source.parent.parent.parent
    assert notebooks.main(["check"], root) == 0
    (root / "notebooks/09_lost.ipynb").write_text("{}")
    assert notebooks.main(["check"], root) == 1
    assert "09_lost: has no notebooks/source/09_lost.py" in capsys.readouterr().out
