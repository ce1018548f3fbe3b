"""Stand-ins for published checkpoints: numbers that follow from names and shapes, the same on all sides."""

import ast
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.signal


def noise(n: int) -> np.ndarray:
    """Seeded noise of a length: float32 [n]."""
    return (0.1 * np.random.default_rng(n).standard_normal(n)).astype(np.float32)


def recorded_shapes(reference: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the state dict that a recording was made with."""
    return {
        str(name): ast.literal_eval(str(shape))
        for name, shape in zip(reference["names"], reference["shapes"], strict=True)
    }


def save(state: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a state dict as PyTorch does."""
    import torch

    torch.save({name: torch.as_tensor(value) for name, value in state.items()}, path)


def seeded_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Numbers for each name of a state dict: such that activations neither vanish nor grow through layers.

    Parameters
    ----------
    shapes : mapping of str to tuple of int

    Examples
    --------
    >>> seeded_state({"bn.running_var": (2,)})["bn.running_var"].min() > 0.5
    np.True_
    """
    return {name: _values(name, tuple(shape)) for name, shape in shapes.items()}


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    if name.endswith(("weight", "running_var")):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


def audioclip_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """AudioCLIP's audio branch: seeded, but with its window, and wavelets about where training starts."""
    state, rng = seeded_state(shapes), np.random.default_rng(0)
    state["audio.fbsp.m"] = rng.uniform(0, 2, 1025).astype(np.float32)
    state["audio.fbsp.fb"] = rng.uniform(0.8, 1.2, 1025).astype(np.float32)
    state["audio.fbsp.fc"] = (np.arange(1025) + rng.normal(0, 0.1, 1025)).astype(np.float32)
    state["audio.window"] = scipy.signal.get_window("blackmanharris", 1654).astype(np.float32)
    return state
