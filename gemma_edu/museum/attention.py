"""Bugs of attention's shapes: the size of a head, who reads which keys, and the edge of the window."""

from dataclasses import replace

import jax.numpy as jnp

from gemma_edu import presets
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model.attention import attend, combine
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.museum.exhibit import Exhibit, Hiding, Scene
from gemma_edu.museum.port import Port
from gemma_edu.museum.probes import same_logits

LIKE_2B = presets.TINY_GEMMA_2B.replace(name="toy with N·H = D", embed_dim=96)
"""8 heads of 12 beside a width of 96: as in Gemma 2B, where 8 · 256 = 2048."""
LIKE_7B = presets.TINY_GEMMA_7B.replace(name="toy with N·H = 4/3 D", embed_dim=72)
"""8 heads of 12 beside a width of 72: as in Gemma 7B, where 16 · 256 = 4096 and D = 3072."""
GROUPED = presets.TINY_GROUPED
GEMMA3 = presets.TINY_GEMMA3_270M


def combine_at_width(params, context, config: ModelConfig):
    """What the heads found is written down as D numbers, N heads of D / N."""
    heads = config.num_heads, config.embed_dim // config.num_heads
    return combine(params, context.reshape(*context.shape[:2], *heads), config)


def attend_in_turns(q, k, v, mask):
    """Query head n reads key/value head n % K; it should read n // G."""
    copies = q.shape[2] // k.shape[2]
    return attend(q, jnp.tile(k, (1, 1, copies, 1)), jnp.tile(v, (1, 1, copies, 1)), mask)


def mask_one_too_wide(query_positions, key_positions, window: int | None):
    """The window holds W tokens *before* the query, and the query's own besides."""
    return attention_mask(query_positions, key_positions, None if window is None else window + 1)


def agrees_at_2b_shape(port: Port) -> None:
    """The logits of a toy whose heads together are as wide as the stream."""
    same_logits(port, LIKE_2B, 7)


def agrees_at_7b_shape(port: Port) -> None:
    """The logits of a toy whose heads together are wider than the stream."""
    same_logits(port, LIKE_7B, 7)


def agrees_for_one_and_all(port: Port) -> None:
    """The logits of a toy 2B, with one key/value head, and of a toy 7B, with as many as query heads."""
    same_logits(port, presets.TINY_GEMMA_2B, 7)
    same_logits(port, presets.TINY_GEMMA_7B, 7)


def agrees_for_groups(port: Port) -> None:
    """The logits of a toy in which four query heads share each of two key/value heads."""
    same_logits(port, GROUPED, 7)


def agrees_within_the_window(port: Port) -> None:
    """The logits of as many tokens as the window holds."""
    same_logits(port, GEMMA3, GEMMA3.window_size)


def agrees_past_the_window(port: Port) -> None:
    """The logits of one token more than the window holds."""
    same_logits(port, GEMMA3, GEMMA3.window_size + 1)


DERIVED_HEAD_SIZE = Exhibit(
    name="derived_head_size",
    title="Head size taken for D / N",
    lesson="05_multi_query_attention",
    happened="transformers 4.38.0, the first release with Gemma: the 7B ended in an error of reshape (#29181, #29185; "
    "mended by 4.38.2). elixir-nx/bumblebee #364 ignored weights in silence; TensorRT-LLM #1148, gpt-fast #115, "
    "maxtext #1993.",
    right="context = context.reshape(B, T, N * H)",
    wrong="context = context.reshape(B, T, D)",
    hiding=Hiding.TOY,
    missed="In Gemma 2B N·H = D, 8 · 256 = 2048. In the 7B it is 16 · 256 = 4096 beside 3072.",
    caught="A toy with N·H ≠ D; every axis of a toy should have its own length.",
    port=replace(Port(), combine=combine_at_width),
    weak_test=agrees_at_2b_shape,
    good_test=agrees_at_7b_shape,
    toy=LIKE_7B,
)

KV_HEADS_IN_TURNS = Exhibit(
    name="kv_heads_in_turns",
    title="Code that is right for K = 1",
    lesson="05_multi_query_attention",
    happened="apple/axlearn #842 took back a change (#837) that had dealt key/value heads out in turns; in onnx/onnx "
    "#7274 the reference definition of grouped attention tiled where it should have repeated. No report for Gemma is "
    "known to us.",
    right="k = jnp.repeat(k, N // K, axis=2)",
    wrong="k = jnp.tile(k, (1, 1, N // K, 1))",
    hiding=Hiding.TOY,
    missed="One key/value head broadcasts to all, and N for N heads need no copies. Gemma 2B is the first, the 7B the "
    "second; Gemma 2, and Gemma 3 from 4B up, are neither.",
    caught="A toy with 1 < K < N.",
    port=replace(Port(), attend=attend_in_turns),
    weak_test=agrees_for_one_and_all,
    good_test=agrees_for_groups,
    toy=GROUPED,
    unseen="Gemma 3 270M has K = 1, so every logit is the same.",
)

WINDOW_OFF_BY_ONE = Exhibit(
    name="window_off_by_one",
    title="Window one token too wide",
    lesson="05_multi_query_attention",
    happened="NVIDIA-NeMo/Megatron-Bridge #2656 (2026): FlashAttention counts the tokens before the query, Hugging "
    "Face's sliding_window counts the query too, and Gemma 2, Gemma 3 and Mistral got one token more. "
    "ml-explore/mlx-lm #390 is the same in a mask.",
    right="mask = mask & (query - key < W)",
    wrong="mask = mask & (query - key <= W)",
    hiding=Hiding.SHORT,
    missed="A text of at most 512 tokens lies within the window, whichever it is.",
    caught="W + 1 tokens; in a toy, W is 4.",
    port=replace(Port(), attention_mask=mask_one_too_wide),
    weak_test=agrees_within_the_window,
    good_test=agrees_past_the_window,
    scene=Scene("golden/long_text.txt", tokens=640),
)

EXHIBITS = (DERIVED_HEAD_SIZE, KV_HEADS_IN_TURNS, WINDOW_OFF_BY_ONE)
