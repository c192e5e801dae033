"""The two forms of a lesson, its py:percent source and its canonical notebook. No kernel is needed here."""

import copy
import hashlib
import os
import re
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}
KEPT_CELL_METADATA = ("tags", "slideshow")


class NotebookError(Exception):
    """Something is wrong with a lesson or with what was asked; the message says what to do."""


def select_sources(root: Path, names: list[str]) -> list[Path]:
    """The lessons' sources in order, or those that `names` picks by name, path or first characters.

    Raises:
        NotebookError: if a name picks no lesson or more than one.
    """
    sources = sorted((root / "notebooks/source").glob("[0-9]*.py"))
    if not names:
        return sources
    chosen = []
    for name in names:
        stem = Path(name).name.removesuffix(".py").removesuffix(".ipynb")
        exact = [source for source in sources if source.stem == stem]
        found = exact or [source for source in sources if source.stem.startswith(stem)]
        if len(found) != 1:
            candidates = ", ".join(source.stem for source in found or sources) or "none"
            raise NotebookError(f"{name!r} picks {len(found)} lessons; choose one of: {candidates}")
        chosen += found
    return sorted(set(chosen))


def notebook_path(source: Path) -> Path:
    """Where the notebook of a source is stored: notebooks/source/NN_x.py -> notebooks/NN_x.ipynb."""
    return source.parent.parent / f"{source.stem}.ipynb"


def repository_url(root: Path) -> str:
    """The project's address on GitHub, as pyproject.toml gives it.

    Raises:
        NotebookError: if pyproject.toml has no such address.
    """
    with open(root / "pyproject.toml", "rb") as file:
        url = tomllib.load(file).get("project", {}).get("urls", {}).get("Repository", "")
    if not url.startswith("https://github.com/"):
        raise NotebookError(
            f"pyproject.toml: [project.urls] Repository is {url!r}; Colab's badge and the set-up cell need "
            "an address that starts with https://github.com/"
        )
    return url.rstrip("/").removesuffix(".git")


def from_source(source: Path) -> NotebookNode:
    """The notebook that a py:percent file describes, not yet run."""
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        # The id follows from the content, so that a rebuilt notebook keeps the ids of unchanged cells.
        content = f"{source.stem}\n{cell.cell_type}\n{cell.source}"
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return canonicalise(notebook)


def canonicalise(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs between runs and machines: versions, widget state, timings, tracebacks. In place."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO})
    for cell in notebook.cells:
        kept = {key: value for key, value in cell.metadata.items() if key in KEPT_CELL_METADATA}
        if "solution" in kept.get("tags", ()):
            kept["jupyter"] = {"source_hidden": True}  # folded in JupyterLab until the reader asks
        cell.metadata = nbformat.from_dict(kept)
        for output in cell.get("outputs", []):
            if output.output_type == "error":  # a wanted one; its frames would name this machine's folders
                output.traceback = [f"{output.ename}: {output.evalue}"]
    return notebook


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """A copy of the notebook as it was before it ran."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def dumps(notebook: NotebookNode) -> str:
    """The one way a notebook is written: sorted keys, indent 1, a newline at the end."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` so that a reader of `path` sees either the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)  # mkstemp gives 600, which git would not mind but a reader might
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@dataclass(frozen=True)
class Lesson:
    """A stored notebook, its JSON text, and what its source says it should be."""

    name: str
    root: Path
    text: str
    notebook: NotebookNode
    expected: NotebookNode

    def code_cells(self) -> list[tuple[str, NotebookNode]]:
        """The code cells, each with the words that a message calls it by."""
        cells = [cell for cell in self.notebook.cells if cell.cell_type == "code"]
        return [(f"code cell {number}", cell) for number, cell in enumerate(cells, 1)]

    def markdown(self) -> list[tuple[str, str]]:
        """The prose of the markdown cells, without code in it, each with what a message calls it by."""
        cells = [cell for cell in self.notebook.cells if cell.cell_type == "markdown"]
        return [(f"markdown cell {number}", prose(cell.source)) for number, cell in enumerate(cells, 1)]


def load_lesson(source: Path, root: Path) -> Lesson:
    """Read a lesson's stored notebook beside its source.

    Raises:
        NotebookError: if the notebook is missing or is no valid notebook.
    """
    path = notebook_path(source)
    try:
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise NotebookError(f"not built yet; {build_command(source.stem)}") from None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(f"not a valid notebook ({reason}); {build_command(source.stem)}") from None
    return Lesson(source.stem, root, text, notebook, from_source(source))


def build_command(name: str) -> str:
    """What to type to build one lesson, for messages."""
    return f"run: python tools/notebooks.py build {name}"


def prose(markdown: str) -> str:
    """Markdown without the code in it, where `# ` and `![` mean something else."""
    return re.sub(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]+`", "", markdown, flags=re.DOTALL | re.MULTILINE)
