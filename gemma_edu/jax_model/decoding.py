"""Token ids in, token ids out: read prompts in pieces, then choose and read token by token, for any lengths at once."""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_ids, check_params
from gemma_edu.jax_model import kv_cache, prompt_pieces, screening
from gemma_edu.jax_model.cached_block import cached_block
from gemma_edu.jax_model.sampling import draw, filter_logits, log_probs, most_likely, penalise
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
    screen: screening.Screen | None = None,
) -> Iterator[list[int | None]]:
    """The tokens of `generate_steps` alone: one list per step, and the same errors.

    With the `screening.screen` of these params, the most likely token of one text comes sooner on a CPU: Gemma 3 270M
    takes 0.7 of the time in float32, 0.9 in bfloat16. Several texts, penalties and draws need all logits: no gain.
    """
    steps = _checked_steps(params, prompts, config, sampling or Sampling(), end_tokens, screen)
    return (step.tokens for step in steps)


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
    return _checked_steps(params, prompts, config, sampling or Sampling(), end_tokens, None)


def warm_up(
    params: Params,
    config: ModelConfig,
    sampling: Sampling | None = None,
    screen: screening.Screen | None = None,
) -> None:
    """Compile all that `generate_tokens` needs for one text, so that no prompt waits for it: some seconds, once.

    Without it, that happens when a program is first needed: the first prompt of more than 128 tokens needs one more
    (on a CPU, 2 s for Gemma 3 270M). Sampling parameters matter only for whether draws are made.
    """
    short = dataclasses.replace(sampling or Sampling(), max_tokens=2, stop=())
    for size in prompt_pieces.sizes(1):
        if size + short.max_tokens <= config.context_length:
            for _ in generate_tokens(params, [[0] * size], config, short, screen=screen):
                pass


def _checked_steps(
    params: Params,
    prompts: Sequence[Sequence[int] | Shaped[np.ndarray, "..."]],
    config: ModelConfig,
    sampling: Sampling,
    end_tokens: Collection[int],
    screen: screening.Screen | None,
) -> Iterator[Step]:
    """`_steps`, after everything that can be wrong was looked for; with the screen where it can be used."""
    check_params(params, config)
    if sampling.stop_strings:
        raise ValueError(
            f"stop holds {sampling.stop_strings[0]!r}, and without a tokenizer no text is seen: give token ids, or "
            "call generation.generate or generation.stream with the model"
        )
    if sampling.stop_ids:
        check_ids(min(sampling.stop_ids), max(sampling.stop_ids), config)
    tokens_BT, padding_B = prompt_pieces.pad_left(prompts, config, sampling.max_tokens)
    ends = frozenset(end_tokens) | frozenset(sampling.stop_ids)
    if screen is not None:
        screening.check_screen(screen, params, config)
    penalised = sampling.frequency_penalty or sampling.presence_penalty
    if len(tokens_BT) > 1 or penalised or not sampling.is_greedy:
        screen = None
    return _steps(params, tokens_BT, padding_B, config, sampling, ends, screen)


def _steps(
    params: Params,
    tokens: Int[np.ndarray, "B T"],
    padding: Int[np.ndarray, " B"],
    config: ModelConfig,
    sampling: Sampling,
    ends: frozenset[int],
    screen: screening.Screen | None,
) -> Iterator[Step]:
    """Read the prompts piece by piece, then choose and read token by token; no log-probabilities with a screen."""
    (B, T), sizes = tokens.shape, prompt_pieces.sizes(len(tokens))
    capacity = prompt_pieces.capacity(T + sampling.max_tokens, config, sizes[-1])
    cache = _empty(config, padding, capacity, params.embedding.table.dtype)
    for piece in prompt_pieces.pieces(T, sizes):
        x_BD, cache = _read(params, jnp.asarray(tokens[:, piece]), cache, config)
    key, settings = jax.random.key(sampling.seed), _Settings.of(sampling, config)
    last = params._replace(blocks=())  # handing over the layers too would take half a millisecond a token
    choose = functools.partial(
        _choose, last, screen, key=key, settings=settings, config=config, greedy=sampling.is_greedy
    )
    counts_BV = jnp.zeros((B, config.vocab_size), jnp.int32)
    running = [True] * B
    for step in range(sampling.max_tokens):
        token_B, log_prob_B, counts_BV = choose(x_BD, counts_BV, step=step)
        if step + 1 < sampling.max_tokens:  # before we look at the token: the device works on while we do
            x_BD, cache = _read(params, token_B[:, None], cache, config)
        chosen = token_B.tolist()
        running = [go and token not in ends for token, go in zip(chosen, running, strict=True)]
        if not any(running):
            return
        log_probs = [None] * B if log_prob_B is None else log_prob_B.tolist()
        yield Step(_where(running, chosen), _where(running, log_probs))


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


@functools.partial(jax.jit, static_argnames=("config", "greedy"), donate_argnames=("counts",))
def _choose(
    params: Params,
    screen: screening.Screen | None,
    x: Float[Array, "B D"],
    counts: Int[Array, "B V"],
    key: PRNGKeyArray,
    step: Int[Array, ""],
    settings: _Settings,
    config: ModelConfig,
    greedy: bool,
) -> tuple[Int[Array, " B"], Float[Array, " B"] | None, Int[Array, "B V"]]:
    """The next token of each row (greedy: of the most likely the first), its log-probability, the counts with it.

    With a screen nobody knows all logits, so there is no log-probability, and nobody asks for the counts.
    """
    if screen is not None:
        return screening.most_likely(params, screen, x, config), None, counts
    logits = kv_cache.next_logits(params, x, config)
    if greedy:
        penalties = settings.frequency_penalty, settings.presence_penalty
        token_B = most_likely(penalise(logits, counts, *penalties))
    else:
        uniform_B = jax.random.uniform(jax.random.fold_in(key, step), logits.shape[:1])
        token_B = draw(filter_logits(logits, counts, *settings), uniform_B)
    counts_BV = counts.at[jnp.arange(logits.shape[0]), token_B].add(1)
    return token_B, log_probs(logits, token_B), counts_BV


_empty = jax.jit(kv_cache.empty, static_argnames=("config", "capacity", "dtype"))
# Traced once for all layers of a kind, not once for each: a program of Gemma 3 270M is compiled in 2.0 s, not 2.6.
_block = jax.jit(cached_block, static_argnames=("window", "theta", "asked", "config"))
_look = jax.jit(functools.partial(kv_cache.read, block=_block), static_argnames=("config",))
_append = jax.jit(kv_cache.append, donate_argnames=("cache",))


def _read(
    params: Params, tokens: Int[Array, "B T"], cache: kv_cache.Cache, config: ModelConfig
) -> tuple[Float[Array, "B D"], kv_cache.Cache]:
    """Read T more tokens: the stream after the last, and the longer cache; `cache` itself is used up."""
    x_BD, new = _look(params, tokens, cache, config=config)
    return x_BD, _append(cache, new)
