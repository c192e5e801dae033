"""A ▁ in the text stays a ▁, though SentencePiece writes every space that way.

SentencePiece turns each space of a text into ▁ (U+2581) before it looks for pieces, and each ▁ of a piece back into
a space afterwards. A ▁ that stood in the text is from then on one more space: SentencePiece and transformers both
lose it. Here it is encoded as a character outside the vocabulary is, by its UTF-8 bytes, which both of them decode
to ▁ again.
"""

import sentencepiece

MARK = "▁"
STAND_IN = "\uffff"
"""No character by Unicode's definition, so in no vocabulary; and three bytes of UTF-8, as many as ▁ has."""


def encode(processor: sentencepiece.SentencePieceProcessor, text: str) -> list[int]:
    """The ids of `text`, where ▁ is a character of its own.

    Where the vocabulary has no bytes for unknown characters, or has the stand-in itself, ▁ stays a space.
    """
    if MARK not in text:
        return processor.EncodeAsIds(text)
    mark, stand_in = _byte_ids(processor, MARK), _byte_ids(processor, STAND_IN)
    if None in mark + stand_in or processor.PieceToId(STAND_IN) != processor.unk_id():
        return processor.EncodeAsIds(text)
    ids = processor.EncodeAsIds(text.replace(MARK, STAND_IN))
    places = [place for place in range(len(ids)) if ids[place : place + len(stand_in)] == stand_in]
    # the text may hold the stand-in itself: the order tells which is which
    for place, character in zip(places, (c for c in text if c in (MARK, STAND_IN)), strict=True):
        if character == MARK:
            ids[place : place + len(mark)] = mark
    return ids


def _byte_ids(processor: sentencepiece.SentencePieceProcessor, character: str) -> list[int | None]:
    """The ids of a character's UTF-8 bytes, None for a byte that the vocabulary does not have."""
    ids = [processor.PieceToId(f"<0x{byte:02X}>") for byte in character.encode()]
    return [index if processor.IsByte(index) else None for index in ids]
