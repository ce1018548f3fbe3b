"""Kaldi's front end against Kaldi's own (tests/data/record_kaldi.py recorded it) and that of transformers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import seeded

from sss_lib import audio
from sss_lib.models import spec
from sss_lib.models.frontends import kaldi

RECORDED = np.load(Path(__file__).parent.parent / "data" / "kaldi_reference.npz")
NOISE = np.random.default_rng(0).normal(0, 0.1, 40 * 16000).astype(np.float32)
SIZE = round(10.255 * 16000)


@pytest.mark.parametrize("name", list(RECORDED))
def test_frames_equal_those_of_kaldi(name):
    """Both compute in float32: powers within 5e-4, or 2e-9 beside the floor of 1.2e-7."""
    window, _, rate_hz = name.partition("-")
    frames = kaldi.fbank(seeded.wave(int(rate_hz)), rate_hz=int(rate_hz), window=window)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(np.exp(frames), np.exp(RECORDED[name]), rtol=5e-4, atol=2e-9)


def test_the_input_equals_that_of_transformers(mini):
    transformers = pytest.importorskip("transformers")
    row = spec("ast")
    inputs = kaldi.windowed(row, n_frames=1024, mean=-4.2677393, scale=2 * 4.5689974)
    clip = audio.decode(mini.clips["path"].iloc[0], 16000)
    for wave_16k in (clip, NOISE[:SIZE], NOISE[:5000]):
        with pytest.warns(UserWarning, match="mel filter has all zero values"):
            extractor = transformers.ASTFeatureExtractor()
        (expected,) = extractor(wave_16k, sampling_rate=16000)["input_values"]
        (ours,) = list(inputs(wave_16k))
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


def test_silence_is_the_floor():
    frames = kaldi.fbank(np.zeros(1600, np.float32), rate_hz=16000)
    assert frames.shape == (8, 128)
    np.testing.assert_array_equal(frames, np.log(np.float32(2**-23)))


@pytest.mark.parametrize(("n_samples", "n_frames"), [(1, 1), (400, 1), (559, 1), (560, 2), (16000, 98)])
def test_frames_lie_within_the_wave_but_there_is_always_one(n_samples, n_frames):
    assert kaldi.fbank(NOISE[:n_samples], rate_hz=16000).shape == (n_frames, 128)


def test_a_constant_added_to_the_wave_changes_nothing():
    plain, shifted = (kaldi.fbank(NOISE[:1600] + c, rate_hz=16000) for c in (np.float32(0), np.float32(0.25)))
    np.testing.assert_allclose(shifted[:, 10:], plain[:, 10:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_a_window_of_the_audio_transformers_is_1024_whole_frames(rate_hz):
    whole = round(10.255 * rate_hz)
    assert len(kaldi.fbank(np.zeros(whole, np.float32), rate_hz=rate_hz)) == 1024
    assert len(kaldi.fbank(np.zeros(whole - 2, np.float32), rate_hz=rate_hz)) == 1023


def inputs_of(n_samples, **changes):
    windowed = kaldi.windowed(replace(spec("ast"), **changes), n_frames=1024, mean=-4.0, scale=2.0)
    return list(windowed(NOISE[:n_samples]))


def test_a_short_clip_is_filled_up_with_frames_of_zero_before_scaling():
    (frames,) = inputs_of(16000)
    assert frames.shape == (1024, 128)
    np.testing.assert_array_equal(frames[98:], 2)  # (0 - -4) / 2
    np.testing.assert_array_equal(frames[:98], (kaldi.fbank(NOISE[:16000], rate_hz=16000) + 4) / 2)


def test_a_short_clip_that_is_repeated_fills_all_frames():
    (frames,) = inputs_of(16000, short="repeat")
    np.testing.assert_array_equal(
        frames, (kaldi.fbank(np.resize(NOISE[:16000], SIZE), rate_hz=16000) + 4) / 2
    )


@pytest.mark.parametrize(
    ("long", "starts"),
    [
        ("windows", [0, SIZE, 2 * SIZE, 640000 - SIZE]),
        ("spread", [0, (640000 - SIZE) // 2, 640000 - SIZE]),
        ("truncate", [0]),
    ],
)
def test_a_long_clip_gives_the_windows_of_its_policy(long, starts):
    inputs = inputs_of(len(NOISE), long=long)
    expected = [(kaldi.fbank(NOISE[start : start + SIZE], rate_hz=16000) + 4) / 2 for start in starts]
    np.testing.assert_array_equal(inputs, expected)
