"""ffmpeg: the program that decodes what libsndfile can't, where it is installed."""

import re
import shutil
import subprocess
from pathlib import Path

TIMEOUT_S = 300


def program() -> str | None:
    """Path of ffmpeg, installed as a program or as the Python package imageio-ffmpeg; None if it isn't."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


def decode(program: str, path: str | Path, decoded: str, max_duration_s: float | None) -> str:
    """Write a file's sound to another, all channels at the file's own rate.

    Parameters
    ----------
    program : str
        Path of ffmpeg.
    path : str or Path
    decoded : str
        Path to write to; its suffix names the format.
    max_duration_s : float or None
        Later sound is left out; None keeps all of it.

    Returns
    -------
    str
        What ffmpeg complains of; "" if nothing. It decodes what it can, and only says what it can't.

    Raises
    ------
    subprocess.TimeoutExpired
        After `TIMEOUT_S`.
    """
    length = [] if max_duration_s is None else ["-t", str(max_duration_s)]
    command = [program, "-nostdin", "-v", "error", *_input(path), "-map", "0:a:0"]
    command += [*length, "-c:a", "pcm_f32le", "-y", decoded]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if not (done.returncode or done.stderr.strip()):
        return ""
    return re.sub(r"^\[.*?\] ", "", done.stderr.strip().partition("\n")[0]) or "nothing"


def told_duration_s(path: str | Path) -> float | None:
    """Length in seconds that a file's headers tell, to 10 ms; None if they don't, or there is no ffmpeg."""
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
    """Return the arguments that name a file: a playlist in disguise must not reach the network."""
    return ["-protocol_whitelist", "file", "-i", f"file:{path}"]
