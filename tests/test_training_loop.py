"""The loop: it learns, goes on where it stopped, and stops where the numbers do."""

from functools import partial
from itertools import islice

import jax
import numpy as np
import pytest
from backend import random_tokens

from gemma_edu import presets
from gemma_edu.jax_model.params import init
from gemma_edu.scaling import mesh
from gemma_edu.training import checkpointing, data, loop, step
from gemma_edu.training.config import TrainingConfig
from gemma_edu.training.loss import mean_loss

pytestmark = pytest.mark.usefixtures("quick_compile")

CONFIG = presets.TINY_GEMMA_2B
TRAINING = TrainingConfig(steps=12, learning_rate=3e-3, warmup_steps=2)
COUNTING = [np.array([2, *np.roll(np.arange(3, 11), shift)], np.int32) for shift in range(8)]
"""Documents that count from 3 to 10, from another number each: after its first number all of one is certain."""

compiled_loss = jax.jit(mean_loss, static_argnums=(2, 3))


def batches(start):
    return data.batches(COUNTING, 3, 9, 0, start)


def train(state=None, training=TRAINING, **options):
    if state is None:
        state = fresh(training)
    return loop.train(state, batches, CONFIG, training, **options)


def fresh(training=TRAINING):
    return step.start(init(jax.random.key(0), CONFIG), training)


@pytest.fixture(scope="module")
def unbroken(quick_compile):
    """A run of twelve steps."""
    return train()


def test_a_tiny_gemma_learns_to_count():
    training = TrainingConfig(steps=200, learning_rate=2e-2, warmup_steps=10)
    run = train(training=training, held_out=data.padded(COUNTING, 3, 9))
    assert [record.step for record in run.held_out] == [0, 200]
    uncertain = np.log(8) / 9  # nats of one token in nine: the number to start from
    assert run.held_out[0].loss > 0.8 * np.log(CONFIG.vocab_size)
    assert uncertain * 0.8 < run.held_out[1].loss < uncertain + 0.15


def test_a_run_tells_every_step_and_leaves_the_caller_its_weights(unbroken):
    assert [record.step for record in unbroken.steps] == list(range(1, 13))
    assert int(unbroken.state.step) == 12
    assert unbroken.steps[1].learning_rate == pytest.approx(3e-3)
    first = next(iter(batches(0)))
    loss = compiled_loss(init(jax.random.key(0), CONFIG), first, CONFIG, TRAINING)
    assert unbroken.steps[0].loss == pytest.approx(float(loss), abs=1e-5)


def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(tmp_path, unbroken):
    seen = []

    def stop(record):
        seen.append(record)
        if record.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(folder=tmp_path, save_every=5, report=stop)
    state = checkpointing.restore(tmp_path, fresh())
    assert int(state.step) == 5
    resumed = train(state, folder=tmp_path)
    assert seen[:5] + resumed.steps == unbroken.steps  # floats, compared for equality
    jax.tree.map(np.testing.assert_array_equal, resumed.state, unbroken.state)
    assert checkpointing.latest(tmp_path) == 12


def test_a_finished_run_has_nothing_left_to_do(unbroken):
    again = train(unbroken.state)
    assert again.steps == []
    assert int(again.state.step) == 12


def test_held_out_losses_come_before_every_so_often_and_after():
    told = []
    run = train(held_out=data.padded(COUNTING, 3, 9), evaluate_every=5, report=told.append)
    assert [record.step for record in run.held_out] == [0, 5, 10, 12]
    assert told[0] == run.held_out[0] and told[-1] == run.held_out[-1]
    assert [record for record in told if isinstance(record, loop.StepRecord)] == run.steps


def test_a_held_out_loss_is_the_mean_over_predictions_not_over_batches():
    weights = init(jax.random.key(0), CONFIG)
    document = random_tokens(CONFIG, 1, 8)[0]  # 7 predictions in windows of 3: 3, 3 and 1
    found = loop.evaluate(weights, data.padded([document], 1, 3), CONFIG, TRAINING)
    windows = [
        (document[:4], [1, 1, 1]),
        (document[3:7], [1, 1, 1]),
        (np.append(document[6:], [5, 5]), [1, 0, 0]),  # another padding: it does not matter
    ]
    means = [
        float(compiled_loss(weights, data.Batch(tokens[None], np.float32([weight])), CONFIG, TRAINING))
        for tokens, weight in windows
    ]
    assert found == pytest.approx((3 * means[0] + 3 * means[1] + means[2]) / 7, abs=1e-5)


def test_nothing_to_evaluate_is_refused():
    batch = data.Batch(np.zeros((1, 4), np.int32), np.zeros((1, 3), np.float32))
    for held_out in ([], [batch]):
        with pytest.raises(ValueError, match="nothing to evaluate"):
            loop.evaluate(init(jax.random.key(0), CONFIG), held_out, CONFIG, TRAINING)


def test_a_loss_that_is_no_number_stops_the_run_and_is_not_saved(tmp_path):
    def poisoned(start):
        for number, batch in enumerate(batches(start), start + 1):
            yield batch._replace(weights=batch.weights * (np.inf if number == 6 else 1))

    with pytest.raises(FloatingPointError, match=r"step 6: loss nan, .*lower learning_rate.*holds step 4"):
        loop.train(fresh(), poisoned, CONFIG, TRAINING, folder=tmp_path, save_every=2)
    assert checkpointing.latest(tmp_path) == 4


def test_a_new_run_does_not_go_into_the_folder_of_another(tmp_path, unbroken):
    checkpointing.save(tmp_path, unbroken.state)
    with pytest.raises(ValueError, match="holds step 12, and the state is at step 0: go on from"):
        train(folder=tmp_path)


def test_batches_that_end_too_early_are_named():
    with pytest.raises(ValueError, match="batches ended after step 2 of 12"):
        loop.train(fresh(), lambda start: islice(batches(start), 2), CONFIG, TRAINING)


@pytest.mark.parametrize("name", ["evaluate_every", "save_every"])
def test_intervals_below_one_step_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} = 0: give 1 or more steps"):
        train(**{name: 0})


@pytest.mark.parametrize("half", [{"rules": {"B": "data"}}, {"mesh": mesh.make(devices=jax.devices()[:1])}])
def test_rules_without_a_mesh_or_a_mesh_without_rules_are_refused(half):
    with pytest.raises(ValueError, match="rules and a mesh go together"):
        train(**half)


def test_tokens_outside_the_vocabulary_are_refused_before_the_step():
    strange = [np.array([2, 3, 11], np.int32)] * 8
    with pytest.raises(ValueError, match="token id 11 is outside"):
        loop.train(fresh(), partial(data.batches, strange, 3, 4, 0), CONFIG, TRAINING)
