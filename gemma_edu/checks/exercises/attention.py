"""Lesson 05: the exercises on heads and their cost, and the wrong versions that their checks know."""

import numpy as np

from gemma_edu import params, presets
from gemma_edu.checks.exercise import exercise

BFLOAT16 = 2  # bytes of a number


def _attend_flat_cases(random):
    def normal(*shape):
        return random.standard_normal(shape, np.float32)

    yield np.zeros((1, 4), np.float32), np.float32([[5, 6]]), np.float32([[7, 8]]), 2, 1
    yield normal(5, 8 * 12), normal(7, 2 * 12), normal(7, 2 * 12), 8, 2
    yield normal(3, 6 * 4), normal(5, 3 * 4), normal(5, 3 * 4), 6, 3
    yield normal(2, 4 * 6), normal(3, 6), normal(3, 6), 4, 1
    yield 30 * normal(3, 4 * 10), 30 * normal(5, 4 * 10), normal(5, 4 * 10), 4, 4


@exercise(lesson="05_multi_query_attention", cases=_attend_flat_cases, axes="T NH", tolerance=1e-4)
def attend_flat(q, k, v, num_heads, num_kv_heads):
    """Attend with heads that lie one after another in flat rows, as PyTorch's linear layers give them."""
    return _merge(_attend(*_split(q, k, v, num_heads, num_kv_heads)))


def _split(q, k, v, num_heads, num_kv_heads):
    """T N H, S K H, S K H."""
    H = q.shape[1] // num_heads
    return q.reshape(-1, num_heads, H), k.reshape(-1, num_kv_heads, H), v.reshape(-1, num_kv_heads, H)


def _merge(context_TNH):
    return context_TNH.reshape(len(context_TNH), -1)


def _attend(q_TNH, k_SKH, v_SKH, axis=-1, scale=None, maximum=True):
    """Attention with K heads repeated for their groups."""
    H, G = q_TNH.shape[2], q_TNH.shape[1] // k_SKH.shape[1]
    k_SNH, v_SNH = np.repeat(k_SKH, G, axis=1), np.repeat(v_SKH, G, axis=1)
    scores_NTS = np.einsum("TNH,SNH->NTS", q_TNH, k_SNH) * (H**-0.5 if scale is None else scale)
    largest = scores_NTS.max(axis=axis, keepdims=True) if maximum else 0
    weights_NTS = np.exp((scores_NTS - largest).astype(np.float32))
    return np.einsum("NTS,SNH->TNH", weights_NTS / weights_NTS.sum(axis=axis, keepdims=True), v_SNH)


@attend_flat.mutant()
def no_scale(q, k, v, num_heads, num_kv_heads):
    """the result without 1/√H: each score is q·k divided by √H."""
    return _merge(_attend(*_split(q, k, v, num_heads, num_kv_heads), scale=1.0))


@attend_flat.mutant()
def divided_by_h(q, k, v, num_heads, num_kv_heads):
    """the result with scores divided by H; their variance is H, so the division is by its root, √H."""
    return _merge(_attend(*_split(q, k, v, num_heads, num_kv_heads), scale=num_heads / q.shape[1]))


@attend_flat.mutant()
def scale_of_the_row(q, k, v, num_heads, num_kv_heads):
    """the result divided by √(N·H), the length of a row; each head divides by the root of its own size H."""
    return _merge(_attend(*_split(q, k, v, num_heads, num_kv_heads), scale=q.shape[1] ** -0.5))


@attend_flat.mutant()
def strided_groups(q, k, v, num_heads, num_kv_heads):
    """the result with G before K: head n read key/value head n % K. Neighbours share: it should read n // G."""
    q_TNH, k_SKH, v_SKH = _split(q, k, v, num_heads, num_kv_heads)
    kv_heads = np.arange(num_heads) % num_kv_heads
    return _merge(_attend(q_TNH, k_SKH[:, kv_heads], v_SKH[:, kv_heads]))


@attend_flat.mutant()
def first_head_for_all(q, k, v, num_heads, num_kv_heads):
    """the result with the first key/value head for all queries; that is multi-query, and right for K = 1 only."""
    q_TNH, k_SKH, v_SKH = _split(q, k, v, num_heads, num_kv_heads)
    return _merge(_attend(q_TNH, k_SKH[:, :1], v_SKH[:, :1]))


@attend_flat.mutant()
def softmax_over_queries(q, k, v, num_heads, num_kv_heads):
    """the result with the softmax over the queries: the weights of one query, over all keys, have to sum to 1."""
    return _merge(_attend(*_split(q, k, v, num_heads, num_kv_heads), axis=-2))


@attend_flat.mutant()
def heads_before_tokens(q, k, v, num_heads, num_kv_heads):
    """the result of reading the numbers as heads, then tokens; they lie as tokens, then heads: first T, then N, H."""
    q_NTH = q.reshape(num_heads, len(q), -1)
    k_KSH, v_KSH = k.reshape(num_kv_heads, len(k), -1), v.reshape(num_kv_heads, len(v), -1)
    return _merge(_attend(q_NTH.swapaxes(0, 1), k_KSH.swapaxes(0, 1), v_KSH.swapaxes(0, 1)))


@attend_flat.mutant()
def merged_heads_first(q, k, v, num_heads, num_kv_heads):
    """the result merged while heads stood before tokens: bring the axes to T N H before the last reshape."""
    context_TNH = _attend(*_split(q, k, v, num_heads, num_kv_heads))
    return context_TNH.swapaxes(0, 1).reshape(q.shape)


@attend_flat.mutant()
def overflowing(q, k, v, num_heads, num_kv_heads):
    """the result of a softmax without the maximum subtracted: float32 overflows above e^88."""
    return _merge(_attend(*_split(q, k, v, num_heads, num_kv_heads), maximum=False))


def _mha_to_gqa_cases(random):
    yield np.float32([[[1], [3], [10], [20]]]), np.float32([[[2], [4], [6], [0]]]), 2
    for D, N, H, K in ((10, 8, 12, 2), (5, 6, 4, 3), (7, 8, 3, 8), (3, 4, 6, 1)):
        yield random.standard_normal((D, N, H), np.float32), random.standard_normal((D, N, H), np.float32), K


@exercise(lesson="05_multi_query_attention", cases=_mha_to_gqa_cases, axes="D K H")
def mha_to_gqa(w_k, w_v, num_kv_heads):
    """Average neighbouring key and value heads: multi-head weights become grouped-query weights."""
    return _grouped(w_k, num_kv_heads).mean(axis=2), _grouped(w_v, num_kv_heads).mean(axis=2)


def _grouped(w_DNH, num_kv_heads):
    """D K G H."""
    D, N, H = w_DNH.shape
    return w_DNH.reshape(D, num_kv_heads, N // num_kv_heads, H)


@mha_to_gqa.mutant()
def strided_mean(w_k, w_v, num_kv_heads):
    """the mean of heads that stand K apart (n % K); a group is of neighbours, so K comes before G in the reshape."""
    D, N, H = w_k.shape
    shape = D, N // num_kv_heads, num_kv_heads, H
    return w_k.reshape(shape).mean(axis=1), w_v.reshape(shape).mean(axis=1)


@mha_to_gqa.mutant()
def mean_over_groups(w_k, w_v, num_kv_heads):
    """the mean over K, across the groups, which leaves G heads; the mean is over the G heads inside each group."""
    return _grouped(w_k, num_kv_heads).mean(axis=1), _grouped(w_v, num_kv_heads).mean(axis=1)


@mha_to_gqa.mutant()
def summed(w_k, w_v, num_kv_heads):
    """the sum of each group: keys and values G times too large; it should be the mean."""
    return _grouped(w_k, num_kv_heads).sum(axis=2), _grouped(w_v, num_kv_heads).sum(axis=2)


@mha_to_gqa.mutant()
def first_of_each_group(w_k, w_v, num_kv_heads):
    """the first head of each group; the others would be lost, so it should be the mean of all G."""
    return _grouped(w_k, num_kv_heads)[:, :, 0], _grouped(w_v, num_kv_heads)[:, :, 0]


@mha_to_gqa.mutant()
def keys_for_both(w_k, w_v, num_kv_heads):
    """two results made from `w_k`: the second should be the mean of `w_v`."""
    return (_grouped(w_k, num_kv_heads).mean(axis=2),) * 2


@mha_to_gqa.mutant()
def repeated_to_all(w_k, w_v, num_kv_heads):
    """the mean written back to all N heads: the same attention, but nothing saved; K heads should be left."""
    means = mha_to_gqa.solution(w_k, w_v, num_kv_heads)
    return tuple(np.repeat(w, w_k.shape[1] // num_kv_heads, axis=1) for w in means)


def _texts_that_fit_cases(random):
    v5e = int(15.75 * 2**30)
    yield presets.GEMMA_2B, 8192, v5e
    yield presets.GEMMA_7B, 8192, v5e
    yield presets.GEMMA_7B, 3001, 80 * 10**9
    yield presets.GEMMA3_270M, 8191, v5e
    yield presets.GEMMA3_270M, 100, 10**9
    yield presets.LLAMA2_7B, 4000, 40 * 10**9
    yield presets.GEMMA_2B.replace(name="Gemma 2B with 4 KV heads", num_kv_heads=4), 1000, 3 * v5e


@exercise(lesson="05_multi_query_attention", cases=_texts_that_fit_cases)
def texts_that_fit(config, tokens, memory):
    """Count the texts whose keys and values fit into memory beside the weights."""
    return max(0, (memory - _weights(config)) // _cache(config, tokens))


def _weights(config):
    return BFLOAT16 * params.count(config)["total"]


def _cache(config, tokens, heads=None, H=None):
    """Bytes of one text's keys and values."""
    kept = sum(min(tokens, config.window(layer) or tokens) for layer in range(config.num_layers))
    return kept * 2 * (heads or config.num_kv_heads) * (H or config.head_dim) * BFLOAT16


@texts_that_fit.mutant()
def counts_query_heads(config, tokens, memory):
    """the number for a cache of N heads; queries are not kept, only K heads of keys and values are."""
    return max(0, (memory - _weights(config)) // _cache(config, tokens, heads=config.num_heads))


@texts_that_fit.mutant()
def forgets_the_values(config, tokens, memory):
    """the number for a cache of keys alone: each token leaves a key and a value, twice as many bytes."""
    return max(0, (memory - _weights(config)) // (_cache(config, tokens) // 2))


@texts_that_fit.mutant()
def forgets_the_windows(config, tokens, memory):
    """the number without windows: a local layer keeps at most `config.window(layer)` tokens."""
    everywhere = config.replace(window_size=None, global_every=1, rope_theta_local=None)
    return max(0, (memory - _weights(config)) // _cache(everywhere, tokens))


@texts_that_fit.mutant()
def windows_in_every_layer(config, tokens, memory):
    """the number with a window in every layer; where `config.window(layer)` is None, all tokens are kept."""
    everywhere = config.num_layers * min(tokens, config.window_size or tokens)
    text = everywhere * 2 * config.num_kv_heads * config.head_dim * BFLOAT16
    return max(0, (memory - _weights(config)) // text)


@texts_that_fit.mutant()
def four_bytes(config, tokens, memory):
    """the number in float32: 4 bytes for a number; bfloat16 has 2."""
    return max(0, (memory - 2 * _weights(config)) // (2 * _cache(config, tokens)))


@texts_that_fit.mutant()
def forgets_the_weights(config, tokens, memory):
    """the number for an empty chip: the weights have to fit as well, and come first."""
    return memory // _cache(config, tokens)


@texts_that_fit.mutant(shipped_by="transformers 4.38.0, issue #29181, which took N·H for D")
def derived_head_size(config, tokens, memory):
    """the number with H = D / N; Gemma 7B has heads of 256, not 3072 / 16: read `config.head_dim`."""
    H = config.embed_dim // config.num_heads
    return max(0, (memory - _weights(config)) // _cache(config, tokens, H=H))


@texts_that_fit.mutant()
def below_zero(config, tokens, memory):
    """a number below zero where not even the weights fit; then no text does, and the answer is 0."""
    return (memory - _weights(config)) // _cache(config, tokens)


@texts_that_fit.mutant()
def rounded_up(config, tokens, memory):
    """the number rounded up: a text that fits in part does not fit."""
    return max(0, -((_weights(config) - memory) // _cache(config, tokens)))
