"""BEATs against what speechbrain's implementation computed: tests/data/record_beats.py recorded it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import published_vit  # noqa: E402
import seeded  # noqa: E402
from published_vit import BEATS_CFG as CFG  # noqa: E402
from published_vit import RECORDED  # noqa: E402

from sss_lib import audio, models  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402
from sss_lib.models.loaders import beats  # noqa: E402
from sss_lib.models.weights import checkpoint  # noqa: E402

pytestmark = pytest.mark.network

NAME = "beats-iter3"
NOISE = np.random.default_rng(0).normal(0, 0.1, 20 * 16000).astype(np.float32)


@pytest.fixture(scope="module")
def extractor(load_stand_in):
    return load_stand_in(NAME)


@pytest.fixture(scope="module")
def of_tokens(load_stand_in):
    return load_stand_in(f"{NAME}+paper")


@pytest.mark.parametrize(
    ("clip", "atol"), [("noise", 2e-5), ("198403", 5e-5), ("scratch-percussion-gong", 2e-3)]
)
def test_tokens_equal_those_of_speechbrain(of_tokens, mini, clip, atol):
    """Values reach 1. The gong dies away, and near the floor Kaldi's front end rounds otherwise than ours."""
    if clip == "noise":
        wave = NOISE
    else:
        (path,) = mini.clips.loc[mini.clips["fname"] == clip, "path"]
        wave = audio.decode(path, 16000)
    tokens = of_tokens(wave)
    assert tokens.shape == (len(RECORDED[f"{clip}-tokens"]), 768)
    np.testing.assert_allclose(tokens[:, :8], RECORDED[f"{clip}-tokens"], rtol=0, atol=atol)
    np.testing.assert_allclose(tokens.mean(axis=0), RECORDED[f"{clip}-mean"], rtol=0, atol=atol)


def test_a_frame_is_the_mean_of_the_eight_tokens_of_its_time(extractor, of_tokens):
    frames, tokens = extractor(NOISE[:16000]), of_tokens(NOISE[:16000])
    assert (len(frames), len(tokens)) == (6, 48)
    np.testing.assert_allclose(frames, tokens.reshape(6, 8, 768).mean(axis=1), rtol=0, atol=1e-6)
    assert of_tokens.spec.hop_s * 8 == extractor.spec.hop_s


def test_a_clip_beyond_30_s_is_cut_and_one_of_30_s_is_not():
    size = 30 * 16000
    wave = np.resize(NOISE, 3 * size + 5)
    pieces = list(beats.inputs(wave))
    starts = [0, size, 2 * size, 2 * size + 5]
    expected = [next(beats.inputs(wave[start : start + size])) for start in starts]
    np.testing.assert_array_equal(pieces, expected)
    assert len(list(beats.inputs(wave[:size]))) == 1


def test_buckets_are_single_steps_then_logarithmic():
    """Of 16 buckets 8 are for each direction: 0 to 3 a step each, the eighth from 32 on."""
    distances = torch.tensor([-1000, -64, -31, -8, -7, -4, -3, 0, 3, 4, 64])
    expected = [7, 7, 6, 5, 4, 4, 3, 0, 11, 12, 15]  # 4 + floor(4 log(d / 4) / log(16)): 8 -> 5, 31 -> 6.95
    assert beats.buckets(distances, 16, 64).tolist() == expected


def test_the_bias_of_two_tokens_is_that_of_their_distance(extractor):
    encoder = extractor.network.network.encoder
    bias = encoder.bias(5)
    table = encoder.layers[0].self_attn.relative_attention_bias.weight
    for i in range(5):
        for j in range(5):
            bucket = j - i + 160 if j > i else i - j
            torch.testing.assert_close(bias[:, i, j], table[bucket], rtol=0, atol=0)


@pytest.mark.parametrize("key", ["max_distance", "deep_norm"])
def test_the_configuration_counts(of_tokens, key):
    other = {**CFG, key: {"max_distance": 1280, "deep_norm": False}[key]}
    state = published_vit.beats(finetuned=False)["model"]
    network = checkpoint.load_into(beats.Network(other, tokens=True), state, "x")
    with torch.inference_mode():
        tokens = network(torch.from_numpy(next(beats.inputs(NOISE[:80000])))[None])[0].numpy()
    assert np.abs(tokens - of_tokens(NOISE[:80000])).max() > 1e-3


def test_a_finetuned_checkpoint_is_taken_without_its_classifier(extractor, load_stand_in):
    finetuned = load_stand_in("beats-iter3plus-as2m-finetuned-cpt2")
    np.testing.assert_array_equal(finetuned(NOISE[:16000]), extractor(NOISE[:16000]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "holds no weights under 'model'"),
        (
            {"cfg": {**CFG, "layer_norm_first": True}, "model": {"a": torch.ones(1)}},
            "cfg has layer_norm_first=True, not False",
        ),
        (
            {"cfg": {**CFG, "activation_fn": "relu"}, "model": {"a": torch.ones(1)}},
            "cfg has activation_fn='relu', not 'gelu'",
        ),
        (
            {"cfg": Path("x"), "model": {}},
            "is refused, because reading it could run code: it asks for pathlib",
        ),
    ],
    ids=["form", "norm", "activation", "code"],
)
def test_other_files_are_refused(tmp_path, monkeypatch, content, message):
    seeded.accept(tmp_path, monkeypatch)
    torch.save(content, tmp_path / CATALOGUE[NAME].weights.file)
    with pytest.raises(ValueError, match=message):
        models.load(NAME)
