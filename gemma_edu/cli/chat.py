"""`gemma-edu chat`: a terminal to a model, which continues a text or, if it was trained to, takes turns."""

import argparse
import contextlib
import sys
from collections.abc import Iterator

from gemma_edu.cli.user_error import UserError, explained
from gemma_edu.sampling_config import Sampling

BASE = "gemma3-270m"

SUMMARY = "let a model continue your text, or talk to one"
DESCRIPTION = """\
Let a model continue your text or, with --chat, talk to it.

The default weights, gemma3-270m, are a base model: it continues text as people write it, and does not know
that a question wants an answer. Show it a pattern and let it go on. For a conversation give --chat and an
instruction-tuned checkpoint, whose name usually ends in -it.

Without --prompt each line you type is a prompt (with --chat: a turn, and the model sees the earlier ones); an
empty line or Ctrl-D ends. Text piped in is one prompt, whole."""
EXAMPLES = """\
examples:
  gemma-edu chat                                                  complete line after line
  gemma-edu chat --prompt "The capital of Japan is" --max-tokens 8
  gemma-edu chat --prompt "Once upon a time" --temperature 0.8 --top-p 0.95 --seed 7
  gemma-edu chat --prompt "Q: 2 + 2? A: 4. Q: 3 + 3? A:" --stop "Q:"
  cat story.txt | gemma-edu chat --max-tokens 200                 continue a file
  gemma-edu chat ~/gemma-3-1b-it --chat                           talk, turn by turn
  gemma-edu chat ~/gemma-3-1b-it --chat --system "Answer in French." --prompt "Who are you?"
"""


def _whole_number(text: str) -> int:
    """A flag's value as an int."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number, such as 8") from None


def _number(text: str) -> float:
    """A flag's value as a float; Sampling refuses those out of range, nan and inf."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, such as 0.7") from None


SAMPLING_FLAGS = [
    ("--max-tokens", "N", _whole_number, 128, "stop after N new tokens, 1 or more; a word is 1 to 2; default 128"),
    ("--temperature", "T", _number, None, "logits are divided by T, 0 or more: 0 always takes the likeliest "
     "token (greedy), 1 draws by the model's own odds, above that gets wild; 0.7 to 1 is common; default 0, "
     "but 1 with --top-p or --top-k, which do nothing when greedy"),
    ("--top-p", "P", _number, None, "draw among the likeliest tokens that have together probability P, above 0, "
     "at most 1; 0.9 to 0.95 is common; default 1, all"),
    ("--top-k", "K", _whole_number, None, "draw among the K likeliest tokens, 1 or more; 40 to 64 is common; "
     "default all"),
    ("--frequency-penalty", "F", _number, 0.0, "taken off a token's logit each time it was generated, -2 to 2; "
     "0.1 to 1 against loops, below 0 invites them; default 0"),
    ("--presence-penalty", "F", _number, 0.0, "taken off a token's logit once it was generated, however often, "
     "-2 to 2; 0.1 to 1 for new words; default 0"),
    ("--seed", "N", _whole_number, 0, "the same seed gives the same text on the same machine, 0 or more; does "
     "nothing when greedy; default 0"),
]  # fmt: skip
"""Flag, the letter for its value, its type, its default (None: depends), its help with the default at the end."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `chat`."""
    parser.add_argument(
        "weights", nargs="?", default=BASE, metavar="WEIGHTS",
        help=f"{BASE}, or a Hugging Face folder, a .gguf file, a Kaggle Flax folder, a gemma_pytorch .ckpt; "
        f"default {BASE}",
    )  # fmt: skip
    parser.add_argument("--prompt", metavar="TEXT", help="answer this one text and end")
    parser.add_argument("--chat", action="store_true", help="take turns; for instruction-tuned weights")
    parser.add_argument(
        "--system", metavar="TEXT",
        help="with --chat: an instruction for the whole conversation; Gemma has no system role, so it stands at the "
        "beginning of your first turn",
    )  # fmt: skip
    for flag, letter, kind, default, text in SAMPLING_FLAGS:
        parser.add_argument(flag, metavar=letter, type=kind, default=default, help=text)
    parser.add_argument(
        "--stop", metavar="S", action="append", default=[],
        help="end before the text S, which is not shown; may be given several times; in bash $'\\n' is the end of a "
        "line; default only the model's own end tokens",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32",
        help="of the weights: bfloat16 takes half the memory and rounds to 8 bits; default float32",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Answer one prompt, or prompt after prompt; the exit status."""
    if options.system is not None and not options.chat:
        raise UserError("--system is an instruction for a conversation: add --chat, or leave --system out")
    with explained():
        sampling = _sampling(options)
    interactive = options.prompt is None and sys.stdin.isatty()
    if not interactive:
        prompt = _piped() if options.prompt is None else options.prompt
    else:
        _note(f"loading {options.weights}")
    from gemma_edu.cli.session import Session, load  # with JAX, which takes seconds

    model = load(options.weights, options.dtype, options.chat)
    session = Session(model, sampling, options.chat, options.system)
    if options.chat and options.weights == BASE:
        _note(f"{BASE} is a base model: it has not learnt to take turns, and may ramble")
    if not interactive:
        _show(session.answer(prompt))
        return 0
    _note(f"{_promise(options)}; an empty line or Ctrl-D ends")
    for line in _typed():
        try:
            _show(session.answer(line))
        except UserError as error:
            _note(str(error))  # such as a line too long: the session goes on without it
    return 0


def _promise(options: argparse.Namespace) -> str:
    """What will happen to the lines that are typed."""
    if options.chat:
        return f"{options.weights} takes turns with you"
    if options.weights == BASE:
        return f"{BASE} is a base model: it continues each line you type"
    return f"{options.weights} continues each line you type (--chat takes turns)"


def _sampling(options: argparse.Namespace) -> Sampling:
    """The sampling flags as settings."""
    filtered = options.top_p is not None or options.top_k is not None
    unsaid = 1.0 if filtered else 0.0
    return Sampling(
        max_tokens=options.max_tokens,
        temperature=unsaid if options.temperature is None else options.temperature,
        seed=options.seed,
        top_p=1.0 if options.top_p is None else options.top_p,
        top_k=options.top_k,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        stop=tuple(options.stop),
    )


def _typed() -> Iterator[str]:
    """Lines from the terminal, until an empty one or Ctrl-D."""
    with contextlib.suppress(ImportError):  # Windows has no readline
        import readline  # noqa: F401  # arrow keys, and earlier lines, for input()
    while True:
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        if not line.strip():
            return
        yield line


def _piped() -> str:
    """All that was piped in, without the line break that ends a file."""
    try:
        text = sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"the text piped in is not {error.encoding} ({error}): convert it first") from None
    if not text:
        raise UserError("nothing was piped in: give a text there, or with --prompt")
    return text


def _show(pieces: Iterator[str]) -> None:
    """Print pieces as they come."""
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


def _note(text: str) -> None:
    """Say something that is no part of the answer."""
    print(f"gemma-edu chat: {text}", file=sys.stderr)
