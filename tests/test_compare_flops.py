"""The FLOP formulas give what is counted in the traced programs, for every family at two sizes and more."""

import jax
import jax.numpy as jnp
import pytest
from backend import EVERY_TINY

from gemma_edu import params, presets
from gemma_edu.compare import flops
from gemma_edu.compare.traced_flops import flops_of
from gemma_edu.jax_model import kv_cache, layer_scan, loss, transformer

PUBLISHED = (
    presets.GEMMA_2B, presets.GEMMA_7B, presets.GEMMA3_270M, presets.LLAMA2_7B, presets.OLMO_7B,
    presets.GPT2_124M, presets.TRANSFORMER_BASE,
)  # fmt: skip
MODELS = {
    "argvalues": presets.TINY + PUBLISHED,
    "ids": [config.name for config in presets.TINY + PUBLISHED],
}
"""Gemma 1 with one and with all key/value heads, Gemma 3, Llama 2, OLMo, GPT-2, 2017; tiny, and as published."""

B, T = 3, 600
"""Beyond the windows of Gemma 3."""


def weights(config):
    """A tree of shapes without numbers: a model of 8 billion parameters takes no memory."""
    return params.build(config, lambda name, shape: jax.ShapeDtypeStruct(shape, jnp.float32))


def fewer_layers(config):
    """One of each kind, and one more: what is the same for every layer need not be traced 28 times."""
    return config.replace(num_layers=min(config.num_layers, config.global_every + 1))


def tokens(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def length(config):
    return min(T, config.context_length - 1)


@pytest.mark.parametrize("config", **MODELS)
def test_forward_is_what_the_traced_program_computes(config):
    T = length(config)
    counted = flops_of(lambda p, ids: transformer.forward(p, ids, config), weights(config), tokens(B, T))
    assert flops.forward(config, T, B)["total"] == counted


@pytest.mark.parametrize("config", **MODELS)
def test_training_is_what_the_traced_gradient_computes(config):
    config = fewer_layers(config)
    T = length(config)

    def mean_loss(p, ids):
        return loss.next_token_losses(transformer.forward(p, ids, config), ids).mean()

    counted = flops_of(jax.value_and_grad(mean_loss), weights(config), tokens(B, T))
    assert flops.training(config, T, B)["total"] == counted


@pytest.mark.parametrize("config", **MODELS)
def test_prefill_and_decode_are_what_the_traced_programs_compute(config):
    config = fewer_layers(config)
    T, capacity = length(config), length(config) + 1
    padding = jax.ShapeDtypeStruct((B,), jnp.int32)

    def prefill(p, ids, padding):
        return kv_cache.prefill(p, ids, padding, config, capacity)

    _, cache = jax.eval_shape(prefill, weights(config), tokens(B, T), padding)
    counted = flops_of(prefill, weights(config), tokens(B, T), padding)
    assert flops.prefill(config, T, B)["total"] == counted
    counted = flops_of(lambda *a: kv_cache.decode(*a, config), weights(config), tokens(B), cache)
    assert flops.decode(config, capacity, B)["total"] == counted


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_a_scan_over_layers_does_the_same_work(config):
    stacked = jax.eval_shape(lambda p: layer_scan.stack(p, config), weights(config))
    counted = flops_of(lambda p, ids: layer_scan.forward(p, ids, config), stacked, tokens(B, 29))
    assert flops.forward(config, 29, B)["total"] == counted


def test_components_of_a_model_counted_by_hand():
    config = presets.TINY_GROUPED  # V 11, D 10, L 2, N 8, K 2, H 12, F 14, gated
    assert flops.forward(config, 5, 3) == {
        "attention": 2 * 15 * 2 * (2 * 10 * 96 + 2 * 10 * 24),
        "scores": 4 * 96 * 3 * 2 * 25,
        "feedforward": 2 * 15 * 2 * 3 * 140,
        "output": 2 * 15 * 110,
        "total": 144_000 + 57_600 + 25_200 + 3_300,
    }


def test_prefill_leaves_out_of_forward_what_only_earlier_tokens_logits_need():
    config = presets.GEMMA_2B
    forward, prefill = (kind(config, 100, 3) for kind in (flops.forward, flops.prefill))
    N, H, D, F = config.num_heads, config.head_dim, config.embed_dim, config.hidden_dim
    left_out = 3 * 99  # tokens, in one layer
    assert {name: forward[name] - prefill[name] for name in forward if name != "total"} == {
        "attention": left_out * 4 * D * N * H,
        "scores": left_out * 100 * 4 * N * H,
        "feedforward": left_out * 6 * D * F,
        "output": left_out * 2 * D * config.vocab_size,
    }


@pytest.mark.parametrize("config", **MODELS)
def test_a_prefill_does_more_than_the_least_in_its_scores_alone(config):
    prefill, least = flops.prefill(config, 100, 3), flops.least(config, 100, batch=3)
    assert {name for name in prefill if prefill[name] != least[name]} == {"scores", "total"}
    assert prefill["scores"] > least["scores"]


def test_fewer_key_value_heads_save_projections_and_no_scores():
    mha = presets.GEMMA_2B.replace(num_kv_heads=8)
    few, many = flops.decode(presets.GEMMA_2B, 1000), flops.decode(mha, 1000)
    assert few["scores"] == many["scores"] and few["attention"] < many["attention"]


@pytest.mark.parametrize("config", **EVERY_TINY)
@pytest.mark.parametrize(("new", "context"), [(1, 0), (1, 9), (9, 0), (3, 2), (2, 3), (7, 5), (0, 4)])
def test_pairs_in_sight_are_those_of_a_loop(config, new, context):
    pairs = 0
    for layer in range(config.num_layers):
        for position in range(context, context + new):
            if layer + 1 == config.num_layers and position + 1 < context + new:
                continue
            for key in range(position + 1):
                window = config.window(layer)
                pairs += window is None or position - key < window
    assert flops.pairs_in_sight(config, new, context) == pairs


def test_a_causal_mask_lets_just_over_half_of_the_square_through():
    assert flops.pairs_in_sight(presets.GEMMA_2B, 100) == 17 * 100 * 101 // 2 + 100
    longer = flops.pairs_in_sight(presets.TRANSFORMER_BASE, 600)
    assert longer == 5 * 600 * 601 // 2 + 600  # its sinusoids never end


@pytest.mark.parametrize("function", [flops.forward, flops.prefill, flops.training, flops.least])
@pytest.mark.parametrize(
    ("amounts", "named"), [((0,), "tokens = 0"), ((5, -1), "batch = -1"), ((True,), "tokens = True")]
)
def test_impossible_amounts_are_refused_by_name(function, amounts, named):
    with pytest.raises(ValueError, match=f"^{named}: give a whole number of at least 1"):
        function(presets.TINY_GEMMA_2B, *amounts)


def test_a_cache_without_room_still_holds_the_new_token_itself():
    assert flops.decode(presets.TINY_GEMMA_2B, 0)["scores"] == 4 * 96 * 2
    with pytest.raises(ValueError, match="^capacity = -1: give a whole number of at least 0"):
        flops.decode(presets.TINY_GEMMA_2B, -1)
