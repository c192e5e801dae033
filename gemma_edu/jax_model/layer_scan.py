"""The same model with one compiled layer that runs L times: `jax.lax.scan` over stacked weights.

A Python loop over layers is traced layer by layer, so program size and compile time grow with L. Scanned, they do
not. The price: weights must be stacked, and XLA can no longer treat each layer by itself. The course scans where
compile time counts (deep models, training on many chips) and unrolls elsewhere.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_tokens
from gemma_edu.jax_model.block import block
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.transformer import embed_tokens, read_out
from gemma_edu.params import Block, Params


def stack(params: Params, config: ModelConfig) -> Params:
    """The same weights, layers of a kind stacked: `blocks` becomes one `Block` per kind, leaves with a leading axis.

    Kinds repeat every `global_every` layers (Gemma 3: five local layers and a global one; elsewhere 1), because a
    scanned layer must have one window and one theta. Layers left over at the end (26 = 4 · 6 + 2) stay in the tuple
    after the stacked ones.
    """
    period = min(config.global_every, config.num_layers)
    repeats = config.num_layers // period
    stacked = tuple(_stack(params.blocks[kind : repeats * period : period]) for kind in range(period))
    return params._replace(blocks=stacked + params.blocks[repeats * period :])


def _stack(blocks: tuple[Block, ...]) -> Block:
    """One block whose leaves hold those of all `blocks` along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)


def forward(params: Params, tokens: Int[Array, "B T"], config: ModelConfig) -> Float[Array, "B T V"]:
    """Logits, as `transformer.forward` gives them, from weights that went through `stack`.

    Raises:
        ValueError: params that are not stacked, token ids outside the vocabulary, positions past a learned
            table, no tokens at all.
    """
    check_tokens(tokens, config)
    if params.blocks[0].attention.w_q.ndim != 4:
        raise ValueError("these params are not stacked: pass them through layer_scan.stack first")
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    period = min(config.global_every, config.num_layers)
    stacked, left_over = params.blocks[:period], params.blocks[period:]

    def run(x_BTD, blocks: tuple[Block, ...]):
        for kind, block_params in enumerate(blocks):
            mask_BTT = attention_mask(positions, positions, config.window(kind))
            x_BTD = block(block_params, x_BTD, positions, mask_BTT, config.theta(kind), config)
        return x_BTD

    x_BTD = embed_tokens(params.embedding, tokens, positions, config)
    x_BTD, _ = jax.lax.scan(lambda x, blocks: (run(x, blocks), None), x_BTD, stacked)
    return read_out(params, run(x_BTD, left_over), config)
