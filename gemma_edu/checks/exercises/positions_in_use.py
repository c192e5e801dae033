"""Lesson 04: the exercises on caches, weights and sinusoids, and the wrong versions that their checks know."""

import numpy as np

from gemma_edu.checks.exercise import exercise
from gemma_edu.numpy_model.positions import rope


def evens_then_odds(H):
    """0, 2, 4, …, 1, 3, 5, …: puts neighbours in the two halves; its argsort puts them back."""
    return np.argsort(np.arange(H) % 2, kind="stable")


def _cache_cases(random):
    for (S, K, H), shift, theta in (
        ((5, 2, 12), 3, 10_000.0),
        ((7, 1, 8), -100, 1_000_000.0),
        ((4, 3, 6), 1, 100.0),
    ):
        keys = random.standard_normal((1, S, K, H), np.float32)
        yield rope(keys, np.arange(S)[None] + 100, theta)[0], shift, theta


@exercise(lesson="04_rope", cases=_cache_cases, axes="S K H", tolerance=1e-3)
def move_keys(k_SKH, shift, theta):
    """Turned keys from a cache, as they would be `shift` positions later."""
    return _turn_all(k_SKH, np.full(len(k_SKH), shift), theta)


def _turn_all(k_SKH, positions_S, theta):
    return rope(k_SKH[None], np.asarray(positions_S)[None], theta)[0]


@move_keys.mutant()
def keys_moved_back(k_SKH, shift, theta):
    """the keys moved the other way; a positive shift means later positions, a further turn forwards."""
    return _turn_all(k_SKH, np.full(len(k_SKH), -shift), theta)


@move_keys.mutant()
def keys_turned_anew(k_SKH, shift, theta):
    """the result of turning cached key s by s + shift; the keys are turned already, all that is missing is shift."""
    return _turn_all(k_SKH, np.arange(len(k_SKH)) + shift, theta)


@move_keys.mutant()
def keys_turned_by_row(k_SKH, shift, theta):
    """the result of turning cached key s by s times shift; every key moves by the same number of positions."""
    return _turn_all(k_SKH, np.arange(len(k_SKH)) * shift, theta)


@move_keys.mutant()
def keys_of_neighbours(k_SKH, shift, theta):
    """the result with neighbours (0, 1), (2, 3), … as pairs; these keys were turned in halves, (r, r + H/2)."""
    order = evens_then_odds(k_SKH.shape[-1])
    return move_keys.solution(k_SKH[..., order], shift, theta)[..., np.argsort(order)]


@move_keys.mutant()
def keys_at_one_speed(k_SKH, shift, theta):
    """the result with every pair turned by shift radians; each pair has its own frequency θ^(−2r/H)."""
    return move_keys.solution(k_SKH, shift, 1.0)


@move_keys.mutant()
def keys_in_other_places(k_SKH, shift, theta):
    """the old keys in other rows; a position is not a row of the cache, it is the angle of the key."""
    return np.roll(k_SKH, shift, axis=0)


def _meta_cases(random):
    yield np.arange(6.0)[:, None], 1
    yield random.standard_normal((30, 7), np.float32), 3
    yield random.standard_normal((12, 5), np.float32), 2
    yield random.standard_normal((20, 8), np.float32), 5


@exercise(lesson="04_rope", cases=_meta_cases, axes="D N H", tolerance=0.0)
def from_meta(weight, num_heads):
    """Query weights of a Meta file, N·H by D and for neighbours, as D N H and for halves."""
    return _split_heads(weight, num_heads)[..., evens_then_odds(len(weight) // num_heads)]


def _split_heads(weight, num_heads):
    return weight.reshape(num_heads, -1, weight.shape[1]).transpose(2, 0, 1)


@from_meta.mutant()
def meta_not_reordered(weight, num_heads):
    """the weights still in Meta's order, for neighbours; halves need the even rows of each head first, then the odd."""
    return _split_heads(weight, num_heads)


@from_meta.mutant()
def meta_reordered_backwards(weight, num_heads):
    """the reordering from halves to neighbours, 0, H/2, 1, …; this file is for neighbours: 0, 2, 4, … come first."""
    return _split_heads(weight, num_heads)[..., np.argsort(evens_then_odds(len(weight) // num_heads))]


@from_meta.mutant()
def meta_reordered_across_heads(weight, num_heads):
    """the even rows of the *whole matrix* before the odd ones, which mixes heads; reorder inside each head."""
    return _split_heads(weight[evens_then_odds(len(weight))], num_heads)


@from_meta.mutant()
def meta_odds_first(weight, num_heads):
    """the odd rows before the even ones, which exchanges the two of each pair and turns them backwards; evens first."""
    order = evens_then_odds(len(weight) // num_heads)
    return _split_heads(weight, num_heads)[..., np.roll(order, len(order) // 2)]


@from_meta.mutant()
def meta_heads_interleaved(weight, num_heads):
    """the result with row h·N + n taken for number h of head n; the file has all of head 0 first, then head 1."""
    w_DHN = weight.reshape(-1, num_heads, weight.shape[1]).transpose(2, 0, 1)
    return w_DHN.transpose(0, 2, 1)[..., evens_then_odds(len(weight) // num_heads)]


def _step_cases(random):
    yield 1, 2
    yield 3, 10
    yield -5, 6
    yield 40, 4


@exercise(lesson="04_rope", cases=_step_cases, axes="D D")
def step_matrix(steps, D):
    """The matrix that moves every sinusoidal vector on by so many steps."""
    return _blocks(steps * 10_000.0 ** (-np.arange(0, D, 2) / D))


def _blocks(angles):
    """2 × 2 blocks (cos, sin; −sin, cos) on the diagonal."""
    M = np.zeros((2 * len(angles), 2 * len(angles)))
    even = np.arange(0, len(M), 2)
    M[even, even] = M[even + 1, even + 1] = np.cos(angles)
    M[even, even + 1], M[even + 1, even] = np.sin(angles), -np.sin(angles)
    return M


@step_matrix.mutant()
def step_backwards(steps, D):
    """the transpose, which steps back; (sine, cosine) moves by (cos b, sin b; −sin b, cos b). A block with the minus
    in the upper row belongs to (cosine, sine)."""
    return step_matrix.solution(steps, D).T


@step_matrix.mutant()
def step_of_halves(steps, D):
    """the matrix for all sines first and then all cosines; `sinusoidal` alternates them, 2i and 2i + 1."""
    order = evens_then_odds(D)
    return step_matrix.solution(steps, D)[order][:, order]


@step_matrix.mutant()
def step_at_one_speed(steps, D):
    """the matrix with one radian a step in every pair; pair i moves by 10000^(−2i/D)."""
    return _blocks(np.full(D // 2, float(steps)))


@step_matrix.mutant()
def step_of_half_exponent(steps, D):
    """the matrix with frequencies 10000^(−i/D); pair i has the exponent −2i/D."""
    return _blocks(steps * 10_000.0 ** (-np.arange(D // 2) / D))


@step_matrix.mutant()
def step_of_growing_frequencies(steps, D):
    """the matrix with frequencies 10000^(+2i/D), which grow; the exponent is negative."""
    return _blocks(steps * 10_000.0 ** (np.arange(0, D, 2) / D))


@step_matrix.mutant()
def step_without_minus(steps, D):
    """the matrix without a minus: cos(a + b) = cos a cos b − sin a sin b, so the cosine's row is (−sin b, cos b)."""
    M = step_matrix.solution(steps, D)
    return M - 2 * np.tril(M, -1)


@step_matrix.mutant()
def step_with_a_mirror(steps, D):
    """a mirror image in the cosines' rows: cos(a + b) = cos a cos b − sin a sin b, so the minus stands before sin b."""
    return step_matrix.solution(steps, D) * np.where(np.arange(D) % 2, -1.0, 1.0)[:, None]
