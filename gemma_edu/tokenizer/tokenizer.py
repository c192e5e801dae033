"""A SentencePiece tokenizer that keeps control tokens and text apart."""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as protobuf

from gemma_edu.tokenizer import proto as model_file
from gemma_edu.tokenizer import space_mark


@dataclass(frozen=True)
class Tokenizer:
    """Text ↔ token ids.

    Gemma's prompt format marks turns with control tokens such as `<start_of_turn>`. In ordinary text those
    letters are only letters: `encode` reads them as control tokens when asked to, so that what a user types
    cannot forge a turn. Build one with `from_file`, `from_bytes` or `from_gguf`, or learn one with
    `training.train`.

    Ids are those of the SentencePiece library, which Gemma was trained with, but for a ▁ in the text (see
    `space_mark`): SentencePiece loses it, and here every text comes back. transformers, which works out BPE merges
    for itself, has the same ids but for that and for more than 31 spaces on end: SentencePiece takes the longest
    piece first, so 40 are 31 and 9; in transformers they are 16 and 24.
    """

    processor: sentencepiece.SentencePieceProcessor = field(repr=False, compare=False)
    control: Mapping[str, int] = field(repr=False, compare=False)
    """Control token → id; with them `<unk>`, which is no piece of text either."""
    model: bytes = field(repr=False)
    """The .model file."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Tokenizer":
        """Read a SentencePiece .model file, such as the tokenizer.model beside Gemma's and Llama 2's weights.

        Raises:
            ValueError: when it is none.
            OSError: when it cannot be read.
        """
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    @classmethod
    def from_bytes(cls, model: bytes, where: str = "the content") -> "Tokenizer":
        """Read the content of a SentencePiece .model file; errors say `where` it is from.

        Raises:
            ValueError: when it is none.
        """
        result = protobuf.ModelProto()
        try:
            result.ParseFromString(model)
        except Exception as error:  # protobuf's DecodeError is no public name
            raise ValueError(f"{where} is no SentencePiece model ({error})") from error
        return cls._build(result, where)

    @classmethod
    def from_gguf(cls, fields: Mapping[str, model_file.Field]) -> "Tokenizer":
        """Rebuild the SentencePiece model from a GGUF's metadata (`gguf.GGUFReader(path).fields`).

        Raises:
            ValueError: when the metadata hold no SentencePiece vocabulary.
        """
        return cls._build(model_file.from_gguf(fields), "the GGUF's vocabulary")

    @classmethod
    def _build(cls, proto: protobuf.ModelProto, where: str) -> "Tokenizer":
        """A tokenizer for a parsed model file."""
        model_file.keep_markers_out_of_text(proto)
        model = proto.SerializeToString()
        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(model)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{where} is no SentencePiece model ({error})") from error
        kinds = (model_file.Piece.CONTROL, model_file.Piece.UNKNOWN)
        control = {piece.piece: index for index, piece in enumerate(proto.pieces) if piece.type in kinds}
        return cls(processor, control, model)

    @property
    def vocab_size(self) -> int:
        """How many tokens there are; a model's table may have more rows, as padding."""
        return self.processor.GetPieceSize()

    @property
    def bos(self) -> int | None:
        """The id that starts a document, None where there is none."""
        return self._role(self.processor.bos_id())

    @property
    def eos(self) -> int | None:
        """The id that ends a document, None where there is none."""
        return self._role(self.processor.eos_id())

    @property
    def pad(self) -> int | None:
        """The id that fills up a batch, None where there is none."""
        return self._role(self.processor.pad_id())

    @staticmethod
    def _role(index: int) -> int | None:
        return index if index >= 0 else None

    @property
    def end_tokens(self) -> frozenset[int]:
        """The ids after which a model has finished: end of document and, for chat models, `<end_of_turn>`."""
        return frozenset({self.eos, self.control.get("<end_of_turn>")} - {None})

    def encode(self, text: str, add_bos: bool = False, control_tokens: bool = False) -> list[int]:
        """The ids of `text`.

        Args:
            text: any string.
            add_bos: start with `bos`. Gemma needs it at the start of every prompt, once.
            control_tokens: read `<start_of_turn>` and its like as one token each; without, they are split up
                as the ordinary letters they are. Give True to text your program wrote, never to a user's. The
                text around control tokens is encoded piece by piece.

        Raises:
            TypeError: for anything but a string.
            ValueError: for half a surrogate pair, and for `add_bos` with a tokenizer that has no such token.
        """
        if not isinstance(text, str):
            raise TypeError(f"text is a {type(text).__name__}, needs a str: encode one text at a time")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            half = f"U+{ord(text[error.start]):04X} at place {error.start}"
            raise ValueError(
                f"text holds half a character, {half}: was a pair of surrogates cut apart?"
            ) from None
        if add_bos and self.bos is None:
            raise ValueError("this tokenizer has no beginning-of-text token: encode without add_bos")
        ids = [self.bos] if add_bos else []
        for part in self._split(text) if control_tokens else [text]:
            ids += (
                [self.control[part]]
                if control_tokens and part in self.control
                else space_mark.encode(self.processor, part)
            )
        return ids

    def _split(self, text: str) -> list[str]:
        """`text` cut into control tokens, the first and then the longest that fits, and what is between them."""
        parts, done = [], 0
        for place in re.finditer(self._first_letters, text) if self.control else ():
            start = place.start()
            candidates = (text[start : start + length] for length in self._lengths)
            name = next((name for name in candidates if name in self.control), None)
            if name and start >= done:
                parts += [text[done:start], name]
                done = start + len(name)
        return [part for part in (*parts, text[done:]) if part]

    @cached_property
    def _first_letters(self) -> str:
        """A pattern for the letters with which control tokens begin, in practice < and [."""
        return f"[{re.escape(''.join(sorted({name[0] for name in self.control})))}]"

    @cached_property
    def _lengths(self) -> list[int]:
        """The lengths that control tokens have, the longest first."""
        return sorted({len(name) for name in self.control}, reverse=True)

    def decode(self, ids: Iterable[object], control_tokens: bool = False) -> str:
        """The text of `ids`; bytes that form no character become U+FFFD.

        Args:
            ids: token ids, whole numbers of Python, NumPy or JAX.
            control_tokens: write control tokens out; without, they are left out.

        Raises:
            ValueError: for an id that the vocabulary does not have.
        """
        checked = [self._checked(index) for index in ids]
        names = {index: piece for piece, index in self.control.items()} if control_tokens else {}
        text, pending = "", []
        for index in checked:
            if index in names:
                text += self.processor.DecodeIds(pending) + names[index]
                pending = []
            else:
                pending.append(index)
        return text + self.processor.DecodeIds(pending)

    def piece(self, index: object) -> str:
        """The vocabulary entry of one id as it is stored: spaces as ▁, bytes as `<0x0A>`.

        Raises:
            ValueError: for an id that the vocabulary does not have.
        """
        return self.processor.IdToPiece(self._checked(index))

    def _checked(self, index: object) -> int:
        """`index` as a Python number, if it is an id."""
        if not hasattr(index, "__index__") or not 0 <= index.__index__() < self.vocab_size:
            raise ValueError(
                f"{index!r} is no token id: the vocabulary has {self.vocab_size}, numbered from 0"
            )
        return index.__index__()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .model file that `from_file` and the sentencepiece library read.

        Raises:
            OSError: when it cannot be written; nothing is left behind then.
        """
        target = Path(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.model)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
