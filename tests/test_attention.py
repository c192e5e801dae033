"""One code path for multi-head, grouped-query and multi-query attention, against loops over heads."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from backend import B, S, T, assert_close, count_up, normal, random_params
from jaxtyping import TypeCheckError

from gemma_edu import presets
from gemma_edu.jax_model import attention as jax_attention
from gemma_edu.numpy_model.attention import softmax

pytestmark = pytest.mark.usefixtures("quick_compile")

N, H, D = 8, 12, 10
KV_HEADS = pytest.mark.parametrize("K", [1, 2, 8], ids=["MQA", "GQA", "MHA"])


def attend_in_loops(q, k, v, mask):
    """softmax(q·k / √H) v, one number at a time; query head n reads key/value head n // G."""
    G = N // k.shape[2]
    context = np.zeros((B, T, N, H))
    for b, t, n in np.ndindex(B, T, N):
        seen = [s for s in range(S) if mask[b, t, s]]
        weights = [math.exp(sum(q[b, t, n] * k[b, s, n // G]) / math.sqrt(H)) for s in seen]
        for s, weight in zip(seen, weights, strict=True):
            context[b, t, n] += weight / sum(weights) * v[b, s, n // G]
    return context


def random_mask():
    """Every query may see the first key and some others."""
    return np.random.default_rng(5).random((B, T, S)) < np.where(np.arange(S) == 0, 2, 0.5)


@KV_HEADS
def test_attend_is_the_formula_written_as_loops(backend, K):
    q, k, v, mask = normal(B, T, N, H), normal(B, S, K, H, seed=1), normal(B, S, K, H, seed=2), random_mask()
    context_BTNH = backend.attention.attend(*map(backend.array, (q, k, v, mask)))
    assert_close(context_BTNH, attend_in_loops(q, k, v, mask))


@KV_HEADS
def test_shared_heads_equal_multi_head_attention_with_the_heads_repeated(backend, K):
    q, k, v, mask = normal(B, T, N, H), normal(B, S, K, H, seed=1), normal(B, S, K, H, seed=2), random_mask()
    repeated = (np.repeat(x, N // K, axis=2) for x in (k, v))
    shared = backend.attention.attend(*map(backend.array, (q, k, v, mask)))
    assert_close(backend.attention.attend(*map(backend.array, (q, *repeated, mask))), shared)


def test_neighbouring_query_heads_share_a_kv_head(backend):
    q = np.broadcast_to(normal(B, T, 1, H), (B, T, N, H))  # all heads ask the same
    k, v = normal(B, S, 2, H, seed=1), normal(B, S, 2, H, seed=2)
    context = np.asarray(backend.attention.attend(*map(backend.array, (q, k, v, random_mask()))))
    assert_close(context[:, :, :4], np.broadcast_to(context[:, :, :1], (B, T, 4, H)))
    assert_close(context[:, :, 4:], np.broadcast_to(context[:, :, 4:5], (B, T, 4, H)))
    assert np.max(np.abs(context[:, :, 3] - context[:, :, 4])) > 0.1


def test_a_query_that_may_see_one_key_returns_its_value(backend):
    q, k, v = normal(1, 1, N, H), normal(1, S, 1, H, seed=1), normal(1, S, 1, H, seed=2)
    mask = np.arange(S)[None, None] == 4
    context = backend.attention.attend(*map(backend.array, (q, k, v, mask)))
    assert_close(context, np.broadcast_to(v[:, 4:5], (1, 1, N, H)), atol=1e-6)


def test_a_row_that_may_see_nothing_gives_finite_numbers(backend):
    q, k, v = normal(1, 1, N, H), normal(1, S, 1, H, seed=1), normal(1, S, 1, H, seed=2)
    context = backend.attention.attend(*map(backend.array, (q, k, v, np.zeros((1, 1, S), bool))))
    # all scores are the same stand-in for −∞, so every value weighs the same
    assert_close(context, np.broadcast_to(v.mean(axis=1, keepdims=True), (1, 1, N, H)))


def test_huge_scores_do_not_overflow(backend):
    q, k, v = 1e4 * normal(B, T, N, H), 1e4 * normal(B, S, 1, H, seed=1), normal(B, S, 1, H, seed=2)
    context = backend.attention.attend(*map(backend.array, (q, k, v, np.ones((B, T, S), bool))))
    assert np.all(np.isfinite(context))
    assert np.all(np.abs(context) <= np.abs(v).max() + 1e-5)


def test_the_masked_score_is_deepminds_k_mask(backend):
    assert backend.attention.MASKED_SCORE == pytest.approx(-2.3819763e38, rel=1e-7)


def test_softmax_of_numpy_by_hand():
    assert_close(
        softmax(np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]])), [[1 / 8, 2 / 8, 5 / 8], [0.4, 0.4, 0.2]]
    )
    assert_close(softmax(np.array([1000.0, 1000.0])), [0.5, 0.5])


@pytest.mark.parametrize("wrong", ["batch", "keys", "kv heads", "mask"])
def test_shapes_that_do_not_fit_are_caught(backend, wrong):
    q, k, v = normal(B, T, N, H), normal(B, S, 2, H), normal(B, S, 2, H)
    mask = np.ones((B, T, S), bool)
    if wrong == "batch":
        k, v = k[:1], v[:1]  # would broadcast
    elif wrong == "keys":
        v = v[:, :-1]
    elif wrong == "kv heads":
        v = v[:, :, :1]  # would broadcast
    else:
        mask = mask[:, :1]  # would broadcast
    with pytest.raises(TypeCheckError):
        backend.attention.attend(*map(backend.array, (q, k, v, mask)))


def projected(backend, config, theta=100.0, x=None):
    """q, k, v of random weights, and those weights."""
    weights = random_params(config).blocks[0].attention
    x = normal(B, T, D, seed=3) if x is None else x
    positions = count_up(B, T) + 3
    q_k_v = backend.attention.project(
        backend.tree(weights), backend.array(x), backend.array(positions), theta, config
    )
    return q_k_v, weights, x, positions


def test_project_multiplies_each_head_by_its_own_part_of_the_weights(backend):
    config = presets.TINY_GPT2_124M  # biases, no rotation
    (q, k, v), w, x, _ = projected(backend, config)
    for n in range(N):
        assert_close(np.asarray(q)[:, :, n], x @ w.w_q[:, n] + w.b_q[n])
        assert_close(np.asarray(k)[:, :, n], x @ w.w_k[:, n] + w.b_k[n])
        assert_close(np.asarray(v)[:, :, n], x @ w.w_v[:, n] + w.b_v[n])


def test_queries_and_keys_are_normalised_before_they_turn_and_values_stay(backend):
    config = presets.TINY_GEMMA3_270M
    (q, k, v), w, x, positions = projected(backend, config)

    def normalise_then_turn(heads, scale):
        heads = heads / np.sqrt(np.mean(heads**2, axis=-1, keepdims=True) + 1e-6) * (1 + scale)
        angles = positions[:, :, None, None] * 100.0 ** (-np.arange(6) / 6)
        first, second = heads[..., :6], heads[..., 6:]
        return np.concatenate(
            [
                first * np.cos(angles) - second * np.sin(angles),
                second * np.cos(angles) + first * np.sin(angles),
            ],
            axis=-1,
        )

    assert_close(q, normalise_then_turn(np.tensordot(x, w.w_q, 1), w.q_norm.scale))
    assert_close(k, normalise_then_turn(np.tensordot(x, w.w_k, 1), w.k_norm.scale))
    assert_close(v, np.tensordot(x, w.w_v, 1))


@pytest.mark.parametrize("config", [presets.TINY_GEMMA_2B, presets.TINY_GROUPED], ids=lambda c: c.name)
def test_projections_have_n_query_heads_and_k_others(backend, config):
    (q, k, v), *_ = projected(backend, config)
    assert q.shape == (B, T, N, H)
    assert k.shape == v.shape == (B, T, config.num_kv_heads, H)


def test_combine_adds_the_heads_up_through_their_parts_of_w_o(backend):
    config = presets.TINY_GPT2_124M
    weights, context = random_params(config).blocks[0].attention, normal(B, T, N, H)
    expected = sum(context[:, :, n] @ weights.w_o[n] for n in range(N)) + weights.b_o
    assert_close(backend.attention.combine(backend.tree(weights), backend.array(context), config), expected)


def test_the_sublayer_is_project_attend_combine(backend):
    config = presets.TINY_GROUPED
    weights, x = backend.tree(random_params(config).blocks[0].attention), backend.array(normal(B, T, D))
    positions, mask = backend.array(count_up(B, T)), backend.array(np.tile(np.tri(T, dtype=bool), (B, 1, 1)))
    q, k, v = backend.attention.project(weights, x, positions, 100.0, config)
    by_steps = backend.attention.combine(weights, backend.attention.attend(q, k, v, mask), config)
    assert_close(backend.attention.attention(weights, x, positions, mask, 100.0, config), by_steps)


def test_scores_of_a_bfloat16_model_stay_in_float32():
    q = jnp.ones((1, 1, N, 256), jnp.bfloat16)
    longer = jnp.ones(256).at[:128].add(2**-7)
    k = jnp.stack([jnp.ones(256), longer])[None, :, None].astype(jnp.bfloat16)
    v = jnp.stack([jnp.zeros(256), jnp.ones(256)])[None, :, None].astype(jnp.bfloat16)
    context = jax_attention.attend(q, k, v, jnp.ones((1, 1, 2), bool))
    assert context.dtype == jnp.bfloat16
    expected = 1 / (1 + math.exp(16 - 16.0625))  # 0.5156; bfloat16 rounds 16.0625 to 16, which gives 0.5
    assert np.max(np.abs(np.asarray(context, np.float32) - expected)) < 2**-8
