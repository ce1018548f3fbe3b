"""Record what EfficientAT computes, for test_efficientat.py: python record_efficientat.py WEIGHTS CHECKOUT

Needs the published mn04_as_mAP_432.pt, a checkout of github.com/fschmid56/EfficientAT, and an environment
with torch, torchvision, torchaudio, soundfile and soxr, on Python 3.11. The authors adapted torchvision's
MobileNetV3; here that itself is run, led to what they say of theirs in models/mn: one channel in, and a
logistic function for the weights of channels. The front end is written with what theirs calls: torch.stft and
torchaudio's bands of Kaldi. Writes efficientat_reference.npz:

- `frames/{fname}`, of a clip of data/mini: scaled log-mel frames [shape=(128, n_frames)], every 8th;
- `embedding/{fname}` [shape=(384,)];
- `seeded/{width}`: embedding of the last clip by a network of that width with the weights that
  `seeded.rectified_state` draws;
- `dynamic/{width}`: the same, of `seeded.dynamic_state`, by the authors' own dynamic
  network, at the temperature of AudioSet's.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
import torchaudio
from torch import nn
from torchvision.models import mobilenetv3

HERE = Path(__file__).parent
AUDIO = HERE.parent.parent / "data" / "mini" / "audio"
CLIPS = ("198403", "scratch-animal-dog1", "scratch-human-baby-cry")
RATE_HZ = 32000


class Squeeze(nn.Module):
    """torchvision's squeeze, under the authors' names."""

    def __init__(self, n_in: int, n_squeezed: int):
        super().__init__()
        layer = nn.Module()
        layer.fc1, layer.fc2 = nn.Linear(n_in, n_squeezed), nn.Linear(n_squeezed, n_in)
        self.conc_se_layers = nn.ModuleList([layer])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of the same shape."""
        (layer,) = self.conc_se_layers
        return x * layer.fc2(layer.fc1(x.mean((2, 3))).relu()).sigmoid()[..., None, None]


def network(width: float) -> nn.Module:
    """torchvision's MobileNetV3-Large of a width, for one channel and 527 classes."""
    setting, last = mobilenetv3._mobilenet_v3_conf("mobilenet_v3_large", width_mult=width)
    block = partial(mobilenetv3.InvertedResidual, se_layer=Squeeze)
    net = mobilenetv3.MobileNetV3(setting, last, num_classes=527, block=block)
    first = net.features[0][0]
    net.features[0][0] = nn.Conv2d(1, first.out_channels, 3, 2, 1, bias=False)
    # As in the published state dict, the classifier's layers are numbered behind the pooling.
    net.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *net.classifier)
    return net.eval()


def log_mel(wave: np.ndarray) -> torch.Tensor:
    """Scaled log-mel frames [128, n_frames] as models/preprocess.py describes them at inference."""
    x = torch.from_numpy(wave)
    x = x[1:] - 0.97 * x[:-1]
    window = torch.hann_window(800, periodic=False)
    power = torch.stft(x, 1024, 320, 800, window, return_complex=True).abs() ** 2
    bank, _ = torchaudio.compliance.kaldi.get_mel_banks(128, 1024, RATE_HZ, 0.0, 15000.0, 100.0, -500.0, 1.0)
    return ((nn.functional.pad(bank, (0, 1)) @ power + 1e-5).log() + 4.5) / 5


@torch.inference_mode()
def main(weights: str, checkout: str) -> None:
    """Write the reference file."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]
    import seeded

    net = network(0.4)
    net.load_state_dict(torch.load(weights, weights_only=True))
    recorded = {}
    for fname in CLIPS:
        wave, native_hz = soundfile.read(AUDIO / f"{fname}.ogg", dtype="float32")
        frames = log_mel(soxr.resample(wave, native_hz, RATE_HZ, quality="VHQ"))
        maps = net.features(frames[None, None])
        recorded[f"frames/{fname}"] = frames[:, ::8].numpy()
        recorded[f"embedding/{fname}"] = maps.mean((2, 3))[0].numpy()
        print(fname, frames.shape, net.classifier(maps).sigmoid().max())
    for width in (0.4, 1.0):
        net = network(width)
        shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
        net.load_state_dict(seeded.tensors(seeded.rectified_state(shapes)))
        recorded[f"seeded/{width}"] = net.features(frames[None, None]).mean((2, 3))[0].numpy()
        print(width, recorded[f"seeded/{width}"].shape, recorded[f"seeded/{width}"].max())
    sys.path.insert(0, checkout)
    from models.dymn.model import get_model

    for width, gain in ((0.4, 7), (1.0, 5)):
        net = get_model(width_mult=width, T_max=1.0).eval()
        shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
        drawn = {name: shape for name, shape in shapes.items() if not name.endswith(("lambdas", "init_v"))}
        net.load_state_dict(seeded.tensors(seeded.dynamic_state(drawn, gain)), strict=False)
        recorded[f"dynamic/{width}"] = net(frames[None, None])[1][0].numpy()
        print(width, recorded[f"dynamic/{width}"].shape, recorded[f"dynamic/{width}"].max())
    np.savez_compressed(HERE / "efficientat_reference.npz", **recorded)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
