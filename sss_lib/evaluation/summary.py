"""Means of the queries' scores by class, family, macro and micro.

Class-wise, every clip of class c queries, and a result is relevant if it has c. A class's value is the mean
over its queries; macro is the mean over classes, a family's value the mean over its classes. Micro, every
labelled clip queries once, and a result is relevant if it shares any class. `relevance` has other rules.

`protocols` says what AP@N is divided by and where ranks begin. A query with R = 0 has no answer: it's left
out of every mean, and counted in `n_skipped`; by protocol "paper" its AP is 0.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import protocols
from sss_lib.evaluation import relevance as rules
from sss_lib.evaluation.measures import Measure
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Scored
from sss_lib.evaluation.relevance import Relevance
from sss_lib.evaluation.scoring import per_query
from sss_lib.search.ranking import Ranking


def evaluate(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    search: str = "nns",
    cutoffs: tuple[int, ...] = (15, 150),
    protocol: str | Protocol = "standard",
    ranking: Ranking | None = None,
    relevant: str | Relevance = "class",
    measures: Mapping[str, Measure] | None = None,
) -> pd.DataFrame:
    """MAP@N and MR1 (graded: NDCG@N) by class, family, macro and micro.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings, in the order of the label matrix.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    labels : list of str [n_labels]
    families : mapping of str to str, optional
        Label to family.
    search, cutoffs, ranking, measures
        See `per_query`.
    protocol : str or Protocol
        "standard", "paper", or denominators and rank base of your own.
    relevant : str or Relevance
        What counts: a kind, or a rule from `relevance.define`.

    Returns
    -------
    pd.DataFrame
        Columns metric (MAP, MR1, NDCG or a further measure), n (cutoff), level, name, value, n_queries,
        n_skipped, and the conventions: denominator and rank_base where they matter, protocol, relevance.

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
    protocol = protocols.named(protocol)
    if len(labels) != label_matrix.shape[1]:
        raise ValueError(
            f"{len(labels)} labels don't name the {label_matrix.shape[1]} columns of the label matrix"
        )
    rule = rules.define(relevant, labels) if isinstance(relevant, str) else relevant
    results = per_query(
        x,
        label_matrix,
        search=search,
        cutoffs=cutoffs,
        ranking=ranking,
        relevant=rule,
        count_all=protocol.needs_all_relevant(),
        measures=measures,
    )
    return summarise(*results, labels, families, protocol=protocol)


def summarise(
    class_wise: Scored,
    micro: Scored,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    protocol: str | Protocol = "standard",
) -> pd.DataFrame:
    """Means of the queries' scores by class, family, macro and micro: the rows of `evaluate`.

    Parameters
    ----------
    class_wise, micro : PerQuery or GradedPerQuery
        From `per_query`.
    labels, families, protocol
        As in `evaluate`.

    Returns
    -------
    pd.DataFrame
        As `evaluate`.
    """
    if len(labels) <= class_wise.label.max(initial=-1):
        raise ValueError(
            f"{len(labels)} labels don't name the {class_wise.label.max() + 1} columns of the label matrix"
        )
    protocol = protocols.named(protocol)
    conventions, micro_conventions = class_wise.conventions(protocol), micro.conventions(protocol)
    micro_scores = micro.scores(protocol)
    rows = []
    for (metric, n), scores in class_wise.scores(protocol).items():
        valid = np.isfinite(scores)
        n_queries = np.bincount(class_wise.label[valid], minlength=len(labels))
        n_skipped = np.bincount(class_wise.label[~valid], minlength=len(labels))
        sums = np.bincount(class_wise.label[valid], scores[valid], len(labels))
        queried = n_queries > 0
        values = np.divide(sums, n_queries, out=np.full(len(labels), np.nan), where=queried)
        found = [
            (level, name, np.nanmean(values[members]), n_queries[members].sum(), n_skipped[members].sum())
            for level, name, members in levels(labels, families)
            if queried[members].any()
        ]
        rows += [(metric, n, *row, *conventions[metric, n]) for row in found]
        of_micro = micro_scores[metric, n]
        valid = np.isfinite(of_micro)
        if valid.any():
            row = ("micro", "all", of_micro[valid].mean(), valid.sum(), (~valid).sum())
            rows.append((metric, n, *row, *micro_conventions[metric, n]))
    columns = ["metric", "n", "level", "name", "value", "n_queries", "n_skipped", "denominator", "rank_base"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype({"n": "Int64", "value": float, "rank_base": "Int64"})
    return table.assign(protocol=protocol.name, relevance=class_wise.relevance)


def levels(labels: list[str], families: Mapping[str, str] | None) -> list[tuple[str, str, np.ndarray]]:
    """Means over classes as (level, name, columns of their classes): each class, each family, macro.

    Examples
    --------
    >>> levels(["cat", "dog"], {"dog": "pet"})
    [('class', 'cat', array([0])), ('class', 'dog', array([1])),
     ('family', 'pet', array([1])), ('macro', 'all', array([0, 1]))]
    """
    of_family: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        if family := (families or {}).get(label):
            of_family.setdefault(family, []).append(i)
    return [
        *(("class", label, np.array([i])) for i, label in enumerate(labels)),
        *(("family", family, np.array(of_family[family])) for family in sorted(of_family)),
        ("macro", "all", np.arange(len(labels))),
    ]
