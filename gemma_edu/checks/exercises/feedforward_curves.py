"""Lesson 06: the exercises on GELU and its slope, and the wrong versions that their checks know."""

import math

import numpy as np

from gemma_edu.checks.exercise import exercise

ROOT = math.sqrt(2 / math.pi)


def erf(x):
    """The error function of every number in an array, which NumPy does not have."""
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def sigmoid(x):
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def _with_tanh(x, inner):
    return 0.5 * x * (1 + np.tanh(inner))


def _gelu_cases(random):
    yield (np.linspace(-6, 6, 49, dtype=np.float32),)
    yield (random.uniform(-6, 6, (5, 14)).astype(np.float32),)
    yield (random.uniform(-3, 3, (3, 4, 7)).astype(np.float32),)


@exercise(lesson="06_geglu", cases=_gelu_cases)
def gelu_tanh(x):
    """GELU by its tanh formula."""
    return _with_tanh(x, ROOT * (x + 0.044715 * x**3))


@gelu_tanh.mutant(shipped_by="google/gemma_pytorch before PR #37, transformers before 4.39")
def gelu_exact(x):
    """the exact GELU, x Φ(x), which differs by 4.73e-4 at most; Gemma was trained with the tanh form."""
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


@gelu_tanh.mutant()
def gelu_erf_without_root(x):
    """the result of erf(x) in place of erf(x / √2); and Gemma wants the tanh form, not the exact one."""
    return 0.5 * x * (1 + erf(x))


@gelu_tanh.mutant(shipped_by="quantised Gemma 3 in candle, #3745")
def gelu_as_silu(x):
    """the result of SiLU, x σ(x), the curve of Llama 2; Gemma's is GELU."""
    return x * sigmoid(x)


@gelu_tanh.mutant()
def gelu_as_relu(x):
    """the result of ReLU, max(x, 0), the curve of the 2017 Transformer; Gemma's is GELU."""
    return np.maximum(x, 0)


@gelu_tanh.mutant()
def gelu_as_quick(x):
    """the result of x σ(1.702 x), the coarser approximation in the same paper; Gemma's has tanh and a cube."""
    return x * sigmoid(1.702 * x)


@gelu_tanh.mutant()
def gelu_without_half(x):
    """twice the GELU: the factor 0.5 in front is missing."""
    return 2 * gelu_tanh.solution(x)


@gelu_tanh.mutant()
def gelu_without_x(x):
    """the share that passes, an approximation of Φ(x); GELU is x times that."""
    return 0.5 * (1 + np.tanh(ROOT * (x + 0.044715 * x**3)))


@gelu_tanh.mutant()
def gelu_without_bracket(x):
    """the result of tanh(√(2/π) x + 0.044715 x³); the factor √(2/π) belongs to the cube as well."""
    return _with_tanh(x, ROOT * x + 0.044715 * x**3)


@gelu_tanh.mutant()
def gelu_wrong_coefficient(x):
    """the result with 0.44715, ten times too much cube; the coefficient is 0.044715."""
    return _with_tanh(x, ROOT * (x + 0.44715 * x**3))


@gelu_tanh.mutant()
def gelu_with_square(x):
    """the result with 0.044715 x²; it is the cube, x³, which keeps the sign of x."""
    return _with_tanh(x, ROOT * (x + 0.044715 * x**2))


@gelu_tanh.mutant()
def gelu_without_cube(x):
    """the result without the cube; inside the tanh stands √(2/π) (x + 0.044715 x³)."""
    return _with_tanh(x, ROOT * x)


@gelu_tanh.mutant()
def gelu_missing_root(x):
    """the result with 2/π in front of the bracket; it is the root of 2/π, about 0.798."""
    return _with_tanh(x, 2 / math.pi * (x + 0.044715 * x**3))


@gelu_tanh.mutant()
def gelu_short_root(x):
    """the result with √2 / π in front of the bracket; the root covers π as well: √(2/π), about 0.798."""
    return _with_tanh(x, math.sqrt(2) / math.pi * (x + 0.044715 * x**3))


@gelu_tanh.mutant()
def gelu_root_of_all(x):
    """the result of a root over the whole bracket, which negative x do not have; it covers 2/π only."""
    return _with_tanh(x, np.sqrt(2 / math.pi * (x + 0.044715 * x**3)))


@gelu_tanh.mutant(
    shipped_by="gelu_fast of transformers in TensorFlow, before PR #11514, where a decimal point was lost as well"
)
def gelu_swapped_constants(x):
    """the result with the two constants exchanged; √(2/π) stands before the bracket, 0.044715 before x³."""
    return _with_tanh(x, 0.044715 * (x + ROOT * x**3))


def _below(x):
    """Φ(x), the probability that a draw from the standard normal distribution is below x."""
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def _bell(x):
    """φ(x), the derivative of Φ."""
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _slope_cases(random):
    yield from ((-1.0,), (0.0,), (1.0,), (2.5,), (-0.3,))


@exercise(lesson="06_geglu", cases=_slope_cases)
def gelu_slope(x):
    """The derivative of the exact GELU."""
    return _below(x) + x * _bell(x)


@gelu_slope.mutant()
def slope_first_term(x):
    """the first term alone, Φ(x); Φ depends on x as well, so the product rule adds x φ(x)."""
    return _below(x)


@gelu_slope.mutant()
def slope_second_term(x):
    """the second term alone, x φ(x); the derivative of x is 1, which leaves Φ(x) as the first term."""
    return x * _bell(x)


@gelu_slope.mutant()
def slope_without_x(x):
    """the result of Φ(x) + φ(x); the second term keeps its x: x φ(x)."""
    return _below(x) + _bell(x)


@gelu_slope.mutant()
def slope_with_minus(x):
    """the result of Φ(x) − x φ(x); the product rule adds its two terms."""
    return _below(x) - x * _bell(x)


@gelu_slope.mutant()
def slope_of_relu(x):
    """the slope of ReLU, 0 or 1; GELU's goes from one to the other smoothly, and overshoots both."""
    return float(x > 0)


@gelu_slope.mutant()
def slope_of_tanh_form(x):
    """the slope of the tanh form; the exercise asks for the exact one, Φ(x) + x φ(x)."""
    t = math.tanh(ROOT * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT * (1 + 3 * 0.044715 * x * x)


@gelu_slope.mutant()
def slope_with_high_bell(x):
    """the result with a bell curve of height 1; divide exp(−x²/2) by √(2π)."""
    return _below(x) + x * math.exp(-x * x / 2)


@gelu_slope.mutant()
def slope_with_narrow_bell(x):
    """the result with exp(−x²); the bell curve of the standard normal is exp(−x²/2) / √(2π)."""
    return _below(x) + x * math.exp(-x * x) / math.sqrt(2 * math.pi)
