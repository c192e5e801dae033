# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/03_rmsnorm.ipynb)
#
# # 03 · RMSNorm with unit offset
#
# Gemma stores each factor of its norms as the distance from 1. Forget to add the 1 back, and the real model's perplexity on our test paragraph goes from 8.28 to more than a billion; add it twice, as a loader that mistakes one file format for another does, and it is 0.2 billion. Why store a number less one at all? And why is the median factor of the trained model 7.00, nowhere near 1?
#
# A norm divides each token's vector by its size, so that the next sublayer reads numbers of a known size whatever came before. Gemma divides by the root mean square and multiplies by 1 + a learned scale, before each sublayer. Llama 2 multiplies by the scale itself, OLMo uses a LayerNorm with nothing to learn, GPT-2 one with a scale and a bias, and the 2017 Transformer puts its LayerNorm *after* each sublayer.
#
# *50 minutes, and as long again for the exercises; difficulty 2 of 5. You need NumPy, a mean and a square root. The section on the trained model is easier if you have seen what a residual stream is (lesson 00).*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The last line asks JAX for full float32 products; a TPU would round both factors to 8 significant bits first.

# %%
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checkpoints import names
from gemma_edu.checks import check
from gemma_edu.config import NormKind, NormPlacement
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import block as jax_block
from gemma_edu.jax_model import norms as jax_norms
from gemma_edu.jax_model.loss import next_token_losses, perplexity
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.numpy_model import block as numpy_block
from gemma_edu.numpy_model import norms as numpy_norms
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import build, count, for_config, from_leaves, to_leaves

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## Divide a vector by its size
#
# LayerNorm came first (Ba, Kiros and Hinton 2016, section 3). It takes the mean out of a vector $x$ of $D$ numbers, divides by what remains of its size, and lets training set a factor and a summand for each entry:
#
# $$\text{LayerNorm}(x) = \frac{x - \text{mean}(x)}{\sqrt{\text{mean}\big((x - \text{mean}(x))^2\big) + \epsilon}} \odot \text{scale} + \text{bias}$$
#
# Zhang and Sennrich (2019, equation 4) asked which part of that does the work, and left out the mean and the bias:
#
# $$\text{RMSNorm}(x) = \frac{x}{\sqrt{\text{mean}(x^2) + \epsilon}} \odot \text{scale}$$
#
# Gemma changes one thing more, and it is the subject of this lesson: the last factor is $1 + \text{scale}$.
#
# Take a pencil. Five numbers, $x = (-3, 1, 3, 5, 9)$. Their squares add up to 9 + 1 + 9 + 25 + 81 = 125, the mean square is 25, so the root mean square is 5. Divided by it: $(-0.6, 0.2, 0.6, 1, 1.8)$. With stored scales $(0, 1, -0.5, -1, 2)$ the factors are $(1, 2, 0.5, 0, 3)$, and the result is $(-0.6, 0.4, 0.3, 0, 5.4)$. A stored 0 changes nothing; a stored −1 mutes its entry. Keep that −1 in mind.
#
# And LayerNorm? The mean is 3, the deviations are $(-6, -2, 0, 2, 6)$, their mean square is 80 / 5 = 16, so we divide by 4: $(-1.5, -0.5, 0, 0.5, 1.5)$. Once the mean is gone, it *is* RMSNorm. As loops, against the pencil:


# %%
def rms_norm_loop(x, scale, epsilon):
    squares = 0.0
    for value in x:
        squares += value * value
    size = math.sqrt(squares / len(x) + epsilon)
    return [value / size * (1 + stored) for value, stored in zip(x, scale, strict=True)]


def layer_norm_loop(x, epsilon):
    mean = sum(x) / len(x)
    return rms_norm_loop([value - mean for value in x], [0] * len(x), epsilon)


x, scale = [-3, 1, 3, 5, 9], [0, 1, -0.5, -1, 2]
print("RMSNorm  ", np.round(rms_norm_loop(x, scale, 0), 4))
print("LayerNorm", np.round(layer_norm_loop(x, 0), 4))
np.testing.assert_allclose(rms_norm_loop(x, scale, 0), [-0.6, 0.4, 0.3, 0, 5.4])
np.testing.assert_allclose(layer_norm_loop(x, 0), [-1.5, -0.5, 0, 0.5, 1.5])

# %% [markdown]
# A model norms the vectors of all tokens at once, each by itself. The sum of squares over the last axis is an `einsum` of x with itself; the rest is one line.


# %%
def my_rms_norm(x, scale, epsilon=1e-6):
    mean_square = np.einsum("...D,...D->...", x, x)[..., None] / x.shape[-1]
    return x / np.sqrt(mean_square + epsilon) * (1 + scale)


def my_layer_norm(x, epsilon=1e-6):
    return my_rms_norm(x - x.mean(axis=-1, keepdims=True), 0, epsilon)


# %% [markdown]
# This is the package's, read from the installed file:

# %%
show_source(numpy_norms.rms_norm)

# %% [markdown]
# Two things are new. `unit_offset` is the switch between Gemma and Llama 2. And the function computes in float32 and goes back to the type of x at the very end; a section below is about that last `astype`. On random numbers, with B 3 texts of T 5 tokens and width D 10:

# %% tags=["contract"]
random = np.random.default_rng(0)
x_BTD = random.standard_normal((3, 5, 10), np.float32)
scale_D = random.standard_normal(10, np.float32)
package = numpy_norms.rms_norm(x_BTD, scale_D, 1e-6, unit_offset=True)
np.testing.assert_allclose(my_rms_norm(x_BTD, scale_D), package, atol=1e-6, rtol=1e-6)
package = numpy_norms.layer_norm(x_BTD, None, None, 1e-6)
np.testing.assert_allclose(my_layer_norm(x_BTD), package, atol=1e-6, rtol=1e-6)

# %% [markdown]
# ## What a norm forgets
#
# A norm is best known by what it throws away. Two changes to x: make it 100 times as large, or add 10 to every entry. Which of the two norms will not notice the first, which the second?


# %%
def change(norm, x):
    """How far the norm's result moves when x is changed."""
    return np.abs(norm(x) - norm(x_BTD)).max()


def plain_rms_norm(x):
    return my_rms_norm(x, 0)


for name, norm in {"RMSNorm": plain_rms_norm, "LayerNorm": my_layer_norm}.items():
    print(f"{name:9}  x · 100: {change(norm, 100 * x_BTD):.3f}   x + 10: {change(norm, x_BTD + 10):.3f}")
assert change(plain_rms_norm, 100 * x_BTD) < 1e-5 and change(my_layer_norm, 100 * x_BTD) < 1e-5
assert change(my_layer_norm, x_BTD + 10) < 1e-4 < 1 < change(plain_rms_norm, x_BTD + 10)

# %% [markdown]
# Both forget the length. Only LayerNorm forgets a constant added to all. Zhang and Sennrich's hypothesis, in the abstract of their paper, was that the second property, "re-centering invariance", is "dispensable"; in their experiments RMSNorm did about as well as LayerNorm.
#
# With two numbers per vector we can see it. Whatever x was, its mean square becomes 1, so its length becomes √2: RMSNorm moves every point to a circle. What does LayerNorm leave of a point in the plane? Guess the shape before you look.


# %%
def draw_norms(degrees):
    """A cloud of points and one vector, before and after each norm; D = 2."""
    cloud = np.random.default_rng(1).standard_normal((150, 2)) * 1.5
    x = 2.4 * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
    fig, axes = plt.subplots(1, 2, sharex=True, sharey=True)
    drawn = (
        (lambda x: my_rms_norm(x, 0, 1e-12), "RMSNorm: a circle is left", COLOURS["gemma"]),
        (lambda x: my_layer_norm(x, 1e-12), "LayerNorm: two points", COLOURS["gpt2"]),
    )
    for ax, (norm, title, colour) in zip(axes, drawn, strict=True):
        ax.scatter(*cloud.T, s=5, color="0.8")
        ax.scatter(*norm(cloud).T, s=14, color=colour)
        for arrow, its_colour in ((x, COLOURS["stream"]), (norm(x), colour)):
            ax.annotate("", arrow, (0, 0), arrowprops={"arrowstyle": "->", "color": its_colour, "lw": 2})
        ax.text(*(1.12 * x), "x", ha="center", va="center")
        ax.set(title=title, xlabel="first number", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    axes[0].set(ylabel="second number")
    return fig


show(
    draw_norms(70),
    "A grey cloud of points in the plane and an arrow x of length 2.4 at 70 degrees. RMSNorm moves all points "
    "to a circle of radius 1.41 and keeps each direction. LayerNorm leaves two points, (1, -1) and (-1, 1).",
)
np.testing.assert_allclose(np.linalg.norm(plain_rms_norm(x_BTD), axis=-1), math.sqrt(10), rtol=1e-4)

# %% [markdown]
# RMSNorm keeps the direction and drops the length. LayerNorm first drops the part along the diagonal (1, 1), and in the plane a single bit is left: which of the two numbers is larger. In three dimensions RMSNorm leaves a sphere of radius √3, LayerNorm the circle on it that is perpendicular to (1, 1, 1). In the 640 dimensions of Gemma 3 270M the loss is one direction of 640, which sounds like nothing. We will see. The factor 1 + scale then stretches the circle into an ellipse, along the axes.
#
# Run this cell to turn the vector yourself; the picture above is one position of it. At 45° both numbers are equal, LayerNorm is left with zeros, and only ε saves it from 0/0.

# %% tags=["nbval-skip"]
from ipywidgets import interact


@interact(degrees=(0, 360, 5))
def turn(degrees=70):
    show(draw_norms(degrees), f"The same picture with the arrow at {degrees} degrees.")


# %% [markdown]
# ### Where ε matters
#
# ε keeps a vector of zeros from being divided by zero. Does it do anything else? Compare the size that goes in with the size that comes out, for Gemma's ε = 10⁻⁶ under the root, for the 10⁻⁵ of Llama 2, and for ε in the wrong place, x / (rms + ε). Both axes of the figure are logarithmic. Where does each curve bend?

# %%
size_in = np.logspace(-6, 0, 61)
size_out = {
    "Gemma: 10⁻⁶\nunder the root": (size_in / np.sqrt(size_in**2 + 1e-6), COLOURS["gemma"], 1.3e-6, 0.08),
    "Llama 2: 10⁻⁵\nunder the root": (size_in / np.sqrt(size_in**2 + 1e-5), COLOURS["llama2"], 1.5e-4, 8e-3),
    "10⁻⁶ outside the root": (size_in / (size_in + 1e-6), COLOURS["stream"], 1e-5, 1.7),
}
tiny = np.full((1, 10), 1e-4, np.float32)
np.testing.assert_allclose(my_rms_norm(tiny, 0), 0.0995, rtol=1e-3)  # 1e-4 / √(1e-8 + 1e-6)
np.testing.assert_allclose(1e-4 / (1e-4 + 1e-6), 0.9901, rtol=1e-3)

fig, ax = plt.subplots()
for label, (values, colour, across, up) in size_out.items():
    ax.plot(size_in, values, color=colour)
    ax.text(across, up, label, color=colour, va="center")
ax.set(xscale="log", yscale="log", xlabel="root mean square of x", ylabel="root mean square of the result")
ax.set(title="Below √ε = 0.001, Gemma's norm lets a vector fade", ylim=(1e-4, 4))
show(
    fig,
    "Root mean square after the norm against before. With ε under the root, vectors below 0.001 (Gemma) or 0.003 "
    "(Llama 2) come out smaller than 1, in proportion; with ε outside the root only those below 0.000001 do.",
)

# %% [markdown]
# Under the root, ε is a threshold at √ε = 0.001: what is larger comes out with size 1, what is smaller fades. At 10⁻⁴ only 0.0995 is left, where the version with ε outside gives 0.99. Vectors that small sound like an academic worry. They are not: at the end of this lesson the trained model uses this fade.
#
# ## The same in JAX

# %%
show_source(jax_norms.rms_norm)

# %% [markdown]
# The one difference is `rsqrt`, 1/√ as a single operation, which accelerators have in hardware. It is not always the same float as a root and a division: DeepMind's code had `reciprocal(sqrt(…))` until commit 1661656 (22 July 2024), whose note says that `rsqrt` "returns different floats". Within float32's precision nothing changes:

# %% tags=["contract"]
by_jax = jax_norms.rms_norm(jnp.asarray(x_BTD), jnp.asarray(scale_D), 1e-6, unit_offset=True)
np.testing.assert_allclose(by_jax, my_rms_norm(x_BTD, scale_D), atol=1e-5, rtol=1e-5)
by_jax = jax_norms.layer_norm(jnp.asarray(x_BTD), None, None, 1e-6)
np.testing.assert_allclose(by_jax, my_layer_norm(x_BTD), atol=1e-5, rtol=1e-5)

# %% [markdown]
# ## Why store the distance from 1?
#
# Nothing that a model computes depends on it: a norm that stores 0.3 and adds 1 is a norm that stores 1.3. So it must be about what happens to the stored number: where it starts, what pulls at it, how it is rounded. The report gives no reason. When somebody asked the maintainers of Keras, who had ported Gemma for its launch, one answered: "I don't actually know why 1 + scale was chosen and I'd love to know myself" ([keras-hub #1472](https://github.com/keras-team/keras-hub/pull/1472)). Here are the reasons that one can measure.
#
# **Where it starts.** In DeepMind's code (`google-deepmind/gemma` f03bf63, `layers.py`) every scale starts at zero, like a bias, and zero means "change nothing". That is tidy, and it is a trap for code that knows norm weights only as things that start at 1: Hugging Face's Flax port of Gemma did (4.38, `modeling_flax_gemma.py`), and so did its PyTorch code for the whole Gemma family until [#40796](https://github.com/huggingface/transformers/pull/40796) in September 2025. A new model then begins with a factor of 2 in every norm.
#
# **What pulls at it.** Weight decay shrinks every stored number a little at each step, towards 0. If the number is the factor, 0 is silence. If it is the distance from 1, 0 is the identity. Let one factor want to be 2 (its loss is *pull*/2 · (factor − 2)²), with no pull at all or a weak one, and decay what is stored:


# %%
def train(offset, pull, steps=500, rate=0.1, decay=0.1):
    """The factor at each step of gradient descent with decoupled weight decay; it starts at 1."""
    stored, factors = 1.0 - offset, []
    for _ in range(steps):
        factors.append(offset + stored)
        gradient = pull * (offset + stored - 2.0)
        stored -= rate * (gradient + decay * stored)
    return factors


# %% [markdown]
# Four runs of 500 steps: two ways to store, each without a gradient and with one a fifth as strong as the decay. Where does each end?

# %%
ends = {(offset, pull): train(offset, pull)[-1] for offset in (0.0, 1.0) for pull in (0.0, 0.02)}
assert ends[1.0, 0.0] == 1.0 and ends[0.0, 0.0] < 0.01
assert ends[0.0, 0.02] < 0.34 and ends[1.0, 0.02] > 1.16  # 2/6 and 1 + 1/6 in the limit

fig, ax = plt.subplots()
for offset, colour, name in ((1.0, COLOURS["gemma"], "1 + scale"), (0.0, COLOURS["llama2"], "factor")):
    for pull, style, kind in ((0.02, "-", "weak gradient"), (0.0, "--", "no gradient")):
        factors = train(offset, pull)
        ax.plot(factors, color=colour, linestyle=style)
        ax.text(505, factors[-1], f"{name}, {kind}", color=colour, va="center", fontsize=9)
ax.set(title="Decay pulls a factor to silence, 1 + scale to identity", xlabel="step", ylabel="factor")
ax.set(xlim=(0, 790), ylim=(-0.1, 1.4), xticks=range(0, 501, 100))
show(
    fig,
    "The factor of a norm over 500 steps with weight decay. Stored as 1 + scale it stays at 1 without a gradient and "
    "rises to 1.17 with a weak one; stored whole, it falls to 0.01 and to 0.33.",
)

# %% [markdown]
# Without a gradient, a norm that stores the factor switches off whatever stands behind it. The usual recipe avoids this the other way and exempts norms from decay; nanoGPT, for example, decays only what has two axes (`configure_optimizers` in its `model.py`). Which optimiser trained Gemma, the report does not say.
#
# **How it is rounded.** bfloat16 has 8 significant bits: near 1 its steps are 1/128 upwards, near 0 they are as fine as you like. Add 0.001 a hundred times, in bfloat16, to a stored 1 and to a stored 0. What do you get?

# %%
factor, stored, step = (np.asarray(value, jnp.bfloat16) for value in (1.0, 0.0, 0.001))
for _ in range(100):
    factor, stored = factor + step, stored + step
print(f"stored as factor: {float(factor):.3f}    stored as distance from 1: 1 + {float(stored):.3f}")
assert factor == 1.0 and 0.09 < float(stored) < 0.11

# %% [markdown]
# Stored whole, the factor never moves: each step is rounded away. (A float32 copy of the weights avoids that, at twice the memory.)
#
# All three reasons speak of scales near 0. Are they? Before you run on: in a trained Gemma 3 270M, what share of the factors 1 + scale lies between 0.5 and 1.5?

# %%
model = checkpoints.load("gemma3-270m")
leaves = {name: np.asarray(leaf) for name, leaf in to_leaves(model.params).items() if name.endswith("scale")}
factors = 1 + np.concatenate(list(leaves.values()))
print(f"{factors.size} factors; their median is {np.median(factors):.2f}, the largest {factors.max():.1f}")
print(f"between 0.5 and 1.5: {np.mean((factors > 0.5) & (factors < 1.5)):.3f} of them")
assert np.median(factors) == 7.0 and np.mean((factors > 0.5) & (factors < 1.5)) < 0.15

# %% [markdown]
# An eighth. So the reasons above are reasons for the *start* of training, not a description of its end. Here is, layer by layer, the size (root mean square) of 1 + scale in each of a layer's four norms; Gemma 3 has norms before and after both sublayers. The dotted line is where all of them start.

# %%
kinds = ("attention_norm", "feedforward_norm", "post_attention_norm", "post_feedforward_norm")
factors_LD = {
    kind: 1 + np.stack([leaves[f"blocks.{layer}.{kind}.scale"] for layer in range(18)]) for kind in kinds
}
sizes = {kind: np.sqrt(np.mean(np.square(values), axis=1)) for kind, values in factors_LD.items()}
assert all(size.min() > 2 for size in sizes.values()) and sizes["post_feedforward_norm"].max() > 370

fig, ax = plt.subplots()
colours = (COLOURS["gemma"], COLOURS["gemma"], COLOURS["stream"], COLOURS["stream"])
labels = ("before attention", "before feed-forward", "after attention", "after feed-forward")
heights = (1.15, 0.8, 0.72, 1.25)
for size, colour, label, height in zip(sizes.values(), colours, labels, heights, strict=True):
    ax.plot(size, color=colour, linestyle="-" if "attention" in label else "--")
    ax.text(17.2, size[-1] * height, label, color=colour, va="center")
ax.axhline(1, color="0.5", linestyle=":")
ax.set(
    title="Trained norms are far from multiplying by 1",
    xlabel="layer",
    ylabel="root mean square of 1 + scale",
)
ax.set(yscale="log", xlim=(0, 23), xticks=range(0, 18, 4))
show(
    fig,
    "Size of 1 + scale by layer, logarithmic. Norms before attention 10 to 50, before feed-forward 6 to 32 and falling to 4; "
    "norms after the sublayers rise from 2 and 7 in layer 0 to 157 and 377 in layer 17. All are above 2.",
)

# %% [markdown]
# Norms before a sublayer multiply by 4 to 50, those after a sublayer by hundreds in the last layers. (A root mean square sees the large ones. In the last norms before feed-forward, more than half of the factors are below 1; they will matter.) Whatever pulled these numbers towards 0, something pulled harder; a later section looks for it in the stream. And Google itself has moved on: the norms of Gemma 3n and Gemma 4 store the whole factor and start at one (`google-deepmind/gemma` at 7691fd4, `gemma3n/_gemma3n.py` and `gemma4/_gemma4.py`). The unit offset belongs to Gemma 1, 2 and 3.
#
# ## Three official implementations, three roundings
#
# In float32 all implementations agree. In bfloat16, in which the weights are published, it matters *where* a number is rounded. Three ways are in official use, here in three lines each. DeepMind's own JAX code never leaves bfloat16 (`google-deepmind/gemma` f03bf63, `layers.py`). The first PyTorch versions, Google's and Hugging Face's up to 4.38.2, divide in float32, round, and multiply by 1 + w in bfloat16. Keras from its first day, Hugging Face from 4.39 ([#29729](https://github.com/huggingface/transformers/pull/29729)) and Google's PyTorch since [#67](https://github.com/google/gemma_pytorch/pull/67) do all in float32 and round once, last.


# %%
def my_jax_norm(x, w):
    return x / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * (1 + w)


def never_leaves_bfloat16(x, w):
    size = jnp.mean(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(size + 1e-6) * (1 + w)


def rounds_early(x, w):
    unit = my_jax_norm(x.astype(jnp.float32), jnp.zeros(()))
    return unit.astype(x.dtype) * (1 + w)


def rounds_last(x, w):
    return my_jax_norm(x.astype(jnp.float32), w.astype(jnp.float32)).astype(x.dtype)


# %% [markdown]
# Random vectors of Gemma 7B's width, 3072, already rounded to bfloat16, so that all three start from the same numbers. The errors are relative to the result in float64. Which of the last two comes closer to the truth, and which to DeepMind's own run?

# %%
x_TD = random.standard_normal((64, 3072)).astype(jnp.bfloat16)
w_D = random.normal(0, 0.3, 3072).astype(jnp.bfloat16)
truth = my_rms_norm(x_TD.astype(np.float64), w_D.astype(np.float64))
codes = {"DeepMind": never_leaves_bfloat16, "rounds early": rounds_early, "rounds last": rounds_last}
results = {name: np.asarray(code(jnp.asarray(x_TD), jnp.asarray(w_D))) for name, code in codes.items()}
errors = {name: np.abs(result.astype(np.float64) / truth - 1) for name, result in results.items()}
shares = {name: np.mean(result == results["DeepMind"]) for name, result in results.items()}
for name, error in errors.items():
    print(f"{name:13} error: largest {error.max():.2g}, mean {error.mean():.2g};", end="  ")
    print(f"same number as DeepMind's: {shares[name]:.2f}")
assert errors["rounds last"].mean() < 0.7 * errors["rounds early"].mean() < errors["DeepMind"].mean()
assert errors["rounds last"].max() < 2**-8  # half a step of bfloat16: one rounding, the least there can be
assert shares["rounds last"] < 0.65 < 0.7 < shares["rounds early"] < 1

# %% [markdown]
# Rounding last halves the error, and makes it the smallest that a bfloat16 result can have. But Gemma was not trained in the most precise code. It was trained by DeepMind, presumably with the roundings of DeepMind's code, and the version that rounds *early* reproduces more of them: 78 numbers of 100 instead of 58. "Most precise" and "matches DeepMind's bfloat16 run" are two goals, and the pull requests that moved Hugging Face and gemma_pytorch chose the first. vLLM kept an early rounding and said so ([#3653](https://github.com/vllm-project/vllm/pull/3653)). Compare implementations in float32, as this course does: there the question does not arise.
#
# ## Before, after, or both
#
# A block has two sublayers, and each adds something to the residual stream. The norm can stand before the sublayer, x + sublayer(norm(x)), after the addition, norm(x + sublayer(x)), or before and after the sublayer, x + norm(sublayer(norm(x))), as in a sandwich. Here is the package's block, which asks the config; `before` and `after` are two lines each.

# %%
show_source(numpy_block.before, numpy_block.after)
assert [placement.value for placement in NormPlacement] == ["pre", "post", "sandwich"]

# %% [markdown]
# What does it matter? We stack 24 small blocks with random weights, send a random stream of size 1 through them, and watch its root mean square. We do it with quiet sublayers, and with sublayers that are ten times as loud: `w_o` and `w_down`, which write to the stream, times 0.2 and times 2.

# %%
deep = presets.TINY_GEMMA_2B.replace(name="deep", num_layers=24, embed_dim=96, hidden_dim=112)
run_block = jax.jit(jax_block.block, static_argnames=("theta", "config"))
positions_BT = jnp.arange(16)[None]
mask_BTT = attention_mask(positions_BT, positions_BT, window=None)


def louder(block, times):
    attention = block.attention._replace(w_o=block.attention.w_o * times)
    return block._replace(
        attention=attention,
        feedforward=block.feedforward._replace(w_down=block.feedforward.w_down * times),
    )


# %% [markdown]
# The weights keep the size of what passes through them (standard deviation 1/√inputs), and all scales are 0:


# %%
def weight(name, shape):
    inputs = shape[0] * shape[1] if name.endswith("w_o") else shape[0]
    return (0 if name.endswith("scale") else inputs**-0.5) * random.standard_normal(shape, np.float32)


all_weights = build(deep.replace(norm_placement=NormPlacement.SANDWICH), weight)
assert all_weights.blocks[23].attention.w_q.shape == (96, 8, 12)  # D N H

# %% [markdown]
# One stream for each placement and loudness. `for_config` leaves out the norms that a placement does not have.


# %%
def streams(placement, times):
    """The residual stream before the first block and after each; L+1 T D."""
    config = deep.replace(norm_placement=placement)
    x_BTD = np.random.default_rng(2).standard_normal((1, 16, 96), np.float32)
    result = [x_BTD[0]]
    for block in for_config(all_weights, config).blocks:
        x_BTD = run_block(louder(block, times), x_BTD, positions_BT, mask_BTT, theta=10_000.0, config=config)
        result.append(x_BTD[0])
    return np.stack(result)


runs = {(placement, times): streams(placement, times) for placement in NormPlacement for times in (0.2, 2)}
sizes = {key: np.sqrt(np.mean(np.square(stream), axis=(1, 2))) for key, stream in runs.items()}
quiet, loud = sizes[NormPlacement.SANDWICH, 0.2], sizes[NormPlacement.SANDWICH, 2]
np.testing.assert_allclose(loud, quiet, rtol=0.02)
np.testing.assert_allclose(quiet, np.sqrt(1 + 2 * np.arange(25)), rtol=0.1)

# %% [markdown]
# Three placements, two loudnesses. Which of the six curves coincide?

# %%
fig, ax = plt.subplots()
drawn = (
    (NormPlacement.PRE, 2, COLOURS["gemma"], "-", "before, loud"),
    (NormPlacement.SANDWICH, 2, COLOURS["stream"], "-", "sandwich, loud or quiet"),
    (NormPlacement.PRE, 0.2, COLOURS["gemma"], "--", "before, quiet"),
    (NormPlacement.POST, 2, "0.5", "-", "after, loud or quiet"),
)
for placement, times, colour, style, label in drawn:
    ax.plot(sizes[placement, times], color=colour, linestyle=style)
    up = 0.3 if label == "before, quiet" else -0.4 if placement is NormPlacement.POST else 0
    ax.text(24.3, sizes[placement, times][-1] + up, label, color=colour, va="center")
ax.set(title="A sandwich bounds what a sublayer may add", xlabel="blocks run")
ax.set(ylabel="size of the stream (RMS)", xlim=(0, 36), xticks=range(0, 25, 4), ylim=(0, 13))
ends = {f"{placement.value}, {times}": sizes[placement, times][-1] for placement, times in sizes}
show(
    fig,
    "Size of the stream over 24 blocks; at the end, by placement and loudness: "
    + "; ".join(f"{name}: {end:.1f}" for name, end in ends.items()),
)
assert ends["pre, 2"] > 5 * ends["pre, 0.2"] and abs(ends["post, 2"] - 1) < 0.01

# %% [markdown]
# With norms *after* the addition, the stream is always of size 1. With norms *before*, it grows by what the sublayers write, and loud ones write much. In a sandwich each sublayer adds exactly one vector of size 1 (times its 1 + scale), however loud it is inside. These vectors are independent of one another, so their squares add up: after b blocks of two sublayers the size is √(1 + 2b), and the two curves coincide. What a sublayer contributes has become a number that training can read and set.
#
# There is a price for norms after the addition. Each divides the whole stream, with all that earlier blocks have put there. How much of the first stream is still to be found in the last one? As the cosine between the two, averaged over tokens:


# %%
def cosine(a, b):
    return np.mean(np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))


left = {placement: cosine(runs[placement, 2][0], runs[placement, 2][-1]) for placement in NormPlacement}
for placement, value in left.items():
    print(f"{placement.value:9} {abs(value):.2f}")
assert abs(left[NormPlacement.POST]) < 0.05 < min(left[NormPlacement.PRE], left[NormPlacement.SANDWICH])

# %% [markdown]
# With norms after the addition, nothing. With the other two there is a straight path from the embedding to the end, on which nothing is ever divided; the price is that the stream needs one last norm before the logits. That is why the config says `has_final_norm` of all placements but the one of 2017.
#
# ### What the report said
#
# Posts about Gemma say that it normalises *both the input and the output* of each sublayer. We have found no copy of the report with these words. Its PDF of 21 February 2024 and its version 4 both say: "We normalize the input of each transformer sub-layer". Sebastian Raschka noted on 24 February that the "RMSNorm layers are in the usual location, different from what was hinted at in the technical paper" ([note](https://substack.com/@rasbt/note/c-50257692)), so an earlier wording may have gone round. Code and arithmetic leave no doubt. The report's Table 2 gives 1,981,884,416 non-embedding parameters for the 2B, and each norm has 2048 of them:

# %%
for placement in (NormPlacement.PRE, NormPlacement.SANDWICH):
    numbers = count(presets.GEMMA_2B.replace(norm_placement=placement))
    print(f"{placement.value:9} {numbers['total'] - numbers['embedding']:,}")
pre = count(presets.GEMMA_2B)
assert pre["total"] - pre["embedding"] == 1_981_884_416 and pre["norms"] == (2 * 18 + 1) * 2048

# %% [markdown]
# Norms on the input only, to the digit. Real sandwich norms came with Gemma 2 and stayed in Gemma 3. Names do not help here. Ask our loaders what Hugging Face's `post_attention_layernorm` is called in this course:

# %%
for preset in (presets.GEMMA_2B, presets.GEMMA3_270M):
    ours = {entry.theirs: entry.ours[0] for entry in names.hugging_face(preset)}
    print(f"{preset.name:13} {ours['model.layers.0.post_attention_layernorm.weight']}")
assert ours["model.layers.0.post_attention_layernorm.weight"] == "blocks.0.post_attention_norm.scale"

# %% [markdown]
# In Gemma 1 (and Llama) it is the norm *before* the feed-forward sublayer, which comes after attention in the reading order; in Gemma 3 the same name means what it says.
#
# ## What the real norms are busy with
#
# Back to the question that stayed open: what pulled the factors so far from 1? We let the real model read a paragraph, and record what enters each of its norms. The NumPy model is plain Python, so a patched `norm` can take notes.

# %%
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_T = model.tokenizer.encode(text, add_bos=True)
seen = []


def noting_norm(params, x, config):
    seen.append(x[0])
    return numpy_norms.norm(params, x, config)


numpy_params = jax.tree.map(np.asarray, model.params)
with mock.patch.object(numpy_block, "norm", noting_norm):
    numpy_transformer.forward(numpy_params, np.array([tokens_T]), model.config)
seen_L4TD = np.stack(seen).reshape(18, 4, len(tokens_T), 640)
assert len(tokens_T) == 105

# %% [markdown]
# A block calls its norms in the order before attention, after it, before feed-forward, after it. So `seen_L4TD[:, 2]` is the residual stream as the feed-forward norms see it. Take layer 8 and some token, say number 50: 640 numbers. How do you picture them?

# %%
x_D = seen_L4TD[8, 2, 50]
normed_D = x_D / np.sqrt(np.mean(x_D**2))
fig, axes = plt.subplots(2, 1, sharex=True)
axes[0].bar(np.arange(640), normed_D, width=3, color=COLOURS["stream"])
axes[1].bar(np.arange(640), normed_D * factors_LD["feedforward_norm"][8], width=3, color=COLOURS["gemma"])
axes[0].set(title="1 + scale mutes the loudest channel and turns others up", ylabel="x / rms")
axes[1].set(xlabel="channel of the stream", ylabel="· (1 + scale)")
show(
    fig,
    "640 numbers of a token's stream before the feed-forward norm of layer 8. Divided by the root mean square, channel 163 "
    "stands at 22, channel 87 at 10, and all others are below 3. Times 1 + scale, channel 163 is 0, and the others reach 11.",
)
assert 0.75 < normed_D[163] ** 2 / 640 < 0.85 and np.sort(np.abs(normed_D))[-3] < 3
assert factors_LD["feedforward_norm"][8, 163] == 0

# %% [markdown]
# One number of 640, channel 163, makes up four fifths of the squared length. The norm divides all by a size that is mostly channel 163's, which leaves nearly all others tiny. Then 1 + scale sets channel 163 to zero, exactly (its stored scale is the −1 of the pencil example), and turns the others up. Is this one token in one layer?

# %%
stream_LTD = seen_L4TD[:, 2]
squares_LTD = stream_LTD**2 / np.sum(stream_LTD**2, axis=-1, keepdims=True)
share_L = np.median(squares_LTD[..., [163, 400]].sum(axis=-1), axis=1)
muted = [np.flatnonzero(np.abs(row) < 0.01).tolist() for row in factors_LD["feedforward_norm"]]
for layer in (0, 5, 8, 17):
    print(
        f"layer {layer:2}: 163 and 400 hold {share_L[layer]:.2f} of the squared length; muted: {muted[layer]}"
    )
assert 0.75 < share_L.min() < share_L.max() < 0.95
assert np.isin(squares_LTD.argmax(axis=-1), [163, 400]).mean() > 0.99
assert all(set(channels) & {163, 400} for channels in muted)

# %% [markdown]
# In all 18 layers, two channels of 640 hold three quarters of the squared length or more (for the median token), one of the two is the loudest in over 99 of 100 vectors, and every feed-forward norm mutes at least one of them. Such *outlier channels* are the subject of LLM.int8() (Dettmers et al. 2022), which finds them systematically from about 6.7 billion parameters on; here a model of 0.27 billion has two. What matters here is what they do to a norm: it measures one or two channels and divides 640 by the result, so the factors before a sublayer must be large to bring the others back. Those after a sublayer have to be heard in a stream that has grown: its size in the last layer is shown below. That is a story which fits these numbers, not a proof; but in it no factor has a reason to stay near 1.
#
# And two numbers to keep for the end: the mean of the stream, which LayerNorm would subtract, and its largest entry.

# %%
rms_LT = np.sqrt(np.mean(stream_LTD**2, axis=-1))
mean_to_rms = np.median(np.abs(stream_LTD.mean(axis=-1)) / rms_LT)
typical_to_rms = np.median(np.median(np.abs(stream_LTD), axis=-1) / rms_LT)
std_to_rms = (stream_LTD.std(axis=-1) / rms_LT).min()
print(
    f"relative to the RMS: mean {mean_to_rms:.3f}, typical entry {typical_to_rms:.3f}, std at least {std_to_rms:.3f}"
)
print(f"size of the stream: {np.median(rms_LT[0]):.3g} in layer 0, {np.median(rms_LT[17]):.4g} in layer 17")
print(f"largest entry of the stream {np.abs(stream_LTD).max():.3g}, at <bos>; float16 ends at 65504")
assert 0.02 < mean_to_rms < typical_to_rms < 0.1 and std_to_rms > 0.99
assert np.abs(stream_LTD[:, 0, 163]).max() == np.abs(stream_LTD).max() > 65504  # at <bos>

# %% [markdown]
# The mean is 4 % of the size, and yet more than half of a typical entry.
#
# ## The same piece in the other models
#
# Two fields of the config hold all of it: `norm` and `norm_placement`. What each model stores for its norms:

# %%
models = (presets.GEMMA_2B, presets.GEMMA3_270M, presets.LLAMA2_7B, presets.OLMO_7B, presets.GPT2_124M)
for preset in (*models, presets.TRANSFORMER_BASE):
    kind, placement, numbers = preset.norm.value, preset.norm_placement.value, count(preset)["norms"]
    print(
        f"{preset.name:17} {kind:20} {placement:9} {numbers:8,} numbers  final norm: {preset.has_final_norm}"
    )
assert count(presets.OLMO_7B)["norms"] == 0 and not presets.TRANSFORMER_BASE.has_final_norm

# %% [markdown]
# OLMo stores nothing at all. GPT-2 stores two numbers per entry, a scale and a bias. Now flip one field on a tiny Gemma. Is the unit offset really nothing but a way to store? Then `norm=RMS` with 1 + scale stored must give the same logits, for Gemma 1 and for Gemma 3, whose queries and keys have norms too:


# %%
def noisy(config):
    """Random weights without a zero in them: zeros hide mistakes."""
    random = np.random.default_rng(3)
    return build(config, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))


def stored_whole(params, config):
    """The same model for NormKind.RMS."""
    whole = {n: leaf + 1 if n.endswith("scale") else leaf for n, leaf in to_leaves(params).items()}
    return from_leaves(whole, config)


tokens_BT = np.random.default_rng(0).integers(0, 11, (3, 7))
for gemma in (presets.TINY_GEMMA_2B, presets.TINY_GEMMA3_270M):
    whole = gemma.replace(norm=NormKind.RMS)
    expected = numpy_transformer.forward(noisy(gemma), tokens_BT, gemma)
    found = numpy_transformer.forward(stored_whole(noisy(gemma), whole), tokens_BT, whole)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    print(f"{gemma.name}: the same logits, to 1e-5")

# %% [markdown]
# ## Break it on purpose
#
# First on the pencil vector, where the right answer was $(-0.6, 0.4, 0.3, 0, 5.4)$. Which of these would you notice in a review?

# %%
x, scale = np.array([-3.0, 1, 3, 5, 9]), np.array([0, 1, -0.5, -1, 2])
wrong = {
    "1 missing": x / 5 * scale,
    "1 added twice": x / 5 * (2 + scale),
    "1 added to the result": x / 5 * scale + 1,
    "sum for mean (L2 norm)": x / np.sqrt(125) * (1 + scale),
    "no square root": x / 25 * (1 + scale),
    "mean subtracted": (x - 3) / 4 * (1 + scale),
}
for name, y in wrong.items():
    print(f"{name:23} {np.array2string(y + 0.0, precision=2, suppress_small=True)}")
    assert not np.allclose(y, my_rms_norm(x, scale))

# %% [markdown]
# Now the real weights. Removing the offset needs no new code: a model that forgets to add 1 computes with the stored scale, and so does a right model whose scales are all 1 smaller. Adding it twice is the same with 1 more. As in lesson 11, we score the last 103 predictions of the paragraph.


# %%
def shifted(by, kinds=None):
    """The model with `by` added to the stored scales of all norms, or of those called `kinds`."""
    moved = {
        name: leaf + by
        if name.endswith("scale") and (kinds is None or name.split(".")[-2] in kinds)
        else leaf
        for name, leaf in to_leaves(model.params).items()
    }
    return from_leaves(moved, model.config)


score = {"as published": perplexity(model.params, tokens_T, model.config, skip=1)}
score["1 missing everywhere"] = perplexity(shifted(-1.0), tokens_T, model.config, skip=1)
score["1 added twice"] = perplexity(shifted(1.0), tokens_T, model.config, skip=1)
for name, value in score.items():
    print(f"{name:20} {value:.3g}")
np.testing.assert_allclose(score["as published"], 8.28, rtol=0.01)
assert score["1 missing everywhere"] > 1e9 > score["1 added twice"] > 1.5e8

# %% [markdown]
# Both are far worse than guessing: a die with 262,144 faces has a perplexity of 262,144. Yet the median factor is 7 and many are in the hundreds, where 1 more or less is a small change! So who does the damage? Take the 1 away in one kind of norm at a time. Your guess: the ones before attention, those before feed-forward, the two norms of queries and keys, those after the sublayers, or the last one before the logits?

# %%
groups = {
    "before attention": ("attention_norm",),
    "before feed-forward": ("feedforward_norm",),
    "queries, keys": ("q_norm", "k_norm"),
    "after sublayers": ("post_attention_norm", "post_feedforward_norm"),
    "final": ("final_norm",),
}
alone = {
    group: perplexity(shifted(-1.0, kinds), tokens_T, model.config, skip=1) for group, kinds in groups.items()
}
assert max(alone, key=alone.get) == "before feed-forward"
assert all(value > 50 * score["as published"] for value in alone.values())

# %% [markdown]
# Next, LayerNorm in the place of RMSNorm, with the same factors and no bias; and no ε (10⁻¹², as the config wants a positive number). The mean that LayerNorm subtracts is 4 % of the stream's size; how bad can it be? These two need another config, which JAX would have to compile; the NumPy model runs at once.


# %%
def numpy_perplexity(params, config):
    logits_BTV = numpy_transformer.forward(params, np.array([tokens_T]), config)
    losses_BT = next_token_losses(jnp.asarray(logits_BTV), jnp.array([tokens_T]))
    return float(jnp.exp(losses_BT[0, 1:].mean()))


layer_config = model.config.replace(norm=NormKind.LAYER)
with_bias = to_leaves(stored_whole(numpy_params, model.config))
for name in [name for name in with_bias if name.endswith("scale")]:
    with_bias[name.removesuffix("scale") + "bias"] = np.zeros_like(with_bias[name])
score["LayerNorm"] = numpy_perplexity(from_leaves(with_bias, layer_config), layer_config)
score["no ε"] = numpy_perplexity(numpy_params, model.config.replace(norm_epsilon=1e-12))
assert score["LayerNorm"] > 1e6 and 1.01 < score["no ε"] / score["as published"] < 1.05

# %% [markdown]
# All of them on a logarithmic axis. Five bars are the 1 missing in one kind of norm only.

# %%
bars = score | {f"1 missing: {group}": value for group, value in alone.items()}
bars = dict(sorted(bars.items(), key=lambda item: item[1]))
fig, ax = plt.subplots()
ax.barh(list(bars), list(bars.values()), color=COLOURS["gemma"])
for row, value in enumerate(bars.values()):
    ax.text(value * 1.4, row, f"{value:.3g}", va="center", fontsize=9)
ax.set(
    title="A missing 1 ruins the real model",
    xscale="log",
    xlim=(1, 1e12),
    xlabel="perplexity",
)
ax.invert_yaxis()
show(fig, "Perplexity by mistake: " + "; ".join(f"{name} {value:.3g}" for name, value in bars.items()) + ".")
late = factors_LD["feedforward_norm"][15:]
assert np.mean((late >= 0) & (late < 1)) > 0.5

# %% [markdown]
# The norms before feed-forward need their 1 most. In the last layers more than half of their factors lie between 0 and 1, and without the 1 they change sign; and where the factor was 0, at the loud channel, it becomes −1 and lets the loudest number through.
#
# LayerNorm is the surprise. It subtracts 4 % of the size from each entry, and perplexity passes a million: 4 % of the size is the loud channel, spread over all 640, and a typical entry is only 6 %. Dividing by the standard deviation would have been harmless (it is within 1 % of the RMS). So re-centring may be dispensable when a model is trained; but a model that was trained without it cannot bear it.
#
# And ε? Leaving it out costs 2 %, from 8.28 to 8.48. So something in this model is smaller than 0.001. The records of what entered the norms after feed-forward:

# %%
after_feedforward_LT = np.sqrt(np.mean(seen_L4TD[:, 3] ** 2, axis=-1))
bos, rest = after_feedforward_LT[13:16, 0], after_feedforward_LT[13:16, 1:]
print("feed-forward output at <bos>, layers 13 to 15:", " ".join(f"{value:.1e}" for value in bos))
print("at other tokens, median:                      ", " ".join(f"{v:.1e}" for v in np.median(rest, axis=1)))
assert bos.max() < 3e-4 < 1e-2 < rest.min() and 100 * bos.max() < np.median(rest, axis=1).min()

# %% [markdown]
# At `<bos>`, these feed-forward layers write almost nothing: less than a hundredth of what they write elsewhere, below √ε = 0.001. The norm after them would blow that up to size 1, times factors of hundreds; ε under the root keeps it quiet. Is that all that ε does here? Take it away at this one token only, in the norms after feed-forward only, and leave it everywhere else.


# %%
calls = []


def no_epsilon_at_bos(params, x, config):
    calls.append(params)
    y = numpy_norms.norm(params, x, config).copy()
    if len(calls) % 4 == 0:  # the fourth norm of a block
        y[:, 0] = numpy_norms.norm(params, x[:, 0], config.replace(norm_epsilon=1e-12))
    return y


with mock.patch.object(numpy_block, "norm", no_epsilon_at_bos):
    only_there = numpy_perplexity(numpy_params, model.config)
print(f"without ε anywhere {score['no ε']:.2f}, without it at <bos> after feed-forward {only_there:.2f}")
np.testing.assert_allclose(only_there, score["no ε"], rtol=2e-3)

# %% [markdown]
# That is all of it. A port with ε outside the root, or without it, changes one token out of 105, the one to which most attention goes (lesson 11). The model was trained with its ε and counts on it.
#
# Who shipped such things? llama.cpp's files, GGUF, hold the scales with 1 *already added*, so that one RMSNorm serves Gemma and Llama ([#5631](https://github.com/ggml-org/llama.cpp/pull/5631)). Whoever reads a GGUF file and also adds 1 gets "1 added twice": [mold #1078](https://github.com/utensils/mold/pull/1078) did, in the text encoder of a video generator. It ran without an error and rendered coherent videos of the wrong subject, a talking face where a dog was asked for. Whoever runs the published files through a norm made for Llama gets "1 missing everywhere": [executorch #19901](https://github.com/pytorch/executorch/pull/19901), [Liger-Kernel #74](https://github.com/linkedin/Liger-Kernel/issues/74).
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it.
#
# ### 1 · Gemma's norm, as it must be in bfloat16
#
# *Difficulty 2 of 5, 10 minutes.* Write `gemma_norm(x, scale, epsilon)` with NumPy: x has any number of axes, the last is D; scale is D. Compute in float32, round once and last: the result has the type of x. First example: `gemma_norm(np.float32([-3, 1, 3, 5, 9]), np.float32([0, 1, -0.5, -1, 2]), 0.0)` gives `[-0.6, 0.4, 0.3, 0, 5.4]`.
#
# ```python
# def gemma_norm(x, scale, epsilon):
#     x_float = ...
#     mean_square = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The equation stands at the top; where to round, in the section on the three official implementations.</details>
# <details><summary>Hint 2</summary><code>astype(np.float32)</code> first for x and for scale, <code>keepdims=True</code> in the mean over the last axis, <code>astype(x.dtype)</code> at the end.</details>
# <details><summary>Hint 3</summary><code>mean_square = np.mean(x_float**2, axis=-1, keepdims=True)</code>. What remains is x over the root of mean_square + epsilon, times 1 + scale, rounded.</details>


# %% tags=["solution", "hide-input"]
def gemma_norm(x, scale, epsilon):
    ### BEGIN SOLUTION
    x_float, factor = x.astype(np.float32), 1 + scale.astype(np.float32)
    mean_square = np.mean(x_float**2, axis=-1, keepdims=True)
    return (x_float * factor / np.sqrt(mean_square + epsilon)).astype(x.dtype)
    ### END SOLUTION


# %% [markdown]
# The check tries one vector, batches of two and three axes, inputs so small that ε counts, and bfloat16.

# %%
check("gemma_norm", gemma_norm)

# %% [markdown]
# ### 2 · A norm without parameters
#
# *Difficulty 2 of 5, 8 minutes.* The queries are made from the normed stream: q = Σ over D of (x / rms) · (1 + scale) · w_q. The factor can move into the matrix, and then the norm has nothing left to store, as in OLMo. Write `fold_into_query(scale, w_q)`: scale is D, w_q is D N H, and so is the new w_q that you return. First example: `fold_into_query(np.float32([-0.5, 1]), np.ones((2, 1, 1), np.float32))` gives `[[[0.5]], [[2]]]`.
#
# ```python
# def fold_into_query(scale, w_q):
#     return ...
# ```
#
# <details><summary>Hint 1</summary>Which axis of w_q meets the stream?</details>
# <details><summary>Hint 2</summary>Each of the D slices of w_q is multiplied by one number: bring the factors to shape D 1 1, or name the axes in an einsum.</details>
# <details><summary>Hint 3</summary><code>np.einsum("D,DNH->DNH", …, w_q)</code> with the factors in the first place.</details>


# %% tags=["solution", "hide-input"]
def fold_into_query(scale, w_q):
    ### BEGIN SOLUTION
    return (1 + scale)[:, None, None] * w_q
    ### END SOLUTION


# %% [markdown]
# The check uses matrices whose axes all differ, and one whose axes are all 4, in which a wrong axis still fits.

# %%
check("fold_into_query", fold_into_query)

# %% [markdown]
# ### 3 · OLMo's norm
#
# *Difficulty 2 of 5, 8 minutes.* Write `olmo_norm(x, epsilon)`: LayerNorm over the last axis with no scale and no bias, in float32 inside, the type of x outside. First example: `olmo_norm(np.float32([-3, 1, 3, 5, 9]), 0.0)` gives `[-1.5, -0.5, 0, 0.5, 1.5]`.
#
# ```python
# def olmo_norm(x, epsilon):
#     x_float = x.astype(np.float32)
#     centred = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The first section says what LayerNorm is once the mean is gone.</details>
# <details><summary>Hint 2</summary>Subtract the mean of each vector. The variance is the mean of the squares of what is left, so divide by D, not by D − 1.</details>
# <details><summary>Hint 3</summary><code>centred = x_float - x_float.mean(axis=-1, keepdims=True)</code>; the return line is that of RMSNorm with <code>centred</code> in the place of x.</details>


# %% tags=["solution", "hide-input"]
def olmo_norm(x, epsilon):
    ### BEGIN SOLUTION
    x_float = x.astype(np.float32)
    centred = x_float - x_float.mean(axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return (centred / np.sqrt(variance + epsilon)).astype(x.dtype)
    ### END SOLUTION


# %% [markdown]
# One case has a mean of 300. There the order of the operations shows: a variance computed as mean(x²) − mean(x)² loses its digits, and `jax.nn.standardize`, whose default algorithm "fast" computes it so, does not pass.

# %%
check("olmo_norm", olmo_norm)

# %% [markdown]
# ### 4 · One sublayer, three placements
#
# *Difficulty 2 of 5, 8 minutes.* Write `add_sublayer(x, sublayer, norm, placement)`, which returns the stream after one sublayer. `sublayer` and `norm` are functions of one argument, `placement` is "pre", "post" or "sandwich". (The two norms of a sandwich have scales of their own in a real model; here one function does for both.) First example, with a sublayer that adds 1 and a norm that doubles: from x = 3, pre gives 3 + (6 + 1) = 10, post gives 2 · (3 + 4) = 14.
#
# ```python
# def add_sublayer(x, sublayer, norm, placement):
#     if placement == "post":
#         return ...
#     ...
# ```
#
# <details><summary>Hint 1</summary>The section on placement begins with the three formulas.</details>
# <details><summary>Hint 2</summary>Pre and sandwich leave x itself alone: what they norm is on the side branch.</details>
# <details><summary>Hint 3</summary><code>y = sublayer(norm(x))</code> for both, and then <code>x + norm(y)</code> for the sandwich.</details>


# %% tags=["solution", "hide-input"]
def add_sublayer(x, sublayer, norm, placement):
    ### BEGIN SOLUTION
    if placement == "post":
        return norm(x + sublayer(x))
    y = sublayer(norm(x))
    return x + (norm(y) if placement == "sandwich" else y)
    ### END SOLUTION


# %% [markdown]
# The check uses RMSNorm and sublayers that mix the channels.

# %%
check("add_sublayer", add_sublayer)

# %% [markdown]
# ### 5 · Backwards
#
# *Difficulty 4 of 5, 15 minutes.* What does a norm do to gradients? With r = √(mean(x²) + ε) and y = x / r, training knows $g$, the gradient of the loss with respect to y, and needs the one with respect to x. Write `norm_gradient(x, g, epsilon)` by hand: x and g have any number of axes, the last is D. First example: `norm_gradient(np.float32([3, 4]), np.float32([1, 0]), 0.0)` gives `[0.1810, -0.1358]`, which is perpendicular to x.
#
# ```python
# def norm_gradient(x, g, epsilon):
#     r = ...
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>x moves y in two ways: directly, and through r, which all D entries share.</details>
# <details><summary>Hint 2</summary>dr/dx = x / (D r). So the gradient is g / r − (Σ g·x) / r² · dr/dx, with the sum over the last axis.</details>
# <details><summary>Hint 3</summary><code>shared = np.mean(g * x, axis=-1, keepdims=True)</code>. What remains is g / r minus x · shared over a power of r.</details>


# %% tags=["solution", "hide-input"]
def norm_gradient(x, g, epsilon):
    ### BEGIN SOLUTION
    r = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + epsilon)
    shared = np.mean(g * x, axis=-1, keepdims=True)
    return g / r - x * shared / r**3
    ### END SOLUTION


# %% [markdown]
# The check has large and small inputs. The same question to JAX, on the three-axis batch from the beginning:

# %%
check("norm_gradient", norm_gradient)
example = norm_gradient(np.float32([3, 4]), np.float32([1, 0]), 0.0)
np.testing.assert_allclose(example, [0.1810, -0.1358], atol=1e-4)
_, pull_back = jax.vjp(lambda x: my_jax_norm(x, 0.0), jnp.asarray(x_BTD))
np.testing.assert_allclose(norm_gradient(x_BTD, x_BTD[::-1], 1e-6), pull_back(x_BTD[::-1])[0], atol=1e-5)

# %% [markdown]
# ## What breaks if…
#
# **…you divide by the standard deviation instead of the root mean square, but subtract nothing, in the real model?**
#
# <details><summary>Answer</summary>Next to nothing. On the real stream the two differ by less than 1 %, because the mean is only 4 % of the size and enters squared. It is the subtraction that kills: it moves every entry by the same amount, and for a typical entry that amount is more than half of its size.</details>
#
# **…you run Gemma 3 270M in float16, because your GPU has no bfloat16?**
#
# <details><summary>Answer</summary>The stream overflows. Its largest entry, at the loud channel of `<bos>`, is beyond 65504, the end of float16, so it becomes ∞; the next norm computes ∞ / ∞, which is NaN, and every later token attends to `<bos>`. bfloat16 has fewer digits and float32's range, which is what this stream needs. In a norm the square comes on top: even 300 is too much, since 300² is 90,000. That is why x is made float32 before it is squared.</details>
#
# **…you fold 1 + scale of the norm *after* attention into w_o, as exercise 2 folded the norm before it into w_q?**
#
# <details><summary>Answer</summary>The result is wrong. Before a matrix, the factor is the last thing that happens to x, and the matrix comes next: they can be multiplied together. After w_o, the division by the RMS stands between the matrix and the factor. A factor inside w_o would change the RMS itself, and be divided out again in part. Only a norm that is directly followed by a matrix can give its factor away.</details>
#
# ## To take home
#
# RMSNorm divides each token's vector by its root mean square and forgets its length; LayerNorm also forgets the mean, and a model trained without that cannot bear it afterwards.
#
# Gemma stores the factor's distance from 1, so that zero means "change nothing" to initialisation and to weight decay, and every file format needs a note that says whose job the 1 is.
#
# In a trained Gemma the norms are at work: they mute the loudest channel, turn others up, and use ε to keep `<bos>` quiet.
#
# **Next.** Lesson 04 turns queries and keys to their positions. To read: Zhang and Sennrich 2019, [Root mean square layer normalization](https://arxiv.org/abs/1910.07467), sections 3 and 4; Xiong et al. 2020, [On layer normalization in the Transformer architecture](https://arxiv.org/abs/2002.04745), on norms before and after; Dettmers et al. 2022, [LLM.int8()](https://arxiv.org/abs/2208.07339), on outlier channels; and the thread of [transformers #29402](https://github.com/huggingface/transformers/pull/29402), where the roundings were found.
