"""What the report says of clips that are worth a word, and when it calls a copy whole."""

import shutil

import numpy as np
import pytest
import soundfile

from sss_lib import dataset, verification
from sss_lib.dataset.examination import verify
from sss_lib.dataset.verification import main, report_on


def write(collection, fname, wave, rate_hz=44100, **options):
    soundfile.write(collection / "audio" / f"{fname}.wav", wave, rate_hz, **options)


def findings(collection):
    found, problems = dataset.inspect(collection)
    report = report_on(found, verify(found), problems=problems)
    return {finding.what: finding for finding in report.findings} | {"": report}


def test_a_good_folder_is_whole(collection, capsys):
    assert main([str(collection)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "tiny: 5 clips"
    assert "ok    decoding    all 5 clips, from the first sample to the last" in out
    assert "a clip has 0.10 to 0.50 s, half of them 0.3 s or less" in out
    assert "sample rates: 44,100 Hz (5); channels: 1 (5)" in out
    assert "note  queries     1 of 4 classes have one clip: Cat" in out
    assert out.endswith("Result: whole\n")


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


def test_long_clips_are_noted(collection):
    write(collection, "é", np.full(31 * 8000, 0.1), 8000)
    assert findings(collection)["long"].says == "1 clips are longer than 30 s: models hear only so much: é"


def test_the_same_audio_in_another_file_is_noted(collection):
    wave = np.random.default_rng(0).integers(-9999, 9999, 1000).astype(np.int16)
    write(collection, "b", wave)
    (collection / "audio" / "007.wav").unlink()
    soundfile.write(collection / "audio" / "007.flac", wave, 44100)
    write(collection, "a", wave, 22050)  # not the same: it sounds lower
    found = findings(collection)["duplicates"]
    assert (found.level, found.says) == ("note", "1 sounds stand more than once: b = 007")
    report = verify(dataset.load(collection)).set_index("fname")
    assert report.loc["b", "sha256"] != report.loc["007", "sha256"]
    assert report.loc["b", "wave_sha256"] == report.loc["007", "wave_sha256"]


def test_clips_that_cannot_be_decoded_are_wrong_and_five_are_named(collection, capsys):
    for path in (collection / "audio").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    shutil.copy(collection / "audio" / "a.wav", collection / "audio" / "z.wav")
    table = collection / "ground_truth.csv"
    table.write_text(table.read_text("utf-8") + "z,Rain,\n", "utf-8")
    assert main([str(collection)]) == 1
    out = capsys.readouterr().out
    assert "WRONG decoding    6 of 6 clips have no usable audio:" in out
    assert out.count("is cut short: its end is missing. Copy it again.") == 5
    assert "and 1 more" in out
    assert "Result: 1 of 2 checks found something WRONG" in out


def test_every_misfit_and_every_broken_clip_is_in_one_report(collection, capsys):
    (collection / "audio" / "007.wav").unlink()
    (collection / "audio" / "b.wav").write_text("no sound")
    write(collection, "new", np.full(10, 0.5))
    table = collection / "ground_truth.csv"
    table.write_text(table.read_text("utf-8").replace("Rain,ann", "Rian,ann"), "utf-8")
    assert main([str(collection)]) == 1
    out = capsys.readouterr().out
    for says in (
        "1 clips have no file in",
        "1 files are absent from",
        "Rian (nearest: Rain)",
        "b.wav can't be",
    ):
        assert f"{says}" in out
    assert "Result: 4 of " in out


def test_a_folder_without_labels_is_whole_and_says_so(tmp_path, capsys):
    for name in ("a", "b"):
        soundfile.write(
            tmp_path / f"{name}.wav", np.random.default_rng(len(name)).uniform(-0.1, 0.1, 99), 44100
        )
    assert main([str(tmp_path)]) == 0
    assert (
        "note  labels      none: the clips can be searched and heard, but not scored"
        in capsys.readouterr().out
    )


def test_what_is_no_dataset_has_its_own_exit_code(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "neither a known dataset" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 1
    assert "holds no audio file" in capsys.readouterr().out


def test_a_folder_that_may_not_be_read_is_told_in_a_line(collection, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(collection))

    monkeypatch.setattr("sss_lib.dataset.dataset.inspect", refuse)
    assert main([str(collection)]) == 2
    assert capsys.readouterr().err.startswith("error: [Errno 13] Permission denied")


def test_a_list_is_cut_after_five():
    assert verification._some("abcde") == "a, b, c, d, e"
    assert verification._some("abcdefg") == "a, b, c, d, e, and 2 more"
