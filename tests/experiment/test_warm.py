"""A forked kernel is as a new one would be, and none is left, whether its server or its client ends."""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from sss_lib.experiment import surroundings, warm
from sss_lib.experiment.task import run_notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")

SEEN = """
import sys
is_warm = "scipy.sparse" in sys.modules
import json, os, random, threading
import numpy as np, pyarrow, threadpoolctl
blas = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
found = dict(is_warm=is_warm, own=os.environ.get("OF_A_NEIGHBOUR"), folder=os.getcwd(), pid=os.getpid())
found.update(nan=str(np.nan), blas=blas, arrow=pyarrow.cpu_count(), flags=str(sys.flags))
found.update(argv=sys.argv[:2] + sys.argv[3:])
found.update(environ=sorted(set(os.environ) - {"JPY_PARENT_PID"}), path=sys.path, stdin=sys.stdin.read())
found.update(session=os.getsid(0), hidden=os.listdir("/proc/self/fd"))
import pandas
table = pandas.DataFrame([[1000.0] * 30] * 3)
found.update(table=[str(table), table._repr_html_()])
import ipywidgets
found.update(comms=sorted(get_ipython().kernel.comm_manager.targets))
found.update(random=[random.random(), np.random.rand(), np.random.default_rng().random()])
found.update(name=__name__, main=sys.modules["__main__"].__dict__ is globals())
print(json.dumps(found))
os.environ["OF_A_NEIGHBOUR"] = "seen"
np.nan = "spoilt"
os.chdir("/")
"""
FORKED = {"pid", "session", "random", "is_warm", "hidden"}
"""What differs between processes anyway."""


def run(folder, code, server):
    """Run a notebook of one cell; return it as executed."""
    cells = [nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(code)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    folder.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "in.ipynb")
    run_notebook(folder / "in.ipynb", folder / "out.ipynb", {}, server=server)
    return json.loads((folder / "out.ipynb").read_text(encoding="utf-8"))


def printed(executed, name="stdout"):
    outputs = executed["cells"][-1]["outputs"]
    return "".join(text for one in outputs if one.get("name") == name for text in one["text"])


@pytest.fixture(scope="module")
def server():
    with warm.serving() as address:
        yield address


@contextlib.contextmanager
def process_of(code, *arguments):
    """A Python process, whose first line is given."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def has_ended(pid, seconds=10):
    end = time.monotonic() + seconds
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                return True
        time.sleep(0.05)
    return not os.path.exists(f"/proc/{pid}")


def kernel(address, folder):
    """A kernel of a server, which nobody speaks to."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", f"{folder}/kernel.json"]
    environment = surroundings.environment() | surroundings.of_folder(folder)
    return warm.Forked(address, {"command": command, "environment": environment, "folder": str(folder)})


@pytest.mark.parametrize("threads", [("1", "1"), ("1", None), ("2,1", "x"), ("-1", "1,2"), (None, None)])
def test_a_forked_kernel_is_as_a_new_one_and_sees_nothing_of_its_neighbours(
    tmp_path, server, monkeypatch, threads
):
    for name, n in zip(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads, strict=True):
        monkeypatch.delenv(name, raising=False)
        if n:
            monkeypatch.setenv(name, n)
    plain, *forked = (json.loads(printed(run(tmp_path, SEEN, of))) for of in (None, server, server))
    assert [one["is_warm"] for one in (plain, *forked)] == [False, True, True]
    for one in forked:
        assert {key: one[key] for key in one if key not in FORKED} == {
            key: plain[key] for key in plain if key not in FORKED
        }
        assert one["session"] == one["pid"]
        assert len(one["hidden"]) <= len(plain["hidden"]) + 1, "descriptors of the server"
    assert all(a != b for a, b in zip(*(one["random"] for one in forked), strict=True))


def test_what_a_forked_kernel_prints_and_draws_is_kept(tmp_path, server, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it ipykernel leaves descriptors as they are
    code = """
import os, sys, subprocess, matplotlib.pyplot as plt
print("é"); print("error", file=sys.stderr)
subprocess.run(["echo", "of a child"])
os.write(1, b"raw\\n")
plt.plot([1, 2])
"""
    executed, plain = (run(tmp_path, code, of) for of in (server, None))
    assert "é\n" in printed(executed)
    assert sorted(printed(executed).split("\n")) == sorted(printed(plain).split("\n"))
    assert printed(executed, "stderr") == "error\n"
    assert "raw" in printed(executed)
    pictures = [
        [one["data"]["image/png"] for one in of["cells"][-1]["outputs"] if "image/png" in one.get("data", {})]
        for of in (executed, plain)
    ]
    assert len(pictures[0]) == 1
    assert pictures[0] == pictures[1]


def test_a_killed_kernel_harms_no_other(tmp_path, server):
    slow = "import time; time.sleep(3); print('done')"
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        other = pool.submit(run, tmp_path / "other", slow, server)
        killed = pool.submit(run, tmp_path / "killed", "import os; os.kill(os.getpid(), 9)", server)
        assert "died" in str(killed.exception(60)).lower()
        assert printed(other.result(60)) == "done\n"
    assert printed(run(tmp_path, "print(1)", server)) == "1\n"


def test_without_a_server_kernels_start_as_any(tmp_path):
    assert printed(run(tmp_path, "print(1)", str(tmp_path / "none"))) == "1\n"


@pytest.mark.parametrize("name", ["fork", "pidfd_open"])
def test_where_a_system_cannot_fork_or_wait_there_is_no_server(monkeypatch, name):
    monkeypatch.delattr(os, name)
    with warm.serving() as address:
        assert address is None


def test_where_a_container_forbids_to_wait_there_is_no_server(monkeypatch):
    def forbidden(_):
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    with warm.serving() as address:
        assert address is None


def test_kernels_end_with_their_client_and_their_server(tmp_path):
    serving = "import json; from sss_lib.experiment import warm\nwith warm.serving(()) as address:\n"
    with process_of(serving + "    print(json.dumps(address), flush=True); __import__('time').sleep(60)") as (
        runner,
        address,
    ):
        left = kernel(address, tmp_path)
        left._connection.close()  # as when the client is killed
        assert has_ended(left.pid)
        ended = kernel(address, tmp_path)
        ended.terminate()
        assert ended.wait() == -signal.SIGTERM
        orphan = kernel(address, tmp_path)
        assert orphan.poll() is None
        runner.kill()
        assert has_ended(orphan.pid)
        assert orphan.wait() == -signal.SIGKILL
    with pytest.raises(OSError, match=r"refused|ended|No such"):
        kernel(address, tmp_path)


def test_a_server_lives_on_where_the_ends_of_processes_are_ignored(tmp_path):
    """As some supervisors have it: the setting passes to what they start."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with warm.serving(()) as address:
            first, other = kernel(address, tmp_path), kernel(address, tmp_path)
            first.kill()
            assert first.wait() == -signal.SIGKILL
            time.sleep(0.5)
            assert other.poll() is None
            other.terminate()
            assert other.wait() == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_the_end_of_a_kernel_is_noticed_as_it_comes(tmp_path, server):
    forked = kernel(server, tmp_path)
    asyncio.run(forked.ending(0.01))
    assert forked.poll() is None
    forked.kill()
    asyncio.run(forked.ending(60))
    assert forked.poll() == -signal.SIGKILL
    asyncio.run(forked.ending(60))  # it has ended


def test_a_kernel_ends_although_its_threads_wait_for_each_other(tmp_path, server, monkeypatch):
    forked, init = [], warm.Forked.__init__
    monkeypatch.setattr(warm.Forked, "__init__", lambda self, *of: (forked.append(self), init(self, *of))[1])
    code = (
        "from functools import partial; from time import sleep; from ipykernel.kernelapp import IPKernelApp\n"
    )
    code += "thread = IPKernelApp.instance().control_thread; print(1)\n"
    code += "thread.is_alive, thread.join = lambda: True, partial(sleep, 60)"
    assert printed(run(tmp_path, code, server)) == "1\n"
    assert forked[0].poll() == 0  # it wasn't killed


def test_a_kernel_ends_when_its_server_is_killed(tmp_path):
    with warm.serving(()) as address:
        of_server = kernel(address, tmp_path)
        time.sleep(1)  # until it looks after its parent
        with open(f"/proc/{of_server.pid}/stat") as file:
            os.kill(int(file.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
        assert has_ended(of_server.pid)
        assert of_server.wait() == -signal.SIGKILL
        assert printed(run(tmp_path, "print(1)", address)) == "1\n"
