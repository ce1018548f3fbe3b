"""Which results count for a query: those that share one class of it, or those that share any."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse


def as_label_matrix(labels: object) -> scipy.sparse.csr_array:
    """Label matrix from any array or sparse array [n_clips, n_labels]: true where it isn't zero."""
    matrix = scipy.sparse.csr_array(labels, dtype=bool)
    if matrix.ndim != 2:
        raise ValueError(f"a label matrix of shape {matrix.shape} is not [n_clips, n_labels]")
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


@dataclass(frozen=True)
class Pairs:
    """Every clip queries once for each of its classes: the class-wise queries.

    Attributes
    ----------
    query, label : np.ndarray [shape=(n_pairs,), dtype=int]
        Row of the clip and column of the class, sorted by query.
    n_relevant : np.ndarray [shape=(n_pairs,), dtype=int]
        Clips of the class in the corpus, without the query.
    """

    query: np.ndarray
    label: np.ndarray
    n_relevant: np.ndarray


def class_pairs(label_matrix: scipy.sparse.csr_array) -> Pairs:
    """Class-wise queries of a label matrix.

    Examples
    --------
    >>> pairs = class_pairs(scipy.sparse.csr_array([[True, True], [True, False]]))
    >>> pairs.query, pairs.label, pairs.n_relevant
    (array([0, 0, 1]), array([0, 1, 0]), array([1, 0, 1]))
    """
    query = np.repeat(np.arange(label_matrix.shape[0]), np.diff(label_matrix.indptr))
    label = label_matrix.indices.astype(int)
    sizes = np.bincount(label, minlength=label_matrix.shape[1])
    return Pairs(query, label, sizes[label] - 1)


def n_sharing_any(label_matrix: scipy.sparse.csr_array, *, at_most: int) -> np.ndarray:
    """How many other clips share at least one class with each clip, counted up to `at_most`.

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    at_most : int
        Larger numbers are reported as this one: the metrics need no more, and counting costs time.

    Returns
    -------
    np.ndarray [shape=(n_clips,), dtype=int]

    Examples
    --------
    >>> n_sharing_any(scipy.sparse.csr_array([[True, True], [True, False], [False, True]]), at_most=9)
    array([2, 1, 1])
    """
    pairs = class_pairs(label_matrix)
    n_sharing = np.zeros(label_matrix.shape[0], int)
    np.maximum.at(n_sharing, pairs.query, pairs.n_relevant)  # at least the largest class
    small = np.flatnonzero((n_sharing > 0) & (n_sharing < at_most))
    if len(small):
        counts = label_matrix.astype(np.int32)
        n_sharing[small] = np.diff((counts[small] @ counts.T).tocsr().indptr) - 1
    return np.minimum(n_sharing, at_most)
