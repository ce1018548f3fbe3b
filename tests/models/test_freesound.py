"""Parts of Freesound's extractor beside Essentia's own: pitch by YIN, and statistics of series."""

import numpy as np
import pytest

essentia = pytest.importorskip("essentia", reason="Essentia has wheels for Linux on x86-64 only")

from sss_lib.models.loaders import essentia_import, freesound, freesound_pitch  # noqa: E402

SECONDS = np.arange(2048) / 44100
RNG = np.random.default_rng(5)
NOISE = RNG.standard_normal(2048)
WAVES = {
    "noise": 0.1 * NOISE,
    "quiet noise": 1e-5 * NOISE,
    "loud noise": 30 * NOISE,
    "dark noise": 0.1 * np.convolve(RNG.standard_normal(2248), np.ones(201) / 201, "valid"),
    "a high tone": np.sin(2 * np.pi * 7000 * SECONDS),
    "a tone": np.sin(2 * np.pi * 441 * SECONDS) + 0.5 * np.sin(2 * np.pi * 882 * SECONDS),
    "a low tone": np.sin(2 * np.pi * 50 * SECONDS),
    "a tone below all lags": np.sin(2 * np.pi * 20 * SECONDS),
    "a tone in noise": np.sin(2 * np.pi * 441 * SECONDS) + 0.7 * NOISE,
    "the same to the bit": np.tile(NOISE[:64], 32),
    "the same to the bit, its period is all lags": np.tile(NOISE[:1024], 2),
    "constant": np.ones(2048),
    "constant, and a little noise": 0.5 + 1e-6 * NOISE,
    "rising": np.linspace(0, 1, 2048),
    "zero but at its end": np.r_[np.zeros(1900), NOISE[:148]],
    "a click": np.eye(1, 2048, 700)[0],
    "two clicks": np.eye(1, 2048, 3)[0] + np.eye(1, 2048, 1026)[0],
    **{f"drawn {i}": np.cumsum(RNG.standard_normal((3, 2048)), axis=1)[i] for i in range(3)},
}
FRAMES = np.array(list(WAVES.values()), np.float32)


@pytest.fixture(scope="module")
def standard():
    return essentia_import.essentia_standard("freesound")


@pytest.fixture(scope="module")
def of_essentia(standard):
    yin = standard.PitchYin(frameSize=2048, sampleRate=44100)
    return np.array([yin(frame) for frame in FRAMES])


def nothing_is_sure(frames):
    rough, bounds = freesound_pitch.roughly(frames)
    return rough, np.full_like(bounds, -np.inf)


def guesses_are_too_short(frames):
    rough, bounds = freesound_pitch.roughly(frames)
    return -np.abs(np.arange(1025, dtype=np.float32) - 5)[None].repeat(len(rough), axis=0), bounds


class TestPitch:
    def test_it_is_that_of_essentia_to_the_last_bit(self, of_essentia):
        assert len(np.unique(of_essentia[:, 0])) > 10
        found = freesound_pitch.pitches(FRAMES, freesound_pitch.detectors())
        np.testing.assert_array_equal(found, of_essentia)

    def test_it_is_so_of_few_frames_at_once(self, monkeypatch, of_essentia):
        monkeypatch.setattr(freesound_pitch, "AT_ONCE", 7)
        found = freesound_pitch.pitches(FRAMES, freesound_pitch.detectors())
        np.testing.assert_array_equal(found, of_essentia)

    @pytest.mark.parametrize("roughly", [nothing_is_sure, guesses_are_too_short])
    def test_it_is_so_wherever_it_was_looked_for_first(self, monkeypatch, of_essentia, roughly):
        rough = roughly(FRAMES)
        monkeypatch.setattr(freesound_pitch, "roughly", lambda frames: rough)
        found = freesound_pitch.pitches(FRAMES, freesound_pitch.detectors())
        np.testing.assert_array_equal(found, of_essentia)

    def test_no_dip_is_deeper_than_its_bound(self):
        """The lowest point of a parabola through three values is m - (l - r)^2 / 8 (l - 2 m + r)."""
        heights = freesound_pitch.normalized(freesound_pitch.differences(FRAMES, 1024)).astype(np.float64)
        left, middle, right = heights[:, :-2], heights[:, 1:-1], heights[:, 2:]
        is_dip = (middle < left) & (middle < right)
        bends = np.where(is_dip, left - 2 * middle + right, 1)
        _, bounds = freesound_pitch.roughly(FRAMES)
        slack = middle - (left - right) ** 2 / (8 * bends) - bounds[:, 1:-1]
        assert is_dip.sum() > 1000
        assert slack[is_dip].min() >= 0
        assert np.median(slack[is_dip]) < 0.01

    def test_numpys_buffer_is_left_as_it_was(self):
        size = np.getbufsize()
        freesound_pitch.differences(FRAMES[:1], 3)
        assert np.getbufsize() == size != freesound_pitch.BUFFER

    def test_differences_are_sums_in_the_order_of_the_samples(self):
        expected = np.float32(0)
        for j in range(1024):
            expected = np.float32(expected + np.float64(FRAMES[0, j] - FRAMES[0, j + 7]) ** 2)
        assert freesound_pitch.differences(FRAMES[:1], 9)[0, 6] == expected


@pytest.mark.parametrize("n", [1, 2, 3, 100])
def test_statistics_are_those_of_the_pool_aggregator_to_the_last_bit(standard, n):
    rng = np.random.default_rng(n)
    series = {
        "lowlevel.b": rng.standard_normal(n).astype(np.float32),
        "lowlevel.b_of": rng.standard_normal((max(n, 2), 3)).astype(np.float32),
        "lowlevel.a": rng.lognormal(5, 4, 100).astype(np.float32),
    }
    pool = essentia.Pool()
    for name, values in series.items():
        for value in values:
            pool.add(name, value if value.ndim else float(value))
    aggregate = standard.PoolAggregator(defaultStats=list(freesound.STATISTICS))
    np.testing.assert_array_equal(freesound.statistics(series), freesound.row(aggregate(pool)))


def test_a_network_hears_each_wave_as_if_it_were_the_first(standard):
    """A loud wave, a silent one and a short one come before."""
    waves = [NOISE.repeat(10), np.zeros(20000), 0.1 * NOISE.repeat(6), 0.1 * NOISE.repeat(9)]
    quick = freesound.Quick(standard, 44100)
    rows = [quick(wave.astype(np.float32)) for wave in waves]
    assert rows[1] is None
    for wave, row in zip(waves[2:], rows[2:], strict=True):
        np.testing.assert_array_equal(freesound.Quick(standard, 44100)(wave.astype(np.float32)), row)
