"""What a bug does to a real model's reading of a text, beside the same model without it."""

from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import course_data
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model import transformer
from gemma_edu.jax_model.loss import token_losses
from gemma_edu.museum.exhibit import SHORT, Scene
from gemma_edu.museum.port import BOS, Port, as_stored
from gemma_edu.museum.probes import random_params

MEASURED = 103
"""The last so many predictions count, in every scene: the paragraph's, but for the first (as in lesson 11)."""


class Effect(NamedTuple):
    """A port's predictions of a text, compared with the right ones."""

    perplexity: float
    right: float
    """The perplexity without the bug."""
    divergence: int | None
    """The first prediction, from 1, whose likeliest token is another; None if there is none."""
    cosine: float
    """Between the logits of both, on average over the predictions; 1 where they are the same."""
    change: float
    """max |logit − right logit|."""

    @property
    def ratio(self) -> float:
        """Perplexity, divided by that without the bug."""
        return self.perplexity / self.right


class Meter:
    """Measures ports on one loaded model; what is right is computed once for each scene.

    `model` has `config`, `params` and `tokenizer`, as `checkpoints.load` gives it.
    """

    def __init__(self, model):
        self.model = model
        self._right: dict[Scene, tuple] = {}

    def __call__(self, port: Port, scene: Scene = SHORT) -> Effect:
        """The effect of a port's bug in a scene. Whatever the port raises comes through."""
        if scene not in self._right:
            self._right[scene] = self.logits(Port(), scene)
        return compare(*self.logits(port, scene), self._right[scene][0])

    def logits(self, port: Port, scene: Scene = SHORT) -> tuple[jax.Array, np.ndarray]:
        """The logits of the last predictions, P V, and the tokens that they should have predicted, P."""
        text = course_data.path(scene.text).read_text(encoding="utf-8")
        tokens_T = port.encode(self.model.tokenizer, BOS + text)[: scene.tokens]
        weights = port.load(as_stored(self.model.params), self.model.config)
        if scene.dtype != str(weights.embedding.table.dtype):
            weights = jax.tree.map(lambda leaf: leaf.astype(scene.dtype), weights)
        positions_1T = scene.start + jnp.arange(len(tokens_T))[None]

        tokens_1T, config = jnp.array([tokens_T]), self.model.config
        with port.in_place():
            # Logits of a whole long text would fill the memory: the stream first, then what is read off its end.
            with mock.patch.object(transformer, "read_out", lambda params, x, config: x):
                x_1TD = port.forward(weights, tokens_1T, config, positions_1T)
            logits_1PV = transformer.read_out(weights, x_1TD[:, -MEASURED - 1 : -1], config)
        return logits_1PV[0], np.array(tokens_T[-MEASURED:])


def on_toy(port: Port, config: ModelConfig, length: int = MEASURED + 1) -> Effect:
    """The effect on a model of this config with random weights, reading random tokens."""
    weights = jax.tree.map(jnp.asarray, random_params(config))
    tokens_1T = np.random.default_rng(1).integers(0, config.vocab_size, (1, length))
    found, right = (each.forward(weights, tokens_1T, config)[0, :-1] for each in (port, Port()))
    return compare(found, tokens_1T[0, 1:], right)


def compare(logits_PV: jax.Array, targets_P: np.ndarray, right_PV: jax.Array) -> Effect:
    """The effect, from the logits of a port, the tokens of the text, and the right logits."""
    loss, right, others_P, cosine, change = _compared(logits_PV, jnp.asarray(targets_P), right_PV)
    first = np.flatnonzero(others_P)
    divergence = int(first[0]) + 1 if first.size else None
    return Effect(float(jnp.exp(loss)), float(jnp.exp(right)), divergence, float(cosine), float(change))


@jax.jit
def _compared(logits_PV, targets_P, right_PV):
    losses = [token_losses(logits[None], targets_P[None]).mean() for logits in (logits_PV, right_PV)]
    others_P = logits_PV.argmax(-1) != right_PV.argmax(-1)
    lengths_P = jnp.linalg.norm(logits_PV, axis=-1) * jnp.linalg.norm(right_PV, axis=-1)
    cosine = ((logits_PV * right_PV).sum(-1) / lengths_P).mean()
    return *losses, others_P, cosine, jnp.abs(logits_PV - right_PV).max()
