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
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_ids, check_params
from gemma_edu.jax_model import kv_cache
from gemma_edu.params import Params

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What a decoder shows for the first bytes of a character whose last bytes are still to come."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and when to stop.

    Raises:
        ValueError: for a value of another type or out of range, naming it and the range.
    """

    max_tokens: int = 64
    """At most so many new tokens."""
    temperature: float = 0.0
    """Logits are divided by it; 0 takes the most likely token (greedy), and so does anything below 1e-5, as in vLLM:
    float32 logits divided by less can overflow."""
    seed: int = 0
    """The same seed gives the same text."""

    def __post_init__(self) -> None:
        for name in ("max_tokens", "seed"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} = {getattr(self, name)!r}: it must be a whole number (int)")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: ask for at least 1 new token")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed = {self.seed}: it must lie between 0 and 2**32 - 1")
        if not isinstance(self.temperature, int | float) or not 0 <= self.temperature < float("inf"):
            raise ValueError(
                f"temperature = {self.temperature!r}: it must be 0 (greedy) or a positive number"
            )

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is taken, and nothing drawn."""
        return self.temperature < 1e-5


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
            f"{model.config.name} was loaded without a tokenizer: put its tokenizer.model beside the weights. GPT-2 "
            "and OLMo have none of that kind: use their own tokenizer, and generate_tokens with the ids"
        )
    prompt_ids = model.tokenizer.encode(prompt, add_bos=True)
    ends = model.tokenizer.end_tokens
    return _pieces(
        model, prompt_ids, generate_tokens(model.params, [prompt_ids], model.config, sampling, ends)
    )


def _pieces(model: Model, prompt: list[int], steps: Iterator[list[int | None]]) -> Iterator[str]:
    """What each new token adds to the text, held back while it ends in the middle of a character."""
    seen, ids = model.tokenizer.decode(prompt), list(prompt)
    for (token,) in steps:
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
    prompts: Sequence[Sequence[int] | Shaped[np.ndarray, "..."]],
    config: ModelConfig,
    sampling: Sampling | None = None,
    end_tokens: Collection[int] = (),
) -> Iterator[list[int | None]]:
    """One list per step with the next token of every prompt; None for those that have reached an end token.

    Raises:
        ValueError: params of another config, a prompt that is empty or no list of whole numbers, ids outside the
            vocabulary, or more tokens than the model's context holds. All of it at once, before the first step.
    """
    sampling = sampling or Sampling()
    check_params(params, config)
    tokens_BT, padding_B = _pad_left(prompts, config, sampling.max_tokens)
    return _steps(params, tokens_BT, padding_B, config, sampling, frozenset(end_tokens))


def _steps(
    params: Params,
    tokens: Int[Array, "B T"],
    padding: Int[Array, " B"],
    config: ModelConfig,
    sampling: Sampling,
    end_tokens: frozenset[int],
) -> Iterator[list[int | None]]:
    """Prefill, then a decode for each further step."""
    key = jax.random.key(sampling.seed)
    capacity = tokens.shape[1] + sampling.max_tokens
    logits_BV, cache = _prefill(params, tokens, padding, config=config, capacity=capacity)
    running = [True] * len(padding)
    for step in range(sampling.max_tokens):
        token_B = _sample(logits_BV, jax.random.fold_in(key, step), sampling.temperature, sampling.is_greedy)
        chosen = token_B.tolist()
        running = [go and token not in end_tokens for token, go in zip(chosen, running, strict=True)]
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
    prompts: Sequence[Sequence[int] | Shaped[np.ndarray, "..."]], config: ModelConfig, max_tokens: int
) -> tuple[Int[Array, "B T"], Int[Array, " B"]]:
    """All prompts as one array, padded at their start to a common rounded length, and the padding of each."""
    rows = [np.asarray(prompt) for prompt in prompts]
    if not rows or any(row.size == 0 for row in rows):
        raise ValueError("an empty prompt: give each at least one token, such as the model's <bos>")
    for row in rows:
        if row.ndim != 1 or not np.issubdtype(row.dtype, np.integer):
            raise ValueError(
                f"a prompt must be a list of token ids, such as [2, 651], and one is {row.tolist()!r}"
            )
        check_ids(int(row.min()), int(row.max()), config)
    lengths = np.array([len(row) for row in rows])
    longest, most = int(lengths.max()), config.context_length - int(lengths.max())
    if max_tokens > most:
        advice = f"shorten the prompt or ask for at most {most}" if most > 0 else "shorten the prompt"
        raise ValueError(
            f"a prompt of {longest} tokens and max_tokens = {max_tokens} do not fit {config.name}'s context of "
            f"{config.context_length}: {advice}"
        )
    T = min(_round_up(longest), config.context_length)
    tokens_BT = np.zeros((len(rows), T), np.int32)
    for row, prompt in zip(tokens_BT, rows, strict=True):
        row[T - len(prompt) :] = prompt
    return jnp.asarray(tokens_BT), jnp.asarray(T - lengths, jnp.int32)
