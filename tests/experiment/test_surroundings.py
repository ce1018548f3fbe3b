"""A run brings its own surroundings: what the user has set for other work neither ends nor changes it."""

import asyncio
import importlib
import itertools
import json
import os
import subprocess
import sys
from queue import Empty

import nbformat
import pytest

from sss_lib.experiment import surroundings

SEEN = """
import json, os, sys, time, locale, warnings
import matplotlib, matplotlib.pyplot as plt
try:
    assert False
except AssertionError:
    asserted = True
warnings.warn("only a warning")
"é".encode(locale.getpreferredencoding(False))
usetex, backend = matplotlib.rcParams["text.usetex"], matplotlib.get_backend()
seen = [sys.executable, asserted, usetex, backend, "started" in globals()]
seen += [time.tzname[0], sys.stdout.encoding]
print("é", json.dumps(seen))
plt.plot([1, 2]);
"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook that prints what it stands in."""
    cells = [nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(SEEN)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "seen.ipynb")
    return tmp_path / "seen.ipynb"


def hostile(folder):
    """Environments that others have, by what is in them."""
    (folder / "rc").mkdir()
    (folder / "rc" / "matplotlibrc").write_text("text.usetex: True\nbackend: TkAgg\n")
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("started = True")
    (startup.parent / "ipython_kernel_config.py").write_text("c.IPKernelApp.pylab = 'tk'")
    (folder / "start.py").write_text("started = True")
    (folder / "kernels" / "python3").mkdir(parents=True)
    other = {"argv": [sys.executable, "-c", "1/0"], "display_name": "other", "language": "python"}
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(other))
    long = folder / "/".join(["project"] * 15)
    long.mkdir(parents=True)
    spaced = folder / "my scratch"
    spaced.mkdir()
    return {
        "matplotlibrc": {"MPLCONFIGDIR": folder / "rc"},
        "MATPLOTLIBRC": {"MATPLOTLIBRC": folder / "rc" / "matplotlibrc"},
        "MPLBACKEND": {"MPLBACKEND": "TkAgg"},
        "locale": {"LANG": "tr_TR", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "iso": {"PYTHONIOENCODING": "iso-8859-1", "LC_ALL": "en_US.ISO-8859-1"},
        "kernel": {"JUPYTER_PATH": folder, "JUPYTER_DATA_DIR": folder},
        "python": {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTHONSTARTUP": folder / "start.py"},
        "ipython": {"IPYTHONDIR": folder / "ipython", "JUPYTER_CONFIG_DIR": folder},
        "home": {"HOME": "/proc/none", "IPYTHONDIR": "/proc/none", "JUPYTER_RUNTIME_DIR": "/proc/none"},
        "long TMPDIR": {"TMPDIR": long},
        "missing TMPDIR": {"TMPDIR": folder / "none"},
        "TMPDIR with a space": {"TMPDIR": spaced},
        "TZ": {"TZ": "Pacific/Chatham"},
    }


@pytest.mark.parametrize(
    "who",
    ["last", pytest.param("first", marks=pytest.mark.slow), pytest.param("TMPDIR", marks=pytest.mark.slow)],
)
def test_a_notebook_does_not_see_what_the_user_has_set(notebook, tmp_path, who):
    """In a process of its own, as much of this is read when Python starts. Of equal names, one wins."""
    every = hostile(tmp_path)
    order = list(every) if who == "last" else reversed(every)
    chosen = {name: value for what in order for name, value in every[what].items()}
    chosen |= every["missing TMPDIR"] if who == "TMPDIR" else {}
    code = """
import sys
from sss_lib.experiment import task, warm
with warm.serving() as server:
    for output, of in zip(sys.argv[2:], (None, server)):
        task.run_notebook(sys.argv[1], output, {"x": 2}, server=of)
"""
    executed = [tmp_path / "new.ipynb", tmp_path / "forked.ipynb"]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(notebook), *map(str, executed)],
        env={**os.environ, **{k: str(v) for k, v in chosen.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    for path in executed:
        check_seen(path)


def check_seen(output):
    outputs = json.loads(output.read_text(encoding="utf-8"))["cells"][-1]["outputs"]
    printed = "".join(text for one in outputs if one.get("name") == "stdout" for text in one["text"])
    executable, asserted, usetex, backend, started, zone, encoding = json.loads(printed.removeprefix("é "))
    assert os.path.samefile(executable, sys.executable)
    assert (asserted, usetex, started, zone, encoding.lower()) == (True, False, False, "UTC", "utf-8")
    assert backend.endswith("inline") or backend.endswith("backend_inline")
    assert any("image/png" in one.get("data", {}) for one in outputs)


def test_what_modules_and_proxies_need_stays(monkeypatch):
    for name in ("PYTHONPATH", "HTTPS_PROXY", "OMP_NUM_THREADS", "SSS_LIB_IMPORTS"):
        monkeypatch.setenv(name, "x")
        assert surroundings.environment()[name] == "x"


def test_kernel_files_go_with_the_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings.tempfile, "gettempdir", lambda: str(tmp_path))
    with surroundings.own_folder() as folder:
        assert surroundings.transport(folder) in ("ipc", "tcp")
        assert os.stat(folder).st_mode & 0o777 == 0o700
    assert not os.path.exists(folder)


class Channel:
    """Gives messages in turn; where there is none, or None, none comes in time."""

    def __init__(self, *messages):
        self.messages = list(messages)

    async def get_msg(self, timeout):
        message = self.messages.pop(0) if self.messages else None
        if message is None:
            raise Empty
        return message


def client_of(shell, iopub, *, is_alive=True):
    client = surroundings.Client()
    client._shell_channel, client._iopub_channel = Channel(*shell), Channel(*iopub)
    client.parent, asked = None, itertools.count()
    client.kernel_info = lambda: next(asked)

    async def alive():
        return is_alive

    client.is_alive = alive
    return client


def message(request, **content):
    return {"parent_header": {"msg_id": request}, "content": content}


def test_a_client_is_ready_once_all_outputs_of_its_request_have_come():
    reply = message("", protocol_version="5.4")
    state = [message(one, execution_state=state) for one in (0, 1) for state in ("busy", "idle")]
    # Before it listened, the first "idle" had passed.
    client = client_of([reply, reply], [state[0], None, *state[1:], message(2)])
    asyncio.run(client.wait_for_ready())
    assert client.iopub_channel.messages == [message(2)]
    assert not client.shell_channel.messages


def test_a_client_tells_why_its_kernel_does_not_answer():
    with pytest.raises(RuntimeError, match="ended before it answered"):
        asyncio.run(client_of([], [], is_alive=False).wait_for_ready(60))
    with pytest.raises(RuntimeError, match="did not answer within 0 s"):
        asyncio.run(client_of([], []).wait_for_ready(0))


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "iso-8859-1", "PYTHONUTF8": "0"},
    ],
)
def test_the_command_line_speaks_utf8_in_any_locale(variables):
    arguments = [sys.executable, "-m", "sss_lib", "listen", "--dataset", "naïve-ő"]
    ended = subprocess.run(arguments, env={**os.environ, **variables}, capture_output=True, check=False)
    assert ended.returncode == 2
    assert "'naïve-ő' has no rankings" in ended.stderr.decode()


@pytest.mark.parametrize(
    ("code", "unneeded"),
    [
        ("import sss_lib.listening.server", {"papermill", "pandas", "rfc3987_syntax", "scipy"}),
        ("from sss_lib.experiment import task; task.import_papermill()", {"rfc3987_syntax"}),
        ("import sss_lib.experiment.runner", {"jupyter_client", "papermill", "rfc3987_syntax"}),
    ],
)
def test_what_is_started_often_imports_nothing_that_takes_long_unneeded(code, unneeded):
    shown = f"import sys; print(*sorted({unneeded} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {shown}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_a_module_that_was_hidden_can_be_imported_later(monkeypatch):
    monkeypatch.delitem(sys.modules, "rfc3987_syntax", raising=False)
    with surroundings.light_imports(), pytest.raises(ImportError):
        importlib.import_module("rfc3987_syntax")
    assert "rfc3987_syntax" not in sys.modules


def test_a_client_does_not_wait_for_ever_while_others_print():
    """Outputs of a thread never cease, and the one that it waits for passed before it listened."""

    class Endless(Channel):
        async def get_msg(self, timeout):
            await asyncio.sleep(0.01)
            return message("of a thread", text="still here")

    client = client_of([message("", protocol_version="5.4")], [])
    client._iopub_channel = Endless()
    with pytest.raises(RuntimeError, match="did not answer within 0 s"):
        asyncio.run(asyncio.wait_for(client.wait_for_ready(0), 20))
