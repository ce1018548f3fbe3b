"""Functions called in processes of their own, which end with the one that started them.

A process runs one model, with one thread for its network: PyTorch and TensorFlow can hang where both have
run, and processes with a thread each don't fight over the cores. It is spoken to through its standard input
and output, so that it sees the end of whoever started it, however that came about; and it may be started
where `multiprocessing` may not, as in a worker of Dask.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class ProcessEndedError(RuntimeError):
    """A process that ended, or was killed, before it had answered."""


class Process:
    """A process of its own that calls functions, one at a time.

    Parameters
    ----------
    folder : str
        Its working directory.
    """

    def __init__(self, folder: str):
        path = [*sys.path, ""]  # the folder last, for modules beside a notebook
        code = f"import sys; sys.path[:] = {path!r}; from sss_lib import processes; processes.serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            cwd=folder,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout

    def call(self, function: Callable, *arguments: object) -> object:
        """Return what a function returns there, or raise what it raises; ProcessEndedError if it died."""
        import cloudpickle

        question = cloudpickle.dumps((function, arguments))
        try:
            pickle.dump(question, self.questions)
            self.questions.flush()
            answer, error = pickle.load(self.answers)
        except (OSError, EOFError, pickle.UnpicklingError):
            self.end()
            raise ProcessEndedError(
                f"a worker process ended before it had answered (exit code {self.process.returncode}): "
                "perhaps it was killed for want of memory"
            ) from None
        if error is not None:
            raise error
        return answer

    def end(self) -> None:
        """Kill it: it keeps nothing."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.questions, self.answers):
            with contextlib.suppress(OSError):  # half a question is left that nobody reads
                pipe.close()


class Processes:
    """As many processes as there are calls at a time, started when needed and kept for the next call.

    A call whose process is killed is made once more, in another one: only its own work is lost.

    Parameters
    ----------
    folder : str, optional
        Their working directory; by default that of this process.

    Examples
    --------
    >>> with Processes() as processes:
    ...     processes.call(divmod, 7, 2)
    (3, 1)
    """

    def __init__(self, folder: str | None = None):
        self.folder = folder or os.getcwd()
        self._lock, self._closed, self._ended = threading.Lock(), False, False
        self._idle: list[Process] = []
        self._busy: list[Process] = []

    def call(self, function: Callable, *arguments: object) -> object:
        """Return what a function returns in a process that is free.

        ProcessEndedError if two died of it, or if `end` was called; RuntimeError if it raised SystemExit.
        """
        try:
            return self._call(function, *arguments)
        except ProcessEndedError:
            if self._closed:
                raise
            return self._call(function, *arguments)

    def _call(self, function: Callable, *arguments: object) -> object:
        with self._lock:
            if self._ended:
                raise ProcessEndedError("these processes have ended: call them within their `with` block")
            process = self._idle.pop() if self._idle else Process(self.folder)
            self._busy.append(process)
        try:
            return process.call(function, *arguments)
        finally:
            with self._lock:
                self._busy.remove(process)
                stays = process.process.poll() is None and not self._closed
                if stays:
                    self._idle.append(process)
            if not stays:
                process.end()

    def retire(self) -> None:
        """End the processes that are free now, and each other one when it has answered."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for process in idle:
            process.end()

    def end(self) -> None:
        """End all processes, at work or not."""
        self.retire()
        with self._lock:
            self._ended = True
            for process in self._busy:
                process.process.kill()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


_of_worker: dict[tuple, Processes] = {}
_lock = threading.Lock()


def call_beside(key: str, folder: str, function: Callable, *arguments: object) -> object:
    """Call a function in a process beside this one, a worker of a cluster: one for each of its threads.

    Parameters
    ----------
    key : str
        Calls with another key have other processes, and the earlier ones are ended.
    folder : str
        Their working directory.
    function : callable
    *arguments
    """
    with _lock:
        for other in [one for one in _of_worker if one != (key, folder)]:
            _of_worker.pop(other).retire()
        processes = _of_worker.setdefault((key, folder), Processes(folder))
    return processes.call(function, *arguments)


def end_beside(key: str) -> None:
    """End the processes of this key beside this one."""
    with _lock:
        for own in [one for one in _of_worker if one[0] == key]:
            _of_worker.pop(own).retire()


def serve() -> None:
    """Answer calls from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this one decides
    questions, answers = (os.fdopen(os.dup(number), mode) for number, mode in ((0, "rb"), (1, "wb")))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what libraries print must not get among the answers
    while True:
        try:
            question = pickle.load(questions)
        except EOFError:
            return
        try:
            function, arguments = pickle.loads(question)
            answer = pickle.dumps((function(*arguments), None))
        except SystemExit as error:  # raised in who asked, it would end that too
            answer = _as_answer(RuntimeError(f"the function called sys.exit({error.code!r})"))
        except Exception as error:
            answer = _as_answer(error)
        try:
            answers.write(answer)
            answers.flush()
        except BrokenPipeError:  # who asked is gone
            os._exit(1)


def _as_answer(error: Exception) -> bytes:
    """Return an error pickled, or where it can't be, its words."""
    try:
        answer = pickle.dumps((None, error))
        pickle.loads(answer)
    except Exception:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return answer
