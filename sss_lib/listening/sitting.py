"""What one judge of a listening study sees next, and what counts as an answer to it."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sss_lib.listening import protocol
from sss_lib.listening.answers import Answers
from sss_lib.listening.protocol import LABELS
from sss_lib.listening.study_file import GRADE, GRADES

N_HEADPHONES, N_RIGHT, MOST_TRIES = 6, 5, 3
"""Trials of the headphone check of Woods et al. (2017), those that must be right, and tries of it."""
TONES = ("loud", "quiet", "opposite")
"""Of a trial: the quiet one is 6 dB down; loudspeakers make the one in opposite phase quieter still."""
CHOICES = {"left": 1.0, "equal": 0.5, "right": 0.0}
MOST_PLAYS = 500
"""Of one answer; further ones are no longer logged."""
SLACK_S = 0.2


class StaleError(ValueError):
    """An answer to a stage that is no longer, or not yet, the judge's."""


class Sitting:
    """The way of one judge through a study, worked out from the lines of the file alone.

    Parameters
    ----------
    answers : Answers
    judge : str
        Code of a judge who has begun.
    """

    def __init__(self, answers: Answers, judge: str):
        self.answers, self.judge = answers, judge
        self.file, self.plan = answers.file, answers.plan
        self.number = answers.judges().index(judge)
        self.lines = answers.of_judge(judge)
        self.done = {line["stage"]: line for line in reversed(self.lines) if line["kind"] == "answer"}
        self.steps = protocol.steps(self.plan, self.file, judge, self.number)

    def stages(self) -> list[str]:
        """All stages of this judge, in order."""
        found = ["volume"]
        if self.file.headphones != "no":
            found.append("headphones-1")
            for i in range(1, MOST_TRIES + 1):
                failed = self.done.get(f"headphones-{i}", {}).get("n_right", N_HEADPHONES) < N_RIGHT
                if not (failed and self.file.headphones == "require"):
                    break
                if i == MOST_TRIES:
                    return [*found, "refused"]
                found.append(f"headphones-{i + 1}")
        found += [f"training-{i}" for i in range(len(self.plan["training"]))]
        for i, step in enumerate(self.steps):
            if i and step["session"] != self.steps[i - 1]["session"]:
                found.append(f"break-{step['session']}")
            found.append(f"trial-{i}")
        return [*found, *(["questionnaire"] if self.file.questionnaire else []), "end"]

    @property
    def stage(self) -> str:
        """The stage that is to be answered next; "end", "refused" or "withdrawn" where nothing is."""
        if any(line["kind"] == "withdraw" for line in self.lines):
            return "withdrawn"
        return next(one for one in self.stages() if one not in self.done)

    def _step(self, stage: str) -> tuple[dict, dict]:
        """Trial of a stage, and how this judge has it."""
        kind, _, i = stage.partition("-")
        if kind == "trial":
            return self.plan["trials"][self.steps[int(i)]["trial"]], self.steps[int(i)]
        trial = self.plan["training"][int(i)]
        rng = protocol.seeded(self.file.seed, self.judge, stage)
        order, left = protocol.shuffled(trial, rng), int(rng.integers(2))
        return trial, {"order": order, "left": left, "is_repeat": False}

    def clips(self, stage: str) -> list[str]:
        """Clips of a stage by their number on the page."""
        kind = stage.partition("-")[0]
        if kind == "volume":
            return [(self.plan["training"] or self.plan["trials"])[0]["query"]]
        if kind not in ("training", "trial"):
            return []
        trial, step = self._step(stage)
        if trial["question"] == GRADE:
            return [trial["query"], *(trial["items"][i]["clip"] for i in step["order"])]
        lists = [
            [clips[i] for i in order] for clips, order in zip(trial["lists"], step["order"], strict=True)
        ]
        return [trial["query"], *lists[step["left"]], *lists[1 - step["left"]]]

    def view(self) -> dict[str, Any]:
        """What the page shows: no name of a sound, a system, a class or another judge."""
        stage, words = self.stage, self.file.words
        screen = stage.partition("-")[0]
        n_done = sum(one.startswith("trial-") for one in self.done)
        found: dict[str, Any] = {
            "stage": stage,
            "screen": screen,
            "code": self.judge,
            "title": words["title"],
        }
        found |= {"done": n_done, "of": len(self.steps)}
        if screen in ("training", "trial"):
            trial, step = self._step(stage)
            found |= {"kind": trial["question"], "ask": self.file.questions[trial["question"]]}
            found |= {"instructions": words["instructions"], "heard_s": self.file.heard_s}
            if trial["question"] == GRADE:
                found |= {"n": [len(trial["items"])], "grades": list(GRADES)}
            else:
                found["n"] = [len(trial["lists"][i]) for i in (step["left"], 1 - step["left"])]
        elif screen == "headphones":
            found |= {"tones": self._tones(stage), "is_required": self.file.headphones == "require"}
        elif screen == "questionnaire":
            found["questions"] = [dict(one) for one in self.file.questionnaire]
        elif screen == "end":
            found["text"] = words["end"]
        return found

    def _tones(self, stage: str) -> list[list[str]]:
        rng = protocol.seeded(self.file.seed, self.judge, stage)
        return [rng.permutation(TONES).tolist() for _ in range(N_HEADPHONES)]

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an answer; return what the page may say of it.

        An answer that is already kept is not kept again: the page sends it until it hears of it.

        Raises
        ------
        StaleError
            If the stage isn't the judge's.
        ValueError
            If it is no answer to the stage, or a sound was not heard.
        """
        stage = message.get("stage")
        if isinstance(stage, str) and stage in self.done:
            same = ("post", "values", "choice")
            return {"was_kept": all(self.done[stage].get(key) == message.get(key) for key in same)}
        if stage != self.stage or stage in ("end", "refused", "withdrawn"):
            raise StaleError(f"stage {stage!r:.40} is not the one to answer: {self.stage} is")
        about, feedback = getattr(self, f"_{stage.partition('-')[0]}")(stage, message)
        post = message.get("post")
        post = post[:40] if isinstance(post, str) else ""
        self.answers.append("answer", self.judge, stage=stage, post=post, **about)
        return {"was_kept": True, "feedback": feedback}

    def _volume(self, stage: str, message: Mapping) -> tuple[dict, Any]:
        return {}, None

    _break = _volume

    def _headphones(self, stage: str, message: Mapping) -> tuple[dict, Any]:
        picked = message.get("picked")
        if (
            not isinstance(picked, list)
            or len(picked) != N_HEADPHONES
            or not all(one in (0, 1, 2) for one in picked)
        ):
            raise ValueError(f"picked {picked!r:.80} is no list of {N_HEADPHONES} numbers from 0 to 2")
        tones = self._tones(stage)
        n_right = sum(of[int(one)] == "quiet" for of, one in zip(tones, picked, strict=True))
        return {"n_right": n_right, "of": N_HEADPHONES}, {"passed": n_right >= N_RIGHT}

    def _questionnaire(self, stage: str, message: Mapping) -> tuple[dict, Any]:
        said, items = message.get("said"), self.file.questionnaire
        if not isinstance(said, list) or len(said) != len(items):
            raise ValueError(f"said is no list of {len(items)} answers")
        for one, item in zip(said, items, strict=True):
            if not isinstance(one, str) or len(one) > 1000 or (one and one not in item.get("choices", [one])):
                raise ValueError(f"{one!r:.80} is no answer to {item['ask']!r}")
        return {"said": {item["ask"]: one for item, one in zip(items, said, strict=True)}}, None

    def _trial(self, stage: str, message: Mapping) -> tuple[dict, Any]:
        trial, step = self._step(stage)
        about = {"query": trial["query"], "is_repeat": step["is_repeat"], **self._heard(stage, message)}
        if stage.startswith("trial"):
            about["question"] = trial["question"]  # training has none, and so is in no table
        if trial["question"] == GRADE:
            items = [trial["items"][i] for i in step["order"]]
            values = message.get("values")
            if not isinstance(values, list) or len(values) != len(items):
                raise ValueError(f"values {values!r:.80} are no list of {len(items)} grades")
            if not all(type(one) is int and 0 <= one < len(GRADES) for one in values):
                raise ValueError(f"values {values!r:.80} are no grades: use 0 to {len(GRADES) - 1}")
            about |= {"clips": [one["clip"] for one in items], "systems": [one["systems"] for one in items]}
            expected = [[2, 3] if LABELS in one["systems"] else [0, 1] for one in items]
            return {**about, "values": values}, expected
        choice = message.get("choice")
        if not isinstance(choice, str) or choice not in CHOICES:
            raise ValueError(f"choice {choice!r:.40} is unknown: use {', '.join(CHOICES)}")
        value = CHOICES[choice] if step["left"] == 0 else 1 - CHOICES[choice]
        better = trial["systems"].index(LABELS) if LABELS in trial["systems"] else 0
        side = ["left" if step["left"] == better else "right"]
        about |= {"systems": trial["systems"], "left": step["left"]}
        return {**about, "choice": choice, "value": value}, side

    _training = _trial

    def _heard(self, stage: str, message: Mapping) -> dict[str, Any]:
        """The log of plays, if by it and by this machine's clock each sound was heard."""
        plays, ms = message.get("plays"), message.get("ms")
        clips = self.clips(stage)
        if not _is_number(ms) or not isinstance(plays, list):
            raise ValueError("the answer has no ms, or no list of plays")
        for play in plays:
            if not (isinstance(play, list) and len(play) == 4 and all(map(_is_number, play))):
                raise ValueError(f"play {play!r:.80} is not [sound, ms, from s, to s]")
            if play[0] not in range(len(clips)) or not play[2] <= play[3]:
                raise ValueError(f"play {play!r:.80} is of no sound of this trial, or ends before it begins")
        required = 0.0
        for number, clip in enumerate(clips):
            wanted = min(self.file.heard_s, self.plan["seconds"][clip])
            required += wanted
            portions = [play[2:] for play in plays if play[0] == number]
            if not portions or _covered(portions) < max(wanted - SLACK_S, wanted / 2):
                raise ValueError(f"sound {number} was not heard for {wanted:.1f} s: play it first")
        since = datetime.now(UTC) - datetime.fromisoformat(self.lines[-1]["at"])
        if since.total_seconds() < 0.9 * required - len(clips) * SLACK_S:
            raise ValueError(
                f"{required:.0f} s of sound can't be heard in {since.total_seconds():.0f} s: listen first"
            )
        return {"ms": ms, "n_sounds": len(clips), "plays": plays[:MOST_PLAYS]}


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value < 1e9


def _covered(portions: list[list[float]]) -> float:
    """Seconds that are in at least one portion.

    Examples
    --------
    >>> _covered([[0, 2], [1, 3], [5, 6]])
    4.0
    """
    total, end = 0.0, 0.0
    for start, stop in sorted(portions):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
