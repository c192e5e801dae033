"""Where a token stands: RoPE, learned vectors, or sinusoids."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def rope_frequencies(head_dim: int, theta: float) -> Float[Array, " R"]:
    """theta^(−2r/H) for each of the R = H/2 pairs, in radians per position (Su et al. 2021, section 3.2.2).

    NumPy computes this constant in float64 and rounds it once, so it does not depend on how well a device takes powers.
    """
    return jnp.asarray(theta ** (-np.arange(0, head_dim, 2) / head_dim), jnp.float32)


def rope(
    x: Float[Array, "B T heads H"], positions: Int[Array, "B T"], theta: float
) -> Float[Array, "B T heads H"]:
    """Rotate each pair (x[r], x[r + H/2]) of every head by position · frequency[r].

    Gemma pairs the two *halves* of a head, as the Hugging Face layout of Llama does; Meta's own Llama files and
    the RoPE paper pair neighbours (0, 1), (2, 3), … The angle is float32: in bfloat16, position 257 is position 256.
    """
    frequencies_R = rope_frequencies(x.shape[-1], theta)
    angles_BTR = positions[..., None].astype(jnp.float32) * frequencies_R
    cos_BT1R, sin_BT1R = jnp.cos(angles_BTR)[:, :, None], jnp.sin(angles_BTR)[:, :, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    rotated = (first * cos_BT1R - second * sin_BT1R, second * cos_BT1R + first * sin_BT1R)
    return jnp.concatenate(rotated, axis=-1).astype(x.dtype)


def learned(table: Float[Array, "context D"], positions: Int[Array, "B T"]) -> Float[Array, "B T D"]:
    """The trained vector of each position (GPT-2). Padding, position −1, reads row 0, and nothing attends to it."""
    return table[jnp.maximum(positions, 0)]


def sinusoidal(positions: Int[Array, "B T"], embed_dim: int) -> Float[Array, "B T D"]:
    """sin(position / 10000^(2i/D)) in dimension 2i, the cosine in 2i + 1 (Vaswani et al. 2017, section 3.5)."""
    angles = positions[..., None].astype(jnp.float32) * rope_frequencies(embed_dim, 10_000.0)
    return jnp.stack((jnp.sin(angles), jnp.cos(angles)), axis=-1).reshape(*positions.shape, embed_dim)
