"""Clip embeddings to those that are searched: scale, transform, reduce by PCA, L2-normalise.

`fit` learns from all clips at once, `fit_parts` from one part in memory at a time; `process` does both steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import threadpoolctl

from sss_lib.processing.checks import require_finite
from sss_lib.processing.components import components_of, first_dimensions, require_fit
from sss_lib.processing.scaling import l2_normalize, min_max_scale
from sss_lib.processing.transforms import n_first, n_removed

ROUNDING = 1e-12
"""What is left of a number after it is subtracted from its like, relative to it, is rounding up to here."""


@dataclass(frozen=True)
class Processing:
    """Scaling, transform, PCA and normalisation as fitted on a collection: call it with any clip embeddings.

    Attributes
    ----------
    low, width : np.ndarray [shape=(dim,)] or None
        Smallest value of each feature and its range, where features are scaled to [0, 1].
    mean : np.ndarray [shape=(dim,)] or None
        Subtracted, where embeddings are centred.
    deviation : np.ndarray [shape=(dim,)] or None
        Standard deviation of each feature, where these are standardised.
    components : np.ndarray [shape=(dim, n_components or dim)] or None
        What embeddings, if need be centred, are multiplied by: directions of PCA, one a column.
    normalize, pre_normalize : bool
        As in `process`.
    """

    low: np.ndarray | None
    width: np.ndarray | None
    mean: np.ndarray | None
    components: np.ndarray | None
    normalize: bool
    pre_normalize: bool
    deviation: np.ndarray | None = None

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
                centred, x = x, x @ self.components
            # A clip that has nothing in these directions is zero, whatever rounding leaves of it.
            most = np.linalg.norm(centred, axis=1) * np.linalg.norm(self.components, axis=0).max(initial=0)
            x = np.where((np.linalg.norm(x, axis=1) > ROUNDING * most)[:, None], x, 0)
        return (l2_normalize(x) if self.normalize else x).astype(np.float32)

    def before_pca(self, x: np.ndarray) -> np.ndarray:
        """Input of PCA: embeddings scaled, of unit length, centred and standardised, as far as asked for."""
        require_finite(x, "embeddings")
        if self.low is not None and self.width is not None:
            x = min_max_scale(x, self.low, self.width)
        if self.pre_normalize:
            x = l2_normalize(x)
        if self.mean is None:
            return x
        if self.deviation is not None:
            return min_max_scale(x, self.mean, self.deviation)
        centred = x - self.mean
        # Else unit length would make of equal clips, whose mean is rounded, vectors in any direction.
        return np.where(np.abs(centred) > ROUNDING * np.abs(self.mean), centred, 0)

    def columns(self) -> dict[str, np.ndarray]:
        """Fitted arrays by name, one row a dimension, for an artefact; without those that are None."""
        names = ("low", "width", "mean", "deviation", "components")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def fit(
    x: np.ndarray,
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
    transform: str = "none",
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
    fitted = _before_mean([x], normalize, pre_normalize, scale, transform)
    if n_components is None and transform == "none":
        return fitted
    given = fitted.before_pca(x)
    if n_first(transform):
        return replace(fitted, components=first_dimensions(transform, n_components, given.shape[1]))
    require_fit(n_components, transform, *given.shape)
    mean = given.mean(axis=0, dtype=np.float64)
    fitted = replace(fitted, mean=mean)
    if transform == "standardize":
        fitted = replace(fitted, deviation=_deviation(mean, ((given - mean) ** 2).mean(axis=0)))
    if n_components is None and transform in ("center", "standardize"):
        return fitted
    centred = fitted.before_pca(x)
    with threadpoolctl.threadpool_limits(1):
        _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    fourth = float((np.einsum("ij,ij->i", centred, centred) ** 2).sum())
    components = components_of(transform, n_components, directions, sizes**2, fourth, len(x))
    return replace(fitted, components=components)


def fit_parts(
    parts: Iterable[np.ndarray],
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
    transform: str = "none",
) -> Processing:
    """What `fit` finds, but for rounding and signs, with one part of the clips in memory at a time.

    The principal components are the eigenvectors of the scatter matrix, sum of (x - mean) (x - mean)^T, in
    float64 on one thread. Memory holds dim x dim numbers. PCA reads the parts twice; min-max scaling and
    standardising once more each.

    The eigenvalues are squares of the singular values, and float64 keeps them to about 1e-16 of the largest.
    So directions with less than 1e-7 of the largest standard deviation are lost: there the two may differ.

    Parameters
    ----------
    parts : iterable of np.ndarray [shape=(n_clips_of_part, dim)]
        Read once a pass: a list, or an object such as `Aggregated`; not a generator.
    n_components, normalize, pre_normalize, scale, transform
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
    fitted = _before_mean(parts, normalize, pre_normalize, scale, transform)
    if n_components is None and transform == "none":
        return fitted
    if n_first(transform):
        dim = next(iter(parts), np.empty((0, 0))).shape[1]
        return replace(fitted, components=first_dimensions(transform, n_components, dim))
    n_clips, total = 0, np.zeros(1)
    for part in map(fitted.before_pca, parts):
        n_clips, total = n_clips + len(part), total + part.sum(axis=0, dtype=np.float64)
    require_fit(n_components, transform, n_clips, len(total))
    # A pass of its own: sum(x x^T) - n mean mean^T would cancel where the mean is far from zero.
    fitted = replace(fitted, mean=total / n_clips)
    if transform == "standardize":
        squares = sum((part**2).sum(axis=0) for part in map(fitted.before_pca, parts))
        fitted = replace(fitted, deviation=_deviation(total / n_clips, squares / n_clips))
    if n_components is None and transform in ("center", "standardize"):
        return fitted
    scatter, fourth = np.zeros((len(total), len(total))), 0.0
    with threadpoolctl.threadpool_limits(1):
        for centred in map(fitted.before_pca, parts):
            scatter += centred.T @ centred
            fourth += float((np.einsum("ij,ij->i", centred, centred) ** 2).sum())
        squares, vectors = np.linalg.eigh(scatter)
    of = (vectors[:, ::-1].T, squares[::-1].clip(0), fourth, n_clips)
    return replace(fitted, components=components_of(transform, n_components, *of))


def fit_within(parts: Iterable[np.ndarray], most_mb: float, *of: Any) -> Processing:
    """What `fit` finds, by `fit_parts` where the clip embeddings are larger than `most_mb` megabytes.

    Parameters
    ----------
    parts : iterable of np.ndarray [shape=(n_clips_of_part, dim)]
        As in `fit_parts`.
    most_mb : float
    *of
        The other arguments of `fit`.
    """
    larger = sum(part.nbytes for part in parts) > most_mb * 1e6
    return fit_parts(parts, *of) if larger else fit(np.vstack(list(parts)), *of)


def steps(x: np.ndarray, n_components: int | None = None, scale: bool = False) -> dict[str, np.ndarray]:
    """Embeddings after each step that leads to searched ones: raw, centred, PCA, unit length.

    Parameters
    ----------
    x, n_components, scale
        As in `process`; without n_components PCA keeps all directions.

    Examples
    --------
    >>> for name, step in steps(np.array([[3.0, 4.0], [0.0, 0.0]]), 1).items():
    ...     print(name, step.tolist())
    raw [[3.0, 4.0], [0.0, 0.0]]
    centred [[1.5, 2.0], [-1.5, -2.0]]
    PCA [[2.5], [-2.5]]
    unit length [[1.0], [-1.0]]
    """
    n = n_components or min(x.shape)
    return {
        "raw": process(x, None, False, scale=scale),
        "centred": process(x, None, False, scale=scale, center=True),
        "PCA": process(x, n, False, scale=scale),
        "unit length": process(x, n, scale=scale),
    }


def _before_mean(
    parts: Iterable[np.ndarray], normalize: bool, pre_normalize: bool, scale: bool, transform: str
) -> Processing:
    """Processing up to unit length; what comes then is to be fitted."""
    n_removed(transform)  # an unknown name is refused before any work
    low, width = _range(parts) if scale else (None, None)
    return Processing(low, width, None, None, normalize, pre_normalize)


def _deviation(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Standard deviation of each feature; 0 where all that varies is the rounding of its mean."""
    deviation = np.sqrt(variance)
    return np.where(deviation > ROUNDING * np.abs(mean), deviation, 0)


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


def process(
    x: np.ndarray,
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
    transform: str = "none",
    *,
    center: bool = False,
    whiten: bool = False,
) -> np.ndarray:
    """Clip embeddings as they are searched: centred or whitened, PCA to fewer dimensions, then unit length.

    Fitted on the clips themselves (transductive, as in Araz et al. 2024); `fit` keeps what was fitted.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    n_components : int or None
        Of PCA, which centres. None leaves the dimensions as they are.
    normalize : bool
        Scale each result to unit length. A zero vector stays zero.
    pre_normalize : bool
        Also scale each input to unit length, before PCA, as the CBMI 2024 code always did.
    scale : bool
        Before all else, scale each feature to [0, 1] over the clips: for hand-made descriptors in different
        units. A feature that doesn't vary becomes 0.
    transform : str
        One of `transforms.TRANSFORMS`, before PCA or together with it.
    center, whiten : bool
        Short for transform="center" and transform="whiten".

    Returns
    -------
    np.ndarray [shape=(n_clips, n_components or dim), dtype=float32]

    Raises
    ------
    ValueError
        If `n_components` exceeds the dimension or the number of clips, the transform is unknown or needs more
        clips, or a value isn't finite.

    Examples
    --------
    >>> process(np.array([[3.0, 4.0], [0.0, 2.0]]))
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    >>> process(np.array([[3.0, 4.0], [0.0, 2.0]]), normalize=False, center=True)
    array([[ 1.5,  1. ],
           [-1.5, -1. ]], dtype=float32)
    """
    if center or whiten:
        asked = "whiten" if whiten else "center"
        if transform not in ("none", asked):
            raise ValueError(f"transform={transform!r} and {asked}=True are two transforms: give one")
        transform = asked
    return fit(x, n_components, normalize, pre_normalize, scale, transform)(x)
