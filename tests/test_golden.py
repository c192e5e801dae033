"""NumPy == JAX == the official implementations, on tiny random models of every family; without PyTorch."""

import golden
import numpy as np
import pytest

from gemma_edu.config import Activation, NormKind, NormPlacement, PositionKind


@pytest.mark.parametrize("name", golden.NAMES)
@pytest.mark.parametrize("backend", golden.BACKENDS)
def test_equals_the_official_logits(name, backend):
    config, params, tokens, expected = golden.load(name)
    logits = golden.BACKENDS[backend](params, tokens, config)
    assert logits.dtype == np.float32
    assert golden.difference(logits, expected) <= golden.TOLERANCE


@pytest.mark.parametrize("name", golden.NAMES)
def test_numpy_equals_jax(name):
    config, params, tokens, _ = golden.load(name)
    a, b = (run(params, tokens, config) for run in golden.BACKENDS.values())
    assert golden.difference(a, b) <= golden.TOLERANCE


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_golden_is_worth_comparing_with(name):
    """Logits of a visible size, a batch whose rows differ, and no two axes of the same length."""
    config, _, tokens, logits = golden.load(name)
    assert logits.dtype == np.float32 and logits.shape == (*tokens.shape, config.vocab_size)
    assert 1 < logits.std() < 10
    assert golden.difference(logits[0], logits[1]) > 1
    axes = [*logits.shape, config.embed_dim, config.num_heads, config.head_dim, config.hidden_dim]
    axes += [config.num_kv_heads] if config.num_kv_heads not in (1, config.num_heads) else []
    axes += [config.window_size] if config.window_size else []
    assert len(set(axes)) == len(axes)


def test_the_families_are_read_as_what_they_are():
    """The choices that a config.json only implies, and that logits alone would blame on the model."""
    configs = {name: golden.load(name).config for name in golden.NAMES}
    gemma = {"gemma_mqa": 1, "gemma_mha": 8, "gemma_flax_2b": 1, "gemma_flax_7b": 8, "gemma3": 2}
    for name, kv_heads in gemma.items():
        config = configs[name]
        assert (config.num_kv_heads, config.norm) == (kv_heads, NormKind.RMS_UNIT_OFFSET)
        assert config.scale_embedding and config.tie_embedding and config.gated
        assert config.activation is Activation.GELU_TANH
        assert config.num_heads * config.head_dim != config.embed_dim
    gemma3 = configs["gemma3"]
    assert [gemma3.window(layer) for layer in range(4)] == [7, 7, None, 7]
    assert [gemma3.theta(layer) for layer in range(4)] == [1e4, 1e4, 1e6, 1e4]
    assert gemma3.qk_norm and gemma3.norm_placement is NormPlacement.SANDWICH
    norms = {"llama2": NormKind.RMS, "llama2_gqa": NormKind.RMS, "olmo": NormKind.LAYER_NO_PARAMETERS}
    for name, norm in norms.items():
        config = configs[name]
        assert (config.norm, config.activation, config.norm_epsilon) == (norm, Activation.SILU, 1e-5)
        assert config.gated and not config.scale_embedding and not config.tie_embedding
    assert configs["olmo"].head_dim == 6  # no file of OLMo's says so: D / N
    assert configs["gpt2"].position is PositionKind.LEARNED and configs["gpt2"].tie_embedding
