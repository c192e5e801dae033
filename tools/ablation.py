"""Train the variants of the course's ablation, and store their losses in data/ablation.csv.

    python tools/ablation.py [VARIANT...]        those that lack runs; all if none is named
    python tools/ablation.py --check VARIANT...  train them again and compare with what is stored, digit by digit

Variants, sizes, seeds and learning rates are in gemma_edu/training/ablation.py. Runs that are stored are not trained
again: delete the file, or a variant's rows in it, to start over. The file is replaced after each run, so it can be
stopped at any time. In all it takes about half an hour on two cores.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import jax

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script sees only its own folder

from gemma_edu.training import ablation
from gemma_edu.training.ablation_rows import Row, as_text, read
from tools.notebook_format import write_atomically
from tools.notebooks import ROOT

TABLE = Path("data/ablation.csv")
HEADER = (
    "# Losses in nats of small models, all of one size, on data/corpus.txt, by gemma_edu.training.ablation.\n"
    "# Made by `python tools/ablation.py`, JAX {jax}, on a CPU; other processors differ in the last digits.\n"
)
Curve = Callable[[ablation.Variant, float, int], Iterator[Row]]


def main(arguments: list[str] | None = None, root: Path = ROOT, curve: Curve = ablation.curve) -> int:
    """Train what is missing, or what is to be checked; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [variant.name for variant in ablation.VARIANTS]
    parser.add_argument("names", nargs="*", metavar="VARIANT", choices=[[], *names])
    parser.add_argument(
        "--check", action="store_true", help="compare with the stored rows instead of storing"
    )
    options = parser.parse_args(arguments)
    if options.check and not options.names:
        parser.error("--check needs the name of a variant")
    jax.config.update("jax_default_matmul_precision", "highest")
    table = root / TABLE
    rows = read(table) if table.exists() else []
    variants = [variant for variant in ablation.VARIANTS if variant.name in (options.names or names)]
    runs = [
        (variant, rate, seed)
        for rate in ablation.LEARNING_RATES
        for variant in variants
        if rate in variant.learning_rates
        for seed in ablation.SEEDS
    ]
    if options.check:
        return sum(check(run, rows, curve) for run in runs) and 1
    for run in runs:
        if stored(run, rows):
            continue
        began = time.perf_counter()
        rows = in_order([*(row for row in rows if not is_of(row, run)), *(new := list(curve(*run)))])
        write_atomically(table, HEADER.format(jax=metadata.version("jax")) + as_text(rows))
        print(f"{said(run)} {new[-1].held_out_loss:.4f} ({time.perf_counter() - began:.0f} s)", flush=True)
    return 0


def check(run: tuple[ablation.Variant, float, int], rows: list[Row], curve: Curve) -> bool:
    """Train again and say whether it is as stored; True if it is not."""
    expected, found = as_text(stored(run, rows)), as_text(curve(*run))
    differ = sum(a != b for a, b in zip(expected.splitlines(), found.splitlines(), strict=False))
    wrong = expected != found
    print(f"{said(run)} {f'differs, in {differ} of its rows' if wrong else 'is as stored'}", flush=True)
    return wrong


def stored(run: tuple[ablation.Variant, float, int], rows: list[Row]) -> list[Row]:
    """The run's rows; none unless all of them are there."""
    found = [row for row in rows if is_of(row, run)]
    steps = list(range(0, ablation.STEPS + 1, ablation.EVERY))
    return found if [row.step for row in found] == steps else []


def is_of(row: Row, run: tuple[ablation.Variant, float, int]) -> bool:
    """Whether a row belongs to a run."""
    variant, rate, seed = run
    return (row.variant, row.learning_rate, row.seed) == (variant.name, rate, seed)


def in_order(rows: list[Row]) -> list[Row]:
    """Rows in the order of the variants, then by learning rate, seed and step."""
    order = {variant.name: place for place, variant in enumerate(ablation.VARIANTS)}
    return sorted(rows, key=lambda row: (order.get(row.variant, len(order)), *row[1:4]))


def said(run: tuple[ablation.Variant, float, int]) -> str:
    """A run in a few words."""
    variant, rate, seed = run
    return f"{variant.name:17} learning rate {rate:g}, seed {seed}:"


if __name__ == "__main__":
    sys.exit(main())
