"""Judgements of listeners, in a file that each is appended to at once."""

import contextlib
import errno
import json
import os
import sys
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pandas as pd

from sss_lib.io.writing import full_disk, is_full, locked

GRADES = (0, 1, 2, 3)
"""From 0 for nothing in common to 3 for the same meaning."""
COLUMNS = ("id", "at", "judge", "kind", "query", "clip", "grade", "systems", "preferred", "n")


class Judgements:
    """A file of judgements, one line of JSON each. Lines are only appended: an undo is a line too.

    A line has id, at, judge, kind, query; kind "grade" adds clip and grade; kind "preference" adds systems,
    preferred ("" for neither) and n, the length of the lists; kind "undo" has `of`, the id that it undoes.

    Parameters
    ----------
    path : str or Path
        The first judgement creates it.

    Attributes
    ----------
    damaged : list of int
        Numbers of the lines, from 1, that were left out when it was last read; they are also printed.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.damaged: list[int] = []

    def grade(self, judge: str, query: str, clip: str, grade: object) -> None:
        """Append the grade of a clip as a result of a query.

        Raises
        ------
        ValueError
            If the grade isn't 0, 1, 2 or 3.
        """
        if type(grade) is not int or grade not in GRADES:
            raise ValueError(f"grade {grade!r} is unknown: use {', '.join(map(str, GRADES))}")
        self._append("grade", judge, query=query, clip=clip, grade=grade)

    def prefer(self, judge: str, query: str, systems: Sequence[str], preferred: str, n: int) -> None:
        """Append which of two systems' first n results a judge prefers for a query; "" for neither."""
        if preferred and preferred not in systems:
            raise ValueError(f"{preferred!r} is not one of the two systems {', '.join(systems)}")
        about = {"systems": sorted(systems), "preferred": preferred, "n": n}
        self._append("preference", judge, query=query, **about)

    def undo(self, judge: str, kind: str) -> dict | None:
        """Undo the judge's latest judgement of a kind; return it, or None if there is none."""
        own = [line for line in self._kept() if (line["judge"], line["kind"]) == (judge, kind)]
        if not own:
            return None
        self._append("undo", judge, of=own[-1]["id"])
        return own[-1]

    def read(self) -> pd.DataFrame:
        """Judgements in force: not undone, and the latest of those on the same matter."""
        latest: dict[tuple, Mapping] = {}
        for line in self._kept():
            systems = tuple(line.get("systems", ()))
            matter = line["judge"], line["kind"], line["query"], line.get("clip"), systems, line.get("n")
            latest[matter] = line
        rows = [{name: line.get(name) for name in COLUMNS} for line in latest.values()]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _append(self, kind: str, judge: str, **about: object) -> None:
        if not judge.strip():
            raise ValueError("a judgement needs a judge: give your name first")
        line = {"id": uuid.uuid4().hex, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        append(self.path, {**line, "judge": judge.strip(), "kind": kind, **about})

    def _kept(self) -> list[dict]:
        """Complete lines that were not undone, oldest first."""
        lines, damaged = intact_lines(self.path, _checked)
        if damaged != self.damaged:
            self.damaged = damaged
            print_damaged(self.path, damaged, "judgements")
        undone = {line["of"] for line in lines if line["kind"] == "undo"}
        return [line for line in lines if line["kind"] != "undo" and line["id"] not in undone]


def append(path: Path, line: dict) -> None:
    """Append a sealed line to a file, on the disk and as a whole. Raises OSError if it can't be kept."""
    text = _sealed(line)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Locked, so that what is cut off after a failure is no line of another judge.
        with locked(path), open(path, "a+b", buffering=0) as file:
            _write_whole(file, text)
    except OSError as error:
        error = full_disk(path, len(text), error) if is_full(error) else error
        raise OSError(
            f"the judgement is not kept, as {path.name} can't be written "
            f"({error.strerror or error}): mend that, and judge again"
        ) from None


def intact_lines(path: Path, checked: Callable[[bytes], dict]) -> tuple[list[dict], list[int]]:
    """Lines of a file that pass a check, and the numbers of the others, from 1."""
    lines, damaged = [], []
    texts = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, text in enumerate(texts, 1):
        if text.strip():
            try:
                lines.append(checked(text))
            except (ValueError, KeyError, TypeError, RecursionError):  # torn by a crash, or edited by hand
                damaged.append(number)
    return lines, damaged


def print_damaged(path: Path, damaged: Sequence[int], what: str) -> None:
    """Print which lines of a file are not what it should have."""
    shown = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
    print(f"{path} has {len(damaged)} lines that are no {what}: {shown}", file=sys.stderr)


_SUM = b', "sum": "%08x"}'


def _sealed(line: dict) -> bytes:
    """Line of the file: JSON that ends with the CRC-32 of itself without it."""
    text = json.dumps(line, ensure_ascii=False).encode()
    return text[:-1] + _SUM % zlib.crc32(text) + b"\n"


def _write_whole(file: IO[bytes], text: bytes) -> None:
    """Append a line to an unbuffered file, on the disk and as a whole, or leave the file as it was."""
    end = file.seek(0, os.SEEK_END)
    if end:  # a line that a crash has torn is ended before the new one
        file.seek(-1, os.SEEK_END)
        text = text if file.read(1) == b"\n" else b"\n" + text
    try:
        if file.write(text) != len(text):  # the disk has room for a part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(end)
        raise


def unsealed(text: bytes) -> dict:
    """Content of a line. Raises ValueError if it has changed since it was sealed, or isn't JSON."""
    line = dict(json.loads(text))
    sealed = _sealed({key: value for key, value in line.items() if key != "sum"})  # half a sign can't be
    if "sum" in line and text.strip() != sealed.strip():
        raise ValueError("the line has changed since it was written")
    return line


def _checked(text: bytes) -> dict:
    """Line of the file, if it is one that `Judgements` could have written.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it isn't.
    """
    line = unsealed(text)
    kind, texts = line["kind"], ["id", "judge"]
    texts += {"undo": ["of"], "grade": ["query", "clip"], "preference": ["query", "preferred"]}[kind]
    is_right = all(type(line[name]) is str for name in texts)
    if kind == "grade":
        is_right &= type(line["grade"]) is int and line["grade"] in GRADES
    if kind == "preference":
        systems = line["systems"]
        is_right &= type(line["n"]) is int and line["n"] > 0
        is_right &= type(systems) is list and len(systems) == 2 == len(set(systems))
        is_right &= line["preferred"] in ("", *systems) and all(type(one) is str for one in systems)
    if not is_right:
        raise ValueError(f"{line} is no judgement")
    return line
