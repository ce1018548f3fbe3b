"""Frame embeddings to clip embeddings: aggregate over time, reduce with PCA, L2-normalise."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import threadpoolctl

if TYPE_CHECKING:
    from sss_lib.io.artefact import Frames

AGGREGATIONS = ("mean", "max", "median", "none")


def aggregate(frames: np.ndarray, offsets: np.ndarray, how: str) -> np.ndarray:
    """One embedding a clip: the mean, maximum or median of its frames, per dimension.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_total, dim)]
        The frames of all clips, one clip after the other.
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int]
        Clip i owns `frames[offsets[i]:offsets[i + 1]]`.
    how : str
        "mean", "max", "median", or "none" where every clip has exactly one frame.

    Returns
    -------
    np.ndarray [shape=(n_clips, dim), dtype=float32]

    Raises
    ------
    ValueError
        If `how` is unknown, a clip has no frame, the offsets don't cover the frames, a value isn't
        finite, or "none" meets a clip with several frames.

    Examples
    --------
    >>> frames = np.array([[1.0, 5.0], [3.0, 1.0], [7.0, 7.0]])
    >>> aggregate(frames, np.array([0, 2, 3]), "mean")
    array([[2., 3.],
           [7., 7.]], dtype=float32)
    >>> aggregate(frames, np.array([0, 2, 3]), "max")
    array([[3., 5.],
           [7., 7.]], dtype=float32)
    """
    if how not in AGGREGATIONS:
        raise ValueError(f"aggregation {how!r} is unknown: use one of {', '.join(AGGREGATIONS)}")
    n_frames = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != len(frames):
        raise ValueError(
            f"offsets run from {offsets[0]} to {offsets[-1]}, but there are {len(frames)} frames"
        )
    if (n_frames < 1).any():
        raise ValueError(f"clip {int(np.argmin(n_frames))} has {n_frames.min()} frames: every clip needs one")
    require_finite(frames, "frames")
    if how == "none":
        if (n_frames > 1).any():
            clip = int(np.argmax(n_frames))
            raise ValueError(
                f"aggregation 'none' needs one frame a clip, but clip {clip} has {n_frames[clip]}: "
                "use mean, max or median"
            )
        return frames.astype(np.float32)
    if how == "mean":
        sums = np.add.reduceat(frames, offsets[:-1], axis=0, dtype=np.float64)
        return (sums / n_frames[:, None]).astype(np.float32)
    if how == "max":
        return np.maximum.reduceat(frames, offsets[:-1], axis=0).astype(np.float32)
    spans = itertools.pairwise(offsets)
    return np.stack([np.median(frames[start:end], axis=0) for start, end in spans]).astype(np.float32)


@dataclass(frozen=True)
class Aggregated:
    """Clip embeddings, as from `aggregate`, of some clips after the other.

    Attributes
    ----------
    parts : iterable of Frames
        Such as `extraction.Parts`. It is gone through anew each time.
    how : str
        As in `aggregate`.
    """

    parts: "Iterable[Frames]"
    how: str

    def __iter__(self) -> Iterator[np.ndarray]:
        return (aggregate(part.values, part.offsets, self.how) for part in self.parts)


@dataclass(frozen=True)
class Processing:
    """How clip embeddings become those that are searched, as fitted on a collection: call it with new ones.

    Attributes
    ----------
    low, width : np.ndarray [shape=(dim,)] or None
        Of each feature over the collection, where features are scaled to [0, 1].
    mean : np.ndarray [shape=(dim,)] or None
        Taken off before PCA.
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
        """Embeddings as PCA gets them: scaled, and of unit length, where that is asked for."""
        require_finite(x, "embeddings")
        if self.low is not None and self.width is not None:
            x = min_max_scale(x, self.low, self.width)
        return l2_normalize(x) if self.pre_normalize else x

    def columns(self) -> dict[str, np.ndarray]:
        """Its arrays by name, a row a dimension, for an artefact; those that it doesn't have are left out."""
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

    PCA comes from the full singular value decomposition on one thread, so that it depends on no seed,
    solver's choice or number of cores.
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

    PCA comes from the covariance, in float64 on one thread: it takes dim x dim numbers, and two passes over
    the parts; `scale` takes one more. Directions in which the clips differ less than 1e-7 of the most are
    lost in rounding: there the two may differ.

    Parameters
    ----------
    parts : iterable of np.ndarray [shape=(n_clips_of_part, dim)]
        Gone through anew for each pass: a list, or an object such as `Aggregated`; not a generator.
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
        raise ValueError(f"{type(parts).__name__} can be gone through once, and fitting takes several passes")
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
    mean, scatter = total / n_clips, np.zeros((len(total), len(total)))
    with threadpoolctl.threadpool_limits(1):
        for part in map(given.before_pca, parts):
            centred = part - mean
            scatter += centred.T @ centred
        _, vectors = np.linalg.eigh(scatter)
    return replace(given, mean=mean, components=_signed(vectors[:, ::-1].T[:n_components]).T)


def _range(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Least value of each feature, and how far above it the largest is."""
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
    """Directions, one a row, whose largest weight is positive: their sign is free."""
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

    All is fitted on these very clips (transductive, as in Araz et al. 2024); `fit` keeps what was fitted.

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


def min_max_scale(x: np.ndarray, low: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Each column as its distance from `low` in units of `width`; 0 where the width is 0.

    Examples
    --------
    >>> min_max_scale(np.array([[1.0, 7.0], [2.0, 7.0]]), np.array([1.0, 7.0]), np.array([4.0, 0.0]))
    array([[0.  , 0.  ],
           [0.25, 0.  ]])
    """
    return np.divide(x - low, width, out=np.zeros(x.shape), where=width > 0)


def l2_normalize(x: np.ndarray) -> np.ndarray:
    """Each row over its Euclidean length; a zero row stays zero.

    Returns
    -------
    np.ndarray [shape=x.shape]
        Of the type of `x`, if that is float32 or float64; integers and half precision become what holds them.

    Examples
    --------
    >>> l2_normalize(np.array([[3, 4], [0, 0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = np.asarray(x, np.result_type(x, np.float32))
    largest = np.maximum(x.max(axis=1, initial=0), -x.min(axis=1, initial=0))
    x = np.ldexp(x, -excess_exponent(largest, 250)[:, None])  # so that its squares are neither 0 nor inf
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


def excess_exponent(largest: np.ndarray, most: int) -> np.ndarray:
    """Powers of two to divide by, so that what is left is between 2**-most and 2**most; 0 where it is.

    Examples
    --------
    >>> excess_exponent(np.array([3.0, 1e12, 2.0**60, 2.0**-60]), 50)
    array([  0,   0,  11,  -9], dtype=int32)
    """
    exponent = np.frexp(largest)[1]
    return exponent - np.clip(exponent, -most, most)


def require_finite(x: np.ndarray, what: str) -> None:
    """Raise ValueError unless it is a table of finite numbers, naming the first row that isn't finite."""
    if x.ndim != 2 or not x.shape[1] or x.dtype.kind not in "iuf":
        raise ValueError(
            f"{what} of shape {x.shape} and type {x.dtype} are no numbers [n, dim]: give a row each"
        )
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{np.count_nonzero(bad)} of {len(x)} {what} are not finite (first: row {int(np.argmax(bad))}): "
            "extract those clips again"
        )


def in_single_precision(x: np.ndarray, what: str) -> np.ndarray:
    """Finite numbers in float32; ValueError naming the largest if that can't hold it.

    Examples
    --------
    >>> in_single_precision(np.array([[1.0, 2.0]]), "embeddings")
    array([[1., 2.]], dtype=float32)
    """
    require_finite(x, what)
    with np.errstate(over="ignore"):
        kept = np.asarray(x, np.float32)
    if np.isinf(kept).any():
        raise ValueError(
            f"a value of {np.abs(x).max():.3g} among the {what} is beyond single precision, which holds up "
            f"to {np.finfo(np.float32).max:.3g}: scale them towards 1 first"
        )
    return kept
