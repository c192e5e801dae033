"""Whatever is wrong with a checkpoint, one error says what, where and what to do."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from checkpoint_files import (
    flax_tree,
    hugging_face_tensors,
    random_params,
    write_flax,
    write_gguf,
    write_hugging_face,
)
from safetensors.numpy import save_file

from gemma_edu import checkpoints, presets
from gemma_edu.checkpoints import CheckpointError
from gemma_edu.checkpoints import hugging_face_config as families

GEMMA = presets.TINY_GEMMA_2B


def fields_of(config):
    return families.write(config, families.choose(config))


def folder_of(path, config=GEMMA, change=None, shards=1, **fields):
    """A good folder of `config`, after `change(tensors)` and with other config fields."""
    tensors = hugging_face_tensors(random_params(config), config)
    if change:
        change(tensors)
    return write_hugging_face(path, tensors, fields_of(config) | fields, shards)


def message(source):
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(source)
    return str(caught.value)


def truncate(path, keep=0.6):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def test_every_wrong_tensor_is_named_at_once(tmp_path):
    def change(tensors):
        del tensors["model.layers.0.mlp.up_proj.weight"], tensors["model.norm.weight"]
        tensors["model.layers.1.mlp.extra.weight"] = np.ones(3, np.float32)
        tensors["model.layers.1.mlp.gate_proj.weight"] = np.ones((10, 14), np.float32)
        tensors["model.embed_tokens.weight"] = np.ones((12, 10), np.float32)

    text = message(folder_of(tmp_path, change=change))
    assert "missing: model.layers.0.mlp.up_proj.weight, model.norm.weight" in text
    assert "unexpected: model.layers.1.mlp.extra.weight" in text
    assert "model.layers.1.mlp.gate_proj.weight is (10, 14), needs (14, 10)" in text
    assert "model.embed_tokens.weight is (12, 10), needs (11, 10)" in text


def test_whole_numbers_are_no_weights(tmp_path):
    def change(tensors):
        tensors["model.norm.weight"] = np.ones(10, np.int8)

    assert "type I8" in message(folder_of(tmp_path, change=change))


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.05, 0.6, 0.999])
def test_truncated_safetensors(tmp_path, keep):
    folder_of(tmp_path)
    truncate(tmp_path / "model.safetensors", keep)
    text = message(tmp_path)
    assert "model.safetensors cannot be read" in text and "complete?" in text


@pytest.mark.parametrize("keep", [0.01, 0.1, 0.6, 0.99])
def test_truncated_gguf(tmp_path, keep):
    pytest.importorskip("gguf")
    path = write_gguf(tmp_path / "x.gguf", random_params(GEMMA), GEMMA, "gemma")
    truncate(path, keep)
    text = message(path)
    assert "x.gguf" in text and "complete?" in text


@pytest.mark.parametrize("keep", [0.1, 0.6, 0.99])
def test_truncated_ckpt(tmp_path, keep):
    torch = pytest.importorskip("torch")
    torch.save({"model_state_dict": {"x": torch.ones(1000)}}, tmp_path / "x.ckpt")
    truncate(tmp_path / "x.ckpt", keep)
    assert "x.ckpt cannot be read" in message(tmp_path / "x.ckpt")


def message_elsewhere(source):
    """`message` from a process of its own: after a failed read orbax's threads go on complaining for a while."""
    code = (
        "import sys; from gemma_edu import checkpoints\n"
        "try: checkpoints.load(sys.argv[1])\n"
        "except checkpoints.CheckpointError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=True)
    return done.stdout


def test_damaged_orbax(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    folder = write_flax(tmp_path / "2b", flax_tree(random_params(GEMMA), GEMMA))
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name == "d":
            truncate(path)
    assert f"orbax folder {folder} cannot be read" in message_elsewhere(folder)
    (folder / "_METADATA").write_text("{")
    assert f"orbax folder {folder} cannot be read" in message_elsewhere(folder)


def test_orbax_of_another_model(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    folder = write_flax(tmp_path / "x", {"params": {"kernel": np.ones((2, 3), np.float32)}})
    assert "no Gemma 1 in DeepMind's Flax layout" in message(folder)
    tree = flax_tree(random_params(GEMMA), GEMMA)
    tree["transformer/layer_1/post_attention_norm"] = {"scale": np.ones(10, np.float32)}
    del tree["transformer/layer_0/mlp/linear"], tree["transformer/layer_1/mlp/linear"]
    tree["transformer/layer_0/mlp/linear"] = {"w": np.ones((14, 10), np.float32)}
    text = message(write_flax(tmp_path / "y", tree))
    assert "missing: transformer/layer_1/mlp/linear/w" in text
    assert "unexpected: transformer/layer_1/post_attention_norm/scale" in text


def test_not_a_checkpoint(tmp_path):
    assert "does not exist" in message(tmp_path / "nowhere")
    assert "it holds nothing" in message(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    assert "it holds notes.txt" in message(tmp_path) and "Accepted" in message(tmp_path)
    assert "first bytes are b'hell'" in message(tmp_path / "notes.txt")
    (tmp_path / "x.gguf").write_bytes(b"")
    assert "give the file in it: x.gguf" in message(tmp_path)
    assert "first bytes are b''" in message(tmp_path / "x.gguf")


def test_a_file_of_a_folder(tmp_path):
    folder_of(tmp_path)
    for name in ("model.safetensors", "config.json"):
        assert f"give the folder, {tmp_path}" in message(tmp_path / name)


def test_config_without_weights(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(fields_of(GEMMA)))
    assert "neither model.safetensors" in message(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    assert "pytorch_model.bin" in message(tmp_path)


def test_shards(tmp_path):
    folder_of(tmp_path, shards=3)
    shard = tmp_path / "model-00002-of-00003.safetensors"
    kept = shard.read_bytes()
    shard.unlink()
    assert shard.name in message(tmp_path)
    save_file({"model.norm.weight": np.ones(10, np.float32)}, shard)
    assert "not in model-00002-of-00003.safetensors" in message(tmp_path)
    shard.write_bytes(kept)
    checkpoints.load(tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    first = tmp_path / "model-00001-of-00003.safetensors"
    shard.write_bytes(first.read_bytes())
    (name, *_) = [n for n, home in index["weight_map"].items() if home == first.name]
    assert f"{name} (in {first.name} and {shard.name})" in message(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"x": "../secret"}}')
    assert "../secret" in message(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    assert "no weight_map" in message(tmp_path)


@pytest.mark.parametrize(
    "add",
    [
        lambda writer: writer.add_uint32("gemma.expert_count", 8),
        lambda writer: writer.add_string("gemma.rope.scaling.type", "yarn"),
        lambda writer: writer.add_float32("gemma.attn_logit_softcapping", 50.0),
        lambda writer: writer.add_uint32("gemma.rope.dimension_count", 6),
    ],
)
def test_gguf_metadata_is_read_strictly(tmp_path, add):
    pytest.importorskip("gguf")
    text = message(write_gguf(tmp_path / "x.gguf", random_params(GEMMA), GEMMA, "gemma", add))
    assert "(gemma.*) asks for" in text


def test_gguf_of_another_architecture_or_with_other_tensors(tmp_path):
    pytest.importorskip("gguf")
    tree = random_params(GEMMA)
    assert "'mamba'" in message(write_gguf(tmp_path / "a.gguf", tree, GEMMA, "mamba"))
    more = {"rope_freqs.weight": np.ones(6, np.float32)}
    path = write_gguf(tmp_path / "b.gguf", tree, GEMMA, "gemma", drop=("output_norm.weight",), more=more)
    assert "missing: output_norm.weight; unexpected: rope_freqs.weight" in message(path)


def test_permissions(tmp_path, monkeypatch):
    folder_of(tmp_path / "x")
    (tmp_path / "x").chmod(0)
    try:
        if not os.access(tmp_path / "x", os.R_OK):
            assert "permission" in message(tmp_path / "x")
    finally:
        (tmp_path / "x").chmod(0o755)

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", forbidden)
    assert "no permission" in message(tmp_path / "x")


def test_bad_tokenizer_beside_good_weights(tmp_path):
    folder_of(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"nonsense")
    assert "tokenizer.model" in message(tmp_path)


def test_unknown_dtype(tmp_path):
    with pytest.raises(CheckpointError, match="float32, bfloat16"):
        checkpoints.load(tmp_path, dtype="int4")


def test_saving_where_one_cannot(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        checkpoints.save(tmp_path / "file" / "folder", random_params(GEMMA), GEMMA)
