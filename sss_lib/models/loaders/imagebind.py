"""ImageBind: the audio branch (Girdhar et al., CVPR 2023), written from its layer names.

A window of 2 s is 204 log-mel frames, the last 6 of them zeros. Patches of 16 x 16 every 10 bands and frames
pass through 12 layers with a class token before them; a learned token takes part in each attention. The
projection of the class token, scaled to length 1, is the embedding. (The published pipeline makes its length
20 and takes the mean of three windows, which `long="spread"` gives.)
"""

from typing import TYPE_CHECKING

from sss_lib.models.frontends import kaldi
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

if TYPE_CHECKING:
    from torch import nn

MEAN, SCALE = -4.268, 9.138
"""The training data's log-mel mean, and twice its standard deviation."""
N_FRAMES, PATCH, STRIDE, DIM, N_HEADS, JOINT_DIM = 204, 16, 10, 768, 12, 1024
OTHERS = (
    *(
        f"modality_{part}.{modality}."
        for part in ("preprocessors", "trunks", "heads")
        for modality in ("vision", "text", "depth", "thermal", "imu")
    ),
    "modality_postprocessors.",
)
"""What the checkpoint holds besides: the other modalities, and the lengths that embeddings are scaled to."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 1024]."""
    state, path = checkpoint.published(spec, dropped=OTHERS)
    network = checkpoint.load_into(build(**spec.options), state, path)
    return Batched(kaldi.windowed(spec, n_frames=N_FRAMES, mean=MEAN, scale=SCALE), network, device)


def build(n_layers: int = 12) -> "nn.Module":
    """Layers of self-attention, and the head.

    Parameters
    ----------
    n_layers : int
        The published network has 12.

    Returns
    -------
    torch.nn.Module
        [n, 204, 128] to [n, 1024] of length 1; its state dict has the published names.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Stem(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Conv2d(1, DIM, PATCH, STRIDE, bias=False)
            self.norm_layer = nn.LayerNorm(DIM)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            patches = self.proj(frames.transpose(1, 2).unsqueeze(1))
            return self.norm_layer(patches.flatten(2).transpose(1, 2))

    class Preprocessor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
            self.rgbt_stem = Stem()
            n_patches = ((kaldi.N_BANDS - PATCH) // STRIDE + 1) * ((N_FRAMES - PATCH) // STRIDE + 1)
            self.pos_embedding_helper = nn.Module()
            self.pos_embedding_helper.pos_embed = nn.Parameter(torch.zeros(1, 1 + n_patches, DIM))

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            class_tokens = self.cls_token.expand(len(frames), -1, -1)
            tokens = torch.cat([class_tokens, self.rgbt_stem(frames)], dim=1)
            return tokens + self.pos_embedding_helper.pos_embed

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
            self.attn = nn.MultiheadAttention(DIM, N_HEADS, add_bias_kv=True, batch_first=True)
            self.mlp = nn.Module()
            self.mlp.fc1, self.mlp.fc2 = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            normed = self.norm_1(x)
            x = x + self.attn(normed, normed, normed, need_weights=False)[0]
            return x + self.mlp.fc2(functional.gelu(self.mlp.fc1(self.norm_2(x))))

    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(*(Layer() for _ in range(n_layers)))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            head = nn.Sequential(
                nn.LayerNorm(DIM, eps=1e-6), nn.Identity(), nn.Linear(DIM, JOINT_DIM, bias=False)
            )
            self.modality_preprocessors = nn.ModuleDict({"audio": Preprocessor()})
            self.modality_trunks = nn.ModuleDict({"audio": Trunk()})
            self.modality_heads = nn.ModuleDict({"audio": head})

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            x = self.modality_trunks["audio"].blocks(self.modality_preprocessors["audio"](frames))
            return functional.normalize(self.modality_heads["audio"](x[:, 0]), dim=1)

    return Network()
