"""Building and running lessons in real kernels, from the command line: slow, so few."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import notebook_format, notebooks
from tools.notebook_lesson_rules import BADGE, SETUP_CELL
from tools.notebook_rules import check_lesson

CHECKOUT = Path(notebook_format.__file__).resolve().parent.parent
ALT = "A staircase of four steps, each 10 high."
LESSON = f"""\
# %% [markdown]
# # A lesson
# {BADGE.format(path="someone/course", name="03_steps")}

# %%
{SETUP_CELL.format(repository="https://github.com/someone/course")}

# %% [markdown]
# ## Steps

# %% unknown="dropped"
print("two\\nlines")
import matplotlib.pyplot as plt
from gemma_edu.figures import apply, show
apply()
fig, ax = plt.subplots()
ax.stairs([10, 20, 30, 40])
show(fig, "{ALT}")
assert 1 + 1 == 2
0.1 + 0.2

# %% [markdown]
# Division by nothing:

# %% tags=["raises-exception"]
1 / 0
"""


BROKEN = """\
# %%
x = 1

# %%
raise OSError("no disc")
"""
SLOW = "# %%\nimport time\n\n# %%\ntime.sleep(60)\n"
DEAD = "# %%\nimport os\nos._exit(1)\n"


def command(root, *arguments):
    """`python tools/notebooks.py ...` as a user types it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "tools/notebooks.py", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A checkout of its own with the tools, the drawing style, one good lesson and one whose cell fails."""
    root = tmp_path_factory.mktemp("course")
    (root / "notebooks/source").mkdir(parents=True)
    (root / "gemma_edu").mkdir()
    shutil.copytree(CHECKOUT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "gemma_edu/__init__.py", root / "gemma_edu")
    shutil.copytree(CHECKOUT / "gemma_edu/figures", root / "gemma_edu/figures")
    (root / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/someone/course"\n')
    (root / "notebooks/source/03_steps.py").write_text(LESSON)
    (root / "notebooks/source/04_broken.py").write_text(BROKEN)
    (root / "notebooks/04_broken.ipynb").write_text("old")
    return root


@pytest.fixture(scope="module")
def build(course):
    """What `build` says about both lessons."""
    return command(course, "build")


def test_build_stores_what_the_cells_show(course, build):
    assert "built 03_steps " in build.stdout, build.stdout + build.stderr
    assert check_lesson(course / "notebooks/source/03_steps.py", course) == []
    notebook = notebook_format.load_lesson(course / "notebooks/source/03_steps.py", course).notebook
    _, shown, failed = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stream, figure, value = shown.outputs
    assert stream.text == "two\nlines\n"
    assert figure.metadata["image/png"] == {"alt": ALT}
    assert value.data["text/plain"] == "0.30000000000000004"
    assert failed.outputs[0].traceback == ["ZeroDivisionError: division by zero"]
    assert failed.metadata == {"tags": ["raises-exception"]} and shown.metadata == {}
    assert "version" not in notebook.metadata.language_info


def test_a_failing_cell_is_shown_and_leaves_the_stored_notebook(course, build):
    assert build.returncode == 1
    message = '04_broken: code cell 2 failed\n    raise OSError("no disc")\n  OSError: no disc\n'
    assert message in build.stdout
    assert (course / "notebooks/04_broken.ipynb").read_text() == "old"
    files = sorted(path.name for path in (course / "notebooks").iterdir() if path.is_file())
    assert files == ["03_steps.ipynb", "04_broken.ipynb"]


def test_what_is_up_to_date_is_not_built_again(course, build, capsys):
    before = (course / "notebooks/03_steps.ipynb").stat()
    assert notebooks.main(["build", "03"], course) == 0
    assert capsys.readouterr().out == "nothing to build\n"
    assert (course / "notebooks/03_steps.ipynb").stat() == before


def test_run_reports_each_lesson_stores_none_and_repeats_every_byte(course, build):
    (course / "notebooks/source/05_dead.py").write_text(DEAD)
    stored = (course / "notebooks/03_steps.ipynb").read_bytes()
    result = command(course, "run", "03", "05", "--jobs", "2")
    assert result.returncode == 1
    assert "05_dead: code cell 1 failed\n    import os\n    os._exit(1)\n" in result.stdout
    assert "the kernel died" in result.stdout
    assert result.stdout.endswith("1 of 2 lessons ran\n")
    assert (course / "build/notebooks/03_steps.ipynb").read_bytes() == stored
    assert (course / "notebooks/03_steps.ipynb").read_bytes() == stored
    assert not (course / "notebooks/05_dead.ipynb").exists()


def test_a_cell_has_a_time_limit(course):
    (course / "notebooks/source/06_slow.py").write_text(SLOW)
    result = command(course, "run", "06", "--cell-seconds", "1")
    assert result.returncode == 1
    assert "06_slow: code cell 2 failed\n    time.sleep(60)\n  took longer than 1 s" in result.stdout


def test_a_project_without_address_is_told_so(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(notebook_format.NotebookError, match="Repository is ''"):
        notebook_format.repository_url(tmp_path)
