"""Text in, text out: encode, decode token by token, stop, stream.

`generate(model, "The capital of France is")` with a model from `checkpoints.load`. Without a tokenizer,
`generate_tokens` and `generate_steps` do the same for token ids.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from gemma_edu.config import ModelConfig
from gemma_edu.jax_model.decoding import Step, generate_steps, generate_tokens, warm_up
from gemma_edu.jax_model.screening import Screen
from gemma_edu.params import Params
from gemma_edu.sampling_config import Sampling
from gemma_edu.text_stream import TextStream

__all__ = [
    "Model",
    "Prompt",
    "Sampling",
    "Step",
    "generate",
    "generate_steps",
    "generate_tokens",
    "stream",
    "warm_up",
]

Prompt = str | Sequence[int]
"""A text, which gets the model's `<bos>` in front, without which Gemma is lost; or token ids, taken as they are."""


@runtime_checkable
class Model(Protocol):
    """What `generate` needs of a loaded checkpoint."""

    config: ModelConfig
    params: Params
    tokenizer: object


def generate(
    model: Model,
    prompt: Prompt | Sequence[Prompt],
    sampling: Sampling | None = None,
    screen: Screen | None = None,
) -> str | list[str]:
    """The continuation of a prompt as one string; of a list of prompts, the list of theirs, computed together.

    See `stream` for what ends a text, what a screen is for and the errors raised.
    """
    if isinstance(prompt, str) or any(isinstance(part, int) for part in prompt):
        return "".join(stream(model, prompt, sampling, screen))
    return ["".join(pieces) for pieces in zip(*_answers(model, prompt, sampling), strict=True)]


def stream(
    model: Model, prompt: Prompt, sampling: Sampling | None = None, screen: Screen | None = None
) -> Iterator[str]:
    """The continuation of `prompt`, piece by piece as it is made; the pieces joined are what `generate` returns.

    Ends before an end token of the tokenizer, a stop string or id, or after `max_tokens`. No piece holds half a
    character (nor does the text: one that `max_tokens` cuts through is left out) or any part of a stop string.
    With `screening.screen` of the model, a greedy text comes sooner; `decoding.generate_tokens` says by how much.

    Raises:
        ValueError: the model has no tokenizer, prompt and `max_tokens` do not fit its context, or ids are outside its
            vocabulary; before the first piece.
    """
    answers = _answers(model, [prompt], sampling, screen)
    return (piece for (piece,) in answers if piece)


def _answers(
    model: Model, prompts: Sequence[Prompt], sampling: Sampling | None, screen: Screen | None = None
) -> Iterator[list[str]]:
    """For each step, what it adds to each answer."""
    if model.tokenizer is None:
        raise ValueError(
            f"{model.config.name} was loaded without a tokenizer: put its tokenizer.model beside the weights. GPT-2 "
            "and OLMo have none of that kind: use their own tokenizer, and generate_tokens with the ids"
        )
    sampling = sampling or Sampling()
    ids = [_encode(model, prompt) for prompt in prompts]
    only_ids = dataclasses.replace(sampling, stop=sampling.stop_ids)
    steps = generate_tokens(model.params, ids, model.config, only_ids, model.tokenizer.end_tokens, screen)
    return _pieces(
        [TextStream(model.tokenizer.decode, prompt, sampling.stop_strings) for prompt in ids], steps
    )


def _encode(model: Model, prompt: Prompt) -> list[int]:
    """A prompt's ids."""
    return model.tokenizer.encode(prompt, add_bos=True) if isinstance(prompt, str) else list(prompt)


def _pieces(texts: list[TextStream], steps: Iterator[list[int | None]]) -> Iterator[list[str]]:
    """What each step adds to the texts, until all have ended, and at last what they held back."""
    for tokens in steps:
        rows = list(zip(texts, tokens, strict=True))
        yield ["" if token is None else text.add(token) for text, token in rows]
        if all(token is None or text.found_stop for text, token in rows):
            break
    yield [text.end() for text in texts]
