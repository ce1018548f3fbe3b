"""The protocol of a listening study: which trials there are, and in which order each judge has them.

A plan is drawn once, and kept with the answers: rankings that change later change no study under way.
"""

import collections
import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sss_lib.evaluation.measures import average_precision
from sss_lib.io import audio
from sss_lib.listening.study import Study, System
from sss_lib.listening.study_file import GRADE, PREFER, StudyFile

RANDOM, LABELS = "random", "labels"
"""The anchors: a list drawn at random, and the upper bound: clips that share most classes with the query."""
SIZES = 3
"""Bands of class sizes that queries are drawn from alike: rare, middle, common."""
CATCH_EVERY = 5
"""A pair of the two anchors' lists comes once in so many preferences."""
AP_AT = 15
TYPICAL_S, ROUNDS, DECIDING_S = 10.0, 1.5, 4.0
"""Assumed of a trial's length: seconds heard of a sound, how often, and what an answer takes beside."""


class Planner:
    """Draws the trials of a study.

    Parameters
    ----------
    study : Study
    file : StudyFile
    """

    def __init__(self, study: Study, file: StudyFile):
        self.study, self.file = study, file
        self.systems = [study.system(name) for name in file.systems]
        self.rng = np.random.default_rng(file.seed)
        clips = study.collection.clips
        self.fnames = clips["fname"].tolist()
        self.uploaders = clips["uploader"].fillna("").to_numpy(str)
        self.has_label = study.collection.label_matrix.toarray().astype(np.int32)
        self.is_judged = np.array([audio.has_file(study.sounds.path(row)) for row in range(len(clips))])
        for system in self.systems:  # a clip that no model could read has no place in the rankings
            self.is_judged &= np.isin(np.arange(len(clips)), study.rows(system))
        self._durations: dict[int, float] = {}

    def plan(self) -> dict[str, Any]:
        """Trials, training and what the analysis needs to know of the queries, as JSON has it.

        Raises
        ------
        ValueError
            If there are fewer queries with results than the study asks for.
        """
        drawn = self._queries()
        n_wanted = self.file.queries + self.file.training
        if len(drawn) < n_wanted:
            raise ValueError(
                f"queries={self.file.queries} and training={self.file.training} need {n_wanted} clips, and "
                f"{len(drawn)} have a file, and results by others than their uploader: take fewer"
            )
        queries, training = drawn[: self.file.queries], drawn[self.file.queries : n_wanted]
        graded = [self._graded(row) for row in queries] if GRADE in self.file.questions else []
        pairs = self._pairs(queries) if PREFER in self.file.questions else []
        kind = GRADE if GRADE in self.file.questions else PREFER
        return {
            "trials": [*graded, *pairs],
            "training": [self._training(row, kind) for row in training],
            "ap": {self.fnames[row]: self._ap(row) for row in queries},
            "strata": {self.fnames[row]: self._stratum(row) for row in queries},
            "seconds": {self.fnames[row]: seconds for row, seconds in self._durations.items()},
        }

    def _queries(self) -> list[int]:
        """Rows that may query, one stratum after the other, each stratum and its clips in random order."""
        strata: dict[str, list[int]] = collections.defaultdict(list)
        for row in self.rng.permutation(np.flatnonzero(self.is_judged)).tolist():
            if self._relevant(row).any() and all(self._results(system, row) for system in self.systems):
                strata[self._stratum(row)].append(row)
        order = self.rng.permutation(sorted(strata)).tolist()
        turns = itertools.zip_longest(*(strata[one] for one in order))
        return [row for turn in turns for row in turn if row is not None]

    def _stratum(self, row: int) -> str:
        """Family and band of size of a clip's rarest class."""
        sizes = self.has_label.sum(axis=0)
        own = np.flatnonzero(self.has_label[row])
        if not len(own):
            return "no class"
        label = own[sizes[own].argmin()]
        edges = np.quantile(sizes, np.arange(1, SIZES) / SIZES)
        band = ("rare", "middle", "common")[int(np.searchsorted(edges, sizes[label], side="left"))]
        family = self.study.collection.families.get(self.study.collection.labels[label], "no family")
        return f"{family}, {band}"

    def _others(self, query: int) -> np.ndarray:
        """Whether each clip may be a result of a query: it can be heard, and is by another uploader."""
        is_own = (self.uploaders == self.uploaders[query]) & (self.uploaders[query] != "")
        is_own[query] = True
        return self.is_judged & ~is_own

    def _relevant(self, query: int) -> np.ndarray:
        """Whether each clip that may be a result shares a class with a query."""
        return (self.has_label @ self.has_label[query] > 0) & self._others(query)

    def _ranked(self, system: System, query: int) -> list[int]:
        may = self._others(query)
        return [row for row, _ in self.study.results(system, query, system.top_n) if may[row]]

    def _results(self, system: System, query: int) -> list[int]:
        return self._ranked(system, query)[: self.file.results]

    def _anchor(self, name: str, query: int, n: int) -> list[int]:
        """Clips of an anchor; those by the labels share most classes in relation to all that either has."""
        rows = self.rng.permutation(np.flatnonzero(self._others(query)))
        shared = self.has_label[rows] @ self.has_label[query]
        either = self.has_label[rows].sum(axis=1) + self.has_label[query].sum() - shared
        if name == LABELS:
            return rows[np.argsort(-shared / np.maximum(either, 1), kind="stable")][:n].tolist()
        return rows[:n].tolist()

    def _graded(self, query: int) -> dict[str, Any]:
        """Trial that pools the results of all systems and anchors: what several found is judged once."""
        lists = {system.name: self._results(system, query) for system in self.systems}
        for name in (RANDOM, LABELS) if self.file.anchors else ():
            lists[name] = self._anchor(name, query, self.file.anchors)
        systems: dict[int, list[str]] = collections.defaultdict(list)
        for name, rows in lists.items():
            for row in rows:
                systems[row].append(name)
        items = [{"clip": self._clip(row), "systems": names} for row, names in systems.items()]
        return {"question": GRADE, "query": self._clip(query), "items": items}

    def _pairs(self, queries: list[int]) -> list[dict[str, Any]]:
        """Trials between each two systems' lists, where these differ, and some between the anchors'."""
        trials = []
        for i, query in enumerate(queries):
            lists = {system.name: self._results(system, query) for system in self.systems}
            pairs = list(itertools.combinations(lists, 2))
            if self.file.anchors and i % CATCH_EVERY == 0:
                lists |= {name: self._anchor(name, query, self.file.results) for name in (LABELS, RANDOM)}
                pairs.append((LABELS, RANDOM))
            for pair in pairs:
                if set(lists[pair[0]]) != set(lists[pair[1]]):
                    trials.append(self._pair(query, {name: lists[name] for name in pair}))
        return trials

    def _pair(self, query: int, lists: dict[str, list[int]]) -> dict[str, Any]:
        found = [[self._clip(row) for row in rows] for rows in lists.values()]
        return {"question": PREFER, "query": self._clip(query), "systems": list(lists), "lists": found}

    def _training(self, query: int, kind: str) -> dict[str, Any]:
        """Trial whose answer the labels suggest."""
        best, others = self._anchor(LABELS, query, self.file.results), self._anchor(RANDOM, query, 50)
        unlike = [
            row for row in others if not self.has_label[row] @ self.has_label[query] and row not in best
        ]
        lists = {LABELS: best, RANDOM: (unlike or others)[: self.file.results]}
        if kind == PREFER:
            return self._pair(query, lists)
        items = [{"clip": self._clip(rows[0]), "systems": [name]} for name, rows in lists.items()]
        return {"question": GRADE, "query": self._clip(query), "items": items}

    def _ap(self, query: int) -> dict[str, float]:
        """AP@15 of each system for a query, any shared class, without the query's uploader."""
        shares = self._relevant(query)
        found = {}
        for system in self.systems:
            hits = shares[self._ranked(system, query)][None, :]
            found[system.name] = float(
                average_precision(hits, np.array([min(AP_AT, shares.sum())]), AP_AT)[0]
            )
        return found

    def _clip(self, row: int) -> str:
        """Id of a clip, whose length is noted."""
        if row not in self._durations:
            seconds = audio.duration_s(self.study.sounds.path(row))
            self._durations[row] = round(min(seconds, audio.MAX_DURATION_S), 3)
        return self.fnames[row]


def sounds_of(trial: dict[str, Any]) -> list[str]:
    """Clips of a trial by their number on the page: the query, then the others."""
    if trial["question"] == GRADE:
        return [trial["query"], *(one["clip"] for one in trial["items"])]
    return [trial["query"], *itertools.chain.from_iterable(trial["lists"])]


def expected_s(trial: dict[str, Any], seconds: dict[str, float]) -> float:
    """How long a trial may take."""
    sounds = sounds_of(trial)
    n_answers = len(sounds) - 1 if trial["question"] == GRADE else 2
    return sum(ROUNDS * min(seconds[one], TYPICAL_S) for one in sounds) + DECIDING_S * n_answers


def steps(plan: dict[str, Any], file: StudyFile, judge: str, number: int) -> list[dict[str, Any]]:
    """Trials as a judge has them: in an order of its own, some of them twice.

    Parameters
    ----------
    plan : dict
        From `Planner.plan`.
    file : StudyFile
    judge : str
        Code of the judge, which with the seed decides the order.
    number : int
        Of the judge, from 0. Judges 2k and 2k + 1 have every pair of lists on opposite sides.

    Returns
    -------
    list of dict
        trial (number in the plan), is_repeat, order (of the items, or of each list), and left (which list is
        on the left), session (from 0).
    """
    rng = seeded(file.seed, judge)
    sides = _sides(plan["trials"], file.seed, number)
    found: list[dict[str, Any]] = []
    for kind in (GRADE, PREFER):
        block = [i for i, trial in enumerate(plan["trials"]) if trial["question"] == kind]
        for i, is_repeat in _with_repeats(rng.permutation(block).tolist(), file.repeats, rng):
            trial = plan["trials"][i]
            left = int(sides[i]) ^ int(is_repeat)  # the second time on the other side
            found.append({"trial": i, "is_repeat": is_repeat, "left": left, "order": shuffled(trial, rng)})
    lengths = [expected_s(plan["trials"][one["trial"]], plan["seconds"]) for one in found]
    for one, session in zip(found, _sessions(lengths, 60 * file.session_minutes), strict=True):
        one["session"] = session
    return found


def seeded(*key: object) -> np.random.Generator:
    """Random numbers that are the same whenever the key is."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def _sides(trials: list[dict[str, Any]], seed: int, number: int) -> np.ndarray:
    """Which list of each trial is on the left: as often each one of a pair, within one."""
    sides = np.zeros(len(trials), int)
    rng = seeded(seed, "sides", number // 2)
    for pair in sorted({tuple(one["systems"]) for one in trials if one["question"] == PREFER}):
        own = [i for i, one in enumerate(trials) if tuple(one.get("systems", ())) == pair]
        sides[own] = rng.permutation(np.arange(len(own)) % 2)
    return sides ^ (number % 2)


def _with_repeats(order: list[int], share: float, rng: np.random.Generator) -> Iterator[tuple[int, bool]]:
    """Trials, of which some of the first half come again in the last third."""
    n, n_repeats = len(order), 0
    if share and n > 1:
        n_repeats = min(max(1, round(share * n)), n // 2)
    again = rng.choice(order[: max(1, n // 2)], n_repeats, replace=False).tolist() if n_repeats else []
    places = sorted(rng.integers(n - n // 3, n + 1, n_repeats).tolist())
    for i, one in enumerate([*order, None]):
        while places and places[0] == i:
            places.pop(0)
            yield again.pop(), True
        if one is not None:
            yield one, False


def shuffled(trial: dict[str, Any], rng: np.random.Generator) -> list:
    """Random order of a trial's items, or of each of its lists."""
    if trial["question"] == GRADE:
        return rng.permutation(len(trial["items"])).tolist()
    return [rng.permutation(len(one)).tolist() for one in trial["lists"]]


def _sessions(lengths: Sequence[float], most_s: float) -> list[int]:
    """Session of each trial: as few sessions as fit, of about equal length."""
    n = max(1, math.ceil(sum(lengths) / most_s))
    before = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else np.zeros(0)
    return [int(one) for one in before * n // max(sum(lengths), 1e-9)]


def described(plan: dict[str, Any], file: StudyFile) -> str:
    """How many trials there are, and how long they take, in a sentence."""
    own = steps(plan, file, "", 0)
    seconds = [expected_s(plan["trials"][one["trial"]], plan["seconds"]) for one in own]
    n_sessions = own[-1]["session"] + 1 if own else 0
    fit = len(own) / n_sessions if own else 0
    return (
        f"{len(own)} trials, of which {sum(one['is_repeat'] for one in own)} are repeats, take about "
        f"{sum(seconds) / 60:.0f} minutes: {n_sessions} session{'s' if n_sessions > 1 else ''} of about "
        f"{fit:.0f} trials, and at most {file.session_minutes:g} minutes each"
    )
