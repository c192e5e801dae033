"""The arithmetic of a whole training run, and how long chips take for it."""

from gemma_edu.compare import flops
from gemma_edu.compare.amounts import Number
from gemma_edu.config import ModelConfig


def six_nd(parameters: Number, tokens: Number) -> Number:
    """C = 6·N·D FLOPs for N parameters and D tokens, the usual estimate (Kaplan et al. 2020, section 2.1).

    2 per parameter on the way forward, 4 on the way back; scores are left out. Which N? Kaplan's leaves out
    embeddings, Chinchilla (Hoffmann et al. 2022, Appendix F) and most since then count them. `multiplied_parameters`
    are those for which it is exact.
    """
    return 6 * parameters * tokens


def multiplied_parameters(config: ModelConfig) -> int:
    """Weights that tokens are multiplied by: matrices of the layers and output matrix, tied or not.

    Not among them: an embedding table that is only looked up in, position vectors, norms, biases.
    """
    L = config.num_layers
    return flops.count(config, kept=L, asked=L, pairs=0, outputs=1)["total"] // 2


def compute(config: ModelConfig, tokens: Number, length: int) -> float:
    """FLOPs of training on `tokens` tokens in texts of `length`, scores included: 6·N·D + 12·L·N·H·length·D.

    (On the left N are the `multiplied_parameters`, on the right heads; D are tokens.) That is `flops.training`, or
    PaLM's formula for its "model FLOPs" (Chowdhery et al. 2022, Appendix B).
    """
    return flops.training(config, length)["total"] / length * tokens


def chip_hours(compute: Number, flops_per_second: Number, utilisation: Number = 1.0) -> float:
    """Hours of one chip for `compute` FLOPs; divided among n chips, each runs 1/n of them.

    `utilisation` is the share of the chip's peak that is reached; at 1 it is a lower bound.

    Raises:
        ValueError: for a utilisation that is not above 0 and at most 1.
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation = {utilisation}: give a share of the peak, above 0 and at most 1")
    return compute / (flops_per_second * utilisation) / 3600


def utilisation(compute: Number, hours: Number, flops_per_second: Number) -> float:
    """The share of the peak that a run of so many chip-hours reached ("MFU", Chowdhery et al. 2022, section 4.1)."""
    return chip_hours(compute, flops_per_second) / hours
