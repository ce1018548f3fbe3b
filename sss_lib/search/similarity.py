"""Similarity of clips to a corpus, piece by piece: larger is better, and what is equal stays equal.

Every search is a maximum inner product search over suitable vectors: the cosine is the inner product of unit
vectors, and the nearest y to x maximises x.y - |y|^2 / 2. A matrix product rounds by its shape, so every
product here has one shape, `TILE` clips and as many queries, with zeros where there are no more: then no
score depends on how many queries and clips are compared at a time.
"""

import copy
import functools
from collections.abc import Iterator

import numpy as np

from sss_lib.processing import processing
from sss_lib.processing.processing import l2_normalize, require_finite

SEARCHES = {
    "nns": "nearest neighbours by Euclidean distance",
    "mips": "maximum inner product",
    "mcss": "maximum cosine similarity",
}
TILE = 256
"""Queries and clips of one matrix product."""
FEW = 16
"""Queries of one matrix product where they come from outside: often there is one, and someone waits."""
BLOCKS = (256, 8192)
"""Queries and clips whose similarities are held at a time, in each thread."""


class Similarities:
    """Similarity of some clips to every clip of the corpus: larger is better, and identical clips are equal.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        May be memory-mapped; one copy in float32 is made.
    search : str
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of one group are out of each other's reach.

    Examples
    --------
    >>> Similarities(np.array([[1.0], [2.0], [2.0]]), "mips")(np.array([0, 1]))
    array([[-inf,   2.,   2.],
           [  2., -inf,   4.]], dtype=float32)
    """

    def __init__(self, x: np.ndarray, search: str, groups: np.ndarray | None = None):
        require_known_search(search)
        require_finite(x, "embeddings")
        if not len(x):
            raise ValueError("0 clips can't be searched: give at least one")
        if groups is not None and len(groups) != len(x):
            raise ValueError(f"{len(groups)} groups don't match {len(x)} clips: give each clip its group")
        self.x, self.search, self.n_clips = x, search, len(x)
        # Identical vectors are multiplied once, so that no rounding parts them.
        first, self.group = unique_rows(x)
        self.first, self.group_of_query = first, self.group
        self.distinct = len(first) == len(x)
        self.copies = None if self.distinct else _Members(self.group)
        self.own = None if groups is None else _Members(np.unique(groups, return_inverse=True)[1])
        self.exponent = 0 if search == "mcss" else excess_exponent(x)
        self.corpus = np.zeros((len(first) + -len(first) % TILE, x.shape[1] + (search == "nns")), np.float32)
        self.centre = _fill_corpus(self.corpus, x, first, search, self.exponent)
        self.outside: np.ndarray | None = None
        self.exponent_of_query = np.zeros(len(x), int)

    def asked_by(self, outside: np.ndarray) -> "Similarities":
        """The same clips, prepared once, for sounds that are none of them.

        These query, by their row, and each reaches every clip. What is similar to one depends on the clips
        and on itself alone.

        Parameters
        ----------
        outside : np.ndarray [shape=(n_queries, dim)]

        Examples
        --------
        >>> clips = Similarities(np.array([[1.0], [2.0], [2.0]]), "mips")
        >>> clips.asked_by(np.array([[3.0]]))(np.array([0]))
        array([[3., 6., 6.]], dtype=float32)
        """
        require_finite(outside, "embeddings")
        if outside.shape[1] != self.x.shape[1]:
            raise ValueError(
                f"sounds of {outside.shape[1]} dimensions don't fit clips of {self.x.shape[1]}: "
                "process them with what was fitted on the clips"
            )
        asked = copy.copy(self)
        asked.group_of_query = self._equal_to(outside)
        values = _placed(np.ldexp(outside.astype(np.float64), -self.exponent), self.search, self.centre)
        asked.outside, asked.exponent_of_query = _from_outside(values, self.search)
        return asked

    def _equal_to(self, outside: np.ndarray) -> np.ndarray:
        """Group of the clips that each sound equals, or -1: int [n_queries]."""
        digests, order = self._by_digest
        with np.errstate(over="ignore", invalid="ignore"):
            place = np.searchsorted(digests, _digests(outside.astype(self.x.dtype)))
        group = order[np.minimum(place, len(order) - 1)]
        return np.where((self.x[self.first[group]] == outside).all(axis=1), group, -1)

    @functools.cached_property
    def _by_digest(self) -> tuple[np.ndarray, np.ndarray]:
        """Digests of the groups of clips, sorted, and whose each is."""
        starts = range(0, len(self.first), 4096)
        digests = np.concatenate([_digests(self.x[self.first[start : start + 4096]]) for start in starts])
        order = np.argsort(digests)
        return digests[order], order

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Similarity of these queries to all: float32 [n_rows, n_clips], -inf to itself and its group."""
        whole = np.empty((len(rows), self.n_clips), np.float32)
        for columns, similarity in self.bands(rows):
            whole[:, columns] = similarity
        return whole

    def bands(
        self, rows: np.ndarray, among: np.ndarray | None = None, width: int = BLOCKS[1]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Similarity of these queries to all, some clips after the other.

        Parameters
        ----------
        rows : np.ndarray [shape=(n_rows,), dtype=int]
            Of the clips, or of `outside`.
        among : np.ndarray [shape=(n,), dtype=int], optional
            The clips to compare with, in row order; by default all.
        width : int
            About how many clips at a time. It changes no similarity.

        Yields
        ------
        columns : np.ndarray [shape=(n_columns,), dtype=int]
            Rows of the corpus, in order; each is in one band alone.
        similarity : np.ndarray [shape=(n_rows, n_columns), dtype=float32]
            -inf between a clip and itself or its group. The next band overwrites it.
        """
        if self.n_clips < 2 and self.outside is None:
            raise ValueError(
                f"a corpus of {self.n_clips} clip(s) can't be searched by its clips: it takes two"
            )
        n_at_once = TILE if self.outside is None else FEW
        queries = np.zeros((len(rows) + -len(rows) % n_at_once, self.corpus.shape[1]), np.float32)
        queries[: len(rows)] = self._vectors(rows)
        if width < 1:
            raise ValueError(f"{width} clips at a time: take at least one")
        width = max(width // TILE, 1) * TILE
        # Lines that are not a power of two apart share the cache better.
        buffer = np.empty((len(queries), width + 16), np.float32)
        who, own = self._own(rows)
        for columns, vectors, take in self._pieces(among, width):
            for i in range(0, len(queries), n_at_once):
                few = slice(i, i + n_at_once)
                for j in range(0, len(vectors), TILE):
                    np.matmul(queries[few], vectors[j : j + TILE].T, out=buffer[few, j : j + TILE])
            similarity = buffer[: len(rows), : len(columns)] if take is None else buffer[: len(rows), take]
            near = slice(*np.searchsorted(own, [columns[0], columns[-1] + 1]))
            place = np.searchsorted(columns, own[near])
            there = columns[place] == own[near]
            similarity[who[near][there], place[there]] = -np.inf
            yield columns, similarity

    def of(self, rows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
        """Similarity of each query to some clips of its own: float32 [n_rows, n], also to itself.

        It is summed in another order than those of all clips, and may differ from them in the last bits.
        """
        return np.einsum("ij,ikj->ik", self._vectors(rows), self.corpus[self.group[neighbours]])

    def _vectors(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of these queries, to multiply those of the corpus by."""
        if self.outside is not None:
            return self.outside[rows]
        return as_queries(self.corpus[self.group[rows]], self.search)

    def _pieces(
        self, among: np.ndarray | None, width: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Clips, the vectors to multiply for them, and which product is whose (None: in order)."""
        n_distinct = self.n_clips if self.copies is None else len(self.copies.starts) - 1
        if among is not None:
            for start in range(0, len(among), width):
                columns = among[start : start + width]
                vectors = np.zeros((len(columns) + -len(columns) % TILE, self.corpus.shape[1]), np.float32)
                vectors[: len(columns)] = self.corpus[self.group[columns]]
                yield columns, vectors, None
            return
        for start in range(0, n_distinct, width):
            stop = min(start + width, n_distinct)
            vectors = self.corpus[start : start + width]
            if self.copies is None:
                yield np.arange(start, stop), vectors, None
            else:
                columns = np.sort(self.copies.of_range(start, stop))
                yield columns, vectors, self.group[columns] - start

    def _own(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What isn't compared: places in `rows`, and clips, in row order of these."""
        if self.outside is not None:
            return np.empty(0, int), np.empty(0, int)
        if self.own is None:
            who, own = np.arange(len(rows)), np.asarray(rows)
        else:
            who, own = self.own.of_each(rows)
        order = np.argsort(own, kind="stable")
        return who[order], own[order]

    def to_scores(self, rows: np.ndarray, neighbours: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """Scores in the terms of the search: distances for nns, the similarity itself otherwise.

        Raises ValueError if one is beyond what float32 can hold.
        """
        if self.search == "mcss":
            return similarity
        exponent = self.exponent_of_query[rows][:, None]
        if self.search == "mips":
            return scaled(similarity, 2 * self.exponent + exponent)
        vectors = self._vectors(rows)[:, :-1]
        square = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        similarity = np.ldexp(similarity, -exponent)
        distance = np.sqrt(np.maximum(square[:, None] - 2 * similarity, 0)).astype(np.float32)
        distance[self.group[neighbours] == self.group_of_query[rows][:, None]] = 0
        return scaled(distance, self.exponent + exponent)


class _Members:
    """The clips of each of some groups, in row order."""

    def __init__(self, group: np.ndarray):
        self.group = group
        self.clips = np.argsort(group, kind="stable")
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(group))])

    def of_range(self, start: int, stop: int) -> np.ndarray:
        """Clips of the groups from one to before another."""
        return self.clips[self.starts[start] : self.starts[stop]]

    def of_each(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Clips of the group of each of these rows: places in `rows`, and clips."""
        of_rows = self.group[rows]
        sizes = np.diff(self.starts)[of_rows]
        who = np.repeat(np.arange(len(rows)), sizes)
        place = np.arange(len(who)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return who, self.clips[self.starts[of_rows][who] + place]


def inner_product_form(x: np.ndarray, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (left, right) such that left[i] . right[j] ranks the corpus j for query i as `search` does.

    Returns
    -------
    left, right : np.ndarray [shape=(n_clips, dim or dim + 1), dtype=float32]
        Larger inner products are better.
    """
    require_known_search(search)
    require_finite(x, "embeddings")
    right = np.empty((len(x), x.shape[1] + (search == "nns")), np.float32)
    _fill_corpus(right, x, np.arange(len(x)), search, 0)
    return as_queries(right, search), right


def as_queries(corpus: np.ndarray, search: str) -> np.ndarray:
    """Vectors to multiply those of a corpus by, of these clips of it."""
    if search != "nns":
        return corpus
    queries = corpus.copy()
    queries[:, -1] = 1
    return queries


def _from_outside(values: np.ndarray, search: str) -> tuple[np.ndarray, np.ndarray]:
    """Vectors to multiply those of a corpus by, of sounds that are none of it, placed as it is.

    Each is over a power of two of its own, which is returned too: so the largest leaves the others as they
    are. Beside the squared lengths that nns takes off, what is small is so already.
    """
    exponent = processing.excess_exponent(np.abs(values).max(axis=1, initial=0), 50)
    if search == "nns":
        exponent = np.maximum(exponent, 0)
        values = np.hstack([values, np.ones((len(values), 1))])
    return np.ldexp(values, -exponent[:, None]).astype(np.float32), exponent


def _placed(values: np.ndarray, search: str, centre: np.ndarray | float) -> np.ndarray:
    """Embeddings where a search compares them: from the centre for nns, of unit length for mcss."""
    if search == "mcss":
        return l2_normalize(values.astype(np.float64))
    return values - centre if search == "nns" else values


def _fill_corpus(
    corpus: np.ndarray, x: np.ndarray, rows: np.ndarray, search: str, exponent: int
) -> np.ndarray | float:
    """Write the right side of `inner_product_form` of x[rows] / 2**exponent, a few clips at a time.

    Returns the centre that was taken off.
    """

    def parts(size: int = 4096) -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(rows), size):
            part = slice(start, min(start + size, len(rows)))
            yield part, np.ldexp(x[rows[part]], -exponent)

    centre: np.ndarray | float = 0.0
    if search == "nns":
        # Distances don't change when the mean is taken off, and rounding shrinks with the length. The mean
        # is rounded to a power of two, so that embeddings on a grid stay on it and their ties stay ties.
        sums = [(v.sum(axis=0, dtype=np.float64), v.min(axis=0), v.max(axis=0)) for _, v in parts()]
        total, least, most = map(np.array, zip(*sums, strict=True))
        mean = total.sum(axis=0) / len(rows)
        reach = np.maximum(most.max(axis=0) - mean, mean - least.min(axis=0)).max()
        step = np.exp2(np.floor(np.log2(reach or 1)))
        centre = step * np.round(mean / step)
    for part, values in parts():
        placed = _placed(values, search, centre)
        corpus[part, : x.shape[1]] = placed
        if search == "nns":
            corpus[part, -1] = -np.einsum("ij,ij->i", placed, placed) / 2
    return centre


def excess_exponent(x: np.ndarray) -> int:
    """Return the power of two to divide by, so that float32 can square the largest value and add many up.

    Examples
    --------
    >>> excess_exponent(np.array([[-3.0, 1e12]])), excess_exponent(np.array([[2.0**60]]))
    (0, 11)
    """
    return int(processing.excess_exponent(max(x.max(initial=0), -x.min(initial=0)), 50))


def scaled(scores: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """Scores times powers of two; ValueError if float32 can't hold one."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(scores, exponent)
    beyond = np.isinf(scaled) & np.isfinite(scores)
    if beyond.any():
        of_it = np.broadcast_to(exponent, scores.shape)[beyond][0]
        raise ValueError(
            f"a score of {scores[beyond][0]:.3g} x 2**{of_it} is beyond float32: scale the embeddings "
            "towards 1 first"
        )
    return scaled


def require_known_search(search: str) -> None:
    """Raise ValueError if there is no such search."""
    if search not in SEARCHES:
        raise ValueError(f"search {search!r} is unknown: use one of {', '.join(SEARCHES)}")


def unique_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each distinct vector, and which of those each row equals.

    Returns
    -------
    first : np.ndarray [shape=(n_distinct,), dtype=int]
        In increasing order.
    group : np.ndarray [shape=(n_clips,), dtype=int]
        x[first[group]] equals x.

    Examples
    --------
    >>> unique_rows(np.array([[5.0], [1.0], [5.0]]))
    (array([0, 1]), array([0, 1, 0]))
    """
    pieces = [x[start : start + 4096] for start in range(0, len(x), 4096)]
    first, group = _first_and_group(np.concatenate([_digests(piece) for piece in pieces]))
    copies = np.flatnonzero(first[group] != np.arange(len(x)))
    for start in range(0, len(copies), 65536):
        part = copies[start : start + 65536]
        if (x[part] != x[first[group[part]]]).any():  # as good as never: equal digests of unequal rows
            rows = np.ascontiguousarray(x) + 0.0
            return _first_and_group(rows.view(np.dtype((np.void, rows[:1].nbytes))).ravel())
    return first, group


def _first_and_group(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`unique_rows` of what stands for them."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return first[order], position[group]


def _digests(x: np.ndarray) -> np.ndarray:
    """64 bits of each row: equal rows have equal ones, others all but surely not."""
    rows = np.ascontiguousarray(x) + 0.0  # so that -0.0 equals 0.0
    eights = rows.shape[1] * rows.dtype.itemsize % 8 == 0
    bits = rows.view(np.uint64 if eights else f"u{rows.dtype.itemsize}").astype(np.uint64, copy=False)
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(32)
    odd = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64) * np.uint64(2) + 1
    return bits @ odd
