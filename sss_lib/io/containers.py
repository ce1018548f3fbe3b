"""Audio files by their content: the sounds in them, under headers that agree with it.

Decoders believe any header. The formats: RIFF (wav), RF64, BW64, W64 (EBU Tech 3306, ITU-R BS.2088, Sony),
AIFF, CAF (Apple), au (Sun) and MP4 (ISO 14496-12); the others have files of their own: `mpeg`, `flac`, `ogg`.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from sss_lib.io import flac, mpeg, ogg
from sss_lib.io.pieces import DamageError, Part


def parts(file: BinaryIO) -> list[Part]:
    """Sounds of a file, in a row; none if its format isn't among those above, or only ffmpeg reads it.

    Raises
    ------
    DamageError
        If its end is missing or, as far as its format tells, a part between.
    """
    end = os.fstat(file.fileno()).st_size
    begin = mpeg.id3_bytes(file.read(10))
    file.seek(begin)
    head = file.read(64)
    if begin and begin >= end:
        raise DamageError(f"is cut short: it has {end:,} bytes, and its first tag alone {begin:,}")
    if head[:4] == b"OggS":
        return ogg.parts(file, begin, end)
    if head[:4] == b"fLaC":
        return flac.parts(file, begin, end)
    if mpeg.adts_bytes(head):
        mpeg.require_whole_adts(file, begin, end)
    elif head[4:8] == b"ftyp":
        _require_whole_boxes(file, end)
    elif head[:1] == b"\xff" or begin:
        return mpeg.parts(file, begin, end)
    else:
        return _chunked(file, end)
    return []


@dataclass(frozen=True)
class _Format:
    """How the chunks of a format follow one another: each has a name, its size and its content."""

    start: int
    n_name: int = 4
    n_size: int = 4
    byte_order: Literal["big", "little"] = "little"
    alignment: int = 2
    counts_itself: bool = False  # the size is also that of name and size


_FORMATS = {
    b"RIFF": _Format(12),
    b"RIFX": _Format(12, byte_order="big"),
    b"RF64": _Format(12),
    b"BW64": _Format(12),
    b"FORM": _Format(12, byte_order="big"),
    b"riff": _Format(40, n_name=16, n_size=8, alignment=8, counts_itself=True),  # W64
    b"caff": _Format(8, n_size=8, byte_order="big", alignment=1),
    b".snd": _Format(0, byte_order="big", alignment=1),
}
_NEAR = 1 << 12
"""Sizes so near to 2^31 and 2^32 are made up by programs that write into a pipe."""
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
_BOXES = set(b"ftyp moov mdat free skip wide uuid moof mfra sidx styp meta udta pnot".split())
_BLOCK, _MAX_TABLES = 1 << 16, 1 << 26


class _Chunk(NamedTuple):
    name: bytes
    at: int
    begin: int
    end: int


def _chunked(file: BinaryIO, end: int) -> list[Part]:
    """Sounds of a file of chunks, and of others of its kind behind it."""
    found: list[Part] = []
    magic, at = _read(file, 0, 4), 0
    while magic in _FORMATS:
        chunks = list(_au(file, at, end) if magic == b".snd" else _chunks(file, magic, at, end))
        inside = {chunk.name: chunk for chunk in reversed(chunks)}
        make = {b"FORM": _aiff, b"caff": _caf, b".snd": _caf}.get(magic, _wav)
        found += make(file, at, inside) if {b"data", b"SSND"} & set(inside) else []
        behind = chunks[-1].end if chunks else end
        padded = behind + (at - behind) % _FORMATS[magic].alignment
        starts = [start for start in (behind, padded) if _read(file, start, 4) == magic]
        if not starts:
            break
        at = starts[0]
    return found


def _chunks(file: BinaryIO, magic: bytes, start: int, end: int) -> Iterator[_Chunk]:
    """Yield the chunks of one sound, that of its samples as long as it is."""
    form, at, large, is_found = _FORMATS[magic], start + _FORMATS[magic].start, 0, False
    outer = start + 8 + int.from_bytes(_read(file, start + 4, 4), form.byte_order)
    n_head = form.n_name + form.n_size
    while at + n_head <= end and (head := _read(file, at, n_head))[:4] != magic:
        name, begin = head[:4], at + n_head
        size = int.from_bytes(head[form.n_name :], form.byte_order) - n_head * form.counts_itself
        if name == b"ds64":  # sizes beyond 32 bits
            whole, large = (int.from_bytes(_read(file, begin + i, 8), "little") for i in (0, 8))
            outer = start + 8 + whole
        if name in (b"data", b"SSND"):
            size = large if large and size == 2**32 - 1 else size
            outer = begin + size if form.n_size == 8 else outer
            stop = _end_of_sound(file, form, begin, size, outer, end)
            is_found = True
        else:
            stop = min(begin + max(size, 0), end)
            if begin + size > end and not is_found:
                raise DamageError(f"is cut short: it has {end:,} of {begin + size:,} bytes")
        yield _Chunk(name, at, begin, stop)
        padded = stop + (start - stop) % form.alignment
        at = stop if not _is_chunk(file, form, padded, end) and _is_chunk(file, form, stop, end) else padded


def _end_of_sound(file: BinaryIO, form: _Format, begin: int, size: int, outer: int, end: int) -> int:
    """Where the samples end: by their size, unless it is made up or others follow that are nothing else."""
    stop = begin + size
    is_made_up = size <= 0 or size >= 2**62 or any(abs(size - n) <= _NEAR for n in (2**31, 2**32))
    if stop > end and not is_made_up:
        raise DamageError(f"is cut short: it has {end:,} of {stop:,} bytes")
    if not begin <= stop <= end:
        return end
    padded = stop + -stop % form.alignment
    if end - stop < 8 or any(_is_chunk(file, form, at, end) for at in (stop, padded)):
        return stop
    is_agreed = outer in (stop, padded) and end - stop < size // 8
    is_tag = _read(file, stop, 16).startswith(_TAGS) or _read(file, padded, 16).startswith(_TAGS)
    return stop if not is_made_up and (is_agreed or is_tag or _is_zero(file, stop, end)) else end


def _is_chunk(file: BinaryIO, form: _Format, at: int, end: int) -> bool:
    head = _read(file, at, form.n_name + form.n_size)
    size = int.from_bytes(head[form.n_name :], form.byte_order)
    is_name = len(head) == form.n_name + form.n_size and all(32 <= byte < 127 for byte in head[:4])
    return is_name and (head[:4] in _FORMATS or size <= end - at)


def _wav(file: BinaryIO, start: int, chunks: dict[bytes, _Chunk]) -> list[Part]:
    """Sound of any kind of RIFF, as a wav of two chunks."""
    if b"fmt " not in chunks or b"data" not in chunks:
        return []
    magic, (_, _, begin, end) = _read(file, start, 4), chunks[b"data"]
    order: Literal["big", "little"] = _FORMATS[magic].byte_order
    form = _read(file, chunks[b"fmt "].begin, min(1000, chunks[b"fmt "].end - chunks[b"fmt "].begin))
    if int.from_bytes(form[:2], order) in (0x50, 0x55):  # mp3 within
        return mpeg.parts(file, begin, end)
    form += bytes(len(form) % 2)
    content, n = b"WAVEfmt " + len(form).to_bytes(4, order) + form + b"data", end - begin
    n_all = len(content) + 4 + n
    if n_all < 2**32:
        head = (b"RIFX" if order == "big" else b"RIFF") + n_all.to_bytes(4, order)
        return [Part([head + content + n.to_bytes(4, order), (begin, end)])]
    sizes = b"".join(size.to_bytes(8, "little") for size in (n_all + 36, n, 0))
    large = b"RF64" + b"\xff" * 4 + b"WAVEds64" + (28).to_bytes(4, "little") + sizes + bytes(4)
    return [Part([large + content[4:] + b"\xff" * 4, (begin, end)])]


def _aiff(file: BinaryIO, start: int, chunks: dict[bytes, _Chunk]) -> list[Part]:
    """Sound of an AIFF, whose samples are counted in one chunk and lie in another."""
    kind = _read(file, start + 8, 4)
    if b"COMM" not in chunks or b"SSND" not in chunks or kind not in (b"AIFF", b"AIFC"):
        return []
    _, _, begin, end = chunks[b"SSND"]
    form = _read(file, chunks[b"COMM"].begin, min(1000, chunks[b"COMM"].end - chunks[b"COMM"].begin))
    n_channels, n_bits, codec = int.from_bytes(form[:2]), int.from_bytes(form[6:8]), form[18:22].lower()
    if codec in (b"", b"none", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"fl64"):
        n_bits = {b"fl32": 32, b"fl64": 64}.get(codec, n_bits)
        n_frame = n_channels * -(-n_bits // 8)
    else:
        n_frame = n_channels * (codec in (b"ulaw", b"alaw"))
    if n_frame:
        late, n_told = int.from_bytes(_read(file, begin, 4)), int.from_bytes(form[2:6])
        n_frames = (end - begin - 8 - late) // n_frame
        if late and n_frames < n_told:
            raise DamageError(f"has no {n_told:,} frames {late:,} bytes from where its samples begin")
        form = form[:2] + max(0, n_frames).to_bytes(8)[-4:] + form[6:]
    form += bytes(len(form) % 2)
    content = kind + b"COMM" + len(form).to_bytes(4) + form + b"SSND" + (end - begin).to_bytes(8)[-4:]
    n_all = (len(content) + end - begin).to_bytes(8)[-4:]
    return [Part([b"FORM" + n_all + content, (begin, end)])]


def _caf(file: BinaryIO, start: int, chunks: dict[bytes, _Chunk]) -> list[Part]:
    """Sound of a CAF or au, with the size that it has."""
    _, at, begin, end = chunks[b"data"]
    if _read(file, start, 4) == b".snd":
        size = min(end - begin, 2**32 - 1).to_bytes(4)
        return [Part([(start, start + 8), size, (start + 12, end)])]
    behind = max(chunk.end for chunk in chunks.values())
    return [Part([(start, at + 4), (end - begin).to_bytes(8), (begin, behind)])]


def _au(file: BinaryIO, start: int, end: int) -> Iterator[_Chunk]:
    """Yield the samples of an au as its chunk: its header tells where they begin, and their size."""
    begin, size = (int.from_bytes(_read(file, start + i, 4)) for i in (4, 8))
    if begin >= 24 and start + begin <= end:
        begin += start
        stop = _end_of_sound(file, _FORMATS[b".snd"], begin, size, begin + size, end)
        yield _Chunk(b"data", start, begin, stop)


def _require_whole_boxes(file: BinaryIO, end: int) -> None:
    """Raise DamageError if the last box of an MP4 isn't whole, or it holds two films."""
    at, n = 0, 0
    while at < end:
        head = _read(file, at, 16)
        size = int.from_bytes(head[:4])
        size = int.from_bytes(head[8:]) if size == 1 else size or end - at
        if len(head) >= 8 and head[4:8] not in _BOXES:
            break  # tags of other formats may follow
        if len(head) < 8 or at + size > end:
            raise DamageError(f"is cut short: it has {end:,} of {at + max(size, 8):,} bytes")
        n += head[4:8] == b"moov"
        if head[4:8] == b"moov":
            _require_times(_read(file, at + 8, min(size, _MAX_TABLES)))
        at += max(size, 8)
    if n > 1:
        raise DamageError(f"holds {n} sounds in a row, and only the first would be heard", "split it")


def _require_times(moov: bytes) -> None:
    """Raise DamageError if the times of a film's frames don't sum up to what it says that they do."""
    for trak in _boxes(moov, b"trak"):
        told = [
            int.from_bytes(box[24:32] if box[0] else box[16:20]) for box in _boxes(trak, b"mdia", b"mdhd")
        ]
        for table in _boxes(trak, b"mdia", b"minf", b"stbl", b"stts"):
            pairs = list(struct.iter_unpack(">II", table[8:][: len(table[8:]) // 8 * 8]))
            n = sum(count * size for count, size in pairs)
            if n and told and abs(n - told[0]) > 2 * min(size for _, size in pairs):
                raise DamageError(f"is damaged: its frames last {n:,} units of time, not {told[0]:,}")


def _boxes(content: bytes, name: bytes, *inner: bytes) -> Iterator[bytes]:
    """Yield what is in the boxes of a name, or in those of other names within."""
    at = 0
    while at + 8 <= len(content):
        size = max(8, int.from_bytes(content[at : at + 4]))
        if content[at + 4 : at + 8] == name:
            body = content[at + 8 : at + size].ljust(32, b"\0")
            yield from _boxes(body, *inner) if inner else [body]
        at += size


def _is_zero(file: BinaryIO, at: int, end: int) -> bool:
    return not any(_read(file, i, min(_BLOCK, end - i)).strip(b"\0") for i in range(at, end, _BLOCK))


def _read(file: BinaryIO, at: int, n_bytes: int) -> bytes:
    file.seek(at)
    return file.read(n_bytes)
