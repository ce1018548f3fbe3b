"""One notebook, run through papermill with parameters that it must know."""

import ast
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.io.names import require_known


def prepare() -> None:
    """Import what runs notebooks, before there are threads that do.

    Two threads of Python 3.11 that build syntax trees at a time, as these imports do, can fail with "AST
    constructor recursion depth mismatch".
    """
    import nbclient  # noqa: F401
    import papermill  # noqa: F401


def code_digest(notebook: str | Path) -> str:
    """Digest of the code cells of a notebook as it is to be run: prose may change without effect."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def notebook_parameters(notebook: str | Path) -> list[str]:
    """Names assigned in the cell tagged `parameters`."""
    for cell in json.loads(Path(notebook).read_text())["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            body = ast.parse("".join(cell["source"])).body
            targets = [node.targets[0] for node in body if isinstance(node, ast.Assign)]
            return [target.id for target in targets if isinstance(target, ast.Name)]
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
