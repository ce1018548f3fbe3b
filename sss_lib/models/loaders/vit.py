"""Blocks of vision transformers (Dosovitskiy et al., ICLR 2021), with the names of their checkpoints.

CAV-MAE and ImageBind are made of them. BEATs normalises after each sum and biases its attention, and AST and
HTSAT run in the library transformers: their blocks differ.
"""

import torch
from torch import nn
from torch.nn import functional


def patches(projection: nn.Conv2d, frames: torch.Tensor) -> torch.Tensor:
    """Tokens [n, n_patches, dim] of log-mel frames [n, n_frames, n_bands].

    The grid is that of an image whose height is frequency, row by row: all times of the lowest bands first.
    A side of length l has (l - kernel) // stride + 1 patches.
    """
    return projection(frames.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention whose query, key and value are one matrix, as in the library timm."""

    def __init__(self, dim: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, n_tokens, dim] from all tokens."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Two linear layers, four times as wide between."""

    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, n_tokens, dim], each by itself."""
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """y = x + attention(norm(x)), then y + perceptron(norm(y)): norms come before the layers.

    Parameters
    ----------
    dim : int
    attention : torch.nn.Module
        Tokens to tokens.
    norms : tuple of str
        Names of the two norms.
    eps : float
        Of the norms.
    """

    def __init__(self, dim: int, attention: nn.Module, norms: tuple[str, str], eps: float = 1e-5):
        super().__init__()
        self.norms = norms
        for name in norms:
            self.add_module(name, nn.LayerNorm(dim, eps=eps))
        self.attn, self.mlp = attention, Perceptron(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, n_tokens, dim] after the block."""
        first, second = (getattr(self, name) for name in self.norms)
        x = x + self.attn(first(x))
        return x + self.mlp(second(x))
