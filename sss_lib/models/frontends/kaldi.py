"""Kaldi's log-mel filter bank, the front end of the audio transformers, in numpy."""

from collections.abc import Callable

import numpy as np

from sss_lib.io import windowing
from sss_lib.models.frontends import batches
from sss_lib.models.frontends.spectrogram import mel_filterbank
from sss_lib.models.spec import ModelSpec

FRAME_S, HOP_S, PREEMPHASIS = 0.025, 0.010, 0.97
N_BANDS, LOW_HZ = 128, 20
FLOOR = np.finfo(np.float32).eps
"""Smallest power of a band, FLT_EPSILON as in Kaldi: silence is ln(FLOOR) = -15.94."""


def fbank(wave: np.ndarray, *, rate_hz: int, window: str = "hann") -> np.ndarray:
    """Natural logarithm of the power in 128 mel bands, in frames of 25 ms every 10 ms.

    As Kaldi's compute-fbank-feats (feat/feature-window.cc) with dither=0: by default Kaldi adds Gaussian
    noise of one 16-bit step, which would differ each time. Frames lie within the wave (snip-edges); one
    shorter than a frame is padded with zeros. Of each frame the mean is subtracted, then
    x[t] - 0.97 x[t - 1] is taken. Bands are straight in mel from 20 Hz to the Nyquist frequency.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
    rate_hz : int
    window : str
        "hann": (1 - cos(2 pi t / (size - 1))) / 2, or "povey": that to the power of 0.85, Kaldi's default.

    Returns
    -------
    np.ndarray [shape=(n_frames, 128), dtype=float32]
        At least one frame.

    Examples
    --------
    >>> fbank(np.zeros(16000, np.float32), rate_hz=16000).shape
    (98, 128)
    """
    size, hop = int(FRAME_S * rate_hz), int(HOP_S * rate_hz)
    frames = np.lib.stride_tricks.sliding_window_view(windowing.pad_to(wave, size), size)[::hop]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    shape = np.hanning(size).astype(np.float32) ** {"hann": 1, "povey": 0.85}[window]
    n_fft = 1 << (size - 1).bit_length()
    spectrum = np.fft.rfft((frames - PREEMPHASIS * before) * shape, n_fft)
    power = spectrum.real**2 + spectrum.imag**2
    bank = mel_filterbank(rate_hz=rate_hz, size=n_fft, n_bands=N_BANDS, low_hz=LOW_HZ, norm="")
    return np.log(np.maximum(power @ bank, FLOOR))


def windowed(spec: ModelSpec, *, n_frames: int, mean: float, scale: float) -> Callable:
    """Network inputs of a wave: the scaled log-mel frames of its windows.

    Frames that a window lacks are zeros before scaling, as at the networks' training. So a short clip that
    isn't repeated is filled up with frames of zero, not with silence, whose frames are log(FLOOR).

    Parameters
    ----------
    spec : ModelSpec
        With `rate_hz`, `window_s`, `long` and `short`.
    n_frames : int
        Frames of an input.
    mean, scale : float
        Subtracted from the frames; what they are divided by then.

    Returns
    -------
    callable
        Wave to an iterable of float32 [n_frames, 128].
    """

    def front_end(window: np.ndarray) -> np.ndarray:
        frames = fbank(window, rate_hz=spec.rate_hz)[:n_frames]
        filled = np.pad(frames, ((0, n_frames - len(frames)), (0, 0)))
        return (filled - np.float32(mean)) / np.float32(scale)

    in_windows = batches.windowed(spec, front_end)
    size = spec.window_size
    return lambda wave: [front_end(wave)] if len(wave) < size and spec.short == "pad" else in_windows(wave)
