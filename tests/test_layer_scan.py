"""One compiled layer run L times gives what L layers written one after the other give."""

import jax
import jax.numpy as jnp
import pytest
from backend import EVERY_TINY, B, T, assert_close, random_params, random_tokens

from gemma_edu import presets
from gemma_edu.jax_model import layer_scan
from gemma_edu.numpy_model import transformer as numpy_transformer

pytestmark = pytest.mark.usefixtures("quick_compile")

forward = jax.jit(layer_scan.forward, static_argnames="config")
GEMMA3 = presets.TINY_GEMMA3_270M


def check(config):
    """The scanned model in JAX against the plain one in NumPy."""
    weights, tokens = random_params(config), random_tokens(config, B, 9)
    stacked = layer_scan.stack(jax.tree.map(jnp.asarray, weights), config)
    expected = numpy_transformer.forward(weights, tokens, config)
    assert_close(forward(stacked, jnp.asarray(tokens), config=config), expected, atol=3e-5)
    return stacked


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_scanned_layers_give_the_plain_models_logits(config):
    check(config)


@pytest.mark.parametrize(
    ("num_layers", "global_every", "stacked_layers", "left_over"),
    [(7, 3, [2, 2, 2], 1), (8, 3, [2, 2, 2], 2), (1, 2, [1], 0), (2, 6, [1, 1], 0)],
)
def test_layers_left_over_by_the_pattern_run_after_the_scan(
    num_layers, global_every, stacked_layers, left_over
):
    stacked = check(GEMMA3.replace(num_layers=num_layers, global_every=global_every))
    kinds, rest = stacked.blocks[: len(stacked_layers)], stacked.blocks[len(stacked_layers) :]
    assert [block.attention.w_q.shape for block in kinds] == [(n, 10, 8, 12) for n in stacked_layers]
    assert [block.attention.w_q.shape for block in rest] == [(10, 8, 12)] * left_over


def test_a_stack_of_like_layers_holds_them_in_order():
    config = presets.TINY_LLAMA2_7B.replace(num_layers=3)
    weights = jax.tree.map(jnp.asarray, random_params(config))
    (block,) = layer_scan.stack(weights, config).blocks
    for layer in range(3):
        assert_close(block.feedforward.w_up[layer], weights.blocks[layer].feedforward.w_up, atol=0)


def test_the_program_does_not_grow_with_the_number_of_layers():
    def size(num_layers):
        config = presets.TINY_GEMMA_2B.replace(num_layers=num_layers)
        weights = jax.tree.map(jnp.asarray, random_params(config))
        tokens = jax.ShapeDtypeStruct((B, T), "int32")
        return len(
            forward.lower(layer_scan.stack(weights, config), tokens, config=config).as_text().splitlines()
        )

    assert size(9) == size(2)


def test_tokens_are_checked():
    weights = layer_scan.stack(jax.tree.map(jnp.asarray, random_params(GEMMA3)), GEMMA3)
    with pytest.raises(ValueError, match="token id 11 is outside"):
        layer_scan.forward(weights, jnp.array([[11]]), GEMMA3)
