"""A run that is killed or ended goes on to the same results, and leaves neither processes nor files."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import in_process
import numpy as np
import pytest
import soundfile
from killed import digests

from sss_lib.__main__ import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc"),
]
GRID = "models: [duration]\nnormalize: [true, false]\nsearches: [nns]\ncutoffs: [3]\n"


def litter(*folders):
    hidden = [path for folder in folders for path in folder.rglob(".*")]
    return [path for path in hidden if not path.name.endswith((".lock", ".embedding.npy"))]


def processes(mark):
    """Command lines of the living processes that a run has started, by process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = f"OF_THE_RUN={mark}".encode() in (path / "environ").read_bytes()
            if is_ours and (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended meanwhile
            continue
    return found


class Killed:
    """A grid's run in a folder, through the command line."""

    def __init__(self, folder):
        self.folder, self.mark = folder, uuid.uuid4().hex
        self.data, self.figures = folder / "data", folder / "figures"
        (folder / "grid.yaml").write_text(GRID)
        for name, hz in (("dog", 300), ("cat", 600)):
            for i in range(3):
                path = folder / "sounds" / name / f"{i}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                wave = 0.3 * np.sin(2 * np.pi * (hz + 20 * i) * np.arange(8000 + 1600 * i) / 16000)
                soundfile.write(path, wave, 16000)

        words = ["run", folder / "grid.yaml", "--dataset", folder / "sounds", "--n-jobs", "2"]
        words += ["--data-dir", self.data, "--figures-dir", self.figures]
        self.words = [str(word) for word in words]

    def start(self):
        system = {**os.environ, "OF_THE_RUN": self.mark}
        (self.folder / "out").touch()
        with (self.folder / "out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "sss_lib", *self.words], stdout=out, stderr=out, env=system
            )

    def wait_for(self, pattern, n, process):
        """Wait until there are n such files, and a moment more, in which the next notebooks begin."""
        while len(list(self.data.glob(pattern))) < n:
            assert process.poll() is None, (self.folder / "out").read_text()
            time.sleep(0.1)
        time.sleep(2)

    def left_after(self, seconds):
        end = time.monotonic() + seconds
        while (found := processes(self.mark)) and time.monotonic() < end:
            time.sleep(0.2)
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return list(found.values())


def test_a_run_that_is_killed_or_ended_leaves_nothing_and_is_resumed_to_the_same(tmp_path):
    run = Killed(tmp_path)
    for pattern, n, number, code in [
        ("embeddings/*/*/parts.parquet", 1, signal.SIGKILL, -signal.SIGKILL),  # while 02 runs twice
        ("embeddings/*/*.fitted.parquet", 2, signal.SIGTERM, 128 + signal.SIGTERM),  # while 03 does
    ]:
        process = run.start()
        run.wait_for(pattern, n, process)
        process.send_signal(number)
        assert process.wait(10) == code, (tmp_path / "out").read_text()
        assert run.left_after(10) == []
        whole = [path.read_text() for path in run.data.glob("runs/*/*/*.ipynb") if path.name[0] != "."]
        assert whole
        assert all(text.rstrip().endswith("}") for text in whole)
        digests(run.data)
    assert run.start().wait(300) == 0, (tmp_path / "out").read_text()
    assert litter(run.data, run.figures) == []
    found = digests(run.data)

    run.data.rename(tmp_path / "resumed")
    with in_process.kernels_replaced():
        assert main(run.words) == 0
    assert digests(run.data) == found


def test_a_study_killed_at_any_write_is_resumed_to_the_same(tmp_path):
    """At the chosen writes and at random ones."""
    script = Path(__file__).parents[1] / "killed.py"
    command = [sys.executable, str(script), str(tmp_path), "72"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
    assert int(done.stdout.split()[0]) >= 72


def test_a_worker_that_comes_to_its_task_once_its_run_has_ended_ends_too(tmp_path):
    code = (
        "import subprocess, sys, time\nfrom pathlib import Path\nfrom sss_lib.experiment import task\n"
        "ended = subprocess.Popen([sys.executable, '-c', ''])\nended.wait()\n"
        "task.run_notebook = lambda *of, **options: time.sleep(30)\n"
        "task.attempt(task.Task('00_dataset', 'x', {}, ()), Path(sys.argv[1]), alone=False, run=ended.pid)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], timeout=25, check=False).returncode == 1
