"""LAION-CLAP, CLAP 2022 and 2023 and Pengi against what the published packages computed.

tests/data/record_clap.py recorded it, with the same random weights, which come here in the published form and
by the user's way: a file in the cache, found, checked and loaded by name.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import published_clap  # noqa: E402
from published_clap import KEYS  # noqa: E402

from sss_lib import audio, models  # noqa: E402
from sss_lib.io import windowing  # noqa: E402
from sss_lib.models.loaders import htsat  # noqa: E402

pytestmark = pytest.mark.network

RECORDED = np.load(Path(__file__).parent.parent / "data" / "clap_reference.npz")
TOLERANCE = 1e-5
"""Of the largest value of an embedding; the largest difference seen was 1.2e-6."""
LONG = "scratch-music-loops-garden"
"""A clip of 16.8 s."""


@pytest.fixture
def load(load_stand_in):
    return load_stand_in


@pytest.fixture
def wave_of(mini):
    def decoded(fname, rate_hz):
        (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
        return audio.decode(path, rate_hz)

    return decoded


def assert_close(embedded, expected):
    assert embedded.shape == expected.shape
    np.testing.assert_allclose(embedded, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("fname", ["13113", "198403", "207809"])
@pytest.mark.parametrize(
    "name", ["laion-clap-630k-fusion-best", "laion-clap-music-speech-audioset", "clap-2022", "clap-2023"]
)
def test_a_short_clip_is_embedded_as_by_the_published_package(load, wave_of, name, fname):
    extractor = load(name)
    embedded = extractor(wave_of(fname, extractor.spec.rate_hz)[: extractor.spec.window_size])
    assert_close(embedded, RECORDED[f"{KEYS[name]}/{fname}"][None])


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("laion-clap-630k-fusion-best", "laion-fusion/window"),
        ("laion-clap-music-speech-audioset", f"laion-base/{LONG}"),
        ("clap-2022", f"clap-2022/{LONG}"),
        ("clap-2023", f"clap-2023/{LONG}"),
    ],
)
def test_a_window_is_embedded_as_by_the_published_package(load, wave_of, name, recorded):
    """A clip of just the window's length isn't longer: nothing is fused."""
    extractor = load(name)
    n_samples = round(extractor.spec.window_s * extractor.spec.rate_hz)
    wave = wave_of(LONG, extractor.spec.rate_hz)[:n_samples]
    assert len(wave) == n_samples
    assert_close(extractor(wave), RECORDED[recorded][None])


class Middle:
    """Draws the middle, as the recorded package was made to."""

    def integers(self, n):
        return n // 2


@pytest.mark.parametrize("fname", ["scratch-percussion-gong", LONG])
def test_as_in_the_paper_a_long_clip_is_fused_as_by_the_published_package(load, wave_of, monkeypatch, fname):
    extractor = load("laion-clap-630k-fusion-best+paper")
    wave = wave_of(fname, 48000)
    drawn = extractor(wave)
    np.testing.assert_array_equal(extractor(wave), drawn)
    monkeypatch.setattr(windowing, "draws", lambda wave: Middle())
    expected = RECORDED[f"laion-fusion/{fname}"][None]
    assert_close(extractor(wave), expected)
    assert np.abs(drawn - expected).max() > 10 * TOLERANCE


def test_as_in_the_paper_a_short_clip_is_as_ever(load, wave_of):
    expected = RECORDED["laion-fusion/198403"][None]
    assert_close(load("laion-clap-630k-fusion-best+paper")(wave_of("198403", 48000)), expected)


def test_recorded_clips_differ_far_beyond_the_tolerance():
    """A network that hears nothing would pass the comparisons above if the clips were all alike."""
    for key in set(KEYS.values()):
        embedded = np.stack([RECORDED[f"{key}/{fname}"] for fname in ("13113", "198403", "207809", LONG)])
        differences = np.abs(embedded[:, None] - embedded).max(axis=2) + np.eye(len(embedded))
        assert differences.min() > 1000 * TOLERANCE * np.abs(embedded).max(), key


def test_fused_windows_come_from_each_third_and_the_whole_is_shrunk():
    mel = np.arange(10, dtype=np.float32)[:, None] * np.array([1, 10], np.float32)
    fused = htsat.fuse(mel, 5, Middle())
    # starts 0 to 5 in thirds: 0 1, 2 3, 4 5; the middle of two is the second
    starts = (1, 3, 5)
    np.testing.assert_array_equal(fused[1:, :, 0], [np.arange(start, start + 5) for start in starts])
    np.testing.assert_allclose(fused[0, :, 0], [0.5, 2.5, 4.5, 6.5, 8.5])  # means of pairs
    np.testing.assert_array_equal(fused[..., 1], 10 * fused[..., 0])


@pytest.mark.parametrize(
    ("n_samples", "shape"), [(90, "as ever"), (100, "as ever"), (109, (1, 11)), (110, (4, 11))]
)
def test_a_clip_is_fused_from_a_frame_longer_than_the_window_on(n_samples, shape):
    fused = htsat.fusing(lambda wave: "as ever", lambda wave: wave[None, ::10, None], 101)(
        np.zeros(n_samples + 1)
    )
    if shape == "as ever":
        assert fused == shape
    else:
        assert [mel.shape for mel in fused] == [(*shape, 1)]


@pytest.mark.parametrize(
    ("name", "size", "truncation"),
    [
        ("laion-clap-htsat-unfused", "tiny", "rand_trunc"),
        ("laion-clap-htsat-fused", "tiny", "fusion"),
        pytest.param("laion-larger-clap-general", "base", "rand_trunc", marks=pytest.mark.slow),
        pytest.param("laion-larger-clap-music", "base", "rand_trunc", marks=pytest.mark.slow),
        pytest.param("laion-larger-clap-music-and-speech", "base", "rand_trunc", marks=pytest.mark.slow),
    ],
)
def test_files_of_transformers_give_what_its_pipeline_gives(load, wave_of, name, size, truncation):
    extractor, model = load(name), published_clap.of_transformers(size, truncation == "fusion")
    wave = wave_of("198403", 48000)
    front_end = transformers.ClapFeatureExtractor(frequency_min=50, truncation=truncation)
    with torch.inference_mode():
        features = front_end(wave, sampling_rate=48000, return_tensors="pt")
        features["is_longer"] = torch.tensor([[False]])  # where none is, the library calls one so at random
        expected = model.get_audio_features(**features).pooler_output.numpy()
    assert_close(extractor(wave), expected)


def test_pengi_is_clap_2023_scaled_to_unit_length(load, wave_of):
    wave = wave_of("198403", 44100)
    expected = load("clap-2023")(wave)
    assert_close(load("pengi")(wave), expected / np.linalg.norm(expected))


def test_without_transformers_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "sss_lib.models.loaders.htsat")
    with pytest.raises(
        ImportError, match=r"pengi needs transformers: install it with pip install -e \.\[torch\]"
    ):
        models.load("pengi")
