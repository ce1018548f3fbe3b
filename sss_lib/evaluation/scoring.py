"""What every query scores, class-wise and micro, in one pass over a ranking."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import scipy.sparse

from sss_lib.evaluation import measures as formulas
from sss_lib.evaluation.counts import Pairs, class_pairs, gain_counts, n_sharing_any
from sss_lib.evaluation.first_ranks import first_ranks
from sss_lib.evaluation.hits import packed, relevant_results
from sss_lib.evaluation.measures import Measure
from sss_lib.evaluation.queries import GradedPerQuery, Key, PerQuery, Scored
from sss_lib.evaluation.relevance import Relevance
from sss_lib.processing.checks import require_finite
from sss_lib.search.exact import best
from sss_lib.search.naming import GIVEN, Method, parse
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking, blocks, in_threads, query_rows
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
    the number of results. R1 needs no full ranking: `first_ranks` counts where a ranking holds no hit. Of a
    given ranking nobody knows what comes behind its end: a query without a hit has no R1 there, as in the
    code of the CBMI 2024 study.

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
    if not all(isinstance(n, (int, np.integer)) and n < 2**31 for n in cutoffs):
        raise ValueError(f"cutoffs={cutoffs}: give whole numbers from 1 to {2**31 - 1:,}")
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(f"cutoffs={cutoffs}: give at least one, none below 1")
    if measures and relevant.kind == "graded":
        raise ValueError(f"{', '.join(measures)}: graded relevance is scored by NDCG alone")
    rows, n = query_rows(queries, len(x)), max(cutoffs)
    if (np.diff(rows) < 1).any():
        raise ValueError("queries are not in row order, each once: give np.unique(queries)")
    if search == GIVEN:  # as long as it is, whatever was kept of it: R1 may lie behind the largest cutoff
        ranking = rank(x, search, len(x), rows, groups=relevant.groups)
    if ranking is not None:
        require_finite(x, "embeddings")  # else the search checks them
    elif not method.is_plain:
        ranking = rank(x, search, n, rows, groups=relevant.groups)
    if ranking is not None:
        _require_fit(ranking, rows, len(x), n, relevant, complete=search != GIVEN and method.is_exact)
    pairs = class_pairs(label_matrix, relevant.groups, rows)
    similarities = functools.cache(lambda: Similarities(x, method.exact, relevant.groups))
    if ranking is None:
        similarities()  # once, before there are threads
    scoring = _Scoring(
        label_matrix, relevant, pairs, tuple(cutoffs), similarities, rows, ranking, method, at_a_time
    )
    class_wise: Scored
    micro: Scored
    if relevant.kind == "graded":
        class_wise, micro = scoring.graded()
    else:
        class_wise, micro = scoring.binary(None if count_all else n, measures or {})
        class_wise = micro.at(scoring.row, pairs.label) if relevant.kind == "any" else class_wise
    if ranking is None:
        return class_wise, micro
    n_results = _lengths(ranking, rows, len(x), relevant.groups)
    if n_results.min(initial=n) >= n:
        return class_wise, micro
    found = (
        replace(one, n_results=n_results[np.searchsorted(rows, one.query)]) for one in (class_wise, micro)
    )
    return next(found), next(found)


class _Scoring:
    """Class-wise queries and their results: from a ranking, or searched for some clips after the other.

    Attributes
    ----------
    clips : np.ndarray [shape=(n_clips_that_query,), dtype=int]
    starts : np.ndarray [shape=(n_clips_that_query,), dtype=int]
        Where the queries of each clip begin.
    row : np.ndarray [shape=(n_queries,), dtype=int]
        Position in `clips` of each query.
    """

    def __init__(
        self,
        label_matrix: scipy.sparse.csr_array,
        relevant: Relevance,
        pairs: Pairs,
        cutoffs: tuple[int, ...],
        similarities: Callable[[], Similarities],
        rows: np.ndarray,
        ranking: Ranking | None,
        method: Method,
        at_a_time: tuple[int, int],
    ):
        self.label_matrix, self.relevant, self.pairs, self.cutoffs = label_matrix, relevant, pairs, cutoffs
        self.similarities, self.rows, self.ranking = similarities, rows, ranking
        self.method, self.at_a_time = method, at_a_time
        self.clips, self.starts, self.row = np.unique(pairs.query, return_index=True, return_inverse=True)

    def neighbours(self, clips: np.ndarray) -> np.ndarray:
        """Results of some of the clips."""
        if self.ranking is not None:
            return self.ranking.neighbours[np.searchsorted(self.rows, clips)]
        n = min(max(self.cutoffs), self.label_matrix.shape[0] - 1)
        return best(self.similarities(), clips, n, width=self.at_a_time[1])[0]

    def measured(self, of_hits: Callable) -> list[np.ndarray]:
        """What a function gives for all queries, from the hits of some clips' queries after the other.

        It takes the hits of consecutive queries, the slices of the queries and of the clips that they are,
        and where each clip's queries begin among them.
        """
        ends, bits = np.append(self.starts, len(self.pairs.query)), packed(self.label_matrix)

        def of_block(block: slice) -> list[np.ndarray]:
            own = slice(ends[block.start], ends[block.stop])
            row, label = self.row[own] - block.start, self.pairs.label[own]
            hits = relevant_results(bits, self.neighbours(self.clips[block]), row, label)
            return of_hits(hits, own, block, self.starts[block] - own.start)

        places = blocks(np.arange(len(self.clips)), self.at_a_time[0])
        pieces = [slice(block[0], block[-1] + 1) for block in places] or [slice(0, 0)]
        return [np.concatenate(part) for part in zip(*in_threads(of_block, pieces), strict=True)]

    def graded(self) -> tuple[GradedPerQuery, GradedPerQuery]:
        """NDCG@N: the gain of a result is that of the most specific class that it shares."""
        weights = self.relevant.gains.astype(np.uint8)

        def dcg(hits: np.ndarray, own: slice, block: slice, begins: np.ndarray) -> list[np.ndarray]:
            gains = np.maximum.reduceat(hits * weights[self.pairs.label[own]][:, None], begins, axis=0)
            return [formulas.discounted(gains, n) for n in self.cutoffs]

        sums = dict(zip(self.cutoffs, self.measured(dcg), strict=True))
        at_least = gain_counts(self.label_matrix, self.relevant, at_most=max(self.cutoffs))[:, self.clips]
        most = {n: formulas.best_discounted(at_least, n) for n in self.cutoffs}
        no_class = np.full(len(self.clips), -1)
        micro = GradedPerQuery(self.clips, no_class, at_least[0], sums, most, relevance=self.relevant.name)
        return micro.at(self.row, self.pairs.label), micro

    def binary(self, up_to: int | None, measures: Mapping[str, Measure]) -> tuple[PerQuery, PerQuery]:
        """AP@N, R1 and further measures: class-wise, and where any shared class counts."""
        pairs, cutoffs, name = self.pairs, self.cutoffs, self.relevant.name
        n_any = n_sharing_any(self.label_matrix, at_most=up_to, groups=self.relevant.groups)[self.clips]
        keys: list[Key] = [(one, n) for one in measures for n in cutoffs]

        def of_hits(hits: np.ndarray, own: slice, block: slice, begins: np.ndarray) -> list[np.ndarray]:
            any_hits = np.logical_or.reduceat(hits, begins, axis=0)
            found = []
            for of_kind, n_relevant in ((hits, pairs.n_relevant[own]), (any_hits, n_any[block])):
                found += [formulas.first_relevant_rank(of_kind), *formulas.precision_sums(of_kind, cutoffs)]
                found += [measures[one](of_kind, n_relevant, n) for one in measures for n in cutoffs]
            return found

        found = self.measured(of_hits)
        half = len(found) // 2
        (first, *of_class), (any_first, *of_any) = found[:half], found[half:]
        missing = np.flatnonzero((first == 0) & (pairs.n_relevant > 0))
        ends = self.method.exact == GIVEN
        if len(missing) and not ends:
            query, label = pairs.query[missing], pairs.label[missing]
            returned = None if self.ranking is None else self.neighbours(query)
            where = self.similarities(), self.label_matrix, query, label, returned
            first[missing] = first_ranks(*where, is_exact=self.method.is_plain, at_a_time=self.at_a_time)
        # The first result that shares any class is the first of those that share each.
        earliest = np.minimum.reduceat(np.where(first > 0, first, self.label_matrix.shape[0]), self.starts)
        any_first = np.where((any_first == 0) & (n_any > 0) & (not ends), earliest, any_first)
        (sums, others), (any_sums, any_others) = (
            (dict(zip(cutoffs, one, strict=False)), dict(zip(keys, one[len(cutoffs) :], strict=True)))
            for one in (of_class, of_any)
        )
        no_class = np.full(len(self.clips), -1)
        return (
            PerQuery(pairs.query, pairs.label, pairs.n_relevant, sums, first, False, None, name, others),
            PerQuery(self.clips, no_class, n_any, any_sums, any_first, True, up_to, name, any_others),
        )


def _lengths(ranking: Ranking, rows: np.ndarray, n_clips: int, groups: np.ndarray | None) -> np.ndarray:
    """See `Queries.n_results`."""
    found = (ranking.neighbours >= 0).sum(axis=1)
    own = np.ones(n_clips, int)
    if groups is not None:
        _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        own = sizes[group]
    return np.where(found < n_clips - own[rows], found, n_clips)


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
