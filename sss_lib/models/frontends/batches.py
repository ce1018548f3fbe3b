"""Networks in PyTorch, run on the windows of many clips at once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sss_lib.models.spec import ModelSpec

BATCH = {"cpu": 8, "cuda": 32, "mps": 32}
"""Inputs of the network at once, by kind of device."""


def chosen(device: str) -> str:
    """Name of a device for PyTorch: of "auto", a CUDA GPU if there is one.

    Raises
    ------
    ValueError
        If PyTorch doesn't find the device, or it isn't of a kind in `BATCH`.
    """
    import torch

    n_gpus = torch.cuda.device_count()
    if device == "auto":
        return "cuda" if n_gpus else "cpu"
    try:
        kind, index = torch.device(device).type, torch.device(device).index or 0
    except (RuntimeError, TypeError):
        kind, index = "", 0
    if kind not in BATCH:
        raise ValueError(f"device {device!r} is unknown: use 'auto' or one of {', '.join(map(repr, BATCH))}")
    n_found = {"cpu": 1, "cuda": n_gpus, "mps": int(torch.backends.mps.is_available())}[kind]
    if index >= n_found:
        found = f"{n_found} of these" if n_found else "no GPU" if kind == "cuda" else "no Apple GPU"
        raise ValueError(f"device {device!r}, but PyTorch finds {found}: use 'cpu' or 'auto'")
    return device


def windowed(spec: ModelSpec, front_end: Callable[[np.ndarray], np.ndarray]) -> Callable:
    """Network inputs of a wave whose windows each pass through a front end.

    Parameters
    ----------
    spec : ModelSpec
        With `window_s`, `long` and `short`.
    front_end : callable
        Window float32 [window_s * rate_hz] to one input of the network.

    Returns
    -------
    callable
        Wave to an iterator of inputs.
    """
    return lambda wave: map(front_end, spec.windows(wave))


@dataclass(frozen=True)
class Batched:
    """A network that embeds many clips at once.

    Attributes
    ----------
    inputs : callable
        Wave float32 [n_samples] to an iterable of network inputs, float32 arrays.
    network : torch.nn.Module
        Float32 [n, ...] to [n, n_frames, dim], or [n, dim] for one frame an input.
    device : str
        "cpu", "cuda", "mps" or "auto": see `chosen`.
    half : bool
        Whether the GPU computes in half precision.
    batch : int or None
        Inputs at once, for networks that need much memory; None for what suits the device.

    Raises
    ------
    ValueError
        If half precision is asked for but on a CUDA GPU, or a device where there is none.
    """

    inputs: Callable[[np.ndarray], Iterable[np.ndarray]]
    network: Any
    device: str = "cpu"
    half: bool = False
    batch: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", chosen(self.device))
        if self.half and not self.device.startswith("cuda"):
            raise ValueError(f"half precision on device {self.device!r}: it is for CUDA GPUs only")
        self.network.eval().to(self.device)

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Frame embeddings of one wave: float32 [n_frames, dim]."""
        return self.embed([wave])[0]

    def embed(self, waves: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Frame embeddings of each wave: float32 [n_frames, dim] a wave.

        Inputs of one shape that follow each other go through the network together; a wave is asked for when
        there is room for it.
        """
        frames: dict[int, list[np.ndarray]] = {}
        for owners, batch in self._batches(waves):
            for owner, embedded in zip(owners, self._run(np.stack(batch)), strict=True):
                frames.setdefault(owner, []).append(embedded)
        return [np.concatenate(of_wave) for of_wave in frames.values()]

    def _batches(self, waves: Iterable[np.ndarray]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        size = self.batch or BATCH[self.device.partition(":")[0]]
        owners: list[int] = []
        batch: list[np.ndarray] = []
        for owner, wave in enumerate(waves):
            for one in self.inputs(wave):
                if batch and (len(batch) == size or one.shape != batch[0].shape):
                    yield owners, batch
                    owners, batch = [], []
                owners.append(owner)
                batch.append(one)
        if batch:
            yield owners, batch

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """Embeddings of a batch: float32 [n, n_frames, dim]."""
        import torch

        with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=self.half):
            embedded = self.network(torch.from_numpy(batch).to(self.device))
        embedded = embedded.float().cpu().numpy()
        return embedded[:, None] if embedded.ndim == 2 else embedded
