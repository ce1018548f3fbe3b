"""Record what the wav2clip package computes, for test_wav2clip.py: python record_wav2clip.py UNPACKED_WHEEL

Needs the contents of the wheel wav2clip 0.1.0 and an environment with torch and librosa. The weights are
`rectified_state` of the names and shapes of the package's own modules. Its spectrogram is torchaudio's;
librosa computes it here, so that torchaudio needn't be there. Writes wav2clip_reference.npz:

- `names`, `shapes`: of the state dict, as the package saves it;
- `noise-{n}`: embedding of `noise(n)`;
- one array a clip of data/mini, by fname: embedding of the decoded clip at 16 kHz.
"""

import sys
import types
from pathlib import Path

import librosa
import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from seeded import noise, rectified_state  # noqa: E402

from sss_lib import audio  # noqa: E402

CLIPS = ("198403", "415571", "scratch-percussion-gong")


class Spectrogram(torch.nn.Module):
    """torchaudio's power spectrogram with its defaults, by librosa."""

    def __init__(self, n_fft: int, hop_length: int):
        super().__init__()
        self.size, self.hop = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Power [..., n_bins, n_frames]."""
        spectrum = librosa.stft(waves.numpy(), n_fft=self.size, hop_length=self.hop, pad_mode="reflect")
        return torch.from_numpy(np.abs(spectrum) ** 2)


def main(unpacked_wheel: str) -> None:
    """Write the reference file."""
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    sys.modules["torchaudio"].transforms = types.SimpleNamespace(Spectrogram=Spectrogram)
    sys.path.insert(0, unpacked_wheel)
    import wav2clip
    from wav2clip.model.encoder import MLPLayers, ResNetExtractor

    modules = {"audio_encoder": ResNetExtractor(scenario="supervise").encoder, "audio_transform": MLPLayers()}
    shapes = {
        f"{prefix}.{name}": tuple(value.shape)
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }
    state = {name: torch.from_numpy(value) for name, value in rectified_state(shapes).items()}
    state["audio_encoder.spectrogram.window"] = torch.hann_window(512)
    model = ResNetExtractor(checkpoint=state, scenario="frozen", transform=True)
    waves = {f"noise-{n}": noise(n) for n in (512, 5000, 48000)}
    waves |= {name: audio.decode(HERE.parent.parent / f"data/mini/audio/{name}.ogg", 16000) for name in CLIPS}
    recorded = {name: wav2clip.embed_audio(wave, model)[0] for name, wave in waves.items()}
    names = np.array(list(shapes))
    rows = np.array([str(shape) for shape in shapes.values()])
    np.savez_compressed(HERE / "wav2clip_reference.npz", names=names, shapes=rows, **recorded)
    print({name: (value.shape, float(np.abs(value).max())) for name, value in recorded.items()})


if __name__ == "__main__":
    main(sys.argv[1])
