"""Checks of the exercises: right or not, and if not, which mistake it was.

`check("name", function)` is all that a lesson needs. The exercises are in `exercises/`; beside it stand what an
exercise is (`exercise`), what a call comes to (`outcome`), the check itself (`check`) and its words (`describe`).
"""

from gemma_edu.checks import exercises
from gemma_edu.checks.check import CheckFailed, check, every_mutant
from gemma_edu.checks.exercise import EXERCISES, Exercise, Mutant

__all__ = ["EXERCISES", "CheckFailed", "Exercise", "Mutant", "check", "every_mutant", "exercises"]
