"""Names: which known one did somebody mean to type, and which files of a folder count?"""

import difflib
from collections.abc import Iterable
from pathlib import Path

MOST_SHOWN = 30
"""Known names that an error message lists; of more it names the three nearest."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Hint for an error message: the known name nearest to an unknown one, or "" if none is near.

    Examples
    --------
    >>> did_you_mean("nms", ["nns", "mips"]), did_you_mean("x", ["nns", "mips"])
    ("did you mean 'nns'? ", '')
    """
    by_lower_case = {str(one).lower(): str(one) for one in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower_case, 1)
    return f"did you mean {by_lower_case[near[0]]!r}? " if near else ""


def require_known(value: object, known: Iterable, what: str, error: type[ValueError] = ValueError) -> None:
    """Raise an error that names the nearest known words if a value is not among the known ones.

    Examples
    --------
    >>> require_known("nms", ["nns", "mips"], "the searches")
    Traceback (most recent call last):
    ValueError: 'nms' is not among the searches: did you mean 'nns'? They are nns, mips
    """
    known = [str(k) for k in known]
    if str(value) not in known:
        hint, shown, which = did_you_mean(value, known), known, "They"
        if len(known) > MOST_SHOWN:
            shown = difflib.get_close_matches(str(value), known, 3, cutoff=0)
            which = f"The nearest of {len(known):,}"
        raise error(f"{value!r} is not among {what}: {hint}{which} are {', '.join(shown)}")


def listed(folder: str | Path, pattern: str) -> list[Path]:
    """Paths of a folder that match a pattern, in order, but for hidden ones.

    These are what is being written, or was when a run was killed, and what file managers leave.

    Examples
    --------
    >>> [path.name for path in listed(Path(__file__).parent, "n*s.py")]
    ['names.py']
    """
    found = sorted(Path(folder).glob(pattern))
    return [path for path in found if not any(n[0] == "." for n in path.relative_to(folder).parts)]
