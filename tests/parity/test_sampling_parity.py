"""Our filters and transformers' warpers on the same random distributions; and where, as documented, they differ."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers.generation import logits_process

from gemma_edu.jax_model import sampling as jax_sampling
from gemma_edu.numpy_model import sampling as numpy_sampling

pytestmark = pytest.mark.parity
DISTRIBUTIONS, V = 1000, 257
OURS = {"numpy": (numpy_sampling, np.asarray), "jax": (jax_sampling, jnp.asarray)}


@pytest.fixture(scope="module")
def logits():
    """From nearly flat to nearly certain."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(0.05, 12, DISTRIBUTIONS)[:, None]
    return np.float32(rng.standard_normal((DISTRIBUTIONS, V)) * scale)


def official(name, value, logits):
    """What transformers makes of the logits."""
    return getattr(logits_process, name)(value)(None, torch.from_numpy(logits.copy())).numpy()


def assert_same_odds(ours, theirs, decided=True):
    """The same tokens, where more than rounding decides, and with the same odds in rows where all are the same."""
    ours = np.asarray(ours)
    same = (ours > -np.inf) == (theirs > -np.inf)
    assert np.all(same | ~np.broadcast_to(decided, same.shape))
    rows = np.all(same, axis=-1)
    assert rows.mean() > 0.99
    np.testing.assert_allclose(
        numpy_sampling.softmax(ours[rows]), numpy_sampling.softmax(theirs[rows]), atol=1e-6
    )


def decided(logits, p):
    """Where the odds of more likely tokens are not p within the rounding of float32."""
    ranked = np.sort(logits.astype(np.float64))[:, ::-1]
    above = np.cumsum(numpy_sampling.softmax(ranked), axis=-1)
    place = np.argsort(np.argsort(-logits.astype(np.float64)))
    return np.abs(np.take_along_axis(np.c_[np.zeros(len(logits)), above], place, axis=-1) - p) > 2e-6


@pytest.mark.parametrize("backend", OURS)
@pytest.mark.parametrize("temperature", [0.01, 0.3, 1.0, 2.0])
def test_temperature(backend, temperature, logits):
    module, array = OURS[backend]
    ours = module.temper(array(logits), temperature)
    np.testing.assert_allclose(ours, official("TemperatureLogitsWarper", temperature, logits), rtol=1e-6)


@pytest.mark.parametrize("backend", OURS)
@pytest.mark.parametrize("k", [1, 2, 40, V, V + 1])
def test_top_k(backend, k, logits):
    module, array = OURS[backend]
    assert np.array_equal(module.top_k(array(logits), k), official("TopKLogitsWarper", k, logits))


@pytest.mark.parametrize("backend", OURS)
@pytest.mark.parametrize("p", [0.0, 0.05, 0.5, 0.9, 0.95, 0.999, 1.0])
def test_top_p(backend, p, logits):
    module, array = OURS[backend]
    theirs = (
        official("TopPLogitsWarper", p, logits) if p < 1 else logits
    )  # generate leaves the warper out at 1
    assert_same_odds(module.top_p(array(logits), p), theirs, decided(logits, p))


@pytest.mark.parametrize("backend", OURS)
def test_all_in_their_order(backend, logits):
    module, array = OURS[backend]
    theirs = official("TopKLogitsWarper", 40, official("TemperatureLogitsWarper", 0.8, logits))
    clear = decided(theirs, 0.9)
    theirs = official("TopPLogitsWarper", 0.9, theirs)
    ours = module.filter_logits(
        array(logits), array(np.zeros(logits.shape, np.int32)), 0.0, 0.0, 0.8, 40, 0.9
    )
    assert_same_odds(ours, theirs, clear)


@pytest.mark.parametrize("backend", OURS)
def test_equal_logits_both_keep_all_in_top_k(backend):
    module, array = OURS[backend]
    equal = np.zeros((1, 4), np.float32)
    for kept in (module.top_k(array(equal), 2), official("TopKLogitsWarper", 2, equal)):
        assert np.all(np.asarray(kept) == 0)


@pytest.mark.parametrize("backend", OURS)
def test_equal_logits_differ_in_top_p(backend):
    """Transformers keeps as many as are needed, whichever the sort put last; we keep all or none."""
    module, array = OURS[backend]
    equal = np.zeros((1, 4), np.float32)
    assert np.all(np.asarray(module.top_p(array(equal), 0.4)) == 0)
    assert np.sum(official("TopPLogitsWarper", 0.4, equal) == 0) == 2


@pytest.mark.parametrize("backend", OURS)
def test_both_drop_what_has_exactly_p_above_it(backend):
    module, array = OURS[backend]
    halves = np.log(np.float32([[0.5, 0.25, 0.125, 0.125]]))
    for kept in (module.top_p(array(halves), 0.5), official("TopPLogitsWarper", 0.5, halves)):
        assert np.isfinite(np.asarray(kept)).tolist() == [[True, False, False, False]]
