"""A query and its results inside a notebook: players, waveforms, and which results are right."""

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.dataset.dataset import Dataset
from sss_lib.evaluation.examples import asked_classes
from sss_lib.figures.text import number
from sss_lib.io import audio
from sss_lib.search.ranking import Ranking

if TYPE_CHECKING:
    from IPython.display import HTML

LENGTH_S, RATE_HZ, COMPRESSION = 4.0, 32000, 0.9
"""What of a clip is played, in mono, and how far it is compressed: at most some 30 kB a clip."""
N_COLUMNS, HEIGHT = 90, 28
"""Size of a waveform in pixels."""
MOST_CHOICES = 60
"""Clips that a menu offers."""
RIGHT, WRONG = '<b style="color: #009E73">✓</b>', '<b style="color: #D55E00">✗</b>'


def player(path: str) -> str:
    """Waveform and player of the first seconds of a sound, as HTML, or that it can't be read."""
    import soundfile

    try:
        wave = audio.decode(path, RATE_HZ, max_duration_s=LENGTH_S)
    except (audio.AudioError, OSError):
        return "<i>no sound here</i>"
    content = io.BytesIO()
    ogg = {"format": "OGG", "subtype": "VORBIS", "compression_level": COMPRESSION}
    soundfile.write(content, np.clip(wave, -1, 1), RATE_HZ, **ogg)
    data = base64.b64encode(content.getvalue()).decode()
    style = 'controls style="height: 28px; width: 230px"'
    sound = f'<audio {style} src="data:audio/ogg;base64,{data}"></audio>'
    return f'<div style="display: flex">{waveform(wave)}{sound}</div>'


def waveform(wave: np.ndarray) -> str:
    """Peaks of a sound as a small picture in SVG, the loudest as high as the picture.

    Examples
    --------
    >>> waveform(np.zeros(9)).count("M")  # a line a column; there are no more columns than samples
    9
    """
    edges = np.linspace(0, len(wave), min(N_COLUMNS, len(wave)), endpoint=False).astype(int)
    peaks = np.maximum.reduceat(np.abs(wave), edges)
    half = HEIGHT / 2 * peaks / max(peaks.max(), 1e-9)
    lines = "".join(f"M{x} {HEIGHT / 2 - y:.1f}v{2 * y + 0.5:.1f}" for x, y in enumerate(half))
    path = f'<path d="{lines}" stroke="#0072B2"/>'
    return f'<svg width="{N_COLUMNS}" height="{HEIGHT}" style="margin-right: 6px">{path}</svg>'


def results(collection: Dataset, ranking: Ranking, row: int, n: int = 5) -> "HTML":
    """Table of a query and its first n results, each with a player, and ✓ or ✗ where labels tell.

    Parameters
    ----------
    collection : Dataset
    ranking : Ranking
        Of all its clips.
    row : int
        The query. A result is right if it has the query's rarest class that another clip has, too.
    n : int
    """
    from IPython.display import HTML

    found = ranking.neighbours[row, :n]
    scores = ranking.scores[row, :n][found >= 0]
    found = found[found >= 0]
    asked = int(asked_classes(collection.label_matrix)[row])
    marks, told = [""] * len(found), "no class of it has another clip, so nothing tells what is right"
    if asked >= 0:
        right = collection.has(collection.labels[asked])[found]
        marks = [RIGHT if one else WRONG for one in right]
        told = f"{right.sum()} of the first {len(found)} results are {collection.labels[asked]}, as it is"
    rows = [_row(collection, row, "query", "", "")]
    for rank, (one, mark, score) in enumerate(zip(found, marks, scores, strict=True), 1):
        rows.append(_row(collection, int(one), str(rank), mark, number(score)))
    head = _cells("th", ("rank", "", "clip", "sound", "score"))
    caption = f'<caption style="text-align: left">{html.escape(told.replace("_", " "))}</caption>'
    return HTML(f"<table>{caption}{head}{''.join(rows)}</table>")


def _row(collection: Dataset, row: int, rank: str, mark: str, score: str) -> str:
    clip = collection.clips.iloc[row]
    fname, labels = html.escape(clip["fname"]), html.escape(", ".join(clip["labels"][:3]).replace("_", " "))
    about = f"{fname}<br><small>{labels}</small>"
    return _cells("td", (rank, mark, about, player(clip["path"]), score))


def _cells(kind: str, cells: Sequence[str]) -> str:
    style = 'style="text-align: left; padding: 2px 8px"'
    return f"<tr>{''.join(f'<{kind} {style}>{cell}</{kind}>' for cell in cells)}</tr>"


def browse(collection: Dataset, ranking: Ranking, row: int, n: int = 5) -> None:
    """Show `results` of a query and, where ipywidgets is installed, a menu and a button for other queries."""
    from IPython.display import display

    shown = display(results(collection, ranking, row, n), display_id=True)
    try:
        import ipywidgets
    except ImportError:
        return
    n_choices = min(MOST_CHOICES, len(collection))
    rows = sorted({row, *np.linspace(0, len(collection) - 1, n_choices).astype(int).tolist()})
    clips = collection.clips.iloc[rows]
    names = [f"{f}: {', '.join(own[:2])}" for f, own in zip(clips["fname"], clips["labels"], strict=True)]
    menu = ipywidgets.Dropdown(options=list(zip(names, rows, strict=True)), value=row, description="query")
    another = ipywidgets.Button(description="random")

    def choose(change: dict) -> None:
        shown.update(results(collection, ranking, change["new"], n))

    menu.observe(choose, "value")
    another.on_click(lambda _: setattr(menu, "value", int(np.random.default_rng().choice(rows))))
    display(ipywidgets.HBox([menu, another]))
