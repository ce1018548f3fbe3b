"""Clip embeddings to rankings, exactly: maximum inner product, maximum cosine, nearest neighbours.

All three are a maximum inner product search over suitable vectors, so one path serves them: the cosine is
the inner product of unit vectors, and the nearest y to x maximises x.y - |y|^2 / 2.
"""

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import threadpoolctl

from sss_lib.processing import l2_normalize, require_finite

SEARCHES = {
    "nns": "nearest neighbours by Euclidean distance",
    "mips": "maximum inner product",
    "mcss": "maximum cosine similarity",
}


@dataclass(frozen=True)
class Ranking:
    """The best results of each query, best first.

    Attributes
    ----------
    neighbours : np.ndarray [shape=(n_queries, n), dtype=int32]
        Rows of the corpus. A query is never among its own results. -1 where its corpus has no more clips,
        which happens only where groups are left out, or where an approximate search finds no more.
    scores : np.ndarray [shape=(n_queries, n), dtype=float32]
        Euclidean distance for nns (smaller is better); inner product or cosine otherwise; nan beside -1.
    ties : str
        How equal scores are ordered.
    """

    neighbours: np.ndarray
    scores: np.ndarray
    ties: str = "row order"


def rank(
    x: np.ndarray,
    search: str = "nns",
    top_n: int = 150,
    queries: np.ndarray | None = None,
    *,
    groups: np.ndarray | None = None,
) -> Ranking:
    """Ranking of the corpus for each query, exact unless asked otherwise; the query is left out by its row.

    Equal scores are in row order; identical clips always have equal scores. Scores are computed in float32:
    what they resolve is about 1e-7 of the largest squared length (nns: from the mean of all clips).
    Embeddings too large or too small for that are first scaled by a power of two, which changes no ranking.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        The corpus.
    search : str
        "nns", "mips" or "mcss"; or an approximate one, such as "nns-hnsw16-ef64": see `methods`.
    top_n : int
        Results a query, at most n_clips - 1.
    queries : np.ndarray [shape=(n_queries,), dtype=int], optional
        Rows of the corpus that query it; by default all.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of the query's own group are left out of its results, as by one uploader.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If the search is unknown, `top_n` < 1, there are fewer than two clips, a value isn't finite, or a
        score is beyond what float32 can hold.

    Examples
    --------
    >>> rank(np.array([[0.0], [1.0], [3.0]]), "nns").neighbours
    array([[1, 2],
           [0, 2],
           [1, 0]], dtype=int32)
    """
    from sss_lib import approximate, methods

    if top_n < 1:
        raise ValueError(f"top_n={top_n} is below 1: ask for at least one result")
    if len(x) < 2:
        raise ValueError(f"a corpus of {len(x)} clip(s) can't be searched: it takes two")
    rows = np.arange(len(x)) if queries is None else np.asarray(queries)
    top_n = min(top_n, len(x) - 1)
    if not (method := methods.parse(search)).is_exact:
        return approximate.rank(x, method, rows, top_n, groups)
    similarities = Similarities(x, search, groups)

    def best_of_block(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        similarity = similarities(block)
        found = best(similarity, top_n)
        return found, np.take_along_axis(similarity, found, axis=1)

    found, similarity = zip(*in_threads(best_of_block, blocks(rows)), strict=True)
    neighbours, similarity = np.concatenate(found), np.concatenate(similarity)
    absent = np.isneginf(similarity)
    scores = similarities.to_scores(rows, neighbours, similarity)
    neighbours[absent], scores[absent] = -1, np.nan
    return Ranking(neighbours, scores)


class Similarities:
    """Similarity of some clips to every clip of the corpus: larger is better, and identical clips are equal.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    search : str
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of one group are out of each other's reach.

    Examples
    --------
    >>> Similarities(np.array([[1.0], [2.0], [2.0]]), "mips")(np.array([0, 1]))
    array([[-inf,   2.,   2.],
           [  2., -inf,   4.]], dtype=float32)
    """

    def __init__(self, x: np.ndarray, search: str, groups: np.ndarray | None = None):
        if groups is not None and len(groups) != len(x):
            raise ValueError(f"{len(groups)} groups don't match {len(x)} clips: give each clip its group")
        self.search, self.groups = search, groups
        # Identical vectors are multiplied once, so that no rounding parts them.
        first, self.group = unique_rows(x)
        self.distinct = len(first) == len(x)
        self.exponent = excess_exponent(x)
        self.left, self.right = inner_product_form(np.ldexp(x[first], -self.exponent), search)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Similarity of these rows to all: float32 [n_rows, n_clips], -inf to itself and its group."""
        similarity = self.left[self.group[rows]] @ self.right.T
        if not self.distinct:
            similarity = similarity[:, self.group]
        similarity[np.arange(len(rows)), rows] = -np.inf
        if self.groups is not None:
            similarity[self.groups[rows][:, None] == self.groups] = -np.inf
        return similarity

    def to_scores(self, rows: np.ndarray, neighbours: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """Scores in the terms of the search: distances for nns, the similarity itself otherwise.

        Raises ValueError if one is beyond what float32 can hold.
        """
        if self.search == "mcss":
            return similarity
        if self.search == "mips":
            return scaled(similarity, 2 * self.exponent)
        left = self.left[self.group[rows], :-1]  # without the column of ones
        square = np.einsum("ij,ij->i", left, left, dtype=np.float64)
        distance = np.sqrt(np.maximum(square[:, None] - 2 * similarity, 0)).astype(np.float32)
        distance[self.group[neighbours] == self.group[rows][:, None]] = 0
        return scaled(distance, self.exponent)


def excess_exponent(x: np.ndarray) -> int:
    """Return the power of two to divide by, so that float32 can square the largest value and add many up.

    Examples
    --------
    >>> excess_exponent(np.array([[-3.0, 1e12]])), excess_exponent(np.array([[2.0**60]]))
    (0, 11)
    """
    exponent = int(np.frexp(np.abs(x).max(initial=0))[1])
    return exponent - int(np.clip(exponent, -50, 50))


def scaled(scores: np.ndarray, exponent: int) -> np.ndarray:
    """Scores times a power of two; ValueError if float32 can't hold one."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(scores, exponent)
    beyond = np.isinf(scaled) & np.isfinite(scores)
    if beyond.any():
        raise ValueError(
            f"a score of {scores[beyond][0]:.3g} x 2**{exponent} is beyond float32: scale the embeddings "
            "towards 1 first"
        )
    return scaled


def best(similarity: np.ndarray, n: int) -> np.ndarray:
    """Columns of the n largest values of each row, largest first, equal values by column.

    A sample of each row gives a threshold that a little more than n values are expected to pass; only those
    are sorted. A row where fewer pass gets its exact threshold.

    Parameters
    ----------
    similarity : np.ndarray [shape=(n_rows, n_columns), dtype=float32]
        Without nan.
    n : int
        At most n_columns.

    Returns
    -------
    np.ndarray [shape=(n_rows, n), dtype=int32]

    Examples
    --------
    >>> best(np.array([[1.0, 3.0, 2.0, 3.0]], np.float32), 3)
    array([[1, 3, 2]], dtype=int32)
    """
    n_rows, n_columns = similarity.shape
    threshold = _sampled_thresholds(similarity, n)
    passes = similarity >= threshold[:, None]
    n_passing = np.count_nonzero(passes, axis=1)
    short = np.flatnonzero(n_passing < n)
    if len(short):
        exact = np.partition(similarity[short], n_columns - n, axis=1)[:, n_columns - n]
        passes[short] = similarity[short] >= exact[:, None]
        n_passing[short] = np.count_nonzero(passes[short], axis=1)

    flat = np.flatnonzero(passes)
    column = flat - np.repeat(np.arange(n_rows) * n_columns, n_passing)
    # The bits of a float32, turned so that a larger value is a smaller integer, with the column behind them:
    # sorting these integers sorts by value and then by column.
    bits = (similarity.ravel()[flat] + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    descending = np.where(bits < 0, bits & 0x7FFFFFFF, ~bits).astype(np.int64)
    keys = np.full((n_rows, n_passing.max()), np.iinfo(np.int64).max)
    keys[np.arange(keys.shape[1]) < n_passing[:, None]] = descending << 32 | column
    keys.sort(axis=1)
    return (keys[:, :n] & 0x7FFFFFFF).astype(np.int32)


def _sampled_thresholds(similarity: np.ndarray, n: int, *, every: int = 16, run: int = 16) -> np.ndarray:
    """A value for each row that more than n of its values are all but sure to reach: from runs of columns."""
    n_rows, n_columns = similarity.shape
    span = every * run
    n_expected = n / every
    rank_in_sample = int(n_expected + 4 * np.sqrt(n_expected) + 1)
    if n_columns // span * run <= rank_in_sample:
        return np.full(n_rows, -np.inf, np.float32)
    spans = similarity[:, : n_columns // span * span].reshape(n_rows, -1, span)
    sample = spans[:, :, :run].reshape(n_rows, -1)
    at = sample.shape[1] - 1 - rank_in_sample
    return np.partition(sample, at, axis=1)[:, at]


def blocks(rows: np.ndarray, size: int = 256) -> list[np.ndarray]:
    """Consecutive pieces of an array."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def in_threads(function: Callable, items: Iterable) -> list:
    """Results of a function that spends its time in numpy, in order: a thread for each that BLAS would use.

    Each thread's matrix products run on that thread alone, so that the rest of the work is shared out too.
    """
    controller = _blas()
    n_threads = max((library["num_threads"] for library in controller.info()), default=1)
    if n_threads == 1:
        return list(map(function, items))
    with controller.limit(limits=1), ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, items))


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def inner_product_form(x: np.ndarray, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (left, right) such that left[i] . right[j] ranks the corpus j for query i as `search` does.

    Returns
    -------
    left, right : np.ndarray [shape=(n_clips, dim or dim + 1), dtype=float32]
        Larger inner products are better.
    """
    require_known_search(search)
    require_finite(x, "embeddings")
    if search == "mips":
        left = right = x
    elif search == "mcss":
        left = right = l2_normalize(x.astype(np.float64))
    else:
        # Distances don't change when the mean is taken off, and rounding shrinks with the length. The mean
        # is rounded to a power of two, so that embeddings on a grid stay on it and their ties stay ties.
        mean = x.mean(axis=0, dtype=np.float64)
        step = np.exp2(np.floor(np.log2(np.abs(x - mean).max() or 1)))
        centred = x - step * np.round(mean / step)
        half_square = np.einsum("ij,ij->i", centred, centred)[:, None] / 2
        left = np.hstack([centred, np.ones_like(half_square)])
        right = np.hstack([centred, -half_square])
    return np.ascontiguousarray(left, np.float32), np.ascontiguousarray(right, np.float32)


def require_known_search(search: str) -> None:
    """Raise ValueError if there is no such search."""
    if search not in SEARCHES:
        raise ValueError(f"search {search!r} is unknown: use one of {', '.join(SEARCHES)}")


def unique_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each distinct vector, and which of those each row equals.

    Returns
    -------
    first : np.ndarray [shape=(n_distinct,), dtype=int]
        In increasing order.
    group : np.ndarray [shape=(n_clips,), dtype=int]
        x[first[group]] equals x.

    Examples
    --------
    >>> unique_rows(np.array([[5.0], [1.0], [5.0]]))
    (array([0, 1]), array([0, 1, 0]))
    """
    rows = np.ascontiguousarray(x) + 0.0  # so that -0.0 equals 0.0
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, group = np.unique(as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return first[order], position[group]
