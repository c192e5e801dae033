"""Words for arguments, differences and resemblances, where no known mistake explains a result."""

from itertools import permutations

import jax
import numpy as np

from gemma_edu.checks.outcome import Outcome, as_float, close, is_float, is_number

SHORT = 6
"""Arrays of so many numbers at most are written out."""


def describe_arguments(names: list[str], arguments: tuple) -> str:
    """Each argument by name: small ones by value, arrays by shape, configs by their name."""
    return ", ".join(f"{name} {_describe(value)}" for name, value in zip(names, arguments, strict=False))


def is_array(value: object) -> bool:
    """An array of NumPy or JAX."""
    return isinstance(value, np.ndarray | jax.Array)


def is_list(array: np.ndarray) -> bool:
    """Strings or whole numbers in a row, such as pieces and ids: whatever the axis letters, they are read as a list."""
    return array.ndim == 1 and array.dtype.kind in "Uiu"


def describe_list(found: np.ndarray, wanted: np.ndarray) -> str | None:
    """Where a list differs from the wanted one, whole if both are short; None if they agree or `found` is no list."""
    if found.dtype == object and found.ndim == 1:
        place = next((i for i, entry in enumerate(found) if isinstance(entry, list | tuple)), 0)
        return f"it gave a list inside the list, at [{place}]; put its entries in one by one, with * or +="
    if found.ndim == 0:
        return f"it gave {_value(found)} alone; it should be a list of {wanted.size}"
    if not is_list(found) or np.array_equal(found, wanted):
        return None
    if max(found.size, wanted.size) <= 2 * SHORT:
        return f"it gave {_value(found)}; it should be {_value(wanted)}"
    count = (
        f"{found.size} entries instead of {wanted.size}" if found.size != wanted.size else "not all are right"
    )
    both = zip(found.tolist(), wanted.tolist(), strict=False)
    place = next((i for i, (a, b) in enumerate(both) if a != b), None)
    if place is None:
        return f"{count}; the others are right"
    is_now, should_be = found[place].item(), wanted[place].item()
    return f"{count}; the first that is wrong, at [{place}], is {is_now!r} and should be {should_be!r}"


def _describe(value) -> str:
    if is_array(value):
        if value.ndim == 1 and value.size <= SHORT and value.dtype.kind in "iub":
            return str(value.tolist())
        return f"of shape {value.shape}" + (
            "" if value.dtype.name in ("float32", "int64", "int32") else f" in {value.dtype}"
        )
    if hasattr(value, "name") and isinstance(value.name, str):
        return value.name
    if callable(value):
        return "a function"
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def describe_difference(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> str:
    """How far off, and the worst place with both values."""
    if not (is_number(found) and is_number(wanted)) or found.ndim == 0:
        return f"it gave {_value(found)}; it should be {_value(wanted)}"
    mine, good = as_float(found), as_float(wanted)
    with np.errstate(invalid="ignore"):
        gap = np.abs(mine - good)
    gap = np.where(mine == good, 0.0, np.where(np.isnan(gap), np.inf, gap))
    worst = tuple(int(i) for i in np.unravel_index(np.argmax(gap), gap.shape))
    limit = tolerance * (1 + np.abs(good)) if is_float(wanted) else 0.0
    wrong = int(np.sum(~(gap <= limit)))
    off = f"off by up to {gap[worst]:.3g}" if np.isfinite(gap[worst]) else "not a finite number in places"
    place = f"[{', '.join(map(str, worst))}]"
    values = f"at {place} it gave {_value(found[worst])}, it should be {_value(wanted[worst])}"
    return f"{off}, {wrong} of {gap.size} entries; {values}"


def _value(number: np.ndarray | np.generic) -> str:
    array = np.asarray(number)
    if array.ndim:
        return repr(array.tolist())
    if array.dtype.kind in "iu":
        return f"{int(array):,}"
    return f"{float(array):.5g}" if is_float(array) else repr(array.item())


def resemblance(found: Outcome, right: Outcome, tolerance: float) -> str | None:
    """What a wrong result still has in common with the right one: a factor, a sign, an order of axes, some rows."""
    if len(found.parts) != 1 or len(right.parts) != 1:
        return None
    mine, good = found.parts[0], right.parts[0]
    if not (is_number(mine) and is_number(good)) or mine.size == 0:
        return None
    mine, good = as_float(mine), as_float(good)
    if close(mine, good, tolerance):
        return None
    for order in permutations(range(mine.ndim)) if mine.ndim in (2, 3, 4) else ():
        if order != tuple(range(mine.ndim)) and close(mine.transpose(order), good, tolerance):
            return f"The numbers are right, the axes stand in another order: transpose the result by {order}."
    if (
        mine.size == good.size
        and mine.shape != good.shape
        and close(mine.reshape(good.shape), good, tolerance)
    ):
        return "The numbers are right, only the shape is not: a reshape is missing."
    if mine.shape != good.shape:
        return None
    if np.isnan(mine).any() and not np.isnan(good).any():
        return "There are NaNs: look for 0/0, ∞ − ∞, or the root of a negative number."
    return _simple_relation(mine, good, tolerance) or _right_rows(mine, good, tolerance)


def _simple_relation(mine: np.ndarray, good: np.ndarray, tolerance: float) -> str | None:
    """One factor or one summand between the two; for a single number, only a factor that is a whole number."""
    largest = np.unravel_index(np.argmax(np.abs(good)), good.shape)
    if good[largest] != 0 and mine[largest] != 0:
        factor = mine[largest] / good[largest]
        one_number = mine.size == 1 and min(abs(f - round(f)) for f in (factor, 1 / factor)) > 1e-6
        if close(mine / factor, good, 10 * tolerance) and abs(factor - 1) > 1e-3 and not one_number:
            if abs(factor + 1) < 1e-6:
                return "Every sign is the wrong way round."
            return f"{'It' if mine.size == 1 else 'Every number'} is {factor:.5g} times what it should be."
    summand = mine[largest] - good[largest]
    if mine.size > 1 and close(mine - summand, good, 10 * tolerance):
        return f"Every number is {abs(summand):.5g} too {'large' if summand > 0 else 'small'}."
    return None


def _right_rows(mine: np.ndarray, good: np.ndarray, tolerance: float) -> str | None:
    """Which slices along an axis are right, if some are and some are not."""
    for axis in range(mine.ndim):
        pairs = zip(np.moveaxis(mine, axis, 0), np.moveaxis(good, axis, 0), strict=True)
        right = [i for i, (a, b) in enumerate(pairs) if close(a, b, tolerance)]
        if right and len(right) < mine.shape[axis]:
            wrong = next(i for i in range(mine.shape[axis]) if i not in right)
            share = f"{len(right)} of {mine.shape[axis]} slices are right"
            return f"Along axis {axis}, {share}; the first wrong one is number {wrong}."
    return None
