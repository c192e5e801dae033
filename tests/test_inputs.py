"""Token ids and positions that JAX would clip in silence are refused, with the value and the fix."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import random_params

from gemma_edu import presets
from gemma_edu.inputs import check_tokens, is_traced
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.params import for_config, shapes, to_leaves

GEMMA, GPT2 = presets.TINY_GEMMA_2B, presets.TINY_GPT2_124M


@pytest.mark.parametrize(("ids", "wrong"), [([[0, 11, 3]], 11), ([[4, -1, 3]], -1), ([[0, -7, 12]], -7)])
def test_an_id_outside_the_vocabulary_is_named(backend, ids, wrong):
    tokens = backend.array(ids)
    weights = backend.tree(random_params(GEMMA))
    with pytest.raises(
        ValueError, match=rf"token id {wrong} is outside .* of 11: ids go from 0 to 10\. Was the"
    ):
        backend.transformer.forward(weights, tokens, GEMMA)


@pytest.mark.parametrize("shape", [(3, 0), (0, 5)])
def test_no_tokens_at_all_is_refused(backend, shape):
    tokens = backend.array(np.zeros(shape, np.int32))
    with pytest.raises(ValueError, match=rf"shape \({shape[0]}, {shape[1]}\): give at least one token"):
        backend.transformer.forward(backend.tree(random_params(GEMMA)), tokens, GEMMA)


def test_more_tokens_than_learned_positions_are_refused(backend):
    tokens = backend.array(np.zeros((1, 33), np.int32))
    with pytest.raises(
        ValueError, match=r"position 32 has no vector: .* learned 32 positions; give at most 32"
    ):
        backend.transformer.forward(backend.tree(random_params(GPT2)), tokens, GPT2)


def test_a_given_position_past_the_learned_table_is_refused(backend):
    tokens, positions = backend.array([[1, 2]]), backend.array([[31, 32]])
    with pytest.raises(ValueError, match="position 32 has no vector"):
        backend.transformer.forward(backend.tree(random_params(GPT2)), tokens, GPT2, positions)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1, 2]], "tokens are a list: give an array"),
        (np.array([1, 2]), r"shape \(2,\) and type int64: give whole numbers of shape \(B, T\)"),
        (np.array([[1.0, 2.0]]), r"type float64: give whole numbers"),
        (np.array([[True, False]]), r"type bool: give whole numbers"),
    ],
)
def test_tokens_of_another_kind_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        check_tokens(tokens, GEMMA)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.array([0, 1]), r"positions have shape \(2,\)"),
        (np.array([[0, 1, 2]]), r"positions have shape \(1, 3\) and tokens \(1, 2\)"),
        (np.array([[0.0, 1.0]]), r"positions have .* type float64"),
    ],
)
def test_positions_that_do_not_fit_the_tokens_are_refused(positions, message):
    with pytest.raises(ValueError, match=message):
        check_tokens(np.array([[1, 2]]), GEMMA, positions)


@pytest.mark.parametrize(
    ("of", "config", "message"),
    [
        (GEMMA, GEMMA.replace(num_layers=3), "missing: blocks.2.attention.w_k"),
        (presets.TINY_GEMMA3_270M, GEMMA, "not in the config: blocks.0.attention.k_norm.scale.* and 4 more"),
        (
            presets.TINY_GEMMA_7B,
            GEMMA,
            r"of another shape: blocks.0.attention.w_k \(10, 8, 12\), not \(10, 1, 12\)",
        ),
    ],
)
def test_params_of_another_config_are_refused(backend, of, config, message):
    with pytest.raises(ValueError, match=f"these params are not those of tiny Gemma 2B.*{message}"):
        backend.transformer.forward(backend.tree(random_params(of)), backend.array([[1, 2]]), config)


def test_weights_are_left_out_on_purpose_by_name():
    config = presets.TINY_GEMMA3_270M.replace(qk_norm=False)
    kept = for_config(random_params(presets.TINY_GEMMA3_270M), config)
    assert set(to_leaves(kept)) == set(shapes(config))
    with pytest.raises(ValueError, match="missing .*q_norm"):
        for_config(kept, presets.TINY_GEMMA3_270M)


def test_numpy_says_that_it_cannot_multiply_bfloat16():
    low = jax.tree.map(lambda leaf: np.asarray(jnp.asarray(leaf, jnp.bfloat16)), random_params(GEMMA))
    with pytest.raises(
        ValueError, match="params are bfloat16: NumPy multiplies float32 and float64; load with"
    ):
        numpy_transformer.forward(low, np.array([[1]]), GEMMA)


def test_the_first_and_last_id_and_position_are_welcome():
    assert check_tokens(np.array([[0, 10]]), GPT2, np.array([[0, 31]])) is None


def test_rope_has_no_last_position():
    assert check_tokens(np.zeros((1, 1000), int), GEMMA) is None


def test_values_are_not_looked_at_while_jax_traces():
    traced = []

    @jax.jit
    def look(tokens):
        traced.append(is_traced(tokens))
        check_tokens(tokens, GPT2, tokens)
        return tokens

    look(jnp.array([[99]]))  # out of range, and unknown at this point
    assert traced == [True]
    assert not is_traced(jnp.array([1])) and not is_traced(np.array([1]))


def test_shapes_are_checked_even_while_jax_traces():
    with pytest.raises(ValueError, match="position 32 has no vector"):
        jax.eval_shape(lambda tokens: check_tokens(tokens, GPT2), jax.ShapeDtypeStruct((1, 33), "int32"))


RUN_WITHOUT_JAX = """
import importlib.util, sys
sys.modules["jax"] = None
import numpy as np
from gemma_edu import params, presets
from gemma_edu.numpy_model import transformer
if importlib.util.find_spec("gemma_edu.checkpoints.__init__"):
    import gemma_edu.checkpoints
config = presets.TINY_GEMMA3_270M
weights = params.build(config, lambda name, shape: np.ones(shape, np.float32))
assert transformer.forward(weights, np.array([[1, 2]]), config).shape == (1, 2, 11)
assert sys.modules["jax"] is None
"""


def test_the_numpy_model_runs_where_jax_cannot_be_imported():
    result = subprocess.run([sys.executable, "-c", RUN_WITHOUT_JAX], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_known_values_are_looked_at_even_while_jax_traces_something_else():
    tokens, wrong = jnp.array([[0, 10]]), jnp.array([[0, 11]])
    assert jax.jit(lambda x: (check_tokens(tokens, GEMMA, tokens), x)[1])(1.0) == 1.0
    with pytest.raises(ValueError, match="token id 11"):
        jax.jit(lambda x: (check_tokens(wrong, GEMMA), x)[1])(1.0)
