"""Methods: how searches are named, and what the numbers in a name say.

A name is an exact search, a structure, and how the structure keeps vectors:

- `nns-flat`: every clip is compared; `nns-flat-half`: of vectors in half precision; `nns-flat-pq16`: of 16
  bytes, each the nearest of 256 centroids of a sixteenth of the vector (product quantisation); `pq16x4` has
  16 centroids and half a byte each.
- `nns-ivf64-probe8`: clips lie in 64 cells around centroids, and the 8 nearest to the query are searched.
- `nns-hnsw16-ef64`: a graph with 16 links a clip, walked with the 64 nearest clips so far (or as many as are
  asked for, if those are more) in hand.

`half` and `pq` go with each structure: `mcss-ivf64-probe8-pq16`. A search has one name only, so that its
files do.
"""

import difflib
import re
from dataclasses import dataclass

from sss_lib.search.similarity import SEARCHES

STRUCTURES = {
    "flat": "every clip compared",
    "hnsw": "a graph of {} links a clip, walked with {} in hand",
    "ivf": "{} cells, {} searched",
}
_NAME = re.compile(
    r"(?P<exact>nns|mips|mcss)"
    r"(-((?P<flat>flat)|hnsw(?P<links>[0-9]+)-ef(?P<ef>[0-9]+)|ivf(?P<cells>[0-9]+)-probe(?P<probe>[0-9]+))"
    r"(-((?P<half>half)|pq(?P<pieces>[0-9]+)(x(?P<bits>[0-9]+))?))?)?"
)
_WORDS = {"hnsw": "16", "ef": "64", "ivf": "64", "probe": "8", "pq": "16", "flat": "", "half": ""}
_FOLLOWS = {"hnsw": "ef", "ivf": "probe"}


@dataclass(frozen=True)
class Method:
    """How a search goes about it.

    Attributes
    ----------
    exact : str
        "nns", "mips" or "mcss": what it approximates, or is.
    structure : str
        "flat", "hnsw" or "ivf"; empty if the search is exact.
    size, effort : int
        Links a clip and clips in hand of "hnsw"; cells and how many are searched of "ivf".
    half : bool
        Whether vectors are kept in half precision.
    pieces, bits : int
        Of product quantisation; no pieces, no quantisation.

    Examples
    --------
    >>> Method("nns", "ivf", 64, 8, pieces=16).name
    'nns-ivf64-probe8-pq16'
    """

    exact: str
    structure: str = ""
    size: int = 0
    effort: int = 0
    half: bool = False
    pieces: int = 0
    bits: int = 8

    @property
    def is_exact(self) -> bool:
        """Whether it compares all clips in full, in the library's own code."""
        return not self.structure

    @property
    def name(self) -> str:
        """What it is called in grids and files."""
        return "-".join([self.exact, *([self.short_name] if self.structure else [])])

    @property
    def short_name(self) -> str:
        """Its name without the exact search: "exact" if it is one."""
        if self.is_exact:
            return "exact"
        about = {"hnsw": "hnsw{}-ef{}", "ivf": "ivf{}-probe{}", "flat": "flat"}[self.structure]
        quantised = f"pq{self.pieces}" + ("" if self.bits == 8 else f"x{self.bits}")
        kept = ["half"] if self.half else [quantised] if self.pieces else []
        return "-".join([about.format(self.size, self.effort), *kept])

    @property
    def words(self) -> str:
        """What it does, for people."""
        if self.is_exact:
            return SEARCHES[self.exact]
        kept = "in half precision" if self.half else f"as {self.pieces} codes of {self.bits} bits"
        how = STRUCTURES[self.structure].format(self.size, self.effort)
        return f"{SEARCHES[self.exact]}, {how}" + (f", {kept}" if self.half or self.pieces else "")

    @property
    def least_clips(self) -> int:
        """How many clips it takes to learn its centroids."""
        return max(2, self.size if self.structure == "ivf" else 0, 2**self.bits if self.pieces else 0)

    def require_sense(self) -> None:
        """Raise ValueError if its numbers can't be."""
        if self.structure == "ivf" and not 1 <= self.effort <= self.size:
            raise ValueError(f"{self.name} probes {self.effort} of {self.size} cells: probe 1 to {self.size}")
        if self.structure == "hnsw" and (not 2 <= self.size <= 1024 or self.effort < 1):
            raise ValueError(f"{self.name}: a graph takes 2 to 1024 links a clip, and at least 1 in hand")
        if self.pieces and not 4 <= self.bits <= 12:
            raise ValueError(f"{self.name} has codes of {self.bits} bits: give 4 to 12")


def parse(search: str) -> Method:
    """Method of a search by its name: the one place where names are read.

    Raises
    ------
    ValueError
        If there is no such search; the message has the nearest right name.

    Examples
    --------
    >>> parse("mcss-hnsw16-ef64-half").words
    'maximum cosine similarity, a graph of 16 links a clip, walked with 64 in hand, in half precision'
    >>> parse("nns-ivf64")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: search 'nns-ivf64' is unknown: did you mean 'nns-ivf64-probe8'? ...
    """
    found = _NAME.fullmatch(search)
    method = _method(found) if found else None
    if method is None or method.name != search:
        near = method.name if method else _nearest(search)
        raise ValueError(
            f"search {search!r} is unknown: {f'did you mean {near!r}? Else ' if near else ''}use one of "
            f"{', '.join(SEARCHES)}, alone or as in nns-flat, nns-hnsw16-ef64, nns-ivf64-probe8, each also "
            "with -half or -pq16 behind it"
        )
    method.require_sense()
    return method


def _method(found: re.Match) -> Method:
    numbers = {name: int(value) for name, value in found.groupdict().items() if (value or "").isdigit()}
    structure = next((name for name, of in (("hnsw", "ef"), ("ivf", "probe")) if of in numbers), "")
    return Method(
        found["exact"],
        structure or found["flat"] or "",
        numbers.get("links", numbers.get("cells", 0)),
        numbers.get("ef", numbers.get("probe", 0)),
        found["half"] is not None,
        numbers.get("pieces", 0),
        numbers.get("bits", 8),
    )


def _nearest(search: str) -> str:
    """Name of a search that was meant: each word replaced by the nearest one, what is missing filled in."""
    exact, *words = search.lower().split("-")
    close = difflib.get_close_matches(exact, SEARCHES, 1)
    if not close:
        return ""
    parts = [close[0]]
    for word in words:
        letters, number, bits = re.findall(r"([a-z]*)([0-9]*)(x[0-9]+)?", word)[0]
        near = difflib.get_close_matches(letters, _WORDS, 1)
        if near:
            parts.append(near[0] + ((number or _WORDS[near[0]]) if _WORDS[near[0]] else "") + bits)
    for first, second in _FOLLOWS.items():
        at = next((i for i, part in enumerate(parts) if part.startswith(first)), None)
        if at is not None and not any(part.startswith(second) for part in parts):
            parts.insert(at + 1, second + _WORDS[second])
    found = _NAME.fullmatch("-".join(parts))
    return _method(found).name if found else parts[0]
