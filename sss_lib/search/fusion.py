"""Several rankings of the same queries as one: fusion of scores or of ranks."""

from collections.abc import Sequence

import numpy as np

from sss_lib.io.names import require_known
from sss_lib.search import given
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking, blocks

FUSIONS = ("rrf", "zscore", "minmax")
RRF_K = 60
"""What is added to a rank, as in Cormack et al."""
MOST_FUSED = 1000
"""Results that `fuse_embeddings` keeps: of a larger collection R1 beyond them is not known."""


def fuse(
    rankings: Sequence[Ranking],
    how: str = "rrf",
    *,
    weights: Sequence[float] | None = None,
    top_n: int = 150,
) -> Ranking:
    """Ranking by the weighted sum of what several rankings give a clip; equal sums are in row order.

    - `rrf`: 1 / (60 + rank), ranks from 1 (reciprocal rank fusion).
    - `zscore`: (score - mean) / standard deviation, over the query's results in that ranking.
    - `minmax`: (score - least) / (largest - least), likewise.

    A clip that a ranking lacks gets 0 of `rrf`, and of the others the query's least value. So give rankings
    of all clips where that matters. Distances, which grow along a ranking, count negatively. Sums are those
    of float64: where two are equal but for rounding, their order may depend on the processor.

    Parameters
    ----------
    rankings : sequence of Ranking
        Of the same queries in the same order, over the same corpus.
    how : str
        One of `FUSIONS`.
    weights : sequence of float [n_rankings], optional
        By default 1 each.
    top_n : int
        Results a query, -1 beyond those that any ranking has.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If there are no rankings, they are of different numbers of queries, or the weights don't match them or
        aren't finite.

    Examples
    --------
    >>> one = Ranking(np.array([[1, 2, 3]]), np.array([[0.9, 0.5, 0.1]]))
    >>> other = Ranking(np.array([[3, 1, 2]]), np.array([[0.8, 0.6, 0.0]]))
    >>> fuse([one, other], "minmax").neighbours
    array([[1, 3, 2]], dtype=int32)

    References
    ----------
    Fox and Shaw (1994), Combination of multiple searches, TREC-2; Cormack, Clarke and Büttcher (2009),
    Reciprocal rank fusion, SIGIR.
    """
    require_known(how, FUSIONS, "the fusions")
    sizes = {len(one.neighbours) for one in rankings}
    shares = [1.0] * len(rankings) if weights is None else list(weights)
    if len(sizes) != 1 or len(shares) != len(rankings):
        raise ValueError(
            f"{len(rankings)} rankings of {sorted(sizes)} queries with {len(shares)} weights: give at least "
            "one ranking, each of the same queries and with its weight"
        )
    if not np.isfinite(shares).all():
        raise ValueError(f"weights={shares} of a fusion: give finite numbers")
    n_queries, n_clips = sizes.pop(), 1 + max(int(one.neighbours.max(initial=0)) for one in rankings)
    top_n = min(top_n, n_clips)
    neighbours, scores = np.full((n_queries, top_n), -1, np.int32), np.full((n_queries, top_n), np.nan)
    given = [_given(one, how) for one in rankings]
    for rows in blocks(np.arange(n_queries)):
        total, found = np.zeros((len(rows), n_clips)), np.zeros((len(rows), n_clips), bool)
        for one, (values, least), share in zip(rankings, given, shares, strict=True):
            row, place = np.nonzero(one.neighbours[rows] >= 0)
            clip = one.neighbours[rows][row, place]
            part = np.repeat(least[rows, None], n_clips, axis=1)
            part[row, clip] = values[rows][row, place]
            found[row, clip] = True
            total += share * part
        order = np.argsort(np.where(found, -total, np.inf), axis=1, kind="stable")[:, :top_n]
        there = np.take_along_axis(found, order, axis=1)
        neighbours[rows] = np.where(there, order, -1)
        scores[rows] = np.where(there, np.take_along_axis(total, order, axis=1), np.nan)
    n_most = int((neighbours >= 0).sum(axis=1).max(initial=0))
    return Ranking(neighbours[:, :n_most], scores[:, :n_most].astype(np.float32))


def fuse_embeddings(embeddings: Sequence[np.ndarray], how: str, search: str) -> np.ndarray:
    """Fusion of rankings of all clips by several embeddings of them, as rows that `given` ranks by.

    Parameters
    ----------
    embeddings : sequence of np.ndarray [shape=(n_clips, dim of each)]
    how, search : str
        As in `fuse`, and in `rank.rank`.

    Returns
    -------
    np.ndarray [shape=(n_clips, 1 + 2 * n_results), dtype=float32]

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [3.0]])
    >>> fuse_embeddings([x, x], "rrf", "nns")[:, 1:3]
    array([[1., 2.],
           [0., 2.],
           [1., 0.]], dtype=float32)
    """
    n_clips, carried = len(embeddings[0]), []
    for rows in blocks(np.arange(n_clips), 1024):  # a whole ranking of all takes 8 bytes a pair
        of_each = [rank(x, search, max(n_clips - 1, 1), rows) for x in embeddings]
        carried.append(given.carried(fuse(of_each, how, top_n=MOST_FUSED), rows))
    return np.vstack(carried)


def _given(ranking: Ranking, how: str) -> tuple[np.ndarray, np.ndarray]:
    """What a ranking gives its results, float64 [n_queries, n_results], and all other clips, [n_queries]."""
    there, nobody = ranking.neighbours >= 0, np.zeros(len(ranking.neighbours))
    if how == "rrf" or not there.size:
        return np.where(there, 1 / (RRF_K + np.arange(1, there.shape[1] + 1)), 0), nobody
    scores = np.where(there, ranking.scores, 0).astype(np.float64)
    n = there.sum(axis=1)
    last = np.take_along_axis(scores, np.maximum(n - 1, 0)[:, None], axis=1)[:, 0]
    if (last - scores[:, 0]).sum() > 0:  # distances
        scores = -scores
    least = np.where(there, scores, np.inf).min(axis=1)
    if how == "minmax":
        middle, width = least, np.where(there, scores, -np.inf).max(axis=1) - least
    else:
        middle = scores.sum(axis=1) / np.maximum(n, 1)
        squares = np.where(there, (scores - middle[:, None]) ** 2, 0)
        width = np.sqrt(squares.sum(axis=1) / np.maximum(n, 1))
    middle, width = np.where(n > 0, middle, 0), np.where((n > 0) & (width > 0), width, np.inf)
    return (scores - middle[:, None]) / width[:, None], np.where(n > 0, (least - middle) / width, 0)
