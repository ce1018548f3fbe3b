"""The map of a collection: every clip a point, coloured by family, to be heard and marked."""

from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from sss_lib.listening import layouts, views
from sss_lib.listening.asked import Asked
from sss_lib.listening.board import Board
from sss_lib.listening.controls import Controls

_HERE = Path(__file__).parent
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F00", "#000000")
"""Of the families, told apart by the colour-blind; the shapes repeat them."""
NO_FAMILY = ("no family", "#8a8a8a")


class SoundMap(Asked):
    """Clips in two dimensions. A click plays one on the board, the lasso marks a set of queries.

    Parameters
    ----------
    board : Board
        Plays what is clicked; its query and results are shown on the map.
    system : str, optional
        Name of the system whose embeddings are laid out; by default the board's first.
    layout : str
        "pca" or "tsne".

    Attributes
    ----------
    system : str
        Whose embeddings are laid out.
    places : bytes
        uint16 x and y of each clip, from the left and from the top.
    rows : bytes
        int32 row of each clip.
    families : bytes
        uint8 place of each clip's family in the legend.
    laid_out : str
        What the map shows. When it changes the page asks for the points: a saved notebook holds none.
    status : str
        What goes on, in a sentence.
    legend : list
        Name and colour of each family.
    linked : dict
        query and results of the board, by row.
    marked : list of int
        Rows that are marked.
    """

    _esm = _HERE / "map.js"
    _css = _HERE / "map.css"
    laid_out = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    legend = traitlets.List().tag(sync=True)
    linked = traitlets.Dict().tag(sync=True)
    marked = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, board: Board, system: str = "", *, layout: str = "pca"):
        super().__init__()
        self.board, self.study = board, board.study
        self.lay_out(system or board.systems[0].name, layout)
        self._answers = {
            "points": self._points,
            "about": self._about,
            "play": self._play,
            "search": self._search,
        }
        board.observe(lambda _: self._link(), "view")
        self._link()

    def lay_out(self, system: str, layout: str) -> None:
        """Lay out the embeddings of a system; what is laid out for the first time by t-SNE takes a while."""
        study, variant = self.study, self.study.system(system).variant
        fnames, places = layouts.read_or_make(study.store, study.name, variant, layout)
        rows = np.array([study.row_of[fname] for fname in fnames], np.int32)
        low, high = places.min(axis=0), places.max(axis=0)
        scaled = (places - low) / max(float((high - low).max()), 1e-12)
        scaled += (1 - scaled.max(axis=0)) / 2
        names, of_clip = self._families()
        self.places = np.round(65535 * scaled).astype("<u2").tobytes()
        self.rows = rows.astype("<i4").tobytes()
        self.families = of_clip[rows].astype(np.uint8).tobytes()
        with self.hold_sync():
            self.legend = [list(one) for one in names]
            self.laid_out = f"{system} {layout}"
        self.system = system

    def _families(self) -> tuple[list[tuple[str, str]], np.ndarray]:
        """Legend, and each clip's place in it: the family of its first label that has one."""
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
        """The clip that a message is about. Raises ValueError if there is no such one."""
        clip: Any = message.get("clip")
        self.study.sounds.path(clip)
        return clip


class MapControls(widgets.HBox):
    """What the map lays out, and how; what is marked on it restricts the clips that the controls draw from.

    Parameters
    ----------
    sound_map : SoundMap
    controls : Controls
    """

    def __init__(self, sound_map: SoundMap, controls: Controls):
        self.sound_map = sound_map
        offered = sound_map.study.offered
        self.system = widgets.Dropdown(options=offered, value=sound_map.system, description="Space of")
        layouts_offered = [(words, how) for how, words in layouts.LAYOUTS.items()]
        self.layout_of = widgets.Dropdown(options=layouts_offered, description="Layout")
        super().__init__([self.system, self.layout_of], layout=widgets.Layout(flex_flow="row wrap"))
        self.add_class("sss-controls")
        for one in (self.system, self.layout_of):
            one.observe(lambda _: sound_map.board.attempt(self._lay_out), "value")
        sound_map.observe(lambda change: controls.restrict(change["new"]), "marked")

    def _lay_out(self) -> None:
        self.sound_map.status = (
            "Working out where the clips lie …"  # t-SNE of a large collection takes minutes
        )
        try:
            self.sound_map.lay_out(self.system.value, self.layout_of.value)
        finally:
            self.sound_map.status = ""
