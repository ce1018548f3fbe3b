"""Approximate searches: how they are named, and the structures of faiss behind the names.

A name is an exact search, a structure, and how the structure keeps vectors:

- `nns-flat`: every clip is compared; `nns-flat-half`: of vectors in half precision; `nns-flat-pq16`: of 16
  bytes, each the nearest of 256 centroids of a sixteenth of the vector (product quantisation); `pq16x4` has
  16 centroids and half a byte each.
- `nns-ivf64-probe8`: clips lie in 64 cells around centroids, and the 8 nearest to the query are searched.
- `nns-hnsw16-ef64`: a graph with 16 links a clip, walked with the 64 nearest clips so far (or as many as are
  asked for, if those are more) in hand.

`half` and `pq` go with each structure: `mcss-ivf64-probe8-pq16`. A search has one name only, so that its
files do. What is learnt has a fixed seed and is built on one thread, so that results depend neither on the
number of threads nor on which queries are asked together.
"""

import contextlib
import difflib
import importlib
import importlib.util
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import threadpoolctl

from sss_lib.processing import l2_normalize, require_finite
from sss_lib.search import Ranking, blocks
from sss_lib.similarity import SEARCHES, scaled

STRUCTURES = {
    "flat": "every clip compared",
    "hnsw": "a graph of {} links a clip, walked with {} in hand",
    "ivf": "{} cells, {} searched",
}
LARGEST_HALF = 65504.0
_EF_CONSTRUCTION = 200
_SETTINGS = threading.Lock()  # of faiss, which are one for all threads
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
        if self.structure == "hnsw" and (self.size < 2 or self.effort < 1):
            raise ValueError(f"{self.name}: a graph takes at least 2 links a clip and 1 in hand")
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
            f"search {search!r} is unknown: {f'did you mean {near!r}? ' if near else ''}Use one of "
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
        letters, number, bits = re.match(r"([a-z]*)([0-9]*)(x[0-9]+)?", word).groups()
        near = difflib.get_close_matches(letters, _WORDS, 1)
        if near:
            parts.append(near[0] + ((number or _WORDS[near[0]]) if _WORDS[near[0]] else "") + (bits or ""))
    for first, second in _FOLLOWS.items():
        at = next((i for i, part in enumerate(parts) if part.startswith(first)), None)
        if at is not None and not any(part.startswith(second) for part in parts):
            parts.insert(at + 1, second + _WORDS[second])
    found = _NAME.fullmatch("-".join(parts))
    return _method(found).name if found else parts[0]


def missing() -> str:
    """What is to be installed before an approximate search can run; empty if nothing is."""
    return "" if importlib.util.find_spec("faiss") else "faiss: pip install -e '.[scale]'"


def load_faiss():
    """Import faiss. ImportError with the mend if it isn't there."""
    if lacking := missing():
        raise ImportError(f"approximate searches need {lacking}")
    return importlib.import_module("faiss")


class FaissIndex:
    """Clips in a structure of faiss, by row.

    Parameters
    ----------
    index : faiss.Index
    method : Method
    dim : int
        Of the embeddings.
    exponent : int
        Embeddings are divided by this power of two, so that half precision can hold them.
    """

    def __init__(self, index, method: Method, dim: int, exponent: int):
        self.index, self.method, self.dim, self.exponent = index, method, dim, exponent
        if method.structure == "ivf":
            index.nprobe = method.effort
        elif method.structure == "hnsw":
            index.hnsw.efSearch = method.effort

    @classmethod
    def build(cls, x: np.ndarray, method: Method) -> "FaissIndex":
        """Learn what the method learns from some clips, and take these in.

        Raises
        ------
        ValueError
            If there are too few clips for the method, or a value isn't finite.
        """
        n_clips, dim = x.shape
        require_finite(x, "embeddings")
        if n_clips < method.least_clips:
            raise ValueError(
                f"{method.name} learns {method.least_clips} centroids, but there are {n_clips} clips: "
                f"use smaller numbers, or {method.exact} alone"
            )
        if method.pieces > dim:
            raise ValueError(
                f"{method.name} cuts {dim} dimensions into {method.pieces} pieces: use at most pq{dim}"
            )
        largest = 1.0 if method.exact == "mcss" else np.abs(x).max(initial=0)
        built = cls(_new(method, dim), method, dim, int(np.frexp(largest)[1]))
        with _steady(n_threads=1):
            built.index.train(built._vectors(x))
        built.add(x)
        return built

    def __len__(self) -> int:
        return self.index.ntotal

    def add(self, x: np.ndarray) -> None:
        """Take more clips in, in the cells and by the codes that have been learnt."""
        vectors = self._vectors(x)
        if self.method.half and np.abs(vectors).max(initial=0) > LARGEST_HALF:
            raise ValueError(
                f"a value of {np.abs(x).max():.3g} is beyond half precision here, which holds up to "
                f"{np.ldexp(LARGEST_HALF, self.exponent):.3g}: build the index anew with these clips"
            )
        with _steady(n_threads=1):  # the links of a graph depend on the order in which clips come
            self.index.add(vectors)

    def search(self, x: np.ndarray, n: int, alive: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the best clips of each vector, equal scores by row.

        Parameters
        ----------
        x : np.ndarray [shape=(n_queries, dim)]
        n : int
        alive : np.ndarray [shape=(n_clips,), dtype=bool], optional
            Which clips may be found; by default all.

        Returns
        -------
        rows : np.ndarray [shape=(n_queries, n), dtype=int32]
            -1 where nothing more was found.
        scores : np.ndarray [shape=(n_queries, n), dtype=float32]
            As in `search.Ranking`, of the vectors as they are kept; nan beside -1.
        """
        faiss = load_faiss()
        options, n_dead = None, 0
        if alive is not None and not alive.all():
            if self.method.structure == "flat" and self.method.pieces:  # takes no selection
                n_dead = int(np.count_nonzero(~alive))
            else:
                chosen = faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))
                options = self._options(faiss, chosen)
        vectors, n_found = self._vectors(x), int(min(n + n_dead, len(self)))
        with _steady():
            parts = [
                self.index.search(block, n_found, params=options)
                for block in blocks(vectors, self._at_once) or [vectors]
            ]
        found, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
        absent = rows < 0 if alive is None else (rows < 0) | ~alive[rows]
        worse = found if self.method.exact == "nns" else -found
        worse = np.where(absent, np.inf, worse)
        order = np.lexsort((rows, worse), axis=1)[:, :n]
        rows, worse = (np.take_along_axis(each, order, axis=1) for each in (rows, worse))
        return _padded(np.where(np.isinf(worse), -1, rows), n, -1), _padded(self._scores(worse), n, np.nan)

    def rank(self, x: np.ndarray, rows: np.ndarray, top_n: int, groups: np.ndarray | None = None) -> Ranking:
        """Ranking for some of the clips themselves, without themselves and their groups; see `search.rank`.

        Parameters
        ----------
        x : np.ndarray [shape=(n_clips, dim)]
            The clips that the index was built from.
        rows, top_n, groups
            As in `search.rank`. Where the structure finds fewer than `top_n`, the rest is -1.
        """
        groups = np.arange(len(x)) if groups is None else np.asarray(groups)
        sizes = np.unique(groups, return_counts=True)[1][np.unique(groups, return_inverse=True)[1]][rows]
        neighbours = np.full((len(rows), top_n), -1, np.int32)
        scores = np.full((len(rows), top_n), np.nan, np.float32)
        for size in np.unique(sizes).tolist():  # so many more are asked for as have to be left out
            at = np.flatnonzero(sizes == size)
            found, score = self.search(x[rows[at]], min(top_n + size, len(x)))
            own = (groups[found] == groups[rows[at]][:, None]) | (found < 0)
            order = np.argsort(own, axis=1, kind="stable")[:, :top_n]
            found[own], score[own] = -1, np.nan
            neighbours[at, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
            scores[at, : order.shape[1]] = np.take_along_axis(score, order, axis=1)
        return Ranking(neighbours, scores, ties="row order among what was found")

    def to_bytes(self) -> np.ndarray:
        """The structure in faiss's own format: uint8 [n_bytes]."""
        faiss = load_faiss()
        return faiss.serialize_index(self.index)

    @classmethod
    def from_bytes(cls, content: np.ndarray, method: Method, dim: int, exponent: int) -> "FaissIndex":
        """Read what `to_bytes` gave. ValueError if it isn't that of this method and dimension."""
        faiss = load_faiss()
        expected = _new(method, dim)
        try:
            index = faiss.deserialize_index(content)
        except RuntimeError as error:
            raise ValueError(f"not an index of faiss: {str(error).splitlines()[-1]}") from None
        fits = isinstance(index, type(expected)) and _facts(index) == _facts(expected)
        if not fits or not index.is_trained:
            kinds = [f"{type(one).__name__} of {one.d} dimensions" for one in (index, expected)]
            raise ValueError(f"holds a {kinds[0]}, not the {kinds[1]} that {method.name} has")
        return cls(index, method, dim, exponent)

    def _vectors(self, x: np.ndarray) -> np.ndarray:
        """Embeddings as faiss takes them: float32, normalised for a cosine, padded for pieces."""
        require_finite(x, "embeddings")
        if x.shape[1] != self.dim:
            raise ValueError(f"embeddings of {x.shape[1]} dimensions don't fit an index of {self.dim}")
        x = np.asarray(x, np.float64)
        x = l2_normalize(x) if self.method.exact == "mcss" else np.ldexp(x, -self.exponent)
        return np.ascontiguousarray(np.pad(x, ((0, 0), (0, self.index.d - self.dim))), np.float32)

    @property
    def _at_once(self) -> int:
        """How many queries may be searched together: of wide pieces, BLAS rounds them by their number."""
        wide = self.method.structure == "flat" and self.method.pieces and self.index.pq.dsub >= 16
        return 1 if wide else 65536

    def _scores(self, worse: np.ndarray) -> np.ndarray:
        """Scores in the terms of the search from what faiss orders by; nan where that is infinite."""
        worse = np.where(np.isinf(worse), np.nan, worse).astype(np.float32)
        if self.method.exact == "nns":
            return scaled(np.sqrt(np.maximum(worse, 0)), self.exponent)
        return scaled(-worse, 2 * self.exponent if self.method.exact == "mips" else 0)

    def _options(self, faiss, chosen):
        if self.method.structure == "ivf":
            return faiss.SearchParametersIVF(sel=chosen, nprobe=self.method.effort)
        if self.method.structure == "hnsw":
            return faiss.SearchParametersHNSW(sel=chosen, efSearch=self.method.effort)
        return faiss.SearchParameters(sel=chosen)


def rank(
    x: np.ndarray, method: Method, rows: np.ndarray, top_n: int, groups: np.ndarray | None = None
) -> Ranking:
    """Approximate ranking of the corpus for each query; see `search.rank`, which calls it."""
    return FaissIndex.build(x, method).rank(x, rows, top_n, groups)


def _padded(values: np.ndarray, n: int, by: float) -> np.ndarray:
    values = values[:, :n].astype(np.int32 if by == -1 else np.float32)
    return np.pad(values, ((0, 0), (0, n - values.shape[1])), constant_values=by)


def _quantiser(index):
    """Return the product quantiser of an index of faiss; None if it has none."""
    faiss = load_faiss()
    keeper = faiss.downcast_index(index.storage) if hasattr(index, "storage") else index
    return getattr(keeper, "pq", None)


def _facts(index) -> tuple:
    """Return what tells indexes of one type from each other."""
    pq = _quantiser(index)
    return index.d, index.metric_type, getattr(index, "nlist", 0), (pq.M, pq.nbits) if pq else ()


def _new(method: Method, dim: int):
    """Return an empty index of faiss."""
    faiss = load_faiss()
    kept, width = "Flat", dim
    if method.half:
        kept = "SQfp16"
    elif method.pieces:
        kept, width = f"PQ{method.pieces}x{method.bits}np", -(-dim // method.pieces) * method.pieces
    structure = {"flat": "", "hnsw": f"HNSW{method.size},", "ivf": f"IVF{method.size},"}[method.structure]
    metric = faiss.METRIC_L2 if method.exact == "nns" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(width, structure + kept, metric)
    if method.structure == "hnsw":
        index.hnsw.efConstruction = _EF_CONSTRUCTION
    learners = [index] if method.structure == "ivf" else []
    if method.pieces:
        learners.append(_quantiser(index))
    for learner in learners:
        learner.cp.min_points_per_centroid = 1  # it warns on a stream that nobody reads
    return index


@contextlib.contextmanager
def _steady(n_threads: int | None = None) -> Iterator[None]:
    """Let faiss compute each query by itself: BLAS rounds by what is multiplied together.

    Parameters
    ----------
    n_threads : int, optional
        By default as many as faiss has.
    """
    faiss = load_faiss()
    with _SETTINGS, threadpoolctl.threadpool_limits(1, user_api="blas"):
        before = faiss.cvar.distance_compute_blas_threshold, faiss.omp_get_max_threads()
        faiss.cvar.distance_compute_blas_threshold = 2**31 - 1
        faiss.omp_set_num_threads(n_threads or before[1])
        try:
            yield
        finally:
            faiss.cvar.distance_compute_blas_threshold = before[0]
            faiss.omp_set_num_threads(before[1])
