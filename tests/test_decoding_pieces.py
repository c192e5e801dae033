"""Prompts are read in pieces, of any length, by the same programs."""

import itertools

import jax
import pytest
from naive_decoding import GEMMA3, GPT2, PROMPTS, STEPS, generate, jax_params, naive

from gemma_edu.jax_model import decoding, prompt_pieces

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize("config", [GEMMA3, GPT2])
@pytest.mark.parametrize("sizes", [(1,), (2,), (5,), (16,), (4, 1), (6, 2)])
def test_reading_prompts_in_pieces_changes_nothing(config, sizes, monkeypatch):
    monkeypatch.setattr(prompt_pieces, "sizes", lambda rows: sizes)
    by_prompt = list(zip(*generate(PROMPTS, config), strict=True))
    assert by_prompt == [tuple(naive(prompt, config, STEPS)) for prompt in PROMPTS]


def test_prompts_of_other_lengths_and_other_settings_need_no_new_program(monkeypatch):
    monkeypatch.setattr(prompt_pieces, "sizes", lambda rows: (8, 4))
    decoding.warm_up(jax_params(GEMMA3), GEMMA3)
    used = decoding._look, decoding._append, decoding._choose
    programs_of = lambda function: function._cache_size()  # noqa: E731
    programs = tuple(map(programs_of, used))
    for length in (1, 3, 4, 5, 9, 29):
        generate([[3] * length], max_tokens=3)
    assert programs == tuple(map(programs_of, used))


def test_a_prompt_is_cut_into_the_largest_pieces_that_fit():
    pieces = [range(21)[piece] for piece in prompt_pieces.pieces(21, (8, 3, 1))]
    assert [len(piece) for piece in pieces] == [8, 8, 3, 1, 1]
    assert list(itertools.chain(*pieces)) == list(range(21))


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 16, 64, 20_000])
def test_pieces_are_shorter_where_prompts_are_many(rows):
    *longer, size = prompt_pieces.sizes(rows)
    assert size == max(8, min(128, 1024 // rows))
    assert longer == ([256] if rows <= 4 else [])


def test_a_gpu_gets_one_long_piece(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert [prompt_pieces.sizes(rows) for rows in (1, 8, 64)] == [(1024,), (1024,), (128,)]
