# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/02_embedding_scaling.ipynb)
#
# # 02 · Embedding, and a factor of √D
#
# Gemma looks up a token's row in a table and multiplies it by √D. Leave the factor out of the real Gemma 3 270M, where it is 25.298, and the perplexity of our test paragraph goes from 8.28 to 1.5 million, worse than blind guessing among its 262,144 tokens. Make it 25.25, as bfloat16 does, and the perplexity moves by less than one part in a thousand. Where does such a number come from, why does so much depend on it and so little on its decimals, and how do Llama 2, OLMo and GPT-2 live without it?
#
# An embedding turns a token's number into a vector that the layers can work on. Gemma multiplies that vector by √D, as the Transformer of 2017 did; Llama 2, OLMo and GPT-2 take the row as it is.
#
# *35 minutes, difficulty 2 of 5. You need NumPy and matrix products, and from lesson 01 that a token is a piece of text with a number, its id.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The last line asks for full float32 products, which a TPU would otherwise round. `ml_dtypes` gives NumPy the type bfloat16.

# %%
import math
from unittest import mock

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import block as jax_block
from gemma_edu.jax_model import embedding as jax_embedding
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.jax_model.attention import attention
from gemma_edu.jax_model.loss import next_token_losses
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.params import init
from gemma_edu.numpy_model import embedding as numpy_embedding
from gemma_edu.numpy_model import positions as numpy_positions
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import build

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## A row of a table, times √D
#
# The table has one row for each of the V tokens of the vocabulary, and D numbers in each row. For the token at place t of text b,
#
# $$x_{btd} = \sqrt{D}\;\text{table}_{v\,d}\,, \qquad v = \text{tokens}_{bt}$$
#
# (Vaswani et al. 2017, section 3.4: "In the embedding layers, we multiply those weights by √d_model"; the paper gives no reason.) With a pencil: three tokens, D = 4, so the factor is 2. The text is token 2, token 0, token 2.

# %%
table_VD = np.array([[1, 0, -1, 2], [3, 1, 0, 1], [0.5, 0.5, 1, -2]], np.float32)
tokens_BT = np.array([[2, 0, 2]])
x_BTD = math.sqrt(4) * table_VD[tokens_BT]
print(x_BTD[0])
np.testing.assert_array_equal(x_BTD[0], [[1, 1, 2, -4], [2, 0, -2, 4], [1, 1, 2, -4]])

# %% [markdown]
# The first and the third line are equal. At this point the model knows *which* token stands somewhere and nothing else: neither its place nor its neighbours. Number by number, as a loop:


# %%
def embed_with_loops(table_VD, tokens_BT):
    (B, T), D = tokens_BT.shape, table_VD.shape[1]
    x_BTD = np.zeros((B, T, D), table_VD.dtype)
    for b in range(B):
        for t in range(T):
            for d in range(D):
                x_BTD[b, t, d] = D**0.5 * table_VD[tokens_BT[b, t], d]
    return x_BTD


np.testing.assert_array_equal(embed_with_loops(table_VD, tokens_BT), x_BTD)

# %% [markdown]
# A lookup does not look like anything that has a derivative. It is a matrix product in disguise. Write a token as a vector of V numbers, 1 at its id and 0 elsewhere (*one-hot*); the product with the table picks its row:
#
# $$x_{btd} = \sqrt{D}\;\sum_v \,[\text{tokens}_{bt} = v]\;\text{table}_{v\,d}$$
#
# So an embedding is a linear layer without a bias, its gradient is that of a matrix product (exercise 4), and what goes in need not be one-hot (exercise 1).


# %%
def embed_one_hot(table_VD, tokens_BT):
    V, D = table_VD.shape
    one_hot_BTV = (tokens_BT[:, :, None] == np.arange(V)).astype(table_VD.dtype)
    return np.einsum("BTV,VD->BTD", one_hot_BTV, table_VD) * np.float32(D**0.5)


print((tokens_BT[:, :, None] == np.arange(3)).astype(int)[0])
np.testing.assert_array_equal(embed_one_hot(table_VD, tokens_BT), x_BTD)

# %% [markdown]
# Nobody computes it this way. A product costs a multiplication and an addition for each of V · D weights, nearly all of them with 0. How much is that for Gemma 2B, compared with all its layers, which take part in one multiplication and one addition per weight too? Guess before you run the cell.

# %%
gemma_2b = presets.GEMMA_2B
one_hot_flops = 2 * gemma_2b.vocab_size * gemma_2b.embed_dim
layer_flops = 2 * 1_981_884_416  # the weights outside the table: Gemma report, Table 2
print(f"one-hot product {one_hot_flops / 1e9:.2f} GFLOP per token, the layers {layer_flops / 1e9:.2f}")
print(f"the lookup reads {gemma_2b.embed_dim * 2} bytes in bfloat16")
assert one_hot_flops == 1_048_576_000 and 0.26 < one_hot_flops / layer_flops < 0.27

# %% [markdown]
# A quarter of all the work of the layers, against reading 4 KB and multiplying 2048 numbers. (At the other end of the model the same table is multiplied in earnest, to score every token. That billion has to be paid: lesson 07.)
#
# ## The package's embedding, and yours
#
# This is the package's NumPy function, read from the installed file. One thing in it is new; can you see which?


# %%
show_source(numpy_embedding.embed)

# %% [markdown]
# `scale` is a flag, since other models do without. The new thing is `.astype(table.dtype)`: the *factor* is rounded to the type of the table before anything is multiplied. In float32 that is invisible. In bfloat16 it is the subject of a section below. First the contract: your one-hot product against the package, on random input in which V, D, B and T all differ.

# %% tags=["contract"]
random = np.random.default_rng(0)
random_VD = random.standard_normal((11, 10), np.float32)
random_BT = random.integers(0, 11, (3, 5))
mine_BTD = embed_one_hot(random_VD, random_BT)
np.testing.assert_allclose(mine_BTD, numpy_embedding.embed(random_VD, random_BT, scale=True), rtol=1e-6)
np.testing.assert_allclose(embed_with_loops(random_VD, random_BT), mine_BTD, rtol=1e-6)

# %% [markdown]
# The JAX function differs in one detail. `jnp.asarray(…, table.dtype)` does the rounding, because a bare `np.sqrt(…)` would have a type of its own and pull the product along with it.

# %% tags=["contract"]
show_source(jax_embedding.embed)
jax_BTD = jax_embedding.embed(jnp.asarray(random_VD), jnp.asarray(random_BT), scale=True)
np.testing.assert_allclose(embed_one_hot(random_VD, random_BT), jax_BTD, rtol=1e-6)
assert jax_BTD.dtype == jnp.float32 and jax_BTD.shape == (3, 5, 10)

# %% [markdown]
# ## One table, two jobs
#
# Why √D and not 10? Gemma uses its table twice (weight tying, lesson 07). At the end, a token's score, its *logit*, is the dot product of its row with the stream that comes out of the last norm, whose numbers have a root mean square (RMS) of about 1. A sum of D products of random numbers grows like √D. For logits of about 1 the table's entries must therefore have about 1/√D, and a row is then a vector of *length* 1.
#
# What if a fresh table had entries of size 1? Ten thousand tokens, and a hundred random streams whose next token is drawn at random too. A model that knows nothing should lose log 10,000 = 9.21 nats per token (the natural logarithm counts in nats), and be sure of nothing.

# %%
V, D = 10_000, 640
unit_VD, stream_TD = random.standard_normal((V, D), np.float32), random.standard_normal((100, D), np.float32)
for name, table in {"1": unit_VD, "1/√D": unit_VD / np.float32(D**0.5)}.items():
    log_probs_TV = jax.nn.log_softmax(stream_TD @ table.T)
    loss, surest = -log_probs_TV[:, :100].mean(), float(np.exp(np.median(log_probs_TV.max(axis=-1))))
    print(f"entries of size {name:4}: loss {loss:6.2f} nats, the likeliest token typically has {surest:.3f}")
assert abs(loss - math.log(V)) < 0.6 and surest < 0.01

# %% [markdown]
# With entries of size 1 the untrained model is 99 % sure of a random token, and its loss of about 100 nats is ten times that of a guess. With 1/√D it starts near 9.21, where it should.
#
# At the entrance the same table has another job. Each number of the stream should be about as large as those that layers add to it, and a layer made of random matrices turns numbers of size 1 into numbers of size 1. Entries of 1/√D are too small for that by √D. The factor lets one table do both jobs. And it leaves a rule that is easy to check by hand: RMS is length/√D, so **the RMS of a scaled embedding is the length of its row**. That is how the package draws its first weights (`jax_model/params.py`), here those of a small Gemma 2B, 256 wide:

# %%
small = gemma_2b.replace(vocab_size=1000, embed_dim=256, num_heads=4, head_dim=64, hidden_dim=1024)


@jax.jit  # which leaves out what is not returned: 17 of the 18 layers
def first_layer(key):
    params = init(key, small)
    return params._replace(blocks=params.blocks[:1])


fresh = first_layer(jax.random.key(0))
row_lengths_V = np.linalg.norm(fresh.embedding.table, axis=1)
print(
    f"entries {np.std(fresh.embedding.table):.4f}, 1/√256 = {256**-0.5:.4f}; rows {row_lengths_V.mean():.2f} long"
)
np.testing.assert_allclose(row_lengths_V.mean(), 1, atol=0.01)

# %% [markdown]
# Such is a table on its first day. What is left of it after training? Load the real Gemma 3 270M, with 262,144 rows of 640 numbers, and our paragraph of 105 tokens. Its rows were free to grow. How long do you expect the row of a frequent token to be, and that of a rare one?

# %%
model = checkpoints.load("gemma3-270m")
params, config = model.params, model.config
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_T = model.tokenizer.encode(text, add_bos=True)
lengths_V = np.linalg.norm(np.asarray(params.embedding.table), axis=1)
print(f"shortest row {lengths_V.min():.3f}, longest {lengths_V.max():.3f}")
assert 1.02 < lengths_V.min() < lengths_V.max() < 1.04 and len(tokens_T) == 105

# %% [markdown]
# All 262,144 of them lie between 1.027 and 1.036. A random table would not manage that: its rows scatter around 1 by 1/√(2D), which is 0.028.

# %%
random_lengths = np.linalg.norm(unit_VD, axis=1) / D**0.5
fig, ax = plt.subplots()
ax.hist(random_lengths, np.linspace(0.9, 1.12, 45), density=True, color="0.75")
ax.hist(lengths_V, np.linspace(1.027, 1.036, 10), density=True, color=COLOURS["gemma"])
ax.text(0.915, 60, "drawn at random,\nentries of size 1/√D", color="0.45")
ax.text(1.04, 600, "Gemma 3 270M", color=COLOURS["gemma"])
ax.set(title="After training, every row is 1.03 long", xlabel="length of a row of the table", yscale="log")
ax.set(ylabel="share of rows per unit of length", ylim=(0.1, 2000))
real_spread, random_spread = float(lengths_V.std()), float(random_lengths.std())
show(
    fig,
    f"Histogram of row lengths: Gemma's lie from {lengths_V.min():.3f} to {lengths_V.max():.3f}, "
    f"random rows spread by {random_spread:.3f} around 1.",
)
assert real_spread < 0.001 and abs(random_spread - (2 * D) ** -0.5) < 0.002

# %% [markdown]
# Look at the width of the blue bar, less than a hundredth, beside the grey hill. Frequent or rare, every token has a vector of the same length; only the direction tells them apart. What holds the lengths so tightly we do not know, and we know of no published word about it. For our question one thing counts: the scaled stream of the real model starts with an RMS of 1.03, as it would in a fresh one.
#
# ## What the factor balances
#
# Each layer reads the stream through a norm (lesson 03), which divides by the RMS. So the first thing that attention does is to undo the factor! Then what could it matter? Let layer 0 tell us, with the package's own functions: what attention adds to the stream, what the feed-forward sublayer adds, and the stream behind both.


# %%
def what_layer_0_adds(params, x_BTD, config):
    block, positions_BT = params.blocks[0], jnp.arange(x_BTD.shape[1])[None]
    mask_BTT = attention_mask(positions_BT, positions_BT, config.window(0))
    read_BTD = jax_block.before(block.attention_norm, x_BTD, config)
    y_BTD = attention(block.attention, read_BTD, positions_BT, mask_BTT, config.theta(0), config)
    middle_BTD = jax_block.after(block.post_attention_norm, x_BTD, y_BTD, config)
    end_BTD = jax_block.block(block, x_BTD, positions_BT, mask_BTT, config.theta(0), config)
    return x_BTD, middle_BTD - x_BTD, end_BTD - middle_BTD, end_BTD


# %% [markdown]
# We run it four times: the fresh model and the real one, each with and without the factor. The fresh one reads random tokens, the real one our paragraph.

# %%
compiled = jax.jit(what_layer_0_adds, static_argnames="config")
text_BT = np.array([tokens_T])
nonsense_BT = jnp.asarray(random.integers(0, 1000, (1, 105)))
layer_0 = {}
for name, weights, ids_BT, its_config in (
    ("fresh", fresh, nonsense_BT, small),
    ("real", params, text_BT, config),
):
    for scale in (True, False):
        start_BTD = jax_embedding.embed(weights.embedding.table, ids_BT, scale)
        found = compiled(weights, start_BTD, config=its_config)
        layer_0[name, scale] = dict(zip(("before", "attention", "feedforward", "after"), found, strict=True))

# %% [markdown]
# First, does attention in layer 0 notice that the factor is missing?

# %%
for name in ("fresh", "real"):
    added = [layer_0[name, scale]["attention"] for scale in (True, False)]
    np.testing.assert_allclose(added[0], added[1], atol=0.002 * float(jnp.abs(added[0]).max()))
print("with and without the factor, attention in layer 0 adds the same")

# %% [markdown]
# It does not. The norm has taken the factor out; only its ε, which is 10⁻⁶, remembers. But what is *added* stays the same while what it is added *to* shrinks 25-fold. Sizes, as the median RMS over the tokens, without `<bos>`, on which layer 0 of the real model piles something more than a hundred times as large as an embedding:


# %%
def typical_rms(x_BTD):
    return float(jnp.median(jnp.sqrt(jnp.mean(x_BTD[0, 1:] ** 2, axis=-1))))


sizes = {case: {part: typical_rms(x_BTD) for part, x_BTD in parts.items()} for case, parts in layer_0.items()}
for (name, scale), size in sizes.items():
    numbers = ", ".join(f"{part} {value:.3f}" for part, value in size.items())
    print(f"{name:5} {'× √D' if scale else '× 1 '}: {numbers}")
assert 5 < sizes["real", True]["attention"] / sizes["real", True]["before"] < 5.5
assert 125 < sizes["real", False]["attention"] / sizes["real", False]["before"] < 140
assert jnp.std(layer_0["real", True]["feedforward"][0, 0]) > 100

# %% [markdown]
# As a picture, on a logarithmic axis, where a factor is a distance.

# %%
fig, ax = plt.subplots()
marks = {"before": ("stream", 0, "embedding"), "attention": ("values", 0.17, "attention adds"), "feedforward": ("keys", -0.17, "feed-forward adds")}  # fmt: skip
for row, name in enumerate(("fresh", "real")):
    for part, (colour, lift, _) in marks.items():
        ax.plot(sizes[name, True][part], 1 - row + lift, "o", color=COLOURS[colour])
    without, scaled = sizes[name, False]["before"], sizes[name, True]["before"]
    ax.annotate("", (scaled, 1 - row), (without, 1 - row), arrowprops={"arrowstyle": "->", "shrinkB": 5})
    ax.plot(without, 1 - row, "o", color="black", markerfacecolor="white")
    ax.text((without * scaled) ** 0.5, 1.03 - row, "× √D", ha="center")
ax.text(1.2, 1, "embedding", va="center")
for part in ("attention", "feedforward"):
    colour, lift, label = marks[part]
    ax.text(sizes["fresh", True][part] * 1.15, 1 + lift, label, va="center", color=COLOURS[colour])
ax.set(
    yticks=[1, 0],
    yticklabels=["fresh\nmodel", "Gemma 3\n270M"],
    xscale="log",
    xlim=(0.02, 30),
    ylim=(-0.5, 1.5),
)
ax.set(title="Unscaled, Gemma's tokens drown in what layer 0 adds", xlabel="RMS (logarithmic)")
listed = "; ".join(
    f"{name}: embedding {sizes[name, False]['before']:.3f} unscaled, {sizes[name, True]['before']:.2f} scaled, "
    f"attention {sizes[name, True]['attention']:.2f}, feed-forward {sizes[name, True]['feedforward']:.2f}"
    for name in ("fresh", "real")
)
show(fig, f"RMS of the embedding and of what layer 0 adds. {listed}.")

# %% [markdown]
# In the fresh model the scaled embedding outweighs both by far. (What is added is less than 1 there: attention averages over tokens, and `init` divides whatever writes to the stream by √(2L), so that 2L additions make one.) Unscaled, it is about as small as they are. The trained model holds a surprise. Its layer 0 adds far more than the embedding has, *with* the factor: about five times as much. Without it, 130 times. How much of a token is left behind layer 0? Compare the stream before and after by the cosine of the angle between them: 1 for the same direction, 0 for nothing in common.

# %%
cosines = {}
for case, parts in layer_0.items():
    before_TD, after_TD = parts["before"][0, 1:], parts["after"][0, 1:]
    products_T = jnp.sum(before_TD * after_TD, axis=-1)
    cosines_T = products_T / jnp.linalg.norm(before_TD, axis=-1) / jnp.linalg.norm(after_TD, axis=-1)
    cosines[case] = float(jnp.median(cosines_T))
    print(f"{case[0]:5} {'× √D' if case[1] else '× 1 '}: median cosine {cosines[case]:.2f}")
assert cosines["fresh", True] > 0.98 and 0.3 < cosines["fresh", False] < 0.6
assert cosines["real", True] > 0.15 > 0.02 > abs(cosines["real", False])

# %% [markdown]
# Even as published, Gemma's layer 0 turns the stream most of the way; a cosine of 0.18 survives. Without the factor nothing does: two random vectors of 640 numbers have a cosine of about ±0.04, more than we find. The feed-forward sublayer, the first to read embedding and attention *together*, then sees hardly anything but attention.
#
# If the balance is all that the factor does, then we can restore it from the other side. Leave the embedding small, and make everything that any layer adds smaller by the same √D. In Gemma 3 a norm stands behind each sublayer and multiplies by 1 + scale, so we can turn it down there, in all 18 layers. What will the perplexity be?
#
# (Perplexity is exp of the mean loss: 8 means as unsure as among 8 equally likely tokens. As in lesson 11 we judge the last 103 predictions. `with_factor` runs the real model with any factor at the entrance; the table at the exit stays as it is.)


# %%
@jax.jit
def with_factor(factor, params):
    scaled = lambda embedding, tokens, positions, config: factor * embedding.table[tokens]  # noqa: E731
    with mock.patch.object(jax_transformer, "embed_tokens", scaled):  # while tracing, so once
        return jax_transformer.forward(params, text_BT, config)


@jax.jit
def perplexity_of(logits_BTV):
    return jnp.exp(next_token_losses(logits_BTV, text_BT)[0, 1:].mean())


# %% [markdown]
# Perplexities by factor, published and left out:

# %%
root_D = config.embed_dim**0.5
published_BTV = with_factor(root_D, params)
heard = {root_D: float(perplexity_of(published_BTV)), 1.0: float(perplexity_of(with_factor(1.0, params)))}
print(f"× √D {heard[root_D]:.2f}, × 1 {heard[1.0]:.3g}")
assert abs(heard[root_D] - 8.28) < 0.02 and 1.4e6 < heard[1.0] < 1.6e6


# %% [markdown]
# Now the surgery, one `_replace` per layer:


# %%
def turned_down(norm):
    return norm._replace(scale=(1 + norm.scale) / root_D - 1)


quiet_blocks = tuple(
    block._replace(
        post_attention_norm=turned_down(block.post_attention_norm),
        post_feedforward_norm=turned_down(block.post_feedforward_norm),
    )
    for block in params.blocks
)
quiet_layers = float(perplexity_of(with_factor(1.0, params._replace(blocks=quiet_blocks))))
print(f"× 1, and all layers turned down: {quiet_layers:.2f}")
np.testing.assert_allclose(quiet_layers, heard[root_D], rtol=1e-3)

# %% [markdown]
# From 1.5 million back to 8.28, without any factor at the entrance. The final norm removes what is left of the common scale. So √D holds no information: it sets the *ratio* between what a token is and what the layers say about it, and the weights were trained for that ratio.
#
# ## 45.25 and 55.5
#
# Gemma's weights are published in bfloat16, a float32 cut down to 16 bits: the same range, but only 8 significant binary digits, where float32 has 24. Gemma 7B has D = 3072, and √3072 = 55.4256. In binary that is 110111.0110110…; eight digits are 110111.01, what follows them is more than half a step, so it is rounded up to 110111.10. That is 55.5. From 32 to 64 six digits stand before the point and two behind, and the numbers that exist are a quarter apart.

# %%
bfloat16 = ml_dtypes.bfloat16
root = np.array(math.sqrt(3072)).astype(bfloat16)
bits = root.view(np.uint16)
neighbours = [float((bits + np.uint16(step)).view(bfloat16)) for step in (-1 & 0xFFFF, 0, 1)]
print(f"{math.sqrt(3072):.4f} becomes {root}, bits {bits:016b}; neighbours {neighbours}")
assert neighbours == [55.25, 55.5, 55.75] and f"{bits:016b}"[-7:] == "1011110"  # after the leading 1

# %% [markdown]
# Eight digits keep any number to within one part in 256, about 0.4 %. What do all the Gemmas' widths get? Guess: how many of these ten are hit by more than 0.1 %, and is any exact?

# %%
widths = {640: "3 270M", 1152: "3 1B", 2048: "1 2B", 2304: "2 2B", 2560: "3 4B", 3072: "1 7B", 3584: "2 9B", 3840: "3 12B", 4608: "2 27B", 5376: "3 27B"}  # fmt: skip
rounded = {D: float(np.float32(D**0.5).astype(bfloat16)) for D in widths}
for D, name in widths.items():
    print(
        f"Gemma {name:6}  D {D}  √D {D**0.5:8.4f}  in bfloat16 {rounded[D]:5}  {100 * (rounded[D] / D**0.5 - 1):+.2f} %"
    )
assert (rounded[2048], rounded[3072], rounded[2304]) == (45.25, 55.5, 48.0)
assert sum(abs(rounded[D] / D**0.5 - 1) > 0.001 for D in widths) == 7

# %% [markdown]
# Seven of ten, and Gemma 2 2B is exact, since 2304 is 48². Gemma 2B is nearly so. The figure has every width from 512 to 6000.

# %%
all_D = np.arange(512, 6000)
exact_D = np.sqrt(all_D).astype(np.float32)
fig, ax = plt.subplots()
ax.plot(all_D, 100 * (exact_D.astype(bfloat16).astype(np.float32) / exact_D - 1), color="0.8", linewidth=0.8)
for D, name in widths.items():
    error = 100 * (rounded[D] / D**0.5 - 1)
    ax.plot(D, error, "o", color=COLOURS["gemma"])
    side = {"textcoords": "offset points", "color": COLOURS["gemma"], "ha": "right" if D == 2048 else "left"}
    ax.annotate(name, (D, error), (-6 if D == 2048 else 6, -3), **side)
ax.set(title="bfloat16 moves √D by 0.4 % at most", xlabel="width D")
ax.set(ylabel="rounding error of √D (%)", ylim=(-0.45, 0.45))
listed = ", ".join(f"{name} {100 * (rounded[D] / D**0.5 - 1):+.2f} %" for D, name in widths.items())
show(fig, f"Relative rounding error of √D against D, a sawtooth within 0.4 %. The Gemmas: {listed}.")

# %% [markdown]
# Each tooth is one step from a bfloat16 number to the next. At D = 1024 and 4096, where √D passes 32 and 64, the step doubles, and with it the error. Which width is lucky is a matter of chance.
#
# Where the rounding happens is a matter of one cast, and codes differ:
#
# | code | the factor that a bfloat16 model gets | where |
# |---|---|---|
# | DeepMind's JAX code, from the launch on | rounded: `x *= jnp.sqrt(embed_dim).astype(x.dtype)` | google-deepmind/gemma f03bf63, `modules.py` |
# | Keras | rounded: cast to the type of x | keras-team/keras-hub |
# | Hugging Face transformers | full until 4.38.2, rounded from 4.39 | [#29402](https://github.com/huggingface/transformers/pull/29402), merged as [#29729](https://github.com/huggingface/transformers/pull/29729) |
# | Google's PyTorch code | full at launch, rounded since June 2024 | gemma_pytorch [#67](https://github.com/google/gemma_pytorch/pull/67), commit f499fd4 |
# | litgpt | full | [#1031](https://github.com/Lightning-AI/litgpt/issues/1031) |
# | llama.cpp | full: `sqrtf(n_embd)` in float32 | ggml-org/llama.cpp, `src/models/gemma.cpp` |
#
# That √3072 had to be 55.5 was number 3 in [Unsloth's list of Gemma bugs](https://unsloth.ai/blog/gemma-bugs). The comment that came into transformers with the change blames *float16*. Does it fit? And does it make a difference whether the factor is rounded, or only the product? Try both on a fresh bfloat16 table as wide as Gemma 7B's.

# %%
wide_VD = jax.random.normal(jax.random.key(1), (1000, 3072)) / 3072**0.5
wide_VD = wide_VD.astype(jnp.bfloat16)
factor_rounded = wide_VD * jnp.bfloat16(3072**0.5)
only_product = (wide_VD.astype(jnp.float32) * 3072**0.5).astype(jnp.bfloat16)
print(f"√3072 in float16 is {np.float16(3072**0.5)}")
print(f"{100 * float(jnp.mean(factor_rounded != only_product)):.1f} % of the entries differ")
for name, x in {"factor rounded": factor_rounded, "only product": only_product}.items():
    ratio = float(jnp.mean(x.astype(jnp.float32) / (wide_VD.astype(jnp.float32) * 3072**0.5)))
    print(f"{name:15} on average {100 * (ratio - 1):+.3f} %")
assert np.float16(3072**0.5) == 55.4375

# %% [markdown]
# float16 would have made it 55.4375: it was bfloat16. The two ways differ in nearly a quarter of the entries. A rounded product errs up as often as down. A rounded factor pushes everything the same way, by the 0.13 % of the table above.
#
# You can round without noticing. JAX gives a plain Python number the type of the array that it meets; NumPy widens; and a NumPy scalar brings its own type to JAX.

# %%
numpy_VD = np.asarray(wide_VD)
for how, x in {
    "JAX, x * math.sqrt(D)": wide_VD * math.sqrt(3072),
    "JAX, x * np.sqrt(D)": wide_VD * np.sqrt(3072),
    "NumPy, x * math.sqrt(D)": numpy_VD * math.sqrt(3072),
    "NumPy, x * np.sqrt(D)": numpy_VD * np.sqrt(3072),
    "package": jax_embedding.embed(wide_VD, jnp.arange(1000)[None], scale=True)[0],
}.items():
    factor = "rounded" if bool(jnp.all(jnp.asarray(x, jnp.float32) == factor_rounded)) else "in full"
    print(f"{how:24} gives {x.dtype.name:8}, factor {factor}")
assert (wide_VD * math.sqrt(3072)).dtype == jnp.bfloat16 and (wide_VD * np.sqrt(3072)).dtype == jnp.float32

# %% [markdown]
# Five lines that look alike and three types. (PyTorch is a sixth: there `x * math.sqrt(D)` stays bfloat16, and the factor is used in full. That was the line in transformers until 4.38.2.) This is what the package's cast is for.
#
# And does it matter? In the real 270M bfloat16 makes 25.25 of 25.298, 0.19 % too little. We run it in float32 with either factor, and beside it, with the full factor, a model whose *table* is rounded to bfloat16, as in every bfloat16 model. Which moves the logits more, the factor or the table?


# %%
def with_table(factor, table_VD):
    return with_factor(factor, params._replace(embedding=params.embedding._replace(table=table_VD)))


rounded_BTV = with_table(root_D, params.embedding.table.astype(jnp.bfloat16).astype(jnp.float32))
nearby = {"factor 25.25": with_factor(25.25, params), "table in bfloat16": rounded_BTV}
shifts = {name: jnp.abs(logits_BTV - published_BTV) for name, logits_BTV in nearby.items()}
for name, shift in shifts.items():
    print(f"{name:17}: logits move by {float(shift.mean()):.4f} on average, {float(shift.max()):.3f} at most")
assert (
    shifts["factor 25.25"].mean() < shifts["table in bfloat16"].mean() and shifts["factor 25.25"].max() > 0.02
)

# %% [markdown]
# Next to logits that range over several tens this is little, and it is less than what rounding the table does. The perplexity:

# %%
heard[25.25] = float(perplexity_of(nearby["factor 25.25"]))
print(f"factor 25.298: {heard[root_D]:.3f}   factor 25.25: {heard[25.25]:.3f}")
assert abs(heard[25.25] / heard[root_D] - 1) < 1e-3

# %% [markdown]
# Both 8.280. So it was a bug that nobody could hear. It is one all the same: two programs that should agree to three decimals differ by 0.03 in a logit, and as long as they do, you cannot see by comparing them whether there is something worse. When you compare in float32, as this course does, the right factor is 25.298; in bfloat16 it is 25.25. It follows the type of the table.
#
# ## Llama 2, OLMo and GPT-2 live without it
#
# Flip the field `scale_embedding`, and the same code embeds like the other models. Beside it stands the other flag that we have met, whether the table is used twice:

# %%
for preset in presets.FULL_SIZE:
    flags = f"scales {preset.scale_embedding!s:5}  ties {preset.tie_embedding!s:5}"
    print(f"{preset.name:16}  D {preset.embed_dim}  √D {preset.embed_dim**0.5:7.4f}  {flags}")
plain_BTD = numpy_embedding.embed(random_VD, random_BT, scale=presets.LLAMA2_7B.scale_embedding)
np.testing.assert_array_equal(plain_BTD, random_VD[random_BT])

# %% [markdown]
# Three combinations of the two flags occur. Which of the three starts with a small stream? We draw a table for each with the package's `init`, all at a width of 640, and embed with or without the factor, as each one does.


# %%
def fresh_rms(preset):
    narrow = presets.tiny(preset).replace(vocab_size=1000, embed_dim=640)
    table_VD = jax.jit(lambda key: init(key, narrow).embedding.table)(jax.random.key(0))
    return typical_rms(jax_embedding.embed(table_VD, nonsense_BT, preset.scale_embedding))


starts = {
    preset.name: fresh_rms(preset) for preset in (presets.GEMMA_2B, presets.LLAMA2_7B, presets.GPT2_124M)
}
print({name: round(start, 2) for name, start in starts.items()})
assert starts["GPT-2 124M"] < 0.05 < 0.9 < min(starts["Gemma 2B"], starts["Llama 2 7B"])

# %% [markdown]
# Llama 2 and OLMo do not tie. Two tables, two jobs: the one at the entrance may have entries of any size, and no factor is needed. GPT-2 ties *and* does not scale. Its stream starts small; OpenAI's own code draws the table with a standard deviation of 0.02 (openai/gpt-2, `src/model.py`). Its other matrices start at 0.02 as well, so its layers add little at first, and training can move the balance to where it likes. √D is one way of choosing a start, not a law.
#
# For the Transformer of 2017 the factor had one more use. It adds sines and cosines of the position to the embedding, and their RMS is √½, whatever was learned. How much of the sum's power (mean square) is the token?

# %%
base = presets.TRANSFORMER_BASE
wave_BTD = numpy_positions.sinusoidal(np.arange(100)[None], base.embed_dim)
wave_power = float(np.mean(wave_BTD**2))
for factor in (1.0, base.embed_dim**0.5):
    token_power = factor**2 / base.embed_dim  # rows of length 1
    print(
        f"× {factor:5.2f}: RMS {token_power**0.5:.3f} beside waves of {wave_power**0.5:.3f}; the token is {token_power / (token_power + wave_power):.1%} of the sum"
    )
np.testing.assert_allclose(wave_power, 0.5, rtol=1e-5)

# %% [markdown]
# Two thirds of its power with the factor, less than half a percent without. Gemma has no such waves, since RoPE turns queries and keys instead (lesson 04). It kept the factor.
#
# ## Break it on purpose
#
# How wrong may the factor be? Descriptions of Gemma say that it *normalizes* its embeddings by √D, and the variable in Hugging Face's code is called `normalizer` ([#29402](https://github.com/huggingface/transformers/pull/29402)); whoever takes the word literally divides. Somebody else lets both the converter and the model scale. In between lies everything that a typing error can produce. Draw the curve in your mind, from 1/25 to 640, before you run the cell. It takes a few seconds.

# %%
for factor in (1 / root_D, 5.0, 12.0, 20.0, 32.0, 100.0, 640.0):
    heard[factor] = float(perplexity_of(with_factor(factor, params)))
for factor, value in sorted(heard.items()):
    print(f"factor {factor:8.3f}: perplexity {value:10.3g}")
assert min(heard, key=heard.get) in (25.25, root_D)
assert heard[1 / root_D] > heard[1.0] > config.vocab_size > heard[640.0] > 20_000

# %% [markdown]
# As a curve; the dotted line is the perplexity of a die with 262,144 faces.

# %%
factors = sorted(heard)
fig, ax = plt.subplots()
ax.loglog(factors, [heard[factor] for factor in factors], "o-", color=COLOURS["gemma"], markersize=4)
for factor, label, where in (
    (factors[0], "divided by √D", (0, -22)),
    (1.0, "left out", (6, 6)),
    (640.0, "√D twice", (-52, 0)),
):
    ax.annotate(label, (factor, heard[factor]), where, textcoords="offset points")
ax.annotate("√D, and √D in bfloat16", (25.25, 8.28), (0, -14), textcoords="offset points", ha="center")
ax.axhline(config.vocab_size, color="0.6", linewidth=0.8, linestyle=":")
ax.text(1500, config.vocab_size * 1.2, "blind guessing", color="0.45", ha="right")
ax.set(title="Gemma 3 270M wants its √D", xlabel="factor on the embedding (logarithmic)", xlim=(0.02, 1600))
ax.set(ylabel="perplexity (logarithmic)", ylim=(2, 2e7))
listed = ", ".join(f"{factor:.3g}: {heard[factor]:.3g}" for factor in factors)
show(fig, f"Perplexity against the factor on the embedding, a valley at √D = 25.3. {listed}.")

# %% [markdown]
# A valley with a flat floor: 20 % too little costs less than one unit of perplexity, 0.19 % nothing. Its walls are steep, and on the left they end above blind guessing, at a model that is sure of the wrong thing. Dividing is worse than leaving the factor out, and scaling twice is far from harmless, though what a layer reads is normalised every time.
#
# One mistake has a place of its own: to store the *scaled* table, and let the model use it at both ends.

# %%
big_BTV = with_table(1.0, params.embedding.table * root_D)
same_choice = float(jnp.mean(big_BTV.argmax(-1) == published_BTV.argmax(-1)))
nats = math.log(perplexity_of(big_BTV))
print(
    f"logits {float(big_BTV.max() / published_BTV.max()):.2f} times as large, loss {nats:.1f} nats per token"
)
assert same_choice > 0.98 and nats > 30
np.testing.assert_allclose(big_BTV[0, -1], root_D * published_BTV[0, -1], rtol=1e-3, atol=0.1)

# %% [markdown]
# The entrance is right, so the stream is right; at the exit every logit is 25.3 times too large. The likeliest token is the same everywhere, and so a greedy demonstration is flawless. The probabilities are ruined: the loss is over 30 nats, a perplexity of many trillions. A factor on logits is a temperature (lesson 10), and this one freezes the model.
#
# The last trap is no factor at all. A table with four rows gets id 4, and then id −1. What should happen?

# %%
rows_VD = np.arange(8.0, dtype=np.float32).reshape(4, 2)
try:
    rows_VD[np.array([4])]
except IndexError as error:
    print("NumPy, id 4:", error)
for bad_id in (4, 100, -1, -100):
    print(f"JAX, id {bad_id:4}:", jnp.asarray(rows_VD)[jnp.array([bad_id])][0])
assert jnp.asarray(rows_VD)[jnp.array([4])][0].tolist() == [6.0, 7.0]
assert jnp.isnan(jnp.take(jnp.asarray(rows_VD), jnp.array([4]), axis=0)).all()

# %% [markdown]
# NumPy refuses id 4, and counts −1 from the end, as always in Python. JAX refuses nothing: an accelerator cannot raise an error in the middle of a computation, so ids beyond the table get its last row, and ids below −V its first. (`jnp.take` gives NaN beyond the end, which is at least seen.) A tokenizer with one token more than the table has rows will run, and always mean the same wrong word. The package's `forward` therefore looks at ids first:

# %%
tiny = presets.TINY_GEMMA_2B
tiny_params = build(tiny, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))
for bad_id in (11, -1):
    try:
        jax_transformer.forward(tiny_params, jnp.array([[3, bad_id]]), tiny)
        raise AssertionError("not refused")
    except ValueError as error:
        print(error)

# %% [markdown]
# It can do so where the values are known. Inside `jit` they are not, and there the best guard is to check where text becomes ids.
#
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it.
#
# ### 1 · A token of which you are not sure
#
# *Difficulty 1 of 5, 5 minutes.* Somebody scanned a page, and a blurred word is *sun* with probability ½ and *son* with ½. Write `soft_lookup(probs_BTV, table_VD)`: the embedding, Gemma's factor included, of tokens that are given as probabilities. Where one probability is 1, it is the ordinary embedding. First example: for probabilities `[[[0.5, 0.5, 0]]]` and the table `[[1, 3, 0, 0], [3, 1, 0, 2], [9, 9, 9, 9]]` the result is `[[[4, 4, 0, 2]]]`.
#
# ```python
# def soft_lookup(probs_BTV, table_VD):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>What did the formula with the one-hot vector need of it? Only that it can be summed over v.</details>
# <details><summary>Hint 2</summary>Put the probabilities where the one-hot vector stands. No softmax: they are probabilities already.</details>
# <details><summary>Hint 3</summary><code>mixed_BTD = probs_BTV @ table_VD</code>, and the factor is missing.</details>


# %% tags=["solution", "hide-input"]
def soft_lookup(probs_BTV, table_VD):
    ### BEGIN SOLUTION
    return probs_BTV @ table_VD * math.sqrt(table_VD.shape[1])
    ### END SOLUTION


# %% [markdown]
# The check mixes the rows of three tables, none of them square.

# %%
check("soft_lookup", soft_lookup)

# %% [markdown]
# ### 2 · bfloat16 by hand
#
# *Difficulty 3 of 5, 10 minutes.* Write `rounded_root(D)`: what bfloat16 makes of √D, as a Python float, with `math` alone. Eight significant binary digits, rounded to the nearest; exactly halfway, to the neighbour whose last digit is 0 (Python's `round` does the same for whole numbers). First examples: `rounded_root(3072)` gives `55.5`, and `rounded_root(257**2)` gives `256.0`.
#
# ```python
# def rounded_root(D):
#     root = math.sqrt(D)
#     step = ...  # the distance of two neighbours around root
#     return ...
# ```
#
# <details><summary>Hint 1</summary>From 32 to 64 the step is ¼. What is it from 16 to 32, and from 64 to 128?</details>
# <details><summary>Hint 2</summary>Find the power of two at or below the root: its exponent is <code>math.floor(math.log2(root))</code>. The step is that power divided by 2⁷. Count in steps, round, count back.</details>
# <details><summary>Hint 3</summary><code>step = 2.0 ** (math.floor(math.log2(root)) - 7)</code>. The last line is a product of two factors.</details>


# %% tags=["solution", "hide-input"]
def rounded_root(D):
    ### BEGIN SOLUTION
    root = math.sqrt(D)
    step = 2.0 ** (math.floor(math.log2(root)) - 7)
    return round(root / step) * step
    ### END SOLUTION


# %% [markdown]
# The check tries widths of Gemmas, roots below 2 and above 100, and two that lie exactly halfway.

# %%
check("rounded_root", rounded_root)

# %% [markdown]
# ### 3 · In the table's own type
#
# *Difficulty 2 of 5, 8 minutes.* Write `embed_in_its_dtype(table_VD, tokens_BT)` for NumPy arrays: Gemma's embedding, in the type of the table, which may be float32 or bfloat16 (`ml_dtypes.bfloat16`), with the factor rounded as DeepMind's code rounds it. First example: a bfloat16 table of ones with 3072 columns gives 55.5 everywhere, in bfloat16. Use no function of the package.
#
# ```python
# def embed_in_its_dtype(table_VD, tokens_BT):
#     factor = ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The table in "45.25 and 55.5" says who rounds what; the cell with five lines says what NumPy does when left alone.</details>
# <details><summary>Hint 2</summary>Make the factor a number of the table's type before it meets the table.</details>
# <details><summary>Hint 3</summary><code>factor = np.sqrt(table_VD.shape[1]).astype(table_VD.dtype)</code></details>


# %% tags=["solution", "hide-input"]
def embed_in_its_dtype(table_VD, tokens_BT):
    ### BEGIN SOLUTION
    factor = np.asarray(table_VD.shape[1] ** 0.5, table_VD.dtype)
    return factor * np.take(table_VD, tokens_BT, axis=0)
    ### END SOLUTION


# %% [markdown]
# The check uses both types. It knows what transformers 4.38.2 would have answered.

# %%
check("embed_in_its_dtype", embed_in_its_dtype)

# %% [markdown]
# ### 4 · How the table learns
#
# *Difficulty 3 of 5, 10 minutes.* Going backwards, a training step knows how the loss changes with each number of the embedded text, `gradient_BTD`, and needs to know how it changes with each number of the table. Write `table_gradient(gradient_BTD, tokens_BT, V)`, of shape V D, for Gemma's embedding with its factor. First example: gradients `[[[1, 2, 3, 4], [10, 20, 30, 40], [5, 5, 5, 5]]]` for tokens `[[1, 0, 1]]` and V = 3 give `[[20, 40, 60, 80], [12, 14, 16, 18], [0, 0, 0, 0]]`.
#
# ```python
# def table_gradient(gradient_BTD, tokens_BT, V):
#     D = gradient_BTD.shape[-1]
#     result_VD = np.zeros((V, D), gradient_BTD.dtype)
#     ...
#     return result_VD
# ```
#
# <details><summary>Hint 1</summary>In the example token 1 stands in two places. Which numbers of its row's gradient come from where?</details>
# <details><summary>Hint 2</summary>Each place sends its gradient, times √D, to the row that it was read from; what arrives at a row is added up. Careful: <code>result[tokens] += …</code> writes a repeated row only once.</details>
# <details><summary>Hint 3</summary><code>np.add.at(result_VD, tokens_BT, …)</code> adds repeats as well; or sum <code>one_hot_BTV</code> times <code>gradient_BTD</code> over B and T.</details>


# %% tags=["solution", "hide-input"]
def table_gradient(gradient_BTD, tokens_BT, V):
    ### BEGIN SOLUTION
    D = gradient_BTD.shape[-1]
    result_VD = np.zeros((V, D), gradient_BTD.dtype)
    np.add.at(result_VD, tokens_BT, gradient_BTD * math.sqrt(D))
    return result_VD
    ### END SOLUTION


# %% [markdown]
# The check has texts in which tokens repeat, and tokens that do not occur, whose rows learn nothing.

# %%
check("table_gradient", table_gradient)

# %% [markdown]
# ### 5 · Export to a model without the factor
#
# *Difficulty 2 of 5, 6 minutes.* You want to run Gemma in a program that neither ties nor scales: it has one table for input and another for output, and no factor. Write `untie(table_VD)`, which makes the pair (input table, output table) from Gemma's one, so that all logits stay the same. First example: for a 3 × 4 table of ones it gives a table of twos and a table of ones.
#
# ```python
# def untie(table_VD):
#     ...
#     return input_VD, output_VD
# ```
#
# <details><summary>Hint 1</summary>Which of the two jobs has the factor? "Break it on purpose" shows what happens if both get it.</details>
# <details><summary>Hint 2</summary>Multiply once, when you export, what Gemma multiplies at every lookup.</details>
# <details><summary>Hint 3</summary><code>input_VD = table_VD * …</code>, and <code>output_VD</code> is the table as it was.</details>


# %% tags=["solution", "hide-input"]
def untie(table_VD):
    ### BEGIN SOLUTION
    return table_VD * np.float32(table_VD.shape[1] ** 0.5), table_VD
    ### END SOLUTION


# %% [markdown]
# The check, and after it the proof: a tiny Gemma and its export give the same logits.

# %%
check("untie", untie)
read_VD, write_VD = untie(tiny_params.embedding.table)
exported = tiny_params._replace(embedding=tiny_params.embedding._replace(table=read_VD, output=write_VD))
free = tiny.replace(scale_embedding=False, tie_embedding=False)
logits_BTV = numpy_transformer.forward(exported, random_BT, free)
np.testing.assert_allclose(
    logits_BTV, numpy_transformer.forward(tiny_params, random_BT, tiny), rtol=1e-4, atol=1e-5
)

# %% [markdown]
# ## What breaks if…
#
# **1.** …a converter multiplies the table of a tied Gemma by √D, switches the factor off in the config, and is tested by reading what the model writes greedily?
#
# <details><summary>Answer</summary>The test passes: the likeliest token is the same nearly everywhere. But the logits are √D times too large, 25.3 times in the 270M, and the loss is over 30 nats per token. Whoever samples at temperature 1 gets the text of temperature 1/25. A look at one logit finds it.</details>
#
# **2.** …a float32 port uses 25.25 instead of 25.298? Which test finds it: reading, perplexity, or a comparison of logits?
#
# <details><summary>Answer</summary>Only the last. The perplexity is 8.280 for both, and the valley around √D is flat. Single logits move by up to about 0.03, and we allow 0.001 between two float32 programs.</details>
#
# **3.** …you drop the factor, and divide by √D everything that the layers add?
#
# <details><summary>Answer</summary>Nothing: 8.28, as published. Only the ratio counts, for every reader of the stream stands behind a norm. In the Transformer of 2017 it would break: its sinusoids are added with an RMS of 0.707 whatever you divide, and the token would be less than half a percent of the sum.</details>
#
# ## To take home
#
# An embedding is a lookup that behaves like a matrix product, and Gemma multiplies it by √D so that one table with rows of length 1 can serve as input and, tied, as output.
#
# The factor carries no information, only a balance: what counts is the size of a token's vector next to what the layers add, and on the real model the same balance, set from the other side, gives the same 8.28.
#
# Rounding √D to bfloat16 (45.25, 55.5) is inaudible; round as the type of the table says nevertheless, since parity that is nearly right hides what is really wrong.
#
# **Next.** Lesson 03 opens the norm that reads this stream, and finds another factor that codes disagree on. To read: Vaswani et al. 2017, sections 3.4 and 3.5; Press & Wolf 2017, *Using the output embedding to improve language models*, on one table for two jobs; Unsloth's [list of Gemma bugs](https://unsloth.ai/blog/gemma-bugs). In the package, read `jax_model/params.py`, where every first weight has its size for a reason.
