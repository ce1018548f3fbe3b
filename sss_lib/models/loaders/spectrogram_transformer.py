"""AST, the Audio Spectrogram Transformer (Gong et al., Interspeech 2021), run by the library transformers.

A window of 1,024 log-mel frames (10.255 s, zeros where it lacks some) is a grid of 12 x 101 patches of 16 x
16, one every 10 bands and frames. Before these 1,212 tokens come a class token and one for distillation,
whose mean is the embedding.
"""

from collections.abc import Mapping

import torch
from transformers import ASTConfig, ASTModel

from sss_lib.models.frontends import kaldi
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

MEAN, SCALE = -4.2677393, 2 * 4.5689974
"""The training data's log-mel mean, and twice its standard deviation."""
N_FRAMES = 1024
CONFIG = {
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "patch_size": 16,
    "qkv_bias": True,
    "frequency_stride": 10,
    "time_stride": 10,
    "max_length": N_FRAMES,
    "num_mel_bins": kaldi.N_BANDS,
}
"""The published configuration."""
RENAMED = {
    "encoder.layer.": "layers.",
    "attention.attention.query.": "attention.q_proj.",
    "attention.attention.key.": "attention.k_proj.",
    "attention.attention.value.": "attention.v_proj.",
    "attention.output.dense.": "attention.o_proj.",
    "intermediate.dense.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
}
"""Parts of published names, and what transformers calls them now."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 768]."""
    state, path = checkpoint.published(spec)
    network = checkpoint.load_into(Network(**spec.options), to_transformers(state), path)
    return Batched(kaldi.windowed(spec, n_frames=N_FRAMES, mean=MEAN, scale=SCALE), network, device)


def to_transformers(state: Mapping) -> dict:
    """Published state dict without the classifier, by the names that transformers' ASTModel has now.

    Examples
    --------
    >>> list(to_transformers({"audio_spectrogram_transformer.encoder.layer.0.output.dense.bias": 1}))
    ['layers.0.mlp.fc2.bias']
    """
    renamed = {}
    for name, value in checkpoint.without(state, "classifier.").items():
        name = name.removeprefix("audio_spectrogram_transformer.")
        for old, new in RENAMED.items():
            name = name.replace(old, new)
        renamed[name] = value
    return renamed


class Network(ASTModel):
    """ASTModel in the published configuration: log-mel frames [n, 1024, 128] to embeddings [n, 768].

    Parameters
    ----------
    n_layers : int
        The published network has 12.
    """

    def __init__(self, n_layers: int = 12) -> None:
        super().__init__(ASTConfig(**CONFIG, num_hidden_layers=n_layers))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 768]: means of the class and distillation tokens."""
        return super().forward(frames).pooler_output
