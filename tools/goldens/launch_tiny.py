"""Tiny random models of the code that Gemma was launched with (`gemma-llm==1.0.0` on PyPI, Flax).

Sizes: B 3, T 21, V 29, D 16, N 8, H 10, F 14. "2b" is multi-query and stores queries apart from keys and
values; "7b" is multi-head and stores the three in one array.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint
from flax.traverse_util import flatten_dict
from gemma import params as launch_params
from gemma import transformer
from goldens import draw

FAMILIES = {"gemma_flax_2b": 1, "gemma_flax_7b": 8}
"""Family → its number of key/value heads."""


def build(family: str, seed: int) -> dict[str, np.ndarray]:
    """The weights of `family` drawn from `seed`, under the flat names of the files that Kaggle serves."""
    model, inputs = _model(family), _inputs(draw.tokens(seed))
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    return {
        # the files give feed-forward weights one more level, which the launch code's loader takes off again
        f"transformer/{name}/w" if "/mlp/" in name else f"transformer/{name}": _value(seed, name, leaf.shape)
        for name, leaf in flatten_dict(shapes, sep="/").items()
    }


def logits(family: str, weights: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """The official logits B T V in float32, from weights that went through the official renaming."""
    nested = launch_params.nest_params(launch_params.param_remapper(_grouped(weights)))["transformer"]
    return _run(_model(family), nested, tokens)


def save(weights: dict[str, np.ndarray], folder: Path) -> None:
    """A folder as Kaggle serves it."""
    orbax.checkpoint.PyTreeCheckpointer().save(folder.resolve(), _grouped(weights))


def logits_of_folder(folder: Path, tokens: np.ndarray) -> np.ndarray:
    """The official logits of a folder, which the launch code opens and whose sizes it infers."""
    nested = launch_params.load_and_format_params(str(folder.resolve()))
    config = transformer.TransformerConfig.from_params(nested)
    return _run(transformer.Transformer(config), nested["transformer"], tokens)


def _run(model: transformer.Transformer, nested: dict, tokens: np.ndarray) -> np.ndarray:
    """One forward pass of the launch code, every product in full float32."""
    with jax.default_matmul_precision("highest"):
        result, _ = model.apply({"params": nested}, *_inputs(tokens))
    return np.asarray(result)


def _grouped(weights: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The files' own tree: one level of names joined by slashes, and below it the last part of the name."""
    grouped: dict[str, dict[str, np.ndarray]] = {}
    for name, value in weights.items():
        module, _, leaf = name.rpartition("/")
        grouped.setdefault(module, {})[leaf] = value
    return grouped


def _model(family: str) -> transformer.Transformer:
    """The launch code's module at toy size."""
    return transformer.Transformer(
        transformer.TransformerConfig(
            num_layers=2,
            num_embed=draw.VOCAB,
            embed_dim=16,
            hidden_dim=14,
            num_heads=8,
            head_dim=10,
            num_kv_heads=FAMILIES[family],
        )
    )


def _inputs(tokens: np.ndarray):
    """Tokens, positions, no cache, and the causal mask, the last three by the launch code's own helpers."""
    present = jnp.ones(tokens.shape, bool)
    positions = transformer.build_positions_from_mask(present)
    return jnp.asarray(tokens), positions, None, transformer.make_causal_attn_mask(present)


def _value(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What to write into one parameter, judged by its name."""
    if name.endswith("scale"):
        return draw.scale(seed, name, shape, neutral=0.0)
    if name.endswith("input_embedding"):
        return draw.table(seed, name, shape)
    if "attn_vec_einsum" in name:  # N H D: heads and their components are both summed over
        return draw.matrix(seed, name, shape, fan_in=shape[0] * shape[1])
    return draw.matrix(seed, name, shape, fan_in=shape[-2])
