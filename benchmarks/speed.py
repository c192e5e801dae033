"""Gemma 3 270M in our code and in its peers', side by side: speed, waiting times, memory, and the machine's limits.

    python -m benchmarks.speed [--quick] [--only decode,prefill] [--store]

Every competitor lives in a process of its own; only one computes at a time, all with as many threads, and each
round asks all of them in turn. See benchmarks/README.md.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks import machine, report, rows, tasks
from benchmarks.field import Field, NoWeights, assemble_gguf, device_name

ROOT = Path(__file__).resolve().parent.parent
TASKS = {
    "import": tasks.imports,
    "load": tasks.load,
    "first": tasks.first_token,
    "prefill": tasks.prefill,
    "decode": tasks.decode,
    "training": tasks.training,
}
QUICK = ["prefill", "decode"]


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for, print it, and keep it as a CSV file and a figure."""
    options = _options(arguments)
    chosen = options.only or (QUICK if options.quick else list(TASKS))
    plan = tasks.QUICK if options.quick else tasks.FULL
    if options.rounds:
        plan = plan._replace(rounds=options.rounds)
    run = rows.Run(machine.describe(options.threads, device_name(options.device)))
    folder = ROOT / ("benchmarks/results" if options.store else "build/benchmarks")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            gguf = assemble_gguf(Path(scratch))
        except NoWeights as error:
            raise SystemExit(str(error)) from None
        with Field(gguf, options.threads, options.device, options.without) as field:
            for skipped in field.skipped:
                print(skipped)
            for name, task in TASKS.items():
                if name in chosen:
                    print(f"{name} …", flush=True)
                    run.rows += task(field, plan)
    rows.write(run, folder / "speed.csv")
    text = report.render(
        rows.read(folder / "speed.csv")
    )  # as anyone can again, from the digits that are kept
    print(f"\n{text}")
    drawn = tasks.draw_roofline(run, folder / "roofline.png")
    if options.store:
        report.store_in_readme(text)
    print(f"Kept in {folder.relative_to(ROOT)}: speed.csv{' and roofline.png' if drawn else ''}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds; decode of one text, prefill of 512")
    parser.add_argument("--only", type=_names, metavar="TASKS", help=f"some of {','.join(TASKS)}")
    parser.add_argument(
        "--without", type=_competitors, default=[], metavar="NAMES", help="leave out, such as llama.cpp"
    )
    parser.add_argument(
        "--rounds", type=int, help="rounds of each measurement (three times as many of those with a target)"
    )
    parser.add_argument("--threads", type=int, default=machine.cores(), help="threads of each competitor")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="for JAX and PyTorch")
    parser.add_argument("--store", action="store_true", help="keep the run in benchmarks/ instead of build/")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    """The tasks of a comma-separated list."""
    names = text.split(",")
    if unknown := [name for name in names if name not in TASKS]:
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; tasks are {', '.join(TASKS)}")
    return names


def _competitors(text: str) -> list[str]:
    """Beginnings of competitors' names, separated by commas."""
    return [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    main()
