"""OpenBEATs (Bharadwaj et al., 2025) with HEAR's interface: hear:openbeats_hear:epoch_latest.pt

Needs the package openbeats. Weights: huggingface.co/shikhar7ssu, OpenBEATs-Base-i3, OpenBEATs-Large-i3 and
others, CC BY 4.0. A frame is the mean of the eight patches of 160 ms, from low to high.
"""

import torch
from openbeats.beats_encoder import BeatsEncoder
from openbeats.utils import encoder_state_dict

N_PATCHES = 8


def load_model(path: str) -> BeatsEncoder:
    """Encoder with the weights of a self-contained file, one with a "cfg" in it."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    config = content["cfg"]
    scale = {"fbank_mean": config.get("fbank_mean", 15.41663), "fbank_std": config.get("fbank_std", 6.55582)}
    model = BeatsEncoder(input_size=0, beats_config=config, is_pretraining=False, **scale)
    missing = model.load_state_dict(encoder_state_dict(content["model"]), strict=False).missing_keys
    if missing := [name for name in missing if "_pad" not in name]:
        raise ValueError(f"{path} lacks {', '.join(missing[:5])}: get the published file again")
    model.sample_rate = 16000
    return model.eval()


def get_timestamp_embeddings(audio: torch.Tensor, model: BeatsEncoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [n, n_frames, dim] and their centres in milliseconds."""
    audio = torch.nn.functional.pad(audio, (0, max(0, 2800 - audio.shape[1])))  # 16 frames of 10 ms
    lengths = torch.full((len(audio),), audio.shape[1], device=audio.device)
    patches, _, _ = model(audio, lengths, waveform_input=True)
    n_frames = patches.shape[1] // N_PATCHES
    frames = patches[:, : n_frames * N_PATCHES].unflatten(1, (n_frames, N_PATCHES)).mean(2)
    return frames, (160.0 * torch.arange(n_frames) + 80).expand(len(audio), -1)
