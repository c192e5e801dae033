"""Lesson 09: padding, the size of a cache, its ring of places, the scanned stack; and how each goes wrong."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import presets
from gemma_edu.checks.exercise import exercise
from gemma_edu.jax_model import block, embedding, layer_scan, masks
from gemma_edu.jax_model.transformer import read_out
from gemma_edu.params import build

LESSON = "09_jax_gemma"


def _prompts(random):
    yield ([[7], [4, 5, 6]],)
    yield ([[3], [1, 2, 3, 4, 5], [9, 8], [10, 0, 10]],)
    yield ([[1, 2]],)


@exercise(lesson=LESSON, cases=_prompts)
def pad_left(prompts):
    """Two arrays, tokens and positions, from prompts of different lengths."""
    T = max(len(prompt) for prompt in prompts)
    tokens_BT = np.array([[0] * (T - len(prompt)) + prompt for prompt in prompts])
    positions_BT = np.array([[-1] * (T - len(prompt)) + [*range(len(prompt))] for prompt in prompts])
    return tokens_BT, positions_BT


@pad_left.mutant()
def pad_right(prompts):
    """the result of padding on the right; then the last column holds padding, not each prompt's last token."""
    tokens_BT, positions_BT = pad_left.solution([prompt[::-1] for prompt in prompts])
    shown = positions_BT[:, ::-1] >= 0
    return tokens_BT[:, ::-1], np.where(shown, np.arange(shown.shape[1]), -1)


@pad_left.mutant()
def positions_by_column(prompts):
    """the result with each column's number as position; a prompt starts at position 0, wherever its row starts."""
    tokens_BT, positions_BT = pad_left.solution(prompts)
    return tokens_BT, np.where(positions_BT >= 0, np.arange(positions_BT.shape[1]), -1)


@pad_left.mutant(shipped_by="google-deepmind/gemma bf2d158, the sampler's padding mask")
def padding_at_zero(prompts):
    """the result with padding at position 0; only −1 hides it, a token at position 0 is seen by all that follow."""
    tokens_BT, positions_BT = pad_left.solution(prompts)
    return tokens_BT, np.maximum(positions_BT, 0)


@pad_left.mutant()
def positions_from_one(prompts):
    """the result with prompts that start at position 1; positions count from 0."""
    tokens_BT, positions_BT = pad_left.solution(prompts)
    return tokens_BT, np.where(positions_BT >= 0, positions_BT + 1, -1)


def _capacities(random):
    yield presets.GEMMA_2B, 8192
    yield presets.GEMMA_7B, 33
    yield presets.GEMMA3_270M, 100
    yield presets.GEMMA3_270M, 5000


def _numbers(config, capacity, heads, head_dim, windows=True):
    limits = [config.window(layer) if windows else None for layer in range(config.num_layers)]
    return 2 * heads * head_dim * sum(min(capacity, limit or capacity) for limit in limits)


@exercise(lesson=LESSON, cases=_capacities)
def cache_numbers(config, capacity):
    """How many numbers the KV cache of one text holds."""
    return _numbers(config, capacity, config.num_kv_heads, config.head_dim)


@cache_numbers.mutant()
def one_of_two(config, capacity):
    """half the cache; each place keeps a key and a value."""
    return cache_numbers.solution(config, capacity) // 2


@cache_numbers.mutant(
    shipped_by="google-deepmind/gemma until 33c96b2: keys and values were repeated before caching"
)
def a_place_for_every_query_head(config, capacity):
    """the size with N heads; the cache holds K key/value heads, and query heads share them."""
    return _numbers(config, capacity, config.num_heads, config.head_dim)


@cache_numbers.mutant(
    shipped_by="transformers 4.38.0, issues #29181 and #29185: width / heads as the head's size"
)
def derived_head_size(config, capacity):
    """the size with heads of D / N numbers; a head has head_dim of them, which need not be D / N."""
    return _numbers(config, capacity, config.num_kv_heads, config.embed_dim // config.num_heads)


@cache_numbers.mutant()
def windows_forgotten(config, capacity):
    """the size with `capacity` places in every layer; a layer with a window keeps only its window."""
    return _numbers(config, capacity, config.num_kv_heads, config.head_dim, windows=False)


@cache_numbers.mutant()
def windows_always_full(config, capacity):
    """the size with whole windows even where the capacity is smaller; a layer keeps the smaller of the two."""
    places = sum(config.window(layer) or capacity for layer in range(config.num_layers))
    return 2 * config.num_kv_heads * config.head_dim * places


def _rings(random):
    yield from ((0, 3), (1, 1), (2, 5), (5, 5), (6, 4), (7, 1), (23, 7), (1000, 512))


@exercise(lesson=LESSON, cases=_rings)
def ring(length, places):
    """Which token stands in each place of a ring buffer."""
    tokens = [-1] * places
    for i in range(max(0, length - places), length):
        tokens[i % places] = i
    return tokens


@ring.mutant()
def queue(length, places):
    """a queue, in which all tokens move up for a new one; in a ring, token i stays in place i mod places."""
    tokens = [-1] * places + [*range(length)]
    return tokens[-places:] if length > places else [*range(length), *[-1] * (places - length)]


@ring.mutant()
def never_overwritten(length, places):
    """a buffer that stops when it is full; in a ring, a new token takes the place of the oldest."""
    return [place if place < length else -1 for place in range(places)]


@ring.mutant()
def one_too_many(length, places):
    """the ring after one token more; the last of `length` tokens has number length − 1."""
    return ring.solution(length + 1, places)


@ring.mutant()
def counted_from_one(length, places):
    """the ring with tokens counted from 1; the first is number 0 and stands in place 0."""
    return [token + 1 if token >= 0 else -1 for token in ring.solution(length, places)]


def _noisy(config, seed):
    random = np.random.default_rng(seed)
    return build(config, lambda name, shape: jnp.asarray(random.normal(0, 0.3, shape), jnp.float32))


def _stacks(random):
    config = presets.TINY_GROUPED.replace(num_layers=3)
    for seed in (0, 1):
        tokens_BT = jnp.asarray(random.integers(0, config.vocab_size, (3, 7), np.int32))
        yield _noisy(config, seed), tokens_BT, config


def _products(forward, num_layers):
    """How many matrix products the traced program has."""
    params, tokens_BT, config = next(_stacks(np.random.default_rng(0)))
    deep = params._replace(blocks=params.blocks[:1] * num_layers)
    run = functools.partial(forward, config=config.replace(num_layers=num_layers))
    return str(jax.make_jaxpr(run)(deep, tokens_BT)).count("dot_general")


def _same_program_for_any_depth(forward):
    return (
        None if _products(forward, 3) == _products(forward, 5) else " ".join(loop_in_python.__doc__.split())
    )


def _embedded(params, tokens, config):
    """The stream before the first layer, and the function that is one layer."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    mask = masks.attention_mask(positions, positions, None)
    x_BTD = embedding.embed(params.embedding.table, tokens, scale=config.scale_embedding)
    return x_BTD, lambda x, weights: block.block(weights, x, positions, mask, config.rope_theta, config)


@functools.partial(jax.jit, static_argnames=("config", "start", "reverse"))
def _scanned(params, tokens, config, start=0, reverse=False):
    """The stream after the layers from `start` on, scanned."""
    x_BTD, layer = _embedded(params, tokens, config)
    stacked = jax.tree.map(lambda leaf: leaf[start:], layer_scan.stack(params, config).blocks[0])
    return jax.lax.scan(lambda x, weights: (layer(x, weights), None), x_BTD, stacked, reverse=reverse)[0]


@exercise(lesson=LESSON, cases=_stacks, axes="B T V", tolerance=1e-4, also=(_same_program_for_any_depth,))
def my_scanned_forward(params, tokens_BT, config):
    """The stack of layers as one scanned layer."""
    return read_out(params, _scanned(params, tokens_BT, config), config)


@my_scanned_forward.mutant()
def loop_in_python(params, tokens_BT, config):
    """a loop over layers that still runs in Python: the program grows with the depth; `scan` traces one layer."""
    x_BTD, layer = _embedded(params, tokens_BT, config)
    return read_out(params, functools.reduce(layer, params.blocks, x_BTD), config)


@my_scanned_forward.mutant()
def last_layer_alone(params, tokens_BT, config):
    """the result of the last layer alone: each began with the embeddings; the carry hands the stream on."""
    return read_out(params, _scanned(params, tokens_BT, config, start=-1), config)


@my_scanned_forward.mutant()
def from_top_to_bottom(params, tokens_BT, config):
    """the result with the layers in reverse order; stack them as they stand, the first one first."""
    return read_out(params, _scanned(params, tokens_BT, config, reverse=True), config)


@my_scanned_forward.mutant()
def no_final_norm(params, tokens_BT, config):
    """the result without the norm after the last layer; `norm(params.final_norm, …)` comes before `unembed`."""
    return embedding.unembed(params.embedding.table, _scanned(params, tokens_BT, config))
