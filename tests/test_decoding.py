"""Batched, cached decoding against a naive loop in NumPy, with every sampling parameter; tokens against their odds."""

import numpy as np
import pytest
from backend import random_params
from naive_decoding import (
    GEMMA3,
    GPT2,
    PROMPTS,
    STEPS,
    generate,
    jax_params,
    naive,
    naive_sampled,
    next_logits,
)

from gemma_edu import presets
from gemma_edu.jax_model import decoding
from gemma_edu.numpy_model import sampling as numpy_sampling
from gemma_edu.numpy_model import transformer as numpy_transformer
from gemma_edu.sampling_config import Sampling

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize("config", [GEMMA3, GPT2], ids=["window", "learned positions"])
def test_a_batch_of_prompts_continues_as_each_alone_and_as_the_naive_loop(config):
    together = [list(row) for row in zip(*generate(PROMPTS, config), strict=True)]
    alone = [[token for (token,) in generate([prompt], config)] for prompt in PROMPTS]
    assert together == alone == [naive(prompt, config, STEPS) for prompt in PROMPTS]
    assert len({tuple(row) for row in together}) > 1  # the prompts matter


def test_generation_fills_the_context_to_its_last_place():
    (steps,) = zip(*generate([[2, 5]], GPT2, max_tokens=30), strict=True)
    assert list(steps) == naive([2, 5], GPT2, 30)


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others():
    hot = {"temperature": 1.5}
    assert generate(PROMPTS, seed=1, **hot) == generate(PROMPTS, seed=1, **hot)
    assert generate(PROMPTS, seed=1, **hot) != generate(PROMPTS, seed=2, **hot)


@pytest.mark.parametrize("temperature", [1e-4, 9e-6, 1e-38, 1e-46])
def test_a_tiny_temperature_is_greedy(temperature):
    assert generate(PROMPTS, temperature=temperature) == generate(PROMPTS)


EVERYTHING = {
    "temperature": 1.3,
    "top_k": 9,
    "top_p": 0.9,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.7,
}


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_k": 4},
        {"temperature": 2.0, "top_p": 0.8},
        {"frequency_penalty": 2.0},
        {"presence_penalty": -2.0},
        {"temperature": 1.0, "presence_penalty": 2.0},
        EVERYTHING,
    ],
    ids=lambda values: " ".join(values) if len(values) < 5 else "everything",
)
def test_every_parameter_does_in_a_batch_what_a_naive_loop_in_numpy_does(sampling):
    together = [list(row) for row in zip(*generate(PROMPTS, seed=5, **sampling), strict=True)]
    settings = Sampling(max_tokens=STEPS, seed=5, **sampling)
    assert together == [naive_sampled(prompt, row, settings) for row, prompt in enumerate(PROMPTS)]


@pytest.mark.parametrize("only_one", [{"top_k": 1}, {"top_p": 1e-9}, {"top_k": 11, "top_p": 0.01}])
def test_a_filter_that_leaves_one_token_is_greedy(only_one):
    assert generate(PROMPTS, temperature=1.0, **only_one) == generate(PROMPTS)


def test_a_large_penalty_keeps_tokens_from_coming_again():
    free, penalised = generate([[2]]), generate([[2]], presence_penalty=2.0, frequency_penalty=2.0)
    assert len(set(map(tuple, penalised))) > len(set(map(tuple, free)))


def test_other_values_need_no_other_program():
    generate(PROMPTS, **EVERYTHING)
    compiled = decoding._choose._cache_size()
    generate(PROMPTS, temperature=0.5, top_k=3)
    generate(PROMPTS, temperature=1.0, top_p=0.3, presence_penalty=1.0, seed=9)
    assert decoding._choose._cache_size() == compiled


@pytest.mark.parametrize("sampling", [{}, EVERYTHING], ids=["greedy", "everything"])
def test_log_probs_are_the_models_own_whatever_the_sampling(sampling):
    settings = Sampling(max_tokens=STEPS, **sampling)
    steps = list(decoding.generate_steps(jax_params(GEMMA3), PROMPTS, GEMMA3, settings))
    assert [step.tokens for step in steps] == generate(PROMPTS, **sampling)
    for row, prompt in enumerate(PROMPTS):
        ids = list(prompt)
        for step in steps:
            probs = numpy_sampling.softmax(next_logits(ids, GEMMA3))[0]
            assert step.log_probs[row] == pytest.approx(np.log(probs[step.tokens[row]]), abs=1e-4)
            ids.append(step.tokens[row])


def test_a_row_that_has_ended_has_no_token_and_no_log_prob():
    free = [list(row) for row in zip(*generate(PROMPTS), strict=True)]
    end = free[0][1]
    steps = list(decoding.generate_steps(jax_params(GEMMA3), PROMPTS, GEMMA3, Sampling(STEPS), [end]))
    assert any(None in step.tokens for step in steps)
    for step in steps:
        assert [token is None for token in step.tokens] == [number is None for number in step.log_probs]


def test_each_step_draws_anew():
    drawn = generate([[2]] * 256, temperature=100.0)  # nearly uniform
    assert all(len(set(step)) == 11 for step in drawn)  # rows differ
    assert len(set(map(tuple, drawn))) == STEPS  # steps differ


def test_sampled_tokens_follow_softmax_of_logits_over_temperature():
    prompt, draws = [2, 5, 7], 4096
    logits = numpy_transformer.forward(random_params(GEMMA3), np.array([prompt]), GEMMA3)[0, -1] / 2.0
    odds = np.exp(logits) / np.exp(logits).sum()
    (tokens,) = generate([prompt] * draws, max_tokens=1, temperature=2.0, seed=7)
    observed = np.bincount(tokens, minlength=11)
    chi_square = np.sum((observed - draws * odds) ** 2 / (draws * odds))
    assert chi_square < 29.6  # 10 degrees of freedom: exceeded by one seed in a thousand
    at_temperature_1 = odds**2 / np.sum(odds**2)
    assert (
        np.sum((observed - draws * at_temperature_1) ** 2 / (draws * at_temperature_1)) > 100
    )  # it could tell


def test_an_end_token_stops_its_row_while_the_others_run_on():
    free = [list(row) for row in zip(*generate(PROMPTS), strict=True)]
    end = free[0][1]
    stops = [row.index(end) if end in row else STEPS for row in free]
    assert len(set(stops)) > 1  # rows stop at different times
    steps = generate(PROMPTS, end_tokens=[end])
    assert len(steps) == max(stops)
    for row, tokens in enumerate(zip(*steps, strict=True)):
        shown = free[row][: stops[row]]
        assert list(tokens) == shown + [None] * (len(steps) - len(shown))


def test_any_of_several_end_tokens_stops_and_is_not_shown():
    first, second = generate([[2]], max_tokens=2)
    assert generate([[2]], end_tokens=[-9, first[0], 99]) == []
    assert second == first or generate([[2]], end_tokens={99, second[0]}) == [first]


@pytest.mark.parametrize("prompts", [[], [[]], [[2], []]])
def test_an_empty_prompt_is_refused(prompts):
    with pytest.raises(ValueError, match="an empty prompt: give each at least one token, such as"):
        generate(prompts)


def test_a_prompt_that_leaves_no_room_is_refused_with_the_room_there_is():
    with pytest.raises(ValueError, match=r"a prompt of 7 tokens and max_tokens = 26 .* of 32: .* at most 25"):
        generate(PROMPTS, max_tokens=26)


def test_a_prompt_as_long_as_the_context_gets_advice_that_can_be_followed():
    with pytest.raises(ValueError, match=r"a prompt of 32 tokens .* context of 32: shorten the prompt$"):
        generate([[2] * 32])


@pytest.mark.parametrize("prompt", [np.array([1.9, 2.9]), np.array([[1, 2]]), np.array(["12"])])
def test_a_prompt_that_is_no_list_of_whole_numbers_is_refused(prompt):
    with pytest.raises(ValueError, match="a prompt must be a list of token ids"):
        generate([prompt])


def test_everything_is_checked_before_the_first_step():
    with pytest.raises(ValueError, match="an empty prompt"):
        decoding.generate_tokens(jax_params(GEMMA3), [], GEMMA3)
    with pytest.raises(ValueError, match="these params are not those of tiny Gemma 2B"):
        decoding.generate_tokens(jax_params(GEMMA3), [[2]], presets.TINY_GEMMA_2B)


@pytest.mark.parametrize("token", [-1, 11, 2**31, 2**32 + 1])
def test_an_id_outside_the_vocabulary_is_refused(token):
    with pytest.raises(ValueError, match=f"token id {token} is outside"):
        generate([[2], [2, token]])


def test_stop_ids_end_a_text_like_end_tokens():
    (first, *_), (second, *_) = generate([[2]])[:2]
    assert generate([[2]], stop=(first,)) == []
    assert second == first or generate([[2]], stop=(second,), end_tokens=[99]) == [[first]]
    assert generate(PROMPTS, stop=tuple(range(5)), end_tokens=range(5, 11)) == []


def test_stop_strings_are_refused_where_no_text_is_seen():
    with pytest.raises(ValueError, match="stop holds 'END', and without a tokenizer .* generation.generate"):
        generate([[2]], stop=(3, "END"))


def test_a_stop_id_outside_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="token id 11 is outside"):
        generate([[2]], stop=(3, 11))
