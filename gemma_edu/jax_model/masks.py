"""Who may look at whom: causal, and causal within a sliding window."""

from jaxtyping import Array, Bool, Int


def attention_mask(
    query_positions: Int[Array, "B T"], key_positions: Int[Array, "B S"], window: int | None
) -> Bool[Array, "B T S"]:
    """True where a query may attend to a key: 0 ≤ query position − key position < window.

    `window` None means no limit to the past. A window of W holds W positions, the query's own among them. A key
    at position −1 is padding, or an empty place in a cache, and seen by nobody.
    """
    distance_BTS = query_positions[:, :, None] - key_positions[:, None, :]
    mask_BTS = (distance_BTS >= 0) & (key_positions >= 0)[:, None, :]
    return mask_BTS if window is None else mask_BTS & (distance_BTS < window)
