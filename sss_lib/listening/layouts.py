"""Places of the clips on a map: the first two principal components, or t-SNE."""

import numpy as np

from sss_lib.artefacts import Store, to_matrix
from sss_lib.processing import process

LAYOUTS = {"pca": "principal components", "tsne": "t-SNE"}


def places(x: np.ndarray, how: str = "pca") -> np.ndarray:
    """Place of each clip in two dimensions.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Clip embeddings, at least two.
    how : str
        "pca" keeps large distances, "tsne" neighbours (scikit-learn, from PCA, with a fixed seed).

    Returns
    -------
    np.ndarray [shape=(n_clips, 2), dtype=float32]

    Raises
    ------
    ValueError
        If the layout is unknown, or there are fewer than two clips.
    """
    if how not in LAYOUTS:
        raise ValueError(f"layout {how!r} is unknown: use {' or '.join(LAYOUTS)}")
    if len(x) < 2:
        raise ValueError(f"{len(x)} clip(s) make no map: it takes two")
    if how == "pca" or len(x) < 4:
        flat = process(x, min(2, *x.shape), normalize=False)
        return np.pad(flat, [(0, 0), (0, 2 - flat.shape[1])])
    from sklearn.manifold import TSNE

    perplexity = min(30, (len(x) - 1) / 3)
    layout = TSNE(init="pca", perplexity=perplexity, random_state=0)
    return layout.fit_transform(np.ascontiguousarray(x, np.float32)).astype(np.float32)


def read_or_make(store: Store, dataset: str, variant, how: str) -> tuple[list[str], np.ndarray]:
    """Clips and their places on the map of a variant, made and kept if they aren't current."""
    artefact = store.layout(dataset, variant, how)
    if artefact.is_current():
        table = artefact.read()
        return table["fname"].to_pylist(), to_matrix(table["place"])
    stored = store.embeddings(dataset, variant).read()
    found = places(to_matrix(stored["embedding"]), how)
    artefact.write({"fname": stored["fname"].to_pylist(), "place": found})
    return stored["fname"].to_pylist(), found
