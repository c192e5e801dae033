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
