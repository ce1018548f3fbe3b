"""Names of external models: modules with HEAR's interface, folders of transformers, files of others.

A module is "hear:MODULE" or "hear:MODULE:WEIGHTS", a folder any name with a slash in it, such as "./folder".
Embeddings that others have computed are "files:PATH", and a ranking of theirs is "ranking:PATH".
Words behind it, such as "./folder+truncate", change how its audio is prepared (`ModelSpec.prepared`).
"""

import hashlib
import os
import re
from pathlib import Path

from sss_lib.models.spec import WORDS

HEAR = "hear:"
RANKING = "ranking:"
GIVEN = ("files:", RANKING)


def is_external(name: str) -> bool:
    """Whether a name is the path of an external model, not one of the catalogue.

    Examples
    --------
    >>> is_external("hear:mymodule"), is_external("./wav2vec2"), is_external("vggish+paper")
    (True, True, False)
    """
    return name.startswith((HEAR, *GIVEN)) or "/" in name or os.sep in name


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
    """Name of an external model, and the words behind it that prepare its audio.

    The name of an existing file or folder is not split, even if it ends in such a word.

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
    """File name and displayed name of an external model.

    Both contain a digest of the path, because two folders can hold files of one name.

    Parameters
    ----------
    kind : str
    *labels : str
        For people: the module and its weights, or the folder.
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
    """Prefix and path of a name; the path is "" if there is none."""
    if not is_external(name):
        return name, ""
    if name.startswith(GIVEN):
        kind, colon, path = name.partition(":")
        return kind + colon, path
    if not name.startswith(HEAR):
        return "", name
    module, colon, path = name.removeprefix(HEAR).partition(":")
    return HEAR + module + colon, path
