"""What each form that the JAX model is written in gains: one step of Gemma 3 270M, from the plainest form to the last.

    python -m benchmarks.forms [--rounds 15] [--store]

The steps are taken in turn, so that noise falls on all; the table has medians. `--store` writes it to `data/forms.csv`,
where lesson 09 reads it.
"""

import argparse
import contextlib
import csv
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
from jaxtyping import Array
from tqdm import trange

from gemma_edu import checkpoints
from gemma_edu.jax_model import (
    attention,
    cached_block,
    embedding,
    feedforward,
    kv_cache,
    prompt_pieces,
    screening,
)
from gemma_edu.jax_model.products import by_output, product
from gemma_edu.params import count

STORED = Path(__file__).parents[1] / "data/forms.csv"
ROOM, PROMPT = 4096, 2048
"""Places in the cache, and tokens of the long prompt."""
FORMS = (
    "einsum, one program",
    "products in fast forms",
    "cache read and written apart",
    "empty places left out",
    "weights stored by output",
    "table in 8 bits looked at first",
)
LIMIT = "all weights read once"
"""As fast as the embedding table is read."""


def plain(equation: str, x: Array, w: Array, dtype: jax.typing.DTypeLike | None = None) -> Array:
    """A product as its equation says."""
    return jnp.einsum(equation, x, w, preferred_element_type=dtype)


def in_one_program(params, config, instead: Callable | None) -> Callable[[], Array]:
    """A step that reads a token and writes the cache in one compiled function; `instead` of the package's `product`.

    It looks at all places of the cache, filled or not.
    """
    decode = jax.jit(functools.partial(kv_cache.decode, config=config), donate_argnums=2)
    state = [kv_cache.empty(config, jnp.zeros(1, jnp.int32), ROOM, params.embedding.table.dtype)]

    def step() -> Array:
        logits, state[0] = decode(params, jnp.ones(1, jnp.int32), state[0])
        return logits

    patches = [mock.patch.object(cached_block, "BLOCK", ROOM)]
    if instead:
        patches += [
            mock.patch.object(module, "product", instead) for module in (attention, feedforward, embedding)
        ]
    return traced(step, patches)


def traced(step: Callable[[], Array], patches: list) -> Callable[[], Array]:
    """`step` after its first call: what was patched while its programs were traced stays so."""
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        step()
    return step


def apart(
    params, config, block: int = cached_block.BLOCK, screen: screening.Screen | None = None
) -> Callable[[], Array]:
    """The same step as three programs: read, append, logits. The cache is looked at `block` places at a time.

    With a screen the third gives the most likely token in place of logits, and so does more than the others.
    """
    read = jax.jit(functools.partial(kv_cache.read, config=config))
    append = jax.jit(kv_cache.append, donate_argnums=0)
    logits = jax.jit(functools.partial(kv_cache.next_logits, config=config))
    choose = jax.jit(functools.partial(screening.most_likely, config=config))
    state = [kv_cache.empty(config, jnp.zeros(1, jnp.int32), ROOM, params.embedding.table.dtype)]

    def step() -> Array:
        x, new = read(params, jnp.ones((1, 1), jnp.int32), state[0])
        state[0] = append(state[0], new)
        return logits(params, x) if screen is None else choose(params, screen, x)

    return traced(step, [mock.patch.object(cached_block, "BLOCK", block)])


def read_table(params) -> Callable[[], Array]:
    """The largest single read: a row times the embedding table."""
    table = params.embedding.table
    read = jax.jit(functools.partial(product, "TD,VD->TV"))
    return lambda: read(jnp.ones((1, table.shape[1]), table.dtype), table)


def prompt(params, config, size: int) -> Callable[[], Array]:
    """Reading a prompt of `PROMPT` tokens, `size` at a time."""
    read = jax.jit(functools.partial(kv_cache.read, config=config))
    append = jax.jit(kv_cache.append, donate_argnums=0)

    def whole() -> Array:
        cache = kv_cache.empty(config, jnp.zeros(1, jnp.int32), ROOM, params.embedding.table.dtype)
        for _ in range(0, PROMPT, size):
            x, new = read(params, jnp.ones((1, size), jnp.int32), cache)
            cache = append(cache, new)
        return x

    return whole


def milliseconds(calls: dict[str, Callable[[], Array]], rounds: int) -> dict[str, float]:
    """The median time of each call, taken in turn after one that does not count."""
    times = {name: [] for name in calls}
    for _ in trange(rounds + 1, desc="rounds", leave=False):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(measured[1:]) for name, measured in times.items()}


def measure(dtype: str, rounds: int) -> dict[str, float]:
    """Milliseconds of every form with weights in `dtype`."""
    model = checkpoints.load("gemma3-270m", dtype=dtype)
    params, config = model.params, model.config
    fast = by_output(params)
    steps = (
        in_one_program(params, config, plain),
        in_one_program(params, config, None),
        apart(params, config, block=ROOM),
        apart(params, config),
        apart(fast, config),
        apart(fast, config, screen=screening.screen(fast, config)),
    )
    found = milliseconds(dict(zip(FORMS, steps, strict=True)) | {LIMIT: read_table(fast)}, rounds)
    found[LIMIT] *= count(config)["total"] / fast.embedding.table.size
    sizes = (PROMPT, *prompt_pieces.sizes(1))
    prompts = {f"prompt, {size:,} at once": prompt(fast, config, size) for size in sizes}
    return found | milliseconds(prompts, max(2, rounds // 3))


def main() -> None:
    """Measure, print, and store if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each step is taken")
    parser.add_argument("--store", action="store_true", help="keep the table for lesson 09")
    options = parser.parse_args()
    jax.config.update("jax_default_matmul_precision", "highest")
    columns = {dtype: measure(dtype, options.rounds) for dtype in ("float32", "bfloat16")}
    rows = [(form, *(f"{column[form]:.1f}" for column in columns.values())) for form in columns["float32"]]
    print(f"{'milliseconds':32}{'float32':>10}{'bfloat16':>10}")
    for form, *values in rows:
        print(f"{form:32}" + "".join(f"{value:>10}" for value in values))
    if options.store:
        with open(STORED, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("form", *columns), *rows])


if __name__ == "__main__":
    main()
