"""The page of exercises is what the lessons and the checks say today."""

from gemma_edu.checks import EXERCISES, every_mutant
from tools.exercise_table import TABLE, render


def test_the_page_is_up_to_date():
    assert TABLE.read_text(encoding="utf-8") == render(), "run: make notebooks"


def test_every_exercise_and_every_wrong_version_is_in_it():
    page = render()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "wrong version" not in line]
    assert len(rows) == len(list(every_mutant()))
    assert all(line.count("|") - line.count("\\|") == 5 for line in rows)
    assert all(page.count(f"`{name}`, difficulty") == 1 for name in EXERCISES)
    assert all(mutant.diagnosis.replace("|", "\\|") in page for _, mutant in every_mutant())
