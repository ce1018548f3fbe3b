"""Every score that was computed in this checkout, in one table and on one page.

`python -m sss_lib leaderboard` collects new evaluation results, prints each dataset's best systems,
and writes the page.
"""

import functools
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sss_lib.experiment.scores import SYSTEM, describe_system, of_exact, simplicity
from sss_lib.experiment.store import DamagedArtefactError, Store, replacing
from sss_lib.figures.text import number
from sss_lib.io import sealed
from sss_lib.models import registry as models
from sss_lib.models.naming import HEAR

TEMPLATE = Path(__file__).parent / "leaderboard.html"
LEVELS = ("macro", "micro")
KEYS = ["dataset", "clips", *SYSTEM, "protocol", "level"]
_TEXTS = ("digest", "dataset", "metric", "protocol", "level", "model", "aggregation", "search")
_TYPES = [pa.field(name, pa.string(), nullable=False) for name in _TEXTS]
_TYPES += [pa.field(name, pa.int64()) for name in ("n", "n_components")]
_TYPES += [pa.field(name, pa.float64()) for name in ("value", "ci_low", "ci_high")]
_TYPES += [pa.field("normalize", pa.bool_(), nullable=False)]


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
    own = collect(store)
    for path in others:
        if not path.is_file():
            raise ValueError(f"{path} does not exist: give the leaderboard.parquet of another data folder")
        theirs = _known(path)
        _require_scores(theirs, path)
        theirs = theirs[~theirs["digest"].isin(own["digest"])]
        of_clips = theirs.reindex(columns=["dataset", "clips", "n_clips"]).fillna("").drop_duplicates()
        for dataset, clips, n in of_clips.itertuples(index=False):
            here = own.loc[own["dataset"] == dataset, ["clips", "n_clips"]].drop_duplicates()
            if not clips or (len(here) and clips not in set(here["clips"])):
                known = ", ".join(f"{m:.0f} ({digest})" for digest, m in here.itertuples(index=False))
                raise ValueError(
                    f"{path} has scores of {n or 'unknown'} clips ({clips or 'no digest'}) of {dataset}; "
                    f"here it has {known or 'none'}: score the same clips, or give one another name by --name"
                )
        own = pd.concat([own, theirs.assign(present=False)], ignore_index=True)
    sealed.write(store.leaderboard_path(), pa.Table.from_pandas(own, preserve_index=False), {})


def _known(path: Path) -> pd.DataFrame:
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
        raise DamagedArtefactError(
            f"{path} is damaged: {problem}. Restore a backup, as it alone has scores whose results are "
            "gone; or delete it, and the existing results are collected again"
        )
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
        The columns that identify a row, then MAP@N and MR1 as numbers, each with `... low` and `... high`.
    """
    own = scores[scores["relevance"] == "class"] if "relevance" in scores else scores
    own = own[own["metric"].isin(["MAP", "MR1"])].reindex(columns=[*dict.fromkeys([*own, "transform"])])
    missing = {"clips": "", "n_clips": 0, "transform": "none"}  # of older scores
    own = own.assign(**{key: own[key].fillna(fill) for key, fill in missing.items()})
    several = own.groupby("dataset")["clips"].transform("nunique") > 1
    n_clips = own["n_clips"].astype(int).astype(str).replace("0", "unknown")
    named = own["dataset"] + ", " + n_clips + " clips (" + own["clips"] + ")"
    own = own.assign(dataset=named.where(several, own["dataset"]))
    cutoff = own["n"].astype("Int64").astype("string").fillna("")
    own = own.assign(measure=own["metric"].where(own["n"].isna(), own["metric"] + "@" + cutoff))
    keys = [*KEYS, "digest", "present"]
    own = own.drop_duplicates([*keys, "measure"], keep="last")
    parts = []
    for measure, rows in own.groupby("measure", sort=False):
        names = {"value": measure, "ci_low": f"{measure} low", "ci_high": f"{measure} high"}
        parts.append(rows.rename(columns=names)[[*keys, *names.values()]])
    wide = functools.reduce(lambda left, right: left.merge(right, on=keys, how="outer"), parts)
    by = ["dataset", "protocol", "level", "rounded", "simplicity"]
    wide = wide.assign(rounded=wide[_measures(wide)[0]].round(9), simplicity=simplicity(wide))
    wide = wide.sort_values(by, ascending=[True, True, True, False, True], kind="stable")
    return wide.drop(columns=by[-2:]).reset_index(drop=True)


def page(table: pd.DataFrame) -> str:
    """HTML page of `ranked` that sorts and filters without a network."""
    measures = _measures(table)
    columns = [[f"{name}{end}" for end in ("", " low", " high")] for name in measures]
    rows = [
        {name: row[name] for name in ("dataset", "protocol", "level")}
        | {"system": display_name(row["model"]), "how": describe_system(row)}
        | {"present": bool(row["present"]), "digest": row["digest"][:12]}
        | {"measures": [[None if pd.isna(row[one]) else row[one] for one in names] for names in columns]}
        for row in table.to_dict("records")
    ]
    content = json.dumps({"measures": measures, "rows": rows})
    content = content.replace("<", "\\u003c")  # no name can close the script
    return TEMPLATE.read_text(encoding="utf-8").replace("{{content}}", content)


def _measures(table: pd.DataFrame) -> list[str]:
    """Return the columns of measures, without their intervals: MAP@N by N, then MR1."""
    found = [c for c in table if c.startswith(("MAP@", "MR1")) and not c.endswith((" low", " high"))]
    return sorted(found, key=lambda name: (name == "MR1", int(name[4:]) if "@" in name else 0))


def _printed(best: pd.DataFrame) -> str:
    words = [describe_system(row) for row in best.to_dict("records")]
    columns = {"System": best["model"].map(display_name), "Processing and search": words}
    for name in _measures(best):
        columns[name] = [number(value, 3 if "@" in name else 1) for value in best[name]]
    return pd.DataFrame(columns).to_string(index=False)


@functools.cache
def display_name(model: str) -> str:
    """Displayed name of a model; its catalogue name if it has left the catalogue.

    To read scores imports nobody's module.
    """
    if model.startswith(HEAR):
        return model
    try:
        return models.spec(model).display_name
    except (ValueError, OSError):
        return model


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
        temporary.write_text(page(table), encoding="utf-8")
    shown = table[(table["protocol"] == "standard") & (table["level"] == "macro") & table["present"]]
    for dataset, own in shown.groupby("dataset", sort=False):
        own = of_exact(own)  # the best system is chosen among exact searches, as in notebook 05
        print(f"\n{dataset}: each model's best of {len(own)} systems, macro, protocol 'standard'\n")
        print(_printed(own.drop_duplicates("model")))
    print(f"\n{len(table)} rows, also of results that are gone: {path}")
