"""Essentia's models by the user's path; where the published weights can't be had, on stand-in graphs."""

import hashlib
import importlib.util
import subprocess
import sys

import numpy as np
import published_graphs
import pytest

from sss_lib import audio, extraction, models
from sss_lib.models import freesound, openl3, weights

pytest.importorskip("essentia", reason="Essentia has wheels for Linux on x86-64 only")

GRAPHS = [name for name, row in models.catalogue().items() if row.loader in ("essentia_graphs", "openl3")]
STAND_INS = [name for name in GRAPHS if name != "msd-musicnn"]


@pytest.fixture(params=GRAPHS)
def extractor(request, tmp_path, monkeypatch):
    """Each graph model; a stand-in with the published names and shapes where there are no weights."""
    row = models.spec(request.param)
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    if row.name in STAND_INS:
        (tmp_path / row.weights.file).write_bytes(published_graphs.essentia(row))
    return models.load(row.name)


def noise(extractor, seconds):
    n_samples = max(1, round(seconds * extractor.spec.rate_hz))
    return np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)


def test_every_length_gives_rows_of_the_right_width(extractor):
    for seconds in (0, 0.02, 0.3, 0.96, 1.0, 187 * 256 / 16000, 30):
        frames = extractor(noise(extractor, seconds))
        assert frames.shape[1] == extractor.spec.dim
        expected = max(1, seconds / extractor.spec.hop_s)
        assert expected - 3 <= len(frames) <= expected + 3, seconds


def test_silence_has_an_embedding(extractor):
    frames = extractor(np.zeros(extractor.spec.rate_hz * 2, np.float32))
    assert np.isfinite(frames).all()


def test_a_clip_has_one_embedding_whatever_came_before(extractor):
    first, other = noise(extractor, 3.3), noise(extractor, 5)
    embedded = extractor(first)
    extractor(other)
    np.testing.assert_array_equal(extractor(first), embedded)
    np.testing.assert_array_equal(models.load(extractor.spec.name)(first), embedded)


def test_the_graph_reads_the_audio(extractor):
    first, other = (extractor(noise(extractor, 3) * gain) for gain in (1, 0.01))
    assert not np.allclose(first, other)


@pytest.mark.parametrize("name", STAND_INS)
def test_weights_that_are_missing_are_named_with_their_place(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    row = models.spec(name)
    with pytest.raises(FileNotFoundError) as caught:
        models.load(name)
    for part in (row.weights.url, str(tmp_path / row.weights.file), f'make models MODELS="{name}"'):
        assert part in str(caught.value)


def test_weights_that_change_after_their_first_use_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    path = tmp_path / models.spec("vggish").weights.file
    path.write_bytes(published_graphs.essentia(models.spec("vggish")))
    models.load("vggish")
    first = weights.digest(models.spec("vggish").weights)
    path.write_bytes(published_graphs.essentia(models.spec("vggish"), seed=1))
    second = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"has sha256 {second}, not {first} as when first used"):
        models.load("vggish")


@pytest.mark.parametrize("n_bands", [128, 256])
def test_the_filterbank_of_openl3_is_librosas(n_bands):
    """Its default: Slaney's scale and norm. Within float32."""
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(sr=48000, n_fft=2048, n_mels=n_bands)
    np.testing.assert_allclose(openl3.filterbank(n_bands), theirs.T, atol=1e-7)


@pytest.mark.parametrize("n_bands", [128, 256])
def test_the_spectrogram_of_openl3_is_librosas(n_bands):
    """Within 0.01 dB; librosa computes the same definition with its own framing, window and bands."""
    librosa = pytest.importorskip("librosa")
    wave = np.random.default_rng(0).normal(0, 0.1, 48000 * 2).astype(np.float32)
    wave[48000:] *= np.linspace(1, 1e-6, 48000)  # reaches the 80 dB floor
    for second, ours in zip(wave.reshape(2, -1), openl3.patches(wave, n_bands), strict=True):
        magnitude = np.abs(librosa.stft(second, n_fft=2048, hop_length=242, window=np.hanning(2048)))
        mel = librosa.filters.mel(sr=48000, n_fft=2048, n_mels=n_bands) @ magnitude
        level = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80)
        np.testing.assert_allclose(ours, (level - level.max()).T[:199], atol=0.01)


def test_the_spectrogram_of_openl3_is_essentias():
    """Essentia's own algorithms in the 2024 study's configuration, on one second."""
    standard = models.essentia_import.essentia_standard("openl3")
    wave = np.random.default_rng(1).normal(0, 0.1, 48000).astype(np.float32)
    window, spectrum = standard.Windowing(size=2048, normalized=False), standard.Spectrum(size=2048)
    bands = standard.MelBands(
        inputSize=1025, numberBands=128, sampleRate=48000, lowFrequencyBound=0, highFrequencyBound=24000,
        type="magnitude", warpingFormula="slaneyMel", weighting="linear", normalize="unit_tri", log=False,
    )  # fmt: skip
    generator = standard.FrameGenerator(wave, frameSize=2048, hopSize=242, validFrameThresholdRatio=0.5)
    mel = np.array([bands(spectrum(window(frame))) for frame in generator])
    level = 10 * np.log10(np.maximum(1e-10, mel))
    level = np.maximum(level, level.max() - 80) - level.max()
    ours = openl3.patches(wave, 128)[0]
    assert level.shape == ours.shape == (199, 128)
    np.testing.assert_allclose(ours, level, atol=0.01)


class TestFreesound:
    @pytest.fixture(scope="class")
    def extractor(self):
        return models.load("freesound")

    @pytest.mark.parametrize("seconds", [0.05, 0.3, 30])
    def test_every_length_gives_a_row(self, extractor, seconds):
        assert extractor(noise(extractor, seconds)).shape == (1, 1584)

    def test_silence_has_a_reason_in_place_of_a_row(self, extractor):
        with pytest.raises(ValueError, match="the clip is silent"):
            extractor(np.zeros(44100, np.float32))

    def test_the_same_clip_gives_the_same_row_twice(self, extractor):
        wave = noise(extractor, 1)
        first = extractor(wave)
        extractor(noise(extractor, 0.5))
        np.testing.assert_array_equal(extractor(wave), first)

    @pytest.mark.parametrize("fname", ["13113", "130409", "13138"])
    def test_a_clip_with_silent_frames_gives_the_same_row_twice(self, extractor, mini, fname):
        (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
        wave = audio.decode(path, 44100)
        np.testing.assert_array_equal(extractor(wave), extractor(wave))

    def test_every_band_and_statistic_is_there_once(self, extractor):
        """264 series, bands apart: 45 single ones and bands of 27, 18, 13, 40, 96, 13, 6 and 6."""
        assert 6 * (45 + 27 + 18 + 13 + 40 + 96 + 13 + 6 + 6) == extractor.spec.dim == 1584
        names = {}

        def pool_of(path):
            pool, frames = extractor_of(path)
            names.update({name: np.size(pool[name]) for name in pool.descriptorNames()})
            return pool, frames

        extractor_of = models.essentia_import.essentia_standard("freesound").FreesoundExtractor()
        row = freesound.describe(pool_of, noise(extractor, 1), rate_hz=44100)
        selected = {name: size for name, size in names.items() if freesound.is_selected(name)}
        assert sum(selected.values()) == row.shape[1] == 1584
        series = {name.rpartition(".")[0]: size for name, size in selected.items()}
        assert len(selected) == 6 * len(series)
        assert sorted(size for size in series.values() if size > 1) == [6, 6, 13, 13, 18, 27, 40, 96]


@pytest.mark.parametrize("name", ["msd-musicnn", "freesound"])
def test_the_number_of_workers_changes_nothing(name, mini, tmp_path):
    few = mini.select(mini.clips["fname"].tolist()[30:50])  # some of them with silent frames
    for n_jobs in (1, 2):
        extraction.extract(few, name, tmp_path / str(n_jobs), n_jobs)
    one, two = ((tmp_path / str(n) / "part-00000.parquet").read_bytes() for n in (1, 2))
    assert one == two


def test_nothing_is_printed_on_the_way_to_an_embedding():
    code = (
        "import numpy as np; from sss_lib import models\n"
        "for name in ('msd-musicnn', 'freesound'):\n"
        "    extractor = models.load(name)\n"
        "    for n in (800, 60000): extractor(np.random.default_rng(0).normal(0, .1, n).astype('f4'))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_without_essentia_its_models_say_so_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "essentia", None)
    for name in ("msd-musicnn", "freesound", "openl3-env-mel128-emb512"):
        with pytest.raises(ImportError, match=rf"{name} needs Essentia .*pip install -e \.\[essentia\]"):
            models.load(name)
    assert models.load("duration")(np.ones(9, np.float32)).shape == (1, 2)


def test_a_grid_leaves_out_the_models_whose_library_is_missing(monkeypatch):
    from sss_lib.experiment import Grid

    real = importlib.util.find_spec
    find_spec = lambda name, *package: None if name == "essentia" else real(name, *package)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    grid, left_out = Grid(("freesound", "duration")).available()
    assert grid.models == ("duration",)
    assert left_out == ["freesound needs essentia, which is not installed"]


@pytest.mark.weights
@pytest.mark.parametrize("name", STAND_INS)
def test_published_weights_run_on_real_clips(name, mini):
    """With the published file in the cache: one clip, twice, finite and not constant over time."""
    row = models.spec(name)
    if not weights.path_of(row.weights).is_file():
        pytest.skip(f'no weights: make models MODELS="{name}"')
    extractor = models.load(name)
    (path,) = mini.clips.loc[mini.clips["fname"] == "scratch-percussion-gong", "path"]
    wave = audio.decode(path, row.rate_hz)
    frames = extractor(wave)
    assert frames.shape[1] == row.dim
    assert frames.std(axis=0).max() > 0
    np.testing.assert_array_equal(extractor(wave), frames)
