"""aiSFX: a convolutional network for sound effects (Ma and Lerch, ISMIR 2022), written from its layer names.

The published pipeline, with the audio decoded by `sss_lib.io.audio`: 96 HTK mel bands of 2048-sample frames
(hop 1024) at 44.1 kHz, log10(1 + 10000 x) over the training maximum, in patches of 100 frames with hop 50.
A last patch that isn't full is dropped, unless it's the only one: then it is padded with zeros.
"""

import numpy as np
import torch
from torch import nn

from sss_lib.io import windowing
from sss_lib.models.frontends.batches import Batched, chosen
from sss_lib.models.frontends.spectrogram import log_mel
from sss_lib.models.loaders.winograd import Convolution
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

LOG_MEL_MAX = 9.457798957824707
"""Largest log-mel value of the training data, which the network's input is divided by."""
PATCH, HOP = 100, 50
CHANNELS = (1, 64, 128, 256, 512)


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_frames, 512]."""
    network = checkpoint.load_published(spec, Network)
    if chosen(device) != "cpu":
        return Batched(patches, network, device)
    # For maps of more patches, memory is often taken from the system and given back each time.
    return Batched(patches, OnProcessor(network), device, batch=4)


def patches(wave: np.ndarray) -> np.ndarray:
    """Network input: patches of the scaled log-mel spectrogram.

    Returns
    -------
    np.ndarray [shape=(n_patches, 100, 96), dtype=float32]
    """
    frames = log_mel(wave, rate_hz=44100, size=2048, hop=1024, n_bands=96) / LOG_MEL_MAX
    return windowing.chunk(frames.astype(np.float32), PATCH, HOP, keep_partial=False)


class Block(nn.Module):
    """Two 3 x 3 convolutions, then the largest of `pool` x `pool` values."""

    def __init__(self, n_in: int, n_out: int, pool: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, height // pool, width // pool]."""
        x = torch.relu(self.bn1(self.conv1(x)))
        return nn.functional.max_pool2d(torch.relu(self.bn2(self.conv2(x))), self.pool)


class Network(nn.Module):
    """Four blocks, mean over bands, maximum over time: [n, n_frames, n_bands] to [n, 512]."""

    def __init__(self) -> None:
        super().__init__()
        for i, pool in enumerate((2, 2, 2, 1)):
            self.add_module(f"conv_block{i + 1}", Block(CHANNELS[i], CHANNELS[i + 1], pool))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 512]."""
        x = x.unsqueeze(1)
        for block in self.children():
            x = block(x)
        return x.mean(dim=3).amax(dim=2)


class OnProcessor(nn.Sequential):
    """The same network in half of the time."""

    def __init__(self, network: Network) -> None:
        layers = [(block.conv1, block.bn1, 1) for block in network.children()]
        pooled = [(block.conv2, block.bn2, block.pool) for block in network.children()]
        pairs = zip(layers, pooled, strict=True)
        super().__init__(*(Convolution(*layer) for pair in pairs for layer in pair))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 512]."""
        return super().forward(x.unsqueeze(3)).mean(dim=2).amax(dim=1)
