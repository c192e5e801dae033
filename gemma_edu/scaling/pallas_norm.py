"""RMSNorm as a kernel of our own, in Pallas: which part of which array is where, while the TPU computes with it.

A TPU's arrays live in HBM (16 GB on a v5e), and it computes with what is in VMEM (128 MiB). XLA decides what is moved
when; in Pallas we do, by cutting arrays into blocks. The grid is a loop over blocks: while one is computed, the next
comes in and the last goes out.

    x: 1024 rows of D = 2048           block (128, 2048), grid (8,)
    ┌──────────────────────┐
    │ block 0, rows 0…127  │  →  VMEM: x_ref (128, 2048), scale_ref (1, 2048)  →  y_ref (128, 2048)
    ├──────────────────────┤
    │ block 1, rows 128…   │     A row is never cut: its mean needs all of it.
    ├──────────────────────┤

XLA makes one such loop of `jax_model.norms.rms_norm` by itself. So this kernel gains no time; it is the smallest that
shows how kernels that do (attention, see Dao et al. 2022) are written. It has no gradient.
"""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas
from jaxtyping import Array, Float

ROWS = 128
"""Rows of a block. In float32 and with D = 3072 a block takes 1.5 MB, and four are in VMEM: two of x, two of y."""


def rms_norm(
    x: Float[Array, "*batch D"],
    scale: Float[Array, " D"],
    epsilon: float,
    unit_offset: bool,
    rows: int = ROWS,
    interpret: bool | None = None,
) -> Float[Array, "*batch D"]:
    """What `jax_model.norms.rms_norm` gives, by the kernel, `rows` rows at a time.

    `interpret` runs the kernel as ordinary JAX code, on any device; False compiles it, which needs a TPU; None
    compiles it on a TPU and interprets it elsewhere. The TPU keeps 8 rows of 128 numbers in a register and takes only
    blocks made of such tiles: `rows` must be a multiple of 8, or no less than x has. Interpreting does not ask for
    this, lowering for a TPU does, and needs none to be there:

        jax.jit(...).trace(x, scale).lower(lowering_platforms=("tpu",))

    Raises:
        ValueError: for rows that are no tiles, when this is lowered for a TPU.
    """
    width = x.shape[-1]
    flat = x.reshape(-1, width)
    rows = min(rows, len(flat))

    def call(flat, scale, interpret):
        of_rows = pallas.BlockSpec((rows, width), lambda number: (number, 0))  # in units of blocks
        return pallas.pallas_call(
            functools.partial(_kernel, epsilon=epsilon, offset=1.0 if unit_offset else 0.0),
            out_shape=jax.ShapeDtypeStruct(flat.shape, flat.dtype),
            grid=(pallas.cdiv(len(flat), rows),),  # the last block may hang over; what hangs over is dropped
            in_specs=[of_rows, pallas.BlockSpec((1, width), lambda number: (0, 0))],
            out_specs=of_rows,
            interpret=interpret,
        )(flat, scale.reshape(1, width))

    compiled, interpreted = (functools.partial(call, interpret=value) for value in (False, True))
    if interpret is not None:
        y = call(flat, scale, interpret)
    else:
        y = jax.lax.platform_dependent(flat, scale, tpu=compiled, default=interpreted)
    return y.reshape(x.shape)


def _kernel(x_ref, scale_ref, y_ref, *, epsilon: float, offset: float) -> None:
    """One block: read it from VMEM, compute in float32, write it back, rounded once."""
    x = x_ref[...].astype(jnp.float32)
    mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
    factor = scale_ref[...].astype(jnp.float32) + offset
    y_ref[...] = (x * jax.lax.rsqrt(mean_square + epsilon) * factor).astype(y_ref.dtype)
