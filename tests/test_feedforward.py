"""The activations at known points, and the gate that is w_gate and not w_up."""

import math

import numpy as np
import pytest
from backend import B, T, assert_close, normal, random_params

from gemma_edu import presets
from gemma_edu.config import Activation
from gemma_edu.numpy_model.feedforward import gelu, relu, silu
from gemma_edu.params import FeedForward

pytestmark = pytest.mark.usefixtures("quick_compile")

X = [-3.0, -1.0, 0.0, 0.5, 1.0, 2.0]


def activate(backend, x, activation):
    return np.asarray(backend.feedforward.activate(backend.array(x), activation), np.float64)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation.RELU, [0, 0, 0, 0.5, 1, 2]),
        (Activation.SILU, [-0.1422776, -0.2689414, 0, 0.3112297, 0.7310586, 1.7615942]),  # x / (1 + e^−x)
        (Activation.GELU_EXACT, [-0.0040497, -0.1586553, 0, 0.3457312, 0.8413447, 1.9544997]),  # x Φ(x)
        (Activation.GELU_TANH, [-0.0036374, -0.1588080, 0, 0.3457140, 0.8411920, 1.9545977]),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_activations_at_known_points(backend, activation, expected):
    assert_close(activate(backend, X, activation), expected, atol=1e-6)


def test_tanh_and_exact_gelu_differ_by_4_73e_4_at_minus_2_70(backend):
    x = np.linspace(-6, 6, 120_001)
    difference = np.abs(
        activate(backend, x, Activation.GELU_TANH) - activate(backend, x, Activation.GELU_EXACT)
    )
    assert difference.max() == pytest.approx(4.73e-4, abs=1e-6)
    assert abs(x[difference.argmax()]) == pytest.approx(2.70, abs=0.03)  # flat near its top


@pytest.mark.parametrize("activation", Activation, ids=lambda activation: activation.value)
def test_far_from_zero_every_activation_is_zero_or_the_identity(backend, activation):
    assert_close(activate(backend, [-1000.0, -100.0, 100.0, 1000.0], activation), [0, 0, 100, 1000])


def test_the_gate_is_w_gate_and_not_w_up(backend):
    weights = FeedForward(
        w_up=backend.array([[3.0, 5.0]]),
        w_down=backend.array([[1.0], [1.0]]),
        w_gate=backend.array([[-2.0, 1.0]]),
    )
    config = presets.TINY_LLAMA2_7B.replace(activation=Activation.RELU)
    y = backend.feedforward.feedforward(weights, backend.array([[1.0]]), config)
    assert_close(y, [[5.0]])  # relu(−2)·3 + relu(1)·5; with the two swapped it would be 3·(−2) + 5·1 = −1


@pytest.mark.parametrize("activation", [Activation.GELU_TANH, Activation.SILU], ids=["GeGLU", "SwiGLU"])
def test_gated_form_against_loops(backend, activation):
    config = presets.TINY_GEMMA_2B.replace(activation=activation)
    w, x = random_params(config).blocks[0].feedforward, normal(B, T, 10)
    y = np.zeros((B, T, 10))
    for f in range(14):
        y += (activate(backend, x @ w.w_gate[:, f], activation) * (x @ w.w_up[:, f]))[..., None] * w.w_down[f]
    assert_close(backend.feedforward.feedforward(backend.tree(w), backend.array(x), config), y)


@pytest.mark.parametrize(
    "config", [presets.TINY_GPT2_124M, presets.TINY_TRANSFORMER_BASE], ids=["GELU", "ReLU"]
)
def test_plain_form_has_two_matrices_and_two_biases(backend, config):
    w, x = random_params(config).blocks[0].feedforward, normal(B, T, 10)
    assert w.w_gate is None
    y = activate(backend, x @ w.w_up + w.b_up, config.activation) @ w.w_down + w.b_down
    assert_close(backend.feedforward.feedforward(backend.tree(w), backend.array(x), config), y)


def test_tokens_do_not_look_at_each_other(backend):
    config = presets.TINY_GEMMA_2B
    w, x = backend.tree(random_params(config).blocks[0].feedforward), normal(B, T, 10)
    all_at_once = np.asarray(backend.feedforward.feedforward(w, backend.array(x), config))
    assert_close(backend.feedforward.feedforward(w, backend.array(x[1, 2]), config), all_at_once[1, 2])


def test_silu_and_gelu_of_numpy_agree_with_their_definitions():
    x = np.linspace(-8, 8, 33)
    assert_close(silu(x), [value / (1 + math.exp(-value)) for value in x], atol=1e-12)
    exact = [value / 2 * (1 + math.erf(value / math.sqrt(2))) for value in x]
    assert_close(gelu(x, approximate=False), exact, atol=1e-12)
    assert_close(gelu(x, approximate=True), exact, atol=4.74e-4)
    assert_close(relu(x), [max(value, 0) for value in x], atol=0)
