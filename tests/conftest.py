"""Fixtures that the component tests share; helpers without state are in `backend.py`."""

import jax
import pytest
from backend import Backend

# Accelerators multiply in fewer bits unless told not to; tolerances here are those of float32.
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session", params=["numpy", "jax"])
def backend(request) -> Backend:
    """Each test that asks for it runs twice: on the NumPy model and on the JAX model."""
    return Backend(request.param)


@pytest.fixture(scope="module")
def quick_compile():
    """XLA without its optimisations: toy models compile twice as fast, and run fast enough all the same."""
    jax.config.update("jax_disable_most_optimizations", jax.default_backend() == "cpu")
    yield
    jax.config.update("jax_disable_most_optimizations", False)
