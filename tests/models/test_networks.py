"""Networks in PyTorch, on weights of the published form: any length of audio, and other files refused."""

import numpy as np
import pytest
import seeded
import stand_ins

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from sss_lib import models  # noqa: E402
from sss_lib.models.weights import file as weights  # noqa: E402

N_FRAMES = {
    "aisfx": {1: 1, 13230: 1, 6 * 44100: 4},  # 1 + (260 - 100) // 50 patches
    "audioclip-full": {1: 1, 5 * 44100: 1, 5 * 44100 + 1: 2},
    "audioclip-full+paper": {1: 1, 5 * 44100 + 1: 1},
    "beats-iter3": {1: 1, 2799: 1, 4800: 1, 5360: 2, 16000: 6},
    "cav-mae-as-46.6": {1: 1, 4800: 1, 11 * 16000: 2},
    "efficientat-mn04": {1: 1, 4800: 1, 11 * 32000: 1},
    "efficientat-dymn04": {1: 1, 4800: 1, 11 * 32000: 1},
    "soundnet": {1: 27, 4800: 27, 10 * 22050: 27, 20 * 22050: 54},
    "yamnet": {1: 1, 15600: 1, 15601: 2, 3 * 16000: 6},
    "imagebind-huge": {1: 1, 4800: 1, 5 * 16000: 3},
    "ast": {1: 1, 4800: 1, 11 * 16000: 2},
    "wav2clip": {1: 1, 256: 1, 257: 1, 3 * 16000: 1},
    "clap-2022": {1: 1, 13230: 1, 11 * 44100: 3},
    "clap-2023": {1: 1, 13230: 1, 8 * 44100: 2},
    "clap-2023+paper": {8 * 44100: 1},
    "laion-clap-630k-fusion-best": {1: 1, 14400: 1, 11 * 48000: 2},
    "pe-a-frame-small": {1: 1, 48001: 26},
}
"""By model, the number of frames of waves by their number of samples."""
LARGE = (
    "ast",
    "audioclip-full",
    "beats-iter3",
    "clap-2022",
    "clap-2023",
    "laion-clap-630k-fusion-best",
    "pe-a-frame-small",
)
"""Networks that take seconds to make; others of their kinds are small."""
OF_UNIT_LENGTH = ("audioclip", "imagebind", "laion")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        seeded.accept(tmp_path_factory.mktemp("cache"), patch)
        yield weights.cache_dir()


def row_of(name):
    """Row of a model, with two of its layers where these are all alike."""
    base, *words = name.split("+")
    row = models.spec(base)
    row = stand_ins.with_layers(row, 2) if row.loader in stand_ins.LAYERED else row
    return row.prepared(*words)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name.partition("+")[0] in LARGE)) for name in N_FRAMES],
)
def test_any_length_and_silence_have_frames_whatever_is_beside(cache, name):
    row = row_of(name)
    if row.weights.url:
        stand_ins.write(row_of(name.partition("+")[0]), cache)
    extractor = models.load(row)
    waves = [seeded.noise(n) for n in N_FRAMES[name]] + [np.zeros(row.rate_hz, np.float32)]
    together = extractor.embed(waves)
    silence = together.pop()
    assert [frames.shape for frames in together] == [(n, row.dim) for n in N_FRAMES[name].values()]
    assert silence.shape[1] == row.dim
    if name.startswith(OF_UNIT_LENGTH):
        lengths = np.linalg.norm(np.concatenate([*together, silence]), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    for wave, frames in zip(waves[:2], together[:2], strict=False):
        np.testing.assert_allclose(extractor(wave), frames, rtol=0, atol=1e-5 * np.abs(frames).max())


FITTING = [  # model; beginnings of names in the file and in the network; ends of three names
    ("audioclip-full", "audio.", "audio.", "fbsp.fc", "window", "depth.conv1.weight"),
    ("beats-iter3", "", "", "layer_norm.bias", "layer_norm.weight", "decoder.weight"),
    ("cav-mae-as-46.6", "module.", "", "norm_a.bias", "modality_a", "blocks_a.11.norm1.bias"),
    ("cav-mae-as-46.6", "module.", "", "norm_a.weight", "norm_a.bias", "norm_x.bias"),
    (
        "imagebind-huge",
        "modality_heads.",
        "modality_heads.",
        "audio.0.bias",
        "audio.0.weight",
        "smell.0.bias",
    ),
    ("ast", "audio_spectrogram_transformer.", "", "layernorm.bias", "layernorm.weight", "decoder.bias"),
    ("efficientat-dymn04", "layers.", "layers.", "0.depth_norm.bias", "0.depth_norm.weight", "15.bias"),
    ("efficientat-mn04", "features.", "features.", "0.1.bias", "0.1.weight", "17.0.weight"),
    ("wav2clip", "", "", "audio_encoder.bn1.bias", "audio_transform.sequential.3.bias", "head"),
    (
        *("clap-2022", "audio_encoder.", ""),
        *("base.conv_block6.bn2.bias", "projection.layer_norm.weight", "base.conv_block7.bias"),
    ),
    (
        *("clap-2023", "audio_encoder.base.htsat.", "audio_model.audio_encoder."),
        *("norm.bias", "norm.weight", "layers.9.bias"),
    ),
    (
        *("laion-clap-630k-fusion-best", "module.audio_branch.", "audio_model.audio_encoder."),
        *("norm.bias", "norm.weight", "video_branch.conv"),
    ),
    ("pe-a-frame-small", "audio_head.", "audio_head.", "layer_norm.bias", "proj.weight", "video.weight"),
]


@pytest.mark.parametrize(
    ("name", "in_file", "in_network", "gone", "misshapen", "extra"),
    [pytest.param(*one, marks=[pytest.mark.slow] * (one[0] in LARGE)) for one in FITTING],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tmp_path, monkeypatch, name, in_file, in_network, gone, misshapen, extra
):
    seeded.accept(tmp_path, monkeypatch)
    row = row_of(name)
    content = stand_ins._content(row)
    state = next((content[key] for key in ("model", "state_dict") if key in content), content)
    assert state.pop(in_file + gone, None) is not None
    assert in_file + misshapen in state
    state |= {in_file + misshapen: torch.zeros(7, 1), in_file + extra: torch.zeros(1)}
    monkeypatch.setattr(stand_ins, "_content", lambda row: content)
    stand_ins.write(row, tmp_path)
    with pytest.raises(ValueError, match="does not fit the network") as error:
        models.load(row)
    for words in (
        f"is missing {in_network}{gone}",
        f"has besides {in_network}{extra}",
        f"has in another shape {in_network}{misshapen} [7, 1] for [",
    ):
        assert words in str(error.value)
