"""Right answers to lesson 06's exercises, written as learners write them: with loops, einsum, jnp, or by search."""

import math
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np


def gelu_by_jax(x):
    return jax.nn.gelu(x, approximate=True)


def gelu_in_numpy(x):
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * x * (1 + 0.044715 * x * x))) / 2


def gelu_one_by_one(x):
    result = np.empty_like(x)
    for place in np.ndindex(x.shape):
        number = float(x[place])
        z = math.sqrt(2 / math.pi) * (number + 0.044715 * number**3)
        result[place] = number / (1 + math.exp(-2 * z))
    return result


def slope_by_formula(x):
    Phi = NormalDist().cdf(x)
    return Phi + x * NormalDist().pdf(x)


def slope_by_grad(x):
    return jax.grad(lambda x: jax.nn.gelu(x, approximate=False))(x)


def slope_by_stepping(x, step=1e-5):
    def curve(x):
        return x * NormalDist().cdf(x)

    return (curve(x + step) - curve(x - step)) / (2 * step)


def geglu_by_einsum(x, gating_einsum, w_down):
    gate_up = jnp.einsum("TD,CDF->CTF", x, gating_einsum)
    return jnp.einsum("TF,FD->TD", jax.nn.gelu(gate_up[0], approximate=True) * gate_up[1], w_down)


def geglu_by_units(x, gating_einsum, w_down):
    y = np.zeros_like(x)
    for unit in range(w_down.shape[0]):
        gate, up = x @ gating_einsum[0][:, unit], x @ gating_einsum[1][:, unit]
        y += np.outer(gelu_in_numpy(gate) * up, w_down[unit])
    return y


def split_by_slices(ff_proj):
    F = ff_proj.shape[0] // 2
    return ff_proj[F:].T, ff_proj[:F].T


def split_by_reshape(ff_proj):
    stacked = jnp.asarray(ff_proj).reshape(2, -1, ff_proj.shape[1])
    w_up, w_gate = jnp.einsum("CFD->CDF", stacked)
    return w_gate, w_up


def size_by_one_formula(non_embedding, num_layers, embed_dim, attention_per_layer):
    rest = non_embedding - embed_dim - num_layers * (attention_per_layer + 2 * embed_dim)
    return rest / (3 * embed_dim * num_layers)


def size_by_search(non_embedding, num_layers, embed_dim, attention_per_layer):
    F = 1
    while num_layers * (attention_per_layer + 3 * embed_dim * F + 2 * embed_dim) + embed_dim < non_embedding:
        F += 1
    return F


def match_by_negative_division(embed_dim, multiple):
    return -(-8 * embed_dim // (3 * multiple)) * multiple


def match_like_llama(embed_dim, multiple):
    hidden = int(2 * (4 * embed_dim) / 3)
    return multiple * ((hidden + multiple - 1) // multiple)


def match_by_search(embed_dim, multiple):
    F = multiple
    while 3 * F < 8 * embed_dim:
        F += multiple
    return F


RIGHT_ANSWERS = {
    "gelu_tanh": (gelu_by_jax, gelu_in_numpy, gelu_one_by_one),
    "gelu_slope": (slope_by_formula, slope_by_grad, slope_by_stepping),
    "geglu": (geglu_by_einsum, geglu_by_units),
    "split_fused": (split_by_slices, split_by_reshape),
    "hidden_size": (size_by_one_formula, size_by_search),
    "matched_hidden_size": (match_by_negative_division, match_like_llama, match_by_search),
}
