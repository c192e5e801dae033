"""What choosing the next token costs: decoding greedily against decoding with every sampling parameter in use.

    python benchmarks/sampling.py [--tokens 128]

Two texts grow side by side, a token of one and a token of the other, so that whatever else the machine does falls on
both; the medians are compared. All filters on should stay within 10 % of greedy.
"""

import argparse
import statistics
import time
from collections.abc import Iterator

from tqdm import trange

from gemma_edu import checkpoints
from gemma_edu.jax_model.generation import Sampling, Step, generate_steps

PROMPT = "The capital of France is Paris. The capital of Japan is"
EVERYTHING = {
    "temperature": 0.9,
    "top_k": 64,
    "top_p": 0.95,
    "frequency_penalty": 0.3,
    "presence_penalty": 0.3,
}


def seconds(steps: Iterator[Step]) -> float:
    """Time of one step: the model reads the last token, and the next is chosen."""
    start = time.perf_counter()
    next(steps)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tokens", type=int, default=128, help="tokens of each text to measure")
    tokens = parser.parse_args().tokens

    model = checkpoints.load("gemma3-270m")
    prompt = model.tokenizer.encode(PROMPT, add_bos=True)
    texts = {
        name: generate_steps(model.params, [prompt], model.config, Sampling(max_tokens=tokens + 2, **values))
        for name, values in {"greedy": {}, "all filters on": EVERYTHING}.items()
    }
    for steps in texts.values():
        next(steps), next(steps)  # reads the prompt; compiles
    times = {name: [] for name in texts}
    for _ in trange(tokens, desc="tokens", leave=False):
        for name, steps in texts.items():
            times[name].append(seconds(steps))

    greedy, everything = (statistics.median(measured) for measured in times.values())
    for name, median in zip(texts, (greedy, everything), strict=True):
        print(f"{name:<15}{median * 1e3:7.1f} ms a token, {1 / median:5.1f} tokens/s")
    print(f"all filters on takes {everything / greedy:.3f} × the time of greedy")


if __name__ == "__main__":
    main()
