"""Processes of models that embed a listener's sound. A server has one for each model, for all its visitors.

The server starts a process that shares models: kernels connect to it, and it has one process for each model.
A model does one task after another, and a kernel has at most one task there at a time. The models of a new
page are loaded while nobody waits for anything, before a sound comes. Where memory gets short, those end that
were not used for longest.
"""

import contextlib
import functools
import logging
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from sss_lib.extraction.workers import WorkerEndedError, Workers, end_with

ADDRESS = "SSS_MODELS"
"""Variable of the environment that tells kernels where models are shared."""
IDLE_S = 5
"""Time without a task after which a model is loaded in advance."""
ROOM = 4e9
"""Bytes of memory that must be free for a model to be loaded in advance."""
KEPT_S = 300
"""Time without a task after which a model's process ends, unless it was loaded in advance."""
FLOOR = 1e9
"""Bytes of memory that others must find free, or else models that do nothing end, those first that have done
nothing for longest."""
MOST_HELD = 4e9
"""Bytes that the models of a process hold, or else they end likewise."""
MOST_S = 300
"""Limit of a task's time; a kernel waits twice as long, for others come before it."""
REST_S = 2
"""How often a model that does nothing looks whether its process is to end."""
START_S = 30
"""Time in which a process that shares models must listen."""
LOOK_S = 0.2
"""How often a process looks whether another has left."""
log = logging.getLogger(__name__)


@contextlib.contextmanager
def serving(folder: str, notebook_folder: str) -> Iterator[str]:
    """Address of a process that shares models as long as the block runs, for kernels that run in a folder.

    If that process ends, another follows it. On Windows there is none, and the address is empty.
    """
    if not hasattr(os, "killpg"):
        yield ""
        return
    address, is_over = f"{folder}/models", threading.Event()
    keeping = threading.Thread(target=_keep, args=(address, notebook_folder, is_over), daemon=True)
    keeping.start()
    try:
        yield address
    finally:
        is_over.set()
        keeping.join()


def _keep(address: str, notebook_folder: str, is_over: threading.Event) -> None:
    words = [sys.executable, "-m", __name__, address]
    while not is_over.is_set():
        with subprocess.Popen(words, cwd=notebook_folder, start_new_session=True) as process:
            while not is_over.wait(LOOK_S) and process.poll() is None:
                pass
            if process.poll() is not None:
                log.warning("the process that shares models has ended (%s): another follows", process.poll())
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and its models


def submit(model: str, task: Callable, *of: object) -> Future:
    """Run a task in a model's process: the shared one, or where there is none, one of this process."""
    if address := os.environ.get(ADDRESS):
        return _model(model).submit(ask, address, model, task, *of)
    return _model(model).run(task, *of)


def submit_at_idle(model: str, task: Callable, *of: object) -> None:
    """Run a task in a model's shared process, if there is one, while nobody asks for anything."""
    if address := os.environ.get(ADDRESS):
        _model(model).submit(functools.partial(ask, at_idle=True), address, model, task, *of)


class Model:
    """A model's tasks, which a thread does one after the other.

    Attributes
    ----------
    stays : bool
        Whether its process stays although there is no task, as long as there is memory.
    used_s : float
        When its latest task ended, by the monotonic clock; infinite while it is at one, or has no process.
    """

    def __init__(self) -> None:
        self.stays, self.used_s = False, math.inf
        self._tasks: queue.SimpleQueue[tuple[Future, Callable, tuple]] = queue.SimpleQueue()
        self._workers = Workers()
        threading.Thread(target=self._work, daemon=True).start()  # a daemon: no exit waits for a task

    def submit(self, function: Callable, *of: object) -> Future:
        """Call a function in the thread."""
        future: Future = Future()
        self._tasks.put((future, function, of))
        return future

    def run(self, task: Callable, *of: object) -> Future:
        """Call a function in the model's process, which keeps it loaded."""
        return self.submit(self._run, task, *of)

    def _work(self) -> None:
        while True:
            try:
                future, function, of = self._tasks.get(timeout=REST_S if self.used_s < math.inf else None)
            except queue.Empty:
                with contextlib.suppress(psutil.Error, OSError):  # it looks again
                    self._rest()
                continue
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*of))
                except Exception as error:  # models fail in ways of their own
                    future.set_exception(error)

    def _rest(self) -> None:
        """End the process if it isn't kept any longer, or if there is no memory for it."""
        is_first = self.used_s == min((one.used_s for one in list(_models.values())), default=0)
        is_over = not self.stays and time.monotonic() > self.used_s + KEPT_S
        if is_over or (is_first and _is_memory_short()):
            self._end()

    def _run(self, task: Callable, *of: object) -> object:
        """Call a function in the process; one that takes too long ends with it."""
        limit = threading.Timer(MOST_S, self._workers.end)
        limit.daemon = True
        limit.start()
        self.used_s = math.inf
        try:
            try:
                return self._workers.call(task, *of)
            finally:
                limit.cancel()
                self.used_s = time.monotonic()
        except WorkerEndedError:
            self._end()
            raise

    def _end(self) -> None:
        self._workers.end()
        self._workers = Workers()
        self.stays, self.used_s = False, math.inf


def _is_memory_short() -> bool:
    """Whether the machine has less than `FLOOR` left, or the models hold more than `MOST_HELD`."""
    return psutil.virtual_memory().available < FLOOR or _held() > MOST_HELD


def _held() -> int:
    """Bytes of memory that the processes of models hold."""
    held = 0
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            held += one.memory_info().rss
    return held


_models: dict[str, Model] = {}
_lock = threading.Lock()


def _model(name: str) -> Model:
    with _lock:
        if name not in _models:
            _models[name] = Model()
        return _models[name]


def ask(address: str, model: str, task: Callable, *of: object, at_idle: bool = False) -> Any:
    """Return what a task gives in the shared process of its model; at idle, have it done later, for nothing.

    Parameters
    ----------
    address : str
        From `serving`.
    model : str
    task : callable
    *of
        Its arguments.
    at_idle : bool

    Raises
    ------
    WorkerEndedError
        If the process isn't there, or has ended, or doesn't answer in time.
    RuntimeError
        What the task has raised.
    """
    import cloudpickle

    try:
        with _connected(address) as connection:
            connection.send((model, at_idle))
            connection.send_bytes(cloudpickle.dumps((task, of)))
            if at_idle:
                return None
            if not connection.poll(2 * MOST_S):
                raise TimeoutError
            answer = connection.recv_bytes()
    except (OSError, EOFError) as error:
        raise WorkerEndedError(f"the models of {address} don't answer: search again") from error
    result, problem = pickle.loads(answer)
    if problem:
        raise RuntimeError(problem)
    return result


def _connected(address: str) -> Connection:
    """Connection to a process that shares models, which may only just be starting."""
    end = time.monotonic() + START_S
    while True:
        try:
            return Client(address)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(LOOK_S)


class Shared:
    """Answers kernels, each in a thread of its own."""

    def __init__(self) -> None:
        self.later: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.asked = time.monotonic()
        threading.Thread(target=self._load, daemon=True).start()

    def answer(self, connection: Connection) -> None:
        """Do the one task of a connection, unless it is closed before the task's turn has come."""
        with connection, contextlib.suppress(EOFError, OSError):
            (name, at_idle), task = connection.recv(), connection.recv_bytes()
            self.asked = time.monotonic()
            if at_idle:
                self.later.put((name, task))
                return
            future = _model(name).run(_answer, task)
            while wait([future], LOOK_S).not_done:
                if connection.poll():  # no kernel sends more: the connection is closed
                    future.cancel()
                    return
            error = future.exception()
            connection.send_bytes(pickle.dumps((None, describe_error(error))) if error else future.result())

    def _load(self) -> None:
        while True:
            name, task = self.later.get()
            while time.monotonic() < self.asked + IDLE_S:
                time.sleep(LOOK_S)
            with contextlib.suppress(psutil.Error, OSError):  # who asks for it loads it
                has_room = psutil.virtual_memory().available > ROOM and _held() < MOST_HELD
                if has_room and not _model(name).run(_answer, task).exception():
                    _model(name).stays = True


def _answer(task: bytes) -> bytes:
    """What a pickled task gives, and that there is no problem."""
    function, of = pickle.loads(task)
    return pickle.dumps((function(*of), ""))


def describe_error(error: BaseException) -> str:
    """Message of an error for the page; never empty."""
    if isinstance(error, WorkerEndedError):
        return "The model's process has ended, perhaps for want of memory: search again."
    return str(error) or type(error).__name__


def main(address: str) -> None:
    """Share models until the process that has started this one ends."""
    end_with(os.getppid())
    Path(address).unlink(missing_ok=True)  # left by one that was killed
    shared = Shared()
    with Listener(address, "AF_UNIX", backlog=64) as listener:
        while True:
            threading.Thread(target=shared.answer, args=(listener.accept(),), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
