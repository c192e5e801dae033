"""What every stored notebook must satisfy. Each rule is a small function that yields what is wrong.

The rules read the stored notebook and its source; none of them starts a kernel. Here are the rules about
the file and its outputs; those about how a lesson is written are in `notebook_lesson_rules.py`,
and those about its exercises in `notebook_exercise_rules.py`.
"""

import io
import re
import tokenize
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.notebook_exercise_rules import EXERCISE_RULES
from tools.notebook_format import (
    Lesson,
    NotebookError,
    build_command,
    canonicalise,
    dumps,
    load_lesson,
    without_outputs,
)
from tools.notebook_lesson_rules import LESSON_RULES

SHORTEST_ALT = 20


def check_lesson(source: Path, root: Path) -> list[str]:
    """Everything that is wrong with the stored notebook of `source`; an empty list if nothing is."""
    try:
        lesson = load_lesson(source, root)
    except NotebookError as error:
        return [f"{source.stem}: {error}"]
    return [f"{lesson.name}: {message}" for rule in RULES for message in rule(lesson)]


def in_sync_with_source(lesson: Lesson) -> Iterator[str]:
    """The notebook has the cells, tags and metadata that its source gives."""
    stored = without_outputs(lesson.notebook)
    if dumps(stored) == dumps(lesson.expected):
        return
    for number, (old, new) in enumerate(zip_longest(stored.cells, lesson.expected.cells), 1):
        if old != new:
            yield f"cell {number} differs from the source; {build_command(lesson.name)}"
            return
    yield f"notebook metadata is not the canonical one; {build_command(lesson.name)}"


def canonical_json(lesson: Lesson) -> Iterator[str]:
    """The file is written in the one canonical way."""
    if lesson.text != dumps(canonicalise(nbformat.from_dict(lesson.notebook))):
        yield f"not written by the build; {build_command(lesson.name)} --force"


def executed_in_order(lesson: Lesson) -> Iterator[str]:
    """Every cell was run, once, from top to bottom: nbval would pass an unrun cell unchecked."""
    expected = 0
    for where, cell in lesson.code_cells():
        skipped = "nbval-skip" in _tags(cell)
        expected += not skipped
        wanted = None if skipped else expected
        if cell.execution_count != wanted:
            yield f"{where} has execution count {cell.execution_count}, not {wanted}; build the notebook"


def no_trailing_semicolon(lesson: Lesson) -> Iterator[str]:
    """A value is hidden by not writing it, since tools disagree on what a last `;` hides."""
    for where, cell in lesson.code_cells():
        if _last_token(cell.source) == ";":
            yield f"{where} ends in ';'; write `_ = ...` to hide a value"


def no_stderr(lesson: Lesson) -> Iterator[str]:
    """No warnings or progress bars on stderr: they differ from run to run."""
    for where, output in _outputs(lesson):
        if output.output_type == "stream" and output.name == "stderr":
            first = output.text.strip().splitlines()[:1] or [""]
            yield f"{where} writes to stderr ({first[0][:80]!r}); fix the warning or print to stdout"


def errors_are_announced(lesson: Lesson) -> Iterator[str]:
    """A cell fails if and only if its tag says so."""
    for where, cell in lesson.code_cells():
        announced = "raises-exception" in _tags(cell)
        errors = [output.ename for output in cell.outputs if output.output_type == "error"]
        if errors and not announced:
            yield f"{where} raises {errors[0]}; fix it, or tag the cell raises-exception"
        if announced and not errors:
            yield f"{where} is tagged raises-exception but raises nothing; drop the tag"


def no_private_output(lesson: Lesson) -> Iterator[str]:
    """Outputs name no memory address and no folder of the machine that built them."""
    folders = [r"/(?:home|Users|root|tmp|private/var|var/folders)/", r"[A-Z]:\\Users\\"]
    folders += [re.escape(str(path)) for path in (lesson.root, Path.home()) if path != Path(path.anchor)]
    pattern = re.compile(rf"\bat 0x[0-9a-fA-F]{{6,}}|ipykernel_\d+|(?<![\w.~])(?:{'|'.join(folders)})")
    for where, output in _outputs(lesson):
        for text in _texts(output):
            if found := pattern.search(text):
                yield f"{where} shows {found[0]!r}, which other machines do not have; print something else"


def outputs_have_alt_text(lesson: Lesson) -> Iterator[str]:
    """Every figure carries a description for those who cannot see it."""
    for where, output in _outputs(lesson):
        for kind in output.get("data", {}):
            alt = output.metadata.get(kind, {}).get("alt", "")
            if kind.startswith("image/") and len(alt.strip()) < SHORTEST_ALT:
                yield (
                    f"{where}: {kind} has alt text {alt!r}; give at least {SHORTEST_ALT} characters, "
                    "with gemma_edu.figures.show(fig, alt)"
                )


RULES: tuple[Callable[[Lesson], Iterator[str]], ...] = (
    in_sync_with_source,
    canonical_json,
    executed_in_order,
    no_trailing_semicolon,
    no_stderr,
    errors_are_announced,
    no_private_output,
    outputs_have_alt_text,
    *LESSON_RULES,
    *EXERCISE_RULES,
)


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _outputs(lesson: Lesson) -> Iterator[tuple[str, NotebookNode]]:
    """Every output, each with the words that a message calls its cell by."""
    for where, cell in lesson.code_cells():
        for output in cell.outputs:
            yield where, output


def _texts(output: NotebookNode) -> list[str]:
    """What a reader can read of an output."""
    texts = [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return [*texts, output.get("text", ""), output.get("evalue", "")]


def _last_token(source: str) -> str:
    """The last token of a cell that is neither a comment nor a line end."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.DEDENT, tokenize.ENDMARKER)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):  # another rule says that this is no Python
        return source.rstrip()[-1:]
    return next((token.string for token in reversed(tokens) if token.type not in skipped), "")
