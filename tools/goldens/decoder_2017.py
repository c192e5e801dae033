"""A tiny decoder of 2017, run by PyTorch's own `nn.TransformerEncoderLayer`.

That layer with a causal mask, norms after each sublayer and ReLU *is* the decoder layer of Vaswani et al.
without its attention to an encoder. PyTorch has neither the paper's embedding nor its positions; both are
written here from the paper's formulas, with Python's own math functions in double precision.

Sizes: B 3, T 21, V 29, D 24 = N·H, N 4, H 6, F 14.
"""

import math

import numpy as np
import torch
from goldens import draw
from torch import nn

LAYERS, WIDTH, HEADS, HIDDEN, EPSILON = 2, 24, 4, 14, 1e-6
HEAD = WIDTH // HEADS


def build(seed: int) -> dict[str, np.ndarray]:
    """The weights drawn from `seed`, under the course's leaf names and in its layout."""

    def matrix(name, shape, fan_in):
        return name, draw.matrix(seed, name, shape, fan_in)

    # smaller embeddings than elsewhere: no norm stands between them and the first layer's attention scores
    leaves = {"embedding.table": draw.table(seed, "embedding.table", (draw.VOCAB, WIDTH), size=0.4)}
    for layer in range(LAYERS):
        block = f"blocks.{layer}."
        leaves |= dict(
            matrix(f"{block}attention.{name}", (WIDTH, HEADS, HEAD), WIDTH) for name in ("w_q", "w_k", "w_v")
        )
        leaves |= dict([
            matrix(f"{block}attention.w_o", (HEADS, HEAD, WIDTH), WIDTH),
            matrix(f"{block}feedforward.w_up", (WIDTH, HIDDEN), WIDTH),
            matrix(f"{block}feedforward.w_down", (HIDDEN, WIDTH), HIDDEN),
        ])  # fmt: skip
        for name, size in (("b_up", HIDDEN), ("b_down", WIDTH)):
            leaves[f"{block}feedforward.{name}"] = draw.bias(seed, block + name, (size,))
        for name in ("post_attention_norm", "post_feedforward_norm"):
            leaves[f"{block}{name}.scale"] = draw.scale(seed, block + name, (WIDTH,), neutral=1.0)
            leaves[f"{block}{name}.bias"] = draw.bias(seed, block + name + "bias", (WIDTH,))
    return leaves


def logits(leaves: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Logits B T V: PyTorch's layers on embeddings × √D + sinusoids; the embedding table as output matrix."""
    table = torch.from_numpy(leaves["embedding.table"])
    length = tokens.shape[1]
    x_BTD = table[torch.from_numpy(tokens).long()] * math.sqrt(WIDTH) + sinusoids(length)
    causal = nn.Transformer.generate_square_subsequent_mask(length)
    with torch.no_grad():
        for layer in range(LAYERS):
            prefix = f"blocks.{layer}."
            own = {
                name.removeprefix(prefix): value for name, value in leaves.items() if name.startswith(prefix)
            }
            x_BTD = _layer(own)(x_BTD, src_mask=causal, is_causal=True)
        return (x_BTD @ table.T).numpy()


def sinusoids(length: int) -> torch.Tensor:
    """Section 3.5: dimension 2i is sin(pos / 10000^(2i/D)), dimension 2i + 1 the cosine of the same angle."""
    rows = []
    for position in range(length):
        angles = [position / 10_000 ** (2 * i / WIDTH) for i in range(WIDTH // 2)]
        rows.append([wave(angle) for angle in angles for wave in (math.sin, math.cos)])
    return torch.tensor(rows, dtype=torch.float32)


def _layer(own: dict[str, np.ndarray]) -> nn.TransformerEncoderLayer:
    """PyTorch's layer holding one block's weights; it stores every matrix as (out, in)."""
    layer = nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        HIDDEN,
        dropout=0.0,
        activation="relu",
        layer_norm_eps=EPSILON,
        batch_first=True,
        norm_first=False,
    ).eval()
    attention = [own[f"attention.{name}"].reshape(WIDTH, WIDTH).T for name in ("w_q", "w_k", "w_v")]
    state = {
        "self_attn.in_proj_weight": np.concatenate(attention),
        "self_attn.in_proj_bias": np.zeros(
            3 * WIDTH, np.float32
        ),  # the paper's projections are plain matrices
        "self_attn.out_proj.weight": own["attention.w_o"].reshape(WIDTH, WIDTH).T,
        "self_attn.out_proj.bias": np.zeros(WIDTH, np.float32),
        "linear1.weight": own["feedforward.w_up"].T,
        "linear1.bias": own["feedforward.b_up"],
        "linear2.weight": own["feedforward.w_down"].T,
        "linear2.bias": own["feedforward.b_down"],
        "norm1.weight": own["post_attention_norm.scale"],
        "norm1.bias": own["post_attention_norm.bias"],
        "norm2.weight": own["post_feedforward_norm.scale"],
        "norm2.bias": own["post_feedforward_norm.bias"],
    }
    layer.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()})
    return layer
