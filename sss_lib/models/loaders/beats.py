"""BEATs: a transformer over patches of the spectrogram (Chen et al., 2022), written from its layer names.

Each 16 x 16 patch of the log-mel frames is a token: 8 bands every 160 ms. Attention is to all tokens, with a
bias for their distance in the sequence that a gate at each token scales.

A frame is the mean of the 8 tokens of one 160 ms, so that the mean over frames is that over tokens. With
options={"tokens": True} each token is a frame: then the maximum and the median, too, are those over tokens.

A clip beyond 30 s, whose attention would outgrow the memory, is cut into pieces of 30 s, and one piece goes
through the network at a time: its 1,496 tokens take 0.3 GiB besides the weights.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.io import audio
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.frontends.kaldi import fbank
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint
from sss_lib.models.weights import file as weights

if TYPE_CHECKING:
    from torch import nn

MEAN, SCALE = 15.41663, 2 * 6.55582
"""The training data's log-mel mean, and twice its standard deviation."""
PATCH = 16
CFG = {"activation_fn", "deep_norm", "layer_norm_first", "max_distance"}
"""What a checkpoint's configuration tells of the network that no shape does."""
SHORTEST, PIECE = 400 + (PATCH - 1) * 160, 30 * 16000
"""Samples that give one patch, and samples at most at once."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_frames, 768]."""
    checkpoint.import_torch(spec)
    path = weights.find(spec.name, spec.needed_weights)
    content = checkpoint.read(path)
    state = checkpoint.select(content, path, nested="model", dropped=("predictor.",))
    cfg = content.get("cfg")
    if not isinstance(cfg, Mapping) or not cfg.keys() >= CFG:
        needed = ", ".join(sorted(CFG))
        raise ValueError(f"{path} has no cfg with {needed}: it isn't the published file, get that again")
    network = checkpoint.load_into(build(cfg, **spec.options), state, path)
    return Batched(inputs, network, device, batch=1)


def inputs(wave: np.ndarray) -> Iterator[np.ndarray]:
    """Scaled log-mel frames of each piece of a wave.

    Yields
    ------
    np.ndarray [shape=(n_frames, 128), dtype=float32]
        At least 16 frames: a wave that is shorter is filled up with silence.
    """
    pieces = audio.windows(wave, PIECE) if len(wave) > PIECE else [audio.pad_to(wave, SHORTEST)]
    for piece in pieces:
        frames = fbank(piece * np.float32(2**15), rate_hz=16000, window="povey")
        yield (frames - np.float32(MEAN)) / np.float32(SCALE)


def build(cfg: Mapping, *, tokens: bool = False) -> "nn.Module":
    """Network of a checkpoint.

    Parameters
    ----------
    cfg : mapping
        As in the checkpoint. Its `max_distance` and `deep_norm` count, which no shape tells.
    tokens : bool
        Give all tokens instead of the means of those of one time.

    Returns
    -------
    torch.nn.Module
        [n, n_frames, 128] to [n, n_frames // 16, 768], 8 times as many with `tokens`; its state dict has the
        published names.

    Raises
    ------
    ValueError
        If `cfg` asks for layers that none of the published checkpoints has.
    """
    from sss_lib.models.loaders.beats_network import N_LAYERS, Network

    for key, value in {"layer_norm_first": False, "activation_fn": "gelu"}.items():
        if cfg[key] != value:
            raise ValueError(f"cfg has {key}={cfg[key]!r}, not {value!r}: use a published checkpoint")
    skip = (2 * N_LAYERS) ** 0.25 if cfg["deep_norm"] else 1.0
    return Network(max_distance=cfg["max_distance"], skip=skip, tokens=tokens, patch=PATCH)
