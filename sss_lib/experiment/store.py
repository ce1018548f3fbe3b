"""Where each artefact lives: a `Store` knows the tree under the data folder and hands out `Artefact`s.

Artefacts themselves are in `io.artefact`, and those of the CBMI 2024 code in `io.given_files`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from sss_lib.extraction.parts import code_of
from sss_lib.io.artefact import (
    Artefact,
    DamagedArtefactError,
    Frames,
    StaleArtefactError,
    file_digest,
    replacing,
    to_frames,
    to_matrix,
    to_table,
)
from sss_lib.io.code import code_digest
from sss_lib.io.given_files import read_json_embeddings
from sss_lib.io.names import listed, require_text
from sss_lib.io.writing import clear_leftovers
from sss_lib.models.naming import FUSION
from sss_lib.processing.aggregation import selection

if TYPE_CHECKING:
    from sss_lib.experiment.grid import Grid
    from sss_lib.experiment.variant import Variant
    from sss_lib.processing.fitting import Processing

__all__ = ["Artefact", "DamagedArtefactError", "Frames", "StaleArtefactError", "Store", "code_digest"]
__all__ += ["file_digest", "read_json_embeddings", "replacing", "to_frames", "to_matrix", "to_table"]

_FOLDERS = ["datasets", "embeddings", "similarity_rankings", "indexes", "evaluation_results", "figures"]
_FOLDERS += ["judgements", "runs"]

_P = ParamSpec("_P")


def _once(
    method: Callable[Concatenate["Store", _P], Artefact],
) -> Callable[Concatenate["Store", _P], Artefact]:
    """Cache the artefacts of a method of Store: a grid asks for the same ones thousands of times."""

    @functools.wraps(method)
    def remembering(self: "Store", /, *args: _P.args, **options: _P.kwargs) -> Artefact:
        about = ((name, tuple(o) if isinstance(o, list) else o) for name, o in options.items())
        key = (method.__name__, args, *about)
        if key not in self._made:
            self._made[key] = method(self, *args, **options)
        return self._made[key]

    return remembering


class Store:
    """The tree under a data folder: every path of every artefact is made here, and none is parsed back.

    A store caches its artefacts, whose recipes name the weights. Make a new one once weights have changed.

    Parameters
    ----------
    data_dir : str or Path, optional
        The folder that holds, or will hold, datasets/, embeddings/, similarity_rankings/ and so on; by
        default the data folder of this checkout, wherever a notebook is run from.
    """

    def __init__(self, data_dir: str | Path | None = None):
        self.data_dir = Path(data_dir or Path(__file__).parents[2] / "data")
        self._made: dict[tuple, Artefact] = {}

    def dataset(self, dataset: str, **inputs: str) -> Artefact:
        """Clips and labels of a dataset, written by notebook 00.

        Raises
        ------
        ValueError
            If a path or a number is given in place of a name.
        """
        require_text(dataset, "dataset")
        if Path(dataset).name != dataset:
            raise ValueError(
                f"dataset={str(dataset)!r} is a path: 00_dataset reads it, and from 01 on the collection "
                f"goes by the name that 00 prints, such as {Path(dataset).name!r}"
            )
        path = self.data_dir / "datasets" / f"{dataset}.parquet"
        return Artefact(path, {"dataset": dataset}, inputs, ("dataset",), "00_dataset")

    def frames_dir(self, dataset: str, model: str) -> Path:
        """Folder of one model's frame embeddings: part files and failures.csv, written by notebook 01."""
        from sss_lib.models.registry import file_name

        return self.data_dir / "embeddings" / dataset / file_name(model)

    @_once
    def frames(self, dataset: str, model: str) -> Artefact:
        """List of the parts that hold one model's frame embeddings, written by notebook 01."""
        from sss_lib.models import spec

        if str(model).startswith(FUSION):
            raise ValueError(f"{model} has rankings alone: run 02 on each of its models, then 03 on it")
        path = self.frames_dir(dataset, model) / "parts.parquet"
        code = code_of(spec(model))
        inputs, parameters = {"dataset": self.dataset(dataset)}, spec(model).parameters()
        return Artefact(path, parameters, inputs, code, "01_extraction", shown_parameters=("model",))

    @_once
    def embeddings(self, dataset: str, variant: "Variant") -> Artefact:
        """Clip embeddings of a variant, written by notebook 02; of a fusion its rankings, by notebook 03."""
        path = self.data_dir / "embeddings" / dataset / f"{variant.name}.parquet"
        if variant.parts:
            of_parts = {part.name: self.embeddings(dataset, part) for part in variant.parts}
            return Artefact(path, variant.parameters(), of_parts, ("search",), "03_search")
        inputs = {"frames": self.frames(dataset, variant.model)}
        if variant.fit_on:
            inputs |= {"fit_on": self.frames(variant.fit_on, variant.model)}
        code = ("processing", "models.levels") if selection(variant.aggregation) else ("processing",)
        return Artefact(path, variant.parameters(), inputs, code, "02_processing")

    @_once
    def fitted(self, dataset: str, variant: "Variant") -> Artefact:
        """What the processing of a variant has fitted on the clips, written by notebook 02."""
        embeddings = self.embeddings(dataset, variant)
        path = embeddings.path.with_name(f"{variant.name}.fitted.parquet")
        return dataclasses.replace(embeddings, path=path)

    def read_fitted(self, dataset: str, variant: "Variant") -> "Processing":
        """Processing of a variant, as fitted on a dataset: to be called with embeddings of new clips."""
        from sss_lib.processing.fitting import Processing

        table = self.fitted(dataset, variant).read()
        arrays = dict.fromkeys(("low", "width", "mean", "deviation", "components"))
        for name in table.schema.names:
            flat = name != "components"
            arrays[name] = table[name].to_numpy() if flat else to_matrix(table[name])
        return Processing(**arrays, normalize=variant.normalize, pre_normalize=variant.pre_normalize)

    @_once
    def ranking(self, dataset: str, variant: "Variant", search: str, *, top_n: int = 150) -> Artefact:
        """Ranking of a variant by one search, written by notebook 03."""
        path = self.data_dir / "similarity_rankings" / dataset / variant.name / f"{search}.parquet"
        parameters = {**variant.parameters(), "search": search, "top_n": top_n}
        inputs = {"embeddings": self.embeddings(dataset, variant)}
        return Artefact(path, parameters, inputs, ("search",), "03_search")

    @_once
    def index(self, dataset: str, variant: "Variant", search: str) -> Artefact:
        """Index of an approximate search, for sounds from outside, written by notebook 03."""
        path = self.data_dir / "indexes" / dataset / variant.name / f"{search}.parquet"
        parameters = {**variant.parameters(), "search": search}
        inputs = {"embeddings": self.embeddings(dataset, variant)}
        return Artefact(path, parameters, inputs, ("search",), "03_search")

    @_once
    def scores(
        self,
        dataset: str,
        variant: "Variant",
        search: str,
        *,
        cutoffs: Sequence[int] = (15, 150),
        exclude: str | None = "uploader",
    ) -> Artefact:
        """Tidy scores of a variant and search, written by notebook 04."""
        from sss_lib.dataset.table import Vocabulary
        from sss_lib.evaluation.relevance import ONTOLOGY

        folder = self.data_dir / "evaluation_results" / dataset / variant.name
        ranking = self.ranking(dataset, variant, search, top_n=max(cutoffs))
        parameters = {**ranking.parameters, "cutoffs": list(cutoffs), "exclude": exclude}
        inputs: dict[str, Artefact | str]
        labels = self.dataset(dataset)
        inputs = {"ranking": ranking, "labels": labels, "classes": file_digest(ONTOLOGY)}
        inputs |= {"vocabulary": Vocabulary(labels.path, {})}
        return Artefact(folder / f"{search}.parquet", parameters, inputs, ("evaluation",), "04_evaluation")

    def per_query(self, dataset: str, variant: "Variant", search: str, **options: Any) -> Artefact:
        """AP and R1 of every query, beside the scores and with their options, written by notebook 04."""
        return queries_of(self.scores(dataset, variant, search, **options))

    def has_apart(self, dataset: str, name: str, model: str) -> bool:
        """Whether a collection apart has frames of a model, or a dataset such a split; "" needs none."""
        if not name:
            return True
        if name != dataset and self.dataset(name).path.is_file():
            return self.frames(name, model).is_intact()
        clips = self.dataset(dataset)  # of which a plan may know nothing yet
        return not clips.path.is_file() or {*name.split("+")} <= {*clips.read(["split"])["split"].to_pylist()}

    def asked(
        self,
        dataset: str,
        variant: "Variant",
        search: str,
        *,
        queries: str,
        cutoffs: Sequence[int] = (15, 150),
    ) -> tuple[Artefact, Artefact]:
        """What queries of another collection, or of a split, score; and each of them. By notebook 04."""
        path = self.data_dir / "evaluation_results" / dataset / variant.name / f"asked-{queries}"
        parameters = {**variant.parameters(), "search": search, "queries": queries, "cutoffs": list(cutoffs)}
        inputs = self._apart(dataset, variant, queries)
        code = ("evaluation", "processing", "experiment.apart")
        made = Artefact(path / f"{search}.parquet", parameters, inputs, code, "04_evaluation")
        return made, queries_of(made)

    @_once
    def way(self, dataset: str, variant: "Variant", *, way: str, n: int) -> Artefact:
        """Another way to rank a variant's clips beside its own (`evaluation.ways`), by notebook 04."""
        from sss_lib.evaluation.ways import parse

        path = self.data_dir / "evaluation_results" / dataset / variant.name / "ways" / f"{way}.parquet"
        inputs = self._apart(dataset, variant, parse(way).part)
        if parse(way).kind == "frames":
            inputs |= {"frames": self.frames(dataset, variant.model)}
        code = ("evaluation", "processing", "experiment.apart")
        return Artefact(
            path, {**variant.parameters(), "way": way, "cutoff": n}, inputs, code, "04_evaluation"
        )

    def _apart(self, dataset: str, variant: "Variant", name: str) -> dict[str, Artefact | str]:
        """Clips that are searched and their labels, and those of a collection apart."""
        inputs: dict[str, Artefact | str]
        inputs = {"embeddings": self.embeddings(dataset, variant), "labels": self.dataset(dataset)}
        if name and self.dataset(name).path.is_file():
            inputs |= {"apart": self.frames(name, variant.model), "labels apart": self.dataset(name)}
        return inputs

    def of_others(self, dataset: str, grid: "Grid", variant: "Variant", search: str) -> Iterable[Artefact]:
        """What a grid wants of a system besides: what queries apart score, and other ways."""
        from sss_lib.evaluation.ways import parse
        from sss_lib.experiment.rules import suits, takes_queries

        for name in grid.queries:
            if takes_queries(variant, search) and self.has_apart(dataset, name, variant.model):
                yield from self.asked(dataset, variant, search, queries=name, cutoffs=grid.cutoffs)
        for way in grid.ways:
            if suits(variant, way) and self.has_apart(dataset, parse(way).part, variant.model):
                yield self.way(dataset, variant, way=way, n=grid.cutoffs[0])

    def scores_among(
        self, dataset: str, variant: "Variant", search: str, clips: str, **options: Any
    ) -> Artefact:
        """Tidy scores of a search among some of the clips, by a digest of these; see `results.scores_on`."""
        scores = self.scores(dataset, variant, search, **options)
        path = scores.path.parent / f"among-{clips}" / scores.path.name
        inputs = {**scores.inputs, "embeddings": self.embeddings(dataset, variant)}
        del inputs["ranking"]
        parameters = {**scores.parameters, "clips": clips}
        return dataclasses.replace(
            scores, path=path, parameters=parameters, inputs=inputs, made_by="05_figures"
        )

    def comparison(self, dataset: str, grid: "Grid", systems: Iterable[tuple]) -> Artefact:
        """Table of each model's best system among those of a grid, written by notebook 05.

        Parameters
        ----------
        dataset : str
        grid : experiment.Grid
        systems : iterable of (Variant, str)
            The variants and searches of the grid.
        """
        inputs: dict[str, Artefact | str] = {
            f"{variant.name}/{search}": self.scores(dataset, variant, search, cutoffs=grid.cutoffs)
            for variant, search in systems
        }
        for variant, search in systems:
            of_others = self.of_others(dataset, grid, variant, search)
            written = (one for one in of_others if one.path.is_file())
            inputs |= {str(one.path.relative_to(self.data_dir)): one for one in written}
        of_grid = f"comparison-{grid.name}" if grid.name else "comparison"
        path = self.data_dir / "evaluation_results" / dataset / f"{of_grid}.parquet"
        published = listed(Path(__file__).parents[2] / "data" / "paper", "*.csv")
        inputs |= {f"published {path.stem}": file_digest(path) for path in published}
        code = ("figures", "models.catalogue")
        return Artefact(path, dataclasses.asdict(grid), inputs, code, "05_figures")

    def all_scores(self) -> list[Artefact]:
        """Scores of whatever was evaluated, by path; their metadata has what made them."""
        folder = self.data_dir / "evaluation_results"
        every = [
            path for pattern in ("*/*/*", "*/*/among-*/*") for path in listed(folder, f"{pattern}.parquet")
        ]
        return _intact(sorted(one for one in every if not one.name.endswith(".queries.parquet")))

    def clear_leftovers(self) -> None:
        """Delete temporary files that killed runs left among the artefacts, figures and notebooks."""
        clear_leftovers(self.data_dir, deep=False)  # not among the sounds of known collections
        for name in _FOLDERS:
            clear_leftovers(self.data_dir / name)

    def leaderboard_path(self) -> Path:
        """Every score that was ever computed: beside the results, so that it outlives them."""
        return self.data_dir / "leaderboard.parquet"

    def ranked(self, dataset: str) -> list[dict]:
        """Parameters of every ranking that exists of a dataset, as the files themselves say."""
        return _parameters_of(listed(self.data_dir / "similarity_rankings" / dataset, "*/*.parquet"))

    def evaluated(self, dataset: str) -> list[dict]:
        """Parameters of everything that has been evaluated on a dataset, as the files themselves say."""
        return _parameters_of(listed(self.data_dir / "evaluation_results" / dataset, "*/*.queries.parquet"))

    def layout(self, dataset: str, variant: "Variant", how: str) -> Artefact:
        """Places of the clips of a variant on a map of two dimensions, written by notebook 06."""
        path = self.data_dir / "embeddings" / dataset / f"{variant.name}.{how}.parquet"
        parameters = {**variant.parameters(), "layout": how}
        inputs = {"embeddings": self.embeddings(dataset, variant)}
        return Artefact(path, parameters, inputs, ("processing.projection",), "06_listening")

    def judgements(self, dataset: str) -> Path:
        """File that the judgements of listeners are appended to, by notebook 06."""
        return self.data_dir / "judgements" / f"{dataset}.jsonl"

    def figures_dir(self, name: str) -> Path:
        """Folder that notebook 05 writes into, where its results are compared with committed ones first."""
        return self.data_dir / "figures" / name

    def runs_dir(self, dataset: str) -> Path:
        """Folder of the executed notebooks."""
        return self.data_dir / "runs" / dataset


def queries_of(scores: Artefact) -> Artefact:
    """AP and R1 of every query, beside the scores that are their means."""
    return dataclasses.replace(scores, path=scores.path.with_name(f"{scores.path.stem}.queries.parquet"))


def _parameters_of(paths: Iterable[Path]) -> list[dict]:
    return [one.metadata()["recipe"]["parameters"] for one in _intact(paths)]


def _intact(paths: Iterable[Path]) -> list[Artefact]:
    """Artefacts without those that are damaged."""
    return [one for one in (Artefact(path, {}) for path in paths) if one.is_intact()]
