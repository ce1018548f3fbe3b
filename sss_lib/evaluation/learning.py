"""Heads: what labels of other clips add to embeddings, learnt without the clips that it is tried on.

A head turns a clip embedding into one number a class. All heads give the same classes, so that clips which
different heads have embedded can be compared: rank these numbers by cosine in place of the embeddings.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import contrastive
from sss_lib.evaluation.counts import class_pairs
from sss_lib.evaluation.examples import asked_classes
from sss_lib.evaluation.hits import packed, relevant_results
from sss_lib.evaluation.measures import average_precision
from sss_lib.evaluation.paired import macro_difference
from sss_lib.evaluation.relevance import as_label_matrix
from sss_lib.io.names import require_known
from sss_lib.search.feedback import WAYS, most_uncertain, refine
from sss_lib.search.fusion import fuse
from sss_lib.search.ranking import Ranking

HEADS = ("linear", "lda", "knn", "supcon")
N_NEIGHBOURS = 10
"""Of the head `knn`."""

Head = Callable[[np.ndarray], np.ndarray]
"""Clip embeddings [n_clips, dim] to float64 [n_clips, n_labels]."""


def fit_head(x: np.ndarray, label_matrix: scipy.sparse.csr_array, how: str = "linear") -> Head:
    """Head as fitted on labelled clips, by scikit-learn or PyTorch.

    - `linear`: ridge regression of every label on the standardised embedding, its penalty chosen by
      leave-one-out errors.
    - `lda`: posterior probabilities of linear discriminant analysis, its covariance shrunk after Ledoit and
      Wolf. A clip of several classes counts once in each.
    - `knn`: mean labels of the 10 nearest clips by cosine.
    - `supcon`: a linear map by supervised contrastive learning; see `contrastive`. It needs PyTorch.

    Numbers are those of float64, and may differ between processors in the last bits.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    how : str
        One of `HEADS`.

    Returns
    -------
    callable
        See `Head`. A class without a clip is 0, or about 0, for all.

    Examples
    --------
    >>> x = np.array([[0.0, 1], [0.1, 1], [1, 0.1], [1, 0]])
    >>> labels = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> fit_head(x, labels, "linear")(np.array([[0.0, 2]])).argmax()
    np.int64(0)
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import RidgeCV
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    require_known(how, HEADS, "the heads")
    labels = as_label_matrix(label_matrix)
    if len(x) != labels.shape[0] or not labels.nnz:
        raise ValueError(
            f"{len(x)} embeddings with {labels.shape[0]} rows of {labels.nnz} labels: give each clip its own"
        )
    if how == "linear":
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
        return ridge.fit(x, labels.toarray().astype(float)).predict
    if how == "knn":
        nearest = NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, len(x)), metric="cosine").fit(x)
        dense = labels.toarray().astype(float)
        return lambda asked: dense[nearest.kneighbors(asked, return_distance=False)].mean(axis=1)
    if how == "supcon":
        return contrastive.fit(x, labels.toarray().astype(float))
    row, label = labels.nonzero()
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto") if np.ptp(label) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of one clip has no covariance of its own
        fitted = fitted and fitted.fit(np.asarray(x)[row], label)

    def posterior(asked: np.ndarray) -> np.ndarray:
        found = np.zeros((len(asked), labels.shape[1]))
        found[:, np.unique(label)] = fitted.predict_proba(asked) if fitted else 1
        return found

    return posterior


def out_of_fold(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    groups: np.ndarray,
    how: str = "linear",
    *,
    n_folds: int = 5,
) -> np.ndarray:
    """Each clip by a head that was fitted on other groups' clips alone: cross-validation by group.

    With `groups` of uploaders no head sees a clip of the uploader that it is tried on. A collection that has
    a split needs no folds: fit a head on one part, and call it with the other.

    Parameters
    ----------
    x, label_matrix, how
        As in `fit_head`.
    groups : np.ndarray [shape=(n_clips,), dtype=int]
        From `relevance.group_codes`.
    n_folds : int
        From 2; scikit-learn's `GroupKFold` makes them about equally large.

    Returns
    -------
    np.ndarray [shape=(n_clips, n_labels), dtype=float64]
    """
    labels = as_label_matrix(label_matrix)
    found = np.empty(labels.shape)
    for others, own in _folds(groups, n_folds):
        found[own] = fit_head(x[others], labels[others], how)(x[own])
    return found


def _folds(groups: np.ndarray, n_folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the other folds and of each fold, whole groups in one."""
    from sklearn.model_selection import GroupKFold

    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            f"{n_groups} uploader: folds take two; leave out heads and weights by folds, or name what heads "
            "learn from, as in linear@dev"
        )
    if not 2 <= n_folds <= n_groups:
        raise ValueError(f"n_folds={n_folds} of {n_groups} groups: give 2 to {n_groups}")
    yield from GroupKFold(n_folds).split(groups, groups=groups)


def fuse_out_of_fold(
    rankings: Sequence[Ranking],
    label_matrix: scipy.sparse.csr_array,
    groups: np.ndarray,
    how: str = "rrf",
    *,
    n_parts: int = 4,
    n: int = 15,
    n_folds: int = 5,
    top_n: int = 150,
    excluded: np.ndarray | None = None,
) -> tuple[Ranking, np.ndarray]:
    """Fusion whose weights were chosen for each query by the queries of other groups' clips alone.

    Equal weights are tried first, then those that share `n_parts` equal parts among the rankings, among them
    each ranking alone. The first of largest macro MAP@N is taken. All clips are among the results of all
    queries, so labels of a query's own group tell what is right for the others.

    Parameters
    ----------
    rankings, how, top_n
        As in `fusion.fuse`: of all clips.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    groups, n_folds
        As in `out_of_fold`.
    n_parts : int
        There are (n_parts + m - 1)! / n_parts! / (m - 1)! such weights of m rankings.
    n : int
        Cutoff.
    excluded : np.ndarray [shape=(n_clips,), dtype=int], optional
        The groups that the rankings leave out, if they do.

    Returns
    -------
    ranking : Ranking
    weights : np.ndarray [shape=(n_clips, n_rankings)]
        Of each query; their sum is 1.

    Examples
    --------
    The first ranking finds the partner of each clip, the other one does not.

    >>> labels, scores = np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), np.array([[0.9, 0.5]] * 4)
    >>> good = Ranking(np.array([[1, 2], [0, 3], [3, 0], [2, 1]]), scores)
    >>> bad = Ranking(np.array([[2, 1], [3, 0], [0, 3], [1, 2]]), scores)
    >>> fuse_out_of_fold([good, bad], labels, np.arange(4), n_parts=1, n=1, n_folds=2)[0].neighbours[:, 0]
    array([1, 0, 3, 2], dtype=int32)
    """
    labels, n_rankings = as_label_matrix(label_matrix), len(rankings)
    sizes = {len(groups), *(len(one.neighbours) for one in rankings)}
    if sizes != {labels.shape[0]} or n_parts < 1 or not rankings:
        raise ValueError(
            f"n_parts={n_parts}, {n_rankings} rankings, groups and rankings of {sorted(sizes)} clips, and "
            f"labels of {labels.shape[0]}: give each clip its own, and at least one ranking and one part"
        )
    parted = itertools.product(range(n_parts + 1), repeat=n_rankings)
    tried = [[1 / n_rankings] * n_rankings]
    tried += [[part / n_parts for part in parts] for parts in parted if sum(parts) == n_parts]
    pairs = class_pairs(labels, excluded)
    divisor = np.where(pairs.n_relevant > 0, np.minimum(pairs.n_relevant, n), np.nan)
    scores, bits = [], packed(labels)
    for weights in tried:
        neighbours = fuse(rankings, how, weights=weights, top_n=n).neighbours
        hits = relevant_results(bits, neighbours, pairs.query, pairs.label)
        scores.append(average_precision(hits, divisor, n))
    table, chosen = pd.DataFrame(scores).T, np.zeros(len(groups), int)
    for others, own in _folds(groups, n_folds):
        asked = np.isin(pairs.query, others)
        chosen[own] = table[asked].groupby(pairs.label[asked]).mean().mean().fillna(0).to_numpy().argmax()
    found = {choice: fuse(rankings, how, weights=tried[choice], top_n=top_n) for choice in np.unique(chosen)}
    neighbours = np.stack([found[choice].neighbours[row] for row, choice in enumerate(chosen)])
    scores_of = np.stack([found[choice].scores[row] for row, choice in enumerate(chosen)])
    return Ranking(neighbours, scores_of), np.array(tried)[chosen]


def by_marks(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    *,
    n_marks: Sequence[int] = (1, 2, 5, 10),
    ways: Sequence[str] = WAYS,
    ask: str = "first",
    n: int = 15,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Macro MAP@N after marks that a listener who agrees with the labels would make, beside that without.

    A query asks for its rarest class. Results are marked from the top of the plain ranking, or each time the
    most uncertain clip. Marked clips count neither before nor after: both rank what is left.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    n_marks : sequence of int
        From 1.
    ways : sequence of str
        Of `feedback.WAYS`.
    ask : str
        "first" or "uncertain": which clips are marked.
    n : int
        Cutoff.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Such as uploaders, over which the intervals are.

    Returns
    -------
    pd.DataFrame
        way, n_marks, n_queries, before, after (of queries with something left to find), difference, ci_low
        and ci_high, as of `paired.macro_difference`.

    Examples
    --------
    >>> x, labels = np.array([[1.0, 1], [0, 1], [1, 0], [1, 0.1]]), np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> len(by_marks(x, labels == 1, n_marks=(1,)))
    4
    """
    require_known(ask, ("first", "uncertain"), "the clips to ask about")
    labels, rows = as_label_matrix(label_matrix), []
    asked = asked_classes(labels)
    queries: list[int] = np.flatnonzero(asked >= 0).tolist()
    columns = labels.tocsc()
    scores: dict[tuple[int, str], list[float]] = {(k, way): [] for k in n_marks for way in ("", *ways)}
    for query in queries:
        right = columns[:, [asked[query]]].toarray().ravel()
        plain = refine(x, query, [], [])
        order = np.argsort(-plain, kind="stable")
        marks: list[int] = order[order != query][: max(n_marks, default=0)].tolist()
        if ask == "uncertain":
            n_most, marks = len(marks), []
            while len(marks) < n_most:
                marks.append(most_uncertain(x, query, *_parted(marks, right)))
        for (n_marked, way), values in scores.items():
            marked = marks[:n_marked]
            ranked = refine(x, query, *_parted(marked, right), way) if way else plain.copy()
            ranked[[query, *marked]] = -np.inf
            left = np.argsort(-ranked, kind="stable")[: len(x) - 1 - len(marked)]
            n_left = int(right[left].sum())
            of_query = average_precision(right[left][None], np.array([max(1, min(n, n_left))]), n)
            values.append(float(of_query[0]) if n_left else np.nan)
    label = asked[queries]
    for n_marked, way in itertools.product(n_marks, ways):
        before, after = np.array(scores[n_marked, ""]), np.array(scores[n_marked, way])
        found = macro_difference(after, before, label, np.array(queries), groups=groups)
        means = [pd.Series(one).groupby(label).mean().mean() for one in (before, after)]
        ends = {"difference": found.difference, "ci_low": found.ci_low, "ci_high": found.ci_high}
        about = {"way": way, "n_marks": n_marked, "n_queries": int(np.isfinite(before).sum())}
        rows.append({**about, "before": means[0], "after": means[1], **ends})
    return pd.DataFrame(rows)


def _parted(marked: list[int], right: np.ndarray) -> tuple[list[int], list[int]]:
    """Hits and misses among marked clips."""
    return [row for row in marked if right[row]], [row for row in marked if not right[row]]
