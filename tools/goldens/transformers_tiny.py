"""Tiny random models of transformers (PyTorch), one for each family that the course expresses as a config.

Every axis has a size of its own: B 3, T 21, V 29, D 16, N 8, H 10, F 14, W 7, and K 1, 2 or 8. The families
whose published configs name no head size have D = N·H = 24 with N 4 and H 6 instead.
"""

from pathlib import Path

import numpy as np
import torch
import transformers
from goldens import draw
from torch import nn
from transformers.pytorch_utils import Conv1D

WIDE = {
    "hidden_size": 16,
    "num_attention_heads": 8,
    "head_dim": 10,  # N·H = 80 beside D = 16, as Gemma 7B has 4096 beside 3072
    "intermediate_size": 14,
    "num_hidden_layers": 2,
    "max_position_embeddings": 33,
    "vocab_size": draw.VOCAB,
    "attn_implementation": "eager",
    # token 0 would otherwise be padding, whose embedding PyTorch may keep at zero
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
DERIVED = {key: value for key, value in WIDE.items() if key != "head_dim"} | {
    "hidden_size": 24,
    "num_attention_heads": 4,
}
# transformers 4.48 to 5.17 ran the exact GELU for Gemma configs that say hidden_act "gelu"; the tanh form's
# own name is unmistakable in all versions
GEMMA = WIDE | {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
GEMMA3 = WIDE | {
    "num_hidden_layers": 4,  # local, local, global, local
    "num_key_value_heads": 2,
    "query_pre_attn_scalar": WIDE["head_dim"],
    "sliding_window": 7,
    "sliding_window_pattern": 3,
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    },
}
GPT2 = {
    "vocab_size": draw.VOCAB,
    "n_positions": 33,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 4,
    "n_inner": 14,
    "attn_implementation": "eager",
    "bos_token_id": None,
    "eos_token_id": None,
}
FAMILIES = {
    "gemma_mqa": ("Gemma", GEMMA | {"num_key_value_heads": 1}),
    "gemma_mha": ("Gemma", GEMMA | {"num_key_value_heads": 8}),
    "gemma3": ("Gemma3Text", GEMMA3),
    "llama2": ("Llama", DERIVED | {"num_key_value_heads": 4, "rms_norm_eps": 1e-5}),
    "llama2_gqa": ("Llama", WIDE | {"num_key_value_heads": 2, "rms_norm_eps": 1e-5}),
    "olmo": ("Olmo", DERIVED | {"num_key_value_heads": 4}),
    "gpt2": ("GPT2", GPT2),
}
"""Family → the stem of its class names in transformers and the arguments of its config."""


def build(family: str, seed: int) -> nn.Module:
    """The official model of `family` with weights drawn from `seed`, in float32, ready to run."""
    stem, arguments = FAMILIES[family]
    config = getattr(transformers, f"{stem}Config")(**arguments)
    kind = {"Gemma3Text": "Gemma3ForCausalLM", "GPT2": "GPT2LMHeadModel"}.get(stem, f"{stem}ForCausalLM")
    model = getattr(transformers, kind)(config).float().eval()
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            owner = modules[name.rpartition(".")[0]]
            parameter.copy_(torch.from_numpy(_value(seed, name, owner, tuple(parameter.shape))))
    return model


def _value(seed: int, name: str, owner: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """What to write into one parameter, judged by the module that owns it."""
    if name.endswith("bias"):
        return draw.bias(seed, name, shape)
    if len(shape) == 1:
        return draw.scale(seed, name, shape, neutral=0.0 if type(owner).__name__.startswith("Gemma") else 1.0)
    if isinstance(owner, nn.Embedding):
        return draw.table(seed, name, shape)
    fan_in = (
        shape[0] if isinstance(owner, Conv1D) else shape[1]
    )  # GPT-2 stores (in, out), all others (out, in)
    return draw.matrix(seed, name, shape, fan_in)


def logits(model: nn.Module, tokens: np.ndarray) -> np.ndarray:
    """The official logits B T V in float32, computed from the whole sequence at once, without a cache."""
    with torch.no_grad():
        return model(torch.from_numpy(tokens).long(), use_cache=False).logits.float().numpy()


def save(model: nn.Module, folder: Path) -> None:
    """A Hugging Face folder by transformers' own writer, less the sampling defaults, which nothing reads."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)  # safetensors keeps its files to their owner


def reopen(folder: Path) -> tuple[nn.Module, dict]:
    """A model read back by transformers, and what it found missing, unexpected or of another shape."""
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    return model.eval(), report
