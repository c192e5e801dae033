"""The workflows on GitHub: all go through one of them, tell of a failure, and call what exists."""

import re
from pathlib import Path

import pytest
from nbval.plugin import get_sanitize_patterns

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github/workflows"
ACTIONS = {"actions/checkout@v7", "actions/setup-python@v7"}
"""GitHub's own, by major version: nobody else's code sees the repository's token."""
CALLERS = sorted(path.name for path in FOLDER.glob("*.yml") if path.name != "check.yml")


def workflow(name):
    """A workflow's content; YAML reads its key `on` as true."""
    content = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return content | {"on": content.pop(True)}


def test_one_workflow_runs_and_only_githubs_actions_are_used():
    jobs = workflow("check.yml")["jobs"]
    assert {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step} == ACTIONS
    assert jobs["tell"]["needs"] == "run" and jobs["tell"]["permissions"] == {"issues": "write"}
    assert "gh issue create" in jobs["tell"]["steps"][0]["run"]


def test_there_is_one_for_each_place():
    assert CALLERS == ["colab.yml", "nightly-jax.yml", "tests.yml", "tpu.yml"]
    (tests,) = workflow("tests.yml")["jobs"].values()
    runners = {place["runner"] for place in tests["strategy"]["matrix"]["include"]}
    assert runners == {"ubuntu-latest", "macos-latest", "windows-latest"}


@pytest.mark.parametrize("name", CALLERS)
def test_each_may_open_an_issue_and_calls_what_exists(name):
    content = workflow(name)
    assert content["permissions"] == {"contents": "read", "issues": "write"}
    assert {"schedule", "workflow_dispatch"} <= content["on"].keys()
    (job,) = content["jobs"].values()
    assert job["uses"] == "./.github/workflows/check.yml"
    inputs = workflow("check.yml")["on"]["workflow_call"]["inputs"]
    assert (
        {key for key, value in inputs.items() if value.get("required")} <= job["with"].keys() <= inputs.keys()
    )
    text = (FOLDER / name).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    for target in re.findall(r"\bmake ([\w./-]+) PYTHON", text):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    assert all((ROOT / path).exists() for path in re.findall(r"(?:tools|\.ci)/[\w.]+", text))


DEVICES = [
    "CpuDevice(id=0)",
    "TFRT_CPU_3",
    "cpu:0",
    "CudaDevice(id=1)",
    "cuda:1",
    "TpuDevice(id=0, process_index=0, coords=(0,0,0), core_on_chip=0)",
    "TPU_2(process=0,(0,1,0,0))",
]


def test_names_of_devices_do_not_count_in_a_lessons_output():
    text = (ROOT / "tools/device_names.cfg").read_text(encoding="utf-8")
    shown = f"on [{', '.join(DEVICES)}] in 3.25 s"
    for pattern, replacement in get_sanitize_patterns(text):
        shown = re.sub(pattern, replacement, shown)
    assert shown == f"on [{', '.join(['DEVICE'] * len(DEVICES))}] in 3.25 s"
    assert "--nbval-sanitize-with tools/device_names.cfg" in (ROOT / "Makefile").read_text(encoding="utf-8")
