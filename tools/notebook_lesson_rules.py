"""How a lesson is written: what a reader meets in its cells. Used by `notebook_rules.py`."""

import ast
import re
import statistics
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from tools.notebook_format import Lesson, prose, repository_url

LONGEST_CELL = 40
LONGEST_MEDIAN = 8
SMALLEST_PASTE = 25
"""A function body of fewer syntax nodes is too small to have been copied from anywhere."""

SETUP_CELL = """\
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)"""

BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{path}/blob/main/notebooks/{name}.ipynb)"
)


def plain_python(lesson: Lesson) -> Iterator[str]:
    """Cells are Python that any tool can read, without magics."""
    for where, cell in lesson.code_cells():
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            yield f"{where}, line {error.lineno}, is not plain Python: {(error.text or '').strip()!r}"


def markdown_images_have_alt_text(lesson: Lesson) -> Iterator[str]:
    """`![what it shows](address)`, never `![](address)`."""
    for where, text in lesson.markdown():
        for image in re.findall(r"!\[\s*\][(\[][^)\]]*|<img\b[^>]*>", text):
            if not re.search(r"\balt\s*=\s*([\"'])\s*[^\"'\s]", image):
                yield f"{where}: {image[:60]!r} has no alt text; say what the picture shows"


def colab_badge(lesson: Lesson) -> Iterator[str]:
    """The first cell offers the lesson in Colab."""
    path = repository_url(lesson.root).removeprefix("https://github.com/")
    badge = BADGE.format(path=path, name=lesson.name)
    first = lesson.notebook.cells[0] if lesson.notebook.cells else None
    if first is None or first.cell_type != "markdown" or badge not in first.source:
        yield f"the first cell must be markdown that contains\n{badge}"


def setup_cell(lesson: Lesson) -> Iterator[str]:
    """The first code cell is the canonical set-up, letter for letter."""
    wanted = SETUP_CELL.format(repository=repository_url(lesson.root))
    cells = lesson.code_cells()
    if not cells or cells[0][1].source != wanted:
        yield f"the first code cell must be\n{wanted}"


def small_cells(lesson: Lesson) -> Iterator[str]:
    """Cells are read before they are run, so they are short."""
    lengths = {where: len(cell.source.splitlines()) for where, cell in lesson.code_cells()}
    for where, length in lengths.items():
        if length > LONGEST_CELL:
            yield f"{where} has {length} lines; split it, {LONGEST_CELL} is the most"
    median = statistics.median(lengths.values()) if lengths else 0
    if median > LONGEST_MEDIAN:
        yield f"the median code cell has {median:g} lines; {LONGEST_MEDIAN} is the most"


def more_prose_than_code(lesson: Lesson) -> Iterator[str]:
    """At least one markdown cell for each code cell."""
    prose_cells, code_cells = len(lesson.markdown()), len(lesson.code_cells())
    if prose_cells < code_cells:
        yield f"{prose_cells} markdown cells for {code_cells} code cells; write at least as many"


def assertion_in_every_section(lesson: Lesson) -> Iterator[str]:
    """Each `## ` section that has code asserts something, so that its claims cannot rot."""
    asserting: dict[str, bool] = {}
    section = None
    for cell in lesson.notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^## +(.+?)\s*$", prose(cell.source), flags=re.MULTILINE)
            section = headings[-1] if headings else section
        elif cell.cell_type == "code" and section is not None:
            skipped = "nbval-skip" in cell.metadata.get("tags", [])
            found = not skipped and any(is_assertion(node) for node in nodes(cell.source))
            asserting[section] = asserting.get(section, False) or found
    for section, found in asserting.items():
        if not found:
            yield f"section {section!r} has code but asserts nothing; assert what it claims"


def no_pasted_package_code(lesson: Lesson) -> Iterator[str]:
    """A lesson derives a function or imports it; it never holds a copy of the package's."""
    package = _package_bodies(lesson.root)
    for where, cell in lesson.code_cells():
        for name, body in _function_bodies(cell.source):
            if body in package:
                yield f"{where}: {name}() is the body of {package[body]}; import it instead"


LESSON_RULES: tuple[Callable[[Lesson], Iterator[str]], ...] = (
    colab_badge,
    setup_cell,
    plain_python,
    small_cells,
    more_prose_than_code,
    assertion_in_every_section,
    markdown_images_have_alt_text,
    no_pasted_package_code,
)


def nodes(source: str) -> Iterator[ast.AST]:
    """The syntax nodes of a cell; none where it is no Python, which another rule reports."""
    try:
        return ast.walk(ast.parse(source))
    except SyntaxError:
        return iter(())


def is_assertion(node: ast.AST) -> bool:
    """`assert ...`, a call of a function named assert_..., as in np.testing, or an exercise's check."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return name.startswith("assert_") or name == "check"
    return isinstance(node, ast.Assert)


def _function_bodies(source: str) -> Iterator[tuple[str, str]]:
    """Each function's name and its body as text, without docstring, comments and layout."""
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if sum(1 for statement in body for _ in ast.walk(statement)) >= SMALLEST_PASTE:
                yield node.name, "\n".join(ast.dump(statement) for statement in body)


@lru_cache
def _package_bodies(root: Path) -> dict[str, str]:
    """The body of every function in gemma_edu, and where it stands; answers to exercises stand in lessons, too."""
    return {
        body: f"{path.relative_to(root).as_posix()}:{name}()"
        for path in sorted((root / "gemma_edu").rglob("*.py"))
        if "checks" not in path.relative_to(root).parts
        for name, body in _function_bodies(path.read_text(encoding="utf-8"))
    }
