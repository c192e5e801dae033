"""One layer's keys and values, in a ring: token number i goes to place i mod S, over the one that stood there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped


class LayerCache(NamedTuple):
    """One layer's keys (already rotated) and values; kept in a `kv_cache.Cache`, bfloat16 is as its bits, in uint16.

    To write one row of a bfloat16 array, XLA's CPU compiler copies all of it: 1 ms of Gemma 3 270M's 22 for a token.
    """

    k: Shaped[Array, "B S K H"]
    v: Shaped[Array, "B S K H"]


def key_positions(length: Int[Array, ""], padding: Int[Array, " B"], places: int) -> Int[Array, "B S"]:
    """The position whose key stands in each place of a ring after `length` tokens; negative: none, or padding."""
    newest = length - 1
    token_S = newest - (newest - jnp.arange(places)) % max(places, 1)
    return jnp.where(token_S[None] < 0, -1, token_S[None] - padding[:, None])


def as_bits(x: Float[Array, "*axes"]) -> Shaped[Array, "*axes"]:
    """Keys or values as a cache keeps them: `LayerCache` says why."""
    return jax.lax.bitcast_convert_type(x, jnp.uint16) if x.dtype == jnp.bfloat16 else x


def as_numbers(kept: Shaped[Array, "*axes"], dtype: jax.typing.DTypeLike) -> Float[Array, "*axes"]:
    """`as_bits` undone."""
    return jax.lax.bitcast_convert_type(kept, dtype) if kept.dtype == jnp.uint16 else kept


def put(
    kept: Shaped[Array, "B S K H"], new: Float[Array, "B T K H"], length: Int[Array, ""]
) -> Shaped[Array, "B S K H"]:
    """`kept` with tokens number `length` and following, each in its place; of more than S, the last S."""
    T, S = new.shape[1], kept.shape[1]
    new = as_bits(new)
    if T == 1:  # the same, without a loop over places
        return jax.lax.dynamic_update_slice_in_dim(kept, new, length % S, axis=1)
    number_T = length + jnp.arange(T)
    return kept.at[:, number_T[-S:] % S].set(new[:, -S:], unique_indices=True)
