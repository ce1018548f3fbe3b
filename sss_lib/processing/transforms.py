"""Transforms of clip embeddings before PCA or together with it, by name.

- `center`: the mean of the collection is subtracted.
- `standardize`: each feature is centred and divided by its standard deviation (z-score).
- `whiten`: the principal components have variance one. With PCA to n dimensions, the first n of them.
- `whiten-shrunk`: the same by the covariance of Ledoit and Wolf, which is drawn towards equal variances. It
  also suits fewer clips than dimensions.
- `remove-top-K`: centred, without the first K principal components ("all but the top"). With PCA to n
  dimensions, the n components after them.
- `first-K`: the first K dimensions as they are, which a network trained for it (Matryoshka) ranks by weight.
  PCA to K dimensions is what to compare it with. It goes with no PCA.

References
----------
Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, JMVA 88.
Mu and Viswanath (2018), All-but-the-Top, ICLR, algorithm 1.
Kusupati et al. (2022), Matryoshka Representation Learning, NeurIPS.
"""

import re

import numpy as np

from sss_lib.io.names import require_known

TRANSFORMS = ("none", "center", "standardize", "whiten", "whiten-shrunk", "remove-top-K", "first-K")
"""In place of K stands a whole number from 1, as in remove-top-3."""
_NUMBERED = re.compile("(remove-top|first)-([1-9][0-9]*)")


def n_removed(transform: str) -> int:
    """How many principal components a transform removes. Raises ValueError if its name is unknown.

    Examples
    --------
    >>> n_removed("remove-top-3"), n_removed("center")
    (3, 0)
    """
    if found := _NUMBERED.fullmatch(str(transform)):
        return int(found[2]) if found[1] == "remove-top" else 0
    for name in ("remove-top", "first"):
        if str(transform).startswith(name):
            raise ValueError(
                f"transform {transform!r} is unknown: give a whole number from 1, as in {name}-3"
            )
    require_known(transform, TRANSFORMS, "the transforms")
    return 0


def n_first(transform: str) -> int | None:
    """How many first dimensions a transform keeps; None if it keeps all.

    Examples
    --------
    >>> n_first("first-100"), n_first("center")
    (100, None)
    """
    found = _NUMBERED.fullmatch(transform)
    return int(found[2]) if found and found[1] == "first" else None


def most_components(transform: str, n_clips: int, dim: int) -> int:
    """Most dimensions that PCA after a transform can have.

    Whitened to one dimension less than there are clips, all clips are equally far from one another: that is
    one too many.

    Examples
    --------
    >>> [most_components(name, 10, 50) for name in ("none", "whiten", "remove-top-3")]
    [10, 8, 7]
    """
    return min(n_clips - 2 if transform == "whiten" else n_clips, dim) - n_removed(transform)


def simplest(transform: str, n_components: int | None) -> str:
    """Transform of the same effect with the shortest name: PCA centres, so that `center` adds nothing.

    Examples
    --------
    >>> simplest("center", 100), simplest("center", None)
    ('none', 'center')
    """
    return "none" if transform == "center" and n_components is not None else transform


def shrinkage(variances: np.ndarray, fourth: float, n_clips: int, dim: int) -> float:
    """Weight of equal variances in the covariance of Ledoit and Wolf.

    Parameters
    ----------
    variances : np.ndarray [shape=(n_directions,)]
        Eigenvalues of the covariance S; those that are left out are 0.
    fourth : float
        Sum of |x|^4 over the centred clips.
    n_clips, dim : int

    Returns
    -------
    float
        min(b, d) / d for d = |S - m I|^2, m = tr S / dim, b = mean of |x x^T - S|^2 / n_clips.

    Examples
    --------
    >>> shrinkage(np.array([2.5, 2.5]), 4 * 5.0**2, 4, 2)
    0.0
    """
    squares = float((variances**2).sum())
    distance = squares - float(variances.sum()) ** 2 / dim
    noise = (fourth / n_clips - squares) / n_clips
    return min(noise, distance) / distance if distance > 0 and noise > 0 else 0.0
