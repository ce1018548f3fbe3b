"""Windows of a waveform, or of the frames of a spectrogram, at places that never vary."""

import hashlib

import numpy as np

from sss_lib.io.names import require_known


def pad_to(wave: np.ndarray, n_samples: int) -> np.ndarray:
    """Return the waveform with zeros after it, so that it has at least `n_samples`.

    Examples
    --------
    >>> pad_to(np.array([1.0, 2.0]), 4)
    array([1., 2., 0., 0.])
    """
    return np.pad(wave, (0, max(0, n_samples - len(wave))))


def chunk(values: np.ndarray, size: int, hop: int, *, keep_partial: bool = True) -> np.ndarray:
    """Windows of equal size along the first axis, at fixed positions: 0, hop, 2 hop, ...

    What does not fill the last window is zero-padded (or dropped with `keep_partial=False`), and
    anything shorter than one window gives exactly one padded window: never none, never a random one.

    Parameters
    ----------
    values : np.ndarray [shape=(n, ...)]
        A waveform, or the frames of a spectrogram.
    size, hop : int
        Window length and the distance between window starts, in steps of the first axis.

    Returns
    -------
    np.ndarray [shape=(n_windows, size, ...)]

    Examples
    --------
    >>> chunk(np.arange(1, 6), size=3, hop=2)
    array([[1, 2, 3],
           [3, 4, 5]])
    >>> chunk(np.arange(1, 7), size=3, hop=2)
    array([[1, 2, 3],
           [3, 4, 5],
           [5, 6, 0]])
    >>> chunk(np.arange(1, 7), size=3, hop=2, keep_partial=False)
    array([[1, 2, 3],
           [3, 4, 5]])
    >>> chunk(np.arange(1, 3), size=3, hop=2, keep_partial=False)
    array([[1, 2, 0]])
    """
    beyond_first = max(0, len(values) - size)
    n_windows = 1 + (-(-beyond_first // hop) if keep_partial else beyond_first // hop)
    n_needed = size + (n_windows - 1) * hop
    padding = [(0, max(0, n_needed - len(values)))] + [(0, 0)] * (values.ndim - 1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, padding), size, axis=0)[::hop]
    return np.moveaxis(windows[:n_windows], -1, 1).copy()


def windows(wave: np.ndarray, size: int, *, long: str = "windows", short: str = "repeat") -> np.ndarray:
    """Windows of a waveform for a network that takes just one length, at places that never vary.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,)]
        At least one sample.
    size : int
        Samples of a window.
    long : str
        Of a longer wave: "windows" gives all in a row, the last one moved back to end where the wave ends;
        "spread" three, at start, middle and end; "truncate" the first; "crop" one at a place drawn with the
        wave itself as the seed.
    short : str
        Of a shorter wave: "repeat" repeats it until the window is full, "repeatpad" as often as it fits
        whole, with zeros after that, and "pad" fills up with zeros.

    Returns
    -------
    np.ndarray [shape=(n_windows, size)]

    Raises
    ------
    ValueError
        If `long` or `short` is unknown.

    Examples
    --------
    >>> windows(np.arange(1, 6), 2)
    array([[1, 2],
           [3, 4],
           [4, 5]])
    >>> windows(np.arange(1, 10), 2, long="spread")
    array([[1, 2],
           [4, 5],
           [8, 9]])
    >>> windows(np.arange(1, 6), 2, long="truncate")
    array([[1, 2]])
    >>> [windows(np.arange(1, 3), 5, short=how)[0] for how in ("repeat", "repeatpad", "pad")]
    [array([1, 2, 1, 2, 1]), array([1, 2, 1, 2, 0]), array([1, 2, 0, 0, 0])]
    """
    require_known(long, ("windows", "spread", "truncate", "crop"), "the windows of a long wave")
    require_known(short, ("repeat", "repeatpad", "pad"), "the windows of a short wave")
    if len(wave) < size:
        n_repeated = {"repeat": size, "repeatpad": size // len(wave) * len(wave), "pad": len(wave)}[short]
        return pad_to(np.resize(wave, n_repeated), size)[None]
    last = len(wave) - size
    if long == "truncate":
        starts = [0]
    elif long == "spread":
        starts = [0, last // 2, last]
    elif long == "crop":
        starts = [int(draws(wave).integers(last + 1))]
    else:
        starts = [*range(0, last, size), last]
    return np.stack([wave[start : start + size] for start in starts])


def draws(wave: np.ndarray) -> np.random.Generator:
    """Random numbers that are always the same for the same waveform, whose digest is their seed."""
    digest = hashlib.sha256(np.ascontiguousarray(wave).tobytes()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))
