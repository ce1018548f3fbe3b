"""Statistics of judgements: agreement of judges, preference between systems, correlation with AP."""

import numpy as np
import pandas as pd

from sss_lib.listening.study import Study, System


def krippendorff_alpha(
    values: np.ndarray,
    *,
    level: str = "ordinal",
    judges: np.ndarray | None = None,
    units: np.ndarray | None = None,
) -> float:
    """Krippendorff's alpha: 1 for full agreement, 0 for agreement by chance; values may be missing.

    alpha = 1 - D_o / D_e, with the observed and the expected disagreement. Of n values in units with at least
    two, let n_c be the number of values c, o_ck the number of pairs of c and k within a unit, each
    weighted by 1 / (values of the unit - 1), and d_ck the squared distance of c and k. Then

        alpha = 1 - (n - 1) sum_ck o_ck d_ck / sum_ck n_c n_k d_ck.

    The distance is 0 or 1 for nominal values; for ordinal ones d_ck = (n_c / 2 + n_(c+1) + ... + n_k / 2)^2.

    Parameters
    ----------
    values : np.ndarray [shape=(n_judges, n_units), dtype=float]
        nan where a judge did not judge.
    level : str
        "nominal" or "ordinal": the distance of two values.
    judges, units : np.ndarray, optional
        How often each counts, as drawn by a bootstrap. A judge who is drawn twice is no pair with himself.

    Returns
    -------
    float
        nan if no unit has two judges, or all values are equal.

    Raises
    ------
    ValueError
        If the level is unknown.

    References
    ----------
    Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.

    Examples
    --------
    >>> krippendorff_alpha(np.array([[0.0, 1.0, 2.0, np.nan], [0.0, 1.0, 2.0, 3.0]]))
    1.0
    """
    if level not in ("nominal", "ordinal"):
        raise ValueError(f"level {level!r} is unknown: use nominal or ordinal")
    found = np.unique(values[np.isfinite(values)])
    # Frequency of each value in each unit. Units with one judge say nothing about agreement.
    times = np.ones(len(values)) if judges is None else np.asarray(judges, float)
    once = np.ones(values.shape[1]) if units is None else np.asarray(units, float)
    is_shared = (np.isfinite(values) & (times > 0)[:, None]).sum(axis=0) > 1
    is_value = values[:, is_shared, None] == found
    counts, selves = (np.tensordot(of_judge, is_value, 1) for of_judge in (times, times**2))
    once = once[is_shared]
    of_value = once @ counts
    n = of_value.sum()
    if level == "nominal":
        distance = 1.0 - np.eye(len(found))
    else:
        # The sum from c to k with halved ends is the difference of the middles of the cumulative counts.
        middle = np.cumsum(of_value) - of_value / 2
        distance = np.square(np.subtract.outer(middle, middle))
    pairs_in_unit = counts[:, :, None] * counts[:, None, :] - selves[:, :, None] * np.eye(len(found))
    others = counts.sum(axis=1) - selves.sum(axis=1) / counts.sum(axis=1)  # values of the unit - 1
    observed = (pairs_in_unit * (once / others)[:, None, None]).sum(axis=0)
    expected = np.outer(of_value, of_value)  # d_cc = 0, so that the diagonal needs no correction
    disagreement = (expected * distance).sum()
    if not disagreement:
        return float("nan")
    return float(1 - (n - 1) * (observed * distance).sum() / disagreement)


def agreement(judgements: pd.DataFrame) -> pd.DataFrame:
    """Agreement of judges by kind of judgement.

    Parameters
    ----------
    judgements : pd.DataFrame
        From `Judgements.read`.

    Returns
    -------
    pd.DataFrame
        kind, n_judges, n_shared (judged by two or more), alpha (ordinal for grades, nominal for preferences).
    """
    rows = []
    for kind, level in (("grade", "ordinal"), ("preference", "nominal")):
        own = judgements[judgements["kind"] == kind]
        if own.empty:
            continue
        if kind == "grade":
            unit, value = own["query"] + "\t" + own["clip"], own["grade"].astype(float)
        else:
            unit = own["query"] + "\t" + own["systems"].map("\t".join) + "\t" + own["n"].astype(str)
            value = own["preferred"].map({one: i for i, one in enumerate(sorted(set(own["preferred"])))})
        table = pd.DataFrame({"judge": own["judge"], "unit": unit, "value": value.astype(float)})
        wide = table.pivot_table(index="judge", columns="unit", values="value", aggfunc="last")
        shared = int((wide.notna().sum() > 1).sum())
        alpha = krippendorff_alpha(wide.to_numpy(float), level=level) if shared else np.nan
        rows.append((kind, len(wide), shared, alpha))
    return pd.DataFrame(rows, columns=["kind", "n_judges", "n_shared", "alpha"])


def wilson(share: float, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share p of n trials, 95 % by default.

    Its ends solve |p - x| = z sqrt(x (1 - x) / n) for x.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0.5, 10)]
    [0.237, 0.763]
    """
    centre, square = share + z**2 / (2 * n), share * (1 - share) / n + z**2 / (4 * n**2)
    scale = 1 + z**2 / n
    return (centre - z * square**0.5) / scale, (centre + z * square**0.5) / scale


def preferences(judgements: pd.DataFrame) -> pd.DataFrame:
    """Share of queries in which the first of two systems is preferred, with Wilson's interval; a tie is half.

    Judges of one query are averaged first, as their judgements are not independent.

    Returns
    -------
    pd.DataFrame
        first, second, n_queries, n_judgements, preferred (share of the first), ci_low, ci_high.
    """
    own = judgements[judgements["kind"] == "preference"]
    rows = []
    for (first, second), pair in own.groupby(own["systems"].map(tuple)):
        won = pair["preferred"].map({first: 1.0, second: 0.0, "": 0.5})
        of_query = won.groupby(pair["query"]).mean()
        share, n = float(of_query.mean()), len(of_query)
        rows.append((first, second, n, len(pair), share, *wilson(share, n)))
    names = ["first", "second", "n_queries", "n_judgements", "preferred", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=names)


def judged_scores(judgements: pd.DataFrame, study: Study, systems: list[System], n: int) -> pd.DataFrame:
    """Mean grade of each system's first n results, and AP, for every query whose results are all graded.

    Returns
    -------
    pd.DataFrame
        system, query, grade (mean over the results and judges), AP (at the system's first cutoff, any class).
    """
    own = judgements[judgements["kind"] == "grade"]
    of_clip = (
        own.assign(grade=own["grade"].astype(float)).groupby(["query", "clip"])["grade"].mean().to_dict()
    )
    fnames = study.collection.clips["fname"]
    rows = []
    for system in systems:
        for query in dict.fromkeys(own["query"]):
            results = study.results(system, study.row_of.get(query, -1), n)
            grades = [of_clip.get((query, fnames[row])) for row, _ in results]
            scores = study.scores(system, study.row_of[query]) if results else {}
            if grades and None not in grades and scores:
                rows.append((system.name, query, float(np.mean(grades)), scores.get(system.measures[0])))
    return pd.DataFrame(rows, columns=["system", "query", "grade", "AP"]).dropna()


def correlation(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of grades with AP, over all systems and within each.

    Parameters
    ----------
    scores : pd.DataFrame
        From `judged_scores`.

    Returns
    -------
    pd.DataFrame
        system ("all" for all), n, rho; nan for fewer than three queries, or if grades or AP are constant.
    """
    groups = [("all", scores), *scores.groupby("system", sort=False)]
    rows = []
    for name, group in groups:
        ranks = (
            group[["grade", "AP"]].rank().to_numpy()
        )  # scipy.stats would take longer to import than all else
        varies = len(group) > 2 and (np.ptp(ranks, axis=0) > 0).all()
        rows.append((name, len(group), np.corrcoef(ranks.T)[0, 1] if varies else np.nan))
    return pd.DataFrame(rows, columns=["system", "n", "rho"])
