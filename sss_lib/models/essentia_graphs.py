"""Frozen TensorFlow graphs that Essentia runs with its own front end: VGGish, YAMNet, MusiCNN, FSD-SINet.

The catalogue's options name Essentia's algorithm and the graph's nodes. Essentia fills the last patch, which
isn't full, by repeating its own frames. That one counts if the clip has no other, so that any length of audio
gives an embedding, or if it holds at least half a hop of audio that no full patch holds.
"""

from collections.abc import Callable

import numpy as np

from sss_lib import audio
from sss_lib.models.essentia_import import graph_algorithm
from sss_lib.models.spec import ModelSpec

MIN_SAMPLES = 1024
"""Shorter waves are padded with zeros to this length, so that the front ends have a frame to work on."""


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network: waveform to [n_patches, dim]. It runs on the CPU, whatever the device.

    Of the options, `patch_s` is the length of a patch in seconds, `min_s` what shorter clips are padded to
    with zeros, and `last_patch` "half", or "full" to drop a last patch that isn't full; the others are
    Essentia's.
    """
    options = dict(spec.options)
    patch_s, last_patch = options.pop("patch_s"), options.pop("last_patch")
    n_min = max(MIN_SAMPLES, round(options.pop("min_s") * spec.rate_hz))
    predict = graph_algorithm(spec, options.pop("algorithm"), lastPatchMode="repeat", **options)

    def embed(wave: np.ndarray) -> np.ndarray:
        wave = audio.pad_to(wave, n_min)
        patches = np.atleast_2d(predict(wave))
        n_full = len(patches) - 1
        unheard_s = len(wave) / spec.rate_hz - (patch_s + (n_full - 1) * spec.hop_s)
        counts = not n_full or (last_patch == "half" and unheard_s >= spec.hop_s / 2)
        return patches if counts else patches[:-1]

    return embed
