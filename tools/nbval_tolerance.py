"""A pytest plugin on top of nbval: compare a notebook's outputs as a reader would.

    python -m pytest -p tools.nbval_tolerance --nbval --nbval-current-env notebooks

Numbers in text are compared as numbers, figures by their pixels and their alt text, all else exactly (see
`output_compare.py`). Cells tagged `timing` print measured speeds: their numbers and pixels are ignored. An
unrun cell fails, a value hidden by `;` stays hidden, a dead kernel is noticed at once. Without --nbval the
plugin does nothing. nbval's own tags and options keep their meaning.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from queue import Empty

import pytest
from nbval import plugin as nbval
from nbval.kernel import RunningKernel

from tools.output_compare import compare_png, compare_text

IGNORED = {"application/vnd.jupyter.widget-view+json"}  # it names a model by a random id
COMPARED_AS_TEXT = {"stdout", "stderr", "ename", "evalue"}
PATH_BEFORE = pytest.StashKey[str | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two ini options; their defaults suit outputs of float32 arithmetic on different processors."""
    parser.addini("nbval_rtol", "how far a printed number may move, relative to itself", default="1e-3")
    parser.addini("nbval_png_rms", "how far a figure's pixels may move (RMS, of 255)", default="2")


def pytest_configure(config: pytest.Config) -> None:
    """Put this plugin's kernel in the place of nbval's, which offers no hook for it."""
    if config.getoption("nbval", False) or config.getoption("nbval_lax", False):
        for name in ("nbval_rtol", "nbval_png_rms"):
            _setting(config, name)
        nbval.RunningKernel = PatientKernel
        # Kernels start in notebooks/, and what is tested is this checkout, not an installed copy.
        path = os.pathsep.join(filter(None, [str(config.rootpath), os.environ.get("PYTHONPATH")]))
        config.stash[PATH_BEFORE] = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = path


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nbval and the environment as they were."""
    if PATH_BEFORE in config.stash:
        nbval.RunningKernel = RunningKernel
        before = config.stash[PATH_BEFORE]
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let this plugin's cells do the comparing."""
    if type(item) is nbval.IPyNbCell:
        # The class cannot be replaced in nbval's module: its constructor finds its parent by that name.
        item.__class__ = TolerantCell


class PatientKernel(RunningKernel):
    """nbval's kernel, which runs cells as Jupyter does and is not waited for when it is dead."""

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> str:
        # IPython obeys a trailing `;` only in cells that it keeps in its history.
        return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        """Wait for the end of a cell in short steps, and look in between whether the kernel still lives."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return super().await_reply(msg_id, timeout=1)
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died; it may have run out of memory") from None
                if deadline is not None and time.monotonic() > deadline:
                    raise


class TolerantCell(nbval.IPyNbCell):
    """A notebook cell as a test, compared with tolerance."""

    def runtest(self) -> None:
        """Run the cell and compare, as nbval does; but refuse a cell that was stored without being run."""
        if self.cell.execution_count is None and self.cell.source.strip() and not self.options["skip"]:
            self.raise_cell_error("This cell was stored without being run; build the notebook")
        super().runtest()

    def compare_outputs(self, test: list, ref: list, skip_compare: object = None) -> bool:
        """Whether the outputs now (`test`) are those stored (`ref`); the account is kept for the report."""
        now, stored = _by_kind(test), _by_kind(ref)
        messages = []
        for kind in sorted(stored.keys() | now.keys()):
            old, new = stored.get(kind, []), now.get(kind, [])
            if len(old) != len(new):
                messages.append(f"{kind}: {len(new)} outputs now, {len(old)} stored")
                messages += [f"    {_excerpt(output)}" for output in (old if len(old) > len(new) else new)]
                continue
            for pair in zip(old, new, strict=True):
                messages += [f"{kind}, {message}" for message in self._compare(kind, *pair)]
        self.comparison_traceback = messages
        return not messages

    def _compare(self, kind: str, stored: object, now: object) -> list[str]:
        """What differs between two outputs of one kind."""
        timing = "timing" in self.cell.metadata.get("tags", [])
        rtol = _setting(self.config, "nbval_rtol")
        if kind == "image/png":
            (old, old_alt), (new, new_alt) = stored, now
            messages = [f"alt text, {m}" for m in compare_text(old_alt, new_alt, rtol, timing)]
            return messages + (
                [] if timing else compare_png(old, new, _setting(self.config, "nbval_png_rms"))
            )
        if isinstance(stored, str) and (kind in COMPARED_AS_TEXT or kind.startswith("text/")):
            return compare_text(self.sanitize(stored), self.sanitize(now), rtol, timing)
        return [] if stored == now else [f"stored: {_excerpt(stored)}\n    now:    {_excerpt(now)}"]


def _by_kind(outputs: list) -> dict[str, list]:
    """The outputs by stream name, MIME type or error field, grouped as nbval does: kinds may interleave."""
    kinds = defaultdict(list)
    for output in outputs:
        for kind, value in _parts(output):
            kinds[kind].append(value)
    return kinds


def _parts(output: dict) -> Iterator[tuple[str, object]]:
    """What of an output is compared."""
    if output["output_type"] == "stream":
        yield output["name"], output["text"]
    for kind, value in output.get("data", {}).items():
        if kind == "image/png":
            yield kind, (value, output.get("metadata", {}).get(kind, {}).get("alt", ""))
        elif kind not in IGNORED:
            yield kind, value
    if output["output_type"] == "error":
        yield from ((field, output[field]) for field in ("ename", "evalue"))


def _excerpt(value: object) -> str:
    """The start of an output, in one line."""
    text = f"figure ({value[1]})" if isinstance(value, tuple) else str(value)
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."


def _setting(config: pytest.Config, name: str) -> float:
    """An ini option as a number that is not negative.

    Raises:
        pytest.UsageError: if it is anything else.
    """
    text = config.getini(name)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise pytest.UsageError(f"ini option {name} is {text!r}; give a number of at least 0")
    return value
