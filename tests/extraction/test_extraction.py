"""Extraction keeps order, survives kills, lists failures, and computes nothing twice."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sss_lib import audio, dataset, experiment, models
from sss_lib.experiment.store import Artefact, Store
from sss_lib.extraction import embedding, extraction, parts
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.weights import file as weights

ORDER = ["b", "007", "é", "1e5", "a"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Five clips make parts of two, two and one, each clip a group of its own."""
    monkeypatch.setattr(parts, "PART_CLIPS", 2)
    monkeypatch.setattr(embedding, "GROUP_CLIPS", 1)


@pytest.fixture
def out_dir(tmp_path):
    return tmp_path / "out"


def read(folder):
    return parts.read(Artefact(folder / "parts.parquet", {}))


def digests(folder):
    return Artefact(folder / "parts.parquet", {}).read().to_pydict()["digest"]


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Model whose weights nobody published a digest of, and the place for them."""
    url = "https://example.org/held.pt"
    row = replace(
        models.spec("logmel"), name="held", weights=weights.Weights("held.pt", "MIT", "a page", url=url)
    )
    monkeypatch.setitem(CATALOGUE, "held", row)
    monkeypatch.setenv("SSS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "held.pt"


def test_weights_put_there_by_hand_are_recorded_by_the_first_extraction(collection, tmp_path, held):
    held.write_bytes(b"\x80 weights")
    sounds, store = dataset.load(collection), Store(tmp_path / "data")
    store.dataset(sounds.name).write({"fname": ORDER})
    reports = [experiment.extract_to(store, sounds, "held") for _ in range(2)]
    assert [report.n_new for report in reports] == [5, 0]
    digest = hashlib.sha256(held.read_bytes()).hexdigest()
    frames = store.frames(sounds.name, "held")
    assert frames.is_current()
    for path in (frames.path, *parts.part_files(frames)):
        assert Artefact(path, {}).metadata()["recipe"]["parameters"]["weights"] == digest


@pytest.mark.parametrize("n_jobs", ["2", 0, -2, 1.5, None, True])
def test_what_is_no_number_of_processes_is_refused_before_anything_is_read(collection, tmp_path, n_jobs):
    with pytest.raises(ValueError, match=f"n_jobs={n_jobs!r}: give a whole number from 1, or -1"):
        extraction.extract(dataset.load(collection), "duration", tmp_path / "out", n_jobs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "n_jobs", "error", "message"),
    [
        ("held", 1, FileNotFoundError, r"held\.pt, the weights of held, is missing"),
        ("held", 2, FileNotFoundError, r"held\.pt, the weights of held, is missing"),
        ("durations", 1, ValueError, "did you mean 'duration'"),
    ],
)
def test_missing_weights_and_unknown_models_are_refused_before_anything_is_written(
    collection, out_dir, held, model, n_jobs, error, message
):
    with pytest.raises(error, match=message):
        extraction.extract(dataset.load(collection), model, out_dir, n_jobs)
    assert not out_dir.exists()


def write_times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}


ROUNDING = {"rtol": 1e-6, "atol": 1e-6}
"""Some units of the last place of float32 at values up to 10. Products are summed in another order on another
number of threads, which a worker and the process that runs the tests need not share."""


def break_clips(collection, *fnames):
    for fname in fnames:
        (collection / "audio" / f"{fname}.wav").write_text("not sound")


@pytest.mark.parametrize("model", ["duration", "logmel"])
def test_every_clip_gets_what_the_model_says_of_its_wave_in_dataset_order(collection, out_dir, model):
    tiny = dataset.load(collection)
    report = extraction.extract(tiny, model, out_dir)
    frames = read(out_dir)
    assert frames.fnames == ORDER
    assert frames.offsets.tolist() == [0, 1, 2, 3, 4, 5]
    assert np.isnan(frames.hop_s)  # one embedding a clip has no hop
    extractor = models.load(model)
    for row, path in zip(frames.values, tiny.clips["path"], strict=True):
        np.testing.assert_allclose(row, extractor(audio.decode(path, 44100))[0], **ROUNDING)
    assert (report.n_clips, report.n_frames, report.n_new, len(report.failures)) == (5, 5, 5, 0)
    assert (report.model, report.dataset) == (model, "tiny")
    assert sorted(path.name for path in out_dir.iterdir()) == [
        "failures.csv",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
        "parts.parquet",
    ]


@pytest.mark.parametrize("model", ["duration", "logmel"])
def test_the_number_of_processes_changes_nothing(collection, out_dir, model):
    rng = np.random.default_rng(0)
    for i, path in enumerate(sorted((collection / "audio").iterdir())):
        soundfile.write(path, rng.uniform(-0.1, 0.1, 4410 * (i + 4)), 44100)
    break_clips(collection, "1e5")
    tiny = dataset.load(collection)
    reports = [extraction.extract(tiny, model, out_dir / str(n_jobs), n_jobs) for n_jobs in (1, 2)]
    pd.testing.assert_frame_equal(reports[0].failures, reports[1].failures)
    assert str(reports[0]) == str(reports[1])
    one, two = read(out_dir / "1"), read(out_dir / "2")
    assert one.fnames == two.fnames == ["b", "007", "é", "a"]
    np.testing.assert_allclose(one.values, two.values, **ROUNDING)


def test_clips_that_fail_are_listed_with_the_reason_and_embedded_once_they_are_repaired(
    collection, out_dir, tmp_path
):
    shutil.copytree(collection, tmp_path / "whole")
    tiny = dataset.load(collection)
    break_clips(collection, "007")  # beside a good clip in its part
    (collection / "audio" / "a.wav").unlink()  # alone in its part
    report = extraction.extract(tiny, "duration", out_dir)
    failures = pd.read_csv(out_dir / "failures.csv", dtype=str)
    pd.testing.assert_frame_equal(failures, report.failures, check_dtype=False)
    assert failures["fname"].tolist() == ["007", "a"]
    assert "can't be decoded" in failures["reason"][0]
    assert "is not a file" in failures["reason"][1]
    frames = read(out_dir)
    assert frames.fnames == ["b", "é", "1e5"]
    lengths_s = [0.4, 0.5, 0.2]
    expected = [[np.log(length_s), np.log(0.5 / np.sqrt(2))] for length_s in lengths_s]  # sines of 0.5
    np.testing.assert_allclose(frames.values, expected, atol=1e-4)
    assert (report.n_clips, report.n_frames, report.n_new) == (3, 3, 3)
    assert "2 clips FAILED" in str(report)
    assert "007: " in str(report)
    shutil.copytree(tmp_path / "whole", collection, dirs_exist_ok=True)
    report = extraction.extract(dataset.load(collection), "duration", out_dir)
    assert report.n_new == 3
    assert len(report.failures) == len(pd.read_csv(out_dir / "failures.csv")) == 0
    assert read(out_dir).fnames == ORDER


WITHOUT_END = """
import sys
from sss_lib import audio, dataset, extraction
found = dataset.load(sys.argv[1])
print(dataset.verify(found, 1)["problem"].tolist())
print([audio.duration_s(path) for path in found.clips["path"]])
print(extraction.extract(found, "duration", sys.argv[2]).failures["fname"].tolist())
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes that have names")
def test_a_pipe_and_a_device_are_listed_and_hold_nobody_up(tmp_path, out_dir):
    folder = tmp_path / "odd"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.full(800, 0.1), 800)
    os.mkfifo(folder / "pipe.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    command = [sys.executable, "-c", WITHOUT_END, folder, out_dir]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    problems, durations, failed = done.stdout.splitlines()
    assert problems.count("is not a file") == 2
    assert durations == "[1.0, nan, nan]"
    assert failed == "['pipe', 'zero']"


def test_when_every_clip_is_broken_the_run_fails_each_time(collection, out_dir):
    break_clips(collection, *ORDER)
    artefact = Artefact(out_dir / "parts.parquet", {})
    for _ in range(2):
        with pytest.raises(ValueError, match="duration embedded none of the 5 clips of tiny"):
            extraction.extract(dataset.load(collection), "duration", out_dir, artefact=artefact)
        assert not artefact.is_current()
    assert pd.read_csv(out_dir / "failures.csv", dtype=str)["fname"].tolist() == ORDER


def test_a_second_run_computes_nothing_nor_one_with_other_labels(collection, out_dir, monkeypatch):
    tiny = dataset.load(collection)
    break_clips(collection, "007")
    first = extraction.extract(tiny, "duration", out_dir)
    before = write_times(out_dir)
    monkeypatch.setattr(embedding, "_embed", None)  # calling it would raise TypeError
    ground_truth = collection / "ground_truth.csv"
    ground_truth.write_text(ground_truth.read_text("utf-8").replace("Rain,ann", "Cat,ann"), "utf-8")
    for again in (tiny, dataset.load(collection)):
        second = extraction.extract(again, "duration", out_dir)
        assert (second.n_new, second.n_clips, second.n_frames) == (0, 4, 4)
        pd.testing.assert_frame_equal(second.failures, first.failures)
        assert write_times(out_dir) == before


def test_a_dataset_read_back_with_its_report_counts_as_the_same(collection, out_dir, tmp_path):
    tiny, artefact = dataset.load(collection), Store(tmp_path).dataset("tiny")
    dataset.write(artefact, tiny, dataset.verify(tiny))
    extraction.extract(tiny, "duration", out_dir)
    assert extraction.extract(dataset.read(artefact), "duration", out_dir).n_new == 0


def test_a_changed_clip_has_only_its_part_computed_again(collection, out_dir):
    extraction.extract(dataset.load(collection), "duration", out_dir)
    before = write_times(out_dir)
    soundfile.write(collection / "audio" / "1e5.wav", np.full(2 * 44100, 0.5), 44100)
    assert extraction.extract(dataset.load(collection), "duration", out_dir).n_new == 2
    after = write_times(out_dir)
    assert [name for name in before if before[name] != after[name]] == ["part-00001.parquet"]
    duration_s, level = np.exp(read(out_dir).values).T
    np.testing.assert_allclose(duration_s, [0.4, 0.1, 0.5, 2, 0.3], rtol=1e-4)
    np.testing.assert_allclose(level, np.array([1, 1, 1, np.sqrt(2), 1]) * 0.5 / np.sqrt(2), rtol=1e-4)


def test_clips_in_another_order_or_with_another_name_are_computed_again(collection, out_dir):
    extraction.extract(dataset.load(collection), "duration", out_dir)
    (collection / "audio" / "a.wav").rename(collection / "audio" / "c.wav")
    ground_truth = collection / "ground_truth.csv"
    text = ground_truth.read_text("utf-8").replace("a,Animal", "c,Animal")
    ground_truth.write_text(text, "utf-8")
    assert extraction.extract(dataset.load(collection), "duration", out_dir).n_new == 1
    assert read(out_dir).fnames == [*ORDER[:-1], "c"]
    header, *rows = text.splitlines()
    ground_truth.write_text("\n".join([header, *reversed(rows)]), "utf-8")
    assert extraction.extract(dataset.load(collection), "duration", out_dir).n_new == 5
    assert read(out_dir).fnames == ["c", *ORDER[-2::-1]]


def test_changed_code_or_another_model_is_computed_again(collection, out_dir, monkeypatch):
    tiny = dataset.load(collection)
    extraction.extract(tiny, "duration", out_dir)
    assert extraction.extract(tiny, "logmel", out_dir).n_new == 5
    assert np.shape(read(out_dir).values) == (5, 128)
    monkeypatch.setattr("sss_lib.io.artefact.code_digest", lambda modules: "other code")
    assert extraction.extract(tiny, "logmel", out_dir).n_new == 5


@pytest.mark.parametrize(("n_done", "n_left"), [(1, 5), (3, 3), (4, 1)])
def test_a_killed_run_keeps_the_finished_parts_and_resumes_to_the_same_result(
    collection, out_dir, monkeypatch, n_done, n_left
):
    tiny, embed, calls = dataset.load(collection), embedding._embed, []

    def embed_until_killed(*args):
        calls.append(args)
        if len(calls) > n_done:
            raise KeyboardInterrupt
        return embed(*args)

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "_embed", embed_until_killed)
        with pytest.raises(KeyboardInterrupt):
            extraction.extract(tiny, "logmel", out_dir)
    assert len(write_times(out_dir)) == n_done // 2
    assert not (out_dir / "parts.parquet").exists()
    kept = write_times(out_dir)

    assert extraction.extract(tiny, "logmel", out_dir).n_new == n_left
    assert kept.items() <= write_times(out_dir).items()
    extraction.extract(tiny, "logmel", out_dir / "at once")
    assert digests(out_dir) == digests(out_dir / "at once")
    np.testing.assert_array_equal(read(out_dir).values, read(out_dir / "at once").values)


def test_parts_that_are_no_longer_needed_are_removed(collection, out_dir, monkeypatch):
    extraction.extract(dataset.load(collection), "duration", out_dir)
    (out_dir / "notes.txt").write_text("not a part")
    monkeypatch.setattr(parts, "PART_CLIPS", 4)
    extraction.extract(dataset.load(collection), "duration", out_dir)
    assert sorted(write_times(out_dir)) == ["part-00000.parquet", "part-00001.parquet"]
    assert read(out_dir).fnames == ORDER
    assert (out_dir / "notes.txt").exists()


@pytest.mark.parametrize(("most_bytes", "n_read"), [(0, 2), (10**6, 1)])
def test_small_parts_are_read_once_and_large_ones_each_time(
    collection, out_dir, monkeypatch, most_bytes, n_read
):
    extraction.extract(dataset.load(collection), "duration", out_dir)
    tables, begun = parts._tables, []
    monkeypatch.setattr(parts, "SMALL_BYTES", most_bytes)
    monkeypatch.setattr(parts, "_tables", lambda artefact: begun.append(1) or tables(artefact))
    frames = parts.Parts(Artefact(out_dir / "parts.parquet", {}))
    for _ in range(2):
        assert [name for part in frames for name in part.fnames] == ORDER
    assert len(begun) == n_read


def test_extraction_into_a_store_is_current_until_the_dataset_changes(collection, tmp_path):
    store = Store(tmp_path / "data")
    frames = store.frames("tiny", "duration")
    for n_new in (5, 1):
        assert not frames.is_current()
        tiny = dataset.load(collection)
        dataset.write(store.dataset("tiny"), tiny, dataset.verify(tiny))
        assert not frames.is_current()
        assert experiment.extract_to(store, tiny, "duration").n_new == n_new
        assert frames.is_current()
        assert parts.read(frames).fnames == ORDER
        soundfile.write(collection / "audio" / "a.wav", np.full(100, 0.5), 44100)
        changed = dataset.load(collection)
        dataset.write(store.dataset("tiny"), changed, dataset.verify(changed))


def test_a_clip_of_three_hours_does_not_exhaust_the_memory(tmp_path):
    n_bytes = 3 * 3600 * 44100 * 2
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(0), 44100, subtype="PCM_16")
    header = bytearray(path.read_bytes())
    header[4:8] = (n_bytes + 36).to_bytes(4, "little")
    header[40:44] = n_bytes.to_bytes(4, "little")
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(44 + n_bytes)  # silence that takes no room on the disk
    code = (
        "import sys, memory; from sss_lib import audio, models\n"
        "wave = audio.decode(sys.argv[1], 44100)\n"
        "print(len(models.load('logmel')(wave)), memory.peak_mib())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    ).stdout
    n_frames, mebibytes = out.split()
    assert int(n_frames) == 1
    assert float(mebibytes) < 1024


def test_windows_are_extracted_as_the_same_samples_in_files_of_their_own(collection, tmp_path):
    store = Store(tmp_path / "data")
    windows = dataset.load(collection, window=0.2)
    report = dataset.verify(windows)
    assert report["problem"].tolist() == [""] * len(windows)
    np.testing.assert_allclose(report["duration_s"], windows.clips["end_s"] - windows.clips["start_s"])
    dataset.write(store.dataset(windows.name), windows, report)
    read = dataset.read(store.dataset(windows.name))
    assert read.clips["fname"].tolist() == windows.clips["fname"].tolist()
    experiment.extract_to(store, read, "logmel")
    found = parts.read(store.frames(windows.name, "logmel"))
    cut = tmp_path / "cut.wav"
    for i, path in enumerate(windows.clips["path"]):
        soundfile.write(cut, *audio.read(path), subtype="FLOAT")
        own = found.values[slice(*found.offsets[i : i + 2])]  # noqa: PD011
        np.testing.assert_array_equal(own, models.load("logmel")(audio.decode(cut, 44100)))
    assert store.frames(windows.name, "logmel").is_current()


@pytest.mark.parametrize("is_verified", [True, False])
def test_a_changed_file_makes_its_windows_stale(collection, tmp_path, is_verified):
    store = Store(tmp_path / "data")

    def extract():
        windows = dataset.load(collection, window=0.2)
        if is_verified:
            dataset.write(store.dataset(windows.name), windows, dataset.verify(windows))
            windows = dataset.read(store.dataset(windows.name))
        return extraction.extract(windows, "duration", tmp_path / "out").n_new

    assert (extract(), extract()) == (9, 0)
    soundfile.write(collection / "audio" / "é.wav", np.full(22050, 0.25), 44100)
    assert extract() == 4  # in parts of two


HOURS = """
import sys
from pathlib import Path
import memory
from sss_lib import dataset, extraction
sounds = dataset.load(sys.argv[1], window=20)
report = extraction.extract(sounds, "duration", Path(sys.argv[1]).with_name("out"))
print(report.n_clips, sounds.clips["fname"].iloc[-1].replace(" ", "_"), memory.peak_mib())
"""


@pytest.mark.slow
def test_windows_of_a_file_of_three_hours_take_little_memory(tmp_path):
    """The file's samples alone would take 330 MiB as float32; the same with a short file shows the rest."""
    folders = os.pathsep.join([str(Path(__file__).parent.parent), str(Path(dataset.__file__).parents[2])])
    rng, mib = np.random.default_rng(0), []
    for hours, n_clips, last in ((0.01, 2, "0:16-0:36_of_a"), (3, 540, "2:59:40-3:00:00_of_a")):
        folder = tmp_path / str(hours) / "sounds"
        folder.mkdir(parents=True)
        minute = rng.integers(-9999, 9999, 8000 * 36, dtype=np.int16)
        with soundfile.SoundFile(folder / "a.wav", "w", 8000, 1) as file:
            for _ in range(round(hours * 100)):
                file.write(minute)
        command = [sys.executable, "-c", HOURS, folder]
        environment = {**os.environ, "PYTHONPATH": folders}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert not done.returncode, done.stderr
        said = done.stdout.split()
        assert (int(said[0]), said[1]) == (n_clips, last)
        mib.append(float(said[2]))
    assert mib[1] - mib[0] < 100
