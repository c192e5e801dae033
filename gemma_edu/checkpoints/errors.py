"""The one error this package raises for anything wrong with a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager


class CheckpointError(ValueError):
    """A checkpoint cannot be read or written; the message says what was found, where, and what to do."""


@contextmanager
def readable(what: str, hint: str = "") -> Iterator[None]:
    """Turn whatever a library raises while reading `what` into a `CheckpointError` that stands alone.

    The libraries below raise a dozen unrelated types for a damaged file, so every `Exception` counts; a
    `CheckpointError` of our own passes unchanged and running out of memory is left as it is.
    """
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except PermissionError as error:
        raise CheckpointError(f"{what}: no permission to read it ({error.strerror or error})") from error
    except Exception as error:
        ending = f" {hint}" if hint else ""
        raise CheckpointError(f"{what} cannot be read ({type(error).__name__}: {error}).{ending}") from error
