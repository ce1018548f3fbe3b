"""What the judgements say: how far judges agree, which system they prefer, whether AP tells the same."""

import numpy as np
import pandas as pd

from sss_lib.listening.study import Study, System


def krippendorff_alpha(values: np.ndarray, *, level: str = "ordinal") -> float:
    """Krippendorff's alpha: 1 for full agreement, 0 for what chance gives, with missing values.

    Parameters
    ----------
    values : np.ndarray [shape=(n_judges, n_units), dtype=float]
        nan where a judge did not judge.
    level : str
        "nominal" or "ordinal": how far apart two values are.

    Returns
    -------
    float
        nan where no unit has two judges, or no value differs from the others.

    Raises
    ------
    ValueError
        If the level is unknown.

    Notes
    -----
    Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.

    Examples
    --------
    >>> krippendorff_alpha(np.array([[0.0, 1.0, 2.0, np.nan], [0.0, 1.0, 2.0, 3.0]]))
    1.0
    """
    if level not in ("nominal", "ordinal"):
        raise ValueError(f"level {level!r} is unknown: use nominal or ordinal")
    found = np.unique(values[np.isfinite(values)])
    # How often each value stands in each unit; units with one judge tell nothing of agreement.
    counts = (values[:, :, None] == found).sum(axis=0)
    counts = counts[counts.sum(axis=1) > 1]
    of_value = counts.sum(axis=0)
    n = of_value.sum()
    if level == "nominal":
        distance = 1.0 - np.eye(len(found))
    else:
        # Between two ranks: all values from one to the other, the two ends half.
        middle = np.cumsum(of_value) - of_value / 2
        distance = np.square(np.subtract.outer(middle, middle))
    pairs_in_unit = counts[:, :, None] * (counts[:, None, :] - np.eye(len(found), dtype=int))
    observed = (pairs_in_unit / (counts.sum(axis=1) - 1)[:, None, None]).sum(axis=0)
    expected = np.outer(of_value, of_value) - np.diag(of_value)
    disagreement = (expected * distance).sum()
    if not disagreement:
        return float("nan")
    return float(1 - (n - 1) * (observed * distance).sum() / disagreement)


def agreement(judgements: pd.DataFrame) -> pd.DataFrame:
    """How far judges agree, by kind of judgement.

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
    """Wilson's 95 % interval of a share of n trials.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0.5, 10)]
    [0.237, 0.763]
    """
    centre, square = share + z**2 / (2 * n), share * (1 - share) / n + z**2 / (4 * n**2)
    scale = 1 + z**2 / n
    return (centre - z * square**0.5) / scale, (centre + z * square**0.5) / scale


def preferences(judgements: pd.DataFrame) -> pd.DataFrame:
    """How often the first of two systems is preferred, ties being half; Wilson's interval.

    The trials are the queries: several judges of one query are averaged first, not being independent.

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
    """Mean grade of each system's first n results, and AP, for each query whose results are all graded.

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
    """Spearman's rank correlation of grades with AP, over all and within each system.

    Parameters
    ----------
    scores : pd.DataFrame
        From `judged_scores`.

    Returns
    -------
    pd.DataFrame
        system ("all" for all), n, rho; nan where fewer than three, or nothing varies.
    """
    groups = [("all", scores), *scores.groupby("system", sort=False)]
    rows = []
    for name, group in groups:
        varies = len(group) > 2 and (np.ptp(group[["grade", "AP"]].to_numpy(), axis=0) > 0).all()
        rho = np.corrcoef(group["grade"].rank(), group["AP"].rank())[0, 1] if varies else np.nan
        rows.append((name, len(group), rho))
    return pd.DataFrame(rows, columns=["system", "n", "rho"])
