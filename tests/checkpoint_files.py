"""Tiny checkpoints of every published format, written without the tables that are under test.

Names and layouts are spelt out here a second time, from the formats' own code, so that a slip
in one place shows.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from gemma_edu import params, presets
from gemma_edu.config import ModelConfig, NormPlacement

GPT2 = presets.TINY_GPT2_124M.replace(embed_dim=24, num_heads=4, num_kv_heads=4, head_dim=6)
"""Published GPT-2 files have no field for the head size: it is D / N."""


def random_params(config: ModelConfig, seed: int = 0) -> params.Params:
    """Params whose every number is another."""
    rng = np.random.default_rng(seed)
    return params.build(config, lambda name, shape: rng.standard_normal(shape).astype(np.float32))


def assert_same(found: params.Params, wanted: params.Params, **tolerance) -> None:
    """Every leaf of two trees is equal."""
    found_leaves, wanted_leaves = params.to_leaves(found), params.to_leaves(wanted)
    assert found_leaves.keys() == wanted_leaves.keys()
    for name, leaf in wanted_leaves.items():
        np.testing.assert_allclose(
            np.asarray(found_leaves[name]), np.asarray(leaf), err_msg=name, **tolerance
        )


def rows(w: np.ndarray) -> np.ndarray:
    """D N H → (N H) D, as torch's Linear keeps it."""
    return np.concatenate([w[:, n].T for n in range(w.shape[1])])


def hugging_face_tensors(tree: params.Params, config: ModelConfig) -> dict[str, np.ndarray]:
    """Gemma, Gemma 3, Llama and OLMo."""
    result = {"model.embed_tokens.weight": tree.embedding.table}
    if tree.embedding.output is not None:
        result["lm_head.weight"] = tree.embedding.output
    if tree.final_norm.scale is not None:
        result["model.norm.weight"] = tree.final_norm.scale
    sandwich = config.norm_placement is NormPlacement.SANDWICH
    for i, block in enumerate(tree.blocks):
        attention, feedforward = block.attention, block.feedforward
        layer = {
            "self_attn.q_proj": rows(attention.w_q),
            "self_attn.k_proj": rows(attention.w_k),
            "self_attn.v_proj": rows(attention.w_v),
            "self_attn.o_proj": np.concatenate(list(attention.w_o)).T,
            "mlp.gate_proj": feedforward.w_gate.T,
            "mlp.up_proj": feedforward.w_up.T,
            "mlp.down_proj": feedforward.w_down.T,
            "self_attn.q_norm": attention.q_norm.scale,
            "self_attn.k_norm": attention.k_norm.scale,
            "input_layernorm": block.attention_norm.scale,
        }
        if sandwich:
            layer["post_attention_layernorm"] = block.post_attention_norm.scale
            layer["pre_feedforward_layernorm"] = block.feedforward_norm.scale
            layer["post_feedforward_layernorm"] = block.post_feedforward_norm.scale
        else:
            layer["post_attention_layernorm"] = block.feedforward_norm.scale
        result |= {f"model.layers.{i}.{k}.weight": v for k, v in layer.items() if v is not None}
    return {name: np.ascontiguousarray(array) for name, array in result.items()}


def gpt2_tensors(tree: params.Params) -> dict[str, np.ndarray]:
    """GPT-2 as the file on the Hub has it: no prefix, and the causal masks."""
    table, positions = tree.embedding.table, tree.embedding.positions
    result = {"wte.weight": table, "wpe.weight": positions}
    result |= {"ln_f.weight": tree.final_norm.scale, "ln_f.bias": tree.final_norm.bias}
    for i, block in enumerate(tree.blocks):
        a, f = block.attention, block.feedforward
        qkv = [rows(w).T for w in (a.w_q, a.w_k, a.w_v)]
        layer = {
            "ln_1.weight": block.attention_norm.scale, "ln_1.bias": block.attention_norm.bias,
            "ln_2.weight": block.feedforward_norm.scale, "ln_2.bias": block.feedforward_norm.bias,
            "attn.c_attn.weight": np.concatenate(qkv, axis=1),
            "attn.c_attn.bias": np.concatenate([b.ravel() for b in (a.b_q, a.b_k, a.b_v)]),
            "attn.c_proj.weight": np.concatenate(list(a.w_o)), "attn.c_proj.bias": a.b_o,
            "mlp.c_fc.weight": f.w_up, "mlp.c_fc.bias": f.b_up,
            "mlp.c_proj.weight": f.w_down, "mlp.c_proj.bias": f.b_down,
            "attn.bias": np.tril(np.ones((1, 1, 4, 4), np.float32)),
            "attn.masked_bias": np.float32(-1e4).reshape(()),
        }  # fmt: skip
        result |= {f"h.{i}.{name}": array for name, array in layer.items()}
    return {name: np.ascontiguousarray(array) for name, array in result.items()}


def write_hugging_face(folder: Path, tensors: dict, values: dict, shards: int = 1) -> Path:
    """A folder in one file or, round robin, in shards with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    home = {name: files[i % shards] for i, name in enumerate(tensors)}
    for file in files:
        save_file({n: t for n, t in tensors.items() if home[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": home}))
    return folder


def interleaved(w: np.ndarray) -> np.ndarray:
    """D N H → (N H) D with the halves of each head shuffled together: llama.cpp's q and k of Llama."""
    half = w.shape[2] // 2
    order = np.stack([np.arange(half), half + np.arange(half)], axis=1).ravel()
    return rows(w[:, :, order])


def write_gguf(
    path: Path, tree: params.Params, config: ModelConfig, kind: str, extra=None, drop=(), more=()
) -> Path:
    """A GGUF file; `extra` may add metadata through the writer, `drop` and `more` change the tensors."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, kind)
    writer.add_name(config.name)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.embed_dim)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.hidden_dim)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    if config.window_size:
        writer.add_rope_freq_base(config.rope_theta)
        writer.add_sliding_window(config.window_size)
    if extra:
        extra(writer)
    tensors = gguf_tensors(tree, kind) | dict(more)
    for name, array in tensors.items():
        if name not in drop:
            writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_tensors(tree: params.Params, kind: str) -> dict[str, np.ndarray]:
    """llama.cpp's names; Gemma's norms with the 1 added."""
    one = np.float32(kind.startswith("gemma"))
    qk = rows if one else interleaved
    result = {"token_embd.weight": tree.embedding.table, "output_norm.weight": tree.final_norm.scale + one}
    if tree.embedding.output is not None:
        result["output.weight"] = tree.embedding.output
    for i, block in enumerate(tree.blocks):
        a, f = block.attention, block.feedforward
        norms = {
            "attn_norm": block.attention_norm, "ffn_norm": block.feedforward_norm, "attn_q_norm": a.q_norm,
            "attn_k_norm": a.k_norm, "post_attention_norm": block.post_attention_norm,
            "post_ffw_norm": block.post_feedforward_norm,
        }  # fmt: skip
        layer = {name: norm.scale + one for name, norm in norms.items() if norm.scale is not None}
        layer |= {"attn_q": qk(a.w_q), "attn_k": qk(a.w_k), "attn_v": rows(a.w_v)}
        layer |= {"attn_output": np.concatenate(list(a.w_o)).T}
        layer |= {"ffn_gate": f.w_gate.T, "ffn_up": f.w_up.T, "ffn_down": f.w_down.T}
        result |= {f"blk.{i}.{name}.weight": array for name, array in layer.items()}
    return result


def flax_tree(tree: params.Params, config: ModelConfig) -> dict[str, dict[str, np.ndarray]]:
    """DeepMind's flat keys."""
    result = {
        "transformer/embedder": {"input_embedding": tree.embedding.table},
        "transformer/final_norm": {"scale": tree.final_norm.scale},
    }
    for i, block in enumerate(tree.blocks):
        a, f = block.attention, block.feedforward
        q, k, v = (w.swapaxes(0, 1) for w in (a.w_q, a.w_k, a.w_v))
        if config.num_heads == config.num_kv_heads:
            layer = {"attn/qkv_einsum": {"w": np.stack([q, k, v])}}
        else:
            layer = {"attn/q_einsum": {"w": q}, "attn/kv_einsum": {"w": np.stack([k, v])}}
        layer |= {
            "attn/attn_vec_einsum": {"w": a.w_o},
            "mlp/gating_einsum": {"w": np.stack([f.w_gate, f.w_up])},
            "mlp/linear": {"w": f.w_down},
            "pre_attention_norm": {"scale": block.attention_norm.scale},
            "pre_ffw_norm": {"scale": block.feedforward_norm.scale},
        }
        result |= {f"transformer/layer_{i}/{name}": leaf for name, leaf in layer.items()}
    return result


def write_flax(folder: Path, tree: dict) -> Path:
    """An orbax folder."""
    import orbax.checkpoint as orbax

    with orbax.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder.resolve(), tree)
    return folder


def torch_state(tree: params.Params, config: ModelConfig) -> dict[str, np.ndarray]:
    """google/gemma_pytorch's state dict."""
    hugging_face = hugging_face_tensors(tree, config)
    result = {"embedder.weight": hugging_face.pop("model.embed_tokens.weight")}
    result["freqs_cis"] = np.ones((6, config.head_dim // 2), np.complex64)
    for i in range(config.num_layers):
        prefix = f"model.layers.{i}.self_attn."
        parts = [hugging_face.pop(f"{prefix}{x}_proj.weight") for x in "qkv"]
        result[f"{prefix}qkv_proj.weight"] = np.concatenate(parts)
    return result | hugging_face
