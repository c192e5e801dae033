"""What the component tests share: the two backends, random weights, sizes and one way to compare arrays."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import params, presets
from gemma_edu.config import ModelConfig, NormKind
from gemma_edu.params import Params

B, T, S = 3, 5, 7
"""Batch, queries, keys: unlike each other and every axis of `presets.TINY_*`, so a swapped axis shows."""

COMPONENTS = (
    "attention", "block", "embedding", "feedforward", "masks", "norms", "positions",
    "sampling", "transformer",
)  # fmt: skip
"""The files that exist once in NumPy and once in JAX."""

EVERY_TINY = {
    "argvalues": presets.TINY,
    "ids": [config.name.removeprefix("tiny ") for config in presets.TINY],
}
"""`@pytest.mark.parametrize("config", **EVERY_TINY)` runs a test on every architecture."""


class Backend:
    """One of the two models: `backend.norms` is `numpy_model.norms` or `jax_model.norms`."""

    def __init__(self, name: str):
        self.name = name
        for component in COMPONENTS:
            setattr(self, component, importlib.import_module(f"gemma_edu.{name}_model.{component}"))

    def array(self, values):
        """`values` as this backend's array, in 32 bits unless they come in 16."""
        array = np.asarray(values)
        array = array.astype({"float64": "float32", "int64": "int32"}.get(array.dtype.name, array.dtype))
        return array if self.name == "numpy" else jnp.asarray(array)

    def tree(self, tree):
        """A tree of weights as this backend's arrays."""
        return jax.tree.map(self.array, tree)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@functools.cache
def random_params(config: ModelConfig, seed: int = 0) -> Params:
    """NumPy weights with nothing at its initial value: norm scales off the identity, biases off zero."""
    rng = np.random.default_rng(seed)
    whole_factor = config.norm is not NormKind.RMS_UNIT_OFFSET

    def leaf(name, shape):
        around = 1.0 if name.endswith("scale") and whole_factor else 0.0
        return np.float32(around + 0.3 * rng.standard_normal(shape))

    return params.build(config, leaf)


def random_tokens(config: ModelConfig, *shape: int, seed: int = 0) -> np.ndarray:
    """Token ids that the config knows."""
    return np.random.default_rng(seed).integers(0, config.vocab_size, shape, dtype=np.int32)


def count_up(batch: int, length: int) -> np.ndarray:
    """Positions 0, 1, 2, … in every row."""
    return np.tile(np.arange(length, dtype=np.int32), (batch, 1))


def assert_close(actual, expected, atol: float = 1e-5) -> None:
    """Same shape, and no element further away than `atol`."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)
