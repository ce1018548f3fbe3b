"""Scaling of embeddings: features to [0, 1], vectors to unit length."""

import numpy as np


def min_max_scale(x: np.ndarray, low: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Each column as (x - low) / width; 0 where the width is 0.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    low, width : np.ndarray [shape=(dim,)]

    Examples
    --------
    >>> min_max_scale(np.array([[1.0, 7.0], [2.0, 7.0]]), np.array([1.0, 7.0]), np.array([4.0, 0.0]))
    array([[0.  , 0.  ],
           [0.25, 0.  ]])
    """
    return np.divide(x - low, width, out=np.zeros(x.shape), where=width > 0)


def l2_normalize(x: np.ndarray) -> np.ndarray:
    """Each row over its Euclidean length, x / |x|; a zero row stays zero.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]

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
    # In float64 squares beyond 2**1024 are inf, those below 2**-1074 are 0. So a row whose largest value is
    # outside 2**-250 to 2**250 is brought inside; squares of 2**500 leave room for their sum. Powers of two
    # change no digit.
    exponent = np.frexp(np.maximum(x.max(axis=1, initial=0), -x.min(axis=1, initial=0)))[1]
    x = np.ldexp(x, (np.clip(exponent, -250, 250) - exponent)[:, None])
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)
