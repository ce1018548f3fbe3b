"""Unpacking archives: zip, split zip and tar.gz, whole or not at all, and never outside their folder."""

import contextlib
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
from typing import BinaryIO

from sss_lib.download import is_full, locked

BLOCK = 1 << 20
_FULL = 2**32 - 1  # what a field of 32 bits holds if its value doesn't fit


_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, struct.error, zlib.error, EOFError),
    NotImplementedError,  # a method of compression that there isn't
)


class ArchiveError(ValueError):
    """An archive that is damaged, incomplete or unsafe; nothing of it has been unpacked."""


def unpack(parts: Sequence[Path], folder: Path, *, progress: bool = True) -> None:
    """Unpack the top folder of an archive, so that it becomes `folder`, which has its name.

    It is unpacked beside it under a hidden name and renamed when all is there: a run that fails leaves
    nothing, and what a killed one leaves is deleted by the next. Anything beside the top folder is left out.

    Parameters
    ----------
    parts : sequence of Path
        One .zip or .tar.gz; or the parts of a split zip in order, .z01, .z02, ... and .zip last.
    folder : Path
        What is there already is kept, and nothing is unpacked.
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
    hidden = folder.with_name(f".{folder.name}.unpacking")
    with locked(folder):
        if folder.is_dir():
            return
        shutil.rmtree(hidden, ignore_errors=True)
        try:
            _unpack_all(parts, hidden, progress)
            if not (hidden / folder.name).is_dir():
                there = ", ".join(sorted(path.name for path in hidden.iterdir())[:3]) or "nothing"
                raise ArchiveError(f"{parts[-1]} holds no folder {folder.name}, but {there}")
            os.replace(hidden / folder.name, folder)
        except _DAMAGE as error:
            raise ArchiveError(
                f"{parts[-1]} is damaged ({error}): delete {'all parts' if parts[1:] else 'it'}, fetch again"
            ) from None
        except OSError as error:
            if is_full(error):
                raise OSError(
                    error.errno, f"the disk is full: {parts[-1].name} could not be unpacked, and is kept"
                ) from None
            raise
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def _unpack_all(parts: list[Path], into: Path, progress: bool) -> None:
    from tqdm import tqdm

    into.mkdir()
    units = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
    is_zip = parts[-1].suffix.lower() == ".zip"
    total = n_unpacked_bytes(parts) if is_zip else None
    if total is not None:
        require_space(into, total, f"unpack {parts[-1].name}")
    members = _zip_members(parts) if is_zip else _tar_members(parts[-1])
    with tqdm(desc=f"unpacking {parts[-1].name}", total=total, disable=not progress, **units) as bar:
        for name, source, checksum in members:
            path = into.joinpath(*_safe(name, parts[-1]).parts)
            if source is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("xb")
            except FileExistsError:
                raise ArchiveError(f"{parts[-1]} holds {name!r} twice: it isn't to be trusted") from None
            found = 0
            with source, file:
                while block := source.read(BLOCK):
                    found = zlib.crc32(block, found)
                    file.write(block)
                    bar.update(len(block))
            if checksum not in (None, found):  # zipfile itself doesn't look at a file that claims to be empty
                raise zipfile.BadZipFile(f"{name!r} has another checksum")


def n_unpacked_bytes(parts: Sequence[Path]) -> int:
    """How many bytes the files of a zip have, by its own account."""
    with _opened(parts) as archive:
        return sum(info.file_size for info in archive.infolist())


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


def _safe(name: str, archive: Path) -> PurePosixPath:
    """Path of a member, if it stays where it is put."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:\0"):
        raise ArchiveError(f"{archive} holds {name!r}, which could lead outside its folder: not unpacked")
    return path


def _zip_members(parts: list[Path]) -> Iterator[tuple[str, BinaryIO | None, int | None]]:
    """Name, content and CRC-32 of each file; the content of a folder is None."""
    with _opened(parts) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"{parts[-1]} holds {info.filename!r}, a link or a device: not unpacked")
            if info.flag_bits & 1:
                raise ArchiveError(f"{parts[-1]} holds {info.filename!r} encrypted: unpack it by hand")
            yield info.orig_filename, None if info.is_dir() else archive.open(info), info.CRC


def _tar_members(path: Path) -> Iterator[tuple[str, BinaryIO | None, None]]:
    """Name and content of each file, in one pass; the content of a folder is None. There is no checksum."""
    with gzip.open(path) as content, tarfile.open(fileobj=content, mode="r|") as archive:
        for member in archive:
            if not (member.isfile() or member.isdir()):
                raise ArchiveError(f"{path} holds {member.name!r}, a link or a device: not unpacked")
            yield member.name, archive.extractfile(member), None
        while content.read(BLOCK):  # to its end, where the checksum of the whole is
            pass


@contextlib.contextmanager
def _opened(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    """Open a zip, or the parts of one."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(part, "rb")) for part in parts]
        whole = files[0] if len(files) == 1 else io.BufferedReader(JoinedZip(files), BLOCK)
        yield stack.enter_context(zipfile.ZipFile(whole))


class JoinedZip(io.RawIOBase):
    """The parts of a split zip as one archive to read from, without a joined copy on the disk.

    The directory of a split zip says of each file in which part it begins, and where in that part. Here the
    parts follow one another, and a directory that counts from the first byte takes the place of that one
    (in the Zip64 form, since the whole may exceed 4 GB).

    Parameters
    ----------
    files : sequence of file objects
        .z01, .z02, ..., and .zip last, open for reading.

    Raises
    ------
    ArchiveError
        If they are not all the parts of one archive.
    """

    def __init__(self, files: Sequence[BinaryIO]):
        self.files, self.last = files, files[-1].name
        self.starts, self.n_bytes, self.position = [], 0, 0
        for file in files:
            self.starts.append(self.n_bytes)
            self.n_bytes += os.fstat(file.fileno()).st_size
        self.tail, self.tail_start = b"", self.n_bytes  # the directory, once it is known
        n_files, directory = self._directory()
        entries = b"".join(self._joined_entries(directory))
        self.tail = entries + _end_of_directory(n_files, len(entries), self.tail_start)
        self.n_bytes = self.tail_start + len(self.tail)

    def _directory(self) -> tuple[int, bytes]:
        """How many files there are, and the directory's bytes; `tail_start` is set to where it begins."""
        begin = max(self.starts[-1], self.n_bytes - (1 << 16) - 22)
        end = self._at(begin, self.n_bytes - begin)
        at = end.rfind(b"PK\5\6")
        if at < 0:
            raise ArchiveError(f"{self.last} is no zip, or its end is missing: delete it and fetch it again")
        part, first, _, n_files, size, offset = struct.unpack_from("<4H2L", end, at + 4)
        if at >= 20 and end[at - 20 : at - 16] == b"PK\6\7":
            part, offset = struct.unpack_from("<LQ", end, at - 16)
            record = self._at(self._start(part) + offset, 56)
            part, first, _, n_files, size, offset = struct.unpack_from("<2L4Q", record, 16)
        if part + 1 != len(self.files):
            raise ArchiveError(
                f"{self.last} is the last of {part + 1} parts, but {len(self.files)} are given"
            )
        self.tail_start = self._start(first) + offset
        return n_files, self._at(self.tail_start, size)

    def _start(self, part: int) -> int:
        if part >= len(self.starts):
            raise ArchiveError(f"{self.last} speaks of part {part + 1}, but {len(self.starts)} are given")
        return self.starts[part]

    def _joined_entries(self, directory: bytes) -> Iterator[bytes]:
        """Entries of the directory with offsets from the first byte of the first part."""
        at = 0
        while at < len(directory):
            fields = list(struct.unpack_from("<4s6H3L5H2L", directory, at))
            if fields[0] != b"PK\1\2":
                raise ArchiveError(f"the directory in {self.last} is damaged: fetch all parts again")
            n_name, n_extra, n_comment = fields[10:13]
            name = directory[at + 46 : at + 46 + n_name]
            extra = directory[at + 46 + n_name : at + 46 + n_name + n_extra]
            at += 46 + n_name + n_extra + n_comment
            large, others = _split_extra(extra)
            # Each is there only if its own field has no room for it: size, compressed size, offset, part.
            for i, code, full in ((9, "Q", _FULL), (8, "Q", _FULL), (16, "Q", _FULL), (13, "L", 65535)):
                if fields[i] == full and large:
                    (fields[i],) = struct.unpack_from(f"<{code}", large)
                    large = large[struct.calcsize(code) :]
            offset = self._start(fields[13]) + fields[16]
            others = struct.pack("<2H3Q", 1, 24, fields[9], fields[8], offset) + others
            fields[8] = fields[9] = fields[16] = _FULL
            fields[11:14] = len(others), 0, 0
            yield struct.pack("<4s6H3L5H2L", *fields) + name + others

    def _at(self, start: int, size: int) -> bytes:
        self.seek(start)
        return b"".join(iter(lambda: self.read(min(BLOCK, start + size - self.position)), b""))

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start, from here or from the end."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.n_bytes}[whence]
        self.position = origin + offset
        return self.position

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with what follows in one part, or in the directory; return how many bytes."""
        if self.position >= self.tail_start and self.tail:
            found = self.tail[self.position - self.tail_start :][: len(buffer)]
        else:
            i = max(i for i, start in enumerate(self.starts) if start <= self.position)
            self.files[i].seek(self.position - self.starts[i])
            end = self.starts[i + 1] if i + 1 < len(self.starts) else self.n_bytes
            end = min(end, self.tail_start) if self.tail else end
            found = self.files[i].read(min(len(buffer), end - self.position))
        buffer[: len(found)] = found
        self.position += len(found)
        return len(found)


def _split_extra(extra: bytes) -> tuple[bytes, bytes]:
    """Return the large numbers among the extra fields of a directory's entry, and the other fields."""
    large, others, at = b"", b"", 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            large = extra[at + 4 : at + 4 + size]
        else:
            others += extra[at : at + 4 + size]
        at += 4 + size
    return large, others


def _end_of_directory(n_files: int, size: int, start: int) -> bytes:
    """Return the records that end a zip of one part, in the Zip64 form."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, n_files, n_files, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, _FULL, _FULL, 0)
    return record + locator + end
