"""Pre-norm, post-norm and sandwich, written out around the sublayers that other files test."""

import numpy as np
import pytest
from backend import B, T, assert_close, count_up, normal, random_params

from gemma_edu import presets
from gemma_edu.config import NormPlacement
from gemma_edu.params import Norm

pytestmark = pytest.mark.usefixtures("quick_compile")

D, THETA = 10, 100.0


class Pieces:
    """One block's sublayers and norms as functions of the stream alone."""

    def __init__(self, backend, config):
        self.backend, self.config = backend, config
        self.weights = backend.tree(random_params(config).blocks[1])
        self.positions = backend.array(count_up(B, T))
        self.mask = backend.array(np.tile(np.tri(T, dtype=bool), (B, 1, 1)))
        self.x = backend.array(normal(B, T, D))

    def block(self):
        return self.backend.block.block(self.weights, self.x, self.positions, self.mask, THETA, self.config)

    def attention(self, x):
        weights = self.weights.attention
        return self.backend.attention.attention(weights, x, self.positions, self.mask, THETA, self.config)

    def feedforward(self, x):
        return self.backend.feedforward.feedforward(self.weights.feedforward, x, self.config)

    def norm(self, name, x):
        return self.backend.norms.norm(getattr(self.weights, name), x, self.config)


@pytest.mark.parametrize(
    "config", [presets.TINY_GEMMA_2B, presets.TINY_LLAMA2_7B, presets.TINY_OLMO_7B, presets.TINY_GPT2_124M],
    ids=lambda config: config.name,
)  # fmt: skip
def test_pre_norm_reads_a_normalised_copy_and_adds_to_the_stream_itself(backend, config):
    do = Pieces(backend, config)
    x = do.x
    x = x + do.attention(do.norm("attention_norm", x))
    x = x + do.feedforward(do.norm("feedforward_norm", x))
    assert_close(do.block(), x)


def test_post_norm_normalises_the_sum(backend):
    do = Pieces(backend, presets.TINY_TRANSFORMER_BASE)
    x = do.x
    x = do.norm("post_attention_norm", x + do.attention(x))
    x = do.norm("post_feedforward_norm", x + do.feedforward(x))
    assert_close(do.block(), x)


def test_a_sandwich_normalises_before_and_after_each_sublayer(backend):
    do = Pieces(backend, presets.TINY_GEMMA3_270M)
    x = do.x
    x = x + do.norm("post_attention_norm", do.attention(do.norm("attention_norm", x)))
    x = x + do.norm("post_feedforward_norm", do.feedforward(do.norm("feedforward_norm", x)))
    assert_close(do.block(), x)


@pytest.mark.parametrize("placement", NormPlacement, ids=lambda placement: placement.value)
def test_before_and_after_by_hand(backend, placement):
    config = presets.TINY_LLAMA2_7B.replace(norm_placement=placement, norm_epsilon=1e-12)
    params = Norm(scale=backend.array([2.0, 2.0]))
    x, y = (
        backend.array([[[6.0, 8.0]]]),
        backend.array([[[-3.0, -4.0]]]),
    )  # x + y = (3, 4); all have rms ∝ √12.5
    unit = np.array([[[3.0, 4.0]]]) / 12.5**0.5
    read = {"post": [[[6, 8]]]}.get(placement.value, 2 * unit)
    added = {"pre": [[[3, 4]]], "post": 2 * unit, "sandwich": [[[6, 8]]] - 2 * unit}[placement.value]
    assert_close(backend.block.before(params, x, config), read)
    assert_close(backend.block.after(params, x, y, config), added)


@pytest.mark.parametrize("config", [presets.TINY_GEMMA_2B, presets.TINY_GEMMA3_270M], ids=["pre", "sandwich"])
def test_sublayers_that_write_nothing_leave_the_stream_alone(backend, config):
    do = Pieces(backend, config)
    silent = do.weights.attention._replace(w_o=0 * do.weights.attention.w_o)
    mute = do.weights.feedforward._replace(w_down=0 * do.weights.feedforward.w_down)
    do.weights = do.weights._replace(attention=silent, feedforward=mute)
    assert_close(do.block(), do.x, atol=0)
