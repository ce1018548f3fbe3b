"""Clip embeddings to rankings, exactly: maximum inner product, maximum cosine, nearest neighbours.

All three are a maximum inner product search over suitable vectors, so one path serves them: the cosine is
the inner product of unit vectors, and the nearest y to x maximises x.y - |y|^2 / 2.
"""

from dataclasses import dataclass

import numpy as np

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
        Rows of the corpus. A query is never among its own results.
    scores : np.ndarray [shape=(n_queries, n), dtype=float32]
        Euclidean distance for nns (smaller is better); inner product or cosine otherwise.
    ties : str
        How equal scores are ordered.
    """

    neighbours: np.ndarray
    scores: np.ndarray
    ties: str = "row order"


def rank(
    x: np.ndarray, search: str = "nns", *, top_n: int = 150, queries: np.ndarray | None = None
) -> Ranking:
    """Exact ranking of the corpus for each query, the query itself left out by its row.

    Equal scores are in row order; identical clips always have equal scores.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        The corpus.
    search : str
        "nns", "mips" or "mcss".
    top_n : int
        Results a query, at most n_clips - 1.
    queries : np.ndarray [shape=(n_queries,), dtype=int], optional
        Rows of the corpus that query it; by default all.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If the search is unknown, `top_n` < 1, there are fewer than two clips, or a value isn't finite.

    Examples
    --------
    >>> rank(np.array([[0.0], [1.0], [3.0]]), "nns").neighbours
    array([[1, 2],
           [0, 2],
           [1, 0]], dtype=int32)
    """
    import faiss

    if top_n < 1:
        raise ValueError(f"top_n={top_n} is below 1: ask for at least one result")
    if len(x) < 2:
        raise ValueError(f"a corpus of {len(x)} clip(s) can't be searched: it takes two")
    rows = np.arange(len(x)) if queries is None else np.asarray(queries)
    top_n = min(top_n, len(x) - 1)

    # Identical vectors are searched once and put back in row order, so that no rounding parts them.
    first, group = unique_rows(x)
    left, right = inner_product_form(x[first], search)
    left = left[group[rows]]
    n_found = top_n + 1  # the query may be one of them
    similarity, hits = faiss.knn(
        left, right, min(n_found + 1, len(first)), metric=faiss.METRIC_INNER_PRODUCT
    )
    tied = np.flatnonzero((similarity[:, 1:] == similarity[:, :-1]).any(axis=1))
    similarity, found = _expand(similarity, hits, group, n_found)
    for i in tied:  # different vectors, equal scores: rare, and sorted in full
        row = (right @ left[i])[group]
        found[i] = np.argsort(-row, kind="stable")[:n_found]
        similarity[i] = row[found[i]]

    kept = found != rows[:, None]
    kept[kept.all(axis=1), -1] = False
    shape = (len(rows), top_n)
    neighbours, scores = found[kept].reshape(shape), similarity[kept].reshape(shape)
    if search == "nns":
        square = np.einsum("ij,ij->i", left, left, dtype=np.float64) - 1  # the last column of left is one
        scores = np.sqrt(np.maximum(square[:, None] - 2 * scores, 0))
        scores[group[neighbours] == group[rows][:, None]] = 0
    return Ranking(neighbours.astype(np.int32), scores.astype(np.float32))


def inner_product_form(x: np.ndarray, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (left, right) such that left[i] . right[j] ranks the corpus j for query i as `search` does.

    Returns
    -------
    left, right : np.ndarray [shape=(n_clips, dim or dim + 1), dtype=float32]
        Larger inner products are better.
    """
    if search not in SEARCHES:
        raise ValueError(f"search {search!r} is unknown: use one of {', '.join(SEARCHES)}")
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


def _expand(
    similarity: np.ndarray, hits: np.ndarray, group: np.ndarray, n_found: int
) -> tuple[np.ndarray, np.ndarray]:
    """Replace each group of identical rows by its rows, in row order, until there are `n_found`."""
    members = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    starts = np.cumsum(sizes) - sizes
    taken = sizes[hits]
    taken = np.clip(n_found - (np.cumsum(taken, axis=1) - taken), 0, taken).ravel()
    within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
    found = members[np.repeat(starts[hits.ravel()], taken) + within]
    shape = (len(hits), n_found)
    return np.repeat(similarity.ravel(), taken).reshape(shape), found.reshape(shape)
