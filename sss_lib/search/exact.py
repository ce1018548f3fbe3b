"""Clip embeddings to rankings, exactly: maximum inner product, maximum cosine, nearest neighbours.

Queries and clips are compared in blocks, so that memory doesn't grow with the corpus. Upper bounds of all
similarities choose a few candidates, and exact similarities order these: see `similarity`.
"""

from collections.abc import Iterable

import numpy as np

from sss_lib.search.device import OnDevice
from sss_lib.search.ranking import Ranking, blocks, in_threads, query_rows, require_top_n
from sss_lib.search.similarity import BLOCKS, Keys, Similarities
from sss_lib.search.whole_numbers import round_down


def rank_outside(x: np.ndarray, queries: np.ndarray, search: str = "nns", top_n: int = 150) -> Ranking:
    """Ranking of the corpus for sounds that are none of it; see `rank`.

    What a sound finds, and its scores to the last bit, depend on the corpus and on itself, not on what else
    is asked.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    queries : np.ndarray [shape=(n_queries, dim)]
    search : str
        "nns", "mips" or "mcss".
    top_n : int
        Results a query, at most n_clips.

    Examples
    --------
    >>> rank_outside(np.array([[0.0], [1.0], [3.0]]), np.array([[2.5], [1.0]])).neighbours
    array([[2, 1, 0],
           [1, 0, 2]], dtype=int32)
    """
    require_top_n(top_n)
    similarities = Similarities(x, search).with_queries(queries)
    return ranking_of(similarities, np.arange(len(queries)), min(top_n, len(x)))


def ranking_of(
    similarities: Similarities,
    rows: np.ndarray,
    n: int,
    at_a_time: tuple[int, int] = BLOCKS,
    among: np.ndarray | None = None,
) -> Ranking:
    """Ranking of clips that were prepared before, or of some `among` them, by these queries; see `rank`."""
    if among is not None:
        among = query_rows(among, similarities.n_clips)
        if not len(among) or (np.diff(among) < 1).any():
            raise ValueError(f"{len(among)} rows to choose from are none, or out of order: give np.unique")
        n = min(n, len(among))
    neighbours, scores = np.empty((len(rows), n), np.int32), np.empty((len(rows), n), np.float32)

    def fill(block: np.ndarray) -> None:
        columns, keys = best(similarities, rows[block], n, among, width=at_a_time[1])
        of_block = similarities.to_scores(rows[block], np.maximum(columns, 0), keys)
        neighbours[block], scores[block] = columns, np.where(columns < 0, np.nan, of_block)

    in_threads(fill, blocks(np.arange(len(rows)), at_a_time[0]))
    return Ranking(neighbours, scores)


SPARE = 16
"""Results beyond those asked for that the filter hands on."""


def best(
    similarities: Similarities,
    rows: np.ndarray,
    n: int,
    among: np.ndarray | None = None,
    *,
    width: int = BLOCKS[1],
) -> tuple[np.ndarray, Keys]:
    """The n most similar clips of a few queries, exactly: best first, equal ones in row order.

    Parameters
    ----------
    similarities : Similarities
    rows : np.ndarray [shape=(n_rows,), dtype=int]
    n : int
        At most as many as there are clips.
    among : np.ndarray [shape=(n_among,), dtype=int], optional
        The clips to choose from, in row order; by default all.
    width : int
        How many clips are compared at a time.

    Returns
    -------
    columns : np.ndarray [shape=(n_rows, n), dtype=int32]
        -1 where there are fewer clips.
    keys : pair of np.ndarray [shape=(n_rows, n), dtype=float64]
    """
    n_clips = similarities.n_clips if among is None else len(among)
    n, n_kept = min(n, n_clips), min(n + SPARE, n_clips)
    if not len(rows):
        return np.empty((0, n), np.int32), (np.empty((0, n)), np.empty((0, n)))
    if isinstance(similarities, OnDevice) and among is None:
        columns, upper = similarities.top(rows, n_kept)
    else:
        columns, upper = top(similarities.bands(rows, among, width), len(rows), n_kept)
    # n clips are at least as similar as this: one whose upper bound is less is not among the n best.
    least = upper[:, n - 1, None] - similarities.slack(rows)
    if (upper[:, -1:] >= least).any():  # clips of other lengths have other bounds
        lower = upper - similarities.slack(rows, columns)
        least = np.partition(lower, n_kept - n, axis=1)[:, n_kept - n, None]
    possible = upper >= least
    unclear = possible[:, -1] & np.isfinite(upper[:, -1]) & (n_kept < n_clips)
    k = max(n, int(np.count_nonzero(possible[~unclear], axis=1).max(initial=0)))
    columns = columns[:, :k]
    key, rest = similarities.keys(rows, columns)
    left_out = np.isneginf(upper[:, :k])
    key[left_out], rest[left_out] = -np.inf, 0
    # The filter's order is nearly the exact one: sort only where it isn't.
    for row in np.flatnonzero((key[:, :-1] <= key[:, 1:]).any(axis=1)):
        order = np.lexsort((columns[row], -rest[row], -key[row]))
        columns[row], key[row], rest[row] = columns[row, order], key[row, order], rest[row, order]
    columns, key, rest = columns[:, :n], key[:, :n], rest[:, :n]
    for few in blocks(np.flatnonzero(unclear), max(1, 2**22 // n_clips)):
        columns[few], key[few], rest[few] = _best_reaching(
            similarities, rows[few], n, least[few], among, width
        )
    columns[np.isneginf(key)] = -1
    return columns, (key, rest)


def _best_reaching(
    similarities: Similarities,
    rows: np.ndarray,
    n: int,
    least: np.ndarray,
    among: np.ndarray | None,
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`best` where the filter hands on too few: of all clips whose upper bound reaches `least` [n_rows, 1].

    At least n do. Near copies are as many as their cluster, and uncentred embeddings may all do.
    """
    reaching, least = [], round_down(least)
    for columns, upper in similarities.bands(rows, among, width):
        flat, sizes = _places(upper >= least)
        which = np.repeat(np.arange(len(rows)), sizes)
        reaching.append((which, columns[flat - which * len(columns)]))
    which, clips = map(np.concatenate, zip(*reaching, strict=True))
    sizes = np.bincount(which, minlength=len(rows))
    if sizes.max() > similarities.n_clips // 8:  # a product of all is faster than one of what was gathered
        return _best_of_all(similarities, rows, n, among)
    columns = np.full((len(rows), sizes.max()), -1)
    columns[np.arange(columns.shape[1]) < sizes[:, None]] = clips[np.argsort(which, kind="stable")]
    key, rest = similarities.keys(rows, np.maximum(columns, 0))
    key[columns < 0] = -np.inf
    order = np.lexsort((columns, -rest, -key))[:, :n]
    columns, key, rest = (np.take_along_axis(of_all, order, axis=1) for of_all in (columns, key, rest))
    return columns, key, rest


def _best_of_all(
    similarities: Similarities, rows: np.ndarray, n: int, among: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`best` without a filter: where thousands of clips are alike to it."""
    keys, rests = similarities.all_keys(rows, among)
    places = np.empty((len(rows), n), int)
    for i, (key, rest) in enumerate(zip(keys, rests, strict=True)):
        passing = np.flatnonzero(key >= np.partition(key, len(key) - n)[len(key) - n])
        places[i] = passing[np.lexsort((passing, -rest[passing], -key[passing]))[:n]]
    found = places if among is None else among[places]
    return found, np.take_along_axis(keys, places, axis=1), np.take_along_axis(rests, places, axis=1)


NOTHING = np.iinfo(np.int64).max
"""Key of a place that no clip has taken."""


N_GROUPS, LARGEST_GROUP = 8, 16
"""Groups of values for each result, and values of a group at most. More groups let fewer values pass."""


def top(bands: Iterable[tuple[np.ndarray, np.ndarray]], n_rows: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n largest similarities of each query, largest first, equal ones in row order.

    Of the largest values of some groups, the n-th best is a threshold that at least n values reach, and
    seldom many more; later it is the n-th best so far. Only what reaches it is sorted.

    Parameters
    ----------
    bands : iterable of (columns, similarity)
        As from `Similarities.bands`.
    n_rows, n : int

    Returns
    -------
    columns : np.ndarray [shape=(n_rows, at most n), dtype=int32]
    similarity : np.ndarray [shape=(n_rows, at most n), dtype=float32]
        -inf where there are fewer clips; what `columns` has there means nothing.

    Examples
    --------
    >>> top([(np.arange(4), np.array([[1.0, 3.0, 2.0, 3.0]], np.float32))], 1, 3)
    (array([[1, 3, 2]], dtype=int32), array([[3., 3., 2.]], dtype=float32))
    """
    keys = np.empty((n_rows, 0), np.int64)
    for columns, similarity in bands:
        last = keys[:, -1] if keys.shape[1] == n else np.full(n_rows, NOTHING)
        threshold = _similarity_of(last)
        if (last == NOTHING).any():
            threshold = np.maximum(threshold, _reached_by(similarity, n))
        flat, sizes = _places(similarity >= threshold[:, None])
        row = np.repeat(np.arange(n_rows), sizes)
        passing = _keys(similarity.ravel()[flat], columns[flat - row * len(columns)])
        if keys.shape[1] == n:
            better = passing < last[row]
            row, passing = row[better], passing[better]
            sizes = np.bincount(row, minlength=n_rows)
        beside = np.full((n_rows, sizes.max(initial=1)), NOTHING)
        beside[np.arange(beside.shape[1]) < sizes[:, None]] = passing
        keys = np.hstack([keys, beside])
        keys.sort(axis=1)
        keys = keys[:, :n]
    return (keys & 0x7FFFFFFF).astype(np.int32) * (keys != NOTHING), _similarity_of(keys)


def _reached_by(similarity: np.ndarray, n: int) -> np.ndarray:
    """A value for each row that at least n of its values reach: the n-th largest of its groups' largest."""
    n_rows, n_columns = similarity.shape
    if n_columns < n:
        return np.full(n_rows, -np.inf, np.float32)
    size = min(max(n_columns // (N_GROUPS * n), 1), LARGEST_GROUP)
    n_groups = n_columns // size
    # Neighbours are often alike, so they are in groups of their own.
    largest = similarity[:, : size * n_groups].reshape(n_rows, size, n_groups).max(axis=1)
    return np.partition(largest, n_groups - n, axis=1)[:, n_groups - n]


def _places(passes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a table is true, numbered through its rows, and how often in each row."""
    cells = passes.ravel()
    words = cells[: len(cells) // 8 * 8].view(np.uint64)
    some = np.flatnonzero(words != 0)  # most are 0, which takes half as long as to look at every cell
    within = np.flatnonzero(words[some].view(bool))
    last = 8 * len(words) + np.flatnonzero(cells[8 * len(words) :])
    flat = np.concatenate([8 * some[within >> 3] + (within & 7), last])
    return flat, np.diff(np.searchsorted(flat, np.arange(len(passes) + 1) * passes.shape[1]))


SIGN = np.int32(-(2**31))


def _keys(similarity: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Integers that sort by similarity, largest first, and then by column.

    The bits of a float32, turned so that a larger value is a smaller integer, with the column behind them.
    """
    bits = (similarity + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    return (bits ^ (~(bits >> 31) | SIGN)).astype(np.int64) << 32 | columns


def _similarity_of(keys: np.ndarray) -> np.ndarray:
    """Similarity that a key was made of; -inf of none."""
    turned = (keys >> 32).astype(np.int32)
    similarity = (turned ^ ((turned >> 31) | SIGN)).view(np.float32)
    return np.where(keys == NOTHING, np.float32(-np.inf), similarity)
