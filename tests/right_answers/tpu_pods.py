"""Right answers to lesson 15's exercises, written as learners write them."""

import math

import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, PartitionSpec

from gemma_edu.compare import kv_cache


def with_a_list_of_free_axes(letters, shape, rules, mesh):
    free = list(mesh)
    result = list(shape)
    for number, letter in enumerate(letters):
        if rules.get(letter) in free and shape[number] > 1:
            result[number] //= mesh[rules[letter]]
            free.remove(rules[letter])
    return result


def with_a_partition_spec(letters, shape, rules, mesh):
    spec = []
    for letter, size in zip(letters, shape, strict=True):
        axis = rules.get(letter)
        spec.append(axis if axis not in spec and size != 1 else None)
    where = AbstractMesh(tuple(mesh.values()), tuple(mesh))
    ways = [1 if axis is None else where.shape[axis] for axis in PartitionSpec(*spec)]
    return tuple(int(size) for size in np.array(shape) // ways)


def by_a_table(kind, size, chips):
    tours = {"all-reduce": 2, "all-gather": 1, "reduce-scatter": 1}
    return tours[kind] * (size - size / chips)


def turn_by_turn(kind, size, chips):
    sent, block = 0.0, size / chips
    for _ in range(chips - 1):
        sent += block
        if kind == "all-reduce":
            sent += block
    return sent


def by_trying(parameters, memory, stage):
    for n in range(1, 10_000):
        weights, gradients, moments = (
            part / n if stage >= s else part for part, s in ((4, 3), (4, 2), (8, 1))
        )
        if parameters * (weights + gradients + moments) <= memory:
            return n
    return 0


def with_numpy(parameters, memory, stage):
    n = np.arange(1, 5_000)
    held = 4 / n ** (stage > 2) + 4 / n ** (stage > 1) + 8 / n ** (stage > 0)
    fits = held * parameters <= memory
    return int(n[fits.argmax()]) if fits.any() else 0


def with_the_package(config, tokens, ways):
    if ways >= config.num_kv_heads:
        config = config.replace(num_kv_heads=1)
        return kv_cache.size(config, batch=1, capacity=tokens)
    return kv_cache.size(config, batch=1, capacity=tokens) // ways


def head_by_head(config, tokens, ways):
    heads = math.ceil(config.num_kv_heads / ways)
    return sum(2 * 2 * config.head_dim * tokens for _ in range(config.num_layers) for _ in range(heads))


def with_jnp(losses_CT, weights_CT):
    return jnp.vdot(losses_CT, weights_CT) / jnp.sum(weights_CT)


def with_loops(losses_CT, weights_CT):
    total = count = 0.0
    for losses, weights in zip(losses_CT, weights_CT, strict=True):
        for loss, weight in zip(losses, weights, strict=True):
            total, count = total + float(loss) * float(weight), count + float(weight)
    return total / count


def in_closed_form(hidden_dim, flops_per_second, bytes_per_second):
    n = 1 + 1.5 * hidden_dim * bytes_per_second / flops_per_second
    return 2 ** int(math.log2(n))


def upwards(hidden_dim, flops_per_second, bytes_per_second, width=512):
    best = 1
    for n in (2, 4, 8, 16, 32, 64, 128):
        products = 3 * 2 * width * hidden_dim / n / flops_per_second
        message = 2 * (n - 1) / n * width * 2 / bytes_per_second
        best = n if products >= message else best
    return best


RIGHT_ANSWERS = {
    "part_shape": (with_a_list_of_free_axes, with_a_partition_spec),
    "bytes_sent": (by_a_table, turn_by_turn),
    "fewest_copies": (by_trying, with_numpy),
    "cache_on_a_chip": (with_the_package, head_by_head),
    "mean_across": (with_jnp, with_loops),
    "most_ways": (in_closed_form, upwards),
}
