"""The gate: a course is run, every computation goes to the compiler, and what it refuses is named with its cell."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from gemma_edu.scaling import tpu_compiler
from tools import tpu_check

COMPILER = tpu_compiler.description()
needs_libtpu = pytest.mark.skipif(COMPILER is None, reason="no libtpu on this machine")
GOOD = """\
# %% [markdown]
# # Nothing wrong here

# %%
import jax
import jax.numpy as jnp

# %%
x = jnp.linspace(0, 1, 15).reshape(3, 5)
print(jax.jit(lambda x: jnp.sin(x) @ x.T)(x))

# %% tags=["nbval-skip"]
jnp.linalg.eig(x @ x.T)

# %%
jax.jit(lambda x: jax.debug.print("{x}", x=x))(x.sum())
1 / 0
"""
NO_RULE = """\
# %%
import jax.numpy as jnp
values, _ = jnp.linalg.eig(jnp.eye(3))
assert values.shape == (3,)
"""
TILING = """\
# %%
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl

def double(x, interpret):
    block = pl.BlockSpec((4, 256), lambda i: (i, 0))
    def kernel(x_ref, y_ref):
        y_ref[...] = 2 * x_ref[...]
    result = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return pl.pallas_call(kernel, result, grid=(4,), in_specs=[block], out_specs=block, interpret=interpret)(x)

# %%
def by_platform(x):
    return jax.lax.platform_dependent(x, tpu=lambda x: double(x, False), default=lambda x: double(x, True))
np.testing.assert_array_equal(jax.jit(by_platform)(np.ones((16, 256), np.float32)), 2)
"""
TOO_LARGE = """\
# %%
import jax
import jax.numpy as jnp

# %%
jax.jit(lambda w: w @ w.T).lower(jax.ShapeDtypeStruct((70_000, 70_000), jnp.float32)).compile()
"""


@pytest.fixture
def course(tmp_path):
    """A function that writes lessons, by name, into a course; its root."""

    def write(**lessons):
        (tmp_path / "notebooks/source").mkdir(parents=True, exist_ok=True)
        for name, text in lessons.items():
            (tmp_path / f"notebooks/source/{name[1:]}.py").write_text(text)
        return tmp_path

    return write


def accept(folder):
    """A compiler that finds every program good."""
    return {path.stem: {"hbm": 2**20} for path in folder.glob("*.mlir")}


def refuse(folder):
    """A compiler that finds no program good."""
    return {path.stem: {"error": "compiling: too green"} for path in folder.glob("*.mlir")}


def unwanted(folder):
    """A compiler that must not be asked."""
    raise AssertionError(f"asked to compile {sorted(folder.glob('*.mlir'))}")


COMMAND = """
import sys
from pathlib import Path
from tools import tpu_check

def accept(folder):
    return {path.stem: {"hbm": 2**20} for path in folder.glob("*.mlir")}

sys.exit(tpu_check.main(["--jobs", "2"], Path(sys.argv[1]), accept if "--accept" in sys.argv else None))
"""


def run_check(root, *options):
    """The exit status and the printed lines of a check with kernels, in a process: they leave open sockets behind."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tpu_check.ROOT), *sys.path])}
    command = [sys.executable, "-c", COMMAND, str(root), *options]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    return result.returncode, result.stdout.splitlines()


def test_a_lesson_is_captured_cell_by_cell_until_one_fails(course):
    root = course(_01_good=GOOD)
    status, lines = run_check(root, "--accept")
    assert status == 1 and lines[-1].endswith(f"1 problems ({COMPILER})")
    text = "\n".join(lines)
    assert "code cell 4: jit(<lambda>)(f32[]) calls Python on the host (debug_print); not compiled" in text
    assert "01_good: code cell 3 failed" in text and "ZeroDivisionError" in text and "tpu_capture" not in text
    assert "jit(eig)" not in text  # in a cell tagged nbval-skip
    assert len(tpu_check.read_cache(root / tpu_check.CACHE, COMPILER)["01_good"]) > 3


def test_what_jax_compiled_and_nobody_captured_is_a_problem():
    rows = [{"name": "jit(f)"}, {"compiled": "jit(f)"}, {"compiled": "jit(f)"}, {"name": "jit(only_lowered)"}]
    assert tpu_check.unseen(rows[:2] + rows[3:]) == []
    assert tpu_check.unseen(rows) == ["jit(f): compiled 1 times more than captured"]
    assert tpu_check.unseen([]) == []  # a lesson without JAX
    assert tpu_check.unseen(rows[:1]) != []


COUNTS = {"flops": 10**9, "rounded": 0}


def lesson_of(folder, *programs):
    """A lesson with computations of these programs, whose files are in `folder`."""
    rows = [
        {"name": "jit(f)", "arguments": f"f32[{cell}]", "cell": cell, "program": program} | COUNTS
        for cell, program in enumerate(programs, 1)
    ]
    for program in programs:
        (folder / f"{program}.mlir").write_bytes(b"")
    return tpu_check.Lesson("02_next", computations=rows, compiled=len(rows))


def test_only_what_is_new_is_compiled(tmp_path):
    known = {"01_good": {"aa": 5}, "02_next": {"old": 3}}
    lesson = lesson_of(tmp_path, "aa", "bb", "aa")
    assert tpu_check.compile_lesson(lesson, tmp_path, known, accept) == {"aa": 5, "bb": 2**20}
    assert lesson.new == 1 and lesson.problems == []
    assert (
        tpu_check.report(lesson, {"aa": 5, "bb": 2**20})[0].split(maxsplit=3)[3]
        == "3 computations, 2 programs, "
        "1 compiled now, 3.000 GFLOP; at most 1.0 MiB, by jit(f) of code cell 2"
    )
    again = lesson_of(tmp_path, "aa", "bb")
    assert tpu_check.compile_lesson(again, tmp_path, {"02_next": {"aa": 5, "bb": 7}}, unwanted)["bb"] == 7


def test_what_is_refused_is_named_with_its_cell_and_not_remembered(tmp_path):
    lesson = lesson_of(tmp_path, "aa", "bb")
    lesson.computations.append(
        COUNTS | {"name": "jit(p)", "arguments": "", "cell": 3, "host_calls": ["debug_print"], "flops": None}
    )
    hbm = tpu_check.compile_lesson(lesson, tmp_path, {"01_good": {"aa": 5}}, refuse)
    assert hbm == {"aa": 5}
    assert lesson.problems == ["code cell 2: jit(f)(f32[2]): compiling: too green"]
    assert lesson.notes == ["code cell 3: jit(p)() calls Python on the host (debug_print); not compiled"]
    assert "and 1 loops of unknown length" in tpu_check.report(lesson, hbm)[0]


@pytest.fixture
def no_kernel(monkeypatch):
    """Let every lesson compute the programs aa and bb, without being run."""

    def capture(source, root, folder, cell_seconds):
        folder.mkdir()
        return replace(lesson_of(folder, "aa", "bb"), name=source.stem)

    monkeypatch.setattr(tpu_check, "capture_lesson", capture)
    monkeypatch.setattr(tpu_compiler, "version", lambda: "1.2.3")


def test_the_cache_is_of_one_compiler_and_of_the_lessons_that_exist(course, no_kernel, capsys):
    root = course(_01_good=GOOD, _02_next=GOOD)
    path, compiler = root / tpu_check.CACHE, "libtpu 1.2.3 for v5e at O1"
    before = {"01_good": {"old": 1}, "02_next": {"cc": 3}, "99_gone": {"older": 2}}
    tpu_check.write_cache(path, compiler, before)
    assert tpu_check.read_cache(path, compiler) == before
    assert tpu_check.main(["01"], root, accept) == 0
    assert "1 lessons, 2 computations, 0 problems (libtpu 1.2.3" in capsys.readouterr().out
    fresh = {"aa": 2**20, "bb": 2**20}
    assert tpu_check.read_cache(path, compiler) == {"01_good": fresh, "02_next": {"cc": 3}}
    assert tpu_check.main([], root, unwanted) == 0  # the other lesson computes the same
    assert tpu_check.read_cache(path, compiler) == {"01_good": fresh, "02_next": fresh}
    assert tpu_check.read_cache(path, "libtpu 1.2.3 for v5e at O2") == {}


def test_without_libtpu_it_says_so_and_is_content(monkeypatch, capsys):
    monkeypatch.setattr(tpu_compiler, "version", lambda: None)
    assert tpu_check.main([]) == 0
    assert "skipped: no libtpu here" in capsys.readouterr().out


def test_a_compiler_that_does_not_start_is_no_success(course, no_kernel, capsys):
    def dead(folder):
        raise tpu_compiler.CompilerError("did not start")

    assert tpu_check.main(["1"], course(_1_short=GOOD), dead) == 2
    assert "did not start" in capsys.readouterr().err


@needs_libtpu
def test_planted_lessons_are_refused_each_for_its_reason(course):
    status, lines = run_check(course(_1_no_rule=NO_RULE, _2_tiling=TILING, _3_too_large=TOO_LARGE))
    problems = [line.strip() for line in lines if "code cell" in line and line.startswith("    ")]
    assert status == 1 and len(problems) == 3 and lines[-1].startswith("3 lessons, ")
    assert any("code cell 1: jit(eig)" in line and "not found for platform tpu" in line for line in problems)
    assert any(
        "code cell 2: jit(by_platform)" in line and "divisible by 8 and 128" in line for line in problems
    )
    assert any("code cell 2: jit(<lambda>)" in line and "exceeds available HBM" in line for line in problems)
