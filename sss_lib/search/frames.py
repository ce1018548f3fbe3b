"""Clips compared frame by frame, where one embedding a clip would blur what happens in it."""

import itertools
from typing import Any

import numpy as np

from sss_lib.io.names import require_known
from sss_lib.search.device import filter_of
from sss_lib.search.ranking import Ranking, blocks, in_threads, query_rows
from sss_lib.search.similarity import ONE, Similarities

COMPARISONS = ("maxsim", "chamfer", "dtw")
ROUNDING = 2.0**-20
"""What rounding a bound in float32, and a cosine, moves it by, and more."""


def rank_frames(
    frames: np.ndarray,
    offsets: np.ndarray,
    how: str = "maxsim",
    top_n: int = 150,
    *,
    queries: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    candidates: Ranking | None = None,
    band: int | None = None,
) -> Ranking:
    """Ranking of clips by the cosines of their frames; without the query, equal scores in row order.

    - `maxsim`: mean over the query's frames of the largest cosine to a frame of the clip (Khattab and Zaharia
      2020).
    - `chamfer`: mean of that and of the same from the clip to the query.
    - `dtw`: mean of the cosines along the best path from the first frames of both to the last ones, by
      dynamic time warping. A step that goes on in both clips counts twice, so that all paths are equally
      long (Sakoe and Chiba 1978, symmetric form without a slope constraint).

    Products are exact, cosines rounded to whole multiples of 2**-40, so that sums of up to 8192 of them are
    exact too. Hence the ranking is the same on every processor. Every frame meets every frame in float32, or
    in bfloat16 where the processor multiplies it much faster, and few clips, of `dtw` more, are then compared
    exactly: the time grows with the square of their number. `candidates` are faster, and leave out what the
    first search misses.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_total, dim)]
        Two copies are made in float32.
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int]
        Clip i owns `frames[offsets[i]:offsets[i + 1]]`.
    how : str
        One of `COMPARISONS`.
    top_n : int
    queries, groups
        As in `rank.rank`.
    candidates : Ranking, optional
        Of the queries, such as the first 150 by clip embeddings: they alone are ranked anew.
    band : int, optional
        Of `dtw`: by how many frames more than the clips' lengths differ the path may go ahead in one of them.

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

    Clip 1 has them in the other order.

    >>> rank_frames(frames, np.array([0, 2, 4, 5]), "dtw", queries=[0]).neighbours
    array([[2, 1]], dtype=int32)

    References
    ----------
    Khattab and Zaharia (2020), ColBERT, SIGIR, eq. 3; Sakoe and Chiba (1978), Dynamic programming algorithm
    optimization for spoken word recognition, IEEE Trans. ASSP 26.
    """
    require_known(how, COMPARISONS, "the comparisons of frames")
    offsets = np.asarray(offsets)
    n_frames, n_clips = np.diff(offsets), len(offsets) - 1
    if offsets[0] != 0 or offsets[-1] != len(frames) or (n_frames < 1).any() or top_n < 1:
        raise ValueError(
            f"top_n={top_n}, offsets from {offsets[0]} to {offsets[-1]} of {len(frames)} frames: give each "
            "clip a frame, and ask for a result"
        )
    rows = query_rows(queries, n_clips)
    if candidates is not None and len(candidates.neighbours) != len(rows):
        raise ValueError(f"candidates of {len(candidates.neighbours)} queries don't serve {len(rows)}")
    if band is not None and (how != "dtw" or band < 0 or band != int(band)):
        raise ValueError(f"band={band} of {how}: give dtw a number of frames from 0, and the others none")
    n_products = n_frames[rows].sum() * np.size(frames) if candidates is None else 0
    corpus = _Frames(frames, offsets, how, band, n_products)
    group = np.arange(n_clips) if groups is None else np.asarray(groups)
    if len(group) != n_clips:
        raise ValueError(f"{len(group)} groups of {n_clips} clips: give each clip its group")
    n_results = min(top_n, n_clips - 1 if candidates is None else candidates.neighbours.shape[1])
    neighbours = np.full((len(rows), n_results), -1, np.int32)
    scores = np.full((len(rows), n_results), np.nan, np.float32)

    def fill(block: np.ndarray) -> None:
        bounds = corpus.bounds(rows[block]) if candidates is None else [None] * len(block)
        for i, upper in zip(block, bounds, strict=True):
            clips = np.arange(n_clips) if candidates is None else np.sort(candidates.neighbours[i])
            clips = clips[(clips >= 0) & (group[clips] != group[rows[i]])]
            clips, values = corpus.best(rows[i], clips, n_results, None if upper is None else upper[clips])
            neighbours[i, : len(clips)], scores[i, : len(clips)] = clips, values / ONE

    in_threads(fill, blocks(np.arange(len(rows)), max(1, corpus.filter.n_rows * n_clips // len(frames))))
    return Ranking(neighbours, scores)


class _Frames:
    """Frames of clips, to be compared: of 1024 clips every first one, then every second one, and so on.

    So what has to be done to the frames of one place is done to all these clips side by side, in the cache.
    Long clips are first, so that few places are only of some.
    """

    def __init__(self, frames: np.ndarray, offsets: np.ndarray, how: str, band: int | None, n_products: int):
        self.offsets, self.n_frames, self.how, self.band = offsets, np.diff(offsets), how, band
        place = np.arange(len(frames)) - np.repeat(offsets[:-1], self.n_frames)
        self.by_length = np.argsort(-self.n_frames, kind="stable")
        self.rank = np.argsort(self.by_length)  # of each clip
        rank = np.repeat(self.rank, self.n_frames)
        order = np.lexsort((rank, place, rank // 1024))
        self.row = np.argsort(order)  # of each frame
        changes = (np.diff(of_each[order], prepend=-1) != 0 for of_each in (place, rank // 1024))
        self.begins = np.flatnonzero(np.logical_or(*changes))  # of the places of each 1024 clips
        self.first = rank[order][self.begins]  # of the clips that have it
        self.similarities = Similarities(frames[order], "mcss")
        self.filter = filter_of(self.similarities, n_products)
        self.margin = ROUNDING + 2 * self.similarities.from_grid

    def _rows(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the frames of some clips after the other, where each clip begins, and its number."""
        sizes = self.n_frames[clips]
        starts = np.cumsum(sizes) - sizes
        return (
            self.row[np.repeat(self.offsets[clips] - starts, sizes) + np.arange(sizes.sum())],
            starts,
            sizes,
        )

    def best(
        self, query: int, clips: np.ndarray, n: int, upper: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The n best of some clips and their exact scores; upper bounds of all may spare most the comparison.

        The clips of the n largest bounds are first. Some of the rest may be as good as the worst of these.
        """
        rest = clips[:0]
        if upper is not None and 0 < n < len(clips):
            first = upper >= np.partition(upper, -n)[-n]
            clips, rest, upper = clips[first], clips[~first], upper[~first]
        values = self.scores(query, clips) if len(clips) else np.empty(0)
        if len(rest):
            least = np.partition(values, -n)[-n]
            rest = rest[upper >= least / ONE]
        if len(rest) and self.how != "dtw":  # whose path takes longer than its cosines
            rest = rest[self.scores(query, rest, exactly=False) >= least]
        if len(rest):
            clips, values = np.append(clips, rest), np.append(values, self.scores(query, rest))
        order = np.lexsort((clips, -values))[:n]
        return clips[order], values[order]

    def scores(self, query: int, clips: np.ndarray, *, exactly: bool = True) -> np.ndarray:
        """Exact scores of some clips, none of them the query, or upper bounds of float32: float64 [n]."""
        own, (of_clips, starts, sizes) = self._rows(np.array([query]))[0], self._rows(clips)
        if exactly:
            cosines = self.similarities.cosines(own, self.similarities.all_keys(own, of_clips)[0])
        else:
            few = blocks(of_clips, 128)  # in the cache
            queries, corpus = self.similarities.filter_queries(own), self.similarities.corpus
            cosines = np.hstack([queries @ corpus.take(rows, axis=0, mode="clip").T for rows in few])
            cosines = (cosines + (self.similarities.offsets(own)[:, None] + self.margin)) * ONE
        if self.how == "dtw":
            return along_best_path(cosines, starts, sizes, self.band) / (len(cosines) + sizes)
        values = np.maximum.reduceat(cosines, starts, axis=1).sum(axis=0) / len(cosines)
        if self.how == "chamfer":
            values = (values + np.add.reduceat(cosines.max(axis=0), starts) / sizes) / 2
        return values

    def bounds(self, queries: np.ndarray) -> np.ndarray:
        """Upper bounds of the scores of all clips: float64 [n_queries, n_clips]."""
        # Of the queries, too, all that have a place are side by side.
        by_length = np.argsort(-self.n_frames[queries], kind="stable")
        sizes, starts = self.n_frames[queries[by_length]], self.offsets[queries[by_length]]
        counts = [np.count_nonzero(sizes > place) for place in range(sizes[0])]
        own = self.row[np.concatenate([starts[:n] + place for place, n in enumerate(counts)])]
        places = [slice(end - n, end) for n, end in zip(counts, np.cumsum(counts), strict=True)]
        offsets, one_way = self.similarities.offsets(own), self.how == "maxsim"
        # What is the same for all clips is added at the end; the way back compares frames of the query.
        tables, error = self.filter.tables(own, None if one_way else offsets)
        maximum: Any = self.filter.maximum  # of numpy or of PyTorch
        largest = self.filter.least((len(own), len(self.n_frames)))
        back = np.zeros((len(queries), len(self.n_frames)))
        for begin, table in tables:
            end = begin + table.shape[1]
            nearest = self.filter.least((len(queries), 0 if one_way else end - begin))
            for rows in () if one_way else places:
                some = nearest[: rows.stop - rows.start]
                maximum(some, table[rows], out=some)
            first, last = np.searchsorted(self.begins, [begin, end - 1], "right")
            cuts = np.clip(np.append(self.begins[first - 1 : last], end), begin, end)
            starts = self.first[first - 1 : last] + cuts[:-1] - self.begins[first - 1 : last]
            for start, (here, there) in zip(starts, itertools.pairwise(cuts - begin), strict=True):
                part, clips = slice(here, there), slice(start, start + there - here)
                maximum(largest[:, clips], table[:, part], out=largest[:, clips])
                if not one_way:
                    back[:, clips] += self.filter.sums(nearest[:, part], [slice(None)])
        values, growth = self.filter.sums(largest, places), 1 + self.filter.growth
        values *= growth
        n_others = self.n_frames[self.by_length]
        for rows in places:
            values[: rows.stop - rows.start] += (error + offsets if one_way else error)[rows, None]
        back *= growth
        back += error.max() * n_others
        if self.how == "dtw":  # a path is in every row and every column of the table
            values = (values + back) / (sizes[:, None] + n_others)
        else:
            values /= sizes[:, None]
        if self.how == "chamfer":
            values = (values + back / n_others) / 2
        values += self.margin
        return values[np.argsort(by_length)[:, None], self.rank]


def along_best_path(
    cosines: np.ndarray, starts: np.ndarray, sizes: np.ndarray, band: int | None = None
) -> np.ndarray:
    """Largest sum of cosines along a path through a query and each of some clips, diagonal steps twice.

    All clips go on side by side, one diagonal of their tables after the other.

    Parameters
    ----------
    cosines : np.ndarray [shape=(n_frames, n_total)]
        Of the query's frames to those of the clips, one clip after the other.
    starts, sizes : np.ndarray [shape=(n_clips,), dtype=int]
        Where each clip begins, and its number of frames.
    band : int, optional
        See `rank_frames`.

    Returns
    -------
    np.ndarray [shape=(n_clips,), dtype=float64]

    Examples
    --------
    >>> along_best_path(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]), np.array([0, 2]), np.array([2, 1]))
    array([4. , 1.5])
    """
    n, found = len(cosines), np.empty(len(sizes))
    before, last = np.full((2, n + 1, len(sizes)), -np.inf)  # frame i of the query is in row i + 1
    before[0] = 0  # where each path begins
    for k in range(n + sizes.max() - 1):
        frame = np.arange(max(0, k - sizes.max() + 1), min(n, k + 1))
        place = (k - frame)[:, None]
        here = cosines[frame[:, None], starts + np.minimum(place, sizes - 1)]
        if band is not None:
            ahead = place - frame[:, None]
            outside = (ahead > np.maximum(sizes - n, 0) + band) | (ahead < np.minimum(sizes - n, 0) - band)
            here = np.where(outside, -np.inf, here)
        now = np.full_like(last, -np.inf)
        now[frame + 1] = np.maximum(np.maximum(last[frame], last[frame + 1]) + here, before[frame] + 2 * here)
        ends = k == n + sizes - 2
        found[ends] = now[n, ends]
        before, last = last, now
    return found
