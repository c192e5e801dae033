# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/12_gemma_llama_olmo.ipynb)
#
# # 12 · Gemma, Llama 2, OLMo, GPT-2 and the original Transformer as an executable diff
#
# Our config has 23 fields. Llama 2 7B and Gemma 7B fill 13 of them differently, Llama 2 7B and OLMo 7B three. Which of these differences change what a model *can* compute, and which only the way it is written down? In this lesson a real Gemma takes over all of Llama 2's answers, one field after the other, with its weights rewritten to match. After the first five, its perplexity on our test paragraph is 8.28, as before. After the last it is 8.22. If the weights are not rewritten, a single one of these flips can make it a thousand million. Then twenty small models learn from the same text, and of fifteen single choices only the two that add positions can be told from noise.
#
# Elsewhere, comparisons of models are tables typed by hand. Here they are code: six models are six configs, one program runs them all, and a difference is a field that you can flip.
#
# *70 minutes, and 55 for the exercises; difficulty 3 of 5. You need lessons 02 to 07, or their last lines. Lesson 08 builds the stack that is used here.*

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
import csv
import tempfile
from functools import partial
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from IPython.display import display
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.compare import chips, flops, kv_cache, memory, roofline
from gemma_edu.compare.differences import as_table, differences
from gemma_edu.compare.fields import LESSONS
from gemma_edu.compare.overview import overview
from gemma_edu.compare.table import Table, cell
from gemma_edu.compare.traced_flops import flops_of
from gemma_edu.config import Activation, NormKind, NormPlacement, PositionKind
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import generation
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.jax_model.loss import perplexity
from gemma_edu.numpy_model import block as numpy_block
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.numpy_model.attention import attention
from gemma_edu.numpy_model.feedforward import feedforward
from gemma_edu.numpy_model.masks import attention_mask
from gemma_edu.numpy_model.positions import sinusoidal
from gemma_edu.params import build, count, from_leaves, shapes, to_leaves
from gemma_edu.tokenizer.training import train
from gemma_edu.training import ablation, ablation_rows

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## Six models, one table
#
# Every number and word below is read from the configs in `gemma_edu/presets.py`, where each has its source beside it: the official code of each model, or the paper. The 2017 Transformer is its decoder without the attention to an encoder, the form in which language models inherited it. Before you look: which two columns are nearly the same?

# %%
MODELS = (
    presets.GEMMA_2B,
    presets.GEMMA_7B,
    presets.LLAMA2_7B,
    presets.OLMO_7B,
    presets.GPT2_124M,
    presets.TRANSFORMER_BASE,
)
ROWS = {
    "layers L": lambda c: c.num_layers,
    "width D": lambda c: c.embed_dim,
    "query heads N / key heads K": lambda c: f"{c.num_heads} / {c.num_kv_heads}",
    "head size H": lambda c: c.head_dim,
    "all heads together, N·H / D": lambda c: f"{c.num_heads * c.head_dim / c.embed_dim:.2f}",
    "feed-forward F": lambda c: c.hidden_dim,
    "F / D": lambda c: f"{c.hidden_dim / c.embed_dim:.2f}",
    "activation": lambda c: c.activation,
    "gated": lambda c: c.gated,
    "norm": lambda c: c.norm,
    "norm stands": lambda c: c.norm_placement,
    "norm's ε": lambda c: c.norm_epsilon,
    "positions": lambda c: c.position,
    "biases": lambda c: "yes" if c.attention_bias else "feed-forward" if c.feedforward_bias else "no",
    "vocabulary V": lambda c: c.vocab_size,
    "tied": lambda c: c.tie_embedding,
    "embedding × √D": lambda c: c.scale_embedding,
    "context": lambda c: c.context_length,
    "parameters": lambda c: count(c)["total"],
}

# %% [markdown]
# (`cell` writes a value as text, `Table` shows rows of text.)

# %%
table = Table(
    ("", *(config.name for config in MODELS)),
    tuple((row, *(cell(read(config)) for config in MODELS)) for row, read in ROWS.items()),
)
display(table)
totals = [count(config)["total"] for config in MODELS]
assert totals[:5] == [2_506_172_416, 8_537_680_896, 6_738_415_616, 6_888_095_744, 124_439_808]

# %% [markdown]
# The first five totals are those of the published files, to the digit. Read the table column by column and it is a list of models; row by row, it is a history. Positions move from added vectors to rotations, LayerNorm loses first its place and then its mean, its scale or its bias, ReLU becomes GELU or SiLU, with a gate. And nowhere does a row run in one direction only: GPT-2 ties as 2017 did, Llama 2 and OLMo do not, Gemma does again.
#
# ## The difference is data
#
# A difference of two models is a list: the fields, both values, what the field means, and the lesson that explains it. `differences` makes it from any two configs.

# %%
show_source(differences)
print(f"{len(LESSONS)} fields without the name")
assert len(LESSONS) == 23

# %% [markdown]
# Llama 2 7B and Gemma 7B, the two that are so often compared:

# %%
display(as_table(presets.LLAMA2_7B, presets.GEMMA_7B))
assert len(differences(presets.LLAMA2_7B, presets.GEMMA_7B)) == 13

# %% [markdown]
# Eight of the 13 are sizes: how much of something. Five are choices: what. Llama 2 and Gemma agree on everything that is *not* in this table, such as RoPE with θ = 10,000, norms in front of the sublayers, a gate, and no biases. And those two columns that are nearly the same? Guess how many choices separate Llama 2 from OLMo.

# %%
display(as_table(presets.LLAMA2_7B, presets.OLMO_7B))
pairs = {(a.name, b.name): len(differences(a, b)) for a in MODELS for b in MODELS if a is not b}
farthest = max(pairs, key=pairs.get)
print(f"most differences: {farthest[0]} and {farthest[1]}, {pairs[farthest]} of 23")
assert pairs["Llama 2 7B", "OLMo 7B"] == 3 and len(differences(presets.OLMO_7B, presets.OLMO_7B)) == 0

# %% [markdown]
# One: the norm. Vocabulary and context follow from tokenizer and training. That OLMo 7B does not *tie* its two tables, as Llama 2 does not, follows from the same table: `tie_embedding` is not in it. We come back to that.
#
# ## One program runs them all
#
# Written for all six at once, a block is
#
# $$x \leftarrow \text{after}\big(x,\; f(\text{before}(x))\big), \qquad f = \text{attention, then feed-forward}$$
#
# where *before* is a norm, except in 2017, and *after* adds: $x + y$ in five of the models, $\text{norm}(x + y)$ in 2017 (arXiv:1706.03762, section 3.1), $x + \text{norm}(y)$ in Gemma 3. Around the blocks stand $x = s\,E_{\text{token}} + p$ with $s = \sqrt D$ or 1 and $p$ a position vector or nothing, and at the end the logits $\text{norm}(x)\, M^\top$, where $M$ is $E$ again or a matrix of its own.
#
# The norm itself comes in four kinds. By hand, for the vector (1, 7) and without ε. Its root mean square is √((1 + 49)/2) = 5, its mean 4, its standard deviation 3. So RMSNorm leaves (0.2, 1.4), and LayerNorm (−1, 1). Llama 2 multiplies by the stored scale, say (2, 0.5), and gets (0.4, 0.7). What must Gemma have stored to get the same?


# %%
def my_norm(params, x, config):
    """Any of the four: with or without the mean, with a scale, 1 + scale, scale and bias, or nothing."""
    centre = config.norm in (NormKind.LAYER, NormKind.LAYER_NO_PARAMETERS)
    x = x - x.mean(-1, keepdims=True) if centre else x
    y = x / np.sqrt((x**2).mean(-1, keepdims=True) + np.float32(config.norm_epsilon))
    offset = 1 if config.norm is NormKind.RMS_UNIT_OFFSET else 0
    y = y if params.scale is None else y * (offset + params.scale)
    return y if params.bias is None else y + params.bias


# %% [markdown]
# Gemma computes 1 + scale, so it must have stored (1, −0.5):

# %%
x_D = np.array([1.0, 7.0])
stored = {"Llama 2 7B": [2.0, 0.5], "Gemma 7B": [1.0, -0.5], "OLMo 7B": None}
for config in MODELS[1:4]:
    scale = stored[config.name]
    weights = numpy_block.Norm(None if scale is None else np.array(scale))
    y_D = my_norm(weights, x_D, config)
    print(f"{config.name:11} stores {scale!s:12} and makes {y_D.round(3).tolist()} of (1, 7)")
    np.testing.assert_allclose(y_D, [-1, 1] if scale is None else [0.4, 0.7], rtol=1e-5)

# %% [markdown]
# Two files with other numbers in them, one function. Keep that in mind.
#
# Now the whole program, with attention and feed-forward from the package (lessons 05 and 06). Norms first or last, as lists that a loop can walk:


# %%
def my_block(block, x_BTD, positions_BT, mask_BTT, theta, config):
    place = config.norm_placement
    normed = lambda params, x: my_norm(params, x, config)  # noqa: E731
    attend = lambda y: attention(block.attention, y, positions_BT, mask_BTT, theta, config)  # noqa: E731
    sublayers = (
        (block.attention_norm, attend, block.post_attention_norm),
        (block.feedforward_norm, lambda y: feedforward(block.feedforward, y, config), block.post_feedforward_norm),
    )  # fmt: skip
    for first, sublayer, last in sublayers:
        y_BTD = sublayer(x_BTD if place is NormPlacement.POST else normed(first, x_BTD))
        y_BTD = normed(last, y_BTD) if place is NormPlacement.SANDWICH else y_BTD
        x_BTD = normed(last, x_BTD + y_BTD) if place is NormPlacement.POST else x_BTD + y_BTD
    return x_BTD


# %% [markdown]
# And around the blocks:


# %%
def my_forward(params, tokens_BT, config):
    positions_BT = np.broadcast_to(np.arange(tokens_BT.shape[1]), tokens_BT.shape)
    x_BTD = params.embedding.table[tokens_BT] * np.float32(config.embed_dim ** (config.scale_embedding / 2))
    if config.position is PositionKind.LEARNED:
        x_BTD = x_BTD + params.embedding.positions[positions_BT]
    elif config.position is PositionKind.SINUSOIDAL:
        x_BTD = x_BTD + sinusoidal(positions_BT, config.embed_dim)
    for layer, block in enumerate(params.blocks):
        mask_BTT = attention_mask(positions_BT, positions_BT, config.window(layer))
        x_BTD = my_block(block, x_BTD, positions_BT, mask_BTT, config.theta(layer), config)
    x_BTD = my_norm(params.final_norm, x_BTD, config) if config.has_final_norm else x_BTD
    return x_BTD @ (params.embedding.table if config.tie_embedding else params.embedding.output).T


# %% [markdown]
# Does it run all families? Each preset has a toy twin with the same choices and two small layers, in which every axis has another length. The weights are noise, without a zero in them.

# %%
random = np.random.default_rng(0)
tokens_BT = random.integers(0, 11, (3, 7))
toys = {
    tiny: build(tiny, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))
    for tiny in presets.TINY[:-1]  # the last is a Gemma with two key heads
}
assert len({tiny.norm for tiny in toys}) == 4 and len({tiny.position for tiny in toys}) == 3

# %% tags=["contract"]
for tiny, weights in toys.items():
    package = numpy_transformer.forward(weights, tokens_BT, tiny)
    np.testing.assert_allclose(my_forward(weights, tokens_BT, tiny), package, rtol=1e-4, atol=1e-5)
    print(f"{tiny.name:28} mine == package")

# %% [markdown]
# The package asks the config in two more places, and they hold the whole difference of placements:

# %%
show_source(numpy_block.before, numpy_block.after)

# %% [markdown]
# JAX's model is the same program with `jnp`, and one thing differs where it is compiled: the config is a *static* argument of `jax.jit` (lesson 09). Each `if` on a field is decided while JAX traces, so a flipped field is another compiled program, and nothing is left in it of the branch that was not taken.

# %% tags=["contract"]
for tiny, weights in toys.items():
    package = jax_transformer.forward(weights, tokens_BT, tiny)
    np.testing.assert_allclose(my_forward(weights, tokens_BT, tiny), package, rtol=1e-4, atol=1e-5)

# %% [markdown]
# ## Six interesting choices, checked
#
# The summary of Gemma's design from which this course started names six. (They are the points of [a note by Sebastian Raschka](https://substack.com/@rasbt/note/c-50257692) of 24 February 2024; we give them in our words and have not compared them with his.) Which of them does the code confirm?
#
# **A large vocabulary.** Confirmed: eight times Llama 2's. As a *share* of the model, another one has more:

# %%
for config in MODELS:
    share = (count(config)["embedding"] + count(config)["output"]) / count(config)["total"]
    print(f"{config.name:17} {config.vocab_size:7,} rows, {100 * share:4.1f} % of the parameters")
assert presets.GEMMA_2B.vocab_size / presets.LLAMA2_7B.vocab_size == 8

# %% [markdown]
# GPT-2 124M gives a fifth of Gemma's rows a larger part of itself: a vocabulary is large or small beside a width and a depth.
#
# **Tied embeddings, as in GPT-2 and OLMo.** Half refuted. We have seen that Llama 2 7B and OLMo 7B fill the field alike. Here is why we fill it so: a published total is evidence, and OLMo 7B's fits one answer only.

# %%
for ties in (True, False):
    total = count(presets.OLMO_7B.replace(tie_embedding=ties))["total"]
    print(f"OLMo 7B, tied {cell(ties):3}: {total:,}", "<- published" if total == 6_888_095_744 else "")
print("tied:", ", ".join(config.name for config in MODELS if config.tie_embedding))
assert count(presets.OLMO_7B.replace(tie_embedding=True))["total"] != 6_888_095_744

# %% [markdown]
# OLMo's own config says so, too: `weight_tying: false` in `configs/official-0724/OLMo-7B.yaml` of `allenai/OLMo`. OLMo 1B's says `true`, and the sentence may have been made with it in mind.
#
# **GeGLU.** Confirmed, and less new than it sounds. Take Llama 2's feed-forward layer and flip one field: it is Gemma's. The gate was there; the curve is GPT-2's.

# %%
geglu = presets.LLAMA2_7B.replace(activation=Activation.GELU_TANH)
assert [d.field for d in differences(presets.LLAMA2_7B, geglu)] == ["activation"]
for field in ("gated", "activation", "feedforward_bias"):
    same = [c.name for c in MODELS[2:] if getattr(c, field) == getattr(presets.GEMMA_7B, field)]
    print(f"{field:16} as Gemma's: {', '.join(same)}")
assert presets.GPT2_124M.activation is presets.GEMMA_7B.activation

# %% [markdown]
# **Embeddings are "normalised" by √D.** Qualified: they are *multiplied*, and the first to do so was the Transformer of 2017 (section 3.4). In bfloat16, in which Gemma is published, the factor is not even √D (lesson 02):

# %%
for config in MODELS:
    if config.scale_embedding:
        root = config.embed_dim**0.5
        print(f"{config.name:17} × {root:.4f}, in bfloat16 × {float(jnp.bfloat16(root))}")
assert float(jnp.bfloat16(3072**0.5)) == 55.5

# %% [markdown]
# **Norms at the input and the output of each sublayer.** Refuted for Gemma 1. The report's Table 2 counts 1,981,884,416 parameters outside the table of the 2B, and norms are parameters. Which placement gives that number?

# %%
with course_data.path("gemma_report_table2.csv").open(encoding="utf-8") as file:
    table2 = {row["row"]: int(row["gemma_2b"]) for row in csv.DictReader(file)}
published = table2["Non-embedding Parameters"]
outside = {}
for place in NormPlacement:
    parts = count(presets.GEMMA_2B.replace(norm_placement=place))
    outside[place] = parts["total"] - parts["embedding"]
    print(f"{place.value:9} {outside[place]:,}", "<- Table 2" if outside[place] == published else "")
assert [place for place in outside if outside[place] == published] == [NormPlacement.PRE]

# %% [markdown]
# Norms stand in front, as in Llama 2. The sandwich came with Gemma 2.
#
# **RMSNorm with a unit offset.** Confirmed: of the six, the two Gemmas alone have it. But we saw with a pencil that it writes the same function with other numbers. So is it a difference at all? For that we take a walk.
#
# ## From Llama 2 to Gemma in seven flips
#
# Take the toy of Llama 2 and the toy of Gemma 2B. They share their sizes. For once we give Gemma its large vocabulary as well, eight times Llama 2's, here 88 tokens beside 11. What is left of the difference?

# %%
start = presets.TINY_LLAMA2_7B
goal = presets.TINY_GEMMA_2B.replace(vocab_size=8 * start.vocab_size)
flips = [(row.field, row.b) for row in differences(start, goal)]
print(", ".join(field for field, _ in flips))
assert len(flips) == 7

# %% [markdown]
# Seven fields. We flip them one at a time, in the order of the config, and every model on the way is a legal one that runs. (With Gemma 7B as the goal it would be six, since it has a key head for each query head. A flip need not be a single field: on the way to Gemma 3, `window_size` alone is refused, because no layer would use it, and goes together with `global_every`.)

# %%
refused = ""
try:
    presets.LLAMA2_7B.replace(window_size=512)
except ValueError as error:
    refused = str(error)
print(refused)
assert "global_every" in refused
assert presets.LLAMA2_7B.replace(window_size=512, global_every=6).window(0) == 512

# %% [markdown]
# What happens to the weights? Fields are free to change only what is computed, or to ask for other weights. We keep a chest with one random array for each name, as large as any step needs it. A model takes the corner that fits its shapes, and otherwise hands its own numbers on. So only the first flip brings new numbers (77 rows for the new tokens, in both tables). One flip drops seven of eight key and value heads, one drops a table.


# %%
def take(params, config):
    """The weights of `config` from those of a model that has as many or more: the same numbers, cut to shape."""
    leaves = to_leaves(params)
    return build(config, lambda name, shape: leaves[name][tuple(slice(size) for size in shape)])


def fill_chest(seed):
    random = np.random.default_rng(seed)
    noise = lambda name, shape: random.normal(name.endswith("scale"), 0.3, shape).astype(np.float32)  # noqa: E731
    return build(start.replace(vocab_size=goal.vocab_size), noise)  # scales around 1, as Llama 2 stores them


# %% [markdown]
# The walk, as a generator of what was flipped, the config, and its weights:


# %%
def walk(chest):
    config, weights = start, take(chest, start)
    yield "Llama 2", config, weights
    for field, value in flips:
        config = config.replace(**{field: value})
        weights = take(chest if field == "vocab_size" else weights, config)
        yield field, config, weights


# %% [markdown]
# How do we say how far two models are apart? Logits of 11 and of 88 tokens do not subtract. But both models give odds for the next token, and one can ask how much probability must be *moved* to turn one model's odds into the other's: half the sum of all |p − q|, between 0 and 1. A token that Llama 2 does not have has p = 0. Which of the seven flips will move most, and which nothing that you could see?


# %%
def odds(logits_BTV):
    powers = np.exp(logits_BTV - logits_BTV.max(-1, keepdims=True))
    powers = powers / powers.sum(-1, keepdims=True)
    return np.pad(powers, ((0, 0), (0, 0), (0, goal.vocab_size - powers.shape[-1])))


def moved(p_BTV, q_BTV):
    return np.abs(p_BTV - q_BTV).sum(-1).mean() / 2


# %% [markdown]
# One walk, step by step:

# %%
steps = list(walk(fill_chest(0)))
logits = [numpy_transformer.forward(weights, tokens_BT, config) for _, config, weights in steps]
for number, (field, config, _) in enumerate(steps):
    step = moved(odds(logits[number]), odds(logits[number - 1])) if number else 0.0
    print(f"{number} {field:16} {count(config)['total']:5,} parameters, moved {step:.4f}")
changed = [not np.array_equal(odds(a), odds(b)) for a, b in zip(logits, logits[1:], strict=False)]
assert all(changed)

# %% [markdown]
# Every flip changes the odds. That of ε does so where only `array_equal` sees it, below the fourth decimal. And where have we arrived? Not near Gemma. *At* Gemma: the config is its config, the weights are those it takes from the chest itself, and the logits are equal bit by bit.

# %%
_, arrived, weights = steps[-1]
own_weights = take(fill_chest(0), goal)
assert differences(arrived, goal) == ()
for mine, own in zip(to_leaves(weights).values(), to_leaves(own_weights).values(), strict=True):
    np.testing.assert_array_equal(mine, own)
np.testing.assert_array_equal(logits[-1], numpy_transformer.forward(own_weights, tokens_BT, goal))
print("the walk ends at Gemma, bit for bit")

# %% [markdown]
# The same walk in JAX. Each intermediate model must agree with NumPy's, and the last must equal JAX's Gemma to the bit.

# %%
in_jax = [jax_transformer.forward(weights, tokens_BT, config) for _, config, weights in steps]
for mine, numpy_logits in zip(in_jax, logits, strict=True):
    np.testing.assert_allclose(mine, numpy_logits, rtol=1e-4, atol=1e-5)
np.testing.assert_array_equal(in_jax[-1], jax_transformer.forward(own_weights, tokens_BT, goal))
print(f"{len(in_jax)} models, JAX == NumPy")

# %% [markdown]
# One walk is an anecdote. We repeat it with twenty chests and ask of each step how far it still is from Gemma. Will the line fall with every flip?

# %%
distances = []
for seed in range(20):
    on_the_way = [odds(numpy_transformer.forward(w, tokens_BT, c)) for _, c, w in walk(fill_chest(seed))]
    distances.append([moved(p, on_the_way[-1]) for p in on_the_way])
distances = np.array(distances)
mean = distances.mean(0)
print("mean distance:", [f"{value:.2f}" for value in mean])
assert distances[:, -1].max() == 0 and distances[:, :-1].min() > 0
assert (np.diff(distances) > 0.01).any()  # some walks move away from Gemma for a while

# %% [markdown]
# In the figure, thin lines are the twenty walks.

# %%
fig, ax = plt.subplots()
ax.plot(distances.T, color="0.8", linewidth=0.8)
ax.plot(mean, "o-", color=COLOURS["stream"])
ax.plot(0, mean[0], "o", color=COLOURS["llama2"], markersize=9)
ax.plot(7, mean[-1], "o", color=COLOURS["gemma"], markersize=9)
ax.text(0.12, mean[0] + 0.05, "Llama 2", color=COLOURS["llama2"])
ax.text(7, 0.05, "Gemma", color=COLOURS["gemma"], ha="center")
ax.set_xticks(range(8), ["start", *(field.replace("_", "\n", 1) for field, _ in flips)], fontsize=8)
ax.set(ylim=(-0.03, 1), ylabel="probability still to be moved")
ax.set_title("Vocabulary, tying and the unit offset move most")
told = ", ".join(f"{name} {value:.2f}" for (name, *_), value in zip(steps, mean, strict=True))
show(fig, f"Mean share of probability still to be moved after each flip, over twenty random walks: {told}.")

# %% [markdown]
# On average it falls or stays; single walks go up as well as down. Remember the last flip, from SiLU to GELU: it moves 5 %, next to the least of all. These are random weights, of which nothing was trained, and the figure says how far a flip moves the numbers if the weights *stay as they are*. Whether the weights could have made up for it is another question, and it turns the order upside down.
#
# ## The way back, without moving anything
#
# On the walk the weights stayed and the model changed. Now the other way round: flip Gemma's fields to Llama 2's, and let the *weights* change so that the model stays. For how many of the fields can that be done?
#
# The unit offset we know already: store 1 + scale. For × √D, multiply the table's rows by √D. A tied model could not, since the output reads them too, but a model with two tables can: so copy the table first, and scale one. And a model with K = 1 is one with K = N whose heads all have the same keys and values: copy them.
#
# Even ε gives way. It is added to the mean square of the stream, and ten times the ε beside ten times the mean square is the same thing. So let all that writes to the stream, the table, `w_o` and `w_down`, write √10 times as much. (Gemma 3 has further norms, which ask for the same of what enters them, and of what they write.)


# %%
def in_llamas_terms(params, config):
    """The same function with five of Llama 2's fields: what each flip would change, the weights undo."""
    epsilon = presets.LLAMA2_7B.norm_epsilon
    longer = np.float32((epsilon / config.norm_epsilon) ** 0.5)
    writers = (".w_o", ".w_down", ".table", "post_attention_norm.scale", "post_feedforward_norm.scale")
    writers += (".w_q", ".w_k") if config.qk_norm else ()
    leaves = to_leaves(params)
    leaves["embedding.output"] = leaves["embedding.table"]
    leaves["embedding.table"] = leaves["embedding.table"] * np.float32(np.sqrt(config.embed_dim))
    for name, leaf in leaves.items():
        leaf = 1 + leaf if name.endswith("scale") else leaf
        leaf = leaf * longer if name.endswith(writers) else leaf
        shared = name.endswith((".w_k", ".w_v"))
        leaves[name] = leaf.repeat(config.heads_per_kv_head, axis=1) if shared else leaf
    fields = {"scale_embedding": False, "tie_embedding": False, "norm": NormKind.RMS}
    new_config = config.replace(num_kv_heads=config.num_heads, norm_epsilon=epsilon, **fields)
    return from_leaves(leaves, new_config), new_config


# %% [markdown]
# On the toy, at the end of the walk:

# %%
rewritten, llamas = in_llamas_terms(weights, goal)
again = numpy_transformer.forward(rewritten, tokens_BT, llamas)
np.testing.assert_allclose(again, logits[-1], rtol=1e-4, atol=1e-5)
print("logits unchanged; what still differs from Llama 2:")
display(as_table(start, llamas))
assert [d.field for d in differences(start, llamas)] == ["vocab_size", "activation"]

# %% [markdown]
# Five fields flipped, and the logits are what they were. So Gemma 1 *is*, to its last layer, a Llama 2 with another curve in its feed-forward layers and another vocabulary. The rest decides what the file costs, how the cache grows, and where training starts and how it moves, which is a lot. It does not decide which functions can be written down.
#
# Does that hold for a real model? We load Gemma 3 270M, which has windows, norms on queries and keys, and sandwiches besides. Those stay. The five fields go to Llama 2's values.

# %%
model = checkpoints.load("gemma3-270m")
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_T = model.tokenizer.encode(text, add_bos=True)
heard = partial(perplexity, tokens=tokens_T, skip=1)  # of the last 103 tokens, as everywhere in the course

real_params, real_config = in_llamas_terms(model.params, model.config)
measured = {
    "as published": heard(model.params, config=model.config),
    "in Llama 2's terms": heard(real_params, config=real_config),
}
for name, value in measured.items():
    print(f"{name:20} perplexity {value:.2f}")
np.testing.assert_allclose(measured["in Llama 2's terms"], measured["as published"], rtol=1e-4)
np.testing.assert_allclose(measured["as published"], 8.28, atol=0.02)

# %% [markdown]
# The same. It is no curiosity, either. GGUF files store Gemma's norms with the 1 already added (llama.cpp, PR #5631), and whoever moves weights from one framework to another must know which of the two forms each side means.
#
# One choice is left, the curve. We flip it, and this time leave the weights alone:

# %%
all_llama = real_config.replace(activation=Activation.SILU)
measured["SiLU"] = heard(real_params, config=all_llama)
print(f"SiLU: perplexity {measured['SiLU']:.2f}")
np.testing.assert_allclose(measured["SiLU"], 21, atol=0.6)

# %% [markdown]
# GELU is not SiLU, and no matrix in front of one curve makes it the other. But nearly: the paper that introduced GELU approximates it by $x\,\sigma(1.702\,x)$ (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2), and that is $\text{SiLU}(1.702\,x) / 1.702$. In a gated layer both factors can be written into matrices: multiply `w_gate` by 1.702, and divide `w_up` by it. What will the perplexity be?

# %%
right = to_leaves(real_params)
gates = {name: 1.702 * leaf for name, leaf in right.items() if name.endswith("w_gate")}
gates |= {name: leaf / 1.702 for name, leaf in right.items() if name.endswith("w_up")}
measured["SiLU, rewritten"] = heard(from_leaves(right | gates, all_llama), config=all_llama)
print(f"SiLU, weights rewritten: perplexity {measured['SiLU, rewritten']:.2f}")
np.testing.assert_allclose(measured["SiLU, rewritten"], 8.22, atol=0.05)

# %% [markdown]
# 8.22, not worse than 8.28. (Nor better: it is one paragraph.) Here a Gemma computes with every one of the choices in which Llama 2 differs from Gemma 2B. What was paid for it?

# %%
before, after = (sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (model.params, real_params))
print(f"{before:,} parameters have become {after:,}")
print("; ".join(f"{row.field} {cell(row.b)}" for row in differences(model.config, all_llama)))
assert after == count(all_llama)["total"] > 1.6 * before
choices = ("scale_embedding", "tie_embedding", "norm", "norm_epsilon", "activation")
assert all(getattr(all_llama, field) == getattr(presets.LLAMA2_7B, field) for field in choices)

# %% [markdown]
# A second table, and three more copies of each key and value head. What is the same function is not the same file.
#
# ## Trained on the same text, what is left of the difference?
#
# On the first walk the weights stayed; on the way back we rewrote them. In life they are *learned*, with the choices in place, and a choice that restricts nothing may still help or hinder the learning. So let us train: a small Gemma, 15 others with one choice of another model in its place, and the four other models whole.
#
# For a fair comparison much must be equal. All 20 have the same V, D, L, N and H, and the same number of weights to within 1 %. The screw for that is F: what has no gate gets a wider layer, what has a second table a narrower one. All read the same 128,000 tokens from 900 of our corpus's 1,000 documents, by the same optimizer, and are judged by their loss on the other 100. Five seeds each; a seed decides the order of the documents, for all of them alike, and the initial weights.

# %%
small_models = {variant.name: variant.config for variant in ablation.VARIANTS}
weights_of = {name: count(config)["total"] for name, config in small_models.items()}
print(f"{len(weights_of)} models of {min(weights_of.values()):,} to {max(weights_of.values()):,} weights")
print("F:", {name: small_models[name].hidden_dim for name in ("gemma", "no-gate", "untied", "llama2")})
assert len(weights_of) == 20 and max(weights_of.values()) < 1.01 * min(weights_of.values())
assert ablation.STEPS * ablation.BATCH * ablation.LENGTH == 128_000 and len(ablation.SEEDS) == 5

# %% [markdown]
# That makes 165 runs of some seconds each, too many for a lesson. `python tools/ablation.py` trained them and stored their losses in `data/ablation.csv`, in nats per token. Should you believe a stored file? At the end we train the beginning of one run again, and compare.
#
# First the whole models, each at two learning rates, since what suits one need not suit the other. Guess who is ahead after 250 steps.

# %%
rows = ablation_rows.read()


def held_out(name, rate, step=ablation.STEPS):
    return ablation_rows.losses(rows, name, rate, step)  # seed → loss


best = {}
for name in ("gemma", "llama2", "olmo", "gpt2", "transformer"):
    means = {rate: np.mean(list(held_out(name, rate).values())) for rate in ablation.LEARNING_RATES}
    best[name] = min(means, key=means.get)
    print(f"{name:11}", ", ".join(f"{value:.3f} at learning rate {rate}" for rate, value in means.items()))
assert len({(row.variant, row.learning_rate, row.seed) for row in rows}) == 165

# %% [markdown]
# Each curve at the better of the two learning rates. The band reaches from the best seed to the worst:

# %%
fig, ax = plt.subplots()
steps_S = range(0, ablation.STEPS + 1, ablation.EVERY)
ends = {}
for name, label, x, y in (
    ("gpt2", "GPT-2", 200, 2.25),
    ("transformer", "2017", 251, 1.58),
    ("olmo", "OLMo", 251, 1.4),
    ("gemma", "Gemma", 182, 1.15),
):
    curves = np.array([list(held_out(name, best[name], step).values()) for step in steps_S])
    colour, ends[label] = COLOURS["stream" if name == "transformer" else name], curves[-1].mean()
    ax.plot(steps_S, curves.mean(1), color=colour)
    ax.fill_between(steps_S, curves.min(1), curves.max(1), color=colour, alpha=0.2, linewidth=0)
    ax.text(x, y, label, color=colour)
ax.set(xlim=(0, 275), ylim=(1, 8), yscale="log", xlabel="steps of 512 tokens")
ax.set_yticks([1, 1.5, 2, 3, 4, 6], ["1", "1.5", "2", "3", "4", "6"])
ax.set_yticks([], minor=True)
ax.set(ylabel="loss on held-out documents (nats)", title="Two that add positions learn more slowly")
told = ", ".join(f"{label} {value:.2f}" for label, value in ends.items())
show(fig, f"Held-out loss against steps, mean and range of five seeds. After 250 steps: {told} nats.")

# %% [markdown]
# Llama 2 is left out because its curve covers Gemma's. GPT-2 and 2017 stay far behind: their best seeds end above OLMo's worst. But does OLMo really lose to Gemma, and Gemma win over Llama 2?
#
# ### How sure is a difference?
#
# By hand. Suppose five seeds of some model lose 0.06, 0.08, 0.10, 0.12 and 0.14 more than Gemma with the same seed. The mean is 0.10. The squares of the deviations sum to 0.004; a quarter of that is 0.001, and its root, 0.032, is the spread from seed to seed. The mean of five is surer by √5: 0.014. And because the spread, too, is known from five numbers only, the factor for 95 % is not 1.96 but Student's 2.776 (for n − 1 = 4; his paper is of 1908). So: 0.10 ± 0.039.

# %%
by_hand = ablation_rows.interval([0.06, 0.08, 0.10, 0.12, 0.14])
print(f"{by_hand.mean:.3f} ± {by_hand.half_width:.3f}")
np.testing.assert_allclose(by_hand, (0.1, 2.776 * 0.001**0.5 / 5**0.5), rtol=1e-6)

# %% [markdown]
# Differences are taken within a seed: what it does to both models, such as a lucky order of documents, cancels. The families against Gemma, each at its own better learning rate:

# %%
family = {
    name: ablation_rows.paired(held_out("gemma", best["gemma"]), held_out(name, best[name]))
    for name in ("llama2", "olmo", "transformer", "gpt2")
}
for name, (mean, half) in family.items():
    print(f"{name:11} {mean:+.3f} ± {half:.3f}")
assert abs(family["llama2"].mean) < family["llama2"].half_width
assert 0 < family["olmo"].low and family["olmo"].high < family["transformer"].low
assert family["transformer"].high < family["gpt2"].low
worst = max(held_out("olmo", best["olmo"]).values())
assert all(min(held_out(name, best[name]).values()) > worst for name in ("gpt2", "transformer"))

# %% [markdown]
# Gemma and Llama 2 cannot be told apart. OLMo loses a little, the two older ones much. Which of their choices is to blame?
#
# Now the 15 choices, each alone in an otherwise unchanged Gemma, at the learning rate 0.01. A choice whose interval leaves 0 out was trained at 0.02 again. Which choices do you expect so near to zero that no interval can be seen?

# %%
apart = {
    (variant.name, rate): ablation_rows.paired(held_out("gemma", rate), held_out(variant.name, rate))
    for variant in ablation.CHOICES
    for rate in variant.learning_rates
}
ordered = sorted(ablation.CHOICES, key=lambda variant: round(apart[variant.name, 0.01].mean, 3))
assert sum(rate == 0.02 for _, rate in apart) == 8

# %% [markdown]
# Full dots are at 0.01, hollow ones at 0.02. Colours say whose choice it is.

# %%
fig, ax = plt.subplots()
owner = {"Llama 2": "llama2", "OLMo": "olmo", "GPT-2": "gpt2", "2017": "stream"}
for place, variant in enumerate(ordered):
    colour = COLOURS[owner[variant.whose]] if variant.whose in owner else "0.5"
    for rate in variant.learning_rates:
        (mean, half), first = apart[variant.name, rate], rate == 0.01
        style = {"color": colour, "fillstyle": "full" if first else "none", "markersize": 4, "elinewidth": 1}
        ax.errorbar(mean, place + (0.17 if first else -0.17), xerr=half, fmt="o", **style)
ax.axvline(0, color="0.7", linewidth=0.8, zorder=0)
ax.set_yticks(range(len(ordered)), [variant.what for variant in ordered], fontsize=8)
for place, label in enumerate(owner):
    ax.text(0.45, 4 - place, label, color=COLOURS[owner[label]], fontsize=9)
ax.set(xlabel="loss minus Gemma's (nats)", title="Only positions stand out from the noise")
told = "; ".join(
    f"{variant.what} "
    + ", ".join("{:+.2f} ± {:.2f}".format(*apart[variant.name, r]) for r in variant.learning_rates)
    for variant in reversed(ordered)
)
show(
    fig, f"Loss minus Gemma's, mean and 95 % interval of five seeds, at 0.01 and where repeated 0.02: {told}."
)

# %% [markdown]
# Three choices have no interval to be seen. The unit offset is the same training in other letters: s starts at 0 instead of 1 and gets the same gradients and the same updates, and our optimizer takes no weight decay from scales (it would pull the one factor to 1 and the other to 0). Without it, every stored digit is the same. ε and the exact GELU stay below a thousandth. These three start from Gemma's own numbers and compute nearly its function, so their runs stay beside its runs. Any other choice leads a run elsewhere, and where it arrives is partly luck; seven of those twelve intervals would be narrower if the two groups of five were not paired at all. The 0.95 of an interval does not hold for fifteen of them together, either: luck alone puts 15 · 0.05 = 0.75 of them beside zero. To be right about all 15 with 95 %, each one must be right with 1 − 0.05/15 (Bonferroni). The factor is then not 2.776 but 6.254.

# %%
from scipy.stats import t as student

assert apart["plain-rmsnorm", 0.01] == (0, 0)
assert max(map(abs, apart["epsilon", 0.01] + apart["exact-gelu", 0.01])) < 1e-3
for chance, factor in ((0.05, 2.776), (0.05 / 15, 6.254)):
    np.testing.assert_allclose(student.ppf(1 - chance / 2, df=4), factor, rtol=1e-3)
for (name, rate), (mean, half) in apart.items():
    if abs(mean) > max(half, 1e-3):
        sure = "sure among 15" if abs(mean) > half * 6.254 / 2.776 else ""
        print(f"{name:17} at {rate}: {mean:+.3f} ± {half:.3f} {sure}")

# %% [markdown]
# And the count of the intervals that not pairing would narrow; with two groups of five there are eight degrees of freedom:


# %%
def variance_of_mean(name):
    return np.var(list(held_out(name, 0.01).values()), ddof=1) / 5


visible = {name: apart[name, 0.01].half_width for name, rate in apart if rate == 0.01}
visible = {name: half for name, half in visible.items() if half > 1e-3}
unpaired = {
    name: student.ppf(0.975, df=8) * (variance_of_mean("gemma") + variance_of_mean(name)) ** 0.5
    for name in visible
}
narrower = [name for name, half in visible.items() if unpaired[name] < half]
print(f"{len(narrower)} of {len(visible)} would be narrower: {', '.join(narrower)}")
assert (len(visible), len(narrower)) == (12, 7)

# %% [markdown]
# Eight choices look different from Gemma at 0.01, and only the two kinds of added positions pass the stricter factor. What became of the other six when they were trained again at 0.02?

# %%
clear = {key: abs(mean) > half for key, (mean, half) in apart.items()}
kept = [
    name
    for name in ablation.REPEATED
    if clear[name, 0.02] and apart[name, 0.01].mean * apart[name, 0.02].mean > 0
]
turned = [name for name in ablation.REPEATED if clear[name, 0.02] and name not in kept]
print(f"as before: {', '.join(kept)}; the other way round: {', '.join(turned)}")
assert kept == ["learned-positions", "sinusoids"] and turned == ["post-norm"]
assert apart["post-norm", 0.01].high < 0 < apart["post-norm", 0.02].low
assert all(apart[name, rate].low > 0.15 for name in kept for rate in ablation.LEARNING_RATES)

# %% [markdown]
# Five can no longer be told from Gemma. And norms after the sum, which *gained* 0.07 ± 0.06 at one learning rate, *lose* 0.12 ± 0.11 at the other. Either experiment alone would have been a result to report, with an interval that leaves zero out.
#
# So of Gemma's choices one is sure to matter here: that positions are rotated rather than added. Learned vectors cost 0.40 and 0.49 nats, sinusoids 0.22 and 0.27, and at 0.01 that is four fifths of what GPT-2 and 2017 lie behind. All else is within noise, or too near to it for five seeds. That is not to say that it makes no difference: biases everywhere may well gain a tenth of a nat, and an experiment with more seeds could show it. And some choices were never meant to lower a loss: what one key head for all costs, five seeds cannot make sure, but that it saves three quarters of the cache is arithmetic.
#
# What this does not say: anything about models ten thousand times as large, contexts longer than 64 tokens, or text that no grammar wrote. A vector for each position may be learnt in time; 250 steps are few. A second table is here a fifth of all weights, in Llama 2 7B a fiftieth. Two learning rates are a coarse search, and Gemma's better one is the highest that was tried; seven choices were tried at the lower alone. The intervals cover other seeds, not other documents, and all of them share the same five Gemmas: had these been unlucky, all dots would lie too far left together. Narang et al. (2021, arXiv:2102.11972) compared many changes to the Transformer in one setting, and their abstract comes to the same end: most do not improve it by much.

# %%
for config in (small_models["untied"], presets.LLAMA2_7B):
    print(
        f"{config.name:10} second table: {count(config)['output'] / count(config)['total']:.3f} of all weights"
    )
for added, whole in (("learned-positions", "gpt2"), ("sinusoids", "transformer")):
    behind = ablation_rows.paired(held_out("gemma", 0.01), held_out(whole, 0.01)).mean
    np.testing.assert_allclose(apart[added, 0.01].mean / behind, 0.8, atol=0.03)

# %% [markdown]
# ### Does the stored file tell the truth?
#
# The first 50 steps of one run, here and now. Other processors round and sum in another order, so how near must we come? Measured when the file was made: on one core instead of two, the loss after 50 steps moved by less than 0.00001; with every factor rounded to bfloat16, as a TPU would if we let it, by 0.0001. We allow 0.001. Another seed is at least 0.05 away, and even SiLU in place of GELU 0.003. (The exact GELU would not be noticed.)

# %%
live = list(islice(ablation.curve(ablation.named("gemma"), learning_rate=0.01, seed=0), 3))
stored = [held_out("gemma", 0.01, row.step) for row in live]
for row, losses in zip(live, stored, strict=True):
    print(f"after {row.step:2} steps {row.held_out_loss:.3f}, stored {losses[0]:.3f}")
    np.testing.assert_allclose(row.held_out_loss, losses[0], atol=0.001)
np.testing.assert_allclose(
    [row.train_loss for row in live[1:]], [row.train_loss for row in rows[1:3]], atol=0.001
)
assert min(abs(losses[0] - losses[seed]) for seed in range(1, 5)) > 0.02
assert abs(held_out("swiglu", 0.01, 50)[0] - losses[0]) > 0.002

# %% [markdown]
# On the curve. The rest of that run, and of all others, takes half an hour: `python tools/ablation.py --check gemma` trains one variant again and compares every digit, on the machine that made the file. (On another one the last digits differ.)
#
# ## Your own folder
#
# The package reads Hugging Face folders of all these families, except 2017's, which has none. If you have Llama 2, OLMo or GPT-2 on disk, this is all (the path is yours, the call the same):
#
# ```python
# model = checkpoints.load("path/to/Llama-2-7b-hf", dtype="bfloat16")
# print(generation.generate(model, "The water cycle"))
# ```
#
# Real OLMo and GPT-2 folders bring no SentencePiece tokenizer. There you encode with their own, and `generation.generate_tokens(model.params, [ids], model.config)` does the rest.
#
# None of the three comes with this course, so we write four small folders ourselves. And because random weights say random things, we set the weights by hand, such that a model should *recite a sentence* with no help from its layers: all that attention and feed-forward would add is multiplied by zero. First a tokenizer, and a sentence in which no token comes twice.

# %%
corpus = course_data.path("corpus.txt").read_text(encoding="utf-8")
tokenizer = train([corpus], vocab_size=1024)
sentence = "Greta had a golden bicycle that she loved more than anything."
ids = [*tokenizer.encode(sentence), tokenizer.eos]
print([tokenizer.decode([token]) for token in ids])
assert len(set(ids)) == len(ids) and tokenizer.decode(ids[:-1]) == sentence

# %% [markdown]
# With silent layers, a model is its tables. Llama 2 and OLMo have two: give the output row of each token the input row of the token before it, and the tables alone know what follows what. GPT-2 has one table, but it adds a vector for each position: let position 3 point to the token that belongs at 4. Gemma has one table and rotates instead of adding. Three of the four can recite. What will Gemma say?


# %%
def by_heart(config):
    """Weights of a model that knows one sentence and whose layers add nothing."""
    leaves = {name: np.zeros(shape, np.float32) for name, shape in shapes(config).items()}
    for name in leaves:
        if name.endswith("scale") and config.norm is not NormKind.RMS_UNIT_OFFSET:
            leaves[name] += 1
    table_VD = np.random.default_rng(0).standard_normal((config.vocab_size, config.embed_dim), np.float32)
    leaves["embedding.table"] = table_VD
    if not config.tie_embedding:
        leaves["embedding.output"][ids[1:]] = table_VD[ids[:-1]]
    if config.position is PositionKind.LEARNED:
        leaves["embedding.positions"][: len(ids) - 1] = 3 * table_VD[ids[1:]]
    return from_leaves(leaves, config)


# %% [markdown]
# Four configs of one size, saved as Hugging Face folders, loaded again, and asked with one and the same call. The prompt is the first token.

# %%
small = {"vocab_size": 1024, "embed_dim": 64, "num_layers": 1, "num_heads": 4, "head_dim": 16}
small |= {"hidden_dim": 96, "context_length": 32}
greedy = generation.Sampling(temperature=0.0, max_tokens=20)
said = {}
for preset in (presets.LLAMA2_7B, presets.OLMO_7B, presets.GPT2_124M, presets.GEMMA_2B):
    config = preset.replace(**small, num_kv_heads=1 if preset.num_kv_heads == 1 else 4)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.save(folder, by_heart(config), config, tokenizer)
        loaded = checkpoints.load(folder)
    assert loaded.config == config
    said[preset.name] = generation.generate(loaded, ids[:1], greedy)
    print(f"{preset.name:11} {said[preset.name]!r}")
rest = sentence.removeprefix("Greta")
assert list(said.values()) == [rest, rest, rest, 20 * "Greta"]

# %% [markdown]
# Gemma repeats the word. Its one table scores the token just read highest, as lesson 07 found of the real one: a tied model without layers predicts itself, and its layers have that to undo first. GPT-2, by the way, has not *read* anything either. It would recite its sentence after any first word.
#
# ## What the differences cost
#
# The choices may be a matter of notation; the sizes are not. First a pencil. Each token leaves a key and a value of H numbers in each key head of each layer. For Gemma 2B that is 2 · 18 · 1 · 256 = 9216 numbers, 18,432 bytes in bfloat16. For Llama 2 7B: 2 · 32 · 32 · 128, how many times as much?

# %%
for config in MODELS[:5]:
    print(f"{config.name:11} {kv_cache.size_of_next_token(config):9,} bytes for each token")
ratio = kv_cache.size_of_next_token(presets.LLAMA2_7B) / kv_cache.size_of_next_token(presets.GEMMA_2B)
print(f"Llama 2 7B / Gemma 2B: {ratio:.1f}")
assert kv_cache.size_of_next_token(presets.GEMMA_2B) == 2 * (2 * 18 * 1 * 256)

# %% [markdown]
# Look at GPT-2: a twentieth of Gemma 2B's size, it keeps twice as much of every token.
#
# All costs side by side, for one text of 1024 tokens in bfloat16:

# %%
display(overview(*MODELS[:5], context=1024))

# %% [markdown]
# These are formulas. Can they be trusted? JAX can count. `flops_of` traces a program on shapes alone and adds up its matrix products, so we let the package's `forward` say what it would do with 64 tokens, without a single weight.

# %%
for config in (presets.GEMMA_2B, presets.LLAMA2_7B, presets.GPT2_124M):
    shapes_only = build(config, lambda name, shape: jax.ShapeDtypeStruct(shape, jnp.float32))
    text_BT = jax.ShapeDtypeStruct((1, 64), jnp.int32)
    counted = flops_of(partial(jax_transformer.forward, config=config), shapes_only, text_BT)
    print(f"{config.name:11} {counted:15,} counted, {flops.forward(config, 64)['total']:15,} by formula")
    assert counted == flops.forward(config, 64)["total"]

# %% [markdown]
# To the digit. Where do the parameters sit? Guess what feed-forward takes in Gemma 2B and in Llama 2, before you look.

# %%
FAMILY = {"Gemma": "gemma", "Llama": "llama2", "OLMo": "olmo", "GPT-2": "gpt2", "Transformer": "stream"}


def colour_of(config):
    return COLOURS[FAMILY[config.name.split()[0]]]


parts = ("embedding", "output", "attention", "feedforward")
shares = {c.name: [100 * count(c)[part] / count(c)["total"] for part in parts] for c in MODELS}
np.testing.assert_allclose([sum(share) for share in shares.values()], 100, atol=1)
np.testing.assert_allclose(shares["Gemma 2B"], [20.9, 0, 6.8, 72.3], atol=0.1)

# %% [markdown]
# Norms, biases and position vectors are left out; together they stay below 1 % everywhere.

# %%
fig, ax = plt.subplots()
for row, config in enumerate(MODELS):
    left = 0.0
    for share, alpha in zip(shares[config.name], (1.0, 0.0, 0.6, 0.25), strict=True):
        ax.barh(row, share, left=left, color=(colour_of(config), alpha), edgecolor=colour_of(config))
        if share > 3:
            ax.text(left + share / 2, row, f"{share:.0f}", ha="center", va="center", fontsize=9,
                    color="white" if alpha == 1 else "black")  # fmt: skip
        left += share
for x, label in ((10, "table"), (24, "attention"), (62, "feed-forward")):
    ax.text(x, -0.62, label, ha="center", fontsize=9)
ax.set(
    yticks=range(6),
    yticklabels=list(shares),
    xlim=(0, 100),
    ylim=(5.5, -1),
    xlabel="share of all parameters (%)",
)
ax.set_title("Gemma 2B spends little on attention")
told = "; ".join(f"{name} " + ", ".join(f"{share:.1f}" for share in row) for name, row in shares.items())
show(fig, f"Shares of embedding, output matrix, attention and feed-forward in per cent: {told}.")

# %% [markdown]
# Full colour is the embedding table, white an output matrix of its own, middle tone attention, light feed-forward. Gemma 2B spends ten times as many parameters on feed-forward as on attention: its F is 8 · D, in two branches, and its keys and values are those of one head. Llama 2 spends twice as many. Gemma 7B, which has a key head for each query head, lies between them.
#
# ### The cache against the context
#
# One text, bfloat16, each model as far as its context goes. Gemma 3 270M is in it, too. Which line will not be straight?

# %%
fig, ax = plt.subplots()
ends = {}
for config in (presets.LLAMA2_7B, presets.GEMMA_7B, presets.GPT2_124M, presets.GEMMA_2B, presets.GEMMA3_270M):
    contexts = np.unique(np.geomspace(32, config.context_length, 60).astype(int))
    megabytes = [kv_cache.size(config, 1, int(context)) / 1e6 for context in contexts]
    ends[config.name] = megabytes[-1]
    ax.plot(contexts, megabytes, color=colour_of(config))
    ax.plot(contexts[-1], megabytes[-1], "o", color=colour_of(config))
    at_left = config in (presets.LLAMA2_7B, presets.GPT2_124M, presets.GEMMA_2B)
    ax.annotate(
        f"{config.name}{' and OLMo' if config is presets.LLAMA2_7B else ''}",
        (contexts[-1], megabytes[-1]),
        (-6, 5) if at_left else (6, -3),
        textcoords="offset points",
        color=colour_of(config),
        ha="right" if at_left else "left",
    )
ax.set(xscale="log", yscale="log", xlim=(30, 300_000), xlabel="tokens of context", ylabel="KV cache (MB)")
ax.set_title("Gemma 2B keeps 28 times less of each token than Llama 2")
told = ", ".join(f"{name} {value:.1f} MB" for name, value in ends.items())
show(
    fig,
    f"KV cache of one text against its length, logarithmic; at the full context {told}. Gemma 3 270M bends at 512.",
)
assert kv_cache.size(presets.LLAMA2_7B, 1, 4096) == kv_cache.size(presets.OLMO_7B, 1, 4096)

# %% [markdown]
# All lines have slope 1 but Gemma 3's, which bends at 512 tokens, where 15 of its 18 layers have filled their window. Gemma *7B* lies nearly on Llama 2's line. Multi-query attention is the 2B's alone.
#
# ### What the vocabulary costs
#
# Each row of the output matrix is multiplied with the stream at every token for which one wants logits. As a share of a token's products, scores left out, what would the vocabulary of another model do to each of these?

# %%
rows_V = np.geomspace(8000, 512_000, 50).astype(int)


def output_share(config, V):
    L = config.num_layers
    parts = flops.count(config.replace(vocab_size=int(V)), kept=L, asked=L, pairs=0, outputs=1)
    return 100 * parts["output"] / parts["total"]


fig, ax = plt.subplots()
for config, shift in zip(MODELS[:5], ((-8, 6), (8, -8), (-8, 8), (-2, 24), (-8, 6)), strict=True):
    ax.plot(rows_V, [output_share(config, V) for V in rows_V], color=colour_of(config), linewidth=1)
    now = config.vocab_size, output_share(config, config.vocab_size)
    ax.plot(*now, "o", color=colour_of(config), markersize=7)
    ax.annotate(
        f"{config.name} {now[1]:.1f} %",
        now,
        shift,
        textcoords="offset points",
        color=colour_of(config),
        ha="right" if shift[0] < 0 else "left",
        arrowprops={"arrowstyle": "-", "lw": 0.6, "color": colour_of(config)} if shift[1] > 20 else None,
    )
ax.set(xscale="log", xlim=(7000, 1_100_000), ylim=(0, 60))
ax.set_xticks([10_000, 100_000, 1_000_000], ["10,000", "100,000", "1,000,000"])
ax.set(xlabel="rows of the vocabulary V", ylabel="output's share of the products (%)")
ax.set_title("A large vocabulary is cheap for a large model")
told = ", ".join(f"{c.name} {output_share(c, c.vocab_size):.1f}" for c in MODELS[:5])
show(
    fig,
    f"Share of the output product in the arithmetic of a token, against V, with each model's own V: {told} %.",
)
np.testing.assert_allclose(output_share(presets.GEMMA_2B, 256_000), 20.9, atol=0.1)
assert output_share(presets.GEMMA_2B, 32_000) < 3.3 < 12 < output_share(presets.LLAMA2_7B, 256_000)

# %% [markdown]
# Dots are the models as they are. With Llama 2's 32,000 rows Gemma 2B would save most of that fifth of its arithmetic, and pay in longer texts; lesson 07 measures what rows buy. In training, logits are wanted at every position, and then it is memory that counts: one text of full length has

# %%
for config in MODELS[:5]:
    needed = memory.training(config, batch=1, tokens=config.context_length)
    print(f"{config.name:11} {config.context_length:5,} tokens: {needed['logits'] / 1e9:5.2f} GB of logits")
assert memory.training(presets.GEMMA_2B, 1, 8192)["logits"] == 8192 * 256_000 * 4

# %% [markdown]
# ### How fast can it be?
#
# A chip must do the arithmetic, and it must fetch the numbers. With W FLOPs on Q bytes no program takes less than
#
# $$\max\left(\frac{W}{\text{peak}},\; \frac{Q}{\text{bandwidth}}\right)$$
#
# (the *roofline* of Williams, Waterman and Patterson, 2009). W / Q, in FLOPs per byte, says which of the two it is. By hand, for one token of one text: every weight is fetched, 2 bytes, and used once, 2 FLOPs. So W / Q is 1. A TPU v5e can do 197 TFLOP/s and fetch 819 GB/s, that is 240 FLOPs in the time of a byte. What share of its multipliers works?

# %%
for chip in (chips.TPU_V5E, chips.H100_SXM):
    ridge = chip.flops_per_second / chip.bytes_per_second
    alone = roofline.work(presets.GEMMA_2B, batch=1, tokens=1, context=1024)
    fastest = 1 / roofline.seconds(alone, chip.flops_per_second, chip.bytes_per_second)
    print(f"{chip.name:9} {ridge:5.1f} FLOPs per byte; Gemma 2B at most {fastest:.1f} tokens/s for one text")
    assert alone.intensity < 1.05 < ridge / 100

# %% [markdown]
# Half a per cent. The remedy is to serve many texts at once: weights are fetched once for all of them. But each brings its own cache, which is fetched for it alone. We let 1, 8, 64 and 512 texts of 4096 tokens grow by a token each. Numbers at the dots say how many. Which model gains from 512 texts, and which hardly from 64?

# %%
fig, ax = plt.subplots()
intensities = np.geomspace(0.5, 3000, 200)
for chip, style in ((chips.H100_SXM, "-"), (chips.TPU_V5E, "--")):
    roof = [roofline.attainable(i, chip.flops_per_second, chip.bytes_per_second) / 1e12 for i in intensities]
    ax.plot(intensities, roof, style, color=COLOURS["stream"], linewidth=1)
    ax.text(400, roof[-1] * 1.15, chip.name)
reached = {}
for config, shift in ((presets.GEMMA_2B, (-9, 6)), (presets.LLAMA2_7B, (5, -11))):
    for batch in (1, 8, 64, 512):
        work = roofline.work(config, batch, 1, 4096)
        reached[config.name, batch] = work.intensity
        y = min(chips.H100_SXM.flops_per_second, work.intensity * chips.H100_SXM.bytes_per_second) / 1e12
        fits = memory.serving(config, batch, 4096)["total"] <= chips.H100_SXM.memory
        ax.plot(work.intensity, y, "o", color=colour_of(config), fillstyle="full" if fits else "none")
        if (config.name, batch) != ("Llama 2 7B", 64):
            label = "64, 512" if config is presets.LLAMA2_7B and batch == 512 else str(batch)
            ax.annotate(
                label,
                (work.intensity, y),
                shift,
                textcoords="offset points",
                fontsize=8,
                color=colour_of(config),
            )
ax.text(1.0, 70, "Gemma 2B", color=COLOURS["gemma"])
ax.text(2.2, 1.1, "Llama 2 7B", color=COLOURS["llama2"])
ax.set(xscale="log", yscale="log", ylim=(0.3, 2500), xlabel="FLOPs per byte", ylabel="attainable TFLOP/s")
ax.set_title("A small cache lets many texts share the weights")
told = ", ".join(f"{name} {batch}: {value:.2f}" for (name, batch), value in reached.items())
show(
    fig,
    f"Rooflines of H100 and TPU v5e. FLOPs per byte of decoding 1, 8, 64, 512 texts of 4096 tokens: {told}.",
)
assert reached["Gemma 2B", 512] > 9 * reached["Llama 2 7B", 512] and reached["Llama 2 7B", 512] < 7.3

# %% [markdown]
# The dots stand on the H100's roof; hollow ones do not fit into its 80 GB. From 1 to 512 texts, Gemma 2B climbs from 1.1 to 66 FLOPs per byte. Llama 2 stops at 7, whatever you add: at 4096 tokens a text's cache is 2.1 GB, and each of its bytes is used for one FLOP. Eight query heads that read the same keys use a byte eight times.
#
# That is a bound, not a measurement. Lesson 09 measured how near one program on one machine comes to it.
#
# ## Break it on purpose
#
# Moving weights between two forms is where ports go wrong. With a pencil first: Gemma's file says (1, −0.5). A loader for Llama 2 takes that for the whole factor, and a careful person adds the 1 to a file in which it has been added already:

# %%
factors = {
    "right": 1 + np.array([1, -0.5]),
    "1 forgotten": np.array([1, -0.5]),
    "1 added twice": 2 + np.array([1, -0.5]),
}
for name, factor_D in factors.items():
    print(f"{name:13} (1, 7) -> {(x_D / 5 * factor_D).round(3).tolist()}")
np.testing.assert_allclose(x_D / 5 * factors["right"], [0.4, 0.7])

# %% [markdown]
# Now on the real model in Llama 2's terms. Each mistake is one line of `in_llamas_terms` gone wrong, the config stays, so nothing is compiled again. Rank the five before you run the cell: 1 forgotten, 1 added twice, √D forgotten, √D on both tables, and the K = 1 keys that should be copied given to the first query head alone, with zeros for the others.

# %%
scales = [name for name in right if name.endswith("scale")]
one = {name: np.float32(10**0.5 if ".post_" in name else 1) for name in scales}  # √10: for ε
root = np.float32(np.sqrt(model.config.embed_dim))
only_first = lambda leaf: leaf.at[:, 1:].set(0)  # noqa: E731
broken = {
    "1 forgotten": {name: right[name] - one[name] for name in scales},
    "1 added twice": {name: right[name] + one[name] for name in scales},
    "√D forgotten": {"embedding.table": right["embedding.table"] / root},
    "√D on both tables": {"embedding.output": right["embedding.output"] * root},
    "keys for one head": {name: only_first(right[name]) for name in right if name.endswith(".w_k")},
}
for name, wrong in broken.items():
    measured[name] = heard(from_leaves(right | wrong, real_config), config=real_config)

# %% [markdown]
# Sorted by the damage:

# %%
for name, value in sorted(measured.items(), key=lambda item: round(item[1], 1)):
    print(f"{name:20} {value:9.2g}")
assert min(measured[name] for name in broken) > 2 * measured["as published"]
assert measured["1 forgotten"] > 1e8 and 1e6 < measured["√D forgotten"] < 2e6
assert measured["√D on both tables"] > 1e13

# %% [markdown]
# A forgotten 1 and a doubled 1 both wreck the model, and neither raises an error: all shapes fit. Hugging Face's Gemma and Llama files even use the same names for their tensors, so nothing in the file's names says which form it is in. `config.json` does.
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it. When an answer is not right, the check says where, and often why.
#
# ### 1 · Whose weights are these?
#
# *Difficulty 2 of 5, 8 minutes.* A file has lost its config, and all you have is `names_and_shapes`, a dict from the names of its weights to their shapes, as `gemma_edu.params.shapes` gives them. Write `whose_weights(names_and_shapes)`, which returns `"Gemma"`, `"Llama 2"`, `"OLMo"`, `"GPT-2"` or `"Transformer"`. Sizes do not help, it may be a toy; and Gemma may be a Gemma 3. First example: `whose_weights(shapes(presets.LLAMA2_7B))` gives `"Llama 2"`.
#
# ```python
# def whose_weights(names_and_shapes):
#     names = set(names_and_shapes)
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The first table of the lesson: which choices need a weight that others do not have? Print <code>list(shapes(presets.TINY_GPT2_124M))</code> and its like.</details>
# <details><summary>Hint 2</summary>Learned positions are GPT-2's alone. OLMo has nothing to learn in its norms. In 2017 there was no norm after the last block. Who is left, and which of them ties?</details>
# <details><summary>Hint 3</summary>In this order: <code>"embedding.positions" in names</code>; no name ends with <code>"scale"</code>; <code>"final_norm.scale" not in names</code>; <code>"embedding.output" in names</code>.</details>


# %% tags=["solution", "hide-input"]
def whose_weights(names_and_shapes):
    ### BEGIN SOLUTION
    names = set(names_and_shapes)
    if "embedding.positions" in names:
        return "GPT-2"
    if not any(name.endswith("scale") for name in names):
        return "OLMo"
    if "final_norm.scale" not in names:
        return "Transformer"
    return "Llama 2" if "embedding.output" in names else "Gemma"
    ### END SOLUTION


# %% [markdown]
# Eight files: three Gemmas, and one or two of each of the others.

# %%
check("whose_weights", whose_weights)

# %% [markdown]
# ### 2 · Nothing to learn in the norm
#
# *Difficulty 2 of 5, 8 minutes.* OLMo's norms have no scale. Does it lose anything? After a norm comes a matrix, and a scale in front of a matrix can be written into the matrix. Write `fold_scale(scale_D, w_DF, unit_offset)`: the matrix that does with a norm *without* scale what `w_DF` does with this one. With `unit_offset`, the norm is Gemma's. First example: `fold_scale(np.array([2.0, 0.5]), np.array([[1.0, 1.0, 1.0], [4.0, 4.0, 4.0]]), False)` gives `[[2, 2, 2], [2, 2, 2]]`.
#
# ```python
# def fold_scale(scale_D, w_DF, unit_offset):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The norm multiplies number d of the stream by its factor. Which numbers of the matrix does number d meet?</details>
# <details><summary>Hint 2</summary>Row d of the matrix is to be multiplied by the factor of d, which is scale or 1 + scale.</details>
# <details><summary>Hint 3</summary><code>factor_D = scale_D + 1 if unit_offset else scale_D</code>, and give it a second axis with <code>factor_D[:, None]</code>.</details>


# %% tags=["solution", "hide-input"]
def fold_scale(scale_D, w_DF, unit_offset):
    ### BEGIN SOLUTION
    factor_D = scale_D + 1 if unit_offset else scale_D
    return factor_D[:, None] * w_DF
    ### END SOLUTION


# %% [markdown]
# Wide matrices, tall ones and a square one, with the offset and without:

# %%
check("fold_scale", fold_scale)

# %% [markdown]
# So the scales in front of attention and feed-forward are one more difference of notation. (The last norm stands in front of the output matrix; where that is tied, its scale cannot be folded.)
#
# ### 3 · OLMo as a Llama
#
# *Difficulty 3 of 5, 12 minutes.* One choice separates OLMo from Llama 2: it subtracts the mean before it divides. But if the mean of the stream were 0 at every token and layer, there would be nothing to subtract, and LayerNorm without parameters would be RMSNorm with a scale of 1. The stream is a sum: a row of the table, plus what every `w_o` and every `w_down` adds. Write `mean_free(table_VD, w_o_NHD, w_down_FD)`, which returns the three such that nothing they write has a mean, while everything else about OLMo's logits stays. First example: a `table_VD` of `[[1.0, 7.0], [2.0, 2.0]]` becomes `[[-3, 3], [0, 0]]`.
#
# ```python
# def mean_free(table_VD, w_o_NHD, w_down_FD):
#     ...
#     return ..., ..., ...
# ```
#
# <details><summary>Hint 1</summary>What is written to the stream is a row, or a sum of rows with some weights. When has every such sum a mean of 0?</details>
# <details><summary>Hint 2</summary>When each row has. A row is what stands along the last axis, in all three. Subtract from each row its own mean.</details>
# <details><summary>Hint 3</summary>For each of the three: <code>w - w.mean(axis=-1, keepdims=True)</code>. Return a tuple.</details>


# %% tags=["solution", "hide-input"]
def mean_free(table_VD, w_o_NHD, w_down_FD):
    ### BEGIN SOLUTION
    return tuple(w - w.mean(axis=-1, keepdims=True) for w in (table_VD, w_o_NHD, w_down_FD))
    ### END SOLUTION


# %% [markdown]
# Three models of different sizes:

# %%
check("mean_free", mean_free)

# %% [markdown]
# And what it was for. The toy OLMo, with your three, under Llama 2's norm:

# %%
olmo = presets.TINY_OLMO_7B
as_llama = olmo.replace(norm=NormKind.RMS)
old = to_leaves(toys[olmo])
new = {name: np.ones(shape, np.float32) for name, shape in shapes(as_llama).items()} | old
for layer in range(olmo.num_layers):
    w_o, w_down = f"blocks.{layer}.attention.w_o", f"blocks.{layer}.feedforward.w_down"
    new["embedding.table"], new[w_o], new[w_down] = mean_free(old["embedding.table"], old[w_o], old[w_down])
np.testing.assert_allclose(
    numpy_transformer.forward(from_leaves(new, as_llama), tokens_BT, as_llama),
    numpy_transformer.forward(toys[olmo], tokens_BT, olmo),
    rtol=1e-3,
    atol=1e-4,
)
print("one OLMo, two norms, the same logits")

# %% [markdown]
# ### 4 · At best so many tokens a second
#
# *Difficulty 3 of 5, 10 minutes.* Write `most_tokens_per_second(config, chip, batch, context)`: the most tokens per second, of all texts together, that the chip can add to `batch` texts of `context` tokens each, in bfloat16. `roofline.work(config, batch, 1, context)` gives the FLOPs and bytes of one step, in which every text grows by a token; the chip has `flops_per_second` and `bytes_per_second`. First example: Gemma 2B, a TPU v5e, one text of 1024 tokens: 162.8, as above.
#
# ```python
# def most_tokens_per_second(config, chip, batch, context):
#     step = roofline.work(config, batch, 1, context)
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The formula above <i>How fast can it be?</i> gives the least time of a step. How many tokens does a step make?</details>
# <details><summary>Hint 2</summary>Two times, one for <code>step.flops</code> and one for <code>step.bytes</code>. Both go on at once, so the longer one counts.</details>
# <details><summary>Hint 3</summary><code>seconds = max(step.flops / chip.flops_per_second, step.bytes / chip.bytes_per_second)</code>; each step makes one token for every text.</details>


# %% tags=["solution", "hide-input"]
def most_tokens_per_second(config, chip, batch, context):
    ### BEGIN SOLUTION
    step = roofline.work(config, batch, 1, context)
    return batch / max(step.flops / chip.flops_per_second, step.bytes / chip.bytes_per_second)
    ### END SOLUTION


# %% [markdown]
# One text and many, short and long, on two chips; in one case the multipliers are the limit, not the memory.

# %%
check("most_tokens_per_second", most_tokens_per_second)

# %% [markdown]
# ### 5 · Is this difference real?
#
# *Difficulty 2 of 5, 10 minutes.* Two models, trained from the same seeds: `a_S[i]` and `b_S[i]` are the losses of both with seed number i. Write `paired_interval(a_S, b_S, quantile)`, which returns both ends of the interval for the mean of b − a, as a tuple. `quantile` is Student's factor. First example: `paired_interval(np.array([1.0, 2.0, 4.0]), np.array([1.4, 2.5, 4.6]), 4.303)` gives `(0.25, 0.75)`, to two decimals.
#
# ```python
# def paired_interval(a_S, b_S, quantile):
#     ...
#     return ..., ...
# ```
#
# <details><summary>Hint 1</summary>The paragraph <i>How sure is a difference?</i> does it by hand. What is the first thing to compute there?</details>
# <details><summary>Hint 2</summary>One difference for each seed; their mean; their spread with n − 1 below the sum; and the spread of a mean of n.</details>
# <details><summary>Hint 3</summary><code>difference_S = b_S - a_S</code>, and half the interval is <code>quantile * difference_S.std(ddof=1) / len(a_S) ** 0.5</code>.</details>


# %% tags=["solution", "hide-input"]
def paired_interval(a_S, b_S, quantile):
    ### BEGIN SOLUTION
    difference_S = b_S - a_S
    half = quantile * difference_S.std(ddof=1) / len(a_S) ** 0.5
    return difference_S.mean() - half, difference_S.mean() + half
    ### END SOLUTION


# %% [markdown]
# Five, three and ten seeds:

# %%
check("paired_interval", paired_interval)

# %% [markdown]
# ## What breaks if…
#
# Predict first, then open.
#
# **1.** …a program for Llama 2 loads a Gemma file whose tensor names all fit, and runs it with Llama 2's choices of norm and scaling? Which of its omissions is the loudest?
#
# <details><summary>Answer</summary>The forgotten 1. Each omission was measured alone on the real model: without √D the perplexity is 1.5 million, with SiLU 21, and without the 1 a thousand million. No shape is wrong and no name is missing, so nothing but the text, or a comparison with known logits, tells.</details>
#
# **2.** …you serve 512 texts of 4096 tokens with Llama 2 7B instead of 64, on chips with memory enough? Eight times as many tokens a second?
#
# <details><summary>Answer</summary>Hardly more. The bytes per token no longer fall: at 64 texts the caches already outweigh the weights ten to one, and each text brings its own. The FLOPs per byte go from about 6.5 to 7.1. For Gemma 2B they still grow, because its cache is 28 times smaller.</details>
#
# **3.** …someone flips `tie_embedding` of a trained Llama 2 to True, drops the output matrix, and argues that the way back in this lesson changed nothing either?
#
# <details><summary>Answer</summary>The logits change: on the first walk this flip moved half of all probability. Untying is a copy, and a copy loses nothing. Tying has to throw one of two different tables away. The same holds for key heads: one head can be copied eight times, but eight different heads have no single one that does their work.</details>
#
# ## To take home
#
# Llama 2 7B and Gemma 7B differ in eight sizes and five choices. Of these, the unit offset, √D, ε and tying can be rewritten away without moving a logit, and the curve nearly; so can OLMo's norm.
#
# A choice that leaves every function as it was can still decide the size of the file, the speed of a chip and the course of training: one key head instead of eight is a restriction that a formula hardly shows, and seven eighths of the cache are gone.
#
# Whoever compares models should flip one field at a time, say what happened to the weights, and train from several seeds at more than one learning rate before calling a difference a result.
#
# **Next.** Lesson 13 is a museum of the real bugs of real ports. To read: the model definitions themselves, `llama/model.py` of `meta-llama/llama`, `olmo/model.py` of `allenai/OLMo`, `src/model.py` of `openai/gpt-2`, and `gemma/transformer.py` of `google-deepmind/gemma` at 9218f5f. After this lesson you can read them as a diff.
