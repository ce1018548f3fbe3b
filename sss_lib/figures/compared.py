"""The systems of a grid on one dataset, read once and compared: what notebooks 05, 05b and 05c draw."""

import functools
import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sss_lib.dataset import table as datasets
from sss_lib.evaluation import bounds, comparisons, confusion, examples, relevance
from sss_lib.experiment import apart, common_clips, reproduction
from sss_lib.experiment import results as experiment
from sss_lib.experiment.grid import read_grid
from sss_lib.experiment.scores import SYSTEM, best_systems, of_exact, of_systems, over_groups, select
from sss_lib.experiment.store import Store, to_matrix
from sss_lib.figures import beyond, claims, paper, players, tables, text, tradeoffs
from sss_lib.figures.plots import style
from sss_lib.models import registry as models
from sss_lib.processing import projection
from sss_lib.search.rank import rank

if TYPE_CHECKING:
    from IPython.display import HTML

Shown = tuple[pd.DataFrame, str]
"""A table and its caption."""


class Compared:
    """Scores of the systems of a grid on the clips that all of them have, and a folder for what is drawn.

    Parameters
    ----------
    store : Store
    dataset : str
        Name of a dataset that notebook 00 wrote.
    grid : str or Path
        YAML file of the systems that 01 to 04 have run.
    figures_dir : str or Path
        Gets the figures; by default see `reproduction.figures_folder`.

    Attributes
    ----------
    whole, grid : Grid
        Of all its models, and of those that can be compared.
    everything, collection : Dataset
        All clips, and those that the systems are compared on.
    on : str
        What the collection is called in captions.
    protocol, n
        Of the scores that figures show, and their first cutoff.
    every, searched, scores, pictured : pd.DataFrame
        Tidy scores: all; by the grid's protocol; those of exact searches; with intervals over uploaders.
    folder : Path
    written : list of Path
        What was saved so far.

    Raises
    ------
    FileNotFoundError
        If no system has scores.
    """

    def __init__(self, store: Store, dataset: str, grid: str | Path, figures_dir: str | Path = ""):
        self.store, self.dataset, self.grid_path = store, dataset, Path(grid)
        self.whole, self.left_out = read_grid(grid).available()
        self.everything = datasets.read(store.dataset(dataset))
        found = common_clips.comparable(store, dataset, self.whole, self.everything)
        self.grid, self.collection, self.on = found.grid, found.collection, dataset + found.words
        self.available, self.missing = experiment.split_by_availability(store, dataset, self.whole)
        self.protocol, self.n = self.grid.protocol, self.grid.cutoffs[0]
        self.every = common_clips.read_scores(store, dataset, self.grid, self.collection)
        self.searched = self.every[self.every["protocol"] == self.protocol]
        self.scores = of_exact(self.searched)
        self.pictured = over_groups(self.scores)
        is_whole = not (self.missing or self.left_out)
        usual = reproduction.figures_folder(store, dataset, self.whole, is_whole=is_whole)
        self.folder = Path(figures_dir) if figures_dir else usual
        self.written: list[Path] = []

    def __str__(self) -> str:
        lacking = [f"{len(self.missing)} have no scores"] if self.missing else []
        failed = experiment.failures(self.store, self.dataset, self.whole)
        lacking += [f"{len(failed)} times a model could not embed a clip"] if len(failed) else []
        head = f"{len(self.available)} systems on {self.on}, by the protocol {self.protocol!r}"
        return f"{'; '.join([head, *lacking, *self.left_out])}\nFigures go to {self.folder}"

    # What lies below and above all systems, and each model's best.

    @functools.cached_property
    def chance(self) -> pd.DataFrame:
        """Scores that all orders of the corpus have on average."""
        return bounds.chance(*self._labelled, cutoffs=self.grid.cutoffs, protocol=self.protocol)

    @functools.cached_property
    def ceiling(self) -> pd.DataFrame:
        """Scores of the best rankings that there could be."""
        return bounds.upper_bound(*self._labelled, cutoffs=self.grid.cutoffs, protocol=self.protocol)

    @functools.cached_property
    def bounds(self) -> dict[str, float]:
        """Macro MAP@n of chance, of twenty random embeddings at their luckiest, and of the ceiling."""
        by_luck = bounds.sampled_chance(*self._labelled, cutoffs=(self.n,), protocol=self.protocol)
        found = (self.chance, "value"), (by_luck, "ci_high"), (self.ceiling, "value")
        values = (select(table, "MAP", self.n)[column].item() for table, column in found)
        return dict(zip(("chance", "luck", "ceiling"), values, strict=True))

    @property
    def _labelled(self) -> tuple:
        return self.collection.label_matrix, self.collection.labels, self.collection.families

    @functools.cached_property
    def groups(self) -> np.ndarray | None:
        """Uploader of each clip by number; None where uploaders aren't known."""
        return relevance.origins(self.collection.clips)

    @property
    def unit(self) -> str:
        """What intervals and tests resample."""
        return "clip" if self.groups is None else "uploader"

    @functools.cached_property
    def best(self) -> pd.DataFrame:
        """Each model's best system, best model first."""
        return best_systems(self.scores, self.n)

    @functools.cached_property
    def results(self) -> dict:
        """Results of each query by model, class-wise and micro, of each model's best system."""
        return experiment.read_results(self.store, self.dataset, self.grid, self.best, self.collection)

    # Tables, with their captions.

    @property
    def _by(self) -> str:
        return f"{self.on}: each model's best system by macro MAP@{self.n}, "

    @property
    def _by_class(self) -> str:
        return text.conventions("class", self.protocol, unit=self.unit)

    @functools.cached_property
    def stability(self) -> Shown:
        """Whether the order would stand if other queries were drawn (`comparisons.rank_stability`)."""
        of: dict[str, Any] = {"n": self.n, "protocol": self.protocol, "groups": self.groups}
        table = comparisons.rank_stability(self.results, self.collection.labels, **of)
        between = f"chance has {self.bounds['chance']:.3f}, the ceiling {self.bounds['ceiling']:.3f}"
        words = f"{self._by}{self._by_class}; {between}: how its rank and its difference from the best "
        words += "would stand"
        return tables.with_coverage(table, self.scores), words

    def comparison(self) -> Shown:
        """Each model at its best, between ceiling and chance."""
        stability, _ = self.stability
        p = dict(zip(stability["system"], stability["p_holm"], strict=True))
        cutoffs = self.grid.cutoffs[:2]
        table = tables.comparison(self.scores, self.chance, self.ceiling, cutoffs=cutoffs, p=p)
        words = text.caption(self.collection, self.n, self.protocol, unit=self.unit, on=self.on)
        return table, words + tables.ending(self.scores)

    def variations(self) -> Shown:
        """Each model's best variation."""
        words = self._by + text.conventions("class", self.protocol)
        words += "; a row for the best variation of each model"
        return tables.variations(self.scores, self.n), words

    def approximations(self) -> tuple[dict[str, pd.DataFrame], str]:
        """Table of each variant that has approximate searches (`tradeoffs.against_exact`), and a caption."""
        of = (self.store, self.dataset, self.grid, self.collection)
        words = f"{self.on}, {text.conventions(unit=self.unit)}; times on one machine, all clips querying"
        return tradeoffs.read_approximations(*of, groups=self.groups), words

    def by_relevance(self) -> Shown:
        """Each model's best system by every rule of what counts."""
        found = tables.by_relevance(of_systems(self.scores, self.best), self.n, protocol=self.protocol)
        found = found[["model", *found.columns[len(SYSTEM) :]]]
        words = self._by + text.conventions("as the columns say", self.protocol)
        return tables.with_coverage(found, self.scores), f"{words}; graded is NDCG@{self.n}"

    def losses(self) -> Shown | None:
        """What each loses without the clips of the query's own uploader; None where none are known."""
        prefix = "class without "
        rules = [name for name in self.scores["relevance"].unique() if name.startswith(prefix)]
        if not rules:
            return None
        origin = rules[0].removeprefix(prefix)
        of = (self.store, self.dataset, self.grid, self.best, self.collection)
        fewer = experiment.read_results(*of, relevance=rules[0])
        pairs = {model: (self.results[model], fewer[model]) for model in self.results}
        own = relevance.origins(self.collection.clips, origin)
        of_queries: dict[str, Any] = {"n": self.n, "protocol": self.protocol, "groups": own}
        table = comparisons.losses(pairs, self.collection.labels, **of_queries)
        words = self._by + text.conventions("class", self.protocol, unit=origin)
        return tables.with_coverage(table, self.scores), f"{words}, and its loss by {rules[0]!r}"

    def claims(self) -> Shown:
        """The study's claims, tested on the systems that differ in one thing only."""
        available, _ = experiment.split_by_availability(self.store, self.dataset, self.grid)
        searches = set(self.scores["search"].unique())
        systems = [one for one in available if one[1] in searches]
        rows = (row for _, row in self.best.iterrows() if not models.spec(row.model).is_baseline)
        of_best = [experiment.system_of(row) for row in rows]
        scores_of = experiment.class_scores(self.store, self.dataset, self.grid, self.collection, self.n)
        queries, _ = next(iter(self.results.values()))
        found = [
            claims.check(some, of, scores_of, queries.label, queries.query, groups=self.groups)
            for some, of in ((claims.PROCESSING, systems), (claims.MODALITIES, of_best))
        ]
        words = f"{self.on}, macro MAP@{self.n}, {self._by_class}: the study's claims, on each pair of "
        return pd.concat(found), words + "systems of the grid that tests one"

    def steps(self) -> Shown:
        """Steps beyond the study, each beside the system that lacks it (`beyond.steps`)."""
        available, _ = experiment.split_by_availability(self.store, self.dataset, self.grid)
        searches = set(self.scores["search"].unique())
        systems = [one for one in available if one[1] in searches]

        @functools.lru_cache(maxsize=16)
        def results_of(system: beyond.System, rule: str) -> comparisons.Results:
            of = (self.store, self.dataset, *system, self.grid.cutoffs, self.collection, rule)
            return experiment.results_of(*of)

        rules = [
            one for one in self.scores["relevance"].unique() if one in ("class", "class without uploader")
        ]
        of: dict[str, Any] = {"protocol": self.protocol, "groups": self.groups}
        table = beyond.steps(systems, results_of, self.collection.labels, self.n, rules, **of)
        words = f"{self.on}, macro MAP@{self.n}, {self._by_class}: each step beside what lacks it, a and b; "
        return table, words + "p corrected by Holm; of a fusion b is the best of its models"

    def beyond(self) -> dict[str, Shown]:
        """Tables of what goes beyond the study: steps of processing and search, other ways, queries apart."""
        available, _ = experiment.split_by_availability(self.store, self.dataset, self.grid)
        of = (self.store, self.dataset, self.grid)
        found = {"beyond": self.steps()}
        words = f"{self.on}, macro MAP@{self.n}, {text.conventions('class', 'standard', unit='uploader')}: "
        ways = beyond.ways(apart.read_ways(*of, available))
        found["ways"] = (
            ways,
            words + "each way beside its variant's own, a and b; p corrected by Holm, none of marks; p is of "
            "these uploaders, the interval of others too",
        )
        for name in self.grid.queries:
            results, labels, groups = apart.read_asked(*of, available, name)
            if not results:
                continue
            of_asked = pd.DataFrame([{**one.parameters(), "search": search} for one, search in results])
            scores = of_systems(self.scores, of_asked.astype({"n_components": "Int64"}))
            best = best_systems(scores, self.n, protocol=self.protocol)
            systems = [experiment.system_of(row) for _, row in best.iterrows()]
            table = beyond.asked(results, labels, systems, self.n, groups)
            ends = f"{name} asks each model's best system by its own queries; p corrected by Holm"
            found[f"asked-{name}"] = table, words + ends
        return {name: shown for name, shown in found.items() if len(shown[0])}

    @functools.cached_property
    def published(self) -> pd.DataFrame:
        """Scores to hold against the published ones: of FSD50K's eval set, each system on all its clips."""
        alone = common_clips.read_scores(self.store, self.dataset, self.whole)
        return alone if self.dataset == "fsd50k" else alone.iloc[:0]

    # What the best systems find, clip by clip.

    @property
    def best_name(self) -> str:
        """Name of the best system, as notebook 06 has it."""
        return self._name_of(self.best["model"].iloc[0])

    def _name_of(self, model: str) -> str:
        variant, search = experiment.system_of(self.best.set_index("model", drop=False).loc[model])
        return f"{variant.name}/{search}"

    def own_session(self, n: int = 5) -> pd.DataFrame:
        """The query with most clips of its own uploader among the best system's first n: fname, label."""
        clips, found = self.collection.clips, self.neighbours(self.best["model"].iloc[0])[:, :n]
        groups = self.groups
        if groups is None:
            return pd.DataFrame({"fname": [], "label": []})
        own = (groups[found] == groups[:, None]) & (found >= 0)
        row = int(own.sum(axis=1).argmax())
        return pd.DataFrame({"fname": [clips["fname"][row]], "label": [clips["labels"][row][0]]})

    def disagreements(self, one: str, other: str, n_rows: int = 4) -> pd.DataFrame:
        """Queries with the largest gap between two models: some where one is better, then the other."""
        fnames = self.collection.clips["fname"].tolist()
        of: dict[str, Any] = {"n": self.n, "protocol": self.protocol}
        gaps = tables.disagreements(
            self.results[one], self.results[other], fnames, self.collection.labels, **of
        )
        gaps = gaps.drop_duplicates("fname")  # a clip queries once for each of its classes
        ends = [gaps[gaps["gap"] > 0].head(n_rows), gaps[gaps["gap"] < 0].head(n_rows)]
        return pd.concat(ends, ignore_index=True)

    def neighbours(self, model: str) -> np.ndarray:
        """Results of the best system of a model among the common clips: int32 [n_clips, n], -1 at the end."""
        x, search = self._embedded(model)
        return rank(x, search, top_n=min(self.n, len(x) - 1)).neighbours

    def _embedded(self, model: str) -> tuple[np.ndarray, str]:
        """Vectors of the common clips, in their order, and the search of the best system of a model."""
        variant, search = experiment.system_of(self.best.set_index("model", drop=False).loc[model])
        table = self.store.embeddings(self.dataset, variant).read()
        row_of = {fname: row for row, fname in enumerate(table["fname"].to_pylist())}
        rows = [row_of[fname] for fname in self.collection.clips["fname"]]
        return to_matrix(table["embedding"])[rows], search

    def confusion(self, most: int = 40) -> tuple[pd.DataFrame, pd.DataFrame, int]:
        """What the best system mistakes for what, among the classes without a child in the collection.

        Returns
        -------
        shares : pd.DataFrame
            As `confusion.between_classes`, of the at most `most` classes in the largest shares.
        mistaken : pd.DataFrame
            As `confusion.most_confused`, of all.
        n_classes : int
            How many can be queried.
        """
        labels, matrix = self.collection.labels, self.collection.label_matrix
        found = self.neighbours(self.best["model"].iloc[0])
        shares = confusion.between_classes(found, matrix, labels, self.n)
        is_leaf = dict(zip(labels, np.asarray(relevance.define("leaf", labels).weights) > 0, strict=True))
        names = select(self.scores, "MAP", self.n, level="class")["name"].unique()
        queried = [name for name in names if is_leaf[name]]
        between = shares.loc[queried, queried]
        together = pd.DataFrame(confusion.occur_together(matrix), labels, labels)
        related = together.loc[queried, queried].to_numpy()
        shown = confusion.classes_confused(between, related, most)
        return between.loc[shown, shown], confusion.most_confused(between, related, 8), len(queried)

    def places(self) -> tuple[np.ndarray, list[str]] | None:
        """Each clip in the plane by the best system, and its family; None for a ranking of others."""
        if experiment.system_of(self.best.iloc[0])[0].is_ranking:
            return None
        x, _ = self._embedded(self.best["model"].iloc[0])
        return projection.project(x), examples.families_of(self.collection)

    def listen(self, queries: pd.DataFrame, *of_models: str, n: int = 1) -> "HTML":
        """Players of some queries, rows of `disagreements`, and of their first results by some models.

        A link leads to all of their results on the page of `make listen`, as long as that is served.
        """
        from IPython.display import HTML

        clips = self.collection.clips
        row_of = {fname: row for row, fname in enumerate(clips["fname"])}
        found = {model: self.neighbours(model) for model in of_models}
        listed = []
        for fname, label in zip(queries["fname"], queries["label"], strict=True):
            row = row_of[fname]
            results = [("query", row), *((m, i) for m in of_models for i in found[m][row, :n].tolist())]
            listed.append([self._heard(who, i, label) for who, i in results if i >= 0])
            names = [self._name_of(model) for model in of_models]
            address = text.listening_address(names, q=fname, **{"class": label})
            listed[-1][0] += (
                f'<a href="{html.escape(address)}" title="while make listen runs">all results</a>'
            )
        return HTML(f"<table>{''.join(players.cells('td', row) for row in listed)}</table>")

    def _heard(self, who: str, row: int, label: str) -> str:
        clip = self.collection.clips.iloc[row]
        is_query, has = who == "query", label in clip["labels"]
        role = f"query: {label}" if is_query else f"{tables.display_name(who)} {'✓' if has else '✗'}"
        by = f"{uploader}<br>" if (uploader := html.escape(clip.get("uploader") or "")) else ""
        role = html.escape(role.replace("_", " "))
        return f"<b>{role}</b><br>{players.about(self.collection, row)}<br>{by}{players.player(clip['path'])}"

    # Files.

    @functools.cached_property
    def caption(self) -> str:
        """End of each figure's caption."""
        on = (self.collection, self.protocol, self.n, self.on)
        return tables.figure_caption(self.pictured, *on)

    def save(self, figure: Figure, name: str, caption: str, *, of_run: bool = True) -> None:
        """Save a figure as `plots.save` does; its caption ends as all captions of a run do."""
        words = f"{caption} {self.caption}" if of_run else caption
        self.written += style.save(figure, self.folder, name, words)

    def draw(
        self,
        plot: Callable[..., Axes],
        name: str,
        caption: str,
        size: tuple[float, float],
        *more: object,
        of: pd.DataFrame | None = None,
        legend: bool = False,
        title: str = "",
        **options: object,
    ) -> None:
        """Draw a figure with one of `plots`, of a table or by default of the scores, and save it.

        Parameters
        ----------
        plot : callable
            Takes the table, more, an Axes, n and options.
        name, caption
            As in `save`.
        size : tuple of float
            Width and height in inches.
        """
        figure, ax = plt.subplots(figsize=size)
        plot(self.pictured if of is None else of, *more, ax, n=self.n, **options)
        if title:
            ax.set_title(title, loc="left")
        if legend:
            style.legend(figure)
        self.save(figure, name, caption)

    def write(self, name: str, table: pd.DataFrame, caption: str = "") -> None:
        """Write a table as CSV, and with a caption also as LaTeX and Markdown, unless it has no row."""
        for suffix in ("csv", "tex", "md") if caption and len(table) else ("csv",):
            path = self.folder / f"{name}.{suffix}"
            self.written.append(text.write(table, path, caption=caption, digits=4))

    def write_scores(self) -> None:
        """Write what the paper, the poster and the slides read besides: scores as CSV, and run.json."""
        of_class = of_exact(self.every[self.every["relevance"] == "class"])
        of_class = of_class[of_class["level"] != "class"]
        macro = of_class[(of_class["level"] == "macro") & (of_class["protocol"] == self.protocol)]
        self.write("best", of_systems(of_class, self.best))
        self.write("systems", macro)
        by: dict[str, Any] = {"grid": str(self.grid_path), "protocol": self.protocol}
        by |= {"cutoffs": self.grid.cutoffs, **self.bounds}
        path = self.folder / reproduction.RUN
        self.written.append(paper.write_run(path, self.everything, self.collection, **by))

    def finish(self, notebook: str, table: pd.DataFrame, caption: str) -> None:
        """Keep the main table of a notebook, and the names of its files, by which a run knows it is done."""
        artefact = experiment.comparison_artefact(self.store, self.dataset, self.whole, notebook)
        if artefact.is_intact():  # files that it wrote for the grid as it was, and doesn't write any more
            names = {Path(name).name for name in artefact.metadata().get("figures", ())}
            for name in names - {path.name for path in self.written}:
                (self.folder / name).unlink(missing_ok=True)
        artefact.write(table, caption=caption, figures=[path.name for path in self.written])
