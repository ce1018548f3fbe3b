"""Judgements of listeners, in a file that each is appended to at once."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

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
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

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
        text = json.dumps({**line, "judge": judge.strip(), "kind": kind, **about}, ensure_ascii=False) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One unbuffered write in append mode, so that lines of several judges stay apart. A line that a
        # crash has torn is ended by a line break before the new one.
        with open(self.path, "a+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                text = text if file.read(1) == b"\n" else "\n" + text
            file.write(text.encode())
            os.fsync(file.fileno())

    def _kept(self) -> list[dict]:
        """Complete lines that were not undone, oldest first."""
        lines = []
        if self.path.is_file():
            for text in self.path.read_text(encoding="utf-8", errors="replace").split("\n"):
                try:
                    line = json.loads(text)
                    needed = ("id", "judge", "of" if line["kind"] == "undo" else "query")
                    lines.append({**line, **{name: line[name] for name in needed}})
                except (ValueError, KeyError, TypeError):  # torn by a crash, or edited by hand
                    continue
        undone = {line["of"] for line in lines if line["kind"] == "undo"}
        return [line for line in lines if line["kind"] != "undo" and line["id"] not in undone]
