"""Record what the authors' audio branch of AudioCLIP computes: python record_audioclip.py CHECKOUT

Needs a checkout of github.com/AndreyGuzhov/AudioCLIP (of which `model/esresnet` and `utils/transforms.py` are
run) and an environment with torch and scipy. What those files import besides and don't need here, torchvision
among it, is replaced by empty modules. The weights are those of `audioclip_audio`. Writes
audioclip_reference.npz for test_audioclip.py:

- `names`, `shapes`: of the state dict, as the authors' whole model names it;
- `spectrogram`: decibels of `noise(1654 + 561 * 4 + 100)`, every fifth bin [1, 3, 69, n_frames];
- `full-{fname or n}`, `small-{...}`: unit embedding of a wave times 32768, and of the wave itself.
"""

import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from published_resnet import audioclip_audio  # noqa: E402
from seeded import noise  # noqa: E402

from sss_lib import audio  # noqa: E402

CLIPS = ("130393", "scratch-percussion-gong")


def main(checkout: str) -> None:
    """Write the reference file."""
    for name in ("torchvision", "termcolor"):
        sys.modules[name] = MagicMock()
    sys.modules["ignite_trainer"] = types.ModuleType("ignite_trainer")
    sys.modules["ignite_trainer"].AbstractNet = torch.nn.Module
    sys.modules["ignite_trainer"].AbstractTransform = object
    sys.path.insert(0, checkout)
    from model.esresnet.fbsp import ESResNeXtFBSP

    network = ESResNeXtFBSP(
        n_fft=2048,
        hop_length=561,
        win_length=1654,
        window="blackmanharris",
        normalized=True,
        onesided=True,
        spec_height=-1,
        spec_width=-1,
        num_classes=1024,
        apply_attention=True,
        pretrained=False,
    ).eval()
    shapes = {f"audio.{name}": tuple(value.shape) for name, value in network.state_dict().items()}
    state = audioclip_audio(shapes)
    np.testing.assert_array_equal(state["audio.window"], network.window.numpy())
    own = {name.removeprefix("audio."): torch.from_numpy(value) for name, value in state.items()}
    network.load_state_dict(own)

    def embed(samples: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            features = network(torch.from_numpy(samples)[None, None])
        return (features / features.norm(dim=-1, keepdim=True))[0].numpy()

    waves = {str(n): noise(n) for n in (1, 1654, 30000)}
    for name in CLIPS:
        waves[name] = audio.decode(HERE.parent.parent / f"data/mini/audio/{name}.ogg", 44100)[: 5 * 44100]
    recorded = {f"full-{name}": embed(wave * np.float32(32768)) for name, wave in waves.items()}
    recorded |= {f"small-{name}": embed(wave) for name, wave in waves.items()}
    with torch.inference_mode():
        samples = torch.from_numpy(noise(1654 + 561 * 4 + 100) * np.float32(32768))[None, None]
        recorded["spectrogram"] = network._forward_pre_processing(samples)[:, 0, :, ::5].numpy()
    names = np.array(list(shapes))
    rows = np.array([str(shape) for shape in shapes.values()])
    np.savez_compressed(HERE / "audioclip_reference.npz", names=names, shapes=rows, **recorded)
    print({name: (value.shape, float(np.abs(value).max())) for name, value in recorded.items()})


if __name__ == "__main__":
    main(sys.argv[1])
