"""EfficientAT against torchvision's and its authors' networks, which data/record_efficientat.py ran."""

from pathlib import Path

import numpy as np
import pytest
import seeded

torch = pytest.importorskip("torch")

from sss_lib import audio, models  # noqa: E402
from sss_lib.io import windowing  # noqa: E402
from sss_lib.models.loaders import dymn, efficientat  # noqa: E402
from sss_lib.models.weights import file as weights  # noqa: E402

RECORDED = np.load(Path(__file__).parent.parent / "data" / "efficientat_reference.npz")
CLIPS = [name.partition("/")[2] for name in RECORDED if name.startswith("embedding/")]
ELSEWHERE = Path(__file__).parents[2].parent / "shared" / "weights"
"""Where developers may have the published file, beside the repository."""


def wave_of(mini, fname):
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    return audio.decode(path, 32000)


@pytest.mark.parametrize("fname", CLIPS)
def test_log_mel_frames_equal_those_of_torch_and_kaldi(mini, fname):
    frames = efficientat.log_mel(wave_of(mini, fname))
    np.testing.assert_allclose(frames[:, ::8], RECORDED[f"frames/{fname}"], rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["efficientat-mn04", "efficientat-mn10"])
def test_the_network_with_seeded_weights_equals_torchvisions(mini, name):
    row = models.spec(name)
    network = efficientat.Network(**row.options)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(seeded.tensors(seeded.rectified_state(shapes)))
    frames = torch.from_numpy(efficientat.log_mel(wave_of(mini, CLIPS[-1])))
    with torch.inference_mode():
        embedding = network.eval()(frames[None])[0].numpy()
    recorded = RECORDED[f"seeded/{row.options['width']}"]
    assert embedding.shape == recorded.shape == (row.dim,)
    np.testing.assert_allclose(embedding, recorded, rtol=0, atol=1e-4 * np.abs(recorded).max())


@pytest.mark.parametrize(("name", "gain"), [("efficientat-dymn04", 7), ("efficientat-dymn10", 5)])
def test_the_dynamic_network_with_seeded_weights_equals_its_authors(mini, name, gain):
    """Also beside another input, which has kernels of its own."""
    row = models.spec(name)
    network = dymn.Network(**row.options)
    shapes = {key: tuple(value.shape) for key, value in network.named_parameters()}
    shapes |= {key: tuple(value.shape) for key, value in network.named_buffers() if ".running_" in key}
    network.load_state_dict(seeded.tensors(seeded.dynamic_state(shapes, gain)), strict=False)
    frames = torch.from_numpy(efficientat.log_mel(wave_of(mini, CLIPS[-1])))
    with torch.inference_mode():
        embedding, beside = network.eval()(torch.stack([frames, -frames])).numpy()
    recorded = RECORDED[f"dynamic/{row.options['width']}"]
    assert embedding.shape == recorded.shape == (row.dim,)
    np.testing.assert_allclose(embedding, recorded, rtol=0, atol=1e-5 * np.abs(recorded).max())
    assert np.abs(beside - embedding).max() > 0.03 * np.abs(recorded).max()


@pytest.mark.parametrize("fname", CLIPS)
def test_published_weights_give_what_torchvision_made_of_them(mini, fname, monkeypatch):
    row = models.spec("efficientat-mn04")
    if (ELSEWHERE / row.weights.file).is_file():
        monkeypatch.setenv("SSS_CACHE", str(ELSEWHERE))
    elif not weights.path_of(row.weights).is_file():
        pytest.skip(f'no weights: make models MODELS="{row.name}"')
    embedding, recorded = models.load(row)(wave_of(mini, fname))[0], RECORDED[f"embedding/{fname}"]
    np.testing.assert_allclose(embedding, recorded, rtol=0, atol=1e-4 * np.abs(recorded).max())


def test_a_clip_below_a_window_is_padded_with_zeros():
    short = np.full(100, 0.1, np.float32)
    padded = windowing.pad_to(short, 1024)
    np.testing.assert_array_equal(efficientat.log_mel(short), efficientat.log_mel(padded))
