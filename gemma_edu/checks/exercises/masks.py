"""Lesson 05: the exercises on masks, and the wrong versions that their checks know."""

import jax.numpy as jnp
import numpy as np

from gemma_edu.checks.exercise import exercise


def _packed_mask_cases(random):
    yield np.array([0, 0, 1]), None
    yield np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 2, -1, -1]), 3
    yield np.array([5, 3, 3, 3, 3, 3, -1, -1, -1]), None
    yield np.array([7, 7, 7, 7, 2, 2, 2]), 1
    yield np.array([4, 4, 4, 4, 4, 4]), 2


@exercise(lesson="05_multi_query_attention", cases=_packed_mask_cases, axes="T S")
def packed_mask(document_T, window):
    """Let each query see the last tokens of its own document, with several documents in a row."""
    same_TS = _same_document(document_T)
    return same_TS & _causal(len(document_T), window)


def _same_document(document_T):
    """True for two tokens of the same document; padding has none."""
    return (document_T[:, None] == document_T[None, :]) & (document_T >= 0)[None, :]


def _causal(T, window, shift=0):
    """0 ≤ t + shift − s < window."""
    distance_TS = np.arange(T)[:, None] + shift - np.arange(T)[None, :]
    return (distance_TS >= 0) & (distance_TS < (T + 1 if window is None else window))


@packed_mask.mutant()
def documents_ignored(document_T, window):
    """the mask of one long document; a query sees only keys that have its own document's number."""
    return _causal(len(document_T), window) & (document_T >= 0)[:, None] & (document_T >= 0)[None, :]


@packed_mask.mutant()
def padding_sees_padding(document_T, window):
    """a mask in which padding sees padding: −1 equals −1, but only numbers from 0 on are documents."""
    return (document_T[:, None] == document_T[None, :]) & _causal(len(document_T), window)


@packed_mask.mutant()
def document_zero_is_padding(document_T, window):
    """a mask that takes document 0 for padding; numbers of documents begin at 0, and padding is −1."""
    return packed_mask.solution(np.where(document_T == 0, -1, document_T), window)


@packed_mask.mutant()
def inverted(document_T, window):
    """the mask the wrong way round: True means may attend, and hidden pairs are False."""
    return ~packed_mask.solution(document_T, window)


@packed_mask.mutant()
def strictly_past(document_T, window):
    """a mask in which no token sees itself; the query's own position is visible, so the distance may be 0."""
    mask_TS = packed_mask.solution(document_T, window)
    return mask_TS & ~np.eye(len(document_T), dtype=bool)


@packed_mask.mutant()
def one_ahead(document_T, window):
    """a mask that looks one token too far: the answer lies in view. A query at t sees keys s ≤ t."""
    same_TS = _same_document(document_T)
    return same_TS & (_causal(len(document_T), window) | _causal(len(document_T), window, shift=1))


@packed_mask.mutant()
def window_one_longer(document_T, window):
    """a mask with windows of W + 1 tokens; a window of W counts the query itself, so the distance is below W."""
    return packed_mask.solution(document_T, window if window is None else window + 1)


@packed_mask.mutant()
def window_ignored(document_T, window):
    """the mask without the window; where it is not None, a query sees the last `window` tokens only."""
    return packed_mask.solution(document_T, None)


@packed_mask.mutant()
def both_directions(document_T, window):
    """a mask without causality: each token also sees those after it; only keys s ≤ t are visible."""
    mask_TS = packed_mask.solution(document_T, window)
    return mask_TS | mask_TS.T


def _masked_softmax_cases(random):
    yield np.float32([[2, 1, 0], [5, 5, 5]]), np.array([[True, True, False], [False, False, False]])
    scores_TS, mask_TS = random.standard_normal((5, 7), np.float32), random.random((5, 7)) < 0.6
    mask_TS[:, 2] = True
    yield scores_TS, mask_TS
    yield (
        np.float32([[1000, 999], [-1000, -1001], [3, 1000], [0, 0]]),
        np.array([[1, 1], [1, 1], [1, 0], [1, 1]], bool),
    )
    yield 4 * scores_TS[:3], np.arange(7) <= np.array([[-1], [3], [6]])


@exercise(lesson="05_multi_query_attention", cases=_masked_softmax_cases, axes="T S", tolerance=2e-4)
def masked_softmax(scores_TS, mask_TS):
    """Softmax over the visible keys of each row; a row that sees nothing is all zeros."""
    scores_TS = np.where(mask_TS, scores_TS, np.float32(-1e30))
    weights_TS = mask_TS * np.exp(scores_TS - scores_TS.max(axis=-1, keepdims=True))
    return weights_TS / np.maximum(weights_TS.sum(axis=-1, keepdims=True), 1)


def _share(weights_TS):
    """Each row divided by its sum; rows of zeros stay."""
    sum_T1 = weights_TS.sum(axis=-1, keepdims=True)
    return weights_TS / np.where(sum_T1 == 0, 1, sum_T1)


def _softmax(scores_TS):
    return _share(np.exp(scores_TS - scores_TS.max(axis=-1, keepdims=True)))


@masked_softmax.mutant()
def no_maximum(scores_TS, mask_TS):
    """the result without the maximum subtracted: float32 overflows above e^88. Subtract each row's largest score."""
    return _share(mask_TS * np.exp(scores_TS))


@masked_softmax.mutant()
def maximum_of_hidden_keys(scores_TS, mask_TS):
    """the result with a maximum that counts hidden keys: if those lie far above, all visible weights become 0."""
    return _share(mask_TS * np.exp(scores_TS - scores_TS.max(axis=-1, keepdims=True)))


@masked_softmax.mutant()
def one_maximum_for_all_rows(scores_TS, mask_TS):
    """the result with one maximum for all rows: rows far below it come out as 0. Each row needs its own."""
    scores_TS = np.where(mask_TS, scores_TS, np.float32(-1e30))
    return _share(mask_TS * np.exp(scores_TS - scores_TS.max()))


@masked_softmax.mutant()
def empty_rows_are_nan(scores_TS, mask_TS):
    """the result with NaN where a row sees nothing, from ∞ − ∞ or from a sum of 0; such a row has to be zeros."""
    return np.where(mask_TS.any(axis=-1, keepdims=True), masked_softmax.solution(scores_TS, mask_TS), np.nan)


@masked_softmax.mutant()
def empty_rows_spread_evenly(scores_TS, mask_TS):
    """the package's result, in which a row that sees nothing is spread evenly; here such a row is all zeros."""
    return _softmax(np.where(mask_TS, scores_TS, np.float32(-1e30)))


@masked_softmax.mutant()
def scores_times_mask(scores_TS, mask_TS):
    """the softmax of scores · mask: a hidden score becomes 0, and e^0 is 1. Hidden keys need a very low score."""
    return _softmax(scores_TS * mask_TS)


@masked_softmax.mutant()
def not_renormalised(scores_TS, mask_TS):
    """the softmax over all keys with hidden weights removed afterwards; the visible ones have to sum to 1."""
    return _softmax(scores_TS) * mask_TS


@masked_softmax.mutant()
def mask_inverted(scores_TS, mask_TS):
    """the result with the mask the wrong way round: True means visible."""
    return masked_softmax.solution(scores_TS, ~mask_TS)


@masked_softmax.mutant()
def over_the_queries(scores_TS, mask_TS):
    """the softmax over the queries (axis 0): columns sum to 1. Each query shares out its weight over keys, axis −1."""
    return masked_softmax.solution(scores_TS.T, mask_TS.T).T


@masked_softmax.mutant()
def in_bfloat16(scores_TS, mask_TS):
    """the result in bfloat16, with 8 significant bits; here the scores are float32 and stay so."""
    return masked_softmax.solution(scores_TS.astype(jnp.bfloat16), mask_TS).astype(np.float32)
