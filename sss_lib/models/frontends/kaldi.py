"""Kaldi's log-mel filter bank, which the audio transformers listen through, in numpy."""

import functools
from collections.abc import Callable

import numpy as np

from sss_lib.io import audio
from sss_lib.models.frontends import batches
from sss_lib.models.frontends.spectrogram import triangles
from sss_lib.models.spec import ModelSpec

N_BANDS = 128
FLOOR = np.finfo(np.float32).eps
"""Smallest power of a band: silence is log(FLOOR) = -15.94."""


def fbank(wave: np.ndarray, *, rate_hz: int, window: str = "hann") -> np.ndarray:
    """Natural logarithm of the power in 128 mel bands, in frames of 25 ms every 10 ms.

    Frames lie within the wave; one shorter than a frame is filled up with zeros. Each frame loses its mean
    and is pre-emphasised by 0.97 (Kaldi's compute-fbank-feats, without dither).

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
    rate_hz : int
    window : str
        "hann", or "povey": the same to the power of 0.85.

    Returns
    -------
    np.ndarray [shape=(n_frames, 128), dtype=float32]
        At least one frame.

    Examples
    --------
    >>> fbank(np.zeros(16000, np.float32), rate_hz=16000).shape
    (98, 128)
    """
    size, hop = int(0.025 * rate_hz), int(0.010 * rate_hz)
    frames = np.lib.stride_tricks.sliding_window_view(audio.pad_to(wave, size), size)[::hop]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    shape = np.hanning(size).astype(np.float32) ** {"hann": 1, "povey": 0.85}[window]
    n_fft = 1 << (size - 1).bit_length()
    spectrum = np.fft.rfft((frames - 0.97 * before) * shape, n_fft)
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(np.maximum(power @ _filterbank(rate_hz, n_fft), FLOOR))


@functools.cache
def _filterbank(rate_hz: int, n_fft: int) -> np.ndarray:
    """Triangles in mel from 20 Hz to the Nyquist frequency, whose own bin counts in none.

    Returns
    -------
    np.ndarray [shape=(n_fft // 2 + 1, 128), dtype=float32]
    """
    mel = 1127 * np.log1p(np.arange(n_fft // 2 + 1) * rate_hz / n_fft / 700)
    edges = np.linspace(1127 * np.log1p(20 / 700), mel[-1], N_BANDS + 2)
    bank = triangles(mel, edges)
    bank[-1] = 0
    return bank.astype(np.float32)


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
