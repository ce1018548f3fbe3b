"""A `Ranking`, the rows that query, blocks of them, and threads: what all searches share."""

import functools
import numbers
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import threadpoolctl


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


def without(neighbours: np.ndarray, scores: np.ndarray, left_out: np.ndarray, n: int) -> Ranking:
    """Ranking of the first n results of each query that aren't left out, then of -1 and nan.

    Examples
    --------
    >>> without(np.array([[4, 2, 3]]), np.array([[0.9, 0.8, 0.7]]), np.array([[True, False, False]]), 3)
    Ranking(neighbours=array([[ 2,  3, -1]], dtype=int32), scores=array([[0.8, 0.7, nan]], dtype=float32),
            ties='row order')
    """
    order = np.argsort(left_out, axis=1, kind="stable")[:, :n]
    left_out, neighbours, scores = (
        np.take_along_axis(table, order, axis=1) for table in (left_out, neighbours, scores)
    )
    scores = np.where(left_out, np.nan, scores).astype(np.float32)
    return Ranking(np.where(left_out, -1, neighbours).astype(np.int32), scores)


def query_rows(queries: np.ndarray | None, n_clips: int) -> np.ndarray:
    """Rows of the clips that query, by default all; ValueError if they are no rows of the corpus.

    Parameters
    ----------
    queries : array_like [shape=(n_queries,), dtype=int], optional
    n_clips : int

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=int]

    Examples
    --------
    >>> query_rows(None, 3), query_rows([2, 0], 3)
    (array([0, 1, 2]), array([2, 0]))
    """
    if queries is None:
        return np.arange(n_clips)
    rows = np.asarray(queries)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(
            f"queries of shape {rows.shape} and type {rows.dtype} are no rows of clips: give a list of whole "
            "numbers, of a mask np.flatnonzero(mask)"
        )
    beyond = (rows < 0) | (rows >= n_clips)
    if beyond.any():
        raise ValueError(
            f"query {rows[beyond][0]} is none of the {n_clips} clips: give rows from 0 to {n_clips - 1}"
        )
    return rows.astype(np.intp)


def require_top_n(top_n: object) -> None:
    """Raise ValueError for a number of results that is none, such as the "15" of a quoted parameter."""
    if not isinstance(top_n, numbers.Integral):
        raise ValueError(f"top_n={top_n!r}: give a whole number from 1")
    if top_n < 1:
        raise ValueError(f"top_n={top_n} is below 1: ask for at least one result")


def blocks(rows: np.ndarray, size: int = 256) -> list[np.ndarray]:
    """Consecutive blocks of an array; ValueError if their size is below 1.

    Examples
    --------
    >>> blocks(np.arange(5), 2)
    [array([0, 1]), array([2, 3]), array([4])]
    """
    if size < 1:
        raise ValueError(f"{size} queries at a time: take at least one")
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def in_threads(function: Callable, items: Iterable) -> list:
    """Results of a function for each item, in order, on as many threads as BLAS has.

    BLAS itself gets one thread meanwhile: so the work around the matrix products runs in parallel too.

    Parameters
    ----------
    function : callable
        Spends its time in numpy, which releases the interpreter's lock.
    items : iterable
    """
    controller, items = _blas(), list(items)
    n_threads = max((library.num_threads for library in controller.lib_controllers), default=1)
    if n_threads == 1:  # to limit it would take longer than a small search
        return list(map(function, items))
    with controller.limit(limits=1):
        if len(items) < 2:
            return list(map(function, items))
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(function, items))


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")
