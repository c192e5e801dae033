"""Lesson 06: the exercises on the layer and its sizes, and the wrong versions that their checks know."""

import math

import numpy as np

from gemma_edu.checks.exercise import exercise
from gemma_edu.checks.exercises.feedforward_curves import gelu_exact, gelu_tanh, sigmoid

_gelu = gelu_tanh.solution


def _geglu_cases(random):
    for T, D, F in ((5, 10, 14), (4, 6, 6), (3, 9, 2)):
        sizes = (T, D), (2, D, F), (F, D)
        yield tuple(random.normal(0, 0.7, size).astype(np.float32) for size in sizes)


@exercise(lesson="06_geglu", cases=_geglu_cases, axes="T D", tolerance=2e-5)
def geglu(x, gating_einsum, w_down):
    """The feed-forward layer on the stacked weights of the Flax files."""
    gate, up = x @ gating_einsum[0], x @ gating_einsum[1]
    return _gelu(gate) * up @ w_down


@geglu.mutant(shipped_by="the SwiGLU of mlx-lm, before PR #767")
def geglu_exchanged(x, gating_einsum, w_down):
    """the result with gate and up exchanged: index 0 is the gate, and only the gate goes through GELU."""
    return geglu.solution(x, gating_einsum[::-1], w_down)


@geglu.mutant()
def geglu_on_both(x, gating_einsum, w_down):
    """the result with both branches through GELU; up goes in as it is."""
    return _gelu(x @ gating_einsum[0]) * _gelu(x @ gating_einsum[1]) @ w_down


@geglu.mutant()
def geglu_of_product(x, gating_einsum, w_down):
    """the result with GELU of the product; GELU takes the gate alone, and the product comes after."""
    return _gelu((x @ gating_einsum[0]) * (x @ gating_einsum[1])) @ w_down


@geglu.mutant()
def geglu_sum(x, gating_einsum, w_down):
    """the result with the branches added; they are multiplied, number by number."""
    return (_gelu(x @ gating_einsum[0]) + (x @ gating_einsum[1])) @ w_down


@geglu.mutant()
def geglu_without_curve(x, gating_einsum, w_down):
    """the Bilinear layer, gate · up without any curve; the gate goes through GELU first."""
    return (x @ gating_einsum[0]) * (x @ gating_einsum[1]) @ w_down


@geglu.mutant()
def geglu_without_up(x, gating_einsum, w_down):
    """a layer of two matrices, GELU(x W_gate) W_down; GeGLU multiplies by x W_up before the last one."""
    return _gelu(x @ gating_einsum[0]) @ w_down


@geglu.mutant()
def geglu_without_gate(x, gating_einsum, w_down):
    """a layer of two matrices, GELU(x W_up) W_down, as in GPT-2; GeGLU multiplies GELU(x W_gate) by x W_up."""
    return _gelu(x @ gating_einsum[1]) @ w_down


@geglu.mutant(shipped_by="google/gemma_pytorch before PR #37, transformers before 4.39, vLLM #3411")
def geglu_exact(x, gating_einsum, w_down):
    """the result with the exact GELU; Gemma was trained with the tanh form (in JAX, approximate=True)."""
    return gelu_exact(x @ gating_einsum[0]) * (x @ gating_einsum[1]) @ w_down


@geglu.mutant(shipped_by="quantised Gemma 3 in candle, #3745")
def geglu_as_swiglu(x, gating_einsum, w_down):
    """the SwiGLU layer of Llama 2; Gemma's gate goes through GELU, in its tanh form."""
    gate, up = x @ gating_einsum[0], x @ gating_einsum[1]
    return gate * sigmoid(gate) * up @ w_down


@geglu.mutant()
def geglu_as_glu(x, gating_einsum, w_down):
    """the original GLU with a logistic gate (Dauphin et al. 2017); Gemma's gate goes through GELU."""
    return sigmoid(x @ gating_einsum[0]) * (x @ gating_einsum[1]) @ w_down


@geglu.mutant()
def geglu_transposed(x, gating_einsum, w_down):
    """the result with gate and up transposed; gating_einsum is 2 D F already, so x @ gating_einsum[0] fits."""
    return geglu.solution(x, gating_einsum.transpose(0, 2, 1), w_down)


def _split_cases(random):
    yield from ((random.standard_normal(size, np.float32),) for size in ((14, 5), (6, 11), (8, 8)))


@exercise(lesson="06_geglu", cases=_split_cases, axes="D F")
def split_fused(ff_proj):
    """Gate and up out of OLMo's fused matrix."""
    up, gate = np.split(ff_proj, 2, axis=0)
    return gate.T.copy(), up.T.copy()


@split_fused.mutant()
def split_gate_first(ff_proj):
    """a gate and an up that have changed places: ff_proj's first half is up, and w_gate is returned first."""
    return split_fused.solution(ff_proj)[::-1]


@split_fused.mutant()
def split_interleaved(ff_proj):
    """the result of reading the rows in turn, up, gate, up, gate, …; OLMo stores all of up, then all of gate."""
    return ff_proj[1::2].T, ff_proj[0::2].T


@split_fused.mutant(shipped_by="the other way round, vLLM with gpt-oss on CPUs, before PR #29273")
def split_interleaved_gate_first(ff_proj):
    """the result of reading the rows in turn, gate, up, gate, up, …, as for gpt-oss; OLMo stores two halves."""
    return ff_proj[0::2].T, ff_proj[1::2].T


@split_fused.mutant()
def split_untransposed(ff_proj):
    """the pair of right halves, still F D; a PyTorch matrix has one row for each unit, w_gate one column."""
    return ff_proj[len(ff_proj) // 2 :], ff_proj[: len(ff_proj) // 2]


@split_fused.mutant()
def split_untransposed_gate_first(ff_proj):
    """up before gate, and both still F D; w_gate is the second half, transposed, and is returned first."""
    return tuple(np.split(ff_proj, 2))


@split_fused.mutant()
def split_reshaped(ff_proj):
    """the pair of right halves, reshaped to D F, which misplaces numbers; .T exchanges rows and columns."""
    up, gate = np.split(ff_proj, 2)
    return gate.reshape(ff_proj.shape[1], -1), up.reshape(ff_proj.shape[1], -1)


@split_fused.mutant()
def split_columns(ff_proj):
    """the columns cut in two; the 2F units are the rows, axis 0, and each of the D columns belongs to both."""
    return tuple(np.split(ff_proj, 2, axis=1))


def _size_cases(random):
    yield from ((4210, 3, 10, 960), (1981884416, 18, 2048, 9437184), (7751248896, 28, 3072, 50331648))


@exercise(lesson="06_geglu", cases=_size_cases)
def hidden_size(non_embedding, num_layers, embed_dim, attention_per_layer):
    """F from a report's parameter count."""
    layer = (non_embedding - embed_dim) // num_layers
    return (layer - attention_per_layer - 2 * embed_dim) // (3 * embed_dim)


@hidden_size.mutant(shipped_by="readers of the Gemma report's Table 1, gemma_pytorch issue #2")
def size_of_both(non_embedding, num_layers, embed_dim, attention_per_layer):
    """twice F, gate and up counted together as in the report's table; F is the width of one branch."""
    return 2 * hidden_size.solution(non_embedding, num_layers, embed_dim, attention_per_layer)


@hidden_size.mutant()
def size_of_two_matrices(non_embedding, num_layers, embed_dim, attention_per_layer):
    """the F of a layer with two matrices; a gated one has three, so divide by 3 D."""
    layer = (non_embedding - embed_dim) // num_layers
    return (layer - attention_per_layer - 2 * embed_dim) // (2 * embed_dim)


@hidden_size.mutant()
def size_with_attention(non_embedding, num_layers, embed_dim, attention_per_layer):
    """the F of a model without attention: its parameters have to be taken off, once for each layer."""
    return hidden_size.solution(non_embedding, num_layers, embed_dim, 0)


@hidden_size.mutant()
def size_of_one_layer(non_embedding, num_layers, embed_dim, attention_per_layer):
    """the F of a model with a single layer; divide by the number of layers first."""
    return hidden_size.solution(non_embedding, 1, embed_dim, attention_per_layer)


@hidden_size.mutant()
def size_with_norms(non_embedding, num_layers, embed_dim, attention_per_layer):
    """a fraction, because the norms were left in: two of size D in each layer and one at the end."""
    return (non_embedding / num_layers - attention_per_layer) / (3 * embed_dim)


@hidden_size.mutant()
def size_with_last_norm(non_embedding, num_layers, embed_dim, attention_per_layer):
    """a fraction, because the norm after the last layer was left in: D parameters."""
    return (non_embedding / num_layers - attention_per_layer - 2 * embed_dim) / (3 * embed_dim)


def _match_cases(random):
    yield from ((4096, 256), (8192, 256), (300, 32), (1000, 64), (2048, 128))


@exercise(lesson="06_geglu", cases=_match_cases)
def matched_hidden_size(embed_dim, multiple):
    """F of a gated layer with the parameters of an ungated one of 4 D."""
    return multiple * math.ceil(8 * embed_dim / 3 / multiple)


@matched_hidden_size.mutant()
def match_rounded_down(embed_dim, multiple):
    """two thirds of 4 D rounded down to a multiple; Llama rounds up."""
    return multiple * (8 * embed_dim // 3 // multiple)


@matched_hidden_size.mutant()
def match_to_nearest(embed_dim, multiple):
    """two thirds of 4 D rounded to the nearest multiple; Llama rounds up."""
    return multiple * round(8 * embed_dim / 3 / multiple)


@matched_hidden_size.mutant()
def match_one_too_many(embed_dim, multiple):
    """one multiple more than fits, even where nothing is left over; what is a multiple already stays."""
    return multiple * (8 * embed_dim // 3 // multiple + 1)


@matched_hidden_size.mutant()
def match_unrounded(embed_dim, multiple):
    """two thirds of 4 D as they are; they have to be rounded up to a multiple."""
    return 8 * embed_dim / 3


@matched_hidden_size.mutant()
def match_cut_off(embed_dim, multiple):
    """two thirds of 4 D without their fraction; they have to be rounded up to a multiple."""
    return 8 * embed_dim // 3


@matched_hidden_size.mutant()
def match_without_two_thirds(embed_dim, multiple):
    """the F of a layer with two matrices, 4 D; with three of them take two thirds of it."""
    return multiple * math.ceil(4 * embed_dim / multiple)


@matched_hidden_size.mutant()
def match_both_branches(embed_dim, multiple):
    """gate and up together, as OLMo's config counts (22016 for D = 4096); F is the width of one branch."""
    return 2 * matched_hidden_size.solution(embed_dim, multiple)
