"""Bugs of precision: invisible where everything is float32, as in most tests."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from gemma_edu import presets
from gemma_edu.jax_model.attention import MASKED_SCORE
from gemma_edu.jax_model.norms import rms_norm
from gemma_edu.jax_model.positions import rope
from gemma_edu.museum.exhibit import Exhibit, Hiding, Scene
from gemma_edu.museum.port import Port
from gemma_edu.museum.probes import normal, same_logits

BFLOAT16 = Scene(dtype="bfloat16")
TOY = presets.TINY_GEMMA3_270M


def embed_with_full_root(table, tokens, scale: bool):
    """√D in float32 times the row, rounded once; DeepMind rounds √D itself to the table's type first."""
    x_BTD = table[tokens]
    return (x_BTD.astype(jnp.float32) * table.shape[-1] ** 0.5).astype(table.dtype) if scale else x_BTD


def rms_norm_rounded_early(x, scale, epsilon: float, unit_offset: bool):
    """Rounded to x's type before the product with 1 + scale, and that product taken in x's type."""
    y = rms_norm(x, jnp.zeros_like(scale), epsilon, True)
    return y * (scale.astype(x.dtype) + jnp.asarray(float(unit_offset), x.dtype))


def attend_with_narrow_softmax(q, k, v, mask):
    """The package's `attend`, with scores and softmax in the activations' type."""
    B, T, N, H = q.shape
    K = k.shape[2]
    q_BTKGH = q.reshape(B, T, K, N // K, H) * H**-0.5
    scores_BKGTS = jnp.einsum("BTKGH,BSKH->BKGTS", q_BTKGH, k).astype(q.dtype)
    hidden = jnp.asarray(MASKED_SCORE, q.dtype)
    probs_BKGTS = jax.nn.softmax(jnp.where(mask[:, None, None], scores_BKGTS, hidden), axis=-1)
    return jnp.einsum("BKGTS,BSKH->BTKGH", probs_BKGTS, v).reshape(B, T, N, H)


def rope_at_rounded_positions(x, positions_BT, theta: float):
    """Positions take the detour through bfloat16, as they do where activations' type is taken for them."""
    rounded_BT = jax.lax.reduce_precision(positions_BT.astype(jnp.float32), exponent_bits=8, mantissa_bits=7)
    return rope(x, rounded_BT.astype(jnp.int32), theta)


def logits_agree(port: Port) -> None:
    """The logits of seven tokens are those of the NumPy model, in float32."""
    same_logits(port, TOY, 7)


def factor_is_55_5(port: Port) -> None:
    """In bfloat16, Gemma 7B multiplies by 55.5: the product is exact to the bit."""
    table_VD = normal(11, 3072).astype(ml_dtypes.bfloat16)
    tokens_BT = np.array([[3, 1, 4]])
    wanted = (table_VD[tokens_BT].astype(np.float32) * 55.5).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(port.embed(jnp.asarray(table_VD), jnp.asarray(tokens_BT), True), wanted)


def norm_rounds_once(port: Port) -> None:
    """A norm of bfloat16 numbers is the exact one, rounded: at most one number in fifty falls to the other side."""
    x_BD, scale_D = normal(20, 640).astype(ml_dtypes.bfloat16), normal(640, seed=1).astype(ml_dtypes.bfloat16)
    x, scale = x_BD.astype(np.float64), scale_D.astype(np.float64)
    exact = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * (1 + scale)
    found = np.asarray(port.rms_norm(jnp.asarray(x_BD), jnp.asarray(scale_D), 1e-6, True))
    assert np.mean(found != exact.astype(ml_dtypes.bfloat16)) < 0.02


def softmax_keeps_its_bits(port: Port) -> None:
    """Attention over large scores in bfloat16 is within 0.002 of the same in float32, on average."""
    q, k, v = (normal(2, 64, heads, 64, seed=seed) * size for seed, (heads, size) in enumerate(SHAPES))
    q, k, v = (jnp.asarray(array, jnp.bfloat16) for array in (q, k, v))
    mask_BTS = jnp.ones((2, 64, 64), bool)
    wanted = port.attend(*(array.astype(jnp.float32) for array in (q, k, v)), mask_BTS)
    error = jnp.abs(port.attend(q, k, v, mask_BTS).astype(jnp.float32) - wanted)
    assert float(jnp.mean(error)) < 0.002


SHAPES = ((4, 8.0), (1, 8.0), (1, 1.0))
"""Heads and size of queries, keys and values: scores of size 64, where bfloat16 counts in steps of ¼ or ½."""


def far_logits_agree(port: Port) -> None:
    """The logits of the same seven tokens, the first at position 1000."""
    same_logits(port, TOY, 7, start=1000)


SQRT_ROUNDING = Exhibit(
    name="sqrt_rounding",
    title="√D not rounded to bfloat16",
    lesson="02_embedding_scaling",
    happened="transformers up to 4.38.2 and google/gemma_pytorch before #67 multiplied by a Python float: 55.4256 in "
    "the 7B, where DeepMind's code has 55.5 (transformers #29402, mended in #29729; litgpt #1031 keeps float32).",
    right="root = jnp.asarray(D**0.5, table.dtype)\nx = table[tokens] * root",
    wrong="root = D**0.5\nx = table[tokens] * root",
    hiding=Hiding.FLOAT32,
    missed="In float32 the rounded root is the root.",
    caught="A bfloat16 table of the 7B's width, times 55.5, to the bit.",
    port=replace(Port(), embed=embed_with_full_root),
    weak_test=logits_agree,
    good_test=factor_is_55_5,
    scene=BFLOAT16,
)

NORM_CAST_ORDER = Exhibit(
    name="norm_cast_order",
    title="Norm rounded before 1 + scale",
    lesson="03_rmsnorm",
    happened="transformers up to 4.38.2 (mended in #29729), google/gemma_pytorch before #67; vLLM #3653 notes that its "
    "kernel went on doing so. DeepMind's own JAX code never leaves bfloat16: most precise and as trained are two "
    "things.",
    right="y = x.astype(float32) * rsqrt(mean_square + eps)\ny = y * (1 + scale.astype(float32))\n"
    "return y.astype(x.dtype)",
    wrong="y = x.astype(float32) * rsqrt(mean_square + eps)\ny = y.astype(x.dtype)\nreturn y * (1 + scale)",
    hiding=Hiding.FLOAT32,
    missed="In float32 an .astype(x.dtype) does nothing, wherever it stands.",
    caught="A bfloat16 norm against the exact one, rounded once: nearly every number is equal.",
    port=replace(Port(), rms_norm=rms_norm_rounded_early),
    weak_test=logits_agree,
    good_test=norm_rounds_once,
    scene=BFLOAT16,
)

BF16_SOFTMAX = Exhibit(
    name="bf16_softmax",
    title="Softmax in bfloat16",
    lesson="05_multi_query_attention",
    happened="A choice as much as a bug: DeepMind's code takes the type that the scores have, transformers and "
    "gemma_pytorch always float32. AI-Hypercomputer/maxtext #4136 (2026) reports training of Gemma 4 that turned into "
    "NaN at step 1 with scores in bfloat16, and sets float32 for Gemma 3 too.",
    right="scores = einsum(q, k, preferred_element_type=float32)\nprobs = softmax(scores)\n"
    "probs = probs.astype(v.dtype)",
    wrong="scores = einsum(q, k)  # in bfloat16 where q is\nprobs = softmax(scores)",
    hiding=Hiding.FLOAT32,
    missed="With float32 activations, their type is float32.",
    caught="Attention in bfloat16 with scores of size 64, against the same in float32.",
    port=replace(Port(), attend=attend_with_narrow_softmax),
    weak_test=logits_agree,
    good_test=softmax_keeps_its_bits,
    scene=BFLOAT16,
)

BF16_POSITIONS = Exhibit(
    name="bf16_positions",
    title="Positions in bfloat16",
    lesson="04_rope",
    happened="keras-team/keras-hub #1494, mended in #1497 and #1508; transformers #29285, where automatic mixed "
    "precision did it (4.38.2). A variant in TF32, from position 2048 on, is transformers #48450.",
    right="angles = positions.astype(float32) * frequencies",
    wrong="angles = positions.astype(x.dtype) * frequencies  # bfloat16",
    hiding=Hiding.SHORT,
    missed="Up to 256 every whole number is a bfloat16: logits of a short text are equal to the last bit.",
    caught="The same short text, compared from position 1000 on.",
    port=replace(Port(), rope=rope_at_rounded_positions),
    weak_test=logits_agree,
    good_test=far_logits_agree,
    scene=Scene(start=1000),
)

EXHIBITS = (SQRT_ROUNDING, NORM_CAST_ORDER, BF16_SOFTMAX, BF16_POSITIONS)
