"""How sure the scores are: bootstrap intervals, paired tests, and whether a ranking of systems would stand.

All of it draws the queries anew, and leaves the corpus as it is. The unit that is drawn is a clip with all
its queries or, where `groups` are given, all clips of one group, such as an uploader: clips of one origin are
alike, so that drawing them one by one promises too much.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.evaluation import protocols
from sss_lib.evaluation.paired import Paired, holm, macro_difference, paired_bootstrap, paired_permutation
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Key, Scored
from sss_lib.evaluation.resampling import Design, Means, require_options, tails
from sss_lib.evaluation.summary import summarise

__all__ = [
    "Paired",
    "Results",
    "bootstrap_intervals",
    "compare",
    "holm",
    "leaderboard",
    "losses",
    "macro_difference",
    "paired_bootstrap",
    "paired_permutation",
    "summary",
]

Results = tuple[Scored, Scored]
"""Class-wise and micro per-query results, from `scoring.per_query` or `queries.read_queries`."""


def bootstrap_intervals(
    class_wise: Scored,
    micro: Scored,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Percentile bootstrap intervals of every mean that `metrics.summarise` gives.

    Each draw takes as many units as there are, with replacement. The mean of g drawn units varies less than
    that of g new ones, and with few units much less: a class's draws are spread about its mean by
    sqrt(g / (g - 1)) to mend that (Hesterberg 2015 on narrowness bias). A class that a draw misses keeps its
    mean, so that an interval is about the score that it belongs to.

    Parameters
    ----------
    class_wise, micro : Queries
        From `metrics.per_query`.
    labels, families, protocol
        As in `metrics.summarise`.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Group of each clip, from `relevance.group_codes`.
    n_draws : int
    confidence : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    pd.DataFrame
        Columns metric, n, level, name, ci_low, ci_high. The ends are nan where all queries are of one unit:
        nothing tells how another would have done. In means over classes such a class borrows the spread of
        units in the other classes; they are nan if fewer than a quarter of the classes have two units. With
        classes of one to four units macro intervals hold the truth in 92 to 96 % of simulated cases, but in
        75 to 90 % where there are few units and each does alike in all its classes.
    """
    require_options(n_draws, confidence)
    design = Design(class_wise, micro, labels, families, groups)
    weights = design.drawn_weights(n_draws, seed)
    lowest = {"MR1": protocols.named(protocol).rank_base}
    rows = []
    for key, scores in _both(class_wise, micro, protocol).items():
        means = Means(design, scores)
        ends, _ = means.interval(weights, confidence)
        ends = np.clip(ends, lowest.get(key[0], 0), np.inf if key[0] == "MR1" else 1)
        found = zip(design.levels, means.observed, *ends, strict=True)
        rows += [(*key, *level, *interval) for level, value, *interval in found if np.isfinite(value)]
    columns = ["metric", "n", "level", "name", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def summary(
    class_wise: Scored,
    micro: Scored,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores with their 95 % intervals: `metrics.summarise` and `bootstrap_intervals` side by side.

    Returns
    -------
    pd.DataFrame
        As `metrics.summarise`, with ci_low and ci_high over queries and, if groups are given, group_ci_low
        and group_ci_high over groups (nan if not).
    """
    of = (class_wise, micro, labels, families)
    options: dict[str, Any] = {"protocol": protocol, "n_draws": n_draws, "seed": seed}
    keys = ["metric", "n", "level", "name"]
    table = summarise(*of, protocol=protocol)
    table = table.merge(bootstrap_intervals(*of, **options), on=keys, validate="one_to_one")
    if groups is None:
        return table.assign(group_ci_low=np.nan, group_ci_high=np.nan)
    by_group = bootstrap_intervals(*of, **options, groups=groups)
    by_group = by_group.rename(columns={end: f"group_{end}" for end in ("ci_low", "ci_high")})
    return table.merge(by_group, on=keys, validate="one_to_one")


def compare(
    results_a: Results,
    results_b: Results,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    protocol: str | Protocol = "standard",
    groups: np.ndarray | None = None,
    n_draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Every mean of two systems on the same queries: the difference, its interval, and two tests.

    Parameters
    ----------
    results_a, results_b : pairs of Queries
        Of the same queries in the same order.
    labels, families, protocol, groups, n_draws, confidence, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    pd.DataFrame
        metric, n, level, name, a, b, difference (a - b), ci_low, ci_high, p_bootstrap, and p of the
        permutation test: in each draw, every unit's two systems change places or not. Correct it with `holm`
        before looking for the smallest. The interval and p_bootstrap are nan as in `bootstrap_intervals`;
        of few queries trust p alone (see `Paired`).

    Raises
    ------
    ValueError
        If the queries are not the same.
    """
    require_options(n_draws, confidence)
    _require_same_queries([results_a, results_b])
    design = Design(*results_a, labels, families, groups)
    weights, signs = design.drawn_weights(n_draws, seed), design.drawn_signs(n_draws, seed)
    of_a, of_b = _both(*results_a, protocol), _both(*results_b, protocol)
    rows = []
    for key in of_a:
        answered = np.isfinite(of_a[key] - of_b[key])
        a, b = (Means(design, np.where(answered, scores[key], np.nan)) for scores in (of_a, of_b))
        difference = Means(design, of_a[key] - of_b[key])
        ends, p = difference.interval(weights, confidence)
        estimates = (a.observed, b.observed, difference.observed, *ends, p)
        found = zip(design.levels, *estimates, difference.permutation_p(signs), strict=True)
        rows += [(*key, *level, *values) for level, *values in found if np.isfinite(values[0])]
    columns = [
        "metric",
        "n",
        "level",
        "name",
        "a",
        "b",
        "difference",
        "ci_low",
        "ci_high",
        "p_bootstrap",
        "p",
    ]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


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
    """What each system loses by another rule of what counts, such as without the query's own uploader.

    Leaving clips out also shortens the corpus: a score by chance rises a little (`floors.chance` says by how
    much), so that a loss is rather too small than too large.

    Parameters
    ----------
    systems : mapping of str to pair of Results
        Of the same queries, by the first rule and by the second. A query that has an answer by one of them
        alone is left out of both, so that both are means of the same queries.
    labels, metric, n, level, protocol, groups, n_draws, seed
        As in `leaderboard`.

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
        table = compare(first, second, labels, **options)
        of_n = table["n"].isna() if n is None else table["n"] == n
        found = table[(table["metric"] == metric) & of_n.fillna(False) & (table["level"] == level)]
        if (metric, n) not in first[0].scores(protocol) or level not in ("macro", "micro"):
            raise ValueError(f"{system} has no one score with metric={metric!r}, n={n}, level={level!r}")
        values = found[["a", "b", "difference", "ci_low", "ci_high", "p"]].to_numpy().tolist()
        rows.append((system, *(values[0] if values else [np.nan] * 6)))  # none: no query has both answers
    return pd.DataFrame(rows, columns=["system", *rules, "loss", "ci_low", "ci_high", "p"])


def leaderboard(
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
    """Systems from best to worst, and how far the order would stand with other queries of the same kind.

    Parameters
    ----------
    systems : mapping of str to pair of Queries
        Of the same queries in the same order.
    labels : list of str
    metric, n : str, int or None
        ("MAP", 15) or ("MR1", None): of MR1 the smallest is best.
    level : str
        "macro" or "micro".
    protocol, groups, n_draws, confidence, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    pd.DataFrame
        system, value, rank; rank_low and rank_high, between which its rank is in that share of the draws;
        share_first; difference from the best system, p of the permutation test against it, and p_holm,
        corrected for so many comparisons. The last three are nan for the best; the ranks in draws where
        `bootstrap_intervals` has none.
    """
    require_options(n_draws, confidence)
    _require_same_queries(list(systems.values()))
    design = Design(*next(iter(systems.values())), labels, None, groups)
    if (level, "all") not in design.levels or level == "class":
        raise ValueError(f"level {level!r} has no leaderboard: use macro or micro")
    at = design.levels.index((level, "all"))
    scored = {name: _both(*results, protocol) for name, results in systems.items()}
    if (metric, n) not in (known := next(iter(scored.values()))):
        there = ", ".join(f"({a!r}, {b})" for a, b in known)
        raise ValueError(f"metric={metric!r}, n={n} was not scored: use one of {there}")
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


def _both(class_wise: Scored, micro: Scored, protocol: str | Protocol) -> dict[Key, np.ndarray]:
    """Scores of the class-wise queries and then of the micro ones, by metric and cutoff."""
    of_micro = micro.scores(protocol)
    return {k: np.concatenate([v, of_micro[k]]) for k, v in class_wise.scores(protocol).items()}


def _require_same_queries(systems: list[Results]) -> None:
    for class_wise, micro in systems[1:]:
        for own, first in zip((class_wise, micro), systems[0], strict=True):
            same = np.array_equal(own.query, first.query) and np.array_equal(own.label, first.label)
            if not same:
                raise ValueError(
                    f"systems with {len(first.query)} and {len(own.query)} queries are not paired: "
                    "take the queries of the clips that all of them have"
                )
