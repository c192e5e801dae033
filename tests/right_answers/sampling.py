"""Right answers to lesson 10's exercises, written as learners write them: with loops, comparisons, other libraries."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gemma_edu.numpy_model import sampling


def nucleus_with_a_loop(probs_V, p):
    is_in, mass = [False] * len(probs_V), 0.0
    for token in sorted(range(len(probs_V)), key=lambda token: -probs_V[token]):
        is_in[token] = True
        mass += probs_V[token]
        if mass >= p:
            break
    return is_in


def nucleus_by_comparison(probs_V, p):
    return (probs_V > probs_V[:, None]) @ probs_V < p


def nucleus_with_the_package(probs_V, p):
    return np.isfinite(sampling.top_p(np.log(probs_V)[None], p))[0]


def penalised_with_a_loop(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    result = [float(logit) for logit in logits_V]
    for place, token in enumerate(generated):
        result[token] -= frequency_penalty
        if token not in generated[:place]:
            result[token] -= presence_penalty
    return result


def penalised_with_one_hot(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    counts_V = jax.nn.one_hot(jnp.array(generated, int), len(logits_V)).sum(axis=0)
    return logits_V - frequency_penalty * counts_V - presence_penalty * jnp.sign(counts_V)


def penalised_in_place(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    result = logits_V.copy()
    np.subtract.at(result, np.array(generated, int), frequency_penalty)
    result[sorted(set(generated))] -= presence_penalty
    return result


def gumbel_with_a_loop(logits_V, uniform_V):
    best, winner = -math.inf, None
    for token, (logit, u) in enumerate(zip(logits_V, uniform_V, strict=True)):
        if logit - math.log(-math.log(u)) > best:
            best, winner = logit - math.log(-math.log(u)), token
    return winner


def gumbel_as_a_race(logits_V, uniform_V):
    return np.argmin(-np.log(uniform_V) / np.exp(logits_V))


def held_back_from_the_end(text, stops):
    for length in range(len(text), 0, -1):
        ending = text[-length:]
        if any(stop.startswith(ending) and stop != ending for stop in stops):
            return length
    return 0


def held_back_with_max(text, stops):
    return max(n for stop in stops for n in range(len(stop)) if text.endswith(stop[:n]))


def temperature_by_inverse(logits_V, wanted):
    """Halves 1/T instead of T."""
    gaps_V, low, high = logits_V.max() - logits_V, 1e-4, 1e4
    while high / low > 1 + 1e-9:
        inverse = (low * high) ** 0.5
        if np.exp(-gaps_V * inverse).sum() > 1 / wanted:
            low = inverse
        else:
            high = inverse
    return 1 / inverse


def temperature_by_newton(logits_V, wanted):
    """Newton's method for the logarithm of the sum, which is convex in 1/T."""
    gaps_V, inverse = logits_V.max() - logits_V, 0.0
    for _ in range(200):
        weights_V = np.exp(-gaps_V * inverse)
        slope = -(gaps_V * weights_V).sum() / weights_V.sum()
        inverse -= (math.log(weights_V.sum()) + math.log(wanted)) / slope
    return 1 / inverse


RIGHT_ANSWERS = {
    "in_nucleus": (nucleus_with_a_loop, nucleus_by_comparison, nucleus_with_the_package),
    "penalised": (penalised_with_a_loop, penalised_with_one_hot, penalised_in_place),
    "gumbel_draw": (gumbel_with_a_loop, gumbel_as_a_race),
    "held_back": (held_back_from_the_end, held_back_with_max),
    "temperature_for": (temperature_by_inverse, temperature_by_newton),
}
