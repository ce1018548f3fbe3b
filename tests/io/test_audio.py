"""Decoding against waves written here."""

import itertools
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from sss_lib import audio, ffmpeg


def sine(n_samples, rate_hz, frequency_hz=1000.0):
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / rate_hz)


def test_integer_full_scale_is_one(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([-32768, 0, 16384], np.int16), 44100)
    decoded = audio.decode(tmp_path / "x.wav", 44100)
    assert decoded.dtype == np.float32
    assert decoded.tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("channels", "mono"),
    [([0.75, 0.25], 0.5), ([0.5, -0.5], 0.0), ([0.75, 0.0, 0.0], 0.25)],
)
def test_channels_are_averaged(tmp_path, channels, mono):
    soundfile.write(tmp_path / "x.wav", np.tile(channels, (100, 1)), 44100, subtype="FLOAT")
    np.testing.assert_array_equal(audio.decode(tmp_path / "x.wav", 44100), np.full(100, mono, np.float32))


@pytest.mark.parametrize(
    ("native_hz", "rate_hz"), [(44100, 16000), (48000, 44100), (22050, 44100), (16000, 16000)]
)
def test_resampling_keeps_a_tone_and_the_length_in_seconds(tmp_path, native_hz, rate_hz):
    soundfile.write(tmp_path / "x.wav", sine(native_hz, native_hz), native_hz, subtype="FLOAT")
    decoded = audio.decode(tmp_path / "x.wav", rate_hz)
    assert decoded.shape == (rate_hz,)
    inner = slice(rate_hz // 10, -rate_hz // 10)  # away from the edges, where the tone starts and stops
    np.testing.assert_allclose(decoded[inner], sine(rate_hz, rate_hz)[inner], rtol=0, atol=1e-4)


def test_resampling_removes_what_lies_above_the_new_nyquist_frequency(tmp_path):
    soundfile.write(tmp_path / "x.wav", sine(44100, 44100, 10000), 44100, subtype="FLOAT")
    assert np.abs(audio.decode(tmp_path / "x.wav", 16000)[1600:-1600]).max() < 1e-4


@pytest.mark.parametrize("rate_hz", [8000, 4000])
def test_a_clip_is_cut_to_its_first_30_s(tmp_path, rate_hz):
    seconds = np.repeat(np.arange(31), 8000) / 64  # the level says which second it is
    soundfile.write(tmp_path / "x.wav", seconds, 8000, subtype="FLOAT")
    decoded = audio.decode(tmp_path / "x.wav", rate_hz)
    assert len(decoded) == 30 * rate_hz
    middles = decoded[rate_hz // 2 :: rate_hz] * 64
    np.testing.assert_allclose(middles, np.arange(30), rtol=0, atol=0.01)


def test_a_length_that_could_not_be_read_is_looked_for_again(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.wav", np.zeros(8000), 8000)
    with monkeypatch.context() as patched:

        def fail(*_):
            raise audio.AudioError("too many open files")

        patched.setattr(audio, "_sounds", fail)
        assert np.isnan(audio.duration_s(tmp_path / "x.wav"))
    assert audio.duration_s(tmp_path / "x.wav") == 1


@pytest.mark.parametrize(("max_duration_s", "n_samples"), [(0.5, 4000), (31, 248000), (None, 248000)])
def test_the_longest_duration_can_be_chosen(tmp_path, max_duration_s, n_samples):
    soundfile.write(tmp_path / "x.wav", np.full(31 * 8000, 0.5), 8000)
    assert len(audio.decode(tmp_path / "x.wav", 8000, max_duration_s=max_duration_s)) == n_samples


@pytest.mark.parametrize("name", ["小鸟 é ☂.wav", "é" * 125 + ".wav"], ids=["any script", "254 bytes"])
def test_a_file_of_one_sample_is_read_whatever_its_name(tmp_path, name):
    soundfile.write(tmp_path / name, [0.5], 44100)
    assert audio.decode(tmp_path / name, 44100).tolist() == [0.5]
    assert audio.decode(str(tmp_path / name), 44100).tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is not a file"),
        ("folder", "is not a file"),
        (b"these are words, not sound", "can't be decoded"),
        (b"", "is empty: it has 0 bytes"),
        ([], "is empty"),
        ([0.5], "no sample at 16000 Hz"),
        ([0.5, np.nan, np.inf], "2 values that are not finite"),
        ([[0.5, 0.5], [np.inf, -np.inf]], "not finite"),
        (np.full((100, 2), 3e38), "too large to reckon with"),
    ],
)
def test_a_file_without_a_usable_wave_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "x.wav"
    if content is None:
        pass
    elif isinstance(content, str):
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, np.array(content), 44100, subtype="FLOAT")
    with pytest.raises(audio.AudioError, match=f"^{re.escape(str(path))} .*{reason}"):
        audio.decode(path, 16000)


def put_number(content, at, number, byte_order):
    content[at : at + 4] = number.to_bytes(4, byte_order)


@pytest.mark.parametrize(("suffix", "order"), [("wav", "little"), ("aiff", "big")])
@pytest.mark.parametrize("outer", ["patched", 0, 2**32 - 1])
def test_a_file_whose_sound_ends_early_is_refused_whatever_its_outer_size(tmp_path, suffix, order, outer):
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, sine(44100, 44100), 44100)
    content = bytearray(path.read_bytes()[:20000])
    put_number(content, 4, len(content) - 8 if outer == "patched" else outer, order)
    path.write_bytes(content)
    with pytest.raises(audio.AudioError, match=f"x.{suffix} is cut short"):
        audio.decode(path, 44100)


@pytest.mark.parametrize("unknown", [0, 2**32 - 1])
def test_a_wav_that_was_written_as_a_stream_is_read_to_its_end(tmp_path, unknown):
    path = tmp_path / "x.wav"
    soundfile.write(path, sine(44100, 44100), 44100)
    content = bytearray(path.read_bytes())
    put_number(content, 4, unknown, "little")
    put_number(content, 40, 2**32 - 1, "little")
    path.write_bytes(content)
    assert len(audio.decode(path, 44100)) == 44100


def test_the_byte_that_makes_the_length_even_may_be_missing(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, sine(1001, 44100), 44100, subtype="PCM_U8")
    content = path.read_bytes()
    assert len(content) == 44 + 1001 + 1
    path.write_bytes(content[:-1])
    assert len(audio.decode(path, 44100)) == 1001
    path.write_bytes(content[:-2])
    with pytest.raises(audio.AudioError, match="cut short"):
        audio.decode(path, 44100)


# odd files, against ffmpeg's own decoding

FFMPEG = ffmpeg.program()
ODD = {
    "8k.wav": ["-ar", "8000"],
    "192k.wav": ["-ar", "192000"],
    "u8.wav": ["-c:a", "pcm_u8"],
    "s24.wav": ["-c:a", "pcm_s24le"],
    "s32.wav": ["-c:a", "pcm_s32le"],
    "f64.wav": ["-c:a", "pcm_f64le"],
    "mulaw.wav": ["-c:a", "pcm_mulaw"],
    "ima adpcm.wav": ["-c:a", "adpcm_ima_wav"],
    "ms adpcm.wav": ["-c:a", "adpcm_ms"],
    "six.wav": ["-ac", "6"],
    "x.aiff": [],
    "x.au": ["-c:a", "pcm_s16be"],
    "x.caf": ["-c:a", "pcm_s16le"],
    "x.w64": ["-c:a", "pcm_s16le"],
    "x.flac": [],
    "s24.flac": ["-sample_fmt", "s32"],
    "x.ogg": ["-c:a", "libvorbis"],
    "x.opus": ["-c:a", "libopus"],
    "x.mp3": ["-c:a", "libmp3lame"],
    "variable.mp3": ["-c:a", "libmp3lame", "-q:a", "2"],
    "no header.mp3": ["-c:a", "libmp3lame", "-write_xing", "0"],
    "mono 22k.mp3": ["-c:a", "libmp3lame", "-ar", "22050", "-ac", "1"],
    "mp3 within.wav": ["-c:a", "libmp3lame", "-f", "wav"],
    "tags.mp3": ["-c:a", "libmp3lame", "-write_id3v1", "1", "-metadata", f"title={'é' * 500}"],
}
WITH_FFMPEG = {
    "x.m4a": ["-c:a", "aac"],
    "alac.m4a": ["-c:a", "alac"],
    "x.aac": ["-c:a", "aac"],
    "x.wma": ["-c:a", "wmav2"],
    "x.webm": ["-c:a", "libopus"],
}


def run_ffmpeg(*arguments):
    command = [FFMPEG, "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Folder of one second of two different tones and a little noise, as every kind of file."""
    if FFMPEG is None:
        pytest.skip("needs ffmpeg")
    folder = tmp_path_factory.mktemp("odd")
    noise = np.random.default_rng(0).normal(0, 0.02, (44100, 2))
    waves = np.stack([sine(44100, 44100, 440), sine(44100, 44100, 660)], axis=1) + noise
    soundfile.write(folder / "source.wav", waves, 44100, subtype="FLOAT")
    for name, options in (ODD | WITH_FFMPEG).items():
        run_ffmpeg("-i", folder / "source.wav", *options, folder / name)
    return folder


def as_ffmpeg_decodes(path, n_channels):
    raw = run_ffmpeg("-i", path, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "f32le", "-")
    return np.frombuffer(raw, np.float32).reshape(-1, n_channels)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_decoded_as_ffmpeg_does_without_it(odd, name, monkeypatch):
    monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: None)
    channels, rate_hz = audio.read(odd / name)
    expected = as_ffmpeg_decodes(odd / name, channels.shape[1])
    assert channels.shape == expected.shape
    np.testing.assert_allclose(channels, expected, atol=2e-3)
    assert len(audio.decode(odd / name, 16000)) == pytest.approx(len(expected) / rate_hz * 16000, abs=1)


@pytest.mark.parametrize("name", ["x.m4a", "x.wma"])
def test_without_ffmpeg_the_reason_says_what_would_help(odd, name, monkeypatch):
    monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: None)
    with pytest.raises(audio.AudioError, match=f"{name} can't be decoded: .*or install ffmpeg, which"):
        audio.decode(odd / name, 16000)


@pytest.mark.parametrize("name", ODD)
def test_a_file_cut_short_is_refused_by_name_or_still_whole(odd, tmp_path, name):
    content, whole, path = (odd / name).read_bytes(), len(audio.read(odd / name)[0]), tmp_path / name
    refused = []
    for n_bytes in (len(content) // 10, len(content) // 2, len(content) - 1000, len(content) - 1):
        path.write_bytes(content[:n_bytes])
        try:
            assert len(audio.read(path)[0]) == whole
        except audio.AudioError as error:
            refused += [n_bytes] * (str(path) in str(error))
    assert len(content) // 2 in refused
    assert len(refused) >= 3


def test_a_flac_that_was_written_as_a_stream_is_read_to_its_end(odd, tmp_path, monkeypatch):
    monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: None)
    piped = run_ffmpeg("-i", odd / "x.flac", "-c:a", "flac", "-f", "flac", "-")
    (tmp_path / "x.flac").write_bytes(piped)
    np.testing.assert_array_equal(audio.read(tmp_path / "x.flac")[0], audio.read(odd / "x.flac")[0])
    assert audio.duration_s(tmp_path / "x.flac") == 1
    (tmp_path / "cut.flac").write_bytes(piped[: len(piped) // 2])
    with pytest.raises(audio.AudioError, match=r"cut\.flac can't be decoded: .*flac decoder"):
        audio.read(tmp_path / "cut.flac")


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.flac", "x.ogg", "x.txt.wav"])
def test_what_a_file_is_counts_and_not_its_suffix(odd, tmp_path, name):
    for kind in ("u8.wav", "x.flac", "x.mp3", "x.ogg"):
        shutil.copy(odd / kind, tmp_path / name)
        np.testing.assert_array_equal(audio.read(tmp_path / name)[0], audio.read(odd / kind)[0])


def test_a_link_is_followed_and_a_broken_one_named(tmp_path):
    soundfile.write(tmp_path / "x.wav", [0.5] * 10, 44100)
    (tmp_path / "link.wav").symlink_to("x.wav")
    assert audio.decode(tmp_path / "link.wav", 44100).tolist() == [0.5] * 10
    (tmp_path / "x.wav").unlink()
    with pytest.raises(audio.AudioError, match=r"link\.wav is a link to x\.wav, which does not exist"):
        audio.decode(tmp_path / "link.wav", 44100)
    (tmp_path / "round.wav").symlink_to("round.wav")
    with pytest.raises(audio.AudioError, match=r"round\.wav"):
        audio.decode(tmp_path / "round.wav", 44100)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    soundfile.write(path, [0.5] * 10, 44100)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: a stand-in

        def refuse(_):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(audio.containers, "parts", refuse)
    with pytest.raises(audio.AudioError, match=r"x\.wav can't be read: Permission denied"):
        audio.decode(path, 44100)


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path):
    """A FLAC of ten samples that claims to have 2^36 - 1 at 655,350 Hz; its MD5 tells that all are there."""
    soundfile.write(tmp_path / "x.flac", [0.5] * 10, 44100)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[21:26] = b"\xff" * 5
    (tmp_path / "x.flac").write_bytes(content)
    assert len(audio.read(tmp_path / "x.flac")[0]) == 10
    content[26:42] = content[26:41] + b"x"
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(audio.AudioError, match=r"x\.flac is cut short: it has 10 of 68,719,476,735 samples"):
        audio.decode(tmp_path / "x.flac", 44100, max_duration_s=None)


def test_a_playlist_in_disguise_reads_no_other_file(odd, tmp_path):
    (tmp_path / "x.m4a").write_text(f"#EXTM3U\n#EXTINF:1,\n{odd / 'x.aac'}\n#EXT-X-ENDLIST\n")
    with pytest.raises(audio.AudioError, match=r"x\.m4a can't be decoded"):
        audio.decode(tmp_path / "x.m4a", 44100)


def test_the_length_is_told_without_decoding_where_that_is_possible(odd):
    assert audio.duration_s(odd / "x.flac") == 1
    assert audio.duration_s(odd / "192k.wav") == 1
    assert np.isnan(audio.duration_s(odd / "nowhere.wav"))


@pytest.mark.parametrize("name", ["x.m4a", "alac.m4a", "x.wma", "x.webm"])
def test_the_length_is_told_without_decoding_where_ffmpeg_finds_it(odd, name, monkeypatch):
    monkeypatch.setattr(audio, "blocks", None)
    assert audio.duration_s(odd / name) == pytest.approx(1, abs=0.06)


def test_a_length_that_ffmpeg_would_only_estimate_is_counted(odd):
    channels, rate_hz = audio.read(odd / "x.aac")
    assert audio.duration_s(odd / "x.aac") == len(channels) / rate_hz


def test_the_blocks_of_a_file_are_what_is_read_at_once(odd, monkeypatch):
    for name in ("x.flac", "x.m4a"):
        whole, rate_hz = audio.read(odd / name)
        with monkeypatch.context() as patch:
            patch.setattr(audio, "BLOCK_FRAMES", 1000)
            blocks, rates_hz = zip(*audio.blocks(odd / name), strict=True)
        assert {len(block) for block in blocks[:-1]} == {1000}
        assert set(rates_hz) == {rate_hz}
        np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_no_block_after_a_value_that_is_not_finite_is_given(tmp_path, monkeypatch):
    wave = np.zeros(50, np.float32)
    wave[[15, 41]] = np.nan, np.inf
    soundfile.write(tmp_path / "x.wav", wave, 8000, subtype="FLOAT")
    monkeypatch.setattr(audio, "BLOCK_FRAMES", 10)
    blocks = audio.blocks(tmp_path / "x.wav")
    assert len(next(blocks)[0]) == 10
    with pytest.raises(audio.AudioError, match="holds 2 values that are not finite"):
        next(blocks)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "ogg", "opus", "mp3", "caf", "w64"])
def test_mutated_files_are_decoded_or_refused_and_nothing_else(odd, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: None)
    name = "s24.wav" if suffix == "wav" else f"x.{suffix}"
    whole, rng = (odd / name).read_bytes(), np.random.default_rng(0)
    path, refused = tmp_path / name, 0
    for i in range(120):
        content = bytearray(whole)
        within = 200 if i % 2 else len(content)  # the header, or anywhere
        for at in rng.integers(0, within, 1 + rng.integers(10)):
            content[at] = rng.integers(256)
        if i % 5 == 0:
            at = rng.integers(len(content))
            content[at:at] = rng.bytes(100)
        path.write_bytes(content[: rng.integers(1, len(content))] if i % 7 == 0 else content)
        try:
            wave = audio.decode(path, 16000)
        except audio.AudioError as error:
            refused += str(path) in str(error)
        else:
            assert np.isfinite(wave).all()
            assert 0 < len(wave) <= 30 * 16000
    assert refused > 10


@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [("x.wav", "PCM_16", 0), ("x.flac", "PCM_16", 0), ("x.aiff", "PCM_24", 0), ("x.w64", "FLOAT", 0)]
    + [("x.ogg", "VORBIS", 1e-6), ("x.opus", "OPUS", 1e-3), ("x.mp3", "MPEG_LAYER_III", 1e-3)],
)
@pytest.mark.parametrize("block_frames", [1 << 18, 1000])
def test_spans_are_the_same_samples_as_in_the_whole(
    tmp_path, name, subtype, error, block_frames, monkeypatch
):
    rng, path = np.random.default_rng(0), tmp_path / name
    kind = {"x.opus": "OGG"}.get(name)
    soundfile.write(path, 0.3 * rng.normal(size=(96000, 2)).clip(-3, 3), 24000, subtype, format=kind)
    whole, rate_hz = audio.read(path)
    monkeypatch.setattr(audio, "BLOCK_FRAMES", block_frames)
    for start_s, end_s in [(0, 1), (1, 2.5), (0.00102, 0.5), (3.2, 4)]:
        found, _ = audio.read(f"{path}#t={start_s},{end_s}")
        own = whole[round(start_s * rate_hz) : round(end_s * rate_hz)]
        assert found.shape == own.shape
        np.testing.assert_allclose(found, own, rtol=0, atol=error)
    assert audio.duration_s(f"{path}#t=1,2.5") == 1.5
    assert audio.duration_s(f"{path}#t=3,9") == pytest.approx(1, abs=0.1)


def test_a_span_of_sounds_in_a_row_goes_from_one_into_the_next(tmp_path):
    parts = [np.full(n, level) for n, level in ((100, 0.25), (100, 0.5), (200, 0.75))]
    path = tmp_path / "x.wav"
    with path.open("wb") as file:
        for i, part in enumerate(parts):
            soundfile.write(tmp_path / f"{i}.wav", part, 100)
            file.write((tmp_path / f"{i}.wav").read_bytes())
    whole = audio.read(path)[0].ravel()
    assert len(whole) == 400
    for start, end in [(0, 1), (0.9, 2.2), (1, 2), (1.5, 4), (2.5, 3)]:
        found = audio.read(f"{path}#t={start},{end}")[0].ravel()
        assert found.tolist() == whole[round(100 * start) : round(100 * end)].tolist()


@pytest.mark.parametrize("asked", ["x.wav#t=5,6", "x.wav#t=0.5,0.5", "x.wav#t=1,0.5"])
def test_a_span_without_a_sample_is_refused(tmp_path, asked):
    soundfile.write(tmp_path / "x.wav", sine(8000, 8000), 8000)
    with pytest.raises(audio.AudioError, match=r"is empty: it has no sample"):
        audio.decode(tmp_path / asked, 8000)


def test_spans_that_meet_have_each_sample_once_and_none_is_longer_than_30_s(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.arange(45 * 1001) % 1000 / 1000, 1001, subtype="FLOAT")
    times = [round(i / 3, 3) for i in range(45 * 3 + 1)]
    found = [audio.read(f"{tmp_path / 'x.wav'}#t={a},{b}")[0] for a, b in itertools.pairwise(times)]
    np.testing.assert_array_equal(np.concatenate(found), audio.read(tmp_path / "x.wav")[0])
    assert len(audio.decode(f"{tmp_path / 'x.wav'}#t=10,45", 1001)) == 30 * 1001


def test_a_file_that_is_called_like_a_span_is_a_file(tmp_path):
    soundfile.write(tmp_path / "x.wav", sine(8000, 8000), 8000)
    shutil.copy(tmp_path / "x.wav", tmp_path / "x.wav#t=0,0.5")
    assert len(audio.decode(tmp_path / "x.wav#t=0,0.5", 8000)) == 8000
    assert len(audio.decode(tmp_path / "x.wav#t=0,0.25", 8000)) == 2000


def test_a_file_is_looked_at_once_for_the_lengths_of_all_its_windows(tmp_path, monkeypatch):
    path, looked_at = tmp_path / "x.wav", []
    of_file = audio._sounds
    monkeypatch.setattr(audio, "_sounds", lambda path: looked_at.append(path) or of_file(path))
    soundfile.write(path, np.zeros(8000), 8000)
    assert [audio.duration_s(f"{path}#t={start},{start + 0.75}") for start in (0, 0.25, 0.5)] == [
        0.75,
        0.75,
        0.5,
    ]
    assert (audio.duration_s(path), len(looked_at)) == (1, 1)
    soundfile.write(path, np.zeros(4000), 8000)
    assert (audio.duration_s(path), len(looked_at)) == (0.5, 2)
