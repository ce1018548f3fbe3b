"""The page's program in one file: a browser would ask for sixty, most of them once it has read the first."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = "voila.js"


def joined(program: str, parts: Mapping[str, str]) -> str:
    r"""Text of a program that webpack has split, after the parts that it names: it then loads none of these.

    Parameters
    ----------
    program : str
    parts : mapping of str to str
        Texts of parts, by number.

    Examples
    --------
    >>> joined("load.e(7), load.e(8)", {"7": "seven();", "9": "nine();"})
    'seven();\nload.e(7), load.e(8)'
    """
    named = dict.fromkeys(re.findall(r"\.e\((\d+)\)", program))
    return "\n".join([*(parts[one] for one in named if one in parts), program])


def write(folders: Sequence[str], folder: Path) -> None:
    """Write Voila's program, which is in one of some folders, in one file into another.

    Parameters
    ----------
    folders : sequence of str
        As Voila looks files up in them, one after the other.
    folder : Path
        It must not exist yet.
    """
    found = next((path for one in folders if (path := Path(one, PROGRAM)).is_file()), None)
    folder.mkdir()
    if not found:  # another version of Voila, which has other files
        return
    parts = {path.name.split(".")[0]: path.read_text("utf-8") for path in found.parent.glob(f"*.{PROGRAM}")}
    (folder / PROGRAM).write_text(joined(found.read_text("utf-8"), parts), "utf-8")
