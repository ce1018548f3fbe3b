"""State dicts with the names and shapes of the published CLAP files, and seeded weights."""

import numpy as np
import seeded


def state(shapes: dict[str, tuple[int, ...]], kept: dict[str, np.ndarray]) -> dict:
    """Torch tensors by name, a name that ends as one of `kept` (filter banks, indices) with the value there.

    Statistics of batch normalisation suit activations near one; those of the input, which is in decibels,
    are tens below zero and vary by tens. Convolutions make up for the rectifiers behind them.
    """
    import torch

    tensors = {}
    for name, shape in shapes.items():
        given = [value for end, value in kept.items() if name.endswith(end)]
        values = given[0] if given else seeded.values(name, shape)
        if name.endswith("num_batches_tracked"):
            values = np.zeros(shape, np.int64)
        elif name.endswith("running_var"):
            values = (1 + values) * np.float32(400 if "bn0." in name else 1)
        elif name.endswith("bn0.running_mean"):
            values = 10 * values - 40
        elif len(shape) == 4:
            values = 2 * values
        tensors[name] = torch.from_numpy(np.array(values))
    return tensors


def of(recorded: dict[str, np.ndarray], key: str) -> dict:
    """State dict of a file whose names and shapes ("96 1 4 4" for (96, 1, 4, 4)) were recorded."""
    pairs = zip(recorded[f"{key}/names"], recorded[f"{key}/shapes"], strict=True)
    kept = {"relative_position_index": recorded["relative_position_index"]}
    if f"{key}/melW" in recorded:
        kept["melW"] = recorded[f"{key}/melW"]
    return state({str(name): tuple(map(int, shape.split())) for name, shape in pairs}, kept)
