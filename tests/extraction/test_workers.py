"""Workers answer calls, and neither a kill nor an error is lost or spoils the next call."""

import functools
import os
import subprocess
import sys

import psutil
import pytest

from sss_lib import models
from sss_lib.extraction import embedding, workers
from sss_lib.extraction.workers import WorkerEndedError, Workers


@pytest.fixture
def own():
    with Workers() as found:
        yield found


def die_the_first_time(marker):
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), 9)
    return "alive"


def test_a_call_runs_elsewhere_with_one_thread_and_the_process_is_kept(own):
    first, second = (own.call(lambda: os.getpid()) for _ in range(2))
    assert first == second != os.getpid()
    assert own.call(os.getenv, "OMP_NUM_THREADS") == "1"  # not os.environ, which would come along


def raise_what_can_not_be_pickled():
    class LocalError(Exception):
        pass

    raise LocalError("no")


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (functools.partial(divmod, 1, 0), ZeroDivisionError, "by zero"),
        (raise_what_can_not_be_pickled, RuntimeError, "LocalError: no"),
        (functools.partial(sys.exit, "no model"), RuntimeError, r"called sys.exit\('no model'\)"),
    ],
)
def test_an_error_comes_back_and_the_process_goes_on(own, function, error, message):
    pid = own.call(os.getpid)
    with pytest.raises(error, match=message) as caught:
        own.call(function)
    assert not isinstance(caught.value, WorkerEndedError)
    assert own.call(os.getpid) == pid


def test_a_call_whose_process_is_killed_is_made_once_more(own, tmp_path):
    first = own.call(os.getpid)
    assert own.call(die_the_first_time, str(tmp_path / "marker")) == "alive"
    assert own.call(os.getpid) != first


def test_a_call_that_two_processes_die_of_is_an_error_and_others_still_work(own):
    with pytest.raises(WorkerEndedError, match=r"EXIT\(3\)"):
        own.call(os._exit, 3)
    assert own.call(divmod, 7, 2) == (3, 1)


def test_after_the_block_no_process_is_started():
    with Workers() as own:
        assert own.call(divmod, 7, 2) == (3, 1)
    with pytest.raises(WorkerEndedError, match="within their `with` block"):
        own.call(divmod, 7, 2)
    assert own._idle == own._busy == []


def test_another_model_beside_a_worker_has_another_process_and_the_first_ends(tmp_path):
    def pid_of(key):
        return workers.call_beside(key, str(tmp_path), os.getpid)

    try:
        torch, again, tensorflow = pid_of("torch"), pid_of("torch"), pid_of("tensorflow")
        assert torch == again != tensorflow
        assert not psutil.pid_exists(torch)
        workers.end_beside("torch")
        assert psutil.pid_exists(tensorflow)
    finally:
        workers.end_beside("tensorflow")
    assert not psutil.pid_exists(tensorflow)


STARTER = """
import os, sys
from sss_lib.extraction.workers import Workers
own = Workers()
print(own.call(os.getpid), flush=True)
sys.stdin.read()
"""


def test_a_process_ends_with_a_starter_that_is_killed():
    ways = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", STARTER], **ways) as starter:
        of_starter = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    assert psutil.wait_procs([of_starter], timeout=30)[1] == []


def test_the_largest_group_begins_first_and_results_keep_their_order(tmp_path, monkeypatch):
    """Lest a worker be alone with it in the end, while the others idle."""
    groups, begun = [], []
    for name, n_bytes in (("short", 10), ("long", 3000), ("middle", 200)):
        (tmp_path / name).write_bytes(bytes(n_bytes))
        groups.append([(name, str(tmp_path / name))])

    def call(self, function, group, *of_model):
        begun.append(group[0][0])
        return [(group[0][0], "result")]

    monkeypatch.setattr(Workers, "call", call)
    spec = models.spec("duration")
    found = [fname for fname, _ in embedding.embed_all([[*one] for one in groups], spec, "cpu", 2, None)]
    assert begun[0] == "long"
    assert found == ["short", "long", "middle"]
