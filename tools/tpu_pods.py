"""Compile the report's training steps at full size for TPU v5e pods, by the TPU's own compiler; no TPU is needed.

    python tools/tpu_pods.py [CASE...]      cases are listed in gemma_edu/scaling/pods.py; all if none is named

Writes data/tpu_pods.csv: for each case the memory that one chip needs, and what it receives in a step by each kind of
collective, over the pod's own links (ICI) and over the data centre's network (DCN). Cases that are not named keep their
rows. All of them take 4 minutes of one core's time. The exit status is 0 as well where this machine can have no libtpu.
"""

import argparse
import csv
import io
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script sees only its own folder

from gemma_edu.scaling import pods, tpu_compiler
from tools.notebook_format import write_atomically
from tools.notebooks import ROOT

TABLE = Path("data/tpu_pods.csv")
FIELDS = ("case", "what", "pods", "chips", "fits", "hbm_bytes", "arguments_bytes", "network", "kind", "calls", "bytes",
          "jax", "libtpu", "error")  # fmt: skip
HEADER = (
    "# One TPU v5e chip's memory and messages in one step, by gemma_edu.scaling.pods. One row for each kind of "
    "collective; 1 sequence of 8192 tokens to each copy of the model.\n"
    "# Made by `python tools/tpu_pods.py`, XLA's optimisation level O1; compiled, not executed.\n"
)


def main(arguments: list[str] | None = None, root: Path = ROOT, compiled=pods.compiled) -> int:
    """Compile the named cases and store what comes out; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="CASE", choices=[[], *(case.name for case in pods.CASES)])
    names = parser.parse_args(arguments).names or [case.name for case in pods.CASES]
    version = tpu_compiler.version()
    if version is None:
        print(
            f"skipped: no libtpu here; it exists for Linux on x86-64: pip install '{tpu_compiler.requirement()}'"
        )
        return 0
    rows = read_table(root / TABLE)
    for case in pods.CASES:
        if case.name not in names:
            continue
        result = compiled(case)
        print(said(case, result), flush=True)
        rows[case.name] = table_rows(case, result, version)
        in_order = [row for each in pods.CASES for row in rows.get(each.name, [])]
        write_atomically(root / TABLE, as_text(in_order))
    return 0


def table_rows(case: pods.Case, result: pods.Compiled, libtpu: str) -> list[dict[str, str]]:
    """A case as rows of the table: one for each kind of collective, or a single one where there is none."""
    common = {
        "case": case.name,
        "what": case.what,
        "pods": case.pods,
        "chips": case.chips,
        "fits": "yes" if result.hbm is not None else "no",
        "hbm_bytes": result.hbm,
        "arguments_bytes": result.arguments,
        "jax": metadata.version("jax"),
        "libtpu": libtpu,
        "error": result.error,
    }
    sent = [
        {"network": network, "kind": kind, "calls": calls, "bytes": size}
        for kind, network, calls, size in result.traffic
    ]
    return [
        {field: "" if (value := (common | each).get(field)) is None else str(value) for field in FIELDS}
        for each in sent or [{}]
    ]


def as_text(rows: list[dict[str, str]]) -> str:
    """The file's text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return HEADER + out.getvalue()


def read_table(path: Path) -> dict[str, list[dict[str, str]]]:
    """Case → its rows; empty without a file."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    result: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(lines):
        result.setdefault(row["case"], []).append(row)
    return result


def said(case: pods.Case, result: pods.Compiled) -> str:
    """One line about a case."""
    fits = (
        f"{result.hbm / 2**30:5.2f} GiB a chip" if result.hbm is not None else f"does not fit: {result.error}"
    )
    sums = {"ICI": 0, "DCN": 0}
    for _, network, _, size in result.traffic:
        sums[network] += size
    sent = ", ".join(f"{size / 1e9:.2f} GB over {network}" for network, size in sums.items() if size)
    return f"{case.name:12} {case.what:45} {case.chips:5} chips {fits} {sent} ({result.seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
