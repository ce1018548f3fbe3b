"""What the process of a model does: it keeps the model loaded, and embeds a sound or words.

It imports little: each model has a process of its own, see `shared_models`.
"""

import numpy as np

from sss_lib.io import audio
from sss_lib.models import registry as models


def embed_file(spec: models.ModelSpec, path: str) -> np.ndarray:
    """Frame embeddings of a file: float32 [n_frames, dim]."""
    if spec.is_given:
        how = "ranks its own clips alone" if not spec.loader else "was computed by others"
        raise ValueError(f"{spec.display_name} {how}: no new sound can be embedded here")
    return _extractor(spec)(audio.decode(path, spec.rate_hz))


def embed_words(spec: models.ModelSpec, words: str) -> np.ndarray:
    """Embedding of words in the space of the sounds: float32 [1, dim]."""
    embed = models.text_tower(spec)
    if embed is None:
        raise ValueError(f"{spec.name} has no text tower here")
    return np.atleast_2d(np.asarray(embed(words), np.float32))


def load(spec: models.ModelSpec) -> None:
    """Load a model, and let it hear a second of noise: some build their network then, or refuse silence."""
    _extractor(spec)(np.random.default_rng(0).uniform(-0.1, 0.1, spec.rate_hz).astype(np.float32))


_loaded: dict[str, models.Extractor] = {}


def _extractor(spec: models.ModelSpec) -> models.Extractor:
    if spec.name not in _loaded:
        _loaded[spec.name] = models.load(spec)
    return _loaded[spec.name]
