"""The published models have the published sizes, to the digit, counted in three ways."""

import math

import jax
import pytest

from gemma_edu import params, presets
from gemma_edu.jax_model import kv_cache, transformer
from gemma_edu.jax_model.params import init

BATCH, LENGTH, CAPACITY = 3, 5, 16
FULL_SIZE = pytest.mark.parametrize("config", presets.FULL_SIZE, ids=lambda config: config.name)


def shape_of_params(config):
    """The tree that `init` would make, without making it."""
    return jax.eval_shape(lambda: init(jax.random.key(0), config))


@pytest.mark.parametrize(
    ("config", "non_embedding", "embedding"),
    [(presets.GEMMA_2B, 1_981_884_416, 524_550_144), (presets.GEMMA_7B, 7_751_248_896, 786_825_216)],
    ids=["2B", "7B"],
)
def test_gemma_has_the_parameters_of_the_reports_table_2(config, non_embedding, embedding):
    count = params.count(config.replace(vocab_size=256_128))  # the report counts 128 padding rows
    assert count["embedding"] == embedding
    assert count["total"] - count["embedding"] == non_embedding


TOTALS = {
    "Gemma 2B": 2_506_172_416,
    "Gemma 7B": 8_537_680_896,
    "Gemma 3 270M": 268_098_176,
    "Llama 2 7B": 6_738_415_616,
    "OLMo 7B": 6_888_095_744,
    "GPT-2 124M": 124_439_808,
    "GPT-2 1.5B": 1_557_611_200,
    # the decoder stack of "Attention is all you need" without its cross-attention: no published figure
    "Transformer base": 37_000 * 512 + 6 * (4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512),
    "Transformer big": 37_000 * 1024 + 6 * (4 * 1024**2 + 2 * 1024 * 4096 + 4096 + 1024 + 4 * 1024),
}


@FULL_SIZE
def test_the_total_is_the_published_one_by_formula_by_shapes_and_by_initialisation(config):
    by_shapes = sum(math.prod(shape) for shape in params.shapes(config).values())
    by_init = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shape_of_params(config)))
    assert params.count(config)["total"] == by_shapes == by_init == TOTALS[config.name]


def test_gemma_2b_component_by_component():
    assert params.count(presets.GEMMA_2B) == {
        "embedding": 256_000 * 2048,
        "positions": 0,
        "attention": 18 * 9_437_184,
        "feedforward": 18 * 100_663_296,
        "norms": 18 * 4096 + 2048,
        "output": 0,
        "total": 2_506_172_416,
    }


@pytest.mark.parametrize(
    ("config", "component", "expected"),
    [
        (presets.GPT2_124M, "positions", 1024 * 768),
        (presets.LLAMA2_7B, "output", 32_000 * 4096),
        (presets.OLMO_7B, "norms", 0),
        (presets.GEMMA3_270M, "norms", 18 * (4 * 640 + 2 * 256) + 640),
        (presets.TRANSFORMER_BASE, "norms", 6 * 2 * 2 * 512),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_what_sets_the_other_models_apart_is_counted(config, component, expected):
    assert params.count(config)[component] == expected


def test_attention_of_gemma_7b_is_wider_than_its_stream():
    assert (presets.GEMMA_7B.num_heads * presets.GEMMA_7B.head_dim, presets.GEMMA_7B.embed_dim) == (
        4096,
        3072,
    )


@pytest.mark.parametrize("config", presets.TINY, ids=lambda config: config.name)
def test_tiny_models_have_axes_of_different_lengths(config):
    axes = [config.vocab_size, config.embed_dim, config.num_heads, config.head_dim, config.hidden_dim]
    axes += [config.context_length, BATCH, LENGTH]
    assert len(set(axes)) == len(axes)
    assert config.num_kv_heads in {1, 2, 8}


SIZES = {
    "name",
    "vocab_size",
    "embed_dim",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "hidden_dim",
}
SIZES |= {"context_length", "window_size", "global_every"}


@FULL_SIZE
def test_a_tiny_twin_differs_in_sizes_only_and_keeps_the_kind_of_attention(config):
    small = presets.tiny(config)
    different = {field for field, value in vars(small).items() if value != getattr(config, field)}
    assert different <= SIZES
    assert (small.num_kv_heads == 1) == (config.num_kv_heads == 1)
    assert (small.heads_per_kv_head == 1) == (config.heads_per_kv_head == 1)
    assert (small.window_size is None) == (config.window_size is None)


@FULL_SIZE
def test_forward_of_a_full_size_model_has_the_right_shape_without_memory(config):
    tokens = jax.ShapeDtypeStruct((BATCH, LENGTH), "int32")
    logits = jax.eval_shape(lambda p, t: transformer.forward(p, t, config), shape_of_params(config), tokens)
    assert (logits.shape, logits.dtype) == ((BATCH, LENGTH, config.vocab_size), "float32")


@pytest.mark.parametrize(
    ("config", "per_token"), [(presets.GEMMA_2B, 9_216), (presets.GEMMA_7B, 229_376)], ids=["2B", "7B"]
)
def test_prefill_and_decode_keep_their_shapes_at_full_size(config, per_token):
    weights = shape_of_params(config)
    tokens, padding = jax.ShapeDtypeStruct((BATCH, LENGTH), "int32"), jax.ShapeDtypeStruct((BATCH,), "int32")
    logits, cache = jax.eval_shape(
        lambda p, t, pad: kv_cache.prefill(p, t, pad, config, CAPACITY), weights, tokens, padding
    )
    assert logits.shape == (BATCH, config.vocab_size)
    assert cache.layers[0].k.shape == (BATCH, CAPACITY, config.num_kv_heads, config.head_dim)
    assert (
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(cache.layers)) == per_token * BATCH * CAPACITY
    )
    step_logits, step_cache = jax.eval_shape(
        lambda p, t, c: kv_cache.decode(p, t, c, config), weights, padding, cache
    )
    assert step_logits == logits
    assert jax.tree.map(lambda leaf: leaf.shape, step_cache) == jax.tree.map(lambda leaf: leaf.shape, cache)
