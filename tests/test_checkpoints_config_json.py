"""config.json, in every spelling that is in use, gives the config it describes."""

import pytest
from checkpoint_files import GPT2

from gemma_edu import presets
from gemma_edu.checkpoints import hugging_face_config as families

OLD_GEMMA = {
    "architectures": ["GemmaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 2,
    "eos_token_id": 1, "head_dim": 256, "hidden_act": "gelu", "hidden_activation": None, "hidden_size": 3072,
    "initializer_range": 0.02, "intermediate_size": 24576, "max_position_embeddings": 8192,
    "model_type": "gemma",
    "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 16, "pad_token_id": 0,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
    "transformers_version": "4.38.0.dev0", "use_cache": True, "vocab_size": 256000,
}  # fmt: skip
GEMMA3 = {
    "architectures": ["Gemma3ForCausalLM"], "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 640, "intermediate_size": 2048, "max_position_embeddings": 32768, "num_attention_heads": 4,
    "num_hidden_layers": 18, "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
    "sliding_window": 512, "vocab_size": 262144, "attn_logit_softcapping": None,
}  # fmt: skip
OLD_ROPE = {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": None}
NEW_ROPE = {
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
}


@pytest.mark.parametrize(
    "rope", [OLD_ROPE, NEW_ROPE, {}], ids=["transformers 4", "transformers 5", "defaults"]
)
@pytest.mark.parametrize("pattern", [{"_sliding_window_pattern": 6}, {"sliding_window_pattern": 6}, {}])
def test_spellings_of_gemma3(rope, pattern):
    found = families.read(GEMMA3 | rope | pattern, families.find(GEMMA3, "x"), "Gemma 3 270M", "x")
    assert found == presets.GEMMA3_270M


def test_gemma1_says_gelu_and_means_tanh():
    assert families.read(OLD_GEMMA, families.find(OLD_GEMMA, "x"), "Gemma 7B", "x") == presets.GEMMA_7B


def test_llama_in_the_spelling_of_transformers_5():
    values = {
        "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "intermediate_size": 11008, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
        "pretraining_tp": 1, "mlp_bias": False, "dtype": "float16",
    }  # fmt: skip
    assert families.read(values, families.find(values, "x"), "Llama 2 7B", "x") == presets.LLAMA2_7B


@pytest.mark.parametrize(
    "config", [*presets.FULL_SIZE[:7], *presets.TINY[:5], GPT2], ids=lambda config: config.name
)
def test_config_json_round_trips(config):
    family = families.choose(config)
    assert families.read(families.write(config, family), family, config.name, "config.json") == config
