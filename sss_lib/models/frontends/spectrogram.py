"""Power spectrograms and mel filter banks: the front end that models share, in numpy."""

import functools

import numpy as np


def power_spectrogram(wave: np.ndarray, *, size: int, hop: int) -> np.ndarray:
    """Squared magnitude of the short-time Fourier transform with a symmetric Hann window.

    Frame k is centred on sample k * hop, with zeros around the signal; the last frame is the last that
    starts before the signal ends (Essentia's FrameCutter with its defaults and size = 2 hop).

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
    size, hop : int
        Window length and hop in samples; `size` is even.

    Returns
    -------
    np.ndarray [shape=(n_frames, size // 2 + 1), dtype=float32]
        n_frames = ceil((n_samples + size / 2) / hop).

    Examples
    --------
    >>> power_spectrogram(np.ones(9, np.float32), size=4, hop=4).shape
    (3, 3)
    """
    n_frames = -(-(len(wave) + size // 2) // hop)
    padded = np.pad(wave, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:n_frames]
    window = np.hanning(size).astype(np.float32)
    spectrum = np.fft.rfft(frames * window, axis=1)
    return spectrum.real**2 + spectrum.imag**2


def triangles(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Heights of triangles at places: each rises from its edge to one at the next and falls to the one after.

    Parameters
    ----------
    places : np.ndarray [shape=(n_places,)]
    edges : np.ndarray [shape=(n_triangles + 2,)]

    Returns
    -------
    np.ndarray [shape=(n_places, n_triangles)]

    Examples
    --------
    >>> triangles(np.array([0, 0.5, 1, 2, 3]), np.array([0, 1, 3, 5])).T
    array([[0. , 0.5, 1. , 0.5, 0. ],
           [0. , 0. , 0. , 0.5, 1. ]])
    """
    rising = (places[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - places[:, None]) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


@functools.lru_cache
def mel_filterbank(*, rate_hz: int, size: int, n_bands: int) -> np.ndarray:
    """HTK mel bands from 0 Hz to the Nyquist frequency, each summing to one.

    Band edges are equally spaced in mel = 1127 ln(1 + f / 700), and so are the sides of the triangles
    (Essentia's MelBands with warpingFormula="htkMel", weighting="warping", normalize="unit_sum").

    Parameters
    ----------
    rate_hz : int
    size : int
        FFT length in samples.
    n_bands : int

    Returns
    -------
    np.ndarray [shape=(size // 2 + 1, n_bands), dtype=float32]

    Examples
    --------
    >>> bank = mel_filterbank(rate_hz=44100, size=2048, n_bands=96)
    >>> bank.shape, bool(np.allclose(bank.sum(axis=0), 1))
    ((1025, 96), True)
    """
    mel = 1127 * np.log1p(np.arange(size // 2 + 1) * rate_hz / size / 700)
    edges = np.linspace(0, mel[-1], n_bands + 2)
    bank = triangles(mel, edges)
    if not bank.any(axis=0).all():
        n_empty = np.count_nonzero(~bank.any(axis=0))
        raise ValueError(
            f"{n_empty} of n_bands={n_bands} mel bands hold no bin of size={size}: use fewer bands"
        )
    return (bank / bank.sum(axis=0)).astype(np.float32)


def log_mel(wave: np.ndarray, *, rate_hz: int, size: int, hop: int, n_bands: int) -> np.ndarray:
    """Log-compressed mel spectrogram: log10(1 + 10000 * power).

    Returns
    -------
    np.ndarray [shape=(n_frames, n_bands), dtype=float32]
    """
    power = power_spectrogram(wave, size=size, hop=hop)
    return np.log10(1 + 1e4 * (power @ mel_filterbank(rate_hz=rate_hz, size=size, n_bands=n_bands)))


def centred_power(wave: np.ndarray, *, size: int, hop: int) -> np.ndarray:
    """Squared magnitude of the short-time Fourier transform as torch.stft and librosa compute it by default.

    The Hann window is periodic, frame k is centred on sample k * hop, and the signal is reflected at its
    ends. Computed in float64, whose errors are below the faintest bands of a decibel scale.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
    size, hop : int
        Window length and hop in samples; `size` is even.

    Returns
    -------
    np.ndarray [shape=(1 + n_samples // hop, size // 2 + 1), dtype=float32]

    Examples
    --------
    >>> centred_power(np.ones(9, np.float32), size=4, hop=4)[1]
    array([4., 1., 0.], dtype=float32)
    """
    padded = np.pad(wave, size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    spectrum = np.fft.rfft(frames * np.hanning(size + 1)[:-1], axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


@functools.lru_cache
def triangular_filterbank(
    *, rate_hz: int, size: int, n_bands: int, low_hz: float, high_hz: float, htk: bool, unit_area: bool
) -> np.ndarray:
    """Mel bands whose sides are straight in Hz, as librosa and torchaudio make them.

    Parameters
    ----------
    rate_hz : int
    size : int
        FFT length in samples.
    n_bands : int
    low_hz, high_hz : float
        Where the first band begins and the last ends; edges are equally spaced in mel between.
    htk : bool
        mel = 2595 log10(1 + f / 700); otherwise Slaney's, straight below 1000 Hz and logarithmic above.
    unit_area : bool
        Each triangle has area 1 over Hz; otherwise it peaks at 1.

    Returns
    -------
    np.ndarray [shape=(size // 2 + 1, n_bands), dtype=float32]

    Examples
    --------
    >>> triangular_filterbank(
    ...     rate_hz=8, size=8, n_bands=1, low_hz=0, high_hz=4, htk=False, unit_area=False
    ... ).ravel()
    array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    to_mel, to_hz = (_htk_mel, _htk_hz) if htk else (_slaney_mel, _slaney_hz)
    edges_hz = to_hz(np.linspace(to_mel(low_hz), to_mel(high_hz), n_bands + 2))
    bank = triangles(np.arange(size // 2 + 1) * rate_hz / size, edges_hz)
    if unit_area:
        bank *= 2 / (edges_hz[2:] - edges_hz[:-2])
    return bank.astype(np.float32)


def _htk_mel(hz: float) -> float:
    return 2595 * np.log10(1 + hz / 700)


def _htk_hz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)


def _slaney_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def decibels(power: np.ndarray) -> np.ndarray:
    """Ten times the logarithm of a power, which is at least 1e-10.

    Examples
    --------
    >>> decibels(np.array([0.0, 1.0, 100.0]))
    array([-100.,    0.,   20.])
    """
    return 10 * np.log10(np.maximum(power, 1e-10))
