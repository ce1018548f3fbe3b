"""Essentia's models by the user's path; where the published weights can't be had, on stand-in graphs."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import published_graphs
import pytest
from graphdef import random_graph

from sss_lib import audio, models
from sss_lib.io import windowing
from sss_lib.models.frontends import audioset
from sss_lib.models.loaders import essentia_import, freesound, openl3
from sss_lib.models.weights import file as weights

pytest.importorskip("essentia", reason="Essentia has wheels for Linux on x86-64 only")

ESSENTIAS = (94 * 160 + 1, (94 + 47) * 160 + 1, 93 * 160)
SAMPLES = {  # for the first full patch; for a last one that counts beside it; for each further one
    "vggish+paper": ESSENTIAS,
    "yamnet+paper": ESSENTIAS,
    "vggish": (95 * 160 + 400, (95 + 48) * 160 + 400, 96 * 160),
    **dict.fromkeys(("msd-", "mtt-"), (185 * 256 + 1, (185 + 47) * 256 + 1, 93 * 256)),
    "fsd-sinet": (99 * 220 + 1, (99 + 25) * 220 + 1, 50 * 220),
    "openl3": (48000, 72000, 48000),
}
GRAPHS = [name for name, row in models.catalogue().items() if row.loader in ("essentia_graphs", "openl3")]
STAND_INS = [name for name in GRAPHS if models.spec(name).weights.url]
ONE_OF_A_KIND = ["vggish", "fsd-sinet-vgg41-tlpf", "openl3-env-mel128-emb512"]


def kind(name):
    return next(kind for kind in SAMPLES if name.startswith(kind))


def stand_in(row):
    """Put a graph with the published names and shapes where the model's weights belong."""
    weights.path_of(row.weights).write_bytes(published_graphs.essentia(row))


def of_a_kind(name):
    """The model as a parameter: of each kind, the first one is quick to try."""
    is_first = next(other for other in GRAPHS if kind(other) == kind(name)) == name
    return pytest.param(name, marks=[pytest.mark.slow] * (not is_first))


@pytest.fixture(params=map(of_a_kind, GRAPHS), scope="module")
def loaded(request, tmp_path_factory):
    """Each graph model, and where its weights are; a stand-in where there are none."""
    row, cache = models.spec(request.param), str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSS_CACHE", cache)
        if row.name in STAND_INS:
            stand_in(row)
        return models.load(row.name), cache


@pytest.fixture
def extractor(loaded, monkeypatch):
    monkeypatch.setenv("SSS_CACHE", loaded[1])
    return loaded[0]


@pytest.fixture(params=["yamnet", *ONE_OF_A_KIND])
def in_paper(request, tmp_path, monkeypatch):
    """A stand-in of each kind, as the 2024 study ran it."""
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    stand_in(models.spec(f"{request.param}+paper"))
    return models.load(f"{request.param}+paper")


def sound(n_samples):
    return np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)


def noise(extractor, seconds):
    return sound(max(1, round(seconds * extractor.spec.rate_hz)))


def test_a_last_patch_counts_with_half_a_hop_of_its_own_or_alone(extractor):
    first, half, hop = SAMPLES[kind(extractor.spec.name)]
    assert hop == pytest.approx(extractor.spec.hop_s * extractor.spec.rate_hz)
    counts = {
        1: 1,
        first - hop // 2: 1,
        first - 1: 1,
        first: 1,
        half - 1: 1,
        half: 2,
        first + hop - 1: 2,
        first + hop: 2,
        half + hop - 1: 2,
        half + hop: 3,
    }
    assert {n: len(extractor(sound(n))) for n in counts} == counts


def test_the_paper_left_out_a_last_patch_that_is_not_full_and_padded_to_a_second(in_paper):
    """OpenL3 had its first second centred on the beginning, and whatever was left as a last one."""
    row = in_paper.spec
    second = row.rate_hz
    short = sound(second // 3)
    np.testing.assert_array_equal(in_paper(short), in_paper(windowing.pad_to(short, second)))
    if row.loader == "openl3":
        counts = {1: 2, 48000: 2, 72000: 2, 72001: 3, 96000: 3, 144000: 4}
    else:
        first, _, hop = SAMPLES[kind(row.name)]
        counts = {1: 1, first: 1, first + hop - 1: 1, first + hop: 2, first + 4 * hop - 1: 4}
        wave = sound(2 * second)
        louder = np.clip(wave * np.float32(10**0.3), -1, 1)
        expected = essentias_own(row, lastPatchMode="discard")(louder)
        np.testing.assert_allclose(in_paper(wave), expected, atol=1e-6 * expected.max())
    assert {n: len(in_paper(sound(n))) for n in counts} == counts


def essentias_own(row, **options):
    """Essentia's algorithm that does all at once."""
    name = row.options["front_end"].replace("Input", "Predict")
    algorithm = getattr(essentia_import.essentia_standard(row.name), name)
    nodes = {key: row.options[key] for key in ("input", "output")}
    return algorithm(graphFilename=str(weights.path_of(row.weights)), **nodes, **options)


@pytest.mark.parametrize("seconds", [0.3, 1, 2.77, 10])
def test_what_is_heard_is_what_essentias_own_algorithm_hears(extractor, seconds):
    """Its last patch counts always. On noise: into silent frames it puts noise of its own."""
    if "front_end" in extractor.spec.options:
        wave = noise(extractor, seconds) + np.float32(0.01)
        ours, theirs = extractor(wave), essentias_own(extractor.spec, lastPatchMode="repeat")(wave)
        assert 0 <= len(theirs) - len(ours) <= 1
        np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-6 * np.abs(theirs).max())


def test_vggish_hears_its_authors_logarithm_of_the_bands_that_essentia_computes(tmp_path, monkeypatch):
    """Of mel + 0.01; Essentia's frames lie half a frame before ours, and its window is symmetric."""
    bands_of = essentia_import.essentia_standard("vggish").TensorflowInputVGGish()
    wave = sound(16000)
    ours = audioset.log_mel(wave, log_offset=models.spec("vggish").options["log_offset"])
    theirs = np.array([bands_of(wave[i : i + 400]) for i in range(0, 16000 - 399, 160)])
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(np.exp(ours) - 0.01, np.exp(theirs) - 0.01, rtol=0.02, atol=0.02)
    silence = np.zeros(400, np.float32)
    np.testing.assert_allclose(audioset.log_mel(silence, log_offset=0.01)[0], bands_of(silence), rtol=1e-6)


def test_a_clip_with_silence_in_it_has_one_embedding_too(extractor):
    """Essentia's own algorithms would put other noise into it each time."""
    wave = noise(extractor, 2.5)
    wave[len(wave) // 3 :] = 0
    first = extractor(wave)
    assert len(extractor(np.zeros_like(wave))) == len(first)
    for _ in range(5):
        np.testing.assert_array_equal(extractor(wave), first)
    for quiet in (1e-4, 1e-6):
        np.testing.assert_array_equal(
            extractor(wave * np.float32(quiet)), extractor(wave * np.float32(quiet))
        )


def test_what_the_paper_did_is_told_in_words_and_recorded():
    for name in STAND_INS:  # and YAMNet's, in test_yamnet
        row, paper = models.spec(name), models.spec(f"{name}+paper")
        for words in ("6 dB louder", "clips under 1 s padded"):
            assert words in row.paper_differs
        assert paper.parameters()["options"]["min_s"] == 1
        assert row.parameters()["options"]["min_s"] == 0
        centred = "first second centred on the beginning" in row.paper_differs
        assert paper.options.get("centred", False) is centred is (row.loader == "openl3")
        dropped = "a last patch that isn't full dropped" in row.paper_differs
        assert (paper.options.get("last_patch") == "full") is dropped is (row.loader != "openl3")


@pytest.mark.parametrize("n_samples", [48000, 48001, 60000, 72000, 72001, 144000])
def test_the_seconds_of_openl3_in_the_paper_are_essentias_frames(n_samples):
    standard = essentia_import.essentia_standard("openl3")
    wave = sound(n_samples)
    theirs = list(standard.FrameGenerator(wave, frameSize=48000, hopSize=48000))
    expected = np.stack([openl3.log_mel(second, 128, symmetric=True) for second in theirs])
    np.testing.assert_array_equal(openl3.patches(wave, 128, centred=True), expected)


def test_the_graph_reads_the_audio(extractor):
    """Noise and a tone; a change of gain alone is nothing to OpenL3."""
    hiss = noise(extractor, 3)
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(len(hiss)) / extractor.spec.rate_hz).astype(np.float32)
    first, other = extractor(hiss), extractor(tone)
    assert np.linalg.norm(first - other) > 0.01 * np.linalg.norm(first)


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_another_graph_is_refused_with_the_way_to_get_rid_of_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    row = models.spec(name)
    path = tmp_path / row.weights.file
    path.write_bytes(random_graph("other", (-1, 2), "names", 3))
    with pytest.raises(ValueError, match="can't be loaded") as caught:
        models.load(name)
    message = str(caught.value)
    for part in (
        str(path),
        name,
        "not a valid node name",
        f"delete it and the entry {path.name!r} of {tmp_path}",
    ):
        assert part in message
    assert "\n" not in message
    (tmp_path / weights.LOCK).unlink()
    stand_in(row)
    assert models.load(name)


@pytest.mark.parametrize("n_bands", [128, 256])
def test_the_spectrogram_of_openl3_is_librosas(n_bands):
    """Within 0.01 dB; as its authors do with their front end "librosa", but for zeros around the second."""
    librosa = pytest.importorskip("librosa")
    wave = np.random.default_rng(0).normal(0, 0.1, 48000 * 2).astype(np.float32)
    wave[48000:] *= np.linspace(1, 1e-6, 48000)  # reaches the 80 dB floor
    for second, ours in zip(wave.reshape(2, -1), openl3.patches(wave, n_bands), strict=True):
        magnitude = np.abs(librosa.stft(second, n_fft=2048, hop_length=242, pad_mode="constant"))
        mel = librosa.filters.mel(sr=48000, n_fft=2048, n_mels=n_bands) @ magnitude
        level = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=80)
        np.testing.assert_allclose(ours, (level - level.max()).T[:199], atol=0.01)


def test_the_spectrogram_of_openl3_is_essentias():
    """Essentia's own algorithms in the 2024 study's configuration, on one second."""
    standard = essentia_import.essentia_standard("openl3")
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
    ours = openl3.log_mel(wave, 128, symmetric=True)
    assert level.shape == ours.shape == (199, 128)
    np.testing.assert_allclose(ours, level, atol=0.01)


class TestFreesound:
    @pytest.fixture(scope="class")
    def extractor(self):
        return models.load("freesound")

    @pytest.mark.parametrize("seconds", [0.05, 0.3, pytest.param(30, marks=pytest.mark.slow)])
    def test_every_length_gives_a_row(self, extractor, seconds):
        assert extractor(noise(extractor, seconds)).shape == (1, 1584)

    def test_silence_has_a_reason_in_place_of_a_row(self, extractor):
        with pytest.raises(ValueError, match="the clip is silent"):
            extractor(np.zeros(44100, np.float32))

    @pytest.mark.parametrize(
        ("wave", "level"),
        [
            (sound(44100) * 0.01, "-59.8"),
            (sound(44100) * 1e-6, "-100.0"),  # all of its frames are silent
            (np.full(1, 0.1, np.float32), "-53.4"),  # padded to a frame of 2,048
            (np.full(2, 0.1, np.float32), "-50.4"),
        ],
        ids=["noise at -60 dB", "noise at -140 dB", "a sample", "two samples"],
    )
    def test_a_quiet_clip_has_its_level_for_a_reason(self, extractor, wave, level):
        with pytest.raises(ValueError, match=rf"loudest parts are at {level} dB .* below about -45 dB"):
            extractor(wave)

    def test_the_limit_is_where_the_reason_says(self, extractor):
        tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
        assert freesound.level_db(tone, rate_hz=44100) == pytest.approx(-3.01, abs=0.01)
        assert extractor(tone * np.float32(10 ** (-41 / 20))).shape == (1, 1584)
        with pytest.raises(ValueError, match="too quiet"):
            extractor(tone * np.float32(10 ** (-43 / 20)))

    @pytest.mark.parametrize("n_samples", [1, 2])
    def test_a_loud_sample_or_two_have_a_row(self, extractor, n_samples):
        assert extractor(np.full(n_samples, 0.9, np.float32)).shape == (1, 1584)

    def test_silent_frames_stay_where_too_little_would_be_left(self, extractor):
        """A click at the end: without the silence before it, the extractor has nothing to work on."""
        wave = np.concatenate([np.zeros(60000), [0.5]]).astype(np.float32)
        keeping = self.extractor_that("keep")
        np.testing.assert_array_equal(extractor(wave), freesound.describe([keeping], wave, rate_hz=44100))
        with pytest.raises(ValueError, match=r"can't describe the clip, whose .*: .*Centroid"):
            freesound.describe([self.extractor_that("drop")], wave, rate_hz=44100)

    def extractor_that(self, how):
        return essentia_import.essentia_standard("freesound").FreesoundExtractor(
            lowlevelSilentFrames=how, tonalSilentFrames=how, rhythmMethod="degara"
        )

    def test_the_zero_crossing_rate_has_the_statistics_that_are_worked_out_by_hand(self, extractor):
        """Sign changes in frames of 2,048 centred on multiples of 1,024; differences count by their size."""
        wave = sound(44100) * np.linspace(0.3, 1, 44100, dtype=np.float32)
        wave[20000:] = np.convolve(wave, np.ones(5) / 5)[20000:44100]
        padded = np.pad(wave, (1024, 4096))
        starts = range(0, len(wave) + 1024, 1024)
        rates = np.array([np.count_nonzero(np.diff(padded[s : s + 2048] > 0)) / 2048 for s in starts])
        once, twice = np.abs(np.diff(rates)), np.abs(np.diff(rates, 2))
        expected = [once.mean(), twice.mean(), once.var(), twice.var(), rates.mean(), rates.var()]
        np.testing.assert_allclose(extractor(wave)[0, -6:], expected, rtol=1e-4)  # the last by name

    @pytest.mark.parametrize("fname", ["13113", "130409", "13138"])
    def test_a_clip_with_silent_frames_gives_the_same_row_twice(self, extractor, mini, fname):
        (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
        wave = audio.decode(path, 44100)
        np.testing.assert_array_equal(extractor(wave), extractor(wave))

    @pytest.mark.parametrize("kind", ["noise", "tone", "too loud", "silent frames"])
    def test_a_row_is_that_of_the_whole_extractor_to_the_last_bit(self, extractor, kind):
        """Beats, chords and harmonics aren't computed, and the pitch is computed otherwise."""
        seconds = np.arange(30000) / 44100
        wave = {
            "noise": sound(30000),
            "tone": 0.3 * np.sin(2 * np.pi * 220 * seconds) + 0.1 * np.sin(2 * np.pi * 660 * seconds),
            "too loud": 4 * sound(30000),
            "silent frames": sound(30000) * (np.arange(30000) // 8000 % 2),
        }[kind].astype(np.float32)
        quick = freesound.Quick(essentia_import.essentia_standard("freesound"), 44100)
        expected = freesound.describe([self.extractor_that("drop")], wave, rate_hz=44100)
        np.testing.assert_array_equal(quick(wave), expected)
        np.testing.assert_array_equal(extractor(wave), expected)

    @pytest.mark.parametrize("n_samples", [5000, 44100 * 301])
    def test_of_a_short_or_long_wave_the_whole_extractor_decides(self, n_samples):
        quick = freesound.Quick(essentia_import.essentia_standard("freesound"), 44100)
        assert quick(np.ones(n_samples, np.float32)) is None

    def test_every_band_and_statistic_is_there_once(self, extractor):
        """264 series, bands apart: 45 single ones and bands of 27, 18, 13, 40, 96, 13, 6 and 6."""
        assert 6 * (45 + 27 + 18 + 13 + 40 + 96 + 13 + 6 + 6) == extractor.spec.dim == 1584
        names = {}

        def pool_of(path):
            pool, frames = extractor_of(path)
            names.update({name: np.size(pool[name]) for name in pool.descriptorNames()})
            return pool, frames

        extractor_of = essentia_import.essentia_standard("freesound").FreesoundExtractor()
        row = freesound.describe([pool_of], noise(extractor, 1), rate_hz=44100)
        selected = {name: size for name, size in names.items() if freesound.is_selected(name)}
        assert sum(selected.values()) == row.shape[1] == 1584
        series = {name.rpartition(".")[0]: size for name, size in selected.items()}
        assert len(selected) == 6 * len(series)
        assert sorted(size for size in series.values() if size > 1) == [6, 6, 13, 13, 18, 27, 40, 96]


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


def test_an_essentia_without_tensorflow_is_told_from_none(monkeypatch):
    standard = essentia_import.essentia_standard("vggish")
    for name in [name for name in dir(standard) if name.startswith("TensorflowPredict")]:
        monkeypatch.delattr(standard, name)
    for name in ("msd-musicnn", "openl3-env-mel128-emb512"):
        with pytest.raises(ImportError, match=rf"{name} needs TensorFlow.* pip install -e \.\[essentia\]"):
            models.load(name)
    assert models.load("freesound")


def test_a_grid_leaves_out_the_models_whose_library_is_missing(monkeypatch):
    from sss_lib.experiment import Grid

    real = importlib.util.find_spec
    find_spec = lambda name, *package: None if name == "essentia" else real(name, *package)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    grid, left_out = Grid(("freesound", "duration")).available()
    assert grid.models == ("duration",)
    assert left_out == ["freesound needs essentia, which is not installed"]


def embedded(row, mini):
    """Frames of the same real clip, with the published weights."""
    if not weights.path_of(row.weights).is_file():
        pytest.skip(f'no weights: make models MODELS="{row.name}"')
    (path,) = mini.clips.loc[mini.clips["fname"] == "scratch-percussion-gong", "path"]
    extractor, wave = models.load(row.name), audio.decode(path, row.rate_hz)
    return extractor(wave), extractor(wave)


RECORDED = Path(__file__).parent.parent / "data" / "essentia_published.json"
"""What each published file, by its sha256, made of that clip: to be added to by whoever has the file."""


@pytest.mark.weights
@pytest.mark.parametrize("name", [*GRAPHS, "yamnet+paper"])
def test_published_weights_give_the_values_that_were_recorded(name, mini):
    """Within 1e-3 of the largest: another build of TensorFlow sums in another order."""
    row = models.spec(name)
    frames, again = embedded(row, mini)
    assert frames.std(axis=0).max() > 0
    np.testing.assert_array_equal(again, frames)
    about = {
        "model": name,
        "n_frames": len(frames),
        "norm": float(np.linalg.norm(frames)),
        "first": [float(value) for value in frames[0, :16]],
    }
    recorded = json.loads(RECORDED.read_text()).get(weights.digest(row.weights))
    if recorded is None:
        entry = json.dumps({weights.digest(row.weights): about})
        pytest.skip(f"values not checked, none recorded: if the file is the published one, add {entry}")
    assert (about["model"], about["n_frames"]) == (recorded["model"], recorded["n_frames"])
    assert about["norm"] == pytest.approx(recorded["norm"], rel=1e-3)
    np.testing.assert_allclose(about["first"], recorded["first"], atol=1e-3 * np.abs(frames).max())


@pytest.mark.weights
def test_openl3_gives_what_its_authors_recorded_of_a_sound():
    """By cosine: their resampling and the edges of their seconds are others. Patches come every 0.1 s."""
    row = models.spec("openl3-music-mel256-emb6144")
    sound_path, recorded_path = (
        weights.cache_dir() / name for name in ("chirp_44k.wav", "chirp_44k_librosa.npz")
    )
    for path in (weights.path_of(row.weights), sound_path, recorded_path):
        if not path.is_file():
            pytest.skip(f"no {path}: see Verified in sss_lib/models/README.md")
    recorded = np.load(recorded_path)["embedding"]
    wave = np.pad(audio.decode(sound_path, 48000), (24000, 48000))
    seconds = [wave[i * 4800 :][:48000] for i in range(len(recorded))]
    patches = np.stack([openl3.log_mel(second, 256, symmetric=False) for second in seconds])
    network = essentia_import.graph(row, "melspectrogram", "embeddings", squeeze=False)
    frames = network(patches.transpose(0, 2, 1)[..., None])
    lengths = np.linalg.norm(frames, axis=1) * np.linalg.norm(recorded, axis=1)
    assert ((frames * recorded).sum(axis=1) / lengths).min() > 0.99
