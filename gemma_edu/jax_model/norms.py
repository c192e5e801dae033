"""RMSNorm, with and without Gemma's unit offset, and LayerNorm, with and without parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gemma_edu.config import ModelConfig, NormKind
from gemma_edu.params import Norm


def rms_norm(
    x: Float[Array, "*batch D"], scale: Float[Array, " D"], epsilon: float, unit_offset: bool
) -> Float[Array, "*batch D"]:
    """x / √(mean(x²) + ε) · scale, or · (1 + scale) with `unit_offset` (Zhang & Sennrich 2019, equation 4).

    All of it in float32, rounded to x's dtype once at the end, as `transformers` does since 4.39.
    """
    x_float = x.astype(jnp.float32)
    mean_square = jnp.mean(jnp.square(x_float), axis=-1, keepdims=True)
    factor = scale.astype(jnp.float32) + (1.0 if unit_offset else 0.0)
    return (x_float * jax.lax.rsqrt(mean_square + epsilon) * factor).astype(x.dtype)


def layer_norm(
    x: Float[Array, "*batch D"],
    scale: Float[Array, " D"] | None,
    bias: Float[Array, " D"] | None,
    epsilon: float,
) -> Float[Array, "*batch D"]:
    """(x − mean) / √(variance + ε) · scale + bias (Ba et al. 2016, section 3). OLMo has no scale and no bias."""
    x_float = x.astype(jnp.float32)
    centred = x_float - jnp.mean(x_float, axis=-1, keepdims=True)
    y = centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + epsilon)
    if scale is not None:
        y = y * scale.astype(jnp.float32)
    if bias is not None:
        y = y + bias.astype(jnp.float32)
    return y.astype(x.dtype)


def norm(params: Norm, x: Float[Array, "*batch D"], config: ModelConfig) -> Float[Array, "*batch D"]:
    """The norm that `config.norm` names, with its parameters."""
    if config.norm in (NormKind.RMS, NormKind.RMS_UNIT_OFFSET):
        return rms_norm(x, params.scale, config.norm_epsilon, config.norm is NormKind.RMS_UNIT_OFFSET)
    return layer_norm(x, params.scale, params.bias, config.norm_epsilon)
