"""tensorbundle reads checkpoints: these are put together by hand from the description of the format."""

import struct

import numpy as np
import pytest
import tensorbundle

MAGIC = bytes.fromhex("57fb808b247547db")
ONE_FILE = b"\x08\x01"


def block(entries):
    """A block in which no key shares bytes with the one before; all sizes are below 128."""
    content = b"".join(bytes([0, len(key), len(value)]) + key + value for key, value in entries)
    return content + struct.pack("<II", 0, 1)


def table(blocks):
    """Blocks, the block of pointers to them, and the footer."""
    content, pointers = b"", []
    for one in blocks:
        pointers.append((b"z", bytes([len(content), len(one)])))
        content += one + b"\0" + bytes(4)
    footer = bytes([0, 0, len(content), len(block(pointers))])
    return content + block(pointers) + b"\0" + bytes(4) + footer.ljust(40, b"\0") + MAGIC


def entry(dtype, dims, offset, size):
    shape = b"".join(b"\x12\x02\x08" + bytes([dim]) for dim in dims)
    return (
        bytes([8, dtype, 0x12, len(shape)]) + shape + bytes([0x20, offset, 0x28, size]) + b"\x35" + bytes(4)
    )


def test_tensors_of_several_blocks_types_and_ranks_are_read():
    matrix, steps = np.arange(6, dtype="<f4").reshape(2, 3), np.int64(7)
    index = table(
        [
            block([(b"", ONE_FILE), (b"matrix", entry(1, (2, 3), 8, 24))]),
            block([(b"steps", entry(9, (), 0, 8))]),
        ]
    )
    tensors = tensorbundle.read(index, steps.tobytes() + matrix.tobytes())
    assert list(tensors) == ["matrix", "steps"]
    np.testing.assert_array_equal(tensors["matrix"], matrix)
    assert tensors["steps"].shape == ()
    assert tensors["steps"] == 7


def test_keys_that_share_a_beginning_are_completed():
    value = entry(1, (1,), 0, 4)
    shared = bytes([0, 3, len(value)]) + b"a/x" + value + bytes([2, 1, len(value)]) + b"y" + value
    index = table([shared + struct.pack("<II", 0, 1)])
    assert list(tensorbundle.read(index, bytes(4))) == ["a/x", "a/y"]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"no checkpoint", "footer"),
        (table([block([(b"", b"\x08\x02")])]), "2 data files"),
        (table([block([(b"", ONE_FILE + b"\x10\x01")])]), "big-endian=True"),
        (table([block([(b"x", entry(7, (1,), 0, 4))])]), "type number 7"),
        (table([block([(b"x", entry(1, (2,), 0, 4))])]), "1 values, shape"),
    ],
)
def test_what_is_not_read_is_refused(index, message):
    with pytest.raises(ValueError, match=message):
        tensorbundle.read(index, bytes(4))
