"""Text in, text out: what a prompt becomes, where a text ends, and pieces against the whole."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from backend import random_params

from gemma_edu import presets
from gemma_edu.jax_model import generation
from gemma_edu.jax_model.generation import Sampling

pytestmark = pytest.mark.usefixtures("quick_compile")

GEMMA3 = presets.TINY_GEMMA3_270M
STEPS = 12


@functools.cache
def jax_params(config):
    """Random weights as JAX arrays."""
    return jax.tree.map(jnp.asarray, random_params(config))


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
        return ([token] for token in tokens)

    monkeypatch.setattr(generation, "generate_tokens", scripted)
    return calls


def test_a_piece_holds_whole_characters_only(monkeypatch):
    say(monkeypatch, *ByteTokenizer().encode("€é😀é"))
    assert list(generation.stream(MODEL, "é")) == ["€", "é", "😀", "é"]


def test_a_character_cut_off_by_max_tokens_is_left_out(monkeypatch):
    for missing in (1, 2, 3):
        say(monkeypatch, *ByteTokenizer().encode("é😀")[:-missing])
        assert list(generation.stream(MODEL, "é")) == ["é"]


def test_the_prompt_gets_bos_and_the_answer_ends_at_an_end_token(monkeypatch):
    calls = say(monkeypatch, 2, 3)
    assert generation.generate(MODEL, "€", Sampling(max_tokens=5)) == "é"
    (call,) = calls
    assert call[1:] == ([[0, 4, 5, 6]], GEMMA3, Sampling(max_tokens=5), (1,), None)


@pytest.mark.parametrize("seed", range(3))
def test_pieces_joined_are_the_decoded_tokens(seed):
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=ByteTokenizer())
    sampling = Sampling(max_tokens=STEPS, temperature=1.5, seed=seed)
    prompt = model.tokenizer.encode("é", add_bos=True)
    steps = generation.generate_tokens(model.params, [prompt], GEMMA3, sampling, [1])
    answer = [token for (token,) in steps]
    expected = model.tokenizer.decode(prompt + answer).removeprefix("é").rstrip("\N{REPLACEMENT CHARACTER}")
    assert "".join(generation.stream(model, "é", sampling)) == expected
    assert generation.generate(model, "é", sampling) == expected


def test_a_stop_string_across_tokens_ends_the_text_and_is_not_shown(monkeypatch):
    say(monkeypatch, *ByteTokenizer().encode("é€é😀é"))
    assert list(generation.stream(MODEL, "é", Sampling(stop=("é😀",)))) == ["é€"]


def test_what_only_began_like_a_stop_string_is_shown_in_the_end(monkeypatch):
    say(monkeypatch, *ByteTokenizer().encode("€é"))
    assert list(generation.stream(MODEL, "é", Sampling(stop=("é😀", "€€")))) == ["€", "é"]


def test_no_token_is_asked_for_after_a_stop_string(monkeypatch):
    asked = []
    tokens = ByteTokenizer().encode("é😀é")
    steps = (asked.append(token) or [token] for token in tokens)
    monkeypatch.setattr(generation, "generate_tokens", lambda *_: steps)
    assert generation.generate(MODEL, "é", Sampling(stop=("😀",))) == "é"
    assert asked == tokens[:6]


def test_strings_stay_here_and_ids_go_to_the_decoder(monkeypatch):
    calls = say(monkeypatch, 2, 3)
    generation.generate(MODEL, "€", Sampling(stop=("x", 5)))
    assert calls[0][3] == Sampling(stop=(5,))


class LetterTokenizer:
    """Id 0 starts a text, ids 1 to 10 are a to j: any answer is a text."""

    end_tokens = ()

    def encode(self, text, add_bos=False):
        return [0] * add_bos + [ord(letter) - 96 for letter in text]

    def decode(self, ids):
        return "".join(chr(96 + token) for token in ids if token)


def test_a_list_of_prompts_gives_the_list_of_their_texts():
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=LetterTokenizer())
    varied = Sampling(max_tokens=STEPS, presence_penalty=2.0, frequency_penalty=1.0)
    together = generation.generate(model, ["a", "cabj", [0, 4, 5, 6]], varied)
    assert together == [generation.generate(model, prompt, varied) for prompt in ("a", "cabj", "def")]
    assert all(together) and len(set(together)) > 1
    assert generation.generate(model, ["a"], varied) == together[:1]
    assert generation.generate(model, [0, 4, 5, 6], varied) == together[2]
    assert "".join(generation.stream(model, [0, 4, 5, 6], varied)) == together[2]


def test_texts_of_a_batch_stop_each_at_its_own_place(monkeypatch):
    rows = [ByteTokenizer().encode(text) for text in ("éé€éé", "€éééé", "ééééé")]
    steps = [list(tokens) for tokens in zip(*(row[:10] for row in rows), strict=True)]
    steps += [[None, 2, 2], [None, 3, 3]]
    monkeypatch.setattr(generation, "generate_tokens", lambda *_: iter(steps))
    texts = generation.generate(MODEL, ["é"] * 3, Sampling(stop=("€",)))
    assert texts == ["éé", "", "éééééé"]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "an empty prompt"),
        ([[]], "an empty prompt"),
        ([2, 11], "token id 11 is outside"),
        ([[2], [2, 11]], "token id 11 is outside"),
    ],
)
def test_a_prompt_of_another_kind_is_refused(prompts, message):
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=ByteTokenizer())
    with pytest.raises(ValueError, match=message):
        generation.generate(model, prompts)


def test_errors_come_before_the_first_piece():
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=ByteTokenizer())
    with pytest.raises(ValueError, match="do not fit"):
        generation.stream(model, "é", Sampling(max_tokens=1000))


def test_without_a_tokenizer_the_error_says_what_to_do():
    model = SimpleNamespace(config=GEMMA3, params=jax_params(GEMMA3), tokenizer=None)
    with pytest.raises(
        ValueError, match="without a tokenizer: put its tokenizer.model beside .* generate_tokens"
    ):
        generation.generate(model, "é")
