"""Token ids in, token ids out: prefill, then choose and decode step by step, for prompts of any lengths at once."""

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_ids, check_params
from gemma_edu.jax_model import kv_cache
from gemma_edu.jax_model.sampling import draw, filter_logits, log_probs, penalise
from gemma_edu.params import Params
from gemma_edu.sampling_config import Sampling


class Step(NamedTuple):
    """What one step adds to each prompt; None for those that have ended."""

    tokens: list[int | None]
    log_probs: list[float | None]
    """log p(token) in nats by the model's own odds, before penalties, temperature and filters, whatever was drawn
    from: how well the model expects the text, and the same number for any sampling parameters."""


def generate_tokens(
    params: Params,
    prompts: Sequence[Sequence[int] | Shaped[np.ndarray, "..."]],
    config: ModelConfig,
    sampling: Sampling | None = None,
    end_tokens: Collection[int] = (),
) -> Iterator[list[int | None]]:
    """The tokens of `generate_steps` alone: one list per step, and the same errors."""
    return (step.tokens for step in generate_steps(params, prompts, config, sampling, end_tokens))


def generate_steps(
    params: Params,
    prompts: Sequence[Sequence[int] | Shaped[np.ndarray, "..."]],
    config: ModelConfig,
    sampling: Sampling | None = None,
    end_tokens: Collection[int] = (),
) -> Iterator[Step]:
    """One `Step` after the other: the next token of every prompt and its log-probability.

    A prompt's text ends before an end token or an id of `sampling.stop`, and all after `max_tokens` steps.

    Raises:
        ValueError: params of another config, a prompt that is empty or no list of whole numbers, ids outside the
            vocabulary, more tokens than the model's context holds, or strings in `sampling.stop`. All of it at once,
            before the first step.
    """
    sampling = sampling or Sampling()
    check_params(params, config)
    if sampling.stop_strings:
        raise ValueError(
            f"stop holds {sampling.stop_strings[0]!r}, and without a tokenizer no text is seen: give token ids, or "
            "call generation.generate or generation.stream with the model"
        )
    if sampling.stop_ids:
        check_ids(min(sampling.stop_ids), max(sampling.stop_ids), config)
    tokens_BT, padding_B = _pad_left(prompts, config, sampling.max_tokens)
    ends = frozenset(end_tokens) | frozenset(sampling.stop_ids)
    return _steps(params, tokens_BT, padding_B, config, sampling, ends)


def _steps(
    params: Params,
    tokens: Int[Array, "B T"],
    padding: Int[Array, " B"],
    config: ModelConfig,
    sampling: Sampling,
    ends: frozenset[int],
) -> Iterator[Step]:
    """Prefill, then a decode for each further step."""
    key = jax.random.key(sampling.seed)
    settings, greedy = _Settings.of(sampling, config), sampling.is_greedy
    capacity = tokens.shape[1] + sampling.max_tokens
    logits_BV, cache = _prefill(params, tokens, padding, config=config, capacity=capacity)
    counts_BV = jnp.zeros(logits_BV.shape, jnp.int32)
    running = [True] * len(padding)
    for step in range(sampling.max_tokens):
        token_B, log_prob_B, counts_BV = _choose(logits_BV, counts_BV, key, step, settings, greedy=greedy)
        chosen = token_B.tolist()
        running = [go and token not in ends for token, go in zip(chosen, running, strict=True)]
        if not any(running):
            return
        yield Step(_where(running, chosen), _where(running, log_prob_B.tolist()))
        if step + 1 < sampling.max_tokens:
            logits_BV, cache = _decode(params, token_B, cache, config=config)


def _where(running: list[bool], values: list) -> list:
    """The values of the rows that still run, None for the others."""
    return [value if go else None for value, go in zip(values, running, strict=True)]


class _Settings(NamedTuple):
    """The numbers among the sampling parameters. Traced, not static: other values need no other program."""

    frequency_penalty: float | Float[Array, ""]
    presence_penalty: float | Float[Array, ""]
    temperature: float | Float[Array, ""]
    k: int | Int[Array, ""]
    p: float | Float[Array, ""]

    @classmethod
    def of(cls, sampling: Sampling, config: ModelConfig) -> "_Settings":
        """Those of `sampling`; without a k, it is the whole vocabulary."""
        k = min(sampling.top_k or config.vocab_size, config.vocab_size)
        penalties = sampling.frequency_penalty, sampling.presence_penalty
        return cls(*penalties, sampling.temperature, k, sampling.top_p)


@functools.partial(jax.jit, static_argnames=("greedy",), donate_argnames=("counts",))
def _choose(
    logits: Float[Array, "B V"],
    counts: Int[Array, "B V"],
    key: PRNGKeyArray,
    step: Int[Array, ""],
    settings: _Settings,
    greedy: bool,
) -> tuple[Int[Array, " B"], Float[Array, " B"], Int[Array, "B V"]]:
    """The next token of each row (greedy: of the most likely the first), its log-probability, the counts with it."""
    if greedy:
        penalties = settings.frequency_penalty, settings.presence_penalty
        token_B = jnp.argmax(penalise(logits, counts, *penalties), axis=-1)
    else:
        uniform_B = jax.random.uniform(jax.random.fold_in(key, step), logits.shape[:1])
        token_B = draw(filter_logits(logits, counts, *settings), uniform_B)
    counts_BV = counts.at[jnp.arange(logits.shape[0]), token_B].add(1)
    return token_B, log_probs(logits, token_B), counts_BV


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
