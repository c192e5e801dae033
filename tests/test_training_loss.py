"""The loss and its gradients, against the plain forward pass and against finite differences in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import B, assert_close, random_params, random_tokens
from jax._src import core
from jax.sharding import AbstractMesh, AxisType

from gemma_edu import params, presets
from gemma_edu.jax_model import layer_scan, transformer
from gemma_edu.jax_model.loss import next_token_losses
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.scaling import mesh
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.data import Batch
from gemma_edu.training.loss import mean_loss

pytestmark = pytest.mark.usefixtures("quick_compile")

T = 6
PLAIN = TrainingConfig(steps=1)
WEIGHTS = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 2, 1, 0.5, 1], [1, 1, 1, 0, 0, 0]], np.float32)


def batch_for(config):
    return Batch(random_tokens(config, B, T + 1), WEIGHTS)


value_and_grad = jax.jit(jax.value_and_grad(mean_loss), static_argnums=(2, 3))


@functools.cache
def gradients(config, training=PLAIN):
    """The loss of random weights, and its gradients."""
    return value_and_grad(
        jax.tree.map(jnp.asarray, random_params(config)), batch_for(config), config, training
    )


def plain_loss(weights, batch, config):
    """The same from logits of all tokens at once, and the loss that lessons use."""
    losses = next_token_losses(transformer.forward(weights, batch.tokens, config), batch.tokens)
    return jnp.sum(losses * batch.weights) / jnp.sum(batch.weights)


GEMMA3, LLAMA2 = presets.TINY_GEMMA3_270M, presets.TINY_LLAMA2_7B


def every(*configs):
    """A test for each config, under its name."""
    return pytest.mark.parametrize("config", configs, ids=lambda config: config.name.removeprefix("tiny "))


def assert_same_gradients(found, expected, atol=1e-5):
    found, expected = params.to_leaves(found), params.to_leaves(expected)
    assert found.keys() == expected.keys()
    for name in found:
        assert_close(found[name], expected[name], atol)


@every(GEMMA3, LLAMA2)
def test_loss_and_gradients_are_those_of_the_plain_model(config):
    plain = jax.jit(jax.value_and_grad(plain_loss), static_argnums=2)
    expected = plain(jax.tree.map(jnp.asarray, random_params(config)), batch_for(config), config)
    loss, found = gradients(config)
    assert_close(loss, expected[0])
    assert_same_gradients(found, expected[1])


def numpy_loss(weights, config):
    """Spelled out in NumPy."""
    tokens, weight = batch_for(config)
    logits_BTV = np.asarray(numpy_transformer.forward(weights, tokens[:, :-1], config), np.float64)
    log_sums_BT = np.log(np.exp(logits_BTV).sum(-1))
    chosen_BT = np.take_along_axis(logits_BTV, tokens[:, 1:, None].astype(int), -1)[..., 0]
    return ((log_sums_BT - chosen_BT) * weight).sum() / weight.sum()


@every(presets.TINY_GEMMA_2B, GEMMA3, LLAMA2, presets.TINY_GPT2_124M, presets.TINY_TRANSFORMER_BASE)
def test_gradients_are_the_slopes_that_numpy_finds(config):
    """(loss(w + εd) − loss(w − εd)) / 2ε = gradient · d, for a random direction d of length 1 in each weight."""
    weights, (loss, found) = random_params(config), gradients(config)
    assert_close(loss, numpy_loss(weights, config))
    leaves, found = params.to_leaves(weights), params.to_leaves(found)
    rng, step = np.random.default_rng(0), 1e-3
    for name, leaf in leaves.items():
        # The gradient's own direction has its share, or a slope near 0 would test nothing.
        gradient = np.asarray(found[name], np.float64)
        direction = rng.standard_normal(leaf.shape) + 3 * gradient / (np.abs(gradient).mean() + 1e-9)
        direction /= np.linalg.norm(direction)
        up, down = (
            numpy_loss(
                params.from_leaves(leaves | {name: np.float64(leaf) + sign * direction}, config), config
            )
            for sign in (step, -step)
        )
        assert (up - down) / (2 * step) == pytest.approx(np.sum(gradient * direction), rel=2e-3, abs=3e-4), (
            name
        )


@pytest.mark.parametrize(
    ("config", "change"),
    [(GEMMA3, {"loss_chunk": 2}), (LLAMA2, {"loss_chunk": 1}), (GEMMA3, {"rematerialise": True})],
    ids=["chunks, tied", "chunks, untied", "rematerialise"],
)
def test_saving_memory_changes_no_gradient(config, change):
    loss, found = gradients(config, PLAIN.replace(**change))
    expected = gradients(config)
    assert_close(loss, expected[0], atol=1e-6)
    assert_same_gradients(found, expected[1], atol=2e-6)


def test_scanned_layers_have_the_same_gradients():
    config = GEMMA3.replace(num_layers=5)  # local and global, twice, and a local one left over
    weights = jax.tree.map(jnp.asarray, random_params(config))
    scanned = layer_scan.stack(weights, config)
    loss, found = value_and_grad(scanned, batch_for(config), config, PLAIN.replace(rematerialise=True))
    expected = gradients(config)
    assert_close(loss, expected[0])
    jax.tree.map(assert_close, found, layer_scan.stack(expected[1], config))


def test_bfloat16_is_used_and_gradients_stay_float32():
    config = presets.TINY_GEMMA_2B.replace(embed_dim=64, head_dim=16, hidden_dim=96)
    weights, batch = jax.tree.map(lambda leaf: leaf / 3, random_params(config)), batch_for(config)
    exact, expected = value_and_grad(weights, batch, config, PLAIN)
    loss, found = value_and_grad(weights, batch, config, PLAIN.replace(compute_dtype="bfloat16"))
    assert 1e-6 < abs(loss - exact) < 2e-2
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == jnp.float32
        assert np.linalg.norm(one - other) < 0.03 * np.linalg.norm(other)  # 2⁻⁸ for each of some 20 roundings


def test_gradients_of_many_uses_are_summed_in_float32():
    """In bfloat16 a sum of like numbers ends where it is 256 times as large as each."""
    config = presets.TINY_GEMMA_2B
    weights = jax.tree.map(jnp.asarray, random_params(config))
    batch = Batch(np.full((1, 1025), 3, np.int32), np.ones((1, 1024), np.float32))
    exact = value_and_grad(weights, batch, config, PLAIN)[1].embedding.table[3]
    for chunk in (None, 1):
        training = PLAIN.replace(compute_dtype="bfloat16", loss_chunk=chunk)
        found = value_and_grad(weights, batch, config, training)[1].embedding.table[3]
        assert np.linalg.norm(found - exact) < 0.03 * np.linalg.norm(exact), chunk


def test_a_chunked_loss_needs_less_memory():
    config = presets.TINY_GEMMA_2B.replace(vocab_size=20_000)
    batch = Batch(jax.ShapeDtypeStruct((4, 129), "int32"), jax.ShapeDtypeStruct((4, 128), "float32"))
    tree = params.build(config, lambda name, shape: jax.ShapeDtypeStruct(shape, "float32"))

    def temporary(chunk):
        program = value_and_grad.lower(tree, batch, config, PLAIN.replace(loss_chunk=chunk)).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert temporary(16) < temporary(None) / 2  # 30 MB of 96


def test_predictions_of_no_weight_have_no_influence():
    config = presets.TINY_GEMMA_2B
    weights, batch = jax.tree.map(jnp.asarray, random_params(config)), batch_for(config)
    other = batch.tokens.copy()
    other[2, 4:] = (other[2, 4:] + 1) % config.vocab_size  # row 2 counts up to the prediction of token 3
    changed = batch.tokens.copy()
    changed[2, 3] = (changed[2, 3] + 1) % config.vocab_size
    loss, same, different = (
        float(mean_loss(weights, batch._replace(tokens=tokens), config, PLAIN))
        for tokens in (batch.tokens, other, changed)
    )
    assert loss == same
    assert abs(loss - different) > 1e-3


def test_shapes_that_do_not_fit_are_named():
    config = presets.TINY_GEMMA_2B
    weights, batch = jax.tree.map(jnp.asarray, random_params(config)), batch_for(config)
    with pytest.raises(ValueError, match=r"tokens have shape \(3, 6\) and weights \(3, 6\)"):
        mean_loss(weights, batch._replace(tokens=batch.tokens[:, 1:]), config, PLAIN)
    with pytest.raises(ValueError, match="loss_chunk = 4 does not divide T = 6"):
        mean_loss(weights, batch, config, PLAIN.replace(loss_chunk=4))
    with pytest.raises(ValueError, match="token id 11 is outside"):
        mean_loss(weights, batch._replace(tokens=np.full((B, T + 1), 11)), config, PLAIN)
    with pytest.raises(ValueError, match="not those of .*of another shape: embedding.table"):
        mean_loss(weights, batch, config.replace(vocab_size=12), PLAIN)


def test_on_a_mesh_the_tables_gradients_are_added_up_once_not_for_each_chunk():
    """Values are the same either way, and on 4096 chips each time is a message from pod to pod."""
    config = GEMMA3

    def sums(jaxpr, loops=0):
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            if name.startswith("psum"):
                yield loops, equation.outvars[0].aval.shape
            for inner in core.jaxprs_in_params(equation.params):
                yield from sums(inner, loops + (name == "scan"))

    weights = jax.tree.map(jnp.asarray, random_params(config))
    batch = Batch(np.zeros((4, T + 1), np.int32), np.ones((4, T), np.float32))
    axes = AbstractMesh((2, 2, 2), mesh.AXES, axis_types=(AxisType.Auto,) * 3)
    with jax.sharding.use_abstract_mesh(axes):
        way_back = jax.make_jaxpr(jax.grad(mean_loss), static_argnums=(2, 3))
        found = list(sums(way_back(weights, batch, config, PLAIN.replace(loss_chunk=2)).jaxpr))
    assert (0, weights.embedding.table.shape) in found
    assert not [shape for loops, shape in found if loops]
