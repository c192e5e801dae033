"""Keys and values kept while text grows: read a prompt, in one piece or several, then one token at a time.

Layers that see the whole context keep `capacity` positions; sliding-window layers keep the last W in a ring, where
token number i goes to place i mod W. Prompts of different lengths are padded on the *left*, so that all rows write
to the same places at each step.

A step is two functions: `read` looks at the cache and leaves it alone, `append` writes to it and looks at nothing.
Compiled apart, with the cache donated to `append`, they copy nothing. In one program, as `prefill` and `decode` have
them, XLA's CPU compiler copies: Gemma 3 270M with room for 4,096 tokens then takes a quarter longer for each (float32).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_params, check_tokens, is_traced
from gemma_edu.jax_model import online_softmax
from gemma_edu.jax_model.attention import combine, project
from gemma_edu.jax_model.block import after, before
from gemma_edu.jax_model.feedforward import feedforward
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.transformer import embed_tokens, read_out
from gemma_edu.params import Attention, Block, Params


class LayerCache(NamedTuple):
    """One layer's keys (already rotated) and values; kept in a `Cache`, bfloat16 is there as its bits, in uint16.

    To write one row of a bfloat16 array, XLA's CPU compiler copies all of it: 1 ms of Gemma 3 270M's 22 for a token.
    """

    k: Shaped[Array, "B S K H"]
    v: Shaped[Array, "B S K H"]


class Cache(NamedTuple):
    """Every layer's cache, how many tokens (padding included) went in, and how many of a row's were padding."""

    layers: tuple[LayerCache, ...]
    length: Int[Array, ""]
    padding: Int[Array, " B"]


BLOCK = 128
"""Places of a cache that a CPU looks at together."""


def layer_capacity(config: ModelConfig, layer: int, capacity: int) -> int:
    """S of one layer: all of `capacity`, or the window where that is shorter."""
    return min(capacity, config.window(layer) or capacity)


def key_positions(length: Int[Array, ""], padding: Int[Array, " B"], places: int) -> Int[Array, "B S"]:
    """The position whose key stands in each place of a ring after `length` tokens; negative: none, or padding."""
    newest = length - 1
    token_S = newest - (newest - jnp.arange(places)) % max(places, 1)
    return jnp.where(token_S[None] < 0, -1, token_S[None] - padding[:, None])


def empty(
    config: ModelConfig, padding: Int[Array, " B"], capacity: int, dtype: jax.typing.DTypeLike
) -> Cache:
    """A cache with room for `capacity` tokens a row, of which the first `padding` will be no part of a prompt."""
    shapes = [
        (len(padding), layer_capacity(config, layer, capacity), config.num_kv_heads, config.head_dim)
        for layer in range(config.num_layers)
    ]
    layers = tuple(LayerCache(*(_stored(jnp.zeros(shape, dtype)) for _ in "kv")) for shape in shapes)
    own_padding = jnp.array(padding)  # a copy: a cache is donated, and the caller's array is not ours to give
    return Cache(layers, jnp.zeros((), jnp.int32), own_padding)


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
    T = tokens.shape[1]
    if T > capacity:
        raise ValueError(
            f"a prompt of {T} tokens does not fit a cache of {capacity}: raise the capacity or shorten it"
        )
    if not is_traced(padding) and not (0 <= min(padding.tolist()) and max(padding.tolist()) < T):
        raise ValueError(
            f"padding is {padding.tolist()}: of {T} tokens in a row, 0 to {T - 1} can be padding"
        )
    dtype = params.embedding.table.dtype
    x_BD, new = read(params, tokens, empty(config, padding, 0, dtype), config)
    return next_logits(params, x_BD, config), append(empty(config, padding, capacity, dtype), new)


def decode(
    params: Params, tokens: Int[Array, " B"], cache: Cache, config: ModelConfig
) -> tuple[Float[Array, "B V"], Cache]:
    """Read one more token per row: logits for the token after it, and the cache with it.

    Inside `jax.jit`, where values are unknown, a full cache gives NaN logits.

    Raises:
        ValueError: the cache is full, or an id or position is out of range (all checked outside `jax.jit`, where
            values are known).
    """
    check_tokens(tokens[:, None], config, (cache.length - cache.padding)[:, None])
    full = _is_full(cache, config)
    if not is_traced(full) and full:
        raise ValueError("the cache is full: prefill with a larger capacity")
    x_BD, new = read(params, tokens[:, None], cache, config)
    logits_BV = jnp.where(full, jnp.nan, next_logits(params, x_BD, config))
    return logits_BV, append(cache, new)


def read(
    params: Params, tokens: Int[Array, "B T"], cache: Cache, config: ModelConfig
) -> tuple[Float[Array, "B D"], tuple[LayerCache, ...]]:
    """T more tokens per row: the stream after the last of them, for `next_logits`, and keys and values, for `append`.

    Checks nothing: `cache` must have room.
    """
    number_T = cache.length + jnp.arange(tokens.shape[1])
    positions_BT = jnp.maximum(number_T - cache.padding[:, None], -1)
    x_BTD = embed_tokens(params.embedding, tokens, positions_BT, config)
    new = []
    for layer, block in enumerate(params.blocks):
        # Nobody reads what the last layer makes of earlier tokens: a prompt needs 0.97 of the time without.
        asked = slice(-1 if layer + 1 == config.num_layers else 0, None)
        x_BTD, own = _block(block, x_BTD, positions_BT, asked, cache, layer, config)
        new.append(own)
    return x_BTD[:, -1], tuple(new)


def next_logits(params: Params, x: Float[Array, "B D"], config: ModelConfig) -> Float[Array, "B V"]:
    """What `read` gives, as logits for the next token. The table is the widest product: once, not T times."""
    return read_out(params, x[:, None], config)[:, 0]


def append(cache: Cache, new: tuple[LayerCache, ...]) -> Cache:
    """The cache with what `read` gave, written in place if the cache is donated."""
    layers = tuple(
        LayerCache(*(_put(kept, own, cache.length) for kept, own in zip(*pair, strict=True)))
        for pair in zip(cache.layers, new, strict=True)
    )
    return Cache(layers, cache.length + new[0].k.shape[1], cache.padding)


def _is_full(cache: Cache, config: ModelConfig) -> Bool[Array, ""]:
    """Whether one more token would overwrite one that some layer still has to see; a full window may wrap around."""
    places = [layer.k.shape[1] for layer in cache.layers]
    bounded = [size for layer, size in enumerate(places) if size != config.window(layer)]
    return cache.length >= min(bounded, default=jnp.iinfo(jnp.int32).max)


def _look_back(
    params: Attention,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    asked: slice,
    cache: Cache,
    layer: int,
    config: ModelConfig,
) -> tuple[Float[Array, "B asked D"], LayerCache]:
    """`attention.attention` over what is in the cache and the new tokens, for those `asked`; keys and values of all."""
    kept, window, theta = cache.layers[layer], config.window(layer), config.theta(layer)
    asking = positions[:, asked]
    q, _, _ = project(params, x[:, asked], asking, theta, config)  # the compiler drops what nobody uses
    _, k, v = project(params, x, positions, theta, config)
    q_BKMH = online_softmax.rows_of_heads(q * config.head_dim**-0.5, k.shape[2])
    seen = online_softmax.nothing_seen(q_BKMH)
    seen = online_softmax.look(seen, q_BKMH, k, v, attention_mask(asking, positions, window))
    if places := kept.k.shape[1]:
        positions_BS = key_positions(cache.length, cache.padding, places)
        mask_BTS = attention_mask(asking, positions_BS, window)
        seen = _look_at_kept(seen, q_BKMH, kept, mask_BTS, cache.length)
    context_BTNH = online_softmax.heads_of_rows(online_softmax.attended(seen), q.shape[1]).astype(x.dtype)
    return combine(params, context_BTNH, config), LayerCache(k, v)


def _look_at_kept(
    seen: online_softmax.Seen,
    q: Float[Array, "B K M H"],
    kept: LayerCache,
    mask: Bool[Array, "B T S"],
    length: Int[Array, ""],
) -> online_softmax.Seen:
    """All places at once; on a CPU block by block, and no more blocks than hold something.

    With room for 1,024 tokens, Gemma 3 270M needs 0.9 times as long for a token, or for a prompt of 512, as with all
    places. A GPU would wait for the host at each turn of the loop.
    """
    places = kept.k.shape[1]
    size = min(BLOCK, places)
    blocks, rest = divmod(places, size)

    def look_at(start: Int[Array, ""] | int, size: int, seen: online_softmax.Seen) -> online_softmax.Seen:
        k, v = (_numbers(jax.lax.dynamic_slice_in_dim(part, start, size, 1), q.dtype) for part in kept)
        return online_softmax.look(seen, q, k, v, jax.lax.dynamic_slice_in_dim(mask, start, size, 2))

    def look_at_filled(seen: online_softmax.Seen) -> online_softmax.Seen:
        filled = jnp.minimum(-(-length // size), blocks)
        seen = jax.lax.fori_loop(0, filled, lambda block, seen: look_at(block * size, size, seen), seen)
        return look_at(blocks * size, rest, seen) if rest else seen

    everything = functools.partial(look_at, 0, places)
    return jax.lax.platform_dependent(seen, cpu=look_at_filled, default=everything)


def _block(
    params: Block,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    asked: slice,
    cache: Cache,
    layer: int,
    config: ModelConfig,
) -> tuple[Float[Array, "B asked D"], LayerCache]:
    """`block.block` for the tokens `asked`, which look back; the tests hold the two to the same logits."""
    y_BTD = before(params.attention_norm, x, config)
    y_BTD, own = _look_back(params.attention, y_BTD, positions, asked, cache, layer, config)
    x_BTD = after(params.post_attention_norm, x[:, asked], y_BTD, config)
    y_BTD = feedforward(params.feedforward, before(params.feedforward_norm, x_BTD, config), config)
    return after(params.post_feedforward_norm, x_BTD, y_BTD, config), own


def _stored(numbers: Float[Array, "*axes"]) -> Shaped[Array, "*axes"]:
    """As a cache keeps them: `LayerCache` says why."""
    return jax.lax.bitcast_convert_type(numbers, jnp.uint16) if numbers.dtype == jnp.bfloat16 else numbers


def _numbers(stored: Shaped[Array, "*axes"], dtype: jax.typing.DTypeLike) -> Float[Array, "*axes"]:
    """`_stored` undone."""
    return jax.lax.bitcast_convert_type(stored, dtype) if stored.dtype == jnp.uint16 else stored


def _put(
    kept: Shaped[Array, "B S K H"], new: Float[Array, "B T K H"], length: Int[Array, ""]
) -> Shaped[Array, "B S K H"]:
    """`kept` with tokens number `length` and following, each in its place; of more than S, the last S."""
    T, S = new.shape[1], kept.shape[1]
    new = _stored(new)
    if T == 1:  # the same, without a loop over places
        return jax.lax.dynamic_update_slice_in_dim(kept, new, length % S, axis=1)
    number_T = length + jnp.arange(T)
    return kept.at[:, number_T[-S:] % S].set(new[:, -S:], unique_indices=True)
