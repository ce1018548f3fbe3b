"""Cosine similarities adjusted by the neighbours that each clip has: fewer hubs, or wider queries and clips.

A hub is a clip that many others find, whatever they sound like. `csls`, `ls` and `mp` compare a similarity
with those that the two clips have to others. `qe` and `dba` replace vectors by the sum of neighbours.

Cosines are the exact ones of `similarity`, rounded to whole multiples of 2**-40, so that sums of them have no
rounding. The other steps are single operations of float64, which IEEE 754 rounds alike on every processor. So
are sums of directions, which are whole multiples too. Hence these rankings are equal everywhere; scores that
rounding makes equal are in row order.

All pairs are compared in float64, without the filter of the plain search. `mp` holds 4 bytes a pair of clips.
"""

from collections.abc import Callable

import numpy as np

from sss_lib.search.exact import best, ranking_of
from sss_lib.search.naming import Method
from sss_lib.search.ranking import Ranking, blocks, in_threads
from sss_lib.search.similarity import Similarities

_Scores = Callable[[np.ndarray], np.ndarray]
"""Scores of some clips to all, larger is better: rows to float64 [n_rows, n_clips]."""
ONE = 2.0**40
"""Cosine 1, in the unit of rounded cosines."""
MOST_CLIPS = 32768
"""Of `mp`: all pairs take 4 GB then."""


def rank(
    x: np.ndarray, method: Method, rows: np.ndarray, top_n: int, groups: np.ndarray | None = None
) -> Ranking:
    """Ranking of some clips by an adjusted search; see `rank.rank`.

    With s(x, y) the cosine, k the number in the search's name, and the query's own group left out everywhere:

    - `csls`: 2 s(x, y) - r(x) - r(y), r the mean of a clip's k largest cosines (Conneau et al. 2018).
    - `ls`: -d(x, y)^2 / (d_k(x) d_k(y)), d the distance on the unit sphere, d_k that to a clip's k-th nearest
      (Zelnik-Manor and Perona 2004; their exponential changes no order).
    - `mp`: the share of clips farther from x than y is, times that of those farther from y than x is
      (Schnitzer et al. 2012, mutual proximity of independent distances).
    - `qe`: the cosine of y and the sum of the directions of x and its k nearest (Chum et al. 2007).
    - `dba`: the cosine of such sums of both (Arandjelovic and Zisserman 2012). A neighbour's sum may hold the
      query itself.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    method : Method
        With an adjustment.
    rows : np.ndarray [shape=(n_queries,), dtype=int]
    top_n : int
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional

    Examples
    --------
    Of directions at 0, 10, 12 and -11 degrees the second is nearest to the first, but nearer to the third:
    2 cos 10 - cos 2 < 2 cos 11 - cos 11.

    >>> angle = np.radians([0, 10, 12, -11])
    >>> x = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> rank(x, Method("mcss", adjustment="csls", k=1), np.array([0]), 3).neighbours
    array([[3, 1, 2]], dtype=int32)

    References
    ----------
    Conneau et al. (2018), Word translation without parallel data, ICLR, eq. 3; Zelnik-Manor and Perona
    (2004), Self-tuning spectral clustering, NIPS; Schnitzer et al. (2012), Local and global scaling reduce
    hubs in space, JMLR 13; Chum et al. (2007), Total recall, ICCV; Arandjelovic and Zisserman (2012), Three
    things everyone should know to improve object retrieval, CVPR.
    """
    similarities = Similarities(x, "mcss", groups)
    if method.adjustment == "dba":
        similarities = Similarities(_expanded(similarities, np.arange(len(x)), method.k), "mcss", groups)
        return ranking_of(similarities, rows, top_n)
    if method.adjustment == "qe":
        return _by_expanded_queries(similarities, rows, top_n, method.k, groups)
    score = {"csls": _csls, "ls": _local_scaling, "mp": _mutual_proximity}[method.adjustment]
    scores_of = score(similarities, method.k)
    neighbours, scores = np.empty((len(rows), top_n), np.int32), np.empty((len(rows), top_n), np.float32)

    def fill(block: np.ndarray) -> None:
        of_block = scores_of(rows[block])
        for i, values in zip(block, of_block, strict=True):
            least = np.partition(values, len(values) - top_n)[len(values) - top_n]
            passing = np.flatnonzero(values >= least)
            order = passing[np.lexsort((passing, -values[passing]))[:top_n]]
            left_out = np.isneginf(values[order])
            neighbours[i] = np.where(left_out, -1, order)
            scores[i] = np.where(left_out, np.nan, values[order])

    in_threads(fill, blocks(np.arange(len(rows))))
    return Ranking(neighbours, scores)


def _cosines(similarities: Similarities, rows: np.ndarray) -> np.ndarray:
    """Cosines to all clips as whole multiples of 2**-40, -inf where left out: float64 [n_rows, n_clips]."""
    key, _ = similarities.all_keys(rows)
    square = similarities.query_squares[rows, None]
    return np.rint(key / np.sqrt(np.where(square > 0, square, 1)) * ONE)


def _of_all_clips(similarities: Similarities, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a function gives for the cosines of some clips after the other, one value or row a clip."""
    of_block = in_threads(
        lambda rows: function(_cosines(similarities, rows)), blocks(np.arange(similarities.n_clips))
    )
    return np.concatenate(of_block)


def _largest(cosines: np.ndarray, k: int) -> np.ndarray:
    """The k largest of each row, smallest first; -inf where there are fewer."""
    k = min(k, cosines.shape[1])
    return np.sort(np.partition(cosines, cosines.shape[1] - k, axis=1)[:, -k:], axis=1)


def _csls(similarities: Similarities, k: int) -> _Scores:
    def mean_of_largest(cosines: np.ndarray) -> np.ndarray:
        largest = _largest(cosines, k)
        there = np.isfinite(largest)
        return np.where(there, largest, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)

    means = _of_all_clips(similarities, mean_of_largest)
    return lambda rows: (2 * _cosines(similarities, rows) - means[rows, None] - means) / ONE


def _local_scaling(similarities: Similarities, k: int) -> _Scores:
    def root_of_kth(cosines: np.ndarray) -> np.ndarray:
        largest = _largest(cosines, k)  # of fewer than k the farthest
        kth = np.where(np.isfinite(largest), largest, np.inf).min(axis=1)
        return np.sqrt(np.maximum(ONE - np.where(np.isfinite(kth), kth, 0), 1))  # of copies not 0

    roots = _of_all_clips(similarities, root_of_kth)

    def scores(rows: np.ndarray) -> np.ndarray:
        return -np.maximum(ONE - _cosines(similarities, rows), 0) / roots[rows, None] / roots

    return scores


def _mutual_proximity(similarities: Similarities, _: int) -> _Scores:
    if similarities.n_clips > MOST_CLIPS:
        raise ValueError(
            f"mcss-mp compares all pairs of {similarities.n_clips} clips at once, and takes at most "
            f"{MOST_CLIPS}: use mcss-csls10 or mcss-ls10"
        )

    def n_farther(cosines: np.ndarray) -> np.ndarray:
        counts = [np.searchsorted(np.sort(row), row) for row in cosines]  # those left out lie below all
        n_out = np.isneginf(cosines).sum(axis=1, keepdims=True)
        return np.where(np.isneginf(cosines), -1, counts - n_out).astype(np.int32)

    farther = _of_all_clips(similarities, n_farther)
    n_others = np.maximum((farther >= 0).sum(axis=1), 1)

    def scores(rows: np.ndarray) -> np.ndarray:
        product = farther[rows].astype(np.float64) * farther[:, rows].T
        return np.where(farther[rows] < 0, -np.inf, product / n_others / n_others[rows, None])

    return scores


def _expanded(similarities: Similarities, rows: np.ndarray, k: int) -> np.ndarray:
    """Sums of the directions of some clips and of their k nearest: float64 [n_rows, dim]."""
    dim, mean = similarities.dim, similarities.mean_direction
    sums = np.empty((len(rows), dim))

    def fill(block: np.ndarray) -> None:
        nearest, _ = best(similarities, rows[block], k)
        members = np.column_stack([rows[block], nearest])
        directions = similarities.corpus[np.maximum(members, 0), :dim].astype(np.float64) + mean
        sums[block] = np.where(members[:, :, None] >= 0, directions, 0).sum(axis=1)

    in_threads(fill, blocks(np.arange(len(rows))))
    return sums


def _by_expanded_queries(
    similarities: Similarities, rows: np.ndarray, top_n: int, k: int, groups: np.ndarray | None
) -> Ranking:
    group = np.arange(similarities.n_clips) if groups is None else np.unique(groups, return_inverse=True)[1]
    n = min(top_n + int(np.bincount(group).max()), similarities.n_clips)
    asked = similarities.with_queries(_expanded(similarities, rows, k))
    found = ranking_of(asked, np.arange(len(rows)), n)
    own = group[found.neighbours] == group[rows][:, None]
    order = np.argsort(own, axis=1, kind="stable")[:, :top_n]
    own, neighbours, scores = (
        np.take_along_axis(of_all, order, axis=1) for of_all in (own, found.neighbours, found.scores)
    )
    return Ranking(np.where(own, -1, neighbours).astype(np.int32), np.where(own, np.nan, scores))
