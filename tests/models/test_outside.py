"""Models outside the catalogue go the whole way: extracted, prepared otherwise, and compared in a grid."""

import os
import shutil
import sys

import in_process
import numpy as np
import pandas as pd
import pytest
import soundfile
from test_hear import TIMESTAMPS
from test_transformers_folder import write

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from sss_lib import audio, dataset, extraction, models  # noqa: E402
from sss_lib.experiment import Grid, Variant  # noqa: E402
from sss_lib.experiment.store import Artefact, Store  # noqa: E402
from sss_lib.models import naming as outside  # noqa: E402
from sss_lib.models.loaders.hear import IMPORTS  # noqa: E402
from sss_lib.models.weights.file import path_of  # noqa: E402


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder with a HEAR module, two checkpoints of one name, a folder of CLAP and eight sounds."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny_hear.py").write_text(TIMESTAMPS)
    for name, scale in (("a", 1.0), ("b", 3.0)):
        (folder / name).mkdir()
        torch.save({"scale": torch.tensor(scale)}, folder / name / "best.pt")
    torch.manual_seed(0)
    write("clap", folder / "my clap")
    shutil.copyfile(path_of(models.spec("soundnet").weights), folder / "my net.safetensors")
    (folder / "sounds" / "audio").mkdir(parents=True)
    rows, rng = ["fname,labels"], np.random.default_rng(0)
    for i in range(8):
        tone = np.sin(np.arange(4000 * (i + 1)) * (0.05 if i % 2 else 0.4)) * rng.uniform(0.1, 0.5)
        soundfile.write(folder / "sounds" / "audio" / f"{i}.wav", tone, 8000)
        rows.append(f"{i},{'Low' if i % 2 else 'High'}")
    soundfile.write(
        folder / "sounds" / "audio" / "0.wav", rng.uniform(-0.5, 0.5, 12 * 8000), 8000
    )  # a long one
    (folder / "sounds" / "ground_truth.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def here(study, monkeypatch):
    monkeypatch.syspath_prepend(study)
    monkeypatch.setenv("PYTHONPATH", str(study), os.pathsep)
    monkeypatch.chdir(study)
    yield study
    sys.modules.pop("tiny_hear", None)


HEAR = "hear:tiny_hear:a/best.pt"


@pytest.mark.parametrize(
    ("name", "n_jobs"),
    [
        *((HEAR, 1), (HEAR, 2), ("./my clap", 1)),
        pytest.param("./my clap+truncate+pad", 2, marks=pytest.mark.slow),
    ],
)
def test_it_is_extracted_as_it_is_called(here, tmp_path, monkeypatch, name, n_jobs):
    monkeypatch.setenv("PYTHONPATH", str(here), os.pathsep)  # for the worker
    sounds = dataset.load(here / "sounds")
    report = extraction.extract(sounds, name, tmp_path, n_jobs)
    assert (report.n_clips, len(report.failures)) == (8, 0)
    frames, extractor = extraction.read(Artefact(tmp_path / "parts.parquet", {})), models.load(name)
    assert frames.hop_s == pytest.approx(extractor.spec.hop_s)
    expected = extractor.embed(audio.decode(path, extractor.spec.rate_hz) for path in sounds.clips["path"])
    np.testing.assert_array_equal(np.diff(frames.offsets), [len(one) for one in expected])
    np.testing.assert_allclose(frames.values, np.concatenate(expected), atol=1e-5)


def test_a_folder_that_takes_windows_can_be_told_which(here):
    rng = np.random.default_rng(0)
    long, short = (rng.normal(0, 0.1, n).astype(np.float32) for n in (12 * 48000, 48000))
    plain, first, padded = (models.load(f"./my clap{way}") for way in ("", "+truncate", "+pad"))
    np.testing.assert_allclose(first(long), plain(long)[:1], atol=1e-6)
    assert len(plain(long)) == 2
    np.testing.assert_allclose(padded(long), plain(long), atol=1e-6)
    assert np.abs(padded(short) - plain(short)).max() > 1e-3
    assert models.canonical("./my clap+repeatpad+truncate") == f"{here}/my clap+truncate"
    assert Variant("./my clap+truncate").name.startswith("folder-my-clap-")


def test_both_are_models_of_a_grid_with_its_axes(here):
    names = "hear:tiny_hear:a/best.pt", "hear:tiny_hear:b/best.pt", "./my clap"
    available, left_out = Grid(names, long_audio=("default", "truncate")).available()
    assert available.models == (
        *(f"hear:tiny_hear:{here}/{one}/best.pt" for one in "ab"),
        *(f"{here}/my clap{way}" for way in ("", "+truncate")),
    )
    assert len(left_out) == 2
    assert all("takes clips of any length: 'truncate' means nothing" in sentence for sentence in left_out)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("./x+truncate+pad", ("./x", ["truncate", "pad"])),
        ("./x+y", ("./x+y", [])),
        ("hear:m+half", ("hear:m", ["half"])),
        ("hear:m:w+1.pt+paper", ("hear:m:w+1.pt", ["paper"])),
    ],
)
def test_words_are_what_stands_behind_the_path(name, parts):
    assert outside.split(name) == parts


def test_a_folder_whose_own_name_ends_in_a_word_is_taken_as_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "x+pad").mkdir()
    monkeypatch.chdir(tmp_path)
    assert outside.split("./x+pad") == ("./x+pad", [])
    assert outside.split("./x+pad+truncate") == ("./x+pad", ["truncate"])


@pytest.mark.slow
def test_a_grid_of_them_runs_to_its_table(here, tmp_path, monkeypatch, capsys):
    """A HEAR module, a folder and own weights, through the notebooks 00 to 05."""
    grid = (
        "models: ['hear:tiny_hear:a/best.pt', ./my clap, 'soundnet:my net.safetensors']\n"
        "long_audio: [truncate, default]\n"
        "normalize: [false]\ncutoffs: [3]\nexclude: [{model: ./my clap}]\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(here))  # of workers
    monkeypatch.setenv(IMPORTS, "")  # which the command sets
    in_process.grid(grid, here, tmp_path / "data", "--dataset", "sounds", "--n-jobs", "2")
    scores = [one.read().to_pandas() for one in Store(tmp_path / "data").all_scores()]
    assert sorted(pd.concat(scores)["model"].unique()) == sorted(
        [
            f"hear:tiny_hear:{here}/a/best.pt",
            f"{here}/my clap+truncate",
            f"soundnet:{here}/my net.safetensors",
        ]
    )
    told = capsys.readouterr().out
    for one in ("tiny_hear best (", "my clap (", "(truncate)", "SoundNet my net ("):
        assert one in told
