"""Run a grid: plan the notebooks that it needs, run those whose results are not current, list what failed."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sss_lib.dataset import sources, table
from sss_lib.experiment import distributed as clusters
from sss_lib.experiment import notebook, reproduction
from sss_lib.experiment import results as experiment
from sss_lib.experiment.grid import MAIN, NOTEBOOKS, Variant, read_grid
from sss_lib.experiment.store import Artefact, Store
from sss_lib.experiment.tasks import Log, Task, attempt
from sss_lib.extraction import extraction
from sss_lib.io.artefact import locked
from sss_lib.models import registry as models
from sss_lib.models.weights.file import path_of
from sss_lib.search.naming import parse

if TYPE_CHECKING:
    from tqdm import tqdm


@dataclass
class Runner:
    """Runs a grid over one dataset, stage by stage, and keeps what failed.

    Attributes
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
        What else `dataset.load` is given: query, name, add_ancestors.
    cluster : str, optional
        Dask workers, in place of `n_jobs` processes: see `clusters.connect`. They have the repository, the
        data and the sounds under the same paths.
    """

    grid_path: Path
    dataset: str
    store: Store
    figures_root: Path
    n_jobs: int
    choice: Mapping[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    failures: list[tuple[Path, str]] = field(default_factory=list)
    n_run: int = 0

    def __post_init__(self) -> None:
        self.grid, self.left_out = read_grid(self.grid_path).available()
        self.data_dir = os.path.relpath(self.store.data_dir, NOTEBOOKS)
        self.name = sources.name_of(self.dataset, self.choice.get("query"), self.choice.get("name"))
        self.is_labelled = True
        name = self.name if self.grid.name == MAIN else f"{self.name}-{self.grid.name}"
        self.figures_dir = self.figures_root / name
        # Of the committed results: a run that gives them again leaves them as they are.
        self.is_committed = (self.name, self.grid.name) == (reproduction.COMMITTED, MAIN)
        self.written_dir = self.store.figures_dir(name) if self.is_committed else self.figures_dir
        self.runs_dir = self.store.runs_dir(self.name).absolute()  # wherever it is run
        self.log = Log(self.runs_dir / "log.jsonl")
        self.failed: set[str] = set()  # names of models and variants
        self._systems_of: tuple | None = None
        self._found: tuple[list, list[str]] = ([], [])
        self._told: set[str] = set()  # of what is left out
        self.stages = {
            "00_dataset": self._dataset_tasks,
            "01_extraction": self._extraction_tasks,
            "02_processing": self._processing_tasks,
            "03_search": self._search_tasks,
            "04_evaluation": self._evaluation_tasks,
            "05_figures": self._figure_tasks,
        }

    def plan(self) -> dict[str, list[Task]]:
        """Print what there is to do, and return the tasks to run as far as they are known now, by stage.

        A stage's results may change, and then what follows from them is run too.
        """
        systems, left_out = self._systems()
        n_variants = len({variant for variant, _ in systems})
        print(
            f"{self.grid_path.name} on {self.name}: {len(self.grid.models)} models, {n_variants} variants, "
            f"{len(systems)} systems"
        )
        for sentence in self.left_out + left_out:
            print(f"  left out: {sentence}")
        self._told = set(left_out)
        todo = {}
        for stage, tasks_of in self.stages.items():
            tasks = tasks_of()
            todo[stage] = [task for task in tasks if not task.is_current(self.runs_dir, self.log)]
            state = f"{len(todo[stage])} to run" if todo[stage] else "up to date"
            if not tasks:
                state = "nothing to do" if self.is_labelled else "nothing to do without labels"
            elif not todo[stage] and any(todo.values()):
                state += ", unless the results above change"
            print(f"  {stage:14}{len(tasks):6}  {state}")
        self._tell_downloads({task.name for task in todo["01_extraction"]})
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
        with self._alone(), bar, self._workers() if n_planned else contextlib.nullcontext():
            for stage, tasks_of in self.stages.items():
                self.store = Store(self.store.data_dir)  # which knows weights that have come meanwhile
                if stage == "05_figures" and self.failures and not self._scored():
                    break
                todo = [task for task in tasks_of() if not task.is_current(self.runs_dir, self.log)]
                self._tell_left_out(bar)
                bar.total += len(todo) - len(planned[stage])
                bar.set_description(f"{stage:14}")
                if stage == "05_figures" and todo and self.is_committed:
                    shutil.rmtree(self.written_dir, ignore_errors=True)  # of an earlier run
                self._run_tasks(todo, bar, parallel=stage in ("02_processing", "03_search", "04_evaluation"))
                if stage in self.failed:
                    break  # without the dataset there is nothing to do
        print(f"{self.n_run} notebooks run in {time.monotonic() - begin:.0f} s; they are in {self.runs_dir}")
        return not self.failures

    def _tell_downloads(self, names: set[str]) -> None:
        """Print which weights will be fetched for these models, and which of them forbid commercial use."""
        specs = [models.spec(model) for model in self.grid.models if models.file_name(model) in names]
        of_files = {one.weights.file: one.weights for one in specs if one.weights and one.weights.url}
        absent = {file: one for file, one in of_files.items() if not path_of(one).is_file()}
        for which, non_commercial in (("", False), (", not for commercial use", True)):
            files = [file for file, one in absent.items() if one.non_commercial is non_commercial]
            if files:
                print(f"  weights to be fetched first{which}: {', '.join(files)}")

    def _tell_left_out(self, bar: "tqdm") -> None:
        """Print what only the clips of 01 have shown to be impossible."""
        for sentence in self._systems()[1]:
            if sentence not in self._told:
                bar.write(f"  left out: {sentence}")
                self._told.add(sentence)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from running notebooks of this dataset, as long as this process lives."""
        self.runs_dir.mkdir(parents=True, exist_ok=True)
        pid = self.runs_dir / "pid"
        try:
            lock = locked(pid).acquire(blocking=False)
        except TimeoutError:
            other = f"process {pid.read_text()}" if pid.exists() else "another process"
            raise ValueError(f"{other} runs a grid on {self.name} already: wait for it, or stop it") from None
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
            client.register_worker_callbacks(notebook.prepare)
            self.cluster, self.n_jobs = client.scheduler.address, clusters.n_threads(client)
            yield

    def _expectation(self, todo: dict[str, list[Task]]) -> str:
        """How long the run may take, as far as earlier runs tell."""
        total_s, untold = 0.0, 0
        for stage, tasks in todo.items():
            seconds = [self.log.expected_s(task) for task in tasks]
            at_a_time = 1 if stage in ("00_dataset", "01_extraction", "05_figures") else self.n_jobs
            total_s += sum(one for one in seconds if one is not None) / at_a_time
            untold += seconds.count(None)
        known = f"about {total_s / 60:.0f} min" if total_s > 90 else f"about {total_s:.0f} s"
        if not untold:
            return f"  expected to take {known}, by earlier runs"
        if not total_s:
            return "  how long it takes, no earlier run tells"
        return f"  expected to take {known}, by earlier runs, and {untold} notebooks that none tells of"

    def _run_tasks(self, todo: list[Task], bar: "tqdm", *, parallel: bool) -> None:
        import joblib

        if parallel:
            n_jobs = min(self.n_jobs + 1, len(todo))  # a kernel that starts leaves a core idle
            work = (joblib.delayed(attempt)(task, self.runs_dir, alone=n_jobs == 1) for task in todo)
            results = joblib.Parallel(n_jobs, return_as="generator_unordered")(work) if todo else ()
        else:  # the notebook uses all cores by itself, and shows how far it is
            results = (attempt(task, self.runs_dir, alone=True, show_progress=True) for task in todo)
        ended = set()
        try:
            for task, seconds, error in results:
                ended.add(task.key)
                self._note(task, seconds, error)
                bar.update()
        except BrokenProcessPool as error:
            bar.write(f"a worker was killed; the rest of the stage runs one by one ({error})", sys.stderr)
            self._run_tasks([task for task in todo if task.key not in ended], bar, parallel=False)

    def _note(self, task: Task, seconds: float, error: str) -> None:
        """Keep that a task has ended, and how."""
        self.log.add(task, self.runs_dir, seconds, error)
        self.n_run += 1
        if error:
            self.failures.append((task.executed(self.runs_dir), error))
            self.failed |= {task.name, task.notebook} if task.notebook == "00_dataset" else {task.name}

    def report(self) -> None:
        """Print the table of results, the clips without an embedding, and at the end what has failed."""
        if not self.is_labelled:
            print(f"\n{self.name} has no labels: nothing says which results are right, so none is scored")
            print(f"What each clip finds: {self.runs_dir / '03_search'}")
        comparison = experiment.comparison_artefact(self.store, self.name, self.grid)
        if comparison.is_current():
            print(f"\n{comparison.metadata()['caption']}\n")
            about_model = ["Modality", "Objective", "Parameters", "Data"]  # in the notebook and the file
            print(comparison.read().to_pandas().drop(columns=about_model).to_string(index=False))
            self.report_figures()
        self._report_failed_clips()
        self._report_failures()

    def report_figures(self) -> None:
        """Print where the figures are, and whether they are the committed ones, which else they replace."""
        if not self.is_committed or self.failures:
            print(f"\nFigures: {self.written_dir}")
            return
        compared = reproduction.settle(self.written_dir, self.figures_dir)
        print(f"\nFigures: {self.figures_dir}")
        if compared is not None:
            print(compared if compared.is_reproduced else f"{compared}\n{self.figures_dir} is written anew")

    def _report_failed_clips(self) -> None:
        """Print the clips that have no embedding, and why."""
        failed = experiment.failures(self.store, self.name, self.grid)
        for model, clips in failed.groupby("model"):
            path = self.store.frames_dir(self.name, model) / "failures.csv"
            print(
                f"\n{len(clips)} clips FAILED in {model} and are left out of its scores ({path}):",
                file=sys.stderr,
            )
            for row in clips.head(5).itertuples():
                print(f"  {row.fname}: {row.reason}", file=sys.stderr)

    def _report_failures(self) -> None:
        for path, error in sorted(self.failures):
            print(f"\nFAILED {path}\n  {error}", file=sys.stderr)
        if self.failures:
            print(
                f"\n{len(self.failures)} of {self.n_run} notebooks FAILED, and what needs them was not run: "
                "the paths above have the notebooks as far as they came",
                file=sys.stderr,
            )

    def _systems(self) -> tuple[list[tuple[Variant, str]], list[str]]:
        """Systems of the models that have not failed, and what is left out."""
        working = tuple(name for name in self.grid.models if models.file_name(name) not in self.failed)
        if not working:
            return [], []
        grid = replace(self.grid, models=working)
        known = experiment.n_clips(self.store, self.name, grid)
        if (working, known) != self._systems_of:
            try:
                found = grid.systems(known)
            except ValueError as error:
                if not self.failed:
                    raise
                found = [], [str(error)]  # what failed was all that the grid wanted
            self._systems_of, self._found = (working, known), found
        return self._found

    def _scored(self) -> list[tuple[Variant, str]]:
        """Systems that have scores, of which 05 can tell."""
        return experiment.scored(self.store, self.name, self.grid)[0]

    def _dataset_tasks(self) -> list[Task]:
        found = sources.load(self.dataset, self.store.data_dir, **self.choice)
        self.is_labelled = bool(found.labels)
        source = table.fingerprint(found)
        given = self.dataset if self.dataset in sources.KNOWN else os.path.relpath(self.dataset, NOTEBOOKS)
        parameters = {"data_dir": self.data_dir, "dataset": given, **self.choice}
        return [Task("00_dataset", self.name, parameters, (self.store.dataset(self.name, source=source),))]

    def _extraction_tasks(self) -> list[Task]:
        base = {"data_dir": self.data_dir, "dataset": self.name, "n_jobs": self.n_jobs}
        base |= {"cluster": self.cluster} if self.cluster else {}
        tasks = []
        for model in self.grid.models:
            frames = self.store.frames(self.name, model)
            parts = extraction.part_files(frames) if frames.is_current() else ()
            name = models.file_name(model)
            tasks.append(Task("01_extraction", name, {**base, "model": model}, (frames,), parts))
        return tasks

    def _variant_tasks(
        self, notebook: str, outputs: Callable[[Variant, list[str]], Iterable[Artefact]], **more: object
    ) -> list[Task]:
        """Return a task for each variant that hasn't failed, with the searches that the grid wants of it."""
        base = {"data_dir": self.data_dir, "dataset": self.name}
        searches: dict[Variant, list[str]] = {}
        for variant, search in self._systems()[0]:
            searches.setdefault(variant, []).append(search)
        return [
            Task(
                notebook,
                variant.name,
                {**base, **variant.parameters(), **({"searches": of_variant, **more} if more else {})},
                tuple(outputs(variant, of_variant)),
            )
            for variant, of_variant in searches.items()
            if variant.name not in self.failed
        ]

    def _processing_tasks(self) -> list[Task]:
        return self._variant_tasks(
            "02_processing",
            lambda v, _: [one(self.name, v) for one in (self.store.embeddings, self.store.fitted)],
        )

    def _search_tasks(self) -> list[Task]:
        top_n = max(self.grid.cutoffs)
        return self._variant_tasks(
            "03_search",
            lambda v, searches: [
                *(self.store.ranking(self.name, v, s, top_n=top_n) for s in searches),
                *(self.store.index(self.name, v, s) for s in searches if not parse(s).is_exact),
            ],
            top_n=top_n,
        )

    def _evaluation_tasks(self) -> list[Task]:
        if not self.is_labelled:
            return []
        cutoffs = self.grid.cutoffs
        return self._variant_tasks(
            "04_evaluation",
            lambda v, searches: [self.store.scores(self.name, v, s, cutoffs=cutoffs) for s in searches],
            cutoffs=list(cutoffs),
        )

    def _figure_tasks(self) -> list[Task]:
        if not self.is_labelled or not self._systems()[0]:
            return []
        parameters = {
            "data_dir": self.data_dir,
            "figures_dir": os.path.relpath(self.written_dir, NOTEBOOKS),
            "dataset": self.name,
            "grid": os.path.relpath(self.grid_path, NOTEBOOKS),
        }
        comparison = experiment.comparison_artefact(self.store, self.name, self.grid)
        names = comparison.metadata().get("figures", ()) if comparison.is_current() else ()
        figures = tuple(self.written_dir / name for name in names)
        return [Task("05_figures", f"{self.name}-{self.grid.name}", parameters, (comparison,), figures)]
