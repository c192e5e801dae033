"""llama.cpp through the functions of its own C interface, which its Python package passes on."""

import ctypes
import time
from pathlib import Path

import numpy as np

from benchmarks.competitors import Competitor

TOKENS_AT_ONCE = 2048
"""Tokens handed over in one call; llama.cpp computes 512 of them at a time."""


class LlamaCpp(Competitor):
    """The GGUF file as it is, Q4_K_M: a quarter of the bytes of float32 or fewer, on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp

        self._library, self._path, self._threads = llama_cpp, path, threads
        self._silence = llama_cpp.llama_log_callback(lambda level, text, user_data: None)
        llama_cpp.llama_log_set(self._silence, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = self._context = None

    def load(self) -> float:
        """Open the file."""
        start = time.perf_counter()
        settings = self._library.llama_model_default_params()
        settings.n_gpu_layers = 0
        self._model = self._library.llama_model_load_from_file(str(self._path).encode(), settings)
        if not self._model:
            raise OSError(f"llama.cpp cannot read {self._path.name}")
        self._vocabulary = self._library.llama_vocab_n_tokens(
            self._library.llama_model_get_vocab(self._model)
        )
        return time.perf_counter() - start

    def start(self, prompts: list[list[int]], room: int) -> float:
        """Read the prompts; making the context that holds their caches is not counted."""
        self._new_context(len(prompts), len(prompts[0]) + room)
        start = time.perf_counter()
        self._length, self._next = 0, []
        for row, prompt in enumerate(prompts):
            for first in range(0, len(prompt), TOKENS_AT_ONCE):
                part = prompt[first : first + TOKENS_AT_ONCE]
                entries = [(token, first + place, row) for place, token in enumerate(part)]
                chosen = self._decode(entries, wanted=[len(part) - 1])
            self._next += chosen
        self._length = len(prompts[0])
        return time.perf_counter() - start

    def advance(self, steps: int) -> tuple[float, list[int]]:
        """One call for each token of all prompts."""
        start, tokens = time.perf_counter(), []
        for _ in range(steps):
            entries = [(token, self._length, row) for row, token in enumerate(self._next)]
            self._next = self._decode(entries, wanted=range(len(entries)))
            self._length += 1
            tokens.append(self._next[0])
        return time.perf_counter() - start, tokens

    def _new_context(self, rows: int, length: int) -> None:
        """Caches for `rows` texts of `length` tokens each."""
        if self._context:
            self._library.llama_batch_free(self._batch)
            self._library.llama_free(self._context)
        settings = self._library.llama_context_default_params()
        settings.n_ctx, settings.n_seq_max = rows * -(-length // 256) * 256, rows
        settings.n_batch, settings.n_ubatch = TOKENS_AT_ONCE, 512
        settings.n_threads = settings.n_threads_batch = self._threads
        self._context = self._library.llama_init_from_model(self._model, settings)
        if not self._context:
            raise MemoryError(f"llama.cpp cannot make a context for {rows} texts of {length} tokens")
        self._batch = self._library.llama_batch_init(TOKENS_AT_ONCE, 0, 1)

    def _decode(self, entries: list[tuple[int, int, int]], wanted) -> list[int]:
        """Read (token, position, text) entries; the most likely token after each of those `wanted`."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for place, (token, position, row) in enumerate(entries):
            batch.token[place], batch.pos[place] = token, position
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, row
            batch.logits[place] = place in wanted
        if status := self._library.llama_decode(self._context, batch):
            raise RuntimeError(f"llama_decode returned {status}")
        rows = (self._library.llama_get_logits_ith(self._context, place) for place in wanted)
        return [int(np.ctypeslib.as_array(row, shape=(self._vocabulary,)).argmax()) for row in rows]
