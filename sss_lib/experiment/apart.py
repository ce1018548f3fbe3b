"""Queries apart from the corpus, and other ways to rank a variant's clips: what notebook 04 writes of them.

A name is that of a collection which 00 and 01 have run on, or else of a split of the one that is searched,
or of several, as in fold1+fold2.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sss_lib.dataset import table
from sss_lib.dataset.dataset import Dataset
from sss_lib.evaluation import across, intervals, relevance, ways
from sss_lib.evaluation.queries import queries_table, read_queries
from sss_lib.experiment import results
from sss_lib.experiment.grid import Grid
from sss_lib.experiment.rules import suits, takes_queries
from sss_lib.experiment.store import DamagedArtefactError, StaleArtefactError, Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.extraction import parts
from sss_lib.io.names import several
from sss_lib.models.naming import fused

RULE = "class without the other queries"
"""What counts for queries apart: none finds another of them."""
Embedded = tuple[Dataset, np.ndarray]
"""Clips and their embeddings."""
NO_SCORES = pd.DataFrame({"metric": [], "level": [], "name": []}, dtype=str)
NO_QUERIES = pd.DataFrame({"fname": [], "label": []}, dtype=str)
"""What is written where no clip can ask."""
DAMAGE = (DamagedArtefactError, StaleArtefactError)
"""What an earlier notebook is to make anew: no reason to leave anything out."""


class CannotAskError(ValueError):
    """Why some queries can't ask these clips."""


def parted(store: Store, dataset: str, variant: Variant, name: str) -> tuple[Embedded, Embedded]:
    """Clips of a collection or of a split, processed as those that are searched; and the latter.

    Clips of a collection whose files are among the latter are left out: they would find themselves.

    Raises
    ------
    CannotAskError
        If there is no such collection or split, or it has none but these, or all clips.
    """
    collection, x = results.read_embedded(store, dataset, variant)
    if store.dataset(name).path.is_file() and name != dataset:
        fitted, clips = store.read_fitted(dataset, variant), results.clip_embeddings(store, name, variant)
        other = table.read(store.dataset(name)).select(
            [fname for part in clips.parts for fname in part.fnames]
        )
        searched = {*collection.clips.get("sha256", ())} - {""}  # none is known without audio
        is_new = ~other.clips.get("sha256", other.clips["fname"]).isin(searched).to_numpy()
        if not is_new.any():
            raise CannotAskError(
                f"all {len(other)} clips of {name} are among those of {dataset}: name others"
            )
        others = other.select(other.clips["fname"][is_new].tolist())
        return (others, np.vstack([fitted(part) for part in clips])[is_new]), (collection, x)
    is_apart = collection.clips["split"].isin(name.split("+")).to_numpy()
    if not is_apart.any() or is_apart.all():
        splits = ", ".join(sorted({*collection.clips["split"]} - {""})) or "none"
        raise CannotAskError(
            f"{name!r} is the split of {np.count_nonzero(is_apart)} of {len(collection)} clips of {dataset}, "
            f"whose splits are {splits}: name one of several, or a collection that 00 and 01 have run on"
        )
    fnames = collection.clips["fname"].to_numpy()
    first, rest = ((collection.select(fnames[at].tolist()), x[at]) for at in (is_apart, ~is_apart))
    return first, rest


def ask(
    store: Store, dataset: str, variant: Variant, search: str, name: str, cutoffs: Sequence[int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy scores of queries apart, by the classes that both have; and what each of them scores.

    Raises
    ------
    CannotAskError
        If there are none, or they share no class.
    """
    (asking, queries), (corpus, x) = parted(store, dataset, variant, name)
    shared, *columns = _shared(asking, corpus)
    matrices = [one.label_matrix[:, c] for one, c in zip((asking, corpus), columns, strict=True)]
    found = across.per_query_across(queries, x, *matrices, search=search, cutoffs=tuple(cutoffs))
    groups = relevance.origins(asking.clips)
    scores = intervals.summary(*found, shared, corpus.families, groups=groups)
    about = {"dataset": dataset, "queries": name, **variant.parameters(), "search": search}
    of_queries = queries_table(*found, asking.clips["fname"].tolist(), shared)
    return scores.assign(**about).astype({"n_components": "Int64"}), of_queries


def measure(store: Store, dataset: str, variant: Variant, way: str, n: int) -> pd.DataFrame:
    """Macro MAP@n of a way beside that of what it would replace: one row, see `ways.as_table`."""
    one = ways.parse(way)
    collection, x = results.read_embedded(store, dataset, variant)
    cost: dict = {}
    trained_on = None
    if one.part:
        learnt, (collection, x) = parted(store, dataset, variant, one.part)
        trained_on = _without_uploaders(*learnt, collection)
    labels, names = collection.label_matrix, collection.labels
    groups = relevance.group_codes(collection.clips["uploader"])
    rules = [one for one in relevance.definitions(names, collection.clips, "uploader") if one.kind == "class"]
    if one.kind == "marks":
        row = ways.by_marks(x, labels, one.how, one.n_marks, n, groups)
        return ways.as_table([{"way": way, **row}])
    if one.kind == "head":
        values, cost = ways.by_head(x, labels, groups, one.how, trained_on)

        def both(rule: relevance.Relevance) -> tuple:
            return tuple(ways.by_cosine(of, labels, n, rule) for of in (values, x))

    elif one.kind == "frames":
        frames = parts.read(store.frames(dataset, variant.model))

        def both(rule: relevance.Relevance) -> tuple:
            anew = ways.by_frames(x, frames.values, frames.offsets, one.how, labels, n, rule)
            return anew, ways.by_cosine(x, labels, n, rule)

    else:
        how, search, _ = fused(variant.model)
        of_parts = list(_of_parts(store, dataset, variant, collection))

        def both(rule: relevance.Relevance) -> tuple:
            return ways.by_weights(of_parts, how, search, labels, groups, n, rule)

    return ways.as_table([{"way": way, **ways.compared(both, rules, names, n, groups), **cost}])


def _without_uploaders(clips: Dataset, x: np.ndarray, corpus: Dataset) -> tuple:
    """Embeddings to learn from, none by an uploader of the corpus, and labels as the corpus has them."""
    known = set(corpus.clips["uploader"]) - {""}
    kept = np.array([uploader not in known for uploader in clips.clips["uploader"]], bool)
    if not kept.any():
        raise ValueError(
            f"all {len(kept)} clips of {clips.name} to learn from are by uploaders of the clips that a head "
            "is tried on: name another part, or train by folds, as in linear"
        )
    _, of_clips, of_corpus = _shared(clips, corpus)
    labels = np.zeros((int(kept.sum()), len(corpus.labels)), bool)
    labels[:, of_corpus] = clips.label_matrix[kept][:, of_clips].toarray()
    some = labels.any(axis=1)
    return x[kept][some], labels[some]


def _shared(one: Dataset, corpus: Dataset) -> tuple[list[str], list[int], list[int]]:
    """See `across.shared_labels`: classes go by their names, which known collections have from FSD50K."""
    if {*one.labels}.isdisjoint(corpus.labels):
        first = (", ".join(map(repr, labels[:2])) or "none" for labels in (one.labels, corpus.labels))
        raise CannotAskError(
            f"{one.name} and {corpus.name} share no class ({', '.join(first)}, ...): call alike what means "
            "the same, or give both collections the ancestors of their labels"
        )
    return across.shared_labels(one.labels, corpus.labels)


def _of_parts(store: Store, dataset: str, variant: Variant, collection: Dataset) -> Iterable[np.ndarray]:
    """Embeddings of a fusion's clips by each of its models."""
    for part in variant.parts:
        stored = store.embeddings(dataset, part).read()
        row_of = {fname: row for row, fname in enumerate(stored["fname"].to_pylist())}
        yield to_matrix(stored["embedding"])[[row_of[fname] for fname in collection.clips["fname"]]]


def measure_all(
    store: Store,
    dataset: str,
    variant: Variant,
    searches: Sequence[str],
    queries: Sequence[str],
    of_ways: Sequence[str],
    cutoffs: Sequence[int],
) -> pd.DataFrame:
    """Write what queries apart score by each search, and each way that suits a variant; a table of all.

    Queries that can't ask these clips have empty tables, and a way that these can't be ranked by has a row of
    nan. The table that is returned has the reason.
    """
    shown = []
    for name, search in itertools.product(several(queries, "queries"), searches):
        if takes_queries(variant, search) and store.has_apart(dataset, name, variant.model):
            try:
                scores, of_queries = ask(store, dataset, variant, search, name, cutoffs)
                macro = scores[(scores["metric"] == "MAP") & (scores["level"] == "macro")].head(1)
                row = macro[["queries", "search", "n", "value", "ci_low", "ci_high", "n_queries"]]
            except CannotAskError as error:
                scores, of_queries = NO_SCORES, NO_QUERIES
                row = pd.DataFrame([{"queries": name, "search": search, "left out": str(error)}])
            first, second = store.asked(dataset, variant, search, queries=name, cutoffs=cutoffs)
            first.write(scores)
            second.write(of_queries)
            shown.append(row)
    for way in several(of_ways, "ways"):
        if suits(variant, way) and store.has_apart(dataset, ways.parse(way).part, variant.model):
            try:
                found, reason = measure(store, dataset, variant, way, cutoffs[0]), {}
            except DAMAGE:
                raise
            except ValueError as error:
                found, reason = ways.as_table([{"way": way}]), {"left out": str(error)}
            store.way(dataset, variant, way=way, n=cutoffs[0]).write(found)
            shown.append(found.assign(**reason))
    return pd.concat(shown, ignore_index=True) if shown else pd.DataFrame()


def read_ways(store: Store, dataset: str, grid: Grid, systems: Iterable[tuple[Variant, str]]) -> pd.DataFrame:
    """Rows of all ways that were measured of a grid's variants, with the variant."""
    n, found = grid.cutoffs[0], []
    for variant, way in itertools.product(dict.fromkeys(one for one, _ in systems), grid.ways):
        artefact = store.way(dataset, variant, way=way, n=n)
        is_there = store.has_apart(dataset, ways.parse(way).part, variant.model)
        if suits(variant, way) and is_there and artefact.path.is_file():
            found.append(artefact.read().to_pandas().assign(variant=variant))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def read_asked(
    store: Store, dataset: str, grid: Grid, systems: Iterable[tuple[Variant, str]], name: str
) -> tuple[dict, list[str], np.ndarray | None]:
    """What queries apart score by each system: per-query results, classes, and uploaders' numbers.

    They are the queries that all systems have embedded.
    """
    read: dict[tuple[Variant, str], pd.DataFrame] = {}
    for system in systems:
        _, each = store.asked(dataset, *system, queries=name, cutoffs=grid.cutoffs)
        is_there = store.has_apart(dataset, name, system[0].model)
        if takes_queries(*system) and is_there and each.path.is_file():
            found = each.read().to_pandas()
            read |= {system: found} if len(found) else {}
    if not read:
        return {}, [], None
    everything = table.read(store.dataset(name if store.dataset(name).path.is_file() else dataset)).clips
    common = set(everything["fname"]).intersection(*(one["fname"] for one in read.values()))
    clips = everything[everything["fname"].isin(common)].reset_index(drop=True)
    labels = sorted({label for one in read.values() for label in one["label"]} - {""})
    of_all = {
        system: read_queries(one[one["fname"].isin(common)], clips["fname"].tolist(), labels, relevance=RULE)
        for system, one in read.items()
    }
    return of_all, labels, relevance.origins(clips)
