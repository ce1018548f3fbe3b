"""Draws of queries and the means that they give, for the bootstrap and the permutation test."""

import functools
from collections.abc import Mapping

import numpy as np
import scipy.sparse

from sss_lib.evaluation.queries import Queries
from sss_lib.evaluation.summary import levels

LEAST_SHARE = 0.25
"""Of the classes of a mean, so many must have queries of two units for its spread to be told."""


def require_options(n_draws: int, confidence: float = 0.95) -> None:
    """Raise ValueError if so many draws, or an interval of that confidence, can't tell anything."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is not between 0 and 1: use 0.95 for 95 %")
    if n_draws < 2:
        raise ValueError(f"n_draws={n_draws} is too few to judge by: use 2000")


def tails(confidence: float) -> list[float]:
    """Percentiles that an interval lies between.

    Examples
    --------
    >>> tails(0.5)
    [25.0, 75.0]
    """
    return [50 * (1 - confidence), 50 * (1 + confidence)]


class Design:
    """Which unit and which mean each query belongs to: a cell is a class, or all micro queries.

    Parameters
    ----------
    class_wise, micro : Queries
    labels : list of str
    families : mapping of str to str, optional
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Group of each clip; by default each is its own.

    Attributes
    ----------
    levels : list of (str, str)
        Level and name of each mean: classes, families, macro, micro.
    answerable : np.ndarray [shape=(n_cells,), dtype=bool]
        Whether any query of the cell has something to find: else its score is 0 or none, and can't vary.
    """

    def __init__(
        self,
        class_wise: Queries,
        micro: Queries,
        labels: list[str],
        families: Mapping[str, str] | None = None,
        groups: np.ndarray | None = None,
    ):
        self.n_cells = len(labels) + 1
        self.cell = np.concatenate([class_wise.label, np.full(len(micro.query), len(labels))])
        clip = np.concatenate([class_wise.query, micro.query])
        if groups is not None and len(clip) and len(groups) <= clip.max():
            raise ValueError(f"{len(groups)} groups don't cover clip {clip.max()}: give each clip its group")
        _, self.unit = np.unique(clip if groups is None else np.asarray(groups)[clip], return_inverse=True)
        self.n_units = int(self.unit.max(initial=-1)) + 1
        self.answerable = np.zeros(self.n_cells, bool)
        self.answerable[self.cell[np.concatenate([class_wise.n_relevant, micro.n_relevant]) > 0]] = True
        found = [*levels(labels, families), ("micro", "all", np.array([len(labels)]))]
        self.levels = [(level, name) for level, name, _ in found]
        self.members = [members for *_, members in found]

    def matrix(self, values: np.ndarray, where: np.ndarray) -> scipy.sparse.csr_array:
        """Sums of values by cell and unit: float32 [n_cells, n_units]."""
        at = self.cell[where], self.unit[where]
        matrix = scipy.sparse.coo_array((values[where], at), (self.n_cells, self.n_units)).tocsr()
        return matrix.astype(np.float32)

    def drawn_weights(self, n_draws: int, seed: int) -> np.ndarray:
        """How often each unit is drawn in each draw: float32 [n_units, n_draws]."""
        return _drawn_weights(self.n_units, n_draws, seed)

    def drawn_signs(self, n_draws: int, seed: int) -> np.ndarray:
        """Whether each unit's systems change places in each draw, 1 or -1: float32 [n_units, n_draws].

        Every way there is, if those are no more than the draws.
        """
        if 2**self.n_units <= n_draws:
            turned = np.arange(2**self.n_units) >> np.arange(self.n_units)[:, None] & 1
        else:
            rng = np.random.default_rng(seed)
            turned = rng.integers(2, size=(self.n_units, n_draws), dtype=np.int8)
        return 1 - 2 * turned.astype(np.float32)


class Means:
    """Mean scores of a design's levels, as observed and in draws.

    A class whose queries are all of one unit doesn't tell how another unit would have done, so that draws of
    a mean over such classes would spread too little. They borrow: each unit that is alone in a class is taken
    to vary as units do about their class's mean elsewhere, alike in all classes that it is alone in, and the
    draws of the mean are spread by as much.

    Parameters
    ----------
    design : Design
    scores : np.ndarray [shape=(n_queries,)]
        Of the class-wise queries, then of the micro ones; nan where there is none.

    Attributes
    ----------
    observed : np.ndarray [shape=(n_levels,)]
        nan where no query has a score.
    has_spread : np.ndarray [shape=(n_levels,), dtype=bool]
        Whether at least `LEAST_SHARE` of its classes have queries of two units.
    borrowed : np.ndarray [shape=(n_levels,)]
        Variance that its classes of one unit add to it.
    """

    def __init__(self, design: Design, scores: np.ndarray):
        answered = np.isfinite(scores)
        self.sums = design.matrix(scores, answered)
        self.counts = design.matrix(np.ones(len(scores)), answered)
        cells, n_cells = design.cell[answered], design.n_cells
        self.n_queries = np.bincount(cells, minlength=n_cells)
        sums = np.bincount(cells, scores[answered], n_cells)
        self.of_cell = np.divide(sums, self.n_queries, out=np.full(n_cells, np.nan), where=self.n_queries > 0)
        self.members = [members[self.n_queries[members] > 0] for members in design.members]
        n_units = np.diff(self.counts.indptr)
        self.spread = np.sqrt(n_units / np.maximum(n_units - 1, 1))
        varying = [members[design.answerable[members]] for members in self.members]
        self.has_spread = np.array(
            [len(own) > 0 and (n_units[own] > 1).mean() >= LEAST_SHARE for own in varying]
        )
        alone = [own[n_units[own] == 1] for own in varying]
        self.borrowed = self._unit_variance(n_units) * np.array(
            [
                self._squared_shares(own, len(members))
                for own, members in zip(alone, self.members, strict=True)
            ]
        )
        self.observed = self._of_levels(self.of_cell[:, None])[:, 0]

    def drawn(self, weights: np.ndarray) -> np.ndarray:
        """Means in each draw of units: float64 [n_levels, n_draws]."""
        sums, counts = self.sums @ weights, self.counts @ weights
        of_cell = self.of_cell[:, None].astype(np.float32)
        missed = counts == 0
        counts[missed] = 1
        sums /= counts
        sums -= of_cell
        sums[missed] = 0
        sums *= self.spread[:, None].astype(np.float32)
        deviations = self._of_levels(sums)
        own = deviations.var(axis=1)
        wider = np.divide(own + self.borrowed, own, out=np.ones(len(own)), where=own > 0)
        return deviations * np.sqrt(wider)[:, None] + self.observed[:, None]

    def interval(self, weights: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval, [2, n_levels], and p-value of each level; nan where nothing spreads."""
        drawn = self.drawn(weights)
        ends, p = np.percentile(drawn, tails(confidence), axis=1), _share_beyond(drawn)
        ends[:, ~self.has_spread] = p[~self.has_spread] = np.nan
        return ends, p

    def permutation_p(self, signs: np.ndarray) -> np.ndarray:
        """How often turned differences have a mean as large as the observed, by level: [n_levels]."""
        n_queries = np.maximum(self.n_queries, 1)[:, None]
        turned = np.abs(self._of_levels((self.sums @ signs) / n_queries))
        observed = np.abs(self.observed)[:, None]
        n_extreme = np.count_nonzero(turned >= observed * (1 - 1e-5) - 1e-7, axis=1)
        if signs.shape[1] == 2 ** len(signs):  # all of them, the observed one among them
            return n_extreme / signs.shape[1]
        return (n_extreme + 1) / (signs.shape[1] + 1)

    def _unit_variance(self, n_units: np.ndarray) -> float:
        """Variance of units' means about the means of their classes, over all classes of several units."""
        cells = np.repeat(np.arange(len(n_units)), n_units)
        several = (n_units[cells] > 1) & (cells < len(n_units) - 1)  # the last cell is micro
        deviations = (self.sums.data / self.counts.data - self.of_cell[cells])[several]
        n_free = len(deviations) - np.count_nonzero(n_units[:-1] > 1)
        return float((deviations**2).sum() / max(n_free, 1))

    def _squared_shares(self, alone: np.ndarray, n_classes: int) -> float:
        """Sum of the squared shares that units have in a mean through the classes they are alone in."""
        units = self.counts.indices[self.counts.indptr[alone]]
        return float((np.bincount(units, minlength=1) ** 2).sum() / max(n_classes, 1) ** 2)

    def _of_levels(self, of_cell: np.ndarray) -> np.ndarray:
        means = [
            of_cell[members].mean(axis=0, dtype=np.float64)
            if len(members)
            else np.full(of_cell.shape[1], np.nan)
            for members in self.members
        ]
        return np.array(means)


def _share_beyond(drawn: np.ndarray) -> np.ndarray:
    """Two-sided p-value: twice the share of draws, with one added, that is not on the side of most."""
    n_draws = drawn.shape[1]
    fewer = np.minimum((drawn <= 0).sum(axis=1), (drawn >= 0).sum(axis=1))
    return np.minimum(2 * (fewer + 1) / (n_draws + 1), 1)


@functools.lru_cache(maxsize=2)
def _drawn_weights(n_units: int, n_draws: int, seed: int) -> np.ndarray:
    """See `Design.drawn_weights`; kept, as many tables are made from the same draws."""
    rng = np.random.default_rng(seed)
    weights = np.empty((n_units, n_draws), np.float32)
    at_once = max(1, 2**20 // max(n_units, 1))
    for start in range(0, n_draws, at_once):
        draws = np.arange(min(at_once, n_draws - start))[:, None]
        drawn = rng.integers(n_units, size=(len(draws), n_units)) + draws * n_units
        counts = np.bincount(drawn.ravel(), minlength=len(draws) * n_units)
        weights[:, start : start + len(draws)] = counts.reshape(len(draws), n_units).T
    weights.flags.writeable = False
    return weights
