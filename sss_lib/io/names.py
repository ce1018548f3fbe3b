"""Names: is one known, else which is near; can it be a file's; which files of a folder count; paths."""

import difflib
import numbers
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

FFMPEG_SUFFIXES = (".m4a", ".mp4", ".aac", ".wma", ".webm")
"""Of sounds for which ffmpeg must be installed."""
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64"),
    *FFMPEG_SUFFIXES,
)
"""Of sounds; libsndfile reads the others."""
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
    words = list(known)
    if value not in words:  # nor is 30 the clip "30": it may have been "030" before papermill read it
        known = [str(word) for word in words]
        if str(value) in known:
            raise error(f"{what} are named by text, and {value!r} is none: write it in quotes")
        hint, shown, which = did_you_mean(value, known), known, "They"
        if len(known) > MOST_SHOWN:
            shown = difflib.get_close_matches(str(value), known, 3, cutoff=0)
            which = f"The nearest of {len(known):,}"
        raise error(f"{value!r} is not among {what}: {hint}{which} are {', '.join(shown)}")


def require_text(value: object, what: str, error: type[ValueError] = ValueError) -> None:
    """Raise an error for a name or an id that came as a number: 7 is read from 007 as from 7.

    Examples
    --------
    >>> require_text(2024, "dataset")
    Traceback (most recent call last):
    ValueError: dataset=2024 is a number, not a name: write it in quotes, for papermill as -r dataset 2024
    """
    if isinstance(value, str):
        return
    if not isinstance(value, bool) and isinstance(value, numbers.Number):
        raise error(
            f"{what}={value} is a number, not a name: write it in quotes, for papermill as -r {what} {value}"
        )
    raise error(f"{what}={value!r} is not a name: give a text in quotes")


def several(names: object, what: str) -> list[str]:
    """Names of a parameter, each once; one alone may come without a list, as by papermill -p.

    Examples
    --------
    >>> several("nns", "searches"), several(["nns", "mips", "nns"], "searches")
    (['nns'], ['nns', 'mips'])
    """
    found = [names] if isinstance(names, str) else names
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{what}={names!r}: give a name, or a list of names")
    return list(dict.fromkeys(found))


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


MOST_BYTES = 200
"""Of a name: a file system takes names of 255, and files beside it have longer ones."""
_SEPARATORS = '/\\:*?"<>|' if os.name == "nt" else "/\\"
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"}
_RESERVED |= {f"{port}{i}" for port in ("com", "lpt") for i in "123456789¹²³"}


def has_controls(text: str) -> bool:
    r"""Whether a text has signs that end lines or act on a terminal, or that UTF-8 can't hold.

    Others that don't show are part of words: joiners of Persian and of emoji, spaces that don't break, marks
    of direction.

    Examples
    --------
    >>> has_controls("a\nb"), has_controls("\u0645\u06cc\u200c\u0631\u0648\u0645")
    (True, False)
    """
    return any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text)


def file_name_flaw(name: str) -> str:
    """Why a name can't be that of a file on every system, in words; "" if it can.

    Examples
    --------
    >>> file_name_flaw("my sounds {1}"), file_name_flaw("a/b"), file_name_flaw("nul.txt")
    ('', 'has a / in it', 'is reserved on Windows')
    """
    if not name or name.startswith("."):
        return "begins with a dot" if name else "is empty"
    if odd := [sign for sign in _SEPARATORS if sign in name]:
        return f"has a {odd[0]} in it"
    if re.match("[A-Za-z]:", name):
        return f"begins like the drive {name[:2]}"
    if has_controls(name):
        return "has signs in it that no text has"
    if name[-1] in ". ":
        return "ends with a dot or a space"
    if name.partition(".")[0].strip().lower() in _RESERVED:
        return "is reserved on Windows"
    n_bytes = len(name.encode())
    return f"has {n_bytes} bytes, more than {MOST_BYTES}" if n_bytes > MOST_BYTES else ""


def composed(text: str) -> str:
    """Text in Unicode's composed form (NFC), as tables have it: macOS's file names are decomposed."""
    return unicodedata.normalize("NFC", text)


def seen_from(path: str | Path, folder: str | Path) -> str:
    """Path as it is seen from a folder, whatever links lead to either; absolute from another drive.

    Examples
    --------
    >>> seen_from("/a/sounds", "/a/b/notebooks")
    '../../sounds'
    """
    try:
        return os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
    except ValueError:  # Windows has no path from one drive to another
        return os.path.abspath(path)
