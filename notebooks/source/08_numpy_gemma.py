# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/08_numpy_gemma.ipynb)
#
# # 08 · The whole model in NumPy
#
# One vector per token, and 36 additions to it: that is Gemma 3 270M. Below you write it in some 25 lines of NumPy, load 268,098,176 published numbers into it, and it agrees with the official implementation to the third decimal. Then we take it apart. Exchange layers 13 and 14, and the perplexity of a paragraph goes from 8.28 to 11.1; exchange layers 5 and 6, and it is above 100,000. Leave out one division at the very end, and the loss goes from 2.1 to 1,800 nats per token, while not one predicted token changes.
#
# This lesson is about how the parts are put together. Gemma 1 does it as GPT-2, Llama 2 and OLMo do: each sublayer reads a normed copy of the stream and adds to the stream itself. The 2017 Transformer normed the stream after each addition; Gemma 3 norms what a sublayer reads *and* what it adds.
#
# *60 minutes, difficulty 3 of 5. You need lessons 02 to 07: their parts are imported here and not explained again.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The model of this page is NumPy throughout, and its parts are those of the earlier lessons: embedding (02 and 07), norm (03), attention with RoPE and mask (04, 05), feed-forward (06). JAX appears in two cells, where we compare with it; the last line makes it multiply in full float32 there, also on a TPU.

# %%
import difflib
import inspect
import time
from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple

import jax
import numpy as np
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu import params as params_module
from gemma_edu.checks import check
from gemma_edu.config import NormPlacement
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import block as jax_block
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.numpy_model import block as numpy_block
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.numpy_model.attention import attend, attention, combine, project
from gemma_edu.numpy_model.embedding import embed, unembed
from gemma_edu.numpy_model.feedforward import feedforward
from gemma_edu.numpy_model.masks import attention_mask
from gemma_edu.numpy_model.norms import norm
from gemma_edu.numpy_model.transformer import embed_tokens, read_out
from gemma_edu.params import Norm

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## Read twice, add twice
#
# The stream enters a layer, is read twice, and is added to twice. With $x$ the stream of one text, T vectors of width D:
#
# $$x \leftarrow x + \text{attention}(\text{norm}_1(x)), \qquad x \leftarrow x + \text{feedforward}(\text{norm}_2(x))$$
#
# The Gemma report says it in half a sentence, "we normalize the input of each transformer sub-layer" (arXiv:2403.08295, "Model Architecture"). Two things in the equation are easy to get wrong. The norm stands on what is *read*, and the stream that is added to has never been normed. And the second line reads the $x$ that the first has already changed: a token's feed-forward sublayer sees what attention has brought.


# %%
def my_block(weights, x_BTD, positions_BT, mask_BTT, config):
    read_BTD = norm(weights.attention_norm, x_BTD, config)
    x_BTD = x_BTD + attention(weights.attention, read_BTD, positions_BT, mask_BTT, config.rope_theta, config)
    read_BTD = norm(weights.feedforward_norm, x_BTD, config)
    return x_BTD + feedforward(weights.feedforward, read_BTD, config)


# %% [markdown]
# The model is a loop over such layers, with a table at either end, the same one:


# %%
def my_forward(params, tokens_BT, config):
    positions_BT = np.broadcast_to(np.arange(tokens_BT.shape[1]), tokens_BT.shape)
    mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
    x_BTD = embed(params.embedding.table, tokens_BT, scale=True)
    for weights in params.blocks:
        x_BTD = my_block(weights, x_BTD, positions_BT, mask_BTT, config)
    return unembed(params.embedding.table, norm(params.final_norm, x_BTD, config))


# %% [markdown]
# What shapes pass through? We trace them on a toy in which every axis has another length (B 3, T 5, D 10, N 8, K 2, H 12, F 14, V 11), filled with random weights: `build` makes the tree that a config asks for, leaf by leaf. Cover the output and say each shape before you look.


# %%
def noisy(config, seed=0):
    """Random weights without a zero in them: zeros hide mistakes."""
    random = np.random.default_rng(seed)
    return params_module.build(config, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))


toy = presets.TINY_GROUPED
toy_params, toy_BT = noisy(toy), np.random.default_rng(1).integers(0, 11, (3, 5))
logits_BTV = my_forward(toy_params, toy_BT, toy)
assert logits_BTV.shape == (3, 5, 11)

# %% [markdown]
# Step by step, with the names of the course:

# %%
weights = toy_params.blocks[0]
positions_BT = np.broadcast_to(np.arange(5), (3, 5))
trace = {"tokens_BT": toy_BT, "x_BTD": embed(toy_params.embedding.table, toy_BT, scale=True)}
trace["read_BTD"] = norm(weights.attention_norm, trace["x_BTD"], toy)
q_BTNH, k_BSKH, v_BSKH = project(weights.attention, trace["read_BTD"], positions_BT, toy.rope_theta, toy)
trace |= {"q_BTNH": q_BTNH, "k_BSKH": k_BSKH, "v_BSKH": v_BSKH}
trace["mask_BTS"] = attention_mask(positions_BT, positions_BT, window=None)
trace["context_BTNH"] = attend(q_BTNH, k_BSKH, v_BSKH, trace["mask_BTS"])
trace["y_BTD"] = combine(weights.attention, trace["context_BTNH"], toy)
trace["up_BTF"] = trace["read_BTD"] @ weights.feedforward.w_up
trace["logits_BTV"] = logits_BTV

# %% [markdown]
# Beside each, what it would be for one text of 105 tokens in Gemma 2B and in Gemma 3 270M:


# %%
def sizes(config, B, T):
    V, D, F = config.vocab_size, config.embed_dim, config.hidden_dim
    return dict(B=B, T=T, S=T, D=D, F=F, V=V, N=config.num_heads, K=config.num_kv_heads, H=config.head_dim)


rows = ["| array | toy | Gemma 2B | Gemma 3 270M |", "|---|---|---|---|"]
for name, array in trace.items():
    letters = name.split("_")[1]
    assert array.shape == tuple(sizes(toy, 3, 5)[letter] for letter in letters)
    published = (sizes(config, 1, 105) for config in (presets.GEMMA_2B, presets.GEMMA3_270M))
    shapes = [array.shape, *(tuple(of[letter] for letter in letters) for of in published)]
    rows.append(f"| `{name}` | " + " | ".join(map(str, shapes)) + " |")
display(Markdown("\n".join(rows)))

# %% [markdown]
# Look at `context` in Gemma 3 270M: 4 heads of 256 are 1024 numbers, and the stream has 640. Only `w_o` brings them back to width D. In Gemma 7B it is 16 · 256 = 4096 against 3072; in Gemma 2B both happen to be 2048. Code that took H for D / N ran the 2B and failed with the 7B: transformers 4.38.0 reshaped to `hidden_size` and crashed (issues 29181 and 29185, mended by 4.38.2), and bumblebee silently ignored the weights that did not fit (pull request 364).
#
# ## Thirty-four numbers and a pencil
#
# Before 268 million weights, 34. The vocabulary is A, B, C; D = 2, one layer, one head with H = 2, F = 1. The weights are chosen so that a pencil is enough, and so that the model can do something: it continues "A B" with C, but a B that stands alone with another B.

# %%
pencil = presets.GEMMA_2B.replace(
    name="pencil",
    vocab_size=3,
    embed_dim=2,
    num_layers=1,
    num_heads=1,
    num_kv_heads=1,
    head_dim=2,
    hidden_dim=1,
)
root2 = 2**0.5
numbers = {
    "embedding.table": [[-3 * root2, 0], [0, 3 * root2], [2 * root2, root2]],  # A, B, C
    "blocks.0.attention_norm.scale": [0, 0],
    "blocks.0.attention.w_q": [[0, 0], [0, 0]],  # every score is 0: all keys count the same
    "blocks.0.attention.w_k": [[1, 0], [0, 1]],
    "blocks.0.attention.w_v": [[-root2, 0], [0, root2]],
    "blocks.0.attention.w_o": [[1, 0], [0, 1]],
    "blocks.0.feedforward_norm.scale": [4, 4],  # applied as 1 + 4
    "blocks.0.feedforward.w_gate": [0, 1],
    "blocks.0.feedforward.w_up": [1, 0],
    "blocks.0.feedforward.w_down": [0, -1],
    "final_norm.scale": [0, 0],
}
pencil_params = params_module.build(pencil, lambda name, shape: np.float32(numbers[name]).reshape(shape))
assert params_module.count(pencil)["total"] == 34

# %% [markdown]
# The text is "A B". Take a pencil; the only things you need are that the root mean square of (1, 7) is √((1 + 49) / 2) = 5, that of (6, 0) is 6/√2 = 3√2, and that GELU leaves 7 as it is and 0 too.
#
# | step | at A | at B | why |
# |---|---|---|---|
# | embed: row · √2 | (−6, 0) | (0, 6) | √D = √2 |
# | norm | (−√2, 0) | (0, √2) | divided by 3√2 |
# | values | (2, 0) | (0, 2) | · `w_v` |
# | attention | (2, 0) | (1, 1) | A sees only itself, B the mean of both |
# | **add** | (−4, 0) | (1, 7) | |
# | norm, times 1 + 4 | (−5√2, 0) | (1, 7) | divided by 2√2 and by 5 |
# | GELU(gate) · up | 0 · (−5√2) = 0 | 7 · 1 = 7 | the gate reads the second number, up the first |
# | feed-forward | (0, 0) | (0, −7) | · `w_down` |
# | **add** | (−4, 0) | (1, 0) | |
# | norm | (−√2, 0) | (√2, 0) | no length is left |
# | logits for A, B, C | 6, 0, −4 | −6, 0, 4 | · each row of the table |

# %%
pencil_forward = partial(my_forward, pencil_params, config=pencil)
pencil_BT = np.array([[0, 1]])
pencil_BTV = pencil_forward(pencil_BT)
np.testing.assert_allclose(pencil_BTV[0], [[6, 0, -4], [-6, 0, 4]], atol=1e-4)
print(np.round(pencil_BTV[0]).astype(int))

# %% [markdown]
# C it is. Now B alone, at position 0: which row of the table above changes first, and what comes out?

# %%
alone_V = pencil_forward(np.array([[1]]))[0, 0]
np.testing.assert_allclose(alone_V, [0, 6, 2], atol=1e-4)
print("after B alone, logits for A, B, C:", np.round(alone_V).astype(int))

# %% [markdown]
# Attention finds only B's own value, (0, 2). The stream becomes (0, 8), *up* reads a 0, the gate is open and nothing passes. In "A B", attention put a 1 into the first place, A's share of the mean, and then the feed-forward sublayer, seeing that 1, erased the 7 that stood for B. That is the division of labour in every layer to come: attention moves, feed-forward computes with what has arrived.
#
# ## The same block in the package
#
# The package's block, from its source:


# %%
show_source(numpy_block.before, numpy_block.after, numpy_block.block)

# %% [markdown]
# Yours says what Gemma 1 does; this one asks the config. `before` and `after` are the three ways to place a norm: on what is read (PRE), on the sum (POST, the 2017 Transformer), on what is read and on what is added (SANDWICH, Gemma 2 and 3). Are the two equal, and are both equal to the JAX version? We fill every leaf with noise, because a fresh model has norm scales of 0, and a forgotten 0 changes nothing. Eight, two and one key/value heads:

# %% tags=["contract"]
x_BTD = np.random.default_rng(2).standard_normal((3, 5, 10)).astype(np.float32)
mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
compiled_block = jax.jit(jax_block.block, static_argnames="config")
for tiny in (presets.TINY_GEMMA_2B, presets.TINY_GEMMA_7B, presets.TINY_GROUPED):
    weights = noisy(tiny).blocks[1]
    mine_BTD = my_block(weights, x_BTD, positions_BT, mask_BTT, tiny)
    for block in (numpy_block.block, compiled_block):
        theirs_BTD = block(weights, x_BTD, positions_BT, mask_BTT, tiny.rope_theta, tiny)
        np.testing.assert_allclose(mine_BTD, theirs_BTD, rtol=1e-5, atol=1e-5)

# %% [markdown]
# ## A stack is a list of additions
#
# For Gemma 3 we write it once more, in a form that is easier to take apart. A sublayer is three things: some work (attention or feed-forward), a norm before it, and perhaps a norm after it. The whole stack is a flat list of them, two for each layer.


# %%
class Sublayer(NamedTuple):
    work: Callable  # attention or feed-forward, with everything but the stream filled in
    before: Norm
    after: Norm  # without weights in Gemma 1


def added(sublayer, x_BTD, config):
    """What a sublayer adds to the stream."""
    y_BTD = sublayer.work(norm(sublayer.before, x_BTD, config))
    return norm(sublayer.after, y_BTD, config) if config.norm_placement is NormPlacement.SANDWICH else y_BTD


# %% [markdown]
# Three things in Gemma 3 are not in Gemma 1. The **sandwich**: x + norm(sublayer(norm(x))). **QK-norm**: each query and each key is normed before RoPE turns it (inside `attention`, lesson 05). And **two kinds of layers**: five that see a window of W tokens and use a theta of 10,000, then one that sees everything and uses 1,000,000. Mask and theta therefore belong to the layer. Let W = 512, as in the 270M: which layers can tell, if the text has 105 tokens?


# %%
def sublayers(params, positions_BT, config, shift=0):
    """Attention, feed-forward, attention, …; with `shift`, a layer has the window and theta of a later one."""
    parts = []
    for layer, weights in enumerate(params.blocks):
        mask_BTT = attention_mask(positions_BT, positions_BT, config.window(layer + shift))
        place = {"positions": positions_BT, "mask": mask_BTT, "theta": config.theta(layer + shift)}
        mix = partial(attention, weights.attention, config=config, **place)
        think = partial(feedforward, weights.feedforward, config=config)
        parts.append(Sublayer(mix, weights.attention_norm, weights.post_attention_norm))
        parts.append(Sublayer(think, weights.feedforward_norm, weights.post_feedforward_norm))
    return parts


# %% [markdown]
# And the stack is one line, a fold over that list. (`embed_tokens` and `read_out` are the two ends of `my_forward`; they ask the config whether to scale and whether the tables are tied.)


# %%
def stack(parts, x_BTD, config):
    return reduce(lambda x_BTD, part: x_BTD + added(part, x_BTD, config), parts, x_BTD)


def my_gemma(params, tokens_BT, config):
    positions_BT = np.broadcast_to(np.arange(tokens_BT.shape[1]), tokens_BT.shape)
    x_BTD = embed_tokens(params.embedding, tokens_BT, positions_BT, config)
    return read_out(params, stack(sublayers(params, positions_BT, config), x_BTD, config), config)


# %% [markdown]
# No layer can tell: a window of 512 hides nothing from 105 tokens. (Theta is another matter, as we will hear.) So tests need texts longer than the window. The toys have W = 4, and our text has 7 tokens.

# %% tags=["contract"]
long_BT = np.random.default_rng(3).integers(0, 11, (3, 7))
compiled = jax.jit(jax_transformer.forward, static_argnames="config")
gemmas = presets.TINY_GEMMA_2B, presets.TINY_GEMMA_7B, presets.TINY_GEMMA3_270M, presets.TINY_GROUPED
for tiny in gemmas:
    mine_BTV = my_gemma(noisy(tiny), long_BT, tiny)
    by_numpy_BTV = numpy_transformer.forward(noisy(tiny), long_BT, tiny)
    by_jax_BTV = compiled(noisy(tiny), long_BT, tiny)
    np.testing.assert_allclose(mine_BTV, by_numpy_BTV, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mine_BTV, by_jax_BTV, rtol=1e-4, atol=1e-4)
    print(f"{tiny.name:28} mine == NumPy == JAX")

# %% [markdown]
# The package's `forward`, which you could now have written:

# %%
show_source(numpy_transformer.forward)
assert np.array_equal(my_gemma(pencil_params, pencil_BT, pencil), pencil_BTV)

# %% [markdown]
# Its twin in `jax_model` is the same text but for a few lines. These:

# %%
texts = [inspect.getsource(package.forward).splitlines() for package in (numpy_transformer, jax_transformer)]
changes = [line for line in difflib.ndiff(*texts) if line[:2] in ("- ", "+ ")]
display(Markdown("```diff\n" + "\n".join(changes) + "\n```"))
assert len(changes) < len(texts[0])

# %% [markdown]
# `jnp` for `np`, other array types, and one refusal less: NumPy knows no bfloat16 product, JAX does. What makes the second file fast is not in it: lesson 09 compiles it, and gives it a cache.
#
# ## A real Gemma in plain NumPy
#
# Now the published weights, as NumPy arrays, and the answers that Hugging Face's `transformers` gave for the same weights: the prompt "The capital of France is", its logits, and the 32 tokens it wrote next. Which token will be the most likely?

# %%
model = checkpoints.load("gemma3-270m", as_numpy=True)
config, params = model.config, model.params
golden = np.load(course_data.path("golden/gemma3_270m_short.npz"))
prompt_BT = golden["tokens"][None]
logits_V = my_gemma(params, prompt_BT, config)[0, -1]

np.testing.assert_allclose(logits_V, golden["last_logits"], atol=1e-3)

# %% [markdown]
# All 262,144 official logits, within 0.001. The five largest, as probabilities:

# %%
probs_V = np.exp(logits_V - logits_V.max())
probs_V /= probs_V.sum()
for token in np.argsort(-logits_V)[:5]:
    print(f"{model.tokenizer.decode([int(token)])!r:10} {probs_V[token]:.3f}")
assert logits_V.argmax() == golden["greedy"][0]

# %% [markdown]
# Not " Paris", which comes third. The model would rather go on with "the capital of …" than answer: nobody has asked it anything. Show it what is wanted, and it complies.

# %%
shown = model.tokenizer.encode("The capital of France is Paris. The capital of Japan is", add_bos=True)
token = int(my_gemma(params, np.array([shown]), config)[0, -1].argmax())
assert model.tokenizer.decode([token]) == " Tokyo"
print(model.tokenizer.decode(shown + [token]))

# %% [markdown]
# Writing is reading, again and again: append the token, run everything once more. Each new token costs a pass through all weights for the whole text. Do the first four agree with the official ones?

# %%
tokens_BT = prompt_BT
for _ in range(4):
    token = my_gemma(params, tokens_BT, config)[:, -1:].argmax(axis=-1)
    tokens_BT = np.concatenate([tokens_BT, token], axis=1)

print(model.tokenizer.decode(tokens_BT[0].tolist()))
assert tokens_BT[0, 6:].tolist() == golden["greedy"][:4].tolist()

# %% [markdown]
# ## The stream grows a thousandfold
#
# Every sublayer adds to the stream and none ever divides it. How long are its vectors after 36 additions? They start with a length near √640 ≈ 25. We follow a paragraph of 105 tokens, the one on which lesson 11 measures perplexity. Guess the length at the end, and whether the first token, `<bos>`, behaves like the others.

# %%
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
text_BT = np.array([model.tokenizer.encode(text, add_bos=True)])
positions_BT = np.arange(text_BT.shape[1])[None]
parts = sublayers(params, positions_BT, config)
streams = [embed_tokens(params.embedding, text_BT, positions_BT, config)]
for part in parts:
    streams.append(streams[-1] + added(part, streams[-1], config))

lengths = np.linalg.norm(np.concatenate(streams), axis=-1)  # 37 streams, 105 tokens
additions = np.linalg.norm(np.diff(np.concatenate(streams), axis=0), axis=-1)
assert lengths.shape == (37, 105)

# %% [markdown]
# The picture: the length of the stream (median over tokens, and `<bos>` by itself) and the length of what each sublayer adds.

# %%
typical, bos = np.median(lengths[:, 1:], axis=1), lengths[:, 0]
steps, added_lengths = np.arange(37), np.median(additions[:, 1:], axis=1)
fig, ax = plt.subplots()
ax.plot(steps / 2, typical, color=COLOURS["stream"])
ax.plot(steps / 2, bos, color=COLOURS["stream"], linestyle="--", linewidth=1)
ax.plot(steps[1::2] / 2, added_lengths[0::2], "o", color=COLOURS["queries"], markersize=4)
ax.plot(steps[2::2] / 2, added_lengths[1::2], "s", color=COLOURS["values"], markersize=4)
ax.text(13.5, 140_000, "stream of <bos>")
ax.text(18.2, typical[-1], "stream", va="center", color=COLOURS["stream"])
ax.text(18.2, added_lengths[-1], "added by\nfeed-forward", va="center", color=COLOURS["values"])
ax.text(18.2, added_lengths[-2], "added by\nattention", va="top", color=COLOURS["queries"])
ax.set(title="Later layers must speak louder", xlabel="layers done", ylabel="length (Euclidean)")
ax.set(yscale="log", xlim=(0, 22), ylim=(10, 300_000), xticks=range(0, 19, 3))
show(fig, f"Median stream length over tokens: {typical[0]:.1f} at the start, {typical[-1] / 1000:.1f} thousand after "
     f"18 layers; <bos> peaks at {bos.max() / 1000:.1f} thousand. Additions grow along, from about 100 to several "
     f"thousand.")  # fmt: skip

# %% [markdown]
# From 26 to 36,000, more than a thousandfold, in step with what is added. The sublayers do not mind, because each reads through a norm that divides the length away; but whoever wants to be heard in layer 17 must add thousands, where layer 0 needed a hundred. The norm *after* each sublayer has learned that: its factors, taken as one vector, are 55 times longer after the last feed-forward than after the first.
#
# Look at the teeth of the saw: attention makes the stream longer in every layer, and in most of the first ten, feed-forward makes it shorter again. Does that happen in many of the 640 numbers, or in few? Guess how many carry most of the squared length at the end.

# %%
squares_TD = streams[-1][0, 1:] ** 2
shares_TD = squares_TD / squares_TD.sum(axis=-1, keepdims=True)
loudest = int(shares_TD.mean(axis=0).argmax())
factors_D = 1 + params.final_norm.scale
heard_TD = squares_TD * factors_D**2
heard_TD /= heard_TD.sum(axis=-1, keepdims=True)
print(f"dimension {loudest} has {np.median(shares_TD[:, loudest]):.2f} of the squared length;")
print(
    f"the final norm multiplies it by {factors_D[loudest]:.3f}, the median one by {np.median(factors_D):.2f};"
)
print(f"after that, it has {np.median(heard_TD[:, loudest]):.4f} of the squared length")
assert np.all(typical[1::2] > typical[0:-1:2]) and np.sum(typical[2:21:2] < typical[1:20:2]) > 5
assert loudest == 163 and np.median(shares_TD[:, loudest]) > 0.7
first, last = (np.linalg.norm(1 + params.blocks[layer].post_feedforward_norm.scale) for layer in (0, 17))
np.testing.assert_allclose(last / first, 55, atol=1)

# %% [markdown]
# One. It fills the root mean square that the final norm divides by, and then the norm's factor turns it down, so that almost nothing of it reaches the logits. The vector of `<bos>` is the longest of all, and its largest entry decides which kinds of floats can hold the stream:

# %%
largest, limit = max(float(np.abs(x_BTD).max()) for x_BTD in streams), float(np.finfo(np.float16).max)
print(f"largest entry {largest:.1f}; float16 ends at {limit}")
assert largest > limit
assert 30_000 < typical[-1] < 40_000 and bos.max() > 100_000

# %% [markdown]
# In float16 this model overflows on its first token. bfloat16 reaches as far as float32, but has 8 significant bits: between 65,536 and 131,072 its numbers are 512 apart.
#
# ## Count before you believe: parameters
#
# A layer of Gemma 1 has four attention matrices, three feed-forward matrices and two norms. Queries and output are D·N·H numbers each, keys and values D·K·H each:
#
# $$\text{layer} = 2DNH + 2DKH + 3DF + 2D, \qquad \text{model} = L \cdot \text{layer} + D + VD$$
#
# The lone D is the final norm, and V·D the table, once. For Gemma 2B, and for 7B:


# %%
def outside_the_table(L, D, N, K, H, F):
    return L * (2 * D * N * H + 2 * D * K * H + 3 * D * F + 2 * D) + D


gemma_2b = outside_the_table(L=18, D=2048, N=8, K=1, H=256, F=16_384)
gemma_7b = outside_the_table(L=28, D=3072, N=16, K=16, H=256, F=24_576)
print(f"{gemma_2b:,} and {gemma_7b:,}")
assert (gemma_2b, gemma_7b) == (1_981_884_416, 7_751_248_896)  # Gemma report, Table 2

# %% [markdown]
# To the digit what Table 2 of the report calls "non-embedding parameters". The table itself exists in two lengths. The report and the Flax files have 256,128 rows, the PyTorch, Hugging Face, Keras and GGUF files 256,000: the other 128 are padding that no token uses. (Keras's converter cuts them off, with the comment "Upstream pads for TPU efficiency"; keras-hub, `convert_gemma_checkpoints.py`.) So there are two right totals for each model:

# %%
totals = {rows: (rows * 2048 + gemma_2b, rows * 3072 + gemma_7b) for rows in (256_000, 256_128)}
for rows, (total_2b, total_7b) in totals.items():
    print(f"{rows:,} rows: {total_2b:,} and {total_7b:,}")
assert totals[256_000] == (2_506_172_416, 8_537_680_896)
assert totals[256_128] == (2_506_434_560, 8_538_074_112)
assert totals[256_000] == tuple(
    params_module.count(preset)["total"] for preset in (presets.GEMMA_2B, presets.GEMMA_7B)
)

# %% [markdown]
# The name *2B* leaves half a billion out of account; 2.5 is nearer. And Gemma 3 270M? Here we need not trust a formula, the arrays are in memory. Each layer now has four norms of D and two of H, for queries and keys. Which is the largest group: norms, attention, feed-forward or embedding?

# %%
groups = {}
for name, array in params_module.to_leaves(params).items():
    group = next(word for word in ("norm", "attention", "feedforward", "embedding") if word in name)
    groups[group] = groups.get(group, 0) + array.size
for group, number in groups.items():
    print(f"{group:12} {number:12,}")

counted = params_module.count(config)
assert sum(groups.values()) == counted["total"] == 268_098_176
assert groups["norm"] == counted["norms"] == 18 * (4 * 640 + 2 * 256) + 640
assert [groups[name] for name in ("attention", "feedforward", "embedding")] == [
    counted[name] for name in ("attention", "feedforward", "embedding")
]
print(f"the table is {counted['embedding'] / counted['total']:.3f} of all")

# %% [markdown]
# Formula, package and arrays agree: 268,098,176, and five eighths of it are the vocabulary. Both Gemma 2B and Gemma 3 270M have 18 layers, by the way. The number of layers does not identify a model, although code has used it so (DeepMind's own `from_params` at commit 9218f5f, llama.cpp).
#
# **Memory** follows: 4 bytes a number in float32. What the forward pass makes on the way must fit beside the weights. For 105 tokens, which of the intermediate arrays is the largest?

# %%
made = {name: sizes(config, 1, 105) for name in ("BTD", "BTF", "BNTS", "BTV")}
megabytes = {name: 4 * np.prod([of[letter] for letter in name]) / 1e6 for name, of in made.items()}
print(f"weights {4 * counted['total'] / 1e6:.1f} MB")
for name, size in megabytes.items():
    print(f"{name:5} {size:7.2f} MB")
assert megabytes["BTV"] > 100 * megabytes["BTF"]

# %% [markdown]
# Stream (BTD), one feed-forward branch (BTF) and the scores of one layer (BNTS) are small, and each layer can reuse the memory of the last. The logits are 110 MB, and while writing, all but the last row are thrown away: a program that generates should read out the last position alone.
#
# ## Count before you believe: time
#
# A product of an m × k with a k × n matrix takes m·n·k multiplications and as many additions: 2·m·n·k FLOPs (floating-point operations). So each weight of a matrix costs 2 FLOPs per token, and there is a rule of thumb: *a token costs twice the number of parameters*. Which parameters make the rule wrong? Name two kinds before you read the code.


# %%
def products(config, T):
    """FLOPs of all matrix products for T tokens; every query meets every key, as in our code."""
    L, D, N, K = config.num_layers, config.embed_dim, config.num_heads, config.num_kv_heads
    H, F, V = config.head_dim, config.hidden_dim, config.vocab_size
    return {
        "projections": L * 2 * T * (2 * D * N * H + 2 * D * K * H),
        "scores": L * 2 * T * (T * N * H + T * N * H),  # queries · keys, and probabilities · values
        "feed-forward": L * 2 * T * (2 + config.gated) * D * F,
        "logits": 2 * T * D * V,
    }


# %% [markdown]
# For one token, against the rule, in every model of the course:

# %%
ratios = {}
for preset in presets.FULL_SIZE:
    ratios[preset.name] = sum(products(preset, T=1).values()) / (2 * params_module.count(preset)["total"])
    print(f"{preset.name:17} {ratios[preset.name]:.4f}")
untied = "Llama 2 7B", "OLMo 7B"
assert all(abs(ratio - 1) < 0.01 for name, ratio in ratios.items() if name not in untied)
assert all(0.96 < ratios[name] < 0.99 for name in untied)

# %% [markdown]
# For tied models the rule holds within one per cent. A norm's scales take part in no matrix product, nor do biases and GPT-2's learned positions; nor does the *lookup* in the embedding table, which reads one row. Llama 2 and OLMo have a second table for the output, so one of their two tables costs nothing per token. In Gemma the one table is looked up for free and multiplied for a price.
#
# The scores are the only entry that grows with T². At which length do they cost as much as the projections around them? Per token 4·N·H·T against 4·D·H·(N + K):

# %%
of_the_logits = []
for preset in (presets.GEMMA3_270M, presets.GEMMA_2B, presets.GEMMA_7B):
    of_the_logits.append(products(preset, 105)["logits"] / sum(products(preset, 105).values()))
    equal = preset.embed_dim * (preset.num_heads + preset.num_kv_heads) // preset.num_heads
    cost = products(preset, equal)
    assert cost["scores"] == cost["projections"]
    share = cost["scores"] / sum(cost.values())
    print(f"{preset.name:13} {equal:5} tokens, {share:.3f} of all products each")
np.testing.assert_allclose(of_the_logits, [0.617, 0.209, 0.092], atol=0.002)

# %% [markdown]
# At 800, 2304 and 6144 tokens. (A causal mask makes half of these scores useless, and in long texts the windows of Gemma 3 hide most of the rest; kernels can skip what is masked, our NumPy does not.)
#
# Now the clock. We time the pieces of one layer on the paragraph, take them 18 times (the norms 73 times: four in each layer, and the last), and add the logits. Draw both rows of bars before you look: which pieces take a larger share of the *time* than of the FLOPs, and what about the norms, which have no product at all?


# %% tags=["timing"]
def seconds(run, repeats=10):
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return min(durations)


weights, x_BTD, theta = params.blocks[0], streams[0], config.theta(0)
q, k, v = project(weights.attention, x_BTD, positions_BT, theta, config)
mask_BTT = attention_mask(positions_BT, positions_BT, config.window(0))
context = attend(q, k, v, mask_BTT)
spent = {
    "norms": 73 * seconds(lambda: norm(weights.attention_norm, x_BTD, config)),
    "projections": 18 * seconds(lambda: project(weights.attention, x_BTD, positions_BT, theta, config))
    + 18 * seconds(lambda: combine(weights.attention, context, config)),
    "scores": 18 * seconds(lambda: attend(q, k, v, mask_BTT)),
    "feed-forward": 18 * seconds(lambda: feedforward(weights.feedforward, x_BTD, config)),
    "logits": seconds(lambda: unembed(params.embedding.table, x_BTD), repeats=3),
}
assert min(spent.values()) > 0

# %% [markdown]
# Now both rows of bars.

# %% tags=["timing"]
flops = {"norms": 0} | products(config, T=105)
share_of_flops = np.array([flops[name] for name in spent]) / sum(flops.values())
share_of_time = np.array(list(spent.values())) / sum(spent.values())
rows = np.arange(5)
fig, ax = plt.subplots()
for shares, offset, colour, label in (
    (share_of_flops, -0.2, COLOURS["stream"], "FLOPs"),
    (share_of_time, 0.2, COLOURS["queries"], "time"),
):
    ax.barh(rows + offset, 100 * shares, height=0.36, color=colour)
    for row, share in zip(rows, shares, strict=True):
        ax.text(100 * share + 1, row + offset, f"{100 * share:.1f} % of {label}", va="center", color=colour)
ax.set(title="The vocabulary is most of the work", xlabel="share of a forward pass of 105 tokens (%)")
ax.set(yticks=rows, yticklabels=list(spent), xlim=(0, 100))
ax.invert_yaxis()
show(fig, "Shares of FLOPs and of time: " + "; ".join(f"{name} {a:.3f} and {b:.3f}" for name, a, b in
     zip(spent, share_of_flops, share_of_time, strict=True)) + ".")  # fmt: skip
assert share_of_flops[-1] > 0.6

# %% [markdown]
# The FLOPs are the same everywhere; the times are those of the machine that made this page, and yours will differ. 62 % of the FLOPs are the product with the table of 262,144 rows; in Gemma 2B it is 21 %, in 7B 9 %: the smaller of these models, the heavier its vocabulary. Look for the differences between the two bars of a pair. The norms have no product, and take time; so do softmax and mask, counted here with the scores, RoPE with the projections, GELU with feed-forward. NumPy runs each of these as several passes over memory, which a compiler can fuse (lesson 09).

# %% [markdown]
# ## One stack, other models
#
# The parts ask the config what to do: which norm, which activation, bias or none. Your fold does not care. So for how many of the course's eight toys does `my_gemma`, as it stands, give the logits of the package?

# %%
runs = {}
for tiny in presets.TINY:
    weights = noisy(tiny)
    mine_BTV, theirs_BTV = (
        forward(weights, long_BT, tiny) for forward in (my_gemma, numpy_transformer.forward)
    )
    runs[tiny.name] = np.allclose(mine_BTV, theirs_BTV, rtol=1e-5, atol=1e-5)
    print(f"{tiny.name:28} {tiny.norm_placement.name.lower():9} {tiny.norm.value:20} {runs[tiny.name]}")
assert [name for name, right in runs.items() if not right] == [presets.TINY_TRANSFORMER_BASE.name]
assert len({tiny.norm for tiny in presets.TINY if runs[tiny.name]}) == 4

# %% [markdown]
# Seven: with four kinds of norm, with GeGLU, SwiGLU and plain GELU, with RoPE and learned positions, tied and untied. The one that comes out wrong is the Transformer of 2017, norm(x + sublayer(x)): there the stream itself is normed, and a stack is no list of additions any more. The package's `before` and `after` can do that too, and one field of the config tells them. We flip it, on the weights of one toy, with the package's `forward`:

# %%
logits = {}
for placement in NormPlacement:
    flipped = presets.TINY_GEMMA3_270M.replace(norm_placement=placement)
    weights = params_module.for_config(noisy(presets.TINY_GEMMA3_270M), flipped)
    logits[placement.name] = numpy_transformer.forward(weights, long_BT, flipped)
    norms = params_module.count(flipped)["norms"]
    print(f"{placement.name:9} {norms} numbers in norms")
assert not np.allclose(logits["PRE"], logits["POST"]) and not np.allclose(logits["PRE"], logits["SANDWICH"])

# %% [markdown]
# A norm more or less is a few numbers, and other logits.
#
# ## Break it on purpose: which mistakes can be heard?
#
# With the stack as a list, a mistake is an edit of the list. First on the 34 numbers, where you can predict with the pencil: after "A B", which token wins if feed-forward comes before attention? If the attention's result replaces the stream instead of being added to it? If the final norm is missing?


# %%
pencil_positions = np.array([[0, 1]])
mix, think = (
    partial(added, part, config=pencil) for part in sublayers(pencil_params, pencil_positions, pencil)
)
x = embed_tokens(pencil_params.embedding, pencil_BT, pencil_positions, pencil)
mixed, thought = x + mix(x), x + think(x)
endings = {
    "as it should be": mixed + think(mixed),
    "feed-forward first": thought + mix(thought),
    "both read the same x": x + mix(x) + think(x),
    "attention replaces x": mix(x) + think(mix(x)),
}

winners = {}
for what, x_BTD in endings.items():
    logits_V = read_out(pencil_params, x_BTD, pencil)[0, -1]
    winners[what] = "ABC"[logits_V.argmax()]
    print(f"{what:21} {np.round(logits_V, 2) + 0.0}  {winners[what]}")
unnormed_V = unembed(pencil_params.embedding.table, endings["as it should be"])[0, -1]
print(f"{'no final norm':21} {np.round(unnormed_V, 2) + 0.0}  {'ABC'[unnormed_V.argmax()]}")
assert list(winners.values()) == ["C", "B", "B", "A"] and unnormed_V.argmax() == 2

# %% [markdown]
# Feed-forward first cannot see A, and says B. If both read the same stream, it cannot see A either. (That is a design, not a crime: GPT-J's layers are built so, `modeling_gptj.py` in transformers. But a model has to be trained that way.) Without its own token in the stream, the model loses B. And without the final norm the *order* of the logits is unchanged, since a norm with equal scales multiplies a vector by one positive number; remember that.
#
# Now the real model. We measure the loss in nats per token, the mean of −log p, on the paragraph of lesson 11. Perplexity is its exponential, 8.28. Whoever guesses among 262,144 tokens has log 262,144 = 12.48 nats; more than that is worse than knowing nothing.


# %%
def loss(x_BTD, ending=read_out, every=1):
    """Nats per token from the final stream, over the last 103 tokens, as in lesson 11, or over some of them."""
    logits_TV = ending(params, x_BTD[:, 1:-1:every], config)[0]
    top_T1 = logits_TV.max(axis=-1, keepdims=True)
    log_sum_T = top_T1[:, 0] + np.log(np.exp(logits_TV - top_T1).sum(axis=-1, dtype=np.float64))
    return float(np.mean(log_sum_T - logits_TV[np.arange(len(logits_TV)), text_BT[0, 2::every]]))


published = loss(streams[-1])
np.testing.assert_allclose(np.exp(published), 8.28, rtol=0.01)

# %% [markdown]
# Seven edits of the list, each the whole model once more. Rank them before you run: layers in reverse order; feed-forward before attention; both reading the same stream; the two norms of each sandwich exchanged; the second norm applied to the sum, as in 2017; and two subtle ones, one residual left out (layer 9's feed-forward replaces the stream) and the pattern of windows shifted by one layer, so that layers 4, 10 and 16 are global and not 5, 11 and 17.


# %%
def post_norm(x_BTD, part):
    """norm(x + sublayer(norm(x))): the second norm on the sum."""
    return norm(part.after, x_BTD + part.work(norm(part.before, x_BTD, config)), config)


def parallel(x_BTD, pair):
    """Attention and feed-forward read the same stream."""
    return x_BTD + added(pair[0], x_BTD, config) + added(pair[1], x_BTD, config)


start_BTD = streams[0]
pairs = [parts[i : i + 2] for i in range(0, 36, 2)]

# %% [markdown]
# All of them from the same start, with the same weights:

# %%
broken = {
    "windows and thetas shifted": stack(sublayers(params, positions_BT, config, shift=1), start_BTD, config),
    "norm on the sum (2017)": reduce(post_norm, parts, start_BTD),
    "same stream for both": reduce(parallel, pairs, start_BTD),
    "feed-forward first": stack([part for pair in pairs for part in pair[::-1]], start_BTD, config),
    "layers in reverse": stack([part for pair in pairs[::-1] for part in pair], start_BTD, config),
    "one residual left out": stack(parts[20:], added(parts[19], streams[19], config), config),
    "norms exchanged": stack([Sublayer(w, after, before) for w, before, after in parts], start_BTD, config),
}
losses = {"as published": published} | {what: loss(x_BTD) for what, x_BTD in broken.items()}
for what, nats in losses.items():
    print(f"{what:27} {nats:8.2f} nats")
assert losses["windows and thetas shifted"] < 2.4
assert min(list(losses.values())[3:]) > np.log(262_144)

# %% [markdown]
# Five of the seven are worse than guessing, and a sixth, the norm of 2017, is hardly better. One lost addition out of 36 is enough. But the seventh, the shift, one might take for noise: perplexity 9.75 instead of 8.28. What is it that one hears there? The windows cannot be it:

# %%
wide_BTT, narrow_BTT = (attention_mask(positions_BT, positions_BT, window) for window in (None, 512))
assert np.array_equal(wide_BTT, narrow_BTT)

short_BT = np.arange(prompt_BT.shape[1])[None]
short_BTD = embed_tokens(params.embedding, prompt_BT, short_BT, config)
shifted_BTD = stack(sublayers(params, short_BT, config, shift=1), short_BTD, config)
shifted_V = read_out(params, shifted_BTD[:, -1:], config)[0, 0]
change = np.abs(shifted_V - golden["last_logits"]).max()
assert shifted_V.argmax() == golden["greedy"][0] and change > 0.5
print(f"after 'The capital of France is' the largest change of a logit is {change:.2f}")
print(f"shifted: perplexity {np.exp(losses['windows and thetas shifted']):.2f}")

# %% [markdown]
# Both masks are the same on a text of 105 tokens. All of the damage is theta's: six layers turn their queries and keys at another speed than they were trained with. After "The capital of France is", the most likely token is still " the". A port with the wrong pattern would pass a test that compares this word; compared logit by logit, it fails at once.
#
# Now the end of the model. The final norm divides by the root mean square and multiplies by 1 + scale. We leave out the division:


# %%
def undivided(params, x_BTD, config):
    return unembed(params.embedding.table, x_BTD * (1 + params.final_norm.scale))


divisors_BT = np.sqrt(np.mean(streams[-1] ** 2, axis=-1))
same = undivided(params, streams[-1], config).argmax(-1) == read_out(params, streams[-1], config).argmax(-1)
undivided_loss = loss(streams[-1], ending=undivided)
print(f"{undivided_loss:.1f} nats; the most likely token is the same at all positions: {same.all()}")
assert same.all() and undivided_loss > 1000 and 1400 < np.median(divisors_BT) < 1450

# %% [markdown]
# Absurdly bad in loss, and perfect in greedy writing: each token's logits are multiplied by one positive number, the root mean square of its vector, about 1,400 for most tokens here; and the largest stays the largest. Whoever tests a port by reading what it writes greedily will not notice, until someone turns up the temperature and nothing happens.
#
# Last, the layers themselves. We exchange a layer with the next one: 1 with 2, 3 with 4, and so on up to 15 with 16. Each run starts from the streams that we have, so only what comes after is computed again. First two of the eight. Which will hurt more, 5 with 6 or 13 with 14?

# %%
exchanges = range(1, 17, 2)
swapped = {i: stack(pairs[i + 1] + pairs[i] + parts[2 * i + 4 :], streams[2 * i], config) for i in exchanges}
early, late = np.exp(loss(swapped[5])), np.exp(loss(swapped[13]))
print(f"layers 5, 6 exchanged: perplexity {early:.3g}; layers 13, 14: {late:.2f}")
assert early > 100_000 and 11 < late < 11.12

# %% [markdown]
# Now all eight, and each of the 18 layers left out. Which layers will be missed most: the first, the last, or all alike? This is the longest cell of the page, so each run is scored on every fourth prediction only.

# %%
print("running 18 models with a layer left out, 8 with two exchanged …")
quarter = partial(loss, every=4)
as_published = quarter(streams[-1])
exchanged = {i: quarter(x_BTD) for i, x_BTD in swapped.items()}
left_out = [quarter(stack(parts[2 * i + 2 :], streams[2 * i], config)) for i in range(18)]
others = [left_out[layer] for layer in range(18) if layer not in (1, 3, 5)]
assert max(others) < as_published + 1 and min(left_out[1], left_out[3], left_out[5]) > 8
assert max(exchanged[i] for i in exchanges if i >= 7) < as_published + 1

# %% [markdown]
# The picture, with the loss of the model as it is, and that of guessing:

# %%
fig, ax = plt.subplots()
ax.plot(range(18), left_out, "o-", color=COLOURS["stream"])
ax.plot([i + 0.5 for i in exchanged], list(exchanged.values()), "s", color=COLOURS["queries"], markersize=5)
ax.axhline(as_published, color=COLOURS["stream"], linewidth=0.8, linestyle=":")
ax.axhline(np.log(262_144), color=COLOURS["stream"], linewidth=0.8, linestyle=":")
ax.text(17.2, as_published - 0.2, "as published", va="top", ha="right")
ax.text(17.2, np.log(262_144) + 0.2, "guessing", ha="right")
ax.text(8.5, 9, "layer left out", color=COLOURS["stream"])
ax.text(8.5, 7.7, "layer exchanged with the next", color=COLOURS["queries"])
ax.set(title="Three of 18 layers cannot be spared", xlabel="layer", ylabel="loss (nats per token)")
ax.set(xticks=range(0, 18, 2), ylim=(0, 17))
show(fig, f"Loss with one layer left out, or exchanged with the next. As published {as_published:.2f}. Without layers 1, 3 "
     f"or 5 it is {left_out[1]:.1f}, {left_out[3]:.1f} and {left_out[5]:.1f}; without any other one, at most "
     f"{max(others):.2f}. Exchanges after layer 6 cost little, those before it up to {max(exchanged.values()):.1f}.")  # fmt: skip
jumps = added_lengths / typical[:-1]  # what each sublayer adds, in units of what it finds
assert jumps[2] > 8 and jumps[0] > 5 and jumps[10] > 1.3 > max(jumps[11:]) and jumps[6] < 1

# %% [markdown]
# Without layer 1, 3 or 5 there is not much of a model left. Leave out any of the other 15, or exchange neighbours from layer 7 on, and the loss rises by less than one nat. That is what a sum allows: a late layer adds little to it compared with what is there, and additions do not mind their order. Does the figure of the stream tell which layers matter? In part: the attention of layer 1 adds nine times the length that it finds, and that of layer 5, the first global layer, makes the last jump longer than what it finds. But layer 0 adds five times what it finds and can be spared, and layer 3 cannot and makes no such jump. How loud a layer is does not say how much the others depend on it.
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it.
#
# ### 1 · Which layers see everything
#
# *Difficulty 1 of 5, 5 minutes.* Write the pattern of a model's layers as a string, first layer first: L for a local layer, with a window, G for a global one. Of every `global_every` layers, the last is global; a group that is cut off at the end has none. Do it without a config. First example: `layer_kinds(8, 3)` gives `"LLGLLGLL"`.
#
# ```python
# def layer_kinds(num_layers, global_every):
#     kinds = ""
#     for layer in range(num_layers):
#         ...
#     return kinds
# ```
#
# <details><summary>Hint 1</summary>In Gemma 3 270M, layers 5, 11 and 17 are global, counted from 0. What do 6, 12 and 18 have in common?</details>
# <details><summary>Hint 2</summary>Layer number i is the (i + 1)-th. It is global if that is a multiple of <code>global_every</code>.</details>
# <details><summary>Hint 3</summary>In the loop: <code>kinds += "G" if … == 0 else "L"</code>, with a remainder, <code>%</code>, on the left of the comparison.</details>


# %% tags=["solution", "hide-input"]
def layer_kinds(num_layers, global_every):
    ### BEGIN SOLUTION
    kinds = ""
    for layer in range(num_layers):
        kinds += "G" if (layer + 1) % global_every == 0 else "L"
    return kinds
    ### END SOLUTION


# %% [markdown]
# The check tries the 18 layers of the 270M, the 26 of Gemma 3 1B, and models that end in the middle of a group.

# %%
check("layer_kinds", layer_kinds)

# %% [markdown]
# ### 2 · Every parameter, from the fields
#
# *Difficulty 2 of 5, 12 minutes.* Write `count_parameters(config)`, the total, for models without biases: Gemma 1, Gemma 3 and Llama 2. You need `vocab_size`, `embed_dim`, `num_layers`, `num_heads`, `num_kv_heads`, `head_dim`, `hidden_dim`, and three choices: `config.tie_embedding`, `config.qk_norm` (both true or false), and whether `config.norm_placement is NormPlacement.SANDWICH`. First example: `count_parameters(presets.GEMMA_2B)` gives 2,506,172,416.
#
# ```python
# def count_parameters(config):
#     D, N, K, H = config.embed_dim, config.num_heads, config.num_kv_heads, config.head_dim
#     layer = ...
#     tables = ...
#     return config.num_layers * layer + ... + tables
# ```
#
# <details><summary>Hint 1</summary>Begin with <code>outside_the_table</code>. Three things are missing in it: the table or tables, two more norms, and QK-norm.</details>
# <details><summary>Hint 2</summary>A sandwich has four norms of D in each layer. QK-norm has two scales of H in each layer, whatever the number of heads. A model that does not tie has a second table of V·D.</details>
# <details><summary>Hint 3</summary>The norms of a layer: <code>(4 if sandwich else 2) * D + (2 * H if config.qk_norm else 0)</code>; the matrices: <code>2 * D * N * H + 2 * D * K * H + 3 * D * config.hidden_dim</code>. The final norm is D more.</details>


# %% tags=["solution", "hide-input"]
def count_parameters(config):
    ### BEGIN SOLUTION
    D, N, K, H = config.embed_dim, config.num_heads, config.num_kv_heads, config.head_dim
    sandwich = config.norm_placement is NormPlacement.SANDWICH
    norms = (4 if sandwich else 2) * D + (2 * H if config.qk_norm else 0)
    layer = 2 * D * N * H + 2 * D * K * H + 3 * D * config.hidden_dim + norms
    tables = (1 if config.tie_embedding else 2) * config.vocab_size * D
    return config.num_layers * layer + D + tables
    ### END SOLUTION


# %% [markdown]
# The check wants every digit, for both sizes of Gemma 1, for Gemma 3 270M, Llama 2 7B and a toy.

# %%
check("count_parameters", count_parameters)

# %% [markdown]
# ### 3 · The sandwich
#
# *Difficulty 2 of 5, 10 minutes.* Gemma 3's block, written out. You get two functions, `attention` and `feedforward`, a tuple of four, `norms`, in the order in which data meets them, and a stream `x_TD`. Each function takes a stream and returns one. First example: if the two sublayers and the four norms all return what they get, `sandwich_block` gives `4 * x_TD`.
#
# ```python
# def sandwich_block(attention, feedforward, norms, x_TD):
#     before_attention, after_attention, before_feedforward, after_feedforward = norms
#     x_TD = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The paragraph that begins "Three things in Gemma 3" has the formula for one sublayer.</details>
# <details><summary>Hint 2</summary>Twice the same: what is added is the norm of the sublayer of the norm of the stream. The second time, the stream is already the new one.</details>
# <details><summary>Hint 3</summary>First line: <code>x_TD = x_TD + after_attention(attention(before_attention(x_TD)))</code>.</details>


# %% tags=["solution", "hide-input"]
def sandwich_block(attention, feedforward, norms, x_TD):
    ### BEGIN SOLUTION
    before_attention, after_attention, before_feedforward, after_feedforward = norms
    x_TD = x_TD + after_attention(attention(before_attention(x_TD)))
    return x_TD + after_feedforward(feedforward(before_feedforward(x_TD)))
    ### END SOLUTION


# %% [markdown]
# The check uses sublayers and norms with random weights, all four norms different, so that an exchange shows.

# %%
check("sandwich_block", sandwich_block)

# %% [markdown]
# ### 4 · Write until told to stop
#
# *Difficulty 3 of 5, 12 minutes.* Write `write_greedily(forward, tokens, limit, stop)`. `forward` turns tokens of shape B T into logits B T V; `tokens` is a list, the prompt. Return the list of at most `limit` new tokens, each the most likely after all that stands before it; when the token `stop` comes, end without it. Leave `tokens` as it is. First example: with the model of 34 numbers, `write_greedily(pencil_forward, [0, 1], 4, stop=0)` gives `[2]`: after "A B" it writes C, and after that A, which is the stop token here.
#
# ```python
# def write_greedily(forward, tokens, limit, stop):
#     written = []
#     for _ in range(limit):
#         logits_BTV = forward(np.array([...]))
#         ...
#     return written
# ```
#
# <details><summary>Hint 1</summary>The four tokens after "The capital of France is" were written in a loop of two lines.</details>
# <details><summary>Hint 2</summary>The model reads prompt and written tokens together, as one row. Of the logits you need the first text's last position.</details>
# <details><summary>Hint 3</summary><code>token = int(forward(np.array([[*tokens, *written]]))[0, -1].argmax())</code>; then compare with <code>stop</code> before you append.</details>


# %% tags=["solution", "hide-input"]
def write_greedily(forward, tokens, limit, stop):
    ### BEGIN SOLUTION
    written = []
    for _ in range(limit):
        token = int(forward(np.array([[*tokens, *written]]))[0, -1].argmax())
        if token == stop:
            break
        written.append(token)
    return written
    ### END SOLUTION


# %% [markdown]
# The check's model has a memory: what comes next depends on every token before and on its place. Some prompts contain the stop token, and some texts never meet it.

# %%
check("write_greedily", write_greedily)
assert write_greedily(pencil_forward, [0, 1], 4, stop=0) == [2]

# %% [markdown]
# ### 5 · What the next token costs
#
# *Difficulty 4 of 5, 12 minutes.* With a cache (lesson 09), only the newest token is computed; it meets the keys of all that came before. Write `flops_of_last_token(config, T)`: the FLOPs of all matrix products for the last of T tokens, itself among the keys. A local layer meets only the keys in its window: `config.window(layer)` is W, or None where the layer sees everything. All models here are gated and have their logits computed once. First example: `flops_of_last_token(presets.GEMMA3_270M, 1)` gives 536,158,208.
#
# ```python
# def flops_of_last_token(config, T):
#     flops = ...
#     for layer in range(config.num_layers):
#         ...
#     return flops
# ```
#
# <details><summary>Hint 1</summary><code>products</code> in the section on time counts all T tokens, and every key for every query. What is left for one query?</details>
# <details><summary>Hint 2</summary>Every weight of a matrix costs 2. A layer's scores cost 2·N·H for each key that is met, and so do its values.</details>
# <details><summary>Hint 3</summary><code>keys = min(T, config.window(layer) or T)</code>; the layer costs <code>2 * (2 * D * N * H + 2 * D * K * H + 3 * D * F)</code> and <code>4 * N * H * keys</code>. What do the logits cost?</details>


# %% tags=["solution", "hide-input"]
def flops_of_last_token(config, T):
    ### BEGIN SOLUTION
    D, N, K, H = config.embed_dim, config.num_heads, config.num_kv_heads, config.head_dim
    flops = 2 * D * config.vocab_size
    for layer in range(config.num_layers):
        keys = min(T, config.window(layer) or T)
        flops += 2 * (2 * D * N * H + 2 * D * K * H + 3 * D * config.hidden_dim) + 4 * N * H * keys
    return flops
    ### END SOLUTION


# %% [markdown]
# The check asks for both sizes of Gemma 1, for Gemma 3 within its window and far beyond it, and for a toy with two key/value heads.

# %%
check("flops_of_last_token", flops_of_last_token)
assert flops_of_last_token(presets.GEMMA3_270M, 1) == 536_158_208 == sum(products(config, T=1).values())

# %% [markdown]
# ## What breaks if…
#
# Answer before you unfold.
#
# **1.** A port of Gemma 3 treats all 18 layers as global, with a window that never ends, but gives each its right theta. You test it with a prompt of 300 tokens and compare the logits. What do you find?
#
# <details><summary>Answer</summary>Nothing. A window of 512 hides nothing from 300 tokens, and masks are equal, as we asserted for 105. The first difference comes with token 513. This is why the toys have W = 4 and texts of 7 tokens.</details>
#
# **2.** Someone runs Gemma 3 270M in float16 and gets NaN, or nonsense, from the first token on, while the same weights work in bfloat16, which has fewer significant bits. Why?
#
# <details><summary>Answer</summary>The stream of the first token, `<bos>`, reaches 104,000 and float16 ends at 65,504. bfloat16 is coarser, but it reaches as far as float32. It is the range that is missing, not the precision.</details>
#
# **3.** A loader forgets the final norm's scale (it multiplies by 1, not by 1 + scale), but keeps the division. Is the greedy text the same, as it was when the division was missing?
#
# <details><summary>Answer</summary>No. The division multiplies a token's whole vector by one number, and no order of logits changes. The scales differ from dimension to dimension: the factor is 0.19 for the loud dimension 163 and 9.28 for the median one. Without them, dimension 163 fills most of what is read out, and says the same to every token: at all 105 positions of the paragraph, the most likely token is one and the same. The cell below asserts it.</details>

# %%
endings_BTD = streams[-1] / divisors_BT[..., None]  # divided, and not scaled
assert len(np.unique(unembed(params.embedding.table, endings_BTD).argmax(axis=-1))) == 1

# %% [markdown]
# ## To take home
#
# Gemma is a list of additions to one vector per token: each sublayer reads a normed copy, and the stream itself is never normed.
#
# A token costs twice as many FLOPs as the model has parameters, and in Gemma 3 270M most of both is the vocabulary.
#
# A mistake in putting the parts together can be fatal, mild, or inaudible in greedy text: comparing logits, with long texts, in float32, catches all three.
#
# **Next.** Lesson 09 gives the same model to a compiler and a cache. To read: Elhage et al., *A Mathematical Framework for Transformer Circuits* (2021), which looks at the residual stream as we did here, and Xiong et al., *On Layer Normalization in the Transformer Architecture* (arXiv:2002.04745), on norms before and after. In the package: `gemma_edu/numpy_model/block.py`, forty lines, all of which you know.
