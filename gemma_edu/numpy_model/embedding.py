"""Token ids to vectors, and vectors back to token scores: one table, two jobs."""

import numpy as np
from jaxtyping import Float, Int


def embed(
    table: Float[np.ndarray, "V D"], tokens: Int[np.ndarray, "B T"], scale: bool
) -> Float[np.ndarray, "B T D"]:
    """Look up each token's row, and multiply it by √D if `scale` (Vaswani et al. 2017, section 3.4).

    Gemma, like the 2017 Transformer, scales; GPT-2, Llama 2 and OLMo do not.
    """
    x_BTD = table[tokens]
    return x_BTD * np.sqrt(table.shape[-1]).astype(table.dtype) if scale else x_BTD


def unembed(table: Float[np.ndarray, "V D"], x: Float[np.ndarray, "B T D"]) -> Float[np.ndarray, "B T V"]:
    """Logits: the dot product of the stream with every row of `table`.

    `table` is the embedding table itself where weights are tied (Press & Wolf 2017), else the output matrix.
    """
    return np.einsum("BTD,VD->BTV", x, table, optimize=True)
