"""The controls above a board: its systems, its query, and the query class."""

import warnings
from collections.abc import Callable, Collection, Sequence

import ipywidgets as widgets
import numpy as np

from sss_lib.listening.board import MOST_SYSTEMS, Board
from sss_lib.listening.selection import Filter, Steps, candidates
from sss_lib.listening.views import licence_of
from sss_lib.models import registry as models

SEPARATOR = " · "
"""Between the title and the id of a suggested clip."""


class Controls(widgets.VBox):
    """Widgets that choose the systems and the query of a board.

    Parameters
    ----------
    board : Board
    seed : int
        Seed of the random clips.
    """

    def __init__(self, board: Board, *, seed: int = 0):
        self.board, self.study = board, board.study
        self.among: list[int] | None = None
        self.rng = np.random.default_rng(seed)
        self.steps: Steps | None = None
        self._quiet = False
        self.system_of = dict(self.study.offered)
        self.label_of = {_plain(label): label for label in self.study.collection.labels}
        # The placeholder is also the name that a screen reader says.
        self.systems = _tags(self.system_of, f"add a system, {MOST_SYSTEMS} at most")
        self.include = _tags(self.label_of, "add a class it has")
        self.exclude = _tags(self.label_of, "add a class it lacks")
        self.count = widgets.Label()
        self.random = self._button("Random clip", self.draw)
        self.clip = _sized(widgets.Combobox(description="Clip", placeholder="words or id"), "250px", "40px")
        self.clip.continuous_update = True  # it suggests while one types
        self.label = _sized(widgets.Dropdown(description="Query class"), "270px")
        sizes = {"options": [5, 10, 15, 30, 50], "value": _nearest(board.n)}
        self.n = _sized(widgets.Dropdown(description="Results", **sizes), "130px", "55px")
        licences = sorted(
            {licence_of(one)["licence"] for one in self.study.collection.clips["licence"]} - {""}
        )
        self.licence = _sized(
            widgets.Dropdown(description="Licence", options=[("any", ""), *((one, one) for one in licences)]),
            "200px",
            "55px",
        )
        self.has = _sized(
            widgets.Dropdown(description="Class", options=[("any", ""), *self.label_of.items()]),
            "230px",
            "45px",
        )
        self.seconds = _sized(
            widgets.Text(description="Seconds", placeholder="2-10, -2 or 10-", continuous_update=False),
            "180px",
            "60px",
        )
        self.others = widgets.Checkbox(
            description="not this uploader", indent=False, layout=widgets.Layout(width="auto")
        )
        self.words = widgets.Text(description="Words", placeholder="a dog barks", continuous_update=False)
        self.first = widgets.Dropdown(description="Where", style={"description_width": "50px"})
        self.second = widgets.Dropdown(description="and", style={"description_width": "40px"})
        self.disagree = widgets.Label("disagree most:")
        self.back = self._button("Back", lambda: self._step(-1))
        self.next = self._button("Next", lambda: self._step(1))
        self.gap = widgets.Label()
        more = [
            _row(_named("Has all of", self.include), _named("Has none of", self.exclude)),
            _row(widgets.Label("Results:"), self.licence, self.has, self.seconds, self.others),
            self.words,
            _row(self.first, self.second, self.disagree, self.back, self.next, self.gap),
        ]
        # The style shows it while the button is pressed: a slow kernel would take the focus from within.
        self.more = widgets.VBox(more, layout=widgets.Layout(display="none"))
        self.more.add_class("sss-more")
        self.unfold = widgets.ToggleButton(description="Filter and step", icon="caret-down")
        self.unfold.layout.width = "auto"
        rows = [
            _row(_named("Systems", self.systems)),
            _row(self.random, self.count, self.clip, self.label, self.n, self.unfold),
            self.more,
        ]
        super().__init__(rows, layout=widgets.Layout(width="100%"))
        self.add_class("sss-controls")
        self._offer_pairs()
        self._count()
        self._observe()
        self._follow()

    def _observe(self) -> None:
        acts: list[tuple[Callable, Sequence[widgets.Widget]]] = [
            (self._choose, [self.systems]),
            (self._count, [self.include, self.exclude]),
            (self._restart, [self.first, self.second]),
            (self._suggest, [self.clip]),
            (lambda: self.board.show(self.board.query, self.label.value), [self.label]),
            (self._resize, [self.n]),
            (self._search, [self.words]),
            (self._filter, [getattr(self, name) for name in Filter.names()]),
        ]
        for act, observed in acts:
            for one in observed:
                one.observe(self._on(act), "value")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # nothing else tells of Enter
            self.clip.on_submit(lambda _: self.board.attempt(self._show))
        self.board.followers.append(self._follow)

    def restrict(self, rows: list[int] | None) -> None:
        """Draw and step only among these clips, such as those marked on the map; among all for None."""
        self.among = rows or None
        self._count()

    def _on(self, act: Callable) -> Callable:
        """Handler of a change, which shows an error on the board."""

        def handler(change: object) -> None:
            if not self._quiet:
                self.board.attempt(act)

        return handler

    def _button(self, text: str, act: Callable) -> widgets.Button:
        button = widgets.Button(description=text, layout=widgets.Layout(width="auto"))
        button.on_click(lambda _: self.board.attempt(act))
        return button

    def _candidates(self) -> np.ndarray:
        include, exclude = ([self.label_of[x] for x in one.value] for one in (self.include, self.exclude))
        return candidates(self.study.collection, include, exclude, self.among)

    def _count(self) -> None:
        n = len(self._candidates())
        marked = f" of {len(self.among)} marked on the map" if self.among is not None else ""
        self.count.value = f"{n} {'clip' if n == 1 else 'clips'}{marked}"
        self.random.disabled = n == 0
        self._restart()

    def draw(self) -> None:
        """Query with a random candidate."""
        row = int(self.rng.choice(self._candidates()))
        labels = self.study.collection.clips["labels"][row]
        wanted = [self.label_of[x] for x in self.include.value if self.label_of[x] in labels]
        self.board.show(row, wanted[0] if wanted else "")

    def _suggest(self) -> None:
        """Offer clips that fit what is typed, and show one that is typed, or chosen, in full."""
        known = (self.clip.value.strip(), self.clip.value.split(SEPARATOR)[-1])
        found = next((one for one in known if one in self.study.row_of), "")
        if found:
            self.board.show(found)
        elif self.clip.value:
            clips = self.study.collection.clips
            rows = self.study.find(self.clip.value)
            titles = [clips["title"][row] if "title" in clips else "" for row in rows]
            ids = clips["fname"][rows]
            self.clip.options = [SEPARATOR.join(filter(None, one)) for one in zip(titles, ids, strict=True)]

    def _show(self) -> None:
        """Show the clip that fits what is typed best."""
        text = self.clip.value.strip()
        if text and self.study.collection.clips["fname"].get(self.board.query) != text:
            self.board.show(next(iter(self.study.find(text)), text))

    def _search(self) -> None:
        if self.words.value:
            self.board.show_words(self.words.value)

    def _choose(self) -> None:
        try:
            self.board.choose([self.system_of[one] for one in self.systems.value])
        except ValueError:  # none, or too many
            self._follow()
            raise
        self._offer_pairs()

    def _offer_pairs(self) -> None:
        options = [(f"{i + 1} {one.title}", one.name) for i, one in enumerate(self.board.systems)]
        self._silently(self.first, options=options, value=options[0][1])
        self._silently(self.second, options=options, value=options[min(1, len(options) - 1)][1])
        self._restart()
        has_text = any(models.has_text(one.variant.model) for one in self.board.systems)
        self.words.layout.display = None if has_text else "none"

    def _restart(self) -> None:
        self.steps = None
        self.gap.value = ""
        self.back.disabled = self.next.disabled = self.first.value == self.second.value

    def _step(self, by: int) -> None:
        if self.steps is None:
            pair = self.study.system(self.first.value), self.study.system(self.second.value)
            self.steps = Steps(self.study, *pair, self._candidates())
        self.board.show(self.steps.step(by))
        self.gap.value = str(self.steps)

    def _resize(self) -> None:
        self.board.n = self.n.value
        self.board.refresh()

    def _filter(self) -> None:
        self.board.filter = Filter.of({name: getattr(self, name).value for name in Filter.names()})
        self.board.refresh()

    def _follow(self) -> None:
        """Show the current query, systems and filter, also when the board or the map has chosen them."""
        words = self.board.filter.words()
        for name in Filter.names():
            control, value = getattr(self, name), words.get(name, "")
            self._silently(control, value=type(control.value)(value))
        label_of = {name: label for label, name in self.system_of.items()}
        chosen = [label_of[one.name] for one in self.board.systems]
        if chosen != self.systems.value:
            self._silently(self.systems, value=chosen)
            self._offer_pairs()
        if self.board.query < 0:
            self._silently(self.clip, value="")
            self._silently(self.label, options=[])
            return
        clip = self.study.collection.clips.iloc[self.board.query]
        self._silently(self.clip, value=clip["fname"])
        options = [(_plain(label), label) for label in clip["labels"]]
        self._silently(self.label, options=options, value=self.board.label or None)

    def _silently(self, widget: widgets.Widget, **traits: object) -> None:
        """Set traits of a control without acting on the change."""
        self._quiet = True
        try:
            for name, value in traits.items():
                setattr(widget, name, value)
        finally:
            self._quiet = False


def _plain(label: str) -> str:
    return label.replace("_", " ")


def _tags(options: Collection[str], name: str) -> widgets.TagsInput:
    return widgets.TagsInput(allowed_tags=list(options), allow_duplicates=False, placeholder=name)


def _sized(widget: widgets.Widget, width: str, description_width: str = "") -> widgets.Widget:
    widget.layout = widgets.Layout(width=width)
    if description_width:
        widget.style.description_width = description_width
    return widget


def _row(*children: widgets.Widget) -> widgets.Box:
    layout = widgets.Layout(flex_flow="row wrap", align_items="center", width="100%", overflow="visible")
    return widgets.Box(children, layout=layout)


def _named(name: str, widget: widgets.Widget) -> widgets.Box:
    widget.layout = widgets.Layout(min_width="200px", flex="1 1 auto")
    label = widgets.Label(name, layout=widgets.Layout(width="90px"))
    return widgets.Box([label, widget], layout=widgets.Layout(flex="1 1 360px", align_items="center"))


def _nearest(n: int) -> int:
    return min([5, 10, 15, 30, 50], key=lambda one: abs(one - n))
