"""The benchmarks' processes, limits and description of the machine, on tiny sizes; no speed is judged."""

import math
import os
import platform

import pytest

from benchmarks import gpu, limits, machine, rows
from benchmarks.processes import Child, ChildError


def test_limits_are_positive_rates():
    measured = limits.JaxLimits(table_rows=64, side=16)
    for rate in (
        measured.read_bandwidth(),
        measured.product_rate("float32"),
        measured.product_rate("bfloat16"),
    ):
        assert 0 < rate < math.inf


class Counter:
    """What a child process holds in the test."""

    def __init__(self, start):
        self.count = start

    def add(self, number):
        self.count += number
        return self.count, os.environ["OMP_NUM_THREADS"]


def test_a_child_keeps_its_object_and_says_what_went_wrong():
    child = Child(Counter, 5, threads=1)
    assert child.call("add", 2) == (7, "1")
    with pytest.raises(ChildError, match="TypeError"):
        child.call("add", "two")
    assert child.call("add", 1) == (8, "1")
    child.close()
    with pytest.raises(ChildError, match="missing 1 required positional argument"):
        Child(Counter, threads=1)


def test_the_machine_is_described_without_its_name():
    described = machine.describe(threads=2)
    assert {"date", "cpu", "cores", "memory", "system", "Python", "jax", "torch"} <= described.keys()
    assert machine.peak_bytes() > 50e6
    assert not any(platform.node() in value.split() for value in described.values())


def test_the_program_for_graphics_cards_runs_in_toy_size(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "is_installed", lambda module: False)  # PyTorch takes seconds to import
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    gpu.main(["--tiny", "--models", "2b", "--rounds", "1"])
    printed = capsys.readouterr().out
    assert 'transformers bfloat16: skipped, as it is not installed: pip install -e ".[bench]"' in printed
    kept = rows.read(tmp_path / "build/benchmarks/gpu.csv")
    assert [(row.what, row.who) for row in kept.rows] == [
        ("prefill", "gemma_edu bfloat16"),
        ("prefill", "limit: bfloat16 products"),
        ("decode", "gemma_edu bfloat16"),
        ("decode", "limit: reading the weights, bfloat16"),
    ]
