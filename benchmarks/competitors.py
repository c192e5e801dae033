"""Gemma 3 270M in each library, behind the same few calls: load, read prompts, say one more token of each.

All have the weights of one GGUF file. A call returns the seconds it took; a first call of a shape may compile.
"""

import time
from pathlib import Path

from benchmarks.machine import peak_bytes


class Competitor:
    """What all have in common; `start` and `advance` are theirs."""

    def peak_bytes(self) -> int:
        """The most memory this process has held, in bytes."""
        return peak_bytes()

    def load(self) -> float:
        """Make the model ready for `start`; seconds without the time of imports."""
        raise NotImplementedError

    def start(self, prompts: list[list[int]], room: int) -> float:
        """Read prompts of one length and choose the first token of each; seconds. `room` tokens will fit."""
        raise NotImplementedError

    def advance(self, steps: int) -> tuple[float, list[int]]:
        """So many further tokens of each prompt, the most likely ones: seconds, and the first prompt's tokens."""
        raise NotImplementedError


class Ours(Competitor):
    """gemma_edu's JAX model."""

    def __init__(self, dtype: str) -> None:
        import jax

        from gemma_edu import checkpoints
        from gemma_edu.jax_model import generation, screening

        self._jax, self._checkpoints = jax, checkpoints
        self._generation, self._screening = generation, screening
        self._screen, self._is_warm = None, False
        self._dtype, self._on_cpu = dtype, jax.default_backend() == "cpu"

    def load(self) -> float:
        """From the cache that the course keeps, in the layout that the device multiplies fastest."""
        start = time.perf_counter()
        name = self._checkpoints.cache.GEMMA3_270M
        model = self._checkpoints.load(name, self._dtype, by_output=self._on_cpu)
        self._config, self._params = model.config, model.params
        self._jax.block_until_ready(self._params)
        return time.perf_counter() - start

    def start(self, prompts: list[list[int]], room: int) -> float:
        """Up to the first step of `generate_tokens`. The first call warms up, and on a CPU makes the screen."""
        sampling = self._generation.Sampling(max_tokens=room)
        start = time.perf_counter()
        if not self._is_warm:
            self._screen = self._screening.screen(self._params, self._config) if self._on_cpu else None
            self._generation.warm_up(self._params, self._config, screen=self._screen)
            self._is_warm = True
        self._steps = self._generation.generate_tokens(
            self._params, prompts, self._config, sampling, screen=self._screen
        )
        next(self._steps)
        return time.perf_counter() - start

    def advance(self, steps: int) -> tuple[float, list[int]]:
        """The next steps of the same generator."""
        start = time.perf_counter()
        tokens = [next(self._steps)[0] for _ in range(steps)]
        self._jax.block_until_ready(self._jax.live_arrays())  # the generator has begun to read the last token
        return time.perf_counter() - start, tokens


class OursNumpy(Competitor):
    """gemma_edu's NumPy model: it keeps nothing, so each token reads the whole text again."""

    def load(self) -> float:
        """float32, from the same cache."""
        from gemma_edu import checkpoints

        start = time.perf_counter()
        model = checkpoints.load(checkpoints.cache.GEMMA3_270M, as_numpy=True)
        self._config, self._params = model.config, model.params
        return time.perf_counter() - start

    def start(self, prompts: list[list[int]], room: int) -> float:
        """One pass over the prompts."""
        self._texts = [list(prompt) for prompt in prompts]
        return self.advance(1)[0]

    def advance(self, steps: int) -> tuple[float, list[int]]:
        """A pass over the whole text for each token."""
        import numpy as np

        from gemma_edu.numpy_model.transformer import forward

        start, tokens = time.perf_counter(), []
        for _ in range(steps):
            logits_BTV = forward(self._params, np.asarray(self._texts), self._config)
            chosen = logits_BTV[:, -1].argmax(axis=-1).tolist()
            for text, token in zip(self._texts, chosen, strict=True):
                text.append(token)
            tokens.append(chosen[0])
        return time.perf_counter() - start, tokens


class Transformers(Competitor):
    """Hugging Face's transformers with PyTorch, its default attention and cache, called as `generate` calls it.

    Without the bookkeeping of `generate`, which costs it a few per cent more.
    """

    def __init__(self, dtype: str, threads: int, device: str = "cpu") -> None:
        import torch
        import transformers

        torch.set_num_threads(threads)
        self._torch, self._transformers = torch, transformers
        self._dtype, self._device = getattr(torch, dtype), device

    def load(self) -> float:
        """From the course's cache, which is a Hugging Face folder with the weights of the GGUF file."""
        from gemma_edu.checkpoints import cache

        return self._load(cache.gemma3_270m())

    def load_gguf(self, path: Path) -> float:
        """From the GGUF file itself, as those do who have no cache."""
        return self._load(path.parent, gguf_file=path.name)

    def _load(self, folder: Path, **options: str) -> float:
        start = time.perf_counter()
        model = self._transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=self._dtype, **options)
        self._model = model.eval().to(self._device)
        seconds = time.perf_counter() - start
        for (
            weight
        ) in self._model.parameters():  # into memory of its own: a mapped file may be read more slowly
            weight.data = weight.data.clone()
        return seconds

    def start(self, prompts: list[list[int]], room: int) -> float:
        """One call, with logits for the last position only."""
        start = time.perf_counter()
        self._cache, self._tokens = None, self._torch.tensor(prompts, device=self._device)
        self._step()
        return time.perf_counter() - start

    def advance(self, steps: int) -> tuple[float, list[int]]:
        """A call for each token."""
        start = time.perf_counter()
        tokens = [self._step() for _ in range(steps)]
        return time.perf_counter() - start, tokens

    def _step(self) -> int:
        """Read `_tokens`, choose the next ones; the first prompt's is moved to the host, as streaming needs it."""
        with self._torch.inference_mode():
            output = self._model(self._tokens, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
            self._cache = output.past_key_values
            self._tokens = output.logits[:, -1].argmax(dim=-1, keepdim=True)
        return self._tokens[0, 0].item()
