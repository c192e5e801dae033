"""The kernel's values, interpreted; and what a TPU takes, by lowering and by its compiler."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import assert_close, normal

from gemma_edu.jax_model import norms
from gemma_edu.scaling import pallas_norm, tpu_compiler

pytestmark = pytest.mark.usefixtures("quick_compile")


def lowered(rows, shape=(3, 41, 256), dtype=jnp.float32):
    """The kernel for a TPU, from shapes alone."""
    kernel = jax.jit(partial(pallas_norm.rms_norm, epsilon=1e-6, unit_offset=True, rows=rows))
    x, scale = jax.ShapeDtypeStruct(shape, dtype), jax.ShapeDtypeStruct(shape[-1:], jnp.float32)
    return kernel.trace(x, scale).lower(lowering_platforms=("tpu",))


@pytest.mark.parametrize("unit_offset", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows", [200, 48, 5])
def test_it_is_rms_norm_whatever_the_block(rows, dtype, unit_offset):
    """123 rows in one block, in three of which the last hangs over, and in 25 that no TPU would take."""
    x, scale = jnp.asarray(3 * normal(3, 41, 256), dtype), jnp.asarray(normal(256, seed=1))
    y = pallas_norm.rms_norm(x, scale, 1e-2, unit_offset, rows, interpret=True)
    assert y.dtype == dtype
    expected = norms.rms_norm(x, scale, 1e-2, unit_offset)
    one_unit = 2**-7 if dtype == "bfloat16" else 1e-6  # sums in another order may round to the neighbour
    np.testing.assert_allclose(y.astype(jnp.float32), expected.astype(jnp.float32), rtol=one_unit, atol=0)


def test_it_finds_out_by_itself_whether_there_is_a_tpu():
    x, scale = jnp.asarray(normal(41, 256)), jnp.asarray(normal(256, seed=1))
    assert_close(pallas_norm.rms_norm(x, scale, 1e-6, True), norms.rms_norm(x, scale, 1e-6, True))
    assert "tpu_custom_call" in lowered(128).as_text()


def test_blocks_that_are_no_tiles_are_refused_for_a_tpu_only():
    for rows in (8, 48, 123):  # 123 is all that x has
        lowered(rows)
    for rows in (5, 12, 100):
        with pytest.raises(ValueError, match="divisible by 8 and 128"):
            lowered(rows)


@pytest.mark.skipif(tpu_compiler.version() is None, reason="no libtpu on this machine")
def test_the_tpus_compiler_takes_it_while_its_blocks_fit_vmem(tmp_path):
    """At Gemma 7B's width: 128 rows at a time, and 8192, of which four blocks are 400 MB."""
    for name, rows in {"fits": 128, "does_not": 8192}.items():
        with open(tmp_path / f"{name}.mlir", "wb") as file:
            lowered(rows, (2, 8192, 3072)).compiler_ir().operation.write_bytecode(file)
    results = tpu_compiler.compile_folder(tmp_path)
    array = 2 * 8192 * 3072 * 4
    assert 2 * array <= results["fits"]["hbm"] < 2.1 * array
    assert "vmem" in results["does_not"]["error"]
