"""What notebook 05 shows of single clips is over the clips that all compared systems have."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import files_of_2024
import numpy as np
import pandas as pd
import pytest
from test_comparable import CLIPS, LABELS, PLACES, study  # noqa: F401  (a fixture)
from test_theirs import collection_of, embedded

from sss_lib import compared, experiment, metrics, tables
from sss_lib.experiment import Variant
from sss_lib.experiment.store import Store
from sss_lib.search.naming import GIVEN


@pytest.fixture
def run(study):  # noqa: F811
    store, *_ = study
    return compared.Compared(store, "mine", store.data_dir.parent / "grid.yaml")


def test_results_confusion_and_map_are_of_the_clips_that_all_have(run):
    common = CLIPS[6:]
    for model in ("logmel", "duration"):
        place = np.array([PLACES[model][fname] for fname in common])
        distance = np.abs(place[:, None] - place) + np.diag([np.inf] * 6)
        found = np.argsort(distance, axis=1, kind="stable")[:, :3]
        assert np.array_equal(run.neighbours(model), found), model
        if model == run.best["model"].iloc[0]:
            label = np.array([LABELS[fname] for fname in common])
            share = np.mean([label[row] == "Y" for row in found[label == "X"]])
            assert run.confusion()[0].loc["X", "Y"] == pytest.approx(share)
    points, families = run.places()
    assert (len(points), families) == (6, [LABELS[fname] for fname in common])  # without families, by class


def test_disagreements_name_a_query_once_and_their_players_hold_its_sound(run):
    gaps = run.disagreements("logmel", "duration", n_rows=3)
    assert gaps["fname"].is_unique
    assert set(gaps["fname"]) <= set(CLIPS[6:])
    page = run.listen(gaps[:1], "logmel", "duration").data
    assert page.count("<audio") == 3
    assert f"query: {gaps['label'][0]}" in page
    assert ("✓" in page) or ("✗" in page)
    (address,) = re.findall(r'href="(http[^"]*)"', page)
    words = parse_qs(urlsplit(html.unescape(address)).query)
    assert [words["q"], words["class"]] == [[gaps["fname"][0]], [gaps["label"][0]]]
    assert [one.split("-")[0] for one in words["systems"]] == ["logmel", "duration"]


def test_a_partial_grid_says_what_is_missing_and_where_figures_go(run):
    assert run.folder == run.store.data_dir.parent / "figures" / "mine-grid"
    store, rows = run.store, run.best.iloc[-1]
    store.scores("mine", *experiment.system_of(rows), cutoffs=(3,)).path.unlink()
    again = compared.Compared(Store(store.data_dir), "mine", run.grid_path)
    assert again.folder.name == "mine-grid-partial"
    assert "1 have no scores" in str(again)


def test_what_a_grid_no_longer_has_goes_and_what_others_wrote_stays(run):
    table, kept = run.best, run.folder / "of-others.csv"
    run.folder.mkdir(parents=True)
    kept.touch()
    for names in (("best", "asked-old"), ("best",)):
        run.written.clear()
        for name in names:
            run.write(name, table)
        run.finish("05_figures", table, "")
    assert {path.name for path in run.folder.iterdir()} == {"best.csv", kept.name}


@pytest.mark.parametrize(("n", "ends"), [(3, 3), (11, None)])
def test_a_ranking_that_ends_early_is_marked_in_tables(tmp_path, n, ends):
    """Of twelve clips each has eleven results, unless its ranking ends before."""
    folder = files_of_2024.write(tmp_path / "theirs", n=n)
    store, name = Store(tmp_path / "data"), f"ranking:{folder / 'similarity_results.json'}"
    _, x = embedded(folder, name, store)
    collection, variant = collection_of(folder), Variant(name)
    fnames = collection.clips["fname"].tolist()
    store.embeddings("theirs", variant).write({"fname": fnames, "embedding": x})
    store.ranking("theirs", variant, GIVEN, top_n=3).write({"fname": fnames})
    table = metrics.evaluate(x, collection.label_matrix, collection.labels, search=GIVEN, cutoffs=(3,))
    table = table.assign(dataset="theirs", **variant.parameters(), search=GIVEN, ci_low=0.0, ci_high=1.0)
    artefact = store.scores("theirs", variant, GIVEN, cutoffs=(3,))
    artefact.write(table.astype({"n_components": "Int64"}))
    grid = experiment.Grid((name,), cutoffs=(3,), searches=("nns",))
    scores = experiment.read_scores(store, "theirs", grid)
    (shown,) = tables.display_names(scores).values()
    assert shown.endswith(" (ends at rank 3)") == bool(ends)
    assert ("is a lower bound" in tables.ending(scores)) == bool(ends)
    marked = tables.with_coverage(pd.DataFrame({"system": scores["model"].unique()}), scores)
    assert marked.get("ends at rank", pd.Series([None])).tolist() == [ends]
