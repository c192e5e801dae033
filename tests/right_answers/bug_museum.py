"""Right answers to lesson 13's exercises, written as learners write them: with loops, tables, or jnp."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np

from gemma_edu.jax_model import norms, positions

RIGHT = {
    "ids": [2, 1114, 1097, 1105, 1110],
    "ends": [1, 106],
    "norm": [0.4, 0.7],
    "seen": [False, False, True, True],
    "heads": [0, 0, 1, 1],
}


def which_bug_by_table(outputs):
    verdicts = {
        "ends": "eos_only",
        "norm": "no_unit_offset",
        "seen": "window_off_by_one",
        "heads": "kv_heads_in_turns",
    }
    for output, verdict in verdicts.items():
        if outputs[output] != RIGHT[output]:
            return verdict
    if outputs["ids"] != RIGHT["ids"]:
        return {0: "missing_bos", 2: "double_bos"}[outputs["ids"].count(2)]
    turns = {(0.54, 1.0, 0.841, 0.01): "none", (0.54, 0.995, 0.841, 0.1): "theta_exponent"}
    found = turns.get(tuple(outputs["turned"]), "interleaved_rope")
    return "bf16_positions" if found == "none" and outputs["far"][0] < 0.8 else found


def which_bug_by_elimination(outputs):
    second = np.cos(10_000.0 ** -np.array([0, 0.5]))
    signs = [
        ("missing_bos", 2 not in outputs["ids"]),
        ("double_bos", outputs["ids"][:2] == [2, 2]),
        ("eos_only", 106 not in outputs["ends"]),
        ("no_unit_offset", outputs["norm"][1] < 0),
        ("interleaved_rope", outputs["turned"][0] < 0),
        ("theta_exponent", abs(outputs["turned"][1] - second[1]) > 0.003),
        ("bf16_positions", round(np.cos(256) - np.sin(0), 2) == round(outputs["far"][0], 2)),
        ("window_off_by_one", outputs["seen"][1]),
        ("kv_heads_in_turns", outputs["heads"][1] == 1),
    ]
    return next((name for name, guilty in signs if guilty), "none")


def rope_against_the_package(rope):
    x_TH = np.arange(16, dtype=np.float32).reshape(2, 8)
    where = np.array([3, 513])
    wanted = positions.rope(jnp.asarray(x_TH)[None, :, None], jnp.asarray(where)[None], 10_000.0)[0, :, 0]
    return np.abs(np.asarray(rope(x_TH, where, 10_000.0)) - wanted).max() < 0.01


def rope_by_pencil(rope):
    first, second = rope(np.eye(4, dtype=np.float32)[:2], np.array([1, 257]), 10_000.0)
    by_hand = [np.cos(1), 0, np.sin(1), 0], [0, np.cos(2.57), 0, np.sin(2.57)]
    return all(np.allclose(a, b, atol=1e-3) for a, b in zip((first, second), by_hand, strict=True))


def norm_against_the_package(norm):
    x, scale = np.random.default_rng(5).normal(1, 1, (2, 30, 64)).astype(ml_dtypes.bfloat16)
    wanted = norms.rms_norm(jnp.asarray(x), jnp.asarray(scale[0]), 1e-6, True)
    return int((np.asarray(wanted) != norm(x, scale[0], 1e-6)).sum()) < 0.05 * x.size


def norm_in_two_steps(norm):
    random = np.random.default_rng(2)
    small = norm(np.array([[1.0, 7.0]], np.float32), np.array([1.0, -0.5], np.float32), 1e-6)
    if not np.allclose(small, [[0.4, 0.7]], atol=1e-4):
        return False
    x, scale = (random.normal(size=n).astype(ml_dtypes.bfloat16) for n in (4000, 4000))
    exact = x.astype(float) / np.sqrt(np.mean(x.astype(float) ** 2)) * (1 + scale.astype(float))
    return np.mean(norm(x[None], scale, 1e-6)[0] == exact.astype(ml_dtypes.bfloat16)) > 0.95


def blind_to_as_a_table(config, length):
    hides = {
        "derived_head_size": config.embed_dim / config.num_heads == config.head_dim,
        "kv_heads_in_turns": config.heads_per_kv_head in (1, config.num_heads),
        "theta_exponent": config.head_dim // 2 == 1,
        "thetas_exchanged": not config.rope_theta_local,
        "window_off_by_one": not (config.window_size and length > config.window_size),
    }
    return [name for name, hidden in hides.items() if hidden]


def blind_to_sorted(config, length):
    window = config.window_size or length
    found = {"window_off_by_one"} if length - window <= 0 else set()
    found |= {"thetas_exchanged"} if config.theta(0) == config.rope_theta else set()
    found |= {"theta_exponent"} if config.head_dim < 4 else set()
    found |= {"derived_head_size"} if config.embed_dim == config.head_dim * config.num_heads else set()
    found |= {"kv_heads_in_turns"} if {config.num_kv_heads} & {1, config.num_heads} else set()
    return sorted(found)


RIGHT_ANSWERS = {
    "which_bug": (which_bug_by_table, which_bug_by_elimination),
    "is_gemmas_rope": (rope_against_the_package, rope_by_pencil),
    "is_gemmas_norm": (norm_against_the_package, norm_in_two_steps),
    "blind_to": (blind_to_as_a_table, blind_to_sorted),
}
