"""Count what the tokenizers of Llama 2, GPT-2 and OLMo make of the texts below, and write data/token_counts.csv.

    python tools/token_counts.py FOLDER

FOLDER holds three vocabularies without weights, which llama.cpp keeps in its folder `models/` to test itself; other
files than those in `FILES` are refused, since data/README.md says that the counts come from these. OLMo's tokenizer is
GPT-NeoX's and has more tokens for masked personal data, which none of the texts contains. Needs the extras `weights`
and `parity`. Counts are of the text alone, without a beginning-of-text token.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
from tokenizers import AddedToken, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

sys.path.insert(0, str(Path(__file__).parent.parent))

from gemma_edu.tokenizer import Tokenizer
from gemma_edu.tokenizer.proto import Piece

FILES = {
    "llama2": (
        "ggml-vocab-llama-spm.gguf",
        "16c3724582d59aa8bf84711894e833f916ee46a31d80e21312759c48bf8d0e69",
    ),
    "gpt2": ("ggml-vocab-gpt-2.gguf", "cedc56ca6e2e89f63e781696d1fd76b4b1d49e6720dee86463e915f6e90016ac"),
    "olmo": ("ggml-vocab-gpt-neox.gguf", "ae593a7f9b8bb174ed4f5019e41530463e4dac7aa06e42dee8aa650d2bdac53d"),
}
"""Column → file and its sha256."""
TARGET = Path(__file__).parent.parent / "data/token_counts.csv"
TEXTS = {
    "English": "The sun heats the sea. Water rises as vapour, cools in the sky and comes back as rain.",
    "German": "Die Sonne erwärmt das Meer. Wasser steigt als Dampf auf, kühlt am Himmel ab und kommt als Regen "
    "zurück.",
    "Swahili": "Jua hupasha joto bahari. Maji hupanda kama mvuke, hupoa angani na kurudi kama mvua.",
    "Russian": "Солнце нагревает море. Вода поднимается в виде пара, остывает в небе и возвращается дождём.",
    "Greek": "Ο ήλιος ζεσταίνει τη θάλασσα. Το νερό ανεβαίνει ως ατμός, ψύχεται στον ουρανό και επιστρέφει ως βροχή.",
    "Arabic": "تسخن الشمس البحر. يصعد الماء بخارا ويبرد في السماء ثم يعود مطرا.",
    "Hindi": "सूरज समुद्र को गर्म करता है। पानी भाप बनकर ऊपर उठता है, आकाश में ठंडा होता है और बारिश बनकर लौट आता है।",
    "Thai": "ดวงอาทิตย์ทำให้ทะเลร้อน น้ำระเหยขึ้นเป็นไอ เย็นลงบนท้องฟ้า และกลับมาเป็นฝน",
    "Chinese": "太阳晒热海水。水变成蒸汽上升，在天空中冷却，又变成雨落下来。",
    "Japanese": "太陽が海を温める。水は蒸気になって昇り、空で冷えて、雨になって戻ってくる。",
    "Korean": "태양이 바다를 데운다. 물은 수증기가 되어 올라가 하늘에서 식고 비가 되어 돌아온다.",
    "Python": "def rain(sea, sun):\n    if sun > 0:\n        for drop in sea:\n            yield drop * sun\n",
    "numbers": "1234 + 5678 = 6912 and 365 * 24 = 8760; on 2024-02-21, 3.14159 was still 3.14159.",
}
"""One sentence in eleven languages, translated for this course, and two texts that are no prose."""


def main() -> None:
    """Read the vocabularies, count, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the three files are")
    folder = parser.parse_args().folder
    try:
        fields = {column: read(folder / name, digest) for column, (name, digest) in FILES.items()}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    encoders = {
        "llama2": Tokenizer.from_gguf(fields["llama2"]).encode,
        "gpt2": byte_level(fields["gpt2"], normal_form=False),
        "olmo": byte_level(fields["olmo"], normal_form=True),
    }
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", *encoders, "text"])
        for name, text in TEXTS.items():
            rows.writerow([name, *(len(encode(text)) for encode in encoders.values()), text])


def read(path: Path, digest: str) -> dict:
    """The metadata of a GGUF file.

    Raises:
        ValueError: it is not the file with that sha256.
        OSError: it cannot be read.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise ValueError(
            f"{path} has the sha256 {found}, but data/token_counts.csv was counted with {digest}"
        )
    return gguf.GGUFReader(path).fields


def byte_level(fields: dict, normal_form: bool) -> Callable[[str], list[int]]:
    """BPE over bytes after GPT-2's split into words; `normal_form` is Unicode's NFC, which GPT-NeoX applies first."""
    tokens, kinds, merges = (
        fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges")
    )
    pairs = [tuple(merge.split(" ")) for merge in merges]
    fast = FastTokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, pairs))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if normal_form:
        fast.normalizer = normalizers.NFC()
    runs = [token for token, kind in zip(tokens, kinds, strict=True) if kind == Piece.USER_DEFINED]
    fast.add_tokens([AddedToken(run, normalized=True) for run in runs if run.isspace()])
    return lambda text: fast.encode(text, add_special_tokens=False).ids


if __name__ == "__main__":
    main()
