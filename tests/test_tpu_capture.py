"""Every computation is captured, lowered for a TPU, and counted as JAX counts."""

import json
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.interpreters import mlir, pxla
from jax._src.lib.mlir import ir

from gemma_edu.jax_model.products import product
from gemma_edu.scaling import tpu_capture


@pytest.fixture
def captured(tmp_path):
    """A function that runs another one under capture: the rows of its computations, and JAX's own count by name."""

    def run(function):
        jax.clear_caches()
        (tmp_path / tpu_capture.ROWS).unlink(missing_ok=True)
        stop = tpu_capture.start(tmp_path)
        try:
            function()
        finally:
            stop()
        rows = [json.loads(line) for line in (tmp_path / tpu_capture.ROWS).read_text().splitlines()]
        return (
            [row for row in rows if "name" in row],
            Counter(row["compiled"] for row in rows if "compiled" in row),
        )

    return run


def text_of(folder, row):
    """The captured program, as StableHLO text."""
    with mlir.make_ir_context():
        return str(ir.Module.parse((folder / f"{row['program']}.mlir").read_bytes()))


def everything():
    """Jitted and single operations, gradients, loops, several shapes."""
    x = jnp.linspace(0, 1, 12).reshape(3, 4)
    for rows in (1, 2, 3):
        jax.jit(lambda x: jnp.sin(x) @ x.T)(x[:rows])
    jax.grad(lambda x: (x * x).sum())(x)
    jax.lax.scan(lambda carry, row: (carry + row.sum(), None), 0.0, x)
    jnp.sort(x), jnp.fft.fft(x), jax.random.normal(jax.random.key(0), (5,))


def test_as_many_are_captured_as_jax_compiles(captured):
    rows, compiled = captured(everything)
    assert sum(compiled.values()) > 20
    assert Counter(row["name"] for row in rows) == compiled
    assert all("program" in row and row["cell"] is None and row["devices"] == 1 for row in rows)


def test_equal_programs_share_a_file_and_others_do_not(captured, tmp_path):
    def twice():
        for shape in ((3, 4), (3, 4), (4, 3)):
            jax.jit(lambda x: x * 2)(np.zeros(shape))  # a new function each time, so compiled each time

    rows, _ = captured(twice)
    assert [row["arguments"] for row in rows] == ["f32[3,4]", "f32[3,4]", "f32[4,3]"]
    first, again, other = (row["program"] for row in rows)
    assert first == again != other
    assert {path.stem for path in tmp_path.glob("*.mlir")} == {first, other}


KERNEL = """
import jax
from jax.experimental import pallas as pl

def double(x):
    def kernel(x_ref, y_ref):
        y_ref[...] = 2 * x_ref[...]
    return pl.pallas_call(kernel, jax.ShapeDtypeStruct(x.shape, x.dtype))(x)

def by_platform(x):
    return jax.lax.platform_dependent(x, tpu=double, default=lambda x: 2 * x)
"""


def test_a_program_is_the_same_wherever_its_source_stands(captured):
    def computes(place, line):
        names = {}
        exec(compile("\n" * line + KERNEL, place, "exec"), names)
        rows, _ = captured(lambda: jax.jit(names["by_platform"])(np.ones((8, 128), np.float32)))
        return rows[-1]["program"]

    assert computes("here.py", 1) == computes("folder/there.py", 7)


def test_products_that_a_tpu_rounds_are_counted(captured):
    x = np.ones((3, 3), np.float32)

    def products(x):
        rounded = jax.lax.scan(lambda y, _: (y @ x, None), x, length=2)[0]
        return rounded, jnp.matmul(x, x, precision="highest"), x.astype(int) @ x.astype(int)

    with jax.default_matmul_precision("default"):
        rows, _ = captured(lambda: jax.jit(products)(x))
    assert rows[0]["rounded"] == 1


def test_a_choice_by_platform_falls_as_on_a_tpu(captured, tmp_path):
    x, w = np.ones((1, 10), jnp.bfloat16), np.ones((10, 14), jnp.bfloat16)
    one_row = jax.jit(lambda x, w: product("TD,DF->TF", x, w))
    assert "tensor<2x10xbf16>" in one_row.lower(x, w).as_text()  # a CPU takes the row twice
    rows, _ = captured(lambda: one_row(x, w))
    text = text_of(tmp_path, rows[0])
    assert "dot_general" in text and "tensor<2x10xbf16>" not in text


def test_loops_count_as_often_as_they_turn(captured):
    w = np.ones((10, 10), np.float32)

    def unknown(x):
        return jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ w, x)

    rows, _ = captured(lambda: jax.jit(lambda x: jax.lax.scan(lambda x, _: (x @ w, None), x, length=7))(w))
    assert rows[0]["flops"] == 7 * 2 * 10**3
    rows, _ = captured(lambda: jax.jit(unknown)(w))
    assert rows[0]["flops"] is None


def test_a_call_of_the_host_is_named_and_not_lowered(captured, tmp_path):
    def prints(x):
        return jax.lax.cond(x > 0, lambda x: jax.debug.print("{x}", x=x), lambda x: None, x)

    def calls(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), np.float32), x)

    rows, _ = captured(lambda: (jax.jit(prints)(0.0), jax.jit(calls)(0.0)))
    assert [row["host_calls"] for row in rows] == [["debug_print"], ["pure_callback"]]
    assert not any("program" in row for row in rows) and not list(tmp_path.glob("*.mlir"))


def test_an_operation_without_a_rule_for_tpus_is_an_error_of_its_row_alone(captured):
    rows, _ = captured(lambda: (jnp.linalg.eig(np.eye(3)), jnp.sin(np.ones(3))))
    failed = {row["name"]: row["error"] for row in rows if "error" in row}
    assert list(failed) == ["jit(eig)"]
    assert "rule for primitive 'eig' not found for platform tpu" in failed["jit(eig)"]
    assert any(row["name"] == "jit(sin)" and "program" in row for row in rows)


def test_a_platform_that_the_notebook_names_is_left_alone(captured):
    rows, _ = captured(
        lambda: (jax.jit(jnp.sin).trace(1.0).lower(lowering_platforms=("tpu",)), jnp.cos(np.ones(2)))
    )
    assert [row["name"] for row in rows] == ["jit(cos)"]


def test_one_capture_at_a_time_and_none_afterwards(tmp_path):
    before = pxla.lower_sharding_computation
    stop = tpu_capture.start(tmp_path / "first")
    with pytest.raises(RuntimeError, match="a capture into .*first is on already"):
        tpu_capture.start(tmp_path / "second")
    stop()
    assert pxla.lower_sharding_computation is before
    jax.jit(lambda x: x + 1)(1.0)
    assert not (tmp_path / "first" / tpu_capture.ROWS).exists()
