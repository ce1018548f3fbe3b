"""Sounds as a page plays and draws them: bytes that a browser decodes, a gain, a small picture."""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sss_lib.io import audio
from sss_lib.listening import loudness

OWN = -1
"""Number of the sound that the listener brought; the clips of the collection are numbered by row, from 0."""
PLAYED = {
    "WAV": ("audio/wav", ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
    "WAVEX": ("audio/wav", ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
    "FLAC": ("audio/flac", ("PCM_S8", "PCM_16", "PCM_24")),
    "OGG": ("audio/ogg", ("VORBIS", "OPUS")),
    "MP3": ("audio/mpeg", ("MPEG_LAYER_III",)),
}
"""What browsers play, as libsndfile names it; the rest is sent as 16-bit wav."""
N_COLUMNS, N_BANDS = 128, 32
"""Size of a picture: steps in time, and mel bands."""
RANGE_DB = 70
"""From the darkest to the brightest of a spectrogram."""


@dataclass(frozen=True)
class Sound:
    """A sound as it travels to the page.

    Attributes
    ----------
    content : bytes
        A file that a browser plays.
    mime : str
    gain_db : float
        What matches its loudness with that of the others.
    """

    content: bytes
    mime: str
    gain_db: float


class Sounds:
    """The sounds of a collection by row, and the listener's own: nothing else can be asked for.

    Parameters
    ----------
    paths : sequence of str or Path
        Of the clips, in the order of the dataset.
    """

    def __init__(self, paths: Sequence[str | Path]):
        self._paths = list(paths)
        self.own: Path | None = None

    def path(self, clip: object) -> Path:
        """File of a clip, which must be a row of the collection or `OWN`.

        Raises
        ------
        ValueError
            If there is no such clip, whatever was asked for.
        """
        if type(clip) is int and 0 <= clip < len(self._paths):
            return Path(self._paths[clip])
        if clip == OWN and type(clip) is int and self.own:
            return self.own
        raise ValueError(f"there is no clip {clip!r}: the collection has {len(self._paths)}")

    def sound(self, clip: object) -> Sound:
        """A clip to play. Raises ValueError if there is no such clip, AudioError if it can't be decoded."""
        path = self.path(clip)
        return Sound(*_playable(path), _gain_db(str(path)))

    def picture(self, clip: object) -> bytes:
        """Waveform and spectrogram of a clip to draw; see `draw`."""
        return _picture(str(self.path(clip)))


def _playable(path: Path) -> tuple[bytes, str]:
    """Bytes and type of a file that a browser plays: the file itself where it can be."""
    import soundfile

    if not path.is_file():
        raise audio.AudioError(f"{path.name} is missing: put the collection's audio back")
    try:
        about = soundfile.info(path)
        mime, subtypes = PLAYED.get(about.format, ("", ()))
        if about.subtype in subtypes:
            return path.read_bytes(), mime
        wave, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise audio.AudioError(
            f"{path.name} can't be decoded ({getattr(error, 'error_string', error)})"
        ) from None
    wav = io.BytesIO()
    soundfile.write(wav, np.clip(wave, -1, 1), rate_hz, format="WAV", subtype="PCM_16")
    return wav.getvalue(), "audio/wav"


@functools.lru_cache(maxsize=4)
def _decoded(path: str) -> np.ndarray:
    return audio.decode(path, loudness.RATE_HZ, max_duration_s=None)


@functools.lru_cache(maxsize=65536)
def _gain_db(path: str) -> float:
    return loudness.gain_db(_decoded(path))


@functools.lru_cache(maxsize=4096)
def _picture(path: str) -> bytes:
    return draw(_decoded(path))


def draw(wave: np.ndarray) -> bytes:
    """Picture of a sound, whatever its length: the waveform's peaks, then the spectrogram, a byte each.

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
    hop = int(np.clip(len(wave) // N_COLUMNS, 64, size // 2))
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
