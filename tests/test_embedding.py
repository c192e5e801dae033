"""Embedding is a row look-up, scaled or not; unembedding is a dot product with every row."""

import jax.numpy as jnp
import numpy as np
import pytest
from backend import B, T, assert_close, normal

from gemma_edu.jax_model import embedding as jax_embedding

V, D = 11, 4
TABLE = np.arange(V * D, dtype=np.float32).reshape(V, D)


def test_each_token_gets_its_row(backend):
    x_BTD = backend.embedding.embed(backend.array(TABLE), backend.array([[2, 0, 2], [10, 1, 5]]), scale=False)
    assert_close(x_BTD[0], [[8, 9, 10, 11], [0, 1, 2, 3], [8, 9, 10, 11]], atol=0)
    assert_close(x_BTD[1, 0], [40, 41, 42, 43], atol=0)


def test_scaling_multiplies_by_the_root_of_the_width(backend):
    x_BTD = backend.embedding.embed(backend.array(TABLE), backend.array([[2]]), scale=True)
    assert_close(x_BTD, [[[16, 18, 20, 22]]], atol=0)  # √4 = 2


def test_scaling_keeps_float32(backend):
    table = backend.array(normal(V, 10))
    assert backend.embedding.embed(table, backend.array([[1]]), scale=True).dtype == np.float32


@pytest.mark.parametrize(("width", "factor"), [(640, 25.25), (2048, 45.25), (3072, 55.5)])
def test_in_bfloat16_the_factor_itself_is_rounded(width, factor):
    table = jnp.ones((V, width), jnp.bfloat16)
    x_BTD = jax_embedding.embed(table, jnp.array([[1]]), scale=True)
    assert x_BTD.dtype == jnp.bfloat16
    assert np.all(np.asarray(x_BTD, np.float32) == factor)


def test_a_logit_is_the_dot_product_with_a_tokens_row(backend):
    table, x = normal(V, 10, seed=1), normal(B, T, 10, seed=2)
    logits_BTV = backend.embedding.unembed(backend.array(table), backend.array(x))
    for b in range(B):
        for t in range(T):
            assert_close(
                logits_BTV[b, t], [sum(x[b, t, d] * table[v, d] for d in range(10)) for v in range(V)]
            )


def test_logits_of_a_bfloat16_model_are_summed_and_returned_in_float32():
    table, x = jnp.full((V, 512), 1.0, jnp.bfloat16), jnp.full((1, 1, 512), 1.0 + 2**-7, jnp.bfloat16)
    logits_BTV = jax_embedding.unembed(table, x)
    assert logits_BTV.dtype == jnp.float32
    assert np.all(logits_BTV == 516.0)  # in bfloat16 a running sum sticks at 256: 256 + 1 rounds back
