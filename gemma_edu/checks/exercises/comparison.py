"""Lesson 12: the exercises on comparing models, and the wrong versions that their checks know."""

import numpy as np

from gemma_edu import presets
from gemma_edu.checks.exercise import exercise
from gemma_edu.compare import chips, memory, roofline
from gemma_edu.params import shapes

LESSON = "12_gemma_llama_olmo"


def _whose_weights_cases(random):
    for config in presets.TINY:
        yield (shapes(config),)


@exercise(lesson=LESSON, cases=_whose_weights_cases)
def whose_weights(names_and_shapes):
    """Tell the family of a model from the names of its weights."""
    names = set(names_and_shapes)
    if "embedding.positions" in names:
        return "GPT-2"
    if not any(name.endswith("scale") for name in names):
        return "OLMo"
    if "final_norm.scale" not in names:
        return "Transformer"
    return "Llama 2" if "embedding.output" in names else "Gemma"


@whose_weights.mutant()
def untied_is_llama(names_and_shapes):
    """the answer that takes every untied model for Llama 2; OLMo 7B has an output matrix too, and no norm scales."""
    return "Llama 2" if "embedding.output" in names_and_shapes else whose_weights.solution(names_and_shapes)


@whose_weights.mutant()
def norm_after_is_2017(names_and_shapes):
    """the answer that takes a norm after a sublayer for 2017; Gemma 3 has those and a last norm besides."""
    after = "blocks.0.post_attention_norm.scale" in names_and_shapes
    return "Transformer" if after else whose_weights.solution(names_and_shapes)


@whose_weights.mutant()
def bias_is_gpt2(names_and_shapes):
    """the answer that takes any bias, or a missing gate, for GPT-2; the 2017 Transformer has both, and no positions."""
    gated = "blocks.0.feedforward.w_gate" in names_and_shapes
    return whose_weights.solution(names_and_shapes) if gated else "GPT-2"


@whose_weights.mutant()
def tied_is_gemma(names_and_shapes):
    """the answer that takes every tied model for Gemma; GPT-2 ties as well, and so did the Transformer of 2017."""
    return whose_weights.solution(names_and_shapes) if "embedding.output" in names_and_shapes else "Gemma"


@whose_weights.mutant()
def no_output_is_gemma_or_gpt2(names_and_shapes):
    """the answer without the Transformer, whose file is like Gemma's but has no final norm."""
    found = whose_weights.solution(names_and_shapes)
    return "Gemma" if found == "Transformer" else found


def _fold_scale_cases(random):
    for D, F, unit_offset in ((5, 7, True), (8, 3, False), (6, 6, True), (4, 4, False)):
        scale_D = random.normal(0.0 if unit_offset else 1.0, 0.3, D).astype(np.float32)
        yield scale_D, random.standard_normal((D, F), np.float32), unit_offset


@exercise(lesson=LESSON, cases=_fold_scale_cases, axes="D F")
def fold_scale(scale_D, w_DF, unit_offset):
    """A matrix that needs no scale in the norm before it."""
    factor_D = scale_D + 1 if unit_offset else scale_D
    return factor_D[:, None] * w_DF


@fold_scale.mutant(shipped_by="pytorch/executorch #19901")
def offset_forgotten(scale_D, w_DF, unit_offset):
    """the result with the stored scale as the factor; with a unit offset the factor is 1 + scale."""
    return scale_D[:, None] * w_DF


@fold_scale.mutant()
def offset_everywhere(scale_D, w_DF, unit_offset):
    """the result with 1 + scale in every case; only Gemma's scale is stored around 0, Llama 2's around 1."""
    return (1 + scale_D)[:, None] * w_DF


@fold_scale.mutant()
def scaled_outputs(scale_D, w_DF, unit_offset):
    """the product of factor and columns, which only fits where D = F; number d of the stream meets *row* d."""
    return (scale_D + unit_offset) * w_DF


@fold_scale.mutant()
def divided_by_the_scale(scale_D, w_DF, unit_offset):
    """the matrix *divided* by the factor; nothing else is left to multiply by it, so the matrix must."""
    return w_DF / (scale_D + unit_offset)[:, None]


@fold_scale.mutant()
def offset_added_after(scale_D, w_DF, unit_offset):
    """the product with the scale and then a 1 added to every number; the 1 belongs to the factor, 1 + scale."""
    return scale_D[:, None] * w_DF + unit_offset


def _mean_free_cases(random):
    for V, D, N, H, F in ((11, 10, 8, 12, 14), (5, 4, 2, 3, 9), (6, 7, 1, 2, 3)):
        yield tuple(random.normal(0.5, 1, shape).astype(np.float32) for shape in ((V, D), (N, H, D), (F, D)))


@exercise(lesson=LESSON, cases=_mean_free_cases)
def mean_free(table_VD, w_o_NHD, w_down_FD):
    """Write to the stream so that its mean stays 0, and LayerNorm becomes RMSNorm."""
    return tuple(w - w.mean(-1, keepdims=True) for w in (table_VD, w_o_NHD, w_down_FD))


@mean_free.mutant()
def table_alone(table_VD, w_o_NHD, w_down_FD):
    """the result with a table without means and the two other matrices as they were; they write to the stream too."""
    return table_VD - table_VD.mean(-1, keepdims=True), w_o_NHD, w_down_FD


@mean_free.mutant()
def columns_without_mean(*writers):
    """the result with the mean of each *column* subtracted; the stream's mean runs over D, the last axis."""
    return tuple(w - w.mean(tuple(range(w.ndim - 1)), keepdims=True) for w in writers)


@mean_free.mutant()
def first_axis_without_mean(*writers):
    """the result with means over the first axis, over tokens, heads and F; the stream's mean runs over the last, D."""
    return tuple(w - w.mean(0, keepdims=True) for w in writers)


@mean_free.mutant()
def one_mean_for_all(*writers):
    """the result with one mean for a whole matrix; every row needs to lose its own."""
    return tuple(w - w.mean() for w in writers)


@mean_free.mutant()
def rows_normalised(*writers):
    """the result with each row divided by its standard deviation as well; that changes the logits, so only subtract."""
    centred = mean_free.solution(*writers)
    return tuple(w / w.std(-1, keepdims=True) for w in centred)


@mean_free.mutant()
def means_instead(*writers):
    """the means themselves in every place; they are what must go: w − mean."""
    return tuple(np.broadcast_to(w.mean(-1, keepdims=True), w.shape) for w in writers)


def _most_tokens_cases(random):
    yield presets.GEMMA_2B, chips.TPU_V5E, 1, 1024
    yield presets.LLAMA2_7B, chips.H100_SXM, 32, 4096
    yield presets.GEMMA_2B, chips.TPU_V5E, 1024, 64  # so many short texts that arithmetic is the limit
    yield presets.GEMMA3_270M, chips.H100_SXM, 7, 8192


@exercise(lesson=LESSON, cases=_most_tokens_cases)
def most_tokens_per_second(config, chip, batch, context):
    """The most that a chip can write in a second, by its roofline."""
    return batch / max(_times(config, chip, batch, context))


def _times(config, chip, batch, context):
    """Seconds of arithmetic and of fetching, in one step of decoding."""
    step = roofline.work(config, batch, 1, context)
    return step.flops / chip.flops_per_second, step.bytes / chip.bytes_per_second


@most_tokens_per_second.mutant()
def steps_per_second(*given):
    """the number of *steps* in a second; each step makes a token for every text of the batch."""
    return 1 / max(_times(*given))


@most_tokens_per_second.mutant()
def seconds_of_a_step(*given):
    """the time of a step; a rate is tokens divided by it."""
    return max(_times(*given))


@most_tokens_per_second.mutant()
def one_after_the_other(*given):
    """the result with both times added; chips fetch while they multiply, so at best only the longer one counts."""
    return given[2] / sum(_times(*given))


@most_tokens_per_second.mutant()
def shorter_time(*given):
    """the result with the shorter of both times; a step is done when both are, so the longer one counts."""
    return given[2] / min(_times(*given))


@most_tokens_per_second.mutant()
def memory_alone(*given):
    """the result with the fetching alone; with many short texts the multipliers become the limit."""
    return given[2] / _times(*given)[1]


@most_tokens_per_second.mutant()
def cache_left_out(config, chip, batch, context):
    """the result of fetching the weights alone; every text's cache is fetched too, and roofline.work counts it."""
    arithmetic, _ = _times(config, chip, batch, context)
    return batch / max(arithmetic, memory.weights(config) / chip.bytes_per_second)


def _paired_interval_cases(random):
    for size, quantile in ((5, 2.776), (3, 4.303), (10, 2.262)):
        a_S = random.normal(1.0, 0.3, size)
        yield a_S, a_S + random.normal(0.1, 0.05, size), quantile


@exercise(lesson=LESSON, cases=_paired_interval_cases)
def paired_interval(a_S, b_S, quantile):
    """Say how far two models are apart, and how sure that is."""
    return _ends(b_S - a_S, quantile * (b_S - a_S).std(ddof=1) / len(a_S) ** 0.5)


def _ends(difference_S, half):
    """An interval around the mean."""
    return difference_S.mean() - half, difference_S.mean() + half


@paired_interval.mutant()
def two_separate_means(a_S, b_S, quantile):
    """the interval of two unrelated means; the runs of one seed are a pair, so take the spread of the differences."""
    return _ends(b_S - a_S, quantile * ((a_S.var(ddof=1) + b_S.var(ddof=1)) / len(a_S)) ** 0.5)


@paired_interval.mutant()
def divided_by_all(a_S, b_S, quantile):
    """the interval with squares divided by n; they are divided by n − 1, because the mean is their own."""
    return _ends(b_S - a_S, quantile * (b_S - a_S).std() / len(a_S) ** 0.5)


@paired_interval.mutant()
def spread_of_one_seed(a_S, b_S, quantile):
    """the interval without the √n: where one more difference might lie; the mean of n is surer than one of them."""
    return _ends(b_S - a_S, quantile * (b_S - a_S).std(ddof=1))


@paired_interval.mutant()
def a_minus_b(a_S, b_S, quantile):
    """the interval of a − b; asked is b − a, which is positive where b loses more."""
    return paired_interval.solution(b_S, a_S, quantile)
