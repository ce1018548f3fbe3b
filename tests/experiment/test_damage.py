"""600 mutations of every kind of artefact: none changes a number or a name in silence, each is named."""

import collections
import json
import random
import shutil

import numpy as np
import pytest
import small_study

from sss_lib import dataset, extraction
from sss_lib.experiment import results
from sss_lib.experiment import task as tasks
from sss_lib.experiment.grid import Grid
from sss_lib.experiment.store import Store
from sss_lib.experiment.task import Task
from sss_lib.figures import leaderboard
from sss_lib.io import artefact as artefacts
from sss_lib.io.artefact import Artefact, DamagedArtefactError, StaleArtefactError
from sss_lib.search.index import Index

NAME = small_study.NAME
PCA, RAW, DURATION = small_study.SYSTEMS
EACH = 50
WAYS = ("bit", "byte", "cut", "zero", "empty", "swap", "append", "footer")
GRID = Grid(("logmel",), n_components=(3,), searches=("nns",), cutoffs=(3, 10))


def mutated(content, other, how, rng):
    changed, n = bytearray(content), len(content)
    footer = max(0, n - 8 - int.from_bytes(content[-8:-4], "little")) if content[-4:] == b"PAR1" else 0
    at = rng.randrange(n)
    if how == "bit":
        changed[at] ^= 1 << rng.randrange(8)
    elif how == "byte":
        changed[at] = rng.randrange(256)
    elif how == "footer":
        changed[rng.randrange(footer, n)] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del changed[at:]
    elif how == "zero":
        changed[at : at + 200] = bytes(len(changed[at : at + 200]))
    elif how == "append":
        changed += rng.randbytes(9)
    else:
        return b"" if how == "empty" or other is None else other
    return bytes(changed)


def shown(table):
    return table.to_pandas().to_json(double_precision=15) + str(table.schema.remove_metadata())


def kinds(folder, other):
    """Path, reader and another run's file, by kind; a reader makes a new store, as a run does."""

    def store():
        return Store(folder)

    def of_dataset():
        found = dataset.read(store().dataset(NAME))
        return [found.clips.to_json(), found.families, found.labels, found.name]

    def of_frames():
        frames = extraction.read(store().frames(NAME, "logmel"))
        return [frames.fnames, frames.values.tolist(), frames.offsets.tolist()]

    def of_queries():
        found = dataset.read(store().dataset(NAME)).select(of_frames()[0])
        of_all = results.results_of(store(), NAME, PCA, "nns", (3, 10), found)
        return [{str(key): value.tolist() for key, value in one.scores("standard").items()} for one in of_all]

    def of_leaderboard():
        return leaderboard._known(folder / "leaderboard.parquet").to_json(double_precision=15)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    indexes = {name: Artefact(folder / f"{name}.parquet", {"search": "nns"}) for name in ("index", "other")}
    for name, one in indexes.items():
        Index.build([f"{name}{i}" for i in range(60)], x, "nns").write(one)

    def of_index():
        ranked = Index.read(indexes["index"]).rank(x[:5], 3)
        return [ranked.neighbours.tolist(), ranked.scores.tolist()]

    done = Task("02_processing", "x", {"model": "a"}, ())
    notebook = done.executed(folder / "runs")
    executed = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": 1,
                "metadata": {},
                "source": [code],
                "outputs": ["0.173"],
            }
            for code in tasks._code_of("02_processing")
        ],
        "metadata": {"papermill": {"exception": None, "parameters": {"model": "a"}}},
    }
    executed["metadata"]["sss_lib"] = {"digest": tasks._digest(executed)}
    notebook.parent.mkdir(parents=True)
    notebook.write_text(json.dumps(executed))

    def of_notebook():
        if not done.is_current(folder / "runs"):
            raise DamagedArtefactError(f"{notebook}: made again")
        return json.loads(notebook.read_text())

    embeddings, fitted = store().embeddings(NAME, PCA), store().fitted(NAME, PCA)
    rankings, scores = (
        store().ranking(NAME, PCA, "nns", top_n=10),
        store().scores(NAME, PCA, "nns", cutoffs=(3, 10)),
    )
    parts = folder / "embeddings" / NAME / "logmel"
    embeddings.mapped("embedding")
    store().embeddings(NAME, RAW).mapped("embedding")
    leaderboard.collect(store())
    raw = store().embeddings(NAME, RAW).path
    copies = [path.with_name(f".{path.stem}.embedding.npy") for path in (embeddings.path, raw)]
    raw_scores = store().scores(NAME, RAW, "mips", cutoffs=(3, 10))
    return {
        "dataset": (store().dataset(NAME).path, of_dataset, other / "datasets" / "other.parquet"),
        "part": (parts / "part-00000.parquet", of_frames, parts.with_name("duration") / "part-00000.parquet"),
        "parts": (parts / "parts.parquet", of_frames, parts.with_name("duration") / "parts.parquet"),
        "embeddings": (embeddings.path, lambda: shown(store().embeddings(NAME, PCA).read()), raw),
        "copy": (copies[0], lambda: store().embeddings(NAME, PCA).mapped("embedding").tolist(), copies[1]),
        "fitted": (
            fitted.path,
            lambda: store().read_fitted(NAME, PCA)(np.ones((1, 128), np.float32)).tolist(),
            store().fitted(NAME, RAW).path,
        ),
        "ranking": (
            rankings.path,
            lambda: shown(store().ranking(NAME, PCA, "nns", top_n=10).read()),
            store().ranking(NAME, RAW, "mips", top_n=10).path,
        ),
        "scores": (
            scores.path,
            lambda: shown(store().scores(NAME, PCA, "nns", cutoffs=(3, 10)).read()),
            raw_scores.path,
        ),
        "queries": (
            scores.path.with_name("nns.queries.parquet"),
            of_queries,
            raw_scores.path.with_name("mips.queries.parquet"),
        ),
        "leaderboard": (folder / "leaderboard.parquet", of_leaderboard, None),
        "index": (indexes["index"].path, of_index, None),
        "notebook": (notebook, of_notebook, None),
    }


@pytest.mark.slow
def test_no_mutated_artefact_changes_a_number_or_a_name_in_silence(small_store, tmp_path, capsys):
    folder, other = tmp_path / "study", tmp_path / "other"
    shutil.copytree(small_store.data_dir, folder)
    of_other = Artefact(other / "datasets" / "other.parquet", {"dataset": "other"})
    about = small_store.dataset(NAME)
    of_other.write(
        {name: about.read()[name] for name in about.read().schema.names},
        **{
            key: value
            for key, value in about.metadata().items()
            if key in ("name", "n_clips", "families", "root")
        },
    )
    rng, tally, silent = random.Random(0), collections.Counter(), []
    for kind, (path, read, swapped) in kinds(folder, other).items():
        good, wanted = path.read_bytes(), read()
        of_another = swapped.read_bytes() if swapped else None
        for i in range(EACH):
            bad = mutated(good, of_another, WAYS[i % len(WAYS)], rng)
            if bad == good:
                tally["unchanged"] += 1
                continue
            path.write_bytes(bad)
            try:
                outcome = "same" if read() == wanted else "silent"
            except (DamagedArtefactError, StaleArtefactError) as error:
                outcome = "named" if path.name in str(error) else f"not named: {error}"
            tally[outcome] += 1
            # A damaged copy is made again at once, a damaged notebook or artefact by the next run.
            if outcome not in ("named", "same") or (outcome == "same" and kind != "copy"):
                silent.append((kind, WAYS[i % len(WAYS)], outcome))
            path.write_bytes(good)
    with capsys.disabled():
        print(f"\n{sum(tally.values())} mutations: {dict(tally)}")
    assert not silent
    assert sum(tally.values()) == 600


def test_what_is_damaged_stops_neither_a_plan_nor_the_leaderboard_and_is_named(small_store, tmp_path, capsys):
    folder = tmp_path / "study"
    shutil.copytree(small_store.data_dir, folder)
    store = Store(folder)
    assert len(store.all_scores()) == len(store.ranked(NAME)) == len(store.evaluated(NAME)) == 3
    of_one = store.scores(NAME, PCA, "nns", cutoffs=(3, 10)).path
    for path in (of_one, of_one.with_name("nns.queries.parquet"), store.ranking(NAME, PCA, "nns").path):
        content = bytearray(path.read_bytes())
        content[-20] ^= 255
        path.write_bytes(content)
        (path.parent / ".half.parquet").write_bytes(b"PAR1")  # as a killed run leaves it
    artefacts._say.cache_clear()
    assert len(store.all_scores()) == len(store.ranked(NAME)) == len(store.evaluated(NAME)) == 2
    said = capsys.readouterr().err
    assert said.count("is damaged") == 3
    assert str(of_one) in said
    frames = store.frames(NAME, "logmel").path
    frames.write_bytes(b"")
    assert results.n_clips(Store(folder), NAME, GRID) == {}
    table = leaderboard.ranked(leaderboard.collect(Store(folder)))
    assert not (table["n_components"] == 3).any()
