"""Processes of models that embed a listener's sound. A server has one for each model, for all its visitors.

It starts a process that hands tasks on to them. Each takes the tasks of all kernels in turn; a kernel has at
most one there at a time. Models are loaded at idle, one after the other, before a sound comes.
"""

import atexit
import collections
import contextlib
import functools
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from sss_lib.extraction.workers import end_with

ADDRESS = "SSS_MODELS"
"""Variable of the environment that tells kernels where."""
IDLE_S = 5
"""Time without a task after which a model is loaded in advance."""
KEPT_S = None if __name__ == "__main__" else 300
"""Time without a sound after which a model's process ends; the shared ones stay."""
ROOM = 4e9
"""Bytes of memory that must be free for that; a model takes up to 500 MB."""


@contextlib.contextmanager
def serving(folder: str, notebook_folder: str) -> Iterator[str]:
    """Address of a process that shares models as long as the block runs, for kernels that run in a folder.

    On Windows there is none, and the address is empty.
    """
    if not hasattr(os, "killpg"):
        yield ""
        return
    address = f"{folder}/models"
    words = [sys.executable, "-m", __name__, address]
    with subprocess.Popen(words, cwd=notebook_folder, start_new_session=True) as process:
        try:
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and its models


def submit(model: str, task: Callable, *of: object) -> Future:
    """Run a task in a model's process: the shared one, or where there is none, one of this process."""
    if address := os.environ.get(ADDRESS):
        return _asking(model).submit(_ask_or_do, address, model, task, *of)
    return _submit_here(model, task, *of)


def submit_at_idle(model: str, task: Callable, *of: object) -> None:
    """Run a task in a model's shared process, if there is one, while nobody asks for anything."""
    if address := os.environ.get(ADDRESS):
        with contextlib.suppress(OSError):
            ask(address, model, task, *of, at_idle=True)


@functools.cache
def _asking(model: str) -> Executor:
    """Thread in which this process asks for a model: other kernels get their turn between two tasks."""
    return ThreadPoolExecutor(1)


def _ask_or_do(address: str, model: str, task: Callable, *of: object) -> object:
    try:
        return ask(address, model, task, *of)
    except (OSError, EOFError):  # it has ended
        return _submit_here(model, task, *of).result()


@functools.cache
def _worker(model: str, n_ended: int) -> Executor:
    """Process of one model, which keeps it loaded. TensorFlow can hang in a process that has run PyTorch."""
    from joblib.externals.loky import ProcessPoolExecutor

    worker = ProcessPoolExecutor(
        1, timeout=KEPT_S, env={"OMP_NUM_THREADS": "1"}, initializer=end_with, initargs=(os.getpid(),)
    )
    atexit.register(worker.shutdown, kill_workers=True)  # before the interpreter is torn down
    return worker


_n_ended: collections.Counter = collections.Counter()
"""Number of each model's processes that were killed or crashed."""


def _submit_here(model: str, task: Callable, *of: object) -> Future:
    """Run a task in this process's own process of a model; in a new one if that has ended."""
    try:
        return _worker(model, _n_ended[model]).submit(task, *of)
    except BrokenExecutor:
        _n_ended[model] += 1
        return _worker(model, _n_ended[model]).submit(task, *of)


def ask(address: str, *task: Any, at_idle: bool = False) -> Any:
    """Return what a task gives in the shared process of its model; at idle, have it done later, for nothing.

    Parameters
    ----------
    address : str
        From `serving`.
    *task
        Name of the model, a function, and its arguments.
    at_idle : bool

    Raises
    ------
    OSError, EOFError
        If the process isn't there, or has ended.
    RuntimeError
        What the function has raised.
    """
    import cloudpickle

    with Client(address) as connection:
        connection.send(at_idle)
        connection.send_bytes(cloudpickle.dumps(task))
        if at_idle:
            return None
        result, problem = pickle.loads(connection.recv_bytes())
    if problem:
        raise RuntimeError(problem)
    return result


class Shared:
    """Answers kernels, each in a thread of its own."""

    def __init__(self) -> None:
        self.later: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.asked = time.monotonic()
        threading.Thread(target=self._load, daemon=True).start()

    def answer(self, connection: Connection) -> None:
        """Do the one task of a connection."""
        with connection, contextlib.suppress(EOFError, OSError):
            at_idle, task = connection.recv(), connection.recv_bytes()
            self.asked = time.monotonic()
            if at_idle:
                self.later.put(task)
            else:
                connection.send_bytes(pickle.dumps(_result(task)))

    def _load(self) -> None:
        import psutil  # type: ignore[import-untyped]

        done = set()
        while True:
            task = self.later.get()
            while time.monotonic() < self.asked + IDLE_S:
                time.sleep(0.2)
            if task not in done and psutil.virtual_memory().available > ROOM:
                done.add(task)
                _result(task)


def _result(task: bytes) -> tuple[Any, str]:
    """What a task gives, and its problem."""
    model, function, *of = pickle.loads(task)
    try:
        try:
            return _submit_here(model, function, *of).result(), ""
        except BrokenExecutor:  # another's task may have ended the process
            return _submit_here(model, function, *of).result(), ""
    except Exception as error:  # models fail in ways of their own
        return None, describe_error(error)


def describe_error(error: Exception) -> str:
    """Message of an error for the page; never empty."""
    if isinstance(error, BrokenExecutor):
        return "The model's process has ended, perhaps for want of memory: search again."
    return str(error) or type(error).__name__


def main(address: str) -> None:
    """Share models until the process that has started this one ends."""
    end_with(os.getppid())
    shared = Shared()
    with Listener(address, "AF_UNIX", backlog=64) as listener:
        while True:
            threading.Thread(target=shared.answer, args=(listener.accept(),), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
