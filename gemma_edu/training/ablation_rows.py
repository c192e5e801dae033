"""The ablation's stored losses: the rows of `data/ablation.csv`, and how far apart two variants are.

Two runs of the same seed read the same documents in the same order, so part of what makes one seed better than another
is common to both. The difference of the two losses, seed by seed, does not contain it: its interval is narrower than
that of two separate means. It says how sure the mean is, over orders of documents and initial weights; it says nothing
about other text, sizes or lengths of training.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gemma_edu import course_data

T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Degrees of freedom → the value that Student's t exceeds with a probability of 2.5 % (NIST/SEMATECH e-Handbook of
Statistical Methods, section 1.3.6.7.2)."""


class Row(NamedTuple):
    """The losses of one run at one step, in nats."""

    variant: str
    learning_rate: float
    seed: int
    step: int
    """Steps done."""
    train_loss: float | None
    """Mean loss of the batches since the row before, each before its update; None at step 0."""
    held_out_loss: float


class Interval(NamedTuple):
    """A mean, and half the width of its 95 % interval."""

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width


def interval(values: Sequence[float]) -> Interval:
    """mean ± t · s / √n, where s² = Σ (value − mean)² / (n − 1) and t belongs to n − 1 degrees of freedom.

    For independent values of a normal distribution, 95 % of such intervals hold its mean (Student 1908).

    Raises:
        ValueError: for fewer than 2 values or more than 10, and for any that is no finite number.
    """
    values = np.asarray(values, np.float64)
    if values.size - 1 not in T_975:
        raise ValueError(f"{values.size} values: give between 2 and {max(T_975) + 1} numbers")
    if not np.isfinite(values).all():
        raise ValueError(f"{values.tolist()}: an interval needs finite numbers")
    error = values.std(ddof=1) / math.sqrt(values.size)
    return Interval(float(values.mean()), T_975[values.size - 1] * float(error))


def losses(rows: Iterable[Row], variant: str, learning_rate: float, step: int) -> dict[int, float]:
    """Seed → held-out loss of a variant after so many steps.

    Raises:
        ValueError: when there is no such row, naming what was asked for.
    """
    asked = variant, learning_rate, step
    found = {
        row.seed: row.held_out_loss for row in rows if (row.variant, row.learning_rate, row.step) == asked
    }
    if not found:
        raise ValueError(f"no rows of {variant} at learning rate {learning_rate:g} after {step} steps")
    return found


def paired(a: dict[int, float], b: dict[int, float]) -> Interval:
    """The mean of b − a over seeds, with its interval.

    Raises:
        ValueError: unless both have the same seeds, naming them.
    """
    if a.keys() != b.keys():
        raise ValueError(f"seeds {sorted(a)} and {sorted(b)}: a pair is two runs of the same seed")
    return interval([b[seed] - a[seed] for seed in sorted(a)])


def as_text(rows: Iterable[Row]) -> str:
    """Rows as the file has them: comma-separated under their names, losses with six decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in rows:
        train_loss = "" if row.train_loss is None else f"{row.train_loss:.6f}"
        writer.writerow(
            [*row[:1], f"{row.learning_rate:g}", *row[2:4], train_loss, f"{row.held_out_loss:.6f}"]
        )
    return out.getvalue()


def read(path: Path | None = None) -> list[Row]:
    """The rows of a file, by default of `data/ablation.csv`; lines that begin with # are left out.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for other columns, a row told twice, or a loss that is no finite number, naming file and row.
    """
    path = course_data.path("ablation.csv") if path is None else path
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    table = csv.DictReader(lines)
    if tuple(table.fieldnames or ()) != Row._fields:
        raise ValueError(f"{path.name} has columns {table.fieldnames}, needs {list(Row._fields)}")
    rows = [_row(entry, path) for entry in table]
    if len({row[:4] for row in rows}) != len(rows):
        raise ValueError(f"{path.name} has rows of the same variant, learning rate, seed and step")
    return rows


def _row(entry: dict[str, str], path: Path) -> Row:
    """A row from its text."""
    try:
        train_loss = float(entry["train_loss"]) if entry["train_loss"] else None
        row = Row(entry["variant"], float(entry["learning_rate"]), int(entry["seed"]), int(entry["step"]), train_loss,
                  float(entry["held_out_loss"]))  # fmt: skip
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {entry} is no row of losses") from error
    if not all(math.isfinite(loss) for loss in (row.train_loss or 0.0, row.held_out_loss)):
        raise ValueError(f"{path.name}: {entry} has a loss that is no finite number")
    return row
