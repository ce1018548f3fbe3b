"""Results of a grid on a dataset, read back: systems, scores, per-query results, failed clips."""

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sss_lib.experiment.grid import Grid
from sss_lib.experiment.store import Store, queries_of, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.extraction import extraction
from sss_lib.io.artefact import Artefact
from sss_lib.models import registry as models
from sss_lib.models.naming import fused

if TYPE_CHECKING:
    import distributed
    import numpy as np
    import pandas as pd

    from sss_lib.dataset.dataset import Dataset
    from sss_lib.evaluation.assessment import Assessment
    from sss_lib.evaluation.queries import PerQuery
    from sss_lib.processing.aggregation import Aggregated
    from sss_lib.search.index import Index
    from sss_lib.search.ranking import Ranking


def n_clips(store: Store, dataset: str, grid: Grid) -> dict[str, int]:
    """How many clips each model of a grid has embedded, without the models that were not run yet.

    Those of another collection that the grid fits on are under, say, "yamnet@esc10".
    """
    frames = {name: store.frames(dataset, name) for name in grid.models}
    for other, name in itertools.product(grid.fit_on, grid.models):
        if other not in (None, dataset):
            frames[f"{name}@{other}"] = store.frames(other, name)
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
        pd.read_csv(path, dtype=str, keep_default_na=False).assign(model=name)
        for name, path in lists.items()
        if path.is_file()
    ]
    empty = pd.DataFrame(columns=["model", "fname", "reason"])
    return pd.concat([empty, *tables], ignore_index=True)[["model", "fname", "reason"]]


def comparison_artefact(store: Store, dataset: str, grid: Grid, notebook: str = "05_figures") -> Artefact:
    """Return the main table of a grid that notebook 05, 05b or 05c writes."""
    return beside(store.comparison(dataset, grid, split_by_availability(store, dataset, grid)[0]), notebook)


def beside(made: Artefact, notebook: str) -> Artefact:
    """Return the main table of notebook 05, 05b or 05c, by that of 05."""
    if notebook == made.made_by:
        return made
    path = made.path.with_name(f"{made.path.stem}-{notebook.partition('_')[2]}.parquet")
    return replace(made, path=path, made_by=notebook)


def scores_on(
    store: Store, dataset: str, variant: Variant, search: str, cutoffs: tuple[int, ...], collection: "Dataset"
) -> Artefact:
    """Tidy scores of one system on the clips of a collection, beside its per-query results (`queries_of`).

    If the system has embedded others as well, these neither query nor are found: what notebook 04 has scored
    is then scored again, once.
    """
    embeddings = store.embeddings(dataset, variant)
    rows = {fname: i for i, fname in enumerate(embeddings.read(["fname"])["fname"].to_pylist())}
    if len(rows) == len(collection):
        return store.scores(dataset, variant, search, cutoffs=cutoffs)
    clips = collection.identity()
    scores = store.scores_among(dataset, variant, search, clips["digest"], cutoffs=cutoffs)
    if not (scores.is_current() and queries_of(scores).is_current()):
        x = embeddings.mapped("embedding")[[rows[fname] for fname in collection.clips["fname"]]]
        of_search = assess(collection, x, {search: None}, cutoffs)[search]
        table = of_search.scores.assign(dataset=dataset, **variant.parameters(), search=search)
        scores.write(table.astype({"n_components": "Int64"}), clips=clips)
        queries_of(scores).write(of_search.queries)
    return scores


def clip_embeddings(store: Store, dataset: str, variant: Variant) -> "Aggregated":
    """Frames of a dataset as a variant aggregates them, before anything is fitted, one part after the other.

    Where it selects frames by their level, the audio of the clips that have several is read for it.
    """
    from sss_lib.dataset import table
    from sss_lib.extraction.parts import Parts
    from sss_lib.processing.aggregation import Aggregated, selection

    parts = Parts(store.frames(dataset, variant.model))
    if not selection(variant.aggregation):
        return Aggregated(parts, variant.aggregation)
    clips = table.read(store.dataset(dataset)).clips
    path_of = dict(zip(clips["fname"], clips["path"], strict=True))
    of_clip = functools.partial(_levels, models.spec(variant.model).name)
    return Aggregated(parts, variant.aggregation, lambda fname, n: of_clip(path_of[fname], n))


@functools.lru_cache(maxsize=100_000)
def _levels(model: str, path: str, n_frames: int) -> "np.ndarray":
    """Levels of the frames of a clip; 0 of a single one, which is always selected."""
    import numpy as np

    from sss_lib.io import audio
    from sss_lib.models.levels import frame_levels

    spec = models.spec(model)
    if n_frames == 1:
        return np.zeros(1)
    return frame_levels(audio.decode(path, spec.rate_hz), spec, n_frames)


def assess(
    collection: "Dataset",
    x: "np.ndarray",
    rankings: "Mapping[str, Ranking | None]",
    cutoffs: Sequence[int],
    exclude: str | None = "uploader",
    *,
    client: "distributed.Client | None" = None,
) -> "dict[str, Assessment]":
    """What each search of a variant scores on a collection, by every rule and protocol.

    Parameters
    ----------
    collection : Dataset
    x : np.ndarray [shape=(n_clips, dim)]
    rankings, cutoffs
        As in `assessment.assess`.
    exclude : str or None
        As in `relevance.definitions`; intervals are over its groups, too.
    client : distributed.Client or None
        Of a cluster that shares the queries.
    """
    from sss_lib.evaluation import assessment, relevance
    from sss_lib.experiment import distributed

    collection.require_labels()
    labels, clips = collection.labels, collection.clips
    return assessment.assess(
        x,
        collection.label_matrix,
        labels,
        collection.families,
        relevance.definitions(labels, clips, exclude),
        fnames=clips["fname"].tolist(),
        rankings=rankings,
        cutoffs=tuple(cutoffs),
        groups=relevance.origins(clips, exclude),
        score=functools.partial(distributed.per_query, client=client),
    )


def read_embedded(store: Store, dataset: str, variant: Variant) -> "tuple[Dataset, np.ndarray]":
    """The clips that a variant has embedded, and their embeddings, memory-mapped.

    Those of a fusion are its rankings: they are made here, if they aren't current.
    """
    from sss_lib.dataset import table

    if variant.parts and not store.embeddings(dataset, variant).is_current():
        _fuse(store, dataset, variant)
    embeddings = store.embeddings(dataset, variant)
    fnames = embeddings.read(["fname"])["fname"].to_pylist()
    return table.read(store.dataset(dataset)).select(fnames), embeddings.mapped("embedding")


def _fuse(store: Store, dataset: str, variant: Variant) -> None:
    """Rank the clips that all parts of a fusion have embedded by each, and write what comes of it."""
    import numpy as np

    from sss_lib.search.fusion import fuse_embeddings

    how, search, _ = fused(variant.model)
    tables = [store.embeddings(dataset, part).read() for part in variant.parts]
    names = [table["fname"].to_pylist() for table in tables]
    common = set(names[0]).intersection(*names)
    kept = [np.array([fname in common for fname in of_part]) for of_part in names]
    parts = [to_matrix(table["embedding"])[rows] for table, rows in zip(tables, kept, strict=True)]
    fnames = [fname for fname in names[0] if fname in common]
    carried = fuse_embeddings(parts, how, search)
    store.embeddings(dataset, variant).write({"fname": fnames, "embedding": carried})


def read_rankings(
    store: Store, dataset: str, variant: Variant, searches: Sequence[str], collection: "Dataset", top_n: int
) -> "dict[str, Ranking]":
    """What notebook 03 has ranked of the clips of a collection, by search, with at least top_n results."""
    from sss_lib.search.ranking import Ranking

    found = {}
    for search in searches:
        table = store.ranking(dataset, variant, search, top_n=top_n).read()
        if table["fname"].to_pylist() != collection.clips["fname"].tolist():
            raise ValueError(f"the ranking by {search} is of other clips: run 03_search again")
        found[search] = Ranking(to_matrix(table["neighbours"]), to_matrix(table["scores"]))
    return found


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
        As in `read_scores`.
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
    """Per-query results, class-wise and micro, of one system on the clips of a collection (`scores_on`)."""
    import pyarrow.compute as pc

    from sss_lib.evaluation.queries import read_queries

    scores = scores_on(store, dataset, variant, search, cutoffs, collection)
    table = queries_of(scores).read()
    own = table.filter(pc.field("relevance") == relevance)  # a few rows, whose strings take long to read
    table = (own or table).to_pandas()
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
        As in `read_scores`.
    n : int
    """

    @functools.cache  # a system may be in many pairs
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
    from sss_lib.search.naming import GIVEN, parse

    if search == GIVEN:
        raise ValueError(f"{variant.name} is a ranking of these clips: no new sound can be ranked by it")
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
