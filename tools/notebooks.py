"""Lessons: build the stored notebooks from their sources, check them, run them all.

    python tools/notebooks.py build [--force] [NAME...]   execute what is out of date and store it
    python tools/notebooks.py check [NAME...]             look at the stored notebooks; starts no kernel
    python tools/notebooks.py run [NAME...]               execute into build/notebooks/, store nothing

NAME is a lesson's name or its beginning: `04` is enough.

Writing a lesson, notebooks/source/NN_name.py:

- `# %% [markdown]` opens a markdown cell, each of its lines a comment; `# %%` opens a code cell. Tags
  follow on the same line: `# %% tags=["timing"]`.
- The first cell is markdown with Colab's badge, the first code cell is the set-up cell; `check` prints
  both texts where they are missing.
- Sections start with `## `. Each one that has code asserts something: `assert ...` or
  `np.testing.assert_...(...)`.
- Code cells: plain Python without magics, no `;` at the end, 40 lines at most, 8 in the median; at least
  as many markdown cells. No copy of a function that gemma_edu has: import it.
- Figures: `show(fig, alt)` from gemma_edu.figures, the message and the numbers in the alt text.
- Print rounded numbers (`{loss:.4f}`, `x.round(3)`). nbval allows one unit in the last decimal plus
  0.1 %; a number without decimals must not move at all. What must hold precisely is asserted.
- Nothing on stderr. Progress goes to stdout with "\\r" and ends in a line that is the same on every run.
- Tags: `timing` (prints measured speeds: nbval ignores numbers and pixels), `raises-exception` (the error
  is the point), `solution` with `hide-input` (folded), `nbval-ignore-output`, `nbval-skip` (never run:
  sliders, long training).
- Someone who edited the .ipynb takes the change back with `jupytext --to py:percent
  --opt notebook_metadata_filter=-all -o notebooks/source/NN_name.py notebooks/NN_name.ipynb`.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script sees only its own folder

from tools.notebook_format import (
    NotebookError,
    dumps,
    from_source,
    notebook_path,
    select_sources,
    write_atomically,
)
from tools.notebook_rules import check_lesson

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 300


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Do what the command line asks; the exit status is 0, 1 for a bad lesson, 2 for a bad request."""
    options = _parser().parse_args(arguments)
    try:
        sources = select_sources(root, options.names)
        if options.command == "check":
            return check(root, sources, whole_course=not options.names)
        if options.command == "build":
            sources = [source for source in sources if options.force or check_lesson(source, root)]
            return build(root, sources, options.jobs, options.cell_seconds)
        return run(root, sources, options.jobs, options.cell_seconds)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 2


def check(root: Path, sources: list[Path], whole_course: bool) -> int:
    """Print what is wrong with the stored notebooks; with the whole course, also those without a source."""
    problems = [problem for source in sources for problem in check_lesson(source, root)]
    if whole_course:
        known = {notebook_path(source) for source in sources}
        strangers = sorted(set((root / "notebooks").glob("*.ipynb")) - known)
        problems += [f"{path.stem}: has no notebooks/source/{path.stem}.py" for path in strangers]
    print("\n".join(problems) or f"{len(sources)} notebooks are as they should be")
    return int(bool(problems))


def build(root: Path, sources: list[Path], jobs: int, cell_seconds: int) -> int:
    """Execute the lessons and store them; a lesson that fails keeps its old notebook."""
    if not sources:
        print("nothing to build")
        return 0
    failed = False
    for source, result in _execute_all(root, sources, jobs, cell_seconds):
        if isinstance(result, NotebookError):
            print(result, flush=True)
            failed = True
            continue
        write_atomically(notebook_path(source), dumps(result.notebook))
        print(f"built {_line(source, result)}", flush=True)
        if problems := check_lesson(source, root):
            print("\n".join(problems), flush=True)
            failed = True
    return int(failed)


def run(root: Path, sources: list[Path], jobs: int, cell_seconds: int) -> int:
    """Execute the lessons into build/notebooks/, one line for each."""
    failed = 0
    for source, result in _execute_all(root, sources, jobs, cell_seconds):
        if isinstance(result, NotebookError):
            print(result, flush=True)
            failed += 1
            continue
        write_atomically(root / f"build/notebooks/{source.stem}.ipynb", dumps(result.notebook))
        print(_line(source, result), flush=True)
    print(f"{len(sources) - failed} of {len(sources)} lessons ran")
    return int(failed > 0)


def _execute_all(root: Path, sources: list[Path], jobs: int, cell_seconds: int) -> Iterator[tuple]:
    """Each source with its Run or its NotebookError, in the order in which they finish."""
    from tools.notebook_kernel import execute  # half a second of imports that `check` does not need

    # Threads are enough: each lesson computes in a process of its own, its kernel.
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = {
            pool.submit(execute, source.stem, from_source(source), root, cell_seconds): source
            for source in sources
        }
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except NotebookError as error:
                yield futures[future], error


def _line(source: Path, result) -> str:
    memory = "" if result.peak_mebibytes is None else f"{result.peak_mebibytes:6d} MiB"
    return f"{source.stem:32} {result.seconds:6.1f} s {memory}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    # A build stores measured speeds, so by default nothing runs beside it.
    for command, jobs in (("build", 1), ("check", None), ("run", min(2, os.cpu_count() or 1))):
        sub = commands.add_parser(command)
        sub.add_argument("names", nargs="*", metavar="NAME", help="lessons; all if none is named")
        if jobs is not None:
            sub.add_argument("--jobs", type=int, default=jobs, help=f"notebooks at a time (default {jobs})")
            sub.add_argument("--cell-seconds", type=int, default=CELL_SECONDS, help="time limit of a cell")
        if command == "build":
            sub.add_argument("--force", action="store_true", help="also those that are up to date")
    return parser


if __name__ == "__main__":
    sys.exit(main())
