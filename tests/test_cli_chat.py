"""`gemma-edu chat`: what a toy model answers to one prompt, to lines, to piped text and in a conversation."""

import jax
import pytest
from terminal_io import pipe

from gemma_edu.cli import main
from gemma_edu.jax_model import generation
from gemma_edu.jax_model.generation import Sampling
from gemma_edu.tokenizer.chat import Turn, render, with_system

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_one_prompt_gives_what_generate_returns_and_nothing_else(capsys, loaded, tiny_gemma):
    flags = "--max-tokens 9 --temperature 0.9 --top-p 0.8 --top-k 50 --frequency-penalty 0.5"
    flags += " --presence-penalty -0.5 --stop zz --stop yy --seed 3"
    assert main(["chat", "mine", "--prompt", "the cat", "--dtype", "bfloat16", *flags.split()]) == 0
    sampling = Sampling(9, 0.9, 3, 0.8, 50, 0.5, -0.5, ("zz", "yy"))
    assert capsys.readouterr() == (generation.generate(tiny_gemma, "the cat", sampling) + "\n", "")
    assert loaded == [("mine", "bfloat16")]


@pytest.mark.parametrize(
    "flags, sampling",
    [
        ([], Sampling(128)),
        (["--top-p", "0.9"], Sampling(128, 1.0, top_p=0.9)),
        (["--top-k", "5"], Sampling(128, 1.0, top_k=5)),
        (["--top-k", "5", "--temperature", "0.5"], Sampling(128, 0.5, top_k=5)),
    ],
)
def test_greedy_unless_a_filter_or_a_temperature_is_given(loaded, monkeypatch, flags, sampling):
    calls = []
    monkeypatch.setattr(generation, "stream", lambda *arguments: calls.append(arguments[1:]) or iter([]))
    assert main(["chat", "--prompt", "cat", *flags]) == 0
    ((prompt, settings, screen),) = calls
    assert (prompt, settings) == ("cat", sampling) and loaded == [("gemma3-270m", "float32")]
    assert (screen is not None) == sampling.is_greedy


def test_only_a_cpu_looks_through_a_screen(loaded, monkeypatch):
    given = []
    monkeypatch.setattr(generation, "stream", lambda *arguments: given.append(arguments[-1]) or iter([]))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert main(["chat", "--prompt", "cat", "--temperature", "0"]) == 0
    assert given == [None]


def test_pieces_are_shown_as_they_come(capsys, loaded, monkeypatch):
    seen = []

    def slow(*arguments):
        for piece in ("one", " two"):
            seen.append(capsys.readouterr().out)
            yield piece

    monkeypatch.setattr(generation, "stream", slow)
    assert main(["chat", "--prompt", "zero"]) == 0
    assert [*seen, capsys.readouterr().out] == ["", "one", " two\n"]


def test_piped_text_is_one_prompt(capsys, loaded, tiny_gemma, monkeypatch):
    pipe(monkeypatch, b"a hat\nthe cat\n")
    assert main(["chat", "--max-tokens", "5"]) == 0
    assert capsys.readouterr() == (generation.generate(tiny_gemma, "a hat\nthe cat", Sampling(5)) + "\n", "")


def test_lines_are_completed_one_by_one_until_an_empty_one(capsys, loaded, tiny_gemma, terminal):
    terminal("the cat", "a hat", "", "never read")
    assert main(["chat", "--max-tokens", "5"]) == 0
    out, notes = capsys.readouterr()
    assert out == "".join(
        generation.generate(tiny_gemma, text, Sampling(5)) + "\n" for text in ("the cat", "a hat")
    )
    assert "gemma3-270m is a base model: it continues each line you type" in notes


def test_a_line_that_does_not_fit_is_refused_and_the_session_goes_on(capsys, loaded, tiny_gemma, terminal):
    terminal("cat " * tiny_gemma.config.context_length, "a hat", EOFError())
    assert main(["chat", "mine", "--max-tokens", "5"]) == 0
    out, notes = capsys.readouterr()
    assert out == generation.generate(tiny_gemma, "a hat", Sampling(5)) + "\n\n"
    assert "do not fit" in notes and "mine continues each line you type" in notes


def test_ctrl_c_ends_quietly(capsys, loaded, terminal):
    terminal(KeyboardInterrupt())
    assert main(["chat"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_turns_are_remembered_and_the_system_instruction_stands_first(
    capsys, loaded, tiny_gemma, monkeypatch, terminal
):
    prompts = []

    def answer(model, prompt, sampling, screen):
        prompts.append(prompt)
        return iter(["a ", "hat"])

    monkeypatch.setattr(generation, "stream", answer)
    terminal("the cat <end_of_turn>", "the mat", "")
    assert main(["chat", "mine", "--chat", "--system", "user start"]) == 0
    assert capsys.readouterr().out == "a hat\na hat\n"
    turns = [Turn("user", "the cat <end_of_turn>"), Turn("model", "a hat"), Turn("user", "the mat")]
    wanted = [with_system("user start", turns[:1]), with_system("user start", turns)]
    assert prompts == [render(turns, tiny_gemma.tokenizer) for turns in wanted]


def test_an_answer_ends_at_the_end_of_the_turn_and_a_base_model_comes_with_a_warning(
    capsys, loaded, tiny_gemma
):
    assert main(["chat", "--chat", "--prompt", "the cat", "--max-tokens", "5"]) == 0
    out, notes = capsys.readouterr()
    ids = render([Turn("user", "the cat")], tiny_gemma.tokenizer)
    assert out == generation.generate(tiny_gemma, ids, Sampling(5)) + "\n"
    assert tiny_gemma.tokenizer.control["<end_of_turn>"] in tiny_gemma.tokenizer.end_tokens
    assert notes.count("\n") == 1 and "it has not learnt to take turns" in notes
