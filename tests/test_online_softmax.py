"""Keys met block by block give what attention to all of them at once gives."""

import jax.numpy as jnp
import numpy as np
import pytest
from backend import assert_close

from gemma_edu.jax_model.attention import attend
from gemma_edu.jax_model.online_softmax import (
    attended,
    heads_of_rows,
    look,
    nothing_seen,
    rows_of_heads,
)

B, T, S, K, G, H = 2, 3, 11, 4, 5, 6
N = K * G


def inputs(scale=1.0):
    rng = np.random.default_rng(0)
    q, k, v = (
        jnp.asarray(rng.normal(size=shape), jnp.float32)
        for shape in ((B, T, N, H), (B, S, K, H), (B, S, K, H))
    )
    mask_BTS = rng.random((B, T, S)) < 0.6
    mask_BTS[:, :, 0] = True  # everyone sees something
    return scale * q, k, v, jnp.asarray(mask_BTS)


def in_blocks(q, k, v, mask, ends):
    """Attention to the keys up to each end in turn."""
    q_BKMH = rows_of_heads(q * H**-0.5, K)
    seen, start = nothing_seen(q_BKMH), 0
    for end in ends:
        seen = look(seen, q_BKMH, k[:, start:end], v[:, start:end], mask[:, :, start:end])
        start = end
    return heads_of_rows(attended(seen), T)


@pytest.mark.parametrize("ends", [(11,), (1, 11), (10, 11), (3, 4, 9, 11), tuple(range(1, 12))])
def test_however_the_keys_are_divided_the_context_is_that_of_all_at_once(ends):
    q, k, v, mask = inputs()
    assert_close(in_blocks(q, k, v, mask, ends), attend(q, k, v, mask))


def test_the_order_of_the_blocks_does_not_matter():
    q, k, v, mask = inputs()
    order = np.random.default_rng(1).permutation(S)
    turned = in_blocks(q, k[:, order], v[:, order], mask[:, :, order], (4, 8, 11))
    assert_close(turned, attend(q, k, v, mask))


def test_scores_whose_exponentials_overflow_do_no_harm():
    q, k, v, mask = inputs(scale=1000.0)
    assert_close(in_blocks(q, k, v, mask, (2, 5, 11)), attend(q, k, v, mask), atol=0.01)


def test_a_block_in_which_nothing_may_be_seen_changes_nothing():
    q, k, v, mask = inputs()
    hidden = mask.at[:, :, 4:8].set(False)
    rest = np.r_[0:4, 8:11]
    assert_close(in_blocks(q, k, v, hidden, (4, 8, 11)), attend(q, k[:, rest], v[:, rest], mask[:, :, rest]))


def test_a_row_that_sees_nothing_at_all_is_a_number():
    q, k, v, mask = inputs()
    assert np.isfinite(in_blocks(q, k, v, jnp.zeros_like(mask), (4, 11))).all()


def test_rows_and_heads_are_each_others_inverse():
    q, *_ = inputs()
    rows_BKMH = rows_of_heads(q, K)
    assert rows_BKMH.shape == (B, K, G * T, H)
    np.testing.assert_array_equal(rows_BKMH[1, 2, 1 * T + 2], q[1, 2, 2 * G + 1])
    np.testing.assert_array_equal(heads_of_rows(rows_BKMH, T), q)
