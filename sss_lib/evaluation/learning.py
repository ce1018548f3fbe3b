"""Heads: what labels of other clips add to embeddings, learnt without the clips that it is tried on.

A head turns a clip embedding into one number a class. All heads give the same classes, so that clips which
different heads have embedded can be compared: rank these numbers by cosine in place of the embeddings.
"""

import warnings
from collections.abc import Callable

import numpy as np
import scipy.sparse

from sss_lib.evaluation.relevance import as_label_matrix
from sss_lib.io.names import require_known

HEADS = ("linear", "lda", "knn")
N_NEIGHBOURS = 10
"""Of the head `knn`."""

Head = Callable[[np.ndarray], np.ndarray]
"""Clip embeddings [n_clips, dim] to float64 [n_clips, n_labels]."""


def fit_head(x: np.ndarray, label_matrix: scipy.sparse.csr_array, how: str = "linear") -> Head:
    """Head as fitted on labelled clips, by scikit-learn.

    - `linear`: ridge regression of every label on the standardised embedding, its penalty chosen by
      leave-one-out errors.
    - `lda`: posterior probabilities of linear discriminant analysis, its covariance shrunk after Ledoit and
      Wolf. A clip of several classes counts once in each.
    - `knn`: mean labels of the 10 nearest clips by cosine.

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
    from sklearn.model_selection import GroupKFold

    labels, n_groups = as_label_matrix(label_matrix), len(np.unique(groups))
    if not 2 <= n_folds <= n_groups:
        raise ValueError(f"n_folds={n_folds} of {n_groups} groups: give 2 to {n_groups}")
    found = np.empty(labels.shape)
    for others, own in GroupKFold(n_folds).split(x, groups=groups):
        found[own] = fit_head(x[others], labels[others], how)(x[own])
    return found
