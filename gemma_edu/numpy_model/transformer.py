"""The whole model: tokens in, logits out."""

import numpy as np
from jaxtyping import Float, Int

from gemma_edu.config import ModelConfig, PositionKind
from gemma_edu.inputs import check_params, check_tokens
from gemma_edu.numpy_model.block import block
from gemma_edu.numpy_model.embedding import embed, unembed
from gemma_edu.numpy_model.masks import attention_mask
from gemma_edu.numpy_model.norms import norm
from gemma_edu.numpy_model.positions import learned, sinusoidal
from gemma_edu.params import Embedding, Params


def embed_tokens(
    params: Embedding, tokens: Int[np.ndarray, "B T"], positions: Int[np.ndarray, "B T"], config: ModelConfig
) -> Float[np.ndarray, "B T D"]:
    """The residual stream before the first block: embeddings, plus position vectors where the model adds any."""
    x_BTD = embed(params.table, tokens, config.scale_embedding)
    if config.position is PositionKind.LEARNED:
        return x_BTD + learned(params.positions, positions)
    if config.position is PositionKind.SINUSOIDAL:
        return x_BTD + sinusoidal(positions, config.embed_dim).astype(x_BTD.dtype)
    return x_BTD


def read_out(
    params: Params, x: Float[np.ndarray, "B T D"], config: ModelConfig
) -> Float[np.ndarray, "B T V"]:
    """Logits from the residual stream: final norm, then the output matrix."""
    return unembed(output_table(params, config), before_output(params, x, config))


def before_output(
    params: Params, x: Float[np.ndarray, "*batch D"], config: ModelConfig
) -> Float[np.ndarray, "*batch D"]:
    """The residual stream as the output matrix meets it: after the final norm, where there is one."""
    return norm(params.final_norm, x, config) if config.has_final_norm else x


def output_table(params: Params, config: ModelConfig) -> Float[np.ndarray, "V D"]:
    """The output matrix, a row for each token: the embedding table where tied."""
    return params.embedding.table if config.tie_embedding else params.embedding.output


def forward(
    params: Params,
    tokens: Int[np.ndarray, "B T"],
    config: ModelConfig,
    positions: Int[np.ndarray, "B T"] | None = None,
) -> Float[np.ndarray, "B T V"]:
    """Logits for the token after each position.

    `positions` count from 0 unless given; −1 marks padding, which nobody attends to and whose logits mean nothing.

    Raises:
        ValueError: params of another config or dtype, token ids outside the vocabulary, positions past a learned table,
            no tokens at all.
    """
    check_params(params, config)
    if params.embedding.table.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"params are {params.embedding.table.dtype}: NumPy multiplies float32 and float64; load with "
            'dtype="float32", or use the JAX model'
        )
    check_tokens(tokens, config, positions)
    if positions is None:
        positions = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    x_BTD = embed_tokens(params.embedding, tokens, positions, config)
    for layer, block_params in enumerate(params.blocks):
        mask_BTT = attention_mask(positions, positions, config.window(layer))
        x_BTD = block(block_params, x_BTD, positions, mask_BTT, config.theta(layer), config)
    return read_out(params, x_BTD, config)
