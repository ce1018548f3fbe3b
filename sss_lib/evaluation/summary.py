"""Means of the queries' scores by class, family, macro and micro.

Class-wise, every clip of class c queries, and a result is relevant if it has c. A class's value is the mean
over its queries; macro is the mean over classes, a family's value the mean over its classes. Micro, every
labelled clip queries once, and a result is relevant if it shares any class. `relevance` has other rules.

Classes that hold exactly the same clips, such as Dog and Bark where all dogs bark, have the same queries and
scores, and count twice in these means. The levels class_distinct, family_distinct and macro_distinct count
such a set once. "macro" is the published definition.

`protocols` says what AP@N is divided by and where ranks begin. A query with R = 0 has no answer: it's left
out of every mean, and counted in `n_skipped`; by protocol "paper" its AP is 0.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import protocols
from sss_lib.evaluation import relevance as rules
from sss_lib.evaluation.measures import Measure
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Queries, Scored
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
    """MAP@N and MR1 (graded: NDCG@N) by class, family, macro and micro, and over different classes.

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
        n_skipped, and the conventions: denominator and rank_base where they matter, protocol, relevance. Of a
        given ranking that ends before the largest cutoff for some query also n_short: at how many queries it
        ends before n. What comes behind its end counts as wrong.

    Examples
    --------
    Two pairs of neighbours on a line, each pair of one class: every query finds its partner first.

    >>> x = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> labels = scipy.sparse.csr_array([[True, False], [True, False], [False, True], [False, True]])
    >>> scores = evaluate(x, labels, ["cat", "dog"], cutoffs=(2,))
    >>> scores.loc[scores["level"] == "macro", ["metric", "value"]].to_numpy().tolist()
    [['MAP', 1.0], ['MR1', 1.0]]
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
    means = levels(labels, families, clip_sets(class_wise, len(labels)))
    means = [one for one in means if len(one[2])]
    columns = ["value", "n_queries", "n_skipped", "n_short"]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("key", "mean", *columns)}
    about: list[tuple] = []
    for (metric, n), scores in class_wise.scores(protocol).items():
        found, of_classes = _of_classes(class_wise, scores, n, len(labels), [one[2] for one in means])
        last = _of_all(micro, micro_scores[metric, n], n)
        for name, own, more in zip(columns, of_classes, last, strict=True):
            parts[name].append(np.concatenate([own, more]).astype(own.dtype))
        n_last = len(last[0])
        parts["mean"].append(np.concatenate([found, [len(means)] * n_last]).astype(int))
        parts["key"].append(np.repeat([len(about), len(about) + 1], [len(found), n_last]))
        about += [(metric, n, *one[metric, n]) for one in (conventions, micro_conventions)]
    column = {name: np.concatenate([*own, np.zeros(0, int)]) for name, own in parts.items()}
    key, mean = column.pop("key").astype(int), column.pop("mean").astype(int)
    if class_wise.n_results is None and micro.n_results is None:
        del column["n_short"]
    # A string is made once, and taken as often as it is needed.
    metrics, ns, denominators, rank_bases = zip(*about, strict=True) if about else [()] * 4
    names = [*(one[:2] for one in means), ("micro", "all")]
    return pd.DataFrame(
        {
            "metric": _texts(metrics).take(key),
            "n": pd.array(ns, dtype="Int64").take(key),
            "level": _texts([level for level, _ in names]).take(mean),
            "name": _texts([name for _, name in names]).take(mean),
            **column,
            "denominator": _texts(denominators).take(key),
            "rank_base": pd.array(rank_bases, dtype="Int64").take(key),
            "protocol": _texts([protocol.name]).take(np.zeros(len(key), int)),
            "relevance": _texts([class_wise.relevance]).take(np.zeros(len(key), int)),
        }
    )


def _of_classes(
    queries: Scored, scores: np.ndarray, n: int | None, n_labels: int, means: list[np.ndarray]
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Which means over classes have a query, and their value and their queries: scored, skipped, short."""
    valid = np.isfinite(scores)
    chosen = (valid, ~valid, valid & queries.is_short(n))
    counts = [np.bincount(queries.label[one], minlength=n_labels) for one in chosen]
    sums = np.bincount(queries.label[valid], scores[valid], n_labels)
    values = np.divide(sums, counts[0], out=np.zeros(n_labels), where=counts[0] > 0)
    members = np.concatenate([np.zeros(0, int), *means])
    starts = np.cumsum([0, *(len(one) for one in means[:-1])], dtype=int)[: len(means)]
    n_queried, *of_level = (
        np.add.reduceat(one[members], starts) if means else one[:0]
        for one in ((counts[0] > 0).astype(int), *counts)
    )
    sums = np.array([values[one[0]] if len(one) == 1 else values[one].sum() for one in means])
    found = np.flatnonzero(n_queried)
    return found, (sums[found] / n_queried[found], *(one[found] for one in of_level))


def _of_all(queries: Scored, scores: np.ndarray, n: int | None) -> list[list]:
    """Mean over all queries, and how many are scored, skipped and short; empty lists where none is scored."""
    valid = np.isfinite(scores)
    counts = (valid, ~valid, valid & queries.is_short(n))
    return [[scores[valid].mean()], *([one.sum()] for one in counts)] if valid.any() else [[]] * 4


def _texts(values: Sequence[str]) -> "pd.api.extensions.ExtensionArray":
    """Strings, as a column has them."""
    return pd.Series(values, dtype=None if values else str).array


def clip_sets(queries: Queries, n_labels: int) -> np.ndarray:
    """Number of each class's set of clips: int [n_labels]; classes that the same clips query share it.

    A class without queries is a set of its own. Where a sample of the clips queries, classes must also have
    as many relevant clips to share a set.

    Examples
    --------
    >>> clips, labels = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2])  # a dog, a bark, a cat
    >>> clip_sets(Queries(clips, labels, n_relevant=np.array([1, 1, 1, 1, 0])), 4)
    array([0, 0, 1, 2])
    """
    order = np.lexsort([queries.query, queries.label])
    ends = np.searchsorted(queries.label[order], np.arange(n_labels + 1))
    clips = np.stack([queries.query, queries.n_relevant])[:, order].astype(np.int64)
    own = [clips[:, start:end].tobytes() for start, end in itertools.pairwise(ends)]
    keys = [key or label for label, key in enumerate(own)]
    return pd.factorize(pd.Series(keys, dtype=object))[0]


def levels(
    labels: list[str], families: Mapping[str, str] | None, sets: np.ndarray
) -> list[tuple[str, str, np.ndarray]]:
    """Means over classes as (level, name, columns of their classes): each class, each family, macro.

    Then the same over different classes: of those with equal numbers in `sets` (`clip_sets`) the first one,
    under the names of all.

    Examples
    --------
    >>> levels(["cat", "dog", "bark"], {"dog": "pet"}, np.array([0, 1, 1]))[3:5]
    [('family', 'pet', array([1])), ('macro', 'all', array([0, 1, 2]))]
    >>> levels(["cat", "dog", "bark"], {"dog": "pet"}, np.array([0, 1, 1]))[5:]
    [('class_distinct', 'cat', array([0])), ('class_distinct', 'dog = bark', array([1])),
     ('family_distinct', 'pet', array([1])), ('macro_distinct', 'all', array([0, 1]))]
    """
    of_family: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        if family := (families or {}).get(label):
            of_family.setdefault(family, []).append(i)
    means = [
        *(("family", family, np.array(of_family[family])) for family in sorted(of_family)),
        ("macro", "all", np.arange(len(labels))),
    ]
    named: dict[int, list[int]] = {}
    for i, number in enumerate(sets):
        named.setdefault(number, []).append(i)
    return [
        *(("class", label, np.array([i])) for i, label in enumerate(labels)),
        *means,
        *(
            ("class_distinct", " = ".join(labels[i] for i in own), np.array(own[:1]))
            for own in named.values()
        ),
        *(
            (f"{level}_distinct", name, members[np.sort(np.unique(sets[members], return_index=True)[1])])
            for level, name, members in means
        ),
    ]
