"""A query refined by which of its results a listener has marked as hits and as misses."""

from collections.abc import Sequence

import numpy as np

from sss_lib.io.names import require_known

WAYS = ("mean", "max", "rocchio", "linear")
MISS_WEIGHT = 0.25
"""Of the misses beside the hits, in `max` and `rocchio`."""


def refine(
    embedding_matrix: np.ndarray,
    query_row: int,
    hits: Sequence[int],
    misses: Sequence[int],
    way: str = "rocchio",
) -> np.ndarray:
    """Score of every clip after marks on some results, larger is better; without a hit or miss, the cosine.

    Several queries at once are one of them and the others as hits; what they must not sound like are misses.

    - `mean`: cosine to the mean direction of the query and the hits.
    - `max`: the largest cosine to any of these, less a quarter of the largest to a miss.
    - `rocchio`: the same, less a quarter of the mean direction of the misses (Rocchio 1971).
    - `linear`: what scikit-learn's logistic regression says of each direction. The query and the hits are on
      one side; the misses, or without any all clips that are not marked, on the other. Both weigh the same.

    Numbers are those of float64, and may differ between processors in the last bits.

    Parameters
    ----------
    embedding_matrix : np.ndarray [shape=(n_clips, dim)]
    query_row : int
    hits, misses : sequence of int
        Rows that were marked.
    way : str
        One of `WAYS`.

    Returns
    -------
    np.ndarray [shape=(n_clips,), dtype=float64]
        Also of the query and the marked clips: what of them is shown is the caller's choice.

    Raises
    ------
    ValueError
        If the way is unknown, or a row is no clip or marked twice.

    Examples
    --------
    The query is equally near to both others, until one is a hit.

    >>> refine(np.array([[1.0, 1.0], [0.0, 2.0], [3.0, 0.0]]), 0, [1], [], "mean").round(2)
    array([0.92, 0.92, 0.38])
    >>> refine(np.array([[1.0, 1.0], [0.0, 2.0], [3.0, 0.0]]), 0, [1], [], "max").round(2)
    array([1.  , 1.  , 0.71])

    References
    ----------
    Rocchio (1971), Relevance feedback in information retrieval, in The SMART Retrieval System.
    """
    require_known(way, WAYS, "the ways to refine a query")
    n_clips, marked = len(embedding_matrix), [query_row, *hits, *misses]
    if len(set(marked)) < len(marked) or not all(0 <= row < n_clips for row in marked):
        raise ValueError(
            f"query {query_row}, hits {list(hits)} and misses {list(misses)}: give each row of {n_clips} "
            "clips once at most"
        )
    x = np.asarray(embedding_matrix, np.float64)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    directions = x / np.where(lengths > 0, lengths, 1)
    right, wrong = [query_row, *hits], list(misses)
    if way == "linear" and len(marked) > 1:
        return _linear(directions, right, wrong)
    if way == "max":
        nearest = (directions @ directions[right].T).max(axis=1)
        return nearest - MISS_WEIGHT * (directions @ directions[wrong].T).max(axis=1) if wrong else nearest
    wanted = directions[right].mean(axis=0)
    if way == "rocchio" and wrong:
        wanted -= MISS_WEIGHT * directions[wrong].mean(axis=0)
    return directions @ (wanted / max(float(np.linalg.norm(wanted)), 1e-300))


def most_uncertain(
    embedding_matrix: np.ndarray, query_row: int, hits: Sequence[int], misses: Sequence[int]
) -> int:
    """Row of the unmarked clip nearest to the border that `linear` draws, whose mark tells most; -1 of none.

    Examples
    --------
    >>> most_uncertain(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), 0, [], [1])
    2
    """
    distance = np.abs(refine(embedding_matrix, query_row, hits, misses, "linear"))
    if not (len(hits) or len(misses)):
        distance = -distance  # cosines: the nearest
    distance[[query_row, *hits, *misses]] = np.inf
    return int(distance.argmin()) if np.isfinite(distance).any() else -1


def _linear(directions: np.ndarray, right: list[int], wrong: list[int]) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    others = wrong or np.setdiff1d(np.arange(len(directions)), right).tolist()
    if not others:
        return np.zeros(len(directions))
    is_right = np.repeat([True, False], [len(right), len(others)])
    head = LogisticRegression(class_weight="balanced", max_iter=1000)
    return head.fit(directions[[*right, *others]], is_right).decision_function(directions)
