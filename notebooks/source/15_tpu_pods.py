# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-edu/gemma_edu/blob/main/notebooks/15_tpu_pods.ipynb)
#
# # 15 · TPU pods: one training step on 4096 chips
#
# To train Gemma 7B with Adam takes 16 bytes for each parameter: 127 GiB. A TPU v5e chip gives a program 15.75 GiB. Google trained on 4096 such chips, and when we hand that training step to the TPU's own compiler, at full size, it asks for less than 4 GiB of each. In this lesson eight pretended devices on your CPU do the same trick with a toy, to the same loss as one device. Then come the real pods: what each chip holds, what it sends over which network, which two mistakes no loss shows, and how many days and tonnes of CO₂ follow from a page of arithmetic.
#
# Here Gemma differs from Llama 2, OLMo and GPT-2 by one choice that saves memory on one chip and none on many: Gemma 2B has a single key head, and a single head cannot be shared out.
#
# *60 minutes, and 55 for the exercises; difficulty 4 of 5. You need lessons 05, 06 and 09, and what Adam keeps for each weight.*

# %%
# Set-up: where the course is not installed, as in a fresh Colab, this installs it; elsewhere it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("gemma_edu") is None:
    course = "gemma-edu[weights] @ git+https://github.com/gemma-edu/gemma_edu"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)

# %% [markdown]
# Two settings come before anything is computed. JAX is told to take the CPU for eight devices; even where you have a GPU or a TPU, this lesson stays on those eight. And products are full float32, which a TPU would otherwise round.

# %%
import csv
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from gemma_edu import checkpoints, course_data, presets
from gemma_edu.checks import check
from gemma_edu.compare import carbon, flops, kv_cache, memory, training
from gemma_edu.compare.chips import TPU_V5E
from gemma_edu.compare.traced_flops import flops_of
from gemma_edu.figures import COLOURS, apply, show, show_source
from gemma_edu.jax_model import layer_scan
from gemma_edu.jax_model.feedforward import feedforward as jax_feedforward
from gemma_edu.jax_model.loss import perplexity
from gemma_edu.jax_model.norms import rms_norm as jax_rms_norm
from gemma_edu.numpy_model.attention import attention as numpy_attention
from gemma_edu.numpy_model.feedforward import feedforward as numpy_feedforward
from gemma_edu.numpy_model.feedforward import gelu
from gemma_edu.numpy_model.masks import attention_mask
from gemma_edu.params import build, count
from gemma_edu.scaling import mesh, pallas_norm, pods, sharded_training, sharding_rules, tpu_compiler
from gemma_edu.scaling.collectives import traffic
from gemma_edu.scaling.sharding_rules import DATA, FSDP, TENSOR
from gemma_edu.training import step
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.data import Batch

jax.config.update("jax_num_cpu_devices", 8)
CPUS = jax.devices("cpu")
jax.config.update("jax_default_device", CPUS[0])
jax.config.update("jax_default_matmul_precision", "highest")
apply()
assert len(CPUS) == 8

# %% [markdown]
# ## A chip, a pod, sixteen pods
#
# A TPU v5e chip multiplies at 197 TFLOP/s in bfloat16 and has 16 GiB of memory, of which a program gets 15.75. Four ports join it to four neighbours, left, right, above and below, at 50 GB/s in each direction. 256 chips in a square of 16 × 16, with the edges wrapped around so that each row and each column is a ring (a *torus*), are a *pod*; these links are its ICI, the inter-chip interconnect. Between pods there is only the data centre's network, DCN: 6.4 Tbit/s for a whole pod, which is 3 GB/s for a chip. (Google Cloud documentation, docs.cloud.google.com/tpu/docs/v5e: 400 GB/s of bidirectional ICI per chip, 4 ports, 6.4 Tbps per pod.)
#
# The Gemma report (section 3) says how the chips were used: for the 7B 16 pods, in each of them 16-way model sharding and 16-way data replication; for the 2B two pods with 256-way data replication; the optimizer's state sharded much as in ZeRO-3. By the end of the lesson each of these words is a line of code. Which of the numbers below is the smallest, and by how much?

# %%
CHIP_ICI = 4 * 50e9  # bytes a second that a chip can send, all four ports busy
CHIP_DCN = 6.4e12 / 8 / 256
HBM = 15.75 * 2**30
for what, speed in {"memory": TPU_V5E.bytes_per_second, "ICI": CHIP_ICI, "DCN": CHIP_DCN}.items():
    print(
        f"{what:6} {speed / 1e9:7.2f} GB/s: {TPU_V5E.flops_per_second / speed:9.1f} FLOPs while a byte is under way"
    )
state = 16 * count(presets.GEMMA_7B)["total"]
print(f"Gemma 7B: weights, gradients and Adam's moments {state / 2**30:.2f} GiB, a chip {HBM / 2**30} GiB")
assert CHIP_ICI == 64 * CHIP_DCN and 127 < state / 2**30 < 128

# %% [markdown]
# A byte that goes to another pod costs as much time as 63,000 floating-point operations, one that stays in the pod 64 times less. All that follows is bookkeeping with this table in mind: keep what talks much on neighbours, and let only what must go cross between pods.

# %%
fig, (left, right) = plt.subplots(1, 2, gridspec_kw={"width_ratios": [1.15, 1]})
for row in range(16):
    for column in range(16):
        chosen = "queries" if row == 4 else "keys" if column == 11 else None
        left.plot(column, row, "s", markersize=5, color=COLOURS[chosen] if chosen else "0.8")
left.text(16, 4, "a row:\none model\nin 16 parts", color=COLOURS["queries"], va="center", fontsize=8)
left.text(11, -1.2, "a column: 16 copies", color=COLOURS["keys"], ha="center", fontsize=8)
left.set(xlim=(-1, 21), ylim=(16, -2), aspect="equal", anchor="N")
left.set_title("A pod: 256 chips, ICI", fontsize=10)
for pod in range(16):
    x, y = np.sin(pod * np.pi / 8), np.cos(pod * np.pi / 8)
    right.plot([0, x], [0, y], color="0.6", linewidth=0.8)
    right.plot(x, y, "s", markersize=13, color="0.8")
right.text(0, 0, "DCN", ha="center", va="center", backgroundcolor="white")
right.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", anchor="N")
right.set_title("16 pods: 4096 chips", fontsize=10)
left.axis("off")
right.axis("off")
show(
    fig,
    "Left, a pod of 16 by 16 chips: a row of 16 holds one model in 16 parts, a column 16 copies of such a part. "
    "Right, 16 pods around the data centre's network, 4096 chips.",
)
assert 16 * 16 * 16 == 4096

# %% [markdown]
# ## Split a product between two devices
#
# Everything a Transformer does with its weights is a matrix product, $y = xW$, so there are only three things to split. With a pencil: $x = (1, 2)$ and
#
# $$W = \begin{pmatrix}3 & 4\\ 5 & 6\end{pmatrix}, \qquad xW = (1\cdot3 + 2\cdot5,\; 1\cdot4 + 2\cdot6) = (13, 16).$$
#
# *Columns of W.* The first device has the column (3, 5), the second (4, 6). They compute 13 and 16. Nothing is sent, and the result lies spread as the columns were.
#
# *The contraction,* rows of $W$ with the matching part of $x$. The first device has 1 and (3, 4), and makes (3, 4). The second has 2 and (5, 6), and makes (10, 12). Neither number is in the result: somebody must add. Adding so that every device gets the sum is called *all-reduce*.
#
# *Rows of x,* if there are several: each device has its rows and all of $W$. Nothing is sent.
#
# As a loop over devices:


# %%
def by_columns(x, w, devices):
    return [x @ part for part in np.split(w, devices, axis=1)]


def by_contraction(x, w, devices):
    return [a @ b for a, b in zip(np.split(x, devices, axis=-1), np.split(w, devices, axis=0), strict=True)]


x, w = np.array([1, 2]), np.array([[3, 4], [5, 6]])
print("by columns    ", *(part.tolist() for part in by_columns(x, w, 2)))
print(
    "by contraction",
    *(part.tolist() for part in by_contraction(x, w, 2)),
    "-> sum",
    sum(by_contraction(x, w, 2)),
)
np.testing.assert_array_equal(np.concatenate(by_columns(x, w, 2)), x @ w)
np.testing.assert_array_equal(sum(by_contraction(x, w, 2)), x @ w)

# %% [markdown]
# Now put two products in a row, as a feed-forward layer does (lesson 06): $y = (\text{gelu}(xW_{gate}) \odot xW_{up})\,W_{down}$. Split $W_{gate}$ and $W_{up}$ by columns: the hidden numbers lie spread along $F$. That is exactly how $W_{down}$ wants them for a split by contraction. GELU and ⊙ work number by number and never notice. So a whole layer needs one sum at its end, and nothing before. This is the idea of tensor parallelism (Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053, section 3).


# %%
def my_feedforward(params, x_BTD, devices):
    """Each turn is what one device does with its F / devices columns; the sum is what they send."""
    splits = (
        np.split(params.w_gate, devices, 1),
        np.split(params.w_up, devices, 1),
        np.split(params.w_down, devices, 0),
    )
    y_BTD = 0
    for gate_DF, up_DF, down_FD in zip(*splits, strict=True):
        y_BTD += (gelu(x_BTD @ gate_DF, approximate=True) * (x_BTD @ up_DF)) @ down_FD
    return y_BTD


# %% [markdown]
# Is it the package's layer, which knows nothing of devices? A toy Gemma 2B with 8 query heads, one key head, and no two axes of the same length:

# %% tags=["contract"]
TOY = presets.TINY_GEMMA_2B.replace(
    vocab_size=48, embed_dim=32, num_heads=8, head_dim=24, hidden_dim=40, num_layers=2
)
random = np.random.default_rng(0)
weights = build(TOY, lambda name, shape: random.normal(0, 0.2, shape).astype(np.float32))
x_BTD = random.standard_normal((3, 5, 32), np.float32)
layer = weights.blocks[0].feedforward
mine_BTD = my_feedforward(layer, x_BTD, devices=8)
np.testing.assert_allclose(mine_BTD, numpy_feedforward(layer, x_BTD, TOY), rtol=1e-4, atol=1e-5)
np.testing.assert_allclose(mine_BTD, jax_feedforward(layer, x_BTD, TOY), rtol=1e-4, atol=1e-5)

# %% [markdown]
# Attention splits by heads: each device has some of the queries' heads and the rows of $W_o$ that belong to them. Heads never talk to each other before $W_o$, and $W_o$ contracts over them. One sum again. Here is the package's attention, run eight times with one query head each:

# %%
whole = weights.blocks[0].attention
positions_BT = np.broadcast_to(np.arange(5), (3, 5))
mask_BTT = attention_mask(positions_BT, positions_BT, window=None)
one_head = TOY.replace(num_heads=1)
parts = [
    whole._replace(
        w_q=whole.w_q[:, n : n + 1], w_o=whole.w_o[n : n + 1]
    )  # w_k and w_v whole, on every device
    for n in range(8)
]
summed_BTD = sum(numpy_attention(part, x_BTD, positions_BT, mask_BTT, 10_000.0, one_head) for part in parts)
np.testing.assert_allclose(
    summed_BTD, numpy_attention(whole, x_BTD, positions_BT, mask_BTT, 10_000.0, TOY), rtol=1e-4, atol=1e-5
)

# %% [markdown]
# Read the comment in that cell again. There is one key head, so each of the eight devices needs all of it. We come back to what that costs.
#
# ## One line, and the compiler finds the sum
#
# In JAX nobody writes that loop. Devices are arranged in a *mesh* with named axes, an array is told over which axes it is spread, and XLA works out the rest (GSPMD, Xu et al. 2021, arXiv:2105.04663). Here the only line about devices is a *sharding constraint* on the hidden numbers. Which of the three arrays will the compiler split, and where will it add?

# %%
ROW = mesh.make(model=8, devices=CPUS)


@jax.jit
def two_products(x_TD, up_DF, down_FD):
    hidden_TF = x_TD @ up_DF
    hidden_TF = jax.lax.with_sharding_constraint(hidden_TF, NamedSharding(ROW, P(None, "model")))
    return hidden_TF @ down_FD


shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((5, 32), (32, 40), (40, 32))]
compiled = two_products.lower(*shapes).compile()
parts = [where.shard_shape(s.shape) for where, s in zip(compiled.input_shardings[0], shapes, strict=True)]
print("each device has of x, up, down:", parts)
assert parts == [(5, 32), (32, 5), (5, 32)]

# %% [markdown]
# It split `up` by columns and `down` by rows, from one hint in the middle. `traffic` from `gemma_edu/scaling/collectives.py` reads in the compiled program's own text what the devices send each other, how often, and how many bytes arrive at one device; the line that it found is printed below it.

# %% tags=["nbval-ignore-output"]
(found,) = traffic(compiled.as_text())
print(f"{found.kind}, {found.calls} call, {found.bytes} bytes")
line = next(line for line in compiled.as_text().splitlines() if "all-reduce(" in line)
print(line.split(", metadata")[0].strip())
assert (found.kind, found.calls, found.bytes) == ("all-reduce", 1, 5 * 32 * 4)

# %% [markdown]
# The same sum that we found with a pencil, 5 × 32 numbers of 4 bytes. (The text is that of the CPU's compiler. A TPU's has the same instruction, and we will read it further down.)
#
# ## What a sum costs: the ring
#
# How do 16 chips in a ring add up 16 arrays of $S$ bytes, so that each has the total? If all sent all they have to one chip, its links would carry 15·S. Chips in a ring do better: cut each array into 16 blocks, and let 16 partial sums travel around the ring at once, each chip adding its own block as it passes. After 15 turns each chip has one finished block (that is a *reduce-scatter*); 15 more turns carry the finished blocks around (an *all-gather*). Guess how much one chip sends in all, as a multiple of S.


# %%
def ring_sum(arrays):
    """Every chip's total, and the bytes that each chip sent."""
    chips, sent = len(arrays), 0
    blocks = [np.split(array, chips) for array in arrays]
    for turn in range(2 * (chips - 1)):
        leaving = [(chip - turn) % chips for chip in range(chips)]  # which block each chip passes on
        passed = [blocks[chip][leaving[chip]] for chip in range(chips)]
        for chip, block in enumerate(passed):
            to = blocks[(chip + 1) % chips]
            number = leaving[chip]
            to[number] = to[number] + block if turn < chips - 1 else block
        sent += passed[0].nbytes
    return [np.concatenate(each) for each in blocks], sent


# %% [markdown]
# Sixteen arrays of 4800 random numbers:

# %%
arrays = list(random.standard_normal((16, 4800)))
totals, sent = ring_sum(arrays)
for total in totals:
    np.testing.assert_allclose(total, sum(arrays), atol=1e-12)
print(f"sent by each chip: {sent / arrays[0].nbytes} × S")
assert sent == 2 * 15 / 16 * arrays[0].nbytes

# %% [markdown]
# Not quite 2·S, however many chips there are: $2\,\tfrac{n-1}{n}S$. A sum over 256 chips sends no more than a sum over 16. It only takes more turns, which matters for small messages. Half of it, $\tfrac{n-1}{n}S$, is a reduce-scatter, and the other half an all-gather.
#
# ## ZeRO-3 with your own hands
#
# Tensor parallelism splits the arithmetic of one sequence. *Data parallelism* splits the batch: each device has all weights, computes gradients from its own rows, and an all-reduce averages them. Then every device makes the same Adam update of the same weights with the same moments, eight times over. It is this waste that ZeRO ends (Rajbhandari et al. 2020, arXiv:1910.02054): an all-reduce is a reduce-scatter and an all-gather, and between the two each device has the finished gradient of *its* block. So let it keep Adam's moments for that block alone, and update that block alone (ZeRO-1). Let it forget the rest of the gradient (ZeRO-2) and the rest of the weights (ZeRO-3), and gather them when they are needed. The last is also called FSDP, fully sharded data parallelism.
#
# With `jax.shard_map` we write what *one* device does. The model is a single matrix, the loss a mean of squares:

# %%
COPIES = mesh.make(data=8, devices=CPUS)


def squares(w_DE, x_BD, y_BE):
    return jnp.mean((x_BD @ w_DE - y_BE) ** 2)


@jax.jit
@partial(
    jax.shard_map, mesh=COPIES, in_specs=P("data"), out_specs=(P(), P("data"), P("data")), check_vma=False
)
def zero3(w_part, x_rows, y_rows):
    w_DE = jax.lax.all_gather(w_part, "data", tiled=True)  # all weights, for a moment
    own_DE = jax.grad(squares)(w_DE, x_rows, y_rows)  # the gradient of these rows
    part = jax.lax.psum_scatter(own_DE, "data", tiled=True) / 8  # the mean of all, but only our block
    return w_DE, own_DE[None], w_part - 0.1 * part  # the update, of our block


# %% [markdown]
# Eight devices, 24 rows, a matrix of 16 × 6. Is the new matrix that of one device with all 24 rows?

# %%
w_DE, x_BD, y_BE = (random.standard_normal(shape, np.float32) for shape in ((16, 6), (24, 16), (24, 6)))
spread = [jax.device_put(array, NamedSharding(COPIES, P("data"))) for array in (w_DE, x_BD, y_BE)]
gathered, own, updated = zero3(*spread)
np.testing.assert_allclose(updated, w_DE - 0.1 * jax.grad(squares)(w_DE, x_BD, y_BE), rtol=1e-4, atol=1e-5)
kinds = {each.kind for each in traffic(zero3.lower(*spread).compile().as_text())}
assert kinds == {"all-gather", "reduce-scatter"}

# %% [markdown]
# It is. What lay where meanwhile? A picture can tell, since every JAX array knows which device has which part of it. In each box the outline is the whole array, the filled part is what that device holds: blue if no other device has these numbers, grey if they are copies.


# %%
def draw(rows, title, alt, height=3.5):
    """One row of eight boxes for each (label, array, the two axes to draw)."""
    fig, ax = plt.subplots(figsize=(6, height))
    for row, (label, array, axes) in enumerate(rows):
        held = array.sharding.devices_indices_map(array.shape)
        for number, device in enumerate(CPUS):
            alone = sum(other == held[device] for other in held.values()) == 1
            corner, size = [number + 0.1, row + 0.12], [0.8, 0.76]
            for side, axis in enumerate(reversed(axes)):  # across, then down
                length = array.shape[axis]
                start, stop, _ = held[device][axis].indices(length)
                size[side] *= 0.3 if length == 1 else 1
                if side == 0:
                    frame = size[0]
                corner[side] += size[side] * start / length
                size[side] *= (stop - start) / length
            ax.add_patch(
                Rectangle((number + 0.1, row + 0.12), frame, 0.76, fill=False, color="0.6", linewidth=0.7)
            )
            ax.add_patch(Rectangle(corner, *size, color=COLOURS["gemma"] if alone else "0.75", linewidth=0))
        ax.text(-0.1, row + 0.5, label, ha="right", va="center", fontsize=9)
    ax.set(xlim=(0, 8), ylim=(len(rows), 0), xticks=np.arange(8) + 0.5, xticklabels=range(8), yticks=[])
    ax.set_xlabel("device")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    show(fig, alt)


# %% [markdown]
# From top to bottom, a step in time. Where will grey appear, and for how long?

# %%
rows = [
    ("weights at rest", spread[0], (0, 1)),
    ("rows of the batch", spread[1], (0, 1)),
    ("1 weights gathered", gathered, (0, 1)),
    ("2 own gradient", own, (1, 2)),
    ("3 new weights", updated, (0, 1)),
]
draw(
    rows,
    "ZeRO-3: whole only for a moment",
    "What each of 8 devices holds during a ZeRO-3 step. At rest an eighth of the weights and of the batch; then all "
    "weights, copied 8 times; then a whole gradient of its own rows; at the end an eighth of the new weights.",
)
assert gathered.sharding.is_fully_replicated and updated.sharding.shard_shape((16, 6)) == (2, 6)

# %% [markdown]
# The grey row is the price: for a moment every device has all the weights. In a model with many layers, the layers take turns: one layer's weights are gathered, used and forgotten before the next. The second blue row is worth a look too. Those gradients are whole but blue, because each is made of other rows: eight different arrays, which the reduce-scatter adds.
#
# ## A whole Gemma on eight devices
#
# The package's training step does not mention devices either. Rules say, by the letters of the course, which axis of an array is spread over which axis of the mesh. Here are all that the report needs:

# %%
print(f"DATA = {DATA}\nTENSOR = {TENSOR}\nFSDP = {FSDP}")
show_source(sharded_training.train_step)
assert DATA | TENSOR | FSDP == {"B": ("pod", "data"), **dict.fromkeys("NKFV", "model"), "D": "data"}

# %% [markdown]
# `w_q` has axes D, N, H. Under all three rules its D is spread over `data` (ZeRO-3), its N over `model` (tensor parallelism), and its moments go with it, since they have the same letters. We run three steps of the toy, all on one batch so that its loss falls, in each of four layouts and on a mesh of one device. Which of them is the odd one out?

# %%
TRAINING = TrainingConfig(steps=8, learning_rate=3e-3)
LAYOUTS = {
    "one device": ({}, {}),
    "data": (DATA, {"data": 8}),
    "ZeRO-3": (DATA | FSDP, {"data": 8}),
    "tensor": (DATA | TENSOR, {"model": 8}),
    "both, 2 × 4": (DATA | TENSOR | FSDP, {"data": 2, "model": 4}),
}
start = jax.tree.map(np.asarray, step.start(layer_scan.stack(weights, TOY), TRAINING))
batch = Batch(random.integers(0, 48, (8, 7), np.int32), np.ones((8, 6), np.float32))
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}  # toys compile faster


def train(rules, sizes):
    """The state after three steps on one batch, their losses, and the program's text."""
    where = mesh.make(**sizes, devices=CPUS[: int(np.prod([*sizes.values()]))])
    state = sharding_rules.place(start, rules, where)
    placed = sharding_rules.place(batch, rules, where)
    program = sharded_training.train_step(TOY, TRAINING, rules, where).lower(state, placed).compile(QUICK)
    losses = []
    for _ in range(3):
        state, metrics = program(state, placed)
        losses.append(float(metrics.loss))
    return state, losses, program.as_text()


# %% [markdown]
# (About ten seconds: five programs are compiled.)

# %%
runs = {name: train(*layout) for name, layout in LAYOUTS.items()}
for name, (_, losses, _) in runs.items():
    print(f"{name:12}", "  ".join(f"{loss:.4f}" for loss in losses))
    np.testing.assert_allclose(losses, runs["one device"][1], rtol=1e-5)
    assert losses[2] < losses[0]

# %% [markdown]
# And the weights after the three steps, leaf by leaf:

# %%
reference = jax.tree.leaves(runs["one device"][0].params)
for state, _, _ in runs.values():
    for ours, theirs in zip(jax.tree.leaves(state.params), reference, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)

# %% [markdown]
# None is: a layout changes who computes, not what. Sums are taken in another order, and that is all the difference there may be. Everything else about the layouts differs. Predict for each picture which rows are grey before you look.


# %%
def arrays_of(name, state):
    block, moments = state.params.blocks[0], state.optimizer_state[1][0].nu.blocks[0]
    rules, sizes = LAYOUTS[name]
    batch = sharded_training.abstract_batch(8, 6, rules, mesh.make(**sizes, devices=CPUS))
    return [
        ("tokens  B T", batch.tokens, (0, 1)),
        ("w_q  D N", block.attention.w_q, (1, 2)),
        ("w_k  D K", block.attention.w_k, (1, 2)),
        ("w_gate  D F", block.feedforward.w_gate, (1, 2)),
        ("Adam, w_gate  D F", moments.feedforward.w_gate, (1, 2)),
    ]


TOLD = {
    "data": ("Data parallel: seven eighths of all weights are copies", "each device has a row of tokens, and copies of all weights and moments"),
    "ZeRO-3": ("ZeRO-3: rows of D, nothing twice", "each device has a row of tokens and an eighth of D of every weight and moment"),
    "tensor": ("Tensor parallel: tokens and the key head are copies", "all devices have all tokens and all of w_k; of w_q a head, of w_gate an eighth of F, and so with the moments"),
    "both, 2 × 4": ("Both: tokens in two halves, weights in eight parts", "devices 0 to 3 share half of the tokens; of w_q and w_gate each has half of D and a quarter of the heads or of F, of w_k half of D, four times over"),
}  # fmt: skip
for name, (title, alt) in TOLD.items():
    draw(arrays_of(name, runs[name][0]), title, f"{name}: {alt}.", height=2.7)
bytes_held = {
    name: sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))
    for name, (state, _, _) in runs.items()
}
assert bytes_held["data"] == bytes_held["one device"] > 7 * bytes_held["ZeRO-3"]

# %% [markdown]
# The blue area is what memory is well spent on. The grey area is what ZeRO and tensor parallelism compete to remove, and in the last picture, of these five arrays, only the tokens, which four devices share anyway, and `w_k` are still grey.
#
# What did the compiler put in for messages? One program text each, read by `traffic`. (Toys send small arrays; look at the kinds. Which layout needs no all-gather?)

# %% tags=["nbval-ignore-output"]
for name, (_, _, text) in runs.items():
    told = ", ".join(f"{each.kind} {each.bytes / 1e3:.1f} kB" for each in traffic(text))
    print(f"{name:12} {bytes_held[name] / 1e3:6.1f} kB held; {told or 'nothing sent'}")
kinds = {name: {each.kind for each in traffic(text)} for name, (_, _, text) in runs.items()}
assert kinds["one device"] == set() and kinds["data"] == kinds["tensor"] == {"all-reduce"}
assert "all-gather" in kinds["ZeRO-3"] & kinds["both, 2 × 4"]

# %% [markdown]
# Plain data parallelism adds gradients, tensor parallelism adds the stream (twice a layer on the way forward, and its gradient on the way back), and ZeRO-3 gathers weights on top. That the CPU's compiler reduces and then throws away, instead of our reduce-scatter, is no law; the TPU's makes real ones.
#
# ## One key head among sixteen chips
#
# Multi-query attention (lesson 05) makes the KV cache of Gemma 2B small: one head instead of eight. Under tensor parallelism, the heads of the 7B are shared out, 16 heads on 16 chips. The 2B's one head is copied. Flip one field of the toy, `num_kv_heads`, and the rule for K starts to work:

# %%
for config in (TOY, TOY.replace(num_kv_heads=8)):
    tree = build(config, lambda name, shape: jax.ShapeDtypeStruct(shape, np.float32))
    spec = sharding_rules.partition_specs(tree, TENSOR, ROW).blocks[0].attention.w_k
    print(f"K = {config.num_kv_heads}: w_k, D K H, is spread as {spec}")
    assert (spec[1] == "model") == (config.num_kv_heads == 8)

# %% [markdown]
# And for the real ones, what does one token add to the cache of each of 16 chips?

# %%
for config in (presets.GEMMA_2B, presets.GEMMA_7B, presets.LLAMA2_7B):
    whole_cache = kv_cache.size(config, batch=1, capacity=1)
    on_a_chip = whole_cache // min(16, config.num_kv_heads)
    print(f"{config.name:11} {whole_cache:7,} bytes a token; on each of 16 chips {on_a_chip:6,}")
one, sixteen = (kv_cache.size(config, 1, 1) for config in (presets.GEMMA_2B, presets.GEMMA_7B))
assert sixteen / one > 24 and 1.5 < sixteen / 16 / one < 1.6

# %% [markdown]
# On one chip the 2B's cache is 25 times smaller than the 7B's. On sixteen, one and a half times. The saving of multi-query attention and the saving of tensor parallelism do not multiply; they are the same saving, and it can be taken only once. The report's 2B was trained without tensor parallelism, and Gemma 2 and the larger Gemma 3 have several key heads again; the reports do not give this as a reason.
#
# ## Sixteen bytes for each parameter
#
# Before the compiler says how much memory the real step takes, let us say it. In float32, a parameter needs 4 bytes, its gradient 4, Adam's two moments 8 (Rajbhandari et al. 2020, section 3.1, count the same 16 for mixed precision). On a row of 16 chips, tensor parallelism divides that by 16. Down a column of 16 copies, ZeRO-1, 2 and 3 divide the moments, the gradients and the weights, too:

# %%
parameters = count(presets.GEMMA_7B)["total"] / 16  # on one chip of a row
stages = {
    "copies": (4, 4, 8),
    "ZeRO-1": (4, 4, 8 / 16),
    "ZeRO-2": (4, 4 / 16, 8 / 16),
    "ZeRO-3": (4 / 16, 4 / 16, 8 / 16),
}
gib = {stage: [parameters * each / 2**30 for each in parts] for stage, parts in stages.items()}
fig, ax = plt.subplots()
below = np.zeros(4)
for what, colour, values in zip(
    ("weights", "gradients", "Adam's moments"),
    ("queries", "keys", "values"),
    zip(*gib.values(), strict=True),
    strict=True,
):
    ax.bar(list(gib), values, bottom=below, color=COLOURS[colour], label=what)
    below += values
for number, total in enumerate(below):
    ax.text(number, total + 0.1, f"{total:.2f}", ha="center")
ax.legend()
ax.set(ylabel="GiB a chip", ylim=(0, 9), title="ZeRO divides what tensor parallelism left, once more by 16")
show(
    fig,
    f"Gemma 7B's state on a chip of 16 × 16: {', '.join(f'{s} {t:.2f} GiB' for s, t in zip(gib, below, strict=True))}.",
)
assert below[0] > 15.9 * below[3]

# %% [markdown]
# So half a GiB of 16 is left at ZeRO-3. But these are only the numbers at rest. What the step needs for a moment (gathered weights, activations, scores of 8192 × 8192, logits of 256,000) depends on the compiler, and only it can say.
#
# ## The report's training step, compiled for 4096 chips
#
# `libtpu`, the library with XLA's TPU compiler, can compile for chips that are merely described. `gemma_edu/scaling/pods.py` describes the report's two machines and gives the compiler the very `train_step` from above, at full size: bfloat16 products, float32 state, each block computed again on the way back (*rematerialised*, lesson 14), sequences of 8192, one for each copy of the model. The last two are our choices; the report gives neither batch nor optimizer. No array is ever made. The compiler still lays out every buffer, and refuses what does not fit.
#
# That takes minutes, even at its quicker level of optimisation (O1) that we ask for, so what it said is stored. `python tools/tpu_pods.py` makes the file anew.

# %%
with course_data.path("tpu_pods.csv").open(encoding="utf-8") as file:
    rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
case_of = {case.name: case for case in pods.CASES}
peak = {row["case"]: int(row["hbm_bytes"]) if row["fits"] == "yes" else None for row in rows}
at_rest = {row["case"]: int(row["arguments_bytes"] or 0) for row in rows}
sent = {(row["case"], row["network"], row["kind"]): int(row["bytes"]) for row in rows if row["kind"]}
REPORT = ("7b-1", "7b-16", "2b-1", "2b-2")
for name in REPORT:
    print(f"{case_of[name].what:30} {case_of[name].chips:4} chips, {peak[name] / 2**30:5.2f} GiB on each")
assert all(peak[name] < HBM for name in REPORT) and peak["7b-16"] < 4 * 2**30

# %% [markdown]
# It fits, with room to spare. 4096 chips need no more of each than 256 do: a pod more is one more copy.
#
# First a test of our arithmetic. A step's arguments are weights and two moments, 12 bytes for each parameter, over as many chips as share them. Does the compiler agree?

# %%
SHARED = {"7b-1": 256, "7b-16": 256, "2b-1": 256, "2b-2": 256, "7b-1-copies": 16, "2b-2-across": 512}
for name, chips in SHARED.items():
    ours = 12 * count(case_of[name].config)["total"] / chips
    print(f"{name:12} ours {ours / 1e6:8.2f} MB, the compiler's {at_rest[name] / 1e6:8.2f} MB")
    assert abs(ours / at_rest[name] - 1) < 0.03

# %% [markdown]
# Within three in a hundred; norm scales, which are copied, and the batch make up the rest. Two of these cases have a mistake in them, put there on purpose. `7b-1-copies` forgot the rule FSDP, so that 16 chips of a column hold the same weights and moments. `2b-2-across` has it, but over `("pod", "data")`: why leave copies in two pods when each could have half? Now the peak. Which of the two still fits?

# %%
SHOWN = ("7b-1", "7b-16", "7b-1-copies", "2b-1", "2b-2", "2b-2-across", "2b-1-logits")
fig, ax = plt.subplots()
names = [case_of[name].what.replace(", as in the report", "") for name in SHOWN]
rest = np.array([at_rest[name] for name in SHOWN]) / 2**30
top = np.array([peak[name] for name in SHOWN]) / 2**30
ax.barh(names, rest, color=COLOURS["queries"])
ax.barh(names, top - rest, left=rest, color="0.75")
for number, value in enumerate(top):
    ax.text(value + 0.15, number, f"{value:.1f}", va="center", fontsize=9)
ax.axvline(15.75, color=COLOURS["stream"], linewidth=1)
ax.text(15.6, 5.4, "a chip", ha="right", fontsize=9)
ax.text(6.2, 0, "blue: weights, moments", color=COLOURS["queries"], fontsize=9, va="center")
ax.text(6.2, 1, "grey: for a moment", color="0.45", fontsize=9, va="center")
ax.set(xlabel="GiB on one chip", xlim=(0, 17))
ax.invert_yaxis()
fig.suptitle(
    "A copied state does not crash; it only takes the room", fontsize=11, fontweight="bold", x=0.02, ha="left"
)
show(
    fig,
    "Memory of a chip at the peak: "
    + ", ".join(f"{n} {v:.1f} GiB" for n, v in zip(names, top, strict=True))
    + ".",
)
assert (
    9.5 * 2**30 < peak["7b-1-copies"] < 11 * 2**30
    and peak["7b-1-copies"] > 2.5 * peak["7b-1"]
    and max(top) < 15.75
)

# %% [markdown]
# All of them. That is the first flaw: a *replicated optimizer state*. Losses are right, nothing crashes, and half of the room that a chip had to spare is gone. On a laptop's eight devices you would not notice. In the compiler's account it is 6 GiB of blue. (The last row has no flaw, only another setting: all logits at once, $8192 \times 256{,}000$ of them, instead of 512 positions at a time.)
#
# Now the messages. Within a pod they are counted as what arrives at a chip, between pods as what it sends. How far apart are the two networks, would you say?

# %%
totals = {(name, network): 0 for name in SHOWN for network in ("ICI", "DCN")}
for (name, network, _), size in sent.items():
    totals[name, network] += size
fig, ax = plt.subplots()
for network, colour, marker in (("ICI", "queries", "o"), ("DCN", "keys", "s")):
    values = [totals[name, network] / 1e9 or np.nan for name in SHOWN]
    ax.plot(values, names, marker, color=COLOURS[colour])
    for number, value in enumerate(values):
        if value == value:
            ax.annotate(f"{value:.2g}", (value, number), (7, -3), textcoords="offset points", fontsize=8)
ax.text(0.13, -0.62, "DCN", color=COLOURS["keys"], ha="center")
ax.text(40, -0.62, "ICI", color=COLOURS["queries"], ha="center")
ax.set(xscale="log", xlim=(0.02, 400), xlabel="GB for one chip and step")
ax.invert_yaxis()
fig.suptitle(
    "Much stays inside a pod, little goes between pods", fontsize=11, fontweight="bold", x=0.02, ha="left"
)
told = ", ".join(
    f"{name} {network} {value / 1e9:.2g} GB" for (name, network), value in totals.items() if value
)
show(fig, f"Bytes for one chip in one step, by network: {told}.")
for name in ("7b-16", "2b-2"):
    assert 0 < 30 * totals[name, "DCN"] < totals[name, "ICI"]
assert totals["7b-1", "DCN"] == totals["2b-1", "DCN"] == 0

# %% [markdown]
# Between pods the report's design sends one thing: sums of gradients. Everything that talks more stays inside. Which collectives go over DCN?


# %%
def over_dcn(name):
    return {kind: size for (case, network, kind), size in sent.items() if (case, network) == (name, "DCN")}


# %% [markdown]
# First the two machines of the report. By our arithmetic, each chip should send the gradients of its own block: 4 bytes for each of 1/256 of the parameters.

# %%
for name in ("7b-16", "2b-2"):
    ours = 4 * count(case_of[name].config)["total"] / 256
    print(f"{name}: {over_dcn(name)}, ours {ours / 1e6:.1f} MB")
    assert set(over_dcn(name)) == {"all-reduce"}
    assert abs(ours / over_dcn(name)["all-reduce"] - 1) < 0.03

# %% [markdown]
# To the megabyte, and once a step. And now the 2B whose weights are spread over both pods:

# %%
for name in ("2b-2", "2b-2-across"):
    told = ", ".join(f"{kind} {size / 1e6:.1f} MB" for kind, size in over_dcn(name).items())
    print(f"{case_of[name].what:31} {told}: {totals[name, 'DCN'] / CHIP_DCN * 1e3:.1f} ms at the least")
ours = 2 * 2 * count(presets.GEMMA_2B)["total"] / 512
print(f"own block in bfloat16, twice: {ours / 1e6:.1f} MB")
assert abs(ours / over_dcn("2b-2-across")["all-gather"] - 1) < 0.05
assert totals["2b-2-across", "DCN"] > 1.2 * totals["2b-2", "DCN"]

# %% [markdown]
# This is the second flaw. With weights spread across pods there is an *all-gather over DCN*: each layer's weights come through the slow network, on the way forward and again on the way back. That is half as many bytes again as before, and they are of the worse kind. A gradient may arrive at any time before the update; a layer cannot start without its weights, and waits unless they were fetched ahead, 36 times a step. Here it is 6 ms more, in a step that takes a second at the least (further down), but what do they buy? 59 MB a chip, of 16 GiB. The fix is the one line that `FSDP` already is, `{"D": "data"}` and not `("pod", "data")`. The report says the same in words: across pods it names a data-replica reduction, and no more.
#
# Neither flaw changes a single loss, so no test of numbers finds them. A test that reads the compiler's text does, and the package has one.
#
# If you have `libtpu` (its docstring in `gemma_edu/scaling/tpu_compiler.py` says how to get it), the next cell asks the compiler live, for the smallest case. Elsewhere it says that it did not.

# %% tags=["nbval-ignore-output"]
live = pods.compiled(case_of["2b-decode"]) if tpu_compiler.version() else None
if live is None:
    print("no libtpu here: what follows is the stored answer")
else:
    print(f"compiled live by libtpu {tpu_compiler.version()}: {live.hbm / 2**30:.2f} GiB")
assert (
    live is None or abs(live.hbm / peak["2b-decode"] - 1) < 0.2
)  # another libtpu plans a little differently

# %% [markdown]
# ## What fits on one chip
#
# To *write* text, weights and a KV cache are enough. In bfloat16 and with room for 8192 tokens, our arithmetic against the compiler's:

# %%
for name in ("2b-decode", "7b-decode"):
    ours = memory.serving(case_of[name].config, batch=1, capacity=8192)
    verdict = f"{peak[name] / 2**30:.2f} GiB" if peak[name] else "does not fit"
    print(
        f"{name}: weights {ours['weights'] / 2**30:5.2f}, cache {ours['cache'] / 2**30:.2f} GiB; the compiler: {verdict}"
    )
print(next(row["error"] for row in rows if row["case"] == "7b-decode")[:170])
assert abs(peak["2b-decode"] / memory.serving(presets.GEMMA_2B, 1, 8192)["total"] - 1) < 0.03
assert memory.weights(presets.GEMMA_7B) > HBM and peak["7b-decode"] is None

# %% [markdown]
# The 2B takes not even a third of the chip. The 7B's weights alone are 15.90 GiB: they miss by 0.15. Spread over four chips, or in 8 bits, it fits.

# %% [markdown]
# ## Three traps in counting
#
# **A loop's body is counted once.** XLA's `cost_analysis` has a number of FLOPs for every compiled program. Ten matrix products in a `lax.scan`:


# %%
def ten_products(x):
    return jax.lax.scan(lambda x, _: (x @ x, None), x, length=10)[0]


x_64 = jax.ShapeDtypeStruct((64, 64), np.float32)
told = jax.jit(ten_products).lower(x_64).compile().cost_analysis()["flops"]
one = 2 * 64**3
print(f"products of ten: from the trace {flops_of(ten_products, x_64) / one:.1f}, by XLA {told / one:.1f}")
assert flops_of(ten_products, x_64) == 10 * one and told < 2 * one

# %% [markdown]
# Our layers are such a loop, and so are the messages inside them: a text that shows two all-reduces may run 56. `traffic` multiplies by the turns.
#
# **A collective is printed more than once.** Where one overlaps with other work, the TPU's compiler prints it in several pieces that carry the same channel number. Whoever counts lines counts it several times.
#
# **The dtype of a message is the compiler's choice.** Our products are bfloat16, so one expects the stream to be summed in bfloat16, too, twice a layer on the way forward. Divide the all-reduced bytes of the 7B by a stream of 8192 × 3072 float32 numbers:

# %%
stream = 8192 * presets.GEMMA_7B.embed_dim * 4
sums = sent["7b-1", "ICI", "all-reduce"] / stream
layers = presets.GEMMA_7B.num_layers
print(f"{sums:.1f} streams: 8 in each of {layers} layers, and {sums - 8 * layers:.1f} more")
assert round(sums) == 8 * layers + 2

# %% [markdown]
# The two are for the table, which is split by V: one when tokens are looked up, one on the way back from the logits. And the eight? The program's text says: two forward, one when the block is computed again, and on the way back one for each of the matrices that read the stream, `w_q`, `w_k`, `w_v`, `w_gate` and `w_up`. All are in float32, since the sums come before the rounding. (In bfloat16 the same bytes would be 16 sums, and a layer has no 16 places for one.) On paper, two on the way back would do, at half the bytes. Nothing in the Python code shows it, and no loss ever will.
#
# ## Seconds, days
#
# A step takes at least as long as its arithmetic at the chip's peak, and at least as long as its messages at the links' peak. Arithmetic is `flops.training` for one sequence (lesson 12), a third more because each block runs forward twice, over the chips that share the sequence. For messages inside the pod a sum counts double, by the ring; we let all four ports be busy all the time, which flatters. Is the report's step held up by arithmetic, ICI or DCN?

# %%
RING = {"all-reduce": 2.0}  # all others send about once what arrives
least = {}
for name in REPORT:
    case = case_of[name]
    work = flops.training(case.config, pods.LENGTH)["total"] * 4 / 3 / case.model
    inside = sum(
        size * RING.get(kind, 1) for (c, net, kind), size in sent.items() if (c, net) == (name, "ICI")
    )
    between = totals[name, "DCN"]
    least[name] = work / TPU_V5E.flops_per_second, inside / CHIP_ICI, between / CHIP_DCN
fig, ax = plt.subplots()
for number, (what, colour) in enumerate((("arithmetic", "queries"), ("ICI", "keys"), ("DCN", "values"))):
    places = np.arange(4) + (number - 1) * 0.27
    values = [least[name][number] for name in REPORT]
    ax.barh(places, values, 0.25, color=COLOURS[colour], label=what)
    for place, value in zip(places, values, strict=True):
        if value:
            ax.text(value + 0.01, place, f"{value:.2f}", va="center", fontsize=8)
ax.set_yticks(range(4), [case_of[name].what.replace(", as in the report", "") for name in REPORT])
ax.invert_yaxis()
ax.legend()
ax.set(xlabel="seconds at the least, for one step of 8192 tokens per copy", xlim=(0, 1.15))
ax.set_title("The 2B waits for arithmetic, the split 7B for messages")
told = "; ".join(f"{name}: {a:.2f}, {i:.2f}, {d:.2f}" for name, (a, i, d) in least.items())
show(fig, f"Least seconds of a step, arithmetic, ICI, DCN: {told}.")
assert least["2b-2"][0] > least["2b-2"][1] and least["7b-16"][1] > least["7b-16"][0]
assert max(least[name][2] for name in REPORT) < 0.5 * max(least["7b-16"])

# %% [markdown]
# With 16 ways of tensor parallelism, our 7B step has its links busy for longer than its multipliers. In truth it is worse: its sums go around rows, which have two of a chip's four ports.

# %%
row = 2 * 15 / 16 * sent["7b-16", "ICI", "all-reduce"] / (CHIP_ICI / 2)
share = 3 / 4 * least["7b-16"][0] / row  # what is computed a second time is no gain
print(f"sums around a row: {row:.2f} s, so this step reaches at most {share:.0%} of the chips' peak")
assert row > 1.5 * least["7b-16"][0] and 0.36 < share < 0.4

# %% [markdown]
# More sequences for each copy would not help: the sums over the stream grow with the tokens just as the arithmetic does. (The weights that ZeRO gathers do not grow; there a larger batch helps.) What Google's own program sent we do not know. Exercise 6 works out how far tensor parallelism can go before messages win.
#
# Now the whole run: 6 trillion tokens for the 7B, 3 for the 2B (report, v4, section 4.1). Nobody reaches the peak. Llama 2's published hours give 45 % of it (lesson 12's formulas), PaLM reports 46.2 % (Chowdhery et al. 2022, section 4.1). So take 100 % as the bound, and 45 % as a guess for Google's program. (Not for ours, as we have just seen.)

# %%
chip_hours = {
    c.name: training.chip_hours(training.compute(c, n, 8192), TPU_V5E.flops_per_second)
    for c, n in carbon.GEMMA.models
}
CHIPS = {"Gemma 2B": 512, "Gemma 7B": 4096}
llama = carbon.LLAMA2_7B
reached = training.utilisation(llama.compute, llama.chip_hours, llama.chip.flops_per_second)
for name, hours in chip_hours.items():
    days = hours / CHIPS[name] / 24
    print(
        f"{name}: {hours:9.1f} chip-hours at the peak; on {CHIPS[name]} chips {days:.1f} days, at 45 % {days / 0.45:.1f}"
    )
assert 0.44 < reached < 0.46

# %% [markdown]
# Two weeks, each: the 2B has half the tokens, 0.3 of the parameters, and an eighth of the chips. The report gives no duration to compare with.
#
# ## 131 tonnes
#
# The report puts both models' pretraining at about 131 tonnes of CO₂ equivalent (v4, section 3.1), from the data centres' own hourly measurements. Can we get there?
#
# $$\text{tonnes} = \text{chip-hours} \times \text{kW} \times \text{PUE} \times \text{kg/kWh} \,/\, 1000$$
#
# (the formula of Touvron et al. 2023, arXiv:2302.13971, section 6). We have one of the four factors, and even that up to the utilisation. Google does not publish what a v5e chip draws, nor where the run was. PUE, what the building draws over what the computers draw, we take as 1.1, and 0.385 kg/kWh, an average of the United States; both are from the LLaMA paper, neither is Google's. So the honest question is the other way round: for which powers is 131 t plausible?

# %%
shares = np.linspace(0.25, 1, 60)
total_hours = sum(chip_hours.values())
fig, ax = plt.subplots()
for watts, colour in ((100, "queries"), (200, "keys"), (300, "values")):
    kwh = carbon.energy(1, watts, carbon.LLAMA_PUE) * total_hours / shares
    ax.plot(shares * 100, carbon.emissions(1, carbon.LLAMA_KG_PER_KWH) * kwh, color=COLOURS[colour])
    ax.text(
        76,
        1.13 * carbon.emissions(kwh[41], carbon.LLAMA_KG_PER_KWH),
        f"{watts} W a chip",
        color=COLOURS[colour],
        fontsize=9,
    )
ax.axhline(131, color=COLOURS["stream"], linewidth=1)
ax.text(100, 135, "the report, 131 t", ha="right", fontsize=9)
ax.axvspan(40, 60, color="0.92")
ax.set(xlabel="share of the chips' peak that is reached, %", ylabel="tonnes CO₂eq", ylim=(0, 320))
ax.set_title("131 t is what 200 to 300 W a chip would give")
show(
    fig,
    "Tonnes of CO2 for both models against utilisation, for 100, 200 and 300 W a chip all included, at PUE 1.1 and 0.385 "
    "kg/kWh. The lines of 200 and 300 W cross the report's 131 t at about 40 and 59 per cent.",
)

# %% [markdown]
# At a single point, in numbers:

# %%
hours = total_hours / 0.45
kwh = carbon.GEMMA.tonnes * 1000 / carbon.LLAMA_KG_PER_KWH
watts = kwh / carbon.LLAMA_PUE / hours * 1000
print(f"{hours / 1e6:.2f} million chip-hours; 131 t are {kwh / 1000:.1f} MWh, or {watts:.1f} W for each chip")
assert 215 < watts < 245
assert 4.5 < carbon.GEMMA.compute / carbon.LLAMA2_7B.compute < 5

# %% [markdown]
# 131 t fits 1.35 million chip-hours at some 230 W, with a share of host, network and pumps in it: neither absurdly little nor much beside the 400 W that an A100 alone may draw. That is all this shows. The unknown factors multiply: utilisation between 30 and 60 % is a factor of 2, the grid another 2 or more, power 2. From first principles we can say "some tens to some hundreds of tonnes". A check of an order of magnitude, not of the report. For scale: Llama 2's card says 31 t for its 7B, with a fifth of the arithmetic.
#
# ## Optional: a taste of Pallas
#
# One level below XLA, a *kernel* says itself which block of which array is brought into the chip's fast memory (VMEM) when. `gemma_edu/scaling/pallas_norm.py` is RMSNorm (lesson 03) written so, 128 rows at a time. On a CPU it is *interpreted*: right values, no speed. It gains nothing over XLA's own; it is the smallest kernel that shows how those that do (flash attention) are written.

# %%
show_source(pallas_norm._kernel)
scale_D = random.normal(0, 0.3, 256).astype(np.float32)
x_TD = random.standard_normal((40, 256), np.float32)
kernel = pallas_norm.rms_norm(x_TD, scale_D, 1e-6, unit_offset=True, rows=8, interpret=True)
np.testing.assert_allclose(kernel, jax_rms_norm(x_TD, scale_D, 1e-6, unit_offset=True), rtol=1e-5, atol=1e-6)

# %% [markdown]
# A TPU's registers hold 8 rows of 128 numbers, and blocks have to be made of such tiles. Take 5 rows at a time. Which will object, the interpreter or the TPU?


# %%
def five_rows(x_TD, scale_D, interpret):
    return pallas_norm.rms_norm(x_TD, scale_D, 1e-6, unit_offset=True, rows=5, interpret=interpret)


np.testing.assert_allclose(five_rows(x_TD, scale_D, True), kernel, rtol=1e-5, atol=1e-6)
try:
    jax.jit(partial(five_rows, interpret=False)).trace(x_TD, scale_D).lower(lowering_platforms=("tpu",))
    refusal = ""
except ValueError as error:
    refusal = str(error)
assert "divisible by 8 and 128" in refusal

# %% [markdown]
# The refusal, shortened:

# %% tags=["nbval-ignore-output"]
print(" ".join(refusal.split()).split(" Block spec")[0])

# %% [markdown]
# The CPU computes the right numbers; the TPU's lowering refuses, and no TPU has to be there for it to do so. Right values are not enough to call a kernel right.
#
# ## Break it on purpose
#
# **A sum forgotten.** With the pencil: without the all-reduce, the first device goes on with (3, 4) where (13, 16) should be. Now the real Gemma 3 270M, as if spread over four devices, each with one head and a quarter of the feed-forward layer. If the sum is forgotten, device 0 carries on with its own part alone. And another mistake, a *mean* in place of the sum: everything four times too small. Rank them: forgotten in layer 9 alone, forgotten everywhere, mean everywhere.

# %%
model = checkpoints.load("gemma3-270m")
text = course_data.path("water_cycle.txt").read_text(encoding="utf-8")
tokens_T = model.tokenizer.encode(text, add_bos=True)


def without_sum(layers, others=0.0, own=1.0):
    """Device 0's heads and columns times `own`, those of the three other devices times `others`."""
    heads = np.array([own] + 3 * [others], np.float32)
    blocks = list(model.params.blocks)
    for layer in layers:
        a, f = blocks[layer].attention, blocks[layer].feedforward
        a = a._replace(w_o=a.w_o * heads[:, None, None])
        f = f._replace(w_down=f.w_down * np.repeat(heads, f.w_down.shape[0] // 4)[:, None])
        blocks[layer] = blocks[layer]._replace(attention=a, feedforward=f)
    return model.params._replace(blocks=tuple(blocks))


# %% [markdown]
# Only weights change, so one compiled program serves all four:

# %%
everywhere = range(model.config.num_layers)
heard = {
    "as published": model.params,
    "sum forgotten in layer 9": without_sum([9]),
    "sum forgotten everywhere": without_sum(everywhere),
    "mean instead of sum": without_sum(everywhere, 0.25, 0.25),
}
measured = {name: perplexity(params, tokens_T, model.config, skip=1) for name, params in heard.items()}
for name, value in measured.items():
    print(f"{name:25} {value:12.4g}" if value < 1e6 else f"{name:25} {value:12.0e}")
assert abs(measured["mean instead of sum"] / measured["as published"] - 1) < 0.04
assert (
    measured["sum forgotten everywhere"]
    > 1000
    > measured["sum forgotten in layer 9"]
    > measured["as published"] * 1.02
)

# %% [markdown]
# The mean can hardly be heard. Gemma 3 has a norm *after* each sublayer, before it is added to the stream, and a norm does not care for a factor; all that is left is its ε, now 16 times too large beside the squares. In Gemma 1, which has no norm there, nothing would undo it. So a program can be wrong and its loss nearly right. Compare arrays, device by device, as the contract cells do.
#
# **A mean of means.** Data parallelism has a famous one. Two devices; the first has 3 predictions that count with losses 2, 2 and 2, the second, most of whose row is padding, one with loss 6. Each takes its mean, and then the devices average: (2 + 6)/2 = 4. But the mean over all four predictions is 12/4 = 3.

# %%
losses = [np.array([2.0, 2.0, 2.0]), np.array([6.0])]
of_means = np.mean([each.mean() for each in losses])
of_all = np.concatenate(losses).mean()
print(f"mean of means {of_means}, mean of all {of_all}")
assert (of_means, of_all) == (4.0, 3.0)

# %% [markdown]
# The padded row's one prediction weighs three times as much as it should. With gradients accumulated over several small batches, torchtune had this: "(x1 / n1) + (x2 / n2) != (x1 + x2) / (n1 + n2)", says the pull request that repaired it (meta-pytorch/torchtune #1875). Our step is safe because `mean_loss` divides one global sum by another, and the compiler puts an all-reduce into each.

# %% [markdown]
# ## Exercises
#
# Write each function in place of the solution that stands here, or in a cell of your own, and run the check below it. When an answer is not right, the check says where, and often why.
#
# ### 1 · Your share of an array
#
# *Difficulty 3 of 5, 12 minutes.* Write `part_shape(letters, shape, rules, mesh)`: the shape of the part that one chip holds, as a tuple. `letters` names the axes, `rules` maps a letter to a mesh axis, `mesh` a mesh axis to its size. Letters are served from left to right. A mesh axis splits an array once, an axis of size 1 is left whole (and uses nothing up), and so is a letter without a rule. All sizes divide. First example: `part_shape("DNH", (3072, 16, 256), {"D": "data", "N": "model"}, {"data": 16, "model": 16})` gives `(192, 1, 256)`.
#
# ```python
# def part_shape(letters, shape, rules, mesh):
#     used, parts = set(), []
#     for letter, size in zip(letters, shape):
#         ...
#     return tuple(parts)
# ```
#
# <details><summary>Hint 1</summary>The pictures of the toy show it: <code>w_q</code> with both rules, and <code>w_k</code> with its one head.</details>
# <details><summary>Hint 2</summary>Three reasons to leave an axis whole: no rule, a mesh axis that has been used, size 1. Otherwise divide, and remember that the mesh axis is used.</details>
# <details><summary>Hint 3</summary><code>axis = rules.get(letter)</code>; if <code>axis is None or axis in used or size == 1</code> append <code>size</code>. Otherwise the mesh axis is used from now on, and its size divides.</details>


# %% tags=["solution", "hide-input"]
def part_shape(letters, shape, rules, mesh):
    ### BEGIN SOLUTION
    used, parts = set(), []
    for letter, size in zip(letters, shape, strict=True):
        axis = rules.get(letter)
        if axis is None or axis in used or size == 1:
            parts.append(size)
        else:
            used.add(axis)
            parts.append(size // mesh[axis])
    return tuple(parts)
    ### END SOLUTION


# %% [markdown]
# Both Gemmas on a pod, one key head, and rules that want the same mesh axis twice:

# %%
check("part_shape", part_shape)

# %% [markdown]
# ### 2 · Around the ring
#
# *Difficulty 2 of 5, 6 minutes.* Write `bytes_sent(kind, size, chips)`: how many bytes each chip of a ring sends. `kind` is `"all-reduce"`, `"all-gather"` or `"reduce-scatter"`; `size` is that of the whole array, gathered or not yet scattered. First example: `bytes_sent("all-reduce", 16.0, 4)` gives 24.
#
# ```python
# def bytes_sent(kind, size, chips):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The ring above ran an all-reduce as two tours. Which two?</details>
# <details><summary>Hint 2</summary>A tour has n − 1 turns, and at each turn a chip passes on one block of n.</details>
# <details><summary>Hint 3</summary><code>once = size * (chips - 1) / chips</code>; an all-reduce takes two of these.</details>


# %% tags=["solution", "hide-input"]
def bytes_sent(kind, size, chips):
    ### BEGIN SOLUTION
    once = size * (chips - 1) / chips
    return 2 * once if kind == "all-reduce" else once
    ### END SOLUTION


# %% [markdown]
# Rings of 2, 16 and 256 chips:

# %%
check("bytes_sent", bytes_sent)

# %% [markdown]
# ### 3 · How many chips, at the fewest?
#
# *Difficulty 3 of 5, 10 minutes.* Write `fewest_copies(parameters, memory, stage)`: the least number of data-parallel chips with `memory` bytes each on which weights, gradients and Adam's state fit, in float32 and without tensor parallelism. `stage` is 0 (copies of all), 1, 2 or 3, as in ZeRO. If no number of chips is enough, return 0. First example: with 10 parameters and 100 bytes, stage 3 needs `fewest_copies(10, 100, 3)`, 2 chips; stage 1 needs 4, and stage 0 gives 0.
#
# ```python
# def fewest_copies(parameters, memory, stage):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The bars above: at each stage, which of the 4 + 4 + 8 bytes are the same however many chips there are?</details>
# <details><summary>Hint 2</summary>16, 8, 4 and 0 bytes a parameter stay whole. The rest, divided by n, must fit into what these leave.</details>
# <details><summary>Hint 3</summary><code>whole = {0: 16, 1: 8, 2: 4, 3: 0}[stage] * parameters</code>; n is <code>math.ceil((16 * parameters - whole) / (memory - whole))</code>, if <code>whole &lt; memory</code>. Stage 0 is a case of its own: 1 or 0.</details>


# %% tags=["solution", "hide-input"]
def fewest_copies(parameters, memory, stage):
    ### BEGIN SOLUTION
    whole = {0: 16, 1: 8, 2: 4, 3: 0}[stage] * parameters
    shared = 16 * parameters - whole
    if shared == 0:
        return 1 if whole <= memory else 0
    return math.ceil(shared / (memory - whole)) if whole < memory else 0
    ### END SOLUTION


# %% [markdown]
# Gemma 7B and 2B on v5e chips, and two smaller machines, at each stage:

# %%
check("fewest_copies", fewest_copies)

# %% [markdown]
# Gemma 7B can only be trained at stage 3 on these chips, and needs nine of them for its state alone. At stage 2 its weights stand whole on each: 32 GiB.
#
# ### 4 · The cache of a row
#
# *Difficulty 2 of 5, 8 minutes.* Write `cache_on_a_chip(config, tokens, ways)`: the bytes of the bfloat16 KV cache, with room for `tokens` tokens of one text, on *each* of `ways` chips that share a model by heads. Each chip has `num_heads / ways` query heads and keeps the key heads that they read: each key head serves `num_heads / num_kv_heads` neighbours. First example: `cache_on_a_chip(presets.GEMMA_2B, 1, 8)` gives 18,432.
#
# ```python
# def cache_on_a_chip(config, tokens, ways):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary><i>One key head among sixteen chips</i> has three answers for 16 chips.</details>
# <details><summary>Hint 2</summary>With more key heads than chips a chip has <code>num_kv_heads / ways</code> of them. With fewer it has one, which others have too.</details>
# <details><summary>Hint 3</summary><code>heads = max(1, config.num_kv_heads // ways)</code>; keys and values, all layers, <code>head_dim</code> numbers of 2 bytes.</details>


# %% tags=["solution", "hide-input"]
def cache_on_a_chip(config, tokens, ways):
    ### BEGIN SOLUTION
    heads = max(1, config.num_kv_heads // ways)
    return 2 * config.num_layers * tokens * heads * config.head_dim * 2
    ### END SOLUTION


# %% [markdown]
# One head, sixteen, thirty-two, and a model with four on 2 chips and on 16:

# %%
check("cache_on_a_chip", cache_on_a_chip)

# %% [markdown]
# ### 5 · The mean of all of us
#
# *Difficulty 2 of 5, 6 minutes.* Write `mean_across(losses_CT, weights_CT)`: the mean loss of a batch whose rows lie on C chips, one row on each. `weights_CT` is 1 where a prediction counts and 0 for padding. First example: losses `[[2, 2, 2], [6, 0, 0]]` with weights `[[1, 1, 1], [1, 0, 0]]` give 3.
#
# ```python
# def mean_across(losses_CT, weights_CT):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>The last break of the lesson shows what not to do.</details>
# <details><summary>Hint 2</summary>What can be added over chips without harm? Sums, and counts. Divide last.</details>
# <details><summary>Hint 3</summary><code>sums_C = (losses_CT * weights_CT).sum(1)</code> and <code>counts_C = weights_CT.sum(1)</code> are what each chip knows; both are all-reduced.</details>


# %% tags=["solution", "hide-input"]
def mean_across(losses_CT, weights_CT):
    ### BEGIN SOLUTION
    sums_C = (losses_CT * weights_CT).sum(1)
    counts_C = weights_CT.sum(1)
    return sums_C.sum() / counts_C.sum()
    ### END SOLUTION


# %% [markdown]
# Two to four chips, with few and with many predictions:

# %%
check("mean_across", mean_across)

# %% [markdown]
# ### 6 · How far can a layer be split?
#
# *Difficulty 4 of 5, 12 minutes.* A gated feed-forward layer, forward, in bfloat16. For each token, n chips share three products of 2·D·F FLOPs, and then sum D numbers of 2 bytes by the ring. Write `most_ways(hidden_dim, flops_per_second, bytes_per_second)`: the largest power of 2 for n at which the products still take at least as long as the sum. (D cancels, and so does the number of tokens.) First example: F = 2048 on a v5e, of which a row's ring uses two ports, so 100 GB/s: `most_ways(2048, 197e12, 100e9)` gives 2.
#
# ```python
# def most_ways(hidden_dim, flops_per_second, bytes_per_second):
#     ...
#     return ...
# ```
#
# <details><summary>Hint 1</summary>Write both times for one token: arithmetic over peak, and exercise 2's bytes over the links' speed.</details>
# <details><summary>Hint 2</summary>6·D·F / n / peak ≥ 2·(n − 1)/n · 2·D / speed. Try n = 2, 4, 8, … and stop in time.</details>
# <details><summary>Hint 3</summary>Divided by D and times n: <code>6 * hidden_dim / flops_per_second &gt;= 4 * (n - 1) / bytes_per_second</code>. Double n while 2n still fulfils it.</details>


# %% tags=["solution", "hide-input"]
def most_ways(hidden_dim, flops_per_second, bytes_per_second):
    ### BEGIN SOLUTION
    n = 1
    while 6 * hidden_dim / flops_per_second >= 4 * (2 * n - 1) / bytes_per_second:
        n *= 2
    return n
    ### END SOLUTION


# %% [markdown]
# Gemma 7B, Gemma 2B, Llama 2, two narrow layers, slower links, and another chip:

# %%
check("most_ways", most_ways)

# %% [markdown]
# For Gemma 7B's F = 24,576 on a row of v5e chips it is 16, the report's number; for the 2B's 16,384 it is 8. An estimate of one layer, forward, is no proof of why. (The compiled step above does worse: it sums in float32, and five times on the way back.) It says that so wide a layer, 24,576 beside Llama 2's 11,008, is what lets a row of 16 share it at all.
#
# ## What breaks if…
#
# Predict first, then open.
#
# **1.** …the 2B is given to a row of 16 chips by heads, as the 7B is?
#
# <details><summary>Answer</summary>First of all, its 8 query heads do not go into 16 parts: <code>sharding_rules</code> refuses, naming the axis. On 8 chips it works, but the one key head, its weights, their moments and the cache are copied eight times, as in the grey row of the third picture, and each text's cache on a chip is as large as on one chip alone: 18,432 bytes a token.</details>
#
# **2.** …you train the 7B on 4096 chips without the rule <code>FSDP</code>, and everything fits?
#
# <details><summary>Answer</summary>The losses are the same but for the order of sums, so no curve shows it. As on one pod above, each chip holds 6.4 GB of weights and moments instead of 0.4, and the peak goes from three GiB and a bit to ten. It fits, until someone doubles the batch. The compiler's account, or one look at <code>sharding</code>, shows it.</details>
#
# **3.** …your pods are joined by a network as fast as ICI? Would you then spread weights across pods?
#
# <details><summary>Answer</summary>You could: the all-gather would no longer wait 64 times longer for each byte. But what would it bring? Beside 256 chips that share the 2B's state, 512 save another 59 MB of 16 GiB, and every layer still needs one more round of messages. Sharing saves a lot at first and then ever less: that is the reason to stop at the pod.</details>
#
# ## To take home
#
# A product splits three ways, and only the split along the contraction needs a sum; so a Transformer's sublayer on many chips costs one all-reduce forward, found by the compiler from one line about where the arrays lie.
#
# ZeRO-3 is an all-reduce cut into its two halves with Adam between them: 16 bytes for each parameter become 16/n, and the price is gathering weights when they are needed, over the fast links only.
#
# Whether a layout is right no loss can tell; memory and messages can, and the TPU's compiler writes them down for 4096 chips on a laptop.
#
# **Next.** Lesson 16 tunes a pretrained model to answer. To read: sections 3 and 4 of the Gemma report (arXiv:2403.08295); Rajbhandari et al. 2020 on ZeRO (arXiv:1910.02054), sections 3 and 5; Chowdhery et al. 2022, PaLM (arXiv:2204.02311), section 4, for a run over two pods whose numbers were published.
