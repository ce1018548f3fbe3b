"""Clips in two dimensions, to be looked at."""

import numpy as np
import threadpoolctl

from sss_lib.processing.checks import require_finite

METHODS = ("tsne", "pca")
MANY = 3000
"""Clips beyond which t-SNE takes longer steps and fewer of them."""
FEW = 500
"""Clips up to which t-SNE has one thread: others would wait for each other a thousand times."""
FARTHEST = 30
"""Exponent of two beyond which embeddings are scaled first: t-SNE squares distances in float32."""


def project(x: np.ndarray, how: str = "tsne", *, seed: int = 0) -> np.ndarray:
    """Points in the plane in which near clips are near: t-SNE keeps neighbourhoods, PCA the largest variance.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings.
    how : str
        "tsne" or "pca". t-SNE starts from PCA, at a perplexity of 30 or a third of the clips; three clips or
        two are laid out by PCA. Of more than 3,000 clips it takes 400 steps in place of 1,000, three to four
        times as long, on two threads: a map is the same each time on one machine.
    seed : int

    Returns
    -------
    np.ndarray [shape=(n_clips, 2), dtype=float32]
        Centred, the larger standard deviation one.

    Raises
    ------
    ValueError
        If `how` is unknown, there are fewer than two clips, or a value isn't finite.

    Examples
    --------
    >>> project(np.array([[0.0, 0, 0], [2, 0, 0], [4, 1, 0]]), "pca").shape
    (3, 2)
    """
    if how not in METHODS:
        raise ValueError(f"projection {how!r} is unknown: use one of {', '.join(METHODS)}")
    require_finite(x, "embeddings")
    if len(x) < 2:
        raise ValueError(f"{len(x)} clip(s) make no map: it takes two")
    centred = np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64)
    exponent = int(np.frexp(np.abs(centred).max())[1])
    if abs(exponent) > FARTHEST:
        centred = np.ldexp(centred, -exponent)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])  # svd leaves them open
    points = np.zeros((len(x), 2))
    points[:, : len(sizes)] = (left * sizes * signs)[:, :2]
    if how == "tsne" and len(x) > 3:
        from sklearn.manifold import TSNE

        start = points / (points.std(axis=0).max() or 1) * 1e-4
        perplexity = min(30.0, (len(x) - 1) / 3)
        fast = {}
        if len(x) > MANY:  # two partial sums have one order, those of more threads have not
            fast = {"n_jobs": 2, "max_iter": 400, "angle": 0.8, "learning_rate": len(x) / 12}
        settings = {"n_jobs": 1, "perplexity": perplexity, "init": start, "random_state": seed} | fast
        with threadpoolctl.threadpool_limits(1 if len(x) <= FEW else None, "openmp"):
            points = TSNE(2, **settings).fit_transform(centred)
    points = points - points.mean(axis=0)
    return (points / (points.std(axis=0).max() or 1)).astype(np.float32)
