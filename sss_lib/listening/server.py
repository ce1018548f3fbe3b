"""The server of the page: Voila, where a visitor can neither run code nor take more than a share."""

import asyncio
import contextlib
import contextvars
import json
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sss_lib.experiment import surroundings, warm
from sss_lib.listening import program, shared_models
from sss_lib.listening.guards import Refusal, Unwanted
from sss_lib.listening.serve import is_loopback, url_of

with surroundings.light_imports():
    import tornado.web
    from jupyter_core.utils import ensure_async
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
    from tornado.httpclient import AsyncHTTPClient
    from tornado.iostream import StreamClosedError
    from tornado.log import gen_log
    from tornado.routing import Rule
    from traitlets import Float, Integer, Type, Unicode, default
    from voila.app import Voila
    from voila.tornado.handler import TornadoVoilaHandler
    from voila.tornado.kernel_websocket_handler import (
        VoilaKernelWebsocketHandler,
        read_header_from_binary_message,
    )

PROTOCOL = "v1.kernel.websocket.jupyter.org"
MOST_PARTS = 64
"""Parts of a message: four of JSON, and the pieces of an upload."""
MOST_BYTES = 4_000_000
"""Bytes of a message; an upload comes in pieces of two million."""
EXTENSIONS = ["anywidget", "@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
"""Of JupyterLab, that the page needs: others would only take a visitor's time."""
HEARTBEAT_S = 2
RENDERED_S = 300
"""Time in which the notebook must have run, and the visitor read it."""
UNSENT = {"execute_input", "stream", "error"}
"""Messages that visitors don't get: code, and tracebacks with folders of this machine."""

NOT_KEPT = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache", "Expires": "0"}
"""Headers as Voila sends them with a page that it renders: a page has its visitor's own kernel."""

SETTLED_S = 5
"""Time in which a page has loaded: what is made in advance comes after it."""

OF_NO_USE = ("is not trusted", "websocket_ping_timeout")
"""Of warnings: nobody who serves a page can do anything about them, nor need they."""

_visit: contextvars.ContextVar["Page"] = contextvars.ContextVar("visit")


class Kernel(ServerKernelManager):
    """A kernel that the server at an address forks, if one is given; see `warm`.

    Its temporary files, such as a visitor's sound, go with it, however it ends.
    """

    server = Unicode().tag(config=True)
    client_factory = Type(surroundings.Client)

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the kernel."""
        folder = Path(self.connection_file).parent
        self._files = tempfile.TemporaryDirectory(prefix="sss-", dir=folder, ignore_cleanup_errors=True)
        options["env"] = {**options["env"], "TMPDIR": self._files.name}
        if self.server and not self.provisioner:
            warm.provision(self, self.server, options["kernel_id"])
        await super().start_kernel(**options)

    async def shutdown_kernel(self, *of: Any, **options: Any) -> None:  # type: ignore[override]
        """End the kernel."""
        try:
            await super().shutdown_kernel(*of, **options)
        finally:
            self._files.cleanup()


class Kernels(AsyncMappingKernelManager):
    """The visitors' kernels: as many at a time as `most`, and none that has died or whose visitor has left.

    Attributes
    ----------
    most : int
        Further visitors are told to wait. A kernel takes some 300 MB.
    left_s : float
        Time without a visitor after which a kernel ends.
    visits : set of Page
        Pages that are being rendered.
    url : str
        Where the page is served, and `headers` with which it is given out.
    reads : sequence of str
        Files and folders that the notebook reads. If any are given, a page is made in advance for the next
        visitor, and made anew once one of them has changed.
    """

    most = Integer(8, config=True)
    left_s = Float(10, config=True)

    @default("kernel_manager_class")
    def _own_kernels(self) -> str:
        return f"{__name__}.Kernel"

    def __init__(self, **options: Any):
        super().__init__(**options)
        surroundings.reconnect_soon(self.context)
        self.visits: set[Page] = set()
        self.url, self.headers = "", {"Spare": secrets.token_hex(16)}
        self.reads: Sequence[str] = ()
        self._spare: Spare | None = None
        self._making: set[asyncio.Task] = set()
        self._settling: asyncio.TimerHandle | None = None
        self._used: dict[str, float] = {}

    @property
    def is_full(self) -> bool:
        """Whether no other visitor can have a kernel."""
        return len(self.list_kernel_ids()) + sum(not one.kernel_id for one in self.visits) >= self.most

    async def start_kernel(self, **options: Any) -> str:  # type: ignore[override]
        """Start the kernel of a visit."""
        kernel_id = await super().start_kernel(**options)
        _visit.get().kernel_id = kernel_id
        return kernel_id

    async def is_alive(self, kernel_id: str) -> bool:
        """Whether a kernel runs."""
        return kernel_id in self and await ensure_async(self.get_kernel(kernel_id).is_alive())

    async def sweep(self) -> None:
        """End the kernels that have died, and those that nobody has used for a while, as long as we serve."""
        while True:
            await asyncio.sleep(1)
            rendered = {one.kernel_id for one in self.visits} | {self._spare and self._spare.kernel_id}
            for kernel_id in self.list_kernel_ids():
                now = time.monotonic()
                is_alive = await self.is_alive(kernel_id)
                is_used = kernel_id in rendered or self._kernel_connections.get(kernel_id, 0) > 0
                used = self._used[kernel_id] = now if is_used else self._used.get(kernel_id, now)
                if now - used > self.left_s or not is_alive:
                    await self.end(kernel_id, now=not is_alive)

    def prepare(self, after_s: float = 0) -> None:
        """Make a page for the next visitor after some seconds, counted anew if another comes meanwhile."""
        if self.reads and not self._spare:
            if self._settling:
                self._settling.cancel()
            self._settling = asyncio.get_event_loop().call_later(after_s, self._begin)

    def _begin(self) -> None:
        if self.is_full:
            return
        try:
            self._spare = Spare(state_of(self.reads))
        except OSError as error:
            self.log.info("no page can be made in advance: %s", error)
            return
        task = asyncio.get_event_loop().create_task(self._make(self._spare))
        self._making.add(task)  # the loop itself doesn't keep it
        task.add_done_callback(self._making.discard)

    async def _make(self, spare: "Spare") -> None:
        try:
            await AsyncHTTPClient().fetch(
                self.url,
                headers=self.headers,
                request_timeout=RENDERED_S + 30,  # the page itself says that it takes too long
                header_callback=spare.read_header,
                streaming_callback=spare.add,
            )
        except Exception as error:  # of whatever kind: the visitor's own page tells it
            self.log.info("no page could be made in advance: %s", error)
            spare.has_failed = True
            if self._spare is spare:
                self._spare = None
        finally:
            spare.parts.put_nowait(b"")

    async def take(self) -> "Spare | None":
        """Page that was made in advance, or is just being made, if it is what a new one would be."""
        spare, self._spare = self._spare, None
        if not spare:
            return None
        kernel_id = spare.kernel_id  # none as long as nothing has come of it
        if state_of(self.reads) != spare.state or (kernel_id and not await self.is_alive(kernel_id)):
            await self.end(kernel_id)
            return None
        if kernel_id:
            self._used[kernel_id] = time.monotonic()
        return spare

    async def end(self, kernel_id: str, *, now: bool = False) -> None:
        """End a kernel; unless `now`, it may end its own processes first."""
        self._used.pop(kernel_id, None)
        if kernel_id in self:
            with contextlib.suppress(Exception):  # it may end by itself meanwhile
                await self.shutdown_kernel(kernel_id, now=now)


@dataclass
class Spare:
    """A page that is made in advance: the state of what the notebook reads, the kernel, and parts of HTML."""

    state: dict[str, int]
    kernel_id: str = ""
    has_failed: bool = False
    parts: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    def read_header(self, line: str) -> None:
        """Take the kernel's id from a line of the page's headers, unless it is refused."""
        name, _, value = line.partition(":")
        if name == "Kernel":
            self.kernel_id = value.strip()

    def add(self, part: bytes) -> None:
        """Take a part."""
        if self.kernel_id:  # without one it is the page of an error
            self.parts.put_nowait(part)


def state_of(paths: Sequence[str]) -> dict[str, int]:
    """When files, folders, and the folders in these were last changed; files are replaced by renaming."""
    found = [Path(one) for one in paths]
    found += [child for one in found if one.is_dir() for child in one.iterdir() if child.is_dir()]
    return {str(one): one.stat().st_mtime_ns for one in found if one.exists()}


class Page(TornadoVoilaHandler):
    """The notebook as a page, with a kernel of its own for each visit."""

    kernel_id = ""

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:
        """Render the notebook, as long as the kernel lives and the visitor waits."""
        kernels = self.kernel_manager
        if path:
            raise tornado.web.HTTPError(404)
        is_spare = self.request.headers.get("Spare") == kernels.headers["Spare"]
        if not is_spare:
            spare = await kernels.take()
            is_given = spare and await self._give(spare)
            kernels.prepare(SETTLED_S)
            if is_given:
                return
        if kernels.is_full:
            self.set_status(503)
            self.set_header("Retry-After", "30")
            self.finish(
                f"This page has {kernels.most} visitors, and has room for no more: close one of your pages, "
                "or try again later."
            )
            return
        kernels.visits.add(self)
        _visit.set(self)
        try:
            async with asyncio.timeout(RENDERED_S):
                await self._render_notebook()
        except TimeoutError:
            self._give_up("The notebook has not ended in time: reload the page.")
        except StreamClosedError:  # the visitor has left
            await kernels.end(self.kernel_id)
        finally:
            kernels.visits.discard(self)

    async def _give(self, spare: Spare) -> bool:
        """Give out a page that is made in advance, as far as it is, and tell whether there was any."""
        for name, value in NOT_KEPT.items():
            self.set_header(name, value)
        try:
            while part := await spare.parts.get():
                self.write(part)
                await self.flush()
        except StreamClosedError:  # the visitor has left
            await self.kernel_manager.end(spare.kernel_id)
        if self._headers_written and spare.has_failed:
            self._give_up("This page has not come to its end: reload it.")
        elif self._headers_written:
            self.finish()
        return self._headers_written

    async def _render_notebook(self) -> None:
        async with contextlib.aclosing(self.get_generator()) as parts:
            async for html in parts:
                if not self._headers_written:
                    self.set_header("Kernel", self.kernel_id)
                self.write(html)
                await self.flush()
                if self.kernel_id and not await self.kernel_manager.is_alive(self.kernel_id):
                    self._give_up("The kernel of this page has ended: reload the page.")
                    return

    def _give_up(self, why: str) -> None:
        """End the page, which may have been amid a tag or a script."""
        self.finish(f'"></style></script><p role="alert">{why}</p>')


class Messages(VoilaKernelWebsocketHandler):
    """Messages between a page and its kernel, in the one protocol whose offsets are checked here."""

    async def pre_get(self) -> None:
        """Refuse a visitor who speaks another protocol."""
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in [one.strip() for one in offered.split(",")]:
            raise tornado.web.HTTPError(400, reason=f"Ask for the subprotocol {PROTOCOL}")
        await super().pre_get()

    def on_message(self, message: str | bytes) -> None:
        """Hand a message to the kernel; a malformed one ends the connection."""
        header = read_header_from_binary_message(message) if has_true_offsets(message) else None
        if isinstance(header, dict) and isinstance(header.get("msg_type"), str):
            super().on_message(message)
        else:
            self.close(1007, "malformed message")

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Send a message of the kernel, if it is one that visitors get."""
        header = read_header_from_binary_message(message) if isinstance(message, bytes) else message["header"]
        if not header or header.get("msg_type") not in UNSENT:
            return super().write_message(message, binary)
        return None


def has_true_offsets(message: str | bytes) -> bool:
    """Whether the offsets that a message begins with lie within it, one after the other.

    Examples
    --------
    >>> has_true_offsets(bytes.fromhex("ff" * 8)), has_true_offsets("{}")
    (False, False)
    """
    if not isinstance(message, bytes):
        return False
    n = int.from_bytes(message[:8], "little")
    if not 6 <= n <= MOST_PARTS or len(message) < 8 * (n + 1):  # a channel, four parts of JSON, the end
        return False
    offsets = [int.from_bytes(message[8 * i : 8 * (i + 1)], "little") for i in range(1, n + 1)]
    return offsets == sorted(offsets) and offsets[0] == 8 * (n + 1) and offsets[-1] == len(message)


class Leave(tornado.web.RequestHandler):
    """Answer to a page that is closed: its kernel ends once its connection has."""

    def post(self, kernel_id: str) -> None:
        """Do nothing."""
        self.set_status(204)


class Server(Voila):
    """Voila with one notebook, and with the guards of this file.

    Attributes
    ----------
    slow_s : float
        Time in which a request must have arrived; idle connections are closed after it.
    forking : str
        Address of the server that forks kernels; see `warm`.
    """

    slow_s = Float(20, config=True)
    forking = Unicode()

    @default("config_file_paths")
    def _no_config_file_paths(self) -> list[str]:
        return []

    @default("log_level")
    def _warnings_alone(self) -> int:
        return logging.WARNING

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read the arguments, and set what none of them changes."""
        super().initialize(argv)
        page = self.voila_configuration
        page.multi_kernel_manager_class = Kernels
        page.kernel_spec_manager_class = surroundings.ThisPython
        page.file_allowlist = ["(?!)."]  # matches no file
        page.extension_allowlist = EXTENSIONS
        page.allow_template_override = "NO"
        page.http_keep_alive_timeout = HEARTBEAT_S
        self.token = os.environ.pop("SSS_TOKEN", "")
        if not self.token and not is_loopback(self.ip):
            raise ValueError(f"{self.ip} is open to others: set SSS_TOKEN to what they are asked for")
        self.tornado_settings = {"websocket_max_message_size": MOST_BYTES}
        for log in (self.log, gen_log):
            log.addFilter(lambda record: not any(one in record.getMessage() for one in OF_NO_USE))

    def start(self) -> None:
        """Serve until stopped, with the kernels' files in a folder that goes with the server."""
        with (
            surroundings.own_folder() as folder,
            shared_models.serving(folder, str(Path(self.notebook_path).parent)) as models,
        ):
            self.connection_dir_root = folder
            os.environ.update(surroundings.of_folder(folder), TMPDIR=folder)
            os.environ[shared_models.ADDRESS] = models
            self.config.KernelManager.update(
                # A kernel that is started anew has no page.
                {"transport": surroundings.transport(f"{folder}/kernel-"), "autorestart": False}
            )
            self.config.Kernel.server = self.forking
            super().start()

    def init_handlers(self) -> list:
        """Handlers of requests: the refusal of those that are unwanted, ours, Voila's."""
        ours = {"TornadoVoilaHandler": Page, "VoilaKernelWebsocketHandler": Messages}
        ours["VoilaShutdownKernelHandler"] = Leave
        own = Path(self.connection_dir_root, "static")
        program.write(self.static_paths, own)
        self.static_paths.insert(0, str(own))
        handlers = [
            (pattern, ours.get(handler.__name__, handler), *options)
            for pattern, handler, *options in super().init_handlers()
        ]
        return [Rule(Unwanted(is_local=is_loopback(self.ip)), Refusal), *handlers]

    def listen(self) -> None:
        """Listen with limits, and sweep the kernels meanwhile."""
        listen, kernels = self.app.listen, self.kernel_manager
        limits = {"max_body_size": MOST_BYTES}
        limits |= dict.fromkeys(("idle_connection_timeout", "body_timeout"), self.slow_s)

        def listen_and_prepare(port: int, address: str) -> Any:
            server = listen(port, address, **limits)
            own = "127.0.0.1" if address in ("0.0.0.0", "::") else address
            kernels.url = url_of(own, port, path=self.base_url)
            # Here and not earlier: the port is another where the one asked for is taken.
            print(f"{url_of(address, port, self.token, self.base_url)}\nstop with control-C", flush=True)
            kernels.headers |= {"Authorization": f"token {self.token}"} if self.token else {}
            notebook = json.loads(Path(self.notebook_path).read_text(encoding="utf-8"))
            kernels.reads = notebook["metadata"].get("reads", ())
            kernels.prepare()
            return server

        self.app.listen = listen_and_prepare
        sweeping = asyncio.get_event_loop().create_task(kernels.sweep())
        try:
            super().listen()
        finally:
            sweeping.cancel()
