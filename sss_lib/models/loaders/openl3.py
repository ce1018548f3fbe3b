"""OpenL3 (Cramer et al., ICASSP 2019) as a frozen graph in Essentia, with its mel front end written here.

Seconds of audio, one after the other from the beginning; of each the magnitude of the short-time Fourier
transform in mel bands, in decibels below its largest value, at most 80. What is left after the last counts,
with zeros behind it, if it is at least half a second or all there is.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from sss_lib.io import audio
from sss_lib.models.loaders.essentia_import import graph
from sss_lib.models.spec import ModelSpec

RATE_HZ, FRAME, HOP, N_FRAMES = 48000, 2048, 242, 199
RANGE_DB, FLOOR = 80.0, 1e-10


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network: waveform to [n_seconds, dim]. It runs on the CPU, whatever the device.

    Of the options, `n_bands` and `centred` are those of `patches`, and `min_s` is what shorter clips are
    padded to with zeros, in seconds.
    """
    network = graph(spec, "melspectrogram", "embeddings", squeeze=False)
    n_bands, centred = spec.options["n_bands"], spec.options["centred"]
    n_min = round(spec.options["min_s"] * RATE_HZ)

    def embed(wave: np.ndarray) -> np.ndarray:
        spectrograms = patches(audio.pad_to(wave, n_min), n_bands, centred=centred)
        return network(spectrograms.transpose(0, 2, 1)[..., None])  # [n, bands, frames, 1]

    return embed


def patches(wave: np.ndarray, n_bands: int, *, centred: bool = False) -> np.ndarray:
    """Log-mel spectrogram of each second.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
        At 48 kHz.
    n_bands : int
        128 or 256.
    centred : bool
        The first second is centred on the beginning, half of it zeros, and whatever is left counts as a last
        one: what the 2024 study computed.

    Returns
    -------
    np.ndarray [shape=(n_seconds, 199, n_bands), dtype=float32]
        Between -80 and 0 dB.

    Examples
    --------
    >>> patches(np.ones(100, np.float32), 128).shape
    (1, 199, 128)
    """
    if centred:
        wave = np.pad(wave, (RATE_HZ // 2, 0))
    else:
        wave = wave[: max(1, (len(wave) + RATE_HZ // 2) // RATE_HZ) * RATE_HZ]
    return np.stack([_log_mel(second, n_bands) for second in audio.chunk(wave, RATE_HZ, RATE_HZ)])


def _log_mel(second: np.ndarray, n_bands: int) -> np.ndarray:
    padded = np.pad(second, (FRAME // 2, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:N_FRAMES]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), axis=1))
    level = 10 * np.log10(np.maximum(FLOOR, magnitude @ filterbank(n_bands)))
    return np.maximum(level - level.max(), -RANGE_DB).astype(np.float32)


@functools.lru_cache
def filterbank(n_bands: int) -> np.ndarray:
    """Slaney's mel bands from 0 Hz to 24 kHz, triangles in hertz, each of area one (librosa's default).

    Returns
    -------
    np.ndarray [shape=(1025, n_bands), dtype=float32]
    """
    edges = slaney_mel_to_hz(np.linspace(0, slaney_hz_to_mel(RATE_HZ / 2), n_bands + 2))
    bins = np.arange(FRAME // 2 + 1)[:, None] * RATE_HZ / FRAME
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    area = (edges[2:] - edges[:-2]) / 2
    return (np.clip(np.minimum(rising, falling), 0, None) / area).astype(np.float32)


def slaney_hz_to_mel(hz: float) -> float:
    """Slaney's mel of a frequency: linear to 1 kHz, then logarithmic.

    Examples
    --------
    >>> slaney_hz_to_mel(1000.0)
    15.0
    """
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def slaney_mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Frequencies of Slaney's mels.

    Examples
    --------
    >>> slaney_mel_to_hz(np.array([15.0, 42.0]))
    array([1000., 6400.])
    """
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
