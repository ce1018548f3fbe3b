"""Measures of a ranking, from which of its results are relevant: AP@N, first relevant rank, NDCG@N.

A new measure is a function of the hits of each query, bool [n_queries, n_results], best result first; of R,
int [n_queries], the relevant clips of the corpus (of micro queries counted up to the largest cutoff); and of
the cutoff N. Give it a file of its own beside this one, and pass it to `metrics.evaluate` or `per_query`:
means, intervals and comparisons then have it.

>>> def precision(hits, n_relevant, n):
...     return hits[:, :n].mean(axis=1)
>>> from sss_lib.evaluation.summary import evaluate
>>> x, has_label = np.array([[0.0], [1.0], [3.0]]), np.array([[True], [True], [False]])
>>> scores = evaluate(x, has_label, ["cat"], cutoffs=(2,), measures={"precision": precision})
>>> scores.loc[scores["level"] == "macro", ["metric", "n", "value"]]
       metric     n  value
1         MAP     2    1.0
6         MR1  <NA>    1.0
11  precision     2    0.5
"""

from collections.abc import Callable

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""A value for each query, from its hits, its number of relevant clips and a cutoff."""


def average_precision(relevance: np.ndarray, n_relevant: np.ndarray, n: int) -> np.ndarray:
    """AP@N: the sum of the precisions at the ranks of the relevant results among the first n, over a divisor.

    AP@N = 1 / divisor * sum over k = 1 .. N of rel(k) * P(k), where rel(k) is 1 if result k is relevant, else
    0, and P(k) = 1 / k * sum over i = 1 .. k of rel(i) is the precision of the first k results.

    Parameters
    ----------
    relevance : np.ndarray [shape=(n_queries, n_results), dtype=bool]
        Whether each result is relevant, best result first. May be shorter or longer than n.
    n_relevant : np.ndarray [shape=(n_queries,)]
        The divisor: min(N, R) for the standard AP@N; `protocols` has others.
    n : int
        Cutoff.

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]
        Between 0 and 1 if `n_relevant` is min(n, R).

    Examples
    --------
    Relevant results at ranks 1 and 3, and two relevant clips in all: (1/1 + 2/3) / 2.

    >>> average_precision(np.array([[True, False, True, False]]), np.array([2]), 4)
    array([0.83333333])

    References
    ----------
    Manning, Raghavan and Schütze (2008), Introduction to Information Retrieval, section 8.4.
    """
    if n < 1:
        raise ValueError(f"cutoff n={n} is below 1")
    (sums,) = precision_sums(relevance, (n,))
    return sums / n_relevant


def first_relevant_rank(relevance: np.ndarray) -> np.ndarray:
    """R1: rank, from 1, of the first relevant result; 0 where there is none among the results.

    Parameters
    ----------
    relevance : np.ndarray [shape=(n_queries, n_results), dtype=bool]

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=int]

    Examples
    --------
    >>> first_relevant_rank(np.array([[False, True], [False, False]]))
    array([2, 0])
    """
    if not relevance.shape[1]:
        return np.zeros(len(relevance), int)
    return np.where(relevance.any(axis=1), relevance.argmax(axis=1) + 1, 0)


def ndcg(gains: np.ndarray, most: np.ndarray, n: int) -> np.ndarray:
    """NDCG@N = DCG@N / IDCG@N: the discounted gains of the first n results, over those of the best order.

    Parameters
    ----------
    gains : np.ndarray [shape=(n_queries, n_results)]
        Best result first.
    most : np.ndarray [shape=(n_queries,)]
        IDCG@N, above 0; see `best_discounted`.
    n : int
        Cutoff.

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]

    Examples
    --------
    The better of two results comes second: (1 + 2 / log2(3)) / (2 + 1 / log2(3)).

    >>> ndcg(np.array([[1, 2]]), np.array([2 + 1 / np.log2(3)]), 2).round(4)
    array([0.8597])

    References
    ----------
    Järvelin and Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4).
    """
    if n < 1:
        raise ValueError(f"cutoff n={n} is below 1")
    return discounted(gains, n) / most


def discounted(gains: np.ndarray, n: int) -> np.ndarray:
    """DCG@N = sum over k = 1 .. N of gain(k) / log2(1 + k).

    Gains are linear, as in Järvelin and Kekäläinen (2002), not 2^gain - 1.

    Parameters
    ----------
    gains : np.ndarray [shape=(n_queries, n_results)]
    n : int

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]

    Examples
    --------
    >>> discounted(np.array([[2, 0, 1, 1]]), 3)
    array([2.5])
    """
    gains = gains[:, :n]
    return gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2)))


def precision_sums(relevance: np.ndarray, cutoffs: tuple[int, ...]) -> list[np.ndarray]:
    """Sum over k = 1 .. N of rel(k) * P(k), for each cutoff N: `average_precision` without its divisor.

    Parameters
    ----------
    relevance : np.ndarray [shape=(n_queries, n_results), dtype=bool]
    cutoffs : tuple of int

    Returns
    -------
    list of np.ndarray [shape=(n_queries,), dtype=float64]
        One a cutoff.

    Examples
    --------
    Hits at ranks 1 and 4: 1 / 1 up to two, and 2 / 4 more up to four.

    >>> precision_sums(np.array([[True, False, False, True]]), (2, 4))
    [array([1.]), array([1.5])]
    """
    first = relevance[:, : max(cutoffs)]
    query, position = np.divmod(np.flatnonzero(first), max(1, first.shape[1]))  # np.nonzero, but faster
    starts = np.searchsorted(query, np.arange(len(relevance)))
    n_hits_so_far = np.arange(1, len(query) + 1) - starts[query]
    precision = n_hits_so_far / (position + 1)
    return [np.bincount(query, precision * (position < n), len(relevance)) for n in cutoffs]


def best_discounted(at_least: np.ndarray, n: int) -> np.ndarray:
    """IDCG@N: DCG@N of the best order.

    A clip of gain g counts in g rows of `at_least`, each of which has its clips at the first ranks. So
    IDCG@N = sum over g of the sum over k = 1 .. min(N, at_least(g)) of 1 / log2(1 + k).

    Parameters
    ----------
    at_least : np.ndarray [shape=(n_gains, n_queries), dtype=int]
        Clips with a gain of 1 or more, of 2 or more, and so on.
    n : int

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]

    Examples
    --------
    Two clips, one of them with a gain of 2: 2 + 1 / log2(3).

    >>> best_discounted(np.array([[2], [1]]), 15).round(4)
    array([2.6309])
    """
    last = np.minimum(at_least, n)
    return discounts_up_to(last)[last].sum(axis=0)


def discounts_up_to(last: np.ndarray) -> np.ndarray:
    """Sum over k = 1 .. n of 1 / log2(1 + k), for each n from 0 to the largest of some ranks.

    Examples
    --------
    >>> discounts_up_to(np.array([1, 2])).round(4)
    array([0.    , 1.    , 1.6309])
    """
    return np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, last.max(initial=0) + 2)))])


def majority(hits: np.ndarray, n_relevant: np.ndarray, n: int) -> np.ndarray:
    """Whether more than half of the first n results are relevant: the vote of the n nearest, as a `Measure`.

    Its class-wise mean is the share of a class's clips that a k-NN classifier finds to be of it.

    Parameters
    ----------
    hits : np.ndarray [shape=(n_queries, n_results), dtype=bool]
    n_relevant : np.ndarray [shape=(n_queries,), dtype=int]
    n : int

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]
        nan where no clip is relevant.

    Examples
    --------
    >>> majority(np.array([[True, False, True], [True, False, False]]), np.array([2, 2]), 3)
    array([1., 0.])
    """
    return np.where(n_relevant > 0, 2 * hits[:, :n].sum(axis=1) > n, np.nan)


def recall(found: np.ndarray, exact: np.ndarray, n: int) -> np.ndarray:
    """Recall of an approximate search: the share of the first n exact results among the first n found.

    Parameters
    ----------
    found, exact : np.ndarray [shape=(n_queries, n_results), dtype=int]
        Rows of the corpus, best first; -1 where there is none.
    n : int

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]
        nan where there is no exact result.

    Examples
    --------
    >>> recall(np.array([[5, 1, 2]]), np.array([[1, 3, 5]]), 3)
    array([0.66666667])
    """
    found, exact = found[:, :n].astype(np.int64), exact[:, :n].astype(np.int64)
    n_clips = 1 + max(found.max(initial=0), exact.max(initial=0))
    first = np.arange(len(exact))[:, None] * n_clips
    there = np.isin(first + exact, (first + found)[found >= 0]) & (exact >= 0)
    n_exact = np.count_nonzero(exact >= 0, axis=1)
    return np.divide(there.sum(axis=1), n_exact, out=np.full(len(exact), np.nan), where=n_exact > 0)
