"""Dynamic MobileNets of EfficientAT (Schmid et al., TASLP 2024): inputs choose their kernels and rectifiers.

The front end and the sizes of the blocks are those of `efficientat`.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

from sss_lib.models.frontends.batches import Batched
from sss_lib.models.loaders.efficientat import BLOCKS, FIRST_HARD, channels, convolution, log_mel
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

N_KERNELS, MIN_CONTEXT, MAX_CONTEXT = 4, 32, 128
norm = partial(nn.BatchNorm2d, eps=1e-3)


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [1, dim]. Of the options, `width` is its own."""
    network = checkpoint.load_published(spec, partial(Network, **spec.options), dropped=("classifier.",))
    return Batched(lambda wave: [log_mel(wave)], network, device, batch=1)


class Mixture(nn.Module):
    """Convolution with a mixture of four kernels, whose shares follow from an input's context."""

    def __init__(self, n_in: int, n_out: int, n_context: int, width: int = 1, *, stride: int = 1):
        super().__init__()
        self.groups = n_in if width > 1 else 1  # wide ones filter each channel by itself
        self.shape, self.stride = (n_out, n_in // self.groups, width, width), stride
        self.residuals = nn.Sequential(nn.Linear(n_context, N_KERNELS))
        self.weight = nn.Parameter(torch.zeros(1, 1, N_KERNELS, torch.Size(self.shape).numel()))

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, height // stride, width // stride] of maps and contexts [n, n_context]."""
        n_out, n_in, width, _ = self.shape
        kernels = torch.softmax(self.residuals(context), dim=1) @ self.weight[0, 0]
        # Each input is a group with its own kernels.
        x, kernels = x.flatten(0, 1)[None], kernels.reshape(-1, n_in, width, width)
        groups = self.groups * len(context)
        x = functional.conv2d(x, kernels, stride=self.stride, padding=width // 2, groups=groups)
        return x.reshape(len(context), n_out, *x.shape[2:])


class Rectifier(nn.Module):
    """Larger of two straight lines, which follow from an input's context."""

    def __init__(self, n: int, n_context: int):
        super().__init__()
        self.coef_net = nn.Sequential(nn.Linear(n_context, 4 * n))
        self.register_buffer("lambdas", torch.tensor([1.0, 1.0, 0.5, 0.5]))
        self.register_buffer("init_v", torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Maps of the same shape."""
        lines = 2 * torch.sigmoid(self.coef_net(context).unflatten(1, (-1, 4))) - 1
        slope, other, level, other_level = (lines * self.lambdas + self.init_v)[..., None, None].unbind(2)
        return torch.maximum(x * slope + level, x * other + other_level)


class Context(nn.Module):
    """What an input says to its block: a vector, and weights for each band and for each frame."""

    def __init__(self, n_in: int, n_within: int, n_context: int, stride: int):
        super().__init__()
        self.joint_conv, self.joint_norm = nn.Conv2d(n_in, n_context, 1, bias=False), norm(n_context)
        self.conv_f, self.conv_t = nn.Conv2d(n_context, n_within, 1), nn.Conv2d(n_context, n_within, 1)
        self.pool = nn.AvgPool2d((3, 1), (stride, 1), (1, 0)) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors [n, n_context], and weights [n, n_within, height // stride, width // stride]."""
        bands, frames = x.mean(dim=3, keepdim=True), x.mean(dim=2)[..., None]
        joint = torch.cat([bands, frames], dim=2)
        joint = functional.hardswish(self.joint_norm(self.joint_conv(joint)))
        bands, frames = (self.pool(part) for part in joint.split([x.shape[2], x.shape[3]], dim=2))
        of_frames = torch.sigmoid(self.conv_t(frames)).transpose(2, 3)
        return joint.mean(dim=(2, 3)), torch.sigmoid(self.conv_f(bands)) * of_frames


class Block(nn.Module):
    """Inverted residual whose parts follow from the context."""

    def __init__(self, sizes: tuple[int, int, int], width: int, n_context: int, stride: int, act: type):
        super().__init__()
        n_in, n_within, n_out = sizes
        self.is_wider, self.is_residual, self.act = n_within != n_in, stride == 1 and n_in == n_out, act()
        if self.is_wider:
            self.exp_conv, self.exp_norm = Mixture(n_in, n_within, n_context), norm(n_within)
        self.depth_conv = Mixture(n_within, n_within, n_context, width, stride=stride)
        self.depth_norm, self.depth_act = norm(n_within), Rectifier(n_within, n_context)
        self.proj_conv, self.proj_norm = Mixture(n_within, n_out, n_context), norm(n_out)
        self.context_gen = Context(n_in, n_within, n_context, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, n_out, height // stride, width // stride]."""
        context, weights = self.context_gen(x)
        y = self.act(self.exp_norm(self.exp_conv(x, context))) if self.is_wider else x
        y = self.depth_act(self.depth_norm(self.depth_conv(y, context)), context) * weights
        y = self.proj_norm(self.proj_conv(y, context))
        return y + x if self.is_residual else y


class Network(nn.Module):
    """Log-mel frames [n, 128, n_frames] to embeddings [n, 960 width].

    Parameters
    ----------
    width : float
        0.4 for dymn04, 1 for dymn10.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        least, most = channels(MIN_CONTEXT * width), channels(MAX_CONTEXT * width)
        layers = []
        for i, (n_in, kernel, n_within, n_out, _, stride) in enumerate(BLOCKS):
            sizes = channels(n_in * width), channels(n_within * width), channels(n_out * width)
            n_context = min(max(channels(sizes[1] // 4), least), most)
            act = nn.Hardswish if i >= FIRST_HARD else nn.ReLU
            layers.append(Block(sizes, kernel, n_context, stride, act))
        last = sizes[2]
        self.in_c = convolution(1, channels(16 * width), 3, nn.Hardswish, stride=2)
        self.layers = nn.Sequential(*layers)
        self.out_c = convolution(last, 6 * last, 1, nn.Hardswish)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 960 width]: means over bands and frames."""
        return self.out_c(self.layers(self.in_c(frames[:, None]))).mean(dim=(2, 3))
