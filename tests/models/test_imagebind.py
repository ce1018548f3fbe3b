"""ImageBind against a plain numpy network, with seeded weights by the published names."""

import numpy as np
import pytest
from scipy.special import erf, softmax

torch = pytest.importorskip("torch")

import seeded  # noqa: E402
from published_vit import imagebind as published  # noqa: E402

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.frontends import kaldi  # noqa: E402

pytestmark = pytest.mark.network

NAME = "imagebind-huge"
NOISE = np.random.default_rng(0).normal(0, 0.1, 30 * 16000).astype(np.float32)


@pytest.fixture(scope="module")
def state():
    return seeded.state(published())


@pytest.fixture(scope="module")
def extractor(load_stand_in):
    return load_stand_in(NAME)


def embedding_by_numpy(state, frames):
    """Embedding of [204, 128] frames, layer by layer."""

    def norm(x, name, eps=1e-6):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def attention(x, name):
        projected = x @ state[f"{name}.in_proj_weight"].T + state[f"{name}.in_proj_bias"]
        query, key, value = np.split(projected, 3, axis=1)
        key = np.concatenate([key, state[f"{name}.bias_k"][0]])
        value = np.concatenate([value, state[f"{name}.bias_v"][0]])
        heads = [slice(64 * i, 64 * i + 64) for i in range(12)]
        attended = [softmax(query[:, h] @ key[:, h].T / 8, axis=1) @ value[:, h] for h in heads]
        return linear(np.concatenate(attended, axis=1), f"{name}.out_proj")

    stem = "modality_preprocessors.audio"
    kernel = state[f"{stem}.rgbt_stem.proj.weight"].reshape(768, 256)
    corners = [(band, time) for band in range(0, 113, 10) for time in range(0, 189, 10)]
    patches = np.stack([kernel @ frames[t : t + 16, b : b + 16].T.ravel() for b, t in corners])
    x = np.concatenate([state[f"{stem}.cls_token"][0], norm(patches, f"{stem}.rgbt_stem.norm_layer", 1e-5)])
    x = x + state[f"{stem}.pos_embedding_helper.pos_embed"][0]
    for i in range(12):
        layer = f"modality_trunks.audio.blocks.{i}"
        x = x + attention(norm(x, f"{layer}.norm_1"), f"{layer}.attn")
        hidden = linear(norm(x, f"{layer}.norm_2"), f"{layer}.mlp.fc1")
        x = x + linear(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, f"{layer}.mlp.fc2")
    embedding = state["modality_heads.audio.2.weight"] @ norm(x[0], "modality_heads.audio.0")
    return embedding / np.linalg.norm(embedding)


@pytest.mark.parametrize("n_samples", [2 * 16000, 8000])
def test_the_embedding_equals_that_of_a_plain_network(extractor, state, mini, n_samples):
    """Values are about 0.03 in a vector of length 1; measured: 5e-8. Frames beyond the clip are zeros."""
    wave = audio.decode(mini.clips["path"].iloc[0], 16000)[:n_samples]
    frames = kaldi.fbank(wave, rate_hz=16000)
    frames = (np.pad(frames, ((0, 204 - len(frames)), (0, 0))) + np.float32(4.268)) / np.float32(9.138)
    expected = embedding_by_numpy({name: value.double().numpy() for name, value in state.items()}, frames)
    np.testing.assert_allclose(extractor(wave), expected[None], rtol=0, atol=5e-7)


def test_as_the_study_ran_it_three_windows_count():
    size, last = 2 * 16000, 28 * 16000
    paper = kaldi.windowed(models.spec(f"{NAME}+paper"), n_frames=204, mean=0, scale=1)
    whole = kaldi.windowed(models.spec(NAME), n_frames=204, mean=0, scale=1)
    expected = [kaldi.fbank(NOISE[start : start + size], rate_hz=16000) for start in (0, last // 2, last)]
    np.testing.assert_array_equal([frames[:198] for frames in paper(NOISE)], expected)
    assert len(list(whole(NOISE))) == 15
