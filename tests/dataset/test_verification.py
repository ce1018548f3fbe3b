"""What is found in each file, what the report says of it, and when it calls a copy whole."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sss_lib import dataset
from sss_lib.__main__ import main
from sss_lib.dataset import verification
from sss_lib.dataset.verification import report_on, verify


def write(collection, fname, wave, rate_hz=44100, **options):
    soundfile.write(collection / "audio" / f"{fname}.wav", wave, rate_hz, **options)


# each file


def test_the_table_says_what_is_in_each_file(collection):
    write(collection, "b", np.full((4000, 2), 0.1), 8000, subtype="FLOAT")
    write(collection, "a", np.zeros(44100))
    write(collection, "1e5", np.full(31 * 8000, 0.1), 8000)
    table = verify(dataset.load(collection)).set_index("fname")
    assert table.index.tolist() == ["b", "007", "é", "1e5", "a"]
    assert table["problem"].tolist() == [""] * 5
    assert table.loc["b", ["duration_s", "rate_hz", "n_channels"]].tolist() == [0.5, 8000, 2]
    assert table.loc["b", "rms_db"] == pytest.approx(-20, abs=1e-4)  # 20 log10(0.1)
    digest = hashlib.sha256((collection / "audio" / "b.wav").read_bytes()).hexdigest()
    assert table.loc["b", "sha256"] == digest
    assert table.loc["é", "rms_db"] == pytest.approx(-9.03, abs=0.01)  # a sine: 20 log10(0.5 / sqrt 2)
    assert table.loc["a", "rms_db"] == -np.inf
    assert table.loc["1e5", "duration_s"] == 31  # all of it, not only what models hear


@pytest.mark.parametrize("kind", ["text", "nothing", "a folder"])
def test_a_broken_file_is_reported_and_the_others_are_measured(collection, kind):
    tiny, path = dataset.load(collection), collection / "audio" / "007.wav"
    path.unlink()
    if kind == "text":
        path.write_text("not sound")
    elif kind == "a folder":
        path.mkdir()
    table = verify(tiny)
    assert "007.wav" in table["problem"].iloc[1]
    assert np.isnan(table["duration_s"].iloc[1])
    assert table["problem"].drop(1).tolist() == [""] * 4
    assert (table["duration_s"].drop(1) > 0).all()


@pytest.mark.parametrize(("n_full", "is_clipped"), [(2, False), (3, True)])
@pytest.mark.parametrize("place", [-1, 0, 1])
def test_a_sound_is_measured_across_the_blocks_that_it_is_read_in(
    collection, monkeypatch, n_full, is_clipped, place
):
    """What is at full scale lies across the border of two blocks of ten."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (45, 2)).astype(np.float32)
    wave[20 + place - 1 : 20 + place - 1 + n_full, 1] = 1
    write(collection, "b", wave, subtype="FLOAT")
    sounds = dataset.load(collection)
    whole = verify(sounds).set_index("fname").loc["b"]
    monkeypatch.setattr("sss_lib.io.audio.BLOCK_FRAMES", 10)
    row = verify(sounds).set_index("fname").loc["b"]
    assert row["rms_db"] == pytest.approx(whole["rms_db"], abs=1e-12)
    assert row["rms_db"] == pytest.approx(10 * np.log10(np.mean(wave.mean(axis=1) ** 2)), abs=1e-5)
    pd.testing.assert_series_equal(row.drop("rms_db"), whole.drop("rms_db"))
    assert (row["clipped"], row["peak"], row["duration_s"]) == (is_clipped, 1.0, 45 / 44100)
    assert row["wave_sha256"] == hashlib.sha256(b"44100 2 " + wave.tobytes()).hexdigest()


HOURS = """
import sys
from pathlib import Path
import memory
from sss_lib import dataset, extraction
sounds = dataset.load(sys.argv[1])
report = extraction.extract(sounds, "logmel", Path(sys.argv[1]).with_name("out"))
clips = dataset.verify(sounds)
print(report.n_clips, clips["duration_s"].max(), *clips["problem"], memory.peak_mib())
"""


@pytest.mark.slow
def test_a_file_of_three_hours_is_extracted_and_verified_in_a_gibibyte(tmp_path):
    """Its samples would take 1.3 GiB, and twice as much where they are put together."""
    (tmp_path / "sounds").mkdir()
    path, n_bytes = tmp_path / "sounds" / "long.wav", 3 * 3600 * 32000 * 2
    soundfile.write(path, np.full(32000, 0.1), 32000)
    header = bytearray(path.read_bytes())
    header[4:8], header[40:44] = ((n_bytes + more).to_bytes(4, "little") for more in (36, 0))
    path.write_bytes(header)
    os.truncate(path, 44 + n_bytes)  # silence that takes no room
    soundfile.write(tmp_path / "sounds" / "short.wav", np.full(100, 0.1), 8000)
    command = [sys.executable, "-c", HOURS, tmp_path / "sounds"]
    folders = os.pathsep.join([str(Path(__file__).parent.parent), str(Path(dataset.__file__).parents[2])])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": folders})
    assert not done.returncode, done.stderr
    n_clips, duration_s, peak_mib = map(float, done.stdout.split())
    assert (n_clips, duration_s) == (2, 3 * 3600)
    assert peak_mib < 1024  # and the libraries take 200 of them


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_the_number_of_threads_changes_nothing(mini, n_jobs):
    some = mini.select(mini.clips["fname"].tolist()[:20])
    pd.testing.assert_frame_equal(verify(some, n_jobs), verify(some))


# the report


def findings(collection):
    found, problems = dataset.inspect(collection)
    report = report_on(found, verify(found), problems=problems)
    return {finding.what: finding for finding in report.findings} | {"": report}


def test_a_good_folder_is_whole(collection, capsys):
    assert main(["verify", str(collection)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "tiny: 5 clips"
    assert "ok    decoding    all 5 clips, from the first sample to the last" in out
    assert "a clip has 0.10 to 0.50 s, half of them 0.3 s or less" in out
    assert "sample rates: 44,100 Hz (5); channels: 1 (5)" in out
    assert "note  queries     1 of 4 classes have one clip: Cat" in out
    assert out.endswith("Result: whole\n")
    for file in ("ground_truth.csv", "classes.csv"):
        (collection / file).unlink()
    assert main(["verify", str(collection)]) == 0
    assert "note  labels      none: the clips can be searched and heard" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wave", "is_silent", "is_clipped"),
    [
        (np.zeros(100), True, False),
        (np.full(100, 5e-5), True, False),
        (np.full(100, 2e-4), False, False),
        (np.r_[np.zeros(50), [1, 1, 0, -1, -1], np.zeros(50)], False, False),
        (np.r_[np.zeros(50), [1, 1, 1], np.zeros(50)], False, True),
        (np.r_[np.zeros(50), [-1, -1, -1, -1], np.zeros(50)], False, True),
        (np.c_[np.zeros(100), np.r_[np.zeros(97), [1, 1, 1]]], False, True),
        (np.c_[np.tile([1.0, 0], 50), np.tile([0, 1.0], 50)], False, False),
    ],
)
def test_silent_and_clipped_clips_are_noted(collection, wave, is_silent, is_clipped):
    write(collection, "b", wave, subtype="FLOAT")
    found = findings(collection)
    assert (found["silent"].level == "note") is is_silent
    assert (found["clipped"].level == "note") is is_clipped
    assert found[""].is_whole


HIGH = np.sin(2 * np.pi * 15000 * np.arange(44100) / 44100)
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)


@pytest.mark.parametrize(
    ("wave", "what", "says"),
    [
        (np.c_[TONE, -TONE], "silent", "in the mean of the channels, at 16,000 Hz, in the first 30 s"),
        (0.5 * HIGH * np.hanning(44100), "silent", "silent to models"),
        (np.r_[np.zeros(30 * 44100), TONE], "silent", "silent to models"),
        (TONE + 0.2, "offset", "the mean of the samples is 5% of full scale or more"),
        (32768 * TONE, "scale", "far beyond full scale, up to 16,384 times"),
        (np.clip(3 * TONE, -1, 1), "clipped", "are at full scale"),
    ],
    ids=["opposite phase", "too high", "late", "offset", "integers as floats", "clipped"],
)
def test_what_models_hear_is_looked_at(collection, wave, what, says):
    write(collection, "b", wave, subtype="FLOAT")
    found = findings(collection)
    noted = {finding.what for finding in found.values() if getattr(finding, "level", "ok") != "ok"}
    assert noted - {"queries", "long"} == {what}
    assert says in found[what].says
    assert found[what].says.endswith(": b")
    assert found[""].is_whole == (what != "scale")


@pytest.mark.parametrize("wave", [np.full((1000, 2), 3e38), np.full(1000, np.nan), np.full(1, 0.5)])
def test_what_models_would_refuse_is_wrong(collection, wave):
    write(collection, "b", wave, subtype="FLOAT")
    assert "b.wav" in findings(collection)["decoding"].says


def test_long_clips_are_noted(collection):
    write(collection, "é", np.full(31 * 8000, 0.1), 8000)
    assert findings(collection)["long"].says == "1 clips are longer than 30 s: models hear no more: é"


def test_the_same_audio_in_another_file_is_noted(collection):
    wave = np.random.default_rng(0).integers(-9999, 9999, 1000).astype(np.int16)
    write(collection, "b", wave)
    (collection / "audio" / "007.wav").unlink()
    soundfile.write(collection / "audio" / "007.flac", wave, 44100)
    write(collection, "a", wave, 22050)  # not the same: it sounds lower
    found = findings(collection)["duplicates"]
    assert (found.level, found.says) == ("note", "1 sounds stand more than once: b = 007")
    table = verify(dataset.load(collection)).set_index("fname")
    assert table.loc["b", "sha256"] != table.loc["007", "sha256"]
    assert table.loc["b", "wave_sha256"] == table.loc["007", "wave_sha256"]


def test_clips_that_cannot_be_decoded_are_wrong_and_five_are_named(collection, capsys):
    table = collection / "ground_truth.csv"
    table.write_text(table.read_text("utf-8") + "z,Rain,\n", "utf-8")
    write(collection, "z", np.zeros(10))
    for path in (collection / "audio").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert main(["verify", str(collection)]) == 1
    out = capsys.readouterr().out
    assert "WRONG decoding    6 of 6 clips have no usable audio:" in out
    assert len(re.findall(r"is cut short: it has [\d,]+ of [\d,]+ bytes. Copy it again.", out)) == 5
    assert "and 1 more" in out
    assert "Result: 1 of 2 checks found something WRONG" in out


def test_every_misfit_and_every_broken_clip_is_in_one_report(collection, capsys):
    (collection / "audio" / "007.wav").unlink()
    (collection / "audio" / "b.wav").write_text("no sound")
    write(collection, "new", np.full(10, 0.5))
    table = collection / "ground_truth.csv"
    table.write_text(table.read_text("utf-8").replace("Rain,ann", "Rian,ann"), "utf-8")
    assert main(["verify", str(collection)]) == 1
    out = capsys.readouterr().out
    for says in (
        "1 clips have no file in",
        "1 files are absent from",
        "did you mean 'Rain'",
        "b.wav can't",
    ):
        assert says in out
    assert "note  left out" in out
    assert "Result: 3 of " in out


def test_what_is_no_dataset_has_its_own_exit_code(tmp_path, collection, monkeypatch, capsys):
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
    assert "neither a known dataset" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / "empty")]) == 1
    assert "holds no audio file" in capsys.readouterr().out

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(collection))

    monkeypatch.setattr(verification.sources, "inspect", refuse)
    assert main(["verify", str(collection)]) == 2
    assert capsys.readouterr().err.startswith("error: [Errno 13] Permission denied")


def test_classes_that_hold_the_same_clips_are_noted(mini):
    """The embedded sounds have six such pairs of two clips or more, and four sets of a single clip."""
    (note,) = verification._same_clips(mini)
    *pairs, first = reversed(note.says.partition(": ")[2].partition(": ")[2].split("; "))
    assert (note.level, first) == ("note", "Mallet_percussion = Marimba_and_xylophone")
    assert sorted(pairs) == [
        *("Bark = Dog", "Brass_instrument = Trumpet", "Cat = Meow", "Cricket = Insect"),
        "Motor_vehicle_(road) = Vehicle",
    ]
    assert verification._same_clips(mini.select(["100051"])) == []  # no class of two clips
    assert len(verification.equal_classes(mini)) == 10
