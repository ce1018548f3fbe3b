"""Samples that pass between programs, against tones made here: with the system's ffmpeg, and imageio's."""

import itertools
import os
import re
import shutil
import subprocess

import imageio_ffmpeg
import memory
import numpy as np
import pytest
import soundfile

from sss_lib import audio, ffmpeg

PROGRAMS = {"system": shutil.which("ffmpeg"), "imageio": imageio_ffmpeg.get_ffmpeg_exe()}
FREQUENCIES_HZ = (440, 660, 880, 100, 1100, 1320)
"""Of each channel; the fourth of 5.1 is for bass, of which aac keeps little."""
LAYOUTS = [*itertools.product((8000, 22050, 44100, 48000, 96000), (1, 2, 6))]
FORMATS = {
    "x.m4a": ["-c:a", "aac"],
    "front.m4a": ["-c:a", "aac", "-movflags", "+faststart"],
    "alac.m4a": ["-c:a", "alac"],
    "x.mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "200000"],
    "x.aac": ["-c:a", "aac"],
    "x.wma": ["-c:a", "wmav2"],
    "opus.webm": ["-c:a", "libopus"],
    "vorbis.webm": ["-c:a", "libvorbis"],
    "streamed.flac": ["-c:a", "flac", "-f", "flac", "-"],
    "x.mp2": ["-c:a", "mp2"],
    "flac within.oga": ["-c:a", "flac", "-f", "ogg"],
}
EXACT = ("alac.m4a", "streamed.flac", "flac within.oga")
ERRORS = {"u8": 2**-6, "s8": 2**-6, "s16": 2**-14, "mulaw": 0.02, "alaw": 0.02, "adpcm": 0.1}


BOTH = [
    pytest.param(name, marks=[pytest.mark.slow] * (name == "imageio" and bool(PROGRAMS["system"])))
    for name in PROGRAMS
]


@pytest.fixture(params=BOTH, scope="module")
def program(request):
    """Path of one ffmpeg; the other tests take the first that there is."""
    if PROGRAMS[request.param] is None:
        pytest.skip("SKIPPED FOR WANT OF A PROGRAM: ffmpeg is not on PATH")
    return PROGRAMS[request.param]


@pytest.fixture
def used(program, monkeypatch):
    """The same one, which the library uses."""
    monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: program)
    return program


def tones(rate_hz, n_channels, seconds=1.0):
    times = np.arange(round(seconds * rate_hz))[:, None] / rate_hz
    return 0.4 * np.sin(2 * np.pi * np.array(FREQUENCIES_HZ[:n_channels]) * times)


def run(program, *arguments):
    command = [program, "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def write(program, path, options, rate_hz=44100, n_channels=2, seconds=1.0):
    """Write tones as a file, and give the tones."""
    wave, source = tones(rate_hz, n_channels, seconds), path.with_name("source.wav")
    soundfile.write(source, wave, rate_hz, subtype="FLOAT")
    if options[-1] == "-":
        path.write_bytes(run(program, "-i", source, *options))
    else:
        run(program, "-i", source, *options, path)
    return wave


def assert_tones(channels, rate_hz):
    """Each channel but the bass is its own tone, and little else, but for its ends."""
    inner = channels[len(channels) // 10 : -len(channels) // 10]
    window = np.hanning(len(inner))
    for channel, frequency_hz in zip(inner.T, FREQUENCIES_HZ, strict=False):
        if frequency_hz == 100:
            continue
        assert channel.std() == pytest.approx(0.4 / np.sqrt(2), rel=0.05)
        power = np.abs(np.fft.rfft(channel * window)) ** 2
        near = np.abs(np.fft.rfftfreq(len(inner), 1 / rate_hz) - frequency_hz) < 10
        assert power[near].sum() > 0.95 * power.sum()


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_tones_that_went_in(used, tmp_path, name):
    wave = write(used, tmp_path / name, FORMATS[name])
    channels, rate_hz = audio.read(tmp_path / name)
    assert (rate_hz, channels.shape[1]) == (48000 if "opus" in name else 44100, 2)
    assert len(channels) / rate_hz == pytest.approx(1, abs=0.06)  # some pad
    assert audio.duration_s(tmp_path / name) == pytest.approx(1, abs=0.06)
    assert_tones(channels, rate_hz)
    if name in EXACT:
        np.testing.assert_allclose(channels, wave, rtol=0, atol=2**-15)


@pytest.mark.parametrize("name", ["x.m4a", "streamed.flac"])
@pytest.mark.parametrize(("rate_hz", "n_channels"), LAYOUTS)
def test_every_rate_and_number_of_channels_comes_through(used, tmp_path, name, rate_hz, n_channels):
    wave = write(used, tmp_path / name, FORMATS[name], rate_hz, n_channels)
    channels, told_hz = audio.read(tmp_path / name)
    assert (told_hz, channels.shape[1]) == (rate_hz, n_channels)
    assert 0 <= len(channels) - len(wave) < 3 * 1024
    assert_tones(channels, rate_hz)


@pytest.mark.parametrize("codec", ["u8", "s16le", "s24le", "s32le", "f32le", "f64le", "mulaw", "alaw"])
def test_integers_and_floats_have_the_same_full_scale(used, tmp_path, codec):
    wave = write(used, tmp_path / "x.mka", ["-c:a", f"pcm_{codec}"], 48000, 6)
    channels, _ = audio.read(tmp_path / "x.mka")
    np.testing.assert_allclose(channels, wave, rtol=0, atol=ERRORS.get(codec.removesuffix("le"), 1e-6))


WRITTEN = {
    "wav": "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_mulaw pcm_alaw adpcm_ms",
    "w64": "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_mulaw pcm_alaw adpcm_ms",
    "aiff": "pcm_s8 pcm_s16be pcm_s16le pcm_s24be pcm_s32be pcm_f32be pcm_f64be pcm_mulaw pcm_alaw",
    "au": "pcm_s8 pcm_s16be pcm_s24be pcm_s32be pcm_f32be pcm_f64be pcm_mulaw pcm_alaw",
    "caf": "pcm_s8 pcm_s16be pcm_s16le pcm_s24le pcm_s32le pcm_f32be pcm_f32le pcm_f64le pcm_mulaw pcm_alaw",
    "flac": "flac",
}


@pytest.mark.parametrize(("rate_hz", "n_channels"), [(44100, 2), (96000, 6)])
@pytest.mark.parametrize(("suffix", "codec"), [(s, codec) for s in WRITTEN for codec in WRITTEN[s].split()])
def test_what_ffmpeg_writes_is_read_as_it_was(used, tmp_path, suffix, codec, rate_hz, n_channels):
    path = tmp_path / f"x.{suffix}"
    if codec.startswith("adpcm"):
        n_channels = min(n_channels, 2)
    wave = write(used, path, ["-c:a", codec], rate_hz, n_channels)
    channels, told_hz = audio.read(path)
    assert (told_hz, channels.shape[1]) == (rate_hz, n_channels)
    assert 0 <= len(channels) - len(wave) < 3000  # adpcm pads
    error = next(
        (size for kind, size in ERRORS.items() if kind in codec), 2**-14 if suffix == "flac" else 1e-6
    )
    begin = 20 if "adpcm" in codec else 0  # it has to adapt
    np.testing.assert_allclose(channels[begin : len(wave)], wave[begin:], rtol=0, atol=error)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_what_is_written_for_others_they_read_as_it_was(program, tmp_path, subtype, n_channels):
    """wav for the page, and for Freesound's extractor."""
    wave = tones(44100, n_channels)
    soundfile.write(tmp_path / "x.wav", wave, 44100, subtype=subtype)
    raw = run(program, "-i", tmp_path / "x.wav", "-f", "f32le", "-")
    np.testing.assert_allclose(np.frombuffer(raw, "<f4").reshape(44100, -1), wave, rtol=0, atol=2**-15)


@pytest.mark.parametrize(("name", "codec"), [("x.voc", "pcm_s16le"), ("x.au", "adpcm_g726le")])
def test_what_programs_read_differently_is_refused(used, tmp_path, name, codec):
    write(used, tmp_path / name, ["-c:a", codec], 8000, 1)
    with pytest.raises(audio.AudioError, match=f"{name} is a .* which programs read differently: convert"):
        audio.read(tmp_path / name)


PICTURE = ["-f", "lavfi", "-i", "testsrc=duration=2:size=64x64:rate=10"]
COVER, COPIED = ["-i", "cover.jpg"], ["-c:v", "copy", "-disposition:v:0", "attached_pic"]
AAC = ["-c:a", "aac"]
STREAMS = {
    "film.mp4": ([], PICTURE, ["-map", "1", "-map", "0", *AAC]),
    "film.webm": ([], PICTURE, ["-map", "1", "-map", "0", "-c:a", "libopus"]),
    "late.mp4": (["-itsoffset", "1.5"], PICTURE, ["-map", "1", "-map", "0", *AAC]),
    "late.webm": (["-itsoffset", "1.5"], PICTURE, ["-map", "1", "-map", "0", "-c:a", "libopus"]),
    "early.mp4": (["-itsoffset", "-0.5"], PICTURE, ["-map", "1", "-map", "0", *AAC]),
    "cover.m4a": ([], COVER, ["-map", "0", "-map", "1", *COPIED, *AAC]),
    "cover first.m4a": ([], COVER, ["-map", "1", "-map", "0", *COPIED, *AAC]),
    "no edit list.m4a": ([], [], ["-use_editlist", "0", *AAC]),
    "two sounds.mka": (
        [],
        ["-f", "lavfi", "-i", "anoisesrc=d=2"],
        ["-map", "0", "-map", "1", "-c:a", "flac"],
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_first_sound_of_a_file_is_heard_wherever_it_lies(used, tmp_path, name, monkeypatch):
    """After pictures, and from its own beginning, not theirs."""
    before, more, options = STREAMS[name]
    monkeypatch.chdir(tmp_path)
    run(used, *PICTURE, "-frames:v", "1", "cover.jpg")
    soundfile.write(tmp_path / "source.wav", tones(48000, 2, 2), 48000, subtype="FLOAT")
    run(used, *before, "-i", tmp_path / "source.wav", *more, *options, tmp_path / name)
    channels, rate_hz = audio.read(tmp_path / name)
    assert (rate_hz, channels.shape[1]) == (48000, 2)
    assert len(channels) / rate_hz == pytest.approx(1.5 if "early" in name else 2, abs=0.06)
    assert_tones(channels, rate_hz)
    first, _ = audio.read(tmp_path / name, max_duration_s=0.7)
    assert len(first) == 33600
    np.testing.assert_array_equal(first, channels[:33600])


def test_an_edit_list_that_begins_late_is_followed(used, tmp_path):
    write(used, tmp_path / "x.m4a", AAC, seconds=2)
    run(used, "-ss", "0.5", "-i", tmp_path / "x.m4a", "-c", "copy", tmp_path / "late.m4a")
    channels, rate_hz = audio.read(tmp_path / "late.m4a")
    assert len(channels) / rate_hz == pytest.approx(1.5, abs=0.06)
    assert_tones(channels, rate_hz)


@pytest.mark.parametrize(("first", "second"), itertools.permutations([(44100, 1), (44100, 2), (22050, 2)], 2))
def test_rate_and_channels_stay_as_they_begin(used, tmp_path, first, second):
    content = []
    for i, (rate_hz, n_channels) in enumerate((first, second)):
        write(used, tmp_path / f"{i}.aac", AAC, rate_hz, n_channels)
        content.append((tmp_path / f"{i}.aac").read_bytes())
    (tmp_path / "x.aac").write_bytes(b"".join(content))
    channels, rate_hz = audio.read(tmp_path / "x.aac")
    assert (rate_hz, channels.shape[1]) == first
    assert len(channels) / rate_hz == pytest.approx(2, abs=0.2)
    assert_tones(channels[: len(channels) * 2 // 5], rate_hz)
    cut, _ = audio.read(tmp_path / "x.aac", max_duration_s=1.5)
    np.testing.assert_array_equal(cut, channels[: round(1.5 * rate_hz)])


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_is_refused_or_still_whole(used, tmp_path, name):
    write(used, tmp_path / name, FORMATS[name])
    content, whole = (tmp_path / name).read_bytes(), len(audio.read(tmp_path / name)[0])
    refused = []
    for n_bytes in (*np.linspace(0.1, 0.95, 5) * len(content), len(content) - 1):
        (tmp_path / name).write_bytes(content[: int(n_bytes)])
        try:
            assert len(audio.read(tmp_path / name)[0]) == whole
        except audio.AudioError as error:
            refused.append(str(error).startswith(str(tmp_path / name)))
    assert all(refused)
    assert len(refused) >= 4  # the last of wma is padding


@pytest.fixture
def long_file(program, tmp_path):
    """Ten minutes, of which ffmpeg makes 212 MB."""
    source = ["-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=600"]
    run(program, *source, "-c:a", "flac", tmp_path / "x.mka")
    return tmp_path / "x.mka"


def stand_in(folder, text):
    path = folder / "stand in"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('#!/bin/sh\n{} "$@" 2>/dev/null | head -c 9000001\nkill -9 $$\n', "ffmpeg ended with status -9"),
        ("#!/bin/sh\nexit 3\n", "ffmpeg ended with status 3"),
        ("#!/bin/sh\nexec sleep 60\n", "ffmpeg gave nothing for 2 s, and was ended"),
        (
            '#!/bin/sh\nyes "[a @ 0x1] [b @ 0x2] bad é" | head -c 999999 >&2\nexec {} "$@"',
            "ffmpeg says: bad é",
        ),
        ("no program", "stand in can't be started: Exec format error"),
    ],
)
def test_an_ffmpeg_that_fails_is_told_and_never_taken_for_a_short_file(
    long_file, program, tmp_path, monkeypatch, text, reason
):
    monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: stand_in(tmp_path, text.format(program)))
    monkeypatch.setattr(ffmpeg, "TIMEOUT_S", 2)
    known = rf"^{re.escape(str(long_file))} can't be decoded: .*{re.escape(reason)}\. Copy or"
    with pytest.raises(audio.AudioError, match=known):
        audio.read(long_file)


def test_a_long_file_takes_little_memory_and_a_reader_that_stops_ends_ffmpeg(used, long_file, monkeypatch):
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    before = memory.peak_mib()
    blocks = audio.blocks(long_file)
    assert next(blocks)[0].shape == (audio.BLOCK_FRAMES, 2)
    blocks.close()
    assert started[0].returncode == -9
    assert sum(len(block) for block, _ in audio.blocks(long_file)) == 600 * 44100
    assert started[1].returncode == 0
    assert memory.peak_mib() - before < 60


def test_many_channels_make_short_blocks(used, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "MAX_BLOCK_VALUES", 6000)
    for name, options in (("x.wav", ["-c:a", "pcm_f32le"]), ("x.mka", ["-c:a", "pcm_f32le"])):
        wave = write(used, tmp_path / name, options, 8000, 6)
        blocks = [block for block, _ in audio.blocks(tmp_path / name)]
        assert {len(block) for block in blocks} == {1000}
        np.testing.assert_allclose(np.concatenate(blocks), wave, atol=1e-6)


def test_metadata_of_any_kind_do_not_reach_the_samples(used, tmp_path):
    title = ["-metadata", "title=" + "é\n" * 3000, "-metadata", "artist=x" * 500]
    wave = write(used, tmp_path / "x.mka", ["-c:a", "pcm_f32le", *title])
    np.testing.assert_allclose(audio.read(tmp_path / "x.mka")[0], wave, atol=1e-6)


def test_no_file_is_left_and_no_room_is_needed(used, tmp_path, monkeypatch):
    """As the samples come through a pipe."""
    write(used, tmp_path / "x.m4a", AAC)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    blocks = audio.blocks(tmp_path / "x.m4a")
    next(blocks)
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize(
    ("name", "late_s"), [("x.m4a", 0), ("alac.m4a", 0), ("x.mp2", 0), ("opus.webm", 0.008), ("x.wma", 0.086)]
)
def test_spans_are_the_same_samples_as_in_the_whole(used, tmp_path, name, late_s):
    """Seconds are those of the file's clock, by which some formats begin late."""
    times = np.arange(48000 * 8) / 48000
    soundfile.write(tmp_path / "x.wav", 0.4 * np.sin(300 * times * (1 + times)), 48000)  # nowhere twice alike
    run(used, "-i", tmp_path / "x.wav", *FORMATS[name], tmp_path / name)
    whole = audio.read(tmp_path / name)[0].ravel()
    for start_s, end_s in [(0, 1), (0.5, 2), (4.321, 6), (7, 7.8)]:
        found = audio.read(f"{tmp_path / name}#t={start_s},{end_s}")[0].ravel()
        assert len(found) == round((end_s - start_s) * 48000)
        first = round((start_s - late_s) * 48000) if start_s else 0
        shifts = range(-500 if first else 0, 501 if late_s else 1)
        errors = [np.abs(found - whole[max(first + shift, 0) :][: len(found)]).max() for shift in shifts]
        assert min(errors) < (1e-9 if name in EXACT else 1e-4)
