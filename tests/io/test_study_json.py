"""Embeddings in the form of the study's code, written and read back."""

import dataclasses
import json

import numpy as np
import pytest

from sss_lib.io import study_json
from sss_lib.io.artefact import Frames, replacing

FRAMES = Frames(
    ["b", "007"], np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 2, 3]), 0.5
)  # two frames, then one
CLIPS = Frames(["b", "007"], np.arange(4, dtype=np.float32).reshape(2, 2), np.array([0, 1, 2]))


@pytest.mark.parametrize(
    ("frames", "embeddings"),
    [(FRAMES, [[[0, 1], [2, 3]], [[4, 5]]]), (CLIPS, [[0, 1], [2, 3]])],
    ids=["frames", "clips"],
)
def test_json_embeddings_are_written_in_the_cbmi_form(tmp_path, frames, embeddings):
    study_json.write_json_embeddings(tmp_path / "json", frames, ["audio/b.wav", "audio/007.wav"])
    assert sorted(path.name for path in (tmp_path / "json").iterdir()) == ["007.json", "b.json"]
    for fname, expected in zip(frames.fnames, embeddings, strict=True):
        content = json.loads((tmp_path / "json" / f"{fname}.json").read_text())
        assert content == {"audio_path": f"audio/{fname}.wav", "embeddings": expected}


@pytest.mark.parametrize("frames", [FRAMES, CLIPS], ids=["frames", "clips"])
def test_json_embeddings_read_back_sorted_by_fname(tmp_path, frames):
    study_json.write_json_embeddings(tmp_path, frames, ["audio/b.wav", "audio/007.wav"])
    fnames, values, offsets = study_json.read_json_embeddings(tmp_path)
    assert fnames == ["007", "b"]
    start = frames.offsets[1]
    assert offsets.tolist() == [0, len(frames.values) - start, len(frames.values)]
    np.testing.assert_array_equal(values, np.concatenate([frames.values[start:], frames.values[:start]]))
    assert values.dtype == np.float32


def write_json(folder, **embeddings):
    for fname, values in embeddings.items():
        (folder / f"{fname}.json").write_text(json.dumps({"audio_path": "x.wav", "embeddings": values}))


def test_json_embeddings_of_a_clip_may_be_one_list(tmp_path):
    write_json(tmp_path, a=[1, 2], b=[[3, 4]])
    fnames, values, offsets = study_json.read_json_embeddings(tmp_path)
    assert fnames == ["a", "b"]
    assert values.tolist() == [[1, 2], [3, 4]]
    assert offsets.tolist() == [0, 1, 2]


def test_json_embeddings_of_two_dimensions_are_refused(tmp_path):
    write_json(tmp_path, a=[1, 2], b=[[1, 2, 3]])
    with pytest.raises(ValueError, match=r"b.json has dimension 3 but a.json has 2"):
        study_json.read_json_embeddings(tmp_path)


def test_a_folder_without_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no \.json file"):
        study_json.read_json_embeddings(tmp_path)


def test_what_a_killed_json_writer_left_is_not_read_as_a_clip(tmp_path):
    write_json(tmp_path, a=[1, 2])
    writing = replacing(tmp_path / "b.json")
    writing.__enter__()  # and never leaves: its temporary file stays, as after a kill
    assert study_json.read_json_embeddings(tmp_path)[0] == ["a"]


@pytest.mark.parametrize("fname", ["../x", "deep/x", "{folder}/../x"])
def test_an_fname_that_would_leave_the_folder_is_refused(tmp_path, fname):
    folder = tmp_path / "json"
    frames = dataclasses.replace(CLIPS, fnames=[fname.format(folder=folder), "007"])
    with pytest.raises(ValueError, match="would be written outside"):
        study_json.write_json_embeddings(folder, frames, ["a.wav", "b.wav"])
    assert list(tmp_path.rglob("*.json")) == []
