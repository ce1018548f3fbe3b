"""Experiments: the systems of a grid on a dataset, and the command that runs them.

`python -m sss_lib.experiment run notebooks/grids/mini.yaml` plans the notebooks that the grid needs, runs
those whose results are not current, and prints the table of results; with `--plan` it only plans.
"""

import argparse
import os
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from sss_lib.artefacts import Artefact, Store
from sss_lib.grid import NOTEBOOKS, Grid, Variant, read_grid, require_known

__all__ = ["NOTEBOOKS", "Grid", "Variant", "read_grid", "require_known"]


def n_clips(store: Store, dataset: str, grid: Grid) -> dict[str, int]:
    """How many clips each model of a grid has embedded; a model that has none yet isn't there."""
    frames = {name: store.frames(dataset, name) for name in grid.models}
    return {name: one.metadata()["n_clips"] for name, one in frames.items() if one.path.is_file()}


def systems(store: Store, dataset: str, grid: Grid) -> list[tuple[Variant, str]]:
    """Every variant and search of a grid on a dataset."""
    return grid.systems(n_clips(store, dataset, grid))[0]


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
    found = [system_of(row) for _, row in chosen.iterrows()]
    return {
        variant.model: results_of(store, dataset, variant, search, grid.cutoffs, collection, relevance)
        for variant, search in found
    }


def results_of(
    store: Store, dataset: str, variant: Variant, search: str, cutoffs, collection, relevance: str = "class"
) -> tuple:
    """Per-query results, class-wise and micro, of one system and the clips of a collection."""
    from sss_lib.queries import read_queries

    table = store.per_query(dataset, variant, search, cutoffs=cutoffs).read().to_pandas()
    return read_queries(table, collection.clips["fname"].tolist(), collection.labels, relevance=relevance)


def system_of(row) -> tuple[Variant, str]:
    """Variant and search of a row of `tables.best_systems`."""
    fields = row.astype(object).where(row.notna(), None).to_dict()
    search = fields.pop("search")
    return Variant(**fields), search


def class_scores(store: Store, dataset: str, grid: Grid, collection, n: int) -> Callable:
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

    def scores_of(system: tuple[Variant, str]):
        class_wise, _ = results_of(store, dataset, *system, grid.cutoffs, collection)
        return class_wise.scores("standard")["MAP", n]

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
    run.add_argument("--plan", action="store_true", help="only say what there is to do")
    options = parser.parse_args(arguments)
    if options.n_jobs < 1:
        parser.error(f"--n-jobs {options.n_jobs} is below 1")
    from sss_lib.runner import Runner

    try:
        grid, _ = read_grid(options.grid).available()
        given = {"query": options.query, "name": options.name, "add_ancestors": options.add_ancestors}
        choice = {key: value for key, value in given.items() if value}
        for dataset in [options.dataset] if options.dataset else grid.datasets:
            store = Store(options.data_dir)
            runner = Runner(options.grid, dataset, store, options.figures_dir, options.n_jobs, choice)
            if options.plan:
                runner.plan()
                continue
            if not runner.run():
                return 1
            if not runner.is_labelled:
                print(
                    f"\n{runner.name} has no labels: nothing says which results are right, so none is scored"
                )
                runner.report_failed_clips()
                continue
            comparison = comparison_artefact(store, runner.name, grid)
            print(f"\n{comparison.metadata()['caption']}\n")
            table = comparison.read().to_pandas()
            about_model = ["Modality", "Objective", "Parameters", "Data"]  # in the notebook and the file
            print(table.drop(columns=about_model).to_string(index=False))
            print(f"\nFigures: {runner.figures_dir}")
            runner.report_failed_clips()
    except (ValueError, OSError) as error:  # bad input, or a dataset that can't be fetched
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
