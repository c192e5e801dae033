"""The step of `gemma_edu.training` on a mesh: the same `update`, told where its arrays are.

    rules, where = DATA | TENSOR | FSDP, mesh.make(data=4, model=2)
    state = start(jax.random.key(0), config, training, rules, where)
    step = train_step(config, training, rules, where)
    state, metrics = step(state, batch)

`training.loop.train(..., rules=rules, mesh=where)` makes many such steps, with checkpoints.

The program says nothing of devices, with two exceptions in `training.forward` and `training.loss`. The compiler (GSPMD,
Xu et al. 2021) splits it to match the arrays, and puts in the messages between devices that this takes; the numbers are
those of one device but for the order of sums.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from gemma_edu.config import ModelConfig
from gemma_edu.jax_model import layer_scan, params
from gemma_edu.scaling import sharding_rules
from gemma_edu.scaling.sharding_rules import Rules
from gemma_edu.training import step
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.data import Batch
from gemma_edu.training.step import Metrics, TrainState


def new_state(key: PRNGKeyArray, config: ModelConfig, training: TrainingConfig) -> TrainState:
    """Initial weights with layers stacked, and their optimizer's state. A function of the key alone."""
    return step.start(layer_scan.stack(params.init(key, config), config), training)


def abstract_state(config: ModelConfig, training: TrainingConfig, rules: Rules, mesh: Mesh) -> TrainState:
    """Shapes, dtypes and shardings of `start`'s state, of which no array is made.

    Raises:
        ValueError: see `sharding_rules.partition_specs`.
    """
    make = functools.partial(new_state, config=config, training=training)
    return sharding_rules.abstract(jax.eval_shape(make, jax.random.key(0)), rules, mesh)


def abstract_batch(rows: int, length: int, rules: Rules, mesh: Mesh) -> Batch:
    """Shapes, dtypes and shardings of a batch of so many rows of so many predictions.

    Raises:
        ValueError: see `sharding_rules.partition_specs`.
    """
    tokens = jax.ShapeDtypeStruct((rows, length + 1), np.int32)
    weights = jax.ShapeDtypeStruct((rows, length), np.float32)
    return sharding_rules.abstract(Batch(tokens, weights), rules, mesh)


def start(
    key: PRNGKeyArray, config: ModelConfig, training: TrainingConfig, rules: Rules, mesh: Mesh
) -> TrainState:
    """`new_state` made where it will live: no device ever holds more than its part.

    For weights that exist already, `sharding_rules.place(step.start(weights, training), rules, mesh)`.

    Raises:
        ValueError: see `sharding_rules.partition_specs`.
    """
    where = _where(abstract_state(config, training, rules, mesh))
    make = functools.partial(new_state, config=config, training=training)
    return jax.jit(make, out_shardings=where)(key)


def train_step(
    config: ModelConfig, training: TrainingConfig, rules: Rules, mesh: Mesh
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """`training.step.train_step` for a state spread by `rules`; it takes the old state's memory, as that does.

    Weights must be stacked. Of a NumPy batch each device gets its rows; where there are several processes, JAX wants
    `sharding_rules.place(batch, rules, mesh)` instead. The new state is spread as the old one was: left to itself, the
    compiler may return it spread otherwise.

    Raises:
        ValueError: see `sharding_rules.partition_specs`; and rows that the data axis does not divide, when called.
    """
    state = _where(abstract_state(config, training, rules, mesh))
    rows = mesh.size  # any number that every axis divides: shardings of a batch do not depend on its size
    batch = _where(abstract_batch(rows, 1, rules, mesh))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def update(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        # Inside, `training.forward` finds the mesh to pin the stream to.
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return step.update(state, batch, config, training)

    return jax.jit(
        update,
        in_shardings=(state, batch),
        out_shardings=(state, Metrics(whole, whole, whole)),
        donate_argnums=0,
    )


def _where(tree):
    """The shardings of an abstract tree."""
    return jax.tree.map(lambda leaf: leaf.sharding, tree)
