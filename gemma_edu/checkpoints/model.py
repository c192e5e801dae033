"""What loading gives."""

from typing import NamedTuple

from gemma_edu.config import ModelConfig
from gemma_edu.params import Params
from gemma_edu.tokenizer import Tokenizer


class Model(NamedTuple):
    """A checkpoint in memory. `tokenizer` is None where there is none of the SentencePiece kind."""

    config: ModelConfig
    params: Params
    tokenizer: Tokenizer | None
