"""One run of one notebook: whether it is current, its execution through papermill, and how long it took."""

import ast
import contextlib
import functools
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.extraction.workers import end_with
from sss_lib.io.artefact import Artefact
from sss_lib.io.names import require_known
from sss_lib.io.writing import is_full, replacing

_BRACES = str.maketrans({"{": "{{", "}": "}}"})
"""Papermill fills in what is in braces in a path; doubled ones stand for themselves."""
WITHOUT_EFFECT = {"cluster", "n_jobs", "searches", "queries", "ways"}
"""Parameters that don't decide whether a notebook is current. The first two don't change results. What the
others name has artefacts of its own, whose recipe decides: a grid with fewer searches finds its work done."""


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
        """Name of the task in messages and in the log, such as "03_search/mini"."""
        return f"{self.notebook}/{self.name}"

    def executed(self, runs_dir: Path) -> Path:
        """Path of the executed notebook."""
        return runs_dir / self.notebook / f"{self.name}.ipynb"

    def is_current(self, runs_dir: Path) -> bool:
        """Whether its outputs are current, and the executed notebook shows today's code and parameters."""
        return (
            all(output.is_current() for output in self.outputs)
            and all(file.is_file() for file in self.files)
            and self._is_executed(runs_dir)
        )

    def _is_executed(self, runs_dir: Path) -> bool:
        try:
            executed = json.loads(self.executed(runs_dir).read_text(encoding="utf-8"))
            run = executed["metadata"]["papermill"]
            sealed = executed["metadata"].get("sss_lib")  # papermill by hand writes none
            if sealed and sealed["digest"] != _digest(executed):
                return False
            # A kernel that was killed leaves cells without a count, and no exception.
            ended = all(cell["execution_count"] for cell in executed["cells"] if cell["cell_type"] == "code")
            return (
                ended
                and not run["exception"]
                and _effective(run["parameters"]) == _effective(self.parameters)
                and _code_cells(executed) == _code_of(self.notebook)
            )
        except (OSError, ValueError, KeyError, TypeError):  # missing, cut short, or no executed notebook
            return False


def _effective(parameters: Mapping[str, object]) -> dict:
    """Parameters that decide, as JSON has them."""
    return json.loads(json.dumps({k: v for k, v in parameters.items() if k not in WITHOUT_EFFECT}))


def code_cells(notebook: dict) -> list[dict]:
    """Cells of code of a notebook but for the parameters that papermill put in."""
    return [
        cell
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]


def _code_cells(notebook: dict) -> list[str]:
    """Code of a notebook: prose may change without effect."""
    return ["".join(cell["source"]) for cell in code_cells(notebook)]


@functools.cache
def _code_of(notebook: str) -> list[str]:
    return _code_cells(json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8")))


class Log:
    """How long each notebook took when it last ran: a line a run, so that a killed run loses at most one.

    Parameters
    ----------
    path : Path
        JSON lines with task, model and seconds.
    """

    def __init__(self, path: Path):
        self.path = path
        self.entries: dict[str, dict] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self.entries[entry["task"]] = {"model": entry["model"], "seconds": entry["seconds"]}
                except (ValueError, KeyError, TypeError):  # the line that was being written at a kill
                    continue

    def add(self, task: Task, seconds: float) -> None:
        """Note how long a task took."""
        entry = {"model": task.parameters.get("model"), "seconds": round(seconds, 2)}
        self.entries[task.key] = entry
        with contextlib.suppress(OSError):  # a full disk: how long it takes is then not told
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                # A kill may have left half a line, which this must not continue.
                file.write(f"\n{json.dumps({'task': task.key, **entry})}\n")

    def expected_s(self, task: Task) -> float | None:
        """Seconds that a task took last time, or the median of the same notebook, if possible of its model.

        None if none has run.
        """
        if task.key in self.entries:
            return self.entries[task.key]["seconds"]
        others = [e for key, e in self.entries.items() if key.startswith(task.notebook + "/")]
        of_model = [e for e in others if e["model"] == task.parameters.get("model")]
        seconds = [entry["seconds"] for entry in of_model or others]
        return statistics.median(seconds) if seconds else None


def attempt(
    task: Task,
    runs_dir: Path,
    *,
    alone: bool,
    run: int | None = None,
    show_progress: bool = False,
    server: str | None = None,
) -> tuple[Task, float, str]:
    """Run a task; return it, the seconds that it took, and what went wrong, if anything did.

    `run` is the process whose worker this is to end with; None for one that a cluster keeps.
    """
    if run not in (None, os.getpid()):  # joblib may have the run itself do the work
        end_with(run)  # not with `os.getppid()`: the run may have ended before its worker came here
    if not alone:  # a core each
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    begin, error = time.monotonic(), ""
    notebook = NOTEBOOKS / f"{task.notebook}.ipynb"
    executed = task.executed(runs_dir)
    try:
        run_notebook(notebook, executed, task.parameters, show_progress=show_progress, server=server)
    except Exception as caught:  # whatever it is, the other notebooks go on
        # Papermill's message has the whole traceback of a cell that failed; the notebook shows it.
        name, value = (getattr(caught, key, None) for key in ("ename", "evalue"))
        error = f"{name}: {value}" if name else f"{type(caught).__name__}: {caught}"
    return task, time.monotonic() - begin, error


def import_papermill() -> None:
    """Import what runs notebooks, before there are threads that do.

    Two threads of Python 3.11 that build syntax trees at a time, as these imports do, can fail with "AST
    constructor recursion depth mismatch".
    """
    from sss_lib.experiment import surroundings

    with surroundings.light_imports():
        import nbclient  # noqa: F401
        import papermill  # noqa: F401


def notebook_parameters(notebook: str | Path) -> list[str]:
    """Names assigned in the cell tagged `parameters`."""
    for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            body = ast.parse("".join(cell["source"])).body
            targets = [node.targets[0] for node in body if isinstance(node, ast.Assign)]
            return [target.id for target in targets if isinstance(target, ast.Name)]
    raise ValueError(
        f"{notebook} has no cell tagged 'parameters': tag one, so that it can be run with others"
    )


def run_notebook(
    notebook: str | Path,
    output: str | Path,
    parameters: Mapping[str, object],
    *,
    show_progress: bool = False,
    server: str | None = None,
) -> None:
    """Execute a notebook through papermill, in the notebooks folder, with parameters that it must know.

    Parameters
    ----------
    notebook, output : str or Path
    parameters : mapping
    show_progress : bool
        Whether the notebook's own progress bars are shown on the terminal as it runs.
    server : str, optional
        Has the kernel forked: see `warm.serving`.

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
    from sss_lib.experiment import surroundings, warm

    with surroundings.light_imports():
        import papermill

        from sss_lib.experiment import engine
    import traitlets.config

    failed: Exception | None = None
    with surroundings.own_folder() as folder, replacing(output) as temporary:
        of_kernel = {"transport": surroundings.transport(folder), "connection_file": f"{folder}/kernel.json"}
        config = {"NotebookClient": {"kernel_manager_class": warm.Kernel}, "KernelManager": of_kernel}
        config["Kernel"] = {"server": server or ""}
        try:
            papermill.execute_notebook(
                *(str(path).translate(_BRACES) for path in (notebook, temporary)),
                dict(parameters),
                engine_name=engine.NAME,
                cwd=NOTEBOOKS,
                progress_bar=False,
                stderr_file=sys.stderr if show_progress else None,
                coalesce_streams=True,
                config=traitlets.config.Config(config),
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
        except Exception as error:  # the notebook, as far as it came, is kept
            if is_full(error) or not temporary.stat().st_size:
                raise
            failed = error
        executed = json.loads(temporary.read_text(encoding="utf-8"))
        executed["metadata"]["sss_lib"] = {"digest": _digest(executed)}
        temporary.write_text(json.dumps(executed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if failed:
        raise failed


def _digest(executed: dict) -> str:
    """Digest of an executed notebook without the digest in it."""
    metadata = {key: value for key, value in executed["metadata"].items() if key != "sss_lib"}
    return hashlib.sha256(json.dumps({**executed, "metadata": metadata}, sort_keys=True).encode()).hexdigest()
