"""Hugging Face folders: config.json and safetensors, in one file or in shards."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from safetensors import safe_open

from gemma_edu import params
from gemma_edu.checkpoints import hugging_face_config, names
from gemma_edu.checkpoints.errors import CheckpointError, readable
from gemma_edu.checkpoints.hugging_face_config import Family
from gemma_edu.checkpoints.layouts import sizes
from gemma_edu.checkpoints.placing import Place
from gemma_edu.checkpoints.reading import Tensor, Tensors, read_params
from gemma_edu.checkpoints.safetensors_writer import CODES, Outgoing, whole_file, write
from gemma_edu.config import ModelConfig

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.model"
INDEX = "model.safetensors.index.json"
RECOMPUTED = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Buffers some files hold that follow from the config: causal masks and RoPE's frequencies."""


def load(folder: Path, place: Place) -> tuple[ModelConfig, params.Params]:
    """Config and weights of a folder.

    Raises:
        CheckpointError: for a damaged or incomplete folder, or a model that `ModelConfig` does not express.
    """
    values = _read_json(folder / CONFIG)
    family = hugging_face_config.find(values, str(folder / CONFIG))
    name = str(values.get("_name_or_path") or folder.resolve().name)
    with readable(str(folder / CONFIG)):
        config = hugging_face_config.read(values, family, name, str(folder / CONFIG))
    tensors = _tidy(_tensors(folder), family)
    if config.tie_embedding and "lm_head.weight" in tensors:
        _drop_equal_output(tensors, family, config, folder)
    return config, read_params(tensors, family.table(config), config, place, str(folder))


def _read_json(path: Path) -> dict:
    """A JSON object."""
    with readable(str(path)):
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} holds a {type(values).__name__}, needs a JSON object")
        return values


def _tensors(folder: Path) -> Tensors:
    """Every tensor of the folder's safetensors files."""
    if (folder / WEIGHTS).exists():
        return _open(folder / WEIGHTS)
    if not (folder / INDEX).exists():
        found = (
            ", ".join(sorted(path.name for path in folder.iterdir() if path.name != CONFIG)) or "nothing else"
        )
        raise CheckpointError(f"{folder} has {CONFIG} but neither {WEIGHTS} nor {INDEX}; beside it: {found}")
    weight_map = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f"{folder / INDEX} has no weight_map from tensor to file")
    shards = sorted(set(weight_map.values()))
    outside = [shard for shard in shards if Path(shard).name != shard]
    missing = [shard for shard in shards if not (folder / shard).exists()]
    if outside or missing:
        raise CheckpointError(
            f"{folder / INDEX} names files that the folder lacks: {', '.join(outside or missing)}"
        )
    return _merge({shard: _open(folder / shard) for shard in shards}, weight_map, folder)


def _merge(shards: dict[str, Tensors], weight_map: dict[str, str], folder: Path) -> Tensors:
    """The tensors of all shards, after checking that each is in one shard, the one the index names."""
    homes: dict[str, list[str]] = {}
    for shard, tensors in shards.items():
        for name in tensors:
            homes.setdefault(name, []).append(shard)
    twice = [f"{name} (in {' and '.join(where)})" for name, where in sorted(homes.items()) if len(where) > 1]
    lost = [f"{name} (not in {shard})" for name, shard in weight_map.items() if name not in shards[shard]]
    if twice or lost:
        kind = (
            "tensors that stand in several shards" if twice else "tensors that are not where the index says"
        )
        raise CheckpointError(f"{folder} has {kind}: {', '.join(twice or lost)}")
    return {name: tensor for tensors in shards.values() for name, tensor in tensors.items()}


def _open(path: Path) -> Tensors:
    """The tensors of one file, as views of mapped memory.

    The library checks the file and knows names, types and shapes, but copies what it reads; where the bytes
    start is in the header: a length of eight bytes, then JSON.
    """
    with readable(str(path), "Is it complete?"):
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.offset_keys()}
            found = {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(start - 8))
        return {
            name: Tensor(shape, _mapped(path, start + header[name]["data_offsets"][0], code, shape))
            for name, (code, shape) in found.items()
        }


def _mapped(
    path: Path, offset: int, code: str, shape: tuple[int, ...]
) -> Callable[[], Shaped[np.ndarray, "..."]]:
    """A function that maps one tensor; the memory is given back with the array."""
    names_of = {code: name for name, code in CODES.items()}

    def read() -> Shaped[np.ndarray, "..."]:
        if code not in names_of:
            raise CheckpointError(
                f"{path} holds numbers of type {code}; this course reads {', '.join(names_of)}"
            )
        return np.asarray(np.memmap(path, np.dtype(names_of[code]), "r", offset, shape))

    return read


def _tidy(tensors: Tensors, family: Family) -> Tensors:
    """Without recomputed buffers; GPT-2's names with the prefix that files from the Hub lack."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(RECOMPUTED)}
    if family.table is not names.gpt2:
        return kept
    bare = ("transformer.", "lm_head.")
    return {name if name.startswith(bare) else f"transformer.{name}": tensor for name, tensor in kept.items()}


def _drop_equal_output(tensors: Tensors, family: Family, config: ModelConfig, folder: Path) -> None:
    """Leave out an output matrix that a tied model's file repeats; refuse one that differs from the table."""
    table = next(entry.theirs for entry in family.table(config) if entry.ours == ("embedding.table",))
    output = tensors.pop("lm_head.weight")
    with readable(str(folder), "Is it complete?"):
        same = table not in tensors or np.array_equal(output.read(), tensors[table].read())
    if not same:
        raise CheckpointError(
            f"{folder}: config.json ties the output matrix to the embedding, but lm_head.weight differs from "
            f'{table}. If the model is untied, set "tie_word_embeddings": false in config.json'
        )


def save(folder: Path, leaves: dict[str, Outgoing], config: ModelConfig, tokenizer: object) -> None:
    """Write config.json, model.safetensors and, where given, tokenizer.model; the inverse of `load`.

    `leaves` are our weights by dotted name. config.json comes last: with it the folder is a checkpoint.

    Raises:
        CheckpointError: for a config no family expresses and leaves that do not fit it; nothing is written
            then.
        OSError: when the folder cannot be written.
    """
    family = hugging_face_config.choose(config)
    lengths = sizes(config)
    outgoing = {
        entry.theirs: Outgoing(
            entry.shape(lengths),
            leaves[entry.ours[0]].dtype,
            lambda entry=entry: entry.to_theirs([leaves[name].make() for name in entry.ours], lengths),
        )
        for entry in family.table(config)
    }
    values = hugging_face_config.write(config, family) | {"_name_or_path": config.name}
    values |= {"dtype": str(next(iter(outgoing.values())).dtype)}
    if tokenizer is not None:
        ids = {"bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos, "pad_token_id": tokenizer.pad}
        values |= ids
        tokenizer.save(folder / TOKENIZER)
    write(folder / WEIGHTS, outgoing, f"writing {config.name}")
    with whole_file(folder / CONFIG) as file:
        file.write((json.dumps(values, indent=2) + "\n").encode())
