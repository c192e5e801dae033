"""Several processes on one machine that compute as one: what a pod's hosts do, over loopback.

Each process runs the same program, on devices of its own. After `join`, `jax.devices()` lists those of all; arrays on
a mesh of them are spread over processes, and what is jitted runs in all at once, with messages through gloo.

`launch(program)` starts them, and ends them all when one dies. Left alone, the others would wait for its messages until
JAX misses its heartbeat, 100 s later; gloo does not notice. On real machines something else does (Kubernetes, a
TPU VM's runner), and the program is the same.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ADDRESS, COUNT, NUMBER, DEVICES = (
    "GEMMA_EDU_" + name for name in ("COORDINATOR", "PROCESSES", "PROCESS", "DEVICES")
)
"""Environment variables through which `launch` tells `join` who it is."""


class ProcessError(RuntimeError):
    """A process failed, died, or took too long; the message says which, how, and what it said last."""


def join(seconds: int | float = 60) -> None:
    """Become one of the processes that `launch` started. Call it before anything is computed.

    Raises:
        ProcessError: outside `launch`, or when the others have not come after so many seconds.
    """
    import jax

    if ADDRESS not in os.environ:
        raise ProcessError(f"this program was not started by processes.launch: {ADDRESS} is not set")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", int(os.environ[DEVICES]))
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            os.environ[ADDRESS],
            int(os.environ[COUNT]),
            int(os.environ[NUMBER]),
            initialization_timeout=int(seconds),
        )
    except jax.errors.JaxRuntimeError as error:
        raise ProcessError(f"the other processes did not come within {seconds} s: {error}") from error
    sys.excepthook = _end


def _end(*error) -> None:
    """Say what went wrong and leave at once: JAX would first wait for the others, who wait for us, and then abort."""
    sys.__excepthook__(*error)
    sys.stderr.flush()
    os._exit(1)


def launch(
    program: Sequence[str | Path],
    count: int = 2,
    devices: int = 4,
    seconds: int | float = 300,
    grace: int | float = 5,
) -> list[str]:
    """Run `python *program` in `count` processes of `devices` CPU devices each; what each wrote to its stdout.

    The program calls `join` first. When one process ends badly the others wait for its messages; they get `grace`
    seconds to say so, and are killed.

    Raises:
        ProcessError: naming the process that failed first, or those that still ran after `seconds`.
    """
    address = f"127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        running = [
            _start(
                program, Path(folder), number, {ADDRESS: address, COUNT: str(count), DEVICES: str(devices)}
            )
            for number in range(count)
        ]
        try:
            _wait(running, seconds, grace, Path(folder))
        finally:
            for process in running:
                process.kill()
                process.wait()
        return [_printed(Path(folder), number) for number in range(count)]


def _start(program, folder: Path, number: int, told: dict[str, str]) -> subprocess.Popen:
    """One process, writing to files: a pipe that nobody reads would fill up and stop it."""
    environment = {**os.environ, **told, NUMBER: str(number)}
    with open(_path(folder, number, "out"), "w") as out, open(_path(folder, number, "err"), "w") as err:
        command = [sys.executable, *map(str, program)]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)


def _wait(running: list[subprocess.Popen], seconds: int | float, grace: int | float, folder: Path) -> None:
    """Return when all have ended well; raise soon after one has not."""
    deadline = time.monotonic() + seconds
    failed: list[int] = []
    while any(process.poll() is None for process in running):
        now = time.monotonic()
        if now > deadline:
            break
        failed += [n for n, process in enumerate(running) if process.poll() and n not in failed]
        if failed:
            deadline = min(deadline, now + grace)
        time.sleep(0.05)
    failed += [n for n, process in enumerate(running) if process.poll() and n not in failed]
    if failed:
        raise ProcessError(_account(failed[0], running, folder))
    late = [n for n, process in enumerate(running) if process.poll() is None]
    if late:
        raise ProcessError(
            f"processes {late} of {len(running)} still ran after {seconds} s: {_said(late[0], folder)}"
        )


def _account(first: int, running: list[subprocess.Popen], folder: Path) -> str:
    """What became of the process that failed first, and of the others."""
    code = running[first].returncode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return (
        f"process {first} of {len(running)} {how}; the others cannot go on without it. {_said(first, folder)}"
    )


def _said(number: int, folder: Path) -> str:
    words = _path(folder, number, "err").read_text()[-1500:].strip()
    return f"It wrote last:\n{words}" if words else "It wrote nothing to stderr."


def _printed(folder: Path, number: int) -> str:
    """A process's stdout without what gloo says of its connections; its threads may write into each other's lines."""
    lines = _path(folder, number, "out").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if "[Gloo]" not in line and "peer ranks" not in line)


def _path(folder: Path, number: int, stream: str) -> Path:
    return folder / f"{number}.{stream}"


def _free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
