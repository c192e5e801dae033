"""Full-size steps compiled for pods: reading the compiler's text, the cases, and the stored table."""

import sys

import pytest

from gemma_edu import params, presets
from gemma_edu.scaling import pods, tpu_compiler
from gemma_edu.scaling.collectives import Traffic, traffic
from tools import tpu_pods

PROGRAM = """\
HloModule jit_step, num_partitions=512

%inner.cond (p: (u32[], bf16[4])) -> pred[] {
  %limit.1 = u32[]{:T(128)} constant(8)
  ROOT %lt = pred[] compare(%i, %limit.1), direction=LT
}

%inner.body (p: (u32[], bf16[4])) -> (u32[], bf16[4]) {
  %move = bf16[4,2]{1,0} collective-permute(%x), channel_id=3, source_target_pairs={{0,1},{1,0}}
}

%outer.cond (p: (s32[], f32[2])) -> pred[] {
  %limit.2 = s32[]{:T(128)} constant(28)
  ROOT %lt.1 = pred[] compare(%i, %limit.2), direction=LT
}

%all-reduce-scatter.1 (p: f32[16]) -> f32[16] {
  %rs = f32[16]{0} all-reduce(%p), channel_id=4, replica_groups=[2,256]<=[512]
}

%outer.body (p: (s32[], f32[2])) -> (s32[], f32[2]) {
  %w = (u32[], bf16[4]) while(%t), condition=%inner.cond, body=%inner.body
  %g = (f32[2]{0}, f32[8]{0}) all-gather-start(%x), channel_id=5, replica_groups=[2,256]<=[512]
  %h = f32[8]{0} all-gather-done(%g)
  %f = f32[16]{0} fusion(%y), kind=kCustom, calls=%all-reduce-scatter.1
}

%unused (p: f32[]) -> f32[] {
  %never = f32[999]{0} all-reduce(%p), channel_id=9
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %w.1 = (s32[], f32[2]) while(%t), condition=%outer.cond, body=%outer.body
  %sum = (f32[10]{0}, f32[20]{0}) all-reduce(%a, %b), channel_id=6, replica_groups=[2,256]<=[512]
  %again = (f32[10]{0}, f32[20]{0}) all-reduce(%a, %b), channel_id=6, replica_groups=[2,256]<=[512]
  %s = (f32[100]{0}, u32[], token[]) send(%a, %k), channel_id=7, frontend_attributes={_xla_megascale_transfer_type="ALL_REDUCE"}
}
"""  # noqa: E501


def test_loops_are_multiplied_clones_counted_once_and_networks_told_apart():
    assert traffic(PROGRAM) == [
        Traffic("all-gather", "ICI", 28, 28 * 8 * 4),
        Traffic("all-reduce", "DCN", 1, 404),
        Traffic("all-reduce", "ICI", 1, 30 * 4),
        Traffic("collective-permute", "ICI", 28 * 8, 28 * 8 * 16),
        Traffic("reduce-scatter", "ICI", 28, 28 * 16 * 4),
    ]


def test_a_loop_of_unknown_length_is_refused():
    with pytest.raises(ValueError, match="a loop whose condition is not one limit"):
        traffic(PROGRAM.replace("%limit.2 = s32[]{:T(128)} constant(28)", ""))


def test_cases_are_the_reports():
    chips = {case.name: case.chips for case in pods.CASES}
    assert (chips["7b-1"], chips["7b-16"], chips["2b-1"], chips["2b-2"]) == (256, 4096, 256, 512)
    assert len(chips) == len(pods.CASES)
    for case in pods.CASES:
        assert case.config in (presets.GEMMA_2B, presets.GEMMA_7B)


@pytest.mark.skipif(tpu_compiler.version() is None, reason="no libtpu on this machine")
def test_decoding_compiles_for_one_chip_where_it_fits():
    """The two smallest cases live; the others take minutes and are stored."""
    two, seven = (pods.compiled(case) for case in pods.CASES if case.name.endswith("decode"))
    assert 4.6 < two.hbm / 2**30 < 5.2
    assert seven.hbm is None
    assert "exceeds available HBM (15.75G)" in seven.error


def test_another_failure_is_not_taken_for_one_that_does_not_fit(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no TPU topology')\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(tpu_compiler.CompilerError, match="7b-1: no TPU topology"):
        pods.compiled(pods.CASES[0])


def test_the_table_is_written_case_by_case_and_keeps_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tpu_compiler, "version", lambda: "9.9")
    (tmp_path / "data").mkdir()
    sent = ("all-reduce", "ICI", 2, 30), ("all-gather", "DCN", 1, 4_000_000_000)

    def fake(case):
        if case.name == "7b-decode":
            return pods.Compiled(None, None, (), 'RESOURCE_EXHAUSTED: too, "much"', 1.0)
        return pods.Compiled(2**30, 7, sent, "", 1.0)

    assert tpu_pods.main(["7b-decode"], tmp_path, fake) == 0
    assert tpu_pods.main(["2b-2"], tmp_path, fake) == 0
    rows = tpu_pods.read_table(tmp_path / tpu_pods.TABLE)
    assert list(rows) == ["2b-2", "7b-decode"]
    assert [row["bytes"] for row in rows["2b-2"]] == ["30", "4000000000"]
    assert rows["7b-decode"][0]["fits"] == "no" and '"much"' in rows["7b-decode"][0]["error"]
    assert rows["2b-2"][0]["libtpu"] == "9.9"
    assert "4.00 GB over DCN" in capsys.readouterr().out


def test_without_libtpu_nothing_is_compiled(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tpu_compiler, "version", lambda: None)
    assert tpu_pods.main([], tmp_path, compiled=None) == 0
    assert capsys.readouterr().out.startswith("skipped: no libtpu")


def test_the_stored_table_has_every_case_and_says_what_the_lesson_will():
    rows = tpu_pods.read_table(tpu_pods.ROOT / tpu_pods.TABLE)
    assert list(rows) == [case.name for case in pods.CASES]
    hbm = {name: int(each[0]["hbm_bytes"] or 0) for name, each in rows.items()}
    for name in ("7b-1", "7b-16", "2b-1", "2b-2"):
        assert 0 < hbm[name] < 16e9
    assert hbm["7b-1-copies"] > 3 * hbm["7b-1"]
    assert rows["7b-decode"][0]["fits"] == "no"

    def over_dcn(name):
        return {row["kind"]: int(row["bytes"]) for row in rows[name] if row["network"] == "DCN"}

    # From pod to pod goes each gradient once, in float32: a chip sends those of its 256th of the weights.
    for name, config in {"7b-16": presets.GEMMA_7B, "2b-2": presets.GEMMA_2B}.items():
        assert over_dcn(name) == {
            "all-reduce": pytest.approx(4 * params.count(config)["total"] / 256, rel=0.01)
        }
    assert "all-gather" in over_dcn("2b-2-across")
    assert not over_dcn("7b-1")
