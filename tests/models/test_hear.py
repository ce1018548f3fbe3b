"""Encoders with HEAR's interface, on small modules written here."""

import importlib
import shutil
import sys

import numpy as np
import pytest
from seeded import noise

torch = pytest.importorskip("torch")

from sss_lib import dataset, experiment, extraction, models  # noqa: E402
from sss_lib.experiment import Grid, Variant  # noqa: E402
from sss_lib.experiment.store import StaleArtefactError, Store  # noqa: E402
from sss_lib.models import Extractor  # noqa: E402
from sss_lib.models.loaders import hear  # noqa: E402

TIMESTAMPS = """
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    timestamp_embedding_size = 3

def load_model(model_file_path=""):
    model = Model()
    model.scale = torch.load(model_file_path)["scale"].item() if model_file_path else 1.0
    return model

def get_timestamp_embeddings(audio, model):
    # Mean, largest value and energy of every 100 ms.
    n = -(-audio.shape[1] // 1600)
    frames = torch.nn.functional.pad(audio, (0, n * 1600 - audio.shape[1])).reshape(len(audio), n, 1600)
    embeddings = torch.stack([frames.mean(2), frames.amax(2), (frames**2).sum(2)], dim=2)
    return embeddings * model.scale, (torch.arange(n) * 100.0).expand(len(audio), n)
"""
SCENES = """
import torch

class Model(torch.nn.Module):
    sample_rate = 22050

def load_model(model_file_path=""):
    return Model()

def get_scene_embeddings(audio, model):
    return torch.stack([audio.mean(1), audio.amax(1)], dim=1)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return what writes a module, whose name is new, to where Python looks for it."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(source):
        name = f"hear_module_{tmp_path.name}_{len(written)}"
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def load(name):
    spec = hear.spec_of(name)
    return Extractor(spec, hear.load(spec, "cpu"))


def test_a_module_with_timestamps_gives_frames(write):
    module = write(TIMESTAMPS)
    extractor = load(f"hear:{module}")
    assert (extractor.spec.rate_hz, extractor.spec.dim) == (16000, 3)
    assert extractor.spec.hop_s == pytest.approx(0.1)
    assert extractor.spec.name == f"hear-{module}"
    assert extractor.spec.aggregations == ("mean", "max", "median")
    wave = noise(4000)
    expected = [[x.sum() / 1600, max(x.max(), 0), (x**2).sum()] for x in (wave[:1600], wave[1600:3200])]
    expected.append([wave[3200:].sum() / 1600, wave[3200:].max(), (wave[3200:] ** 2).sum()])
    np.testing.assert_allclose(extractor(wave), expected, rtol=1e-4, atol=1e-7)


def test_a_device_is_chosen_for_it(write):
    """As in 01, whose device is "auto"."""
    name = f"hear:{write(TIMESTAMPS)}"
    np.testing.assert_allclose(models.load(name, "auto")(noise(4000)), load(name)(noise(4000)), atol=1e-5)


def test_a_module_without_timestamps_gives_one_embedding(write):
    extractor = load(f"hear:{write(SCENES)}")
    assert (extractor.spec.rate_hz, extractor.spec.dim, extractor.spec.hop_s) == (22050, 2, None)
    wave = noise(30000)
    np.testing.assert_allclose(extractor(wave), [[wave.mean(), wave.max()]], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("source", [TIMESTAMPS, SCENES])
@pytest.mark.parametrize("n_samples", [1, 1600, 480000])
def test_every_length_gives_frames_that_repeat(write, source, n_samples):
    extractor = load(f"hear:{write(source)}")
    frames = extractor(noise(n_samples))
    assert len(frames) == (1 if source == SCENES else -(-n_samples // 1600))
    np.testing.assert_array_equal(extractor(noise(n_samples)), frames)


def test_one_timestamp_in_two_seconds_is_looked_for_in_thirty(write):
    every_ten = (
        TIMESTAMPS.replace("1600", "160000").replace("100.0", "10000.0").replace("= 160000", "= 16000")
    )
    extractor = load(f"hear:{write(every_ten)}")
    assert extractor.spec.hop_s == 10.0


def test_weights_reach_the_module_and_their_contents_the_artefacts(write, tmp_path):
    name = f"hear:{write(TIMESTAMPS)}:{tmp_path / 'my weights+1.pt'}"
    specs, frames = [], []
    for scale in (2.0, 3.0):
        torch.save({"scale": torch.tensor(scale)}, tmp_path / "my weights+1.pt")
        extractor = load(name)
        specs.append(extractor.spec)
        frames.append(extractor(noise(1600)))
    np.testing.assert_allclose(frames[1], frames[0] * 1.5, rtol=1e-5)
    assert specs[0].name == specs[1].name
    assert "-my-weights-1-" in specs[0].name
    assert specs[0].parameters() != specs[1].parameters()


def test_weights_may_be_a_folder(write, tmp_path):
    (tmp_path / "weights").mkdir()
    name = f"hear:{write(SCENES)}:{tmp_path / 'weights'}"
    specs = [hear.spec_of(name)]
    for file, content in (("a.bin", b"1"), ("a.bin", b"22"), ("b.bin", b"")):
        (tmp_path / "weights" / file).write_bytes(content)
        specs.append(hear.spec_of(name))
    assert len({str(spec.parameters()) for spec in specs}) == 4


def test_an_edited_module_runs_and_is_another_recipe(write, tmp_path):
    module = write(SCENES)
    before = load(f"hear:{module}")
    (tmp_path / f"{module}.py").write_text(SCENES.replace("audio.amax(1)", "audio.amax(1), audio.amin(1)"))
    after = load(f"hear:{module}")
    assert after.spec.parameters() != before.spec.parameters()
    assert (before.spec.dim, after.spec.dim) == (2, 3)
    assert after(noise(100)).shape == (1, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no load_model and no get_timestamp_embeddings or get_scene_embeddings"),
        (SCENES.replace("def load_model", "def other"), "has no load_model: HEAR's interface needs it"),
        (SCENES.replace("22050", "'fast'"), "has sample_rate 'fast': HEAR asks for an int"),
        (SCENES.replace("sample_rate", "rate"), "has sample_rate None: HEAR asks for an int"),
        (SCENES.replace("dim=1)", "dim=1)[0]"), r"gave a clip embeddings of shape \(2,\) at 0"),
        (TIMESTAMPS.replace("len(audio), n)\n", "len(audio), n)[:, 1:]\n"), r"shape \(20, 3\) at 19"),
    ],
)
def test_a_module_that_lacks_something_is_refused(write, source, message):
    with pytest.raises(ValueError, match=message):
        hear.spec_of(f"hear:{write(source)}")


def raising(error):
    """Code of a method that prints a lot, and raises."""
    return f"print('progress ' * 99); import sys; print('more', file=sys.stderr); raise {error}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (raising("SystemExit(3)"), "SystemExit: 3"),
        (raising("AttributeError('numpy has\\n\\nno float')"), "AttributeError: numpy has no float"),
        (raising("type('Stop', (KeyboardInterrupt,), {})('now')"), "Stop: now"),
        (raising("GeneratorExit"), "GeneratorExit:"),
        ("def (", "SyntaxError: invalid syntax"),
        (SCENES.replace("return Model()", raising("RuntimeError('no CUDA')")), "RuntimeError: no CUDA"),
        (SCENES.replace('model_file_path=""', "path"), "TypeError: load_model.. missing 1 required"),
        (
            SCENES.replace("return torch.stack", f"{raising('BaseException(1)')}; torch.stack"),
            "BaseException: 1",
        ),
        (SCENES.replace("dim=1)", "dim=1).to(torch.bfloat16)"), "TypeError: .*BFloat16"),
        (TIMESTAMPS.replace(".expand(len(audio), n)", ""), "timestamps of shape .20,.: HEAR asks for"),
        (TIMESTAMPS.replace("* 100.0", "* 0.0"), "timestamps 0.0 s apart: HEAR asks for milliseconds"),
        (SCENES.replace("dim=1)", "dim=1).repeat(2, 1)"), "shape .2, 2. at 0 timestamps"),
        (SCENES.replace("dim=1)", "dim=1)[:, :0]"), "shape .1, 0. at 0 timestamps"),
        (SCENES.replace("22050", "True"), "sample_rate True: HEAR asks for an int"),
        (SCENES.replace("22050", "-1"), "sample_rate -1: HEAR asks for an int"),
    ],
)
def test_whatever_a_module_raises_is_a_line_that_names_it(write, capfd, source, message):
    module = write(source)
    with pytest.raises(ValueError, match=message) as caught:
        hear.spec_of(f"hear:{module}")
    assert module in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_what_a_module_raises_for_a_clip_names_it(write):
    module = write(
        SCENES.replace("return torch", "if audio.shape[1] < 9: raise SystemExit('short')\n    return torch")
    )
    extractor = load(f"hear:{module}")
    with pytest.raises(ValueError, match=f"module '{module}' can't be used: SystemExit: short"):
        extractor(noise(5))


def test_control_c_goes_through_a_module(write):
    module = write("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        hear.spec_of(f"hear:{module}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hear:", "is no name of a HEAR module: write hear:MODULE"),
        ("hear:no_such_module", "'no_such_module' of a HEAR model can't be imported .*: install it"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        hear.spec_of(name)


def test_weights_that_are_not_there_are_named(write):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt doesn't exist: check the path"):
        hear.spec_of(f"hear:{write(SCENES)}:nowhere.pt")


@pytest.fixture
def two(write, tmp_path):
    """Names of two checkpoints of one module that are called alike, in two folders."""
    module, names = write(TIMESTAMPS), []
    for folder, scale in (("a", 1.0), ("b", 3.0)):
        (tmp_path / folder).mkdir()
        torch.save({"scale": torch.tensor(scale)}, tmp_path / folder / "weights.pt")
        names.append(f"hear:{module}:{tmp_path / folder / 'weights.pt'}")
    return names


def test_two_checkpoints_called_alike_keep_their_own_frames(two, collection, tmp_path):
    sounds, store = dataset.load(collection), Store(tmp_path / "data")
    dataset.write(store.dataset(sounds.name), sounds, dataset.verify(sounds))
    for name in two:
        assert experiment.extract_to(store, sounds, name).n_new == len(sounds)
    frames = [store.frames(sounds.name, name) for name in two]
    assert all(one.is_current() for one in frames)
    one, other = (extraction.read(artefact).values for artefact in frames)
    np.testing.assert_allclose(other, 3 * one, rtol=1e-5)
    specs = [models.spec(name) for name in two]
    assert len({spec.display_name for spec in specs}) == 2
    assert all(spec.display_name.startswith(f"{spec.options['module']} weights (") for spec in specs)
    assert len({Variant(name).name for name in two}) == 2
    Grid(tuple(two))


def test_frames_of_another_model_or_other_weights_are_refused(two, collection, tmp_path):
    sounds, store = dataset.load(collection), Store(tmp_path / "data")
    dataset.write(store.dataset(sounds.name), sounds, dataset.verify(sounds))
    experiment.extract_to(store, sounds, two[0])
    mine, other = (store.frames(sounds.name, name) for name in two)
    shutil.copytree(mine.path.parent, other.path.parent)
    with pytest.raises(StaleArtefactError, match=r"has model='hear-.*, not 'hear-.*: run 01_extraction"):
        extraction.read(other)
    torch.save({"scale": torch.tensor(2.0)}, two[0].rpartition(":")[2])
    extraction.read(mine)  # what was asked for before
    with pytest.raises(StaleArtefactError, match="has options="):
        extraction.read(Store(tmp_path / "data").frames(sounds.name, two[0]))


def test_a_path_is_the_same_model_however_it_is_spelt(two, monkeypatch, tmp_path):
    front, _, _ = two[0].rpartition(":")
    monkeypatch.chdir(tmp_path / "b")
    other = f"{front}:../a/weights.pt"
    assert models.spec(other) == models.spec(two[0])
    assert Variant(other) == Variant(two[0])
    assert Variant(other).model == two[0]


RUNS = "import pathlib; pathlib.Path({ran!r}).touch()\nload_model = get_scene_embeddings = None\n"


@pytest.mark.parametrize(
    ("name", "allowed", "says"),
    [
        ("hear:lying_hear", None, "would run lying_hear, which is not installed"),
        ("hear:lying_hear:weights.pt", "installed", "would run lying_hear"),
        ("hear:lying_package.within", "none", "would run lying_package"),
        ("hear:installed_hear", "none", "is not imported, as SSS_LIB_IMPORTS is none"),
        ("hear:antigravity", "installed", "names a module of Python itself"),
        ("hear:idlelib.idle", "any", "names a module of Python itself"),
    ],
)
@pytest.mark.parametrize("reader", [models.spec, models.load, Variant, models.file_name, models.has_text])
def test_no_reader_of_a_name_imports_its_module_without_leave(
    tmp_path, monkeypatch, name, allowed, says, reader
):
    """A name may stand in results that come from others."""
    ran, site = tmp_path / "ran", tmp_path / "site"
    for file in (
        "lying_hear.py",
        "lying_package/__init__.py",
        "lying_package/within.py",
        "site/installed_hear.py",
    ):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(RUNS.format(ran=str(ran)))
    (tmp_path / "weights.pt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(site))
    if allowed:
        monkeypatch.setenv("SSS_LIB_IMPORTS", allowed)
    else:
        monkeypatch.delenv("SSS_LIB_IMPORTS", raising=False)
    with pytest.raises(ValueError, match=says):
        reader(name)
    assert not ran.exists()
    assert not {"antigravity", "idlelib.idle"} & sys.modules.keys()


@pytest.mark.parametrize(("leave", "value"), [("SSS_LIB_IMPORTS", "any"), ("PYTHONPATH", "{here}"), ("", "")])
def test_a_flag_a_folder_of_pythonpath_or_an_import_before_give_leave(tmp_path, monkeypatch, leave, value):
    module = f"leave_hear_{len(leave)}"
    (tmp_path / f"{module}.py").write_text(SCENES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    if leave:
        monkeypatch.setenv(leave, value.format(here=tmp_path))
    else:
        importlib.import_module(module)
    assert models.spec(f"hear:{module}").dim == 2
    sys.modules.pop(module)
