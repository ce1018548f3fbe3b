"""One decoder for every model: a file becomes one finite, mono, float32 waveform at the rate asked for."""

import hashlib
from pathlib import Path

import numpy as np

MAX_DURATION_S = 30.0
"""Clips are cut to this length before any model sees them: the longest clip of FSD50K."""


class AudioError(ValueError):
    """A file from which no usable waveform comes; the message names the file and says why."""


def decode(path: str | Path, rate_hz: int, *, max_duration_s: float | None = MAX_DURATION_S) -> np.ndarray:
    """Mono waveform of an audio file: channels averaged, cut to a length, then resampled.

    Parameters
    ----------
    path : str or Path
        Any format that libsndfile reads (wav, flac, ogg, mp3, aiff, ...).
    rate_hz : int
        Sample rate of the result. Resampling is soxr's very high quality.
    max_duration_s : float or None
        Later audio is dropped; None keeps all of it.

    Returns
    -------
    np.ndarray [shape=(n_samples,), dtype=float32]
        Full scale is +-1.

    Raises
    ------
    AudioError
        If the file can't be read, is empty, or holds values that are not finite.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path} is not a file: check the audio folder and the fname in the ground truth")
    if _is_cut_short(path):
        raise AudioError(f"{path} is cut short: its end is missing. Copy it again.")
    try:
        with soundfile.SoundFile(path) as file:
            native_hz = file.samplerate
            n_frames = -1 if max_duration_s is None else round(max_duration_s * native_hz)
            channels = file.read(n_frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} can't be decoded: {error.error_string} Copy or convert it again.") from None
    if not np.isfinite(channels).all():
        raise AudioError(
            f"{path} holds {np.count_nonzero(~np.isfinite(channels))} values that are not finite"
        )
    wave = channels.mean(axis=1, dtype=np.float32)
    if native_hz != rate_hz and len(wave):
        import soxr

        wave = soxr.resample(wave, native_hz, rate_hz, quality="VHQ")
    if not len(wave):
        raise AudioError(f"{path} is empty: it has no sample at {rate_hz} Hz")
    return wave


def _is_cut_short(path: Path) -> bool:
    """Whether the end of a RIFF, AIFF or Ogg file is missing: libsndfile reads on without a word."""
    n_bytes = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(max(0, n_bytes - 65536 - 282))  # no page of Ogg is longer
        tail = file.read()
    if head[:4] == b"OggS":
        last_page = tail.rfind(b"OggS")
        return not tail[last_page + 5] & 4  # the flag "end of stream"
    order = {b"RIFF": "little", b"FORM": "big"}.get(head[:4])
    n_promised = int.from_bytes(head[4:], order) if order else 0
    # 0 and all ones: written as a stream, so that the header doesn't know.
    return n_promised not in (0, 0xFFFFFFFF) and n_promised + 8 > n_bytes


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
        Of a longer wave: "windows" gives all, one after the other, the last one moved back to end where the
        wave ends; "spread" three: at the start, in the middle and at the end; "truncate" the first; "crop"
        one at a place drawn with the wave itself as the seed.
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
    if long not in ("windows", "spread", "truncate", "crop"):
        raise ValueError(f"long {long!r} is unknown: use windows, spread, truncate or crop")
    if short not in ("repeat", "repeatpad", "pad"):
        raise ValueError(f"short {short!r} is unknown: use repeat, repeatpad or pad")
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
