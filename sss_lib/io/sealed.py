"""Parquet files with checksums of all their bytes: what has changed is noticed, wherever it is.

The footer of a Parquet file holds names, places and sizes, and no checksum of its own. Here it has one entry
more, the seal: the CRC-32 of the footer, with zeros in the seal's own place, then the CRC-32 of all before.
"""

import copy
import functools
import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sss_lib.io.errors import OneLineError
from sss_lib.io.writing import replacing

BLOCK = 1 << 22
_ABOUT, _SEAL = b"sss_lib", b"sss_lib.seal"
_SEALED = re.compile(rb"sss_lib\.seal\x18\x10([0-9a-f]{8})([0-9a-f]{8})")  # Thrift: a field of 16 bytes


class DamagedArtefactError(OneLineError, ValueError):
    """A file that is no artefact: damaged, or written by something else."""


def write(path: Path, table: pa.Table, about: Mapping[str, object]) -> None:
    """Write a table with what is to be said of it (JSON values), sealed and atomically."""
    kept = {key: v for key, v in (table.schema.metadata or {}).items() if not key.startswith(_ABOUT)}
    table = table.replace_schema_metadata(kept or None)  # a table that was read from another such file
    token = os.urandom(8).hex().encode()  # holds the seal's place, which nothing else in the file can have
    with replacing(path, table.nbytes) as temporary:
        # Floats hardly shrink: of what shrinks them, this is the fastest to undo.
        with pq.ParquetWriter(temporary, table.schema, compression="lz4", write_page_checksum=True) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({_ABOUT: json.dumps(about), _SEAL: token})
        with temporary.open("rb+") as file:
            begin, footer = _footer(file)
            at = footer.index(token)
            footer = footer[: at + 8] + b"%08x" % _checksum(file, begin) + footer[at + 16 :]
            file.seek(begin + at)
            file.write(_crc_of(footer, at) + footer[at + 8 : at + 16])


def about(path: Path) -> dict:
    """What a file says of itself, once its footer is found intact.

    Raises
    ------
    DamagedArtefactError
        If the footer is damaged or not sealed.
    """
    return copy.deepcopy(glance(path))


def glance(path: Path) -> dict:
    """Return what `about` does, as all have it who ask: not to be changed or handed on."""
    status = os.stat(path)
    return _about(path, status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(4096)
def _about(path: Path, *_: int) -> dict:
    """What a file says of itself, read once for each state of a file."""
    with open(path, "rb") as file:
        try:
            _seal(_footer(file)[1])
            return json.loads(pq.read_metadata(path).metadata[_ABOUT])
        except (ValueError, KeyError, pa.ArrowException) as error:
            raise DamagedArtefactError(str(error)) from None


def is_unsealed(path: Path) -> bool:
    """Whether a Parquet file shows no trace of a seal, as those of other programs.

    Whatever one byte of the seal's name becomes, its begin or its end is left.
    """
    try:
        keys = pq.read_metadata(path).metadata or {}
    except (OSError, ValueError, pa.ArrowException):  # no footer to look into
        return False
    return not any(key != _ABOUT and (key.startswith(_ABOUT) or key.endswith(b"seal")) for key in keys)


def require_intact(path: Path) -> None:
    """Raise DamagedArtefactError if any byte has changed since the file was written. All are read."""
    glance(path)
    status = os.stat(path)
    if not _is_intact(path, status.st_size, status.st_mtime_ns, status.st_ino):
        raise DamagedArtefactError("its content has another checksum than it was written with")


@functools.lru_cache(4096)
def _is_intact(path: Path, *_: int) -> bool:
    """Whether all before the footer is as it was written; asked once for each state of a file."""
    with open(path, "rb") as file:
        begin, footer = _footer(file)
        return _checksum(file, begin) == int(_seal(footer)[2], 16)


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer begins, and all bytes from there."""
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, n_bytes - 8))
    end = file.read()
    begin = n_bytes - 8 - int.from_bytes(end[:4], "little")
    if len(end) < 8 or end[4:] != b"PAR1" or begin < 4:
        raise ValueError("it has no footer of a Parquet file")
    file.seek(begin)
    return begin, file.read()


def _seal(footer: bytes) -> re.Match[bytes]:
    """Place of the seal. A name or a value of the table can look like one, but has no right checksum."""
    found = list(_SEALED.finditer(footer))
    if not found:
        raise ValueError("it is no artefact of sss_lib, or has lost its checksum")
    for one in found:
        if _crc_of(footer, one.start(1)) == one[1]:
            return one
    raise ValueError("its footer has another checksum than it was written with")


def _crc_of(footer: bytes, at: int) -> bytes:
    """CRC-32 of a footer with zeros in the place of its own, as the seal has it."""
    return b"%08x" % zlib.crc32(footer[:at] + b"0" * 8 + footer[at + 8 :])


def _checksum(file: BinaryIO, n_bytes: int) -> int:
    """CRC-32 of the first bytes of a file."""
    file.seek(0)
    found = 0
    while n_bytes > 0 and (block := file.read(min(BLOCK, n_bytes))):
        found, n_bytes = zlib.crc32(block, found), n_bytes - len(block)
    return found
