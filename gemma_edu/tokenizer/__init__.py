"""Text ↔ token ids: SentencePiece, as Gemma and Llama 2 use it, with control tokens kept apart from text.

`training` learns a vocabulary, `chat` puts conversations into Gemma's format.
"""

from gemma_edu.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
