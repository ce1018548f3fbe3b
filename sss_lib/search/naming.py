"""How searches are named: an exact search, then an index and its parameter as faiss calls them.

- `nns`, `mips`, `mcss`: exact.
- `given`: a ranking that others have computed.
- `mcss-csls10`, `mcss-ls10`, `mcss-mp`, `mcss-qe5`, `mcss-dba10`: cosines adjusted by neighbours, here the 10
  or 5 nearest; see `adjusted`.
- `nns-Flat`, `nns-SQfp16`, `nns-PQ16`: all clips are compared, in float32, in half precision, or by product
  quantisation into 16 codes of 8 bits; `PQ16x4` has codes of 4 bits.
- `nns-IVF64-nprobe=8`: an inverted file of 64 lists, of which the 8 nearest to the query are searched.
- `nns-HNSW16-efSearch=64`: a graph of 16 links a clip, searched with 64 candidates, or with as many as are
  asked for if those are more.

`SQfp16` and `PQ` go with each: `mcss-IVF64-PQ16-nprobe=8`. The words are those of `faiss.index_factory` and
`faiss.ParameterSpace`; hyphens stand for faiss's commas, which part the items of a list in YAML. A search has
one name only, so that its files do.
"""

import difflib
import functools
import re
from dataclasses import dataclass
from typing import Any

SEARCHES = {
    "nns": "nearest neighbours by Euclidean distance",
    "mips": "maximum inner product",
    "mcss": "maximum cosine similarity",
}
"""The exact searches."""
GIVEN = "given"
MOST_CANDIDATES = 2**20
"""Of a search of HNSW, which holds a place for each; beyond 2^31 faiss drops results without a word."""
_NAME = re.compile(
    r"(?P<exact>nns|mips|mcss)(-(IVF(?P<n_list>[0-9]+)|HNSW(?P<m>[0-9]+)))?"
    r"(-(?P<code>Flat|SQfp16|PQ)((?<=PQ)(?P<n_subquantizers>[0-9]+)(x(?P<n_bits>[0-9]+))?)?)?"
    r"(-nprobe=(?P<n_probe>[0-9]+)|-efSearch=(?P<ef_search>[0-9]+))?"
)
ADJUSTMENTS = {
    "csls": "less the mean cosine of both to their {k} nearest",
    "ls": "scaled by the distances of both to their nearest number {k}",
    "mp": "as shares of the clips that are farther from both",
    "qe": "to the query together with its {k} nearest",
    "dba": "of clips each together with its {k} nearest",
}
_ADJUSTED = re.compile(r"mcss-(?:(?P<numbered>csls|ls|qe|dba)(?P<k>[1-9][0-9]{0,2})|(?P<plain>mp))")
_EXAMPLES = (
    *("mcss-csls10", "mcss-ls10", "mcss-mp", "mcss-qe5", "mcss-dba10"),
    *("nns-Flat", "nns-SQfp16", "nns-PQ16", "nns-PQ16x4"),
    *(
        "nns-IVF64-nprobe=8",
        "nns-IVF64-PQ16-nprobe=8",
        "nns-HNSW16-efSearch=64",
        "nns-HNSW16-PQ16-efSearch=64",
    ),
)


@dataclass(frozen=True)
class Method:
    """A search: exact, or approximate through an index of faiss.

    Attributes
    ----------
    exact : str
        "nns", "mips" or "mcss": what it approximates, or is; or "given".
    code : str
        How vectors are kept: "Flat" in float32, "SQfp16" in half precision, "PQ" by product quantisation;
        "" if the search is exact.
    n_list, n_probe : int
        Inverted lists of IVF, and how many are searched; no lists, no IVF.
    m, ef_search : int
        Links a clip of HNSW, and candidates kept in a search; no links, no HNSW.
    n_subquantizers, n_bits : int
        Codes a clip of PQ, and bits a code.
    adjustment, k : str, int
        How cosines are adjusted, of `ADJUSTMENTS`, by how many neighbours; "" if they aren't.

    Examples
    --------
    >>> method = Method("nns", "PQ", n_list=64, n_subquantizers=16)
    >>> method.name, method.factory
    ('nns-IVF64-PQ16-nprobe=8', 'IVF64,PQ16x8np')
    """

    exact: str
    code: str = ""
    n_list: int = 0
    n_probe: int = 8
    m: int = 0
    ef_search: int = 64
    n_subquantizers: int = 0
    n_bits: int = 8
    adjustment: str = ""
    k: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether the library itself compares all clips, rather than faiss."""
        return not self.code

    @property
    def is_plain(self) -> bool:
        """Whether its order is that of the exact similarities themselves."""
        return self.is_exact and not self.adjustment

    @property
    def structure(self) -> str:
        """Index without its numbers: "IVF", "HNSW" or "Flat"; "" if the search is exact."""
        return "IVF" if self.n_list else "HNSW" if self.m else self.code and "Flat"

    @property
    def parameter(self) -> str:
        """Parameter of a search, for `faiss.ParameterSpace`; "" where there is none."""
        of_structure = {"IVF": f"nprobe={self.n_probe}", "HNSW": f"efSearch={self.ef_search}"}
        return of_structure.get(self.structure, "")

    @property
    def factory(self) -> str:
        """Index, for `faiss.index_factory`; "np" leaves out a training that only Hamming distances need."""
        code = f"PQ{self.n_subquantizers}x{self.n_bits}np" if self.code == "PQ" else self.code
        return ",".join([*self._structure_with_size, code])

    @property
    def name(self) -> str:
        """Name in grids and files; `parse` reads it."""
        code = "" if self.code == "Flat" and self.structure != "Flat" else self.code
        if code == "PQ":
            code += f"{self.n_subquantizers}" + ("" if self.n_bits == 8 else f"x{self.n_bits}")
        parts = [self.exact, *self._structure_with_size, code, self.parameter]
        parts += [f"{self.adjustment}{self.k or ''}"]
        return "-".join(part for part in parts if part)

    @property
    def description(self) -> str:
        """What it does, for people."""
        if self.exact == GIVEN:
            return "a ranking that others have computed"
        if self.adjustment:
            return f"{SEARCHES[self.exact]} {ADJUSTMENTS[self.adjustment].format(k=self.k)}"
        if self.is_exact:
            return SEARCHES[self.exact]
        return f"{SEARCHES[self.exact]}, approximated by {self.name.partition('-')[2]} of faiss"

    @property
    def least_clips(self) -> int:
        """Clips needed to learn the centroids: one for each."""
        return max(2, self.n_list, 2**self.n_bits if self.n_subquantizers else 0)

    @property
    def _structure_with_size(self) -> list[str]:
        return [f"{self.structure}{self.n_list or self.m}"] if self.n_list or self.m else []

    def validate(self) -> None:
        """Raise ValueError if a parameter is out of range."""
        if self.n_list and not 1 <= self.n_probe <= self.n_list:
            raise ValueError(f"{self.name} probes {self.n_probe} of {self.n_list} lists: probe at most all")
        if self.m and not (2 <= self.m <= 1024 and 1 <= self.ef_search <= MOST_CANDIDATES):
            raise ValueError(
                f"{self.name}: HNSW takes 2 to 1024 links a clip and efSearch from 1 to {MOST_CANDIDATES:,}"
            )
        if self.code == "PQ" and not (self.n_subquantizers and 4 <= self.n_bits <= 12):
            raise ValueError(f"{self.name}: PQ takes at least one code, of 4 to 12 bits")


@functools.lru_cache  # a grid asks for the same ones thousands of times
def parse(search: str) -> Method:
    """Method of a search by its name.

    Parameters
    ----------
    search : str

    Raises
    ------
    ValueError
        If there is no such search; the message has the nearest right name.

    Examples
    --------
    >>> parse("mcss-HNSW16-SQfp16-efSearch=64").factory
    'HNSW16,SQfp16'
    >>> parse("nns-IVF64")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: search 'nns-IVF64' is unknown: did you mean 'nns-IVF64-nprobe=8'? ...
    """
    if search == GIVEN:
        return Method(GIVEN)
    if adjusted := _ADJUSTED.fullmatch(search):
        return Method("mcss", adjustment=adjusted["numbered"] or adjusted["plain"], k=int(adjusted["k"] or 0))
    found = _NAME.fullmatch(search)
    near = difflib.get_close_matches(search, [*SEARCHES, *_EXAMPLES], 1)
    if found:
        numbers: dict[str, Any] = {
            name: int(value) for name, value in found.groupdict().items() if (value or "").isdigit()
        }
        is_indexed = numbers.get("n_list") or numbers.get("m")
        method = Method(found["exact"], found["code"] or ("Flat" if is_indexed else ""), **numbers)
        if method.name == search:
            method.validate()
            return method
        near = [method.name]
    hint = f"did you mean {near[0]!r}? Else " if near else ""
    raise ValueError(
        f"search {search!r} is unknown: {hint}use one of {', '.join(SEARCHES)}, alone, adjusted or with an "
        f"index of faiss, as {', '.join(_EXAMPLES)}"
    )


def require_known_search(search: str) -> None:
    """Raise ValueError if there is no such search."""
    if search not in SEARCHES:
        raise ValueError(f"search {search!r} is unknown: use one of {', '.join(SEARCHES)}")
