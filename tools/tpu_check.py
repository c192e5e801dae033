"""Would the lessons run on a TPU? Every computation that they make, given to the TPU's own compiler; no TPU is needed.

    python tools/tpu_check.py [NAME...]      NAME is a lesson's name or its beginning

Each lesson runs on the CPU from its source, in a kernel of its own, with a TPU's rounding of float32 products
(`gemma_edu.scaling.tpu_rounding`): every assertion in it must hold so, too. Meanwhile `tpu_capture` records its
computations, as many as JAX says it compiles, and `tpu_compiler` then compiles them for a TPU v5e. What has been
compiled before, by the same compiler, is looked up in data/tpu_compiled.json: for each lesson, the hash of each program
and the bytes of memory it needs on the chip. A lesson that is checked again gives up its old entries, and one that no
longer exists loses them.

The exit status is 0 if all is well, or if this machine can have no libtpu, and 1 if a computation was refused.
"""

import argparse
import json
import os
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script sees only its own folder

from gemma_edu.scaling import tpu_capture, tpu_compiler
from tools.notebook_format import NotebookError, from_source, select_sources, write_atomically
from tools.notebooks import CELL_SECONDS, ROOT

CACHE = Path("data/tpu_compiled.json")
Compile = Callable[[Path], dict[str, dict]]


@dataclass
class Lesson:
    """What one lesson computed, and what became of it."""

    name: str
    computations: list[dict] = field(default_factory=list)
    """The rows of `tpu_capture`, with `cell` as the number of the code cell."""
    compiled: int = 0
    """How many of them JAX compiled for the CPU; the others were lowered only."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """What running it took."""
    new: int = 0
    """How many of its programs had to be compiled."""

    def programs(self) -> set[str]:
        """The different programs among its computations."""
        return {row["program"] for row in self.computations if "program" in row}


def main(arguments: list[str] | None = None, root: Path = ROOT, compile_folder: Compile | None = None) -> int:
    """Check the lessons that the command line names; the exit status."""
    options = _parser().parse_args(arguments)
    compiler = tpu_compiler.description()
    if compiler is None and compile_folder is None:
        print(
            f"skipped: no libtpu here. It exists for Linux on x86-64; `pip install --no-deps --target "
            f"{tpu_compiler.BESIDE} '{tpu_compiler.requirement()}'` gets it."
        )
        return 0
    os.environ["JAX_PLATFORMS"] = "cpu"  # of the kernels, which run here whatever this machine has
    try:
        sources = select_sources(root, options.names)
        known = read_cache(root / CACHE, compiler)
        existing = {source.stem for source in select_sources(root, [])}
        lessons = []
        for lesson, hbm in _check_all(
            root, sources, options, known, compile_folder or tpu_compiler.compile_folder
        ):
            print("\n".join(report(lesson, hbm)), flush=True)
            lessons.append(lesson)
            known[lesson.name] = hbm
            # Read again: somebody else may have checked another lesson in the meantime.
            stored = read_cache(root / CACHE, compiler) | {lesson.name: hbm}
            stored = {name: programs for name, programs in stored.items() if name in existing}
            write_cache(root / CACHE, compiler, stored)
    except (NotebookError, tpu_compiler.CompilerError) as error:
        print(error, file=sys.stderr)
        return 2
    computations = sum(len(lesson.computations) for lesson in lessons)
    problems = sum(len(lesson.problems) for lesson in lessons)
    print(f"{len(lessons)} lessons, {computations} computations, {problems} problems ({compiler})")
    return int(problems > 0)


def read_cache(path: Path, compiler: str) -> dict[str, dict[str, int]]:
    """Lesson → program → bytes of memory, as this compiler found them before; empty if it was another."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return stored["lessons"] if stored["compiler"] == compiler else {}


def write_cache(path: Path, compiler: str, lessons: dict[str, dict[str, int]]) -> None:
    """Store what has been compiled; one lesson a line, so that a diff says whose programs changed."""
    lines = [f"  {json.dumps(name)}: {json.dumps(programs)}" for name, programs in sorted(lessons.items())]
    body = ",\n".join(lines)
    write_atomically(path, f'{{"compiler": {json.dumps(compiler)}, "lessons": {{\n{body}\n}}}}\n')


def _check_all(
    root: Path, sources: list[Path], options: argparse.Namespace, known: dict, compile_folder: Compile
) -> Iterator[tuple[Lesson, dict[str, int]]]:
    """Run the lessons, a few at a time, and compile each as it ends; it and the memory its programs need."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(max_workers=options.jobs) as pool:
        folders = {source: Path(scratch) / source.stem for source in sources}
        futures = {
            pool.submit(capture_lesson, source, root, folders[source], options.cell_seconds): source
            for source in sources
        }
        try:
            for future in as_completed(futures):
                lesson, folder = future.result(), folders[futures[future]]
                yield lesson, compile_lesson(lesson, folder, known, compile_folder)
        finally:
            pool.shutdown(cancel_futures=True)


def capture_lesson(source: Path, root: Path, folder: Path, cell_seconds: int) -> Lesson:
    """Run a lesson and read what it computed; a cell that fails is a problem, not an error."""
    from tools.notebook_kernel import execute

    lesson = Lesson(source.stem)
    notebook = from_source(source)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    hook = "from gemma_edu.scaling import tpu_capture, tpu_rounding; tpu_rounding.start(); "
    hook += f"tpu_capture.start({str(folder)!r})"
    cells[0].source = f"{hook}\n{cells[0].source}"
    started = time.perf_counter()
    try:
        execute(source.stem, notebook, root, cell_seconds)
    except NotebookError as error:
        lesson.problems.append(str(error).replace(f"    {hook}\n", ""))
    lesson.seconds = time.perf_counter() - started
    rows_file = folder / tpu_capture.ROWS
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()] if rows_file.exists() else []
    run = [
        number
        for number, cell in enumerate(cells, 1)
        if cell.source.strip() and "nbval-skip" not in cell.metadata.get("tags", ())
    ]
    for row in rows:
        if "name" in row:
            lesson.computations.append(row | {"cell": run[row["cell"] - 1]})
    lesson.compiled = sum("compiled" in row for row in rows)
    lesson.problems += unseen(rows)
    return lesson


def unseen(rows: list[dict]) -> list[str]:
    """What JAX says it compiled and the capture did not see: the capture's hook has come off.

    What is only lowered, as by `jax.jit(f).lower(x)`, is captured all the same.
    """
    missed = Counter(row["compiled"] for row in rows if "compiled" in row)
    if rows and not missed:
        return ["JAX no longer says what it compiles, so nobody knows whether all was captured"]
    missed -= Counter(row["name"] for row in rows if "name" in row)
    return [f"{name}: compiled {count} times more than captured" for name, count in missed.items()]


def compile_lesson(lesson: Lesson, folder: Path, known: dict, compile_folder: Compile) -> dict[str, int]:
    """Compile the programs that are not known yet; program → bytes of memory, without those that were refused."""
    before = {program: hbm for programs in known.values() for program, hbm in programs.items()}
    wanted = lesson.programs()
    for program in wanted & before.keys():
        (folder / f"{program}.mlir").unlink()
    lesson.new = len(wanted - before.keys())
    results = compile_folder(folder) if lesson.new else {}
    for row in lesson.computations:
        what = f"code cell {row['cell']}: {row['name']}({textwrap.shorten(row['arguments'], 80)})"
        error = row.get("error") or results.get(row.get("program"), {}).get("error")
        if error:
            lesson.problems.append(f"{what}: {error}")
        if "host_calls" in row:
            lesson.notes.append(
                f"{what} calls Python on the host ({', '.join(row['host_calls'])}); not compiled"
            )
    fresh = {program: result["hbm"] for program, result in results.items() if "hbm" in result}
    return {program: (before | fresh)[program] for program in sorted(wanted & (before | fresh).keys())}


def report(lesson: Lesson, hbm: dict[str, int]) -> list[str]:
    """The lines to print about a lesson."""
    line = f"{lesson.name:28} {lesson.seconds:6.1f} s {len(lesson.computations):5} computations"
    if only_lowered := len(lesson.computations) - lesson.compiled:
        line += f" ({only_lowered} only lowered)"
    line += f", {len(lesson.programs())} programs, {lesson.new} compiled now"
    flops = [row["flops"] for row in lesson.computations]
    line += f", {sum(filter(None, flops)) / 1e9:.3f} GFLOP"
    if None in flops:
        line += f" and {flops.count(None)} loops of unknown length"
    rows = [row for row in lesson.computations if row.get("program") in hbm]
    if rows:
        most = max(rows, key=lambda row: hbm[row["program"]])
        line += (
            f"; at most {hbm[most['program']] / 2**20:.1f} MiB, by {most['name']} of code cell {most['cell']}"
        )
    if rounded := [row for row in lesson.computations if row["rounded"]]:
        cells = ", ".join(map(str, sorted({row["cell"] for row in rounded})))
        line += f"; {sum(row['rounded'] for row in rounded)} rounded products, in code cells {cells}"
    return [line, *(f"    {text}" for text in lesson.notes + lesson.problems)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="lessons; all if none is named")
    parser.add_argument("--jobs", type=int, default=1, help="lessons at a time (default 1)")
    parser.add_argument("--cell-seconds", type=int, default=CELL_SECONDS, help="time limit of a cell")
    return parser


if __name__ == "__main__":
    sys.exit(main())
