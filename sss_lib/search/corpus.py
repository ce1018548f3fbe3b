"""A corpus of clips, and queries to it, as vectors of whole numbers: inner products have no rounding.

A vector is held as whole multiples of a power of two, b = (53 - ceil(log2 dim)) // 2 bits for its largest
value (`whole_numbers.n_bits`). An inner product is then at most dim * 2**(2 b) <= 2**53 units: float64 sums
it without rounding, in any order. Each vector has a unit of its own, so a faint one keeps as many bits as a
loud one.
"""

import copy
from typing import Self

import numpy as np

from sss_lib.processing.checks import require_finite
from sss_lib.search.naming import require_known_search
from sss_lib.search.ranking import in_threads
from sss_lib.search.whole_numbers import centre_of, exponent_of, n_bits, parts, round_up, shifted

FAINTEST = 64
"""Largest exponent below that of the corpus at which a vector has a unit of its own.

With it, products of float32 neither overflow nor underflow: their units are at least 2**(-26 - 64 - 26).
"""
SQUARES = 60
"""Exponent that squared lengths are raised by in float32, so that those of faint vectors don't underflow."""


class Corpus:
    """Clips that are searched, and the queries to them: the clips themselves, or others.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        May be memory-mapped; one copy in float32 is made (float64 below 9 dimensions).
    search : str
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of one group are left out of each other's results.
    """

    def __init__(self, x: np.ndarray, search: str, groups: np.ndarray | None = None):
        require_known_search(search)
        require_finite(x, "embeddings")
        if not len(x):
            raise ValueError("0 clips can't be searched: give at least one")
        if groups is not None and len(groups) != len(x):
            raise ValueError(f"{len(groups)} groups don't match {len(x)} clips: give each clip its group")
        self.search, (self.n_clips, self.dim) = search, x.shape
        self.own = None if groups is None else _Members(np.unique(groups, return_inverse=True)[1])
        self.outside: np.ndarray | None = None  # queries that are none of it, as `_queries` gives them
        # All coordinates are divided by a power of two, after the centre is taken off.
        self.centre, self.exponent = np.zeros(1), 0
        if search != "mcss":
            ends = in_threads(lambda rows: (x[rows].min(axis=0), x[rows].max(axis=0)), parts(x))
            least, most = np.min([one for one, _ in ends], axis=0), np.max([one for _, one in ends], axis=0)
            self.centre = centre_of(x, least, most) if search == "nns" else self.centre
            self.exponent = int(exponent_of(np.abs([least - self.centre, most - self.centre]).max()))
        wide = n_bits(self.dim) > 24  # more than float32 holds
        self.corpus = np.zeros((len(x), self.dim + 1 + (search == "nns")), np.float64 if wide else np.float32)
        self.exponents, self.query_squares = np.empty(len(x), int), np.empty(len(x))

        def take(rows: slice) -> None:
            grid = self._on_grid(x[rows], self.exponent, faintest=FAINTEST)
            self.corpus[rows, : self.dim] = grid
            self.exponents[rows], self.query_squares[rows] = self._as_queries(grid)

        in_threads(take, parts(x))
        self.squares = np.ldexp(self.query_squares, 2 * self.exponents)
        self.reach = lengths = np.sqrt(self.squares)
        # |computed - exact| <= gamma * (|x| * |y| + |y|^2 / 2) for sums in any order, with or without fused
        # multiply-add (Higham, eq. 3.5); 8 for the rounding of what enters, 1 % for terms of second order.
        self.gamma = 1.01 * (self.dim + 8) * 2.0**-24
        self.mean_direction, self.from_grid = np.zeros(self.dim), 0.0
        if search == "mcss":
            # The keys are divided by lengths that are 1 but for the grid; the product isn't.
            self.from_grid = 1.01 * np.abs(lengths[lengths > 0] - 1).max(initial=0)
            self._take_off_mean_direction()
        self.corpus[:, self.dim] = round_up(self.reach, self.corpus.dtype)
        if search == "nns":
            self.corpus[:, -1] = np.ldexp(self.squares, SQUARES - 1)
        self.most = self.reach.max(), self.squares.max()

    def _take_off_mean_direction(self) -> None:
        """Keep what parts directions: those of embeddings that aren't centred are nearly one.

        x.y = x.(y - m) + x.m, and x.m orders nothing. So the error of the filter falls from |y| to |y - m|.
        The mean m is on the grid of the directions: both products stay exact, as |y - m| is at most 1.
        """
        vectors, unit = self.corpus[:, : self.dim], n_bits(self.dim)
        mean = np.rint(np.ldexp(vectors.sum(axis=0, dtype=np.float64) / self.n_clips, unit))
        mean = np.ldexp(mean, -unit)
        if max((vectors.max(axis=0) - mean).max(), (mean - vectors.min(axis=0)).max()) > 0.5:
            return  # they differ much
        self.mean_direction = mean
        vectors -= mean.astype(vectors.dtype)
        self.reach = np.concatenate(in_threads(lambda rows: _lengths(vectors[rows]), parts(vectors)))

    def with_queries(self, outside: np.ndarray) -> Self:
        """The same corpus, prepared once, for queries that are none of it.

        They query by their row, and each reaches every clip. A similarity depends on the clips and on its own
        query alone.

        Parameters
        ----------
        outside : np.ndarray [shape=(n_queries, dim)]

        Examples
        --------
        >>> from sss_lib.search.similarity import Similarities
        >>> corpus = Similarities(np.array([[1.0], [2.0], [2.0]]), "mips")
        >>> rows, columns = np.array([0]), np.array([[0, 1, 2]])
        >>> asked = corpus.with_queries(np.array([[3.0]]))
        >>> asked.to_scores(rows, columns, asked.keys(rows, columns))
        array([[3., 6., 6.]], dtype=float32)
        """
        require_finite(outside, "embeddings")
        if outside.shape[1] != self.dim:
            raise ValueError(
                f"sounds of {outside.shape[1]} dimensions don't fit clips of {self.dim}: "
                "process them with what was fitted on the clips"
            )
        asked = copy.copy(self)
        # A query of mips has a unit of its own, however faint; one of nns is compared in that of the corpus.
        over = self.exponent if self.search == "nns" else 0
        with np.errstate(over="ignore", invalid="ignore"):
            grid = self._on_grid(outside, over, faintest=FAINTEST if self.search == "nns" else None)
        if not np.isfinite(grid).all():
            raise ValueError(f"a query is more than 2**1000 times as far away as clips are, {2.0**over:.3g}")
        asked.exponents, asked.query_squares = self._as_queries(grid)
        asked.outside = shifted(grid, -asked.exponents[:, None])
        asked.exponents = asked.exponents + over - self.exponent
        return asked

    def _on_grid(self, x: np.ndarray, over: int, *, faintest: int | None) -> np.ndarray:
        """Vectors as whole multiples of a unit each, over 2**over: float64 [n, dim]."""
        bits = n_bits(self.dim)
        x = shifted(np.asarray(x, np.float64) - self.centre, -over)
        exponent = exponent_of(np.abs(x).max(axis=1, initial=0))
        if faintest is not None and self.search != "mcss":
            exponent = np.maximum(exponent, -faintest)
        unit = (exponent - bits)[:, None]
        whole = np.rint(shifted(x, -unit))
        if self.search != "mcss":
            return shifted(whole, unit)
        # The squared length is a whole number: its root and the quotient are rounded once, on any processor.
        length = np.sqrt(np.einsum("ij,ij->i", whole, whole))[:, None]
        direction = np.divide(whole, length, out=np.zeros_like(whole), where=length > 0)
        return shifted(np.rint(shifted(direction, bits)), -bits)

    def _as_queries(self, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Exponent of each vector, to divide it by as a query, and the squared length of what is left."""
        exponents = np.zeros(len(grid), int)
        if self.search != "mcss":
            exponents = exponent_of(np.abs(grid).max(axis=1, initial=0)).astype(int)
        queries = shifted(grid, -exponents[:, None])
        return exponents, np.einsum("ij,ij->i", queries, queries)

    def _queries(self, rows: np.ndarray) -> np.ndarray:
        """Queries, each over a power of two of its own, and zeros where the corpus has more: float64."""
        queries = np.zeros((len(rows), self.corpus.shape[1]))
        if self.outside is not None:
            queries[:, : self.dim] = self.outside[rows]
        else:
            queries[:, : self.dim] = shifted(self.corpus[rows, : self.dim], -self.exponents[rows, None])
            queries[:, : self.dim] += self.mean_direction
        return queries

    def _places_of_own(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places in `rows` and in `columns` of what isn't compared: a clip and itself, or its group."""
        if self.outside is not None:
            return np.empty(0, int), np.empty(0, int)
        who, own = (np.arange(len(rows)), rows) if self.own is None else self.own.of_each(rows)
        place = np.minimum(np.searchsorted(columns, own), len(columns) - 1)
        there = columns[place] == own
        return who[there], place[there]


class _Members:
    """The clips of each of some groups, in row order."""

    def __init__(self, group: np.ndarray):
        self.group = group
        self.clips = np.argsort(group, kind="stable")
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(group))])

    def of_each(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Clips of the group of each of these rows: places in `rows`, and clips."""
        of_rows = self.group[rows]
        sizes = np.diff(self.starts)[of_rows]
        who = np.repeat(np.arange(len(rows)), sizes)
        place = np.arange(len(who)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return who, self.clips[self.starts[of_rows][who] + place]


def _lengths(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return np.sqrt(np.einsum("ij,ij->i", x, x))
