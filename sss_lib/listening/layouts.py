"""Places of the clips on a map: the first two principal components, or t-SNE."""

import numpy as np

from sss_lib.experiment.store import Store, to_matrix
from sss_lib.experiment.variant import Variant
from sss_lib.processing.projection import project

LAYOUTS = {"pca": "principal components", "tsne": "t-SNE"}


def read_or_make(store: Store, dataset: str, variant: Variant, how: str) -> tuple[list[str], np.ndarray]:
    """Clips and their places on the map of a variant, made and kept if they aren't current."""
    artefact = store.layout(dataset, variant, how)
    if artefact.is_current():
        table = artefact.read()
        return table["fname"].to_pylist(), to_matrix(table["place"])
    stored = store.embeddings(dataset, variant).read()
    found = project(to_matrix(stored["embedding"]), how)
    artefact.write({"fname": stored["fname"].to_pylist(), "place": found})
    return stored["fname"].to_pylist(), found
