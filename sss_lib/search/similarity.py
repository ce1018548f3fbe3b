"""Exact similarity of clips to a corpus: whole numbers give the order, and float32 only rules out clips.

Every search is a maximum inner product search. The cosine is the inner product of unit vectors, and the
nearest y to x maximises x.y - |y|^2 / 2.

Rounding in a matrix product depends on the processor, on the BLAS and on the shape of the product. So the
order of results must not depend on it:

1. Vectors are held as whole multiples of powers of two, so that float64 sums inner products without rounding:
   see `corpus`.
2. A float32 product of the same vectors gives an upper bound of each similarity (`Similarities.bands`).
   Only clips whose bound reaches the n-th best are compared exactly (`Similarities.keys`).

Rounding a vector to b bits moves an inner product by at most dim * 2**-26.5 * |x| * |y|. That is less than
the bound of a float32 sum, dim * 2**-24 * |x| * |y| (Higham, Accuracy and Stability of Numerical Algorithms,
eq. 3.5). Vectors that are 2**64 times smaller than the largest value of the corpus lose bits beyond that.
"""

from collections.abc import Iterator

import numpy as np

from sss_lib.search.corpus import SQUARES, Corpus
from sss_lib.search.whole_numbers import round_down, round_up, scaled, shifted

BLOCKS = (128, 16000)
"""Queries and clips whose similarities are held at a time, in each thread.

Lines that are not a power of two apart share the cache better.
"""
TINY = float(np.finfo(np.float32).tiny)
"""What a bound in float32 can lose where it is below the normal numbers, as for a silent query."""

ONE = 2.0**40
"""Cosine 1, in the unit of rounded cosines."""

Keys = tuple[np.ndarray, np.ndarray]
"""Exact similarities, larger is better: their nearest float64, and what that lacks."""


class Similarities(Corpus):
    """Similarity of some clips to every clip of the corpus: exact, and larger is better.

    It is made of what a `Corpus` is.

    Examples
    --------
    >>> Similarities(np.array([[1.0], [2.0], [2.0]]), "mips").keys(np.array([0]), np.array([[1, 2]]))[0]
    array([[0.25, 0.25]])
    """

    def filter_queries(self, rows: np.ndarray) -> np.ndarray:
        """Queries whose product with the corpus are the upper bounds of `bands`: as `corpus` in type."""
        if self.n_clips < 2 and self.outside is None:
            raise ValueError(
                f"a corpus of {self.n_clips} clip(s) can't be searched by its clips: it takes two"
            )
        # The last columns of the product add its error: gamma * |x| * reach, and gamma of the squared length.
        queries = self._queries(rows).astype(self.corpus.dtype)
        queries[:, self.dim] = round_up(self.gamma * np.sqrt(self.query_squares[rows]), queries.dtype)
        if self.search == "nns":
            queries[:, -1] = -np.ldexp(1 - self.gamma, -SQUARES - self.exponents[rows])
        return queries

    def bands(
        self, rows: np.ndarray, among: np.ndarray | None = None, width: int = BLOCKS[1]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Upper bounds of the similarity of these queries to all clips, some clips after the other.

        Parameters
        ----------
        rows : np.ndarray [shape=(n_rows,), dtype=int]
            Of the clips, or of the queries from outside.
        among : np.ndarray [shape=(n,), dtype=int], optional
            The clips to compare with, in row order; by default all.
        width : int
            How many clips at a time. It changes no result.

        Yields
        ------
        columns : np.ndarray [shape=(n_columns,), dtype=int]
            Rows of the corpus, in order; each is in one band alone.
        upper : np.ndarray [shape=(n_rows, n_columns), dtype=float32]
            The exact similarity less the query's `offsets` is at most this, and at least this less `slack`.
            -inf between a clip and itself or its group. The next band overwrites it.
        """
        if width < 1:
            raise ValueError(f"{width} clips at a time: take at least one")
        queries = self.filter_queries(rows)
        n_columns = self.n_clips if among is None else len(among)
        buffer = np.empty(len(rows) * min(width, n_columns), self.corpus.dtype)
        for start in range(0, n_columns, width):
            stop = min(start + width, n_columns)
            columns = np.arange(start, stop) if among is None else among[start:stop]
            vectors = self.corpus[start:stop] if among is None else self.corpus[columns]
            product = buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            upper = np.matmul(queries, vectors.T, out=product).astype(np.float32, copy=False)
            upper[self._places_of_own(rows, columns)] = -np.inf
            yield columns, upper

    def offsets(self, rows: np.ndarray) -> np.ndarray:
        """What `bands` leaves out of a query's similarities, the same for all clips: float64 [n]."""
        return self.from_grid + self._queries(rows)[:, : self.dim] @ self.mean_direction

    def slack(self, rows: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        """How far below its upper bound an exact similarity can be, at most: float64 [n_rows, n].

        Parameters
        ----------
        rows : np.ndarray [shape=(n_rows,), dtype=int]
        columns : np.ndarray [shape=(n_rows, n), dtype=int], optional
            Clips of each query; without them, of all clips: float64 [n_rows, 1].
        """
        reach, square = self.most if columns is None else (self.reach[columns], self.squares[columns])
        error = self.gamma * np.sqrt(self.query_squares[rows])[:, None] * reach
        if self.search == "nns":
            error = error + self.gamma * shifted(square, -1 - self.exponents[rows, None])
        return 2.02 * (error + self.from_grid) + 2 * TINY

    def keys(self, rows: np.ndarray, columns: np.ndarray) -> Keys:
        """Exact similarity of each query to some clips of its own, also to itself: two float64 [n_rows, n].

        The similarity of a query is in its own unit: keys of one query alone can be compared.
        """
        queries, products = self._queries(rows), np.empty(columns.shape)
        n, width = columns.shape[1], self.corpus.shape[1]
        # Enough queries at a time that threads seldom wait for each other, few enough for the cache.
        n_at_once = max(1, 2**18 // max(1, n * self.dim))
        gathered = np.empty((min(n_at_once, len(rows)) * n, width), self.corpus.dtype)
        vectors = np.empty(gathered.shape)  # in float64, as queries are
        for start in range(0, len(rows), n_at_once):
            few = slice(start, start + n_at_once)
            flat = columns[few].ravel()
            vectors[: len(flat)] = np.take(self.corpus, flat, axis=0, out=gathered[: len(flat)], mode="clip")
            of_few = vectors[: len(flat)].reshape(*columns[few].shape, width)
            np.matmul(of_few, queries[few, :, None], out=products[few, :, None])
        products += (queries[:, : self.dim] @ self.mean_direction)[:, None]
        return self._to_keys(products, columns, self.exponents[rows, None])

    def _to_keys(self, products: np.ndarray, columns: np.ndarray, exponent: np.ndarray) -> Keys:
        """Keys from exact inner products."""
        if self.search == "mips":
            return products, np.zeros_like(products)
        square = self.squares[columns]
        if self.search == "mcss":
            square = np.where(square > 0, square, 1)  # the products of silent clips are 0
            return products / np.sqrt(square), np.zeros(products.shape)
        # x.y - |y|^2 / 2 may need more than 53 bits: the rounded difference and its error hold all of it
        # (Knuth, TAOCP 2, section 4.2.2, theorem B).
        half = shifted(square, -1 - exponent)
        key = products - half
        part = key - products
        return key, (products - (key - part)) - (half + part)

    def all_keys(self, rows: np.ndarray, among: np.ndarray | None = None) -> Keys:
        """Exact similarity of these queries to all clips: float64 [n_rows, n_clips], -inf where left out.

        With `among`, to these clips. These are more products than `keys` makes of a few clips: for queries
        whose results the filter can't part.
        """
        queries = self._queries(rows)
        columns = np.arange(self.n_clips) if among is None else among
        key, rest = np.empty((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
        of_mean = (queries[:, : self.dim] @ self.mean_direction)[:, None]
        width = queries.shape[1]
        buffer = np.empty((max(64, 2**16 // width), width))  # in the cache
        for start in range(0, len(columns), len(buffer)):
            band = slice(start, start + len(buffer))
            vectors = buffer[: len(columns[band])]
            vectors[:] = self.corpus[band] if among is None else self.corpus[columns[band]]
            products = queries @ vectors.T
            if of_mean.any():
                products += of_mean
            key[:, band], of_band = self._to_keys(products, columns[None, band], self.exponents[rows, None])
            if self.search == "nns":
                rest[:, band] = of_band
        who, place = self._places_of_own(rows, columns)
        key[who, place], rest[who, place] = -np.inf, 0
        return key, rest

    def cosines(self, rows: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Cosines of keys of mcss as whole multiples of 2**-40: sums of up to 8192 have no rounding."""
        square = self.query_squares[rows, None]
        cosines = key / np.sqrt(np.where(square > 0, square, 1))
        cosines *= ONE
        return np.rint(cosines, out=cosines)

    def compare(
        self, rows: np.ndarray, at: np.ndarray, keys: Keys, width: int = BLOCKS[1]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How many clips are more similar to a query than a key says, and which are as similar.

        Parameters
        ----------
        rows : np.ndarray [shape=(n_rows,), dtype=int]
        at : np.ndarray [shape=(n_keys,), dtype=int]
            Place in `rows` of the query of each key.
        keys : pair of np.ndarray [shape=(n_keys,)]
            From `keys`.

        Returns
        -------
        n_above : np.ndarray [shape=(n_keys,), dtype=int]
        which, clip : np.ndarray [shape=(n_equal,), dtype=int]
            Numbers of keys, and the clips whose similarity to the key's query equals it.
        """
        n_above = np.zeros(len(at), int)
        equal = [(np.empty(0, int), np.empty(0, int))]
        key = keys[0] - self.offsets(rows)[at]
        rounding = 2.0**-52 * np.abs(keys[0]) + TINY
        least = round_down(key - rounding)
        surely = round_up(round_up(key + rounding) + self.slack(rows)[at, 0])
        for columns, upper in self.bands(rows, width=width) if len(at) else ():
            unclear = []
            for k, row in enumerate(at):
                # Bounds below `least` are behind, those beyond `surely` before: few are between.
                before = upper[row] > surely[k]
                n_above[k] += np.count_nonzero(before)
                unclear.append(np.flatnonzero((upper[row] >= least[k]) ^ before))
            number = np.repeat(np.arange(len(at)), list(map(len, unclear)))
            clip = columns[np.concatenate(unclear)]
            if len(clip):
                # Several keys of a query meet the same clips: each pair is multiplied once.
                pair, place = np.unique(at[number] * self.n_clips + clip, return_inverse=True)
                key, rest = np.empty(len(pair)), np.empty(len(pair))
                for start in range(0, len(pair), 2**15):
                    part = slice(start, start + 2**15)
                    row, other = np.divmod(pair[part], self.n_clips)
                    key[part], rest[part] = (one[:, 0] for one in self.keys(rows[row], other[:, None]))
                key, rest, own, own_rest = key[place], rest[place], keys[0][number], keys[1][number]
                above = (key > own) | ((key == own) & (rest > own_rest))
                n_above += np.bincount(number[above], minlength=len(at))
                same = (key == own) & (rest == own_rest)
                equal.append((number[same], clip[same]))
        which, clips = map(np.concatenate, zip(*equal, strict=True))
        return n_above, which, clips

    def to_scores(self, rows: np.ndarray, columns: np.ndarray, keys: Keys) -> np.ndarray:
        """Scores in the terms of the search: distances for nns, the similarity itself otherwise.

        Computed in float64 from the exact keys, and rounded once to float32. Raises ValueError if float32
        can't hold one.
        """
        key, rest = keys
        exponent, square = self.exponents[rows, None], self.query_squares[rows, None]
        if self.search == "mcss":
            return (key / np.sqrt(np.where(square > 0, square, 1))).astype(np.float32)
        if self.search == "mips":
            return scaled(key, 2 * self.exponent + exponent)
        # |x - y|^2 = |x|^2 - 2 (x.y - |y|^2 / 2); the first is over 4**exponent, the others over 2**exponent.
        distance = (square - shifted(key, 1 - exponent)) - shifted(rest, 1 - exponent)
        return scaled(np.sqrt(np.maximum(distance, 0)), self.exponent + exponent)
