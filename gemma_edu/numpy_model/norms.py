"""RMSNorm, with and without Gemma's unit offset, and LayerNorm, with and without parameters."""

import numpy as np
from jaxtyping import Float

from gemma_edu.config import ModelConfig, NormKind
from gemma_edu.params import Norm


def rms_norm(
    x: Float[np.ndarray, "*batch D"], scale: Float[np.ndarray, " D"], epsilon: float, unit_offset: bool
) -> Float[np.ndarray, "*batch D"]:
    """x / √(mean(x²) + ε) · scale, or · (1 + scale) with `unit_offset` (Zhang & Sennrich 2019, equation 4).

    Gemma stores the scale around 0 and adds the 1; Llama 2 stores the whole factor.
    """
    x_float = x.astype(np.float32)
    rms = np.sqrt(np.mean(np.square(x_float), axis=-1, keepdims=True) + epsilon)
    factor = scale.astype(np.float32) + (1.0 if unit_offset else 0.0)
    return (x_float / rms * factor).astype(x.dtype)


def layer_norm(
    x: Float[np.ndarray, "*batch D"],
    scale: Float[np.ndarray, " D"] | None,
    bias: Float[np.ndarray, " D"] | None,
    epsilon: float,
) -> Float[np.ndarray, "*batch D"]:
    """(x − mean) / √(variance + ε) · scale + bias (Ba et al. 2016, section 3). OLMo has no scale and no bias."""
    x_float = x.astype(np.float32)
    centred = x_float - np.mean(x_float, axis=-1, keepdims=True)
    y = centred / np.sqrt(np.mean(np.square(centred), axis=-1, keepdims=True) + epsilon)
    if scale is not None:
        y = y * scale.astype(np.float32)
    if bias is not None:
        y = y + bias.astype(np.float32)
    return y.astype(x.dtype)


def norm(
    params: Norm, x: Float[np.ndarray, "*batch D"], config: ModelConfig
) -> Float[np.ndarray, "*batch D"]:
    """The norm that `config.norm` names, with its parameters."""
    if config.norm in (NormKind.RMS, NormKind.RMS_UNIT_OFFSET):
        return rms_norm(x, params.scale, config.norm_epsilon, config.norm is NormKind.RMS_UNIT_OFFSET)
    return layer_norm(x, params.scale, params.bias, config.norm_epsilon)
