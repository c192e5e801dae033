"""Try a learner's function, and say what is wrong with it: where, by how much, and which mistake it was."""

import difflib
from collections.abc import Iterator

import numpy as np

from gemma_edu.checks.describe import (
    describe_arguments,
    describe_difference,
    describe_list,
    is_array,
    is_list,
    resemblance,
)
from gemma_edu.checks.exercise import EXERCISES, SEED, Exercise, Mutant, outcomes
from gemma_edu.checks.outcome import Outcome, call, close, same


class CheckFailed(AssertionError):
    """The answer is not right yet. The message says what was tried, how far off it is, and the diagnosis.

    A notebook shows the message alone; a script treats this as any other exception. `mutant` is the known wrong
    version that the answer equals, or None.
    """

    def __init__(self, message: str, mutant: Mutant | None = None):
        super().__init__(message)
        self.mutant = mutant

    def _render_traceback_(self) -> list[str]:  # IPython asks for it instead of a traceback
        return str(self).splitlines()


def check(name: str, answer: object) -> None:
    """Try `answer` on every case of the exercise `name`, and print that it is right.

    Raises:
        CheckFailed: it is not; the message says why.
        ValueError: there is no exercise of that name.
        TypeError: `answer` is not a function.
    """
    exercise = _find(name)
    if not callable(answer):
        raise TypeError(
            f"check wants the function itself, not {type(answer).__name__} {answer!r:.60}: "
            f'write check("{name}", {name})'
        )
    cases = exercise.arguments()
    wanted = outcomes(exercise, exercise.solution)
    if errors := [right.error for right in wanted if right.error is not None]:
        raise RuntimeError(f"the course's own answer to {name} fails: please report it") from errors[0]
    found = []
    for number, (arguments, right) in enumerate(zip(cases, wanted, strict=True), 1):
        found.append(call(answer, arguments))
        if complaint := _complaint(exercise, found[-1], right):
            found += [call(answer, later) for later in cases[number:]]
            raise _failure(exercise, complaint, found, number, arguments, right) from found[number - 1].error
    for test in exercise.also:
        if complaint := test(answer):
            raise CheckFailed(
                f"{name}: the values are right, but one thing is not.\n  {complaint}",
                _named(exercise, complaint),
            )
    print(f"{name}: right, in all {len(cases)} cases.")


def _find(name: str) -> Exercise:
    if name in EXERCISES:
        return EXERCISES[name]
    near = difflib.get_close_matches(str(name), EXERCISES, 1)
    raise ValueError(f"there is no exercise {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _complaint(exercise: Exercise, found: Outcome, right: Outcome) -> str | None:
    """What is wrong with one outcome, in a sentence; None if nothing is."""
    if found.error is not None:
        return f"it raised {type(found.error).__name__}: {found.error}"
    if found.nothing:
        return "it returned nothing. Does it end in a return, and are all the … filled in?"
    if found.changed is not None:
        return (
            f"it changed its argument {exercise.parameters[found.changed]} in place. Whoever called it still needs "
            "the old values: make a new one"
        )
    if len(found.parts) != len(right.parts):
        how = ", separated by commas: return a, b" if len(found.parts) < len(right.parts) else ""
        return f"it returned {_count(found.parts)}; it should return {_count(right.parts)}{how}"
    for part, (mine, good) in enumerate(zip(found.parts, right.parts, strict=True)):
        which = f"result {part + 1} of {len(right.parts)}: " if len(right.parts) > 1 else ""
        if is_list(good) and (words := describe_list(mine, good)):
            return which + words
        if mine.shape != good.shape:
            return f"{which}shape {mine.shape}; it should be {good.shape}" + _letters(exercise, good)
        if not close(mine, good, exercise.tolerance):
            return which + describe_difference(mine, good, exercise.tolerance)
        if exercise.keeps_dtype and mine.dtype != good.dtype:
            return (
                f"{which}the values are right, but they are {mine.dtype}; they should be {good.dtype}. NumPy widens "
                "to float64 where an np.zeros or np.float64 takes part: end with .astype(…)"
            )
    return None


def _failure(
    exercise: Exercise, complaint: str, found: list[Outcome], number: int, arguments: tuple, right: Outcome
) -> CheckFailed:
    """The exception with its whole message."""
    mutant = _diagnose(exercise, found)
    drawn = f", random numbers from seed {SEED}" if any(map(is_array, arguments)) else ""
    lines = [
        f"{exercise.name} is not right yet.",
        f"  Tried: {describe_arguments(exercise.parameters, arguments)}; case {number} of {len(found)}{drawn}.",
        f"  Found: {complaint}",
    ]
    if mutant is not None:
        shipped = f" (It has happened to others: {mutant.shipped_by}.)" if mutant.shipped_by else ""
        lines.append(f"  This is {mutant.diagnosis}{shipped}")
    elif hint := resemblance(found[number - 1], right, exercise.tolerance):
        lines.append(f"  {hint}")
    return CheckFailed("\n".join(lines), mutant)


def _diagnose(exercise: Exercise, found: list[Outcome]) -> Mutant | None:
    """The first mutant with the same outcome in every case; where all are errors, with the same words."""
    right = outcomes(exercise, exercise.solution)
    for mutant in exercise.mutants:
        known = outcomes(exercise, mutant.wrong)
        if all(outcome.error for outcome in found) and _words(found) != _words(known):
            continue  # a ValueError everywhere can have any cause
        if all(_alike(exercise, *three) for three in zip(found, known, right, strict=True)):
            return mutant
    return None


def _alike(exercise: Exercise, outcome: Outcome, known: Outcome, right: Outcome) -> bool:
    """Whether an outcome is that of a known wrong version. Where only its dtype is wrong, dtypes must agree too."""
    if outcome.changed != known.changed or not same(outcome, known, exercise.tolerance):
        return False
    only_dtype = exercise.keeps_dtype and same(known, right, exercise.tolerance)
    return not only_dtype or [p.dtype for p in outcome.parts] == [p.dtype for p in known.parts]


def _words(found: list[Outcome]) -> list[str]:
    return [str(outcome.error) for outcome in found]


def _named(exercise: Exercise, complaint: str) -> Mutant | None:
    """The mutant whose diagnosis a further test gave as its complaint."""
    return next((mutant for mutant in exercise.mutants if mutant.diagnosis in complaint), None)


def _count(parts: tuple[np.ndarray, ...]) -> str:
    return f"{len(parts)} result" + "s" * (len(parts) != 1)


def _letters(exercise: Exercise, good: np.ndarray) -> str:
    return f", which is {exercise.axes}" if len(exercise.axes.split()) == good.ndim > 0 else ""


def every_mutant() -> Iterator[tuple[Exercise, Mutant]]:
    """Each exercise with each of its wrong versions, in the order of the course."""
    for exercise in sorted(EXERCISES.values(), key=lambda exercise: exercise.lesson):
        for mutant in exercise.mutants:
            yield exercise, mutant
