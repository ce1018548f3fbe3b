"""AudioCLIP (Guzhov et al., ICASSP 2022): the audio branch, a ResNeXt-50 on a learned spectrogram.

Frames of 1654 samples with a hop of 561 at 44.1 kHz meet 1025 complex frequency B-spline wavelets (FBSP)
whose centres, widths and orders were learned. The power in decibels is cut into three bands, low to high,
which the residual network takes as its three channels, with an attention over frequency or time after each
stage. The embedding has length one, as the authors' forward pass gives it.

The network expects samples of 16 bits, +-32768, as the authors' ESC-50 loader feeds it. It was trained on
clips of a fixed length and takes any: their protocol of ESC-50 crops or pads with zeros to 5 s. Here that
length is the window, so that memory is bounded and nothing of a long clip is lost.
"""

import functools

import numpy as np
import torch
from torch import nn

from sss_lib.models.frontends.batches import Batched, windowed
from sss_lib.models.loaders import resnet
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

WINDOW, HOP, SIZE, N_BANDS = 1654, 561, 2048, 1025
DIM = 1024
UNUSED = (
    *("visual.", "transformer.", "token_embedding.", "positional_embedding", "ln_final."),
    *("text_projection", "logit_scale"),
)
"""Beginnings of names of the image and text branches and of the logits."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 1024].

    `options["full_scale"]` is the value that a sample of full scale has for the network.
    """
    scaled = functools.partial(np.multiply, np.float32(spec.options["full_scale"]))
    inputs = windowed(spec, scaled) if spec.window_s else lambda wave: [scaled(wave)]
    network = checkpoint.load_published(spec, Network, dropped=UNUSED)
    return Batched(inputs, network, device, batch=None if spec.window_s else 1)  # whole clips need memory


class Wavelets(nn.Module):
    """Products of frames [..., 2048] with complex frequency B-spline wavelets, as two real numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.zeros(N_BANDS))
        self.fb = nn.Parameter(torch.ones(N_BANDS))
        self.fc = nn.Parameter(torch.arange(N_BANDS, dtype=torch.float32))
        self.bias = nn.Parameter(torch.empty(0))  # the published state has one without any number

    def wavelets(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Real and imaginary part of sqrt(fb) sinc(fb t / m)^m exp(-i fc t) / sqrt(2048).

        Angles of thousands and decibels of what nearly cancels make rounding audible: the products are
        taken in the authors' order.
        """
        m, fb, fc = self.m[:, None], self.fb[:, None], self.fc[:, None]
        t = torch.pi * torch.linspace(-1, 1, SIZE, device=fc.device) + 1e-8
        x = fb * t / (m + 1e-8)
        sinc = torch.where(x == 0, 1.0, torch.sin(x) / x)
        envelope = (sinc**2) ** (0.5 * m)
        angle = torch.where(sinc < 0, torch.pi * m, 0.0)  # of a negative number to a real power
        a, b = envelope * angle.cos(), envelope * angle.sin()
        c, d = (fc * t).cos(), -(fc * t).sin()
        return fb.sqrt() * (a * c - b * d) / SIZE**0.5, fb.sqrt() * (a * d + b * c) / SIZE**0.5

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Products with the real and with the imaginary parts: [..., 1025] each."""
        real, imaginary = self.wavelets()
        return nn.functional.linear(frames, real), nn.functional.linear(frames, imaginary)


class Attention(nn.Module):
    """Weights between 0 and 1 for what a stage gives, from what it took."""

    def __init__(self, n_in: int, n_out: int, kernel: tuple[int, int]):
        super().__init__()
        padding = kernel[0] // 2, kernel[1] // 2
        self.conv_depth = nn.Conv2d(n_in, n_in, kernel, padding=padding, groups=n_in)
        self.conv_point = nn.Conv2d(n_in, n_out, 1)
        self.bn = nn.BatchNorm2d(n_out)

    def forward(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Weights for `like`, what a stage gives, from x, what it took: of the shape of `like`."""
        x = nn.functional.adaptive_max_pool2d(x, like.shape[-2:])
        return torch.sigmoid(self.bn(self.conv_point(self.conv_depth(x))))


class Audio(nn.Module):
    """The audio branch: spectrogram, ResNeXt-50 with attention, projection."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.zeros(WINDOW))
        self.fbsp = Wavelets()
        self.conv1, self.bn1 = resnet.stem(3)
        n_in = 64
        for i, n_blocks in enumerate((3, 4, 6, 3)):
            width = 128 << i
            widths = width, width, 2 * width
            layer = resnet.stage(n_blocks, n_in, (1, 3, 1), widths, stride=1 if i == 0 else 2, groups=32)
            self.add_module(f"layer{i + 1}", layer)
            self.add_module(f"att{i + 1}", Attention(n_in, 2 * width, (1, 5) if i % 2 else (3, 1)))
            n_in = 2 * width
        self.att5 = Attention(n_in, n_in, (3, 5))
        self.fc = nn.Linear(n_in, DIM)

    def spectrogram(self, samples: torch.Tensor) -> torch.Tensor:
        """Decibels [n, 3 bands, 341 bins, n_frames]."""
        # The authors' order of operations: at +-1 its rounding is part of what the 2024 study computed.
        x = (samples + 32768) * 2 / 65535 - 1
        n_samples = x.shape[-1]
        n_frames = 1 + max(0, -(-(n_samples - WINDOW) // HOP))
        n_missing = (n_frames - 1) * HOP + WINDOW - n_samples
        x = nn.functional.pad(x, (n_missing // 2, n_missing - n_missing // 2))
        frames = x.unfold(-1, WINDOW, HOP) * self.window
        margin = (SIZE - WINDOW) // 2
        real, imaginary = self.fbsp(nn.functional.pad(frames, (margin, margin)))
        power = (real**2 + imaginary**2).transpose(1, 2)[:, : N_BANDS // 3 * 3]
        power = torch.where(power > 0, power, 1e-18)
        return 10 * torch.log10(power).unflatten(1, (3, -1))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Unit vectors [n, 1024] of samples [n, n_samples], +-32768."""
        with torch.autocast(samples.device.type, enabled=False):  # decibels need full precision
            x = self.spectrogram(samples)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        for i in range(1, 5):
            y = getattr(self, f"layer{i}")(x)
            x = y * getattr(self, f"att{i}")(x, y)
        mean = x.mean(dim=(2, 3), keepdim=True)
        x = self.fc((mean * self.att5(x, mean)).flatten(1))
        return nn.functional.normalize(x, dim=1, eps=0)


class Network(nn.Module):
    """Samples [n, n_samples], +-32768, to unit vectors [n, 1024]: the branch under its published name."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = Audio()

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Unit vectors [n, 1024]."""
        return self.audio(samples)
