"""A ranking that others have computed, carried as rows of numbers in place of embeddings: the search `given`.

A row holds the clip's own number, the numbers of its results, best first and filled up by -1, and their
scores. So a corpus of some of the clips keeps their order, and drops the results that it doesn't have.
"""

import numpy as np

from sss_lib.search.ranking import Ranking, blocks, without


def carried(ranking: Ranking, rows: np.ndarray) -> np.ndarray:
    """Rows of numbers that carry the ranking of some queries, float32 [n_queries, 1 + 2 * n_results].

    Examples
    --------
    >>> carried(Ranking(np.array([[1], [0]]), np.array([[0.5], [0.5]])), np.arange(2))
    array([[0. , 1. , 0.5],
           [1. , 0. , 0.5]], dtype=float32)
    """
    return np.hstack([rows[:, None], ranking.neighbours, np.nan_to_num(ranking.scores)]).astype(np.float32)


def rank(x: np.ndarray, rows: np.ndarray, top_n: int, groups: np.ndarray | None = None) -> Ranking:
    """Ranking of some queries as their rows give it.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, 1 + 2 * n_results)]
        See above.
    rows : np.ndarray [shape=(n_queries,), dtype=int]
    top_n : int
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of the query's own group are left out.

    Returns
    -------
    Ranking
        -1 and nan where the query has no more results.

    Examples
    --------
    >>> x = np.array([[7, 8, 9, 0.5, 0.1], [8, 7, -1, 0.5, 0], [3, 5, 7, 0.9, 0.8]])
    >>> rank(x, np.arange(3), 2).neighbours
    array([[ 1, -1],
           [ 0, -1],
           [ 0, -1]], dtype=int32)
    """
    own, width = np.asarray(x[:, 0], np.int64), (x.shape[1] - 1) // 2
    row_of = np.full(int(max(own.max(initial=0), x[:, 1 : 1 + width].max(initial=0))) + 2, -1, np.int64)
    row_of[own] = np.arange(len(own))  # the last, at -1, stays -1
    neighbours = np.full((len(rows), top_n), -1, np.int32)
    scores, n = np.full((len(rows), top_n), np.nan, np.float32), min(top_n, width)
    for at in blocks(np.arange(len(rows))):
        block = rows[at]
        found = row_of[np.asarray(x[block, 1 : 1 + width], np.int64)]
        left_out = found < 0
        if groups is not None:
            left_out |= groups[found] == groups[block][:, None]
        kept = without(found, x[block, 1 + width :], left_out, n)
        neighbours[at, :n], scores[at, :n] = kept.neighbours, kept.scores
    return Ranking(neighbours, scores, ties="the order of the given ranking")
