"""CAV-MAE: the audio branch (Gong et al., ICLR 2023), written from its layer names.

A window of 1,024 log-mel frames (10.255 s, zeros where it lacks some) is a grid of 64 x 8 patches of 16 x 16.
The 512 tokens pass through 11 layers for audio and one that audio and images share, which has separate norms
for audio. The mean of the tokens is the embedding.
"""

from functools import partial

import torch
from torch import nn

from sss_lib.models.frontends import kaldi
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.loaders import vit
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

MEAN, SCALE = -5.081, 4.4849
"""The training data's log-mel mean and standard deviation."""
N_FRAMES, PATCH, DIM, N_HEADS, N_AUDIO_LAYERS = 1024, 16, 768, 12, 11
UNUSED = (
    *("patch_embed_v.", "modality_v", "pos_embed_v", "blocks_v.", "norm_v.", "norm."),
    *("decoder_", "mask_token", "mlp_head."),
    *(f"blocks_a.{i}.norm{k}_{modality}." for i in range(N_AUDIO_LAYERS) for k in "12" for modality in "av"),
    *(f"blocks_u.0.norm{k}{modality}." for k in "12" for modality in ("", "_v")),
)
"""Other parts of the checkpoints: the image branch, the decoder, the classifier, norms not for audio."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 768]."""
    network = checkpoint.load_published(spec, partial(Network, **spec.options), dropped=UNUSED)
    return Batched(kaldi.windowed(spec, n_frames=N_FRAMES, mean=MEAN, scale=SCALE), network, device)


class Network(nn.Module):
    """Log-mel frames [n, 1024, 128] to embeddings [n, 768].

    Parameters
    ----------
    n_layers : int
        The published networks have 12.
    """

    def __init__(self, n_layers: int = 12) -> None:
        super().__init__()
        self.patch_embed_a = nn.Module()
        self.patch_embed_a.proj = nn.Conv2d(1, DIM, PATCH, PATCH)
        self.modality_a = nn.Parameter(torch.zeros(1, 1, DIM))
        n_patches = (N_FRAMES // PATCH) * (kaldi.N_BANDS // PATCH)
        self.pos_embed_a = nn.Parameter(torch.zeros(1, n_patches, DIM))
        self.blocks_a = nn.ModuleList(_block("norm1", "norm2") for _ in range(n_layers - 1))
        self.blocks_u = nn.ModuleList([_block("norm1_a", "norm2_a")])
        self.norm_a = nn.LayerNorm(DIM)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 768]."""
        x = vit.patches(self.patch_embed_a.proj, frames) + self.pos_embed_a + self.modality_a
        for block in (*self.blocks_a, *self.blocks_u):
            x = block(x)
        return self.norm_a(x).mean(dim=1)


def _block(first: str, second: str) -> vit.Block:
    return vit.Block(DIM, vit.Attention(DIM, N_HEADS), (first, second))
