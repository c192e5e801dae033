"""Counts the FLOPs of a JAX program from its trace, without running it and without a single weight.

XLA's own count (`cost_analysis`) will not do: it counts the body of a loop once, however often the loop turns.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.interpreters import partial_eval


def flops_of(function: Callable, *arguments: Any) -> int:
    """FLOPs of the matrix products and convolutions in `function(*arguments)`; arguments can be `ShapeDtypeStruct`s.

    A multiplication and its addition are two; a convolution's padding counts as if it were data. A `scan` counts as
    often as it turns, what `jax.checkpoint` computes a second time counts again. Of a `cond` the dearest branch
    counts, of a `platform_dependent` the default one. What no result depends on does not count: compilers drop it.

    Raises:
        ValueError: products inside a `while_loop`, a Pallas kernel or a `shard_map`: a trace does not say how often
            they are computed. Count one turn, or one device, by itself.
    """
    traced = jax.make_jaxpr(function)(*arguments).jaxpr
    used, _ = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    return _flops(used)


def _flops(jaxpr: Jaxpr) -> int:
    return sum(_flops_of_equation(equation) for equation in jaxpr.eqns)


def _flops_of_equation(equation: JaxprEqn) -> int:
    name, settings = equation.primitive.name, equation.params
    if name == "dot_general":
        (axes, _), _ = settings["dimension_numbers"]
        return _multiply_adds(equation, [equation.invars[0].aval.shape[axis] for axis in axes])
    if name == "conv_general_dilated":
        outputs = settings["dimension_numbers"].rhs_spec[0]
        kernel = equation.invars[1].aval.shape
        return _multiply_adds(equation, [size for axis, size in enumerate(kernel) if axis != outputs])
    by_platform = settings.get("branches_platforms") or ()
    if None in by_platform:
        return _flops(settings["branches"][by_platform.index(None)].jaxpr)
    inner = [_flops(jaxpr) for jaxpr in _inner(equation)]
    if name == "cond":
        return max(inner)
    if name in ("while", "pallas_call", "shard_map") and any(inner):
        raise ValueError(
            f"there are matrix products inside a {name}, and its trace does not say how often they are computed: "
            "count one turn (or one device) by itself"
        )
    return settings["length"] * sum(inner) if name == "scan" else sum(inner)


def _multiply_adds(equation: JaxprEqn, summed: list[int]) -> int:
    """Two operations for each number of the result and each of those that are summed over."""
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(summed)


def _inner(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """The programs inside an equation: a loop's body, branches, a jitted or checkpointed function."""
    for setting in equation.params.values():
        for entry in setting if isinstance(setting, tuple | list) else (setting,):
            if isinstance(entry, ClosedJaxpr):
                yield entry.jaxpr
            elif isinstance(entry, Jaxpr):
                yield entry
