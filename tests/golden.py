"""The stored answers of the official implementations, and how our two implementations are asked the same."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import checkpoints, params, presets
from gemma_edu.checkpoints import layouts, names
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import Params

FOLDER = Path(__file__).resolve().parents[1] / "data" / "golden"
HUGGING_FACE = ("gemma_mqa", "gemma_mha", "gemma3", "llama2", "llama2_gqa", "olmo", "gpt2")
LAUNCH = ("gemma_flax_2b", "gemma_flax_7b")
NAMES = (*HUGGING_FACE, *LAUNCH, "transformer_2017")
TOLERANCE = 1e-4
"""On logits of order 5 to 20, in float32; the measured differences are below 1e-5."""


class Golden(NamedTuple):
    """One official model and its answer: weights as NumPy arrays, tokens B T, logits B T V."""

    config: ModelConfig
    params: Params
    tokens: np.ndarray
    logits: np.ndarray


@functools.cache
def load(name: str) -> Golden:
    """The golden called `name`, its weights read by the loader of its format."""
    if name in HUGGING_FACE:
        model = checkpoints.load(FOLDER / name, as_numpy=True)
        with np.load(FOLDER / name / "golden.npz") as answers:
            return Golden(model.config, model.params, answers["tokens"], answers["logits"])
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    tokens, logits = arrays.pop("tokens"), arrays.pop("logits")
    return Golden(*read_arrays(name, arrays), tokens, logits)


def read_arrays(name: str, arrays: dict[str, np.ndarray]) -> tuple[ModelConfig, Params]:
    """Config and weights of a golden that is no folder: the launch code's flat tree, or our own names."""
    if name not in LAUNCH:
        sizes = {"vocab_size": 29, "embed_dim": 24, "num_layers": 2, "hidden_dim": 14}
        config = presets.TRANSFORMER_BASE.replace(name=name, num_heads=4, num_kv_heads=4, head_dim=6, **sizes)
        return config, params.from_leaves(arrays, config)
    sizes = {"vocab_size": 29, "embed_dim": 16, "num_layers": 2, "num_heads": 8, "head_dim": 10}
    kv_heads = 1 if name == "gemma_flax_2b" else 8
    config = presets.GEMMA_2B.replace(name=name, num_kv_heads=kv_heads, hidden_dim=14, **sizes)
    leaves: dict[str, np.ndarray] = {}
    for entry in names.kaggle_flax(config):
        leaves |= zip(entry.ours, entry.to_ours(arrays[entry.theirs], layouts.sizes(config)), strict=True)
    return config, params.from_leaves(leaves, config)


def run_numpy(weights: Params, tokens: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Logits of the NumPy model."""
    return numpy_transformer.forward(weights, tokens, config)


def run_jax(weights: Params, tokens: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Logits of the JAX model, compiled, every product in full float32 whatever the device."""
    with jax.default_matmul_precision("highest"):
        return np.asarray(_compiled(jax.tree.map(jnp.asarray, weights), jnp.asarray(tokens), config))


_compiled = jax.jit(jax_transformer.forward, static_argnames="config")

BACKENDS = {"numpy": run_numpy, "jax": run_jax}


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """max |a − b|; infinite where a NaN would hide a difference."""
    distance = np.max(np.abs(a - b))
    return float(distance) if np.isfinite(distance) else np.inf
