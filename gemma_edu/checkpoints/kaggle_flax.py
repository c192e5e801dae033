"""DeepMind's Flax checkpoints of Gemma 1, as Kaggle hands them out: a folder written by orbax."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from gemma_edu import params, presets
from gemma_edu.checkpoints import names
from gemma_edu.checkpoints.errors import CheckpointError, readable
from gemma_edu.checkpoints.placing import Place
from gemma_edu.checkpoints.reading import Tensor, Tensors, read_params
from gemma_edu.config import ModelConfig

MARKS = ("_METADATA", "manifest.ocdbt", "checkpoint")
"""Files of which an orbax folder holds at least one."""


def is_checkpoint(folder: Path) -> bool:
    """Whether orbax wrote this folder."""
    return any((folder / mark).is_file() for mark in MARKS)


def load(folder: Path, place: Place) -> tuple[ModelConfig, params.Params]:
    """Config and weights of a Gemma 1 in DeepMind's Flax layout. orbax imports JAX, whatever `place` does.

    The embedding keeps all its rows: the released files pad 256000 tokens to 256128 rows.

    Raises:
        CheckpointError: for a damaged folder, and for any model but Gemma 1.
    """
    with _quiet():
        tensors = _tensors(folder)
        config = _config(tensors, str(folder))
        return config, read_params(tensors, names.kaggle_flax(config), config, place, str(folder))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without orbax's advice to its own developers on stderr."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _tensors(folder: Path) -> Tensors:
    """Every array of the folder, read when asked for; names are the tree's keys joined by /."""
    try:
        import orbax.checkpoint as orbax
    except ImportError as error:
        raise CheckpointError(
            f'{folder}: orbax folders need a library: pip install "gemma-edu[weights]"'
        ) from error
    path = folder.resolve()
    with readable(f"orbax folder {folder}", "Is it complete?"), orbax.PyTreeCheckpointer() as checkpointer:
        tree = checkpointer.metadata(path).item_metadata.tree

    def read(keys: tuple[str, ...]) -> Shaped[np.ndarray, "..."]:
        item: object = 0
        how: object = orbax.RestoreArgs(restore_type=np.ndarray)
        for key in reversed(keys):
            item, how = {key: item}, {key: how}
        arguments = orbax.args.PyTreeRestore(item=item, restore_args=how, partial_restore=True)
        with orbax.PyTreeCheckpointer() as checkpointer:
            result = checkpointer.restore(path, args=arguments)
        for key in keys:
            result = result[key]
        return result

    return {
        "/".join(keys): Tensor(tuple(shape), lambda keys=keys: read(keys))
        for keys, shape in _leaves(tree, ())
    }


def _leaves(tree: object, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Keys and shape of each leaf."""
    if isinstance(tree, dict):
        for key, child in tree.items():
            yield from _leaves(child, (*keys, str(key)))
    else:
        yield keys, getattr(tree, "shape", None) or ()


def _config(tensors: Tensors, where: str) -> ModelConfig:
    """Gemma 1's choices with the sizes of the arrays: the folder holds no config."""

    def shape(name: str, axes: int) -> tuple[int, ...]:
        found = tensors.get(name)
        if found is None or len(found.shape) != axes:
            listed = ", ".join(sorted(tensors)[:6]) or "nothing"
            raise CheckpointError(
                f"{where} is no Gemma 1 in DeepMind's Flax layout: {name} is "
                f"{found.shape if found else 'missing'}, needs {axes} axes. "
                f"It holds {len(tensors)} arrays: {listed}, …"
            )
        return found.shape

    layer = "transformer/layer_0/"
    rows, width = shape("transformer/embedder/input_embedding", 2)
    if f"{layer}attn/qkv_einsum/w" in tensors:
        _, heads, _, head = shape(f"{layer}attn/qkv_einsum/w", 4)
        kv_heads = heads
    else:
        heads, _, head = shape(f"{layer}attn/q_einsum/w", 3)
        kv_heads = shape(f"{layer}attn/kv_einsum/w", 4)[1]
    layers = {name.split("/")[1] for name in tensors if name.startswith("transformer/layer_")}
    return presets.GEMMA_2B.replace(
        name=f"Gemma 1, {len(layers)} layers",
        vocab_size=rows,
        embed_dim=width,
        num_layers=len(layers),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head,
        hidden_dim=shape(f"{layer}mlp/linear/w", 2)[0],
    )
