"""Sounds in a notebook: small players, side by side or by a control, which a saved notebook keeps."""

import base64
import functools
import html
import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from IPython.display import HTML
from matplotlib.figure import Figure

from sss_lib.dataset.dataset import Dataset
from sss_lib.dataset.ground_truth import DatasetError
from sss_lib.io import audio
from sss_lib.io.names import require_known
from sss_lib.listening import loudness
from sss_lib.listening.sounds import N_BANDS, N_COLUMNS, draw

EXCERPT_S, EXCERPT_HZ = 5.0, 22050
"""How much of a clip is embedded, and its rate: as MP3 some 5 KB a second."""
MARKS = {"class": ("★", "#0a5f93"), "shared": ("●", "#00755a"), "none": ("○", "#a4260a"), "": ("", "#333333")}
"""Sign and colour of a result: it has the query's class, shares another of its classes, or none."""


def play(
    collection: Dataset,
    found: Mapping[str, Sequence[str]],
    *,
    query: str | None = None,
    label: str | None = None,
) -> HTML:
    """Players side by side: a column for each name, with its clips from the top.

    Parameters
    ----------
    collection : Dataset
    found : mapping of str to sequence of str
        fnames of each column.
    query : str, optional
        fname of a clip that is played above, and that each result is marked by; see `MARKS`.
    label : str, optional
        The query's class; by default its first label, the most specific.

    Examples
    --------
    >>> from sss_lib import dataset
    >>> "★" in play(dataset.load("mini"), {"nearest": ["100052"]}, query="100051").data
    True
    """
    of = collection.clips.set_index("fname")["labels"]
    wanted = of[query] if query is not None else ()
    label = label or next(iter(wanted), None)

    def mark(fname: str) -> str:
        if not wanted:
            return ""
        return "class" if label in of[fname] else "none" if set(wanted).isdisjoint(of[fname]) else "shared"

    cells = [[card(collection, fname, mark(fname)) for fname in fnames] for fnames in found.values()]
    heads = "".join(f"<th style='text-align:left'>{html.escape(name)}</th>" for name in found)
    rows = (
        "".join(f"<td>{one[i] if i < len(one) else ''}</td>" for one in cells)
        for i in range(max(map(len, cells), default=0))
    )
    top, legend = "", ""
    if query is not None:
        top = f"<p><b>Query</b></p>{card(collection, query)}"
        has = f"has the class {html.escape(str(label))}"
        signs = zip(MARKS.values(), (has, "shares another class", "shares no class"), strict=False)
        legend = (
            f"<p>{' · '.join(f'{_coloured(*sign)} {words}' for sign, words in signs)}</p>" if label else ""
        )
    body = "".join(f"<tr style='background:none;vertical-align:top'>{row}</tr>" for row in rows)
    table = f"<table style='text-align:left'><tr>{heads}</tr>{body}</table>" if body else ""
    return HTML(f"{top}{legend}{table}")


def card(collection: Dataset, fname: str, mark: str = "") -> str:
    """Clip as HTML: its mark and labels, its mel spectrogram, and a player of its first seconds."""
    clip = collection.clips.loc[collection.clips["fname"] == fname].iloc[0]
    first, *others = clip["labels"] or ["no label"]
    known = html.escape(
        ", ".join(text for text in (*others, fname, clip["uploader"], clip["licence"]) if text)
    )
    sign, colour = MARKS[mark]
    return (
        f"<div style='width:200px;margin:2px 8px;text-align:left'>{_coloured(sign, colour)} "
        f"<b style='color:{colour}'>{html.escape(first)}</b><br><small style='display:block;height:1.5em;"
        f"overflow:hidden;white-space:nowrap;text-overflow:ellipsis' title='{known}'>{known}</small>"
        f"{_sound(clip['path'])}</div>"
    )


def _coloured(sign: str, colour: str) -> str:
    return f"<span style='color:{colour}'>{sign}</span>"


def any_of(collection: Dataset, label: str | None = None, seed: int = 0) -> HTML:
    """Player of a random clip of a class, or of any clip, that can be decoded; another seed gives another."""
    rows = np.arange(len(collection)) if label is None else np.flatnonzero(collection.has(label))
    for row in np.random.default_rng(seed).permutation(rows):
        path, fname = collection.clips[["path", "fname"]].iloc[row]
        if not Path(path).is_file():
            continue
        try:
            audio.decode(path, EXCERPT_HZ, max_duration_s=EXCERPT_S)
        except audio.AudioError:
            continue
        return HTML(card(collection, fname))
    if not any(Path(path).is_file() for path in collection.clips["path"]):
        return HTML(f"<p>{html.escape(collection.name)} has no audio here.</p>")
    raise DatasetError(f"no clip of {label or collection.name!r} can be decoded: see the report of 00")


@functools.lru_cache(maxsize=512)
def _sound(path: str) -> str:
    """Picture and player of the first seconds of a file, or why there is none."""
    import matplotlib as mpl
    import soundfile
    import soxr

    if not Path(path).is_file():
        return "<small>no audio here</small>"
    try:
        wave = audio.decode(path, loudness.RATE_HZ, max_duration_s=EXCERPT_S)
    except audio.AudioError:
        return "<small>can't be decoded</small>"
    bands = np.frombuffer(draw(wave), np.uint8)[N_COLUMNS:].reshape(N_BANDS, N_COLUMNS)
    picture, sound = io.BytesIO(), io.BytesIO()
    mpl.image.imsave(picture, bands[::-1], cmap="magma", format="png", metadata={"Software": None})
    wave = soxr.resample(wave * 10 ** (loudness.gain_db(wave) / 20), loudness.RATE_HZ, EXCERPT_HZ)
    wave /= max(1.0, float(np.abs(wave).max(initial=0)))
    how = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.5}
    soundfile.write(sound, wave, EXCERPT_HZ, **how)
    data = [base64.b64encode(one.getvalue()).decode() for one in (picture, sound)]
    return (
        f"<img alt='mel spectrogram' style='width:200px;height:40px' src='data:image/png;base64,{data[0]}'>"
        f"<audio controls style='width:200px;height:32px' src='data:audio/mpeg;base64,{data[1]}'></audio>"
    )


class Choice(widgets.VBox):
    """A control, and below it what a function shows of the chosen value; a saved notebook shows it, too.

    Parameters
    ----------
    show : callable
        Gives a figure, or what has `_repr_html_`, of a value.
    options : sequence
        Values to choose from, or pairs of a name and a value: numbers by a slider, others by a list.
    value : optional
        The first choice; by default the first option.
    description : str
        What is chosen.
    """

    def __init__(
        self,
        show: Callable,
        options: Sequence[Hashable],
        value: Hashable = None,
        *,
        description: str = "",
    ):
        values = [one[1] if isinstance(one, tuple) else one for one in options]
        value = values[0] if value is None else value
        if value not in values:
            require_known(str(value), list(map(str, values)), f"the options of {description!r}")
        kind = widgets.SelectionSlider if all(isinstance(one, int) for one in values) else widgets.Dropdown
        more = {"continuous_update": False} if kind is widgets.SelectionSlider else {}
        layout = widgets.Layout(width="420px")
        style = {"description_width": "initial"}
        self.control = kind(
            options=options, value=value, description=description, layout=layout, style=style, **more
        )
        self.shown = widgets.HTML(_html_of(show(value)))
        self.control.observe(
            lambda change: setattr(self.shown, "value", _html_of(show(change["new"]))), "value"
        )
        super().__init__([self.control, self.shown])

    def _repr_mimebundle_(self, **options: object) -> tuple[dict, dict]:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        chosen = (
            f"<p>{html.escape(self.control.description)}: <b>{html.escape(str(self.control.label))}</b></p>"
        )
        return {**data, "text/html": chosen + self.shown.value}, metadata


def _html_of(shown: object) -> str:
    if not isinstance(shown, Figure):
        return shown._repr_html_()  # type: ignore[attr-defined]
    from matplotlib import pyplot as plt

    content = io.BytesIO()
    shown.savefig(content, format="png", metadata={"Software": None}, dpi=110)
    plt.close(shown)
    return f"<img src='data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}'>"
