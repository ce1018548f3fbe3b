"""Every score that was ever computed in this checkout, in one table and on one page.

`python -m sss_lib leaderboard` collects what is new among the evaluation results, prints each dataset's best
systems, and writes the page.
"""

import functools
import json
import sys
from pathlib import Path

import pandas as pd

from sss_lib.experiment.store import DamagedArtefactError, Store, replacing
from sss_lib.figures import tables
from sss_lib.models import registry as models

TEMPLATE = Path(__file__).parent / "leaderboard.html"
LEVELS = ("macro", "micro")
KEYS = ["dataset", *tables.SYSTEM, "protocol", "level"]


def collect(store: Store) -> pd.DataFrame:
    """Scores of all evaluation results, with those that were collected before and have gone since.

    Writes them to leaderboard.parquet among the evaluation results.

    Parameters
    ----------
    store : Store

    Returns
    -------
    pd.DataFrame
        Tidy scores at the levels macro and micro, each with the `digest` of the result that it comes from,
        the `version` and `code` that computed it, and whether that result is still there (`present`).
    """
    path = store.leaderboard_path()
    known = _known(path)
    found, present = [known], set()
    for artefact in store.all_scores():
        try:
            about = artefact.metadata()
            present.add(about["digest"])
            if about["digest"] in set(known["digest"]):
                continue
            scores = artefact.read().to_pandas()
        except DamagedArtefactError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        scores = scores[scores["level"].isin(LEVELS)]
        recipe = about["recipe"]
        found.append(
            scores.assign(
                digest=about["digest"],
                version=about.get("version", recipe.get("version")),
                code=recipe["code"],
            )
        )
    every = pd.concat([one for one in found if len(one)] or found, ignore_index=True)
    if "level" not in every:
        raise ValueError(f"there are no scores under {path.parent}: run a grid first, as with `make run`")
    every["present"] = every["digest"].isin(present)
    with replacing(path) as temporary:
        every.to_parquet(temporary, index=False)
    return every


def _known(path: Path) -> pd.DataFrame:
    """Return what was collected before; raises DamagedArtefactError if that can't be read."""
    if not path.is_file():
        return pd.DataFrame({"digest": []})
    try:
        known, problem = pd.read_parquet(path), "it has no digests"
    except (ValueError, OSError) as error:  # those of pyarrow are such
        known, problem = pd.DataFrame(), str(error)
    if "digest" not in known:
        raise DamagedArtefactError(
            f"{path} is damaged: {problem}. Restore a copy of it if there is one, since scores whose results "
            "are gone are in it alone; or delete it, and the results that are there are collected anew"
        )
    return known


def ranked(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a system, dataset, protocol and level, best first: its measures with their intervals.

    Of equal systems the simplest comes first.

    Returns
    -------
    pd.DataFrame
        The columns that tell a system, then MAP@N and MR1 as numbers, each with `... low` and `... high`.
    """
    own = scores[scores["relevance"] == "class"] if "relevance" in scores else scores
    own = own[own["metric"].isin(["MAP", "MR1"])]
    cutoff = own["n"].astype("Int64").astype("string").fillna("")
    own = own.assign(measure=own["metric"].where(own["n"].isna(), own["metric"] + "@" + cutoff))
    keys = [*KEYS, "digest", "present"]
    own = own.drop_duplicates([*keys, "measure"], keep="last")
    parts = []
    for measure, rows in own.groupby("measure", sort=False):
        names = {"value": measure, "ci_low": f"{measure} low", "ci_high": f"{measure} high"}
        parts.append(rows.rename(columns=names)[[*keys, *names.values()]])
    wide = functools.reduce(lambda left, right: left.merge(right, on=keys, how="outer"), parts)
    first = min((c for c in wide if c.startswith("MAP@") and c[4:].isdigit()), key=lambda c: int(c[4:]))
    by = ["dataset", "protocol", "level", "rounded", "simplicity"]
    wide = wide.assign(rounded=wide[first].round(9), simplicity=tables.simplicity(wide))
    wide = wide.sort_values(by, ascending=[True, True, True, False, True], kind="stable")
    return wide.drop(columns=by[-2:]).reset_index(drop=True)


def page(table: pd.DataFrame) -> str:
    """Self-contained HTML page of `ranked`: sortable, filterable, without any network."""
    measures = _measures(table)
    rows = [
        {
            "dataset": row["dataset"],
            "protocol": row["protocol"],
            "level": row["level"],
            "system": display_name(row["model"]),
            "how": tables.describe_system(row),
            "present": bool(row["present"]),
            "digest": row["digest"][:12],
            "measures": [
                [
                    None if pd.isna(row[f"{name}{end}"]) else row[f"{name}{end}"]
                    for end in ("", " low", " high")
                ]
                for name in measures
            ],
        }
        for row in table.to_dict("records")
    ]
    content = json.dumps({"measures": measures, "rows": rows}).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("{{content}}", content)


def _measures(table: pd.DataFrame) -> list[str]:
    """Return the columns of measures, without their intervals: MAP@N by N, then MR1."""
    found = [c for c in table if c.startswith(("MAP@", "MR1")) and not c.endswith((" low", " high"))]
    return sorted(found, key=lambda name: (name == "MR1", int(name[4:]) if "@" in name else 0))


@functools.cache
def display_name(model: str) -> str:
    """Name of a model to show; its plain name if it is no longer in the catalogue."""
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
        own = tables.of_exact(own)  # as 05 chooses
        best = own.drop_duplicates("model")
        print(f"\n{dataset}: each model's best of {len(own)} systems, macro, protocol 'standard'\n")
        printed = pd.DataFrame(
            {
                "System": best["model"].map(display_name),
                "Processing and search": [tables.describe_system(row) for row in best.to_dict("records")],
                **{
                    name: [tables.number(value, 3 if "@" in name else 1) for value in best[name]]
                    for name in _measures(best)
                },
            }
        )
        print(printed.to_string(index=False))
    print(f"\n{len(table)} rows, also of results that are gone: {path}")
