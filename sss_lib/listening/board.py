"""The board: a query and the results of some systems, and the answers to what its page asks the kernel."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from sss_lib.io.audio import MAX_DURATION_S, AudioError
from sss_lib.listening import exports, external_queries, views
from sss_lib.listening.external_queries import Upload
from sss_lib.listening.selection import Filter
from sss_lib.listening.shared_models import describe_error
from sss_lib.listening.sounds import N_BANDS, N_COLUMNS, OWN
from sss_lib.listening.study import Study, System

MOST_SYSTEMS = 5


def page_code(*files: str) -> str:
    """Code of a widget's page from several files, the last of which exports the widget.

    anywidget loads a widget from one string, as a module without an address, and such a module can't import
    files by path. So the files are joined, in the order in which they use each other, without a build step.
    """
    return "\n".join(page_file(name) for name in files)


def page_file(name: str) -> str:
    """Text of a file of the page."""
    return (Path(__file__).parent / "page" / name).read_text(encoding="utf-8")


class AnsweringWidget(anywidget.AnyWidget):
    """A widget that answers messages {"ask": what, "id": ...} of its page, if `_answers` has the word.

    An answer takes the message and its buffers; it returns the reply, whose "buffers" are sent beside it. One
    that takes long is a coroutine: the kernel answers others meanwhile.
    """

    _answers: Mapping[str, Callable[[dict, list], dict | Coroutine[Any, Any, dict]]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.on_msg(self._receive)

    def _receive(self, _: object, message: object, buffers: list) -> None:
        """Answer a message, with the problem if there is one: the page waits for an answer to each."""
        message = message if isinstance(message, dict) else {}
        asked = message.get("ask")
        answer, answered = self._answers.get(str(asked)), functools.partial(self._reply, message.get("id"))
        if answer is None:
            return answered({"problem": f"{asked!r} can't be asked for"})
        try:
            reply = answer(message, buffers)
        except Exception as error:  # of whatever kind: nobody but the listener would see it
            reply = {"problem": describe_error(error)}
        if isinstance(reply, dict):
            return answered(reply)
        waiting = self._await(reply, answered)
        try:
            self._task = asyncio.get_running_loop().create_task(waiting)
        except RuntimeError:  # no loop runs
            asyncio.run(waiting)

    async def _await(self, reply: Coroutine[Any, Any, dict], answered: Callable[[dict], None]) -> None:
        try:
            answered(await reply)
        except Exception as error:
            answered({"problem": describe_error(error)})

    def _reply(self, number: object, reply: dict) -> None:
        buffers = reply.pop("buffers", [])
        self.send({**reply, "id": number}, buffers)


class Board(AnsweringWidget):
    """A query and the results of up to five systems side by side, to listen to.

    The page asks for clips by row, never by path.

    Parameters
    ----------
    study : Study
    systems : str or sequence of str, optional
        Names of systems; by default each model's best.
    n : int
        Results of each.

    Attributes
    ----------
    view : dict
        Query and results (`views`).
    status : str
        Progress, or the latest problem, in a sentence.
    query : int
        Row of the clip that queries; -1 for a query from outside the collection.
    filter : Filter
        Which clips may be results.
    followers : list of callable
        Called before another view is shown.
    """

    _esm = f"const FILTERS = {json.dumps(Filter.names())};\n" + page_code(
        *("dom.js", "kernel.js", "player.js", "pictures.js", "card.js", "judging.js", "upload.js"),
        *("history.js", "marks.js", "board.js"),
    )
    _css = page_file("board.css")
    view = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    query = traitlets.Int(OWN)

    def __init__(self, study: Study, systems: str | Sequence[str] = (), *, n: int = 15):
        super().__init__()
        self.study = study
        self.n = n
        self.label = ""
        self.filter = Filter()
        self.followers: list[Callable[[], None]] = []
        self._again: Callable | None = None
        self.systems = self._chosen(systems) if systems else study.best(MOST_SYSTEMS)
        self._answers = {
            "hello": lambda message, buffers: {},
            "sound": self._sound,
            "pictures": self._pictures,
            "search": self._search,
            "go": self._go,
            "load": self._load,
            "upload": self._upload,
            "export": self._export,
            "refine": self._refine,
        }
        external_queries.load_at_idle(self.systems)
        self._arriving, self._arrived = Upload(), Path()
        self._latest = 0  # number of the latest request for another query

    def choose(self, systems: Sequence[str]) -> None:
        """Show these systems, by name, for the same query."""
        self.systems = self._chosen(systems)
        self.refresh()

    def show(self, clip: str | int, label: str = "") -> None:
        """Query with a clip, by its id or its row.

        Parameters
        ----------
        clip : str or int
        label : str
            The query class; by default the clip's first label, its most specific one.

        Raises
        ------
        ValueError
            If the clip is unknown, or it hasn't the class.
        """
        row = self.study.row(clip) if isinstance(clip, str) else clip
        labels = self.study.collection.clips["labels"][row]
        self.label = label or next(iter(labels), "")
        self._latest += 1
        self._again = functools.partial(self._render, row)
        self._render(row)

    def show_sound(self, path: str | Path, name: str = "") -> None:
        """Query with a sound from outside the collection, which each system embeds.

        Parameters
        ----------
        path : str or Path
        name : str
            Its name on the page; by default the file's.

        Raises
        ------
        AudioError
            If it can't be decoded, or is silent.
        """
        name = name or Path(path).name
        length_s = external_queries.check_sound(path, name)
        self._latest += 1
        self._show_sound(path, name, length_s)

    def _show_sound(
        self, path: str | Path, name: str, length_s: float, embedded: Mapping[str, Future] | None = None
    ) -> None:
        found = external_queries.query_sound(self.study, self.systems, path, self._n_asked, embedded)
        self.study.sounds.own = Path(path)
        self._again = functools.partial(self._show_sound, path, name, length_s)
        heard_s = min(length_s, MAX_DURATION_S)
        if length_s > heard_s:
            name = f"{name} (the first {heard_s:g} s of {length_s:.0f} s are searched)"
        self._show_external({"id": "your sound", "title": name, "seconds": heard_s}, found)

    def show_words(self, words: str) -> None:
        """Query with words, in the systems whose model has a text tower here."""
        if not words.strip():
            raise ValueError("there are no words: type what the sound should be")
        self._latest += 1
        self._show_words(words)

    def _show_words(self, words: str) -> None:
        found = external_queries.query_words(self.study, self.systems, words, self._n_asked)
        self._again = functools.partial(self._show_words, words)
        self._show_external({"id": "your words", "title": words, "seconds": 0.0}, found)

    def show_marked(self, hits: Sequence[int], misses: Sequence[int] = ()) -> None:
        """Query with several clips, by their rows, and away from others.

        Raises
        ------
        ValueError
            If there is no hit.
        """
        if not hits:
            raise ValueError("no clip is marked: mark what the results should sound like")
        self._latest += 1
        self._show_marked(hits, misses)

    def _show_marked(self, hits: Sequence[int], misses: Sequence[int]) -> None:
        found = external_queries.query_marked(self.study, self.systems, hits, misses, self._n_asked)
        self._again = functools.partial(self._show_marked, hits, misses)
        names = self.study.collection.clips["fname"]
        like, unlike = (", ".join(names[row] for row in rows) for rows in (hits, misses))
        title = f"like {like}" + (f", unlike {unlike}" if unlike else "")
        self._show_external({"id": "your marks", "title": title, "seconds": 0.0}, found)

    def refresh(self) -> None:
        """Repeat the query with the current systems and number of results."""
        if self._again:
            self._again()

    def attempt(self, act: Callable) -> None:
        """Run the action of a control; an error becomes the status, as pages hide what callbacks raise."""
        try:
            act()
        except Exception as error:
            self.status = describe_error(error)

    def play(self, clip: int) -> None:
        """Play a clip on the page."""
        self.study.sounds.path(clip)
        about = views.about_clip(self.study, clip)
        self.send({"play": clip, "name": about["title"] or about["id"]})

    def _render(self, row: int) -> None:
        self.status = ""
        self.query = row
        view = views.compare(self.study, self.systems, row, self.label, self.n, self.passes)
        finding = {"q": view["query"]["about"]["id"], "class": self.label, **self.filter.words()}
        finding["systems"] = [one.name for one in self.systems]
        self._publish({**view, "finding": finding})

    def _show_external(self, about: dict, found: dict) -> None:
        self.status = ""
        self.query = OWN
        if (passes := self.passes) is not None:
            for system, results in found.items():
                if not isinstance(results, str):
                    found[system] = [one for one in results if passes[one[0]]][: self.n]
        self._publish(views.external(self.study, about, found))

    def _publish(self, view: dict) -> None:
        """Show a view once the controls have followed: whoever sees it may type into them at once."""
        for follow in self.followers:
            follow()
        about = {"upload": {"most_bytes": self._arriving.most_bytes}, "collection": self.study.name}
        self.view = {**view, **about}

    @property
    def passes(self) -> np.ndarray | None:
        """Whether each clip passes the filter, bool [n_clips]; None where all do."""
        return self.filter.passes(self.study.collection, self.query) if self.filter.words() else None

    @property
    def _n_asked(self) -> int:
        """Results to ask for, of which the filter may leave few."""
        return len(self.study.collection) if self.filter.words() else self.n

    def _chosen(self, names: str | Sequence[str]) -> list[System]:
        names = [names] if isinstance(names, str) else names  # papermill -p systems NAME
        if not 1 <= len(names) <= MOST_SYSTEMS:
            raise ValueError(f"{len(names)} systems are chosen: choose 1 to {MOST_SYSTEMS}")
        return [self.study.system(name) for name in names]

    def _sound(self, message: dict, buffers: list) -> dict:
        if number := self.study.freesound_id(message.get("clip")):
            return {"freesound": number}
        refused = list(message.get("refused", ()))
        sound = self.study.sounds.sound(message.get("clip"), refused, goes_on=True)
        about = {"mime": sound.mime, "gain_db": sound.gain_db, "seconds": sound.seconds}
        return {**about, "buffers": [sound.content]}

    def _pictures(self, message: dict, buffers: list) -> dict:
        return {"buffers": [self._picture(clip) for clip in list(message.get("clips", ()))[:8]]}

    def _picture(self, clip: object) -> bytes:
        try:
            return self.study.sounds.picture(clip)
        except AudioError:  # an empty picture for a broken file, so that the others arrive
            return bytes(N_COLUMNS * (1 + N_BANDS))

    def _search(self, message: dict, buffers: list) -> dict:
        clip: Any = message.get("clip")
        self.study.sounds.path(clip)
        self.show(clip)
        return {}

    def _go(self, message: dict, buffers: list) -> dict:
        """Show a finding: that of the page's address, or one that was shown before."""
        if names := [str(name) for name in message.get("systems", ())]:
            self.systems = self._chosen(list(dict.fromkeys(names)))
        wanted = Filter.of(message)
        wanted.passes(self.study.collection)  # raises where it names what there isn't
        self.filter = wanted
        if query := str(message.get("q") or ""):
            self.show(query, str(message.get("class") or ""))
        else:
            self.refresh()
        return {}

    def _export(self, message: dict, buffers: list) -> dict:
        marked = [str(one) for one in message.get("marked", ())]
        return {"buffers": [exports.exported(self.study, self.view, marked, str(message.get("kind")))]}

    def _refine(self, message: dict, buffers: list) -> dict:
        known = self.study.row_of  # a browser may have kept marks of clips that are gone
        self.show_marked(
            *(
                [known[one] for one in map(str, message.get(kind, ())) if one in known]
                for kind in ("hits", "misses")
            )
        )
        return {}

    def _load(self, message: dict, buffers: list) -> dict:
        """Load the models before a sound comes, as the page sees one coming."""
        external_queries.load_models(self.systems)
        return {}

    def _upload(self, message: dict, buffers: list) -> dict | Coroutine[Any, Any, dict]:
        path = self._arriving.add(bytes(buffers[0]), int(message["at"]), last=bool(message["last"]))
        return self._search_sound(path, str(message["name"])[:120]) if path else {}

    async def _search_sound(self, path: Path, name: str) -> dict:
        """Search with a sound that has arrived, unless another query is asked for meanwhile."""
        self._latest += 1
        self._arrived, request = path, self._latest
        try:
            length_s = external_queries.check_sound(path, name)
            embedded: dict[str, Future] = {}
            while self._latest == request:
                others = [one for one in self.systems if one.variant.model not in embedded]
                embedded |= external_queries.embed_sound(others, path)  # also for systems chosen meanwhile
                listening = {one.variant.model for one in self.systems}
                if not (n := sum(not embedded[one].done() for one in listening)):
                    self._show_sound(path, name, length_s, embedded)
                    break
                self.send({"progress": f"Listening to {name}: {n} of {len(listening)} models still do …"})
                await asyncio.sleep(0.1)
        finally:
            if self._arrived == path:
                self._arriving.keep(self.study.sounds.own)
        return {}

    def _repr_mimebundle_(self, **options: object) -> tuple[dict, dict]:
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/html": views.as_html(self.view)}, metadata
