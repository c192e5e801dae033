"""A coarse table finds the token that all logits would have found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import random_params
from naive_decoding import GEMMA3, GPT2, PROMPTS, STEPS, generate, jax_params

from gemma_edu import presets
from gemma_edu.jax_model import decoding, sampling, screening, transformer
from gemma_edu.sampling_config import Sampling

WIDE = GEMMA3.replace(vocab_size=2_001)  # a square of 45 rows, the last of them not full


def logits(params, x, config):
    return transformer.read_out(params, x[:, None], config)[:, 0]


@pytest.fixture(params=["float32", "bfloat16"])
def wide(request):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, request.param), random_params(WIDE))


def with_table(params, table):
    return params._replace(embedding=params.embedding._replace(table=table))


def streams(count, dtype, outlier=1.0):
    """What could leave the last block: some dimensions are far larger than the others, as in real models."""
    x = np.random.default_rng(1).normal(size=(count, 1, WIDE.embed_dim))
    x[..., ::7] *= outlier
    return jnp.asarray(x, dtype)


@pytest.mark.parametrize("outlier", [1.0, 30.0])
def test_it_is_the_most_likely_of_all_tokens(wide, outlier):
    screen = screening.screen(wide, WIDE)
    find = jax.jit(screening.most_likely, static_argnames="config")
    found = set()
    for x in streams(40, wide.embedding.table.dtype, outlier):
        expected = sampling.most_likely(logits(wide, x, WIDE))
        np.testing.assert_array_equal(find(wide, screen, x, config=WIDE), expected)
        found.add(int(expected[0]))
    assert len(found) > 8


@pytest.mark.parametrize("outlier", [1.0, 30.0])
def test_no_logit_is_above_its_bound_and_the_bound_is_near(wide, outlier):
    screen = screening.screen(wide, WIDE)
    for x in streams(10, wide.embedding.table.dtype, outlier):
        true_1V = logits(wide, x, WIDE)
        given = transformer.before_output(wide, x, WIDE).astype(jnp.float32)
        above_1V = screening._highest(screen, given) - true_1V
        assert above_1V.min() >= 0
        assert above_1V.max() < 0.2 * (true_1V.max() - true_1V.min())
        # what every token may gain is as much as it may lose
        assert above_1V.max() <= 2.1 * (0.5 * screen.step.max() * jnp.abs(given).sum())


def test_a_row_is_off_by_half_a_step_at_most_and_zeros_stay_zeros(wide):
    table = wide.embedding.table.at[3].set(0)
    screen = screening.screen(with_table(wide, table), WIDE)
    off = np.abs(np.asarray(table, np.float64) - np.asarray(screen.step, np.float64)[:, None] * screen.coarse)
    assert (off <= 0.5001 * screen.step[:, None]).all()
    assert not screen.coarse[3].any() and screen.coarse.dtype == jnp.int8
    assert (np.abs(np.asarray(screen.coarse, np.int32)).max(axis=1)[np.arange(len(table)) != 3] == 127).all()


def test_where_the_coarse_table_cannot_tell_all_logits_decide(wide):
    """Rows that differ by less than half a step, all over the table."""
    rng = np.random.default_rng(2)
    noise = 1e-3 * rng.normal(size=(WIDE.vocab_size, WIDE.embed_dim))
    table = rng.normal(size=WIDE.embed_dim) + noise
    alike = with_table(wide, jnp.asarray(table, wide.embedding.table.dtype))
    screen = screening.screen(alike, WIDE)
    for x in streams(5, wide.embedding.table.dtype):
        expected = sampling.most_likely(logits(alike, x, WIDE))
        np.testing.assert_array_equal(screening.most_likely(alike, screen, x, WIDE), expected)


def test_of_equal_logits_the_first_wins_wherever_they_stand(wide):
    x = streams(1, wide.embedding.table.dtype)[0]
    best = int(sampling.most_likely(logits(wide, x, WIDE))[0])
    table = wide.embedding.table
    for copies in ([7], [1_990], [7, 1_990], list(range(5, WIDE.vocab_size, 45))):
        params = with_table(wide, table.at[jnp.array(copies)].set(table[best]))
        screen = screening.screen(params, WIDE)
        assert int(screening.most_likely(params, screen, x, WIDE)[0]) == min(best, *copies)


def test_a_wide_bound_costs_time_and_no_token(wide):
    """A bound so high that nothing is ever ruled out, and a coarse table that knows nothing."""
    screen = screening.screen(wide, WIDE)
    useless = screen._replace(coarse=jnp.zeros_like(screen.coarse), step=1e6 * screen.step)
    for x in streams(5, wide.embedding.table.dtype):
        expected = sampling.most_likely(logits(wide, x, WIDE))
        np.testing.assert_array_equal(screening.most_likely(wide, useless, x, WIDE), expected)


def test_nan_gives_the_token_that_it_gives_without_a_screen(wide):
    screen, x = screening.screen(wide, WIDE), jnp.full((1, WIDE.embed_dim), jnp.nan, jnp.float32)
    expected = sampling.most_likely(logits(wide, x, WIDE))
    np.testing.assert_array_equal(screening.most_likely(wide, screen, x, WIDE), expected)


@pytest.mark.parametrize("config", [GEMMA3, GPT2, presets.TINY_OLMO_7B, presets.TINY_TRANSFORMER_BASE])
def test_a_text_is_the_same_with_and_without(config):
    """Small vocabularies, of fewer rows than are looked at; OLMo's table is not tied, the Transformer has no norm."""
    params, prompt = jax_params(config), PROMPTS[1]
    screen = screening.screen(params, config)
    with_screen = decoding.generate_tokens(params, [prompt], config, Sampling(STEPS), screen=screen)
    assert list(with_screen) == generate([prompt], config)


@pytest.mark.parametrize(
    ("prompts", "settings"),
    [
        (PROMPTS, {}),
        (PROMPTS[:1], {"temperature": 1.0, "seed": 3}),
        (PROMPTS[:1], {"frequency_penalty": 2.0}),
    ],
)
def test_what_needs_all_logits_gets_them(prompts, settings, monkeypatch):
    screen = screening.screen(jax_params(GEMMA3), GEMMA3)
    monkeypatch.setattr(screening, "most_likely", None)
    steps = decoding.generate_tokens(
        jax_params(GEMMA3), prompts, GEMMA3, Sampling(STEPS, **settings), screen=screen
    )
    assert list(steps) == generate(prompts, **settings)


def test_a_screen_of_another_model_is_refused():
    other = screening.screen(jax_params(WIDE), WIDE)
    with pytest.raises(
        ValueError, match=r"the screen is of a table of shape .* make it with screening.screen"
    ):
        decoding.generate_tokens(jax_params(GEMMA3), PROMPTS[:1], GEMMA3, Sampling(STEPS), screen=other)
    with pytest.raises(ValueError, match="params"):
        screening.screen(jax_params(GPT2), GEMMA3)
