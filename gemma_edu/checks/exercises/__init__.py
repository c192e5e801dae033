"""The exercises: a right answer, the arguments it is tried on, and the known wrong versions.

One file for each part of the model, two where one would be long. Importing this package registers them all.
"""

from gemma_edu.checks.exercises import (
    attention,
    block,
    bug_museum,
    bug_museum_tests,
    comparison,
    embedding,
    feedforward,
    feedforward_curves,
    jax_model,
    masks,
    norms,
    positions,
    positions_in_use,
    sampling,
    sampling_stop,
    tokenizer,
    tokenizer_chat,
    tpu_pods,
    tpu_pods_costs,
    transformer,
    weight_tying,
)

__all__ = [
    "attention",
    "block",
    "bug_museum",
    "bug_museum_tests",
    "comparison",
    "embedding",
    "feedforward",
    "feedforward_curves",
    "jax_model",
    "masks",
    "norms",
    "positions",
    "positions_in_use",
    "sampling",
    "sampling_stop",
    "tokenizer",
    "tokenizer_chat",
    "tpu_pods",
    "tpu_pods_costs",
    "transformer",
    "weight_tying",
]
