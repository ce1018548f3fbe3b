"""Which results of a ranking are relevant: the rows that every measure is computed from."""

from collections.abc import Callable

import numpy as np
import scipy.sparse

from sss_lib.evaluation.relevance import Pairs
from sss_lib.search.ranking import blocks, in_threads


def relevant_results(
    label_matrix: scipy.sparse.csr_array, neighbours: np.ndarray, row: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Whether each result of each class-wise query has the query's class.

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    neighbours : np.ndarray [shape=(n_rows, n_results), dtype=int]
        Rows of the corpus, best first; -1 where there is none.
    row, label : np.ndarray [shape=(n_queries,), dtype=int]
        Row of `neighbours` and class of each query, sorted by row.

    Returns
    -------
    np.ndarray [shape=(n_queries, n_results), dtype=bool]

    Examples
    --------
    Clip 0 finds clips 1 and 2, of which the second has its class.

    >>> labels = scipy.sparse.csr_array([[True, False], [False, True], [True, True]])
    >>> relevant_results(labels, np.array([[1, 2]]), np.array([0]), np.array([0]))
    array([[False,  True]])
    """
    n_rows, n = neighbours.shape
    classes, column = np.unique(label, return_inverse=True)
    column_of = np.zeros(label_matrix.shape[1], np.int32)  # 0: no query has this class
    column_of[classes] = np.arange(1, len(classes) + 1)
    # The hits of a query are n consecutive places of `hits`. Result k of row r is number r * n + k, and its
    # place is that number + begins[r, class]. Classes that the row doesn't query with go behind all queries.
    begins = np.full((n_rows, len(classes) + 1), len(label) * n)
    begins[row, column + 1] = (np.arange(len(label)) - row) * n
    hits = np.zeros(len(label) * n + n_rows * n, bool)
    # All (result, class) pairs of the sparse label matrix, one result after the other.
    results = neighbours.ravel()
    starts = label_matrix.indptr[results]
    sizes = np.where(results < 0, 0, label_matrix.indptr[results + 1] - starts)
    number = np.repeat(np.arange(len(results)), sizes)
    at = (starts - (np.cumsum(sizes) - sizes))[number] + np.arange(len(number))
    begin_of_row = np.repeat(np.arange(n_rows) * begins.shape[1], n)
    hits[begins.ravel()[begin_of_row[number] + column_of[label_matrix.indices[at]]] + number] = True
    return hits[: len(label) * n].reshape(len(label), n)


def measure(
    label_matrix: scipy.sparse.csr_array,
    pairs: Pairs,
    neighbours_of: Callable[[np.ndarray], np.ndarray],
    of_hits: Callable[[np.ndarray, slice, slice, np.ndarray], list[np.ndarray]],
    n_at_once: int,
) -> list[np.ndarray]:
    """What a function computes of the hits of some clips' queries, for all of them.

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    pairs : Pairs
        Class-wise queries.
    neighbours_of : callable
        Results of some clips, from their rows.
    of_hits : callable
        From the hits of consecutive class-wise queries, the slice of `pairs` that they are, the slice of the
        clips that query, and the place in the hits where each clip's queries begin: arrays whose last axis is
        the class-wise queries or the clips.
    n_at_once : int
        Clips at a time.

    Returns
    -------
    list of np.ndarray
    """
    clips, starts, row = np.unique(pairs.query, return_index=True, return_inverse=True)
    ends = np.append(starts, len(pairs.query))

    def of_block(block: slice) -> list[np.ndarray]:
        own = slice(ends[block.start], ends[block.stop])
        found = neighbours_of(clips[block])
        hits = relevant_results(label_matrix, found, row[own] - block.start, pairs.label[own])
        return of_hits(hits, own, block, starts[block] - own.start)

    places = blocks(np.arange(len(clips)), n_at_once)
    pieces = [slice(block[0], block[-1] + 1) for block in places] or [slice(0, 0)]
    return [np.concatenate(part, axis=-1) for part in zip(*in_threads(of_block, pieces), strict=True)]
