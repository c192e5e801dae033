"""Google's PyTorch checkpoints of Gemma 1 (google/gemma_pytorch): one .ckpt file that torch wrote."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

from gemma_edu import params, presets
from gemma_edu.checkpoints import names
from gemma_edu.checkpoints.errors import CheckpointError, readable
from gemma_edu.checkpoints.placing import Place
from gemma_edu.checkpoints.reading import Tensor, Tensors, read_params
from gemma_edu.config import ModelConfig

FREQUENCIES = "freqs_cis"
"""RoPE's rotations, which follow from the config; as wide as half a head."""


def load(path: Path, place: Place) -> tuple[ModelConfig, params.Params]:
    """Config and weights of a Gemma 1 .ckpt file. torch reads it with `weights_only=True`: no code in it
    runs.

    Raises:
        CheckpointError: without torch, for a damaged or int8-quantised file, and for any model but Gemma 1.
    """
    state = _state(path)
    quantised = [name for name in state if name.endswith("weight_scaler")]
    if quantised:
        raise CheckpointError(
            f"{path} is quantised to int8 ({len(quantised)} scalers, first {quantised[0]}): this course "
            "reads the unquantised files, gemma-2b.ckpt and the like"
        )
    tensors: Tensors = {
        name: Tensor(tuple(tensor.shape), lambda tensor=tensor: _to_numpy(tensor))
        for name, tensor in state.items()
    }
    frequencies = tensors.pop(FREQUENCIES, None)
    config = _config(tensors, frequencies, str(path))
    return config, read_params(tensors, names.gemma_pytorch(config), config, place, str(path))


def _state(path: Path) -> dict[str, Any]:
    """The file's tensors, mapped into memory and not yet read."""
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(f"{path}: .ckpt files need PyTorch: pip install torch") from error
    with readable(str(path), "Is it a complete file of google/gemma_pytorch? Code inside it is never run."):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    state = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        found = (
            ", ".join(map(str, list(content)[:6])) if isinstance(content, dict) else type(content).__name__
        )
        raise CheckpointError(
            f"{path} has no model_state_dict of tensors, as google/gemma_pytorch writes; it has {found}"
        )
    return state


def _to_numpy(tensor: Any) -> Shaped[np.ndarray, "..."]:
    """The same numbers as a NumPy array; NumPy has bfloat16 from ml_dtypes, torch hands over its bits."""
    import torch

    if tensor.dtype is torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    result = tensor.numpy()
    result.flags.writeable = False  # it is a view of the mapped file, so `placing.own` must copy it
    return result


def _config(tensors: Tensors, frequencies: Tensor | None, where: str) -> ModelConfig:
    """Gemma 1's choices with the sizes of the tensors: the file holds no config."""
    layer = "model.layers.0."
    needed = {
        "embedding": "embedder.weight",
        "qkv": f"{layer}self_attn.qkv_proj.weight",
        "out": f"{layer}self_attn.o_proj.weight",
        "gate": f"{layer}mlp.gate_proj.weight",
    }
    bad = [name for name in needed.values() if name not in tensors or len(tensors[name].shape) != 2]
    if bad:
        raise CheckpointError(
            f"{where} is no Gemma 1 of google/gemma_pytorch: no matrix called {', '.join(bad)}"
        )
    shapes = {key: tensors[name].shape for key, name in needed.items()}
    head = 2 * frequencies.shape[-1] if frequencies else presets.GEMMA_2B.head_dim
    heads, kv_heads = shapes["out"][1] // head, (shapes["qkv"][0] - shapes["out"][1]) // (2 * head)
    layers = {name.split(".")[2] for name in tensors if name.startswith("model.layers.")}
    with readable(f"the sizes in {where}"):
        return presets.GEMMA_2B.replace(
            name=f"Gemma 1, {len(layers)} layers",
            vocab_size=shapes["embedding"][0],
            embed_dim=shapes["embedding"][1],
            num_layers=len(layers),
            num_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=head,
            hidden_dim=shapes["gate"][0],
        )
