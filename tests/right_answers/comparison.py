"""Right answers to lesson 12's exercises, written as learners write them: with loops, einsum, or jnp."""

import jax.numpy as jnp
import numpy as np

from gemma_edu.compare import roofline


def whose_weights_by_gate(names_and_shapes):
    names = list(names_and_shapes)
    if "blocks.0.feedforward.w_gate" not in names:
        return "GPT-2" if "embedding.positions" in names else "Transformer"
    if "embedding.output" not in names:
        return "Gemma"
    return "Llama 2" if "final_norm.scale" in names else "OLMo"


def whose_weights_by_signs(names_and_shapes):
    text = " ".join(names_and_shapes)
    signs = {"positions": "GPT-2", "bias": "Transformer", "output final_norm": "Llama 2"}
    for sign, family in signs.items():
        if all(word in text for word in sign.split()):
            return family
    return "OLMo" if "norm" not in text else "Gemma"


def fold_scale_with_diag(scale_D, w_DF, unit_offset):
    return np.diag(scale_D + float(unit_offset)) @ w_DF


def fold_scale_with_einsum(scale_D, w_DF, unit_offset):
    folded = jnp.einsum("d,df->df", scale_D, w_DF)
    return folded + w_DF if unit_offset else folded


def fold_scale_row_by_row(scale_D, w_DF, unit_offset):
    return [row * (scale + 1 if unit_offset else scale) for scale, row in zip(scale_D, w_DF, strict=True)]


def mean_free_with_a_projection(table_VD, w_o_NHD, w_down_FD):
    D = table_VD.shape[1]
    centre_DD = np.eye(D) - np.ones((D, D)) / D
    return table_VD @ centre_DD, w_o_NHD @ centre_DD, w_down_FD @ centre_DD


def mean_free_with_loops(table_VD, w_o_NHD, w_down_FD):
    results = []
    for weights in (table_VD, w_o_NHD, w_down_FD):
        rows = weights.reshape(-1, weights.shape[-1]).copy()
        for row in rows:
            row -= row.sum() / len(row)
        results.append(rows.reshape(weights.shape))
    return tuple(results)


def mean_free_with_jnp(table_VD, w_o_NHD, w_down_FD):
    means = [jnp.mean(w, axis=-1)[..., None] for w in (table_VD, w_o_NHD, w_down_FD)]
    return table_VD - means[0], w_o_NHD - means[1], w_down_FD - means[2]


def most_tokens_with_roofline(config, chip, batch, context):
    step = roofline.work(config, batch, 1, context)
    return batch / roofline.seconds(step, chip.flops_per_second, chip.bytes_per_second)


def most_tokens_by_the_roof(config, chip, batch, context):
    step = roofline.work(config, batch, 1, context)
    reached = min(chip.flops_per_second, step.intensity * chip.bytes_per_second)
    return reached / (step.flops / batch)


def most_tokens_with_if(config, chip, batch, context):
    flops, size = roofline.work(config, batch, 1, context)
    waits_for_memory = flops / size < chip.flops_per_second / chip.bytes_per_second
    seconds = size / chip.bytes_per_second if waits_for_memory else flops / chip.flops_per_second
    return np.float64(batch) / seconds


def paired_interval_with_a_loop(a_S, b_S, quantile):
    differences = [b - a for a, b in zip(a_S, b_S, strict=True)]
    mean = sum(differences) / len(differences)
    squares = sum((difference - mean) ** 2 for difference in differences) / (len(differences) - 1)
    error = (squares / len(differences)) ** 0.5
    return mean - quantile * error, mean + quantile * error


def paired_interval_with_jnp(a_S, b_S, quantile):
    difference_S = jnp.asarray(b_S) - jnp.asarray(a_S)
    error = jnp.std(difference_S, ddof=1) / jnp.sqrt(difference_S.size)
    return jnp.mean(difference_S) + quantile * error * jnp.array([-1.0, 1.0])


def paired_interval_from_variances(a_S, b_S, quantile):
    variance = np.var(a_S, ddof=1) + np.var(b_S, ddof=1) - 2 * np.cov(a_S, b_S)[0, 1]
    half = quantile * np.sqrt(variance / len(a_S))
    return [np.mean(b_S) - np.mean(a_S) - half, np.mean(b_S) - np.mean(a_S) + half]


RIGHT_ANSWERS = {
    "whose_weights": (whose_weights_by_gate, whose_weights_by_signs),
    "fold_scale": (fold_scale_with_diag, fold_scale_with_einsum, fold_scale_row_by_row),
    "mean_free": (mean_free_with_a_projection, mean_free_with_loops, mean_free_with_jnp),
    "most_tokens_per_second": (most_tokens_with_roofline, most_tokens_by_the_roof, most_tokens_with_if),
    "paired_interval": (
        paired_interval_with_a_loop,
        paired_interval_with_jnp,
        paired_interval_from_variances,
    ),
}
"""For each exercise, right answers written differently: what a check must not turn away."""
