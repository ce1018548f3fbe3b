"""The board on the page: what it shows, and what it may ask the kernel for."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import traitlets

from sss_lib.io.audio import AudioError
from sss_lib.listening import outside, views
from sss_lib.listening.asked import Asked
from sss_lib.listening.outside import Upload, in_words
from sss_lib.listening.sounds import N_BANDS, N_COLUMNS, OWN
from sss_lib.listening.study import Study, System

_HERE = Path(__file__).parent
MOST_SYSTEMS = 5


class Board(Asked):
    """A query and the results of up to five systems side by side, to be heard.

    The page asks for clips by number, never by path.

    Parameters
    ----------
    study : Study
    systems : sequence of str, optional
        Names of systems; by default each model's best.
    n : int
        Results of each.

    Attributes
    ----------
    view : dict
        What is shown (`views`).
    status : str
        What goes on, or what went wrong, in a sentence.
    query : int
        Row of the clip that queries; -1 for a query from outside the collection.
    """

    _esm = (_HERE / "player.js").read_text(encoding="utf-8") + (_HERE / "board.js").read_text(
        encoding="utf-8"
    )
    _css = (_HERE / "board.css").read_text(encoding="utf-8")
    view = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    query = traitlets.Int(OWN)

    def __init__(self, study: Study, systems: Sequence[str] = (), *, n: int = 15):
        super().__init__()
        self.study = study
        self.n = n
        self.label = ""
        self._again: Callable | None = None
        self.systems = self._chosen(systems) if systems else study.best(MOST_SYSTEMS)
        self._answers = {
            "hello": lambda message, buffers: {},
            "sound": self._sound,
            "pictures": self._pictures,
            "search": self._search,
            "upload": self._upload,
        }
        self._arriving = Upload()

    def choose(self, systems: Sequence[str]) -> None:
        """Show these systems, by name, for the same query."""
        self.systems = self._chosen(systems)
        self.refresh()

    def show(self, clip: str | int, label: str = "") -> None:
        """Let a clip query, by its id or its row.

        Parameters
        ----------
        clip : str or int
        label : str
            The query class; by default the clip's first, which is its most specific one, if it has any.

        Raises
        ------
        ValueError
            If there is no such clip, or it has no such class.
        """
        row = self.study.row(clip) if isinstance(clip, str) else clip
        labels = self.study.collection.clips["labels"][row]
        self.label = label or next(iter(labels), "")
        self._again = functools.partial(self.show, row, self.label)
        self._render(row)

    def show_sound(self, path: str | Path, name: str = "") -> None:
        """Let a sound from outside the collection query: each system embeds and ranks it.

        Parameters
        ----------
        path : str or Path
        name : str
            What it is called on the page; by default its file name.

        Raises
        ------
        AudioError
            If it can't be decoded, or is silent.
        """
        name = name or Path(path).name
        length_s = outside.check(path, name)
        found = outside.search_sound(self.study, self.systems, path, self.n)
        self.study.sounds.own = Path(path)
        self._again = functools.partial(self.show_sound, path, name)
        self._show_foreign({"id": "your sound", "title": name, "seconds": length_s}, found)

    def show_words(self, words: str) -> None:
        """Let words query, in the systems whose model has a text tower here."""
        if not words.strip():
            raise ValueError("there are no words: type what the sound should be")
        found = outside.search_words(self.study, self.systems, words, self.n)
        self._again = functools.partial(self.show_words, words)
        self._show_foreign({"id": "your words", "title": words, "seconds": 0.0}, found)

    def refresh(self) -> None:
        """Show the same query again, by the systems and the number of results that are chosen now."""
        if self._again:
            self._again()

    def attempt(self, act: Callable) -> None:
        """Do what a control asks for; what goes wrong is said on the board, as nobody would see it raised."""
        try:
            act()
        except Exception as error:
            self.status = in_words(error)

    def play(self, clip: int) -> None:
        """Play a clip on the page."""
        self.study.sounds.path(clip)
        about = views.about_clip(self.study, clip)
        self.send({"play": clip, "name": about["title"] or about["id"]})

    def _render(self, row: int) -> None:
        self.status = ""
        self.query = row
        self.view = self._with_upload(views.compare(self.study, self.systems, row, self.label, self.n))

    def _show_foreign(self, about: dict, found: dict) -> None:
        self.status = ""
        self.query = OWN
        self.view = self._with_upload(views.foreign(self.study, about, found))

    def _with_upload(self, view: dict) -> dict:
        return {**view, "upload": {"most_bytes": self._arriving.most_bytes}}

    def _chosen(self, names: Sequence[str]) -> list[System]:
        if not 1 <= len(names) <= MOST_SYSTEMS:
            raise ValueError(f"{len(names)} systems are chosen: choose 1 to {MOST_SYSTEMS}")
        return [self.study.system(name) for name in names]

    def _sound(self, message: dict, buffers: list) -> dict:
        sound = self.study.sounds.sound(message.get("clip"))
        return {"mime": sound.mime, "gain_db": sound.gain_db, "buffers": [sound.content]}

    def _pictures(self, message: dict, buffers: list) -> dict:
        return {"buffers": [self._picture(clip) for clip in list(message.get("clips", ()))[:8]]}

    def _picture(self, clip: object) -> bytes:
        try:
            return self.study.sounds.picture(clip)
        except AudioError:  # one broken file must not take the others' pictures along
            return bytes(N_COLUMNS * (1 + N_BANDS))

    def _search(self, message: dict, buffers: list) -> dict:
        clip: Any = message.get("clip")
        self.study.sounds.path(clip)
        self.show(clip)
        return {}

    def _upload(self, message: dict, buffers: list) -> dict:
        path = self._arriving.add(bytes(buffers[0]), int(message["at"]), last=bool(message["last"]))
        if path:
            try:
                self.show_sound(path, str(message["name"])[:120])
            finally:
                self._arriving.keep(self.study.sounds.own)
        return {}

    def _repr_mimebundle_(self, **options: object) -> tuple[dict, dict]:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/html": views.as_html(self.view)}, metadata
