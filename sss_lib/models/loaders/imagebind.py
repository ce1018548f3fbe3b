"""ImageBind: the audio branch (Girdhar et al., CVPR 2023), written from its layer names.

A window of 2 s is 204 log-mel frames, the last 6 of them zeros. Patches of 16 x 16 every 10 bands and frames
pass through 12 layers with a class token before them; a learned token takes part in each attention. The
projection of the class token, scaled to length 1, is the embedding. (The published pipeline makes its length
20 and takes the mean of three windows, which `long="spread"` gives.)
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

from sss_lib.models.frontends import kaldi
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.loaders import vit
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

MEAN, SCALE = -4.268, 9.138
"""The training data's log-mel mean, and twice its standard deviation."""
N_FRAMES, PATCH, STRIDE, DIM, N_HEADS, JOINT_DIM = 204, 16, 10, 768, 12, 1024
UNUSED = (
    *(
        f"modality_{part}.{modality}."
        for part in ("preprocessors", "trunks", "heads")
        for modality in ("vision", "text", "depth", "thermal", "imu")
    ),
    "modality_postprocessors.",
)
"""Other parts of the checkpoint: the other modalities, and the lengths that embeddings are scaled to."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 1024]."""
    network = checkpoint.load_published(spec, partial(Network, **spec.options), dropped=UNUSED)
    return Batched(kaldi.windowed(spec, n_frames=N_FRAMES, mean=MEAN, scale=SCALE), network, device)


class Stem(nn.Module):
    """Normalised patches of log-mel frames."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, DIM, PATCH, STRIDE, bias=False)
        self.norm_layer = nn.LayerNorm(DIM)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Tokens [n, 12 * 19, 768] of frames [n, 204, 128]."""
        return self.norm_layer(vit.patches(self.proj, frames))


class Preprocessor(nn.Module):
    """A class token and the patches, with their positions."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.rgbt_stem = Stem()
        n_patches = ((kaldi.N_BANDS - PATCH) // STRIDE + 1) * ((N_FRAMES - PATCH) // STRIDE + 1)
        self.pos_embedding_helper = nn.Module()
        self.pos_embedding_helper.pos_embed = nn.Parameter(torch.zeros(1, 1 + n_patches, DIM))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Tokens [n, 1 + 12 * 19, 768] of frames [n, 204, 128]."""
        class_tokens = self.cls_token.expand(len(frames), -1, -1)
        tokens = torch.cat([class_tokens, self.rgbt_stem(frames)], dim=1)
        return tokens + self.pos_embedding_helper.pos_embed


class Attention(nn.MultiheadAttention):
    """Self-attention in which a learned key and value take part (`add_bias_kv`)."""

    def __init__(self) -> None:
        super().__init__(DIM, N_HEADS, add_bias_kv=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, n_tokens, 768] from all tokens."""
        return super().forward(x, x, x, need_weights=False)[0]


class Network(nn.Module):
    """Log-mel frames [n, 204, 128] to embeddings [n, 1024] of length 1.

    Parameters
    ----------
    n_layers : int
        The published network has 12.
    """

    def __init__(self, n_layers: int = 12) -> None:
        super().__init__()
        norms = "norm_1", "norm_2"
        trunk = nn.Module()
        trunk.blocks = nn.Sequential(*(vit.Block(DIM, Attention(), norms, 1e-6) for _ in range(n_layers)))
        projection = nn.Linear(DIM, JOINT_DIM, bias=False)
        head = nn.Sequential(nn.LayerNorm(DIM, eps=1e-6), nn.Identity(), projection)
        self.modality_preprocessors = nn.ModuleDict({"audio": Preprocessor()})
        self.modality_trunks = nn.ModuleDict({"audio": trunk})
        self.modality_heads = nn.ModuleDict({"audio": head})

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 1024]: projections of the class token."""
        x = self.modality_trunks["audio"].blocks(self.modality_preprocessors["audio"](frames))
        return functional.normalize(self.modality_heads["audio"](x[:, 0]), dim=1)
