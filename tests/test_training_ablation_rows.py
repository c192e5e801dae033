"""Stored losses: what a file may hold, and intervals that a pencil agrees with."""

import numpy as np
import pytest

from gemma_edu.training.ablation_rows import T_975, Interval, Row, as_text, interval, losses, paired, read

ROWS = [
    Row("gemma", 0.01, 0, 0, None, 6.25),
    Row("gemma", 0.01, 0, 25, 4.5, 3.125),
    Row("gemma", 0.01, 1, 25, 4.25, 3.375),
    Row("gemma", 0.002, 1, 25, 4.25, 3.5),
    Row("olmo", 0.01, 1, 25, 4.25, 2.0),
]


def test_an_interval_by_hand():
    # mean 3, deviations −2, 0, 2: s² = 8 / 2, s = 2, and t of 2 degrees of freedom is 4.303
    found = interval([1.0, 3.0, 5.0])
    assert found.mean == 3.0
    assert found.half_width == pytest.approx(4.303 * 2 / np.sqrt(3))
    assert (found.low, found.high) == pytest.approx((3 - found.half_width, 3 + found.half_width))


def test_the_quantiles_are_those_of_students_t():
    stats = pytest.importorskip("scipy.stats")
    for freedom, quantile in T_975.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=5e-4)


def test_95_of_100_intervals_hold_the_mean():
    random = np.random.default_rng(0)
    held = [abs(interval(sample).mean - 7) <= interval(sample).half_width
            for sample in random.normal(7, 2, (2000, 5)).tolist()]  # fmt: skip
    assert 0.935 < np.mean(held) < 0.965


def test_pairs_take_out_what_a_seed_does_to_both():
    a = {0: 1.0, 1: 2.0, 2: 4.0}
    b = {2: 4.5, 0: 1.5, 1: 2.5}  # half a nat worse at every seed, told in another order
    assert paired(a, b) == Interval(0.5, 0.0)
    assert paired(b, a) == Interval(-0.5, 0.0)
    assert interval(list(a.values())).half_width > 3


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0], "give between 2 and 10 numbers"), ([0.0] * 11, "give between 2"),
     ([1.0, float("nan")], "needs finite numbers")],
)  # fmt: skip
def test_values_without_an_interval_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        interval(values)


def test_other_seeds_are_no_pairs():
    with pytest.raises(ValueError, match=r"seeds \[0, 1\] and \[0, 2\]: a pair is two runs of the same seed"):
        paired({0: 1.0, 1: 1.0}, {0: 1.0, 2: 1.0})


def test_losses_are_those_asked_for():
    assert losses(ROWS, "gemma", 0.01, 25) == {0: 3.125, 1: 3.375}
    assert losses(ROWS, "gemma", 0.002, 25) == {1: 3.5}
    with pytest.raises(ValueError, match=r"no rows of gpt2 at learning rate 0.01 after 25 steps"):
        losses(ROWS, "gpt2", 0.01, 25)


def test_rows_come_back_from_their_text(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_text("# made by hand\n" + as_text(ROWS), encoding="utf-8")
    assert read(path) == ROWS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("held_out_loss", "loss", "losses.csv has columns .*'loss'"),
        ("6.250000", "nan", "has a loss that is no finite number"),
        ("6.250000", "six", "is no row of losses"),
        ("0,25,4.5", "x,25,4.5", "is no row of losses"),
        ("gemma,0.01,1,25,", "gemma,0.01,0,25,", "rows of the same variant, learning rate, seed and step"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, old, new, message):
    text = as_text(ROWS)
    assert old in text
    (tmp_path / "losses.csv").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "losses.csv")
