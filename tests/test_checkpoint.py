"""Checkpoints are read without running them, cut to what a network needs, and fit it name by name."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import safetensors.torch  # noqa: E402

from sss_lib.models import checkpoint  # noqa: E402


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


def test_a_file_cut_short_is_damaged(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.pt is damaged: delete it and fetch it again"):
        checkpoint.read(tmp_path / "a.pt")


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
