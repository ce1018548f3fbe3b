"""Record what the published CLAP packages compute, for test_htsat.py and test_cnn14.py.

python record_clap.py FOLDER

FOLDER holds the contents of the wheels laion-clap 1.1.7, msclap 1.3.4 and torchlibrosa 0.1.0; the environment
has torch, transformers, librosa, pandas, scikit-learn, h5py, ftfy and what sss_lib needs, of which only the
decoder and tests/published_clap.py are used. The packages' own networks and preprocessing run on clips of
data/mini with random weights; the mel filter banks and position indices of their networks are kept.
What they import and don't run is replaced with nothing. Replaced with something:

- torchaudio's MelSpectrogram and AmplitudeToDB by librosa's, with the arguments that laion-clap's own comment
  gives as equal; torchvision's Resize by torch's bilinear interpolation;
- the text encoders by small ones, tokenizers by nothing;
- numpy.random.choice, which places the windows of a fused clip, by the middle of its range.

Written to clap_reference.npz, for each network: names and shapes of its state dict, the filter bank if that
is used, and the embedding of each clip.
"""

import argparse
import sys
from pathlib import Path
from unittest import mock

import librosa
import numpy as np
import torch
from transformers import (
    AutoTokenizer,
    BartTokenizer,
    BertTokenizer,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import published_clap  # noqa: E402

from sss_lib import audio  # noqa: E402

CLIPS = ("13113", "198403", "207809", "scratch-percussion-gong", "scratch-music-loops-garden")


class MelSpectrogram:
    """torchaudio's, computed by librosa."""

    def __init__(self, *, f_min: float, f_max: float, sample_rate: int, **options: object):
        del options["onesided"]
        self.options = {"sr": sample_rate, "fmin": f_min, "fmax": f_max, "htk": True, **options}

    def to(self, _device: str):
        return self

    def __call__(self, wave: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(librosa.feature.melspectrogram(y=wave.numpy(), **self.options))


def resize(size: list[int]):
    """torchvision's Resize of [n, height, width]."""
    return lambda image: torch.nn.functional.interpolate(image[None], size, mode="bilinear")[0]


def small_roberta(*_: object) -> RobertaModel:
    return RobertaModel(RobertaConfig(num_hidden_layers=1, vocab_size=8, intermediate_size=8))


def replaced_modules() -> dict[str, object]:
    """Modules that the packages import; only what is set here is run."""
    names = "torchaudio.transforms torchvision.ops.misc torchvision.transforms torchvision.datasets"
    names += " wget webdataset braceexpand PIL"
    modules = {}
    for name in names.split():
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:i]), mock.MagicMock())
        for i in range(1, len(parts)):
            setattr(modules[".".join(parts[:i])], parts[i], modules[".".join(parts[: i + 1])])
    modules["torchaudio"].transforms.MelSpectrogram = MelSpectrogram
    modules["torchaudio"].transforms.AmplitudeToDB = lambda top_db: (
        lambda mel: 10 * mel.clamp(min=1e-10).log10()
    )
    modules["torchvision"].transforms.Resize = resize
    return modules


def seed(network: torch.nn.Module, recorded: dict, key: str, part: str = "", bank: bool = True) -> None:
    """Give a network its weights, and record the names and shapes that they have in the published file."""
    state = network.state_dict(prefix=part)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    kept = {name: state[name].numpy() for name in state if "extractor" in name or name.endswith("_index")}
    kept |= {name: state[name].numpy() for name in state if name.endswith("attn_mask")}
    weights = published_clap.state(shapes, kept)
    network.load_state_dict({name.removeprefix(part): value for name, value in weights.items()})
    network.eval()
    recorded[f"{key}/names"] = np.array(list(shapes))
    recorded[f"{key}/shapes"] = np.array([" ".join(map(str, shape)) for shape in shapes.values()])
    if bank:
        (recorded[f"{key}/melW"],) = (kept[name] for name in kept if name.endswith("melW"))
    for name in state:
        if name.endswith("relative_position_index"):
            recorded["relative_position_index"] = state[name].numpy()


def record_laion(recorded: dict, waves: dict[str, np.ndarray]) -> None:
    """Fused clips are those that are longer; the network without fusion gets their first 10 s."""
    from laion_clap import CLAP_Module

    for key, fusion, size in (("laion-fusion", True, "HTSAT-tiny"), ("laion-base", False, "HTSAT-base")):
        module = CLAP_Module(enable_fusion=fusion, device="cpu", amodel=size)
        seed(module.model, recorded, key, bank=not fusion)
        for fname, wave in waves.items():
            window = wave if fusion else wave[:480000]
            (recorded[f"{key}/{fname}"],) = module.get_audio_embedding_from_data([window])
        if fusion:
            (recorded[f"{key}/window"],) = module.get_audio_embedding_from_data([waves[CLIPS[-1]][:480000]])


def record_microsoft(recorded: dict, waves: dict[str, np.ndarray]) -> None:
    """Longer clips are given as their first window."""
    import torchaudio
    from msclap import CLAP
    from msclap.models.clap import AudioEncoder

    for key, encoder, width, duration_s in (("clap-2022", "Cnn14", 2048, 5), ("clap-2023", "HTSAT", 768, 7)):
        wrapper = object.__new__(CLAP)
        wrapper.args = argparse.Namespace(sampling_rate=44100, duration=duration_s)
        wrapper.use_cuda = False
        network = AudioEncoder(encoder, width, 1024, 44100, 1024, 320, 64, 50, 14000, 527)
        seed(network, recorded, key, "audio_encoder.")
        wrapper.clap = argparse.Namespace(audio_encoder=network)
        wrapper.default_collate = torch.stack
        for fname, wave in waves.items():
            window = torch.from_numpy(wave[None, : 44100 * duration_s])
            with mock.patch.object(torchaudio, "load", return_value=(window, 44100)):
                (embedding,) = wrapper.get_audio_embeddings([fname], resample=False)
            recorded[f"{key}/{fname}"] = embedding.numpy()


def main(folder: str) -> None:
    """Write the reference file."""
    sys.path.insert(0, folder)
    clips = HERE.parent.parent / "data" / "mini" / "audio"
    recorded: dict[str, np.ndarray] = {}
    nothing = classmethod(lambda *_: None)
    with mock.patch.dict(sys.modules, replaced_modules()):
        for tokenizer in (AutoTokenizer, BartTokenizer, BertTokenizer, RobertaTokenizer):
            tokenizer.from_pretrained = nothing
        RobertaModel.from_pretrained = small_roberta
        with mock.patch("numpy.random.choice", lambda places: places[len(places) // 2]):
            record_laion(recorded, {fname: audio.decode(clips / f"{fname}.ogg", 48000) for fname in CLIPS})
        record_microsoft(recorded, {fname: audio.decode(clips / f"{fname}.ogg", 44100) for fname in CLIPS})
    np.savez_compressed(HERE / "clap_reference.npz", **recorded)


if __name__ == "__main__":
    main(sys.argv[1])
