"""Bugs of RoPE: who turns with whom, how fast, and in which layer."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from gemma_edu import presets
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model import positions
from gemma_edu.museum.exhibit import Exhibit, Hiding
from gemma_edu.museum.port import Port
from gemma_edu.museum.probes import normal, same_logits
from gemma_edu.numpy_model import positions as numpy_positions


def rope_of_neighbours(x, positions_BT, theta: float):
    """Pairs (0, 1), (2, 3), …: brought into halves, turned, and brought back."""
    order = np.arange(x.shape[-1]).reshape(-1, 2).T.ravel()
    return positions.rope(x[..., order], positions_BT, theta)[..., np.argsort(order)]


def rope_with_half_the_exponent(x, positions_BT, theta: float):
    """theta^(−r/H) for theta^(−2r/H), which is the same as taking the root of theta."""
    return positions.rope(x, positions_BT, theta**0.5)


def exchange_thetas(config: ModelConfig) -> ModelConfig:
    """The local layers turn with the base of the global ones, and the other way round."""
    if config.rope_theta_local is None:
        return config
    return config.replace(rope_theta=config.rope_theta_local, rope_theta_local=config.rope_theta)


def turned(port: Port, x_H: np.ndarray, position: int) -> np.ndarray:
    """One head at one position, with theta 10,000."""
    return np.asarray(port.rope(jnp.asarray(x_H)[None, None, None], jnp.array([[position]]), 10_000.0))[
        0, 0, 0
    ]


def only_distances_count(port: Port) -> None:
    """Lengths stay, position 0 turns nothing, and a score depends on how far query and key are apart."""
    q_H, k_H = normal(2, 16)
    np.testing.assert_allclose(turned(port, q_H, 0), q_H, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(turned(port, q_H, 9)), np.linalg.norm(q_H), rtol=1e-5)
    near, far = (turned(port, q_H, 5 + n) @ turned(port, k_H, 3 + n) for n in (0, 100))
    np.testing.assert_allclose(near, far, atol=1e-3)


def pencil_example(port: Port) -> None:
    """A head of two numbers, (3, 4), turned by one radian."""
    wanted = [3 * np.cos(1) - 4 * np.sin(1), 4 * np.cos(1) + 3 * np.sin(1)]
    np.testing.assert_allclose(turned(port, np.array([3.0, 4.0], np.float32), 1), wanted, atol=1e-5)


def rope_agrees(port: Port) -> None:
    """Sixteen random numbers at position 7, against NumPy."""
    x_H = normal(16)
    wanted = numpy_positions.rope(x_H[None, None, None], np.array([[7]]), 10_000.0)[0, 0, 0]
    np.testing.assert_allclose(turned(port, x_H, 7), wanted, atol=1e-5)


def gemma1_agrees(port: Port) -> None:
    """The logits of a toy Gemma 1, which has one theta."""
    same_logits(port, presets.TINY_GEMMA_2B, 7)


def gemma3_agrees(port: Port) -> None:
    """The logits of a toy Gemma 3, which has two."""
    same_logits(port, presets.TINY_GEMMA3_270M, 7)


INTERLEAVED_ROPE = Exhibit(
    name="interleaved_rope",
    title="RoPE on neighbours, not halves",
    lesson="04_rope",
    happened="Not one bug but a fork: Meta's Llama files pair neighbours, Hugging Face's and Gemma's pair halves. "
    "llama.cpp must be told (LLAMA_ROPE_TYPE_NEOX for Gemma, src/models/gemma.cpp), and converters must permute "
    "(transformers, convert_llama_weights_to_hf.py). No report for Gemma itself is known to us.",
    right="first, second = jnp.split(x, 2, axis=-1)",
    wrong="first, second = x[..., 0::2], x[..., 1::2]",
    hiding=Hiding.PROPERTY,
    missed="It is a RoPE: it keeps lengths, turns nothing at position 0, and only distances count.",
    caught="Random numbers at one position other than 0, against NumPy.",
    port=replace(Port(), rope=rope_of_neighbours),
    weak_test=only_distances_count,
    good_test=rope_agrees,
)

THETA_EXPONENT = Exhibit(
    name="theta_exponent",
    title="RoPE's exponent halved",
    lesson="04_rope",
    happened="Proposed as a correction in rasbt/LLMs-from-scratch #410 (2024), and turned down because a test against "
    "transformers would fail. A like slip, another divisor in the exponent, shipped in pie-project/pie #602 "
    "(2026). No report for Gemma is known to us.",
    right="frequencies = theta ** (-2 * r / H)",
    wrong="frequencies = theta ** (-r / H)",
    hiding=Hiding.TOY,
    missed="The first pair, r = 0, turns by one radian in any case, and a head of two numbers has no other.",
    caught="A head of more than one pair, against NumPy.",
    port=replace(Port(), rope=rope_with_half_the_exponent),
    weak_test=pencil_example,
    good_test=rope_agrees,
)

THETAS_EXCHANGED = Exhibit(
    name="thetas_exchanged",
    title="Local and global θ exchanged",
    lesson="11_real_gemma",
    happened="vLLM #29111 (2025-11): after a refactoring, #28542, Gemma 3's local layers had the RoPE settings of its "
    "global ones; a test of perplexity noticed. transformers #41922 mended the same confusion in a converter.",
    right="theta = theta_local if is_local(layer) else theta_global",
    wrong="theta = theta_global if is_local(layer) else theta_local",
    hiding=Hiding.TOY,
    missed="The goldens of Gemma 1 and 2 still pass: they have one θ.",
    caught="A toy with a local and a global layer, against NumPy.",
    port=replace(Port(), read_config=exchange_thetas),
    weak_test=gemma1_agrees,
    good_test=gemma3_agrees,
)

EXHIBITS = (INTERLEAVED_ROPE, THETA_EXPONENT, THETAS_EXCHANGED)
