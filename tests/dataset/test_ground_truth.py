"""Folders of one's own: with a table, with a folder a class, or without labels."""

import re

import numpy as np
import pytest
import soundfile

from sss_lib import dataset, ground_truth
from sss_lib.dataset import DatasetError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def put(folder, *names, **tables):
    """Write a sound at each name, and tables by their stems."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, np.full(100, 0.1), 44100)
    for stem, text in tables.items():
        (folder / f"{stem}.csv").write_text(text, encoding="utf-8")


def test_folders_of_audio_files_are_classes(folder):
    put(folder, "dog/1.wav", "dog/2.flac", "cat/1.wav", ".hidden/3.wav")
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").touch()
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["cat-1", "dog-1", "dog-2"]
    assert found.clips["labels"].tolist() == [["cat"], ["dog"], ["dog"]]
    assert found.clips["path"][1] == str(folder / "dog" / "1.wav")
    assert found.class_sizes().to_dict() == {"cat": 1, "dog": 2}
    assert list(found.clips) == ["fname", "path", "labels", "split", "uploader", "licence"]


def test_folders_of_classes_may_lie_in_audio_and_have_any_name(folder):
    put(folder, "audio/Bass, deep & <b>/1.wav")
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["Bass, deep & <b>-1"]
    assert found.labels == ["Bass, deep & <b>"]


TABLE = "fname,labels\na,Dog\n"


@pytest.mark.parametrize(
    ("names", "tables", "message"),
    [
        (["a/b-c.wav", "a-b/c.wav"], {}, r"1 fnames stand twice in .*mine: rename the files \('a-b-c'\)"),
        (["dog/1.wav", "dog/puppy/2.wav"], {}, r"1 folders lie too deep: .*one folder a class .*puppy"),
        (["dog/1.wav", "2.wav"], {}, r"holds audio files \('2', ...\) and folders of them \('dog'"),
        ([], {"notes": "x,y"}, r"mine holds no table of labels"),
        ([], {}, r"mine holds no audio file \(wav, flac, .*\), and no folder"),
        (["a.wav"], {"one": TABLE, "two": TABLE}, r"2 tables, one\.csv, two\.csv: call one of them ground_t"),
        (["a.wav"], {"x": 'fname,labels\na,"Dog,"'}, r"1 clips have a comma too many .* in .*\('a'\)"),
        (["a.wav"], {"ground_truth": TABLE.replace("o", "\0")}, "holds zero bytes, so save it as UTF-8"),
        (["a.wav"], {"ground_truth": ""}, r"ground_truth\.csv is not a table in CSV"),
        (["a.wav"], {"ground_truth": "fname,labels\n"}, "ground_truth.csv lists no clip"),
        (["a.wav"], {"classes": "label,family\n"}, r"ground_truth\.csv does not exist, but classes\.csv"),
        ([], {"ground_truth": TABLE}, r"1 clips have no file in .*mine.audio: an fname is the file's name"),
    ],
)
def test_a_folder_that_does_not_fit_together_is_refused_with_the_reason(folder, names, tables, message):
    put(folder, *names, **tables)
    with pytest.raises(DatasetError, match=message):
        dataset.load(folder)


NAMED = "in the column label of classes.csv"


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['Dog', 'Bark']", ["Dog", "Bark"]),
        ('["Dog", "Bark"]', ["Dog", "Bark"]),
        ("('Dog',)", ["Dog"]),
        ("{'Dog', 'Bark'}", ["Dog", "Bark"]),
        ("['Speech, male', \"Dog's\"]", ["Speech, male", "Dog's"]),
        (" Dog ,  Bark ,Dog", ["Dog", "Bark"]),
        ('"Speech, male", Speech', ["Speech, male", "Speech"]),
        ("1,007", ["1", "007"]),
        ("NA,null,nan,1e5,true", ["NA", "null", "nan", "1e5", "true"]),
        ("{{7*7}}", ["{{7*7}}"]),
        ('=X("a"&b)', ['=X("a"&b)']),
        ("Dog;Bark", "not joined by commas: join labels by commas, as in Dog,Bark, "),
        ("Dog; Bark,Animal", "not joined by commas"),
        ("Dog|Bark", NAMED),
        ("Dog\tBark", "not joined by commas"),
        ("Dog\nBark", "'Dog.nBark'"),
        ("[Dog, Bark]", "not joined by commas"),
        ("['Dog' 'Bark']", "not joined by commas"),
        ("['Dog', nan]", "not joined by commas"),
        ("[1, 2]", "not joined by commas"),
        ("['Dog;Bark']", "not joined by commas"),
        ('"Dog, Bark', "can't be told apart"),
    ],
)
def test_labels_are_those_that_a_cell_says_or_it_is_refused(folder, cell, labels):
    put(folder, "a.wav", labels='fname,labels\na,"' + cell.replace('"', '""') + '"\n')
    if isinstance(labels, str):
        with pytest.raises(DatasetError, match=f"labels\\.csv: labels .*{labels}"):
            dataset.load(folder)
    else:
        assert dataset.load(folder).clips["labels"].tolist() == [labels]


@pytest.mark.parametrize("label", ["Dog;Bark", "[x]", "Speech, male", "a|b"])
def test_a_vocabulary_may_name_a_class_by_any_signs(folder, label):
    put(folder, "a.wav", labels=f'fname,labels\na,"{label}"\n', classes=f'label,parents\n"{label}",\n')
    assert dataset.load(folder).labels == [label]


@pytest.mark.parametrize("other", ["dog", "Dog\u200b", "D og"])
def test_labels_that_look_alike_are_refused_unless_the_vocabulary_has_both(folder, other):
    put(folder, "a.wav", "b.wav", labels=f"fname,labels\na,Dog\nb,{other}\n")
    with pytest.raises(DatasetError, match=r"labels .* differ only in case or spaces: write one, or list"):
        dataset.load(folder)
    put(folder, classes=f"label,parents\nDog,\n{other},\n")
    assert set(dataset.load(folder).labels) == {"Dog", other}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("fname,labels, labels\na,x,y\n", r"1 columns stand twice in .*ground_truth\.csv \('labels'\)"),
        ("fname,labels\na,Dog,Bark\n", r"line 2 of .* has 3 cells, where fname, labels are 2: .* quotes"),
        ("fname;labels\na;Dog\n", r"ground_truth.csv begins with 'fname;labels': save it as CSV with commas"),
        ("fname\tlabels\na\tDog\n", r"begins with 'fname.*tlabels': save it as CSV with commas"),
        (
            "sep=,\nfname,labels\na,Dog\n",
            r"begins with 'sep=': .* the names of the columns in the first line",
        ),
        ("fname,labels\na,Dog\x1b[31m\n", r"1 fnames and labels in .* have signs that no text has: rename"),
        ("fname,labels\n\x9ba,Dog\n", r"1 fnames and labels in .* have signs that no text has: rename"),
        ('fname,labels\na,"Dog\n', r"ground_truth\.csv is not a table in CSV: unexpected end"),
    ],
)
def test_a_table_that_is_not_one_is_refused_in_words_of_its_own(folder, table, message):
    put(folder, "a.wav", ground_truth=table)
    with pytest.raises(DatasetError, match=message):
        dataset.load(folder)


def test_a_table_in_another_encoding_is_refused_without_a_word_on_its_columns(folder):
    put(folder, "a.wav")
    (folder / "ground_truth.csv").write_bytes("fname,labels\na,Café\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="is not a table in CSV: save it as UTF-8 text") as error:
        dataset.load(folder)
    assert "call the columns" not in str(error.value)


def test_spaces_around_an_uploader_make_no_other_one(folder):
    put(
        folder,
        "a.wav",
        "b.wav",
        ground_truth="fname,labels,uploader,split\na,Dog, ann,dev \nb,Dog,ann , dev\n",
    )
    clips = dataset.load(folder).clips
    assert clips[["uploader", "split"]].to_numpy().tolist() == [["ann", "dev"]] * 2


@pytest.mark.parametrize("header", ["fname,labels", "fname,labels,"])
def test_a_comma_at_the_end_of_each_line_and_short_lines_change_nothing(folder, header):
    put(
        folder,
        "a.wav",
        "b.wav",
        ground_truth=f"{header},title\na,Dog,,,\n\nb,Cat\n".replace(",,title", ",title"),
    )
    found = dataset.load(folder).clips
    assert found["labels"].tolist() == [["Dog"], ["Cat"]]
    assert found["title"].tolist() == ["", ""]


def test_audio_alone_has_no_labels_and_cannot_be_scored(folder):
    put(folder, "b.wav", "a.wav", "c.mp3")
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["a", "b", "c"]
    assert found.clips["labels"].tolist() == [[], [], []]
    assert (found.labels, found.label_matrix.shape, found.families) == ([], (3, 0), {})
    with pytest.raises(DatasetError, match=r"mine has no labels: .* to evaluate, add a ground_truth.csv"):
        found.require_labels()


def test_labels_that_no_two_clips_share_cannot_be_scored(folder):
    put(folder, "dog/1.wav", "cat/1.wav")
    with pytest.raises(DatasetError, match=r"no class of mine has two clips: no query .*--add-ancestors"):
        dataset.load(folder).require_labels()
    put(folder, "cat/2.wav")
    dataset.load(folder).require_labels()


def test_a_folder_that_has_the_name_of_a_file_is_a_clip_that_fails(folder):
    put(folder, "a.wav")
    (folder / "x.wav").mkdir()
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["a", "x"]
    assert "x.wav is not a file" in dataset.verify(found)["problem"][1]


@pytest.mark.parametrize("name", ["ground_truth", "labels"])
@pytest.mark.parametrize("where", ["audio/", ""])
def test_a_table_is_found_by_its_columns_and_the_audio_beside_it(folder, name, where):
    table = "\ufefffname, labels ,year\na,Dog,1999\nb,Cat,2001\n"
    put(folder, f"{where}a.wav", f"{where}b.wav", other="x,y\n1,2\n", **{name: table})
    found = dataset.load(folder)
    assert found.labels == ["Cat", "Dog"]
    assert found.clips["year"].tolist() == ["1999", "2001"]


def test_of_two_tables_the_one_with_the_name_counts(folder):
    put(folder, "a.wav", one="fname,labels\na,Cat\n", ground_truth=TABLE)
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
    put(folder, "a.wav")
    (folder / "labels.csv").write_text(f"{header}\na,Dog\n", encoding=encoding)
    shown = re.escape(header) if encoding == "utf-8" else ""
    with pytest.raises(DatasetError, match=f"no table .*with 'fname,labels'.*labels.csv with '{shown}"):
        dataset.load(folder)


def test_names_are_the_same_whichever_way_their_accents_are_written(folder):
    put(folder, "audio/e\u0301.wav", labels="fname,labels\n\u00e9,E\u0301tude\n")
    put(folder, classes="label,family\n\u00c9tude,\n")
    found = dataset.load(folder)
    assert found.clips["fname"].tolist() == ["\u00e9"]
    assert found.labels == ["\u00c9tude"]
    assert dataset.verify(found, 1)["problem"].tolist() == [""]


def test_spaces_around_an_fname_are_dropped_unless_the_file_has_them(folder):
    put(folder, "a.wav", "b .wav", labels="fname,labels\n a ,Dog\nb ,Cat\n")
    assert dataset.load(folder).clips["fname"].tolist() == ["a", "b "]


@pytest.mark.parametrize("name", ["labels.csv", "ground_truth.csv", "classes.csv"])
@pytest.mark.parametrize("is_link", [True, False])
def test_what_has_the_name_of_a_table_but_is_no_file_is_refused(folder, name, is_link):
    put(folder, "a.wav")
    (folder / name).symlink_to("nowhere") if is_link else (folder / name).mkdir()
    with pytest.raises(DatasetError, match=rf"1 names in .* belong to folders or to links .*\('{name}'\)"):
        dataset.load(folder)


def test_a_name_that_is_no_text_is_refused(folder):
    try:
        (folder / "x\udcff.wav").touch()
    except OSError:
        pytest.skip("this file system has only names that are text")
    with pytest.raises(DatasetError, match=r"1 files in .*mine have names with signs that no text has"):
        dataset.load(folder)


def test_every_misfit_is_named_at_once_and_the_rest_can_be_used(folder):
    put(folder, "a.wav", "b.wav", "c.wav", ground_truth="fname,labels\na,Dog\na,Cat\nb,\nd,Dog\n")
    with pytest.raises(DatasetError) as caught:
        dataset.load(folder, strict=True)
    said = str(caught.value).splitlines()
    assert [re.sub(r" in .*|:.*", "", line) for line in said] == [
        "1 fnames stand twice",
        "1 clips have no label",
        "1 clips have no file",
        "1 files are absent from " + str(folder / "ground_truth.csv"),
    ]
    usable, problems = dataset.inspect(folder)
    assert usable.clips["fname"].tolist() == ["a"]
    assert [*problems, *usable.left_out] == said


def test_a_complaint_names_three_and_counts_all():
    assert ground_truth.complaint([], "things") == []
    assert ground_truth.complaint(range(5), "things are odd") == ["5 things are odd (0, 1, 2, ...)"]
