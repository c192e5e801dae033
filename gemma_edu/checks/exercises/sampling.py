"""Lesson 10: the exercises on choosing the next token, and the wrong versions that their checks know."""

import numpy as np

from gemma_edu.checks.exercise import exercise


def _nucleus_cases(random):
    yield np.array([0.1, 0.5, 0.25, 0.15]), 0.6
    yield np.array([0.125, 0.5, 0.0625, 0.25, 0.0625]), 0.5  # exactly p above the second
    yield random.dirichlet(np.ones(11)), 0.8
    yield np.array([0.03, 0.9, 0.05, 0.02]), 0.01
    yield random.dirichlet(np.full(50, 0.3)), 0.95


@exercise(lesson="10_generation", cases=_nucleus_cases, axes="V")
def in_nucleus(probs_V, p):
    """For each token, whether top-p keeps it."""
    return _kept(probs_V, lambda mass, own: mass - own < p)


def _kept(probs_V, rule):
    """Those for which `rule` holds of the mass up to them and of their own."""
    order = np.argsort(-probs_V)
    is_in = np.zeros(len(probs_V), bool)
    is_in[order] = rule(np.cumsum(probs_V[order]), probs_V[order])
    return is_in


@in_nucleus.mutant(shipped_by="rasbt/reasoning-from-scratch #164, fishaudio/fish-speech #1171")
def in_nucleus_without_the_crossing_token(probs_V, p):
    """the nucleus without the token that crosses p, so it has less than p, or nothing at all; a token stays if the
    mass *above* it is below p, whatever its own adds."""
    return _kept(probs_V, lambda mass, own: mass <= p)


@in_nucleus.mutant()
def in_nucleus_strictly_below(probs_V, p):
    """a nucleus that keeps while the sum is *below* p, so the token that crosses p is out, and so is one that reaches
    it; a token stays if the mass above it, without its own, is below p."""
    return _kept(probs_V, lambda mass, own: mass < p)


@in_nucleus.mutant()
def in_nucleus_with_one_on_the_boundary(probs_V, p):
    """a nucleus with one token more where those above have exactly p, as gemma_pytorch and Meta's Llama code have
    it; p is reached there, so the set is complete: stay if the mass above is *less* than p."""
    return _kept(probs_V, lambda mass, own: mass - own <= p)


@in_nucleus.mutant()
def in_nucleus_with_one_too_many(probs_V, p):
    """a nucleus with one token too many in every case: the one that crosses p is the last to stay, not the first
    after it."""
    is_in = in_nucleus.solution(probs_V, p)
    is_in[np.argsort(-probs_V)[: is_in.sum() + 1]] = True
    return is_in


@in_nucleus.mutant()
def in_nucleus_unsorted(probs_V, p):
    """the result of a cumulative sum in the order of the ids, which keeps tokens because their ids are small; sort by
    falling probability first."""
    return np.cumsum(probs_V) - probs_V < p


@in_nucleus.mutant()
def in_nucleus_in_sorted_order(probs_V, p):
    """the right number of Trues, but in the order of the odds; bring each back to the place of its id, for example
    with is_in[order] = …."""
    return np.sort(in_nucleus.solution(probs_V, p))[::-1]


@in_nucleus.mutant()
def in_nucleus_read_in_order(probs_V, p):
    """the right answer for each token, shuffled once more: mask[order] *reads* in the order of the odds, while
    is_in[order] = mask writes each to the place of its id."""
    order = np.argsort(-probs_V)
    return in_nucleus.solution(probs_V, p)[order][order]


@in_nucleus.mutant()
def in_nucleus_as_ids(probs_V, p):
    """a list of the ids in the nucleus; wanted is True or False for every token."""
    return np.argsort(-probs_V)[: in_nucleus.solution(probs_V, p).sum()]


@in_nucleus.mutant()
def in_nucleus_of_the_least_likely(probs_V, p):
    """a nucleus of the *least* likely tokens: np.argsort sorts upwards, so sort −probs_V."""
    order = np.argsort(probs_V)
    is_in = np.zeros(len(probs_V), bool)
    is_in[order] = np.cumsum(probs_V[order]) - probs_V[order] < p
    return is_in


@in_nucleus.mutant()
def in_nucleus_by_own_probability(probs_V, p):
    """a mask of the tokens that have p or more by themselves; the nucleus has p *together*."""
    return probs_V >= p


def _penalty_cases(random):
    yield np.zeros(4), [3], [0, 0, 1], 0.5, 1.0
    yield random.standard_normal(9, np.float32), [1, 2, 2, 8], [2, 5, 5, 5, 0], 0.7, 0.3
    yield random.standard_normal(7, np.float32) * 4, [4, 0], [], 1.0, 2.0
    yield random.standard_normal(12, np.float32), [11, 3], [3, 3, 7], -1.5, 0.25
    yield random.standard_normal(6, np.float32), [0], [5, 0, 5, 0, 5], 0.4, -2.0


@exercise(lesson="10_generation", cases=_penalty_cases, axes="V")
def penalised(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """The logits after a frequency and a presence penalty."""
    return _minus(logits_V, generated, frequency_penalty, presence_penalty)


def _count(logits_V, tokens):
    return np.bincount(np.array(tokens, int), minlength=len(logits_V))


def _minus(logits_V, tokens, frequency_penalty, presence_penalty):
    counts_V = _count(logits_V, tokens)
    return logits_V - counts_V * frequency_penalty - (counts_V > 0) * presence_penalty


@penalised.mutant(shipped_by="NVIDIA/TensorRT-LLM #5623, osaurus-ai/vmlx-swift #295")
def penalised_with_prompt(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """the result with the prompt counted, which punishes the model for the user's words; only what was generated
    counts."""
    return _minus(logits_V, [*prompt, *generated], frequency_penalty, presence_penalty)


@penalised.mutant(shipped_by="mlc-ai/mlc-llm #1693")
def penalised_with_presence_twice(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """the result with the presence penalty in the place of the frequency penalty too; each use costs
    frequency_penalty, the first one presence_penalty besides."""
    return _minus(logits_V, generated, presence_penalty, presence_penalty)


@penalised.mutant()
def penalised_once(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """the result with the frequency penalty taken once, however often a token was generated; x[ids] -= a does so in
    NumPy, which writes each place once. Multiply by the count."""
    return _minus(logits_V, sorted(set(generated)), frequency_penalty, presence_penalty)


@penalised.mutant()
def penalised_by_presence_per_use(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """the result with the presence penalty taken for every use; it is taken once, however often a token came."""
    return _minus(logits_V, generated, frequency_penalty + presence_penalty, 0.0)


@penalised.mutant()
def penalised_the_wrong_way(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """the result with the penalties added; a positive penalty lowers a logit."""
    return _minus(logits_V, generated, -frequency_penalty, -presence_penalty)


@penalised.mutant()
def penalised_swapped(logits_V, prompt, generated, frequency_penalty, presence_penalty):
    """the result with the two penalties exchanged: the count goes with frequency_penalty."""
    return _minus(logits_V, generated, presence_penalty, frequency_penalty)


def _gumbel_cases(random):
    yield np.array([0.0, 1.0]), np.array([0.9, 0.5])
    for size in (5, 9, 30, 30, 30, 60, 60, 60, 60, 90, 90, 90):
        yield random.standard_normal(size) * 2 - 1, random.random(size)
    filtered = np.where(np.arange(40) % 3, -np.inf, random.standard_normal(40))
    yield filtered, random.random(40)


@exercise(lesson="10_generation", cases=_gumbel_cases)
def gumbel_draw(logits_V, uniform_V):
    """A token with the odds of softmax, by the largest sum of logit and Gumbel noise."""
    return int(np.argmax(logits_V - np.log(-np.log(uniform_V))))


@gumbel_draw.mutant()
def gumbel_draw_reversed(logits_V, uniform_V):
    """the draw with the noise subtracted: with ln(−ln u) added, a large u harms its token; the noise is
    −ln(−ln u)."""
    return int(np.argmax(logits_V + np.log(-np.log(uniform_V))))


@gumbel_draw.mutant()
def gumbel_draw_with_uniform_noise(logits_V, uniform_V):
    """the draw with the uniform numbers themselves as noise; they differ by less than 1, so a logit that is 1 larger
    would always win. Gumbel's noise is −ln(−ln u)."""
    return int(np.argmax(logits_V + uniform_V))


@gumbel_draw.mutant()
def gumbel_draw_with_one_logarithm(logits_V, uniform_V):
    """the draw with the noise −ln u, an exponential one, which is *divided* into probabilities where it is used;
    for logits the noise is −ln(−ln u)."""
    return int(np.argmax(logits_V - np.log(uniform_V)))


@gumbel_draw.mutant()
def gumbel_draw_of_products(logits_V, uniform_V):
    """the token with the largest probability times u; that favours likely tokens beyond their odds."""
    return int(np.argmax(np.exp(logits_V) * uniform_V))


@gumbel_draw.mutant()
def gumbel_draw_of_probabilities(logits_V, uniform_V):
    """the draw with the noise added to probabilities; it belongs to logits, or to log-probabilities."""
    probs_V = np.exp(logits_V) / np.exp(logits_V).sum()
    return int(np.argmax(probs_V - np.log(-np.log(uniform_V))))


@gumbel_draw.mutant()
def gumbel_draw_without_noise(logits_V, uniform_V):
    """the most likely token, whatever the random numbers: the noise has no effect."""
    return int(np.argmax(logits_V))


@gumbel_draw.mutant()
def gumbel_draw_from_nan(logits_V, uniform_V):
    """the first token in every case, since the noise is NaN: ln u is negative, so it needs a minus before the second
    logarithm, ln(−ln u)."""
    return 0
