"""Lesson 15: the exercises on bytes and seconds, and the wrong versions that their checks know."""

import math

from gemma_edu.checks.exercise import exercise

LESSON = "15_tpu_pods"


def _bytes_sent_cases(random):
    for kind in ("all-reduce", "all-gather", "reduce-scatter"):
        yield kind, 100_000_000.0, 16
        yield kind, 3072.0, 2
        yield kind, 5e9, 256


@exercise(lesson=LESSON, cases=_bytes_sent_cases)
def bytes_sent(kind, size, chips):
    """What each chip of a ring sends, for an array of `size` bytes in all."""
    once = size * (chips - 1) / chips
    return 2 * once if kind == "all-reduce" else once


@bytes_sent.mutant()
def one_way_round(kind, size, chips):
    """the answer with one tour for an all-reduce; it takes two, one to add and one to tell everybody."""
    return size * (chips - 1) / chips


@bytes_sent.mutant()
def own_block_sent(kind, size, chips):
    """the answer without (n − 1)/n; of its n blocks a chip keeps one at each tour, and sends n − 1."""
    return size * (2 if kind == "all-reduce" else 1)


@bytes_sent.mutant()
def whole_array_each_turn(kind, size, chips):
    """the answer with the whole array sent at each of the n − 1 turns; a turn carries one block, size / n."""
    return bytes_sent.solution(kind, size, chips) * chips


@bytes_sent.mutant()
def a_single_block(kind, size, chips):
    """the answer for a single turn; a tour of the ring has n − 1 of them."""
    return bytes_sent.solution(kind, size, chips) / (chips - 1)


@bytes_sent.mutant()
def scatter_twice(kind, size, chips):
    """the answer in which a reduce-scatter goes round twice; it leaves each sum where it ended, after one tour."""
    once = size * (chips - 1) / chips
    return once if kind == "all-gather" else 2 * once


def _fewest_copies_cases(random):
    for parameters, gib in (
        (8_537_680_896, 15.75),
        (2_506_172_416, 15.75),
        (500_000_000, 4.0),
        (4_500_000_000, 64.0),
    ):
        for stage in (0, 1, 2, 3):
            yield parameters, gib * 2**30, stage


@exercise(lesson=LESSON, cases=_fewest_copies_cases)
def fewest_copies(parameters, memory, stage):
    """The least number of data-parallel chips on which the state fits; 0 if no number is enough."""
    whole = {0: 16, 1: 8, 2: 4, 3: 0}[stage] * parameters  # on every chip, however many there are
    shared = 16 * parameters - whole
    if shared == 0:
        return 1 if whole <= memory else 0
    return math.ceil(shared / (memory - whole)) if whole < memory else 0


def _fewest(parameters, memory, whole, shared):
    """The same for other bytes per parameter."""
    whole, shared = whole * parameters, shared * parameters
    if shared == 0:
        return 1 if whole <= memory else 0
    return math.ceil(shared / (memory - whole)) if whole < memory else 0


@fewest_copies.mutant()
def gradients_first(parameters, memory, stage):
    """the answer with gradients shared at stage 1; stage 1 shares Adam's moments alone, gradients follow at 2."""
    return _fewest(parameters, memory, *((16, 0), (4, 12), (4, 12), (0, 16))[stage])


@fewest_copies.mutant()
def one_moment(parameters, memory, stage):
    """the answer with 4 bytes for Adam; it keeps two moments, 8 bytes."""
    return _fewest(parameters, memory, *((12, 0), (8, 4), (4, 8), (0, 12))[stage])


@fewest_copies.mutant()
def all_shared(parameters, memory, stage):
    """the answer with all 16 bytes shared at every stage; that is ZeRO-3, the stages before keep some of them whole."""
    return math.ceil(16 * parameters / memory)


@fewest_copies.mutant()
def rounded_down(parameters, memory, stage):
    """the answer rounded down; with that many chips the state is still too large, so round up."""
    whole = {0: 16, 1: 8, 2: 4, 3: 0}[stage] * parameters
    exact = fewest_copies.solution(parameters, memory, stage)
    if exact == 0 or whole == 16 * parameters:
        return exact
    return math.floor((16 * parameters - whole) / (memory - whole))


@fewest_copies.mutant()
def room_not_checked(parameters, memory, stage):
    """the answer without a look at what stays whole; where that alone is too much, no number of chips is enough: 0."""
    if stage == 0:
        return fewest_copies.solution(parameters, memory, stage)
    whole = {1: 8, 2: 4, 3: 0}[stage] * parameters
    return math.ceil((16 * parameters - whole) / (memory - whole))


@fewest_copies.mutant()
def bfloat16_weights(parameters, memory, stage):
    """the answer with weights in bfloat16 and no float32 copy; training keeps 4 bytes for each weight."""
    return _fewest(parameters, memory, *((14, 0), (6, 8), (2, 12), (0, 14))[stage])


def _most_ways_cases(random):
    for hidden_dim in (24_576, 16_384, 11_008, 2_048, 1_600):
        yield hidden_dim, 197e12, 100e9
    yield 24_576, 197e12, 50e9
    yield 16_384, 989e12, 450e9


@exercise(lesson=LESSON, cases=_most_ways_cases)
def most_ways(hidden_dim, flops_per_second, bytes_per_second):
    """The most ways (a power of 2) to split a feed-forward layer before its sum takes longer than its products."""
    return _largest(lambda n: 6 * hidden_dim / n / flops_per_second >= 2 * (n - 1) / n * 2 / bytes_per_second)


def _largest(worth):
    """The largest power of 2 that is still worth it; 1 is always."""
    ways = 1
    while ways < 1024 and worth(2 * ways):
        ways *= 2
    return ways


@most_ways.mutant()
def two_matrices(hidden_dim, flops_per_second, bytes_per_second):
    """the answer with two matrices; a gated layer has three, of 2·D·F FLOPs for a token each."""
    return _largest(lambda n: 4 * hidden_dim / n / flops_per_second >= 4 * (n - 1) / n / bytes_per_second)


@most_ways.mutant()
def sent_in_float32(hidden_dim, flops_per_second, bytes_per_second):
    """the answer with 4 bytes for each number of the stream; in bfloat16 it has 2."""
    return _largest(lambda n: 6 * hidden_dim / n / flops_per_second >= 8 * (n - 1) / n / bytes_per_second)


@most_ways.mutant()
def products_not_divided(hidden_dim, flops_per_second, bytes_per_second):
    """the answer with all products on every chip; n chips have F/n columns each, so they take 1/n of the time."""
    return _largest(lambda n: 6 * hidden_dim / flops_per_second >= 4 * (n - 1) / n / bytes_per_second)


@most_ways.mutant()
def half_a_sum(hidden_dim, flops_per_second, bytes_per_second):
    """the answer with one tour of the ring; an all-reduce takes two, 2·(n − 1)/n times the array."""
    return _largest(lambda n: 6 * hidden_dim / n / flops_per_second >= 2 * (n - 1) / n / bytes_per_second)


@most_ways.mutant()
def one_more_doubling(hidden_dim, flops_per_second, bytes_per_second):
    """the first power of 2 at which the sum takes *longer*; asked for is the last at which it does not."""
    return 2 * most_ways.solution(hidden_dim, flops_per_second, bytes_per_second)
