"""How fast a chip can be at best: it must do the arithmetic, and it must fetch the numbers.

With W FLOPs on Q bytes, no program takes less than max(W / peak, Q / bandwidth), where a chip does `peak` FLOPs and
reads `bandwidth` bytes in a second. W / Q is the arithmetic intensity; below peak / bandwidth a program waits for
memory, above it for the multipliers (Williams, Waterman and Patterson 2009, "Roofline").
"""

from typing import NamedTuple

from gemma_edu import params
from gemma_edu.compare import flops, kv_cache
from gemma_edu.compare.amounts import Number
from gemma_edu.config import ModelConfig, PositionKind


class Work(NamedTuple):
    """What a computation takes at the least."""

    flops: float
    bytes: float
    """To be read: every number once, whatever the caches between chip and memory."""

    @property
    def intensity(self) -> float:
        """FLOPs per byte."""
        return self.flops / self.bytes


def work(config: ModelConfig, batch: int, tokens: int, context: int, bytes_per_number: Number = 2) -> Work:
    """What it takes when `batch` texts of `context` tokens each get `tokens` more; `tokens` 1 is a step of decoding.

    FLOPs: what the token after them depends on (`flops.least`). Bytes: the weights (of tables in which rows are only
    looked up, those rows), and the keys and values in the cache.
    """
    arithmetic = flops.least(config, tokens, batch, context)["total"]
    numbers = _weights_read(config, batch, tokens) * bytes_per_number
    return Work(float(arithmetic), float(numbers + kv_cache.size(config, batch, context, bytes_per_number)))


def _weights_read(config: ModelConfig, batch: int, tokens: int) -> int:
    """Parameters without the rows that no token looks up; a tied table is read whole, for the logits."""
    parts, rows, D = params.count(config), 0, config.embed_dim
    if not config.tie_embedding:
        rows += max(0, config.vocab_size - batch * tokens)
    if config.position is PositionKind.LEARNED:
        rows += max(0, config.context_length - tokens)
    return parts["total"] - rows * D


def seconds(work: Work, flops_per_second: Number, bytes_per_second: Number) -> float:
    """The least time: max(FLOPs / peak, bytes / bandwidth), both done at once and neither ever waiting."""
    return max(work.flops / flops_per_second, work.bytes / bytes_per_second)


def attainable(intensity: Number, flops_per_second: Number, bytes_per_second: Number) -> Number:
    """The roof itself: FLOP/s that can be had at an intensity, min(peak, intensity · bandwidth)."""
    return min(flops_per_second, intensity * bytes_per_second)
