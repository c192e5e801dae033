"""Lesson 03: the exercises on norms, and the wrong versions that their checks know."""

import jax.numpy as jnp
import numpy as np

from gemma_edu.checks.exercise import exercise


def _rms(x, epsilon, axis=-1):
    """√(mean(x²) + ε) over an axis, which stays."""
    return np.sqrt(np.mean(np.square(x), axis=axis, keepdims=True) + epsilon)


def _centred(x):
    """x in float32, less its mean."""
    return x.astype(np.float32) - np.mean(x.astype(np.float32), axis=-1, keepdims=True)


def _gemma_norm_cases(random):
    for shape in ((10,), (7, 6), (3, 5, 10)):
        x, scale = random.standard_normal(shape, np.float32), random.standard_normal(shape[-1], np.float32)
        yield x + 0.5, scale, 1e-6
    yield 1e-3 * random.standard_normal((4, 8), np.float32), random.standard_normal(8, np.float32), 1e-5
    yield tuple(random.normal(0.5, 1, shape).astype(jnp.bfloat16) for shape in ((3, 40), 40)) + (1e-6,)


@exercise(lesson="03_rmsnorm", cases=_gemma_norm_cases, keeps_dtype=True)
def gemma_norm(x, scale, epsilon):
    """RMSNorm times 1 + scale, in float32, rounded to x's type at the end."""
    return _scaled(x, scale, lambda x: x / _rms(x, epsilon))


def _scaled(x, scale, divide):
    """`divide(x)` in float32, times 1 + scale, in x's type."""
    return (divide(x.astype(np.float32)) * (1 + scale.astype(np.float32))).astype(x.dtype)


@gemma_norm.mutant(shipped_by="Liger-Kernel #74; executorch #19901")
def offset_missing(x, scale, epsilon):
    """the result with the stored scale as the whole factor, as in Llama 2; Gemma multiplies by 1 + scale."""
    return gemma_norm.solution(x, scale.astype(np.float32) - 1, epsilon)


@gemma_norm.mutant(shipped_by="mold #1078")
def offset_twice(x, scale, epsilon):
    """the result with a factor of 2 + scale: 1 has been added twice."""
    return gemma_norm.solution(x, scale.astype(np.float32) + 1, epsilon)


@gemma_norm.mutant()
def one_added_last(x, scale, epsilon):
    """the result with 1 added to the product; the 1 belongs to the scale, in the factor 1 + scale."""
    return (offset_missing(x.astype(np.float32), scale, epsilon) + 1).astype(x.dtype)


@gemma_norm.mutant()
def epsilon_outside(x, scale, epsilon):
    """the result with ε added to the root; it stands under it, √(mean(x²) + ε), which shows where x is tiny."""
    return _scaled(x, scale, lambda x: x / (_rms(x, 0) + epsilon))


@gemma_norm.mutant()
def epsilon_missing(x, scale, epsilon):
    """the result without ε; it is added to the mean square, under the root, and shows where x is tiny."""
    return _scaled(x, scale, lambda x: x / _rms(x, 0))


@gemma_norm.mutant()
def mean_subtracted(x, scale, epsilon):
    """the result of LayerNorm, with the mean subtracted first; RMSNorm leaves the mean in."""
    return _scaled(x, scale, lambda x: _centred(x) / _rms(_centred(x), epsilon))


@gemma_norm.mutant()
def length(x, scale, epsilon):
    """the result of dividing by the length, the root of the *sum* of squares; it must be the root of their mean."""
    return _scaled(x, scale, lambda x: x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + epsilon))


@gemma_norm.mutant()
def all_axes(x, scale, epsilon):
    """the result with one mean over the whole array; each vector along the last axis has its own (axis=-1)."""
    return _scaled(x, scale, lambda x: x / _rms(x, epsilon, axis=None))


@gemma_norm.mutant()
def no_root(x, scale, epsilon):
    """the result of dividing by the mean square; its square root is missing."""
    return _scaled(x, scale, lambda x: x / _rms(x, epsilon) ** 2)


@gemma_norm.mutant(shipped_by="transformers up to 4.38.2; gemma_pytorch before #67")
def rounded_early(x, scale, epsilon):
    """the result rounded to x's type before the product with 1 + scale; round once, after it."""
    return (x.astype(np.float32) / _rms(x.astype(np.float32), epsilon)).astype(x.dtype) * (1 + scale)


@gemma_norm.mutant()
def factor_rounded(x, scale, epsilon):
    """the result with 1 + scale rounded to bfloat16, since scale was; make scale float32 before 1 is added."""
    return gemma_norm.solution(x, (1 + scale).astype(np.float32) - 1, epsilon)


@gemma_norm.mutant()
def never_float32(x, scale, epsilon):
    """the result with squares and mean in x's own type; x goes to float32 first, since bfloat16 has 8 bits."""
    return x / _rms(x, epsilon) * (1 + scale)


@gemma_norm.mutant()
def stays_float32(x, scale, epsilon):
    """the right numbers, left in float32; a bfloat16 x asks for a bfloat16 result: end with .astype(x.dtype)."""
    return gemma_norm.solution(x.astype(np.float32), scale, epsilon)


def _fold_cases(random):
    for D, N, H in ((10, 8, 12), (5, 1, 6), (4, 4, 4)):
        yield random.standard_normal(D, np.float32), random.standard_normal((D, N, H), np.float32)


@exercise(lesson="03_rmsnorm", cases=_fold_cases, axes="D N H")
def fold_into_query(scale, w_q):
    """Move a norm's factor into the matrix behind it."""
    return np.einsum("D,DNH->DNH", 1 + scale, w_q)


@fold_into_query.mutant()
def folded_without_one(scale, w_q):
    """w_q times the stored scale; the factor is 1 + scale."""
    return np.einsum("D,DNH->DNH", scale, w_q)


@fold_into_query.mutant()
def folded_over_heads(scale, w_q):
    """the product (1 + scale) * w_q, in which NumPy pairs scale with the last axis, H; it belongs to the first, D."""
    return (1 + scale) * w_q


def _olmo_cases(random):
    yield random.standard_normal((3, 5, 10), np.float32) + 1, 1e-5
    yield 1e-3 * random.standard_normal((4, 8), np.float32), 1e-5
    yield 0.1 * random.standard_normal((2, 12), np.float32) + 300, 1e-5
    yield random.normal(1, 2, (3, 40)).astype(jnp.bfloat16), 1e-5


@exercise(lesson="03_rmsnorm", cases=_olmo_cases, tolerance=1e-3, keeps_dtype=True)
def olmo_norm(x, epsilon):
    """LayerNorm without parameters."""
    return (_centred(x) / _rms(_centred(x), epsilon)).astype(x.dtype)


@olmo_norm.mutant()
def mean_left_in(x, epsilon):
    """the result of RMSNorm; LayerNorm subtracts the mean first."""
    return (x.astype(np.float32) / _rms(x.astype(np.float32), epsilon)).astype(x.dtype)


@olmo_norm.mutant()
def one_degree_less(x, epsilon):
    """the result with a variance over D − 1 (ddof=1, the default of torch.std); a norm divides by D."""
    variance = np.var(x.astype(np.float32), axis=-1, keepdims=True, ddof=1)
    return (_centred(x) / np.sqrt(variance + epsilon)).astype(x.dtype)


@olmo_norm.mutant()
def variance_epsilon_outside(x, epsilon):
    """the result with ε added to the standard deviation; it belongs to the variance, under the root."""
    return (_centred(x) / (_rms(_centred(x), 0) + epsilon)).astype(x.dtype)


@olmo_norm.mutant(shipped_by="the default of jax.nn.standardize")
def difference_of_squares(x, epsilon):
    """the result with the variance as mean(x²) − mean(x)², which loses its digits where the mean is large."""
    x_float, mean = x.astype(np.float32), np.mean(x.astype(np.float32), axis=-1, keepdims=True)
    variance = np.mean(np.square(x_float), axis=-1, keepdims=True) - np.square(mean)
    return (_centred(x) / np.sqrt(variance + epsilon)).astype(x.dtype)


def _sublayer_cases(random):
    mix = random.standard_normal((6, 6), np.float32)
    for placement in ("pre", "post", "sandwich"):
        x = 3 * random.standard_normal((5, 6), np.float32)
        yield x, lambda x: x @ mix + 1, lambda x: x / _rms(x, 1e-6), placement


@exercise(lesson="03_rmsnorm", cases=_sublayer_cases, axes="T D")
def add_sublayer(x, sublayer, norm, placement):
    """One sublayer, with norms before, after or both."""
    y = sublayer(x if placement == "post" else norm(x))
    return norm(x + y) if placement == "post" else x + (norm(y) if placement == "sandwich" else y)


@add_sublayer.mutant()
def post_inside(x, sublayer, norm, placement):
    """the result with post's norm around the sublayer's output; it goes around the sum, norm(x + sublayer(x))."""
    right = add_sublayer.solution(x, sublayer, norm, placement)
    return x + norm(sublayer(x)) if placement == "post" else right


@add_sublayer.mutant()
def normed_stream(x, sublayer, norm, placement):
    """the result with norm(x) in the place of x on the straight path; pre and sandwich add to x itself."""
    start = x if placement == "post" else norm(x)
    return start + add_sublayer.solution(x, sublayer, norm, placement) - x


@add_sublayer.mutant()
def sum_normed(x, sublayer, norm, placement):
    """the result with a sandwich's second norm around the sum; it goes around the sublayer's output alone."""
    right = add_sublayer.solution(x, sublayer, norm, "pre" if placement == "sandwich" else placement)
    return norm(right) if placement == "sandwich" else right


@add_sublayer.mutant()
def half_a_sandwich(x, sublayer, norm, placement):
    """the result with a sandwich's second norm only, as in OLMo 2; Gemma 2 and 3 norm the input as well."""
    right = add_sublayer.solution(x, sublayer, norm, placement)
    return x + norm(sublayer(x)) if placement == "sandwich" else right


def _gradient_cases(random):
    for shape, size in (((3, 5, 10), 1.0), ((4, 7), 100.0), ((6,), 1e-3)):
        x, g = random.standard_normal((2, *shape), np.float32)
        yield np.float32(size) * x, g, 1e-6


@exercise(lesson="03_rmsnorm", cases=_gradient_cases, tolerance=1e-4)
def norm_gradient(x, g, epsilon):
    """The gradient of RMSNorm with respect to x, by hand."""
    r = _rms(x, epsilon)
    return g / r - x * np.mean(g * x, axis=-1, keepdims=True) / r**3


@norm_gradient.mutant()
def size_held_fixed(x, g, epsilon):
    """g / r, as if r did not depend on x; each entry of x also moves the r that all share."""
    return g / _rms(x, epsilon)


@norm_gradient.mutant()
def sum_for_mean(x, g, epsilon):
    """the result with the sum of g · x in the place of its mean: dr/dx = x / (D r) brings a 1/D."""
    return g / _rms(x, epsilon) - x * np.sum(g * x, axis=-1, keepdims=True) / _rms(x, epsilon) ** 3


@norm_gradient.mutant()
def one_r_less(x, g, epsilon):
    """the result with r² below x · mean(g · x); dr/dx = x / (D r) brings a third r."""
    return g / _rms(x, epsilon) - x * np.mean(g * x, axis=-1, keepdims=True) / _rms(x, epsilon) ** 2
