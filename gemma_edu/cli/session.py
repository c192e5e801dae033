"""A loaded model, and what it answers; apart from `chat`, whose `--help` should not wait for JAX."""

from collections.abc import Iterator

import jax

from gemma_edu import checkpoints
from gemma_edu.cli.user_error import UserError, explained
from gemma_edu.jax_model import generation, screening
from gemma_edu.sampling_config import Sampling
from gemma_edu.tokenizer.chat import Turn, render, with_system


def load(weights: str, dtype: str, is_chat: bool) -> generation.Model:
    """The checkpoint with its tokenizer, ready for the mode asked for.

    Raises:
        UserError: for whatever is wrong with it, or missing.
    """
    with explained():
        try:
            model = checkpoints.load(weights, dtype, by_output=True)
        except MemoryError:
            advice = "--dtype bfloat16 takes half, or " if dtype == "float32" else ""
            raise UserError(f"{weights} does not fit into memory: {advice}take smaller weights") from None
        if model.tokenizer is None:
            raise UserError(f"{weights} has no tokenizer: put its tokenizer.model beside the weights")
        if is_chat:
            render(
                [Turn("user", "")], model.tokenizer
            )  # refuses a tokenizer without turns, before anyone types
    return model


class Session:
    """A model and, in a conversation, what was said so far."""

    def __init__(self, model: generation.Model, sampling: Sampling, is_chat: bool, system: str | None = None):
        self.model, self.sampling, self.is_chat, self.system = model, sampling, is_chat, system
        on_cpu = jax.default_backend() == "cpu"  # where it pays; on a GPU or TPU nobody has measured it
        pays = on_cpu and sampling.is_greedy
        self.screen = screening.screen(model.params, model.config) if pays else None
        self.turns: list[Turn] = []

    def answer(self, text: str) -> Iterator[str]:
        """What the model makes of `text`, piece by piece. Turns are kept once the answer is complete.

        Raises:
            UserError: for a text that the tokenizer or the model's context cannot take, before the first piece.
        """
        with explained():
            if not self.is_chat:
                return generation.stream(self.model, text, self.sampling, self.screen)
            turns = [*self.turns, Turn("user", text)]
            shown = turns if self.system is None else with_system(self.system, turns)
            prompt = render(shown, self.model.tokenizer)
            pieces = generation.stream(self.model, prompt, self.sampling, self.screen)
        return self._remember(turns, pieces)

    def _remember(self, turns: list[Turn], pieces: Iterator[str]) -> Iterator[str]:
        """The pieces; when there are no more, `turns` and the answer are what was said so far."""
        said = []
        for piece in pieces:
            said.append(piece)
            yield piece
        self.turns = [*turns, Turn("model", "".join(said))]
