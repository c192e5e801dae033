"""Tokens in, text out while it grows: never half a character, nor any part of a stop string."""

from collections.abc import Callable, Sequence

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What a decoder shows for the first bytes of a character whose last bytes are still to come."""


class TextStream:
    """The text of one answer, token by token.

    It ends before the first stop string to be complete; of several that are complete with the same character, before
    the longest. So it does not depend on how the text is cut into tokens. What may be the beginning of a stop string,
    or of a character, is held back until the next tokens decide.

        text = TextStream(tokenizer.decode, prompt_ids, stop=["END"])
        pieces = [text.add(token) for token in tokens] + [text.end()]
    """

    def __init__(
        self, decode: Callable[[list[int]], str], prompt: Sequence[int] = (), stop: Sequence[str] = ()
    ) -> None:
        """`decode` is a tokenizer's; `prompt` holds the ids before the answer, whose text is not shown."""
        self.found_stop = False
        """Whether a stop string was complete: nothing more comes."""
        self._decode, self._stop, self._held = decode, tuple(stop), ""
        self._ids, self._settled = list(prompt), len(prompt)
        self._seen = decode(self._ids)

    def add(self, token: int) -> str:
        """What can be shown now; "" where that is nothing yet, or nothing more."""
        if self.found_stop:
            return ""
        self._held += self._new_text(token)
        return self._release()

    def end(self) -> str:
        """What was held back, now that no token follows; half a character is left out."""
        rest, self._held = self._held, ""
        return rest

    def _new_text(self, token: int) -> str:
        """The characters that `token` completes.

        A token alone does not say: a first space may be dropped, and bytes of several join to one character. Decoding
        everything each time would take as long as its square. So it is decoded after those that made the text before.
        """
        self._ids.append(token)
        text = self._decode(self._ids)
        if not text.startswith(self._seen):  # the prompt ended within a character, and that is complete now
            self._seen = self._seen.rstrip(INCOMPLETE)
        whole = text.rstrip(INCOMPLETE)
        new = whole[len(self._seen) :]
        if new and whole == text:
            self._ids = self._ids[self._settled :]
            self._settled, self._seen = len(self._ids), self._decode(self._ids)
        else:
            self._seen += new
        return new

    def _release(self) -> str:
        """What of the text held is before a stop string, or cannot be the beginning of one."""
        starts = [(self._held.find(stop), stop) for stop in self._stop]
        found = [(start + len(stop), start) for start, stop in starts if start >= 0]
        if found:
            self.found_stop = True
            _, cut = min(found)
        else:
            cut = len(self._held) - max((_overlap(self._held, stop) for stop in self._stop), default=0)
        shown, self._held = self._held[:cut], "" if found else self._held[cut:]
        return shown


def _overlap(text: str, stop: str) -> int:
    """The most characters at the end of `text` with which `stop` begins."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
