"""Default precision rounds as a TPU does, "highest" does not, and what depends on the difference fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gemma_edu.scaling import tpu_rounding
from tools import tpu_rounding as plugin

X = np.random.default_rng(0).standard_normal((5, 300)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((300, 14)).astype(np.float32)
IMAGE = np.random.default_rng(2).standard_normal((1, 2, 9, 8)).astype(np.float32)
KERNEL = np.random.default_rng(3).standard_normal((3, 2, 4, 5)).astype(np.float32)
pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="emulates a TPU on a CPU only")


def rounded(x):
    """The nearest bfloat16 numbers, in float32."""
    return np.asarray(x, jnp.bfloat16).astype(np.float32)


def scan(x, w):
    return jax.lax.scan(lambda y, _: (jnp.matmul(x, w), None), jnp.zeros((5, 14)), length=2)[0]


PRODUCTS = {
    "eager": (jnp.matmul, X, W),
    "jit": (jax.jit(jnp.matmul), X, W),
    "einsum": (lambda x, w: jnp.einsum("TD,DF->TF", x, w), X, W),
    "scan": (scan, X, W),
    "vmap": (jax.vmap(jnp.matmul, (0, None)), X, W),
    "convolution": (lambda x, w: jax.lax.conv(x, w, (1, 1), "VALID"), IMAGE, KERNEL),
}


@pytest.fixture
def default_precision():
    """The setting of someone who set nothing; the tests' own is "highest"."""
    with jax.default_matmul_precision("default"):
        yield


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_those_of_rounded_factors_bit_for_bit(name, default_precision):
    multiply, x, w = PRODUCTS[name]
    exact, right = multiply(x, w), multiply(rounded(x), rounded(w))
    with tpu_rounding.emulated():
        np.testing.assert_array_equal(multiply(x, w), right)
        with jax.default_matmul_precision("highest"):
            np.testing.assert_array_equal(multiply(x, w), exact)
    np.testing.assert_array_equal(multiply(x, w), exact)


def test_what_a_tpu_and_float32_alone_lose(default_precision):
    exact = X.astype(np.float64) @ W

    def lost():
        return float(np.abs(jnp.matmul(X, W) - exact).max() / np.abs(exact).max())

    assert lost() < 1e-6
    with tpu_rounding.emulated():
        assert 1e-3 < lost() < 1e-2


def test_gradients_are_rounded_too(default_precision):
    gradient = jax.grad(lambda w: (X @ w).sum())
    with tpu_rounding.emulated():
        found = gradient(W)
    right = np.broadcast_to(rounded(X).sum(0)[:, None], W.shape)
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)
    assert np.abs(found - X.sum(0)[:, None]).max() > 1e-3


def test_an_explicit_precision_and_other_numbers_are_left_alone(default_precision):
    def products():
        return [
            jnp.matmul(X, W, precision="highest"),
            jnp.matmul(X, W, precision="high"),
            jnp.matmul(X.astype(jnp.bfloat16), W.astype(jnp.bfloat16), preferred_element_type=jnp.float32),
            jnp.matmul(X.astype(int), W.astype(int)),
        ]

    exact = products()
    with tpu_rounding.emulated():
        for now, before in zip(products(), exact, strict=True):
            np.testing.assert_array_equal(now, before)


def test_products_are_counted(default_precision):
    def products(x, w):
        return x @ w, jnp.matmul(w.T, w, precision="highest"), x.astype(int) @ w.astype(int)

    with tpu_rounding.emulated():
        jax.jit(products)(X, W)
        assert tpu_rounding.counts == {"rounded": 1, "exact": 1}


def test_starting_twice_and_stopping_twice_are_once(default_precision):
    exact = jnp.matmul(X, W)
    with tpu_rounding.emulated():
        tpu_rounding.start()
    tpu_rounding.stop()
    np.testing.assert_array_equal(jnp.matmul(X, W), exact)


PLANTED = """\
import jax
import jax.numpy as jnp
import numpy as np
import pytest

@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("precision", ["default", "highest"])
def test_product(backend, precision):
    x = jax.random.normal(jax.random.key(0), (20, 300))
    with jax.default_matmul_precision(precision):
        y = jnp.einsum("AB,CB->AC", x, x)
    np.testing.assert_allclose(y, np.asarray(x, np.float64) @ np.asarray(x).T, rtol=1e-4, atol=1e-4)
"""


def test_an_assertion_at_default_precision_fails_and_products_are_counted(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name in ("test_product.py", "test_notebook_product.py"):
        (tmp_path / name).write_text(PLANTED)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(Path(plugin.__file__).parent.parent)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-n", "1", "-p", "tools.tpu_rounding"]
    printed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    assert re.findall(r"^FAILED (\S+)", printed, re.MULTILINE) == [
        "test_product.py::test_product[default-jax]"
    ]
    assert re.search(
        r"^1 failed, 1 passed", printed, re.MULTILINE
    )  # what is on NumPy, or a notebook's, is left out
    assert "2 float32 products were compiled, 1 of them rounded" in printed
