"""Files that are written whole or not at all, one writer at a time, and what killed writers leave."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY)
"""What file systems answer that can't do something."""
DAMAGED = ".damaged"
"""Suffix of files that are set aside."""
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_TEMPORARY = re.compile(r"\.(?P<pid>[0-9a-f]+)-(?P<host>[0-9a-f]{8})-[0-9a-f]{8}(\.\w*)?$")


@contextlib.contextmanager
def replacing(path: str | Path, n_bytes: int = 0) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it to `path` if the block succeeds.

    A reader sees the old file or the whole new one, and a failed or killed writer leaves the old one.
    The name tells its process, so that `clear_leftovers` finds what a killed one leaves.

    Parameters
    ----------
    path : str or Path
    n_bytes : int
        How much will be written, as far as that is known, for the message of a full disk.

    Raises
    ------
    OSError
        If it can't be written. If the disk is full, the message names the folder, the file, and the space.
    """
    path = Path(path)
    token = f"{os.getpid():x}-{_HOST}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.stem[:20]}.{token}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)  # with the mode that the user's umask gives: no chmod is needed
        yield temporary
        with temporary.open("rb+") as file:
            _flush(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if not is_full(error):
            raise
        raise full_disk(path, max(n_bytes, _size(temporary)), error) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's share of it, is full."""
    return getattr(error, "errno", None) in _FULL


def full_disk(path: Path, n_bytes: int, error: BaseException) -> OSError:
    """Error of a full disk that names the folder, the file, and the space that it needs and has."""
    folder = path.absolute().parent
    free = shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free
    space = f"{max(n_bytes, 1) / 1e6:.3f} MB or more, where {free / 1e6:.3f} MB are free"
    return OSError(
        getattr(error, "errno", errno.ENOSPC),
        f"the disk is full: {folder} has no room for {path.name}, which takes {space}. Make room or choose "
        "another disk, and run the same again",
    )


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Temporary folder that goes at the end; if its disk is full, the error says so as `replacing` does."""
    with tempfile.TemporaryDirectory(prefix="sss-", ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        except OSError as error:
            path = Path(error.filename2 or error.filename or folder)
            if not is_full(error) or not path.is_relative_to(folder):
                raise
            raise full_disk(path, 0, error) from None


def locked(path: str | Path) -> FileLock:
    """Lock that keeps other processes and threads from `path`, for a `with`; it ends with its process.

    The lock is a file beside `path`, which stays: whoever deleted it would let two others in at once. Where
    the file system has no locks, nothing keeps others away.
    """
    path = Path(path)
    return _Lock(path.with_name(f".{path.name}.lock"))


class _Lock(FileLock):
    """A lock that a file system without locks grants to everyone."""

    def acquire(self, *args: Any, **options: Any) -> Any:
        """Acquire the lock; see `FileLock`."""
        try:
            return super().acquire(*args, **options)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, *_UNSUPPORTED):
                raise
            return contextlib.nullcontext()


def clear_leftovers(folder: Path, *, deep: bool = True) -> None:
    """Delete what was set aside as damaged, and what killed writers of this machine left, in a folder.

    Parameters
    ----------
    folder : Path
    deep : bool
        Also in all folders below it.
    """
    for path in folder.rglob(".*") if deep else folder.glob(".*"):
        found = _TEMPORARY.search(path.name)
        is_left = found and found["host"] == _HOST and not _is_alive(int(found["pid"], 16))
        if is_left or path.name.endswith(DAMAGED):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where a file that is still open can't be deleted
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        pass
    return True
