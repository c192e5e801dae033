"""`gemma-edu`: what the package does from a terminal.

Nothing heavy is imported before a command runs, so that `--help` and a mistyped flag are answered at once. A user's
mistake ends in one sentence and exit status 2, Ctrl-C in silence and 130.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from gemma_edu.cli import bugs, chat, doctor
from gemma_edu.cli.user_error import UserError


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line, without the usage text that would bury them."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help explains each flag\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `gemma-edu` with these arguments, by default those of the terminal; the exit status."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal that cannot show é gets ? instead of a traceback
    try:
        return options.run(options)
    except UserError as error:
        print(f"gemma-edu {options.command}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gemma_edu"):
            raise  # a mistake of ours
        print(
            f"gemma-edu: {error.name} is not installed: gemma-edu doctor says what to type", file=sys.stderr
        )
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the shell's prompt starts on a line of its own
        return 130
    except BrokenPipeError:  # `gemma-edu … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python still flushes at its end
        return 141


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="gemma-edu", description="Google's Gemma, built piece by piece, in your terminal.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{chat,doctor,bugs}")
    for name, command in (("chat", chat), ("doctor", doctor), ("bugs", bugs)):
        added = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_flags(added)
        added.set_defaults(run=command.run)
    return parser
