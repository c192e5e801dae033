"""Lesson 02: the exercises on the embedding and its factor √D, and the wrong versions that their checks know."""

import math

import ml_dtypes
import numpy as np

from gemma_edu.checks.exercise import exercise

LESSON = "02_embedding_scaling"
BFLOAT16 = ml_dtypes.bfloat16


def _soft_cases(random):
    for B, T, V, D in ((1, 2, 3, 5), (3, 5, 11, 10), (2, 4, 7, 16)):
        weights_BTV = random.exponential(size=(B, T, V)).astype(np.float32)
        probs_BTV = weights_BTV / weights_BTV.sum(axis=-1, keepdims=True)
        yield probs_BTV, random.standard_normal((V, D), np.float32)


@exercise(lesson=LESSON, cases=_soft_cases, axes="B T D", tolerance=1e-4)
def soft_lookup(probs_BTV, table_VD):
    """Embed a token of which only the probabilities are known."""
    return np.einsum("BTV,VD->BTD", probs_BTV, table_VD) * math.sqrt(table_VD.shape[1])


@soft_lookup.mutant()
def the_likeliest_row(probs_BTV, table_VD):
    """the row of the most likely token alone; every row counts, each with its probability."""
    return table_VD[probs_BTV.argmax(axis=-1)] * math.sqrt(table_VD.shape[1])


@soft_lookup.mutant()
def soft_without_the_factor(probs_BTV, table_VD):
    """the mixture of rows without the factor √D; Gemma multiplies whatever comes out of the table."""
    return np.einsum("BTV,VD->BTD", probs_BTV, table_VD)


@soft_lookup.mutant()
def softmax_once_more(probs_BTV, table_VD):
    """the result with a softmax taken of the probabilities; they add up to 1 already, so take them as weights."""
    weights_BTV = np.exp(probs_BTV)
    return soft_lookup.solution(weights_BTV / weights_BTV.sum(axis=-1, keepdims=True), table_VD)


def _root_cases(random):
    for D in (640, 2048, 3072, 2, 1, 5376, 65_536, 257**2, 259**2, int(random.integers(10_000, 16_000))):
        yield (D,)


def _to_bits(x, bits, to_whole=round):
    """`x` with so many significant binary digits; Python's `round` goes to the even neighbour from halfway."""
    spacing = 2.0 ** (math.floor(math.log2(x)) - (bits - 1))
    return to_whole(x / spacing) * spacing


@exercise(lesson=LESSON, cases=_root_cases)
def rounded_root(D):
    """What bfloat16 makes of √D, without a bfloat16 at hand."""
    return _to_bits(math.sqrt(D), 8)


@rounded_root.mutant()
def unrounded_root(D):
    """the root √D itself; what is asked for is the nearest number that bfloat16 has."""
    return math.sqrt(D)


@rounded_root.mutant()
def chopped_root(D):
    """the next bfloat16 below √D; bfloat16 rounds to the nearest, which may lie above, as 55.5 above 55.4256."""
    return _to_bits(math.sqrt(D), 8, math.floor)


@rounded_root.mutant()
def quarter_steps(D):
    """the nearest multiple of 1/4, bfloat16's step from 32 to 64; the step doubles with each power of two."""
    return round(math.sqrt(D) * 4) / 4


@rounded_root.mutant()
def seven_bits(D):
    """the result with 7 significant bits; bfloat16 stores 7 bits and the leading 1 is free, which makes 8."""
    return _to_bits(math.sqrt(D), 7)


@rounded_root.mutant()
def float16_root(D):
    """what float16 makes of √D, a type with 11 significant bits; bfloat16 has 8."""
    return float(np.float16(math.sqrt(D)))


@rounded_root.mutant()
def halves_upwards(D):
    """the result with halves rounded up; from halfway bfloat16 goes to the even neighbour: 257 becomes 256."""
    return _to_bits(math.sqrt(D), 8, lambda steps: math.floor(steps + 0.5))


def _embed_cases(random):
    for B, T, V, D, dtype in (
        (1, 2, 4, 6, np.float32),
        (3, 5, 11, 640, np.float32),
        (2, 4, 9, 640, BFLOAT16),
        (3, 5, 11, 3072, BFLOAT16),
    ):
        table_VD = (random.standard_normal((V, D)) * D**-0.5).astype(dtype)
        yield table_VD, random.integers(0, V, (B, T))


@exercise(lesson=LESSON, cases=_embed_cases, axes="B T D", keeps_dtype=True)
def embed_in_its_dtype(table_VD, tokens_BT):
    """Embed as Gemma does, in the table's own dtype, float32 or bfloat16."""
    return table_VD[tokens_BT] * np.sqrt(table_VD.shape[1]).astype(table_VD.dtype)


@embed_in_its_dtype.mutant()
def bare_lookup(table_VD, tokens_BT):
    """the bare rows, as in Llama 2, OLMo and GPT-2; Gemma multiplies them by √D."""
    return table_VD[tokens_BT]


@embed_in_its_dtype.mutant()
def times_the_width(table_VD, tokens_BT):
    """the result with the factor D, as if scaled twice; the factor is √D."""
    return table_VD[tokens_BT] * np.asarray(table_VD.shape[1], table_VD.dtype)


@embed_in_its_dtype.mutant()
def divided_by_the_root(table_VD, tokens_BT):
    """the result divided by √D, one reading of "normalised by √D"; Gemma multiplies."""
    return table_VD[tokens_BT] * np.sqrt(1 / table_VD.shape[1]).astype(table_VD.dtype)


@embed_in_its_dtype.mutant()
def root_of_the_rows(table_VD, tokens_BT):
    """the result with √V, the root of the number of rows; the factor is √D, the root of the width of a row."""
    return table_VD[tokens_BT] * np.sqrt(table_VD.shape[0]).astype(table_VD.dtype)


@embed_in_its_dtype.mutant()
def left_wider(table_VD, tokens_BT):
    """the result of a Python number times bfloat16, which NumPy computes in float32 and leaves there, with √D not
    rounded; Gemma rounds √D to the table's dtype first."""
    return table_VD[tokens_BT] * math.sqrt(table_VD.shape[1])


@embed_in_its_dtype.mutant()
def left_in_float64(table_VD, tokens_BT):
    """the result of np.sqrt(D) left as it is, a float64 that widens all it touches; Gemma rounds √D to the table's
    dtype first."""
    return table_VD[tokens_BT] * np.sqrt(table_VD.shape[1])


@embed_in_its_dtype.mutant(shipped_by="transformers up to 4.38.2, mended by #29729; litgpt #1031")
def factor_not_rounded(table_VD, tokens_BT):
    """the result with √D in full precision and only the product rounded; Gemma rounds √D to the table's dtype
    first: 55.4256 is 55.5 in bfloat16."""
    x_BTD = table_VD[tokens_BT].astype(np.float32) * np.float32(math.sqrt(table_VD.shape[1]))
    return x_BTD.astype(table_VD.dtype)


@embed_in_its_dtype.mutant()
def always_bfloat16(table_VD, tokens_BT):
    """the result with √D rounded to bfloat16 for a float32 table as well; the factor has the table's dtype."""
    return table_VD[tokens_BT] * np.sqrt(table_VD.shape[1]).astype(BFLOAT16).astype(table_VD.dtype)


@embed_in_its_dtype.mutant()
def ids_from_one(table_VD, tokens_BT):
    """the result with ids that count from 1, so that each token gets its neighbour's row; ids count from 0."""
    return embed_in_its_dtype.solution(table_VD, tokens_BT - 1)


@embed_in_its_dtype.mutant()
def columns(table_VD, tokens_BT):
    """the result of looking up columns; a token's vector is a row of the table, D numbers long."""
    return table_VD[:, tokens_BT] * np.sqrt(table_VD.shape[1]).astype(table_VD.dtype)


def _gradient_cases(random):
    for tokens, V, D in (
        ([[1, 0, 1]], 3, 5),
        ([[4, 4, 4, 2, 9], [0, 9, 4, 6, 4], [7, 3, 2, 0, 1]], 11, 10),
        ([[6, 5], [5, 6]], 7, 16),
    ):
        tokens_BT = np.array(tokens)
        yield random.standard_normal((*tokens_BT.shape, D), np.float32), tokens_BT, V


def _by_row(gradient_BTD, tokens_BT, V, combine):
    """For each row of the table, `combine` of the gradients of its occurrences, times √D."""
    result_VD = np.zeros((V, gradient_BTD.shape[-1]), np.float32)
    for v in np.unique(tokens_BT):
        result_VD[v] = combine(gradient_BTD[tokens_BT == v])
    return result_VD * math.sqrt(gradient_BTD.shape[-1])


@exercise(lesson=LESSON, cases=_gradient_cases, axes="V D", tolerance=1e-4)
def table_gradient(gradient_BTD, tokens_BT, V):
    """The gradient that the table gets from the embedded tokens."""
    return _by_row(gradient_BTD, tokens_BT, V, lambda rows: rows.sum(axis=0))


@table_gradient.mutant()
def last_one_wins(gradient_BTD, tokens_BT, V):
    """the result in which only a token's last occurrence counts: NumPy's grad[tokens] += … writes a repeated row
    once. The gradients of all occurrences add up; np.add.at adds them."""
    return _by_row(gradient_BTD, tokens_BT, V, lambda rows: rows[-1])


@table_gradient.mutant()
def occurrences_averaged(gradient_BTD, tokens_BT, V):
    """the mean over a token's occurrences; one row feeds several places, so their gradients add up."""
    return _by_row(gradient_BTD, tokens_BT, V, lambda rows: rows.mean(axis=0))


@table_gradient.mutant()
def gradient_without_the_factor(gradient_BTD, tokens_BT, V):
    """the gradient of a lookup without the factor; x = √D · row, so a row's gradient has the factor √D as well."""
    return table_gradient.solution(gradient_BTD, tokens_BT, V) / math.sqrt(gradient_BTD.shape[-1])


def _untie_cases(random):
    for V, D in ((3, 5), (11, 10), (7, 16)):
        yield (random.standard_normal((V, D), np.float32) * np.float32(D**-0.5),)


@exercise(lesson=LESSON, cases=_untie_cases)
def untie(table_VD):
    """Gemma's one table as the two of a model that neither ties nor scales."""
    return table_VD * np.float32(math.sqrt(table_VD.shape[1])), table_VD.copy()


@untie.mutant()
def both_scaled(table_VD):
    """a pair with both tables scaled, which multiplies every logit by √D; the factor is the input's alone."""
    return untie.solution(table_VD)[0], untie.solution(table_VD)[0]


@untie.mutant()
def neither_scaled(table_VD):
    """a pair with neither table scaled; the new model has no factor, so its input table must contain it."""
    return table_VD, table_VD


@untie.mutant()
def output_scaled(table_VD):
    """a pair with the output scaled instead of the input; Gemma scales where it reads tokens in."""
    return untie.solution(table_VD)[::-1]
