"""One collection asks another: queries of the first, results of the second."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from sss_lib.evaluation.queries import Scored
from sss_lib.evaluation.relevance import Relevance, as_label_matrix
from sss_lib.evaluation.scoring import per_query


def per_query_across(
    queries: np.ndarray,
    corpus: np.ndarray,
    query_labels: scipy.sparse.csr_array,
    corpus_labels: scipy.sparse.csr_array,
    **options: Any,
) -> tuple[Scored, Scored]:
    """`metrics.per_query` of queries that are no clips of the corpus; one finds no other query.

    Parameters
    ----------
    queries : np.ndarray [shape=(n_queries, dim)]
        Processed by what was fitted on the corpus: see `processing.fit`.
    corpus : np.ndarray [shape=(n_clips, dim)]
    query_labels, corpus_labels : scipy.sparse.csr_array [shape=(n, n_labels), dtype=bool]
        With the same columns: see `shared_labels`.
    **options
        search, cutoffs, count_all and measures of `per_query`.

    Returns
    -------
    class_wise, micro : PerQuery
        Queries are numbered by their row. One whose class the corpus lacks is left out of means.

    Examples
    --------
    >>> labels = np.array([[True]])
    >>> found, _ = per_query_across(np.ones((1, 2)), np.ones((2, 2)), labels, np.array([[False], [True]]))
    >>> found.scores("standard")["MAP", 15]
    array([0.5])
    """
    if queries.shape[1] != corpus.shape[1]:
        raise ValueError(
            f"queries of {queries.shape[1]} dimensions don't fit a corpus of {corpus.shape[1]}: process both "
            "by what was fitted on the corpus"
        )
    groups = np.concatenate([np.zeros(len(queries), int), 1 + np.arange(len(corpus))])
    relevant = Relevance(groups=groups, excluded="the other queries")
    labels = [as_label_matrix(one).tocsr() for one in (query_labels, corpus_labels)]
    x, matrix = np.vstack([queries, corpus]), scipy.sparse.vstack(labels, format="csr")
    return per_query(x, matrix, relevant=relevant, queries=np.arange(len(queries)), **options)


def shared_labels(
    one: Sequence[str], other: Sequence[str], names: Mapping[str, str] | None = None
) -> tuple[list[str], list[int], list[int]]:
    """Classes of two vocabularies that are the same, and their columns in each.

    Parameters
    ----------
    one, other : sequence of str
    names : mapping of str to str, optional
        What the other calls a class of the one, where it has another name.

    Examples
    --------
    >>> shared_labels(["rooster", "Rain"], ["Rain", "Crowing"], {"rooster": "Crowing"})
    (['Crowing', 'Rain'], [0, 1], [1, 0])
    """
    called = [(names or {}).get(label, label) for label in one]
    shared = [label for label in called if label in other]
    if not shared or len(set(shared)) < len(shared):
        raise ValueError(
            f"{len(shared)} of {len(one)} classes, {len(set(shared))} of them different, are among "
            f"{len(other)}: name in `names` what each is called there"
        )
    return shared, [called.index(label) for label in shared], [list(other).index(label) for label in shared]
