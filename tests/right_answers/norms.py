"""Right answers to lesson 03's exercises, written as learners write them: with loops, einsum, or jnp."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def norm_row_by_row(x, scale, epsilon):
    rows = x.reshape(-1, x.shape[-1]).astype(np.float32)
    result = np.zeros_like(rows)
    for i, row in enumerate(rows):
        size = math.sqrt(sum(float(value) ** 2 for value in row) / len(row) + epsilon)
        for d, value in enumerate(row):
            result[i, d] = value / size * (1 + float(scale[d]))
    return result.reshape(x.shape).astype(x.dtype)


def norm_in_jax(x, scale, epsilon):
    up = jnp.asarray(x, jnp.float32)
    mean_square = jnp.einsum("...D,...D->...", up, up)[..., None] / x.shape[-1]
    return (up * jax.lax.rsqrt(mean_square + epsilon) * (1 + jnp.asarray(scale, jnp.float32))).astype(x.dtype)


def norm_by_length(x, scale, epsilon):
    wide = x.astype(np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    result = wide / np.sqrt(length**2 / x.shape[-1] + epsilon)
    return (result + result * scale.astype(np.float64)).astype(x.dtype)


def fold_slice_by_slice(scale, w_q):
    result = np.empty_like(w_q)
    for d in range(len(scale)):
        result[d] = w_q[d] * (1 + scale[d])
    return result


def fold_by_diagonal(scale, w_q):
    D = len(scale)
    return (np.diag(1 + scale) @ w_q.reshape(D, -1)).reshape(w_q.shape)


def fold_in_jax(scale, w_q):
    return jnp.moveaxis(jnp.moveaxis(w_q, 0, -1) * (1 + scale), -1, 0)


def layer_norm_with_var(x, epsilon):
    up = x.astype(np.float32)
    mean, variance = up.mean(-1, keepdims=True), up.var(-1, keepdims=True)
    return ((up - mean) / np.sqrt(variance + epsilon)).astype(x.dtype)


def layer_norm_row_by_row(x, epsilon):
    result = []
    for row in x.reshape(-1, x.shape[-1]).astype(float).tolist():
        mean = sum(row) / len(row)
        deviations = [value - mean for value in row]
        size = (sum(d * d for d in deviations) / len(row) + epsilon) ** 0.5
        result.append([d / size for d in deviations])
    return np.array(result).reshape(x.shape).astype(x.dtype)


def layer_norm_in_jax(x, epsilon):
    up = jnp.asarray(x, jnp.float32)
    variance = jnp.var(up, axis=-1, keepdims=True)
    return ((up - jnp.mean(up, axis=-1, keepdims=True)) * jax.lax.rsqrt(variance + epsilon)).astype(x.dtype)


def sublayer_case_by_case(x, sublayer, norm, placement):
    match placement:
        case "pre":
            return x + sublayer(norm(x))
        case "post":
            return norm(x + sublayer(x))
        case "sandwich":
            return x + norm(sublayer(norm(x)))


def sublayer_with_two_switches(x, sublayer, norm, placement):
    before = norm if placement in ("pre", "sandwich") else (lambda value: value)
    after = norm if placement == "sandwich" else (lambda value: value)
    total = np.add(after(sublayer(before(x))), x)
    return norm(total) if placement == "post" else total


def gradient_by_autodiff(x, g, epsilon):
    def loss(x):
        return jnp.sum(g * x / jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + epsilon))

    return jax.grad(loss)(jnp.asarray(x))


def gradient_by_jacobian(x, g, epsilon):
    result = np.zeros_like(x)
    D = x.shape[-1]
    for place in np.ndindex(x.shape[:-1]):
        r = np.sqrt(np.mean(x[place] ** 2) + epsilon)
        y = x[place] / r
        jacobian = (np.eye(D) - np.outer(y, y) / D) / r
        result[place] = jacobian @ g[place]
    return result


RIGHT_ANSWERS = {
    "gemma_norm": (norm_row_by_row, norm_in_jax, norm_by_length),
    "fold_into_query": (fold_slice_by_slice, fold_by_diagonal, fold_in_jax),
    "olmo_norm": (layer_norm_with_var, layer_norm_row_by_row, layer_norm_in_jax),
    "add_sublayer": (sublayer_case_by_case, sublayer_with_two_switches),
    "norm_gradient": (gradient_by_autodiff, gradient_by_jacobian),
}
