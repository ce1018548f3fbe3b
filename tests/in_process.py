"""Notebooks run in this process, without a kernel: seconds less a notebook, and the same code cells.

What they draw is saved as SVG. PDF and PNG, which take twice as long, are empty: test_papermill.py has them.
"""

import ast
import contextlib
import io
from pathlib import Path

import joblib
import matplotlib as mpl
import nbformat
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from sss_lib.__main__ import main
from sss_lib.experiment import NOTEBOOKS


def execute(notebook, folder):
    """Run the code cells of a notebook in a folder, and keep in it what they print and show."""
    names, full = {"__name__": "__main__"}, Figure.savefig

    def savefig(figure, file, **how):
        if isinstance(file, Path) and file.suffix in (".pdf", ".png"):
            file.touch()
        else:
            full(figure, file, **how)

    with contextlib.chdir(folder), mpl.rc_context(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        for cell in notebook.cells:
            if cell["cell_type"] == "code":
                _run(cell, names)
        plt.close("all")


def _run(cell, names):
    printed, shown = io.StringIO(), []
    names["display"] = lambda *them: shown.extend(them)
    body = ast.parse(cell["source"]).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module(body, []), "cell", "exec"), names)
            if last:
                shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
        cell["execution_count"] = 1
    finally:
        outputs = [{"text/html": one._repr_html_()} for one in shown if hasattr(one, "_repr_html_")]
        cell["outputs"] = [nbformat.v4.new_output("display_data", one) for one in outputs]
        cell["outputs"].append(nbformat.v4.new_output("stream", text=printed.getvalue()))


def run(notebook, output, parameters, **_):
    """Do as `run_notebook` does, with papermill's parameters."""
    filled = parameterize_notebook(load_notebook_node(str(notebook)), dict(parameters))
    filled.metadata.papermill["exception"] = True  # until all cells have run
    try:
        execute(filled, NOTEBOOKS)
        filled.metadata.papermill["exception"] = None
    finally:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(filled, output)


def grid(text, folder, data_dir, *words):
    """Run a grid of a text to its end, with figures in a folder, and return its path."""
    path = folder / "grid.yaml"
    path.write_text(text)
    folders = ["--data-dir", str(data_dir), "--figures-dir", str(folder / "figures")]
    with kernels_replaced():
        assert main(["run", str(path), *map(str, words), *folders]) == 0
    return path


@contextlib.contextmanager
def kernels_replaced():
    """Have the grids that are run meanwhile run their notebooks here, one at a time."""
    with pytest.MonkeyPatch.context() as patch, joblib.parallel_config("sequential"):
        patch.setattr("sss_lib.experiment.task.run_notebook", run)
        patch.setattr("sss_lib.experiment.warm.serving", contextlib.nullcontext)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # the runner sets them
            patch.setenv(name, "1")
        yield
