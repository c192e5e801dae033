"""Record every computation that JAX compiles in this process, lowered a second time for a TPU. No TPU is needed.

What a notebook runs on the CPU goes through `jax.jit`, or is a single operation, which JAX compiles likewise. Both pass
one function of JAX, `lower_sharding_computation`, once for each function, shape and sharding. While the capture is on,
that function is called twice: as asked, and with the TPU as the platform, so that choices by platform
(`jax.lax.platform_dependent`, operations with a rule of their own for TPUs) fall as they would there. The second result
is a program in StableHLO, a file that `tpu_compiler` takes to the TPU's compiler in another process.

The function is private to JAX and may move. So JAX's own count of compilations, which is public, is recorded beside:
what was compiled but not captured is seen, and a capture that no longer captures fails instead of passing.

Not seen: Python branches on `jax.default_backend()`, of which only the CPU's is taken here; arrays that live between
computations; time.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
from IPython import get_ipython
from jax._src import config, core
from jax._src.interpreters import pxla
from jax.extend.core import jaxpr_as_fun

from gemma_edu.compare.traced_flops import flops_of
from gemma_edu.scaling import tpu_rounding

COMPILED = "/jax/core/compile/backend_compile_duration"
"""JAX's name for the event of one compilation."""
ROWS = "rows.jsonl"
HOST_CALLS = ("pure_callback", "io_callback", "debug_callback", "debug_print")
"""Operations that call Python on the host; a program with one holds an address of this process: no other can compile
it."""


def start(folder: str | Path) -> Callable[[], None]:
    """Capture from now on into `folder`; the function that is returned ends it.

    rows.jsonl gets one line for each captured computation: `name`, `cell` (of a notebook, counted from the one that
    calls this as 1; null elsewhere), `arguments`, `devices`, `flops` (of its matrix products, null where a loop's turns
    are unknown), `rounded` (how many of its products a TPU computes from rounded float32 factors), and one of `program`
    (the file PROGRAM.mlir beside it), `host_calls` (their names; such a computation is not lowered) or `error`. Each of
    JAX's own compilations adds a line with `compiled`, its name. Equal programs share a file: its name is a hash of the
    text without places in source files.

    Raises:
        RuntimeError: if a capture is on already.
    """
    as_asked = pxla.lower_sharding_computation
    if isinstance(other := getattr(as_asked, "__self__", None), _Capture):
        raise RuntimeError(f"a capture into {other.folder} is on already; end that one first")
    capture = _Capture(Path(folder), as_asked, get_ipython())
    pxla.lower_sharding_computation = capture.lower
    jax.monitoring.register_event_duration_secs_listener(capture.count)
    if capture.shell:
        capture.shell.events.register("pre_run_cell", capture.next_cell)
    return capture.stop


class _Capture:
    """What stands in the place of JAX's function while a capture is on."""

    def __init__(self, folder: Path, as_asked: Callable, shell):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.as_asked, self.shell = folder, as_asked, shell
        self.cell = 1 if shell else None  # IPython's own count moves before or after a cell, by its version

    def lower(self, jaxpr, api_name, name, *arguments, lowering_platforms=None, **options):
        """JAX's function as asked, and a second time for a TPU."""

        def lowered_for(platforms):
            return self.as_asked(jaxpr, api_name, name, *arguments, lowering_platforms=platforms, **options)

        result = lowered_for(lowering_platforms)
        if lowering_platforms is None:  # else the notebook itself names a platform, and means to
            in_shardings, out_shardings = arguments[:2]
            row = {
                "name": f"jit({name})",
                "cell": self.cell,
                "arguments": ", ".join(a.str_short(short_dtypes=True) for a in jaxpr.in_avals),
                "devices": max(getattr(s, "num_devices", 1) for s in (None, *in_shardings, *out_shardings)),
                "flops": _flops(jaxpr),
                "rounded": sum(map(_is_rounded, _equations(jaxpr))),
            }
            host_calls = sorted({e.primitive.name for e in _equations(jaxpr)} & {*HOST_CALLS})
            outcome = {"host_calls": host_calls} if host_calls else _store(self.folder, lowered_for)
            _append(self.folder, row | outcome)
        return result

    def count(self, event: str, _seconds: float, fun_name: str = "", **_) -> None:
        """Hear of an event of JAX."""
        if event == COMPILED:
            _append(self.folder, {"compiled": fun_name})

    def next_cell(self, _info) -> None:
        """Hear from IPython that a cell begins."""
        self.cell += 1

    def stop(self) -> None:
        """End the capture."""
        pxla.lower_sharding_computation = self.as_asked
        jax.monitoring.unregister_event_duration_listener(self.count)
        if self.shell:
            self.shell.events.unregister("pre_run_cell", self.next_cell)


def _store(folder: Path, lowered_for: Callable) -> dict[str, str]:
    """Lower for a TPU and write the program; its hash, or what JAX says against it."""
    try:
        # Without this, a kernel in Pallas would carry its places in files in its program, and in its hash.
        with config.traceback_in_locations_limit(0):
            module = lowered_for(("tpu",)).stablehlo()
    except Exception as error:  # whatever it is, it is what this notebook would die of on a TPU
        return {"error": f"lowering: {type(error).__name__}: {' '.join(str(error).split())[:600]}"}
    program = hashlib.sha256(str(module).encode()).hexdigest()[:16]
    path = folder / f"{program}.mlir"
    if not path.exists():
        with open(path, "wb") as file:
            module.operation.write_bytecode(file)
    return {"program": program}


def _append(folder: Path, row: dict) -> None:
    """One line more, at once: a kernel that dies must not take the account with it."""
    with open(folder / ROWS, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _flops(jaxpr) -> int | None:
    arguments = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in jaxpr.in_avals]
    try:
        return flops_of(jaxpr_as_fun(jaxpr), *arguments)
    except ValueError:  # matrix products in a while loop
        return None


def _is_rounded(equation) -> bool:
    dtypes = [x.aval.dtype for x in equation.invars if hasattr(x.aval, "dtype")]
    is_product = equation.primitive in tpu_rounding.PRODUCTS
    return is_product and tpu_rounding.is_rounded(equation.params["precision"], *dtypes)


def _equations(jaxpr) -> Iterator:
    """All operations with what they are applied to, those inside loops and branches included."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in core.jaxprs_in_params(equation.params):
            yield from _equations(inner)
