"""One layer: attention and feed-forward, each added to the residual stream, with norms before, after or both."""

from jaxtyping import Array, Bool, Float, Int

from gemma_edu.config import ModelConfig, NormPlacement
from gemma_edu.jax_model.attention import attention
from gemma_edu.jax_model.feedforward import feedforward
from gemma_edu.jax_model.norms import norm
from gemma_edu.params import Block, Norm


def before(params: Norm, x: Float[Array, "B T D"], config: ModelConfig) -> Float[Array, "B T D"]:
    """What a sublayer reads: the normalised stream, or the stream itself where norms come after (2017)."""
    return x if config.norm_placement is NormPlacement.POST else norm(params, x, config)


def after(
    params: Norm, x: Float[Array, "B T D"], y: Float[Array, "B T D"], config: ModelConfig
) -> Float[Array, "B T D"]:
    """The stream `x` with the sublayer's output `y` added: x + y, x + norm(y) in a sandwich, norm(x + y) post-norm."""
    if config.norm_placement is NormPlacement.POST:
        return norm(params, x + y, config)
    return x + (norm(params, y, config) if config.norm_placement is NormPlacement.SANDWICH else y)


def block(
    params: Block,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    mask: Bool[Array, "B T T"],
    theta: float,
    config: ModelConfig,
) -> Float[Array, "B T D"]:
    """Attention, then feed-forward, each read from and added to the residual stream."""
    y_BTD = before(params.attention_norm, x, config)
    y_BTD = attention(params.attention, y_BTD, positions, mask, theta, config)
    x_BTD = after(params.post_attention_norm, x, y_BTD, config)
    y_BTD = feedforward(params.feedforward, before(params.feedforward_norm, x_BTD, config), config)
    return after(params.post_feedforward_norm, x_BTD, y_BTD, config)
