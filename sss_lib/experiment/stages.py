"""Which notebooks a grid needs on one dataset, stage by stage."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sss_lib.dataset import sources, table
from sss_lib.dataset.ground_truth import DatasetError
from sss_lib.evaluation import ways
from sss_lib.experiment import reproduction, results
from sss_lib.experiment.grid import MAIN, NOTEBOOKS, read_grid
from sss_lib.experiment.store import Artefact, Store
from sss_lib.experiment.task import Task
from sss_lib.experiment.variant import Variant
from sss_lib.extraction import parts
from sss_lib.io.names import listed, require_known, seen_from
from sss_lib.models import registry as models
from sss_lib.models.naming import FUSION
from sss_lib.search.naming import parse

System = tuple[Variant, str]
"""A variant and a search."""
FIGURES: dict[str, dict] = {"05b_confidence": {}, "05c_study": {}, "05_figures": {"clickable": False}}
"""Notebooks of the last stage, and what a run gives them. 05 comes last: its run.json says all is there."""


FEW_CLIPS = 1000
"""Of a collection whose models are run several at a time."""


@dataclass
class Stages:
    """The tasks of a grid on one dataset. Those of a stage are known once the stages before have run.

    Attributes
    ----------
    grid_path, dataset, store, figures_root, n_jobs, choice, cluster
        See `runner.Runner`.
    failed : set of str
        Names of the models and variants whose notebooks failed: what needs them is left out.
    """

    grid_path: Path
    dataset: str
    store: Store
    figures_root: Path
    n_jobs: int
    choice: Mapping[str, Any]
    cluster: str | None = None
    failed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.grid, self.left_out = read_grid(self.grid_path).available()
        for one in filter(None, self.grid.fit_on):
            require_known(one, [*sources.KNOWN, *self._written()], "the collections that fit_on can name")
        of_name = {key: self.choice.get(key) for key in ("query", "name", "ground_truth", "window")}
        self.name = sources.name_of(self.dataset, **of_name)
        self.unscored = ""  # why nothing can be scored, known once the dataset is loaded
        # Committed results are replaced only by a run that differs: see `reproduction.settle`.
        self.is_committed = (self.name, self.grid.name) == (reproduction.COMMITTED, MAIN)
        self.figures_dir = self.figures_root / reproduction.folder_name(self.name, self.grid)
        self.written_dir = self._figures_folder()
        self._systems_of: tuple | None = None
        self._found: tuple[list[System], list[str]] = ([], [])

    def _written(self) -> list[str]:
        """Collections that 00 has run on."""
        return [path.stem for path in listed(self.store.data_dir / "datasets", "*.parquet")]

    def _apart(self) -> list[str]:
        """What queries and ways of the grid name."""
        return [*self.grid.queries, *filter(None, (ways.parse(way).part for way in self.grid.ways))]

    def tasks(self) -> dict[str, Callable[[], list[Task]]]:
        """Notebooks in their order, and what gives the tasks of each."""
        return {
            "00_dataset": self.of_dataset,
            "01_extraction": self.of_extraction,
            "02_processing": self.of_processing,
            "03_search": self.of_search,
            "04_evaluation": self.of_evaluation,
            "05_figures": self.of_figures,
        }

    def systems(self) -> tuple[list[System], list[str]]:
        """Systems of the models that have not failed, and a sentence on each that is left out."""
        working = tuple(name for name in self.grid.models if models.file_name(name) not in self.failed)
        if not working:
            return [], []
        grid = replace(self.grid, models=working)
        n_clips = results.n_clips(self.store, self.name, grid)
        if (working, n_clips) != self._systems_of:
            try:
                found = grid.systems(n_clips)
            except ValueError as error:
                if not self.failed:
                    raise
                found = [], [str(error)]  # all that the grid asks for has failed
            if self._apart() and self.store.dataset(self.name).is_intact():
                found[1].extend(
                    f"{name} is the collection that is searched: name another for queries and ways"
                    if name == self.name
                    else f"{name} isn't embedded by {model}: run 00 and 01 on it first"
                    for name, model in itertools.product(dict.fromkeys(self._apart()), working)
                    if not self.store.has_apart(self.name, name, model)
                )
            self._systems_of, self._found = (working, n_clips), found
        return self._found

    def of_dataset(self) -> list[Task]:
        """The task of notebook 00."""
        found = sources.load(self.dataset, self.store.data_dir, **self.choice)
        try:
            found.require_labels()
        except DatasetError as error:
            self.unscored = str(error)
        splits = sorted({*found.clips["split"]} - {""})
        for one in self._apart():
            names = [*sources.KNOWN, *self._written(), *splits]
            for split in [one] if one in names else one.split("+"):
                require_known(split, names, "the collections and splits that queries and ways can name")
        source = table.fingerprint(found)
        known, root = sources.known_as(self.dataset)
        given = self.dataset if known else seen_from(root, NOTEBOOKS)
        of_files = {key: path for key in ("ground_truth", "families") if (path := self.choice.get(key))}
        choice = {**self.choice, **{key: seen_from(path, NOTEBOOKS) for key, path in of_files.items()}}
        parameters = {"data_dir": self._data_dir, "dataset": given, **choice}
        return [Task("00_dataset", self.name, parameters, (self.store.dataset(self.name, source=source),))]

    def extracts_abreast(self) -> bool:
        """Whether several models run at a time, in a process each: workers take long to start.

        With many clips, each model has all workers, lest one be alone with the slowest in the end.
        """
        table = self.store.dataset(self.name)
        is_small = table.is_intact() and table.metadata()["n_clips"] <= FEW_CLIPS
        return is_small and self.n_jobs > 1 and not self.cluster

    def of_extraction(self) -> list[Task]:
        """A task for each model."""
        n_jobs = 1 if self.extracts_abreast() else self.n_jobs
        base = {"data_dir": self._data_dir, "dataset": self.name, "n_jobs": n_jobs}
        base |= {"cluster": self.cluster} if self.cluster else {}
        tasks = []
        for model in self.grid.models:
            frames = self.store.frames(self.name, model)
            files = parts.part_files(frames) if frames.is_current() else ()
            name = models.file_name(model)
            tasks.append(Task("01_extraction", name, {**base, "model": model}, (frames,), files))
        return tasks

    def of_processing(self) -> list[Task]:
        """A task for each variant."""
        tasks = self._of_variants(
            "02_processing",
            lambda v, _: [one(self.name, v) for one in (self.store.embeddings, self.store.fitted)],
        )
        return [one for one in tasks if not str(one.parameters["model"]).startswith(FUSION)]

    def of_search(self) -> list[Task]:
        """A task for each variant, which makes all its rankings, and first those that a fusion carries."""
        top_n = max(self.grid.cutoffs)
        return self._of_variants(
            "03_search",
            lambda v, searches: [
                *([self.store.embeddings(self.name, v)] if v.parts else []),
                *(self.store.ranking(self.name, v, s, top_n=top_n) for s in searches),
                *(self.store.index(self.name, v, s) for s in searches if not parse(s).is_exact),
            ],
            top_n=top_n,
        )

    def of_evaluation(self) -> list[Task]:
        """A task for each variant, which scores all its rankings; none if no two clips share a label."""
        if self.unscored:
            return []
        cutoffs, grid = self.grid.cutoffs, self.grid
        others = {key: list(names) for key in ("queries", "ways") if (names := getattr(grid, key))}
        return self._of_variants(
            "04_evaluation",
            lambda v, searches: [
                *(
                    written(self.name, v, s, cutoffs=cutoffs)
                    for s in searches
                    for written in (self.store.scores, self.store.per_query)
                ),
                *(one for s in searches for one in self.store.of_others(self.name, grid, v, s)),
            ],
            cutoffs=list(cutoffs),
            **others,
        )

    def of_figures(self) -> list[Task]:
        """The tasks of notebooks 05b, 05c and 05, which ends the run; none without scores or systems."""
        if self.unscored or not self.systems()[0]:
            return []
        self.written_dir = self._figures_folder()
        parameters = {
            "data_dir": self._data_dir,
            "figures_dir": seen_from(self.written_dir, NOTEBOOKS),
            "dataset": self.name,
            "grid": seen_from(self.grid_path, NOTEBOOKS),
        }
        tasks = []
        main = results.comparison_artefact(self.store, self.name, self.grid)
        for notebook, more in FIGURES.items():
            table = results.beside(main, notebook)
            names = table.metadata().get("figures", ()) if table.is_current() else ()
            figures = tuple(self.written_dir / name for name in names)
            name, given = f"{self.name}-{self.grid.name}", {**parameters, **more}
            tasks.append(Task(notebook, name, given, (table,), figures))
        return tasks

    def _figures_folder(self) -> Path:
        """Folder of the figures, if all models of the grid can be run, and none has failed so far."""
        of = (self.store, self.name, self.grid, self.figures_root)
        return reproduction.figures_folder(*of, is_whole=not (self.failed or self.left_out))

    def _of_variants(
        self, notebook: str, outputs: Callable[[Variant, list[str]], Iterable[Artefact]], **more: object
    ) -> list[Task]:
        """A task for each variant that hasn't failed, with the searches that the grid wants of it."""
        base = {"data_dir": self._data_dir, "dataset": self.name}
        searches: dict[Variant, list[str]] = {}
        for variant, search in self.systems()[0]:
            searches.setdefault(variant, []).append(search)
        return [
            Task(
                notebook,
                variant.name,
                {**base, **variant.parameters(), **({"searches": of_variant, **more} if more else {})},
                tuple(outputs(variant, of_variant)),
            )
            for variant, of_variant in searches.items()
            if self.failed.isdisjoint(one.name for one in (variant, *variant.parts))
        ]

    @property
    def _data_dir(self) -> str:
        """The data folder as notebooks see it, which run in their own folder."""
        return seen_from(self.store.data_dir, NOTEBOOKS)
