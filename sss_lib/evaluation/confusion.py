"""What is mistaken for what: the classes of the first results of each class's queries."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation.relevance import as_label_matrix


def between_classes(
    neighbours: np.ndarray, label_matrix: scipy.sparse.csr_array, labels: Sequence[str], n: int = 15
) -> pd.DataFrame:
    """Share of the first n results of a class's queries that have each class.

    A clip of several classes counts for each of them: a row may sum to more than one. A share off the
    diagonal is no mistake where classes occur together, such as Bark and Animal.

    Parameters
    ----------
    neighbours : np.ndarray [shape=(n_clips, n_results), dtype=int]
        The ranking of each clip, without itself.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    labels : sequence of str [n_labels]
    n : int

    Returns
    -------
    pd.DataFrame [n_labels, n_labels]
        A row a class of the query, a column a class of the result; nan for a class without clips.

    Examples
    --------
    Two cats find each other first, then the dog; the dog finds the cats.

    >>> import scipy.sparse
    >>> labels = scipy.sparse.csr_array([[True, False], [True, False], [False, True]])
    >>> between_classes(np.array([[1, 2], [0, 2], [0, 1]]), labels, ["cat", "dog"], n=2)
         cat  dog
    cat  0.5  0.5
    dog  1.0  0.0
    """
    has = as_label_matrix(label_matrix).astype(np.float64)
    found = neighbours[:, :n]
    if len(found) != has.shape[0] or len(labels) != has.shape[1]:
        raise ValueError(
            f"{len(found)} rankings and {len(labels)} labels don't fit a label matrix of {has.shape[0]} "
            f"clips and {has.shape[1]} labels: select the clips that are ranked"
        )
    n_clips, there = len(found), found >= 0  # -1 stands where a ranking ends
    query, clip = np.nonzero(there)[0], found[there]
    finds = scipy.sparse.csr_array((np.ones(len(query)), (query, clip)), (n_clips, n_clips))
    counts = (has.T @ finds @ has).toarray()
    n_results = (has.T @ there.sum(axis=1))[:, None]
    shares = np.divide(counts, n_results, out=np.full(counts.shape, np.nan), where=n_results > 0)
    return pd.DataFrame(shares, index=list(labels), columns=list(labels))


def most_confused(table: pd.DataFrame, related: np.ndarray, n: int = 20) -> pd.DataFrame:
    """The n largest shares between unrelated classes.

    Parameters
    ----------
    table : pd.DataFrame [n_labels, n_labels]
        From `between_classes`.
    related : np.ndarray [shape=(n_labels, n_labels), dtype=bool]
        Pairs to leave out: a class with itself, with its ancestors, or with those that it occurs with.

    Returns
    -------
    pd.DataFrame
        query, results, share; largest share first.
    """
    shares = table.to_numpy()
    row, column = np.nonzero(~related & np.isfinite(shares) & (shares > 0))
    order = np.argsort(-shares[row, column], kind="stable")[:n]
    row, column = row[order], column[order]
    return pd.DataFrame(
        {"query": table.index[row], "results": table.columns[column], "share": shares[row, column]}
    )


def classes_confused(table: pd.DataFrame, related: np.ndarray, n: int = 40) -> list[str]:
    """The at most n classes, in the table's order, of the largest shares between unrelated classes.

    Each share, from the largest, adds its two classes while there is room. All classes if they are no more
    than n.

    Parameters
    ----------
    table, related
        As in `most_confused`.
    n : int
    """
    if len(table) <= n:
        return list(table.index)
    found: dict[str, None] = {}
    for pair in most_confused(table, related, related.size)[["query", "results"]].itertuples(index=False):
        if len({*found, *pair}) <= n:
            found |= dict.fromkeys(pair)
    return [name for name in table.index if name in found]


def occur_together(label_matrix: scipy.sparse.csr_array) -> np.ndarray:
    """Pairs of classes that some clip has both of, and each class with itself: bool [n_labels, n_labels].

    Examples
    --------
    >>> occur_together(scipy.sparse.csr_array([[True, True, False], [False, False, True]]))
    array([[ True,  True, False],
           [ True,  True, False],
           [False, False,  True]])
    """
    has = as_label_matrix(label_matrix).astype(np.int64)
    return ((has.T @ has).toarray() > 0) | np.eye(has.shape[1], dtype=bool)
