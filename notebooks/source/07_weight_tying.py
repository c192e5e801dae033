# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/07_weight_tying.ipynb)
#
# # 07 · Weight tying and the 256k vocabulary
#
# Of every 100 parameters of Gemma 3 270M, 63 stand in one table: 262,144 tokens, 640 numbers each. The model reads it twice, first to turn tokens into vectors, and at the end to score every token that could come next. Scored with a table that is √D = 25.3 times too long, the same token stays on top, and yet the perplexity on our test paragraph goes from 8.28 to 60 trillion. In Gemma 2B a second table would add 524,288,000 parameters to 2,506,172,416. And the scores for one text of 8192 tokens fill 8.4 GB, more than the model itself in bfloat16.
#
# *Weight tying* means that input and output share one table. Gemma ties, as GPT-2 and the 2017 Transformer do; Llama 2 and OLMo 7B train two tables.
#
# *40 minutes, and half an hour for the exercises; difficulty 3 of 5. You need matrix products, softmax, and what a gradient is. Lesson 02 (embedding scaling) helps.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The last line asks for full float32 products, which a TPU would otherwise round to 8 significant bits.

# %%
import csv
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import embedding as jax_embedding
from gemma_edu.jax_model import kv_cache
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.jax_model.loss import next_token_losses
from gemma_edu.numpy_model import embedding as numpy_embedding
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import build, count, shapes

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## One table, two jobs
#
# Call the table $E$. It has V rows, one per token of the vocabulary, and D columns, one per number of the residual stream. At the bottom of the model, token number $v$ becomes row $v$ (times √D, which lesson 02 explains). At the top, the stream $x_t$ of each position, after the last norm, is multiplied with *every* row:
#
# $$x^{\text{in}}_{td} = \sqrt{D}\; E_{\text{token}_t,\,d} \qquad\qquad \text{logits}_{tv} = \sum_d x_{td}\, E_{vd}$$
#
# The second is a matrix product, $x E^\top$. Press and Wolf proposed in 2016 to use one table for both (arXiv:1608.05859). The Transformer of 2017 shares it three ways, between the encoder's input, the decoder's input and the output, and multiplies it by √D at the inputs (arXiv:1706.03762, section 3.4). Gemma's report says under "Model Architecture" that embeddings are shared across inputs and outputs "to reduce model size".
#
# By hand, with a vocabulary of four words, two numbers each. **In**, the table is read by row: to look up `dog` is to take row 2. The same as a matrix product: write the token as a row with a single 1, and multiply from the left. The 1 picks the row.

# %%
words = ["the", "cat", "dog", "sat"]
table_VD = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-0.8, 0.6]])

one_hot_V = np.array([0.0, 0.0, 1.0, 0.0])
print(table_VD[2], one_hot_V @ table_VD)
np.testing.assert_array_equal(table_VD[2], one_hot_V @ table_VD)

# %% [markdown]
# **Out**, it is transposed, so that each word's row becomes a column. Say the last layer has left a stream of x = (3, 4). The score of `dog` is 3 · 0.6 + 4 · 0.8 = 5. Do the other three with a pencil before you run the cell.

# %%
x_D = np.array([3.0, 4.0])
logits_V = x_D @ table_VD.T
print(dict(zip(words, (logits_V.round(6) + 0.0).tolist(), strict=True)))
np.testing.assert_allclose(logits_V, [3, 4, 5, 0], atol=1e-12)

# %% [markdown]
# Why does `dog` win? A dot product is $|x|\,|E_v| \cos(\text{angle})$. The stream has length 5, every row has length 1, and `dog` points the same way as x, so its score is 5 · 1 · 1. `sat` stands at a right angle and gets 0. In the picture a logit is the shadow of x on the direction of a row: where do the dashed lines meet the directions of the rows?

# %%
fig, ax = plt.subplots()
ax.annotate("", x_D, (0, 0), arrowprops={"arrowstyle": "->", "color": COLOURS["stream"], "lw": 1.8})
ax.text(3.15, 3.9, "stream x = (3, 4)", color=COLOURS["stream"])
for row_D, logit in zip(table_VD, logits_V, strict=True):
    ax.annotate("", row_D, (0, 0), arrowprops={"arrowstyle": "->", "color": COLOURS["gemma"], "lw": 2.5})
    shadow_D = logit * row_D
    ax.plot(*np.array([x_D, shadow_D]).T, "--", color=COLOURS["gemma"], lw=0.9)
    ax.plot(*shadow_D, "o", color=COLOURS["gemma"], ms=5)
labels = {"the": (3.1, 0.1), "cat": (-0.15, 4.15), "dog": (1.55, 3.1), "sat": (-0.15, -0.5)}
for word, logit in zip(words, logits_V, strict=True):
    ax.text(
        *labels[word],
        f"{word} {abs(logit):.0f}",
        color=COLOURS["gemma"],
        ha="left" if word == "the" else "right",
    )
ax.set(
    xlim=(-1.6, 5.6),
    ylim=(-0.8, 4.7),
    aspect="equal",
    xlabel="stream dimension 0",
    ylabel="stream dimension 1",
)
ax.set_title("A logit is the shadow of the stream on a row")
show(
    fig,
    "The plane with the stream (3, 4) and four rows of length 1 as arrows. The shadow of the stream on the rows has "
    "length 3 for the, 4 for cat, 5 for dog, which points the same way, and 0 for sat, at a right angle.",
)
assert logits_V.argmax() == words.index("dog")

# %% [markdown]
# Softmax turns logits into probabilities, exp(logit) divided by the sum of all four: `dog` gets two thirds.


# %%
def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


print(softmax(logits_V).round(3))
np.testing.assert_allclose(softmax(logits_V)[2], np.e**5 / (np.e**3 + np.e**4 + np.e**5 + 1))

# %% [markdown]
# The other way to a large score is a long row. `cat` is 37° away from x; make its row half as long again, and it wins with 6 against 5 without having moved towards x. In such a table, words can be likely before the sentence has said anything. Whether real Gemma does that, we shall measure.

# %%
long_cat_VD = table_VD * np.array([[1.0], [1.5], [1.0], [1.0]])
print(dict(zip(words, ((x_D @ long_cat_VD.T).round(6) + 0.0).tolist(), strict=True)))
assert words[(x_D @ long_cat_VD.T).argmax()] == "cat"

# %% [markdown]
# ## A loop over the vocabulary, then one line
#
# Written out for a batch of texts: for each text, each position and each token of the vocabulary, one dot product.


# %%
def logits_by_loop(x_BTD, table_VD):
    B, T, _ = x_BTD.shape
    logits_BTV = np.zeros((B, T, len(table_VD)), x_BTD.dtype)
    for b, t in np.ndindex(B, T):
        for v, row_D in enumerate(table_VD):
            logits_BTV[b, t, v] = sum(x * weight for x, weight in zip(x_BTD[b, t], row_D, strict=True))
    return logits_BTV


# %% [markdown]
# In one line, nothing is transposed: the letters say that both factors lose their D. We compare the two on random numbers, every axis of another length.


# %%
def my_logits(x_BTD, table_VD):
    return np.einsum("...D, VD -> ...V", x_BTD, table_VD, optimize=True)


random = np.random.default_rng(0)
small_x_BTD = random.standard_normal((3, 5, 10), np.float32)
small_table_VD = random.standard_normal((11, 10), np.float32)
by_loop = logits_by_loop(small_x_BTD, small_table_VD)
print(by_loop.shape, "B T V")
np.testing.assert_allclose(my_logits(small_x_BTD, small_table_VD), by_loop, atol=1e-5)

# %% [markdown]
# ## The package's version
#
# Three functions. `unembed` is the product. `output_table` says with which matrix, and that is all there is to tying: an `if`. `read_out` puts them together, behind `before_output`, the final norm.


# %%
show_source(numpy_embedding.unembed, numpy_transformer.output_table, numpy_transformer.read_out)

# %% [markdown]
# My line equals the package's function, to 1e-5:

# %% tags=["contract"]
package = numpy_embedding.unembed(small_table_VD, small_x_BTD)
np.testing.assert_allclose(my_logits(small_x_BTD, small_table_VD), package, atol=1e-5)
np.testing.assert_allclose(logits_by_loop(small_x_BTD, small_table_VD), package, atol=1e-5)

# %% [markdown]
# JAX's version writes the einsum as `product`, the package's function for activations times weights (lesson 09 tells why), and has one more argument:

# %%
show_source(jax_embedding.unembed)

# %% [markdown]
# First the same contract as above:

# %% tags=["contract"]
package = jax_embedding.unembed(jnp.asarray(small_table_VD), jnp.asarray(small_x_BTD))
np.testing.assert_allclose(my_logits(small_x_BTD, small_table_VD), package, atol=1e-5)

# %% [markdown]
# `jnp.float32` says in which type to return the sums, whatever the weights are. Gemma's weights are published in bfloat16, and real logits reach 20 and more, where neighbouring bfloat16 numbers are 1/8 apart. Two tokens at 20 and 20.05: what is left of the difference in each type?

# %%
x_BTD = jnp.array([[[20.0, 1.0]]], jnp.bfloat16)
close_table_VD = jnp.array([[1.0, 0.0], [1.0, 0.05]], jnp.bfloat16)
rounded = jnp.einsum("BTD,VD->BTV", x_BTD, close_table_VD)
kept = jax_embedding.unembed(close_table_VD, x_BTD)
print(
    f"{rounded.dtype}: {rounded[0, 0].tolist()}   {kept.dtype}: {np.asarray(kept[0, 0], float).round(2).tolist()}"
)
assert rounded[0, 0, 0] == rounded[0, 0, 1] and kept[0, 0, 0] < kept[0, 0, 1]

# %% [markdown]
# In bfloat16 the two are equal, and the first in the table would be chosen. (DeepMind's launch code leaves the product in the model's type: `google-deepmind/gemma` at f03bf63, `modules.py`.)
#
# ## What the rows of a trained table say
#
# Now a real one. How long are the rows of Gemma 3 270M? Guess the shortest and the longest.

# %%
model = checkpoints.load("gemma3-270m")
config, params, tokenizer = model.config, model.params, model.tokenizer
numpy_params = jax.tree.map(np.asarray, params)
gemma_table_VD = numpy_params.embedding.table
lengths_V = np.sqrt(np.einsum("VD,VD->V", gemma_table_VD, gemma_table_VD))
print(f"{len(lengths_V):,} rows, lengths from {lengths_V.min():.3f} to {lengths_V.max():.3f}")
assert 1.02 < lengths_V.min() and lengths_V.max() < 1.04

# %% [markdown]
# All are of the same length, to half a percent in either direction, even those of the 6242 tokens named `<unused…>`, which are held in reserve. So in this model no token wins by a long row: only direction counts. (We know of no published explanation, and nothing promises it for another model: measure before you rely on it.)
#
# What do directions mean? Take the row of ` Paris`, with its space, and its cosine with every row of the table. Which tokens will be nearest, and what will a typical cosine be?

# %%
paris = tokenizer.encode(" Paris")[0]
cosines_V = gemma_table_VD @ gemma_table_VD[paris] / (lengths_V * lengths_V[paris])
nearest = np.argsort(-cosines_V)[:6]
for token in nearest:
    print(f"{cosines_V[token]:.2f} {tokenizer.decode([int(token)])!r}")
assert {tokenizer.encode(name)[0] for name in (" Paris", "Paris", " London", " Tokyo")} <= set(
    nearest.tolist()
)

# %% [markdown]
# Itself, itself without the space, other capitals, its country. The output side asks for this: a token that may stand where ` Paris` stands should be scored high by the same streams, and that draws the two rows together.

# %%
fig, ax = plt.subplots()
ax.hist(cosines_V, bins=np.arange(-0.21, 1.03, 0.02), color=COLOURS["gemma"])
ax.axvline(0, linestyle=":", color=COLOURS["stream"], lw=1)
for name, height in ((" France", 900), (" London", 200), ("Paris", 50), (" Paris", 12)):
    cosine = cosines_V[tokenizer.encode(name)[0]]
    ax.annotate(
        repr(name),
        (cosine, 1.2),
        (cosine - 0.005, height),
        ha="left",
        arrowprops={"arrowstyle": "-", "lw": 0.8, "relpos": (0, 0)},
    )
ax.set(
    yscale="log",
    xlabel="cosine with the row of ' Paris'",
    ylabel="rows (tokens), logarithmic",
    xlim=(-0.25, 1.2),
)
ax.set_title("A few of 262,144 rows point towards Paris")
show(
    fig,
    "Histogram of the cosines of 262,144 rows with that of Paris. Most lie near the median of "
    f"{np.median(cosines_V):.2f}; to the right, alone, France at 0.75, London at 0.79, Paris without a space at 0.87.",
)
mean_D = gemma_table_VD.mean(0)
assert 0.19 < mean_D @ mean_D / lengths_V.mean() ** 2 < 0.21
assert 0.15 < np.median(cosines_V) < 0.25 and (cosines_V > 0.7).sum() < 50

# %% [markdown]
# The bulk does not stand at 0, where random directions in 640 dimensions would (with a spread of 1/√640 = 0.04), but near 0.2. All rows share a common part, their mean: for rows of one length, the average cosine of two is |mean|² / |row|², and that is 0.20. What the common part contributes to the logits is the same for every token, and softmax takes no notice.
#
# One prediction, taken apart. `numpy_transformer.forward` ends in `unembed`; with that line taken out, it returns the stream itself. Then the winning logit is split into its three factors.

# %%
line = tokenizer.encode("Monday, Tuesday, Wednesday,", add_bos=True)
with mock.patch.object(numpy_transformer, "unembed", lambda table, x: x):
    stream_TD = numpy_transformer.forward(numpy_params, np.array([line]), config)[0]
x_D = stream_TD[-1]
logits_V = my_logits(x_D, gemma_table_VD)
thursday = tokenizer.encode(" Thursday")[0]
assert logits_V.argmax() == thursday

cosines_V = logits_V / (np.linalg.norm(x_D) * lengths_V)
print(
    f"stream {np.linalg.norm(x_D):.1f} x row {lengths_V[thursday]:.3f} x cosine {cosines_V[thursday]:.3f} = {logits_V[thursday]:.2f}"
)
print(f"cosines of all rows: standard deviation {cosines_V.std():.3f}")
assert 0.1 < cosines_V[thursday] < 0.5 and np.linalg.norm(x_D) > 50

# %% [markdown]
# The stream is far from parallel to the winning row. A cosine of 0.24 is enough, because nearly everything else is smaller still, and because the final norm makes the stream long, which turns small differences of angle into large differences of logits. Remember that length: whoever changes it, or the rows', changes how sure the model is.
#
# Tying also has a price. Run the model without layers and without the final norm, straight from embedding to logits, on each word of a paragraph. What does it predict?

# %%
paragraph = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
some_tokens = np.array([tokenizer.encode(word)[0] for word in paragraph.split()])
without_layers = my_logits(gemma_table_VD[some_tokens], gemma_table_VD).argmax(-1)
print(f"{(without_layers == some_tokens).sum()} of {len(some_tokens)} tokens predict themselves")
assert (without_layers == some_tokens).all()

# %% [markdown]
# The token it has just read: with rows of one length, no row fits a row better than itself. And since $E E^\top$ is symmetric, `New` would score `York` exactly as `York` scores `New`. The layers have to undo this. An untied model could learn from its two tables alone what follows what.
#
# ## Two gradients for one table
#
# A weight that is used in two places gets a gradient from each, and the two add up. To see them apart, untie a tiny Gemma (one layer, V = 11): copy its table and let the output use the copy. The logits stay what they are, but now each copy collects only its own gradient. All it takes is one flipped field of the config, `tie_embedding=False`, which asks for one more leaf. The text uses 4 of the 11 tokens: 1, 4, 7 and 9.


# %%
def noisy(config, seed=0):
    """Random weights without a zero in them: zeros hide mistakes."""
    random = np.random.default_rng(seed)
    return build(config, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))


def untie(params):
    """The same model with a copy of its table as output matrix."""
    return params._replace(embedding=params.embedding._replace(output=params.embedding.table))


tied_config = presets.TINY_GEMMA_2B.replace(num_layers=1)
untied_config = tied_config.replace(tie_embedding=False)
print("new leaf:", set(shapes(untied_config)) - set(shapes(tied_config)))

tokens_BT = np.array([[4, 7, 4, 1, 9, 7]])
weights = noisy(tied_config)
logits_BTV = numpy_transformer.forward(weights, tokens_BT, tied_config)
same_BTV = numpy_transformer.forward(untie(weights), tokens_BT, untied_config)
np.testing.assert_array_equal(same_BTV, logits_BTV)

# %% [markdown]
# Now the gradient of the loss with respect to the tied table, and to each of the two copies:


# %%
@partial(jax.jit, static_argnames="config")
@jax.grad
def gradient_of(params, config):
    return next_token_losses(jax_transformer.forward(params, tokens_BT, config), tokens_BT).mean()


tied = gradient_of(weights, tied_config).embedding.table
by_use = gradient_of(untie(weights), untied_config).embedding
np.testing.assert_allclose(tied, by_use.table + by_use.output, rtol=1e-4, atol=1e-6)
assert not np.allclose(by_use.table, by_use.output, atol=0.01)
print("tied gradient = input part + output part, to 1e-4")

# %% [markdown]
# Which rows does each part touch? Predict: how many of the 11 black bars are there, how many blue ones?

# %%
input_part_V, output_part_V = (
    np.linalg.norm(np.asarray(part), axis=1) for part in (by_use.table, by_use.output)
)
fig, ax = plt.subplots()
rows = np.arange(11)
ax.bar(rows - 0.2, output_part_V, 0.4, color=COLOURS["gemma"])
ax.bar(rows + 0.2, input_part_V, 0.4, color=COLOURS["stream"])
ax.text(0.99, 0.96, "output use: every row", color=COLOURS["gemma"], ha="right", transform=ax.transAxes)
ax.text(
    0.99, 0.88, "input use: tokens 1, 4, 7, 9", color=COLOURS["stream"], ha="right", transform=ax.transAxes
)
ax.set(
    xlabel="row of the table (token)",
    ylabel="length of the row's gradient",
    xticks=rows,
    ylim=(0, 1.25 * max(input_part_V.max(), output_part_V.max())),
)
ax.set_title("The input touches the tokens of the text, the output every row")
show(
    fig,
    "Gradient length for each of 11 rows. The part from the output is above zero in all 11, the part from the input "
    "only in rows 1, 4, 7 and 9, the tokens of the text.",
)
assert np.flatnonzero(input_part_V).tolist() == [1, 4, 7, 9] and (output_part_V > 0).all()

# %% [markdown]
# Softmax gives no token a probability of exactly 0, so every row is pushed away a little from every stream that it did not belong to. In a model with 256,000 rows and two tables, the input row of a rare token gets a gradient only when that token occurs. Tied, it gets one at every step.
#
# The real table bears the trace. If no training text contains the placeholders `<unused…>`, their rows have had nothing but the output's pushes, nearly the same for all of them. Where will these rows point? For comparison, as many rows from the middle of the table.

# %%
unused = [token for piece, token in tokenizer.control.items() if piece.startswith("<unused")]
assert len(unused) == 6242
for name, rows in (("unused", unused[:99]), ("ordinary", range(100_000, 100_099))):
    units = gemma_table_VD[list(rows)] / lengths_V[list(rows), None]
    between = (units @ units.T)[np.triu_indices(99, 1)]
    print(f"99 {name} tokens: median cosine between two rows {np.median(between):.2f}")
    assert np.median(between) > 0.9 if name == "unused" else np.median(between) < 0.4

# %% [markdown]
# Nearly all in one direction. That is what we expect of rows that have always been pushed the same way, though the training text is not published, and we cannot look.
#
# ## Where scaling and tying meet
#
# One table, two jobs, and the jobs disagree about how long a row should be. Take streams whose numbers are of size 1, as a norm leaves them, and random rows of D = 640 numbers. A model that knows nothing should be unsure, with a loss of ln V, here 7.6 nats. We try rows of length 1, and rows of length √D, whose single numbers are of size 1 like the stream's.

# %%
random = np.random.default_rng(0)
V, D = 2000, 640
x_TD, directions_VD = random.standard_normal((300, D)), random.standard_normal((V, D)) / np.sqrt(D)
for name, length in (("1", 1.0), ("sqrt(D)", np.sqrt(D))):
    logits_TV = x_TD @ (length * directions_VD).T
    losses_T = np.log(np.exp(logits_TV).sum(-1)) - logits_TV[:, 0]  # token 0 is as good a target as any
    size = np.sqrt(np.mean((length * directions_VD) ** 2))
    print(
        f"rows of length {name:7} numbers in the stream {size:4.2f}, first loss {losses_T.mean():5.1f} nats"
    )
    assert losses_T.mean() < 9 if length == 1 else losses_T.mean() > 50

# %% [markdown]
# Rows for reading out should have length 1, or the model starts certain of nonsense. Rows for the stream should be √D times as long, or the embedding is small beside what the layers add. The factor of 2017 allows both: rows of length 1, and × √D at the input only. Gemma 3 fits to a few percent: a row of length 1.03 has numbers of size 1.03/√D, so in the stream, after × √D, they have size 1.03.
#
# A model with two tables has no such conflict: each can have the length that its job asks for. So predict which of the models below scale their embeddings, knowing which ones tie.

# %%
for preset in presets.FULL_SIZE:
    print(f"{preset.name:17} ties: {preset.tie_embedding!s:6} scales: {preset.scale_embedding}")
assert all(not preset.scale_embedding for preset in presets.FULL_SIZE if not preset.tie_embedding)

# %% [markdown]
# In this list, no model scales without tying. The reverse does not hold: GPT-2 ties, and does not scale.
#
# ## What a second table costs
#
# How large a part of each model is its table? `count` gives the parameters by component in closed form. Rank them before you look: Gemma 2B, 7B and 270M, Llama 2 7B, OLMo 7B, GPT-2 124M and 1.5B, and the 2017 Transformer's two decoders.

# %%
shares = {}
for preset in presets.FULL_SIZE:
    parts = count(preset)
    shares[preset.name] = np.array([parts["embedding"], parts["output"]]) / parts["total"]
shares = dict(sorted(shares.items(), key=lambda item: item[1].sum()))
np.testing.assert_allclose(shares["Gemma 2B"][0], 0.209, atol=5e-4)
np.testing.assert_allclose(shares["Gemma 7B"][0], 0.092, atol=5e-4)
assert count(presets.GEMMA3_270M)["embedding"] == 167_772_160

# %% [markdown]
# Filled: the input table. Outlined: a separate output table.

# %%
family = {"Gemma": "gemma", "Llama": "llama2", "OLMo": "olmo", "GPT-2": "gpt2", "Transformer": "stream"}
colours = [COLOURS[family[name.split()[0]]] for name in shares]
fig, ax = plt.subplots()
inputs, outputs = 100 * np.array(list(shares.values())).T
ax.barh(list(shares), inputs, color=colours)
ax.barh(list(shares), outputs, left=inputs, color="white", edgecolor=colours)
for row, total in enumerate(inputs + outputs):
    ax.text(total + 0.8, row, f"{total:.1f}", va="center")
ax.set(xlabel="share of all parameters (%)", xlim=(0, 72))
ax.set_title("In small models the table is a large part")
listed = ", ".join(f"{name} {100 * share.sum():.1f} %" for name, share in shares.items())
show(fig, f"Share of the embedding table (and output table, where separate) in all parameters: {listed}.")
assert list(shares)[-1] == "Gemma 3 270M" and list(shares)[0] == "Llama 2 7B"

# %% [markdown]
# Two things make a table heavy: many rows, and little else beside them. Llama 2 7B can afford two tables, as 32,000 rows are 2 % of it. Gemma 3 270M would grow by 63 % with a second. What would Gemma 2B weigh untied, and what would tying save Llama 2?

# %%
gemma_untied = count(presets.GEMMA_2B.replace(tie_embedding=False))["total"]
llama_tied = count(presets.LLAMA2_7B.replace(tie_embedding=True))["total"]
saved = count(presets.LLAMA2_7B)["total"] - llama_tied
print(f"Gemma 2B {count(presets.GEMMA_2B)['total']:,}, untied {gemma_untied:,}")
print(f"Llama 2 7B {count(presets.LLAMA2_7B)['total']:,}, tied {saved:,} fewer")
assert gemma_untied == 3_030_460_416 and saved == 131_072_000

# %% [markdown]
# A parameter count can show whether a model ties. OLMo is a case. The summary of Gemma's design from which this course started says that OLMo ties its weights, too. (Its six points are those of [a note by Sebastian Raschka](https://substack.com/@rasbt/note/c-50257692) of 24 February 2024, with whose wording we have not compared it.) OLMo 7B has 6,888,095,744 parameters. Which of the two does that fit?

# %%
for ties in (True, False):
    total = count(presets.OLMO_7B.replace(tie_embedding=ties))["total"]
    print(f"OLMo 7B, tied {ties!s:5}: {total:,}", "  <- the published model" * (total == 6_888_095_744))
assert count(presets.OLMO_7B)["total"] == 6_888_095_744 and not presets.OLMO_7B.tie_embedding

# %% [markdown]
# OLMo 7B does not tie: `weight_tying: false` in its own config (`allenai/OLMo`, `configs/official-0724/OLMo-7B.yaml`). OLMo 1B does, `weight_tying: true`. So the statement holds for the small model and not for the large one.
#
# ## What 256,000 rows cost, and what they buy
#
# The table is also the widest matrix of the model, and it is used once per position. Ask for logits at every position of one text of 8192 tokens: how much memory do they take in float32? `jax.eval_shape` runs the model on shapes alone.

# %%
gemma_2b = presets.GEMMA_2B
shapes_only = build(gemma_2b, lambda name, shape: jax.ShapeDtypeStruct(shape, jnp.bfloat16))
text = jax.ShapeDtypeStruct((1, 8192), jnp.int32)
everywhere = jax.eval_shape(partial(jax_transformer.forward, config=gemma_2b), shapes_only, text)
bytes_everywhere = everywhere.size * everywhere.dtype.itemsize
bytes_of_model = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes_only))
print(
    f"logits {everywhere.shape}: {bytes_everywhere / 1e9:.2f} GB; the model itself {bytes_of_model / 1e9:.2f} GB"
)
assert everywhere.shape == (1, 8192, 256_000) and bytes_everywhere > 1.6 * bytes_of_model

# %% [markdown]
# One text's scores weigh more than all weights. Whoever writes text needs only the scores after the last token, so `prefill`, which reads a prompt, slices the stream to its last position *before* the product:

# %%
no_padding = jax.ShapeDtypeStruct((1,), jnp.int32)
read = partial(kv_cache.prefill, config=gemma_2b, capacity=8192)
last, _ = jax.eval_shape(read, shapes_only, text, no_padding)
print(f"logits {last.shape}: {last.size * last.dtype.itemsize / 1e6:.3f} MB")
assert bytes_everywhere / (last.size * last.dtype.itemsize) == 8192

# %% [markdown]
# A training run has no such way out. It needs all positions, of every text of a batch, and can only compute them a piece at a time.
#
# Then the arithmetic. A lookup multiplies nothing; the output product needs a multiplication and an addition for each of the V · D weights. As a share of all matrix products for one token (without attention's scores, which grow with the text), what will it be for Gemma 2B?


# %%
def output_share(config):
    """The output product's share of the multiplications for one token."""
    parts = count(config)
    product = config.vocab_size * config.embed_dim
    return product / (product + parts["attention"] + parts["feedforward"])


for preset in (presets.GEMMA_2B, presets.GEMMA_7B, presets.GEMMA3_270M, presets.LLAMA2_7B, presets.OLMO_7B):
    print(f"{preset.name:13} {100 * output_share(preset):.1f} %")
np.testing.assert_allclose(output_share(presets.GEMMA_2B), shares["Gemma 2B"][0], rtol=1e-3)
assert output_share(presets.GEMMA3_270M) > 0.62 and output_share(presets.LLAMA2_7B) < 0.02

# %% [markdown]
# The same 20.9 % as its share of the parameters: a tied table does one multiplication per weight and token, like every other matrix. The input table of an untied model costs memory and no multiplication.
#
# What does it buy? Fewer tokens. Spelled in UTF-8 bytes, any text would do with 256 rows. Here is the first sentence of article 1 of the Universal Declaration of Human Rights in eight languages, spelled in bytes and in tokens of the installed tokenizer (Gemma 3's, 262,144 pieces; Gemma 1 has 256,000). Which language gains most?

# %%
article_1 = {
    "English": "All human beings are born free and equal in dignity and rights.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "Arabic": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。",
    "Japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "Korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
}

lengths = {}
for language, sentence in article_1.items():
    lengths[language] = len(sentence), len(sentence.encode()), len(tokenizer.encode(sentence))
    print(
        f"{language:9} {lengths[language][0]:3} characters {lengths[language][1]:4} bytes {lengths[language][2]:3} tokens"
    )
assert all(3 * tokens < spelled for _, spelled, tokens in lengths.values())

names = sorted(lengths, key=lambda language: lengths[language][1] / lengths[language][2])
per_token = [lengths[language][1] / lengths[language][2] for language in names]
fig, ax = plt.subplots()
ax.bar_label(ax.barh(names, per_token, color=COLOURS["gemma"]), fmt="%.1f", padding=3)
ax.axvline(1, linestyle="--", color=COLOURS["stream"])
ax.text(5.2, 0, "dashed: a vocabulary of bytes", color=COLOURS["stream"], va="center")
ax.set(xlabel="UTF-8 bytes per token", xlim=(0, 12.5))
ax.set_title("262,144 rows: a token carries 4 to 11 bytes")
listed = ", ".join(f"{language} {value:.1f}" for language, value in zip(names, per_token, strict=True))
show(fig, f"UTF-8 bytes per token of one sentence: {listed}. A vocabulary of single bytes would have 1.")
assert names[-1] == "Hindi" and min(per_token) > 3.5

# %% [markdown]
# All eight need about as many tokens, 13 to 23, though Hindi takes almost four times as many bytes as English. Each token saved saves a pass through all layers, a place in the cache, and a place in the context. Spelled in bytes, the Hindi sentence would need eleven of each where one is enough. That is what the table is for.
#
# ## 256,128 or 256,000?
#
# The report's Table 1 gives a vocabulary of 256,128. PyTorch, Hugging Face, Keras and the tokenizer say 256,000. Table 2 settles which one the report counted:

# %%
with course_data.path("gemma_report_table2.csv").open(encoding="utf-8") as file:
    published = next(row for row in csv.DictReader(file) if row["row"] == "Embedding Parameters")
for column, preset in (("gemma_2b", presets.GEMMA_2B), ("gemma_7b", presets.GEMMA_7B)):
    print(
        f"{preset.name}: Table 2 says {int(published[column]):,}; 256128 x D = {256_128 * preset.embed_dim:,}"
    )
    assert int(published[column]) == 256_128 * preset.embed_dim != count(preset)["embedding"]

# %% [markdown]
# The Flax files have 128 rows more than there are tokens. Why? The one explanation that we have found is a comment in the Keras converter: "Upstream pads for TPU efficiency, but this leads to weird gotchas" (`keras-hub`, `tools/checkpoint_conversion/convert_gemma_checkpoints.py`). Padding can round up to a multiple of a power of two, as OLMo 7B's does: 50,280 tokens, 50,304 rows. Can that be the reason here?


# %%
def power_of_two(number):
    """The largest power of two that divides it."""
    return number & -number  # the lowest bit that is set


for number in (50_280, 50_304, 256_000, 256_128):
    print(f"{number:7,} = {power_of_two(number):4} x {number // power_of_two(number)}")
assert power_of_two(50_280) < power_of_two(50_304) == 128
assert power_of_two(256_000) == 2048 > power_of_two(256_128) == 128

# %% [markdown]
# OLMo's padding makes the number rounder. Gemma's makes it less round: 256,000 is a multiple of 2048 already, and 256,128 only of 128. So rounding up to such a multiple is not the reason. The comment may mean some other efficiency, on which this arithmetic says nothing. We know *that* there are 128 more rows, and not why.
#
# They have consequences, though. Suppose that nothing ever trained those rows, that they are zero, and that this stream happens to dislike all four real words. Which token is most likely?

# %%
padded_VD = np.concatenate([table_VD, np.zeros((2, 2))])
gloomy_D = np.array([-0.5, -2.0])
logits_V = gloomy_D @ padded_VD.T
print(logits_V.round(2), "-> token", logits_V.argmax(), "of a vocabulary of 0 to 3")
assert logits_V[:2].max() < 0 and logits_V[2] < 0 and gloomy_D @ table_VD[3] < 0 and logits_V.argmax() >= 4

# %% [markdown]
# A token that does not exist: 0 beats every negative number. So slice the padding off, as the PyTorch, Hugging Face and Keras files do, or set its logits to −∞ before the softmax. To set them to 0 would be this bug.
#
# Rows that took part in training are safer, as the figure of the gradients says: the output part reaches every row, also one that no text contains, and makes its token less likely. Only rows that came later, or whose logits the loss never saw, stay where they started.
#
# ## Break it on purpose
#
# First on paper. The product needs a matrix with V columns. `table.T` has them, and so has `table.reshape(D, V)`, which fills them with the same numbers in another order. No error, the right shape:

# %%
x_D = np.array([3.0, 4.0])
for name, matrix_DV in (("transposed", table_VD.T), ("reshaped", table_VD.reshape(2, 4))):
    print(f"{name:10}", ((x_D @ matrix_DV).round(6) + 0.0).tolist())
np.testing.assert_allclose(x_D @ table_VD.reshape(2, 4), [5.4, 3.2, -3.2, 5.4], atol=1e-12)

# %% [markdown]
# Now the real model. We untie it, so that the output has a matrix of its own. With an exact copy, the logits must be what they were. But count what the optimiser, or a file, or you would count:

# %%
untied_gemma = config.replace(tie_embedding=False)
untied_params = untie(numpy_params)
untied_TV = numpy_transformer.forward(untied_params, np.array([line]), untied_gemma)[0]
np.testing.assert_allclose(untied_TV, my_logits(stream_TD, gemma_table_VD), atol=1e-4)

leaves = jax.tree.leaves(untied_params)
print(f"{sum(leaf.size for leaf in leaves):,} numbers in the leaves, {count(config)['total']:,} in the model")
assert untied_params.embedding.output is untied_params.embedding.table
assert sum(leaf.size for leaf in leaves) == count(untied_gemma)["total"] == 435_870_336

# %% [markdown]
# The two leaves are one array in memory, and a sum over leaves counts it twice. Save the tree leaf by leaf, and the file holds two. Train it, and they part: each gets its own part of the gradient, and we saw that the parts differ.
#
# Now the paragraph that the course uses throughout. All that follows changes the output matrix and nothing before it, so we run the layers once and keep the stream.

# %%
tokens_T = tokenizer.encode(paragraph, add_bos=True)


@partial(jax.jit, static_argnames="config")
def last_stream(params, tokens_BT, config):
    # traced once, so patched for good
    with mock.patch.object(jax_transformer, "unembed", lambda table, x: x):
        return jax_transformer.forward(params, tokens_BT, config)


paragraph_BTD = last_stream(params, jnp.array([tokens_T]), config)
assert paragraph_BTD.shape == (1, 105, config.embed_dim)

# %% [markdown]
# *Perplexity* is exp of the mean loss: 8 means as unsure as among 8 equally likely tokens. Of the last 103 tokens, as everywhere in the course:


# %%
@jax.jit
def heard(logits_BTV):
    """Perplexity of the paragraph with these logits."""
    return jnp.exp(next_token_losses(logits_BTV, jnp.array([tokens_T]))[0, 1:].mean())


table = params.embedding.table
logits_BTV = jax_embedding.unembed(table, paragraph_BTD)
published = float(heard(logits_BTV))
print(f"scored with the table: perplexity {published:.2f}")
np.testing.assert_allclose(published, 8.28, atol=0.02)

# %% [markdown]
# Now four wrong output matrices: the table with the factor of the input, × √D; divided by √D; reshaped instead of transposed; and random rows of the right length, as when a file has no output matrix, and the loader does not know that it should tie and fills one in. A model that has learned nothing, equally unsure of everything, would have a perplexity of V = 262,144. Which of the four do better than that? (A matrix √D times as long gives logits √D times as large, so for two of the four no new product is needed.)

# %%
size = float(lengths_V.mean()) * np.sqrt(12 / config.embed_dim)
random_VD = np.random.default_rng(0).random(table.shape, np.float32)  # from 0 to 1
random_VD -= 0.5
random_VD *= size  # now the rows are as long as the table's
random_BTV = jax_embedding.unembed(random_VD, paragraph_BTD)
reshaped_BTV = jax_embedding.unembed(table.reshape(config.embed_dim, -1).T, paragraph_BTD)

root = np.float32(np.sqrt(config.embed_dim))
broken = {"tied": published}
broken["table / sqrt(D)"] = float(heard(logits_BTV / root))
broken["random rows"] = float(heard(random_BTV))
broken["table x sqrt(D)"] = float(heard(logits_BTV * root))
broken["reshaped"] = float(heard(reshaped_BTV))
for name, value in broken.items():
    print(f"{name:16} {value:9.1e}")
assert broken["table / sqrt(D)"] < config.vocab_size < 1e9 < broken["random rows"]
assert 5e13 < broken["table x sqrt(D)"] < 7e13 < broken["reshaped"]

# %% [markdown]
# Only the table / √D, whose logits are so small that every prediction is nearly flat. The others are worse than knowing nothing, for they are *sure*. Random rows still meet a stream as long as 109, and some of 262,144 wrong tokens get large scores. With × √D the order of the tokens stays as it was; the damage is in the probabilities. After *Monday, Tuesday, Wednesday,*:


# %%
logits_TV = my_logits(stream_TD, gemma_table_VD)
for name, factor in (("x 1", 1), ("x sqrt(D)", root), ("/ sqrt(D)", 1 / root)):
    print(f"logits {name:10} p(Thursday) = {softmax(factor * logits_TV[-1])[thursday]:.5f}")
np.testing.assert_array_equal((root * logits_TV).argmax(-1), logits_TV.argmax(-1))
np.testing.assert_allclose(np.log([published, broken["table x sqrt(D)"]]), [2.1, 31.7], atol=0.1)
assert softmax(root * logits_TV[-1])[thursday] > 0.9999 > 0.001 > softmax(logits_TV[-1] / root)[thursday]

# %% [markdown]
# Greedy decoding, which always takes the top token, would never show this bug. The loss shows it at once. A perplexity of 6 · 10<sup>13</sup> is a mean loss of 32 nats per token (its logarithm), where 2.1 was enough: whenever the text goes on differently, a model that is this sure pays for it.
#
# Last, a copy that has drifted. We add to each row a random vector, by length 3, 30 and 100 % of the row. The logits of the sum are the sum of the logits. How much can the output matrix take? Guess three numbers. The figure then shows all that we have tried.

# %%
drift = {amount: float(heard(logits_BTV + amount * random_BTV)) for amount in (0.03, 0.3, 1.0)}
for amount, value in drift.items():
    print(f"{100 * amount:5.0f} % noise: perplexity {value:9.2f}")
assert 1 < drift[0.03] / published < 1.1 < drift[0.3] / published < 5 < drift[1.0] / published

broken |= {f"{100 * amount:.0f} % noise": value for amount, value in drift.items()}
ranked = dict(sorted(broken.items(), key=lambda item: item[1]))
fig, ax = plt.subplots()
ax.barh(list(ranked), np.log10(list(ranked.values())), color=COLOURS["gemma"])
for row, value in enumerate(ranked.values()):
    label = f"{value:.1f}" if value < 100 else f"{value:.1e}"
    right = np.log10(value) + 0.4
    ax.text(max(right, 5.9) if value > 100 else right, row, label, va="center")  # not across the dashed line
ax.axvline(np.log10(config.vocab_size), linestyle="--", color=COLOURS["stream"], zorder=0)
ax.text(7, 0.5, "dashed: knows nothing, 262,144", va="center", color=COLOURS["stream"])
ax.invert_yaxis()
ax.set(xlabel="log10 of the perplexity", xlim=(0, 40))
ax.set_title("A little noise is forgiven, a wrong length or order is not")
show(
    fig,
    "Perplexity with another output matrix: " + "; ".join(f"{k} {v:.3g}" for k, v in ranked.items()) + ".",
)
assert list(ranked)[:2] == ["tied", "3 % noise"]

# %% [markdown]
# Noise of 3 % per row changes the perplexity in the first decimal only. A small change of direction does little harm; a wrong length or a wrong order does much.
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it. When an answer is not right, the check says where, and often why.
#
# ### 1 · Only the last position
#
# *Difficulty 1 of 5, 4 minutes.* Write `next_logits(x_BTD, table_VD)`: the logits after the last position of each text, of shape B V, without computing the others. First example: for a single text whose two positions are (9, 9) and (3, 4), and the four-word table from the top, `next_logits` gives `[[3, 4, 5, 0]]`.
#
# ```python
# def next_logits(x_BTD, table_VD):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The section on what 256,000 rows cost says where <code>prefill</code> slices.</details>
# <details><summary>Hint 2</summary>Slice the stream to B D first, then multiply with the table, transposed.</details>
# <details><summary>Hint 3</summary>The slice is <code>x_BTD[:, -1]</code>; what remains is one <code>@</code>.</details>


# %% tags=["solution", "hide-input"]
def next_logits(x_BTD, table_VD):
    ### BEGIN SOLUTION
    return x_BTD[:, -1] @ table_VD.T
    ### END SOLUTION


# %% [markdown]
# Three batches, one with a single position, one with V = D:

# %%
check("next_logits", next_logits)

# %% [markdown]
# ### 2 · Tokens that do not exist
#
# *Difficulty 2 of 5, 6 minutes.* A table has more rows than there are tokens. Write `odds_without_padding(logits, vocab_size)`: probabilities of the same shape as `logits` (any number of axes, the vocabulary last), in which every row from number `vocab_size` on has probability 0 and the rest sum to 1. First example: `odds_without_padding(np.array([-1.0, -1.0, 0.0]), 2)` gives `[0.5, 0.5, 0]`.
#
# ```python
# def odds_without_padding(logits, vocab_size):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>See the end of the section on 256,128 rows: what must a padded logit be, and when?</details>
# <details><summary>Hint 2</summary>Make a mask of the V rows, put −∞ where it says padding, and take the softmax (the one from the top works on any number of axes). Make a new array, do not write into <code>logits</code>.</details>
# <details><summary>Hint 3</summary><code>real = np.arange(logits.shape[-1]) &lt; vocab_size</code>, then <code>np.where(real, …, -np.inf)</code> inside the softmax.</details>


# %% tags=["solution", "hide-input"]
def odds_without_padding(logits, vocab_size):
    ### BEGIN SOLUTION
    real = np.arange(logits.shape[-1]) < vocab_size
    return softmax(np.where(real, logits, -np.inf))
    ### END SOLUTION


# %% [markdown]
# Logits that are mostly negative, with four padded rows, one, and none:

# %%
check("odds_without_padding", odds_without_padding)

# %% [markdown]
# ### 3 · The tied gradient by hand
#
# *Difficulty 4 of 5, 12 minutes.* Backpropagation has arrived at the two places where a tied, scaled table was used. At the input, `d_input_TD` is the loss's gradient with respect to the scaled embeddings, √D · table[tokens]. At the output, `d_logits_TV` is that with respect to the logits, x_TD @ table.T. Write `tied_gradient(tokens_T, d_input_TD, x_TD, d_logits_TV)`: the gradient of the table, V D. First example: one token, number 1, D = 4, V = 2, `d_input_TD` all ones, `x_TD` all ones, `d_logits_TV = [[3, 0]]`; then row 0 of the result is all 3 and row 1 all 2.
#
# ```python
# def tied_gradient(tokens_T, d_input_TD, x_TD, d_logits_TV):
#     d_table_VD = ...
#     ...
#     return d_table_VD
# ```
#
# <details><summary>Hint 1</summary>Two gradients for one table. Which rows does the output part touch, which the input part, and what if a token occurs twice?</details>
# <details><summary>Hint 2</summary>Row v of the output part is the sum over positions of d_logits[t, v] · x[t]: a product of two matrices. Then add √D · d_input[t] to row tokens[t], for each t.</details>
# <details><summary>Hint 3</summary>Start with <code>d_table_VD = d_logits_TV.T @ x_TD</code>. <code>np.add.at(d_table_VD, tokens_T, …)</code> adds to a row as often as its token occurs, which <code>+=</code> does not.</details>


# %% tags=["solution", "hide-input"]
def tied_gradient(tokens_T, d_input_TD, x_TD, d_logits_TV):
    ### BEGIN SOLUTION
    d_table_VD = d_logits_TV.T @ x_TD
    np.add.at(d_table_VD, tokens_T, np.sqrt(x_TD.shape[1]) * d_input_TD)
    return d_table_VD
    ### END SOLUTION


# %% [markdown]
# Texts with and without repeated tokens, one of a single token three times:

# %%
check("tied_gradient", tied_gradient)

# %% [markdown]
# ### 4 · What a file really holds
#
# *Difficulty 2 of 5, 7 minutes.* A checkpoint's `file` is a dict of names and shapes. Its embedding is called `"table"`, its output matrix, if there is one, `"output"`, both of shape (rows, D). Write `used_parameters(file, tied, vocab_size)`: how many parameters the model uses. Padded rows, those from `vocab_size` on, do not count. A tied model's file may hold the same matrix twice, and it counts once. First example: `used_parameters({"table": (6, 2), "output": (6, 2), "norm": (2,)}, True, 5)` gives 12.
#
# ```python
# def used_parameters(file, tied, vocab_size):
#     total = 0
#     for name, shape in file.items():
#         ...
#     return total
# ```
#
# <details><summary>Hint 1</summary>The tree with two leaves in <i>Break it on purpose</i> has the first trap, the section on 256,128 rows the second.</details>
# <details><summary>Hint 2</summary>Three kinds of names: the table, the output matrix, and all others. For the first two, which factor of the shape do you replace, and when is it 0?</details>
# <details><summary>Hint 3</summary><code>rows = {"table": vocab_size, "output": 0 if tied else vocab_size}</code>. For names in <code>rows</code> add <code>rows[name] * shape[1]</code>, for the others the product of the shape.</details>


# %% tags=["solution", "hide-input"]
def used_parameters(file, tied, vocab_size):
    ### BEGIN SOLUTION
    total = 0
    rows = {"table": vocab_size, "output": 0 if tied else vocab_size}
    for name, shape in file.items():
        total += rows[name] * shape[1] if name in rows else int(np.prod(shape))
    return total
    ### END SOLUTION


# %% [markdown]
# A padded file tied, the same untied, and one without an output matrix:

# %%
check("used_parameters", used_parameters)

# %% [markdown]
# ### 5 · Read it off the total
#
# *Difficulty 3 of 5, 8 minutes.* The other way round: a model's `total` parameter count is published, and you know the `rest` (attention, feed-forward and norms), the tokenizer's `vocab_size` and `embed_dim`. Write `tables_and_rows(total, rest, vocab_size, embed_dim)`: whether there are 1 or 2 tables, and how many rows each has. There may be padding, though never as many padded rows as real ones. First example: Gemma 2B, `tables_and_rows(2_506_172_416, 1_981_884_416, 256_000, 2048)`, gives `(1, 256000)`.
#
# ```python
# def tables_and_rows(total, rest, vocab_size, embed_dim):
#     ...
#     return tables, rows
# ```
#
# <details><summary>Hint 1</summary>You have done the first half of it for OLMo 7B. How many rows are there in all?</details>
# <details><summary>Hint 2</summary>All rows together are (total − rest) / D. Two tables have at least 2 · vocab_size of them; one table, even padded, has fewer.</details>
# <details><summary>Hint 3</summary><code>rows = (total - rest) // embed_dim</code> and <code>tables = 2 if rows &gt;= 2 * vocab_size else 1</code>; return the rows of one table.</details>


# %% tags=["solution", "hide-input"]
def tables_and_rows(total, rest, vocab_size, embed_dim):
    ### BEGIN SOLUTION
    rows = (total - rest) // embed_dim
    tables = 2 if rows >= 2 * vocab_size else 1
    return tables, rows // tables
    ### END SOLUTION


# %% [markdown]
# Four published totals: Gemma 2B as PyTorch and as Flax count it, Llama 2 7B, OLMo 7B.

# %%
check("tables_and_rows", tables_and_rows)

# %% [markdown]
# ## What breaks if…
#
# **1.** …a loader reads Gemma's file, finds no output matrix, and fills one with random numbers? Will the perplexity be near 262,144, below, or above?
#
# <details><summary>Answer</summary>Far above: 2.1 · 10<sup>10</sup> for random rows of the table's length. A model that spreads its probability evenly has a perplexity of V. This one has a stream of length 109 and scores every token with it, so that random logits differ by several units, the softmax is confident, and it is nearly always wrong.</details>
#
# **2.** …someone trains a tied model but freezes the input side, "since embeddings are learned already"? Which rows still get a gradient, and from where?
#
# <details><summary>Answer</summary>All of them, from the output. In the figure of the gradients the blue bars stand in every row, the black ones only in the rows of the text. If the frozen side is a copy, the two tables part at the first step, and from then on the model is untied. If it is the same array, only the black bars disappear, and the input moves with the output.</details>
#
# **3.** …you drop × √D at the input and, to make up for it, make all rows of the tied table √D times as long?
#
# <details><summary>Answer</summary>The layers notice nothing: √D · (row) and (√D · row) are the same stream. The output breaks. Every logit grows by √D, which on the real model keeps the top token and sends the perplexity to 6 · 10<sup>13</sup>. Without tying, the trick is harmless, because the output matrix stays as it was. So a model with two tables, like Llama 2, can do without the factor.</details>
#
# ## To take home
#
# A tied table is read by row at the bottom and by dot product at the top, and tokens that can stand in the same places get similar rows. Its gradient is the sum of two, and the output's part reaches every row at every step. A large vocabulary is paid for in parameters (20.9 % of Gemma 2B), in arithmetic (the same share) and in logits that can outweigh the model; in our eight sentences it buys one token where bytes would need 4 to 11.
#
# **Next.** Lesson 08 puts all the pieces together, in plain NumPy. To read: Press and Wolf, *Using the Output Embedding to Improve Language Models* (arXiv:1608.05859), which proposes tying, and section 3.4 of *Attention Is All You Need* (arXiv:1706.03762), one paragraph.
