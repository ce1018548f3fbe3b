"""CLAP 2022: Cnn14 of the PANNs and a projection, written from its layer names.

Each window of 5 s gives one embedding.
"""

from typing import Any

import torch
from torch import nn

from sss_lib.models.frontends.batches import Batched, windowed
from sss_lib.models.loaders import clap
from sss_lib.models.loaders.clap_text import text_tower as text_tower
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

HOP = 320
CHANNELS = (1, 64, 128, 256, 512, 1024, 2048)
FILE: dict[str, Any] = {
    "nested": "model",
    "dropped": (
        "audio_encoder.base.spectrogram_extractor.",
        "audio_encoder.base.fc_audioset.",
        "caption_encoder.",
        "logit_scale",
    ),
    "renamed": {"audio_encoder.": ""},
}
"""How the published file is made up, as `checkpoint.select` takes it."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: each window to [1024]."""
    state, path = checkpoint.published(spec, **FILE)
    bank = clap.take_bank(state, "base.logmel_extractor.melW", path)
    network = checkpoint.load_into(Network(), state, path)
    return Batched(windowed(spec, clap.log_mel(bank, HOP)), network, device)


class Block(nn.Module):
    """Two 3 x 3 convolutions."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, n_frames, n_bands]."""
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Cnn14(nn.Module):
    """Six blocks, mean over bands, maximum plus mean over time: [n, 1, n_frames, 64] to [n, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(clap.N_BANDS)
        for i in range(1, 7):
            self.add_module(f"conv_block{i}", Block(CHANNELS[i - 1], CHANNELS[i]))
        self.fc1 = nn.Linear(2048, 2048)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values [n, 2048] before the projection."""
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        for i in range(1, 7):
            x = getattr(self, f"conv_block{i}")(x)
            if i < 6:
                x = nn.functional.avg_pool2d(x, 2)
        x = x.mean(dim=3)
        return torch.relu(self.fc1(x.amax(dim=2) + x.mean(dim=2)))


class Network(nn.Module):
    """Decibels [n, 1, n_frames, 64] to embeddings [n, 1024]."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Cnn14()
        self.projection = clap.Projection(2048)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 1024]."""
        return self.projection(self.base(x))
