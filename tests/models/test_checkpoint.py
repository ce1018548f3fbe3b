"""Checkpoints are read without running them, cut to what a network needs, and fit it name by name."""

import contextlib
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import safetensors.torch  # noqa: E402

from sss_lib import models  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402
from sss_lib.models.weights import checkpoint  # noqa: E402


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(), torch.nn.Linear(3, 1))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".safetensors"])
def test_a_state_dict_comes_back_from_a_file(network, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(network.state_dict(), path)
    state = checkpoint.read(path)
    assert {name: v.tolist() for name, v in state.items()} == {
        name: v.tolist() for name, v in network.state_dict().items()
    }


class Unknown:
    """What a checkpoint may hold besides tensors, and what reading it would run."""


def test_a_file_that_could_run_code_is_refused_with_what_it_asks_for(tmp_path):
    torch.save({"model": {}, "args": Unknown()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt is refused, .* it asks for \S*test_checkpoint\.Unknown\. "):
        checkpoint.read(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all, but some text that goes on and on"])
def test_a_damaged_file_is_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is (damaged|refused)"):
        checkpoint.read(tmp_path / name)


def test_a_state_dict_that_fits_is_loaded_and_the_network_evaluates(network):
    state = {name: torch.full_like(value, 0.5) for name, value in network.state_dict().items()}
    loaded = checkpoint.load_into(network, state, "a.pt")
    assert not loaded.training
    assert loaded(torch.ones(1, 2)).item() == pytest.approx(3 * 0.5 * 1.5 + 0.5)


def test_names_that_are_missing_extra_or_misshapen_are_all_named(network):
    state = dict(network.state_dict())
    del state["0.bias"]
    state["9.weight"] = torch.zeros(1)
    state["2.weight"] = torch.zeros(1, 4)
    with pytest.raises(ValueError, match=r"a\.pt does not fit") as caught:
        checkpoint.load_into(network, state, "a.pt")
    message = str(caught.value)
    assert "it is missing 0.bias" in message
    assert "it has besides 9.weight" in message
    assert "it has in another shape 2.weight [1, 4] for [1, 3]" in message


def test_many_wrong_names_are_counted(network):
    with pytest.raises(ValueError, match=r"has besides x0, x1, x2, x3, x4 and 2 more"):
        checkpoint.load_into(
            network, {**network.state_dict(), **{f"x{i}": torch.zeros(1) for i in range(7)}}, "a"
        )


@pytest.fixture
def saved(tmp_path):
    def save(content, **options):
        torch.save(content, tmp_path / "x.pt", **options)
        return tmp_path / "x.pt"

    return save


OF_PYTORCH = [
    row
    for row in CATALOGUE.values()
    if row.weights and Path(row.weights.file).suffix in (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
]


def write_wrong(path, kind):
    """Put a file where a checkpoint is looked for that isn't one, or is another's."""
    one = torch.ones(2)
    contents = {
        "a list": [one],
        "nothing": {},
        "a tensor": one,
        "text": {"model": "text", "state_dict": "text", "a": "text"},
        "a list in it": {"model": [one], "state_dict": [one], "cfg": []},
        "nested once more": {key: {"weights": {"a": one}} for key in ("model", "state_dict", "cfg")},
        "numbers for names": {1: one, "model": {1: [one]}, "state_dict": {1: [one]}},
        "no cfg": {"model": {"a": one}, "state_dict": {"a": one}},
    }
    if kind in contents and path.suffix == ".safetensors":
        path.write_bytes((2).to_bytes(8, "little") + b"{}")  # it can hold none of these, but nothing
    elif kind in contents:
        torch.save(contents[kind], path)
    elif kind == "cut short":
        save = safetensors.torch.save_file if path.suffix == ".safetensors" else torch.save
        save({"a": torch.ones(1000)}, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "a zip of rubbish":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", b"rubbish")
            file.writestr("archive/version", b"3")
    else:
        path.write_bytes(
            {"a web page": b"<html>not found</html>", "empty": b"", "noise": b"\x80\x02\xff"}[kind]
        )


KINDS = ("a list", "nothing", "a tensor", "text", "a list in it", "nested once more", "numbers for names")
KINDS += ("no cfg", "cut short", "a zip of rubbish", "a web page", "empty", "noise")


@pytest.mark.parametrize("name", [row.name for row in OF_PYTORCH])
def test_a_wrong_file_of_any_model_is_refused_in_words(name, tmp_path, monkeypatch):
    """Where a digest is published it is refused for that alone; here none is, and the loader has to tell."""
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    row = CATALOGUE[name]
    pytest.importorskip(row.requires)
    path = tmp_path / row.weights.file
    monkeypatch.setattr("sss_lib.models.weights.file.find", lambda name, weights: path)
    for kind in KINDS:
        write_wrong(path, kind)
        with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
            models.load(name)
        assert re.search("again|does not fit|not a tensor", str(caught.value)), (kind, str(caught.value))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("as_zip", [True, False])
def test_whatever_byte_is_wrong_the_file_is_read_or_refused_in_words(network, tmp_path, suffix, as_zip):
    path, rng, n_refused = tmp_path / f"a{suffix}", np.random.default_rng(0), 0
    if suffix == ".safetensors":
        safetensors.torch.save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=as_zip)
    whole = path.read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(ValueError):  # what else comes ends the test
            checkpoint.read(path)
            continue
        n_refused += 1
    assert n_refused > 20


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
    with pytest.raises(ValueError, match="is damaged, or no file of weights: get it again"):
        checkpoint.read(path)


def test_parts_are_dropped_and_renamed_by_the_beginnings_of_their_names():
    one = torch.ones(1)
    state = {"module.text.a": one, "module.audio.b": one, "audio.audio.c": one, "other.text.d": one}
    selected = checkpoint.select(
        {"model": state}, "x.pt", nested="model", dropped=("text.",), renamed={"audio.": "encoder."}
    )
    assert list(selected) == ["encoder.b", "encoder.audio.c", "other.text.d"]
