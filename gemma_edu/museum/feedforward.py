"""Bugs of the feed-forward sublayer: its curve, its two branches, and where its training starts."""

import functools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import presets
from gemma_edu.config import Activation, ModelConfig
from gemma_edu.jax_model import feedforward
from gemma_edu.jax_model.params import init
from gemma_edu.museum.exhibit import Exhibit, Hiding
from gemma_edu.museum.port import Port
from gemma_edu.museum.probes import loss_of, same_logits
from gemma_edu.params import FeedForward, Params, from_leaves, to_leaves

TOY, GEMMA3 = presets.TINY_GEMMA_2B, presets.TINY_GEMMA3_270M
STEPS, RATE = 10, 0.1


def exact_gelu(params: FeedForward, x, config: ModelConfig):
    """x Φ(x), which `hidden_act: "gelu"` stands for elsewhere."""
    return feedforward.feedforward(params, x, config.replace(activation=Activation.GELU_EXACT))


def exchanged(params: FeedForward, x, config: ModelConfig):
    """The curve goes over the branch that should have been left alone."""
    return feedforward.feedforward(params._replace(w_gate=params.w_up, w_up=params.w_gate), x, config)


def init_with_zeros(key, config: ModelConfig) -> Params:
    """The package's initial weights, but the three matrices of each feed-forward sublayer are zero."""
    leaves = to_leaves(init(key, config))
    zeros = {name: jnp.zeros_like(leaf) for name, leaf in leaves.items() if ".feedforward." in name}
    return from_leaves(leaves | zeros, config)


def agrees_to_two_decimals(port: Port) -> None:
    """The logits of the NumPy model, within 0.01."""
    same_logits(port, GEMMA3, 7, tolerance=1e-2)


def agrees(port: Port) -> None:
    """The logits of the NumPy model, within 0.0001."""
    same_logits(port, GEMMA3, 7, tolerance=1e-4)


def begins_near_chance(port: Port) -> None:
    """Before training, the loss is near that of guessing among V tokens, ln V."""
    untied = TOY.replace(
        tie_embedding=False
    )  # a tied table begins with a liking for the token that it has just read
    loss = loss_of(port, port.init(jax.random.key(0), untied), _batch(), untied)
    assert abs(float(loss) - math.log(TOY.vocab_size)) < 1


def loss_falls(port: Port) -> None:
    """Ten steps of gradient descent on one batch take 0.2 nats off its loss."""
    weights, losses = port.init(jax.random.key(0), TOY), []
    for _ in range(STEPS):
        loss, slope = loss_and_gradient(port, weights)
        weights = jax.tree.map(lambda w, g: w - RATE * g, weights, slope)
        losses.append(float(loss))
    assert losses[-1] < losses[0] - 0.2


def everything_learns(port: Port) -> None:
    """At the first step every matrix has a gradient."""
    _, slope = loss_and_gradient(port, port.init(jax.random.key(0), TOY))
    still = [name for name, leaf in to_leaves(slope).items() if not np.any(leaf)]
    assert not still, f"these cannot learn: {still}"


def loss_and_gradient(port: Port, weights: Params) -> tuple:
    """The loss of the one batch that is trained on, and its gradient."""
    return _compiled(
        replace(port, init=init), weights, _batch()
    )  # where training starts is no part of the program


@functools.partial(jax.jit, static_argnames="port")
def _compiled(port, weights, tokens_BT):
    return jax.value_and_grad(lambda w: loss_of(port, w, tokens_BT, TOY))(weights)


def _batch() -> np.ndarray:
    return np.random.default_rng(0).integers(0, TOY.vocab_size, (4, 8))


EXACT_GELU = Exhibit(
    name="exact_gelu",
    title="Exact GELU, not the tanh form",
    lesson="06_geglu",
    happened="google/gemma_pytorch until #37; transformers #29402, mended in #29729 (4.39), and back from 4.48.0 to "
    '5.17.0 for configs that say "hidden_act": "gelu"; vLLM #3411 until #3653; CTranslate2 #1658; mlc-llm #2106.',
    right="hidden = gelu(x @ w_gate, approximate=True) * (x @ w_up)",
    wrong="hidden = gelu(x @ w_gate, approximate=False) * (x @ w_up)",
    hiding=Hiding.TOLERANCE,
    missed="The two curves are nowhere further apart than 4.73e-4, at −2.70. A tolerance of 0.01 on logits is wider.",
    caught="Logits in float32 with a tolerance of 0.0001.",
    port=replace(Port(), feedforward=exact_gelu),
    weak_test=agrees_to_two_decimals,
    good_test=agrees,
)

GATE_UP_EXCHANGED = Exhibit(
    name="gate_up_exchanged",
    title="Gate and up exchanged",
    lesson="06_geglu",
    happened="ml-explore/mlx-lm #767 (2026): two arguments of a function had changed places, one caller had not "
    "followed. OLMo's files hold up first, Gemma's hold gate first. No report for Gemma is known to us.",
    right="gate, up = gating_einsum\nhidden = gelu(x @ gate) * (x @ up)",
    wrong="up, gate = gating_einsum\nhidden = gelu(x @ gate) * (x @ up)",
    hiding=Hiding.PROPERTY,
    missed="The two have one shape, and before training nobody can tell them apart: the first loss is ln V, and a "
    "model trained so is as good.",
    caught="Logits of given weights, against NumPy.",
    port=replace(Port(), feedforward=exchanged),
    weak_test=begins_near_chance,
    good_test=agrees,
)

ZERO_INIT = Exhibit(
    name="zero_init",
    title="Feed-forward weights that start at 0",
    lesson="09_jax_gemma",
    happened="google-deepmind/gemma until bb3494c (2024-09-13). The launch code was for running trained weights; "
    "whoever trained from scratch with it had models whose feed-forward layers never did anything.",
    right="w = normal(key, shape) / sqrt(inputs)  # w_gate, w_up, w_down",
    wrong="w = zeros(shape)  # w_gate, w_up, w_down",
    hiding=Hiding.TRAINING,
    missed="The gradient of each of the three matrices is a product with another of them, so all three stay 0. "
    "Embeddings and attention learn, and the loss falls.",
    caught="At the first step every matrix has a gradient other than 0.",
    port=replace(Port(), init=init_with_zeros),
    weak_test=loss_falls,
    good_test=everything_learns,
    unseen="Published weights are trained already.",
)

EXHIBITS = (EXACT_GELU, GATE_UP_EXCHANGED, ZERO_INIT)
