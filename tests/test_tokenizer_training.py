"""Training: Gemma's settings are kept, the same texts give the same vocabulary, and limits are named."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemma_edu import course_data
from gemma_edu.tokenizer import Tokenizer, training

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def documents():
    return course_data.path("corpus.txt").read_text(encoding="utf-8").strip().split("\n\n")


@pytest.fixture(scope="module")
def trained(documents) -> Tokenizer:
    return training.train(documents)


def pieces(tokenizer, text):
    return [tokenizer.piece(index) for index in tokenizer.encode(text)]


def test_ids_of_the_fixed_pieces(trained):
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    assert trained.control == {name: index for index, name in enumerate(names)}
    assert (trained.pad, trained.eos, trained.bos) == (0, 1, 2)
    assert [trained.piece(6 + index) for index in range(31)] == ["\n" * length for length in range(1, 32)]
    assert [trained.piece(37 + index) for index in range(30)] == ["▁" * length for length in range(2, 32)]
    assert [trained.piece(67 + index) for index in range(256)] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert trained.vocab_size == 2048


def test_words_digits_spaces_and_bytes(trained):
    assert pieces(trained, "The owl lives") == ["The", "▁owl", "▁lives"]
    assert pieces(trained, " 2024") == ["▁", "2", "0", "2", "4"]
    assert pieces(trained, "owl   owl\n\n") == ["owl", "▁▁▁", "owl", "\n\n"]
    assert pieces(trained, "é") == ["<0xC3>", "<0xA9>"]
    assert not set(trained.encode("<start_of_turn><eos>")) & set(trained.control.values())


def test_no_piece_joins_words_digits_or_scripts(trained):
    first = 67 + 256
    for index in range(first, trained.vocab_size):
        piece = trained.piece(index)
        assert "▁" not in piece[1:]
        assert "\n" not in piece
        assert (
            piece.strip("▁").isalpha()
            or not any(map(str.isalnum, piece))
            or piece.isdigit()
            and len(piece) == 1
        )


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.sampled_from(" ▁\n\uffff") | st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back(trained, text):
    assert trained.decode(trained.encode(text)) == text


def test_the_same_texts_give_the_same_vocabulary(trained, documents):
    start = time.perf_counter()
    assert training.train(iter(documents)) == trained
    assert time.perf_counter() - start < 10
    program = (
        "from gemma_edu import course_data\nfrom gemma_edu.tokenizer import training\nimport sys\n"
        "text = course_data.path('corpus.txt').read_text(encoding='utf-8')\n"
        "sys.stdout.buffer.write(training.train(text.strip().split('\\n\\n')).model)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert run.stdout == trained.model
    assert run.stderr == b""


def test_saved_and_read_again(trained, tmp_path):
    trained.save(tmp_path / "tokenizer.model")
    assert Tokenizer.from_file(tmp_path / "tokenizer.model") == trained


def test_the_least_and_the_most(documents):
    with pytest.raises(ValueError, match="vocab_size is 300, needs at least 391: 256 bytes"):
        training.train(documents, 300)
    with pytest.raises(ValueError, match="vocab_size is 9999, can be at most 2660: .*give more text"):
        training.train(documents, 9999)
    assert training.train(documents, 391).vocab_size == 391
    assert training.train(documents, 2660).vocab_size == 2660
    shorter = training.train(documents, 391 - 46, longest_run=8)
    assert pieces(shorter, "\n" * 9) == ["\n" * 8, "\n"]


def test_long_lines_are_not_left_out():
    tokenizer = training.train(["cat", "owl " * 2000], 334)
    assert pieces(tokenizer, "owl owl") == ["owl", "▁owl"]


@pytest.mark.parametrize(
    "texts, options, error, message",
    [
        ("one text", {}, TypeError, "one string, needs several"),
        ([], {}, ValueError, "nothing to learn from"),
        (["", " \n \n"], {}, ValueError, "nothing to learn from"),
        (["a", "bc\udc80"], {}, ValueError, r"half a character, U\+DC80 in 'bc"),
        (["a"], {"longest_run": 0}, ValueError, "longest_run is 0, needs at least 1"),
        (["a"], {"vocab_size": 0}, ValueError, "cannot learn vocab_size=0 pieces"),
        (["a"], {}, ValueError, "vocab_size is 2048, can be at most 324"),
    ],
)
def test_bad_input(texts, options, error, message):
    with pytest.raises(error, match=message):
        training.train(texts, **options)


def test_the_corpus_is_what_its_grammar_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import make_corpus

    text = course_data.path("corpus.txt").read_text(encoding="utf-8")
    assert make_corpus.corpus() == text
    assert 100_000 < len(text.encode()) < 300_000
    assert make_corpus.corpus(seed=1, documents=20) != make_corpus.corpus(seed=2, documents=20)


def test_the_sums_of_the_corpus_are_right(documents):
    signs = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
    sums = [line.split() for text in documents for line in text.splitlines() if line[0].isdigit()]
    assert len(sums) > 300
    for left, sign, right, _, result in sums:
        assert signs[sign](int(left), int(right)) == int(result)
