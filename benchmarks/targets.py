"""What the course wants of its speed, and whether a run shows it."""

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.rows import Run, Spread, spread

F32, BF16 = "gemma_edu float32", "gemma_edu bfloat16"
HF_F32, HF_BF16 = "transformers float32", "transformers bfloat16"
LLAMA, NUMPY, GGUF = "llama.cpp Q4_K_M", "gemma_edu NumPy", "transformers float32, from GGUF"
READ = "limit: reading the weights, {dtype}"
PRODUCTS = "limit: {dtype} products"
XLA_PRODUCTS = "limit: {dtype} products, XLA alone"
DECODE, PREFILL = "batch 1, context 16", "512 tokens"


class Target(NamedTuple):
    """A wish, what was measured, and whether that is enough; None where the run does not say."""

    text: str
    measured: str
    met: bool | None


def targets(run: Run) -> list[Target]:
    """All wishes, in the order in which the course states them."""
    return [*_decode(run), *_prefill(run), *_waiting(run), *_small(run)]


def verdict(target: Target) -> str:
    """The word for `met`."""
    return {True: "met", False: "NOT met", None: "–"}[target.met]


def _decode(run: Run) -> Iterator[Target]:
    """One token at a time, one text."""
    cases = (
        (F32, HF_F32, 3.0, "× transformers float32"),
        (F32, READ.format(dtype="float32"), 0.80, "of the bandwidth limit"),
        (BF16, HF_BF16, 2.5, "× transformers bfloat16"),
        (BF16, READ.format(dtype="bfloat16"), 0.75, "of the bandwidth limit"),
    )
    for who, other, least, words in cases:
        yield _at_least(f"decode, {who}", run.ratio("decode", DECODE, who, other), least, words)
    both = [run.ratio("decode", DECODE, who, LLAMA) for who in (F32, BF16)]
    best = max((ratio for ratio in both if ratio), key=lambda ratio: ratio.median, default=None)
    yield _at_least("decode, the better of gemma_edu's two", best, 0.8, "× llama.cpp Q4_K_M")
    numpy = run.ratio("decode", DECODE, NUMPY, HF_F32)
    yield _at_least(f"decode, {NUMPY}", numpy, 0.25, "of transformers float32")


def _prefill(run: Run) -> Iterator[Target]:
    """A prompt of 512 tokens."""
    ratio = run.ratio("prefill", PREFILL, F32, HF_F32)
    yield _at_least(f"prefill of 512, {F32}", ratio, 1.3, "× transformers float32")
    ratio = run.ratio("prefill", PREFILL, BF16, HF_BF16)
    xla = run.ratio("prefill", PREFILL, *(form.format(dtype="bfloat16") for form in (XLA_PRODUCTS, PRODUCTS)))
    gap = f"; XLA's bfloat16 products reach {_number(xla, '×')} the best library's" if xla else ""
    text = f"prefill of 512, {BF16}: as near to transformers as XLA's products allow"
    yield Target(text, _number(ratio, "× transformers bfloat16") + gap, None)


def _waiting(run: Run) -> Iterator[Target]:
    """What a reader waits for: a first token, a load, an import."""
    for who in (F32, BF16):
        text = f"compilation for a new prompt length, {who}: at most 1 s"
        added = [max(row.values) for row in run.rows if row.what == "compilation" and row.who == who]
        yield _at_most(text, spread([max(added)]) if added else None, 1.0, "s (the longest)")
    load = run.find("load", "seconds", F32)
    theirs = run.find("load", "seconds", GGUF)
    beside = f"s; transformers from GGUF {spread(theirs.values).median:.0f} s" if theirs else "s"
    yield _at_most("load of the cached 270M: at most 2 s", load and spread(load.values), 2.0, beside)
    for case, most in (("without JAX", 0.3), ("with JAX", 2.0)):
        row = run.find("import", case, "gemma_edu")
        yield _at_most(f"import {case}: at most {most} s", row and spread(row.values), most, "s")


def _small(run: Run) -> Iterator[Target]:
    """What must fit."""
    peak = run.find("peak memory", "GB after load", F32)
    weights = run.find("peak memory", "GB after load", "the float32 weights")
    known = peak and weights
    ratio = spread([value / weights.values[0] for value in peak.values]) if known else None
    yield _at_most("peak memory after load, float32: at most 1.5 × weights", ratio, 1.5, "× weights")


def _at_least(name: str, measured: Spread | None, least: float, words: str) -> Target:
    text = f"{name}: at least {_plain(least, words)} {words}"
    return Target(text, _number(measured, words), None if measured is None else measured.median >= least)


def _at_most(text: str, measured: Spread | None, most: float, words: str) -> Target:
    return Target(text, _number(measured, words), None if measured is None else measured.median <= most)


def _plain(value: float, words: str) -> str:
    """A share in per cent, a factor as it is."""
    return f"{value:.0%}" if words.startswith("of ") else f"{value:g}"


def _number(measured: Spread | None, words: str) -> str:
    """Median and quartiles with their unit, or that there are none."""
    if measured is None:
        return "not measured"
    share = words.startswith("of ")
    low, median, high = (f"{value:.0%}" if share else f"{value:.2f}" for value in measured)
    return f"{median} {words}" if low == high else f"{median} ({low} to {high}) {words}"
