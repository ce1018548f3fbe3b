"""Experiments: the systems of a grid on a dataset, and the command that runs them.

`python -m sss_lib.experiment run notebooks/grids/mini.yaml` plans the notebooks that the grid needs, runs
those whose results are not current, and prints the table of results; with `--plan` it only plans.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sss_lib.artefacts import Artefact, Store, to_matrix
from sss_lib.grid import NOTEBOOKS, Grid, Variant, read_grid, require_known
from sss_lib.processes import ProcessEndedError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from sss_lib.dataset import Dataset
    from sss_lib.queries import PerQuery

__all__ = ["NOTEBOOKS", "Grid", "Variant", "read_grid", "require_known"]


def n_clips(store: Store, dataset: str, grid: Grid) -> dict[str, int]:
    """How many clips each model of a grid has embedded; a model that has none yet isn't there."""
    frames = {name: store.frames(dataset, name) for name in grid.models}
    return {name: one.metadata()["n_clips"] for name, one in frames.items() if one.path.is_file()}


def systems(store: Store, dataset: str, grid: Grid) -> list[tuple[Variant, str]]:
    """Every variant and search of a grid on a dataset."""
    return grid.systems(n_clips(store, dataset, grid))[0]


def scored(
    store: Store, dataset: str, grid: Grid
) -> tuple[list[tuple[Variant, str]], list[tuple[Variant, str]]]:
    """Systems of a grid whose scores are there, and those whose aren't, as a notebook before has failed."""
    there: list[tuple[Variant, str]] = []
    absent: list[tuple[Variant, str]] = []
    for variant, search in systems(store, dataset, grid):
        scores = store.scores(dataset, variant, search, cutoffs=grid.cutoffs)
        (there if scores.path.is_file() and scores.is_current() else absent).append((variant, search))
    return there, absent


def failures(store: Store, dataset: str, grid: Grid) -> "pd.DataFrame":
    """Clips that a model of the grid could not embed: a DataFrame with model, fname, reason."""
    import pandas as pd

    lists = {name: store.frames_dir(dataset, name) / "failures.csv" for name in grid.models}
    tables = [
        pd.read_csv(path, dtype=str).assign(model=name) for name, path in lists.items() if path.is_file()
    ]
    empty = pd.DataFrame(columns=["model", "fname", "reason"])
    return pd.concat([empty, *tables], ignore_index=True)[["model", "fname", "reason"]]


def comparison_artefact(store: Store, dataset: str, grid: Grid) -> Artefact:
    """Return the table that notebook 05 writes for a grid."""
    return store.comparison(dataset, grid, scored(store, dataset, grid)[0])


def read_scores(store: Store, dataset: str, grid: Grid) -> "pd.DataFrame":
    """Tidy scores of every system of a grid that has some, in the order of the grid: a DataFrame.

    Raises
    ------
    FileNotFoundError
        If none has.
    """
    import pandas as pd

    there, absent = scored(store, dataset, grid)
    if not there:
        raise FileNotFoundError(
            f"none of the {len(absent)} systems of the grid has scores on {dataset}: run the grid first"
        )
    scores = [store.scores(dataset, v, s, cutoffs=grid.cutoffs) for v, s in there]
    return pd.concat([one.read().to_pandas() for one in scores], ignore_index=True)


def read_results(
    store: Store,
    dataset: str,
    grid: Grid,
    chosen: "pd.DataFrame",
    collection: "Dataset",
    *,
    relevance: str = "class",
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
    found = [system_of(row) for _, row in chosen.iterrows()]
    return {
        variant.model: results_of(store, dataset, variant, search, grid.cutoffs, collection, relevance)
        for variant, search in found
    }


def results_of(
    store: Store,
    dataset: str,
    variant: Variant,
    search: str,
    cutoffs: tuple[int, ...],
    collection: "Dataset",
    relevance: str = "class",
) -> "tuple[PerQuery, PerQuery]":
    """Per-query results, class-wise and micro, of one system and the clips of a collection."""
    from sss_lib.queries import read_queries

    table = store.per_query(dataset, variant, search, cutoffs=cutoffs).read().to_pandas()
    return read_queries(table, collection.clips["fname"].tolist(), collection.labels, relevance=relevance)


def read_approximations(
    store: Store, dataset: str, grid: Grid, collection: "Dataset", *, groups: "np.ndarray | None" = None
) -> dict:
    """What the approximate searches of a grid save and lose, by variant; see `tradeoffs.against_exact`.

    Only variants that were searched exactly as well are there.
    """
    from sss_lib import tradeoffs
    from sss_lib.methods import parse

    of_variant: dict[Variant, list[str]] = {}
    for variant, search in systems(store, dataset, grid):
        of_variant.setdefault(variant, []).append(search)
    found = {}
    for variant, searches in of_variant.items():
        approximated = {parse(search).exact for search in searches if not parse(search).is_exact}
        if not approximated & set(searches):
            continue
        runs = {}
        for search in searches:
            if parse(search).exact in approximated:
                ranking = store.ranking(dataset, variant, search, top_n=max(grid.cutoffs))
                neighbours, cost = to_matrix(ranking.read()["neighbours"]), ranking.metadata()["cost"]
                queries, _ = results_of(store, dataset, variant, search, grid.cutoffs, collection)
                runs[search] = tradeoffs.Run(neighbours, cost, queries)
        found[variant.name] = tradeoffs.against_exact(runs, cutoffs=grid.cutoffs, groups=groups)
    return found


def system_of(row: "pd.Series") -> tuple[Variant, str]:
    """Variant and search of a row of `tables.best_systems`."""
    fields = row.astype(object).where(row.notna(), None).to_dict()
    search, n_components = fields.pop("search"), fields.pop("n_components")
    n_components = None if n_components is None else int(n_components)  # pandas made it a float
    return Variant(**fields, n_components=n_components), search


def class_scores(store: Store, dataset: str, grid: Grid, collection: "Dataset", n: int) -> Callable:
    """Return a function from a system to the AP@n of its class-wise queries: float [n_queries].

    Parameters
    ----------
    store : Store
    dataset : str
    grid : Grid
    collection : Dataset
        Of the clips that every model has embedded.
    n : int
    """

    def scores_of(system: tuple[Variant, str]) -> "np.ndarray":
        class_wise, _ = results_of(store, dataset, *system, grid.cutoffs, collection)
        return class_wise.scores(grid.protocol)["MAP", n]

    return scores_of


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
    run.add_argument("--query", help="only clips of which this is true: see dataset.Dataset.subset")
    run.add_argument("--name", help="what the dataset is called in all that is written")
    run.add_argument("--add-ancestors", action="store_true", help="of every label, by the vocabulary")
    run.add_argument("--data-dir", type=Path, default=NOTEBOOKS.parent / "data")
    run.add_argument("--figures-dir", type=Path, default=NOTEBOOKS.parent / "figures")
    run.add_argument("--n-jobs", type=int, default=n_cores(), help="notebooks or clips at a time")
    run.add_argument("--cluster", help="Dask workers in place of jobs: local, or tcp://host:port")
    run.add_argument("--plan", action="store_true", help="only say what there is to do")
    options = parser.parse_args(arguments)
    if options.n_jobs < 1:
        parser.error(f"--n-jobs {options.n_jobs} is below 1")
    from sss_lib import dataset as datasets
    from sss_lib import leaderboard
    from sss_lib.runner import Runner

    well = True
    try:
        grid, _ = read_grid(options.grid).available()
        given = {"query": options.query, "name": options.name, "add_ancestors": options.add_ancestors}
        choice = {key: value for key, value in given.items() if value}
        chosen = [options.dataset] if options.dataset else grid.datasets
        for dataset in chosen:
            datasets.require_meant(dataset)
        for dataset in chosen:
            store = Store(options.data_dir)
            runner = Runner(
                options.grid, dataset, store, options.figures_dir, options.n_jobs, choice, options.cluster
            )
            if options.plan:
                datasets.require_there(dataset, options.data_dir)
                runner.plan()
                continue
            well = runner.run() and well
            runner.report()
            if store.all_scores():
                leaderboard.collect(store)
    except (ValueError, OSError, ImportError) as error:  # bad input, or a dataset that can't be fetched
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ProcessEndedError as error:
        print(
            f"error: a worker was killed, perhaps for want of memory; what is done is kept ({error})",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
        return 130
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
