# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/09_jax_gemma.ipynb)
#
# # 09 · The whole model in JAX
#
# Below, one model writes the same words in four ways. The weights are the same, and so are the logits, to the third decimal. The speed is not: on the machine that made this page, the last way is seven to ten times as fast as the first from one run to the next, and about four fifths as fast as memory there delivers the weights. We build the model and find out where that factor comes from, where the last fifth went, and which weights a token can do without.
#
# *90 minutes, difficulty 3 of 5. You need NumPy and matrix products. The lessons 02 to 08 belong to the components, one each; here each gets a sentence or two.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# `np` is NumPy, `jnp` is JAX's version of it. The last line asks for full float32 products: left to itself, a TPU rounds both factors to 8 significant bits first, and nothing below would agree to five digits.

# %%
import csv
import functools
import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import cached_block, kv_cache, layer_scan, online_softmax, ring, screening
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.jax_model.params import init
from gemma_edu.jax_model.products import product
from gemma_edu.numpy_model import attention as numpy_attention
from gemma_edu.numpy_model import masks as numpy_masks
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import build

apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## One model, four speeds
#
# We load Gemma 3 270M. It has 18 layers, as Gemma 2B has, and is small enough for a laptop. Beside it we load the answers that the official implementation (Hugging Face's `transformers`) gave for the same weights: a prompt, its logits, and the 32 tokens that it wrote next. A *token* is a piece of text with a number; *logits* are the model's scores for what comes next, one for each of 262,144 tokens. The first 26 of those 32 tokens and the prompt make a text of 32.

# %%
model = checkpoints.load("gemma3-270m")
config, params = model.config, model.params
golden = np.load(course_data.path("golden/gemma3_270m_short.npz"))
prompt = golden["tokens"].tolist()
tokens_BT = np.array([prompt + golden["greedy"][:26].tolist()], np.int32)
print(f"{tokens_BT.shape[1]} tokens: {model.tokenizer.decode(tokens_BT[0].tolist())!r}")

# %% [markdown]
# First the question that comes before speed: do they agree? No logit depends on later tokens, so one pass over all 32 also contains the logits after the prompt's 6.

# %%
numpy_params = jax.tree.map(np.asarray, params)
compiled_forward = jax.jit(jax_transformer.forward, static_argnames="config")

by_numpy = numpy_transformer.forward(numpy_params, tokens_BT, config)
by_jax = jax_transformer.forward(params, tokens_BT, config)
by_jit = compiled_forward(params, tokens_BT, config)

# %% [markdown]
# Each against the official logits, after the prompt:

# %%
for name, logits_BTV in {"NumPy": by_numpy, "JAX, op by op": by_jax, "JAX, compiled": by_jit}.items():
    difference = np.abs(np.asarray(logits_BTV[0, 5]) - golden["last_logits"]).max()
    assert difference < 1e-3
    print(f"{name:14} within 0.001 of the official logits, which reach {golden['last_logits'].max():.1f}")

# %% [markdown]
# The largest of 262,144 differences is below 0.001. The fourth way keeps a *cache*, of which more below: `prefill` reads the prompt, and `decode` reads one more token at each step. We always take the most likely token, and 26 times it is the official one.

# %%
prefill = jax.jit(kv_cache.prefill, static_argnames=("config", "capacity"))
decode = jax.jit(kv_cache.decode, static_argnames="config", donate_argnames="cache")

# %% [markdown]
# `jax.jit` compiles a function; what `static` and `donate` mean comes later. The loop that writes:


# %%
def write(count, decode=decode):
    """The tokens that follow the prompt, one by one; each read of `.argmax()` waits for its computation."""
    logits_BV, cache = prefill(params, np.array([prompt]), np.zeros(1, np.int32), config=config, capacity=64)
    for step in range(count):
        token = int(logits_BV.argmax())
        yield token
        if step < count - 1:
            logits_BV, cache = decode(params, np.array([token]), cache, config=config)


np.testing.assert_allclose(by_jax, by_numpy, atol=1e-3)
np.testing.assert_allclose(by_jit, by_numpy, atol=1e-3)
np.testing.assert_allclose(by_numpy[0, :6, ::1009], golden["strided_logits"], atol=1e-3)

# %% [markdown]
# Every position, and every token:

# %%
written = list(write(26))
print(model.tokenizer.decode(written))
assert written == golden["greedy"][:26].tolist()

# %% [markdown]
# Now the clock. How many tokens a second does each way write, with 32 tokens of text already there? Guess four numbers before you run the cell.
#
# JAX hands back an array at once and computes it in the background; without `block_until_ready` you would time the handing back.


# %% tags=["timing"]
def seconds(run, repeats=2):
    """The best of some runs; `run` has been called before, so nothing is compiled here."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        durations.append(time.perf_counter() - start)
    return min(durations)


# %% [markdown]
# One new token costs the first three ways a pass over the whole text.

# %% tags=["timing"]
per_token = {
    "NumPy": seconds(lambda: numpy_transformer.forward(numpy_params, tokens_BT, config), repeats=1),
    "JAX, op by op": seconds(lambda: jax_transformer.forward(params, tokens_BT, config)),
    "JAX, compiled": seconds(lambda: compiled_forward(params, tokens_BT, config)),
}

# %% [markdown]
# The fourth passes on one token at a time.

# %% tags=["timing"]
stamps = [time.perf_counter() for _ in write(16)]
per_token["compiled, KV cache"] = (stamps[-1] - stamps[0]) / (len(stamps) - 1)

for name, duration in per_token.items():
    print(f"{name:18} {1 / duration:6.2f} tokens/s")
assert all(duration > 0 for duration in per_token.values())

# %% [markdown]
# Your numbers will differ from those stored here. We come back to them once we know what each line does.
#
# ## Params are a tree
#
# JAX functions are *pure*: what comes out depends only on what goes in. So a model cannot keep weights inside itself. They are an argument. To spare us 236 arguments, JAX accepts any nesting of tuples, lists and dicts as one, and calls it a *pytree*. Its arrays are the *leaves*. Ours is made of named tuples, so a leaf has a name and code can say `params.blocks[0].attention.w_q`.
#
# The letters are those of the whole course: D is the model's width, N the number of query heads, K of key/value heads, H the size of a head, F the feed-forward width.

# %%
for path, leaf in jax.tree.leaves_with_path(params.blocks[0]):
    print(f"{jax.tree_util.keystr(path):31} {leaf.shape}")

print(f"{len(jax.tree.leaves(params))} leaves in {type(params).__name__}")
assert params.blocks[0].attention.w_q.shape == (640, 4, 256)  # D N H

# %% [markdown]
# `jax.tree.map` applies a function to every leaf and keeps the shape of the tree. `jax.eval_shape` runs a function on shapes alone: no numbers, no memory. Does `init`, given the config of Gemma 7B, make exactly as many parameters as the published model has? Asked with numbers, that question costs 34 GB.

# %%
gemma_7b = jax.eval_shape(lambda key: init(key, presets.GEMMA_7B), jax.random.key(0))
parameters = sum(leaf.size for leaf in jax.tree.leaves(gemma_7b))
gigabytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(gemma_7b)) / 1e9

print(f"{parameters:,} parameters; in float32 they would fill {gigabytes:.2f} GB")
assert parameters == 8_537_680_896

# %% [markdown]
# To the digit. The leaves of `gemma_7b` have a shape, a type, and nothing in them.
#
# ## The model from its parts
#
# Here is the whole of Gemma 1, in the order in which data flows.
#
# The **embedding** turns a token into a row of a table and multiplies it by √D. The result is the *residual stream*: one vector per token, to which every layer adds something. A **norm** divides a vector by its root mean square and multiplies by 1 + a learned scale. **Attention** makes queries, keys and values from the normed stream, rotates queries and keys by their position (RoPE), and lets each token collect values from tokens whose keys fit its query; a **mask** hides the tokens that come later. The **feed-forward** layer treats each token by itself: one product, passed through GELU, gates another. At the end stands one more norm and a product with the embedding table, used a second time: the **logits**.

# %%
from gemma_edu.jax_model.attention import attention, project
from gemma_edu.jax_model.embedding import embed, unembed
from gemma_edu.jax_model.feedforward import feedforward
from gemma_edu.jax_model.masks import attention_mask
from gemma_edu.jax_model.norms import norm, rms_norm

# %% [markdown]
# One layer reads from the stream twice, and adds to it twice:


# %%
def my_block(block, x_BTD, positions_BT, mask_BTT, config):
    y_BTD = norm(block.attention_norm, x_BTD, config)
    x_BTD = x_BTD + attention(block.attention, y_BTD, positions_BT, mask_BTT, config.rope_theta, config)
    return x_BTD + feedforward(block.feedforward, norm(block.feedforward_norm, x_BTD, config), config)


# %% [markdown]
# The model is a loop over layers:


# %%
def my_forward(params, tokens_BT, config):
    positions_BT = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape)
    mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
    x_BTD = embed(params.embedding.table, tokens_BT, scale=True)
    for block in params.blocks:
        x_BTD = my_block(block, x_BTD, positions_BT, mask_BTT, config)
    return unembed(params.embedding.table, norm(params.final_norm, x_BTD, config))


# %% [markdown]
# Do the shapes fit Gemma 7B? Again from shapes alone.

# %%
logits = jax.eval_shape(lambda params: my_forward(params, jnp.ones((3, 5), int), presets.GEMMA_7B), gemma_7b)
print(logits)
assert logits.shape == (3, 5, 256_000)  # B T V

# %% [markdown]
# Twelve lines, and the shapes fit. Are the numbers right? We compare on tiny configs in which every axis has another length, so that a swapped axis cannot pass unseen. One trap is left: a freshly initialised model has norm scales of 0 and biases of 0, and a forgotten zero changes nothing. So we fill every leaf with noise. `build` makes the tree that a config asks for, one leaf at a time.


# %%
def noisy(config, seed=0):
    """Random weights without a zero in them: zeros hide mistakes."""
    random = np.random.default_rng(seed)
    return build(config, lambda name, shape: random.normal(0, 0.3, shape).astype(np.float32))


# %% [markdown]
# For eight, two and one key/value heads:

# %% tags=["contract"]
my_compiled_forward = jax.jit(my_forward, static_argnames="config")
small_BT = np.random.default_rng(0).integers(0, 11, (3, 7))
for tiny in (presets.TINY_GEMMA_2B, presets.TINY_GEMMA_7B, presets.TINY_GROUPED):
    mine = my_compiled_forward(noisy(tiny), small_BT, tiny)
    for package in (jax_transformer.forward, numpy_transformer.forward):
        np.testing.assert_allclose(mine, package(noisy(tiny), small_BT, tiny), atol=1e-5, rtol=1e-5)

# %% [markdown]
# Yours equals the package's, in JAX and in NumPy. The package's `forward` is hardly longer. This is its source, read from the installed file:

# %%
show_source(jax_transformer.forward)

# %% [markdown]
# Three things are new. `check_tokens` refuses tokens outside the vocabulary, which JAX would quietly clip. The mask and theta (the base of RoPE's wavelengths) belong to the layer, because in Gemma 3 most layers see only a window of recent tokens. And `embed_tokens`, `block` and `read_out` ask the config what the other models do: add position vectors, put norms elsewhere, use a separate output matrix. One code path, eight configs, and for each the NumPy model is the definition of correct:

# %%
for tiny in presets.TINY:
    weights = noisy(tiny)
    expected = numpy_transformer.forward(weights, small_BT, tiny)
    np.testing.assert_allclose(compiled_forward(weights, small_BT, tiny), expected, atol=1e-5, rtol=1e-5)
    print(f"{tiny.name:28} NumPy == JAX, to 1e-5")

# %% [markdown]
# ## What `jit` does
#
# NumPy runs a line, stores the result in memory, and goes to the next line. So does JAX, op by op. `jax.jit` runs your Python *once*, with stand-ins that have a shape and a type but no value (*tracers*), writes down every operation they meet, and gives that list to a compiler. From then on the compiled program runs, and your Python does not. Here is such a list, for the norm of three numbers:

# %% tags=["nbval-ignore-output"]
program = jax.make_jaxpr(lambda x: rms_norm(x, jnp.zeros(3), 1e-6, unit_offset=True))(jnp.ones(3))
print(program.pretty_print(use_color=False))
assert "rsqrt" in str(program)

# %% [markdown]
# Each line is one operation with the shape of its result: `f32[3]` is a float32 vector of three. `epsilon` is in the list as a number. It was an ordinary Python value, and so was `unit_offset`, whose `if` has been decided and has left no trace.
#
# Arrays are traced; everything else must be known while tracing. That is why `config` is *static*: the loop over layers and each `if` on a config field run in Python, at trace time. A static argument must be hashable, since JAX looks up the compiled program by its value, and that is why `ModelConfig` is frozen. Forget to say that it is static, and JAX asks how it could trace such a thing:

# %% tags=["nbval-ignore-output"]
message = ""
try:
    jax.jit(jax_transformer.forward)(noisy(presets.TINY_GEMMA_2B), small_BT, presets.TINY_GEMMA_2B)
except TypeError as error:
    message = str(error)
start = message.index("The problematic value")
print(message[start : message.index(".", start + 80) + 1])
assert "ModelConfig" in message

# %% [markdown]
# Python runs only while JAX traces, so a line with a side effect counts compilations. We call the same model with texts of 4 lengths, twice, and with a config that is equal but not identical. How many compilations will that be?

# %%
traced = []


@functools.partial(jax.jit, static_argnames="config")
def counted_forward(params, tokens, config, positions=None):
    traced.append(tokens.shape)
    return jax_transformer.forward(params, tokens, config, positions)


# %% [markdown]
# Eight calls, two sets of equal configs.

# %%
text_BT = np.random.default_rng(1).integers(0, 11, (1, 12))
weights, alone = noisy(presets.TINY_GEMMA_2B), {}
for length in (5, 6, 7, 8, 5, 6, 7, 8):
    alone[length] = counted_forward(weights, text_BT[:, :length], presets.TINY_GEMMA_2B.replace())
print(f"{len(traced)} compilations")
assert len(traced) == 4

# %% [markdown]
# One per shape: the second round and the new but equal config cost nothing. On the real model a compilation takes seconds. The cure is a few *buckets*: round the length up, and fill with padding. Position −1 marks a token as padding, which nobody attends to.

# %%
traced.clear()
for length in (5, 6, 7, 8):
    padded_BT = np.pad(text_BT[:, :length], ((0, 0), (0, 16 - length)))
    positions_BT = np.where(np.arange(16) < length, np.arange(16), -1)[None]
    logits_BTV = counted_forward(weights, padded_BT, presets.TINY_GEMMA_2B, positions_BT)
    np.testing.assert_allclose(logits_BTV[:, :length], alone[length], atol=1e-5)
print(f"{len(traced)} compilation for 4 lengths, and the same logits")
assert len(traced) == 1

# %% [markdown]
# ## `vmap` and `grad`
#
# Two more transformations take a function and give back a function. Write a loss for *one* sequence: the mean of −log p(next token), which a training run makes small.


# %%
def sequence_loss(params, tokens_T, config):
    logits_TV = jax_transformer.forward(params, tokens_T[None], config)[0]
    log_probs_TV = jax.nn.log_softmax(logits_TV[:-1])
    return -jnp.mean(jnp.take_along_axis(log_probs_TV, tokens_T[1:, None], axis=-1))


# %% [markdown]
# `vmap` makes of it a loss for a batch, one number per sequence, without a loop and without a batch axis in your code:

# %%
tiny = presets.TINY_GEMMA_2B
loss = jax.jit(lambda params, tokens_T: sequence_loss(params, tokens_T, tiny))
losses_B = jax.jit(jax.vmap(loss, in_axes=(None, 0)))(
    weights, small_BT
)  # weights shared, tokens one row each
one_by_one = [loss(weights, tokens_T) for tokens_T in small_BT]
print(np.asarray(losses_B).round(3))
np.testing.assert_allclose(losses_B, one_by_one, rtol=1e-5)

# %% [markdown]
# `grad` turns it into a function that gives, for each weight, how fast the loss changes. The gradient is a tree of the same form as the params.
#
# Is it right? Take any direction in weight space, step a little forwards and backwards along it, and compare the slope that you find with the slope that the gradient promises.

# %%
gradient_of = jax.jit(jax.grad(loss))
gradient = gradient_of(weights, small_BT[0])

direction = noisy(tiny, seed=5)
promised = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))

# %% [markdown]
# That is the promise. Now the steps:

# %%
ahead = jax.tree.map(lambda w, d: w + 0.005 * d, weights, direction)
behind = jax.tree.map(lambda w, d: w - 0.005 * d, weights, direction)
found = (loss(ahead, small_BT[0]) - loss(behind, small_BT[0])) / 0.01
print(f"slope promised by grad {promised:.2f}, found by stepping {found:.2f}")
np.testing.assert_allclose(found, promised, rtol=0.01)

# %% [markdown]
# A gradient can be right and useless. Gemma's launch code started its three feed-forward matrices at zero. The layer computes (gelu(x W_gate) ⊙ x W_up) W_down; what does `grad` say about each matrix then, and what if only `w_down` is zero? Decide before you look.


# %%
def gradient_sizes(zeroed):
    """The largest gradient in each feed-forward matrix of layer 0, with the named ones set to zero."""
    zeros = {name: np.zeros_like(getattr(weights.blocks[0].feedforward, name)) for name in zeroed}
    first = weights.blocks[0]._replace(feedforward=weights.blocks[0].feedforward._replace(**zeros))
    found = (
        gradient_of(weights._replace(blocks=(first, *weights.blocks[1:])), small_BT[0]).blocks[0].feedforward
    )
    return {name: float(np.abs(getattr(found, name)).max()) for name in ("w_gate", "w_up", "w_down")}


# %% [markdown]
# The largest gradient in each matrix:

# %%
all_zero, down_zero = gradient_sizes(["w_gate", "w_up", "w_down"]), gradient_sizes(["w_down"])
print("all three zero:  ", {name: round(size, 3) for name, size in all_zero.items()})
print("only w_down zero:", {name: round(size, 3) for name, size in down_zero.items()})
assert set(all_zero.values()) == {0.0} and down_zero["w_down"] > 0.001

# %% [markdown]
# Each matrix's gradient is multiplied by another of the three. With all at zero, none ever moves: the layer is dead, and no learning rate can wake it. One zero is harmless, for `w_down` moves at the first step and frees the other two. Our `init` therefore makes all three random. (DeepMind's repository made the same change seven months after launch, in commit bb3494c.)
#
# ## One layer compiled, or eighteen
#
# Tracing unrolls the Python loop over layers, so the program grows with each of them. But all layers are alike. `jax.lax.scan` compiles *one* and runs it L times over weights that are stacked along a new first axis. `layer_scan` is our model in that form. First, that it is the same model; TINY_GEMMA3_270M has two kinds of layer, and here two of each:

# %%
deep = presets.TINY_GEMMA3_270M.replace(num_layers=4)
deep_weights = noisy(deep)
stacked = layer_scan.stack(deep_weights, deep)
scanned_forward = jax.jit(layer_scan.forward, static_argnames="config")
print(
    "one layer", deep_weights.blocks[0].attention.w_q.shape, "stacked", stacked.blocks[0].attention.w_q.shape
)
scanned, unrolled = scanned_forward(stacked, small_BT, deep), compiled_forward(deep_weights, small_BT, deep)
np.testing.assert_allclose(scanned, unrolled, atol=2e-5, rtol=2e-5)

# %% [markdown]
# Now the size of the program that the compiler receives, at the true widths of Gemma 2B. Shapes suffice for that.


# %%
def programs(num_layers):
    """Gemma 2B with so many layers, traced from shapes: unrolled and scanned."""
    config = presets.GEMMA_2B.replace(num_layers=num_layers)
    params = jax.eval_shape(lambda key: init(key, config), jax.random.key(0))
    stacked = jax.eval_shape(lambda params: layer_scan.stack(params, config), params)
    tokens = jax.ShapeDtypeStruct((1, 16), jnp.int32)
    return compiled_forward.lower(params, tokens, config), scanned_forward.lower(stacked, tokens, config)


# %% [markdown]
# `lower` traces and stops before compiling.

# %%
layers = (1, 6, 12, 18)
lowered = {count: programs(count) for count in layers}
unrolled_lines, scanned_lines = (
    [lowered[count][i].as_text().count("\n") for count in layers] for i in (0, 1)
)
assert unrolled_lines[3] > 10 * scanned_lines[3] and len(set(scanned_lines)) == 1

# %% [markdown]
# Before you run the next cell: from 12 to 18 layers, what happens to each curve?

# %% tags=["timing"]
fig, ax = plt.subplots()
ax.plot(layers, unrolled_lines, "o-", color=COLOURS["gemma"])
ax.plot(layers, scanned_lines, "s--", color=COLOURS["stream"])
ax.text(11.5, unrolled_lines[2], "unrolled: a Python loop", ha="right", va="bottom", color=COLOURS["gemma"])
ax.text(12, scanned_lines[2] + 120, "scanned", ha="center", color=COLOURS["stream"])
ax.set(xlabel="layers L", ylabel="program for the compiler (lines)")
ax.set_title("Scanned, the program does not grow with depth")
show(
    fig,
    f"Program size against depth for Gemma 2B: unrolled it grows in a straight line to {unrolled_lines[3]:,} "
    f"lines at 18 layers; scanned it stays at {scanned_lines[3]:,}.",
)

# %% [markdown]
# Each unrolled layer adds the same number of lines. Compile time follows, here for 18 layers.

# %% tags=["timing"]
for form, program in zip(("unrolled", "scanned"), lowered[18], strict=True):
    start = time.perf_counter()
    program.compile()
    print(f"{form:9} compiled in {time.perf_counter() - start:5.1f} s")
assert len(lowered) == 4

# %% [markdown]
# Scanning pays for deep models. It does little for Gemma 3 270M: its pattern, five local layers and a global one, repeats every 6 layers, so the scanned body holds six and saves a factor of three at most. It also asks for stacked weights. So the course scans only where compile time counts.
#
# ## The KV cache
#
# To write its 33rd token, must a model read the first 32 again? Look at what the last token needs from the others: only their keys and values. Because of the mask, those depend on nothing that comes after. Once computed they never change, and can be kept. That is the *KV cache*.
#
# By hand, with one attention layer and 5 tokens, in NumPy. First all at once.

# %%
layer, theta = weights.blocks[0].attention, tiny.rope_theta
y_BTD = np.random.default_rng(2).normal(size=(1, 5, 10)).astype(np.float32)  # five tokens' normed streams
positions_BT = np.arange(5)[None]
q_BTNH, k_BTKH, v_BTKH = numpy_attention.project(layer, y_BTD, positions_BT, theta, tiny)
mask_BTT = numpy_masks.attention_mask(positions_BT, positions_BT, window=None)
at_once_BTNH = numpy_attention.attend(q_BTNH, k_BTKH, v_BTKH, mask_BTT)

# %% [markdown]
# Now token by token: each step projects one, and looks back at what was kept.

# %%
kept_keys, kept_values = [], []
for t in range(5):
    q, k, v = numpy_attention.project(layer, y_BTD[:, t : t + 1], np.array([[t]]), theta, tiny)
    kept_keys.append(k)
    kept_values.append(v)
    seen = np.ones((1, 1, t + 1), bool)  # nothing to hide: later tokens do not exist yet
    context = numpy_attention.attend(q, np.concatenate(kept_keys, 1), np.concatenate(kept_values, 1), seen)
    np.testing.assert_allclose(context[:, 0], at_once_BTNH[:, t], atol=1e-5)
print(f"{len(kept_keys)} keys projected, where starting again each time projects {sum(range(1, 6))}")
assert len(kept_keys) == 5 and sum(range(1, 6)) == 15

# %% [markdown]
# Keys are kept *after* rotation, each at its own position, so they need no further work. The causal mask needs no line: what is not in the cache cannot be seen.
#
# Five against fifteen is no great matter. And at 512 tokens?

# %%
lengths = np.arange(1, 513)
again, kept = lengths * (lengths + 1) // 2, lengths
print(f"at 512 tokens: {again[-1]:,} keys per head and layer without a cache, {kept[-1]} with")
assert again[-1] == 131_328 and again[-1] / kept[-1] == 256.5

# %% [markdown]
# How will the two curves look side by side?

# %%
fig, ax = plt.subplots()
ax.plot(lengths, again / 1000, "--", color=COLOURS["keys"])
ax.plot(lengths, kept / 1000, "-", color=COLOURS["keys"])
ax.text(355, again[354] / 1000, "started again at each token", ha="right", va="bottom", color=COLOURS["keys"])
ax.text(400, 3, "with a cache", color=COLOURS["keys"])
ax.set(xlabel="tokens written", ylabel="keys projected so far (thousands)")
ax.set_title("Without a cache the work grows with the square")
show(
    fig,
    "Keys projected per head and layer against tokens written: without a cache a parabola to 131,328 "
    "at 512 tokens, with a cache a straight line to 512, 256.5 times fewer.",
)

# %% [markdown]
# The lower line is not zero; it is 512 on a scale of 131,328. The same factor holds for every product with a weight matrix, which is nearly all of the model. What still grows with the text is the look back itself, T scores per query.
#
# The package splits the work in two. `prefill` reads the prompt in one pass and fills the cache; `decode` reads one more token. The contract: at each step, the logits of `forward` over the whole text. We test it on tiny Gemma 3, whose first layer has a window of W = 4 tokens, well past that window.

# %%
tiny3 = presets.TINY_GEMMA3_270M
weights3 = noisy(tiny3)
text_BT = np.random.default_rng(3).integers(0, 11, (2, 11))
expected_BTV = compiled_forward(weights3, text_BT, tiny3)

# %% [markdown]
# The prompt has 5 tokens; six more follow.

# %%
logits_BV, cache = prefill(weights3, text_BT[:, :5], np.zeros(2, np.int32), config=tiny3, capacity=16)
np.testing.assert_allclose(logits_BV, expected_BTV[:, 4], atol=1e-5)
for t in range(5, 11):
    logits_BV, cache = decode(weights3, text_BT[:, t], cache, config=tiny3)
    np.testing.assert_allclose(logits_BV, expected_BTV[:, t], atol=1e-5)
print("key shapes after 11 tokens:", [layer.k.shape for layer in cache.layers])
assert [layer.k.shape[1] for layer in cache.layers] == [4, 16]

# %% [markdown]
# The global layer has room for 16 tokens. The local layer has 4 places although 11 tokens went in: what has left the window will never be looked at again, so its place is given to the next. Token i goes to place i mod W, and the cache is a *ring*. One function says which token stands where:

# %%
show_source(ring.key_positions)
after_11 = ring.key_positions(11, np.zeros(1, int), places=4)[0]
print("after 11 tokens, places 0 to 3 hold tokens", after_11.tolist())
assert after_11.tolist() == [8, 9, 10, 7]

# %% [markdown]
# The next figure draws the same for each step. Which place does token 5 take, and whom does it replace?

# %%
rings = np.array([ring.key_positions(n, np.zeros(1, int), places=4)[0] for n in range(1, 10)]).T
fig, ax = plt.subplots()
for (place, step), token in np.ndenumerate(rings):
    newest = token == step
    colour = COLOURS["keys"] if newest else "#F3E3D8" if token >= 0 else "white"
    box = plt.Rectangle((step - 0.46, place - 0.46), 0.92, 0.92, facecolor=colour, edgecolor=COLOURS["keys"])
    ax.add_patch(box)
    ink = "white" if newest else "black"
    ax.text(step, place, token if token >= 0 else "–", ha="center", va="center", color=ink)
ax.set(xlim=(-0.6, 8.6), ylim=(3.6, -0.6), xticks=range(9), yticks=range(4))
ax.set(xlabel="number of the token just read (filled: its key)", ylabel="place in the ring (number)")
ax.set_title("Window 4: token i overwrites token i − 4")
show(
    fig,
    "A ring of 4 places after each of 9 tokens. Tokens 0 to 3 fill places 0 to 3; token 4 overwrites "
    "token 0 in place 0, token 5 overwrites 1, and so on to token 8 in place 0.",
)
assert rings[:, 5].tolist() == [4, 5, 2, 3]

# %% [markdown]
# Read a column from top to bottom: after token 5 the ring holds 4, 5, 2, 3. The scrambled order does not matter: attention is a sum, each key carries its position in its rotation, and `key_positions` tells the mask.
#
# How much memory does a cache take? From shapes again, in bfloat16 (2 bytes a number), with room for 8192 tokens. Predict which is larger, the cache of Gemma 2B or that of Gemma 3 270M, both with 18 layers, one key/value head of 256.


# %%
def cache_shapes(config, capacity):
    """The cache that prefill would make, without making it."""
    params = jax.eval_shape(lambda key: init(key, config, jnp.bfloat16), jax.random.key(0))
    tokens, padding = jax.ShapeDtypeStruct((1, 16), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32)
    read = functools.partial(kv_cache.prefill, config=config, capacity=capacity)
    return jax.eval_shape(read, params, tokens, padding)[1]


# %% [markdown]
# For the three Gemmas:

# %%
mebibytes = {}
for big in (presets.GEMMA_2B, presets.GEMMA_7B, presets.GEMMA3_270M):
    leaves = jax.tree.leaves(cache_shapes(big, 8192).layers)
    mebibytes[big.name] = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) / 2**20
    print(f"{big.name:13} {mebibytes[big.name]:7.1f} MiB for each text of 8192 tokens")
assert mebibytes == {"Gemma 2B": 144.0, "Gemma 7B": 3584.0, "Gemma 3 270M": 31.5}

# %% [markdown]
# Gemma 7B keeps 16 heads in 28 layers, Gemma 2B one head in 18: a factor of 24.9. Gemma 3 needs less than a quarter of the 2B's, as only 3 of its 18 layers remember more than 512 tokens.
#
# Arrays in JAX never change, so writing one key would copy the whole cache, at each token. We *donate* the old cache instead: `donate_argnames="cache"` says that we will not look at it again, and XLA may write in place. The promise is enforced.

# %%
logits_BV, cache = prefill(weights3, text_BT[:, :5], np.zeros(2, np.int32), config=tiny3, capacity=16)
old_keys = cache.layers[0].k
logits_BV, cache = decode(weights3, text_BT[:, 5], cache, config=tiny3)
print("old keys deleted:", old_keys.is_deleted(), " new keys deleted:", cache.layers[0].k.is_deleted())
assert old_keys.is_deleted() and not cache.layers[0].k.is_deleted()

# %% [markdown]
# ## Prompts of different lengths
#
# Two prompts, of 3 and 7 tokens, in one batch. Pad the short one on the *left*: then both end in the same column, and one write to the cache serves both. `padding` counts the filling of each row, so that positions start at 0 where the prompt does and nobody looks at the filling.

# %%
short, long = text_BT[0, :3], text_BT[1, :7]
padded_BT = np.stack([np.concatenate([np.zeros(4, int), short]), long])
padding_B = np.array([4, 0], np.int32)
logits_BV, cache = prefill(weights3, padded_BT, padding_B, config=tiny3, capacity=16)
logits_BV, cache = decode(weights3, np.array([9, 2]), cache, config=tiny3)

# %% [markdown]
# Each row must be as if it were alone, in NumPy and without padding:

# %%
for row, (text, new) in enumerate(((short, 9), (long, 2))):
    alone_BTV = numpy_transformer.forward(weights3, np.append(text, new)[None], tiny3)
    np.testing.assert_allclose(logits_BV[row], alone_BTV[0, -1], atol=1e-5, rtol=1e-5)
places_BS = ring.key_positions(cache.length, cache.padding, 16)
print("positions of row 0, place by place:", places_BS[0, :9].tolist())
assert places_BS[0, 4:9].tolist() == [0, 1, 2, 3, -1]

# %% [markdown]
# In row 0 the first four places hold padding (negative: seen by nobody), then positions 0 to 3; the last −1 is a place not yet written.
#
# ## float32 and bfloat16
#
# Most released weights are *bfloat16*: the range of float32, but 8 significant bits instead of 24. Half the memory, and half the bytes to read per token. What gets lost depends on where you round.

# %%
rounded = {
    value: float(jnp.asarray(value, jnp.bfloat16)) for value in (np.sqrt(2048), np.sqrt(640), 257.0, 1.003)
}
for value, low in rounded.items():
    print(f"{value:9.4f} becomes {low}")
assert list(rounded.values()) == [45.25, 25.25, 256.0, 1.0]

# %% [markdown]
# The factor √D of Gemma 2B is 45.25 in bfloat16, and DeepMind's code multiplies by exactly that, so `embed` rounds it on purpose. Position 257 becomes 256, so RoPE's angles are float32 whatever the weights are. 1.003 becomes 1: 1 + scale would forget small scales, so norms compute in float32 and round once, at the end. Scores and logits are summed in float32 too.
#
# With this care, how far apart are the two on the real model? `jax.tree.map` converts it in a line.

# %%
params_bf16 = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
by_bf16 = np.asarray(compiled_forward(params_bf16, tokens_BT, config))
errors = np.abs(by_bf16 - by_numpy)

# %% [markdown]
# What was saved, and what it cost:

# %%
gb = {
    name: sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) / 1e9
    for name, tree in (("float32", params), ("bfloat16", params_bf16))
}
print(", ".join(f"{name} {size:.2f} GB" for name, size in gb.items()))
print(
    f"logits differ by {errors.mean():.2f} on average, by {errors.max():.1f} at most, and reach {by_numpy.max():.0f}"
)
assert 1e-3 < errors.mean() < 0.2 and errors.max() < 2
assert round(gb["float32"], 2) == 1.07 and round(gb["bfloat16"], 2) == 0.54

# %% [markdown]
# The largest difference is far above the 0.001 that we allowed between float32 implementations. So compare implementations in float32: in bfloat16 a real mistake can hide in the rounding.
#
# Products have a precision of their own. On a CPU a float32 product is a float32 product. A TPU's matrix unit multiplies bfloat16 numbers, and JAX's default there rounds float32 factors to bfloat16 first, so that float32 weights give results nearly as coarse as those above. `"highest"`, set at the top, makes it use several passes that add up to float32, and costs time.
#
# How nearly? Round the factors yourself before JAX multiplies them, and compare with float64. A bfloat16 has 8 significant bits, so each factor is off by at most 2⁻⁹, 0.2 %, of itself; 640 such errors of either sign are added up. What is left of them, as a share of the largest result?

# %%
random = np.random.default_rng(0)
x_BD, w_DF = (random.normal(size=shape).astype(np.float32) for shape in ((64, 640), (640, 64)))
exact_BF = x_BD.astype(np.float64) @ w_DF
as_tpu = [factor.astype(jnp.bfloat16).astype(np.float32) for factor in (x_BD, w_DF)]
off = {
    name: float(np.abs(np.asarray(jnp.matmul(*factors)) - exact_BF).max() / np.abs(exact_BF).max())
    for name, factors in (("float32", (x_BD, w_DF)), ("rounded", as_tpu))
}
print(f"factors rounded to bfloat16: off by {off['rounded']:.4f} of the largest result")
assert off["rounded"] > 1000 * off["float32"] and off["float32"] < 1e-6

# %% [markdown]
# Two thousandths, and without rounding less than a millionth. That is the difference between an implementation that equals the official one and one that looks like it. (`make tpu-check` runs this whole course with such rounding where a product did not ask for more: no assertion notices, because every product asks.)

# %%
del params_bf16, by_bf16, by_jax, by_jit

# %% [markdown]
# ## How fast, and why
#
# Back to the table at the start. To compute the logits of one more token, the model must read each of its weights from memory at least once, and our float32 weights are 1.07 GB. If memory delivers b gigabytes a second, no program that computes them for one text at a time can exceed b / 1.07 tokens a second. (Each weight takes part in one multiplication and one addition, which any processor does faster than it can fetch the weight.) What does this machine deliver? We time the largest single read, the product of one vector with the embedding table.

# %% tags=["timing"]
table = params.embedding.table
read_table = jax.jit(lambda table, x: x @ table.T)
read_table(table, jnp.ones((1, 640)))
bandwidth = table.nbytes / 1e9 / seconds(lambda: read_table(table, jnp.ones((1, 640))), repeats=8)
limit = bandwidth / gb["float32"]
print(f"{bandwidth:.1f} GB/s, so at most {limit:.1f} tokens/s in float32")
assert limit > 0

# %% [markdown]
# Which of the four ways comes near that limit, and why not the others? Guess the order of the bars and the distance to the dashed line.

# %% tags=["timing"]
rates = {name: 1 / duration for name, duration in per_token.items()}
fig, ax = plt.subplots()
bars = ax.barh(list(rates), list(rates.values()), color=COLOURS["gemma"])
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.axvline(limit, linestyle="--", color=COLOURS["stream"])
ax.text(limit, -0.35, f"memory: {limit:.0f} ", ha="right", va="bottom", color=COLOURS["stream"])
ax.invert_yaxis()
ax.set(
    xlabel="speed (tokens per second) with 32 tokens of text", xlim=(0, 1.15 * max(limit, *rates.values()))
)
ax.set_title("The cache brings writing closest to the memory limit")
measured = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
show(fig, f"Tokens per second of Gemma 3 270M: {measured}; the memory limit is {limit:.1f}.")
assert len(rates) == 4

# %% [markdown]
# The upper three do far too much. Each passes all 32 tokens through the model in order to learn one, and computes 32 rows of 262,144 logits, of which it uses the last. Only the bar at the bottom does one token's work per token.

# %%
weights_count = sum(leaf.size for leaf in jax.tree.leaves(params))
print(f"{2 * weights_count / 1e9:.2f} GFLOP for one token, {32 * 2 * weights_count / 1e9:.1f} GFLOP for 32")
assert weights_count == 268_098_176

# %% [markdown]
# (A *FLOP* is one multiplication or addition; each weight needs two per token.)
#
# NumPy and JAX op by op run the same operations, one after the other, and which of the two is ahead depends on the machine: JAX pays a little for handing over each of a thousand small operations, NumPy runs all but its matrix products on one core. Between op by op and compiled lies the compiler, which joins small operations into one pass over memory and leaves Python out. That gain is modest here, as large products fill most of the time. The step to the cache is of another kind: less work. What then remains is mostly reading the weights, and there only fewer bytes help; in the gap that is left, memory waits while hundreds of small operations run between the large products. That is why phones run models with 4 bits per weight. Prefill is the opposite case: it reads the weights once for a whole prompt, and the limit is arithmetic.
#
# ## The form of a product
#
# In bfloat16 a weight has half the bytes, so the limit is twice as high. Is the model twice as fast? Take a quarter of its largest product, one row of the stream with 65,536 rows of the table, and write it in three ways. `product` is what the package uses wherever activations meet weights; its equations are those of einsum.

# %%
x_1D = jnp.asarray(np.random.default_rng(4).normal(size=(1, 640)), jnp.bfloat16)
w_VD = table[:65_536].astype(jnp.bfloat16)  # the numbers that make one output lie together in memory
w_DV = jnp.array(w_VD.T)  # the same numbers; those that one input is multiplied with lie together
forms = {
    "x @ w": (jax.jit(jnp.matmul), w_DV),
    "product, by input": (jax.jit(functools.partial(product, "TD,DV->TV")), w_DV),
    "product, by output": (jax.jit(functools.partial(product, "TD,VD->TV")), w_VD),
}
results = [np.asarray(form(x_1D, w), np.float32) for form, w in forms.values()]
for result in results:
    np.testing.assert_allclose(result, results[0], rtol=2**-7, atol=2**-7)

# %% [markdown]
# All three agree, to the rounding of bfloat16. By how much will their speeds differ?

# %% tags=["timing"]
for name, (form, w) in forms.items():
    print(f"{name:20} {w.nbytes / 1e9 / seconds(lambda form=form, w=w: form(x_1D, w), repeats=8):6.1f} GB/s")
print(f"{'float32, as above':20} {bandwidth:6.1f} GB/s")
assert len(forms) == 3

# %% [markdown]
# On the machine that made this page the first was about twenty times slower than the last. XLA's compiler for CPUs has quick code for some shapes of a product; for others it writes a float32 copy of all of w first, and does so again at every token. By input it is quick with two rows, so `product` hands it the same row twice. By output it is quick with one. A GPU or a TPU does not mind how the product is written.

# %%
del forms, w_VD, w_DV
show_source(product)

# %% [markdown]
# Nothing in the equations tells you this. You find it by holding what you measure against what the machine can do, as in the figure above, and by reading the program that the compiler made of yours: `jax.jit(f).lower(…).compile().as_text()` prints it. That is how another gap showed. Although we donate the cache, XLA copied it, up to four times in each layer: a step reads old keys and writes a new one, and on a CPU the compiler kept copies to be safe. So the package writes its step as two programs: `read`, which changes nothing, and `append`, which looks at nothing.
#
# One gap is left, and it is in what the cache does *not* hold. With room for 4096 tokens and 20 in it, attention in a global layer meets 4076 empty places, and a masked score takes as long as any other. Where the text ends is known only when the program runs, but the shapes in a compiled program are fixed. So the package takes the places in blocks of 128, in a loop that turns as often as there are filled blocks.
#
# There is one difficulty. Softmax divides by a sum over *all* scores. Can it be built block by block, if nobody knows yet what the next block brings? Take one query that meets five keys, two at a time, and keep three numbers: the largest score m so far, the sum of exp(score − m), and the sum of exp(score − m) · value.

# %%
scores_S, values_S = np.array([1.0, 3.0, 2.0, 5.0, 0.5]), np.array([10.0, 20.0, 30.0, 40.0, 50.0])


def block_by_block(shrinks):
    largest, total, context = -np.inf, 0.0, 0.0
    for block in (slice(0, 2), slice(2, 4), slice(4, 5)):
        higher = max(largest, scores_S[block].max())
        # the earlier sums, seen from the new largest score
        shrink = np.exp(largest - higher) if shrinks else 1.0
        weights = np.exp(scores_S[block] - higher)
        total = total * shrink + weights.sum()
        context = context * shrink + weights @ values_S[block]
        largest = higher
    return context / total


wanted = np.exp(scores_S) @ values_S / np.exp(scores_S).sum()
print(f"at once {wanted:.3f}, block by block {block_by_block(shrinks=True):.3f}")
print(f"without shrinking what came before {block_by_block(shrinks=False):.3f}")
np.testing.assert_allclose(block_by_block(shrinks=True), wanted)
assert abs(block_by_block(shrinks=False) - wanted) > 1

# %% [markdown]
# A larger score makes all earlier ones less important by the same factor, so one multiplication sets the old sums right. This is the *online softmax* (Milakov and Gimelshein 2018), and FlashAttention is built on it. In the package it is one function; with it, the attention of our five tokens, their keys in two blocks:

# %%
show_source(online_softmax.look)
rows_BKMH = online_softmax.rows_of_heads(jnp.asarray(q_BTNH) * q_BTNH.shape[-1] ** -0.5, k_BTKH.shape[2])
met = online_softmax.nothing_seen(rows_BKMH)
for block in (slice(0, 3), slice(3, 5)):
    met = online_softmax.look(met, rows_BKMH, k_BTKH[:, block], v_BTKH[:, block], mask_BTT[:, :, block])
context_BTNH = online_softmax.heads_of_rows(online_softmax.attended(met), 5)
np.testing.assert_allclose(context_BTNH, at_once_BTNH, atol=1e-5)

# %% [markdown]
# That was about the cache. The weights weigh more, and 168 of the 268 million are the table, read for 262,144 logits. Whoever always takes the most likely token wants one thing of them: where the largest stands. Must one know them all for that?
#
# Take three tokens, a stream of three numbers, and the table rounded to whole numbers. Which token does the rounded table choose, and which is right?

# %%
small_VD = np.array([[2.4, -1.4, 0.4], [1.6, -1.6, -0.4], [-3.0, 0.4, 1.1]])
x_D = np.array([1.0, -2.0, 0.5])
half = 0.5 * np.abs(x_D).sum()
for logit, rounded in zip(small_VD @ x_D, small_VD.round() @ x_D, strict=True):
    print(
        f"logit {logit:5.2f}, by the rounded table {rounded:5.2f}, and therefore at most {rounded + half:5.2f}"
    )
    assert abs(logit - rounded) <= half
assert (small_VD @ x_D).argmax() == 0 and (small_VD.round() @ x_D).argmax() == 1

# %% [markdown]
# It chooses the second, and that is wrong. But each number of the table moved by a half at most, so a logit moved by at most half of |1| + |−2| + |0.5|, and that settles something. The second token's true logit is 4.6. The third cannot reach it; of the others, only the first can. Two rows remain to be read as they are. Databases that look for similar vectors know the trick (Weber, Schek and Blott 1998).
#
# The real table fits in 8 bits a number: each row counts in steps of its own, of which its largest number gets 127. A logit then moves by at most half a step times Σ|x|. In our text there are 26 places at which the model chose a token. We put them into one batch and ask at each: how many of the 262,144 tokens can still be the most likely, if their rounded rows are all we know? Guess.

# %%
padding_B = np.arange(26)[::-1].astype(np.int32)  # before the first choice stand 6 tokens, before the last 31
texts_BT = np.stack([np.concatenate([np.zeros(n, np.int32), tokens_BT[0, : 31 - n]]) for n in padding_B])
no_cache = kv_cache.empty(config, padding_B, 0, jnp.float32)
x_BD, _ = jax.jit(kv_cache.read, static_argnames="config")(params, texts_BT, no_cache, config=config)
logits_BV = np.asarray(kv_cache.next_logits(params, x_BD, config))
assert logits_BV.argmax(axis=1).tolist() == written

screen = screening.screen(params, config)
stream_BD = np.asarray(jax_transformer.before_output(params, x_BD, config))
step_V = np.asarray(screen.step)
rounded_BV = stream_BD @ np.asarray(screen.coarse, np.float32).T * step_V
slack_BV = 0.5 * np.abs(stream_BD).sum(axis=1, keepdims=True) * step_V
highest_BV = rounded_BV + slack_BV
left_B = (highest_BV >= logits_BV.max(axis=1, keepdims=True)).sum(axis=1)
misled = int((rounded_BV.argmax(axis=1) != logits_BV.argmax(axis=1)).sum())
print(
    f"{left_B.max()} tokens are left where most are, {np.median(left_B):.0f} in the middle of the 26 places"
)
print(f"at {misled} places the rounded table alone would have chosen another token")
assert (np.abs(rounded_BV - logits_BV) < slack_BV).all() and left_B.max() < 20 and misled > 0

# %% [markdown]
# That is all: a handful. Here is the place where most are left. Each bar reaches as far as the true logit, the dot, could lie.

# %%
place = int(left_B.argmax())
likeliest = highest_BV[place].argsort()[::-1][:14]
best = logits_BV[place].max()
lowest, highest = rounded_BV[place] - slack_BV[place], highest_BV[place]
fig, ax = plt.subplots()
ax.hlines(range(14), lowest[likeliest], highest[likeliest], color=COLOURS["gemma"], alpha=0.35, linewidth=6)
ax.plot(logits_BV[place, likeliest], range(14), "o", color=COLOURS["gemma"], markersize=4)
ax.axvline(best, linestyle="--", color=COLOURS["stream"])
ax.text(best, -0.8, "best true logit ", ha="right", va="center", color=COLOURS["stream"])
ax.set(yticks=range(14), ylim=(13.6, -1.4), xlabel="logit")
ax.set_yticklabels([f"‹{model.tokenizer.piece(token)}›" for token in likeliest], fontsize=8)
ax.set_title(f"{left_B[place]} of 262,144 tokens can still be the most likely")
read_so_far = model.tokenizer.decode(tokens_BT[0, : 6 + place].tolist())
show(
    fig,
    f"After '{read_so_far}': intervals of the logits of 14 tokens, by their upper ends. The upper ends of "
    f"{left_B[place]} lie above the best true logit, {best:.1f}; the true logits lie near the middles.",
)

# %% [markdown]
# Look at the right ends: only where a bar crosses the dashed line can that token win. The dots lie near the middles, since the bound allows for 640 roundings that all go the wrong way, and in truth they mostly cancel. A promise that holds always is wider than what one sees.
#
# The package lays the tokens out in a square and reads again, from the true table, those eight of its 512 rows that have the highest bounds. If a ninth row reaches the best logit found, it computes all logits after all.

# %%
show_source(screening.most_likely)
most_likely = jax.jit(screening.most_likely, static_argnames="config")
for row, token in enumerate(written):
    assert most_likely(params, screen, x_BD[row : row + 1], config=config).item() == token

# %% [markdown]
# The same 26 tokens, for a quarter of the table's bytes in float32 and half of them in bfloat16. The price is 168 MB more memory, so whoever wants it asks: `generation.generate(…, screen=…)`. And it knows the winner, not the odds: to *draw* a token one needs all logits.
#
# What did each form gain? The next figure shows a step of the real model with room for 4096 tokens in its cache, measured by `benchmarks/forms.py` on two cores. Guess first: which change matters most in float32, and which in bfloat16?

# %%
GAINS = {"float32": COLOURS["stream"], "bfloat16": COLOURS["gemma"]}
with open(course_data.path("forms.csv"), encoding="utf-8", newline="") as file:
    measured = {row["form"]: {dtype: float(row[dtype]) for dtype in GAINS} for row in csv.DictReader(file)}
limits = measured.pop("all weights read once")
steps = {form: times for form, times in measured.items() if "prompt" not in form}
fig, ax = plt.subplots()
for shift, (dtype, colour) in zip((-0.2, 0.2), GAINS.items(), strict=True):
    times = [step[dtype] for step in steps.values()]
    bars = ax.barh(np.arange(len(steps)) + shift, times, 0.36, color=colour)
    labels = ax.bar_label(bars, [f"{time:.0f} ms in {dtype}" for time in times], padding=3, fontsize=8)
    plt.setp(labels, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    ax.axvline(limits[dtype], linestyle="--", linewidth=1, color=colour, zorder=0)
ax.text(limits["float32"], len(steps) - 0.4, "  all weights read once", va="center", fontsize=8)
ax.set(yticks=range(len(steps)), yticklabels=steps, xscale="log", xlim=(10, 2000))
ax.set_ylim(-0.6, len(steps) - 0.2)
ax.set_xlabel("time of one token (milliseconds)")
ax.invert_yaxis()
ax.set_title("Same numbers: the form decides the time")
told = "; ".join(f"{form}, {step['float32']} and {step['bfloat16']}" for form, step in steps.items())
show(
    fig,
    f"Milliseconds for one token in float32 and bfloat16, form by form: {told}. Dashed, what it takes to read all "
    f"weights: {limits['float32']} and {limits['bfloat16']}.",
)

# %% [markdown]
# The dashed lines are what it takes to read all weights once. In bfloat16 it is the products, by far. In float32 most of them were quick already, and copying the cache cost as much as those that were not. Leaving out the empty places gains some milliseconds. `products.by_output` stores every matrix by output, and `gemma-edu chat` does so on a CPU. The last row is the rounded table; it names the token, where the others stop at logits, and in float32 it is faster than the limit with which we began. No program can read all weights faster than memory delivers them. This one does not read them all.
#
# Even weights stored by output took twice as long until we read the compiled program. XLA joins small operations into one loop, and had joined what makes a row with the product that reads it: it computed the row again for every output. In attention's output projection this cost five times the product. `product` puts the row together from two halves, and the compiler leaves such a row alone. A line without meaning for the model can be worth 5 milliseconds of a token; it needs a comment, and a measurement that anyone can repeat.

# %%
first, *_, by_output, last = steps.values()
at_once, in_256, in_128 = (times for form, times in measured.items() if "prompt" in form)
assert first["bfloat16"] > 8 * by_output["bfloat16"] and by_output["bfloat16"] < by_output["float32"]
assert first["float32"] > 1.3 * steps["cache read and written apart"]["float32"]
assert last["float32"] < limits["float32"] < by_output["float32"]
assert last["bfloat16"] < by_output["bfloat16"]
assert all(at_once[dtype] > 1.1 * pieces[dtype] for dtype in GAINS for pieces in (in_128, in_256))
assert in_256["float32"] < in_128["float32"]
for dtype in GAINS:
    times = [step[dtype] for step in steps.values()]
    gained = dict(zip(list(steps)[1:], -np.diff(times), strict=True))
    assert 1 < gained["empty places left out"] < 20
waits = [times["float32"] / 1e3 for times in (at_once, in_128, in_256)]
print("a prompt of 2,048 tokens: {:.1f} s at once, {:.1f} in pieces of 128, {:.1f} of 256".format(*waits))

# %% [markdown]
# The same two functions read a long prompt in pieces, each of which finds the earlier ones in the cache. It is quicker than all at once, as a local layer then never looks further than its window. The size of a piece is a choice: a product turns each weight that it reads into more work if there are more rows, and so 256 tokens at once are quicker than twice 128; but a short prompt is filled up to a whole piece, and would wait for 256. `generation.generate` cuts pieces of 256 as long as there are any and then perhaps one of 128, so that two compiled programs serve prompts of all lengths.
#
# ## Break it on purpose
#
# Four wrong lines, each from a real kind of bug. In the first, the new token in `decode` is not told its position and takes 0. We let both versions write on from the prompt.


# %%
def decode_at_zero(params, tokens, cache, config):
    def at_zero(weights, y, positions, theta, config):
        return project(weights, y, 0 * positions, theta, config)

    with mock.patch.object(cached_block, "project", at_zero):  # traced once, so patched for good
        return kv_cache.decode(params, tokens, cache, config)


# %% [markdown]
# No error, and a text:

# %%
right = golden["greedy"][:14].tolist()
wrong = list(write(14, jax.jit(decode_at_zero, static_argnames="config", donate_argnames="cache")))
print("right:", model.tokenizer.decode(right))
print("wrong:", model.tokenizer.decode(wrong))
assert wrong[0] == right[0] and wrong != right

# %% [markdown]
# The first token comes from prefill, which is untouched. After that each new token believes that it opens the text, and that the prompt lies in its future; its own key goes into the cache under position 0 as well. The text starts well and goes in circles.
#
# The next three show in the loss on a paragraph of 32 tokens. One mask looks one token too far. One config forgets that global layers have a theta of their own (10,000 everywhere), one forgets it of the local layers (1,000,000 everywhere). Which is worst? Which one would you never find?

# %%
essay = course_data.path("golden/long_text.txt").read_text(encoding="utf-8")
paragraph_T = jnp.asarray(model.tokenizer.encode(essay, add_bos=True)[:32])
losses = {
    "right": sequence_loss(params, paragraph_T, config),
    "global theta missing": sequence_loss(params, paragraph_T, config.replace(rope_theta=10_000.0)),
    "local theta missing": sequence_loss(params, paragraph_T, config.replace(rope_theta_local=None)),
}

# %% [markdown]
# The mask is patched from outside, since no config asks for such a thing.

# %%
too_far = lambda queries, keys, window: attention_mask(queries + 1, keys, window)  # noqa: E731
with mock.patch.object(jax_transformer, "attention_mask", too_far):
    losses["mask one too far"] = sequence_loss(params, paragraph_T, config)
for name, value in losses.items():
    print(f"{name:21} {value:.2f} nats per token")
assert losses["mask one too far"] < 0.7 * losses["right"] < 0.7 * losses["local theta missing"]
assert abs(losses["global theta missing"] - losses["right"]) < 0.2

# %% [markdown]
# The mask that is off by one makes the loss *better*: each token sees the very token that it should predict. A loss that is too good is the mark of a leak. It says nothing about writing, where there is no future to copy from.
#
# The missing global theta hardly shows on a short text: three layers of 18 are affected, and two bases differ most over long distances. Only the comparison with official logits catches it:

# %%
wrong_BTV = jax_transformer.forward(params, jnp.asarray(tokens_BT), config.replace(rope_theta=10_000.0))
difference = float(np.abs(np.asarray(wrong_BTV[0, 5]) - golden["last_logits"]).max())
print(f"after 6 tokens, logits are off by {difference:.2f}; we allow 0.001")
assert difference > 0.1

# %% [markdown]
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it.
#
# ### 1 · Pad on the left
#
# *Difficulty 1 of 5, 8 minutes.* `forward` takes positions, and −1 marks padding. Write `pad_left(prompts)`, which turns a list of lists of tokens into two arrays of shape B T, tokens (filled with 0) and positions, such that the last column of `forward` belongs to each prompt's last token. First example: `pad_left([[7], [4, 5, 6]])` gives tokens `[[0, 0, 7], [4, 5, 6]]` and positions `[[-1, -1, 0], [0, 1, 2]]`.
#
# ```python
# def pad_left(prompts):
#     T = max(len(prompt) for prompt in prompts)
#     tokens_BT = ...
#     positions_BT = ...
#     return tokens_BT, positions_BT
# ```
#
# <details><summary>Hint 1</summary>Look at the two prompts in the section on different lengths: how many fillings does each row need?</details>
# <details><summary>Hint 2</summary>Start from an array of zeros and one of −1, both B T, and write each prompt into the end of its row.</details>
# <details><summary>Hint 3</summary>In the loop: <code>tokens_BT[row, T - len(prompt):] = prompt</code>. The line for positions is the same with <code>np.arange</code> on the right.</details>


# %% tags=["solution", "hide-input"]
def pad_left(prompts):
    ### BEGIN SOLUTION
    T = max(len(prompt) for prompt in prompts)
    tokens_BT, positions_BT = np.zeros((len(prompts), T), int), np.full((len(prompts), T), -1)
    for row, prompt in enumerate(prompts):
        tokens_BT[row, T - len(prompt) :] = prompt
        positions_BT[row, T - len(prompt) :] = np.arange(len(prompt))
    return tokens_BT, positions_BT
    ### END SOLUTION


# %% [markdown]
# The check compares both arrays. Gemma's RoPE sees only distances, so Gemma would forgive you a shift of all positions; GPT-2, whose positions are learned one by one, would not.

# %%
check("pad_left", pad_left)

# %% [markdown]
# ### 2 · The size of a cache
#
# *Difficulty 2 of 5, 8 minutes.* Write `cache_numbers(config, capacity)`: how many numbers a cache holds for one text. Do it from the fields of the config, without JAX. `config.window(layer)` is a layer's window, or None. First example: Gemma 2B with a capacity of 8192 gives 75,497,472.
#
# ```python
# def cache_numbers(config, capacity):
#     total = 0
#     for layer in range(config.num_layers):
#         ...
#     return total
# ```
#
# <details><summary>Hint 1</summary>What does each layer keep of each token? The section on the KV cache names two things.</details>
# <details><summary>Hint 2</summary>A layer keeps keys and values of K heads of size H, for as many places as it has. A window limits the places, and so does the capacity.</details>
# <details><summary>Hint 3</summary><code>places = min(capacity, config.window(layer) or capacity)</code>; what remains is one product of four factors.</details>


# %% tags=["solution", "hide-input"]
def cache_numbers(config, capacity):
    ### BEGIN SOLUTION
    windows = [config.window(layer) or capacity for layer in range(config.num_layers)]
    return 2 * config.num_kv_heads * config.head_dim * sum(min(capacity, window) for window in windows)
    ### END SOLUTION


# %% [markdown]
# The check counts for windows longer and shorter than the capacity, and for models whose N·H is not D.

# %%
check("cache_numbers", cache_numbers)

# %% [markdown]
# ### 3 · Who stands where in the ring
#
# *Difficulty 3 of 5, 10 minutes.* After `length` tokens, which token stands in each of `places` places of a ring? Return a list of token numbers, −1 for a place that is still empty. First example: `ring(6, 4)` gives `[4, 5, 2, 3]`, the column of the figure above token 5.
#
# ```python
# def ring(length, places):
#     tokens = [-1] * places
#     ...
#     return tokens
# ```
#
# <details><summary>Hint 1</summary>Token i goes to place i mod W. You may play it through token by token.</details>
# <details><summary>Hint 2</summary>Loop over all tokens in order; a later one overwrites an earlier one.</details>
# <details><summary>Hint 3</summary>The body of the loop is <code>tokens[i % places] = i</code>. How far does i go? (For long texts, only the last <code>places</code> tokens can be left.)</details>


# %% tags=["solution", "hide-input"]
def ring(length, places):
    ### BEGIN SOLUTION
    tokens = [-1] * places
    for i in range(max(0, length - places), length):
        tokens[i % places] = i
    return tokens
    ### END SOLUTION


# %% [markdown]
# The check tries a ring of one place, rings that are empty, half full, exactly full, and long overrun.

# %%
check("ring", ring)

# %% [markdown]
# ### 4 · Your twelve lines, scanned
#
# *Difficulty 4 of 5, 15 minutes.* Rewrite `my_forward` for Gemma 1 so that the program does not grow with depth. `jax.lax.scan(step, start, stacked)` calls `step(carry, one_slice)` for each slice along the first axis of the leaves of `stacked`; `step` returns the new carry and an output per step, here None. `jax.tree.map` takes several trees at once. First example: on TINY_GEMMA_2B, the logits of `my_forward`.
#
# ```python
# def my_scanned_forward(params, tokens_BT, config):
#     positions_BT = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape)
#     mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
#     x_BTD = embed(params.embedding.table, tokens_BT, scale=True)
#     stacked = ...
#     x_BTD, _ = jax.lax.scan(...)
#     return unembed(params.embedding.table, norm(params.final_norm, x_BTD, config))
# ```
#
# <details><summary>Hint 1</summary>The carry is what each layer receives and passes on. What is it called in <code>my_forward</code>?</details>
# <details><summary>Hint 2</summary>Stack leaf by leaf: the first leaves of all blocks become one array, the second leaves another, and so on. The step is one call of <code>my_block</code>.</details>
# <details><summary>Hint 3</summary><code>stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params.blocks)</code>. The step takes <code>(x_BTD, block)</code> and returns a pair.</details>


# %% tags=["solution", "hide-input"]
def my_scanned_forward(params, tokens_BT, config):
    ### BEGIN SOLUTION
    positions_BT = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1]), tokens_BT.shape)
    mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params.blocks)

    def step(x_BTD, block):
        return my_block(block, x_BTD, positions_BT, mask_BTT, config), None

    x_BTD, _ = jax.lax.scan(step, embed(params.embedding.table, tokens_BT, scale=True), stacked)
    return unembed(params.embedding.table, norm(params.final_norm, x_BTD, config))
    ### END SOLUTION


# %% [markdown]
# The check compares logits, and then counts products in the traced program for 3 and for 5 layers: scanned, their number is the same.

# %%
check("my_scanned_forward", my_scanned_forward)

# %% [markdown]
# ## What breaks if…
#
# Predict first, then open.
#
# **1.** …you write `if x_BTD.max() > 0:` inside a function that `jit` compiles?
#
# <details><summary>Answer</summary>JAX raises an error while tracing: a tracer has a shape and a type but no value, so Python cannot decide. An <code>if</code> on a config field is fine, because the config is static and its fields are known.</details>
#
# **2.** …a chat program compiles `forward` for every prompt as it comes, without padding?
#
# <details><summary>Answer</summary>Nothing is wrong in the logits, but each new length is a new shape, and a new shape is traced and compiled again. The section on <code>jit</code> counted it: four lengths gave four compilations. Padding to a few lengths keeps their number small.</details>
#
# **3.** …the cache of a local layer has 511 places, and its window is 512?
#
# <details><summary>Answer</summary>Up to 511 tokens every logit is right. From then on the oldest token that should still be seen has been overwritten, so a test on a short text passes and a long one fails: the ring needs as many places as the window.</details>
#
# ## To take home
#
# A JAX model is a pure function of a tree of weights; `jit` traces it once for each shape and each config, and your Python does not run again.
#
# The KV cache changes no logit: it turns quadratic work into linear work, and after it the speed of writing is the speed of reading the weights.
#
# Trust a fast model only where it equals a slow one: float32, a stated tolerance, weights without zeros, and texts longer than the window.
#
# **Next.** [Lesson 10](10_generation.ipynb) is about what a program does with the logits. (Lesson 15, on many chips, is still being written.) To read: *How to Scale Your Model* (the chapters on rooflines and on inference), which counts before it believes, and the JAX documentation's pages on pytrees and on `jit`. In the package, read `gemma_edu/jax_model/kv_cache.py`: you have met every idea in it.
