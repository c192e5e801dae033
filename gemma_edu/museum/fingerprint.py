"""Seven small outputs of a port, each of which a pencil can check: enough to tell many bugs apart."""

import jax.numpy as jnp
import numpy as np

from gemma_edu.museum.port import BOS, Port
from gemma_edu.museum.probes import Letters


def fingerprint(port: Port) -> dict[str, list]:
    """What a port makes of a few fixed inputs.

    - `ids`: of a text that begins with `<bos>` already, whose id is 2;
    - `ends`: the ids at which an answer stops; `<eos>` is 1, `<end_of_turn>` is 106;
    - `norm`: of (1, 7), whose RMS is 5, with a stored scale of (1, −0.5);
    - `turned`, `far`: RoPE of (1, 1, 0, 0) at position 1 and at position 257, θ = 10,000;
    - `seen`: which of four tokens the last one sees through a window of 2;
    - `heads`: which of two key/value heads each of four query heads reads.
    """
    x_H, positions_T = jnp.array([1.0, 1.0, 0.0, 0.0]), jnp.array([[1, 257]])
    turned_TH = port.rope(jnp.tile(x_H, (1, 2, 1, 1)), positions_T, 10_000.0)[0, :, 0]
    order_T = jnp.arange(4)[None]
    values_SKH = jnp.array([0.0, 1.0])[None, None, :, None]
    heads_N = port.attend(
        jnp.ones((1, 1, 4, 1)), jnp.ones((1, 1, 2, 1)), values_SKH, jnp.ones((1, 1, 1), bool)
    )
    outputs = {
        "norm": port.rms_norm(jnp.array([1.0, 7.0]), jnp.array([1.0, -0.5]), 1e-6, True),
        "turned": turned_TH[0],
        "far": turned_TH[1],
        "seen": port.attention_mask(order_T, order_T, 2)[0, -1],
        "heads": heads_N.astype(int)[0, 0, :, 0],
    }
    texts = {"ids": port.encode(Letters(), BOS + "rain"), "ends": sorted(port.end_tokens(Letters()))}
    return texts | {name: _listed(output) for name, output in outputs.items()}


def _listed(output) -> list:
    """Numbers as Python's own; floats to three decimals."""
    array = np.asarray(output)
    return array.tolist() if array.dtype.kind in "bi" else array.astype(np.float64).round(3).tolist()
