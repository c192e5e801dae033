"""What each published format calls our weights: one table per format, read by loading and by saving.

Names and layouts come from the formats' own code: Hugging Face `modeling_{gemma,gemma3,llama,olmo,gpt2}.py`,
llama.cpp's `gguf` package, DeepMind's `gemma/params.py` and google/gemma_pytorch's `gemma/model.py`.
"""

from collections.abc import Callable
from dataclasses import replace

from gemma_edu import params
from gemma_edu.checkpoints.layouts import Entry, Join
from gemma_edu.config import ModelConfig, NormKind, NormPlacement

Table = Callable[[ModelConfig], list[Entry]]
"""Every tensor a file of one format holds for a config."""


def one(theirs: str, ours: str, pattern: str, offset: float = 0.0) -> Entry:
    """A tensor that holds one weight."""
    return Entry(theirs, (ours,), (pattern,), offset=offset)


def several(theirs: str, ours: str, patterns: str, join: Join, axis: int = 0) -> Entry:
    """A tensor that holds several weights; `ours` is separated by spaces, `patterns` by commas."""
    return Entry(theirs, tuple(ours.split()), tuple(patterns.split(", ")), join, axis)


def vector(theirs: str, ours: str, offset: float = 0.0) -> Entry:
    """A norm's scale or a bias over the model's width."""
    return one(theirs, ours, "D -> D", offset)


def expand(config: ModelConfig, blocks: list[Entry], layer_name: str, rest: list[Entry]) -> list[Entry]:
    """The whole table: `blocks` once per layer, without the weights that `config` does not have."""
    everything = list(rest)
    for layer in range(config.num_layers):
        prefix = layer_name.format(layer)
        for entry in blocks:
            ours = tuple(f"blocks.{layer}.{name}" for name in entry.ours)
            everything.append(replace(entry, theirs=prefix + entry.theirs, ours=ours))
    wanted = params.shapes(config)
    return [entry for entry in everything if wanted.keys() >= set(entry.ours)]


def hugging_face(config: ModelConfig) -> list[Entry]:
    """Gemma, Gemma 3, Llama and OLMo in Hugging Face's layout: every matrix is [out, in].

    `post_attention_layernorm` is a trap: in Gemma 1 and Llama it stands *before* the feed-forward sublayer,
    in Gemma 3, which has norms on both sides, it stands after attention.
    """
    sandwich = config.norm_placement is NormPlacement.SANDWICH
    before_feedforward = "pre_feedforward_layernorm" if sandwich else "post_attention_layernorm"
    blocks = [
        vector("input_layernorm.weight", "attention_norm.scale"),
        one("self_attn.q_proj.weight", "attention.w_q", "D N H -> (N H) D"),
        one("self_attn.k_proj.weight", "attention.w_k", "D K H -> (K H) D"),
        one("self_attn.v_proj.weight", "attention.w_v", "D K H -> (K H) D"),
        one("self_attn.o_proj.weight", "attention.w_o", "N H D -> D (N H)"),
        one("self_attn.q_norm.weight", "attention.q_norm.scale", "H -> H"),
        one("self_attn.k_norm.weight", "attention.k_norm.scale", "H -> H"),
        vector("post_attention_layernorm.weight", "post_attention_norm.scale"),
        vector(f"{before_feedforward}.weight", "feedforward_norm.scale"),
        one("mlp.gate_proj.weight", "feedforward.w_gate", "D F -> F D"),
        one("mlp.up_proj.weight", "feedforward.w_up", "D F -> F D"),
        one("mlp.down_proj.weight", "feedforward.w_down", "F D -> D F"),
        vector("post_feedforward_layernorm.weight", "post_feedforward_norm.scale"),
    ]
    rest = [
        one("model.embed_tokens.weight", "embedding.table", "V D -> V D"),
        vector("model.norm.weight", "final_norm.scale"),
        one("lm_head.weight", "embedding.output", "V D -> V D"),
    ]
    return expand(config, blocks, "model.layers.{}.", rest)


def gpt2(config: ModelConfig) -> list[Entry]:
    """GPT-2 in Hugging Face's layout: every matrix is [in, out], q, k and v are columns of one matrix."""
    qkv = "attention.w_q attention.w_k attention.w_v"
    norms = [("ln_1", "attention_norm"), ("ln_2", "feedforward_norm")]
    blocks = [
        *[vector(f"{t}.weight", f"{o}.scale") for t, o in norms],
        *[vector(f"{t}.bias", f"{o}.bias") for t, o in norms],
        several("attn.c_attn.weight", qkv, ", ".join(["D N H -> D (N H)"] * 3), Join.CONCATENATED, axis=1),
        several(
            "attn.c_attn.bias", qkv.replace("w_", "b_"), ", ".join(["N H -> (N H)"] * 3), Join.CONCATENATED
        ),
        one("attn.c_proj.weight", "attention.w_o", "N H D -> (N H) D"),
        vector("attn.c_proj.bias", "attention.b_o"),
        one("mlp.c_fc.weight", "feedforward.w_up", "D F -> D F"),
        one("mlp.c_fc.bias", "feedforward.b_up", "F -> F"),
        one("mlp.c_proj.weight", "feedforward.w_down", "F D -> F D"),
        vector("mlp.c_proj.bias", "feedforward.b_down"),
    ]
    rest = [
        one("transformer.wte.weight", "embedding.table", "V D -> V D"),
        one("transformer.wpe.weight", "embedding.positions", "C D -> C D"),
        vector("transformer.ln_f.weight", "final_norm.scale"),
        vector("transformer.ln_f.bias", "final_norm.bias"),
        one("lm_head.weight", "embedding.output", "V D -> V D"),
    ]
    return expand(config, blocks, "transformer.h.{}.", rest)


def gguf(config: ModelConfig) -> list[Entry]:
    """GGUF, the format of llama.cpp: matrices [out, in].

    Gemma's norm scales are stored with their 1 added. Llama's queries and keys are stored for interleaved
    RoPE, which pairs dimension 2r with 2r + 1 where we pair r with R + r; Gemma's are stored as ours.
    """
    gemma = config.norm is NormKind.RMS_UNIT_OFFSET
    add = 1.0 if gemma else 0.0
    q, k = (
        ("D N H -> (N H) D", "D K H -> (K H) D")
        if gemma
        else ("D N (2 R) -> (N R 2) D", "D K (2 R) -> (K R 2) D")
    )
    blocks = [
        vector("attn_norm.weight", "attention_norm.scale", add),
        one("attn_q.weight", "attention.w_q", q),
        one("attn_k.weight", "attention.w_k", k),
        one("attn_v.weight", "attention.w_v", "D K H -> (K H) D"),
        one("attn_output.weight", "attention.w_o", "N H D -> D (N H)"),
        one("attn_q_norm.weight", "attention.q_norm.scale", "H -> H", add),
        one("attn_k_norm.weight", "attention.k_norm.scale", "H -> H", add),
        vector("post_attention_norm.weight", "post_attention_norm.scale", add),
        vector("ffn_norm.weight", "feedforward_norm.scale", add),
        one("ffn_gate.weight", "feedforward.w_gate", "D F -> F D"),
        one("ffn_up.weight", "feedforward.w_up", "D F -> F D"),
        one("ffn_down.weight", "feedforward.w_down", "F D -> D F"),
        vector("post_ffw_norm.weight", "post_feedforward_norm.scale", add),
    ]
    rest = [
        one("token_embd.weight", "embedding.table", "V D -> V D"),
        vector("output_norm.weight", "final_norm.scale", add),
        one("output.weight", "embedding.output", "V D -> V D"),
    ]
    return expand(config, blocks, "blk.{}.", rest)


def kaggle_flax(config: ModelConfig) -> list[Entry]:
    """DeepMind's Flax tree for Gemma 1, the leaf's key last: heads are axes of their own, k and v are
    stacked.

    Where every query head has its own key/value head (7B), q, k and v are one array.
    """
    if config.num_kv_heads == config.num_heads:
        weights = "attention.w_q attention.w_k attention.w_v"
        patterns = "D N H -> N D H, D K H -> K D H, D K H -> K D H"
        attention = [several("attn/qkv_einsum/w", weights, patterns, Join.STACKED)]
    else:
        patterns = "D K H -> K D H, D K H -> K D H"
        attention = [
            one("attn/q_einsum/w", "attention.w_q", "D N H -> N D H"),
            several("attn/kv_einsum/w", "attention.w_k attention.w_v", patterns, Join.STACKED),
        ]
    gate_up = "feedforward.w_gate feedforward.w_up"
    blocks = [
        *attention,
        vector("pre_attention_norm/scale", "attention_norm.scale"),
        vector("pre_ffw_norm/scale", "feedforward_norm.scale"),
        one("attn/attn_vec_einsum/w", "attention.w_o", "N H D -> N H D"),
        several("mlp/gating_einsum/w", gate_up, "D F -> D F, D F -> D F", Join.STACKED),
        one("mlp/linear/w", "feedforward.w_down", "F D -> F D"),
    ]
    rest = [
        one("transformer/embedder/input_embedding", "embedding.table", "V D -> V D"),
        vector("transformer/final_norm/scale", "final_norm.scale"),
    ]
    return expand(config, blocks, "transformer/layer_{}/", rest)


def gemma_pytorch(config: ModelConfig) -> list[Entry]:
    """google/gemma_pytorch for Gemma 1: Hugging Face's layout, with q, k and v as rows of one matrix."""
    qkv = several(
        "self_attn.qkv_proj.weight",
        "attention.w_q attention.w_k attention.w_v",
        "D N H -> (N H) D, D K H -> (K H) D, D K H -> (K H) D",
        Join.CONCATENATED,
    )
    merged = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    kept = [e for e in hugging_face(config) if not any(name in e.theirs for name in merged)]
    return [
        *expand(config, [qkv], "model.layers.{}.", []),
        *[replace(e, theirs=e.theirs.replace("model.embed_tokens", "embedder")) for e in kept],
    ]
