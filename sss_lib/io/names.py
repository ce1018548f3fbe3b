"""Names that people type: is one known, and if not, which one did they mean?"""

import difflib
from collections.abc import Iterable

MOST_SHOWN = 30
"""Known names in an error message."""


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
    """Raise an error that names the nearest known word if a value is not among the known ones.

    Examples
    --------
    >>> require_known("nms", ["nns", "mips"], "the searches")
    Traceback (most recent call last):
    ValueError: 'nms' is not among the searches: did you mean 'nns'? They are nns, mips
    """
    known = [str(k) for k in known]
    if str(value) not in known:
        shown = ", ".join(known[:MOST_SHOWN]) + (", ..." if len(known) > MOST_SHOWN else "")
        raise error(f"{value!r} is not among {what}: {did_you_mean(value, known)}They are {shown}")
