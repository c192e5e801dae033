"""`gemma-edu bugs`: the list, one exhibit measured, and names that do not exist."""

import types

import pytest

from gemma_edu import checkpoints, museum
from gemma_edu.checkpoints import CheckpointError
from gemma_edu.cli import main
from gemma_edu.museum import Effect, measure


@pytest.fixture
def measured(monkeypatch):
    """Let the real model answer without being loaded; the list of ports and scenes that were measured."""
    calls = []

    def meter(port, scene):
        calls.append((port, scene))
        change = 0.0 if scene == museum.SHORT else 0.5
        return Effect(8.28 + change, 8.28, 7 if change else None, 1 - change / 100, change)

    monkeypatch.setattr(checkpoints, "load", lambda name: types.SimpleNamespace(name=name))
    monkeypatch.setattr(museum, "Meter", lambda model: meter)
    return calls


def test_the_list_has_every_exhibit(capsys):
    assert main(["bugs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(museum.EXHIBITS)
    assert all(found.title in line for found, line in zip(museum.EXHIBITS.values(), lines, strict=True))


def test_an_exhibit_is_shown_and_measured_where_it_hides_and_where_it_shows(capsys, measured):
    assert main(["bugs", "bf16_positions"]) == 0
    out = capsys.readouterr().out
    found = museum.exhibit("bf16_positions")
    assert measured == [(found.port, museum.SHORT), (found.port, found.scene)]
    for said in (
        "Positions in bfloat16 (bf16_positions)",
        f"  + {found.right}",
        f"  - {found.wrong}",
        "#1494",
    ):
        assert said in out
    assert "from position 0, float32" in out and "8.28; not one bit of a logit differs" in out
    assert "from position 1000" in out
    assert "perplexity 8.78, right 8.28; first other choice: prediction 7; cosine 0.99500" in out


def test_a_bug_that_the_real_model_cannot_show_is_shown_on_a_toy(capsys, measured, monkeypatch):
    toys = []
    monkeypatch.setattr(
        measure, "on_toy", lambda *each: toys.append(each) or Effect(16.4, 17.5, 4, 0.284, 3.8)
    )
    assert main(["bugs", "kv_heads_in_turns"]) == 0
    *_, toy, why = capsys.readouterr().out.splitlines()
    found = museum.exhibit("kv_heads_in_turns")
    assert toys == [(found.port, found.toy)] and "K = 1" in why
    assert toy.startswith("tiny grouped-query Gemma") and "perplexity 16.4, right 17.5" in toy


def test_a_bug_that_does_not_run_says_so(capsys, measured, monkeypatch):
    def on_toy(port, toy):
        raise TypeError("cannot reshape array\nand more")

    monkeypatch.setattr(measure, "on_toy", on_toy)
    assert main(["bugs", "derived_head_size"]) == 0
    assert "does not run: cannot reshape array\n" in capsys.readouterr().out


def test_no_such_exhibit_and_no_weights(capsys, monkeypatch):
    assert main(["bugs", "interleaved_rop"]) == 2
    assert "did you mean 'interleaved_rope'" in capsys.readouterr().err

    def missing(name):
        raise CheckpointError("install the weights")

    monkeypatch.setattr(checkpoints, "load", missing)
    assert main(["bugs", "missing_bos"]) == 2
    assert capsys.readouterr().err.strip() == "gemma-edu bugs: install the weights"
