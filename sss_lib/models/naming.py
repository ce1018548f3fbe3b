"""Names of external models: modules with HEAR's interface, folders of transformers, files of others.

A module is "hear:MODULE" or "hear:MODULE:WEIGHTS", a folder any name with a slash in it, such as "./folder".
A network of the catalogue with one's own weights is "NAME:WEIGHTS".
Embeddings that others have computed are "files:PATH", and a ranking of theirs is "ranking:PATH".
Several models whose rankings are fused are "fusion:HOW:SEARCH:MODEL&MODEL", which is external to none.
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
FUSION = "fusion:"
OWN = re.compile(r"(?!hear:|files:|ranking:|fusion:)\w[\w.+-]+:(?=.)")
"""Beginning of a name with one's own weights; one letter is a drive's."""


def is_external(name: str) -> bool:
    """Whether a name is the path of an external model, not one of the catalogue.

    Examples
    --------
    >>> is_external("hear:mymodule"), is_external("./wav2vec2"), is_external("vggish+paper")
    (True, True, False)
    """
    if name.startswith(FUSION):
        return False
    return name.startswith((HEAR, *GIVEN)) or bool(OWN.match(name)) or "/" in name or os.sep in name


def fused(name: str) -> tuple[str, str, list[str]]:
    """How several models are fused, by which search, and the models.

    Examples
    --------
    >>> fused("fusion:zscore:mcss:yamnet&aisfx")
    ('zscore', 'mcss', ['yamnet', 'aisfx'])
    """
    words = name.removeprefix(FUSION).split(":", 2)
    names = words[2].split("&") if len(words) == 3 else []
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"model {name!r} is no fusion: give two models or more, as in fusion:zscore:mcss:yamnet&aisfx"
        )
    return words[0], words[1], names


def absolute(name: str, folder: str | Path = "") -> str:
    """Name of a model that means the same from anywhere: a path in it is from a folder, and then absolute.

    Examples
    --------
    >>> absolute("hear:mymodule"), absolute("duration"), absolute("hear:mymodule:/x/../weights.pt")
    ('hear:mymodule', 'duration', 'hear:mymodule:/weights.pt')
    """
    front, path = parted(name)
    return front + os.path.abspath(os.path.join(folder, os.path.expanduser(path))) if path else name


def split(name: str) -> tuple[str, list[str]]:
    """Name of an external model, and the words that prepare its audio, behind it or behind "NAME".

    The name of an existing file or folder is not split, even if it ends in such a word.

    Examples
    --------
    >>> split("./my+model+truncate+pad"), split("hear:mymodule")
    (('./my+model', ['truncate', 'pad']), ('hear:mymodule', []))
    >>> split("vggish+paper:./my.pb")
    ('vggish:./my.pb', ['paper'])
    """
    words: list[str] = []
    while not os.path.exists(parted(name)[1]):
        base, plus, word = name.rpartition("+")
        if not plus or word not in WORDS:
            break
        name, words = base, [word, *words]
    if OWN.match(name):
        front, path = parted(name)
        model, *first = front.rstrip(":").split("+")
        name, words = f"{model}:{path}", [*first, *words]
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


def parted(name: str) -> tuple[str, str]:
    """Prefix and path of a name, which has no prefix if it is a folder's; the path is "" if there is none."""
    if not is_external(name):
        return name, ""
    if name.startswith(GIVEN) or OWN.match(name):
        kind, colon, path = name.partition(":")
        return kind + colon, path
    if not name.startswith(HEAR):
        return "", name
    module, colon, path = name.removeprefix(HEAR).partition(":")
    return HEAR + module + colon, path
