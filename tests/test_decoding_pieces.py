"""Prompts are read in pieces, of any length, by the same programs."""

import pytest
from naive_decoding import GEMMA3, GPT2, PROMPTS, STEPS, generate, naive

from gemma_edu.jax_model import decoding

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize("config", [GEMMA3, GPT2])
@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_reading_prompts_in_pieces_changes_nothing(config, size, monkeypatch):
    monkeypatch.setattr(decoding, "piece_size", lambda rows: size)
    by_prompt = list(zip(*generate(PROMPTS, config), strict=True))
    assert by_prompt == [tuple(naive(prompt, config, STEPS)) for prompt in PROMPTS]


def test_prompts_of_other_lengths_and_other_settings_need_no_new_program(monkeypatch):
    monkeypatch.setattr(decoding, "piece_size", lambda rows: 4)
    generate([[2, 5]], max_tokens=2)
    used = decoding._look, decoding._append, decoding._choose
    programs_of = lambda function: function._cache_size()  # noqa: E731
    programs = tuple(map(programs_of, used))
    for length in (1, 3, 4, 5, 9, 29):
        generate([[3] * length], max_tokens=3)
    assert programs == tuple(map(programs_of, used))


def test_pieces_are_shorter_where_prompts_are_many():
    sizes = [decoding.piece_size(rows) for rows in (1, 8, 16, 64, 20_000)]
    assert sizes == [sizes[0], sizes[0], sizes[0] // 2, sizes[0] // 8, 8]
