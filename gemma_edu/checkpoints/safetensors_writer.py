"""Write a .safetensors file one tensor at a time.

The safetensors library writes a whole model that is in memory at once; a conversion may not hold two copies
of one. The format is a little-endian length, a JSON header of that length, then the tensors' bytes in the
header's order (github.com/huggingface/safetensors, README, "Format"). Tests read what is written here with
the library.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Shaped

from gemma_edu.checkpoints.errors import CheckpointError
from gemma_edu.checkpoints.reading import progress

CODES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}
ALIGNMENT = 64
"""Where the first tensor starts: a multiple of this many bytes, so that memory-mapped rows are aligned."""


class Outgoing(NamedTuple):
    """A tensor to write: its shape and dtype, and a function that makes it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], Shaped[np.ndarray, "..."]]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


def write(path: Path, tensors: dict[str, Outgoing], what: str) -> None:
    """Write `tensors` to `path`, showing progress; the file appears whole or not at all.

    Raises:
        CheckpointError: for a dtype the format or this course does not know.
        OSError: when the disk is full or the folder cannot be written.
    """
    unknown = [f"{name} ({one.dtype})" for name, one in tensors.items() if str(one.dtype) not in CODES]
    if unknown:
        raise CheckpointError(f"cannot write {', '.join(unknown)}: dtypes written are {', '.join(CODES)}")
    with whole_file(path) as file, progress(sum(one.size for one in tensors.values()), what) as bar:
        file.write(_header(tensors))
        for one in tensors.values():
            array = np.ascontiguousarray(one.make(), one.dtype)  # JAX runs on little-endian machines only
            file.write(array.reshape(-1).view(np.uint8).data)
            bar.update(one.size)


def _header(tensors: dict[str, Outgoing]) -> bytes:
    """Length and JSON; padded with spaces, as the format allows."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}  # transformers refuses files without it
    start = 0
    for name, one in tensors.items():
        offsets = [start, start + one.size]
        entries[name] = {"dtype": CODES[str(one.dtype)], "shape": list(one.shape), "data_offsets": offsets}
        start += one.size
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces `path` when the block succeeds, and leaves nothing behind when it fails."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would keep others from reading a shared model
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
