"""Audio files by their own headers: is the end of one missing? Decoders read on without a word.

No library asks this. The formats: RIFF (wav), RF64 and W64 (EBU Tech 3306, Sony), AIFF and CAF (Apple), au
(Sun), Ogg (RFC 3533), ID3v2, MPEG audio frames (ISO 11172-3) and ADTS (ISO 13818-7).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

UNKNOWN_SIZES = (0, 2**32 - 1)
"""What the header of a file holds that was written as a stream."""


def is_cut_short(path: str | Path) -> bool:
    """Whether the end of a file is missing, as far as its format tells.

    wav (also RF64 and W64), aiff, au and caf tell the size of their sound, Ogg marks its last page, and mp3
    and aac are chains of frames of known length: cut between two of these they can't be told from whole ones.
    """
    n_bytes = Path(path).stat().st_size
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:4] == b"OggS":
            return not _has_last_page(file, n_bytes)
        if head[:3] == b"ID3" or _frame_bytes(head):
            return _has_broken_frame(file, n_bytes)
        return _n_promised_bytes(head, file) > n_bytes


def n_streams(path: str | Path) -> int:
    """How many streams follow one another in a file of Ogg, of which decoders read the first; 1 in any other.

    Streams that begin together, such as sound and text, count as one.
    """
    # RFC 3533: a page has a header of 27 bytes, then a table with the length of each of its segments. Byte 5
    # holds flags (2: first page of a stream), byte 26 the number of segments.
    n, in_head, at = 0, False, 0
    with open(path, "rb") as file:
        while True:
            file.seek(at)
            page = file.read(27 + 255)
            if page[:4] != b"OggS" or len(page) < 27:
                return max(n, 1)
            begins = bool(page[5] & 2)
            n += begins and not in_head
            in_head = begins
            at += 27 + page[26] + sum(page[27 : 27 + page[26]])


def counts_frames(path: str | Path) -> bool:
    """Whether an mp3 has a header that counts its frames; without one its length is an estimate."""
    with open(path, "rb") as file:
        file.seek(_id3_bytes(file.read(10)))
        head = file.read(4096)
    return b"Xing" in head or b"Info" in head


def is_w64_of_other_than_integers(path: str | Path) -> bool:
    """Whether a W64 says that its samples are floats (or such) where only newer programs look for it.

    WAVE_FORMAT_EXTENSIBLE is the kind of sample in the first chunk; the true one begins 24 bytes later.
    """
    with open(path, "rb") as file:
        head = file.read(40 + 24 + 26)
    kind, true_kind = head[64:66], head[88:90]
    return head[40:44] == b"fmt " and kind == b"\xfe\xff" and true_kind != b"\x01\x00"


@dataclass(frozen=True)
class _Chunks:
    """How the chunks of a format follow one another: each has a name, its size and its content."""

    start: int
    n_name: int = 4
    n_size: int = 4
    byte_order: Literal["big", "little"] = "little"
    alignment: int = 2
    counts_itself: bool = False  # the size is also that of name and size


_FORMATS = {
    b"RIFF": _Chunks(12),
    b"RIFX": _Chunks(12, byte_order="big"),
    b"RF64": _Chunks(12),
    b"FORM": _Chunks(12, byte_order="big"),
    b"riff": _Chunks(40, n_name=16, n_size=8, alignment=8, counts_itself=True),  # W64
    b"caff": _Chunks(8, n_size=8, byte_order="big", alignment=1),
}


def _n_promised_bytes(head: bytes, file: BinaryIO) -> int:
    """Size of a file, at least up to the end of its sound, by its own headers; 0 if they don't say."""
    kind = head[:4]
    if kind == b".snd":
        offset, size = (int.from_bytes(head[i : i + 4], "big") for i in (4, 8))
        return 0 if size in UNKNOWN_SIZES else offset + size
    if kind not in _FORMATS:
        return 0
    if kind == b"RF64":  # sizes beyond 32 bits are in its first chunk, "ds64"; those in place are all ones
        whole, sound = (int.from_bytes(head[i : i + 8], "little") for i in (20, 28))
        return _end_of_sound(file, _FORMATS[kind], sound) or whole + 8
    if end := _end_of_sound(file, _FORMATS[kind]):
        return end
    size = int.from_bytes(head[4:8], _FORMATS[kind].byte_order)
    return size + 8 if kind in (b"RIFF", b"RIFX", b"FORM") and size not in UNKNOWN_SIZES else 0


def _end_of_sound(file: BinaryIO, chunks: _Chunks, large: int = 0) -> int:
    """Where the chunk with the samples ends, by its own size, or by `large` if that doesn't fit in there.

    It is 0 if there is no such chunk, or none that says. What follows it may be missing, such as the byte
    that makes its length even: no sample is.
    """
    at, n_bytes = chunks.start, os.fstat(file.fileno()).st_size
    while at < n_bytes:
        file.seek(at)
        header = file.read(chunks.n_name + chunks.n_size)
        if len(header) < chunks.n_name + chunks.n_size:
            return 0
        size = int.from_bytes(header[chunks.n_name :], chunks.byte_order)
        begin = at if chunks.counts_itself else at + len(header)
        if header[:4] in (b"data", b"SSND"):
            unknown = size in UNKNOWN_SIZES or size == 2**64 - 1
            return begin + large if unknown and large else 0 if unknown else begin + size
        at = max(begin + size, at + len(header))
        at += -at % chunks.alignment
    return 0


def _has_last_page(file: BinaryIO, n_bytes: int) -> bool:
    """Whether Ogg's last page is whole and marked as the last."""
    file.seek(max(0, n_bytes - 65536 - 282))  # no page is longer
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    n_segments = page[26] if len(page) > 26 else 256
    n_page = 27 + n_segments + sum(page[27 : 27 + n_segments])
    return n_page <= len(page) and bool(page[5] & 4)  # flag 4: last page of a stream


def _has_broken_frame(file: BinaryIO, n_bytes: int) -> bool:
    """Whether the last frame of an mp3 or aac isn't whole."""
    file.seek(0)
    at = _id3_bytes(file.read(10))
    while at < n_bytes:
        file.seek(at)
        n_frame = _frame_bytes(head := file.read(6))
        if not n_frame:  # tags may follow
            return len(head) < 6 and head[0] == 255  # or a header that is cut itself
        at += n_frame
    return at > n_bytes


def _id3_bytes(head: bytes) -> int:
    """Size of the tag that an mp3 or aac begins with."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for seven_bits in head[6:10]:
        size = size << 7 | seven_bits & 127  # no byte of a tag has its highest bit: it would look like sound
    return 10 + size + (10 if head[5] & 16 else 0)  # a footer


def _frame_bytes(header: bytes) -> int:
    """Size of the frame of mp3 or aac (ADTS) that a header of six bytes begins; 0 if it is no such header."""
    # ADTS: 12 ones, a bit for MPEG 2 or 4, layer 00; the 13 bits of the size lie across bytes 3 to 5.
    if len(header) > 5 and header[0] == 255 and header[1] & 0b11110110 == 0b11110000:
        return int.from_bytes(header[3:6]) >> 5 & 0x1FFF
    return _mp3_frame_bytes(header)


def _mp3_frame_bytes(header: bytes) -> int:
    """Size of the frame of MPEG layer II or III that four bytes begin; 0 if they are no such header.

    Examples
    --------
    >>> _mp3_frame_bytes(bytes([0xFF, 0xFB, 0x90, 0x00]))  # 128 kbit/s at 44.1 kHz: 144 * 128000 / 44100
    417
    """
    # 11 ones, version (2 bits), layer (2), protection (1); bitrate (4), rate (2), padding (1), private (1).
    if len(header) < 4 or header[0] != 255 or header[1] < 0b11100000:
        return 0
    version, layer, bitrate, rate = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer not in _KBITS_1 or bitrate in (0, 15) or rate == 3:
        return 0
    first = version == 3  # MPEG 1, not 2 or 2.5
    kbits = _KBITS_1[layer][bitrate] if first else _KBITS_2[bitrate]
    rate_hz = (44100, 48000, 32000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    # A frame has 1152 samples, or 576 in layer III of MPEG 2, and 1152 / 8 bits = 144 bytes * bit/s / Hz.
    return (144_000 if first or layer == 2 else 72_000) * kbits // rate_hz + (header[2] >> 1 & 1)


_KBITS_1 = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
}
"""By the sign of the layer: 1 is of layer III, 2 of layer II."""
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
