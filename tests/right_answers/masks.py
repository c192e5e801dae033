"""Right answers to lesson 05's exercises on masks, written as learners write them: with loops, triangles, or jnp."""

import jax
import jax.numpy as jnp
import numpy as np


def packed_in_loops(document_T, window):
    T = len(document_T)
    mask = np.zeros((T, T), bool)
    for t in range(T):
        first = 0 if window is None else max(0, t - window + 1)
        for s in range(first, t + 1):
            mask[t, s] = document_T[t] == document_T[s] != -1
    return mask


def packed_with_triangles(document_T, window):
    mask = np.tri(len(document_T), dtype=bool)
    if window is not None:
        mask = np.triu(mask, 1 - window)
    mask[document_T == -1] = False
    return np.where(document_T[:, None] == document_T, mask, False)


def packed_with_jnp(document_T, window):
    t, document = jnp.arange(len(document_T)), jnp.asarray(document_T)
    steps_back = t[:, None] - t[None]
    near = steps_back < (len(t) if window is None else window)
    return jnp.tril(near & (document[:, None] == document) & (document >= 0))


def softmax_row_by_row(scores_TS, mask_TS):
    probs = np.zeros_like(scores_TS)
    for t, seen in enumerate(mask_TS):
        if seen.any():
            weights = np.exp(scores_TS[t, seen] - scores_TS[t, seen].max())
            probs[t, seen] = weights / weights.sum()
    return probs


def softmax_with_infinity(scores_TS, mask_TS):
    return np.nan_to_num(jax.nn.softmax(np.where(mask_TS, scores_TS, -np.inf), axis=1))


def softmax_by_logarithms(scores_TS, mask_TS):
    scores = jnp.where(mask_TS, scores_TS, jnp.finfo(jnp.float32).min)
    return jnp.where(mask_TS, jnp.exp(scores - jax.nn.logsumexp(scores, axis=-1, keepdims=True)), 0)


RIGHT_ANSWERS = {
    "packed_mask": (packed_in_loops, packed_with_triangles, packed_with_jnp),
    "masked_softmax": (softmax_row_by_row, softmax_with_infinity, softmax_by_logarithms),
}
