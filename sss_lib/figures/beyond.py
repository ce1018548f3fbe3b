"""Steps beyond the study, each beside the system that lacks it, on the same queries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.evaluation import comparisons
from sss_lib.evaluation import ways as other_ways
from sss_lib.evaluation.comparisons import Results
from sss_lib.evaluation.paired import holm
from sss_lib.evaluation.summary import summarise
from sss_lib.experiment.scores import transform_words
from sss_lib.experiment.variant import Variant
from sss_lib.figures.tables import display_name
from sss_lib.models.naming import fused
from sss_lib.processing.aggregation import selection
from sss_lib.search.naming import parse

System = tuple[Variant, str]
N_COMPONENTS, SEARCH = 100, "mcss"
"""Of the plain system, which steps are beside: the mean of a clip's frames, PCA, unit length, cosine."""
OWN, UNTESTED = "without own uploader", "untested"
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
    kept = comparisons.macro(results_of(system, rule), results_of(beside, rule), labels, n, **of)
    alike = lacking(system)[0][0].model == system[0].model
    what = "the plain system" if beside in lacking((Variant(beside[0].model), SEARCH)) else words(beside)
    return {"beside": what if alike else display_name(beside[0].model), **kept}


def _verdicts(table: pd.DataFrame) -> np.ndarray:
    """Whether each step helps or hurts, by both its interval and its corrected p."""
    sure = table["p"] < 0.05
    kinds = [table["p"].isna(), sure & (table["ci_low"] > 0), sure & (table["ci_high"] < 0)]
    return np.select(kinds, [UNTESTED, "helps", "hurts"], "open")


def ways(table: pd.DataFrame) -> pd.DataFrame:
    """Other ways (`apart.read_ways`), each beside its variant's own: as `steps`, with what it costs."""
    if not len(table):
        return table
    variants, parsed = table["variant"], table["way"].map(other_ways.parse)
    kinds = {"head": "head", "frames": "the first 150 by", "marks": "marks:", "weights": ""}
    shown = [f"{kinds[one.kind]} {way}".strip() for one, way in zip(parsed, table["way"], strict=True)]
    ends = dict(zip(("own", "own_low", "own_high"), (OWN, f"{OWN}, low", f"{OWN}, high"), strict=True))
    found = table.rename(columns=ends).drop(columns=["way", "variant"]).assign(p=_holm(table["p"]))
    found.insert(0, "model", [display_name(one.model) for one in variants])
    found.insert(
        1,
        "step",
        [
            ", ".join(filter(None, [words((one, SEARCH)), way]))
            for one, way in zip(variants, shown, strict=True)
        ],
    )
    found.insert(list(found).index("p") + 1, "verdict", _verdicts(found))
    counts = dict.fromkeys(("n_queries", "n_train", "parameters"), "Int64")  # not every way has them
    return found.astype(counts).assign(system=[one.name for one in variants])


def asked(
    results: Mapping[System, Results],
    labels: list[str],
    best: Sequence[System],
    n: int,
    groups: np.ndarray | None,
) -> pd.DataFrame:
    """What queries apart score by each model's best system, beside the one that they score most by.

    Parameters
    ----------
    results, labels, groups
        From `apart.read_asked`.
    best : sequence of (Variant, str)
        Of each model one, chosen on other queries.
    n : int

    Returns
    -------
    pd.DataFrame
        model, step, macro MAP@n, n_queries, n_classes, difference from the first with its paired 95 %
        interval, over uploaders if they are known, and p of the permutation test, corrected by Holm; system.
    """

    def mean(system: System) -> float:
        table = summarise(*results[system], labels)
        own = (table["metric"] == "MAP") & (table["n"] == n) & (table["level"] == "macro")
        return table["value"][own].max()  # of one row, or of none

    order = sorted((one for one in best if one in results), key=mean, reverse=True)
    rows = []
    for one in order:
        found = comparisons.macro(results[one], results[order[0]], labels, n, groups=groups)
        about = {"model": display_name(one[0].model), "step": words(one), f"MAP@{n}": found["a"]}
        n_queries = int(np.isfinite(results[one][0].scores("standard")["MAP", n]).sum())
        n_classes = len(np.unique(results[one][0].label))
        about |= {"n_queries": n_queries, "n_classes": n_classes}
        kept = {
            key: np.nan if one == order[0] else found[key] for key in ("difference", "ci_low", "ci_high", "p")
        }
        rows.append({**about, **kept, "system": f"{one[0].name}/{one[1]}"})
    table = pd.DataFrame(rows)
    return table.assign(p=_holm(table["p"])) if len(table) else table


def _holm(p: pd.Series) -> np.ndarray:
    """Corrected p of those that there are."""
    found, there = p.to_numpy(float, copy=True), np.isfinite(p.to_numpy(float))
    found[there] = holm(found[there])
    return found


def summary(tabled: Mapping[str, tuple[pd.DataFrame, str]]) -> str:
    """What helps and what doesn't, in words, of the tables of `Compared.beyond`."""
    words = []
    for name, (table, _) in tabled.items():
        if "verdict" in table:
            words.append(said(table, "ways" if name == "ways" else "steps"))
        elif len(table):
            first, n = table.iloc[0], next(key for key in table if key.startswith("MAP@"))
            worse = table["model"][(table["ci_high"] < 0) & (table["p"] < 0.05)]
            words.append(
                f"{name.partition('-')[2]}: most is found by {first['model']}, {n} {first[n]:.3f} of "
                f"{first['n_queries']} queries; surely less by {', '.join(worse) or 'none'}."
            )
    return "\n".join(words)


def said(table: pd.DataFrame, what: str = "steps") -> str:
    """What helps and what doesn't, in words; of rows without a test only what their intervals say.

    Examples
    --------
    >>> said(pd.DataFrame({"model": ["aiSFX"], "step": ["whitened"], "verdict": ["hurts"], "ci_low": [-0.2],
    ...                    "ci_high": [-0.1]}))
    'Of 1 steps 0 help and 1 hurt, corrected for their number: hurts whitened (aiSFX). Uncorrected: 0 and 1.'
    """
    kinds, without = {}, table[table["verdict"] == UNTESTED]
    table = table.drop(without.index)
    for kind in ("helps", "hurts"):
        own = table[table["verdict"] == kind]
        of_step = own.groupby("step", sort=False)["model"].agg(", ".join)
        kinds[kind] = len(own), "; ".join(f"{step} ({models})" for step, models in of_step.items())
    named = "; ".join(f"{kind} {steps}" for kind, (_, steps) in kinds.items() if steps)
    alone = [("Uncorrected", table["ci_low"] > 0, table["ci_high"] < 0)]
    if OWN in table:
        alone.append((f"The same {OWN}", table[f"{OWN}, low"] > 0, table[f"{OWN}, high"] < 0))
    ends = (without["ci_low"] > 0).sum(), (without["ci_high"] < 0).sum()
    untested = f" {len(without)} more have no test: the interval of {ends[0]} is above 0, of {ends[1]} below."
    return (
        f"Of {len(table)} {what} {kinds['helps'][0]} help and {kinds['hurts'][0]} hurt, corrected for their "
        f"number{': ' * bool(named)}{named}."
        + "".join(f" {what}: {above.sum()} and {below.sum()}." for what, above, below in alone)
        + untested * bool(len(without))
    )
