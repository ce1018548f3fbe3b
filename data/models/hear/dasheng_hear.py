"""Dasheng (Dinkel et al., Interspeech 2024) with HEAR's interface: hear:dasheng_hear:dasheng_base.pt

Needs the package dasheng. Weights: zenodo.org/records/11511780, dasheng_base.pt, dasheng_06b.pt or
dasheng_12b.pt, Apache-2.0. A frame is 40 ms; what is longer than the network's window is heard window by
window.
"""

import torch
from dasheng.pretrained.pretrained import Dasheng

N_HEADS = {768: 12, 1280: 16, 1536: 24}


def load_model(path: str) -> Dasheng:
    """Network with the weights of a file."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    state = content["model"]
    dim = len(state["norm.weight"])
    depth = sum(name.endswith("norm1.weight") for name in state)
    model = Dasheng(**{**content["config"], "embed_dim": dim, "depth": depth, "num_heads": N_HEADS[dim]})
    model.load_state_dict(state)
    model.sample_rate = 16000
    return model.eval()


def get_timestamp_embeddings(audio: torch.Tensor, model: Dasheng) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [n, n_frames, dim] and their centres in milliseconds."""
    audio = torch.nn.functional.pad(audio, (0, max(0, 640 - audio.shape[1])))
    frames = model(audio)
    return frames, (40.0 * torch.arange(frames.shape[1]) + 20).expand(len(audio), -1)
