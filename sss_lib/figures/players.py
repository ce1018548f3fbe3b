"""Players of a handful of clips, side by side in a notebook, that need no kernel."""

import base64
import functools
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sss_lib.io import audio

COMPRESSED = {".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".mp3": "audio/mpeg"}
"""Suffixes of files that browsers play as they are; the first seconds of others are sent as Ogg Vorbis."""
MOST_S, RATE_HZ, MOST_BYTES = 10, 22050, 1 << 19
"""Seconds and rate of a clip that is sent compressed, and the size up to which a file is sent as it is."""


@dataclass(frozen=True)
class Heard:
    """A clip that is played: who found it, what is heard in it, and its file."""

    role: str
    labels: str
    path: Path


@dataclass(frozen=True)
class Players:
    """Clips to play in a notebook: a row a query, the query first."""

    rows: Sequence[Sequence[Heard]]

    def _repr_html_(self) -> str:
        cells = ["".join(map(_cell, row)) for row in self.rows]
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _cell(heard: Heard) -> str:
    role, labels = (html.escape(words.replace("_", " ")) for words in (heard.role, heard.labels))
    words = f"<b>{role}</b><br>{labels}<br>"
    return f'<td style="text-align: left">{words}{player(heard.path)}</td>'


def player(path: Path) -> str:
    """Player of a file in HTML, which holds the sound; words in its place where there is none to play."""
    try:
        kind, content = _sound(path)
    except (OSError, audio.AudioError):
        return f"<i>{html.escape(path.name)} can't be played here</i>"
    data = base64.b64encode(content).decode()
    return f'<audio controls preload="none" src="data:{kind};base64,{data}"></audio>'


@functools.lru_cache(maxsize=64)
def _sound(path: Path) -> tuple[str, bytes]:
    """Kind and bytes of a compressed sound."""
    kind = COMPRESSED.get(path.suffix.lower())
    if kind and path.stat().st_size <= MOST_BYTES:
        return kind, path.read_bytes()
    import soundfile

    wave, content = audio.decode(path, RATE_HZ)[: MOST_S * RATE_HZ], io.BytesIO()
    with soundfile.SoundFile(content, "w", RATE_HZ, 1, "VORBIS", format="OGG") as file:
        for start in range(0, len(wave), RATE_HZ):  # libsndfile crashes where it gets minutes at once
            file.write(wave[start : start + RATE_HZ])
    return "audio/ogg", content.getvalue()
