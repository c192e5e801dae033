"""Bugs of the unit offset: the 1 in 1 + scale, forgotten or added twice."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu import params as trees
from gemma_edu import presets
from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_params
from gemma_edu.jax_model.norms import rms_norm
from gemma_edu.museum.exhibit import Exhibit, Hiding
from gemma_edu.museum.port import Port, as_stored
from gemma_edu.museum.probes import normal, random_params
from gemma_edu.numpy_model import norms as numpy_norms
from gemma_edu.params import Params

TOY = presets.TINY_GEMMA3_270M


def rms_norm_of_llama(x, scale, epsilon: float, unit_offset: bool):
    """The stored scale is taken for the whole factor."""
    return rms_norm(x, scale, epsilon, False)


def load_as_it_stands(stored, config: ModelConfig) -> Params:
    """The file's norms are read as they stand, though they hold 1 + scale and the model adds 1 as well."""
    return trees.from_leaves(stored, config)


def ignores_length(port: Port) -> None:
    """A vector ten times as long has the same norm (Zhang and Sennrich 2019, section 4)."""
    x_BD, scale_D = jnp.asarray(normal(3, 64)), jnp.asarray(normal(64, seed=1))
    once, ten = (port.rms_norm(size * x_BD, scale_D, 1e-6, True) for size in (1, 10))
    np.testing.assert_allclose(once, ten, atol=1e-4)


def norm_agrees(port: Port) -> None:
    """With scales away from 0, the norm is the NumPy model's."""
    x_BD, scale_D = normal(3, 64), normal(64, seed=1)
    found = port.rms_norm(jnp.asarray(x_BD), jnp.asarray(scale_D), 1e-6, True)
    np.testing.assert_allclose(found, numpy_norms.rms_norm(x_BD, scale_D, 1e-6, True), atol=1e-5)


def names_and_shapes_fit(port: Port) -> None:
    """A stored model loads, and every weight has its name and its shape."""
    check_params(port.load(as_stored(random_params(TOY)), TOY), TOY)


def weights_come_back(port: Port) -> None:
    """What a file was made from is what is loaded from it."""
    weights = random_params(TOY)
    loaded = port.load(as_stored(weights), TOY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), loaded, weights)


NO_UNIT_OFFSET = Exhibit(
    name="no_unit_offset",
    title="1 + scale without the 1",
    lesson="03_rmsnorm",
    happened="linkedin/Liger-Kernel #74, mended in #85: a fused RMSNorm written for Llama was put into Gemma; "
    "pytorch/executorch #19901, where the fold was missing.",
    right="y = x * rsqrt(mean_square + eps)\nreturn y * (1 + scale)",
    wrong="y = x * rsqrt(mean_square + eps)\nreturn y * scale",
    hiding=Hiding.PROPERTY,
    missed="Both are RMSNorms: blind to the length of a vector, linear in their factor. A kernel tested on its own, "
    "with Llama's convention, is right.",
    caught="The norm alone against NumPy, with scales that are neither 0 nor 1.",
    port=replace(Port(), rms_norm=rms_norm_of_llama),
    weak_test=ignores_length,
    good_test=norm_agrees,
)

UNIT_OFFSET_TWICE = Exhibit(
    name="unit_offset_twice",
    title="1 + scale with the 1 twice",
    lesson="03_rmsnorm",
    happened="GGUF files hold 1 + scale (ggml-org/llama.cpp, PR #5631), so whoever reads one must not add it again: "
    "vLLM #26189 and #31464 subtract 1 on loading; utensils/mold #1078 did not, and its text encoder's output had a "
    "cosine of 0.19 with the right one.",
    right='scale = stored["attn_norm.weight"] - 1\n…\nreturn y * (1 + scale)',
    wrong='scale = stored["attn_norm.weight"]\n…\nreturn y * (1 + scale)',
    hiding=Hiding.PROPERTY,
    missed="All names are there, all shapes fit, nothing is left over.",
    caught="A model that is stored and loaded has its own numbers again.",
    port=replace(Port(), load=load_as_it_stands),
    weak_test=names_and_shapes_fit,
    good_test=weights_come_back,
)

EXHIBITS = (NO_UNIT_OFFSET, UNIT_OFFSET_TWICE)
