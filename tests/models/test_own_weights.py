"""A file of one's own takes the place of a network's weights: "NAME:PATH", for every family."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import seeded
import stand_ins

from sss_lib import __main__ as command
from sss_lib import models
from sss_lib.experiment import Grid, Variant
from sss_lib.experiment.grid import read_grid
from sss_lib.models import naming
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.weights import checkpoint
from sss_lib.models.weights import file as weights

FAMILIES: dict[tuple, str] = {}
for _name, _row in CATALOGUE.items():
    if _row.weights:
        FAMILIES.setdefault((_row.loader, _row.options.get("publisher"), _row.weights.url is None), _name)
ODD = "50% of ~my weights"
"""A file's name without its suffix."""


def lay(name, folder, monkeypatch):
    """Copy a model's weights, or what stands in for them, into a folder, and leave none elsewhere."""
    row = CATALOGUE[name]
    if row.loader in stand_ins.LAYERED:
        row = stand_ins.with_layers(row, 1)
    suffix = Path(row.weights.file).suffix
    folder.mkdir(exist_ok=True)
    own = folder / f"{ODD}{suffix}"
    if row.weights.url is None:
        shutil.copyfile(weights.path_of(row.weights), own)
    else:
        stand_ins.write(row, folder).rename(own)
    monkeypatch.setitem(CATALOGUE, name, row)
    monkeypatch.setattr(weights, "WEIGHTS_DIR", folder / "none")
    monkeypatch.setenv("SSS_CACHE", str(folder / "none"))
    return own


def _holds(content):
    return any(hasattr(one, "is_floating_point") for one in content.values())


def changed(path):
    """Write a file's tensors anew, each 1 % larger; a graph and a wheel stay as they are."""
    if path.suffix not in (".safetensors", ".pt", ".pth", ".ckpt", ".bin"):
        return False
    content = {k: v for k, v in checkpoint.read(path).items() if not isinstance(v, checkpoint._Ignored)}
    state = next((one for one in content.values() if hasattr(one, "items") and _holds(one)), content)
    for key, value in state.items():
        if getattr(value, "is_floating_point", bool)():
            state[key] = (value * 1.01).contiguous().clone()
    new = path.with_suffix(".new")  # what is read is mapped to memory
    if path.suffix == ".safetensors":
        import safetensors.torch

        safetensors.torch.save_file(content, new)
    else:
        import torch

        torch.save(content, new)
    new.replace(path)
    return True


@pytest.mark.network
@pytest.mark.parametrize("name", FAMILIES.values())
def test_each_family_takes_a_file_of_ones_own(name, tmp_path, monkeypatch):
    row = CATALOGUE[name]
    pytest.importorskip(row.requires)
    own = lay(name, tmp_path / "own", monkeypatch)
    mine = f"{name}:{own}"
    published = replace(CATALOGUE[name], weights=replace(models.spec(mine).weights))
    wave = seeded.noise(row.rate_hz)
    frames = models.load(mine)(wave)
    assert frames.shape[1] == row.dim
    np.testing.assert_array_equal(models.load(published)(wave), frames)
    with pytest.raises((FileNotFoundError, ValueError), match="is missing"):
        models.load(name)
    before = models.spec(mine)
    if changed(own):
        with pytest.raises(ValueError, match="has changed since its model was named: run again"):
            models.load(before)
        assert np.abs(models.load(mine)(wave) - frames).max() > 0
        assert models.spec(mine).parameters() == before.parameters() | {
            "weights": weights.content_digest(own)
        }
        assert models.spec(mine).parameters() != before.parameters()


@pytest.mark.parametrize("name", FAMILIES.values())
def test_each_family_refuses_a_file_of_something_else(name, tmp_path, monkeypatch):
    pytest.importorskip(CATALOGUE[name].requires)
    for file, content in (("page.pt", b"<html>"), ("x", b"noise"), ("empty", b"")):
        (tmp_path / file).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / file))):
            models.load(f"{name}:{tmp_path / file}")


def test_a_file_that_does_not_fit_names_the_tensors_and_the_remedy(tmp_path):
    pytest.importorskip("torch")
    import safetensors.torch

    state = checkpoint.read(weights.path_of(CATALOGUE["soundnet"].weights))
    del state["conv1.bias"]
    state["conv2.weight"] = state["conv2.weight"][:3].clone()
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="does not fit") as caught:
        models.load(f"soundnet:{tmp_path}/x.safetensors")
    said = str(caught.value)
    assert "x.safetensors does not fit the network: it is missing conv1.bias; it has in another shape" in said
    assert "conv2.weight [3, 16, 32] for [32, 16, 32]" in said
    assert "Give weights with the names and shapes of the published ones" in said


def test_a_file_that_could_run_code_is_not_read(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"x": os.system}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="is refused, because reading it could run code"):
        models.load(f"soundnet:{tmp_path}/x.pt")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Working folder, and home, with a file of SoundNet's weights."""
    (tmp_path / "sub").mkdir()
    shutil.copyfile(weights.path_of(CATALOGUE["soundnet"].weights), tmp_path / f"{ODD}.safetensors")
    shutil.copyfile(tmp_path / f"{ODD}.safetensors", tmp_path / "my+half.safetensors")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "sub")
    return tmp_path


@pytest.mark.parametrize("path", [f"../{ODD}", f"~/{ODD}", f"../sub/../{ODD}"])
def test_a_path_means_the_same_however_it_is_written(here, path):
    name = f"soundnet:{path}.safetensors"
    canonical = f"soundnet:{here}/{ODD}.safetensors"
    assert models.canonical(name) == models.absolute(name) == canonical
    assert models.spec(name) == models.spec(canonical)
    assert re.fullmatch(r"soundnet-50--of--my-weights-[0-9a-f]{8}", models.file_name(name))
    assert models.spec(name).display_name.startswith(f"SoundNet {ODD} (")
    assert models.spec(name).series == models.spec(name).display_name  # not SoundNet's published numbers
    assert Variant(name).name.startswith(f"{models.file_name(name)}-mean-")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("soundnet:./gone.pt", "sub/gone.pt doesn't exist: check the path"),
        ("soundnet:..", "is a folder: give the file"),
        ("soundnet:./gone.pt@9", "gone.pt@9 doesn't exist"),
        ("sounnet:./x.pt", "did you mean 'soundnet'"),
        ("file:./x.npy", "did you mean 'files'"),
        ("duration:./x.pt", "duration has no weights"),
        ("soundnet:", "is not among the models"),
        (f"soundnet:../{ODD}.safetensors+paper", "has no other preparation for the paper"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(here, name, message):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        models.spec(name)


def test_words_stand_behind_the_path_or_the_name(here):
    (here / "x.pb").write_bytes(b"")
    for name in ("vggish:../x.pb+paper", "vggish+paper:../x.pb"):
        assert models.canonical(name) == f"vggish:{here}/x.pb+paper"
        assert models.spec(name).gain_db == 6
    assert naming.split("soundnet:../my+half.safetensors") == ("soundnet:../my+half.safetensors", [])


def test_it_replaces_the_graph_of_the_paper_too(here):
    (here / "x.pb").write_bytes(b"")
    prepared = models.spec("yamnet:../x.pb+paper")
    assert (prepared.loader, prepared.weights.path) == ("essentia_graphs", f"{here}/x.pb")


def test_a_grid_and_its_rules_take_it_from_the_grids_folder(here):
    own = f"'soundnet:./{ODD}.safetensors'"
    (here / "own.yaml").write_text(f"models: [soundnet, {own}]\nexclude: [{{model: [{own}]}}]\n")
    grid = read_grid(here / "own.yaml")
    mine = f"soundnet:{here}/{ODD}.safetensors"
    assert grid.models == ("soundnet", mine)
    assert {variant.model for variant, _ in grid.systems()[0]} == {"soundnet"}
    assert {variant.model for variant, _ in Grid(grid.models).systems()[0]} == {"soundnet", mine}


def test_make_models_says_where_it_is(here, capsys):
    assert command.main(["models", f"soundnet:../{ODD}.safetensors"]) == 0
    assert f"{here}/{ODD}.safetensors" in capsys.readouterr().out
    assert command.main(["models", "soundnet:../gone.pt"]) != 0
    assert "doesn't exist" in capsys.readouterr().err


def test_a_drive_and_a_folder_with_a_colon_are_no_models():
    assert not naming.OWN.match("C:/folder")
    assert not naming.OWN.match("./a:b")
    assert naming.parted("./a:b") == ("", "./a:b")
