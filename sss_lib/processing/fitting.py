"""Clip embeddings to those that are searched: scale, reduce by PCA, L2-normalise.

`fit` learns from all clips at once, `fit_parts` from one part in memory at a time; `process` does both steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import threadpoolctl

from sss_lib.processing.checks import require_finite
from sss_lib.processing.scaling import l2_normalize, min_max_scale


@dataclass(frozen=True)
class Processing:
    """Scaling, PCA and normalisation as fitted on a collection: call it with any clip embeddings.

    Attributes
    ----------
    low, width : np.ndarray [shape=(dim,)] or None
        Smallest value of each feature and its range, where features are scaled to [0, 1].
    mean : np.ndarray [shape=(dim,)] or None
        Subtracted before PCA.
    components : np.ndarray [shape=(dim, n_components)] or None
        Directions of PCA, one a column.
    normalize, pre_normalize : bool
        As in `process`.
    """

    low: np.ndarray | None
    width: np.ndarray | None
    mean: np.ndarray | None
    components: np.ndarray | None
    normalize: bool
    pre_normalize: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Embeddings as they are searched.

        Parameters
        ----------
        x : np.ndarray [shape=(n_clips, dim)]
            Of any clips, made by the model and aggregation that it was fitted on.

        Returns
        -------
        np.ndarray [shape=(n_clips, n_components or dim), dtype=float32]

        Examples
        --------
        >>> fitted = fit(np.array([[0.0, 1.0], [2.0, 1.0]]), 1, normalize=False)
        >>> fitted(np.array([[5.0, 7.0]]))
        array([[4.]], dtype=float32)
        """
        x = self.before_pca(x)
        if self.components is not None:
            with threadpoolctl.threadpool_limits(1):
                x = (x - self.mean) @ self.components
        return (l2_normalize(x) if self.normalize else x).astype(np.float32)

    def before_pca(self, x: np.ndarray) -> np.ndarray:
        """Input of PCA: embeddings scaled and of unit length, where that is asked for."""
        require_finite(x, "embeddings")
        if self.low is not None and self.width is not None:
            x = min_max_scale(x, self.low, self.width)
        return l2_normalize(x) if self.pre_normalize else x

    def columns(self) -> dict[str, np.ndarray]:
        """Fitted arrays by name, one row a dimension, for an artefact; without those that are None."""
        arrays = {"low": self.low, "width": self.width, "mean": self.mean, "components": self.components}
        return {name: array for name, array in arrays.items() if array is not None}


def fit(
    x: np.ndarray,
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
) -> Processing:
    """Fit the processing of a collection's clip embeddings; see `process`.

    The principal components are the right singular vectors V of the centred embeddings, X - mean = U S V^T,
    by decreasing singular value. The full decomposition runs on one thread: no seed, solver or number of
    cores changes the result.

    Examples
    --------
    >>> fit(np.array([[0.0, 1.0], [2.0, 1.0]]), 1).components
    array([[1.],
           [0.]])

    References
    ----------
    Jolliffe (2002), Principal Component Analysis, section 3.5.
    """
    low, width = _range([x]) if scale else (None, None)
    given = Processing(low, width, None, None, normalize, pre_normalize)
    if n_components is None:
        return given
    x = given.before_pca(x)
    _require_fit(n_components, *x.shape)
    mean = x.mean(axis=0, dtype=np.float64)
    with threadpoolctl.threadpool_limits(1):
        _, _, vt = np.linalg.svd(x - mean, full_matrices=False)
    return replace(given, mean=mean, components=_signed(vt[:n_components]).T)


def fit_parts(
    parts: Iterable[np.ndarray],
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
) -> Processing:
    """What `fit` finds, but for rounding and signs, with one part of the clips in memory at a time.

    The principal components are the eigenvectors of the scatter matrix, sum of (x - mean) (x - mean)^T, in
    float64 on one thread. Memory holds dim x dim numbers. PCA reads the parts twice, `scale` once more.

    The eigenvalues are squares of the singular values, and float64 keeps them to about 1e-16 of the largest.
    So directions with less than 1e-7 of the largest standard deviation are lost: there the two may differ.

    Parameters
    ----------
    parts : iterable of np.ndarray [shape=(n_clips_of_part, dim)]
        Read once a pass: a list, or an object such as `Aggregated`; not a generator.
    n_components, normalize, pre_normalize, scale
        As in `process`.

    Raises
    ------
    ValueError
        As `fit`, and if the parts can be gone through only once.

    Examples
    --------
    >>> fit_parts([np.array([[0.0, 1.0]]), np.array([[2.0, 1.0]])], 1, normalize=False).components
    array([[1.],
           [0.]])
    """
    if iter(parts) is parts:
        raise ValueError(
            f"a {type(parts).__name__} can be read once, fitting takes several passes: give a list"
        )
    low, width = _range(parts) if scale else (None, None)
    given = Processing(low, width, None, None, normalize, pre_normalize)
    if n_components is None:
        return given
    n_clips, total = 0, np.zeros(1)
    for part in map(given.before_pca, parts):
        n_clips, total = n_clips + len(part), total + part.sum(axis=0, dtype=np.float64)
    if not n_clips:
        raise ValueError(f"0 clips have no {n_components} components: give at least as many")
    _require_fit(n_components, n_clips, len(total))
    # Two passes: sum(x x^T) - n mean mean^T in one pass would cancel where the mean is far from zero.
    mean, scatter = total / n_clips, np.zeros((len(total), len(total)))
    with threadpoolctl.threadpool_limits(1):
        for part in map(given.before_pca, parts):
            centred = part - mean
            scatter += centred.T @ centred
        _, vectors = np.linalg.eigh(scatter)
    return replace(given, mean=mean, components=_signed(vectors[:, ::-1].T[:n_components]).T)


def _range(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest value of each feature, and its range."""
    least, most = np.array(np.inf), np.array(-np.inf)
    for part in parts:
        require_finite(part, "embeddings")
        if len(part):
            least, most = np.minimum(least, part.min(axis=0)), np.maximum(most, part.max(axis=0))
    if least.ndim == 0:
        raise ValueError("0 clips have no range to scale their features by: give at least one")
    low = least.astype(np.float64)
    return low, most - low


def _signed(directions: np.ndarray) -> np.ndarray:
    """Directions, one a row, with a positive largest weight: a decomposition leaves the sign open."""
    sign = np.sign(np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1))
    return directions * np.where(sign == 0, 1, sign)


def _require_fit(n_components: int, n_clips: int, dim: int) -> None:
    """Raise ValueError if PCA can't have so many components."""
    if not 1 <= n_components <= min(n_clips, dim):
        what = f"dim={dim}" if dim <= n_clips else f"n_clips={n_clips}"
        verb = "exceeds" if n_components > 0 else "is below 1, with"
        raise ValueError(
            f"n_components={n_components} {verb} {what}: use at most {min(n_clips, dim)}, or none"
        )


def process(
    x: np.ndarray,
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
) -> np.ndarray:
    """Clip embeddings as they are searched: PCA to fewer dimensions, then unit length.

    Fitted on the clips themselves (transductive, as in Araz et al. 2024); `fit` keeps what was fitted.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    n_components : int or None
        None leaves the dimensions as they are, and doesn't centre.
    normalize : bool
        Scale each result to unit length. A zero vector stays zero.
    pre_normalize : bool
        Also scale each input to unit length, before PCA, as the CBMI 2024 code always did.
    scale : bool
        Before all else, scale each feature to [0, 1] over the clips: for hand-made descriptors in different
        units. A feature that doesn't vary becomes 0.

    Returns
    -------
    np.ndarray [shape=(n_clips, n_components or dim), dtype=float32]

    Raises
    ------
    ValueError
        If `n_components` exceeds the dimension or the number of clips, or a value isn't finite.

    Examples
    --------
    >>> process(np.array([[3.0, 4.0], [0.0, 2.0]]))
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    return fit(x, n_components, normalize, pre_normalize, scale)(x)
