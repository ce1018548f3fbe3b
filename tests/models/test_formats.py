"""What can't be weights is told from the outside: other things that servers send, and halves of files."""

import io
import json
import zipfile

import numpy as np
import pytest
from graphdef import random_graph

from sss_lib.models.weights import file as weights
from sss_lib.models.weights.formats import flaw


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(1000))
    return content.getvalue()


def safetensors(header, values=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


ONE = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
WHOLE = {
    "x.pb": random_graph("x", (-1, 4, 3), "y", 5),
    "x.pt": zipped(),
    "x.pth": b"\x80\x02}q\x00.",
    "x.safetensors": safetensors(ONE, bytes(8)),
    "x.tflite": b"anything",
}


def put(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_has_no_flaw(tmp_path, name):
    assert flaw(put(tmp_path, f"{name}.part", WHOLE[name]), name) == ""


@pytest.mark.parametrize("name", ["msd-musicnn.pb", "aisfx.safetensors"])
def test_the_weights_of_the_repository_have_no_flaw(name):
    assert flaw(weights.WEIGHTS_DIR / name, name) == ""


def test_what_pytorch_writes_has_no_flaw(tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        torch.save({"a": torch.ones(9)}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
        assert flaw(tmp_path / "x.pt", "x.pt") == ""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>log in</html>", "is a web page"),
        (b'{"error": "login"}', "is a message in JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of git-lfs"),
    ],
)
@pytest.mark.parametrize("name", WHOLE)
def test_what_a_server_sends_in_place_of_weights_is_named(tmp_path, name, content, what):
    assert flaw(put(tmp_path, name, content), name) == what


@pytest.mark.parametrize("name", ["x.pb", "x.pt", "x.safetensors"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_beginning_of_a_file_is_no_whole_one(tmp_path, name, share):
    n_bytes = int(len(WHOLE[name]) * share)
    assert "or not a whole one" in flaw(put(tmp_path, name, WHOLE[name][:n_bytes]), name)


@pytest.mark.parametrize("name", ["x.pb", "x.safetensors"])
def test_more_than_the_whole_is_not_the_file(tmp_path, name):
    assert "or not a whole one" in flaw(put(tmp_path, name, WHOLE[name] + b"more"), name)


@pytest.mark.parametrize(
    "content",
    [safetensors([1]), safetensors({"a": 1}), safetensors({"a": {}}), b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{]"],
)
def test_a_header_that_lists_no_tensors_is_none(tmp_path, content):
    assert flaw(put(tmp_path, "x.safetensors", content), "x.safetensors").startswith("is no safetensors file")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["x.pb", "x.pt", "x.safetensors"])
def test_random_bytes_are_no_weights(tmp_path, name, seed):
    content = b"\x0a" + np.random.default_rng(seed).bytes(300)  # begins as a graph does
    assert flaw(put(tmp_path, name, content), name)


def test_a_file_of_another_name_is_judged_by_its_own(tmp_path):
    assert flaw(put(tmp_path, "x.pb.part", WHOLE["x.pt"]), "x.pb") == "is no frozen graph, or not a whole one"
