"""Checkpoints are read without running them, and fit name by name or not at all."""

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
