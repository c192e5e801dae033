"""GGUF, llama.cpp's one-file format, quantised or not, for Gemma 1, Gemma 3 (text) and Llama 2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gemma_edu import params, presets
from gemma_edu.checkpoints import names
from gemma_edu.checkpoints.errors import CheckpointError, readable
from gemma_edu.checkpoints.fields import Fields
from gemma_edu.checkpoints.placing import Place, aligned_empty
from gemma_edu.checkpoints.reading import Tensor, Tensors, read_params
from gemma_edu.config import ModelConfig
from gemma_edu.tokenizer import Tokenizer

PRESETS = {"gemma": presets.GEMMA_2B, "gemma3": presets.GEMMA3_270M, "llama": presets.LLAMA2_7B}
SIZES = {
    "embedding_length": "embed_dim",
    "block_count": "num_layers",
    "attention.head_count": "num_heads",
    "feed_forward_length": "hidden_dim",
    "context_length": "context_length",
    "attention.layer_norm_rms_epsilon": "norm_epsilon",
}
ROWS_AT_ONCE = 16_384
"""Rows of a quantised matrix decoded together: decoding needs several times the result's memory."""


class Gguf:
    """An open file: `config`, `tensors` (not yet read), `tokenizer` (None where it is not SentencePiece).

    `storage` gives each tensor's quantisation, such as Q4_K, and its size in the file in bytes.

    Raises:
        CheckpointError: for a damaged file, or a model that `ModelConfig` does not express.
    """

    def __init__(self, path: Path) -> None:
        reader = _open(path)
        self.where = str(path)
        self.tensors: Tensors = {one.name: _tensor(one) for one in reader.tensors}
        self.storage = {one.name: (one.tensor_type.name, int(one.n_bytes)) for one in reader.tensors}
        values = {name: field.contents() for name, field in reader.fields.items() if _is_metadata(name)}
        with readable(self.where):
            self.config = _config(values, self.tensors, self.where)
        self.tokenizer: Tokenizer | None = None
        if values.get("tokenizer.ggml.model") == "llama":
            with readable(f"the tokenizer of {self.where}"):
                self.tokenizer = Tokenizer.from_gguf(reader.fields)

    def read_params(self, place: Place) -> params.Params:
        """All weights, read and placed one tensor at a time."""
        return read_params(self.tensors, names.gguf(self.config), self.config, place, self.where)


def _open(path: Path) -> Any:
    """The library's reader, over plain bytes: slicing `np.memmap` objects takes four times as long."""
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise CheckpointError(
            f'{path}: GGUF files need a library: pip install "gemma-edu[weights]"'
        ) from error

    class Reader(GGUFReader):
        @property
        def data(self) -> np.ndarray:
            return self._bytes

        @data.setter
        def data(self, value: np.ndarray) -> None:
            self._bytes = np.asarray(value)

    with readable(str(path), "Is it complete?"):
        reader = Reader(path)
    if reader.fields.get("split.count") and reader.fields["split.count"].contents() > 1:
        raise CheckpointError(
            f"{path} is one part of a split file: join them with llama.cpp's llama-gguf-split --merge"
        )
    return reader


def _is_metadata(name: str) -> bool:
    """Whether a field is small: the tokenizer's lists have one entry per token, and are read elsewhere."""
    return not name.startswith("tokenizer.ggml.") or name == "tokenizer.ggml.model"


def _config(values: dict[str, object], tensors: Tensors, where: str) -> ModelConfig:
    """The config that the metadata describes; llama.cpp's defaults count where a file leaves a key out."""
    kind = values.get("general.architecture")
    if kind not in PRESETS:
        raise CheckpointError(f"{where} holds architecture {kind!r}; this course reads {', '.join(PRESETS)}")
    preset = PRESETS[kind]
    own = {
        name.removeprefix(f"{kind}."): value for name, value in values.items() if name.startswith(f"{kind}.")
    }
    fields = Fields(own, f"{where} ({kind}.*)")
    fields.require(SIZES)
    found = {ours: fields.take(theirs) for theirs, ours in SIZES.items()}
    found["norm_epsilon"] = _short(found["norm_epsilon"])
    heads, width = found["num_heads"], found["embed_dim"]
    found["num_kv_heads"] = fields.take("attention.head_count_kv", default=heads)
    head = found["head_dim"] = fields.take("attention.key_length", default=width // heads)
    for same in ("attention.value_length", "rope.dimension_count"):
        fields.only(same, head)
    fields.only("rope.scaling.type", "none")
    fields.only("expert_count", 0)
    fields.only("expert_used_count", 0)
    found["rope_theta"] = _short(fields.take("rope.freq_base", default=preset.rope_theta))
    if preset.window_size is not None:
        found["window_size"] = fields.take("attention.sliding_window", default=preset.window_size)
        found["rope_theta_local"] = _short(fields.take("rope.freq_base_swa", default=preset.rope_theta_local))
        fields.only("attention.sliding_window_pattern", preset.global_every)
        if found["num_layers"] == 62:  # llama.cpp knows the 27B, whose query scale is another, by its depth
            fields.refuse("block_count = 62 (Gemma 3 27B scales queries by 168 ** -0.5)")
    table = tensors.get("token_embd.weight")
    found["vocab_size"] = fields.take("vocab_size", default=table.shape[0] if table else preset.vocab_size)
    fields.finish(harmless=lambda name: False)
    name = str(values.get("general.name") or Path(where).stem)
    return preset.replace(name=name, tie_embedding="output.weight" not in tensors, **found)


def _short(value: object) -> object:
    """The shortest decimal that a float32 stands for: 1e-06, not 9.999999974752427e-07."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _tensor(source: Any) -> Tensor:
    """A tensor of the file, decoded when read. GGUF lists the fastest axis first."""
    shape = tuple(int(length) for length in reversed(source.shape))
    return Tensor(shape, _decoder(source, shape))


def _decoder(source: Any, shape: tuple[int, ...]) -> Callable[[], Float[np.ndarray, "..."]]:
    """A function that decodes a tensor into a new float32 array, some rows at a time."""

    def read() -> Float[np.ndarray, "..."]:
        from gguf.quants import dequantize

        result = aligned_empty(shape, np.dtype(np.float32))
        for start in range(0, len(result), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            result[rows] = dequantize(source.data[rows], source.tensor_type)
        return result

    return read
