"""A file put together from pieces of another: its sound, under headers that agree with it."""

import io
import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

Piece = bytes | tuple[int, int] | tuple[int, int, BinaryIO]
"""Bytes of its own, or where those of the file begin and end, or of another file."""


class DamageError(ValueError):
    """What is wrong with a file, the rest of a sentence that begins with its name, and what to do."""

    def __init__(self, what: str, remedy: str = "copy it again"):
        super().__init__(f"{what}: {remedy}" if remedy == "split it" else f"{what}. {remedy.capitalize()}.")


@dataclass(frozen=True)
class Part:
    """One sound of a file; several may stand in a row.

    Attributes
    ----------
    pieces : sequence of Piece
        What a decoder reads.
    n_samples : int
        How many it has, by its content; 0 if unknown.
    n_promised, md5 : int, bytes
        Number of samples by a header, if larger, and the checksum of all: it tells which number is right.
    """

    pieces: Sequence[Piece]
    n_samples: int = 0
    n_promised: int = 0
    md5: bytes = b""


class Pieces(io.RawIOBase):
    """Pieces one after the other, as a file to read.

    Examples
    --------
    >>> Pieces(io.BytesIO(b"0123456789"), [b"abc", (2, 4), (8, 10)]).read()
    b'abc2389'
    """

    def __init__(self, file: BinaryIO | io.RawIOBase, pieces: Sequence[Piece]):
        self._file, self._pieces, self._at = file, pieces, 0
        lengths = (len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
        self._ends = list(itertools.accumulate(lengths))

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere, as in any file."""
        self._at = max(0, offset + (0, self._at, self._ends[-1])[whence])
        return self._at

    def tell(self) -> int:
        """Say where in it one is."""
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Read as much as fits, or as is left."""
        wanted, n = memoryview(buffer).cast("B"), 0
        while n < len(wanted) and self._at < self._ends[-1]:
            i = bisect_right(self._ends, self._at)
            piece, n_left = self._pieces[i], self._ends[i] - self._at
            n_now = min(n_left, len(wanted) - n)
            if isinstance(piece, bytes):
                content = piece[len(piece) - n_left :][:n_now]
            else:
                file = piece[2] if len(piece) == 3 else self._file
                file.seek(piece[1] - n_left)
                content = file.read(n_now)
            if not content:  # the file has shrunk meanwhile
                break
            wanted[n : n + len(content)] = content
            n += len(content)
            self._at += len(content)
        return n


def places(content: bytes, pattern: bytes) -> Iterator[int]:
    """Yield where a pattern begins.

    Examples
    --------
    >>> list(places(b"aaba", b"aa")), list(places(b"aaba", b"a"))
    ([0], [0, 1, 3])
    """
    at = content.find(pattern)
    while at >= 0:
        yield at
        at = content.find(pattern, at + 1)
