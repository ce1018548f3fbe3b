"""How well each judge of a listening study answered, and whom its rule leaves out."""

import numpy as np
import pandas as pd

from sss_lib.listening.answers import Answers
from sss_lib.listening.judgement_statistics import krippendorff_alpha
from sss_lib.listening.protocol import LABELS, RANDOM
from sss_lib.listening.study_file import GRADE, PREFER


def quality(answers: Answers) -> pd.DataFrame:
    """What the rule of exclusion looks at, for each judge who has answered a trial.

    Returns
    -------
    pd.DataFrame
        judge, anchors (share of queries whose upper bound by the labels has better answers than the random
        list; a tie is half), repeats (Krippendorff's alpha of a judge with himself over all that came twice;
        0 if all of his answers are the same), seconds_per_sound (median over trials), answered (share of
        trials), and reason: why the judge is left out, "" if he isn't.
    """
    table, file = answers.table(), answers.file
    n_trials = len(answers.plan["trials"])
    rows = []
    for judge, own in table.groupby("judge", sort=False):
        first = own[~own["is_repeat"]]
        trials = first.drop_duplicates(["question", "query", "at"])
        found = {
            "judge": judge,
            "anchors": _told_apart(first),
            "repeats": _repeated(own),
            "seconds_per_sound": float((trials["seconds"] / trials["n_sounds"]).median()),
            "answered": len(trials) / n_trials,
        }
        # What can't be computed, as where no repeat was reached, is no reason: `answered` sees to that.
        low = [
            f"{name} {found[name]:.2f} < {least:g}"
            for name, least in file.exclude.items()
            if found[name] < least
        ]
        rows.append({**found, "reason": ", ".join(low)})
    columns = ["judge", "anchors", "repeats", "seconds_per_sound", "answered", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _told_apart(first: pd.DataFrame) -> float:
    """Share of anchors that a judge tells apart."""
    labels, random = (first[is_of(first, name)].groupby("query")["value"].mean() for name in (LABELS, RANDOM))
    pairs = first[is_between(first, (LABELS, RANDOM))]
    won = [*((1 + np.sign((labels - random).dropna())) / 2), *pairs["value"]]
    return float(np.mean(won)) if won else np.nan


def is_of(own: pd.DataFrame, name: str) -> np.ndarray:
    """Whether each answer is the grade of a result of a system."""
    pairs = zip(own["question"], own["systems"], strict=True)
    return np.array([question == GRADE and name in systems for question, systems in pairs], bool)


def is_between(own: pd.DataFrame, pair: tuple[str, str]) -> np.ndarray:
    """Whether each answer is a preference between two systems."""
    pairs = zip(own["question"], own["systems"], strict=True)
    return np.array([question == PREFER and systems == pair for question, systems in pairs], bool)


def _repeated(own: pd.DataFrame) -> float:
    """Agreement of a judge with himself over all that he judged twice."""
    keys = ["question", "query", "clip", "systems"]
    named = own.assign(clip=own["clip"].fillna(""))
    twice = named.pivot_table(index=keys, columns="is_repeat", values="value").dropna()
    if twice.shape[1] < 2 or twice.empty:
        return np.nan
    # Preferences are put on the scale of grades: from 0 to 3.
    scale = np.where(twice.index.get_level_values("question") == PREFER, 3.0, 1.0)
    alpha = krippendorff_alpha(twice.to_numpy().T * scale)
    return alpha if np.isfinite(alpha) else 0.0
