"""Clips compared frame by frame, where one embedding a clip would blur what happens in it."""

import numpy as np

from sss_lib.io.names import require_known
from sss_lib.search.ranking import Ranking, in_threads, query_rows
from sss_lib.search.similarity import Similarities

COMPARISONS = ("maxsim", "chamfer")
ONE = 2.0**40
"""Cosine 1, in the unit of rounded cosines."""


def rank_frames(
    frames: np.ndarray,
    offsets: np.ndarray,
    how: str = "maxsim",
    top_n: int = 150,
    *,
    queries: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    candidates: Ranking | None = None,
) -> Ranking:
    """Ranking of clips by the cosines of their frames; without the query, equal scores in row order.

    - `maxsim`: mean over the query's frames of the largest cosine to a frame of the clip (Khattab and Zaharia
      2020).
    - `chamfer`: mean of that and of the same from the clip to the query.

    Products are exact, cosines rounded to whole multiples of 2**-40, so that sums of up to 8192 of them are
    exact too. Hence the ranking is the same on every processor. Every frame meets every frame: the time grows
    with the square of their number. `candidates` are much faster, and leave out what the first search misses.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_total, dim)]
        Held in float64 meanwhile.
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int]
        Clip i owns `frames[offsets[i]:offsets[i + 1]]`.
    how : str
        One of `COMPARISONS`.
    top_n : int
    queries, groups
        As in `rank.rank`.
    candidates : Ranking, optional
        Of the queries, such as the first 150 by clip embeddings: they alone are ranked anew.

    Returns
    -------
    Ranking

    Examples
    --------
    The query has two directions, clip 1 both of them, clip 2 their mean.

    >>> frames = np.array([[1, 0], [0, 1], [0, 2], [3, 0], [1, 1]])
    >>> found = rank_frames(frames, np.array([0, 2, 4, 5]), queries=[0])
    >>> found.neighbours, found.scores.round(3)
    (array([[1, 2]], dtype=int32), array([[1.   , 0.707]], dtype=float32))

    References
    ----------
    Khattab and Zaharia (2020), ColBERT, SIGIR, eq. 3.
    """
    require_known(how, COMPARISONS, "the comparisons of frames")
    n_frames, n_clips = np.diff(offsets), len(offsets) - 1
    if offsets[0] != 0 or offsets[-1] != len(frames) or (n_frames < 1).any() or top_n < 1:
        raise ValueError(
            f"top_n={top_n}, offsets from {offsets[0]} to {offsets[-1]} of {len(frames)} frames: give each "
            "clip a frame, and ask for a result"
        )
    rows = query_rows(queries, n_clips)
    if candidates is not None and len(candidates.neighbours) != len(rows):
        raise ValueError(f"candidates of {len(candidates.neighbours)} queries don't serve {len(rows)}")
    prepared = Similarities(frames, "mcss")
    directions = prepared.corpus[:, : prepared.dim].astype(np.float64) + prepared.mean_direction
    lengths = np.sqrt(np.where(prepared.query_squares > 0, prepared.query_squares, 1))
    group = np.arange(n_clips) if groups is None else np.asarray(groups)
    n_results = min(top_n, n_clips - 1 if candidates is None else candidates.neighbours.shape[1])
    neighbours = np.full((len(rows), n_results), -1, np.int32)
    scores = np.full((len(rows), n_results), np.nan, np.float32)

    def fill(i: int) -> None:
        clips = np.arange(n_clips) if candidates is None else np.sort(candidates.neighbours[i])
        clips = clips[(clips >= 0) & (group[clips] != group[rows[i]])]
        if not len(clips):
            return
        sizes = n_frames[clips]
        starts = np.cumsum(sizes) - sizes
        of_clips = np.repeat(offsets[clips] - starts, sizes) + np.arange(sizes.sum())
        own = slice(offsets[rows[i]], offsets[rows[i] + 1])
        products = directions[own] @ directions[of_clips].T
        cosines = np.rint(products / lengths[own, None] / lengths[of_clips] * ONE)
        values = np.maximum.reduceat(cosines, starts, axis=1).sum(axis=0) / len(cosines)
        if how == "chamfer":
            values = (values + np.add.reduceat(cosines.max(axis=0), starts) / sizes) / 2
        order = np.argsort(-values, kind="stable")[:n_results]
        neighbours[i, : len(order)], scores[i, : len(order)] = clips[order], values[order] / ONE

    in_threads(fill, range(len(rows)))
    return Ranking(neighbours, scores)
