"""Frozen TensorFlow graphs that Essentia runs with its own front end: VGGish, YAMNet, MusiCNN, FSD-SINet.

The catalogue's options name Essentia's algorithm and the graph's nodes. A last patch that isn't full is
filled by repeating its own frames, so that any length of audio gives at least one embedding.
"""

from collections.abc import Callable

import numpy as np

from sss_lib import audio
from sss_lib.models import read_weights
from sss_lib.models.essentia_import import essentia_standard
from sss_lib.models.spec import ModelSpec

MIN_SAMPLES = 1024
"""Shorter waves are padded with zeros to this length, so that the front ends have a frame to work on."""


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network: waveform to [n_patches, dim]. It runs on the CPU, whatever the device."""
    options = dict(spec.options)
    algorithm = getattr(essentia_standard(spec.name), options.pop("algorithm"))
    predict = algorithm(graphFilename=str(read_weights(spec)), lastPatchMode="repeat", **options)
    return lambda wave: np.atleast_2d(predict(audio.pad_to(wave, MIN_SAMPLES)))
