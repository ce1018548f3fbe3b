"""flac by its frames, which are numbered: the last one tells how long the sound is (RFC 9639)."""

from typing import BinaryIO

from sss_lib.io.pieces import DamageError, Part, places

_START = b"fLaC"
_INFO = bytes([0, 0, 0, 34])
_SIZES = {1: 192, **{i: 576 << i - 2 for i in range(2, 6)}, **{i: 256 << i - 8 for i in range(8, 16)}}
_BLOCK = 1 << 18


def parts(file: BinaryIO, begin: int, end: int) -> list[Part]:
    """Sounds of a flac, in a row, each with the number of samples that it has.

    Raises
    ------
    DamageError
        If there are fewer samples than its header promises, and no checksum tells that these are all.
    """
    starts = [begin]
    for pattern in (_START + _INFO, _START + bytes([128]) + _INFO[1:]):
        starts += _find(file, pattern, begin + 4, end)
    starts.sort()
    return [_part(file, start, stop) for start, stop in zip(starts, [*starts[1:], end], strict=True)]


def _part(file: BinaryIO, begin: int, end: int) -> Part:
    at, is_last = begin + 4, False
    while not is_last and at + 4 <= end:
        file.seek(at)
        head = file.read(4)
        is_last = bool(head[0] & 128)
        at += 4 + int.from_bytes(head[1:])
    file.seek(begin + 8)
    info = file.read(34)
    file.seek(max(begin, end - 128))
    if file.read(3) == b"TAG":  # ID3v1
        end -= 128
    n_told, n_block = int.from_bytes(info[13:18]) & (1 << 36) - 1, int.from_bytes(info[:2])
    n_found = _n_samples(file, at, end, n_block) if is_last and at < end else 0
    if not n_found or n_found == n_told:
        return Part([(begin, end)], n_told)  # what is wrong, libFLAC says
    md5 = info[18:] if n_found < n_told else b""
    if n_found < n_told and not any(md5):
        raise DamageError(f"is cut short: it has {n_found:,} of {n_told:,} samples")
    numbers = (int.from_bytes(info[13:18]) - n_told + n_found).to_bytes(5)
    return Part([(begin, begin + 8 + 13), numbers, (begin + 8 + 18, end)], n_found, n_told, md5)


def _n_samples(file: BinaryIO, at: int, end: int, n_block: int) -> int:
    """How many samples there are up to the end of the last frame; 0 if none is found."""
    file.seek(at)
    first = file.read(16).ljust(16, b"\0")
    if not _frame(first, n_block):
        return 0
    window = _BLOCK
    while True:
        start = max(at, end - window)
        file.seek(start)
        content = file.read(end - start)
        i = content.rfind(first[:2])
        while i >= 0:
            head = content[i : i + 16].ljust(16, b"\0")  # the last frame may be shorter
            is_kin = not ((head[2] ^ first[2]) | (head[3] ^ first[3])) & 15
            if is_kin and (n_samples := _frame(head, n_block)):
                return n_samples
            i = content.rfind(first[:2], 0, i + 1)
        if start == at:
            return 0
        window *= 4


def _frame(head: bytes, n_block: int) -> int:
    """Samples of a sound up to the end of the frame with this header; 0 if it is no header."""
    if head[0] != 255 or head[1] & 0b11111110 != 0b11111000:
        return 0
    # its number, or that of its first sample, is written as UTF-8 writes characters, but of up to 36 bits
    n_more = 0
    while n_more < 7 and head[4] << n_more & 128:
        n_more += 1
    if n_more == 1 or n_more > 7:
        return 0
    n_bytes = max(1, n_more)
    number = head[4] & (0x7F if not n_more else 0x7F >> n_more)
    for byte in head[5 : 4 + n_bytes]:
        number = number << 6 | byte & 63
    at, code = 4 + n_bytes, head[2] >> 4
    if code in (6, 7):
        size = int.from_bytes(head[at : at + code - 5]) + 1
        at += code - 5
    else:
        size = _SIZES.get(code, 0)
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not size or at >= len(head) or _crc8(head[:at]) != head[at]:
        return 0
    return (number if head[1] & 1 else number * n_block) + size


def _crc8(content: bytes) -> int:
    """Checksum of a frame's header: the polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 128 else 0)
    return crc


def _find(file: BinaryIO, pattern: bytes, at: int, end: int) -> list[int]:
    """Everywhere that a pattern begins."""
    found = []
    while at < end:
        file.seek(at)
        found += [at + i for i in places(file.read(_BLOCK + len(pattern) - 1), pattern)]
        at += _BLOCK
    return found
