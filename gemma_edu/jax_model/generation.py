"""Text in, text out: encode, prefill, decode token by token, stop, stream.

`generate(model, "The capital of France is")` with a model from `checkpoints.load`; `generate_tokens` is the same
without a tokenizer, for prompts of different lengths at once.
"""

import functools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_tokens
from gemma_edu.jax_model import kv_cache
from gemma_edu.params import Params

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What a decoder shows for the first bytes of a character whose last bytes are still to come."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and when to stop.

    Raises:
        ValueError: for a value out of range, naming it and the range.
    """

    max_tokens: int = 64
    """At most so many new tokens."""
    temperature: float = 0.0
    """Logits are divided by it; 0 takes the most likely token (greedy)."""
    seed: int = 0
    """The same seed gives the same text."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: ask for at least 1 new token")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature = {self.temperature}: it must be 0 (greedy) or a positive number")


@runtime_checkable
class Model(Protocol):
    """What `generate` needs of a loaded checkpoint."""

    config: ModelConfig
    params: Params
    tokenizer: object


def generate(model: Model, prompt: str, sampling: Sampling | None = None) -> str:
    """The continuation of `prompt` as one string. See `stream` for the errors raised."""
    return "".join(stream(model, prompt, sampling))


def stream(model: Model, prompt: str, sampling: Sampling | None = None) -> Iterator[str]:
    """The continuation of `prompt`, piece by piece as it is made; never half a character.

    The prompt gets the model's `<bos>` in front, without which Gemma is lost. Ends at an end token of the tokenizer
    (not shown) or after `max_tokens`.

    Raises:
        ValueError: the model has no tokenizer, or prompt and `max_tokens` do not fit its context.
    """
    if model.tokenizer is None:
        raise ValueError(
            f"{model.config.name} was loaded without a tokenizer: put its tokenizer.model beside the weights, "
            "or call generate_tokens with token ids"
        )
    prompt_ids = model.tokenizer.encode(prompt, add_bos=True)
    ends = model.tokenizer.end_tokens
    seen, ids = model.tokenizer.decode(prompt_ids), list(prompt_ids)
    for (token,) in generate_tokens(model.params, [prompt_ids], model.config, sampling, ends):
        if token is None:
            break
        ids.append(token)
        text = model.tokenizer.decode(ids)
        if not text.endswith(INCOMPLETE):
            yield text[len(seen) :]
            seen = text
    rest = model.tokenizer.decode(ids)[len(seen) :]
    if rest:
        yield rest


def generate_tokens(
    params: Params,
    prompts: Sequence[Sequence[int]],
    config: ModelConfig,
    sampling: Sampling | None = None,
    end_tokens: Collection[int] = (),
) -> Iterator[list[int | None]]:
    """One list per step with the next token of every prompt; None for those that have reached an end token.

    Raises:
        ValueError: an empty prompt, ids outside the vocabulary, or more tokens than the model's context holds.
    """
    sampling = sampling or Sampling()
    tokens_BT, padding_B = _pad_left(prompts, config, sampling.max_tokens)
    capacity = _round_up(tokens_BT.shape[1] + sampling.max_tokens)
    key = jax.random.key(sampling.seed)
    logits_BV, cache = _prefill(params, tokens_BT, padding_B, config=config, capacity=capacity)
    running = [True] * len(prompts)
    for step in range(sampling.max_tokens):
        token_B = _sample(
            logits_BV, jax.random.fold_in(key, step), sampling.temperature, sampling.temperature == 0
        )
        chosen = [token if go else None for token, go in zip(token_B.tolist(), running, strict=True)]
        running = [token is not None and token not in end_tokens for token in chosen]
        if not any(running):
            return
        yield [token if go else None for token, go in zip(chosen, running, strict=True)]
        if step + 1 < sampling.max_tokens:
            logits_BV, cache = _decode(params, token_B, cache, config=config)


@functools.partial(jax.jit, static_argnames=("greedy",))
def _sample(
    logits: Float[Array, "B V"], key: PRNGKeyArray, temperature: Float[Array, ""], greedy: bool
) -> Int[Array, " B"]:
    """Draw from softmax(logits / temperature), or take the largest. The other sampling filters belong here."""
    return jnp.argmax(logits, axis=-1) if greedy else jax.random.categorical(key, logits / temperature)


_prefill = jax.jit(kv_cache.prefill, static_argnames=("config", "capacity"))
_decode = jax.jit(kv_cache.decode, static_argnames=("config",), donate_argnames=("cache",))


def _round_up(length: int) -> int:
    """The next power of two, at least 16: one compilation serves all prompts of about a length."""
    return max(16, 1 << (length - 1).bit_length())


def _pad_left(
    prompts: Sequence[Sequence[int]], config: ModelConfig, max_tokens: int
) -> tuple[Int[Array, "B T"], Int[Array, " B"]]:
    """All prompts as one array, padded at their start to a common rounded length, and the padding of each."""
    lengths = np.array([len(prompt) for prompt in prompts])
    if not len(lengths) or not lengths.all():
        raise ValueError("an empty prompt: give each at least one token, such as the model's <bos>")
    longest = int(lengths.max())
    if longest + max_tokens > config.context_length:
        raise ValueError(
            f"a prompt of {longest} tokens and max_tokens = {max_tokens} do not fit {config.name}'s context of "
            f"{config.context_length}: shorten the prompt or ask for at most {config.context_length - longest}"
        )
    T = min(_round_up(longest), config.context_length)
    tokens_BT = np.zeros((len(prompts), T), np.int32)
    for row, prompt in zip(tokens_BT, prompts, strict=True):
        row[T - len(prompt) :] = prompt
    check_tokens(tokens_BT, config)
    return jnp.asarray(tokens_BT), jnp.asarray(T - lengths, jnp.int32)
