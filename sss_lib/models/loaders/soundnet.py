"""SoundNet (Aytar et al., NIPS 2016): convolutions over samples, taught by networks of images.

What its fifth convolution gives after pooling, with which its authors classified ESC-50. As there, shorter
clips are repeated to 10 s; longer ones are heard whole.
"""

import numpy as np
import torch
from torch import nn

from sss_lib.models.frontends.batches import Batched, chosen
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

    network = checkpoint.load_published(spec, Network)
    return Batched(samples, OnProcessor(network) if chosen(device) == "cpu" else network, device, batch=1)


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


class OnProcessor(Network):
    """The same network in half of the time: its first two convolutions, of few channels, in blocks."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.load_state_dict(network.state_dict())
        for i, (_, _, pool) in enumerate(LAYERS[:2], start=1):
            setattr(self, f"conv{i}", Blocks(getattr(self, f"conv{i}"), pool))
            setattr(self, f"pool{i}", nn.ReLU())


class Blocks(nn.Module):
    """The largest of each `pool` results of a convolution: by one with a stride of one, and more channels.

    A block of 2 `pool` samples, by which a pooled result moves on, is taken for channels, and the results
    that are pooled are channels too. Up to a third of the multiplications are with zeros, and a processor is
    still quicker: it does those of many channels at once.

    Parameters
    ----------
    convolution : nn.Conv1d
        With a stride of two and an even width, padded by half of it.
    pool : int
    """

    def __init__(self, convolution: nn.Conv1d, pool: int):
        super().__init__()
        n_out, n_in, width = convolution.weight.shape
        self.pool, self.step, self.margin = pool, 2 * pool, width // 2
        n_blocks = -(-(width + 2 * (pool - 1)) // self.step)
        weight = torch.zeros(pool, n_out, n_in, n_blocks * self.step)
        for i in range(pool):
            weight[i, :, :, 2 * i : 2 * i + width] = convolution.weight.detach()
        weight = weight.unflatten(3, (n_blocks, self.step)).permute(0, 1, 4, 2, 3)
        self.register_buffer("weight", weight.reshape(pool * n_out, self.step * n_in, n_blocks))
        self.register_buffer("bias", convolution.bias.detach().repeat(pool))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Results [n, n_out, (n_samples // 2 + 1) // pool], of [n, n_in, n_samples]."""
        n_results = (x.shape[2] // 2 + 1) // self.pool
        n_needed = (n_results - 1 + self.weight.shape[2]) * self.step
        x = nn.functional.pad(x, (self.margin, n_needed - self.margin - x.shape[2]))
        blocks = x.unflatten(2, (-1, self.step)).permute(0, 3, 1, 2).flatten(1, 2)
        results = nn.functional.conv1d(blocks, self.weight, self.bias)
        return results.unflatten(1, (self.pool, -1)).amax(dim=1)
