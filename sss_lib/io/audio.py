"""One decoder for all models: a file becomes one finite, mono, float32 waveform at a given rate."""

import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.io import containers, ffmpeg
from sss_lib.io.names import FFMPEG_SUFFIXES
from sss_lib.io.pieces import DamageError, Part, Pieces

if TYPE_CHECKING:
    import soundfile

MAX_DURATION_S = 30.0
"""Clips are cut to this length before any model sees them: the longest clip of FSD50K."""
RATES_HZ = (100, 2_000_000)  # others are taken for damage
UNKNOWN_FRAMES = 2**63 - 1
"""What libsndfile tells of a flac that was written as a stream, and that it can't read to its end."""
UNKNOWN_S = 1e9
AGAIN = "Copy or convert it again."
BLOCK_FRAMES = 1 << 18


class AudioError(ValueError):
    """A file without a usable waveform; the message names it and says why."""


def span(path: str | Path) -> tuple[Path, float, float]:
    """File that a path names, and from and to which second it is meant.

    Any other path than "rain.wav#t=42,47", as Media Fragments of W3C have it, means a whole file, and so does
    the path of a file that is called like that.
    Seconds are those of the file's own clock: where only ffmpeg reads it, that may begin some 0.1 s late.

    Examples
    --------
    >>> span("rain.wav#t=42,47.5")[1:], span("rain.wav")[1:]
    ((42.0, 47.5), (0.0, inf))
    """
    found = _SPAN.fullmatch(str(path))
    if not found or os.path.lexists(path):
        return Path(path), 0.0, np.inf
    return Path(found[1]), float(found[2]), float(found[3])


_SPAN = re.compile(r"(.+)#t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", re.DOTALL)


def decode(path: str | Path, rate_hz: int, *, max_duration_s: float | None = MAX_DURATION_S) -> np.ndarray:
    """Mono waveform of an audio file: channels averaged, cut to a length, then resampled.

    Parameters
    ----------
    path : str or Path
        Any format that libsndfile reads (wav, flac, ogg, opus, mp3, aiff, ...); if ffmpeg is installed, any
        that it reads (m4a, wma, ...). The content counts, not the suffix. Or a `span` of such a file.
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
        If the file can't be read, is empty, ends early, or holds values that are not finite.
    """
    with np.errstate(over="ignore"):  # an infinite sum is an AudioError below
        pieces, rates_hz = zip(
            *((mono(block), hz) for block, hz in blocks(path, max_duration_s=max_duration_s)), strict=True
        )
    return resampled(np.concatenate(pieces), rates_hz[0], rate_hz, path)


def mono(channels: np.ndarray) -> np.ndarray:
    """Average of the channels of a block."""
    return channels.mean(axis=1, dtype=np.float32)


def resampled(wave: np.ndarray, native_hz: int, rate_hz: int, path: str | Path) -> np.ndarray:
    """Return a mono waveform at another rate, as models hear it; see `decode`."""
    if native_hz != rate_hz and len(wave):
        import soxr

        wave = soxr.resample(wave, native_hz, rate_hz, quality="VHQ")
    if not len(wave):
        raise AudioError(f"{path} is empty: it has no sample at {rate_hz} Hz")
    if not np.isfinite(wave).all():
        raise AudioError(f"{path} holds values too large to reckon with: convert it again")
    return wave


def read(path: str | Path, *, max_duration_s: float | None = None) -> tuple[np.ndarray, int]:
    """Samples of every channel of an audio file at its own rate, and that rate in Hz.

    Returns
    -------
    channels : np.ndarray [shape=(n_samples, n_channels), dtype=float32]
    rate_hz : int

    Raises
    ------
    AudioError
        See `decode`.
    """
    pieces, rates_hz = zip(*blocks(path, max_duration_s=max_duration_s), strict=True)
    return np.concatenate(pieces), rates_hz[0]


def blocks(path: str | Path, *, max_duration_s: float | None = None) -> Iterator[tuple[np.ndarray, int]]:
    """Samples of an audio file as `read` gives them, a few seconds at a time, for files of any length.

    Yields
    ------
    block : np.ndarray [shape=(n_samples, n_channels), dtype=float32]
        None is empty.
    rate_hz : int
        The same with every block.

    Raises
    ------
    AudioError
        See `decode`; perhaps only after some blocks.
    """
    import soundfile

    path, n_frames, n_wrong = Path(path), 0, 0
    try:
        for block, rate_hz in _blocks_of(path, max_duration_s):
            n_frames += len(block)
            n_wrong += int(np.count_nonzero(~np.isfinite(block)))
            if len(block) and not n_wrong:  # else the rest is only counted
                yield block, rate_hz
    except DamageError as error:
        raise AudioError(f"{path} {error}") from None
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} can't be decoded: {error.error_string} {AGAIN}") from None
    except OSError as error:
        raise AudioError(f"{path} can't be read: {error.strerror or error}") from None
    if not n_frames:
        raise AudioError(f"{path} is empty: it has no sample")
    if n_wrong:
        raise AudioError(f"{path} holds {n_wrong} values that are not finite: convert it again")


def duration_s(path: str | Path) -> float:
    """Length in seconds, from headers that agree with the content; else it is decoded; nan if that fails."""
    path, start_s, end_s = span(path)
    if not os.path.isfile(path):  # a pipe or a device would never end
        return np.nan
    status = os.stat(path)
    try:
        length_s = _length_s(path.absolute(), status.st_size, status.st_mtime_ns)
    except AudioError:
        return np.nan
    return length_s if end_s == np.inf else max(0.0, min(end_s, length_s) - start_s)


@functools.lru_cache(maxsize=1 << 17)
def _length_s(path: Path, *_: int) -> float:
    """Length of a whole file, read once for each state of it: a file may have thousands of windows.

    An error isn't kept: it may be of the moment.
    """
    import soundfile

    try:
        lengths_s = [_n_samples(sound, part) / sound.samplerate for sound, part in _sounds(path)]
        if max(lengths_s) < UNKNOWN_S:
            return sum(lengths_s)
    except (soundfile.LibsndfileError, OSError):
        pass
    except DamageError as error:
        raise AudioError(str(error)) from None
    told_s = ffmpeg.duration_s(path)
    return sum(len(block) / rate_hz for block, rate_hz in blocks(path)) if told_s is None else told_s


def has_file(path: str | Path) -> bool:
    """Whether there is the file that a path names, or a span of which it names."""
    return span(path)[0].is_file()


def needs_ffmpeg(path: str | Path) -> bool:
    """Whether a file, by its suffix, needs ffmpeg."""
    return span(path)[0].suffix.lower() in FFMPEG_SUFFIXES


def _sounds(path: Path, parts_of: Callable | None = None) -> Iterator[tuple["soundfile.SoundFile", Part]]:
    """Yield the sounds of a file, in a row, as libsndfile opens them, and what their content says."""
    import soundfile

    _require_file(path)
    with open(path, "rb") as file:
        status = path.stat()
        parts = (parts_of or _parts.__wrapped__)(path, status.st_size, status.st_mtime_ns)
        like = None
        for part in parts:
            try:
                sound = soundfile.SoundFile(Pieces(file, part.pieces))
            except soundfile.LibsndfileError:
                if len(parts) == 1:
                    raise
                n, remedy = len(parts), "split it"
                raise DamageError(
                    f"holds {n} sounds in a row, and only the first would be heard", remedy
                ) from None
            with sound:
                kind = f"{sound.samplerate} Hz and {sound.channels} channels"
                if like not in (None, kind):
                    raise DamageError(f"changes from {like} to {kind} midway", "split it")
                like = kind
                yield sound, part


@functools.lru_cache(maxsize=8)
def _parts(path: Path, n_bytes: int, changed_ns: int) -> list[Part]:
    """Sounds of a file by its content, read once for all spans of it."""
    with open(path, "rb") as file:
        return containers.parts(file) or [Part([(0, n_bytes)])]


def _n_samples(sound: "soundfile.SoundFile", part: Part) -> int:
    return part.n_samples or sound.frames


def _blocks_of(path: Path, max_duration_s: float | None) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the samples with their rate, from libsndfile, or from ffmpeg where that can't read the file."""
    import soundfile

    path, start_s, end_s = span(path)
    length_s = min(end_s - start_s, np.inf if max_duration_s is None else max_duration_s)
    n_frames, n_passed, reason, is_open = 0, 0, "", False
    try:
        for sound, part in _sounds(path, _parts if end_s < np.inf else None):
            is_open = True
            if sound.format == "VOC" or sound.subtype.startswith(("G721", "G723")):
                kind = f"{sound.format} ({sound.subtype})"
                raise AudioError(f"{path} is a {kind}, which programs read differently: convert it to wav")
            _require_rate(sound.samplerate, path)
            if sound.frames == UNKNOWN_FRAMES or sound.frames < part.n_samples:
                reason = "its header doesn't say how long it is."
                break
            n_wanted = _n_wanted(start_s, length_s, sound.samplerate)
            first = min(round(start_s * sound.samplerate) - n_passed, _n_samples(sound, part))
            for block in _blocks_of_sound(sound, part, n_wanted - n_frames, first):
                n_frames += len(block)
                yield block, sound.samplerate
            n_passed += first
            if n_frames >= n_wanted:
                break
    except soundfile.LibsndfileError as error:
        if is_open:
            raise
        reason = error.error_string
    if reason:
        yield from _blocks_of_ffmpeg(path, start_s, length_s, reason)


def _n_wanted(start_s: float, length_s: float, rate_hz: int) -> float:
    """Samples from one second on, so that spans which meet have each sample once."""
    if length_s == np.inf:
        return np.inf
    return round((start_s + length_s) * rate_hz) - round(start_s * rate_hz)


def _blocks_of_sound(
    sound: "soundfile.SoundFile", part: Part, n_wanted: float, first: int
) -> Iterator[np.ndarray]:
    """Yield the samples block by block: a damaged header must not decide how much memory is taken."""
    import soundfile

    n_told = _n_samples(sound, part) - first
    if first:
        sound.seek(first)
        part = dataclasses.replace(part, md5=b"")  # is of all samples
    n_block = min(BLOCK_FRAMES, ffmpeg.MAX_BLOCK_VALUES // sound.channels)
    n_frames, md5 = 0, hashlib.md5(usedforsecurity=False)
    while n_frames < n_wanted:
        try:
            block = sound.read(int(min(n_block, n_wanted - n_frames)), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            if not part.n_promised:
                raise
            n_found, n_told = part.n_samples, part.n_promised
            raise DamageError(f"is cut short: it has at most {n_found:,} of {n_told:,} samples") from None
        if not len(block):
            break
        if part.md5:
            n_bytes = {"PCM_S8": 1, "PCM_16": 2}.get(sound.subtype, 3)
            whole = np.rint(block * 2.0 ** (8 * n_bytes - 1)).astype("<i4")
            md5.update(whole.view(np.uint8).reshape(-1, 4)[:, :n_bytes].tobytes())
        yield block
        n_frames += len(block)
    if n_frames < n_wanted and part.md5 not in (b"", md5.digest()):
        n_told = part.n_promised
    if n_frames < min(n_wanted, n_told):
        raise DamageError(f"is cut short: it has {n_frames:,} of {n_told:,} samples")


def _blocks_of_ffmpeg(
    path: Path, start_s: float, length_s: float, reason: str
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield what ffmpeg decodes; AudioError if it isn't installed, or complains."""
    program = ffmpeg.program()
    if program is None:
        raise AudioError(
            f"{path} can't be decoded: {reason} Convert it, or install ffmpeg, which reads more formats."
        )
    n_frames, enough_s = 0, None if length_s == np.inf else length_s + 0.1
    try:
        for block, rate_hz in ffmpeg.blocks(program, path, enough_s, BLOCK_FRAMES, start_s):
            _require_rate(rate_hz, path)
            n_wanted = _n_wanted(start_s, length_s, rate_hz)
            block = block[: int(min(len(block), n_wanted - n_frames))]
            n_frames += len(block)
            yield block, rate_hz  # to ffmpeg's end, which may complain
    except ffmpeg.FfmpegError as error:
        raise AudioError(f"{path} can't be decoded: {reason} {error}. {AGAIN}") from None


def _require_rate(rate_hz: int, path: Path) -> None:
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise AudioError(f"{path} says that it has {rate_hz} samples a second: its header is damaged")


def _require_file(path: Path) -> None:
    """Raise AudioError if there is no file, or nothing in it."""
    if path.is_symlink() and not path.exists():
        raise AudioError(f"{path} is a link to {os.readlink(path)}, which does not exist")
    if not path.is_file():
        raise AudioError(f"{path} is not a file: check the audio folder and the fname in the ground truth")
    if not path.stat().st_size:
        raise AudioError(f"{path} is empty: it has 0 bytes. {AGAIN}")
