"""Serve notebook 06 as a page: `python -m sss_lib.listening`, which is what `make listen` runs."""

import argparse
import os
import sys
from pathlib import Path

from sss_lib.artefacts import Store
from sss_lib.grid import NOTEBOOKS

NOTEBOOK = NOTEBOOKS / "06_listening.ipynb"
DATASET = "mini"
"""What the notebook shows by default."""


def command(host: str, port: int, *, notebook: str | Path = NOTEBOOK, browser: bool = True) -> list[str]:
    """Command that serves the page, and no file beside it."""
    return [
        *(sys.executable, "-m", "voila", str(notebook)),
        *(f"--Voila.ip={host}", f"--port={port}", "--template=listening"),
        "--VoilaConfiguration.file_allowlist=[]",
        *([] if browser else ["--no-browser"]),
    ]


def environment() -> dict[str, str]:
    """Environment in which Voila finds the page's template."""
    share = str(Path(__file__).parent / "share")
    return {
        **os.environ,
        "JUPYTER_PATH": os.pathsep.join(filter(None, [share, os.environ.get("JUPYTER_PATH")])),
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line. Returns the exit code where nothing is served."""
    parser = argparse.ArgumentParser(prog="python -m sss_lib.listening", description=__doc__)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve on; by default this machine alone"
    )
    parser.add_argument("--port", type=int, default=8866)
    parser.add_argument("--no-browser", action="store_true", help="don't open a browser")
    options = parser.parse_args(arguments)
    data_dir = NOTEBOOKS.parent / "data"
    if not Store(data_dir).ranked(DATASET):
        print(f"error: {DATASET!r} has no rankings in {data_dir}: run `make run` first", file=sys.stderr)
        return 2
    print(f"http://{options.host}:{options.port}/ (stop with control-C)", flush=True)
    arguments = command(options.host, options.port, browser=not options.no_browser)
    os.execve(sys.executable, arguments, environment())
    return 0


if __name__ == "__main__":
    sys.exit(main())
