"""Floating-point operations of a model, as formulas by component.

A multiplication and the addition that follows it are two operations. Products of matrices are counted and nothing
else: norms, biases, rotations and activations grow with the widths D and F where products grow with D·F, a softmax
takes a few operations where a score takes 4·H, and looking up an embedding takes none. What products take:

- a weight meets each token in one multiplication and one addition: 2 per weight and token (Kaplan et al. 2020,
  arXiv:2001.08361, section 2.1);
- a query and a key take H multiplications and additions for their score and H more to add up values, in each of the N
  query heads: 4·N·H per pair, in every layer. How many key/value heads there are does not matter.

A causal mask would allow only half of the pairs. Our programs compute all T·T of them and mask afterwards, as most do,
so `forward`, `prefill` and `training` count the full square (as PaLM's 12·L·N·H·T per token of training, Chowdhery et
al. 2022, Appendix B), and `decode` every place of the cache. `pairs_in_sight` counts what the mask lets through: no
program can do with less.
"""

from gemma_edu.compare.amounts import at_least
from gemma_edu.compare.kv_cache import places
from gemma_edu.config import ModelConfig


def count(config: ModelConfig, tokens: int, pairs: int, outputs: int) -> dict[str, int]:
    """FLOPs by component when `tokens` tokens pass the layers, for any shape of the work.

    attention = 2·tokens·L (2·D·N·H + 2·D·K·H), scores = 4·N·H·pairs,
    feed-forward = 2·tokens·L · 3·D·F when gated and 2·D·F when not, output = 2·outputs·D·V.
    `pairs` of a query and a key are summed over layers; `outputs` is at how many tokens logits are asked for.
    """
    L, D, N, K = config.num_layers, config.embed_dim, config.num_heads, config.num_kv_heads
    H, F, V = config.head_dim, config.hidden_dim, config.vocab_size
    result = {
        "attention": 2 * tokens * L * (2 * D * N * H + 2 * D * K * H),
        "scores": 4 * N * H * pairs,
        "feedforward": 2 * tokens * L * (2 + config.gated) * D * F,
        "output": 2 * outputs * D * V,
    }
    return result | {"total": sum(result.values())}


def forward(config: ModelConfig, tokens: int, batch: int = 1) -> dict[str, int]:
    """`jax_model.transformer.forward` on `batch` texts of `tokens` tokens: T·T pairs, logits at every token.

    Divided by batch · tokens, it is the cost of a token.
    """
    at_least(1, tokens=tokens, batch=batch)
    return count(config, batch * tokens, batch * config.num_layers * tokens**2, batch * tokens)


def prefill(config: ModelConfig, tokens: int, batch: int = 1) -> dict[str, int]:
    """`jax_model.kv_cache.prefill` on prompts of `tokens` tokens: T·T pairs, logits after the last token only."""
    at_least(1, tokens=tokens, batch=batch)
    return count(config, batch * tokens, batch * config.num_layers * tokens**2, batch)


def decode(config: ModelConfig, capacity: int, batch: int = 1) -> dict[str, int]:
    """`jax_model.kv_cache.decode`: one more token for each text, with room for `capacity` tokens in its cache.

    The token's query meets every place of a layer's cache, filled or not, and its own key. (On a CPU it meets only
    blocks that hold something: while a cache is not full, that is less.)
    """
    at_least(1, batch=batch)
    pairs = sum(kept + 1 for kept in places(config, capacity))
    return count(config, batch, batch * pairs, batch)


def training(config: ModelConfig, tokens: int, batch: int = 1) -> dict[str, int]:
    """A step of training on `batch` texts of `tokens` tokens: three times `forward`.

    Of y = x·W, the way back needs dx = dy·Wᵀ and dW = xᵀ·dy, which cost as much as y each; the same holds for scores
    and values. Activations that are computed again to save memory (`jax.checkpoint`) come on top.
    """
    return {name: 3 * amount for name, amount in forward(config, tokens, batch).items()}


def pairs_in_sight(config: ModelConfig, tokens: int, context: int = 0) -> int:
    """Pairs of a query and a key that mask and windows let through, when a text of `context` gets `tokens` more.

    A query at position p sees min(p + 1, W) keys. Summed over the new positions and over layers.
    """
    at_least(0, tokens=tokens, context=context)

    def up_to(positions: int, window: int) -> int:
        ramp = min(positions, window)
        return ramp * (ramp + 1) // 2 + (positions - ramp) * window

    end = context + tokens
    windows = [config.window(layer) or end for layer in range(config.num_layers)]
    return sum(up_to(end, window) - up_to(context, window) for window in windows)
