"""Archives: zip, split zip and tar.gz, unpacked whole or not at all, and never outside their folder."""

import contextlib
import errno
import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from sss_lib.io.names import has_controls
from sss_lib.io.split_zip import ArchiveError, JoinedZip
from sss_lib.io.writing import full_disk, is_full, locked

BLOCK = 1 << 20
MOST_LARGER = 200
"""How many times its size an archive unpacks to, above `FREE_BYTES`: sounds hardly shrink, tables tenfold."""
FREE_BYTES = 100_000_000
DEEPEST = 50
"""Folders in folders."""


_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, struct.error, zlib.error, EOFError),
    NotImplementedError,  # a method of compression that there isn't
    *(ValueError, IndexError),  # of what stands before an entry of a tar, and of a name that is empty
)


def unpack(parts: Sequence[Path], folder: Path, *, progress: bool = True) -> None:
    """Unpack the top folder of an archive to `folder`, which has the same name.

    The archive is unpacked beside it under a hidden name, and renamed when it is complete. A run that fails
    leaves nothing; the next one deletes what a killed one leaves. Anything beside the top folder is dropped.

    Parameters
    ----------
    parts : sequence of Path
        One .zip or .tar.gz; or the parts of a split zip in order, .z01, .z02, ... and .zip last.
    folder : Path
        If it exists, it is kept, and nothing is unpacked.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ArchiveError
        If the archive is damaged or a part is missing; if it has no such folder; or if a name in it is
        absolute, leads outside, stands twice, or belongs to a link or a device.
    OSError
        If the disk is full, before the first byte where the archive tells its size.
    """
    parts, folder = [Path(part) for part in parts], Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    hidden = _hidden(folder)
    with locked(folder):
        shutil.rmtree(hidden, ignore_errors=True)
        if folder.is_dir():
            return
        try:
            with _damage_told(parts[-1], f"delete {'all parts' if parts[1:] else 'it'}, fetch again"):
                _unpack_all(parts, hidden, progress)
            if not (hidden / folder.name).is_dir():
                others = ", ".join(sorted(path.name for path in hidden.iterdir())[:3]) or "nothing"
                raise ArchiveError(f"{parts[-1]} holds no folder {folder.name}, but {others}")
            os.replace(hidden / folder.name, folder)
        except OSError as error:
            if is_full(error):
                raise OSError(
                    error.errno,
                    f"{full_disk(folder, 0, error).strerror}: {parts[-1].name} is kept",
                ) from None
            raise
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def discard_unfinished(folder: Path) -> None:
    """Delete what a killed run left of a folder; wait for a run that is unpacking it."""
    if _hidden(folder).is_dir():  # else there would be a lock file for nothing
        with locked(folder):
            shutil.rmtree(_hidden(folder), ignore_errors=True)


@contextlib.contextmanager
def _damage_told(path: Path, remedy: str) -> Iterator[None]:
    """Raise what a damaged archive ends in as ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except (*_DAMAGE, OSError) as error:
        if not isinstance(error, _DAMAGE) and error.errno != errno.EINVAL:  # of an offset that is none
            raise
        raise ArchiveError(f"{path} is damaged ({error}): {remedy}") from None


def _hidden(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.unpacking")


def _unpack_all(parts: list[Path], into: Path, progress: bool) -> None:
    from tqdm import tqdm

    into.mkdir()
    units = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
    is_zip = parts[-1].suffix.lower() == ".zip"
    total = None  # a tar.gz doesn't tell
    if is_zip:
        with _opened(parts) as archive:
            total = sum(info.file_size for info in archive.infolist())
        _require_likely(parts, total)
        require_space(into, total, f"unpack {parts[-1].name}")
    members = _zip_members(parts) if is_zip else _tar_members(parts[-1])
    n_bytes = 0
    with tqdm(desc=f"unpacking {parts[-1].name}", total=total, disable=not progress, **units) as bar:
        for name, source, checksum in members:
            path = into.joinpath(*_safe(name, parts[-1]).parts)
            try:
                if source is None:
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                file = path.open("xb")  # fails if it exists: a second entry could replace a checked one
            except (FileExistsError, NotADirectoryError):
                raise ArchiveError(f"{parts[-1]} holds {name!r} twice: it isn't to be trusted") from None
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                raise ArchiveError(f"{parts[-1]} holds a name too long for this disk: {name!r}") from None
            found = 0
            with source, file:
                while block := source.read(BLOCK):
                    found = zlib.crc32(block, found)
                    n_bytes += len(block)
                    _require_likely(parts, n_bytes)
                    file.write(block)
                    bar.update(len(block))
            if checksum not in (None, found):  # zipfile doesn't check an entry that claims to be empty
                raise zipfile.BadZipFile(f"{name!r} has another checksum")


def contents(parts: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """Size and CRC-32 of each file of a zip by name, by the zip's own directory.

    Raises
    ------
    ArchiveError
        If it is damaged.
    """
    with _damage_told(parts[-1], "fetch it again"), _opened(parts) as archive:
        return {i.filename: (i.file_size, i.CRC) for i in archive.infolist() if not i.is_dir()}


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found = zlib.crc32(block, found)
    return found


def require_space(folder: Path, n_bytes: int, what: str) -> None:
    """Raise OSError with both numbers if a disk has less free space than is needed.

    Parameters
    ----------
    folder : Path
        Where it is needed; the nearest folder that exists is asked.
    n_bytes : int
    what : str
        For the message: "unpack x.zip".
    """
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"to {what} takes {n_bytes / 1e9:.2f} GB, but the disk of {folder} has {free / 1e9:.2f} GB free: "
            "make room, or choose a data folder on another disk"
        )


def _require_likely(parts: Sequence[Path], n_bytes: int) -> None:
    """Raise ArchiveError if an archive would unpack to far more than sounds and tables do."""
    own = sum(part.stat().st_size for part in parts)
    if n_bytes > FREE_BYTES + MOST_LARGER * own:
        raise ArchiveError(
            f"{parts[-1]} has {own / 1e6:.1f} MB, and would take {n_bytes / 1e6:.0f} MB or more: not unpacked"
        )


def _safe(name: str, archive: Path) -> PurePosixPath:
    """Path of a member, if it stays in its folder on every system: also no backslash and no drive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:\0"):
        raise ArchiveError(f"{archive} holds {name!r}, which could lead outside its folder: not unpacked")
    if len(path.parts) > DEEPEST:
        raise ArchiveError(
            f"{archive} holds {name[:60]!r}..., more than {DEEPEST} folders deep: not unpacked"
        )
    if has_controls(name):
        raise ArchiveError(f"{archive} holds {name!r}, a name with signs that no text has: not unpacked")
    return path


def _zip_members(parts: list[Path]) -> Iterator[tuple[str, IO[bytes] | None, int | None]]:
    """Name, content and CRC-32 of each file; the content of a folder is None."""
    with _opened(parts) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # zips from Unix keep the mode there; 0: others
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"{parts[-1]} holds {info.filename!r}, a link or a device: not unpacked")
            if info.flag_bits & 1:
                raise ArchiveError(f"{parts[-1]} holds {info.filename!r} encrypted: unpack it by hand")
            # zipfile itself cuts a name at a zero byte and turns separators: judge the name as it is stored.
            yield info.orig_filename, None if info.is_dir() else archive.open(info), info.CRC


def _tar_members(path: Path) -> Iterator[tuple[str, IO[bytes] | None, None]]:
    """Name and content of each file, in one pass; the content of a folder is None. There is no checksum."""
    with gzip.open(path) as content, tarfile.open(fileobj=content, mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            if not (member.isfile() or member.isdir()):
                raise ArchiveError(f"{path} holds {member.name!r}, a link or a device: not unpacked")
            yield member.name, archive.extractfile(member), None
        # tarfile stops before the end of the gzip, where its checksum is.
        while content.read(BLOCK):
            _require_likely([path], content.tell())


class _Member(tarfile.TarInfo):
    """An entry of a tar whose name, or what else stands before it, is read only if it is short."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if not (self.isfile() or self.isdir()) and self.size > BLOCK:
            raise tarfile.ReadError(f"an entry of type {self.type!r} has {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


@contextlib.contextmanager
def _opened(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    """Open a zip, or the parts of one."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(part, "rb")) for part in parts]
        whole = files[0] if len(files) == 1 else io.BufferedReader(JoinedZip(files), BLOCK)
        yield stack.enter_context(zipfile.ZipFile(whole))
