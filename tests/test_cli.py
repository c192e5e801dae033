"""`gemma-edu`: its help texts, and mistakes, which end in one line and exit status 2."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_tokenizers import like_llama
from terminal_io import pipe, refusal

from gemma_edu import checkpoints
from gemma_edu.checkpoints import CheckpointError
from gemma_edu.cli import chat, main
from gemma_edu.jax_model import generation

ROOT = Path(__file__).parent.parent
FLAGS = (
    "WEIGHTS --prompt --chat --system --max-tokens --temperature --top-p --top-k --frequency-penalty "
    "--presence-penalty --stop --seed --dtype"
).split()


def shown_help(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--help"])
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_names_the_commands_and_waits_for_no_jax():
    code = "import sys; from gemma_edu.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    start = time.perf_counter()
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout
    assert time.perf_counter() - start < 5
    assert chat.SUMMARY in " ".join(out.split()) and "doctor" in out
    assert not {"jax", "numpy", "psutil"} & set(out.split())


def test_help_of_chat_explains_every_flag_with_its_range_and_default(capsys):
    text = shown_help(capsys, "chat")
    explained = text[text.index("positional") : text.index("examples:")]
    assert all(re.search(rf"(?<![\w-]){flag} ", explained) for flag in FLAGS)
    for said in ("above 0, at most 1", "-2 to 2", "default 128", "default 0, but 1 with --top-p or --top-k"):
        assert said in explained


def test_every_example_of_the_help_is_accepted(capsys, loaded, monkeypatch, terminal):
    lines = [line.partition("gemma-edu ")[2] for line in chat.EXAMPLES.splitlines() if "gemma-edu" in line]
    assert len(lines) == 7
    monkeypatch.setattr(generation, "stream", lambda *arguments: iter(["fine"]))
    for line in lines:
        terminal("")
        monkeypatch.setattr(sys.stdin, "read", lambda: "text", raising=False)
        assert main(shlex.split(re.split(r" {2,}", line)[0])) == 0
    assert (
        capsys.readouterr().out.count("fine\n") == 4
    )  # the others read the terminal, which an empty line ends


def test_doctor_has_a_help_text_and_python_m_runs_the_same(capsys):
    assert "exit status is 0 if the course can run" in shown_help(capsys, "doctor")
    result = subprocess.run([sys.executable, "-m", "gemma_edu", "chat", "--top-p", "2"], cwd=ROOT,
                            capture_output=True, text=True, stdin=subprocess.DEVNULL)  # fmt: skip
    assert result.returncode == 2 and result.stderr.startswith(
        "gemma-edu chat: top_p = 2.0: it must be above 0"
    )


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--top-p 1.5", "top_p = 1.5: it must be above 0 and at most 1"),
        ("--top-p 0", "top_p = 0"),
        ("--top-p nan", "top_p = nan"),
        (
            "--temperature 0 --top-p 0.9",
            "temperature = 0.0 always takes the most likely token, so top_p = 0.9",
        ),
        ("--temperature -1", "temperature = -1.0"),
        ("--temperature warm", "argument --temperature: 'warm' is no number, such as 0.7"),
        ("--top-k 0", "top_k = 0: keep at least 1 token"),
        ("--top-k 2.5", "argument --top-k: '2.5' is no whole number"),
        ("--max-tokens 0", "max_tokens = 0: ask for at least 1"),
        ("--seed -1", "seed = -1"),
        ("--frequency-penalty 3", "frequency_penalty = 3.0"),
        ("--presence-penalty -3", "presence_penalty = -3.0"),
        ("--stop=", 'stop holds ""'),
        ("--system French", "add --chat, or leave --system out"),
        ("--dtype int8", "argument --dtype: invalid choice: 'int8'"),
        ("--top 3", "unrecognized arguments: --top"),
    ],
)
def test_a_bad_flag_ends_in_one_line_before_anything_is_loaded(capsys, loaded, flags, said):
    assert said in refusal(capsys, "chat", "--prompt", "cat", *flags.split())
    assert not loaded


def test_unknown_weights_and_commands(capsys, tmp_path):
    said = refusal(capsys, "chat", str(tmp_path / "gemma9"), "--prompt", "cat")
    assert "gemma9 does not exist. Accepted: a Hugging Face folder" in said
    assert "invalid choice: 'talk'" in refusal(capsys, "talk")
    assert "required: {chat,doctor,bugs}" in refusal(capsys)


def test_weights_that_are_not_installed_or_too_big(capsys, monkeypatch):
    def load(source, dtype, by_output):
        raise failure

    monkeypatch.setattr(checkpoints, "load", load)
    failure = CheckpointError("not installed.\nInstall it with: make run")
    assert "chat: not installed. Install it with: make run\n" in refusal(capsys, "chat", "--prompt", "cat")
    failure = MemoryError()
    said = refusal(capsys, "chat", "--prompt", "cat")
    assert "gemma3-270m does not fit into memory: --dtype bfloat16 takes half" in said
    assert "takes half" not in refusal(capsys, "chat", "--prompt", "cat", "--dtype", "bfloat16")
    failure = ModuleNotFoundError("No module named 'jax'", name="jax")
    assert "jax is not installed: gemma-edu doctor" in refusal(capsys, "chat", "--prompt", "cat")


def test_a_tokenizer_that_is_missing_or_has_no_turns(capsys, tiny_gemma, monkeypatch):
    monkeypatch.setattr(checkpoints, "load", lambda *_, **__: tiny_gemma._replace(tokenizer=None))
    assert "olmo has no tokenizer: put its tokenizer.model" in refusal(
        capsys, "chat", "olmo", "--prompt", "a"
    )
    monkeypatch.setattr(checkpoints, "load", lambda *_, **__: tiny_gemma._replace(tokenizer=like_llama()))
    said = refusal(capsys, "chat", "llama", "--chat", "--prompt", "a")
    assert "this tokenizer has no <start_of_turn> and no <end_of_turn>" in said


def test_a_prompt_that_does_not_fit_the_context(capsys, loaded, tiny_gemma):
    said = refusal(capsys, "chat", "--prompt", "cat", "--max-tokens", str(tiny_gemma.config.context_length))
    assert "do not fit" in said and "ask for at most" in said


def test_our_own_mistakes_keep_their_traceback(loaded, monkeypatch):
    def broken(*arguments):
        yield "a"
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(generation, "stream", broken)
    with pytest.raises(ValueError, match="a mistake of ours"):
        main(["chat", "--prompt", "cat"])


def test_piped_text_that_is_empty_or_of_another_encoding(capsys, monkeypatch):
    pipe(monkeypatch, b"\n")
    assert "nothing was piped in: give a text there, or with --prompt" in refusal(capsys, "chat")
    pipe(monkeypatch, b"caf\xe9 au lait")
    assert "the text piped in is not utf-8" in refusal(capsys, "chat")


def test_a_reader_that_has_enough_ends_it_quietly(tmp_path):
    code = (
        "import sys; from gemma_edu.cli import chat, main\n"
        "chat.run = lambda options: [print('x' * 9999, flush=True) for _ in range(99)]\nsys.exit(main(['chat']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141
    process.stderr.close()
