"""Means over resampled queries: what intervals and tests of systems have alike."""

import functools
from collections.abc import Mapping

import numpy as np
import scipy.sparse

from sss_lib.evaluation.protocols import Protocol
from sss_lib.evaluation.queries import Key, Queries, Scored
from sss_lib.evaluation.summary import clip_sets, levels

MIN_CLASS_SHARE = 0.25
"""Minimum share of a mean's classes with queries of two units or more: below it no interval is reported."""


def require_options(n_draws: int, confidence: float = 0.95) -> None:
    """Raise ValueError if the number of draws or the confidence is out of range."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is not between 0 and 1: use 0.95 for 95 %")
    if n_draws < 2:
        raise ValueError(f"n_draws={n_draws} is below 2: use 2000")


def tails(confidence: float) -> list[float]:
    """Percentiles at the two ends of an interval.

    Examples
    --------
    >>> tails(0.5)
    [25.0, 75.0]
    """
    return [50 * (1 - confidence), 50 * (1 + confidence)]


def scores_of_both(class_wise: Scored, micro: Scored, protocol: str | Protocol) -> dict[Key, np.ndarray]:
    """Scores of the class-wise queries and then of the micro ones, by metric and cutoff."""
    of_micro = micro.scores(protocol)
    return {k: np.concatenate([v, of_micro[k]]) for k, v in class_wise.scores(protocol).items()}


class Design:
    """Unit and cell of each query: a cell is a class, or all micro queries.

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
        Whether any query of the cell has a relevant clip: else its score is 0 or none in every draw.
    members : list of np.ndarray
        Cells of each different mean.
    of_level : np.ndarray [shape=(n_levels,), dtype=int]
        Place of each level's mean among these.
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
        sets = clip_sets(class_wise, len(labels))
        found = [*levels(labels, families, sets), ("micro", "all", np.array([len(labels)]))]
        self.levels = [(level, name) for level, name, _ in found]
        # Many levels are means of the same classes: each is computed once.
        number = {members.tobytes(): i for i, (*_, members) in enumerate(found)}
        self.members = [found[i][2] for i in number.values()]
        places = {key: place for place, key in enumerate(number)}
        self.of_level = np.array([places[members.tobytes()] for *_, members in found])
        self._answered: dict[bytes, _Answered] = {}

    def matrix(self, values: np.ndarray, where: np.ndarray) -> scipy.sparse.csr_array:
        """Sums of values by cell and unit: float32 [n_cells, n_units]."""
        at = self.cell[where], self.unit[where]
        matrix = scipy.sparse.coo_array((values[where], at), (self.n_cells, self.n_units)).tocsr()
        return matrix.astype(np.float32)

    def answered(self, where: np.ndarray) -> "_Answered":
        """What follows from which queries have a score: the same for most metrics."""
        key = where.tobytes()
        if key not in self._answered:
            self._answered[key] = _Answered(self, where)
        return self._answered[key]

    def drawn_weights(self, n_draws: int, seed: int) -> np.ndarray:
        """How often each unit is drawn in each draw: float32 [n_units, n_draws]."""
        return _drawn_weights(self.n_units, n_draws, seed)

    def drawn_signs(self, n_draws: int, seed: int) -> np.ndarray:
        """Signs, 1 or -1, that a permutation test gives to the differences of each unit: [n_units, n_draws].

        Each column is one permutation, drawn at random. Where there are no more than `n_draws` permutations,
        the columns are all of them, each once.
        """
        if 2**self.n_units <= n_draws:
            turned = np.arange(2**self.n_units) >> np.arange(self.n_units)[:, None] & 1
        else:
            rng = np.random.default_rng(seed)
            turned = rng.integers(2, size=(self.n_units, n_draws), dtype=np.int8)
        return 1 - 2 * turned.astype(np.float32)


_designs: dict[tuple, Design] = {}


def design_of(
    class_wise: Queries,
    micro: Queries,
    labels: list[str],
    families: Mapping[str, str] | None,
    groups: np.ndarray | None,
) -> Design:
    """Design of these queries; the last two are kept, as searches and protocols share them."""
    arrays = (
        *(getattr(one, name) for one in (class_wise, micro) for name in ("query", "label", "n_relevant")),
        *(() if groups is None else np.unique(groups, return_inverse=True)[1:]),  # of names, bytes are places
    )
    of_arrays = tuple((one.dtype.str, one.tobytes()) for one in arrays)
    key = (tuple(labels), tuple((families or {}).items()), *of_arrays)
    if key not in _designs:
        for old in list(_designs)[:-1]:
            _designs.pop(old, None)
        _designs[key] = Design(class_wise, micro, labels, families, groups)
    return _designs[key]


class _Answered:
    """What follows from which queries of a design have a score, whatever the scores are; see `Means`."""

    def __init__(self, design: Design, where: np.ndarray):
        self.counts = design.matrix(np.ones(len(where)), where)
        self.cells, n_cells = design.cell[where], design.n_cells
        self.n_queries = np.bincount(self.cells, minlength=n_cells)
        self.members = [members[self.n_queries[members] > 0] for members in design.members]
        self.is_single = np.array([len(own) == 1 for own in self.members])
        self.single = np.array([own[0] for own in self.members if len(own) == 1], int)
        self.n_units = np.diff(self.counts.indptr)
        # sqrt(g / (g - 1)), and 1 for a single unit, whose draws don't vary.
        self.spread = np.sqrt(self.n_units / np.maximum(self.n_units - 1, 1)).astype(np.float32)[:, None]
        varying = [members[design.answerable[members]] for members in self.members]
        self.has_spread = np.array(
            [len(own) > 0 and (self.n_units[own] > 1).mean() >= MIN_CLASS_SHARE for own in varying]
        )
        alone = [own[self.n_units[own] == 1] for own in varying]
        sizes = map(len, self.members)
        self.squared_shares = np.array([self._squared_shares(*one) for one in zip(alone, sizes, strict=True)])
        self._drawn: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def drawn_counts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of queries of each cell in each draw, or 1 where there is none, and where there is none."""
        if self._drawn is None or self._drawn[0] is not weights:
            counts = self.counts @ weights
            missed = counts == 0
            counts[missed] = 1
            self._drawn = weights, counts, missed
        return self._drawn[1:]

    def _squared_shares(self, alone: np.ndarray, n_classes: int) -> float:
        """Sum over units of (k / C)^2: in k of the C classes of a mean the unit is alone."""
        if not len(alone):
            return 0.0
        units = self.counts.indices[self.counts.indptr[alone]]
        return float((np.bincount(units, minlength=1) ** 2).sum() / max(n_classes, 1) ** 2)


class Means:
    """Mean scores of a design's levels, as observed and in draws.

    Two corrections widen the draws:

    - The mean of g drawn units varies less than that of g new ones, by the factor (g - 1) / g. So a class's
      draws are spread about its mean by sqrt(g / (g - 1)) (narrowness bias, Hesterberg 2015).
    - A class with a single unit doesn't vary in the draws. It gets the pooled within-class variance of the
      classes with several units, s2 = sum over their units of (unit's mean - class's mean)^2 / (number of
      units - number of classes). A unit that is alone in k of the C classes of a mean, and does alike in
      them, adds (k / C)^2 s2 to the mean's variance; its draws are scaled to the sum.

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
        Whether at least `MIN_CLASS_SHARE` of its classes have queries of two units.
    borrowed : np.ndarray [shape=(n_levels,)]
        Variance that its single-unit classes add.

    References
    ----------
    Hesterberg (2015), What teachers should know about the bootstrap, The American Statistician 69(4).
    """

    def __init__(self, design: Design, scores: np.ndarray):
        where = np.isfinite(scores)
        self._answered, self._of_level = design.answered(where), design.of_level
        found = self._answered
        self.sums = design.matrix(scores, where)
        sums, none = np.bincount(found.cells, scores[where], design.n_cells), np.full(design.n_cells, np.nan)
        self.of_cell = np.divide(sums, found.n_queries, out=none, where=found.n_queries > 0)
        self._has_spread = found.has_spread
        self._borrowed = self._unit_variance() * found.squared_shares
        self._observed = self._of_cells(self.of_cell[:, None])[:, 0]
        every = (self._observed, self._has_spread, self._borrowed)
        self.observed, self.has_spread, self.borrowed = (one[self._of_level] for one in every)

    def drawn(self, weights: np.ndarray) -> np.ndarray:
        """Means in each draw of units: float64 [n_levels, n_draws]."""
        deviations, wider = self._deviations(weights)
        return (deviations * wider[:, None] + self._observed[:, None])[self._of_level]

    def _deviations(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Deviations of the different means in each draw, and the factors that widen them."""
        counts, missed = self._answered.drawn_counts(weights)
        sums = self.sums @ weights
        sums /= counts
        sums -= self.of_cell[:, None].astype(np.float32)
        sums[missed] = 0
        sums *= self._answered.spread
        deviations = self._of_cells(sums)
        squares = np.einsum("ij,ij->i", deviations, deviations) / deviations.shape[1]
        own = np.maximum(squares - deviations.mean(axis=1) ** 2, 0)
        # Scale the draws from variance v to v + borrowed.
        return deviations, np.sqrt(np.divide(own + self._borrowed, own, out=np.ones(len(own)), where=own > 0))

    def ends(self, weights: np.ndarray, confidence: float) -> np.ndarray:
        """Ends of the interval: [2, n_levels]; nan without `has_spread`."""
        return self._ends(*self._deviations(weights), confidence)

    def _ends(self, deviations: np.ndarray, wider: np.ndarray, confidence: float) -> np.ndarray:
        ends = np.full((2, len(wider)), np.nan)
        ends[:, self._has_spread] = np.percentile(
            deviations[self._has_spread], tails(confidence), axis=1, overwrite_input=True
        )
        return (ends * wider + self._observed)[:, self._of_level]

    def interval(self, weights: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval, [2, n_levels], and p-value of each level; nan without `has_spread`."""
        found = deviations, wider = self._deviations(weights)
        p = _share_beyond(deviations * wider[:, None] + self._observed[:, None])
        return self._ends(*found, confidence), np.where(self._has_spread, p, np.nan)[self._of_level]

    def permutation_p(self, signs: np.ndarray) -> np.ndarray:
        """Share of the permutations whose mean is at least as extreme as the observed: [n_levels]."""
        n_queries = np.maximum(self._answered.n_queries, 1)[:, None]
        turned = np.abs(self._of_cells((self.sums @ signs) / n_queries))
        observed = np.abs(self._observed)[:, None]
        # Sums are of float32: equal means may differ by 1e-7 of their size.
        n_extreme = np.count_nonzero(turned >= observed * (1 - 1e-5) - 1e-7, axis=1)[self._of_level]
        if signs.shape[1] == 2 ** len(signs):  # all of them, the observed one among them
            return n_extreme / signs.shape[1]
        return (n_extreme + 1) / (signs.shape[1] + 1)

    def _unit_variance(self) -> float:
        """Pooled within-class variance s2 of units' means, over the classes with several units."""
        counts, n_units = self._answered.counts, self._answered.n_units
        cells = np.repeat(np.arange(len(n_units)), n_units)
        several = (n_units[cells] > 1) & (cells < len(n_units) - 1)  # the last cell is micro
        deviations = (self.sums.data / counts.data - self.of_cell[cells])[several]
        n_free = len(deviations) - np.count_nonzero(n_units[:-1] > 1)
        return float((deviations**2).sum() / max(n_free, 1))

    def _of_cells(self, values: np.ndarray) -> np.ndarray:
        """Different means of what cells have: float64 [n_means, n_columns]; nan without a cell."""
        found = self._answered
        means = np.empty((len(found.members), values.shape[1]))
        means[found.is_single] = values[found.single]
        for i in np.flatnonzero(~found.is_single):
            own = found.members[i]
            means[i] = values[own].mean(axis=0, dtype=np.float64) if len(own) else np.nan
        return means


def _share_beyond(drawn: np.ndarray) -> np.ndarray:
    """Two-sided bootstrap p-value of zero: 2 (min(draws <= 0, draws >= 0) + 1) / (draws + 1), at most 1."""
    n_draws = drawn.shape[1]
    fewer = np.minimum((drawn <= 0).sum(axis=1), (drawn >= 0).sum(axis=1))
    return np.minimum(2 * (fewer + 1) / (n_draws + 1), 1)


@functools.lru_cache(maxsize=2)
def _drawn_weights(n_units: int, n_draws: int, seed: int) -> np.ndarray:
    """See `Design.drawn_weights`; cached, as many tables are made from the same draws."""
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
