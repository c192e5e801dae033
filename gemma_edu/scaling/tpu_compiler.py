"""The TPU's own compiler (XLA:TPU and Mosaic, in libtpu) on a machine without a TPU: does it accept a program, in how
much memory?

libtpu compiles ahead of time for a chip that is only described, here the TPU v5e on which a program has 15.75 GiB. It
plans the memory and refuses what does not fit. That a program compiles does not say how fast it runs, and nothing is
executed.

libtpu wants environment variables that would harm the process of a notebook, prints warnings wherever JAX starts and
finds it, and ends the process on some errors. So it is run in a process of its own, which may die; and it is best
installed not among the packages of a virtual environment but beside them, in the folder `BESIDE`:

    pip install --no-deps --target $(python -c "import sys; print(sys.prefix)")/libtpu "$(python -m
        gemma_edu.scaling.tpu_compiler --requirement)"
"""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

BESIDE = Path(sys.prefix) / "libtpu"
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # of JAX itself; the compiler is asked by name
    "TPU_SKIP_MDS_QUERY": "1",  # do not ask a cloud's metadata server what machine this is
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",  # this and the next only silence warnings
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_LOG_DIR": "disabled",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else one process at a time
    # Several times quicker than the default level; for Gemma 3 270M reading a prompt it plans 1 % less memory.
    "JAX_OPTIMIZATION_LEVEL": "O1",
}
TOPOLOGIES = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
"""Chips in a slice of TPU v5e → its name after `v5e:`."""


class CompilerError(Exception):
    """The compiler could not be run; that says nothing about any program."""


def version() -> str | None:
    """The version of libtpu, in `BESIDE` or among the packages; None if there is none."""
    found = metadata.distributions(name="libtpu", path=[str(BESIDE), *sys.path])
    return next((distribution.version for distribution in found), None)


def description() -> str | None:
    """Everything that a result depends on beside the program: `libtpu 0.0.42.1 for v5e at O1`; None without libtpu."""
    level = ENVIRONMENT["JAX_OPTIMIZATION_LEVEL"]
    return (found := version()) and f"libtpu {found} for v5e at {level}"


def requirement() -> str:
    """The libtpu that this JAX was released with, as `jax[tpu]` requires it: `libtpu==0.0.42.*` for JAX 0.10.2."""
    lines = (line.split(";")[0].strip() for line in metadata.requires("jax") or ())
    return next(line for line in lines if line.startswith("libtpu"))


def compile_folder(folder: Path) -> dict[str, dict]:
    """Compile each PROGRAM.mlir of a folder, in another process: program → `hbm`, bytes at the peak, or `error`.

    Each result is written beside its program, as PROGRAM.json, when it is there. If the process dies, the program that
    it was busy with is to blame, and another process goes on with the rest.

    Raises:
        CompilerError: if the compiler does not run at all.
    """
    package = Path(__file__).parents[2]
    path = [str(BESIDE), str(package), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    while _waiting(folder):
        command = [sys.executable, "-m", "gemma_edu.scaling.tpu_compiler", str(folder)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        if process.returncode > 0:
            raise CompilerError(f"the TPU's compiler does not run:\n{process.stderr[-2000:]}")
        if process.returncode < 0 and (left := _waiting(folder)):
            end = signal.Signals(-process.returncode).name
            error = f"the compiler's process died of {end}: {process.stderr[-400:]}"
            _write_result(left[0], {"error": error})
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def compile_program(program: bytes) -> dict:
    """Compile one program in this process, which needs `ENVIRONMENT` from its start: `hbm`, or `error`."""
    import jax
    import numpy as np
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax._src.lib.mlir import ir

    started = time.perf_counter()
    with mlir.make_ir_context():
        module = ir.Module.parse(program)
        chips = ir.IntegerAttr(module.operation.attributes["mhlo.num_partitions"]).value
        devices = _devices(chips)
        options = compiler.get_compile_options(1, chips, np.arange(chips)[None])
        if chips > 1:  # as JAX has it for arrays whose sharding is known
            options.executable_build_options.allow_spmd_sharding_propagation_to_parameters = [False]
            options.executable_build_options.allow_spmd_sharding_propagation_to_output = [False]
        try:
            executable = devices[0].client.compile(module, xla_client.DeviceList(devices), options)
        except jax.errors.JaxRuntimeError as error:
            return {"error": f"compiling: {type(error).__name__}: {' '.join(str(error).split())[:600]}"}
    hbm = executable.get_compiled_memory_stats().peak_memory_in_bytes
    return {"hbm": hbm, "seconds": round(time.perf_counter() - started, 3)}


@functools.cache
def _devices(chips: int) -> tuple:
    """The first `chips` of the smallest slice of TPU v5e that has so many."""
    from jax.experimental import topologies

    whole = min(size for size in TOPOLOGIES if size >= chips)
    one = {"chips_per_host_bounds": (1, 1, 1)} if whole == 1 else {}  # else a host has 2 by 2
    slice_ = topologies.get_topology_desc(platform="tpu", topology_name=f"v5e:{TOPOLOGIES[whole]}", **one)
    return tuple(slice_.devices[:chips])


def _waiting(folder: Path) -> list[Path]:
    """Programs without a result."""
    return [path for path in sorted(folder.glob("*.mlir")) if not path.with_suffix(".json").exists()]


def _write_result(program: Path, result: dict) -> None:
    program.with_suffix(".json").write_text(json.dumps(result))


if __name__ == "__main__":
    (argument,) = sys.argv[1:]
    if argument == "--requirement":
        print(requirement())
    else:
        _devices(1)
        for program in _waiting(Path(argument)):
            _write_result(program, compile_program(program.read_bytes()))
