"""The server of the page: Voila, where a visitor can neither run code nor take more than a share.

`python -m sss_lib.listening.server NOTEBOOK`, which `serve.command` writes out.
"""

import asyncio
import contextlib
import contextvars
import os
import time
from typing import Any

from sss_lib.experiment import surroundings, warm
from sss_lib.listening.guards import Refusal, Unwanted
from sss_lib.listening.serve import is_loopback

with surroundings.light_imports():
    import tornado.web
    from jupyter_core.utils import ensure_async
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
    from tornado.iostream import StreamClosedError
    from tornado.routing import Rule
    from traitlets import Float, Integer, Unicode, default
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
HEARTBEAT_S = 2
RENDERED_S = 300
"""Time in which the notebook must have run, and the visitor read it."""
UNSENT = {"execute_input", "stream", "error"}
"""Messages that visitors don't get: code, and tracebacks with folders of this machine."""

IMPORTED = (
    *("06_listening", "pyarrow.dataset", "scipy.stats", "soundfile", "soxr"),
    *(f"sss_lib.listening.{name}" for name in ("controls", "first_tasks", "judging", "map")),
)
"""What kernels have imported before a page is asked for: it takes two seconds of CPU."""

_visit: contextvars.ContextVar["Page"] = contextvars.ContextVar("visit")


class Kernel(ServerKernelManager):
    """A kernel that the server at an address forks, if one is given; see `warm`."""

    server = Unicode().tag(config=True)

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the kernel."""
        if self.server and not self.provisioner:
            warm.provision(self, self.server, options["kernel_id"])
        await super().start_kernel(**options)


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
    """

    most = Integer(8, config=True)
    left_s = Float(10, config=True)

    @default("kernel_manager_class")
    def _own_kernels(self) -> str:
        return f"{__name__}.Kernel"

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.visits: set[Page] = set()
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
            rendered = {one.kernel_id for one in self.visits}
            for kernel_id in self.list_kernel_ids():
                now = time.monotonic()
                is_alive = await self.is_alive(kernel_id)
                is_used = kernel_id in rendered or self._kernel_connections.get(kernel_id, 0) > 0
                used = self._used[kernel_id] = now if is_used else self._used.get(kernel_id, now)
                if now - used > self.left_s or not is_alive:
                    await self.end(kernel_id, now=not is_alive)

    async def end(self, kernel_id: str, *, now: bool = False) -> None:
        """End a kernel; unless `now`, it may end its own processes first."""
        self._used.pop(kernel_id, None)
        if kernel_id in self:
            with contextlib.suppress(Exception):  # it may end by itself meanwhile
                await self.shutdown_kernel(kernel_id, now=now)


class Page(TornadoVoilaHandler):
    """The notebook as a page, with a kernel of its own for each visit."""

    kernel_id = ""

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:
        """Render the notebook, as long as the kernel lives and the visitor waits."""
        kernels = self.kernel_manager
        if path:
            raise tornado.web.HTTPError(404)
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

    async def _render_notebook(self) -> None:
        async with contextlib.aclosing(self.get_generator()) as parts:
            async for html in parts:
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
    """

    slow_s = Float(20, config=True)

    @default("config_file_paths")
    def _no_config_file_paths(self) -> list[str]:
        return []

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read the arguments, and set what none of them changes."""
        super().initialize(argv)
        page = self.voila_configuration
        page.multi_kernel_manager_class = Kernels
        page.kernel_spec_manager_class = surroundings.ThisPython
        page.file_allowlist = ["(?!)."]  # matches no file
        page.allow_template_override = "NO"
        page.http_keep_alive_timeout = HEARTBEAT_S
        self.token = os.environ.pop("SSS_TOKEN", "")
        if not self.token and not is_loopback(self.ip):
            raise ValueError(f"{self.ip} is open to others: set SSS_TOKEN to what they are asked for")
        self.tornado_settings = {"websocket_max_message_size": MOST_BYTES}

    def start(self) -> None:
        """Serve until stopped, with the kernels' files in a folder that goes with the server."""
        with surroundings.own_folder() as folder, warm.serving(IMPORTED) as address:
            self.connection_dir_root = folder
            os.environ.update(surroundings.of_folder(folder), TMPDIR=folder)
            self.config.KernelManager.update(
                # A kernel that is started anew has no page.
                {"transport": surroundings.transport(f"{folder}/kernel-"), "autorestart": False}
            )
            self.config.Kernel.server = address or ""
            super().start()

    def init_handlers(self) -> list:
        """Handlers of requests: the refusal of those that are unwanted, ours, Voila's."""
        ours = {"TornadoVoilaHandler": Page, "VoilaKernelWebsocketHandler": Messages}
        ours["VoilaShutdownKernelHandler"] = Leave
        handlers = [
            (pattern, ours.get(handler.__name__, handler), *options)
            for pattern, handler, *options in super().init_handlers()
        ]
        return [Rule(Unwanted(is_local=is_loopback(self.ip)), Refusal), *handlers]

    def listen(self) -> None:
        """Listen with limits, and sweep the kernels meanwhile."""
        listen = self.app.listen
        limits = {"max_body_size": MOST_BYTES}
        limits |= dict.fromkeys(("idle_connection_timeout", "body_timeout"), self.slow_s)
        self.app.listen = lambda port, address: listen(port, address, **limits)
        sweeping = asyncio.get_event_loop().create_task(self.kernel_manager.sweep())
        try:
            super().listen()
        finally:
            sweeping.cancel()


if __name__ == "__main__":
    Server.launch_instance()
