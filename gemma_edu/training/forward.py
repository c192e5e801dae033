"""The blocks as training runs them: rounded where they multiply, recomputed or scanned if asked."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_params, check_tokens
from gemma_edu.jax_model.block import block
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.transformer import embed_tokens
from gemma_edu.params import Block, Embedding, Params
from gemma_edu.training.config import TrainingConfig


def residual_stream(
    params: Params, tokens: Int[Array, "B T"], config: ModelConfig, training: TrainingConfig
) -> Float[Array, "B T D"]:
    """What leaves the last block, before `transformer.read_out` makes logits of it.

    `params` may be stacked by `jax_model.layer_scan.stack`: then layers of a kind are one compiled loop. Weights are
    rounded to `compute_dtype` only where they are used, so that gradients of all uses are summed in float32.

    Raises:
        ValueError: params of another config (not seen if they are stacked), token ids outside the vocabulary,
            positions past a learned table, no tokens at all.
    """
    if not is_stacked(params):
        check_params(params, config)
    check_tokens(tokens, config)
    dtype = training.compute_dtype
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)

    def run(x_BTD: Float[Array, "B T D"], blocks: tuple[Block, ...]) -> Float[Array, "B T D"]:
        for layer, block_params in enumerate(blocks):

            def one(block_params, x_BTD, layer=layer):
                mask_BTT = attention_mask(positions, positions, config.window(layer))
                weights = rounded(block_params, dtype)
                return pinned(block(weights, x_BTD, positions, mask_BTT, config.theta(layer), config))

            x_BTD = (jax.checkpoint(one) if training.rematerialise else one)(block_params, x_BTD)
        return x_BTD

    x_BTD = pinned(embed_tokens(_gathered(params.embedding), tokens, positions, config).astype(dtype))
    # Stacked, `blocks` holds one entry for each kind of layer, then what the pattern leaves over: both count from 0.
    kinds = min(config.global_every, config.num_layers) if is_stacked(params) else 0
    if kinds:
        x_BTD, _ = jax.lax.scan(lambda x, blocks: (run(x, blocks), None), x_BTD, params.blocks[:kinds])
    return run(x_BTD, params.blocks[kinds:])


def pinned(x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
    """The stream held to where the batch's rows are, D whole, on the mesh in use; without a mesh, as it is.

    Where weights are split along D (FSDP), the compiler would else split the stream along D too and pass it around.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, jax.sharding.PartitionSpec(row_axes()))


def _gathered(embedding: Embedding) -> Embedding:
    """The table with D whole and V as the weights have it, on the mesh in use: what a lookup of whole rows needs.

    Left to itself, the compiler may first split V over pods, and then gather it over the slow network between them.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return embedding
    whole = jax.sharding.PartitionSpec(jax.sharding.PartitionSpec.UNCONSTRAINED, None)
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, whole), embedding)


def row_axes() -> tuple[str, ...]:
    """Axes of the mesh in use over which the batch's rows are split; those of size 1 split nothing."""
    sizes = jax.sharding.get_abstract_mesh().shape
    return tuple(axis for axis in ("pod", "data") if sizes.get(axis, 1) > 1)


def is_stacked(params: Params) -> bool:
    """Whether `layer_scan.stack` has put an axis for layers in front of the blocks' weights."""
    return params.blocks[0].attention.w_q.ndim == 4


def rounded(tree, dtype: jax.typing.DTypeLike):
    """A tree with all its arrays in `dtype`."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)
