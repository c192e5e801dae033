"""A port of Gemma: the pieces that somebody wrote, put together as the package puts its own together.

`Port()` is the package itself. A bug is a `Port` with one piece exchanged, `Port(rope=neighbours)`, and nothing else
differs. The package's own functions know nothing of ports and are what they were as soon as a call is over.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

from gemma_edu import params as trees
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model import attention, block, embedding, feedforward, masks, norms, positions, transformer
from gemma_edu.jax_model.params import init
from gemma_edu.params import Params

BOS = "<bos>"
"""How a chat template writes the token that begins every text."""

PLACES = {
    "embed": transformer,
    "attention_mask": transformer,
    "rms_norm": norms,
    "rope": attention,
    "attend": attention,
    "combine": attention,
    "feedforward": block,
}
"""Piece → the module of the model that looks it up under this name."""


def encode(tokenizer, text: str) -> list[int]:
    """The ids of a text that may begin with `<bos>`, as chat templates write it, or not: one `<bos>` in any case."""
    return tokenizer.encode(text.removeprefix(BOS), add_bos=True)


def end_tokens(tokenizer) -> frozenset[int]:
    """The ids at which an answer ends: `<eos>`, and in a conversation `<end_of_turn>`."""
    return tokenizer.end_tokens


def load(stored: Mapping[str, Any], config: ModelConfig) -> Params:
    """Weights from a GGUF file, in which norms are stored as 1 + scale (llama.cpp, PR #5631)."""
    scales = {name: leaf - 1 for name, leaf in stored.items() if name.endswith("scale")}
    return trees.from_leaves({**stored, **scales}, config)


def as_stored(params: Params) -> dict[str, Any]:
    """What a GGUF file holds of these weights: the inverse of `load`."""
    leaves = trees.to_leaves(params)
    return leaves | {name: leaf + 1 for name, leaf in leaves.items() if name.endswith("scale")}


def read_config(config: ModelConfig) -> ModelConfig:
    """The config as the model's publisher meant it."""
    return config


@dataclass(frozen=True)
class Port:
    """The pieces of one implementation, with the parameters of the package's functions of the same names.

    Pieces of the model are those of `gemma_edu.jax_model`. Not to be called from two threads at once.
    """

    encode: Callable = encode
    """(tokenizer, text) → ids."""
    end_tokens: Callable = end_tokens
    """(tokenizer) → the ids at which an answer ends."""
    load: Callable = load
    """(weights as GGUF stores them by name, config) → params."""
    read_config: Callable = read_config
    """(config) → config."""
    init: Callable = init
    """(key, config) → the weights that training starts from."""
    embed: Callable = embedding.embed
    rms_norm: Callable = norms.rms_norm
    rope: Callable = positions.rope
    attention_mask: Callable = masks.attention_mask
    attend: Callable = attention.attend
    combine: Callable = attention.combine
    feedforward: Callable = feedforward.feedforward

    def forward(self, params: Params, tokens, config: ModelConfig, positions=None):
        """Logits B T V, as `transformer.forward` gives them, from this port's pieces; each layer is compiled."""
        tokens = jnp.asarray(tokens)
        with self.in_place():
            return transformer.forward(params, tokens, self.read_config(config), positions)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """This port's pieces where the model looks for its own, as long as the block lasts."""
        with ExitStack() as stack:
            for name, module in PLACES.items():
                stack.enter_context(mock.patch.object(module, name, getattr(self, name)))
            stack.enter_context(mock.patch.object(transformer, "block", self._compiled_block()))
            yield

    def _compiled_block(self) -> Callable:
        """One layer of this port; ports that differ elsewhere, as in their tokens, share its program."""
        return _compiled(self.rms_norm, self.rope, self.attend, self.combine, self.feedforward)


@functools.cache
def _compiled(*pieces: Callable) -> Callable:
    """One layer, compiled with these pieces: a function of its own, so that no other pieces meet its program."""

    def one_layer(params, x, positions, mask, theta, config):
        return block.block(params, x, positions, mask, theta, config)

    return jax.jit(one_layer, static_argnames=("theta", "config"))
