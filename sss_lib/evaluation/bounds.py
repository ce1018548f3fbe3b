"""Bounds of scores: chance, and the upper bound that the labels allow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import counts, measures
from sss_lib.evaluation import relevance as rules
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import GradedPerQuery, PerQuery, Scored
from sss_lib.evaluation.relevance import Relevance
from sss_lib.evaluation.summary import evaluate, summarise


def chance(
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    cutoffs: tuple[int, ...] = (15, 150),
    protocol: str | Protocol = "standard",
    relevant: str | Relevance = "class",
) -> pd.DataFrame:
    """Expected scores of a random ranking: exact, not sampled.

    With R relevant clips among the M of a corpus, in random order:

    - E[rel(k)] = R / M, and E[P(k) | rel(k)] = (1 + (k - 1) (R - 1) / (M - 1)) / k;
    - E[R1] = (M + 1) / (R + 1);
    - E[gain(k)] is the mean gain of the corpus.

    Parameters
    ----------
    label_matrix, labels, families, cutoffs, protocol, relevant
        As in `metrics.evaluate`.

    Returns
    -------
    pd.DataFrame
        As `metrics.evaluate`.
    """
    queries = _of_counts(label_matrix, labels, cutoffs, relevant, RANDOM)
    return summarise(*queries, labels, families, protocol=protocol)


def upper_bound(
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    cutoffs: tuple[int, ...] = (15, 150),
    protocol: str | Protocol = "standard",
    relevant: str | Relevance = "class",
) -> pd.DataFrame:
    """Scores of a ranking that has each query's relevant clips first: no system can score more.

    AP is 1 by the standard protocol, and less where it is divided by more clips than there are to find. A
    clip of several classes needs another best ranking for each: even a perfect system may stay below.

    Parameters
    ----------
    label_matrix, labels, families, cutoffs, protocol, relevant
        As in `metrics.evaluate`.

    Returns
    -------
    pd.DataFrame
        As `metrics.evaluate`.
    """
    queries = _of_counts(label_matrix, labels, cutoffs, relevant, PERFECT)
    return summarise(*queries, labels, families, protocol=protocol)


def add_bounds(scores: pd.DataFrame, chance: pd.DataFrame, upper_bound: pd.DataFrame) -> pd.DataFrame:
    """Scores with their bounds in the columns chance and ceiling.

    Parameters
    ----------
    scores, chance, upper_bound : pd.DataFrame
        From `metrics.evaluate`, `chance` and `upper_bound`, with the same classes, protocols and relevance.

    Returns
    -------
    pd.DataFrame
        The upper bound's column is called ceiling, as in all results that were published.

    Raises
    ------
    ValueError
        If a score has no bound.
    """
    keys = ["metric", "n", "level", "name", "protocol", "relevance"]
    for name, bound in (("chance", chance), ("ceiling", upper_bound)):
        if all(scores[key].array.equals(bound[key].array) for key in keys):  # as a rule: to merge takes long
            scores = scores.assign(**{name: bound["value"].array})
        else:
            of_score = bound[[*keys, "value"]].rename(columns={"value": name})
            scores = scores.merge(of_score, on=keys, how="left", validate="many_to_one")
        if scores[name].isna().any():
            row = scores[scores[name].isna()].iloc[0]
            raise ValueError(
                f"no {name} for {row['level']} {row['name']!r} by {row['protocol']!r}, {row['relevance']!r}: "
                "compute it with the same classes, protocol and relevance as the scores"
            )
    return scores


def sampled_chance(
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    n_draws: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Scores of random embeddings: their mean over some draws, and their spread.

    Parameters
    ----------
    label_matrix, labels, families
        As in `metrics.evaluate`.
    n_draws : int
        Sets of embeddings, each of 16 normal dimensions.
    confidence : float
        Share of the draws between ci_low and ci_high: a score in between could be chance.
    seed : int
    **options
        cutoffs, protocol and relevant of `metrics.evaluate`.

    Returns
    -------
    pd.DataFrame
        As `metrics.evaluate`, with ci_low and ci_high.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws={n_draws} is too few for a spread: use 20")
    rng, shape = np.random.default_rng(seed), (label_matrix.shape[0], 16)
    draws = [
        evaluate(rng.normal(size=shape).astype(np.float32), label_matrix, labels, families, **options)
        for _ in range(n_draws)
    ]
    values = np.array([draw["value"] for draw in draws])
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return draws[0].assign(value=values.mean(axis=0), ci_low=low, ci_high=high)


def expected_precision_sum(n_relevant: np.ndarray, n_corpus: np.ndarray, n: int) -> np.ndarray:
    """Expected sum over k = 1 .. N of rel(k) * P(k) in random order: of `measures.precision_sums`.

    Parameters
    ----------
    n_relevant, n_corpus : np.ndarray [shape=(n_queries,), dtype=int]
        R and M, the clips of the query's corpus.
    n : int

    Returns
    -------
    np.ndarray [shape=(n_queries,), dtype=float64]

    Examples
    --------
    One relevant of two: it is first or second, each half the time, so 1/2 (1 + 1/2).

    >>> expected_precision_sum(np.array([1]), np.array([2]), 15)
    array([0.75])
    """
    # R / M * (sum of 1 / k + (R - 1) / (M - 1) * sum of (k - 1) / k), over k = 1 .. min(N, M).
    last = np.minimum(n, n_corpus)
    k = np.arange(1, last.max(initial=0) + 1)
    inverse, rest = (np.concatenate([[0], np.cumsum(terms)]) for terms in (1 / k, (k - 1) / k))
    among_others = (n_relevant - 1) / np.maximum(n_corpus - 1, 1)
    return n_relevant / np.maximum(n_corpus, 1) * (inverse[last] + among_others * rest[last])


@dataclass(frozen=True)
class _Order:
    """Scores that follow from an order of the results and the numbers of relevant clips and of all.

    Attributes
    ----------
    precision_sum : callable
        (n_relevant, n_corpus, n): the precisions' sum at the ranks of the relevant results up to n.
    first_rank : callable
        (n_relevant, n_corpus): rank of the first relevant result, from 1.
    gain_sum : callable
        (at_least, n_corpus, n): DCG@n, where `at_least` is from `counts.gain_counts`.
    """

    precision_sum: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    first_rank: Callable[[np.ndarray, np.ndarray], np.ndarray]
    gain_sum: Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def _expected_gain_sum(at_least: np.ndarray, n_corpus: np.ndarray, n: int) -> np.ndarray:
    discounts = measures.discounts_up_to(last := np.minimum(n, n_corpus))
    return at_least.sum(axis=0) / np.maximum(n_corpus, 1) * discounts[last]


RANDOM = _Order(
    expected_precision_sum,
    lambda n_relevant, n_corpus: (n_corpus + 1) / (n_relevant + 1),
    _expected_gain_sum,
)
PERFECT = _Order(
    lambda n_relevant, n_corpus, n: np.minimum(n_relevant, n).astype(float),
    lambda n_relevant, n_corpus: (n_relevant > 0).astype(float),
    lambda at_least, n_corpus, n: measures.best_discounted(at_least, n),
)


def _of_counts(
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    cutoffs: tuple[int, ...],
    relevant: str | Relevance,
    order: _Order,
) -> tuple[Scored, Scored]:
    """Per-query results by an order, from the numbers of relevant clips and of all."""
    relevant = rules.define(relevant, labels) if isinstance(relevant, str) else relevant
    counted = relevant.counted(label_matrix)
    n_clips = counted.shape[0]
    groups = np.arange(n_clips) if relevant.groups is None else relevant.groups
    n_corpus = n_clips - np.bincount(groups)[groups]
    pairs = counts.class_pairs(counted, relevant.groups)
    labelled = np.flatnonzero(np.diff(counted.indptr))
    place = np.searchsorted(labelled, pairs.query)
    alone = np.full(len(labelled), -1)
    if relevant.kind == "graded":
        at_least = counts.gain_counts(counted, relevant)[:, labelled]
        sums = {n: order.gain_sum(at_least, n_corpus[labelled], n) for n in cutoffs}
        most = {n: measures.best_discounted(at_least, n) for n in cutoffs}
        micro: Scored = GradedPerQuery(labelled, alone, at_least[0], sums, most, relevance=relevant.name)
        return micro.at(place, pairs.label), micro

    def result(query: np.ndarray, label: np.ndarray, n_relevant: np.ndarray, any_class: bool) -> PerQuery:
        sums = {n: order.precision_sum(n_relevant, n_corpus[query], n) for n in cutoffs}
        first = order.first_rank(n_relevant, n_corpus[query])
        return PerQuery(query, label, n_relevant, sums, first, any_class, relevance=relevant.name)

    n_any = counts.n_sharing_any(counted, groups=relevant.groups)[labelled]
    micro = result(labelled, alone, n_any, True)
    if relevant.kind == "any":
        return micro.at(place, pairs.label), micro
    return result(pairs.query, pairs.label, pairs.n_relevant, False), micro
