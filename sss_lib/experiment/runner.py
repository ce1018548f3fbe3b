"""Run a grid: plan the notebooks that it needs, run those that are not current, report what failed."""

import contextlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sss_lib.dataset import table as datasets
from sss_lib.experiment import distributed as clusters
from sss_lib.experiment import pages, reproduction, results, task
from sss_lib.experiment.stages import Stages
from sss_lib.experiment.store import Store
from sss_lib.experiment.task import Log, Task
from sss_lib.io.artefact import locked
from sss_lib.models import registry as models
from sss_lib.models.weights.file import path_of

if TYPE_CHECKING:
    from tqdm import tqdm

PARALLEL = ("02_processing", "03_search", "04_evaluation", "05_figures")
"""Notebooks that run several at a time; 01 does if there are few clips. Each of the others uses all cores."""


def _serving() -> contextlib.AbstractContextManager[str | None]:
    from sss_lib.experiment import warm  # imports jupyter_client, which a run without notebooks doesn't need

    return warm.serving()


class Runner:
    """Runs a grid over one dataset, stage by stage, and keeps what failed.

    Parameters
    ----------
    grid_path : Path
    dataset : str
        Name or folder.
    store : Store
    figures_root : Path
        Gets a folder of figures for each dataset, and for each of it and another grid than the main one.
    n_jobs : int
        Notebooks, or clips of one notebook, at a time.
    choice : mapping
        What else `dataset.load` is given: query, name, ground_truth, families, ...
    cluster : str, optional
        Dask workers, in place of `n_jobs` processes: see `clusters.connect`. They have the repository, the
        data and the sounds under the same paths.

    Attributes
    ----------
    stages : Stages
    failures : list of (Path, str)
        Executed notebooks that failed, and why.
    """

    def __init__(
        self,
        grid_path: Path,
        dataset: str,
        store: Store,
        figures_root: Path,
        n_jobs: int,
        choice: Mapping[str, Any] | None = None,
        cluster: str | None = None,
    ):
        self.grid_path, self.cluster = grid_path, cluster
        self.stages = Stages(grid_path, dataset, store, figures_root, n_jobs, choice or {}, cluster)
        self.runs_dir = store.runs_dir(self.stages.name).absolute()  # workers may stand elsewhere
        self.log = Log(self.runs_dir / "log.jsonl")
        self.failures: list[tuple[Path, str]] = []
        self.n_run = 0
        self._printed: set[str] = set()  # of what is left out
        self._tasks: dict[str, list[Task]] = {}  # by stage, as found last
        self._server: str | None = None  # of kernels

    def plan(self) -> dict[str, list[Task]]:
        """Print what there is to do, and return the tasks to run as far as they are known now, by stage.

        A stage's results may change, and then what follows from them is run too.
        """
        stages = self.stages
        systems, left_out = stages.systems()
        n_variants = len({variant for variant, _ in systems})
        print(
            f"{self.grid_path.name} on {stages.name}: {len(stages.grid.models)} models, "
            f"{n_variants} variants, {len(systems)} systems"
        )
        for sentence in stages.left_out + left_out:
            print(f"  left out: {sentence}")
        self._printed = set(left_out)
        todo = {}
        for stage, tasks_of in stages.tasks().items():
            tasks = self._tasks[stage] = tasks_of()
            todo[stage] = self._not_current(tasks)
            state = f"{len(todo[stage])} to run" if todo[stage] else "up to date"
            if not tasks:
                state = "nothing to do" + (" without labels that clips share" if stages.unscored else "")
            elif not todo[stage] and any(todo.values()):
                state += ", unless the results above change"
            print(f"  {stage:14}{len(tasks):6}  {state}")
        self._print_downloads({one.name for one in todo["01_extraction"]})
        if any(todo.values()):
            print(self._expectation(todo))
        return todo

    def run(self) -> bool:
        """Run what isn't current; return whether all of it ended well.

        Raises
        ------
        ValueError
            If another process runs a grid on this dataset.
        """
        from tqdm import tqdm

        begin = time.monotonic()
        planned = self.plan()
        n_planned = sum(map(len, planned.values()))
        bar = tqdm(total=n_planned, unit="notebook", disable=not n_planned, mininterval=0.5)
        nothing = contextlib.nullcontext()
        # A server costs as much as some two kernels. Kernels of a cluster's workers end with their workers.
        server = _serving() if n_planned > 2 and not self.cluster else nothing
        with self._lock(), bar, server as self._server, self._workers() if n_planned else nothing:
            for stage, tasks_of in self.stages.tasks().items() if n_planned else ():
                # A new store sees weights that were downloaded meanwhile.
                self.stages.store = Store(self.stages.store.data_dir)
                if stage == "05_figures" and self.failures and not self._n_scored():
                    break
                self._tasks[stage] = tasks_of()
                todo = self._not_current(self._tasks[stage])
                self._print_left_out(bar)
                bar.total += len(todo) - len(planned[stage])
                bar.set_description(f"{stage:14}")
                if stage == "05_figures" and todo and self.stages.is_committed:
                    shutil.rmtree(self.stages.written_dir, ignore_errors=True)  # of an earlier run
                    todo = self._not_current(tasks_of())
                # 05 comes last: see `stages.FIGURES`.
                for some in (todo[:-1], todo[-1:]) if stage == "05_figures" else (todo,):
                    self._run_tasks(some, bar, at_a_time=self._at_a_time(stage))
                if stage in self.stages.failed:
                    break  # without the dataset there is nothing to do
        print(f"{self.n_run} notebooks run in {time.monotonic() - begin:.0f} s; they are in {self.runs_dir}")
        return not self.failures

    def _at_a_time(self, stage: str) -> int:
        """How many notebooks of a stage run at a time."""
        if stage in PARALLEL:
            return self.stages.n_jobs + 1  # a kernel that starts leaves a core idle
        return self.stages.n_jobs if stage == "01_extraction" and self.stages.extracts_abreast() else 1

    def _not_current(self, tasks: list[Task]) -> list[Task]:
        return [one for one in tasks if not one.is_current(self.runs_dir)]

    def _n_scored(self) -> int:
        """How many systems have scores, which notebook 05 can show."""
        available, _ = results.split_by_availability(self.stages.store, self.stages.name, self.stages.grid)
        return len(available)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep other processes from running notebooks of this dataset, as long as this process lives."""
        self.runs_dir.mkdir(parents=True, exist_ok=True)
        pid = self.runs_dir / "pid"
        try:
            lock = locked(pid).acquire(blocking=False)
        except TimeoutError:
            other = f"process {pid.read_text(encoding='utf-8')}" if pid.exists() else "another process"
            name = self.stages.name
            raise ValueError(f"{other} runs a grid on {name} already: wait for it, or stop it") from None
        with lock:
            pid.write_text(str(os.getpid()))
            yield

    @contextlib.contextmanager
    def _workers(self) -> Iterator[None]:
        """Have notebooks run by the workers of the cluster, if there is one, and let 01 know its address."""
        if not self.cluster:
            yield
            return
        import joblib

        with clusters.connect(self.cluster) as client, joblib.parallel_config("dask", client=client):
            client.register_worker_callbacks(task.import_papermill)
            self.stages.cluster, self.stages.n_jobs = client.scheduler.address, clusters.n_threads(client)
            yield

    def _run_tasks(self, todo: list[Task], bar: "tqdm", *, at_a_time: int) -> None:
        import joblib

        if at_a_time > 1:
            todo = sorted(todo, key=self._goes_last)
            n_jobs = min(at_a_time, len(todo))
            of: dict[str, Any] = {"alone": n_jobs == 1, "server": self._server}
            of["run"] = None if self.cluster else os.getpid()
            work = (joblib.delayed(task.attempt)(one, self.runs_dir, **of) for one in todo)
            ended = joblib.Parallel(n_jobs, return_as="generator_unordered")(work) if todo else ()
        else:  # the notebook uses all cores by itself, and shows how far it is
            of = {"alone": True, "show_progress": True, "server": self._server}
            ended = (task.attempt(one, self.runs_dir, **of) for one in todo)
        done = set()
        try:
            for one, seconds, error in ended:
                done.add(one.key)
                self._note(one, seconds, error)
                bar.update()
        except BrokenProcessPool as error:
            bar.write(f"a worker was killed; the rest of the stage runs one by one ({error})", sys.stderr)
            self._run_tasks([one for one in todo if one.key not in done], bar, at_a_time=1)

    def _goes_last(self, one: Task) -> bool:
        """Whether it begins after others: in 01 all but what Essentia computes, which takes longest."""
        if one.notebook != "01_extraction":
            return False
        return models.spec(str(one.parameters["model"])).requires != "essentia"

    def _note(self, one: Task, seconds: float, error: str) -> None:
        """Keep how long a task took, and what went wrong."""
        self.log.add(one, seconds)
        self.n_run += 1
        if error:
            self.failures.append((one.executed(self.runs_dir), error))
            self.stages.failed |= {one.name, *([one.notebook] if one.notebook == "00_dataset" else [])}

    # What is printed before, meanwhile and after.

    def _print_downloads(self, names: set[str]) -> None:
        """Print which weights these models have to download, and which of them forbid commercial use."""
        specs = [models.spec(model) for model in self.stages.grid.models if models.file_name(model) in names]
        of_files = {one.weights.file: one.weights for one in specs if one.weights and one.weights.url}
        missing = {file: one for file, one in of_files.items() if not path_of(one).is_file()}
        for which, non_commercial in (("", False), (", not for commercial use", True)):
            files = [file for file, one in missing.items() if one.non_commercial is non_commercial]
            if files:
                print(f"  weights to be fetched first{which}: {', '.join(files)}")

    def _print_left_out(self, bar: "tqdm") -> None:
        """Print which systems are left out since the clips that 01 has embedded are too few for them."""
        for sentence in self.stages.systems()[1]:
            if sentence not in self._printed:
                bar.write(f"  left out: {sentence}")
                self._printed.add(sentence)

    def _expectation(self, todo: dict[str, list[Task]]) -> str:
        """How long the run may take, by the times of earlier runs."""
        total_s, n_unknown = 0.0, 0
        for stage, tasks in todo.items():
            seconds = [self.log.expected_s(one) for one in tasks]
            at_a_time = min(self._at_a_time(stage), self.stages.n_jobs)
            total_s += sum(one for one in seconds if one is not None) / at_a_time
            n_unknown += seconds.count(None)
        known = f"about {total_s / 60:.0f} min" if total_s > 90 else f"about {total_s:.0f} s"
        if not n_unknown:
            return f"  expected to take {known}, by earlier runs"
        if not total_s:
            return "  how long it takes, no earlier run tells"
        return f"  expected to take {known}, by earlier runs, and {n_unknown} notebooks that none tells of"

    def report(self) -> None:
        """Print the table of results, the clips without an embedding, and at the end what has failed."""
        stages = self.stages
        if stages.unscored:
            print(f"\n{stages.unscored}")
            print(f"What each clip finds: {self.runs_dir / '03_search'}")
            print(f"To hear it: make listen DATASET={shlex.quote(stages.name)}")
        comparison = results.comparison_artefact(stages.store, stages.name, stages.grid)
        if comparison.is_current():
            print(f"\n{comparison.metadata()['caption']}\n")
            about_model = ["Modality", "Objective", "Parameters", "Data"]  # in the notebook and the file
            print(comparison.read().to_pandas().drop(columns=about_model).to_string(index=False))
            self.report_figures()
        self._report_failed_clips()
        for path, error in sorted(self.failures):
            print(f"\nFAILED {path}\n  {error}", file=sys.stderr)
        if self.failures:
            print(
                f"\n{len(self.failures)} of {self.n_run} notebooks FAILED, and what needs them was not run: "
                "the paths above have the notebooks as far as they came",
                file=sys.stderr,
            )

    def report_figures(self) -> None:
        """Print where the figures are; replace the committed ones by those of a run that differs."""
        stages = self.stages
        whole = stages.store.figures_dir(reproduction.COMMITTED)
        if not stages.is_committed or self.failures or stages.written_dir != whole:
            print(f"\nFigures: {stages.written_dir}")
            return
        compared = reproduction.settle(stages.written_dir, stages.figures_dir)
        print(f"\nFigures: {stages.figures_dir}")
        if compared is not None:
            print(compared if compared.is_reproduced else f"{compared}\n{stages.figures_dir} is written anew")
        self._write_pages(anew=compared is None or not compared.is_reproduced)

    def _write_pages(self, *, anew: bool) -> None:
        """Write the pages that show the executed notebooks; those of equal code and results are kept."""
        stages, folder = self.stages, self.stages.figures_root / pages.FOLDER
        every = [one for tasks in self._tasks.values() for one in tasks]
        clips = datasets.read(stages.store.dataset(stages.name)).clips
        written = pages.update(every, self.runs_dir, folder, map(Path, clips["path"]), anew=anew)
        if written:
            print(f"{len(written)} notebooks as pages: {folder}")

    def _report_failed_clips(self) -> None:
        """Print the clips that have no embedding, and why."""
        failed = results.failures(self.stages.store, self.stages.name, self.stages.grid)
        for model, clips in failed.groupby("model"):
            path = self.stages.store.frames_dir(self.stages.name, model) / "failures.csv"
            print(
                f"\n{len(clips)} clips FAILED in {model} and are left out of its scores ({path}):",
                file=sys.stderr,
            )
            for row in clips.head(5).itertuples():
                print(f"  {row.fname}: {row.reason}", file=sys.stderr)
