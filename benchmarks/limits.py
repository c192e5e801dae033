"""What the machine can do, measured beside the models: read memory, multiply matrices.

A limit is the fastest of several forms and of several tries, so that no model is called near a limit that another
program would pass.
"""

import time
from collections.abc import Callable, Iterable

TRIES = 3
TABLE_ROWS, WIDTH = 200_000, 640
"""Shape of the matrix that is read, in float32: 512 MB, more than any cache holds."""
SIDE = 2048
"""Of the square matrices that are multiplied."""


class JaxLimits:
    """The limits as XLA reaches them."""

    def __init__(self, table_rows: int = TABLE_ROWS, side: int = SIDE) -> None:
        import jax
        import jax.numpy as jnp

        self._jax, self._jnp, self._side = jax, jnp, side
        tables = [jnp.ones((rows, WIDTH), dtype) for rows, dtype in _tables(table_rows, jnp)]
        self._reads = [
            (table.nbytes, jax.jit(form), (jnp.ones((1, WIDTH), table.dtype), table))
            for table in tables
            for form in (lambda x, table: x @ table.T, lambda x, table: table @ x[0])
        ]
        self._reads += [
            (table.nbytes, jax.jit(lambda x, table: table.sum()), (0, table)) for table in tables[:1]
        ]

    def device(self) -> str:
        """The device's name."""
        return self._jax.devices()[0].device_kind

    def read_bandwidth(self) -> float:
        """Bytes per second, of a matrix times a vector or a sum."""
        self._reads, rate = _fastest(self._reads, self._jax.block_until_ready)
        return rate

    def product_rate(self, dtype: str) -> float:
        """Floating-point operations per second of a square product; a multiplication and an addition are two."""
        x = self._jnp.ones((self._side, self._side), dtype)
        work = 2 * self._side**3
        forms = [lambda x, y: x @ y, lambda x, y: self._jnp.matmul(x, y, preferred_element_type="float32")]
        return _fastest([(work, self._jax.jit(form), (x, x)) for form in forms], self._jax.block_until_ready)[
            1
        ]


class TorchLimits:
    """The limits as PyTorch reaches them."""

    def __init__(
        self, threads: int, device: str = "cpu", table_rows: int = TABLE_ROWS, side: int = SIDE
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch, self._device, self._side = torch, device, side
        self._reads = []
        for rows, dtype in _tables(table_rows, torch):
            table = torch.ones((rows, WIDTH), dtype=dtype, device=device)
            vector = torch.ones(WIDTH, dtype=dtype, device=device)
            size = table.numel() * table.element_size()
            self._reads.append((size, torch.mv, (table, vector)))

    def read_bandwidth(self) -> float:
        """Bytes per second, of a matrix times a vector."""
        self._reads, rate = _fastest(self._reads, self._wait)
        return rate

    def product_rate(self, dtype: str) -> float:
        """Floating-point operations per second of a square product."""
        x = self._torch.ones((self._side, self._side), dtype=getattr(self._torch, dtype), device=self._device)
        return _fastest([(2 * self._side**3, self._torch.matmul, (x, x))], self._wait)[1]

    def _wait(self, _result: object) -> None:
        if self._device != "cpu":
            self._torch.cuda.synchronize()


def _tables(rows: int, library) -> Iterable[tuple[int, object]]:
    """Rows and dtype of two matrices of as many bytes."""
    return (rows, library.float32), (2 * rows, library.bfloat16)


def _fastest(forms: list[tuple[int, Callable, tuple]], wait: Callable) -> tuple[list, float]:
    """The best rate, work per second, over forms and tries; and the forms, without those not half as fast.

    The first try of each warms it up.
    """
    rates = []
    for work, form, operands in forms:
        wait(form(*operands))
        times = []
        for _ in range(TRIES):
            start = time.perf_counter()
            wait(form(*operands))
            times.append(time.perf_counter() - start)
        rates.append(work / min(times))
    keep = [form for form, rate in zip(forms, rates, strict=True) if rate > max(rates) / 2]
    return keep, max(rates)
