"""Prompts of any lengths, cut so that few compiled programs read them all."""

from collections.abc import Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Int, Shaped

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_ids


def sizes(rows: int) -> tuple[int, ...]:
    """So many tokens of a prompt are read at a time, most first: few programs serve prompts of all lengths.

    On a CPU, Gemma 3 270M reads 256 tokens in 0.9 of the time of twice 128, but a short prompt need not wait for 256. A
    GPU or TPU wants more at once. Of many prompts together shorter pieces do, and take less memory.
    """
    on_cpu = jax.default_backend() == "cpu"
    most = 128 if on_cpu else 1024
    size = max(8, min(most, 8 * most // rows))
    return (2 * size, size) if on_cpu and 2 * size * rows <= 8 * most else (size,)


def pieces(tokens: int, of: tuple[int, ...]) -> Iterator[slice]:
    """So many tokens, a multiple of the last size, cut into the largest pieces that fit."""
    start = 0
    for size in of:
        while tokens - start >= size:
            yield slice(start, start + size)
            start += size


def pad_left(
    prompts: Sequence[Sequence[int] | Shaped[np.ndarray, "..."]], config: ModelConfig, max_tokens: int
) -> tuple[Int[np.ndarray, "B T"], Int[np.ndarray, " B"]]:
    """All prompts as one array, padded at their start to whole pieces, and the padding of each."""
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
    size = sizes(len(rows))[-1]
    T = -(-longest // size) * size
    tokens_BT = np.zeros((len(rows), T), np.int32)
    for row, prompt in zip(tokens_BT, rows, strict=True):
        row[T - len(prompt) :] = prompt
    return tokens_BT, (T - lengths).astype(np.int32)


def capacity(tokens: int, config: ModelConfig, piece: int) -> int:
    """Places for so many tokens: 1,024, or 4 or 16 … times as many, so that a longer text rarely asks for new programs.

    No more of them than the context can ever fill: they take memory, and a GPU or TPU looks at empty ones too.
    """
    places = 1024
    while places < tokens:
        places *= 4
    return min(places, config.context_length + piece)
