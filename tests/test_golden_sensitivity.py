"""The goldens would notice: each usual mistake in a port moves their logits far beyond the tolerance.

A comparison that passes says little unless it would fail for a wrong model. Here every single weight, and
every choice that a config makes, is changed on its own.
"""

import golden
import numpy as np
import pytest

from gemma_edu import params as trees
from gemma_edu.config import Activation, ModelConfig, NormKind, NormPlacement, PositionKind
from gemma_edu.params import Params

FAR = 100 * golden.TOLERANCE
"""What a mistake must move some logit by."""
FAR_GELU = 10 * golden.TOLERANCE
"""The exact GELU is the mildest mistake of all: it differs from the tanh form by less than 5e-4."""

GEMMA = ("gemma_mqa", "gemma_mha", "gemma_flax_2b", "gemma_flax_7b", "gemma3")
LLAMA = ("llama2", "llama2_gqa", "olmo")
ROPE = (*GEMMA, *LLAMA)
GROUPED = ("gemma3", "llama2_gqa")


def moved(name: str, params: Params, config: ModelConfig, positions=None) -> float:
    """By how much the NumPy model's logits leave the official ones."""
    _, _, tokens, expected = golden.load(name)
    logits = golden.numpy_transformer.forward(params, tokens, config, positions)
    return golden.difference(logits, expected)


def change(params: Params, config: ModelConfig, ending: str, how) -> Params:
    """The same weights with `how` applied to those whose dotted name ends in `ending`."""
    leaves = trees.to_leaves(params)
    touched = {name: how(leaf) for name, leaf in leaves.items() if name.endswith(ending)}
    assert touched, f"no weight of {config.name} ends in {ending}"
    return trees.from_leaves(leaves | touched, config)


@pytest.mark.parametrize("name", golden.NAMES)
def test_every_weight_shows(name):
    """A norm scale or a bias at its initial value, or a matrix whose first axis is turned by one place."""
    config, params, _, _ = golden.load(name)
    distances = {}
    for leaf in trees.to_leaves(params):
        distances[leaf] = moved(name, change(params, config, leaf, spoil(leaf, config)), config)
    # one vector added to all keys shifts all scores of a query alike, and softmax does not see it
    invisible = [distances.pop(leaf) for leaf in list(distances) if leaf.endswith("b_k")]
    assert max(invisible, default=0) <= golden.TOLERANCE
    assert min(distances.values()) >= FAR, distances


def spoil(leaf: str, config: ModelConfig):
    """What `test_every_weight_shows` does to the weight called `leaf`."""
    kind = leaf.split(".")[-1]
    if kind == "scale":
        neutral = 0.0 if config.norm is NormKind.RMS_UNIT_OFFSET else 1.0
        return lambda array: np.full_like(array, neutral)
    if kind == "bias" or kind.startswith("b_"):
        return np.zeros_like
    return lambda array: np.roll(array, 1, axis=0)


CONFIG_MISTAKES = {
    "exact GELU": (("gpt2", *GEMMA), {"activation": Activation.GELU_EXACT}),
    "SiLU for GELU": (("gpt2", *GEMMA), {"activation": Activation.SILU}),
    "GELU for SiLU": (LLAMA, {"activation": Activation.GELU_TANH}),
    "GELU for ReLU": (("transformer_2017",), {"activation": Activation.GELU_TANH}),
    "unit offset forgotten": (GEMMA, {"norm": NormKind.RMS}),
    "unit offset for Llama": (("llama2", "llama2_gqa"), {"norm": NormKind.RMS_UNIT_OFFSET}),
    "ε ten times larger": (GEMMA, {"norm_epsilon": 1e-5}),
    "ε ten times smaller": ((*LLAMA, "gpt2"), {"norm_epsilon": 1e-6}),
    "embedding not scaled": ((*GEMMA, "transformer_2017"), {"scale_embedding": False}),
    "embedding scaled": ((*LLAMA, "gpt2"), {"scale_embedding": True}),
    "output tied": (LLAMA, {"tie_embedding": True}),
    "another θ": (ROPE, {"rope_theta": 20_000.0}),
    "only one pair of each head turns": (ROPE, {"rope_theta": 1e30}),
    "thetas swapped": (("gemma3",), {"rope_theta": 1e4, "rope_theta_local": 1e6}),
    "one θ for all layers": (("gemma3",), {"rope_theta_local": None}),
    "window one too wide": (("gemma3",), {"window_size": 8}),
    "window one too narrow": (("gemma3",), {"window_size": 6}),
    "another layer global": (("gemma3",), {"global_every": 2}),
    "no window": (("gemma3",), {"window_size": 99}),
    "no QK-norm": (("gemma3",), {"qk_norm": False}),
    "no norm after sublayers": (("gemma3",), {"norm_placement": NormPlacement.PRE}),
    "sinusoids forgotten": (("transformer_2017",), {"position": PositionKind.ROPE}),
    "learned positions forgotten": (("gpt2",), {"position": PositionKind.ROPE}),
}


@pytest.mark.parametrize("mistake", CONFIG_MISTAKES)
def test_every_choice_of_the_config_shows(mistake):
    names, changes = CONFIG_MISTAKES[mistake]
    distances = {}
    for name in names:
        config, params, _, _ = golden.load(name)
        changed = config.replace(**changes)
        distances[name] = moved(name, trees.for_config(params, changed), changed)
    assert min(distances.values()) >= (FAR_GELU if mistake == "exact GELU" else FAR), distances


def swap(params: Params, config: ModelConfig, one: str, other: str) -> Params:
    """The same weights with two of each layer under each other's name."""
    names = {one: other, other: one}
    leaves = {}
    for leaf, array in trees.to_leaves(params).items():
        prefix, _, last = leaf.rpartition(".")
        leaves[f"{prefix}.{names.get(last, last)}"] = array
    return trees.from_leaves(leaves, config)


def swap_gate_and_up(params: Params, config: ModelConfig) -> Params:
    """The two branches of the feed-forward sublayer in each other's place."""
    return swap(params, config, "w_gate", "w_up")


def interleave(params: Params, config: ModelConfig) -> Params:
    """Queries and keys as a rotation of neighbouring pairs would see them."""
    order = np.arange(config.head_dim).reshape(-1, 2).T.ravel()
    turned = change(params, config, "w_q", lambda w: w[..., order])
    return change(turned, config, "w_k", lambda w: w[..., order])


def shuffle_groups(params: Params, config: ModelConfig) -> Params:
    """Query heads dealt to key/value heads in turns (0, 1, 0, 1, …) instead of in runs (0, 0, …, 1, 1, …)."""
    order = np.arange(config.num_heads).reshape(config.num_kv_heads, -1).T.ravel()
    return change(change(params, config, "w_q", lambda w: w[:, order]), config, "w_o", lambda w: w[order])


def roll_heads(params: Params, config: ModelConfig) -> Params:
    """Heads put together in another order than they were taken apart."""
    return change(params, config, "w_o", lambda w: np.roll(w, 1, axis=0))


def swap_keys_and_values(params: Params, config: ModelConfig) -> Params:
    """Keys and values in each other's place."""
    return swap(params, config, "w_k", "w_v")


LAYOUT_MISTAKES = {
    swap_gate_and_up: ROPE,
    interleave: ROPE,
    shuffle_groups: GROUPED,
    roll_heads: golden.NAMES,
    swap_keys_and_values: golden.NAMES,
}


@pytest.mark.parametrize("mistake", LAYOUT_MISTAKES, ids=lambda mistake: mistake.__name__)
def test_every_usual_slip_in_a_layout_shows(mistake):
    distances = {}
    for name in LAYOUT_MISTAKES[mistake]:
        config, params, _, _ = golden.load(name)
        distances[name] = moved(name, mistake(params, config), config)
    assert min(distances.values()) >= FAR, distances


@pytest.mark.parametrize("name", ["gpt2", "transformer_2017"])
def test_absolute_positions_show(name):
    """Counting from 1. RoPE models cannot tell: they see distances only."""
    config, params, tokens, _ = golden.load(name)
    assert (
        moved(name, params, config, np.broadcast_to(np.arange(1, tokens.shape[1] + 1), tokens.shape)) >= FAR
    )


@pytest.mark.parametrize("name", ROPE)
def test_relative_positions_do_not_show(name):
    config, params, tokens, _ = golden.load(name)
    shifted = np.broadcast_to(np.arange(tokens.shape[1]) + 10, tokens.shape)
    assert moved(name, params, config, shifted) <= golden.TOLERANCE


def test_the_mean_of_olmos_norm_shows():
    """RMSNorm in place of LayerNorm: the same but for the mean that OLMo takes off."""
    config, params, _, _ = golden.load("olmo")
    ones = trees.Norm(np.ones(config.embed_dim, np.float32))
    blocks = tuple(block._replace(attention_norm=ones, feedforward_norm=ones) for block in params.blocks)
    rms = params._replace(blocks=blocks, final_norm=ones)
    assert moved("olmo", rms, config.replace(norm=NormKind.RMS)) >= FAR
