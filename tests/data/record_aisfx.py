"""Record what the published aiSFX package computes, for test_aisfx.py: python record_aisfx.py UNPACKED_WHEEL

Needs the contents of the wheel aisfx 0.1.2 and an environment with torch, tqdm, soundfile and essentia. It
runs the package's own front end, blocking and network with its checkpoint, and writes aisfx_reference.npz.
The clips are given to it as float wav, because its decoder reads Ogg Vorbis beyond its end, and none of them
goes beyond full scale, where it would clip.

- `network`: output for `np.random.default_rng(0).random((3, 100, 96))`;
- one array a clip of data/mini, by fname: the frames that the package's pipeline gives.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

HERE = Path(__file__).parent
AUDIO = HERE.parent.parent / "data" / "mini" / "audio"
CLIPS = (
    "198403",
    "207809",
    "415571",
    "scratch-instruments-spooky-string",
    "scratch-music-loops-garden",
    "scratch-percussion-gong",
)


def main(unpacked_wheel: str) -> None:
    """Write the reference file."""
    sys.path.insert(0, unpacked_wheel)
    import aisfx.inference as published

    scalar = np._core.multiarray.scalar
    allowed = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype]
    with torch.serialization.safe_globals([*allowed, np.dtypes.Int64DType, np.dtypes.Float64DType]):
        weights, classes = published.load_weights("cpu")
    network = published.load_bestModel(weights, classes, "cpu")
    spectrogram = published.spectrogram_selector("essentia")
    patches = torch.from_numpy(np.random.default_rng(0).random((3, 100, 96), np.float32))
    with torch.no_grad():
        recorded = {"network": network.get_embedding(patches).numpy()}
    for fname in CLIPS:
        with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
            wave, rate_hz = soundfile.read(AUDIO / f"{fname}.ogg", dtype="float32")
            soundfile.write(wav.name, wave, rate_hz, subtype="FLOAT")
            mel = spectrogram(
                wav.name, sr=44100.0, block_size=2048, hop_size=1024, n_mels=96, f_min=0.0, f_max=22050.0
            )
        mel = published.spectrogram_normalize(mel)
        recorded[fname] = published.model_get_embedding(mel, 0.5, True, network, "cpu").numpy()
        print(fname, mel.shape, recorded[fname].shape)
    np.savez_compressed(HERE / "aisfx_reference.npz", **recorded)


if __name__ == "__main__":
    main(sys.argv[1])
