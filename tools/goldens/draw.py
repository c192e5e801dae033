"""Random tokens and weights for tiny official models, large enough that every part shows in the logits.

Fresh weights hide mistakes: norm scales at their neutral value make a forgotten scale invisible, biases at 0
a forgotten bias, and a standard deviation of 0.02 shrinks whole layers below any tolerance. So all are drawn.
"""

import math

import numpy as np

BATCH, LENGTH, VOCAB = 3, 21, 29
"""B, T and V of every tiny golden; no other axis of the tiny models has one of these sizes."""


def tokens(seed: int) -> np.ndarray:
    """Token ids B T, int32; the first is 0, whose embedding is nearly zero."""
    ids = np.random.default_rng([seed, 0]).integers(0, VOCAB, size=(BATCH, LENGTH), dtype=np.int32)
    ids[0, 0] = 0
    return ids


def generator(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each weight: adding a weight to a model leaves the others as they were."""
    return np.random.default_rng([seed, 1, *name.encode()])


def matrix(seed: int, name: str, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """A projection that makes its input half as large again: sharp attention, saturated activations."""
    return (generator(seed, name).standard_normal(shape) * 1.5 / math.sqrt(fan_in)).astype(np.float32)


def table(seed: int, name: str, shape: tuple[int, ...], size: float = 1.0) -> np.ndarray:
    """Embedding rows of order `size`, so that a tied output gives logits of order √D.

    Row 0 is a thousand times smaller: a norm's ε shows only where the norm reads next to nothing.
    """
    rows = size * generator(seed, name).standard_normal(shape)
    rows[0] *= 1e-3
    return rows.astype(np.float32)


def scale(seed: int, name: str, shape: tuple[int, ...], neutral: float) -> np.ndarray:
    """A norm's scale around the value at which it does nothing: 0 where 1 is added to it, else 1."""
    return (neutral + 0.3 * generator(seed, name).standard_normal(shape)).astype(np.float32)


def bias(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A bias, of the size of half an activation."""
    return (0.5 * generator(seed, name).standard_normal(shape)).astype(np.float32)
