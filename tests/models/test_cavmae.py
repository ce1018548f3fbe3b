"""CAV-MAE against the layers of transformers' ViT, with seeded weights by the published names."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import seeded  # noqa: E402
from published_vit import CAV_MAE_CLASSIFIER as CLASSIFIER  # noqa: E402
from published_vit import CAV_MAE_DECODER as DECODER  # noqa: E402
from published_vit import cav_mae as published  # noqa: E402

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402
from sss_lib.models.frontends import kaldi  # noqa: E402

pytestmark = pytest.mark.network

FINETUNED, PRETRAINED = "cav-mae-as-46.6", "cav-mae-pretrained"
NOISE = np.random.default_rng(0).normal(0, 0.1, 30 * 16000).astype(np.float32)


@pytest.fixture(scope="module")
def state():
    return seeded.state(published(CLASSIFIER))


@pytest.fixture(scope="module")
def extractor(load_stand_in):
    return load_stand_in(FINETUNED)


def embedding_by_transformers(state, frames):
    """Mean token of [1024, 128] frames: patches by hand, layers and norms by transformers' ViT."""
    transformers = pytest.importorskip("transformers")
    state = {name.removeprefix("module."): value for name, value in state.items()}
    host = transformers.ViTModel(transformers.ViTConfig(layer_norm_eps=1e-5), add_pooling_layer=False)
    loaded = {}
    for i in range(12):
        ours, suffix = (f"blocks_a.{i}", "") if i < 11 else ("blocks_u.0", "_a")
        for kind in ("weight", "bias"):
            q, k, v = state[f"{ours}.attn.qkv.{kind}"].chunk(3)
            loaded |= {
                f"layers.{i}.attention.q_proj.{kind}": q,
                f"layers.{i}.attention.k_proj.{kind}": k,
                f"layers.{i}.attention.v_proj.{kind}": v,
                f"layers.{i}.attention.o_proj.{kind}": state[f"{ours}.attn.proj.{kind}"],
                f"layers.{i}.layernorm_before.{kind}": state[f"{ours}.norm1{suffix}.{kind}"],
                f"layers.{i}.layernorm_after.{kind}": state[f"{ours}.norm2{suffix}.{kind}"],
                f"layers.{i}.mlp.fc1.{kind}": state[f"{ours}.mlp.fc1.{kind}"],
                f"layers.{i}.mlp.fc2.{kind}": state[f"{ours}.mlp.fc2.{kind}"],
            }
    loaded |= {f"layernorm.{kind}": state[f"norm_a.{kind}"] for kind in ("weight", "bias")}
    missing, unexpected = host.load_state_dict(loaded, strict=False)
    assert not unexpected
    assert all(name.startswith("embeddings.") for name in missing)
    kernel = state["patch_embed_a.proj.weight"].reshape(768, 256).numpy()
    patches = np.stack(
        [
            kernel @ frames[16 * t : 16 * t + 16, 16 * f : 16 * f + 16].T.ravel()
            for f in range(8)
            for t in range(64)
        ]
    )
    x = torch.from_numpy(patches)[None] + state["patch_embed_a.proj.bias"]
    x = x + state["pos_embed_a"] + state["modality_a"]
    with torch.inference_mode():
        for of_host in host.eval().layers:
            x = of_host(x)
        return host.layernorm(x)[0].mean(dim=0).numpy()


def test_the_embedding_equals_that_of_transformers_layers(extractor, state, mini):
    """Values reach 4; measured: 1.5e-6."""
    wave = audio.decode(mini.clips["path"].iloc[0], 16000)
    frames = kaldi.fbank(wave, rate_hz=16000)
    assert len(frames) < 1024
    frames = (np.pad(frames, ((0, 1024 - len(frames)), (0, 0))) + np.float32(5.081)) / np.float32(4.4849)
    expected = embedding_by_transformers(state, frames)
    assert expected.std() > 0.1
    np.testing.assert_allclose(extractor(wave), expected[None], rtol=0, atol=1e-5)


def test_as_the_study_ran_it_audio_keeps_its_rate_and_only_the_start_counts():
    row = models.spec(f"{FINETUNED}+paper")
    wave = np.random.default_rng(0).normal(0, 0.1, 30 * 44100).astype(np.float32)
    (frames,) = kaldi.windowed(row, n_frames=1024, mean=0, scale=1)(wave)
    # Some units of the last place: a row of a product may hang on how many rows there are.
    np.testing.assert_allclose(frames, kaldi.fbank(wave, rate_hz=44100)[:1024], rtol=0, atol=1e-5)


def test_the_pretrained_checkpoint_is_taken_without_its_decoder(extractor, state, tmp_path, monkeypatch):
    seeded.accept(tmp_path, monkeypatch)
    classifier = {f"module.{name}" for name in CLASSIFIER}
    content = {name: value for name, value in state.items() if name not in classifier}
    content |= seeded.state({f"module.{name}": shape for name, shape in DECODER.items()})
    torch.save(content, tmp_path / CATALOGUE[PRETRAINED].weights.file)
    np.testing.assert_array_equal(models.load(PRETRAINED)(NOISE[:16000]), extractor(NOISE[:16000]))
