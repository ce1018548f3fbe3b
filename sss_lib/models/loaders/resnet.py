"""Residual networks: what Wav2CLIP and AudioCLIP are made of, with the names of their checkpoints."""

from itertools import pairwise

import torch
from torch import nn


def stem(n_in: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return the two layers that every residual network begins with: `conv1` and `bn1`."""
    return nn.Conv2d(n_in, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64)


class Block(nn.Module):
    """Convolutions whose result is added to what they took.

    Parameters
    ----------
    n_in : int
    kernels : tuple of int
        Size of each convolution. The first one larger than a pixel has the stride and the groups.
    widths : tuple of int
        Output channels of each.
    stride, groups : int
    """

    def __init__(
        self, n_in: int, kernels: tuple[int, ...], widths: tuple[int, ...], stride: int, groups: int
    ) -> None:
        super().__init__()
        self.n_convolutions = len(kernels)
        wide = next(i for i, kernel in enumerate(kernels) if kernel > 1)
        channels = pairwise((n_in, *widths))
        for i, ((n_from, n_to), kernel) in enumerate(zip(channels, kernels, strict=True)):
            special = {"stride": stride, "groups": groups} if i == wide else {}
            conv = nn.Conv2d(n_from, n_to, kernel, padding=kernel // 2, bias=False, **special)
            self.add_module(f"conv{i + 1}", conv)
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(n_to))
        self.downsample = None
        if stride != 1 or n_in != widths[-1]:
            conv = nn.Conv2d(n_in, widths[-1], 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(widths[-1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, widths[-1], height / stride, width / stride]."""
        y = x
        for i in range(1, self.n_convolutions + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = torch.relu(y) if i < self.n_convolutions else y
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def stage(
    n_blocks: int,
    n_in: int,
    kernels: tuple[int, ...],
    widths: tuple[int, ...],
    *,
    stride: int = 2,
    groups: int = 1,
) -> nn.Sequential:
    """Residual blocks (see `Block`), of which the first has the stride.

    Examples
    --------
    >>> [name for name, _ in stage(1, 64, (3, 3), (64, 64), stride=1)[0].named_children()]
    ['conv1', 'bn1', 'conv2', 'bn2']
    """
    first = Block(n_in, kernels, widths, stride, groups)
    return nn.Sequential(first, *(Block(widths[-1], kernels, widths, 1, groups) for _ in range(n_blocks - 1)))
