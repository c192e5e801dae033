"""Reading a prompt at once and then token by token gives what one look at everything gives."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import EVERY_TINY, B, assert_close, random_params, random_tokens

from gemma_edu import presets
from gemma_edu.jax_model import cached_block, decoding, kv_cache
from gemma_edu.jax_model.ring import LayerCache
from gemma_edu.numpy_model import transformer as numpy_transformer

pytestmark = pytest.mark.usefixtures("quick_compile")

prefill = jax.jit(kv_cache.prefill, static_argnames=("config", "capacity"))
decode = jax.jit(kv_cache.decode, static_argnames="config")
LENGTH, CAPACITY = 16, 20
GEMMA3 = presets.TINY_GEMMA3_270M
"""Layer 0 has a window of 4, layer 1 sees everything."""


@functools.cache
def jax_params(config):
    """Random weights as JAX arrays."""
    return jax.tree.map(jnp.asarray, random_params(config))


def no_padding(tokens):
    return jnp.zeros(len(tokens), jnp.int32)


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_prompts_of_1_to_9_tokens_in_one_padded_batch_continue_as_forward_says(config):
    tokens = random_tokens(config, 9, LENGTH)
    expected = numpy_transformer.forward(random_params(config), tokens, config)
    lengths = np.arange(1, 10)
    prompts = np.zeros((9, 9), np.int32)
    for row, length in enumerate(lengths):
        prompts[row, 9 - length :] = tokens[row, :length]
    rows, padding = np.arange(9), jnp.asarray(9 - lengths, jnp.int32)
    logits, cache = prefill(
        jax_params(config), jnp.asarray(prompts), padding, config=config, capacity=CAPACITY
    )
    assert_close(logits, expected[rows, lengths - 1])
    for step in range(LENGTH - 9):
        token_B = jnp.asarray(tokens[rows, lengths + step])
        logits, cache = decode(jax_params(config), token_B, cache, config=config)
        assert_close(logits, expected[rows, lengths + step])


@pytest.mark.parametrize("length", range(1, 10))
def test_a_prompt_of_any_length_goes_into_the_ring_and_past_the_window(length):
    tokens = random_tokens(GEMMA3, B, LENGTH)
    expected = numpy_transformer.forward(random_params(GEMMA3), tokens, GEMMA3)
    prompt = jnp.asarray(tokens[:, :length])
    logits, cache = prefill(jax_params(GEMMA3), prompt, no_padding(tokens), config=GEMMA3, capacity=CAPACITY)
    assert_close(logits, expected[:, length - 1])
    for place in range(length, LENGTH):
        logits, cache = decode(jax_params(GEMMA3), jnp.asarray(tokens[:, place]), cache, config=GEMMA3)
        assert_close(logits, expected[:, place])
    assert int(cache.length) == LENGTH


def test_layers_with_a_window_keep_no_more_than_it():
    prompt = jnp.zeros((B, 2), jnp.int32)
    _, cache = prefill(jax_params(GEMMA3), prompt, no_padding(prompt), config=GEMMA3, capacity=CAPACITY)
    assert [layer.k.shape for layer in cache.layers] == [(B, 4, 1, 12), (B, 20, 1, 12)]
    assert [layer.v.shape for layer in cache.layers] == [(B, 4, 1, 12), (B, 20, 1, 12)]
    full_size = presets.GEMMA3_270M
    assert [kv_cache.layer_capacity(full_size, layer, 8192) for layer in (0, 5)] == [512, 8192]
    assert kv_cache.layer_capacity(full_size, 0, 100) == 100


def test_keys_of_a_long_prompt_end_up_in_their_places():
    tokens = random_tokens(GEMMA3, B, 7)
    weights = jax_params(GEMMA3)
    _, whole = prefill(weights, jnp.asarray(tokens), no_padding(tokens), config=GEMMA3.replace(
        window_size=12), capacity=CAPACITY)  # fmt: skip
    _, ring = prefill(weights, jnp.asarray(tokens), no_padding(tokens), config=GEMMA3, capacity=CAPACITY)
    in_order = np.asarray(
        whole.layers[0].k
    )  # layer 0 sees embeddings, so its keys do not depend on the window
    assert_close(ring.layers[0].k, in_order[:, [4, 5, 6, 3]], atol=0)
    assert np.all(in_order[:, 7:] == 0)


def test_a_prompt_longer_than_the_cache_is_refused():
    tokens = jnp.zeros((B, 5), jnp.int32)
    with pytest.raises(
        ValueError, match=r"a prompt of 5 tokens does not fit a cache of 4: raise the capacity"
    ):
        kv_cache.prefill(jax_params(GEMMA3), tokens, no_padding(tokens), GEMMA3, 4)


def test_a_full_cache_is_refused_and_the_last_place_is_not():
    config = presets.TINY_GEMMA_2B
    tokens = jnp.zeros((B, 4), jnp.int32)
    _, cache = prefill(jax_params(config), tokens, no_padding(tokens), config=config, capacity=5)
    _, cache = kv_cache.decode(jax_params(config), tokens[:, 0], cache, config)
    with pytest.raises(ValueError, match="the cache is full: prefill with a larger capacity"):
        kv_cache.decode(jax_params(config), tokens[:, 0], cache, config)


def test_a_model_of_local_layers_alone_outlives_its_window_but_not_a_cache_shorter_than_it():
    config = GEMMA3.replace(num_layers=1)
    tokens = jnp.asarray(random_tokens(config, B, 9))
    expected = numpy_transformer.forward(random_params(config), np.asarray(tokens), config)
    logits, cache = prefill(
        jax_params(config), tokens[:, :3], no_padding(tokens), config=config, capacity=CAPACITY
    )
    for place in range(3, 9):
        logits, cache = kv_cache.decode(jax_params(config), tokens[:, place], cache, config)
    assert_close(logits, expected[:, -1])
    _, short = prefill(jax_params(config), tokens[:, :3], no_padding(tokens), config=config, capacity=3)
    with pytest.raises(ValueError, match="the cache is full: prefill"):
        kv_cache.decode(jax_params(config), tokens[:, 3], short, config)


def test_a_compiled_step_on_a_full_cache_gives_nan_rather_than_a_wrong_answer():
    config = presets.TINY_GEMMA_2B
    tokens = jnp.asarray(random_tokens(config, B, 4))
    _, cache = prefill(jax_params(config), tokens, no_padding(tokens), config=config, capacity=5)
    fits, cache = decode(jax_params(config), tokens[:, 0], cache, config=config)
    too_far, _ = decode(jax_params(config), tokens[:, 0], cache, config=config)
    assert np.isfinite(fits).all() and np.isnan(too_far).all()


def test_decode_checks_its_tokens_and_positions():
    config = presets.TINY_GPT2_124M.replace(context_length=4)
    tokens = jnp.zeros((B, 4), jnp.int32)
    params = jax_params(config)
    _, cache = prefill(params, tokens, no_padding(tokens), config=config, capacity=CAPACITY)
    with pytest.raises(ValueError, match="token id 11 is outside"):
        kv_cache.decode(params, tokens[:, 0] + 11, cache, config)
    with pytest.raises(ValueError, match="position 4 has no vector"):
        kv_cache.decode(params, tokens[:, 0], cache, config)


@pytest.mark.parametrize("padding", [[0, 4, 0], [-1, 0, 0]])
def test_a_row_needs_a_token_of_its_own(padding):
    tokens = jnp.zeros((B, 4), jnp.int32)
    with pytest.raises(ValueError, match=r"of 4 tokens in a row, 0 to 3 can be padding"):
        kv_cache.prefill(jax_params(GEMMA3), tokens, jnp.array(padding), GEMMA3, CAPACITY)


def test_prefill_checks_its_tokens():
    with pytest.raises(ValueError, match="token id 11 is outside"):
        kv_cache.prefill(jax_params(GEMMA3), jnp.array([[11]]), jnp.zeros(1, jnp.int32), GEMMA3, CAPACITY)


def test_the_compiled_step_reuses_the_memory_of_the_cache_it_was_given():
    tokens = jnp.zeros((B, 2), jnp.int32)
    _, cache = prefill(jax_params(GEMMA3), tokens, no_padding(tokens), config=GEMMA3, capacity=CAPACITY)
    given = jax.tree.leaves(cache.layers)
    addresses = {leaf.unsafe_buffer_pointer() for leaf in given}
    _, after = decoding._read(jax_params(GEMMA3), tokens[:, :1], cache, GEMMA3)
    assert all(leaf.is_deleted() for leaf in given)
    assert {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(after.layers)} == addresses


@pytest.mark.parametrize("pieces", [(16,), (1, 15), (3, 2, 7, 4), (4, 4, 4, 4), (9, 7)])
@pytest.mark.parametrize("config", **EVERY_TINY)
def test_a_text_read_in_pieces_of_any_length_is_the_text_read_at_once(config, pieces):
    """The pieces are longer and shorter than Gemma 3's window of 4, and fit its ring or wrap around in it."""
    tokens = jnp.asarray(random_tokens(config, B, LENGTH))
    expected = numpy_transformer.forward(random_params(config), np.asarray(tokens), config)
    cache = kv_cache.empty(config, no_padding(tokens), CAPACITY, jnp.float32)
    for start, end in itertools.pairwise(np.cumsum([0, *pieces])):
        x_BD, new = kv_cache.read(jax_params(config), tokens[:, start:end], cache, config)
        cache = kv_cache.append(cache, new)
        logits_BV = kv_cache.next_logits(jax_params(config), x_BD, config)
        assert_close(logits_BV, expected[:, end - 1])
    assert int(cache.length) == LENGTH


@pytest.mark.parametrize("block", [1, 3, 4, 7, 20, 100])
def test_a_cache_looked_at_in_blocks_of_any_size_is_the_cache_looked_at_whole(block, monkeypatch):
    """Blocks that divide the capacity of 20 and the window of 4, that leave a rest, and that are larger."""
    monkeypatch.setattr(cached_block, "BLOCK", block)
    tokens = jnp.asarray(random_tokens(GEMMA3, B, LENGTH))
    expected = numpy_transformer.forward(random_params(GEMMA3), np.asarray(tokens), GEMMA3)
    cache = kv_cache.empty(GEMMA3, no_padding(tokens), CAPACITY, jnp.float32)
    for start, end in itertools.pairwise((0, 3, 4, 9, 15, 16)):
        x_BD, new = kv_cache.read(jax_params(GEMMA3), tokens[:, start:end], cache, GEMMA3)
        cache = kv_cache.append(cache, new)
        logits_BV = kv_cache.next_logits(jax_params(GEMMA3), x_BD, GEMMA3)
        assert_close(logits_BV, expected[:, end - 1])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other devices look at all places at once")
def test_blocks_that_hold_nothing_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(cached_block, "BLOCK", 5)
    tokens = jnp.asarray(random_tokens(GEMMA3, B, 8))
    expected = numpy_transformer.forward(random_params(GEMMA3), np.asarray(tokens), GEMMA3)
    params, cache = jax_params(GEMMA3), kv_cache.empty(GEMMA3, no_padding(tokens), CAPACITY, jnp.float32)
    cache = kv_cache.append(cache, kv_cache.read(params, tokens[:, :7], cache, GEMMA3)[1])
    seen_by_all = cache.layers[1]  # 7 tokens lie in the first 2 of its 4 blocks
    spoilt = LayerCache(*(part.at[:, 10:].set(jnp.nan) for part in seen_by_all))
    x_BD, _ = kv_cache.read(params, tokens[:, 7:], cache._replace(layers=(cache.layers[0], spoilt)), GEMMA3)
    assert_close(kv_cache.next_logits(params, x_BD, GEMMA3), expected[:, -1])


def test_a_bfloat16_model_keeps_the_bits_of_its_keys_and_gives_float32_logits():
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), jax_params(GEMMA3))
    tokens = random_tokens(GEMMA3, B, LENGTH)
    exact = numpy_transformer.forward(random_params(GEMMA3), tokens, GEMMA3)
    prompt = jnp.asarray(tokens[:, :-1])
    before, cache = prefill(low, prompt, no_padding(tokens), config=GEMMA3, capacity=CAPACITY)
    after, cache = decode(low, jnp.asarray(tokens[:, -1]), cache, config=GEMMA3)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(cache.layers)} == {"uint16"}
    _, new = kv_cache.read(low, prompt, kv_cache.empty(GEMMA3, no_padding(tokens), 0, jnp.bfloat16), GEMMA3)
    kept = jax.lax.bitcast_convert_type(cache.layers[1].v[:, : LENGTH - 1], jnp.bfloat16)
    assert_close(kept.astype(jnp.float32), new[1].v.astype(jnp.float32), atol=0.1)
    assert before.dtype == after.dtype == jnp.float32
    for logits, place in ((before, -2), (after, -1)):
        error = np.sqrt(np.mean(np.square(logits - exact[:, place]))) / np.std(exact)
        assert error < 0.05  # as without a cache
