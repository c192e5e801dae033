# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/10_generation.ipynb)
#
# # 10 · Generation
#
# Ask the real Gemma 3 270M to go on from *The sun was setting and*, always with its most likely token, and in 40 tokens it says *the sky was blue* four times. Let it draw from its own odds instead, and another trouble begins. Gemma has 262,144 tokens to choose from, and on our test paragraph those below the 50 most likely have 4 % of the probability: next to nothing one by one, they would turn up in four of every hundred draws, and each becomes part of the text on which the model builds further. The seven parameters of this lesson, max tokens, temperature, top-p, top-k, frequency penalty, presence penalty and stop, are what lies between those two troubles.
#
# The model's part ends with the logits, and generation is what a program does with them. So nothing here is Gemma's alone; GPT-2, Llama 2 and OLMo are sampled in the same way. But Gemma's vocabulary is eight times as long as Llama 2's, its chat models end a turn with a token of their own, and its official samplers differ from everybody else's in ways that we shall measure.
#
# *55 minutes, and 46 for the exercises; difficulty 3 of 5. You need softmax and logarithms. Logits are the numbers, one per token of the vocabulary, that lessons 08 and 09 compute.*

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
import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import kv_cache
from gemma_edu.jax_model import sampling as jax_sampling
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.numpy_model import sampling as numpy_sampling
from gemma_edu.numpy_model.attention import softmax
from gemma_edu.sampling_config import Sampling
from gemma_edu.text_stream import TextStream

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## A draw is a step on a staircase
#
# A toy model with four tokens says that the next one has the odds .4, .3, .2, .1. How does a computer choose, when all that it can make is a number $u$, uniform between 0 and 1? Stack the odds into a staircase, .4, .7, .9, 1, and find the step that $u$ falls on:
#
# $$\text{token}(u) = \min \Big\{ v : \sum_{w \le v} p_w > u \Big\}$$
#
# Step $v$ is $p_v$ wide, and so it is hit with probability $p_v$ (this is called inverse transform sampling). With $u = .65$, .4 is not above it and .7 is: token 1. Which tokens do .2, .8 and .95 give?


# %%
def walk(probs_V, uniform):
    """Up the staircase, step by step."""
    height = 0.0
    for token, prob in enumerate(probs_V):
        height += prob
        if height > uniform:
            return token
    return len(probs_V) - 1  # the stairs may end at 0.9999999


odds = np.array([0.4, 0.3, 0.2, 0.1])
logits_4 = np.log(odds)  # logits with these odds; add any constant to all and the odds stay
print([walk(odds, u) for u in (0.65, 0.2, 0.8, 0.95)])
assert [walk(odds, u) for u in (0.65, 0.2, 0.8, 0.95)] == [1, 0, 2, 3]

# %% [markdown]
# One random number per token of text is all the chance there is. Everything else in this lesson *bends the odds first*. For a batch of rows the staircase is a cumulative sum, and the walk a count of the steps not above $u$:


# %%
def my_draw(logits_BV, uniform_B):
    """One token per row."""
    stairs_BV = np.cumsum(softmax(logits_BV), axis=-1)
    return np.sum(stairs_BV <= uniform_B[:, None], axis=-1)


np.testing.assert_allclose(softmax(logits_4[None] + 5.0)[0], odds, rtol=1e-6)
assert my_draw(np.tile(logits_4, (4, 1)), np.array([0.65, 0.2, 0.8, 0.95])).tolist() == [1, 0, 2, 3]

# %% [markdown]
# ## Four rules with a pencil
#
# **Temperature** divides the logits by $T$ before the softmax. As $e^{l/T} = (e^{l})^{1/T}$, it raises the odds to the power $1/T$ and lets them add up to 1 again. With $T = \tfrac12$ odds are squared: .16, .09, .04, .01, together .30, so .53, .30, .13, .03. With $T = 2$ we take roots. Below 1 the rich get richer, above 1 everybody comes closer.
#
# **Top-k** keeps the $k$ most likely tokens (Fan et al. 2018). With $k = 2$, .4 and .3 remain, and divided by their sum they are .57 and .43.
#
# **Top-p**, or nucleus sampling (Holtzman et al. 2020, section 3.1), keeps the smallest set of most likely tokens that has together at least $p$. With $p = .75$: .4 is not enough, .7 is not, .9 is. Three tokens stay, *including the one that crosses the line*.
#
# **Penalties** lower the logits of tokens already generated. With $c_v$ for how often token $v$ was (OpenAI's API reference, where it is $c[j]$),
#
# $$l_v \;\to\; l_v - c_v \cdot a_\text{frequency} - [c_v > 0] \cdot a_\text{presence}$$
#
# A frequency penalty of $\ln 2$ halves a token's odds each time that it appears; a presence penalty of $\ln 2$ halves them once. Take $a_\text{frequency} = \ln 2$ after *0 0 1*: token 0 is quartered to .1, token 1 halved to .15, and .1, .15, .2, .1 have a sum of .55. Check it all:

# %%
squared = odds**2 / np.sum(odds**2)
print("T = 1/2        ", squared.round(2), "  T = 2", (odds**0.5 / np.sum(odds**0.5)).round(2))
np.testing.assert_allclose(softmax(logits_4[None] / 0.5)[0], squared, rtol=1e-6)

counts_4 = np.array([2, 1, 0, 0])
penalised = softmax(logits_4[None] - counts_4 * math.log(2))[0]
print("frequency ln 2 ", penalised.round(3), " = .1 .15 .2 .1 over .55")
np.testing.assert_allclose(penalised, np.array([0.1, 0.15, 0.2, 0.1]) / 0.55, rtol=1e-6)

# %% [markdown]
# Now a loop for top-p, which is the rule that ports get wrong. It goes through the tokens in order of their odds, not in order of their ids, and it stops *after* the token that crosses:


# %%
def nucleus(probs_V, p):
    """The ids that top-p keeps."""
    kept, mass = [], 0.0
    for token in np.argsort(-probs_V):
        kept.append(int(token))
        mass += probs_V[token]
        if mass >= p:
            break
    return kept


assert nucleus(odds, 0.75) == [0, 1, 2] and nucleus(odds, 0.05) == [0]
assert nucleus(odds[[3, 1, 0, 2]], 0.75) == [2, 1, 3]  # the same odds under other ids

# %% [markdown]
# ## One rule for both filters
#
# Ask of each token: how much stands above it? Top-k counts heads, and keeps a token if fewer than $k$ have a larger logit. Top-p weighs them, and keeps it if those with a larger logit have together less than $p$. It is the same rule with other weights $m_w$, 1 for top-k and $p_w$ for top-p:
#
# $$\text{keep } v \iff \sum_w m_w\, [\,l_w > l_v\,] \;<\; \text{limit}$$
#
# The token that crosses is in, since the mass *above* it is still below the limit, and the most likely token is always in, since nothing is above it. Tokens with equal logits share one fate. As one einsum, with $W$ for the vocabulary again (so for small vocabularies only: Gemma's would need 69 billion comparisons):


# %%
def keep(logits_BV, weights_BV, limit):
    """-inf for every token that has too much above it."""
    is_above_BVW = logits_BV[:, None, :] > logits_BV[:, :, None]
    above_BV = np.einsum("BVW,BW->BV", is_above_BVW, weights_BV)
    return np.where(above_BV < limit, logits_BV, -np.inf)


def my_filter(logits_BV, counts_BV, frequency_penalty, presence_penalty, temperature, k, p):
    """Penalties, temperature, top-k, top-p, in that order."""
    penalty_BV = counts_BV * frequency_penalty + np.sign(counts_BV) * presence_penalty
    logits_BV = ((logits_BV - penalty_BV) / temperature).astype(np.float32)
    logits_BV = keep(logits_BV, np.ones_like(logits_BV), k)
    return logits_BV if p == 1 else keep(logits_BV, softmax(logits_BV), p)


left = np.isfinite(keep(logits_4[None], odds[None], 0.75))[0]
assert np.flatnonzero(left).tolist() == nucleus(odds, 0.75)

# %% [markdown]
# Why $-\infty$ and not 0? A logit of 0 is an ordinary logit; $e^{-\infty}$ is exactly 0, and the softmax shares out what was dropped among the others by itself.
#
# The package sorts, which needs no table of comparisons. This is how a token leaves the model:

# %%
show_source(numpy_sampling.top_k, numpy_sampling.top_p, numpy_sampling.filter_logits, numpy_sampling.draw)

# %% [markdown]
# Ours against the package's, on logits of 3 rows and 11 tokens, for settings that switch the parameters on one by one and then all together:

# %% tags=["contract"]
random = np.random.default_rng(0)
logits_BV = random.normal(size=(3, 11)).astype(np.float32) * 2
counts_BV = random.integers(0, 3, (3, 11))
uniform_B = random.random(3)
SETTINGS = [(0, 0, 0.7, 11, 1.0), (0, 0, 1.0, 4, 1.0), (0, 0, 1.0, 11, 0.8), (0.5, 0, 1.0, 11, 1.0)]
SETTINGS += [(0, -1.5, 1.0, 11, 1.0), (0.3, 0.6, 1.4, 6, 0.9), (2.0, 2.0, 0.3, 99, 0.01)]
for settings in SETTINGS:
    mine_BV = my_filter(logits_BV, counts_BV, *settings)
    package_BV = numpy_sampling.filter_logits(logits_BV, counts_BV, *settings)
    np.testing.assert_allclose(mine_BV, package_BV, rtol=1e-5)
    np.testing.assert_array_equal(my_draw(mine_BV, uniform_B), numpy_sampling.draw(package_BV, uniform_B))

# %% [markdown]
# ## JAX does not sort
#
# A sort of 262,144 logits takes XLA longer than the whole model needs to make them; the docstring of `jax_model/sampling.py` has the numbers. So the JAX version looks for the *lowest value that stays*. The rule above says how: the lower the candidate, the more stands above it, and so one can halve an interval again and again. How often? A float32 has 32 bits, so at most 32 times, if one halves not the numbers but their bits. Read as integers, the bits of positive floats are in the order of the floats:


# %%
def lowest_kept(probs_V, p):
    """The smallest probability that top-p keeps."""
    ranks_V = probs_V.view(np.int32)  # the same bits, read as integers
    low, high = -1, int(ranks_V.max())  # low is dropped, high stays
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if probs_V[ranks_V > middle].sum() < p else (middle, high)
    return np.int32(high).view(np.float32)


some_V = random.dirichlet(np.ones(50)).astype(np.float32)
assert (np.diff(np.sort(some_V).view(np.int32)) > 0).all()  # the bits rise with the floats
assert sorted(nucleus(some_V, 0.8)) == np.flatnonzero(some_V >= lowest_kept(some_V, 0.8)).tolist()

# %% [markdown]
# The package's two filters are one such search, for all rows at once. They differ in what is weighed, ones for top-k, probabilities for top-p. It takes 32 steps whatever $k$ and $p$ are, so one compiled program serves every setting; change the temperature in a running chat, and nothing is compiled anew. (With a sort that would be true as well; with `jax.lax.top_k`, whose $k$ fixes a shape, it would not.) Does it agree with our einsum?

# %% tags=["contract"]
show_source(jax_sampling.top_k, jax_sampling.top_p)
for settings in SETTINGS:
    mine_BV = my_filter(logits_BV, counts_BV, *settings)
    in_jax_BV = jax_sampling.filter_logits(logits_BV, counts_BV, *settings)
    np.testing.assert_allclose(mine_BV, in_jax_BV, rtol=1e-5)
    np.testing.assert_array_equal(my_draw(mine_BV, uniform_B), jax_sampling.draw(in_jax_BV, uniform_B))

# %% [markdown]
# ## Five prompts, five rows of 262,144 logits
#
# Now the real model. Five prompts of different lengths go in as one batch, padded on the left, so that all of them end in the same column and the last column gives the five next-token distributions. `prefill` is lesson 09's: it returns those logits and the KV cache.

# %%
print("loading Gemma 3 270M …")
model = checkpoints.load("gemma3-270m")
params, config, tokenizer = model.params, model.config, model.tokenizer
PROMPTS = [
    "The sun was setting and",
    "My favourite colour is",
    "Once upon a",
    "The sky is blue. I repeat: the sky is",
    "The water cycle describes how water moves",
]
SUN, COLOUR, ONCE, REPEAT, WATER = range(5)
prompt_ids = [tokenizer.encode(prompt, add_bos=True) for prompt in PROMPTS]

# %% [markdown]
# `MOST` is the number of tokens that we shall want from each; the cache needs room for them.

# %%
T, MOST = 16, 40
prefill = jax.jit(kv_cache.prefill, static_argnames=("config", "capacity"))
decode = jax.jit(kv_cache.decode, static_argnames="config", donate_argnames="cache")


def start(rows):
    """Next-token logits and cache for a batch of prompts."""
    padding_B = np.array([T - len(row) for row in rows], np.int32)
    tokens_BT = np.array([[0] * (T - len(row)) + row for row in rows], np.int32)
    return prefill(params, tokens_BT, padding_B, config=config, capacity=T + MOST)


next_BV = np.asarray(start(prompt_ids)[0])
assert next_BV.shape == (5, config.vocab_size) == (5, 262_144)
assert round(config.vocab_size / presets.LLAMA2_7B.vocab_size) == 8

# %% [markdown]
# *My favourite colour is* leaves much open, *Once upon a* hardly anything. How much probability do you expect in the most likely token of each, and how much in all tokens below the 50 most likely?


# %%
def ranked(logits_V):
    """Token ids by falling odds, and the odds."""
    ids = np.argsort(-logits_V)
    return ids, softmax(logits_V[None].astype(np.float64))[0, ids]


def word(token):
    """A piece of the vocabulary without its mark for a space before it."""
    return tokenizer.piece(int(token)).strip("▁") or "(space)"


tails = {}
for prompt in (COLOUR, ONCE):
    ids, probs = ranked(next_BV[prompt])
    tails[prompt] = probs[50:].sum()
    print(f"{PROMPTS[prompt]!r}: {word(ids[0])} {probs[0]:.3f}; all below the first 50: {tails[prompt]:.3f}")
np.testing.assert_allclose([tails[COLOUR], tails[ONCE]], [0.21, 0.010], atol=0.003)

# %% [markdown]
# In the first text, one draw in five falls into the tail: 262,094 tokens of which each has next to nothing. That is much, because the position is open. What of a usual position? The 104 predictions of our test paragraph are 104 distributions. For each of them, the size of the nucleus for $p = .9$: will it be nearer to 10 or to 1000, and how much does it vary?

# %%
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
text_ids = np.array(tokenizer.encode(text, add_bos=True), np.int32)
forward = jax.jit(jax_transformer.forward, static_argnames="config")
text_TV = forward(params, text_ids[None], config)[0, :-1]
probs_TV = np.partition(np.asarray(jax.nn.softmax(text_TV)), -1000)[:, -1000:]
probs_TV = np.sort(probs_TV)[:, ::-1]  # the 1000 most likely tokens of each position, by falling odds
above_TV = np.cumsum(probs_TV, axis=-1) - probs_TV
nucleus_T = (above_TV < 0.9).sum(axis=-1)
below_50 = np.mean(1 - probs_TV[:, :50].sum(axis=-1))
print(f"below the first 50, on average over the text: {below_50:.3f}")
np.testing.assert_allclose(below_50, 0.043, atol=0.002)

# %% [markdown]
# So the 4 % of the introduction. This run had no padding and no company, and our fifth prompt is the beginning of the paragraph: do the two agree on what comes next?

# %%
here = len(prompt_ids[WATER]) - 1
assert text_ids[: here + 1].tolist() == prompt_ids[WATER]
np.testing.assert_allclose(next_BV[WATER], text_TV[here], atol=0.01)

# %% [markdown]
# They do: padding is masked, positions count from a row's own first token, and so a prompt says in a batch what it says alone. (A server that forgot its padding penalised the padding tokens, too: [TGI #1765](https://github.com/huggingface/text-generation-inference/pull/1765).) The sizes of the nuclei, one dot per token of the paragraph:

# %%
fig, ax = plt.subplots()
ax.plot(nucleus_T, ".", color=COLOURS["gemma"])
ax.axhline(64, color=COLOURS["stream"], linewidth=1)
ax.text(68, 67, "top-k = 64", va="bottom")
ax.text(4, 265, "top-p = 0.9", color=COLOURS["gemma"], va="center")
ax.set(yscale="log", xlabel="position in the text (tokens)", ylabel="tokens kept")
ax.set_yticks([1, 10, 100], ["1", "10", "100"])
ax.set_title("A nucleus breathes, a fixed k does not")
show(
    fig,
    "Tokens kept at each position of the test paragraph, logarithmic. Top-k 64 keeps 64 everywhere. Top-p 0.9 keeps "
    "between 1 and almost 300, half of the time 10 or fewer.",
)
assert nucleus_T.min() == 1 and 250 < nucleus_T.max() < 320 and 8 < np.median(nucleus_T) < 12

# %% [markdown]
# From 1 to almost 300, with a median near 10. Where the model knows what comes next, top-k = 64 lets in 63 tokens that do not belong there; where everything is open, it cuts some that do. That is Holtzman et al.'s argument for a nucleus. Many use both.
#
# ## Each parameter on a real distribution
#
# The eight most likely tokens after *My favourite colour is*, as the model gives them (grey) and as a parameter leaves them (blue). For the penalties we pretend that the model has already said *blue* twice and *red* once. Which panels will leave the *order* of the bars as it was?


# %%
def panel(ax, title, **changes):
    """Eight tokens before and after; `changes` are parameters of filter_logits."""
    settings = dict(frequency_penalty=0.0, presence_penalty=0.0, temperature=1.0, k=config.vocab_size, p=1.0)
    logits_1V = next_BV[COLOUR][None]
    counts_1V = np.bincount(tokenizer.encode(" blue blue red"), minlength=config.vocab_size)[None]
    bent_1V = jax_sampling.filter_logits(logits_1V, counts_1V, **(settings | changes))
    probs_V, after_V = softmax(logits_1V)[0], np.asarray(jax.nn.softmax(bent_1V))[0]
    ids = np.argsort(-probs_V)[:8]
    ax.bar(range(8), probs_V[ids], color="0.8", width=0.9)
    ax.bar(range(8), after_V[ids], color=COLOURS["gemma"], width=0.5)
    ax.set_xticks(range(8), map(word, ids), rotation=90)
    ax.set_title(title, fontsize=9)
    return after_V[ids]


# %% [markdown]
# Six panels, one parameter each:

# %%
fig, axes = plt.subplots(2, 3, sharex=True, sharey=True, figsize=(6, 4.2))
KNOBS = {
    "temperature 0.5": dict(temperature=0.5),
    "temperature 2": dict(temperature=2.0),
    "top-k 4": dict(k=4),
    "top-p 0.3": dict(p=0.3),
    "frequency penalty 1": dict(frequency_penalty=1.0),
    "presence penalty 1": dict(presence_penalty=1.0),
}
after = {
    title: panel(ax, title, **change) for ax, (title, change) in zip(axes.flat, KNOBS.items(), strict=True)
}
fig.suptitle("Only penalties change the order", x=0.02, ha="left", fontsize=11, weight="bold")
axes[0, 0].set_ylabel("probability")
axes[1, 0].set_ylabel("probability")
show(
    fig,
    "Six panels of the odds of blue, red, the, pink, black, yellow, purple, green. "
    + "; ".join(f"{title}: " + ", ".join(f"{p:.2f}" for p in bars) for title, bars in after.items())
    + ". Without any change they are 0.11 for blue and 0.04 for green.",
)
assert (after["top-k 4"] > 0).sum() == 4 and (after["top-p 0.3"] > 0).sum() == 5
assert all(np.diff(after[name]).max() <= 0 for name in ("temperature 0.5", "temperature 2", "top-k 4"))

# %% [markdown]
# Temperature and filters never change the order; only penalties do, which is why a penalty works with greedy choice and a filter does nothing there. *blue* was said twice: the frequency penalty takes 2 from its logit, the presence penalty 1; for *red*, said once, the two are the same. At temperature 2 all eight bars have almost vanished. Where has the probability gone?
#
# In a running notebook the sliders move one panel; here the cell is not run.

# %% tags=["nbval-skip"]
from ipywidgets import interact


@interact(temperature=(0.1, 3.0, 0.1), k=(1, 100), p=(0.05, 1.0, 0.05), frequency=(-2.0, 2.0, 0.25))
def bend(temperature=1.0, k=100, p=1.0, frequency=0.0):
    fig, ax = plt.subplots()
    panel(ax, "after: blue", temperature=temperature, k=k, p=p, frequency_penalty=frequency)
    show(fig, "The odds of eight tokens before and after the parameters of your choice.")


# %% [markdown]
# ## From T = 0 to T = ∞
#
# Into the tail: there are so many others. A way to say how many tokens are *effectively* in play is $e^{\text{entropy}}$, which is $n$ for $n$ equally likely ones and 1 for certainty; it is the perplexity of a distribution. At $T \to 0$ it must be 1, at $T \to \infty$ it must be all 262,144. What lies between? Sketch the curve for both prompts.


# %%
def effective(logits_V, temperature):
    """exp(entropy) of softmax(logits / temperature)."""
    probs_V = softmax(logits_V[None].astype(np.float64) / temperature)[0]
    return math.exp(-np.sum(probs_V * np.log(np.maximum(probs_V, 1e-300))))


temperatures = np.geomspace(0.05, 50, 31)
curves = {row: [effective(next_BV[row], t) for t in temperatures] for row in (COLOUR, ONCE)}
np.testing.assert_allclose([curves[row][-1] for row in curves], 262_144, rtol=0.05)
np.testing.assert_allclose([effective(next_BV[row], 0.001) for row in curves], 1, rtol=1e-3)

# %% [markdown]
# Both axes are logarithmic:

# %%
fig, ax = plt.subplots()
for row, colour, at in ((COLOUR, "gemma", (0.45, 60)), (ONCE, "keys", (1.35, 1.6))):
    ax.plot(temperatures, curves[row], color=COLOURS[colour])
    ax.text(*at, PROMPTS[row] + " …", color=COLOURS[colour], ha="right" if row == COLOUR else "left")
ax.axvspan(0.7, 1.0, color="0.9", zorder=0)
ax.text(0.84, 2e5, "usual", ha="center", va="top", color="0.4", fontsize=9)
ax.set(xscale="log", yscale="log", xlabel="temperature", ylabel="tokens effectively in play")
ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set_yticks([1, 100, 10_000], ["1", "100", "10,000"])
ax.set_title("Between T = 1 and T = 3 the whole vocabulary comes in")
one, three = ([effective(next_BV[row], t) for row in (COLOUR, ONCE)] for t in (1.0, 3.0))
show(
    fig,
    f"Effective number of tokens against temperature, both logarithmic. 'My favourite colour is': 1 at the left, "
    f"{one[0]:.0f} at T 1, tens of thousands at T 3. 'Once upon a': 1 until T 0.7, {one[1]:.1f} at T 1, as many "
    "at T 3. Both end at 262,144.",
)
np.testing.assert_allclose(one, [84, 1.29], rtol=0.02)
assert min(three) > 20_000

# %% [markdown]
# The two prompts could not differ more at $T = 1$, where 84 and 1.3 tokens are in play, and at $T = 3$ both are noise, although the model is all but certain of *time*. Temperature does not know how sure the model is; it treats logits alike. The common range is narrow for a reason.
#
# What is so special about 1? It is where the model was trained. Score our paragraph at several temperatures, as the perplexity of the text under softmax(logits / T). Where will it be lowest?


# %%
@jax.jit
def scored_at(logits_TV, temperature):
    """The perplexity of the paragraph; without its first prediction, as in lesson 11."""
    log_probs_T = jax_sampling.log_probs(logits_TV / temperature, text_ids[1:])
    return jnp.exp(-log_probs_T[1:].mean())


scored = {t: float(scored_at(text_TV, t)) for t in (0.5, 0.8, 1.0, 1.2, 2.0)}
for t, perplexity in scored.items():
    print(f"temperature {t}: perplexity {perplexity:5.2f}")
assert min(scored, key=scored.get) == 1.0
np.testing.assert_allclose(scored[1.0], 8.28, rtol=2e-3)

# %% [markdown]
# At 1. Training lowers this very number, so a well-trained model needs no correction by a temperature: people write as the model expects at $T = 1$. And yet one often generates below 1, since a reader of a text minds a wrong token more than a dull one.
#
# ## One batch, five ways to choose
#
# Now let the model speak: five copies of one prompt, each row with its own parameters, as in a server where every user brings their own. The filters take one number for each parameter; `vmap` gives each row its numbers. Greedy, $T \to 0$, needs no case of its own here, since top-k = 1 says the same.

# %%
WAYS = {
    "greedy": (0.0, 0.0, 1.0, 1, 1.0),  # frequency, presence, temperature, k, p
    "greedy, frequency 1": (1.0, 0.0, 1.0, 1, 1.0),
    "greedy, presence 1": (0.0, 1.0, 1.0, 1, 1.0),
    "temperature 1": (0.0, 0.0, 1.0, config.vocab_size, 1.0),
    "temperature 1, k 64, p 0.95": (0.0, 0.0, 1.0, 64, 0.95),
}
columns = [jnp.asarray(column) for column in zip(*WAYS.values(), strict=True)]

# %% [markdown]
# The last row has Google's own defaults for Gemma: `temperature=1.0, top_p=0.95, top_k=64` (`generate` in `gemma_pytorch`, `gemma/model.py` at 014acb7). One step of the loop: penalise, filter, draw, count.


# %%
@jax.jit
def choose(logits_BV, counts_BV, columns, uniform_B):
    """The next token of each row by its own settings, its log-probability, and the counts with it."""
    bend = jax.vmap(lambda *row: jax_sampling.filter_logits(row[0][None], row[1][None], *row[2:])[0])
    token_B = jax_sampling.draw(bend(logits_BV, counts_BV, *columns), uniform_B)
    log_prob_B = jax_sampling.log_probs(logits_BV, token_B)
    return token_B, log_prob_B, counts_BV.at[jnp.arange(len(token_B)), token_B].add(1)


# %% [markdown]
# And the loop, `MOST` times: `MOST` is the first of the seven parameters, max tokens, and all that it does is to end this loop. Each row gets its own random number in each step. The log-probability is the model's own, before anything was bent.

# %%
key, chosen, log_probs = jax.random.key(3), [], []
logits_BV, cache = start([prompt_ids[SUN]] * len(WAYS))
counts_BV = jnp.zeros(logits_BV.shape, jnp.int32)
for step in range(MOST):
    uniform_B = jax.random.uniform(jax.random.fold_in(key, step), (len(WAYS),))
    token_B, log_prob_B, counts_BV = choose(logits_BV, counts_BV, columns, uniform_B)
    logits_BV, cache = decode(params, token_B, cache, config=config)
    chosen.append(token_B.tolist())
    log_probs.append(log_prob_B)
row_ids = dict(zip(WAYS, zip(*chosen, strict=True), strict=True))
row_probs = dict(zip(WAYS, np.exp(log_probs).T, strict=True))
assert np.sum(counts_BV, axis=-1).tolist() == [MOST] * len(WAYS)

# %% [markdown]
# ## Greedy, and why it goes round in circles
#
# Always the most likely token: it sounds like the best that one can do. The first row, 40 tokens after *The sun was setting and*:

# %%
greedy_text = tokenizer.decode(row_ids["greedy"])
print(PROMPTS[SUN] + greedy_text)
assert greedy_text.count("the sky was blue") == 4

# %% [markdown]
# One idea, four times. Look at what happens to the model's confidence on the way:

# %%
fig, ax = plt.subplots()
ax.plot(row_probs["greedy"], "o-", color=COLOURS["gemma"], markersize=3, linewidth=1)
means = row_probs["greedy"].reshape(4, 10).mean(axis=1)
for number, mean in enumerate(means):
    ax.plot([10 * number - 0.4, 10 * number + 9.4], [mean, mean], color=COLOURS["stream"])
    ax.text(10 * number + 4.5, 1.06, f"round {number + 1}: {mean:.2f}", ha="center")
ax.set(xlabel="token generated", ylabel="its probability", ylim=(0, 1.14))
ax.set_title("Each time round, the model is surer")
show(
    fig,
    "Probability of each of 40 greedy tokens. The text repeats every ten; the mean probability of a round is "
    + ", ".join(f"{mean:.2f}" for mean in means)
    + ".",
)
assert row_ids["greedy"][10:20] == row_ids["greedy"][20:30] == row_ids["greedy"][30:40]
assert (np.diff(means) > 0).all() and 0.88 < means[3] < 0.93 and means[0] < 0.4

# %% [markdown]
# What was said once is likelier to be said again, and what was said twice likelier still: by the fourth round the model gives its own words 91 % on average. A loop holds itself (Xu et al. 2022, *Learning to Break the Loop*, measure it for whole sentences), and greedy choice has no way out, since a way out is a token that is *not* the most likely.
#
# The log-probabilities also say how *surprising* a text is: $e^{-\text{mean}}$ is its perplexity under the model. Ours reads a paragraph by people with 8.28. Its own greedy text?

# %%
row_perplexity = {way: np.exp(-np.log(probs_T).mean()) for way, probs_T in row_probs.items()}
print(f"greedy text {row_perplexity['greedy']:.2f}, people's text {scored[1.0]:.2f}")
assert row_perplexity["greedy"] < 2 < scored[1.0] / 4

# %% [markdown]
# The likeliest text is not what people write. Their text is surprising to some degree, and for that one must draw. The two rows that were drawn:

# %% tags=["nbval-ignore-output"]
for way in ("temperature 1", "temperature 1, k 64, p 0.95"):
    print(f"{way} (perplexity {row_perplexity[way]:.1f})\n  … {tokenizer.decode(row_ids[way])!r}")
    assert row_perplexity[way] > 2 * row_perplexity["greedy"]

# %% [markdown]
# (Drawn texts can differ on another machine, where a logit differs in its last bits.) No circle in either. Now for the other way out.
#
# ## Frequency, presence, and a third penalty
#
# Two rows were greedy with a penalty of 1. A token with 91 %, the mean of the fourth round, leads all others together by $\ln(.91/.09) = 2.3$, so a penalty of 1 does not reach it at once. Which of the two will still go round in circles? To put a number on circles, count the groups of four tokens that have occurred before:


# %%
def repeated(ids):
    """The share of groups of four that stood in the text before."""
    groups = Counter(zip(*(ids[start:] for start in range(4)), strict=False))
    return 1 - len(groups) / groups.total()


for way in list(WAYS)[:3]:
    print(f"{way}: {repeated(row_ids[way]):.2f} repeated\n  …{tokenizer.decode(row_ids[way])}")
share = {way: repeated(ids) for way, ids in row_ids.items()}
assert share["greedy"] > share["greedy, presence 1"] > 0.5 > share["greedy, frequency 1"]
assert share["temperature 1"] < 0.2

# %% [markdown]
# With presence penalty 1 the model leaves the first circle for another and stays there: once all words of a loop have been said, each has lost its one point, no round takes more, and a lead of 2.3 can pay it. A frequency penalty of 1 is as weak at first, but it takes another point each round, and after two rounds of *full of stars* the text is free. That is also its danger: it counts *the* and the full stop as well, and in a long text the commonest words become the dearest.
#
# A third penalty that you will meet is `repetition_penalty` of `transformers`, from CTRL (Keskar et al. 2019). It has no counts, includes the *prompt*, and multiplies: a logit above 0 is divided by the penalty, one below 0 is multiplied with it. Why two cases? Dividing −1 by 1.5 *raises* it. The paper divides; `transformers` did at first, and got "The dog dog dog dog …" ([#2302](https://github.com/huggingface/transformers/issues/2302), repaired in [#2303](https://github.com/huggingface/transformers/pull/2303)).
#
# The repair leaves something odd. Odds do not change when a constant is added to all logits. Does the effect of a penalty change?


# %%
def repetition_penalty(logits, seen, penalty):
    """As in transformers: seen counts the prompt too."""
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


logits_3, seen = np.array([2.0, 1.0, -1.0]), np.array([True, False, True])
changes = {"repetition 1.5": lambda x: repetition_penalty(x, seen, 1.5), "presence 1": lambda x: x - seen}
for name, change in changes.items():
    low, high = (softmax(change(logits_3 + shift)[None])[0] for shift in (0.0, 20.0))
    print(f"{name:15} {low.round(3)}   logits 20 higher: {high.round(3)}")
    assert np.allclose(low, high) == (name == "presence 1")
tops = next_BV.max(axis=-1)
print(f"Gemma's largest logit after each of the five prompts: from {tops.min():.1f} to {tops.max():.1f}")
assert (np.abs(tops - tops / 1.3 - 5) < 0.6).all()

# %% [markdown]
# That of the repetition penalty does. Its strength depends on where a model's logits happen to lie, and that is different from model to model ([#47595](https://github.com/huggingface/transformers/issues/47595) calls it gauge-dependent). Gemma's top logits are here around 20, so dividing by 1.3 takes away 5 or so: a penalty that says 1.3 acts like a presence penalty of 5.
#
# ## The order matters, and not all agree on it
#
# The package's order is penalties, temperature, top-k, top-p, as in vLLM. Does it matter? A penalty of 1 is a factor of $e$ on the odds at temperature 1; at temperature 0.5 the penalised logit is divided by 0.5, and the factor is $e^2$. So temperature sharpens penalties, too. And the nucleus? Take top-p before temperature: then it is the same at every temperature, and heat only flattens what is inside. After it, heat widens the nucleus. On *My favourite colour is*, with $p = .9$:

# %% tags=["nbval-ignore-output"]
colour_1V = next_BV[COLOUR][None]
sizes = {t: int(np.isfinite(jax_sampling.top_p(colour_1V / t, 0.9)).sum()) for t in (0.5, 1.0, 1.5)}
for t, size in sizes.items():
    print(f"temperature {t}, then top-p: {size:5} tokens.   top-p, then temperature: {sizes[1.0]}")
assert 5 <= sizes[0.5] <= 20 and 130 < sizes[1.0] < 146 and sizes[1.5] > 3000
assert np.isfinite(jax_sampling.top_k(colour_1V / 1.5, 64)).sum() == 64
bent_1V = numpy_sampling.filter_logits(np.zeros((1, 2)), np.array([[1, 0]]), 0.0, 1.0, 0.5, 2, 1.0)
np.testing.assert_allclose(np.exp(bent_1V[0, 1] - bent_1V[0, 0]), math.e**2, rtol=1e-5)

# %% [markdown]
# About four thousand tokens where there were 140: at a temperature above 1, top-p no longer protects you if it comes last, and top-k does. (llama.cpp cuts first and takes the temperature after that, so its nucleus is the same at any temperature.)
#
# Next, top-k *and* top-p. Transformers and vLLM apply top-p to what top-k left, which then has a sum of 1 again. Google's `gemma_pytorch` takes both on the full distribution. And where the tokens above have *exactly* $p$, `gemma_pytorch` and Meta's Llama code still take one more. In our notation:


# %%
def in_turn(probs_V, k, p):
    """As here, and in transformers and vLLM: top-p sees only what top-k has left."""
    left_1V = np.maximum(keep(probs_V[None], np.ones((1, len(probs_V))), k), 0)
    left_1V = left_1V / left_1V.sum()  # probabilities rank as logits do, so `keep` may take them
    return np.flatnonzero(keep(left_1V, left_1V, p)[0] > 0).tolist()


def both_on_all(probs_V, k, p):
    """As in gemma_pytorch: both on the full distribution, `mass above > p` drops, exactly k stay."""
    order = np.argsort(-probs_V, kind="stable")
    above = np.cumsum(probs_V[order]) - probs_V[order]
    return sorted(order[(above <= p) & (np.arange(len(order)) < k)].tolist())


# %% [markdown]
# Three pencil cases. Decide before you run: which of them is a difference of definition, and which would you call a matter of taste? And can the first happen with Gemma's own defaults, 64 and .95?

# %%
CASES = {
    "both filters: .4 .3 .2 .1, k 2, p .5": ([0.4, 0.3, 0.2, 0.1], 2, 0.5),
    "boundary: .5 .25 .125 .125, p .5": ([0.5, 0.25, 0.125, 0.125], 4, 0.5),
    "ties: .25 .25 .25 .25, k 2": ([0.25, 0.25, 0.25, 0.25], 2, 1.0),
}
kept = [[rule(np.array(c[0]), *c[1:]) for rule in (in_turn, both_on_all)] for c in CASES.values()]
for name, (ours, google) in zip(CASES, kept, strict=True):
    print(f"{name:38} here {ours}   gemma_pytorch {google}")
assert kept == [[[0], [0, 1]], [[0], [0, 1]], [[0, 1, 2, 3], [0, 1]]]
ids, probs = ranked(next_BV[COLOUR])
print(f"My favourite colour is …: the first 64 have {probs[:64].sum():.3f}")
assert probs[:64].sum() < 0.95 and len(both_on_all(probs[:1000], 64, 0.95)) == 64
assert 40 < len(in_turn(probs[:1000], 64, 0.95)) < 60

# %% [markdown]
# In the first case, $k = 2$ leaves .57 and .43, and .57 alone is at least .5; on the full distribution .4 is not. Gemma's defaults meet this in practice: the 64 tokens have only 82 % of the mass, so on the full distribution top-p = .95 does nothing at all, while taken in turn it drops the weakest of the 64. (transformers does as we do in all three cases; vLLM, by its code of early 2025, too, except that among tokens that equal the last one needed it keeps only as many as are needed.)
#
# ## The edges
#
# `Sampling` holds all parameters. What should it do with a temperature of 0 and a top-p of 0.9? The first says *no chance*, the second says *which chance*; the package refuses, so that nobody believes that a setting acts which does not. Eight such cases, and what is said to each. What would you say to top-p = 0?

# %%
WRONG = [dict(temperature=0.0, top_p=0.9), dict(temperature=1.0, top_p=0.0), dict(temperature=-1.0)]
WRONG += [dict(temperature=1.0, top_k=0), dict(frequency_penalty=3.0), dict(stop=("END", ""))]
WRONG += [dict(stop="END"), dict(max_tokens=0)]
for wrong in WRONG:
    try:
        Sampling(**wrong)
    except ValueError as error:
        print(f"· {error}")

# %% [markdown]
# top-p = 0 asks for a set with no probability. Some say that it means greedy (transformers keeps one token), vLLM refuses, and a filter that has not thought of it drops *everything*: then all logits are −∞, and what comes out is whatever the draw does with that ([google-deepmind/simply #42](https://github.com/google-deepmind/simply/pull/42); mlx-lm had it for $p$ below $10^{-7}$, [#1912](https://github.com/ml-explore/mlx-lm/pull/1912)). Here the most likely token always stays. The edges that are allowed:

# %%
row = next_BV[COLOUR][None]
assert np.isfinite(jax_sampling.top_p(row, 1e-9)).sum() == 1  # a tiny p: the most likely token
np.testing.assert_array_equal(jax_sampling.top_p(row, 1.0), row)  # p = 1: all, to the last one
np.testing.assert_array_equal(jax_sampling.top_k(row, 10**6), row)  # k above V: all
assert np.isfinite(jax_sampling.top_k(np.zeros((1, 9), np.float32), 2)).sum() == 9  # all tie, all stay
assert Sampling(temperature=1e-6).is_greedy and not Sampling(temperature=1e-4).is_greedy
encouraged = numpy_sampling.penalise(row, counts_BV[:1] * 0 + 1, -1.0, 0.0)
np.testing.assert_allclose(encouraged, row + 1)  # a negative penalty invites repetition

# %% [markdown]
# (Below $10^{-5}$ a temperature counts as 0, as in vLLM: nothing but the most likely token would ever be drawn.) All in one table:
#
# | parameter | range | off | often | edges |
# |---|---|---|---|---|
# | `max_tokens` | 1 … context − prompt | – | default 64 here, 16 in vLLM | counts tokens, not words; the text just ends; OpenAI, too, wants prompt + max_tokens ≤ context |
# | `temperature` | 0 … (OpenAI: 2) | 1 | 0.7 to 1 | 0 is greedy; transformers refuses 0 and wants `do_sample=False`; vLLM raises 0 < T < 0.01 to 0.01 |
# | `top_p` | 0 < p ≤ 1 | 1 | 0.9, 0.95 | the crossing token stays; 0 refused here and in vLLM |
# | `top_k` | 1 … V | none | 64 (Gemma's) | ties with the k-th stay; vLLM and transformers write 0 for off; not in OpenAI's API |
# | `frequency_penalty` | −2 … 2 | 0 | 0.1 to 1 | grows with each use; prompt does not count; below 0 invites repetition |
# | `presence_penalty` | −2 … 2 | 0 | 0.1 to 1 | once, however often used |
# | `stop` | strings and ids | none | `"\n"`, `"User:"` | cut off, not returned; "" refused; OpenAI takes up to 4 |
#
# (Ranges and edges as read in OpenAI's API reference, in the code of vLLM of early 2025 and of transformers 5.23; "often" for the penalties is what OpenAI's text recommends.)
#
# ## Where a text ends
#
# Three things end it: `max_tokens`, an end token, and `stop`. End tokens are ids that the model itself writes: in Gemma 3 `<eos>`, id 1, at the end of a document, and `<end_of_turn>`, id 106, at the end of a chat model's turn.
#
# A stop *string* is harder than it looks. `"\nUser:"` is three tokens, and none of them alone says whether the string will be complete. A streaming program that has printed the line break and `User` cannot take them back. So it must hold back what *may become* a stop string, and release it if it does not. With characters it is the same: an emoji outside the vocabulary comes as four tokens of one byte each, and a quarter of an emoji is no text. `TextStream` does both. Its steps, for an answer whose tokens we prepare:

# %%
prepared = tokenizer.encode("See\nUs 🛝\nUser: bye")
stream = TextStream(tokenizer.decode, tokenizer.encode("A:", add_bos=True), stop=["\nUser:"])
pieces = []
for token in prepared:
    pieces.append(stream.add(token))
    print(f"{tokenizer.piece(token)!r:10} shown {pieces[-1]!r:8} {'stopped' if stream.found_stop else ''}")
pieces.append(stream.end())
assert "".join(pieces) == "See\nUs 🛝" == tokenizer.decode(prepared[:8]) and stream.found_stop
one_by_one = [tokenizer.decode([token]) for token in prepared]
print("each token alone:", one_by_one[4:8])
assert "🛝" not in "".join(one_by_one)

# %% [markdown]
# Follow the line breaks. The first is held back, and so is *Us*, which still fits; the space after it decides, and all comes out at once. The slide appears with its fourth byte. The second line break waits in vain: with the colon the string is complete, and neither it nor anything after it is ever shown.
#
# How much must be held back? The longest end of the text that is a beginning of the stop string, which exercise 4 asks for. Programs that sent each token at once leaked the beginning of the stop string ([vLLM #3574](https://github.com/vllm-project/vllm/issues/3574), [TGI #1254](https://github.com/huggingface/text-generation-inference/issues/1254)); programs that decoded each token alone showed such a character as �, like the last line ([exo #1691](https://github.com/exo-explore/exo/pull/1691)).
#
# Now the real model's greedy tokens from above, and a stop string in the middle of the loop, which begins inside one token and ends inside another. What will the last piece be?

# %%
stream = TextStream(tokenizer.decode, prompt_ids[SUN], stop=["ue. Th"])
pieces = [piece for piece in map(stream.add, row_ids["greedy"]) if piece]
print(pieces)
assert "".join(pieces) == greedy_text[: greedy_text.index("ue. Th")] == " the sky was bl"

# %% [markdown]
# It is the beginning of the token ` blue`, of which the second half belonged to the stop string. `stop` may also hold token ids, which are compared before any text is made. (`generation.stream(model, prompt, Sampling(…))` does all this at once: your prompt into tokens, our loop, `TextStream`. Lesson 00 used it; `generate` joins its pieces.) A chat program stops at `<end_of_turn>` by its id, since letters that spell it, typed or quoted, are other tokens (lesson 01).
#
# The **seed** is no parameter of the odds: it chooses the uniform numbers. The same seed gives the same text. (On the same kind of machine: on another processor a logit may differ in its last bits, and once in a while a draw falls into the gap.) Eight draws after *My favourite colour is*, with the seeds 1 and 2:


# %% tags=["nbval-ignore-output"]
def draws(seed):
    uniform_B = jax.random.uniform(jax.random.key(seed), (8,))
    return [word(token) for token in jax_sampling.draw(np.tile(colour_1V, (8, 1)), uniform_B)]


print(draws(1), draws(2), sep="\n")
assert draws(1) == draws(1) != draws(2)

# %% [markdown]
# ## Is the drawing right?
#
# A sampler that is a little wrong looks random all the same. To find out, draw 5000 times and compare: with $E_v$ expected and $O_v$ drawn, $\chi^2 = \sum_v (O_v - E_v)^2 / E_v$ is about the number of cells less one if the drawing is right, and its standard deviation is the root of twice that. We take the 20 most likely tokens after *My favourite colour is*, so 19, give or take 6.2; 44 would be four deviations off.
#
# Four ways to draw from the top 20. Staircase in NumPy; the package in JAX; draw from all 262,144 and *draw again* until the token is among the 20; draw from all, and take the most likely token where the draw missed. Which of them are right?

# %%
N, k = 5000, 20
top_logits = np.tile(np.log(probs[:k]).astype(np.float32), (N, 1))
expected = N * probs[:k] / probs[:k].sum()
uniform = np.random.default_rng(10).random((8, N))
everywhere = np.searchsorted(np.cumsum(probs), uniform * (1 - 1e-9), side="right")  # ranks, 8 draws each
ways = {
    "staircase": my_draw(top_logits, uniform[0]),
    "package, JAX": np.asarray(jax_sampling.draw(top_logits, uniform[1].astype(np.float32))),
    "draw again": everywhere[everywhere < k][:N],
    "most likely instead": np.where(everywhere[0] < k, everywhere[0], 0),
}
drawn = {name: np.bincount(ranks, minlength=k) for name, ranks in ways.items()}
chi = {name: float(np.sum((counts - expected) ** 2 / expected)) for name, counts in drawn.items()}
bound = (k - 1) + 4 * math.sqrt(2 * (k - 1))
print(f"bound {bound:.1f}")
for name, value in chi.items():
    print(f"{name:20} {'right' if value < bound else 'WRONG'}")
assert [value < bound for value in chi.values()] == [True, True, True, False]
assert chi["most likely instead"] > 1000 and 0.25 < np.mean(everywhere >= k) < 0.35

# %% [markdown]
# Drawing again is right, since among the 20 the proportions are what they were. To put the most likely in place of each miss is not; nearly a third of all draws miss, and all of them become *blue*. Filtering after drawing makes a greedy sampler that looks like a random one:

# %%
fig, ax = plt.subplots()
ax.bar(range(k), expected, color="0.85", width=0.9)
ax.plot(range(k), drawn["package, JAX"], "o", color=COLOURS["gemma"])
ax.plot(range(k), drawn["most likely instead"], "x", color=COLOURS["keys"])
ax.text(1.2, drawn["package, JAX"][0] * 1.2, "the package: on the bars", color=COLOURS["gemma"])
ax.text(0.5, drawn["most likely instead"][0], "filtered after the draw", color=COLOURS["keys"], va="center")
ax.set_xticks(range(k), map(word, ids[:k]), rotation=90)
ax.set(ylabel="times drawn, of 5000")
ax.set_title("Filter, then draw: not the other way round")
show(
    fig,
    "Expected and drawn counts of the 20 most likely tokens in 5000 draws. The package's draws lie on the bars, about "
    "800 for blue down to about 40. Filtered after the draw, blue comes more than 2000 times and all others too rarely.",
)
assert drawn["most likely instead"][0] > 2000 > 2 * drawn["package, JAX"][0]

# %% [markdown]
# ## Break it on purpose
#
# **Stop at `<eos>` only.** A chat model ends its turn with `<end_of_turn>` and writes `<eos>` rarely or never. A program that knows only the second goes on, and since control tokens are not shown, what the user sees is the word *user*. Two answers cut from the same tokens, as an instruction-tuned model would write them:

# %%
control = tokenizer.control
assert tokenizer.end_tokens == {control["<eos>"], control["<end_of_turn>"]} == {1, 106}
answer = [*tokenizer.encode("Paris."), control["<end_of_turn>"], *tokenizer.encode("\n")]
answer += [control["<start_of_turn>"], *tokenizer.encode("user\nAnd of Italy?"), 106, 1]
cut = {stop: answer[: answer.index(stop)] for stop in (1, 106)}
for stop, tokens in cut.items():
    print(f"cut at {stop:3}: {tokenizer.decode(tokens)!r}")
assert tokenizer.decode(cut[106]) == "Paris." and "user" in tokenizer.decode(cut[1])

# %% [markdown]
# It is one of the commonest bugs of Gemma ports: [Keras #1518](https://github.com/keras-team/keras-hub/issues/1518), [tunix #842](https://github.com/google/tunix/issues/842), where the answers of a reinforcement-learning run went on like that. Google's own `gemma_pytorch` still cuts at `eos_id` alone (`generate` at 014acb7). In Gemma 1 the id is 107, in Gemma 3 it is 106.
#
# **Top-p without sorting.** With the cumulative sum taken in the order of ids, a token is kept because its *id* is small. On odds that come sorted, as in a test written by hand, the bug is invisible; exercise 1 shuffles them.
#
# **The token that crosses, dropped.** Keep while the sum *including* the token is below $p$: [reasoning-from-scratch #164](https://github.com/rasbt/reasoning-from-scratch/issues/164) and [fish-speech #1171](https://github.com/fishaudio/fish-speech/pull/1171) are two of many. How much probability does a nucleus for .9 then have, on our paragraph?

# %%
right_T, wrong_T = (
    np.sum(probs_TV * stays, axis=-1) for stays in (above_TV < 0.9, above_TV + probs_TV <= 0.9)
)
print(f"right: {right_T.min():.2f} to {right_T.max():.2f}")
print(f"crossing token dropped: {wrong_T.min():.2f} to {wrong_T.max():.2f}")
assert right_T.min() > 0.8999 and wrong_T.min() == 0 and wrong_T.max() < 0.9001

# %% [markdown]
# It has no lower limit. Where one token has more than .9, the wrong nucleus is *empty*, and that is where the model is surest.
#
# **The prompt counts.** The definition says *generated*. If the prompt is counted as well, the model is punished for using the user's words. Our fourth prompt says *The sky is blue. I repeat: the sky is*. How likely is *blue* now, and what remains with a presence penalty of 2 that counts the prompt?

# %%
blue = tokenizer.encode(" blue")[0]
in_prompt = np.bincount(prompt_ids[REPEAT], minlength=config.vocab_size)[None]
honest = softmax(next_BV[REPEAT][None])[0, blue]
wrong = softmax(numpy_sampling.penalise(next_BV[REPEAT][None], in_prompt, 0.0, 2.0))[0, blue]
print(f"blue: {honest:.3f} as defined, {wrong:.3f} with the prompt counted")
assert honest > 0.9 and 0.6 < wrong < 0.7

# %% [markdown]
# Asked to repeat, it now refuses one time in three where it was one in thirteen. TensorRT-LLM counted the prompt ([#5623](https://github.com/NVIDIA/TensorRT-LLM/pull/5623)), and so did a port for Apple's machines ([vmlx-swift #295](https://github.com/osaurus-ai/vmlx-swift/issues/295)). For `repetition_penalty`, to count it is the definition.
#
# **Two things that we have not built.** Beam search keeps several unfinished texts and goes on with the likeliest as wholes; the 2017 Transformer translated with 4 beams (Vaswani et al. 2017, section 6.1), and in open-ended text it ends, as greedy choice does, in bland or repetitive text (Holtzman et al. 2020, abstract). Speculative decoding lets a small model propose several tokens, which the large one checks in a single pass; accepted and redrawn by the right rule, they have *exactly* the large model's odds, so it is a matter of speed and not of sampling (Leviathan et al. 2023).
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it. A wrong answer is compared with mistakes that others have made.
#
# ### 1 · Who is in the nucleus?
#
# *Difficulty 2 of 5, 8 minutes.* Write `in_nucleus(probs_V, p)`: an array of True and False, one for each token *in the order of the ids*, that says who stays. Where the tokens above have exactly `p`, nobody else stays. Equal probabilities do not occur where it would matter. First example: `in_nucleus(np.array([0.1, 0.5, 0.25, 0.15]), 0.6)` gives `[False, True, True, False]`.
#
# ```python
# def in_nucleus(probs_V, p):
#     order = ...
#     mass_above = ...
#     is_in = np.zeros(len(probs_V), bool)
#     ...
#     return is_in
# ```
#
# <details><summary>Hint 1</summary>"One rule for both filters" says when a token stays: by what stands above it.</details>
# <details><summary>Hint 2</summary>Sort, take the cumulative sum, and subtract each token's own probability. That is the mass above each, in sorted order. Then bring the answers back to the places of the ids.</details>
# <details><summary>Hint 3</summary><code>order = np.argsort(-probs_V)</code> and <code>mass_above = np.cumsum(probs_V[order]) - probs_V[order]</code>; the last line fills <code>is_in[order]</code>.</details>


# %% tags=["solution", "hide-input"]
def in_nucleus(probs_V, p):
    ### BEGIN SOLUTION
    order = np.argsort(-probs_V)
    mass_above = np.cumsum(probs_V[order]) - probs_V[order]
    is_in = np.zeros(len(probs_V), bool)
    is_in[order] = mass_above < p
    return is_in
    ### END SOLUTION


# %% [markdown]
# The check shuffles the tokens, meets the boundary exactly, and tries a very small p.

# %%
check("in_nucleus", in_nucleus)

# %% [markdown]
# ### 2 · Penalise what was said
#
# *Difficulty 2 of 5, 8 minutes.* Write `penalised(logits_V, prompt, generated, frequency_penalty, presence_penalty)`, which gives the new logits; `prompt` and `generated` are lists of token ids, and a token may stand in both. First example: `penalised(np.zeros(4), [3], [0, 0, 1], 0.5, 1.0)` gives `[-2.0, -1.5, 0.0, 0.0]`.
#
# ```python
# def penalised(logits_V, prompt, generated, frequency_penalty, presence_penalty):
#     counts_V = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The formula stands in "Four rules with a pencil"; the last section before the exercises says what counts.</details>
# <details><summary>Hint 2</summary>First an array of counts, one per token of the vocabulary. Beware of <code>x[ids] -= 1</code>: NumPy subtracts once for an id that stands there twice.</details>
# <details><summary>Hint 3</summary><code>np.bincount(generated, minlength=len(logits_V))</code> counts; presence is <code>counts_V &gt; 0</code>.</details>


# %% tags=["solution", "hide-input"]
def penalised(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    ### BEGIN SOLUTION
    counts_V = np.bincount(generated, minlength=len(logits_V))
    return logits_V - counts_V * frequency_penalty - (counts_V > 0) * presence_penalty
    ### END SOLUTION


# %% [markdown]
# The check has tokens in the prompt, tokens said twice, nothing said yet, and a negative penalty.

# %%
check("penalised", penalised)

# %% [markdown]
# ### 3 · Draw with an argmax
#
# *Difficulty 3 of 5, 8 minutes.* `jax.random.categorical` walks no staircase. It adds noise to each logit and takes the largest: with $u_v$ uniform for each token, $\arg\max_v \big( l_v - \ln(-\ln u_v) \big)$ has exactly the odds of softmax (the noise is called Gumbel's). Write `gumbel_draw(logits_V, uniform_V)`, which returns the token's id. First example: `gumbel_draw(np.array([0.0, 1.0]), np.array([0.9, 0.5]))` gives 0, since 0 + 2.25 is more than 1 + 0.37.
#
# ```python
# def gumbel_draw(logits_V, uniform_V):
#     noise_V = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>It is the formula. Both logarithms are natural, and each is of something below 1 or positive: count the minus signs.</details>
# <details><summary>Hint 2</summary>A large u must help its token. Does it, with your signs?</details>
# <details><summary>Hint 3</summary><code>noise_V = -np.log(-np.log(uniform_V))</code>; then the position of the largest sum.</details>


# %% tags=["solution", "hide-input"]
def gumbel_draw(logits_V, uniform_V):
    ### BEGIN SOLUTION
    noise_V = -np.log(-np.log(uniform_V))
    return int(np.argmax(logits_V + noise_V))
    ### END SOLUTION


# %% [markdown]
# The check tries many draws, with filtered tokens among them.

# %%
check("gumbel_draw", gumbel_draw)

# %% [markdown]
# ### 4 · How much to hold back
#
# *Difficulty 3 of 5, 10 minutes.* The text so far holds no complete stop string. How many characters at its end may *not* be shown yet, because they could be the beginning of one? Write `held_back(text, stops)`. First examples: `held_back("See\nUs", ["\nUser:"])` gives 3, and `held_back("See\nUs ", ["\nUser:"])` gives 0.
#
# ```python
# def held_back(text, stops):
#     most = 0
#     for stop in stops:
#         for length in ...:
#             ...
#     return most
# ```
#
# <details><summary>Hint 1</summary>"Where a text ends" says it in one sentence, below the steps of TextStream.</details>
# <details><summary>Hint 2</summary>For each stop string and each length shorter than it: do the last so many characters of the text equal the first so many of the stop string? Take the longest over all.</details>
# <details><summary>Hint 3</summary>For <code>length in range(1, len(stop))</code>: if <code>text.endswith(stop[:length])</code>, then <code>most = max(most, length)</code>.</details>


# %% tags=["solution", "hide-input"]
def held_back(text, stops):
    ### BEGIN SOLUTION
    most = 0
    for stop in stops:
        for length in range(1, len(stop)):
            if text.endswith(stop[:length]):
                most = max(most, length)
    return most
    ### END SOLUTION


# %% [markdown]
# The check has strings that repeat within themselves, several stop strings, and a text shorter than the stop string.

# %%
check("held_back", held_back)

# %% [markdown]
# ### 5 · The temperature you want
#
# *Difficulty 4 of 5, 12 minutes.* Somebody wants the most likely token to have the probability `wanted`, between 1/V and 1. Write `temperature_for(logits_V, wanted)`, by halving an interval, as `lowest_kept` does. The largest logit occurs once. First example: `temperature_for(np.log(np.array([0.4, 0.3, 0.2, 0.1])), 0.16 / 0.30)` gives 0.5.
#
# ```python
# def temperature_for(logits_V, wanted):
#     low, high = 1e-3, 1e3
#     for _ in range(100):
#         middle = math.sqrt(low * high)
#         ...
#     return middle
# ```
#
# <details><summary>Hint 1</summary>"From T = 0 to T = ∞": the hotter, the flatter. So the probability of the top token falls as T rises.</details>
# <details><summary>Hint 2</summary>If at the middle the top token has more than wanted, it is too cold there, and the answer is higher.</details>
# <details><summary>Hint 3</summary>The top token's probability is <code>1 / np.sum(np.exp((logits_V - logits_V.max()) / middle))</code>; where it exceeds wanted, <code>low = middle</code>.</details>


# %% tags=["solution", "hide-input"]
def temperature_for(logits_V, wanted):
    ### BEGIN SOLUTION
    low, high = 1e-3, 1e3
    for _ in range(100):
        middle = math.sqrt(low * high)
        top = 1 / np.sum(np.exp((logits_V - logits_V.max()) / middle))
        low, high = (middle, high) if top > wanted else (low, middle)
    return middle
    ### END SOLUTION


# %% [markdown]
# The check asks for sharp and for flat ones, with large logits and small.

# %%
check("temperature_for", temperature_for)

# %% [markdown]
# ## What breaks if…
#
# Decide, then open the answer.
#
# **1.** A service sets temperature 1.5 and top-p 0.9 "for creative but safe texts". After *My favourite colour is*, will its nucleus be larger or smaller than at temperature 1, and by how much? Which of the seven parameters would you add?
#
# <details><summary>Answer</summary>Larger, by a factor of more than twenty: about 140 tokens at temperature 1, several thousand at 1.5, because top-p looks at the odds that temperature has flattened. Top-k: at most 64 stay, at any temperature. (In a program that takes temperature last, nothing would change; that is why one must know the order.)</details>
#
# **2.** A colleague computes the log-softmax first and applies frequency penalty, temperature, top-k and top-p to it, in this order. Which of the four gives another result than on the logits? And a repetition penalty?
#
# <details><summary>Answer</summary>None of the four. Log-probabilities are logits less a constant; a penalty subtracts, so the constant stays one, temperature divides it, and the filters look at order and odds. The repetition penalty does change: log-probabilities are never positive, so every seen token is multiplied, while the top logits of this model are around 20 and would be divided.</details>
#
# **3.** You generate greedily with presence penalty 2. Can a text still repeat a phrase for ever? And with frequency penalty 0.1?
#
# <details><summary>Answer</summary>With presence it can: once every token of a phrase has been used, each has lost 2, and no round takes more. Our text with presence 1 left one loop, and was caught in the next. With a frequency penalty, however small, every round takes another 0.1 from each token of the loop, so at last something else wins; only it takes long, and ordinary words have paid by then too.</details>
#
# ## To take home
#
# A draw is one uniform number on a staircase of odds, and all parameters only bend the odds before it: penalties, temperature, top-k, top-p, in an order that you have to know, because temperature moves the nucleus.
#
# The likeliest text is a loop, with a perplexity below 2 where people's has 8.28, and the tail below 50 tokens turns up in four draws of a hundred: that is why one draws, and why one cuts before drawing.
#
# A text ends at the tokens that your program knows, so give it `<end_of_turn>` as well as `<eos>`; and what may become a stop string, or is a part of a character, is held back until the next token decides.
#
# **Next.** Lesson 11 opens the file of weights and looks inside while the model decides. To read: Holtzman et al. 2020, *The Curious Case of Neural Text Degeneration* (arXiv:1904.09751), sections 3 and 4; Leviathan et al. 2023 (arXiv:2211.17192) on speculative decoding; in the package, `gemma_edu/jax_model/decoding.py`, the loop that `generate` runs.
