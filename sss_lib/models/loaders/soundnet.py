"""SoundNet (Aytar et al., NIPS 2016): convolutions over samples, taught by networks of images.

What its fifth convolution gives after pooling, with which its authors classified ESC-50. As there, shorter
clips are repeated to 10 s; longer ones are heard whole.
"""

import numpy as np
import torch
from torch import nn

from sss_lib.models.frontends.batches import Batched
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

FULL_SCALE = 256
"""What a sample of full scale is to the network."""
MIN_S = 10
LAYERS = ((16, 64, 8), (32, 32, 8), (64, 16, 1), (128, 8, 1), (256, 4, 4))
"""Of conv1 to conv5: channels, width of the filters, width of the pooling. Each has a stride of two."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_frames, 256]."""
    n_min = MIN_S * spec.rate_hz

    def samples(wave: np.ndarray) -> list[np.ndarray]:
        return [np.resize(wave, max(len(wave), n_min)) * np.float32(FULL_SCALE)]

    return Batched(samples, checkpoint.load_published(spec, Network), device, batch=1)


class Network(nn.Sequential):
    """Samples [n, n_samples] to [n, n_frames, 256]; normalisations are folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        n_in = 1
        for i, (n_out, width, pool) in enumerate(LAYERS, start=1):
            self.add_module(f"conv{i}", nn.Conv1d(n_in, n_out, width, stride=2, padding=width // 2))
            self.add_module(f"pool{i}", nn.Sequential(nn.ReLU(), nn.MaxPool1d(pool)))
            n_in = n_out

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Frames [n, n_samples // 8192, 256], roughly."""
        return super().forward(samples[:, None]).transpose(1, 2)
