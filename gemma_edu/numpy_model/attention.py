"""Attention: multi-head, grouped-query and multi-query in one path (K key/value heads, G query heads to each)."""

import numpy as np
from jaxtyping import Bool, Float, Int

from gemma_edu.config import ModelConfig, PositionKind
from gemma_edu.numpy_model.norms import norm
from gemma_edu.numpy_model.positions import rope
from gemma_edu.params import Attention

MASKED_SCORE = -0.7 * float(np.finfo(np.float32).max)
"""Stands in for −∞: finite, so a row with nothing to see (padding) gives no NaN. DeepMind's K_MASK."""


def softmax(scores: Float[np.ndarray, "*batch S"]) -> Float[np.ndarray, "*batch S"]:
    """exp(s) / Σ exp(s) over the last axis; the maximum is subtracted first so that nothing overflows."""
    exp = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return exp / np.sum(exp, axis=-1, keepdims=True)


def project(
    params: Attention,
    x: Float[np.ndarray, "B T D"],
    positions: Int[np.ndarray, "B T"],
    theta: float,
    config: ModelConfig,
) -> tuple[Float[np.ndarray, "B T N H"], Float[np.ndarray, "B T K H"], Float[np.ndarray, "B T K H"]]:
    """Queries, keys and values; queries and keys are normalised (Gemma 3), then rotated to their positions."""
    q_BTNH = np.einsum("BTD,DNH->BTNH", x, params.w_q, optimize=True)
    k_BTKH = np.einsum("BTD,DKH->BTKH", x, params.w_k, optimize=True)
    v_BTKH = np.einsum("BTD,DKH->BTKH", x, params.w_v, optimize=True)
    if config.attention_bias:
        q_BTNH, k_BTKH, v_BTKH = q_BTNH + params.b_q, k_BTKH + params.b_k, v_BTKH + params.b_v
    if config.qk_norm:
        q_BTNH, k_BTKH = norm(params.q_norm, q_BTNH, config), norm(params.k_norm, k_BTKH, config)
    if config.position is PositionKind.ROPE:
        q_BTNH, k_BTKH = rope(q_BTNH, positions, theta), rope(k_BTKH, positions, theta)
    return q_BTNH, k_BTKH, v_BTKH


def attend(
    q: Float[np.ndarray, "B T N H"],
    k: Float[np.ndarray, "B S K H"],
    v: Float[np.ndarray, "B S K H"],
    mask: Bool[np.ndarray, "B T S"],
) -> Float[np.ndarray, "B T N H"]:
    """softmax(q·k / √H) v (Vaswani et al. 2017, equation 1), G = N / K query heads sharing each key/value head.

    K = N is multi-head, K = 1 multi-query (Shazeer 2019), anything between grouped-query attention (Ainslie 2023).
    """
    B, T, N, H = q.shape
    K = k.shape[2]
    q_BKGTH = np.einsum("BTKGH->BKGTH", q.reshape(B, T, K, N // K, H) * H**-0.5)
    scores_BKGTS = np.einsum("BKGTH,BSKH->BKGTS", q_BKGTH, k, optimize=True).astype(np.float32)
    probs_BKGTS = softmax(np.where(mask[:, None, None], scores_BKGTS, np.float32(MASKED_SCORE)))
    context_BKGTH = np.einsum("BKGTS,BSKH->BKGTH", probs_BKGTS.astype(v.dtype), v, optimize=True)
    return np.einsum("BKGTH->BTKGH", context_BKGTH).reshape(B, T, N, H)


def combine(
    params: Attention, context: Float[np.ndarray, "B T N H"], config: ModelConfig
) -> Float[np.ndarray, "B T D"]:
    """Add up what the heads found, each through its own part of `w_o`."""
    y_BTD = np.einsum("BTNH,NHD->BTD", context, params.w_o, optimize=True)
    return y_BTD + params.b_o if config.attention_bias else y_BTD


def attention(
    params: Attention,
    x: Float[np.ndarray, "B T D"],
    positions: Int[np.ndarray, "B T"],
    mask: Bool[np.ndarray, "B T T"],
    theta: float,
    config: ModelConfig,
) -> Float[np.ndarray, "B T D"]:
    """The whole sublayer: project, attend, combine."""
    q_BTNH, k_BSKH, v_BSKH = project(params, x, positions, theta, config)
    return combine(params, attend(q_BTNH, k_BSKH, v_BSKH, mask), config)
