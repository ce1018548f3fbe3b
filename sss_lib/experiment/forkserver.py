"""The server that forks kernels, from a process that has imported what notebooks import; `warm` speaks to it.

It has one thread of Python, and answers one request at a time. A kernel is as a new process would be: it has
its own session, environment, folder and random states.
"""

import ast
import atexit
import builtins
import contextlib
import gc
import importlib
import importlib.util
import io
import json
import os
import re
import select
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.io.code import code_digest

ALSO = (
    *("IPython.core.completerlib", "IPython.core.logger", "IPython.core.oinspect", "IPython.core.pylabtools"),
    *("IPython.extensions.storemagic", "ipykernel.debugger", "psutil", "tornado.platform.asyncio"),
    *("pandas.core.methods.to_dict", "pandas.core.reshape.reshape"),
    *("pandas.io.formats.html", "pandas.io.formats.string"),
    *("pyarrow.dataset", "pyarrow.pandas_compat", "soundfile", "soxr", "sqlite3", "zmq.utils.garbage"),
    *("sss_lib.evaluation.assessment", "sss_lib.evaluation.bounds"),
)
"""Modules that libraries import in every kernel once it is at work."""
TO_DRAW = (
    *("PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PpmImagePlugin"),
    "matplotlib.style.core",
)
"""Modules that matplotlib imports once it draws."""
MOST = 2**17
"""Bytes of a request: a command, an environment and a folder."""

_set_by_imports: dict[str, str] = {}  # variables of the environment that each kernel would set


def main(listener: str, *imported: str) -> None:
    """Serve kernels until the process that holds the other end of the standard input ends."""
    code = 1
    atexit.register(lambda: _end(code))  # first, and thereby called last
    # Where who began the run ignores it, kernels' exit codes are lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with _as_in_notebook():
        _import(imported)
    request = _serve(socket.socket(fileno=int(listener)))
    if request is not None:
        _be_kernel(**request)
    code = 0


@contextlib.contextmanager
def _as_in_notebook() -> Iterator[None]:
    """Let what is imported find itself in a notebook: pandas chooses then how wide a table it shows."""
    builtins.get_ipython = lambda: SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
    yield
    del builtins.get_ipython  # type: ignore[attr-defined]


def _end(code: int) -> None:
    """End this process without taking down what it shares with others: it would be copied first."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
    os._exit(code)


def _import(names: Sequence[str]) -> None:
    """Import modules, and what notebooks import, and read the code that they note in artefacts.

    The code is read at the time it is imported, so that a kernel notes the code that it has, although a file
    may have changed meanwhile.
    """
    # ipykernel sets this before matplotlib is imported.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the debugger, when imported, prints a warning
    code_digest(("dataset", "extraction", "processing", "search", "evaluation", "figures"))
    import ipykernel.kernelapp  # noqa: F401

    before = dict(os.environ)
    _import_all(ALSO)
    _set_by_imports.update({k: v for k, v in os.environ.items() if before.get(k) != v})
    for name in names:
        notebook = NOTEBOOKS / f"{name}.ipynb"
        if not notebook.is_file():
            importlib.import_module(name)
            continue
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = ast.parse("\n".join("".join(one["source"]) for one in cells if one["cell_type"] == "code"))
        used = [one for one in ast.walk(code) if isinstance(one, ast.Attribute)]
        code.body = [one for one in code.body if isinstance(one, ast.Import | ast.ImportFrom)]
        found: dict[str, Any] = {}
        exec(compile(code, name, "exec"), found)
        for one in used:  # packages import a file once a name of it is used
            if isinstance(one.value, ast.Name):
                getattr(found.get(one.value.id), one.attr, None)
    if "matplotlib.figure" in sys.modules:
        _draw()
    gc.collect()
    gc.freeze()  # so that no kernel's collection writes to, and thereby copies, what all share


def _import_all(modules: Sequence[str]) -> None:
    """Import modules, but those that other versions of a library don't have."""
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _draw() -> None:
    """Draw a figure, so that fonts have been found and read."""
    _import_all(TO_DRAW)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    figure.subplots().set(title="a", xscale="log")
    FigureCanvasAgg(figure).print_png(io.BytesIO())


def _serve(listener: socket.socket) -> dict[str, Any] | None:
    """Fork kernels, and tell how they end; return the request in each of them, and None in the end.

    A kernel whose client has ended is killed.
    """
    kernels: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor that is readable once it has ended
    abandoned: set[int] = set()
    while True:
        clients = {one.fileno(): pid for pid, one in kernels.values() if pid not in abandoned}
        ready = select.select([0, listener.fileno(), *kernels, *clients], [], [])[0]
        if 0 in ready:
            break
        for ended in [one for one in ready if one in kernels]:
            pid, client = kernels.pop(ended)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with contextlib.suppress(OSError), client:
                client.send(str(code).encode())
            os.close(ended)
            abandoned.discard(pid)
            clients = {descriptor: other for descriptor, other in clients.items() if other != pid}
        for descriptor in [one for one in ready if one in clients]:
            _kill(clients[descriptor])
            abandoned.add(clients[descriptor])
        if listener.fileno() in ready:
            client = listener.accept()[0]
            client.settimeout(5)
            try:
                request = json.loads(client.recv(MOST))
                pid = os.fork()
            except (OSError, ValueError):  # it has ended, or the machine has no room for another process
                client.close()
                continue
            if not pid:
                for own in (listener, client, *(client for _, client in kernels.values())):
                    own.close()
                for descriptor in kernels:
                    os.close(descriptor)
                return request
            kernels[os.pidfd_open(pid)] = pid, client
            with contextlib.suppress(OSError):
                client.send(str(pid).encode())
    for pid, _ in kernels.values():
        _kill(pid)
    return None


def _kill(pid: int) -> None:
    """Kill a kernel and what it has started."""
    for kill in (os.killpg, os.kill):  # it may not have its session yet
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _be_kernel(command: list[str], environment: dict[str, str], folder: str) -> None:
    """Turn this process into a kernel."""
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp, launch_new_instance

    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(environment | _set_by_imports)
    os.chdir(folder)
    np.random.seed()  # noqa: NPY002 - the state that all share; Python renews its own
    _use_threads(environment)
    if widgets := sys.modules.get("ipywidgets"):  # it does so when imported, if there is a kernel
        widgets.register_comm_target()
    launcher = importlib.util.find_spec(command[2])
    sys.argv = [str(launcher and launcher.origin), *command[3:]]
    # ipykernel reads JPY_PARENT_PID when it is imported.
    launch_new_instance([*command[3:], f"--IPKernelApp.parent_handle={os.getppid()}"])
    # As it closes, one of its threads may wait ten seconds for another; `_end` needs nothing closed.
    atexit.unregister(IPKernelApp.instance().close)


def _use_threads(environment: dict[str, str]) -> None:
    """Let libraries that began with one thread use as many as they would in an environment."""
    n_of_arrow = _n_threads(environment, "OMP_NUM_THREADS")
    n_of_blas = _n_threads(environment, "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    if n_of_blas > 1:
        import threadpoolctl

        threadpoolctl.threadpool_limits(n_of_blas)
    if n_of_arrow > 1:
        import pyarrow

        pyarrow.set_cpu_count(n_of_arrow)


def _n_threads(environment: dict[str, str], *names: str) -> int:
    """How many threads the first variable with a number gives, at most one a core; "4,2" gives 4."""
    n_cores = len(os.sched_getaffinity(0))
    for name in names:
        if found := re.match(r"\s*0*([1-9]\d{0,8})", environment.get(name, "")):
            return min(int(found[1]), n_cores)
    return n_cores
