"""What the tests of sharded training run in processes of their own: on 8 devices of one process, or of two.

    python tests/sharded_runs.py WHAT FOLDER      WHAT is a function below

On one device the same steps are the reference; all numbers are written to FOLDER.
"""

import json
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np

from gemma_edu import presets
from gemma_edu.scaling import mesh, processes, sharded_training, sharding_rules
from gemma_edu.scaling.sharding_rules import DATA, FSDP, TENSOR
from gemma_edu.training import checkpointing, loop
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.data import Batch
from gemma_edu.training.step import train_step

SIZES = {"vocab_size": 48, "embed_dim": 32, "num_heads": 8, "head_dim": 24, "hidden_dim": 40, "num_layers": 3}
MULTI_QUERY = presets.TINY_GEMMA_2B.replace(**SIZES)
MULTI_HEAD = MULTI_QUERY.replace(num_kv_heads=8)
TRAINING = TrainingConfig(steps=5, learning_rate=3e-3, beta1=0.9, clip_norm=float("inf"))
FRUGAL = TRAINING.replace(rematerialise=True, loss_chunk=3)
ROWS, LENGTH, STEPS, STOP = 16, 6, 5, 3
LAYOUTS = {
    "data": (MULTI_HEAD, TRAINING, DATA, {"data": 8}),
    "FSDP": (MULTI_HEAD, TRAINING, DATA | FSDP, {"data": 8}),
    "tensor": (MULTI_HEAD, TRAINING, DATA | TENSOR, {"model": 8}),
    "tensor, one KV head": (MULTI_QUERY, TRAINING, DATA | TENSOR, {"model": 8}),
    "tensor, inside the KV head": (MULTI_QUERY, TRAINING, DATA | TENSOR | {"H": "model"}, {"model": 8}),
    "all": (MULTI_QUERY, FRUGAL, DATA | TENSOR | FSDP, {"pods": 2, "data": 2, "model": 2}),
}


def batches():
    """The same five batches everywhere."""
    rng = np.random.default_rng(0)
    shape = ROWS, LENGTH + 1
    return [
        Batch(rng.integers(0, 48, shape, np.int32), np.ones((ROWS, LENGTH), np.float32)) for _ in range(STEPS)
    ]


def initial(config):
    """NumPy's copy of the state before the first step."""
    return jax.tree.map(np.asarray, sharded_training.new_state(jax.random.key(0), config, TRAINING))


def run(state, step, placed=lambda batch: batch):
    """Losses of all steps, the gradients of the first, and the last state.

    After one step Adam's first moment is (1 − beta1) times the gradients, as nothing is clipped.
    """
    losses = []
    for batch in batches():
        state, metrics = step(state, placed(batch))
        losses.append(float(metrics.loss))
        if len(losses) == 1:
            first = [moment / (1 - TRAINING.beta1) for moment in whole(state.optimizer_state[1][0].mu)]
    return losses, first, state


def whole(tree):
    """A tree's arrays as NumPy's, in every process."""
    if jax.process_count() > 1 and not jax.tree.leaves(tree)[0].is_fully_addressable:
        everywhere = jax.tree.map(lambda leaf: jax.NamedSharding(leaf.sharding.mesh, jax.P()), tree)
        tree = jax.jit(lambda tree: tree, out_shardings=everywhere)(tree)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def from_step(start):
    """`batches` as `loop.train` asks for them."""
    return batches()[start:]


def alone(config):
    """The reference: one device."""
    state = jax.tree.map(jax.numpy.asarray, initial(config))
    return run(state, lambda state, batch: train_step(state, batch, config, TRAINING))


def compared(losses, first, reference):
    """The largest differences, and what was reached so that nothing is equal by being empty."""
    return {
        "losses": losses,
        "loss_difference": max(np.abs(np.subtract(losses, reference[0]))),
        "gradient_difference": max(
            float(np.abs(one - other).max() / np.abs(other).max())
            for one, other in zip(first, reference[1], strict=True)
        ),
    }


def eight(folder):
    """Every layout on 8 devices of this process against one device."""
    references = {config: alone(config) for config in (MULTI_QUERY, MULTI_HEAD)}
    for name, (config, training, rules, sizes) in LAYOUTS.items():
        where = mesh.make(**sizes)
        state = sharding_rules.place(initial(config), rules, where)
        parts = {
            part: leaf.addressable_shards[0].data.nbytes / leaf.nbytes
            for part, leaf in {
                "w_q": state.params.blocks[0].attention.w_q,
                "w_k": state.params.blocks[0].attention.w_k,
                "moment of w_q": state.optimizer_state[1][0].nu.blocks[0].attention.w_q,
            }.items()
        }
        step = sharded_training.train_step(config, training, rules, where)
        losses, first, after = run(state, step)
        kept = [leaf.sharding for leaf in jax.tree.leaves(after)] == jax.tree.leaves(
            sharding_rules.shardings(after, rules, where)
        )
        found = compared(losses, first, references[config]) | {"parts": parts, "kept": kept}
        write(folder, name, found)
    born(folder)
    resumed(folder, references[MULTI_QUERY])


def born(folder):
    """A state made on the mesh against the one made on one device."""
    rules, where = DATA | TENSOR | FSDP, mesh.make(data=4, model=2)
    state = sharded_training.start(jax.random.key(0), MULTI_QUERY, TRAINING, rules, where)
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(initial(MULTI_QUERY)), strict=True)
    largest = max(float(np.abs(np.asarray(one) - other).max()) for one, other in pairs)
    write(
        folder,
        "born",
        {"difference": largest, "w_q": str(state.params.blocks[0].attention.w_q.sharding.spec)},
    )


def resumed(folder, reference):
    """`loop.train` on 8 devices, stopped after step 4, and gone on with on a mesh of another shape from step 3."""
    rules, told = DATA | TENSOR | FSDP, []
    checkpoints = Path(folder) / "resumed"

    def stop(record):
        told.append(record)
        if record.step > STOP:
            raise KeyboardInterrupt

    def train(state, where, **options):
        return loop.train(
            state, from_step, MULTI_QUERY, TRAINING, folder=checkpoints, rules=rules, mesh=where, **options
        )

    first = mesh.make(data=4, model=2)
    state = sharding_rules.place(initial(MULTI_QUERY), rules, first)
    try:
        train(state, first, held_out=batches()[:1], evaluate_every=STOP, save_every=STOP, report=stop)
    except KeyboardInterrupt:
        pass
    second = mesh.make(pods=2, data=2, model=2)
    like = sharded_training.abstract_state(MULTI_QUERY, TRAINING, rules, second)
    rest = train(checkpointing.restore(checkpoints, like), second)
    steps = [record for record in told if isinstance(record, loop.StepRecord)][:STOP] + rest.steps
    pairs = zip(whole(rest.state.params), whole(reference[2].params), strict=True)
    found = compared([record.loss for record in steps], reference[1], reference) | {
        "steps": [record.step for record in steps],
        "held_out": [record.loss for record in told if isinstance(record, loop.HeldOutRecord)],
        "weights_difference": max(float(np.abs(one - other).max()) for one, other in pairs),
        "spread": len(rest.state.params.embedding.table.sharding.device_set),
        "saved": checkpointing.latest(checkpoints),
    }
    write(folder, "resumed", found)


def two(folder):
    """In two processes of 4 devices: five steps of `loop.train`, and a checkpoint that both write."""
    processes.join()
    rules, where = DATA | TENSOR | FSDP, mesh.make(data=2, model=4)
    state = sharding_rules.place(initial(MULTI_QUERY), rules, where)
    run = loop.train(
        state, from_step, MULTI_QUERY, TRAINING, folder=Path(folder) / "checkpoint", rules=rules, mesh=where
    )
    leaves, moments = whole(run.state), whole(run.state.optimizer_state[1][0].mu)
    losses = [record.loss for record in run.steps]
    reference = losses, moments
    if jax.process_index() == 0:
        np.savez(Path(folder) / "state.npz", *leaves)
        losses_alone, _, state = alone(MULTI_QUERY)
        # Adam's first moments: the mean of the gradients so far
        reference = losses_alone, whole(state.optimizer_state[1][0].mu)
    found = compared(losses, moments, reference)
    print(json.dumps(found | {"devices": len(jax.devices()), "local": len(jax.local_devices())}))


def restore(folder):
    """What two processes wrote, on meshes of other shapes in this one process."""
    written = list(np.load(Path(folder) / "state.npz").values())
    for name, sizes in {"2 × 2 × 2": {"pods": 2, "data": 2, "model": 2}, "8 × 1": {"data": 8}}.items():
        rules, where = DATA | TENSOR | FSDP, mesh.make(**sizes)
        like = sharded_training.abstract_state(MULTI_QUERY, TRAINING, rules, where)
        state = checkpointing.restore(Path(folder) / "checkpoint", like)
        pairs = zip(jax.tree.leaves(state), written, strict=True)
        equal = [bool(np.array_equal(np.asarray(one), other)) for one, other in pairs]
        placed = [leaf.sharding for leaf in jax.tree.leaves(state)] == [
            leaf.sharding for leaf in jax.tree.leaves(like)
        ]
        write(folder, f"restore {name}", {"equal": all(equal), "leaves": len(equal), "placed": placed})


def killed(folder):
    """Two processes, of which the second dies in the middle."""
    processes.join()
    where = jax.NamedSharding(mesh.make(data=8), jax.P("data"))
    numbers = jax.make_array_from_callback((8,), where, lambda part: np.arange(8.0, dtype=np.float32)[part])
    total = jax.jit(lambda x: x.sum())
    assert total(numbers) == 28
    if jax.process_index() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        total(numbers).block_until_ready()


def fails(folder):
    """Two processes, of which the first makes a mistake."""
    processes.join()
    if jax.process_index() == 0:
        raise ValueError("this process is told to fail")
    while True:
        pass


def write(folder, name, values):
    """One JSON file for each result."""
    (Path(folder) / f"{name}.json").write_text(json.dumps(values))


if __name__ == "__main__":
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_disable_most_optimizations", True)  # toy models compile twice as fast
    globals()[sys.argv[1]](sys.argv[2])
