"""The ablation: variants that differ in what they say and in nothing else, on the same tokens, and its command."""

from itertools import islice
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from gemma_edu import presets
from gemma_edu.compare.differences import differences
from gemma_edu.config import NormKind
from gemma_edu.jax_model.params import init
from gemma_edu.params import count, to_leaves
from gemma_edu.training import ablation, ablation_rows
from gemma_edu.training.ablation_rows import Row
from tools import ablation as command

pytestmark = pytest.mark.usefixtures("quick_compile")

PRESETS = {
    "Llama 2": presets.LLAMA2_7B,
    "OLMo": presets.OLMO_7B,
    "GPT-2": presets.GPT2_124M,
    "2017": presets.TRANSFORMER_BASE,
}
TOY = ablation.Variant("gemma", "", "", presets.TINY_GEMMA_2B.replace(vocab_size=512, context_length=64))
RATE = ablation.LEARNING_RATES[0]


def changed(variant):
    """Fields in which a variant is not Gemma, but for the width that makes up for them."""
    return {row.field: row.b for row in differences(ablation.GEMMA, variant.config)} | {"hidden_dim": None}


@pytest.mark.parametrize("variant", ablation.VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_has_as_many_weights_as_gemma(variant):
    wanted, total = count(ablation.GEMMA)["total"], count(variant.config)["total"]
    assert abs(total - wanted) <= 0.01 * wanted
    assert variant.config.name == variant.name
    weights = jax.eval_shape(lambda: init(jax.random.key(0), variant.config))
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == total


@pytest.mark.parametrize("variant", ablation.CHOICES, ids=lambda variant: variant.name)
def test_a_choice_is_one_of_the_model_that_it_names(variant):
    fields = changed(variant)
    assert 1 < len(fields) <= (3 if variant.name in ("relu-no-gate", "biases") else 2)
    assert variant.whose in PRESETS or variant.name == "exact-gelu"
    for field, value in fields.items():
        if field == "num_kv_heads":
            assert value == variant.config.num_heads
        elif field != "hidden_dim" and variant.whose in PRESETS:
            assert value == getattr(PRESETS[variant.whose], field)


def test_every_choice_of_every_family_is_tried_alone():
    alone = {(field, value) for variant in ablation.CHOICES for field, value in changed(variant).items()}
    for family in ablation.FAMILIES:
        missing = changed(family).items() - alone - {("norm_epsilon", 1e-6)}
        assert not missing, f"{family.name}: {missing}"


@pytest.mark.parametrize("family", ablation.FAMILIES, ids=lambda variant: variant.name)
def test_a_family_has_all_choices_of_its_model(family):
    preset = next(preset for preset in PRESETS.values() if preset.name == family.whose)
    sizes = {row.field for row in differences(preset, family.config)}
    assert sizes <= {*ablation.SIZES, "num_kv_heads", "hidden_dim"}
    assert family.config.num_kv_heads == family.config.num_heads


def test_a_model_that_cannot_be_made_so_small_is_refused():
    with pytest.raises(
        ValueError, match="large: 4.*,.* weights at best, Gemma has 151,872: take other sizes"
    ):
        ablation.fitted(ablation.GEMMA.replace(name="large", vocab_size=6000))


def test_an_unknown_variant_is_named():
    assert ablation.named("swiglu").whose == "Llama 2"
    with pytest.raises(ValueError, match="no variant 'swiglue'; there are gemma, epsilon, "):
        ablation.named("swiglue")


def test_the_held_out_documents_are_never_learnt_from():
    split = ablation.documents()
    assert (len(split.train), len(split.held_out)) == (900, 100)
    learnt = {document.tobytes() for document in split.train}
    assert not any(document.tobytes() in learnt for document in split.held_out)


@pytest.fixture
def tokens_seen(monkeypatch):
    """What each run reads, in place of training."""
    seen = []

    def look(state, batch, config, settings):
        seen.append(batch.tokens)
        return state, SimpleNamespace(loss=0.0)

    monkeypatch.setattr(ablation, "train_step", look)
    monkeypatch.setattr(ablation, "evaluate", lambda *arguments: 0.0)
    monkeypatch.setattr(ablation, "start", lambda params, settings: SimpleNamespace(params=None))

    def read(name, seed):
        seen.clear()
        rows = list(ablation.curve(ablation.named(name), RATE, seed))
        assert [row.step for row in rows] == list(range(0, 251, 25))
        return np.stack(seen)

    return read


def test_a_seed_gives_every_variant_the_same_tokens_in_the_same_order(tokens_seen):
    gemma = tokens_seen("gemma", 0)
    assert gemma.shape == (250, ablation.BATCH, ablation.LENGTH + 1)
    np.testing.assert_array_equal(tokens_seen("transformer", 0), gemma)
    assert (tokens_seen("gemma", 1) != gemma).mean() > 0.5


def test_variants_with_the_same_shapes_start_from_the_same_numbers():
    gemma, swiglu, other = (
        to_leaves(init(jax.random.key(seed), ablation.named(name).config))
        for name, seed in (("gemma", 3), ("swiglu", 3), ("gemma", 4))
    )
    assert gemma.keys() == swiglu.keys()
    assert all(np.array_equal(gemma[name], swiglu[name]) for name in gemma)
    assert not np.array_equal(gemma["embedding.table"], other["embedding.table"])


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(ablation, "STEPS", 20)  # of which two are the warm-up
    monkeypatch.setattr(ablation, "EVERY", 2)


def few(variant, seed=0):
    return list(islice(ablation.curve(variant, RATE, seed), 4))


def test_a_run_is_reproducible_and_its_seed_matters(short):
    rows = few(TOY)
    assert [row.step for row in rows] == [0, 2, 4, 6]
    assert rows[0].train_loss is None and rows[-1].held_out_loss < rows[0].held_out_loss - 0.01
    assert rows == few(TOY)
    assert all(abs(a.held_out_loss - b.held_out_loss) > 1e-4 for a, b in zip(rows, few(TOY, 1), strict=True))


def test_the_unit_offset_is_only_another_way_to_store_a_scale(short):
    """Decay leaves scales alone, so s and 1 + s get the same gradients and the same updates."""
    plain = TOY._replace(config=TOY.config.replace(norm=NormKind.RMS))
    for a, b in zip(few(TOY), few(plain), strict=True):
        np.testing.assert_allclose(b.held_out_loss, a.held_out_loss, rtol=1e-5)


def fake_curve(variant, rate, seed):
    loss = 100 * rate + seed + len(variant.name)
    for step in range(0, ablation.STEPS + 1, ablation.EVERY):
        yield Row(variant.name, rate, seed, step, loss if step else None, loss - step / 1024)


def test_the_command_stores_runs_and_does_not_repeat_them(tmp_path, capsys):
    assert command.main(["swiglu"], tmp_path, fake_curve) == 0
    assert command.main(["gemma"], tmp_path, fake_curve) == 0
    table = tmp_path / command.TABLE
    rows = ablation_rows.read(table)
    assert [row.variant for row in (rows[0], rows[-1])] == ["gemma", "swiglu"]
    assert len(rows) == (2 + 1) * 11 * len(ablation.SEEDS)  # learning rates of the two
    assert rows[1] == Row("gemma", RATE, 0, 25, 6.0, round(6 - 25 / 1024, 6))
    assert "`python tools/ablation.py`, JAX " in table.read_text()

    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))  # as if the last run had been cut off
    capsys.readouterr()
    assert command.main(["gemma", "swiglu"], tmp_path, fake_curve) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert table.read_text() == "".join(lines)


def test_check_compares_every_digit(tmp_path, capsys):
    command.main(["gemma"], tmp_path, fake_curve)
    assert command.main(["--check", "gemma"], tmp_path, fake_curve) == 0
    table = tmp_path / command.TABLE
    text = table.read_text()
    assert text.count("5.755859\n") == 1
    table.write_text(text.replace("5.755859\n", "5.755860\n"))
    capsys.readouterr()
    assert command.main(["--check", "gemma"], tmp_path, fake_curve) == 1
    assert capsys.readouterr().out.count("differs, in 1 of its rows") == 1
    assert command.main(["--check", "untied"], tmp_path, fake_curve) == 1  # nothing stored
    with pytest.raises(SystemExit):
        command.main(["--check"], tmp_path, fake_curve)


def test_the_stored_table_has_every_run_once():
    rows = ablation_rows.read(command.ROOT / command.TABLE)
    for variant in ablation.VARIANTS:
        for rate in variant.learning_rates:
            for seed in ablation.SEEDS:
                assert command.stored((variant, rate, seed), rows), (variant.name, rate, seed)
    runs = sum(len(variant.learning_rates) for variant in ablation.VARIANTS) * len(ablation.SEEDS)
    assert len(rows) == runs * (ablation.STEPS // ablation.EVERY + 1)
    assert rows == command.in_order(rows)
    assert len(ablation.SEEDS) >= 5


def test_the_choices_that_were_repeated_are_those_that_the_first_learning_rate_told_apart():
    rows = ablation_rows.read(command.ROOT / command.TABLE)
    gemma = ablation_rows.losses(rows, "gemma", RATE, ablation.STEPS)
    apart = {
        variant.name: ablation_rows.paired(
            gemma, ablation_rows.losses(rows, variant.name, RATE, ablation.STEPS)
        )
        for variant in ablation.CHOICES
    }
    told = {name for name, found in apart.items() if abs(found.mean) > max(found.half_width, 1e-3)}
    assert told == set(ablation.REPEATED)
