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


def count(config: ModelConfig, kept: int, asked: int, pairs: int, outputs: int) -> dict[str, int]:
    """FLOPs by component, for any shape of the work.

    attention = 4·D·N·H·asked + 4·D·K·H·kept, scores = 4·N·H·pairs,
    feed-forward = 2·asked · 3·D·F when gated and 2·D·F when not, output = 2·outputs·D·V.
    Summed over layers: `kept` is at how many tokens keys and values are made, `asked` at how many there are queries
    and all that follows from them, and `pairs` are those of a query and a key. `outputs` is at how many tokens logits
    are asked for.
    """
    D, N, K = config.embed_dim, config.num_heads, config.num_kv_heads
    H, F, V = config.head_dim, config.hidden_dim, config.vocab_size
    result = {
        "attention": 4 * D * N * H * asked + 4 * D * K * H * kept,
        "scores": 4 * N * H * pairs,
        "feedforward": 2 * asked * (2 + config.gated) * D * F,
        "output": 2 * outputs * D * V,
    }
    return result | {"total": sum(result.values())}


def forward(config: ModelConfig, tokens: int, batch: int = 1) -> dict[str, int]:
    """`jax_model.transformer.forward` on `batch` texts of `tokens` tokens: T·T pairs, logits at every token.

    Divided by batch · tokens, it is the cost of a token.
    """
    at_least(1, tokens=tokens, batch=batch)
    everywhere = batch * config.num_layers * tokens
    return count(config, everywhere, everywhere, everywhere * tokens, batch * tokens)


def prefill(config: ModelConfig, tokens: int, batch: int = 1) -> dict[str, int]:
    """`jax_model.kv_cache.prefill` on prompts of `tokens` tokens: T·T pairs, logits after the last token only."""
    at_least(1, tokens=tokens, batch=batch)
    pairs = ((config.num_layers - 1) * tokens + 1) * tokens
    return _to_the_next_token(config, tokens, pairs, batch)


def decode(config: ModelConfig, capacity: int, batch: int = 1) -> dict[str, int]:
    """`jax_model.kv_cache.decode`: one more token for each text, with room for `capacity` tokens in its cache.

    The token's query meets every place of a layer's cache, filled or not, and its own key. (On a CPU it meets only
    blocks that hold something: while a cache is not full, that is less.)
    """
    at_least(1, batch=batch)
    pairs = sum(kept + 1 for kept in places(config, capacity))
    return _to_the_next_token(config, 1, pairs, batch)


def least(config: ModelConfig, tokens: int, batch: int = 1, context: int = 0) -> dict[str, int]:
    """What no program can do without when texts of `context` tokens get `tokens` more: `pairs_in_sight` alone."""
    at_least(1, tokens=tokens, batch=batch)
    return _to_the_next_token(config, tokens, pairs_in_sight(config, tokens, context), batch)


def _to_the_next_token(config: ModelConfig, tokens: int, pairs: int, batch: int) -> dict[str, int]:
    """`tokens` more of each text, as far as the token after them depends on it.

    Nobody reads what the last layer would make of any but the last: of those it makes keys and values alone.
    """
    L = config.num_layers
    return count(config, batch * L * tokens, batch * ((L - 1) * tokens + 1), batch * pairs, batch)


def training(config: ModelConfig, tokens: int, batch: int = 1) -> dict[str, int]:
    """A step of training on `batch` texts of `tokens` tokens: three times `forward`.

    Of y = x·W, the way back needs dx = dy·Wᵀ and dW = xᵀ·dy, which cost as much as y each; the same holds for scores
    and values. Activations that are computed again to save memory (`jax.checkpoint`) come on top.
    """
    return {name: 3 * amount for name, amount in forward(config, tokens, batch).items()}


def pairs_in_sight(config: ModelConfig, tokens: int, context: int = 0) -> int:
    """Pairs of a query and a key that mask and windows let through, when a text of `context` gets `tokens` more.

    A query at position p sees min(p + 1, W) keys. Summed over layers and the new positions; of the last layer, the
    last position alone, on which the next token depends.
    """
    at_least(0, tokens=tokens, context=context)

    def up_to(positions: int, window: int) -> int:
        ramp = min(positions, window)
        return ramp * (ramp + 1) // 2 + (positions - ramp) * window

    end, last = context + tokens, config.num_layers - 1
    windows = [config.window(layer) or end for layer in range(config.num_layers)]
    starts = [context] * last + [max(context, end - 1)]
    return sum(
        up_to(end, window) - up_to(start, window) for start, window in zip(starts, windows, strict=True)
    )
