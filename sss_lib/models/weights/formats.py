"""Formats of files of weights: is a file whole, and of the format that its suffix names?"""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TEXTS = {
    b"<": "a web page",
    b"{": "a message in JSON",
    b"version https://git-lfs": "a pointer of git-lfs",
}
"""Other files that servers send in place of weights, by their beginnings."""


def flaw(path: Path, name: str) -> str:
    """Why a file can't be weights, in words: "" if it can.

    Parameters
    ----------
    path : Path
    name : str
        Its final name, whose suffix gives the format.

    Examples
    --------
    >>> flaw(Path(os.devnull), "x.pt")
    'is empty'
    """
    with path.open("rb") as file:
        n_bytes = file.seek(0, os.SEEK_END)
        if not n_bytes:
            return "is empty"
        file.seek(0)
        head = file.read(64).lstrip()
        file.seek(0)
        what, is_whole = FORMATS.get(Path(name).suffix, ("weights", None))
        if is_whole and is_whole(file, n_bytes):
            return ""
        for beginning, text in TEXTS.items():
            if head.startswith(beginning):
                return f"is {text}"
        return f"is no {what}, or not a whole one" if is_whole else ""


def _is_graph(file: BinaryIO, n_bytes: int) -> bool:
    """Whether the fields of a GraphDef follow each other up to the end: nodes, library, versions."""
    while file.tell() < n_bytes:
        key = _varint(file)
        if key == 0x18:  # its version, a number
            _varint(file)
        elif key in (0x0A, 0x12, 0x22, 0x2A):
            size = _varint(file)
            if size > n_bytes - file.tell():
                return False
            file.seek(size, os.SEEK_CUR)
        else:
            return False
    return True


def _varint(file: BinaryIO) -> int:
    """Integer of a protocol buffer: seven bits a byte, the lowest first, up to a byte below 128."""
    value = 0
    for shift in range(0, 70, 7):
        byte = int.from_bytes(file.read(1), "little")
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value


def _is_pytorch(file: BinaryIO, n_bytes: int) -> bool:
    """Whether it is a zip archive with its directory, or begins like a pickle, as PyTorch's older files."""
    return zipfile.is_zipfile(file) or (file.seek(0) == 0 and file.read(1) == b"\x80")


def _is_safetensors(file: BinaryIO, n_bytes: int) -> bool:
    """Whether the header can be read, and the tensors that it lists end where the file ends."""
    n_header = int.from_bytes(file.read(8), "little")
    if n_header > n_bytes - 8:
        return False
    try:
        header = json.loads(file.read(n_header))
        ends = [about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"]
    except (ValueError, AttributeError, LookupError, TypeError):
        return False
    return 8 + n_header + max(ends, default=0) == n_bytes


def _is_tokenizer(file: BinaryIO, n_bytes: int) -> bool:
    """Whether it is what the library tokenizers saves: JSON with a model and the tokens added to it."""
    try:
        content = json.load(file)
    except ValueError:
        return False
    return isinstance(content, dict) and {"model", "added_tokens"} <= content.keys()


FORMATS: dict[str, tuple[str, Callable[[BinaryIO, int], bool]]] = {
    ".pb": ("frozen graph", _is_graph),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), ("PyTorch file", _is_pytorch)),
    ".safetensors": ("safetensors file", _is_safetensors),
    ".json": ("tokenizer", _is_tokenizer),
}
"""By suffix, the name of a format and the check that a file is a whole one."""
