"""ffmpeg: the program that decodes what libsndfile can't, where it is installed."""

import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TIMEOUT_S = 300
"""Longest wait for the next block."""
EARLY_S = 1.0
MAX_BLOCK_VALUES = 1 << 22
"""Of all channels together: a file of a thousand channels must not decide how much memory is taken."""


def program() -> str | None:
    """Path of ffmpeg, installed as a program or as the Python package imageio-ffmpeg; None if it isn't."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


class FfmpegError(ValueError):
    """ffmpeg failed, or complained; the message says how."""


def blocks(
    program: str, path: str | Path, max_duration_s: float | None, n_frames: int, start_s: float = 0.0
) -> Iterator[tuple[np.ndarray, int]]:
    """Sound of a file as ffmpeg decodes it, all channels at the file's own rate, a block at a time.

    ffmpeg writes it into a pipe as Sun's au of floats, the same in all its versions: six numbers, perhaps a
    note, and samples to the end.

    Parameters
    ----------
    program : str
        Path of ffmpeg.
    path : str or Path
    max_duration_s : float or None
        Later sound is left out (most of it where channels or rate change midway); None keeps all.
    n_frames : int
        Samples of each channel in a block, but for the last one.
    start_s : float
        Earlier sound is left out.

    Yields
    ------
    block : np.ndarray [shape=(n_samples, n_channels), dtype=float32]
    rate_hz : int

    Raises
    ------
    FfmpegError
        If ffmpeg can't be started, fails, is silent for `TIMEOUT_S`, or complains: of damaged sound it
        decodes a part, with a complaint only. The error may come after some blocks.
    """
    # -t would count from the picture's start, and leave out sound that begins late
    # A decoder needs some sound to begin with, so what is left out just before is decoded, too.
    early_s = min(start_s, EARLY_S)
    seek = ["-ss", f"{start_s - early_s}"] if start_s > early_s else []
    trim = [f"start={early_s}"] if start_s else []
    trim += [] if max_duration_s is None else [f"duration={max_duration_s}"]
    chosen = ["-af", f"atrim={':'.join(trim)}"] if trim else []
    command = [program, "-nostdin", "-v", "error", *seek, *_input(path), "-map", "0:a:0", *chosen]
    command += ["-c:a", "pcm_f32be", "-f", "au", "-"]
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        except OSError as error:
            raise FfmpegError(f"{program} can't be started: {error.strerror}") from None
        with process:
            try:
                yield from _blocks_of_au(process, n_frames)
                status = process.wait()
            finally:
                process.kill()
        said.seek(0)
        complaint = said.read(4096).decode(errors="replace").strip().partition("\n")[0]
    if status or complaint:
        complaint = re.sub(r"^(\[.*?\] )+", "", complaint)
        raise FfmpegError(f"ffmpeg says: {complaint}" if complaint else f"ffmpeg ended with status {status}")


def _blocks_of_au(process: subprocess.Popen, n_frames: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the samples that a process writes as au; none if it ends within the header."""
    head = _read(process, 24)
    if len(head) < 24:
        return
    offset, _, _, rate_hz, n_channels = struct.unpack(">5I", head[4:])
    _read(process, offset - 24)
    n_wanted = max(1, min(n_frames, MAX_BLOCK_VALUES // n_channels)) * n_channels * 4
    while content := _read(process, n_wanted):
        if n_torn := len(content) % (4 * n_channels):  # ffmpeg was ended midway, as its status will tell
            content = content[:-n_torn]
        yield np.frombuffer(content, ">f4").reshape(-1, n_channels).astype(np.float32), rate_hz


def _read(process: subprocess.Popen, n_bytes: int) -> bytes:
    """Read that many bytes, or what is left; kill a process that neither writes nor ends."""
    assert process.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(TIMEOUT_S, end)
    timer.start()
    try:
        content: bytes = process.stdout.read(n_bytes)
    finally:
        timer.cancel()
    if late.is_set():
        raise FfmpegError(f"ffmpeg gave nothing for {TIMEOUT_S:g} s, and was ended")
    return content


def duration_s(path: str | Path) -> float | None:
    """Length of a file in seconds by its headers, to 10 ms; None if they lack it, or there is no ffmpeg."""
    if not (found := program()):
        return None
    command = [found, "-nostdin", "-hide_banner", *_input(path)]
    try:  # without an output it says what there is, and that it lacks an output
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S)
    except (subprocess.TimeoutExpired, OSError):
        return None
    said = done.stderr.decode(errors="replace")
    told = re.search(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", said, re.MULTILINE)
    if not told or "Audio:" not in said or "Estimating duration" in said:
        return None
    return 3600 * int(told[1]) + 60 * int(told[2]) + float(told[3])


def _input(path: str | Path) -> list[str]:
    """Arguments that name the input, a file only: a playlist in disguise must not reach the network."""
    return ["-protocol_whitelist", "file", "-i", f"file:{path}"]
