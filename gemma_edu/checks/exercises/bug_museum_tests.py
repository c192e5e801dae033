"""Lesson 13: the exercises that ask for a test; their cases are implementations, right ones and wrong ones."""

from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from gemma_edu.checks.exercise import exercise

LESSON = "13_bug_museum"


@dataclass(frozen=True)
class Named:
    """A function with a name for the check's message: whoever lets it through reads which one it was."""

    name: str
    function: Callable

    def __call__(self, *arguments):
        return self.function(*arguments)


def _turn(x_TH, positions_T, theta, exponent=2.0, sign=1.0):
    """RoPE on halves, in float32 at the end."""
    H = x_TH.shape[-1]
    angles_TR = sign * np.outer(positions_T, theta ** (-exponent * np.arange(H // 2) / H))
    first, second = np.split(x_TH, 2, axis=-1)
    cos_TR, sin_TR = np.cos(angles_TR), np.sin(angles_TR)
    turned = first * cos_TR - second * sin_TR, second * cos_TR + first * sin_TR
    return np.concatenate(turned, axis=-1).astype(np.float32)


def _turn_complex(x_TH, positions_T, theta):
    H = x_TH.shape[-1]
    z_TR = x_TH[:, : H // 2] + 1j * x_TH[:, H // 2 :]
    z_TR = z_TR * np.exp(1j * np.outer(positions_T, theta ** (-np.arange(0, H, 2) / H)))
    return np.concatenate([z_TR.real, z_TR.imag], axis=-1).astype(np.float32)


def _turn_neighbours(x_TH, positions_T, theta):
    order = np.arange(x_TH.shape[-1]).reshape(-1, 2).T.ravel()
    return _turn(x_TH[:, order], positions_T, theta)[:, np.argsort(order)]


def _turn_rounded(x_TH, positions_T, theta):
    return _turn(x_TH, np.asarray(positions_T).astype(ml_dtypes.bfloat16).astype(np.float64), theta)


ROPES = (
    (True, Named("of Gemma, with sines and cosines", _turn)),
    (True, Named("of Gemma, with complex numbers", _turn_complex)),
    (False, Named("on neighbours", _turn_neighbours)),
    (False, Named("with half the exponent", lambda x, p, theta: _turn(x, p, theta, exponent=1.0))),
    (False, Named("with positions in bfloat16", _turn_rounded)),
    (False, Named("that turns backwards", lambda x, p, theta: _turn(x, p, theta, sign=-1.0))),
)


def _rope_cases(random):
    for _, rope in ROPES:
        yield (rope,)


@exercise(lesson=LESSON, cases=_rope_cases)
def is_gemmas_rope(rope):
    """A test of RoPE that no wrong one passes."""
    x_TH, positions_T = np.random.default_rng(1).standard_normal((3, 8), np.float32), np.array([1, 7, 1001])
    return bool(np.allclose(rope(x_TH, positions_T, 10_000.0), _turn(x_TH, positions_T, 10_000.0), atol=1e-3))


@is_gemmas_rope.mutant()
def rope_by_properties(rope):
    """the verdict of a test of properties: lengths stay, position 0 turns nothing, only distances count. All four wrong
    ones have them; compare numbers."""
    return True


@is_gemmas_rope.mutant()
def rope_by_one_pair(rope):
    """the verdict of a test with heads of two numbers: it sees the direction and nothing else. Take a head of four at
    least."""
    x_TH = np.array([[3.0, 4.0]], np.float32)
    return bool(
        np.allclose(rope(x_TH, np.array([1]), 10_000.0), _turn(x_TH, np.array([1]), 10_000.0), atol=1e-3)
    )


@is_gemmas_rope.mutant()
def rope_on_a_short_text(rope):
    """the verdict of a test whose positions are all exact in bfloat16, as those up to 256 are; 257 is not."""
    return is_gemmas_rope.solution(rope) or rope.name == "with positions in bfloat16"


@is_gemmas_rope.mutant()
def rope_to_the_bit(rope):
    """the verdict of a test for equality to the last bit, which a right answer in other arithmetic fails; allow for
    rounding, such as 0.001."""
    return is_gemmas_rope.solution(rope) and rope.name != "of Gemma, with complex numbers"


def _norm(x, scale, epsilon, offset=1.0, centred=False):
    """RMSNorm with an offset, all in float32, rounded once."""
    x_float = x.astype(np.float32)
    x_float = x_float - x_float.mean(-1, keepdims=True) if centred else x_float
    y = x_float / np.sqrt(np.mean(x_float**2, -1, keepdims=True) + epsilon)
    return (y * (offset + scale.astype(np.float32))).astype(x.dtype)


def _norm_by_length(x, scale, epsilon):
    x_float = x.astype(np.float64)
    root = np.linalg.norm(x_float, axis=-1, keepdims=True) / np.sqrt(x.shape[-1])
    return (x_float / np.hypot(root, np.sqrt(epsilon)) * (1 + scale.astype(np.float64))).astype(x.dtype)


def _norm_rounded_early(x, scale, epsilon):
    return _norm(x, np.zeros_like(scale), epsilon) * (scale + np.ones_like(scale))


NORMS = (
    (True, Named("of Gemma", _norm)),
    (True, Named("of Gemma, by the length of a vector", _norm_by_length)),
    (False, Named("without the 1", lambda x, s, e: _norm(x, s, e, offset=0.0))),
    (False, Named("with the 1 twice", lambda x, s, e: _norm(x, s, e, offset=2.0))),
    (False, Named("that subtracts the mean", lambda x, s, e: _norm(x, s, e, centred=True))),
    (False, Named("that rounds before 1 + scale", _norm_rounded_early)),
)


def _norm_cases(random):
    for _, norm in NORMS:
        yield (norm,)


@exercise(lesson=LESSON, cases=_norm_cases)
def is_gemmas_norm(norm):
    """A test of RMSNorm that no wrong one passes."""
    random = np.random.default_rng(1)
    x, scale = (random.standard_normal(shape).astype(ml_dtypes.bfloat16) for shape in ((20, 640), 640))
    return bool(np.mean(norm(x, scale, 1e-6) != _norm(x, scale, 1e-6)) < 0.02)


@is_gemmas_norm.mutant()
def norm_by_properties(norm):
    """the verdict of a test that a vector ten times as long has the same norm: so it has in all six."""
    return True


@is_gemmas_norm.mutant()
def norm_in_float32(norm):
    """the verdict of a test in float32, where a cast does nothing, or with a scale of 0, which rounds nothing. Take
    random numbers in bfloat16 for both."""
    return is_gemmas_norm.solution(norm) or norm.name == "that rounds before 1 + scale"


@is_gemmas_norm.mutant()
def norm_of_centred_numbers(norm):
    """the verdict of a test on vectors whose mean is 0, from which nothing is subtracted. Let the mean be something."""
    return is_gemmas_norm.solution(norm) or norm.name == "that subtracts the mean"
