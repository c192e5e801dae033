"""The masks as pictures: rows are queries, columns are keys, 1 = may attend."""

import numpy as np
import pytest
from backend import B, S, T, count_up


def picture(backend, queries, keys, window):
    """The mask of the one row given, as lists of 0 and 1."""
    mask_BTS = backend.masks.attention_mask(backend.array([queries]), backend.array([keys]), window)
    assert mask_BTS.dtype == bool
    return np.asarray(mask_BTS[0]).astype(int).tolist()


def test_causal_sees_itself_and_the_past(backend):
    assert picture(backend, range(5), range(5), None) == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]


def test_a_window_of_one_sees_itself_only(backend):
    assert picture(backend, range(4), range(4), 1) == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]


def test_a_window_of_three_sees_itself_and_two_before(backend):
    assert picture(backend, range(5), range(5), 3) == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


def test_padding_is_seen_by_nobody_and_sees_nobody(backend):
    assert picture(backend, [-1, -1, 0, 1, 2], [-1, -1, 0, 1, 2], None) == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


def test_a_window_does_not_let_padding_back_in(backend):
    assert picture(backend, [-1, 0, 1], [-1, 0, 1], 3) == [
        [0, 0, 0],
        [0, 1, 0],
        [0, 1, 1],
    ]


def test_new_queries_look_back_at_more_keys_than_there_are_queries(backend):
    assert picture(backend, [4, 5, 6], range(S), None) == [
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1],
    ]


def test_keys_may_stand_in_any_order_as_in_a_ring(backend):
    assert picture(backend, [6], [4, 5, 6, 3], None) == [[1, 1, 1, 1]]
    assert picture(backend, [6], [4, 5, 6, 3], 3) == [[1, 1, 1, 0]]
    assert picture(backend, [6], [4, 5, 6, -1], None) == [[1, 1, 1, 0]]


@pytest.mark.parametrize("window", [None, 2])
def test_every_row_has_its_own_mask(backend, window):
    queries = count_up(B, T) + np.array([[2], [0], [1]], np.int32)
    mask_BTS = backend.masks.attention_mask(backend.array(queries), backend.array(count_up(B, S)), window)
    assert mask_BTS.shape == (B, T, S)
    for b, t, s in np.ndindex(B, T, S):
        distance = queries[b, t] - s
        assert mask_BTS[b, t, s] == (distance >= 0 and (window is None or distance < window))
