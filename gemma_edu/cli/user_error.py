"""What a user did wrong, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """The command cannot do what was asked; the message is all that the user sees."""


@contextmanager
def explained() -> Iterator[None]:
    """The ValueErrors of the package say what to do: show their words. Put it around what reads a user's input
    only, so that a mistake of ours still comes with its traceback."""
    try:
        yield
    except ValueError as error:
        raise UserError(" ".join(str(error).split())) from error
