"""The bug museum: real bugs of real Gemma ports, each with a test that misses it and one that does not.

    port = museum.bug("interleaved_rope")       # the package, with one piece exchanged
    port.forward(params, tokens, config)        # logits as a reader of that port would have got them

`EXHIBITS` has what happened and why nobody saw it. A bug is a value that one hands around: nothing is switched on
in the package, and what it computes without `bug` is the same before, between and after.
"""

import difflib

from gemma_edu.museum import attention, feedforward, norms, positions, rounding, texts
from gemma_edu.museum.exhibit import SHORT, Exhibit, Hiding, Scene, passes
from gemma_edu.museum.measure import Effect, Meter
from gemma_edu.museum.port import Port

__all__ = [
    "EXHIBITS",
    "SHORT",
    "Effect",
    "Exhibit",
    "Hiding",
    "Meter",
    "Port",
    "Scene",
    "bug",
    "exhibit",
    "passes",
]

EXHIBITS: dict[str, Exhibit] = {
    found.name: found
    for room in (texts, rounding, norms, positions, attention, feedforward)
    for found in room.EXHIBITS
}
"""Every exhibit by its name, room by room."""


def exhibit(name: str) -> Exhibit:
    """The exhibit of that name.

    Raises:
        ValueError: there is none; with the name that is nearest.
    """
    if name in EXHIBITS:
        return EXHIBITS[name]
    near = difflib.get_close_matches(name, EXHIBITS, 1)
    raise ValueError(
        f"the museum has no {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else f": it has {', '.join(EXHIBITS)}")
    )


def bug(name: str) -> Port:
    """A port of Gemma that has this bug, and no other.

    Raises:
        ValueError: there is no exhibit of that name.
    """
    return exhibit(name).port
