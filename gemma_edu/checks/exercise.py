"""What an exercise is: a right function, the arguments it is tried on, and the wrong versions known of it.

    @exercise(lesson="04_rope", cases=_rope_cases, axes="T H")
    def rope(x_TH, positions_T, theta):
        \"\"\"Rotate one head.\"\"\"

    @rope.mutant(shipped_by="Keras hub #1494")
    def rounded_positions(x_TH, positions_T, theta):
        \"\"\"the result with positions in bfloat16, in which 257 is 256; positions are float32 or integers.\"\"\"

A mutant's docstring is the diagnosis: whoever gets the same results reads "This is", and then the docstring.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from gemma_edu.checks.outcome import Outcome, call

SEED = 0
"""Of the random numbers in every check, so that a failed check fails again in the same way."""

EXERCISES: dict[str, "Exercise"] = {}
"""Every exercise of the course by name; `gemma_edu.checks` imports the files that fill it."""


@dataclass(frozen=True)
class Mutant:
    """A wrong version that is known: what it computes, and what to say to someone who computes the same.

    `shipped_by` names the project and thread where it once was a real bug.
    """

    wrong: Callable[..., Any]
    shipped_by: str = ""

    @property
    def name(self) -> str:
        """The name of the wrong function."""
        return self.wrong.__name__

    @property
    def diagnosis(self) -> str:
        """The docstring of the wrong function, on one line."""
        return " ".join((self.wrong.__doc__ or "").split())


@dataclass(frozen=True, eq=False)
class Exercise:
    """A task with its right answer, and all that is needed to say what is wrong with another.

    `cases` draws the arguments of each trial. `axes` are the letters of an array result; `keeps_dtype` asks for the
    very dtype of the right answer. `also` are further tests of the function, each returning what is wrong, or None.
    """

    solution: Callable[..., Any]
    lesson: str
    cases: Callable[[np.random.Generator], Iterable[tuple]]
    axes: str = ""
    tolerance: float = 1e-5
    keeps_dtype: bool = False
    also: tuple[Callable[[Callable], str | None], ...] = ()
    mutants: list[Mutant] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the right function, by which `check` finds the exercise."""
        return self.solution.__name__

    @property
    def parameters(self) -> list[str]:
        """The names of the arguments, for messages."""
        return list(inspect.signature(self.solution).parameters)

    def arguments(self) -> list[tuple]:
        """The arguments of every case; the same on each call."""
        return list(self.cases(np.random.default_rng(SEED)))

    def mutant(self, shipped_by: str = "") -> Callable[[Callable], Callable]:
        """Decorate a wrong version; its docstring is the diagnosis."""

        def add(wrong: Callable) -> Callable:
            self.mutants.append(Mutant(wrong, shipped_by))
            return wrong

        return add


@cache
def outcomes(exercise: Exercise, function: Callable) -> list[Outcome]:
    """What the right answer, or a mutant, comes to in every case; computed once."""
    return [call(function, arguments) for arguments in exercise.arguments()]


def exercise(lesson: str, cases: Callable, **settings: Any) -> Callable[[Callable], Exercise]:
    """Decorate the right answer; the fields of `Exercise` are the settings.

    Raises:
        ValueError: an exercise of that name exists.
    """

    def register(solution: Callable) -> Exercise:
        made = Exercise(solution, lesson, cases, **settings)
        known = EXERCISES.get(made.name)  # from the same file it is this one, loaded again
        if known is not None and known.solution.__module__ != solution.__module__:
            raise ValueError(
                f"exercise {made.name!r} exists already, in lesson {known.lesson}; choose another name"
            )
        EXERCISES[made.name] = made
        return made

    return register
