"""Ground truths of any subset, without audio, and families as the CBMI 2024 code has them."""

import json
import shutil

import pytest

from sss_lib import dataset, overview, players, verification
from sss_lib.__main__ import main
from sss_lib.dataset import DatasetError, sources, taxonomy

FAMILIES = {"Living": ["Cat", "Dog", "Animal"], "Silent": ["Stone"]}


@pytest.fixture
def part(collection, tmp_path):
    """A table of two of the clips of a collection, as pandas writes it, with its index."""
    path = tmp_path / "part.csv"
    lines = (collection / "ground_truth.csv").read_text("utf-8").splitlines()
    path.write_text(
        "\n".join([f",{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:3]))]), "utf-8"
    )
    return path


def test_files_without_a_line_are_left_out_and_counted(collection, part):
    whole = dataset.load(collection)
    found = dataset.load(collection, ground_truth=part)
    assert found.clips["fname"].tolist() == whole.clips["fname"].tolist()[:2]
    assert "" not in found.clips
    assert found.name == sources.name_of(collection, ground_truth=part) == "tiny-part"
    (said,) = found.left_out
    assert said.startswith(f"{len(whole) - 2} files are absent from {part}")
    with pytest.raises(DatasetError, match="files are absent from"):
        dataset.load(collection, ground_truth=part, strict=True)
    assert dataset.load(collection, ground_truth=part, query="fname != ''", name="q").left_out == (said,)


def test_from_folder_takes_a_table_of_some_files(collection, part):
    found = dataset.from_folder(collection / "audio", part)
    assert (len(found), len(found.left_out)) == (2, 1)
    with pytest.raises(DatasetError, match="files are absent from"):
        dataset.from_folder(collection / "audio", part, strict=True)


def test_a_known_collection_keeps_what_else_is_known_of_each_clip(tmp_path):
    mini = dataset.load("mini")
    some = mini.clips.iloc[[5, 2, 9]]
    path = tmp_path / "some.csv"
    some.assign(labels=some["labels"].map(",".join))[["fname", "labels"]].to_csv(path)
    found = dataset.load("mini", ground_truth=path)
    assert found.clips[list(some)].to_dict("records") == some.to_dict("records")
    assert found.families.items() <= mini.families.items()
    assert found.left_out[0].startswith(f"{len(mini) - 3} files are absent")
    path.write_text("fname,labels\nnowhere,Dog\n")
    with pytest.raises(DatasetError, match="1 clips have no file"):
        dataset.load("mini", ground_truth=path)


def test_without_audio_a_collection_is_whole_once_that_is_said(collection):
    whole = dataset.load(collection)
    shutil.rmtree(collection / "audio")
    with pytest.raises(DatasetError, match=r"clips have no file .*needs_audio=False \(--no-audio\)"):
        dataset.load(collection)
    found = dataset.load(collection, needs_audio=False)
    assert found.clips["fname"].tolist() == whole.clips["fname"].tolist()
    assert (found.label_matrix != whole.label_matrix).nnz == 0
    report = dataset.verify(found)
    assert report["problem"].ne("").all()
    assert "Result: whole" in str(verification.report_on(found, report))
    assert players.any_of(found).data == "<p>tiny has no audio here.</p>"
    numbers = overview.glance(found, report)
    assert "unknown without audio" in numbers["this collection"].tolist()


def test_a_part_of_the_audio_is_told(collection):
    (collection / "audio" / "b.wav").unlink()
    found = dataset.load(collection, needs_audio=False)
    report = dataset.verify(found)
    said = str(verification.report_on(found, report))
    assert "note  audio       1 clips have no file" in said
    assert "Result: whole" in said


def test_a_known_collection_without_audio_is_refused_with_the_remedy():
    with pytest.raises(DatasetError, match="mini has its audio: without it, give the folder"):
        dataset.load("mini", needs_audio=False)


@pytest.mark.parametrize("way", ["folder", "file", "mapping", "from_folder"])
def test_families_are_read_as_the_2024_code_has_them(collection, tmp_path, way):
    (collection / "classes.csv").unlink()
    path = collection / "families.json" if way == "folder" else tmp_path / "theirs.json"
    path.write_text(json.dumps(FAMILIES))
    if way == "from_folder":
        found = dataset.from_folder(collection / "audio", collection / "ground_truth.csv", FAMILIES)
    else:
        given = {"folder": None, "file": path, "mapping": FAMILIES}[way]
        found = dataset.load(collection, families=given)
    assert found.families == {"Cat": "Living", "Dog": "Living", "Animal": "Living"}
    assert "Rain" in found.labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"A": ["Dog"], "B": ["Dog"]}', "'Dog' is in the families 'A' and 'B'"),
        ('{"Dog": "Animal"}', "is not of the form"),
        ('["Dog"]', "is not of the form"),
        ('{"A": [1]}', "is not of the form"),
        ("{", "can't be read"),
        ('{"A": ["dog"]}', r"none of the 1 labels of the families \('dog', \.\.\.\) is among the 4 of tiny"),
    ],
)
def test_what_are_no_families_is_refused(collection, content, message):
    (collection / "families.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        dataset.load(collection)


def test_families_that_do_not_exist_are_told(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere.json can't be read"):
        taxonomy.read_families(tmp_path / "nowhere.json")


def test_a_grid_is_planned_with_a_table_of_some_clips(collection, part, tmp_path, capsys):
    (tmp_path / "g.yaml").write_text("models: [duration]\n")
    words = ["--dataset", str(collection), "--ground-truth", str(part), "--data-dir", str(tmp_path), "--plan"]
    assert main(["run", str(tmp_path / "g.yaml"), *words]) == 0
    assert "g.yaml on tiny-part:" in capsys.readouterr().out
    assert main(["run", str(tmp_path / "g.yaml"), *words, "--strict"]) != 0
    assert "files are absent from" in capsys.readouterr().err
