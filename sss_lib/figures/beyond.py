"""Steps beyond the study, each beside the system that lacks it, on the same queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.evaluation import comparisons
from sss_lib.evaluation.comparisons import Results
from sss_lib.evaluation.paired import holm
from sss_lib.experiment.scores import transform_words
from sss_lib.experiment.variant import Variant
from sss_lib.figures.tables import display_name
from sss_lib.models.naming import fused
from sss_lib.processing.aggregation import selection
from sss_lib.search.naming import parse

System = tuple[Variant, str]
N_COMPONENTS, SEARCH = 100, "mcss"
"""Of the plain system, which steps are beside: the mean of a clip's frames, PCA, unit length, cosine."""
OWN = "without own uploader"
SELECTED = {"loudest": "loudest quarter of frames", "onset": "frames from the onset on"}


def is_beyond(system: System) -> bool:
    """Whether a system takes a step that the study's don't.

    Examples
    --------
    >>> is_beyond((Variant("aisfx", transform="center"), "nns")), is_beyond((Variant("aisfx"), "mcss-mp"))
    (False, True)
    """
    variant, search = system
    takes = variant.step not in ("none", "center") or variant.fit_on or variant.parts
    how = variant.aggregation
    return bool(takes or how == "meanstd" or selection(how) or parse(search).adjustment)


def lacking(system: System) -> list[System]:
    """What a system is compared with: fitted on what is searched, the parts of a fusion, or the plain one.

    Examples
    --------
    >>> [(one.name, search) for one, search in lacking((Variant("aisfx", "max", 100), "mcss"))]
    [('aisfx-mean-pca100-l2', 'mcss')]
    """
    variant, search = system
    if variant.parts:
        return [(part, fused(variant.model)[1]) for part in variant.parts]
    if variant.fit_on:
        return [(replace(variant, transform=variant.step), search)]
    return [(Variant(variant.model, n_components=N_COMPONENTS), SEARCH)]


def words(system: System) -> str:
    """A step in words.

    Examples
    --------
    >>> words((Variant("aisfx", transform="whiten@esc10"), "mcss-csls10"))
    'whitened, fitted on esc10, no PCA, csls10'
    """
    variant, search = system
    if variant.parts:
        return "fused"
    said = {"mean": [], "none": [], "meanstd": ["mean and deviation"]}
    how, _, some = variant.aggregation.partition("-")
    steps = [*said.get(how, [how]), *([SELECTED[some]] if some else []), *transform_words(variant.transform)]
    steps += ["no PCA"] if variant.n_components is None else []
    steps += [f"PCA {variant.n_components}"] if variant.n_components not in (None, N_COMPONENTS) else []
    return ", ".join(steps + ([search.removeprefix(f"{SEARCH}-")] if search != SEARCH else []))


def steps(
    systems: Sequence[System],
    results_of: Callable[[System, str], Results],
    labels: list[str],
    n: int,
    rules: Sequence[str] = ("class",),
    **of: Any,
) -> pd.DataFrame:
    """Each system of unit length beside what it is compared with; nothing if none takes a step beyond.

    Of a fusion that is the best of its parts by the first rule, which is chosen on the same queries.

    Parameters
    ----------
    systems : sequence of (Variant, str)
        Those that have scores.
    results_of : callable
        Per-query results of a system by a rule of what counts.
    labels : list of str
    n : int
    rules : sequence of str
        What counts, the second one without the clips of the query's own uploader.
    **of
        protocol, groups and so on of `comparisons.compare`.

    Returns
    -------
    pd.DataFrame
        model, step, beside, its macro MAP@n and that of what it is beside, difference with its paired 95 %
        interval, p of the permutation test, corrected for all rows by Holm, verdict, and system; by the
        second rule difference and interval again.
    """
    rows, available = [], set(systems)
    for system in systems if any(map(is_beyond, systems)) else ():
        beside = [one for one in lacking(system) if one in available]
        if not beside or beside == [system] or not system[0].normalize:
            continue
        first, *others = rules
        by_part = {one: _compared(results_of, system, one, first, labels, n, of) for one in beside}
        best = max(beside, key=lambda one: by_part[one]["b"])
        found = [by_part[best], *(_compared(results_of, system, best, one, labels, n, of) for one in others)]
        row = {"model": display_name(system[0].model), "step": words(system), **found[0]}
        row["system"] = f"{system[0].name}/{system[1]}"
        ends = {"difference": OWN, "ci_low": f"{OWN}, low", "ci_high": f"{OWN}, high"}
        rows.append(row | {ends[name]: one[name] for one in found[1:] for name in ends})
    table = pd.DataFrame(rows)
    if len(table):
        table["p"] = holm(table["p"].to_numpy())
        table.insert(list(table).index("p") + 1, "verdict", _verdicts(table))
    return table


def _compared(
    results_of: Callable, system: System, beside: System, rule: str, labels: list[str], n: int, of: dict
) -> dict:
    """Both macro scores of two systems, and their difference."""
    found = comparisons.compare(results_of(system, rule), results_of(beside, rule), labels, **of)
    macro = found[(found["metric"] == "MAP") & (found["n"] == n) & (found["level"] == "macro")]
    columns = ["a", "b", "difference", "ci_low", "ci_high", "p"]
    # No row where no query has an answer, as where each class is by one uploader.
    kept = macro[columns].iloc[0].to_dict() if len(macro) else dict.fromkeys(columns, np.nan)
    alike = lacking(system)[0][0].model == system[0].model
    what = "the plain system" if beside in lacking((Variant(beside[0].model), SEARCH)) else words(beside)
    return {"beside": what if alike else display_name(beside[0].model), **kept}


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """Whether each step helps or hurts, by its interval and its corrected p."""
    sure = table["p"] < 0.05
    kinds = [sure & (table["ci_low"] > 0), sure & (table["ci_high"] < 0)]
    return np.select(kinds, ["helps", "hurts"], "open")


def said(table: pd.DataFrame) -> str:
    """What helps and what doesn't, in words.

    Examples
    --------
    >>> said(pd.DataFrame({"model": ["aiSFX"], "step": ["whitened"], "verdict": ["hurts"], "ci_low": [-0.2],
    ...                    "ci_high": [-0.1]}))
    'Of 1 steps 0 help and 1 hurt, corrected for their number: hurts whitened (aiSFX). Uncorrected: 0 and 1.'
    """
    kinds = {}
    for kind in ("helps", "hurts"):
        own = table[table["verdict"] == kind]
        of_step = own.groupby("step", sort=False)["model"].agg(", ".join)
        kinds[kind] = len(own), "; ".join(f"{step} ({models})" for step, models in of_step.items())
    named = "; ".join(f"{kind} {steps}" for kind, (_, steps) in kinds.items() if steps)
    alone = [("Uncorrected", table["ci_low"] > 0, table["ci_high"] < 0)]
    if OWN in table:
        ends = [table[f"{OWN}, {end}"] for end in ("low", "high")]
        alone.append((f"The same {OWN}", ends[0] > 0, ends[1] < 0))
    return (
        f"Of {len(table)} steps {kinds['helps'][0]} help and {kinds['hurts'][0]} hurt, corrected for their "
        f"number{': ' * bool(named)}{named}."
        + "".join(f" {what}: {above.sum()} and {below.sum()}." for what, above, below in alone)
    )
