"""Systems are compared on the clips that all of them have embedded, and those that lack some are marked."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile

from sss_lib import bounds, dataset, experiment, leaderboard, metrics, plots, tables
from sss_lib.experiment.store import Store
from sss_lib.io.errors import MissingStageError

EASY = "abcdef"
"""Clips that `logmel` places beside their class. Of the others `duration` knows more."""
CLIPS = [*EASY, *"ghijkl"]
LABELS = dict(zip(CLIPS, ["X", "X", "X", "Y", "Y", "Y"] * 2, strict=True))
PLACES = {
    "logmel": dict(zip(CLIPS, [0, 1, 2, 90, 91, 92, 56, 54, 34, 57, 59, 37], strict=True)),
    "duration": dict(zip(CLIPS[6:], [4, 5, 6, 4, 1, 9], strict=True)),
    "aisfx": {"a": 1.0, "g": 2.0},
}


def evaluated(model, fnames, search="nns"):
    """Scores by hand of a model on some clips, as if there were no others."""
    x = np.array([[float(PLACES[model][fname])] for fname in fnames])
    has = np.array([[LABELS[fname] == label for label in "XY"] for fname in fnames])
    table = metrics.evaluate(x, has, ["X", "Y"], search=search, cutoffs=(3,))
    return table[(table["level"] == "macro") & (table["metric"] == "MAP")]["value"].item()


@pytest.fixture(params=[("logmel", "duration"), ("logmel", "duration", "aisfx")])
def study(tmp_path, request):
    """Store, grid and collection of twelve clips, of which `duration` has six and `aisfx` two."""
    (tmp_path / "mine" / "audio").mkdir(parents=True)
    for fname in CLIPS:
        soundfile.write(tmp_path / "mine" / "audio" / f"{fname}.wav", np.full(80, 0.1), 8000)
    rows = "".join(f"{fname},{label}\n" for fname, label in LABELS.items())
    (tmp_path / "mine" / "ground_truth.csv").write_text("fname,labels\n" + rows)
    (tmp_path / "grid.yaml").write_text(
        f"models: [{', '.join(request.param)}]\nn_components: [null]\nnormalize: [false]\nscale: [false]\n"
        "aggregations: [mean]\nsearches: [nns]\ncutoffs: [3]\n"
    )
    store, found = Store(tmp_path / "data"), dataset.load(tmp_path / "mine")
    dataset.write(store.dataset("mine"), found, dataset.verify(found, 1))
    collection, grid = dataset.read(store.dataset("mine")), experiment.read_grid(tmp_path / "grid.yaml")
    for model in request.param:
        fnames = [fname for fname in CLIPS if fname in PLACES[model]]
        store.frames("mine", model).write({"part": [""]}, n_clips=len(fnames))
        ((variant, search),) = [
            one for one in experiment.systems(store, "mine", grid) if one[0].model == model
        ]
        x, own = np.array([[float(PLACES[model][fname])] for fname in fnames]), collection.select(fnames)
        store.embeddings("mine", variant).write({"fname": fnames, "embedding": x})
        store.ranking("mine", variant, search, top_n=3).write({"fname": fnames})
        results = metrics.per_query(x, own.label_matrix, cutoffs=(3,))
        table = pd.concat(
            metrics.summarise(*results, own.labels, protocol=protocol) for protocol in metrics.PROTOCOLS
        )
        table = table.assign(dataset="mine", **variant.parameters(), search=search, ci_low=0.0, ci_high=1.0)
        table = table.astype({"n_components": "Int64"})
        store.scores("mine", variant, search, cutoffs=(3,)).write(table, clips=own.identity())
        queries = metrics.queries_table(*results, fnames, own.labels)
        store.per_query("mine", variant, search, cutoffs=(3,)).write(queries)
    return store, grid, collection


def macro(scores):
    return tables.select(scores, "MAP", 3).set_index("model")["value"].to_dict()


def test_systems_are_ordered_by_the_clips_that_all_have(study):
    store, grid, everything = study
    alone = macro(experiment.read_scores(store, "mine", grid))
    assert alone["logmel"] == pytest.approx(evaluated("logmel", CLIPS))
    assert alone["logmel"] > alone["duration"]
    compared = experiment.comparable(store, "mine", grid, everything)
    assert compared.collection.clips["fname"].tolist() == CLIPS[6:]
    assert compared.grid.models == ("logmel", "duration")
    assert "the 6 of 12 clips that all systems compared have embedded" in compared.words
    assert ("aisfx with 2 clips" in compared.words) == ("aisfx" in grid.models)
    scores = experiment.read_scores(store, "mine", compared.grid, compared.collection)
    common = macro(scores)
    assert common == pytest.approx({model: evaluated(model, CLIPS[6:]) for model in common})
    assert common["logmel"] < common["duration"]
    assert tables.best_systems(scores, 3)["model"].tolist() == ["duration", "logmel"]
    chance = tables.select(
        bounds.chance(compared.collection.label_matrix, ["X", "Y"], cutoffs=(3,)), "MAP", 3
    )
    own = scores[scores["model"] == "logmel"]
    assert tables.select(own, "MAP", 3)["chance"].item() == pytest.approx(
        tables.select(chance, "MAP", 3)["value"].item()
    )


def test_queries_are_those_among_the_common_clips_and_computed_once(study):
    store, grid, everything = study
    compared = experiment.comparable(store, "mine", grid, everything)
    best = tables.best_systems(experiment.read_scores(store, "mine", compared.grid, compared.collection), 3)
    results = experiment.read_results(store, "mine", compared.grid, best, compared.collection)
    for model, (class_wise, _) in results.items():
        assert class_wise.query.tolist() == list(range(6))
        value = pd.Series(class_wise.scores("standard")["MAP", 3]).groupby(class_wise.label).mean().mean()
        assert value == pytest.approx(evaluated(model, CLIPS[6:]))
    (path,) = store.data_dir.glob("evaluation_results/mine/*/among-*/nns.parquet")
    before = path.stat().st_mtime_ns
    experiment.read_scores(store, "mine", compared.grid, compared.collection)
    assert path.stat().st_mtime_ns == before


def test_a_system_that_lacks_clips_is_marked_in_tables_and_figures(study):
    store, grid, everything = study
    compared = experiment.comparable(store, "mine", grid, everything)
    scores = experiment.read_scores(store, "mine", compared.grid, compared.collection)
    names = tables.display_names(scores)
    assert names["duration"].endswith(" (6 of 12 clips)")
    assert "(" not in names["logmel"]
    marked = names["duration"]
    chance = bounds.chance(compared.collection.label_matrix, ["X", "Y"], cutoffs=(3,))
    of_chance = chance.assign(ci_low=np.nan, ci_high=np.nan)
    table = tables.comparison(scores, of_chance, cutoffs=(3, 3))
    assert table["System"].tolist()[0] == f"{marked} (floor)"
    assert tables.variations(scores, 3)["Best variation"].tolist() == [marked, names["logmel"]]
    covers = tables.with_coverage(pd.DataFrame({"system": ["logmel", "duration"]}), scores)
    assert covers["has embedded"].tolist() == ["all", "6 of 12 clips"]
    _, ax = plt.subplots()
    shown = [label.get_text() for label in plots.ladder(scores, chance, ax, n=3).get_yticklabels()]
    assert marked in shown
    assert plots.looks(names)["duration"]["label"] == marked
    plt.close("all")


def test_systems_that_have_the_same_clips_are_neither_scored_again_nor_marked(study):
    store, grid, everything = study
    own = everything.select(CLIPS[6:])
    same = experiment.comparable(store, "mine", of_models(grid, "duration"), everything)
    assert (same.words, same.collection.clips["fname"].tolist()) == ("", own.clips["fname"].tolist())
    assert "covers" not in experiment.read_scores(store, "mine", same.grid, same.collection)
    assert not list(store.data_dir.rglob("among-*"))


def of_models(grid, *models):
    """Grid of some of the models."""
    return type(grid)(**{**vars(grid), "models": models})


@pytest.mark.parametrize("fname", ["NA", "null", "None", "nan", "N/A", "007", "1e5", "true", " a", "a,b", ""])
def test_a_clip_that_failed_keeps_its_name(tmp_path, fname):
    """One called "" is no clip, but no gap either."""
    store, grid = Store(tmp_path), experiment.Grid(("logmel",))
    failed = pd.DataFrame({"fname": [fname], "reason": ["NA"]})
    store.frames_dir("mine", "logmel").mkdir(parents=True)
    failed.to_csv(store.frames_dir("mine", "logmel") / "failures.csv", index=False)
    assert experiment.failures(store, "mine", grid).to_numpy().tolist() == [["logmel", fname, "NA"]]


def test_the_leaderboard_ranks_systems_of_the_same_clips(study):
    store, grid, everything = study
    compared = experiment.comparable(store, "mine", grid, everything)
    experiment.read_scores(store, "mine", compared.grid, compared.collection)
    table = leaderboard.ranked(leaderboard.collect(store))
    table = table[(table["level"] == "macro") & (table["protocol"] == "standard")]
    ranked = {name.split(" (")[0]: own["model"].tolist() for name, own in table.groupby("dataset")}
    expected = {"mine, 12 clips": ["logmel"], "mine, 6 clips": ["duration", "logmel"]}
    assert ranked == expected | ({"mine, 2 clips": ["aisfx"]} if "aisfx" in grid.models else {})


def test_scores_of_other_parameters_do_not_count_and_are_told(study):
    store, grid, collection = study
    other = dataclasses.replace(grid, cutoffs=(2,))
    n = len(grid.models)
    with pytest.raises(
        MissingStageError, match=f"none of the {n} systems .* `make run`; {n} have scores by other"
    ):
        experiment.comparable(store, "mine", other, collection)
