"""config.json of Hugging Face ↔ `ModelConfig`, one entry per family of models.

A family is a preset (its choices) plus sizes (from the file). Sources:
`configuration_{gemma,gemma3,llama,olmo,gpt2}.py` of transformers 4 and 5, whose defaults count where a file
leaves a field out.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from gemma_edu import presets
from gemma_edu.checkpoints import names
from gemma_edu.checkpoints.errors import CheckpointError
from gemma_edu.checkpoints.fields import Fields, Value
from gemma_edu.checkpoints.rope_fields import take_thetas
from gemma_edu.config import Activation, ModelConfig

ACTIVATIONS = {
    "gelu_pytorch_tanh": Activation.GELU_TANH,
    "gelu_new": Activation.GELU_TANH,
    "gelu": Activation.GELU_EXACT,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "relu": Activation.RELU,
}

LLAMA_SIZES = {
    "vocab_size": "vocab_size",
    "hidden_size": "embed_dim",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "hidden_dim",
    "max_position_embeddings": "context_length",
}
GPT2_SIZES = {
    "vocab_size": "vocab_size",
    "n_embd": "embed_dim",
    "n_layer": "num_layers",
    "n_head": "num_heads",
    "n_positions": "context_length",
}
HARMLESS = set(
    "architectures model_type transformers_version dtype torch_dtype _name_or_path initializer_range "
    "use_cache pretraining_tp output_attentions output_hidden_states return_dict cache_implementation "
    "task_specific_params id2label label2id problem_type chunk_size_feed_forward n_ctx tokenizer_class "
    "reorder_and_upcast_attn attn_implementation _attn_implementation _attn_implementation_autoset "
    "gradient_checkpointing auto_map torchscript unsloth_version max_length min_length do_sample num_beams "
    "temperature top_k top_p typical_p repetition_penalty no_repeat_ngram_size num_return_sequences".split()
)
"""Bookkeeping, and choices that change speed or training but not what the model computes."""


def harmless(name: str) -> bool:
    """Whether a field of config.json may be left unread."""
    endings = ("_token_id", "_dropout", "_pdrop")
    return name in HARMLESS or name.endswith(endings) or name.startswith("summary_")


@dataclass(frozen=True)
class Family:
    """How one `…ForCausalLM` writes its config.

    `preset` gives the choices, `sizes` the names of sizes (theirs → ours), `only` the fields that must keep a
    value, `epsilon` and `activation` the names of those two (a second name is another spelling), None where
    fixed.
    """

    architecture: str
    model_type: str
    preset: ModelConfig
    sizes: Mapping[str, str]
    only: Mapping[str, tuple[Value, ...]]
    epsilon: str | None
    activation: tuple[str, ...]
    table: names.Table = names.hugging_face


NO_BIAS = {"attention_bias": (False,)}
ONE_WAY = NO_BIAS | {"use_bidirectional_attention": (False,)}
FAMILIES = (
    Family("GemmaForCausalLM", "gemma", presets.GEMMA_2B, LLAMA_SIZES, ONE_WAY, "rms_norm_eps", ()),
    Family(
        "Gemma3ForCausalLM", "gemma3_text", presets.GEMMA3_270M, LLAMA_SIZES, ONE_WAY, "rms_norm_eps",
        ("hidden_activation",),
    ),
    Family(
        "LlamaForCausalLM", "llama", presets.LLAMA2_7B, LLAMA_SIZES, NO_BIAS | {"mlp_bias": (False,)},
        "rms_norm_eps", ("hidden_act",),
    ),
    Family("OlmoForCausalLM", "olmo", presets.OLMO_7B, LLAMA_SIZES, NO_BIAS, None, ("hidden_act",)),
    Family(
        "GPT2LMHeadModel", "gpt2", presets.GPT2_124M, GPT2_SIZES,
        {
            "scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
        },
        "layer_norm_epsilon", ("activation_function",), names.gpt2,
    ),
)  # fmt: skip


def find(values: Mapping[str, Value], where: str) -> Family:
    """The family that config.json names.

    Raises:
        CheckpointError: for one that is not among `FAMILIES`.
    """
    architectures = values.get("architectures")
    found = (
        architectures[0] if isinstance(architectures, list) and architectures else values.get("model_type")
    )
    for family in FAMILIES:
        if found in (family.architecture, family.model_type):
            return family
    known = ", ".join(family.architecture for family in FAMILIES)
    raise CheckpointError(f"{where} describes {found or 'no architecture'}; this course reads {known}")


def read(values: Mapping[str, Value], family: Family, name: str, where: str) -> ModelConfig:
    """The config that a config.json describes.

    Raises:
        CheckpointError: for missing sizes, and for every field that would change the computation and that
            `ModelConfig` cannot express, all named at once.
    """
    fields = Fields(values, where)
    fields.require(family.sizes)
    found = {ours: fields.take(theirs) for theirs, ours in family.sizes.items()}
    found["tie_embedding"] = fields.take("tie_word_embeddings", default=family.preset.tie_embedding)
    for field, allowed in family.only.items():
        fields.only(field, *allowed)
    fields.only("is_encoder_decoder", False)
    gemma = family.preset.scale_embedding
    per_head = found["embed_dim"] // found["num_heads"]
    if family.epsilon:
        found["norm_epsilon"] = fields.take(
            family.epsilon, default=1e-5 if family.table is names.gpt2 else 1e-6
        )
    _read_activation(fields, family, found)
    if family.table is names.gpt2:
        found["num_kv_heads"], found["head_dim"] = found["num_heads"], per_head
        found["hidden_dim"] = fields.take("n_inner", default=4 * found["embed_dim"])
    else:
        found["num_kv_heads"] = fields.take("num_key_value_heads", default=found["num_heads"])
        found["head_dim"] = fields.take("head_dim", default=256 if gemma else per_head)
        _read_positions(fields, family, found)
    fields.finish(harmless)
    return family.preset.replace(name=name, **found)


def _read_activation(fields: Fields, family: Family, found: dict[str, Value]) -> None:
    """The nonlinearity. Gemma 1's files say "gelu" and have always meant its tanh form."""
    if not family.activation:
        for name in ("hidden_act", "hidden_activation"):
            fields.only(name, "gelu_pytorch_tanh", "gelu")
        return
    default = next(key for key, value in ACTIVATIONS.items() if value is family.preset.activation)
    value = fields.take(*family.activation, default=default)
    if value not in ACTIVATIONS:
        fields.refuse(f"{family.activation[0]} = {value!r} (accepted: {', '.join(ACTIVATIONS)})")
    found["activation"] = ACTIVATIONS.get(value, family.preset.activation)


def _read_positions(fields: Fields, family: Family, found: dict[str, Value]) -> None:
    """RoPE's bases and, for Gemma 3, which layers have a sliding window."""
    preset = family.preset
    found["rope_theta"], local = take_thetas(fields, preset.rope_theta, preset.rope_theta_local)
    if preset.window_size is None:
        return
    fields.only("query_pre_attn_scalar", found["head_dim"])
    pattern = fields.take("sliding_window_pattern", "_sliding_window_pattern", default=preset.global_every)
    window, layers = fields.take("sliding_window", default=4096), found["num_layers"]
    types = fields.take("layer_types") or [_layer_type(i, pattern) for i in range(layers)]
    every = next(
        (i + 1 for i, kind in enumerate(types) if kind == "full_attention"), max(pattern, layers + 1)
    )
    if list(types) != [_layer_type(i, every) for i in range(layers)]:
        fields.refuse(f"layer_types = {types!r} (accepted: one per layer, every n-th 'full_attention')")
    if every == 1:
        window = local = None
    found.update(window_size=window, global_every=every, rope_theta_local=local)


def _layer_type(layer: int, every: int) -> str:
    """Hugging Face's word for what `ModelConfig.is_local` says."""
    return "sliding_attention" if (layer + 1) % every else "full_attention"


def write(config: ModelConfig, family: Family) -> dict[str, Value]:
    """The fields of config.json for `config`, in the spelling that transformers 4 and 5 both read."""
    result: dict[str, Value] = {"architectures": [family.architecture], "model_type": family.model_type}
    result |= {theirs: getattr(config, ours) for theirs, ours in family.sizes.items()}
    result |= {"tie_word_embeddings": config.tie_embedding}
    result |= {name: allowed[0] for name, allowed in family.only.items()}
    if family.epsilon:
        result[family.epsilon] = config.norm_epsilon
    spellings = {value: name for name, value in reversed(ACTIVATIONS.items())}
    if family.activation:
        result |= {name: spellings[config.activation] for name in family.activation}
    else:
        result |= dict.fromkeys(("hidden_act", "hidden_activation"), "gelu_pytorch_tanh")
    if family.table is names.gpt2:
        return result | {"n_inner": config.hidden_dim}
    result |= {"head_dim": config.head_dim, "num_key_value_heads": config.num_kv_heads}
    result["rope_theta"] = config.rope_theta
    if family.preset.window_size is not None:
        every = config.global_every
        result |= {
            "query_pre_attn_scalar": config.head_dim,
            "sliding_window": config.window_size,
            "sliding_window_pattern": every,
            "layer_types": [_layer_type(i, every) for i in range(config.num_layers)],
            "rope_local_base_freq": config.rope_theta_local or config.rope_theta,
        }
    return result


def choose(config: ModelConfig) -> Family:
    """The family whose config.json can express `config`: what is written must read back as the same config.

    Raises:
        CheckpointError: when there is none, naming the nearest and the fields it cannot express.
    """
    lost = [(family, _lost(config, family)) for family in FAMILIES]
    family, fields = min(lost, key=lambda item: len(item[1]))
    if fields:
        raise CheckpointError(
            f"no published format expresses {config.name}: the nearest, {family.architecture}, has no "
            f"{', '.join(f'{field} = {getattr(config, field)!r}' for field in fields)}. Nothing was written"
        )
    return family


def _lost(config: ModelConfig, family: Family) -> list[str]:
    """The fields of `config` that writing and reading back would change."""
    if config.window_size is not None and config.rope_theta_local is None:
        config = config.replace(rope_theta_local=config.rope_theta)
    try:
        again = read(write(config, family), family, config.name, "config.json")
    except ValueError as error:
        return [field.name for field in dataclasses.fields(config)] + [str(error)]
    fields = [field.name for field in dataclasses.fields(config)]
    return [field for field in fields if getattr(again, field) != getattr(config, field)]
