"""Lesson 15: the exercises on spreading a model over chips, and the wrong versions that their checks know."""

import math

import numpy as np

from gemma_edu import presets
from gemma_edu.checks.exercise import exercise

LESSON = "15_tpu_pods"
POD = {"data": 16, "model": 16}
RULES = {"D": "data", "N": "model", "K": "model", "F": "model", "V": "model"}


def _part_shape_cases(random):
    yield "DNH", (3072, 16, 256), RULES, POD
    yield "DKH", (2048, 1, 256), RULES, POD  # one key head
    yield "FD", (24576, 3072), RULES, {"data": 8, "model": 4}
    yield (
        "DNH",
        (32, 8, 24),
        {"D": "model", "N": "model", "H": "data"},
        {"data": 2, "model": 4},
    )  # an axis twice
    yield "VD", (256000, 2048), {"D": "data"}, {"data": 256, "model": 1}
    yield "DKH", (32, 1, 24), {"D": "data", "K": "model", "H": "model"}, {"data": 2, "model": 4}


@exercise(lesson=LESSON, cases=_part_shape_cases)
def part_shape(letters, shape, rules, mesh):
    """The shape of what one chip holds of an array."""
    used, parts = set(), []
    for letter, size in zip(letters, shape, strict=True):
        axis = rules.get(letter)
        if axis is None or axis in used or size == 1:
            parts.append(size)
        else:
            used.add(axis)
            parts.append(size // mesh[axis])
    return tuple(parts)


@part_shape.mutant()
def each_rule_by_itself(letters, shape, rules, mesh):
    """the shape with every rule followed; but one head stays whole, and a mesh axis splits an array only once."""
    ways = [mesh[rules[letter]] if letter in rules else 1 for letter in letters]
    return tuple(size // way for size, way in zip(shape, ways, strict=True))


@part_shape.mutant()
def axis_used_twice(letters, shape, rules, mesh):
    """the shape with one mesh axis splitting two axes of the array; once it has split one, it has no chips left."""
    return tuple(
        size if size == 1 or letter not in rules else size // mesh[rules[letter]]
        for letter, size in zip(letters, shape, strict=True)
    )


@part_shape.mutant()
def one_head_split(letters, shape, rules, mesh):
    """the shape with an axis of size 1 split, which leaves nothing; one head stays whole, on every chip."""
    used, parts = set(), []
    for letter, size in zip(letters, shape, strict=True):
        axis = rules.get(letter)
        parts.append(size if axis is None or axis in used else size // mesh[axis])
        used.add(axis)
    return tuple(parts)


@part_shape.mutant()
def axis_wasted_on_one_head(letters, shape, rules, mesh):
    """the shape where an axis of size 1 uses up its mesh axis although it stays whole; a later letter may have it."""
    used, parts = set(), []
    for letter, size in zip(letters, shape, strict=True):
        axis = rules.get(letter)
        parts.append(size if axis is None or axis in used or size == 1 else size // mesh[axis])
        used.add(axis)
    return tuple(parts)


@part_shape.mutant()
def right_to_left(letters, shape, rules, mesh):
    """the shape with letters served from right to left; where two want the same mesh axis, the left one gets it."""
    return part_shape.solution(letters[::-1], shape[::-1], rules, mesh)[::-1]


@part_shape.mutant()
def all_by_all(letters, shape, rules, mesh):
    """the shape with each axis split over the whole mesh; a rule names one axis of the mesh, so divide by its size."""
    chips = math.prod(mesh.values())
    parts = part_shape.solution(letters, shape, rules, mesh)
    return tuple(
        size if size == part else max(1, size // chips) for size, part in zip(shape, parts, strict=True)
    )


def _cache_on_a_chip_cases(random):
    for config in (presets.GEMMA_2B, presets.GEMMA_7B, presets.LLAMA2_7B):
        for ways in (1, 4, 16, 32):
            if config.num_heads % ways == 0:
                yield config, 8192, ways
    yield presets.GEMMA_7B.replace(name="four key heads", num_kv_heads=4), 1000, 16
    yield presets.GEMMA_7B.replace(name="four key heads", num_kv_heads=4), 77, 2


@exercise(lesson=LESSON, cases=_cache_on_a_chip_cases)
def cache_on_a_chip(config, tokens, ways):
    """Bytes of the bfloat16 KV cache on each chip of a row of `ways`."""
    heads = max(1, config.num_kv_heads // ways)
    return 2 * config.num_layers * tokens * heads * config.head_dim * 2


@cache_on_a_chip.mutant()
def divided_anyway(config, tokens, ways):
    """the whole cache divided by the chips; a head is not divided, so with fewer heads than chips it is copied."""
    return 2 * config.num_layers * tokens * config.num_kv_heads * config.head_dim * 2 // ways


@cache_on_a_chip.mutant()
def query_heads(config, tokens, ways):
    """the answer with a key for every *query* head; with K < N, several of those read one key head."""
    return 2 * config.num_layers * tokens * (config.num_heads // ways) * config.head_dim * 2


@cache_on_a_chip.mutant()
def copied_whole(config, tokens, ways):
    """the whole cache on every chip wherever there are fewer heads than chips; a chip keeps only the head it needs."""
    heads = config.num_kv_heads
    return cache_on_a_chip.solution(config, tokens, 1 if heads < ways else ways)


@cache_on_a_chip.mutant()
def keys_alone(config, tokens, ways):
    """the bytes of the keys alone; the values are as many again."""
    return cache_on_a_chip.solution(config, tokens, ways) // 2


def _mean_across_cases(random):
    for counts in ((3, 1), (4, 4, 4), (5, 1, 2, 1), (1, 7)):
        rows = len(counts), max(counts)
        weights = (np.arange(rows[1]) < np.array(counts)[:, None]).astype(np.float32)
        yield random.uniform(1, 9, rows).astype(np.float32), weights


@exercise(lesson=LESSON, cases=_mean_across_cases)
def mean_across(losses_CT, weights_CT):
    """The batch's mean loss, from two sums over chips."""
    sums_C = (losses_CT * weights_CT).sum(1)
    counts_C = weights_CT.sum(1)
    return sums_C.sum() / counts_C.sum()


@mean_across.mutant(shipped_by="meta-pytorch/torchtune #1875")
def mean_of_means(losses_CT, weights_CT):
    """the mean of the chips' means; a chip with few predictions counts as much as one with many. Add up first."""
    sums_C, counts_C = (losses_CT * weights_CT).sum(1), weights_CT.sum(1)
    return (sums_C / counts_C).mean()


@mean_across.mutant()
def padding_counted(losses_CT, weights_CT):
    """the weighted sum over *all* places; padding must not be in the divisor either, which is Σ weights."""
    return (losses_CT * weights_CT).mean()


@mean_across.mutant()
def weights_ignored(losses_CT, weights_CT):
    """the mean of all losses, those of padding included; the weights say which predictions count."""
    return losses_CT.mean()


@mean_across.mutant()
def divided_by_chips(losses_CT, weights_CT):
    """the mean divided by the number of chips once more; a sum of losses over a sum of counts needs no such factor."""
    return mean_across.solution(losses_CT, weights_CT) / len(losses_CT)
