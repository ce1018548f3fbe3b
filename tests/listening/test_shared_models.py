"""Models that kernels share: one process a model, turns, what ends, what is loaded at idle."""

import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import wait
from multiprocessing.connection import Client
from pathlib import Path

import psutil
import pytest

from sss_lib import models
from sss_lib.experiment import surroundings
from sss_lib.listening import embedders, shared_models
from sss_lib.models.catalogue import CATALOGUE


@contextlib.contextmanager
def serving():
    """Address of a process that shares models, once it answers."""
    with surroundings.own_folder() as folder, shared_models.serving(folder, folder) as address:
        for _ in range(600):
            with contextlib.suppress(OSError), Client(address):
                break
            time.sleep(0.1)
        yield address


@pytest.fixture
def address(monkeypatch):
    """The address, as a kernel of the server knows it."""
    with serving() as address:
        monkeypatch.setenv(shared_models.ADDRESS, address)
        yield address


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


def test_without_the_shared_process_a_kernel_has_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(shared_models.ADDRESS, str(tmp_path / "none"))
    shared_models.submit_at_idle("own", os.getpid)
    own = shared_models.submit("own", os.getppid).result(60)
    assert own == os.getpid()


def test_models_are_loaded_at_idle(address, tmp_path):
    began, loaded = time.monotonic(), tmp_path / "loaded"
    shared_models.ask(address, "a", Path.touch, loaded, at_idle=True)
    while not loaded.exists():
        assert time.monotonic() < began + 60
        time.sleep(0.05)
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
