"""Descriptors: representations without training."""

from collections.abc import Callable

import numpy as np

from sss_lib.models.frontends.spectrogram import log_mel
from sss_lib.models.spec import ModelSpec


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that computes the descriptor; it has no weights and ignores the device."""
    if spec.name == "duration":
        return lambda wave: duration(wave, rate_hz=spec.rate_hz)
    return lambda wave: log_mel_statistics(wave, rate_hz=spec.rate_hz, n_bands=spec.dim // 2)


def log_mel_statistics(wave: np.ndarray, *, rate_hz: int, n_bands: int) -> np.ndarray:
    """Mean and standard deviation over time of each log-mel band.

    Returns
    -------
    np.ndarray [shape=(1, 2 * n_bands), dtype=float32]
    """
    frames = log_mel(wave, rate_hz=rate_hz, size=2048, hop=1024, n_bands=n_bands)
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])[None]


def duration(wave: np.ndarray, *, rate_hz: int) -> np.ndarray:
    """Logarithms of the length in seconds and of the root mean square level: no timbre, no pitch.

    The level has a floor of 1e-5 of full scale (-100 dB), so that silence has one.

    Returns
    -------
    np.ndarray [shape=(1, 2), dtype=float32]

    Examples
    --------
    >>> duration(np.full(20, 0.1, np.float32), rate_hz=2).round(3)
    array([[ 2.303, -2.303]], dtype=float32)
    """
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
    return np.log([[len(wave) / rate_hz, max(level, 1e-5)]]).astype(np.float32)
