"""What a notebook shows of single clips: the class that a query asks for, and which one to choose."""

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from sss_lib.evaluation.counts import class_pairs
from sss_lib.evaluation.hits import packed, relevant_results
from sss_lib.io.names import require_known, require_text

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset

RANDOM = "random"
"""In place of a clip's id: any clip, another one each time."""


def asked_classes(label_matrix: scipy.sparse.csr_array) -> np.ndarray:
    """Column of each clip's rarest class that another clip has as well: int [n_clips]; -1 where none is.

    Examples
    --------
    Two dogs and a cat are animals; nothing else is a cat.

    >>> asked_classes(scipy.sparse.csr_array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]], dtype=bool))
    array([ 1,  1,  0, -1])
    """
    pairs, asked = class_pairs(label_matrix), np.full(label_matrix.shape[0], -1)
    order = np.argsort(-pairs.n_relevant, kind="stable")  # of several values for one clip the last one stays
    order = order[pairs.n_relevant[order] > 0]
    asked[pairs.query[order]] = pairs.label[order]
    return asked


def found_asked(label_matrix: scipy.sparse.csr_array, neighbours: np.ndarray) -> np.ndarray:
    """Whether each result has the class that its query asks for: bool [n_clips, n_results].

    Parameters
    ----------
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    neighbours : np.ndarray [shape=(n_clips, n_results), dtype=int]
        Of all clips; -1 where there is none.

    Examples
    --------
    >>> labels = scipy.sparse.csr_array([[True], [True], [False]])
    >>> found_asked(labels, np.array([[1, 2], [2, 0], [0, 1]])).tolist()
    [[True, False], [False, True], [False, False]]
    """
    asked, found = asked_classes(label_matrix), np.zeros(neighbours.shape, bool)
    queries = np.flatnonzero(asked >= 0)
    found[queries] = relevant_results(packed(label_matrix), neighbours, queries, asked[queries])
    return found


def families_of(collection: "Dataset") -> list[str]:
    """Family of each clip: of its first class that has one; "" where none has.

    In a collection without families each class is one.
    """
    of_class = collection.families or {label: label for label in collection.labels}
    return [next(filter(None, map(of_class.get, own)), "") for own in collection.clips["labels"]]


def query_row(
    query: str | None,
    fnames: list[str],
    label_matrix: scipy.sparse.csr_array,
    neighbours: np.ndarray,
    *,
    n: int = 5,
) -> int:
    """Row of a query: of a clip's id, of any clip, or of one whose results teach something.

    Parameters
    ----------
    query : str or None
        An id; `RANDOM`; or None for the first clip whose first n results are nearest to half right.
    fnames : list of str [n_clips]
    label_matrix, neighbours
        As in `found_asked`.
    n : int

    Raises
    ------
    ValueError
        If no clip has this id; the message suggests the nearest.

    Examples
    --------
    The first clip finds no other of its class, the second one right and one wrong.

    >>> labels = scipy.sparse.csr_array([[True], [True], [False]])
    >>> neighbours = np.array([[2, 2], [0, 2], [0, 1]])
    >>> [query_row(query, ["a", "b", "c"], labels, neighbours) for query in (None, "c")]
    [1, 2]
    """
    if query in fnames:
        return fnames.index(query)
    if query == RANDOM:
        return int(np.random.default_rng().integers(len(fnames)))
    if query is not None:
        require_text(query, "query")
        require_known(query, fnames, "the clips")
    first = neighbours[:, :n]
    n_right = found_asked(label_matrix, first).sum(axis=1)
    return int(np.abs(2 * n_right - (first >= 0).sum(axis=1)).argmin())
