"""Keys and values kept while text grows: read the prompt in one call, then one token at a time.

Layers that see the whole context keep `capacity` positions; sliding-window layers keep the last W in a ring, where
token number i goes to place i mod W. Prompts of different lengths are padded on the *left*, so that all rows write
to the same place at each step, which XLA does without copying when the cache is donated.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_params, check_tokens, is_traced
from gemma_edu.jax_model.attention import attend, combine, project
from gemma_edu.jax_model.block import after, before
from gemma_edu.jax_model.feedforward import feedforward
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.transformer import embed_tokens, read_out
from gemma_edu.params import Attention, Block, Params


class LayerCache(NamedTuple):
    """One layer's keys (already rotated) and values."""

    k: Float[Array, "B S K H"]
    v: Float[Array, "B S K H"]


class Cache(NamedTuple):
    """Every layer's cache, how many tokens (padding included) went in, and how many of a row's were padding."""

    layers: tuple[LayerCache, ...]
    length: Int[Array, ""]
    padding: Int[Array, " B"]


AttentionWithCache = Callable[[Attention, Array], tuple[Array, LayerCache]]
"""What an attention sublayer is here: its weights and input in, its output and its part of the cache out."""


def layer_capacity(config: ModelConfig, layer: int, capacity: int) -> int:
    """S of one layer: all of `capacity`, or the window where that is shorter."""
    return min(capacity, config.window(layer) or capacity)


def key_positions(length: Int[Array, ""], padding: Int[Array, " B"], places: int) -> Int[Array, "B S"]:
    """The position whose key stands in each place of a ring after `length` tokens; negative: none, or padding."""
    newest = length - 1
    token_S = newest - (newest - jnp.arange(places)) % places
    return jnp.where(token_S[None] < 0, -1, token_S[None] - padding[:, None])


def prefill(
    params: Params, tokens: Int[Array, "B T"], padding: Int[Array, " B"], config: ModelConfig, capacity: int
) -> tuple[Float[Array, "B V"], Cache]:
    """Read whole prompts: logits for the token after each, and the filled cache.

    `padding` counts the tokens at the *start* of each row that are no part of its prompt.

    Raises:
        ValueError: params of another config, more tokens than `capacity`, ids outside the vocabulary, no tokens at
            all, or a row of nothing but padding.
    """
    check_params(params, config)
    check_tokens(tokens, config)
    B, T = tokens.shape
    if T > capacity:
        raise ValueError(
            f"a prompt of {T} tokens does not fit a cache of {capacity}: raise the capacity or shorten it"
        )
    if not is_traced(padding) and not (0 <= min(padding.tolist()) and max(padding.tolist()) < T):
        raise ValueError(
            f"padding is {padding.tolist()}: of {T} tokens in a row, 0 to {T - 1} can be padding"
        )
    positions_BT = jnp.maximum(jnp.arange(T) - padding[:, None], -1)
    x_BTD = embed_tokens(params.embedding, tokens, positions_BT, config)
    layers = []
    for layer, block in enumerate(params.blocks):
        attention = functools.partial(
            _read, positions=positions_BT, capacity=capacity, layer=layer, config=config
        )
        x_BTD, layer_cache = _block(block, x_BTD, attention, config)
        layers.append(layer_cache)
    logits_B1V = read_out(params, x_BTD[:, -1:], config)  # the table is the widest product: once, not T times
    padding = jnp.array(padding)  # a copy: `decode` may overwrite what it is given, and this is the caller's
    return logits_B1V[:, 0], Cache(tuple(layers), jnp.asarray(T, jnp.int32), padding)


def decode(
    params: Params, tokens: Int[Array, " B"], cache: Cache, config: ModelConfig
) -> tuple[Float[Array, "B V"], Cache]:
    """Read one more token per row: logits for the token after it, and the cache with it.

    Inside `jax.jit`, where values are unknown, a full cache gives NaN logits.

    Raises:
        ValueError: the cache is full, or an id or position is out of range (all checked outside `jax.jit`, where
            values are known).
    """
    positions_B1 = (cache.length - cache.padding)[:, None]
    check_tokens(tokens[:, None], config, positions_B1)
    full = _is_full(cache, config)
    if not is_traced(full) and full:
        raise ValueError("the cache is full: prefill with a larger capacity")
    x_B1D = embed_tokens(params.embedding, tokens[:, None], positions_B1, config)
    layers = []
    for layer, block in enumerate(params.blocks):
        attention = functools.partial(_extend, cache=cache, layer=layer, config=config)
        x_B1D, layer_cache = _block(block, x_B1D, attention, config)
        layers.append(layer_cache)
    logits_BV = read_out(params, x_B1D, config)[:, 0]
    return jnp.where(full, jnp.nan, logits_BV), Cache(tuple(layers), cache.length + 1, cache.padding)


def _is_full(cache: Cache, config: ModelConfig) -> Bool[Array, ""]:
    """Whether one more token would overwrite one that some layer still has to see; a full window may wrap around."""
    places = [layer.k.shape[1] for layer in cache.layers]
    bounded = [size for layer, size in enumerate(places) if size != config.window(layer)]
    return cache.length >= min(bounded, default=jnp.iinfo(jnp.int32).max)


def _read(
    params: Attention,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    capacity: int,
    layer: int,
    config: ModelConfig,
) -> tuple[Float[Array, "B T D"], LayerCache]:
    """`attention.attention`, and the keys and values that a later token can still see."""
    q, k, v = project(params, x, positions, config.theta(layer), config)
    mask_BTT = attention_mask(positions, positions, config.window(layer))
    places = layer_capacity(config, layer, capacity)
    cache = LayerCache(_into_ring(k, places), _into_ring(v, places))
    return combine(params, attend(q, k, v, mask_BTT), config), cache


def _extend(
    params: Attention, x: Float[Array, "B 1 D"], cache: Cache, layer: int, config: ModelConfig
) -> tuple[Float[Array, "B 1 D"], LayerCache]:
    """`attention.attention` of one token over what is in the cache and itself, and the longer cache."""
    old = cache.layers[layer]
    places = old.k.shape[1]
    positions_B1 = (cache.length - cache.padding)[:, None]
    q, k, v = project(params, x, positions_B1, config.theta(layer), config)
    place = cache.length % places
    new = LayerCache(_put(old.k, k, place), _put(old.v, v, place))
    positions_BS = key_positions(cache.length + 1, cache.padding, places)
    mask_B1S = attention_mask(positions_B1, positions_BS, config.window(layer))
    return combine(params, attend(q, new.k, new.v, mask_B1S), config), new


def _block(
    params: Block, x: Float[Array, "B T D"], attention: AttentionWithCache, config: ModelConfig
) -> tuple[Float[Array, "B T D"], LayerCache]:
    """`block.block` with an attention that returns its cache as well; the tests hold the two to the same logits."""
    y_BTD, cache = attention(params.attention, before(params.attention_norm, x, config))
    x_BTD = after(params.post_attention_norm, x, y_BTD, config)
    y_BTD = feedforward(params.feedforward, before(params.feedforward_norm, x_BTD, config), config)
    return after(params.post_feedforward_norm, x_BTD, y_BTD, config), cache


def _into_ring(k: Float[Array, "B T K H"], places: int) -> Float[Array, "B S K H"]:
    """The last `places` of T tokens, token i in place i mod `places`; places not reached are zero."""
    T = k.shape[1]
    if T <= places:
        return jnp.pad(k, ((0, 0), (0, places - T), (0, 0), (0, 0)))
    return jnp.roll(k[:, T - places :], T % places, axis=1)


def _put(
    old: Float[Array, "B S K H"], new: Float[Array, "B 1 K H"], place: Int[Array, ""]
) -> Float[Array, "B S K H"]:
    """`old` with `new` written at `place`; in place where the buffer was donated."""
    return jax.lax.dynamic_update_slice_in_dim(old, new, place, axis=1)
