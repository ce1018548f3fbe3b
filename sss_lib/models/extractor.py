"""A loaded model: from a waveform to frame embeddings, checked on the way in and out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sss_lib.models.spec import ModelSpec


@dataclass(frozen=True)
class Extractor:
    """A loaded model: call it with a waveform to get frame embeddings.

    Attributes
    ----------
    spec : ModelSpec
    network : callable
        Waveform to frames, as the loader gave it. Where it has a method `embed`, that takes many waves.
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
        return self.embed([wave])[0]

    def embed(self, waves: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Frame embeddings of each wave, computed together where the network can; see `__call__`."""
        prepared = map(self._prepare, waves)
        if hasattr(self.network, "embed"):
            embedded = self.network.embed(prepared)
        else:
            embedded = map(self.network, prepared)
        return [self._check(frames) for frames in embedded]

    def _prepare(self, wave: np.ndarray) -> np.ndarray:
        if np.ndim(wave) != 1 or not len(wave):
            raise ValueError(f"{self.spec.name} takes a non-empty mono waveform, not shape {np.shape(wave)}")
        wave = np.ascontiguousarray(wave, np.float32)
        if self.spec.gain_db:
            wave = np.clip(wave * np.float32(10 ** (self.spec.gain_db / 20)), -1, 1)
        return wave

    def _check(self, frames: np.ndarray) -> np.ndarray:
        frames = np.asarray(frames, np.float32)
        if frames.ndim != 2 or frames.shape[1] != self.spec.dim or not len(frames):
            raise ValueError(
                f"{self.spec.name} gave shape {frames.shape}, not (n_frames, {self.spec.dim}): correct its "
                "loader or its row of the catalogue"
            )
        if not np.isfinite(frames).all():
            raise ValueError(f"{self.spec.name} gave values that are not finite")
        return frames
