"""HTSAT encoders: LAION-CLAP, CLAP 2023 and Pengi, in the network that transformers has for LAION-CLAP.

Each window gives one embedding. The fused branch that some LAION-CLAP networks have for long clips stays off,
as their authors have it for clips up to 10 s; only `preprocessing="paper"` turns it on.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from transformers import ClapAudioConfig, ClapAudioModelWithProjection

from sss_lib.io import windowing
from sss_lib.models.frontends.batches import Batched, windowed
from sss_lib.models.loaders import clap
from sss_lib.models.loaders.clap_text import text_tower as text_tower
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

ENCODER = "audio_model.audio_encoder."
BANK = ENCODER + "logmel_extractor.melW"
UNUSED = ("spectrogram_extractor.", "tscam_conv.", "head.")
"""Parts of the encoder that the embedding doesn't use: spectrogram and classification."""
FILES: dict[str, dict[str, Any]] = {
    "laion": {
        "nested": "state_dict",
        "dropped": (
            *(f"audio_branch.{part}" for part in UNUSED),
            "audio_transform.",
            "text_branch.",
            "text_transform.",
            "text_projection.",
            "logit_scale_",
        ),
        "renamed": {
            "audio_branch.": ENCODER,
            "audio_projection.0.": "audio_projection.linear1.",
            "audio_projection.2.": "audio_projection.linear2.",
        },
    },
    "microsoft": {
        "nested": "model",
        "dropped": (
            *(f"audio_encoder.base.htsat.{part}" for part in UNUSED),
            "caption_encoder.",
            "caption_decoder.",
            "logit_scale",
        ),
        "renamed": {
            "audio_encoder.base.htsat.": ENCODER,
            "audio_encoder.projection.": "audio_projection.",
        },
    },
    "transformers": {"dropped": ("text_model.", "text_projection.", "logit_scale_")},
}
"""How each publisher's files are made up, as `checkpoint.select` takes it."""
HOP = {"laion": 480, "microsoft": 320, "transformers": 480}
SIZES = {"tiny": {}, "base": {"patch_embeds_hidden_size": 128, "depths": (2, 2, 12, 2), "hidden_size": 1024}}
"""Configurations of the network, where they differ from the defaults of transformers."""
RENAMED = {
    r"\.bn0\.": ".batch_norm.",
    r"\.norm1\.": ".layernorm_before.",
    r"\.norm2\.": ".layernorm_after.",
    r"\.mlp\.fc1\.": ".intermediate.dense.",
    r"\.mlp\.fc2\.": ".output.dense.",
    r"\.attn\.proj\.": ".attention.output.dense.",
    r"\.attn\.": ".attention.self.",
}
"""Names of HTSAT's authors, and those of transformers."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: each window to [dim]."""
    options = spec.options
    publisher, bank, fuse = options["publisher"], options["bank"], options.get("fuse_long", False)
    content, path = checkpoint.published(spec, **FILES[publisher])
    state = to_transformers(content)
    if bank == "file":
        bank = clap.take_bank(state, BANK, path)
    else:
        state.pop(BANK, None)
        bank = clap.mel_bank(spec.rate_hz, htk=bank == "htk")
    front_end = clap.log_mel(bank, HOP[publisher], sixteen_bit=publisher == "laion")
    inputs = windowed(spec, front_end)
    network = Network(
        options["size"],
        fusion=options.get("fusion", False),
        microsoft=publisher == "microsoft",
        unit=options["unit"],
    )
    return Batched(
        fusing(inputs, front_end, spec.window_size) if fuse else inputs,
        checkpoint.load_into(network, state, path),
        device,
    )


def to_transformers(state: Mapping) -> dict:
    """State dict with the names of transformers, from one with those of HTSAT's authors.

    Query, key and value, which are one matrix there, become three; attention masks, which are computed, are
    left out. Names that are those of transformers already stay as they are.

    Examples
    --------
    >>> list(to_transformers({"x.attn.qkv.bias": torch.zeros(6), "x.norm1.bias": 0, "x.attn_mask": 0}))
    ['x.attention.self.query.bias', 'x.attention.self.key.bias', 'x.attention.self.value.bias',
     'x.layernorm_before.bias']
    """
    renamed: dict = {}
    for name, value in state.items():
        if name.endswith(".attn_mask"):
            continue
        for pattern, replacement in RENAMED.items():
            name = re.sub(pattern, replacement, name)
        if ".qkv." in name:
            parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
            renamed |= {name.replace("qkv", part): third for part, third in parts}
        else:
            renamed[name] = value
    return renamed


def fusing(inputs: Callable, front_end: Callable, n_samples: int) -> Callable:
    """Network inputs of a wave, a single fused one where it is longer than the window.

    That is what the authors of LAION-CLAP do: the whole spectrogram shrunk to the length of a window, then
    a window from each third of it. Theirs are at random places, these at places drawn with the wave as seed.

    Parameters
    ----------
    inputs : callable
        Wave to an iterable of inputs, for the waves that are not longer.
    front_end : callable
        Wave to [1, n_frames, n_bands].
    n_samples : int
        Length of the window.

    Returns
    -------
    callable
        Wave to an iterable of inputs, [1, n_window_frames, n_bands] or one [4, n_window_frames, n_bands].
    """
    n_window_frames = front_end(np.zeros(n_samples, np.float32)).shape[1]

    def fused(wave: np.ndarray) -> Iterable[np.ndarray]:
        if len(wave) <= n_samples:
            return inputs(wave)
        mel = front_end(wave)
        return [
            mel if mel.shape[1] == n_window_frames else fuse(mel[0], n_window_frames, windowing.draws(wave))
        ]

    return fused


def fuse(mel: np.ndarray, n_frames: int, draws: np.random.Generator) -> np.ndarray:
    """Spectrogram shrunk to a length, and windows of that length from its first, middle and last third.

    Parameters
    ----------
    mel : np.ndarray [shape=(n_mel_frames, n_bands), dtype=float32]
        Longer than `n_frames`.
    n_frames : int
    draws : np.random.Generator
        Draws the place in each third.

    Returns
    -------
    np.ndarray [shape=(4, n_frames, n_bands), dtype=float32]
    """
    whole = torch.from_numpy(mel.T)[None]
    shrunk = torch.nn.functional.interpolate(whole, n_frames, mode="linear")[0].numpy().T
    thirds = np.array_split(np.arange(len(mel) - n_frames + 1), 3)
    starts = [int(third[draws.integers(len(third))]) if len(third) else 0 for third in thirds]
    return np.stack([shrunk, *(mel[start : start + n_frames] for start in starts)])


class Network(ClapAudioModelWithProjection):
    """HTSAT and a projection: decibels [n, 1, n_frames, 64] to [n, dim]; [n, 4, n_frames, 64] are fused.

    Parameters
    ----------
    size : str
        "tiny" or "base".
    fusion : bool
        Whether it can fuse the four spectrograms of a long clip.
    microsoft : bool
        Whether the projection is Microsoft's, to 1024 values, or LAION's, to 512.
    unit : bool
        Whether embeddings are scaled to unit length.
    """

    def __init__(
        self, size: str = "tiny", *, fusion: bool = False, microsoft: bool = False, unit: bool = False
    ) -> None:
        config = ClapAudioConfig(enable_fusion=fusion, **SIZES[size])
        super().__init__(config)
        self.unit = unit
        if microsoft:
            self.audio_projection = clap.Projection(config.hidden_size)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, dim]."""
        is_longer = torch.full((len(mel), 1), mel.shape[1] > 1, device=mel.device)
        embedded = super().forward(input_features=mel, is_longer=is_longer).audio_embeds
        return torch.nn.functional.normalize(embedded, dim=-1) if self.unit else embedded
