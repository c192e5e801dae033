"""Pieces of text joined are the whole, cut at the first stop string, for any tokens; and nothing comes too early."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemma_edu.text_stream import INCOMPLETE, TextStream

VOCABULARY = [
    b"a",
    b"b",
    b"ab",
    b"aab",
    b" ",
    b"\xc3\xa9",
    b"\xc3",
    b"\xa9",
    b"\xe2\x82",
    b"\xac",
    b"\xf0\x9f\x98",
    b"\x80",
]
"""Letters, é whole and in halves, € and 😀 in parts; a token may be empty text, as control tokens are."""


def decode(ids):
    """Bytes joined; what is no UTF-8 becomes U+FFFD. As in Llama 2, a space at the very start is dropped."""
    return (
        b"".join(VOCABULARY[token] for token in ids if token < len(VOCABULARY))
        .decode(errors="replace")
        .removeprefix(" ")
    )


def cut(text, stops):
    """The text up to the first stop string to be complete, found by reading it character by character."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)]
    return text


ids = st.lists(st.integers(0, len(VOCABULARY)), max_size=30)
stops = st.lists(st.text("ab é€😀", min_size=1, max_size=4), max_size=3)


@given(prompt=ids.filter(lambda ids: not decode(ids).endswith(INCOMPLETE)), answer=ids, stops=stops)
@example(prompt=[], answer=[0, 1, 0], stops=["aba", "b"])
@example(prompt=[0], answer=[3, 1, 0, 3, 3], stops=["aabaab"])
@settings(max_examples=400, deadline=None, derandomize=True)
def test_pieces_joined_are_the_whole_cut_at_the_first_stop_string(prompt, answer, stops):
    stream, shown = TextStream(decode, prompt, stops), []
    whole = decode(prompt + answer)[len(decode(prompt)) :].rstrip(INCOMPLETE)
    for token in answer:
        shown.append(stream.add(token))
        assert cut(whole, stops).startswith("".join(shown))  # nothing has to be taken back
    assert stream.found_stop == (cut(whole, stops) != whole or whole in stops)
    shown.append(stream.end())
    assert "".join(shown) == cut(whole, stops)
    assert all(stop not in "".join(shown) for stop in stops)


@given(text=st.text("ab", max_size=20), stops=stops, data=st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_how_the_text_is_cut_into_tokens_does_not_matter(text, stops, data):
    answer, rest = [], text
    while rest:
        possible = [token for token in (0, 1, 2, 3) if rest.startswith(VOCABULARY[token].decode())]
        answer.append(data.draw(st.sampled_from(possible)))
        rest = rest[len(VOCABULARY[answer[-1]]) :]
    stream = TextStream(decode, [4], stops)
    assert "".join([*map(stream.add, answer), stream.end()]) == cut(text, stops)


def test_only_what_may_be_a_stop_string_is_held_back():
    stream = TextStream(decode, [], ["aba"])
    assert [stream.add(token) for token in (1, 0, 0, 1, 1)] == ["b", "", "a", "", "abb"]
    assert (stream.end(), stream.found_stop) == ("", False)


def test_nothing_comes_after_a_stop_string():
    stream = TextStream(decode, [], ["b"])
    assert [stream.add(token) for token in (0, 2, 0)] == ["a", "a", ""]
    assert (stream.end(), stream.found_stop) == ("", True)


def test_a_prompt_that_ends_within_a_character_is_completed():
    assert TextStream(decode, [0, 6]).add(7) == "é"
    assert TextStream(decode, [0, 6]).add(0) == "a"


def test_bytes_that_form_no_character_show_as_such_once_that_is_certain():
    stream = TextStream(decode, [0])
    assert [stream.add(token) for token in (8, 0)] == ["", f"{INCOMPLETE}a"]


@pytest.mark.parametrize("length", [10, 1000])
def test_each_step_decodes_a_few_tokens_however_long_the_text(length):
    lengths = []
    stream = TextStream(lambda ids: lengths.append(len(ids)) or decode(ids), [0, 1] * length)
    for _ in range(length):
        stream.add(0)
    assert max(lengths[3:]) <= 3
