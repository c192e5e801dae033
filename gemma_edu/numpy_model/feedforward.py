"""The feed-forward sublayer: GeGLU, SwiGLU, or the plain GELU and ReLU of earlier models."""

import math

import numpy as np
from jaxtyping import Float

from gemma_edu.config import Activation, ModelConfig
from gemma_edu.params import FeedForward


def gelu(x: Float[np.ndarray, "*shape"], approximate: bool) -> Float[np.ndarray, "*shape"]:
    """x Φ(x) (Hendrycks & Gimpel 2016), or its tanh approximation, which is what Gemma was trained with.

    The two differ by at most 4.73e-4, near x = −2.70.
    """
    if approximate:
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
    erf = np.vectorize(math.erf, otypes=[np.float64])  # NumPy has no erf of its own
    return (0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))).astype(x.dtype)


def silu(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """x σ(x), also called swish; the logistic is written with tanh, which cannot overflow."""
    return 0.5 * x * (1.0 + np.tanh(0.5 * x))


def relu(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """max(x, 0)."""
    return np.maximum(x, 0)


def activate(x: Float[np.ndarray, "*shape"], activation: Activation) -> Float[np.ndarray, "*shape"]:
    """The nonlinearity that `activation` names."""
    if activation is Activation.RELU:
        return relu(x)
    if activation is Activation.SILU:
        return silu(x)
    return gelu(x, approximate=activation is Activation.GELU_TANH)


def feedforward(
    params: FeedForward, x: Float[np.ndarray, "*batch D"], config: ModelConfig
) -> Float[np.ndarray, "*batch D"]:
    """(act(x W_gate) ⊙ x W_up) W_down when gated (Shazeer 2020, section 2), else act(x W_up) W_down."""
    up_F = x @ params.w_up
    if config.feedforward_bias:
        up_F = up_F + params.b_up
    if config.gated:
        hidden_F = activate(x @ params.w_gate, config.activation) * up_F
    else:
        hidden_F = activate(up_F, config.activation)
    y_D = hidden_F @ params.w_down
    return y_D + params.b_down if config.feedforward_bias else y_D
