"""The whole model: tokens in, logits out."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gemma_edu.config import ModelConfig, PositionKind
from gemma_edu.inputs import check_params, check_tokens
from gemma_edu.jax_model.block import block
from gemma_edu.jax_model.embedding import embed, unembed
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.norms import norm
from gemma_edu.jax_model.positions import learned, sinusoidal
from gemma_edu.params import Embedding, Params


def embed_tokens(
    params: Embedding, tokens: Int[Array, "B T"], positions: Int[Array, "B T"], config: ModelConfig
) -> Float[Array, "B T D"]:
    """The residual stream before the first block: embeddings, plus position vectors where the model adds any."""
    x_BTD = embed(params.table, tokens, config.scale_embedding)
    if config.position is PositionKind.LEARNED:
        return x_BTD + learned(params.positions, positions)
    if config.position is PositionKind.SINUSOIDAL:
        return x_BTD + sinusoidal(positions, config.embed_dim).astype(x_BTD.dtype)
    return x_BTD


def read_out(params: Params, x: Float[Array, "B T D"], config: ModelConfig) -> Float[Array, "B T V"]:
    """Logits from the residual stream: final norm, then the output matrix."""
    return unembed(output_table(params, config), before_output(params, x, config))


def before_output(
    params: Params, x: Float[Array, "*batch D"], config: ModelConfig
) -> Float[Array, "*batch D"]:
    """The residual stream as the output matrix meets it: after the final norm, where there is one."""
    return norm(params.final_norm, x, config) if config.has_final_norm else x


def output_table(params: Params, config: ModelConfig) -> Float[Array, "V D"]:
    """The output matrix, a row for each token: the embedding table where tied."""
    return params.embedding.table if config.tie_embedding else params.embedding.output


def forward(
    params: Params,
    tokens: Int[Array, "B T"],
    config: ModelConfig,
    positions: Int[Array, "B T"] | None = None,
) -> Float[Array, "B T V"]:
    """Logits for the token after each position.

    `positions` count from 0 unless given; −1 marks padding, which nobody attends to and whose logits mean nothing.

    Inside `jax.jit` (config static) values are unknown, so only shapes are checked there.

    Raises:
        ValueError: params of another config, token ids outside the vocabulary, positions past a learned table,
            no tokens at all.
    """
    check_params(params, config)
    check_tokens(tokens, config, positions)
    if positions is None:
        positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    x_BTD = embed_tokens(params.embedding, tokens, positions, config)
    for layer, block_params in enumerate(params.blocks):
        mask_BTT = attention_mask(positions, positions, config.window(layer))
        x_BTD = block(block_params, x_BTD, positions, mask_BTT, config.theta(layer), config)
    return read_out(params, x_BTD, config)
