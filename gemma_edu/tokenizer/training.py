"""Train a tokenizer of our own, with the settings of Gemma's."""

import io
import re
from collections.abc import Iterable

import sentencepiece

from gemma_edu.tokenizer.space_mark import MARK
from gemma_edu.tokenizer.tokenizer import Tokenizer

SPECIAL = {"pad": 0, "eos": 1, "bos": 2, "unk": 3}
"""Role → id; the piece of each is its name in angle brackets. All Gemmas have them here."""
TURNS = ["<start_of_turn>", "<end_of_turn>"]
"""They get the next ids, 4 and 5. Gemma 1 has reserved pieces in between, which put them at 106 and 107."""
SETTINGS = {
    "model_type": "bpe",
    "split_digits": True,  # 2024 is four tokens
    "byte_fallback": True,  # a character outside the vocabulary is its UTF-8 bytes
    # text comes back as it was: no Unicode normalisation, spaces kept, none put in front
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "allow_whitespace_only_pieces": True,
    # no piece crosses from one word, script or number into the next
    "split_by_whitespace": True,
    "split_by_unicode_script": True,
    "split_by_number": True,
    "treat_whitespace_as_suffix": False,
    # ours: Gemma's share is not published; with 1 every character of a small corpus is a piece
    "character_coverage": 1.0,
    "minloglevel": 2,
}


def train(texts: Iterable[str], vocab_size: int = 2048, longest_run: int = 31) -> Tokenizer:
    """A SentencePiece BPE vocabulary learnt from `texts`; the same texts in the same order give the same one.

    It differs from Gemma's in size and corpus, and in having no pieces for HTML tags, runs of tabs, and later use.

    Args:
        texts: documents; a line break always ends a piece. SentencePiece passes over lines with U+2585 (▅), its mark.
        vocab_size: pieces of all kinds together.
        longest_run: runs of up to so many newlines, and of up to so many spaces, are pieces of their own.

    Raises:
        TypeError: for a single string instead of several.
        ValueError: for texts without any letter, with half a surrogate pair, for `longest_run` below 1, and for a
            `vocab_size` that is below what characters, bytes and fixed pieces take, or above what the texts offer.
    """
    if isinstance(texts, str):
        raise TypeError("texts is one string, needs several: give [text], or text.splitlines()")
    if longest_run < 1:
        raise ValueError(f"longest_run is {longest_run}, needs at least 1: a newline is a piece")
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    if not lines:
        raise ValueError("there is nothing to learn from: the texts are empty or blank")
    try:
        return Tokenizer.from_bytes(_learn(lines, vocab_size, longest_run))
    except UnicodeEncodeError as error:
        half = f"U+{ord(error.object[error.start]):04X} in {error.object[:40]!r}"
        raise ValueError(
            f"a text holds half a character, {half}: was a pair of surrogates cut apart?"
        ) from None
    except RuntimeError as error:
        raise ValueError(_explain(str(error), vocab_size)) from error


def _learn(lines: list[str], vocab_size: int, longest_run: int) -> bytes:
    """The .model file that SentencePiece makes of `lines`."""
    longest = max(len(line.encode()) for line in lines)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=vocab_size,
        max_sentence_length=max(longest, 4192),  # longer lines would be left out without a word
        control_symbols=TURNS,
        user_defined_symbols=_runs(longest_run),
        **{f"{role}_id": index for role, index in SPECIAL.items()},
        **{f"{role}_piece": f"<{role}>" for role in SPECIAL},
        **SETTINGS,
    )
    return model.getvalue()


def _runs(longest: int) -> list[str]:
    """Newlines, one and more, and spaces, two and more: one space is an ordinary piece."""
    lengths = range(1, longest + 1)
    return ["\n" * length for length in lengths] + [MARK * length for length in lengths[1:]]


def _explain(message: str, vocab_size: int) -> str:
    """SentencePiece's message in terms of `train`'s arguments."""
    if least := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return (
            f"vocab_size is {vocab_size}, needs at least {least[1]}: 256 bytes, the control tokens, the runs of "
            "spaces and newlines, and each character of the texts. Raise it, or lower longest_run"
        )
    if most := re.search(r"Please set it to a value <= (\d+)", message):
        return (
            f"vocab_size is {vocab_size}, can be at most {most[1]}: then no two pieces are left to "
            "merge. Lower it, or give more text"
        )
    return f"SentencePiece cannot learn vocab_size={vocab_size} pieces from these texts: {message}"
