"""Waves, and weights that stand in for published ones: any environment can make them again."""

import ast
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from sss_lib.models.catalogue import CATALOGUE


def wave(rate_hz: int) -> np.ndarray:
    """0.4 s of a rising tone with noise, 0.1 s of silence and 0.1 s of noise, float32."""
    time_s = np.arange(int(0.4 * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.01, len(time_s))
    tone = 0.5 * np.sin(2 * np.pi * (200 + 8000 * time_s) * time_s) + noise
    tenth = rate_hz // 10
    return np.concatenate([tone, np.zeros(tenth), 10 * noise[:tenth]]).astype(np.float32)


def noise(n: int) -> np.ndarray:
    """Seeded noise of a length: float32 [n]."""
    return (0.1 * np.random.default_rng(n).standard_normal(n)).astype(np.float32)


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


def recorded_shapes(reference: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the state dict that a recording was made with."""
    return {
        str(name): ast.literal_eval(str(shape))
        for name, shape in zip(reference["names"], reference["shapes"], strict=True)
    }


def tensors(state: Mapping[str, np.ndarray]) -> dict:
    """State dict of torch tensors with given values."""
    import torch

    return {name: torch.as_tensor(value) for name, value in state.items()}


def save(state: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a state dict as PyTorch does."""
    import torch

    torch.save(tensors(state), path)


def rectified_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Arrays by the shape of each name, for layers of rectifiers and batch normalisation.

    Examples
    --------
    >>> rectified_state({"bn.running_var": (2,)})["bn.running_var"].min() > 0.5
    np.True_
    """
    return {name: _rectified(name, tuple(shape)) for name, shape in shapes.items()}


def _rectified(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    if name.endswith(("weight", "running_var")):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


def dynamic_state(shapes: Mapping[str, tuple[int, ...]], gain: float = 5) -> dict[str, np.ndarray]:
    """Arrays as of `rectified_state` for mixtures of four kernels, stored flat beside a normalisation.

    A kernel's values have a variance of `gain` over those it sums. Without it nothing of the input comes
    through; with more, it overflows.
    """
    state = rectified_state(shapes)
    for name in state:
        if name.endswith("_conv.weight") and len(shapes[name]) == 4 and shapes[name][:3] == (1, 1, 4):
            n_out = len(state[name.replace("_conv.", "_norm.")])
            state[name] *= np.float32(np.sqrt(2 * gain * n_out))
    return state


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
