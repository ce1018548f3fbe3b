"""One run of one notebook, whether it has to be, and the log of those that were."""

import functools
import json
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.experiment.notebook import code_digest, run_notebook
from sss_lib.experiment.store import Artefact

WITHOUT_EFFECT = {"cluster", "n_jobs", "searches"}
"""Parameters that change how long a notebook takes, or that its outputs tell."""


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
            "model": task.parameters.get("model"),
            "seconds": round(seconds, 2),
            "error": error,
        }
        self.entries[task.key] = entry
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry))

    def expected_s(self, task: Task) -> float | None:
        """How long a task may take: as last time, else as others of its notebook, of its model first.

        None if none has run.
        """
        if task.key in self.entries:
            return self.entries[task.key]["seconds"]
        others = [e for key, e in self.entries.items() if key.startswith(task.notebook + "/")]
        of_model = [e for e in others if e.get("model") == task.parameters.get("model")]
        seconds = [entry["seconds"] for entry in of_model or others]
        return statistics.median(seconds) if seconds else None


def attempt(
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
        # Of a cell that failed, papermill tells all of the traceback, which the notebook shows.
        name, value = (getattr(caught, key, None) for key in ("ename", "evalue"))
        error = f"{name}: {value}" if name else f"{type(caught).__name__}: {caught}"
    return task, time.monotonic() - begin, error
