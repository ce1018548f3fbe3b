"""Scores to tables that a person reads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sss_lib.evaluation import protocols
from sss_lib.evaluation.protocols import Protocol
from sss_lib.experiment.scores import (
    SYSTEM,
    best_systems,
    describe_system,
    heading,
    of_exact,
    of_systems,
    select,
    simplicity,
)
from sss_lib.figures import text as export
from sss_lib.models import registry as models

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset

__all__ = [
    "CEILING",
    "CHANCE",
    "SYSTEM",
    "best_systems",
    "caption",
    "comparison",
    "conventions",
    "describe_system",
    "heading",
    "number",
    "of_exact",
    "of_systems",
    "select",
    "simplicity",
    "variations",
    "with_interval",
]

CHANCE, CEILING = "Chance", "Ceiling (labels)"


def comparison(
    scores: pd.DataFrame,
    chance: pd.DataFrame,
    ceiling: pd.DataFrame | None = None,
    *,
    cutoffs: tuple[int, int] = (15, 150),
    protocol: str | None = None,
    p: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """The form of the paper's Table II: each model's best system, between the ceiling and chance.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of the systems that ran.
    chance : pd.DataFrame
        Of the same dataset, from `floors.chance`.
    ceiling : pd.DataFrame, optional
        From `floors.ceiling`.
    cutoffs : tuple of int
    protocol : str, optional
        As in `select`.
    p : mapping of str to float, optional
        By model, of its difference from the best in MAP at the first cutoff, corrected for so many
        comparisons: stars mark it (see `export.marks`).

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
            "System": spec.display_name + (" (floor)" if spec.is_baseline else ""),
            "Processing and search": describe_system(system),
            "Modality": spec.modality,
            "Objective": spec.objective,
            "Parameters": spec.n_parameters,
            "Data": spec.data_size,
            "Dim": str(spec.dim if pd.isna(system["n_components"]) else int(system["n_components"])),
        }
        row |= _measures(own, cutoffs, protocol)
        (mark,) = export.marks([(p or {}).get(system["model"], np.nan)])
        row[heading("MAP", cutoffs[0])] += f" {mark}".rstrip()
        rows.append(row)
    blank = dict.fromkeys(list(rows[0])[1:7], "-")
    if ceiling is not None:
        rows.insert(0, {"System": CEILING, **blank} | _measures(ceiling, cutoffs, protocol))
    rows.append({"System": CHANCE + " (expected)", **blank} | _measures(chance, cutoffs, protocol))
    return pd.DataFrame(rows)


def variations(scores: pd.DataFrame, n: int = 15, *, protocol: str | None = None) -> pd.DataFrame:
    """The form of the paper's Table I: of each model that comes in several variations the best one.

    Variations are what `models.ModelSpec.variation_of` says, and the ways to prepare a model's audio. Each
    counts with its best system by macro MAP@n.

    Returns
    -------
    pd.DataFrame
        Model, Best variation, Processing and search, MAP@n with its interval, Tried (how many variations),
        Next (the second best, and its MAP@n; "-" if there is none). Best model first.
    """
    best = best_systems(scores, n, protocol=protocol)
    measured = select(of_systems(scores, best), "MAP", n, protocol=protocol).set_index("model")
    of_series: dict[str, list[dict]] = {}
    for _, system in best.iterrows():
        spec = models.spec(system["model"])
        about = {"spec": spec, "words": describe_system(system), **measured.loc[system["model"]].to_dict()}
        of_series.setdefault(spec.series, []).append(about)
    rows = [
        {
            "Model": series,
            "Best variation": first["spec"].display_name,
            "Processing and search": first["words"],
            heading("MAP", n): with_interval(first),
            "Tried": 1 + len(others),
            "Next": f"{others[0]['spec'].display_name}, {number(others[0]['value'])}" if others else "-",
        }
        for series, (first, *others) in of_series.items()
    ]
    return pd.DataFrame(rows)


def _measures(scores: pd.DataFrame, cutoffs: tuple[int, int], protocol: str | None) -> dict[str, str]:
    values = {}
    for metric, n in [*(("MAP", n) for n in cutoffs), ("MR1", None)]:
        (row,) = select(scores, metric, n, protocol=protocol).to_dict("records")
        values[heading(metric, n)] = with_interval(row)
    return values


def number(value: float, digits: int = 3) -> str:
    """Value as it is printed; a dash for what isn't there.

    Examples
    --------
    >>> number(0.25), number(np.nan)
    ('0.250', '-')
    """
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


def with_interval(row: Mapping[str, Any]) -> str:
    """Value of a score, and in brackets its interval if it has one.

    Examples
    --------
    >>> with_interval({"metric": "MAP", "value": 0.25, "ci_low": 0.2, "ci_high": 0.3})
    '0.250 [0.200, 0.300]'
    """
    digits = 1 if row["metric"] == "MR1" else 3
    value, low, high = (number(row.get(name, np.nan), digits) for name in ("value", "ci_low", "ci_high"))
    return value if "-" in (value, low, high) else f"{value} [{low}, {high}]"


def conventions(
    relevance: str = "class", protocol: str | Protocol = "standard", *, unit: str | None = None
) -> str:
    """By which conventions a table was made, for its caption.

    Parameters
    ----------
    relevance : str
    protocol : str or Protocol
    unit : str, optional
        What intervals and tests draw: "clip", or what `groups` are, such as "uploader".

    Examples
    --------
    >>> conventions("class", "paper", unit="clip")
    "relevance 'class', protocol 'paper' (AP@N divided by min(N, n_c), micro by N, 0 if R = 0; ranks from 0),
     intervals and tests by clip"
    """
    protocol = protocols.named(protocol)
    divided = f"AP@N divided by {protocol.denominator}"
    if protocol.micro_denominator != protocol.denominator:
        divided += f", micro by {protocol.micro_denominator}"
    if protocol.counts_unanswerable:
        divided += ", 0 if R = 0"
    by = f"relevance {relevance!r}, protocol {protocol.name!r} ({divided}; ranks from {protocol.rank_base})"
    return by + (f", intervals and tests by {unit}" if unit else "")


def caption(
    collection: "Dataset", n: int, protocol: str | Protocol = "standard", *, unit: str = "clip"
) -> str:
    """What a table of comparison shows, and by which conventions, in a sentence.

    Parameters
    ----------
    collection : Dataset
    n : int
        The cutoff that the best system is chosen by.
    protocol : str or Protocol
    unit : str
        What the test of the stars turned, as in `conventions`.
    """
    n_classes = len(collection.labels) - collection.n_unqueryable()
    return (
        f"{collection.name}: {len(collection)} clips, {n_classes} classes queried "
        f"({collection.n_unqueryable()} with a single clip), {conventions('class', protocol)}; each "
        f"model's best system by macro MAP@{n}, with 95 % bootstrap intervals over the queries; stars: below "
        f"the best by a paired permutation test by {unit} with Holm's correction, * p < 0.05, ** p < 0.01, "
        "*** p < 0.001"
    )
