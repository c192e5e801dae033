"""What is measured of the competitors; each task gives rows with a value for every round."""

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import roofline, tiny_training
from benchmarks.competitors import Transformers
from benchmarks.field import Field, prompts
from benchmarks.processes import Child
from benchmarks.rows import Row, Run, interleave, spread
from benchmarks.targets import DECODE, GGUF, HF_F32, NUMPY, PREFILL, PRODUCTS, READ, XLA_PRODUCTS
from gemma_edu import params
from gemma_edu.presets import GEMMA3_270M

WEIGHTS = params.count(GEMMA3_270M)["total"]
NEW_LENGTHS = (30, 100, 300, 700)
IMPORTS = {"without JAX": "gemma_edu.numpy_model.transformer", "with JAX": "gemma_edu.jax_model.transformer"}
NUMPY_READS = 512
"""Tokens of all texts together beyond which the NumPy model, which keeps nothing, is not asked for more."""


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    """Of each measurement; `rounds_of` has the cases of which there are more."""
    steps: int
    """Tokens of a decode in each round."""
    prefills: tuple[int, ...]
    decodes: tuple[tuple[int, int], ...]
    """Batch and context."""


MORE = 3
"""Times as many rounds for what has a target: this machine's memory is twice as fast in some seconds as in others."""
FULL = Plan(5, 8, (16, 512, 2048), ((1, 16), (1, 2048), (8, 16), (8, 2048)))
QUICK = Plan(3, 6, (512,), ((1, 16),))


def imports(field: Field, plan: Plan) -> list[Row]:
    """Seconds of an import in a fresh process, once the files are in the system's cache."""

    def measure(module: str) -> float:
        code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    tasks = {case: functools.partial(measure, module) for case, module in IMPORTS.items()}
    interleave(1, tasks)
    values = interleave(plan.rounds, tasks)
    return [Row("import", case, "gemma_edu", "s", measured) for case, measured in values.items()]


def load(field: Field, plan: Plan) -> list[Row]:
    """Seconds of a load and the most memory until then, in a fresh process each time; the GGUF file once."""

    def measure(name: str) -> tuple[float, float]:
        child = field.fresh(name)
        try:
            return child.call("load"), child.call("peak_bytes") / 1e9
        finally:
            child.close()

    measured = interleave(
        min(plan.rounds, 3), {name: functools.partial(measure, name) for name in field.entries}
    )
    rows = []
    for name, values in measured.items():
        seconds, peaks = zip(*values, strict=True)
        rows += [
            Row("load", "seconds", name, "s", seconds),
            Row("peak memory", "GB after load", name, "GB", peaks),
        ]
    rows.append(Row("peak memory", "GB after load", "the float32 weights", "GB", (WEIGHTS * 4 / 1e9,)))
    if HF_F32 in field.entries:
        child = Child(Transformers, "float32", field.threads, threads=field.threads)
        rows.append(Row("load", "seconds", GGUF, "s", (child.call("load_gguf", field.gguf),)))
        child.close()
    return rows


def first_token(field: Field, plan: Plan) -> list[Row]:
    """Seconds of a process's first call, and to the first token for lengths new to it: all, and what comes but once."""
    models = {name: child for name, child in field.models().items() if name != NUMPY}
    rows = [
        Row("first call", "16 tokens", name, "s", (child.call("start", prompts(1, 16), 32),))
        for name, child in models.items()
    ]
    for length in NEW_LENGTHS:
        for name, child in models.items():
            first, second, third = (child.call("start", prompts(1, length), 32) for _ in range(3))
            once = max(0.0, first - min(second, third))
            rows.append(Row("first token", f"{length} tokens", name, "s", (first,)))
            rows.append(Row("compilation", f"{length} tokens", name, "s", (once,)))
    return rows


def prefill(field: Field, plan: Plan) -> list[Row]:
    """Prompt tokens per second up to the first token of the answer, and the rate of products beside them."""
    rows = []
    for length in plan.prefills:
        models, case, prompt = _models(field, length), f"{length} tokens", prompts(1, length)
        print(f"  {case}", flush=True)

        def rate(child: Child, prompt=prompt, length=length) -> float:
            return length / child.call("start", prompt, 1)

        measure = {name: functools.partial(rate, child) for name, child in models.items()}
        limits = {
            f"{dtype} products, {library}": functools.partial(child.call, "product_rate", dtype)
            for dtype in roofline.BYTES
            for library, child in field.limits().items()
        }
        values = _measure(rounds_of(case, plan), measure | limits)
        rows += [Row("prefill", case, name, "tokens/s", values[name]) for name in models]
        rows += [Row("limits", case, name, "GFLOP/s", _scaled(values[name], 1e-9)) for name in limits]
        for who, dtype, library in (
            (PRODUCTS, "float32", ""), (PRODUCTS, "bfloat16", ""), (XLA_PRODUCTS, "bfloat16", "XLA"),
        ):  # fmt: skip
            best = _best(values, f"{dtype} products, {library}")
            per_token = roofline.work(GEMMA3_270M, 1, length, 0, dtype)[0] / length
            rows.append(
                Row("prefill", case, who.format(dtype=dtype), "tokens/s", _scaled(best, 1 / per_token))
            )
    return rows


def decode(field: Field, plan: Plan) -> list[Row]:
    """Tokens per second of all texts together, after a prompt, and the bandwidth beside them."""
    rows = []
    for batch, context in plan.decodes:
        given, case = prompts(batch, context), f"batch {batch}, context {context}"
        models = _models(field, batch * context)
        print(f"  {case}", flush=True)
        spoken, rounds = {name: [] for name in models}, rounds_of(case, plan)
        for child in models.values():
            child.call("start", given, (rounds + 1) * plan.steps + 8)

        def rate(name: str, models=models, spoken=spoken, batch=batch) -> float:
            steps = 1 if name == NUMPY else plan.steps
            seconds, tokens = models[name].call("advance", steps)
            spoken[name] += tokens
            return batch * steps / seconds

        measure = {name: functools.partial(rate, name) for name in models}
        limits = {
            f"read bandwidth, {library}": functools.partial(child.call, "read_bandwidth")
            for library, child in field.limits().items()
        }
        values = _measure(rounds, measure | limits)
        rows += [Row("decode", case, name, "tokens/s", values[name]) for name in models]
        rows += [Row("limits", case, name, "GB/s", _scaled(values[name], 1e-9)) for name in limits]
        for dtype in roofline.BYTES:
            least = roofline.work(GEMMA3_270M, batch, 1, context, dtype)[1]
            limit = _scaled(_best(values, "read bandwidth"), batch / least)
            rows.append(Row("decode", case, READ.format(dtype=dtype), "tokens/s", limit))
        rows += agreement(spoken, case)
    return rows


def training(field: Field, plan: Plan) -> list[Row]:
    """Steps of a tiny Gemma, and the products that the machine could do meanwhile."""
    return tiny_training.measure(field.threads, field.limits(), plan.rounds)


def agreement(spoken: dict[str, list[int]], case: str) -> list[Row]:
    """How many greedy tokens everyone has in common with transformers float32 before the first difference."""
    rows = []
    for name, tokens in spoken.items():
        if name == HF_F32 or HF_F32 not in spoken:
            continue
        pairs = list(zip(tokens, spoken[HF_F32], strict=False))
        equal = next((place for place, (mine, theirs) in enumerate(pairs) if mine != theirs), len(pairs))
        rows.append(Row("agreement", case, name, f"of {len(pairs)}", (float(equal),)))
    return rows


def draw_roofline(run: Run, path: Path) -> bool:
    """The figure of a run's prefills and decodes of JAX and PyTorch; whether there was enough to draw."""
    limits = [row for row in run.rows if row.what == "limits"]

    def best(name: str) -> float:
        return (
            max((spread(row.values).median for row in limits if row.who.startswith(name)), default=0.0) * 1e9
        )

    bandwidth = best("read bandwidth")
    rates = {dtype: best(f"{dtype} products") for dtype in roofline.BYTES}
    if not bandwidth or not all(rates.values()):
        return False
    points = []
    for row in run.rows:
        dtype = row.who.split()[-1]
        if (
            row.what in ("prefill", "decode")
            and row.who.startswith(("gemma_edu", "transformers"))
            and (dtype in roofline.BYTES)
        ):
            numbers = [int(word) for word in row.case.replace(",", "").split() if word.isdigit()]
            batch, tokens, context = (
                (1, *numbers, 0) if row.what == "prefill" else (numbers[0], 1, numbers[1])
            )
            flops, least = roofline.work(GEMMA3_270M, batch, tokens, context, dtype)
            done = spread(row.values).median * flops / (batch * tokens)
            points.append((row.who, f"{row.what} {row.case}", flops / least, done))
    path.parent.mkdir(parents=True, exist_ok=True)
    roofline.draw(points, bandwidth, rates, path)
    return True


def rounds_of(case: str, plan: Plan) -> int:
    """How often a prefill or decode is measured."""
    return plan.rounds * (MORE if case in (DECODE, PREFILL) else 1)


def _models(field: Field, reads: int) -> dict[str, Child]:
    """Everyone, but the NumPy model only while a token costs it no more than NUMPY_READS."""
    return {name: child for name, child in field.models().items() if name != NUMPY or reads <= NUMPY_READS}


def _measure(rounds: int, measure: dict[str, Callable[[], float]]) -> dict[str, tuple[float, ...]]:
    """The rounds after a first one, which compiles and warms up."""
    return {name: values[1:] for name, values in interleave(rounds + 1, measure).items()}


def _best(values: dict[str, tuple[float, ...]], start: str) -> tuple[float, ...]:
    """In each round the highest of the values whose name begins so."""
    chosen = [measured for name, measured in values.items() if name.startswith(start)]
    return tuple(max(each) for each in zip(*chosen, strict=True))


def _scaled(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in values)
