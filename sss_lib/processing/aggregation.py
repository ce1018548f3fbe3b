"""Frame embeddings to clip embeddings: mean, maximum or median over time, or mean and deviation.

Over all frames, or over those that the audio's level selects: `mean-loudest`, `max-onset`.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.processing.checks import require_finite

if TYPE_CHECKING:
    from sss_lib.io.artefact import Frames

OVER_TIME = ("mean", "max", "median", "meanstd")
"""`meanstd` has twice the dimensions: the mean of each, then its standard deviation."""
SELECTIONS = ("loudest", "onset")
"""Frames that are aggregated: the loudest quarter of a clip's; those from its onset on."""
AGGREGATIONS = ("none", *OVER_TIME, *(f"{how}-{some}" for some in SELECTIONS for how in OVER_TIME))
ONSET = 100
"""A clip begins with its first frame whose power is at least the loudest one's divided by this: 20 dB."""


def selection(how: str) -> str:
    """Which frames an aggregation takes, of `SELECTIONS`; "" for all.

    Examples
    --------
    >>> selection("mean-loudest"), selection("mean")
    ('loudest', '')
    """
    return how.partition("-")[2]


def n_values(how: str) -> int:
    """How many values an aggregation makes of each dimension: 2 of "meanstd", else 1."""
    return 2 if how.startswith("meanstd") else 1


def selected(levels: np.ndarray, offsets: np.ndarray, which: str) -> np.ndarray:
    """Whether each frame is among those that are selected; of every clip one is.

    Parameters
    ----------
    levels : np.ndarray [shape=(n_total,)]
        Power of the audio of each frame.
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int]
    which : str
        "loudest" for a quarter of a clip's frames, rounded up, of equal ones the earlier; "onset" for those
        from the first one on that lies at most 20 dB below the loudest.

    Examples
    --------
    >>> levels = np.array([0.0, 0.5, 1.0, 0.001, 0.0])
    >>> selected(levels, np.array([0, 5]), "loudest"), selected(levels, np.array([0, 5]), "onset")
    (array([False,  True,  True, False, False]), array([False,  True,  True,  True,  True]))
    """
    n_frames = np.diff(offsets)
    clip, place = np.repeat(np.arange(len(n_frames)), n_frames), np.arange(len(levels))
    found = np.empty(len(levels), bool)
    if which == "loudest":
        order = np.lexsort((-levels, clip))  # stable: of equal ones the earlier
        found[order] = place - offsets[clip] < -(-n_frames // 4)[clip]
        return found
    is_loud = levels * ONSET >= np.maximum.reduceat(levels, offsets[:-1])[clip]
    onsets = np.minimum.reduceat(np.where(is_loud, place, len(levels)), offsets[:-1])
    return place >= onsets[clip]


def aggregate(
    frames: np.ndarray, offsets: np.ndarray, how: str, levels: np.ndarray | None = None
) -> np.ndarray:
    """One embedding a clip: the mean, maximum or median of its frames, per dimension.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_total, dim)]
        The frames of all clips, one clip after the other.
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int]
        Clip i owns `frames[offsets[i]:offsets[i + 1]]`.
    how : str
        "mean", "max", "median"; "meanstd" for the means and then the standard deviations, which are 0 of
        one frame; "none" where every clip has exactly one frame; or one of the first four over some of the
        frames, as "mean-loudest": see `selected`.
    levels : np.ndarray [shape=(n_total,)], optional
        Power of the audio of each frame, which `models.levels.frame_levels` measures. Needed where frames are
        selected, and a clip has several.

    Returns
    -------
    np.ndarray [shape=(n_clips, dim), dtype=float32]
        Of "meanstd": 2 dim.

    Raises
    ------
    ValueError
        If `how` is unknown, a clip has no frame, the offsets don't cover the frames, a value or a level isn't
        finite, a level is below 0, "none" meets a clip with several frames, or frames are selected without
        their levels.

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
    if levels is not None:
        levels = np.asarray(levels, float)
        if levels.shape != (len(frames),):
            raise ValueError(f"{len(levels)} levels of {len(frames)} frames: give each frame its own")
        require_finite(levels[:, None], "levels")
        if (levels < 0).any():
            raise ValueError(f"a level of {levels.min():g} is below 0: give the power of each frame's audio")
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
    how, _, some = how.partition("-")
    if some and (n_frames > 1).any():
        if levels is None:
            raise ValueError(
                f"aggregation '{how}-{some}' selects frames by the level of the audio: give their levels, or "
                f"use {how}"
            )
        kept = selected(levels, offsets, some)
        offsets = np.concatenate([[0], np.cumsum(np.add.reduceat(kept, offsets[:-1], dtype=int))])
        frames, n_frames = frames[kept], np.diff(offsets)
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
    levels : callable, optional
        From a clip's fname and number of frames to their levels, where frames are selected.
    """

    parts: "Iterable[Frames]"
    how: str
    levels: Callable[[str, int], np.ndarray] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        for part in self.parts:
            levels = None
            if self.levels is not None:
                n_frames = np.diff(part.offsets).tolist()
                levels = np.concatenate(list(map(self.levels, part.fnames, n_frames)))
            yield aggregate(part.values, part.offsets, self.how, levels)
