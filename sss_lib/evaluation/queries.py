"""Records of what each query scored, before any mean: AP@N, R1 and NDCG@N by query and class.

The file isn't called per_query: the package offers the function of that name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from sss_lib.evaluation import protocols
from sss_lib.evaluation.protocols import Protocol

Key = tuple[str, int | None]
"""Metric and cutoff: ("MAP", 15) or ("MR1", None)."""


@dataclass(frozen=True)
class Queries:
    """Queries of one kind; `PerQuery` and `GradedPerQuery` add what they scored.

    Attributes
    ----------
    query : np.ndarray [shape=(n_queries,), dtype=int]
        Row of the clip.
    label : np.ndarray [shape=(n_queries,), dtype=int]
        Column of the class; -1 for micro queries.
    n_relevant : np.ndarray [shape=(n_queries,), dtype=int]
        R: relevant clips in the query's corpus.
    n_results : np.ndarray [shape=(n_queries,), dtype=int], optional
        How many a given ranking has; where these are all that there can be, the number of clips. None if no
        query has fewer than the largest cutoff.
    """

    query: np.ndarray
    label: np.ndarray
    n_relevant: np.ndarray
    n_results: np.ndarray | None = field(default=None, kw_only=True)

    def is_short(self, n: int | None) -> np.ndarray:
        """Whether the ranking of each query ends before a cutoff: AP@N counts what is missing as wrong."""
        if self.n_results is None or n is None:
            return np.zeros(len(self.query), bool)
        return self.n_results < n

    def at(self, places: np.ndarray, label: np.ndarray) -> Self:
        """Queries in these places, with other classes."""

        def pick(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: values[places] for key, values in value.items()}
            return value[places] if isinstance(value, np.ndarray) else value

        picked = {one.name: pick(getattr(self, one.name)) for one in fields(self)}
        return replace(self, **{**picked, "label": label})


@dataclass(frozen=True)
class PerQuery(Queries):
    """AP@N and R1 of every query of one kind.

    Attributes
    ----------
    precision_sums : dict of int to np.ndarray
        By cutoff: AP@N before its division.
    first_rank : np.ndarray [shape=(n_queries,), dtype=int]
        Rank of the first relevant result, from 1, in the full ranking; 0 if R = 0, or if a given ranking ends
        before it.
    any_class : bool
        Whether any shared class counts, rather than the query's own.
    counted_up_to : int, optional
        Larger `n_relevant` are given as this number.
    relevance : str
        Name of the rule of what counts.
    others : dict of Key to np.ndarray
        Values of further measures.
    """

    precision_sums: dict[int, np.ndarray]
    first_rank: np.ndarray
    any_class: bool = False
    counted_up_to: int | None = None
    relevance: str = "class"
    others: dict[Key, np.ndarray] = field(default_factory=dict)

    def scores(self, protocol: str | Protocol) -> dict[Key, np.ndarray]:
        """AP@N, R1 and further measures under a protocol, by (metric, cutoff); nan where there is none."""
        protocol = protocols.named(protocol)
        denominator = protocol.denominator_of(self.any_class)
        if denominator == "R" and self.counted_up_to is not None:
            raise ValueError(
                f"protocol {protocol.name!r} divides by R, but relevant clips were counted up to "
                f"{self.counted_up_to}: use per_query(..., count_all=True)"
            )
        answerable = self.n_relevant > 0
        otherwise = 0.0 if protocol.counts_unanswerable else np.nan
        of_query: dict[Key, np.ndarray] = {}
        for n, sums in self.precision_sums.items():
            divisor = np.maximum(protocols.DENOMINATORS[denominator](n, self.n_relevant), 1)
            of_query["MAP", n] = np.where(answerable, sums / divisor, otherwise)
        first = self.first_rank - 1 + protocol.rank_base
        of_query["MR1", None] = np.where(answerable & (self.first_rank > 0), first, np.nan)
        return of_query | {key: np.where(answerable, one, otherwise) for key, one in self.others.items()}

    def conventions(self, protocol: str | Protocol) -> dict[Key, tuple[str, int | None]]:
        """What AP@N is divided by and the rank that R1 begins at, by (metric, cutoff)."""
        protocol = protocols.named(protocol)
        divided: dict[Key, tuple[str, int | None]]
        divided = {("MAP", n): (protocol.denominator_of(self.any_class), None) for n in self.precision_sums}
        return {**divided, ("MR1", None): ("", protocol.rank_base), **dict.fromkeys(self.others, ("", None))}


@dataclass(frozen=True)
class GradedPerQuery(Queries):
    """NDCG@N of every query; any gain above 0 is relevant.

    Attributes
    ----------
    gain_sums, most : dict of int to np.ndarray
        By cutoff: DCG@N, and IDCG@N.
    relevance : str
    """

    gain_sums: dict[int, np.ndarray]
    most: dict[int, np.ndarray]
    relevance: str = "graded"

    def scores(self, protocol: str | Protocol) -> dict[Key, np.ndarray]:
        """NDCG@N by (metric, cutoff), the same under every protocol; nan where nothing is relevant."""
        protocols.named(protocol)
        return {
            ("NDCG", n): np.divide(sums, self.most[n], out=np.full(len(sums), np.nan), where=self.most[n] > 0)
            for n, sums in self.gain_sums.items()
        }

    def conventions(self, protocol: str | Protocol) -> dict[Key, tuple[str, int | None]]:
        """What the gains are divided by, by (metric, cutoff)."""
        return {("NDCG", n): ("best DCG@N", None) for n in self.gain_sums}


Scored = PerQuery | GradedPerQuery
"""Queries of one kind with what they scored."""


def queries_table(
    class_wise: Scored, micro: Scored, fnames: Sequence[str], labels: Sequence[str]
) -> pd.DataFrame:
    """AP@N and R1 of every query under the named protocols, one row a query.

    Returns
    -------
    pd.DataFrame
        Columns protocol, relevance, level (class or micro), fname, label ("" for micro), n_relevant, then one
        column a metric, such as AP@15 and R1. Of micro queries n_relevant is counted up to the largest
        cutoff.
    """
    parts = []
    for level, queries in (("class", class_wise), ("micro", micro)):
        about = {
            "relevance": queries.relevance,
            "level": level,
            "fname": np.asarray(fnames, object)[queries.query],
            "label": [labels[c] if c >= 0 else "" for c in queries.label],
            "n_relevant": queries.n_relevant,
        }
        for protocol in protocols.NAMED:
            of_query = {column(*key): values for key, values in queries.scores(protocol).items()}
            parts.append(pd.DataFrame({"protocol": protocol, **about, **of_query}))
    return pd.concat(parts, ignore_index=True)


def column(metric: str, n: int | None) -> str:
    """Column of one query's score of a metric.

    Examples
    --------
    >>> column("MAP", 15), column("MR1", None)
    ('AP@15', 'R1')
    """
    return "R1" if n is None else f"{metric.removeprefix('M')}@{n}"


def read_queries(
    table: pd.DataFrame, fnames: Sequence[str], labels: Sequence[str], *, relevance: str = "class"
) -> tuple[PerQuery, PerQuery]:
    """Per-query results (class_wise, micro) from the table of `queries_table`, without further measures.

    Parameters
    ----------
    table : pd.DataFrame
    fnames, labels : sequence of str
        They number the queries and the classes. Queries by other clips are left out.
    relevance : str
        Name of the rule of what counts.

    Raises
    ------
    ValueError
        If the table has a class that isn't among the labels, or no queries by this rule.
    """
    row_of = {fname: i for i, fname in enumerate(fnames)}
    column_of = {"": -1, **{label: i for i, label in enumerate(labels)}}
    unknown = sorted(set(table["label"]) - set(column_of))
    if unknown:
        raise ValueError(f"queries of class {unknown[0]!r}, which is not among the {len(labels)} labels")
    if relevance not in set(table["relevance"]):
        available = ", ".join(map(repr, table["relevance"].unique()))
        raise ValueError(f"no queries by relevance {relevance!r}: the table has {available}")
    table = table[(table["protocol"] == protocols.STANDARD.name) & (table["relevance"] == relevance)]
    table = table[table["fname"].isin(list(row_of))]
    cutoffs = [int(name[3:]) for name in table if name.startswith("AP@")]
    found = []
    for level in ("class", "micro"):
        own = table[table["level"] == level]
        n_relevant = own["n_relevant"].to_numpy()
        sums = {
            n: np.nan_to_num(own[f"AP@{n}"].to_numpy() * np.maximum(np.minimum(n, n_relevant), 1))
            for n in cutoffs
        }
        found.append(
            PerQuery(
                own["fname"].map(row_of).to_numpy(int),
                own["label"].map(column_of).to_numpy(int),
                n_relevant,
                sums,
                np.nan_to_num(own["R1"].to_numpy(float)).astype(int),
                any_class=level == "micro",
                counted_up_to=max(cutoffs) if level == "micro" else None,
                relevance=relevance,
            )
        )
    return found[0], found[1]
