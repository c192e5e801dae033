"""What an exhibit is: a bug that somebody shipped, why tests missed it, and a test that does not."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gemma_edu.config import ModelConfig
from gemma_edu.museum.port import Port


class Hiding(Enum):
    """Why a test of a right kind does not see a bug."""

    OUTSIDE = "the test begins behind it"
    """The logits of given tokens are right; the tokens, or what is done with the answer, are not."""
    PROPERTY = "the test asks what wrong code can also do"
    """A property, a shape, or the port compared with itself."""
    TOY = "the toy lacks what the bug needs"
    """Sizes that happen to agree, or a choice that the toy does not make."""
    SHORT = "the text is too short"
    FLOAT32 = "float32 does not round it"
    TOLERANCE = "the tolerance is larger"
    TRAINING = "the loss falls anyway"


@dataclass(frozen=True)
class Scene:
    """What the real model reads, and how: which text, from which position on, in which type."""

    text: str = "water_cycle.txt"
    """A file of `gemma_edu.course_data`."""
    tokens: int | None = None
    """Only the first so many tokens, None for all."""
    start: int = 0
    """Position of the first token."""
    dtype: str = "float32"


SHORT = Scene()
"""What a short test in float32 sees: a paragraph of 105 tokens from position 0."""


@dataclass(frozen=True)
class Exhibit:
    """One bug. `port` has it and is right otherwise; the two tests take a port, and raise where they find it wrong."""

    name: str
    title: str
    lesson: str
    """The lesson that explains the right version."""
    happened: str
    """Which project, thread or commit, in one or two sentences. Says so where no report is known to us."""
    right: str
    """At most three lines of code."""
    wrong: str
    """The same lines with the bug."""
    hiding: Hiding
    missed: str
    """Why a short test in float32 misses it."""
    caught: str
    """The check that catches it."""
    port: Port
    weak_test: Callable[[Port], None]
    """A test that many would write, and that passes with the bug."""
    good_test: Callable[[Port], None]
    """A test that fails with the bug."""
    scene: Scene = SHORT
    """Where the real model shows it, as far as it does."""
    toy: ModelConfig | None = None
    """A model with random weights that shows it, where Gemma 3 270M cannot."""
    unseen: str = ""
    """Why no reading of a text by Gemma 3 270M shows it; empty where one does."""


def passes(test: Callable[[Port], None], port: Port) -> bool:
    """Whether a test lets a port through; whatever it raises counts as having found something."""
    try:
        test(port)
    except Exception:  # a bug may end in any kind of error
        return False
    return True
