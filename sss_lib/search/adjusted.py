"""Cosine similarities adjusted by the neighbours that each clip has: fewer hubs, or wider queries and clips.

A hub is a clip that many others find, whatever they sound like. `csls`, `ls` and `mp` compare a similarity
with those that the two clips have to others. `qe` and `dba` replace vectors by the sum of neighbours.

Cosines are the exact ones of `similarity`, rounded to whole multiples of 2**-40, so that sums of them have no
rounding. The other steps are single operations of float64, which IEEE 754 rounds alike on every processor. So
are sums of directions, which are whole multiples too. Hence these rankings are equal everywhere; scores that
rounding makes equal are in row order.

For `csls` and `ls` the bounds of the filter are adjusted, too. For `mp` they order the nearest clips of each
where they are far enough apart. It holds 2 bytes of each pair.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from sss_lib.search.exact import best, ranking_of, top
from sss_lib.search.naming import Method
from sss_lib.search.ranking import Ranking, blocks, in_threads, without
from sss_lib.search.similarity import BLOCKS, ONE, Keys, Similarities

MOST_CLIPS = 32768
"""Of `mp`: all pairs take 2 GB then."""


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
    if method.adjustment == "mp":
        return _mutual_proximity(similarities, rows, top_n)
    adjusted = {"csls": _Csls, "ls": _LocalScaling}[method.adjustment]
    return ranking_of(adjusted(similarities, method.k), rows, top_n)


class _Adjusted(Similarities, ABC):
    """Cosines adjusted by what each clip has near it: `best` of them are exact.

    The filter's bounds are adjusted too, up to what is the same for all clips of a query.
    """

    def __init__(self, similarities: Similarities, k: int):
        vars(self).update(vars(similarities))  # one corpus
        # Of rounding: of bounds in float32, of the grid's lengths, and of scores in float64.
        self.margin = 2.0**-20 + 2 * self.from_grid

        def largest(rows: np.ndarray) -> np.ndarray:
            return similarities.cosines(rows, best(similarities, rows, k)[1][0])

        of_blocks = in_threads(largest, blocks(np.arange(self.n_clips)))
        self.near = self.of_nearest(np.concatenate(of_blocks))

    @abstractmethod
    def of_nearest(self, largest: np.ndarray) -> np.ndarray:
        """What a clip's k largest cosines say of it: float64 [n_clips], of [n_clips, k], -inf if fewer."""

    @abstractmethod
    def adjust(self, rows: np.ndarray, columns: np.ndarray, upper: np.ndarray) -> None:
        """Adjust upper bounds of cosines in place."""

    @abstractmethod
    def score(self, rows: np.ndarray, columns: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        """Scores of rounded cosines [n_rows, n]; columns [n_rows or 1, n]."""

    def bands(
        self, rows: np.ndarray, among: np.ndarray | None = None, width: int = BLOCKS[1]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for columns, upper in super().bands(rows, among, width):
            self.adjust(rows, columns, upper)
            yield columns, upper

    def keys(self, rows: np.ndarray, columns: np.ndarray) -> Keys:
        key, rest = super().keys(rows, columns)
        return self.score(rows, columns, self.cosines(rows, key)), rest

    def all_keys(self, rows: np.ndarray, among: np.ndarray | None = None) -> Keys:
        key, rest = super().all_keys(rows, among)
        columns = np.arange(self.n_clips) if among is None else among
        return self.score(rows, columns[None], self.cosines(rows, key)), rest

    def to_scores(self, rows: np.ndarray, columns: np.ndarray, keys: Keys) -> np.ndarray:
        return keys[0].astype(np.float32)


class _Csls(_Adjusted):
    def of_nearest(self, largest: np.ndarray) -> np.ndarray:
        there = np.isfinite(largest)
        return np.where(there, largest, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)

    def adjust(self, rows: np.ndarray, columns: np.ndarray, upper: np.ndarray) -> None:
        upper -= (self.near[columns] / ONE / 2 - self.margin).astype(np.float32)

    def slack(self, rows: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        return super().slack(rows, columns) + 4 * self.margin

    def score(self, rows: np.ndarray, columns: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        return (2 * cosines - self.near[rows, None] - self.near[columns]) / ONE


class _LocalScaling(_Adjusted):
    def of_nearest(self, largest: np.ndarray) -> np.ndarray:
        kth = np.where(np.isfinite(largest), largest, np.inf).min(axis=1)  # of fewer than k the farthest
        return np.sqrt(np.maximum(ONE - np.where(np.isfinite(kth), kth, 0), 1))  # of copies not 0

    def adjust(self, rows: np.ndarray, columns: np.ndarray, upper: np.ndarray) -> None:
        upper += (self.offsets(rows) - 1 + self.margin).astype(np.float32)[:, None]
        upper *= (1 / self.near[columns]).astype(np.float32)

    def slack(self, rows: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        least = self.near.min() if columns is None else self.near[columns]
        return (super().slack(rows, columns) + 4 * self.margin) / least

    def score(self, rows: np.ndarray, columns: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        return -np.maximum(ONE - cosines, 0) / self.near[rows, None] / self.near[columns]


def _mutual_proximity(similarities: Similarities, rows: np.ndarray, top_n: int) -> Ranking:
    n_clips = similarities.n_clips
    if n_clips > MOST_CLIPS:
        raise ValueError(
            f"mcss-mp compares all pairs of {n_clips} clips at once, and takes at most {MOST_CLIPS}: "
            "use mcss-csls10 or mcss-ls10"
        )
    own = similarities.own
    n_others = n_clips - (np.ones(n_clips, int) if own is None else np.bincount(own.group)[own.group])
    n_near = min(4 * top_n, n_clips)
    while True:
        near = _MutuallyNear(similarities, n_near, np.maximum(n_others, 1))
        found, n_needed = near.ranking(rows, top_n)
        if n_needed <= near.n_sure:
            return found
        n_near = min(n_needed + 2 * (n_near - near.n_sure), n_clips)


class _MutuallyNear:
    """The nearest clips of each clip, and how many others are farther from it than each of these.

    Parameters
    ----------
    similarities : Similarities
    n_near : int
        How many nearest ones.
    n_others : np.ndarray [shape=(n_clips,), dtype=int]
        How many clips each has that aren't of its own group.

    Attributes
    ----------
    n_sure : int
        Of how many of the nearest ones it is known how far they are.
    """

    def __init__(self, similarities: Similarities, n_near: int, n_others: np.ndarray):
        n_clips = similarities.n_clips
        self.similarities, self.n_near, self.n_others = similarities, n_near, n_others
        self.near = np.empty((n_clips, n_near), np.int16)
        # One more than the number of clips that are farther from the row's clip; 0 if it is unknown.
        self.farther = np.zeros((n_clips, n_clips), np.int16)
        self.n_sure = min(in_threads(self._count, blocks(np.arange(n_clips), 64)))

    def _count(self, block: np.ndarray) -> int:
        """Fill in what is near the clips of a block; return of how many it is known for each how far."""
        n_clips, n_near = self.farther.shape[1], self.n_near
        clips, upper = top(self.similarities.bands(block), len(block), n_near)
        there = np.isfinite(upper)
        # Bounds so far apart are those of different cosines. Others make runs, ordered by exact ones below.
        apart = 1.001 * (self.similarities.slack(block) + 2 / ONE)
        upper[~there] = -4
        alike = upper[:, :-1] - upper[:, 1:] <= apart
        values = np.zeros(clips.shape, np.int64)
        np.cumsum(~alike, axis=1, out=values[:, 1:])
        known = there if n_near == n_clips else there & (values < values[:, -1:])  # the last may go on
        values *= -(1 << 42)  # beside which rounded cosines are small whole numbers
        in_runs = np.pad(alike, ((0, 0), (1, 0))) | np.pad(alike, ((0, 0), (0, 1)))
        self._order_runs(block, in_runs & known, clips, values)
        # Equal cosines count alike: up to where the last of them is.
        last = np.full(clips.shape, n_near, np.int32)
        np.copyto(last[:, :-1], np.arange(1, n_near), where=values[:, 1:] < values[:, :-1])
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        self.farther[block[:, None], clips] = np.where(known, self.n_others[block, None] + 1 - last, 0)
        self.near[block] = clips
        return int(np.where((there & ~known).any(axis=1), np.count_nonzero(known, axis=1), n_clips).min())

    def _order_runs(
        self, block: np.ndarray, alike: np.ndarray, clips: np.ndarray, values: np.ndarray
    ) -> None:
        """Order clips whose bounds are alike by exact cosines, and add these to the values of their runs."""
        (unclear, columns), (_, of_unclear) = _packed(alike, clips), _packed(alike, values)
        if columns.shape[1] > self.similarities.n_clips // 16:
            # A product of all is faster than one of what was gathered.
            key = np.take_along_axis(self.similarities.all_keys(block)[0], columns, axis=1)
            key[~unclear] = 0
        else:
            key, _ = self.similarities.keys(block, columns)
        of_unclear += self.similarities.cosines(block, key).astype(np.int64)
        of_unclear[~unclear] = np.iinfo(np.int64).min + 1
        order = np.argsort(-of_unclear, axis=1)
        for table, of_some in ((clips, columns), (values, of_unclear)):
            table[alike] = np.take_along_axis(of_some, order, axis=1)[unclear]

    def ranking(self, rows: np.ndarray, top_n: int) -> tuple[Ranking, int]:
        """Ranking of pairs that are near each other, and how many nearest ones it takes to lack no pair."""
        neighbours = np.empty((len(rows), top_n), np.int32)
        scores = np.empty((len(rows), top_n), np.float32)

        def fill(places: np.ndarray) -> int:
            at, clips = rows[places, None], self.near[rows[places]].astype(int)
            forth, back = self.farther[at, clips], self.farther[clips, at]
            values = (forth - 1.0) * (back - 1.0) / self.n_others[clips] / self.n_others[at]
            values[(forth < 1) | (back < 1)] = -np.inf
            worst = self.n_near - top_n
            passing = values >= np.partition(values, worst, axis=1)[:, worst, None]
            (there, clips), (_, values) = _packed(passing, clips), _packed(passing, values)
            values[~there] = -np.inf
            order = np.lexsort((clips, -values))[:, :top_n]
            clips, values = (np.take_along_axis(table, order, axis=1) for table in (clips, values))
            left_out = np.isneginf(values)
            neighbours[places] = np.where(left_out, -1, clips)
            scores[places] = np.where(left_out, np.nan, values)
            # Both shares of a better pair are above the last product; a little more for its rounding.
            least = values[:, -1].min()
            if least <= 0:
                return 4 * self.n_near
            return int((1 - least + 1e-12) * self.n_others.max()) + 1

        needed = max(in_threads(fill, blocks(np.arange(len(rows)), 64)), default=0)
        return Ranking(neighbours, scores), min(needed, self.similarities.n_clips)


def _packed(chosen: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is chosen of each row, side by side from the left: where it is now, and the table."""
    sizes = np.count_nonzero(chosen, axis=1)
    there = np.arange(sizes.max(initial=0)) < sizes[:, None]
    packed = np.zeros(there.shape, table.dtype)
    packed[there] = table[chosen]
    return there, packed


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
    return without(found.neighbours, found.scores, own, top_n)
