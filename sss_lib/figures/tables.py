"""Scores to tables that a person reads: of one system, of several side by side, of single queries."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from sss_lib.dataset.dataset import Dataset
from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Scored
from sss_lib.experiment.results import system_of
from sss_lib.experiment.scores import (  # noqa: F401 - some are there for notebooks alone
    SYSTEM,
    best_systems,
    describe_system,
    distinct,
    heading,
    of_exact,
    of_systems,
    over_groups,
    select,
    simplicity,
)
from sss_lib.figures.text import conventions, marks, number, with_interval
from sss_lib.models import registry as models
from sss_lib.search.naming import GIVEN

CHANCE, CEILING = "Chance", "Ceiling (labels)"
DISTINCT, SEEN = "different classes", "†"
"""Heading of the macro mean over classes that hold different clips, and the mark of a model that was trained
on clips of FSD50K."""


def comparison(
    scores: pd.DataFrame,
    chance: pd.DataFrame,
    ceiling: pd.DataFrame | None = None,
    *,
    cutoffs: tuple[int, ...] = (15, 150),
    protocol: str | None = None,
    p: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Each model's best system between upper bound and chance, as in the paper's Table II.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of the systems that ran.
    chance, ceiling : pd.DataFrame
        Scores of random rankings, and of the best possible ones, on the same dataset.
    cutoffs : tuple of int
    protocol : str, optional
        As in `select`.
    p : mapping of str to float, optional
        By model: corrected p-value of its difference from the best in MAP at the first cutoff, shown as stars
        (`text.marks`).

    Returns
    -------
    pd.DataFrame
        One row a system: what it is, and macro MAP@N (higher is better) and MR1 (lower is better), each with
        its 95 % interval in brackets; then the first MAP over different classes (level macro_distinct), if
        the scores have that.
    """
    rows, names = [], display_names(scores)
    for _, system in best_systems(scores, cutoffs[0], protocol=protocol).iterrows():
        spec = models.spec(system["model"])
        own = of_systems(scores, system.to_frame().T.astype(scores[SYSTEM].dtypes.to_dict()))
        row = {
            "System": names[system["model"]] + (" (floor)" if spec.is_baseline else ""),
            "Processing and search": describe_system(system),
            "Modality": spec.modality,
            "Objective": spec.objective,
            "Parameters": spec.n_parameters,
            "Data": spec.data_size,
            "Trained on": spec.trained_on,
            "Dim": "-" if system["search"] == GIVEN else str(system_of(system)[0].dim),
        }
        row |= _measures(own, cutoffs, protocol)
        (mark,) = marks([(p or {}).get(system["model"], np.nan)])
        row[heading("MAP", cutoffs[0])] += f" {mark}".rstrip()
        rows.append(row)
    blank = dict.fromkeys(list(rows[0])[1:8], "-")
    if ceiling is not None:
        rows.insert(0, {"System": CEILING, **blank} | _measures(ceiling, cutoffs, protocol))
    rows.append({"System": CHANCE + " (expected)", **blank} | _measures(chance, cutoffs, protocol))
    return pd.DataFrame(rows)


def display_names(scores: pd.DataFrame) -> dict[str, str]:
    """Displayed name of each model of tidy scores; if it lacks clips that others have, also how many it has.

    That of a ranking that ends early says after which rank: see `ending`.

    Examples
    --------
    >>> display_names(pd.DataFrame({"model": ["aisfx", "logmel"], "covers": ["12 of 18 clips", ""]}))
    {'aisfx': 'aiSFX (12 of 18 clips)', 'logmel': 'Log-mel statistics'}
    >>> display_names(pd.DataFrame({"model": ["aisfx", "logmel"], "ends": [15, None]}))
    {'aisfx': 'aiSFX (ends at rank 15)', 'logmel': 'Log-mel statistics'}
    >>> display_names(pd.DataFrame({"model": ["pengi"]}))  # trained on clips of FSD50K
    {'pengi': 'Pengi †'}
    """
    own = {name: [has] if has else [] for name, has in _first(scores, "covers").items()}
    for name, rank in _first(scores, "ends").items():
        own[name] = [*own.get(name, []), *([] if pd.isna(rank) else [f"ends at rank {int(rank)}"])]
    shown = {name: f" ({', '.join(own[name])})" if own.get(name) else "" for name in scores["model"].unique()}
    return {name: display_name(name) + words for name, words in shown.items()}


def _first(scores: pd.DataFrame, column: str) -> dict:
    """Value of a column by model; nothing if the scores have no such column."""
    return dict(zip(scores["model"], scores[column], strict=True)) if column in scores else {}


def ending(scores: pd.DataFrame) -> str:
    """What it means that a ranking ends early, for a caption; "" if none does.

    Examples
    --------
    >>> ending(pd.DataFrame({"model": ["aisfx"]}))
    ''
    """
    if "ends" not in scores or scores["ends"].isna().all():
        return ""
    lower = "its MAP at a larger cutoff is a lower bound"
    return f"; of a ranking that ends early {lower}, and its MR1 leaves out queries that it does not answer"


def display_name(model: str) -> str:
    """Displayed name of a model, with a dagger if it was trained on clips of FSD50K."""
    spec = models.spec(model)
    return f"{spec.display_name} {SEEN}" if spec.has_seen("FSD50K") else spec.display_name


def seen(names: Iterable[str]) -> str:
    """Sentence for a caption that explains the dagger, if a model of these has one; else ""."""
    marked = any(models.spec(name).has_seen("FSD50K") for name in set(names))
    return f"{SEEN} trained on clips of FSD50K, whose sounds it may know." if marked else ""


def figure_caption(
    scores: pd.DataFrame, collection: Dataset, protocol: str | Protocol, n: int, on: str = ""
) -> str:
    """End of a figure's caption: dataset, protocol, N, what intervals resample, and what the dagger means.

    Parameters
    ----------
    scores : pd.DataFrame
        Those that are drawn.
    collection, protocol, n, on
        As in `text.caption`.
    """
    unit = "uploaders" if "clip_ci_low" in scores else "clips"
    n_classes = len(collection.labels) - collection.n_unqueryable()
    known = f"{on or collection.name}: {len(collection)} clips, {n_classes} classes queried, N = {n}"
    by = conventions("class", protocol)
    ends = ending(scores)
    return f"{known}, {by}; 95 % intervals over {unit}{ends}. {seen(scores['model'].unique())}".rstrip()


def dims(systems: pd.DataFrame) -> list[int]:
    """Dimensions of the clip embeddings of each system."""
    return [system_of(system)[0].dim for _, system in systems[SYSTEM].iterrows()]


def within(scores: pd.DataFrame, most: int, n: int = 15) -> pd.DataFrame:
    """Each model's best system whose embeddings have at most so many dimensions, and the terms of its use.

    Returns
    -------
    pd.DataFrame
        System, Processing and search, Dim, Licence of the weights, macro MAP@n with its interval; best first.
    """
    macro = select(of_exact(scores), "MAP", n)
    allowed = macro[np.array(dims(macro)) <= most]
    best = allowed
    if len(allowed):
        best = allowed.merge(best_systems(allowed, n).reset_index(), on=SYSTEM).sort_values("index")
    return pd.DataFrame(
        {
            "System": best["model"].map(display_names(scores)),
            "Processing and search": [describe_system(row) for _, row in best.iterrows()],
            "Dim": dims(best),
            "Licence": [models.spec(name).terms for name in best["model"]],
            heading("MAP", n): [with_interval(row) for row in best.to_dict("records")],
        }
    )


def with_coverage(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Table with how many clips each model, named in its first column, has embedded, if any lacks some.

    Where a ranking ends early, also with the rank that it ends at.
    """
    names = table.iloc[:, 0]
    if "covers" in scores:
        has = names.map(_first(scores, "covers")).fillna("").replace("", "all")
        table = table.assign(**{"has embedded": has})
    if "ends" in scores:
        table = table.assign(**{"ends at rank": names.map(_first(scores, "ends")).astype("Int64")})
    return table


def variations(scores: pd.DataFrame, n: int = 15, *, protocol: str | None = None) -> pd.DataFrame:
    """The best variation of each model, as in the paper's Table I.

    Variations of a model share its series: other weights, or another way to prepare its audio. Each counts
    with its best system by macro MAP@n.

    Returns
    -------
    pd.DataFrame
        Model, Best variation, Processing and search, MAP@n with its interval, Tried (number of variations),
        Next (the second best and its MAP@n, or "-"). Best model first.
    """
    best = best_systems(scores, n, protocol=protocol)
    measured = select(of_systems(scores, best), "MAP", n, protocol=protocol).set_index("model")
    of_series: dict[str, list[dict]] = {}
    names = display_names(scores)
    for _, system in best.iterrows():
        model = system["model"]
        about = {"shown": names[model], "words": describe_system(system), **measured.loc[model].to_dict()}
        of_series.setdefault(models.spec(model).series, []).append(about)
    rows = [
        {
            "Model": series,
            "Best variation": first["shown"],
            "Processing and search": first["words"],
            heading("MAP", n): with_interval(first),
            "Tried": 1 + len(others),
            "Next": f"{others[0]['shown']}, {number(others[0]['value'])}" if others else "-",
        }
        for series, (first, *others) in of_series.items()
    ]
    return pd.DataFrame(rows)


def _measures(scores: pd.DataFrame, cutoffs: tuple[int, ...], protocol: str | None) -> dict[str, str]:
    values = {}
    for metric, n in [*(("MAP", n) for n in cutoffs), ("MR1", None)]:
        (row,) = select(scores, metric, n, protocol=protocol).to_dict("records")
        values[heading(metric, n)] = with_interval(row)
    over, first = distinct(scores, "macro"), heading("MAP", cutoffs[0])
    if over != "macro":
        (row,) = select(scores, "MAP", cutoffs[0], level=over, protocol=protocol).to_dict("records")
        values[f"{first}, {DISTINCT}"] = with_interval(row)
    return values


def _convention(scores: pd.DataFrame) -> pd.Series:
    ranks = "ranks from " + scores["rank_base"].astype("string")
    return ("over " + scores["denominator"]).where(scores["denominator"] != "", ranks)


def protocol_differences(scores: pd.DataFrame, *, relevance: str = "class") -> pd.DataFrame:
    """Macro and micro scores under both protocols, and their difference: the paper's minus the standard's.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of one system under both protocols.
    relevance : str

    Returns
    -------
    pd.DataFrame
        metric, n, level, standard, paper, difference, and both denominators or first ranks.
    """
    found = scores[scores["level"].isin(["macro", "micro"]) & (scores["relevance"] == relevance)].copy()
    found["n"] = found["n"].astype("string").fillna("-")
    found["rule"] = _convention(found)
    keys = ["metric", "n", "level"]
    wide, rules = (
        found.pivot_table(index=keys, columns="protocol", values=values, aggfunc="first")
        for values in ("value", "rule")
    )
    wide = wide.assign(
        difference=wide["paper"] - wide["standard"], by=rules["standard"] + " | " + rules["paper"]
    )
    wide.columns.name = None
    return wide.reset_index()[[*keys, "standard", "paper", "difference", "by"]]


def by_relevance(scores: pd.DataFrame, n: int = 15, *, protocol: str = "standard") -> pd.DataFrame:
    """Macro score of each system by each definition of relevance: MAP@n, or NDCG@n for graded relevance.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of some systems.
    n : int
    protocol : str

    Returns
    -------
    pd.DataFrame
        The columns of `SYSTEM`, and a column a definition. Best system first, between ceiling and chance if
        the scores have them. The columns don't average over the same queries, as a query may have relevant
        clips by one definition and none by another: compare them with `comparisons.losses`.
    """
    found = scores[(scores["level"] == "macro") & (scores["protocol"] == protocol) & (scores["n"] == n)]
    rules = list(dict.fromkeys(found["relevance"]))
    as_text = {name: found[name].astype("string").fillna("-") for name in SYSTEM}
    by_system = found.assign(**as_text).set_index([*SYSTEM, "relevance"])["value"]
    wide = by_system.unstack()[rules]  # noqa: PD010 - pivot_table would drop a system whose scores are nan
    wide.columns.name = None
    wide = wide.reset_index().sort_values("class", ascending=False, kind="stable")
    first = found.drop_duplicates("relevance").set_index("relevance")
    bounds = {
        column: pd.DataFrame([dict.fromkeys(SYSTEM, "-") | {"model": name} | first[column].to_dict()])
        for name, column in ((CEILING, "ceiling"), (f"{CHANCE} (expected)", "chance"))
        if column in first
    }
    return pd.concat([bounds.get("ceiling"), wide, bounds.get("chance")], ignore_index=True)


def disagreements(
    results_a: tuple[Scored, Scored],
    results_b: tuple[Scored, Scored],
    fnames: Sequence[str],
    labels: Sequence[str],
    *,
    metric: str = "MAP",
    n: int | None = 15,
    level: str = "class",
    protocol: str = "standard",
) -> pd.DataFrame:
    """Queries of two systems, the largest difference of scores first.

    Parameters
    ----------
    results_a, results_b : pairs of per-query results
        Class-wise and micro.
    fnames, labels : sequence of str
    metric, n : str, int or None
        ("MAP", 15) or ("MR1", None).
    level : str
        "class" or "micro".
    protocol : str

    Returns
    -------
    pd.DataFrame
        fname, label ("" for micro), a, b, gap (a - b: positive where the first has the higher AP or R1).

    Raises
    ------
    ValueError
        If the level has no queries, or the metric wasn't scored.
    """
    if level not in ("class", "micro"):
        raise ValueError(f"level {level!r} has no queries: use class or micro")
    of_query = [_scores(results[level == "micro"], metric, n, protocol) for results in (results_a, results_b)]
    both = of_query[0].merge(of_query[1], on=["query", "label"], suffixes=("_a", "_b"))
    about: Mapping[str, object] = {
        "fname": [fnames[i] for i in both["query"]],
        "label": [labels[c] if c >= 0 else "" for c in both["label"]],
        "a": both["score_a"],
        "b": both["score_b"],
        "gap": both["score_a"] - both["score_b"],
    }
    table = pd.DataFrame(about)
    return table.iloc[np.argsort(-table["gap"].abs(), kind="stable")].reset_index(drop=True)


def _scores(queries: Scored, metric: str, n: int | None, protocol: str) -> pd.DataFrame:
    scores = queries.scores(protocol)
    if (metric, n) not in scores:
        available = ", ".join(map(str, scores))
        raise ValueError(f"metric={metric!r}, n={n} was not scored: use one of {available}")
    columns = {"query": queries.query, "label": queries.label, "score": scores[metric, n]}
    return pd.DataFrame(columns).dropna()


def class_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Every measure of each model's best system by class: MAP at each cutoff, and MR1.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores under one protocol.

    Returns
    -------
    pd.DataFrame
        class, queries, model, and a column a measure; a row a class and model, the best model first.
    """
    best = best_systems(scores, int(scores["n"].min()))
    own = of_systems(scores, best)
    own = own[(own["level"] == "class") & (own["relevance"] == "class")]
    own = own.assign(measure=list(map(heading, own["metric"], own["n"])))
    keys = {"model": pd.Categorical(own["model"], best["model"])}
    of_queries = own.groupby(["name", "model"])["n_queries"].max()
    table = own.assign(**keys).pivot_table(
        index=["name", "model"], columns="measure", values="value", sort=True, observed=True
    )
    table = table[list(dict.fromkeys(own["measure"]))].reset_index().astype({"model": str})
    table.insert(1, "queries", [of_queries[key] for key in zip(table["name"], table["model"], strict=True)])
    return table.rename(columns={"name": "class"}).rename_axis(columns=None)
