"""Right answers to lesson 05's exercises on heads and their cost: loops, repeated heads, JAX's attention."""

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import params


def flat_head_by_head(q, k, v, num_heads, num_kv_heads):
    H, G = q.shape[1] // num_heads, num_heads // num_kv_heads
    result = np.zeros_like(q)
    for n in range(num_heads):
        query, kv = slice(n * H, (n + 1) * H), slice(n // G * H, (n // G + 1) * H)
        for t in range(len(q)):
            scores = k[:, kv] @ q[t, query] / np.sqrt(H)
            weights = np.exp(scores - scores.max())
            result[t, query] = weights @ v[:, kv] / weights.sum()
    return result


def flat_with_jax(q, k, v, num_heads, num_kv_heads):
    H = q.shape[1] // num_heads
    q, k, v = (jnp.asarray(x).reshape(1, len(x), -1, H) for x in (q, k, v))
    with jax.default_matmul_precision("highest"):
        return jax.nn.dot_product_attention(q, k, v).reshape(q.shape[1], -1)


def flat_with_repeated_heads(q, k, v, num_heads, num_kv_heads):
    q, k, v = (
        x.reshape(len(x), heads, -1).transpose(1, 0, 2)
        for x, heads in ((q, num_heads), (k, num_kv_heads), (v, num_kv_heads))
    )
    k, v = (x.repeat(num_heads // num_kv_heads, axis=0) for x in (k, v))
    scores = q @ k.transpose(0, 2, 1) * q.shape[-1] ** -0.5
    probs = np.exp(scores - scores.max(-1, keepdims=True))
    context = probs / probs.sum(-1, keepdims=True) @ v
    return context.transpose(1, 0, 2).reshape(q.shape[1], -1)


def gqa_in_loops(w_k, w_v, num_kv_heads):
    G = w_k.shape[1] // num_kv_heads
    groups = [slice(K * G, (K + 1) * G) for K in range(num_kv_heads)]
    return tuple(np.stack([w[:, group].sum(1) / G for group in groups], axis=1) for w in (w_k, w_v))


def gqa_with_a_matrix(w_k, w_v, num_kv_heads):
    G = w_k.shape[1] // num_kv_heads
    pool_KN = np.kron(np.eye(num_kv_heads), np.full((1, G), 1 / G))
    return np.einsum("DNH,KN->DKH", w_k, pool_KN), np.einsum("DNH,KN->DKH", w_v, pool_KN)


def fit_by_trying(config, tokens, memory):
    used, text, count = 2 * params.count(config)["total"], 0, -1
    for layer in range(config.num_layers):
        window = config.window(layer)
        places = tokens if window is None or window > tokens else window
        text += places * config.num_kv_heads * config.head_dim * 2 * 2
    while used <= memory:
        used, count = used + text, count + 1
    return max(count, 0)


def fit_from_leaves(config, tokens, memory):
    leaves = params.build(config, lambda name, shape: np.broadcast_to(np.float16(0), shape))
    free = memory - sum(leaf.nbytes for leaf in params.to_leaves(leaves).values())
    local = sum(config.is_local(layer) for layer in range(config.num_layers))
    kept = local * min(tokens, config.window_size or 0) + (config.num_layers - local) * tokens
    return free // (4 * kept * config.num_kv_heads * config.head_dim) if free > 0 else 0


RIGHT_ANSWERS = {
    "attend_flat": (flat_head_by_head, flat_with_jax, flat_with_repeated_heads),
    "mha_to_gqa": (gqa_in_loops, gqa_with_a_matrix),
    "texts_that_fit": (fit_by_trying, fit_from_leaves),
}
