"""BEATs: a transformer over patches of the spectrogram (Chen et al., 2022), written from its layer names.

Each 16 x 16 patch of the log-mel frames is a token: a grid of 8 bands every 160 ms, read time by time. All
tokens attend to all, with a bias for their distance in the sequence that a gate at each token scales.

A frame is the mean of the 8 tokens of one 160 ms, so that the mean over frames is that over tokens. With
options={"tokens": True} each token is a frame: then the maximum and the median, too, are those over tokens.

A clip beyond 30 s, whose attention would outgrow the memory, is cut into pieces of 30 s, and one piece goes
through the network at a time: its 1,496 tokens take 0.3 GiB, without the weights.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sss_lib.io import windowing
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.frontends.kaldi import fbank
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint
from sss_lib.models.weights import file as weights

MEAN, SCALE = 15.41663, 2 * 6.55582
"""The training data's log-mel mean, and twice its standard deviation."""
PATCH, PATCH_DIM, DIM, HIDDEN, N_HEADS, N_LAYERS, N_BUCKETS = 16, 512, 768, 3072, 12, 12, 320
FULL_SCALE = 2**15
"""What a sample of full scale is to the front end."""
KERNEL, GROUPS = 128, 16
"""Of the convolution that encodes the positions of tokens."""
CFG = {"activation_fn", "deep_norm", "layer_norm_first", "max_distance"}
"""Parameters of the network that follow from no shape of the weights."""
SHORTEST, PIECE = 400 + (PATCH - 1) * 160, 30 * 16000
"""Samples that give one patch, and samples at most at once."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_frames, 768]."""
    path = weights.find(spec.name, spec.needed_weights)
    content = checkpoint.read(path)
    state = checkpoint.select(content, path, nested="model", dropped=("predictor.",))
    cfg = content.get("cfg")
    if not isinstance(cfg, Mapping) or not cfg.keys() >= CFG:
        needed = ", ".join(sorted(CFG))
        raise ValueError(f"{path} has no cfg with {needed}: it isn't the published file, get that again")
    network = checkpoint.load_into(Network(cfg, **spec.options), state, path)
    return Batched(inputs, network, device, batch=1)


def inputs(wave: np.ndarray) -> Iterator[np.ndarray]:
    """Scaled log-mel frames of each piece of a wave.

    Yields
    ------
    np.ndarray [shape=(n_frames, 128), dtype=float32]
        At least 16 frames: a wave that is shorter is filled up with silence.
    """
    pieces = windowing.windows(wave, PIECE) if len(wave) > PIECE else [windowing.pad_to(wave, SHORTEST)]
    for piece in pieces:
        frames = fbank(piece * np.float32(FULL_SCALE), rate_hz=16000, window="povey")
        yield (frames - np.float32(MEAN)) / np.float32(SCALE)


def buckets(distances: torch.Tensor, n_buckets: int, max_distance: int) -> torch.Tensor:
    """Bucket of each signed distance, as of T5 (Raffel et al., JMLR 2020) in both directions.

    With h buckets a direction, each distance d < h / 2 has a bucket; a longer one has bucket
    h / 2 + floor(ln(2 d / h) / ln(2 max_distance / h) h / 2), at most h - 1.

    Parameters
    ----------
    distances : torch.Tensor of int64
        Of the token attended to from the one that attends.
    n_buckets, max_distance : int
        Half of the buckets are for positive distances; those from `max_distance` on share one.

    Returns
    -------
    torch.Tensor of int64

    Examples
    --------
    >>> buckets(torch.tensor([0, 1, -1, -3, -4, -99]), n_buckets=16, max_distance=8).tolist()
    [0, 9, 1, 3, 4, 7]
    """
    half = n_buckets // 2
    exact = half // 2
    steps = distances.abs()
    far = torch.log(steps.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)
    far = (exact + far.long()).clamp(max=half - 1)
    return (distances > 0) * half + torch.where(steps < exact, steps, far)


class PositionConvolution(nn.Module):
    """Convolution over tokens: of each step, a kernel of direction `weight_v` and size `weight_g`."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(DIM))
        self.weight_g = nn.Parameter(torch.ones(1, 1, KERNEL))
        self.weight_v = nn.Parameter(torch.randn(DIM, DIM // GROUPS, KERNEL))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What tokens [n, n_tokens, 768] gain for their places: of the same shape."""
        sizes = torch.linalg.vector_norm(self.weight_v, dim=(0, 1), keepdim=True)
        convolved = functional.conv1d(
            x.transpose(1, 2),
            self.weight_v * (self.weight_g / sizes),
            self.bias,
            padding=KERNEL // 2,
            groups=GROUPS,
        )
        return functional.gelu(convolved[..., : x.shape[1]].transpose(1, 2))


class Attention(nn.Module):
    """Attention to all tokens, with a bias that a gate at each token scales."""

    def __init__(self, relative_attention_bias: nn.Embedding):
        super().__init__()
        self.relative_attention_bias = relative_attention_bias
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(DIM, DIM) for _ in range(4))
        self.grep_linear = nn.Linear(DIM // N_HEADS, 8)
        self.grep_a = nn.Parameter(torch.ones(1, N_HEADS, 1, 1))

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Tokens [n, n_tokens, 768] from all, with a bias [n_heads, n_tokens, n_tokens] to be gated."""
        q, k, v = (
            project(x).unflatten(2, (N_HEADS, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        update, reset = torch.sigmoid(self.grep_linear(q).unflatten(3, (2, 4)).sum(4)).chunk(2, dim=3)
        gate = update * (reset * self.grep_a - 1) + 2
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=(gate * bias).to(q.dtype))
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and two linear layers, each normalised with `skip` times what it took."""

    def __init__(self, relative_attention_bias: nn.Embedding, skip: float):
        super().__init__()
        self.skip = skip
        self.self_attn = Attention(relative_attention_bias)
        self.self_attn_layer_norm = nn.LayerNorm(DIM)
        self.fc1, self.fc2 = nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)
        self.final_layer_norm = nn.LayerNorm(DIM)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Tokens after the layer; see `Attention.forward`."""
        x = self.self_attn_layer_norm(self.skip * x + self.self_attn(x, bias))
        return self.final_layer_norm(self.skip * x + self.fc2(functional.gelu(self.fc1(x))))


class Encoder(nn.Module):
    """Layers with one table of biases, on tokens that know their places."""

    def __init__(self, max_distance: int, skip: float):
        super().__init__()
        self.max_distance = max_distance
        shared = nn.Embedding(N_BUCKETS, N_HEADS)
        self.pos_conv = nn.Sequential(PositionConvolution())
        self.layers = nn.ModuleList(Layer(shared, skip) for _ in range(N_LAYERS))
        self.layer_norm = nn.LayerNorm(DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, n_tokens, 768] in their context."""
        x = self.layer_norm(x + self.pos_conv(x))
        bias = self.bias(x.shape[1])
        for layer in self.layers:
            x = layer(x, bias)
        return x

    def bias(self, n_tokens: int) -> torch.Tensor:
        """Bias before the gate: [n_heads, n_tokens, n_tokens], row i for the distances -i, 1 - i, ..."""
        table = self.layers[0].self_attn.relative_attention_bias
        distances = torch.arange(1 - n_tokens, n_tokens, device=table.weight.device)
        of_distance = table(buckets(distances, N_BUCKETS, self.max_distance)).T
        return of_distance.unfold(1, n_tokens, 1).flip(1)


class Network(nn.Module):
    """Log-mel frames [n, n_frames, 128] to [n, n_frames // 16, 768], 8 times as many with `tokens`.

    Parameters
    ----------
    cfg : mapping
        As in the checkpoint. Its `max_distance` and `deep_norm` follow from no shape.
    tokens : bool
        Give all tokens, not the mean of the 8 of one time.

    Raises
    ------
    ValueError
        If `cfg` asks for layers that none of the published checkpoints has.
    """

    def __init__(self, cfg: Mapping, *, tokens: bool = False):
        super().__init__()
        for key, value in {"layer_norm_first": False, "activation_fn": "gelu"}.items():
            if cfg[key] != value:
                raise ValueError(f"cfg has {key}={cfg[key]!r}, not {value!r}: use a published checkpoint")
        # DeepNorm (Wang et al., 2022) weights what a layer took by (2 n_layers)^(1/4) in its sum.
        skip = (2 * N_LAYERS) ** 0.25 if cfg["deep_norm"] else 1.0
        self.tokens = tokens
        self.patch_embedding = nn.Conv2d(1, PATCH_DIM, PATCH, PATCH, bias=False)
        self.layer_norm = nn.LayerNorm(PATCH_DIM)
        self.post_extract_proj = nn.Linear(PATCH_DIM, DIM)
        self.encoder = Encoder(cfg["max_distance"], skip)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Tokens or frames [n, n_tokens or n_frames // 16, 768]."""
        patches = self.patch_embedding(frames.unsqueeze(1))
        x = self.post_extract_proj(self.layer_norm(patches.flatten(2).transpose(1, 2)))
        x = self.encoder(x)
        return x if self.tokens else x.unflatten(1, (-1, patches.shape[3])).mean(dim=2)
