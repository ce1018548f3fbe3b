"""Ogg by its pages, each with a number and a checksum, which decoders skip without a word if it is wrong.

The formats: Ogg (RFC 3533), Opus (RFC 6716, 7845), Vorbis I.
"""

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from sss_lib.io.pieces import DamageError, Part, Piece

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FIRST, _LAST = 2, 4
"""Flags of a page of a stream."""


def parts(file: BinaryIO, begin: int, end: int) -> list[Part]:
    """Sounds of an Ogg file, in a row; streams that begin together, such as sound and text, are one.

    Where the position of the last page can't be, which is the length by its header, it is put right.

    Raises
    ------
    DamageError
        If a page is damaged or missing, or a stream has no end.
    """
    sounds: list[_Sound] = []
    streams: dict[int, int] = {}  # those without an end yet, and the number of their next page
    in_head = False
    for n, page in enumerate(_pages(file, begin, end)):
        if page.flags & _FIRST:
            if not in_head:
                _require_ends(streams, n)
                sounds.append(_Sound(page.at))
            streams[page.serial] = page.number
        if page.serial not in streams or not sounds:
            raise DamageError(f"is damaged: page {n}, at byte {page.at:,}, is of no stream")
        if page.number != streams[page.serial]:
            missing = f"{streams[page.serial]} of stream {page.serial}"
            raise DamageError(
                f"is damaged: page {n}, at byte {page.at:,}, has number {page.number}, not {missing}"
            )
        streams[page.serial] += 1
        if page.flags & _LAST:
            del streams[page.serial]
        in_head = bool(page.flags & _FIRST)
        sounds[-1].add(page)
    _require_ends(streams, n + 1)
    return [sound.part(file) for sound in sounds]


def checksum(content: bytes) -> int:
    """CRC of a page as Ogg reckons it: zlib's, with the bits of all bytes the other way round.

    Examples
    --------
    >>> hex(checksum(bytes([0, 0, 0, 1])))  # the polynomial itself
    '0x4c11db7'
    """
    reverse = ~zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) & 0xFFFFFFFF
    return int(f"{reverse:032b}"[::-1], 2)


def _require_ends(streams: dict[int, int], n_pages: int) -> None:
    if streams:
        raise DamageError(f"is cut short: none of its {n_pages:,} pages is the last of its stream")


@dataclass(frozen=True)
class _Page:
    at: int
    content: bytes

    @property
    def flags(self) -> int:
        return self.content[5]

    @property
    def position(self) -> int:
        """Samples up to the end of the last packet that ends here; -1 if none does."""
        return int.from_bytes(self.content[6:14], "little", signed=True)

    @property
    def serial(self) -> int:
        return int.from_bytes(self.content[14:18], "little")

    @property
    def number(self) -> int:
        return int.from_bytes(self.content[18:22], "little")

    def packets(self) -> Iterator[tuple[bytes, bool]]:
        """Pieces of packets, and whether they end with it."""
        sizes, at, size = self.content[27 : 27 + self.content[26]], 27 + self.content[26], 0
        for one in sizes:
            size += one
            if one < 255:
                yield self.content[at : at + size], True
                at, size = at + size, 0
        if sizes and sizes[-1] == 255:
            yield self.content[at:], False

    def moved(self, position: int) -> bytes:
        """Page that ends at another position."""
        content = self.content[:6] + (position % 2**64).to_bytes(8, "little") + self.content[14:22]
        rest = self.content[26:]
        return content + checksum(content + bytes(4) + rest).to_bytes(4, "little") + rest


def _pages(file: BinaryIO, at: int, end: int) -> Iterator[_Page]:
    n = 0
    while at < end:
        file.seek(at)
        head = file.read(27 + 255)
        if head[:4] != b"OggS"[: len(head)]:
            if _has_more(file, at, end):
                raise DamageError(f"is damaged: page {n} should begin at byte {at:,}")
            return  # tags of other formats
        n_bytes = 27 + head[26] + sum(head[27 : 27 + head[26]]) if len(head) > 26 else 27
        if at + n_bytes > end:
            raise DamageError(f"is cut short: page {n}, its last, has {end - at:,} of {n_bytes:,} bytes")
        file.seek(at)
        content = file.read(n_bytes)
        if checksum(content[:22] + bytes(4) + content[26:]) != int.from_bytes(content[22:26], "little"):
            raise DamageError(f"is damaged: page {n}, at byte {at:,}, has not the checksum that it tells")
        yield _Page(at, content)
        at, n = at + n_bytes, n + 1


def _has_more(file: BinaryIO, at: int, end: int) -> bool:
    """Whether another page follows, or the last one isn't whole."""
    file.seek(at)
    before = b""
    while block := file.read(1 << 18):
        if b"OggS" in before + block:
            return True
        before = block[-3:]
    return False


@dataclass
class _Sound:
    """One stream of Vorbis or Opus, whose packets tell how long they are; others count for nothing."""

    begin: int
    end: int = 0
    serial: int = -1
    sizes: list[int] = field(default_factory=list)
    """Samples of a block of Vorbis by its mode; none for Opus."""
    packet: bytes = b""
    n_packets: int = 0
    n_samples: int = 0
    last_size: int = 0
    positions: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Of each page: where it begins and ends, its position as told, and as its packets have it."""

    def add(self, page: _Page) -> None:
        self.end = page.at + len(page.content)
        if page.flags & _FIRST and self.serial < 0:
            head = page.content[27 + page.content[26] :]
            if head[:8] == b"OpusHead" or head[:7] == b"\x01vorbis":
                self.serial = page.serial
        if page.serial != self.serial:
            return
        n_before = self.n_packets
        for content, is_whole in page.packets():
            self.packet += content
            if is_whole:
                self._count(self.packet)
                self.packet = b""
        if self.n_samples and (self.n_packets > n_before or page.flags & _LAST):
            self.positions.append((page.at, self.end, page.position, self.n_samples))

    def _count(self, packet: bytes) -> None:
        self.n_packets += 1
        if self.n_packets == 1 and packet[:8] == b"OpusHead":
            self.n_head = 2
        elif self.n_packets == 1:
            self.n_head, self.exponents = 3, int.from_bytes(packet[28:29])
        elif self.n_head == 3 and self.n_packets == 3:
            self.sizes = _sizes_of_modes(packet, 1 << (self.exponents & 15), 1 << (self.exponents >> 4))
        elif self.n_packets > self.n_head and packet:
            self.n_samples += self._size(packet)

    def _size(self, packet: bytes) -> int:
        """Samples that a packet adds."""
        if self.n_head == 2:
            return _opus_samples(packet)
        if packet[0] & 1 or not self.sizes:
            return 0
        size = self.sizes[(packet[0] >> 1) % (1 << (len(self.sizes) - 1).bit_length()) % len(self.sizes)]
        before, self.last_size = self.last_size, size
        return (before + size) // 4 if before else 0

    def part(self, file: BinaryIO) -> Part:
        """Sound whose pages have positions that agree, but that the last may leave out part of a block."""
        starts = Counter(told - n for _, _, told, n in self.positions[:-1]) or Counter([0])
        (start, _), largest = starts.most_common(1)[0], max(self.sizes, default=5760)
        pieces: list[Piece] = []
        at = self.begin
        for i, (begin, end, told, n) in enumerate(self.positions):
            surplus = start + n - told
            if surplus and not (i == len(self.positions) - 1 and 0 < surplus <= largest):
                file.seek(begin)
                pieces += [(at, begin), _Page(begin, file.read(end - begin)).moved(start + n)]
                at = end
        return Part([*pieces, (at, self.end)])


def _opus_samples(packet: bytes) -> int:
    """Samples of a packet of Opus at 48 kHz, by its first one or two bytes."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        size = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        size = (480, 960)[config % 2]
    else:
        size = 120 << config % 4
    return size * (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]


def _sizes_of_modes(setup: bytes, short: int, long: int) -> list[int]:
    """Sizes of the blocks of each mode, from the end of Vorbis's third header.

    It ends with the number of modes less one (6 bits), each mode (a flag for long blocks, 16 and 16 bits that
    are 0, 8 bits for its mapping) and a framing bit; what comes before has no size that is told.
    """
    bits = int.from_bytes(setup, "little")
    at = bits.bit_length() - 1  # the framing bit
    for n in range(64, 0, -1):
        first = at - 41 * n
        if first < 6 or bits >> first - 6 & 63 != n - 1:
            continue
        modes = [bits >> first + 41 * i & (1 << 41) - 1 for i in range(n)]
        if all(not mode >> 1 & 0xFFFFFFFF and mode >> 33 < 64 for mode in modes):
            return [long if mode & 1 else short for mode in modes]
    return []
