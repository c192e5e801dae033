"""What a run measured: rows of per-round values, the spread of their ratios, and their file.

Round r of one row and round r of another were measured one after the other, so a ratio is taken round by round: what
else the machine was doing falls on both. Reported are medians, with the quartiles as spread.
"""

import csv
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

HEADER = ["what", "case", "who", "unit", "median", "low quartile", "high quartile", "each round"]


class Spread(NamedTuple):
    """A median between its quartiles."""

    low: float
    median: float
    high: float


class Row(NamedTuple):
    """One quantity of one competitor (or of the machine), a value for each round."""

    what: str
    case: str
    who: str
    unit: str
    values: tuple[float, ...]


@dataclass
class Run:
    """The machine's description and all rows."""

    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    def find(self, what: str, case: str, who: str) -> Row | None:
        """The row of that name, if it was measured."""
        return next((row for row in self.rows if row[:3] == (what, case, who)), None)

    def ratio(self, what: str, case: str, who: str, other: str) -> Spread | None:
        """How many times `other` each round of `who` is; None unless both were measured."""
        mine, theirs = self.find(what, case, who), self.find(what, case, other)
        if mine is None or theirs is None:
            return None
        return spread([value / base for value, base in zip(mine.values, theirs.values, strict=True)])


def spread(values: Iterable[float]) -> Spread:
    """Median and quartiles; of a single value, that value three times."""
    values = list(values)
    if len(values) == 1:
        return Spread(*values * 3)
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def interleave(rounds: int, measure: Mapping[str, Callable[[], float]]) -> dict[str, tuple[float, ...]]:
    """Measure everything once in each round, beginning with another one each time."""
    names = list(measure)
    values = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % max(len(names), 1)
        for name in names[first:] + names[:first]:
            values[name].append(measure[name]())
    return {name: tuple(measured) for name, measured in values.items()}


def write(run: Run, path: Path) -> None:
    """A CSV file that begins with the machine, a comment for each line of its description."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {name}: {value}\n" for name, value in run.machine.items())
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        for row in run.rows:
            low, median, high = spread(row.values)
            numbers = [f"{value:.6g}" for value in (median, low, high)]
            table.writerow([*row[:4], *numbers, " ".join(f"{value:.6g}" for value in row.values)])


def read(path: Path) -> Run:
    """A run from the file that `write` made."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("# ")]
    machine = dict(line.removeprefix("# ").split(": ", 1) for line in comments)
    table = csv.DictReader(line for line in lines if not line.startswith("# "))
    rows = [
        Row(*(row[name] for name in HEADER[:4]), tuple(float(value) for value in row["each round"].split()))
        for row in table
    ]
    return Run(machine, rows)
