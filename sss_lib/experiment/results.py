"""Results of a grid on a dataset, read back: systems, scores, per-query results, failed clips."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sss_lib.experiment.grid import Grid
from sss_lib.experiment.store import Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.extraction import extraction
from sss_lib.io.artefact import Artefact
from sss_lib.models import registry as models

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from sss_lib.dataset.dataset import Dataset
    from sss_lib.evaluation.queries import PerQuery
    from sss_lib.search.index import Index


def n_clips(store: Store, dataset: str, grid: Grid) -> dict[str, int]:
    """How many clips each model of a grid has embedded, without the models that were not run yet."""
    frames = {name: store.frames(dataset, name) for name in grid.models}
    return {name: one.metadata()["n_clips"] for name, one in frames.items() if one.is_intact()}


def systems(store: Store, dataset: str, grid: Grid) -> list[tuple[Variant, str]]:
    """Every variant and search of a grid on a dataset."""
    return grid.systems(n_clips(store, dataset, grid))[0]


def split_by_availability(
    store: Store, dataset: str, grid: Grid
) -> tuple[list[tuple[Variant, str]], list[tuple[Variant, str]]]:
    """Systems of a grid whose scores are current, and the others, of which an earlier notebook failed."""
    available: list[tuple[Variant, str]] = []
    missing: list[tuple[Variant, str]] = []
    for variant, search in systems(store, dataset, grid):
        scores = store.scores(dataset, variant, search, cutoffs=grid.cutoffs)
        (available if scores.path.is_file() and scores.is_current() else missing).append((variant, search))
    return available, missing


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
    return store.comparison(dataset, grid, split_by_availability(store, dataset, grid)[0])


def read_scores(store: Store, dataset: str, grid: Grid) -> "pd.DataFrame":
    """Tidy scores of every system of a grid that has some, in the order of the grid: a DataFrame.

    Raises
    ------
    FileNotFoundError
        If none has.
    """
    import pandas as pd

    available, missing = split_by_availability(store, dataset, grid)
    if not available:
        raise FileNotFoundError(
            f"none of the {len(missing)} systems of the grid has scores on {dataset}: run the grid first"
        )
    scores = [store.scores(dataset, v, s, cutoffs=grid.cutoffs) for v, s in available]
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
    from sss_lib.evaluation.queries import read_queries

    table = store.per_query(dataset, variant, search, cutoffs=cutoffs).read().to_pandas()
    return read_queries(table, collection.clips["fname"].tolist(), collection.labels, relevance=relevance)


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


def index_of(store: Store, dataset: str, variant: Variant, search: str) -> "Index":
    """Index of a collection by a variant and a search.

    An exact one is made of the embeddings; an approximate one is read as notebook 03 has stored it, and
    refused if the embeddings have changed since.
    """
    from sss_lib.search.index import Index
    from sss_lib.search.naming import parse

    if not parse(search).is_exact:
        return Index.read(store.index(dataset, variant, search))
    stored = store.embeddings(dataset, variant).read()
    return Index.build(stored["fname"].to_pylist(), to_matrix(stored["embedding"]), search)


def extract_to(
    store: Store,
    dataset: "Dataset",
    model: str,
    n_jobs: int = 1,
    device: str = "cpu",
    cluster: str | None = None,
) -> extraction.Report:
    """`extraction.extract` into the place where the store keeps this model's frames."""
    models.read_weights(models.spec(model))
    artefact = store.frames(dataset.name, model)
    out_dir = artefact.path.parent
    return extraction.extract(
        dataset, model, out_dir, n_jobs, artefact=artefact, device=device, cluster=cluster
    )


def n_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
