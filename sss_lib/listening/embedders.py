"""What the process of a model does: it keeps the model loaded, and embeds a sound or words.

It imports little: each model has a process of its own, see `shared_models`.
"""

import numpy as np

from sss_lib.io import audio
from sss_lib.models import registry as models
from sss_lib.models.levels import frame_levels, has_times


def embed_file(spec: models.ModelSpec, path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Frame embeddings of a file, float32 [n_frames, dim], and their levels where their times are known."""
    if spec.is_given:
        how = "ranks its own clips alone" if not spec.loader else "was computed by others"
        raise ValueError(f"{spec.display_name} {how}: no new sound can be embedded here")
    wave = audio.decode(path, spec.rate_hz)
    frames = _extractor(spec)(wave)
    return frames, frame_levels(wave, spec, len(frames)) if has_times(spec) else None


def embed_words(spec: models.ModelSpec, words: str) -> tuple[np.ndarray, None]:
    """Embedding of words in the space of the sounds, float32 [1, dim], which have no level."""
    embed = models.text_tower(spec)
    if embed is None:
        raise ValueError(f"{spec.name} has no text tower here")
    return np.atleast_2d(np.asarray(embed(words), np.float32)), None


def load(spec: models.ModelSpec) -> None:
    """Load a model, unless it is, and let it hear a second of noise.

    Some build their network then, or refuse silence.
    """
    if spec.name not in _loaded:
        _extractor(spec)(np.random.default_rng(0).uniform(-0.1, 0.1, spec.rate_hz).astype(np.float32))


_loaded: dict[str, models.Extractor] = {}


def _extractor(spec: models.ModelSpec) -> models.Extractor:
    if spec.name not in _loaded:
        _loaded[spec.name] = models.load(spec)
    return _loaded[spec.name]
