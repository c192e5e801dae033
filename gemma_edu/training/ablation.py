"""Gemma, Gemma with one choice taken from another model, and the other models whole: as many weights, the same tokens.

Here and not in `gemma_edu.compare`, because what sets models apart is data there, and here they are trained. What came
out is stored in `data/ablation.csv`, which `ablation_rows` reads; `python tools/ablation.py` makes it again.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax

from gemma_edu import course_data, presets
from gemma_edu.config import Activation, ModelConfig, NormKind, NormPlacement, PositionKind
from gemma_edu.jax_model.params import init
from gemma_edu.params import count
from gemma_edu.tokenizer.training import train as train_tokenizer
from gemma_edu.training import data
from gemma_edu.training.ablation_rows import Row
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.loop import evaluate
from gemma_edu.training.step import start, train_step

BATCH, LENGTH = 8, 64
"""Rows of a batch, and predictions in a row."""
STEPS, EVERY = 250, 25
"""Steps of a run, and how many of them stand between two rows of the table."""
LEARNING_RATES = (1e-2, 2e-2)
"""A choice may need another learning rate than Gemma does: whole models are trained at both."""
REPEATED = (
    "post-norm",
    "learned-positions",
    "sinusoids",
    "relu-no-gate",
    "multi-head",
    "biases",
    "untied",
    "unscaled",
)
"""The single choices whose interval leaves 0 out at the first learning rate. They are trained at the second as well."""
SEEDS = (0, 1, 2, 3, 4)
HELD_OUT = 100
"""Of the corpus' 1,000 documents."""
TOLERANCE = 0.01
"""By how much of itself the number of weights may differ from Gemma's."""

SIZES = {
    "vocab_size": 512,
    "embed_dim": 64,
    "num_layers": 2,
    "num_heads": 4,
    "head_dim": 16,
    "context_length": LENGTH,
}
GEMMA = presets.GEMMA_2B.replace(name="gemma", **SIZES, hidden_dim=256)


class Variant(NamedTuple):
    """One model of the ablation."""

    name: str
    whose: str
    """The model that makes this choice."""
    what: str
    """The choice, in a few words."""
    config: ModelConfig
    learning_rates: tuple[float, ...] = LEARNING_RATES


def fitted(config: ModelConfig) -> ModelConfig:
    """The config with the `hidden_dim` that brings it nearest to Gemma's number of weights.

    One that is within TOLERANCE already is left as it is, so that it keeps Gemma's shapes.

    Raises:
        ValueError: when no `hidden_dim` does it, naming the model and both numbers.
    """
    wanted, total = count(GEMMA)["total"], count(config)["total"]
    if abs(total - wanted) > TOLERANCE * wanted:
        narrow, wider = (count(config.replace(hidden_dim=width))["total"] for width in (1, 2))
        config = config.replace(hidden_dim=max(1, 1 + round((wanted - narrow) / (wider - narrow))))
        total = count(config)["total"]
    if abs(total - wanted) > TOLERANCE * wanted:
        raise ValueError(f"{config.name}: {total:,} weights at best, Gemma has {wanted:,}: take other sizes")
    return config


def _one(name: str, whose: str, what: str, **changes) -> Variant:
    """Gemma with some fields changed."""
    rates = LEARNING_RATES if name in REPEATED else LEARNING_RATES[:1]
    return Variant(name, whose, what, fitted(GEMMA.replace(name=name, **changes)), rates)


def _whole(name: str, preset: ModelConfig) -> Variant:
    """All choices of another model, in Gemma's sizes."""
    sizes = SIZES | {"num_kv_heads": SIZES["num_heads"], "hidden_dim": GEMMA.hidden_dim}
    return Variant(name, preset.name, "all choices", fitted(preset.replace(name=name, **sizes)))


CHOICES = (
    _one("epsilon", "Llama 2", "ε of 1e-5", norm_epsilon=1e-5),
    _one("plain-rmsnorm", "Llama 2", "RMSNorm without unit offset", norm=NormKind.RMS),
    _one("bare-layernorm", "OLMo", "LayerNorm, nothing to learn", norm=NormKind.LAYER_NO_PARAMETERS),
    _one("layernorm", "GPT-2", "LayerNorm with scale and bias", norm=NormKind.LAYER),
    _one("post-norm", "2017", "norms after the sum", norm_placement=NormPlacement.POST),
    _one("learned-positions", "GPT-2", "learned positions", position=PositionKind.LEARNED),
    _one("sinusoids", "2017", "sinusoids", position=PositionKind.SINUSOIDAL),
    _one("exact-gelu", "some ports", "exact GELU", activation=Activation.GELU_EXACT),
    _one("swiglu", "Llama 2", "SiLU in the gate", activation=Activation.SILU),
    _one("no-gate", "GPT-2", "GELU without a gate", gated=False),
    _one("relu-no-gate", "2017", "ReLU without a gate", gated=False, activation=Activation.RELU),
    _one("multi-head", "Llama 2", "a key head for each query head", num_kv_heads=SIZES["num_heads"]),
    _one("biases", "GPT-2", "biases everywhere", attention_bias=True, feedforward_bias=True),
    _one("untied", "Llama 2", "an output matrix of its own", tie_embedding=False),
    _one("unscaled", "Llama 2", "embeddings not times √D", scale_embedding=False),
)
"""Gemma with one choice replaced."""

FAMILIES = (
    _whole("llama2", presets.LLAMA2_7B),
    _whole("olmo", presets.OLMO_7B),
    _whole("gpt2", presets.GPT2_124M),
    _whole("transformer", presets.TRANSFORMER_BASE),
)
"""The others, whole. Every one has a key head for each query head, and Gemma one for all."""

VARIANTS = (Variant("gemma", "Gemma", "all choices", GEMMA), *CHOICES, *FAMILIES)


def named(name: str) -> Variant:
    """The variant of that name.

    Raises:
        ValueError: when there is none, naming those that are.
    """
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    raise ValueError(f"no variant {name!r}; there are {', '.join(variant.name for variant in VARIANTS)}")


@functools.cache
def documents() -> data.Split:
    """The course's corpus in tokens of a vocabulary learned from all of it; the same split for every seed."""
    text = course_data.path("corpus.txt").read_text(encoding="utf-8")
    encoded = data.encode(text.strip().split("\n\n"), train_tokenizer([text], vocab_size=SIZES["vocab_size"]))
    return data.split(encoded, HELD_OUT)


def training(learning_rate: float) -> TrainingConfig:
    """The settings of every run: AdamW, a tenth of the steps to warm up, a cosine down."""
    return TrainingConfig(steps=STEPS, warmup_steps=STEPS // 10, learning_rate=learning_rate)


def curve(variant: Variant, learning_rate: float, seed: int) -> Iterator[Row]:
    """Train a variant, and tell the losses before the first step and after every EVERY steps.

    The seed decides the order of the documents, for every variant alike, and the initial weights; these are the same
    numbers in two variants whose weights have the same names and shapes. Stop early with `itertools.islice`.
    """
    settings, split = training(learning_rate), documents()
    held_out = data.padded(split.held_out, BATCH, LENGTH)
    state = start(init(jax.random.key(seed), variant.config), settings)
    losses: list[jax.Array] = []
    for step, batch in enumerate(data.batches(split.train, BATCH, LENGTH, seed)):
        if step % EVERY == 0:
            mean = sum(map(float, losses)) / len(losses) if losses else None
            loss = evaluate(state.params, held_out, variant.config, settings)
            yield Row(variant.name, learning_rate, seed, step, mean, loss)
            losses.clear()
        if step == STEPS:
            return
        state, metrics = train_step(state, batch, variant.config, settings)
        losses.append(metrics.loss)
