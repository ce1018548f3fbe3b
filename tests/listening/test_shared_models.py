"""Models that kernels share: one process a model, turns, what ends, what is loaded at idle."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from multiprocessing.connection import Client, Listener
from pathlib import Path

import cloudpickle
import psutil
import pytest

from sss_lib import models
from sss_lib.experiment import surroundings
from sss_lib.extraction.workers import WorkerEndedError
from sss_lib.listening import embedders, shared_models
from sss_lib.models.catalogue import CATALOGUE


@contextlib.contextmanager
def serving():
    """Address of a process that shares models."""
    with surroundings.own_folder() as folder, shared_models.serving(folder, folder) as address:
        yield address


@pytest.fixture(autouse=True)
def _own_models(monkeypatch):
    monkeypatch.setattr(shared_models, "_models", {})
    monkeypatch.setattr(shared_models, "START_S", 60)


@pytest.fixture
def address(monkeypatch):
    """The address, as a kernel of the server knows it."""
    with serving() as address:
        monkeypatch.setenv(shared_models.ADDRESS, address)
        yield address


def until(true):
    """Wait until something is true."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_kernels_share_a_process_for_each_model_and_it_ends_with_the_server():
    with serving() as address:
        first, again, other = (shared_models.ask(address, name, os.getpid) for name in ("a", "a", "b"))
        assert first == again != other
        with pytest.raises(RuntimeError, match="No such file"):
            shared_models.ask(address, "a", os.stat, "nowhere")
    psutil.wait_procs([psutil.Process(one) for one in (first, other) if psutil.pid_exists(one)], 10)
    assert not psutil.pid_exists(first)
    assert not psutil.pid_exists(other)


def test_a_kernel_with_many_sounds_lets_others_have_their_turn(address):
    many = [shared_models.submit("a", time.sleep, 0.2) for _ in range(5)]
    wait(many[:1])
    assert shared_models.ask(address, "a", os.getpid) != os.getpid()  # as another kernel
    assert sum(one.done() for one in many) < 4


def test_a_process_that_a_sound_ends_is_followed_by_another(address):
    with pytest.raises(RuntimeError, match="has ended, perhaps for want of memory"):
        shared_models.ask(address, "a", os._exit, 1)
    assert shared_models.submit("a", divmod, 7, 2).result(60) == (3, 1)


def test_the_sounds_of_those_who_have_left_are_skipped(address, tmp_path):
    heard = tmp_path / "heard"
    shared_models.ask(address, "a", os.getpid)
    busy = shared_models.submit("a", time.sleep, 3)
    time.sleep(0.5)
    for _ in range(5):
        with Client(address) as connection:
            connection.send(("a", False))
            connection.send_bytes(cloudpickle.dumps((Path.touch, (heard,))))
    shared_models.ask(address, "a", os.getpid)
    assert wait([busy], 1).done  # a thread takes its answer, which came before
    assert not heard.exists()


def test_the_shared_process_is_followed_by_another_if_it_is_killed(address, caplog):
    shared = psutil.Process(shared_models.ask(address, "a", os.getppid))
    shared.kill()
    until(lambda: not shared.is_running())
    assert psutil.pid_exists(shared_models.submit("a", os.getppid).result(60))
    assert "the process that shares models has ended (-9): another follows" in caplog.text


def test_without_the_shared_process_a_kernel_says_so_and_starts_none(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_models, "START_S", 0)
    monkeypatch.setenv(shared_models.ADDRESS, str(tmp_path / "none"))
    shared_models.submit_at_idle("own", os.getpid)
    error = shared_models.submit("own", os.getppid).exception(60)
    assert shared_models.describe_error(error).endswith(
        "has ended, perhaps for want of memory: search again."
    )


def test_without_an_address_a_kernel_has_its_own():
    assert shared_models.submit("own", os.getppid).result(60) == os.getpid()


def test_a_model_has_one_process_whatever_ends_and_whoever_asks():
    code = """
import os, threading, psutil
from sss_lib.listening.shared_models import submit
pids, gate = [], threading.Barrier(4)
def ask():
    gate.wait()
    pids.append(submit("a", os.getpid).result())
threads = [threading.Thread(target=ask) for _ in range(4)]
[one.start() for one in threads], [one.join() for one in threads]
for _ in range(2):
    for one in [submit("a", *task) for task in [(os._exit, 1), *[(os.getpid,)] * 4]]:
        one.exception()
alive = [one for one in psutil.Process().children() if "popen_loky" in " ".join(one.cmdline())]
print(len({*pids}), len(alive))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 1\n", "")


def test_a_kernel_whose_sound_waits_ends_and_takes_the_sound_along(tmp_path):
    code = """
import os
from sss_lib.listening import external_queries, shared_models
shared_models.submit("a", os.getpid)
upload = external_queries.Upload()
assert upload.add(b"sound", 0, last=True).exists()
input()
"""
    with surroundings.own_folder() as folder, Listener(f"{folder}/models", "AF_UNIX") as listener:
        variables = os.environ | {shared_models.ADDRESS: listener.address, "TMPDIR": str(tmp_path)}
        words, pipe = [sys.executable, "-c", code], subprocess.PIPE
        with subprocess.Popen(words, env=variables, stdin=pipe) as kernel, listener.accept():
            try:
                kernel.communicate(b"\n", timeout=60)
            finally:
                kernel.kill()
    assert kernel.returncode == 0
    assert not list(tmp_path.iterdir())


def test_a_shared_process_that_never_answers_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(shared_models, "MOST_S", 0.1)
    with (
        surroundings.own_folder() as folder,
        Listener(f"{folder}/models", "AF_UNIX") as mute,
        pytest.raises(WorkerEndedError, match="don't answer: search again"),
    ):
        shared_models.ask(mute.address, "a", os.getpid)


def test_a_task_that_never_ends_is_ended(monkeypatch):
    model = shared_models.Model()
    model.run(os.getpid).result(60)
    monkeypatch.setattr(shared_models, "MOST_S", 0.5)
    assert isinstance(model.run(time.sleep, 1000).exception(60), WorkerEndedError)
    monkeypatch.undo()
    assert model.run(divmod, 7, 2).result(60) == (3, 1)


def test_models_are_loaded_at_idle(address, tmp_path):
    began, loaded = time.monotonic(), tmp_path / "loaded"
    shared_models.ask(address, "a", Path.touch, loaded, at_idle=True)
    until(loaded.exists)
    assert time.monotonic() > began + shared_models.IDLE_S


def test_a_model_that_refuses_silence_is_loaded_and_its_process_imports_little():
    def embed(wave):
        if not wave.any():
            raise ValueError("the clip is silent")
        return wave[None, :2]

    models.register("refuses-silence", embed, rate_hz=100, dim=2)
    try:
        embedders.load(models.spec("refuses-silence"))
    finally:
        del CATALOGUE["refuses-silence"]
    code = "import sys; from sss_lib.listening import embedders; print('pandas' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_model_that_was_not_loaded_at_idle_ends(monkeypatch):
    monkeypatch.setattr(shared_models, "KEPT_S", 0.5)
    monkeypatch.setattr(shared_models, "IDLE_S", 0)
    monkeypatch.setattr(shared_models, "ROOM", 0)
    kept, other = shared_models._model("kept"), shared_models._model("other")
    shared_models.Shared().later.put(("kept", cloudpickle.dumps((os.getpid, ()))))
    until(lambda: kept.stays)
    pids = [one.run(os.getpid).result(60) for one in (kept, other)]
    until(lambda: not psutil.pid_exists(pids[1]))
    assert psutil.pid_exists(pids[0])
    assert kept.run(os.getpid).result(60) == pids[0]
    kept.stays = False
    until(lambda: not psutil.pid_exists(pids[0]))


@pytest.mark.parametrize("what", ["fails", "is killed"])
def test_a_model_that_fails_or_is_killed_is_loaded_at_idle_again(what, monkeypatch, tmp_path):
    monkeypatch.setattr(shared_models, "IDLE_S", 0)
    monkeypatch.setattr(shared_models, "ROOM", 0)
    shared, loaded, model = shared_models.Shared(), tmp_path / "loaded", shared_models._model(what)
    task = (what, cloudpickle.dumps((os.mkdir, (loaded,))))
    if what == "fails":
        loaded.mkdir()
    shared.later.put(task)
    until(loaded.exists)
    pid = model.run(os.getpid).result(60)
    if what == "fails":
        assert not model.stays
    else:
        os.kill(pid, signal.SIGKILL)
    loaded.rmdir()
    shared.later.put(task)
    until(lambda: loaded.exists() and model.stays)
    assert (model.run(os.getpid).result(60) == pid) is (what == "fails")
    model.stays = False


def hold(n_bytes):
    """Hold memory, as a model does; return the process that does it."""
    import builtins
    import os

    builtins.held = b"x" * n_bytes
    return os.getpid()


def wait_for(path):
    """Do nothing until there is a file."""
    import time

    while not path.exists():
        time.sleep(0.05)


@pytest.mark.parametrize("scarce", ["what the models hold", "what the machine has left", "nothing"])
def test_where_memory_is_short_models_end_that_were_not_used_for_longest(scarce, monkeypatch, tmp_path):
    each = 200_000_000
    monkeypatch.setattr(shared_models, "REST_S", 0.3)
    names = ("first", "second", "third")
    pids = {name: shared_models.submit(name, hold, each).result(60) for name in names}
    assert (
        shared_models.submit("first", os.getpid).result(60) == pids["first"]
    )  # the second is the oldest now
    shared_models._models["second"].stays = True  # as one does that was loaded at idle
    busy = shared_models.submit("third", wait_for, tmp_path / "enough")
    if scarce == "what the models hold":
        monkeypatch.setattr(shared_models, "MOST_HELD", shared_models._held() - each / 2)
        ended, kept = ["second"], ["first", "third"]
    elif scarce == "what the machine has left":
        monkeypatch.setattr(shared_models, "FLOOR", 1e15)
        ended, kept = ["second", "first"], ["third"]  # which is at work
    else:
        ended, kept = [], list(names)
        time.sleep(2)
    for name in ended:
        until(lambda name=name: not psutil.pid_exists(pids[name]))
        assert name == ended[-1] or psutil.pid_exists(pids[ended[-1]])
    assert not busy.done()
    time.sleep(1)
    assert [name for name in names if psutil.pid_exists(pids[name])] == sorted(kept)
    (tmp_path / "enough").touch()
    busy.result(60)
    monkeypatch.setattr(shared_models, "FLOOR", 0)
    monkeypatch.setattr(shared_models, "MOST_HELD", float("inf"))
    if scarce != "what the machine has left":
        assert shared_models.submit("first", os.getpid).result(60) == pids["first"]
    if ended:
        assert shared_models.submit("second", os.getpid).result(60) != pids["second"]  # it is loaded again


def test_no_model_is_loaded_at_idle_where_models_hold_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(shared_models, "IDLE_S", 0)
    monkeypatch.setattr(shared_models, "ROOM", 0)
    monkeypatch.setattr(shared_models, "_held", lambda: shared_models.MOST_HELD)
    shared = shared_models.Shared()
    shared.later.put(("a", cloudpickle.dumps((Path.touch, (tmp_path / "a",)))))
    until(shared.later.empty)
    monkeypatch.setattr(shared_models, "_held", lambda: 0)
    shared.later.put(("b", cloudpickle.dumps((Path.touch, (tmp_path / "b",)))))
    until((tmp_path / "b").exists)
    assert not (tmp_path / "a").exists()


def test_a_model_goes_on_if_memory_cannot_be_looked_at(monkeypatch):
    looked = []

    def fail():
        looked.append(1)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shared_models, "_is_memory_short", fail)
    monkeypatch.setattr(shared_models, "REST_S", 0.05)
    model = shared_models._model("a")
    pid = model.run(os.getpid).result(60)
    until(lambda: len(looked) > 1)
    assert model.run(os.getpid).result(60) == pid
    with pytest.raises(WorkerEndedError):
        model.run(os._exit, 1).result(60)
    assert model.used_s == float("inf")  # it has no process
