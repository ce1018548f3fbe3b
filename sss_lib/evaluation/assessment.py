"""Everything that is scored of one system: by every rule and protocol, with intervals and bounds."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import bounds, intervals, protocols
from sss_lib.evaluation.queries import Scored, queries_table
from sss_lib.evaluation.relevance import Relevance
from sss_lib.evaluation.scoring import per_query
from sss_lib.search.ranking import Ranking


@dataclass(frozen=True)
class Assessment:
    """What one search of a variant scores.

    Attributes
    ----------
    scores : pd.DataFrame
        Tidy scores by each rule and protocol, as `bounds.add_bounds` returns them.
    queries : pd.DataFrame
        What each query scores by the rules of kind "class", as `queries_table` returns it.
    results : dict of str to (Scored, Scored)
        By the name of the rule: what `per_query` returns.
    """

    scores: pd.DataFrame
    queries: pd.DataFrame
    results: dict[str, tuple[Scored, Scored]]


def assess(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str],
    rules: Sequence[Relevance],
    *,
    fnames: Sequence[str],
    rankings: Mapping[str, Ranking | None],
    cutoffs: tuple[int, ...],
    groups: np.ndarray | None = None,
    score: Callable[..., tuple[Scored, Scored]] = per_query,
) -> dict[str, Assessment]:
    """What each search of a variant scores by each rule and protocol.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    label_matrix, labels, families
        As in `metrics.evaluate`.
    rules : sequence of Relevance
    fnames : sequence of str [n_clips]
    rankings : mapping of str to Ranking or None
        By search; one is made where there is None, and for rules that leave out clips.
    cutoffs : tuple of int
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        As in `intervals.summary`.
    score : callable
        Does what `per_query` does, such as on a cluster.
    """
    of_all: dict[str, Any] = {"cutoffs": cutoffs}
    labelled = (label_matrix, labels, families)
    ends = {}
    for rule in rules:
        for protocol in protocols.PROTOCOLS:
            of = of_all | {"protocol": protocol, "relevant": rule}
            ends[rule.name, protocol] = bounds.chance(*labelled, **of), bounds.upper_bound(*labelled, **of)
    results: dict[str, dict[str, tuple[Scored, Scored]]] = {search: {} for search in rankings}
    scores: dict[str, list[pd.DataFrame]] = {search: [] for search in rankings}
    for rule in rules:  # one after the other, so that searches share what follows from its queries
        summaries: dict[
            bytes, list[pd.DataFrame]
        ] = {}  # searches that rank alike, as of unit length, share them
        for search, ranking in rankings.items():
            of = of_all | {"search": search, "ranking": None if rule.excluded else ranking, "relevant": rule}
            results[search][rule.name] = own = score(x, label_matrix, **of)
            if (key := pickle.dumps(own)) not in summaries:
                summaries[key] = [
                    bounds.add_bounds(
                        intervals.summary(*own, labels, families, protocol=protocol, groups=groups),
                        *ends[rule.name, protocol],
                    )
                    for protocol in protocols.PROTOCOLS
                ]
            scores[search] += summaries[key]
    found = {}
    for search in rankings:
        kept = [one.name for one in rules if one.kind == "class"]
        queries = [queries_table(*results[search][name], fnames, labels) for name in kept]
        tidy, of_queries = (pd.concat(parts, ignore_index=True) for parts in (scores[search], queries))
        found[search] = Assessment(tidy, of_queries, results[search])
    return found
