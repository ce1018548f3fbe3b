"""CAV-MAE: the audio branch (Gong et al., ICLR 2023), written from its layer names.

A window of 1,024 log-mel frames (10.255 s, zeros where it lacks some) is 512 patches of 16 x 16. They pass
through 11 layers for audio and one that audio and images share, which has norms of its own for audio. The
mean of the 512 tokens is the embedding.
"""

from typing import TYPE_CHECKING

from sss_lib.models.frontends import kaldi
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

if TYPE_CHECKING:
    from torch import nn

MEAN, SCALE = -5.081, 4.4849
"""The training data's log-mel mean and standard deviation."""
N_FRAMES, PATCH, DIM, N_HEADS, N_AUDIO_LAYERS = 1024, 16, 768, 12, 11
OTHERS = (
    *("patch_embed_v.", "modality_v", "pos_embed_v", "blocks_v.", "norm_v.", "norm."),
    *("decoder_", "mask_token", "mlp_head."),
    *(f"blocks_a.{i}.norm{k}_{modality}." for i in range(N_AUDIO_LAYERS) for k in "12" for modality in "av"),
    *(f"blocks_u.0.norm{k}{modality}." for k in "12" for modality in ("", "_v")),
)
"""What the checkpoints hold besides: the image branch, the decoder, the classifier, norms not for audio."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 768]."""
    state, path = checkpoint.published(spec, dropped=OTHERS)
    network = checkpoint.load_into(build(**spec.options), state, path)
    return Batched(kaldi.windowed(spec, n_frames=N_FRAMES, mean=MEAN, scale=SCALE), network, device)


def build(n_layers: int = 12) -> "nn.Module":
    """Layers of self-attention.

    Parameters
    ----------
    n_layers : int
        The published networks have 12.

    Returns
    -------
    torch.nn.Module
        [n, 1024, 128] to [n, 768]; its state dict has the published names.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(x).unflatten(2, (3, N_HEADS, -1)).permute(2, 0, 3, 1, 4)
            return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    class Perceptron(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc2(functional.gelu(self.fc1(x)))

    class Layer(nn.Module):
        def __init__(self, modality: str = ""):
            super().__init__()
            self.norms = f"norm1{modality}", f"norm2{modality}"
            for name in self.norms:
                setattr(self, name, nn.LayerNorm(DIM))
            self.attn, self.mlp = Attention(), Perceptron()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, second = (getattr(self, name) for name in self.norms)
            x = x + self.attn(first(x))
            return x + self.mlp(second(x))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch_embed_a = nn.Module()
            self.patch_embed_a.proj = nn.Conv2d(1, DIM, PATCH, PATCH)
            self.modality_a = nn.Parameter(torch.zeros(1, 1, DIM))
            n_patches = (N_FRAMES // PATCH) * (kaldi.N_BANDS // PATCH)
            self.pos_embed_a = nn.Parameter(torch.zeros(1, n_patches, DIM))
            self.blocks_a = nn.ModuleList(Layer() for _ in range(n_layers - 1))
            self.blocks_u = nn.ModuleList([Layer("_a")])
            self.norm_a = nn.LayerNorm(DIM)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            patches = self.patch_embed_a.proj(frames.transpose(1, 2).unsqueeze(1))
            x = patches.flatten(2).transpose(1, 2) + self.pos_embed_a + self.modality_a
            for layer in (*self.blocks_a, *self.blocks_u):
                x = layer(x)
            return self.norm_a(x).mean(dim=1)

    return Network()
