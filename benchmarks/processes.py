"""An object in a process of its own, called from here: what one library does with its threads disturbs no other."""

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection


class ChildError(RuntimeError):
    """A call failed in the other process; the message is its traceback."""


class Child:
    """`factory(*arguments)`, made in a fresh Python process that sees `threads` cores.

    One that waits for a call computes nothing, so several can live while they take turns.
    """

    def __init__(
        self, factory: Callable, *arguments: object, threads: int, environment: dict[str, str] | None = None
    ) -> None:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._connection = ours
        self._process = context.Process(
            target=_serve, args=(theirs, threads, factory, arguments), daemon=True
        )
        with _environment({**_quiet_and_equal(threads), **(environment or {})}):
            self._process.start()
        theirs.close()
        self._receive()

    def call(self, method: str, *arguments: object) -> object:
        """What `method` returns there.

        Raises:
            ChildError: it raised something, or the process ended.
        """
        self._connection.send((method, arguments))
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._connection.close()  # which it takes for the end
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def _receive(self) -> object:
        try:
            failed, answer = self._connection.recv()
        except EOFError:
            self._process.join(timeout=10)
            raise ChildError(f"the process ended (status {self._process.exitcode}): out of memory?") from None
        if failed:
            raise ChildError(answer)
        return answer


def _quiet_and_equal(threads: int) -> dict[str, str]:
    """Environment of every child: as many threads each, no network, and no program compiled by an earlier run."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **dict.fromkeys(pools, str(threads)),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TQDM_DISABLE": "1",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
    }


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """This process's environment with `values`, for a moment: a child inherits it."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(connection: Connection, threads: int, factory: Callable, arguments: tuple) -> None:
    """Make the object, then answer calls until the other side is gone."""
    if hasattr(os, "sched_setaffinity"):  # XLA takes as many threads as there are cores in sight
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    failed, instance = _attempt(factory, arguments)
    connection.send((failed, instance if failed else None))
    while not failed:
        try:
            method, values = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_attempt(getattr(instance, method), values))


def _attempt(function: Callable, values: tuple) -> tuple[bool, object]:
    """Whether the call failed, and its result or its traceback."""
    try:
        return False, function(*values)
    except Exception:
        return True, traceback.format_exc()
