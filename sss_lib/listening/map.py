"""The map of a collection: a point for every clip, coloured by family, to listen to and to mark."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from sss_lib.experiment.store import Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.listening import views
from sss_lib.listening.board import AnsweringWidget, Board, page_code, page_file
from sss_lib.listening.controls import Controls
from sss_lib.listening.shared_models import describe_error
from sss_lib.processing.projection import project

LAYOUTS = {"pca": "principal components", "tsne": "t-SNE"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F00", "#000000")
"""Of the families: Okabe and Ito's, with an olive for their yellow, which is faint on white. Shapes repeat
the difference."""
OTHERS = "#8a8a8a"
"""Colour of what belongs to no group."""
STEPS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#d9c400")
"""Of values from low to high: brightness rises evenly."""
GROUPS = {
    "family": "family",
    "class": "class",
    "uploader": "uploader",
    "AP": "AP as a query",
    "hits": "hits of the query",
}
MOST_GROUPS = 7
"""Classes or uploaders that have a colour, those with the most clips; the rest is grey."""


def read_or_make(store: Store, dataset: str, variant: Variant, how: str) -> tuple[list[str], np.ndarray]:
    """Clips of a variant and their places on the map: float [n_clips, 2], stored once they are computed."""
    artefact = store.layout(dataset, variant, how)
    if artefact.is_current():
        table = artefact.read()
        return table["fname"].to_pylist(), to_matrix(table["place"])
    stored = store.embeddings(dataset, variant).read()
    if variant.is_ranking:  # there is no space: all clips lie in one point
        return stored["fname"].to_pylist(), np.zeros((len(stored), 2))
    found = project(to_matrix(stored["embedding"]), how)
    artefact.write({"fname": stored["fname"].to_pylist(), "place": found})
    return stored["fname"].to_pylist(), found


class LayoutCancelledError(RuntimeError):
    """A layout that nobody waits for any more."""


class Layouts:
    """Layouts that another process computes, so that the page answers meanwhile.

    Attributes
    ----------
    most_here : int
        Up to as many clips are laid out in this process, which takes less than to start another.
    """

    most_here = 1000

    def __init__(self, store: Store, dataset: str):
        self.store, self.dataset = store, dataset
        self._pool: Any = None  # that is at work

    async def make(self, variant: Variant, how: str, tell: Callable[[str], None]) -> None:
        """Compute and store a layout that isn't stored yet, and tell how long it takes so far.

        Raises
        ------
        LayoutCancelledError
            If `cancel` was called.
        """
        artefact = self.store.layout(self.dataset, variant, how)
        if variant.is_ranking or artefact.is_current():
            return
        stored = self.store.embeddings(self.dataset, variant).read()
        if len(stored) <= self.most_here:
            return
        from joblib.externals.loky import ProcessPoolExecutor

        began = time.monotonic()
        pool = ProcessPoolExecutor(1)
        self._pool = pool
        try:
            future = pool.submit(project, to_matrix(stored["embedding"]), how)
            while not future.done() and self._pool is pool:
                tell(f"Computing {LAYOUTS[how]} of {len(stored):,} clips: {time.monotonic() - began:.0f} s")
                await asyncio.sleep(0.2)
            if self._pool is not pool:
                raise LayoutCancelledError("The layout was cancelled.")
            artefact.write({"fname": stored["fname"].to_pylist(), "place": future.result()})
        finally:
            pool.shutdown(kill_workers=True)

    def cancel(self) -> None:
        """End what is computed."""
        self._pool = None


@dataclass(frozen=True)
class Space:
    """Clips of a system as they lie on a map.

    Attributes
    ----------
    system : str
        Name of the system whose embeddings are projected.
    rows : np.ndarray [shape=(n_clips,), dtype="<i4"]
        Row of each clip.
    places : np.ndarray [shape=(n_clips, 2), dtype="<u2"]
        x and y of each clip, from the left and from the top.
    words : str
        The system, and the share of the variance that each principal component has.
    """

    system: str
    rows: np.ndarray
    places: np.ndarray
    words: str


class SoundMap(AnsweringWidget):
    """Clips in two dimensions: a click plays one on the board, the lasso marks a set of queries.

    Parameters
    ----------
    board : Board
        It plays the clicked clips, and the map shows its query and results.
    system : str, optional
        Name of the system whose embeddings are projected; by default the board's first.
    layout : str
        "pca" or "tsne".
    second : str
        Name of a second system, whose map stands beside; "" for none. A clip has the same colour on both, and
        the one under the pointer is ringed on both.

    Attributes
    ----------
    spaces : list of Space
        One for each system.
    families : np.ndarray [shape=(n_clips,), dtype=uint8]
        Index of each clip of the collection in the legend.
    colour_by : str
        What groups the clips: a key of `GROUPS`. AP and hits are of the first system.
    titles : list of str
        What is said of each space.
    laid_out : str
        Systems, layout and grouping. When it changes, the page asks for the points, which no saved
        notebook holds.
    status : str
        Progress, in a sentence.
    legend : list
        Name and colour of each group.
    linked : dict
        query and results of the board, by row.
    marked : list of int
        Marked rows.
    """

    _esm = page_code("dom.js", "kernel.js", "space.js", "map.js")
    _css = page_file("map.css")
    laid_out = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    titles = traitlets.List().tag(sync=True)
    legend = traitlets.List().tag(sync=True)
    linked = traitlets.Dict().tag(sync=True)
    marked = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, board: Board, system: str = "", *, layout: str = "pca", second: str = ""):
        super().__init__()
        self.board, self.study = board, board.study
        self.colour_by = "family"
        ordered = sorted(board.systems, key=lambda one: one.variant.is_ranking)  # which have no space
        self.lay_out(system or ordered[0].name, layout, second)
        self._answers = {
            "points": self._points,
            "about": self._about,
            "play": self._play,
            "search": self._search,
        }
        board.observe(lambda _: self._link(), "view")
        self._link()

    def lay_out(self, system: str, layout: str, second: str = "") -> None:
        """Project the embeddings of one system or two; a first t-SNE of a large collection takes minutes."""
        names = list(dict.fromkeys(filter(None, (system, second))))
        self.spaces = [self._space(name, layout) for name in names]
        self._laid_out = " ".join([*names, layout])
        self.colour(self.colour_by)

    def _space(self, name: str, layout: str) -> Space:
        study, system = self.study, self.study.system(name)
        fnames, places = read_or_make(study.store, study.name, system.variant, layout)
        low, high = places.min(axis=0), places.max(axis=0)
        scaled = (places - low) / max(float((high - low).max()), 1e-12)  # one scale for both axes
        scaled += (1 - scaled.max(axis=0)) / 2  # the shorter one is centred
        variances = self._variances(system.variant, places) if layout == "pca" else ""
        words = " · ".join(filter(None, [f"{system.title}, {system.words}", variances]))
        rows = np.array([study.row_of[fname] for fname in fnames], "<i4")
        return Space(name, rows, np.round(65535 * scaled).astype("<u2"), words)

    def _variances(self, variant: Variant, places: np.ndarray) -> str:
        """Shares of the two components: of each, what lies along its unit vector over the clips."""
        if variant.is_ranking:
            return ""
        x = to_matrix(self.study.store.embeddings(self.study.name, variant).read()["embedding"])
        centred = np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)
        along = places / np.maximum(np.linalg.norm(places, axis=0), 1e-12)
        shares = ((centred.T @ along) ** 2).sum(axis=0) / max(float((centred**2).sum()), 1e-12)
        return f"across: {shares[0]:.0%} of the variance · upwards: {shares[1]:.0%} · one scale for both"

    def colour(self, by: str) -> None:
        """Group and colour the clips by a key of `GROUPS`."""
        legend, of_clip = self._groups(by)
        self.families = of_clip.astype(np.uint8)
        self.colour_by = by
        with self.hold_sync():
            self.legend = [list(one) for one in legend]
            self.titles = [one.words for one in self.spaces]
            what = f" of {self.board.query} {self.board.label}" if by == "hits" else ""
            self.laid_out = f"{self._laid_out} {by}{what}"

    def _groups(self, by: str) -> tuple[list[tuple[str, str]], np.ndarray]:
        """Legend, and the index in it of each clip's group."""
        clips, families = self.study.collection.clips, self.study.collection.families
        if by == "AP":
            return self._by_precision()
        if by == "hits":
            return self._by_hits()
        groups = {
            "family": lambda: [
                next((families[x] for x in one if x in families), "") for one in clips["labels"]
            ],
            "class": lambda: [next(iter(one), "") for one in clips["labels"]],
            "uploader": lambda: [one or "" for one in clips["uploader"]],
        }
        of_clip, rest = groups[by](), {"family": "no family"}.get(by, f"another {by}")
        counts = Counter(filter(None, of_clip))
        most = None if by == "family" else MOST_GROUPS
        names = sorted(name for name, _ in counts.most_common(most))
        legend = [(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)] + [(rest, OTHERS)]
        place = {name: i for i, name in enumerate(names)}
        return legend, np.array([place.get(name, len(names)) for name in of_clip])

    def _by_precision(self) -> tuple[list[tuple[str, str]], np.ndarray]:
        """Clips by their AP as queries of the first system, any shared class counting."""
        n, system = len(STEPS), self.study.system(self.spaces[0].system)
        legend = [(f"AP {i / n:g} to {(i + 1) / n:g}", colour) for i, colour in enumerate(STEPS)]
        scores = self.study.precisions(system)
        of_clip = np.where(np.isnan(scores), n, np.minimum(n * np.nan_to_num(scores), n - 1)).astype(int)
        return [*legend, ("not scored", OTHERS)], of_clip

    def _by_hits(self) -> tuple[list[tuple[str, str]], np.ndarray]:
        """Clips by whether the first system finds them, and whether they share a class with the query."""
        of_clip = np.full(len(self.study.collection), 2)
        if self.board.query >= 0:
            labels = self.study.collection.clips["labels"]
            wanted = set(labels[self.board.query])
            system, board = self.study.system(self.spaces[0].system), self.board
            for row, _ in self.study.results(system, board.query, board.n, board.passes):
                of_clip[row] = int(wanted.isdisjoint(labels[row]))
        return [
            ("found, shares a class", COLOURS[0]),
            ("found, shares none", COLOURS[1]),
            ("not found", OTHERS),
        ], of_clip

    def _link(self) -> None:
        if self.colour_by == "hits":
            self.colour("hits")
        view = self.board.view
        results = [[clip for clip, _ in one["results"]] for one in view.get("columns", ())]
        self.linked = {"query": self.board.query, "results": sorted({row for one in results for row in one})}

    def _points(self, message: dict, buffers: list) -> dict:
        arrays = [(one.places, one.rows, self.families[one.rows]) for one in self.spaces]
        return {"buffers": [array.tobytes() for of_space in arrays for array in of_space]}

    def _about(self, message: dict, buffers: list) -> dict:
        about = views.about_clip(self.study, self._clip(message))
        return {"text": f"{about['title'] or about['id']} · {', '.join(about['labels'])}".replace("_", " ")}

    def _play(self, message: dict, buffers: list) -> dict:
        self.board.play(self._clip(message))
        return {}

    def _search(self, message: dict, buffers: list) -> dict:
        self.board.show(self._clip(message))
        return {}

    def _clip(self, message: dict) -> int:
        """Row of the clip of a message. Raises ValueError for an unknown one."""
        clip: Any = message.get("clip")
        self.study.sounds.path(clip)
        return clip


class MapControls(widgets.HBox):
    """Controls for the map's systems and layout; clips marked on the map restrict what `controls` draws.

    Parameters
    ----------
    sound_map : SoundMap
    controls : Controls
    """

    def __init__(self, sound_map: SoundMap, controls: Controls):
        self.sound_map = sound_map
        offered = sound_map.study.offered
        first, *others = [one.system for one in sound_map.spaces]
        self.system = widgets.Dropdown(options=offered, value=first, description="Space of")
        self.second = widgets.Dropdown(
            options=[("no other", ""), *offered], value="".join(others), description="Beside it"
        )
        layouts_offered = [(words, how) for how, words in LAYOUTS.items()]
        self.layout_of = widgets.Dropdown(options=layouts_offered, description="Layout")
        groups = [(words, by) for by, words in GROUPS.items()]
        self.colour_by = widgets.Dropdown(options=groups, description="Colour by")
        hidden = widgets.Layout(display="none", width="auto")
        self.cancel = widgets.Button(description="Cancel", layout=hidden)
        self._layouts = Layouts(sound_map.study.store, sound_map.study.name)
        self.cancel.on_click(lambda _: self._layouts.cancel())
        super().__init__(
            [self.system, self.second, self.layout_of, self.colour_by, self.cancel],
            layout=widgets.Layout(flex_flow="row wrap"),
        )
        self.add_class("sss-controls")
        self._nth, self._shown = 1, self._wanted  # how often one has chosen; what is shown
        for one in (self.system, self.second, self.layout_of):
            one.observe(lambda _: self._lay_out(), "value")
        self.colour_by.observe(
            lambda change: sound_map.board.attempt(lambda: sound_map.colour(change["new"])), "value"
        )
        sound_map.observe(lambda change: controls.restrict(change["new"]), "marked")

    @property
    def _wanted(self) -> tuple[str, str, str]:
        return self.system.value, self.layout_of.value, self.second.value

    def _lay_out(self) -> None:
        """Lay out what is chosen, in the kernel's loop if one runs, so that the page answers meanwhile."""
        if not self._nth:
            return
        self._nth += 1
        self._layouts.cancel()
        laying = self._lay_out_once(self._nth)
        try:
            self._task = asyncio.get_running_loop().create_task(laying)
        except RuntimeError:  # no loop runs
            asyncio.run(laying)

    async def _lay_out_once(self, nth: int) -> None:
        """Lay out what is chosen, unless something else is chosen meanwhile; go back if it is cancelled."""
        study, sound_map = self.sound_map.study, self.sound_map
        system, layout, second = wanted = self._wanted
        sound_map.status, self.cancel.layout.display = "Computing the layout …", None
        try:
            for name in filter(None, (system, second)):
                await self._layouts.make(study.system(name).variant, layout, self._tell)
            if nth == self._nth:
                sound_map.lay_out(*wanted)
                self._shown = wanted
        except Exception as error:
            if nth == self._nth:
                sound_map.board.status = describe_error(error)
                self._nth = 0  # what follows chooses nothing new
                self.system.value, self.layout_of.value, self.second.value = self._shown
                self._nth = nth
        finally:
            if nth == self._nth:
                sound_map.status, self.cancel.layout.display = "", "none"

    def _tell(self, status: str) -> None:
        self.sound_map.status = status
