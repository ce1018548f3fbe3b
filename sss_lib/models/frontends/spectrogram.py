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
def mel_filterbank(
    *,
    rate_hz: int,
    size: int,
    n_bands: int,
    low_hz: float = 0,
    high_hz: float | None = None,
    scale: str = "htk",
    straight_in: str = "mel",
    norm: str = "sum",
) -> np.ndarray:
    """Weights of triangular bands with edges equally spaced in mel: they turn a spectrum into mel bands.

    By default they are those of Essentia's MelBands with warpingFormula="htkMel", weighting="warping" and
    normalize="unit_sum". Those of librosa and torchaudio have straight_in="hz", and norm="area" or "".

    Parameters
    ----------
    rate_hz : int
    size : int
        FFT length in samples.
    n_bands : int
    low_hz, high_hz : float
        Where the first band begins and the last ends; by default at 0 Hz and at the Nyquist frequency.
    scale : str
        "htk" or "slaney": see `to_mel`.
    straight_in : str
        "mel" or "hz": along which axis the sides of the triangles are straight.
    norm : str
        "sum": each band sums to one. "area": each has area 1 over Hz. "": each peaks at 1.

    Returns
    -------
    np.ndarray [shape=(size // 2 + 1, n_bands), dtype=float32]

    Raises
    ------
    ValueError
        If a band that is to sum to one holds no bin.

    Examples
    --------
    >>> bank = mel_filterbank(rate_hz=44100, size=2048, n_bands=96)
    >>> bank.shape, bool(np.allclose(bank.sum(axis=0), 1))
    ((1025, 96), True)
    >>> mel_filterbank(
    ...     rate_hz=8, size=8, n_bands=1, scale="slaney", straight_in="hz", norm=""
    ... ).ravel()
    array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    bins_hz = np.arange(size // 2 + 1) * rate_hz / size
    low, high = to_mel(np.array([low_hz, rate_hz / 2 if high_hz is None else high_hz]), scale)
    edges = np.linspace(low, high, n_bands + 2)
    edges_hz = to_hz(edges, scale)
    bank = triangles(bins_hz, edges_hz) if straight_in == "hz" else triangles(to_mel(bins_hz, scale), edges)
    if norm == "area":
        bank *= 2 / (edges_hz[2:] - edges_hz[:-2])
    elif norm == "sum":
        if n_empty := np.count_nonzero(~bank.any(axis=0)):
            raise ValueError(
                f"{n_empty} of n_bands={n_bands} mel bands hold no bin of size={size}: use fewer bands"
            )
        bank /= bank.sum(axis=0)
    return bank.astype(np.float32)


def to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Mel of frequencies.

    HTK (the HTK Book, 5.4): 1127 ln(1 + f / 700), which is 2595 log10(1 + f / 700).
    Slaney (Auditory Toolbox, 1998): 3 f / 200 up to 1 kHz, then 27 steps for each factor of 6.4.

    Examples
    --------
    >>> to_mel(np.array([200.0, 1000.0, 6400.0]), "slaney")
    array([ 3., 15., 42.])
    """
    if scale == "htk":
        return 1127 * np.log1p(hz / 700)
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4))


def to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """Frequencies of mels: the inverse of `to_mel`.

    Examples
    --------
    >>> to_hz(np.array([3.0, 15.0, 42.0]), "slaney")
    array([ 200., 1000., 6400.])
    """
    if scale == "htk":
        return 700 * np.expm1(mel / 1127)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def log_mel(wave: np.ndarray, *, rate_hz: int, size: int, hop: int, n_bands: int) -> np.ndarray:
    """Log-compressed mel spectrogram: log10(1 + 10000 * power).

    Returns
    -------
    np.ndarray [shape=(n_frames, n_bands), dtype=float32]
    """
    power = power_spectrogram(wave, size=size, hop=hop)
    # Offset 1 keeps silence at 0; the factor is that of Essentia's TensorflowInputMusiCNN, which aiSFX uses.
    return np.log10(1 + 1e4 * (power @ mel_filterbank(rate_hz=rate_hz, size=size, n_bands=n_bands)))


def centred_power(wave: np.ndarray, *, size: int, hop: int, window: np.ndarray | None = None) -> np.ndarray:
    """Squared magnitude of the short-time Fourier transform as torch.stft and librosa compute it by default.

    Frame k is centred on sample k * hop, and the signal is reflected at its
    ends. Computed in float64, whose errors are below the faintest bands of a decibel scale.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
    size, hop : int
        Window length and hop in samples; `size` is even.
    window : np.ndarray [shape=(size,)], optional
        By default the periodic Hann window.

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
    spectrum = np.fft.rfft(frames * (np.hanning(size + 1)[:-1] if window is None else window), axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


def decibels(power: np.ndarray) -> np.ndarray:
    """Ten times the logarithm of a power, which is at least 1e-10.

    Examples
    --------
    >>> decibels(np.array([0.0, 1.0, 100.0]))
    array([-100.,    0.,   20.])
    """
    return 10 * np.log10(np.maximum(power, 1e-10))
