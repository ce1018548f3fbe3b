"""Serve notebook 06 as a page: `python -m sss_lib listen`, which is what `make listen` runs."""

import os
import sys
from pathlib import Path

from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.experiment.store import Store, replacing

LOCAL = ("127.0.0.1", "localhost", "::1")
LEFT_S = 600
"""Idle time after which a kernel ends: the server refuses the shutdown that a closed Voila page asks for."""


def prepare(store: Store, dataset: str) -> Path:
    """Write notebook 06 with a dataset's name as parameter and title beside the executed notebooks."""
    import nbformat
    import papermill

    parameters = {"data_dir": str(store.data_dir.absolute()), "dataset": dataset}
    prepared = store.runs_dir(dataset) / "06_listening" / f"{dataset}.ipynb"
    notebook = papermill.execute_notebook(
        NOTEBOOKS / "06_listening.ipynb", None, parameters, prepare_only=True, progress_bar=False
    )
    notebook.metadata["title"] = f"{dataset} · listening"
    with replacing(prepared) as path:
        nbformat.write(notebook, path)
    return prepared


def command(host: str, port: int, notebook: str | Path, *, browser: bool = True) -> list[str]:
    """Command that serves the page and no other file; the kernel of a closed page ends after `LEFT_S`."""
    return [
        *(sys.executable, "-m", "voila", str(notebook)),
        *(f"--Voila.ip={host}", f"--port={port}", "--template=listening"),
        "--VoilaConfiguration.file_allowlist=(?!).",  # matches no file
        f"--MappingKernelManager.cull_idle_timeout={LEFT_S}",
        f"--MappingKernelManager.cull_interval={min(LEFT_S, 60)}",
        # "" for false: pages of other sites must not reach this one through a host name that resolves to this
        # machine (DNS rebinding).
        *(["--Voila.tornado_settings=allow_remote_access="] if host in LOCAL else []),
        *([] if browser else ["--no-browser"]),
    ]


def environment() -> dict[str, str]:
    """Environment in which Voila finds the page's template."""
    share = str(Path(__file__).parent / "share")
    return {
        **os.environ,
        "JUPYTER_PATH": os.pathsep.join(filter(None, [share, os.environ.get("JUPYTER_PATH")])),
    }


def serve(dataset: str, data_dir: Path, host: str, port: int, *, browser: bool = True) -> None:
    """Replace this process by a server of the page.

    Parameters
    ----------
    dataset : str
        Name of a dataset that a grid has run on.
    data_dir : Path
    host : str
        Address to serve on; "127.0.0.1" is this machine alone.
    port : int
    browser : bool
        Whether a browser is opened.

    Raises
    ------
    ValueError
        If the dataset has no rankings.
    """
    store = Store(data_dir)
    if not store.ranked(dataset):
        raise ValueError(
            f"{dataset!r} has no rankings in {data_dir}: run a grid on it first, such as with `make run`"
        )
    notebook = prepare(store, dataset)
    print("stop with control-C", flush=True)  # Voila says where, which is elsewhere if the port is taken
    os.execve(sys.executable, command(host, port, notebook, browser=browser), environment())
