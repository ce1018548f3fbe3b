"""Approximate searches compared with the exact one: time and memory saved, accuracy lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.dataset.dataset import Dataset
from sss_lib.evaluation import measures, paired
from sss_lib.evaluation.queries import Key, PerQuery
from sss_lib.experiment import results as experiment
from sss_lib.experiment.grid import Grid
from sss_lib.experiment.store import Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.search.naming import parse

COLUMNS = ("build s", "ms a query", "times faster", "ms alone", "times faster alone", "bytes a clip")


@dataclass(frozen=True)
class Run:
    """One search of one variant as it ran.

    Attributes
    ----------
    neighbours : np.ndarray [shape=(n_clips, n), dtype=int32]
        Its ranking.
    cost : mapping
        The fields of `timing.Cost`.
    queries : PerQuery
        Class-wise results.
    """

    neighbours: np.ndarray
    cost: Mapping[str, float]
    queries: PerQuery


def against_exact(
    runs: Mapping[str, Run],
    *,
    cutoffs: Sequence[int] = (15, 150),
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
) -> pd.DataFrame:
    """Compare each search with the exact one that it approximates, over the same variant.

    Parameters
    ----------
    runs : mapping of str to Run
        By search. An approximate one is left out if its exact one is missing.
    cutoffs : sequence of int
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Group of each clip, from `relevance.group_codes`: intervals resample groups.
    n_draws : int

    Returns
    -------
    pd.DataFrame
        One row a search, each exact one before its approximations: search; recall@N; macro MAP@N and MR1, and
        the loss of each (positive: the approximation is worse) with its 95 % paired bootstrap interval;
        seconds to build; milliseconds a query in a batch of all clips, and of a single query ("alone"), each
        with the speed-up over the exact search of the same run; bytes a clip.
    """
    rows = []
    for exact in (search for search in runs if parse(search).is_plain):
        own = [one for one in runs if parse(one).exact == exact and not parse(one).is_exact]
        rows += [
            _row(search, runs[search], runs[exact], cutoffs, groups, n_draws) for search in (exact, *own)
        ]
    measured = [name for n in (*cutoffs, None) for name in _columns(n)]
    return pd.DataFrame(rows, columns=["search", *(f"recall@{n}" for n in cutoffs), *measured, *COLUMNS])


def _columns(n: int | None) -> tuple[str, ...]:
    name = "MR1" if n is None else f"MAP@{n}"
    return name, f"{name} lost", f"{name} lost low", f"{name} lost high"


def _row(
    search: str, run: Run, exact: Run, cutoffs: Sequence[int], groups: np.ndarray | None, n_draws: int
) -> dict:
    row: dict[str, Any] = {"search": search}
    for n in cutoffs:
        row[f"recall@{n}"] = np.nanmean(measures.recall(run.neighbours, exact.neighbours, n))
    a, b = (one.queries.scores("standard") for one in (exact, run))
    label, query = run.queries.label, run.queries.query
    keys: list[Key] = [*(("MAP", n) for n in cutoffs), ("MR1", None)]
    for metric, cutoff in keys:
        better, worse = (a, b) if metric == "MAP" else (b, a)  # of ranks, the smaller is better
        lost = paired.macro_difference(
            better[metric, cutoff], worse[metric, cutoff], label, query, groups=groups, n_draws=n_draws
        )
        value = pd.Series(b[metric, cutoff]).groupby(label).mean().mean()
        found = value, lost.difference, lost.ci_low, lost.ci_high
        row |= dict(zip(_columns(cutoff), found, strict=True))
    cost, of_exact = run.cost, exact.cost
    faster, faster_alone = (of_exact[name] / cost[name] for name in ("query_ms", "single_query_ms"))
    times = cost["build_s"], cost["query_ms"], faster, cost["single_query_ms"], faster_alone
    return row | dict(zip(COLUMNS, (*times, cost["bytes_per_clip"]), strict=True))


def joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of `read_approximations` as one, whose first column is the variant."""
    return pd.concat(tables, names=["variant", ""]).reset_index("variant")


def read_approximations(
    store: Store,
    dataset: str,
    grid: Grid,
    collection: Dataset,
    *,
    groups: np.ndarray | None = None,
) -> dict:
    """Table of `against_exact` for each variant of a grid that has exact and approximate searches."""
    of_variant: dict[Variant, list[str]] = {}
    for variant, search in experiment.systems(store, dataset, grid):
        of_variant.setdefault(variant, []).append(search)
    found = {}
    for variant, searches in of_variant.items():
        approximated = {parse(search).exact for search in searches if not parse(search).is_exact}
        if not approximated & set(searches):
            continue
        runs = {}
        for search in searches:
            if parse(search).exact in approximated and not parse(search).adjustment:
                ranking = store.ranking(dataset, variant, search, top_n=max(grid.cutoffs))
                neighbours, cost = to_matrix(ranking.read()["neighbours"]), ranking.metadata()["cost"]
                queries, _ = experiment.results_of(store, dataset, variant, search, grid.cutoffs, collection)
                runs[search] = Run(neighbours, cost, queries)
        found[variant.name] = against_exact(runs, cutoffs=grid.cutoffs, groups=groups)
    return found
