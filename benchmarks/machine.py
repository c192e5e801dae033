"""The machine that a run was made on: what it is, how many threads it gives, how much memory a process took."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil

LIBRARIES = ("numpy", "jax", "torch", "transformers", "llama-cpp-python")
TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""What a processor can multiply with; the names that Linux gives it."""


def describe(threads: int, device: str = "cpu") -> dict[str, str]:
    """Everything about this machine that changes a speed, and nothing that names it."""
    memory = psutil.virtual_memory().total
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu(),
        "cores": f"{cores()}, of which {threads} used",
        "memory": f"{memory / 2**30:.0f} GiB",
        "device": device,
        "system": _system(),
        "Python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }


def cores() -> int:
    """Cores this process may use; two threads of one core count once."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def peak_bytes() -> int:
    """The most memory that this process has held at a time, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss begins at the size of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _cpu() -> str:
    """The processor's name and, on Linux, its wider instructions."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    name = fields.get("model name") or platform.machine()
    return f"{name} ({' '.join(flag for flag in TELLING_FLAGS if flag in flags)})"


def _system() -> str:
    """The operating system, with its version."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _version(library: str) -> str:
    """The installed version of a library, or that there is none."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
