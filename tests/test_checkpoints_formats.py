"""GGUF, Kaggle Flax and gemma_pytorch files give the params that went into them."""

import numpy as np
import pytest
from checkpoint_files import (
    assert_same,
    flax_tree,
    random_params,
    torch_state,
    write_flax,
    write_gguf,
)

from gemma_edu import checkpoints, params, presets
from gemma_edu.checkpoints import CheckpointError

GEMMA1 = [presets.TINY_GEMMA_2B, presets.TINY_GEMMA_7B, presets.TINY_GROUPED]
LLAMA_GROUPED = presets.TINY_LLAMA2_7B.replace(num_kv_heads=2)


def by_name(config):
    return config.name.replace(" ", "-")


def same_choices(found, wanted):
    assert found.replace(name=wanted.name) == wanted


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        *[(config, "gemma") for config in GEMMA1],
        (presets.TINY_LLAMA2_7B, "llama"),
        (LLAMA_GROUPED, "llama"),
        (presets.TINY_LLAMA2_7B.replace(tie_embedding=True), "llama"),
        (presets.TINY_GEMMA3_270M.replace(num_layers=7, global_every=6), "gemma3"),
    ],
)
def test_gguf(tmp_path, config, kind):
    pytest.importorskip("gguf")
    context = config.replace(context_length=64)
    tree = random_params(context)
    model = checkpoints.load(write_gguf(tmp_path / "x.gguf", tree, context, kind), as_numpy=True)
    same_choices(model.config, context)
    assert_same(model.params, tree, atol=1e-6)
    assert model.tokenizer is None


@pytest.mark.parametrize("kind", ["Q8_0", "BF16", "F16", "Q4_0"])
def test_gguf_quantised(tmp_path, kind):
    gguf = pytest.importorskip("gguf")
    config = presets.TINY_GEMMA_2B.replace(embed_dim=64)
    tree = random_params(config)
    table = np.asarray(tree.embedding.table)
    code = gguf.GGMLQuantizationType[kind]
    packed = gguf.quants.quantize(table, code)

    def extra(writer):
        writer.add_tensor("token_embd.weight", packed, raw_dtype=code)

    path = write_gguf(tmp_path / "x.gguf", tree, config, "gemma", extra, drop=("token_embd.weight",))
    found = checkpoints.load(path, as_numpy=True).params
    np.testing.assert_array_equal(found.embedding.table, gguf.quants.dequantize(packed, code))
    np.testing.assert_allclose(found.embedding.table, table, atol=0.5)


def test_gguf_decodes_long_tables_in_parts(tmp_path, monkeypatch):
    pytest.importorskip("gguf")
    monkeypatch.setattr("gemma_edu.checkpoints.gguf.ROWS_AT_ONCE", 4)
    config = presets.TINY_GEMMA_2B
    tree = random_params(config)
    found = checkpoints.load(write_gguf(tmp_path / "x.gguf", tree, config, "gemma"), as_numpy=True)
    assert_same(found.params, tree, atol=1e-6)


@pytest.mark.parametrize("config", GEMMA1, ids=by_name)
@pytest.mark.parametrize("parent", [False, True])
def test_kaggle_flax(tmp_path, config, parent):
    pytest.importorskip("orbax.checkpoint")
    config = config.replace(context_length=8192)
    tree = random_params(config)
    folder = write_flax(tmp_path / "2b", flax_tree(tree, config))
    model = checkpoints.load(tmp_path if parent else folder, as_numpy=True)
    same_choices(model.config, config)
    assert_same(model.params, tree)


@pytest.mark.parametrize("config", GEMMA1, ids=by_name)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gemma_pytorch(tmp_path, config, dtype):
    torch = pytest.importorskip("torch")
    config = config.replace(context_length=8192)
    tree = random_params(config)
    kind = getattr(torch, dtype)
    state = {name: torch.from_numpy(array) for name, array in torch_state(tree, config).items()}
    state = {name: t if t.is_complex() else t.to(kind) for name, t in state.items()}
    torch.save({"model_state_dict": state, "step": 1}, tmp_path / "x.ckpt")
    model = checkpoints.load(tmp_path / "x.ckpt", as_numpy=True)
    same_choices(model.config, config)
    assert_same(model.params, tree, rtol=0 if dtype == "float32" else 2**-8)


def test_gemma_pytorch_without_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    (tmp_path / "x.ckpt").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match="need PyTorch: pip install torch"):
        checkpoints.load(tmp_path / "x.ckpt")


def test_gemma_pytorch_quantised_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"embedder.weight": torch.ones(3, 2, dtype=torch.int8), "embedder.weight_scaler": torch.ones(3)}
    torch.save({"model_state_dict": state}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match="quantised to int8"):
        checkpoints.load(tmp_path / "x.ckpt")


class Malicious:
    """Pickled, it asks the reader to create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_ckpt_is_not_run(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"model_state_dict": {"x": Malicious(tmp_path / "ran")}}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match="Code inside it is never run"):
        checkpoints.load(tmp_path / "x.ckpt")
    assert not (tmp_path / "ran").exists()


def test_formats_agree(tmp_path):
    """One model in four formats is one model."""
    pytest.importorskip("gguf")
    pytest.importorskip("orbax.checkpoint")
    config = presets.TINY_GEMMA_2B.replace(context_length=8192)
    tree = random_params(config)
    write_flax(tmp_path / "flax", flax_tree(tree, config))
    write_gguf(tmp_path / "x.gguf", tree, config, "gemma")
    checkpoints.save(tmp_path / "hf", tree, config)
    for source in ("flax", "x.gguf", "hf"):
        leaves = params.to_leaves(checkpoints.load(tmp_path / source).params)
        for name, leaf in params.to_leaves(tree).items():
            np.testing.assert_allclose(leaves[name], leaf, atol=1e-6, err_msg=f"{source} {name}")
