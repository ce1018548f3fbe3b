"""AVES (Hagiwara, ICASSP 2023) with HEAR's interface: hear:aves_hear:aves-base-bio.torchaudio.pt

Needs the package torchaudio. Weights: github.com/earthspecies/aves, MIT, in their form for torchaudio: a
HuBERT of base size. A frame is 20 ms of its last layer.
"""

import torch
import torchaudio
from torch import nn


def load_model(path: str) -> nn.Module:
    """Network with the weights of a file."""
    model = torchaudio.models.hubert_base()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model.sample_rate = 16000
    return model.eval()


def get_timestamp_embeddings(audio: torch.Tensor, model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [n, n_frames, 768] and their centres in milliseconds."""
    audio = nn.functional.pad(audio, (0, max(0, 400 - audio.shape[1])))
    frames = model.extract_features(audio)[0][-1]
    return frames, (20.0 * torch.arange(frames.shape[1]) + 12.5).expand(len(audio), -1)
