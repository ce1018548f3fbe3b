"""Experiments: variants, grids in YAML, and the command that runs them.

`python -m sss_lib.experiment run notebooks/grids/mini.yaml` plans the notebooks that the grid needs, runs
those whose results are not current, and prints the table of results.
"""

import argparse
import difflib
import itertools
import os
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from sss_lib import models
from sss_lib.artefacts import Artefact, Store
from sss_lib.processing import AGGREGATIONS
from sss_lib.search import SEARCHES

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@dataclass(frozen=True)
class Variant:
    """How clip embeddings are made: a model and its processing.

    Attributes
    ----------
    model : str
    aggregation : str
        "mean", "max", "median" or "none".
    n_components : int or None
        Of PCA; None for no PCA.
    normalize : bool
        Whether the result has unit length.
    pre_normalize : bool
        Whether the input of PCA has, as in the CBMI 2024 code.
    scale : bool
        Whether every feature is scaled to [0, 1] first.

    Examples
    --------
    >>> Variant("aisfx", "mean", 100).name
    'aisfx-mean-pca100-l2'
    """

    model: str
    aggregation: str = "mean"
    n_components: int | None = None
    normalize: bool = True
    pre_normalize: bool = False
    scale: bool = False

    @property
    def name(self) -> str:
        """What its files are called."""
        pca = "none" if self.n_components is None else self.n_components
        parts = [self.model, self.aggregation, *(["minmax"] if self.scale else []), f"pca{pca}"]
        return "-".join(
            [*parts, "l2" if self.normalize else "raw", *(["prel2"] if self.pre_normalize else [])]
        )

    def parameters(self) -> dict:
        """Its fields, as an artefact records them."""
        return asdict(self)


@dataclass(frozen=True)
class Grid:
    """An experiment: every combination of these is run.

    A model takes only what suits it: one embedding a clip needs no aggregation, scaling is for models that
    declare it, and PCA can't have more components than there are dimensions or clips. `variants` says what is
    left out and why.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...] = ("mini",)
    aggregations: tuple[str, ...] = ("mean",)
    n_components: tuple[int | None, ...] = (None,)
    normalize: tuple[bool, ...] = (True,)
    pre_normalize: tuple[bool, ...] = (False,)
    scale: tuple[bool, ...] = (True,)
    searches: tuple[str, ...] = ("nns",)
    cutoffs: tuple[int, ...] = (15, 150)

    def __post_init__(self):
        known = {
            "models": list(models.catalogue()),
            "aggregations": AGGREGATIONS,
            "searches": list(SEARCHES),
        }
        for key, words in known.items():
            for value in getattr(self, key):
                require_known(value, words, f"{key} of the grid")
        numbers = {"cutoffs": self.cutoffs, "n_components": [n for n in self.n_components if n is not None]}
        for key, values in numbers.items():
            if any(type(value) is not int or value < 1 for value in values):
                raise ValueError(f"{key}={list(values)} of the grid: give whole numbers from 1")
        for key in ("normalize", "pre_normalize", "scale"):
            if not all(isinstance(value, bool) for value in getattr(self, key)):
                raise ValueError(f"{key}={list(getattr(self, key))} of the grid: give true or false")
        for key in (one.name for one in fields(self)):
            if not getattr(self, key):
                raise ValueError(f"{key} of the grid is empty: give at least one value")

    def available(self) -> tuple["Grid", list[str]]:
        """Grid of the models whose library is installed, and a sentence on each of the others."""
        missing = {name: models.spec(name).missing() for name in self.models}
        there = tuple(name for name in self.models if not missing[name])
        sentences = [
            f"{name} needs {library}, which is not installed" for name, library in missing.items() if library
        ]
        if not there:
            raise ValueError(f"no model of the grid can run: {'; '.join(sentences)}")
        return replace(self, models=there), sentences

    def variants(self, n_clips: Mapping[str, int] | None = None) -> tuple[list[Variant], list[str]]:
        """Variants to run, and a sentence on each combination that is left out.

        Parameters
        ----------
        n_clips : mapping of str to int, optional
            How many clips each model has embedded.
        """
        chosen: dict[Variant, None] = {}
        left_out: dict[str, None] = {}
        for name in self.models:
            spec, n = models.spec(name), (n_clips or {}).get(name)
            hows = [how for how in self.aggregations if how in spec.aggregations]
            hows = hows if spec.hop_s else list(spec.aggregations)
            if not hows:
                left_out[
                    f"{name} has several frames a clip: no aggregation {', '.join(self.aggregations)}"
                ] = None
            scales = self.scale if spec.scaled else (False,)
            ways = itertools.product(scales, self.n_components, self.normalize, self.pre_normalize)
            for scale, pca, l2, pre in ways:
                if pca and pca > spec.dim:
                    left_out[f"{name} has {spec.dim} dimensions: no PCA {pca}"] = None
                elif pca and n and pca > n:
                    left_out[f"{name} has embedded {n} clips: no PCA {pca}"] = None
                else:
                    chosen.update({Variant(name, how, pca, l2, pre, scale): None for how in hows})
        if not chosen:
            raise ValueError(f"nothing is left of the grid: {'; '.join(left_out)}")
        return list(chosen), list(left_out)


def read_grid(path: str | Path) -> Grid:
    """Grid from a YAML file whose keys are the fields of `Grid`.

    Raises
    ------
    ValueError
        If a key or a value is unknown; the message has the nearest right word.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"grid {path} does not exist: the grids are in {NOTEBOOKS / 'grids'}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not plain YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a mapping: give keys such as 'models: [aisfx]'")
    keys = [f.name for f in fields(Grid)]
    for key in content:
        require_known(key, keys, f"the keys of {path.name}")
    if "models" not in content:
        raise ValueError(f"{path} has no 'models': name at least one of {', '.join(models.catalogue())}")
    as_tuples = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in content.items()}
    return Grid(**as_tuples)


def require_known(value: object, known: Iterable, what: str) -> None:
    """Raise ValueError with the nearest known word if a value is not among the known ones."""
    known = [str(k) for k in known]
    if str(value) not in known:
        near = difflib.get_close_matches(str(value), known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{value!r} is not among {what}: {hint}They are {', '.join(known)}")


def variants_of(store: Store, dataset: str, grid: Grid) -> tuple[list[Variant], list[str]]:
    """Variants of a grid that can be made of what its models have embedded, and what is left out."""
    n_clips = {name: store.frames(dataset, name).metadata()["n_clips"] for name in grid.models}
    return grid.variants(n_clips)


def systems(store: Store, dataset: str, grid: Grid) -> list[tuple[Variant, str]]:
    """Every variant and search of a grid on a dataset."""
    return list(itertools.product(variants_of(store, dataset, grid)[0], grid.searches))


def failures(store: Store, dataset: str, grid: Grid):
    """Clips that a model of the grid could not embed: a DataFrame with model, fname, reason."""
    import pandas as pd

    tables = [
        pd.read_csv(store.frames_dir(dataset, name) / "failures.csv", dtype=str).assign(model=name)
        for name in grid.models
    ]
    return pd.concat(tables, ignore_index=True)[["model", "fname", "reason"]]


def comparison_artefact(store: Store, dataset: str, grid: Grid) -> Artefact:
    """Return the table that notebook 05 writes for a grid."""
    return store.comparison(dataset, grid, systems(store, dataset, grid))


def read_scores(store: Store, dataset: str, grid: Grid):
    """Tidy scores of every system of a grid, in the order of the grid: a DataFrame."""
    import pandas as pd

    scores = [store.scores(dataset, v, s, cutoffs=grid.cutoffs) for v, s in systems(store, dataset, grid)]
    return pd.concat([one.read().to_pandas() for one in scores], ignore_index=True)


def read_results(
    store: Store, dataset: str, grid: Grid, chosen, collection, *, relevance: str = "class"
) -> dict:
    """Per-query results of some systems of a grid, by model, of the clips of a collection.

    Parameters
    ----------
    store : Store
    dataset : str
    grid : Grid
    chosen : pd.DataFrame
        One system a model, from `tables.best_systems`.
    collection : Dataset
        Of the clips that every model has embedded.
    relevance : str
        "class", or the rule that leaves out an uploader's other clips.

    Returns
    -------
    dict of str to (PerQuery, PerQuery)
        Class-wise and micro.
    """
    from sss_lib.queries import read_queries

    found = {}
    for variant, search in systems(store, dataset, grid):
        own = chosen[(chosen["model"] == variant.model) & (chosen["search"] == search)]
        ways = own.astype(object).where(own.notna(), None).to_dict("records")
        if any(all(row[key] == value for key, value in variant.parameters().items()) for row in ways):
            table = store.per_query(dataset, variant, search, cutoffs=grid.cutoffs).read().to_pandas()
            fnames = collection.clips["fname"].tolist()
            found[variant.model] = read_queries(table, fnames, collection.labels, relevance=relevance)
    return {model: found[model] for model in chosen["model"]}


def n_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(arguments: list[str] | None = None) -> int:
    """Command line: `run GRID` runs a grid and prints its table. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sss_lib.experiment", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the notebooks of a grid")
    run.add_argument("grid", type=Path, help="YAML file, such as notebooks/grids/mini.yaml")
    run.add_argument("--dataset", help="name or folder, in place of the grid's datasets")
    run.add_argument("--data-dir", type=Path, default=NOTEBOOKS.parent / "data")
    run.add_argument("--figures-dir", type=Path, default=NOTEBOOKS.parent / "figures")
    run.add_argument("--n-jobs", type=int, default=n_cores(), help="notebooks or clips at a time")
    options = parser.parse_args(arguments)
    if options.n_jobs < 1:
        parser.error(f"--n-jobs {options.n_jobs} is below 1")
    from sss_lib.runner import Runner

    try:
        grid, _ = read_grid(options.grid).available()
        for dataset in [options.dataset] if options.dataset else grid.datasets:
            store = Store(options.data_dir)
            runner = Runner(options.grid, dataset, store, options.figures_dir, options.n_jobs)
            if not runner.run():
                return 1
            comparison = comparison_artefact(store, runner.name, grid)
            print(f"\n{comparison.metadata()['caption']}\n")
            table = comparison.read().to_pandas()
            about_model = ["Modality", "Objective", "Parameters", "Data"]  # in the notebook and the file
            print(table.drop(columns=about_model).to_string(index=False))
            print(f"\nFigures: {runner.figures_dir}")
            runner.report_failed_clips()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool as error:
        print(
            f"error: a worker was killed, perhaps for want of memory; what is done is kept ({error})",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
