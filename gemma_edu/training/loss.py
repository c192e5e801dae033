"""The loss of a batch: the weighted mean of −log p(next token)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from gemma_edu.config import ModelConfig
from gemma_edu.jax_model.loss import token_losses
from gemma_edu.jax_model.transformer import read_out
from gemma_edu.params import Params
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.data import Batch
from gemma_edu.training.forward import residual_stream, rounded, row_axes


def mean_loss(
    params: Params, batch: Batch, config: ModelConfig, training: TrainingConfig
) -> Float[Array, ""]:
    """Σ weight · −log p(token | tokens before it) / Σ weight, in nats: no number where all weights are 0.

    A model with small random weights is near ln V.

    Raises:
        ValueError: see `summed_loss`.
    """
    return summed_loss(params, batch, config, training) / jnp.sum(batch.weights)


def summed_loss(
    params: Params, batch: Batch, config: ModelConfig, training: TrainingConfig
) -> Float[Array, ""]:
    """Σ weight · −log p(token | tokens before it), in nats, from logits in float32.

    All logits together are B·T·V numbers: at T = 8192 and V = 256,000 they take 8 GB a row. With `loss_chunk` a loop
    makes the logits of so many positions at a time, forgets them, and makes them again for the gradient.

    Raises:
        ValueError: tokens and weights that do not fit together, `loss_chunk` that does not divide T, token ids
            outside the vocabulary, positions past a learned table.
    """
    tokens, weights = map(jnp.asarray, batch)
    B, T = weights.shape
    if tokens.shape != (B, T + 1):
        raise ValueError(
            f"tokens have shape {tokens.shape} and weights {(B, T)}: a row of T weights goes with T + 1 tokens"
        )
    chunk = training.loss_chunk or T
    if T % chunk:
        raise ValueError(f"loss_chunk = {chunk} does not divide T = {T} positions: take one that does")

    def chunk_loss(params, x_BTD, targets_BT, weights_BT):
        logits_BTV = read_out(rounded(params, training.compute_dtype), x_BTD, config)
        return jnp.sum(weights_BT * token_losses(logits_BTV, targets_BT))

    def loss_of_rows(params, *pieces):
        if chunk == T:
            return chunk_loss(params, *pieces)
        chunks = [
            jnp.moveaxis(piece.reshape(len(piece), T // chunk, chunk, *piece.shape[2:]), 1, 0)
            for piece in pieces
        ]
        again = jax.checkpoint(chunk_loss)
        _, losses = jax.lax.scan(lambda _, pieces: (None, again(params, *pieces)), None, chunks)
        return jnp.sum(losses)

    x_BTD = residual_stream(params, tokens[:, :-1], config, training)
    rest = params._replace(blocks=())  # all that `read_out` looks at
    return _summed_over_rows(loss_of_rows, rest, x_BTD, tokens[:, 1:], weights)


def _summed_over_rows(
    function: Callable[..., Float[Array, ""]], params: Params, *pieces: Shaped[Array, "B ..."]
) -> Float[Array, ""]:
    """`function(params, *pieces)`, a sum over rows. On a mesh each device takes its rows, and sums are added up once.

    So are the gradients of `params`. Left to itself, the compiler adds those up at each turn of a loop in `function`:
    with 16 chunks of logits, the table's gradient would go from pod to pod 16 times.
    """
    axes = row_axes()
    if not axes:
        return function(params, *pieces)

    def of_device(params, *pieces):
        # From here on each device has weights of its own; the way back through this adds up their gradients.
        own = jax.tree.map(lambda leaf: jax.lax.pcast(leaf, axes, to="varying"), params)
        return jax.lax.psum(function(own, *pieces), axes)

    everywhere, by_rows = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(axes)
    return jax.shard_map(
        of_device,
        in_specs=(everywhere, *(by_rows for _ in pieces)),
        out_specs=everywhere,
        axis_names=set(axes),
    )(params, *pieces)
