"""Run a grid: plan the notebooks that it needs, run those whose results are not current, list what failed."""

import ast
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sss_lib import extraction
from sss_lib.artefacts import Artefact, Store
from sss_lib.experiment import (
    NOTEBOOKS,
    comparison_artefact,
    failures,
    read_grid,
    require_known,
    variants_of,
)

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

    def executed(self, runs_dir: Path) -> Path:
        """Path of the executed notebook."""
        return runs_dir / self.notebook / f"{self.name}.ipynb"

    def is_current(self, runs_dir: Path) -> bool:
        """Whether its last run ended well, with today's notebook, parameters and inputs, and all is there."""
        try:
            notebook = json.loads(self.executed(runs_dir).read_text())
            about = notebook["metadata"]["papermill"]
        except (
            FileNotFoundError,
            ValueError,
            KeyError,
            TypeError,
        ):  # not run, or killed while it was written
            return False
        ran_with, would_run_with = (
            {name: value for name, value in parameters.items() if name not in WITHOUT_EFFECT}
            for parameters in (about["parameters"], json.loads(json.dumps(dict(self.parameters))))
        )
        return (
            about["exception"] is None
            and about["end_time"] is not None
            and ran_with == would_run_with
            and _code(notebook) == _code(json.loads((NOTEBOOKS / f"{self.notebook}.ipynb").read_text()))
            and all(output.is_current() for output in self.outputs)
            and all(file.is_file() for file in self.files)
        )


def _code(notebook: dict) -> list[str]:
    """Sources of the code cells, without the one that papermill injects."""
    return [
        "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]


def notebook_parameters(notebook: str | Path) -> list[str]:
    """Names assigned in the cell tagged `parameters`."""
    for cell in json.loads(Path(notebook).read_text())["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            body = ast.parse("".join(cell["source"])).body
            return [node.targets[0].id for node in body if isinstance(node, ast.Assign)]
    raise ValueError(
        f"{notebook} has no cell tagged 'parameters': tag one, so that it can be run with others"
    )


def run_notebook(
    notebook: str | Path, output: str | Path, parameters: Mapping[str, object], *, show_progress: bool = False
) -> None:
    """Execute a notebook through papermill, in the notebooks folder, with parameters that it must know.

    Parameters
    ----------
    notebook, output : str or Path
    parameters : mapping
    show_progress : bool
        Whether the notebook's own progress bars are shown on the terminal as it runs.

    Raises
    ------
    ValueError
        If a parameter is unknown to the notebook: papermill itself would ignore it.
    papermill.PapermillExecutionError
        If a cell fails; the executed notebook shows where.
    """
    known = notebook_parameters(notebook)
    for name in parameters:
        require_known(name, known, f"the parameters of {Path(notebook).name}")
    import papermill
    import traitlets.config

    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as sockets:
        # Local sockets, where there are some: no port that a kernel beside this one could take meanwhile.
        manager = {} if os.name == "nt" else {"transport": "ipc", "ip": os.path.join(sockets, "kernel")}
        papermill.execute_notebook(
            notebook,
            output,
            dict(parameters),
            cwd=NOTEBOOKS,
            progress_bar=False,
            stderr_file=sys.stderr if show_progress else None,
            coalesce_streams=True,
            config=traitlets.config.Config({"KernelManager": manager}),
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )


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
    """

    grid_path: Path
    dataset: str
    store: Store
    figures_root: Path
    n_jobs: int
    failures: list[tuple[Path, str]] = field(default_factory=list)
    n_run: int = 0

    def __post_init__(self):
        self.grid, self.left_out = read_grid(self.grid_path).available()
        self.data_dir = os.path.relpath(self.store.data_dir, NOTEBOOKS)
        self.name = Path(self.dataset).resolve().name
        self.figures_dir = self.figures_root / self.name

    def run(self) -> bool:
        """Run what isn't current; return whether all of it ended well."""
        begin = time.monotonic()
        runs_dir = self.store.runs_dir(self.name)
        for stage, parallel in (
            (self._dataset_tasks, False),
            (self._extraction_tasks, False),
            (self._processing_tasks, True),
            (self._search_tasks, True),
            (self._evaluation_tasks, True),
            (self._figure_tasks, False),
        ):
            tasks = stage()
            todo = [task for task in tasks if not task.is_current(runs_dir)]
            notebook = tasks[0].notebook
            if not todo:
                print(f"{notebook:14} {len(tasks):3} up to date")
                continue
            self._run_stage(notebook, todo, runs_dir, parallel)
            if self.failures:
                break
        self._report_failures()
        print(f"{self.n_run} notebooks run in {time.monotonic() - begin:.0f} s; they are in {runs_dir}")
        return not self.failures

    def _run_stage(self, notebook: str, todo: list[Task], runs_dir: Path, parallel: bool) -> None:
        import joblib
        from tqdm import tqdm

        if parallel:
            n_jobs = min(self.n_jobs + 1, len(todo))  # a kernel that starts leaves a core idle
            work = (joblib.delayed(_attempt)(task, runs_dir, alone=n_jobs == 1) for task in todo)
            results = joblib.Parallel(n_jobs, return_as="generator_unordered")(work)
            results = tqdm(results, desc=f"{notebook:14}", total=len(todo), unit="notebook")
        else:  # the notebook uses all cores by itself, and shows how far it is
            results = (_attempt(task, runs_dir, alone=True, show_progress=True) for task in todo)
            print(f"{notebook:14} {', '.join(task.name for task in todo)}", flush=True)
        for path, error in results:
            self.n_run += 1
            if error:
                self.failures.append((path, error))

    def report_failed_clips(self) -> None:
        """Print the clips that have no embedding, and why."""
        failed = failures(self.store, self.name, self.grid)
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

    def _dataset_tasks(self) -> list[Task]:
        from sss_lib import dataset

        found = dataset.load(self.dataset, self.store.data_dir)
        source = dataset.fingerprint(found)
        given = self.dataset if self.dataset in dataset.KNOWN else os.path.relpath(self.dataset, NOTEBOOKS)
        parameters = {"data_dir": self.data_dir, "dataset": given}
        return [Task("00_dataset", self.name, parameters, (self.store.dataset(self.name, source=source),))]

    def _extraction_tasks(self) -> list[Task]:
        base = {"data_dir": self.data_dir, "dataset": self.name, "n_jobs": self.n_jobs}
        tasks = []
        for model in self.grid.models:
            frames = self.store.frames(self.name, model)
            parts = extraction.part_files(frames) if frames.is_current() else ()
            tasks.append(Task("01_extraction", model, {**base, "model": model}, (frames,), parts))
        return tasks

    def _variant_tasks(self, notebook: str, outputs, **more: object) -> list[Task]:
        base = {"data_dir": self.data_dir, "dataset": self.name}
        return [
            Task(notebook, v.name, {**base, **v.parameters(), **more}, tuple(outputs(v)))
            for v in self.variants
        ]

    def _processing_tasks(self) -> list[Task]:
        self.variants, left_out = variants_of(self.store, self.name, self.grid)
        left_out = self.left_out + left_out
        n_searches = len(self.grid.searches)
        print(
            f"{self.grid_path.name} on {self.name}: {len(self.variants)} variants x {n_searches} searches = "
            f"{len(self.variants) * n_searches} systems"
        )
        for sentence in left_out:
            print(f"  left out: {sentence}")
        return self._variant_tasks("02_processing", lambda v: [self.store.embeddings(self.name, v)])

    def _search_tasks(self) -> list[Task]:
        top_n = max(self.grid.cutoffs)
        return self._variant_tasks(
            "03_search",
            lambda v: [self.store.ranking(self.name, v, s, top_n=top_n) for s in self.grid.searches],
            searches=list(self.grid.searches),
            top_n=top_n,
        )

    def _evaluation_tasks(self) -> list[Task]:
        return self._variant_tasks(
            "04_evaluation",
            lambda v: [
                self.store.scores(self.name, v, s, cutoffs=self.grid.cutoffs) for s in self.grid.searches
            ],
            searches=list(self.grid.searches),
            cutoffs=list(self.grid.cutoffs),
        )

    def _figure_tasks(self) -> list[Task]:
        parameters = {
            "data_dir": self.data_dir,
            "figures_dir": os.path.relpath(self.figures_dir, NOTEBOOKS),
            "dataset": self.name,
            "grid": os.path.relpath(self.grid_path, NOTEBOOKS),
        }
        comparison = comparison_artefact(self.store, self.name, self.grid)
        names = comparison.metadata().get("figures", ()) if comparison.is_current() else ()
        figures = tuple(self.figures_dir / name for name in names)
        return [Task("05_figures", f"{self.name}-{self.grid_path.stem}", parameters, (comparison,), figures)]


def _attempt(task: Task, runs_dir: Path, *, alone: bool, show_progress: bool = False) -> tuple[Path, str]:
    """Run a task; return the path of the executed notebook and what went wrong, if anything did."""
    if not alone:  # in a worker process, one of several: a core each
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    path = task.executed(runs_dir)
    notebook = NOTEBOOKS / f"{task.notebook}.ipynb"
    try:
        run_notebook(notebook, path, task.parameters, show_progress=show_progress)
    except Exception as error:  # whatever it is, the other notebooks go on
        return path, f"{type(error).__name__}: {error}"
    return path, ""
