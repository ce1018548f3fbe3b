"""Names that people give: is one known, and if not, which is nearest?"""

import difflib
from collections.abc import Iterable


def require_known(value: object, known: Iterable, what: str) -> None:
    """Raise ValueError with the nearest known word if a value is not among the known ones.

    Examples
    --------
    >>> require_known("nms", ["nns", "mips"], "the searches")
    Traceback (most recent call last):
    ValueError: 'nms' is not among the searches: did you mean 'nns'? They are nns, mips
    """
    known = [str(k) for k in known]
    if str(value) not in known:
        by_lower_case = {k.lower(): k for k in known}
        near = difflib.get_close_matches(str(value).lower(), by_lower_case, 1)
        hint = f"did you mean {by_lower_case[near[0]]!r}? " if near else ""
        raise ValueError(f"{value!r} is not among {what}: {hint}They are {', '.join(known)}")
