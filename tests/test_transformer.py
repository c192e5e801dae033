"""The whole model: both backends agree, the future is unseen, and every switch does what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import EVERY_TINY, B, T, assert_close, count_up, normal, random_params, random_tokens

from gemma_edu import presets
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.numpy_model import transformer as numpy_transformer

pytestmark = pytest.mark.usefixtures("quick_compile")

jax_forward = jax.jit(jax_transformer.forward, static_argnames="config")
LENGTH = 9  # longer than two windows of 4


def forward(backend, config, tokens, positions=None):
    """Logits of random weights; compiled in JAX."""
    run = jax_forward if backend.name == "jax" else backend.transformer.forward
    positions = None if positions is None else backend.array(positions)
    weights = backend.tree(random_params(config))
    return np.asarray(run(weights, backend.array(tokens), config=config, positions=positions))


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_numpy_and_jax_give_the_same_logits(config):
    tokens = random_tokens(config, B, LENGTH)
    weights = random_params(config)
    expected = numpy_transformer.forward(weights, tokens, config)
    assert expected.shape == (B, LENGTH, config.vocab_size)
    assert np.std(expected) > 0.1  # there is something to compare
    assert_close(
        jax_forward(jax.tree.map(jnp.asarray, weights), jnp.asarray(tokens), config=config), expected
    )


def test_jax_gives_the_same_logits_compiled_or_not():
    config = presets.TINY_GEMMA3_270M
    weights, tokens = (
        jax.tree.map(jnp.asarray, random_params(config)),
        jnp.asarray(random_tokens(config, B, LENGTH)),
    )
    assert_close(
        jax_transformer.forward(weights, tokens, config), jax_forward(weights, tokens, config=config)
    )


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_a_later_token_leaves_earlier_logits_as_they_were(backend, config):
    tokens = random_tokens(config, B, LENGTH)
    changed = tokens.copy()
    changed[:, 5] = (changed[:, 5] + 1) % config.vocab_size
    before, after = forward(backend, config, tokens), forward(backend, config, changed)
    assert_close(after[:, :5], before[:, :5], atol=0)
    assert np.all(np.max(np.abs(after[:, 5:] - before[:, 5:]), axis=-1)[:, :3] > 1e-3)  # the next ones see it


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_padding_on_the_left_changes_no_logits(backend, config):
    tokens = random_tokens(config, B, LENGTH)
    padding = np.array([0, 2, 6])[:, None]
    padded_positions = np.maximum(count_up(B, LENGTH) - padding, -1)
    padded = forward(backend, config, tokens, padded_positions)
    for row, start in enumerate(padding[:, 0]):
        alone = numpy_transformer.forward(random_params(config), tokens[row : row + 1, start:], config)
        assert_close(padded[row, start:], alone[0])
    assert np.all(np.isfinite(padded))


def test_a_window_forgets_what_lies_behind_it(backend):
    config = presets.TINY_GEMMA3_270M.replace(num_layers=1)  # one local layer of window 4
    tokens = random_tokens(config, 1, LENGTH)
    changed = tokens.copy()
    changed[:, 2] = (changed[:, 2] + 1) % config.vocab_size
    difference = np.abs(forward(backend, config, tokens) - forward(backend, config, changed)).max(axis=(0, 2))
    assert (difference > 1e-4).astype(int).tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_layers_get_their_own_window_and_theta(backend):
    config = presets.TINY_GEMMA3_270M
    weights, tokens = backend.tree(random_params(config)), backend.array(random_tokens(config, B, LENGTH))
    positions = backend.array(count_up(B, LENGTH))
    local = backend.masks.attention_mask(positions, positions, 4)
    everything = backend.masks.attention_mask(positions, positions, None)
    x = backend.embedding.embed(weights.embedding.table, tokens, True)
    x = backend.block.block(weights.blocks[0], x, positions, local, 10_000.0, config)
    x = backend.block.block(weights.blocks[1], x, positions, everything, 1_000_000.0, config)
    x = backend.norms.norm(weights.final_norm, x, config)
    assert_close(forward(backend, config, tokens), backend.embedding.unembed(weights.embedding.table, x))


def test_relative_positions_make_rope_blind_to_a_common_shift(backend):
    config = presets.TINY_GEMMA_2B
    tokens, positions = random_tokens(config, B, LENGTH), count_up(B, LENGTH)
    here, there = (forward(backend, config, tokens, positions + shift) for shift in (0, 100))
    assert_close(there, here, atol=1e-4)  # angles of 100 radians have float32's last digits less


@pytest.mark.parametrize(
    "config", [presets.TINY_GPT2_124M, presets.TINY_TRANSFORMER_BASE], ids=["learned", "sinusoidal"]
)
def test_added_positions_say_where_a_token_stands(backend, config):
    weights, tokens = random_params(config), random_tokens(config, B, T)
    positions = count_up(B, T) + 2
    x = weights.embedding.table[tokens] * (10**0.5 if config.scale_embedding else 1.0)
    if config is presets.TINY_GPT2_124M:
        x = x + weights.embedding.positions[positions]
    else:
        angles = positions[..., None] / 10_000 ** (np.arange(0, 10, 2) / 10)
        x[..., 0::2] += np.sin(angles)
        x[..., 1::2] += np.cos(angles)
    arrays = (backend.array(tokens), backend.array(positions))
    assert_close(backend.transformer.embed_tokens(backend.tree(weights.embedding), *arrays, config), x)


@pytest.mark.parametrize("scale", [True, False])
def test_rope_models_add_nothing_to_the_embedding_and_scale_it_if_asked(backend, scale):
    config = presets.TINY_GEMMA_2B.replace(scale_embedding=scale)
    weights, tokens = random_params(config), random_tokens(config, B, T)
    arrays = (backend.array(tokens), backend.array(count_up(B, T)))
    x = backend.transformer.embed_tokens(backend.tree(weights.embedding), *arrays, config)
    assert_close(x, weights.embedding.table[tokens] * (10**0.5 if scale else 1.0))


@pytest.mark.parametrize("tied", [True, False])
def test_logits_come_from_the_table_where_tied_and_from_the_output_matrix_where_not(backend, tied):
    config = presets.TINY_LLAMA2_7B.replace(tie_embedding=tied)
    weights, x = random_params(config), normal(B, T, 10)
    normalised = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-5) * weights.final_norm.scale
    output = weights.embedding.table if tied else weights.embedding.output
    assert_close(
        backend.transformer.read_out(backend.tree(weights), backend.array(x), config), normalised @ output.T
    )


def test_post_norm_reads_out_without_a_final_norm(backend):
    config = presets.TINY_TRANSFORMER_BASE
    weights, x = random_params(config), normal(B, T, 10)
    logits = backend.transformer.read_out(backend.tree(weights), backend.array(x), config)
    assert_close(logits, x @ weights.embedding.table.T)


def test_a_table_of_another_width_is_caught(backend):
    config = presets.TINY_GEMMA_2B
    weights = random_params(config)
    broken = weights._replace(embedding=weights.embedding._replace(table=weights.embedding.table[:, :1]))
    with pytest.raises(ValueError, match=r"of another shape: embedding.table \(11, 1\), not \(11, 10\)"):
        backend.transformer.forward(backend.tree(broken), backend.array(random_tokens(config, B, T)), config)


@pytest.mark.parametrize(
    "config", [c for c in presets.TINY if c.name != "tiny Gemma 7B"], ids=lambda c: c.name
)
def test_bfloat16_stays_close_to_float32_and_its_logits_are_float32(config):
    weights, tokens = random_params(config), random_tokens(config, B, LENGTH)
    exact = numpy_transformer.forward(weights, tokens, config)
    rounded = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), weights)
    logits = jax_forward(rounded, jnp.asarray(tokens), config=config)
    assert logits.dtype == jnp.float32
    error = np.sqrt(np.mean(np.square(logits - exact))) / np.std(exact)
    assert 1e-4 < error < 0.05  # bfloat16 keeps 8 bits, and errors add up over two layers
