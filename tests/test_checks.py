"""The checks know right answers in any dress, and every wrong version by its name."""

import importlib
import pkgutil

import numpy as np
import pytest
import right_answers

from gemma_edu.checks import EXERCISES, CheckFailed, check, every_mutant
from gemma_edu.checks.outcome import call, is_number, same

RIGHT_ANSWERS = {
    name: answers
    for module in pkgutil.iter_modules(right_answers.__path__)
    for name, answers in importlib.import_module(f"right_answers.{module.name}").RIGHT_ANSWERS.items()
}
EACH_EXERCISE = pytest.mark.parametrize("exercise", list(EXERCISES.values()), ids=list(EXERCISES))
EACH_MUTANT = pytest.mark.parametrize(
    ("exercise", "mutant"),
    [
        pytest.param(exercise, mutant, id=f"{exercise.name}-{mutant.name}")
        for exercise, mutant in every_mutant()
    ],
)


def failure(exercise, answer):
    """What the check says to a wrong answer."""
    with pytest.raises(CheckFailed) as caught:
        check(exercise.name, answer)
    return caught.value


@EACH_EXERCISE
def test_right_answers_pass(exercise, capsys):
    assert len(RIGHT_ANSWERS[exercise.name]) >= 2
    for answer in (exercise.solution, *RIGHT_ANSWERS[exercise.name]):
        assert check(exercise.name, answer) is None
        assert f"{exercise.name}: right" in capsys.readouterr().out


@EACH_MUTANT
def test_each_mutant_is_rejected_and_named(exercise, mutant):
    error = failure(exercise, mutant.wrong)
    assert error.mutant is not None, f"rejected, but not recognised:\n{error}"
    assert error.mutant.name == mutant.name
    assert mutant.diagnosis in str(error)
    assert mutant.shipped_by in str(error)


@EACH_EXERCISE
def test_mutants_are_told_apart_in_words(exercise):
    diagnoses = [mutant.diagnosis for mutant in exercise.mutants]
    assert len(diagnoses) == len(set(diagnoses)) >= 2
    assert all(len(words) > 40 and words[0].islower() and words.endswith(".") for words in diagnoses), (
        diagnoses
    )


def with_noise(exercise):
    """Nearly right: one entry of every result is off by a half and a bit."""

    def answer(*arguments):
        result = exercise.solution(*arguments)
        first, *rest = result if isinstance(result, tuple) else (result,)
        first = np.array(first)
        if not is_number(first) or first.dtype.kind == "b":
            return None
        first = np.array(first, np.float64, order="C")
        first.reshape(-1)[-1] += 0.57 + abs(first.reshape(-1)[-1])
        return (first, *rest) if rest else first

    return answer


@EACH_EXERCISE
def test_a_random_wrong_answer_is_told_what_was_tried_and_how_far_off_it_is(exercise):
    error = failure(exercise, with_noise(exercise))
    assert error.mutant is None
    assert f"{exercise.name} is not right yet" in str(error)
    assert "Tried: " + exercise.parameters[0] in str(error) and "; case " in str(error)
    assert "seed 0" in str(error) or takes_array(exercise) is None
    assert "Found: " in str(error)


@EACH_EXERCISE
def test_nothing_and_errors_are_reported(exercise):
    assert "it returned nothing" in str(failure(exercise, lambda *arguments: None))
    assert "it returned nothing" in str(failure(exercise, lambda *arguments: ...))
    error = failure(exercise, lambda: None)
    assert "it raised TypeError" in str(error) and isinstance(error.__cause__, TypeError)


def takes_array(exercise):
    """The number of an argument that is an array in some case, and so can be changed in place; else None."""
    numbered = (pair for arguments in exercise.arguments() for pair in enumerate(arguments))
    return next((i for i, argument in numbered if isinstance(argument, np.ndarray) and argument.size), None)


@pytest.mark.parametrize(
    "name", [name for name, exercise in EXERCISES.items() if takes_array(exercise) is not None]
)
def test_an_argument_changed_in_place_is_reported(name):
    exercise = EXERCISES[name]
    number = takes_array(exercise)

    def answer(*arguments):
        result = exercise.solution(*arguments)
        if isinstance(arguments[number], np.ndarray):
            arguments[number][...] = 77
        return result

    assert f"changed its argument {exercise.parameters[number]} in place" in str(failure(exercise, answer))


@pytest.mark.parametrize("name", [name for name, exercise in EXERCISES.items() if exercise.keeps_dtype])
def test_another_dtype_is_reported_where_it_matters(name):
    widened = lambda *arguments: np.asarray(EXERCISES[name].solution(*arguments)).astype(np.float64)  # noqa: E731
    assert "float64; they should be" in str(failure(EXERCISES[name], widened))


@EACH_EXERCISE
def test_cases_are_several_and_the_same_each_time(exercise):
    first, second = exercise.arguments(), exercise.arguments()
    assert len(first) == len(second) >= 2
    for one, other in zip(first, second, strict=True):
        assert same(call(exercise.solution, one), call(exercise.solution, other), tolerance=0.0)


def test_there_are_enough_of_them():
    assert len(EXERCISES) >= 32
    assert len(list(every_mutant())) >= 40
    assert RIGHT_ANSWERS.keys() == EXERCISES.keys()
    lessons = [exercise.lesson for exercise in EXERCISES.values()]
    assert all(lessons.count(lesson) >= 4 for lesson in set(lessons))
    assert {lesson[:2] for lesson in lessons} >= {
        *(f"{number:02}" for number in range(1, 11)),
        "12",
        "13",
        "15",
    }
