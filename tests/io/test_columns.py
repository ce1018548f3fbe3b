"""Arrays read back from tables as they were."""

import numpy as np
import pyarrow as pa
import pytest

from sss_lib import columns
from sss_lib.io.artefact import Artefact
from sss_lib.io.columns import Frames

FRAMES = Frames(
    ["b", "007"], np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 2, 3]), 0.5
)  # two frames, then one


@pytest.fixture
def artefact(tmp_path):
    return Artefact(tmp_path / "x.parquet", {})


def test_columns_of_every_kind_read_back_as_they_were(artefact):
    matrix = np.array([[1.5, -2.5], [np.pi, 0]], np.float32)
    labels, n = [["Dog", "Animal"], []], np.array([1, 2], np.int32)
    artefact.write({"fname": ["007", "é"], "labels": labels, "x": matrix, "n": n})
    table = artefact.read()
    assert table["fname"].to_pylist() == ["007", "é"]
    assert table["labels"].to_pylist() == [["Dog", "Animal"], []]
    np.testing.assert_array_equal(columns.to_matrix(table["x"]), matrix)
    assert columns.to_matrix(table["x"]).dtype == np.float32
    assert table["n"].type == pa.int32()


def test_frames_read_back_with_their_offsets_and_hop(artefact):
    artefact.write({"fname": FRAMES.fnames, "frames": FRAMES, "hop_s": np.full(2, FRAMES.hop_s, np.float32)})
    again = columns.to_frames(artefact.read())
    assert again.fnames == ["b", "007"]
    assert again.offsets.tolist() == [0, 2, 3]
    assert again.hop_s == 0.5
    np.testing.assert_array_equal(again.values, FRAMES.values)
    assert again.values.dtype == np.float32


def test_frames_of_several_tables_follow_one_another(artefact):
    artefact.write({"fname": FRAMES.fnames, "frames": FRAMES, "hop_s": np.full(2, FRAMES.hop_s, np.float32)})
    both = columns.to_frames(pa.concat_tables([artefact.read(), artefact.read()]))
    assert both.fnames == ["b", "007", "b", "007"]
    assert both.offsets.tolist() == [0, 2, 3, 5, 6]
    np.testing.assert_array_equal(both.values, np.concatenate([FRAMES.values, FRAMES.values]))


def test_frames_of_part_of_a_table_are_those_of_its_rows(artefact):
    artefact.write({"fname": FRAMES.fnames, "frames": FRAMES, "hop_s": np.full(2, FRAMES.hop_s, np.float32)})
    last = columns.to_frames(artefact.read().slice(1))
    assert last.fnames == ["007"]
    assert last.offsets.tolist() == [0, 1]
    assert last.values.tolist() == [[4, 5]]
