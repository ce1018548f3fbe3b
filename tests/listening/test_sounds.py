"""Sounds as a page plays and draws them, and their loudness."""

import io
from pathlib import Path
from types import SimpleNamespace

import memory
import numpy as np
import pytest
import small_study
import soundfile
import soxr

from sss_lib import audio
from sss_lib.listening import Board, Study, loudness
from sss_lib.listening.sounds import N_BANDS, N_COLUMNS, OWN, Sounds, draw


def sine(seconds, peak, frequency_hz=997.0):
    time_s = np.arange(round(seconds * loudness.RATE_HZ)) / loudness.RATE_HZ
    return peak * np.sin(2 * np.pi * frequency_hz * time_s)


class TestLoudness:
    def test_a_full_scale_sine_has_what_the_standard_says(self):
        assert loudness.integrated(sine(5, 1)) == pytest.approx(-3.01, abs=0.01)

    def test_half_the_peak_is_six_decibels_less(self):
        difference = loudness.integrated(sine(5, 0.8)) - loudness.integrated(sine(5, 0.4))
        assert difference == pytest.approx(20 * np.log10(2), abs=1e-6)

    def test_low_frequencies_count_less_and_high_ones_more(self):
        at = {f: loudness.integrated(sine(3, 0.5, f)) for f in (30, 997, 8000)}
        assert at[30] < at[997] - 5
        assert at[8000] == pytest.approx(at[997] + 4, abs=0.8)  # the shelf is 4 dB; it has 0.7 dB at 1 kHz

    def test_pauses_are_gated_out(self):
        # A tenth of blocks straddles the edges, hence the tolerance.
        with_pause = np.concatenate([sine(10, 0.5), np.zeros(10 * loudness.RATE_HZ)])
        assert loudness.integrated(with_pause) == pytest.approx(loudness.integrated(sine(10, 0.5)), abs=0.15)

    def test_what_is_ten_units_quieter_is_gated_out_and_what_is_near_is_not(self):
        loud, far, near = sine(10, 0.5), sine(10, 0.5 / 10), sine(10, 0.25)
        alone = loudness.integrated(loud)
        assert loudness.integrated(np.concatenate([loud, far])) == pytest.approx(alone, abs=0.15)
        expected = 10 * np.log10((1 + 1 / 4) / 2)
        both = loudness.integrated(np.concatenate([loud, near]))
        assert both - alone == pytest.approx(expected, abs=0.05)

    def test_the_filters_equal_their_responses(self):
        wave = np.random.default_rng(0).normal(size=5000)
        n_padded = len(wave) + loudness.RATE_HZ  # silence behind it takes up what the filters ring
        z = np.exp(-2j * np.pi * np.fft.rfftfreq(n_padded))
        response = np.ones_like(z)
        for above, below in (loudness._SHELF, loudness._HIGH_PASS):
            response *= np.polyval(above[::-1], z) / np.polyval(below[::-1], z)
        expected = np.fft.irfft(np.fft.rfft(wave, n_padded) * response, n_padded)[: len(wave)]
        np.testing.assert_allclose(loudness._weighted(wave), expected, atol=1e-10)

    def test_a_click_is_one_block_as_long_as_it_is(self):
        click = sine(0.05, 0.5)
        assert np.isfinite(loudness.integrated(click))
        assert loudness.integrated(np.zeros(2000)) == -np.inf

    def test_gain_reaches_the_target_but_never_full_scale(self):
        quiet = sine(2, 0.01)
        assert loudness.integrated(quiet) + loudness.gain_db(quiet) == pytest.approx(loudness.TARGET_LUFS)
        spiky = np.zeros(loudness.RATE_HZ)
        spiky[::8000] = 0.9
        assert loudness.gain_db(spiky) == pytest.approx(-20 * np.log10(0.9))
        assert loudness.gain_db(np.zeros(1000)) == 0


@pytest.fixture(scope="module")
def sounds(small_store):
    folder = small_store.data_dir / small_study.NAME / "audio"
    return Sounds(sorted(folder.iterdir())), [path.stem for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    ("fname", "mime"),
    [
        ("tone0", "audio/wav"),
        ("tone1", "audio/flac"),
        ("noise2", "audio/ogg"),
        ("click1", "audio/mpeg"),
        ("tone2", "audio/wav"),  # ADPCM, transcoded
        ("noise1", "audio/wav"),  # AIFF, transcoded
    ],
)
def test_each_format_travels_as_something_that_browsers_play(sounds, fname, mime):
    one, names = sounds
    sound = one.sound(names.index(fname))
    assert sound.mime == mime
    content, rate_hz = soundfile.read(io.BytesIO(sound.content))
    expected = small_study.sounds()[fname]
    assert len(content) / rate_hz == pytest.approx(len(expected) / small_study.RATE_HZ, abs=0.1)
    if mime == "audio/wav":
        assert soundfile.info(io.BytesIO(sound.content)).subtype == "PCM_16"
        expected = soxr.resample(expected, small_study.RATE_HZ, rate_hz, quality="VHQ")
        n, skipped = len(expected), 2000 if fname == "tone2" else 0  # ADPCM has to find its step first
        error = content[skipped:n] - expected[skipped:]
        assert np.sqrt(np.mean(error**2)) < (0.01 if fname == "tone2" else 1e-4)


def test_a_format_that_the_browser_refuses_travels_as_wav(sounds):
    one, names = sounds
    assert one.sound(names.index("noise2"), ["audio/ogg"]).mime == "audio/wav"
    assert one.sound(names.index("click1"), ["audio/ogg"]).mime == "audio/mpeg"


@pytest.mark.parametrize("clip", ["/etc/passwd", "0", -2, 99, 1.0, None, True, [0]])
def test_nothing_but_a_row_of_the_collection_is_a_clip(sounds, clip):
    with pytest.raises(ValueError, match="there is no clip"):
        sounds[0].path(clip)


def test_there_is_no_own_sound_before_one_is_given(sounds):
    with pytest.raises(ValueError, match="there is no clip -1"):
        sounds[0].sound(OWN)


@pytest.mark.parametrize(
    ("kind", "subtype", "is_played"),
    [("W64", "PCM_16", True), ("W64", "FLOAT", True), ("VOC", "PCM_16", False)],
)
def test_what_libsndfile_takes_for_noise_is_decoded_as_for_the_models_or_refused(
    tmp_path, kind, subtype, is_played
):
    wave = 0.4 * np.sin(np.arange(22050) / 9)
    path = tmp_path / "sound"
    soundfile.write(path, wave, 22050, format=kind, subtype=subtype)
    if not is_played:
        with pytest.raises(audio.AudioError, match=r"^sound "):
            Sounds([path]).sound(0)
        return
    content, rate_hz = soundfile.read(io.BytesIO(Sounds([path]).sound(0).content))
    assert rate_hz == loudness.RATE_HZ
    np.testing.assert_allclose(content, soxr.resample(wave, 22050, rate_hz, quality="VHQ"), atol=1e-4)


def test_broken_and_missing_files_are_named_without_their_folder(tmp_path):
    (tmp_path / "broken.wav").write_text("not a sound")
    whole = tmp_path / "cut.wav"
    soundfile.write(whole, np.zeros(9000), 22050)
    whole.write_bytes(whole.read_bytes()[:9000])
    broken = Sounds([tmp_path / name for name in ("broken.wav", "gone.wav", "cut.wav")])
    for clip, message in enumerate(("broken.wav can't be decoded", "gone.wav is missing", "cut.wav is cut")):
        with pytest.raises(audio.AudioError, match=f"^{message}") as caught:
            broken.sound(clip)
        assert str(tmp_path) not in str(caught.value)


def test_a_picture_shows_when_and_how_high():
    wave = np.concatenate([np.zeros(48000), sine(1, 0.5, 6000)])
    values = np.frombuffer(draw(wave), np.uint8).reshape(1 + N_BANDS, N_COLUMNS)
    peaks, bands = values[0], values[1:]
    assert peaks[: N_COLUMNS // 2 - 1].max() == 0
    assert peaks[N_COLUMNS // 2 + 1 :].min() == 127  # half of full scale
    assert bands[:, : N_COLUMNS // 2 - 4].max() == 0
    loudest = bands[:, -N_COLUMNS // 3].argmax()
    mel = 1127 * np.log1p(np.array([6000, 24000]) / 700)
    assert loudest == pytest.approx(N_BANDS * mel[0] / mel[1], abs=1.5)


@pytest.mark.parametrize("n", [1, 50, 127, 129, 2048, 480001])
def test_a_picture_has_the_same_size_whatever_the_length(n):
    assert len(draw(np.full(n, 0.1))) == N_COLUMNS * (1 + N_BANDS)


def content_of(path):
    sound = Sounds([path]).sound(0)
    return *soundfile.read(io.BytesIO(sound.content)), sound


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS")])
def test_of_a_long_recording_what_models_hear_is_drawn_and_sent(tmp_path, suffix, subtype):
    """Ten minutes, of which 230 MB would be decoded, and twice that at another rate."""
    path, before = tmp_path / f"x.{suffix}", memory.peak_mib()
    with soundfile.SoundFile(path, "w", 44100, 2, subtype=subtype) as file:
        file.write(np.tile(sine(1, 0.5)[:44100, None], (1, 2)))
        for _ in range(600):
            file.write(np.zeros((44100, 2)))
    assert any(Sounds([path]).picture(0))
    content, rate_hz, sound = content_of(path)
    assert content.shape == (30 * rate_hz,)
    assert len(sound.content) < 3e6
    assert memory.peak_mib() - before < 150


def test_a_file_whose_header_is_wrong_is_not_sent_as_it_is(tmp_path):
    """Browsers believe it."""
    wave, path = sine(1, 0.5), tmp_path / "x.wav"
    soundfile.write(path, wave, loudness.RATE_HZ)
    wrong = bytearray(path.read_bytes())
    wrong[40:44] = bytes(4)
    path.write_bytes(wrong)
    np.testing.assert_allclose(content_of(path)[0], wave, atol=1e-4)


def test_floats_in_the_units_of_integers_are_sent_at_full_scale(tmp_path):
    soundfile.write(tmp_path / "x.w64", 32768 * sine(1, 0.5), loudness.RATE_HZ, subtype="FLOAT")
    content, _, sound = content_of(tmp_path / "x.w64")
    np.testing.assert_allclose(content, sine(1, 1), atol=1e-4)
    assert 20 * np.log10(np.abs(content).max()) + sound.gain_db < 0
    assert loudness.integrated(content) + sound.gain_db == pytest.approx(loudness.TARGET_LUFS, abs=0.1)


class TestFreesound:
    """A clip that has no file is played by Freesound's player, if that is allowed and its name is an id."""

    @pytest.fixture
    def study(self, tmp_path):
        store = small_study.make(tmp_path)
        study = Study(store, small_study.NAME, freesound=True)
        study.collection.clips.loc[:1, "fname"] = ["64760", "no-id"]
        for path in study.collection.clips["path"][:2]:
            Path(path).unlink()
        return study

    def test_only_a_clip_without_a_file_whose_name_is_an_id(self, study):
        assert [study.freesound_id(row) for row in range(3)] == ["64760", "", ""]
        for clip in (-2, "64760", 1000, None):
            with pytest.raises(ValueError, match="there is no clip"):
                study.freesound_id(clip)

    def test_nothing_unless_it_is_allowed(self, study):
        assert not Study(study.store, small_study.NAME).freesound
        study.freesound = False
        assert study.freesound_id(0) == ""
        with pytest.raises(audio.AudioError, match=r"is missing: put .* back, or .*--freesound"):
            study.sounds.sound(0)

    def test_the_board_answers_with_the_id_alone(self, study):
        assert Board(study)._sound({"clip": 0}, []) == {"freesound": "64760"}


def test_a_window_of_a_file_is_sent_as_what_is_heard_in_it(tmp_path):
    time_s = np.arange(2 * 48000) / 48000
    wave = np.where(time_s < 1, 0.1, 0.5) * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "x.wav", wave, 48000)
    sound = Sounds([f"{tmp_path / 'x.wav'}#t=1,1.5"]).sound(0)
    found, rate_hz = soundfile.read(io.BytesIO(sound.content))
    assert (sound.mime, rate_hz) == ("audio/wav", 48000)
    np.testing.assert_allclose(found, wave[48000:72000], atol=1e-3)


def test_a_window_is_played_on_to_the_end_of_its_file_or_as_long_as_other_clips(tmp_path):
    time_s = np.arange(80 * 8000) / 8000
    wave = np.where(time_s < 20, 0.05, 0.9) * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "x.wav", wave, 8000)
    windows = [f"{tmp_path / 'x.wav'}#t={start},{end}" for start, end in ((10, 20), (70, 80), (79, 80))]
    sounds = Sounds(windows)
    for row, (length_s, own_s) in enumerate(((audio.MAX_DURATION_S, 10), (10, 10), (1, 1))):
        sound = sounds.sound(row, goes_on=True)
        found, rate_hz = soundfile.read(io.BytesIO(sound.content))
        assert (len(found) / rate_hz, sound.seconds) == (length_s, own_s)
        assert np.abs(found).max() * 10 ** (sound.gain_db / 20) <= 1.001  # what follows is louder
    quiet = sounds.sound(0, goes_on=True)
    assert sounds.sound(0).gain_db > quiet.gain_db > 0
    assert sounds.sound(0).seconds is None
    assert sounds.sound(0).content != quiet.content


def test_a_clip_that_is_a_whole_file_does_not_go_on(tmp_path):
    soundfile.write(tmp_path / "x.wav", sine(1, 0.5), 48000)
    sounds = Sounds([tmp_path / "x.wav"])
    assert sounds.sound(0, goes_on=True) == sounds.sound(0)


def test_the_board_tells_the_page_how_long_the_clip_is_that_goes_on(tmp_path):
    soundfile.write(tmp_path / "x.wav", sine(3, 0.5), 48000)
    study = SimpleNamespace(
        sounds=Sounds([f"{tmp_path / 'x.wav'}#t=0.5,1.5"]), freesound_id=lambda clip: None
    )
    found = Board._sound(SimpleNamespace(study=study), {"clip": 0}, [])
    assert found["seconds"] == 1
    assert len(soundfile.read(io.BytesIO(found["buffers"][0]))[0]) == 2.5 * 48000
