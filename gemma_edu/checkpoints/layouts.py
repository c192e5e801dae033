"""How one tensor of a file and one or more of our weights hold the same numbers in another order.

A pattern such as `"D N H -> (N H) D"` has our axes on the left and the file's on the right, in the course's
letters; brackets hold axes that are merged into one, a number is an axis of that length. Read from left to
right it saves, from right to left it loads, so that one table serves both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Shaped

from gemma_edu.config import ModelConfig, PositionKind

Axes = list[list[str]]
"""Axes of an array; each is a list of the letters merged into it."""


def sizes(config: ModelConfig) -> dict[str, int]:
    """The length of each letter that patterns use. R is H // 2, the rotated pairs; C the context."""
    letters = {
        "V": config.vocab_size, "D": config.embed_dim, "N": config.num_heads, "K": config.num_kv_heads,
        "H": config.head_dim, "F": config.hidden_dim, "C": config.context_length,
    }  # fmt: skip
    return letters | ({"R": config.head_dim // 2} if config.position is PositionKind.ROPE else {})


def _axes(side: str) -> Axes:
    """`"(N H) D"` → `[["N", "H"], ["D"]]`."""
    result: Axes = []
    group: list[str] | None = None
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            group = []
        elif word == ")":
            result.append(group or [])
            group = None
        elif group is None:
            result.append([word])
        else:
            group.append(word)
    return result


def _shape(axes: Axes, lengths: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of an array with these axes."""
    return tuple(math.prod(int(a) if a.isdigit() else lengths[a] for a in group) for group in axes)


def _rearrange(
    array: Shaped[np.ndarray, "..."], source: Axes, target: Axes, lengths: Mapping[str, int]
) -> Shaped[np.ndarray, "..."]:
    """Reorder from `source` axes to `target` axes; a view wherever NumPy can make one."""
    flat = [letter for group in source for letter in group]
    order = [flat.index(letter) for group in target for letter in group]
    split = array.reshape(_shape([[letter] for letter in flat], lengths))
    return split.transpose(order).reshape(_shape(target, lengths))


class Join(Enum):
    """How several of our weights sit in one tensor of a file."""

    ALONE = "alone"
    STACKED = "stacked on a new first axis"
    CONCATENATED = "one after the other along an axis"


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its name, the weights of ours it holds, and the order of its numbers.

    `patterns` has one pattern per weight. `offset` is what the file's number has over ours (GGUF stores
    Gemma's norm scales with 1 already added).
    """

    theirs: str
    ours: tuple[str, ...]
    patterns: tuple[str, ...]
    join: Join = Join.ALONE
    axis: int = 0
    offset: float = 0.0

    def shape(self, lengths: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of the file's tensor."""
        parts = [_shape(_axes(pattern.split("->")[1]), lengths) for pattern in self.patterns]
        if self.join is Join.STACKED:
            return (len(parts), *parts[0])
        total = sum(part[self.axis] for part in parts)
        return (*parts[0][: self.axis], total, *parts[0][self.axis + 1 :])

    def to_ours(
        self, array: Shaped[np.ndarray, "..."], lengths: Mapping[str, int]
    ) -> list[Shaped[np.ndarray, "..."]]:
        """The weights held by the file's tensor `array`, in the order of `ours`."""
        sides = [[_axes(side) for side in pattern.split("->")] for pattern in self.patterns]
        parts: Sequence[np.ndarray] = [array]
        if self.join is Join.STACKED:
            parts = list(array)
        elif self.join is Join.CONCATENATED:
            ends = np.cumsum([_shape(file, lengths)[self.axis] for _, file in sides])
            parts = np.split(array, ends[:-1], axis=self.axis)
        if self.offset:
            parts = [part - np.asarray(self.offset, part.dtype) for part in parts]
        return [
            _rearrange(part, file, ours, lengths) for part, (ours, file) in zip(parts, sides, strict=True)
        ]

    def to_theirs(
        self, arrays: Sequence[Shaped[np.ndarray, "..."]], lengths: Mapping[str, int]
    ) -> Shaped[np.ndarray, "..."]:
        """The file's tensor for our weights `arrays`; the inverse of `to_ours`."""
        sides = [[_axes(side) for side in pattern.split("->")] for pattern in self.patterns]
        parts = [
            _rearrange(part, ours, file, lengths) for part, (ours, file) in zip(arrays, sides, strict=True)
        ]
        if self.offset:
            parts = [part + np.asarray(self.offset, part.dtype) for part in parts]
        if self.join is Join.STACKED:
            return np.stack(parts)
        return np.concatenate(parts, axis=self.axis) if self.join is Join.CONCATENATED else parts[0]
