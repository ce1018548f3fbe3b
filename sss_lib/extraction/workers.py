"""Worker processes that may be killed: each is a joblib/loky pool of one process.

A pool of several processes breaks as a whole when one of them is killed, and the work of all is lost. Pools
of one keep the loss to one call, which another worker repeats. A worker runs one model, because PyTorch and
TensorFlow can hang in one process. Its network has one thread, so that workers don't fight over the cores.
"""

import functools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
ORPHAN_S = 0.5
"""How often a worker looks whether its parent is still alive."""


class WorkerEndedError(RuntimeError):
    """A worker process that ended, or was killed, before it had answered."""


class Workers:
    """As many worker processes as there are calls at a time; a free worker takes the next call.

    A call whose worker is killed is repeated once, in a new worker.

    Parameters
    ----------
    folder : str, optional
        Working directory of the workers; by default that of this process.

    Examples
    --------
    >>> with Workers() as workers:
    ...     workers.call(divmod, 7, 2)
    (3, 1)
    """

    def __init__(self, folder: str | None = None):
        self.folder = folder or os.getcwd()
        self._lock = threading.Lock()
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: list[ProcessPoolExecutor] = []
        self._is_retired = self._is_ended = False

    def call(self, function: Callable, *arguments: object) -> object:
        """Return what a function returns in a worker.

        Raises
        ------
        WorkerEndedError
            If two workers died of the call, or `end` was called.
        RuntimeError
            If the function called sys.exit.
        """
        try:
            return self._call(function, *arguments)
        except BrokenExecutor:
            if self._is_ended:
                raise WorkerEndedError("the workers were ended before they had answered") from None
        try:
            return self._call(function, *arguments)
        except BrokenExecutor as error:
            codes = str(error).partition("workers are ")[2].partition("\n")[0]
            raise WorkerEndedError(
                f"a worker ended before it had answered, and so did the next ({codes}), perhaps for want of "
                "memory: use fewer workers"
            ) from None

    def _call(self, function: Callable, *arguments: object) -> object:
        import cloudpickle
        from joblib.externals.loky.process_executor import ShutdownExecutorError

        with self._lock:
            if self._is_ended:
                raise WorkerEndedError("these workers have ended: call them within their `with` block")
            worker = self._idle.pop() if self._idle else _start()
            self._busy.append(worker)
        stays = True
        try:
            call = cloudpickle.dumps((function, arguments))
            return worker.submit(_answer, self.folder, call).result()
        except BrokenExecutor:
            stays = False
            raise
        except ShutdownExecutorError as error:  # `end` was called
            raise BrokenExecutor(str(error)) from None
        finally:
            with self._lock:
                is_ours = worker in self._busy  # else `end` has it
                if is_ours:
                    self._busy.remove(worker)
                stays = stays and not self._is_retired
                if is_ours and stays:
                    self._idle.append(worker)
            if is_ours and not stays:
                worker.shutdown(kill_workers=True)

    def retire(self) -> None:
        """End the workers that are free now, and each other one when it has answered."""
        with self._lock:
            self._is_retired, idle, self._idle = True, self._idle, []
        for worker in idle:
            worker.shutdown(kill_workers=True)

    def end(self) -> None:
        """End all workers, at work or not: they keep nothing."""
        self.retire()
        with self._lock:
            self._is_ended, busy, self._busy = True, self._busy, []
        for worker in busy:
            worker.shutdown(kill_workers=True)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _start() -> "ProcessPoolExecutor":
    from joblib.externals.loky import ProcessPoolExecutor

    if multiprocessing.current_process().daemon:
        # Dask's workers are daemons, which may have no children lest these outlive them: see `end_with`.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    return ProcessPoolExecutor(1, env=ONE_THREAD, initializer=_prepare, initargs=(os.getpid(),))


def _prepare(parent: int) -> None:
    """Let the parent alone decide when this worker ends: at the latest with the parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)


@functools.cache
def end_with(parent: int) -> None:
    """Let this process end soon after its parent, however that ends."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHAN_S)
    os._exit(1)


def _answer(folder: str, call: bytes) -> object:
    """Call a pickled function in a folder; raise only what the parent can read."""
    os.chdir(folder)
    if "" not in sys.path:
        sys.path.append("")  # for modules beside a notebook
    try:
        function, arguments = pickle.loads(call)
        return function(*arguments)
    except SystemExit as error:  # would end the parent too
        raise RuntimeError(f"the function called sys.exit({error.code!r})") from None
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # would break the pool
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


def in_order(submit: Callable, items: Iterable, n_ahead: int) -> Iterator:
    """Yield results of the futures that `submit` gives for items, in their order.

    At most `n_ahead` other futures are under way. When the iteration ends early, they are cancelled.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as pool:
    ...     list(in_order(lambda x: pool.submit(abs, x), range(-3, 0), 2))
    [3, 2, 1]
    """
    under_way: deque = deque()
    try:
        for item in items:
            under_way.append(submit(item))
            if len(under_way) > n_ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()


_of_model: dict[tuple[str, str], Workers] = {}
_lock = threading.Lock()


def call_beside(key: str, folder: str, function: Callable, *arguments: object) -> object:
    """Call a function in a child process of this process, which is a worker of a Dask cluster.

    So a child that is killed costs one call, and the cluster keeps its worker. Each thread has a child of
    its own.

    Parameters
    ----------
    key : str
        Names the model. The workers of another key are ended: a machine holds one model at a time.
    folder : str
        Working directory of the workers.
    function : callable
    *arguments
    """
    with _lock:
        for other in [one for one in _of_model if one != (key, folder)]:
            _of_model.pop(other).retire()
        workers = _of_model.setdefault((key, folder), Workers(folder))
    return workers.call(function, *arguments)


def end_beside(key: str) -> None:
    """End the workers of a key beside this process."""
    with _lock:
        for own in [one for one in _of_model if one[0] == key]:
            _of_model.pop(own).retire()
