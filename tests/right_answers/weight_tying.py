"""Right answers to lesson 07's exercises, written as learners write them: with loops, einsum, or jnp."""

import jax
import jax.numpy as jnp
import numpy as np


def next_logits_in_einsum(x_BTD, table_VD):
    return np.einsum("BD,VD->BV", x_BTD[:, -1, :], table_VD)


def next_logits_by_loop(x_BTD, table_VD):
    return [
        [sum(x * weight for x, weight in zip(x_TD[-1], row, strict=True)) for row in table_VD]
        for x_TD in x_BTD
    ]


def next_logits_of_all(x_BTD, table_VD):
    return (jnp.asarray(x_BTD) @ jnp.asarray(table_VD).T)[:, -1]


def odds_in_place(logits, vocab_size):
    masked = logits.copy()
    masked[..., vocab_size:] = -np.inf
    masked -= masked.max(-1, keepdims=True)
    return np.exp(masked) / np.exp(masked).sum(-1, keepdims=True)


def odds_with_zeros_appended(logits, vocab_size):
    real = np.exp(logits[..., :vocab_size])
    padding = np.zeros(logits.shape[:-1] + (logits.shape[-1] - vocab_size,))
    return np.concatenate([real / real.sum(-1, keepdims=True), padding], axis=-1)


def odds_with_jnp(logits, vocab_size):
    return jax.nn.softmax(jnp.where(jnp.arange(logits.shape[-1]) < vocab_size, logits, -jnp.inf))


def gradient_by_loop(tokens_T, d_input_TD, x_TD, d_logits_TV):
    (T, D), V = x_TD.shape, d_logits_TV.shape[1]
    d_table_VD = np.zeros((V, D))
    for t in range(T):
        d_table_VD[tokens_T[t]] += D**0.5 * d_input_TD[t]
        for v in range(V):
            d_table_VD[v] += d_logits_TV[t, v] * x_TD[t]
    return d_table_VD


def gradient_with_one_hot(tokens_T, d_input_TD, x_TD, d_logits_TV):
    one_hot_TV = np.eye(d_logits_TV.shape[1])[tokens_T]
    scaled_TD = np.sqrt(x_TD.shape[-1]) * d_input_TD
    return np.einsum("TV,TD->VD", one_hot_TV, scaled_TD) + np.einsum("TV,TD->VD", d_logits_TV, x_TD)


def gradient_with_jax(tokens_T, d_input_TD, x_TD, d_logits_TV):
    def score(table_VD):
        embedded = table_VD[tokens_T] * table_VD.shape[1] ** 0.5
        return (embedded * d_input_TD).sum() + (x_TD @ table_VD.T * d_logits_TV).sum()

    return jax.grad(score)(jnp.zeros((d_logits_TV.shape[1], x_TD.shape[1])))


def used_by_loop(file, tied, vocab_size):
    total = 0
    for name, shape in file.items():
        if name == "output" and tied:
            continue
        if name in ("table", "output"):
            shape = (vocab_size, shape[1])
        size = 1
        for length in shape:
            size *= length
        total += size
    return total


def used_by_subtraction(file, tied, vocab_size):
    rows, D = file["table"]
    total = sum(int(np.prod(shape)) for shape in file.values()) - (rows - vocab_size) * D
    if "output" in file:
        total -= rows * D if tied else (rows - vocab_size) * D
    return total


def tables_by_division(total, rest, vocab_size, embed_dim):
    tables = (total - rest) // (vocab_size * embed_dim)
    return tables, (total - rest) // (tables * embed_dim)


def tables_by_trying(total, rest, vocab_size, embed_dim):
    for tables in (2, 1):
        rows = (total - rest) / embed_dim / tables
        if rows >= vocab_size:
            return tables, int(rows)


RIGHT_ANSWERS = {
    "next_logits": (next_logits_in_einsum, next_logits_by_loop, next_logits_of_all),
    "odds_without_padding": (odds_in_place, odds_with_zeros_appended, odds_with_jnp),
    "tied_gradient": (gradient_by_loop, gradient_with_one_hot, gradient_with_jax),
    "used_parameters": (used_by_loop, used_by_subtraction),
    "tables_and_rows": (tables_by_division, tables_by_trying),
}
