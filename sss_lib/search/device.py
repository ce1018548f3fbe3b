"""Filters of exact search by PyTorch: on a graphics card, or in bfloat16; exact comparison follows as ever.

The bound of `similarity` holds for float32 sums in any order, with or without fused multiply-add: on a card,
too. It doesn't hold for TensorFloat-32 or bfloat16, which PyTorch may put in place of float32:
`highest_precision` keeps them out while a search runs. Products don't underflow (`corpus.FAINTEST`), so a
device may flush what is below the normal numbers to zero. `Bfloat16` has a bound of its own.
"""

import contextlib
import importlib.util
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from sss_lib.search.similarity import BLOCKS, Similarities
from sss_lib.search.whole_numbers import parts

DEVICES = ("cpu", "cuda", "mps", "auto")
LEAST_PRODUCTS = 2**36
"""Multiplications below which `auto` stays on the processor: starting a card takes about as long."""
_one_at_a_time = threading.Lock()


class OnDevice(Similarities):
    """Similarities whose corpus has a copy in float32 on a device of PyTorch."""

    def __init__(self, similarities: Similarities, device: str):
        vars(self).update(vars(similarities))
        try:
            import torch

            corpus = torch.from_numpy(self.corpus.astype(np.float32, copy=False))
            self.device, self.on_device = device, corpus.to(device)
        except (AssertionError, ImportError, RuntimeError) as error:  # AssertionError: a PyTorch without CUDA
            reason = str(error).partition("\n")[0]
            raise ValueError(f"device={device!r} can't be used ({reason}): use 'cpu', or 'auto'") from error

    def top(self, rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """As `exact.top` of all bands; among equal bounds at the end, which are kept is left open."""
        import torch

        # Within a caller's autocast the product would be of half precision.
        with torch.inference_mode(), torch.autocast(self.on_device.device.type, enabled=False):
            upper = torch.from_numpy(self.filter_queries(rows)).to(self.device) @ self.on_device.T
            who, own = map(torch.from_numpy, self._places_of_own(rows, np.arange(self.n_clips)))
            upper[who.to(self.device), own.to(self.device)] = -torch.inf
            found = torch.topk(upper, n, dim=1)
            return found.indices.cpu().numpy().astype(np.int32), found.values.cpu().numpy()


def on(similarities: Similarities, device: str, n_queries: int) -> Similarities:
    """The same similarities, filtered on a device; see `rank.rank`. "auto" chooses by size.

    Below nine dimensions float32 doesn't hold the corpus, and the processor filters.
    """
    is_float32 = similarities.corpus.dtype == np.float32
    if device == "auto" and is_float32:
        if n_queries * similarities.corpus.size < LEAST_PRODUCTS or not importlib.util.find_spec("torch"):
            return similarities
        import torch

        device = "cuda" if torch.cuda.is_available() else "mps"
        takes = similarities.corpus.nbytes + 16 * BLOCKS[0] * similarities.n_clips
        if device == "mps" and not torch.backends.mps.is_available():
            return similarities
        if device == "cuda" and takes > torch.cuda.mem_get_info()[0]:
            return similarities
    if device in ("cpu", "auto"):
        return similarities
    on_device = OnDevice(similarities, device)  # or an error, whatever the dimension
    return on_device if is_float32 else similarities


class Float32:
    """Products of queries with a corpus by numpy, with their bounds; see `Bfloat16`."""

    n_rows, growth, maximum = 256, 0.0, staticmethod(np.maximum)

    def __init__(self, similarities: Similarities):
        self.similarities = similarities

    def tables(self, rows: np.ndarray, offsets: np.ndarray | None) -> tuple[Iterator, np.ndarray]:
        """Bounds of products, and nothing that they lack."""
        bands = self.similarities.bands(rows, width=max(1024, 2**20 // len(rows)))
        added = np.float32(0) if offsets is None else offsets.astype(np.float32)[:, None]
        return ((columns[0], np.add(upper, added, out=upper)) for columns, upper in bands), np.zeros(
            len(rows)
        )

    def least(self, shape: tuple[int, int]) -> np.ndarray:
        """A table that every bound is above."""
        return np.full(shape, -np.inf, np.float32)

    def sums(self, table: np.ndarray, of: list[slice]) -> np.ndarray:
        """Sum of slices of a table, the first the longest: float64."""
        total = np.zeros(table[of[0]].shape)
        for rows in of:
            total[: len(table[rows])] += table[rows]
        return total


class Bfloat16:
    """Products of queries with a corpus on a processor that multiplies bfloat16 far faster than float32.

    A product of two bfloat16 is exact in float32, which sums them. So the error is that of rounding vectors,
    |x| |y - y'| + |x - x'| |y'| (Cauchy and Schwarz) with lengths computed, that of the sum as in
    `similarity`, and that of rounding the result.

    Tables hold the bits as whole numbers: above zero they are in the same order, and compared faster.
    """

    n_rows = 1024
    growth = 2.0**-8
    """Of positive numbers: what rounding them to bfloat16, and then summing up to 2**15, may take off."""

    def __init__(self, similarities: Similarities):
        import torch

        self.similarities, self.maximum = similarities, torch.maximum
        width = -(-(similarities.dim + 2) // 32) * 32
        self.corpus = torch.zeros(similarities.n_clips, width, dtype=torch.bfloat16)
        self.reach = self.lost = 0.0
        for some in parts(similarities.corpus):
            vectors = torch.from_numpy(similarities.corpus[some, : similarities.dim])
            self.corpus[some, : similarities.dim] = vectors
            rest = vectors - self.corpus[some, : similarities.dim]
            self.reach = max(self.reach, float(vectors.norm(dim=1).max()))
            self.lost = max(self.lost, float(rest.norm(dim=1).max()))
        self.corpus[:, similarities.dim : similarities.dim + 2] = 1

    def tables(self, rows: np.ndarray, offsets: np.ndarray | None) -> tuple[Iterator, np.ndarray]:
        """Products with some of the corpus after the other, and how far below the exact ones they may be."""
        import torch

        dim = self.similarities.dim
        exact = torch.zeros(len(rows), self.corpus.shape[1], dtype=torch.float64)
        exact[:, :dim] = torch.from_numpy(self.similarities.filter_queries(rows)[:, :dim])
        if offsets is not None:
            exact[:, dim] = torch.from_numpy(offsets)
        queries = exact.bfloat16()
        queries[:, dim + 1] = exact[:, dim] - queries[:, dim]
        rest = exact - queries
        length = queries[:, :dim].double().norm(dim=1)
        error = rest[:, :dim].norm(dim=1) * self.reach + length * self.lost
        error += (rest[:, dim] - queries[:, dim + 1]).abs() if offsets is not None else 0
        error += self.similarities.gamma * (length * self.reach + 2 * exact[:, dim].abs())

        def products() -> Iterator:
            table = torch.empty(len(rows) * 1024, dtype=torch.bfloat16)
            with torch.inference_mode(), one_thread():
                for begin in range(0, len(self.corpus), 1024):
                    some = self.corpus[begin : begin + 1024].T
                    product = table[: len(rows) * some.shape[1]].view(len(rows), -1)
                    yield begin, torch.mm(queries, some, out=product).view(torch.int16)

        return products(), 1.01 * error.numpy()

    def least(self, shape: tuple[int, int]) -> Any:
        """A table of zeros: of numbers below, `growth` would be the wrong way."""
        import torch

        return torch.zeros(shape, dtype=torch.int16)

    def sums(self, table: Any, of: list[slice]) -> np.ndarray:
        """Sum of slices of a table, the first the longest: float64."""
        import torch

        table = table.view(torch.bfloat16)
        total = table[of[0]].float()
        for rows in of[1:]:
            total[: len(table[rows])] += table[rows]
        return total.double().numpy()


def filter_of(similarities: Similarities, n_products: int) -> Float32 | Bfloat16:
    """The faster filter for so many multiplications, where this processor has both."""
    if n_products >= LEAST_PRODUCTS and importlib.util.find_spec("torch"):
        import torch

        if torch.cpu.get_capabilities().get("amx_bf16") and torch.backends.mkldnn.is_available():
            return Bfloat16(similarities)
    return Float32(similarities)


_counting = threading.Lock()
_before: list[int] = []
"""Threads of PyTorch when each caller that is inside came."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, as the caller is one of several: the last of them puts back what was."""
    import torch

    with _counting:
        _before.append(torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _counting:
            first = _before[0]
            _before.pop()
            if not _before:
                torch.set_num_threads(first)


@contextlib.contextmanager
def highest_precision() -> Iterator[None]:
    """Multiply float32 as such meanwhile; the process's settings are as before at the end."""
    import torch

    backends = torch.backends.cuda, torch.backends.mkldnn
    # From version 2.9 on each has a setting of its own, beside which that of all can't be read.
    own = [one.matmul for one in backends if hasattr(getattr(one, "matmul", None), "fp32_precision")]
    with _one_at_a_time:
        of_own = [one.fp32_precision for one in own]
        for one in own:
            one.fp32_precision = "ieee"
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
            for one, precision in zip(own, of_own, strict=True):
                one.fp32_precision = precision
