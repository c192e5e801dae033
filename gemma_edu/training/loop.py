"""Many steps: with held-out losses on the way, checkpoints, and a stop when the numbers go wrong."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from gemma_edu.config import ModelConfig
from gemma_edu.inputs import check_ids
from gemma_edu.params import Params
from gemma_edu.scaling import sharded_training, sharding_rules
from gemma_edu.scaling.sharding_rules import Rules
from gemma_edu.training import checkpointing
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.data import Batch
from gemma_edu.training.loss import summed_loss
from gemma_edu.training.step import TrainState, train_step


class StepRecord(NamedTuple):
    """What one step told; see `step.Metrics`."""

    step: int
    """Steps done, this one included."""
    loss: float
    gradient_norm: float
    learning_rate: float


class HeldOutRecord(NamedTuple):
    """How well the model does on what it never learns from."""

    step: int
    """Steps done."""
    loss: float
    """Mean loss of all held-out predictions, in nats."""


class Run(NamedTuple):
    """What `train` gives back."""

    state: TrainState
    steps: list[StepRecord]
    held_out: list[HeldOutRecord]


def train(
    state: TrainState,
    batches: Callable[[int], Iterable[Batch]],
    config: ModelConfig,
    training: TrainingConfig,
    held_out: Sequence[Batch] = (),
    evaluate_every: int | None = None,
    folder: checkpointing.Folder | None = None,
    save_every: int | None = None,
    report: Callable[[StepRecord | HeldOutRecord], object] = lambda record: None,
    rules: Rules | None = None,
    mesh: Mesh | None = None,
) -> Run:
    """Train from `state` until step `training.steps`. `state` itself is used up.

    To go on where a run stopped, pass `checkpointing.restore(folder, state)`: the same numbers follow, bit for bit.

    With `rules` and `mesh` the same run is spread over many devices, and over several processes if all call this:
    `state` is then one of `sharded_training.start`, or restored like its `abstract_state`, on whatever mesh it was
    saved. The numbers are those of one device but for the order of sums.

    Args:
        batches: gives the batches from a step number on, as `lambda start: data.batches(documents, 16, 128, 0, start)`.
        held_out: evaluated before the first step, after every `evaluate_every` steps and after the last.
        folder: where checkpoints go, after every `save_every` steps and after the last; None keeps none.
        report: called with each record as it comes, to print or plot it.
        rules: which axes of arrays are split over which axes of `mesh`, see `scaling.sharding_rules`.
        mesh: the devices, as `scaling.mesh.make` lays them out.

    Raises:
        FloatingPointError: when a loss or gradient is infinite or no number, naming the step; nothing of it is saved.
        ValueError: token ids outside the vocabulary, batches that end, intervals below 1, a folder that is further
            than `state`, rules without a mesh or a mesh without rules, rows that the mesh does not divide.
        CheckpointError: when the folder cannot be read or written.
    """
    number = first = int(state.step)
    judged = partial(evaluate, held_out=held_out, config=config, training=training, rules=rules, mesh=mesh)
    placed = _placing(rules, mesh)
    if mesh is None:
        run_step = partial(train_step, config=config, training=training)
    else:
        run_step = sharded_training.train_step(config, training, rules, mesh)
    _check_intervals(evaluate_every=evaluate_every, save_every=save_every)
    _check_folder(folder, first)
    told: list[StepRecord | HeldOutRecord] = []

    def tell(record: StepRecord | HeldOutRecord) -> None:
        told.append(record)
        report(record)

    if held_out:
        tell(HeldOutRecord(number, judged(state.params)))
    for number, batch in enumerate(islice(batches(first), max(training.steps - first, 0)), first + 1):
        _check_batch(batch, config)
        state, metrics = run_step(state, placed(batch))
        tell(StepRecord(number, *map(float, jax.device_get(metrics))))  # waits for the step
        _check_finite(told[-1], folder)
        if held_out and _is_due(number, evaluate_every, training):
            tell(HeldOutRecord(number, judged(state.params)))
        if folder is not None and _is_due(number, save_every, training):
            checkpointing.save(folder, state)
    if number < training.steps:
        raise ValueError(
            f"the batches ended after step {number} of {training.steps}: give more, or fewer steps"
        )
    steps = [record for record in told if isinstance(record, StepRecord)]
    return Run(state, steps, [record for record in told if isinstance(record, HeldOutRecord)])


def evaluate(
    params: Params,
    held_out: Sequence[Batch],
    config: ModelConfig,
    training: TrainingConfig,
    rules: Rules | None = None,
    mesh: Mesh | None = None,
) -> float:
    """The mean loss of all predictions in `held_out` by their weights, in nats; on a mesh if `params` are.

    Raises:
        ValueError: when there are no predictions, or batches that do not fit the model or the mesh.
    """
    placed = _placing(rules, mesh)
    weight = sum(float(np.sum(batch.weights)) for batch in held_out)
    if not weight:
        raise ValueError(
            "there is nothing to evaluate: the held-out batches have no predictions of weight above 0"
        )
    for batch in held_out:
        _check_batch(batch, config)
    # `training.forward` and `training.loss` ask which mesh is in use.
    with nullcontext() if mesh is None else jax.set_mesh(mesh):
        losses = [float(_summed_loss(params, placed(batch), config, training)) for batch in held_out]
    return sum(losses) / weight


_summed_loss = jax.jit(summed_loss, static_argnames=("config", "training"))


def _placing(rules: Rules | None, mesh: Mesh | None) -> Callable[[Batch], Batch]:
    """What brings a batch to its devices."""
    if (rules is None) != (mesh is None):
        raise ValueError("rules and a mesh go together: give both, or neither for one device")
    return partial(sharding_rules.place, rules=rules, mesh=mesh) if mesh is not None else lambda batch: batch


def _is_due(step: int, every: int | None, training: TrainingConfig) -> bool:
    """Whether something that comes every so many steps, and after the last, comes after this one."""
    return step == training.steps or (every is not None and step % every == 0)


def _check_intervals(**every: int | None) -> None:
    """Refuse to do something every 0 steps, or fewer."""
    for name, steps in every.items():
        if steps is not None and steps < 1:
            raise ValueError(f"{name} = {steps}: give 1 or more steps, or None for the last step only")


def _check_batch(batch: Batch, config: ModelConfig) -> None:
    """Look at token ids while they are known: in a compiled step JAX clips them. Those on devices stay there."""
    if isinstance(batch.tokens, np.ndarray):
        check_ids(int(batch.tokens.min()), int(batch.tokens.max()), config)


def _check_finite(record: StepRecord, folder: checkpointing.Folder | None) -> None:
    """Stop before weights that are no numbers are saved or trained further."""
    if math.isfinite(record.loss) and math.isfinite(record.gradient_norm):
        return
    saved = None if folder is None else checkpointing.latest(folder)
    raise FloatingPointError(
        f"step {record.step}: loss {record.loss}, gradient norm {record.gradient_norm}, learning rate "
        f"{record.learning_rate:.3g}. Take a lower learning_rate or a longer warm-up, and batches with some weight"
        + ("" if saved is None else f"; {folder} holds step {saved}")
    )


def _check_folder(folder: checkpointing.Folder | None, step: int) -> None:
    """Refuse to mix two runs in one folder."""
    saved = None if folder is None else checkpointing.latest(folder)
    if saved is not None and saved > step:
        raise ValueError(
            f"{folder} holds step {saved}, and the state is at step {step}: go on from "
            "checkpointing.restore(folder, state), or give a folder of its own to a new run"
        )
