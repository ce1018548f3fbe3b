"""Audio representations by name: `catalogue()` says which there are, `load(name)` gives one to call."""

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sss_lib.models.catalogue import CATALOGUE, ModelSpec
from sss_lib.models.weights import find

__all__ = ["Extractor", "ModelSpec", "catalogue", "fetch", "load", "read_weights", "spec"]


def catalogue() -> dict[str, ModelSpec]:
    """Every model by name, in the order of the catalogue.

    Examples
    --------
    >>> catalogue()["duration"].dim
    2
    """
    return dict(CATALOGUE)


def spec(name: str) -> ModelSpec:
    """Row of the catalogue for a model.

    Raises
    ------
    ValueError
        If there is no such model; the message has the nearest name.
    """
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name.lower(), CATALOGUE, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"model {name!r} is not in the catalogue: {hint}It has {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


@dataclass(frozen=True)
class Extractor:
    """A loaded model: call it with a waveform to get frame embeddings.

    Attributes
    ----------
    spec : ModelSpec
    network : callable
        Waveform to frames, as the loader gave it.
    """

    spec: ModelSpec
    network: Callable[[np.ndarray], np.ndarray]

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Frame embeddings of a waveform.

        Parameters
        ----------
        wave : np.ndarray [shape=(n_samples,), dtype=float32]
            Mono, at `spec.rate_hz`, full scale +-1.

        Returns
        -------
        np.ndarray [shape=(n_frames, dim), dtype=float32]
            At least one frame, whatever the length.

        Raises
        ------
        ValueError
            If the wave isn't a non-empty vector or the result isn't finite.
        """
        if np.ndim(wave) != 1 or not len(wave):
            raise ValueError(f"{self.spec.name} takes a non-empty mono waveform, not shape {np.shape(wave)}")
        frames = np.asarray(self.network(np.ascontiguousarray(wave, np.float32)), np.float32)
        if frames.ndim != 2 or frames.shape[1] != self.spec.dim or not len(frames):
            raise ValueError(
                f"{self.spec.name} gave shape {frames.shape}, not (n_frames, {self.spec.dim}): mend its "
                "loader or its row in the catalogue"
            )
        if not np.isfinite(frames).all():
            raise ValueError(f"{self.spec.name} gave values that are not finite")
        return frames


def load(name: str, device: str = "cpu") -> Extractor:
    """Load a model of the catalogue.

    Parameters
    ----------
    name : str
    device : str
        Where a torch model runs.

    Returns
    -------
    Extractor

    Raises
    ------
    ValueError
        If the model is unknown or its weights are not the published ones.
    FileNotFoundError
        If its weights are missing.
    ImportError
        If a library that it needs is not installed; the message says how to install it.
    """
    row = spec(name)
    loader = importlib.import_module(f"sss_lib.models.{row.loader}")
    return Extractor(row, loader.load(row, device))


def read_weights(row: ModelSpec) -> Path:
    """Path of a model's weights, which are there and are the right ones; see `weights.find`."""
    return find(row.name, row.weights)


def fetch(name: str, **options: object) -> Path | None:
    """Download a model's weights, if it has any and they are not there yet.

    Parameters
    ----------
    name : str
    **options
        See `sss_lib.download.fetch`: progress, retries, ...

    Returns
    -------
    Path or None
        Where they are; None for a model without weights.

    Raises
    ------
    ValueError
        If the model is unknown, or what came is not what was expected.
    FetchError
        If they could not be downloaded; the message tells the URL and where to put the file.
    """
    from sss_lib.models import download

    row = spec(name)
    return download.fetch(name, row.weights, **options) if row.weights else None
