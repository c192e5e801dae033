"""SentencePiece's model file, rebuilt from a GGUF and adjusted so that text cannot forge a turn."""

import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from sentencepiece import sentencepiece_model_pb2 as protobuf

Piece = protobuf.ModelProto.SentencePiece

MARKER = re.compile(
    r"<(start|end)_of_(turn|image)>|<unused\d+>|<mask>|<\dmass>|<image_soft_token>|\[@BOS@\]|\[multimodal\]"
)
"""Pieces that structure a Gemma prompt. Some published files list them as ordinary user-defined pieces."""


@runtime_checkable
class Field(Protocol):
    """A metadata field of the gguf library."""

    def contents(self) -> object:
        """The field's value."""


def keep_markers_out_of_text(proto: protobuf.ModelProto) -> None:
    """Make every marker a control piece, which SentencePiece never finds in text."""
    for piece in proto.pieces:
        if piece.type == Piece.USER_DEFINED and MARKER.fullmatch(piece.piece):
            piece.type = Piece.CONTROL


def from_gguf(fields: Mapping[str, Field]) -> protobuf.ModelProto:
    """The model file that the GGUF's converter read.

    GGUF keeps pieces, scores and types, whose numbers are SentencePiece's own; what it leaves out is the same
    for Gemma and Llama 2: BPE, bytes for unknown characters, no normalisation, spaces kept and written as ▁.

    Raises:
        ValueError: when lists are missing or differ in length.
    """

    def get(name: str, default: object = None) -> object:
        field = fields.get(f"tokenizer.ggml.{name}")
        return default if field is None else field.contents()

    lists = {name: get(name) for name in ("tokens", "scores", "token_type")}
    lengths = {name: len(values) if isinstance(values, list) else None for name, values in lists.items()}
    if None in lengths.values() or len(set(lengths.values())) > 1:
        raise ValueError(f"a SentencePiece vocabulary needs three lists of one length, found {lengths}")
    result = protobuf.ModelProto()
    for text, score, kind in zip(*lists.values(), strict=True):
        # runs of spaces stand in the file as typed; the encoder sees spaces as ▁
        text = text.replace(" ", "▁") if kind == Piece.USER_DEFINED else text
        result.pieces.add(piece=text, score=score, type=kind)
    trainer, normalizer = result.trainer_spec, result.normalizer_spec
    trainer.model_type, trainer.vocab_size = protobuf.TrainerSpec.BPE, len(result.pieces)
    trainer.byte_fallback, trainer.treat_whitespace_as_suffix = True, False
    trainer.bos_id, trainer.eos_id = get("bos_token_id", 1), get("eos_token_id", 2)
    trainer.unk_id, trainer.pad_id = get("unknown_token_id", 0), get("padding_token_id", -1)
    for role in ("bos", "eos", "unk", "pad"):
        index = getattr(trainer, f"{role}_id")
        if 0 <= index < len(result.pieces):
            setattr(trainer, f"{role}_piece", result.pieces[index].piece)
    if 0 <= trainer.unk_id < len(result.pieces):
        result.pieces[trainer.unk_id].type = Piece.UNKNOWN
    architecture = fields.get("general.architecture")
    gemma = architecture is not None and str(architecture.contents()).startswith("gemma")
    normalizer.name, normalizer.add_dummy_prefix = "identity", bool(get("add_space_prefix", not gemma))
    normalizer.remove_extra_whitespaces, normalizer.escape_whitespaces = False, True
    return result
