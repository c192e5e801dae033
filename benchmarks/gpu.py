"""Gemma 2B and 7B with random bfloat16 weights on one GPU: decode and prefill against transformers and the card.

    python -m benchmarks.gpu [--models 2b,7b] [--rounds 5] [--store]
    python -m benchmarks.gpu --tiny            # toy sizes on the CPU: does the program run?

For the real 270M on a GPU: python -m benchmarks.speed --device cuda
"""

import argparse
from functools import partial
from pathlib import Path

from benchmarks import machine, report, roofline
from benchmarks.competitors import Ours, Transformers
from benchmarks.field import device_name, environment, is_installed
from benchmarks.limits import JaxLimits, TorchLimits
from benchmarks.processes import Child
from benchmarks.rows import Row, Run, interleave, write
from benchmarks.targets import BF16, HF_BF16, PRODUCTS, READ
from gemma_edu import presets
from gemma_edu.config import ModelConfig

ROOT = Path(__file__).resolve().parent.parent
MODELS = {"2b": presets.GEMMA_2B, "7b": presets.GEMMA_7B}
TINY = {
    "2b": presets.TINY_GEMMA_2B.replace(context_length=256),
    "7b": presets.TINY_GEMMA_7B.replace(context_length=256),
}
PROMPT, STEPS = 4096, 16
LIMITS = {
    "prefill": (PRODUCTS.format(dtype="bfloat16"), "product_rate", "bfloat16"),
    "decode": (READ.format(dtype="bfloat16"), "read_bandwidth"),
}
"""For each measurement the name of its limit, and the call that measures it."""


class OursRandom(Ours):
    """Our model with random weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__("bfloat16")
        self._config = config

    def load(self) -> None:
        """Draw them on the device."""
        from gemma_edu.jax_model import params

        jax = self._jax
        self._params = jax.jit(partial(params.init, config=self._config, dtype="bfloat16"))(jax.random.key(0))
        jax.block_until_ready(self._params)


class TransformersRandom(Transformers):
    """The same model there, with random weights."""

    def __init__(self, config: ModelConfig, device: str) -> None:
        super().__init__("bfloat16", machine.cores(), device)
        self._sizes = {
            "vocab_size": config.vocab_size, "hidden_size": config.embed_dim,
            "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_heads,
            "num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim,
            "intermediate_size": config.hidden_dim, "max_position_embeddings": config.context_length,
        }  # fmt: skip

    def load(self) -> None:
        """Draw them on the device."""
        config = self._transformers.GemmaConfig(**self._sizes)
        self._torch.set_default_dtype(self._dtype)
        with self._torch.device(self._device):
            self._model = self._transformers.GemmaForCausalLM(config).eval()


def contenders(config: ModelConfig, device: str, tiny: bool) -> tuple[dict[str, Child], dict[str, Child]]:
    """The models with their weights, and the card's limits, each in a process of its own."""
    sizes = {"table_rows": 1000, "side": 64} if tiny else {"table_rows": 2_097_152, "side": 8192}
    start = partial(Child, threads=machine.cores(), environment=environment(device))
    models, limits = {BF16: start(OursRandom, config)}, {"XLA": start(partial(JaxLimits, **sizes))}
    if is_installed("transformers") and is_installed("torch"):
        models[HF_BF16] = start(TransformersRandom, config, device)
        limits["torch"] = start(partial(TorchLimits, machine.cores(), device, **sizes))
    else:
        print(f'{HF_BF16}: skipped, as it is not installed: pip install -e ".[bench]"')
    for child in models.values():
        child.call("load")
    return models, limits


def measure(config: ModelConfig, prompt: int, rounds: int, device: str, tiny: bool) -> list[Row]:
    """Tokens per second: the prefill of a prompt, then decode after it, in turn with the limits."""
    models, limits = contenders(config, device, tiny)
    tokens = [2 + place % (config.vocab_size - 2) for place in range(prompt)]
    room = (rounds + 1) * STEPS + 2
    speed = {
        "prefill": lambda child: prompt / child.call("start", [tokens], room),
        "decode": lambda child: STEPS / child.call("advance", STEPS)[0],
    }
    rows = []
    for what, (limit, *method) in LIMITS.items():
        tasks = {name: partial(speed[what], child) for name, child in models.items()}
        tasks |= {name: partial(child.call, *method) for name, child in limits.items()}
        values = {name: measured[1:] for name, measured in interleave(rounds + 1, tasks).items()}
        rows += [Row(what, config.name, name, "tokens/s", values[name]) for name in models]
        best = [max(each) for each in zip(*(values[name] for name in limits), strict=True)]
        new, context = (prompt, 0) if what == "prefill" else (1, prompt)
        flops, least = roofline.work(config, 1, new, context, "bfloat16")
        per_token = flops / new if what == "prefill" else least
        rows.append(Row(what, config.name, limit, "tokens/s", tuple(value / per_token for value in best)))
    for child in [*models.values(), *limits.values()]:
        child.close()
    return rows


def verdicts(run: Run, config: ModelConfig) -> str:
    """What the course wants of one model on a GPU, beside what was measured."""
    lines = []
    for what, least in (("decode", 0.80), ("prefill", 0.55)):
        for other, wanted in ((LIMITS[what][0], least), (HF_BF16, 1.0)):
            if ratio := run.ratio(what, config.name, BF16, other):
                word = "met" if ratio.median >= wanted else "NOT met"
                lines.append(
                    f"{config.name}, {what}: {ratio.median:.2f} × {other}, wanted {wanted:.2f}: {word}"
                )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and keep as gpu.csv."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="2b,7b", help="2b, 7b or both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="toy sizes, on the CPU, kept in build/")
    parser.add_argument("--store", action="store_true", help="keep the run in benchmarks/ instead of build/")
    options = parser.parse_args(arguments)
    configs = [(TINY if options.tiny else MODELS)[name] for name in options.models.split(",")]
    device, prompt = ("cpu", 16) if options.tiny else ("cuda", PROMPT)
    run = Run(machine.describe(machine.cores(), device_name(device)))
    for config in configs:
        run.rows += measure(config, prompt, options.rounds, device, options.tiny)
    print(report.render(run))
    print("\n".join(verdicts(run, config) for config in configs))
    write(run, ROOT / ("benchmarks/results" if options.store else "build/benchmarks") / "gpu.csv")


if __name__ == "__main__":
    main()
