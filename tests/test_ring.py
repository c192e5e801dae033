"""Which token stands where in a ring."""

import jax.numpy as jnp
import numpy as np
import pytest

from gemma_edu.jax_model import ring


@pytest.mark.parametrize(
    ("length", "places", "expected"),
    [
        (0, 4, [-1, -1, -1, -1]),
        (1, 4, [0, -1, -1, -1]),
        (4, 4, [0, 1, 2, 3]),
        (5, 4, [4, 1, 2, 3]),
        (7, 4, [4, 5, 6, 3]),
        (8, 4, [4, 5, 6, 7]),
        (3, 6, [0, 1, 2, -1, -1, -1]),
    ],
)
def test_token_i_stands_in_place_i_mod_the_ring(length, places, expected):
    positions = ring.key_positions(jnp.int32(length), jnp.zeros(1, jnp.int32), places)
    assert positions.tolist() == [expected]


def test_padding_shifts_positions_and_is_negative_itself():
    positions = ring.key_positions(jnp.int32(5), jnp.array([0, 2, 4]), 6)
    assert positions[0].tolist() == [0, 1, 2, 3, 4, -1]
    assert positions[1, 2:].tolist() == [0, 1, 2, -1]
    assert positions[2, 4:].tolist() == [0, -1]
    assert np.all(positions[1, :2] < 0) and np.all(positions[2, :4] < 0)
