"""Activations times weights, in the forms in which weights are read as fast as memory delivers them.

A GPU or a TPU does not mind how a product is written. XLA's compiler for CPUs does: it has quick code for some forms,
and for others first writes a float32 copy of all the weights. What each form of one product reached, with bfloat16
weights of 84 MB on two cores that read 30 GB/s (JAX 0.10):

    form                                           1 row      8 rows
    rows @ w, rounded to bfloat16 at once       1.6 GB/s    1.2 GB/s
    rows @ w, summed in float32                 1.5        12
    the row twice, @ w, summed in float32      14
    w stored by output, as `by_output` does    31          12

float32 weights are read at 27 to 33 GB/s in any of these.
"""

import functools
import math
import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gemma_edu.params import Params


@functools.partial(jax.tree_util.register_dataclass, data_fields=["outputs"], meta_fields=["inputs"])
@dataclass(frozen=True)
class ByOutput:
    """A weight in another order of memory, but with the shape it had: the numbers that make one output lie together."""

    outputs: Float[Array, "..."]
    """The weight with its input axes last: F D for what elsewhere is D F."""
    inputs: int
    """How many input axes there are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Inputs first, as everywhere else."""
        return self.outputs.shape[-self.inputs :] + self.outputs.shape[: -self.inputs]


def by_output(params: Params) -> Params:
    """The same weights with every matrix stored by output, which bfloat16 on a CPU is read fastest in.

    The logits stay what they were, to rounding. A step of Gemma 3 270M takes 0.6 times as long. While both exist, they
    take twice the memory; nothing but `product` understands these.
    """

    def turn(path: tuple, weight: Float[Array, "..."]) -> Float[Array, "..."] | ByOutput:
        name = path[-1].name
        if not name.startswith("w_"):
            return weight
        inputs = 2 if name == "w_o" else 1
        return ByOutput(jnp.moveaxis(weight, range(inputs), range(-inputs, 0)), inputs)

    return jax.tree_util.tree_map_with_path(turn, params)


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
    stored_by_output = isinstance(w, ByOutput) or weight_letters.endswith(letters[-axes:])
    weights = w.outputs if isinstance(w, ByOutput) else w
    inputs = math.prod(x.shape[-axes:])
    rows = x.reshape(-1, inputs)
    if stored_by_output:
        y, outputs = _by_output(rows, weights.reshape(-1, inputs)), weights.shape[:-axes]
    else:
        y, outputs = _by_input(rows, weights.reshape(inputs, -1)), weights.shape[axes:]
    return y.astype(dtype or x.dtype).reshape(*x.shape[:-axes], *outputs)


_summed_in_float32 = functools.partial(jnp.matmul, preferred_element_type=jnp.float32)


def _by_output(rows: Float[Array, "rows D"], w: Float[Array, "F D"]) -> Float[Array, "rows F"]:
    if (
        len(rows) == 1
    ):  # with the transpose written out, XLA's CPU compiler fuses all; without it, it copies w
        return _summed_in_float32(rows, w.T)
    last_axes = (((1,), (1,)), ((), ()))
    return jax.lax.dot_general(rows, w, last_axes, preferred_element_type=jnp.float32)


def _by_input(rows: Float[Array, "rows D"], w: Float[Array, "D F"]) -> Float[Array, "rows F"]:
    if len(rows) > 1 or w.dtype.itemsize >= 4:
        return _summed_in_float32(rows, w)
    return jax.lax.platform_dependent(
        rows,
        w,
        cpu=lambda rows, w: _summed_in_float32(jnp.repeat(rows, 2, axis=0), w)[:1],  # nine times as fast
        default=_summed_in_float32,
    )
