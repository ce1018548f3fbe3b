"""Record what the published aiSFX package computes, for test_aisfx.py: python record_aisfx.py UNPACKED_WHEEL

Needs the contents of the wheel aisfx 0.1.2 and an environment with torch, tqdm and essentia. It runs the
package's own front end, blocking and network with its own checkpoint, and writes aisfx_reference.npz:

- `network`: output for `np.random.default_rng(0).random((3, 100, 96))`;
- one array a clip of data/mini, by fname: the frames that the package's pipeline gives.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
AUDIO = HERE.parent.parent / "data" / "mini" / "audio"
CLIPS = ("198403", "207809", "415571", "scratch-human-baby-cry", "scratch-music-loops-garden", "scratch-percussion-gong")

sys.path.insert(0, sys.argv[1])
import aisfx.inference as published  # noqa: E402


def main() -> None:
    """Write the reference file."""
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
        path = AUDIO / f"{fname}.ogg"
        if not path.exists():
            sys.exit(f"{path} does not exist: choose another clip")
        mel = spectrogram(str(path), sr=44100.0, block_size=2048, hop_size=1024, n_mels=96, f_min=0.0, f_max=22050.0)
        mel = published.spectrogram_normalize(mel)
        recorded[fname] = published.model_get_embedding(mel, 0.5, True, network, "cpu").numpy()
        print(fname, mel.shape, recorded[fname].shape)
    np.savez_compressed(HERE / "aisfx_reference.npz", **recorded)


if __name__ == "__main__":
    main()
