"""Descriptors and spectrograms against scipy and loops; the catalogue; weights that were changed."""

import importlib

import numpy as np
import pytest
import scipy.signal

from sss_lib import models
from sss_lib.extraction import code_of
from sss_lib.io.code import code_digest
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.frontends.spectrogram import log_mel, mel_filterbank, power_spectrogram
from sss_lib.models.weights import file as weights

DESCRIPTORS = ["duration", "logmel"]
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 30 * 44100).astype(np.float32)


def power_by_scipy(wave, size, hop):
    """Frames centred on multiples of the hop, zeros around; scipy divides by the window's sum."""
    window = np.hanning(size)
    _, _, spectrum = scipy.signal.stft(
        wave.astype(float), window=window, nperseg=size, noverlap=size - hop, boundary="zeros", padded=True
    )
    return np.abs(spectrum.T * window.sum()) ** 2


def filterbank_by_loop(rate_hz, size, n_bands):
    """HTK's mel = 2595 log10(1 + f / 700); triangles whose sides are straight in mel, summing to one."""

    def mel(frequency_hz):
        return 2595 * np.log10(1 + frequency_hz / 700)

    spacing = mel(rate_hz / 2) / (n_bands + 1)
    bank = np.zeros((size // 2 + 1, n_bands))
    for band in range(n_bands):
        for k in range(size // 2 + 1):
            distance = abs(mel(k * rate_hz / size) - (band + 1) * spacing)
            bank[k, band] = max(0.0, 1 - distance / spacing)
        bank[:, band] /= bank[:, band].sum()
    return bank


@pytest.mark.parametrize("n_samples", [1, 7, 8, 9, 100, 1001])
@pytest.mark.parametrize("size", [8, 32])
def test_the_power_spectrogram_equals_scipys(n_samples, size):
    power = power_spectrogram(NOISE[:n_samples], size=size, hop=size // 2)
    expected = power_by_scipy(np.pad(NOISE[:n_samples], (0, max(0, size - n_samples))), size, size // 2)
    n_frames = int(np.ceil((n_samples + size / 2) / (size / 2)))
    assert power.shape == (n_frames, size // 2 + 1)
    np.testing.assert_allclose(power, expected[:n_frames], rtol=1e-4, atol=1e-5)


def test_the_power_of_a_constant_is_the_square_of_the_windows_sum():
    # np.hanning(4) = 0, 3/4, 3/4, 0; the middle frame of 8 ones lies inside, so its first bin has (3/2)^2
    power = power_spectrogram(np.ones(8, np.float32), size=4, hop=4)
    assert power.shape == (3, 3)
    assert power[1, 0] == pytest.approx(2.25)


@pytest.mark.parametrize(
    ("rate_hz", "size", "n_bands"), [(44100, 2048, 64), (44100, 2048, 96), (16000, 512, 20)]
)
def test_the_mel_filterbank_equals_that_of_a_loop(rate_hz, size, n_bands):
    bank = mel_filterbank(rate_hz=rate_hz, size=size, n_bands=n_bands)
    np.testing.assert_allclose(bank, filterbank_by_loop(rate_hz, size, n_bands), rtol=0, atol=1e-6)


def test_more_mel_bands_than_the_bins_can_fill_are_refused():
    with pytest.raises(ValueError, match=r"n_bands=200 mel bands hold no bin of size=512"):
        mel_filterbank(rate_hz=44100, size=512, n_bands=200)


def test_log_mel_is_the_logarithm_of_one_plus_ten_thousand_times_the_band_power():
    wave = NOISE[:22050]
    expected = np.log10(1 + 1e4 * power_by_scipy(wave, 2048, 1024) @ filterbank_by_loop(44100, 2048, 64))
    np.testing.assert_allclose(
        log_mel(wave, rate_hz=44100, size=2048, hop=1024, n_bands=64), expected, rtol=0, atol=1e-4
    )


def test_logmel_is_the_mean_then_the_standard_deviation_of_each_band():
    wave = NOISE[:44100]
    frames = np.log10(1 + 1e4 * power_by_scipy(wave, 2048, 1024) @ filterbank_by_loop(44100, 2048, 64))
    expected = [*frames.mean(axis=0), *frames.std(axis=0)]
    np.testing.assert_allclose(models.load("logmel")(wave)[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("wave", "seconds", "level"),
    [
        (np.full(44100, 0.5), 1, 0.5),
        (np.tile([0.5, -0.5], 44100), 2, 0.5),
        (np.zeros(88200), 2, 1e-5),
        (np.full(1, 1e-7), 1 / 44100, 1e-5),
    ],
)
def test_duration_is_the_logarithm_of_the_length_and_of_the_level(wave, seconds, level):
    embedding = models.load("duration")(wave.astype(np.float32))
    np.testing.assert_allclose(embedding, np.log([[seconds, level]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize(
    "wave",
    [np.zeros(44100, np.float32), NOISE[:1], NOISE[:882], NOISE],
    ids=["silence", "one sample", "0.02 s", "30 s"],
)
def test_any_wave_gives_one_finite_row_that_repeats(name, wave):
    extractor = models.load(name)
    before = wave.copy()
    embedding = extractor(wave)
    np.testing.assert_array_equal(wave, before)
    assert embedding.shape == (1, CATALOGUE[name].dim)
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()
    np.testing.assert_array_equal(extractor(wave), embedding)


@pytest.mark.parametrize(
    "wave", [np.zeros(0), np.zeros((2, 100)), np.float32(1)], ids=["empty", "stereo", "scalar"]
)
def test_what_is_no_mono_wave_is_refused(wave):
    with pytest.raises(ValueError, match="duration takes a non-empty mono waveform, not shape"):
        models.load("duration")(wave)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((1, 3)), r"shape \(1, 3\), not \(n_frames, 2\)"),
        (np.zeros(2), r"shape \(2,\), not \(n_frames, 2\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\), not \(n_frames, 2\)"),
        (np.array([[0, np.nan]]), "values that are not finite"),
    ],
)
def test_a_network_that_gives_no_usable_frames_is_refused(result, message):
    extractor = models.Extractor(CATALOGUE["duration"], lambda wave: result)
    with pytest.raises(ValueError, match=f"duration gave {message}"):
        extractor(NOISE[:10])


@pytest.mark.parametrize(
    ("name", "nearest"), [("duratoin", "duration"), ("aiSFX", "aisfx"), ("log-mel", "logmel")]
)
def test_an_unknown_model_names_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"'{name}' is not among the models .*: did you mean '{nearest}'"):
        models.load(name)


def test_a_folder_named_without_a_slash_is_hinted_at(tmp_path, monkeypatch):
    (tmp_path / "wav2vec2").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"for the folder write '\./wav2vec2'"):
        models.spec("wav2vec2")


def test_a_name_like_no_model_lists_what_there_is():
    with pytest.raises(ValueError, match=rf"'xyz' is not among .*: The nearest of {len(CATALOGUE)} are \w+"):
        models.spec("xyz")


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_row_of_the_catalogue_has_what_a_run_needs(row, tmp_path, monkeypatch):
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))  # where nothing has a digest from its first use
    assert models.spec(row.name) is row
    assert callable(importlib.import_module(f"sss_lib.models.loaders.{row.loader}").load)
    assert code_digest(code_of(row))
    assert row.aggregations == (("none",) if row.hop_s is None else ("mean", "max", "median"))
    assert row.parameters()["model"] == row.name
    if row.weights:
        assert row.parameters()["weights"] == row.weights.sha256
        assert row.weights.licence
        assert row.weights.source


def test_no_two_models_share_a_displayed_name_and_no_two_kinds_a_colour():
    assert len({row.display_name for row in CATALOGUE.values()}) == len(CATALOGUE)
    kinds = {row.display_name.split()[0] for row in CATALOGUE.values()}
    assert len({row.colour for row in CATALOGUE.values()}) == len(kinds)


WITH_WEIGHTS = [row for row in CATALOGUE.values() if row.weights and not row.weights.url]


@pytest.mark.parametrize("row", WITH_WEIGHTS, ids=lambda row: row.name)
def test_the_weights_in_the_repository_are_the_published_ones(row):
    assert models.read_weights(row) == weights.WEIGHTS_DIR / row.weights.file


def test_aisfx_loads_no_weights_that_were_not_checked(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / CATALOGUE["aisfx"].weights.file).write_bytes(b"other weights")
    monkeypatch.setattr(weights, "WEIGHTS_DIR", tmp_path)
    with pytest.raises(ValueError, match="sha256"):
        models.load("aisfx")
