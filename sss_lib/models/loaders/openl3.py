"""OpenL3 (Cramer et al., ICASSP 2019) as a frozen graph in Essentia, with its mel front end written here.

Seconds of audio, one after the other from the beginning; of each the magnitude of the short-time Fourier
transform in mel bands, in decibels below its largest value, at most 80. What is left after the last counts,
with zeros behind it, if it is at least half a second or all there is.
"""

from collections.abc import Callable

import numpy as np

from sss_lib.io import windowing
from sss_lib.models.frontends.spectrogram import decibels, mel_filterbank
from sss_lib.models.loaders.essentia_import import graph
from sss_lib.models.spec import ModelSpec

RATE_HZ, FRAME, HOP, N_FRAMES = 48000, 2048, 242, 199
PATCH_S = 1
RANGE_DB = 80.0


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network: waveform to [n_seconds, dim]. It runs on the CPU on any device.

    Of the options, `n_bands` and `centred` are those of `patches`, and `min_s` is what shorter clips are
    padded to with zeros, in seconds.
    """
    network = graph(spec, "melspectrogram", "embeddings", squeeze=False)
    n_bands, centred = spec.options["n_bands"], spec.options["centred"]
    n_min = round(spec.options["min_s"] * RATE_HZ)

    def embed(wave: np.ndarray) -> np.ndarray:
        spectrograms = patches(windowing.pad_to(wave, n_min), n_bands, centred=centred)
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
        As in the 2024 study. The first second then begins half a second before the wave, with zeros. What is
        left at the end counts as one more second. Windows are symmetric.

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
    seconds = windowing.chunk(wave, PATCH_S * RATE_HZ, PATCH_S * RATE_HZ)
    return np.stack([log_mel(second, n_bands, symmetric=centred) for second in seconds])


def log_mel(second: np.ndarray, n_bands: int, *, symmetric: bool) -> np.ndarray:
    """Log-mel spectrogram of a second, under a symmetric Hann window, as Essentia's, or a periodic one.

    Returns
    -------
    np.ndarray [shape=(199, n_bands), dtype=float32]
    """
    padded = np.pad(second, (FRAME // 2, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:N_FRAMES]
    window = np.hanning(FRAME) if symmetric else np.hanning(FRAME + 1)[:-1]
    magnitude = np.abs(np.fft.rfft(frames * window.astype(np.float32), axis=1))
    bank = mel_filterbank(
        rate_hz=RATE_HZ, size=FRAME, n_bands=n_bands, scale="slaney", straight_in="hz", norm="area"
    )
    level = decibels(magnitude @ bank)  # of the magnitude, not of its square: power_melgram=1.0 there
    return np.maximum(level - level.max(), -RANGE_DB).astype(np.float32)
