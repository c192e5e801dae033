"""Batched, cached generation against a naive loop; sampling against its odds; streams against whole texts."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backend import random_params

from gemma_edu import presets
from gemma_edu.jax_model import generation
from gemma_edu.jax_model.generation import Sampling
from gemma_edu.numpy_model import transformer as numpy_transformer

pytestmark = pytest.mark.usefixtures("quick_compile")

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
    return list(generation.generate_tokens(jax_params(config), prompts, config, sampling, end_tokens))


def naive(prompt, config, steps):
    """Greedy decoding with a full forward pass in NumPy for every token."""
    ids = list(prompt)
    for _ in range(steps):
        logits = numpy_transformer.forward(random_params(config), np.array([ids]), config)
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("config", [GEMMA3, GPT2], ids=["window", "learned positions"])
def test_a_batch_of_prompts_continues_as_each_alone_and_as_the_naive_loop(config):
    together = [list(row) for row in zip(*generate(PROMPTS, config), strict=True)]
    alone = [[token for (token,) in generate([prompt], config)] for prompt in PROMPTS]
    assert together == alone == [naive(prompt, config, STEPS) for prompt in PROMPTS]
    assert len({tuple(row) for row in together}) > 1  # the prompts matter


def test_generation_fills_the_context_to_its_last_place():
    (steps,) = zip(*generate([[2, 5]], GPT2, max_tokens=30), strict=True)
    assert list(steps) == naive([2, 5], GPT2, 30)


def test_the_default_is_64_greedy_tokens():
    assert (Sampling().max_tokens, Sampling().temperature) == (64, 0.0)


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others():
    hot = {"temperature": 1.5}
    assert generate(PROMPTS, seed=1, **hot) == generate(PROMPTS, seed=1, **hot)
    assert generate(PROMPTS, seed=1, **hot) != generate(PROMPTS, seed=2, **hot)


@pytest.mark.parametrize("temperature", [1e-4, 9e-6, 1e-38, 1e-46])
def test_a_tiny_temperature_is_greedy(temperature):
    assert generate(PROMPTS, temperature=temperature) == generate(PROMPTS)


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
        generation.generate_tokens(jax_params(GEMMA3), [], GEMMA3)
    with pytest.raises(ValueError, match="these params are not those of tiny Gemma 2B"):
        generation.generate_tokens(jax_params(GEMMA3), [[2]], presets.TINY_GEMMA_2B)


@pytest.mark.parametrize("token", [-1, 11, 2**31, 2**32 + 1])
def test_an_id_outside_the_vocabulary_is_refused(token):
    with pytest.raises(ValueError, match=f"token id {token} is outside"):
        generate([[2], [2, token]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_tokens": 0}, "max_tokens = 0: ask for at least 1"),
        ({"max_tokens": True}, "max_tokens = True: it must be a whole number"),
        ({"seed": -1}, "seed = -1: it must lie between 0 and"),
        ({"seed": 2**32}, "seed = 4294967296: it must lie between 0 and"),
        ({"temperature": -0.5}, "temperature = -0.5: it must be 0"),
        ({"temperature": float("inf")}, "temperature = inf"),
        ({"temperature": float("nan")}, "temperature = nan"),
    ],
)
def test_sampling_values_out_of_range_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**values)


class ByteTokenizer:
    """Ids 2 to 10 are the nine bytes of "é€😀", each part of a character; 0 starts, 1 ends a text."""

    BYTES = "é€😀".encode()
    end_tokens = (1,)

    def encode(self, text, add_bos=False):
        return [0] * add_bos + [2 + self.BYTES.index(byte) for byte in text.encode()]

    def decode(self, ids):
        return bytes(self.BYTES[token - 2] for token in ids if token > 1).decode(errors="replace")


MODEL = SimpleNamespace(config=GEMMA3, params=None, tokenizer=ByteTokenizer())


def say(monkeypatch, *tokens):
    """Let the model answer with these tokens; returns what `generate_tokens` was called with."""
    calls = []

    def scripted(*arguments):
        calls.append(arguments)
        return iter([[token] for token in tokens])

    monkeypatch.setattr(generation, "generate_tokens", scripted)
    return calls


def test_a_piece_holds_whole_characters_only(monkeypatch):
    say(monkeypatch, *ByteTokenizer().encode("€é😀é"))
    assert list(generation.stream(MODEL, "é")) == ["€", "é", "😀", "é"]


def test_a_character_cut_off_by_max_tokens_shows_as_such_at_the_end(monkeypatch):
    say(monkeypatch, *ByteTokenizer().encode("é😀")[:-1])
    assert list(generation.stream(MODEL, "é")) == ["é", generation.INCOMPLETE]


def test_the_prompt_gets_bos_and_the_answer_ends_at_an_end_token(monkeypatch):
    calls = say(monkeypatch, 2, 3)
    assert generation.generate(MODEL, "€", Sampling(max_tokens=5)) == "é"
    (call,) = calls
    assert call[1:] == ([[0, 4, 5, 6]], GEMMA3, Sampling(max_tokens=5), (1,))


@pytest.mark.parametrize("seed", range(3))
def test_pieces_joined_are_the_decoded_tokens(seed):
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=ByteTokenizer())
    sampling = Sampling(max_tokens=STEPS, temperature=1.5, seed=seed)
    prompt = model.tokenizer.encode("é", add_bos=True)
    steps = generation.generate_tokens(model.params, [prompt], GEMMA3, sampling, [1])
    answer = [token for (token,) in steps]
    expected = model.tokenizer.decode(prompt + answer).removeprefix("é")
    assert "".join(generation.stream(model, "é", sampling)) == expected
    assert generation.generate(model, "é", sampling) == expected


def test_without_a_tokenizer_the_error_says_what_to_do():
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=None)
    with pytest.raises(
        ValueError, match="without a tokenizer: put its tokenizer.model beside .* generate_tokens"
    ):
        generation.generate(model, "é")
