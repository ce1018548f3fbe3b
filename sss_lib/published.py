"""What Araz et al. (CBMI 2024) published, and how what is measured here compares."""

from pathlib import Path

import pandas as pd

from sss_lib import models, tables

PAPER = Path(__file__).parent.parent / "data" / "paper"
"""The published tables, with their source."""
MEASURES = {
    ("MAP", 15): ("map_at_15", 0.005),
    ("MAP", 150): ("map_at_150", 0.005),
    ("MR1", None): ("mr1", 0.5),
}
"""Column of Table II for each measure, and half a unit of its last printed digit."""

HEADINGS = {
    "modality": "Modality",
    "objective": "Objective",
    "n_parameters": "Parameters",
    "data_size": "Data",
    "dim": "Dim",
    "map_at_15": "MAP@15",
    "map_at_150": "MAP@150",
    "mr1": "MR1",
}
"""What the columns of Table II are called in print."""


def table1() -> pd.DataFrame:
    """Table I: of each model with several variations the one that found most; a row a model.

    Examples
    --------
    >>> table1().loc["CAV-MAE", "variation"]
    'as_46.6'
    """
    return pd.read_csv(PAPER / "table1.csv", index_col="model")


def table2() -> pd.DataFrame:
    """Table II: each model's best system on FSD50K's eval set; a row a model, as the paper names it.

    Examples
    --------
    >>> table2().loc["LAION-CLAP", ["map_at_15", "mr1"]].tolist()
    [0.53, 8.0]
    """
    return pd.read_csv(PAPER / "table2.csv", index_col="model", keep_default_na=False)


def figure2() -> pd.DataFrame:
    """Fig. 2: MAP@15 by family; a row a model, a column a family, in the order of Table II.

    Examples
    --------
    >>> figure2().shape
    (14, 6)
    """
    return pd.read_csv(PAPER / "figure2.csv", index_col="model")


def systems() -> pd.DataFrame:
    """Name here of each of the paper's models (system), and what is known to differ (deviation)."""
    return pd.read_csv(PAPER / "systems.csv", index_col="model", keep_default_na=False)


def check(scores: pd.DataFrame) -> pd.DataFrame:
    """Measured against published numbers, for every model of the paper that has scores.

    Each model counts with its best system by macro MAP@15 under the paper's protocol. A number agrees if the
    published one, give or take its rounding, lies in the measured one's 95 % interval.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores on FSD50K's eval set, under the paper's protocol among others.

    Returns
    -------
    pd.DataFrame
        model, system, metric, measured, ci_low, ci_high, published, difference, verdict ("agrees", "higher"
        or "lower"), known deviations. Empty if no model of the paper was run.
    """
    columns = ["model", "system", "metric", "measured", "ci_low", "ci_high", "published", "difference"]
    rows = []
    printed, ours = table2(), systems()
    for name, about in ours.iterrows():
        for system in (about["system"], f"{about['system']}+paper"):
            own = scores[scores["model"] == system]
            if own.empty:
                continue
            best = tables.of_systems(own, tables.best_systems(own, protocol="paper"))
            for (metric, n), (column, rounding) in MEASURES.items():
                (row,) = tables.select(best, metric, n, protocol="paper").to_dict("records")
                published = float(printed.loc[name, column])
                if published - rounding > row["ci_high"]:
                    verdict = "lower"
                elif published + rounding < row["ci_low"]:
                    verdict = "higher"
                else:
                    verdict = "agrees"
                measure = metric if n is None else f"{metric}@{n}"
                numbers = row["value"], row["ci_low"], row["ci_high"], published, row["value"] - published
                spec = models.spec(system)
                same = system.endswith("+paper") or not spec.paper
                known = "; ".join(filter(None, ["" if same else spec.paper_differs, about["deviation"]]))
                rows.append([name, system, measure, *numbers, verdict, known])
    return pd.DataFrame(rows, columns=[*columns, "verdict", "known deviations"])
