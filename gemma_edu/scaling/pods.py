"""Gemma's training as the report has it (section 3), compiled at full size for TPU v5e pods that are not here.

The report: 7B on 16 pods of 256 chips, in each a 16-way split model times 16 copies; 2B on 2 pods, 256 copies in each;
the optimizer's state is split up as in ZeRO-3. `CASES` has those, the same on one pod, and some with one thing wrong.

`compile_case` must run in a process with `tpu_compiler.ENVIRONMENT`; `compiled` starts one. Arrays are never made: the
compiler gets shapes. It says how much memory a chip needs, what is sent, or that it does not fit. Nothing is executed.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp

from gemma_edu import params, presets
from gemma_edu.config import ModelConfig
from gemma_edu.jax_model import kv_cache
from gemma_edu.scaling import mesh, sharded_training, tpu_compiler
from gemma_edu.scaling.collectives import traffic
from gemma_edu.scaling.sharding_rules import DATA, FSDP, TENSOR, Rules
from gemma_edu.training.config import TrainingConfig

LENGTH = 8192
TRAINING = TrainingConfig(steps=100_000, compute_dtype="bfloat16", rematerialise=True, loss_chunk=512)
"""Bfloat16 products, each block computed again on the way back, 512 positions' logits at a time."""


@dataclass(frozen=True)
class Case:
    """One program to compile."""

    name: str
    what: str
    """In a few words, for tables."""
    config: ModelConfig
    pods: int = 1
    data: int = 1
    model: int = 1
    rules: Rules | None = None
    """How training splits its arrays; None is a step of decoding on one chip."""
    training: TrainingConfig = TRAINING

    @property
    def chips(self) -> int:
        """How many in all."""
        return self.pods * self.data * self.model


_7B = {"config": presets.GEMMA_7B, "data": 16, "model": 16, "rules": DATA | TENSOR | FSDP}
_2B = {"config": presets.GEMMA_2B, "data": 256, "rules": DATA | FSDP}
ACROSS: Rules = {"D": ("pod", "data")}
"""FSDP over all copies, those in other pods too."""
CASES = (
    Case("7b-1", "7B, one pod", **_7B),
    Case("7b-16", "7B, 16 pods, as in the report", pods=16, **_7B),
    Case("2b-1", "2B, one pod", **_2B),
    Case("2b-2", "2B, 2 pods, as in the report", pods=2, **_2B),
    Case("7b-1-copies", "7B, weights and moments copied 16 times", **(_7B | {"rules": DATA | TENSOR})),
    Case("2b-2-across", "2B, weights split across pods", pods=2, **(_2B | {"rules": DATA | ACROSS})),
    Case("2b-1-logits", "2B, all logits at once", **_2B, training=TRAINING.replace(loss_chunk=None)),
    Case("2b-decode", "2B, one more token, room for 8192", presets.GEMMA_2B),
    Case("7b-decode", "7B, one more token, room for 8192", presets.GEMMA_7B),
)


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of a case; bytes are those of one chip."""

    hbm: int | None
    """At the peak; None where it does not fit."""
    arguments: int | None
    """Weights, optimizer's state and batch."""
    traffic: tuple[tuple[str, str, int, int], ...]
    """`collectives.Traffic`."""
    error: str
    seconds: float


def compiled(case: Case) -> Compiled:
    """Compile a case in a process of its own, at XLA's quicker level of optimisation (O1).

    Raises:
        tpu_compiler.CompilerError: when that process fails for another reason than a program that does not fit.
    """
    path = [str(tpu_compiler.BESIDE), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **tpu_compiler.ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    command = [sys.executable, "-m", "gemma_edu.scaling.pods", case.name]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise tpu_compiler.CompilerError(f"{case.name}: {process.stderr[-2000:]}")
    values = json.loads(process.stdout.splitlines()[-1])
    return Compiled(**(values | {"traffic": tuple(map(tuple, values["traffic"]))}))


def compile_case(case: Case) -> Compiled:
    """Compile in this process."""
    started = time.perf_counter()
    try:
        executable = (_training(case) if case.rules is not None else _decoding(case)).compile()
    except jax.errors.JaxRuntimeError as error:
        message = " ".join(str(error).split())
        if "exceeds available HBM" not in message:
            raise
        return Compiled(None, None, (), message[:300], time.perf_counter() - started)
    memory = executable.memory_analysis()
    sent = tuple(tuple(each) for each in traffic(executable.as_text()))
    seconds = time.perf_counter() - started
    return Compiled(memory.peak_memory_in_bytes, memory.argument_size_in_bytes, sent, "", seconds)


def _training(case: Case) -> jax.stages.Lowered:
    """The training step of `sharded_training` with one sequence to each copy of the model."""
    where = mesh.make(case.data, case.model, case.pods, _chips(case))
    state = sharded_training.abstract_state(case.config, case.training, case.rules, where)
    batch = sharded_training.abstract_batch(case.pods * case.data, LENGTH, case.rules, where)
    step = sharded_training.train_step(case.config, case.training, case.rules, where)
    return step.lower(state, batch)


def _decoding(case: Case) -> jax.stages.Lowered:
    """`kv_cache.decode` with bfloat16 weights on the first chip, the cache given up for the new one."""
    chip = jax.sharding.SingleDeviceSharding(_chips(case)[0])

    def here(tree):
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=chip), tree)

    weights = here(params.build(case.config, lambda _, shape: jax.ShapeDtypeStruct(shape, jnp.bfloat16)))
    cache = here(
        jax.eval_shape(lambda: kv_cache.empty(case.config, jnp.zeros(1, jnp.int32), LENGTH, jnp.bfloat16))
    )
    tokens = here(jax.ShapeDtypeStruct((1,), jnp.int32))
    step = jax.jit(kv_cache.decode, static_argnames="config", donate_argnames="cache")
    return step.lower(weights, tokens, cache, config=case.config)


def _chips(case: Case) -> list:
    """Descriptions of as many chips as the case needs: whole pods, or one chip."""
    from jax.experimental import topologies

    if case.chips == 1:
        name, options = "v5e:1x1", {"chips_per_host_bounds": (1, 1, 1)}
    else:
        name, options = "v5e:16x16", {"num_slices": case.pods} if case.pods > 1 else {}
    return list(topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices)


if __name__ == "__main__":
    (chosen,) = (case for case in CASES if case.name == sys.argv[1])
    print(json.dumps(dataclasses.asdict(compile_case(chosen))))
