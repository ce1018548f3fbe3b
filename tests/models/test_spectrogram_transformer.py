"""AST against transformers' own front end and loading, with seeded weights by the published names."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import safetensors.torch  # noqa: E402
import seeded  # noqa: E402
from published_vit import ast as published  # noqa: E402

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402
from sss_lib.models.loaders import spectrogram_transformer  # noqa: E402

pytestmark = pytest.mark.network

NOISE = np.random.default_rng(0).normal(0, 0.1, 30 * 16000).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Cache folder that transformers, too, can load from."""
    folder = tmp_path_factory.mktemp("cache")
    path = folder / CATALOGUE["ast"].weights.file
    safetensors.torch.save_file(seeded.state(published()), path, metadata={"format": "pt"})
    (folder / "model.safetensors").hardlink_to(path)
    config = {"model_type": "audio-spectrogram-transformer", "architectures": ["ASTForAudioClassification"]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def extractor(folder):
    with pytest.MonkeyPatch.context() as monkeypatch:
        seeded.accept(folder, monkeypatch)
        return models.load("ast")


def test_the_embedding_equals_that_of_transformers(extractor, folder, mini):
    """Values reach 4; measured: 1.2e-6."""
    wave = audio.decode(mini.clips["path"].iloc[0], 16000)
    with pytest.warns(UserWarning, match="mel filter has all zero values"):
        front_end = transformers.ASTFeatureExtractor()
    inputs = front_end(wave, sampling_rate=16000, return_tensors="pt")
    host = transformers.ASTModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        expected = host(**inputs).pooler_output.numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(extractor(wave), expected, rtol=0, atol=1e-5)


def test_the_configuration_is_the_default_one_of_transformers():
    config = transformers.ASTConfig()
    written = spectrogram_transformer.CONFIG
    assert {key: getattr(config, key) for key in written} == written
