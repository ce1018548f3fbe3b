"""Wav2CLIP (Wu et al., ICASSP 2022): a residual network that CLIP's image encoder taught.

A spectrogram of 512 samples with a hop of 353, its logarithm with mean 0 and deviation 1 over the clip, a
ResNet-18 and two layers that lead into CLIP's space. It takes a clip of any length and gives one embedding.
The training code of the package and its authors' HEAR module work at 16 kHz; the 2024 study fed 44.1 kHz.
"""

import torch
from torch import nn

from sss_lib.io import windowing
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.loaders import resnet
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

SIZE, HOP, DIM = 512, 353, 512
LOG_OFFSET = 1e-7
UNUSED = ("image_transform.", "loss_fn")
"""Beginnings of names that the audio encoder doesn't use."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [1, 512]."""
    network = checkpoint.load_published(spec, Network, dropped=UNUSED)
    return Batched(lambda wave: [windowing.pad_to(wave, SIZE)], network, device, batch=1)


class Spectrogram(nn.Module):
    """Log power, standardised over each clip: waveforms to [n, 1, n_bins, n_frames]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(SIZE))

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Of each clip (x - mean) / (deviation + 1e-9), where x = ln(power + 1e-7)."""
        spectrum = torch.stft(waves, SIZE, HOP, window=self.window, return_complex=True)
        # In double precision: in silence, rounding errors are divided by almost zero.
        x = torch.log(spectrum.abs().double() ** 2 + LOG_OFFSET)
        deviation, mean = torch.std_mean(x, dim=(1, 2), keepdim=True)
        return ((x - mean) / (deviation + 1e-9)).float()[:, None]


class Encoder(nn.Module):
    """ResNet-18 on the spectrogram: waveforms to [n, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = Spectrogram()
        self.conv1, self.bn1 = resnet.stem(1)
        for i, (n_in, n_out) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], start=1):
            layer = resnet.stage(2, n_in, (3, 3), (n_out, n_out), stride=1 if i == 1 else 2)
            self.add_module(f"layer{i}", layer)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Means over frequency and time [n, 512]."""
        x = torch.relu(self.bn1(self.conv1(self.spectrogram(waves))))
        x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return x.mean(dim=(2, 3))


class Projection(nn.Module):
    """Two layers that lead into CLIP's space."""

    def __init__(self) -> None:
        super().__init__()
        self.sequential = nn.Sequential(nn.Linear(DIM, DIM), nn.ReLU(), nn.Dropout(), nn.Linear(DIM, DIM))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 512]."""
        return self.sequential(x)


class Network(nn.Module):
    """Waveforms [n, n_samples] to embeddings [n, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder, self.audio_transform = Encoder(), Projection()

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 512]."""
        return self.audio_transform(self.audio_encoder(waves))
