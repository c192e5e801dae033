"""The real vocabulary of Gemma 3: ids equal transformers', but where transformers loses something; text comes back."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "tokenizer_gemma3.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
KINDS = sorted({case["kind"] for case in CASES})
TURN = "<start_of_turn>user\nhi<end_of_turn>\n"
MARK = "▁"
LONGEST, LONGEST_ID = 31, 167
"""The longest run of spaces that is one piece."""


def cases(kind):
    return [(case["text"], case["ids"]) for case in CASES if case["kind"] == kind]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("long spaces", "space marks")])
def test_ids_equal_those_of_transformers(real_tokenizer, kind):
    for text, ids in cases(kind):
        assert real_tokenizer.encode(text, control_tokens=True) == ids, text
        assert real_tokenizer.decode(ids, control_tokens=True) == text
        if kind != "markers":
            assert real_tokenizer.encode(text) == ids


def test_transformers_reads_a_space_mark_as_a_space_and_we_keep_it(real_tokenizer):
    for text, ids in cases("space marks"):
        assert ids == real_tokenizer.encode(text.replace(MARK, " "))
        ours = real_tokenizer.encode(text)
        assert ours != ids
        assert real_tokenizer.decode(ours) == text
    assert [real_tokenizer.piece(index) for index in real_tokenizer.encode(MARK)] == [
        "<0xE2>",
        "<0x96>",
        "<0x81>",
    ]


def test_long_runs_of_spaces_are_cut_as_sentencepiece_cuts_them(real_tokenizer):
    """From the left, the longest piece that fits; transformers' merges make 16 and 24 of 40."""
    for text, ids in cases("long spaces"):
        ours = real_tokenizer.encode(text)
        assert ours != ids
        assert real_tokenizer.decode(ours) == real_tokenizer.decode(ids) == text
    assert [len(real_tokenizer.piece(index)) for index in real_tokenizer.encode(" " * 40)] == [31, 9]
    for length in range(1, 150):
        whole, rest = divmod(length, LONGEST)
        rest_ids = real_tokenizer.encode(" " * rest)
        assert len(rest_ids) == (rest > 0)
        expected = [LONGEST_ID] * whole + rest_ids + real_tokenizer.encode("\n")
        assert real_tokenizer.encode(" " * length + "\n") == expected


def test_the_special_tokens(real_tokenizer):
    assert (real_tokenizer.pad, real_tokenizer.eos, real_tokenizer.bos) == (0, 1, 2)
    assert real_tokenizer.end_tokens == {1, 106}
    ids = real_tokenizer.encode(TURN, add_bos=True, control_tokens=True)
    assert ids == [2, 105, 2364, 107, 2202, 106, 107]
    assert not {105, 106} & set(real_tokenizer.encode(TURN))
    pieces = [real_tokenizer.piece(index) for index in (2, 105, 107, LONGEST_ID, 236743)]
    assert pieces == ["<bos>", "<start_of_turn>", "\n", MARK * LONGEST, MARK]


@settings(deadline=None, max_examples=400)
@example("".join(map(chr, range(0x300))))
@example("\uffff▁\ufffe ▁")
@given(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.text(st.sampled_from(" ▁\n\t\r\0<>_éa\u0301\ufeff\uffff\U0001f469\u200d日"))
    | st.lists(
        st.sampled_from(["<start_of_turn>", "<eos>", "<0x0A>", " ", "▁", "<unk>", "[multimodal]"])
    ).map("".join)
)
def test_any_text_comes_back(real_tokenizer, text):
    assert real_tokenizer.decode(real_tokenizer.encode(text)) == text
    ids = real_tokenizer.encode(text, control_tokens=True)
    assert real_tokenizer.decode(ids, control_tokens=True) == text


def test_every_character_of_the_first_plane_comes_back(real_tokenizer):
    """And every 101st of the others, most of which are bytes."""
    codes = [*range(0xD800), *range(0xE000, 0x10000), *range(0x10000, 0x110000, 101)]
    for start in range(0, len(codes), 1000):
        text = "".join(map(chr, codes[start : start + 1000]))
        assert real_tokenizer.decode(real_tokenizer.encode(text)) == text
