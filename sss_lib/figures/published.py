"""Numbers that Araz et al. (CBMI 2024) published, and their comparison with measurements here."""

from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib.experiment.scores import best_systems, describe_system, heading, of_systems
from sss_lib.models import registry as models

PAPER = Path(__file__).parents[2] / "data" / "paper"
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
"""Headings of Table II."""


def table1() -> pd.DataFrame:
    """Table I: the best variation of each model that has several; a row a model.

    Examples
    --------
    >>> table1().loc["CAV-MAE", "variation"]
    'as_46.6'
    """
    return pd.read_csv(PAPER / "table1.csv", index_col="model")


def table2() -> pd.DataFrame:
    """Table II: each model's best system on FSD50K's eval set; a row a model, by its name in the paper.

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
    """Catalogue name (system) of each of the paper's models, and known deviations of the implementation.

    `deviation` applies always; `deviation_as_paper` where the audio is prepared as in the paper.
    """
    return pd.read_csv(PAPER / "systems.csv", index_col="model", keep_default_na=False)


def check(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare measured with published numbers, for every model of the paper that has scores.

    Each model counts with its best system by macro MAP@15 under the paper's protocol, or by MAP at the
    smallest cutoff if MAP@15 is missing. A number agrees if the published one, give or take its rounding,
    lies in the 95 % interval of the measured one.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores on FSD50K's eval set, under the paper's protocol among others.

    Returns
    -------
    pd.DataFrame
        model, system, processing and search of the best system, metric, measured, ci_low, ci_high, published,
        difference, verdict ("agrees", "higher", "lower", "no interval", or "not measured" for a cutoff that
        the grid lacks), known deviations. Empty if no model of the paper ran.
    """
    rows = []
    printed = table2()
    for name, about in systems().iterrows():
        for system in (about["system"], f"{about['system']}+paper"):
            own = scores[scores["model"] == system]
            if own.empty:
                continue
            (how, measured), known = _measured(own), _deviations(system, about)
            for (metric, n), (column, rounding) in MEASURES.items():
                measure, published = heading(metric, n), float(printed.loc[name, column])
                value, low, high = measured.get(measure, (np.nan,) * 3)
                verdict = judge(value, low, high, published, rounding)
                numbers = value, low, high, published, value - published
                rows.append([name, system, how, measure, *numbers, verdict, known])
    columns = ["model", "system", "processing and search", "metric"]
    columns += ["measured", "ci_low", "ci_high", "published", "difference", "verdict", "known deviations"]
    return pd.DataFrame(rows, columns=columns)


def judge(value: float, low: float, high: float, published: float, rounding: float) -> str:
    """Verdict on a measured number: its interval, widened by the rounding, holds the published one or not.

    Examples
    --------
    >>> judge(0.31, 0.28, 0.33, 0.27, 0.005), judge(0.31, 0.2749, 0.33, 0.27, 0.005)
    ('higher', 'agrees')
    """
    if not np.isfinite(value):
        return "not measured"
    if not np.isfinite([low, high]).all():
        return "no interval"
    if published - rounding > high:
        return "lower"
    return "higher" if published + rounding < low else "agrees"


def _measured(scores: pd.DataFrame) -> tuple[str, dict[str, tuple[float, float, float]]]:
    """A model's best system under the paper's protocol in words, and its macro scores with intervals."""
    cutoffs = scores["n"].dropna().unique()
    best = best_systems(scores, 15 if 15 in cutoffs else min(cutoffs), protocol="paper")
    own = of_systems(scores, best)
    own = own[(own["protocol"] == "paper") & (own["relevance"] == "class") & (own["level"] == "macro")]
    return describe_system(best.iloc[0]), {
        heading(row["metric"], row["n"]): (row["value"], row["ci_low"], row["ci_high"])
        for row in own.to_dict("records")
    }


def _deviations(system: str, about: pd.Series) -> str:
    spec = models.spec(system)
    as_paper = system.endswith("+paper") or not spec.paper
    parts = [about["deviation_as_paper"] if as_paper else spec.paper_differs, about["deviation"]]
    return "; ".join(filter(None, parts))
