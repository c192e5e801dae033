"""Training spread over 8 devices, in one process and in two: the numbers of one device, and errors instead of hangs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sharded_runs import LAYOUTS

from gemma_edu.scaling import processes

PROGRAM = Path(__file__).with_name("sharded_runs.py")
ROOT = PROGRAM.parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the runs leave their results."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module", autouse=True)
def package_is_found():
    """Child processes import the package from here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.fixture(scope="module")
def on_eight_devices(folder):
    """Every layout, run once."""
    on_8(folder, "eight")
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in LAYOUTS}


@pytest.fixture(scope="module")
def in_two_processes(folder):
    """What each of two processes found."""
    printed = processes.launch([PROGRAM, "two", folder], count=2, devices=4, seconds=240)
    return [json.loads(text.splitlines()[-1]) for text in printed]  # gloo writes lines of its own, before


def on_8(folder, what):
    """Run a function of `sharded_runs` on 8 devices."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    command = [sys.executable, str(PROGRAM), what, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_eight_devices_give_the_numbers_of_one(on_eight_devices, layout):
    found = on_eight_devices[layout]
    assert len(found["losses"]) == 5
    assert (
        found["losses"][4] < found["losses"][0] - 0.1
    )  # it learns: these are not five losses of the same weights
    assert found["loss_difference"] < 1e-4
    assert found["gradient_difference"] < 1e-5
    assert found["kept"]


@pytest.mark.parametrize(
    ("layout", "w_q", "w_k"),
    [
        ("data", 1, 1),
        ("FSDP", 1 / 8, 1 / 8),
        ("tensor", 1 / 8, 1 / 8),
        ("tensor, one KV head", 1 / 8, 1),
        ("tensor, inside the KV head", 1 / 8, 1 / 8),
        ("all", 1 / 4, 1 / 2),
    ],
)
def test_each_device_holds_its_part_of_weights_and_moments(on_eight_devices, layout, w_q, w_k):
    assert on_eight_devices[layout]["parts"] == {"w_q": w_q, "w_k": w_k, "moment of w_q": w_q}


def test_a_state_can_be_made_where_it_will_live(on_eight_devices, folder):
    found = json.loads((folder / "born.json").read_text())
    assert found["difference"] < 1e-6
    assert found["w_q"] == "P(None, 'data', 'model', None)"


def test_a_run_goes_on_on_a_mesh_of_another_shape_as_if_on_one_device(on_eight_devices, folder):
    found = json.loads((folder / "resumed.json").read_text())
    assert (found["steps"], found["saved"], found["spread"]) == ([1, 2, 3, 4, 5], 5, 8)
    assert found["loss_difference"] < 1e-4
    assert found["weights_difference"] < 1e-4
    before, after = found["held_out"]
    assert (
        abs(before - found["losses"][0]) < 1e-5
    )  # the first batch is held out: before the first step it is the same
    assert after < before - 0.1


def test_two_processes_give_the_numbers_of_one_device(in_two_processes):
    first, second = in_two_processes
    assert (first["devices"], first["local"]) == (second["devices"], second["local"]) == (8, 4)
    assert first["losses"] == second["losses"]
    assert first["loss_difference"] < 1e-4
    assert first["gradient_difference"] < 1e-5


def test_what_two_processes_wrote_is_restored_onto_other_meshes(in_two_processes, folder):
    on_8(folder, "restore")
    for mesh in ("2 × 2 × 2", "8 × 1"):
        found = json.loads((folder / f"restore {mesh}.json").read_text())
        assert found["equal"] and found["placed"]
        assert found["leaves"] > 20


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_is_named_and_the_other_does_not_wait_for_it(folder):
    started = time.monotonic()
    with pytest.raises(processes.ProcessError, match="process 1 of 2 was killed by SIGKILL"):
        processes.launch([PROGRAM, "killed", folder], count=2, devices=4, seconds=200, grace=2)
    assert time.monotonic() - started < 60  # JAX alone takes 100 s


def test_a_process_that_fails_is_quoted_and_the_others_are_ended(folder):
    with pytest.raises(processes.ProcessError, match="(?s)process 0 of 2 .*this process is told to fail"):
        processes.launch([PROGRAM, "fails", folder], count=2, devices=1, grace=1)


def test_a_program_that_takes_too_long_is_ended(tmp_path):
    program = tmp_path / "sleep.py"
    program.write_text("import time; time.sleep(100)")
    with pytest.raises(processes.ProcessError, match=r"processes \[0, 1\] of 2 still ran after 0.5 s"):
        processes.launch([program], seconds=0.5)


def test_joining_without_launch_is_refused():
    with pytest.raises(processes.ProcessError, match="not started by processes.launch"):
        processes.join()
