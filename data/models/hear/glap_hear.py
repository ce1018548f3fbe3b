"""GLAP's audio encoder (Dinkel et al., 2025) with HEAR's interface: hear:glap_hear:glap_checkpoint.pt

Needs the package dasheng. Weights: zenodo.org/records/15493136, Apache-2.0: a Dasheng, and a projection
into the space of the texts. One embedding a clip, of unit length: over each window of the network the
mean, then over all.
"""

import dasheng_hear
import torch
from dasheng.pretrained.pretrained import Dasheng
from torch import nn

ENCODER = "audio_encoder.model."


def load_model(path: str) -> nn.Module:
    """Network with the weights of a file."""
    state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    encoder = {name.removeprefix(ENCODER): value for name, value in state.items() if name.startswith(ENCODER)}
    dim = len(encoder["norm.weight"])
    depth = sum(name.endswith("norm1.weight") for name in encoder)
    model = Dasheng(embed_dim=dim, depth=depth, num_heads=dasheng_hear.N_HEADS[dim])
    model.load_state_dict({name: value for name, value in encoder.items() if "outputlayer" not in name})
    n_out = len(state["audio_proj.0.weight"])
    model.projection = nn.Sequential(nn.Linear(dim, n_out), nn.ReLU(), nn.Linear(n_out, n_out))
    names = model.projection.state_dict()
    model.projection.load_state_dict({name: state[f"audio_proj.{name}"] for name in names})
    model.sample_rate = 16000
    return model.eval()


def get_scene_embeddings(audio: torch.Tensor, model: nn.Module) -> torch.Tensor:
    """Embeddings [n, 1024] of clips."""
    audio = nn.functional.pad(audio, (0, max(0, 640 - audio.shape[1])))
    spectrogram, size = model.forward_to_spec(audio), model.target_length
    if spectrogram.shape[-1] > size:
        spectrogram = nn.functional.pad(spectrogram, (0, -spectrogram.shape[-1] % size))
    windows = model.forward_spectrogram(spectrogram).split(size // model.patch_stride[-1], dim=1)
    mean = torch.stack([window.mean(1) for window in windows]).mean(0)
    return nn.functional.normalize(model.projection(mean), dim=-1)
