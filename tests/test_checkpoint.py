"""Checkpoints are read without running what is in them, and cut to what a network needs."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sss_lib.models import checkpoint  # noqa: E402


@pytest.fixture
def saved(tmp_path):
    def save(content, **options):
        torch.save(content, tmp_path / "x.pt", **options)
        return tmp_path / "x.pt"

    return save


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("note", [np.float64(0.9), np.float32(0.9), np.int64(3)])
def test_a_numpy_scalar_beside_the_weights_does_no_harm(saved, note, as_zip):
    content = {"best": note, "model": {"a": torch.arange(3)}}
    read = checkpoint.read(saved(content, _use_new_zipfile_serialization=as_zip))
    assert read["model"]["a"].tolist() == [0, 1, 2]


def test_a_numpy_scalar_of_the_time_before_numpy_2_does_no_harm_either(saved, tmp_path):
    path = saved({"best": np.float64(0.9), "model": {"a": torch.arange(3)}})
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(tmp_path / "old.pt", "w") as old:
        for name in new.namelist():
            old.writestr(name, new.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert checkpoint.read(tmp_path / "old.pt")["model"]["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "asked"), [(Path("x"), "pathlib"), (np.arange(2), "numpy._core.multiarray._reconstruct")]
)
def test_what_else_could_run_code_is_refused_with_its_name(saved, value, asked):
    with pytest.raises(ValueError, match=f"could run code: it asks for {asked}"):
        checkpoint.read(saved({"model": {"a": torch.arange(3)}, "args": value}))


def test_a_file_that_is_cut_short_is_damaged(saved):
    path = saved({"a": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is damaged: delete it and fetch it again"):
        checkpoint.read(path)


def test_parts_are_dropped_and_renamed_by_the_beginnings_of_their_names():
    one = torch.ones(1)
    state = {"module.text.a": one, "module.audio.b": one, "audio.audio.c": one, "other.text.d": one}
    selected = checkpoint.select(
        {"model": state}, "x.pt", nested="model", dropped=("text.",), renamed={"audio.": "encoder."}
    )
    assert list(selected) == ["encoder.b", "encoder.audio.c", "other.text.d"]


@pytest.mark.parametrize("content", [{"state": {}}, {"model": {}}, [1], torch.ones(1)])
def test_content_without_weights_is_refused(content):
    with pytest.raises(ValueError, match=r"x\.pt holds no weights under 'model'"):
        checkpoint.select(content, "x.pt", nested="model")


def test_what_is_no_tensor_is_named():
    with pytest.raises(ValueError, match=r"x\.pt holds str as a, not a tensor"):
        checkpoint.select({"module.a": "text"}, "x.pt")
