"""Whole multiples of powers of two: numbers that float64 adds and multiplies without rounding."""

import numpy as np

from sss_lib.search.ranking import in_threads


def n_bits(dim: int) -> int:
    """Bits of a coordinate with which float64 holds every inner product of `dim` of them.

    Examples
    --------
    >>> n_bits(100), n_bits(512), n_bits(6144)
    (23, 22, 20)
    """
    return (53 - (dim - 1).bit_length()) // 2


def parts(x: np.ndarray) -> list[slice]:
    """Some rows after the other."""
    return [slice(start, start + 1024) for start in range(0, len(x), 1024)]


def exponent_of(largest: np.ndarray | float) -> np.ndarray:
    """Smallest e with largest < 2**e; 0 of 0."""
    return np.frexp(largest)[1]


def centre_of(x: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Where distances are measured from: about the mean of all clips, the same on every processor.

    Distances don't change when it is taken off, and rounding shrinks with the length. It is on a coarse grid,
    so that embeddings on a grid stay on it and their ties stay ties.
    """
    # In whole multiples of so small a unit float64 sums all clips without rounding, in any order.
    unit = int(exponent_of(max(np.abs(least).max(), np.abs(most).max()))) + len(x).bit_length() - 53
    total = sum(in_threads(lambda rows: np.rint(shifted(x[rows], -unit)).sum(axis=0), parts(x)))
    mean = np.ldexp(total / len(x), unit)
    reach = np.maximum(most - mean, mean - least).max()
    step = exponent_of(reach) - 1 if reach > 0 else 0
    return np.ldexp(np.rint(np.ldexp(mean, -step)), step)


def round_up(x: np.ndarray, dtype: np.typing.DTypeLike = np.float32) -> np.ndarray:
    """Numbers of a type that are larger."""
    return np.nextafter(x.astype(dtype), np.array(np.inf, dtype))


def round_down(x: np.ndarray) -> np.ndarray:
    """Numbers in float32 that are smaller."""
    return np.nextafter(x.astype(np.float32), np.float32(-np.inf))


def shifted(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """Numbers times powers of two, exactly: what np.ldexp gives number by number, but vectorised."""
    if np.abs(exponent).max(initial=0) > 1022:  # their factors are beyond float64, where results may not be
        return np.ldexp(x, exponent)
    return x * np.ldexp(1.0, exponent)


def scaled(scores: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """Scores times powers of two; ValueError if float32 can't hold one."""
    with np.errstate(over="ignore", under="ignore"):
        kept = shifted(scores, exponent).astype(np.float32)
    beyond = np.isinf(kept) & np.isfinite(scores)
    if beyond.any():
        of_it = np.broadcast_to(exponent, scores.shape)[beyond][0]
        raise ValueError(
            f"a score of {scores[beyond][0]:.3g} x 2**{of_it} is beyond float32: scale the embeddings "
            "towards 1 first"
        )
    return kept
