"""Initial weights that can train."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from gemma_edu import params
from gemma_edu.config import ModelConfig, NormKind


def init(key: PRNGKeyArray, config: ModelConfig, dtype: jax.typing.DTypeLike = jnp.float32) -> params.Params:
    """Random weights for `config`: each matrix keeps the size of what passes through it.

    - matrices: normal with standard deviation 1/√(inputs summed over), so a unit-sized input gives a unit-sized output;
    - `w_o` and `w_down`, which write to the residual stream 2L times in all: divided by √(2L) (GPT-2, section 2.3);
    - embedding: 1/√D where it is scaled up by √D afterwards, and wherever it is also the output matrix; else 1;
    - norm scales: the identity, which is 0 under Gemma's unit offset and 1 elsewhere; biases: 0.

    Gemma's launch code starts its feed-forward matrices at zero, which cannot learn: each of the three
    gets a gradient that is multiplied by another (`google-deepmind/gemma` bb3494c replaced it).
    """
    names = list(params.shapes(config))
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))

    def leaf(name: str, shape: tuple[int, ...]) -> Array:
        if name.endswith("scale"):
            return jnp.full(shape, 0.0 if config.norm is NormKind.RMS_UNIT_OFFSET else 1.0, dtype)
        if name.split(".")[-1] in ("b_q", "b_k", "b_v", "b_o", "b_up", "b_down", "bias"):
            return jnp.zeros(shape, dtype)
        return jax.random.normal(keys[name], shape, dtype) * jnp.asarray(_std(name, shape, config), dtype)

    return params.build(config, leaf)


def _std(name: str, shape: tuple[int, ...], config: ModelConfig) -> float:
    """Standard deviation of the initial matrix called `name`."""
    if name.startswith("embedding"):
        small = config.scale_embedding or config.tie_embedding or name == "embedding.output"
        return shape[-1] ** -0.5 if small else 1.0
    inputs = math.prod(shape[:2]) if name.endswith("w_o") else shape[0]
    writes_to_stream = name.endswith(("w_o", "w_down"))
    return (inputs * (2 * config.num_layers if writes_to_stream else 1)) ** -0.5
