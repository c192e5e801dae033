"""What the tests of the exhibits have in common: toys with random weights, and the NumPy model to compare with."""

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import params as trees
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model.loss import next_token_losses
from gemma_edu.museum.port import Port
from gemma_edu.numpy_model import transformer
from gemma_edu.params import Params


def random_params(config: ModelConfig, seed: int = 0) -> Params:
    """NumPy weights of size 0.3 around 0, norm scales among them: nothing is at its initial value."""
    random = np.random.default_rng(seed)
    return trees.build(config, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def same_logits(
    port: Port, config: ModelConfig, length: int, start: int = 0, tolerance: float = 1e-3
) -> None:
    """The logits of two rows of random tokens are those of the NumPy model, in float32.

    Raises:
        AssertionError: they are not, within `tolerance`; or whatever the port raises.
    """
    weights = random_params(config)
    tokens_BT = np.random.default_rng(1).integers(0, config.vocab_size, (2, length))
    positions_BT = np.broadcast_to(start + np.arange(length), tokens_BT.shape)
    right = transformer.forward(weights, tokens_BT, config, positions_BT)
    found = port.forward(jax.tree.map(jnp.asarray, weights), tokens_BT, config, jnp.asarray(positions_BT))
    np.testing.assert_allclose(found, right, rtol=0, atol=tolerance)


def loss_of(port: Port, weights: Params, tokens_BT, config: ModelConfig) -> jax.Array:
    """The mean loss of the port's model on a batch, in nats."""
    return next_token_losses(port.forward(weights, tokens_BT, config), jnp.asarray(tokens_BT)).mean()


class Letters:
    """A tokenizer of single letters, with the control tokens of Gemma: for tests of what is put around texts."""

    control = {"<eos>": 1, "<bos>": 2, "<end_of_turn>": 106}
    bos, eos = 2, 1
    end_tokens = frozenset({1, 106})

    def encode(self, text: str, add_bos: bool = False, control_tokens: bool = False) -> list[int]:
        """1000 and the number of each letter; `<bos>` in the text is a control token only if asked for."""
        marks = control_tokens and text.startswith("<bos>")
        letters = text.removeprefix("<bos>") if marks else text
        return [self.bos] * add_bos + [self.bos] * marks + [1000 + ord(letter) for letter in letters]

    def decode(self, ids: list[int]) -> str:
        """The letters; control tokens are left out."""
        return "".join(chr(index - 1000) for index in ids if index >= 1000)
