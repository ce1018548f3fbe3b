"""What the scores of one run say, as tables: overview, conventions, differences, losses, disagreements."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sss_lib.evaluation.queries import Scored
from sss_lib.figures.tables import CEILING, CHANCE, SYSTEM, heading, number, with_interval

LEVELS = ["macro", "micro", "family", "class"]
"""In the order in which they are read."""
BY_CLASS = "class, family, macro"


def overview(scores: pd.DataFrame, *, protocol: str = "standard", relevance: str = "class") -> pd.DataFrame:
    """Scores of one system to read: macro and micro, then families and classes, the best first.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of one system, from `metrics.evaluate` or read from a file.
    protocol, relevance : str

    Returns
    -------
    pd.DataFrame
        level, name, queries, and a column a metric, with intervals in brackets where there are some; of the
        first metric also chance and ceiling, if the scores have them (`bounds.add_bounds`).

    Raises
    ------
    ValueError
        If there are no such scores.
    """
    found = scores[(scores["protocol"] == protocol) & (scores["relevance"] == relevance)]
    if found.empty:
        there = scores[["protocol", "relevance"]].drop_duplicates().to_string(index=False)
        raise ValueError(f"no score with protocol={protocol}, relevance={relevance}; there is\n{there}")
    keys = ["level", "name"]
    if found.duplicated(["metric", "n", *keys]).any():
        raise ValueError("these are scores of more than one system: select one")
    headings = [heading(metric, n) for metric, n in zip(found["metric"], found["n"], strict=True)]
    texts = [with_interval(row) for row in found.to_dict("records")]
    found = found.assign(heading=headings, text=texts)
    columns = list(dict.fromkeys(headings))
    first = found[found["heading"] == columns[0]].set_index(keys)
    wide = found.pivot_table(index=keys, columns="heading", values="text", aggfunc="first")[columns]
    wide.insert(0, "queries", first["n_queries"])
    wide.columns.name = None
    for bound in (name for name in ("chance", "ceiling") if name in first):
        wide[f"{columns[0]} {bound}"] = first[bound].map(number)
    wide = wide.assign(place=wide.index.get_level_values("level").map(LEVELS.index), value=-first["value"])
    return wide.sort_values(["place", "value"], kind="stable").drop(columns=["place", "value"]).reset_index()


def conventions(scores: pd.DataFrame) -> pd.DataFrame:
    """What each kind of score is divided by, or where its ranks begin.

    Returns
    -------
    pd.DataFrame
        protocol, metric, relevance (the rules that have this in common), and what holds by class, family and
        macro, and what for micro.
    """
    found = scores.assign(
        level=np.where(scores["level"] == "micro", "micro", BY_CLASS), by=_convention(scores)
    )
    keys = ["protocol", "metric", "relevance"]
    wide = found.pivot_table(index=keys, columns="level", values="by", aggfunc="first", sort=False)
    wide.columns.name = None
    same = ["protocol", "metric", BY_CLASS, "micro"]
    rules = wide.reset_index().groupby(same, sort=False)["relevance"].agg(", ".join).reset_index()
    return rules[["protocol", "metric", "relevance", BY_CLASS, "micro"]]


def _convention(scores: pd.DataFrame) -> pd.Series:
    ranks = "ranks from " + scores["rank_base"].astype("string")
    return ("over " + scores["denominator"]).where(scores["denominator"] != "", ranks)


def protocol_differences(scores: pd.DataFrame, *, relevance: str = "class") -> pd.DataFrame:
    """Macro and micro scores under both protocols side by side, and the paper's minus the standard's.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of one system under both protocols.
    relevance : str

    Returns
    -------
    pd.DataFrame
        metric, n, level, standard, paper, difference, and both denominators or first ranks.
    """
    found = scores[scores["level"].isin(["macro", "micro"]) & (scores["relevance"] == relevance)].copy()
    found["n"] = found["n"].astype("string").fillna("-")
    found["rule"] = _convention(found)
    keys = ["metric", "n", "level"]
    wide, rules = (
        found.pivot_table(index=keys, columns="protocol", values=values, aggfunc="first")
        for values in ("value", "rule")
    )
    wide = wide.assign(
        difference=wide["paper"] - wide["standard"], by=rules["standard"] + " | " + rules["paper"]
    )
    wide.columns.name = None
    return wide.reset_index()[[*keys, "standard", "paper", "difference", "by"]]


def by_relevance(scores: pd.DataFrame, n: int = 15, *, protocol: str = "standard") -> pd.DataFrame:
    """Macro score of each system by every rule of what counts: MAP@n, or NDCG@n where gains are graded.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of some systems.
    n : int
    protocol : str

    Returns
    -------
    pd.DataFrame
        The columns of `tables.SYSTEM`, and a column a rule. Best system first, between the ceiling and chance
        if the scores have them (`bounds.add_bounds`). Rules differ in the queries that have an answer: what
        leaving out an uploader's clips costs is told by `comparisons.losses`.
    """
    found = scores[(scores["level"] == "macro") & (scores["protocol"] == protocol) & (scores["n"] == n)]
    rules = list(dict.fromkeys(found["relevance"]))
    as_text = {name: found[name].astype("string").fillna("-") for name in SYSTEM}
    by_system = found.assign(**as_text).set_index([*SYSTEM, "relevance"])["value"]
    wide = by_system.unstack()[rules]  # noqa: PD010 - pivot_table would drop a system whose scores are nan
    wide.columns.name = None
    wide = wide.reset_index().sort_values("class", ascending=False, kind="stable")
    first = found.drop_duplicates("relevance").set_index("relevance")
    bounds = {
        column: pd.DataFrame([dict.fromkeys(SYSTEM, "-") | {"model": name} | first[column].to_dict()])
        for name, column in ((CEILING, "ceiling"), (f"{CHANCE} (expected)", "chance"))
        if column in first
    }
    return pd.concat([bounds.get("ceiling"), wide, bounds.get("chance")], ignore_index=True)


def disagreements(
    results_a: tuple[Scored, Scored],
    results_b: tuple[Scored, Scored],
    fnames: Sequence[str],
    labels: Sequence[str],
    *,
    metric: str = "MAP",
    n: int | None = 15,
    level: str = "class",
    protocol: str = "standard",
) -> pd.DataFrame:
    """Queries of two systems, those that they disagree on most first.

    Parameters
    ----------
    results_a, results_b : pairs of Queries
        Class-wise and micro, from `metrics.per_query` or `metrics.read_queries`.
    fnames, labels : sequence of str
    metric, n : str, int or None
        ("MAP", 15) or ("MR1", None).
    level : str
        "class" or "micro".
    protocol : str

    Returns
    -------
    pd.DataFrame
        fname, label ("" for micro), a, b, gap (a - b: of AP above 0 where the first is better, of R1 below).

    Raises
    ------
    ValueError
        If the level has no queries, or the metric wasn't scored.
    """
    if level not in ("class", "micro"):
        raise ValueError(f"level {level!r} has no queries: use class or micro")
    of_query = [_scores(results[level == "micro"], metric, n, protocol) for results in (results_a, results_b)]
    both = of_query[0].merge(of_query[1], on=["query", "label"], suffixes=("_a", "_b"))
    about: Mapping[str, object] = {
        "fname": [fnames[i] for i in both["query"]],
        "label": [labels[c] if c >= 0 else "" for c in both["label"]],
        "a": both["score_a"],
        "b": both["score_b"],
        "gap": both["score_a"] - both["score_b"],
    }
    table = pd.DataFrame(about)
    return table.iloc[np.argsort(-table["gap"].abs(), kind="stable")].reset_index(drop=True)


def _scores(queries: Scored, metric: str, n: int | None, protocol: str) -> pd.DataFrame:
    scores = queries.scores(protocol)
    if (metric, n) not in scores:
        there = ", ".join(map(str, scores))
        raise ValueError(f"metric={metric!r}, n={n} was not scored: use one of {there}")
    columns = {"query": queries.query, "label": queries.label, "score": scores[metric, n]}
    return pd.DataFrame(columns).dropna()
