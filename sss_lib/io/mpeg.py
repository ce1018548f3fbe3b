"""mp3 and its kin as a chain of frames, which tells how long the sound is; its header may say anything.

The formats: MPEG audio frames (ISO 11172-3), ADTS (ISO 13818-7), ID3 and APE tags, and the headers that count
frames: Xing or Info (LAME) and VBRI (Fraunhofer).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from sss_lib.io.pieces import DamageError, Part, Piece, places

_BLOCK = 1 << 16


def parts(file: BinaryIO, begin: int, end: int) -> list[Part]:
    """Sounds of an mp3, in a row: each ends where another's header, or another kind of frame, begins.

    Tags between them are left out. Each gets a header that counts its frames.

    Raises
    ------
    DamageError
        If the last frame isn't whole, there is something else between frames, or both frames and bytes are
        fewer than a header promises.
    """
    runs: list[_Run] = []
    for at, n_bytes, head in _frames(file, begin, end):
        if n_bytes == 0:
            _require_no_loss(runs, file, at, end)
            break
        kind = _kind(head)
        is_count = bool(_count_at(head))
        if not runs or is_count or runs[-1].kind != kind:
            runs.append(_Run(kind, at, head[:n_bytes], is_count))
        if not is_count:
            runs[-1].add(at, at + n_bytes)
    return [run.part(file, end) for run in runs if run.n_frames]


def require_whole_adts(file: BinaryIO, begin: int, end: int) -> None:
    """Raise DamageError if the last frame of an aac isn't whole."""
    at = begin
    while at < end:
        file.seek(at)
        head = file.read(6)
        if not (n_bytes := adts_bytes(head)):
            if len(head) < 6 and head[0] == 255:
                raise DamageError(f"is cut short: {len(head)} bytes of its last frame are there")
            return  # tags may follow
        _require_room(at, n_bytes, end)
        at += n_bytes


@dataclass
class _Run:
    """Frames of one kind that belong together."""

    kind: tuple[int, int, int, bool]
    start: int
    head: bytes
    has_count: bool
    n_frames: int = 0
    pieces: list[Piece] = field(default_factory=list)

    def add(self, start: int, stop: int) -> None:
        self.n_frames += 1
        if self.pieces and self.pieces[-1][1] == start:
            start = self.pieces.pop()[0]
        self.pieces.append((start, stop))

    def promises(self) -> tuple[int, int]:
        """Number of frames and bytes by its header; 0 where it doesn't say."""
        if not self.has_count:
            return 0, 0
        at = _count_at(self.head)
        numbers = [int.from_bytes(self.head[i : i + 4]) for i in range(at, at + 20, 4)]
        if self.head[at : at + 4] == b"VBRI":  # its numbers are at 10 and 14
            n_bytes, n_frames = (int.from_bytes(self.head[at + i : at + i + 4]) for i in (10, 14))
            return n_frames, n_bytes
        has_frames, has_bytes = numbers[1] & 1, numbers[1] & 2
        return numbers[2] * has_frames, numbers[2 + has_frames] * (has_bytes > 0)

    def part(self, file: BinaryIO, end: int) -> Part:
        """Sound with a header that counts its frames as they are."""
        version, layer, _, _ = self.kind
        n_frames, n_bytes = self.promises()
        if n_frames > self.n_frames and n_bytes > end - self.start:
            raise DamageError(f"is cut short: it has {self.n_frames:,} of {n_frames:,} frames")
        if layer != 1:  # no header counts the frames of layer II
            return Part(self.pieces, 1152 * self.n_frames)
        at, count = _count_at(self.head) if self.has_count else 0, self.n_frames.to_bytes(4)
        own = self.head[: at + 8] + count + self.head[at + 12 :]
        checked = (
            own[: at + 154],
            (own[: at + 154] + bytes(2) + own[at + 156 : 190]).ljust(190, b"\0"),
        )  # by LAME, and ffmpeg
        is_lame = at and own[at : at + 4] != b"VBRI" and own[at + 7] & 15 == 15
        if is_lame and own[at + 154 : at + 156] in (_crc16(checked[0]), _crc16(checked[1])):
            # with the right count its checksum is right: it says what the encoder put before and after
            return Part([own, (self.start + len(own), self.start + _mp3_bytes(own)), *self.pieces])
        # a header of ours: with any, 529 samples are left out, and so a frame of silence stands before
        n_frame = 1152 if version == 3 else 576
        head = bytes([255, self.head[1] | 1, 0x90 | self.head[2] & 0b1100, self.head[3]])  # has room for all
        silence = head.ljust(_mp3_bytes(head), b"\0")
        left_out = (n_frame - 529 << 12 | 529).to_bytes(3)  # at the beginning and end
        tag = (
            b"Info" + (1).to_bytes(4) + (self.n_frames + 1).to_bytes(4) + b"LAME3.100" + bytes(12) + left_out
        )
        content = (head + bytes(_side_bytes(head)) + tag).ljust(len(silence), b"\0") + silence
        return Part([content, *self.pieces], n_frame * self.n_frames)


def _frames(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each frame begins, its size and first bytes; size 0 where something else begins."""
    at, is_first = begin, True
    while at < end:
        file.seek(at)
        head = file.read(200)
        if n_bytes := _mp3_bytes(head):
            if at + n_bytes > end:
                _require_room(at, n_bytes, end)
            yield at, n_bytes, head
            at, is_first = at + n_bytes, False
        elif n_bytes := _tag_bytes(head):
            at += n_bytes
        elif end - at < 4 and head[0] == 255:
            raise DamageError(f"is cut short: {end - at} of the 4 bytes of its last frame's header are there")
        else:
            found = _next_frame(file, at, end)
            if found is None:
                yield at, 0, head
                return
            if not is_first:
                raise DamageError(f"is damaged: its bytes {at:,} to {found:,} are no frame of mp3")
            at = found


def _require_room(at: int, n_bytes: int, end: int) -> None:
    if at + n_bytes > end:
        raise DamageError(f"is cut short: its last frame has {end - at:,} of {n_bytes:,} bytes")


def _require_no_loss(runs: "list[_Run]", file: BinaryIO, at: int, end: int) -> None:
    """Raise DamageError if what follows the last frame may have been frames, not just filling."""
    if not runs or 0 < runs[-1].promises()[0] <= runs[-1].n_frames:
        return
    file.seek(at)
    if runs[-1].promises()[0] or file.read(_BLOCK).strip(b"\0"):
        raise DamageError(f"is damaged: its last {end - at:,} bytes, from {at:,}, are no frame of mp3")


def _next_frame(file: BinaryIO, at: int, end: int) -> int | None:
    """Where the next two frames in a row begin."""
    while at < end:
        file.seek(at)
        block = file.read(_BLOCK + 3)
        for i in places(block, b"\xff"):
            n_bytes = _mp3_bytes(block[i : i + 4])
            if n_bytes and at + i + n_bytes + 4 <= end:
                file.seek(at + i + n_bytes)
                if _mp3_bytes(file.read(4)):
                    return at + i
        at += _BLOCK
    return None


def _count_at(head: bytes) -> int:
    """Where in a frame of layer III a header that counts frames begins; 0 if it is sound."""
    if head[1] >> 1 & 3 != 1:
        return 0
    side = 4 + _side_bytes(head)
    for at in (side, side + 2):  # before a checksum was thought of, and after
        if head[at : at + 4] in (b"Xing", b"Info"):
            return at
    return 36 if head[36:40] == b"VBRI" else 0


def _crc16(content: bytes) -> bytes:
    """Checksum of LAME's header: x^16 + x^15 + x^2 + 1, each byte from its lowest bit."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2)


def _side_bytes(head: bytes) -> int:
    is_first, is_mono = head[1] >> 3 & 3 == 3, head[3] >> 6 == 3
    return {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[is_first, is_mono]


def _kind(head: bytes) -> tuple[int, int, int, bool]:
    """Version, layer, rate, and whether it is mono."""
    return head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3, head[3] >> 6 == 3


def _tag_bytes(head: bytes) -> int:
    """Size of a tag between frames, or at the end; 0 if it is none."""
    if head[:3] == b"TAG":
        return 227 if head[:4] == b"TAG+" else 128
    if head[:8] == b"APETAGEX":
        flags, size = int.from_bytes(head[20:24], "little"), int.from_bytes(head[12:16], "little")
        return size + 32 if flags >> 29 & 1 else 32  # a header, before what the size counts; or a footer
    return id3_bytes(head)


def id3_bytes(head: bytes) -> int:
    """Size of the ID3 tag that ten bytes begin; 0 if they are none."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for seven_bits in head[6:10]:
        size = size << 7 | seven_bits & 127  # no byte of a tag has its highest bit: it would look like sound
    return 10 + size + (10 if head[5] & 16 else 0)  # a footer


def adts_bytes(head: bytes) -> int:
    """Size of the frame of aac (ADTS) that six bytes begin; 0 if they are no header of one."""
    # 12 ones, a bit for MPEG 2 or 4, layer 00; the 13 bits of the size lie across bytes 3 to 5.
    if len(head) > 5 and head[0] == 255 and head[1] & 0b11110110 == 0b11110000:
        return int.from_bytes(head[3:6]) >> 5 & 0x1FFF
    return 0


def _mp3_bytes(head: bytes) -> int:
    """Size of the frame of MPEG layer II or III that four bytes begin; 0 if they are no such header.

    Examples
    --------
    >>> _mp3_bytes(bytes([0xFF, 0xFB, 0x90, 0x00]))  # 128 kbit/s at 44.1 kHz: 144 * 128000 / 44100
    417
    """
    # 11 ones, version (2 bits), layer (2), protection (1); bitrate (4), rate (2), padding (1), private (1).
    if len(head) < 4 or head[0] != 255 or head[1] < 0b11100000:
        return 0
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer not in _KBITS_1 or bitrate in (0, 15) or rate == 3:
        return 0
    first = version == 3  # MPEG 1, not 2 or 2.5
    kbits = _KBITS_1[layer][bitrate] if first else _KBITS_2[bitrate]
    rate_hz = (44100, 48000, 32000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    # A frame has 1152 samples, or 576 in layer III of MPEG 2, and 1152 / 8 bits = 144 bytes * bit/s / Hz.
    return (144_000 if first or layer == 2 else 72_000) * kbits // rate_hz + (head[2] >> 1 & 1)


_KBITS_1 = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
}
"""By the sign of the layer: 1 is of layer III, 2 of layer II."""
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
