"""A config.json that asks for what the course does not compute is refused, field by field."""

import numpy as np
import pytest
from checkpoint_files import GPT2, hugging_face_tensors, random_params, write_hugging_face

from gemma_edu import checkpoints, presets
from gemma_edu.checkpoints import CheckpointError
from gemma_edu.checkpoints import hugging_face_config as families

GEMMA, LLAMA = presets.TINY_GEMMA_2B, presets.TINY_LLAMA2_7B


def fields_of(config):
    return families.write(config, families.choose(config))


def folder_of(path, config=GEMMA, **fields):
    """A good folder of `config` with other config fields."""
    tensors = hugging_face_tensors(random_params(config), config)
    return write_hugging_face(path, tensors, fields_of(config) | fields)


def message(source):
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(source)
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", '{"architectures": "GemmaForCausalLM"}'])
def test_broken_config_json(tmp_path, text):
    folder_of(tmp_path)
    (tmp_path / "config.json").write_text(text)
    assert "config.json" in message(tmp_path)


def test_unknown_architecture(tmp_path):
    text = message(folder_of(tmp_path, architectures=["MambaForCausalLM"]))
    assert "MambaForCausalLM" in text and "GPT2LMHeadModel" in text


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (LLAMA, "attention_bias", True),
        (LLAMA, "mlp_bias", True),
        (LLAMA, "rope_scaling", {"type": "linear", "factor": 2.0}),
        (LLAMA, "rope_parameters", {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}),
        (LLAMA, "partial_rotary_factor", 0.5),
        (LLAMA, "hidden_act", "mish"),
        (LLAMA, "quantization_config", {"bits": 4}),
        (LLAMA, "surprise", 0),
        (presets.TINY_OLMO_7B, "clip_qkv", 8.0),
        (GEMMA, "hidden_activation", "silu"),
        (GEMMA, "use_bidirectional_attention", True),
        (presets.TINY_GEMMA3_270M, "final_logit_softcapping", 30.0),
        (presets.TINY_GEMMA3_270M, "attn_logit_softcapping", 50.0),
        (presets.TINY_GEMMA3_270M, "query_pre_attn_scalar", 168),
        (presets.TINY_GEMMA3_270M, "layer_types", ["full_attention", "sliding_attention"]),
        (
            presets.TINY_GEMMA3_270M,
            "rope_parameters",
            {"full_attention": {"rope_type": "linear", "factor": 8.0}},
        ),
    ],
)
def test_fields_that_would_be_ignored_are_refused_by_name(tmp_path, config, field, value):
    assert field in message(folder_of(tmp_path, config, **{field: value}))


@pytest.mark.parametrize("field", ["scale_attn_by_inverse_layer_idx", "add_cross_attention"])
def test_gpt2_fields(tmp_path, field):
    write_hugging_face(tmp_path, {"x": np.ones(1)}, fields_of(GPT2) | {field: True})
    assert field in message(tmp_path)


def test_missing_and_impossible_sizes(tmp_path):
    values = fields_of(GEMMA)
    del values["hidden_size"], values["vocab_size"]
    write_hugging_face(tmp_path, {"x": np.ones(1)}, values)
    assert "lacks vocab_size, hidden_size" in message(tmp_path)
    assert "num_attention_heads = 0" in message(folder_of(tmp_path, num_attention_heads=0))
    assert "vocab_size = '11'" in message(folder_of(tmp_path, vocab_size="11"))
    assert "num_kv_heads = 3" in message(folder_of(tmp_path, num_key_value_heads=3))


def test_an_encoder_decoder_is_refused(tmp_path):
    write_hugging_face(tmp_path, {"x": np.ones(1)}, fields_of(LLAMA) | {"is_encoder_decoder": True})
    with pytest.raises(CheckpointError, match=r"is_encoder_decoder = True \(accepted: False\)"):
        checkpoints.load(tmp_path)


def test_settings_of_generation_and_other_bookkeeping_are_let_through(tmp_path):
    spare = {"max_length": 4096, "temperature": 0.6, "do_sample": True, "tokenizer_class": "LlamaTokenizer"}
    write_hugging_face(tmp_path, hugging_face_tensors(random_params(LLAMA), LLAMA), fields_of(LLAMA) | spare)
    assert checkpoints.load(tmp_path).config.replace(name=LLAMA.name) == LLAMA


def test_a_theta_beside_the_kind_of_scaling_counts(tmp_path):
    scaling = {"rope_scaling": {"rope_type": "default", "rope_theta": 500_000.0}}
    fields = {name: value for name, value in fields_of(LLAMA).items() if name != "rope_theta"} | scaling
    write_hugging_face(tmp_path, hugging_face_tensors(random_params(LLAMA), LLAMA), fields)
    assert checkpoints.load(tmp_path).config.rope_theta == 500_000.0
