"""Every score that was computed in this checkout, in one table and on one page.

`python -m sss_lib leaderboard` collects new evaluation results, prints each dataset's best systems,
and writes the page.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sss_lib.experiment.results import system_of
from sss_lib.experiment.scores import SYSTEM, describe_system, of_exact, simplicity
from sss_lib.experiment.store import DamagedArtefactError, Store, replacing
from sss_lib.experiment.variant import Variant
from sss_lib.figures.text import listening_address, number
from sss_lib.io import sealed
from sss_lib.io.artefact import locked
from sss_lib.io.csv_text import csv_text
from sss_lib.models import registry as models
from sss_lib.models.naming import HEAR
from sss_lib.models.spec import ModelSpec
from sss_lib.search.naming import parse

TEMPLATE = Path(__file__).parent / "leaderboard.html"
LEVELS = ("macro", "micro")
BOUNDS = {"ceiling": "Upper bound", "chance": "Chance"}
"""Columns of scores that say what the labels allow, and what a random order scores; see `bounds`."""
KEYS = ["dataset", "clips", *SYSTEM, "protocol", "level"]
_TEXTS = ("digest", "dataset", "metric", "protocol", "level", "model", "aggregation", "search")
_TYPES = [pa.field(name, pa.string(), nullable=False) for name in _TEXTS]
_TYPES += [pa.field(name, pa.int64()) for name in ("n", "n_components")]
_TYPES += [pa.field(name, pa.float64()) for name in ("value", "ci_low", "ci_high")]
_TYPES += [pa.field("normalize", pa.bool_(), nullable=False)]
OF_OURS = (
    "Restore a backup, as it alone has scores whose results are gone; or delete it, and the existing results "
    "are collected again"
)
"""Remedy for the scores of this checkout."""


def collect(store: Store) -> pd.DataFrame:
    """Scores of all evaluation results, including earlier ones whose files were replaced or deleted.

    Writes them to leaderboard.parquet beside the evaluation results.

    Parameters
    ----------
    store : Store

    Returns
    -------
    pd.DataFrame
        Tidy macro and micro scores, each with the `digest` of its evaluation result, the `version` and `code`
        that computed it, and whether the result still exists (`present`).
    """
    with _locked(store):
        return _collect(store)


def _locked(store: Store) -> contextlib.AbstractContextManager:
    """Lock that keeps the scores of another run from being lost; none where there are no scores at all."""
    path = store.leaderboard_path()
    has_scores = path.is_file() or any(True for _ in store.all_scores())
    return locked(path) if has_scores else contextlib.nullcontext()


def _collect(store: Store) -> pd.DataFrame:
    path = store.leaderboard_path()
    known = _known(path)
    found, present, collected = [known], set(), set(known["digest"])
    for artefact in store.all_scores():
        try:
            about = artefact.metadata()
            present.add(about["digest"])
            if about["digest"] in collected:
                continue
            scores = artefact.read().to_pandas()
        except DamagedArtefactError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        scores = scores[scores["level"].isin(LEVELS)]
        recipe = about["recipe"]
        version = about.get("version", recipe.get("version"))  # older artefacts have it in the recipe
        clips = about.get("clips", {"n": 0, "digest": ""})  # older artefacts don't say
        scores = scores.assign(n_clips=clips["n"], clips=clips["digest"])
        found.append(scores.assign(digest=about["digest"], version=version, code=recipe["code"]))
    every = pd.concat([one for one in found if len(one)] or found, ignore_index=True)
    every = every.reindex(columns=[*dict.fromkeys([*every, "n_clips", "clips"])])
    if "level" not in every:
        raise ValueError(f"there are no scores under {path.parent}: run a grid first, as with `make run`")
    every["present"] = every["digest"].isin(present)
    sealed.write(path, pa.Table.from_pandas(every, preserve_index=False), {})
    return every


def merge(store: Store, others: Iterable[Path]) -> None:
    """Add the scores of others' leaderboard.parquet to this one.

    Parameters
    ----------
    store : Store
    others : iterable of Path

    Raises
    ------
    ValueError
        If a file is missing, damaged or has other columns or values than scores have; or if it has scores of
        a dataset of the same name but of other clips: those don't compare. Nothing is added then.
    """
    with _locked(store):
        own = _merged(store, others)
        sealed.write(store.leaderboard_path(), pa.Table.from_pandas(own, preserve_index=False), {})


def _merged(store: Store, others: Iterable[Path]) -> pd.DataFrame:
    own = _collect(store)
    for path in others:
        if not path.is_file():
            raise ValueError(f"{path} does not exist: give the leaderboard.parquet of another data folder")
        theirs = _known(path, "Get it again from where it came")
        _require_scores(theirs, path)
        theirs = theirs[~theirs["digest"].isin(own["digest"])]
        of_clips = theirs.reindex(columns=["dataset", "clips", "n_clips"]).astype(object)
        of_clips = of_clips.fillna("").drop_duplicates()
        for dataset, clips, n in of_clips.itertuples(index=False):
            here = own.loc[own["dataset"] == dataset, ["clips", "n_clips"]].drop_duplicates()
            if not clips or (len(here) and clips not in set(here["clips"])):
                known = ", ".join(f"{m:.0f} ({digest})" for digest, m in here.itertuples(index=False))
                raise ValueError(
                    f"{path} has scores of {n or 'unknown'} clips ({clips or 'no digest'}) of {dataset}; "
                    f"here it has {known or 'none'}: score the same clips, or give one another name by --name"
                )
        own = pd.concat([own, theirs.assign(present=False)], ignore_index=True)
    return own


def _known(path: Path, remedy: str = OF_OURS) -> pd.DataFrame:
    """Read the scores collected earlier. Raises DamagedArtefactError if the file can't be read."""
    if not path.is_file():
        return pd.DataFrame({"digest": []})
    try:
        if not sealed.is_unsealed(path):  # earlier versions had no seals
            sealed.require_intact(path)
        known, problem = pd.read_parquet(path), "it has no digests"
    except (ValueError, OSError) as error:  # errors of pyarrow are one or the other
        known, problem = pd.DataFrame(), str(error)
    if "digest" not in known:
        raise DamagedArtefactError(f"{path} is damaged: {problem}. {remedy}")
    return known


def _require_scores(theirs: pd.DataFrame, path: Path) -> None:
    """Raise ValueError for what `ranked` and `page` can't show: once added, it would end every later call."""
    try:
        pa.Table.from_pandas(theirs, pa.schema(_TYPES))
        most = theirs["metric"].map({"MAP": 1.0, "MR1": np.finfo(float).max})
        if (odd := theirs["value"][(theirs["value"] < 0) | (theirs["value"] > most)]).size:
            raise ValueError(f"value {odd.iloc[0]:g} of {theirs['metric'][odd.index[0]]}")
        if len(theirs):
            page(ranked(theirs))
    except (KeyError, TypeError, ValueError) as error:  # errors of pyarrow are of these kinds
        raise ValueError(
            f"{path} has no scores as this project writes them ({error}): give leaderboard.parquet of a data "
            "folder"
        ) from None


def ranked(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a dataset, protocol, level and system, best system first; of equal ones the simplest.

    Systems that were scored on different clips of a dataset are not ranked together: if there are such, a
    dataset's name is followed by how many clips, and a digest of which.

    Returns
    -------
    pd.DataFrame
        The columns that identify a row and `over`, what its intervals draw: uploaders, or queries where clips
        have none. Then MAP@N and MR1 as numbers, each with `... low`, `... high`, `... chance` and
        `... ceiling`.
    """
    own = scores[scores["relevance"] == "class"] if "relevance" in scores else scores
    optional = ["transform", "scale", "group_ci_low", "group_ci_high", *BOUNDS]
    own = own[own["metric"].isin(["MAP", "MR1"])].reindex(columns=[*dict.fromkeys([*own, *optional])])
    missing = {"clips": "", "n_clips": 0, "transform": "none", "scale": False}  # of older scores
    own = own.assign(**{key: own[key].astype(object).fillna(fill) for key, fill in missing.items()})
    own = own.astype(dict.fromkeys([*optional[2:]], float))
    grouped = own["group_ci_low"].notna().groupby(own["digest"]).transform("any")
    ends = {end: own[f"group_{end}"].where(grouped, own[end]) for end in ("ci_low", "ci_high")}
    own = own.assign(over=np.where(grouped, "uploaders", "queries"), **ends)
    several = own.groupby("dataset")["clips"].transform("nunique") > 1
    n_clips = own["n_clips"].astype(int).astype(str).replace("0", "unknown")
    named = own["dataset"] + ", " + n_clips + " clips (" + own["clips"] + ")"
    own = own.assign(dataset=named.where(several, own["dataset"]))
    cutoff = own["n"].astype("Int64").astype("string").fillna("")
    own = own.assign(measure=own["metric"].where(own["n"].isna(), own["metric"] + "@" + cutoff))
    keys = [*KEYS, "digest", "present", "over"]
    own = own.drop_duplicates([*keys, "measure"], keep="last")
    parts = []
    for measure, rows in own.groupby("measure", sort=False):
        names = {"value": measure, "ci_low": f"{measure} low", "ci_high": f"{measure} high"}
        names |= {bound: f"{measure} {bound}" for bound in BOUNDS}
        parts.append(rows.rename(columns=names)[[*keys, *names.values()]])
    wide = functools.reduce(lambda left, right: left.merge(right, on=keys, how="outer"), parts)
    by = ["dataset", "protocol", "level", "rounded", "simplicity"]
    wide = wide.assign(rounded=wide[_measures(wide)[0]].round(9), simplicity=simplicity(wide))
    wide = wide.sort_values(by, ascending=[True, True, True, False, True], kind="stable")
    return wide.drop(columns=by[-2:]).reset_index(drop=True)


def findings(store: Store, table: pd.DataFrame) -> dict[tuple[str, str], dict[str, str]]:
    """What to listen to of each dataset's models: the query that its best system ranks most unlike another's.

    Parameters
    ----------
    store : Store
    table : pd.DataFrame
        From `ranked`.

    Returns
    -------
    dict
        By dataset and model: `q`, the query, and `beside`, the other system, which is the best one of all,
        or the next model's for that itself. Those without scores of single queries have none.
    """
    found = {}
    for dataset, own in _standard(table).groupby("dataset", sort=False):
        queries = {_name(one): one for one in store.evaluated(dataset) if _spec(one["model"])}
        best = of_exact(own[own["model"].map(_spec).notna()]).drop_duplicates("model").to_dict("records")
        names = {about["model"]: _name(about) for about in best}
        scores = {}
        for model, name in names.items():
            with contextlib.suppress(KeyError, OSError, ValueError):  # its scores may be gone, or damaged
                scores[model] = _scores_of_queries(store, dataset, queries[name])
        for model, of_model in scores.items():
            other = next((one for one in scores if one != model), None)
            gap = (of_model - scores[other]).abs().dropna() if other else of_model.iloc[:0]
            if len(gap):
                found[dataset, model] = {"q": gap.idxmax(), "beside": names[other]}
    return found


def _standard(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["protocol"] == "standard") & (table["level"] == "macro") & table["present"]]


def _system(about: Mapping) -> tuple[Variant, str]:
    return system_of(pd.Series({key: about[key] for key in SYSTEM if key in about}, dtype=object))


def _name(about: Mapping) -> str:
    """Name of a system, as the listening page's address has it."""
    variant, search = _system(about)
    return f"{variant.name}/{search}"


def _scores_of_queries(store: Store, dataset: str, about: dict) -> pd.Series:
    """AP of each query at the first cutoff, any shared class being relevant, by fname."""
    of_queries = store.per_query(dataset, *_system(about), cutoffs=about["cutoffs"])
    scores = of_queries.read().to_pandas()
    is_own = (scores["protocol"] == "standard") & (scores["relevance"] == "class") & (scores["label"] == "")
    return scores[is_own].set_index("fname")[f"AP@{about['cutoffs'][0]}"]


def page(table: pd.DataFrame, of_models: Mapping[tuple[str, str], dict[str, str]] | None = None) -> str:
    """HTML page of `ranked` that sorts and filters without a network.

    Each of its rows brings its line of the CSV that the page saves. Chance and the upper bound are rows of
    their own, once for each dataset, protocol and level. Links to listen show `findings`, if those are given.
    """
    measures = _measures(table)
    of_models = of_models or {}
    rows = [
        _row(one, measures, of_models.get((one["dataset"], one["model"]))) for one in table.to_dict("records")
    ]
    for _, own in table.groupby(["dataset", "protocol", "level"], sort=False):
        for bound, name in BOUNDS.items():
            of_bound = {measure: own[f"{measure} {bound}"].max() for measure in measures}
            if not all(map(pd.isna, of_bound.values())):  # as in older scores
                about = own.iloc[0][["dataset", "protocol", "level"]].to_dict()
                rows.append(_row({**about, **of_bound, "bound": name}, measures))
    head = ["Dataset", "Protocol", "Level", "System", "Processing and search"]
    head += [f"{name}{end}" for name in measures for end in ("", " low", " high")]
    head += ["Intervals over", "Dimension", "Bytes a clip", "Licence", "Digest"]
    content = json.dumps({"measures": measures, "rows": rows, "head": csv_text([head])}, allow_nan=False)
    content = content.replace("<", "\\u003c")  # no name can close the script
    return TEMPLATE.read_text(encoding="utf-8").replace("{{content}}", content)


def _row(about: dict, measures: list[str], finding: dict[str, str] | None = None) -> dict:
    """What the page shows of a system, or of a bound, and its line of the CSV."""
    row = {name: about[name] for name in ("dataset", "protocol", "level")}
    values = [[_finite(about.get(f"{name}{end}")) for end in ("", " low", " high")] for name in measures]
    if "bound" in about:
        row |= {"system": about["bound"], "how": "", "bound": True, "present": True, "digest": "", "over": ""}
        row |= {"dim": None, "bytes": None, "licence": "", "listen": ""}
    else:
        row |= {"system": display_name(about["model"]), "how": describe_system(about)}
        row |= {"present": bool(about["present"]), "digest": about["digest"][:12], "over": about["over"]}
        row |= _costs(about, finding)
    cells = [row[name] for name in ("dataset", "protocol", "level", "system", "how")]
    cells += [value for of_measure in values for value in of_measure]
    cells += [row[name] for name in ("over", "dim", "bytes", "licence", "digest")]
    return row | {"measures": values, "csv": csv_text([cells])}


def _costs(about: dict, finding: dict[str, str] | None) -> dict:
    """Dimension, bytes a clip of float32, licence and link of a system; of models that are gone none."""
    found: dict = {"dim": None, "bytes": None, "licence": "", "listen": ""}
    if (spec := _spec(about["model"])) is None:
        return found
    variant, search = _system(about)
    if not variant.is_ranking:  # which has no space
        is_exact = parse(search).is_exact  # an index holds other bytes
        found |= {"dim": variant.dim, "bytes": 4 * variant.dim if is_exact else None}
    if about["present"]:
        names, words = [_name(about)], {}
        if finding:
            names, words = [*names, finding["beside"]], {"q": finding["q"]}
        found["listen"] = listening_address(names, **words)
    return found | {"licence": spec.terms}


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _measures(table: pd.DataFrame) -> list[str]:
    """Return the columns of measures, without their intervals: MAP@N by N, then MR1."""
    found = [name for name in table if name.startswith(("MAP@", "MR1")) and " " not in name]
    return sorted(found, key=lambda name: (name == "MR1", int(name[4:]) if "@" in name else 0))


def _printed(best: pd.DataFrame) -> str:
    words = [describe_system(row) for row in best.to_dict("records")]
    columns = {"System": best["model"].map(display_name), "Processing and search": words}
    for name in _measures(best):
        columns[name] = [number(value, 3 if "@" in name else 1) for value in best[name]]
    return pd.DataFrame(columns).to_string(index=False)


def display_name(model: str) -> str:
    """Displayed name of a model; its catalogue name if it has left the catalogue."""
    spec = _spec(model)
    return spec.display_name if spec else model


@functools.cache
def _spec(model: str) -> ModelSpec | None:
    """Row of a model, or None: it has left the catalogue, or is code of others, which reading imports not."""
    if model.startswith(HEAR):
        return None
    try:
        return models.spec(model)
    except (ValueError, OSError):
        return None


def publish(store: Store, path: Path | None = None) -> None:
    """Collect all scores, write the page, and print each dataset's best systems.

    Parameters
    ----------
    store : Store
    path : Path, optional
        Of the page; by default beside the scores.

    Raises
    ------
    ValueError
        If there are no scores, or those collected before can't be read.
    """
    table = ranked(collect(store))
    path = path or store.leaderboard_path().with_suffix(".html")
    with replacing(path) as temporary:
        temporary.write_text(page(table, findings(store, table)), encoding="utf-8")
    for dataset, own in _standard(table).groupby("dataset", sort=False):
        own = of_exact(own)  # the best system is chosen among exact searches, as in notebook 05
        print(f"\n{dataset}: each model's best of {len(own)} systems, macro, protocol 'standard'\n")
        print(_printed(own.drop_duplicates("model")))
    print(f"\n{len(table)} rows, also of results that are gone: {path}")
