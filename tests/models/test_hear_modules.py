"""data/models/hear: modules for encoders of other packages, against those packages, with random weights.

Each test needs its package: python -m pip install dasheng glap-model openbeats torchaudio
"""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from seeded import noise

torch = pytest.importorskip("torch")

from sss_lib import models  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of other people's code
MODULES = Path(__file__).parents[2] / "data" / "models" / "hear"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(MODULES))
    torch.manual_seed(0)


def small_dasheng():
    pretrained = pytest.importorskip("dasheng.pretrained.pretrained")
    network = pretrained.Dasheng(embed_dim=768, depth=2, num_heads=12).eval()
    network.init_bn[1].running_mean.uniform_(-40, 0)
    network.init_bn[1].running_var.uniform_(100, 400)
    return network


def of_dasheng(folder):
    network = small_dasheng()
    torch.save({"model": network.state_dict(), "config": {"target_length": 1008}}, folder / "weights.pt")
    return lambda wave: network(wave[None])[0]


def of_glap(folder):
    glap = pytest.importorskip("glap_model.models.glap")
    audio = pytest.importorskip("glap_model.models.audioencoders.dasheng_audioencoder")
    wrapper = audio.DashengWrapper.__new__(audio.DashengWrapper)
    torch.nn.Module.__init__(wrapper)
    wrapper.model = small_dasheng()
    network = glap.GLAP.__new__(glap.GLAP)
    torch.nn.Module.__init__(network)
    network.use_checkpointing, network.audio_encoder = False, wrapper
    linear = torch.nn.Linear
    network.audio_proj = torch.nn.Sequential(linear(768, 1024), torch.nn.ReLU(), linear(1024, 1024))
    torch.save({"model": network.state_dict(), "config": {}}, folder / "weights.pt")
    return lambda wave: network.encode_audio(wave[None])


def of_openbeats(folder):
    package = pytest.importorskip("openbeats.model")
    encoder = pytest.importorskip("openbeats.beats_encoder")
    sizes = {"encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 32, "embed_dim": 16}
    config = asdict(encoder.BeatsConfig()) if hasattr(encoder.BeatsConfig, "__dataclass_fields__") else {}
    config |= {**sizes, "encoder_attention_heads": 4, "deep_norm": True}
    network = encoder.BeatsEncoder(input_size=0, beats_config=config, is_pretraining=False)
    torch.save({"cfg": config, "model": network.state_dict()}, folder / "weights.pt")
    published = package.OpenBeats(network)

    def expected(wave):
        patches = torch.from_numpy(published.encode(wave.numpy())["patch_embeddings"])
        return torch.stack([patches[i : i + 8].mean(0) for i in range(0, len(patches) - 7, 8)])

    return expected


def of_aves(folder):
    torchaudio = pytest.importorskip("torchaudio")
    transformers = pytest.importorskip("transformers")
    network = transformers.HubertModel(transformers.HubertConfig()).eval()
    converted = torchaudio.models.wav2vec2.utils.import_huggingface_model(network)
    torch.save(converted.state_dict(), folder / "weights.pt")
    return lambda wave: network(wave[None]).last_hidden_state[0]


ENCODERS = {
    "dasheng_hear": (of_dasheng, 16000, 0.04),
    "glap_hear": (of_glap, 16000, None),
    "openbeats_hear": (of_openbeats, 16000, 0.16),
    "aves_hear": (of_aves, 16000, 0.02),
}


def test_every_module_is_tested_and_told():
    names = {file.stem for file in MODULES.glob("*.py")}
    assert names == set(ENCODERS)
    told = (Path(models.__file__).parent / "README.md").read_text("utf-8")
    assert all(f"`{name}`" in told for name in names)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_module_gives_what_its_package_gives(name, tmp_path):
    make, rate_hz, hop_s = ENCODERS[name]
    with torch.no_grad():
        expected = make(tmp_path)
        model = models.load(f"hear:{name}:{tmp_path / 'weights.pt'}")
        assert model.spec.rate_hz == rate_hz
        assert model.spec.hop_s == (hop_s and pytest.approx(hop_s))
        for seconds in (1.3, 12):
            wave = noise(int(seconds * rate_hz))
            right = expected(torch.from_numpy(wave)).numpy()
            frames = model(wave)
            assert frames.shape == right.shape
            np.testing.assert_allclose(frames, right, rtol=0, atol=1e-5 * np.abs(right).max())
        assert np.isfinite(model(noise(1))).all()
    sys.modules.pop(name)
