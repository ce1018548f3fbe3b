"""PE-A-Frame and PE-AV (Vyas et al., 2025): Meta's perception encoders for audio, hosted by transformers.

An encoder of a neural codec turns 40 ms of audio at 48 kHz into one vector, a transformer over all of them
follows, and a projection into the space of the texts. A frame embedding is that of 40 ms in its context.
PE-AV has one embedding a clip.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers.models.pe_audio.modeling_pe_audio import PeAudioContrastiveHead, PeAudioEncoder

from sss_lib.models.frontends.batches import Batched
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint
from sss_lib.models.weights import file as weights

HOP, DIM = 1920, 1024
PIECE, MARGIN = 100, 8
"""Frames that the codec's encoder computes at once, and those around them that it sees (12051 samples)."""
UNUSED = ("text_model.", "text_audio_head.", "text_audio_logit_")
"""Beginnings of names that belong to the text branch and to the logits."""
OF_VIDEO = ("audio_video_", "audio_plus_", "video_", "text_audio_video_", "text_model.")
"""Beginnings of names in PE-AV's files that aren't its audio model's."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights, or with those of a folder: waveform to [n_frames, 1024].

    One clip at a time goes through it; its end is mirrored to fill a whole number of frames.
    """
    if spec.weights:
        source = weights.find(spec.name, spec.weights)
        content, make = checkpoint.read(source), partial(build, **spec.options)
    else:
        source = Path(spec.options["folder"])
        config = transformers.AutoConfig.from_pretrained(source, local_files_only=True)
        content = checkpoint.read_folder(source, dropped=OF_VIDEO, renamed={"audio_model.": ""})
        encoder = getattr(config.audio_config, "audio_config", config.audio_config)
        make = partial(Network, encoder, spec.dim, pooled=spec.hop_s is None)
    state = checkpoint.select(content, source, dropped=UNUSED)
    network = checkpoint.load_into(make(), state, source)
    return Batched(mirrored, network, device, batch=1)


def mirrored(wave: np.ndarray) -> list[np.ndarray]:
    """The wave, mirrored at its end to a whole number of frames.

    Examples
    --------
    >>> [x.shape for x in mirrored(np.ones(1921, np.float32))]
    [(3840,)]
    """
    return [np.pad(wave, (0, -len(wave) % HOP), mode="reflect")]


def build(**sizes: int) -> "Network":
    """Network of the published kind.

    Parameters
    ----------
    **sizes : int
        Those of the encoder that differ from transformers' defaults: hidden_size, num_hidden_layers,
        num_attention_heads, intermediate_size.
    """
    codec = {"model_type": "dac", "sampling_rate": 48000}
    return Network(transformers.PeAudioEncoderConfig(**sizes, dac_config=codec), DIM)


class Network(nn.Module):
    """Audio encoder and projection: waves [n, n_samples], multiples of 1920, to [n, n_frames, dim].

    Parameters
    ----------
    config : transformers.PeAudioEncoderConfig
    dim : int
    pooled : bool
        One frame, of the token that stands for the whole clip, as in PE-AV.
    """

    def __init__(self, config: Any, dim: int, *, pooled: bool = False) -> None:
        super().__init__()
        self.pooled = pooled
        self.audio_encoder = PeAudioEncoder(config)
        self.audio_head = PeAudioContrastiveHead(config.hidden_size, dim)
        codec = self.audio_encoder.embedder.dac_encoder
        codec.forward = partial(in_pieces, codec.forward)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Frames [n, n_frames, dim]."""
        encoded = self.audio_encoder(waves[:, None])
        return self.audio_head(encoded.pooler_output[:, None] if self.pooled else encoded.last_hidden_state)


def in_pieces(encode: Callable[[torch.Tensor], torch.Tensor], waves: torch.Tensor) -> torch.Tensor:
    """Codec frames [n, dim, n_frames] of waves [n, 1, n_samples], a few seconds at a time.

    They equal those of the whole, since a frame sees no more than the margin; the whole would take 60 MB/s.
    """
    n_frames = waves.shape[-1] // HOP
    pieces = []
    for start in range(0, n_frames, PIECE):
        first = max(0, start - MARGIN)
        piece = encode(waves[..., first * HOP : (start + PIECE + MARGIN) * HOP])
        pieces.append(piece[..., start - first :][..., :PIECE])
    return torch.cat(pieces, dim=-1)
