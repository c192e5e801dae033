"""RMSNorm with and without Gemma's unit offset, LayerNorm with and without parameters."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from backend import B, T, assert_close, normal
from jaxtyping import TypeCheckError

from gemma_edu import presets
from gemma_edu.config import NormKind
from gemma_edu.params import Norm

X = [
    [3.0, -4.0, 0.0, 5.0]
]  # squares 9 + 16 + 0 + 25 = 50, rms √12.5; mean 1, deviations 2 −5 −1 4, variance 11.5


def test_rms_norm_by_hand(backend):
    y = backend.norms.rms_norm(backend.array(X), backend.array([1.0, 2.0, 3.0, 0.5]), 1e-6, unit_offset=False)
    assert_close(y, [[3 / 12.5**0.5, -8 / 12.5**0.5, 0.0, 2.5 / 12.5**0.5]])


def test_the_unit_offset_adds_one_to_the_scale(backend):
    scale = backend.array([0.0, 1.0, -1.0, -0.5])
    y = backend.norms.rms_norm(backend.array(X), scale, 1e-6, unit_offset=True)
    assert_close(y, [[3 / 12.5**0.5, -8 / 12.5**0.5, 0.0, 2.5 / 12.5**0.5]])


def test_layer_norm_by_hand(backend):
    scale, bias = backend.array([1.0, 2.0, 3.0, 0.5]), backend.array([0.0, 10.0, -1.0, 0.25])
    y = backend.norms.layer_norm(backend.array(X), scale, bias, 1e-6)
    std = 11.5**0.5
    assert_close(y, [[2 / std, -10 / std + 10, -3 / std - 1, 2 / std + 0.25]])


def test_layer_norm_without_parameters_only_centres_and_divides(backend):
    y = backend.norms.layer_norm(backend.array(X), None, None, 1e-6)
    assert_close(y, [[2 / 11.5**0.5, -5 / 11.5**0.5, -1 / 11.5**0.5, 4 / 11.5**0.5]])


def test_epsilon_stands_under_the_root(backend):
    x = backend.array([[1e-3, -1e-3]])
    expected = 1e-3 / math.sqrt(1e-6 + 1e-6)  # mean square 1e-6, variance 1e-6
    assert_close(backend.norms.rms_norm(x, backend.array([1.0, 1.0]), 1e-6, False), [[expected, -expected]])
    assert_close(backend.norms.layer_norm(x, None, None, 1e-6), [[expected, -expected]])


def test_zeros_stay_zeros(backend):
    zeros = backend.array(np.zeros((B, T, 10)))
    assert_close(backend.norms.rms_norm(zeros, backend.array(np.ones(10)), 1e-6, True), zeros, atol=0)
    assert_close(backend.norms.layer_norm(zeros, None, None, 1e-6), zeros, atol=0)


def test_rms_norm_ignores_the_size_of_its_input_and_layer_norm_its_mean_too(backend):
    x, scale = normal(B, T, 10), backend.array(normal(10, seed=1))
    small, large = backend.array(x), backend.array(100 * x)
    assert_close(
        backend.norms.rms_norm(small, scale, 1e-12, True), backend.norms.rms_norm(large, scale, 1e-12, True)
    )
    moved = backend.array(100 * x + 7)
    layer_norm = backend.norms.layer_norm
    assert_close(layer_norm(small, scale, None, 1e-12), layer_norm(moved, scale, None, 1e-12))


def test_only_layer_norm_forgets_the_mean(backend):
    x, scale = backend.array(normal(B, T, 10) + 3), backend.array(np.zeros(10))
    assert abs(float(backend.norms.layer_norm(x, None, None, 1e-6).mean())) < 1e-5
    assert float(backend.norms.rms_norm(x, scale, 1e-6, True).mean()) > 0.5


def test_each_kind_of_norm_reads_its_own_parameters(backend):
    x = normal(B, T, 10)
    scale, bias = normal(10, seed=1), normal(10, seed=2)
    params = Norm(backend.array(scale), backend.array(bias))
    config = presets.TINY_GPT2_124M.replace(norm_epsilon=0.1)
    rms = np.sqrt(np.mean(x**2, -1, keepdims=True) + 0.1)
    centred = x - x.mean(-1, keepdims=True)
    layer = centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 0.1)

    def norm(kind, params):
        return backend.norms.norm(params, backend.array(x), config.replace(norm=kind))

    assert_close(norm(NormKind.RMS, params._replace(bias=None)), x / rms * scale)
    assert_close(norm(NormKind.RMS_UNIT_OFFSET, params._replace(bias=None)), x / rms * (1 + scale))
    assert_close(norm(NormKind.LAYER, params), layer * scale + bias)
    assert_close(norm(NormKind.LAYER_NO_PARAMETERS, Norm()), layer)


def test_heads_are_normalised_one_by_one(backend):
    x = normal(B, T, 8, 12)
    scale = normal(12, seed=1)
    y = backend.norms.rms_norm(backend.array(x), backend.array(scale), 1e-6, True)
    head = x[2, 4, 7]
    assert_close(y[2, 4, 7], head / np.sqrt(np.mean(head**2) + 1e-6) * (1 + scale))


@pytest.mark.parametrize("size", [1, 5, 11])
def test_a_scale_of_another_size_is_caught_instead_of_broadcast(backend, size):
    with pytest.raises(TypeCheckError, match="scale"):
        backend.norms.rms_norm(backend.array(normal(B, T, 10)), backend.array(np.zeros(size)), 1e-6, True)


def test_bfloat16_is_normalised_in_float32_and_rounded_once(backend):
    x = normal(B, T, 64).astype(jnp.bfloat16)
    scale = normal(64, seed=1).astype(jnp.bfloat16)
    y = backend.norms.rms_norm(backend.array(x), backend.array(scale), 1e-6, True)
    assert y.dtype == jnp.bfloat16
    exact = backend.norms.rms_norm(
        backend.array(x.astype("float32")), backend.array(scale.astype("float32")), 1e-6, True
    )
    difference = np.abs(np.asarray(y, np.float32) - np.asarray(exact))
    assert np.all(
        difference <= np.abs(exact) * 2**-8
    )  # half a unit in bfloat16's last place: one rounding, no more
