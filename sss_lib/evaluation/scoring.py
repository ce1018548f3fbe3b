"""One pass over a ranking: what every query scores, class-wise and micro, some queries after the other."""

import functools
from typing import Any

import numpy as np
import scipy.sparse

from sss_lib.evaluation import measures, relevance
from sss_lib.evaluation.queries import GradedPerQuery, PerQuery, Scored
from sss_lib.evaluation.relevance import Relevance
from sss_lib.processing.checks import require_finite
from sss_lib.search import naming as methods
from sss_lib.search.exact import best
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking, blocks, in_threads, query_rows
from sss_lib.search.similarity import BLOCKS, Keys, Similarities


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
    at_a_time: tuple[int, int] = BLOCKS,
) -> tuple[Scored, Scored]:
    """AP@N and R1 (graded: NDCG@N) of every query, class-wise and micro, in one pass over one ranking.

    R1 needs no full ranking: a first hit within the ranking is read off; for the other queries the
    results that score higher than the best relevant one are counted. An approximate search has no full
    ranking: beyond what it returned, the exact one goes on with the clips that are left. Where no ranking is
    given, an exact one is made for a few queries at a time and not kept, so that memory is bounded however
    many clips there are.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    search : str
        As of `search.rank`.
    cutoffs : tuple of int
    ranking : Ranking, optional
        Of all clips by the queries; made here if not given.
    relevant : Relevance, optional
        What counts, from `relevance.define`; by default "class".
    count_all : bool
        Whether micro queries' relevant clips are counted beyond the largest cutoff. Only a protocol that
        divides by R needs it.
    queries : np.ndarray [shape=(n_queries,), dtype=int], optional
        Rows of the clips that query, in order: a sample, for instance. By default all.
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
    rows = query_rows(queries, len(x))
    if (np.diff(rows) < 1).any():
        raise ValueError("queries are not in row order, each once: give np.unique(queries)")
    if ranking is None and not method.is_exact:
        ranking = rank(x, search, max(cutoffs), rows, groups=relevant.groups)
    if ranking is not None:
        _require_fit(ranking, rows, len(x), max(cutoffs), relevant, complete=method.is_exact)
    pairs = relevance.class_pairs(label_matrix, relevant.groups, rows)
    labelled, starts, place = np.unique(pairs.query, return_index=True, return_inverse=True)
    similarities = functools.cache(lambda: Similarities(x, method.exact, relevant.groups))
    n, ends = max(cutoffs), np.append(starts, len(pairs.query))

    def of_block(block: slice) -> list[np.ndarray]:
        clips, own = labelled[block], slice(ends[block.start], ends[block.stop])
        if ranking is None:
            neighbours, _ = best(similarities(), clips, min(n, len(x) - 1), width=at_a_time[1])
        else:
            neighbours = ranking.neighbours[np.searchsorted(rows, clips)]
        hits = _hits(label_matrix, neighbours, place[own] - block.start, pairs.label[own])
        begins = starts[block] - own.start
        if relevant.kind == "graded":
            gains = (hits * relevant.gains.astype(np.uint8)[pairs.label[own]][:, None]).astype(np.uint8)
            return [_discounted(np.maximum.reduceat(gains, begins, axis=0), cutoffs)]
        any_hits = np.logical_or.reduceat(hits, begins, axis=0)
        return [
            *(np.array(measures.precision_sums(h, tuple(cutoffs))) for h in (hits, any_hits)),
            *(measures.first_relevant_rank(h) for h in (hits, any_hits)),
        ]

    if ranking is None:
        similarities()
    places = blocks(np.arange(len(labelled)), at_a_time[0])
    pieces = [slice(block[0], block[-1] + 1) for block in places] or [slice(0, 0)]
    found = [np.concatenate(part, axis=-1) for part in zip(*in_threads(of_block, pieces), strict=True)]
    alone = np.full(len(labelled), -1)
    if relevant.kind == "graded":
        at_least = gain_counts(label_matrix, relevant, at_most=n)[:, labelled]
        most = {n: measures.best_discounted(at_least, n) for n in cutoffs}
        gain_sums = dict(zip(cutoffs, *found, strict=True))
        micro: Scored = GradedPerQuery(labelled, alone, at_least[0], gain_sums, most, relevance=relevant.name)
        return micro.at(place, pairs.label), micro

    sums, any_sums, first, any_first = found
    up_to = None if count_all else n
    n_any = relevance.n_sharing_any(label_matrix, at_most=up_to, groups=relevant.groups)[labelled]
    missing = np.flatnonzero((first == 0) & (pairs.n_relevant > 0))
    if len(missing):
        asked = pairs.query[missing], pairs.label[missing]
        first[missing], keys, clip = _count_first_ranks(similarities(), label_matrix, *asked, at_a_time)
        if ranking is not None:
            returned = ranking.neighbours[np.searchsorted(rows, asked[0])]
            if method.is_exact:
                first[missing] = np.maximum(first[missing], 1 + np.count_nonzero(returned >= 0, axis=1))
            else:
                first[missing] += _n_ranked_below(similarities(), asked[0], returned, keys, clip)
    # The first result that shares any class is the first of those that share each.
    any_missing = (any_first == 0) & (n_any > 0)
    earliest = np.minimum.reduceat(np.where(first > 0, first, len(x)), starts)
    any_first[any_missing] = earliest[any_missing]

    def result(
        query: np.ndarray,
        label: np.ndarray,
        n_relevant: np.ndarray,
        sums: np.ndarray,
        first: np.ndarray,
        **more: Any,
    ) -> PerQuery:
        by_cutoff = dict(zip(cutoffs, sums, strict=True))
        return PerQuery(query, label, n_relevant, by_cutoff, first, relevance=relevant.name, **more)

    micro = result(labelled, alone, n_any, any_sums, any_first, any_class=True, counted_up_to=up_to)
    if relevant.kind == "any":
        return micro.at(place, pairs.label), micro
    return result(pairs.query, pairs.label, pairs.n_relevant, sums, first), micro


def _discounted(gains: np.ndarray, cutoffs: tuple[int, ...]) -> np.ndarray:
    return np.array([measures.discounted(gains, n) for n in cutoffs])


def _require_fit(
    ranking: Ranking, rows: np.ndarray, n_clips: int, n: int, relevant: Relevance, *, complete: bool
) -> None:
    """Raise ValueError if a ranking is of other clips, too short, or holds results that are excluded.

    One that is not complete, of an approximate search, may lack results.
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


def gain_counts(
    label_matrix: scipy.sparse.csr_array, relevant: Relevance, *, at_most: int | None = None
) -> np.ndarray:
    """How many clips have a gain of 1 or more, of 2 or more, and so on: int [largest gain, n_clips]."""
    counts = []
    for gain in range(1, int(relevant.gains.max(initial=1)) + 1):
        weighty = relevance.as_label_matrix(label_matrix.multiply(relevant.gains >= gain))
        counts.append(relevance.n_sharing_any(weighty, at_most=at_most, groups=relevant.groups))
    return np.array(counts)


def _hits(
    label_matrix: scipy.sparse.csr_array, neighbours: np.ndarray, place: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Whether each result of each class-wise query has its class: bool [n_pairs, n_results].

    `place` is the row of `neighbours` that each query has, and `label` its class.
    """
    n_queries, n = neighbours.shape
    classes, column = np.unique(label, return_inverse=True)
    column_of = np.zeros(label_matrix.shape[1], np.int32)  # 0: a class that none queries with
    column_of[classes] = np.arange(1, len(classes) + 1)
    # Where the hits of a query and class begin, less where the query's results do; those of none go behind.
    begins = np.full((n_queries, len(classes) + 1), len(label) * n)
    begins[place, column + 1] = (np.arange(len(label)) - place) * n
    hits = np.zeros(len(label) * n + n_queries * n, bool)
    # Go through the classes of all results, one result after the other.
    flat = neighbours.ravel()
    starts = label_matrix.indptr[flat]
    sizes = np.where(flat < 0, 0, label_matrix.indptr[flat + 1] - starts)
    result = np.repeat(np.arange(len(flat)), sizes)
    at = (starts - (np.cumsum(sizes) - sizes))[result] + np.arange(len(result))
    row = np.repeat(np.arange(n_queries) * begins.shape[1], n)
    hits[begins.ravel()[row[result] + column_of[label_matrix.indices[at]]] + result] = True
    return hits[: len(label) * n].reshape(len(label), n)


def _count_first_ranks(
    similarities: Similarities,
    label_matrix: scipy.sparse.csr_array,
    query: np.ndarray,
    label: np.ndarray,
    at_a_time: tuple[int, int],
) -> tuple[np.ndarray, Keys, np.ndarray]:
    """Rank from 1 of the first relevant result, its similarity, and the clip that it is."""
    by_label = label_matrix.tocsc()
    n_queries, width = at_a_time
    key, rest = np.empty(len(query)), np.empty(len(query))
    clip, n_before = np.empty(len(query), int), np.zeros(len(query), int)

    def find_first(pairs: np.ndarray) -> None:
        c = label[pairs[0]]
        members = by_label.indices[by_label.indptr[c] : by_label.indptr[c + 1]]
        columns, keys = best(similarities, query[pairs], 1, np.sort(members), width=width)
        clip[pairs], key[pairs], rest[pairs] = columns[:, 0], keys[0][:, 0], keys[1][:, 0]

    def count_before(rows: np.ndarray) -> None:
        own = slice(*np.searchsorted(query, [rows[0], rows[-1] + 1]))
        keys, at = (key[own], rest[own]), np.searchsorted(rows, query[own])
        n_above, which, equal = similarities.compare(rows, at, keys, width)
        # Of equal results, those before it in row order come before it.
        earlier = which[equal < clip[own][which]]
        n_before[own] = n_above + np.bincount(earlier, minlength=len(at))

    by_class = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    in_threads(find_first, [block for pairs in by_class for block in blocks(pairs, n_queries)])
    in_threads(count_before, blocks(np.unique(query), n_queries))
    return 1 + n_before, (key, rest), clip


def _n_ranked_below(
    similarities: Similarities, query: np.ndarray, neighbours: np.ndarray, keys: Keys, clip: np.ndarray
) -> np.ndarray:
    """How many results of each query the exact search ranks below a clip: int [n_queries]."""
    n = np.empty(len(query), int)

    def count(at: np.ndarray) -> None:
        found = neighbours[at]
        (key, rest), (own, own_rest) = similarities.keys(query[at], np.maximum(found, 0)), keys
        own, own_rest = own[at][:, None], own_rest[at][:, None]
        same = (key == own) & (rest == own_rest) & (found > clip[at][:, None])
        below = (key < own) | ((key == own) & (rest < own_rest)) | same
        n[at] = np.count_nonzero(below & (found >= 0), axis=1)

    in_threads(count, blocks(np.arange(len(query))))
    return n
