"""The museum: each bug passes its weak test and fails its good one, and the package never notices."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gemma_edu import museum, presets
from gemma_edu.jax_model import block, transformer
from gemma_edu.jax_model.loss import perplexity
from gemma_edu.museum import measure, probes
from gemma_edu.museum.port import PLACES, Port, as_stored, load

ROOT = Path(__file__).parent.parent
EACH = pytest.mark.parametrize("exhibit", museum.EXHIBITS.values(), ids=list(museum.EXHIBITS))
TOY = presets.TINY_GEMMA3_270M

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def toy():
    weights = jax.tree.map(jnp.asarray, probes.random_params(TOY))
    return weights, jnp.asarray(np.random.default_rng(0).integers(0, TOY.vocab_size, (3, 7)))


@EACH
def test_the_bug_passes_its_weak_test_and_fails_its_good_one(exhibit):
    assert museum.passes(exhibit.weak_test, exhibit.port)
    assert not museum.passes(exhibit.good_test, exhibit.port)


@EACH
def test_the_package_passes_both(exhibit):
    assert museum.passes(exhibit.weak_test, Port())
    assert museum.passes(exhibit.good_test, Port())


@EACH
def test_one_piece_is_wrong_and_no_other(exhibit):
    pieces = [field.name for field in fields(Port)]
    assert sum(getattr(exhibit.port, piece) is not getattr(Port(), piece) for piece in pieces) == 1


@EACH
def test_the_label_says_what_a_visitor_wants_to_know(exhibit):
    for lines in (exhibit.right, exhibit.wrong):
        assert 1 <= len(lines.splitlines()) <= 3
        ast.parse(lines.replace("    break", "    pass").replace("…", "...").replace("return ", "_ = "))
    assert exhibit.right != exhibit.wrong
    assert (ROOT / "notebooks" / "source" / f"{exhibit.lesson}.py").is_file()
    assert re.search(r"#\d+|[0-9a-f]{7}|known to us", exhibit.happened)
    assert all(len(text) > 20 for text in (exhibit.happened, exhibit.missed, exhibit.caught))


def test_there_are_eighteen_and_every_way_to_hide_has_one():
    assert len(museum.EXHIBITS) == 18
    assert {exhibit.hiding for exhibit in museum.EXHIBITS.values()} == set(museum.Hiding)


def test_nothing_of_a_bug_is_left_behind(toy):
    weights, tokens_BT = toy
    before, wrong = perplexity(weights, tokens_BT[0], TOY), museum.bug("no_unit_offset")
    assert abs(perplexity(weights, tokens_BT[0], TOY, forward=wrong.forward) / before - 1) > 0.01
    with pytest.raises(ValueError, match="outside"):  # nor after an error
        wrong.forward(weights, tokens_BT + 100, TOY)
    assert transformer.block is block.block
    assert all(getattr(module, name) is getattr(Port(), name) for name, module in PLACES.items())
    assert perplexity(weights, tokens_BT[0], TOY) == before
    anew = perplexity(weights, tokens_BT[0], TOY, forward=lambda *arguments: transformer.forward(*arguments))
    assert anew == before


def test_bugs_do_not_share_compiled_programs(toy):
    """Two bugs and the right one in turn, twice: each time the same logits, and three different ones."""
    weights, tokens_BT = toy
    ports = [Port(), museum.bug("interleaved_rope"), museum.bug("theta_exponent")] * 2
    logits = [np.asarray(port.forward(weights, tokens_BT, TOY)) for port in ports]
    for first, second in zip(logits[:3], logits[3:], strict=True):
        np.testing.assert_array_equal(first, second)
    assert all(np.abs(logits[i] - logits[j]).max() > 0.01 for i, j in ((0, 1), (0, 2), (1, 2)))


def test_the_package_does_not_know_the_museum():
    users = [
        path for path in (ROOT / "gemma_edu").rglob("*.py") if "museum" in path.read_text(encoding="utf-8")
    ]
    assert {path.relative_to(ROOT / "gemma_edu").parts[0] for path in users} <= {"museum", "cli", "checks"}


def test_stored_weights_are_those_of_a_gguf_file():
    weights = probes.random_params(TOY)
    stored = as_stored(weights)
    np.testing.assert_array_equal(stored["final_norm.scale"], weights.final_norm.scale + 1)
    np.testing.assert_array_equal(stored["embedding.table"], weights.embedding.table)
    np.testing.assert_allclose(load(stored, TOY).final_norm.scale, weights.final_norm.scale, atol=1e-6)


def test_an_unknown_bug_is_told_the_nearest():
    with pytest.raises(ValueError, match="no 'interleaved'; did you mean 'interleaved_rope'"):
        museum.bug("interleaved")
    with pytest.raises(ValueError, match="no 'xyz': it has missing_bos, double_bos"):
        museum.bug("xyz")


def test_passes_takes_any_error_for_a_find():
    def broken(port):
        raise TypeError("cannot reshape")

    assert museum.passes(lambda port: None, Port()) and not museum.passes(broken, Port())


def test_compare_on_numbers_that_a_pencil_can_check():
    right = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.1, 0.8, 0.1]]))
    found = (
        right.at[1].set(jnp.log(jnp.array([0.2, 0.3, 0.5]))).at[2].set(jnp.log(jnp.array([0.8, 0.1, 0.1])))
    )
    effect = measure.compare(found, np.array([0, 1, 1]), right)
    assert effect.perplexity == pytest.approx((2 * 10 / 3 * 10) ** (1 / 3), rel=1e-5)
    assert effect.right == pytest.approx((2 * 2.5 * 1.25) ** (1 / 3), rel=1e-5)
    assert effect.ratio == pytest.approx(effect.perplexity / effect.right)
    assert effect.divergence == 2 and effect.change == pytest.approx(np.log(8), rel=1e-5)
    same = measure.compare(right, np.array([0, 1, 1]), right)
    assert (
        same.divergence is None and same.cosine == pytest.approx(1) and same.change == 0 and same.ratio == 1
    )


@pytest.mark.parametrize("name", [name for name, found in museum.EXHIBITS.items() if found.toy])
def test_toys_show_what_the_real_model_cannot(name):
    exhibit = museum.EXHIBITS[name]
    if name == "derived_head_size":
        with pytest.raises(TypeError, match="reshape"):
            measure.on_toy(exhibit.port, exhibit.toy, 24)
        return
    effect = measure.on_toy(exhibit.port, exhibit.toy, 24)
    assert effect.change > 0.1 and effect.divergence is not None and effect.cosine < 0.999
