"""From a file's array to a leaf: converted, in memory order, on the device, with few copies."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

from gemma_edu.checkpoints.errors import CheckpointError
from gemma_edu.params import Array

DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
ALIGNMENT = 64
"""JAX on a CPU takes over a NumPy array without copying it if it starts at a multiple of this many bytes."""


class Place(NamedTuple):
    """Where leaves go: their dtype, and a function that finishes one."""

    dtype: np.dtype
    finish: Callable[[Shaped[np.ndarray, "..."]], Array]


def placer(dtype: str, as_numpy: bool) -> Place:
    """Leaves of `dtype`, as NumPy arrays or on JAX's default device.

    Raises:
        CheckpointError: for a dtype other than float32 and bfloat16.
    """
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype = {dtype!r}: take one of {', '.join(DTYPES)}")
    if as_numpy:
        return Place(DTYPES[dtype], lambda array: own(array, DTYPES[dtype]))
    import jax  # here, so that NumPy users need not wait for it

    # nobody else holds the array, so it does not matter that JAX may share its memory
    return Place(DTYPES[dtype], lambda array: jax.device_put(own(array, DTYPES[dtype])))


def aligned_empty(shape: Sequence[int], dtype: np.dtype) -> Shaped[np.ndarray, "..."]:
    """An array that starts at a multiple of `ALIGNMENT` bytes."""
    size = int(np.prod(shape)) * dtype.itemsize
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size].view(dtype).reshape(shape)


def own(array: Shaped[np.ndarray, "..."], dtype: np.dtype) -> Shaped[np.ndarray, "..."]:
    """`array` as `dtype`, aligned, in memory order, no view of a file; copied only if it is not so yet."""
    ready = array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    if ready and array.ctypes.data % ALIGNMENT == 0:
        return array
    result = aligned_empty(array.shape, dtype)
    np.copyto(result, array, casting="unsafe")
    return result
