"""The tree of weights: which exist, under which names, and how they start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import EVERY_TINY, B, normal, random_params, random_tokens

from gemma_edu import params, presets
from gemma_edu.config import NormKind, PositionKind
from gemma_edu.jax_model import transformer
from gemma_edu.jax_model.params import init

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_names_and_tree_are_each_others_inverse(config):
    leaves = {name: np.empty(shape) for name, shape in params.shapes(config).items()}
    tree = params.from_leaves(leaves, config)
    back = params.to_leaves(tree)
    assert back.keys() == leaves.keys()
    assert all(back[name] is leaves[name] for name in leaves)
    assert jax.tree.structure(params.from_leaves(back, config)) == jax.tree.structure(tree)


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_every_leaf_has_the_shape_that_shapes_says(config):
    tree = random_params(config)
    assert {name: leaf.shape for name, leaf in params.to_leaves(tree).items()} == params.shapes(config)


def test_missing_and_unknown_names_are_all_named_at_once():
    leaves = params.to_leaves(random_params(presets.TINY_GEMMA_2B))
    del leaves["final_norm.scale"], leaves["blocks.1.attention.w_q"]
    leaves |= {"embedding.output": 0, "blocks.2.attention.w_q": 0}
    with pytest.raises(ValueError) as error:
        params.from_leaves(leaves, presets.TINY_GEMMA_2B)
    assert str(error.value) == (
        "params of tiny Gemma 2B: missing ['blocks.1.attention.w_q', 'final_norm.scale'], "
        "unknown ['blocks.2.attention.w_q', 'embedding.output']"
    )


def test_only_missing_names_leave_unknown_at_none():
    with pytest.raises(
        ValueError, match=r"missing \['blocks.0.attention.w_k', .*'embedding.table'\], unknown none"
    ):
        params.from_leaves({}, presets.TINY_OLMO_7B)


def names_in_a_block(config):
    return {name.removeprefix("blocks.0.") for name in params.shapes(config) if name.startswith("blocks.0.")}


ATTENTION = {"attention.w_q", "attention.w_k", "attention.w_v", "attention.w_o"}
PLAIN = ATTENTION | {"feedforward.w_up", "feedforward.w_down"}


def test_each_architecture_asks_for_its_own_weights():
    gated = PLAIN | {"feedforward.w_gate"}
    pre_norm = {"attention_norm.scale", "feedforward_norm.scale"}
    sandwich = pre_norm | {"post_attention_norm.scale", "post_feedforward_norm.scale"}
    biases = {f"attention.b_{name}" for name in "qkvo"} | {"feedforward.b_up", "feedforward.b_down"}
    assert names_in_a_block(presets.GEMMA_2B) == gated | pre_norm
    assert names_in_a_block(presets.LLAMA2_7B) == gated | pre_norm
    assert names_in_a_block(presets.OLMO_7B) == gated
    assert names_in_a_block(presets.GEMMA3_270M) == gated | sandwich | {
        "attention.q_norm.scale", "attention.k_norm.scale"}  # fmt: skip
    assert names_in_a_block(presets.GPT2_124M) == PLAIN | pre_norm | biases | {
        "attention_norm.bias", "feedforward_norm.bias"}  # fmt: skip
    assert names_in_a_block(presets.TRANSFORMER_BASE) == PLAIN | {
        "feedforward.b_up", "feedforward.b_down", "post_attention_norm.scale", "post_attention_norm.bias",
        "post_feedforward_norm.scale", "post_feedforward_norm.bias"}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "outside"),
    [
        (presets.GEMMA_2B, {"embedding.table", "final_norm.scale"}),
        (presets.LLAMA2_7B, {"embedding.table", "final_norm.scale", "embedding.output"}),
        (presets.OLMO_7B, {"embedding.table", "embedding.output"}),
        (
            presets.GPT2_124M,
            {"embedding.table", "embedding.positions", "final_norm.scale", "final_norm.bias"},
        ),
        (presets.TRANSFORMER_BASE, {"embedding.table"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_outside_the_blocks_stand_embedding_positions_output_and_final_norm(config, outside):
    assert {name for name in params.shapes(config) if not name.startswith("blocks.")} == outside


WIDE = presets.TINY_GROUPED.replace(embed_dim=64, head_dim=32, hidden_dim=256, vocab_size=512)


@pytest.fixture(scope="module")
def wide_leaves(quick_compile):
    """Initial weights big enough for their spread to be measured."""
    return params.to_leaves(init(jax.random.key(0), WIDE))


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("embedding.table", 1 / 8),  # 1/√64: scaled by √64 afterwards
        ("blocks.0.attention.w_q", 1 / 8),
        ("blocks.1.attention.w_v", 1 / 8),
        ("blocks.0.attention.w_o", 1 / 16 / 2),  # 1/√(8 · 32), halved for four writes to the stream
        ("blocks.1.feedforward.w_gate", 1 / 8),
        ("blocks.1.feedforward.w_up", 1 / 8),
        ("blocks.0.feedforward.w_down", 1 / 16 / 2),  # 1/√256, halved
    ],
)
def test_matrices_start_with_the_stated_spread(wide_leaves, name, std):
    values = np.asarray(wide_leaves[name])
    assert abs(values.std() / std - 1) < 0.05  # at least 4096 values: five standard errors are 0.055
    assert abs(values.mean()) < 5 * std / values.size**0.5


def test_an_unscaled_untied_table_starts_at_one_and_its_output_matrix_does_not():
    leaves = params.to_leaves(init(jax.random.key(0), presets.TINY_LLAMA2_7B.replace(vocab_size=999)))
    assert abs(np.std(leaves["embedding.table"]) - 1) < 0.05
    assert abs(np.std(leaves["embedding.output"]) * 10**0.5 - 1) < 0.05


def test_a_unit_input_leaves_each_sublayer_matrix_at_unit_size(wide_leaves):
    x = normal(500, 64)
    for name in ("attention.w_q", "attention.w_k", "feedforward.w_gate", "feedforward.w_up"):
        y = np.tensordot(x, np.asarray(wide_leaves[f"blocks.0.{name}"]), axes=1)
        assert abs(y.std() - 1) < 0.1, name


@pytest.mark.parametrize("config", **EVERY_TINY)
def test_norms_start_as_the_identity_and_biases_at_zero(config):
    leaves = params.to_leaves(init(jax.random.key(0), config))
    identity = 0.0 if config.norm is NormKind.RMS_UNIT_OFFSET else 1.0
    for name, leaf in leaves.items():
        if name.endswith("scale"):
            assert np.all(leaf == identity), name
        elif name.split(".")[-1].startswith("b"):
            assert np.all(leaf == 0.0), name
        else:
            assert np.std(leaf) > 0.0, name


def test_no_two_matrices_start_alike_and_the_key_decides():
    first, again, other = (init(jax.random.key(seed), presets.TINY_GEMMA_2B) for seed in (0, 0, 1))
    block = first.blocks[0]
    assert not np.array_equal(block.feedforward.w_gate, block.feedforward.w_up)
    assert not np.array_equal(block.attention.w_k, block.attention.w_v)
    assert not np.array_equal(block.attention.w_q, first.blocks[1].attention.w_q)
    assert np.array_equal(first.embedding.table, again.embedding.table)
    assert not np.array_equal(first.embedding.table, other.embedding.table)


def test_init_makes_every_leaf_in_the_dtype_asked_for():
    tree = jax.eval_shape(lambda: init(jax.random.key(0), presets.GPT2_124M, jnp.bfloat16))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(tree)} == {"bfloat16"}


@pytest.fixture(scope="module", params=EVERY_TINY["argvalues"], ids=EVERY_TINY["ids"])
def training(request, quick_compile):
    """A config, the gradients at its initial weights, and the loss over 30 steps of plain SGD on one batch."""
    config = request.param
    tokens = jnp.asarray(random_tokens(config, B, 9))

    def loss(weights):
        log_odds = jax.nn.log_softmax(transformer.forward(weights, tokens[:, :-1], config))
        return -jnp.mean(jnp.take_along_axis(log_odds, tokens[:, 1:, None], axis=-1))

    step = jax.jit(jax.value_and_grad(loss))
    weights = init(jax.random.key(0), config)
    losses, first = [], None
    for _ in range(30):
        value, gradients = step(weights)
        losses.append(float(value))
        first = first or params.to_leaves(gradients)
        weights = jax.tree.map(lambda leaf, gradient: leaf - 0.1 * gradient, weights, gradients)
    return config, first, losses


def test_every_weight_gets_a_gradient_at_the_start(training):
    config, gradients, _ = training
    assert gradients.keys() == params.shapes(config).keys()
    for name, gradient in gradients.items():
        largest = np.max(np.abs(gradient))
        assert np.isfinite(largest), name
        if name.endswith("b_k") and config.position is not PositionKind.ROPE:
            assert largest < 1e-6, name  # it moves all scores of a query alike, which softmax does not see
        else:
            assert largest > 1e-4, name


def test_initial_weights_learn(training):
    config, _, losses = training
    assert (
        0.7 * np.log(config.vocab_size) < losses[0] < 2 * np.log(config.vocab_size)
    )  # not sure of anything yet
    assert losses[-1] < 0.8 * losses[0], losses
