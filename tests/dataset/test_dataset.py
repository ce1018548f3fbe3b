"""Loading a collection, what is refused and why, and the mini collection against what its README states."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sss_lib import dataset
from sss_lib.experiment.store import Store

ORDER = ["b", "007", "é", "1e5", "a"]


def edit(folder, old, new, file="ground_truth.csv"):
    """Replace text in a file of the collection; the text must be there."""
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder


def test_a_folder_loads_in_the_order_of_its_ground_truth(collection):
    tiny = dataset.load(collection)
    assert tiny.name == "tiny"
    assert len(tiny) == 5
    assert tiny.clips["fname"].tolist() == ORDER
    assert tiny.clips["labels"].tolist()[3] == ["Dog", "Animal", "Rain"]
    assert tiny.clips["path"].tolist() == [str(collection / "audio" / f"{fname}.wav") for fname in ORDER]


def test_columns_are_the_six_named_ones_then_what_the_ground_truth_adds(collection):
    edit(collection, ",uploader\n", ",title\n")
    clips = dataset.load(collection).clips
    assert list(clips) == ["fname", "path", "labels", "split", "uploader", "licence", "title"]
    assert clips["title"].tolist() == ["ann", "ben", "ann", "cas", ""]
    assert set(clips["split"]) == set(clips["uploader"]) == set(clips["licence"]) == {""}


@pytest.mark.parametrize("fnames", [["007", "1e5"], ["1e5", "NA"], ["007", "1.50"]])
def test_fnames_that_look_like_numbers_or_gaps_stay_as_they_are_written(collection, fnames):
    shutil.rmtree(collection / "audio")
    (collection / "audio").mkdir()
    for fname in fnames:
        soundfile.write(collection / "audio" / f"{fname}.wav", [0.5], 44100)
    rows = [f"{fname},Animal" for fname in fnames]
    (collection / "ground_truth.csv").write_text("\n".join(["fname,labels", *rows]))
    assert dataset.load(collection).clips["fname"].tolist() == fnames


def test_labels_are_sorted_and_the_matrix_marks_each_clips_own(collection):
    tiny = dataset.load(collection)
    assert tiny.labels == ["Animal", "Cat", "Dog", "Rain"]
    assert tiny.label_matrix.dtype == bool
    assert tiny.label_matrix.toarray().astype(int).tolist() == [
        [1, 0, 1, 0],  # b: Dog, Animal
        [1, 1, 0, 0],  # 007: Cat, Animal
        [0, 0, 0, 1],  # é: Rain
        [1, 0, 1, 1],  # 1e5: Dog, Animal, Rain
        [1, 0, 0, 0],  # a: Animal
    ]


def test_a_label_given_twice_counts_once(collection):
    edit(collection, '"Dog,Animal",ann', '"Dog,Animal,Dog",ann')
    tiny = dataset.load(collection)
    assert tiny.label_matrix.toarray().astype(int).tolist()[0] == [1, 0, 1, 0]
    assert tiny.class_sizes()["Dog"] == 2  # b and 1e5


def test_class_sizes_are_counts_and_a_single_clip_is_unqueryable(collection):
    tiny = dataset.load(collection)
    assert tiny.class_sizes().to_dict() == {"Animal": 4, "Cat": 1, "Dog": 2, "Rain": 2}
    assert tiny.n_unqueryable() == 1


def test_a_label_without_a_family_is_absent_from_the_families(collection):
    assert dataset.load(collection).families == {"Animal": "Living", "Cat": "Living", "Dog": "Living"}


def test_without_a_vocabulary_any_label_is_taken_and_there_are_no_families(collection):
    (collection / "classes.csv").unlink()
    tiny = dataset.load(edit(collection, "Rain", "Drizzle"))
    assert "Drizzle" in tiny.labels
    assert tiny.families == {}


def test_audio_files_of_every_kind_count_and_other_files_do_not(collection):
    audio_dir = collection / "audio"
    wave, rate_hz = soundfile.read(audio_dir / "a.wav")
    (audio_dir / "a.wav").unlink()
    soundfile.write(audio_dir / "a.FLAC", wave, rate_hz)
    (audio_dir / "notes.txt").write_text("not a clip")
    assert Path(dataset.load(collection).clips["path"].iloc[-1]).name == "a.FLAC"


@pytest.mark.parametrize("name", ["nowhere", "Mini", "datasets/mini"])
def test_an_unknown_name_says_what_would_do(tmp_path, name):
    with pytest.raises(dataset.DatasetError, match=f"{name}.*neither a known .*'esc50'.* nor a folder"):
        dataset.load(name, tmp_path)


def test_a_missing_audio_folder_is_named(collection):
    shutil.rmtree(collection / "audio")
    with pytest.raises(
        dataset.DatasetError, match=re.escape(f"5 clips have no file in {collection / 'audio'}")
    ):
        dataset.load(collection)


def test_a_missing_ground_truth_is_named(collection):
    (collection / "ground_truth.csv").unlink()
    with pytest.raises(
        dataset.DatasetError, match=re.escape(f"{collection / 'ground_truth.csv'} does not exist")
    ):
        dataset.load(collection)


def test_an_empty_ground_truth_is_named(collection):
    (collection / "ground_truth.csv").write_bytes(b"")
    with pytest.raises(dataset.DatasetError, match=r"ground_truth\.csv"):
        dataset.load(collection)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fname,labels", "name,labels", "has columns name, labels, uploader, but no 'fname'"),
        ("fname,labels", "fname,classes", "has columns fname, classes, uploader, but no 'labels'"),
        ("1e5,", "100000,", r"1 clips have no file in .*audio.*\('100000'\)"),
        ("a,Animal,\n", "", r"1 files are absent from .*ground_truth.csv.*\('a'\)"),
        ("a,Animal", "b,Animal", r"1 fnames stand twice in .*ground_truth.csv \('b'\)"),
        ("Rain,ann", ",ann", r"1 clips have no label in .*ground_truth.csv \('é'\)"),
        ("Rain,ann", "Rian,ann", r"1 labels are outside the vocabulary of 4 classes.*\(nearest: Rain\)"),
        ("Rain,ann", "rain,ann", r"1 labels are outside the vocabulary of 4 classes.*\('rain'\)"),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_refused_with_the_reason(collection, old, new, message):
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.load(edit(collection, old, new))


@pytest.mark.parametrize("labels", ["", '" "', '","'])
def test_a_clip_without_labels_is_refused_without_a_vocabulary_too(collection, labels):
    (collection / "classes.csv").unlink()
    with pytest.raises(dataset.DatasetError, match=r"1 clips have no label in .*\('é'\)"):
        dataset.load(edit(collection, "Rain,ann", f"{labels},ann"))


def test_an_error_names_three_clips_and_counts_all(collection):
    shutil.rmtree(collection / "audio")
    (collection / "audio").mkdir()
    with pytest.raises(dataset.DatasetError, match=r"5 clips have no file .*\('b', '007', 'é', \.\.\.\)"):
        dataset.load(collection)


def test_two_files_of_one_fname_are_refused(collection):
    shutil.copy(collection / "audio" / "b.wav", collection / "audio" / "b.flac")
    with pytest.raises(dataset.DatasetError, match=r"1 fnames have two files in .*audio.* \('b'\)"):
        dataset.load(collection)


def test_a_vocabulary_without_families_and_parents_is_refused(collection):
    edit(collection, "label,parents,family", "label,above,kind", "classes.csv")
    with pytest.raises(dataset.DatasetError, match=r"classes.csv: it has columns .*kind, but no 'family'"):
        dataset.load(collection)


def test_selected_clips_keep_their_rows_and_all_labels(collection):
    tiny = dataset.load(collection)
    some = tiny.select(["007", "1e5"])
    assert some.clips["fname"].tolist() == ["007", "1e5"]
    assert some.clips.index.tolist() == [0, 1]
    assert some.labels == tiny.labels
    assert some.families == tiny.families
    np.testing.assert_array_equal(some.label_matrix.toarray(), tiny.label_matrix.toarray()[[1, 3]])


def test_selecting_every_clip_changes_nothing(collection):
    tiny = dataset.load(collection)
    assert tiny.select(ORDER) is tiny


@pytest.mark.parametrize(
    ("fnames", "message"),
    [
        (["b", "7"], "1 of 2 embeddings belong to no clip of tiny .*'7'"),
        (["007", "b"], "not in the order of tiny: '007' is before 'b'"),
        (["b", "b"], "not in the order of tiny: 'b' is before 'b'"),
    ],
)
def test_clips_that_are_unknown_repeated_or_out_of_order_are_not_selected(collection, fnames, message):
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.load(collection).select(fnames)


def assert_same(a, b):
    assert a.name == b.name
    assert a.labels == b.labels
    assert a.families == b.families
    np.testing.assert_array_equal(a.label_matrix.toarray(), b.label_matrix.toarray())


def test_a_written_dataset_reads_back_with_its_report(collection, tmp_path):
    tiny, artefact = dataset.load(collection), Store(tmp_path).dataset("tiny")
    report = dataset.verify(tiny)
    dataset.write(artefact, tiny, report)
    again = dataset.read(artefact)
    assert_same(again, tiny)
    for column in ("fname", "labels", "split", "uploader", "licence"):
        assert again.clips[column].tolist() == tiny.clips[column].tolist()
    pd.testing.assert_frame_equal(again.clips[list(report)], report)
    assert [Path(p).resolve() for p in again.clips["path"]] == [Path(p) for p in tiny.clips["path"]]


def test_a_written_dataset_moves_with_its_data_folder(collection, tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    tiny = dataset.load(shutil.move(collection, data_dir / "tiny"))
    dataset.write(Store(data_dir).dataset("tiny"), tiny, dataset.verify(tiny))
    data_dir.rename(tmp_path / "moved")
    again = dataset.read(Store(tmp_path / "moved").dataset("tiny"))
    assert all(Path(path).is_file() for path in again.clips["path"])


def touch(folder):
    path = folder / "audio" / "b.wav"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        touch,
        lambda folder: soundfile.write(folder / "audio" / "b.wav", [0.5], 44100),
        lambda folder: edit(folder, "Rain,ann", "Cat,ann"),
        lambda folder: edit(folder, "Rain,ann", "Rain,eve"),
        lambda folder: edit(folder, "Cat,Animal,Living", "Cat,Animal,Pets", "classes.csv"),
    ],
    ids=["a file's time", "a file", "a label", "an uploader", "a family"],
)
def test_the_fingerprint_changes_with_the_collection(collection, change):
    before = dataset.fingerprint(dataset.load(collection))
    change(collection)
    assert dataset.fingerprint(dataset.load(collection)) != before


def test_the_fingerprint_stays_when_nothing_of_the_collection_changes(collection, tmp_path):
    tiny = dataset.load(collection)
    before = dataset.fingerprint(tiny)
    dataset.verify(tiny)
    (collection / "notes.txt").write_text("beside the clips")
    assert dataset.fingerprint(dataset.load(collection)) == before
    moved = shutil.move(collection, tmp_path / "elsewhere" / "tiny")
    assert dataset.fingerprint(dataset.load(moved)) == before


def test_the_report_says_what_is_in_each_file(collection):
    path = collection / "audio" / "b.wav"
    soundfile.write(path, np.full((4000, 2), 0.1), 8000, subtype="FLOAT")
    soundfile.write(collection / "audio" / "a.wav", np.zeros(44100), 44100)
    report = dataset.verify(dataset.load(collection)).set_index("fname")
    assert report.index.tolist() == ORDER
    assert report["problem"].tolist() == [""] * 5
    assert report.loc["b", ["duration_s", "rate_hz", "n_channels"]].tolist() == [0.5, 8000, 2]
    assert report.loc["b", "rms_db"] == pytest.approx(-20, abs=1e-4)  # 20 log10(0.1)
    assert report.loc["b", "sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.loc["é", "rms_db"] == pytest.approx(-9.03, abs=0.01)  # a sine: 20 log10(0.5 / sqrt 2)
    assert report.loc["a", "rms_db"] == -np.inf


def test_the_report_measures_all_of_a_long_clip(collection):
    soundfile.write(collection / "audio" / "b.wav", np.full(31 * 8000, 0.1), 8000)
    assert dataset.verify(dataset.load(collection))["duration_s"].iloc[0] == 31


def test_a_broken_file_is_reported_and_the_others_are_measured(collection):
    (collection / "audio" / "007.wav").write_text("not sound")
    report = dataset.verify(dataset.load(collection))
    assert "007.wav" in report["problem"].iloc[1]
    assert np.isnan(report["duration_s"].iloc[1])
    assert report["problem"].drop(1).tolist() == [""] * 4
    assert (report["duration_s"].drop(1) > 0).all()


@pytest.mark.parametrize("is_folder", [False, True], ids=["gone", "a folder"])
def test_a_path_without_a_file_is_reported(collection, is_folder):
    tiny = dataset.load(collection)
    path = collection / "audio" / "007.wav"
    path.unlink()
    if is_folder:
        path.mkdir()
    assert "007.wav" in dataset.verify(tiny)["problem"].iloc[1]


# Subsets


@pytest.mark.parametrize(
    ("query", "fnames"),
    [
        ("uploader == 'ann'", ["b", "é"]),
        ("uploader != ''", ["b", "007", "é", "1e5"]),
        ('@has("Dog")', ["b", "1e5"]),
        ('@has("Dog") and not @has("Rain")', ["b"]),
        ('@has("Cat") or uploader.isin(["cas"])', ["007", "1e5"]),
        ("duration_s > 0.25", ["b", "é", "a"]),
        ("0.15 < duration_s < 0.35", ["1e5", "a"]),
        ("fname.str.startswith('0')", ["007"]),
    ],
)
def test_a_subset_has_the_clips_of_which_the_query_is_true(collection, query, fnames):
    assert dataset.load(collection, query=query).clips["fname"].tolist() == fnames


def test_a_column_of_numbers_is_compared_as_numbers_and_kept_as_text(collection):
    edit(collection, ",uploader", ",uploader,duration_s,year,take")
    edit(collection, 'b,"Dog,Animal",ann', 'b,"Dog,Animal",ann,9.5,1999,1')
    edit(collection, "ben\n", "ben,10,2001,2\n")
    edit(collection, "Rain,ann\n", "Rain,ann,,2002,b\n")
    edit(collection, "cas\n", "cas,100,2002,4\n")
    edit(collection, "a,Animal,\n", "a,Animal,,7,2003,5\n")
    tiny = dataset.load(collection)
    assert tiny.subset("duration_s < 10").clips["fname"].tolist() == ["b", "a"]
    assert tiny.subset("year > 2001").clips["year"].tolist() == ["2002", "2002", "2003"]
    assert tiny.subset('take == "4"').clips["fname"].tolist() == ["1e5"]  # not all are numbers
    assert tiny.subset('fname == "007"').clips["fname"].tolist() == ["007"]


def test_a_subset_has_its_own_classes_matrix_and_name(collection):
    tiny = dataset.load(collection)
    some = tiny.subset("uploader == 'ann'", "ann's")
    assert some.name == "ann's"
    assert some.clips.index.tolist() == [0, 1]
    assert some.labels == ["Animal", "Dog", "Rain"]
    assert some.label_matrix.toarray().astype(int).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert some.families == {"Animal": "Living", "Dog": "Living"}
    assert some.n_unqueryable() == 3  # each class is left with one clip


def test_a_subset_is_named_after_its_query_so_that_two_never_meet(collection):
    names = {dataset.load(collection, query=f"uploader == '{who}'").name for who in ("ann", "ben")}
    assert len(names) == 2
    assert all(re.fullmatch(r"tiny-[0-9a-f]{6}", name) for name in names)
    query = "uploader == 'ann'"
    assert dataset.load(collection, query=query).name == dataset.name_of(collection, query)
    assert (
        dataset.load(collection, query=query, name="x").name == dataset.name_of(collection, query, "x") == "x"
    )
    assert dataset.load(collection, name="y").name == "y"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("uploader == 'eve'", "is true of none of the 5 clips of tiny"),
        ("uploade == 'ann'", r"can't be computed .*The columns are fname, path, labels, split, uploader"),
        ("uploader ==", "can't be computed"),
        ("uploader > 5", "all but numbers are text"),
        ("uploader", "doesn't say true or false of each clip"),
        ("1 == 1", "doesn't say true or false of each clip"),
        ('@has("Dgo")', r"'Dgo' is not among the labels of tiny: did you mean 'Dog'\?"),
        ("@nothing", "can't be computed"),
    ],
)
def test_a_query_without_sense_is_refused(collection, query, message):
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.load(collection, query=query)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".x", "a\\b"])
def test_a_name_that_is_none_of_a_file_is_refused(collection, name):
    with pytest.raises(dataset.DatasetError, match="would be no name of a file"):
        dataset.load(collection, name=name)


@pytest.mark.parametrize("query", ['"Dog" in labels', 'labels == "Dog"', 'labels.str.contains("Dog")'])
def test_a_query_of_labels_is_told_how_to_ask(collection, query):
    with pytest.raises(dataset.DatasetError, match=r'; of labels, ask @has\("Dog"\)$'):
        dataset.load(collection, query=query)


def test_a_subset_cannot_take_the_place_of_the_whole(collection):
    with pytest.raises(dataset.DatasetError, match="a subset of 'tiny' needs a name of its own"):
        dataset.load(collection, query='@has("Dog")', name="tiny")


def test_another_subset_of_the_same_collection_may_take_the_name_of_the_first(tmp_path):
    for root in ("zoo", "other"):
        for name in ("cat", "dog"):
            (tmp_path / root / name).mkdir(parents=True)
            soundfile.write(tmp_path / root / name / "1.wav", np.full(100, 0.1), 44100)
    artefact = Store(tmp_path / "data").dataset("part")
    for label in ("cat", "dog"):
        some = dataset.load(tmp_path / "zoo", query=f'@has("{label}")', name="part")
        dataset.write(artefact, some, dataset.verify(some, 1))
        assert dataset.read(artefact).labels == [label]
    other = dataset.load(tmp_path / "other", query='@has("cat")', name="part")
    with pytest.raises(dataset.DatasetError, match="rename one of the folders"):
        dataset.write(artefact, other, dataset.verify(other, 1))


def test_a_written_subset_reads_back_and_leaves_the_whole_alone(collection, tmp_path):
    store, tiny = Store(tmp_path), dataset.load(collection)
    some = dataset.load(collection, query='@has("Dog")')
    for one in (tiny, some):
        dataset.write(store.dataset(one.name), one, dataset.verify(one))
    assert_same(dataset.read(store.dataset(tiny.name)), tiny)
    assert_same(dataset.read(store.dataset(some.name)), some)


def test_a_dataset_without_labels_is_written_and_read(collection, tmp_path):
    for file in ("ground_truth.csv", "classes.csv"):
        (collection / file).unlink()
    bare, artefact = dataset.load(collection), Store(tmp_path).dataset("tiny")
    dataset.write(artefact, bare, dataset.verify(bare))
    assert_same(dataset.read(artefact), bare)
    assert dataset.read(artefact).clips["labels"].tolist() == [[]] * 5


def test_links_keep_their_own_names(collection, tmp_path):
    """A clip may be a link into a store whose names mean nothing, as of git-annex."""
    path = collection / "audio" / "b.wav"
    (tmp_path / "store").mkdir()
    path.rename(tmp_path / "store" / "0c1d")
    path.symlink_to(tmp_path / "store" / "0c1d")
    (collection / "audio" / "a.wav").unlink()
    (collection / "audio" / "a.wav").symlink_to("nowhere")
    tiny, artefact = dataset.load(collection), Store(tmp_path / "data").dataset("tiny")
    assert dataset.fingerprint(tiny)
    dataset.write(artefact, tiny, dataset.verify(tiny))
    again = dataset.read(artefact)
    assert [Path(path).name for path in again.clips["path"]] == [f"{fname}.wav" for fname in ORDER]
    assert "a.wav is a link to nowhere" in again.clips["problem"].tolist()[-1]


def test_ffmpeg_counts_only_where_a_clip_needs_it(collection, monkeypatch):
    def prints():
        tiny = dataset.load(collection)
        with monkeypatch.context() as patch:
            patch.setattr("sss_lib.io.ffmpeg.program", lambda: None)
            without = dataset.fingerprint(tiny)
            patch.setattr("sss_lib.io.ffmpeg.program", lambda: "/usr/bin/ffmpeg")
            return without, dataset.fingerprint(tiny)

    without, with_ffmpeg = prints()
    assert without == with_ffmpeg
    (collection / "audio" / "b.wav").rename(collection / "audio" / "b.m4a")
    without, with_ffmpeg = prints()
    assert without != with_ffmpeg


# The mini collection

DATA = Path(dataset.__file__).parents[2] / "data"
README = dict(
    re.findall(r"^\| (.+?) \| (.+?) \|$", (DATA / "mini/README.md").read_text("utf-8"), re.MULTILINE)
)


@pytest.fixture(scope="module")
def mini_report(mini):
    return dataset.verify(mini)


def test_mini_every_label_is_in_the_vocabulary_with_all_its_ancestors(mini):
    classes = pd.read_csv(DATA / "ontology/fsd50k_classes.csv", keep_default_na=False)
    parent_of = dict(zip(classes["label"], classes["parents"], strict=True))
    assert len(parent_of) == 200
    for fname, labels in zip(mini.clips["fname"], mini.clips["labels"], strict=True):
        assert {parent_of[label] for label in labels} - {""} <= set(labels), fname
        assert len(set(labels)) == len(labels), fname


def test_mini_has_the_clips_that_its_readme_states(mini):
    licences = mini.clips["licence"].value_counts()
    assert README["clips"] == (
        f"{len(mini)} ({licences['CC0-1.0']} CC0, {licences['CC-BY-SA-3.0']} CC BY-SA 3.0), "
        f"by {mini.clips['uploader'].nunique()} uploaders"
    )
    assert licences.sum() == len(mini)
    assert mini.clips["uploader"].ne("").all()


def test_mini_has_the_classes_that_its_readme_states(mini):
    families = sorted({family.replace("_", " ") for family in mini.families.values()})
    sizes = mini.label_matrix.toarray().sum(axis=0)
    assert README["classes present"] == f"{len(mini.labels)} of 200"
    assert README["classes with two clips or more (queryable)"] == str((sizes >= 2).sum())
    assert README["classes skipped (a single clip)"] == str((sizes == 1).sum()) == str(mini.n_unqueryable())
    assert README["families"] == f"{len(families)}: {', '.join(families)}"


def test_mini_every_clip_decodes_as_mono_at_44100_hz(mini_report):
    assert mini_report["problem"].tolist() == [""] * len(mini_report)
    assert set(mini_report["n_channels"]) == {1}
    assert set(mini_report["rate_hz"]) == {44100}
    assert np.isfinite(mini_report["rms_db"]).all()
    assert mini_report["sha256"].is_unique


def test_mini_has_the_length_and_size_that_its_readme_states(mini, mini_report):
    n_bytes = sum(Path(path).stat().st_size for path in mini.clips["path"])
    minutes = mini_report["duration_s"].sum() / 60
    assert README["length, size"] == f"{minutes:.1f} minutes, {n_bytes / 1e6:.1f} MB"
    assert f"the longest has {mini_report['duration_s'].max():.1f} s" in (DATA / "mini/README.md").read_text(
        "utf-8"
    )


def test_mini_licences_name_every_clip_with_its_author_and_licence(mini):
    text = (DATA / "mini/LICENSES.md").read_text("utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    named = [(fname.strip(), author, licence) for fname, _, author, licence, *_ in rows[2:]]
    clips = mini.clips.replace({"uploader": {"MIT Scratch": "Massachusetts Institute of Technology"}})
    expected = list(zip(clips["fname"], clips["uploader"], clips["licence"], strict=True))
    assert len(named) == len(expected)
    for (fname, author, licence), (own_fname, uploader, own_licence) in zip(named, expected, strict=True):
        assert (fname, licence) == (own_fname, own_licence)
        assert author.startswith(uploader), fname  # an artist named in the file may follow


def test_mini_kept_and_left_out_clips_together_are_the_279_of_the_packages(mini):
    left_out = pd.read_csv(DATA / "mini/left_out.csv", keep_default_na=False)
    assert len(mini) + len(left_out) == 279
    assert left_out["reason"].ne("").all()
    assert set(left_out["source"]).isdisjoint(mini.clips["source"])


def _touch(folder):
    os.utime(folder / "audio" / "a.wav", (1, 1))


def _relabel(folder):
    table = folder / "ground_truth.csv"
    table.write_text(table.read_text().replace('"Cat,Animal"', "Animal"))


def _add_a_clip(folder):
    shutil.copy(folder / "audio" / "a.wav", folder / "audio" / "new.wav")
    with open(folder / "ground_truth.csv", "a") as file:
        file.write("new,Rain,ann\n")


@pytest.mark.parametrize("change", [_touch, _relabel, _add_a_clip])
def test_a_collection_that_has_changed_is_written_anew(collection, tmp_path, change):
    def write():
        found = dataset.load(collection)
        artefact = Store(tmp_path / "data").dataset(found.name, source=dataset.fingerprint(found))
        was_current = artefact.is_current()
        dataset.write(artefact, found, found.clips[["fname"]])
        assert dataset.read(artefact).clips["fname"].tolist() == found.clips["fname"].tolist()
        return was_current

    assert not write()
    assert write()
    change(collection)
    assert not write()
