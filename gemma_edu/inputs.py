"""Checks on what a user hands to the model, with errors that name the value and the fix."""

import numpy as np

from gemma_edu.config import ModelConfig, PositionKind
from gemma_edu.params import Params, shapes, to_leaves


def check_params(params: Params, config: ModelConfig) -> None:
    """Refuse weights that are not those that `config` asks for; only names and shapes are looked at.

    Without this, a model with more weights than its config mentions would run, and leave some of them out. Where that
    is the intention, `params.for_config` says so.

    Raises:
        ValueError: naming what is missing, what is unknown, and what has another shape.
    """
    wanted = shapes(config)
    found = {name: tuple(leaf.shape) for name, leaf in to_leaves(params).items()}
    problems = {
        "missing": sorted(wanted.keys() - found.keys()),
        "not in the config": sorted(found.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {found[name]}, not {shape}"
            for name, shape in wanted.items()
            if found.get(name, shape) != shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{kind}: {_some(names)}" for kind, names in problems.items() if names)
        raise ValueError(
            f"these params are not those of {config.name}. {listed}. To leave weights out on purpose, pass "
            "params.for_config(params, config)"
        )


def _some(names: list[str], most: int = 4) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_tokens(tokens, config: ModelConfig, positions=None) -> None:
    """Refuse token ids and positions that array libraries would clip or wrap in silence.

    `tokens` and `positions` have shape (B, T). Values are looked at only where they are known: inside `jax.jit`
    they are not. There JAX clips ids that are too large, and counts negative ones from the end of the table.

    Raises:
        ValueError: for an array of another rank or type, no tokens, an id outside 0 … V − 1, or a position past
            the table of learned positions.
    """
    _check_array("tokens", tokens)
    if positions is not None:
        _check_array("positions", positions)
        if positions.shape != tokens.shape:
            raise ValueError(
                f"positions have shape {positions.shape} and tokens {tokens.shape}: give one for each"
            )
    if 0 in tokens.shape:
        raise ValueError(
            f"tokens have shape {tuple(tokens.shape)}: give at least one token, such as the model's <bos>"
        )
    if not is_traced(tokens):
        ids = np.asarray(tokens)  # NumPy's own: inside jit, a jnp.min of known ids would be unknown
        check_ids(int(ids.min()), int(ids.max()), config)
    last = tokens.shape[1] - 1
    if positions is not None and not is_traced(positions):
        last = int(np.asarray(positions).max())
    if config.position is PositionKind.LEARNED and last >= config.context_length:
        raise ValueError(
            f"position {last} has no vector: {config.name} learned {config.context_length} positions; "
            f"give at most {config.context_length} tokens"
        )


def _check_array(what: str, array) -> None:
    """Whole numbers in rows and columns, and nothing else."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise ValueError(f"{what} are a {type(array).__name__}: give an array, as in np.array([[2, 651]])")
    if len(array.shape) != 2 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"{what} have shape {tuple(array.shape)} and type {array.dtype}: give whole numbers of shape (B, T), "
            "one row for each text"
        )


def check_ids(low: int, high: int, config: ModelConfig) -> None:
    """Refuse token ids from `low` to `high` that go beyond the vocabulary."""
    if low < 0 or high >= config.vocab_size:
        raise ValueError(
            f"token id {low if low < 0 else high} is outside {config.name}'s vocabulary of {config.vocab_size}: "
            f"ids go from 0 to {config.vocab_size - 1}. Was the text encoded with another model's tokenizer?"
        )


def is_traced(array) -> bool:
    """Whether the values are unknown because JAX is tracing; asked without importing JAX."""
    return type(array).__name__.endswith("Tracer")
