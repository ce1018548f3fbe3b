"""Record what speechbrain's BEATs computes, for test_beats.py: python record_beats.py

Needs the repository on the path and an environment with torch, speechbrain 1.1.2 (its code of BEATs is the
published one's, and loads a checkpoint in the published form) and kaldi-native-fbank 1.20.0, which takes the
place of torchaudio's front end. The weights are those of seeded.py. It writes beats_reference.npz:

- `shapes`: the state dict's names and shapes, as JSON;
- `cfg`: the configuration of the checkpoint, as JSON;
- `{clip}-tokens`, `{clip}-mean`: the first 8 values of each token, and the tokens' mean.
"""

import importlib.machinery
import json
import sys
import tempfile
import types
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import seeded  # noqa: E402

CFG = {
    "encoder_layers": 12,
    "encoder_embed_dim": 768,
    "encoder_ffn_embed_dim": 3072,
    "encoder_attention_heads": 12,
    "activation_fn": "gelu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.05,
    "dropout_input": 0.0,
    "layer_norm_first": False,
    "conv_bias": False,
    "conv_pos": 128,
    "conv_pos_groups": 16,
    "relative_position_embedding": True,
    "num_buckets": 320,
    "max_distance": 800,
    "gru_rel_pos": True,
    "deep_norm": True,
    "input_patch_size": 16,
    "layer_wise_gradient_decay_ratio": 0.6,
    "embed_dim": 512,
    "finetuned_model": False,
}
"""As in the published checkpoints."""


def fbank(waveform, *, num_mel_bins, sample_frequency, frame_length, frame_shift):
    """Kaldi's frames, called as torchaudio.compliance.kaldi.fbank is."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = sample_frequency
    options.frame_opts.frame_length_ms = frame_length
    options.frame_opts.frame_shift_ms = frame_shift
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "povey"
    options.mel_opts.num_bins = num_mel_bins
    options.use_energy = False
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(sample_frequency, waveform[0].tolist())
    computer.input_finished()
    return torch.from_numpy(np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)]))


def main() -> None:
    """Write the reference file."""
    for name in ("torchaudio", "torchaudio.compliance", "torchaudio.compliance.kaldi"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules["torchaudio"].__version__ = "2.13.0"
    sys.modules["torchaudio.compliance"].kaldi = sys.modules["torchaudio.compliance.kaldi"]
    sys.modules["torchaudio.compliance.kaldi"].fbank = fbank
    from speechbrain.lobes.models import beats

    from sss_lib import dataset
    from sss_lib.io.audio import decode

    config = beats.BEATsConfig
    beats.BEATsConfig = lambda cfg: config(cfg or CFG)
    shapes = {}
    for name, value in beats.BEATs().state_dict().items():
        # the two as speechbrain calls them; it reads the published names, too
        name = name.replace("parametrizations.weight.original0", "weight_g")
        shapes[name.replace("parametrizations.weight.original1", "weight_v")] = list(value.shape)
    state = seeded.state(shapes)
    for name in shapes:  # one table, which all layers share
        if name.endswith("relative_attention_bias.weight"):
            state[name] = state["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    with tempfile.NamedTemporaryFile(suffix=".pt") as file:
        torch.save({"cfg": CFG, "model": state}, file.name)
        network = beats.BEATs(file.name)
    paths = dataset.load("mini").clips.set_index("fname")["path"]
    waves = {fname: decode(paths[fname], 16000) for fname in ("198403", "scratch-percussion-gong")}
    waves["noise"] = np.random.default_rng(0).normal(0, 0.1, 20 * 16000).astype(np.float32)
    recorded = {"shapes": json.dumps(shapes), "cfg": json.dumps(CFG)}
    for clip, wave in waves.items():
        (tokens,) = network(torch.from_numpy(wave)[None], torch.ones(1))[0].numpy()
        recorded[f"{clip}-tokens"], recorded[f"{clip}-mean"] = tokens[:, :8], tokens.mean(axis=0)
        print(clip, len(wave) / 16000, tokens.shape)
    np.savez_compressed(HERE / "beats_reference.npz", **recorded)


if __name__ == "__main__":
    main()
