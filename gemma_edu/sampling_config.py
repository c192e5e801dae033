"""The settings of generation: how the next token is chosen, and when to stop."""

import math
from dataclasses import dataclass
from numbers import Real

GREEDY_BELOW = 1e-5
"""A temperature below it is 0, as in vLLM: divided by so little, a gap of 0.001 between two logits is one of 100."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and when to stop.

    The parameters act in the order penalties, temperature, top-k, top-p; `numpy_model/sampling.py` has the formulas,
    and says where other libraries differ. A list of stops is kept as a tuple.

    Raises:
        ValueError: for a value of another type or out of range, and for settings that contradict each other; naming
            the value, the range and what to do.
    """

    max_tokens: int = 64
    """At most so many new tokens, 1 or more."""
    temperature: float = 0.0
    """Logits are divided by it; 0 takes the most likely token (greedy), and so does anything below 1e-5. Of several
    with the same logit, the one with the lowest id."""
    seed: int = 0
    """The same seed gives the same text, on the same kind of machine with the same JAX."""
    top_p: float = 1.0
    """Only the most likely tokens that have together this probability, 0 < top_p ≤ 1; 1 keeps all. Small values leave
    only the most likely one. 0 is refused, as by vLLM (transformers reads it as greedy): `temperature=0` says that."""
    top_k: int | None = None
    """Only the k most likely tokens, k ≥ 1; None keeps all. More than the vocabulary has is all."""
    frequency_penalty: float = 0.0
    """Taken off a token's logit each time it was generated, −2 to 2; below 0 invites repetition."""
    presence_penalty: float = 0.0
    """Taken off a token's logit once it was generated, however often, −2 to 2."""
    stop: tuple[str | int, ...] = ()
    """Strings before which the text ends, and token ids before which it does, besides the model's own end tokens.
    Neither is part of the text. Strings are found across token boundaries; ids are the only kind that
    `generate_tokens`, which sees no text, can take."""

    def __post_init__(self) -> None:
        self._check_whole_numbers()
        self._check_range("temperature", 0, math.inf, "0 (greedy) or a positive number; 0.7 to 1 is common")
        self._check_range("frequency_penalty", -2, 2, "a number from -2 to 2; 0 is off")
        self._check_range("presence_penalty", -2, 2, "a number from -2 to 2; 0 is off")
        self._check_range("top_p", 0, 1, "above 0 and at most 1; 1 is off")
        if self.top_p == 0:
            raise ValueError(
                "top_p = 0: no set of tokens has probability 0; for the most likely token leave top_p out and set "
                "temperature = 0"
            )
        self._check_stop()
        useless = [f"top_p = {self.top_p}"] * (self.top_p < 1) + [f"top_k = {self.top_k}"] * bool(self.top_k)
        if self.is_greedy and useless:
            raise ValueError(
                f"temperature = {self.temperature} always takes the most likely token, so {' and '.join(useless)} "
                "would do nothing: raise the temperature, 1.0 for the model's own odds, or leave the other out"
            )

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is taken, and nothing drawn."""
        return self.temperature < GREEDY_BELOW

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The strings in `stop`."""
        return tuple(entry for entry in self.stop if isinstance(entry, str))

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The token ids in `stop`."""
        return tuple(entry for entry in self.stop if not isinstance(entry, str))

    def _check_whole_numbers(self) -> None:
        """max_tokens, seed and top_k; True and False are none."""
        for name in ("max_tokens", "seed", "top_k"):
            value = getattr(self, name)
            if type(value) is not int and not (name == "top_k" and value is None):
                raise ValueError(f"{name} = {value!r}: it must be a whole number (int)")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: ask for at least 1 new token")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed = {self.seed}: it must lie between 0 and 2**32 - 1")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k = {self.top_k}: keep at least 1 token, or set None to keep all")

    def _check_range(self, name: str, low: int, high: int | float, wanted: str) -> None:
        """A finite number from `low` to `high`; kept as a float, so that 1 and 1.0 are one setting."""
        value = getattr(self, name)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not (low <= value <= high and math.isfinite(value)):
            raise ValueError(f"{name} = {value!r}: it must be {wanted}")
        object.__setattr__(self, name, float(value))

    def _check_stop(self) -> None:
        """Strings with something in them, and ids."""
        if not isinstance(self.stop, tuple | list):
            raise ValueError(
                f"stop = {self.stop!r}: give a tuple of strings and token ids, such as stop=('END',)"
            )
        object.__setattr__(self, "stop", tuple(self.stop))  # hashable, like all of a frozen dataclass
        for entry in self.stop:
            if entry == "":
                raise ValueError('stop holds "", which is found before every token: leave it out')
            if not isinstance(entry, str) and (type(entry) is not int or entry < 0):
                raise ValueError(
                    f"stop holds {entry!r}: each must be a string or a token id (int, 0 or more)"
                )
