"""What every query scores, class-wise and micro, in one pass over a ranking."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse

from sss_lib.evaluation import measures as formulas
from sss_lib.evaluation.first_ranks import first_ranks
from sss_lib.evaluation.hits import measure
from sss_lib.evaluation.measures import Measure
from sss_lib.evaluation.queries import GradedPerQuery, PerQuery, Scored
from sss_lib.evaluation.relevance import Pairs, Relevance, class_pairs, gain_counts, n_sharing_any
from sss_lib.processing.checks import require_finite
from sss_lib.search.exact import best
from sss_lib.search.naming import Method, parse
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking, blocks, query_rows
from sss_lib.search.similarity import BLOCKS, Similarities


def per_query(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    *,
    search: str = "nns",
    cutoffs: tuple[int, ...] = (15, 150),
    ranking: Ranking | None = None,
    relevant: Relevance | None = None,
    count_all: bool = False,
    queries: np.ndarray | None = None,
    measures: Mapping[str, Measure] | None = None,
    at_a_time: tuple[int, int] = BLOCKS,
) -> tuple[Scored, Scored]:
    """AP@N and R1 (graded: NDCG@N) of every query, class-wise and micro.

    Without a ranking, an exact one is made for a few queries at a time and not kept: memory doesn't grow with
    the number of results. R1 needs no full ranking: `first_ranks` counts where a ranking holds no hit.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    search : str
        As in `search.rank`.
    cutoffs : tuple of int
    ranking : Ranking, optional
        Of all clips by the queries; made here if not given.
    relevant : Relevance, optional
        What counts, from `relevance.define`; by default "class".
    count_all : bool
        Whether the relevant clips of micro queries are counted beyond the largest cutoff. Only a protocol
        that divides by R needs it.
    queries : np.ndarray [shape=(n_queries,), dtype=int], optional
        Rows of the clips that query, in order, such as a sample. By default all.
    measures : mapping of str to callable, optional
        Further measures by name; see `measures`.
    at_a_time : tuple of int
        Queries and clips that are compared at a time. They bound the memory and change no result.

    Returns
    -------
    class_wise, micro : PerQuery
        GradedPerQuery if `relevant` is graded.

    Raises
    ------
    ValueError
        If the embeddings, the labels and the ranking are not of the same clips, or a query is none of them.
    """
    relevant, method = relevant or Relevance(), parse(search)
    label_matrix = relevant.counted(label_matrix)
    if len(x) != label_matrix.shape[0]:
        raise ValueError(
            f"{len(x)} embeddings don't match {label_matrix.shape[0]} labelled clips: "
            "select the clips that have an embedding"
        )
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(f"cutoffs={cutoffs}: give at least one, none below 1")
    if measures and relevant.kind == "graded":
        raise ValueError(f"{', '.join(measures)}: graded relevance is scored by NDCG alone")
    rows, n = query_rows(queries, len(x)), max(cutoffs)
    if (np.diff(rows) < 1).any():
        raise ValueError("queries are not in row order, each once: give np.unique(queries)")
    if ranking is not None:
        require_finite(x, "embeddings")  # else the search checks them
    elif not method.is_exact:
        ranking = rank(x, search, n, rows, groups=relevant.groups)
    if ranking is not None:
        _require_fit(ranking, rows, len(x), n, relevant, complete=method.is_exact)
    results = _Results(x, method, relevant.groups, rows, ranking, n, at_a_time)
    pairs = class_pairs(label_matrix, relevant.groups, rows)
    if relevant.kind == "graded":
        return _graded(results, label_matrix, pairs, tuple(cutoffs), relevant)
    up_to = None if count_all else n
    class_wise, micro = _binary(results, label_matrix, pairs, tuple(cutoffs), relevant, up_to, measures or {})
    if relevant.kind == "any":
        return micro.at(np.searchsorted(micro.query, pairs.query), pairs.label), micro
    return class_wise, micro


class _Results:
    """Results of each query: from a ranking, or searched for some queries after the other."""

    def __init__(
        self,
        x: np.ndarray,
        method: Method,
        groups: np.ndarray | None,
        rows: np.ndarray,
        ranking: Ranking | None,
        n: int,
        at_a_time: tuple[int, int],
    ):
        self.is_exact, self.rows, self.ranking, self.at_a_time = method.is_exact, rows, ranking, at_a_time
        self.n = min(n, len(x) - 1)
        self.similarities = functools.cache(lambda: Similarities(x, method.exact, groups))
        if ranking is None:
            self.similarities()  # once, before there are threads

    def of(self, clips: np.ndarray) -> np.ndarray:
        """Neighbours of some of the clips that query."""
        if self.ranking is None:
            return best(self.similarities(), clips, self.n, width=self.at_a_time[1])[0]
        return self.ranking.neighbours[np.searchsorted(self.rows, clips)]

    def first_ranks(
        self, label_matrix: scipy.sparse.csr_array, query: np.ndarray, label: np.ndarray
    ) -> np.ndarray:
        """First relevant ranks of queries whose results hold no hit."""
        returned = None if self.ranking is None else self.of(query)
        return first_ranks(
            self.similarities(),
            label_matrix,
            query,
            label,
            returned,
            is_exact=self.is_exact,
            at_a_time=self.at_a_time,
        )


def _graded(
    results: _Results,
    label_matrix: scipy.sparse.csr_array,
    pairs: Pairs,
    cutoffs: tuple[int, ...],
    relevant: Relevance,
) -> tuple[GradedPerQuery, GradedPerQuery]:
    """NDCG@N: the gain of a result is that of the most specific class that it shares."""
    weights = relevant.gains.astype(np.uint8)

    def dcg(hits: np.ndarray, own: slice, block: slice, begins: np.ndarray) -> list[np.ndarray]:
        gains = np.maximum.reduceat(hits * weights[pairs.label[own]][:, None], begins, axis=0)
        return [formulas.discounted(gains, n) for n in cutoffs]

    sums = measure(label_matrix, pairs, results.of, dcg, results.at_a_time[0])
    clips, row = np.unique(pairs.query, return_inverse=True)
    at_least = gain_counts(label_matrix, relevant, at_most=max(cutoffs))[:, clips]
    micro = GradedPerQuery(
        clips,
        np.full(len(clips), -1),
        at_least[0],
        dict(zip(cutoffs, sums, strict=True)),
        {n: formulas.best_discounted(at_least, n) for n in cutoffs},
        relevance=relevant.name,
    )
    return micro.at(row, pairs.label), micro


def _binary(
    results: _Results,
    label_matrix: scipy.sparse.csr_array,
    pairs: Pairs,
    cutoffs: tuple[int, ...],
    relevant: Relevance,
    up_to: int | None,
    measures: Mapping[str, Measure],
) -> tuple[PerQuery, PerQuery]:
    """AP@N, R1 and further measures: class-wise, and where any shared class counts."""
    clips, starts = np.unique(pairs.query, return_index=True)
    n_any = n_sharing_any(label_matrix, at_most=up_to, groups=relevant.groups)[clips]
    keys = [(name, n) for name in measures for n in cutoffs]

    def of_hits(hits: np.ndarray, own: slice, block: slice, begins: np.ndarray) -> list[np.ndarray]:
        any_hits = np.logical_or.reduceat(hits, begins, axis=0)
        found = []
        for of_kind, n_relevant in ((hits, pairs.n_relevant[own]), (any_hits, n_any[block])):
            found += formulas.precision_sums(of_kind, cutoffs)
            found += [measures[name](of_kind, n_relevant, n) for name, n in keys]
            found += [formulas.first_relevant_rank(of_kind)]
        return found

    found = measure(label_matrix, pairs, results.of, of_hits, results.at_a_time[0])
    half = len(found) // 2
    (*of_class, first), (*of_any, any_first) = found[:half], found[half:]
    missing = np.flatnonzero((first == 0) & (pairs.n_relevant > 0))
    if len(missing):
        first[missing] = results.first_ranks(label_matrix, pairs.query[missing], pairs.label[missing])
    # The first result that shares any class is the first of those that share each.
    earliest = np.minimum.reduceat(np.where(first > 0, first, label_matrix.shape[0]), starts)
    any_first = np.where((any_first == 0) & (n_any > 0), earliest, any_first)

    def values(found: list[np.ndarray]) -> tuple[dict, dict]:
        sums, others = found[: len(cutoffs)], found[len(cutoffs) :]
        return dict(zip(cutoffs, sums, strict=True)), dict(zip(keys, others, strict=True))

    (sums, others), (any_sums, any_others) = values(of_class), values(of_any)
    ways: dict[str, Any] = {"relevance": relevant.name}
    no_class = np.full(len(clips), -1)
    return (
        PerQuery(pairs.query, pairs.label, pairs.n_relevant, sums, first, others=others, **ways),
        PerQuery(clips, no_class, n_any, any_sums, any_first, True, up_to, others=any_others, **ways),
    )


def _require_fit(
    ranking: Ranking, rows: np.ndarray, n_clips: int, n: int, relevant: Relevance, *, complete: bool
) -> None:
    """Raise ValueError if a ranking is of other clips, too short, or holds excluded results.

    A ranking that isn't complete, by an approximate search, may lack results.
    """
    neighbours = ranking.neighbours
    if len(neighbours) != len(rows) or neighbours.shape[1] < min(n, n_clips - 1):
        raise ValueError(
            f"a ranking of shape {neighbours.shape} doesn't serve {len(rows)} clips at cutoff "
            f"{n}: rank them again with top_n={n}"
        )
    if relevant.groups is not None:
        groups, n_own = relevant.groups, 0
        for block in blocks(np.arange(len(rows))):
            found = neighbours[block]
            n_own += int(np.count_nonzero((groups[found] == groups[rows[block]][:, None]) & (found >= 0)))
        if n_own:
            raise ValueError(
                f"the ranking holds {n_own} results of the query's own {relevant.excluded or 'group'}, "
                f"which relevance {relevant.name!r} excludes: rank again with its groups"
            )
    elif complete and neighbours.size and neighbours.min() < 0:
        raise ValueError(
            f"{np.count_nonzero(neighbours < 0)} results of the ranking are left out: it excludes groups "
            f"that relevance {relevant.name!r} does not; rank again without groups"
        )
