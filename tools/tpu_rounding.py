"""A pytest plugin: run tests with a TPU's rounding of float32 products, on a CPU.

    python -m pytest -p tools.tpu_rounding tests

What it does is in `gemma_edu.scaling.tpu_rounding`. A test that then fails compares float32 products without asking for
`jax_default_matmul_precision="highest"`, and would fail on a TPU. Tests that cannot notice are left out: those on the
NumPy model, and the files of `LEFT_OUT`. At the end it says how many products it saw, and rounded. Lessons run with the
same rounding in tools/tpu_check.py.
"""

from collections import Counter

import pytest

LEFT_OUT = (
    "test_benchmarks",
    "test_checkpoints",
    "test_nbval",
    "test_notebook",
    "test_readme",
    "test_scaling_sharded",
    "test_tokenizer",
    "test_tpu",
)
"""How the names of files begin whose tests multiply nothing with JAX, or in other processes, or test this emulation."""
TOTAL = pytest.StashKey[Counter]()


def pytest_configure(config: pytest.Config) -> None:
    """Fail early where the emulation would have no effect."""
    import jax

    if jax.default_backend() != "cpu":
        raise pytest.UsageError("tools.tpu_rounding emulates on a CPU; set JAX_PLATFORMS=cpu")
    config.stash[TOTAL] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot notice."""
    kept, dropped = [], []
    for item in items:
        on_numpy = hasattr(item, "callspec") and item.callspec.params.get("backend") == "numpy"
        (dropped if on_numpy or item.path.name.startswith(LEFT_OUT) else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def pytest_sessionstart(session: pytest.Session) -> None:
    """Round in this process; late, since jaxtyping's plugin must see gemma_edu imported after itself."""
    from gemma_edu.scaling import tpu_rounding

    tpu_rounding.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave JAX as it was, for those who run pytest inside a process of theirs; a worker of xdist tells what it saw."""
    from gemma_edu.scaling import tpu_rounding

    session.config.stash[TOTAL].update(tpu_rounding.counts)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[__name__] = dict(tpu_rounding.counts)
    tpu_rounding.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Hear from a worker of xdist that it is done; one that crashed has nothing to say."""
    node.config.stash[TOTAL].update(getattr(node, "workeroutput", {}).get(__name__, {}))


def pytest_terminal_summary(terminalreporter: object, config: pytest.Config) -> None:
    """Say what was rounded."""
    seen = config.stash[TOTAL]
    terminalreporter.write_line(
        f"a TPU's rounding: {seen.total()} float32 products were compiled, {seen['rounded']} of them rounded"
    )
