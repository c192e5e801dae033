"""Checks on what a user hands to the model, with errors that name the value and the fix."""

import numpy as np

from gemma_edu.config import ModelConfig, PositionKind


def check_tokens(tokens, config: ModelConfig, positions=None) -> None:
    """Refuse token ids and positions that array libraries would clip or wrap in silence.

    `tokens` and `positions` have shape (B, T). Values are looked at only where they are known: inside `jax.jit`
    they are not, and JAX clips out-of-range ids there.

    Raises:
        ValueError: no tokens, an id outside 0 … V − 1, or a position past the table of learned positions.
    """
    if 0 in tokens.shape:
        raise ValueError(
            f"tokens have shape {tuple(tokens.shape)}: give at least one token, such as the model's <bos>"
        )
    last = tokens.shape[1] - 1
    if not is_traced(tokens):
        low, high = int(np.min(tokens)), int(np.max(tokens))
        if low < 0 or high >= config.vocab_size:
            wrong = low if low < 0 else high
            raise ValueError(
                f"token id {wrong} is outside {config.name}'s vocabulary of {config.vocab_size}: "
                f"ids go from 0 to {config.vocab_size - 1}. Was the text encoded with another model's tokenizer?"
            )
        last = last if positions is None or is_traced(positions) else int(np.max(positions))
    if config.position is PositionKind.LEARNED and last >= config.context_length:
        raise ValueError(
            f"position {last} has no vector: {config.name} learned {config.context_length} positions; "
            f"give at most {config.context_length} tokens"
        )


def is_traced(array) -> bool:
    """Whether the values are unknown because JAX is tracing; asked without importing JAX."""
    return type(array).__name__.endswith("Tracer")
