"""The server of the page, as others may treat it: addresses, sites, messages, visits, kernels that die."""

import asyncio
import contextlib
import gc
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest

pytest.importorskip("voila")

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from sss_lib.listening import serve, server

PROTOCOL = "v1.kernel.websocket.jupyter.org"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
MOST, LEFT_S, SLOW_S = 3, 2, 2
STATIC = "/voila/static/voila.js"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *((one, "127.0.0.1") for one in ("127.0.0.1", "localhost", "LOCALHOST", " localhost ", "127.1")),
        *(("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("[::1]", "::1"), ("2130706433", "127.0.0.1")),
        *(("0.0.0.0", "0.0.0.0"), ("::", "::"), ("192.0.2.7", "192.0.2.7")),
    ],
)
def test_a_host_is_one_address_and_open_only_if_written_as_such(host, address):
    assert serve.address_of(host) == address


@pytest.mark.parametrize(
    "host", ["", " ", "0", "0x0", "10.1", "x86_64-conda-linux-gnu", "nowhere.invalid", "a b"]
)
def test_a_host_that_may_not_be_meant_is_refused(host):
    with pytest.raises(ValueError, match=r"give 127\.0\.0\.1 for this machine alone, or 0\.0\.0\.0 for all"):
        serve.address_of(host)


def test_a_name_of_this_machine_that_others_reach_is_refused(monkeypatch):
    found = [(socket.AF_INET, 1, 6, "", (one, 0)) for one in ("127.0.1.1", "192.0.2.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ValueError, match=r"host 'box' is 127\.0\.1\.1, 192\.0\.2\.7, which others reach"):
        serve.address_of("box")


@pytest.mark.parametrize(
    ("host", "is_open"), [("127.0.0.1", False), ("127.1", False), ("0.0.0.0", True), ("::", True)]
)
def test_an_open_page_says_so_and_asks_for_a_token(small_store, monkeypatch, capsys, host, is_open):
    started = []
    monkeypatch.setattr(os, "execve", lambda *of: started.append(of))
    serve.serve("tiny", small_store.data_dir, host, 8866)
    ((_, arguments, variables),) = started
    printed = capsys.readouterr().out
    assert printed.startswith("OPEN to every machine that reaches ") is is_open
    assert (len(variables["SSS_TOKEN"]) >= 32) is is_open
    assert not [one for one in arguments if is_open and variables["SSS_TOKEN"] in one]  # others see these


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(small_store, port):
    with pytest.raises(ValueError, match=f"port {port} is none"):
        serve.serve("tiny", small_store.data_dir, "127.0.0.1", port)


class Site:
    """A running server, and what a visitor does with it."""

    def __init__(self, process, port, busy):
        self.process, self.port, self.busy = psutil.Process(process.pid), port, busy

    def sounds(self):
        """Folders of the visitors' sounds."""
        (models,) = [
            one for one in self.process.children() if "sss_lib.listening.shared_models" in one.cmdline()
        ]
        return list(Path(models.cmdline()[-1]).parent.rglob("sss-sound-*"))

    def get(self, path="/", method="GET", **headers):
        """Return status, text and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers

    def kernels(self):
        """Children of the process that forks kernels."""
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in (kernel for forking in self.process.children() for kernel in forking.children()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found += [one] * (one.status() != psutil.STATUS_ZOMBIE)
        return found

    def wait_for_kernels(self, n, seconds=30):
        """Return the kernels once there are n."""
        end = time.monotonic() + seconds
        while len(found := self.kernels()) != n:
            assert time.monotonic() < end, f"{len(found)} kernels, not {n}"
            time.sleep(0.1)
        return found


@contextlib.contextmanager
def serving(folder, *more, host="127.0.0.1", token="", reads=()):
    busy = folder / "busy"  # pages take as long as there is this file
    cell = f"import os, time\nwhile os.path.exists({str(busy)!r}): time.sleep(0.05)\n"
    cell += "import tempfile; tempfile.mkdtemp(prefix='sss-sound-')\n"
    cell += "from ipywidgets import Text; print('it ' + 'runs'); Text()"
    cell += "".join(f"; print(open({str(path)!r}).read())" for path in reads)
    about = KERNEL | ({"reads": [str(path) for path in reads]} if reads else {})
    cells = [nbformat.v4.new_markdown_cell("# A page"), nbformat.v4.new_code_cell(cell)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=about)
    nbformat.write(notebook, folder / "one.ipynb")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    arguments = serve.command(host, port, folder / "one.ipynb", browser=False)
    arguments = [*(one for one in arguments if not one.startswith("--Kernels.")), *more]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(arguments, env=serve.environment(token), stdout=said, stderr=said)
    try:
        site = Site(process, port, busy)
        for _ in range(300):
            assert process.poll() is None
            with contextlib.suppress(OSError):
                site.get(STATIC)
                break
            time.sleep(0.1)
        yield site
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page for `MOST` visitors at a time."""
    limits = {"Kernels.most": MOST, "Kernels.left_s": LEFT_S, "Server.slow_s": SLOW_S}
    with serving(tmp_path_factory.mktemp("site"), *(f"--{k}={v}" for k, v in limits.items())) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        *(({"Host": one}, 200) for one in ("localhost", "LocalHost:1", "127.0.0.1", "127.0.0.2", "[::1]:9")),
        *(
            ({"Host": one}, 403)
            for one in ("evil.example", "localhost.evil.example", "0.0.0.0", "", "127.0.0.1.x")
        ),
        *(
            ({"Host": "127.0.0.1", "Origin": one}, 403)
            for one in ("http://evil.example", "null", "file://", "")
        ),
        ({"Host": "127.0.0.1:7", "Origin": "http://127.0.0.1:7"}, 200),
        ({"Host": "127.0.0.1:7", "Origin": "http://127.0.0.1:8"}, 403),
        *(({"Sec_Fetch_Site": one}, 403) for one in ("cross-site", "same-site")),
        *(({"Sec_Fetch_Site": one}, 200) for one in ("same-origin", "none")),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, 403),
    ],
)
def test_other_sites_and_names_that_lead_here_are_refused(site, headers, status):
    for path in (STATIC, "/no/such/path"):
        assert site.get(path, **headers)[0] == (status if path == STATIC or status == 403 else 404)


def test_a_picture_on_another_site_starts_no_kernel_and_a_clicked_link_opens_the_page(site):
    assert (
        site.get("/?1", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")[0]
        == 403
    )
    assert not site.kernels()
    link = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document", "Sec_Fetch_User": "?1"}
    status, text, _ = site.get("/", Sec_Fetch_Site="cross-site", **link)
    assert (status, "it runs" in text) == (200, True)
    site.wait_for_kernels(0)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/voila/static/../../../etc/passwd",
            "/voila/static/%2e%2e/%2e%2e/etc/passwd",
            "/voila/files/one.ipynb",
        ),
        *(
            "/voila/templates/../../etc/passwd",
            "/voila/templates/x/%2e%2e/conf.json",
            "//etc/passwd",
            "/one.ipynb",
        ),
        *(
            "/api/contents",
            "/api/kernels",
            "/voila/render/one.ipynb",
            "/voila/labextensions/..%2f..%2fetc/passwd",
        ),
    ],
)
def test_no_file_is_given_away(site, path):
    status, text, _ = site.get(path)
    assert status in (403, 404)
    assert "root:" not in text
    assert not site.kernels()


def test_slow_and_huge_requests_are_closed_and_others_answered(site):
    begun = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX"
    bodies = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\nabc"
    sent = [*[begun] * 100, *[bodies % 1000] * 20, bodies % 10**9, begun + b"x" * 100_000]
    with contextlib.ExitStack() as stack:
        open_ones = []
        for text in sent:
            one = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
            with contextlib.suppress(ConnectionError):  # it is closed as it is sent
                one.sendall(text)
            open_ones.append(one)
        assert site.get(STATIC)[0] == 200
        end = time.monotonic() + SLOW_S + 10
        for one in open_ones:
            one.settimeout(max(end - time.monotonic(), 0.1))
            with contextlib.suppress(ConnectionError):
                while one.recv(4096):
                    pass


def test_visitors_beyond_the_limit_are_told_and_kernels_of_those_who_leave_end(site):
    with ThreadPoolExecutor(MOST + 2) as pool:
        answers = list(pool.map(lambda i: site.get(f"/?{i}"), range(MOST + 2)))
    assert sorted(status for status, _, _ in answers) == [200] * MOST + [503] * 2
    told = [(text, headers["Retry-After"]) for status, text, headers in answers if status == 503]
    assert all(text.startswith(f"This page has {MOST} visitors") and after for text, after in told)
    began = time.monotonic()
    site.wait_for_kernels(0)
    assert time.monotonic() - began < LEFT_S + 15
    assert "it runs" in site.get()[1]
    (kernel,) = site.wait_for_kernels(1)
    assert len(site.sounds()) == 1
    kernel.kill()
    site.wait_for_kernels(0)
    end = time.monotonic() + 10
    while site.sounds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_visitor_waits_for_no_page_that_is_not_yet_begun(tmp_path):
    async def come():
        kernels = server.Kernels()
        kernels.reads = [str(tmp_path)]
        for _ in range(2):
            assert await asyncio.wait_for(kernels.take(), 1) is None
            kernels.prepare(60)

    asyncio.run(come())


def made():
    """Kernels that are there."""
    folder = Path(tempfile.gettempdir())
    return {path.stem.removeprefix("kernel-") for path in folder.glob("sss-*/**/kernel-*.json")}


def test_a_page_is_made_in_advance_for_one_visitor_and_anew_once_its_data_change(tmp_path):
    (tmp_path / "data").write_text("read 1")
    limits = ("--Kernels.most=3", f"--Kernels.left_s={LEFT_S}")
    with serving(tmp_path, *limits, reads=[tmp_path / "data"]) as site:

        def visit():
            _, text, headers = site.get()
            assert "it runs" in text
            kept = [headers[name] for name in ("Cache-Control", "Pragma", "Expires")]
            assert kept == ["no-cache, no-store, must-revalidate", "no-cache", "0"]
            return re.search(r'"kernelId":\s*"([0-9a-f-]{36})"', text)[1], re.search(r"read \d", text)[0]

        (spare,) = site.wait_for_kernels(1)  # before anybody has come
        known = made()
        kernel, said = visit()
        assert (kernel in known, said) == (True, "read 1")
        with contextlib.suppress(psutil.TimeoutExpired):
            spare.wait(LEFT_S + 20)  # the visitor has left
        assert not spare.is_running()
        (spare,) = site.wait_for_kernels(1)  # for the next one
        time.sleep(2 * LEFT_S)
        assert spare.is_running()
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: visit()[0], range(2)))
        assert len({kernel, *both}) == 3
        site.wait_for_kernels(1)
        time.sleep(1)
        (tmp_path / "data").write_text("read 2")
        assert visit()[1] == "read 2"


def test_a_page_in_the_making_is_given_out_as_far_as_it_is(tmp_path):
    (tmp_path / "busy").touch()
    (tmp_path / "data").touch()
    with serving(tmp_path, reads=[tmp_path / "data"]) as site:
        site.wait_for_kernels(1)
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            answer = connection.getresponse()
            text = b""
            while b"voila.js" not in text:  # which the browser reads meanwhile
                text += answer.read1()
            assert b"it runs" not in text
            assert len(site.kernels()) == 1
            site.busy.unlink()
            text += answer.read()
            assert (text.count(b"it runs"), text.count(b"voila.js"), text.count(b"</body>")) == (1, 1, 1)


@pytest.mark.parametrize(
    ("parts", "has_failed", "said"), [([b"<p>"], True, "reload it"), ([b"<p>"], False, "<p>"), ([], True, "")]
)
def test_a_page_that_is_given_out_says_if_it_ends_amid(parts, has_failed, said):
    """One of which nothing has come is none: the visitor gets a page of his own."""

    class Given(server.Page):
        def __init__(self):
            self.text, self._headers_written = "", False

        def set_header(self, *_):
            pass

        def write(self, part):
            self.text += part.decode()

        async def flush(self):
            self._headers_written = True

        def finish(self, text=""):
            self.text += text

    async def give():
        spare, page = server.Spare({}, "k", has_failed), Given()
        for part in (*parts, b""):
            spare.parts.put_nowait(part)
        return await page._give(spare), page.text

    is_given, text = asyncio.run(give())
    assert is_given is bool(parts)
    assert (said in text, "reload" in text) == (True, "reload" in said)


def test_a_visit_that_is_broken_off_leaves_no_kernel(site):
    with socket.create_connection(("127.0.0.1", site.port)) as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        site.wait_for_kernels(1)
    site.wait_for_kernels(0, 15)


@pytest.mark.parametrize("wait_s", [0, 0.4])
def test_a_kernel_that_dies_as_it_starts_costs_its_visitor_alone(site, wait_s):
    with ThreadPoolExecutor(1) as pool:
        site.busy.touch()
        visit = pool.submit(site.get)
        (kernel,) = site.wait_for_kernels(1)
        time.sleep(wait_s)
        kernel.send_signal(signal.SIGKILL)
        site.busy.unlink()
        assert site.get(STATIC)[0] == 200
        assert "The kernel of this page has ended: reload the page." in visit.result(20)[1]
    site.wait_for_kernels(0)
    assert "it runs" in site.get()[1]
    site.wait_for_kernels(0)


def message(kind, content, channel="shell", header=None):
    """A message as a page sends it."""
    about = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": "x", "version": "5.3"}
    about |= {"date": "2026-01-01T00:00:00Z"}
    parts = [json.dumps(one).encode() for one in (about if header is None else header, {}, {}, content)]
    return serialize_msg_to_ws_v1(parts, channel)


class Visit:
    """A visitor with a connection to the kernel."""

    def __init__(self, site):
        self.site = site
        text = site.get()[1]
        self.kernel = re.search(r'"kernelId":\s*"([0-9a-f-]{36})"', text)[1]

    async def connect(self, protocols=(PROTOCOL,), **headers):
        url = f"ws://127.0.0.1:{self.site.port}/api/kernels/{self.kernel}/channels?session_id={uuid.uuid4().hex}"
        return await websocket_connect(
            HTTPRequest(url, headers=headers), subprotocols=list(protocols) or None
        )

    @staticmethod
    async def answers(connection, seconds):
        """Kinds of the messages that come within some seconds; "closed" at the end of the connection."""
        found = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (text := await connection.read_message()) is not None:
                    found.append(json.loads(deserialize_msg_from_ws_v1(text)[1][0])["msg_type"])
                found.append("closed")
        return found


FALSE_OFFSETS = [
    *(b"\xff" * 8, b"", b"\0" * 8, b"\x06" + b"\0" * 7, b"\xff" * 1_000_000, "{}", "x"),
    (6).to_bytes(8, "little") + b"\xff" * 48,
    b"".join(one.to_bytes(8, "little") for one in (6, 56, 61, 60, 64, 66, 10**9)) + b"shell{}{}{}{}",
    message("comm_info_request", {})[:-1],
    message("", {}, header=["execute_request"]),
    message("", {}, header={"msg_type": ["execute_request"]}),
]


def test_only_messages_with_true_offsets_and_of_widgets_reach_a_kernel(site, tmp_path, monkeypatch):
    # It would warn of the connections that the server has refused.
    monkeypatch.setattr(WebSocketClientConnection, "__del__", lambda self: None)
    visit, marker = Visit(site), tmp_path / "ran"
    code = {"code": f"open({str(marker)!r}, 'w')", "silent": False, "store_history": False}
    code |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": False}
    others = ("complete_request", "inspect_request", "history_request", "debug_request", "input_reply")

    async def talk():
        for protocols in ((), ("v2.other",)):
            with pytest.raises(HTTPClientError, match="400"):
                await visit.connect(protocols)
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            with pytest.raises(HTTPClientError, match="403"):
                await visit.connect(**headers)
        for false in FALSE_OFFSETS:
            connection = await visit.connect()
            await connection.write_message(false, binary=isinstance(false, bytes))
            assert (await visit.answers(connection, 10))[-1] == "closed", false[:8]
        connection = await visit.connect()
        await visit.answers(connection, 1)
        for channel in ("shell", "control", "stdin", "iopub", "nowhere"):
            for kind in ("execute_request", *others):
                await connection.write_message(message(kind, code, channel), binary=True)
        assert await visit.answers(connection, 2) == []
        await connection.write_message(message("comm_info_request", {}), binary=True)
        assert "comm_info_reply" in await visit.answers(connection, 2)
        connection.close()

    asyncio.run(talk())
    gc.collect()
    assert not marker.exists()
    assert site.process.memory_info().rss < 500e6
    site.wait_for_kernels(0)


def test_a_kernel_has_sockets_in_place_of_ports_that_others_may_take(site):
    visit = Visit(site)
    site.wait_for_kernels(1)
    (path,) = Path(tempfile.gettempdir()).glob(f"sss-*/**/kernel-{visit.kernel}.json")
    connection = json.loads(path.read_text())
    assert connection["transport"] == "ipc"
    assert os.stat(connection["ip"] + f"-{connection['shell_port']}")
    site.wait_for_kernels(0)


def test_an_open_page_is_closed_without_its_token(tmp_path):
    (tmp_path / "data").touch()
    with serving(tmp_path, host="0.0.0.0", token="secret", reads=[tmp_path / "data"]) as site:
        site.wait_for_kernels(1)  # made in advance
        link = f"http://{socket.gethostname()}:{site.port}/?token=secret"
        assert (tmp_path / "said").read_text() == f"{link}\nstop with control-C\n"
        known = made()
        for path in ("/", "/?token=wrong"):
            status, text, _ = site.get(path)
            assert (status, "it runs" in text) == (302, False)
        assert (len(site.kernels()), made()) == (1, known)
        status, text, headers = site.get("/?token=secret", Host="box.example:8866")
        assert (status, "it runs" in text) == (200, True)
        kernel = re.search(r'"kernelId":\s*"([0-9a-f-]{36})"', text)[1]
        assert kernel in known
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert site.get(f"/api/kernels/{kernel}", Host="box.example:8866")[0] == 403
        assert site.get(f"/api/kernels/{kernel}", Host="box.example:8866", Cookie=cookie)[0] == 200


def test_a_server_whose_port_is_taken_says_where_it_is_and_warns_of_nothing(tmp_path):
    with serving(tmp_path) as site:
        said = tmp_path / "more"
        arguments = serve.command("127.0.0.1", site.port, tmp_path / "one.ipynb", browser=False)
        with said.open("w") as file:
            other = subprocess.Popen(arguments, env=serve.environment(), stdout=file, stderr=file)
        try:
            for _ in range(300):
                if "control-C" in said.read_text():
                    break
                time.sleep(0.1)
            url = said.read_text().partition("\n")[0]
            assert url.startswith("http://127.0.0.1:")
            assert f":{site.port}/" not in url
            assert "it runs" in urllib.request.urlopen(url, timeout=60).read().decode()
            assert said.read_text() == f"{url}\nstop with control-C\n"
        finally:
            other.terminate()
            other.wait(30)


def test_a_server_that_is_open_without_a_token_does_not_start(tmp_path):
    arguments = [*serve.command("0.0.0.0", 8866, tmp_path), "--no-browser"]
    ended = subprocess.run(
        arguments, env=serve.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode
    assert sys.executable == arguments[0]


def test_no_visitor_waits_for_a_library_that_draws():
    code = (
        "import sys; from sss_lib.experiment import forkserver; from sss_lib.listening import start; "
        "forkserver._import(start.IMPORTED); "
        "print('matplotlib.figure' in sys.modules, 'ipywidgets' in sys.modules)"
    )
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert imported.stdout == "False True\n"
