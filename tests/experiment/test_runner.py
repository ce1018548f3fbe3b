"""What has been run is known after a kill, and what is to be run is known before."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sss_lib import dataset, models
from sss_lib.__main__ import main
from sss_lib.experiment import NOTEBOOKS, stages
from sss_lib.experiment.runner import Runner
from sss_lib.experiment.store import Artefact, Store
from sss_lib.experiment.task import Log, Task, run_notebook

TASK = Task("02_processing", "a-mean", {"model": "a", "n_jobs": 2}, ())


def execute(task, runs_dir, **changed):
    """Write a notebook as papermill leaves it when it has run a task."""
    notebook = json.loads((NOTEBOOKS / f"{task.notebook}.ipynb").read_text())
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell["execution_count"] = i + 1
    injected = {"cell_type": "code", "source": "x = 1", "execution_count": 1}
    notebook["cells"].insert(3, {**injected, "metadata": {"tags": ["injected-parameters"]}})
    run = {"parameters": dict(task.parameters), "exception": None}
    notebook["metadata"]["papermill"] = run | changed
    path = task.executed(runs_dir)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path


@pytest.fixture
def executed(tmp_path):
    """Folder of runs in which the task has ended well."""
    execute(TASK, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("task", "is_current"),
    [
        (TASK, True),
        (replace(TASK, parameters={"model": "a", "n_jobs": 1}), True),  # which changes no result
        (replace(TASK, parameters={"model": "b", "n_jobs": 2}), False),
        (replace(TASK, parameters={"model": "a", "scale": None}), False),
        (replace(TASK, parameters={}), False),
        (replace(TASK, notebook="03_search"), False),
        (replace(TASK, name="a-max"), False),
        (replace(TASK, files=(NOTEBOOKS / "no such figure.svg",)), False),
        (replace(TASK, outputs=(Artefact(NOTEBOOKS / "no such.parquet", {}),)), False),
    ],
)
def test_a_task_is_current_if_it_has_run_with_its_parameters_and_its_outputs_are_current(
    executed, task, is_current
):
    assert task.is_current(executed) is is_current


def test_a_grid_with_fewer_searches_finds_its_work_done(tmp_path):
    three = Task("03_search", "a", {"searches": ["nns", "mips", "mcss"]}, ())
    execute(three, tmp_path)
    assert replace(three, parameters={"searches": ["nns"]}).is_current(tmp_path)


@pytest.mark.parametrize(
    ("kind", "changed", "is_current"),
    [
        ("markdown", {"source": "other words"}, True),
        ("code", {"source": "other code"}, False),
        ("code", {"execution_count": None}, False),  # the kernel was killed before
    ],
)
def test_other_code_makes_a_run_stale_and_other_prose_does_not(executed, kind, changed, is_current):
    path = TASK.executed(executed)
    notebook = json.loads(path.read_text())
    [cell for cell in notebook["cells"] if cell["cell_type"] == kind][-1].update(changed)
    path.write_text(json.dumps(notebook))
    assert TASK.is_current(executed) is is_current


def test_a_run_that_failed_or_whose_notebook_is_damaged_or_gone_is_not_current(executed):
    path = execute(TASK, executed, exception=True)
    assert not TASK.is_current(executed)
    whole = execute(TASK, executed).read_text()
    assert TASK.is_current(executed)
    for text in (whole[:500], "[]", "{}"):
        path.write_text(text)
        assert not TASK.is_current(executed)
    path.unlink()
    assert not TASK.is_current(executed)


def test_a_line_cut_short_by_a_kill_spoils_neither_the_lines_before_nor_after(tmp_path):
    path, other = tmp_path / "log.jsonl", Task("03_search", "c", {}, ())
    Log(path).add(TASK, 3.0)
    with path.open("a") as file:
        file.write('\n{"task": "02_processing/b", "rec')
    Log(path).add(other, 1.0)
    assert set(Log(path).entries) == {TASK.key, other.key}


def test_a_task_is_expected_to_take_as_long_as_last_time_or_as_others_of_its_notebook(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.add(TASK, 3.0)
    log.add(Task("02_processing", "b-mean", {"model": "b"}, ()), 5.0)
    log = Log(tmp_path / "log.jsonl")
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
        "05_figures": 3,
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
    runner.log.add(Task("02_processing", "x", {}, ()), 10.0)
    runner.plan()
    assert "about 15 s, by earlier runs, and 12 notebooks that none tells of" in capsys.readouterr().out


def test_what_does_not_need_a_failed_notebook_is_run_and_what_needs_it_is_not(
    collection, tmp_path, monkeypatch, capsys
):
    def attempt(task, runs_dir, **_):
        return task, 1.0, "ValueError: no" if task.key == "02_processing/logmel-none-pcanone-l2" else ""

    monkeypatch.setattr("sss_lib.experiment.task.attempt", attempt)
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

    monkeypatch.setattr("sss_lib.experiment.task.attempt", attempt)
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

    monkeypatch.setattr("sss_lib.experiment.task.attempt", attempt)
    monkeypatch.setattr("sss_lib.experiment.results.n_clips", lambda *_: dict(embedded))
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel, duration]\nn_components: [null, 4]")
    runner = Runner(grid, str(collection), Store(tmp_path / "data"), tmp_path / "figures", 1)
    assert runner.run()
    planned, ran = capsys.readouterr().out.split("how long it takes")
    assert "left out: duration has 2 dimensions: no PCA 4" in planned
    assert ran.count("left out: logmel has embedded 3 clips: no PCA 4") == 1
    assert "duration" not in ran


def test_two_runs_on_one_dataset_do_not_write_over_each_other(runner):
    script = (
        "import sys; from sss_lib.io.artefact import locked\n"
        "with locked(sys.argv[1]): print('locked', flush=True); sys.stdin.read()"
    )
    runner.runs_dir.mkdir(parents=True)
    pid = runner.runs_dir / "pid"
    pid.write_text("123")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script, pid], **pipes) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="process 123 runs a grid on tiny already: wait for it"):
            runner.run()
        other.kill()  # the lock is released, however its holder ends
        other.wait()
    with runner._lock():
        assert pid.read_text() == str(os.getpid())


def test_an_unknown_notebook_parameter_is_refused(tmp_path):
    message = (
        r"'n_component' is not among the parameters of 02_processing\.ipynb: did you mean 'n_components'"
    )
    with pytest.raises(ValueError, match=message):
        run_notebook(NOTEBOOKS / "02_processing.ipynb", tmp_path / "out.ipynb", {"n_component": 10})
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize(("few", "n_jobs", "at_a_time"), [(5, 1, 2), (4, 2, 1)])
def test_models_embed_few_clips_side_by_side_and_many_with_all_workers(
    collection, tmp_path, monkeypatch, few, n_jobs, at_a_time
):
    monkeypatch.setattr(stages, "FEW_CLIPS", few)
    grid, tiny = tmp_path / "grid.yaml", dataset.load(collection)
    grid.write_text("models: [duration, logmel]\n")
    dataset.write(Store(tmp_path).dataset(tiny.name), tiny, dataset.verify(tiny))
    runner = Runner(grid, str(collection), Store(tmp_path), tmp_path / "figures", 2)
    assert [one.parameters["n_jobs"] for one in runner.stages.of_extraction()] == [n_jobs] * 2
    assert runner._at_a_time("01_extraction") == at_a_time
