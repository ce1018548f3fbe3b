"""What is found in each file, however it is read."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sss_lib import dataset
from sss_lib.dataset.examination import verify


@pytest.mark.parametrize(("n_full", "is_clipped"), [(2, False), (3, True)])
@pytest.mark.parametrize("place", [-1, 0, 1])
def test_a_sound_is_heard_across_the_blocks_that_it_is_read_in(
    collection, monkeypatch, n_full, is_clipped, place
):
    """What is at full scale lies across the border of two blocks of ten."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (45, 2)).astype(np.float32)
    wave[20 + place - 1 : 20 + place - 1 + n_full, 1] = 1
    soundfile.write(collection / "audio" / "b.wav", wave, 44100, subtype="FLOAT")
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
def test_a_file_of_three_hours_is_extracted_and_verified_in_two_gibibytes(tmp_path):
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
