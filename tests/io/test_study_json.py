"""Embeddings in the form of the study's code."""

import json

import numpy as np
import pytest

from sss_lib.io.study_json import read_json_embeddings


def write_json(folder, **embeddings):
    for fname, values in embeddings.items():
        (folder / f"{fname}.json").write_text(json.dumps({"audio_path": "x.wav", "embeddings": values}))


def test_frames_of_each_clip_are_read_sorted_by_fname(tmp_path):
    write_json(tmp_path, b=[[0, 1], [2, 3]], **{"007": [[4, 5]]})
    fnames, values, offsets = read_json_embeddings(tmp_path)
    assert fnames == ["007", "b"]
    assert values.tolist() == [[4, 5], [0, 1], [2, 3]]
    assert values.dtype == np.float32
    assert offsets.tolist() == [0, 1, 3]


def test_the_embedding_of_a_clip_may_be_one_list(tmp_path):
    write_json(tmp_path, a=[1, 2], b=[[3, 4]])
    fnames, values, offsets = read_json_embeddings(tmp_path)
    assert fnames == ["a", "b"]
    assert values.tolist() == [[1, 2], [3, 4]]
    assert offsets.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ({"a": [1, 2], "b": [1, 2, 3]}, r"b.json has dimension 3 but a.json has 2"),
        ({"a": [1, "x"]}, r"a.json has no 'embeddings' that form a table of numbers"),
        ({}, r"holds no \.json file"),
    ],
)
def test_what_is_no_table_of_embeddings_is_refused(tmp_path, embeddings, message):
    write_json(tmp_path, **embeddings)
    with pytest.raises(ValueError, match=message):
        read_json_embeddings(tmp_path)


def test_a_hidden_file_as_a_killed_writer_leaves_it_is_no_clip(tmp_path):
    write_json(tmp_path, a=[1, 2])
    (tmp_path / ".b.json.x7_k.json").write_text('{"audio')
    assert read_json_embeddings(tmp_path)[0] == ["a"]
