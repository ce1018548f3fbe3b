"""The files of the CBMI 2024 code, without audio, through the stages: its scores by a slow plain version."""

import files_of_2024
import in_process
import numpy as np
import pandas as pd
import pytest

from sss_lib import dataset, experiment, extraction, metrics, models, processing, search
from sss_lib.evaluation import assessment, relevance
from sss_lib.experiment import Variant
from sss_lib.experiment.grid import Grid
from sss_lib.experiment.store import Store
from sss_lib.io import given_files
from sss_lib.search.naming import GIVEN


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return files_of_2024.write(tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return files_of_2024.write(tmp_path_factory.mktemp("short"), n=3)


def collection_of(folder):
    return dataset.load(folder, needs_audio=False, name="theirs")


def embedded(folder, name, store):
    """Report, and clip embeddings, of files by the stages 00 to 02."""
    collection = collection_of(folder)
    dataset.write(store.dataset("theirs"), collection, dataset.verify(collection))
    report = experiment.extract_to(store, dataset.read(store.dataset("theirs")), name)
    frames = extraction.read(store.frames("theirs", name))
    variant = Variant(name, "mean" if frames.offsets[-1] > 12 else "none", normalize=False)
    clips = processing.aggregate(frames.values, frames.offsets, variant.aggregation)
    return report, processing.fit(clips, normalize=False)(clips)


def values(table):
    """By level, or by family, and metric."""
    found = table[table["level"].isin(["macro", "micro", "family"])]
    names = found["name"].where(found["level"] == "family", found["level"])
    return dict(zip(zip(names, found["metric"], strict=True), found["value"], strict=True))


def scored(x, how, collection, cutoff):
    of = {"search": how, "cutoffs": (cutoff,), "protocol": "paper"}
    return values(metrics.evaluate(x, collection.label_matrix, collection.labels, collection.families, **of))


@pytest.mark.parametrize("cutoff", [3, 11])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("files:embeddings", "nns"),
        ("files:clips", "nns"),
        ("ranking:similarity_results.json", GIVEN),
        ("ranking:nearest.run", GIVEN),
    ],
)
def test_the_studys_numbers_come_out(theirs, tmp_path, name, how, cutoff):
    kind, _, path = name.partition(":")
    report, x = embedded(theirs, f"{kind}:{theirs / path}", Store(tmp_path))
    assert (report.n_clips, report.n_left_out, len(report.failures)) == (12, int(kind == "files"), 0)
    found = scored(x, how, collection_of(theirs), cutoff)
    expected = files_of_2024.scores(11, cutoff)
    for level in ("macro", "micro", *files_of_2024.FAMILIES):
        assert found[level, "MAP"] == pytest.approx(expected[level], abs=1e-12), level
    assert found["macro", "MR1"] == pytest.approx(expected["MR1"], abs=1e-12)


def test_a_query_whose_ranking_ends_before_a_relevant_clip_has_no_rank(short, tmp_path):
    """The 2024 code gives None there; the mean is over the others, and says how many are left out."""
    _, x = embedded(short, f"ranking:{short / 'similarity_results.json'}", Store(tmp_path))
    collection = collection_of(short)
    found = scored(x, GIVEN, collection, 3)
    expected = files_of_2024.scores(3, 3)
    assert found["macro", "MAP"] == pytest.approx(expected["macro"], abs=1e-12)
    assert found["macro", "MR1"] == pytest.approx(expected["MR1"], abs=1e-12)
    class_wise, micro = metrics.per_query(x, collection.label_matrix, search=GIVEN, cutoffs=(3,))
    for queries in (class_wise, micro):
        ranks = queries.scores("standard")["MR1", None]
        assert np.array_equal(np.isnan(ranks), queries.precision_sums[3] == 0)
        assert np.isnan(ranks).any()


def test_a_given_ranking_of_some_clips_keeps_their_order_and_drops_the_others(theirs, tmp_path):
    _, x = embedded(theirs, f"ranking:{theirs / 'nearest.run'}", Store(tmp_path))
    kept, fnames = np.array([0, 2, 3, 7, 11]), list(files_of_2024.LABELS)
    found = search.rank(x[kept], GIVEN, 10)
    ranked = files_of_2024.ranked(11)
    for row, i in enumerate(kept):
        expected = [fname for fname, _ in ranked[fnames[i]] if fnames.index(fname) in kept]
        assert [fnames[kept[j]] for j in found.neighbours[row]] == expected
        assert found.scores[row] == pytest.approx(
            -np.array([s for f, s in ranked[fnames[i]] if f in expected])
        )


def test_a_given_ranking_is_scored_by_every_rule(theirs, tmp_path):
    """Leaving out an uploader's own clips needs no embeddings: the results that are left keep their order."""
    _, x = embedded(theirs, f"ranking:{theirs / 'nearest.run'}", Store(tmp_path))
    _, vectors = embedded(theirs, f"files:{theirs / 'clips'}", Store(tmp_path / "other"))
    collection = collection_of(theirs)
    clips = collection.clips.assign(uploader=list("aabbccaabbcc"))
    rules = relevance.definitions(collection.labels, clips, "uploader")
    of = {"fnames": clips["fname"].tolist(), "cutoffs": (3,), "groups": relevance.origins(clips)}
    labelled = (collection.label_matrix, collection.labels, collection.families, rules)
    given, own = (
        assessment.assess(one, *labelled, rankings={how: None}, **of)[how].scores
        for one, how in ((x, GIVEN), (vectors, "nns"))
    )
    assert given["relevance"].nunique() > 3
    pd.testing.assert_frame_equal(given, own)


def test_changed_files_make_their_embeddings_stale(theirs, tmp_path, monkeypatch):
    monkeypatch.setattr(given_files, "LONG_S", np.inf)  # on a busy machine any look at a folder is long
    name = f"files:{theirs / 'clips'}"
    embedded(theirs, name, Store(tmp_path))
    assert Store(tmp_path).frames("theirs", name).is_current()
    path = theirs / "clips" / "1001.json"
    before = path.read_text()
    path.write_text(before.replace("]", " ]").replace("-", "", 1))
    assert not Store(tmp_path).frames("theirs", name).is_current()
    path.write_text(before)
    assert Store(tmp_path).frames("theirs", name).is_current()


def test_clips_without_an_embedding_are_listed_and_the_rest_goes_on(tmp_path):
    folder = files_of_2024.write(tmp_path / "theirs")
    for fname in ("1003", "1007"):
        (folder / "clips" / f"{fname}.json").unlink()
    report, x = embedded(folder, f"files:{folder / 'clips'}", Store(tmp_path))
    assert report.failures["fname"].tolist() == ["1003", "1007"]
    assert report.failures["reason"].str.startswith("no embedding of it among the 11 of ").all()
    assert "2 clips FAILED" in str(report)
    assert "1 others are left out" in str(report)
    assert len(x) == 10


def test_embeddings_of_another_collection_are_refused(tmp_path):
    folder = files_of_2024.write(tmp_path / "theirs")
    for path in (folder / "clips").iterdir():
        path.rename(path.with_stem(f"x{path.stem}"))
    with pytest.raises(ValueError, match=r"embedded none of the 12 clips.*\n?.*whose first is 'x1001'"):
        embedded(folder, f"files:{folder / 'clips'}", Store(tmp_path))


def test_a_grid_takes_each_as_it_is(theirs):
    names = [f"{kind}:{theirs / path}" for kind, path in (("files", "clips"), ("ranking", "nearest.run"))]
    grid = Grid(
        (*names, "duration"), n_components=(None, 2, 100), normalize=(True, False), searches=("nns", "mips")
    )
    systems, left_out = grid.systems()
    of_ranking = [(v.aggregation, v.n_components, v.normalize, s) for v, s in systems if v.model == names[1]]
    assert of_ranking == [("none", None, False, GIVEN)]
    assert {s for v, s in systems if v.model != names[1]} == {"nns", "mips"}
    assert any("files-clips" in one or "clips has 4 dimensions: no PCA 100" in one for one in left_out)
    assert models.spec(names[0]).name.startswith("files-clips-")


@pytest.mark.parametrize("name", ["files:nowhere", "ranking:nowhere", "ranking:."])
def test_a_path_that_leads_nowhere_is_told(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"does not exist: check the path|is a folder: give the file"):
        models.spec(name)


@pytest.mark.slow
def test_the_notebooks_run_on_their_files(theirs, tmp_path):
    """As data/README.md says it; test_readme.py plans that command."""
    grid = "models: [files:embeddings, ranking:similarity_results.json]\nprotocol: paper\ncutoffs: [3]\n"
    words = ("--dataset", theirs, "--no-audio", "--name", "theirs")
    in_process.grid(grid, theirs, tmp_path / "data", *words)
    variant = Variant(f"ranking:{theirs / 'similarity_results.json'}")
    table = Store(tmp_path / "data").scores("theirs", variant, GIVEN, cutoffs=(3,)).read().to_pandas()
    table = table[(table["protocol"] == "paper") & (table["relevance"] == "class")]
    expected = files_of_2024.scores(11, 3)
    assert values(table)["macro", "MAP"] == pytest.approx(expected["macro"], abs=1e-12)
    assert values(table)["micro", "MAP"] == pytest.approx(expected["micro"], abs=1e-12)
