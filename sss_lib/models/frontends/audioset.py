"""The log-mel patches of VGGish and YAMNet, as their authors compute them, in numpy.

Frames of 25 ms every 10 ms under a periodic Hann window, magnitudes in 64 HTK mel bands between 125 and
7500 Hz, the logarithm of what an offset is added to, and patches of 96 frames (0.96 s).
"""

import numpy as np

from sss_lib.io import windowing
from sss_lib.models.frontends.spectrogram import mel_filterbank

RATE_HZ, FRAME, HOP, N_FFT = 16000, 400, 160, 512
N_BANDS, LOW_HZ, HIGH_HZ = 64, 125, 7500
PATCH = 96
"""Frames of a patch."""


def log_mel(wave: np.ndarray, *, log_offset: float) -> np.ndarray:
    """Log-mel frames that lie within a wave; one shorter than a frame is padded with zeros.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
        At 16 kHz.
    log_offset : float
        0.01 for VGGish, 0.001 for YAMNet.

    Returns
    -------
    np.ndarray [shape=(n_frames, 64), dtype=float32]
        n_frames = 1 + (n_samples - 400) // 160.
    """
    padded = windowing.pad_to(wave, FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(FRAME + 1)[:-1], N_FFT))  # in float64
    bank = mel_filterbank(
        rate_hz=RATE_HZ, size=N_FFT, n_bands=N_BANDS, low_hz=LOW_HZ, high_hz=HIGH_HZ, norm=""
    )
    return np.log(magnitude @ bank + log_offset).astype(np.float32)


def padded_patches(wave: np.ndarray, *, log_offset: float, patch_hop: int) -> np.ndarray:
    """Log-mel patches of a wave, behind which zeros fill the last one.

    Parameters
    ----------
    wave, log_offset
        See `log_mel`.
    patch_hop : int
        In frames.

    Returns
    -------
    np.ndarray [shape=(n_patches, 96, 64), dtype=float32]
        At least one.

    Examples
    --------
    >>> waves = [np.ones(n, np.float32) for n in (1, 15600, 15601, 23281)]
    >>> [len(padded_patches(wave, log_offset=0.001, patch_hop=48)) for wave in waves]
    [1, 1, 2, 3]
    """
    first, step = (PATCH - 1) * HOP + FRAME, patch_hop * HOP
    n_more = max(0, -(-(len(wave) - first) // step))
    frames = log_mel(windowing.pad_to(wave, first + n_more * step), log_offset=log_offset)
    return np.lib.stride_tricks.sliding_window_view(frames, (PATCH, N_BANDS))[::patch_hop, 0]
