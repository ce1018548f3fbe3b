"""Frozen TensorFlow graphs that Essentia runs: VGGish, MusiCNN, FSD-SINet, and YAMNet as in the 2024 study.

The front ends are Essentia's, but for VGGish, which has its authors'.

Essentia has an algorithm for each that does it all. Here only its parts are used, the mel bands of a frame
and the graph, because it puts random noise into silent frames, other noise each time; on sound the results
are the same. A last patch that isn't full is filled by repeating its frames. It counts if the clip has no
other, so that any length of audio gives an embedding, or if it holds at least half a hop that no full patch
holds.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from sss_lib.io import windowing
from sss_lib.models.frontends import audioset
from sss_lib.models.loaders.essentia_import import essentia_standard, graph
from sss_lib.models.spec import ModelSpec

HEADROOM = 0.005
"""Added to the peak that FSD-SINet's audio is divided by."""


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network: waveform to [n_patches, dim]. It runs on the CPU on any device.

    Of the options, `front_end` is Essentia's algorithm for the bands of a frame, with `frame` and `hop` in
    samples; in its place `log_offset` may be that of `audioset.log_mel`. `patch` and `patch_hop` are in
    frames; `input` and `output` are nodes of the graph and `channel` the extra axis that it needs; `peak`
    says whether the wave is scaled to its peak. Shorter clips are padded with zeros to `min_s` seconds.
    `last_patch` is that of `patches`.
    """
    options = spec.options
    network = graph(spec, options["input"], options["output"], squeeze=options["channel"] == 1)
    bands_in = _bands(spec)

    def embed(wave: np.ndarray) -> np.ndarray:
        wave = windowing.pad_to(wave, round(options["min_s"] * spec.rate_hz))
        if options["peak"]:
            wave = wave - wave.mean(dtype=np.float64)
            wave = wave / (np.abs(wave).max() + HEADROOM)
        cut = patches(bands_in(wave), options["patch"], options["patch_hop"], last=options["last_patch"])
        return network(np.expand_dims(cut, options["channel"]))

    return embed


def _bands(spec: ModelSpec) -> Callable[[np.ndarray], np.ndarray]:
    """Return the front end: waveform to bands of frames."""
    options = spec.options
    if "log_offset" in options:
        return partial(audioset.log_mel, log_offset=options["log_offset"])
    bands_of = getattr(essentia_standard(spec.name), options["front_end"])()
    return lambda wave: np.array([bands_of(one) for one in frames(wave, options["frame"], options["hop"])])


def frames(wave: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Frames centred on every multiple of the hop up to the first one that isn't before the wave's end.

    Returns
    -------
    np.ndarray [shape=(n_frames, size), dtype=float32]
        n_frames = 1 + ceil(n_samples / hop); zeros around the wave.

    Examples
    --------
    >>> frames(np.array([1, 2, 3]), size=4, hop=2)
    array([[0., 0., 1., 2.],
           [1., 2., 3., 0.],
           [3., 0., 0., 0.]], dtype=float32)
    """
    n_frames = 1 - (-len(wave) // hop)
    padded = np.pad(wave.astype(np.float32), (size // 2, size + hop))
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:n_frames])


def patches(bands: np.ndarray, size: int, hop: int, *, last: str) -> np.ndarray:
    """Patches of frames at a fixed hop, the last one filled by repeating what there is of it.

    Parameters
    ----------
    bands : np.ndarray [shape=(n_frames, n_bands)]
    size, hop : int
        In frames.
    last : str
        Whether a last patch that isn't full counts if there are full ones: "half" if at least half a hop of
        it is in no full one, "full" never.

    Returns
    -------
    np.ndarray [shape=(n_patches, size, n_bands)]
        At least one.

    Examples
    --------
    >>> patches(np.arange(6)[:, None], size=4, hop=4, last="half")[..., 0]
    array([[0, 1, 2, 3],
           [4, 5, 4, 5]])
    >>> patches(np.arange(5)[:, None], size=4, hop=4, last="half")[..., 0]
    array([[0, 1, 2, 3]])
    """
    n_full = max(0, 1 + (len(bands) - size) // hop)
    n_left = len(bands) - (size + (n_full - 1) * hop)
    n_patches = n_full + (not n_full or (last == "half" and 2 * n_left >= hop))
    starts = range(0, n_patches * hop, hop)
    return np.stack([np.resize(bands[start : start + size], (size, bands.shape[1])) for start in starts])
