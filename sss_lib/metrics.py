"""Rankings to scores: AP@N and R1 of every query, and their means by class, family, macro and micro.

Class-wise, every clip of class c queries, and a result is relevant if it has c. A class's value is the mean
over its queries; macro is the mean over classes, a family's value the mean over its classes. Micro, every
labelled clip queries once, and a result is relevant if it shares any class.

Two protocols (Araz et al. 2024, III-B, and the code behind it):

- "standard": AP@N divides by min(N, R), R the relevant clips in the corpus without the query; R1 from 1.
- "paper": class-wise AP@N divides by min(N, n_c), n_c with the query counted; micro AP@N by N; R1 from 0.

A query with R = 0 has no answer: it's left out of every mean, and counted in `n_skipped`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib import relevance
from sss_lib.processing import require_finite
from sss_lib.search import Ranking, Similarities, blocks, in_threads, rank, require_known_search

PROTOCOLS = ("standard", "paper")
BLOCK = 1024


def average_precision(relevance: np.ndarray, n_relevant: np.ndarray, n: int) -> np.ndarray:
    """Sum of the precisions at the ranks of the relevant results among the first n, over `n_relevant`.

    Parameters
    ----------
    relevance : np.ndarray [shape=(n_queries, n_results), dtype=bool]
        Whether each result is relevant, best result first. May be shorter or longer than n.
    n_relevant : np.ndarray [shape=(n_queries,)]
        What to divide by: min(n, R) for the standard AP@N.
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
    """
    if n < 1:
        raise ValueError(f"cutoff n={n} is below 1")
    (sums,) = _precision_sums(relevance, (n,))
    return sums / n_relevant


def first_relevant_rank(relevance: np.ndarray) -> np.ndarray:
    """Rank, from 1, of the first relevant result; 0 where there is none among the results.

    Examples
    --------
    >>> first_relevant_rank(np.array([[False, True], [False, False]]))
    array([2, 0])
    """
    return np.where(relevance.any(axis=1), relevance.argmax(axis=1) + 1, 0)


def _precision_sums(relevance: np.ndarray, cutoffs: tuple[int, ...]) -> list[np.ndarray]:
    """Sum over the relevant results up to each cutoff of the precision at their rank."""
    query, position = np.nonzero(relevance[:, : max(cutoffs)])
    starts = np.searchsorted(query, np.arange(len(relevance)))
    n_hits_so_far = np.arange(1, len(query) + 1) - starts[query]
    precision = n_hits_so_far / (position + 1)
    return [np.bincount(query, precision * (position < n), len(relevance)) for n in cutoffs]


@dataclass(frozen=True)
class PerQuery:
    """AP@N and R1 of every query of one kind, before any mean.

    Attributes
    ----------
    query : np.ndarray [shape=(n_queries,), dtype=int]
        Row of the clip.
    label : np.ndarray [shape=(n_queries,), dtype=int]
        Column of the class; -1 where any shared class counts (micro).
    n_relevant : np.ndarray [shape=(n_queries,), dtype=int]
        R: relevant clips in the corpus without the query (micro: counted up to the largest cutoff).
    precision_sums : dict of int to np.ndarray
        By cutoff: AP@N before its division.
    first_rank : np.ndarray [shape=(n_queries,), dtype=int]
        Rank of the first relevant result, from 1, in the full ranking; 0 if R = 0.
    """

    query: np.ndarray
    label: np.ndarray
    n_relevant: np.ndarray
    precision_sums: dict[int, np.ndarray]
    first_rank: np.ndarray

    def scores(self, protocol: str) -> dict[tuple[str, int | None], np.ndarray]:
        """AP@N and R1 under a protocol, by (metric, cutoff); nan where R = 0."""
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol {protocol!r} is unknown: use one of {', '.join(PROTOCOLS)}")
        answerable = self.n_relevant > 0
        of_query = {}
        for n, sums in self.precision_sums.items():
            if protocol == "standard":
                divisor = np.minimum(n, self.n_relevant)
            else:
                divisor = np.where(self.label < 0, n, np.minimum(n, self.n_relevant + 1))
            of_query["MAP", n] = np.where(answerable, sums / np.maximum(divisor, 1), np.nan)
        first = self.first_rank - (protocol == "paper")
        of_query["MR1", None] = np.where(answerable, first, np.nan)
        return of_query


def per_query(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    *,
    search: str = "nns",
    cutoffs: tuple[int, ...] = (15, 150),
    ranking: Ranking | None = None,
) -> tuple[PerQuery, PerQuery]:
    """AP@N and R1 of every query, class-wise and micro, in one pass over one ranking.

    R1 needs no full ranking: a first hit within the ranking is read off; for the other queries the
    results that score higher than the best relevant one are counted.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    search : str
        "nns", "mips" or "mcss".
    cutoffs : tuple of int
    ranking : Ranking, optional
        Of all clips by all clips; made here if not given.

    Returns
    -------
    class_wise, micro : PerQuery

    Raises
    ------
    ValueError
        If the embeddings, the labels and the ranking are not of the same clips.
    """
    label_matrix = relevance.as_label_matrix(label_matrix)
    require_known_search(search)
    require_finite(x, "embeddings")
    if len(x) != label_matrix.shape[0]:
        raise ValueError(
            f"{len(x)} embeddings don't match {label_matrix.shape[0]} labelled clips: "
            "select the clips that have an embedding"
        )
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(f"cutoffs={cutoffs}: give at least one, none below 1")
    if ranking is None:
        ranking = rank(x, search, top_n=max(cutoffs))
    n_expected = min(max(cutoffs), len(x) - 1)
    if len(ranking.neighbours) != len(x) or ranking.neighbours.shape[1] < n_expected:
        raise ValueError(
            f"a ranking of shape {ranking.neighbours.shape} doesn't serve {len(x)} clips at cutoff "
            f"{max(cutoffs)}: rank them again with top_n={max(cutoffs)}"
        )
    pairs = relevance.class_pairs(label_matrix)
    has_label = label_matrix.toarray()
    hits = _gather(has_label, ranking.neighbours, pairs)
    labelled = np.flatnonzero(np.diff(label_matrix.indptr))
    starts = label_matrix.indptr[labelled]
    any_hits = np.logical_or.reduceat(hits, starts, axis=0) if len(starts) else hits
    n_any = relevance.n_sharing_any(label_matrix, at_most=max(cutoffs))[labelled]

    first, any_first = first_relevant_rank(hits), first_relevant_rank(any_hits)
    missing = (first == 0) & (pairs.n_relevant > 0)
    any_missing = (any_first == 0) & (n_any > 0)
    if missing.any():
        counted = _count_first_ranks(x, label_matrix, search, pairs.query[missing], pairs.label[missing])
        first[missing] = np.maximum(counted, ranking.neighbours.shape[1] + 1)
    # The first result that shares any class is the first of those that share each.
    earliest = np.minimum.reduceat(np.where(first > 0, first, len(x)), starts) if len(starts) else first
    any_first[any_missing] = earliest[any_missing]

    def result(query, label, n_relevant, hits, first):
        sums = dict(zip(cutoffs, _precision_sums(hits, tuple(cutoffs)), strict=True))
        return PerQuery(query, label, n_relevant, sums, first)

    class_wise = result(pairs.query, pairs.label, pairs.n_relevant, hits, first)
    return class_wise, result(labelled, np.full(len(labelled), -1), n_any, any_hits, any_first)


def _gather(has_label: np.ndarray, neighbours: np.ndarray, pairs: relevance.Pairs) -> np.ndarray:
    """Whether each result of each class-wise query has its class: bool [n_pairs, n_results]."""
    flat = has_label.ravel()
    hits = np.empty((len(pairs.query), neighbours.shape[1]), bool)
    at = neighbours * np.int32(has_label.shape[1])
    for start in range(0, len(hits), BLOCK):
        block = slice(start, start + BLOCK)
        np.take(flat, at[pairs.query[block]] + pairs.label[block, None].astype(np.int32), out=hits[block])
    return hits


def _count_first_ranks(
    x: np.ndarray, label_matrix: scipy.sparse.csr_array, search: str, query: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Rank from 1 of the first relevant result: one more than the results that come before the best one."""
    similarities = Similarities(x, search)
    by_label = label_matrix.tocsc()
    members = np.split(by_label.indices, by_label.indptr[1:-1])

    def ranks_of_block(rows: np.ndarray) -> list[int]:
        similarity = similarities(rows)
        first, last = np.searchsorted(query, [rows[0], rows[-1] + 1])
        ranks = []
        for row, c in zip(np.searchsorted(rows, query[first:last]), label[first:last], strict=True):
            of_query = similarity[row]
            relevant = of_query[members[c]]
            best, row_of_best = relevant.max(), members[c][relevant.argmax()]
            before = np.count_nonzero(of_query > best) + np.count_nonzero(of_query[:row_of_best] == best)
            ranks.append(1 + before)
        return ranks

    return np.concatenate(in_threads(ranks_of_block, blocks(np.unique(query))))


def evaluate(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    search: str = "nns",
    cutoffs: tuple[int, ...] = (15, 150),
    protocol: str = "standard",
    ranking: Ranking | None = None,
) -> pd.DataFrame:
    """MAP@N and MR1 by class, family, macro and micro.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings, in the order of the label matrix.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    labels : list of str [n_labels]
    families : mapping of str to str, optional
        Label to family.
    search, cutoffs, protocol, ranking
        See `per_query` and `PerQuery.scores`.

    Returns
    -------
    pd.DataFrame
        Columns protocol, metric (MAP or MR1), n (cutoff), level, name, value, n_queries, n_skipped.

    Examples
    --------
    Two pairs of neighbours on a line, each pair of one class: every query finds its partner first.

    >>> x = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> labels = scipy.sparse.csr_array([[True, False], [True, False], [False, True], [False, True]])
    >>> scores = evaluate(x, labels, ["cat", "dog"], cutoffs=(2,))
    >>> scores.loc[scores["level"] == "macro", ["metric", "value"]]
      metric  value
    2    MAP    1.0
    6    MR1    1.0
    """
    class_wise, micro = per_query(x, label_matrix, search=search, cutoffs=cutoffs, ranking=ranking)
    return summarise(class_wise, micro, labels, families, protocol=protocol)


def summarise(
    class_wise: PerQuery,
    micro: PerQuery,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    protocol: str = "standard",
) -> pd.DataFrame:
    """Means of the queries' scores by class, family, macro and micro: the rows of `evaluate`."""
    if len(labels) <= class_wise.label.max(initial=-1):
        raise ValueError(
            f"{len(labels)} labels don't name the {class_wise.label.max() + 1} columns of the label matrix"
        )
    micro_scores = micro.scores(protocol)
    rows = []
    for (metric, n), scores in class_wise.scores(protocol).items():
        valid = np.isfinite(scores)
        n_queries = np.bincount(class_wise.label[valid], minlength=len(labels))
        n_skipped = np.bincount(class_wise.label[~valid], minlength=len(labels))
        sums = np.bincount(class_wise.label[valid], scores[valid], len(labels))
        queried = n_queries > 0
        values = np.divide(sums, n_queries, out=np.full(len(labels), np.nan), where=queried)
        for level, name, members in levels(labels, families):
            if queried[members].any():
                counts = int(n_queries[members].sum()), int(n_skipped[members].sum())
                rows.append((metric, n, level, name, np.nanmean(values[members]), *counts))
        of_micro = micro_scores[metric, n]
        valid = np.isfinite(of_micro)
        if valid.any():
            counts = int(valid.sum()), int((~valid).sum())
            rows.append((metric, n, "micro", "all", of_micro[valid].mean(), *counts))
    columns = ["metric", "n", "level", "name", "value", "n_queries", "n_skipped"]
    table = pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})
    table.insert(0, "protocol", protocol)
    return table


def levels(labels: list[str], families: Mapping[str, str] | None) -> list[tuple[str, str, np.ndarray]]:
    """Level, name and the columns of the classes it averages: each class, each family, all (macro).

    Examples
    --------
    >>> levels(["cat", "dog"], {"dog": "pet"})
    [('class', 'cat', array([0])), ('class', 'dog', array([1])),
     ('family', 'pet', array([1])), ('macro', 'all', array([0, 1]))]
    """
    of_family: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        if (families or {}).get(label):
            of_family.setdefault(families[label], []).append(i)
    return [
        *(("class", label, np.array([i])) for i, label in enumerate(labels)),
        *(("family", family, np.array(of_family[family])) for family in sorted(of_family)),
        ("macro", "all", np.arange(len(labels))),
    ]


def chance(
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    cutoffs: tuple[int, ...] = (15, 150),
    protocol: str = "standard",
) -> pd.DataFrame:
    """What ranking the corpus at random scores on average: exact expectations, not a sample.

    With R relevant among M results in random order, rank k is relevant with probability R / M, and then the
    precision there is (1 + (k - 1) (R - 1) / (M - 1)) / k on average; the first hit is at (M + 1) / (R + 1).

    Returns
    -------
    pd.DataFrame
        As `evaluate`.
    """
    label_matrix = relevance.as_label_matrix(label_matrix)
    n_corpus = label_matrix.shape[0] - 1
    pairs = relevance.class_pairs(label_matrix)
    labelled = np.flatnonzero(np.diff(label_matrix.indptr))
    n_any = relevance.n_sharing_any(label_matrix, at_most=n_corpus)[labelled]

    def result(query, label, n_relevant):
        sums = {n: expected_precision_sum(n_relevant, n_corpus, n) for n in cutoffs}
        return PerQuery(query, label, n_relevant, sums, (n_corpus + 1) / (n_relevant + 1))

    class_wise = result(pairs.query, pairs.label, pairs.n_relevant)
    micro = result(labelled, np.full(len(labelled), -1), n_any)
    return summarise(class_wise, micro, labels, families, protocol=protocol)


def expected_precision_sum(n_relevant: np.ndarray, n_corpus: int, n: int) -> np.ndarray:
    """Expected sum of the precisions at the ranks of the relevant results up to n, in random order.

    Examples
    --------
    One relevant of two: it is first or second, each half the time, so 1/2 (1 + 1/2).

    >>> expected_precision_sum(np.array([1]), 2, 15)
    array([0.75])
    """
    k = np.arange(1, min(n, n_corpus) + 1)
    among_others = (n_relevant[:, None] - 1) * (k - 1) / max(n_corpus - 1, 1)
    return n_relevant / n_corpus * ((1 + among_others) / k).sum(axis=1)


def queries_table(
    class_wise: PerQuery, micro: PerQuery, fnames: Sequence[str], labels: Sequence[str]
) -> pd.DataFrame:
    """AP@N and R1 of every query under every protocol, one row a query.

    Returns
    -------
    pd.DataFrame
        Columns protocol, level (class or micro), fname, label ("" for micro), n_relevant, then one
        column a metric, such as AP@15 and R1. Of micro queries n_relevant is counted up to the largest
        cutoff.
    """
    parts = []
    for level, queries in (("class", class_wise), ("micro", micro)):
        about = {
            "level": level,
            "fname": np.asarray(fnames, object)[queries.query],
            "label": [labels[c] if c >= 0 else "" for c in queries.label],
            "n_relevant": queries.n_relevant,
        }
        for protocol in PROTOCOLS:
            scores = queries.scores(protocol)
            of_query = {"R1" if n is None else f"AP@{n}": values for (_, n), values in scores.items()}
            parts.append(pd.DataFrame({"protocol": protocol, **about, **of_query}))
    return pd.concat(parts, ignore_index=True)
