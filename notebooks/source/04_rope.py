# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/04_rope.ipynb)
#
# # 04 · RoPE
#
# A real Gemma reads our test paragraph with a perplexity of 8.28: at each token it hesitates as if between 8 equally likely ones. Tell it that every token stands at position 0, and it hesitates between 58. Rotate its queries and keys by the right angles but in the wrong pairs, and it hesitates between 70: worse than no positions at all. Now store the positions in bfloat16, where 257 is 256. Where the paragraph starts at position 0, it is read as before, to the last digit; where it starts at position 1000, with a perplexity of 17.5.
#
# RoPE (rotary position embedding) turns every query and key, in every layer, by an angle that grows with its position; values it leaves alone. Gemma, Llama 2 and OLMo all do so, and Gemma rotates the two *halves* of a head against each other. GPT-2 and the 2017 Transformer know no rotation: they add a vector to the embedding, once.
#
# *55 minutes, and 45 for the exercises; difficulty 3 of 5. You need sine, cosine and the dot product. A query and a key are two vectors whose dot product, the score, says how much one token looks at another; lesson 05 shows where they come from.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The last line asks JAX for full float32 products, which a TPU would otherwise round.

# %%
import inspect
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.config import PositionKind
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import attention as jax_attention
from gemma_edu.jax_model import block, loss, masks
from gemma_edu.jax_model import positions as jax_positions
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.numpy_model import attention as numpy_attention
from gemma_edu.numpy_model import positions as numpy_positions
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import build

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## Turn one pair
#
# Take a pair (3, 4) and turn it by 90°: it becomes (−4, 3). Its length is still 5. Nothing about *what* the pair says has changed, only the direction in which it says it. For any angle $a$ (Su et al. 2021, section 3.2.1),
#
# $$\begin{pmatrix} y_1 \\ y_2 \end{pmatrix} = \begin{pmatrix} \cos a & -\sin a \\ \sin a & \cos a \end{pmatrix} \begin{pmatrix} x_1 \\ x_2 \end{pmatrix}$$
#
# and for 90° the cosine is 0 and the sine 1, so $y_1 = -x_2 = -4$ and $y_2 = x_1 = 3$. If you like complex numbers, read the pair as one: turning is multiplication by $e^{ia}$, and $(3 + 4i) \cdot i = -4 + 3i$.


# %%
def turn_pair(x, angle):
    """A pair of numbers, turned anticlockwise by an angle in radians."""
    return np.array(
        [x[0] * math.cos(angle) - x[1] * math.sin(angle), x[0] * math.sin(angle) + x[1] * math.cos(angle)]
    )


quarter = turn_pair([3, 4], math.pi / 2)
print(quarter.round(6), "length", np.linalg.norm(quarter).round(6), "  complex:", (3 + 4j) * 1j)
np.testing.assert_allclose(quarter, [-4, 3], atol=1e-12)

# %% [markdown]
# ## The score sees only the distance
#
# Now let a query stand at position $m$ and a key at position $n$, and turn each by its position: the query by $m$ radians, the key by $n$. Write $R_m$ for the matrix above with $a = m$. Turning back is turning by the negative angle, $R_m^\top = R_{-m}$, and two turns add up, so
#
# $$(R_m q) \cdot (R_n k) = q^\top R_m^\top R_n\, k$$
#
# $$\phantom{(R_m q) \cdot (R_n k)} = q^\top R_{n-m}\, k$$
#
# That is the whole proof. The left side knows two positions; the right side knows how far apart they are, and nothing else. So the score of the 7th token for the 5th must be that of the 1007th for the 1005th. Is it?

# %%
q, k = np.array([3.0, 4.0]), np.array([1.0, -2.0])
for m, n in ((7, 5), (107, 105), (1007, 1005), (5, 7)):
    print(f"query at {m:4}, key at {n:4}: score {turn_pair(q, m) @ turn_pair(k, n):.4f}")

for m in range(0, 200, 3):
    for n in range(0, 200, 7):
        np.testing.assert_allclose(turn_pair(q, m) @ turn_pair(k, n), q @ turn_pair(k, n - m), atol=1e-9)

# %% [markdown]
# Three equal scores, and a fourth that differs: $n - m$ has a sign, so *two to the left* is not *two to the right*. The loop has tried 1943 pairs of positions.
#
# ## A head is 128 clock hands
#
# One pair that turns by one radian per token is back where it was after $2\pi \approx 6.28$ tokens. It tells near neighbours apart and mistakes far ones for near ones, as the second hand of a clock does. A clock has more hands for that reason, and so does a head: its $H$ numbers are $R = H/2$ pairs, and pair $r$ turns by
#
# $$\text{frequency}_r = \theta^{-2r/H} \text{ radians per token}, \qquad \text{wavelength}_r = 2\pi\, \theta^{2r/H} \text{ tokens}, \qquad r = 0 \ldots R - 1$$
#
# (section 3.2.2, with $\theta = 10{,}000$). Gemma's heads have $H = 256$, so there are 128 hands. How many tokens does the slowest need for one turn? Guess: 1000, 10,000 or 100,000?

# %%
H, R = 256, 128
frequencies_R = 10_000.0 ** (-2 * np.arange(R) / H)
wavelengths_R = 2 * np.pi / frequencies_R
for r in (0, 16, 32, 64, 96, 127):
    print(f"pair {r:3} turns once in {wavelengths_R[r]:9.1f} tokens")
np.testing.assert_allclose(wavelengths_R[[0, 127]], [6.28, 58_469.57], rtol=1e-3)
np.testing.assert_allclose(8192 / wavelengths_R[127] * 360, 50, atol=1)  # degrees

# %% [markdown]
# 58,470 tokens, seven times the 8192 on which Gemma 1 was trained. Within those 8192 tokens this hand moves by 50°, as a minute hand does in 8 minutes.
#
# Six of the 128 hands, as clocks. Each dial has two hands, the query's and the key's: the pair (1, 0), turned by each token's position. In the upper row the query stands at 10 and the key at 4; below, both have moved on by 100. What will be the same in both rows?


# %%
def draw_clocks(query, key, moved):
    """Six pairs of a head: hands of a query and a key, as they stand and after both have moved on."""
    fig, axes = plt.subplots(2, 6, subplot_kw={"aspect": "equal"}, layout="compressed")
    for row, later in enumerate((0, moved)):
        for ax, r in zip(axes[row], (0, 16, 32, 64, 96, 127), strict=True):
            ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.7"))
            for position, colour, width in ((query, "queries", 4.5), (key, "keys", 1.8)):
                x, y = turn_pair([1, 0], (position + later) * frequencies_R[r])
                ax.plot([0, x], [0, y], color=COLOURS[colour], linewidth=width, solid_capstyle="round")
            ax.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if row == 0:
                ax.set_title(f"pair {r}", fontsize=9, weight="normal", loc="center")
        axes[row, 0].set_ylabel(f"query {query + later}\nkey {key + later}", fontsize=9)
    fig.suptitle(
        "Moved together, the hands keep their opening", x=0.02, ha="left", fontsize=11, weight="bold"
    )
    return fig


show(
    draw_clocks(10, 4, moved=100),
    "Dials of six pairs from 0 to 127, twice: query at 10 and key at 4, then both 100 further. The hands have turned, "
    "but the angle between query and key in each dial is the same in both rows: 6 tokens times the pair's frequency. "
    "It is easy to see in pairs 0 to 32 and vanishes towards pair 127.",
)
opening = (110 - 104) * frequencies_R
np.testing.assert_allclose(110 * frequencies_R - 104 * frequencies_R, opening, atol=1e-12)

# %% [markdown]
# The thick hand is the query, the thin one the key; angle 0 is at three o'clock, as in mathematics. The hands have turned, and no opening has changed: that is the proof of the last section as a picture. Look at the last two dials too. After 110 tokens they have hardly left three o'clock. In a text of this length such pairs are as good as unturned: they compare content, wherever it stands.
#
# In a running notebook the hands move when you drag the sliders; here the cell is not run.

# %% tags=["nbval-skip"]
from ipywidgets import interact


@interact(query=(0, 300), key=(0, 300), moved=(0, 8000, 10))
def drag(query=10, key=4, moved=100):
    show(
        draw_clocks(query, key, moved),
        "Six dials with the hands of a query and a key, at positions of your choice.",
    )


# %% [markdown]
# How many of the hands are so slow that no text of the training length sees them go round once? Gemma 1 has $\theta = 10{,}000$ and 8192 tokens. Gemma 3 keeps that $\theta$ in the layers that see only a window (of 512 tokens in our 270M model), and takes $\theta = 1{,}000{,}000$ in those that see all 32,768.

# %%
wavelengths = {theta: 2 * np.pi * theta ** (np.arange(R) / R) for theta in (1e4, 1e6)}
never_turn = {}
for theta, reach in ((1e4, 8192), (1e4, 512), (1e6, 32_768)):
    never_turn[theta, reach] = int((wavelengths[theta] > reach).sum())
    print(
        f"theta {theta:9,.0f}, {reach:6,} tokens: {never_turn[theta, reach]} of {R} pairs never complete a turn"
    )
assert list(never_turn.values()) == [28, 66, 48]
print(f"slowest pair at theta 1,000,000: {wavelengths[1e6][-1]:,.1f} tokens")

# %% [markdown]
# Both curves start at 6.28 tokens. Which is steeper, and where do they pass the trained lengths?

# %%
fig, ax = plt.subplots()
for theta, colour, label in (
    (1e4, "stream", "θ = 10,000"),
    (1e6, "gemma", "θ = 1,000,000\n(Gemma 3, global)"),
):
    ax.plot(wavelengths[theta], color=COLOURS[colour])
    ax.text(128, wavelengths[theta][-1], label, color=COLOURS[colour], va="center")
for theta, reach, colour in ((1e4, 8192, "stream"), (1e6, 32_768, "gemma")):
    ax.axhline(reach, color=COLOURS[colour], linewidth=0.8, linestyle=":")
    ax.text(0, reach * 1.15, f"trained on {reach:,} tokens", color=COLOURS[colour], fontsize=9)
    ax.plot(R - never_turn[theta, reach], reach, "o", color=COLOURS[colour])
ax.set(yscale="log", xlim=(-3, 165), xlabel="pair r", ylabel="wavelength (tokens)", xticks=range(0, 129, 32))
ax.set_title("The slow pairs never go round")
show(
    fig,
    "Wavelength against pair, logarithmic. Theta 10,000 rises from 6.28 to 58,470 tokens and passes 8192 at pair 100; "
    "theta 1,000,000 rises to 5.6 million and passes 32,768 at pair 80.",
)
assert wavelengths[1e4][99] < 8192 < wavelengths[1e4][100]
assert wavelengths[1e6][79] < 32_768 < wavelengths[1e6][80]

# %% [markdown]
# The dots are where a hand has time for exactly one turn. To their right stand the pairs that no training text sees go round, 28 with the small θ and 48 with the large one. Their angles never repeat within a text.
#
# ## A loop, then one einsum
#
# A whole head, then: turn pair $r$ by position times frequency. Which two of the $H$ numbers are a pair? Gemma takes one from each half: $x_r$ and $x_{r + H/2}$. (The paper takes neighbours. That choice has a section of its own below.)


# %%
def rotate_head(x_H, position, theta):
    """One head of one token, pair after pair."""
    H, y_H = len(x_H), np.empty_like(x_H)
    for r in range(H // 2):
        pair = [r, r + H // 2]
        y_H[pair] = turn_pair(x_H[pair], position * theta ** (-2 * r / H))
    return y_H


# %% [markdown]
# On four numbers. With H = 4 the pairs are (0, 2) and (1, 3). We choose θ so that pair 1 makes a quarter turn per token, and place (3, 4) there:

# %%
theta = (2 / math.pi) ** 2  # frequency of pair 1: θ^(−2/4) = π/2
print(rotate_head(np.array([0.0, 3.0, 0.0, 4.0]), 1, theta).round(6))
np.testing.assert_allclose(rotate_head(np.array([0.0, 3.0, 0.0, 4.0]), 1, theta), [0, -4, 0, 3], atol=1e-12)

# %% [markdown]
# Now all texts, tokens, heads and pairs at once. Cut each head in two rows of R numbers: then the two members of a pair stand one above the other, and turning is a 2 × 2 matrix per token and pair, applied along that new axis. Letters: B texts, T tokens, N heads, R pairs, and $i, j$ for the two halves.


# %%
def turning(positions_BT, R, theta):
    """The 2 × 2 matrix of each token and pair."""
    angles_BTR = positions_BT[..., None] * theta ** (-np.arange(R) / R)
    cos_BTR, sin_BTR = np.cos(angles_BTR), np.sin(angles_BTR)
    return np.array([[cos_BTR, -sin_BTR], [sin_BTR, cos_BTR]])


def my_rope(x_BTNH, positions_BT, theta):
    """Every head of every token, halves paired."""
    R = x_BTNH.shape[-1] // 2
    pairs_BTNjR = x_BTNH.reshape(*x_BTNH.shape[:-1], 2, R)
    y_BTNiR = np.einsum("ijBTR,BTNjR->BTNiR", turning(positions_BT, R, theta), pairs_BTNjR)
    return y_BTNiR.reshape(x_BTNH.shape)


# %% [markdown]
# Loop and einsum agree, on sizes that all differ:

# %%
random = np.random.default_rng(0)
x_BTNH = random.normal(size=(3, 5, 8, 12)).astype(np.float32)
positions_BT = random.integers(0, 1000, (3, 5))
y_BTNH = my_rope(x_BTNH, positions_BT, 10_000.0)
for b, t, n in np.ndindex(3, 5, 8):
    looped = rotate_head(x_BTNH[b, t, n], positions_BT[b, t], 10_000.0)
    np.testing.assert_allclose(y_BTNH[b, t, n], looped, atol=1e-5)
assert len({*x_BTNH.shape}) == 4

# %% [markdown]
# The package writes the same without the matrix, one line for each half:

# %%
show_source(numpy_positions.rope)
bfloat16_BTNH = x_BTNH.astype(jnp.bfloat16)
assert numpy_positions.rope(bfloat16_BTNH, positions_BT, 10_000.0).dtype == jnp.bfloat16

# %% [markdown]
# It computes angles in float32, whatever the type of `x`, and gives back the type that it got. Remember that for later. Our construction against the package's, for both thetas of Gemma 3:

# %% tags=["contract"]
for theta in (10_000.0, 1_000_000.0):
    package = numpy_positions.rope(x_BTNH, positions_BT, theta)
    np.testing.assert_allclose(my_rope(x_BTNH, positions_BT, theta), package, atol=5e-4)
    assert package.dtype == np.float32

# %% [markdown]
# (Why a tolerance as wide as 0.0005? A float32 of a size near 1000 is exact to 0.00003, so an angle of 1000 radians is known to that and no better. We worked in float64.)
#
# Now the promise of the second section, for a head of 256. We take one query and one key with some likeness between them, place copies of both at 32 positions, and draw all 32 × 32 scores. What pattern must appear if a score depends on $m - n$ alone?

# %%
content_H = random.normal(size=H).astype(np.float32) / 16
q_1TNH = np.tile(content_H, (1, 32, 1, 1))
k_1SNH = q_1TNH + 0.3 * np.tile(random.normal(size=H).astype(np.float32) / 16, (1, 32, 1, 1))
here_1T = np.arange(32)[None]
turned_q, turned_k = (numpy_positions.rope(x, here_1T, 10_000.0)[0, :, 0] for x in (q_1TNH, k_1SNH))
scores_TS = turned_q @ turned_k.T

for distance in range(-31, 32):
    assert np.ptp(np.diagonal(scores_TS, distance)) < 1e-4
assert scores_TS[0, 0] > scores_TS[0, 1:].max()

# %% [markdown]
# The assertion speaks of every diagonal. The picture:

# %%
fig, ax = plt.subplots(layout="compressed")
image = ax.imshow(scores_TS)
fig.colorbar(image, ax=ax, label="score")
ax.set(xlabel="position n of the key (tokens)", ylabel="position m of the query (tokens)")
ax.set_title("Equal distance, equal score")
show(
    fig,
    "Heat map of 32 by 32 scores of one query and one key placed at every position: every diagonal has one colour. "
    "The brightest is the main diagonal, distance 0; away from it scores fall and ripple.",
)

# %% [markdown]
# Constant diagonals. The two contents never changed, so all that you see is position. The brightest diagonal is the main one, where the two are not turned against each other; beside it the score falls, and then it ripples, since the fast hands go round and meet again.
#
# ## How a score fades
#
# So likeness counts for less at a distance. How much less? Let query and key be the same vector, with all its pairs of one length; then each pair contributes, as a share of its best, $\cos(\text{distance} \cdot \text{frequency}_r)$, and the whole score is the mean of 128 cosines. The paper bounds such scores by a curve that falls with distance, and calls it long-term decay (section 3.4.3). Which θ fades faster?


# %%
def share(distance, theta):
    """Score of equal query and key at a distance, 1 at distance 0; for one distance or many."""
    return np.cos(np.multiply.outer(distance, theta ** (-np.arange(R) / R))).mean(axis=-1)


np.testing.assert_allclose(share([1, 512, 32_768], 1e4), [0.97, 0.25, -0.03], atol=0.01)
np.testing.assert_allclose(share([1, 512, 32_768], 1e6), [0.98, 0.49, 0.26], atol=0.01)

# %% [markdown]
# At every distance up to 32,768:

# %%
distances = np.unique(np.geomspace(1, 32_768, 600).astype(int))
fig, ax = plt.subplots()
for theta, colour, x, y, side in ((1e4, "stream", 110, 0.25, "right"), (1e6, "gemma", 130, 0.72, "left")):
    ax.plot(distances, share(distances, theta), color=COLOURS[colour], linewidth=1.2)
    ax.text(x, y, f"θ = {theta:,.0f}", color=COLOURS[colour], ha=side)
ax.axhline(0, color="0.7", linewidth=0.8)
ax.axvline(512, color="0.7", linewidth=0.8, linestyle=":")
ax.text(540, 0.97, "window of Gemma 3's\nlocal layers, 512 tokens", fontsize=9, color="0.4", va="top")
ax.set(xscale="log", xlabel="distance (tokens)", ylabel="score (share of its value at 0)")
ax.set_title("A larger θ remembers likeness for longer")
show(
    fig,
    "Score of equal query and key against distance, logarithmic, with ripples. Theta 10,000: 0.97 at distance 1, "
    "0.25 at 512, about 0 from 4000 on. Theta 1,000,000: 0.98 at 1, 0.49 at 512 and still 0.26 at 32,768.",
)

# %% [markdown]
# At 512 tokens the small θ has let go of three quarters, the large one of half; at 32,768, 0.26 is left with the large one and nothing but ripples with the small one. Gemma 3 spends each where it fits: the small θ in layers that look back 512 tokens, the large one in layers that look back over everything.
#
# One should not read too much into the curve, though. It is true of queries and keys that are *alike*. What of a query and a key that have nothing to do with each other? Draw 2000 pairs at random and look at how widely their scores spread. Does the spread shrink with distance?

# %%
q_NH, k_NH = random.normal(size=(2, 1, 1, 2000, H)).astype(np.float32)
for distance in (0, 10, 1000, 30_000):
    turned_k = numpy_positions.rope(k_NH, np.array([[distance]]), 10_000.0)
    spread = np.sum(q_NH * turned_k, axis=-1).std() / math.sqrt(H)
    print(f"distance {distance:6,}: scores spread by {spread:.2f}")
    np.testing.assert_allclose(spread, 1.0, atol=0.1)

# %% [markdown]
# Not at all. A turned random vector is a random vector. RoPE does not make far tokens faint; it makes *likeness* fade, and a trained model is free to use pairs that hardly turn, and to look as far as it likes.
#
# ## The same in JAX
#
# `rope` in `jax_model` is the same text with `jnp` for `np`, line by line; the cell asserts it. The difference stands in the frequencies, which are *not* made by JAX:

# %%
show_source(jax_positions.rope_frequencies, jax_positions.rope)
in_numpy, in_jax = inspect.getsource(numpy_positions.rope), inspect.getsource(jax_positions.rope)
assert in_jax.replace("jnp.", "np.").replace("[Array", "[np.ndarray") == in_numpy
made_by_numpy_R = (10_000.0 ** (-np.arange(0, H, 2) / H)).astype(np.float32)
np.testing.assert_array_equal(jax_positions.rope_frequencies(H, 10_000.0), made_by_numpy_R)

# %% [markdown]
# `rope_frequencies` takes the power in NumPy, in float64, and rounds once. JAX works in float32, where a power is a logarithm and an exponential and each device has its own; and an error in a frequency grows with the position. Since head size and θ are known when the program is compiled, the constant costs nothing and is the same everywhere.
#
# A similar question made a real bug list: DeepMind *divides* the position by $\theta^{2r/H}$, PyTorch ports multiply by its inverse, and in floating point $a/x$ is not $a \cdot (1/x)$ (point 6 of [Unsloth's list](https://unsloth.ai/blog/gemma-bugs)). How far apart are they in float32, over 8192 positions and 128 pairs? Guess in degrees.

# %%
long_T = np.arange(8192, dtype=np.float32)[:, None]
periods_R = (1 / frequencies_R).astype(np.float32)
divided, multiplied = long_T / periods_R, long_T * (np.float32(1) / periods_R)
differ = (divided != multiplied).mean()
print(
    f"{100 * differ:.1f} % of the angles differ, the worst by {np.abs(divided - multiplied).max():.6f} radians"
)
assert np.abs(divided - multiplied).max() <= 2**-11

# %% [markdown]
# A quarter of the angles differ, in their last bit: $2^{-11}$ radians where angles are largest, 0.03 degrees. The bug that we come to below is wrong by one radian and more, two thousand times as much. Measure before you worry.
#
# Our construction and the package's in JAX, which keeps the type too:

# %% tags=["contract"]
compiled_rope = jax.jit(jax_positions.rope, static_argnames="theta")
for theta in (10_000.0, 1_000_000.0):
    np.testing.assert_allclose(
        my_rope(x_BTNH, positions_BT, theta), compiled_rope(x_BTNH, positions_BT, theta), atol=5e-4
    )
assert compiled_rope(x_BTNH.astype(jnp.bfloat16), positions_BT, theta).dtype == jnp.bfloat16

# %% [markdown]
# ## Halves or neighbours
#
# The paper, and Meta's own Llama files, pair neighbours: (0, 1), (2, 3), … Gemma, and Llama in the Hugging Face layout, pair halves: in Gemma (0, 128), (1, 129), … In the einsum the difference is two letters. With halves a head is cut as $j\,R$; with neighbours as $R\,j$:


# %%
def neighbour_rope(x_BTNH, positions_BT, theta):
    """The paper's pairs: (0, 1), (2, 3), …"""
    R = x_BTNH.shape[-1] // 2
    pairs_BTNRj = x_BTNH.reshape(*x_BTNH.shape[:-1], R, 2)
    y_BTNRi = np.einsum("ijBTR,BTNRj->BTNRi", turning(positions_BT, R, theta), pairs_BTNRj)
    return y_BTNRi.reshape(x_BTNH.shape)


# %% [markdown]
# The same turns, applied to other partners. So one must become the other if we reorder the numbers first. Put the even ones first, then the odd ones: neighbours come to stand in the two halves. `back` undoes it. For H = 12:


# %%
def evens_then_odds(H):
    """Where halves find their pair if neighbours were meant: 0, 2, 4, … 1, 3, 5, …"""
    return np.concatenate([np.arange(0, H, 2), np.arange(1, H, 2)])


order = evens_then_odds(12)
back = np.argsort(order)
print("order", order, "  back", back)
through_halves = my_rope(x_BTNH[..., order], positions_BT, 10_000.0)[..., back]
np.testing.assert_allclose(through_halves, neighbour_rope(x_BTNH, positions_BT, 10_000.0), atol=1e-6)

# %% [markdown]
# Reorder, rotate halves, reorder back: that *is* the rotation of neighbours. Is the difference harmless, then? That depends on who does the reordering. A dot product does not care about order, as long as query and key are reordered alike, and the reordering can be moved into the weights, since column $h$ of `w_q` and `w_k` makes number $h$ of a head. Three cases. For each, say whether the scores will be those of Gemma, before you run the cell:
#
# 1. Rotate halves, but write the result down as neighbours, as Keras does ("halves in, neighbours out").
# 2. Rotate neighbours, with the weights as they are.
# 3. Rotate neighbours, with the columns of `w_q` and `w_k` reordered by `back`.

# %%
w_qH, w_kH = random.normal(size=(2, 10, 8, 12)).astype(np.float32)  # D N H, for queries and for keys
y_BTD = random.normal(size=(3, 5, 10)).astype(np.float32)


def scores(rope, w_q, w_k):
    q_BTNH, k_BSNH = (rope(np.einsum("BTD,DNH->BTNH", y_BTD, w), positions_BT, 10_000.0) for w in (w_q, w_k))
    return np.einsum("BTNH,BSNH->BNTS", q_BTNH, k_BSNH)


gemma_scores = scores(numpy_positions.rope, w_qH, w_kH)
cases = {
    "1  halves in, neighbours out": scores(lambda *args: my_rope(*args)[..., back], w_qH, w_kH),
    "2  neighbours, same weights": scores(neighbour_rope, w_qH, w_kH),
    "3  neighbours, columns reordered": scores(neighbour_rope, w_qH[..., back], w_kH[..., back]),
}
equal = [np.allclose(case, gemma_scores, atol=0.1) for case in cases.values()]
for name, same in zip(cases, equal, strict=True):
    print(f"{name:34} {'harmless' if same else 'FATAL'}")
assert equal == [True, False, True]

# %% [markdown]
# Only the second is fatal, because there the weights were trained for other partners. The first is Keras's Gemma: a fixed reordering of queries and keys after the rotation, which the dot product undoes. The third, in the other direction, is how Llama changed houses. Meta's weights were trained on neighbours, Hugging Face's code rotates halves, and so its converter reorders the rows of `wq` and `wk`: `view(h, d/h/2, 2, D).transpose(1, 2)` in `convert_llama_weights_to_hf.py` of `transformers`. llama.cpp can do both and must be told: for Gemma it says `LLAMA_ROPE_TYPE_NEOX`, halves (`src/models/gemma.cpp`), and its Gemma files are not permuted, its Llama files are.
#
# ## One config field, three answers
#
# What would a model do without positions? And what did others do before RoPE? In our config that is one field, `position`, with three values:
#
# | `position` | what | where | models |
# |---|---|---|---|
# | `ROPE` | turns | queries and keys, in each layer | Gemma, Llama 2, OLMo |
# | `LEARNED` | adds a trained vector per position | embedding, once | GPT-2 |
# | `SINUSOIDAL` | adds fixed sines and cosines | embedding, once | Transformer, 2017 |
#
# A learned position is a row of a table. A sinusoidal one is a formula (Vaswani et al. 2017, section 3.5): $\sin(p / 10000^{2i/D})$ in dimension $2i$ and the cosine in $2i + 1$. Does the formula look familiar? Both in our own words:


# %%
def my_learned(table, positions_BT):
    """A row of the table, picked by a product with ones and zeros."""
    return np.eye(len(table), dtype=table.dtype)[positions_BT] @ table


def my_sinusoidal(positions_BT, D):
    """Angles as in RoPE, but their sines and cosines are added, and to the whole stream."""
    angles = positions_BT[..., None] / 10_000.0 ** (np.arange(D) // 2 * 2 / D)
    return np.where(np.arange(D) % 2, np.cos(angles), np.sin(angles))


# %% [markdown]
# Both against NumPy and JAX:

# %% tags=["contract"]
table = random.normal(size=(1000, 10)).astype(np.float32)
for package in (numpy_positions, jax_positions):
    np.testing.assert_allclose(
        my_learned(table, positions_BT), package.learned(table, positions_BT), atol=1e-6
    )
    sines = package.sinusoidal(positions_BT, 10)
    np.testing.assert_allclose(my_sinusoidal(positions_BT, 10), sines, atol=5e-4)

# %% [markdown]
# The angles are RoPE's. So sinusoids know distances too: from $s(p)$ to $s(p + 3)$ each (sine, cosine) is a clock hand that turns by a fixed angle, whatever $p$. Moving on by 3 is one and the same linear map everywhere; that is the reason that the 2017 paper gives for them. And the dot product of two position vectors depends on their distance alone:

# %%
s_TD = my_sinusoidal(np.arange(40), 10)
products_TT = s_TD @ s_TD.T
assert all(np.ptp(np.diagonal(products_TT, distance)) < 1e-9 for distance in range(-39, 40))

x_m, x_n = random.normal(size=(2, 10))  # content of two tokens
mixed = [(x_m + s_TD[m]) @ (x_n + s_TD[m - 2]) for m in (7, 17, 27)]
assert np.ptp(mixed) > 0.1
for m, n in ((7, 5), (17, 15), (27, 25)):
    print(
        f"positions {m:2}, {n:2}: s·s {s_TD[m] @ s_TD[n]:.3f}   (x + s)·(x + s) {(x_m + s_TD[m]) @ (x_n + s_TD[n]):.3f}"
    )

# %% [markdown]
# The first column is constant, the second is not. Sums mix: $(x_m + s_m) \cdot (x_n + s_n)$ has four terms, of which $x_m \cdot s_n$ and $s_m \cdot x_n$ know absolute positions, and the weights that make queries and keys come on top. The model has to learn to disentangle them. RoPE multiplies instead of adding, after the weights, and there is nothing to disentangle.
#
# Now flip the field and ask two questions of a tiny model with random weights. If all tokens before the last are shuffled, does the prediction after the last one change? And if the whole text starts at position 20 instead of 0? There is a fourth candidate, *none*: learned positions with a table of zeros. Eight yes-or-no answers; write them down.


# %%
def answers(position, num_layers=1, zero_table=False):
    """Does the last logit change when the text is shuffled, and when it starts later?"""
    config = presets.TINY_GEMMA_2B.replace(position=position, num_layers=num_layers)
    noise = np.random.default_rng(1)
    weights = build(config, lambda name, shape: noise.normal(0, 0.3, shape).astype(np.float32))
    if zero_table:
        zeros = np.zeros_like(weights.embedding.positions)
        weights = weights._replace(embedding=weights.embedding._replace(positions=zeros))
    text, shuffled = np.array([[3, 1, 4, 1, 5, 9, 2, 6]]), np.array([[9, 5, 4, 2, 1, 3, 1, 6]])
    later = np.arange(8)[None] + 20
    runs = (text, None), (shuffled, None), (text, later)
    right, mixed, moved = (numpy_transformer.forward(weights, *(t, config, p))[0, -1] for t, p in runs)
    return not np.allclose(mixed, right, atol=1e-3), not np.allclose(moved, right, atol=1e-3)


# %% [markdown]
# One layer:

# %%
found = {kind.name: answers(kind) for kind in PositionKind} | {
    "none": answers(PositionKind.LEARNED, zero_table=True)
}
for name, (order_matters, start_matters) in found.items():
    print(f"{name:11} order matters: {order_matters!s:6} start matters: {start_matters}")
assert found["ROPE"] == (True, False) and found["none"] == (False, False)
assert found["LEARNED"] == found["SINUSOIDAL"] == (True, True)

# %% [markdown]
# Without positions a layer of attention sees a bag of words: *dog bites man* is *man bites dog*. With vectors that are added, order matters, and so does the place where a text starts. RoPE alone gives order without a start. (The tokens themselves never move: they keep their ids, and the mask stays causal.)
#
# Ask the same of *none* with two layers. Still a bag?

# %%
deeper = answers(PositionKind.LEARNED, num_layers=2, zero_table=True)
print("none, two layers: order matters:", deeper[0])
assert deeper == (True, False)

# %% [markdown]
# No longer. The causal mask gives order away: the third token sees three tokens, the fifth sees five, and in the second layer their mixtures differ. Position leaks in through who sees whom. A decoder without any positions is therefore less blind than one expects, and we shall meet one below.
#
# One more difference: a table ends. GPT-2 learned 1024 positions. What happens at the 1025th token?

# %%
tiny_gpt2 = presets.TINY_GPT2_124M.replace(context_length=presets.GPT2_124M.context_length)
noise = np.random.default_rng(1)
gpt2_weights = build(tiny_gpt2, lambda name, shape: noise.normal(0, 0.3, shape).astype(np.float32))
message = ""
try:
    jax_transformer.forward(gpt2_weights, np.zeros((1, 1025), int), tiny_gpt2)
except ValueError as error:
    message = str(error)
print(message)
assert "position 1024 has no vector" in message
assert jnp.arange(1024)[jnp.array(1030)] == 1023

# %% [markdown]
# The package refuses; JAX by itself would clip the index, as the last line asserts, and give token 1025 and all that follow the vector of the last row. RoPE and sinusoids have an angle for every position. Whether a model can *use* angles that it has never seen is another question, and we will ask it of the real one.
#
# ## Break it on small numbers
#
# A popular test for a RoPE is the property that we proved: scores depend on the distance alone. How good is that test? Six wrong versions, at positions 240 to 279. Which of them pass it?

# %%
at_1T = np.arange(240, 280)[None]
q_1T1H, k_1S1H = (np.tile(random.normal(size=64).astype(np.float32), (1, 40, 1, 1)) for _ in range(2))
rope = numpy_positions.rope
rounded_1T = at_1T.astype(jnp.bfloat16).astype(np.float32)
versions = {
    "right": (rope(q_1T1H, at_1T, 1e4), rope(k_1S1H, at_1T, 1e4)),
    "neighbours paired": (neighbour_rope(q_1T1H, at_1T, 1e4), neighbour_rope(k_1S1H, at_1T, 1e4)),
    "exponent halved, θ^(−r/H)": (rope(q_1T1H, at_1T, 1e2), rope(k_1S1H, at_1T, 1e2)),
    "keys one position late": (rope(q_1T1H, at_1T, 1e4), rope(k_1S1H, at_1T + 1, 1e4)),
    "keys not turned": (rope(q_1T1H, at_1T, 1e4), k_1S1H),
    "keys turned backwards": (rope(q_1T1H, at_1T, 1e4), rope(k_1S1H, -at_1T, 1e4)),
    "positions in bfloat16": (rope(q_1T1H, rounded_1T, 1e4), rope(k_1S1H, rounded_1T, 1e4)),
}

# %% [markdown]
# (Halving the exponent is the same as taking the root of θ: $\theta^{-r/H} = (\sqrt\theta)^{-2r/H}$.)

# %%
found = {}
right_TS = versions["right"][0][0, :, 0] @ versions["right"][1][0, :, 0].T
for name, (q_1TNH, k_1SNH) in versions.items():
    s_TS = q_1TNH[0, :, 0] @ k_1SNH[0, :, 0].T
    relative = all(np.ptp(np.diagonal(s_TS, distance)) < 0.01 for distance in range(-39, 40))
    found[name] = relative, np.allclose(s_TS, right_TS, atol=0.01)
    print(f"{name:26} distance alone: {relative!s:6} Gemma's scores: {found[name][1]}")
assert [relative for relative, _ in found.values()] == [True, True, True, True, False, False, False]
assert [same for _, same in found.values()] == [True] + 6 * [False]

# %% [markdown]
# Half of them pass. Wrong partners, wrong frequencies, and an offset between queries and keys all give scores that depend on the distance alone; they are not the scores that Gemma was trained with. A property test finds errors of principle, and only the comparison with a reference finds the rest.
#
# A seventh mistake leaves every score right: turning the *values* too. Values are what a token hands over; nobody multiplies them by another turned vector that would take the turn out again. So what arrives depends on where the text stands. One head, equal scores, the text at 0 and at 1000:

# %%
mask_1TT = np.tri(40, dtype=bool)[None]
v_1S1H = random.normal(size=(1, 40, 1, 64)).astype(np.float32)


def context(start, turn_values):
    p_1T = np.arange(40)[None] + start
    v = rope(v_1S1H, p_1T, 1e4) if turn_values else v_1S1H
    return numpy_attention.attend(rope(q_1T1H, p_1T, 1e4), rope(k_1S1H, p_1T, 1e4), v, mask_1TT)


np.testing.assert_allclose(context(1000, False), context(0, False), atol=1e-2)
assert np.abs(context(1000, True) - context(0, True)).max() > 0.5

# %% [markdown]
# With the values left alone the result does not move; with turned values it does, by more than 0.5 where the numbers are about 1.
#
# ## Positions in bfloat16
#
# bfloat16 keeps 8 significant bits. Whole numbers up to 256 fit; then only even ones, from 512 on multiples of 4, and so on. How many different positions are left of the 8192 of Gemma 1?

# %%
rounded = np.arange(8192).astype(jnp.bfloat16).astype(int)
for position in (255, 256, 257, 258, 259, 8190, 8191):
    print(f"{position:5} becomes {rounded[position]}")
print(f"{len(set(rounded.tolist()))} different positions of {len(rounded)}")
assert (rounded[:257] == np.arange(257)).all() and rounded[257] == 256
assert rounded[8190] == rounded[8191] == 8192 and len(set(rounded.tolist())) == 897
assert np.float32(2**24 + 1) == 2**24  # float32 has such a place too, with 24 bits

# %% [markdown]
# 897. What does a query then see of the key *one token before it*? Let both be alike, so that the right score is 0.97 of the maximum at every position (the fading curve, at distance 1). Sketch the curve for bfloat16 from position 1 to 1300 before you look.

# %%
after_T = np.arange(1, 1300)
believed_T = rounded[after_T] - rounded[after_T - 1]
neighbour_score_T = share(believed_T, 1e4)
fig, ax = plt.subplots()
ax.plot(after_T, neighbour_score_T, ".", markersize=3, color=COLOURS["keys"])
ax.axhline(share(1, 1e4), color=COLOURS["stream"], linewidth=1)
ax.text(1290, 0.965, "exact: the neighbour is 1 away", color=COLOURS["stream"], va="top", ha="right")
for position, wrong in ((385, 2), (768, 4), (1160, 8)):
    y = share(wrong, 1e4) - 0.012
    ax.text(
        position, y, f"bfloat16: 0 or {wrong} away", color=COLOURS["keys"], va="top", ha="center", fontsize=9
    )
ax.set(xlabel="position of the query (tokens)", ylabel="score for the key one before", ylim=(0.64, 1.03))
ax.set_title("From position 257 on, neighbours share a seat")
show(
    fig,
    "Score between neighbours against position. Exact: 0.97 everywhere. In bfloat16 the same up to 256; then it jumps "
    "between 1 (distance 0) and "
    + ", ".join(f"{share(wrong, 1e4):.2f} (distance {wrong})" for wrong in (2, 4, 8))
    + ".",
)
assert (believed_T[:256] == 1).all() and set(believed_T[256:512]) == {0, 2}
assert set(believed_T[512:1024]) == {0, 4} and set(believed_T[1024:]) == {0, 8}

# %% [markdown]
# Up to 256 the two are the same, exactly. Beyond, a token's left neighbour stands either on the token itself or 2, 4 or 8 tokens away. A test on a short text, and most tests are short, cannot see it.
#
# This was shipped more than once. Keras's Gemma computed positions in the type of the activations ([keras-hub #1494](https://github.com/keras-team/keras-hub/issues/1494), repaired in #1497 and #1508); in `transformers` automatic mixed precision did it behind the author's back ([#29285](https://github.com/huggingface/transformers/pull/29285), repaired in 4.38.2). A newer variant is TF32, whose 11 bits hold out until 2048 ([#48450](https://github.com/huggingface/transformers/issues/48450)). That is why the package says `.astype(np.float32)` where it makes angles. It has 24 bits, and its own 256 is at 16,777,216.
#
# ## On the real weights
#
# Gemma 3 270M reads a paragraph of 105 tokens. To turn every knob without compiling 18 layers each time, we write its forward pass once more, from the package's parts, with the positions that RoPE sees and both thetas as *arguments*. The mask keeps to the true order. (`forward` itself takes whole positions only; here we will want halves of them. And with θ as an argument, the power is left to JAX after all: in a text of 105 tokens nothing depends on its last digit.)

# %%
print("loading Gemma 3 270M …")
model = checkpoints.load("gemma3-270m")
params, config = model.params, model.config
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_1T = np.array([model.tokenizer.encode(text, add_bos=True)], np.int32)
true_1T = np.arange(105)[None]
assert tokens_1T.shape == true_1T.shape


# %% [markdown]
# Perplexity is the number of equally likely tokens between which the model hesitates (lesson 11). As there, the first prediction is left out.


# %%
def hesitation(params, rope_1T, thetas):
    x_1TD = jax_transformer.embed_tokens(params.embedding, tokens_1T, true_1T, config)
    for layer, weights in enumerate(params.blocks):
        mask_1TT = masks.attention_mask(true_1T, true_1T, config.window(layer))
        theta = thetas["local" if config.is_local(layer) else "global"]
        x_1TD = block.block(weights, x_1TD, rope_1T, mask_1TT, theta, config)
    logits_1TV = jax_transformer.read_out(params, x_1TD, config)
    return jnp.exp(loss.next_token_losses(logits_1TV, tokens_1T)[0, 1:].mean())


compiled = jax.jit(hesitation)


def perplexity(rope_1T=true_1T, params=params, local_theta=1e4, global_theta=1e6, run=compiled):
    """As published, unless told otherwise."""
    return float(
        run(params, jnp.asarray(rope_1T, jnp.float32), {"local": local_theta, "global": global_theta})
    )


# %% [markdown]
# First the promise: a RoPE model has no first position. We start the text at 1000, and at 100,000, three times as far out as the 32,768 tokens that this model was trained for. What will it say about positions that it has never seen?

# %%
published = perplexity()
print(f"from 0: {published:.2f}")
for start in (1000, 100_000):
    moved = perplexity(true_1T + start)
    print(f"from {start:,}: {moved:.2f}")
    np.testing.assert_allclose(moved, published, rtol=2e-3)
np.testing.assert_allclose(published, 8.28, rtol=2e-3)

# %% [markdown]
# Nothing at all. Position 100,000 is no news to it, because it has never seen a position. Only *distances* reach a score, and they are the same 0 to 104.
#
# So let us change distances: multiply all positions by a factor. With 2, the previous token seems two tokens away; with ½, half a token; with 0, everything stands in one place. The longest distance at factor 4 is 416 tokens, which is well within any window and within everything trained. Rank the four before you run on.

# %%
stretched = {factor: perplexity(true_1T * factor) for factor in (0, 0.5, 2, 4)}
for factor, value in stretched.items():
    print(f"positions × {factor:<3}: {value:.2f}")
assert 1.1 < stretched[0.5] / published < 1.4 and 1.1 < stretched[2] / published < 1.4
assert stretched[0] > 6 * published and stretched[4] > 3 * stretched[0]

# %% [markdown]
# Halving is mild and doubling is mild. Four times is a catastrophe, nearly four times as bad as no positions at all, and long distances are not to blame, since all of them occur in training. What never occurs there is a text in which the *nearest* token is four away.
#
# The mild one is useful. Squeezed positions bring a long text back into known distances: the larger Gemma 3 models divide the positions of their global layers by 8 (`google-deepmind/gemma` at 7691fd4, `gm/nn/_gemma.py`). And with factor 0 the model still has the words and the causal mask, through which, as we saw, some order leaks.
#
# Now bfloat16. The paragraph has 105 tokens, so from position 0 on every position is exact, and there is nothing to compute. Then we start later.


# %%
def in_bfloat16(positions):
    return positions.astype(jnp.bfloat16).astype(np.float32)


assert (in_bfloat16(true_1T) == true_1T).all()
rounded_from = {0: published} | {
    start: perplexity(in_bfloat16(true_1T + start)) for start in (256, 1000, 32_000)
}
for start, value in rounded_from.items():
    print(f"positions from {start:6,}, rounded to bfloat16: {value:.2f}")
assert all(np.diff(list(rounded_from.values())) > 1)
np.testing.assert_allclose(rounded_from[1000], 17.5, atol=0.2)

# %% [markdown]
# At 1000 the perplexity has doubled; near the end of the 32,768 tokens it is little better than with no positions at all. A picture of what each tester would have reported:

# %%
fig, ax = plt.subplots()
starts = range(len(rounded_from))
ax.plot(starts, [published] * len(starts), "o-", color=COLOURS["stream"])
ax.plot(starts, rounded_from.values(), "o-", color=COLOURS["keys"])
ax.axhline(stretched[0], color="0.5", linewidth=0.8, linestyle=":")
ax.text(0, stretched[0] - 1, "no positions at all", color="0.4", va="top")
ax.text(3, published + 1, "float32", color=COLOURS["stream"], ha="right")
ax.text(2, 20, "bfloat16", color=COLOURS["keys"], ha="right")
ax.set_xticks(starts, [f"{start:,}" for start in rounded_from])
ax.set(xlabel="position of the text's first token", ylabel="perplexity of the same text", ylim=(0, 64))
ax.set_title("Rounded positions: a test at 0 sees nothing")
show(
    fig,
    "Perplexity of one text started at four positions. With float32 positions it is 8.28 at each. With bfloat16: "
    + ", ".join(f"{value:.1f} from {start:,}" for start, value in rounded_from.items())
    + f". Without any positions {stretched[0]:.1f}.",
)
assert rounded_from[32_000] < stretched[0]

# %% [markdown]
# Last, three mistakes on weights that have something to lose: the root of both thetas (exponent halved), one θ of 10,000 for all layers, and neighbours. For neighbours we patch the package's `rope` with *reorder, rotate halves, reorder back*, and compile once more. Then we run the same broken program with reordered columns. What do you expect of the last?

# %%
order = evens_then_odds(config.head_dim)
back = np.argsort(order)


def through_neighbours(params, rope_1T, thetas):
    wrong = lambda x, *others: jax_positions.rope(x[..., order], *others)[..., back]  # noqa: E731
    with mock.patch.object(jax_attention, "rope", wrong):
        return hesitation(params, rope_1T, thetas)


neighbours = jax.jit(through_neighbours)


def reorder(weights):
    """A layer whose query and key heads have their numbers in another order, and the scales of their norms too."""
    old = weights.attention
    scales = {
        name: getattr(old, name)._replace(scale=getattr(old, name).scale[back])
        for name in ("q_norm", "k_norm")
    }
    return weights._replace(attention=old._replace(w_q=old.w_q[..., back], w_k=old.w_k[..., back], **scales))


# %% [markdown]
# Six perplexities, two of which you know, in the order of damage:

# %%
reordered = params._replace(blocks=tuple(map(reorder, params.blocks)))
broken = {
    "as published": published,
    "one theta, 10,000": perplexity(global_theta=1e4),
    "no positions": stretched[0],
    "exponent halved": perplexity(local_theta=1e2, global_theta=1e3),
    "neighbours": perplexity(run=neighbours),
    "neighbours, columns reordered": perplexity(params=reordered, run=neighbours),
}
ranked = dict(sorted(broken.items(), key=lambda item: round(item[1], 1)))
fig, ax = plt.subplots()
ax.barh(list(ranked), list(ranked.values()), color=COLOURS["gemma"])
for row, value in enumerate(ranked.values()):
    ax.text(value + 1, row, f"{value:.1f}", va="center")
ax.set(xlabel="perplexity on the same 103 tokens", xlim=(0, 86))
ax.set_title("Wrong pairs are worse than no positions")
ax.invert_yaxis()
show(
    fig,
    "Perplexity with RoPE broken: "
    + "; ".join(f"{name} {value:.1f}" for name, value in ranked.items())
    + ".",
)

np.testing.assert_allclose(broken["neighbours, columns reordered"], published, rtol=1e-3)
np.testing.assert_allclose(broken["neighbours"], 69.6, rtol=0.02)
np.testing.assert_allclose(broken["no positions"], 58.1, rtol=0.02)
np.testing.assert_allclose(broken["exponent halved"], 75.6, rtol=0.02)
np.testing.assert_allclose(broken["one theta, 10,000"] - published, 0.3, atol=0.03)

# %% [markdown]
# The same program gives 69.6 with the published columns and 8.28 with reordered ones: whether it has a bug depends on the weights that it gets. The halved exponent, which turns every hand but the first too fast, is worst. And one θ for all layers costs 0.3: it concerns three layers of 18, and you would hardly find it by reading samples. (Lesson 11 lets you read what the model writes with neighbours.)
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it. A wrong answer is compared with mistakes that others have made.
#
# ### 1 · Choose theta
#
# *Difficulty 2 of 5, 6 minutes.* You design a model and want pair `r` to make exactly one turn in `tokens` tokens. Which θ gives that? Write `theta_for(head_dim, r, tokens)`. First example: `theta_for(8, 2, 20 * math.pi)` gives 100.0.
#
# ```python
# def theta_for(head_dim, r, tokens):
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The formula of the wavelength stands above the clocks.</details>
# <details><summary>Hint 2</summary>Divide by 2π first. What remains is θ to a power; take the inverse power.</details>
# <details><summary>Hint 3</summary>From <code>tokens / (2 * math.pi) == theta ** (2 * r / head_dim)</code>, solve for theta: the exponent moves over and turns upside down.</details>


# %% tags=["solution", "hide-input"]
def theta_for(head_dim, r, tokens):
    ### BEGIN SOLUTION
    return (tokens / (2 * math.pi)) ** (head_dim / (2 * r))
    ### END SOLUTION


# %% [markdown]
# The check tries head sizes from 8 to 256, and Gemma's slowest pair.

# %%
check("theta_for", theta_for)

# %% [markdown]
# ### 2 · RoPE with complex numbers
#
# *Difficulty 3 of 5, 10 minutes.* Google's PyTorch Gemma rotates complex numbers: first half real, second half imaginary, one product. Write `rope_complex(x_TNH, positions_T, theta)` that way, without a sine or cosine. The result has the shape and the type of `x_TNH`. `np.exp(1j * a)` is a number of length 1 with the angle a; `z.real` and `z.imag` are its parts. First example: with `theta=10_000.0`, `rope_complex(np.array([[[1.0, 0.0]]]), np.array([1]), 10_000.0)` gives `[[[0.5403, 0.8415]]]`, the cosine and the sine of 1.
#
# ```python
# def rope_complex(x_TNH, positions_T, theta):
#     R = x_TNH.shape[-1] // 2
#     angles_TR = ...
#     z_TNR = ...
#     turned_TNR = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The first section ends with the same rule for one pair: turning is multiplication.</details>
# <details><summary>Hint 2</summary>Angles are an outer product of positions and frequencies. They need an axis of length 1 where x has its heads.</details>
# <details><summary>Hint 3</summary><code>z_TNR = x_TNH[..., :R] + 1j * x_TNH[..., R:]</code>, times <code>np.exp(1j * angles_TR)[:, None]</code>; then join the real and the imaginary part along the last axis, with the type of x.</details>


# %% tags=["solution", "hide-input"]
def rope_complex(x_TNH, positions_T, theta):
    ### BEGIN SOLUTION
    R = x_TNH.shape[-1] // 2
    angles_TR = positions_T[:, None] * theta ** (-np.arange(R) / R)
    z_TNR = x_TNH[..., :R] + 1j * x_TNH[..., R:]
    turned_TNR = z_TNR * np.exp(1j * angles_TR)[:, None]
    return np.concatenate([turned_TNR.real, turned_TNR.imag], axis=-1).astype(x_TNH.dtype)
    ### END SOLUTION


# %% [markdown]
# The check uses several heads, two thetas, and positions beyond 256.

# %%
check("rope_complex", rope_complex)

# %% [markdown]
# ### 3 · Move a cache
#
# *Difficulty 3 of 5, 8 minutes.* A chat has grown too long. You drop its oldest 100 tokens and want the kept keys to stand 100 positions earlier. They lie in the cache *already turned*, and nobody has noted their positions. Write `move_keys(k_SKH, shift, theta)`, which gives the keys as they would be `shift` positions later (earlier, where `shift` is negative). You may use `numpy_positions.rope` or your own. First example: a key made at position 7 and moved by −2 is the key made at position 5.
#
# ```python
# def move_keys(k_SKH, shift, theta):
#     positions_S = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>Two turns add up; so says the proof.</details>
# <details><summary>Hint 2</summary>Every key needs one more turn, and for all keys it is the same.</details>
# <details><summary>Hint 3</summary><code>rope(k_SKH[None], positions, theta)[0]</code>, where positions is an array of shape (1, S) that holds one and the same number S times.</details>


# %% tags=["solution", "hide-input"]
def move_keys(k_SKH, shift, theta):
    ### BEGIN SOLUTION
    positions_S = np.full(len(k_SKH), shift)
    return numpy_positions.rope(k_SKH[None], positions_S[None], theta)[0]
    ### END SOLUTION


# %% [markdown]
# The check moves caches forwards and backwards.

# %%
check("move_keys", move_keys)

# %% [markdown]
# ### 4 · Bring Meta's weights home
#
# *Difficulty 4 of 5, 12 minutes.* A file from Meta holds `wq` as a matrix of shape (N·H, D): all heads one below the other, rows in the order that suits neighbours. Write `from_meta(weight, num_heads)`, which gives `w_q` as this course wants it, of shape D N H and in the order that suits halves. First example: `from_meta(np.arange(6.0)[:, None], 1)`, one head of six rows and D = 1, gives `[[[0, 2, 4, 1, 3, 5]]]`.
#
# ```python
# def from_meta(weight, num_heads):
#     rows, D = weight.shape
#     H = rows // num_heads
#     w_NHD = ...
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>It is the third case of "Halves or neighbours" in the other direction: these columns suit neighbours, and the rotation takes halves.</details>
# <details><summary>Hint 2</summary>Cut the rows into heads first. Then reorder within each head: evens, then odds. Then bring the axes into the order D N H.</details>
# <details><summary>Hint 3</summary>Hugging Face cuts the rows into N, R, 2 and swaps the last two: <code>weight.reshape(num_heads, H // 2, 2, D).swapaxes(1, 2)</code>. What remains is a reshape to N H D and a transpose.</details>


# %% tags=["solution", "hide-input"]
def from_meta(weight, num_heads):
    ### BEGIN SOLUTION
    rows, D = weight.shape
    H = rows // num_heads
    w_NHD = weight.reshape(num_heads, H // 2, 2, D).swapaxes(1, 2).reshape(num_heads, H, D)
    return w_NHD.transpose(2, 0, 1)
    ### END SOLUTION


# %% [markdown]
# The check looks at one head, several heads, and heads of four, six and ten.

# %%
check("from_meta", from_meta)

# %% [markdown]
# ### 5 · The same step everywhere
#
# *Difficulty 4 of 5, 10 minutes.* We claimed that for sinusoids, moving on is a linear map. Write it down: `step_matrix(steps, D)` gives the matrix $M$ of shape D × D with $M\, s(p) = s(p + \text{steps})$ for every position $p$, where $s(p)$ is the vector of `sinusoidal`: sine in dimension $2i$, cosine in $2i + 1$. First example: `step_matrix(1, 2)` gives `[[0.5403, 0.8415], [-0.8415, 0.5403]]`.
#
# ```python
# def step_matrix(steps, D):
#     M = np.zeros((D, D))
#     for i in range(D // 2):
#         ...
#     return M
# ```
#
# <details><summary>Hint 1</summary>sin(a + b) = sin a cos b + cos a sin b, and cos(a + b) = cos a cos b − sin a sin b.</details>
# <details><summary>Hint 2</summary>Each pair (2i, 2i + 1) gets a block of 2 × 2 on the diagonal; all else is 0. The angle b is steps times the frequency of pair i.</details>
# <details><summary>Hint 3</summary><code>M[2 * i, 2 * i : 2 * i + 2] = math.cos(b), math.sin(b)</code>. The second row of the block has the same two numbers, in another order and with one minus.</details>


# %% tags=["solution", "hide-input"]
def step_matrix(steps, D):
    ### BEGIN SOLUTION
    M = np.zeros((D, D))
    for i in range(D // 2):
        b = steps * 10_000.0 ** (-2 * i / D)
        M[2 * i, 2 * i : 2 * i + 2] = math.cos(b), math.sin(b)
        M[2 * i + 1, 2 * i : 2 * i + 2] = -math.sin(b), math.cos(b)
    return M
    ### END SOLUTION


# %% [markdown]
# The check takes steps forwards and backwards, for several widths.

# %%
check("step_matrix", step_matrix)

# %% [markdown]
# ## What breaks if…
#
# Decide, then open the answer.
#
# **1.** A colleague subtracts 1 from every position, so that texts start at −1. Queries and keys both see it. Which perplexity will our paragraph have, with RoPE? And what would GPT-2 do?
#
# <details><summary>Answer</summary>8.28. All positions moved together, as they did when the text started at 1000 and at 100,000, and only distances reach a score. (In the package, −1 marks padding for the <em>mask</em>; RoPE itself turns backwards by one step without complaint.) GPT-2 reads rows of a table: each token would get the vector of the place before, and the first would ask for row −1, which NumPy would take from the end of the table, and this package takes from the beginning.</details>
#
# **2.** Your port of Gemma passes three tests: scores depend on the distance alone, vectors keep their length, position 0 changes nothing. Can it still rotate neighbours?
#
# <details><summary>Answer</summary>Yes. All three hold for neighbours, and also for a halved exponent: in the table of wrong versions both show "distance alone: True", a turn keeps lengths whatever the pairs and angles, and an angle of 0 turns nothing. On the real weights they cost 69.6 and 75.6 against 8.28. One vector from a reference implementation at one position above 0 would find either.</details>
#
# **3.** In the experiment with rounded positions, somebody replaces bfloat16 by float16, which has 11 significant bits. From which position on does a 105-token text suffer, and would a test with the text at position 1000 notice?
#
# <details><summary>Answer</summary>As soon as it passes 2048: 8 bits were enough up to 256, and 11 bits are enough up to 2048, as with TF32. At 1000 to 1104 every position is exact, so the test sees 8.28 and passes. (Beyond 65,504 float16 has no numbers left at all.)</details>
#
# ## To take home
#
# RoPE turns pairs of each query and key by position times frequency, and because a dot product sees only the difference of two turns, attention sees only distances: a text may start anywhere.
#
# Halves or neighbours is a matter of the order of columns, harmless when weights and rotation agree and, at 69.6 against 8.28, worse than having no positions when they do not.
#
# Angles belong in float32: in bfloat16 position 257 is 256, no test that ends before it can notice, and at position 1000 the real model hesitates between twice as many tokens.
#
# **Next.** Lesson 05 makes queries, keys and values, and lets them meet. To read: Su et al. 2021, *RoFormer* (arXiv:2104.09864), sections 3.2 and 3.4; Vaswani et al. 2017, section 3.5, for the reasons behind sinusoids; in the package, `gemma_edu/jax_model/positions.py`, all of which you have now met.
