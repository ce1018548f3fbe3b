"""Read TensorFlow checkpoints without TensorFlow: a small reader of the TensorBundle format.

A checkpoint is two files. `PREFIX.data-00000-of-00001` holds the values of all tensors, one after another.
`PREFIX.index` is a sorted table that gives each tensor's type, shape, offset and size. The table is made of
blocks: a footer points to a block of pointers, and those point to the blocks that hold the entries.
Checksums are not verified: whoever gives the bytes vouches for them (a wheel is a zip file, with its own).
"""

import struct
from collections.abc import Iterator

import numpy as np

_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
_FOOTER_SIZE = 48
_MAGIC = 0xDB4775248B80FB57


def read(index: bytes, data: bytes, prefix: str = "") -> dict[str, np.ndarray]:
    """Tensors of a checkpoint of one data file, by name.

    Parameters
    ----------
    index : bytes
        Content of the `.index` file.
    data : bytes
        Content of the `.data-00000-of-00001` file.
    prefix : str
        Beginning of the names of those to read: beside the weights there may be what isn't numbers.

    Raises
    ------
    ValueError
        If it is not a checkpoint, or one of a kind that is not read here (compressed, big-endian, in several
        data files, with sliced tensors, or of other types than float32, float64, int32 and int64).
    """
    tensors = {}
    for name, value in _table(index):
        entry = _fields(value)
        if not name:
            _check_header(entry)
            continue
        if name.decode().startswith(prefix):
            tensors[name.decode()] = _tensor(name.decode(), entry, data)
    return tensors


def _check_header(header: dict[int, list]) -> None:
    """Raise unless the entry of the empty name says: one data file, little-endian."""
    n_files, big_endian = header.get(1, [0])[0], header.get(2, [0])[0]
    if n_files != 1 or big_endian:
        raise ValueError(f"{n_files} data files, big-endian={bool(big_endian)}: give 1, little-endian")


def _tensor(name: str, entry: dict[int, list], data: bytes) -> np.ndarray:
    """Return the values that an entry (a BundleEntryProto) describes."""
    dtype, offset, size = (entry.get(field, [0])[0] for field in (1, 4, 5))
    if dtype not in _DTYPES or 7 in entry:
        raise ValueError(f"{name} has type number {dtype}, sliced={7 in entry}: types read are {_DTYPES}")
    dims = _fields(entry[2][0]).get(2, []) if 2 in entry else []
    shape = [_fields(dim).get(1, [0])[0] for dim in dims]
    values = np.frombuffer(data[offset : offset + size], _DTYPES[dtype])
    if values.size != np.prod(shape, dtype=int):
        raise ValueError(f"{name} has {values.size} values, shape {shape}: the files don't belong together")
    return values.reshape(shape)


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the index, in the order of the keys."""
    footer = table[-_FOOTER_SIZE:]
    if len(footer) < _FOOTER_SIZE or struct.unpack("<Q", footer[-8:]) != (_MAGIC,):
        raise ValueError("the index does not end in a table's footer: give the checkpoint's .index file")
    position = 0
    for _ in range(2):  # the place of a block that TensorFlow leaves empty
        _, position = _varint(footer, position)
    for _, pointer in _block(table, footer[position:]):
        yield from _block(table, pointer)


def _block(table: bytes, pointer: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the block at a pointer: its offset and its size.

    Each key is stored as the number of bytes that it shares with the one before, and the bytes that follow.
    """
    start, position = _varint(pointer, 0)
    size, _ = _varint(pointer, position)
    block, compression = table[start : start + size], table[start + size]
    if compression:
        raise ValueError(f"the index is compressed (kind {compression}): only plain ones are read")
    (n_restarts,) = struct.unpack("<I", block[-4:])
    position, end, key = 0, size - 4 * (n_restarts + 1), b""
    while position < end:
        n_shared, position = _varint(block, position)
        n_own, position = _varint(block, position)
        n_value, position = _varint(block, position)
        key = key[:n_shared] + block[position : position + n_own]
        position += n_own
        yield key, block[position : position + n_value]
        position += n_value


def _fields(message: bytes) -> dict[int, list]:
    """Values of a protocol buffer by field number: integers, or bytes (fixed-size numbers too)."""
    fields: dict[int, list] = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        field, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
        else:
            if wire_type == 2:
                size, position = _varint(message, position)
            else:
                size = {1: 8, 5: 4}[wire_type]
            value = message[position : position + size]
            position += size
        fields.setdefault(field, []).append(value)
    return fields


def _varint(buffer: bytes, position: int) -> tuple[int, int]:
    """Integer at a position, seven bits a byte, the lowest first, and the position after it.

    Examples
    --------
    >>> _varint(bytes.fromhex("00ac02"), 1)
    (300, 3)
    """
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
