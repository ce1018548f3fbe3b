"""Tidy scores: those of one metric, of some systems, of each model's best."""

import numpy as np
import pandas as pd

from sss_lib.evaluation import protocols
from sss_lib.models.naming import FUSION, fused
from sss_lib.processing.aggregation import AGGREGATIONS
from sss_lib.search.naming import GIVEN, parse

SYSTEM = [
    "model",
    "aggregation",
    "scale",
    "transform",
    "n_components",
    "normalize",
    "pre_normalize",
    "search",
]
"""The columns that tell one system from another."""


def select(
    scores: pd.DataFrame,
    metric: str,
    n: int | None = None,
    *,
    level: str = "macro",
    protocol: str | None = None,
    relevance: str = "class",
) -> pd.DataFrame:
    """Rows of one metric at one level under one protocol, by one rule of what counts.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores.
    metric : str
        "MAP", "MR1" or "NDCG".
    n : int or None
        Cutoff; None for MR1.
    level, relevance : str
    protocol : str, optional
        By default the only one that the scores are under, or the standard one of several.

    Raises
    ------
    ValueError
        If there is no such row; the message lists those that there are.
    """
    if protocol is None:
        available = scores["protocol"].unique()
        protocol = available[0] if len(available) == 1 else protocols.STANDARD.name
    wanted = {"metric": metric, "level": level, "protocol": protocol, "relevance": relevance}
    found = scores[np.logical_and.reduce([scores[key] == value for key, value in wanted.items()])]
    found = found[found["n"].isna() if n is None else (found["n"] == n).fillna(False).astype(bool)]
    if found.empty:
        available = scores[["relevance", "protocol", "metric", "n", "level"]].drop_duplicates()
        raise ValueError(
            f"no score with metric={metric}, n={n}, level={level}, protocol={protocol}, "
            f"relevance={relevance}; there is\n{available.to_string(index=False)}"
        )
    return found


def distinct(scores: pd.DataFrame, level: str) -> str:
    """Name of a level over different classes, of which each holds other clips; itself in older scores.

    Examples
    --------
    >>> distinct(pd.DataFrame({"level": ["class", "class_distinct", "macro"]}), "class")
    'class_distinct'
    """
    over = f"{level}_distinct"
    return over if (scores["level"] == over).any() else level


def over_groups(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores whose interval is that over groups, such as uploaders, in place of that over clips.

    The interval over clips goes to clip_ci_low and clip_ci_high. Scores without groups are as they were.
    """
    ends = ["ci_low", "ci_high"]
    groups = [f"group_{end}" for end in ends]
    if not {*groups} <= {*scores} or scores[groups].isna().all(axis=None):
        return scores
    kept = scores.rename(columns={end: f"clip_{end}" for end in ends})
    return kept.assign(**{end: scores[of_group] for end, of_group in zip(ends, groups, strict=True)})


def of_exact(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of the exact searches, or all if there are none. An approximate one is better only by chance."""
    is_exact = {search: parse(search).is_exact for search in scores["search"].unique()}
    exact = scores["search"].map(is_exact).astype(bool)
    return scores[exact] if exact.any() else scores


def best_systems(scores: pd.DataFrame, n: int = 15, *, protocol: str | None = None) -> pd.DataFrame:
    """For each model its system with the highest macro MAP@n, best model first.

    Of exact searches alone, where there are any; of equal systems the simplest.

    Returns
    -------
    pd.DataFrame
        One row a model with the columns of `SYSTEM`.
    """
    found = of_exact(select(scores, "MAP", n, protocol=protocol)).copy()
    found = found.assign(value=found["value"].round(9), simplicity=simplicity(found))
    found = found.sort_values(["value", "simplicity"], ascending=[False, True], kind="stable")
    return found.drop_duplicates("model")[SYSTEM].reset_index(drop=True)


def simplicity(systems: pd.DataFrame) -> list[tuple]:
    """Sort key of each row, least for the simplest system.

    No PCA comes before PCA, no unit length before it, no transform, no scaling, mean before max before
    median, nns before mcss before mips, raw before L2.
    """
    order = {name: i for i, name in enumerate((*AGGREGATIONS, "nns", "mcss", "mips", "given"))}
    return list(
        zip(
            systems["n_components"].fillna(0).gt(0),
            systems["pre_normalize"],
            systems["transform"].ne("none"),
            systems["scale"],
            systems["aggregation"].map(order),
            systems["search"].map(lambda search: (order[parse(search).exact], parse(search).adjustment)),
            systems["normalize"],
            strict=True,
        )
    )


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
    fusion = str(row.get("model", "")).startswith(FUSION)
    if row["search"] == GIVEN and not fusion:
        return GIVEN
    steps = [] if row["aggregation"] == "none" else [row["aggregation"]]
    steps += ["min-max"] if row.get("scale") else []
    steps += ["L2 first"] if row["pre_normalize"] else []
    steps += transform_words(row.get("transform", "none"))
    steps += [] if pd.isna(row["n_components"]) else [f"PCA {int(row['n_components'])}"]
    how, used, _ = fused(row["model"]) if fusion else ("", row["search"], [])
    exact, _, structure = used.partition("-")
    search = f"{exact.upper()} {structure}".rstrip() + (f" fused by {how}" if how else "")
    return ", ".join([*steps, "L2" if row["normalize"] else "raw", search])


WORDS = {
    "center": "centred",
    "standardize": "z-score",
    "whiten": "whitened",
    "whiten-shrunk": "shrunk-whitened",
}


def transform_words(transform: str) -> list[str]:
    """What a transform does in a word, and what it is fitted on: none, one or two.

    Examples
    --------
    >>> transform_words("none"), transform_words("center"), transform_words("remove-top-3@esc10")
    ([], ['centred'], ['without top 3', 'fitted on esc10'])
    """
    step, _, other = transform.partition("@")
    words = [] if step == "none" else [WORDS.get(step, step.replace("remove-", "without ").replace("-", " "))]
    return words + ([f"fitted on {other}"] if other else [])


def heading(metric: str, n: int | None) -> str:
    """Column of a metric: MAP@15, MR1."""
    return metric if n is None or pd.isna(n) else f"{metric}@{int(n)}"
