"""EfficientAT (Schmid et al., ICASSP 2023): MobileNetV3s on log-mel frames, taught AudioSet by transformers.

A clip of any length gives one embedding, the mean of the last feature maps, as its authors' inference has it.
"""

from functools import partial

import numpy as np
import torch
from torch import nn

from sss_lib.io import windowing
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.frontends.spectrogram import mel_filterbank
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

RATE_HZ, WINDOW, HOP, N_FFT = 32000, 800, 320, 1024
N_BANDS, HIGH_HZ = 128, 15000
"""At training the highest frequency was drawn around this one."""
PREEMPHASIS, LOG_OFFSET = 0.97, 1e-5
MEAN, SCALE = -4.5, 5.0
BLOCKS = (
    *((16, 3, 16, 16, False, 1), (16, 3, 64, 24, False, 2), (24, 3, 72, 24, False, 1)),
    *((24, 5, 72, 40, True, 2), (40, 5, 120, 40, True, 1), (40, 5, 120, 40, True, 1)),
    *((40, 3, 240, 80, False, 2), (80, 3, 200, 80, False, 1), (80, 3, 184, 80, False, 1)),
    *((80, 3, 184, 80, False, 1), (80, 3, 480, 112, True, 1), (112, 3, 672, 112, True, 1)),
    *((112, 5, 672, 160, True, 2), (160, 5, 960, 160, True, 1), (160, 5, 960, 160, True, 1)),
)
"""Of each block: channels in, width of the filter, channels within and out, squeezed or not, stride.

Channels are those of the network of width 1. It is MobileNetV3-Large (Howard et al., ICCV 2019, table 1).
"""
FIRST_HARD = 6
"""From this block on the rectifiers are hard swishes."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [1, dim]. Of the options, `width` is its own."""
    network = checkpoint.load_published(spec, partial(Network, **spec.options), dropped=("classifier.",))
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        if len(layers) > 1 and isinstance(layers[1], nn.BatchNorm2d):  # both in one, a third faster so
            layers[0], layers[1] = nn.utils.fusion.fuse_conv_bn_eval(*layers[:2].eval()), nn.Identity()
    network.to(memory_format=torch.channels_last)
    return Batched(lambda wave: [log_mel(wave)], network, device, batch=1)


def log_mel(wave: np.ndarray) -> np.ndarray:
    """Scaled log-mel frames of a waveform, which is padded with zeros to one window of the FFT.

    Returns
    -------
    np.ndarray [shape=(128, n_frames), dtype=float32]
    """
    wave = windowing.pad_to(wave, N_FFT)
    emphasized = torch.from_numpy(wave[1:] - np.float32(PREEMPHASIS) * wave[:-1])
    padded = nn.functional.pad(emphasized[None], (N_FFT // 2, N_FFT // 2), mode="reflect")[0]
    window = nn.functional.pad(torch.hann_window(WINDOW, periodic=False), [(N_FFT - WINDOW) // 2] * 2)
    spectrum = torch.fft.rfft(padded.unfold(0, N_FFT, HOP) * window)
    power = spectrum.real.square() + spectrum.imag.square()
    bank = mel_filterbank(rate_hz=RATE_HZ, size=N_FFT, n_bands=N_BANDS, high_hz=HIGH_HZ, norm="")
    mel = power @ torch.from_numpy(bank)
    return ((torch.log(mel + LOG_OFFSET) - MEAN) / SCALE).T.numpy()


def channels(n: float) -> int:
    """Multiple of eight next to a number, at least eight, and at most a tenth below it.

    Examples
    --------
    >>> [channels(n) for n in (1, 12, 19.2, 64)]
    [8, 16, 24, 64]
    """
    rounded = max(8, int(n + 4) // 8 * 8)
    return rounded + 8 * (rounded < 0.9 * n)


def convolution(
    n_in: int, n_out: int, width: int, activation: type | None, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution that keeps the size but for its stride, normalisation, and activation if there is one."""
    kind = Pointwise if width == 1 else nn.Conv2d
    layer = kind(n_in, n_out, width, stride, width // 2, groups=groups, bias=False)
    activations = [activation(inplace=True)] if activation else []
    return nn.Sequential(layer, nn.BatchNorm2d(n_out, eps=1e-3), *activations)


class Pointwise(nn.Conv2d):
    """Convolution of width one, as a product of matrices: on a processor a third faster."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, height, width]."""
        y = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return y.permute(0, 3, 1, 2)


class Squeeze(nn.Module):
    """Weights between 0 and 1 for each channel, from the means of all."""

    def __init__(self, n: int):
        super().__init__()
        layer = nn.Module()
        layer.fc1, layer.fc2 = nn.Linear(n, squeezed := channels(n // 4)), nn.Linear(squeezed, n)
        self.conc_se_layers = nn.ModuleList([layer])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of the same shape."""
        (layer,) = self.conc_se_layers
        weights = torch.sigmoid(layer.fc2(torch.relu(layer.fc1(x.mean(dim=(2, 3))))))
        return x * weights[:, :, None, None]


class Block(nn.Module):
    """Inverted residual: wider, filtered channel by channel, squeezed, and narrow again."""

    def __init__(self, sizes: tuple[int, int, int], width: int, squeezed: bool, stride: int, act: type):
        super().__init__()
        n_in, n_within, n_out = sizes
        layers = [convolution(n_in, n_within, 1, act)] if n_within != n_in else []
        layers.append(convolution(n_within, n_within, width, act, stride=stride, groups=n_within))
        layers += [Squeeze(n_within)] if squeezed else []
        self.block = nn.Sequential(*layers, convolution(n_within, n_out, 1, None))
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, height // stride, width // stride]."""
        return self.block(x) + x if self.is_residual else self.block(x)


class Network(nn.Module):
    """Log-mel frames [n, 128, n_frames] to embeddings [n, 960 width].

    Parameters
    ----------
    width : float
        0.4 for mn04, 1 for mn10.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        layers = [convolution(1, channels(16 * width), 3, nn.Hardswish, stride=2)]
        for i, (n_in, kernel, n_within, n_out, squeezed, stride) in enumerate(BLOCKS):
            act = nn.Hardswish if i >= FIRST_HARD else nn.ReLU
            sizes = channels(n_in * width), channels(n_within * width), channels(n_out * width)
            layers.append(Block(sizes, kernel, squeezed, stride, act))
        last = channels(BLOCKS[-1][3] * width)
        self.features = nn.Sequential(*layers, convolution(last, 6 * last, 1, nn.Hardswish))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 960 width]: means over bands and frames."""
        return self.features(frames[:, None]).mean(dim=(2, 3))
