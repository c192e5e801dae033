"""Decoding as a loop in NumPy, and the package's beside it: what the tests of decoding compare."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from backend import random_params

from gemma_edu import presets
from gemma_edu.jax_model import decoding
from gemma_edu.numpy_model import sampling as numpy_sampling
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.sampling_config import Sampling

GEMMA3, GPT2 = presets.TINY_GEMMA3_270M, presets.TINY_GPT2_124M
PROMPTS = [[2], [2, 5, 7, 1, 9, 3, 8], [4, 4, 10]]
STEPS = 12


@functools.cache
def jax_params(config):
    """Random weights as JAX arrays."""
    return jax.tree.map(jnp.asarray, random_params(config))


def generate(prompts, config=GEMMA3, end_tokens=(), **sampling):
    """All steps at once: one list of tokens per step."""
    sampling = Sampling(**{"max_tokens": STEPS} | sampling)
    return list(decoding.generate_tokens(jax_params(config), prompts, config, sampling, end_tokens))


def next_logits(ids, config):
    """What NumPy expects after these tokens, 1 V."""
    return numpy_transformer.forward(random_params(config), np.array([ids]), config)[:, -1]


def naive(prompt, config, steps):
    """Greedy decoding with a full forward pass in NumPy for every token."""
    ids = list(prompt)
    for _ in range(steps):
        ids.append(int(next_logits(ids, config).argmax()))
    return ids[len(prompt) :]


def naive_sampled(prompt, row, sampling):
    """The same with penalties, filters and a draw, all in NumPy; only the random numbers are JAX's."""
    ids, counts = list(prompt), np.zeros((1, GEMMA3.vocab_size), np.int32)
    key = jax.random.key(sampling.seed)
    for step in range(sampling.max_tokens):
        penalties = sampling.frequency_penalty, sampling.presence_penalty
        logits = next_logits(ids, GEMMA3)
        if sampling.is_greedy:
            token = int(numpy_sampling.penalise(logits, counts, *penalties).argmax())
        else:
            k = sampling.top_k or GEMMA3.vocab_size
            left = numpy_sampling.filter_logits(
                logits, counts, *penalties, sampling.temperature, k, sampling.top_p
            )
            uniform = np.asarray(jax.random.uniform(jax.random.fold_in(key, step), (len(PROMPTS),)))
            token = int(numpy_sampling.draw(left, uniform[row : row + 1])[0])
        counts[0, token] += 1
        ids.append(token)
    return ids[len(prompt) :]
