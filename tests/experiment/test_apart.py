"""Queries apart from the corpus, and other ways to rank: each by a slow plain version, and in a grid."""

import itertools
import shutil

import in_process
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import small_study
import soundfile

from sss_lib import dataset, experiment, extraction, processing
from sss_lib.evaluation import learning, ways
from sss_lib.experiment import Grid, Variant, apart
from sss_lib.experiment.grid import suits, takes_queries
from sss_lib.experiment.stages import Stages
from sss_lib.experiment.store import DamagedArtefactError, Store, to_matrix
from sss_lib.figures import beyond

NAME = "parted"
VARIANT = Variant("logmel", n_components=4)
UPLOADERS = ["ann", "ben", "cem", "dee"]


def lay(folder, name, *, split="", uploaders=UPLOADERS, seed=0):
    """Twelve sounds in a folder: the study's, with noise of their own, an uploader a number."""
    (folder / name / "audio").mkdir(parents=True)
    rng, rows = np.random.default_rng(seed), ["fname,labels,uploader,split"]
    for fname, wave in small_study.sounds().items():
        heard = wave + 0.02 * rng.normal(size=len(wave))
        soundfile.write(folder / name / "audio" / f"{fname}.wav", heard, small_study.RATE_HZ)
        label, number = {"tone": "Tone", "nois": "Noise", "clic": "Click"}[fname[:4]], int(fname[-1])
        part = ("asks" if number in (0, 3) else "found") if split else ""
        rows.append(f"{fname},{label},{uploaders[number]},{part}")
    (folder / name / "ground_truth.csv").write_text("\n".join(rows))


def embed(store, folder, name):
    """Notebooks 00 and 01 of a folder by log-mel."""
    collection = dataset.load(folder / name)
    dataset.write(store.dataset(name), collection, dataset.verify(collection))
    experiment.extract_to(store, dataset.read(store.dataset(name)), "logmel")


@pytest.fixture
def store(tmp_path):
    """A collection with a split, and another one of the same classes; the variant of the first is made."""
    lay(tmp_path, NAME, split="split")
    lay(tmp_path, "other", seed=1, uploaders=["ann", "eve", "eve", "eve"])
    made = Store(tmp_path)
    for name in (NAME, "other"):
        embed(made, tmp_path, name)
    frames = extraction.read(made.frames(NAME, "logmel"))
    fitted = processing.fit(frames.values, 4)
    made.fitted(NAME, VARIANT).write(fitted.columns())
    made.embeddings(NAME, VARIANT).write({"fname": frames.fnames, "embedding": fitted(frames.values)})
    return Store(tmp_path)


def embedded(store):
    """Labels, splits, uploaders and embeddings of the first collection, in one order."""
    stored = store.embeddings(NAME, VARIANT).read()
    clips = dataset.read(store.dataset(NAME)).clips.set_index("fname").loc[stored["fname"].to_pylist()]
    return clips["labels"].str[0].tolist(), clips["split"], clips["uploader"], to_matrix(stored["embedding"])


def plain_map(queries, of_queries, corpus, of_corpus, n):
    """Macro MAP@n of queries by cosine, one query at a time."""
    by_class = {}
    for query, label in zip(queries, of_queries, strict=True):
        cosines = [float(query @ clip / np.linalg.norm(query) / np.linalg.norm(clip)) for clip in corpus]
        order = sorted(range(len(corpus)), key=lambda i: (-cosines[i], i))[:n]
        hits = [of_corpus[i] == label for i in order]
        right = sum(sum(hits[: k + 1]) / (k + 1) for k in range(len(hits)) if hits[k])
        by_class.setdefault(label, []).append(right / min(n, of_corpus.count(label)))
    return float(np.mean([np.mean(values) for values in by_class.values()]))


def macro(scores, n):
    """The one macro MAP@n."""
    (value,) = scores[(scores["metric"] == "MAP") & (scores["level"] == "macro") & (scores["n"] == n)][
        "value"
    ]
    return value


def test_another_collection_asks_as_a_plain_search_does(store):
    scores, of_queries = apart.ask(store, NAME, VARIANT, "mcss", "other", (3, 5))
    own, _, _, x = embedded(store)
    corpus, frames = (extraction.read(store.frames(name, "logmel")) for name in (NAME, "other"))
    mean = np.mean(corpus.values, axis=0, dtype=float)
    directions = np.linalg.svd(np.subtract(corpus.values, mean), full_matrices=False)[2][:4]
    asking = np.subtract(frames.values, mean) @ directions.T
    signs = np.sign(np.sum(x * (np.subtract(corpus.values, mean) @ directions.T), axis=0))
    labels = [{"t": "Tone", "n": "Noise", "c": "Click"}[fname[0]] for fname in frames.fnames]
    for n in (3, 5):
        assert macro(scores, n) == pytest.approx(plain_map(asking * signs, labels, x, own, n), abs=1e-6)
    assert sorted(of_queries[of_queries["level"] == "class"]["fname"].unique()) == sorted(frames.fnames)


def test_what_is_searched_itself_asks_nothing(store, tmp_path):
    lay(tmp_path, "copied", split="split")  # the same files
    for fname in ("tone0", "noise1"):
        shutil.copy(tmp_path / "other" / "audio" / f"{fname}.wav", tmp_path / "copied" / "audio")
    embed(store, tmp_path, "copied")
    _, of_queries = apart.ask(Store(tmp_path), NAME, VARIANT, "mcss", "copied", (3,))
    assert set(of_queries["fname"]) == {"tone0", "noise1"}
    lay(tmp_path, "twin", split="split")
    embed(store, tmp_path, "twin")
    with pytest.raises(ValueError, match="all 12 clips of twin are among those of parted: name others"):
        apart.ask(Store(tmp_path), NAME, VARIANT, "mcss", "twin", (3,))
    with pytest.raises(ValueError, match="'parted' is the split of 0 of 12 clips of parted"):
        apart.ask(store, NAME, VARIANT, "mcss", NAME, (3,))


def test_collections_without_a_common_class_are_refused_with_their_classes(store, tmp_path):
    lay(tmp_path, "foreign", seed=5, uploaders=["eve"] * 4)
    table = tmp_path / "foreign" / "ground_truth.csv"
    text = table.read_text()
    for ours, theirs in (("Tone", "Ton"), ("Click", "Klick"), ("Noise", "Rauschen")):
        text = text.replace(ours, theirs)
    table.write_text(text)
    embed(store, tmp_path, "foreign")
    message = r"foreign and parted share no class \('Klick', 'Rauschen', 'Click', 'Noise', ...\): call alike"
    for way in (
        lambda fresh: apart.ask(fresh, NAME, VARIANT, "mcss", "foreign", (3,)),
        lambda fresh: apart.measure(fresh, NAME, VARIANT, "lda@foreign", 3),
    ):
        with pytest.raises(ValueError, match=message):
            way(Store(tmp_path))


def test_what_suits_no_system_of_the_grid_is_told():
    grid = Grid(("logmel",), searches=("mcss-mp",), queries=("esc10",), ways=("dtw", "linear", "weights"))
    assert grid.systems()[1] == [
        f"{one}, as no system of the grid suits it" for one in ("queries esc10", "way dtw", "way weights")
    ]


def test_a_split_asks_the_others_alone(store):
    scores, _ = apart.ask(store, NAME, VARIANT, "nns", "asks", (3,))
    labels, split, _, x = embedded(store)
    asks, of = (split == "asks").to_numpy(), np.array(labels)
    expected = plain_map(x[asks], of[asks].tolist(), x[~asks], of[~asks].tolist(), 3)
    assert macro(scores, 3) == pytest.approx(expected, abs=1e-6)  # of unit length nns ranks as cosines do
    assert set(scores["queries"]) == {"asks"}


def test_several_splits_are_apart_together(store, tmp_path):
    table = tmp_path / NAME / "ground_truth.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join(row.replace("ann,asks", "ann,first") for row in rows))
    embed(store, tmp_path, NAME)
    (asking, x), (corpus, _) = apart.parted(Store(tmp_path), NAME, VARIANT, "asks+first")
    assert set(asking.clips["split"]) == {"asks", "first"}
    assert set(corpus.clips["split"]) == {"found"}
    assert len(x) == 6
    has = Store(tmp_path).has_apart
    assert [has(NAME, name, "logmel") for name in ("asks+first", "asks+last", "other", "")] == [
        *(True, False, True, True)
    ]


def test_a_head_learns_from_a_split_and_is_tried_on_the_others(store):
    found = apart.measure(store, NAME, VARIANT, "linear@asks", 3).iloc[0]
    labels, split, _, x = embedded(store)
    asks, of = (split == "asks").to_numpy(), np.array(labels)
    names = sorted(set(labels))
    head = learning.fit_head(x[asks], np.array([[one == name for name in names] for one in of[asks]]))
    values = head(x[~asks])
    for column, y in (("a", values), ("b", x[~asks])):
        each = [np.delete(np.arange(len(y)), i) for i in range(len(y))]
        at = [plain_map(y[[i]], [of[~asks][i]], y[o], of[~asks][o].tolist(), 3) for i, o in enumerate(each)]
        assert found[column] == pytest.approx(pd.Series(at).groupby(of[~asks]).mean().mean(), abs=1e-6)
    assert (found["n_train"], found["n_queries"], found["parameters"]) == (6, 6, 5 * 3)
    assert found["seconds"] > 0


def test_no_clip_is_learnt_from_whose_uploader_is_searched(store, tmp_path):
    found = apart.measure(store, NAME, VARIANT, "knn@other", 3).iloc[0]
    assert found["n_train"] == 9  # of twelve three are by ann, whose clips are searched
    lay(tmp_path, "theirs", seed=2, uploaders=["ann"] * 4)
    embed(store, tmp_path, "theirs")
    with pytest.raises(
        ValueError, match="all 12 clips of theirs to learn from are by uploaders of the clips"
    ):
        apart.measure(Store(tmp_path), NAME, VARIANT, "knn@theirs", 3)


@pytest.mark.parametrize("how", ["linear", "lda", "knn"])
def test_a_head_by_folds_is_tried_on_other_uploaders(store, how):
    found = apart.measure(store, NAME, VARIANT, how, 3).iloc[0]
    labels, _, uploaders, x = embedded(store)
    names, values = sorted(set(labels)), np.empty((12, 3))
    known = np.array([[one == name for name in names] for one in labels])
    for uploader in UPLOADERS:
        own = (uploaders == uploader).to_numpy()
        values[own] = learning.fit_head(x[~own], known[~own], how)(x[own])
    others = [np.delete(np.arange(12), i) for i in range(12)]
    at = [
        plain_map(values[[i]], [labels[i]], values[o], [labels[j] for j in o], 3)
        for i, o in enumerate(others)
    ]
    if how != "knn":  # whose shares tie
        assert found["a"] == pytest.approx(pd.Series(at).groupby(labels).mean().mean(), abs=1e-6)
    assert found["difference"] == pytest.approx(found["a"] - found["b"])
    assert found["ci_low"] <= found["difference"] <= found["ci_high"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nobody",
            r"'nobody' is the split of 0 of 12 clips of parted, whose splits are asks, found: name one",
        ),
        ("other2", "is the split of 0 of 12"),
    ],
)
def test_what_is_no_split_and_no_collection_is_refused_with_those_that_are(store, name, message):
    with pytest.raises(ValueError, match=message):
        apart.ask(store, NAME, VARIANT, "mcss", name, (3,))


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("lineer", "way 'lineer' is unknown: use a head"),
        ("mean", "marks, as in mean-3"),
        ("dtw@dev", "unknown"),
        ("linear@../dev", "'../dev' of the grid can name no collection or split"),
    ],
)
def test_a_way_that_nobody_knows_is_refused(way, message):
    with pytest.raises(ValueError, match=message):
        Grid(("logmel",), ways=(way,))


def test_queries_and_ways_go_with_what_they_suit():
    fusion = Variant("fusion:rrf:mcss:yamnet&logmel", n_components=50)
    assert [takes_queries(*one) for one in ((VARIANT, "mcss"), (VARIANT, "mcss-mp"), (fusion, "given"))] == [
        *(True, False, False)
    ]
    variants = [
        VARIANT,
        fusion,
        Variant("yamnet"),
        Variant("yamnet", "max"),
        Variant("yamnet", normalize=False),
    ]
    variants.append(Variant("yamnet", n_components=9, transform="whiten"))
    expected = {"linear@dev": "TFTFFF", "dtw": "FFTFFF", "max-2": "TFTFFF", "weights": "FTFFFF"}
    for way, fits in expected.items():
        assert "".join("FT"[suits(variant, way)] for variant in variants) == fits


def test_a_grid_with_queries_that_nobody_knows_stops_before_anything_runs(store, tmp_path):
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel]\nn_components: [4]\nqueries: askz\n")
    with pytest.raises(
        ValueError, match="'askz' is not among the collections and splits that queries and ways"
    ):
        Stages(grid, str(tmp_path / NAME), store, tmp_path, 1, {}).of_dataset()
    grid.write_text(
        "models: [logmel]\nn_components: [4]\nqueries: [asks, parted, esc10]\nways: [linear@esc50]\n"
    )
    stages = Stages(grid, str(tmp_path / NAME), store, tmp_path, 1, {})
    stages.of_dataset()
    assert stages.systems()[1] == [
        f"{NAME} is the collection that is searched: name another for queries and ways",
        *(f"{name} isn't embedded by logmel: run 00 and 01 on it first" for name in ("esc10", "esc50")),
    ]


def test_a_way_that_cannot_be_measured_is_told_and_the_others_go_on(store, tmp_path):
    lay(tmp_path, "theirs", seed=2, uploaders=["ann"] * 4)
    embed(store, tmp_path, "theirs")
    shown = apart.measure_all(
        Store(tmp_path), NAME, VARIANT, ["mcss"], [], ["knn@theirs", "knn", "max-3"], [3]
    )
    assert shown["way"].tolist() == ["knn@theirs", "knn", "max-3"]
    assert shown["left out"].str.contains("all 12 clips of theirs to learn from are by uploaders").tolist()[0]
    assert shown["left out"].isna().tolist() == [False, True, True]
    grid = Grid(("logmel",), ways=("knn@theirs", "knn", "max-3"), cutoffs=(3,))
    read = apart.read_ways(Store(tmp_path), NAME, grid, [(VARIANT, "mcss")])
    table = beyond.ways(read)
    assert table["a"].isna().tolist() == [True, False, False]
    assert table["verdict"].tolist()[0] == beyond.UNTESTED
    assert Store(tmp_path).way(NAME, VARIANT, way="knn@theirs", n=3).is_current()


def test_queries_that_cannot_ask_are_told_and_the_others_go_on(store, tmp_path):
    lay(tmp_path, "twin", split="split")
    embed(store, tmp_path, "twin")
    names = ["twin", "asks", "other"]
    shown = apart.measure_all(Store(tmp_path), NAME, VARIANT, ["mcss"], names, ["knn"], [3])
    assert shown["queries"].tolist()[:3] == names
    assert shown["left out"].tolist()[0] == "all 12 clips of twin are among those of parted: name others"
    assert shown["left out"].isna().tolist() == [False, True, True, True]
    grid = Grid(("logmel",), searches=("mcss",), queries=tuple(names), cutoffs=(3,))
    of = (NAME, grid, [(VARIANT, "mcss")])
    assert [len(apart.read_asked(Store(tmp_path), *of, name)[0]) for name in names] == [0, 1, 1]
    made = Store(tmp_path).asked(NAME, VARIANT, "mcss", queries="twin", cutoffs=(3,))
    assert all(one.is_current() for one in made)


@pytest.mark.parametrize(
    "asked", [{"queries": ["other"], "of_ways": []}, {"queries": [], "of_ways": ["knn"]}]
)
def test_a_damaged_artefact_is_no_reason_to_leave_anything_out(store, tmp_path, asked):
    path = store.embeddings(NAME, VARIANT).path
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedArtefactError, match="logmel-none-pca4-l2"):
        apart.measure_all(Store(tmp_path), NAME, VARIANT, ["mcss"], cutoffs=[3], **asked)
    assert not list((tmp_path / "evaluation_results").rglob("*.parquet"))


def test_one_name_stands_for_a_list_of_it(store):
    found = apart.measure_all(store, NAME, VARIANT, ["mcss"], "asks", "knn", [3])
    assert found[["queries", "way"]].fillna("").to_numpy().tolist() == [["asks", ""], ["", "knn"]]
    with pytest.raises(ValueError, match="ways=5: give a name, or a list of names"):
        apart.measure_all(store, NAME, VARIANT, ["mcss"], [], 5, [3])


def test_one_uploader_has_no_folds_and_no_head_fails_the_notebook(store, tmp_path):
    lay(tmp_path, "alone", uploaders=["ann"] * 4)
    embed(store, tmp_path, "alone")
    frames = extraction.read(store.frames("alone", "logmel"))
    fitted = processing.fit(frames.values, 4)
    store.embeddings("alone", VARIANT).write({"fname": frames.fnames, "embedding": fitted(frames.values)})
    shown = apart.measure_all(Store(tmp_path), "alone", VARIANT, ["mcss"], [], ["linear"], [3])
    assert shown["left out"].tolist() == [
        "1 uploader: folds take two; leave out heads and weights by folds, or name what heads learn from, as "
        "in linear@dev"
    ]


@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("has_table", [False, True])
def test_what_the_grid_no_longer_wants_is_not_read(store, tmp_path, has_table, is_half):
    grid = Grid(("logmel",), searches=("mcss",), queries=("other",), ways=("knn@other", "knn"), cutoffs=(3,))
    apart.measure_all(store, NAME, VARIANT, ["mcss"], ["other"], grid.ways, [3])
    systems = [(VARIANT, "mcss")]

    def read():
        fresh = Store(tmp_path)
        found = apart.read_ways(fresh, NAME, grid, systems)["way"].tolist()
        return found, list(apart.read_asked(fresh, NAME, grid, systems, "other")[0])

    assert read() == (["knn@other", "knn"], systems)
    frames = store.frames("other", "logmel").path
    shutil.rmtree(frames) if frames.is_dir() else frames.unlink()
    if is_half:
        frames.write_bytes(b"PAR1")
    if not has_table:
        store.dataset("other").path.unlink()
    assert read() == (["knn"], [])


def test_the_clips_that_folds_learn_from_are_the_mean_of_all_folds():
    groups = np.repeat(np.arange(5), [10, 1, 1, 1, 1])
    x, labels = np.random.default_rng(0).normal(size=(14, 3)), scipy.sparse.csr_array(np.eye(2)[[0, 1] * 7])
    sizes = [14 - np.count_nonzero(groups == one) for one in range(5)]
    assert ways.by_head(x, labels, groups, "knn")[1]["n_train"] == round(np.mean(sizes)) == 11


def test_what_others_score_is_stale_once_their_embeddings_have_changed(store, tmp_path):
    of = {"queries": "other", "cutoffs": (3,)}
    apart.measure_all(store, NAME, VARIANT, ["mcss"], ["other"], ["knn", "knn@other"], [3])

    def current():
        fresh = Store(tmp_path)
        made = [*fresh.asked(NAME, VARIANT, "mcss", **of)]
        made += [fresh.way(NAME, VARIANT, way=way, n=3) for way in ("knn", "knn@other")]
        return [one.is_current() for one in made]

    assert current() == [True] * 4
    shutil.rmtree(tmp_path / "other")
    lay(tmp_path, "other", seed=2)
    embed(Store(tmp_path), tmp_path, "other")
    assert current() == [False, False, True, False]


def lay_imitations(folder):
    """Two sounds and three imitations of each, in VimSketch's form, and what is wrong."""
    waves = small_study.sounds()
    names = {"references": ["001_a-cat_growls", "002_a-drum"], "vocal_imitations": []}
    names["vocal_imitations"] = [
        f"{i:05d}_{one.partition('_')[2]}" for i, one in enumerate(3 * names["references"])
    ]
    for split, of_split in names.items():
        (folder / split).mkdir(parents=True)
        for stem, wave in zip(of_split, itertools.cycle(list(waves.values())[:2])):
            soundfile.write(folder / split / f"{stem}.wav", wave, small_study.RATE_HZ)
    return names


def test_an_imitation_has_the_label_of_the_sound_that_it_imitates(tmp_path):
    lay_imitations(tmp_path / "sung")
    sounds = dataset.load(tmp_path / "sung")
    assert sounds.labels == ["a-cat_growls", "a-drum"]
    assert sounds.clips["split"].value_counts().to_dict() == {"vocal_imitations": 6, "references": 2}
    row = sounds.clips.set_index("fname").loc["vocal_imitations-00001_a-drum"]
    assert (row["labels"], row["split"]) == (["a-drum"], "vocal_imitations")
    soundfile.write(tmp_path / "sung" / "vocal_imitations" / "9_a-bell.wav", np.ones(9) / 2, 8000)
    soundfile.write(tmp_path / "sung" / "references" / "nameless.wav", np.ones(9) / 2, 8000)
    found, problems = dataset.inspect(tmp_path / "sung")
    assert len(found) == 8
    assert "1 files" in problems[0]
    assert "no name of a sound behind a _ ('references-nameless')" in problems[0]
    assert "are of no sound in references/ ('vocal_imitations-9_a-bell')" in problems[1]


def test_audio_besides_references_and_imitations_is_listed(tmp_path):
    folder = tmp_path / "sung"
    lay_imitations(folder)
    for name in (
        "references/a/001_a-cat.wav",
        "drum/2_a-drum.WAV",
        "3_a-drum.flac",
        "vocal_imitations/.x/4_a.wav",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "references" / "002_a-drum.wav", folder / name)
    (folder / "papers").mkdir()
    (folder / "papers" / "about_all.txt").touch()
    found, problems = dataset.inspect(folder)
    assert len(found) == 8
    assert problems == [
        f"3 folders in {folder} have audio that belongs into references/ or vocal_imitations/ "
        "('.', 'drum', 'references/a')"
    ]


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (
            lambda one: one.parent / "deep" / one.name,
            r"2 folders in .* \('references/deep', 'vocal_imitations/deep'",
        ),
        (lambda one: one.with_name(one.name.replace("_", "-")), "8 files in .* have no name of a sound"),
        (lambda one: one.with_suffix(".txt"), "both folders are empty"),
    ],
)
def test_imitations_without_a_clip_are_refused(tmp_path, move, message):
    lay_imitations(tmp_path / "sung")
    for path in list((tmp_path / "sung").rglob("*.wav")):
        move(path).parent.mkdir(exist_ok=True)
        path.rename(move(path))
    with pytest.raises(
        dataset.DatasetError, match=f"sung has no clip, such as references/01_cat.wav.*{message}"
    ):
        dataset.inspect(tmp_path / "sung")


@pytest.mark.slow
def test_a_grid_lets_imitations_ask_and_05_tells_what_they_find(tmp_path):
    lay_imitations(tmp_path / "sung")
    grid = (
        "models: [logmel, duration]\nn_components: [null, 2]\nsearches: [mcss]\ncutoffs: [2]\n"
        "queries: vocal_imitations\nways: [knn, mean-1, weights]\n"
        "fusions: [{how: zscore, models: [logmel, duration]}]\n"
    )
    in_process.grid(grid, tmp_path, tmp_path, "--dataset", tmp_path / "sung")
    asked = pd.read_csv(tmp_path / "figures" / "sung-grid" / "asked-vocal_imitations.csv")
    assert asked["n_queries"].tolist() == [6, 6]
    assert asked["MAP@2"].max() == 1  # an imitation is the very sound here
    table = pd.read_csv(tmp_path / "figures" / "sung-grid" / "ways.csv")
    assert {*table["model"]} >= {"Log-mel statistics"}
    assert table["step"].str.contains("head knn").any()
    assert table["step"].str.contains("weights").any()
