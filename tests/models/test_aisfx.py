"""aiSFX against what the published package computed: tests/data/record_aisfx.py recorded it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.frontends import batches  # noqa: E402
from sss_lib.models.loaders import aisfx  # noqa: E402

RECORDED = np.load(Path(__file__).parent.parent / "data" / "aisfx_reference.npz")
CLIPS = [name for name in RECORDED if name != "network"]


@pytest.fixture(scope="module")
def extractor():
    return models.load("aisfx")


def test_the_converted_network_equals_the_published_one(extractor):
    import safetensors.torch

    network = aisfx.Network()
    network.load_state_dict(safetensors.torch.load_file(models.read_weights(extractor.spec)))
    patches = torch.from_numpy(np.random.default_rng(0).random((3, 100, 96), np.float32))
    assert isinstance(extractor.network.network, aisfx.OnProcessor)
    for one in (network.eval(), extractor.network.network):
        with torch.inference_mode():
            output = one(patches).numpy()
        np.testing.assert_allclose(output, RECORDED["network"], atol=2e-6 * np.abs(RECORDED["network"]).max())


@pytest.mark.parametrize("fname", CLIPS)
def test_embeddings_equal_those_of_the_published_pipeline(extractor, mini, fname):
    """Within 1e-5 of the largest value: its front end is Essentia's, ours is numpy's."""
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    frames = extractor(audio.decode(path, extractor.spec.rate_hz))
    assert frames.shape == RECORDED[fname].shape
    np.testing.assert_allclose(frames, RECORDED[fname], atol=1e-5 * np.abs(RECORDED[fname]).max())


def test_frames_do_not_depend_on_the_batch(extractor, monkeypatch):
    wave = np.random.default_rng(0).normal(0, 0.1, 44100 * 6).astype(np.float32)
    together = extractor(wave)
    monkeypatch.setitem(batches.BATCH, "cpu", 1)
    np.testing.assert_allclose(models.load("aisfx")(wave), together, atol=1e-6 * np.abs(together).max())


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(mini, tmp_path):
    from sss_lib import extraction

    few = mini.select(sorted(CLIPS))
    reports = [extraction.extract(few, "aisfx", tmp_path / str(n), n) for n in (1, 2)]
    assert [report.n_clips for report in reports] == [len(CLIPS)] * 2
    digests = [(tmp_path / str(n) / "part-00000.parquet").read_bytes() for n in (1, 2)]
    assert digests[0] == digests[1]
