"""The surroundings of a notebook's kernel: its environment, its Python, its sockets.

What a user has set for other work must neither change results nor end a run.
"""

import contextlib
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import List, Type, default

KEPT_OF_PYTHON = {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPYCACHEPREFIX"}
"""The others change what code does: PYTHONOPTIMIZE drops assertions, PYTHONWARNINGS ends cells."""
RECONNECT_MS = 5
"""After which a client tries again to reach a kernel that starts; ZeroMQ's 100 are longer than the start."""
MOST_OF_PATH = 50
"""Bytes of a folder with sockets: the path of a socket has at most 103 on macOS, 107 on Linux."""


def environment() -> dict[str, str]:
    """Environment of a kernel; see `of_folder` for what else it needs."""
    others = ("PYTHON", "IPYTHON", "JUPYTER", "LC_", "MPL", "MATPLOTLIB")
    kept = {k: v for k, v in os.environ.items() if k in KEPT_OF_PYTHON or not k.startswith(others)}
    return kept | {
        "JUPYTER_NO_CONFIG": "1",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "C",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
        **_matplotlib(),
    }


@contextlib.contextmanager
def light_imports() -> Iterator[None]:
    """Have what is imported in the block do without a grammar that takes a second of CPU to build.

    jsonschema has it, where it is installed, for addresses in any script: no notebook or message has one.
    """
    grammar = "rfc3987_syntax"
    is_hidden = sys.modules.setdefault(grammar, None) is None  # type: ignore[arg-type]
    try:
        yield
    finally:
        if is_hidden:
            sys.modules.pop(grammar, None)


def of_folder(folder: str | Path) -> dict[str, str]:
    """Variables that keep a kernel's configuration, history and other files in a folder."""
    return {"IPYTHONDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}


def _matplotlib() -> dict[str, str]:
    """Make matplotlib read its own defaults in place of the user's, and keep its cache of fonts."""
    found = importlib.util.find_spec("matplotlib")
    folders = list(found.submodule_search_locations or ()) if found else []
    rc = [str(path) for one in folders if (path := Path(one, "mpl-data", "matplotlibrc")).is_file()]
    return dict(zip(["MATPLOTLIBRC"], rc, strict=False))


@contextlib.contextmanager
def own_folder() -> Iterator[str]:
    """Temporary folder for a kernel's files, whose path is short enough for sockets where possible."""
    given = tempfile.gettempdir()
    short = (one for one in (given, "/tmp", "/var/tmp", "/dev/shm") if _has_room_for_sockets(one))
    with tempfile.TemporaryDirectory(
        prefix="sss-", dir=next(short, given), ignore_cleanup_errors=True
    ) as folder:
        yield folder


def _has_room_for_sockets(folder: str) -> bool:
    return len(os.fsencode(folder)) <= MOST_OF_PATH and os.access(folder, os.W_OK | os.X_OK)


def transport(folder: str) -> str:
    """How a kernel with files in a folder is spoken to: by sockets there, or else by ports of this machine.

    A port that was free may be taken by another program before the kernel takes it.
    """
    # `own_folder` adds a name of twelve bytes.
    return "tcp" if os.name == "nt" or len(os.fsencode(folder)) > MOST_OF_PATH + 13 else "ipc"


class ThisPython(KernelSpecManager):
    """Only the kernel of the Python that runs, whatever kernels called python3 the user has installed."""

    kernel_dirs = List([])


def reconnect_soon(context: zmq.asyncio.Context) -> zmq.asyncio.Context:
    """Have sockets of a context try again soon to reach a kernel that starts; return the context."""
    context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    return context


class Client(AsyncKernelClient):
    """A client that is ready as soon as its kernel is; Jupyter's waits 0.2 s more for further messages."""

    @default("context")
    def _context_default(self) -> zmq.asyncio.Context:
        return reconnect_soon(super()._context_default())

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel has answered, on the channel of its outputs too.

        Raises
        ------
        RuntimeError
            If the kernel ends before, or does not answer within `timeout` seconds.
        """
        begin = time.monotonic()
        while not await self._has_answered(self.kernel_info()):
            if not await self.is_alive():
                raise RuntimeError("the kernel ended before it answered")
            if timeout is not None and time.monotonic() - begin >= timeout:
                raise RuntimeError(f"the kernel did not answer within {timeout:.0f} s")

    async def _has_answered(self, request: str) -> bool:
        """Whether its answer has come, and all outputs of it; the first ones pass before this listens."""
        with contextlib.suppress(Empty):
            self._handle_kernel_info_reply(await self.shell_channel.get_msg(timeout=1))
            until = time.monotonic() + 1
            while time.monotonic() < until:  # what a thread prints may never cease
                output = await self.iopub_channel.get_msg(timeout=0.05)
                is_of_request = output["parent_header"].get("msg_id") == request
                if is_of_request and output["content"].get("execution_state") == "idle":
                    return True
        return False


class Kernel(AsyncKernelManager):
    """A kernel of this Python in surroundings of its own, beside its connection file."""

    client_factory = Type(Client)

    @default("context")
    def _context_default(self) -> zmq.asyncio.Context:
        return reconnect_soon(super()._context_default())

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return ThisPython()

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the kernel."""
        folder = Path(self.connection_file).parent
        await super().start_kernel(env=environment() | of_folder(folder), **options)
