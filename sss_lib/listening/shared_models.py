"""Models that the kernels of all visitors share: a process that hands tasks to the processes of the models.

`server` starts it. Each model has one process, which takes the tasks of all kernels in turn; a kernel has at
most one task there at a time. Models are loaded at idle, one after the other, before a sound comes.
"""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

ADDRESS = "SSS_MODELS"
"""Variable of the environment that tells kernels where."""
IDLE_S = 5
"""Time without a task after which a model is loaded in advance."""
ROOM = 4e9
"""Bytes of memory that must be free for that; a model takes up to 500 MB."""


@contextlib.contextmanager
def serving(folder: str, notebook_folder: str) -> Iterator[str]:
    """Address of a process that shares models as long as the block runs, for kernels that run in a folder."""
    address = f"{folder}/models"
    words = [sys.executable, "-m", __name__, address]
    with subprocess.Popen(words, cwd=notebook_folder, start_new_session=True) as process:
        try:
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and its models


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
    from sss_lib.listening import external_queries

    external_queries.KEPT_S = None
    model, function, *of = pickle.loads(task)
    try:
        try:
            return external_queries.submit_here(model, function, *of).result(), ""
        except BrokenExecutor:  # another's task may have ended the process
            return external_queries.submit_here(model, function, *of).result(), ""
    except Exception as error:  # models fail in ways of their own
        return None, external_queries.describe_error(error)


def main(address: str) -> None:
    """Share models until the process that has started this one ends."""
    from sss_lib.extraction.workers import end_with

    end_with(os.getppid())
    shared = Shared()
    with Listener(address, "AF_UNIX", backlog=64) as listener:
        while True:
            threading.Thread(target=shared.answer, args=(listener.accept(),), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
