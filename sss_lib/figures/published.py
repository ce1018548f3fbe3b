"""Numbers that Araz et al. (CBMI 2024) published, and their comparison with measurements here."""

from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib.evaluation.protocols import STATES
from sss_lib.experiment.scores import best_systems, describe_system, heading, of_systems
from sss_lib.io.names import require_known
from sss_lib.models import registry as models

PAPER = Path(__file__).parents[2] / "data" / "paper"
"""The published tables, with their source."""
MEASURES = {
    ("MAP", 15): ("map_at_15", 0.005),
    ("MAP", 150): ("map_at_150", 0.005),
    ("MR1", None): ("mr1", 0.5),
}
"""Column of Table II for each measure, and half a unit of its last printed digit."""

READING = {"Fig. 1": 0.00005, "Fig. 2": 0.0005, "classes": 0.003}
"""Half a unit of the last printed digit, or the error of reading a picture (data/paper/README.md)."""
RANDOM_PCA = 0.0005
"""Half the range of macro MAP@15 over runs of the study's PCA, which was random and had no seed."""
ANY = ("", "", "")

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


def figure1() -> pd.DataFrame:
    """Fig. 1: macro MAP@15 of five models by aggregation, PCA ("none" for none) and search; a row a bar.

    Examples
    --------
    >>> figure1().groupby("model").size().to_dict()
    {'FSD-SINet': 27, 'Freesound': 3, 'OpenL3': 27, 'VGGish': 27, 'YAMNet': 27}
    """
    return pd.read_csv(PAPER / "figure1.csv", dtype={"pca": str}, keep_default_na=False)


def per_class() -> pd.DataFrame:
    """MAP@15 of each model's best system by class, read from pictures; a row a class, a column a model.

    Examples
    --------
    >>> per_class().shape
    (200, 14)
    """
    return pd.read_csv(PAPER / "per_class.csv", index_col="label")


def systems() -> pd.DataFrame:
    """Catalogue name (system) of each of the paper's models, and known deviations of the implementation.

    `deviation` applies always; `deviation_as_paper` where the audio is prepared as in the paper.
    """
    return pd.read_csv(PAPER / "systems.csv", index_col="model", keep_default_na=False)


def numbers() -> pd.DataFrame:
    """Every published number that a run can measure, a row each: 42, 84, 111 and 2,800.

    Returns
    -------
    pd.DataFrame
        source ("Table II", "Fig. 1", "Fig. 2" or "classes"), model, aggregation, pca ("none" for no PCA) and
        search (of Fig. 1 alone: all else is of the model's best system), metric, n, level, name, published,
        and error: what rounding, reading and the study's random PCA leave open.
    """
    wide = table2()[[column for column, _ in MEASURES.values()]]
    of_table = {column: (metric, n, error) for (metric, n), (column, error) in MEASURES.items()}
    rows = [
        ("Table II", model, *ANY, metric, n, "macro", "all", float(wide.loc[model, column]), error)
        for column, (metric, n, error) in of_table.items()
        for model in wide.index
    ]
    for source, level, table in (("Fig. 2", "family", figure2()), ("classes", "class", per_class().T)):
        rows += [
            (source, model, *ANY, "MAP", 15, level, name, value, READING[source])
            for model, of_model in table.iterrows()
            for name, value in of_model.items()
        ]
    rows += [
        ("Fig. 1", *row[:4], "MAP", 15, "macro", "all", row[4], READING["Fig. 1"])
        for row in figure1().itertuples(index=False, name=None)
    ]
    names = ["source", "model", "aggregation", "pca", "search", "metric", "n", "level", "name"]
    table = pd.DataFrame(rows, columns=[*names, "published", "error"]).astype({"n": "Int64"})
    by_pca = (table["metric"] == "MAP") & (table["pca"] != "none")
    return table.assign(error=table["error"] + RANDOM_PCA * by_pca)


def check(scores: pd.DataFrame, state: str = "published") -> pd.DataFrame:
    """Table II beside what was measured: the rows of `check_all` for it, without those that it lacks.

    Returns
    -------
    pd.DataFrame
        model, system, processing and search, metric, measured, ci_low, ci_high, published, difference,
        verdict, known deviations.
    """
    found = check_all(scores, state)
    return found[found["source"] == "Table II"].drop(columns=["source", "name"]).reset_index(drop=True)


def check_all(scores: pd.DataFrame, state: str = "published") -> pd.DataFrame:
    """Compare measured with published numbers, for every model of the paper that has scores.

    A number of Fig. 1 is compared with the system that it is of. All others are of a model's best system by
    macro MAP@15 under the paper's protocol, or by MAP at the smallest cutoff if MAP@15 is missing. A number
    agrees if the published one, give or take its error, lies in the 95 % interval of the measured one.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores on FSD50K's eval set, under the paper's protocol among others.
    state : str
        Which state of the authors' code counts (`protocols.STATES`): only its systems are compared.

    Returns
    -------
    pd.DataFrame
        source, name (class or family, else "all"), model, system, processing and search, metric, measured,
        ci_low, ci_high, published, difference, verdict ("agrees", "higher", "lower", "no interval", or "not
        measured" for what the grid lacks), known deviations. Empty if no model of the paper ran.
    """
    require_known(state, STATES, "the states of the study's code")
    before_pca = STATES[state].pre_normalize
    fits = scores["n_components"].isna() | (scores["pre_normalize"] == before_pca)
    fits &= scores["transform"] == "none"  # the study has no other
    own = {"protocol": "paper", "relevance": "class"}
    scores = scores[fits & (scores[list(own)] == pd.Series(own)).all(axis=1)]
    printed, rows = numbers(), []
    for model, about in systems().iterrows():
        of_model = printed[printed["model"] == model]
        for system in (about["system"], f"{about['system']}+paper"):
            measured = scores[scores["model"] == system]
            if measured.empty:
                continue
            best, known = _best(measured), _deviations(system, about)
            for row in of_model.to_dict("records"):
                words, values = best if row["source"] != "Fig. 1" else _of_figure1(measured, row)
                key = (heading(row["metric"], row["n"]), row["level"], row["name"])
                value, low, high = values.get(key, (np.nan,) * 3)
                verdict = judge(value, low, high, row["published"], row["error"])
                told = (value, low, high, row["published"], value - row["published"], verdict, known)
                rows.append((row["source"], row["name"], model, system, words, key[0], *told))
    columns = ["source", "name", "model", "system", "processing and search", "metric"]
    columns += ["measured", "ci_low", "ci_high", "published", "difference", "verdict", "known deviations"]
    return pd.DataFrame(rows, columns=columns)


def check_variations(scores: pd.DataFrame, state: str = "published") -> pd.DataFrame:
    """Table I beside what was measured: each model's best variation, by macro MAP@15.

    Returns
    -------
    pd.DataFrame
        model, published, best, tried (variations with scores), verdict ("agrees", "another", or "not
        measured" where the published variation has no scores, or no other has).
    """
    of_state = scores["n_components"].isna() | (scores["pre_normalize"] == STATES[state].pre_normalize)
    of_state &= scores["transform"] == "none"
    scores = scores[of_state & (scores["n"] == 15).fillna(False)]
    best = best_systems(scores, 15, protocol="paper")["model"].tolist() if len(scores) else []
    plain = list(dict.fromkeys(name.removesuffix("+paper") for name in best))
    rows = []
    for model in table1().index:
        system = systems().loc[model, "system"]
        series = models.spec(system).series
        own = [name for name in plain if models.spec(name).series == series]
        if system not in own or len(own) < 2:
            verdict = "not measured"
        else:
            verdict = "agrees" if own[0] == system else "another"
        rows.append((model, system, own[0] if own else "", len(own), verdict))
    return pd.DataFrame(rows, columns=["model", "published", "best", "tried", "verdict"])


def tally(checked: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of each source, counted, and the mean absolute difference of its MAP."""
    counts = pd.crosstab(checked["source"], checked["verdict"]).reindex(
        columns=["agrees", "higher", "lower", "no interval", "not measured"], fill_value=0
    )
    size = checked.assign(size=checked["difference"].abs())
    size = size[size["metric"] != "MR1"].groupby("source")["size"].mean()
    return counts.assign(**{"mean |difference| of MAP": size}).reset_index()


def differences(checked: pd.DataFrame, source: str) -> pd.DataFrame:
    """Measured minus published MAP of a source: a row a system, a column a number; nan if not measured.

    For Fig. 1 the columns are the ways to process and search.
    """
    own = checked[(checked["source"] == source) & (checked["metric"] != "MR1")]
    column = {"Fig. 1": "processing and search", "Table II": "metric"}.get(source, "name")
    return own.pivot_table(index="system", columns=column, values="difference", sort=False)


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


def _best(scores: pd.DataFrame) -> tuple[str, dict[tuple, tuple[float, float, float]]]:
    """A model's best system in words, and its scores with intervals by metric, level and name."""
    cutoffs = scores["n"].dropna().unique()
    best = best_systems(scores, 15 if 15 in cutoffs else min(cutoffs), protocol="paper")
    return describe_system(best.iloc[0]), _values(of_systems(scores, best))


def _of_figure1(scores: pd.DataFrame, row: dict) -> tuple[str, dict[tuple, tuple[float, float, float]]]:
    """System of a bar of Fig. 1 in words, and its scores. Cosine ranks alike with and without unit length."""
    n_components = None if row["pca"] == "none" else int(row["pca"])
    about = row | {"n_components": n_components, "normalize": row["search"] == "mcss", "pre_normalize": False}
    same_pca = scores["n_components"].astype("Int64").fillna(0) == (n_components or 0)
    own = scores[same_pca & (scores["aggregation"] == row["aggregation"])]
    own = own[~own["pre_normalize"].astype(bool)]
    own = own[(own["search"] == row["search"]) & (~own["normalize"].astype(bool) | about["normalize"])]
    return describe_system(pd.Series(about)), _values(own)


def _values(scores: pd.DataFrame) -> dict[tuple, tuple[float, float, float]]:
    metrics = map(heading, scores["metric"], scores["n"])
    keys = zip(metrics, scores["level"], scores["name"], strict=True)
    values = scores[["value", "ci_low", "ci_high"]].itertuples(index=False, name=None)
    return dict(zip(keys, values, strict=True))


def _deviations(system: str, about: pd.Series) -> str:
    spec = models.spec(system)
    as_paper = system.endswith("+paper") or not spec.paper
    parts = [about["deviation_as_paper"] if as_paper else spec.paper_differs, about["deviation"]]
    return "; ".join(filter(None, parts))
