"""Blind judging: results of systems without their names, in an order that looks random to the judge."""

import hashlib
import itertools
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets

from sss_lib.listening import views
from sss_lib.listening.board import Board
from sss_lib.listening.judgements import Judgements
from sss_lib.listening.study import Study

MODES = {"grade": "grade", "prefer": "preference"}
"""Mode of the page, and the kind of its judgements in the file."""
LETTERS = "ABCDE"


class Judging(Board):
    """A board that names neither systems nor sounds, and takes grades or preferences.

    It continues where the judge stopped, as it reads earlier judgements from the file.

    Parameters
    ----------
    study : Study
    judgements : Judgements
    systems : sequence of str
        Names of the systems to judge: two for preferences.
    judge : str
        The judge's name; nothing is shown without one.
    mode : str
        "grade" for a grade 0 to 3 of each result, "prefer" for the better of two lists.
    n : int
        Results of each system.
    n_queries : int
        Number of query clips, drawn with the seed: the same for every judge.
    seed : int

    Attributes
    ----------
    judged : dict
        grades (by row as a string), progress (a sentence) and done.
    """

    judged = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        study: Study,
        judgements: Judgements,
        systems: str | Sequence[str],
        judge: str = "",
        *,
        mode: str = "grade",
        n: int = 5,
        n_queries: int = 20,
        seed: int = 0,
    ):
        super().__init__(study, systems, n=n)
        self.judgements = judgements
        rows = np.random.default_rng(seed).permutation(len(study.collection)).tolist()
        judged = (row for row in rows if all(study.results(system, row, 1) for system in self.systems))
        self.rows = list(itertools.islice(judged, n_queries))
        if not self.rows:
            raise ValueError("no clip has results in all of these systems: choose others")
        self._answers = {name: self._answers[name] for name in ("hello", "sound", "pictures")}
        self._answers |= {"grade": self._grade, "prefer": self._prefer, "undo": self._undo}
        self.begin(judge, mode)

    def begin(self, judge: str, mode: str) -> None:
        """Begin or continue as a judge.

        Raises
        ------
        ValueError
            If the mode is unknown, or a preference isn't between two systems.
        """
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is unknown: use {' or '.join(MODES)}")
        if mode == "prefer" and len(self.systems) != 2:
            raise ValueError(f"a preference is between 2 systems, not {len(self.systems)}: choose two")
        self.judge, self.mode = judge.strip(), mode
        self.status = "" if self.judge else "Give your name to begin."
        self.view = {}
        if self.judge:
            self._show_next()

    def _show_next(self) -> None:
        """Show the first query with results to judge, or the last one if there is none."""
        todo = self._todo(self._own())
        self._show_blind(todo[0] if todo else self.rows[-1])

    def _show_blind(self, row: int) -> None:
        self.query = row
        order = self._order(row)
        lists = [self.study.results(self.systems[i], row, self.n) for i in order]
        columns = [
            views.column(self.systems[i], results, []) | {"title": f"List {letter}", "words": "", "score": ""}
            for i, results, letter in zip(order, lists, LETTERS, strict=False)
        ]
        for one in columns:
            one["results"] = [[clip, 0.0] for clip, _ in one["results"]]  # a score would give the search away
        clips = {str(clip): self._anonymous(clip) for results in lists for clip, _ in results}
        query = {"clip": row, "about": self._anonymous(row)}
        with self.hold_sync():  # no key comes between
            self.view = {"mode": self.mode, "label": "", "query": query, "columns": columns, "clips": clips}
            self._show_progress()

    def _order(self, row: int) -> list[int]:
        """Order of the systems for this judge and query, drawn with a digest of both: a reload repeats it."""
        key = "\n".join([self.judge, self._fname(row), *(system.name for system in self.systems)])
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
        return np.random.default_rng(seed).permutation(len(self.systems)).tolist()

    def _anonymous(self, row: int) -> dict:
        seconds = views.about_clip(self.study, row)["seconds"]
        empty = {"id": "", "title": "", "labels": [], "uploader": "", "licence": "", "source": ""}
        return {**empty, "seconds": seconds}

    def _fname(self, row: int) -> str:
        return self.study.collection.clips["fname"][row]

    def _own(self) -> pd.DataFrame:
        """Judgements of the current judge in the current mode."""
        found = self.judgements.read()
        return found[(found["judge"] == self.judge) & (found["kind"] == MODES[self.mode])]

    def _todo(self, own: pd.DataFrame) -> list[int]:
        """Queries with results that a judge's judgements lack."""
        if self.mode == "prefer":
            pair = sorted(system.name for system in self.systems)
            same = own["systems"].map(pair.__eq__) & (own["n"] == self.n)
            done = set(own.loc[same.astype(bool), "query"])
            return [row for row in self.rows if self._fname(row) not in done]
        graded = set(zip(own["query"], own["clip"], strict=True))
        return [
            row for row in self.rows if not {(self._fname(row), clip) for clip in self._wanted(row)} <= graded
        ]

    def _wanted(self, row: int) -> list[str]:
        """Clips of all lists for a query, each once."""
        lists = [self.study.results(system, row, self.n) for system in self.systems]
        return list(dict.fromkeys(self._fname(clip) for results in lists for clip, _ in results))

    def _show_progress(self) -> list[int]:
        """Update the progress, and return the queries that remain to be judged."""
        own = self._own()
        todo = self._todo(own)
        n_done = len(self.rows) - len(todo)
        progress = f"{n_done} of {len(self.rows)} queries judged"
        grades = {}
        if self.mode == "grade":
            own = own[own["query"] == self._fname(self.query)]
            of_clip, wanted = dict(zip(own["clip"], own["grade"], strict=True)), self._wanted(self.query)
            grades = {str(self.study.row_of[f]): int(of_clip[f]) for f in wanted if f in of_clip}
            progress += f", {len(grades)} of {len(wanted)} sounds of this one"
        thanks = "" if todo else "All is judged, thank you. "
        self.judged = {"grades": grades, "progress": thanks + progress, "done": not todo}
        return todo

    def _require_shown(self, message: dict) -> None:
        """Refuse a judgement of another query than the one shown, as from a key pressed twice."""
        if message.get("query") != self.query:
            raise ValueError(f"query {message.get('query')!r} is no longer shown: judge the one that is")

    def _grade(self, message: dict, buffers: list) -> dict:
        clip = message.get("clip")
        shown = self.view.get("clips", {}) if self.mode == "grade" else {}
        if type(clip) is not int or str(clip) not in shown:
            raise ValueError(f"sound {clip!r} is in none of the lists")
        self._require_shown(message)
        self.judgements.grade(self.judge, self._fname(self.query), self._fname(clip), message.get("grade"))
        todo = self._show_progress()
        if todo and self.query not in todo:
            self._show_next()
        return {}

    def _prefer(self, message: dict, buffers: list) -> dict:
        places = {"left": 0, "right": 1, "equal": None}
        if self.mode != "prefer" or not self.view or message.get("choice") not in places:
            raise ValueError(f"choice {message.get('choice')!r} is unknown: use {', '.join(places)}")
        self._require_shown(message)
        place = places[message["choice"]]
        names = [self.systems[i].name for i in self._order(self.query)]
        preferred = "" if place is None else names[place]
        self.judgements.prefer(self.judge, self._fname(self.query), tuple(names), preferred, self.n)
        self._show_next()
        return {}

    def _undo(self, message: dict, buffers: list) -> dict:
        undone = self.judgements.undo(self.judge, MODES[self.mode])
        if not undone:
            raise ValueError("there is nothing to undo")
        self._show_blind(self.study.row(undone["query"]))
        return {}


class JudgingControls(widgets.HBox):
    """Controls for the judge's name and the mode; with a name, judging begins or continues.

    Parameters
    ----------
    judging : Judging
    """

    def __init__(self, judging: Judging):
        self.judging = judging
        self.judge = widgets.Text(judging.judge, description="Your name", continuous_update=False)
        kinds = [("grade every result", "grade")]
        kinds += [("prefer one of two lists", "prefer")] if len(judging.systems) == 2 else []
        self.mode = widgets.Dropdown(options=kinds, value=judging.mode, description="Judge by")
        super().__init__([self.judge, self.mode], layout=widgets.Layout(flex_flow="row wrap"))
        self.add_class("sss-controls")
        for one in (self.judge, self.mode):
            one.observe(lambda _: judging.attempt(self._begin), "value")

    def _begin(self) -> None:
        self.judging.begin(self.judge.value, self.mode.value)
