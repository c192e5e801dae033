"""The tree of a model's weights: what exists, in which shape, under which name.

Params are plain named tuples, so NumPy, JAX and a checkpoint file can all hold the same tree: a leaf is an array,
and None where a model has no such weight. `shapes` is the one place that says which weights a config asks for.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gemma_edu.config import ModelConfig, NormKind, NormPlacement, PositionKind

Array = Any
"""A NumPy array, a JAX array, or a stand-in with a shape."""


class Norm(NamedTuple):
    """RMSNorm's or LayerNorm's parameters. Gemma's scale is stored around 0 and applied as 1 + scale."""

    scale: Array | None = None
    bias: Array | None = None


class Attention(NamedTuple):
    """`w_q` D N H, `w_k` and `w_v` D K H, `w_o` N H D; biases N H, K H, K H, D; QK-norm scales H."""

    w_q: Array
    w_k: Array
    w_v: Array
    w_o: Array
    b_q: Array | None = None
    b_k: Array | None = None
    b_v: Array | None = None
    b_o: Array | None = None
    q_norm: Norm = Norm()
    k_norm: Norm = Norm()


class FeedForward(NamedTuple):
    """`w_up` and, where gated, `w_gate` D F; `w_down` F D; biases F and D."""

    w_up: Array
    w_down: Array
    w_gate: Array | None = None
    b_up: Array | None = None
    b_down: Array | None = None


class Block(NamedTuple):
    """One layer. `*_norm` stand before a sublayer, `post_*_norm` after it."""

    attention: Attention
    feedforward: FeedForward
    attention_norm: Norm = Norm()
    post_attention_norm: Norm = Norm()
    feedforward_norm: Norm = Norm()
    post_feedforward_norm: Norm = Norm()


class Embedding(NamedTuple):
    """`table` V D; learned `positions` (context, D); `output` V D where the output matrix is not tied."""

    table: Array
    positions: Array | None = None
    output: Array | None = None


class Params(NamedTuple):
    """A whole model: embedding, blocks in order, final norm."""

    embedding: Embedding
    blocks: tuple[Block, ...]
    final_norm: Norm = Norm()


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every weight the config asks for: dotted name → shape, in the order of the data flow."""
    V, D = config.vocab_size, config.embed_dim
    result: dict[str, tuple[int, ...]] = {"embedding.table": (V, D)}
    if config.position is PositionKind.LEARNED:
        result["embedding.positions"] = (config.context_length, D)
    for layer in range(config.num_layers):
        result |= {f"blocks.{layer}.{name}": shape for name, shape in _block_shapes(config).items()}
    if config.has_final_norm:
        result |= _norm_shapes("final_norm", D, config.norm)
    if not config.tie_embedding:
        result["embedding.output"] = (V, D)
    return result


def _norm_shapes(name: str, size: int, kind: NormKind) -> dict[str, tuple[int, ...]]:
    """One norm's parameters: none, a scale, or a scale and a bias."""
    if kind is NormKind.LAYER_NO_PARAMETERS:
        return {}
    scale = {f"{name}.scale": (size,)}
    return scale | {f"{name}.bias": (size,)} if kind is NormKind.LAYER else scale


def _block_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """One layer's weights, in the order of the data flow."""
    D, N, K = config.embed_dim, config.num_heads, config.num_kv_heads
    H, F = config.head_dim, config.hidden_dim
    before = config.norm_placement is not NormPlacement.POST
    after = config.norm_placement is not NormPlacement.PRE
    result: dict[str, tuple[int, ...]] = {}
    if before:
        result |= _norm_shapes("attention_norm", D, config.norm)
    result |= {f"attention.{name}": shape for name, shape in {
        "w_q": (D, N, H), "w_k": (D, K, H), "w_v": (D, K, H), "w_o": (N, H, D)}.items()}  # fmt: skip
    if config.attention_bias:
        result |= {
            "attention.b_q": (N, H),
            "attention.b_k": (K, H),
            "attention.b_v": (K, H),
            "attention.b_o": (D,),
        }
    if config.qk_norm:
        result |= _norm_shapes("attention.q_norm", H, config.norm) | _norm_shapes(
            "attention.k_norm", H, config.norm
        )
    if after:
        result |= _norm_shapes("post_attention_norm", D, config.norm)
    if before:
        result |= _norm_shapes("feedforward_norm", D, config.norm)
    if config.gated:
        result["feedforward.w_gate"] = (D, F)
    result |= {"feedforward.w_up": (D, F), "feedforward.w_down": (F, D)}
    if config.feedforward_bias:
        result |= {"feedforward.b_up": (F,), "feedforward.b_down": (D,)}
    if after:
        result |= _norm_shapes("post_feedforward_norm", D, config.norm)
    return result


def count(config: ModelConfig) -> dict[str, int]:
    """How many parameters, by component, in closed form (Gemma report, Table 2, counts `total` − `embedding`).

    attention = L (2·D·N·H + 2·D·K·H), feed-forward = L · 3·D·F when gated and 2·D·F when not, norms, biases,
    embedding = V·D, output = V·D unless tied, positions = context·D where learned.
    """
    L, D, N, K = config.num_layers, config.embed_dim, config.num_heads, config.num_kv_heads
    H, F, V = config.head_dim, config.hidden_dim, config.vocab_size
    per_norm = {NormKind.LAYER: 2, NormKind.LAYER_NO_PARAMETERS: 0}.get(config.norm, 1)
    norms = L * (4 if config.norm_placement is NormPlacement.SANDWICH else 2) + config.has_final_norm
    result = {
        "embedding": V * D,
        "positions": config.context_length * D if config.position is PositionKind.LEARNED else 0,
        "attention": L * (2 * D * N * H + 2 * D * K * H + config.attention_bias * (N * H + 2 * K * H + D)),
        "feedforward": L * ((2 + config.gated) * D * F + config.feedforward_bias * (F + D)),
        "norms": per_norm * (norms * D + config.qk_norm * L * 2 * H),
        "output": 0 if config.tie_embedding else V * D,
    }
    return result | {"total": sum(result.values())}


def build(config: ModelConfig, leaf: Callable[[str, tuple[int, ...]], Array]) -> Params:
    """A tree for `config` whose leaf called `name` is `leaf(name, shape)`."""
    return from_leaves({name: leaf(name, shape) for name, shape in shapes(config).items()}, config)


def from_leaves(leaves: Mapping[str, Array], config: ModelConfig) -> Params:
    """The tree whose dotted names are the keys of `leaves`; the inverse of `to_leaves`.

    Raises:
        ValueError: when names are missing or unknown, naming all of them.
    """
    wanted = shapes(config)
    missing, unknown = sorted(wanted.keys() - leaves.keys()), sorted(leaves.keys() - wanted.keys())
    if missing or unknown:
        raise ValueError(f"params of {config.name}: missing {missing or 'none'}, unknown {unknown or 'none'}")

    def subtree(kind, prefix):
        nested = {"attention": Attention, "feedforward": FeedForward, "embedding": Embedding}
        return kind(**{
            field: subtree(nested.get(field, Norm), f"{prefix}{field}.")
            if field in nested or field.endswith("norm") else leaves.get(prefix + field)
            for field in kind._fields
        })  # fmt: skip

    return Params(
        embedding=subtree(Embedding, "embedding."),
        blocks=tuple(subtree(Block, f"blocks.{layer}.") for layer in range(config.num_layers)),
        final_norm=subtree(Norm, "final_norm."),
    )


def for_config(params: Params, config: ModelConfig) -> Params:
    """The same weights without those that `config` has no place for, to try a model with a piece left out.

    Raises:
        ValueError: when `config` asks for weights that are not there, naming all of them.
    """
    wanted = shapes(config)
    return from_leaves({name: leaf for name, leaf in to_leaves(params).items() if name in wanted}, config)


def to_leaves(params: Params) -> dict[str, Array]:
    """The arrays of a tree by dotted name, in the tree's order; weights that do not exist are left out."""
    result: dict[str, Array] = {}

    def walk(node, prefix):
        if isinstance(node, tuple):
            names = getattr(node, "_fields", range(len(node)))
            for name, child in zip(names, node, strict=True):
                walk(child, f"{prefix}{name}.")
        elif node is not None:
            result[prefix[:-1]] = node

    walk(params, "")
    return result
