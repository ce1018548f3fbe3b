"""Wav2CLIP against what its package computed from seeded weights, recorded by data/record_wav2clip.py."""

from pathlib import Path

import numpy as np
import pytest
from seeded import noise

torch = pytest.importorskip("torch")

from sss_lib import audio  # noqa: E402

RECORDED = np.load(Path(__file__).parent.parent / "data" / "wav2clip_reference.npz")
NOISES = [name for name in RECORDED if name.startswith("noise")]
CLIPS = [name for name in RECORDED if name not in ("names", "shapes", *NOISES)]


@pytest.fixture
def extractor(load_stand_in):
    return load_stand_in("wav2clip")


def assert_recorded(embedding, expected):
    """Within 3e-5 of the largest value."""
    assert embedding.shape == (1, 512)
    np.testing.assert_allclose(embedding[0], expected, rtol=0, atol=3e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NOISES)
def test_noise_has_the_embedding_that_the_package_gave(extractor, name):
    assert_recorded(extractor(noise(int(name.removeprefix("noise-")))), RECORDED[name])


@pytest.mark.parametrize("fname", CLIPS)
def test_clips_have_the_embedding_that_the_package_gave(extractor, mini, fname):
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    assert_recorded(extractor(audio.decode(path, extractor.spec.rate_hz)), RECORDED[fname])


def test_silence_is_standardised_to_zeros(extractor):
    """A constant spectrogram has a deviation of 0, and no rounding is blown up by dividing by it."""
    spectrogram = extractor.network.network.audio_encoder.spectrogram
    assert spectrogram(torch.zeros(1, 16000)).abs().max() < 1e-3
    assert extractor(np.zeros(16000, np.float32)).shape == (1, 512)


def test_embeddings_do_not_depend_on_the_batch(extractor):
    """Though the package standardises over its whole batch."""
    waves = [noise(16000), 5 * noise(16000) ** 2, np.zeros(16000, np.float32)]
    with torch.inference_mode():
        together = extractor.network.network(torch.from_numpy(np.stack(waves)))
    for wave, embedding in zip(waves, together.numpy(), strict=True):
        assert_recorded(extractor(wave), embedding)
