"""The real Gemma 3 270M, live: transformers and we read the same file and say the same."""

import golden
import jax
import numpy as np
import pytest
from goldens import real_gemma3

from gemma_edu import checkpoints
from gemma_edu.jax_model import generation

pytestmark = pytest.mark.parity
TOLERANCE = 1e-3
TEXTS = {
    "plain": "The quick brown fox jumps over the lazy dog.",
    "spaces": "one  two   three    four\n\n\nfive\tsix \n seven ",
    "digits": "In 2024, π ≈ 3.14159265 and 2^10 = 1024.",
    "languages": "Größe, naïveté, Ελληνικά, кириллица, 日本語のテキスト, 한국어, العربية, हिन्दी",
    "rare symbols": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🧮👩‍🔬 \u0300 \u200b ⟦x⟧",
    "code": "def f(x):\n    return {k: v**2 for k, v in x.items()}  # done",
    "nothing": "",
    "blank": "   ",
}


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return real_gemma3.load(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def ours():
    return checkpoints.load("gemma3-270m", dtype="float32")


def test_weights_are_equal(official, ours):
    """Before any logit: what both read from the GGUF, to the bit."""
    state = official[0].state_dict()
    table = np.asarray(ours.params.embedding.table)
    assert np.array_equal(table, state["model.embed_tokens.weight"].numpy())
    for layer, block in enumerate(ours.params.blocks):
        prefix = f"model.layers.{layer}."
        assert np.array_equal(block.attention.q_norm.scale, state[f"{prefix}self_attn.q_norm.weight"].numpy())
        assert np.array_equal(block.attention_norm.scale, state[f"{prefix}input_layernorm.weight"].numpy())
        assert np.array_equal(block.feedforward.w_down.T, state[f"{prefix}mlp.down_proj.weight"].numpy())


@pytest.mark.parametrize("stored", ["short", "long"])
def test_stored_goldens_are_what_transformers_says(official, stored):
    text = (golden.FOLDER / "long_text.txt").read_text(encoding="utf-8")
    fresh = real_gemma3.short(*official) if stored == "short" else real_gemma3.long(*official, text)
    with np.load(golden.FOLDER / f"gemma3_270m_{stored}.npz") as old:
        assert set(old) == set(fresh)
        for name, value in fresh.items():
            if value.dtype == np.int32:
                assert np.array_equal(value, old[name]), name
            else:
                assert golden.difference(value, old[name]) <= 1e-4, name


@pytest.mark.parametrize("prompt", ["def fibonacci(n):\n", "Es war einmal"])
def test_logits_and_greedy_tokens(official, ours, prompt):
    """Other prompts than the stored one."""
    model, tokenizer = official
    ids = tokenizer(prompt)["input_ids"]
    expected = real_gemma3.logits(model, ids)
    for backend, params in (("jax", ours.params), ("numpy", jax.tree.map(np.asarray, ours.params))):
        logits = golden.BACKENDS[backend](params, np.asarray([ids], np.int32), ours.config)[0]
        assert golden.difference(logits, expected) <= TOLERANCE
    sampling = generation.Sampling(max_tokens=real_gemma3.GREEDY_TOKENS, temperature=0.0)
    with jax.default_matmul_precision("highest"):
        tokens = [token for (token,) in generation.generate_tokens(ours.params, [ids], ours.config, sampling)]
    assert tokens == real_gemma3.greedy(model, ids, real_gemma3.GREEDY_TOKENS).tolist()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_tokenizers_agree(official, ours, text):
    ids = official[1](text)["input_ids"]
    assert ours.tokenizer.encode(text, add_bos=True) == ids
    assert ours.tokenizer.decode(ids[1:]) == official[1].decode(ids[1:], clean_up_tokenization_spaces=False)
