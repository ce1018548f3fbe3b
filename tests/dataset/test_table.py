"""The table of a dataset: written, read back, and made again when the collection changes."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sss_lib import dataset, relevance
from sss_lib.experiment import Variant
from sss_lib.experiment.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data")


def assert_same(a, b):
    assert a.name == b.name
    assert a.labels == b.labels
    assert a.families == b.families
    np.testing.assert_array_equal(a.label_matrix.toarray(), b.label_matrix.toarray())


def write(artefact, found):
    report = dataset.verify(found, 1)
    dataset.write(artefact, found, report)
    return report


def test_a_written_dataset_and_a_subset_of_it_read_back_with_their_reports(collection, store):
    whole = dataset.load(collection)
    for one in (whole, dataset.load(collection, query='@has("Dog")'), whole):
        artefact = store.dataset(one.name)
        report = write(artefact, one)
        again = dataset.read(artefact)
        assert_same(again, one)
        for column in ("fname", "labels", "split", "uploader", "licence"):
            assert again.clips[column].tolist() == one.clips[column].tolist()
        pd.testing.assert_frame_equal(again.clips[list(report)], report)
        assert [Path(p).resolve() for p in again.clips["path"]] == [Path(p) for p in one.clips["path"]]


def test_labels_keep_what_the_vocabulary_says_of_their_parents(collection, store):
    """In FSD50K's table Dog has depth 3, and Rain 2."""
    (collection / "classes.csv").write_text("label,parents\nAnimal,\nCat,Animal\nDog,Animal\nRain,Dog\n")
    whole = dataset.load(collection)
    write(store.dataset("tiny"), whole)
    read = dataset.read(store.dataset("tiny"))
    for one in (whole, read, read.select(["b", "1e5"]), read.subset('@has("Rain")')):
        depths = dict(zip(one.labels, relevance.define("graded", one.labels).weights, strict=True))
        assert depths == {label: {"Animal": 1, "Cat": 2, "Dog": 2, "Rain": 3}[label] for label in one.labels}
        rules = {rule.kind: rule for rule in relevance.definitions(one.labels, one.clips)}
        of_leaf = dict(zip(one.labels, rules["leaf"].weights, strict=True))
        assert of_leaf == {label: int(label in ("Cat", "Rain")) for label in one.labels}


def test_a_vocabulary_that_tells_no_parents_is_flat_and_without_one_fsd50ks_table_counts(collection):
    (collection / "classes.csv").write_text("label,family\nAnimal,\nCat,\nDog,\nRain,\n")
    for expected in ([1, 1, 1, 1], [1, 3, 3, 2]):
        assert relevance.define("graded", dataset.load(collection).labels).weights.tolist() == expected
        (collection / "classes.csv").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("old", "new"), [("label,parents,family", "label,parents,family"), ("Rain,", "Rain,Animal")]
)
def test_scores_are_stale_once_the_vocabulary_has_changed(collection, store, old, new):
    table = "label,parents,family\nAnimal,,Living\nCat,Animal,Living\nDog,Animal,Living\nRain,,\n"
    digests = []
    for text in (table, table.replace(old, new)):
        (collection / "classes.csv").write_text(text)
        found = dataset.load(collection)
        write(store.dataset("tiny"), found)
        of_vocabulary = store.scores("tiny", Variant("logmel", "none"), "nns").inputs["vocabulary"]
        digests.append((dataset.fingerprint(found), of_vocabulary.digest()))
    assert all((a == b) == (old == new) for a, b in zip(*digests, strict=True))


def test_a_dataset_without_labels_is_written_and_read(collection, store):
    for file in ("ground_truth.csv", "classes.csv"):
        (collection / file).unlink()
    bare, artefact = dataset.load(collection), store.dataset("tiny")
    write(artefact, bare)
    assert_same(dataset.read(artefact), bare)
    assert dataset.read(artefact).clips["labels"].tolist() == [[]] * 5


def test_a_written_dataset_moves_with_its_data_folder(collection, store, tmp_path):
    store.data_dir.mkdir()
    write(store.dataset("tiny"), dataset.load(shutil.move(collection, store.data_dir / "tiny")))
    store.data_dir.rename(tmp_path / "moved")
    again = dataset.read(Store(tmp_path / "moved").dataset("tiny"))
    assert all(Path(path).is_file() for path in again.clips["path"])


def test_a_name_stays_with_its_collection_whatever_the_subset(store, tmp_path):
    for name in ("zoo/cat", "zoo/dog", "other/cat"):
        (tmp_path / name).mkdir(parents=True)
        soundfile.write(tmp_path / name / "1.wav", np.full(100, 0.1), 44100)
    artefact = store.dataset("part")
    for label in ("cat", "dog"):
        write(artefact, dataset.load(tmp_path / "zoo", query=f'@has("{label}")', name="part"))
        assert dataset.read(artefact).labels == [label]
    with pytest.raises(dataset.DatasetError, match="rename one of the folders"):
        write(artefact, dataset.load(tmp_path / "other", query='@has("cat")', name="part"))


def test_links_keep_their_own_names(collection, store, tmp_path):
    """A clip may be a link into a store whose names mean nothing, as of git-annex."""
    path = collection / "audio" / "b.wav"
    (tmp_path / "store").mkdir()
    path.rename(tmp_path / "store" / "0c1d")
    path.symlink_to(tmp_path / "store" / "0c1d")
    (collection / "audio" / "a.wav").unlink()
    (collection / "audio" / "a.wav").symlink_to("nowhere")
    tiny, artefact = dataset.load(collection), store.dataset("tiny")
    assert dataset.fingerprint(tiny)
    write(artefact, tiny)
    again = dataset.read(artefact)
    assert [Path(path).name for path in again.clips["path"]] == [f"{f}.wav" for f in tiny.clips["fname"]]
    assert "a.wav is a link to nowhere" in again.clips["problem"].tolist()[-1]


def edit(file, old, new):
    def of(folder):
        text = (folder / file).read_text("utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), "utf-8")

    return of


def touch(folder):
    path = folder / "audio" / "b.wav"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))


def add_a_clip(folder):
    shutil.copy(folder / "audio" / "a.wav", folder / "audio" / "new.wav")
    edit("ground_truth.csv", "a,Animal,\n", "a,Animal,\nnew,Rain,ann\n")(folder)


@pytest.mark.parametrize(
    "change",
    [
        touch,
        add_a_clip,
        lambda folder: soundfile.write(folder / "audio" / "b.wav", [0.5], 44100),
        edit("ground_truth.csv", "Rain,ann", "Cat,ann"),
        edit("ground_truth.csv", "Rain,ann", "Rain,eve"),
        edit("classes.csv", "Cat,Animal,Living", "Cat,Animal,Pets"),
    ],
    ids=["a file's time", "a clip", "a file", "a label", "an uploader", "a family"],
)
def test_a_changed_collection_is_written_again_and_an_unchanged_one_is_current(collection, store, change):
    def was_current():
        found = dataset.load(collection)
        artefact = store.dataset(found.name, source=dataset.fingerprint(found))
        current = artefact.is_current()
        dataset.write(artefact, found, found.clips[["fname"]])
        assert dataset.read(artefact).clips["fname"].tolist() == found.clips["fname"].tolist()
        return current

    assert not was_current()
    assert was_current()
    change(collection)
    assert not was_current()


def test_the_fingerprint_stays_when_nothing_of_the_collection_changes(collection, tmp_path):
    before = dataset.fingerprint(dataset.load(collection))
    (collection / "notes.txt").write_text("beside the clips")
    assert dataset.fingerprint(dataset.load(collection)) == before
    moved = shutil.move(collection, tmp_path / "elsewhere" / "tiny")
    assert dataset.fingerprint(dataset.load(moved)) == before


@pytest.mark.parametrize(("suffix", "counts"), [("wav", False), ("m4a", True)])
def test_ffmpeg_counts_only_where_a_clip_needs_it(collection, monkeypatch, suffix, counts):
    (collection / "audio" / "b.wav").rename(collection / "audio" / f"b.{suffix}")
    tiny, found = dataset.load(collection), set()
    for program in (None, "/usr/bin/ffmpeg"):
        monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda program=program: program)
        found.add(dataset.fingerprint(tiny))
    assert len(found) == 1 + counts
