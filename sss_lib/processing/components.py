"""Matrices that centred embeddings are multiplied by: principal components, by a transform's name."""

import numpy as np

from sss_lib.processing.transforms import most_components, n_first, n_removed, shrinkage

LEAST_VARIANCE = 1e-12
"""Of a direction, over the largest. Below a millionth of its deviation lies rounding of single precision."""


def components_of(
    transform: str,
    n_components: int | None,
    directions: np.ndarray,
    squares: np.ndarray,
    fourth: float,
    n_clips: int,
) -> np.ndarray:
    """Matrix that centred embeddings are multiplied by.

    Parameters
    ----------
    transform, n_components
        As in `process`.
    directions : np.ndarray [shape=(n_directions, dim)]
        Principal directions, the largest variance first.
    squares : np.ndarray [shape=(n_directions,)]
        Sums of squares along them.
    fourth : float
        Sum of the fourth powers of the lengths of the centred embeddings.
    n_clips : int
    """
    dim, k = directions.shape[1], n_removed(transform)
    if k and n_components is None:
        return np.eye(dim) - directions[:k].T @ directions[:k]
    if not transform.startswith("whiten"):
        return signed(directions[k:][:n_components]).T
    if transform == "whiten":
        rank = int((squares > LEAST_VARIANCE * squares[0]).sum())
        if not rank:
            raise ValueError(
                f"all {n_clips} embeddings are alike, and can't be whitened: use another transform"
            )
        n = rank if n_components is None else n_components
        if n > rank:
            raise ValueError(
                f"n_components={n} exceeds the rank {rank} of the embeddings: use at most {rank}"
            )
        return signed(directions[:n]).T / np.sqrt(squares[:n] / (n_clips - 1))
    variances = squares / n_clips
    share = shrinkage(variances, fourth, n_clips, dim)
    shrunk = np.append((1 - share) * variances, 0) + share * variances.sum() / dim
    lasting = shrunk > LEAST_VARIANCE * shrunk.max()
    weights = np.divide(1, np.sqrt(shrunk), out=np.zeros(len(shrunk)), where=lasting)
    if n_components is None:  # the inverse root of the covariance; the last weight is for what no clip has
        turned = directions.T * (weights[:-1] - weights[-1])
        return turned @ directions + weights[-1] * np.eye(dim)
    return signed(directions[:n_components]).T * weights[:n_components]


def signed(directions: np.ndarray) -> np.ndarray:
    """Directions, one a row, with a positive largest weight: a decomposition leaves the sign open."""
    sign = np.sign(np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1))
    return directions * np.where(sign == 0, 1, sign)


def first_dimensions(transform: str, n_components: int | None, dim: int) -> np.ndarray:
    """Matrix that leaves the first dimensions; ValueError if there are fewer, or PCA is asked for as well."""
    n = n_first(transform)
    if n_components is not None:
        raise ValueError(f"transform={transform} and n_components={n_components} both cut: give one")
    if n is None or n > dim:
        raise ValueError(f"transform={transform} exceeds dim={dim}: keep at most {dim}")
    return np.eye(dim, n)


def require_fit(n_components: int | None, transform: str, n_clips: int, dim: int) -> None:
    """Raise ValueError if so many clips of so many dimensions can't be transformed so."""
    if not n_clips:
        what = "mean" if n_components is None else f"{n_components} components"
        raise ValueError(f"0 clips have no {what}: give at least {'one' if what == 'mean' else 'as many'}")
    most = most_components(transform, n_clips, dim)
    about = "" if most == min(n_clips, dim) else f" with transform={transform}"
    if n_components is not None and not 1 <= n_components <= most:
        what = f"dim={dim}" if dim <= n_clips else f"n_clips={n_clips}"
        verb = "exceeds" if n_components > 0 else "is below 1, with"
        # With a transform the limit is a smaller one.
        verb = "is too many for" if about and n_components > 0 else verb
        raise ValueError(f"n_components={n_components} {verb} {what}{about}: use at most {most}, or none")
    if n_components is None and transform == "whiten" and most < dim:
        raise ValueError(
            f"whitened in all {dim} dimensions, {n_clips} clips would be equally far from one another: use "
            f"n_components of at most {most}, or whiten-shrunk"
        )
    if most < 1:
        raise ValueError(
            f"transform={transform} leaves nothing of dim={dim} and n_clips={n_clips}: remove fewer"
        )


def explained(x: np.ndarray) -> np.ndarray:
    """Share of the variance that lies in the first 1, 2, ... principal components: [min(n_clips, dim)].

    Examples
    --------
    >>> explained(np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    array([0.9, 1. ])
    """
    variances = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    return np.cumsum(variances) / max(variances.sum(), np.finfo(float).tiny)
