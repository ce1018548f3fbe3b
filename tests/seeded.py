"""A wave, and weights, that any environment can make again."""

import math
import zlib
from dataclasses import replace

import numpy as np

from sss_lib.models.catalogue import CATALOGUE


def wave(rate_hz: int) -> np.ndarray:
    """0.4 s of a rising tone with noise, 0.1 s of silence and 0.1 s of noise, float32."""
    time_s = np.arange(int(0.4 * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.01, len(time_s))
    tone = 0.5 * np.sin(2 * np.pi * (200 + 8000 * time_s) * time_s) + noise
    tenth = rate_hz // 10
    return np.concatenate([tone, np.zeros(tenth), 10 * noise[:tenth]]).astype(np.float32)


def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 values that keep activations near one, as suits what has the name and shape."""
    drawn = np.random.default_rng(zlib.crc32(name.encode())).random(shape, np.float32) - np.float32(0.5)
    if name.endswith(("weight_g", "grep_a")) or (len(shape) == 1 and name.endswith("weight")):
        return 1 + drawn  # scales
    if len(shape) < 2 or shape[0] == 1:
        return drawn  # biases, tokens, positions
    return drawn * np.float32(math.sqrt(12 / math.prod(shape[1:])))


def state(shapes: dict[str, tuple[int, ...]]) -> dict:
    """State dict of torch tensors by the shape of each name."""
    import torch

    return {name: torch.as_tensor(values(name, tuple(shape))) for name, shape in shapes.items()}


def empty(shapes: dict[str, tuple[int, ...]]) -> dict:
    """State dict of zeros that take no room in a file."""
    import torch

    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


def accept(folder, monkeypatch) -> None:
    """Have weights looked for in a folder, whatever their digest."""
    monkeypatch.setenv("SSS_CACHE", str(folder))
    for row in list(CATALOGUE.values()):
        if row.weights and row.weights.url:
            weights = replace(row.weights, sha256=None, n_bytes=None)
            monkeypatch.setitem(CATALOGUE, row.name, replace(row, weights=weights))
