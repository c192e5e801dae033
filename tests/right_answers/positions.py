"""Right answers to lesson 04's exercises, written as learners write them: with loops, einsum, or jnp."""

import math

import jax.numpy as jnp
import numpy as np

from gemma_edu.jax_model import positions as jax_positions
from gemma_edu.numpy_model import positions as numpy_positions


def theta_by_logarithm(head_dim, r, tokens):
    radians_per_token = 2 * math.pi / tokens
    return math.exp(-head_dim / (2 * r) * math.log(radians_per_token))


def theta_by_halving(head_dim, r, tokens):
    low, high = 0.0, 100.0  # logarithm of theta
    for _ in range(100):
        middle = (low + high) / 2
        wavelength = 2 * math.pi * math.exp(middle * 2 * r / head_dim)
        low, high = (middle, high) if wavelength < tokens else (low, middle)
    return np.exp(low)


def rope_by_the_package(x_TNH, positions_T, theta):
    return numpy_positions.rope(x_TNH[None], positions_T[None], theta)[0]


def rope_in_loops(x_TNH, positions_T, theta):
    y_TNH = np.empty_like(x_TNH)
    T, N, H = x_TNH.shape
    for t, n, r in np.ndindex(T, N, H // 2):
        angle = int(positions_T[t]) * theta ** (-2 * r / H)
        z = complex(x_TNH[t, n, r], x_TNH[t, n, r + H // 2]) * complex(math.cos(angle), math.sin(angle))
        y_TNH[t, n, r], y_TNH[t, n, r + H // 2] = z.real, z.imag
    return y_TNH


def rope_in_jnp(x_TNH, positions_T, theta):
    H = x_TNH.shape[-1]
    frequencies_R = 1.0 / theta ** (jnp.arange(0, H, 2) / H)
    turn_T1R = jnp.exp(1j * jnp.einsum("T,R->TR", positions_T, frequencies_R))[:, None]
    first, second = jnp.split(x_TNH, 2, axis=-1)
    z_TNR = (first + 1j * second) * turn_T1R
    return jnp.concatenate([z_TNR.real, z_TNR.imag], axis=-1)


def rope_with_rotated_halves(x_TNH, positions_T, theta):
    H = x_TNH.shape[-1]
    angles_T1H = np.tile(np.outer(positions_T, theta ** (-np.arange(0, H, 2) / H)), 2)[:, None]
    other = np.concatenate([-x_TNH[..., H // 2 :], x_TNH[..., : H // 2]], axis=-1)
    return (x_TNH * np.cos(angles_T1H) + other * np.sin(angles_T1H)).astype(x_TNH.dtype)


def keys_in_jnp(k_SKH, shift, theta):
    positions_1S = jnp.full((1, k_SKH.shape[0]), shift)
    return jax_positions.rope(jnp.asarray(k_SKH)[None], positions_1S, theta)[0]


def keys_as_complex(k_SKH, shift, theta):
    R = k_SKH.shape[-1] // 2
    z_SKR = (k_SKH[..., :R] + 1j * k_SKH[..., R:]) * np.exp(1j * shift * theta ** (-np.arange(R) / R))
    return np.concatenate([z_SKR.real, z_SKR.imag], axis=-1).astype(np.float32)


def keys_one_by_one(k_SKH, shift, theta):
    rows = [numpy_positions.rope(k_KH[None, None], np.array([[shift]]), theta)[0, 0] for k_KH in k_SKH]
    return np.stack(rows)


def meta_in_loops(weight, num_heads):
    rows, D = weight.shape
    H = rows // num_heads
    w_DNH = np.empty((D, num_heads, H), weight.dtype)
    for n in range(num_heads):
        for r in range(H // 2):
            w_DNH[:, n, r] = weight[n * H + 2 * r]
            w_DNH[:, n, r + H // 2] = weight[n * H + 2 * r + 1]
    return w_DNH


def meta_by_view(weight, num_heads):
    rows, D = weight.shape
    w_NHD = weight.reshape(num_heads, rows // num_heads // 2, 2, D).swapaxes(1, 2).reshape(num_heads, -1, D)
    return jnp.einsum("NHD->DNH", w_NHD)


def step_by_formula(steps, D):
    M = np.zeros((D, D))
    for i in range(D // 2):
        b = steps / 10_000 ** (2 * i / D)
        M[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[math.cos(b), math.sin(b)], [-math.sin(b), math.cos(b)]]
    return M


def step_by_solving(steps, D):
    positions = np.geomspace(1, 20_000, 50 * D)
    angles = positions[:, None] * 10_000.0 ** (-np.arange(0, D, 2) / D)
    further = angles + steps * 10_000.0 ** (-np.arange(0, D, 2) / D)
    here, there = (np.stack([np.sin(a), np.cos(a)], axis=-1).reshape(-1, D) for a in (angles, further))
    return np.linalg.lstsq(here, there, rcond=None)[0].T


RIGHT_ANSWERS = {
    "theta_for": (theta_by_logarithm, theta_by_halving),
    "rope_complex": (rope_by_the_package, rope_in_loops, rope_in_jnp, rope_with_rotated_halves),
    "move_keys": (keys_in_jnp, keys_as_complex, keys_one_by_one),
    "from_meta": (meta_in_loops, meta_by_view),
    "step_matrix": (step_by_formula, step_by_solving),
}
