"""Determinism of a model: is a clip's embedding the same in any order, batch and process?"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from sss_lib.models import registry as models


def audit(
    name: str | models.ModelSpec,
    waves: Sequence[np.ndarray],
    device: str = "cpu",
    worker: Executor | None = None,
) -> dict[str, float]:
    """Largest difference between embeddings of the same clips computed in several ways.

    Parameters
    ----------
    name : str or ModelSpec
    waves : sequence of np.ndarray [shape=(n_samples,)]
        At the model's rate.
    device : str
    worker : Executor, optional
        Of one process, to audit several models in; by default there is a new one.

    Returns
    -------
    dict of str to float
        By way, the largest difference over the largest absolute value of the embeddings: "again" in the same
        call a second time, "another order" from the last clip to the first, "another batch size" each clip
        in a separate call, "another worker" in a separate process.

    Raises
    ------
    ValueError
        If a way gives a clip another number of frames.

    Examples
    --------
    >>> audit("duration", [np.ones(44100), np.ones(22050)])["another order"]
    0.0
    """
    extractor = models.load(name, device)
    first = extractor.embed(waves)
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "again": lambda: extractor.embed(waves),
        "another order": lambda: extractor.embed(waves[::-1])[::-1],
        "another batch size": lambda: [extractor(wave) for wave in waves],
        "another worker": lambda: _in_worker(worker, _embed, extractor.spec, waves, device),
    }
    largest = max(float(np.abs(frames).max()) for frames in first) or 1.0
    return {way: _difference(way, first, embed()) / largest for way, embed in ways.items()}


def _embed(spec: models.ModelSpec, waves: Sequence[np.ndarray], device: str) -> list[np.ndarray]:
    return models.load(spec, device).embed(waves)


def _in_worker(worker: Executor | None, function: Callable, *arguments: object) -> list[np.ndarray]:
    if worker:
        return worker.submit(function, *arguments).result()
    from joblib.externals.loky import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def _difference(way: str, one: list[np.ndarray], other: list[np.ndarray]) -> float:
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        if a.shape != b.shape:
            raise ValueError(f"clip {i} has frames of shape {a.shape}, but {b.shape} with {way}")
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))
