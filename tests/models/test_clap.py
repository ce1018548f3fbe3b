"""The front end of the CLAP models against librosa and transformers."""

import librosa
import numpy as np
import pytest
import torch
from transformers import ClapFeatureExtractor

from sss_lib import audio
from sss_lib.io import windowing
from sss_lib.models.frontends.spectrogram import centred_power, mel_filterbank
from sss_lib.models.loaders import clap

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 20000).astype(np.float32)


@pytest.mark.parametrize(
    ("rate_hz", "size", "n_bands", "low_hz", "high_hz"),
    [(48000, 1024, 64, 50, 14000), (44100, 1024, 64, 50, 8000), (44100, 512, 128, 0, 22050)],
)
@pytest.mark.parametrize("htk", [True, False])
@pytest.mark.parametrize("unit_area", [True, False])
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_the_filter_bank_is_that_of_librosa(rate_hz, size, n_bands, low_hz, high_hz, htk, unit_area):
    expected = librosa.filters.mel(
        sr=rate_hz,
        n_fft=size,
        n_mels=n_bands,
        fmin=low_hz,
        fmax=high_hz,
        htk=htk,
        norm="slaney" if unit_area else None,
    )
    bank = mel_filterbank(
        rate_hz=rate_hz,
        size=size,
        n_bands=n_bands,
        low_hz=low_hz,
        high_hz=high_hz,
        scale="htk" if htk else "slaney",
        straight_in="hz",
        norm="area" if unit_area else "",
    )
    np.testing.assert_allclose(bank, expected.T, rtol=0, atol=1e-6 * expected.max())


@pytest.mark.parametrize("n_samples", [513, 1024, 4800, 20000])
@pytest.mark.parametrize(("size", "hop"), [(1024, 320), (1024, 480), (256, 64)])
@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
def test_the_power_spectrogram_is_that_of_librosa(n_samples, size, hop):
    wave = NOISE[:n_samples]
    expected = np.abs(librosa.stft(wave, n_fft=size, hop_length=hop, pad_mode="reflect")) ** 2
    power = centred_power(wave, size=size, hop=hop)
    assert power.shape == (1 + n_samples // hop, size // 2 + 1)
    np.testing.assert_allclose(power, expected.T, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.parametrize(("truncation", "htk"), [("fusion", True), ("rand_trunc", False)])
@pytest.mark.parametrize("fname", ["198403", "207809", "scratch-percussion-gong"])
def test_decibels_are_those_of_transformers(mini, fname, truncation, htk):
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    wave = windowing.windows(audio.decode(path, 48000), 480000, short="repeatpad")[0]
    extractor = ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation=truncation)
    expected = extractor(wave, sampling_rate=48000, return_tensors="np")["input_features"][0]
    mel = clap.log_mel(clap.mel_bank(48000, htk=htk), 480)(wave)
    assert mel.shape == (1, 1001, 64)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel[0], expected[0], rtol=0, atol=1e-3)


def test_silence_is_100_decibels_below():
    mel = clap.log_mel(clap.mel_bank(48000, htk=False), 480)(np.zeros(4800, np.float32))
    np.testing.assert_allclose(mel, np.full((1, 11, 64), -100), atol=1e-4)


def test_sixteen_bits_clip_and_cut_towards_zero():
    bank = np.ones((513, 64), np.float32)
    step = 1 / 32767
    wave = np.tile(np.array([1.5, -1.5, 1.9 * step, -1.9 * step, 0.5], np.float32), 400)
    exact = np.tile(np.array([1, -1, step, -step, 16383 * step], np.float32), 400)
    np.testing.assert_array_equal(
        clap.log_mel(bank, 480, sixteen_bit=True)(wave), clap.log_mel(bank, 480)(exact)
    )


def test_a_filter_bank_that_is_missing_or_misshapen_is_refused():
    with pytest.raises(ValueError, match=r"x\.pt has no melW, the mel filter bank"):
        clap.take_bank({}, "melW", "x.pt")
    with pytest.raises(ValueError, match=r"x\.pt has melW of shape \[513, 80\], not \[513, 64\]"):
        clap.take_bank({"melW": torch.zeros(513, 80)}, "melW", "x.pt")
