"""Lesson 04: the exercises on RoPE itself, and the wrong versions that their checks know."""

import math

import ml_dtypes
import numpy as np

from gemma_edu.checks.exercise import exercise
from gemma_edu.checks.exercises.positions_in_use import evens_then_odds


def _theta_cases(random):
    yield 8, 2, 20 * math.pi
    yield 256, 127, 58_469.57
    yield 12, 5, 8192.0
    yield 128, 30, 300.0


@exercise(lesson="04_rope", cases=_theta_cases)
def theta_for(head_dim, r, tokens):
    """The theta with which pair r of a head turns once in so many tokens."""
    return (tokens / (2 * math.pi)) ** (head_dim / (2 * r))


@theta_for.mutant()
def theta_for_radians(head_dim, r, tokens):
    """the theta for one *radian* in so many tokens; a whole turn is 2π radians."""
    return theta_for.solution(head_dim, r, 2 * math.pi * tokens)


@theta_for.mutant()
def theta_for_degrees(head_dim, r, tokens):
    """the theta for angles in degrees, with 360 to a turn; RoPE's are radians, 2π to a turn."""
    return theta_for.solution(head_dim, r, tokens * 2 * math.pi / 360)


@theta_for.mutant()
def theta_for_half_exponent(head_dim, r, tokens):
    """the theta for frequencies θ^(−r/H), which is the square of the right one; pair r has θ^(−2r/H)."""
    return theta_for.solution(head_dim, r, tokens) ** 2


@theta_for.mutant()
def theta_for_double_exponent(head_dim, r, tokens):
    """the root of theta, for frequencies θ^(−2r/R) with the R = H/2 pairs below; pair r has θ^(−2r/H)."""
    return theta_for.solution(head_dim, r, tokens) ** 0.5


@theta_for.mutant()
def theta_for_negative_exponent(head_dim, r, tokens):
    """one over theta: the minus belongs to the frequency, θ^(−2r/H); the wavelength is 2π θ^(+2r/H)."""
    return 1 / theta_for.solution(head_dim, r, tokens)


@theta_for.mutant()
def theta_for_pairs_from_one(head_dim, r, tokens):
    """the theta of the pair before: pairs count from 0, so the first turns by θ^0 = 1 radian a token."""
    return theta_for.solution(head_dim, r - 1, tokens)


@theta_for.mutant()
def theta_for_power_not_inverted(head_dim, r, tokens):
    """the number of radians to the power 2r/H; solving for theta turns that exponent upside down, H/(2r)."""
    return (tokens / (2 * math.pi)) ** (2 * r / head_dim)


def _rope_cases(random):
    yield random.standard_normal((7, 3, 12), np.float32), np.arange(7), 10_000.0
    yield random.standard_normal((5, 2, 16), np.float32), np.array([0, 3, 255, 257, 700]), 1_000_000.0
    yield random.standard_normal((4, 5, 6), np.float32), np.array([511, 513, 514, 900]), 100.0


@exercise(lesson="04_rope", cases=_rope_cases, axes="T N H", tolerance=1e-3, keeps_dtype=True)
def rope_complex(x_TNH, positions_T, theta):
    """Rotate every head of every token by its position, halves paired, with one complex product."""
    R = x_TNH.shape[-1] // 2
    return _turn(x_TNH, positions_T[:, None] * theta ** (-np.arange(R) / R))


def _turn(x_TNH, angles):
    """Turn halves by angles of shape (T, R), or of one that broadcasts to T N R."""
    R = x_TNH.shape[-1] // 2
    angles = angles[:, None] if angles.ndim == 2 else angles
    turned = (x_TNH[..., :R] + 1j * x_TNH[..., R:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag], axis=-1).astype(x_TNH.dtype)


@rope_complex.mutant()
def rope_of_neighbours(x_TNH, positions_T, theta):
    """the result with neighbours (0, 1), (2, 3), … as pairs; Gemma pairs x[r] with x[r + H/2]."""
    order = evens_then_odds(x_TNH.shape[-1])
    return rope_complex.solution(x_TNH[..., order], positions_T, theta)[..., np.argsort(order)]


@rope_complex.mutant()
def rope_read_as_neighbours(x_TNH, positions_T, theta):
    """the result of neighbours in, halves out; the real parts are the first half of x, the imaginary the second."""
    return rope_complex.solution(x_TNH[..., evens_then_odds(x_TNH.shape[-1])], positions_T, theta)


@rope_complex.mutant()
def rope_written_as_neighbours(x_TNH, positions_T, theta):
    """the right numbers in another order: halves in, neighbours out. Scores would be the same, but Gemma's head
    keeps the real parts in its first half and the imaginary parts in its second: concatenate, do not stack."""
    order = evens_then_odds(x_TNH.shape[-1])
    return rope_complex.solution(x_TNH, positions_T, theta)[..., np.argsort(order)]


@rope_complex.mutant()
def rope_outside_in(x_TNH, positions_T, theta):
    """the result with pairs (0, H−1), (1, H−2), …; the second half is not reversed, pair r is (r, r + H/2)."""
    R = x_TNH.shape[-1] // 2
    order = np.concatenate([np.arange(R), np.arange(2 * R)[: R - 1 : -1]])
    return rope_complex.solution(x_TNH[..., order], positions_T, theta)[..., order]


@rope_complex.mutant()
def rope_of_half_exponent(x_TNH, positions_T, theta):
    """the result with frequencies θ^(−r/H), half the exponent; pair r turns by θ^(−2r/H), or θ^(−r/R)."""
    return rope_complex.solution(x_TNH, positions_T, theta**0.5)


@rope_complex.mutant()
def rope_of_double_exponent(x_TNH, positions_T, theta):
    """the result with frequencies θ^(−2r/R), twice the exponent; θ^(−2r/H) is θ^(−r/R), since H = 2 R."""
    return rope_complex.solution(x_TNH, positions_T, theta**2)


@rope_complex.mutant()
def rope_reversed(x_TNH, positions_T, theta):
    """the result with the frequencies in reverse; pair 0 is the fastest, with one radian a token."""
    R = x_TNH.shape[-1] // 2
    return _turn(x_TNH, positions_T[:, None] * theta ** (-np.arange(R)[::-1] / R))


@rope_complex.mutant()
def rope_of_powers_of_two(x_TNH, positions_T, theta):
    """the result with powers of 2 where powers of e belong: θ^(−2r/H) is exp(−2r/H · ln θ)."""
    return rope_complex.solution(x_TNH, positions_T, theta ** math.log(2))


@rope_complex.mutant()
def rope_of_default_theta(x_TNH, positions_T, theta):
    """the result with theta 10,000 in every case; theta is an argument, and Gemma 3 uses two of them."""
    return rope_complex.solution(x_TNH, positions_T, 10_000.0)


@rope_complex.mutant()
def rope_in_degrees(x_TNH, positions_T, theta):
    """the result with angles taken for degrees; position times frequency is in radians as it stands."""
    return rope_complex.solution(x_TNH, positions_T * math.pi / 180, theta)


@rope_complex.mutant(shipped_by="Keras hub #1494; transformers #29285")
def rope_of_rounded_positions(x_TNH, positions_T, theta):
    """the result with positions in bfloat16, where 257 is 256; angles need float32."""
    return rope_complex.solution(x_TNH, positions_T.astype(ml_dtypes.bfloat16).astype(np.float64), theta)


@rope_complex.mutant()
def rope_from_one(x_TNH, positions_T, theta):
    """the result with every position one too far; the first token stands at 0 and is not turned."""
    return rope_complex.solution(x_TNH, positions_T + 1, theta)


@rope_complex.mutant()
def rope_of_row_numbers(x_TNH, positions_T, theta):
    """the result with row numbers 0, 1, 2, … in place of `positions_T`; a text may start anywhere."""
    return rope_complex.solution(x_TNH, np.arange(len(x_TNH)), theta)


@rope_complex.mutant()
def rope_over_heads(x_TNH, positions_T, theta):
    """the result with head n turned as position n; all heads of a token turn by its position, along axis T."""
    T, N, H = x_TNH.shape
    angles_NR = np.arange(N)[:, None] * theta ** (-2 * np.arange(H // 2) / H)
    return _turn(x_TNH, angles_NR[None])


@rope_complex.mutant()
def rope_backwards(x_TNH, positions_T, theta):
    """the result of turning backwards; the exponent is +1j times the angle, and (x1, x2) becomes
    (x1 cos − x2 sin, x2 cos + x1 sin)."""
    return rope_complex.solution(x_TNH, -positions_T, theta)


@rope_complex.mutant()
def rope_sine_for_cosine(x_TNH, positions_T, theta):
    """the result with sine and cosine exchanged; at position 0 a token must stay as it is."""
    R = x_TNH.shape[-1] // 2
    return _turn(x_TNH, math.pi / 2 - positions_T[:, None] * theta ** (-np.arange(R) / R))


@rope_complex.mutant()
def rope_twice(x_TNH, positions_T, theta):
    """the result of turning twice; once by position times frequency is enough."""
    return rope_complex.solution(x_TNH, 2 * positions_T, theta)


@rope_complex.mutant()
def rope_of_first_half(x_TNH, positions_T, theta):
    """half a rotation: the second half of each head has stayed as it was. It gets the imaginary part,
    x2 cos + x1 sin."""
    R = x_TNH.shape[-1] // 2
    turned = rope_complex.solution(x_TNH, positions_T, theta)
    return np.concatenate([turned[..., :R], x_TNH[..., R:]], axis=-1)


@rope_complex.mutant()
def rope_of_growing_frequencies(x_TNH, positions_T, theta):
    """the result with frequencies θ^(+2r/H), which grow; the exponent is negative, and no pair beats the first."""
    return rope_complex.solution(x_TNH, positions_T, 1 / theta)
