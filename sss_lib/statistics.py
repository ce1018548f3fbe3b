"""How sure the scores are: bootstrap confidence intervals over the queries."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.metrics import PerQuery, levels


def bootstrap_intervals(
    class_wise: PerQuery,
    micro: PerQuery,
    labels: list[str],
    families: Mapping[str, str] | None = None,
    *,
    protocol: str = "standard",
    n_draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Percentile bootstrap intervals of every mean that `metrics.summarise` gives.

    Each draw takes as many clips as there are, with replacement, as queries; the corpus stays. The queries of
    one clip stay together, whatever its classes. A class that a draw leaves out is left out of that draw's
    macro mean. With few queries a class these intervals are optimistic.

    Parameters
    ----------
    class_wise, micro : PerQuery
        From `metrics.per_query`.
    labels, families, protocol
        As in `metrics.summarise`.
    n_draws : int
    confidence : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    pd.DataFrame
        Columns metric, n, level, name, ci_low, ci_high.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} is not between 0 and 1: use 0.95 for 95 %")
    if n_draws < 2:
        raise ValueError(f"n_draws={n_draws} is too few for an interval: use 1000")
    n_clips = int(max(class_wise.query.max(initial=-1), micro.query.max(initial=-1))) + 1
    weights = _draws(np.unique(micro.query), n_clips, n_draws, seed)
    tail = 100 * (1 - confidence) / 2
    groups = levels(labels, families)
    micro_scores = micro.scores(protocol)
    rows = []
    for (metric, n), scores in class_wise.scores(protocol).items():
        of_class = _class_means(class_wise, scores, len(labels), weights)
        of_micro = micro_scores[metric, n]
        valid = np.isfinite(of_micro)
        draws_of_micro = weights[micro.query[valid]]
        with np.errstate(invalid="ignore"):
            micro_draws = of_micro[valid] @ draws_of_micro / draws_of_micro.sum(axis=0)
        means = [(level, name, _nanmean(of_class[members])) for level, name, members in groups]
        for level, name, draws in [*means, ("micro", "all", micro_draws)]:
            draws = draws[np.isfinite(draws)]
            if len(draws):
                rows.append((metric, n, level, name, *np.percentile(draws, [tail, 100 - tail])))
    columns = ["metric", "n", "level", "name", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def _draws(queries: np.ndarray, n_clips: int, n_draws: int, seed: int) -> np.ndarray:
    """How often each clip is drawn in each draw: float32 [n_clips, n_draws]."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_clips, n_draws), np.float32)
    for draw in range(n_draws):
        drawn = queries[rng.integers(len(queries), size=len(queries))]
        weights[:, draw] = np.bincount(drawn, minlength=n_clips)
    return weights


def _class_means(class_wise: PerQuery, scores: np.ndarray, n_labels: int, weights: np.ndarray) -> np.ndarray:
    """Mean score of each class in each draw; nan where no query of it was drawn: [n_labels, n_draws]."""
    valid = np.isfinite(scores)
    at = class_wise.label[valid], class_wise.query[valid]
    shape = (n_labels, len(weights))
    sums = scipy.sparse.csr_array((scores[valid].astype(np.float32), at), shape) @ weights
    counts = scipy.sparse.csr_array((np.ones(valid.sum(), np.float32), at), shape) @ weights
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan, np.float32), where=counts > 0)


def _nanmean(values: np.ndarray) -> np.ndarray:
    present = np.isfinite(values)
    sums, counts = np.where(present, values, 0).sum(axis=0, dtype=np.float64), present.sum(axis=0)
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
