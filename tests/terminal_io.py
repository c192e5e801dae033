"""What goes into a command and what it shows, for the tests of `gemma-edu`."""

import io
import sys

from gemma_edu.cli import main


def pipe(monkeypatch, content):
    """Let these bytes be piped in."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def refusal(capsys, *arguments):
    """The one line that a mistake ends in."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    out, error = capsys.readouterr()
    assert (status, out) == (2, "") and error.endswith("\n") and error.count("\n") == 1, error
    return error
