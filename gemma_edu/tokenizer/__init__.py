"""Text ↔ token ids: SentencePiece, as Gemma and Llama 2 use it, with control tokens kept apart from text."""

from gemma_edu.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
