"""Split zips: their parts, read as one archive. Python's zipfile reads archives of one part only.

A zip ends with its directory: one entry a file (PK 1 2), then the end record (PK 5 6), which says where the
directory begins. A field that has no room for its value is all ones, and the value stands in the Zip64 form:
in an extra field of the entry, or in a second end record (PK 6 6), which a locator (PK 6 7) points to.
Section numbers in comments are those of PKWARE's APPNOTE 6.3.10.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from sss_lib.io.pieces import Pieces

BLOCK = 1 << 20
_FULL = 2**32 - 1  # what a field of 32 bits holds if its value doesn't fit


class ArchiveError(ValueError):
    """An archive that is damaged, incomplete or unsafe; nothing of it has been unpacked."""


class JoinedZip(Pieces):
    """The parts of a split zip as one file to read, without a joined copy on the disk.

    The directory of a split zip gives the place of each file as a part and an offset in it. Here the parts
    follow one another, and the directory is replaced by one with offsets from the first byte, in the Zip64
    form, since the whole may exceed 4 GB.

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
        self.last, sizes = files[-1].name, [os.fstat(file.fileno()).st_size for file in files]
        self.parts = Pieces(files[0], [(0, size, file) for size, file in zip(sizes, files, strict=True)])
        self.n_bytes = sum(sizes)
        self.starts = [sum(sizes[:i]) for i in range(len(sizes))]
        n_files, directory = self._directory()
        entries = b"".join(self._joined_entries(directory))
        tail = entries + _end_of_directory(n_files, len(entries), self.tail_start)
        super().__init__(self.parts, [(0, self.tail_start), tail])

    def _directory(self) -> tuple[int, bytes]:
        """How many files there are, and the directory's bytes; `tail_start` is set to where it begins."""
        # 4.3.16: the end record has 22 bytes and a comment of at most 65,535; it never crosses parts.
        begin = max(self.starts[-1], self.n_bytes - (1 << 16) - 22)
        end = self._read(begin, self.n_bytes - begin)
        at = end.rfind(b"PK\5\6")
        if at < 0:
            raise ArchiveError(f"{self.last} is no zip, or its end is missing: delete it and fetch it again")
        # Number of this part, part where the directory begins, entries here and in all, size, offset.
        part, first, _, n_files, size, offset = struct.unpack_from("<4H2L", end, at + 4)
        if at >= 20 and end[at - 20 : at - 16] == b"PK\6\7":
            part, offset = struct.unpack_from("<LQ", end, at - 16)  # 4.3.15: where the Zip64 record is
            record = self._read(self._start(part) + offset, 56)
            part, first, _, n_files, size, offset = struct.unpack_from("<2L4Q", record, 16)
        if part + 1 != len(self.starts):
            raise ArchiveError(
                f"{self.last} is the last of {part + 1} parts, but {len(self.starts)} are given"
            )
        self.tail_start = self._start(first) + offset
        return n_files, self._read(self.tail_start, size)

    def _start(self, part: int) -> int:
        if part >= len(self.starts):
            raise ArchiveError(f"{self.last} speaks of part {part + 1}, but {len(self.starts)} are given")
        return self.starts[part]

    def _joined_entries(self, directory: bytes) -> Iterator[bytes]:
        """Entries of the directory (4.3.12) with offsets from the first byte of the first part.

        Of the 17 fields of an entry, 8 and 9 are the compressed and full size, 10 to 12 the lengths of name,
        extra fields and comment, 13 the part and 16 the offset in it.
        """
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
            # 4.5.3: in this order, each only if its own field is all ones.
            for i, code, full in ((9, "Q", _FULL), (8, "Q", _FULL), (16, "Q", _FULL), (13, "L", 65535)):
                if fields[i] == full and large:
                    (fields[i],) = struct.unpack_from(f"<{code}", large)
                    large = large[struct.calcsize(code) :]
            offset = self._start(fields[13]) + fields[16]
            # Always the Zip64 form: a file that begins before 4 GB in its part may begin later in the whole.
            others = struct.pack("<2H3Q", 1, 24, fields[9], fields[8], offset) + others
            fields[8] = fields[9] = fields[16] = _FULL
            fields[11:14] = len(others), 0, 0
            yield struct.pack("<4s6H3L5H2L", *fields) + name + others

    def _read(self, start: int, size: int) -> bytes:
        """Read a block at a time: a damaged size must not decide how much memory is taken."""
        self.parts.seek(start)
        return b"".join(iter(lambda: self.parts.read(min(BLOCK, start + size - self.parts.tell())), b""))


def _split_extra(extra: bytes) -> tuple[bytes, bytes]:
    """Return the numbers in the Zip64 extra field (kind 1) of an entry, and the other extra fields."""
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
