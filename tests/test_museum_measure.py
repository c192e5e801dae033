"""What bugs do to the real model: a figure known from other lessons, and an error."""

import pytest

from gemma_edu import checkpoints, museum


@pytest.fixture(scope="module")
def meter():
    try:
        return museum.Meter(checkpoints.load("gemma3-270m"))
    except checkpoints.CheckpointError as error:
        pytest.skip(str(error))


def test_a_bug_that_wrecks_the_model(meter):
    effect = meter(museum.bug("no_unit_offset"))
    assert effect.right == pytest.approx(8.28, abs=0.01)
    assert effect.perplexity == pytest.approx(1.12e9, rel=0.01)  # lesson 11
    assert effect.divergence == 1 and effect.cosine < 0.2 and effect.change > 10


def test_a_bug_that_does_not_run(meter):
    """Four heads of 256 are not 640 numbers."""
    with pytest.raises(TypeError, match="reshape"):
        meter(museum.bug("derived_head_size"))
