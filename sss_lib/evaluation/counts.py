"""How many clips are relevant for a query: class by class, those that share any class, those of each gain."""

import functools
import hashlib
import itertools
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation.relevance import Relevance, as_label_matrix


@dataclass(frozen=True)
class Pairs:
    """Class-wise queries: every clip, once for each of its classes.

    Attributes
    ----------
    query, label : np.ndarray [shape=(n_pairs,), dtype=int]
        Row of the clip and column of the class, sorted by query.
    n_relevant : np.ndarray [shape=(n_pairs,), dtype=int]
        Clips of the class in the query's corpus: without itself and its group.
    """

    query: np.ndarray
    label: np.ndarray
    n_relevant: np.ndarray


def class_pairs(
    label_matrix: scipy.sparse.csr_array, groups: np.ndarray | None = None, clips: np.ndarray | None = None
) -> Pairs:
    """Class-wise queries of a label matrix.

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        As in `relevance.Relevance`; by default each clip is its own.
    clips : np.ndarray [dtype=int], optional
        Those that query; by default all.

    Examples
    --------
    >>> pairs = class_pairs(scipy.sparse.csr_array([[True, True], [True, False]]))
    >>> pairs.query, pairs.label, pairs.n_relevant
    (array([0, 0, 1]), array([0, 1, 0]), array([1, 0, 1]))
    """
    n_clips, n_labels = label_matrix.shape
    query = np.repeat(np.arange(n_clips), np.diff(label_matrix.indptr))
    label = label_matrix.indices.astype(int)
    n_relevant = np.bincount(label, minlength=n_labels)[label] - 1
    if groups is not None:
        _, cell, n_own = np.unique(groups[query] * n_labels + label, return_inverse=True, return_counts=True)
        n_relevant -= n_own[cell] - 1
    if clips is None:
        return Pairs(query, label, n_relevant)
    queries = np.zeros(n_clips, bool)
    queries[clips] = True
    wanted = queries[query]
    return Pairs(query[wanted], label[wanted], n_relevant[wanted])


def n_sharing_any(
    label_matrix: scipy.sparse.csr_array, *, at_most: int | None = None, groups: np.ndarray | None = None
) -> np.ndarray:
    """How many clips of its corpus share at least one class with each clip, counted up to `at_most`.

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    at_most : int, optional
        Larger numbers are reported as this one: most metrics need no more, and counting costs time.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        As in `relevance.Relevance`.

    Returns
    -------
    np.ndarray [shape=(n_clips,), dtype=int]

    Examples
    --------
    >>> n_sharing_any(scipy.sparse.csr_array([[True, True], [True, False], [False, True]]))
    array([2, 1, 1])
    """
    own = np.arange(label_matrix.shape[0]) if groups is None else np.unique(groups, return_inverse=True)[1]
    digest = hashlib.sha256()
    for one in (np.array(label_matrix.shape), label_matrix.indptr, label_matrix.indices, own):
        digest.update(np.ascontiguousarray(one, np.int64).data)
    return _n_sharing_any(_Corpus(digest.digest(), label_matrix, own), at_most).copy()


@dataclass(frozen=True)
class _Corpus:
    """Labels, and a number from 0 for each group, known by their digest."""

    digest: bytes
    label_matrix: scipy.sparse.csr_array = field(compare=False)
    groups: np.ndarray = field(compare=False)


# A system is scored by several protocols, beside chance and the upper bound: all count the same.
@functools.lru_cache(maxsize=16)
def _n_sharing_any(corpus: _Corpus, at_most: int | None) -> np.ndarray:
    label_matrix, groups = corpus.label_matrix, corpus.groups
    n_clips = label_matrix.shape[0]
    at_most = n_clips if at_most is None else at_most
    pairs = class_pairs(label_matrix, groups)
    n_sharing = np.zeros(n_clips, int)
    np.maximum.at(n_sharing, pairs.query, pairs.n_relevant)  # at least the largest class
    small = np.flatnonzero((n_sharing > 0) & (n_sharing < at_most))
    # Clips of the same classes share alike: each set of classes is compared once with each other one.
    sets, of_clip = label_sets(label_matrix)
    cells = np.ones(n_clips, int), (of_clip, groups)
    n_of_group = scipy.sparse.csr_array(cells, shape=(sets.shape[0], groups.max(initial=-1) + 1))
    wanted = np.unique(of_clip[small])
    place = np.searchsorted(wanted, of_clip)
    for start in range(0, len(wanted), 256):
        shares = (sets[wanted[start : start + 256]] @ sets.T).astype(int)
        shares.data[:] = 1
        with_group = shares @ n_of_group
        clips = small[(place[small] >= start) & (place[small] < start + 256)]
        own = with_group[place[clips] - start, groups[clips]]
        n_sharing[clips] = with_group.sum(axis=1)[place[clips] - start] - own
    return np.minimum(n_sharing, at_most)


def label_sets(label_matrix: scipy.sparse.csr_array) -> tuple[scipy.sparse.csr_array, np.ndarray]:
    """Each distinct set of classes that clips have, and the number of each clip's: bool [n_sets, n_labels].

    Examples
    --------
    >>> sets, of_clip = label_sets(scipy.sparse.csr_array([[True, False], [True, True], [True, False]]))
    >>> sets.toarray().tolist(), of_clip
    ([[True, False], [True, True]], array([0, 1, 0]))
    """
    indptr, indices = label_matrix.indptr, np.ascontiguousarray(label_matrix.indices, np.int64)
    keys = [indices[start:end].tobytes() for start, end in itertools.pairwise(indptr)]
    of_clip = pd.factorize(pd.Series(keys, dtype=object))[0]
    return label_matrix[np.unique(of_clip, return_index=True)[1]], of_clip


def gain_counts(
    label_matrix: scipy.sparse.csr_array, relevant: Relevance, *, at_most: int | None = None
) -> np.ndarray:
    """How many clips have a gain of 1 or more for each clip, of 2 or more, and so on.

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    relevant : Relevance
        Graded.
    at_most : int, optional
        As in `n_sharing_any`.

    Returns
    -------
    np.ndarray [shape=(largest gain, n_clips), dtype=int]
    """
    counts = []
    for gain in range(1, int(relevant.gains.max(initial=1)) + 1):
        at_least = as_label_matrix(label_matrix.multiply(relevant.gains >= gain))
        counts.append(n_sharing_any(at_least, at_most=at_most, groups=relevant.groups))
    return np.array(counts)
