"""Training states come back from disk as they were, or not at all."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from backend import random_params

from gemma_edu import presets
from gemma_edu.checkpoints import CheckpointError
from gemma_edu.training import checkpointing
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.step import start

pytest.importorskip("orbax.checkpoint")
TRAINING = TrainingConfig(steps=3)
CONFIG = presets.TINY_GPT2_124M
ON_CPU = os.environ | {"JAX_PLATFORMS": "cpu"}
"""For a process beside this one: a TPU has one user at a time."""


def state_at(step, config=CONFIG, seed=0):
    """A state with nothing at its initial value."""
    state = start(random_params(config, seed), TRAINING)
    filled = jax.tree.map(lambda leaf: leaf + np.asarray(seed + 1, leaf.dtype), state.optimizer_state)
    return state._replace(step=state.step + step, optimizer_state=filled)


def assert_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_a_state_comes_back_bit_for_bit(tmp_path):
    state = state_at(7)
    assert checkpointing.save(tmp_path / "new" / "run", state) == 7
    assert_equal(checkpointing.restore(tmp_path / "new" / "run", state_at(0, seed=1)), state)


def test_shapes_are_enough_to_restore(tmp_path):
    checkpointing.save(tmp_path, state_at(7))
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state_at(0)
    )
    assert_equal(checkpointing.restore(tmp_path, like), state_at(7))


def test_the_newest_are_kept_and_each_can_be_asked_for(tmp_path):
    assert checkpointing.latest(tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()
    for step in (1, 2, 10):
        checkpointing.save(tmp_path, state_at(step, seed=step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "2"]
    assert checkpointing.latest(tmp_path) == 10
    assert_equal(checkpointing.restore(tmp_path, state_at(0)), state_at(10, seed=10))
    assert_equal(checkpointing.restore(tmp_path, state_at(0), step=2), state_at(2, seed=2))
    with pytest.raises(CheckpointError, match=r"has no step 1; it has \[2, 10\]"):
        checkpointing.restore(tmp_path, state_at(0), step=1)


def test_a_step_that_is_there_stays(tmp_path):
    checkpointing.save(tmp_path, state_at(2))
    checkpointing.save(tmp_path, state_at(2, seed=1))
    assert_equal(checkpointing.restore(tmp_path, state_at(0)), state_at(2))


def test_what_a_killed_run_left_behind_is_no_checkpoint(tmp_path):
    """A process that dies while orbax renames leaves the step before as the newest."""
    checkpointing.save(tmp_path, state_at(2))
    program = (
        "import os, sys; sys.path.insert(0, 'tests')\n"
        "from test_training_checkpointing import *\n"
        "os.rename = lambda *_: os._exit(9)\n"
        "import pathlib; pathlib.Path.rename = pathlib.Path.replace = os.rename\n"
        f"checkpointing.save({str(tmp_path)!r}, state_at(3))\n"
    )
    root = checkpointing.Path(__file__).parents[1]
    died = subprocess.run([sys.executable, "-c", program], cwd=root, env=ON_CPU, capture_output=True)
    assert died.returncode == 9, died.stderr.decode()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2 and left[0] == "2" and left[1] != "3"
    assert checkpointing.latest(tmp_path) == 2
    assert_equal(checkpointing.restore(tmp_path, state_at(0)), state_at(2))


def test_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpointing.restore(tmp_path, state_at(0))
    with pytest.raises(CheckpointError, match=r"has no step 3; it has \[\]"):
        checkpointing.restore(tmp_path / "typo", state_at(0), step=3)
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            CONFIG.replace(embed_dim=20),
            r"params\.blocks\.0\.attention\.b_o is \(10,\), needs \(20,\).* and \d+ more",
        ),
        (CONFIG.replace(num_layers=1), r"blocks\.1\.\S+ is \(.*\), needs to be absent"),
        (CONFIG.replace(tie_embedding=False), r"embedding\.output is missing, needs \(11, 10\)"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, config, message):
    checkpointing.save(tmp_path, state_at(2))
    with pytest.raises(CheckpointError, match=f"step 2 is of another model or optimizer: .*{message}"):
        checkpointing.restore(tmp_path, state_at(0, config))


def test_a_damaged_checkpoint_is_named(tmp_path):
    checkpointing.save(tmp_path, state_at(2))
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_training_checkpointing import *\n"
        f"folder = checkpointing.Path({str(tmp_path)!r})\n"
        "for path in folder.rglob('*'):\n"
        "    if path.is_file() and path.parent.name == 'd': path.write_bytes(path.read_bytes()[:20])\n"
        "try: checkpointing.restore(folder, state_at(0))\n"
        "except CheckpointError as error: print('named:', error)\n"
    )
    root = checkpointing.Path(__file__).parents[1]
    # In a process of its own: orbax's threads go on complaining.
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=ON_CPU, capture_output=True, text=True
    )
    assert f"named: checkpoint folder {tmp_path} cannot be read" in told.stdout, told.stderr


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("not a folder")
    with pytest.raises(CheckpointError, match="checkpoint folder .*run cannot be"):
        checkpointing.save(tmp_path / "run", state_at(1))
