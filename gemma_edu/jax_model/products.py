"""Activations times weights, in the forms in which weights are read as fast as memory delivers them.

A GPU or a TPU does not mind how a product is written. XLA's compiler for CPUs does: it has quick code for some forms,
and for others first writes a float32 copy of all the weights. What each form of one product reached, with bfloat16
weights of 84 MB on two cores that read 30 GB/s (JAX 0.10):

    form                                           1 row      8 rows
    rows @ w, rounded to bfloat16 at once       1.6 GB/s    1.2 GB/s
    rows @ w, summed in float32                 1.5        12
    the row twice, @ w, summed in float32      14
    w stored by output, as `by_output` does    31          12

float32 weights are read at 20 to 24 GB/s by input and at 28 to 32 by output.
"""

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from gemma_edu.params import Params

LONG_ROW = 4096
"""From so many inputs on, XLA's CPU compiler has no quick code for one row with weights stored by output."""


@functools.partial(jax.tree_util.register_dataclass, data_fields=["matrix"], meta_fields=["shape"])
@dataclass(frozen=True)
class ByOutput:
    """A weight in another order of memory, but with the shape it had: the numbers that make one output lie together."""

    matrix: Float[Array, "outputs inputs"]
    """The weight turned and flat. Were it reshaped at each product, that would be eight times as slow as this."""
    shape: tuple[int, ...]
    """Inputs first, as everywhere else."""

    @property
    def dtype(self) -> jnp.dtype:
        """The numbers' type."""
        return self.matrix.dtype

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> Float[np.ndarray, "..."]:
        """The weight in the order that `shape` says, for NumPy and for `checkpoints.save`."""
        return np.asarray(self.matrix, dtype).T.reshape(self.shape)


def by_output(params: Params) -> Params:
    """The same weights with every matrix stored by output, which one row on a CPU is multiplied with fastest.

    The logits stay what they were, to rounding. A step of Gemma 3 270M takes 0.65 times as long in bfloat16, 0.8 times
    in float32. Nothing but `product` understands these. `checkpoints.load` can make them at once, without two copies
    of the model in memory.
    """

    def turn(path: tuple, weight: Float[Array, "..."]) -> Float[Array, "..."] | ByOutput:
        matrix = matrix_by_output(path[-1].name, weight)
        return weight if matrix is None else ByOutput(matrix, weight.shape)

    return jax.tree_util.tree_map_with_path(turn, params)


def matrix_by_output(name: str, weight: Shaped[Any, "..."]) -> Shaped[Any, "outputs inputs"] | None:
    """The weight of that name (`w_q`, `blocks.0.attention.w_q`) with a row for each output; None if it is no matrix."""
    name = name.split(".")[-1]
    if not name.startswith("w_"):
        return None
    inputs = math.prod(weight.shape[: 2 if name == "w_o" else 1])
    return weight.reshape(inputs, -1).T


def product(
    equation: str,
    x: Float[Array, "..."],
    w: Float[Array, "..."] | ByOutput,
    dtype: jax.typing.DTypeLike | None = None,
) -> Float[Array, "..."]:
    """`jnp.einsum(equation, x, w)` for activations x and weights w: summed in float32, rounded once to `dtype`.

    The axes summed over are the last of x, and the first or the last of w. Without `dtype` the result has x's.
    """
    letters, weight_letters, _ = re.split(",|->", equation)
    axes = sum(letter in weight_letters for letter in letters)
    inputs = math.prod(x.shape[-axes:])
    rows = x.reshape(-1, inputs)
    if isinstance(w, ByOutput):
        y, outputs = _by_output(rows, w.matrix), w.shape[axes:]
    elif weight_letters.endswith(letters[-axes:]):
        y, outputs = _by_output(rows, w.reshape(-1, inputs)), w.shape[:-axes]
    else:
        y, outputs = _by_input(rows, w.reshape(inputs, -1)), w.shape[axes:]
    return y.astype(dtype or x.dtype).reshape(*x.shape[:-axes], *outputs)


_summed_in_float32 = functools.partial(jnp.matmul, preferred_element_type=jnp.float32)
_with_rows_of = functools.partial(
    jax.lax.dot_general, dimension_numbers=(((1,), (1,)), ((), ())), preferred_element_type=jnp.float32
)


def _by_output(rows: Float[Array, "rows D"], w: Float[Array, "F D"]) -> Float[Array, "rows F"]:
    if len(rows) > 1:
        return _with_rows_of(rows, w)
    return jax.lax.platform_dependent(rows, w, cpu=_row_by_output, default=_with_rows_of)


def _row_by_output(row: Float[Array, "1 D"], w: Float[Array, "F D"]) -> Float[Array, "1 F"]:
    """One row on a CPU."""
    if row.shape[1] < LONG_ROW:
        # With the transpose written out, the compiler fuses it with the product. It would also fuse what made the row
        # and compute that again for every output (attention's output projection: five times as slow), were the row
        # not put together from halves.
        halves = jax.lax.optimization_barrier(jnp.array_split(row, 2, axis=1))
        return _summed_in_float32(jnp.concatenate(halves, axis=1), w.T)
    return _doubled(_with_rows_of, row, w) if w.dtype.itemsize < 4 else _with_rows_of(row, w)


def _by_input(rows: Float[Array, "rows D"], w: Float[Array, "D F"]) -> Float[Array, "rows F"]:
    if len(rows) > 1 or w.dtype.itemsize >= 4:
        return _summed_in_float32(rows, w)
    doubled = functools.partial(_doubled, _summed_in_float32)
    return jax.lax.platform_dependent(rows, w, cpu=doubled, default=_summed_in_float32)


def _doubled(multiply: Callable[..., Array], row: Float[Array, "1 D"], w: Array) -> Float[Array, "1 F"]:
    """Two equal rows, of whose results one is kept: for bfloat16 nine times as fast as one."""
    return multiply(jnp.repeat(row, 2, axis=0), w)[:1]
