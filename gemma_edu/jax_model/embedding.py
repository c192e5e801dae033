"""Token ids to vectors, and vectors back to token scores: one table, two jobs."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gemma_edu.jax_model.products import product


def embed(table: Float[Array, "V D"], tokens: Int[Array, "B T"], scale: bool) -> Float[Array, "B T D"]:
    """Look up each token's row, and multiply it by √D if `scale` (Vaswani et al. 2017, section 3.4).

    The factor is rounded to the table's dtype, as DeepMind's code does: in bfloat16 √2048 is 45.25 and √3072 is 55.5.
    """
    x_BTD = table[tokens]
    return x_BTD * jnp.asarray(np.sqrt(table.shape[-1]), table.dtype) if scale else x_BTD


def unembed(table: Float[Array, "V D"], x: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
    """Logits: the dot product of the stream with every row of `table`, summed and returned in float32."""
    return product("BTD,VD->BTV", x, table, jnp.float32)
