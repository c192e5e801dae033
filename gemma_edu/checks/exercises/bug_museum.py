"""Lesson 13: the exercises on finding bugs, and the wrong answers that their checks know."""

import functools

import numpy as np

from gemma_edu import museum, presets
from gemma_edu.checks.exercise import exercise
from gemma_edu.museum.fingerprint import fingerprint

LESSON = "13_bug_museum"
SUSPECTS = (
    "missing_bos", "double_bos", "eos_only", "no_unit_offset", "interleaved_rope", "theta_exponent",
    "bf16_positions", "window_off_by_one", "kv_heads_in_turns",
)  # fmt: skip


@functools.cache
def _fingerprints() -> tuple[dict, ...]:
    return tuple(map(fingerprint, (museum.Port(), *map(museum.bug, SUSPECTS))))


def _which_bug_cases(random):
    for outputs in _fingerprints():
        yield (outputs,)


@exercise(lesson=LESSON, cases=_which_bug_cases)
def which_bug(outputs):
    """Name a port's bug from seven of its outputs."""
    if outputs["ids"].count(2) != 1:
        return "double_bos" if 2 in outputs["ids"] else "missing_bos"
    if outputs["ends"] != [1, 106]:
        return "eos_only"
    if outputs["norm"] != [0.4, 0.7]:
        return "no_unit_offset"
    if outputs["turned"][2] == 0:
        return "interleaved_rope"
    if outputs["turned"][3] != 0.01:
        return "theta_exponent"
    if abs(outputs["far"][0] - np.cos(257)) > 0.001:
        return "bf16_positions"
    if sum(outputs["seen"]) != 2:
        return "window_off_by_one"
    return "none" if outputs["heads"] == [0, 0, 1, 1] else "kv_heads_in_turns"


@which_bug.mutant()
def everyone_is_guilty(outputs):
    """the list of verdicts in which a port without a bug has one; its answer is "none"."""
    found = which_bug.solution(outputs)
    return "kv_heads_in_turns" if found == "none" else found


@which_bug.mutant()
def every_turn_is_neighbours(outputs):
    """the verdict that takes any wrong turn for neighbours. With half the exponent the first number still meets the
    third, and only the second pair turns too fast."""
    found = which_bug.solution(outputs)
    return "interleaved_rope" if found == "theta_exponent" else found


@which_bug.mutant()
def far_not_looked_at(outputs):
    """the verdict without `far`: at position 1, rounded positions are right; at 257 they are those of 256."""
    found = which_bug.solution(outputs)
    return "none" if found == "bf16_positions" else found


@which_bug.mutant()
def begins_with_two(outputs):
    """the verdict that only asks whether the ids begin with 2; two of them are a bug as well."""
    found = which_bug.solution(outputs)
    return "none" if found == "double_bos" else found


def _blind_cases(random):
    gemma = presets.TINY_GEMMA3_270M
    yield presets.TINY_GEMMA_2B.replace(embed_dim=96), 7
    yield gemma, 4
    yield gemma.replace(num_kv_heads=2), 5
    yield presets.TINY_GEMMA_7B.replace(embed_dim=100), 7
    yield gemma.replace(num_kv_heads=8, rope_theta_local=None, head_dim=2), 3
    yield presets.TINY_GROUPED, 40


@exercise(lesson=LESSON, cases=_blind_cases)
def blind_to(config, length):
    """Say which bugs a toy cannot show."""
    blind = []
    if config.num_heads * config.head_dim == config.embed_dim:
        blind.append("derived_head_size")
    if config.num_kv_heads in (1, config.num_heads):
        blind.append("kv_heads_in_turns")
    if config.head_dim == 2:
        blind.append("theta_exponent")
    if config.rope_theta_local is None:
        blind.append("thetas_exchanged")
    if config.window_size is None or length <= config.window_size:
        blind.append("window_off_by_one")
    return blind


@blind_to.mutant()
def only_multi_query_hides(config, length):
    """the list without toys that have a key/value head for each query head; there the order of copies does not matter
    either."""
    found = blind_to.solution(config, length)
    return [name for name in found if name != "kv_heads_in_turns" or config.num_kv_heads == 1]


@blind_to.mutant()
def full_window_shows(config, length):
    """the list that trusts a text exactly as long as the window; its last token still sees all, in both versions."""
    found = blind_to.solution(config, length)
    return [name for name in found if name != "window_off_by_one" or length != config.window_size]


@blind_to.mutant()
def no_window_shows(config, length):
    """the list that forgets toys without a window, where there is no edge to be wrong."""
    found = blind_to.solution(config, length)
    return [name for name in found if name != "window_off_by_one" or config.window_size is not None]


@blind_to.mutant(shipped_by="transformers 4.38.0, #29181, whose reshape took D for N·H")
def divided_down(config, length):
    """the list that compares H with D // N, a whole number: 100 // 8 is 12, and yet 8 · 12 is not 100."""
    hides = config.embed_dim // config.num_heads == config.head_dim
    found = [name for name in blind_to.solution(config, length) if name != "derived_head_size"]
    return ["derived_head_size"] * hides + found
