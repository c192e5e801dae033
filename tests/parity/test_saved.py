"""What `checkpoints.save` writes, transformers opens: nothing missing, nothing left over, the same logits."""

import golden
import jax
import pytest
from goldens import draw, transformers_tiny

from gemma_edu import checkpoints
from gemma_edu.jax_model import params as initial

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", [*golden.HUGGING_FACE, *golden.LAUNCH])
def test_transformers_opens_what_we_save(name, tmp_path):
    """Also the launch code's weights, which so arrive in the other format."""
    config, params, tokens, expected = golden.load(name)
    checkpoints.save(tmp_path, params, config)
    official, report = transformers_tiny.reopen(tmp_path)
    assert not any(report.values()), report
    assert golden.difference(transformers_tiny.logits(official, tokens), expected) <= golden.TOLERANCE


@pytest.mark.parametrize("name", golden.HUGGING_FACE)
def test_our_own_random_weights_travel_too(name, tmp_path):
    """From `params.init` in JAX, for a config that no file described."""
    config = golden.load(name).config
    config = config.replace(name="wider", hidden_dim=18, num_layers=5, context_length=35)
    if config.window_size:
        config = config.replace(window_size=6, global_every=2, rope_theta=2e5, rope_theta_local=3e4)
    params = initial.init(jax.random.key(5), config)
    checkpoints.save(tmp_path, params, config)
    official, report = transformers_tiny.reopen(tmp_path)
    assert not any(report.values()), report
    tokens = draw.tokens(5)
    ours = golden.run_jax(params, tokens, config)
    assert golden.difference(transformers_tiny.logits(official, tokens), ours) <= golden.TOLERANCE
