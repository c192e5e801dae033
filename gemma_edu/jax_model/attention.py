"""Attention: multi-head, grouped-query and multi-query in one path (K key/value heads, G query heads to each)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gemma_edu.config import ModelConfig, PositionKind
from gemma_edu.jax_model.norms import norm
from gemma_edu.jax_model.positions import rope
from gemma_edu.jax_model.products import product
from gemma_edu.params import Attention

MASKED_SCORE = -0.7 * float(jnp.finfo(jnp.float32).max)
"""Stands in for −∞: finite, so a row with nothing to see (padding) gives no NaN. DeepMind's K_MASK."""


def project(
    params: Attention,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    theta: float,
    config: ModelConfig,
) -> tuple[Float[Array, "B T N H"], Float[Array, "B T K H"], Float[Array, "B T K H"]]:
    """Queries, keys and values; queries and keys are normalised (Gemma 3), then rotated to their positions."""
    q_BTNH = product("BTD,DNH->BTNH", x, params.w_q)
    k_BTKH = product("BTD,DKH->BTKH", x, params.w_k)
    v_BTKH = product("BTD,DKH->BTKH", x, params.w_v)
    if config.attention_bias:
        q_BTNH, k_BTKH, v_BTKH = q_BTNH + params.b_q, k_BTKH + params.b_k, v_BTKH + params.b_v
    if config.qk_norm:
        q_BTNH, k_BTKH = norm(params.q_norm, q_BTNH, config), norm(params.k_norm, k_BTKH, config)
    if config.position is PositionKind.ROPE:
        q_BTNH, k_BTKH = rope(q_BTNH, positions, theta), rope(k_BTKH, positions, theta)
    return q_BTNH, k_BTKH, v_BTKH


def attend(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B S K H"],
    v: Float[Array, "B S K H"],
    mask: Bool[Array, "B T S"],
) -> Float[Array, "B T N H"]:
    """softmax(q·k / √H) v (Vaswani et al. 2017, equation 1), G = N / K query heads sharing each key/value head.

    K = N is multi-head, K = 1 multi-query (Shazeer 2019), anything between grouped-query attention (Ainslie 2023).
    """
    B, T, N, H = q.shape
    K = k.shape[2]
    # Heads before tokens, so that the products need no transposed copies: on a CPU a prompt attends twice as fast.
    q_BKGTH = jnp.einsum("BTKGH->BKGTH", q.reshape(B, T, K, N // K, H) * H**-0.5)
    scores_BKGTS = jnp.einsum("BKGTH,BSKH->BKGTS", q_BKGTH, k, preferred_element_type=jnp.float32)
    probs_BKGTS = jax.nn.softmax(jnp.where(mask[:, None, None], scores_BKGTS, MASKED_SCORE), axis=-1)
    context_BKGTH = jnp.einsum(
        "BKGTS,BSKH->BKGTH", probs_BKGTS.astype(v.dtype), v, preferred_element_type=jnp.float32
    )
    return jnp.einsum("BKGTH->BTKGH", context_BKGTH).astype(v.dtype).reshape(B, T, N, H)


def combine(
    params: Attention, context: Float[Array, "B T N H"], config: ModelConfig
) -> Float[Array, "B T D"]:
    """Add up what the heads found, each through its own part of `w_o`."""
    y_BTD = product("BTNH,NHD->BTD", context, params.w_o)
    return y_BTD + params.b_o if config.attention_bias else y_BTD


def attention(
    params: Attention,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    mask: Bool[Array, "B T T"],
    theta: float,
    config: ModelConfig,
) -> Float[Array, "B T D"]:
    """The whole sublayer: project, attend, combine."""
    q_BTNH, k_BSKH, v_BSKH = project(params, x, positions, theta, config)
    return combine(params, attend(q_BTNH, k_BSKH, v_BSKH, mask), config)
