"""Random tiny models of every family, drawn afresh: the official code, our NumPy and our JAX agree."""

import golden
import numpy as np
import pytest
from goldens import decoder_2017, draw, launch_tiny, transformers_tiny
from make_goldens import SEED
from safetensors.numpy import load_file

from gemma_edu import checkpoints

pytestmark = pytest.mark.parity
SEEDS = (1, 2, 3)
"""None of them is the goldens' own."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", transformers_tiny.FAMILIES)
def test_equals_transformers(family, seed, tmp_path):
    official, tokens = transformers_tiny.build(family, seed), draw.tokens(seed)
    transformers_tiny.save(official, tmp_path)
    model = checkpoints.load(tmp_path, as_numpy=True)
    _compare(model.params, model.config, tokens, transformers_tiny.logits(official, tokens))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("family", launch_tiny.FAMILIES)
def test_equals_the_launch_code(family, seed):
    weights, tokens = launch_tiny.build(family, seed), draw.tokens(seed)
    config, params = golden.read_arrays(family, weights)
    _compare(params, config, tokens, launch_tiny.logits(family, weights, tokens))


@pytest.mark.parametrize("family", launch_tiny.FAMILIES)
def test_equals_the_launch_code_on_a_kaggle_folder(family, tmp_path):
    """The same, through a folder that orbax wrote: the launch code's own loader opens it, and so do we."""
    weights, tokens = launch_tiny.build(family, 4), draw.tokens(4)
    folder = tmp_path / "checkpoint"
    launch_tiny.save(weights, folder)
    model = checkpoints.load(folder, as_numpy=True)
    _compare(model.params, model.config, tokens, launch_tiny.logits_of_folder(folder, tokens))


@pytest.mark.parametrize("seed", SEEDS)
def test_equals_the_layer_of_2017(seed):
    leaves, tokens = decoder_2017.build(seed), draw.tokens(seed)
    config, params = golden.read_arrays("transformer_2017", leaves)
    _compare(params, config, tokens, decoder_2017.logits(leaves, tokens))


def _compare(params, config, tokens, expected):
    assert np.abs(expected).max() > 1
    for run in golden.BACKENDS.values():
        assert golden.difference(run(params, tokens, config), expected) <= golden.TOLERANCE


STORED = 1e-5
"""Between the official code's stored answer and its answer now: another processor sums in another order."""


@pytest.mark.parametrize("family", transformers_tiny.FAMILIES)
def test_stored_goldens_are_what_transformers_says(family):
    official, tokens = transformers_tiny.build(family, SEED), draw.tokens(SEED)
    folder = golden.FOLDER / family
    with np.load(folder / "golden.npz") as stored:
        assert np.array_equal(stored["tokens"], tokens)
        assert golden.difference(transformers_tiny.logits(official, tokens), stored["logits"]) <= STORED
    state = official.state_dict()
    for name, value in load_file(folder / "model.safetensors").items():
        assert np.array_equal(value, state[name].numpy()), name


@pytest.mark.parametrize("family", [*launch_tiny.FAMILIES, "transformer_2017"])
def test_other_stored_goldens_are_what_the_official_code_says(family):
    tokens = draw.tokens(SEED)
    if family in launch_tiny.FAMILIES:
        weights = launch_tiny.build(family, SEED)
        logits = launch_tiny.logits(family, weights, tokens)
    else:
        weights = decoder_2017.build(SEED)
        logits = decoder_2017.logits(weights, tokens)
    with np.load(golden.FOLDER / f"{family}.npz") as stored:
        assert set(stored) == {*weights, "tokens", "logits"}
        assert np.array_equal(stored["tokens"], tokens)
        assert golden.difference(logits, stored["logits"]) <= STORED
        for name, value in weights.items():
            assert np.array_equal(stored[name], value), name
