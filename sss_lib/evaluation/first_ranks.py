"""Ranks of first relevant results beyond the end of a ranking, by counting what is more similar."""

import numpy as np
import scipy.sparse

from sss_lib.search.exact import best
from sss_lib.search.ranking import blocks, in_threads
from sss_lib.search.similarity import Keys, Similarities


def first_ranks(
    similarities: Similarities,
    label_matrix: scipy.sparse.csr_array,
    query: np.ndarray,
    label: np.ndarray,
    returned: np.ndarray | None,
    *,
    is_exact: bool,
    at_a_time: tuple[int, int],
) -> np.ndarray:
    """Rank, from 1, of the first relevant clip of queries whose ranking holds none.

    In an exact ranking it is 1 + how many clips are more similar than the most similar relevant clip. After
    an approximate ranking the exact search goes on with the clips that it didn't return.

    Parameters
    ----------
    similarities : Similarities
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    query, label : np.ndarray [shape=(n_queries,), dtype=int]
        Row and class of each query, sorted by row; each class has another clip in the query's corpus.
    returned : np.ndarray [shape=(n_queries, n_results), dtype=int], optional
        The ranking of each query; -1 where there is none.
    is_exact : bool
    at_a_time : tuple of int
        Queries and clips that are compared at a time.

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=int]
    """
    clip, keys = _most_similar_relevant(similarities, label_matrix, query, label, at_a_time)
    rank = 1 + _n_before(similarities, query, clip, keys, at_a_time)
    if returned is None:
        return rank
    if is_exact:  # a ranking from elsewhere may break ties otherwise: the clip isn't in it
        return np.maximum(rank, 1 + np.count_nonzero(returned >= 0, axis=1))
    return rank + _n_ranked_below(similarities, query, returned, clip, keys)


def _most_similar_relevant(
    similarities: Similarities,
    label_matrix: scipy.sparse.csr_array,
    query: np.ndarray,
    label: np.ndarray,
    at_a_time: tuple[int, int],
) -> tuple[np.ndarray, Keys]:
    """First relevant clip of each query, and its similarity."""
    by_label = label_matrix.tocsc()
    clip, key, rest = np.empty(len(query), int), np.empty(len(query)), np.empty(len(query))

    def of_class(places: np.ndarray) -> None:
        c = label[places[0]]
        members = np.sort(by_label.indices[by_label.indptr[c] : by_label.indptr[c + 1]])
        columns, keys = best(similarities, query[places], 1, members, width=at_a_time[1])
        clip[places], key[places], rest[places] = columns[:, 0], keys[0][:, 0], keys[1][:, 0]

    by_class = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    in_threads(of_class, [block for places in by_class for block in blocks(places, at_a_time[0])])
    return clip, (key, rest)


def _n_before(
    similarities: Similarities,
    query: np.ndarray,
    clip: np.ndarray,
    keys: Keys,
    at_a_time: tuple[int, int],
) -> np.ndarray:
    """Number of clips that the exact search ranks above a clip, for each query."""
    n = np.zeros(len(query), int)

    def of_clips(rows: np.ndarray) -> None:
        own = slice(*np.searchsorted(query, [rows[0], rows[-1] + 1]))
        at = np.searchsorted(rows, query[own])
        n_above, which, equal = similarities.compare(rows, at, (keys[0][own], keys[1][own]), at_a_time[1])
        earlier = which[equal < clip[own][which]]  # equal scores are in row order
        n[own] = n_above + np.bincount(earlier, minlength=len(at))

    in_threads(of_clips, blocks(np.unique(query), at_a_time[0]))
    return n


def _n_ranked_below(
    similarities: Similarities, query: np.ndarray, returned: np.ndarray, clip: np.ndarray, keys: Keys
) -> np.ndarray:
    """Number of returned results that the exact search ranks below a clip, for each query."""
    n = np.empty(len(query), int)

    def count(at: np.ndarray) -> None:
        found = returned[at]
        key, rest = similarities.keys(query[at], np.maximum(found, 0))
        own, own_rest = keys[0][at][:, None], keys[1][at][:, None]
        same = (key == own) & (rest == own_rest) & (found > clip[at][:, None])
        below = (key < own) | ((key == own) & (rest < own_rest)) | same
        n[at] = np.count_nonzero(below & (found >= 0), axis=1)

    in_threads(count, blocks(np.arange(len(query))))
    return n
