"""From logits to the next token: penalties, temperature, top-k, top-p, draw; in that order.

The same as in NumPy, found without sorting. A sort of Gemma's 262,144 logits takes XLA about 120 ms on two CPU cores,
more than the whole 270M model takes to make them; the two searches here take about 3 ms (benchmarks/sampling.py
compares decoding with and without). As their number of steps is fixed, one program serves all values of all parameters.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def penalise(
    logits: Float[Array, "B V"],
    counts: Int[Array, "B V"],
    frequency_penalty: float | Float[Array, ""],
    presence_penalty: float | Float[Array, ""],
) -> Float[Array, "B V"]:
    """logit − count · frequency_penalty − [count > 0] · presence_penalty (OpenAI's API reference).

    `counts` says how often each token was *generated*; the prompt does not count.
    """
    counts_BV, present_BV = counts.astype(jnp.float32), (counts > 0).astype(jnp.float32)
    return logits - counts_BV * frequency_penalty - present_BV * presence_penalty


def temper(logits: Float[Array, "B V"], temperature: float | Float[Array, ""]) -> Float[Array, "B V"]:
    """logits / temperature, for a temperature above 0: below 1 sharpens the odds, above 1 flattens them."""
    return logits / temperature


def top_k(logits: Float[Array, "B V"], k: int | Int[Array, ""]) -> Float[Array, "B V"]:
    """Keep the k largest logits and all that equal the k-th; −∞ for the others. A k of V or more keeps all."""
    return _keep_until(k, logits, jnp.ones_like(logits), logits)


def top_p(logits: Float[Array, "B V"], p: float | Float[Array, ""]) -> Float[Array, "B V"]:
    """Keep each token if those more likely than it have together less than p; −∞ for the others.

    So what is kept is the smallest set of most likely tokens that reaches p (nucleus sampling, Holtzman et al. 2020,
    section 3.1), and the token that reaches it is in. The most likely token stays whatever p; p = 1 keeps all.
    """
    limit = jnp.where(p >= 1, jnp.inf, p)  # the sum of all could come out as 0.9999999
    # Probabilities rank as logits do, so the search reads one array instead of two.
    probs_BV = jax.nn.softmax(logits)
    return _keep_until(limit, probs_BV, probs_BV, logits)


def filter_logits(
    logits: Float[Array, "B V"],
    counts: Int[Array, "B V"],
    frequency_penalty: float | Float[Array, ""],
    presence_penalty: float | Float[Array, ""],
    temperature: float | Float[Array, ""],
    k: int | Int[Array, ""],
    p: float | Float[Array, ""],
) -> Float[Array, "B V"]:
    """All of the above, each on what the one before it left. Off are: penalties 0, temperature 1, k = V, p = 1."""
    penalised_BV = penalise(logits, counts, frequency_penalty, presence_penalty)
    return top_p(top_k(temper(penalised_BV, temperature), k), p)


def draw(logits: Float[Array, "B V"], uniform: Float[Array, " B"]) -> Int[Array, " B"]:
    """A token of each row with the odds softmax(logits), from a random number in [0, 1): inverse transform sampling.

    The first token up to which the odds add up to more than `uniform`; so never one with logit −∞. One random number
    a row, where `jax.random.categorical` needs V of them and two logarithms of each: on a CPU 0.5 ms instead of 6.
    """
    weights_BV = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    square_BRC = square(weights_BV, 0.0)
    mass_BR = jnp.sum(square_BRC, axis=-1)
    row_B, rest_B = _first_past(uniform * jnp.sum(mass_BR, axis=-1), mass_BR)
    row_BC = jnp.take_along_axis(square_BRC, row_B[:, None, None], axis=1)[:, 0]
    column_B, _ = _first_past(rest_B, row_BC)
    return row_B * square_BRC.shape[-1] + column_B


def most_likely(logits: Float[Array, "B V"]) -> Int[Array, " B"]:
    """The token with the highest logit in each row; of several, the first.

    That is argmax, which XLA's CPU compiler computes number by number: 1.2 ms for 262,144 of them. Their maximum takes
    it 0.1, so we search for the row of a square that has it, and for the place in that row.
    """
    square_BRC = square(logits, -jnp.inf)
    row_B = square_BRC.max(axis=-1).argmax(axis=-1)
    row_BC = jnp.take_along_axis(square_BRC, row_B[:, None, None], axis=1)[:, 0]
    return row_B * square_BRC.shape[-1] + row_BC.argmax(axis=-1)


def log_probs(logits: Float[Array, "B V"], tokens: Int[Array, " B"]) -> Float[Array, " B"]:
    """log softmax(logits) of one token in each row, in nats."""
    chosen_B = jnp.take_along_axis(logits, tokens[:, None], axis=-1)[:, 0]
    return chosen_B - jax.nn.logsumexp(logits, axis=-1)


def square(values: Float[Array, "B V"], filling: float) -> Float[Array, "B R C"]:
    """One number for each token as a square of R = C = ⌈√V⌉, in order: a token's row, then the place in it."""
    V = values.shape[-1]
    side = math.isqrt(V - 1) + 1
    filled_BV = jnp.pad(values, ((0, 0), (0, side**2 - V)), constant_values=filling)
    return filled_BV.reshape(-1, side, side)


@jax.jit  # outside a compiled function too: a loop is compiled each time it is met there
def _keep_until(
    limit: float | Float[Array, ""] | int | Int[Array, ""],
    values: Float[Array, "B V"],
    weights: Float[Array, "B V"],
    logits: Float[Array, "B V"],
) -> Float[Array, "B V"]:
    """Keep each token if those with larger values weigh together less than `limit`; −∞ for the others.

    The lower a value, the more weighs what is above it; so we look for the lowest from which on that is less than the
    limit. Read as integers, the bits of floats count through all of them in order. A search that halves the interval
    thus finds the exact float in 32 passes over the values, whatever they are.
    """

    def halve(_, ranks):
        low_B, high_B = ranks
        middle_B = (low_B & high_B) + ((low_B ^ high_B) >> 1)  # half of low + high, which could overflow
        above_BV = values > _from_rank(middle_B)[:, None]
        is_light_B = jnp.sum(jnp.where(above_BV, weights, 0), axis=-1) < limit
        return jnp.where(is_light_B, low_B, middle_B), jnp.where(is_light_B, middle_B, high_B)

    highest_B = jnp.max(values, axis=-1)  # kept whatever the limit
    ranks = _to_rank(jnp.full_like(highest_B, -jnp.inf)), _to_rank(highest_B)
    lowest_B = _from_rank(jax.lax.fori_loop(0, 32, halve, ranks)[1])
    return jnp.where(values >= lowest_B[:, None], logits, -jnp.inf)


def _to_rank(x: Float[Array, " B"]) -> Int[Array, " B"]:
    """Float32 → integer in the same order. Negative floats count backwards, so all their bits but the sign flip."""
    return _flip_negative(jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32))


def _from_rank(rank: Int[Array, " B"]) -> Float[Array, " B"]:
    """The inverse of `_to_rank`."""
    return jax.lax.bitcast_convert_type(_flip_negative(rank), jnp.float32)


def _flip_negative(bits: Int[Array, " B"]) -> Int[Array, " B"]:
    """Its own inverse."""
    return jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def _first_past(
    target: Float[Array, " B"], weights: Float[Array, "B C"]
) -> tuple[Int[Array, " B"], Float[Array, " B"]]:
    """The first place up to which the weights add up to more than `target`, and what of it the places before leave."""
    places = jnp.arange(weights.shape[-1])
    # Each sum is made alike, so a weight of 0 changes nothing and is never drawn; `jnp.cumsum` groups each differently.
    up_to_BC = jnp.sum(jnp.where(places <= places[:, None], weights[:, None], 0), axis=-1)
    # Rounding may put the target above the sum: then it is the last place that has any weight.
    last_B = jnp.max(jnp.where(weights > 0, places, 0), axis=-1)
    place_B = jnp.minimum(jnp.sum(up_to_BC <= target[:, None], axis=-1), last_B)
    before_B = jnp.max(jnp.where(places < place_B[:, None], up_to_BC, 0), axis=-1)
    return place_B, target - before_B
