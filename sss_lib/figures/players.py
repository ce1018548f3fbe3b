"""A query and its results inside a notebook: players, waveforms, and which results are right."""

import base64
import functools
import html
import io
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.dataset.dataset import Dataset
from sss_lib.dataset.ground_truth import DatasetError
from sss_lib.evaluation.examples import asked_classes
from sss_lib.figures.text import number
from sss_lib.io import audio
from sss_lib.io.names import require_known, require_text
from sss_lib.search.ranking import Ranking

if TYPE_CHECKING:
    from IPython.display import HTML

    from sss_lib.figures.choice import Choice
    from sss_lib.io.artefact import Frames

LENGTH_S, RATE_HZ, COMPRESSION = 4.0, 32000, 0.9
"""What of a clip is played, in mono, and how far it is compressed: at most some 30 kB a clip."""
MOST_BYTES = 30_000
"""Of a file that is played as it is."""
N_COLUMNS, HEIGHT = 90, 28
"""Size of a waveform in pixels."""
MOST_CHOICES = 60
"""Clips that a menu offers."""
RIGHT, WRONG = '<b style="color: #009E73">✓</b>', '<b style="color: #D55E00">✗</b>'


def player(path: str, length_s: float = LENGTH_S) -> str:
    """Waveform and player of the first seconds of a sound, as HTML, or that it can't be read."""
    try:
        state = audio.span(path)[0].stat()
        return _player(path, length_s, os.getcwd(), state.st_mtime_ns, state.st_size)
    except (audio.AudioError, OSError):
        return "<i>no sound here</i>"


@functools.lru_cache(maxsize=64)
def _player(path: str, length_s: float, *_: object) -> str:
    """See `player`; kept for each state of the file, as searches find the same clips."""
    wave = audio.decode(path, RATE_HZ, max_duration_s=length_s)
    data = base64.b64encode(_compressed(path, wave, length_s)).decode()
    about = f'controls title="{html.escape(Path(path).name)}" style="height: 28px; width: 230px"'
    sound = f'<audio {about} src="data:audio/ogg;base64,{data}"></audio>'
    return f'<div style="display: flex">{waveform(wave)}{sound}</div>'


def _compressed(path: str, wave: np.ndarray, length_s: float) -> bytes:
    """Sound as Ogg Vorbis; a file that is as short and as small already is taken as it is."""
    import soundfile

    file = Path(path)  # a span of a file is none
    content = file.read_bytes() if file.is_file() and file.stat().st_size <= MOST_BYTES else b""
    if content[28:35] == b"\x01vorbis" and len(wave) < length_s * RATE_HZ:
        return content
    encoded = io.BytesIO()
    ogg = {"format": "OGG", "subtype": "VORBIS", "compression_level": COMPRESSION}
    soundfile.write(encoded, np.clip(wave, -1, 1), RATE_HZ, **ogg)
    return encoded.getvalue()


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
    head = cells("th", ("rank", "", "clip", "sound", "score"))
    caption = f'<caption style="text-align: left">{html.escape(told.replace("_", " "))}</caption>'
    return HTML(f"<table>{caption}{head}{''.join(rows)}</table>")


def side_by_side(
    collection: Dataset, found: Mapping[str, Sequence[int]], query: int | None = None, question: str = ""
) -> "HTML":
    """Players in columns, one for each name, with ✓ or ✗ where the labels of a query tell.

    Parameters
    ----------
    collection : Dataset
    found : mapping of str to sequence of int
        Rows of the collection, from the top of each column.
    query : int, optional
        Row of a clip that is played above; what is right is as in `results`.
    question : str
        Stands above all.

    Examples
    --------
    >>> from sss_lib import dataset
    >>> side_by_side(dataset.load("mini"), {"near": [1], "far": [2]}, query=0).data.count("<audio")
    3
    """
    from IPython.display import HTML

    asked = -1 if query is None else int(asked_classes(collection.label_matrix)[query])
    right = None if asked < 0 else collection.has(collection.labels[asked])

    def cell(row: int) -> str:
        mark = "" if right is None else RIGHT if right[row] else WRONG
        return f"{mark} {about(collection, row)}{player(collection.clips['path'].iloc[row])}"

    columns = [[cell(int(row)) for row in rows] for rows in found.values()]
    lines = itertools.zip_longest(*columns, fillvalue="")
    table = cells("th", [html.escape(name) for name in found]) + "".join(cells("td", one) for one in lines)
    above = "" if query is None else cells("td", [f"<b>query</b> {cell(query).removeprefix(RIGHT)}"])
    asked_of_ears = f"<p>{html.escape(question)}</p>" if question else ""
    return HTML(f"{asked_of_ears}<table>{above}</table><table>{table}</table>")


def components(collection: Dataset, x: np.ndarray, shares: np.ndarray, n: int, row: int) -> list:
    """Share of variance in n principal components, and what a query finds by them, at unit length.

    Parameters
    ----------
    collection : Dataset
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings.
    shares : np.ndarray
        From `processing.explained`.
    n : int
    row : int
        The query.
    """
    from sss_lib.figures.plots.clips import variance
    from sss_lib.processing.fitting import process
    from sss_lib.search.rank import rank

    found = rank(process(x, n), "mips", top_n=3, queries=np.array([row])).neighbours[0]
    return [variance(shares, n), side_by_side(collection, {f"{n} components": found}, row)]


def any_of(collection: Dataset, label: str | None = None, seed: int = 0) -> "HTML":
    """Player of a random clip of a class, or of any clip, that can be decoded; another seed gives another.

    Raises
    ------
    DatasetError
        If the label is unknown, or none of its clips can be decoded.
    """
    from IPython.display import HTML

    rows = np.arange(len(collection)) if label is None else np.flatnonzero(collection.has(label))
    for row in np.random.default_rng(seed).permutation(rows):
        if "<audio" in (shown := player(collection.clips["path"].iloc[row])):
            clip = collection.clips.iloc[row]
            known = (*clip["labels"], clip["fname"], clip["uploader"], clip["licence"])
            return HTML(f"<p>{html.escape(', '.join(text for text in known if text))}</p>{shown}")
    if not any(audio.has_file(path) for path in collection.clips["path"]):
        return HTML(f"<p>{html.escape(collection.name)} has no audio here.</p>")
    raise DatasetError(f"no clip of {label or collection.name!r} can be decoded: see the report of 00")


def over_time(collection: Dataset, frames: "Frames", fname: str) -> list:
    """Player of a clip, and its waveform, spectrogram and embedding over its first 10 s.

    Each dimension is scaled to its own range over the collection.

    Parameters
    ----------
    collection : Dataset
    frames : Frames
        Of all clips that have some.
    fname : str
    """
    from IPython.display import HTML

    from sss_lib.figures.plots.clips import over_time as drawn

    require_text(fname, "clip")
    require_known(fname, frames.fnames, "the clips that are embedded")
    row = collection.clips["fname"].tolist().index(fname)
    i = frames.fnames.index(fname)
    own = frames.values[frames.offsets[i] : frames.offsets[i + 1]]
    path, ends = collection.clips["path"].iloc[row], (frames.values.min(axis=0), frames.values.max(axis=0))
    return [
        HTML(f"<p>{about(collection, row)}</p>{player(path, 10)}"),
        drawn(path, own, frames.hop_s, *ends, most_s=10),
    ]


def _row(collection: Dataset, row: int, rank: str, mark: str, score: str) -> str:
    return cells(
        "td", (rank, mark, about(collection, row), player(collection.clips["path"].iloc[row]), score)
    )


def about(collection: Dataset, row: int) -> str:
    """A clip's name and its first labels, as HTML."""
    clip = collection.clips.iloc[row]
    fname, labels = html.escape(clip["fname"]), html.escape(", ".join(clip["labels"][:3]).replace("_", " "))
    return f"{fname}<br><small>{labels}</small>"


def cells(kind: str, texts: Sequence[str]) -> str:
    """Row of a table, of cells of a kind, "td" or "th", as HTML."""
    style = 'style="text-align: left; padding: 2px 8px"'
    return f"<tr>{''.join(f'<{kind} {style}>{text}</{kind}>' for text in texts)}</tr>"


def browse(collection: Dataset, ranking: Ranking, row: int, n: int = 5) -> "Choice":
    """The `results` of a query, and a list of other clips to query with."""
    from sss_lib.figures.choice import Choice

    fnames = collection.clips["fname"].tolist()
    n_choices = min(MOST_CHOICES, len(collection))
    rows = sorted({row, *np.linspace(0, len(collection) - 1, n_choices).astype(int).tolist()})
    names = [f"{fnames[i]}: {', '.join(collection.clips['labels'].iloc[i][:2])}" for i in rows]

    def show(fname: str) -> "HTML":
        return results(collection, ranking, fnames.index(fname), n)

    return Choice(
        show, list(zip(names, [fnames[i] for i in rows], strict=True)), fnames[row], description="query"
    )
