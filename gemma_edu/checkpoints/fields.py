"""Metadata read strictly: what is not understood is refused by name, never ignored."""

from collections.abc import Callable, Iterable, Mapping

from gemma_edu.checkpoints.errors import CheckpointError

Value = object
"""Whatever JSON or GGUF metadata can hold."""


class Fields:
    """Named values that remember which of them were used.

    A value of null counts as absent, as in Hugging Face's configs. Problems are collected, so that `finish`
    names all of them at once.

    Args:
        values: name → value.
        where: what to call the source in messages, for example the path of a config.json.
    """

    def __init__(self, values: Mapping[str, Value], where: str) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._where = where
        self._taken: set[str] = set()
        self._problems: list[str] = []

    def take(self, *names: str, default: Value = None) -> Value:
        """The first present of `names`, which are spellings of one thing, or `default`."""
        self._taken.update(names)
        return next((self._values[name] for name in names if name in self._values), default)

    def require(self, names: Iterable[str]) -> None:
        """Raise a `CheckpointError` that lists those of `names` that are absent or no positive number."""
        missing = [name for name in names if name not in self._values]
        if missing:
            raise CheckpointError(f"{self._where} lacks {', '.join(missing)}: is it complete?")
        sizes = {name: self._values[name] for name in names}
        wrong = [f"{name} = {size!r}" for name, size in sizes.items() if not _is_positive(size)]
        if wrong:
            raise CheckpointError(f"{self._where} has {', '.join(wrong)}, where positive numbers are needed")

    def only(self, name: str, *allowed: Value) -> None:
        """Accept `name` absent or with one of the `allowed` values."""
        value = self.take(name, default=allowed[0])
        # 1 == True and 0 == False in Python, so types are compared too: 0 and 0.0 may stand for each other
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
            self.refuse(f"{name} = {value!r} (accepted: {', '.join(map(repr, allowed))})")

    def refuse(self, problem: str) -> None:
        """Note something that `finish` will report."""
        self._problems.append(problem)

    def finish(self, harmless: Callable[[str], bool]) -> None:
        """Raise a `CheckpointError` if anything was refused, or left over and not `harmless`."""
        unknown = sorted(name for name in self._values if name not in self._taken and not harmless(name))
        problems = self._problems + [
            f"{name} = {self._values[name]!r} (no such choice here)" for name in unknown
        ]
        if problems:
            raise CheckpointError(
                f"{self._where} asks for what this course's ModelConfig does not express, and leaving it out "
                f"could change what the model computes: {'; '.join(problems)}. If you know that a field "
                "changes nothing, take it out of a copy of the file; otherwise this model needs other code"
            )


def _is_positive(value: Value) -> bool:
    """Whether a value is a number above zero."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
