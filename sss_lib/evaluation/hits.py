"""Which results of a ranking are relevant: the rows that every measure is computed from."""

import numpy as np
import scipy.sparse


def packed(label_matrix: scipy.sparse.csr_array) -> np.ndarray:
    """A bit for each class of each clip, then a row of zeros, which -1 selects: uint8 [n_clips + 1, n_bytes].

    Class c is bit c % 8 of byte c // 8.

    Examples
    --------
    >>> packed(scipy.sparse.csr_array([[True, False], [False, True], [True, True]])).tolist()
    [[1], [2], [3], [0]]
    """
    n_clips, n_labels = label_matrix.shape
    bits = np.zeros((n_clips + 1, max(1, -(-n_labels // 8))), np.uint8)
    for start in range(0, n_clips, 1024):
        some = label_matrix[start : start + 1024].toarray()
        bits[start : start + len(some), : -(-n_labels // 8)] = np.packbits(some, axis=1, bitorder="little")
    return bits


def relevant_results(
    bits: np.ndarray, neighbours: np.ndarray, row: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Whether each result of each class-wise query has the query's class.

    Parameters
    ----------
    bits : np.ndarray [shape=(n_clips + 1, n_bytes), dtype=uint8]
        Classes of the clips, from `packed`.
    neighbours : np.ndarray [shape=(n_rows, n_results), dtype=int]
        Rows of the corpus, best first; -1 where there is none.
    row, label : np.ndarray [shape=(n_queries,), dtype=int]
        Row of `neighbours` and class of each query.

    Returns
    -------
    np.ndarray [shape=(n_queries, n_results), dtype=bool]

    Examples
    --------
    Clip 0 finds clips 1 and 2, of which the second has its class.

    >>> bits = packed(scipy.sparse.csr_array([[True, False], [False, True], [True, True]]))
    >>> relevant_results(bits, np.array([[1, 2]]), np.array([0]), np.array([0]))
    array([[False,  True]])
    """
    at = (neighbours.astype(np.intp) * bits.shape[1])[row]
    at += (label >> 3)[:, None]
    of_class = (1 << (label & 7)).astype(np.uint8)[:, None]
    return (bits.ravel()[at] & of_class) != 0
