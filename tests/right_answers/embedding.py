"""Right answers to lesson 02's exercises, written as learners write them: with loops, einsum, or jnp."""

import math
import struct

import jax
import jax.numpy as jnp
import numpy as np


def soft_lookup_by_matmul(probs, table):
    return probs @ (table * np.sqrt(table.shape[-1]))


def soft_lookup_with_loops(probs, table):
    B, T, V = probs.shape
    D = len(table[0])
    x = np.zeros((B, T, D))
    for b in range(B):
        for t in range(T):
            for v in range(V):
                x[b, t] += probs[b, t, v] * table[v]
    return x * D**0.5


def soft_lookup_with_jnp(probs, table):
    return jnp.sqrt(table.shape[1]) * jnp.tensordot(probs, table, 1, precision="highest")


def rounded_root_by_jax(D):
    return float(jnp.bfloat16(math.sqrt(D)))


def rounded_root_by_frexp(D):
    fraction, exponent = math.frexp(math.sqrt(D))
    return math.ldexp(round(fraction * 256), exponent - 8)


def rounded_root_by_bits(D):
    (bits,) = struct.unpack("<I", struct.pack("<f", math.sqrt(D)))
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def embed_with_jax(table, tokens):
    return jnp.take(jnp.asarray(table), tokens, axis=0) * math.sqrt(table.shape[1])  # weakly typed: rounded


def embed_with_a_loop(table, tokens):
    x = np.zeros(tokens.shape + table.shape[1:], table.dtype)
    factor = np.asarray(math.sqrt(table.shape[1])).astype(table.dtype)
    for place, token in np.ndenumerate(tokens):
        x[place] = factor * table[token]
    return x


def embed_one_hot(table, tokens):
    one_hot = (tokens[..., None] == np.arange(len(table))).astype(table.dtype)
    return (one_hot @ table).astype(table.dtype) * np.array(table.shape[1] ** 0.5, table.dtype)


def gradient_with_add_at(gradient, tokens, V):
    result = np.zeros((V, gradient.shape[-1]))
    np.add.at(result, tokens, gradient * np.sqrt(gradient.shape[-1]))
    return result


def gradient_one_hot(gradient, tokens, V):
    one_hot = np.eye(V)[tokens]
    return np.einsum("btv,btd->vd", one_hot, gradient) * gradient.shape[-1] ** 0.5


def gradient_by_autodiff(gradient, tokens, V):
    D = gradient.shape[-1]
    embedded = lambda table: jnp.sum(table[tokens] * D**0.5 * gradient)  # noqa: E731
    return jax.grad(embedded)(jnp.zeros((V, D)))


def untie_by_copying(table):
    read = table.copy()
    read *= math.sqrt(read.shape[1])
    return read, table


def untie_with_jnp(table):
    return jnp.asarray(table) * table.shape[1] ** 0.5, jnp.asarray(table)


def untie_row_by_row(table):
    return [[math.sqrt(len(row)) * entry for entry in row] for row in table], table


RIGHT_ANSWERS = {
    "soft_lookup": (soft_lookup_by_matmul, soft_lookup_with_loops, soft_lookup_with_jnp),
    "rounded_root": (rounded_root_by_jax, rounded_root_by_frexp, rounded_root_by_bits),
    "embed_in_its_dtype": (embed_with_jax, embed_with_a_loop, embed_one_hot),
    "table_gradient": (gradient_with_add_at, gradient_one_hot, gradient_by_autodiff),
    "untie": (untie_by_copying, untie_with_jnp, untie_row_by_row),
}
