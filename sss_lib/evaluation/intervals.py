"""Bootstrap intervals of one system's scores.

Each draw resamples the queries and leaves the corpus as it is. The unit that is drawn is a clip with all its
queries or, where `groups` are given, all clips of one group, such as an uploader: clips of one origin are
alike, and drawing them one by one would give intervals that are too narrow.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sss_lib.evaluation import protocols
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Key, Scored
from sss_lib.evaluation.resampling import Design, Means, design_of, require_options, scores_of_both
from sss_lib.evaluation.summary import summarise


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

    Each draw takes as many units as there are, with replacement, and the ends are the percentiles
    100 (1 - confidence) / 2 and 100 (1 + confidence) / 2 of the draws' means. `Means` says how the draws of
    small classes are widened. A class that a draw misses keeps its mean.

    Parameters
    ----------
    class_wise, micro : PerQuery or GradedPerQuery
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
        Columns metric, n, level, name, ci_low, ci_high. The ends are nan where all queries are of one unit,
        and for means of which less than `MIN_CLASS_SHARE` of the classes have two units. With classes of one
        to four units 95 % macro intervals cover the truth in 92 to 96 % of simulated cases, but in 75 to 90 %
        where there are few units and each does alike in all its classes.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
    """
    keys, design, values, ends = _ends(
        class_wise, micro, labels, families, protocol, groups, n_draws, confidence, seed
    )
    rows = [
        (*key, *level, *interval)
        for key, own, of_key in zip(keys, values, ends, strict=True)
        for level, value, *interval in zip(design.levels, own, *of_key, strict=True)
        if np.isfinite(value)
    ]
    columns = ["metric", "n", "level", "name", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def _ends(
    class_wise: Scored,
    micro: Scored,
    labels: list[str],
    families: Mapping[str, str] | None,
    protocol: str | Protocol,
    groups: np.ndarray | None,
    n_draws: int,
    confidence: float,
    seed: int,
) -> tuple[list[Key], Design, np.ndarray, np.ndarray]:
    """Metrics and their design; means [n_metrics, n_levels], and ends [n_metrics, 2, n_levels]."""
    require_options(n_draws, confidence)
    design = design_of(class_wise, micro, labels, families, groups)
    weights = design.drawn_weights(n_draws, seed)
    lowest = {"MR1": protocols.named(protocol).rank_base}
    scores = scores_of_both(class_wise, micro, protocol)
    values, ends = np.empty((len(scores), len(design.levels))), np.empty((len(scores), 2, len(design.levels)))
    for i, (key, own) in enumerate(scores.items()):
        means = Means(design, own)
        most = np.inf if key[0] == "MR1" else 1
        values[i], ends[i] = (
            means.observed,
            np.clip(means.ends(weights, confidence), lowest.get(key[0], 0), most),
        )
    return list(scores), design, values, ends


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
    """Scores with their 95 % intervals: `metrics.summarise` joined with `bootstrap_intervals`.

    Parameters
    ----------
    class_wise, micro, labels, families, protocol, groups, n_draws, seed
        As in `bootstrap_intervals`.

    Returns
    -------
    pd.DataFrame
        As `metrics.summarise`, with ci_low and ci_high over queries and, if groups are given, group_ci_low
        and group_ci_high over groups (nan if not).
    """
    of = (class_wise, micro, labels, families)
    table = summarise(*of, protocol=protocol)
    for prefix, given in {"": None, **({} if groups is None else {"group_": groups})}.items():
        _, _, values, ends = _ends(*of, protocol, given, n_draws, 0.95, seed)
        found = np.isfinite(values)  # both are in the order of the metrics and levels
        assert np.allclose(values[found], table["value"]), "the intervals are of other means"
        table = table.assign(
            **{f"{prefix}{end}": ends[:, i][found] for i, end in enumerate(("ci_low", "ci_high"))}
        )
    return table if groups is not None else table.assign(group_ci_low=np.nan, group_ci_high=np.nan)
