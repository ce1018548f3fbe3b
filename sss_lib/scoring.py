"""One pass over a ranking: what every query scores, class-wise and micro."""

import numpy as np
import scipy.sparse

from sss_lib import measures, methods, relevance
from sss_lib.processing import require_finite
from sss_lib.queries import GradedPerQuery, PerQuery, Queries
from sss_lib.relevance import Relevance
from sss_lib.search import Ranking, Similarities, blocks, in_threads, rank

BLOCK = 1024


def per_query(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    *,
    search: str = "nns",
    cutoffs: tuple[int, ...] = (15, 150),
    ranking: Ranking | None = None,
    relevant: Relevance | None = None,
    count_all: bool = False,
) -> tuple[Queries, Queries]:
    """AP@N and R1 (graded: NDCG@N) of every query, class-wise and micro, in one pass over one ranking.

    R1 needs no full ranking: a first hit within the ranking is read off; for the other queries the
    results that score higher than the best relevant one are counted. An approximate search has no full
    ranking: beyond what it returned, the exact one goes on, and the rank is at least one more than what was
    returned.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    search : str
        As of `search.rank`.
    cutoffs : tuple of int
    ranking : Ranking, optional
        Of all clips by all clips; made here if not given.
    relevant : Relevance, optional
        What counts, from `relevance.define`; by default "class".
    count_all : bool
        Whether micro queries' relevant clips are counted beyond the largest cutoff. Only a protocol that
        divides by R needs it.

    Returns
    -------
    class_wise, micro : PerQuery
        GradedPerQuery if `relevant` is graded.

    Raises
    ------
    ValueError
        If the embeddings, the labels and the ranking are not of the same clips.
    """
    relevant = relevant or Relevance()
    label_matrix = relevant.counted(label_matrix)
    method = methods.parse(search)
    require_finite(x, "embeddings")
    if len(x) != label_matrix.shape[0]:
        raise ValueError(
            f"{len(x)} embeddings don't match {label_matrix.shape[0]} labelled clips: "
            "select the clips that have an embedding"
        )
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(f"cutoffs={cutoffs}: give at least one, none below 1")
    if ranking is None:
        ranking = rank(x, search, top_n=max(cutoffs), groups=relevant.groups)
    _require_fit(ranking, len(x), max(cutoffs), relevant, complete=method.is_exact)

    pairs = relevance.class_pairs(label_matrix, relevant.groups)
    hits = _gather(label_matrix.toarray(), ranking.neighbours, pairs)
    labelled = np.flatnonzero(np.diff(label_matrix.indptr))
    starts = label_matrix.indptr[labelled]
    place = np.repeat(np.arange(len(labelled)), np.diff(label_matrix.indptr)[labelled])
    if relevant.kind == "graded":
        micro = _graded(label_matrix, relevant, pairs, hits, starts, labelled, tuple(cutoffs))
        return micro.at(place, pairs.label), micro

    n_any = relevance.n_sharing_any(
        label_matrix, at_most=None if count_all else max(cutoffs), groups=relevant.groups
    )
    n_any = n_any[labelled]
    any_hits = np.logical_or.reduceat(hits, starts, axis=0) if len(starts) else hits
    first, any_first = (measures.first_relevant_rank(h) for h in (hits, any_hits))
    missing = (first == 0) & (pairs.n_relevant > 0)
    any_missing = (any_first == 0) & (n_any > 0)
    if missing.any():
        similarities = Similarities(x, method.exact, relevant.groups)
        counted = _count_first_ranks(similarities, label_matrix, pairs.query[missing], pairs.label[missing])
        within = np.count_nonzero(ranking.neighbours >= 0, axis=1)[pairs.query[missing]]
        first[missing] = np.maximum(counted, within + 1)
    # The first result that shares any class is the first of those that share each.
    earliest = np.minimum.reduceat(np.where(first > 0, first, len(x)), starts) if len(starts) else first
    any_first[any_missing] = earliest[any_missing]

    def result(query, label, n_relevant, hits, first, **more):
        sums = dict(zip(cutoffs, measures.precision_sums(hits, tuple(cutoffs)), strict=True))
        return PerQuery(query, label, n_relevant, sums, first, relevance=relevant.name, **more)

    up_to = None if count_all else max(cutoffs)
    alone = np.full(len(labelled), -1)
    micro = result(labelled, alone, n_any, any_hits, any_first, any_class=True, counted_up_to=up_to)
    if relevant.kind == "any":
        return micro.at(place, pairs.label), micro
    return result(pairs.query, pairs.label, pairs.n_relevant, hits, first), micro


def _require_fit(ranking: Ranking, n_clips: int, n: int, relevant: Relevance, *, complete: bool) -> None:
    """Raise ValueError if a ranking is of other clips, too short, or holds results that are excluded.

    One that is not complete, of an approximate search, may lack results.
    """
    neighbours = ranking.neighbours
    if len(neighbours) != n_clips or neighbours.shape[1] < min(n, n_clips - 1):
        raise ValueError(
            f"a ranking of shape {neighbours.shape} doesn't serve {n_clips} clips at cutoff "
            f"{n}: rank them again with top_n={n}"
        )
    if relevant.groups is not None:
        own = (relevant.groups[neighbours] == relevant.groups[:, None]) & (neighbours >= 0)
        if own.any():
            raise ValueError(
                f"the ranking holds {own.sum()} results of the query's own {relevant.excluded or 'group'}, "
                f"which relevance {relevant.name!r} excludes: rank again with its groups"
            )
    elif complete and neighbours.size and neighbours.min() < 0:
        raise ValueError(
            f"{np.count_nonzero(neighbours < 0)} results of the ranking are left out: it excludes groups "
            f"that relevance {relevant.name!r} does not; rank again without groups"
        )


def _graded(
    label_matrix: scipy.sparse.csr_array,
    relevant: Relevance,
    pairs: relevance.Pairs,
    hits: np.ndarray,
    starts: np.ndarray,
    labelled: np.ndarray,
    cutoffs: tuple[int, ...],
) -> GradedPerQuery:
    """NDCG@N of every labelled clip: gain is the weight of the weightiest shared class."""
    weights = relevant.weights.astype(np.uint8)
    gains = (hits * weights[pairs.label][:, None]).astype(np.uint8)
    gains = np.maximum.reduceat(gains, starts, axis=0) if len(starts) else gains
    at_least = gain_counts(label_matrix, relevant, at_most=max(cutoffs))[:, labelled]
    sums = {n: measures.discounted(gains, n) for n in cutoffs}
    most = {n: measures.best_discounted(at_least, n) for n in cutoffs}
    alone = np.full(len(labelled), -1)
    return GradedPerQuery(labelled, alone, at_least[0], sums, most, relevance=relevant.name)


def gain_counts(
    label_matrix: scipy.sparse.csr_array, relevant: Relevance, *, at_most: int | None = None
) -> np.ndarray:
    """How many clips have a gain of 1 or more, of 2 or more, and so on: int [largest gain, n_clips]."""
    counts = []
    for gain in range(1, int(relevant.weights.max(initial=1)) + 1):
        weighty = relevance.as_label_matrix(label_matrix.multiply(relevant.weights >= gain))
        counts.append(relevance.n_sharing_any(weighty, at_most=at_most, groups=relevant.groups))
    return np.array(counts)


def _gather(has_label: np.ndarray, neighbours: np.ndarray, pairs: relevance.Pairs) -> np.ndarray:
    """Whether each result of each class-wise query has its class: bool [n_pairs, n_results]."""
    flat = has_label.ravel()
    hits = np.empty((len(pairs.query), neighbours.shape[1]), bool)
    at = neighbours * np.int32(has_label.shape[1])
    for start in range(0, len(hits), BLOCK):
        block = slice(start, start + BLOCK)
        np.take(flat, at[pairs.query[block]] + pairs.label[block, None].astype(np.int32), out=hits[block])
    if neighbours.size and neighbours.min() < 0:
        hits &= (neighbours >= 0)[pairs.query]
    return hits


def _count_first_ranks(
    similarities: Similarities, label_matrix: scipy.sparse.csr_array, query: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Rank from 1 of the first relevant result: one more than the results that come before the best one."""
    by_label = label_matrix.tocsc()
    members = np.split(by_label.indices, by_label.indptr[1:-1])

    def ranks_of_block(rows: np.ndarray) -> list[int]:
        similarity = similarities(rows)
        first, last = np.searchsorted(query, [rows[0], rows[-1] + 1])
        ranks = []
        for row, c in zip(np.searchsorted(rows, query[first:last]), label[first:last], strict=True):
            of_query = similarity[row]
            relevant = of_query[members[c]]
            best, row_of_best = relevant.max(), members[c][relevant.argmax()]
            before = np.count_nonzero(of_query > best) + np.count_nonzero(of_query[:row_of_best] == best)
            ranks.append(1 + before)
        return ranks

    return np.concatenate(in_threads(ranks_of_block, blocks(np.unique(query))))
