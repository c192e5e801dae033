# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/05_multi_query_attention.ipynb)
#
# # 05 · Multi-query attention
#
# A chip with 16 GB of memory holds Gemma 2B and 78 conversations of 8192 tokens each. Give each of its eight query heads keys and values of its own, as Llama 2 does, and the same chip holds 9. Somewhere inside stands a division by 16; forget it, and the perplexity of a real Gemma on our test paragraph goes from 8.28 to 159. This lesson computes all four numbers.
#
# Attention is how a token reads from other tokens: it compares its *query* with their *keys* and takes a weighted mean of their *values*. Llama 2 7B, OLMo 7B, GPT-2 and the 2017 Transformer have as many heads of keys and values as of queries (*multi-head*), and so has Gemma 7B; Gemma 2B has one head of keys and values for all its queries (*multi-query*).
#
# *60 minutes, and 50 for the exercises; difficulty 3 of 5. You need NumPy and matrix products. Lesson 04 explains the rotation (RoPE) that queries and keys get on their way; here we import it.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The last line asks JAX for full float32 products: left to itself, a TPU rounds both factors to 8 significant bits first, and our comparisons would fail for a reason that is not attention's.

# %%
import functools
import inspect
import math
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, figures, params, presets
from gemma_edu.checks import check
from gemma_edu.jax_model import attention as jax_attention
from gemma_edu.jax_model import masks as jax_masks
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.jax_model.loss import perplexity
from gemma_edu.numpy_model import attention as numpy_attention
from gemma_edu.numpy_model import masks as numpy_masks
from gemma_edu.numpy_model.positions import rope

figures.apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## One query asks three keys
#
# The letters are the course's: T queries, S keys, each of H numbers. One query $q$ meets S keys $k_s$ with values $v_s$ (Vaswani et al. 2017, section 3.2.1, equation 1):
#
# $$\text{scores}_s = \frac{q \cdot k_s}{\sqrt{H}} \qquad \text{probs}_s = \frac{e^{\text{scores}_s}}{\sum_{s'} e^{\text{scores}_{s'}}} \qquad \text{context} = \sum_s \text{probs}_s \, v_s$$
#
# Take H = 2 and leave the √H out for now, so that a pencil suffices. The query (2, 1) asks three keys. Its dot products with them are 2, 1 and 0. Then $e^2 = 7.39$, $e^1 = 2.72$, $e^0 = 1$, together 11.11; the three weights are 0.665, 0.245 and 0.090. Work out the weighted mean of the three values before you run the cell.

# %%
q_H = np.array([2.0, 1.0])
k_SH = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -2.0]])
v_SH = np.array([[10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
scores_S = k_SH @ q_H
probs_S = np.exp(scores_S) / np.exp(scores_S).sum()
print("scores", scores_S, " probs", probs_S.round(3), " context", (probs_S @ v_SH).round(2))
np.testing.assert_allclose(probs_S @ v_SH, [7.55, 3.35], atol=0.01)

# %% [markdown]
# Nothing is chosen here: every key gets some weight, and the result is a blend. The step from scores to weights is the *softmax*. It depends only on differences of scores: add 100 to all three, and numerator and denominator both grow by $e^{100}$. On paper, that is. What does float32 make of it?

# %%
large_S = (scores_S + 100).astype(np.float32)
with np.errstate(all="ignore"):
    naive_S = np.exp(large_S) / np.exp(large_S).sum()
print(f"exp(88) = {np.exp(np.float32(88)):.3g} still fits; probs", naive_S)
assert np.isnan(naive_S).all()

# %% [markdown]
# $e^{89}$ is more than float32 can hold, so the quotient is ∞/∞. The cure uses the same property: subtract the largest score first. The largest exponent is then 0, and nothing overflows.


# %%
def my_softmax(scores, axis=-1):
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


np.testing.assert_allclose(my_softmax(large_S), probs_S, rtol=1e-6)

# %% [markdown]
# ## Why √H
#
# Let every number in q and k be random with mean 0 and variance 1. Each of the H products then has variance 1, and their sum has variance H (the paper's own argument, section 3.2.1, footnote 4). In Gemma, H is 256. We draw 5000 pairs for each size:

# %%
random = np.random.default_rng(0)
for H in (4, 16, 64, 256):
    q, k = random.standard_normal((2, 5000, H), np.float32)
    products = (q * k).sum(axis=1)
    print(f"H {H:3}: variance of q·k {products.var():6.1f}, of q·k/√H {(products / math.sqrt(H)).var():.2f}")
    np.testing.assert_allclose(products.var(), H, rtol=0.1)

# %% [markdown]
# So at H = 256 the scores have a standard deviation of 16, and a softmax of such scores gives nearly all to one key. The next cell asks 16 random keys and records the weight of the winner, averaged over 500 queries. An even split would give each key 1/16 = 0.06.

# %%
sizes = np.array([2, 4, 8, 16, 32, 64, 128, 256])
winners = {"divided by √H": [], "not divided": []}
for H in sizes:
    q, k = random.standard_normal((500, H), np.float32), random.standard_normal((500, 16, H), np.float32)
    scores = np.einsum("TH,TSH->TS", q, k)
    winners["divided by √H"].append(my_softmax(scores / math.sqrt(H)).max(axis=1).mean())
    winners["not divided"].append(my_softmax(scores).max(axis=1).mean())

# %% [markdown]
# Before you draw them: where do the two curves end, at H = 256, and is one of them flat?

# %%
fig, ax = plt.subplots()
for (name, heights), style in zip(winners.items(), ("o-", "s--"), strict=True):
    ax.plot(sizes, heights, style, color=figures.COLOURS["keys"])
    ax.text(32, heights[4] + 0.04, name, ha="right", color=figures.COLOURS["keys"])
ax.set(xscale="log", ylim=(0, 1), xlabel="head size H (logarithmic)", ylabel="weight of the best of 16 keys")
ax.set_xticks(sizes, labels=sizes)
ax.set_title("Without 1/√H, large heads see one key only")
figures.show(
    fig,
    f"Mean weight of the best of 16 random keys against head size: not divided it climbs from "
    f"{winners['not divided'][0]:.2f} at H = 2 to {winners['not divided'][-1]:.2f} at 256; divided by √H it "
    f"stays near {winners['divided by √H'][-1]:.2f}.",
)
assert winners["not divided"][-1] > 0.85 and max(winners["divided by √H"]) < 0.35

# %% [markdown]
# The lower curve is almost flat: with the division, the size of a head no longer decides how sharply it looks. The upper one is bad for a second reason. The slope of a softmax weight p in its own score is p (1 − p). Where p is nearly 0 or 1 the slope is nearly 0, and training cannot move it.
#
# Gemma's factor is special. 256**-0.5 is 1/16, a power of two, and multiplying a float by a power of two only changes its exponent. DeepMind's code scales the queries, Hugging Face's the scores, and both round alike. With Llama's H = 128 they would not:

# %%
for H in (256, 128):
    q, k = random.standard_normal((50, H), np.float32), random.standard_normal((70, H), np.float32)
    factor = np.float32(H**-0.5)
    identical = np.array_equal((q * factor) @ k.T, (q @ k.T) * factor)
    print(f"H {H}: factor {factor:.6f}, queries scaled == scores scaled, bit for bit: {identical}")
    assert identical == (H == 256)

# %% [markdown]
# ## Who may look at whom
#
# A model that predicts the next token must not see it. So query t may look at key s only if s ≤ t: the mask is *causal*. Most layers of Gemma 3 are also short-sighted: a *window* of W lets query t see W tokens, itself among them. In loops, for T tokens in a row:


# %%
def mask_in_loops(T, window):
    mask_TS = np.zeros((T, T), bool)
    for t in range(T):
        for s in range(T):
            mask_TS[t, s] = s <= t and t - s < window
    return mask_TS


print(mask_in_loops(5, window=2).astype(int))

# %% [markdown]
# Row t has at most W ones, and the last of them stands on the diagonal. `np.tri` makes a triangle of ones, so the same mask is one triangle without another:


# %%
def my_mask(T, window=None):
    causal_TS = np.tri(T, dtype=bool)
    return causal_TS if window is None else causal_TS & ~np.tri(T, k=-window, dtype=bool)


for window in (1, 2, 5, 9):
    np.testing.assert_array_equal(my_mask(7, window), mask_in_loops(7, window))

# %% [markdown]
# The package starts from positions instead, because keys in a cache stand in any order, and because position −1 marks padding, which nobody sees. The NumPy and the JAX version are the same three lines.

# %%
figures.show_source(numpy_masks.attention_mask)

# %% [markdown]
# The contract, for both:

# %% tags=["contract"]
positions_1T = np.arange(7)[None]
for window in (None, 1, 3, 20):
    by_numpy = numpy_masks.attention_mask(positions_1T, positions_1T, window)
    by_jax = jax_masks.attention_mask(jnp.asarray(positions_1T), jnp.asarray(positions_1T), window)
    np.testing.assert_array_equal(by_numpy[0], my_mask(7, window))
    np.testing.assert_array_equal(by_jax[0], my_mask(7, window))

# %% [markdown]
# Now a picture. How many cells will each row have in the right half, and which row is the first to lose a key?


# %%
def draw_masks(window):
    fig, axes = plt.subplots(1, 2)
    masks = {"causal": my_mask(12), f"causal, W = {window}": my_mask(12, window)}
    for ax, (name, mask_TS) in zip(axes, masks.items(), strict=True):
        for t, s in np.argwhere(mask_TS):
            ax.add_patch(plt.Rectangle((s - 0.45, t - 0.45), 0.9, 0.9, color=figures.COLOURS["keys"]))
        ax.set(xlim=(-0.6, 11.6), ylim=(11.6, -0.6), aspect="equal", xlabel="key position s", title=name)
        ax.set(xticks=range(0, 12, 2), yticks=range(0, 12, 2), ylabel="query position t")
    title = f"Through a window of {window}, each query sees {window} tokens at most"
    fig.suptitle(title, x=0.02, ha="left", weight="bold", fontsize=11)
    return fig


figures.show(
    draw_masks(4),
    "Two masks for 12 tokens, keys across and queries down. Left, causal: a full lower triangle, 78 cells. "
    "Right, window 4: a band of at most 4 cells per row that ends on the diagonal, 42 cells.",
)
assert my_mask(12).sum() == 78 and my_mask(12, 4).sum() == 42

# %% [markdown]
# Query 4 is the first that loses a key: position 0 is four steps back, and with the query itself that would be the fifth token. In a running notebook the next cell lets you move W; here it is not run.

# %% tags=["nbval-skip"]
from ipywidgets import interact


@interact(window=(1, 12))
def drag(window=4):
    figures.show(draw_masks(window), "The two masks, with a window of your choice.")


# %% [markdown]
# Gemma 3 270M has W = 512 in five layers of six:

# %%
windows = [presets.GEMMA3_270M.window(layer) for layer in range(presets.GEMMA3_270M.num_layers)]
print(windows[:7])
assert windows.count(512) == 15 and [layer for layer, w in enumerate(windows) if w is None] == [5, 11, 17]

# %% [markdown]
# Five short looks and a long one. What a local layer cannot reach directly arrives in steps: each layer carries information up to 511 tokens further.
#
# One thing is left: what number stands for "may not see"? The weight should be 0, and $e^{-\infty} = 0$, so −∞ offers itself. But a query at a padded place sees nothing at all, not even itself. Which of these two rows survives?

# %%
masked_score = np.float32(-0.7 * np.finfo(np.float32).max)
assert masked_score == np.float32(numpy_attention.MASKED_SCORE) == np.float32(jax_attention.MASKED_SCORE)
with np.errstate(invalid="ignore"):
    for hidden in (np.float32(-np.inf), masked_score):
        print(f"{hidden:.3g}: one of three hidden", my_softmax(np.array([2, 1, hidden])).round(3), end="")
        print("; all hidden", my_softmax(np.array([hidden, hidden, hidden])).round(3))

# %% [markdown]
# With −∞ the maximum is −∞ too, and −∞ − (−∞) is not a number. Nobody reads the padded row, so does it matter? It does one layer later. There the NaN sits in a *value* that everyone gives the weight 0, and in a sum of products that is not nothing:

# %%
probs_S, values_S = np.array([1.0, 0.0]), np.array([5.0, np.nan])
print("1 · 5 + 0 · NaN =", probs_S @ values_S)
assert np.isnan(probs_S @ values_S)

# %% [markdown]
# One padded token would turn the whole row into NaN. So DeepMind's code writes −2.38·10³⁸ (`K_MASK`), which is 0.7 of the most negative float32, and we do too: next to any real score its exponential is exactly 0, and a row without anything to see becomes a harmless average.
#
# ## Eight queries at once, and how many keys?
#
# A layer asks N questions at a time, one for each *head*. In multi-head attention each comes with keys and values of its own. Shazeer (2019) asked whether they could share: one head of keys and values, N of queries. That is *multi-query attention*. Ainslie et al. (2023) put *grouped-query attention* in between: K heads of keys and values, each shared by G = N / K neighbouring query heads. Before you look at the picture: with N = 8 and K = 2, which heads share with head 3?

# %%
fig, axes = plt.subplots(3, 1)
for ax, (name, K) in zip(axes, {"multi-head": 8, "grouped-query": 2, "multi-query": 1}.items(), strict=True):
    for n in range(8):
        kv_x = (n // (8 // K) + 0.5) * 8 / K - 0.5
        ax.plot([n, kv_x], [1, 0], color="0.6", linewidth=0.9, zorder=0)
        ax.plot(n, 1, "o", color=figures.COLOURS["queries"], markersize=11)
        ax.plot(kv_x, 0, "s", color=figures.COLOURS["keys"], markersize=11)
    ax.text(-3.6, 0.5, f"{name}\nK = {K}, G = {8 // K}", va="center")
    ax.set(xlim=(-3.7, 9.6), ylim=(-0.4, 1.4))
    ax.axis("off")
axes[0].text(7.5, 1, "query heads", va="center", color=figures.COLOURS["queries"])
axes[0].text(7.5, 0, "key/value heads", va="center", color=figures.COLOURS["keys"])
fig.suptitle("Fewer heads to keep, as many to ask", x=0.02, ha="left", fontsize=11, weight="bold")
figures.show(
    fig,
    "Eight query heads above their key/value heads. Multi-head: 8 pairs, K = 8, G = 1. Grouped-query: two "
    "groups of 4, K = 2. Multi-query: all eight share one, K = 1, G = 8.",
)
assert all((n // (8 // 2)) == (0 if n < 4 else 1) for n in range(8))

# %% [markdown]
# Heads 0 to 3 share the first head of keys, 4 to 7 the second: query head n reads key/value head n // G. In loops, that index is all in which the three kinds differ. A hidden key is left out.


# %%
def attend_in_loops(q_TNH, k_SKH, v_SKH, mask_TS):
    T, N, H = q_TNH.shape
    G = N // k_SKH.shape[1]
    context_TNH = np.zeros_like(q_TNH)
    for t, n in np.ndindex(T, N):
        seen = mask_TS[t]
        scores_S = k_SKH[seen, n // G] @ q_TNH[t, n] / math.sqrt(H)
        context_TNH[t, n] = my_softmax(scores_S) @ v_SKH[seen, n // G]
    return context_TNH


# %% [markdown]
# With arrays, we give q the axes K and G in place of N. In the einsum, K is a letter of both factors, so each group meets its own keys; G is a letter of q alone, so all of a group meet the same. No key is ever copied.


# %%
def my_attend(q_TNH, k_SKH, v_SKH, mask_TS, softmax=my_softmax):
    (T, N, H), K = q_TNH.shape, k_SKH.shape[1]
    q_TKGH = q_TNH.reshape(T, K, N // K, H)
    scores_KGTS = np.einsum("TKGH,SKH->KGTS", q_TKGH, k_SKH) / np.float32(math.sqrt(H))
    probs_KGTS = softmax(np.where(mask_TS, scores_KGTS, masked_score))
    return np.einsum("KGTS,SKH->TKGH", probs_KGTS, v_SKH).reshape(T, N, H)


# %% [markdown]
# Here is the package's version. It has a batch axis B as well, and it scales the queries:

# %%
figures.show_source(numpy_attention.attend)

# %% [markdown]
# The contract, for K = 8, 2 and 1: the loops, the einsum and the package agree. All axes have different lengths, since with T = N a swapped axis would pass unseen. The mask is what a cache gives: 7 keys, and the 5 queries stand at positions 2 to 6.


# %% tags=["contract"]
def normal(*shape):
    return random.standard_normal(shape, np.float32)


mask_TS = my_mask(7)[2:]
for K in (8, 2, 1):
    q, k, v = normal(5, 8, 12), normal(7, K, 12), normal(7, K, 12)
    package = numpy_attention.attend(q[None], k[None], v[None], mask_TS[None])[0]
    np.testing.assert_allclose(my_attend(q, k, v, mask_TS), package, atol=1e-5)
    np.testing.assert_allclose(attend_in_loops(q, k, v, mask_TS), package, atol=1e-5)
print("K = 8, 2, 1: loops == einsum == package, within 1e-5")

# %% [markdown]
# `attend` is the heart of the sublayer. Around it stand four weight matrices: `w_q` (D N H) makes N queries of a token's D numbers, `w_k` and `w_v` (D K H) make K keys and values, and `w_o` (N H D) adds up what the heads found. Head by head:


# %%
def my_attention(weights, x_TD, theta):
    positions_1T, y_TD = np.arange(len(x_TD))[None], np.zeros_like(x_TD)
    G = weights.w_q.shape[1] // weights.w_k.shape[1]
    for n in range(weights.w_q.shape[1]):
        q_TH, k_TH = (x_TD @ w for w in (weights.w_q[:, n], weights.w_k[:, n // G]))
        q_T1H, k_T1H = (rope(x[None, :, None], positions_1T, theta)[0] for x in (q_TH, k_TH))
        v_T1H = (x_TD @ weights.w_v[:, n // G])[:, None]
        y_TD += attend_in_loops(q_T1H, k_T1H, v_T1H, my_mask(len(x_TD)))[:, 0] @ weights.w_o[n]
    return y_TD


# %% [markdown]
# We run it with tiny configs of four models, whose only difference, in this sublayer, is `num_kv_heads`.


# %% tags=["contract"]
def noisy(config, seed=0):
    """Random weights for a config: every leaf of the tree filled with noise."""
    random = np.random.default_rng(seed)
    return params.build(config, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))


jax_sublayer = jax.jit(jax_attention.attention, static_argnames=("theta", "config"))
for config in (presets.TINY_GEMMA_2B, presets.TINY_GROUPED, presets.TINY_GEMMA_7B, presets.TINY_LLAMA2_7B):
    weights, x_TD, theta = noisy(config).blocks[0].attention, normal(7, config.embed_dim), config.rope_theta
    mine = my_attention(weights, x_TD, theta)
    given = weights, x_TD[None], np.arange(7)[None], my_mask(7)[None]
    by_numpy = numpy_attention.attention(*given, theta=theta, config=config)
    np.testing.assert_allclose(mine, by_numpy[0], atol=1e-4)
    np.testing.assert_allclose(mine, jax_sublayer(*given, theta=theta, config=config)[0], atol=1e-4)
    print(f"{config.name:26} K = {config.num_kv_heads}, G = {config.heads_per_kv_head}")

# %% [markdown]
# ## The same in JAX, and a third opinion
#
# Write `np` for `jnp`, and the JAX function has the same body but for these lines:

# %%
ours, theirs = (inspect.getsource(module.attend) for module in (jax_attention, numpy_attention))
body = ours.replace("jnp.", "np.").split('"""')[2].splitlines()
differing = [line.strip() for line in body if line not in theirs]
print("\n".join(differing))
assert sum("preferred_element_type=np.float32" in line for line in differing) == 2

# %% [markdown]
# `preferred_element_type` is the one with a meaning. With weights in bfloat16, as published, the scores would be rounded to 8 significant bits; this asks for scores in float32, and so the softmax runs in float32 too. The second product is summed in float32 as well, and rounded once. NumPy's `.astype` converts only afterwards, which is the same where everything is float32 anyway.
#
# JAX has an attention of its own, with the same letters, and it shares heads as we do. What does it divide by, if one does not say? We compare it with an explicit 1/√H, and all with mine.


# %% tags=["contract"]
@jax.jit
def three_in_jax(q, k, v, mask):
    package = jax_attention.attend(q, k, v, mask)
    default = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None])
    explicit = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None], scale=q.shape[-1] ** -0.5)
    return package, default, explicit


for K in (8, 2, 1):
    q, k, v = normal(5, 8, 12), normal(7, K, 12), normal(7, K, 12)
    for by_jax in three_in_jax(q[None], k[None], v[None], mask_TS[None]):
        np.testing.assert_allclose(by_jax[0], my_attend(q, k, v, mask_TS), atol=1e-5)
print("my einsum == package's JAX == jax.nn.dot_product_attention, whose default scale is 1/√H")

# %% [markdown]
# ## Two bugs that Gemma 2B cannot find
#
# In `my_attend`, N is split into K, then G. Suppose that someone writes G first. Then head n reads key/value head n % K instead of n // G. For which K is the result wrong? Answer for 8, 4, 2 and 1 before you run.


# %%
def attend_g_first(q_TNH, k_SKH, v_SKH, mask_TS):
    (T, N, H), K = q_TNH.shape, k_SKH.shape[1]
    scores = np.einsum("TGKH,SKH->GKTS", q_TNH.reshape(T, N // K, K, H), k_SKH) / math.sqrt(H)
    probs = my_softmax(np.where(mask_TS, scores, masked_score))
    return np.einsum("GKTS,SKH->TGKH", probs, v_SKH).reshape(T, N, H)


for K in (8, 4, 2, 1):
    q, k, v = normal(5, 8, 12), normal(7, K, 12), normal(7, K, 12)
    right = my_attend(q, k, v, mask_TS)
    wrong_heads = np.abs(attend_g_first(q, k, v, mask_TS) - right).max(axis=(0, 2)) > 1e-4
    print(f"K = {K}: {wrong_heads.sum()} of 8 heads wrong")
    assert wrong_heads.any() == (K in (2, 4))

# %% [markdown]
# With K = 1 there is one head to read, and with K = N there is one query head to each; the order of the axes makes no difference. Gemma 2B is the first case and Gemma 7B the second, so no test on either finds this bug. Something in between came with Gemma 2, two query heads to each key/value head, and with Gemma 3 from 4B up (`google-deepmind/gemma` at 7691fd4, `gm/nn/_gemma.py`). The course keeps a tiny model with K = 2 for that reason.
#
# The second bug needs no reshape. `@` multiplies the last two axes and *broadcasts* the others. Queries T N H times keys K H S: the first axes are T and K. They have nothing to do with each other, so this ought to fail.


# %%
def matmul_scores(q_TNH, k_SKH):
    return q_TNH @ np.moveaxis(k_SKH, 0, -1)  # T N H times K H S gives T N S


def loop_scores(q_TNH, k_SKH):
    heads = np.arange(q_TNH.shape[1]) * k_SKH.shape[1] // q_TNH.shape[1]  # n // G
    return np.stack([k_SKH[:, kv] @ q_TNH[:, n].T for n, kv in enumerate(heads)]).transpose(2, 0, 1)


# %% [markdown]
# With 5 queries, and with K = 1, 2 and 5:

# %%
outcomes = {}
for K, N in ((1, 10), (2, 10), (5, 10)):
    q, k = normal(5, N, 12), normal(7, K, 12)
    try:
        outcomes[K] = "right" if np.allclose(matmul_scores(q, k), loop_scores(q, k), atol=1e-4) else "WRONG"
    except ValueError:
        outcomes[K] = "an error"
print(outcomes)
q, k = normal(5, 10, 12), normal(7, 1, 12)
np.testing.assert_allclose(np.einsum("TNH,SNH->TNS", q, k), loop_scores(q, k), atol=1e-4)
assert outcomes == {1: "right", 2: "an error", 5: "WRONG"}

# %% [markdown]
# For K = 1 the axis of length 1 stretches to any T, and the scores are right by luck. For K = 2 it is an error, as it should be. And where T happens to be K, token t meets key head t, with no word of warning. An einsum string cannot do that: the letters T and K differ, whatever their lengths. It does stretch an axis of length 1: the last lines of the cell apply an einsum that was written for N key heads to a single one, and there is no complaint. Here, too, the result happens to be right.
#
# ## N · H need not be D
#
# In the 2017 Transformer a head has D / N numbers, and many programs compute H so. In Gemma 7B N · H = 4096, and D = 3072. The first `transformers` release with Gemma, 4.38.0, reshaped the heads' results to D numbers per token ([#29181](https://github.com/huggingface/transformers/issues/29181), [#29185](https://github.com/huggingface/transformers/issues/29185)). What did its users see, with the 2B and with the 7B?

# %%
for config in (presets.GEMMA_2B, presets.GEMMA_7B, presets.GEMMA3_270M):
    N, H, D = config.num_heads, config.head_dim, config.embed_dim
    try:
        found = "fits, shape " + str(np.zeros((3, N, H)).reshape(3, D).shape)
    except ValueError as error:
        found = str(error)
    print(f"{config.name:12} N·H = {N * H}, D = {D}: {found}")
    assert found.startswith("fits") == (N * H == D) == (config is presets.GEMMA_2B)

# %% [markdown]
# The small model ran and the large one crashed. So `head_dim` is a field of our config and is never computed from others, and `w_o` is what leads from N · H back to D.
#
# ## What a cached token costs
#
# A model that writes keeps the keys and values of all earlier tokens, since every later token looks at them: the *KV cache* (lesson 09 builds it). Each token leaves a key and a value (2) in each of L layers, for each of K heads, of H numbers, of 2 bytes in bfloat16:
#
# $$\text{bytes per token} = 2 \cdot L \cdot K \cdot H \cdot 2$$
#
# Queries are asked once and forgotten, so N does not occur. Which two of these models cost the same?

# %%
per_token = {}
for config in presets.FULL_SIZE:
    L, N, K, H = config.num_layers, config.num_heads, config.num_kv_heads, config.head_dim
    per_token[config.name] = 2 * L * K * H * 2
    print(f"{config.name:17} L {L:2}  N {N:2}  K {K:2}  H {H:3} {per_token[config.name]:9,} bytes a token")
assert per_token["GPT-2 124M"] == 2 * per_token["Gemma 2B"] == 2 * per_token["Gemma 3 270M"]
assert per_token["Llama 2 7B"] == per_token["OLMo 7B"]
assert round(per_token["Gemma 7B"] / per_token["Gemma 2B"], 1) == 24.9

# %% [markdown]
# Two pairs, in fact: Llama 2 7B and OLMo 7B share their shapes, and Gemma 3 270M costs as much per token as Gemma 2B, which has nine times its parameters. GPT-2, with 124 million parameters and 12 heads to keep, costs twice as much as either. Look at the column K, too: of the two models in the Gemma report only the 2B is multi-query, and a token of the 7B costs 24.9 times as much.
#
# Gemma 3 saves in another way. A local layer never looks further back than 512 tokens, so it need not keep more. At 8192 tokens, 15 layers hold 512 and 3 hold everything:

# %%
one_layer = 2 * 1 * 256 * 2  # bytes per token in one layer of either model
gemma_2b = 18 * 8192 * one_layer
gemma3_270m = (15 * 512 + 3 * 8192) * one_layer
print(f"8192 tokens: Gemma 2B {gemma_2b / 2**20} MiB, Gemma 3 270M {gemma3_270m / 2**20} MiB")
assert gemma_2b == 8192 * per_token["Gemma 2B"] and (gemma_2b, gemma3_270m) == (144 * 2**20, 31.5 * 2**20)

# %% [markdown]
# Now the chip of the first paragraph: a TPU v5e is sold with 16 GB, of which its compiler lets a program use 15.75 GiB, or 16.9 · 10⁹ bytes (a larger program is refused with "exceeds available HBM (15.75G)"). The weights come first, at 2 bytes each. What is left is for conversations, and a server is paid by how many run at once. We flip one field of Gemma 2B's config, `num_kv_heads`, from 1 to 8.

# %%
chip = int(15.75 * 2**30)
multi_head = presets.GEMMA_2B.replace(name="Gemma 2B with K = 8", num_kv_heads=8)
rooms = {}
for config in (presets.GEMMA_2B, multi_head, presets.GEMMA_7B):
    weights = 2 * params.count(config)["total"]
    text = 8192 * 2 * config.num_layers * config.num_kv_heads * config.head_dim * 2
    room = max(0, (chip - weights) // text)
    rooms[config.name] = weights, text, room
    print(f"{config.name:20} weights {weights / 1e9:5.2f} GB, a text {text / 1e9:.3f} GB, room for {room}")
assert [room for _, _, room in rooms.values()] == [78, 9, 0] and rooms["Gemma 7B"][0] > chip

# %% [markdown]
# (The computation itself needs some room as well; we leave it out.) Gemma 7B's weights alone are larger than the chip: with 17.1 GB it needs several. For the 2B, the slope of each line in the next figure is what one more conversation costs. How many times steeper is the line for K = 8?

# %%
fig, ax = plt.subplots()
texts = np.arange(0, 101)
for (weights, text, room), style in zip(list(rooms.values())[:2], ("-", "--"), strict=True):
    ax.plot(texts, (weights + texts * text) / 2**30, style, color=figures.COLOURS["keys"])
    ax.plot(room, (weights + room * text) / 2**30, "o", color=figures.COLOURS["keys"])
ax.text(11, 12.9, "K = 8: 9 texts", color=figures.COLOURS["keys"])
ax.text(76, 12.9, "K = 1: 78 texts", color=figures.COLOURS["keys"])
ax.axhline(15.75, color="0.4", linewidth=1)
ax.text(16, 16.1, "usable memory of one TPU v5e, 15.75 GiB", color="0.3")
ax.set(ylim=(0, 20), xlim=(0, 100), xlabel="texts of 8192 tokens at once", ylabel="weights and cache (GiB)")
ax.set_title("One KV head: 78 texts on a chip instead of 9")
figures.show(
    fig,
    "Memory of Gemma 2B against the number of texts of 8192 tokens. Both lines start at the weights, about 4.7 and "
    "4.9 GiB. With K = 8 each text adds 1.125 GiB and 9 fit below 15.75 GiB; with K = 1 each adds 0.141 and 78 fit.",
)

# %% [markdown]
# Eight times. Both start at nearly the same height, for the weights hardly change; the cache is the whole difference. And it must be the cache itself that is small. DeepMind's first code repeated keys and values to all N heads *before* it stored them, until commit [33c96b2](https://github.com/google-deepmind/gemma/commit/33c96b2), ten weeks after launch. The logits were right, and the memory was that of K = 8:

# %%
k_SKH = normal(7, 1, 12)
repeated_SNH = np.repeat(k_SKH, 8, axis=1)
q, v = normal(5, 8, 12), normal(7, 1, 12)
same = my_attend(q, repeated_SNH, np.repeat(v, 8, axis=1), mask_TS)
np.testing.assert_allclose(same, my_attend(q, k_SKH, v, mask_TS), atol=1e-5)
print(f"same result, {repeated_SNH.nbytes // k_SKH.nbytes} times the bytes")
assert repeated_SNH.nbytes == 8 * k_SKH.nbytes

# %% [markdown]
# No comparison of logits finds that one either.
#
# ## From eight key heads to one
#
# Can a trained multi-head model be turned into a multi-query one? Ainslie et al. (2023, section 2.1) put the *mean* of a group's weights in place of the group, and then train on for a short while (*uptraining*; the paper uses 5 % of the original compute). When is the mean exact? We give the eight heads of a tiny model a common part and a part of their own, and turn up the second.


# %%
def related_heads(weights, own):
    """The same layer with key and value heads that are a common matrix, plus `own` times what they were."""
    return weights._replace(
        w_k=weights.w_k[:, :1] + own * weights.w_k, w_v=weights.w_v[:, :1] + own * weights.w_v
    )


def averaged(weights):
    """One key/value head, the mean of all."""
    return weights._replace(w_k=weights.w_k.mean(1, keepdims=True), w_v=weights.w_v.mean(1, keepdims=True))


# %% [markdown]
# The change in the layer's output, relative to the output's own size:

# %%
layer, x_TD = noisy(presets.TINY_GEMMA_7B).blocks[0].attention, normal(7, 10)
changes = {}
for own in (0.0, 0.1, 0.3, 1.0):
    before = my_attention(related_heads(layer, own), x_TD, 10_000.0)
    after = my_attention(averaged(related_heads(layer, own)), x_TD, 10_000.0)
    changes[own] = np.linalg.norm(after - before) / np.linalg.norm(before)
    print(f"own part {own}: output changes by {changes[own]:.3f} of its size")
assert changes[0.0] < 1e-5 and 0.05 < changes[0.1] < changes[0.3] < changes[1.0]

# %% [markdown]
# If the heads of a group are equal, nothing changes: that is the repetition of the last section, read backwards. The more they have learned to differ, the more the mean destroys. So uptraining is not a finishing touch; it is where the model learns to live with fewer heads.
#
# ## Break it on purpose
#
# First on small numbers, one head group, 12 tokens. Seven mistakes, and how much each changes the output, relative to its size. Which is smallest? Which is largest?

# %%
q, k, v, mask_TS = normal(12, 8, 64), normal(12, 1, 64), normal(12, 1, 64), my_mask(12)
right = my_attend(q, k, v, mask_TS)
in_bfloat16 = lambda scores: my_softmax(scores.astype(jnp.bfloat16)).astype(np.float32)  # noqa: E731
wrong = {
    "softmax in bfloat16": my_attend(q, k, v, mask_TS, softmax=in_bfloat16),
    "mask one too far": my_attend(q, k, v, np.tri(12, k=1, dtype=bool)),
    "no mask": my_attend(q, k, v, np.ones((12, 12), bool)),
    "query does not see itself": my_attend(q, k, v, np.tri(12, k=-1, dtype=bool)),
    "mask inverted": my_attend(q, k, v, ~mask_TS),
    "no 1/√H": my_attend(q * np.float32(8), k, v, mask_TS),
    "softmax over the queries": my_attend(q, k, v, mask_TS, softmax=functools.partial(my_softmax, axis=-2)),
}

# %% [markdown]
# The norm of the difference over the norm of the right result:

# %%
errors = {name: np.linalg.norm(context - right) / np.linalg.norm(right) for name, context in wrong.items()}
for name, error in errors.items():
    print(f"{name:26} {error:.3f}")
assert errors.pop("softmax in bfloat16") < 0.01 < 0.5 < min(errors.values())
assert max(errors, key=errors.get) == "mask inverted" and np.isfinite(wrong["mask inverted"]).all()

# %% [markdown]
# Six shout and one whispers. None raises an error, none gives NaN, and all have the right shape. The inverted mask leaves nothing for the last query to see; the finite masked score makes that row a mean of all values.
#
# Now the real model, on the course's paragraph about the water cycle. It gives a *perplexity*: as unsure as among so many equal choices. Three changes: the division by 16 left out, the softmax in bfloat16, and the windows cut from 512 tokens to 8. The paragraph has 105 tokens, so a window of 512 hides nothing. Guess three numbers; as published it is 8.28.

# %%
model = checkpoints.load("gemma3-270m")
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_T = model.tokenizer.encode(text, add_bos=True)
on_paragraph = functools.partial(perplexity, model.params, tokens_T, skip=1)  # lesson 11's last 103 tokens
attend, jax_softmax = jax_attention.attend, jax.nn.softmax


def without_scale(params, tokens_BT, config):
    unscaled = lambda q, k, v, mask: attend(q * 16, k, v, mask)  # noqa: E731
    with mock.patch.object(jax_attention, "attend", unscaled):
        return jax_transformer.forward(params, tokens_BT, config)


def coarse_softmax(params, tokens_BT, config):
    coarse = lambda scores, axis: jax_softmax(scores.astype(jnp.bfloat16), axis=axis)  # noqa: E731
    with mock.patch.object(jax.nn, "softmax", coarse):
        return jax_transformer.forward(params, tokens_BT, config)


# %% [markdown]
# Each of the four is compiled once, which takes some seconds:

# %%
heard = {
    "as published": on_paragraph(model.config),
    "softmax in bfloat16": on_paragraph(model.config, forward=coarse_softmax),
    "window 8": on_paragraph(model.config.replace(window_size=8)),
    "no 1/√H": on_paragraph(model.config, forward=without_scale),
}
for name, value in heard.items():
    print(f"{name:20} perplexity {value:7.2f}")
np.testing.assert_allclose(heard["as published"], 8.28, rtol=0.01)
np.testing.assert_allclose(heard["no 1/√H"], 159, rtol=0.02)
assert abs(heard["softmax in bfloat16"] / heard["as published"] - 1) < 0.02
assert heard["window 8"] > 2 * heard["as published"]

# %% [markdown]
# Without the division the heads stare, as in the first figure. With windows of 8 the model is twice as unsure, although three layers still see everything.
#
# The softmax in bfloat16 cannot be heard on this text, and in fact it is a choice: DeepMind's code takes the softmax in whatever type the scores have, `transformers` and Google's PyTorch code always in float32 (google-deepmind/gemma at f03bf63, google/gemma_pytorch at 09eee7b). What the difference of 0.3 % on the small numbers does cost is certainty: a real mistake of that size could hide behind it. So this course compares models in float32.
#
# One mistake is missing, and on purpose. A mask that looks one token too far makes the perplexity *better*, since the answer lies in view; lesson 09 measures it. Distrust a number that is too good.
#
# ## Exercises
#
# Write each function in place of the solution that stands here, and run the check below it. It tries awkward sizes, and if the result is that of a known mistake, it names it.
#
# ### 1 · Several documents in a row
#
# *Difficulty 2 of 5, 8 minutes.* To waste no padding, training packs several documents into one row. Each token comes with the number of its document, −1 for padding at the end. Write `packed_mask(document_T, window)`: a boolean array T S that is True where query t may see key s, that is, in the same document, not later, and among the last `window` tokens (`None`: no limit). Padding sees nothing and is not seen. First example: `packed_mask(np.array([0, 0, 1]), None)` gives `[[True, False, False], [True, True, False], [False, False, True]]`.
#
# ```python
# def packed_mask(document_T, window):
#     distance_TS = ...
#     same_TS = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The package's <code>attention_mask</code>, shown above, compares all pairs at once with <code>[:, None]</code> and <code>[None, :]</code>.</details>
# <details><summary>Hint 2</summary>Two tokens are of the same document if their numbers are equal. Is that enough where both are padding?</details>
# <details><summary>Hint 3</summary><code>distance_TS = t[:, None] - t[None, :]</code> with <code>t = np.arange(len(document_T))</code>, and <code>same_TS = (document_T[:, None] == document_T) &amp; (document_T &gt;= 0)</code>. What remains is to join three conditions.</details>


# %% tags=["solution", "hide-input"]
def packed_mask(document_T, window):
    ### BEGIN SOLUTION
    t = np.arange(len(document_T))
    distance_TS = t[:, None] - t[None, :]
    same_TS = (document_T[:, None] == document_T[None, :]) & (document_T >= 0)[None, :]
    mask_TS = same_TS & (distance_TS >= 0)
    return mask_TS if window is None else mask_TS & (distance_TS < window)
    ### END SOLUTION


# %% [markdown]
# The check tries windows of 1, 2, 3 and none, documents of one token, and padding.

# %%
check("packed_mask", packed_mask)

# %% [markdown]
# ### 2 · Nothing to see
#
# *Difficulty 3 of 5, 10 minutes.* Write `masked_softmax(scores_TS, mask_TS)` with another answer to the question of the empty row: hidden keys get exactly 0, visible ones sum to 1 in each row, and a row that sees nothing is all zeros. Scores can be as large as 1000, hidden ones too. First example: scores `[[2, 1, 0], [5, 5, 5]]` with the mask `[[True, True, False], [False, False, False]]` give `[[0.731, 0.269, 0], [0, 0, 0]]`.
#
# ```python
# def masked_softmax(scores_TS, mask_TS):
#     largest_T1 = ...
#     weights_TS = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>Softmax may subtract any number, as long as it is the same in a whole row. Which scores decide whether an exponential overflows?</details>
# <details><summary>Hint 2</summary>Replace the hidden scores by the finite masked score before you take the row's maximum and before <code>np.exp</code>. Then remove hidden weights with the mask, and divide by a sum that is never 0.</details>
# <details><summary>Hint 3</summary><code>scores_TS = np.where(mask_TS, scores_TS, -1e30)</code>, <code>weights_TS = mask_TS * np.exp(scores_TS - scores_TS.max(axis=-1, keepdims=True))</code>, <code>sum_T1 = weights_TS.sum(axis=-1, keepdims=True)</code>. The division needs one <code>np.where</code> or <code>np.maximum</code>; a visible row's sum is at least 1.</details>


# %% tags=["solution", "hide-input"]
def masked_softmax(scores_TS, mask_TS):
    ### BEGIN SOLUTION
    scores_TS = np.where(mask_TS, scores_TS, np.float32(-1e30))
    weights_TS = mask_TS * np.exp(scores_TS - scores_TS.max(axis=-1, keepdims=True))
    return weights_TS / np.maximum(weights_TS.sum(axis=-1, keepdims=True), 1)
    ### END SOLUTION


# %% [markdown]
# The check has rows of very different size, hidden scores far above the visible ones, and rows with nothing to see.

# %%
check("masked_softmax", masked_softmax)

# %% [markdown]
# ### 3 · Flat heads
#
# *Difficulty 3 of 5, 12 minutes.* A linear layer of PyTorch gives flat rows: N·H numbers for the queries of a token, head after head, and K·H for its keys. Write `attend_flat(q, k, v, num_heads, num_kv_heads)` for q of shape (T, N·H), k and v of shape (S, K·H), without a mask; the result has the shape of q. First example: with T = S = 1 there is one key to see, so `attend_flat([[0, 0, 0, 0]], [[5, 6]], [[7, 8]], 2, 1)`, as arrays, gives `[[7, 8, 7, 8]]`.
#
# ```python
# def attend_flat(q, k, v, num_heads, num_kv_heads):
#     H = ...
#     q_TKGH = ...
#     probs_KGTS = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary><code>my_attend</code> has all the steps; only the shapes at its doors differ. H is not given, but it can be found from q.</details>
# <details><summary>Hint 2</summary>Reshape q to T K G H, and k and v to S K H. A reshape keeps the order of the numbers, so the axes must be named in the order in which they lie: tokens first, then heads.</details>
# <details><summary>Hint 3</summary><code>q_TKGH = q.reshape(T, K, num_heads // K, H)</code>, <code>scores_KGTS = np.einsum("TKGH,SKH-&gt;KGTS", q_TKGH, k_SKH) / H**0.5</code>, then <code>my_softmax</code>. The last einsum gives T K G H, so that the reshape to (T, N·H) needs no transpose.</details>


# %% tags=["solution", "hide-input"]
def attend_flat(q, k, v, num_heads, num_kv_heads):
    ### BEGIN SOLUTION
    H = q.shape[1] // num_heads
    q_TKGH = q.reshape(len(q), num_kv_heads, num_heads // num_kv_heads, H)
    k_SKH, v_SKH = k.reshape(len(k), num_kv_heads, H), v.reshape(len(v), num_kv_heads, H)
    probs_KGTS = my_softmax(np.einsum("TKGH,SKH->KGTS", q_TKGH, k_SKH) / H**0.5)
    return np.einsum("KGTS,SKH->TKGH", probs_KGTS, v_SKH).reshape(q.shape)
    ### END SOLUTION


# %% [markdown]
# The check has K = 1, K = N and two in between, and once scores that overflow.

# %%
check("attend_flat", attend_flat)

# %% [markdown]
# ### 4 · From multi-head to grouped-query
#
# *Difficulty 2 of 5, 6 minutes.* Write `mha_to_gqa(w_k, w_v, num_kv_heads)`: the weights (D N H) of a multi-head layer, averaged to `num_kv_heads` heads (D K H), both in a tuple. Groups are of neighbours, so that query head n still reads head n // G. First example: with D = H = 1 and keys `[[[1], [3], [10], [20]]]`, two heads remain, `[[[2], [15]]]`.
#
# ```python
# def mha_to_gqa(w_k, w_v, num_kv_heads):
#     ...
#     return new_w_k, new_w_v
# ```
#
# <details><summary>Hint 1</summary><code>averaged</code> above does it for a single group.</details>
# <details><summary>Hint 2</summary>Split the axis N into K and G with a reshape, then take a mean over one of the two. Which of K and G comes first?</details>
# <details><summary>Hint 3</summary><code>D, N, H = w_k.shape</code>, and for each of the two <code>w.reshape(D, num_kv_heads, N // num_kv_heads, H)</code>. What remains is <code>.mean(axis=…)</code>.</details>


# %% tags=["solution", "hide-input"]
def mha_to_gqa(w_k, w_v, num_kv_heads):
    ### BEGIN SOLUTION
    D, N, H = w_k.shape
    grouped_shape = D, num_kv_heads, N // num_kv_heads, H
    return w_k.reshape(grouped_shape).mean(axis=2), w_v.reshape(grouped_shape).mean(axis=2)
    ### END SOLUTION


# %% [markdown]
# The check goes from 8 heads to 8, 2 and 1, and from 6 to 3.

# %%
check("mha_to_gqa", mha_to_gqa)

# %% [markdown]
# ### 5 · How many texts fit?
#
# *Difficulty 3 of 5, 12 minutes.* Write `texts_that_fit(config, tokens, memory)`: how many texts of `tokens` tokens fit into `memory` bytes beside one copy of the weights, everything at 2 bytes a number. `config.window(layer)` is a layer's window or None, and a layer keeps no more tokens than it can see. `params.count(config)["total"]` is the number of weights. First example: `texts_that_fit(presets.GEMMA_2B, 8192, chip)` gives 78.
#
# ```python
# def texts_that_fit(config, tokens, memory):
#     weights = ...
#     text = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The section on cached tokens has both halves, one for Gemma 2B and one for Gemma 3, whose layers differ.</details>
# <details><summary>Hint 2</summary>Add up the tokens that each layer keeps, at most its window. Multiply by the bytes of a key and a value in one layer. If the weights alone do not fit, neither does a text.</details>
# <details><summary>Hint 3</summary><code>kept = sum(min(tokens, config.window(layer) or tokens) for layer in range(config.num_layers))</code>, <code>text = kept * 2 * config.num_kv_heads * config.head_dim * 2</code>. What remains is the line with the division.</details>


# %% tags=["solution", "hide-input"]
def texts_that_fit(config, tokens, memory):
    ### BEGIN SOLUTION
    weights = 2 * params.count(config)["total"]
    kept = sum(min(tokens, config.window(layer) or tokens) for layer in range(config.num_layers))
    text = kept * 2 * config.num_kv_heads * config.head_dim * 2
    return max(0, (memory - weights) // text)
    ### END SOLUTION


# %% [markdown]
# The check tries five models and chips of several sizes, one of which is too small.

# %%
check("texts_that_fit", texts_that_fit)

# %% [markdown]
# ## What breaks if…
#
# **1.** A port of Gemma splits its query heads as G, then K. It gives the official logits on Gemma 2B and on Gemma 7B. The same code now loads Gemma 2 9B, with 16 query heads and 8 key/value heads. How many of the 16 heads read the right keys?
#
# <details><summary>Answer</summary>Two: the first and the last. Right is n // 2, the port reads n % 8, and the two are equal only for n = 0 and n = 15. In the cell above it was much the same: with K = 4 only two of eight heads were right. On the two models that it was tested with nothing shows, because with K = 1 and with K = N both rules agree.</details>
#
# **2.** To save memory, someone serves Gemma 3 270M with windows of 8 tokens instead of 512. How much of the 31.5 MiB of cache at 8192 tokens is saved, and what is the price?
#
# <details><summary>Answer</summary>Less than a quarter: the three global layers keep 3 · 8192 tokens, 24 MiB, whatever the window; the 15 local ones shrink from 7.5 MiB to 0.12. The price was measured above: on a paragraph of 105 tokens the perplexity doubles. The window has already given what it could give.</details>
#
# **3.** A batch holds a text of 9 tokens and one of 6, padded with 3 tokens at position −1. The masked score is changed to −∞. Which of the two texts gets NaN logits: neither, the padded one or both?
#
# <details><summary>Answer</summary>The padded one, at all its 9 positions. In the first layer only its 3 padded rows are NaN, as all their scores are −∞. In the second layer those rows are values; the 6 real tokens give them the weight 0, and 0 · NaN is NaN. The other text is safe: attention never mixes the rows of a batch.</details>
#
# ## To take home
#
# Attention is a weighted mean of values, with weights from a softmax of q·k/√H; without the √H the softmax has made its choice before the model has learned anything.
#
# MHA, GQA and MQA are one einsum with the letters K and G, and only tests with 1 < K < N can tell whether the heads were grouped right.
#
# The number of query heads costs computation, the number of key/value heads costs memory for every token of every conversation, and that memory decides how many conversations a chip can hold.
#
# **Next.** Lesson 06 takes the other sublayer, the gated feed-forward layer; lesson 09 builds the KV cache that we have only counted here. To read: Shazeer, *Fast Transformer Decoding: One Write-Head is All You Need* (2019), and Ainslie et al., *GQA* (2023).
