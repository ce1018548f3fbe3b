"""Comparisons of systems on the same queries: tables of differences and losses, and the stability of ranks.

The queries are resampled as in `intervals`; `paired` has the tests of two lists of scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.evaluation.paired import holm
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Key, Scored
from sss_lib.evaluation.resampling import Design, Means, require_options, scores_of_both, tails

Results = tuple[Scored, Scored]
"""Class-wise and micro per-query results, from `scoring.per_query` or `queries.read_queries`."""

MEANS = ("macro", "macro_distinct", "micro")
"""Levels with one mean a system."""


def compare(
    results_a: Results,
    results_b: Results,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    only: Key | None = None,
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Every mean of two systems on the same queries: difference, interval, and two tests.

    Parameters
    ----------
    results_a, results_b : pairs of Queries
        Of the same queries in the same order.
    only : tuple of metric and cutoff, optional
        What to compare, such as ("MAP", 15); by default every metric.
    labels, families, protocol, groups, n_draws, confidence, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    pd.DataFrame
        metric, n, level, name, a, b, difference (a - b), ci_low, ci_high, p_bootstrap, and p of the
        permutation test, uncorrected (see `holm`). The interval and p_bootstrap are nan as in
        `bootstrap_intervals`; with few queries only p holds (see `Paired`).

    Raises
    ------
    ValueError
        If the queries are not the same.
    """
    require_options(n_draws, confidence)
    _require_same_queries([results_a, results_b])
    design = Design(*results_a, labels, families, groups)
    weights, signs = design.drawn_weights(n_draws, seed), design.drawn_signs(n_draws, seed)
    of_a, of_b = scores_of_both(*results_a, protocol), scores_of_both(*results_b, protocol)
    rows = []
    for key in of_a if only is None else {only} & of_a.keys():
        answered = np.isfinite(of_a[key] - of_b[key])
        a, b = (Means(design, np.where(answered, scores[key], np.nan)) for scores in (of_a, of_b))
        difference = Means(design, of_a[key] - of_b[key])
        ends, p = difference.interval(weights, confidence)
        estimates = (a.observed, b.observed, difference.observed, *ends, p)
        found = zip(design.levels, *estimates, difference.permutation_p(signs), strict=True)
        rows += [(*key, *level, *values) for level, *values in found if np.isfinite(values[0])]
    values = ["a", "b", "difference", "ci_low", "ci_high", "p_bootstrap", "p"]
    columns = ["metric", "n", "level", "name", *values]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def macro(results_a: Results, results_b: Results, labels: list[str], n: int, **of: Any) -> dict:
    """Row of the macro MAP@n in `compare`: a, b, difference, ci_low, ci_high, p; nan if no query has answers.

    That is so by a rule without the own uploader where each class is by one.
    """
    table = compare(results_a, results_b, labels, only=("MAP", n), **of)
    found = table[table["level"] == "macro"]
    columns = ["a", "b", "difference", "ci_low", "ci_high", "p"]
    return found[columns].iloc[0].to_dict() if len(found) else dict.fromkeys(columns, np.nan)


def losses(
    systems: Mapping[str, tuple[Results, Results]],
    labels: list[str],
    *,
    metric: str = "MAP",
    n: int | None = 15,
    level: str = "macro",
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Loss of each system under another relevance rule, such as without the query's own uploader.

    Excluding clips also shortens the corpus, and chance rises a little (see `bounds.chance`): the loss is
    rather underestimated.

    Parameters
    ----------
    systems : mapping of str to pair of Results
        Of the same queries, by the first rule and by the second. A query that has an answer by one of them
        alone is left out of both, so that both are means of the same queries.
    labels, metric, n, level, protocol, groups, n_draws, seed
        As in `rank_stability`.

    Returns
    -------
    pd.DataFrame
        system, a column for each of the two rules, loss (the first less the second), its 95 % interval ci_low
        and ci_high, and p of the permutation test; in the order of the systems. All nan where no query has an
        answer by both rules.
    """
    rows: list[tuple] = []
    rules: tuple[str, ...] = ()
    for system, (first, second) in systems.items():
        rules = first[0].relevance, second[0].relevance
        options: dict[str, Any] = {"protocol": protocol, "groups": groups, "n_draws": n_draws, "seed": seed}
        table = compare(first, second, labels, only=(metric, n), **options)
        found = table[table["level"] == level]
        if (metric, n) not in first[0].scores(protocol) or level not in MEANS:
            raise ValueError(f"{system} has no one score with metric={metric!r}, n={n}, level={level!r}")
        values = found[["a", "b", "difference", "ci_low", "ci_high", "p"]].to_numpy().tolist()
        rows.append((system, *(values[0] if values else [np.nan] * 6)))  # none: no query has both answers
    return pd.DataFrame(rows, columns=["system", *rules, "loss", "ci_low", "ci_high", "p"])


def rank_stability(
    systems: Mapping[str, Results],
    labels: list[str],
    *,
    metric: str = "MAP",
    n: int | None = 15,
    level: str = "macro",
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Systems from best to worst, and how stable their ranks are under resampled queries.

    Parameters
    ----------
    systems : mapping of str to pair of Queries
        Of the same queries in the same order.
    labels : list of str
    metric, n : str, int or None
        ("MAP", 15) or ("MR1", None), of which the smallest is best.
    level : str
        Of `MEANS`.
    protocol, groups, n_draws, confidence, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    pd.DataFrame
        system, value, rank; rank_low and rank_high, the interval of its rank; share_first, the share of the
        draws in which it ranks first; difference from the best system, p of the permutation test against it,
        and p_holm. The last three are nan for the best. The ranks of draws are nan where
        `bootstrap_intervals` has no interval.
    """
    require_options(n_draws, confidence)
    _require_same_queries(list(systems.values()))
    design = Design(*next(iter(systems.values())), labels, None, groups)
    if level not in MEANS:
        raise ValueError(f"level {level!r} has no ranking of systems: use one of {', '.join(MEANS)}")
    at = design.levels.index((level, "all"))
    scored = {name: scores_of_both(*results, protocol) for name, results in systems.items()}
    if (metric, n) not in (known := next(iter(scored.values()))):
        scored_ones = ", ".join(f"({a!r}, {b})" for a, b in known)
        raise ValueError(f"metric={metric!r}, n={n} was not scored: use one of {scored_ones}")
    scores = {name: of_system[metric, n] for name, of_system in scored.items()}
    answered = np.isfinite(sum(scores.values()))
    weights, signs = design.drawn_weights(n_draws, seed), design.drawn_signs(n_draws, seed)
    means = {name: Means(design, np.where(answered, values, np.nan)) for name, values in scores.items()}
    table = pd.DataFrame({"system": list(systems), "value": [m.observed[at] for m in means.values()]})
    worse = 1 if metric == "MR1" else -1
    drawn = worse * np.array([m.drawn(weights)[at] for m in means.values()])
    ranks = 1 + (drawn[:, None, :] > drawn[None, :, :]).sum(axis=1)
    low, high = np.percentile(ranks, tails(confidence), axis=1, method="inverted_cdf").astype(int)
    table = table.assign(rank_low=low, rank_high=high, share_first=(ranks == 1).mean(axis=1))
    if not all(m.has_spread[at] for m in means.values()):
        table[["rank_low", "rank_high", "share_first"]] = np.nan
    table = table.iloc[np.argsort(worse * table["value"], kind="stable")].reset_index(drop=True)
    table.insert(2, "rank", (worse * table["value"]).rank(method="min").astype(int))
    best = table["system"].iloc[0]
    table["difference"] = table["value"] - table["value"].iloc[0]
    table["p"] = [
        np.nan if name == best else Means(design, scores[name] - scores[best]).permutation_p(signs)[at]
        for name in table["system"]
    ]
    table.loc[0, "difference"] = np.nan
    table["p_holm"] = holm(table["p"])
    return table


def drawn_scores(
    systems: Mapping[str, Results],
    labels: list[str],
    *,
    metric: str = "MAP",
    n: int | None = 15,
    level: str = "macro",
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """Score of each system, and in each bootstrap draw: float64 [n_systems, 1 + n_draws].

    Parameters
    ----------
    systems, labels, metric, n, level, protocol, groups, n_draws, seed
        As in `rank_stability`. By one seed, measures of the same queries are of the same draws.
    """
    require_options(n_draws)
    _require_same_queries(list(systems.values()))
    design = Design(*next(iter(systems.values())), labels, None, groups)
    at, weights = design.levels.index((level, "all")), design.drawn_weights(n_draws, seed)
    scores = [scores_of_both(*results, protocol)[metric, n] for results in systems.values()]
    answered = np.isfinite(sum(scores))
    means = [Means(design, np.where(answered, of_system, np.nan)) for of_system in scores]
    return np.array([np.append(one.observed[at], one.drawn(weights)[at]) for one in means])


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau of two orders of the same systems, with its interval.

    Attributes
    ----------
    tau : float
        1 for the same order, -1 for the reverse; nan where all are equal.
    ci_low, ci_high : float
    """

    tau: float
    ci_low: float
    ci_high: float


def rank_agreement(one: np.ndarray, other: np.ndarray, *, confidence: float = 0.95) -> Agreement:
    """Whether two measures, or two collections, put the same systems in the same order: Kendall's tau-b.

    Draws add noise to both orders, so that most of their taus lie below the observed one, and its interval
    reaches rather too low.

    Parameters
    ----------
    one, other : np.ndarray [shape=(n_systems, 1 + n_draws)]
        From `drawn_scores`, larger is better. Of two collections with seeds of their own.
    confidence : float

    Examples
    --------
    Of three pairs of systems one is turned: (2 - 1) / 3.

    >>> rank_agreement(np.array([[1, 1], [2, 2], [3, 3]]), np.array([[1, 1], [3, 3], [2, 2]])).tau
    0.3333333333333333

    References
    ----------
    Kendall (1945), The treatment of ties in ranking problems, Biometrika 33.
    """
    if one.shape != other.shape or one.ndim != 2 or len(one) < 2 or one.shape[1] < 2:
        raise ValueError(f"draws of shapes {one.shape} and {other.shape}: give both of the same systems, two")
    first, second = np.triu_indices(len(one), 1)
    signs = [np.sign(values[first] - values[second]) for values in (one, other)]
    untied = np.sqrt((signs[0] ** 2).sum(axis=0) * (signs[1] ** 2).sum(axis=0))
    tau = np.divide(
        (signs[0] * signs[1]).sum(axis=0), untied, out=np.full(len(untied), np.nan), where=untied > 0
    )
    drawn = tau[1:][np.isfinite(tau[1:])]
    ends = np.percentile(drawn, tails(confidence)).tolist() if len(drawn) else [np.nan] * 2
    return Agreement(float(tau[0]), *ends)


def _require_same_queries(systems: list[Results]) -> None:
    for class_wise, micro in systems[1:]:
        for own, first in zip((class_wise, micro), systems[0], strict=True):
            same = np.array_equal(own.query, first.query) and np.array_equal(own.label, first.label)
            if not same:
                raise ValueError(
                    f"systems with {len(first.query)} and {len(own.query)} queries are not paired: "
                    "take the queries of the clips that all of them have"
                )
