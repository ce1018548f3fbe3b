"""The filter of exact search on a graphics card: PyTorch multiplies, and exact comparison follows as ever.

The bound of `similarity` holds for float32 sums in any order, with or without fused multiply-add: on a card,
too. It doesn't hold for TensorFloat-32 or bfloat16, which PyTorch may put in place of float32:
`highest_precision` keeps them out while a search runs. Products don't underflow (`similarity.FAINTEST`), so a
device may flush what is below the normal numbers to zero.
"""

import contextlib
import importlib.util
import threading
from collections.abc import Iterator

import numpy as np

from sss_lib.search.similarity import BLOCKS, Similarities

DEVICES = ("cpu", "cuda", "mps", "auto")
LEAST_PRODUCTS = 2**36
"""Multiplications below which `auto` stays on the processor: starting a card takes about as long."""
_one_at_a_time = threading.Lock()


class OnDevice(Similarities):
    """Similarities whose corpus has a copy in float32 on a device of PyTorch."""

    def __init__(self, similarities: Similarities, device: str):
        import torch

        vars(self).update(vars(similarities))
        try:
            self.device, self.on_device = device, torch.from_numpy(self.corpus).to(device)
        except (AssertionError, RuntimeError) as error:  # AssertionError: a PyTorch without CUDA
            reason = str(error).partition("\n")[0]
            raise ValueError(f"device={device!r} can't be used ({reason}): use 'cpu', or 'auto'") from error

    def top(self, rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """As `exact.top` of all bands; among equal bounds at the end, which are kept is left open."""
        import torch

        with torch.inference_mode():
            upper = torch.from_numpy(self.filter_queries(rows)).to(self.device) @ self.on_device.T
            who, own = map(torch.from_numpy, self._places_of_own(rows, np.arange(self.n_clips)))
            upper[who.to(self.device), own.to(self.device)] = -torch.inf
            found = torch.topk(upper, n, dim=1)
            return found.indices.cpu().numpy().astype(np.int32), found.values.cpu().numpy()


def on(similarities: Similarities, device: str, n_queries: int) -> Similarities:
    """The same similarities, filtered on a device; see `rank.rank`. "auto" chooses by size.

    Below nine dimensions float32 doesn't hold the corpus, and the processor filters.
    """
    if device == "cpu" or similarities.corpus.dtype != np.float32:
        return similarities
    if device == "auto":
        if n_queries * similarities.corpus.size < LEAST_PRODUCTS or not importlib.util.find_spec("torch"):
            return similarities
        import torch

        device = "cuda" if torch.cuda.is_available() else "mps"
        takes = similarities.corpus.nbytes + 16 * BLOCKS[0] * similarities.n_clips
        if device == "mps" and not torch.backends.mps.is_available():
            return similarities
        if device == "cuda" and takes > torch.cuda.mem_get_info()[0]:
            return similarities
    return OnDevice(similarities, device)


@contextlib.contextmanager
def highest_precision() -> Iterator[None]:
    """Multiply float32 as such meanwhile; the process's setting is as before at the end."""
    import torch

    with _one_at_a_time:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
