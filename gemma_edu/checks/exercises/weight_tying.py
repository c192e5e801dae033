"""Lesson 07: the exercises on weight tying, and the wrong versions that their checks know."""

import math

import numpy as np

from gemma_edu.checks.exercise import exercise
from gemma_edu.numpy_model.attention import softmax

LESSON = "07_weight_tying"


def _next_logits_cases(random):
    for B, T, D, V in ((3, 5, 10, 11), (1, 4, 6, 6), (2, 1, 7, 5)):
        yield random.standard_normal((B, T, D), np.float32), random.standard_normal((V, D), np.float32)


@exercise(lesson=LESSON, cases=_next_logits_cases, axes="B V")
def next_logits(x_BTD, table_VD):
    """The logits after the last position of each text, from a tied table."""
    return x_BTD[:, -1] @ table_VD.T


@next_logits.mutant()
def first_position(x_BTD, table_VD):
    """the result for the first position of each text; what comes next is read from the last."""
    return x_BTD[:, 0] @ table_VD.T


@next_logits.mutant()
def last_text(x_BTD, table_VD):
    """the result for all positions of the last text; the batch comes first, so the last position is x[:, -1]."""
    return x_BTD[-1] @ table_VD.T


@next_logits.mutant()
def read_in_another_order(x_BTD, table_VD):
    """the result with the table reshaped to D V, which reads its numbers in another order; transpose it instead."""
    V, D = table_VD.shape
    return x_BTD[:, -1] @ table_VD.reshape(D, V)


@next_logits.mutant()
def not_transposed(x_BTD, table_VD):
    """the product with the columns of the table, which only fits where V = D; a logit belongs to a row."""
    return x_BTD[:, -1] @ table_VD


@next_logits.mutant()
def scaled_like_the_input(x_BTD, table_VD):
    """the result times √D; that factor belongs to the input, and the output reads the table as it is."""
    return x_BTD[:, -1] @ table_VD.T * np.sqrt(table_VD.shape[1])


def _odds_cases(random):
    for shape, vocab_size in (((2, 3, 11), 7), ((4, 9), 8), ((5, 6), 6)):
        yield random.normal(-2, 1, shape).astype(np.float32), vocab_size


@exercise(lesson=LESSON, cases=_odds_cases)
def odds_without_padding(logits, vocab_size):
    """Probabilities in which the padded rows of the table have none."""
    real = np.arange(logits.shape[-1]) < vocab_size
    return softmax(np.where(real, logits, -np.inf))


@odds_without_padding.mutant()
def padding_kept(logits, vocab_size):
    """the softmax of all rows; those from vocab_size on are padding and must get probability 0."""
    return softmax(logits)


@odds_without_padding.mutant()
def padding_at_zero(logits, vocab_size):
    """the result with padded logits set to 0, which beats every negative logit; set them to −∞."""
    return softmax(np.where(np.arange(logits.shape[-1]) < vocab_size, logits, 0))


@odds_without_padding.mutant()
def one_padded_row_left(logits, vocab_size):
    """the result with one padded row left in; tokens are numbered from 0, so row vocab_size is padding already."""
    return softmax(np.where(np.arange(logits.shape[-1]) <= vocab_size, logits, -np.inf))


@odds_without_padding.mutant()
def masked_aftersoftmax(logits, vocab_size):
    """the result of masking after the softmax: the padding's share is gone, and the rest no longer sums to 1."""
    return np.where(np.arange(logits.shape[-1]) < vocab_size, softmax(logits), 0)


@odds_without_padding.mutant()
def padding_cut_off(logits, vocab_size):
    """the result with the padding cut off; the numbers are right, and each padded row still needs its 0."""
    return softmax(logits[..., :vocab_size])


def _gradient_cases(random):
    for tokens, D, V in (([4, 7, 4, 1, 9], 6, 11), ([2, 2, 2], 5, 4), ([0, 3, 1, 5], 9, 7)):
        d_input_TD, x_TD = random.standard_normal((2, len(tokens), D), np.float32)
        yield np.array(tokens), d_input_TD, x_TD, random.standard_normal((len(tokens), V), np.float32)


def _parts(tokens_T, d_input_TD, x_TD, d_logits_TV):
    """The gradients of the row that was looked up, without √D, and of the output product."""
    output_VD = d_logits_TV.T @ x_TD
    input_VD = np.zeros_like(output_VD)
    np.add.at(input_VD, tokens_T, d_input_TD)
    return input_VD, output_VD, np.sqrt(x_TD.shape[1])


@exercise(lesson=LESSON, cases=_gradient_cases, axes="V D")
def tied_gradient(tokens_T, d_input_TD, x_TD, d_logits_TV):
    """The gradient of a tied, scaled table from those of its two uses."""
    input_VD, output_VD, root = _parts(tokens_T, d_input_TD, x_TD, d_logits_TV)
    return root * input_VD + output_VD


@tied_gradient.mutant()
def input_part_alone(*uses):
    """the gradient of the input use alone; the output use touches every row as well."""
    return np.sqrt(uses[2].shape[1]) * _parts(*uses)[0]


@tied_gradient.mutant()
def output_part_alone(*uses):
    """the gradient of the output use alone, as if the input read a frozen copy of the table."""
    return _parts(*uses)[1]


@tied_gradient.mutant()
def repeated_tokens_lost(tokens_T, d_input_TD, x_TD, d_logits_TV):
    """the result in which a token that occurs twice counts once, as with d_table[tokens] += …; np.add.at adds all."""
    d_table_VD = d_logits_TV.T @ x_TD
    d_table_VD[tokens_T] += np.sqrt(x_TD.shape[1]) * d_input_TD
    return d_table_VD


@tied_gradient.mutant()
def factor_forgotten(*uses):
    """the result without √D on the input part; the stream changes √D times as fast as the row."""
    input_VD, output_VD, _ = _parts(*uses)
    return input_VD + output_VD


@tied_gradient.mutant()
def factor_on_both(*uses):
    """the result with √D on both parts; the output reads the table without the factor."""
    input_VD, output_VD, root = _parts(*uses)
    return root * (input_VD + output_VD)


@tied_gradient.mutant()
def overwritten(tokens_T, *others):
    """the result in which the input part replaces the output part in the rows of the text; add the two."""
    input_VD, output_VD, root = _parts(tokens_T, *others)
    output_VD[tokens_T] = root * input_VD[tokens_T]
    return output_VD


def _file_cases(random):
    tied = {"table": (260, 16), "output": (260, 16), "w_up": (16, 40), "final_norm": (16,)}
    yield tied, True, 250
    yield tied, False, 250
    yield {"table": (120, 7), "w_q": (7, 3, 4), "final_norm": (7,)}, True, 120


def _total(file, **rows):
    """The size of all matrices, some of them with another number of rows than the file has."""
    return sum(rows.get(name, shape[0]) * math.prod(shape[1:]) for name, shape in file.items())


@exercise(lesson=LESSON, cases=_file_cases)
def used_parameters(file, tied, vocab_size):
    """How many parameters of a checkpoint a model uses."""
    return _total(file, table=vocab_size, output=0 if tied else vocab_size)


@used_parameters.mutant()
def everything_in_the_file(file, tied, vocab_size):
    """the sum over the whole file; a tied model does not use its second copy, and no token uses padded rows."""
    return _total(file)


@used_parameters.mutant()
def counted_twice(file, tied, vocab_size):
    """the count with the output matrix always in it; in a tied model a file's second copy is the same matrix."""
    return _total(file, table=vocab_size, output=vocab_size)


@used_parameters.mutant()
def output_never_counted(file, tied, vocab_size):
    """the count without any output matrix; a model that does not tie uses it, and it counts."""
    return _total(file, table=vocab_size, output=0)


@used_parameters.mutant()
def table_not_counted(file, tied, vocab_size):
    """the count without the embedding table; the model uses that, too."""
    return _total(file, table=0, output=0 if tied else vocab_size)


@used_parameters.mutant()
def padding_counted(file, tied, vocab_size):
    """the count with the padded rows in it; no token uses the rows from vocab_size on."""
    return _total(file, **({"output": 0} if tied else {}))


def _published_cases(random):
    yield 2_506_172_416, 1_981_884_416, 256_000, 2048  # Gemma 2B: PyTorch, Hugging Face, Keras
    yield 2_506_434_560, 1_981_884_416, 256_000, 2048  # the same in Flax, with 128 rows more
    yield 6_738_415_616, 6_476_271_616, 32_000, 4096  # Llama 2 7B
    yield 6_888_095_744, 6_476_005_376, 50_280, 4096  # OLMo 7B


@exercise(lesson=LESSON, cases=_published_cases)
def tables_and_rows(total, rest, vocab_size, embed_dim):
    """From a parameter count: how many tables, of how many rows."""
    rows = (total - rest) // embed_dim
    tables = 2 if rows >= 2 * vocab_size else 1
    return tables, rows // tables


@tables_and_rows.mutant()
def rows_of_both(total, rest, vocab_size, embed_dim):
    """the result with the rows of both tables together; two tables share them."""
    tables, rows = tables_and_rows.solution(total, rest, vocab_size, embed_dim)
    return tables, tables * rows


@tables_and_rows.mutant()
def vocabulary_as_rows(total, rest, vocab_size, embed_dim):
    """the result with vocab_size as the number of rows; some tables are padded, and the total tells."""
    return tables_and_rows.solution(total, rest, vocab_size, embed_dim)[0], vocab_size


@tables_and_rows.mutant()
def always_tied(total, rest, vocab_size, embed_dim):
    """the result if every model were tied; a table with twice the rows of its vocabulary is two tables."""
    return 1, (total - rest) // embed_dim


@tables_and_rows.mutant()
def padding_as_a_second_table(total, rest, vocab_size, embed_dim):
    """the result in which any row beyond the vocabulary makes a second table; a few may be padding of the first."""
    rows = (total - rest) // embed_dim
    return (1, rows) if rows <= vocab_size else (2, rows // 2)
