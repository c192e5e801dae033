"""A config refuses what contradicts itself, names the culprit and the fix, and can be static under jit."""

import copy
import dataclasses

import pytest

from gemma_edu import presets
from gemma_edu.config import NormKind, PositionKind

TINY = presets.TINY_GEMMA_2B


def validate(**changes):
    """Run the config's own checks; in tests the type hook would refuse wrong kinds before those do."""
    config = copy.copy(TINY)
    for field, value in changes.items():
        object.__setattr__(config, field, value)
    config.__post_init__()


@pytest.mark.parametrize("field", ["vocab_size", "embed_dim", "num_layers", "num_heads", "hidden_dim"])
@pytest.mark.parametrize("value", [0, -3, 2.0, "8", True, None])
def test_sizes_are_whole_numbers_of_at_least_one(field, value):
    with pytest.raises(ValueError, match=rf"{field} = {value!r}: it must be a whole number of at least 1"):
        validate(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("name", 3, "str"),
        ("norm", "rms", "NormKind"),
        ("position", None, "PositionKind"),
        ("activation", "gelu", "Activation"),
        ("tie_embedding", 1, "bool"),
        ("norm_epsilon", "1e-6", "float"),
        ("rope_theta", None, "float"),
        ("rope_theta_local", "1e4", "float"),
    ],
)
def test_a_choice_of_the_wrong_kind_is_named_with_the_right_one(field, value, kind):
    with pytest.raises(ValueError, match=f"{field} = {value!r}: it must be a {kind}"):
        validate(**{field: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_kv_heads": 3},
            "num_heads = 8 .* num_kv_heads = 3: take a num_kv_heads that divides num_heads",
        ),
        ({"num_kv_heads": 16}, "num_heads = 8 .* num_kv_heads = 16: take"),
        ({"head_dim": 11}, "head_dim = 11: RoPE rotates pairs, so take an even head_dim"),
        ({"embed_dim": 9, "position": PositionKind.SINUSOIDAL}, "embed_dim = 9: .* take an even one"),
        ({"global_every": 6}, "global_every = 6 .*: give window_size as well"),
        ({"rope_theta_local": 1e4}, "rope_theta_local = 10000.0 .*: give window_size as well"),
        ({"window_size": 4}, "window_size = 4 with global_every = 1: .* give global_every of 2 or more"),
    ],
)
def test_contradictions_are_refused_with_their_fix(changes, message):
    with pytest.raises(ValueError, match=message):
        validate(**changes)


@pytest.mark.parametrize("value", [0, -1, 2.5, "4"])
def test_a_window_is_none_or_a_whole_number_of_at_least_one(value):
    with pytest.raises(ValueError, match=f"window_size = {value!r}: it must be a whole number of at least 1"):
        validate(window_size=value, global_every=2)


@pytest.mark.parametrize("field", ["norm_epsilon", "rope_theta", "rope_theta_local"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_epsilon_and_thetas_are_positive_and_finite(field, value):
    with pytest.raises(ValueError, match=f"{field} = {value!r}: it must be positive and finite"):
        validate(window_size=4, global_every=2, **{field: value})


def test_a_whole_number_will_do_where_a_float_is_meant():
    assert validate(rope_theta=500_000) is None


def test_a_change_is_validated_like_a_new_config():
    with pytest.raises(ValueError, match="num_layers = 0"):
        TINY.replace(num_layers=0)


def test_an_odd_head_is_fine_where_nothing_rotates():
    assert presets.TINY_GPT2_124M.replace(head_dim=11).head_dim == 11


def test_replace_changes_the_copy_and_leaves_the_original():
    untied = TINY.replace(tie_embedding=False)
    assert (untied.tie_embedding, TINY.tie_embedding) == (False, True)
    assert untied.replace(tie_embedding=True) == TINY


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TINY.num_layers = 3


def test_equal_configs_share_a_hash_and_each_preset_has_its_own():
    assert hash(TINY.replace(num_layers=3).replace(num_layers=2)) == hash(TINY)
    everything = presets.FULL_SIZE + presets.TINY
    assert len(set(everything)) == len({config.name for config in everything}) == len(everything)


def test_query_heads_share_kv_heads_evenly():
    assert [presets.GEMMA_2B.heads_per_kv_head, presets.GEMMA_7B.heads_per_kv_head] == [8, 1]
    assert presets.TINY_GROUPED.heads_per_kv_head == 4


def test_only_post_norm_goes_without_a_final_norm():
    without = [config.name for config in presets.FULL_SIZE if not config.has_final_norm]
    assert without == ["Transformer base", "Transformer big"]


def test_every_sixth_layer_of_gemma_3_is_global():
    config = presets.GEMMA3_270M
    assert [layer for layer in range(config.num_layers) if not config.is_local(layer)] == [5, 11, 17]
    assert [config.window(layer) for layer in (0, 4, 5, 6)] == [512, 512, None, 512]
    assert [config.theta(layer) for layer in (0, 4, 5, 6)] == [1e4, 1e4, 1e6, 1e4]


def test_local_layers_use_the_one_theta_where_no_second_is_given():
    config = presets.GEMMA3_270M.replace(rope_theta_local=None)
    assert [config.theta(layer) for layer in (4, 5)] == [1e6, 1e6]


@pytest.mark.parametrize(
    "config", [c for c in presets.FULL_SIZE if c.window_size is None], ids=lambda c: c.name
)
def test_without_a_window_every_layer_is_global(config):
    assert {config.window(layer) for layer in range(config.num_layers)} == {None}


def test_enum_values_read_as_words():
    assert NormKind("rms unit offset") is NormKind.RMS_UNIT_OFFSET
