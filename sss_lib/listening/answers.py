"""Answers of a listening study: an append-only file that begins with the study itself, and tables of it."""

import csv
import hashlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sss_lib.io.csv_text import csv_text
from sss_lib.io.names import require_known
from sss_lib.listening.judgements import append, intact_lines, print_damaged, unsealed
from sss_lib.listening.study_file import GRADE, PREFER, StudyFile, of_dict

KINDS = ("study", "begin", "answer", "withdraw")
COLUMNS = ("judge", "question", "query", "clip", "systems", "value", "is_repeat", "seconds", "n_sounds", "at")
TOP_SCORE = 100
"""Of webMUSHRA's scale, which becomes grade 3."""
NOT_RATED = ("reference", "anchor35", "anchor70")
"""Stimuli that webMUSHRA adds by itself."""


class Answers:
    """A file of answers, one sealed line of JSON each. Lines are only appended.

    The first line has the study and its plan; then a judge begins, answers stage by stage, and may withdraw.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    damaged : list of int
        Numbers of the lines, from 1, that were left out when it was last read; they are also printed.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.damaged: list[int] = []
        self._size = -1
        self._lines: list[dict] = []

    def lines(self) -> list[dict]:
        """All intact lines, oldest first."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        if size != self._size:
            self._lines, damaged = intact_lines(self.path, _checked)
            if damaged != self.damaged:
                print_damaged(self.path, damaged, "answers")
            self._size, self.damaged = size, damaged
        return self._lines

    def append(self, kind: str, judge: str, **about: object) -> None:
        """Append a line. Raises OSError if it can't be kept."""
        lines, known = self.lines(), self._size
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"id": uuid.uuid4().hex, "at": at, "judge": judge, "kind": kind, **about}
        text = json.dumps(line, ensure_ascii=False)
        append(self.path, line)
        grown = self.path.stat().st_size - known
        if grown - len(text.encode()) == len(b', "sum": "00000000"\n'):  # else somebody else wrote, too
            lines.append(json.loads(text))
            self._size += grown

    @property
    def _first(self) -> dict | None:
        return next((line for line in self.lines() if line["kind"] == "study"), None)

    @property
    def file(self) -> StudyFile:
        """The study as it was when the first judge could begin. Raises ValueError if there is none."""
        if not self._first:
            raise ValueError(f"{self.path} has no study: serve it first, with make judge STUDY=...")
        return of_dict(self._first["study"], self.path.name)

    @property
    def plan(self) -> dict[str, Any]:
        """The study's plan; see `protocol.Planner`."""
        return self._first["plan"] if self._first else {}

    def start(self, file: StudyFile, plan: dict[str, Any] | None) -> None:
        """Begin with a study, or go on with it.

        Raises
        ------
        ValueError
            If the study is another than the one that the file began with, or that line is damaged.
        """
        if not self._first:
            if self.lines():  # another plan would make other trials of the answers
                raise ValueError(
                    f"{self.path} has answers, and the line of their study is damaged: restore a backup, or "
                    "give the study's file another name, which makes another study"
                )
            self.append("study", "", study=file.as_dict(), plan=plan)
        began, now = self.file.as_dict(), json.loads(json.dumps(file.as_dict()))
        if changed := [key for key in now if now[key] != began[key]]:
            raise ValueError(
                f"{', '.join(changed)} of the study {file.name!r} changed after judging began: change "
                "the file back, or give it another name, which makes another study"
            )

    def judges(self) -> list[str]:
        """Codes of the judges who have begun, in that order."""
        return [line["judge"] for line in self.lines() if line["kind"] == "begin"]

    def of_judge(self, judge: str) -> list[dict]:
        """Lines of one judge."""
        return [line for line in self.lines() if line["judge"] == judge]

    def table(self) -> pd.DataFrame:
        """Answers to trials: one row a graded sound, or a preference.

        Judges who withdrew are left out. Of two answers to the same stage the first counts.

        Returns
        -------
        pd.DataFrame
            judge, question, query, clip (None of a preference), systems (tuple: those with that result, or
            the two lists), value (grade, or 1, 0.5, 0 for the first list, neither, the second), is_repeat,
            seconds (that the trial took), n_sounds (of the trial), at.
        """
        withdrawn = {line["judge"] for line in self.lines() if line["kind"] == "withdraw"}
        first: dict[tuple, dict] = {}
        for line in self.lines():
            if line["kind"] == "answer" and line.get("question") and line["judge"] not in withdrawn:
                first.setdefault((line["judge"], line["stage"]), line)
        rows = []
        for line in first.values():
            about = {name: line.get(name) for name in ("judge", "question", "query", "is_repeat", "at")}
            about |= {"seconds": line["ms"] / 1000, "n_sounds": line["n_sounds"], "clip": None}
            if line["question"] == PREFER:
                rows.append({**about, "systems": tuple(line["systems"]), "value": line["value"]})
                continue
            for clip, systems, value in zip(line["clips"], line["systems"], line["values"], strict=True):
                rows.append({**about, "clip": clip, "systems": tuple(systems), "value": value})
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return table.astype({"value": float, "is_repeat": bool, "seconds": float, "n_sounds": int})

    def write_csv(self, path: str | Path) -> int:
        """Write the table as CSV; return its number of rows."""
        table = self.table()
        rows = table.assign(systems=table["systems"].map(" ".join)).to_dict("split")["data"]
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text([table.columns, *rows]))
        return len(table)

    def add_webmushra(self, path: str | Path) -> tuple[int, int]:
        """Add ratings of webMUSHRA's mushra.csv: trial_id is a query, rating_stimulus one of its sounds.

        A score s of 100 becomes the grade 3 s / 100. Participants are told apart by session_uuid, or by a
        digest of what they have filled in, which is not kept. What was added before isn't added again.

        Returns
        -------
        (int, int)
            Trials that were added; ratings of webMUSHRA's own reference and anchors, which are left out.

        Raises
        ------
        ValueError
            If a column is missing, or a trial, a sound or a score is unknown. Nothing is added then.
        """
        trials = {one["query"]: one for one in self.plan["trials"] if one["question"] == GRADE}
        found, n_left_out = self._webmushra_trials(Path(path), trials)
        have = {(line["judge"], line.get("stage")) for line in self.lines()}
        new = {key: one for key, one in found.items() if key not in have}
        for judge in dict.fromkeys(judge for judge, _ in new):
            if judge not in self.judges():
                self.append("begin", judge, source=Path(path).name)
        for (judge, stage), about in new.items():
            self.append("answer", judge, stage=stage, **about)
        return len(new), n_left_out

    def _webmushra_trials(self, path: Path, trials: dict[str, dict]) -> tuple[dict, int]:
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path.name} is no CSV in UTF-8: {error}") from None
        columns = list(rows[0]) if rows else []
        for name in ("session_test_id", "trial_id", "rating_stimulus", "rating_score", "rating_time"):
            if name not in columns:
                raise ValueError(
                    f"{path.name} has no column {name}: give webMUSHRA's mushra.csv with ratings"
                )
        filled_in = columns[1 : columns.index("trial_id")]
        found: dict[tuple[str, str], dict] = {}
        n_left_out, times = 0, dict[tuple, int]()
        for number, row in enumerate(rows, 2):
            if row["rating_stimulus"] in NOT_RATED:
                n_left_out += 1
                continue
            where = f"line {number} of {path.name}"
            require_known(row["trial_id"], trials, f"the graded queries ({where})")
            trial = trials[row["trial_id"]]
            systems = {one["clip"]: one["systems"] for one in trial["items"]}
            require_known(row["rating_stimulus"], systems, f"the sounds of {row['trial_id']} ({where})")
            try:
                score, ms = float(row["rating_score"]), float(row["rating_time"])
            except (TypeError, ValueError):
                score, ms = -1.0, -1.0
            if not (0 <= score <= TOP_SCORE and 0 <= ms < float("inf")):
                raise ValueError(f"{where} has no score from 0 to {TOP_SCORE}, or no time: mend or delete it")
            who = row.get("session_uuid") or "\n".join(row[name] or "" for name in filled_in)
            judge = (
                "webmushra-" + hashlib.sha256(f"{row['session_test_id']}\n{who}".encode()).hexdigest()[:12]
            )
            time = times[judge, trial["query"], row["rating_stimulus"]] = (
                times.get((judge, trial["query"], row["rating_stimulus"]), 0) + 1
            )
            about = {"question": GRADE, "query": trial["query"], "is_repeat": time > 1, "plays": []}
            about |= {"clips": [], "systems": [], "values": [], "ms": 0.0, "n_sounds": len(systems) + 1}
            line = found.setdefault((judge, f"imported-{trial['query']}-{time}"), about)
            line["clips"].append(row["rating_stimulus"])
            line["systems"].append(systems[row["rating_stimulus"]])
            line["values"].append(score * 3 / TOP_SCORE)
            line["ms"] = max(line["ms"], ms)
        return found, n_left_out


def _checked(text: bytes) -> dict:
    """Line of the file, if it is one that `Answers` has written. Raises ValueError, KeyError or TypeError."""
    line = unsealed(text)
    if "sum" not in line or line["kind"] not in KINDS:
        raise ValueError("the line is no answer")
    return line
