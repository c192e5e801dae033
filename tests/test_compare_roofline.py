"""The least work of a step, and the least time that a chip takes for it."""

import math

import pytest

from gemma_edu import params, presets
from gemma_edu.compare import flops, kv_cache, roofline
from gemma_edu.compare.chips import A100_SXM, CHIPS, H100_SXM, H200_SXM, TPU_V5E
from gemma_edu.compare.roofline import Work, attainable, seconds, work


def limits(chip):
    return chip.flops_per_second, chip.bytes_per_second


def test_a_decode_reads_every_weight_of_a_tied_model_and_the_cache():
    for context in (0, 100, 5000):
        step = work(presets.GEMMA3_270M, 3, 1, context)
        weights = 2 * params.count(presets.GEMMA3_270M)["total"]
        assert step.bytes == weights + kv_cache.size(presets.GEMMA3_270M, 3, context)
        assert step.flops == 3 * (
            flops.count(presets.GEMMA3_270M, 18, 18, 0, 1)["total"]
            + 4 * 4 * 256 * (3 * (context + 1) + 15 * min(context + 1, 512))
        )


def test_of_tables_that_are_only_looked_up_in_a_row_for_each_token_is_read():
    llama = params.count(presets.LLAMA2_7B)["total"] - (32_000 - 6) * 4096
    assert work(presets.LLAMA2_7B, 2, 3, 0).bytes == 2 * llama
    gpt2 = params.count(presets.GPT2_124M)["total"] - (1024 - 3) * 768
    assert work(presets.GPT2_124M, 2, 3, 0).bytes == 2 * gpt2
    everything = work(presets.TINY_LLAMA2_7B, 30, 30, 0).bytes
    assert everything == 2 * params.count(presets.TINY_LLAMA2_7B)["total"]  # no more rows than there are


def test_half_the_bytes_double_the_intensity():
    float32, bfloat16 = (work(presets.GEMMA_2B, 1, 1, 1000, size) for size in (4, 2))
    assert float32.flops == bfloat16.flops and float32.intensity == bfloat16.intensity / 2


def test_a_prefill_does_the_work_of_its_decodes_but_for_what_only_their_logits_need():
    config = presets.TINY_GEMMA3_270M
    alone = sum(work(config, 1, 1, context).flops for context in range(9))
    last = config.num_layers - 1
    in_sight = sum(min(position + 1, config.window(last) or 9) for position in range(8))
    unread = flops.count(config, kept=0, asked=8, pairs=in_sight, outputs=8)["total"]
    assert work(config, 1, 9, 0).flops == alone - unread


def test_a_lone_decode_waits_for_memory_and_a_prefill_for_the_multipliers():
    for chip in CHIPS:
        decode, prefill = work(presets.GEMMA_2B, 1, 1, 1000), work(presets.GEMMA_2B, 1, 4096, 0)
        assert decode.intensity < 2 < prefill.intensity
        assert seconds(decode, *limits(chip)) == decode.bytes / chip.bytes_per_second
        assert seconds(prefill, *limits(chip)) == prefill.flops / chip.flops_per_second


def test_the_roof_is_a_slope_and_then_flat():
    assert attainable(2, 100, 10) == 20
    assert attainable(10, 100, 10) == attainable(50, 100, 10) == 100
    step = Work(300.0, 20.0)
    assert step.flops / seconds(step, 100, 10) == attainable(step.intensity, 100, 10)


def test_texts_share_the_reading_of_the_weights():
    one, many = (work(presets.GEMMA_2B, batch, 1, 1000) for batch in (1, 64))
    assert many.flops == 64 * one.flops and 40 < many.intensity / one.intensity < 64


def test_chips_have_published_limits_with_their_sources():
    assert len({chip.name for chip in CHIPS}) == len(CHIPS) == 4
    assert all(len(chip.source) > 20 for chip in CHIPS)
    corners = {chip: chip.flops_per_second / chip.bytes_per_second for chip in CHIPS}
    assert math.isclose(corners[TPU_V5E], 240.5, abs_tol=0.1)
    assert math.isclose(corners[A100_SXM], 153.0, abs_tol=0.1)
    assert math.isclose(corners[H100_SXM], 295.3, abs_tol=0.1)
    assert math.isclose(corners[H200_SXM], 206.1, abs_tol=0.1)
    assert TPU_V5E.watts is None
    assert 0.98 * TPU_V5E.memory < 15.75 * 2**30 < TPU_V5E.memory  # what lesson 05 may use of it


def test_no_tokens_and_a_negative_context_are_refused():
    with pytest.raises(ValueError, match="^tokens = 0"):
        roofline.work(presets.GEMMA_2B, 1, 0, 5)
    with pytest.raises(ValueError, match="^context = -1"):
        roofline.work(presets.GEMMA_2B, 1, 1, -1)
