"""State dicts of random weights that a test and the script that recorded its reference both make."""

import zlib

import numpy as np


def state(shapes: dict[str, tuple[int, ...]], kept: dict[str, np.ndarray]) -> dict:
    """Torch tensors by name: each depends on its name and shape alone, so that any process makes the same.

    Weights are scaled to keep activations of the order of one, variances are positive, and what is `kept`
    (by the end of its name: filter banks, indices) is given.
    """
    import torch

    tensors = {}
    for name, shape in shapes.items():
        given = [value for end, value in kept.items() if name.endswith(end)]
        tensors[name] = torch.from_numpy(np.array(given[0] if given else _values(name, shape)))
    return tensors


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.rpartition("module.")[2].encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        decibels = "bn0." in name  # of the input, which is in decibels: tens below zero, varying by tens
        return (rng.random(shape, np.float32) + np.float32(0.5)) * np.float32(400 if decibels else 1)
    values = rng.standard_normal(shape, np.float32)
    if name.endswith("bn0.running_mean"):
        return 10 * values - 40
    if len(shape) > 1:
        return values * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return np.float32(0.1) * values + np.float32(len(shape) == 1 and name.endswith("weight"))


def shapes_of(names: np.ndarray, shapes: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Shapes by name, as recorded: "96 1 4 4" for (96, 1, 4, 4)."""
    return {str(n): tuple(map(int, s.split())) for n, s in zip(names, shapes, strict=True)}


def published(recorded: dict[str, np.ndarray], key: str) -> dict:
    """State dict with the names and shapes of a published file, as clap_reference.npz has them."""
    shapes = shapes_of(recorded[f"{key}/names"], recorded[f"{key}/shapes"])
    kept = {"relative_position_index": recorded["relative_position_index"]}
    if f"{key}/melW" in recorded:
        kept["melW"] = recorded[f"{key}/melW"]
    return state(shapes, kept)
