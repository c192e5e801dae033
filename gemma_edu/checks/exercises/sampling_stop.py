"""Lesson 10: the exercises on stop strings and on temperature, and the wrong versions that their checks know."""

import math

import numpy as np

from gemma_edu.checks.exercise import exercise


def _held_cases(random):
    yield "See\nUs", ["\nUser:"]
    yield "See\nUs ", ["\nUser:"]
    yield "abcabab", ["ababc", "bx"]  # "abab", though "ab" fits too
    yield "one two\nUser", ["END", "\nUser:", "r:"]
    yield "EN", ["<stop>", "END."]
    yield "no end in sight", ["END"]
    yield "a line of User", ["\nUser:"]
    yield "x##", ["###", "#!"]


@exercise(lesson="10_generation", cases=_held_cases)
def held_back(text, stops):
    """How many characters at the end of a text may be the beginning of a stop string."""
    return max((_overlaps(text, stop)[-1] for stop in stops), default=0)


def _overlaps(text, stop):
    """0, and the lengths of all ends of the text with which the stop string begins."""
    return [n for n in range(len(stop)) if text.endswith(stop[:n])]


@held_back.mutant()
def held_back_always(text, stops):
    """the length of the longest stop string less one, whatever the text ends with; that is safe, but it delays every
    text. Hold back only what fits."""
    return max(len(stop) for stop in stops) - 1


@held_back.mutant()
def held_back_shortest(text, stops):
    """the first end that was found to fit; a longer one may fit as well, and then all of it must wait: take the
    longest."""
    return next((n for stop in stops for n in _overlaps(text, stop) if n), 0)


@held_back.mutant()
def held_back_from_anywhere(text, stops):
    """the longest beginning of a stop string found *anywhere* in the text; what is followed by something else cannot
    become one any more, so it must be at the end."""
    return max((n for stop in stops for n in range(len(stop)) if stop[:n] in text), default=0)


@held_back.mutant()
def held_back_for_the_first_stop(text, stops):
    """the answer for the first stop string alone; look at all of them."""
    return _overlaps(text, stops[0])[-1]


@held_back.mutant()
def held_back_one(text, stops):
    """at most 1, for a last character with which a stop string begins; a beginning can be longer than one character."""
    return int(any(text.endswith(stop[0]) for stop in stops))


@held_back.mutant(shipped_by="LostRuins/koboldcpp #1031")
def held_back_for_any_part(text, stops):
    """the longest end that occurs *anywhere* in a stop string; only what a stop string *begins* with can still become
    one."""
    return max((n for n in range(len(text) + 1) for s in stops if text[len(text) - n :] in s), default=0)


@held_back.mutant(shipped_by="vllm-project/vllm #3574, huggingface/text-generation-inference #1254")
def held_back_never(text, stops):
    """nothing held back in any case, so the beginning of a stop string is shown before the rest of it arrives."""
    return 0


def _wanted_cases(random):
    yield np.log(np.array([0.4, 0.3, 0.2, 0.1])), 0.16 / 0.30
    yield random.standard_normal(11), 0.5
    yield random.standard_normal(30) * 8 + 900.0, 0.2
    yield np.array([3.0, 2.9, -1.0, -4.0, 0.0]), 0.9
    yield random.standard_normal(50), 0.021


@exercise(lesson="10_generation", cases=_wanted_cases, tolerance=1e-4)
def temperature_for(logits_V, wanted):
    """The temperature at which the most likely token has the wanted probability."""
    return _search(logits_V, lambda probs_V: probs_V.max() > wanted)


def _odds(logits_V):
    """softmax of one row, safe for large logits."""
    weights_V = np.exp(logits_V - np.max(logits_V))
    return weights_V / weights_V.sum()


def _search(logits_V, too_cold):
    low, high = 1e-3, 1e3
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_cold(_odds(logits_V / middle)) else (low, middle)
    return middle


@temperature_for.mutant()
def temperature_for_wrong_half(logits_V, wanted):
    """an end of the interval: the search goes into the wrong half. Where the top token has *more* than wanted it is
    too cold, and the answer lies higher."""
    return _search(logits_V, lambda probs_V: probs_V.max() <= wanted)


@temperature_for.mutant()
def temperature_for_products(logits_V, wanted):
    """one over the temperature, the number that logits are *multiplied* with; a temperature divides them."""
    return 1 / temperature_for.solution(logits_V, wanted)


@temperature_for.mutant()
def temperature_for_the_first(logits_V, wanted):
    """the temperature for token 0; the most likely token need not have the id 0."""
    return _search(logits_V, lambda probs_V: probs_V[0] > wanted)


@temperature_for.mutant()
def temperature_for_one_step(logits_V, wanted):
    """one step of the search, 1 in all cases: each pass must move low or high to the middle."""
    return 1.0


@temperature_for.mutant()
def temperature_for_overflow(logits_V, wanted):
    """the result of a softmax without its largest logit subtracted: right for small logits, but e^900 is no float."""
    return temperature_for.solution(logits_V, wanted) if logits_V.max() < 700 else 1e-3
