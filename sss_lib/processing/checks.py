"""What embeddings must be: a table of finite numbers, within single precision."""

import numpy as np


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
    """Finite numbers in float32; ValueError with the largest if float32 can't hold it.

    Examples
    --------
    >>> in_single_precision(np.array([[1.0, 2.0]]), "embeddings")
    array([[1., 2.]], dtype=float32)
    """
    with np.errstate(over="ignore"):
        kept = np.asarray(x, np.float32)
    if np.isinf(kept).any():
        raise ValueError(
            f"a value of {np.abs(x).max():.3g} among the {what} is beyond single precision, which holds up "
            f"to {np.finfo(np.float32).max:.3g}: scale them towards 1 first"
        )
    return kept
