"""State dicts in the published form of AudioCLIP and Wav2CLIP, with seeded weights."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.signal
import seeded

DATA = Path(__file__).parent / "data"
AUDIOCLIP_OTHERS = (
    "visual.conv1.weight",
    "transformer.resblocks.0.ln_1.bias",
    "token_embedding.weight",
    "positional_embedding",
    "ln_final.bias",
    "text_projection",
    "logit_scale",
    "logit_scale_ai",
    "logit_scale_at",
)
"""Parameters of the image and text branches, and of the logits."""


def audioclip_audio(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """AudioCLIP's audio branch: seeded, but with its window, and wavelets about where training starts."""
    state, rng = seeded.rectified_state(shapes), np.random.default_rng(0)
    state["audio.fbsp.m"] = rng.uniform(0, 2, 1025).astype(np.float32)
    state["audio.fbsp.fb"] = rng.uniform(0.8, 1.2, 1025).astype(np.float32)
    state["audio.fbsp.fc"] = (np.arange(1025) + rng.normal(0, 0.1, 1025)).astype(np.float32)
    state["audio.window"] = scipy.signal.get_window("blackmanharris", 1654).astype(np.float32)
    return state


def audioclip() -> dict[str, np.ndarray]:
    """The authors' whole model, with single numbers in the place of the other branches."""
    shapes = seeded.recorded_shapes(np.load(DATA / "audioclip_reference.npz"))
    return audioclip_audio(shapes) | {name: np.zeros(1, np.float32) for name in AUDIOCLIP_OTHERS}


def wav2clip() -> dict[str, np.ndarray]:
    """The package's state dict, beside what else its training saves."""
    state = seeded.rectified_state(seeded.recorded_shapes(np.load(DATA / "wav2clip_reference.npz")))
    state["audio_encoder.spectrogram.window"] = scipy.signal.get_window("hann", 512).astype(np.float32)
    state["image_transform.sequential.0.weight"] = np.zeros((512, 512), np.float32)
    return state
