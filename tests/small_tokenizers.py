"""Tokenizers trained on a few words, with the properties of the published ones."""

import io

import sentencepiece

from gemma_edu.tokenizer import Tokenizer

MARKERS = ["<start_of_turn>", "<end_of_turn>", "<mask>"]
RUNS = ["\n", "\n\n", "▁▁", "▁▁▁", "<b>"]
GEMMA = {
    "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "bos_piece": "<bos>", "eos_piece": "<eos>",
    "normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False,
}  # fmt: skip


def train(**options) -> bytes:
    """A small SentencePiece model."""
    text = ["the cat sat on the mat with 12 hats", "a hat is not a cat", "user model turn of start end"] * 4
    result = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_writer=result, model_type="bpe", hard_vocab_limit=False,
        minloglevel=2, **{"vocab_size": 350, "byte_fallback": True} | options,
    )  # fmt: skip
    return result.getvalue()


def like_gemma(markers: str) -> Tokenizer:
    """No space in front, spaces kept; published files list the `markers` as either kind of piece."""
    symbols = {"user_defined_symbols": RUNS} | {markers: MARKERS + (RUNS if markers[0] == "u" else [])}
    return Tokenizer.from_bytes(train(**symbols, **GEMMA))


def like_gemma1() -> Tokenizer:
    """The control tokens have the ids that Gemma 1 and 2 give them."""
    reserved = ["<mask>", "<2mass>", "[@BOS@]", *(f"<unused{index}>" for index in range(99))]
    symbols = {"control_symbols": [*reserved, *MARKERS[:2]], "user_defined_symbols": RUNS}
    return Tokenizer.from_bytes(train(**symbols, **GEMMA, vocab_size=450))


def like_llama() -> Tokenizer:
    """A space before the text, no padding token, no turns."""
    return Tokenizer.from_bytes(train(normalization_rule_name="identity", remove_extra_whitespaces=False))
