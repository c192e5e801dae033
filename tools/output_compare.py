"""Are two outputs of a cell the same? Words exactly, numbers as numbers, pictures by their pixels.

Each comparison returns readable messages about what differs, and none where nothing does.
"""

import base64
import io
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest

import numpy as np
from PIL import Image, UnidentifiedImageError

MOST_LINES_SHOWN = 5

_TOKEN = re.compile(
    r"""
    (?<![\w.]) (?P<word> 0[xXbBoO][0-9a-fA-F_]+    # 0x3f80 and 0.10.2 are names, compared like words
      | [0-9]+ (?:\.[0-9]+){2,} )
    | (?P<number>
        (?: (?<![\w.)\]]) [-+\u2212] )?            # a sign, unless it is an operator or a dash: a-1, 5-6
        (?<![A-Za-z_0-9.])                         # the digits of float32 and v1.5 belong to a word
        (?: (?: [0-9]{1,3} (?:,[0-9]{3})+ (?![0-9]) | [0-9]+ ) (?: \.[0-9]+ | \.(?!\.) )?
          | \.[0-9]+ )
        (?: [eE][-+]?[0-9]+ )? )
    """,
    re.VERBOSE,
)
_HOLE = "\0"


@dataclass(frozen=True)
class Number:
    """A number as it is printed."""

    text: str

    @property
    def value(self) -> Decimal:
        return Decimal(self.text.replace(",", "").replace("\u2212", "-"))

    @property
    def is_integer(self) -> bool:
        return not re.search(r"[.eE]", self.text)

    @property
    def last_place(self) -> Decimal | None:
        """The worth of one unit in the last printed decimal: 0.01 for 3.14, 1e-7 for 2.5e-06.

        None if no decimal is printed. Then the number is a count or a constant (18 layers, eps 1e-06),
        where one unit more is no rounding but another number.
        """
        mantissa, _, exponent = self.text.lower().partition("e")
        decimals = mantissa.partition(".")[2]
        return Decimal(1).scaleb(int(exponent or 0) - len(decimals)) if decimals else None


def tolerance(stored: Number, now: Number, rtol: float) -> Decimal:
    """How far apart two printings of one quantity may lie.

    A quantity that moves by `rtol` of itself, and is rounded by half a unit in the last place each time it
    is printed, moves by their sum. The finer printing counts, since NumPy drops trailing zeros.
    """
    units = [unit for unit in (stored.last_place, now.last_place) if unit is not None]
    if not units:
        return Decimal(0)
    return min(units) + Decimal(str(rtol)) * max(abs(stored.value), abs(now.value))


def compare_text(stored: str, now: str, rtol: float, ignore_numbers: bool = False) -> list[str]:
    """What differs between two texts, line by line."""
    messages = []
    for number, (old, new) in enumerate(zip_longest(stored.splitlines(), now.splitlines()), 1):
        complaint = _compare_line(old, new, rtol, ignore_numbers)
        if complaint:
            shown = [f"line {number}: {complaint}"]
            shown += [f"    stored: {old}"] if old is not None else []
            shown += [f"    now:    {new}"] if new is not None else []
            messages.append("\n".join(shown))
    if len(messages) > MOST_LINES_SHOWN:
        messages[MOST_LINES_SHOWN:] = [f"and {len(messages) - MOST_LINES_SHOWN} more lines"]
    return messages


def compare_png(stored: str, now: str, most_rms: float) -> list[str]:
    """What differs between two PNGs in base64: their size, or their pixels' distance (RMS)."""
    if stored.strip() == now.strip():
        return []
    try:
        old, new = _pixels(stored), _pixels(now)
    except (ValueError, UnidentifiedImageError) as error:
        return [f"the figure cannot be read as PNG: {error}"]
    if old.shape != new.shape:
        sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in (old, new)]
        return [f"the figure is {sizes[1]} pixels, stored are {sizes[0]}; another matplotlib or figsize?"]
    rms = float(np.sqrt(np.mean((old - new) ** 2)))
    if rms > most_rms:
        return [f"the figure differs: RMS pixel distance {rms:.2f} of 255, {most_rms:g} allowed"]
    return []


def _compare_line(stored: str | None, now: str | None, rtol: float, ignore_numbers: bool) -> str:
    """What differs between two lines, in one line; empty if nothing does. None stands for no line."""
    if stored == now:
        return ""
    if stored is None or now is None:
        return "this line is new" if stored is None else "this line is missing"
    if _words(stored) != _words(now):
        return "the text differs"
    if ignore_numbers:
        return ""
    pairs = zip(_numbers(stored), _numbers(now), strict=True)
    return "; ".join(filter(None, (_compare_numbers(old, new, rtol) for old, new in pairs)))


def _compare_numbers(stored: Number, now: Number, rtol: float) -> str:
    arrow = f"{stored.text} -> {now.text}"
    if stored.is_integer != now.is_integer:
        return f"{arrow} (only one of them is an integer)"
    moved, allowed = abs(stored.value - now.value), tolerance(stored, now, rtol)
    if moved <= allowed:
        return ""
    if not allowed:
        return f"{arrow} (a number without decimals must not move)"
    return f"{arrow} (moved by {moved:.2g}, {allowed:.2g} allowed)"


def _numbers(line: str) -> list[Number]:
    return [Number(match["number"]) for match in _TOKEN.finditer(line) if match["number"]]


def _words(line: str) -> str:
    """The line with a hole for each number. Blanks beside a hole go: a minus sign or a digit moves them."""
    holes = _TOKEN.sub(lambda match: match["word"] or _HOLE, line)
    return re.sub(rf"[ \t]*{_HOLE}[ \t]*", _HOLE, holes).rstrip()


def _pixels(png: str) -> np.ndarray:
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    return np.asarray(image.convert("RGBA"), dtype=np.float64)
