"""Frame embeddings to clip embeddings: mean, maximum or median over time, or mean and deviation."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.processing.checks import require_finite

if TYPE_CHECKING:
    from sss_lib.io.artefact import Frames

AGGREGATIONS = ("mean", "max", "median", "meanstd", "none")
"""`meanstd` has twice the dimensions: the mean of each, then its standard deviation."""


def aggregate(frames: np.ndarray, offsets: np.ndarray, how: str) -> np.ndarray:
    """One embedding a clip: the mean, maximum or median of its frames, per dimension.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_total, dim)]
        The frames of all clips, one clip after the other.
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int]
        Clip i owns `frames[offsets[i]:offsets[i + 1]]`.
    how : str
        "mean", "max", "median"; "meanstd" for the means and then the standard deviations, which are 0 of
        one frame; or "none" where every clip has exactly one frame.

    Returns
    -------
    np.ndarray [shape=(n_clips, dim), dtype=float32]
        Of "meanstd": 2 dim.

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
    >>> aggregate(frames, np.array([0, 2, 3]), "meanstd")
    array([[2., 3., 1., 2.],
           [7., 7., 0., 0.]], dtype=float32)
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
                "use mean, max, median or meanstd"
            )
        return frames.astype(np.float32)
    if how in ("mean", "meanstd"):
        means = np.add.reduceat(frames, offsets[:-1], axis=0, dtype=np.float64) / n_frames[:, None]
        if how == "mean":
            return means.astype(np.float32)
        squares = (frames - np.repeat(means, n_frames, axis=0)) ** 2
        variances = np.add.reduceat(squares, offsets[:-1], axis=0) / n_frames[:, None]
        return np.hstack([means, np.sqrt(variances)]).astype(np.float32)
    if how == "max":
        return np.maximum.reduceat(frames, offsets[:-1], axis=0).astype(np.float32)
    spans = itertools.pairwise(offsets)
    return np.stack([np.median(frames[start:end], axis=0) for start, end in spans]).astype(np.float32)


@dataclass(frozen=True)
class Aggregated:
    """Clip embeddings by `aggregate`, one part of a collection after the other.

    Attributes
    ----------
    parts : iterable of Frames
        Such as `extraction.Parts`; read once an iteration.
    how : str
        As in `aggregate`.
    """

    parts: "Iterable[Frames]"
    how: str

    def __iter__(self) -> Iterator[np.ndarray]:
        return (aggregate(part.values, part.offsets, self.how) for part in self.parts)
