"""A TPU's rounding on a CPU: float32 products at JAX's default precision, computed as a TPU computes them.

A TPU multiplies bfloat16 numbers and sums in float32. Unless it is told otherwise, it rounds both factors of a float32
product to bfloat16's 8 significant bits first (`jax.lax.Precision.DEFAULT`: one pass), which moves a result by about
0.002 of its size where float32 alone moves it by 0.0000003. `jax_default_matmul_precision="highest"` asks for six
passes instead. A CPU ignores the setting and is always exact, so code that forgets it passes every test there and
fails on a TPU. While this emulation is on, it fails on a CPU as well.

XLA's CPU compiler has no such mode. So the two operations that multiply, `dot_general` and `conv_general_dilated`, are
lowered with their float32 factors rounded (`jax.lax.reduce_precision` to 8 bits of exponent and 7 of fraction) where
their precision is the default, and are left alone elsewhere. Gradients and loops consist of the same operations.

Not emulated: the three passes of "high", which stay exact; the error that six passes leave; a TPU's `exp` and `tanh`,
subnormal numbers and order of summation.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax._src.lax.convolution import conv_general_dilated_p
from jax._src.lax.lax import dot_general_p
from jax.interpreters import mlir

DEFAULT, HIGHEST = jax.lax.Precision.DEFAULT, jax.lax.Precision.HIGHEST
PRODUCTS = (dot_general_p, conv_general_dilated_p)
_exact_rules: dict = {}
"""JAX's own rules, while the emulation is on."""
counts = Counter()
"""The float32 products in what JAX compiled since `start`: those at default precision, `rounded`, and `exact` ones.
Equal ones in one program are one, and so is a loop's."""


def start() -> None:
    """Round from now on; what was compiled before is forgotten. Does nothing if the emulation is on already."""
    rules = mlir._platform_specific_lowerings["cpu"]  # private: JAX has no public way to read a rule back
    if _exact_rules:
        return
    counts.clear()
    for operation in PRODUCTS:
        _exact_rules[operation] = rules[operation]
        mlir.register_lowering(operation, _rounding_rule(operation, rules[operation].rule), platform="cpu")
    jax.clear_caches()


def stop() -> None:
    """Compute in float32 again; what was compiled while rounding is forgotten."""
    mlir._platform_specific_lowerings["cpu"].update(_exact_rules)
    _exact_rules.clear()
    jax.clear_caches()


@contextlib.contextmanager
def emulated() -> Iterator[None]:
    """Round inside a `with` block; does nothing if the emulation is on already."""
    if _exact_rules:
        yield
        return
    start()
    try:
        yield
    finally:
        stop()


def is_rounded(precision: object, *dtypes: object) -> bool:
    """Whether a TPU rounds the factors of a product: some are float32, and its precision is the default."""
    precisions = precision if isinstance(precision, tuple) else (precision,)
    return jnp.float32 in dtypes and all(p is None or p == DEFAULT for p in precisions)


def _rounding_rule(operation, exact: Callable) -> Callable:
    """How to lower `operation` on a CPU: at default precision with rounded factors, else by the rule `exact`."""

    def rule(context, x, y, *, precision, **settings):
        dtypes = [aval.dtype for aval in context.avals_in]
        if not is_rounded(precision, *dtypes):
            counts["exact"] += jnp.float32 in dtypes
            return exact(context, x, y, precision=precision, **settings)

        def rounded(x, y):
            # "highest" keeps this product from coming here again; a CPU computes it like any other
            return operation.bind(_round(x), _round(y), precision=(HIGHEST, HIGHEST), **settings)

        exact_ones = counts["exact"]
        result = mlir.lower_fun(rounded, multiple_results=False)(context, x, y)
        counts.update(rounded=1, exact=exact_ones - counts["exact"])  # what it became is none of its own
        return result

    return rule


def _round(x: jax.Array) -> jax.Array:
    """A float32 array as bfloat16 numbers; others as they are."""
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7) if x.dtype == jnp.float32 else x
