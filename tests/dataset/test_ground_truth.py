"""Folders of one's own: with a table, with a folder a class, or without labels."""

import re

import numpy as np
import pytest
import soundfile

from sss_lib import dataset, ground_truth
from sss_lib.dataset import DatasetError


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(100, 0.1), 44100)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine"


def test_folders_of_audio_files_are_classes(folder):
    for name in ("dog/1.wav", "dog/2.flac", "cat/1.wav", ".hidden/3.wav", "empty/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        put(folder / name) if not name.endswith("txt") else (folder / name).touch()
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["cat-1", "dog-1", "dog-2"]
    assert found.clips["labels"].tolist() == [["cat"], ["dog"], ["dog"]]
    assert found.clips["path"][1] == str(folder / "dog" / "1.wav")
    assert found.class_sizes().to_dict() == {"cat": 1, "dog": 2}
    assert found.n_unqueryable() == 1
    assert list(found.clips) == ["fname", "path", "labels", "split", "uploader", "licence"]


def test_folders_of_classes_may_lie_in_audio(folder):
    put(folder / "audio" / "dog" / "1.wav")
    assert dataset.load(folder).clips["fname"].tolist() == ["dog-1"]


def test_a_class_may_have_any_name(folder):
    put(folder / "Bass, deep & <b>" / "1.wav")
    assert dataset.load(folder).labels == ["Bass, deep & <b>"]


def test_two_classes_that_would_give_one_fname_are_told(folder):
    put(folder / "a" / "b-c.wav")
    put(folder / "a-b" / "c.wav")
    with pytest.raises(DatasetError, match=r"1 fnames stand twice in .*mine: rename the files \('a-b-c'\)"):
        dataset.load(folder)


def test_folders_within_the_folder_of_a_class_are_refused(folder):
    put(folder / "dog" / "1.wav")
    put(folder / "dog" / "puppy" / "2.wav")
    with pytest.raises(DatasetError, match=r"1 folders lie too deep: .*one folder a class .*puppy"):
        dataset.load(folder)


def test_audio_both_in_and_beside_folders_is_refused(folder):
    put(folder / "dog" / "1.wav")
    put(folder / "2.wav")
    with pytest.raises(DatasetError, match=r"holds audio files \('2', ...\) and folders of them \('dog'"):
        dataset.load(folder)


def test_audio_alone_has_no_labels(folder):
    for name in ("b.wav", "a.wav", "c.mp3"):
        put(folder / name)
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["a", "b", "c"]
    assert found.clips["labels"].tolist() == [[], [], []]
    assert found.labels == []
    assert found.label_matrix.shape == (3, 0)
    assert found.families == {}
    with pytest.raises(DatasetError, match=r"mine has no labels: .* to evaluate, add a ground_truth.csv"):
        found.require_labels()


def test_labels_that_no_two_clips_share_cannot_be_scored(folder):
    for name in ("dog/1.wav", "cat/1.wav"):
        put(folder / name)
    found = dataset.load(folder)
    with pytest.raises(DatasetError, match=r"no class of mine has two clips: no query .*--add-ancestors"):
        found.require_labels()
    put(folder / "cat/2.wav")
    dataset.load(folder).require_labels()


def test_a_folder_without_audio_says_what_it_looks_for(folder):
    folder.mkdir()
    (folder / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"mine holds no audio file \(wav, flac, .*\), and no folder"):
        dataset.load(folder)


def test_a_folder_that_has_the_name_of_a_file_is_a_clip_that_fails(folder):
    put(folder / "a.wav")
    (folder / "x.wav").mkdir()
    found = dataset.load(folder)
    report = dataset.verify(found)
    assert found.clips["fname"].tolist() == ["a", "x"]
    assert "x.wav is not a file" in report["problem"][1]


@pytest.mark.parametrize("name", ["ground_truth.csv", "labels.csv"])
@pytest.mark.parametrize("where", ["audio", "."])
def test_a_table_is_found_by_its_columns_and_the_audio_beside_it(folder, name, where):
    for fname in ("a", "b"):
        put(folder / where / f"{fname}.wav")
    (folder / name).write_text("\ufefffname,labels,year\na,Dog,1999\nb,Cat,2001\n", encoding="utf-8")
    (folder / "other.csv").write_text("x,y\n1,2\n")
    found = dataset.load(folder)
    assert found.labels == ["Cat", "Dog"]
    assert found.clips["year"].tolist() == ["1999", "2001"]


def test_two_tables_are_refused_unless_one_has_the_name(folder):
    put(folder / "a.wav")
    for name in ("one.csv", "two.csv"):
        (folder / name).write_text("fname,labels\na,Dog\n")
    with pytest.raises(DatasetError, match=r"2 tables, one\.csv, two\.csv: call one of them ground_truth"):
        dataset.load(folder)
    (folder / "one.csv").rename(folder / "ground_truth.csv")
    assert dataset.load(folder).labels == ["Dog"]


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("fname;labels", "utf-8"),
        ("Fname,Labels", "utf-8"),
        ("fname,label", "utf-8"),
        ("fname,labels", "utf-16"),
    ],
)
def test_a_table_that_is_nearly_one_is_not_passed_over(folder, header, encoding):
    put(folder / "a.wav")
    (folder / "labels.csv").write_text(f"{header}\na,Dog\n", encoding=encoding)
    named = re.escape(header) if encoding == "utf-8" else ""
    with pytest.raises(
        DatasetError, match=f"no table of labels.*begin with 'fname,labels'.*labels.csv with '{named}"
    ):
        dataset.load(folder)


def test_a_header_may_have_spaces(folder):
    put(folder / "a.wav")
    for name in ("labels.csv", "ground_truth.csv"):
        (folder / name).write_text("fname, labels\na,Dog\n")
        assert dataset.load(folder).labels == ["Dog"]


def test_names_are_the_same_whichever_way_their_accents_are_written(folder):
    put(folder / "audio" / "e\u0301.wav")
    (folder / "labels.csv").write_text("fname,labels\n\u00e9,E\u0301tude\n", "utf-8")
    (folder / "classes.csv").write_text("label,family\n\u00c9tude,\n", "utf-8")
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["\u00e9"]
    assert found.labels == ["\u00c9tude"]
    assert dataset.verify(found, 1)["problem"].tolist() == [""]


def test_spaces_around_an_fname_are_none_of_it_unless_the_file_has_them(folder):
    for fname in ("a", "b "):
        put(folder / f"{fname}.wav")
    (folder / "labels.csv").write_text("fname,labels\n a ,Dog\nb ,Cat\n")
    assert dataset.load(folder).clips["fname"].tolist() == ["a", "b "]


def test_a_comma_too_many_is_called_that(folder):
    put(folder / "a.wav")
    (folder / "labels.csv").write_text('fname,labels\na,"Dog,"\n')
    with pytest.raises(DatasetError, match=r"1 clips have a comma too many among their labels in .*\('a'\)"):
        dataset.load(folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_table_with_zero_bytes_is_refused(folder, encoding):
    put(folder / "a.wav")
    (folder / "ground_truth.csv").write_text("fname,labels\na,Do\0g\n", encoding)
    with pytest.raises(DatasetError, match="it holds zero bytes, so save it as UTF-8"):
        dataset.load(folder)


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "x" * 300])
def test_a_name_that_no_file_could_have_is_refused(folder, name):
    put(folder / "a.wav")
    with pytest.raises(DatasetError, match=r"^name "):
        dataset.load(folder, name=name)


@pytest.mark.parametrize("name", ["labels.csv", "ground_truth.csv", "classes.csv"])
@pytest.mark.parametrize("is_link", [True, False])
def test_what_has_the_name_of_a_table_but_is_no_file_is_refused(folder, name, is_link):
    put(folder / "a.wav")
    (folder / name).symlink_to("nowhere") if is_link else (folder / name).mkdir()
    with pytest.raises(DatasetError, match=rf"1 names in .* belong to folders or to links .*\('{name}'\)"):
        dataset.load(folder)


def test_a_name_that_is_no_text_is_refused(folder):
    folder.mkdir()
    try:
        (folder / "x\udcff.wav").touch()
    except OSError:
        pytest.skip("this file system has only names that are text")
    with pytest.raises(DatasetError, match=r"1 files in .*mine have names with signs that no text has"):
        dataset.load(folder)


def test_all_that_does_not_fit_is_told_at_once(folder):
    for fname in ("a", "b", "c"):
        put(folder / f"{fname}.wav")
    (folder / "ground_truth.csv").write_text("fname,labels\na,Dog\na,Cat\nb,\nd,Dog\n")
    with pytest.raises(DatasetError) as caught:
        dataset.load(folder)
    said = str(caught.value).splitlines()
    assert [re.sub(r" in .*|:.*", "", line) for line in said] == [
        "1 fnames stand twice",
        "1 clips have no label",
        "1 clips have no file",
        "1 files are absent from " + str(folder / "ground_truth.csv"),
    ]
    usable, problems = dataset.inspect(folder)
    assert usable.clips["fname"].tolist() == ["a"]
    assert problems == said


def test_a_complaint_names_three_and_counts_all():
    assert ground_truth.complaint([], "things") == []
    assert ground_truth.complaint(range(5), "things are odd") == ["5 things are odd (0, 1, 2, ...)"]
