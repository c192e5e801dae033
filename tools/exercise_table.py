"""Write notebooks/exercises.md: every exercise of the course, and the mistakes that its check knows by name.

python tools/exercise_table.py
"""

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gemma_edu.checks import EXERCISES, every_mutant
from tools.notebook_exercise_rules import exercises_of
from tools.notebook_format import load_lesson

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "notebooks/exercises.md"

INTRODUCTION = """\
# The exercises, and the mistakes that their checks know

{exercises} exercises and {mutants} wrong versions of their answers, {shipped} of which published code once had. A check
tries an answer on awkward sizes. If the results are those of a version below, it says so, in the words of the third
column; whatever else is wrong it describes by how far off it is, and where.

Written by `tools/exercise_table.py`; a test keeps it up to date.
"""


def render(root: Path = ROOT) -> str:
    """The whole page."""
    mutants = [mutant for _, mutant in every_mutant()]
    counts = {
        "exercises": len(EXERCISES),
        "mutants": len(mutants),
        "shipped": sum(bool(mutant.shipped_by) for mutant in mutants),
    }
    ordered = sorted(EXERCISES.values(), key=lambda exercise: exercise.lesson)
    lessons = groupby(ordered, key=lambda exercise: exercise.lesson)
    sections = ["\n".join(_section(root, lesson)) for lesson, _ in lessons]
    return "\n".join([INTRODUCTION.format(**counts), *sections])


def _section(root: Path, lesson: str) -> Iterator[str]:
    """A lesson's heading and its table."""
    stored = load_lesson(root / f"notebooks/source/{lesson}.py", root)
    title = re.search(r"^# (.+)", stored.notebook.cells[0].source, re.MULTILINE)[1]
    yield f"## [{title}]({lesson}.ipynb)\n"
    yield "| exercise | wrong version | the results are | seen in |"
    yield "|---|---|---|---|"
    for number, exercise in enumerate(exercises_of(stored), 1):
        difficulty, minutes = exercise.effort
        shown = f"**{number} · {exercise.title}** `{exercise.name}`, difficulty {difficulty}, {minutes} min"
        for mutant in EXERCISES[exercise.name].mutants:
            words = (mutant.name.replace("_", " "), mutant.diagnosis, mutant.shipped_by)
            yield "| " + " | ".join([shown, *(word.replace("|", "\\|") for word in words)]) + " |"
            shown = ""
    yield ""


if __name__ == "__main__":
    TABLE.write_text(render(), encoding="utf-8")
    print(f"wrote {TABLE.relative_to(ROOT)}")
