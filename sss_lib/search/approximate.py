"""Approximate searches, through indexes of faiss; see `naming` for their names.

Training has a fixed seed, indexes are built on one thread, and each query is computed by itself. So results
depend neither on the number of threads nor on which queries are asked together.
"""

import contextlib
import functools
import importlib
import importlib.util
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import threadpoolctl

from sss_lib.processing.checks import in_single_precision, require_finite
from sss_lib.processing.scaling import l2_normalize
from sss_lib.search.naming import Method
from sss_lib.search.ranking import Ranking, blocks, without
from sss_lib.search.whole_numbers import scaled

LARGEST_HALF = 65504.0
_EF_CONSTRUCTION = 200
_SETTINGS = threading.Lock()  # of faiss, which are one for all threads


def missing() -> str:
    """What an approximate search needs and isn't installed, with the command that installs it; else ""."""
    return "" if importlib.util.find_spec("faiss") else "faiss: pip install -e '.[scale]'"


def load_faiss() -> ModuleType:
    """Import faiss; ImportError with the command that installs it."""
    if lacking := missing():
        raise ImportError(f"approximate searches need {lacking}")
    return importlib.import_module("faiss")


class FaissIndex:
    """Clips in an index of faiss, by row.

    Parameters
    ----------
    index : faiss.Index
    method : Method
    dim : int
        Of the embeddings.
    exponent : int
        Embeddings are divided by this power of two, so that half precision can hold them.
    """

    def __init__(self, index: Any, method: Method, dim: int, exponent: int):
        self.index, self.method, self.dim, self.exponent = index, method, dim, exponent
        load_faiss().ParameterSpace().set_index_parameters(index, method.parameter)

    @classmethod
    def build(cls, x: np.ndarray, method: Method) -> "FaissIndex":
        """Index of some clips, trained on them.

        Parameters
        ----------
        x : np.ndarray [shape=(n_clips, dim)]
        method : Method

        Raises
        ------
        ValueError
            If there are too few clips for the method, or a value isn't finite.
        """
        require_finite(x, "embeddings")
        n_clips, dim = x.shape
        if n_clips < method.least_clips:
            raise ValueError(
                f"{method.name} learns {method.least_clips} centroids, but there are {n_clips} clips: "
                f"use smaller numbers, or {method.exact} alone"
            )
        if method.n_subquantizers > dim:
            raise ValueError(
                f"{method.name} cuts {dim} dimensions into {method.n_subquantizers} "
                f"parts: use at most PQ{dim}"
            )
        largest = 1.0 if method.exact == "mcss" else np.abs(x).max(initial=0)
        built = cls(_new(method, dim), method, dim, int(np.frexp(largest)[1]))
        vectors = built._vectors(x)
        with _one_query_at_a_time(n_threads=1):
            built.index.train(vectors)
        built._add(x, vectors)
        return built

    def __len__(self) -> int:
        return self.index.ntotal

    def add(self, x: np.ndarray) -> None:
        """Add clips; what was trained stays."""
        require_finite(x, "embeddings")
        self._add(x, self._vectors(x))

    def _add(self, x: np.ndarray, vectors: np.ndarray) -> None:
        if self.method.code == "SQfp16" and np.abs(vectors).max(initial=0) > LARGEST_HALF:
            raise ValueError(
                f"a value of {np.abs(x).max():.3g} is beyond half precision here, which holds up to "
                f"{np.ldexp(LARGEST_HALF, self.exponent):.3g}: build the index again with these clips"
            )
        with _one_query_at_a_time(n_threads=1):  # the links of HNSW depend on the order in which clips come
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
        require_finite(x, "embeddings")
        options, n_dead = None, 0
        if alive is not None and not alive.all():
            if self._is_flat_pq:  # takes no selection: ask for as many more as are deleted
                n_dead = int(np.count_nonzero(~alive))
            else:
                options = self._among(alive)
        vectors, n_found = self._vectors(x), int(min(n + n_dead, len(self)))
        with _one_query_at_a_time():
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
        parts = ((size, np.flatnonzero(sizes == size)) for size in np.unique(sizes).tolist())
        for size, at in ((size, block) for size, of_size in parts for block in blocks(of_size, 16384)):
            # So many more are asked for as have to be left out.
            found, score = self.search(x[rows[at]], min(top_n + size, len(x)))
            own = (groups[found] == groups[rows[at]][:, None]) | (found < 0)
            kept, n = without(found, score, own, top_n), min(top_n, found.shape[1])
            neighbours[at, :n], scores[at, :n] = kept.neighbours, kept.scores
        return Ranking(neighbours, scores, ties="row order among what was found")

    def to_bytes(self) -> np.ndarray:
        """The index in faiss's own format: uint8 [n_bytes]."""
        return load_faiss().serialize_index(self.index)

    @classmethod
    def from_bytes(cls, content: np.ndarray, method: Method, dim: int, exponent: int) -> "FaissIndex":
        """Read what `to_bytes` wrote; ValueError if it is of another method or dimension."""
        expected = _new(method, dim)
        try:
            index = load_faiss().deserialize_index(content)
        except RuntimeError as error:
            raise ValueError(f"not an index of faiss: {str(error).splitlines()[-1]}") from None
        fits = isinstance(index, type(expected)) and _sizes(index) == _sizes(expected)
        if not fits or not index.is_trained:
            kinds = [f"{type(one).__name__} of {one.d} dimensions" for one in (index, expected)]
            raise ValueError(f"holds a {kinds[0]}, not the {kinds[1]} that {method.name} has")
        return cls(index, method, dim, exponent)

    def _vectors(self, x: np.ndarray) -> np.ndarray:
        """Embeddings as faiss takes them: float32, of unit length for mcss, padded to a multiple for PQ."""
        if x.shape[1] != self.dim:
            raise ValueError(f"embeddings of {x.shape[1]} dimensions don't fit an index of {self.dim}")
        if x.dtype != np.float64:
            x = x.astype(np.float32, copy=False)
        cosine = self.method.exact == "mcss"
        x = l2_normalize(x.astype(np.float64)) if cosine else np.ldexp(x, -self.exponent)
        if self.index.d > self.dim:
            x = np.pad(x, ((0, 0), (0, self.index.d - self.dim)))
        return np.ascontiguousarray(in_single_precision(x, f"embeddings / 2**{self.exponent}"))

    @property
    def _at_once(self) -> int:
        """Queries searched together; each alone where BLAS would round by how many there are."""
        # For subvectors of 16 dimensions and more faiss computes the tables of PQ by a matrix product.
        return 1 if self._is_flat_pq and self.index.pq.dsub >= 16 else 65536

    @property
    def _is_flat_pq(self) -> bool:
        return self.method.structure == "Flat" and self.method.code == "PQ"

    def _scores(self, worse: np.ndarray) -> np.ndarray:
        """Scores in the terms of the search from what faiss orders by; nan where that is infinite."""
        worse = np.where(np.isinf(worse), np.nan, worse).astype(np.float32)
        if self.method.exact == "nns":
            return scaled(np.sqrt(np.maximum(worse, 0)), self.exponent)
        return scaled(-worse, 2 * self.exponent if self.method.exact == "mips" else 0)

    def _among(self, alive: np.ndarray) -> Any:
        """Options of a search among some clips alone."""
        faiss = load_faiss()
        chosen = faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))
        if self.method.structure == "IVF":
            return faiss.SearchParametersIVF(sel=chosen, nprobe=self.method.n_probe)
        if self.method.structure == "HNSW":
            return faiss.SearchParametersHNSW(sel=chosen, efSearch=self.method.ef_search)
        return faiss.SearchParameters(sel=chosen)


def rank(
    x: np.ndarray, method: Method, rows: np.ndarray, top_n: int, groups: np.ndarray | None = None
) -> Ranking:
    """Approximate ranking of the corpus for each query; see `search.rank`, which calls it."""
    return FaissIndex.build(x, method).rank(x, rows, top_n, groups)


def _padded(values: np.ndarray, n: int, by: float) -> np.ndarray:
    values = values[:, :n].astype(np.int32 if by == -1 else np.float32)
    return np.pad(values, ((0, 0), (0, n - values.shape[1])), constant_values=by)


def _quantiser(index: Any) -> Any:
    """Product quantiser of an index of faiss; None if it has none."""
    storage = load_faiss().downcast_index(index.storage) if hasattr(index, "storage") else index
    return getattr(storage, "pq", None)


def _sizes(index: Any) -> tuple:
    """What tells indexes of one type apart."""
    pq = _quantiser(index)
    return index.d, index.metric_type, getattr(index, "nlist", 0), pq and (pq.M, pq.nbits)


def _new(method: Method, dim: int) -> Any:
    """Empty index of faiss; PQ takes a multiple of its subquantizers as the dimension."""
    faiss = load_faiss()
    m = method.n_subquantizers or 1
    metric = faiss.METRIC_L2 if method.exact == "nns" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(-(-dim // m) * m, method.factory, metric)
    if method.m:
        index.hnsw.efConstruction = _EF_CONSTRUCTION
    for trained in (index, _quantiser(index)):
        if hasattr(trained, "cp"):
            trained.cp.min_points_per_centroid = 1  # else k-means warns of few clips on stderr
    return index


@contextlib.contextmanager
def _one_query_at_a_time(n_threads: int | None = None) -> Iterator[None]:
    """Let faiss compute each query by itself: BLAS rounds a product by the shapes of its matrices.

    Parameters
    ----------
    n_threads : int, optional
        By default as many as faiss has.
    """
    faiss = load_faiss()
    with _SETTINGS, _blas().limit(limits=1):
        before = faiss.cvar.distance_compute_blas_threshold, faiss.omp_get_max_threads()
        faiss.cvar.distance_compute_blas_threshold = 2**31 - 1
        faiss.omp_set_num_threads(n_threads or before[1])
        try:
            yield
        finally:
            faiss.cvar.distance_compute_blas_threshold = before[0]
            faiss.omp_set_num_threads(before[1])


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    """BLAS of faiss, which is loaded already, and of numpy: to look for them takes milliseconds."""
    return threadpoolctl.ThreadpoolController().select(user_api="blas")
