"""Frame embeddings to clip embeddings: aggregate over time, reduce with PCA, L2-normalise."""

import itertools

import numpy as np

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


def process(
    x: np.ndarray,
    n_components: int | None = None,
    normalize: bool = True,
    pre_normalize: bool = False,
    scale: bool = False,
) -> np.ndarray:
    """Clip embeddings as they are searched: PCA to fewer dimensions, then unit length.

    PCA is fitted on these very clips (transductive, as in Araz et al. 2024), from the full singular
    value decomposition on one thread, so that it depends on no seed, solver's choice or number of cores.

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
    require_finite(x, "embeddings")
    if scale:
        x = min_max_scale(x)
    if pre_normalize:
        x = l2_normalize(x)
    if n_components is not None:
        n_clips, dim = x.shape
        if not 1 <= n_components <= min(n_clips, dim):
            what = f"dim={dim}" if dim <= n_clips else f"n_clips={n_clips}"
            verb = "exceeds" if n_components > 0 else "is below 1, with"
            raise ValueError(
                f"n_components={n_components} {verb} {what}: use at most {min(n_clips, dim)}, or none"
            )
        import threadpoolctl

        centred = x - x.mean(axis=0, dtype=np.float64)
        with threadpoolctl.threadpool_limits(1):
            u, s, vt = np.linalg.svd(centred, full_matrices=False)
        # A component's sign is free: its largest weight is made positive.
        sign = np.sign(np.take_along_axis(vt, np.abs(vt).argmax(axis=1)[:, None], axis=1).ravel())
        x = (u * (s * np.where(sign == 0, 1, sign)))[:, :n_components]
    return (l2_normalize(x) if normalize else x).astype(np.float32)


def min_max_scale(x: np.ndarray) -> np.ndarray:
    """Each column from 0 at its smallest value to 1 at its largest; 0 where it doesn't vary.

    Examples
    --------
    >>> min_max_scale(np.array([[1.0, 7.0], [2.0, 7.0], [5.0, 7.0]]))
    array([[0.  , 0.  ],
           [0.25, 0.  ],
           [1.  , 0.  ]])
    """
    x = x.astype(np.float64)
    low = x.min(axis=0)
    width = x.max(axis=0) - low
    return np.divide(x - low, width, out=np.zeros_like(x), where=width > 0)


def l2_normalize(x: np.ndarray) -> np.ndarray:
    """Each row over its Euclidean length; a zero row stays zero.

    Examples
    --------
    >>> l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0, casting="unsafe")


def require_finite(x: np.ndarray, what: str) -> None:
    """Raise ValueError if any row holds a value that isn't finite, naming the first such row."""
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{np.count_nonzero(bad)} of {len(x)} {what} are not finite (first: row {int(np.argmax(bad))}): "
            "extract those clips again"
        )
