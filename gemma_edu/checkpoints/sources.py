"""Which of the published formats a path holds, and the reader for it."""

from pathlib import Path

from gemma_edu.checkpoints import gemma_pytorch, hugging_face, kaggle_flax
from gemma_edu.checkpoints.errors import CheckpointError, readable
from gemma_edu.checkpoints.gguf import Gguf
from gemma_edu.checkpoints.model import Model
from gemma_edu.checkpoints.placing import Place
from gemma_edu.tokenizer import Tokenizer

ACCEPTED = (
    "a Hugging Face folder (config.json and model.safetensors), a .gguf file, a Kaggle Flax folder "
    '(written by orbax) or its parent, a google/gemma_pytorch .ckpt file, or the name "gemma3-270m"'
)


def load_path(path: Path, place: Place) -> Model:
    """Read whatever checkpoint is at `path`.

    Raises:
        CheckpointError: when there is none, saying what was found.
    """
    with readable(str(path)):  # asking what a path is can already be forbidden
        kind = "folder" if path.is_dir() else "file" if path.is_file() else None
    if kind is None:
        raise CheckpointError(f"{path} does not exist. Accepted: {ACCEPTED}")
    return _load_folder(path, place) if kind == "folder" else _load_file(path, place)


def _load_file(path: Path, place: Place) -> Model:
    """A one-file format, known by its first bytes."""
    with readable(str(path)), path.open("rb") as file:
        start = file.read(4)
    if start == b"GGUF":
        gguf = Gguf(path)
        return Model(gguf.config, gguf.read_params(place), gguf.tokenizer)
    if start[:2] == b"PK" or start[:1] == b"\x80":  # a zip or a pickle: what torch writes
        return Model(*gemma_pytorch.load(path, place), _tokenizer(path.parent))
    if path.suffix == ".safetensors" or path.name == hugging_face.CONFIG:
        raise CheckpointError(f"{path} is part of a Hugging Face folder: give the folder, {path.parent}")
    raise CheckpointError(f"{path} is no checkpoint: its first bytes are {start!r}. Accepted: {ACCEPTED}")


def _load_folder(folder: Path, place: Place) -> Model:
    """A folder format, known by the files in it."""
    with readable(str(folder)):
        inside = sorted(folder.iterdir())
    if (folder / hugging_face.CONFIG).is_file():
        return Model(*hugging_face.load(folder, place), _tokenizer(folder))
    if kaggle_flax.is_checkpoint(folder):
        return Model(*kaggle_flax.load(folder, place), _tokenizer(folder) or _tokenizer(folder.parent))
    children = [child for child in inside if child.is_dir() and kaggle_flax.is_checkpoint(child)]
    if len(children) == 1:
        return Model(*kaggle_flax.load(children[0], place), _tokenizer(folder))
    files = [path.name for path in inside if path.suffix in (".gguf", ".ckpt")]
    if files:
        raise CheckpointError(f"{folder} is a folder; give the file in it: {' or '.join(files)}")
    found = ", ".join(path.name for path in inside[:8]) or "nothing"
    raise CheckpointError(f"{folder} is no checkpoint: it holds {found}. Accepted: {ACCEPTED}")


def _tokenizer(folder: Path) -> Tokenizer | None:
    """The SentencePiece model of a folder, if it has one."""
    path = folder / hugging_face.TOKENIZER
    if not path.exists():
        return None
    with readable(str(path)):
        return Tokenizer.from_file(path)
