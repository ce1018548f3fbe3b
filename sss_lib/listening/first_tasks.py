"""What to listen to first: a hub, a confusion and a near-duplicate of one system."""

from collections import Counter
from dataclasses import dataclass

from sss_lib.io.names import require_known
from sss_lib.listening.study import Study, System

TASKS = ("hub", "confusion", "near-duplicate")


@dataclass(frozen=True)
class Task:
    """A question for the ears.

    Attributes
    ----------
    question : str
    query : int
        Row of the clip that it is about.
    found : dict of str to list of int
        Rows of clips to compare it with, by what they are.
    """

    question: str
    query: int
    found: dict[str, list[int]]


def tasks(study: Study, system: System, n: int = 10) -> dict[str, Task]:
    """Tasks by the names in `TASKS`; one that the results have no example of is left out.

    - hub: the clip that most others find among their first n results.
    - confusion: of the pairs that share no class and find each other first, the nearest.
    - near-duplicate: the nearest of the other pairs.

    Parameters
    ----------
    study : Study
    system : System
    n : int
    """
    found = {row: study.results(system, row, n) for row in study.rows(system).tolist()}
    counts = Counter(row for results in found.values() for row, _ in results)
    labels = study.collection.clips["labels"]
    sign = 1 if system.score == "distance" else -1
    mutual = sorted(
        (sign * results[0][1], row, results[0][0])
        for row, results in found.items()
        if results and found.get(results[0][0], [(None, 0)])[0][0] == row and row < results[0][0]
    )
    chosen = {}
    if counts:
        hub, times = min(counts.items(), key=lambda one: (-one[1], one[0]))
        finders = [row for row, results in found.items() if hub in [one for one, _ in results]]
        by_rank = sorted(finders, key=lambda row: [one for one, _ in found[row]].index(hub))
        question = (
            f"{times} of {len(found)} clips find this one among their first {n}. What has it of them all?"
        )
        chosen["hub"] = Task(question, hub, {"they find it": by_rank[:4]})
    apart = [pair for pair in mutual if labels[pair[1]] and set(labels[pair[1]]).isdisjoint(labels[pair[2]])]
    for name, pairs, question in (
        (
            "confusion",
            apart,
            "Each finds the other first, yet no label is shared. Is the system wrong, or a label?",
        ),
        (
            "near-duplicate",
            [one for one in mutual if one not in apart],
            "No two clips of a class are nearer. Are they one recording, one session, or two sources?",
        ),
    ):
        if pairs:
            _, query, other = pairs[0]
            chosen[name] = Task(question, query, {"the other": [other]})
    return chosen


def choose(found: dict[str, Task], name: str) -> str:
    """Name of a task; the hub where the results have no example of it.

    Raises
    ------
    ValueError
        If there is no task of this name; the message suggests the nearest.
    """
    require_known(name, TASKS, "the tasks")
    return name if name in found else "hub"
