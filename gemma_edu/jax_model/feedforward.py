"""The feed-forward sublayer: GeGLU, SwiGLU, or the plain GELU and ReLU of earlier models."""

import jax
from jaxtyping import Array, Float

from gemma_edu.config import Activation, ModelConfig
from gemma_edu.jax_model.products import product
from gemma_edu.params import FeedForward


def activate(x: Float[Array, "*shape"], activation: Activation) -> Float[Array, "*shape"]:
    """The nonlinearity that `activation` names."""
    if activation is Activation.RELU:
        return jax.nn.relu(x)
    if activation is Activation.SILU:
        return jax.nn.silu(x)
    return jax.nn.gelu(x, approximate=activation is Activation.GELU_TANH)


def feedforward(
    params: FeedForward, x: Float[Array, "*batch D"], config: ModelConfig
) -> Float[Array, "*batch D"]:
    """(act(x W_gate) ⊙ x W_up) W_down when gated (Shazeer 2020, section 2), else act(x W_up) W_down."""
    up_F = product("...D,DF->...F", x, params.w_up)
    if config.feedforward_bias:
        up_F = up_F + params.b_up
    if config.gated:
        hidden_F = activate(product("...D,DF->...F", x, params.w_gate), config.activation) * up_F
    else:
        hidden_F = activate(up_F, config.activation)
    y_D = product("...F,FD->...D", hidden_F, params.w_down)
    return y_D + params.b_down if config.feedforward_bias else y_D
