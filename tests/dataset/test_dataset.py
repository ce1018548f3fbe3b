"""Loading a collection, what is refused and why, and subsets."""

import re
import shutil
import unicodedata

import numpy as np
import pytest
import soundfile

from sss_lib import audio, dataset
from sss_lib.dataset import DatasetError
from sss_lib.dataset.dataset import _clock as clock

ORDER = ["b", "007", "é", "1e5", "a"]


def edit(folder, old, new, file="ground_truth.csv"):
    """Replace text in a file of the collection; the text must be there."""
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder


@pytest.mark.parametrize("choice", [{}, {"name": "ESC50"}, {"name": "fsd50k", "query": "split == ''"}])
def test_no_folder_takes_the_place_of_a_known_collection(collection, choice):
    own = collection.rename(collection.with_name("mini"))
    name = choice.get("name", "mini")
    for of in (dataset.load, dataset.name_of):
        with pytest.raises(DatasetError, match=f"'{name}' is the name of a known collection, whose results"):
            of(own, **choice)
        with pytest.raises(DatasetError, match="'esc10' is the name of a known collection"):
            of("mini", query="split == ''", name="esc10")
    assert dataset.load(own, name="mine").name == dataset.name_of(own, name="mine") == "mine"


@pytest.mark.parametrize("choice", [{"name_or_folder": 2024}, {"name": 2024}, {"name": 0}, {"query": 2024}])
def test_a_number_is_refused_where_a_name_or_a_query_is_meant(choice):
    with pytest.raises(
        dataset.DatasetError, match=r"=(2024|0) is a number, not a name: .* -r (dataset|name|query) (2024|0)"
    ):
        dataset.load(**{"name_or_folder": "mini"} | choice)


def test_a_folder_loads_in_the_order_of_its_ground_truth(collection):
    tiny = dataset.load(collection)
    assert (tiny.name, len(tiny)) == ("tiny", 5)
    assert tiny.clips["fname"].tolist() == ORDER
    assert tiny.clips["labels"].tolist()[3] == ["Dog", "Animal", "Rain"]
    assert tiny.clips["path"].tolist() == [str(collection / "audio" / f"{fname}.wav") for fname in ORDER]
    assert tiny.class_sizes().to_dict() == {"Animal": 4, "Cat": 1, "Dog": 2, "Rain": 2}
    assert tiny.n_unqueryable() == 1
    assert tiny.families == {"Animal": "Living", "Cat": "Living", "Dog": "Living"}  # Rain has none


def test_columns_are_the_six_named_ones_then_what_the_ground_truth_adds(collection):
    edit(collection, ",uploader\n", ",title\n")
    clips = dataset.load(collection).clips
    assert list(clips) == ["fname", "path", "labels", "split", "uploader", "licence", "title"]
    assert clips["title"].tolist() == ["ann", "ben", "ann", "cas", ""]
    assert set(clips["split"]) == set(clips["uploader"]) == set(clips["licence"]) == {""}


@pytest.mark.parametrize(
    "fnames",
    [
        ["007", "1e5"],
        ["1e5", "NA"],
        ["007", "1.50"],
        ["null", "None", "nan", "N\u2215A", "inf", "true", "-0", "a,b"],
    ],
)
def test_fnames_that_look_like_numbers_or_gaps_stay_as_they_are_written(tmp_path, fnames):
    for fname in fnames:
        soundfile.write(tmp_path / f"{fname}.wav", [0.5], 44100)
    (tmp_path / "labels.csv").write_text(
        "fname,labels,title\n" + "".join(f'"{one}","{one}","{one}"\n' for one in fnames)
    )
    clips = dataset.load(tmp_path).clips
    assert clips["fname"].tolist() == clips["title"].tolist() == fnames
    assert clips["labels"].tolist() == [one.split(",") for one in fnames]


def test_labels_are_sorted_and_the_matrix_marks_each_clips_own(collection):
    edit(collection, '"Dog,Animal",ann', '"Dog,Animal,Dog",ann')  # twice, which counts once
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
    assert tiny.class_sizes()["Dog"] == 2


def test_without_a_vocabulary_any_label_is_taken_and_there_are_no_families(collection):
    (collection / "classes.csv").unlink()
    tiny = dataset.load(edit(collection, "Rain", "Drizzle"))
    assert "Drizzle" in tiny.labels
    assert tiny.families == {}


def test_audio_files_of_every_kind_count_and_other_files_do_not(collection):
    audio_dir = collection / "audio"
    soundfile.write(audio_dir / "a.flac", *soundfile.read(audio_dir / "a.wav"))
    (audio_dir / "a.flac").rename(audio_dir / "a.FLAC")
    (audio_dir / "a.wav").unlink()
    (audio_dir / "notes.txt").write_text("not a clip")
    assert dataset.load(collection).clips["path"].iloc[-1] == str(audio_dir / "a.FLAC")


@pytest.mark.parametrize("name", ["nowhere", "Mini", "datasets/mini"])
def test_an_unknown_name_says_what_would_do(tmp_path, name):
    with pytest.raises(DatasetError, match=f"{name}.*neither a known .*'esc50'.* nor a folder"):
        dataset.load(name, tmp_path)


@pytest.mark.parametrize("look", [dataset.load, dataset.inspect])
def test_another_data_folder_is_told(tmp_path, look):
    with pytest.raises(DatasetError, match=r"mini, the dataset 'mini', does not exist: check data_dir, or"):
        look("mini", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fname,labels", "name,labels", "has columns name, labels, uploader, but no 'fname'"),
        ("fname,labels", "fname,classes", "has columns fname, classes, uploader, but no 'labels'"),
        ("fname,labels", "filename,category", "no 'fname' and no 'labels': call the columns"),
        ("b,", "b.flac,", r"1 clips have no file in .*audio.*\('b.flac'\)"),
        ("a,Animal", "b.wav,Animal", r"1 fnames stand twice in .*ground_truth.csv \('b'\)"),
        ("1e5,", "100000,", r"1 clips have no file in .*audio.*\('100000'\)"),
        ("a,Animal", "b,Animal", r"1 fnames stand twice in .*ground_truth.csv \('b'\)"),
        ("Rain,ann", ",ann", r"1 clips have no label in .*ground_truth.csv \('é'\)"),
        ("Rain,ann", '" ",ann', r"1 clips have no label in .*\('é'\)"),
        ("Rain,ann", '",",ann', r"1 clips have no label in .*\('é'\)"),
        ("Rain,ann", "Rian,ann", r"1 labels .* vocabulary of 4 classes.* Rian: did you mean 'Rain'\? \("),
        ("Rain,ann", "rain,ann", r"1 labels are outside the vocabulary of 4 classes.*\('rain'\)"),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_refused_with_the_reason(collection, old, new, message):
    with pytest.raises(DatasetError, match=message):
        dataset.load(edit(collection, old, new))
    if "no label" in message:
        (collection / "classes.csv").unlink()
        with pytest.raises(DatasetError, match=message):
            dataset.load(collection)


@pytest.mark.parametrize("cell", ["b.wav", " b.wav ", "audio/b.wav", r"C:\sounds\b.wav"])
def test_a_clip_may_be_named_by_its_file(collection, cell):
    assert dataset.load(edit(collection, "b,", f"{cell},")).clips["fname"].tolist() == ORDER


def test_an_error_names_three_clips_and_counts_all(collection):
    shutil.rmtree(collection / "audio")
    (collection / "audio").mkdir()
    with pytest.raises(DatasetError, match=r"5 clips have no file .*\('b', '007', 'é', \.\.\.\)"):
        dataset.load(collection)


def test_two_files_of_one_fname_are_refused(collection):
    shutil.copy(collection / "audio" / "b.wav", collection / "audio" / "b.flac")
    with pytest.raises(DatasetError, match=r"1 fnames have two files in .*audio.* \('b'\)"):
        dataset.load(collection)


# some of the clips


def test_selected_clips_keep_their_rows_and_all_labels(collection):
    tiny = dataset.load(collection)
    some = tiny.select(["007", "1e5"])
    assert some.clips["fname"].tolist() == ["007", "1e5"]
    assert some.clips.index.tolist() == [0, 1]
    assert (some.labels, some.families) == (tiny.labels, tiny.families)
    np.testing.assert_array_equal(some.label_matrix.toarray(), tiny.label_matrix.toarray()[[1, 3]])
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
    with pytest.raises(DatasetError, match=message):
        dataset.load(collection).select(fnames)


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
        ("uploader not in ['ann', 'ben'] and uploader in ('cas', '')", ["1e5", "a"]),
        ('not (@has("Dog") | @has("Cat")) & ~(fname == "a")', ["é"]),
        ('`uploader` == "ann" and duration_s > -1', ["b", "é"]),
        ("""fname != '@has("Dog")' and "ann" == uploader""", ["b", "é"]),  # a text is a text
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
    queries = [f"uploader == '{who}'" for who in ("ann", "ben")]
    names = {dataset.load(collection, query=query).name for query in queries}
    assert len(names) == 2
    assert all(re.fullmatch(r"tiny-[0-9a-f]{6}", name) for name in names)
    assert names == {dataset.name_of(collection, query) for query in queries}
    for query in (queries[0], None):
        assert dataset.load(collection, query=query, name="x").name == "x"
        assert dataset.name_of(collection, query, "x") == "x"


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
        ("uploader is 'ann'", "can't be computed"),
        *(
            (query, "column uploader is text, (1|-2.5) is a number: compare text with text, as '1'")
            for query in ("uploader == 1", "uploader in [1]", "uploader in ['ann', -2.5]")
        ),
        ("'1' == duration_s", "'1' is text, column duration_s is a number: compare"),
        ("fname == duration_s", "column fname is text, column duration_s is a number"),
        ("duration_s < uploader", "column duration_s is a number, column uploader is text"),
        ("1 < duration_s < fname", "column duration_s is a number, column fname is text"),
        ('@has("Dog") == 1', "is true or false, 1 is a number"),
        ('uploader != @has("Dog")', "column uploader is text, .* is true or false"),
        ("duration_s == True", "column duration_s is a number, True is true or false"),
        ("1 == '1' and uploader == 'ann'", "1 is a number, '1' is text"),
        ("duration_s.str.contains('1')", "column duration_s is a number, '1' is text"),
        ("(" * 5000 + "uploader" + ")" * 5000, "can't be computed"),
        ("uploader == '" + "a" * 10_000 + "'", "10014 signs are more than 10000"),
        *(
            (query, r'; of labels, ask @has\("Dog"\)$')
            for query in ('"Dog" in labels', 'labels == "Dog"', 'labels.str.contains("Dog")')
        ),
    ],
)
def test_a_query_without_sense_is_refused(collection, query, message):
    with pytest.raises(DatasetError, match=message):
        dataset.load(collection, query=query)


def test_a_number_asked_of_a_column_of_text_is_refused_with_the_remedy(collection):
    with pytest.raises(DatasetError, match="column split is text, 1 is a number: compare text"):
        dataset.load(collection, query="split == 1")


@pytest.mark.parametrize("year", ["2001", "007", "1e5", "inf", "nan", "true"])
def test_only_plain_numbers_are_compared_as_numbers(collection, year):
    edit(collection, ",uploader", ",year")
    for who in ("ann", "ben", "cas"):
        edit(collection, f",{who}\n", f",{year}\n")  # ann's are two
    query = "year == 2001" if year == "2001" else f"year == '{year}'"
    assert len(dataset.load(collection, query=query)) == 4


def test_the_home_folder_is_found_where_the_shell_left_its_sign(collection, monkeypatch):
    monkeypatch.setenv("HOME", str(collection.parent))
    assert dataset.load("~/tiny").labels == dataset.load(collection).labels
    assert dataset.name_of("~/tiny") == "tiny"
    with pytest.raises(DatasetError, match="'~nobody-here/tiny' is neither"):
        dataset.load("~nobody-here/tiny")


def test_a_folder_of_too_long_a_name_needs_another(collection):
    long = collection.rename(collection.with_name("x" * 230))
    with pytest.raises(DatasetError, match=r"'xx.* has 230 bytes, more than 200.*: rename .*or NAME="):
        dataset.load(long)
    assert dataset.load(long, name="short").name == "short"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "has a / in it") for name in ("x/../y", "a/b")),
        *((name, "begins with a dot") for name in ("..", ".x", "../x")),
        *((name, "has signs in it") for name in ("a\0b", "a\nb", "a\x1b[31m", "a\u2028b", "a\udc80")),
        ("a\\b", r"has a \\ in it"),
        ("C:x", "begins like the drive C:"),
        *((name, "ends with a dot or a space") for name in ("x.", "x ")),
        *((name, "is reserved on Windows") for name in ("NUL", "con.wav", "Lpt1")),
        ("x" * 300, "has 300 bytes, more than 200"),
        ("tiny", "a subset of 'tiny' needs a name of its own"),
    ],
)
def test_a_name_that_no_file_could_have_or_the_whole_has_is_refused(collection, name, message):
    with pytest.raises(DatasetError, match=message):
        dataset.load(collection, query='@has("Dog")', name=name)


@pytest.mark.parametrize(
    "query",
    [
        '@os.system("touch {ran}") == 0',
        '@__builtins__["exec"]("open({ran!r}, \'w\')") == None',
        '@has.__globals__["os"].system("touch {ran}") == 0',
        '@pd.io.common.os.system("touch {ran}") == 0',
        '@__import__("os").system("touch {ran}") == 0',
        '__import__("os").system("touch {ran}") == 0',
        "fname.map(lambda f: open({ran!r}, 'w')) == 1",
        "fname.to_csv({ran!r}) == None",
        "[open({ran!r}, 'w') for _ in 'a'] == fname",
        "fname == f\"{{open({ran!r}, 'w')}}\"",
        "fname in [open({ran!r}, 'w')]",
        "(x := open({ran!r}, 'w')) == 1",
        "fname.__class__.__name__ == 'Series'",
        '@has(open({ran!r}, "w"))',
        "duration_s * 10 ** 10 ** 10 > 1",
        "fname.str.contains('(a+)+$', regex=True)",
    ],
)
def test_a_query_is_parsed_and_never_run(collection, tmp_path, query):
    ran = tmp_path / "ran"
    with pytest.raises(DatasetError, match="can't be computed"):
        dataset.load(collection, query=query.format(ran=str(ran)))
    assert not ran.exists()


@pytest.mark.parametrize("name", ["x.", "con", "x" * 201, "a\tb"])
def test_a_folder_whose_name_no_file_can_have_needs_another(collection, name):
    folder = collection.rename(collection.parent / name)
    with pytest.raises(DatasetError, match="rename the folder, or give a name by --name"):
        dataset.load(folder)
    assert dataset.load(folder, name="tiny").name == dataset.name_of(folder, name="tiny") == "tiny"


@pytest.mark.parametrize("name", ["pluie\u00a0forte", "می\u200cروم", "rec{1}", "~x", "a'b\"c", "\u202dx"])
def test_a_folder_may_have_a_name_of_any_script_in_either_form(collection, name):
    folder = collection.rename(collection.parent / name)
    assert dataset.load(folder).name == name
    decomposed = folder.rename(collection.parent / unicodedata.normalize("NFD", f"{name} é"))
    assert dataset.load(decomposed).name == dataset.name_of(decomposed) == f"{name} é"


@pytest.mark.parametrize("query", ["labels != 'x'", "not labels == 'x'", "not labels.str.contains('x')"])
def test_a_query_of_the_lists_of_labels_is_refused_with_the_remedy(collection, query):
    """Each would be true of every clip."""
    with pytest.raises(DatasetError, match=r'labels are lists: ask @has\("Dog"\)'):
        dataset.load(collection, query=query)


def test_windows_are_clips_with_start_and_end_and_the_labels_of_their_file(collection):
    found = dataset.load(collection, window=(0.2, 0.1))
    assert (found.name, dataset.name_of(collection, window=(0.2, 0.1))) == ("tiny-0.2s-0.1s",) * 2
    of_file = dict(iter(found.clips.groupby("file", sort=False)))
    assert list(of_file) == ORDER
    spans = {file: list(zip(own["start_s"], own["end_s"], strict=True)) for file, own in of_file.items()}
    assert spans["007"] == [(0, 0.1)]
    assert spans["1e5"] == [(0, 0.2)]
    assert spans["é"] == [(0, 0.2), (0.1, 0.3), (0.2, 0.4), (0.3, 0.5)]
    assert of_file["é"]["fname"].tolist()[1] == "0:00.1-0:00.3 of é"
    assert of_file["1e5"]["labels"].tolist() == [["Dog", "Animal", "Rain"]]
    assert set(of_file["é"]["uploader"]) == {"ann"}
    assert set(of_file["a"]["uploader"]) == {"file a"}  # whose uploader is unknown
    whole = audio.decode(collection / "audio" / "é.wav", 44100)
    np.testing.assert_array_equal(audio.decode(of_file["é"]["path"].iloc[1], 44100), whole[4410:13230])
    assert found.has("Rain").sum() == 5


@pytest.mark.parametrize(
    ("length_s", "window", "spans"),
    [
        (10, 5, [(0, 5), (5, 10)]),
        (12, 5, [(0, 5), (5, 10), (7, 12)]),
        (10.02, 5, [(0, 5), (5.02, 10.02)]),  # not a third one that is all but the same as the second
        (5.02, 5, [(0.02, 5.02)]),
        (4, 5, [(0, 4)]),
        (9, (5, 2), [(0, 5), (2, 7), (4, 9)]),
        (10, (2, 5), [(0, 2), (5, 7), (8, 10)]),
    ],
)
def test_the_last_window_ends_where_the_file_ends(tmp_path, length_s, window, spans):
    soundfile.write(tmp_path / "a.wav", np.zeros(round(length_s * 1000)), 1000)
    clips = dataset.load(tmp_path, window=window).clips
    assert list(zip(clips["start_s"], clips["end_s"], strict=True)) == spans


@pytest.mark.parametrize("window", [-1, (5, 0), (0, 5), (float("nan"), 1), 1e-9, (5, 0.0009)])
def test_windows_without_length_are_refused(collection, window):
    with pytest.raises(DatasetError, match="give numbers above 0"):
        dataset.load(collection, window=window)


def test_windows_are_told_by_minutes_and_hours():
    assert [clock(s) for s in (0, 42, 62.5, 3599.999, 3600, 10803.25)] == [
        *("0:00", "0:42", "1:02.5", "59:59.999", "1:00:00", "3:00:03.25")
    ]
