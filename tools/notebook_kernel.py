"""Run a notebook from top to bottom in a fresh kernel of the Python that runs this tool."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tools.notebook_format import NotebookError, canonicalise


class ThisPython(AsyncKernelManager):
    """Starts the kernel of this interpreter, whatever else the user has registered as `python3`."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir=str(RESOURCES), **get_kernel_dict())


@dataclass(frozen=True)
class Run:
    """An executed notebook, how long it took, and the most memory its kernel held (None if unknown)."""

    notebook: NotebookNode
    seconds: float
    peak_mebibytes: int | None


def execute(name: str, notebook: NotebookNode, root: Path, cell_seconds: int) -> Run:
    """Run every cell of `notebook` in notebooks/ and keep its outputs, in canonical form. In place.

    Raises:
        NotebookError: if a cell fails, takes longer than `cell_seconds`, or ends its kernel.
    """
    current: list[NotebookNode] = []
    peaks: list[int | None] = [None]

    def remember_memory(**_: object) -> None:
        peaks.append(_peak_mebibytes(client.km.provisioner.pid))

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=ThisPython,
        timeout=cell_seconds,
        record_timing=False,
        coalesce_streams=True,
        skip_cells_with_tag="nbval-skip",
        extra_arguments=["--IPKernelApp.log_level=40"],  # it would warn of its own transport on stderr
        resources={"metadata": {"path": str(root / "notebooks")}},
        on_cell_execute=lambda cell, cell_index: current.append(cell),
        on_cell_executed=remember_memory,
    )
    started = time.perf_counter()
    try:
        client.execute(env=_environment(root))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise NotebookError(_failure(name, current, error, cell_seconds)) from None
    return Run(canonicalise(notebook), time.perf_counter() - started, peaks[-1])


def _environment(root: Path) -> dict[str, str]:
    """This environment, with the checkout first on the path: lessons show this code."""
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def _failure(name: str, cells: list[NotebookNode], error: Exception, cell_seconds: int) -> str:
    """Which cell failed, its source, and why, in few lines."""
    if isinstance(error, CellExecutionError):
        reason = f"{error.ename}: {error.evalue}"
    elif isinstance(error, CellTimeoutError):
        reason = f"took longer than {cell_seconds} s; make it faster or raise --cell-seconds"
    else:
        reason = "the kernel died; it may have run out of memory"
    source = "\n".join(f"    {line}" for line in cells[-1].source.splitlines()) if cells else ""
    return f"{name}: code cell {len(cells)} failed\n{source}\n  {reason}"


def _peak_mebibytes(pid: int) -> int | None:
    """The most memory a process ever held; Linux alone keeps the number, so None elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(peak.split()[1]) // 1024 if peak else None
