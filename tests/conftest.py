"""Fixtures that the component tests share; helpers without state are in `backend.py`."""

import jax
import pytest
from backend import Backend

from gemma_edu import checkpoints
from gemma_edu.checkpoints import cache
from gemma_edu.tokenizer import Tokenizer

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


@pytest.fixture(scope="session")
def real_tokenizer() -> Tokenizer:
    """The tokenizer of the packaged Gemma 3 270M."""
    try:
        return Tokenizer.from_file(cache.gemma3_270m() / "tokenizer.model")
    except checkpoints.CheckpointError as error:
        pytest.skip(str(error))
