"""Sounds for the page: bytes that a browser decodes, a gain, a small picture."""

import functools
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sss_lib.io import audio
from sss_lib.listening import loudness

OWN = -1
"""Number of the listener's own sound; clips of the collection have their row, from 0."""
PLAYED = {
    "WAV": ("audio/wav", ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
    "WAVEX": ("audio/wav", ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
    "FLAC": ("audio/flac", ("PCM_S8", "PCM_16", "PCM_24")),
    "OGG": ("audio/ogg", ("VORBIS", "OPUS")),
    "MP3": ("audio/mpeg", ("MPEG_LAYER_III",)),
}
"""Formats and subtypes that browsers play, by libsndfile's names; all others are sent as 16-bit wav."""
MAX_BYTES = 16 << 20
"""Larger files are sent as wav, too: 30 s of it are 3 MB."""
N_COLUMNS, N_BANDS = 128, 32
"""Size of a picture: time steps and mel bands."""
RANGE_DB = 70
"""Dynamic range of a spectrogram, from its darkest to its brightest value."""


@dataclass(frozen=True)
class Sound:
    """A sound that is sent to the page.

    Attributes
    ----------
    content : bytes
        File that a browser plays.
    mime : str
    gain_db : float
        Gain that brings it to the loudness of the other sounds.
    seconds : float or None
        Length of the clip, where the file goes on beyond it.
    """

    content: bytes
    mime: str
    gain_db: float
    seconds: float | None = None


class Sounds:
    """The sounds of a collection by row, and the listener's own; no other file can be read.

    Parameters
    ----------
    paths : sequence of str or Path
        Files of the clips, in the order of the dataset.
    """

    def __init__(self, paths: Sequence[str | Path]):
        self._paths = list(paths)
        self.own: Path | None = None

    def path(self, clip: object) -> Path:
        """File of a clip. Raises ValueError for anything but a row of the collection or `OWN`."""
        if type(clip) is int and 0 <= clip < len(self._paths):
            return Path(self._paths[clip])
        if clip == OWN and type(clip) is int and self.own:
            return self.own
        raise ValueError(f"there is no clip {clip!r}: the collection has {len(self._paths)}")

    def sound(self, clip: object, refused: Collection[str] = (), *, goes_on: bool = False) -> Sound:
        """Clip to play, in no refused format; a window of a longer file, if wanted, with what follows it.

        Raises ValueError if it is unknown, AudioError if it is damaged.
        """
        path = self.path(clip)
        if not audio.has_file(path):
            raise audio.AudioError(
                f"{path.name} is missing: put the collection's audio back, or if its name is "
                "a Freesound id, let their player play it (freesound=True, --freesound)"
            )
        try:
            return _going_on(path) if goes_on and audio.span(path)[2] < np.inf else _playable(path, refused)
        except audio.AudioError as error:  # the page is told no folders of this machine
            raise audio.AudioError(str(error).replace(str(path), path.name)) from None

    def matched(self, clip: object) -> bytes:
        """Clip as models hear it, at the common loudness: a mono FLAC file that says nothing else of it."""
        return _matched(str(self.path(clip)))

    def picture(self, clip: object) -> bytes:
        """Picture of a clip; see `draw`."""
        return _picture(str(self.path(clip)))


def _playable(path: Path, refused: Collection[str]) -> Sound:
    """Sound as a browser plays it: its file unless that is refused, else what models hear, as 16-bit wav."""
    import soundfile

    gain_db = _gain_db(str(path))  # decodes it: what is damaged is never sent
    try:
        about = soundfile.info(path)
    except soundfile.LibsndfileError:  # only ffmpeg reads it
        mime, is_sent = "", False
    else:
        mime, subtypes = PLAYED.get(about.format, ("", ()))
        # its own header must be right, too: the browser believes it
        is_right = abs(audio.duration_s(path) - about.duration) * about.samplerate < 1
        is_sent = about.subtype in subtypes and is_right and about.duration <= audio.MAX_DURATION_S
    if is_sent and mime not in refused and path.stat().st_size <= MAX_BYTES:
        return Sound(path.read_bytes(), mime, gain_db)
    return _as_wav(_decoded(str(path)), gain_db)


def _as_wav(wave: np.ndarray, gain_db: float, seconds: float | None = None) -> Sound:
    import soundfile

    wav, peak = io.BytesIO(), max(1.0, float(np.abs(wave).max()))
    soundfile.write(wav, wave / peak, loudness.RATE_HZ, format="WAV", subtype="PCM_16")
    return Sound(wav.getvalue(), "audio/wav", gain_db + 20 * float(np.log10(peak)), seconds)


def _going_on(path: Path) -> Sound:
    """Window of a file and what follows, of which nothing is clipped at the window's loudness."""
    file, start_s, end_s = audio.span(path)
    wave = audio.decode(f"{file}#t={start_s:.15g},{start_s + audio.MAX_DURATION_S:.15g}", loudness.RATE_HZ)
    most_db = -20 * float(np.log10(max(np.abs(wave).max(), 1e-9)))
    seconds = min(end_s - start_s, len(wave) / loudness.RATE_HZ)
    return _as_wav(wave, min(_gain_db(str(path)), most_db), seconds)


@functools.lru_cache(maxsize=64)
def _matched(path: str) -> bytes:
    import soundfile

    flac, wave = io.BytesIO(), _decoded(path) * 10 ** (_gain_db(path) / 20)
    soundfile.write(flac, np.clip(wave, -1, 1), loudness.RATE_HZ, format="FLAC", subtype="PCM_16")
    return flac.getvalue()


@functools.lru_cache(maxsize=4)
def _decoded(path: str) -> np.ndarray:
    """What models hear of a file, of whatever length."""
    return audio.decode(path, loudness.RATE_HZ)


@functools.lru_cache(maxsize=65536)
def _gain_db(path: str) -> float:
    return loudness.gain_db(_decoded(path))


@functools.lru_cache(maxsize=4096)
def _picture(path: str) -> bytes:
    return draw(_decoded(path))


def draw(wave: np.ndarray) -> bytes:
    """Picture of a sound of any length: the waveform's peaks, then the mel spectrogram, a byte a value.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,)]
        Mono, at 48 kHz.

    Returns
    -------
    bytes
        `N_COLUMNS` peaks, from 0 to 255 at full scale; then `N_COLUMNS` values a mel band, lowest band first,
        from 0 at `RANGE_DB` below the loudest to 255.

    Examples
    --------
    >>> len(draw(np.zeros(100))) == N_COLUMNS * (1 + N_BANDS)
    True
    """
    from sss_lib.models.frontends.spectrogram import mel_filterbank, power_spectrogram

    size = 2048
    hop = int(
        np.clip(len(wave) // N_COLUMNS, 64, size // 2)
    )  # a frame a column, and no sample between frames
    bank = mel_filterbank(rate_hz=loudness.RATE_HZ, size=size, n_bands=N_BANDS)
    power = power_spectrogram(np.asarray(wave, np.float32), size=size, hop=hop) @ bank
    level_db = 10 * np.log10(np.maximum(_most(power), 1e-10))
    bright = (
        255 * (1 + (level_db - level_db.max()) / RANGE_DB) if power.max(initial=0) > 1e-10 else 0 * level_db
    )
    peaks = 255 * _most(np.abs(wave)[:, None])[:, 0]
    return b"".join(np.clip(one, 0, 255).astype(np.uint8).tobytes() for one in (peaks, bright.T))


def _most(values: np.ndarray) -> np.ndarray:
    """Largest values of each of `N_COLUMNS` equal stretches of the first axis."""
    edges = np.linspace(0, len(values), N_COLUMNS, endpoint=False).astype(int)
    return np.maximum.reduceat(values, edges, axis=0)
