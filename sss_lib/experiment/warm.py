"""Kernels that start warm: a server that has imported what notebooks import forks each of them.

The server is `forkserver`. Where there is none a kernel starts as any other.
"""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from sss_lib.experiment import forkserver, surroundings
from sss_lib.extraction.workers import ONE_THREAD

IMPORTED = ("02_processing", "03_search", "04_evaluation")
"""Notebooks whose imports the server has done: the others need as much, and more."""
START = "import sys; del sys.path[0]; from sss_lib.experiment.forkserver import main; main(*sys.argv[1:])"
END_S = 1
"""In which a kernel that is asked to end has mostly ended."""
LOOK_S = 0.005
"""Between two looks at whether it has."""


@contextlib.contextmanager
def serving(imported: Sequence[str] = IMPORTED) -> Iterator[str | None]:
    """Address of a server of kernels, which ends with the block or this process; None where none can be had.

    Its numerical libraries have one thread, as threads don't survive a fork; see `forkserver`.

    Parameters
    ----------
    imported : sequence of str
        Notebooks whose imports the server does, and modules that it imports besides.
    """
    if not _can_fork():
        yield None
        return
    with (
        surroundings.own_folder() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
    ):
        address = f"{folder}/kernels"
        try:
            listener.bind(address)
            listener.listen(64)
            process = subprocess.Popen(
                [sys.executable, "-c", START, str(listener.fileno()), *imported],
                stdin=subprocess.PIPE,  # open as long as this process lives
                env=surroundings.environment() | ONE_THREAD,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        except OSError:
            yield None
            return
        listener.close()
        with process as server:
            try:
                yield address
            finally:
                server.terminate()


def _can_fork() -> bool:
    """Whether processes can be forked and waited for by descriptors: on Linux, unless it is forbidden."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return hasattr(os, "fork")


class Kernel(surroundings.Kernel):
    """A kernel that the server at an address forks, if one is given."""

    server = Unicode().tag(config=True)

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the kernel."""
        if self.server:
            provision(self, self.server, str(uuid.uuid4()))
        await super().start_kernel(**options)


def provision(kernel: KernelManager, address: str, kernel_id: str) -> None:
    """Have a kernel forked by the server at an address when it is started."""
    kernel.kernel_id = kernel_id
    of_kernel = {"kernel_id": kernel_id, "kernel_spec": kernel.kernel_spec, "parent": kernel}
    kernel.provisioner = Provisioner(address, **of_kernel)


class Provisioner(LocalProvisioner):
    """Has kernels forked by the server at an address, if it answers, and else starts them.

    Parameters
    ----------
    address : str
        From `serving`.
    **options
        As of any provisioner.
    """

    def __init__(self, address: str, **options: Any):
        super().__init__(**options)
        self.address = address

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Start a kernel; return how it is spoken to."""
        self.cwd = str(options.get("cwd") or os.getcwd())
        request = {"command": cmd, "environment": options["env"], "folder": self.cwd}
        try:
            forked = Forked(self.address, request)
        except OSError:
            return await super().launch_kernel(cmd, **options)
        self.process = forked  # type: ignore[assignment]
        self.pid = self.pgid = forked.pid
        return self.connection_info

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Wait for the end of a forked kernel: its manager looks only ten times a second."""
        process: Any = self.process
        if isinstance(process, Forked):
            await process.ending(END_S)


class Forked:
    """A process that a server has forked; it is used as a `subprocess.Popen`, and ends with this process.

    Parameters
    ----------
    address : str
        Of the server.
    request : dict
        command, environment and folder of a kernel.

    Raises
    ------
    OSError
        If there is no such server, or it can't have that command.
    """

    stdin = stdout = stderr = None

    def __init__(self, address: str, request: dict[str, Any]):
        if request["command"][:3] != [sys.executable, "-m", "ipykernel_launcher"]:
            raise OSError(f"the server starts kernels, not {request['command'][:3]}")
        self.returncode: int | None = None
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._connection.connect(address)
            self._connection.send(json.dumps(request).encode())
            answer = self._connection.recv(forkserver.MOST)
            if not answer:
                raise OSError(f"the server of kernels at {address} has ended")
        except BaseException:
            self._connection.close()
            raise
        self.pid = int(answer)

    def poll(self) -> int | None:
        """Exit code, if the process has ended; that of a killed one, if the server has."""
        return self._ended(0)

    def wait(self) -> int | None:
        """Exit code, once the process has ended."""
        return self._ended(None)

    async def ending(self, seconds: float) -> None:
        """Wait until the process has ended, for at most so many seconds."""
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            await asyncio.sleep(LOOK_S)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], seconds)[0]:
            try:
                answer = self._connection.recv(forkserver.MOST)
            except ConnectionError:
                answer = b""
            self.returncode = int(answer or -signal.SIGKILL)
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self.send_signal(signal.SIGKILL)
