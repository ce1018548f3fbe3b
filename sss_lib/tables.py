"""Scores to tables that a person reads."""

import numpy as np
import pandas as pd

from sss_lib import models

SYSTEM = ["model", "aggregation", "scale", "n_components", "normalize", "pre_normalize", "search"]
"""The columns that tell one system from another."""

CHANCE = "Chance"


def select(
    scores: pd.DataFrame,
    metric: str,
    n: int | None = None,
    *,
    level: str = "macro",
    protocol: str = "standard",
) -> pd.DataFrame:
    """Rows of one metric at one level under one protocol.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores.
    metric : str
        "MAP" or "MR1".
    n : int or None
        Cutoff; None for MR1.

    Raises
    ------
    ValueError
        If there is no such row; the message says what there is.
    """
    found = scores[
        (scores["metric"] == metric) & (scores["level"] == level) & (scores["protocol"] == protocol)
    ]
    found = found[found["n"].isna() if n is None else (found["n"] == n).fillna(False).astype(bool)]
    if found.empty:
        there = scores[["protocol", "metric", "n", "level"]].drop_duplicates().to_string(index=False)
        raise ValueError(
            f"no score with metric={metric}, n={n}, level={level}, protocol={protocol}; there is\n{there}"
        )
    return found


def best_systems(scores: pd.DataFrame, n: int = 15, *, protocol: str = "standard") -> pd.DataFrame:
    """For each model its system with the highest macro MAP@n, best model first.

    Of equal systems the simplest: no PCA before PCA, mean before max before median, nns before mcss before
    mips, raw before L2.

    Returns
    -------
    pd.DataFrame
        One row a model with the columns of `SYSTEM`.
    """
    found = select(scores, "MAP", n, protocol=protocol).copy()
    found["value"] = found["value"].round(9)
    order = {name: i for i, name in enumerate(("none", "mean", "max", "median", "nns", "mcss", "mips"))}
    found["simplicity"] = list(
        zip(
            found["n_components"].fillna(0).gt(0),
            found["aggregation"].map(order),
            found["search"].map(order),
            found["normalize"],
            strict=True,
        )
    )
    found = found.sort_values(["value", "simplicity"], ascending=[False, True], kind="stable")
    return found.drop_duplicates("model")[SYSTEM].reset_index(drop=True)


def of_systems(scores: pd.DataFrame, systems: pd.DataFrame) -> pd.DataFrame:
    """All scores of the systems in the rows of a table."""
    return scores.merge(systems[SYSTEM], on=SYSTEM, how="inner")


def describe_system(row: pd.Series) -> str:
    """How a system processes and searches, in words.

    Examples
    --------
    >>> describe_system(pd.Series({"aggregation": "mean", "n_components": 100, "normalize": True,
    ...                            "pre_normalize": False, "search": "nns"}))
    'mean, PCA 100, L2, NNS'
    """
    steps = [] if row["aggregation"] == "none" else [row["aggregation"]]
    steps += ["min-max"] if row.get("scale") else []
    steps += ["L2 first"] if row["pre_normalize"] else []
    steps += [] if pd.isna(row["n_components"]) else [f"PCA {int(row['n_components'])}"]
    return ", ".join([*steps, "L2" if row["normalize"] else "raw", row["search"].upper()])


def comparison(
    scores: pd.DataFrame,
    chance: pd.DataFrame,
    *,
    cutoffs: tuple[int, int] = (15, 150),
    protocol: str = "standard",
) -> pd.DataFrame:
    """The form of the paper's Table II: each model's best system, then chance, which any must beat.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of the systems that ran.
    chance : pd.DataFrame
        Of the same dataset, from `metrics.chance`.
    cutoffs : tuple of int
    protocol : str

    Returns
    -------
    pd.DataFrame
        One row a system: what it is, and macro MAP@N (higher is better) and MR1 (lower is better), the first
        with its 95 % interval in brackets.
    """
    rows = []
    for _, system in best_systems(scores, cutoffs[0], protocol=protocol).iterrows():
        spec = models.spec(system["model"])
        own = of_systems(scores, system.to_frame().T.astype(scores[SYSTEM].dtypes.to_dict()))
        row = {
            "System": spec.display_name + (" (floor)" if spec.floor else ""),
            "Processing and search": describe_system(system),
            "Modality": spec.modality,
            "Objective": spec.objective,
            "Parameters": spec.n_parameters,
            "Data": spec.data_size,
            "Dim": str(spec.dim if pd.isna(system["n_components"]) else int(system["n_components"])),
        }
        rows.append(row | _measures(own, cutoffs, protocol))
    blank = dict.fromkeys(list(rows[0])[1:7], "-")
    rows.append({"System": CHANCE + " (expected)", **blank} | _measures(chance, cutoffs, protocol))
    return pd.DataFrame(rows)


def _measures(scores: pd.DataFrame, cutoffs: tuple[int, int], protocol: str) -> dict[str, str]:
    values = {}
    for metric, n in [*(("MAP", n) for n in cutoffs), ("MR1", None)]:
        (row,) = select(scores, metric, n, protocol=protocol).to_dict("records")
        digits = 1 if n is None else 3
        text = f"{row['value']:.{digits}f}"
        if np.isfinite(row.get("ci_low", np.nan)):
            text += f" [{row['ci_low']:.{digits}f}, {row['ci_high']:.{digits}f}]"
        values[metric if n is None else f"{metric}@{n}"] = text
    return values


def protocol_differences(scores: pd.DataFrame) -> pd.DataFrame:
    """Macro and micro scores under both protocols side by side, and the paper's minus the standard's.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of one system under both protocols.

    Returns
    -------
    pd.DataFrame
        metric, n, level, standard, paper, difference.
    """
    found = scores[scores["level"].isin(["macro", "micro"])].copy()
    found["n"] = found["n"].astype("string").fillna("-")
    wide = found.pivot_table(index=["metric", "n", "level"], columns="protocol", values="value")
    wide["difference"] = wide["paper"] - wide["standard"]
    wide.columns.name = None
    return wide.reset_index()[["metric", "n", "level", "standard", "paper", "difference"]]


def caption(collection, n: int, protocol: str = "standard") -> str:
    """What a table of comparison shows, in a sentence.

    Parameters
    ----------
    collection : Dataset
    n : int
        The cutoff that the best system is chosen by.
    protocol : str
    """
    n_classes = len(collection.labels) - collection.n_unqueryable()
    return (
        f"{collection.name}: {len(collection)} clips, {n_classes} classes queried "
        f"({collection.n_unqueryable()} with a single clip skipped), protocol {protocol!r}; each model's "
        f"best system by macro MAP@{n}, with 95 % bootstrap intervals over the queries"
    )
