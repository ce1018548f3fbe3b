"""Models outside the catalogue: modules with HEAR's interface, and folders of transformers, by their paths.

A module is "hear:MODULE" or "hear:MODULE:WEIGHTS", a folder any name with a slash in it, such as "./folder".
Words behind it, such as "./folder+truncate", prepare its audio otherwise (`ModelSpec.prepared`).
"""

import hashlib
import os
import re
from pathlib import Path

from sss_lib.models.spec import WORDS

HEAR = "hear:"


def is_outside(name: str) -> bool:
    """Whether a name is of a model outside the catalogue.

    Examples
    --------
    >>> is_outside("hear:mymodule"), is_outside("./wav2vec2"), is_outside("vggish+paper")
    (True, True, False)
    """
    return name.startswith(HEAR) or "/" in name or os.sep in name


def absolute(name: str, folder: str | Path = "") -> str:
    """Name of a model that means the same from anywhere: a path in it is from a folder, and then absolute.

    Examples
    --------
    >>> absolute("hear:mymodule"), absolute("duration"), absolute("hear:mymodule:/x/../weights.pt")
    ('hear:mymodule', 'duration', 'hear:mymodule:/weights.pt')
    """
    front, path = _parted(name)
    return front + os.path.abspath(os.path.join(folder, path)) if path else name


def split(name: str) -> tuple[str, list[str]]:
    """Name of a model outside, and the words behind it that prepare its audio.

    A file or folder whose own name ends in such a word is taken as it is called.

    Examples
    --------
    >>> split("./my+model+truncate+pad"), split("hear:mymodule")
    (('./my+model', ['truncate', 'pad']), ('hear:mymodule', []))
    """
    words: list[str] = []
    while not os.path.exists(_parted(name)[1]):
        base, plus, word = name.rpartition("+")
        if not plus or word not in WORDS:
            break
        name, words = base, [word, *words]
    return name, words


def names_of(kind: str, *labels: str, path: str = "") -> tuple[str, str]:
    """What the files of a model outside are called, and what it is called where people read.

    A path's digest is in both, for what is called alike in two folders.

    Parameters
    ----------
    kind : str
    *labels : str
        What tells it to a person.
    path : str
        Absolute; "" if it has none.

    Examples
    --------
    >>> names_of("hear", "mymodule", "my weights", path="/a/my weights.pt")
    ('hear-mymodule-my-weights-5fc9c9ed', 'mymodule my weights (5fc9c9ed)')
    """
    digest = hashlib.sha256(path.encode()).hexdigest()[:8] if path else ""
    safe = re.sub(r"[^\w.-]", "-", "-".join([kind, *labels, *([digest] if path else [])]))
    return safe, " ".join(labels) + (f" ({digest})" if path else "")


def _parted(name: str) -> tuple[str, str]:
    """What stands before the path in a name, and the path; "" if there is none."""
    if not is_outside(name):
        return name, ""
    if not name.startswith(HEAR):
        return "", name
    module, colon, path = name.removeprefix(HEAR).partition(":")
    return HEAR + module + colon, path
