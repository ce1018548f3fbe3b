"""Which results of a ranking are relevant: the rows that every measure is computed from."""

import numpy as np
import scipy.sparse


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
