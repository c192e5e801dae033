"""What a lesson with checked exercises must have: complete exercises, ties to the package, a quiz.

These rules hold for the lessons that `gemma_edu.checks` has exercises for. Used by `notebook_rules.py`.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from nbformat import NotebookNode

from gemma_edu.checks import EXERCISES
from tools.notebook_format import Lesson
from tools.notebook_lesson_rules import is_assertion, nodes

PACKAGES = ("gemma_edu.numpy_model", "gemma_edu.jax_model")
OTHER_PACKAGES = {"01_tokenizer": ("gemma_edu.tokenizer",)}
"""What a lesson compares its own construction with where that is no part of the model."""
HINTS = 3
QUESTIONS = 3


@dataclass(frozen=True)
class LessonExercise:
    """An exercise as it stands in a lesson: its title, its markdown, its code cells."""

    title: str
    text: str
    cells: list[NotebookNode]

    @property
    def name(self) -> str | None:
        """What its check is called with; None unless there is exactly one."""
        found = [name for cell in self.cells for name in re.findall(r'\bcheck\("(\w+)", \w+\)', cell.source)]
        return found[0] if len(found) == 1 else None

    @property
    def effort(self) -> tuple[str, str] | None:
        """Its difficulty, of 5, and its minutes; None if it does not say."""
        found = re.search(r"\*Difficulty ([1-5]) of 5, (\d+) minutes?\.\*", self.text)
        return (found[1], found[2]) if found else None

    @property
    def folded_solution(self) -> bool:
        """Whether a cell holds the answer, marked and hidden."""
        return any(_is_solution(cell) for cell in self.cells)


def exercises_are_complete(lesson: Lesson) -> Iterator[str]:
    """Title, difficulty, minutes, skeleton, three hints, a folded solution and a check, for every exercise it has."""
    wanted = _names(lesson)
    if not wanted:
        return
    exercises = list(exercises_of(lesson))
    for exercise in exercises:
        where = f"exercise {exercise.title!r}"
        if exercise.effort is None:
            yield f"{where} does not say '*Difficulty d of 5, m minutes.*'"
        if "```python" not in exercise.text:
            yield f"{where} has no skeleton in a ```python block"
        if any(
            f"<details><summary>Hint {number}</summary>" not in exercise.text
            for number in range(1, HINTS + 1)
        ):
            yield f"{where} needs {HINTS} hints, <details><summary>Hint 1</summary>…</details> and so on"
        if not exercise.folded_solution:
            yield f"{where} has no folded solution: tags solution and hide-input, ### BEGIN/END SOLUTION"
        if exercise.name is None:
            yield f'{where} needs one cell with one check("name", name)'
    found = sorted(exercise.name for exercise in exercises if exercise.name)
    if found != sorted(wanted):
        yield f"checks {found}, but gemma_edu.checks has {sorted(wanted)} for this lesson"


def tied_to_the_package(lesson: Lesson) -> Iterator[str]:
    """Cells tagged `contract` assert that a function of the lesson's own equals the package's, in NumPy and in JAX."""
    if not _names(lesson):
        return
    cells = [(cell.metadata.get("tags", []), list(nodes(cell.source))) for _, cell in lesson.code_cells()]
    own = {
        node.name
        for tags, cell in cells
        for node in cell
        if isinstance(node, ast.FunctionDef) and "solution" not in tags
    }
    contract = [cell for tags, cell in cells if "contract" in tags]
    used = {node.id for cell in contract for node in cell if isinstance(node, ast.Name)}
    if not own & used:
        yield "no cell tagged contract calls a function that the lesson defines; compare your own with the package's"
    for package in OTHER_PACKAGES.get(lesson.name, PACKAGES):
        if not _imported_from(package, [node for _, cell in cells for node in cell]) & used:
            yield f"no cell tagged contract uses anything of {package}; compare your own construction with it"
    if not all(any(map(is_assertion, cell)) for cell in contract):
        yield "a cell tagged contract asserts nothing; end it with np.testing.assert_allclose"


def quiz(lesson: Lesson) -> Iterator[str]:
    """A section of three questions whose answers are folded."""
    if not _names(lesson):
        return
    cells = [text for _, text in lesson.markdown() if re.search(r"^## What breaks if", text, re.MULTILINE)]
    if len(cells) != 1:
        yield f"{len(cells)} cells with a heading '## What breaks if…'; the quiz is one cell"
    elif (answers := cells[0].count("<details><summary>Answer</summary>")) != QUESTIONS:
        yield f"the quiz has {answers} folded answers, <details><summary>Answer</summary>…; it should have {QUESTIONS}"


def skipped_cells_are_sliders(lesson: Lesson) -> Iterator[str]:
    """A cell that the tests never run may only move a figure: it calls a function that another cell calls too."""
    cells = [(where, cell.metadata.get("tags", []), cell.source) for where, cell in lesson.code_cells()]
    drawn = {name for _, tags, source in cells if "nbval-skip" not in tags for name in _called(source)}
    drawn &= {name for _, _, source in cells for name in re.findall(r"^def (\w+)", source, re.MULTILINE)}
    for where, tags, source in cells:
        if "nbval-skip" in tags and not ("from ipywidgets import" in source and _called(source) & drawn):
            yield f"{where} is tagged nbval-skip, which is for sliders that call the function of a figure above"


EXERCISE_RULES: tuple[Callable[[Lesson], Iterator[str]], ...] = (
    exercises_are_complete,
    tied_to_the_package,
    quiz,
    skipped_cells_are_sliders,
)


def _names(lesson: Lesson) -> list[str]:
    return [exercise.name for exercise in EXERCISES.values() if exercise.lesson == lesson.name]


def exercises_of(lesson: Lesson) -> Iterator[LessonExercise]:
    """What stands under each heading '### n · title', up to the next heading of its rank or higher."""
    current = None
    for cell in lesson.notebook.cells:
        markdown = cell.cell_type == "markdown"
        if markdown and (heading := re.findall(r"^(##|### \d+ ·) +(.+)", cell.source, re.MULTILINE)):
            if current is not None:
                yield current
            mark, title = heading[-1]
            current = LessonExercise(title, cell.source, []) if mark != "##" else None
        elif current is not None and markdown:
            current = replace(current, text=f"{current.text}\n{cell.source}")
        elif current is not None:
            current.cells.append(cell)
    if current is not None:
        yield current


def _is_solution(cell: NotebookNode) -> bool:
    marked = all(f"### {word} SOLUTION" in cell.source for word in ("BEGIN", "END"))
    return marked and {"solution", "hide-input"} <= set(cell.metadata.get("tags", []))


def _called(source: str) -> set[str]:
    """The names of the functions that a cell calls."""
    return {n.func.id for n in nodes(source) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def _imported_from(package: str, syntax: list[ast.AST]) -> set[str]:
    """The names under which a lesson knows modules and functions of a package."""
    return {
        alias.asname or alias.name
        for node in syntax
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}.")
        for alias in node.names
    }
