"""RoPE turns pairs and sees only distances; learned vectors are looked up; sinusoids follow their formula."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from backend import B, T, assert_close, count_up, normal
from hypothesis import given, settings
from hypothesis import strategies as st

H = 12


def turn(backend, vector, position, theta=10_000.0):
    """One head of one token, rotated."""
    x = backend.array(np.asarray(vector, np.float32)[None, None, None])
    return np.asarray(backend.positions.rope(x, backend.array([[position]]), theta))[0, 0, 0]


def test_a_quarter_turn_takes_3_4_to_minus_4_3(backend):
    # With H = 4 the second pair is (x[1], x[3]) and turns by theta^(−1/2) a position: here by π/2.
    turned = turn(backend, [0.0, 3.0, 0.0, 4.0], position=1, theta=(2 / math.pi) ** 2)
    assert_close(turned, [0.0, -4.0, 0.0, 3.0])


def test_the_first_pair_turns_by_one_radian_a_token(backend):
    assert_close(turn(backend, [1.0, 0.0, 0.0, 0.0], position=1), [math.cos(1), 0, math.sin(1), 0])
    assert_close(turn(backend, [0.0, 0.0, 1.0, 0.0], position=3), [-math.sin(3), 0, math.cos(3), 0])


def test_frequencies_fall_from_one_to_almost_one_over_theta(backend):
    expected = [1.0, 0.215443469, 0.0464158883, 0.01, 0.00215443469, 0.000464158883]  # 10^(−4r/6)
    np.testing.assert_allclose(backend.positions.rope_frequencies(H, 10_000.0), expected, rtol=1e-7)
    wavelengths = 2 * np.pi / np.asarray(backend.positions.rope_frequencies(256, 10_000.0))
    assert len(wavelengths) == 128
    np.testing.assert_allclose(wavelengths[[0, 64, 127]], [6.2831853, 628.31853, 58469.57], rtol=1e-6)


def test_each_token_turns_by_its_own_position_and_all_its_heads_alike(backend):
    x = normal(B, T, 8, H)
    positions = np.array([[0, 1, 2, 3, 4], [7, 9, 2, 0, 1], [-1, -1, 0, 1, 2]], np.int32)
    y = np.asarray(backend.positions.rope(backend.array(x), backend.array(positions), 100.0))
    for b, t, head in np.ndindex(B, T, 8):
        for r in range(H // 2):
            angle = positions[b, t] * 100.0 ** (-2 * r / H)
            first, second = x[b, t, head, r], x[b, t, head, r + H // 2]
            assert_close(y[b, t, head, r], first * math.cos(angle) - second * math.sin(angle))
            assert_close(y[b, t, head, r + H // 2], second * math.cos(angle) + first * math.sin(angle))


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(m=st.integers(0, 500), n=st.integers(0, 500), shift=st.integers(0, 500), seed=st.integers(0, 99))
def test_a_score_depends_on_the_distance_and_not_on_the_place(backend, m, n, shift, seed):
    q, k = normal(H, seed=seed), normal(H, seed=seed + 100)
    here = turn(backend, q, m) @ turn(backend, k, n)
    there = turn(backend, q, m + shift) @ turn(backend, k, n + shift)
    assert abs(here - there) < 1e-4 * np.linalg.norm(q) * np.linalg.norm(
        k
    )  # float32 angles up to 1000 radians


def test_another_distance_gives_another_score(backend):
    q = normal(H)
    scores = [turn(backend, q, 3) @ turn(backend, q, n) for n in range(4)]
    assert np.all(np.abs(np.diff(scores)) > 0.1)


def test_turning_keeps_lengths_and_position_0_keeps_everything(backend):
    x = normal(H)
    assert_close(turn(backend, x, 0), x, atol=0)
    assert abs(np.linalg.norm(turn(backend, x, 1234)) - np.linalg.norm(x)) < 1e-5


def rope_of_neighbours(x, position, theta):
    """The paper's form: pairs (0, 1), (2, 3), …"""
    y = np.empty_like(x)
    for r in range(len(x) // 2):
        angle = position * theta ** (-2 * r / len(x))
        y[2 * r] = x[2 * r] * math.cos(angle) - x[2 * r + 1] * math.sin(angle)
        y[2 * r + 1] = x[2 * r + 1] * math.cos(angle) + x[2 * r] * math.sin(angle)
    return y


def test_halves_are_the_papers_neighbours_in_another_order(backend):
    x = normal(H)
    weave = np.arange(H).reshape(2, H // 2).T.reshape(-1)  # 0, 6, 1, 7, …: the halves, interleaved
    halves = turn(backend, x, 5)
    assert_close(halves[weave], rope_of_neighbours(x[weave], 5, 10_000.0))
    assert (
        np.max(np.abs(halves - rope_of_neighbours(x, 5, 10_000.0))) > 0.1
    )  # not the same without the reordering


def test_theta_is_an_argument_and_not_remembered_from_the_last_call(backend):
    x = normal(H)
    first, second, again = (turn(backend, x, 9, theta) for theta in (1e4, 1e6, 1e4))
    assert np.max(np.abs(first - second)) > 0.01
    assert_close(again, first, atol=0)


def test_neighbours_past_256_stay_apart_in_bfloat16(backend):
    x = normal(H).astype(jnp.bfloat16)[None, None, None]
    at_256, at_257 = (
        np.asarray(backend.positions.rope(backend.array(x), backend.array([[position]]), 1e4), np.float32)
        for position in (256, 257)
    )
    assert jnp.bfloat16(257) == 256  # what a position in bfloat16 would be
    exact = turn(backend, x[0, 0, 0].astype(np.float32), 257)
    assert np.max(np.abs(at_257[0, 0, 0] - exact)) < 0.02  # one rounding of numbers up to 2
    assert np.max(np.abs(at_257 - at_256)) > 0.5


def test_rope_keeps_the_dtype(backend):
    for dtype in (np.float32, jnp.bfloat16):
        x = backend.array(normal(B, T, 2, H).astype(dtype))
        assert backend.positions.rope(x, backend.array(count_up(B, T)), 1e4).dtype == dtype


def test_a_learned_vector_is_looked_up_and_padding_reads_the_first(backend):
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    vectors = backend.positions.learned(backend.array(table), backend.array([[-1, 0, 1, 5]]))
    assert_close(vectors, [[[0, 1], [0, 1], [2, 3], [10, 11]]], atol=0)


@pytest.mark.parametrize("D", [2, 10])
def test_sinusoids_follow_the_papers_formula(backend, D):
    positions = np.array([[0, 1, 2, 3, 4], [9, 7, 0, 100, 511]], np.int32)
    vectors = np.asarray(backend.positions.sinusoidal(backend.array(positions), D))
    assert vectors.shape == (2, 5, D)
    for b, t in np.ndindex(2, 5):
        for i in range(D // 2):
            angle = positions[b, t] / 10_000 ** (2 * i / D)
            # float32 knows an angle of 511 to 3e-5
            assert_close(vectors[b, t, 2 * i : 2 * i + 2], [math.sin(angle), math.cos(angle)], atol=5e-5)
