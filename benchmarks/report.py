"""A run as tables that read well in a terminal and in Markdown, and in benchmarks/README.md.

python -m benchmarks.report FILE.csv
"""

import sys
from pathlib import Path

from benchmarks.rows import Run, Spread, read, spread
from benchmarks.targets import BF16, F32, HF_BF16, HF_F32, LLAMA, NUMPY, PRODUCTS, READ, targets, verdict

README = Path(__file__).parent / "README.md"
MARK = "<!-- latest stored run -->"
RATIOS = [
    (F32, HF_F32), (BF16, HF_BF16), (F32, LLAMA), (BF16, LLAMA), (NUMPY, HF_F32),
    (F32, READ.format(dtype="float32")), (BF16, READ.format(dtype="bfloat16")),
    (F32, PRODUCTS.format(dtype="float32")), (BF16, PRODUCTS.format(dtype="bfloat16")),
]  # fmt: skip
HEADINGS = {
    "decode": "Decode: tokens per second, all texts together",
    "prefill": "Prefill: prompt tokens per second, one text",
    "training": "Training step of a tiny Gemma: tokens per second",
    "limits": "Limits: what the machine did in the same rounds",
    "first call": "First call of a process: seconds to a first token, with all that is compiled or made once",
    "first token": "First token: seconds, for a prompt length not seen before, after a first call with 16 tokens",
    "compilation": "Compilation: seconds of these that a second prompt of the same length does not take",
    "load": "Load: without imports",
    "peak memory": "Peak memory of a fresh process",
    "import": "Import: seconds, in a fresh process",
    "agreement": "Agreement: greedy tokens equal to those of transformers float32 before the first difference",
}


def render(run: Run) -> str:
    """Machine, targets and all tables."""
    machine = "; ".join(f"{name} {value}" for name, value in run.machine.items())
    parts = [f"Measured on: {machine}.", "Median of the rounds (quartiles)."]
    if any(target.measured != "not measured" for target in targets(run)):
        parts.append(_targets(run))
    for what, heading in HEADINGS.items():
        if any(row.what == what for row in run.rows):
            parts += [f"**{heading}**", _values(run, what)]
        if what in ("decode", "prefill", "training") and (ratios := _ratios(run, what)):
            parts += [f"**{what.capitalize()}: ratios, round by round**", ratios]
    return "\n\n".join(parts) + "\n"


def store_in_readme(text: str, readme: Path = README) -> None:
    """Put `text` in the place of what stands behind the mark."""
    before = readme.read_text(encoding="utf-8").split(MARK)[0]
    readme.write_text(f"{before}{MARK}\n\n{text}", encoding="utf-8")


def _targets(run: Run) -> str:
    lines = [[target.text, target.measured, verdict(target)] for target in targets(run)]
    return _table(["target", "measured", ""], [line for line in lines if line[1] != "not measured"])


def _values(run: Run, what: str) -> str:
    """A line for each competitor, a column for each case."""
    rows = [row for row in run.rows if row.what == what]
    cases = list(dict.fromkeys(row.case for row in rows))
    mixed = len({row.unit for row in rows}) > 1
    lines = []
    for who, unit in dict.fromkeys((row.who, row.unit) for row in rows):
        found = (run.find(what, case, who) for case in cases)
        cells = ["" if row is None else _cell(spread(row.values)) for row in found]
        lines.append([f"{who}, {unit}" if mixed else who, *cells])
    return _table(["", *cases], lines)


def _ratios(run: Run, what: str) -> str:
    """A line for each pair of competitors that were both measured."""
    cases = list(dict.fromkeys(row.case for row in run.rows if row.what == what))
    lines = []
    for who, other in RATIOS:
        ratios = [run.ratio(what, case, who, other) for case in cases]
        if any(ratios):
            lines.append([f"{who} / {other}", *("" if ratio is None else _cell(ratio) for ratio in ratios)])
    return _table(["", *cases], lines) if lines else ""


def _cell(measured: Spread) -> str:
    low, median, high = (number(value) for value in measured)
    return median if low == high else f"{median} ({low} to {high})"


def number(value: float) -> str:
    """Three digits, and no exponent."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(header: list[str], lines: list[list[str]]) -> str:
    """A Markdown table with its columns aligned."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        for line in [header, rule, *lines]
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(render(read(Path(sys.argv[1]))))
