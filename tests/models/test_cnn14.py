"""CLAP 2022 against what the published package computed: tests/data/record_clap.py recorded it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import published_clap  # noqa: E402

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.weights import file as weights  # noqa: E402

RECORDED = np.load(Path(__file__).parent.parent / "data" / "clap_reference.npz")
TOLERANCE = 1e-5
"""Of the largest value of an embedding; the largest difference seen was 1.2e-6."""
WINDOW = 5 * 44100


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """Another cache, which doesn't know the digest of any file."""
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def content():
    """What the published file holds: its names, random weights."""
    return published_clap.content_of("clap-2022")


def save(content):
    path = weights.path_of(models.spec("clap-2022").weights)
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def extractor(content):
    path = save(content)
    loaded = models.load("clap-2022")
    path.unlink()
    return loaded


def assert_close(embedded, expected):
    assert embedded.shape == expected.shape
    np.testing.assert_allclose(embedded, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("fname", ["13113", "198403", "scratch-music-loops-garden"])
def test_a_window_is_embedded_as_by_the_published_package(extractor, mini, fname):
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    wave = audio.decode(path, 44100)[:WINDOW]
    assert_close(extractor(wave), RECORDED[f"clap-2022/{fname}"][None])


def test_recorded_clips_differ_far_beyond_the_tolerance():
    names = ("13113", "198403", "scratch-music-loops-garden")
    embedded = np.stack([RECORDED[f"clap-2022/{fname}"] for fname in names])
    differences = np.abs(embedded[:, None] - embedded).max(axis=2) + np.eye(len(embedded))
    assert differences.min() > 1000 * TOLERANCE * np.abs(embedded).max()


@pytest.mark.parametrize(("n_samples", "n_windows"), [(1, 1), (13230, 1), (30 * 44100, 6)])
def test_every_length_gives_finite_frames_whatever_the_batch(extractor, n_samples, n_windows):
    wave = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    frames = extractor(wave)
    assert frames.shape == (n_windows, 1024)
    assert_close(extractor(wave[-WINDOW:]), frames[-1:])


def test_silence_has_an_embedding(extractor):
    assert extractor(np.zeros(WINDOW, np.float32)).shape == (1, 1024)


@pytest.mark.usefixtures("empty_cache")
def test_names_and_shapes_that_do_not_fit_are_named(content):
    spoiled = dict(content["model"])
    del spoiled["audio_encoder.base.conv_block6.bn2.bias"]
    spoiled["audio_encoder.base.conv_block7.bias"] = torch.zeros(1)
    spoiled["audio_encoder.projection.layer_norm.weight"] = torch.zeros(1023)
    path = save({"model": spoiled})
    with pytest.raises(ValueError, match="does not fit the network") as error:
        models.load("clap-2022")
    path.unlink()
    assert "is missing base.conv_block6.bn2.bias" in str(error.value)
    assert "has besides base.conv_block7.bias" in str(error.value)
    assert "has in another shape projection.layer_norm.weight [1023] for [1024]" in str(error.value)


@pytest.mark.usefixtures("empty_cache")
def test_a_file_that_could_run_code_is_refused():
    path = save({"model": {}, "args": Path("x")})
    with pytest.raises(
        ValueError, match="is refused, because reading it could run code: it asks for pathlib"
    ):
        models.load("clap-2022")
    path.unlink()
