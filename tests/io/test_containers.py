"""Content decides how long a sound is: headers that are wrong, files that are joined, cut or damaged."""

import collections
import io
import itertools
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from sss_lib import audio, ffmpeg
from sss_lib.io import ogg

N = 44100
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def noisy(seconds=1.0, frequency_hz=440, rate_hz=48000):
    noise = np.random.default_rng(0).normal(0, 0.02, round(seconds * rate_hz))
    return 0.4 * np.sin(2 * np.pi * frequency_hz * np.arange(len(noise)) / rate_hz) + noise


def encoded(kind, wave=None, rate_hz=48000):
    content, (container, subtype) = io.BytesIO(), KINDS[kind]
    wave = noisy() if wave is None else wave
    soundfile.write(content, wave, rate_hz, format=container, subtype=subtype)
    return content.getvalue()


@pytest.fixture(autouse=True)
def _without_ffmpeg(monkeypatch, request):
    if "program" not in request.fixturenames:
        monkeypatch.setattr("sss_lib.io.ffmpeg.program", lambda: None)


@pytest.fixture
def heard(tmp_path):
    """Samples of a content, which equal its length as told."""

    def read(content):
        path = tmp_path / "x.wav"  # whatever it is
        path.write_bytes(content)
        channels, rate_hz = audio.read(path)
        assert audio.duration_s(path) * rate_hz == pytest.approx(len(channels))
        return channels[:, 0]

    return read


def put(content, at, number, order=">"):
    return content[:at] + struct.pack(f"{order}I", number) + content[at + 4 :]


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_in_a_row_are_all_heard(heard, kind):
    first, second = encoded(kind), encoded(kind, noisy(0.5, 880))
    np.testing.assert_array_equal(heard(first + second), np.r_[heard(first), heard(second)])


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_in_a_row_of_other_rates_are_refused(heard, kind):
    with pytest.raises(audio.AudioError, match=r"changes from 48000 Hz and 1 .* to 24000 Hz .*: split it"):
        heard(encoded(kind) + encoded(kind, noisy(rate_hz=24000), 24000))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [b"TAG" + b"title".ljust(125, b"\0"), random.Random(0).randbytes(300)])
def test_what_follows_a_sound_is_not_heard(heard, kind, tail):
    np.testing.assert_array_equal(heard(encoded(kind) + tail), heard(encoded(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_is_refused_wherever_it_is(heard, kind):
    content = encoded(kind)
    for n_bytes in (*np.linspace(1, len(content) - 1, 40).astype(int), len(content) - 2):
        with pytest.raises(
            audio.AudioError, match=r"x\.wav (is cut short: .*\d|can't be decoded|is damaged)"
        ):
            heard(content[:n_bytes])


LIST = b"LIST" + struct.pack("<I", 10) + b"INFOISFT\0\0"
SIZES = (0, 8, 1000, 0x7FFFF000, 2**31 - 1, 2**31, 2**31 - 37, 2**32 - 37, 2**32 - 2, 2**32 - 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("outer", [True, False])
def test_a_wav_of_a_made_up_size_is_heard_to_its_end(heard, size, outer):
    content = put(encoded("wav"), 40, size, "<")
    wave = heard(put(content, 4, min(size + 36, 2**32 - 1), "<") if outer else content)
    np.testing.assert_array_equal(wave, heard(encoded("wav")))


@pytest.mark.parametrize(
    "change",
    [
        lambda wav: wav + LIST,
        lambda wav: wav + LIST[:-3],
        lambda wav: wav + bytes(5000),
        lambda wav: b"BW64" + wav[4:],
        lambda wav: wav[:36] + b"LIST" + struct.pack("<I", 9) + b"INFOISFT\0" + wav[36:],
        lambda wav: wav[:36] + b"LIST" + struct.pack("<I", 9) + b"INFOISFT\0\0" + wav[36:],
        lambda wav: wav[:16] + struct.pack("<I", 18) + wav[20:36] + bytes(2) + wav[36:],
    ],
    ids=["chunk", "part of a chunk", "zeros", "BW64", "odd, not padded", "odd, padded", "longer format"],
)
def test_other_chunks_change_nothing(heard, change):
    np.testing.assert_array_equal(heard(change(encoded("wav"))), heard(encoded("wav")))


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [None, 0, 2**64 - 1])
def test_an_rf64_is_heard_to_its_end(heard, magic, size):
    content = magic + encoded("rf64")[4:]
    if size is not None:
        content = content[:20] + struct.pack("<QQ", size, size) + content[36:]
    np.testing.assert_array_equal(heard(content), heard(encoded("wav")))


def test_a_wav_of_five_gigabytes_from_a_pipe_has_all_of_them(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(put(put(encoded("wav")[:44], 4, 2**32 - 1, "<"), 40, 2**32 - 1, "<"))
    os.truncate(path, 44 + 5 * 2**30)
    assert audio.duration_s(path) == 5 * 2**29 / 48000


@pytest.mark.parametrize("size", [0, 8, 1000, 2**31, 2**32 - 1])
@pytest.mark.parametrize("count", [None, 0, 100, 10**6, 2**32 - 1])
def test_an_aiff_is_heard_to_its_end(heard, size, count):
    content = encoded("aiff")
    changed = put(content, content.index(b"SSND") + 4, size)
    if count is not None:
        changed = put(changed, content.index(b"COMM") + 10, count)
    np.testing.assert_array_equal(heard(changed), heard(content))


def test_an_aiff_whose_samples_begin_late_has_all_of_them_or_is_refused(heard):
    content = encoded("aiff")
    at, n_bytes = content.index(b"SSND") + 8, len(content) - content.index(b"SSND") - 8
    for late in (2, 40_000, 2**31, 2**32 - 1):
        with pytest.raises(audio.AudioError, match=rf"has no [\d,]+ frames {late:,} bytes from"):
            heard(put(content, at, late))
    late = put(put(content, at, 16), at - 4, n_bytes + 16)
    np.testing.assert_array_equal(heard(late[: at + 8] + bytes(16) + late[at + 8 :]), heard(content))


@pytest.mark.parametrize("size", [0, 1000, 2**31 - 1, 2**32 - 1])
def test_an_au_is_heard_to_its_end(heard, size):
    np.testing.assert_array_equal(heard(put(encoded("au"), 8, size)), heard(encoded("au")))


@pytest.mark.parametrize(("n", "has_md5"), [*itertools.product((0, 100, 47999, 48000), (True, False)),
                                            (48001, True), (2**36 - 1, True)])  # fmt: skip
def test_a_flac_is_heard_to_its_end(heard, n, has_md5):
    content = encoded("flac")
    number = int.from_bytes(content[18:26]) >> 36 << 36 | n
    md5 = content[26:42] if has_md5 else bytes(16)
    wave = heard(content[:18] + number.to_bytes(8) + md5 + content[42:])
    np.testing.assert_array_equal(wave, heard(content))


@pytest.mark.parametrize("n", [0, 1, 5, 46, 47, 48, 10**6])
def test_an_mp3_is_heard_to_its_end(heard, n):
    content = encoded("mp3")
    at = max(content.find(b"Xing"), content.find(b"Info")) + 8
    np.testing.assert_array_equal(heard(put(content, at, n)), heard(content))
    if n == 10**6:
        with pytest.raises(audio.AudioError, match=r"is cut short: it has \d+ of 1,000,000 frames"):
            heard(put(put(content, at, n), at + 4, 10**8))


@pytest.mark.parametrize("n_tag", [0, 128, 5000])
def test_tags_between_frames_are_not_heard(heard, n_tag):
    content = encoded("mp3")
    tag = b"ID3\3\0\0\0\0" + bytes([n_tag >> 7, n_tag & 127]) + b"\xff\xfb" * (n_tag // 2)
    np.testing.assert_array_equal(heard(tag + content + tag + content), np.tile(heard(content), 2))
    with pytest.raises(audio.AudioError, match=r"is damaged: its bytes [\d,]+ to [\d,]+ are no frame of mp3"):
        heard(content + random.Random(0).randbytes(500) + content)


def test_an_mp3_of_a_loud_beginning_and_no_count_is_heard_to_its_end(heard, tmp_path):
    """Its length is estimated from its first frame, and only so much of it was heard."""
    if not (found := PROGRAM):
        pytest.skip("SKIPPED FOR WANT OF A PROGRAM: ffmpeg")
    soundfile.write(tmp_path / "a.wav", np.r_[noisy(), np.zeros(4 * 48000)], 48000)
    options = ["-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0", "-f", "mp3", "-"]
    command = [found, "-nostdin", "-v", "error", "-i", tmp_path / "a.wav", *options]
    content = subprocess.run(command, capture_output=True, check=True).stdout
    assert len(heard(content)) >= 5 * 48000
    at = content.index(b"\xff\xfb")
    vbri = content[at : at + 4] + bytes(32) + b"VBRI" + bytes(6) + struct.pack(">II", 9, 9)
    vbri = vbri.ljust(960 if vbri[2] >> 4 == 14 else 144000 * _kbits(vbri) // 48000, b"\0")
    np.testing.assert_array_equal(heard(vbri + content[at:]), heard(content))


def _kbits(head):
    return (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[(head[2] >> 4) - 1]


PROGRAM = ffmpeg.program()


def pages_of(content):
    at = 0
    while at < len(content):
        n = 27 + content[at + 26] + sum(content[at + 27 : at + 27 + content[at + 26]])
        yield content[at : at + n]
        at += n


def crc_by_bits(content):
    crc = 0
    for byte in content:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x104C11DB7 if crc >> 31 else 0)
    return crc


def test_the_checksum_of_a_page_is_that_of_the_standard():
    content = random.Random(0).randbytes(1000)
    assert ogg.checksum(content) == crc_by_bits(content)


def placed(page, position):
    page = page[:6] + struct.pack("<Q", position) + page[14:22] + bytes(4) + page[26:]
    return page[:22] + struct.pack("<I", crc_by_bits(page)) + page[26:]


@pytest.mark.parametrize("kind", ["ogg", "opus"])
@pytest.mark.parametrize("which", [2, -3, -1])
@pytest.mark.parametrize("position", [0, 1000, 10**7, 2**63 - 1, 2**64 - 1])
def test_a_wrong_position_of_a_page_changes_no_length(heard, kind, which, position):
    content = encoded(kind, noisy(8))
    pages = list(pages_of(content))
    pages[which] = placed(pages[which], position)
    whole = heard(content)
    wave = heard(b"".join(pages))
    np.testing.assert_array_equal(wave[: len(whole)], whole)
    assert len(wave) - len(whole) < (2048 if which == -1 else 1)  # the last tells what its block has too much


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_a_flipped_bit_is_refused_by_its_page(heard, kind):
    content, rng = encoded(kind, noisy(3)), random.Random(0)
    starts = list(itertools.accumulate(map(len, pages_of(content)), initial=0))
    for _ in range(200):
        at = rng.randrange(len(content))
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        n = sum(start <= at for start in starts) - 1
        said = rf"x\.wav (is damaged: page {n}\b|is cut short: page {n}\b|can't be decoded)"
        with pytest.raises(audio.AudioError, match=said):
            heard(bytes(changed))


def test_a_missing_page_is_named(heard):
    pages = list(pages_of(encoded("ogg", noisy(8))))
    with pytest.raises(audio.AudioError, match=r"is damaged: page 3, at byte .*, has number 4, not 3"):
        heard(b"".join(pages[:3] + pages[4:]))


@pytest.mark.parametrize("options", ["libspeex -ar 16000", "flac"])
def test_pages_are_checked_whatever_is_in_them(tmp_path, options):
    if PROGRAM is None:
        pytest.skip("SKIPPED FOR WANT OF A PROGRAM: ffmpeg")
    soundfile.write(tmp_path / "a.wav", noisy(), 48000)
    command = [PROGRAM, "-nostdin", "-v", "error", "-i", tmp_path / "a.wav", "-c:a", *options.split()]
    made = subprocess.run([*command, "-f", "ogg", tmp_path / "x.oga"], capture_output=True)
    if made.returncode:
        pytest.skip(f"SKIPPED FOR WANT OF AN ENCODER: {options}")
    content = bytearray((tmp_path / "x.oga").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.oga").write_bytes(content)
    with pytest.raises(audio.AudioError, match=r"x\.oga is damaged: page \d+, at byte"):
        audio.read(tmp_path / "x.oga")


def test_a_flipped_bit_of_a_frame_is_refused(heard):
    content, rng = encoded("flac"), random.Random(0)
    for _ in range(100):
        changed = bytearray(content)
        changed[rng.randrange(9000, len(content))] ^= 1 << rng.randrange(8)
        with pytest.raises(audio.AudioError):
            heard(bytes(changed))


# a thousand mutations

MUTATED = {kind: KINDS[kind] for kind in ("wav", "aiff", "w64", "flac", "ogg", "opus", "mp3")}


def mutated(content, rng):
    """Change a file as rot, networks and programs do; give it and how."""
    how = rng.choice(["bit", "bits", "header", "number", "cut", "zeros", "twice", "more", "less", "tail"])
    changed, at = bytearray(content), rng.randrange(len(content))
    if how in ("bit", "bits"):
        for _ in range(1 if how == "bit" else rng.choice([5, 50])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif how == "header":
        for _ in range(rng.choice([1, 2, 4])):
            changed[rng.randrange(120)] = rng.randrange(256)
    elif how == "number":
        at = rng.randrange(4, 100)
        number = rng.choice([0, 1, 2**32 - 1, 2**31 - 1, 2**31, 65535, 10**6, 2**32 - 16])
        changed[at : at + 4] = struct.pack(f"{rng.choice('<>')}I", number)
    elif how == "cut":
        del changed[at:]
    elif how == "zeros":
        n = rng.choice([16, 512, 4096])
        changed[at : at + n] = bytes(len(changed[at : at + n]))
    elif how == "twice":
        changed[at:at] = changed[at : at + rng.choice([100, 5000])]
    elif how == "more":
        changed[at:at] = rng.randbytes(rng.choice([1, 7, 300]))
    elif how == "less":
        del changed[at : at + rng.choice([1, 7, 300, 5000])]
    else:
        changed += rng.randbytes(rng.choice([1, 2, 1000]))
    return bytes(changed), how


CHILD = """
import json, sys, time
import memory
from sss_lib import audio
for path in sys.stdin:
    begin, said = time.monotonic(), {}
    try:
        channels, rate_hz = audio.read(path.strip())
        said = {"n": len(channels), "seconds": len(channels) / rate_hz}
    except audio.AudioError as error:
        said = {"error": str(error)}
    print(json.dumps(said | {"took_s": time.monotonic() - begin, "mib": memory.peak_mib()}), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["system", "imageio"])
def test_a_thousand_mutated_files_are_refused_or_whole(tmp_path, capsys, name):
    """The last kind passes through ffmpeg: the system's, or without one on PATH imageio's."""
    if (found := shutil.which("ffmpeg") if name == "system" else imageio_ffmpeg.get_ffmpeg_exe()) is None:
        pytest.skip("SKIPPED FOR WANT OF A PROGRAM: ffmpeg is not on PATH")
    rng, tally, short = random.Random(25), collections.Counter(), []
    paths, base = [], {kind: encoded(kind, noisy(0.6)) for kind in MUTATED}
    soundfile.write(tmp_path / "a.wav", noisy(0.6), 48000)
    command = [found, "-nostdin", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "a.m4a"]
    subprocess.run(command, check=True)
    base["m4a"] = (tmp_path / "a.m4a").read_bytes()
    kinds = [*base]
    for i in range(1000):
        kind = kinds[i % len(kinds)]
        content, how = mutated(base[kind], rng)
        paths.append((tmp_path / f"{i}.{kind}", kind, how))
        paths[-1][0].write_bytes(content)
    for kind in kinds:
        (tmp_path / f"whole.{kind}").write_bytes(base[kind])
    folders = os.pathsep.join([str(Path(__file__).parent.parent), str(Path(audio.__file__).parents[2])])
    asked = [*(tmp_path / f"whole.{kind}" for kind in kinds), *(path for path, _, _ in paths)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join(map(str, asked)),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": folders, "PATH": str(Path(found).parent)},
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == 1000 + len(kinds)
    whole = dict(zip(kinds, (one["n"] for one in said), strict=False))
    for (path, kind, how), one in zip(paths, said[len(kinds) :], strict=True):
        assert one["took_s"] < 20
        if "error" in one:
            assert one["error"].startswith(str(path))
            tally[kind, "refused"] += 1
        else:
            tally[kind, "whole" if one["n"] >= whole[kind] else "SHORT"] += 1
            if one["n"] < whole[kind]:
                short.append((path.name, how, one["n"], whole[kind]))
    with capsys.disabled():
        print(f"\n{dict(tally)}, at most {said[-1]['mib']:.0f} MiB")
    assert said[-1]["mib"] < 300
    assert short == []
