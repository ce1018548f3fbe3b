"""What has been run is known after a kill, and what is to be run is known before."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sss_lib import models
from sss_lib.__main__ import main
from sss_lib.experiment.runner import Runner
from sss_lib.experiment.store import Store
from sss_lib.experiment.tasks import Log, Task

TASK = Task("02_processing", "a-mean", {"model": "a", "n_jobs": 2}, ())


@pytest.fixture
def executed(tmp_path):
    """Folder of runs in which the task has ended well, with its log."""
    log = Log(tmp_path / "log.jsonl")
    path = TASK.executed(tmp_path)
    path.parent.mkdir()
    path.write_text("an executed notebook")
    log.add(TASK, tmp_path, 3.0, "")
    return tmp_path


def test_a_run_that_ended_well_is_current_in_a_log_read_again(executed):
    assert TASK.is_current(executed, Log(executed / "log.jsonl"))


@pytest.mark.parametrize(
    "other",
    [
        Task("02_processing", "a-mean", {"model": "b", "n_jobs": 2}, ()),
        Task("03_search", "a-mean", {"model": "a"}, ()),
        Task("02_processing", "a-max", {"model": "a"}, ()),
    ],
)
def test_another_task_is_not(executed, other):
    assert not other.is_current(executed, Log(executed / "log.jsonl"))


def test_the_number_of_workers_does_not_matter(executed):
    other = Task("02_processing", "a-mean", {"model": "a", "n_jobs": 1}, ())
    assert other.is_current(executed, Log(executed / "log.jsonl"))


def test_a_run_whose_notebook_was_changed_or_is_gone_is_not_current(executed):
    TASK.executed(executed).write_text("another notebook")
    assert not TASK.is_current(executed, Log(executed / "log.jsonl"))
    TASK.executed(executed).unlink()
    assert not TASK.is_current(executed, Log(executed / "log.jsonl"))


def test_a_run_that_failed_is_not_current(executed):
    log = Log(executed / "log.jsonl")
    log.add(TASK, executed, 1.0, "ValueError: no")
    assert not TASK.is_current(executed, Log(executed / "log.jsonl"))


def test_a_line_cut_short_by_a_kill_spoils_neither_the_lines_before_nor_after(executed):
    path = executed / "log.jsonl"
    with path.open("a") as file:
        file.write('\n{"task": "02_processing/b", "rec')
    other = Task("03_search", "c", {}, ())
    other.executed(executed).parent.mkdir()
    other.executed(executed).write_text("")
    Log(path).add(other, executed, 1.0, "")
    log = Log(path)
    assert set(log.entries) == {TASK.key, other.key}
    assert TASK.is_current(executed, log)


def test_a_task_is_expected_to_take_as_long_as_last_time_or_as_others_of_its_notebook(executed):
    log = Log(executed / "log.jsonl")
    other = Task("02_processing", "b-mean", {"model": "b"}, ())
    log.add(other, executed, 5.0, "")
    assert log.expected_s(TASK) == 3
    assert log.expected_s(Task("02_processing", "c-mean", {"model": "c"}, ())) == 4
    assert log.expected_s(Task("02_processing", "b-max", {"model": "b"}, ())) == 5
    assert log.expected_s(Task("03_search", "c-mean", {}, ())) is None


@pytest.fixture
def runner(collection, tmp_path):
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel, duration]\nn_components: [null, 4]\nsearches: [nns, mips]")
    return Runner(grid, str(collection), Store(tmp_path / "data"), tmp_path / "figures", 2)


def test_a_plan_says_what_is_run_before_anything_is(runner, capsys, tmp_path):
    planned = {stage: len(tasks) for stage, tasks in runner.plan().items()}
    assert planned == {
        "00_dataset": 1,
        "01_extraction": 2,
        "02_processing": 3,
        "03_search": 3,
        "04_evaluation": 3,
        "05_figures": 1,
    }
    out = capsys.readouterr().out
    assert "grid.yaml on tiny: 2 models, 3 variants, 6 systems" in out
    assert "left out: duration has 2 dimensions: no PCA 4" in out
    assert "how long it takes, no earlier run tells" in out
    assert not (tmp_path / "data").exists()


def test_a_plan_says_that_what_follows_from_a_change_may_have_to_run_too(runner, capsys, monkeypatch):
    monkeypatch.setattr(Task, "is_current", lambda task, *_: task.notebook != "01_extraction")
    runner.plan()
    states = {line.split()[0]: line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()}
    assert states["00_dataset"] == "up to date"
    assert states["01_extraction"] == "2 to run"
    assert states["02_processing"] == "up to date, unless the results above change"


def test_a_plan_names_the_weights_to_be_fetched_and_fetches_neither_them_nor_the_sounds(
    collection, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SSS_CACHE", str(tmp_path / "cache"))
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel, wav2clip, imagebind-huge, imagebind-huge+paper]\ndatasets: [fsd50k]")
    folders = ["--data-dir", str(tmp_path / "data"), "--figures-dir", str(tmp_path / "figures")]
    assert main(["run", str(grid), "--plan", *folders]) == 2
    assert "run `make data DATASET=fsd50k`" in capsys.readouterr().err
    assert main(["run", str(grid), "--plan", "--dataset", str(collection), *folders]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "to be fetched" in line]
    free, other = (models.spec(name).weights.file for name in ("wav2clip", "imagebind-huge"))
    assert told == [
        f"  weights to be fetched first: {free}",
        f"  weights to be fetched first, not for commercial use: {other}",
    ]
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "data").exists()


def test_a_plan_tells_how_long_it_takes_as_far_as_earlier_runs_tell(runner, capsys):
    runner.log.add(Task("02_processing", "x", {}, ()), runner.runs_dir, 10.0, "")
    runner.plan()
    assert "about 15 s, by earlier runs, and 10 notebooks that none tells of" in capsys.readouterr().out


def test_what_does_not_need_a_failed_notebook_is_run_and_what_needs_it_is_not(
    collection, tmp_path, monkeypatch, capsys
):
    def attempt(task, runs_dir, **_):
        return task, 1.0, "ValueError: no" if task.key == "02_processing/logmel-none-pcanone-l2" else ""

    monkeypatch.setattr("sss_lib.experiment.runner.attempt", attempt)
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel, duration]\nn_components: [null, 2]")
    data = ["--data-dir", str(tmp_path / "data"), "--figures-dir", str(tmp_path / "figures")]
    assert main(["run", str(grid), "--dataset", str(collection), "--n-jobs", "1", *data]) == 1
    lines = (tmp_path / "data" / "runs" / "tiny" / "log.jsonl").read_text().split("\n")
    ran = [json.loads(line)["task"] for line in lines if line]
    assert len(ran) == 13
    assert {key for key in ran if key.startswith(("03", "04", "05"))} == {
        f"{stage}/{name}"
        for stage in ("03_search", "04_evaluation")
        for name in ("logmel-none-pca2-l2", "duration-none-pcanone-l2", "duration-none-pca2-l2")
    }
    error = capsys.readouterr().err
    path = tmp_path / "data" / "runs" / "tiny" / "02_processing" / "logmel-none-pcanone-l2.ipynb"
    assert f"FAILED {path}\n  ValueError: no" in error
    assert "1 of 13 notebooks FAILED, and what needs them was not run" in error


def run_with(failing, grid, tmp_path, monkeypatch, *datasets):
    """Run a grid whose notebooks only seem to run; return the exit code and what was run."""
    ran = []

    def attempt(task, runs_dir, **_):
        ran.append(task.key)
        return task, 1.0, "ValueError: no" if task.key in failing else ""

    monkeypatch.setattr("sss_lib.experiment.runner.attempt", attempt)
    path = tmp_path / "grid.yaml"
    path.write_text(grid + f"\ndatasets: {json.dumps(list(map(str, datasets)))}")
    folders = ["--data-dir", str(tmp_path / "data"), "--figures-dir", str(tmp_path / "figures")]
    return main(["run", str(path), "--n-jobs", "1", *folders]), ran


def test_a_failed_dataset_does_not_keep_the_next_from_running(collection, tmp_path, monkeypatch, capsys):
    other = tmp_path / "other"
    shutil.copytree(collection, other)
    code, ran = run_with({"00_dataset/tiny"}, "models: duration", tmp_path, monkeypatch, collection, other)
    assert code == 1
    assert "00_dataset/other" in ran
    assert "tiny.ipynb" in capsys.readouterr().err


def test_a_failure_that_leaves_nothing_of_the_grid_is_the_one_that_is_told(
    collection, tmp_path, monkeypatch, capsys
):
    grid = "models: [logmel, duration]\nn_components: 4"  # which duration can't have
    code, ran = run_with({"01_extraction/logmel"}, grid, tmp_path, monkeypatch, collection)
    assert code == 1
    assert ran == ["00_dataset/tiny", "01_extraction/logmel", "01_extraction/duration"]
    assert f"{Path('01_extraction', 'logmel.ipynb')}\n  ValueError: no" in capsys.readouterr().err


def test_what_too_few_clips_rule_out_is_told_once_they_are_embedded(
    collection, tmp_path, monkeypatch, capsys
):
    embedded = {}

    def attempt(task, runs_dir, **_):
        if task.notebook == "01_extraction":
            embedded["logmel"] = 3
        return task, 1.0, ""

    monkeypatch.setattr("sss_lib.experiment.runner.attempt", attempt)
    monkeypatch.setattr("sss_lib.experiment.results.n_clips", lambda *_: dict(embedded))
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel, duration]\nn_components: [null, 4]")
    runner = Runner(grid, str(collection), Store(tmp_path / "data"), tmp_path / "figures", 1)
    assert runner.run()
    planned, ran = capsys.readouterr().out.split("how long it takes")
    assert "left out: duration has 2 dimensions: no PCA 4" in planned
    assert ran.count("left out: logmel has embedded 3 clips: no PCA 4") == 1
    assert "duration" not in ran


def test_two_runs_on_one_dataset_do_not_write_over_each_other(runner, tmp_path):
    script = (
        "import sys; from sss_lib.io.artefact import locked\n"
        "with locked(sys.argv[1]): print('locked', flush=True); sys.stdin.read()"
    )
    runner.runs_dir.mkdir(parents=True)
    (runner.runs_dir / "pid").write_text("123")
    arguments = [sys.executable, "-c", script, runner.runs_dir / "pid"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(arguments, **pipes) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="process 123 runs a grid on tiny already: wait for it"):
            runner.run()
        other.stdin.close()


def test_a_grid_with_fewer_searches_finds_its_work_done(executed):
    log = Log(executed / "log.jsonl")
    three = Task("03_search", "a", {"searches": ["nns", "mips", "mcss"]}, ())
    three.executed(executed).parent.mkdir()
    three.executed(executed).write_text("executed")
    log.add(three, executed, 1.0, "")
    assert Task("03_search", "a", {"searches": ["nns"]}, ()).is_current(executed, log)
