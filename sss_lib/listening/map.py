"""The map of a collection: a point for every clip, coloured by family, to listen to and to mark."""

from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from sss_lib.experiment.store import Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.listening import views
from sss_lib.listening.board import AnsweringWidget, Board, page_code, page_file
from sss_lib.listening.controls import Controls
from sss_lib.processing.projection import project

LAYOUTS = {"pca": "principal components", "tsne": "t-SNE"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F00", "#000000")
"""Of the families: Okabe and Ito's, with an olive for their yellow, which is faint on white. Shapes repeat
the difference."""
NO_FAMILY = ("no family", "#8a8a8a")


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

    Attributes
    ----------
    system : str
        Name of the system whose embeddings are projected.
    places : bytes
        uint16 x and y of each clip, from the left and from the top.
    rows : bytes
        int32 row of each clip.
    families : bytes
        uint8 index of each clip's family in the legend.
    laid_out : str
        System and layout. When it changes, the page asks for the points, so that a saved notebook holds none.
    status : str
        Progress, in a sentence.
    legend : list
        Name and colour of each family.
    linked : dict
        query and results of the board, by row.
    marked : list of int
        Marked rows.
    """

    _esm = page_code("dom.js", "kernel.js", "map.js")
    _css = page_file("map.css")
    laid_out = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    legend = traitlets.List().tag(sync=True)
    linked = traitlets.Dict().tag(sync=True)
    marked = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, board: Board, system: str = "", *, layout: str = "pca"):
        super().__init__()
        self.board, self.study = board, board.study
        ordered = sorted(board.systems, key=lambda one: one.variant.is_ranking)  # which have no space
        self.lay_out(system or ordered[0].name, layout)
        self._answers = {
            "points": self._points,
            "about": self._about,
            "play": self._play,
            "search": self._search,
        }
        board.observe(lambda _: self._link(), "view")
        self._link()

    def lay_out(self, system: str, layout: str) -> None:
        """Project the embeddings of a system; the first t-SNE of a large collection takes minutes."""
        study, variant = self.study, self.study.system(system).variant
        fnames, places = read_or_make(study.store, study.name, variant, layout)
        rows = np.array([study.row_of[fname] for fname in fnames], np.int32)
        low, high = places.min(axis=0), places.max(axis=0)
        scaled = (places - low) / max(float((high - low).max()), 1e-12)  # one scale for both axes
        scaled += (1 - scaled.max(axis=0)) / 2  # the shorter one is centred
        names, of_clip = self._families()
        self.places = np.round(65535 * scaled).astype("<u2").tobytes()
        self.rows = rows.astype("<i4").tobytes()
        self.families = of_clip[rows].astype(np.uint8).tobytes()
        with self.hold_sync():
            self.legend = [list(one) for one in names]
            self.laid_out = f"{system} {layout}"
        self.system = system

    def _families(self) -> tuple[list[tuple[str, str]], np.ndarray]:
        """Legend, and the index in it of each clip's family: that of its first label with a family."""
        collection = self.study.collection
        first = [
            next((collection.families[x] for x in labels if x in collection.families), "")
            for labels in collection.clips["labels"]
        ]
        names = sorted(set(first) - {""})
        legend = [(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)] + [NO_FAMILY]
        place = {name: i for i, name in enumerate(names)} | {"": len(names)}
        return legend, np.array([place[name] for name in first])

    def _link(self) -> None:
        view = self.board.view
        results = [[clip for clip, _ in one["results"]] for one in view.get("columns", ())]
        self.linked = {"query": self.board.query, "results": sorted({row for one in results for row in one})}

    def _points(self, message: dict, buffers: list) -> dict:
        return {"buffers": [self.places, self.rows, self.families]}

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
    """Controls for the map's system and layout; clips marked on the map restrict what `controls` draws.

    Parameters
    ----------
    sound_map : SoundMap
    controls : Controls
    """

    def __init__(self, sound_map: SoundMap, controls: Controls):
        self.sound_map = sound_map
        offered = sound_map.study.offered
        self.system = widgets.Dropdown(options=offered, value=sound_map.system, description="Space of")
        layouts_offered = [(words, how) for how, words in LAYOUTS.items()]
        self.layout_of = widgets.Dropdown(options=layouts_offered, description="Layout")
        super().__init__([self.system, self.layout_of], layout=widgets.Layout(flex_flow="row wrap"))
        self.add_class("sss-controls")
        for one in (self.system, self.layout_of):
            one.observe(lambda _: sound_map.board.attempt(self._lay_out), "value")
        sound_map.observe(lambda change: controls.restrict(change["new"]), "marked")

    def _lay_out(self) -> None:
        self.sound_map.status = "Computing the layout …"
        try:
            self.sound_map.lay_out(self.system.value, self.layout_of.value)
        finally:
            self.sound_map.status = ""
