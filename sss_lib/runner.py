"""Run a grid: plan the notebooks that it needs, run those whose results are not current, list what failed."""

import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sss_lib import dataset, experiment, extraction, models
from sss_lib.artefacts import Artefact, Store
from sss_lib.grid import NOTEBOOKS, Variant, read_grid
from sss_lib.notebook import code_digest, run_notebook

WITHOUT_EFFECT = {"n_jobs"}
"""Parameters that change how long a notebook takes, and nothing else."""


@dataclass(frozen=True)
class Task:
    """One run of one notebook.

    Attributes
    ----------
    notebook : str
        Stem of a file in the notebooks folder.
    name : str
        Of the executed notebook.
    parameters : mapping
    outputs : tuple of Artefact
        What it writes.
    files : tuple of Path
        What it writes besides.
    """

    notebook: str
    name: str
    parameters: Mapping[str, object]
    outputs: tuple[Artefact, ...]
    files: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """What the log calls it."""
        return f"{self.notebook}/{self.name}"

    def executed(self, runs_dir: Path) -> Path:
        """Path of the executed notebook."""
        return runs_dir / self.notebook / f"{self.name}.ipynb"

    def recipe(self) -> dict:
        """What it would run with today."""
        parameters = {key: value for key, value in self.parameters.items() if key not in WITHOUT_EFFECT}
        return {"parameters": parameters, "code": _code(self.notebook)}

    def is_current(self, runs_dir: Path, log: "Log") -> bool:
        """Whether its last run ended well, with today's notebook, parameters and inputs, and all is there."""
        entry = log.entries.get(self.key)
        return (
            entry is not None
            and not entry["error"]
            and entry["recipe"] == self.recipe()
            and entry["executed"] == _state(self.executed(runs_dir))
            and all(output.is_current() for output in self.outputs)
            and all(file.is_file() for file in self.files)
        )


@functools.cache
def _code(notebook: str) -> str:
    return code_digest(NOTEBOOKS / f"{notebook}.ipynb")


def _state(path: Path) -> list[int] | None:
    """Size and time of a file, by which a change shows; None if it isn't there."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


class Log:
    """What has been run under a folder: a line a run, so that a killed one loses nothing that had ended.

    Parameters
    ----------
    path : Path
        JSON lines.
    """

    def __init__(self, path: Path):
        self.path = path
        self.entries: dict[str, dict] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self.entries[entry["task"]] = entry
                except (
                    ValueError,
                    KeyError,
                    TypeError,
                ):  # the line that was being written when it was killed
                    continue

    def add(self, task: Task, runs_dir: Path, seconds: float, error: str) -> None:
        """Note that a task has ended, and how."""
        entry = {
            "task": task.key,
            "recipe": json.loads(json.dumps(task.recipe())),
            "executed": _state(task.executed(runs_dir)),
            "seconds": round(seconds, 2),
            "error": error,
        }
        self.entries[task.key] = entry
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry))

    def expected_s(self, task: Task) -> float | None:
        """How long a task may take: as last time, else as others of its notebook; None if none has run."""
        if task.key in self.entries:
            return self.entries[task.key]["seconds"]
        of_notebook = [e["seconds"] for key, e in self.entries.items() if key.startswith(task.notebook + "/")]
        return statistics.median(of_notebook) if of_notebook else None


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
        Gets a folder of figures for each dataset.
    n_jobs : int
        Notebooks, or clips of one notebook, at a time.
    choice : mapping
        What else `dataset.load` is given: query, name, add_ancestors.
    """

    grid_path: Path
    dataset: str
    store: Store
    figures_root: Path
    n_jobs: int
    choice: Mapping[str, object] = field(default_factory=dict)
    failures: list[tuple[Path, str]] = field(default_factory=list)
    n_run: int = 0

    def __post_init__(self):
        self.grid, self.left_out = read_grid(self.grid_path).available()
        self.data_dir = os.path.relpath(self.store.data_dir, NOTEBOOKS)
        self.name = dataset.name_of(self.dataset, self.choice.get("query"), self.choice.get("name"))
        self.is_labelled = True
        self.figures_dir = self.figures_root / self.name
        self.runs_dir = self.store.runs_dir(self.name)
        self.log = Log(self.runs_dir / "log.jsonl")
        self.failed: set[str] = set()  # names of models and variants
        self._systems_of: tuple | None = None
        self._found: tuple[list, list[str]] = ([], [])
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
        todo = {}
        for stage, tasks_of in self.stages.items():
            tasks = tasks_of()
            todo[stage] = [task for task in tasks if not task.is_current(self.runs_dir, self.log)]
            state = "up to date" if not todo[stage] else f"{len(todo[stage])} to run"
            print(f"  {stage:14}{len(tasks):6}  {state}")
        if any(todo.values()):
            print(self._expectation(todo))
        return todo

    def run(self) -> bool:
        """Run what isn't current; return whether all of it ended well."""
        from tqdm import tqdm

        begin = time.monotonic()
        planned = self.plan()
        n_planned = sum(map(len, planned.values()))
        with tqdm(total=n_planned, unit="notebook", disable=not n_planned, mininterval=0.5) as bar:
            for stage, tasks_of in self.stages.items():
                if stage == "05_figures" and self.failures:
                    break  # it would show only a part of the grid
                self.store = Store(self.store.data_dir)  # which knows weights that have come meanwhile
                todo = [task for task in tasks_of() if not task.is_current(self.runs_dir, self.log)]
                bar.total += len(todo) - len(planned[stage])
                bar.set_description(f"{stage:14}")
                self._run_tasks(todo, bar, parallel=stage in ("02_processing", "03_search", "04_evaluation"))
                if stage in self.failed:
                    break  # without the dataset there is nothing to do
        self._report_failures()
        print(f"{self.n_run} notebooks run in {time.monotonic() - begin:.0f} s; they are in {self.runs_dir}")
        return not self.failures

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

    def _run_tasks(self, todo: list[Task], bar, *, parallel: bool) -> None:
        import joblib

        if parallel:
            n_jobs = min(self.n_jobs + 1, len(todo))  # a kernel that starts leaves a core idle
            work = (joblib.delayed(_attempt)(task, self.runs_dir, alone=n_jobs == 1) for task in todo)
            results = joblib.Parallel(n_jobs, return_as="generator_unordered")(work) if todo else ()
        else:  # the notebook uses all cores by itself, and shows how far it is
            results = (_attempt(task, self.runs_dir, alone=True, show_progress=True) for task in todo)
        for task, seconds, error in results:
            self.log.add(task, self.runs_dir, seconds, error)
            self.n_run += 1
            bar.update()
            if error:
                self.failures.append((task.executed(self.runs_dir), error))
                self.failed |= {task.name, task.notebook} if task.notebook == "00_dataset" else {task.name}

    def report_failed_clips(self) -> None:
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
            print(f"\nFAILED {path}\n{error}", file=sys.stderr)
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
            self._systems_of, self._found = (working, known), grid.systems(known)
        return self._found

    def _dataset_tasks(self) -> list[Task]:
        found = dataset.load(self.dataset, self.store.data_dir, **self.choice)
        self.is_labelled = bool(found.labels)
        source = dataset.fingerprint(found)
        given = self.dataset if self.dataset in dataset.KNOWN else os.path.relpath(self.dataset, NOTEBOOKS)
        parameters = {"data_dir": self.data_dir, "dataset": given, **self.choice}
        return [Task("00_dataset", self.name, parameters, (self.store.dataset(self.name, source=source),))]

    def _extraction_tasks(self) -> list[Task]:
        base = {"data_dir": self.data_dir, "dataset": self.name, "n_jobs": self.n_jobs}
        tasks = []
        for model in self.grid.models:
            frames = self.store.frames(self.name, model)
            parts = extraction.part_files(frames) if frames.is_current() else ()
            name = models.file_name(model)
            tasks.append(Task("01_extraction", name, {**base, "model": model}, (frames,), parts))
        return tasks

    def _variant_tasks(self, notebook: str, outputs, **more: object) -> list[Task]:
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
            lambda v, searches: [self.store.ranking(self.name, v, s, top_n=top_n) for s in searches],
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
        if not self.is_labelled:
            return []
        parameters = {
            "data_dir": self.data_dir,
            "figures_dir": os.path.relpath(self.figures_dir, NOTEBOOKS),
            "dataset": self.name,
            "grid": os.path.relpath(self.grid_path, NOTEBOOKS),
        }
        comparison = experiment.comparison_artefact(self.store, self.name, self.grid)
        names = comparison.metadata().get("figures", ()) if comparison.is_current() else ()
        figures = tuple(self.figures_dir / name for name in names)
        return [Task("05_figures", f"{self.name}-{self.grid_path.stem}", parameters, (comparison,), figures)]


def _attempt(
    task: Task, runs_dir: Path, *, alone: bool, show_progress: bool = False
) -> tuple[Task, float, str]:
    """Run a task; return it, the seconds that it took, and what went wrong, if anything did."""
    if not alone:  # in a worker process, one of several: a core each
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    begin, error = time.monotonic(), ""
    notebook = NOTEBOOKS / f"{task.notebook}.ipynb"
    try:
        run_notebook(notebook, task.executed(runs_dir), task.parameters, show_progress=show_progress)
    except Exception as caught:  # whatever it is, the other notebooks go on
        error = f"{type(caught).__name__}: {caught}"
    return task, time.monotonic() - begin, error
