# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/06_geglu.ipynb)
#
# # 06 · GeGLU
#
# Set the embedding table aside, and 91 of every 100 parameters of Gemma 2B sit in one kind of place: three matrices per layer, called gate, up and down. Exchange the first two, which have the same shape, so that nothing complains, and the perplexity of a real Gemma on a paragraph about rain (among how many equally likely tokens it hesitates) goes from 8.28 to over ten million. Give it Llama's curve instead of its own, which has the same shape, and it goes to 21; a Rust library did that. Give it the exact formula where it was trained with an approximation, as Google's own PyTorch code did, and it stays at 8.28: you would never know.
#
# The feed-forward layer is where each token is worked on by itself. Gemma multiplies two branches, one of which has passed through GELU, in its tanh form; Llama 2 and OLMo pass it through SiLU, GPT-2 has GELU and one branch, the 2017 Transformer ReLU and one branch. And no other of these makes it eight times as wide as the stream.
#
# *35 minutes, and as long again for the exercises; difficulty 2 of 5. You need the matrix product and the derivative.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The last line asks for full float32 products, which a TPU would otherwise round.

# %%
import csv
import inspect
import itertools
import math
import re
from statistics import NormalDist
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.config import Activation
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import block as jax_block
from gemma_edu.jax_model import feedforward as jax_feedforward
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.jax_model.loss import perplexity
from gemma_edu.numpy_model import feedforward as numpy_feedforward
from gemma_edu.params import FeedForward, build, count

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## From a switch to a curve
#
# Between two matrix products a network needs something that is not linear, or the two products would be one. The 2017 Transformer took the **ReLU**, max(x, 0): a switch that lets a number pass if it is positive. The **GELU** (Hendrycks & Gimpel 2016, section 2) asks how *clearly* it is positive:
#
# $$\mathrm{GELU}(x) = x\,\Phi(x)$$
#
# Φ(x) is the probability that a draw from the standard normal distribution is below x. So 2 is kept at 97.7 %, 0.1 at 54.0 %, and −1 at 15.9 %. By hand, with a table of Φ: GELU(2) = 2 · 0.977 = 1.954, and GELU(−1) = −1 · 0.159 = −0.159.

# %%
for x in (2.0, 0.1, -1.0):
    print(f"x {x:4.1f}   Φ(x) {NormalDist().cdf(x):.3f}   GELU(x) {x * NormalDist().cdf(x):6.3f}")
np.testing.assert_allclose((2 * NormalDist().cdf(2), -NormalDist().cdf(-1)), (1.954, -0.159), atol=1e-3)

# %% [markdown]
# Φ has no formula in elementary functions, and the paper gives an approximation beside it, the one that Gemma was trained with:
#
# $$\mathrm{GELU}(x) \approx 0.5\,x\,\Big(1 + \tanh\big(\sqrt{2/\pi}\,(x + 0.044715\,x^3)\big)\Big)$$
#
# It looks less strange when you know that 0.5 (1 + tanh z) is the logistic function of 2z, σ(2z) = 1 / (1 + exp(−2z)). Then it is x times a logistic of something, and so is **SiLU**, Llama's curve: x σ(x). We write all of them that way.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    """Gemma's GELU: x times a logistic whose argument is a little more than linear."""
    return x * sigmoid(np.sqrt(8 / np.pi) * (x + 0.044715 * x**3))


def silu(x):
    return x * sigmoid(x)


def relu(x):
    return x * (x > 0)


# %% [markdown]
# Before you look: all three are 0 at 0 and nearly x for large x. Which of them goes lowest below zero, and where?

# %%
x = np.linspace(-4, 2.5, 1301)
fig, ax = plt.subplots()
ax.plot(x, relu(x), "--", color=COLOURS["stream"])
ax.plot(x, silu(x), color=COLOURS["llama2"])
ax.plot(x, gelu(x), color=COLOURS["gemma"])
ax.text(-3.9, 0.06, "ReLU (2017 Transformer)", color=COLOURS["stream"])
ax.text(-2.6, -0.42, "SiLU (Llama 2, OLMo)", color=COLOURS["llama2"])
ax.text(0.55, 0.12, "GELU (Gemma, GPT-2)", color=COLOURS["gemma"])
ax.set(xlabel="x, what enters", ylabel="what leaves", ylim=(-0.5, 2.0))
ax.set_title("Three curves that agree on the large numbers")
show(
    fig,
    "ReLU, GELU and SiLU from −4 to 2.5. All are nearly x on the right and nearly 0 on the left. GELU dips to "
    "−0.170 at −0.75, SiLU to −0.278 at −1.28, ReLU not at all.",
)

lowest = {f.__name__: (x[f(x).argmin()], f(x).min()) for f in (gelu, silu)}
np.testing.assert_allclose(lowest["gelu"], (-0.75, -0.170), atol=0.005)
np.testing.assert_allclose(lowest["silu"], (-1.28, -0.278), atol=0.005)

# %% [markdown]
# SiLU goes lowest, to −0.278 at −1.28; GELU goes to −0.170 at −0.75. The dip is the part to remember: a ReLU never gives a negative number, and we shall see that most gates of a real Gemma are in the dip.
#
# Why care about the left side at all? Because of learning. To the left of 0 the ReLU is flat: its derivative is exactly 0, so a unit that is negative for every token gets no gradient, never moves, and is called *dead*. What is GELU's derivative at −1: zero, positive or negative? And what is the steepest slope on the right?


# %%
def slopes(function, x):
    """The derivative of a function of one number, at many places."""
    return np.asarray(jax.vmap(jax.grad(function))(jnp.asarray(x, jnp.float32)))


relu_slope = slopes(jax.nn.relu, x)
gelu_slope_tanh = slopes(lambda x: jax.nn.gelu(x, approximate=True), x)
fig, ax = plt.subplots()
ax.plot(x, relu_slope, "--", color=COLOURS["stream"])
ax.plot(x, gelu_slope_tanh, color=COLOURS["gemma"])
ax.text(-3.9, 0.05, "ReLU: exactly 0", color=COLOURS["stream"])
ax.text(0.15, 0.35, "GELU", color=COLOURS["gemma"])
ax.set(xlabel="x, what enters", ylabel="derivative")
ax.set_title("Where a ReLU is dead, a GELU still learns")
show(
    fig,
    "The derivative of ReLU jumps from 0 to 1 at x = 0. That of GELU is −0.083 at −1, −0.129 at −1.4, 0.5 at 0, "
    "1.129 at 1.4, and tends to 0 and 1 at the two ends.",
)

# %% [markdown]
# Negative, and the steepest slope is 1.13, more than a ReLU's. On the far left GELU is flat as well, so it is no cure for everything, but between −3 and 0 a gradient gets through. For one unit, gate −1 and the other branch 1:


# %%
def slopes_of_unit(curve):
    return jax.grad(lambda gate, up: curve(gate) * up, argnums=(0, 1))(-1.0, 1.0)


for name, curve in {"ReLU": jax.nn.relu, "GELU": lambda x: jax.nn.gelu(x, approximate=True)}.items():
    by_gate, by_up = slopes_of_unit(curve)
    print(f"{name}: gradient of the gate {by_gate:6.3f}, of the other branch {by_up:6.3f}")
assert (relu_slope[x < 0] == 0).all()
np.testing.assert_allclose((by_gate, by_up), (-0.083, -0.159), atol=5e-4)
np.testing.assert_allclose((gelu_slope_tanh.min(), gelu_slope_tanh.max()), (-0.129, 1.129), atol=5e-4)

# %% [markdown]
# ## Two branches
#
# A *gated linear unit* (Dauphin et al. 2017, section 2) is a product of two linear functions of the same x, one of which has passed through a logistic: the one says *what*, the other *how much of it*. Shazeer (2020, section 2) tried other curves in place of the logistic and added a matrix that leads back to the width of the stream. With GELU it is the GeGLU that the Gemma report names ("the approximated version of the GeGLU", arXiv:2403.08295, version 4, "Model Architecture"):
#
# $$\mathrm{FFN}(x) = \big(\mathrm{GELU}(x\,W_\text{gate}) \odot x\,W_\text{up}\big)\,W_\text{down}$$
#
# $W_\text{gate}$ and $W_\text{up}$ have the shape D F, $W_\text{down}$ has F D; ⊙ multiplies number by number. D is the width of the stream, F the width of a branch.
#
# By hand, with D = 2 and F = 2. Take x = (1, 2). Column by column, x W_gate = (1·0 + 2·1, 1·1 − 2·1) = (2, −1), and x W_up = (1·1 + 2·1, 1·1 + 2·2) = (3, 5).

# %%
x_D = np.array([1.0, 2.0])
w_gate = np.array([[0.0, 1.0], [1.0, -1.0]])
w_up = np.array([[1.0, 1.0], [1.0, 2.0]])
w_down = np.array([[1.0, 0.0], [1.0, 2.0]])
print("gate", x_D @ w_gate, "  up", x_D @ w_up)
assert (x_D @ w_gate).tolist() == [2, -1] and (x_D @ w_up).tolist() == [3, 5]

# %% [markdown]
# With a ReLU the rest can be done in the head. The gate 2 stays, −1 becomes 0; times up: (6, 0); times W_down: 6 times its first row, (6, 0). The second unit says nothing, though its up is the larger one. With GELU the gates are (1.9546, −0.1588), and the second unit speaks a little, with the other sign: (5.864, −0.794) before W_down, and 5.864 · (1, 0) − 0.794 · (1, 2) = (5.070, −1.588) after.
#
# Read it unit by unit. Unit f looks in two directions, column f of W_gate and column f of W_up, multiplies what it finds, and writes row f of W_down into the stream, that many times.


# %%
def geglu_by_units(x_D, w_gate, w_up, w_down):
    y_D = np.zeros_like(x_D)
    for f in range(len(w_down)):
        gate, up = x_D @ w_gate[:, f], x_D @ w_up[:, f]
        y_D += gelu(gate) * up * w_down[f]
    return y_D


by_units = geglu_by_units(x_D, w_gate, w_up, w_down)
print(by_units.round(3))
np.testing.assert_allclose(by_units, (5.070, -1.588), atol=1e-3)

# %% [markdown]
# A loop over 16,384 units would take a while. In one line, for any number of tokens:


# %%
def my_glu(x, w_gate, w_up, w_down, activation=gelu):
    """Gate, up, product, down; the last axis of x is D."""
    return np.einsum("...F,...F,FD->...D", activation(x @ w_gate), x @ w_up, w_down)


np.testing.assert_allclose(my_glu(x_D, w_gate, w_up, w_down), by_units, atol=1e-12)

# %% [markdown]
# The curve is an argument, because Shazeer's five candidates differ in nothing else. The product before W_down, by hand for three of them: Bilinear, without any curve, gives (2·3, −1·5) = (6, −5); ReGLU (6, 0); and the original GLU (σ(2)·3, σ(−1)·5). Which will be closest to GEGLU?

# %%
family = {"GLU": sigmoid, "Bilinear": lambda x: x, "ReGLU": relu, "GEGLU": gelu, "SwiGLU": silu}
products = {name: my_glu(x_D, w_gate, w_up, np.eye(2), curve) for name, curve in family.items()}
for name, product in products.items():
    print(f"{name:8} {product.round(3)}")
assert products["Bilinear"].tolist() == [6, -5] and products["ReGLU"].tolist() == [6, 0]
away = {name: np.abs(product - products["GEGLU"]).max() for name, product in products.items()}
assert sorted(away, key=away.get)[1] == "SwiGLU"

# %% [markdown]
# SwiGLU, by a little. Why a product of two branches works better than one branch, the paper does not claim to know: it attributes the success "to divine benevolence" (section 4).
#
# The package's version, read from the installed file:

# %%
show_source(numpy_feedforward.feedforward, numpy_feedforward.activate)

# %% [markdown]
# One function for all models of the course: biases where GPT-2 has them, one branch where `config.gated` is False, and the curve that the config names. Is ours the same on random weights, with every axis of another length?

# %% tags=["contract"]
config = presets.TINY_GEMMA_2B
D, F = config.embed_dim, config.hidden_dim
random = np.random.default_rng(0)
weights = FeedForward(
    w_gate=random.normal(0, 0.5, (D, F)).astype(np.float32),
    w_up=random.normal(0, 0.5, (D, F)).astype(np.float32),
    w_down=random.normal(0, 0.5, (F, D)).astype(np.float32),
)
x_BTD = random.normal(size=(3, 5, D)).astype(np.float32)
mine_BTD = my_glu(x_BTD, weights.w_gate, weights.w_up, weights.w_down)
np.testing.assert_allclose(
    mine_BTD, numpy_feedforward.feedforward(weights, x_BTD, config), rtol=1e-5, atol=1e-5
)

# %% [markdown]
# ## What a gate does
#
# Hold `up` still and let the gate vary: what one unit hands to W_down is GELU, scaled by `up`, and turned over where `up` is negative. For which `up`, do you think, does a gated unit do what a unit of GPT-2 does?


# %%
def draw_unit(up):
    """What a unit hands on, against its gate, for some values of up and one in colour."""
    gate = np.linspace(-4, 3, 701)
    fig, ax = plt.subplots()
    for other in (-2, -1, 0, 2):
        ax.plot(gate, gelu(gate) * other, color="0.75", linewidth=1)
        ax.text(3.06, gelu(3) * other, f"up = {other}", color="0.45", va="center")
    ax.plot(gate, gelu(gate) * up, color=COLOURS["gemma"])
    ax.text(3.06, gelu(3) * up, f"up = {up:g}", color=COLOURS["gemma"], va="center", weight="bold")
    ax.axvspan(-4, 0, color="0.96", zorder=0)
    ax.text(-3.9, 5.2, "gate negative: nearly closed", color="0.35")
    ax.set(xlabel="gate", ylabel="GELU(gate) · up", xlim=(-4, 4), ylim=(-6.5, 6.5))
    ax.set_title("The gate decides whether, up decides what")
    return fig


show(
    draw_unit(1),
    "GELU(gate) times up against gate, for up −2, −1, 0, 1 and 2. Left of 0 all curves lie within 0.34 of zero; "
    "right of 0 they fan out into straight lines, to ±6 at gate 3.",
)
assert np.abs(gelu(np.linspace(-4, 0, 401)) * 2).max() < 0.35

# %% [markdown]
# On the left, whatever `up` says, almost nothing passes. On the right, the unit hands on nearly gate · up, a true product of two readings of x, which a unit with one branch cannot form. With `up` = 1 the gate is all there is, and that is the unit of GPT-2: an ungated layer is a gated one whose up branch always says 1. We can have the package confirm it, with W_up = 0 and a bias of 1:

# %%
biased = config.replace(feedforward_bias=True)
always_one = weights._replace(
    w_up=0 * weights.w_up, b_up=np.ones(F, np.float32), b_down=np.zeros(D, np.float32)
)
one_branch = FeedForward(w_up=weights.w_gate, w_down=weights.w_down)
np.testing.assert_allclose(
    numpy_feedforward.feedforward(always_one, x_BTD, biased),
    numpy_feedforward.feedforward(one_branch, x_BTD, config.replace(gated=False)),
    atol=1e-6,
)

# %% [markdown]
# And `up` enters linearly. Double W_up and halve W_down, and nothing changes. Is that so for W_gate?

# %%
original = my_glu(x_D, w_gate, w_up, w_down)
np.testing.assert_allclose(my_glu(x_D, w_gate, 2 * w_up, w_down / 2), original)
gate_doubled = my_glu(x_D, 2 * w_gate, w_up, w_down / 2)
print("gate doubled, down halved:", gate_doubled.round(3), "not", original.round(3))
assert np.abs(gate_doubled - original).max() > 0.1

# %% [markdown]
# It is not: GELU(2g) is not 2 GELU(g). If you run this notebook, the next cell lets you move `up` in the figure with a slider.

# %% tags=["nbval-skip"]
from ipywidgets import interact


@interact(up=(-3.0, 3.0, 0.5))
def move(up=-1.0):
    show(draw_unit(up), f"GELU(gate) times up against gate, with up = {up} in colour.")


# %% [markdown]
# ## The same in JAX, and a default that differs
#
# What will differ in JAX: the formula, the shapes, or a detail? The package's JAX model has a function of its own for activations times weights, `product("...D,DF->...F", x, w)`. It is the einsum that it looks like, and lesson 09 tells why it exists; here we write it `x @ w` again, give the arrays the same type name, and compare the source of the two functions.

# %%
in_numpy = inspect.getsource(numpy_feedforward.feedforward).replace("np.ndarray", "Array")
in_jax = inspect.getsource(jax_feedforward.feedforward)
in_jax = re.sub(r'product\("[^"]+", (\w+), ([\w.]+)\)', r"\1 @ \2", in_jax)
print("feedforward: the same text" if in_numpy == in_jax else "feedforward: another text")
assert in_numpy == in_jax
show_source(jax_feedforward.activate)

# %% [markdown]
# Now they are the same to the letter; the curves come from `jax.nn`. Our one line must equal it too:

# %% tags=["contract"]
in_jax_BTD = jax_feedforward.feedforward(weights, x_BTD, config)
np.testing.assert_allclose(mine_BTD, in_jax_BTD, rtol=1e-5, atol=1e-5)
np.testing.assert_allclose(
    my_glu(x_BTD, weights.w_gate, weights.w_up, weights.w_down, silu),
    jax_feedforward.feedforward(weights, x_BTD, config.replace(activation=Activation.SILU)),
    rtol=1e-5,
    atol=1e-5,
)

# %% [markdown]
# The detail is `approximate=`, spelled out although it has a default. In JAX, as in Flax, the default is the tanh form; PyTorch's `F.gelu` defaults to the exact one. The same call, `gelu(x)`, is two functions.

# %%
default = inspect.signature(jax.nn.gelu).parameters["approximate"].default
tanh_form, exact_form = (float(jax.nn.gelu(-2.7, approximate=choice)) for choice in (True, False))
print(f"jax.nn.gelu: approximate={default};  GELU(−2.7) is {tanh_form:.5f} by tanh, {exact_form:.5f} exactly")
assert default is True and abs(tanh_form - exact_form) > 4e-4

# %% [markdown]
# ## Two formulas by one name
#
# How far apart are they? Guess the order of magnitude, and the place: near 0, where most numbers are, or far out, where both are nearly flat?

# %%
grid = np.arange(-8, 8, 1e-3)
exact = grid * np.vectorize(NormalDist().cdf)(grid)
difference = gelu(grid) - exact
worst = np.abs(difference[grid < 0]).argmax()
print(f"largest difference {np.abs(difference[worst]):.2e}, at x = {grid[worst]:.2f}")
np.testing.assert_allclose(np.abs(difference[worst]), 4.73e-4, atol=5e-7)
np.testing.assert_allclose(grid[worst], -2.70, atol=5e-3)

# %% [markdown]
# The picture has a symmetry that you may not expect.

# %%
fig, ax = plt.subplots()
ax.axhline(0, color="0.8", linewidth=1)
ax.plot(grid, difference * 1e4, color=COLOURS["gemma"])
ax.plot([-2.7, 2.7], [difference[worst] * 1e4] * 2, "o", color=COLOURS["gemma"])
ax.text(0, difference[worst] * 1e4, "x = ±2.70", ha="center", va="center", color=COLOURS["gemma"])
ax.set(xlabel="x", ylabel="tanh form − exact (ten-thousandths)", xlim=(-6, 6))
ax.set_title("The two GELUs differ by 4.73e-4 at most")
show(
    fig,
    "The tanh form minus the exact GELU from −6 to 6: symmetric about 0, zero at 0, small bumps to both sides, "
    "an extreme of 4.73 ten-thousandths at ±2.70, and zero again beyond 5.",
)
np.testing.assert_allclose(gelu(2.7) - 2.7 * NormalDist().cdf(2.7), difference[worst], atol=1e-6)

# %% [markdown]
# It is even, because x times an odd error is even. Where does 0.044715 come from? Match both series at 0 and you get (2/π)/3 − 1/6 = 0.0455; a slightly smaller number is better over the whole line. Without the cube, and with the other shortcut from the same paper, x σ(1.702 x), the error is 40 to 70 times as large:

# %%
others = {
    "0.044715, the published one": gelu(grid),
    "0.045540, by series": grid * sigmoid(np.sqrt(8 / np.pi) * (grid + (2 / (3 * np.pi) - 1 / 6) * grid**3)),
    "no cube": grid * sigmoid(np.sqrt(8 / np.pi) * grid),
    "x σ(1.702 x)": grid * sigmoid(1.702 * grid),
}
errors = {name: np.abs(values - exact).max() for name, values in others.items()}
for name, error in errors.items():
    print(f"{name:28} {error:.1e}")
np.testing.assert_allclose(list(errors.values()), (4.73e-4, 7.46e-4, 3.36e-2, 2.03e-2), rtol=0.01)

# %% [markdown]
# Why have an approximation at all? Its author, asked: "simply because the error function erf was slow in tensorflow some years ago" (D. Hendrycks, [pytorch #39853](https://github.com/pytorch/pytorch/issues/39853), 2020). Whatever has become of the reason, the weights that were trained with it remain. And so Gemma's ports went their ways:
#
# | code | which GELU it ran | source |
# |---|---|---|
# | DeepMind's JAX code | tanh, from the first commit (2024-02-19): Flax's default | google-deepmind/gemma `f03bf63` |
# | Google's PyTorch code | **exact** at launch (2024-02-20); tanh from 2024-03-02 | google/gemma_pytorch `09eee7b`; `0a7afad`, PR #37 |
# | transformers | **exact** before 4.39; tanh; **exact again** in 4.48.0 to 5.17.0 where a config says `"hidden_act": "gelu"`; tanh in 5.18.0 | PRs #29402, #29729; wheels read |
# | vLLM | **exact**, until #3653 | issue #3411 (2024-03-14) |
# | KerasHub | tanh, always | first Gemma commit `dd3ceb795` |
# | llama.cpp | tanh: its `ggml_gelu` is the tanh form | `LLM_FFN_GELU`; an exact one came with PR #13667 (2025-05) |
# | the report | first print (2024-02-21): "GeGLU"; version 4 (2024-04-16): "the approximated version of the GeGLU" | arXiv:2403.08295 |
#
# What does it do to a real model? We run Gemma 3 270M on a paragraph, both ways. Decide first: how far does the largest logit move, and how many of 105 predicted words change?

# %%
model = checkpoints.load("gemma3-270m")
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_T = model.tokenizer.encode(text, add_bos=True)
logits_TV, exact_logits_TV = (
    np.asarray(
        jax_transformer.forward(
            model.params, np.array([tokens_T]), model.config.replace(activation=activation)
        )[0]
    )
    for activation in (Activation.GELU_TANH, Activation.GELU_EXACT)
)
shift = np.abs(exact_logits_TV - logits_TV)
print(f"{len(tokens_T)} tokens; logits move by {shift.mean():.3f} on average, {shift.max():.3f} at most")
assert 0.015 < shift.max() < 0.025

# %% [markdown]
# Float32 implementations of the course agree within 0.001, so a parity test sees this at once. Does a reader? A greedy prediction can change only where two tokens nearly tie for the first place: one would have to rise, or the other to fall, by half of the gap between them.

# %%
second, best = np.partition(logits_TV, -2)[:, -2:].T
clear = best - second > 0.01
kept = logits_TV.argmax(-1) == exact_logits_TV.argmax(-1)
(closest,) = np.flatnonzero(~clear)
print(f"{clear.sum()} of {len(clear)} predictions lead by more than 0.01; all of these stay")
pair = sorted(model.tokenizer.decode([int(token)]) for token in np.argpartition(logits_TV[closest], -2)[-2:])
print(
    "the other one:", repr(model.tokenizer.decode(tokens_T[closest - 4 : closest + 1])), "then one of", pair
)
assert kept[clear].all() and clear.sum() == 104 and pair == [",", "."]
assert best[closest] - second[closest] < 0.001

# %% [markdown]
# One prediction of 105 could fall either way: a comma or a full stop after *some of the water evaporates*, whose logits differ by less than 0.001. Any rounding may decide that one. This is a mistake that whispers. You find it by comparing numbers, or by reading the code.
#
# ## What 32768 counts
#
# Table 1 of the report gives "feedforward hidden dims" of 32768 for the 2B and 49152 for the 7B. Published configs say 16384 and 24576. Which is F? Table 2 can tell: it gives 1,981,884,416 parameters without the embedding. Count one layer by hand, with D = 2048: queries and output 2 · 2048 · 8 · 256, keys and values 2 · 2048 · 1 · 256, three feed-forward matrices 3 · 2048 · F, two norms 2 · 2048. Times 18 layers, plus a last norm of 2048. With F = 32768, would you come out 10 %, 50 % or 90 % too high?

# %%
with open(course_data.path("gemma_report_table2.csv"), newline="") as file:
    table_2 = {row["row"]: row for row in csv.DictReader(file)}
published = int(table_2["Non-embedding Parameters"]["gemma_2b"])
for F_tried in (16_384, 32_768):
    layer = 2 * 2048 * 8 * 256 + 2 * 2048 * 1 * 256 + 3 * 2048 * F_tried + 2 * 2048
    total = 18 * layer + 2048
    print(f"F = {F_tried}: {total:13,}, which is {total / published:.3f} of Table 2")
    assert (total == published) == (F_tried == 16_384)

# %% [markdown]
# To the digit, with 16384. The report's figure is gate and up together, as pengchongjin of Google explained on the day that the report is dated (google/gemma_pytorch [issue #2](https://github.com/google/gemma_pytorch/issues/2), 2024-02-21). The 7B, through the package's closed form:

# %%
seven = count(presets.GEMMA_7B)
non_embedding_7b = seven["total"] - seven["embedding"]
print(f"7B with F = {presets.GEMMA_7B.hidden_dim}: {non_embedding_7b:,}")
assert non_embedding_7b == int(table_2["Non-embedding Parameters"]["gemma_7b"])
assert 2 * presets.GEMMA_2B.hidden_dim == 32_768 and 2 * presets.GEMMA_7B.hidden_dim == 49_152
assert all(config.hidden_dim == 8 * config.embed_dim for config in (presets.GEMMA_2B, presets.GEMMA_7B))

# %% [markdown]
# Others count the same way: OLMo 7B's own config says `mlp_hidden_size: 22016`, its Hugging Face config 11008; KerasHub's Gemma takes an `intermediate_dim` and uses half of it for each branch.
#
# And why 11008, in OLMo and in Llama 2? A gate costs a third matrix. To compare fairly, Shazeer (2020, section 2) made F smaller by 2/3, so that three matrices have the parameters of two. Llama 2 starts from the usual F = 4 D, takes 2/3, and rounds up to a multiple of 256 (meta-llama/llama, `llama/model.py`). By hand: 4 · 4096 = 16384, two thirds are 10922.67, and 43 · 256 = 11008.

# %%
gated_parameters, plain_parameters = 3 * 4096 * 11_008, 2 * 4096 * (4 * 4096)
print(f"three matrices {gated_parameters:,}, two {plain_parameters:,}")
print(f"ratio {gated_parameters / plain_parameters:.4f}")
assert 42 * 256 < 2 / 3 * 4 * 4096 < 43 * 256 == presets.LLAMA2_7B.hidden_dim
assert presets.OLMO_7B.hidden_dim == 11_008 and 1 < gated_parameters / plain_parameters < 1.01

# %% [markdown]
# Gemma does not shrink anything. For each model, F / D, and the share of a layer that is feed-forward. Which model will have the largest share, and how many of the others will be within a percent of each other?

# %%
compared = {
    config.name: config
    for config in (
        presets.TRANSFORMER_BASE, presets.GPT2_124M, presets.OLMO_7B, presets.LLAMA2_7B,
        presets.GEMMA3_270M, presets.GEMMA_7B, presets.GEMMA_2B,
    )
}  # fmt: skip
parts = {name: count(config) for name, config in compared.items()}
share = {
    name: 100 * part["feedforward"] / (part["feedforward"] + part["attention"] + part["norms"])
    for name, part in parts.items()
}
np.testing.assert_allclose(share["Gemma 2B"], 91.4, atol=0.05)
assert all(66.5 < share[name] < 67 for name in ("Transformer base", "GPT-2 124M", "OLMo 7B", "Llama 2 7B"))

# %% [markdown]
# As a picture:

# %%
family_of = {"Gemma": "gemma", "Llama": "llama2", "OLMo": "olmo", "GPT-2": "gpt2", "Trans": "stream"}
colours = [next(COLOURS[key] for start, key in family_of.items() if name.startswith(start)) for name in share]
fig, ax = plt.subplots()
ax.barh(list(share), list(share.values()), color=colours)
for row, (name, percent) in enumerate(share.items()):
    ratio = compared[name].hidden_dim / compared[name].embed_dim
    ax.text(percent - 1, row, f"{percent:.1f} %,  F/D = {ratio:.3g}", color="white", ha="right", va="center")
ax.set(xlabel="feed-forward share of a layer's parameters (%)", xlim=(0, 100))
ax.set_title("Gemma 2B: nine tenths of a layer are feed-forward")
show(
    fig,
    "Feed-forward share of a layer: "
    + ", ".join(f"{name} {percent:.1f} %" for name, percent in share.items())
    + ". F/D is 8 in Gemma 1, 3.2 in Gemma 3 270M, 2.69 in Llama 2 and OLMo, 4 in GPT-2 and the Transformer.",
)

# %% [markdown]
# Four models stand at two thirds: with D = N · H, attention takes 4 D², and 2 matrices of D · 4 D, or 3 of D · 2/3 · 4 D, take 8 D². Gemma 2B leaves that line in both directions: eight times D per branch where Llama 2 has 2.7, and one key/value head instead of eight, which makes its attention small (lesson 05).
#
# ## The same piece in the other models
#
# Flip one field of Gemma's config. With `activation`, the tree of weights stays and the curve changes. With `gated=False`, what becomes of the tree? For each we print the leaves of one layer and their number of parameters, and compare NumPy with JAX.


# %%
def random_leaf(name, shape):
    return random.normal(0, 0.5, shape).astype(np.float32)


base = presets.TINY_GEMMA_2B
flips = {"GeGLU: Gemma": base, "SwiGLU: Llama 2, OLMo": base.replace(activation=Activation.SILU)}
flips["GELU: GPT-2"] = base.replace(gated=False, feedforward_bias=True)
flips["ReLU: Transformer"] = flips["GELU: GPT-2"].replace(activation=Activation.RELU)
sizes = {}
for name, flipped in flips.items():
    layer = build(flipped, random_leaf).blocks[0].feedforward
    present = [field for field in layer._fields if getattr(layer, field) is not None]
    sizes[name] = sum(getattr(layer, field).size for field in present)
    expected = numpy_feedforward.feedforward(layer, x_BTD, flipped)
    np.testing.assert_allclose(
        jax_feedforward.feedforward(layer, x_BTD, flipped), expected, rtol=1e-5, atol=1e-5
    )
    print(f"{name:22} {sizes[name]} parameters: {', '.join(present)}")
assert list(sizes.values()) == [3 * 10 * 14] * 2 + [2 * 10 * 14 + 14 + 10] * 2

# %% [markdown]
# ## Break it on purpose
#
# First on the numbers that we know by hand: gate (2, −1), up (3, 5). Six mistakes, each of one line. One of them comes out right to two decimals; which?

# %%
gate_F, up_F = np.array([2.0, -1.0]), np.array([3.0, 5.0])
mistakes = {
    "right": gelu(gate_F) * up_F,
    "gate and up exchanged": gate_F * gelu(up_F),
    "both through GELU": gelu(gate_F) * gelu(up_F),
    "GELU of the product": gelu(gate_F * up_F),
    "sum, not product": gelu(gate_F) + up_F,
    "no curve (Bilinear)": gate_F * up_F,
    "no gate": gelu(up_F),
}
for name, hidden_F in mistakes.items():
    print(f"{name:22} {hidden_F.round(3)}")
np.testing.assert_allclose(mistakes["both through GELU"], mistakes["right"], atol=0.01)
np.testing.assert_allclose(mistakes["gate and up exchanged"], mistakes["no curve (Bilinear)"], atol=0.01)

# %% [markdown]
# It is the third line, because both `up` are large and positive, where GELU does nothing. (For the same reason the second cannot be told from the sixth.) A test on friendly numbers passes wrong code; the first thing to ask of a test is whether it has negative numbers in every place.
#
# How do gate and up get exchanged? Seldom in the formula; mostly in a file. A layer often stores the two as one matrix, so that one product serves both, and the order is a convention. DeepMind's Flax files have `gating_einsum`, 2 D F, with the gate at index 0. OLMo's own files have `ff_proj` with 2 F rows, *up* first, then gate (allenai/OLMo, `scripts/convert_olmo_to_hf_new.py`). And mlx-lm computed `silu(x) * gate` for a while because two arguments of a function had changed places and one of its callers had not followed (mlx-lm [PR #767](https://github.com/ml-explore/mlx-lm/pull/767)). The names mean nothing; what counts is which of the two goes through the curve.
#
# Now the real weights. Nine versions of one line, from right to wrong:

# %%
variants = {
    "as published": lambda gate, up: jax.nn.gelu(gate, approximate=True) * up,
    "exact GELU": lambda gate, up: jax.nn.gelu(gate, approximate=False) * up,
    "x σ(1.702 x)": lambda gate, up: gate * jax.nn.sigmoid(1.702 * gate) * up,
    "SiLU": lambda gate, up: jax.nn.silu(gate) * up,
    "ReLU": lambda gate, up: jax.nn.relu(gate) * up,
    "both through GELU": lambda gate, up: jax.nn.gelu(gate, approximate=True) * jax.nn.gelu(up, approximate=True),
    "exchanged": lambda gate, up: gate * jax.nn.gelu(up, approximate=True),
    "no curve": lambda gate, up: gate * up,
    "no gate": lambda gate, up: jax.nn.gelu(up, approximate=True),
}  # fmt: skip

# %% [markdown]
# To compile nine models would take a while. Instead we compile one that contains all nine and is told by a number which to run: `lax.switch`. The number travels beside the params, because all that is traced must come in as an argument. `mock.patch` puts our feed-forward in the place of the package's while the model is traced.


# %%
def any_variant(params_and_number, tokens, config):
    params, number = params_and_number

    def wrong_feedforward(layer, x, config):
        hidden = jax.lax.switch(number, list(variants.values()), x @ layer.w_gate, x @ layer.w_up)
        return hidden @ layer.w_down

    with mock.patch.object(jax_block, "feedforward", wrong_feedforward):
        return jax_transformer.forward(params, tokens, config)


# %% [markdown]
# Perplexity says among how many equally likely tokens the model, in effect, had to choose; whoever guesses blindly among all 262,144 has 262,144. As in lesson 11 the first prediction is left out. Write down your order before you run on: ReLU or SiLU first? Is losing the gate worse than losing the curve?

# %%
heard = {
    name: perplexity((model.params, jnp.int32(number)), tokens_T, model.config, forward=any_variant, skip=1)
    for number, name in enumerate(variants)
}
for name, value in heard.items():
    print(f"{name:18} {value:.2f}" if value < 1000 else f"{name:18} {value:.1e}")
np.testing.assert_allclose(heard["as published"], 8.28, rtol=0.002)
np.testing.assert_allclose(heard["as published"], heard["exact GELU"], rtol=0.001)
np.testing.assert_allclose(heard["SiLU"], 21.2, rtol=0.02)
assert 20 * heard["SiLU"] > heard["ReLU"] > 10 * heard["SiLU"]
assert heard["exchanged"] > 1e7 > model.config.vocab_size

# %% [markdown]
# SiLU is the breakage to know, because it ships. Candle's code for quantised Gemma 3, the kind of file that we run here, had SiLU in it (candle [issue #3745](https://github.com/huggingface/candle/issues/3745), July 2026). Nothing overflows, the issue says, and the model "just quietly produces lower-quality output".
#
# And a surprise: ReLU is far worse than SiLU, although in the first figure it is *nearer* to GELU. The largest distance between ReLU and GELU is 0.170, between SiLU and GELU 0.193. How can the smaller error cost more?
#
# It depends on where the numbers are. We record the gate and up of every unit of every layer while the model reads the paragraph.

# %%
recorded = []


def recording_feedforward(layer, x, config):
    recorded.append((np.asarray(x @ layer.w_gate)[0], np.asarray(x @ layer.w_up)[0]))
    return jax_feedforward.feedforward(layer, x, config)


with mock.patch.object(jax_block, "feedforward", recording_feedforward):
    jax_transformer.forward(model.params, np.array([tokens_T]), model.config)
gate_LTF, up_LTF = np.stack([gate for gate, _ in recorded]), np.stack([up for _, up in recorded])
print(gate_LTF.shape, f"layers, tokens, units; {100 * (gate_LTF < 0).mean():.1f} % of the gates are negative")
assert gate_LTF.shape == (18, 105, 2048) and 0.6 < (gate_LTF < 0).mean() < 0.72

# %% [markdown]
# Where do you expect most gates: far on the left, closed, or near 0?

# %%
fig, (top, bottom) = plt.subplots(2, 1, sharex=True, height_ratios=(2, 3))
top.hist(gate_LTF.ravel(), np.linspace(-4, 4, 81), density=True, color=COLOURS["gemma"])
top.set(ylabel="density")
top.set_title("Most gates are where ReLU errs more than SiLU")
bottom.plot(grid, np.abs(relu(grid) - gelu(grid)), "--", color=COLOURS["stream"])
bottom.plot(grid, np.abs(silu(grid) - gelu(grid)), color=COLOURS["llama2"])
bottom.text(-1.05, 0.185, "ReLU", color=COLOURS["stream"])
bottom.text(-3.55, 0.14, "SiLU", color=COLOURS["llama2"])
bottom.set(xlabel="gate", ylabel="distance from GELU", xlim=(-4, 4), ylim=(0, 0.22))
show(
    fig,
    "Above, the gates of Gemma 3 270M: one hump around −0.15, 86 % of it between −1 and 1. Below, the distance of "
    "two curves from GELU: ReLU's peaks at ±0.75 (0.170), SiLU's at ±1.97 (0.193).",
)
distance = [np.abs(f(grid) - gelu(grid)).max().round(3) for f in (relu, silu)]
assert distance == [0.170, 0.193]
near = (0.01 < np.abs(grid)) & (np.abs(grid) < 1)
assert (np.abs(relu(grid) - gelu(grid)) > np.abs(silu(grid) - gelu(grid)))[near].all()
assert 0.84 < (np.abs(gate_LTF) < 1).mean() < 0.88 and ((gate_LTF > -3) & (gate_LTF < 0)).mean() > 0.6

# %% [markdown]
# Two thirds of the gates lie between −3 and 0, in the dip. GELU and SiLU both hand on something small and negative there; ReLU hands on nothing. So the thing to measure is not the distance of the curves but how far the *hidden vector* moves: the root of the summed squares of the error over that of the right vector, and of 18 layers the median. Will it put the nine in the order of their perplexities?

# %%
moved = {}
right_LTF = np.asarray(variants["as published"](gate_LTF, up_LTF))
for name, hidden in variants.items():
    error_LTF = np.asarray(hidden(gate_LTF, up_LTF)) - right_LTF
    moved[name] = float(np.median(np.sqrt((error_LTF**2).sum((1, 2)) / (right_LTF**2).sum((1, 2)))))
    print(f"{name:18} {moved[name]:.4f}")
ranked = list(variants)[3:]
assert sorted(ranked, key=moved.get) == ranked == sorted(ranked, key=heard.get)
assert max(moved["exact GELU"], moved["x σ(1.702 x)"]) < 0.02 < 0.2 < moved["SiLU"] < 0.3

# %% [markdown]
# From SiLU on, the order is the same. Both numbers in one picture, on logarithmic axes:

# %%
fig, ax = plt.subplots()
shown = list(variants)[1:]
ax.loglog([moved[name] for name in shown], [heard[name] for name in shown], "o", color=COLOURS["gemma"])
offsets = {"ReLU": (7, -7), "both through GELU": (-7, 3), "exchanged": (-7, -3), "no gate": (-7, -3)}
for name in shown:
    offset = offsets.get(name, (7, -3))
    side = "right" if offset[0] < 0 else "left"
    ax.annotate(name, (moved[name], heard[name]), offset, textcoords="offset points", ha=side)
ax.axhline(model.config.vocab_size, linestyle=":", color="0.5")
ax.text(2.2e-4, model.config.vocab_size * 1.5, "blind guessing", color="0.4")
ax.set(xlim=(2e-4, 15), ylim=(3, 1e17), ylabel="perplexity")
ax.set(xlabel="how far the hidden vector moves (of its length, median layer)")
ax.set_title("A curve costs what it moves")
show(
    fig,
    "Perplexity against the relative movement of the hidden vector: "
    + "; ".join(f"{name} {moved[name]:.2g} and {heard[name]:.2g}" for name in shown)
    + ".",
)

# %% [markdown]
# Up to a movement of 2 % nothing is heard. (That x σ(1.702 x) comes out at 8.22, below 8.28, proves nothing: it is one paragraph.) At a quarter, SiLU, the model is worse and alive. Above 1 it is dead: the error is larger than the signal.
#
# ## Three zeros learn nothing
#
# Gemma's launch code started all three matrices at zero (Flax; replaced seven months later, google-deepmind/gemma `bb3494c`). For loading weights that is harmless. For training? Each of the three can be zero or not, which makes eight cases. In how many can the layer still learn? Think of the product: each matrix's gradient is multiplied by what the other two produce.

# %%
target_BTD = random.normal(size=x_BTD.shape).astype(np.float32)
gradient = jax.jit(
    jax.grad(lambda weights: ((jax_feedforward.feedforward(weights, x_BTD, config) - target_BTD) ** 2).mean())
)
names = ("w_gate", "w_up", "w_down")
learning = {}
for zeroed in itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(4)):
    found = gradient(weights._replace(**{name: 0 * getattr(weights, name) for name in zeroed}))
    moving = [name for name in names if np.abs(getattr(found, name)).max() > 0]
    learning[zeroed] = bool(moving)
    print(f"zero: {', '.join(zeroed) or 'none':20} gradient in: {', '.join(moving) or 'none'}")
assert [len(zeroed) < 2 for zeroed in learning] == list(learning.values())

# %% [markdown]
# In four: none or one of them zero. One zero matrix gets a gradient at once, moves at the first step and frees the others, and starting `w_down` at zero is a respectable choice (the layer begins as nothing). Two zeros block each other for ever, since GELU(0) = 0.
#
# ## Exercises
#
# ### 1 · The formula itself
#
# *Difficulty 1 of 5, 4 minutes.* The lesson wrote Gemma's GELU with a logistic. Write it as the paper does, with tanh, for an array of any shape. First example: `gelu_tanh(np.array([1.0, -1.0]))` gives about `[0.8412, -0.1588]`.
#
# ```python
# def gelu_tanh(x):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The formula with tanh is in the first section, right after the exact one.</details>
# <details><summary>Hint 2</summary>The root covers 2/π only; the cube belongs to x alone, and the factor 0.5 to the whole.</details>
# <details><summary>Hint 3</summary><code>inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)</code>; one line is left.</details>


# %% tags=["solution", "hide-input"]
def gelu_tanh(x):
    ### BEGIN SOLUTION
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner))
    ### END SOLUTION


# %% [markdown]
# The check tries numbers between −6 and 6, in one axis, two and three.

# %%
check("gelu_tanh", gelu_tanh)

# %% [markdown]
# ### 2 · The slope of the exact curve
#
# *Difficulty 2 of 5, 6 minutes.* Derive x Φ(x) by hand and write the derivative of the **exact** GELU at one number x. The derivative of Φ is the bell curve φ(x) = exp(−x²/2) / √(2π). First example: `gelu_slope(1.0)` gives about 1.0833, `gelu_slope(0.0)` gives 0.5.
#
# ```python
# def gelu_slope(x):
#     Phi = NormalDist().cdf(x)
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The product rule has two terms.</details>
# <details><summary>Hint 2</summary>One term keeps Φ as it is, the other keeps x and has φ.</details>
# <details><summary>Hint 3</summary><code>phi = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)</code>; then add the two terms.</details>


# %% tags=["solution", "hide-input"]
def gelu_slope(x):
    ### BEGIN SOLUTION
    Phi = NormalDist().cdf(x)
    phi = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return Phi + x * phi
    ### END SOLUTION


# %% [markdown]
# The check tries single numbers on both sides of 0.

# %%
check("gelu_slope", gelu_slope)

# %% [markdown]
# ### 3 · GeGLU from the launch files
#
# *Difficulty 2 of 5, 8 minutes.* Gemma's Flax files store gate and up as one array, `gating_einsum`, of shape 2 D F with the gate first. Write the layer on it, with the tanh form of GELU: `x` has the shape T D, `w_down` F D, the result T D. First example: with the numbers done by hand above, `geglu(x_D[None], np.stack([w_gate, w_up]), w_down)` gives about `[[5.07, -1.588]]`.
#
# ```python
# def geglu(x, gating_einsum, w_down):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The equation at the beginning of <i>Two branches</i>.</details>
# <details><summary>Hint 2</summary>Only the gate goes through GELU; then multiply number by number, and only then comes the last matrix. You may call <code>jax.nn.gelu</code> or your <code>gelu_tanh</code>.</details>
# <details><summary>Hint 3</summary><code>gate, up = x @ gating_einsum[0], x @ gating_einsum[1]</code>; one line is left.</details>


# %% tags=["solution", "hide-input"]
def geglu(x, gating_einsum, w_down):
    ### BEGIN SOLUTION
    gate, up = x @ gating_einsum[0], x @ gating_einsum[1]
    return gelu_tanh(gate) * up @ w_down
    ### END SOLUTION


# %% [markdown]
# The check tries random weights, with gates and ups of both signs, and a layer with D = F, where a transposed matrix would fit.

# %%
check("geglu", geglu)

# %% [markdown]
# ### 4 · Split OLMo's matrix
#
# *Difficulty 2 of 5, 6 minutes.* OLMo's own files hold `ff_proj`, of shape 2F D: a PyTorch matrix, so each **row** is a unit, and its first half is **up**, its second half the gate. Return `(w_gate, w_up)` in the course's layout, D F each. First example: for `ff_proj = np.array([[1, 2, 3], [4, 5, 6]])`, D = 3 and F = 1, `w_gate` is `[[4], [5], [6]]` and `w_up` is `[[1], [2], [3]]`.
#
# ```python
# def split_fused(ff_proj):
#     ...
#     return w_gate, w_up
# ```
#
# <details><summary>Hint 1</summary>The paragraph on exchanged weights, in <i>Break it on purpose</i>, says what is first in which file.</details>
# <details><summary>Hint 2</summary>Cut the first axis into two halves, transpose each, and mind the order in which you return them.</details>
# <details><summary>Hint 3</summary><code>up, gate = np.split(ff_proj, 2, axis=0)</code>; one line is left.</details>


# %% tags=["solution", "hide-input"]
def split_fused(ff_proj):
    ### BEGIN SOLUTION
    up, gate = np.split(ff_proj, 2, axis=0)
    return gate.T, up.T
    ### END SOLUTION


# %% [markdown]
# The check tries several sizes, D larger and smaller than F, and equal to 2F.

# %%
check("split_fused", split_fused)

# %% [markdown]
# ### 5 · Which F did they train?
#
# *Difficulty 3 of 5, 8 minutes.* A report gives the number of parameters without the embedding, the number of layers L and the width D, and you know how many parameters attention has in each layer. The model is built like Gemma 1: three feed-forward matrices, two norms of size D per layer, one more at the end, no biases. Recover F, the width of one branch, as a whole number. First example: `hidden_size(1_981_884_416, 18, 2048, 9_437_184)` gives 16384.
#
# ```python
# def hidden_size(non_embedding, num_layers, embed_dim, attention_per_layer):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The section <i>What 32768 counts</i> writes the sum; solve it for F.</details>
# <details><summary>Hint 2</summary>Take off the last norm, divide by the layers, take off what is not feed-forward, divide by what is left of 3 D F.</details>
# <details><summary>Hint 3</summary><code>feedforward = (non_embedding - embed_dim) // num_layers - attention_per_layer - 2 * embed_dim</code>; one line is left.</details>


# %% tags=["solution", "hide-input"]
def hidden_size(non_embedding, num_layers, embed_dim, attention_per_layer):
    ### BEGIN SOLUTION
    feedforward = (non_embedding - embed_dim) // num_layers - attention_per_layer - 2 * embed_dim
    return feedforward // (3 * embed_dim)
    ### END SOLUTION


# %% [markdown]
# The check tries both Gemmas of 2024 and a small one of our own.

# %%
check("hidden_size", hidden_size)

# %% [markdown]
# ### 6 · As many parameters as without a gate
#
# *Difficulty 2 of 5, 5 minutes.* You turn an ungated layer with F = 4 D into a gated one of about the same number of parameters, Llama's way: two thirds, rounded **up** to a multiple. Return the new F. First example: `matched_hidden_size(4096, 256)` gives 11008.
#
# ```python
# def matched_hidden_size(embed_dim, multiple):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The calculation by hand is above the cell with 11008.</details>
# <details><summary>Hint 2</summary>How many whole multiples are needed to cover 8 D / 3? <code>math.ceil</code> knows.</details>
# <details><summary>Hint 3</summary><code>wanted = 2 * (4 * embed_dim) / 3</code>; one line is left.</details>


# %% tags=["solution", "hide-input"]
def matched_hidden_size(embed_dim, multiple):
    ### BEGIN SOLUTION
    wanted = 2 * (4 * embed_dim) / 3
    return multiple * math.ceil(wanted / multiple)
    ### END SOLUTION


# %% [markdown]
# The check tries widths from 300 to 8192, some of which need no rounding.

# %%
check("matched_hidden_size", matched_hidden_size)

# %% [markdown]
# ## What breaks if…
#
# **1.** …you train a new model from scratch with the curve on the branch that is called `up`, and none on `gate`?
#
# <details><summary>Answer</summary>Nothing. The two matrices have the same shape and the same kind of random start, so the names have changed places and that is all. In <i>Break it on purpose</i> the same exchange took the real model from 8.28 to over ten million, because its weights had been trained for their places. What is a convention before training is a fact after it.</details>
#
# **2.** …you load Gemma 2B into a program that takes the report's 32768 for F?
#
# <details><summary>Answer</summary>It does not fit: the matrices of the file are 2048 by 16384, and a model that was made with F = 32768 has nearly twice the parameters of Table 2 (0.914 of these are feed-forward and double, so 1.914). A loader that checks shapes says so at once. If a program multiplies and then splits, as KerasHub does, 32768 is right: it halves it. So ask what a name counts before you copy a number.</details>
#
# **3.** …your port runs the exact GELU, and you test it by reading what it writes, by its perplexity to two decimals, and by its logits to within 0.001?
#
# <details><summary>Answer</summary>The first two tests pass: 8.28 against 8.28, and no prediction that leads by more than 0.01 changes. The third fails, for logits move by up to 0.02, twenty times what it allows. That is why it could stay in Google's PyTorch code for its first two weeks, and came back to transformers for many versions.</details>
#
# ## To take home
#
# A gated unit multiplies two readings of the same vector, and the curve on one of them decides whether the other is heard; Gemma's curve is GELU in its tanh form, and 32768 counts both branches of 16384.
#
# Two thirds of a real Gemma's gates are negative and lie in the dip of the curve, so ReLU breaks the model although it never strays far from GELU, and SiLU leaves it alive.
#
# Mistakes that keep all shapes range from 8.28 to beyond ten million in perplexity, and the quietest of them can be found only by comparing logits.
#
# **Next.** [Lesson 07](07_weight_tying.ipynb) follows what the layers have written back into words: one table, two jobs. To read: [GELUs](https://arxiv.org/abs/1606.08415) (Hendrycks & Gimpel 2016), [GLU variants improve Transformer](https://arxiv.org/abs/2002.05202) (Shazeer 2020), which is short, and Unsloth's [list of Gemma bugs](https://unsloth.ai/blog/gemma-bugs).
