"""YAMNet (Plakal and Ellis, 2020): a MobileNet that tells AudioSet's classes, with its authors' front end.

Each patch of 0.96 s, one every 0.48 s, gives the mean of its last feature maps. The batch normalisations of
the published network are folded into its convolutions (data/models/build_yamnet.py).
"""

from functools import partial

import torch
from torch import nn

from sss_lib.models.frontends import audioset
from sss_lib.models.frontends.batches import Batched, chosen
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

LOG_OFFSET, PATCH_HOP = 0.001, 48
SEPARABLE = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
"""Stride and channels of each depthwise convolution with the pointwise one behind it."""
N_CLASSES = 521


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_patches, 1024]."""
    inputs = partial(audioset.padded_patches, log_offset=LOG_OFFSET, patch_hop=PATCH_HOP)
    network = checkpoint.load_published(spec, Network)
    # On a processor both of these make PyTorch choose faster convolutions.
    batch = 16 if chosen(device) == "cpu" else None
    return Batched(inputs, network.to(memory_format=torch.channels_last), device, batch=batch)


class Layer(nn.Conv2d):
    """Convolution and rectifier, padded as TensorFlow pads: with a stride of two only behind the map."""

    def __init__(self, n_in: int, n_out: int, width: int, stride: int = 1, groups: int = 1) -> None:
        self.margin = width // 2
        super().__init__(n_in, n_out, width, stride, padding=self.margin if stride == 1 else 0, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, height // stride, width // stride]."""
        if self.stride[0] == 2:
            x = nn.functional.pad(x, (0, self.margin) * 2)
        return torch.relu_(super().forward(x))


class Network(nn.Module):
    """27 convolutions: log-mel patches [n, 96, 64] to embeddings [n, 1024]."""

    def __init__(self) -> None:
        super().__init__()
        layers = [Layer(1, n_in := 32, 3, 2)]
        for stride, n_out in SEPARABLE:
            layers += [Layer(n_in, n_in, 3, stride, groups=n_in), Layer(n_in, n_out, 1)]
            n_in = n_out
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(n_in, N_CLASSES)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 1024]."""
        return self.layers(patches[:, None]).mean(dim=(2, 3))

    def scores(self, patches: torch.Tensor) -> torch.Tensor:
        """How likely each class of AudioSet is: [n, 521]."""
        return torch.sigmoid(self.classifier(self(patches)))
